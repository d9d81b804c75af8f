/* SPDX-License-Identifier: BSD-2-Clause */
/* floor.c - two dependent cache lines at random places. See floor.h. */
#include "floor.h"

#define LINE 64u
/* Entries a bucket at the library's load. */
#define LOAD 7u

struct record {
	uint64_t bytes;
	uint32_t packets;
	uint32_t rest[13];
};

struct floor {
	uint32_t (*bucket)[16];
	struct record *records;
	uint32_t buckets;
	uint32_t entries;
	uint32_t at[BENCH_CHUNK];
};

struct floor *floor_open(uint32_t entries)
{
	struct bench_draw draw = {.state = 1};
	struct floor *floor = bench_memory(sizeof(*floor));

	floor->entries = entries;
	floor->buckets = entries / LOAD + 1;
	floor->bucket = bench_memory((size_t)floor->buckets * LINE);
	floor->records = bench_memory((size_t)entries * LINE);
	for (uint32_t i = 0; i < floor->buckets; i++)
		for (unsigned int word = 0; word < 16; word++)
			floor->bucket[i][word] = bench_below(&draw, entries);
	return floor;
}

void floor_close(struct floor *floor)
{
	bench_memory_free(floor->bucket, (size_t)floor->buckets * LINE);
	bench_memory_free(floor->records, (size_t)floor->entries * LINE);
	bench_memory_free(floor, sizeof(*floor));
}

void floor_draw(struct floor *floor, struct bench_draw *draw)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++)
		floor->at[i] = bench_below(draw, floor->buckets);
}

void floor_run(void *ctx)
{
	struct floor *floor = ctx;
	uint32_t at[BENCH_BURST];

	for (unsigned int begin = 0; begin < BENCH_CHUNK; begin += BENCH_BURST) {
		for (unsigned int i = 0; i < BENCH_BURST; i++)
			__builtin_prefetch(floor->bucket[floor->at[begin + i]], 0, 3);
		for (unsigned int i = 0; i < BENCH_BURST; i++) {
			at[i] = floor->bucket[floor->at[begin + i]][i % 16];
			__builtin_prefetch(&floor->records[at[i]], 1, 3);
		}
		for (unsigned int i = 0; i < BENCH_BURST; i++) {
			floor->records[at[i]].bytes += LINE;
			floor->records[at[i]].packets++;
		}
	}
}
