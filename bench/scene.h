/* SPDX-License-Identifier: BSD-2-Clause */
/* scene.h - what the contestants of lookup.c have in common: which connections there are and which entry is drawn next.
 * Entry 2n + d is direction d of connection n (keys.h). Used by ours.h and theirs.h.
 */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include "bench.h"

struct scene {
	uint32_t entries;	/* directions, two a connection */
	uint32_t first_living;	/* connections first_living .. first_living + entries / 2 - 1 are there */
	unsigned int v6;	/* which family they are of */
	unsigned int missing;	/* ask for connections that are not there */
	unsigned int translate; /* a hit also reads the new addresses and ports of NAT66 */
	unsigned int skewed;	/* some entries are drawn more often than others (zipf.h) */
	struct zipf *zipf;
	struct bench_draw order;
	uint32_t wanted[BENCH_CHUNK]; /* the chunk at hand, by entry */
};

/* Connections that are not there have later numbers. */
static inline uint32_t scene_number(const struct scene *scene, uint32_t entry)
{
	return 2 * scene->first_living + entry + (scene->missing ? scene->entries : 0);
}

/* Draw the chunk at hand. */
void scene_draw(struct scene *scene);

/* The first entries from begin on instead; how many of the chunk are new ones (the rest repeat the last). */
uint32_t scene_walk(struct scene *scene, uint32_t begin);

#endif
