/* SPDX-License-Identifier: BSD-2-Clause */
/* test_model.c - the store against a plain array: connections of both families added, ended and searched while the
 * index grows, rotates and is tidied; after each step every key is where the array says, and nowhere else.
 *
 * Neighbours: test_index.c for the index alone, test_store.c for the life of a slot.
 */
#include <check.h>
#include <errno.h>

#include "store_fixture.h"
#include "unit.h"

#define NUMBERS 12000u

struct model {
	struct store store;
	uint32_t conn[NUMBERS]; /* slot + 1 of connection n; 0: not there */
	uint32_t living;
};

static struct model model;

static void check_one(uint32_t n)
{
	if (model.conn[n])
		store_check_present(&model.store, n, model.conn[n] - 1);
	else
		store_check_absent(&model.store, n);
}

static void check_all(uint32_t numbers)
{
	for (uint32_t n = 0; n < numbers; n++)
		check_one(n);
	HOLDS(fo__index_entries(model.store.table) == 2 * model.living);
	HOLDS(model.store.table->living == model.living);
}

static int add(uint32_t n)
{
	uint32_t conn;
	int err = store_add(&model.store, n, 1, &conn);

	if (err)
		return err;
	model.conn[n] = conn + 1;
	model.living++;
	return 0;
}

static void end(uint32_t n)
{
	store_end(&model.store, model.conn[n] - 1);
	model.conn[n] = 0;
	model.living--;
}

static void run_steps(uint32_t numbers, unsigned int steps)
{
	struct draw draw = {.state = 21};
	uint32_t rotations = model.store.table->rotations;

	for (unsigned int step = 0; step < steps; step++) {
		uint32_t n = draw_below(&draw, numbers);

		if (step % 500 == 0)
			fo__rotate(model.store.table);
		else if (step % 7 == 0)
			(void)fo__reclaim(model.store.table);
		else if (model.conn[n])
			end(n);
		else
			HOLDS(!add(n));
		fo__upkeep(model.store.table);
		check_all(numbers);
	}
	ck_assert_uint_gt(model.store.table->rotations, rotations);
}

START_TEST(every_key_is_where_the_array_says_after_each_step)
{
	static const uint32_t kind[] = {FO__HASH_FAST, FO__HASH_SIPHASH};

	store_open(&model.store, 400, 1, kind[_i]);
	run_steps(400, 2500);
	fo__store_close(model.store.table);
}
END_TEST

/* Twenty directions fit under a constant hash; the eleventh connection is refused and leaves nothing behind. */
START_TEST(constant_hash_holds_ten_connections)
{
	struct draw draw = {.state = 4};
	unsigned int refused = 0;

	store_open(&model.store, 400, 1, FO__HASH_CONSTANT);
	for (unsigned int step = 0; step < 3000; step++) {
		uint32_t n = draw_below(&draw, 16);

		if (model.conn[n]) {
			end(n);
		} else if (model.living == FO__BUCKET_SLOTS) {
			HOLDS(add(n) == -ENOSPC);
			HOLDS(fo__upkeep_pending(model.store.table));
			refused++;
		} else {
			HOLDS(!add(n));
		}
		(void)fo__reclaim(model.store.table);
		check_all(16);
	}
	ck_assert_uint_gt(refused, 0);
	fo__store_close(model.store.table);
}
END_TEST

/* What a caller asks for may be any protocol; 128 and up must not be taken for the mark of IPv6. */
START_TEST(a_key_of_a_protocol_never_offloaded_finds_nothing)
{
	struct store store;
	struct fo__search search;
	struct fo_flow flow;
	uint32_t conn;

	store_open(&store, 8, 0, FO__HASH_FAST);
	for (uint32_t n = 0; n < 2; n++) {
		ck_assert_int_eq(store_add(&store, n, 0, &conn), 0);
		flow = numbered_flow(n);
		for (unsigned int proto = 0; proto < 256; proto++) {
			int same = proto == numbered_flow(n).tuple[0].proto;

			flow.tuple[0].proto = (uint8_t)proto;
			fo__search_begin(store.table, &search, &flow.tuple[0], flow.scope);
			HOLDS((fo__search_next(store.table, &search) == conn * 2) == same);
		}
	}
	fo__store_close(store.table);
}
END_TEST

static int migrating(void)
{
	return fo__load_relaxed(&model.store.table->next) != NULL;
}

/* What is being moved to is crowded: new keys use the room that the old index has, all are found, and the migration
 * ends when there is room for the rest. */
START_TEST(a_crowded_migration_uses_both_indexes)
{
	uint32_t n = 0;

	memset(&model, 0, sizeof(model));
	store_open(&model.store, 400, 1, FO__HASH_CONSTANT);
	for (; n < FO__BUCKET_SLOTS; n++)
		HOLDS(!add(n));
	fo__rotate(model.store.table);
	fo__upkeep(model.store.table);
	HOLDS(migrating());
	for (; n < FO__BUCKET_SLOTS * 3 / 2; n++)
		HOLDS(!add(n));
	fo__upkeep(model.store.table); /* fills up the new one */
	HOLDS(migrating());
	for (; n < FO__BUCKET_SLOTS * 2; n++)
		HOLDS(!add(n));
	check_all(n + 5);
	HOLDS(add(n) == -ENOSPC);
	for (unsigned int i = 0; i < 10; i++)
		fo__upkeep(model.store.table);
	HOLDS(migrating());
	check_all(n + 5);
	while (model.living > FO__BUCKET_SLOTS) {
		end(--n);
		fo__upkeep(model.store.table);
		check_all(n + 5);
	}
	for (unsigned int i = 0; migrating() && i < 10; i++)
		fo__upkeep(model.store.table);
	HOLDS(!migrating());
	check_all(n + 5);
	fo__store_close(model.store.table);
}
END_TEST

