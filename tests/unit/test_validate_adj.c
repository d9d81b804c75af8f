/* SPDX-License-Identifier: BSD-2-Clause */
/* test_validate_adj.c - one side of the router: what is taken, what is refused and how.
 *
 * Neighbours: test_validate.c, test_validate_flow.c; patch.h has the tables' rows.
 */
#include <errno.h>
#include <stdbool.h>

#include "core/validate.h"
#include "patch.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct fo_adj good_adj(void)
{
	static const uint8_t own[6] = {2, 0, 0, 0, 0, 1}, peer[6] = {2, 0, 0, 0, 0, 2};
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = 3;
	memcpy(adj.own_mac, own, sizeof(own));
	memcpy(adj.peer_mac, peer, sizeof(peer));
	adj.mtu = 1500;
	return adj;
}

START_TEST(adj_without_an_l3_device_has_its_ports)
{
	struct fo_adj in = good_adj(), out;

	ck_assert_int_eq(fo__check_adj(&in, &out, NULL), 0);
	ck_assert_uint_eq(out.l3_dev, 3);
	in.l3_dev = 12;
	ck_assert_int_eq(fo__check_adj(&in, &out, NULL), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

#define ADJ(member, number) SET(struct fo_adj, member, number)
#define ONE(kind_, member, number)                                                                           \
	{                                                                                                    \
		ADJ(n_encaps, 1), ADJ(encap[0].kind, kind_), ADJ(encap[0].member, number)                    \
	}

static const struct patch good_adjs[][3] = {
	{ADJ(mtu, 68)},
	{ADJ(mtu, 65535)},
	{ADJ(flags, FO_ADJ_ANY_INGRESS)},
	{ADJ(port, 0xfffffffe)},
	ONE(FO_ENCAP_8021Q, id, 1),
	ONE(FO_ENCAP_8021Q, id, 4094),
	ONE(FO_ENCAP_8021AD, id, 4094),
	ONE(FO_ENCAP_PPPOE, id, 1),
	ONE(FO_ENCAP_PPPOE, id, 65534),
};

START_TEST(adj_at_its_limits_is_taken)
{
	struct fo_adj in = good_adj(), out;
	struct fo_error err;
	size_t i;

	for (i = 0; i < 3; i++)
		patch_apply(&in, &good_adjs[_i][i]);
	ck_assert_msg(fo__check_adj(&in, &out, &err) == 0, "%s", err.text);
	in.l3_dev = in.port;
	ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

static const struct refusal bad_adjs[] = {
	{{ADJ(port, 0)}, -EINVAL, FO_R_ADJACENCY, "port"},
	{{ADJ(port, FO_PORT_ANY)}, -EINVAL, FO_R_ADJACENCY, "port"},
	{{ADJ(flags, 2)}, -EINVAL, FO_R_ADJACENCY, "flags"},
	{{ADJ(mtu, 0)}, -EINVAL, FO_R_ADJACENCY, "mtu"},
	{{ADJ(mtu, 67)}, -EINVAL, FO_R_ADJACENCY, "mtu"},
	{{ADJ(mtu, 65536)}, -EINVAL, FO_R_ADJACENCY, "mtu"},
	{{ADJ(n_encaps, 4)}, -EINVAL, FO_R_ENCAP_KIND, "n_encaps"},
	{{ADJ(n_encaps, UINT32_MAX)}, -EINVAL, FO_R_ENCAP_KIND, "n_encaps"},
	{{ADJ(encap[0].id, 5)}, -EINVAL, FO_R_ENCAP_KIND, "encap[0].kind"},
	{{ADJ(encap[2].reserved, 5)}, -EINVAL, FO_R_ENCAP_KIND, "encap[2].kind"},
	{ONE(FO_ENCAP_8021Q, id, 0), -EINVAL, FO_R_ADJACENCY, "encap[0].id"},
	{ONE(FO_ENCAP_8021Q, id, 4095), -EINVAL, FO_R_ADJACENCY, "encap[0].id"},
	{ONE(FO_ENCAP_8021AD, id, 65535), -EINVAL, FO_R_ADJACENCY, "encap[0].id"},
	{ONE(FO_ENCAP_PPPOE, id, 0), -EINVAL, FO_R_ADJACENCY, "encap[0].id"},
	{ONE(FO_ENCAP_PPPOE, id, 65535), -EINVAL, FO_R_ADJACENCY, "encap[0].id"},
	{{ADJ(size, 3)}, -EINVAL, FO_R_SIZE, "size"},
	{{ADJ(own_mac[0], 1)}, -EINVAL, FO_R_ADJACENCY, "own_mac"},
	{{ADJ(own_mac[0], 0xff)}, -EINVAL, FO_R_ADJACENCY, "own_mac"},
	{{ADJ(peer_mac[0], 0x33)}, -EINVAL, FO_R_ADJACENCY, "peer_mac"},
	{{ADJ(peer_mac[5], 1)}, -EINVAL, FO_R_ADJACENCY, "peer_mac"},
	{{ADJ(own_mac[0], 0), ADJ(own_mac[5], 0)}, -EINVAL, FO_R_ADJACENCY, "own_mac"},
	{{ADJ(peer_mac[0], 0), ADJ(peer_mac[5], 0)}, -EINVAL, FO_R_ADJACENCY, "peer_mac"},
};

START_TEST(adj_that_is_wrong_is_refused)
{
	const struct refusal *bad = &bad_adjs[_i];
	struct fo_adj in = good_adj(), out, untouched;
	struct fo_error err;
	size_t i;

	for (i = 0; i < COUNT(bad->patch); i++)
		patch_apply(&in, &bad->patch[i]);
	memset(&out, 0xa5, sizeof(out));
	untouched = out;
	expect_error(&err, fo__check_adj(&in, &out, &err), bad->code, bad->reason, bad->field);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
}
END_TEST

START_TEST(adj_tag_priorities_are_checked)
{
	static const struct {
		unsigned int kind, pcp, dei, reserved;
		const char *field;
	} cases[] = {
		{FO_ENCAP_8021Q, 7, 1, 0, NULL},
		{FO_ENCAP_8021AD, 7, 1, 0, NULL},
		{FO_ENCAP_PPPOE, 0, 0, 0, NULL},
		{FO_ENCAP_8021Q, 8, 0, 0, "encap[0].pcp"},
		{FO_ENCAP_8021Q, 0, 2, 0, "encap[0].dei"},
		{FO_ENCAP_8021Q, 0, 0, 1, "encap[0].reserved"},
		{FO_ENCAP_PPPOE, 1, 0, 0, "encap[0].pcp"},
		{FO_ENCAP_PPPOE, 0, 1, 0, "encap[0].dei"},
		{FO_ENCAP_PPPOE, 0, 0, 9, "encap[0].reserved"},
	};
	struct fo_adj in = good_adj(), out;
	struct fo_error err;
	size_t i;

	in.n_encaps = 1;
	for (i = 0; i < COUNT(cases); i++) {
		in.encap[0].kind = (uint16_t)cases[i].kind;
		in.encap[0].id = 100;
		in.encap[0].pcp = (uint8_t)cases[i].pcp;
		in.encap[0].dei = (uint8_t)cases[i].dei;
		in.encap[0].reserved = (uint16_t)cases[i].reserved;
		if (cases[i].field)
			expect_error(&err, fo__check_adj(&in, &out, &err), -EINVAL, FO_R_ADJACENCY,
				     cases[i].field);
		else
			ck_assert_int_eq(fo__check_adj(&in, &out, &err), 0);
	}
}
END_TEST

/* The stacks that packets here can have, spelled out; all others of three layers of eight kinds are refused. */
static bool stack_is_legal(const char *stack)
{
	static const char *const legal[] = {"",	  "Q",	"A",  "P",   "QQ",  "AQ",
					    "AA", "QP", "AP", "QQP", "AQP", "AAP"};
	size_t i;

	for (i = 0; i < COUNT(legal); i++)
		if (!strcmp(legal[i], stack))
			return true;
	return false;
}

START_TEST(adj_encapsulations_are_taken_in_legal_orders_only)
{
	static const unsigned int kinds[] = {
		FO_ENCAP_NONE, FO_ENCAP_8021Q,	FO_ENCAP_8021AD, FO_ENCAP_PPPOE, 4,
		FO_ENCAP_IPIP, FO_ENCAP_IP6IP6, FO_ENCAP_GRE,	 65535};
	static const char letters[] = "-QAP?tttx";
	unsigned int n, code, i, taken = 0;
	struct fo_error err;

	for (n = 0; n <= FO_MAX_ENCAPS; n++) {
		unsigned int codes = n == 0 ? 1 : n == 1 ? 9 : n == 2 ? 81 : 729;

		for (code = 0; code < codes; code++) {
			struct fo_adj in = good_adj(), out;
			char stack[FO_MAX_ENCAPS + 1] = "";
			unsigned int rest = code;
			int rc;

			in.n_encaps = n;
			for (i = 0; i < n; i++, rest /= 9) {
				in.encap[i].kind = (uint16_t)kinds[rest % 9];
				in.encap[i].id = 7;
				stack[i] = letters[rest % 9];
			}
			rc = fo__check_adj(&in, &out, &err);
			ck_assert_msg((rc == 0) == stack_is_legal(stack), "%s gives %d", stack, rc);
			taken += rc == 0;
			if (!rc)
				continue;
			ck_assert_msg(err.reason == FO_R_ENCAP_KIND, "%s: %s", stack, err.text);
			/* The first layer that is wrong decides: reserved is not the same as unknown. */
			if (stack[0] == 't' || (strchr("QAP", stack[0]) && stack[1] == 't'))
				ck_assert_int_eq(rc, -EOPNOTSUPP);
			if (!strchr(stack, 't'))
				ck_assert_int_eq(rc, -EINVAL);
		}
	}
	ck_assert_uint_eq(taken, 12);
}
END_TEST

START_TEST(adj_with_pppoe_keeps_the_mtu_within_its_length)
{
	struct fo_adj in = good_adj(), out;
	struct fo_error err;

	in.n_encaps = 2;
	in.encap[0].kind = FO_ENCAP_8021Q;
	in.encap[0].id = 7;
	in.encap[1].kind = FO_ENCAP_PPPOE;
	in.encap[1].id = 9;
	in.mtu = 65533;
	ck_assert_int_eq(fo__check_adj(&in, &out, &err), 0);
	in.mtu = 65534;
	expect_error(&err, fo__check_adj(&in, &out, &err), -EINVAL, FO_R_ADJACENCY, "mtu");
}
END_TEST

START_TEST(adj_without_any_mac_is_for_backends_that_resolve)
{
	struct fo_adj in = good_adj(), out;
	struct fo_caps caps;
	struct fo_error err;

	FO_INIT(&caps);
	strcpy(caps.backend, "some");
	caps.can = FO_CAP_INGRESS;
	memset(in.own_mac, 0, 6);
	memset(in.peer_mac, 0, 6);
	ck_assert_int_eq(fo__check_adj(&in, &out, &err), 0);
	ck_assert_int_eq(fo__check_adj_caps(&out, &caps, &err), 0);
	caps.can |= FO_CAP_CALLER_NEIGH;
	expect_error(&err, fo__check_adj_caps(&out, &caps, &err), -EOPNOTSUPP, FO_R_UNSUPPORTED, "own_mac");
	ck_assert_int_eq(fo__check_adj(NULL, &out, &err), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("validate_adj");
	TCase *adjs = tcase_create("adjacencies");

	tcase_add_test(adjs, adj_without_an_l3_device_has_its_ports);
	tcase_add_loop_test(adjs, adj_at_its_limits_is_taken, 0, (int)COUNT(good_adjs));
	tcase_add_loop_test(adjs, adj_that_is_wrong_is_refused, 0, (int)COUNT(bad_adjs));
	tcase_add_test(adjs, adj_tag_priorities_are_checked);
	tcase_add_test(adjs, adj_encapsulations_are_taken_in_legal_orders_only);
	tcase_add_test(adjs, adj_with_pppoe_keeps_the_mtu_within_its_length);
	tcase_add_test(adjs, adj_without_any_mac_is_for_backends_that_resolve);
	suite_add_tcase(suite, adjs);
	return suite;
}
