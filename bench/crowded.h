/* SPDX-License-Identifier: BSD-2-Clause */
/* crowded.h - a table of a kernel backend with the flows of a crowd (tests/nft/live.h) in it: what nft_measure.c and tc_measure.c
 * do and measure alike, in a router in the lab. crowded.c.
 */
#ifndef BENCH_CROWDED_H
#define BENCH_CROWDED_H

#include "../tests/nft/live.h"

#include "bench.h"

double crowded_now_ms(void);
/* CPU time of this thread. */
double crowded_cpu_ms(void);

/* Flows of the table in that state. */
unsigned int crowded_in_state(struct world *world, unsigned int state);
/* Packets that took the short cut, as far as the table was told. */
uint64_t crowded_forwarded(struct world *world);

/* All of them, between both sides of the world. Returns the milliseconds of the call. */
double crowded_add(struct world *world, const struct crowd *crowd, fo_flow_id *ids);

/* Polls by their times; all of CPU time but longest_ms. */
#define CROWDED_POLLS 4096u
struct crowded_polling {
	double longest_ms, longest_cpu_ms; /* of one poll */
	double each_cpu_ms[CROWDED_POLLS]; /* of the last ones */
	double cpu_ms;
	unsigned int polls;
};
/* Poll, and wait for work where there is none. */
void crowded_poll(struct world *world, struct crowded_polling *sum);
/* Every flow sends a packet each way; then poll until all of these are counted. Returns how long that took; @moving_ms (may be
 * NULL): of that from the poll on that counted the first. */
double crowded_read(struct world *world, struct crowd *crowd, struct crowded_polling *sum, double *moving_ms);

#endif
