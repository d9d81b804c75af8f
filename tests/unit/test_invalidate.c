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

/* Flow n by its address alone; by its address and protocol; by a tag that it alone has. */
static struct fo_match only(uint32_t n, unsigned int how)
{
	struct fo_flow flow = numbered(n);
	struct fo_match match;

	FO_INIT(&match);
	match.mask = how == 2 ? FO_MATCH_TAG : how == 1 ? FO_MATCH_PREFIX | FO_MATCH_PROTO : FO_MATCH_PREFIX;
	match.family = FO_FAMILY_IPV4;
	match.prefix_len = 32;
	match.proto = flow.tuple[0].proto;
	match.tag = flow.tag = 1000 + n;
	memcpy(match.prefix, flow.tuple[0].src, 4);
	if (how == 2)
		ck_assert_int_eq(fo_flow_update(table, ids[n], FO_UPDATE_TAG, &flow, NULL), 0);
	return match;
}

/* However many at once, each stops its flow at once and ends it and no other; no call looks at all flows for that. More
 * than the filter has room for, and more than there are jobs without asking for memory. */
#define MANY 100u
START_TEST(many_hold_together)
{
	struct fo_error err;
	unsigned int passing = 0;

	set_up(FO_TIMEOUT_NEVER);
	for (unsigned int i = 0; i < MANY; i++) {
		uint32_t n = FLOWS - 1 - i - i / 4; /* none of IPv6 */
		struct fo_match match = only(n, (unsigned int)_i);

		invalidate(&match);
		for (unsigned int j = 0; j <= i; j++)
			ck_assert_uint_ne(reason_of(FLOWS - 1 - j - j / 4), FO_R_NONE);
	}
	ck_assert_uint_gt(table->n_jobs, FO__JOBS);
	for (uint32_t n = 0; n < FLOWS; n++)
		passing += reason_of(n) == FO_R_INVALIDATED;
	/* a few tags too many look like one of them, and neighbours of an address */
	ck_assert_uint_lt(passing, FLOWS / 2);
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(living(), FLOWS - MANY);
	ck_assert_ptr_null(fo__load_relaxed(&table->store->filter));
	for (uint32_t n = 0; n < FLOWS - MANY - MANY / 4; n++)
		ck_assert_uint_eq(reason_of(n), FO_R_NONE);
	tear_down();
}
END_TEST

static void *no_memory(void *ctx, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	return NULL;
}

/* More at once than there is room for: without memory, flows are ended within the call. */
START_TEST(without_memory_it_takes_longer)
{
	struct fo_error err;

	set_up(FO_TIMEOUT_NEVER);
	for (unsigned int i = 0; i < MANY; i++) {
		uint32_t n = FLOWS - 1 - i - i / 4; /* none of IPv6 */
		struct fo_match match = only(n, 0);

		table->store->memory.hook.alloc = no_memory;
		invalidate(&match);
		table->store->memory.hook.alloc = NULL;
		ck_assert_uint_ne(reason_of(n), FO_R_NONE);
		ck_assert_uint_le(table->n_jobs, FO__JOBS);
	}
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(living(), FLOWS - MANY);
	tear_down();
}
END_TEST

/* The same one over and over is one job, and means what was added in between as well. */
START_TEST(the_same_again_is_one_job)
{
	struct fo_match match;
	struct fo_error err;
	fo_flow_id id;

	set_up(FO_TIMEOUT_NEVER);
	FO_INIT(&match);
	match.mask = FO_MATCH_SCOPE;
	match.scope = 1;
	invalidate(&match);
	add(FLOWS + 1, &id, FO_TIMEOUT_NEVER);
	ck_assert_uint_eq(reason_of(FLOWS + 1), FO_R_NONE);
	invalidate(&match);
	ck_assert_uint_eq(table->n_jobs, 1);
	ck_assert_uint_eq(reason_of(FLOWS + 1), FO_R_INVALIDATED);
	must(fo_table_sync(table, 10000, &err), &err);
	ck_assert_uint_eq(living(), FLOWS / 2);
	tear_down();
}
END_TEST

/* What a wide condition takes in: both that it was made of, whatever they ask for. */
START_TEST(a_wider_condition_holds_for_both)
{
	struct fo__condition all[2 * FO__CONDITIONS + 4];
	unsigned int n = 0;

	set_up(FO_TIMEOUT_NEVER);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		all[n++] = fo__condition_of(&rows[i].match);
	for (unsigned int i = 0; i < 4; i++) {
		struct fo_match match = only(FLOWS - 1 - 7 * i, 1 + i % 2);

		all[n++] = fo__condition_of(&match);
	}
	for (unsigned int i = 0; i < n; i++)
		all[i].born = i;
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < n; j++) {
			struct fo__condition wide = all[i];

			fo__condition_widen(&wide, &all[j]);
			ck_assert_uint_eq(wide.born, i > j ? i : j);
			for (uint32_t f = 0; f < FLOWS; f++) {
				uint32_t conn = (uint32_t)ids[f];
				uint16_t scope = (uint16_t)(f % 2);

				if (fo__condition_holds(table->store, conn, scope, &all[i]) ||
				    fo__condition_holds(table->store, conn, scope, &all[j]))
					ck_assert(fo__condition_holds(table->store, conn, scope, &wide));
				else if (i == j)
					ck_assert(!fo__condition_holds(table->store, conn, scope, &wide));
			}
		}
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
	tcase_add_loop_test(cases, many_hold_together, 0, 3);
	tcase_add_test(cases, without_memory_it_takes_longer);
	tcase_add_test(cases, the_same_again_is_one_job);
	tcase_add_test(cases, a_wider_condition_holds_for_both);
	tcase_add_test(cases, a_stuck_worker_costs_time_not_truth);
	suite_add_tcase(suite, cases);
	return suite;
}
