/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tc.c - the parts of the tc backend that need no kernel: filters as messages, counters, refusals, options.
 *
 * What needs cls_flower and hardware is in tests/tc and tests/conformance and runs in the lab.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "backends/tc/state.h"
#include "backends/tc/tc.h"
#include "unit.h"

static uint64_t now_ms;
static uint64_t counted_packets, counted_bytes;

static uint64_t clock_ms(struct fo_host *host)
{
	(void)host;
	return now_ms;
}

static void count(struct fo_host *host, uint64_t cookie, enum fo_dir dir, uint64_t packets, uint64_t bytes,
		  uint64_t last_seen_ms)
{
	(void)host;
	(void)last_seen_ms;
	ck_assert_uint_eq(cookie, 77);
	ck_assert_int_eq(dir, FO_REPLY);
	counted_packets += packets;
	counted_bytes += bytes;
}

static const struct fo_host_ops ops = {.size = sizeof(ops), .now_ms = clock_ms, .count = count};

static struct fo__tc *make(uint32_t profile)
{
	struct fo__tc *tc = calloc(1, sizeof(*tc));

	ck_assert_ptr_nonnull(tc);
	tc->ops = &ops;
	tc->profile = profile;
	tc->own.priority = 50000;
	tc->ports[0] = (struct fo__tc_port){.index = 5, .mtu = 1500, .lock = -1, .name = "five"};
	tc->ports[1] = (struct fo__tc_port){.index = 6, .mtu = 1500, .lock = -1, .name = "six"};
	return tc;
}

/* The largest that there is: every edit, two tags off and two on, a policer. */
struct worst {
	struct fo_tuple in, out;
	struct fo_adj from, into;
	struct fo__tc_rule rule;
};

static void make_worst(struct worst *worst, const struct fo__tc *tc)
{
	memset(worst, 0, sizeof(*worst));
	worst->in.family = FO_FAMILY_IPV6;
	worst->in.proto = IPPROTO_TCP;
	worst->out = worst->in;
	memset(worst->out.src, 1, 16);
	memset(worst->out.dst, 2, 16);
	worst->out.sport_be = worst->out.dport_be = 3;
	worst->from.n_encaps = worst->into.n_encaps = 2;
	for (unsigned int i = 0; i < 2; i++)
		worst->from.encap[i] = worst->into.encap[i] =
			(struct fo_encap){.kind = i ? FO_ENCAP_8021Q : FO_ENCAP_8021AD, .id = 7};
	worst->into.mtu = 1400;
	worst->rule = (struct fo__tc_rule){.cookie = {FO__TC_MAGIC, FO__TC_VERSION, FO__TC_OF_FLOW, 1, 9, 77},
					   .port = &tc->ports[0],
					   .to = 6,
					   .handle = fo__tc_handle(1234, 1),
					   .prio = FO__TC_FLOW_AD,
					   .in = &worst->in,
					   .out = &worst->out,
					   .from = &worst->from,
					   .into = &worst->into,
					   .dscp = FO_DSCP_SET(46),
					   .police = 1};
}

START_TEST(the_largest_rules_fit_a_request_by_the_batch)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_EXPLICIT);
	uint8_t *buffer = malloc(FO__TC_TX_ROOM);
	struct worst worst;
	struct fo__tx tx;

	ck_assert_ptr_nonnull(buffer);
	make_worst(&worst, tc);
	fo__tx_begin(&tx, buffer, FO__TC_TX_ROOM, 1);
	for (unsigned int i = 0; i < FO__TC_BATCH; i++)
		fo__tc_put_rule(tc, &tx, NLM_F_EXCL | NLM_F_ECHO, &worst.rule);
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	free(buffer);
	free(tc);
}
END_TEST

START_TEST(a_filter_is_read_as_it_was_written)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_EXPLICIT);
	uint8_t buffer[4096] __attribute__((aligned(4)));
	struct fo__tc_seen seen;
	struct worst worst;
	struct fo__tx tx;

	make_worst(&worst, tc);
	fo__tx_begin(&tx, buffer, sizeof(buffer), 1);
	fo__tc_put_rule(tc, &tx, 0, &worst.rule);
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	ck_assert_int_eq(fo__tc_read((const struct nlmsghdr *)buffer, &seen), 0);
	ck_assert_uint_eq(seen.ifindex, 5);
	ck_assert_uint_eq(seen.handle, 1234 * 2 + 2);
	ck_assert_uint_eq(seen.prio, 50000 + FO__TC_FLOW_AD);
	ck_assert(seen.ours && !seen.in_hw && !seen.counted);
	ck_assert_mem_eq(&seen.cookie, &worst.rule.cookie, sizeof(seen.cookie));
	free(tc);
}
END_TEST

