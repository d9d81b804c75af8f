/* SPDX-License-Identifier: BSD-2-Clause */
/* test_index.c - the index against a plain array after every step, under hashes good and bad; its hints, its order
 * after churn, migration. Hashes are given, not drawn: every run takes the same path.
 *
 * Neighbours: test_model.c does the same with whole connections.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "flowtable/index.h"
#include "store_fixture.h"
#include "unit.h"

#define DIRS 8192u

/* How keys are hashed: to anywhere, to two homes of all, to one place. */
enum spread { GOOD, CROWDED, CONSTANT };

struct ctx {
	enum spread spread;
	uint64_t salt; /* the secret */
};

struct world {
	struct fo__memory memory;
	struct ctx ctx[2]; /* of index[0] and index[1] */
	struct fo__index *index[2];
	uint8_t present[DIRS];
	uint32_t entries;
};

static uint64_t hash_of(const struct ctx *ctx, uint32_t dir)
{
	struct draw draw = {.state = ctx->salt + dir};
	uint64_t hash = draw_next(&draw);

	if (ctx->spread == CONSTANT)
		return UINT64_C(0x123456789abcdef0);
	if (ctx->spread == CROWDED)
		return (hash & 0xffffffff) | (hash & 1 ? UINT64_C(0x10) << 56 : UINT64_C(0xf0) << 56);
	return hash;
}

static uint64_t rehash(void *ctx, const struct fo__secret *secret, uint32_t dir)
{
	(void)secret;
	return hash_of(ctx, dir);
}

static struct fo__index *world_index(struct world *world, unsigned int which, uint32_t buckets,
				     enum spread spread)
{
	world->ctx[which] = (struct ctx){spread, 1000000u * (which + 1)};
	world->index[which] =
		fo__index_create(&world->memory, buckets, FO__HASH_FAST, rehash, &world->ctx[which]);
	ck_assert_ptr_nonnull(world->index[which]);
	return world->index[which];
}

static void world_close(struct world *world)
{
	fo__index_destroy(&world->memory, world->index[0]);
	fo__index_destroy(&world->memory, world->index[1]);
	ck_assert_uint_eq(world->memory.bytes, 0);
	free(world);
}

static struct world *world_open(uint32_t buckets, enum spread spread)
{
	struct world *world = calloc(1, sizeof(*world));

	ck_assert_ptr_nonnull(world);
	(void)world_index(world, 0, buckets, spread);
	return world;
}

static unsigned int times_found(const struct fo__index *index, uint64_t hash, uint32_t dir)
{
	unsigned int at = 0, times = 0;
	uint32_t hit;

	while ((hit = fo__index_next(index, hash, &at)) != FO__NO_DIR)
		times += hit == dir;
	return times;
}

/* As a reader looks: home, and the second bucket only where the hint says so. */
static int reader_finds(const struct fo__index *index, uint64_t hash, uint32_t dir)
{
	uint32_t number[2] = {fo__index_home(index->count, hash), fo__index_second(index->count, hash)};
	const struct fo__bucket *bucket = &index->buckets[number[0]];

	for (unsigned int which = 0; which < 2; bucket = &index->buckets[number[1]], which++) {
		for (unsigned int i = 0; i < FO__BUCKET_SLOTS; i++)
			if (bucket->tag[i] == fo__index_tag(hash) && bucket->dir[i] == dir)
				return 1;
		if (!(bucket->meta & fo__index_hint(hash)))
			return 0;
	}
	return 0;
}

/* What lies in the buckets, counted anew. */
struct census {
	uint32_t entries;
	uint32_t foreign;
	uint32_t away[DIRS];  /* by home bucket: entries elsewhere */
	uint32_t hints[DIRS]; /* ... and the hints they need */
};

