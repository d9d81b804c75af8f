/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tc_adopt.c - what one table of tc leaves in filters comes back as it was, or goes: by a fake of the kernel (fake_tc.h).
 *
 * In a kernel with simulated hardware: tests/tc/cases_adopt.py.
 */
#include <linux/if_ether.h>
#include <linux/tc_act/tc_pedit.h>
#include <netinet/in.h>

#include "tc_flows.h"
#include "unit.h"

static struct fo__tc *table(void)
{
	struct fo__tc *tc = fake_table(SLOTS);

	ck_assert_ptr_nonnull(tc);
	return tc;
}

/* The earlier process: it puts flows there, and is killed. */
static void put_flows(struct fo__tc *tc)
{
	unsigned int states[FLOWS] = {0};
	int results[FLOWS] = {0};
	struct fo_error errs[FLOWS];

	fo__tc_flows_add(tc, told, FLOWS, states, results, errs);
	for (unsigned int i = 0; i < FLOWS; i++)
		ck_assert_msg(!results[i], "flow %u: %s", i, errs[i].text);
}

static void leave_flows(void)
{
	struct fo__tc *tc = table();

	put_flows(tc);
	fake_table_gone(tc);
}

/* A table for a packet engine, which goes by the MTU of its ports. */
static struct fo__tc *engine(void)
{
	struct fo__tc *tc = table();

	tc->profile = FO_TC_PROFILE_PPE;
	tc->ports[0].mtu = tc->ports[1].mtu = 1400;
	return tc;
}

static int is_filter_of(const struct nlmsghdr *nlh, unsigned int i, unsigned int dir)
{
	struct fo__tc_seen seen;

	return !fo__tc_read(nlh, &seen) && seen.cookie.kind == FO__TC_OF_FLOW &&
	       seen.handle == fo__tc_handle(told[i].slot, dir);
}

static struct nlmsghdr *filter_of(unsigned int i, unsigned int dir)
{
	for (unsigned int at = 0; at < fake_n_filters; at++)
		if (is_filter_of(fake_filter(at), i, dir))
			return fake_filter(at);
	ck_abort_msg("no filter of flow %u, direction %u", i, dir);
	return NULL;
}

static unsigned int filters_of(unsigned int i)
{
	unsigned int n = 0;

	for (unsigned int at = 0; at < fake_n_filters; at++)
		n += is_filter_of(fake_filter(at), i, 0) || is_filter_of(fake_filter(at), i, 1);
	return n;
}

static void check_flow(unsigned int at, unsigned int i)
{
	const struct fo_flow *flow = &fake_told.flow[at];

	ck_assert_uint_eq(fake_told.cookie[at], cookies[i]);
	ck_assert_uint_eq(fake_told.state[at], FO_STATE_HARDWARE);
	ck_assert_uint_eq(fake_told.since_ms[at], told[i].since_ms);
	ck_assert_mem_eq(flow, &flows[i], sizeof(*flow));
}

static void check_side(unsigned int i)
{
	for (unsigned int at = 0; at < fake_told.n_adjs; at++)
		if (fake_told.adj_id[at] == side_ids[i]) {
			ck_assert_mem_eq(&fake_told.adj[at], &sides[i], sizeof(sides[i]));
			return;
		}
	ck_abort_msg("side %u did not come back", i);
}

/* ---- What comes back ---- */

START_TEST(what_an_earlier_process_left_comes_back_as_it_was)
{
	struct fo__tc *tc = table();
	unsigned int before;

	leave_flows();
	before = fake_n_filters;
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, FLOWS);
	ck_assert_uint_eq(fake_told.n_adjs, 4);
	for (unsigned int i = 0; i < FLOWS; i++)
		check_flow(i, i);
	for (unsigned int i = 0; i < 4; i++)
		check_side(i);
	ck_assert_uint_eq(fake_n_filters, before);
	ck_assert_uint_eq(tc->adopted, FLOWS);
	ck_assert_uint_eq(tc->cleared, 0);
	/* No stale handle comes to life. */
	ck_assert_uint_gt(fake_told.used >> 32, 502);
	for (unsigned int i = 0; i < FLOWS; i++)
		ck_assert_int_eq(fo__tc_flow_del(tc, told[i].slot, NULL), 0);
	fo__tc_guards_drop(tc, &tc->ports[0]);
	fo__tc_guards_drop(tc, &tc->ports[1]);
	ck_assert_uint_eq(fake_n_filters, 0);
	fake_table_gone(tc);
}
END_TEST