/* Of the rule's actions, how many say so. */
static unsigned int without_counters_for_each_processor(struct fo__tc *tc, unsigned int *n_actions)
{
	const struct nlattr *attrs[TCA_MAX + 1], *flower[TCA_FLOWER_MAX + 1], *orders[TCA_ACT_MAX_PRIO + 1],
		*action[TCA_ACT_MAX + 1];
	uint8_t buffer[4096] __attribute__((aligned(4)));
	struct nla_bitfield32 flags;
	unsigned int found = 0;
	struct worst worst;
	struct fo__tx tx;

	make_worst(&worst, tc);
	fo__tx_begin(&tx, buffer, sizeof(buffer), 1);
	fo__tc_put_rule(tc, &tx, 0, &worst.rule);
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	ck_assert_int_eq(fo__rx_attrs((const struct nlmsghdr *)buffer, sizeof(struct tcmsg), attrs, TCA_MAX),
			 0);
	ck_assert_int_eq(fo__rx_nested(attrs[TCA_OPTIONS], flower, TCA_FLOWER_MAX), 0);
	ck_assert_int_eq(fo__rx_nested(flower[TCA_FLOWER_ACT], orders, TCA_ACT_MAX_PRIO), 0);
	*n_actions = 0;
	for (unsigned int i = 0; i <= TCA_ACT_MAX_PRIO; i++) {
		if (!orders[i])
			continue;
		++*n_actions;
		ck_assert_int_eq(fo__rx_nested(orders[i], action, TCA_ACT_MAX), 0);
		if (fo__rx_bytes(action[TCA_ACT_FLAGS], &flags, sizeof(flags)))
			continue;
		found += flags.value == TCA_ACT_FLAGS_NO_PERCPU_STATS && flags.selector == flags.value;
	}
	return found;
}

START_TEST(what_hardware_counts_has_no_counters_for_each_processor)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_EXPLICIT);
	unsigned int n;

	ck_assert_uint_eq(without_counters_for_each_processor(tc, &n), n);
	ck_assert_uint_gt(n, 0);
	tc->own.mode = FO_TC_SOFTWARE;
	ck_assert_uint_eq(without_counters_for_each_processor(tc, &n), 0);
	free(tc);
}
END_TEST

START_TEST(a_cut_message_is_refused_at_every_length)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_PPE);
	uint8_t buffer[4096] __attribute__((aligned(4)));
	struct worst worst;
	struct fo__tx tx;
	ssize_t size;

	make_worst(&worst, tc);
	fo__tx_begin(&tx, buffer, sizeof(buffer), 1);
	fo__tc_put_rule(tc, &tx, 0, &worst.rule);
	size = fo__tx_end(&tx);
	ck_assert_int_gt(size, 0);
	for (ssize_t cut = NLMSG_HDRLEN; cut < size; cut += 4) {
		uint8_t *copy = malloc((size_t)cut); /* so that a reader beyond it is caught */
		struct fo__tc_seen seen;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, buffer, (size_t)cut);
		((struct nlmsghdr *)(void *)copy)->nlmsg_len = (uint32_t)cut;
		ck_assert_int_lt(fo__tc_read((const struct nlmsghdr *)(void *)copy, &seen), 0);
		free(copy);
	}
	free(tc);
}
END_TEST

static void see(struct fo__tc *tc, uint32_t packets, uint64_t bytes)
{
	struct fo__tc_seen seen = {.counted = 1, .packets = packets, .bytes = bytes};

	counted_packets = counted_bytes = 0;
	fo__tc_count(tc, 0, FO_REPLY, &seen);
	fo__tc_report(tc, 0);
}

START_TEST(counters_are_increments_of_ip_bytes_and_go_round)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_EXPLICIT);
	struct fo__tc_record record = {.cookie = 77, .overhead = {14, 18}};

	tc->records = &record;
	see(tc, 10, 10 * (100 + 18));
	ck_assert(counted_packets == 10 && counted_bytes == 1000);
	see(tc, 10, 10 * (100 + 18));
	ck_assert(counted_packets == 0 && counted_bytes == 0);
	record.packets[FO_REPLY] = UINT32_MAX - 1;
	record.bytes[FO_REPLY] = 1000000;
	see(tc, 1, 1000000 + 3 * (50 + 18));
	ck_assert(counted_packets == 3 && counted_bytes == 150);
	/* Hardware that says less than a header has no bytes to tell. */
	see(tc, 2, 1000000 + 3 * (50 + 18) + 10);
	ck_assert(counted_packets == 1 && counted_bytes == 0);
	/* A dump that began before the last reading. */
	see(tc, 1, 1000000 + 3 * (50 + 18));
	ck_assert(counted_packets == 0 && counted_bytes == 0);
	see(tc, 3, 1000000 + 4 * (50 + 18) + 10);
	ck_assert(counted_packets == 1 && counted_bytes == 50);
	free(tc);
}
END_TEST

