/* SPDX-License-Identifier: BSD-2-Clause */
/* test_store.c - the life of a slot: taken, published, ended, drained, retired and reused, with workers that are
 * offline, in a burst, or stuck; grace periods across the wrap of the epoch; memory.
 *
 * A worker here is a claimed place whose epoch the test sets itself. Neighbours: test_model.c, test_sides.c.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "flowtable/lists.h"
#include "store_fixture.h"
#include "unit.h"

static struct store store;

static struct fo_worker *worker_in_burst(void)
{
	struct fo_worker *worker;

	ck_assert_int_eq(fo__worker_claim(store.table, 0, &worker), 0);
	fo__epoch_enter(&worker->epoch, &store.table->epoch);
	return worker;
}

START_TEST(a_connection_reads_back_as_it_was_added)
{
	struct fo_flow flow = numbered_flow((uint32_t)_i);
	struct fo_tuple tuple;
	uint32_t conn;

	store_open(&store, 8, 1, FO__HASH_FAST);
	ck_assert_int_eq(store_add(&store, (uint32_t)_i, 5, &conn), 0);
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__conn_tuple(store.table, conn, (enum fo_dir)dir, &tuple);
		ck_assert_mem_eq(&tuple, &flow.tuple[dir], sizeof(tuple));
	}
	ck_assert_uint_eq(fo__conn_scope(store.table, conn), flow.scope);
	ck_assert_uint_eq(fo__conn_of(store.table, fo__conn_id(store.table, conn)), conn);
	fo__store_close(store.table);
}
END_TEST

START_TEST(capacity_is_a_hard_maximum)
{
	uint32_t conn = 0, none;

	store_open(&store, 50, 1, FO__HASH_FAST);
	for (uint32_t n = 0; n < 50; n++)
		ck_assert_int_eq(store_add(&store, n, 0, &conn), 0);
	ck_assert_int_eq(store_add(&store, 50, 0, &none), -ENOSPC);
	/* Ending, it holds its place until it is retired. */
	fo__conn_close(store.table, conn, FO_R_DELETED);
	ck_assert_int_eq(store_add(&store, 50, 0, &none), -EAGAIN);
	ck_assert(fo__conn_drain(store.table, conn));
	fo__conn_unlink(store.table, conn);
	fo__conn_retire(store.table, conn);
	ck_assert_int_eq(store_add(&store, 50, 0, &none), 0);
	fo__store_close(store.table);
}
END_TEST

START_TEST(an_id_is_stale_once_its_slot_is_retired)
{
	fo_flow_id first, second;
	uint32_t conn, again;

	store_open(&store, 1, 0, FO__HASH_FAST);
	ck_assert_int_eq(store_add(&store, 1, 0, &conn), 0);
	first = fo__conn_id(store.table, conn);
	fo__conn_close(store.table, conn, FO_R_DELETED);
	ck_assert_uint_eq(fo__conn_of(store.table, first), conn);
	ck_assert(fo__conn_drain(store.table, conn));
	fo__conn_unlink(store.table, conn);
	fo__conn_retire(store.table, conn);
	ck_assert_uint_eq(fo__conn_of(store.table, first), FO__NO_SLOT);
	(void)fo__reclaim(store.table);
	ck_assert_int_eq(store_add(&store, 1, 0, &again), 0);
	ck_assert_uint_eq(again, conn); /* the same slot ... */
	second = fo__conn_id(store.table, again);
	ck_assert(second != first); /* ... another connection */
	ck_assert_uint_eq(fo__conn_of(store.table, first), FO__NO_SLOT);
	ck_assert_uint_eq(fo__conn_of(store.table, second), conn);
	ck_assert_uint_eq(fo__conn_of(store.table, second + 1), FO__NO_SLOT);
	ck_assert_uint_eq(fo__conn_of(store.table, 0), FO__NO_SLOT);
	fo__store_close(store.table);
}
END_TEST

START_TEST(generations_skip_zero_when_they_wrap)
{
	uint32_t conn;

	store_open(&store, 8, 0, FO__HASH_FAST);
	store.table->generation = UINT32_MAX - 1;
	for (uint32_t n = 0; n < 3; n++) {
		ck_assert_int_eq(store_add(&store, n, 0, &conn), 0);
		ck_assert_uint_ne(store.table->cold[conn].generation, 0);
		ck_assert_uint_eq(fo__conn_of(store.table, fo__conn_id(store.table, conn)), conn);
	}
	fo__store_close(store.table);
}
END_TEST

