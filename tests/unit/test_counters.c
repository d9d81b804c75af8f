/* SPDX-License-Identifier: BSD-2-Clause */
/* test_counters.c - counters of a connection: 32-bit packet counters that go round, owner and others, backends'
 * reports, times; and the two-word counter of 32-bit machines, compiled here on any.
 *
 * Neighbours: test_store.c for the life of a slot.
 */
#include <check.h>
#include <stdint.h>

#include "store_fixture.h"
#include "unit.h"

/* atomics.h once more, as a machine of 32 bits sees it, under other names. */
#undef FO_FLOWTABLE_ATOMICS_H
#undef UINTPTR_MAX
#define UINTPTR_MAX	     UINT32_MAX
#define fo__count	     split_count
#define fo__count_read	     split_count_read
#define fo__count_set	     split_count_set
#define fo__count_add_owned  split_count_add_owned
#define fo__count_add_shared split_count_add_shared
#undef fo__load_relaxed
#undef fo__load_acquire
#undef fo__load_seq
#undef fo__store_relaxed
#undef fo__store_release
#undef fo__store_seq
#include "flowtable/atomics.h"
#undef fo__count
#undef fo__count_read
#undef fo__count_set
#undef fo__count_add_owned
#undef fo__count_add_shared

static struct store store;
static uint32_t conn;
static struct fo__line *line;
static struct fo__cold *cold;
static struct fo__shared *shared;

static void one_connection(void)
{
	store_open(&store, 4, 2, FO__HASH_FAST);
	ck_assert_int_eq(store_add(&store, 0, 1000, &conn), 0);
	line = &store.table->lines[conn * 2];
	cold = &store.table->cold[conn];
	shared = &store.table->shared[conn];
}

static void close_store(void)
{
	fo__store_close(store.table);
}

static struct fo_flow_counters read_at(uint64_t now_ms)
{
	struct fo_flow_counters counters;

	fo__conn_counters(store.table, conn, now_ms, &counters);
	ck_assert_uint_eq(counters.size, sizeof(counters));
	return counters;
}

/* Count as the owner worker does: 32 bits that go round. */
static void owner_counts(unsigned int dir, uint32_t packets)
{
	fo__store_relaxed(&line[dir].packets, fo__load_relaxed(&line[dir].packets) + packets);
}

static void others_count(unsigned int dir, uint32_t packets)
{
	fo__store_relaxed(&shared->packets[dir], fo__load_relaxed(&shared->packets[dir]) + packets);
}

START_TEST(packets_go_on_where_32_bits_end)
{
	unsigned int dir = (unsigned int)_i / 2;
	void (*counts)(unsigned int, uint32_t) = _i % 2 ? others_count : owner_counts;
	uint64_t sent = 0;

	for (unsigned int i = 0; i < 40; i++) {
		uint32_t some = i % 4 == 0 ? INT32_MAX : i * 1000003;

		counts(dir, some);
		sent += some;
		/* right before anybody folded, and after, and after twice */
		ck_assert_uint_eq(read_at(1000).packets[dir], sent);
		fo__conn_fold(store.table, conn);
		ck_assert_uint_eq(read_at(1000).packets[dir], sent);
		fo__conn_fold(store.table, conn);
		ck_assert_uint_eq(read_at(1000).packets[dir], sent);
		ck_assert_uint_eq(read_at(1000).packets[1 - dir], 0);
	}
	ck_assert_uint_gt(sent, UINT64_C(4) << 32);
}
END_TEST

START_TEST(a_wrap_is_seen_by_one_packet)
{
	fo__store_relaxed(&line[1].packets, UINT32_MAX);
	fo__conn_fold(store.table, conn);
	ck_assert_uint_eq(read_at(1000).packets[1], UINT32_MAX);
	owner_counts(1, 1);
	ck_assert_uint_eq(read_at(1000).packets[1], UINT64_C(1) << 32);
	fo__conn_fold(store.table, conn);
	owner_counts(1, 1);
	ck_assert_uint_eq(read_at(1000).packets[1], (UINT64_C(1) << 32) + 1);
}
END_TEST

static void *no_memory(void *ctx, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	return NULL;
}