START_TEST(a_refusal_is_remembered_by_shape_and_pair_for_a_while)
{
	struct fo__tc *tc = make(FO_TC_PROFILE_EXPLICIT);
	struct fo_error err;
	struct worst worst, other;

	make_worst(&worst, tc);
	make_worst(&other, tc);
	now_ms = 1000;
	fo__tc_remember(tc, &worst.rule, ENOSPC, "full");
	ck_assert_int_eq(fo__tc_remembered(tc, &worst.rule, &err), 0);
	fo__tc_remember(tc, &worst.rule, EOPNOTSUPP, "No IPv6 here");
	ck_assert_int_eq(fo__tc_remembered(tc, &worst.rule, &err), -EOPNOTSUPP);
	ck_assert_int_eq(err.reason, FO_R_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "No IPv6 here"));
	/* Another address is the same shape, another protocol or way is not. */
	other.in.src[15] = 9;
	ck_assert_int_eq(fo__tc_remembered(tc, &other.rule, &err), -EOPNOTSUPP);
	other.in.proto = IPPROTO_UDP;
	ck_assert_int_eq(fo__tc_remembered(tc, &other.rule, &err), 0);
	other = worst;
	other.rule.in = &other.in;
	other.rule.out = &other.out;
	other.rule.port = &tc->ports[1];
	other.rule.to = 5;
	ck_assert_int_eq(fo__tc_remembered(tc, &other.rule, &err), 0);
	now_ms += 60000;
	ck_assert_int_eq(fo__tc_remembered(tc, &worst.rule, &err), 0);
	free(tc);
}
END_TEST

START_TEST(refusals_have_the_reason_of_their_errno)
{
	static const struct {
		int error, code;
		unsigned int reason;
	} rows[] = {
		{ENOSPC, -ENOSPC, FO_R_FULL},	 {EOPNOTSUPP, -EOPNOTSUPP, FO_R_UNSUPPORTED},
		{EEXIST, -EBUSY, FO_R_IN_USE},	 {ENODEV, -ENODEV, FO_R_EGRESS_DOWN},
		{EAGAIN, -EAGAIN, FO_R_BUSY},	 {EPERM, -EPERM, FO_R_PERMISSION},
		{EHWPOISON, -EIO, FO_R_BACKEND},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fo_error err;

		ck_assert_int_eq(fo__tc_refused(&err, rows[i].error, "its words", "it"), rows[i].code);
		ck_assert_int_eq(err.reason, rows[i].reason);
		ck_assert_int_eq(err.backend_errno, rows[i].error);
		ck_assert_ptr_nonnull(strstr(err.text, "its words"));
	}
}
END_TEST

START_TEST(options_are_checked_field_by_field)
{
	struct {
		struct fo_tc_options own;
		uint64_t newer;
	} given;
	struct fo_table_options options;
	struct fo_tc_options out;
	struct fo_error err;

	FO_INIT(&options);
	options.backend = "tc";
	options.backend_options = &given;
	memset(&given, 0, sizeof(given));
	given.own.size = sizeof(given.own);
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), 0);
	ck_assert_uint_eq(out.priority, FO_TC_PRIORITY);
	given.own.priority = 65535;
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), -EINVAL);
	ck_assert_str_eq(err.field, "backend_options.priority");
	given.own.priority = 0;
	given.own.profile = 3;
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), -EINVAL);
	given.own.profile = FO_TC_PROFILE_PPE;
	given.own.mode = FO_TC_SOFTWARE;
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), -EINVAL);
	given.own.mode = given.own.profile = 0;
	given.own.size = sizeof(given);
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), 0);
	given.newer = 1;
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), -EINVAL);
	ck_assert_int_eq(err.reason, FO_R_SIZE);
	/* With "auto" they may be another backend's. */
	options.backend = "auto";
	ck_assert_int_eq(fo__tc_options_take(&options, &out, &err), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("tc");
	TCase *filters = tcase_create("filters"), *rest = tcase_create("rest");

	tcase_add_test(filters, the_largest_rules_fit_a_request_by_the_batch);
	tcase_add_test(filters, a_filter_is_read_as_it_was_written);
	tcase_add_test(filters, a_cut_message_is_refused_at_every_length);
	tcase_add_test(filters, what_hardware_counts_has_no_counters_for_each_processor);
	suite_add_tcase(suite, filters);
	tcase_add_test(rest, counters_are_increments_of_ip_bytes_and_go_round);
	tcase_add_test(rest, a_refusal_is_remembered_by_shape_and_pair_for_a_while);
	tcase_add_test(rest, refusals_have_the_reason_of_their_errno);
	tcase_add_test(rest, options_are_checked_field_by_field);
	suite_add_tcase(suite, rest);
	return suite;
}
