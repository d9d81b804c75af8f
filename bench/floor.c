/* SPDX-License-Identifier: BSD-2-Clause */
/* floor.c - dependent cache lines at random places. See floor.h. */
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
	uint32_t (*between)[16]; /* a line an entry: the record's number */
	struct record *records;
	uint32_t buckets;
	uint32_t entries;
	struct bench_draw order;
	uint32_t at[BENCH_CHUNK];
};

struct floor *floor_open(uint32_t entries)
{
	struct bench_draw draw = {.state = 1};
	struct floor *floor = bench_memory(sizeof(*floor));

	floor->entries = entries;
	floor->buckets = entries / LOAD + 1;
	floor->bucket = bench_memory((size_t)floor->buckets * LINE);
	floor->between = bench_memory((size_t)entries * LINE);
	floor->records = bench_memory((size_t)entries * LINE);
	for (uint32_t i = 0; i < floor->buckets; i++)
		for (unsigned int word = 0; word < 16; word++)
			floor->bucket[i][word] = bench_below(&draw, entries);
	for (uint32_t i = 0; i < entries; i++)
		floor->between[i][0] = bench_below(&draw, entries);
	return floor;
}

void floor_close(struct floor *floor)
{
	bench_memory_free(floor->bucket, (size_t)floor->buckets * LINE);
	bench_memory_free(floor->between, (size_t)floor->entries * LINE);
	bench_memory_free(floor->records, (size_t)floor->entries * LINE);
	bench_memory_free(floor, sizeof(*floor));
}

static void draw(void *ctx)
{
	struct floor *floor = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++)
		floor->at[i] = bench_below(&floor->order, floor->buckets);
}

static inline void touch_burst(struct floor *floor, const uint32_t *bucket, int three)
{
	uint32_t at[BENCH_BURST];

	for (unsigned int i = 0; i < BENCH_BURST; i++)
		__builtin_prefetch(floor->bucket[bucket[i]], 0, 3);
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		at[i] = floor->bucket[bucket[i]][i % 16];
		if (three)
			__builtin_prefetch(floor->between[at[i]], 0, 3);
		else
			__builtin_prefetch(&floor->records[at[i]], 1, 3);
	}
	for (unsigned int i = 0; three && i < BENCH_BURST; i++) {
		at[i] = floor->between[at[i]][0];
		__builtin_prefetch(&floor->records[at[i]], 1, 3);
	}
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		floor->records[at[i]].bytes += LINE;
		floor->records[at[i]].packets++;
	}
}

static void run_two(void *ctx)
{
	struct floor *floor = ctx;

	for (unsigned int begin = 0; begin < BENCH_CHUNK; begin += BENCH_BURST)
		touch_burst(floor, floor->at + begin, 0);
}

static void run_three(void *ctx)
{
	struct floor *floor = ctx;

	for (unsigned int begin = 0; begin < BENCH_CHUNK; begin += BENCH_BURST)
		touch_burst(floor, floor->at + begin, 1);
}

static double round_two(void *ctx)
{
	return bench_chunks(draw, run_two, ctx);
}

static double round_three(void *ctx)
{
	return bench_chunks(draw, run_three, ctx);
}

/* With three lines all that two touch is touched as well. */
static void warm_up(void *ctx)
{
	const struct floor *floor = ctx;

	for (uint64_t done = 0; done < 2 * (uint64_t)floor->entries; done += BENCH_CHUNK) {
		draw(ctx);
		run_three(ctx);
	}
}

void floor_contestant(struct floor *floor, unsigned int lines, struct contestant *contestant)
{
	*contestant = lines == 2 ? (struct contestant){"floor-2-lines", round_two, warm_up, floor, NULL}
				 : (struct contestant){"floor-3-lines", round_three, warm_up, floor, NULL};
}