static void take_census(const struct fo__index *index, const struct ctx *ctx, struct census *census)
{
	memset(census, 0, sizeof(*census));
	for (uint32_t b = 0; b < index->count; b++)
		for (unsigned int i = 0; i < FO__BUCKET_SLOTS; i++) {
			const struct fo__bucket *bucket = &index->buckets[b];
			uint64_t hash = hash_of(ctx, bucket->dir[i]);
			uint32_t home = fo__index_home(index->count, hash);
			int foreign = home != b;

			if (!bucket->tag[i]) {
				HOLDS(!(bucket->meta & FO__META_FOREIGN(i)));
				continue;
			}
			census->entries++;
			HOLDS(bucket->tag[i] == fo__index_tag(hash));
			HOLDS(b == home || b == fo__index_second(index->count, hash));
			HOLDS(foreign == ((bucket->meta & FO__META_FOREIGN(i)) != 0));
			census->foreign += (uint32_t)foreign;
			census->away[home] += (uint32_t)foreign;
			census->hints[home] |= foreign ? fo__index_hint(hash) : 0;
		}
}

static void check_meta(const struct fo__index *index, const struct ctx *ctx)
{
	static struct census census;

	take_census(index, ctx, &census);
	ck_assert_uint_eq(census.entries, index->entries);
	for (uint32_t b = 0; b < index->count; b++) {
		uint32_t meta = index->buckets[b].meta, away = (meta & FO__META_AWAY_ALL) / FO__META_AWAY_ONE;

		/* every displaced entry is hinted at; without any, no hint stays; a full count stays full */
		HOLDS(!(census.hints[b] & ~(meta & FO__META_HINTS)));
		if (away != 63) {
			HOLDS(away == census.away[b]);
			HOLDS(away || !(meta & FO__META_HINTS));
		}
	}
}

static void check_all(const struct world *world, uint32_t dirs)
{
	for (uint32_t dir = 0; dir < dirs; dir++) {
		unsigned int times = 0;
		int seen = 0;

		for (unsigned int which = 0; which < 2 && world->index[which]; which++) {
			uint64_t hash = hash_of(&world->ctx[which], dir);

			times += times_found(world->index[which], hash, dir);
			seen += reader_finds(world->index[which], hash, dir);
		}
		HOLDS(times == world->present[dir]);
		HOLDS(seen == world->present[dir]);
	}
	for (unsigned int which = 0; which < 2 && world->index[which]; which++)
		check_meta(world->index[which], &world->ctx[which]);
}

static int toggle(struct world *world, unsigned int which, uint32_t dir)
{
	uint64_t hash = hash_of(&world->ctx[which], dir);
	int err = world->present[dir] ? fo__index_remove(world->index[which], hash, dir)
				      : fo__index_insert(world->index[which], hash, dir);

	if (!err) {
		world->entries += world->present[dir] ? UINT32_MAX : 1;
		world->present[dir] ^= 1;
	}
	HOLDS(world->index[which]->entries == world->entries);
	return err;
}

/* ---- tests ---- */

START_TEST(agrees_with_a_plain_array_after_each_step)
{
	static const uint32_t keys[] = {[GOOD] = 90, [CROWDED] = 110, [CONSTANT] = 30};
	struct world *world = world_open(12, (enum spread)_i);
	struct draw draw = {.state = 3};
	unsigned int refused = 0;

	for (unsigned int step = 0; step < 6000; step++) {
		uint32_t dir = draw_below(&draw, keys[_i]);
		int was = world->present[dir];

		if (draw_below(&draw, 4) == 0)
			fo__index_tidy(world->index[0], draw_below(&draw, 14));
		else if (toggle(world, 0, dir)) {
			ck_assert(!was);
			refused++;
		}
		check_all(world, keys[_i]);
	}
	ck_assert(_i != CONSTANT || refused);
	ck_assert_uint_gt(world->index[0]->moves, 0);
	world_close(world);
}
END_TEST

START_TEST(constant_hash_takes_twenty_and_refuses_the_next)
{
	struct world *world = world_open(64, CONSTANT);

	for (uint32_t dir = 0; dir < 2 * FO__BUCKET_SLOTS; dir++)
		HOLDS(!toggle(world, 0, dir));
	ck_assert_int_eq(toggle(world, 0, 20), -ENOSPC);
	check_all(world, 22);
	HOLDS(!toggle(world, 0, 7)); /* removed: its place is free again */
	HOLDS(!toggle(world, 0, 20));
	ck_assert_int_eq(toggle(world, 0, 21), -ENOSPC);
	check_all(world, 22);
	world_close(world);
}
END_TEST

