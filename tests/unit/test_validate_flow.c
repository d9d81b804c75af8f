/* SPDX-License-Identifier: BSD-2-Clause */
/* test_validate_flow.c - connections and their updates: what is taken, what is refused and how.
 *
 * Neighbours: test_needs.c (NAT, capabilities), test_validate.c, test_validate_adj.c; patch.h has the tables' rows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/tuple.h"
#include "core/validate.h"
#include "patch.h"
#include "samples.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As fo_flow_add() asks: the caller's struct is taken, then checked. */
static int check_flow(const struct fo_flow *in, struct fo_flow *out, struct fo_error *err)
{
	int rc = fo__take_flow(in, out, err);

	return rc ? rc : fo__check_flow(out, err);
}

START_TEST(flow_is_taken_as_it_is)
{
	struct fo_flow in = good_flow(), out;

	in.needs = FO__CAP_ALL;
	in.user = UINT64_MAX;
	in.tag = 5;
	in.ct_mark = 6;
	in.timeout_ms = FO_TIMEOUT_NEVER;
	in.scope = 65535;
	in.dscp[0] = FO_DSCP_SET(0);
	in.dscp[1] = FO_DSCP_SET(63);
	in.nat = FO_NAT_SRC;
	ck_assert_int_eq(check_flow(&in, &out, NULL), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

#define FLOW(member, number) SET(struct fo_flow, member, number)
#define BOTH(member, number) FLOW(tuple[0].member, number), FLOW(tuple[1].member, number)

static const struct refusal bad_flows[] = {
	{{FLOW(size, 0)}, -EINVAL, FO_R_SIZE, "size"},
	{{FLOW(size, SIZE_MAX)}, -EINVAL, FO_R_SIZE, "size"},
	{{FLOW(tuple[0].family, 0)}, -EINVAL, FO_R_TUPLE, "tuple[0].family"},
	{{FLOW(tuple[0].family, 2)}, -EINVAL, FO_R_TUPLE, "tuple[0].family"},
	{{FLOW(tuple[1].family, 6)}, -EINVAL, FO_R_TUPLE, "tuple[1].family"},
	{{FLOW(tuple[0].family, 6)}, -EINVAL, FO_R_TUPLE, "tuple[1].family"},
	{{FLOW(tuple[1].proto, 17)}, -EINVAL, FO_R_TUPLE, "tuple[1].proto"},
	{{BOTH(proto, 0)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 58)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 132)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 136)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 33)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 47)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 255)}, -EINVAL, FO_R_TUPLE, "tuple[0].proto"},
	{{BOTH(proto, 1)}, -EINVAL, FO_R_TUPLE, "tuple[0].dport_be"},
	{{FLOW(tuple[0].src[4], 1)}, -EINVAL, FO_R_TUPLE, "tuple[0].src"},
	{{FLOW(tuple[1].dst[15], 1)}, -EINVAL, FO_R_TUPLE, "tuple[1].dst"},
	{{FLOW(tuple[0].sport_be, 0)}, -EINVAL, FO_R_TUPLE, "tuple[0].sport_be"},
	{{FLOW(tuple[0].dport_be, 0)}, -EINVAL, FO_R_TUPLE, "tuple[0].dport_be"},
	{{FLOW(tuple[1].sport_be, 0)}, -EINVAL, FO_R_TUPLE, "tuple[1].sport_be"},
	{{FLOW(tuple[1].dport_be, 0)}, -EINVAL, FO_R_TUPLE, "tuple[1].dport_be"},
	{{FLOW(tuple[0].reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "tuple[0].reserved"},
	{{FLOW(tuple[1].reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "tuple[1].reserved"},
	{{FLOW(adj[0], 0)}, -EINVAL, FO_R_ADJACENCY, "adj[0]"},
	{{FLOW(adj[1], 0)}, -EINVAL, FO_R_ADJACENCY, "adj[1]"},
	{{FLOW(needs, UINT64_C(1) << FO_CAP_COUNT)}, -EINVAL, FO_R_ARGUMENT, "needs"},
	{{FLOW(dscp[0], 1)}, -EINVAL, FO_R_ARGUMENT, "dscp[0]"},
	{{FLOW(dscp[1], 0x7f)}, -EINVAL, FO_R_ARGUMENT, "dscp[1]"},
	{{FLOW(dscp[0], 0xc0)}, -EINVAL, FO_R_ARGUMENT, "dscp[0]"},
	{{FLOW(nat, 8)}, -EINVAL, FO_R_ARGUMENT, "nat"},
	{{FLOW(nat, FO_NAT_NONE | FO_NAT_SRC)}, -EINVAL, FO_R_NAT, "nat"},
	{{FLOW(nat, FO_NAT_NONE | FO_NAT_DST)}, -EINVAL, FO_R_NAT, "nat"},
	{{FLOW(reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
};

START_TEST(flow_that_is_wrong_is_refused)
{
	const struct refusal *bad = &bad_flows[_i];
	struct fo_flow in = good_flow(), before, out;
	struct fo_error err;
	size_t i;

	for (i = 0; i < COUNT(bad->patch); i++)
		patch_apply(&in, &bad->patch[i]);
	before = in;
	expect_error(&err, check_flow(&in, &out, &err), bad->code, bad->reason, bad->field);
	ck_assert_int_eq(err.stage, FO_STAGE_VALIDATE);
	ck_assert(bad->reason == FO_R_SIZE || strstr(err.text, bad->field) != NULL);
	ck_assert_mem_eq(&in, &before, sizeof(in));
	ck_assert_int_eq(check_flow(&in, &out, NULL), bad->code);
}
END_TEST

START_TEST(flow_null_is_refused_and_an_older_one_is_read)
{
	struct fo_flow in = good_flow(), out;
	struct fo_error err;

	expect_error(&err, check_flow(NULL, &out, &err), -EINVAL, FO_R_ARGUMENT, "flow");
	in.reserved = 1;
	in.nat = FO_NAT_NONE;
	in.size = offsetof(struct fo_flow, nat);
	ck_assert_int_eq(check_flow(&in, &out, &err), 0);
	ck_assert_uint_eq(out.nat, 0);
	ck_assert_uint_eq(out.size, sizeof(out));
}
END_TEST

START_TEST(protocols_refused_are_named)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} named[] = {{132, "SCTP"}, {136, "UDP-Lite"}, {33, "DCCP"}};
	struct fo_error err;
	size_t i;

	for (i = 0; i < COUNT(named); i++) {
		struct fo_flow in = good_flow(), out;

		in.tuple[0].proto = named[i].proto;
		in.tuple[1].proto = named[i].proto;
		ck_assert_int_eq(check_flow(&in, &out, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, named[i].name));
	}
}
END_TEST

/* ---- Addresses ---- */

static const struct {
	const char *text;
	const char *word; /* of the refusal; NULL: taken */
} addresses[] = {
	{"0.0.0.0", "zero"},
	{"0.0.0.1", NULL},
	{"1.0.0.0", NULL},
	{"10.0.0.255", NULL},
	{"100.64.0.1", NULL},
	{"126.255.255.255", NULL},
	{"127.0.0.0", "loopback"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"128.0.0.0", NULL},
	{"169.253.255.255", NULL},
	{"169.254.0.0", "link-local"},
	{"169.254.255.255", "link-local"},
	{"169.255.0.0", NULL},
	{"223.255.255.255", NULL},
	{"224.0.0.0", "multicast"},
	{"232.1.1.1", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.1", NULL},
	{"255.255.255.254", NULL},
	{"255.255.255.255", "broadcast"},
	{"::", "zero"},
	{"::1", "loopback"},
	{"::2", NULL},
	{"::1.2.3.4", NULL},
	{"::fffe:1.2.3.4", NULL},
	{"::ffff:0.0.0.0", "v4-mapped"},
	{"::ffff:1.2.3.4", "v4-mapped"},
	{"::1:ffff:1.2.3.4", NULL},
	{"64:ff9b::1.2.3.4", NULL},
	{"2001:db8::1", NULL},
	{"fd00::1", NULL},
	{"fe7f:ffff::1", NULL},
	{"fe80::1", "link-local"},
	{"fe80::", "link-local"},
	{"febf:ffff::1", "link-local"},
	{"fec0::1", NULL},
	{"feff::1", NULL},
	{"ff00::", "multicast"},
	{"ff02::1", "multicast"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
};

/* Each address at each of the four places, the other tuple answering as it should. */
START_TEST(addresses_are_judged_by_their_class)
{
	bool v6 = strchr(addresses[_i].text, ':') != NULL;
	const char *other = v6 ? "2001:db8:9::9" : "9.9.9.9";
	const char *third = v6 ? "2001:db8:8::8" : "8.8.8.8";
	unsigned int place;

	for (place = 0; place < 4; place++) {
		unsigned int d = place >> 1;
		bool dst = place & 1;
		struct fo_flow in = good_flow(), out;
		struct fo_error err;
		char field[32];
		int rc;

		set_tuple(&in.tuple[d], 17, dst ? other : addresses[_i].text, 5,
			  dst ? addresses[_i].text : other, 6);
		/* The other tuple shares the end that is not tested: a translation of this end, which is legal. */
		set_tuple(&in.tuple[1 - d], 17, dst ? third : other, 6, dst ? other : third, 5);
		snprintf(field, sizeof(field), "tuple[%u].%s", d, dst ? "dst" : "src");
		rc = check_flow(&in, &out, &err);
		if (!addresses[_i].word) {
			ck_assert_msg(rc == 0, "%s as %s: %s", addresses[_i].text, field, err.text);
			continue;
		}
		ck_assert_msg(rc == -EINVAL, "%s as %s is taken", addresses[_i].text, field);
		ck_assert_int_eq(err.reason, FO_R_ADDRESS);
		ck_assert_str_eq(err.field, field);
		ck_assert_msg(strstr(err.text, addresses[_i].word) != NULL, "%s", err.text);
	}
}
END_TEST

START_TEST(tuple_that_is_the_same_both_ways_is_refused)
{
	unsigned int nat;

	for (nat = 0; nat < 8; nat++) {
		struct fo_flow in = good_flow(), out;
		struct fo_error err;

		in.tuple[1] = in.tuple[0];
		in.nat = nat;
		expect_error(&err, check_flow(&in, &out, &err), -EINVAL, FO_R_TUPLE, "tuple[1]");
	}
}
END_TEST

START_TEST(tuple_of_a_host_to_itself_is_refused)
{
	struct fo_flow in = good_flow(), out;
	struct fo_error err;

	set_tuple(&in.tuple[0], 6, A, 40, A, 80);
	expect_error(&err, check_flow(&in, &out, &err), -EINVAL, FO_R_TUPLE, "tuple[0].dst");
	in = good_flow();
	set_tuple(&in.tuple[1], 6, B, 443, B, 50000);
	expect_error(&err, check_flow(&in, &out, &err), -EINVAL, FO_R_TUPLE, "tuple[1].dst");
}
END_TEST

/* Every type and code in both directions, both families: one of 65536 each is right. */
START_TEST(icmp_types_are_fixed_by_direction)
{
	static const unsigned int right[2][2] = {{REQ, REP}, {REQ6, REP6}};
	unsigned int v6, d, type, taken;

	for (v6 = 0; v6 < 2; v6++) {
		for (d = 0; d < 2; d++) {
			struct fo_flow in = echo_flow(v6 != 0), out;
			struct fo_error err;

			for (type = 0, taken = 0; type < 65536; type++) {
				in.tuple[d].dport_be = htons((uint16_t)type);
				if (!check_flow(&in, &out, &err)) {
					ck_assert_uint_eq(type, right[v6][d]);
					taken++;
					continue;
				}
				ck_assert_int_eq(err.reason, FO_R_TUPLE);
				ck_assert_str_eq(err.field, d ? "tuple[1].dport_be" : "tuple[0].dport_be");
			}
			ck_assert_uint_eq(taken, 1);
		}
	}
}
END_TEST

START_TEST(icmp_of_the_other_family_is_refused)
{
	struct fo_flow in = echo_flow(true), out;
	struct fo_error err;

	in.tuple[0].proto = 1;
	in.tuple[1].proto = 1;
	expect_error(&err, check_flow(&in, &out, &err), -EINVAL, FO_R_TUPLE, "tuple[0].proto");
}
END_TEST

/* ---- Updates ---- */

START_TEST(update_takes_the_members_of_its_mask_alone)
{
	unsigned int mask;

	for (mask = 0; mask < 64; mask++) {
		struct fo_flow in, out, expected;

		FO_INIT(&expected);
		memset(&in, 0, sizeof(in));
		in.size = sizeof(in);
		in.timeout_ms = 11;
		in.tag = 12;
		in.ct_mark = 13;
		in.dscp[1] = FO_DSCP_SET(14);
		in.adj[0] = 15;
		in.adj[1] = 16;
		in.user = 17;
		if (mask & FO_UPDATE_TIMEOUT)
			expected.timeout_ms = 11;
		if (mask & FO_UPDATE_TAG)
			expected.tag = 12;
		if (mask & FO_UPDATE_MARK)
			expected.ct_mark = 13;
		if (mask & FO_UPDATE_DSCP)
			expected.dscp[1] = FO_DSCP_SET(14);
		if (mask & FO_UPDATE_ADJ) {
			expected.adj[0] = 15;
			expected.adj[1] = 16;
		}
		if (mask & FO_UPDATE_USER)
			expected.user = 17;
		ck_assert_int_eq(fo__check_update(mask, &in, &out, NULL), 0);
		ck_assert_mem_eq(&out, &expected, sizeof(out));
	}
}
END_TEST

START_TEST(update_refuses_what_is_wrong_and_named)
{
	struct fo_flow in, out;
	struct fo_error err;
	unsigned int bit;

	FO_INIT(&in);
	in.dscp[0] = 5;
	in.adj[0] = 1;
	for (bit = 6; bit < 32; bit++)
		expect_error(&err, fo__check_update(UINT32_C(1) << bit, &in, &out, &err), -EINVAL,
			     FO_R_ARGUMENT, "mask");
	expect_error(&err, fo__check_update(FO_UPDATE_DSCP, &in, &out, &err), -EINVAL, FO_R_ARGUMENT,
		     "dscp[0]");
	expect_error(&err, fo__check_update(FO_UPDATE_ADJ, &in, &out, &err), -EINVAL, FO_R_ADJACENCY,
		     "adj[1]");
	ck_assert_int_eq(fo__check_update(FO_UPDATE_TAG, &in, &out, &err), 0);
	expect_error(&err, fo__check_update(FO_UPDATE_TAG, NULL, &out, &err), -EINVAL, FO_R_ARGUMENT, "flow");
}
END_TEST

/* ---- Flow and sides together ---- */

START_TEST(pair_wants_an_ipv6_mtu_for_ipv6)
{
	struct fo_adj adj[2] = {plain_adj(1), plain_adj(2)};
	struct fo_flow v4 = good_flow(), v6 = udp6_flow();
	struct fo_error err;
	unsigned int d;

	for (d = 0; d < 2; d++) {
		adj[d].mtu = 1280;
		ck_assert_int_eq(fo__check_pair(&v6, &adj[0], &adj[1], &err), 0);
		adj[d].mtu = 1279;
		ck_assert_int_eq(fo__check_pair(&v4, &adj[0], &adj[1], &err), 0);
		expect_error(&err, fo__check_pair(&v6, &adj[0], &adj[1], &err), -EINVAL, FO_R_ADJACENCY,
			     d ? "adj[1]" : "adj[0]");
		adj[d].mtu = 1500;
	}
}
END_TEST

START_TEST(pair_refuses_a_neighbour_that_is_ourselves)
{
	struct fo_adj adj[2] = {plain_adj(1), plain_adj(1)};
	struct fo_flow flow = good_flow();
	struct fo_error err;

	ck_assert_int_eq(fo__check_pair(&flow, &adj[0], &adj[0], &err), 0);
	memcpy(adj[1].own_mac, adj[0].peer_mac, 6);
	expect_error(&err, fo__check_pair(&flow, &adj[0], &adj[1], &err), -EINVAL, FO_R_ADJACENCY, "adj[0]");
	expect_error(&err, fo__check_pair(&flow, &adj[1], &adj[0], &err), -EINVAL, FO_R_ADJACENCY, "adj[1]");
	adj[1].n_encaps = 1;
	adj[1].encap[0].kind = FO_ENCAP_8021Q;
	adj[1].encap[0].id = 5;
	ck_assert_int_eq(fo__check_pair(&flow, &adj[0], &adj[1], &err), 0);
	adj[0].n_encaps = 1;
	adj[0].encap[0] = adj[1].encap[0];
	ck_assert_int_eq(fo__check_pair(&flow, &adj[0], &adj[1], &err), -EINVAL);
	adj[0].encap[0].id = 6;
	ck_assert_int_eq(fo__check_pair(&flow, &adj[0], &adj[1], &err), 0);
	adj[0].encap[0].id = 5;
	adj[1].port = 2;
	ck_assert_int_eq(fo__check_pair(&flow, &adj[0], &adj[1], &err), 0);
}
END_TEST

START_TEST(pair_lets_the_kernel_resolve_on_both_sides)
{
	struct fo_adj adj = plain_adj(1);
	struct fo_flow flow = good_flow();
	struct fo_error err;

	memset(adj.own_mac, 0, 6);
	memset(adj.peer_mac, 0, 6);
	ck_assert_int_eq(fo__check_pair(&flow, &adj, &adj, &err), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("validate_flow");
	TCase *flows = tcase_create("flows");
	TCase *together = tcase_create("updates and sides");

	tcase_add_test(flows, flow_is_taken_as_it_is);
	tcase_add_loop_test(flows, flow_that_is_wrong_is_refused, 0, (int)COUNT(bad_flows));
	tcase_add_test(flows, flow_null_is_refused_and_an_older_one_is_read);
	tcase_add_test(flows, protocols_refused_are_named);
	tcase_add_loop_test(flows, addresses_are_judged_by_their_class, 0, (int)COUNT(addresses));
	tcase_add_test(flows, tuple_that_is_the_same_both_ways_is_refused);
	tcase_add_test(flows, tuple_of_a_host_to_itself_is_refused);
	tcase_add_test(flows, icmp_types_are_fixed_by_direction);
	tcase_add_test(flows, icmp_of_the_other_family_is_refused);
	suite_add_tcase(suite, flows);
	tcase_add_test(together, update_takes_the_members_of_its_mask_alone);
	tcase_add_test(together, update_refuses_what_is_wrong_and_named);
	tcase_add_test(together, pair_wants_an_ipv6_mtu_for_ipv6);
	tcase_add_test(together, pair_refuses_a_neighbour_that_is_ourselves);
	tcase_add_test(together, pair_lets_the_kernel_resolve_on_both_sides);
	suite_add_tcase(suite, together);
	return suite;
}