START_TEST(closing_sets_dead_on_both_lines_and_reviving_takes_it_back)
{
	uint32_t conn;

	store_open(&store, 8, 1, FO__HASH_FAST);
	ck_assert_int_eq(store_add(&store, 0, 0, &conn), 0);
	fo__conn_close(store.table, conn, FO_R_IDLE);
	for (unsigned int dir = 0; dir < 2; dir++)
		ck_assert(fo__load_relaxed(&store.table->lines[conn * 2 + dir].ctl) & FO__CTL_DEAD);
	ck_assert_uint_eq(store.table->living, 0);
	ck_assert_uint_eq(store.table->closing, 1);
	fo__conn_revive(store.table, conn, 0);
	for (unsigned int dir = 0; dir < 2; dir++)
		ck_assert(!(fo__load_relaxed(&store.table->lines[conn * 2 + dir].ctl) & FO__CTL_STOP));
	ck_assert_uint_eq(store.table->living, 1);
	ck_assert_uint_eq(store.table->closing, 0);
	store_check_present(&store, 0, conn);
	fo__store_close(store.table);
}
END_TEST

START_TEST(a_worker_in_a_burst_holds_up_the_drain)
{
	struct fo_worker *worker;
	uint32_t conn;

	store_open(&store, 8, 2, FO__HASH_FAST);
	ck_assert_int_eq(store_add(&store, 0, 0, &conn), 0);
	worker = worker_in_burst();
	ck_assert(fo__workers_online(store.table));
	fo__conn_close(store.table, conn, FO_R_DELETED);
	ck_assert(!fo__conn_drain(store.table, conn));
	ck_assert_uint_eq(fo__drained(store.table), FO__NO_SLOT);
	if (_i)
		fo__epoch_enter(&worker->epoch, &store.table->epoch); /* its next burst */
	else
		fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(fo__drained(store.table), conn);
	ck_assert_uint_eq(fo__drained(store.table), FO__NO_SLOT);
	fo__epoch_leave(&worker->epoch);
	fo__worker_release(worker);
	fo__store_close(store.table);
}
END_TEST

START_TEST(slots_come_back_after_the_grace_period_only)
{
	struct fo__store_options options = {
		.capacity = 4, .max_workers = 1, .hash = FO__HASH_FAST, .spare = 2};
	struct fo_worker *worker;
	uint32_t conn[6], n;

	store_open_with(&store, &options);
	worker = worker_in_burst();
	for (n = 0; n < 6; n++) {
		ck_assert_int_eq(store_add(&store, n, 0, &conn[n]), 0);
		fo__conn_close(store.table, conn[n], FO_R_DELETED);
		fo__conn_unlink(store.table, conn[n]);
		fo__conn_retire(store.table, conn[n]);
	}
	ck_assert_uint_eq(store.table->living + store.table->closing, 0);
	/* Four places are empty, but all six slots may still be looked at. */
	ck_assert_int_eq(store_add(&store, n, 0, &conn[0]), -EAGAIN);
	ck_assert_uint_eq(fo__reclaim(store.table), 6);
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(fo__reclaim(store.table), 0);
	ck_assert_int_eq(store_add(&store, n, 0, &conn[0]), 0);
	ck_assert_uint_eq(store.table->high, 6);
	fo__worker_release(worker);
	fo__store_close(store.table);
}
END_TEST

