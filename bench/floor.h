/* SPDX-License-Identifier: BSD-2-Clause */
/* floor.h - what no table avoids: two dependent cache lines at random places, a bucket as the library has and a record
 * that the bucket names, in bursts with prefetches, written as a hit is. The form with three lines has another
 * between them, as a table has that keeps keys apart from records. Used by lookup.c.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "bench.h"

struct floor;

struct floor *floor_open(uint32_t entries);
void floor_close(struct floor *floor);

/* lines: 2 or 3. */
void floor_contestant(struct floor *floor, unsigned int lines, struct contestant *contestant);

#endif
