/* SPDX-License-Identifier: BSD-2-Clause */
/* test_invalidate.c - what an invalidation stops at once: by tag, prefix, scope and protocol the packets of the flows
 * meant pass from the next burst on, before control has come by the flows; nobody else's do.
 *
 * The table is larger than what one control call looks at, and the flow asked about is the last one. Neighbours: the
 * conformance suite asks what fo_invalidate() ends in the end.
 */
#include "soft_fixture.h"
#include "unit.h"

static void invalidate(const struct fo_match *match)
{
	struct fo_error err;

	must(fo_invalidate(table, match, &err), &err);
}

/* What each row means: a flow that goes, one that stays. */
static const struct {
	struct fo_match match;
	uint32_t goes, stays, count;
} rows[] = {
	{{.mask = FO_MATCH_TAG, .tag = 2}, FLOWS - 1, FLOWS - 2, FLOWS / 3},
	{{.mask = FO_MATCH_SCOPE, .scope = 1}, FLOWS - 1, FLOWS - 2, FLOWS / 2},
	{{.mask = FO_MATCH_PROTO, .proto = 6}, FLOWS - 4, FLOWS - 1, FLOWS / 4},
	{{.mask = FO_MATCH_PREFIX, .family = 4, .prefix = {10, 0, 11, 183}, .prefix_len = 32},
	 FLOWS - 1,
	 FLOWS - 2,
	 1},
	{{.mask = FO_MATCH_PREFIX, .family = 4, .prefix = {10, 0, 11, 182}, .prefix_len = 31},
	 FLOWS - 2,
	 FLOWS - 3,
	 2},
	{{.mask = FO_MATCH_PREFIX, .family = 4, .prefix = {198, 51, 100, 1}, .prefix_len = 30},
	 FLOWS - 1,
	 FLOWS - 5,
	 FLOWS / 5 * 4},
	{{.mask = FO_MATCH_PREFIX, .family = 6, .prefix = {0x20, 1, 0xd, 0xb8}, .prefix_len = 32},
	 FLOWS - 5,
	 FLOWS - 1,
	 FLOWS / 5},
	{{.mask = FO_MATCH_TAG | FO_MATCH_PROTO, .tag = 0, .proto = 6}, FLOWS - 12, FLOWS - 4, FLOWS / 12},
};

START_TEST(packets_pass_before_control_has_come_by)
{
	struct fo_match match = rows[_i].match;
	fo_flow_id id;
	struct fo_error err;

	set_up(FO_TIMEOUT_NEVER);
	match.size = sizeof(match);
	ck_assert_uint_eq(reason_of(rows[_i].goes), FO_R_NONE);
	invalidate(&match);
	ck_assert_uint_gt(living(), FLOWS - rows[_i].count);
	ck_assert_uint_eq(reason_of(rows[_i].goes), FO_R_INVALIDATED);
	ck_assert_uint_eq(reason_of(rows[_i].stays), FO_R_NONE);
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(living(), FLOWS - rows[_i].count);
	ck_assert_int_eq(fo_table_poll(table, 0, 0, NULL, NULL, &err), (int)rows[_i].count);
	ck_assert_uint_eq(reason_of(rows[_i].goes), FO_R_NO_FLOW);
	ck_assert_uint_eq(reason_of(rows[_i].stays), FO_R_NONE);
	ck_assert_ptr_null(fo__load_relaxed(&table->store->filter));
	add(rows[_i].goes, &id, FO_TIMEOUT_NEVER);
	ck_assert_uint_eq(reason_of(rows[_i].goes), FO_R_NONE);
	tear_down();
}
END_TEST

START_TEST(flows_added_later_are_not_meant)
{
	struct fo_match match;
	struct fo_error err;
	fo_flow_id id;

	set_up(FO_TIMEOUT_NEVER);
	FO_INIT(&match);
	match.mask = FO_MATCH_SCOPE;
	match.scope = 1;
	invalidate(&match);
	add(FLOWS + 1, &id, FO_TIMEOUT_NEVER); /* scope 1 */
	ck_assert_uint_eq(reason_of(FLOWS - 1), FO_R_INVALIDATED);
	ck_assert_uint_eq(reason_of(FLOWS + 1), FO_R_NONE);
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(reason_of(FLOWS + 1), FO_R_NONE);
	ck_assert_uint_eq(living(), FLOWS / 2 + 1);
	tear_down();
}
END_TEST

/* Several at once, each of its own; the ninth finishes the first. */
START_TEST(many_hold_together)
{
	struct fo_match match;
	struct fo_error err;

	set_up(FO_TIMEOUT_NEVER);
	FO_INIT(&match);
	match.mask = FO_MATCH_PREFIX;
	match.family = FO_FAMILY_IPV4;
	match.prefix_len = 32;
	for (unsigned int i = 0; i < 12; i++) {
		uint32_t n = FLOWS - 1 - i - i / 4; /* none of IPv6 */

		memcpy(match.prefix, numbered(n).tuple[0].src, 4);
		ck_assert_uint_eq(reason_of(n), FO_R_NONE);
		invalidate(&match);
		ck_assert_uint_ne(reason_of(n), FO_R_NONE);
	}
	for (unsigned int i = 0; i < 12; i++)
		ck_assert_uint_ne(reason_of(FLOWS - 1 - i - i / 4), FO_R_NONE);
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(living(), FLOWS - 12);
	tear_down();
}
END_TEST

/* A worker that never leaves its burst holds every filter that it could be looking at: then the flows are ended within
 * the call, so that memory stays bounded and no promise is broken. */
START_TEST(a_stuck_worker_costs_time_not_truth)
{
	struct fo_match match;

	set_up(FO_TIMEOUT_NEVER);
	fo__epoch_enter(&worker->epoch, &table->store->epoch);
	FO_INIT(&match);
	match.mask = FO_MATCH_PREFIX;
	match.family = FO_FAMILY_IPV4;
	match.prefix_len = 32;
	for (unsigned int i = 0; i < 40; i++) {
		uint32_t n = FLOWS - 1 - i - i / 4;
		const struct fo__filter *filter;
		uint32_t conn = (uint32_t)ids[n];

		memcpy(match.prefix, numbered(n).tuple[0].src, 4);
		invalidate(&match);
		filter = fo__load_relaxed(&table->store->filter);
		ck_assert((filter && fo__filter_hits(table->store, filter, conn, (uint16_t)(n % 2))) ||
			  table->store->cold[conn].life != FO__LIFE_LIVE);
	}
	fo__epoch_leave(&worker->epoch);
	tear_down();
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("invalidate");
	TCase *cases = tcase_create("invalidate");

	tcase_add_loop_test(cases, packets_pass_before_control_has_come_by, 0,
			    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(cases, flows_added_later_are_not_meant);
	tcase_add_test(cases, many_hold_together);
	tcase_add_test(cases, a_stuck_worker_costs_time_not_truth);
	suite_add_tcase(suite, cases);
	return suite;
}