/* Wraps are kept in memory of their own, which may be lacking for 2^31 packets. */
START_TEST(a_wrap_without_memory_is_counted_when_there_is_some)
{
	fo__store_relaxed(&line[0].packets, UINT32_MAX);
	store.table->memory.hook.alloc = no_memory;
	fo__conn_fold(store.table, conn);
	owner_counts(0, UINT32_C(1) << 31);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_uint_eq(read_at(1000).packets[0], (UINT64_C(1) << 32) + INT32_MAX);
		fo__conn_fold(store.table, conn);
	}
	store.table->memory.hook.alloc = NULL;
	fo__conn_fold(store.table, conn);
	owner_counts(0, 1);
	fo__conn_fold(store.table, conn);
	ck_assert_uint_eq(read_at(1000).packets[0], (UINT64_C(3) << 31));
}
END_TEST

/* Who takes the slot next begins with none, and nothing of it is left. */
START_TEST(wraps_end_with_their_connection)
{
	uint32_t again = conn;

	fo__store_relaxed(&line[0].packets, UINT32_MAX);
	fo__conn_fold(store.table, conn);
	owner_counts(0, 1);
	fo__conn_fold(store.table, conn);
	ck_assert_uint_eq(cold->wrapped, 1);
	fo__conn_close(store.table, conn, FO_R_DELETED);
	ck_assert_int_eq(fo__conn_drain(store.table, conn), 1);
	ck_assert_uint_eq(read_at(1000).packets[0], UINT64_C(1) << 32);
	fo__conn_unlink(store.table, conn);
	fo__conn_retire(store.table, conn);
	ck_assert_uint_eq(fo__reclaim(store.table), 0);
	ck_assert_int_eq(store_add(&store, 0, 1000, &again), 0);
	ck_assert_uint_eq(again, conn);
	ck_assert_uint_eq(read_at(1000).packets[0], 0);
	for (unsigned int i = 0; i < FO__WRAPPED_HEADS; i++)
		ck_assert_ptr_null(store.table->wrapped[i]);
}
END_TEST

START_TEST(reading_has_no_side_effect)
{
	struct fo__line lines[2];
	struct fo__cold was;

	fo__store_relaxed(&line[0].packets, UINT32_MAX);
	fo__conn_fold(store.table, conn);
	owner_counts(0, 5);
	memcpy(lines, line, sizeof(lines));
	was = *cold;
	for (unsigned int i = 0; i < 3; i++)
		(void)read_at(1000 + i);
	ck_assert_mem_eq(lines, line, sizeof(lines));
	ck_assert_mem_eq(&was, cold, sizeof(was));
}
END_TEST

START_TEST(owner_and_others_add_up)
{
	fo__count_add_owned(&line[0].bytes, 100);
	fo__count_add_owned(&line[1].bytes, UINT32_MAX);
	fo__count_add_owned(&line[1].bytes, UINT32_MAX);
	fo__count_add_shared(&shared->bytes[0], 11);
	fo__count_add_shared(&shared->bytes[1], 7);
	owner_counts(0, 3);
	others_count(0, 4);
	others_count(1, 9);
	ck_assert_uint_eq(read_at(1000).bytes[0], 111);
	ck_assert_uint_eq(read_at(1000).bytes[1], 2 * (uint64_t)UINT32_MAX + 7);
	ck_assert_uint_eq(read_at(1000).packets[0], 7);
	ck_assert_uint_eq(read_at(1000).packets[1], 9);
	ck_assert_uint_eq(read_at(1000).flags, FO_STATS_PACKETS | FO_STATS_BYTES | FO_STATS_LAST_SEEN);
}
END_TEST

/* What a backend reports may be any amount at a time; workers may count in between. */
START_TEST(reports_of_any_size_add_up)
{
	struct draw draw = {.state = 9};
	uint64_t packets[2] = {0, 0}, bytes[2] = {0, 0};

	for (unsigned int i = 0; i < 300; i++) {
		unsigned int dir = draw_below(&draw, 2);
		uint64_t more = draw_next(&draw) >> (24 + draw_below(&draw, 40));

		fo__conn_count(store.table, conn, (enum fo_dir)dir, more, more * 3);
		packets[dir] += more;
		bytes[dir] += more * 3;
		if (i % 3 == 0) {
			uint32_t some = draw_below(&draw, INT32_MAX);

			owner_counts(1 - dir, some);
			packets[1 - dir] += some;
			others_count(dir, some);
			packets[dir] += some;
			fo__conn_fold(store.table, conn);
		}
		for (dir = 0; dir < 2; dir++) {
			ck_assert_uint_eq(read_at(1000).packets[dir], packets[dir]);
			ck_assert_uint_eq(read_at(1000).bytes[dir], bytes[dir]);
		}
	}
	ck_assert_uint_gt(packets[0] + packets[1], UINT64_C(1) << 34);
}
END_TEST

