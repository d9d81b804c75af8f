/* SPDX-License-Identifier: BSD-2-Clause */
/* floor.h - what no table avoids: a line of as many buckets as the library has, and a record that the bucket names,
 * at random places, in bursts with prefetches, written as a hit is. Used by lookup.c.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "bench.h"

struct floor;

struct floor *floor_open(uint32_t entries);
void floor_close(struct floor *floor);

/* Choose the buckets of the next chunk. */
void floor_draw(struct floor *floor, struct bench_draw *draw);

/* Touch a chunk. */
void floor_run(void *floor);

#endif
