/* SPDX-License-Identifier: BSD-2-Clause */
/* theirs.c - look-ups in another table. See theirs.h. Keys are made outside the timed part. */
#include "theirs.h"

#include "keys.h"

#define KEY_ROOM (KEY_V6 > KEY_V4 ? KEY_V6 : KEY_V4)

struct theirs {
	struct scene *scene;
	const struct table_kind *kind;
	void *table;
	uint8_t key[BENCH_CHUNK][KEY_ROOM] __attribute__((aligned(64)));
	uint64_t found;
	uint64_t seen;
};

static void key_of(uint8_t *key, uint32_t entry, unsigned int v6)
{
	struct fo_flow flow;

	key_flow(&flow, entry / 2, (int)v6);
	key_bytes(key, &flow.tuple[entry & 1]);
}

static int add(struct theirs *theirs, uint32_t entry)
{
	uint8_t key[KEY_ROOM] __attribute__((aligned(16)));

	key_of(key, entry, theirs->scene->v6);
	return theirs->kind->add(theirs->table, key) ? -1 : 0;
}

struct theirs *theirs_open(struct scene *scene, const struct table_kind *kind, uint32_t places)
{
	struct table_room room = {scene->entries, places, scene->v6 ? KEY_V6 : KEY_V4};
	struct theirs *theirs = bench_memory(sizeof(*theirs));

	theirs->scene = scene;
	theirs->kind = kind;
	theirs->table = kind->open(&room);
	if (!theirs->table)
		bench_fail("no memory for %u entries of %s", places, kind->name);
	for (uint32_t entry = 0; entry < scene->entries; entry++)
		if (add(theirs, entry)) {
			theirs_close(theirs);
			return NULL;
		}
	return theirs;
}

void theirs_close(struct theirs *theirs)
{
	theirs->kind->close(theirs->table);
	bench_memory_free(theirs, sizeof(*theirs));
}

int theirs_replace(struct theirs *theirs, uint32_t old, uint32_t new_one)
{
	uint8_t key[KEY_ROOM] __attribute__((aligned(16)));

	for (uint32_t dir = 0; dir < 2; dir++) {
		key_of(key, 2 * old + dir, theirs->scene->v6);
		if (theirs->kind->del(theirs->table, key))
			bench_fail("%s does not delete connection %u", theirs->kind->name, old);
	}
	for (uint32_t dir = 0; dir < 2; dir++)
		if (add(theirs, 2 * new_one + dir))
			return -1;
	return 0;
}

static void make_keys(struct theirs *theirs)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++)
		key_of(theirs->key[i], theirs->scene->wanted[i], theirs->scene->v6);
}

static void prepare(void *ctx)
{
	struct theirs *theirs = ctx;

	scene_draw(theirs->scene);
	make_keys(theirs);
}

static void run(void *ctx)
{
	struct theirs *theirs = ctx;
	const void *keys[BENCH_BURST];
	struct table_burst burst = {keys, BENCH_BURST, 0, theirs->scene->translate, 0};

	for (unsigned int begin = 0; begin < BENCH_CHUNK; begin += BENCH_BURST) {
		for (unsigned int i = 0; i < BENCH_BURST; i++)
			keys[i] = theirs->key[begin + i];
		burst.now_ms = (uint32_t)theirs->found;
		theirs->found += theirs->kind->touch(theirs->table, &burst);
	}
	theirs->seen += burst.seen;
}

static double round_of(void *ctx)
{
	return bench_chunks(prepare, run, ctx);
}

static void warm_up(void *ctx)
{
	const struct theirs *theirs = ctx;

	for (uint64_t done = 0; done < 2 * (uint64_t)theirs->scene->entries; done += BENCH_CHUNK) {
		prepare(ctx);
		run(ctx);
	}
}

void theirs_contestant(struct theirs *theirs, struct contestant *contestant)
{
	*contestant = (struct contestant){theirs->kind->name, round_of, warm_up, theirs, NULL};
}

static void verify_chunk(struct theirs *theirs, uint32_t n)
{
	uint32_t before[BENCH_CHUNK];
	uint64_t found = theirs->found;

	for (uint32_t i = 0; i < n; i++) {
		const struct touched *record = theirs->kind->find(theirs->table, theirs->key[i]);

		if ((record == NULL) != (theirs->scene->missing != 0))
			bench_fail("%s and entry %u", theirs->kind->name, theirs->scene->wanted[i]);
		before[i] = record ? record->packets : 0;
	}
	run(theirs);
	if (theirs->found - found != (theirs->scene->missing ? 0 : BENCH_CHUNK))
		bench_fail("%s: %u found", theirs->kind->name, (unsigned int)(theirs->found - found));
	for (uint32_t i = 0; !theirs->scene->missing && i < n; i++) {
		uint32_t more = i + 1 == n ? BENCH_CHUNK - n + 1 : 1;

		if (theirs->kind->find(theirs->table, theirs->key[i])->packets != before[i] + more)
			bench_fail("%s: entry %u is another's", theirs->kind->name, theirs->scene->wanted[i]);
	}
}

void theirs_verify(struct theirs *theirs)
{
	for (uint32_t begin = 0; begin < theirs->scene->entries; begin += BENCH_CHUNK) {
		uint32_t n = scene_walk(theirs->scene, begin);

		make_keys(theirs);
		verify_chunk(theirs, n);
	}
}

double theirs_bytes(const struct theirs *theirs)
{
	return (double)theirs->kind->bytes(theirs->table) / theirs->scene->entries;
}