/* More stamps than batches: the last batch takes the newer stamp; nothing comes back too early, all comes back. */
START_TEST(grace_periods_merge_without_losing_a_slot)
{
	enum { N = 3 * FO__BATCHES };
	struct fo_worker *worker;
	uint32_t conn, seen = 0;

	store_open(&store, N, 1, FO__HASH_FAST);
	worker = worker_in_burst();
	for (uint32_t n = 0; n < N; n++) {
		ck_assert_int_eq(store_add(&store, n, 0, &conn), 0);
		fo__conn_close(store.table, conn, FO_R_DELETED);
		HOLDS(!fo__conn_drain(store.table, conn));
		if (n == N / 2)
			fo__epoch_enter(&worker->epoch, &store.table->epoch);
	}
	/* Those of the first batches are over; the merged ones wait for the newest stamp of theirs. */
	while ((conn = fo__drained(store.table)) != FO__NO_SLOT)
		HOLDS(conn == seen++);
	ck_assert_uint_ge(seen, FO__BATCHES - 1);
	ck_assert_uint_le(seen, N / 2 + 1);
	fo__epoch_leave(&worker->epoch);
	while ((conn = fo__drained(store.table)) != FO__NO_SLOT)
		HOLDS(conn == seen++);
	ck_assert_uint_eq(seen, N);
	fo__worker_release(worker);
	fo__store_close(store.table);
}
END_TEST

START_TEST(stamps_are_ordered_across_the_wrap_and_never_zero)
{
	struct fo_worker *worker;
	uint32_t before, stamp;

	store_open(&store, 8, 1, FO__HASH_FAST);
	fo__store_seq(&store.table->epoch, UINT32_MAX - 3);
	worker = worker_in_burst();
	for (unsigned int i = 0; i < 8; i++) {
		before = fo__load_relaxed(&worker->epoch);
		stamp = fo__stamp(store.table);
		ck_assert_uint_ne(stamp, 0);
		ck_assert_uint_ne(before, stamp);
		ck_assert(!fo__grace_over(store.table, stamp));
		fo__epoch_enter(&worker->epoch, &store.table->epoch);
		ck_assert_uint_ne(fo__load_relaxed(&worker->epoch), 0);
		ck_assert(fo__grace_over(store.table, stamp));
	}
	fo__epoch_leave(&worker->epoch);
	fo__worker_release(worker);
	fo__store_close(store.table);
}
END_TEST

START_TEST(all_workers_must_have_passed)
{
	struct fo_worker *worker[3], *none;
	uint32_t stamp;

	store_open(&store, 8, 3, FO__HASH_FAST);
	for (unsigned int i = 0; i < 3; i++)
		worker[i] = worker_in_burst();
	ck_assert_int_eq(fo__worker_claim(store.table, 0, &none), -ENOSPC);
	stamp = fo__stamp(store.table);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert(!fo__grace_over(store.table, stamp));
		fo__epoch_leave(&worker[(i + (unsigned int)_i) % 3]->epoch);
	}
	ck_assert(fo__grace_over(store.table, stamp));
	fo__worker_release(worker[1]);
	ck_assert_int_eq(fo__worker_claim(store.table, 0, &worker[1]), 0);
	for (unsigned int i = 0; i < 3; i++)
		fo__worker_release(worker[i]);
	fo__store_close(store.table);
}
END_TEST

/* Crowded homes displace entries; when the crowd is gone, upkeep alone sends them home and clears the hints. */
START_TEST(upkeep_sends_displaced_entries_home)
{
	uint32_t conn[100];
	struct fo__index *index;

	store_open(&store, 100, 1, FO__HASH_FAST);
	for (uint32_t n = 0; n < 100; n++)
		ck_assert_int_eq(store_add(&store, n, 0, &conn[n]), 0);
	for (uint32_t n = 4; n < 100; n++)
		store_end(&store, conn[n]);
	index = fo__load_relaxed(&store.table->cur);
	for (uint32_t i = 0; i < index->count; i++)
		fo__upkeep(store.table);
	ck_assert_ptr_eq(index, fo__load_relaxed(&store.table->cur));
	for (uint32_t i = 0; i < index->count; i++)
		ck_assert_uint_eq(fo__load_relaxed(&index->buckets[i].meta), 0);
	for (uint32_t n = 0; n < 4; n++)
		store_check_present(&store, n, conn[n]);
	fo__store_close(store.table);
}
END_TEST

