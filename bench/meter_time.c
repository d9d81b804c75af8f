/* SPDX-License-Identifier: BSD-2-Clause */
/* meter_time.c - the time that a call takes, on the wall's clock: other programs on the processor are in it. */
#include "bench.h"
#include "meter.h"

const char *const meter_bench = "calls";
const char *const meter_unit = "us";

static uint64_t begun;

void meter_begin(void)
{
	begun = bench_now();
}

double meter_end(void)
{
	return (double)(bench_now() - begun) / 1000;
}