START_TEST(growth_keeps_every_key_at_each_of_its_steps)
{
	uint32_t buckets, migrations = 0;
	int before = 0;

	store_open(&model.store, NUMBERS, 1, FO__HASH_FAST);
	buckets = fo__load_relaxed(&model.store.table->cur)->count;
	for (uint32_t n = 0; n < NUMBERS; n++) {
		HOLDS(!add(n));
		fo__upkeep(model.store.table);
		if (migrating() != before) {
			before = !before;
			migrations += (uint32_t)before;
			check_all(n + 100 < NUMBERS ? n + 100 : NUMBERS);
		} else if (before && n % 16 == 0) {
			check_all(n + 100 < NUMBERS ? n + 100 : NUMBERS);
		}
	}
	while (migrating())
		fo__upkeep(model.store.table);
	check_all(NUMBERS);
	ck_assert_uint_ge(migrations, 2);
	ck_assert_uint_eq(fo__load_relaxed(&model.store.table->cur)->count, model.store.table->max_buckets);
	ck_assert_uint_gt(model.store.table->max_buckets, buckets);
	ck_assert_uint_eq(model.store.table->rotations, 0); /* growth is not a rotation */
	fo__store_close(model.store.table);
}
END_TEST

/* A full store: every slot replaced under a rotation that never rests. */
START_TEST(replacing_all_while_rotating_keeps_every_key)
{
	struct draw draw = {.state = 30};
	const uint32_t room = 3000;

	store_open(&model.store, room, 1, FO__HASH_FAST);
	for (uint32_t n = 0; n < room; n++) {
		HOLDS(!add(n));
		fo__upkeep(model.store.table);
	}
	for (uint32_t step = 0; step < 3 * room; step++) {
		uint32_t old = draw_below(&draw, 2 * room), new = draw_below(&draw, 2 * room);

		fo__rotate(model.store.table);
		if (model.conn[old] && !model.conn[new]) {
			end(old);
			fo__upkeep(model.store.table);
			HOLDS(!add(new));
			check_one(old);
			check_one(new);
		}
		fo__upkeep(model.store.table);
		if (step % 64 == 0)
			check_all(2 * room);
	}
	check_all(2 * room);
	ck_assert_uint_gt(model.store.table->rotations, 2);
	fo__store_close(model.store.table);
}
END_TEST

/* Keys that share a tuple but not the scope are two connections. */
START_TEST(scopes_keep_equal_tuples_apart)
{
	struct fo_flow flow = numbered_flow(0);
	uint32_t conn[2], hit;

	store_open(&model.store, 16, 1, FO__HASH_FAST);
	for (uint16_t scope = 0; scope < 2; scope++) {
		struct fo__conn_spec spec = {.flow = &flow,
					     .in = {model.store.side[0][scope], model.store.side[1][scope]}};

		ck_assert_int_eq(fo__conn_prepare(model.store.table, &spec, &conn[scope]), 0);
		ck_assert_int_eq(fo__conn_publish(model.store.table, conn[scope]), 0);
	}
	for (uint16_t scope = 0; scope < 3; scope++) {
		struct fo__search search;

		fo__search_begin(model.store.table, &search, &flow.tuple[1], scope);
		hit = fo__search_next(model.store.table, &search);
		ck_assert_uint_eq(hit, scope < 2 ? conn[scope] * 2 + 1 : FO__NO_DIR);
		ck_assert(hit == FO__NO_DIR || fo__conn_scope(model.store.table, hit / 2) == scope);
		ck_assert_uint_eq(fo__search_next(model.store.table, &search), FO__NO_DIR);
	}
	fo__store_close(model.store.table);
}
END_TEST

/* The store tells keys apart by each part of the tuple. */
START_TEST(each_part_of_a_tuple_is_part_of_the_key)
{
	struct fo_flow flow = numbered_flow((uint32_t)_i);
	struct fo__search search;
	uint32_t conn;

	store_open(&model.store, 16, 1, FO__HASH_CONSTANT);
	ck_assert_int_eq(store_add(&model.store, (uint32_t)_i, 1, &conn), 0);
	for (unsigned int byte = 0; byte < 38; byte++) {
		struct fo_tuple other = flow.tuple[0];

		if (_i % 2 == 0 && ((byte >= 4 && byte < 16) || (byte >= 20 && byte < 32)))
			continue; /* zero for IPv4, which the caller has checked */
		if (byte == offsetof(struct fo_tuple, family))
			continue;
		((uint8_t *)&other)[byte] ^= 0x41;
		fo__search_begin(model.store.table, &search, &other, flow.scope);
		ck_assert_uint_eq(fo__search_next(model.store.table, &search), FO__NO_DIR);
	}
	fo__search_begin(model.store.table, &search, &flow.tuple[0], flow.scope);
	ck_assert_uint_eq(fo__search_next(model.store.table, &search), conn * 2);
	fo__store_close(model.store.table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *cases = tcase_create("model");

	tcase_add_test(cases, a_crowded_migration_uses_both_indexes);
	tcase_add_test(cases, a_key_of_a_protocol_never_offloaded_finds_nothing);
	tcase_add_loop_test(cases, every_key_is_where_the_array_says_after_each_step, 0, 2);
	tcase_add_test(cases, constant_hash_holds_ten_connections);
	tcase_add_test(cases, growth_keeps_every_key_at_each_of_its_steps);
	tcase_add_test(cases, replacing_all_while_rotating_keeps_every_key);
	tcase_add_test(cases, scopes_keep_equal_tuples_apart);
	tcase_add_loop_test(cases, each_part_of_a_tuple_is_part_of_the_key, 0, 4);
	suite_add_tcase(suite, cases);
	return suite;
}