/* The ring of a worker: what was pushed comes out in order; connections of several workers all come. */
START_TEST(what_workers_report_is_found)
{
	struct fo_worker *worker[2];
	uint32_t sum = 0, conn;

	store_open(&store, 8, 2, FO__HASH_FAST);
	for (uint32_t w = 0; w < 2; w++) {
		ck_assert_int_eq(fo__worker_claim(store.table, 0, &worker[w]), 0);
		for (uint32_t i = 0; i < 5; i++)
			fo__store_relaxed(&worker[w]->ring[i], 1u << (5 * w + i));
		fo__store_release(&worker[w]->ring_head, 5);
	}
	while ((conn = fo__worker_reported(store.table)) != FO__NO_SLOT)
		sum += conn;
	ck_assert_uint_eq(sum, 1023);
	for (unsigned int w = 0; w < 2; w++)
		fo__worker_release(worker[w]);
	fo__store_close(store.table);
}
END_TEST

/* ---- memory ---- */

struct ledger {
	uint64_t held;
	unsigned int left; /* allocations that succeed */
};

static void *ledger_alloc(void *ctx, size_t size, size_t align)
{
	struct ledger *ledger = ctx;
	void *ptr = NULL;

	if (!ledger->left)
		return NULL;
	ledger->left--;
	ck_assert_int_eq(posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size), 0);
	memset(ptr, 0xa5, size); /* the store zeroes what it is given */
	ledger->held += size;
	return ptr;
}

static void ledger_free(void *ctx, void *ptr, size_t size)
{
	((struct ledger *)ctx)->held -= size;
	free(ptr);
}

START_TEST(opening_fails_clean_at_each_allocation)
{
	struct ledger ledger = {.held = 0};
	struct fo_allocator hook = {ledger_alloc, ledger_free, &ledger};
	struct fo__store_options options = {
		.capacity = 100, .max_workers = 2, .hash = FO__HASH_FAST, .allocator = &hook};
	struct fo_flowtable *table = NULL;
	unsigned int n = 0;

	for (;; n++) {
		ledger.left = n;
		if (!fo__store_open(&options, &table))
			break;
		ck_assert_ptr_null(table);
		ck_assert_uint_eq(ledger.held, 0);
		ck_assert_uint_lt(n, 100);
	}
	ck_assert_uint_gt(n, 4);
	ck_assert_uint_eq(table->memory.bytes, ledger.held);
	fo__store_close(table);
	ck_assert_uint_eq(ledger.held, 0);
}
END_TEST

/* Growth without memory is put off, the table works on; with memory again it happens. */
START_TEST(growth_without_memory_is_tried_again)
{
	struct ledger ledger = {.left = UINT32_MAX};
	struct fo_allocator hook = {ledger_alloc, ledger_free, &ledger};
	struct fo__store_options options = {
		.capacity = 6000, .max_workers = 1, .hash = FO__HASH_FAST, .allocator = &hook};
	uint32_t n = 0, conn, buckets;

	store_open_with(&store, &options);
	buckets = fo__load_relaxed(&store.table->cur)->count;
	ledger.left = 0;
	for (; n < 960; n++) {
		HOLDS(!store_add(&store, n, 0, &conn));
		fo__upkeep(store.table);
	}
	ck_assert_uint_eq(fo__load_relaxed(&store.table->cur)->count, buckets);
	ledger.left = UINT32_MAX;
	for (unsigned int i = 0; i < buckets; i++)
		fo__upkeep(store.table);
	ck_assert_uint_gt(fo__load_relaxed(&store.table->cur)->count, buckets);
	(void)fo__reclaim(store.table);
	ck_assert_uint_eq(store.table->memory.bytes, ledger.held);
	while (n--)
		HOLDS(store_found(&store, n, 0, &conn) == 1);
	fo__store_close(store.table);
	ck_assert_uint_eq(ledger.held, 0);
}
END_TEST

/* The index that was left stays readable for a worker in a burst, however long that lasts. */
START_TEST(an_old_index_lives_until_its_readers_are_gone)
{
	struct ledger ledger = {.left = UINT32_MAX};
	struct fo_allocator hook = {ledger_alloc, ledger_free, &ledger};
	struct fo__store_options options = {
		.capacity = 100, .max_workers = 1, .hash = FO__HASH_FAST, .allocator = &hook};
	struct fo_worker *worker;
	struct fo__index *old;
	uint64_t before;
	uint32_t size;

	store_open_with(&store, &options);
	worker = worker_in_burst();
	old = fo__load_relaxed(&store.table->cur);
	size = old->count;
	before = ledger.held;
	fo__rotate(store.table);
	while (fo__upkeep_pending(store.table))
		fo__upkeep(store.table);
	ck_assert_ptr_ne(old, fo__load_relaxed(&store.table->cur));
	ck_assert_uint_eq(fo__reclaim(store.table), 1);
	ck_assert_uint_gt(ledger.held, before);
	ck_assert_uint_eq(old->count, size);
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(fo__reclaim(store.table), 0);
	ck_assert_uint_eq(ledger.held, before);
	fo__worker_release(worker);
	fo__store_close(store.table);
}
END_TEST