START_TEST(removing_what_is_not_there_changes_nothing)
{
	struct world *world = world_open(16, GOOD);

	for (uint32_t dir = 0; dir < 40; dir++)
		HOLDS(!toggle(world, 0, dir));
	for (uint32_t dir = 40; dir < 80; dir++)
		ck_assert_int_eq(fo__index_remove(world->index[0], hash_of(&world->ctx[0], dir), dir),
				 -ENOENT);
	check_all(world, 80);
	world_close(world);
}
END_TEST

/* Filled to the load at which it grows, without a refusal. */
static struct world *world_full(uint32_t buckets, uint32_t *n)
{
	struct world *world = world_open(buckets, GOOD);

	for (*n = 0; *n < buckets * 7; ++*n)
		HOLDS(!toggle(world, 0, *n));
	return world;
}

static void replace_all(struct world *world, uint32_t n, uint32_t from, unsigned int tidy)
{
	for (uint32_t i = 0; i < n; i++) {
		HOLDS(!toggle(world, 0, (from + i) % DIRS));
		fo__index_tidy(world->index[0], tidy);
		HOLDS(!toggle(world, 0, (from + n + i) % DIRS));
		fo__index_tidy(world->index[0], tidy);
	}
}

static uint32_t foreign_of(const struct world *world)
{
	static struct census census;

	take_census(world->index[0], &world->ctx[0], &census);
	return census.foreign;
}

/* Keys that are not there whose look-up reads the second bucket as well. */
static uint32_t misled(const struct fo__index *index)
{
	struct draw draw = {.state = 17};
	uint32_t count = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t hash = draw_next(&draw);

		count +=
			(index->buckets[fo__index_home(index->count, hash)].meta & fo__index_hint(hash)) != 0;
	}
	return count;
}

START_TEST(tidying_keeps_the_second_buckets_as_empty_as_in_a_fresh_index)
{
	uint32_t n, foreign[2], hints[2];
	struct world *world = world_full(512, &n);

	foreign[0] = foreign_of(world);
	hints[0] = misled(world->index[0]);
	for (unsigned int round = 0; round < 8; round++)
		replace_all(world, n, round * n, 2);
	foreign[1] = foreign_of(world);
	hints[1] = misled(world->index[0]);
	ck_assert_msg(foreign[1] <= foreign[0] + foreign[0] / 4 + n / 100, "%u entries away, fresh %u of %u",
		      foreign[1], foreign[0], n);
	ck_assert_msg(hints[1] <= hints[0] + hints[0] / 4 + 100, "%u misses misled, fresh %u", hints[1],
		      hints[0]);
	check_meta(world->index[0], &world->ctx[0]);
	world_close(world);
}
END_TEST

/* The same without tidying is worse: the test above can fail. */
START_TEST(without_tidying_the_hints_decay)
{
	uint32_t n, hints;
	struct world *world = world_full(512, &n);

	hints = misled(world->index[0]);
	for (unsigned int round = 0; round < 8; round++)
		replace_all(world, n, round * n, 0);
	ck_assert_uint_gt(misled(world->index[0]), hints + hints / 4 + 100);
	world_close(world);
}
END_TEST

static void check_migration(uint32_t from, uint32_t to, uint32_t n, enum spread spread)
{
	struct world *world = world_open(from, spread);
	unsigned int steps = 0;

	for (uint32_t dir = 0; dir < n; dir++)
		HOLDS(!toggle(world, 0, dir));
	world->index[0]->cursor = 0;
	(void)world_index(world, 1, to, spread);
	while (!fo__index_migrate(world->index[0], world->index[1], 32)) {
		check_all(world, n + 10);
		ck_assert_uint_le(++steps, from);
	}
	check_all(world, n + 10);
	ck_assert_uint_eq(world->index[0]->entries, 0);
	ck_assert_uint_eq(world->index[1]->entries, n);
	world_close(world);
}