START_TEST(last_seen_is_told_across_the_wrap_of_32_bit_time)
{
	uint64_t base = UINT64_C(5) << 32;

	fo__store_relaxed(&line[0].last_ms, UINT32_MAX - 9);
	fo__store_relaxed(&line[1].last_ms, 20);
	ck_assert_uint_eq(read_at(base + 50).last_seen_ms[0], base - 10);
	ck_assert_uint_eq(read_at(base + 50).last_seen_ms[1], base + 20);
	/* a worker's clock a little ahead of control's */
	ck_assert_uint_eq(read_at(base + 15).last_seen_ms[1], base + 20);
	ck_assert_uint_eq(fo__conn_idle(store.table, conn, 50), 30);
	ck_assert_uint_eq(fo__conn_idle(store.table, conn, 15), 0);
	fo__store_relaxed(&line[1].last_ms, UINT32_MAX - 4);
	ck_assert_uint_eq(fo__conn_idle(store.table, conn, 5), 10);
	cold->flags |= FO__COLD_SILENT;
	ck_assert_uint_eq(read_at(base).flags & FO_STATS_LAST_SEEN, 0);
}
END_TEST

START_TEST(aggregates_are_said_in_the_flags)
{
	atomic_fetch_or(&line[1].ctl, FO__CTL_GRO);
	ck_assert_uint_ne(read_at(1000).flags & FO_STATS_GRO_AGGREGATED, 0);
}
END_TEST

/* ---- the counter of 32-bit machines ---- */

static const uint64_t values[] = {0,
				  1,
				  INT32_MAX,
				  UINT64_C(1) << 31,
				  UINT32_MAX,
				  UINT64_C(1) << 32,
				  (UINT64_C(3) << 31) - 1,
				  UINT64_C(3) << 31,
				  UINT64_C(0x123456789abcdef)};

START_TEST(split_counter_is_two_words)
{
	ck_assert_uint_eq(sizeof(struct split_count), 8);
	ck_assert_uint_eq(sizeof(((struct split_count *)0)->lo), 4);
}
END_TEST

START_TEST(split_counter_reads_what_was_set_and_added)
{
	struct draw draw = {.state = 2};
	struct split_count count;

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t expected = values[i];

		split_count_set(&count, expected);
		ck_assert_uint_eq(split_count_read(&count), expected);
		for (unsigned int step = 0; step < 2000; step++) {
			uint32_t n = draw_below(&draw, INT32_MAX);

			n = step % 2 ? n : n & 0xffff;
			if (step % 3)
				split_count_add_owned(&count, n);
			else
				split_count_add_shared(&count, n);
			expected += n;
			HOLDS(split_count_read(&count) == expected);
		}
	}
}
END_TEST

/* A reader between the writer's two stores: lo is new, hi is not. It sees the value after, never a mixture. */
START_TEST(split_counter_is_whole_between_the_two_stores)
{
	struct draw draw = {.state = 6};
	struct split_count count;

	for (unsigned int step = 0; step < 5000; step++) {
		uint64_t before = draw_next(&draw) >> (1 + draw_below(&draw, 40));
		uint32_t n = draw_below(&draw, INT32_MAX);

		split_count_set(&count, before);
		fo__store_relaxed(&count.lo, fo__load_relaxed(&count.lo) + n);
		HOLDS(split_count_read(&count) == ((before + n) & INT64_MAX));
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("counters");
	TCase *cases = tcase_create("connection"), *split = tcase_create("split");

	tcase_add_checked_fixture(cases, one_connection, close_store);
	tcase_add_loop_test(cases, packets_go_on_where_32_bits_end, 0, 4);
	tcase_add_test(cases, a_wrap_is_seen_by_one_packet);
	tcase_add_test(cases, a_wrap_without_memory_is_counted_when_there_is_some);
	tcase_add_test(cases, wraps_end_with_their_connection);
	tcase_add_test(cases, reading_has_no_side_effect);
	tcase_add_test(cases, owner_and_others_add_up);
	tcase_add_test(cases, reports_of_any_size_add_up);
	tcase_add_test(cases, last_seen_is_told_across_the_wrap_of_32_bit_time);
	tcase_add_test(cases, aggregates_are_said_in_the_flags);
	suite_add_tcase(suite, cases);
	tcase_add_test(split, split_counter_is_two_words);
	tcase_add_test(split, split_counter_reads_what_was_set_and_added);
	tcase_add_test(split, split_counter_is_whole_between_the_two_stores);
	suite_add_tcase(suite, split);
	return suite;
}
