/* SPDX-License-Identifier: BSD-2-Clause */
/* meter.h - what a call costs: its time (meter_time.c), or how many cache lines of memory it touches (meter_lines.c, with
 * a library compiled to report its accesses). calls.c is linked with the one or the other.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

/* Names for the lines that are printed. */
extern const char *const meter_bench;
extern const char *const meter_unit;

void meter_begin(void);
/* The cost since the last begin. */
double meter_end(void);

#endif
