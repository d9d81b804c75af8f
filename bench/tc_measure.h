/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_measure.h - what backend tc costs on the simulated hardware of tests/hwsim, in a guest of the lab (tc.sh). Lines are those that
 * targets.py reads.
 *
 * tc_measure.c has main() and the table, tc_adds.c adding and deleting, tc_crowd.c thousands of flows from the first packet
 * to the last counter, tc_path.c what a packet costs the router.
 */
#ifndef BENCH_TC_MEASURE_H
#define BENCH_TC_MEASURE_H

#include "crowded.h"

#define TC_BENCH "tc"

/* A table over both ports with so many helper threads. */
void tc_open(struct world *world, uint32_t capacity, uint32_t helper_threads);
/* Nothing may be left in the hardware. */
void tc_close(struct world *world);

/* The first n of a crowd. */
struct crowd tc_some(const struct crowd *crowd, unsigned int n);

void tc_adds(const struct crowd *crowd);
void tc_deletes(const struct crowd *crowd);
void tc_life(struct crowd *crowd);
void tc_path(void);

#endif
