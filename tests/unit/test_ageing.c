/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ageing.c - what the sweep must not miss although it looks at few flows: those whose time has come, those that a
 * worker had no room to report, counters that go round.
 *
 * Neighbours: test_counters.c for the counters alone; the conformance suite asks when flows expire.
 */
#include "soft_fixture.h"
#include "unit.h"

struct ends {
	unsigned int kind[32];
};

static void note(void *arg, const struct fo_event *event)
{
	((struct ends *)arg)->kind[event->kind]++;
}

static void poll_after(uint32_t ms, struct ends *ends)
{
	struct fo_error err;

	clock_now += ms;
	ck_assert_int_ge(fo_table_poll(table, 0, UINT32_MAX, note, ends, &err), 0);
}

START_TEST(flows_expire_when_their_own_time_has_come)
{
	struct ends ends = {{0}};

	set_up(30000);
	for (unsigned int i = 0; i < 2; i++)
		poll_after(10000, &ends);
	for (uint32_t n = 0; n < FLOWS; n += 3)
		ck_assert_uint_eq(reason_of(n), FO_R_NONE);
	poll_after(9999, &ends);
	ck_assert_uint_eq(living(), FLOWS);
	poll_after(1, &ends);
	poll_after(1000, &ends);
	ck_assert_uint_eq(ends.kind[FO_EV_EXPIRED], FLOWS - FLOWS / 3);
	poll_after(9999 - 1000, &ends);
	poll_after(9999, &ends);
	ck_assert_uint_eq(living(), FLOWS / 3);
	poll_after(2, &ends);
	poll_after(1000, &ends);
	ck_assert_uint_eq(living(), 0);
	ck_assert_uint_eq(ends.kind[FO_EV_EXPIRED], FLOWS);
	tear_down();
}
END_TEST

START_TEST(a_shorter_timeout_is_noticed)
{
	struct ends ends = {{0}};
	struct fo_flow flow;
	struct fo_error err;

	set_up(FO_TIMEOUT_NEVER);
	poll_after(20000, &ends);
	FO_INIT(&flow);
	flow.timeout_ms = 5000;
	must(fo_flow_update(table, ids[77], FO_UPDATE_TIMEOUT, &flow, &err), &err);
	poll_after(5000, &ends);
	ck_assert_uint_eq(ends.kind[FO_EV_EXPIRED], 1);
	ck_assert_uint_eq(living(), FLOWS - 1);
	tear_down();
}
END_TEST

/* More connections close between two polls than a worker can report. */
START_TEST(reports_without_room_are_made_up_for)
{
	struct ends ends = {{0}};
	unsigned int closed = 0;

	set_up(FO_TIMEOUT_NEVER);
	poll_after(10, &ends);
	for (uint32_t n = 0; n < FLOWS; n += 4, closed++)
		ck_assert_uint_eq(reason_with(n, 0x11), FO_R_TCP_FIN);
	ck_assert_uint_gt(closed, FO__RING);
	poll_after(0, &ends);
	ck_assert_uint_eq(ends.kind[FO_EV_CLOSED], FO__RING);
	poll_after(10000, &ends);
	ck_assert_uint_eq(ends.kind[FO_EV_CLOSED], closed);
	ck_assert_uint_eq(living(), FLOWS - closed);
	tear_down();
}
END_TEST

/* A worker that forwards so much that a 32-bit counter could go round between the looks which ageing needs. */
START_TEST(counters_that_go_round_are_looked_at)
{
	static const uint32_t counts[] = {0x80000005, 3,	  0x80000001, 0x80000000 + 7,
					  9,	      0xc0000000, 0xf0000000};
	struct ends ends = {{0}};
	struct fo_flow_counters counters;
	struct fo__line *line;
	uint64_t sent = 0;

	set_up(FO_TIMEOUT_NEVER);
	poll_after(10, &ends);
	line = &table->store->lines[(uint32_t)ids[1] * 2];
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t more = counts[i] - fo__load_relaxed(&line->packets);

		fo__store_relaxed(&line->packets, counts[i]);
		fo__count_set(&worker->forwarded_packets, fo__count_read(&worker->forwarded_packets) + more);
		sent += more;
		poll_after(10000, &ends);
	}
	FO_INIT(&counters);
	ck_assert_int_eq(fo_flow_stats(table, ids[1], &counters, NULL), 0);
	ck_assert_uint_eq(counters.packets[0], sent);
	tear_down();
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("ageing");
	TCase *cases = tcase_create("ageing");

	tcase_add_test(cases, flows_expire_when_their_own_time_has_come);
	tcase_add_test(cases, a_shorter_timeout_is_noticed);
	tcase_add_test(cases, reports_without_room_are_made_up_for);
	tcase_add_test(cases, counters_that_go_round_are_looked_at);
	suite_add_tcase(suite, cases);
	return suite;
}