START_TEST(ports_in_another_order_are_the_same_ports)
{
	struct fo__tc *tc = table();
	struct fo__tc_port first = tc->ports[0];

	leave_flows();
	tc->ports[0] = tc->ports[1];
	tc->ports[1] = first;
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++)
		check_flow(i, i);
	ck_assert_uint_eq(tc->cleared, 0);
	fake_table_gone(tc);
}
END_TEST

START_TEST(flows_of_a_packet_engine_come_back_too)
{
	struct fo__tc *before = engine(), *tc = engine();

	put_flows(before);
	fake_table_gone(before);
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++)
		check_flow(i, i);
	for (unsigned int i = 0; i < 4; i++)
		check_side(i);
	ck_assert_uint_eq(tc->cleared, 0);
	fake_table_gone(tc);
}
END_TEST

START_TEST(counters_are_all_that_filters_counted)
{
	struct fo__tc *tc = table();

	leave_flows();
	fake_count(filter_of(0, 0), 10000, 100, 5000);
	fake_count(filter_of(0, 1), 3000, 20, 250);
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.packets[0][0], 100);
	ck_assert_uint_eq(fake_told.bytes[0][0], 10000 - 100 * 14);
	ck_assert_uint_eq(fake_told.last_ms[0][0], FAKE_NOW_MS - 5000);
	/* With its tag. */
	ck_assert_uint_eq(fake_told.packets[0][1], 20);
	ck_assert_uint_eq(fake_told.bytes[0][1], 3000 - 20 * 18);
	ck_assert_uint_eq(fake_told.last_ms[0][1], FAKE_NOW_MS - 250);
	ck_assert_uint_eq(fake_told.packets[1][0], 0);
	ck_assert_uint_eq(fake_told.last_ms[1][0], 0);
	/* What is read next is no more than it was. */
	ck_assert_int_eq(fo__tc_flow_stats(tc, told[0].slot), 0);
	ck_assert_uint_eq(fake_told.packets[0][0], 100);
	fake_table_gone(tc);
}
END_TEST

START_TEST(changes_are_kept_and_counters_go_on_over_them)
{
	struct fo__tc *before = table(), *tc = table();
	struct fo_backend_flow change;
	struct fo_error err;

	put_flows(before);
	fake_count(filter_of(0, 0), 10000, 100, 5000);
	change = told[0];
	change.since_ms = 0;
	flows[0].tag = 4711;
	flows[0].user = 42;
	flows[0].ct_mark = 43;
	flows[0].timeout_ms = change.timeout_ms = 99000;
	ck_assert_msg(!fo__tc_flow_update(before, &change, FO_UPDATE_TAG, &err), "%s", err.text);
	fake_count(filter_of(0, 0), 1000, 10, 100);
	fake_table_gone(before);
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, FLOWS);
	check_flow(0, 0);
	ck_assert_uint_eq(fake_told.packets[0][0], 110);
	ck_assert_uint_eq(fake_told.bytes[0][0], 11000 - 110 * 14);
	fake_table_gone(tc);
}
END_TEST

/* ---- What goes ---- */

static struct nlattr *option(struct nlmsghdr *nlh, uint16_t type)
{
	struct nlattr *attr = fake_nested(fake_options(nlh), type);

	ck_assert_ptr_nonnull(attr);
	return attr;
}

static struct nlattr *action(struct nlmsghdr *nlh, const char *kind, unsigned int nth)
{
	struct nlattr *order;

	for (uint16_t i = 1; (order = fake_nested(option(nlh, TCA_FLOWER_ACT), i)) != NULL; i++)
		if (!strcmp(mnl_attr_get_payload(fake_nested(order, TCA_ACT_KIND)), kind) && !nth--)
			return order;
	ck_abort_msg("no action %s", kind);
	return NULL;
}

static uint8_t *cookie(struct nlattr *order)
{
	return mnl_attr_get_payload(fake_nested(order, TCA_ACT_COOKIE));
}

static void remove_reply(void)
{
	fake_delete(filter_of(0, 1));
}

static void leave_hardware(void)
{
	fake_set_flags(filter_of(0, 1), TCA_CLS_FLAGS_SKIP_SW | TCA_CLS_FLAGS_NOT_IN_HW);
}

static void move_to_software(void)
{
	fake_set_flags(filter_of(0, 0), TCA_CLS_FLAGS_IN_HW);
}