/* A worker stuck for good: rotations stop when the places of old indexes are full, and keys stay found. */
START_TEST(a_stuck_worker_bounds_what_waits)
{
	struct fo_worker *worker;
	uint64_t bytes;
	uint32_t conn;

	store_open(&store, 100, 1, FO__HASH_FAST);
	for (uint32_t n = 0; n < 100; n++)
		ck_assert_int_eq(store_add(&store, n, 0, &conn), 0);
	worker = worker_in_burst();
	for (unsigned int i = 0; i < 200 * FO__DEFERRED; i++) {
		fo__rotate(store.table);
		fo__upkeep(store.table);
	}
	bytes = store.table->memory.bytes;
	for (unsigned int i = 0; i < 200 * FO__DEFERRED; i++) {
		fo__rotate(store.table);
		fo__upkeep(store.table);
	}
	ck_assert_uint_eq(store.table->memory.bytes, bytes);
	for (uint32_t n = 0; n < 100; n++)
		HOLDS(store_found(&store, n, 1, &conn) == 1);
	fo__epoch_leave(&worker->epoch);
	fo__worker_release(worker);
	ck_assert_uint_eq(fo__reclaim(store.table), 0);
	fo__store_close(store.table);
}
END_TEST

START_TEST(a_worker_still_open_keeps_the_memory)
{
	struct ledger ledger = {.left = UINT32_MAX};
	struct fo_allocator hook = {ledger_alloc, ledger_free, &ledger};
	struct fo__store_options options = {
		.capacity = 10, .max_workers = 1, .hash = FO__HASH_FAST, .allocator = &hook};
	struct fo_worker *worker;

	store_open_with(&store, &options);
	ck_assert_int_eq(fo__worker_claim(store.table, 0, &worker), 0);
	fo__store_close(store.table);
	ck_assert_uint_gt(ledger.held, 0);
	fo__worker_release(worker);
	ck_assert_uint_eq(ledger.held, 0);
}
END_TEST

static void add_memory_tests(Suite *suite)
{
	TCase *cases = tcase_create("memory");

	tcase_add_test(cases, opening_fails_clean_at_each_allocation);
	tcase_add_test(cases, growth_without_memory_is_tried_again);
	tcase_add_test(cases, an_old_index_lives_until_its_readers_are_gone);
	tcase_add_test(cases, a_stuck_worker_bounds_what_waits);
	tcase_add_test(cases, a_worker_still_open_keeps_the_memory);
	suite_add_tcase(suite, cases);
}

Suite *unit_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *cases = tcase_create("life");

	tcase_add_loop_test(cases, a_connection_reads_back_as_it_was_added, 0, 4);
	tcase_add_test(cases, capacity_is_a_hard_maximum);
	tcase_add_test(cases, an_id_is_stale_once_its_slot_is_retired);
	tcase_add_test(cases, generations_skip_zero_when_they_wrap);
	tcase_add_test(cases, closing_sets_dead_on_both_lines_and_reviving_takes_it_back);
	tcase_add_loop_test(cases, a_worker_in_a_burst_holds_up_the_drain, 0, 2);
	tcase_add_test(cases, slots_come_back_after_the_grace_period_only);
	tcase_add_test(cases, grace_periods_merge_without_losing_a_slot);
	tcase_add_test(cases, stamps_are_ordered_across_the_wrap_and_never_zero);
	tcase_add_loop_test(cases, all_workers_must_have_passed, 0, 3);
	tcase_add_loop_test(cases, upkeep_sends_displaced_entries_home, 0, 20);
	tcase_add_test(cases, what_workers_report_is_found);
	suite_add_tcase(suite, cases);
	add_memory_tests(suite);
	return suite;
}
