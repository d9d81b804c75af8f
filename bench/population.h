/* SPDX-License-Identifier: BSD-2-Clause */
/* population.h - which connections are in a table that has been in use: a place for each, and after the first have come,
 * eight replacements a place on the average, at places drawn.
 *
 * A table that never churned flatters itself, so every contestant goes through the same history. A position is a place
 * and a direction, place * 2 + direction. library.h and rival.h fill tables by it, traffic.h takes packets from it.
 */
#ifndef BENCH_POPULATION_H
#define BENCH_POPULATION_H

#include "bench.h"
#include "frames.h"

#define POPULATION_REPLACED 8u
/* Connections from this number on are never in a table. */
#define POPULATION_ABSENT 1000000000u

struct population {
	struct net net;
	uint32_t connections;
	uint32_t *number; /* by place: which connection is there */
	struct bench_draw draw;
};

void population_open(struct population *population, const struct net *net, uint32_t connections);
void population_close(struct population *population);

/* Begin the history: connection n is at place n. */
void population_begin(struct population *population);

/* A replacement: draws the place; the number that leaves is returned, the one that comes is at the place. */
uint32_t population_replace(struct population *population, uint32_t *place);

/* How many replacements make the history. */
uint64_t population_replacements(const struct population *population);

#endif