static void change_address(void)
{
	*(uint8_t *)mnl_attr_get_payload(option(filter_of(0, 0), TCA_FLOWER_KEY_IPV4_DST)) ^= 1;
}

static void widen_mask(void)
{
	*(uint8_t *)mnl_attr_get_payload(option(filter_of(0, 0), TCA_FLOWER_KEY_IPV4_DST_MASK)) = 0xf0;
}

static void drop_guard(void)
{
	memset(mnl_attr_get_payload(option(filter_of(0, 0), TCA_FLOWER_KEY_FLAGS_MASK)), 0, 4);
}

static void match_more(void)
{
	option(filter_of(0, 0), TCA_FLOWER_KEY_FLAGS)->nla_type = TCA_FLOWER_KEY_ENC_OPTS;
}

static void match_what_nobody_knows(void)
{
	option(filter_of(0, 0), TCA_FLOWER_KEY_FLAGS)->nla_type = TCA_FLOWER_MAX + 1;
}

static void send_elsewhere(void)
{
	struct tc_mirred *mirred = mnl_attr_get_payload(fake_nested(
		fake_nested(action(filter_of(0, 0), "mirred", 0), TCA_ACT_OPTIONS), TCA_MIRRED_PARMS));

	mirred->ifindex = 5;
}

static void do_what_nobody_knows(void)
{
	memcpy(mnl_attr_get_payload(fake_nested(action(filter_of(0, 0), "csum", 0), TCA_ACT_KIND)), "gact",
	       4);
}

static void another_generation(void)
{
	cookie(action(filter_of(0, 1), "mirred", 0))[12] ^= 1;
}

static void another_version(void)
{
	cookie(action(filter_of(0, 0), "mirred", 0))[4]++;
}

static void no_generation(void)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		memset(cookie(action(filter_of(0, dir), "mirred", 0)) + 12, 0, 4);
}

static void no_words(void)
{
	fake_nested(action(filter_of(0, 0), "pedit", 1), TCA_ACT_COOKIE)->nla_type = TCA_ACT_PAD;
}

static void no_timeout(void)
{
	memset(cookie(action(filter_of(0, 1), "pedit", 2)) + 8, 0, 4);
}

static void no_timeout_that_anybody_may_give(void)
{
	memset(cookie(action(filter_of(0, 1), "pedit", 2)) + 8, 0x7f, 4);
}

static void another_mtu(void)
{
	cookie(action(filter_of(0, 1), "pedit", 0))[12] ^= 4;
}

static void twice(void)
{
	struct nlmsghdr *nlh = fake_filter(fake_n_filters++);

	memcpy(nlh, filter_of(0, 0), filter_of(0, 0)->nlmsg_len);
	fake_tcmsg(nlh)->tcm_info = (uint32_t)(FO_TC_PRIORITY + FO__TC_FLOW_Q) << 16 | htons(ETH_P_8021Q);
}

static void beyond_capacity(void)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		fake_tcmsg(filter_of(0, dir))->tcm_handle = fo__tc_handle(SLOTS, dir);
}

static void edit_less(void)
{
	struct nlattr *options = fake_nested(action(filter_of(0, 0), "pedit", 0), TCA_ACT_OPTIONS);

	struct tc_pedit_sel *sel = mnl_attr_get_payload(fake_nested(options, TCA_PEDIT_PARMS_EX));

	sel->keys[0].mask ^= 1;
}

static const struct {
	const char *what;
	void (*damage)(void);
} damages[] = {
	{"one direction is gone", remove_reply},
	{"it has left the hardware", leave_hardware},
	{"it may be in software", move_to_software},
	{"another address is matched", change_address},
	{"less of an address is matched", widen_mask},
	{"fragments are matched", drop_guard},
	{"a key more", match_more},
	{"a key of a newer kernel", match_what_nobody_knows},
	{"it goes elsewhere", send_elsewhere},
	{"an action of others", do_what_nobody_knows},
	{"another generation", another_generation},
	{"another version", another_version},
	{"no generation", no_generation},
	{"no words of the caller's", no_words},
	{"no timeout", no_timeout},
	{"a timeout of months", no_timeout_that_anybody_may_give},
	{"an MTU that is not the policer's", another_mtu},
	{"the same one in two places", twice},
	{"a slot that this table has not", beyond_capacity},
	{"a part of a MAC is left as it was", edit_less},
};