START_TEST(migration_loses_and_doubles_nothing_at_any_step)
{
	check_migration(128, 256, 128 * 7, GOOD);
	check_migration(128, 128, 128 * 7, GOOD);
	check_migration(128, 128, 20, CONSTANT);
	check_migration(2, 4, 14, GOOD);
}
END_TEST

/* Keys come and go while others move; a key is in one of the two. */
START_TEST(changes_during_migration_end_in_the_right_index)
{
	struct world *world = world_open(96, GOOD);
	struct draw draw = {.state = 8};

	for (uint32_t dir = 0; dir < 600; dir++)
		HOLDS(!toggle(world, 0, dir));
	world->index[0]->cursor = 0;
	(void)world_index(world, 1, 192, GOOD);
	while (!fo__index_migrate(world->index[0], world->index[1], 1)) {
		uint32_t dir = draw_below(&draw, 900);
		uint64_t old = hash_of(&world->ctx[0], dir), new = hash_of(&world->ctx[1], dir);

		if (world->present[dir])
			ck_assert(!fo__index_remove(world->index[0], old, dir) ||
				  !fo__index_remove(world->index[1], new, dir));
		else
			ck_assert_int_eq(fo__index_insert(world->index[1], new, dir), 0);
		world->present[dir] ^= 1;
		check_all(world, 900);
	}
	check_all(world, 900);
	world_close(world);
}
END_TEST

/* However full the other index is, one call looks at little more than it was told. */
START_TEST(a_step_of_migration_is_bounded)
{
	struct world *world = world_open(256, GOOD);
	uint32_t before, most = 0;

	for (uint32_t dir = 0; dir < 256 * 9; dir++)
		(void)toggle(world, 0, dir);
	world->index[0]->cursor = 0;
	(void)world_index(world, 1, 256, GOOD);
	do {
		uint32_t lines;

		before = world->index[1]->touched;
		if (fo__index_migrate(world->index[0], world->index[1], 64))
			break;
		lines = world->index[1]->touched - before;
		most = lines > most ? lines : most;
	} while (world->index[1]->touched != before);
	ck_assert_uint_ge(most, 64);
	ck_assert_uint_le(most, 200);
	check_all(world, 256 * 9);
	world_close(world);
}
END_TEST

/* A migration that finds no room leaves the rest where it is, everything still found, and goes on when there is
 * room. */
START_TEST(migration_without_room_waits_for_it)
{
	struct world *world = world_open(8, CONSTANT);

	for (uint32_t dir = 0; dir < 12; dir++)
		HOLDS(!toggle(world, 0, dir));
	world->index[0]->cursor = 0;
	(void)world_index(world, 1, 8, CONSTANT);
	for (uint32_t dir = 12; dir < 24; dir++) {
		ck_assert_int_eq(fo__index_insert(world->index[1], hash_of(&world->ctx[1], dir), dir), 0);
		world->present[dir] = 1;
	}
	ck_assert(!fo__index_migrate(world->index[0], world->index[1], 100));
	check_all(world, 30);
	for (uint32_t dir = 12; dir < 24; dir++) {
		ck_assert_int_eq(fo__index_remove(world->index[1], hash_of(&world->ctx[1], dir), dir), 0);
		world->present[dir] = 0;
	}
	ck_assert(fo__index_migrate(world->index[0], world->index[1], 100));
	check_all(world, 30);
	world_close(world);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("index");
	TCase *cases = tcase_create("index");

	tcase_add_loop_test(cases, agrees_with_a_plain_array_after_each_step, GOOD, CONSTANT + 1);
	tcase_add_test(cases, constant_hash_takes_twenty_and_refuses_the_next);
	tcase_add_test(cases, removing_what_is_not_there_changes_nothing);
	tcase_add_test(cases, tidying_keeps_the_second_buckets_as_empty_as_in_a_fresh_index);
	tcase_add_test(cases, without_tidying_the_hints_decay);
	tcase_add_test(cases, migration_loses_and_doubles_nothing_at_any_step);
	tcase_add_test(cases, a_step_of_migration_is_bounded);
	tcase_add_test(cases, changes_during_migration_end_in_the_right_index);
	tcase_add_test(cases, migration_without_room_waits_for_it);
	suite_add_tcase(suite, cases);
	return suite;
}