START_TEST(what_is_not_whole_goes_and_nothing_else)
{
	struct fo__tc *tc = table();

	leave_flows();
	damages[_i].damage();
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_msg(fake_told.n_flows == FLOWS - 1, "%s: %u flows", damages[_i].what, fake_told.n_flows);
	check_flow(0, 1);
	check_flow(1, 2);
	ck_assert_msg(!filters_of(0), "%s: %u filters of it are left", damages[_i].what, filters_of(0));
	ck_assert_uint_eq(filters_of(1), 2);
	ck_assert_uint_eq(filters_of(2), 2);
	ck_assert_uint_gt(tc->cleared, 0);
	ck_assert_ptr_null(fo__tc_record(tc, cookies[0], told[0].slot));
	fake_table_gone(tc);
}
END_TEST

START_TEST(flows_that_say_otherwise_of_one_side_are_not_adopted)
{
	struct fo__tc *tc = table();

	/* It comes from side 0, as flow 0 does, but knows it by another L3 device. */
	leave_flows();
	cookie(action(filter_of(1, 0), "pedit", 0))[8]++;
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, FLOWS - 1);
	check_side(0);
	ck_assert_uint_eq(filters_of(1), 0);
	fake_table_gone(tc);
}
END_TEST

START_TEST(hardware_that_takes_other_rules_now_begins_anew)
{
	struct fo__tc *tc = engine();

	leave_flows();
	ck_assert_int_eq(fake_adopt(tc), 0);
	ck_assert_uint_eq(fake_told.n_flows, 0);
	ck_assert_uint_eq(fake_n_filters, 0); /* nor a guard */
	fake_table_gone(tc);
}
END_TEST

START_TEST(filters_of_others_refuse_the_table_and_nothing_is_touched)
{
	struct fo__tc *tc = table();
	unsigned int before;

	leave_flows();
	cookie(action(filter_of(0, 0), "mirred", 0))[0] ^= 1;
	before = fake_n_filters;
	ck_assert_int_eq(fake_adopt(tc), -EBUSY);
	ck_assert_uint_eq(fake_n_filters, before);
	ck_assert(fo__tc_flows_stay(tc));
	fake_table_gone(tc);
}
END_TEST

START_TEST(every_bit_that_is_turned_is_noticed_or_told)
{
	unsigned int kept = 0, gone = 0;

	leave_flows();
	for (size_t bit = sizeof(struct nlmsghdr) * 8; bit < (size_t)filter_of(0, 0)->nlmsg_len * 8;
	     bit += 5) {
		static struct fake_filter saved[FAKE_FILTERS];
		unsigned int n = fake_n_filters;
		struct fo__tc *tc = table();

		memcpy(saved, fake_filters, sizeof(saved));
		((uint8_t *)filter_of(0, 0))[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!fake_adopt(tc)) {
			kept += fake_told.n_flows == FLOWS;
			gone += fake_told.n_flows != FLOWS;
			ck_assert_uint_ge(fake_told.n_flows, FLOWS - 1);
		}
		fake_table_gone(tc);
		memcpy(fake_filters, saved, sizeof(saved));
		fake_n_filters = n;
	}
	ck_assert_uint_gt(gone, kept);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("tc_adopt");
	TCase *back = tcase_create("back"), *going = tcase_create("going");

	tcase_add_checked_fixture(back, describe, NULL);
	tcase_add_test(back, what_an_earlier_process_left_comes_back_as_it_was);
	tcase_add_test(back, ports_in_another_order_are_the_same_ports);
	tcase_add_test(back, flows_of_a_packet_engine_come_back_too);
	tcase_add_test(back, counters_are_all_that_filters_counted);
	tcase_add_test(back, changes_are_kept_and_counters_go_on_over_them);
	suite_add_tcase(suite, back);
	tcase_add_checked_fixture(going, describe, NULL);
	tcase_add_loop_test(going, what_is_not_whole_goes_and_nothing_else, 0,
			    (int)(sizeof(damages) / sizeof(damages[0])));
	tcase_add_test(going, flows_that_say_otherwise_of_one_side_are_not_adopted);
	tcase_add_test(going, hardware_that_takes_other_rules_now_begins_anew);
	tcase_add_test(going, filters_of_others_refuse_the_table_and_nothing_is_touched);
	tcase_add_test(going, every_bit_that_is_turned_is_noticed_or_told);
	suite_add_tcase(suite, going);
	return suite;
}
