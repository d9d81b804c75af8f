/* SPDX-License-Identifier: BSD-2-Clause */
/* test_needs.c - which translations tuples state, and what flows and sides need of a backend.
 *
 * Neighbours: test_validate_flow.c; samples.h has good connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>

#include "core/tuple.h"
#include "core/validate.h"
#include "patch.h"
#include "samples.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define N      FO_NAT_NONE
#define NS     FO_NAT_SRC
#define ND     FO_NAT_DST
#define CAP_S  FO_CAP_SNAT
#define CAP_D  FO_CAP_DNAT
#define CAP_P  FO_CAP_PORT_NAT
#define CAP_66 FO_CAP_NAT66

/* For each pair of tuples: which statements of fo_flow.nat it agrees with (bit n: nat == n), and what it needs. */
#define FITS(nat) (1u << (nat))
#define ANY_END	  (FITS(0) | FITS(NS) | FITS(ND) | FITS(NS | ND))

static const struct {
	unsigned int proto;
	const char *src, *dst;
	unsigned int sport, dport;
	const char *rsrc, *rdst;
	unsigned int rsport, rdport;
	unsigned int fits;
	uint64_t needs;
} nats[] = {
	/* none */
	{6, A, B, 40, 80, B, A, 80, 40, ANY_END | FITS(N), 0},
	{17, A6, B6, 40, 80, B6, A6, 80, 40, ANY_END | FITS(N), 0},
	{1, A, B, 7, REQ, B, A, 7, REP, ANY_END | FITS(N), 0},
	{58, A6, B6, 7, REQ6, B6, A6, 7, REP6, ANY_END | FITS(N), 0},
	/* the originator: address, port, both */
	{6, A, B, 40, 80, B, R, 80, 40, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S},
	{6, A, B, 40, 80, B, A, 80, 41, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_P},
	{17, A, B, 40, 80, B, R, 80, 41, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_P},
	{1, A, B, 7, REQ, B, R, 7, REP, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S},
	{1, A, B, 7, REQ, B, R, 8, REP, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_P},
	{6, A6, B6, 40, 80, B6, R6, 80, 40, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_66},
	{17, A6, B6, 40, 80, B6, A6, 80, 41, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_P | CAP_66},
	{58, A6, B6, 7, REQ6, B6, R6, 9, REP6, FITS(0) | FITS(NS) | FITS(NS | ND), CAP_S | CAP_P | CAP_66},
	/* the destination */
	{6, B, R, 40, 80, A, B, 80, 40, FITS(0) | FITS(ND) | FITS(NS | ND), CAP_D},
	{6, B, R, 40, 80, R, B, 81, 40, FITS(0) | FITS(ND) | FITS(NS | ND), CAP_D | CAP_P},
	{17, B, R, 40, 80, A, B, 8080, 40, FITS(0) | FITS(ND) | FITS(NS | ND), CAP_D | CAP_P},
	{1, B, R, 7, REQ, A, B, 7, REP, FITS(0) | FITS(ND) | FITS(NS | ND), CAP_D},
	{6, B6, R6, 40, 80, A6, B6, 80, 40, FITS(0) | FITS(ND) | FITS(NS | ND), CAP_D | CAP_66},
	/* both: only when stated */
	{6, A, R, 40, 80, S, R, 80, 41, FITS(NS | ND), CAP_S | CAP_D | CAP_P},
	{6, A, R, 40, 80, S, R, 80, 40, FITS(NS | ND), CAP_S | CAP_D},
	{17, A, B, 40, 80, B, A, 81, 41, FITS(NS | ND), CAP_S | CAP_D | CAP_P},
	{17, A, B, 40, 80, R, S, 80, 40, FITS(NS | ND), CAP_S | CAP_D},
	{1, A, R, 7, REQ, S, R, 8, REP, FITS(NS | ND), CAP_S | CAP_D | CAP_P},
	{17, A6, R6, 40, 80, S6, R6, 81, 41, FITS(NS | ND), CAP_S | CAP_D | CAP_P | CAP_66},
};

static struct fo_flow nat_flow(int i)
{
	struct fo_flow flow = good_flow();

	set_tuple(&flow.tuple[0], nats[i].proto, nats[i].src, nats[i].sport, nats[i].dst, nats[i].dport);
	set_tuple(&flow.tuple[1], nats[i].proto, nats[i].rsrc, nats[i].rsport, nats[i].rdst, nats[i].rdport);
	return flow;
}

START_TEST(nat_is_what_the_tuples_and_the_statement_agree_on)
{
	unsigned int nat;

	for (nat = 0; nat < 8; nat++) {
		struct fo_flow in = nat_flow(_i);
		bool fits = nats[_i].fits >> nat & 1;
		struct fo_error err;
		int rc;

		in.nat = nat;
		rc = fo__check_flow(&in, &err);
		ck_assert_msg((rc == 0) == fits, "nat %u gives %d: %s", nat, rc, rc ? err.text : "");
		if (rc)
			ck_assert_int_eq(err.reason, FO_R_NAT);
	}
}
END_TEST

START_TEST(nat_is_needed_of_the_backend_as_the_tuples_use_it)
{
	const uint64_t all = CAP_S | CAP_D | CAP_P | CAP_66;
	struct fo_adj adj = plain_adj(1);
	struct fo_flow flow = nat_flow(_i);

	ck_assert(((fo__flow_needs(&flow, &adj, &adj) & all) == nats[_i].needs));
}
END_TEST

START_TEST(mirror_of_the_mirror_is_the_tuple)
{
	struct fo_flow flow = nat_flow(_i);
	struct fo_tuple there, back;
	unsigned int d;

	for (d = 0; d < 2; d++) {
		fo__mirror(&flow.tuple[d], &there);
		ck_assert_mem_eq(there.src, flow.tuple[d].dst, 16);
		ck_assert_mem_eq(there.dst, flow.tuple[d].src, 16);
		if (nats[_i].proto == 6 || nats[_i].proto == 17) {
			ck_assert_uint_eq(there.sport_be, flow.tuple[d].dport_be);
			ck_assert_uint_eq(there.dport_be, flow.tuple[d].sport_be);
		} else {
			ck_assert_uint_eq(there.sport_be, flow.tuple[d].sport_be);
			ck_assert_uint_eq(there.dport_be, flow.tuple[1 - d].dport_be);
		}
		fo__mirror(&there, &back);
		ck_assert_mem_eq(&back, &flow.tuple[d], sizeof(back));
		fo__mirror(&there, &there);
		ck_assert_mem_eq(&there, &flow.tuple[d], sizeof(back));
	}
}
END_TEST

/* ---- Needs and capabilities ---- */

static void add_encap(struct fo_adj *adj, unsigned int kind)
{
	adj->encap[adj->n_encaps].kind = (uint16_t)kind;
	adj->encap[adj->n_encaps++].id = 9;
}

START_TEST(needs_of_a_plain_flow_are_family_protocol_and_ingress)
{
	static const uint64_t expected[] = {FO_CAP_IPV4 | FO_CAP_TCP, FO_CAP_IPV6 | FO_CAP_UDP,
					    FO_CAP_IPV4 | FO_CAP_ICMP_ECHO, FO_CAP_IPV6 | FO_CAP_ICMP_ECHO};
	struct fo_adj adj = plain_adj(1);
	size_t i;

	for (i = 0; i < COUNT(expected); i++) {
		struct fo_flow flow = nat_flow((int)i);

		ck_assert(fo__flow_needs(&flow, &adj, &adj) == (expected[i] | FO_CAP_INGRESS));
	}
}
END_TEST

START_TEST(needs_follow_each_option_of_flow_and_sides)
{
	const uint64_t plain = FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_INGRESS;
	struct fo_adj bare = plain_adj(1), adj = plain_adj(2);
	struct fo_flow flow = nat_flow(0);

	flow.dscp[1] = FO_DSCP_SET(0);
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_DSCP));
	flow = nat_flow(0);
	flow.scope = 1;
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_SCOPE));
	flow = nat_flow(0);
	flow.timeout_ms = FO_TIMEOUT_NEVER;
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_PER_FLOW_TIMEOUT));
	flow = nat_flow(0);
	flow.needs = FO_CAP_HARDWARE;
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_HARDWARE));
	flow.needs = 0;
	adj.flags = FO_ADJ_ANY_INGRESS;
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_ANY_INGRESS));
	ck_assert(fo__flow_needs(&flow, &adj, &adj) == (FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_ANY_INGRESS));
	adj = plain_adj(2);
	add_encap(&adj, FO_ENCAP_PPPOE);
	ck_assert(fo__flow_needs(&flow, &adj, &bare) == (plain | FO_CAP_PPPOE));
	adj = plain_adj(2);
	add_encap(&adj, FO_ENCAP_8021Q);
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_VLAN));
	add_encap(&adj, FO_ENCAP_8021Q);
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_VLAN | FO_CAP_QINQ));
	adj = plain_adj(2);
	add_encap(&adj, FO_ENCAP_8021AD);
	ck_assert(fo__flow_needs(&flow, &bare, &adj) == (plain | FO_CAP_VLAN | FO_CAP_VLAN_AD));
}
END_TEST

/* A flow that makes use of all there is, on backends that lack one ability each. */
START_TEST(caps_that_lack_one_thing_are_told_so_by_name)
{
	struct fo_adj adj[2] = {plain_adj(1), plain_adj(2)};
	struct fo_flow flow = nat_flow(22);
	struct fo_caps caps;
	struct fo_error err;
	unsigned int bit, lacking = 0;
	uint64_t uses;

	add_encap(&adj[0], FO_ENCAP_8021AD);
	add_encap(&adj[0], FO_ENCAP_8021Q);
	add_encap(&adj[0], FO_ENCAP_PPPOE);
	adj[1].flags = FO_ADJ_ANY_INGRESS;
	flow.scope = 4;
	flow.dscp[0] = FO_DSCP_SET(1);
	flow.timeout_ms = 7;
	FO_INIT(&caps);
	strcpy(caps.backend, "some");
	caps.max_encaps = 3;
	uses = fo__flow_needs(&flow, &adj[0], &adj[1]);
	for (bit = 0; bit < FO_CAP_COUNT; bit++) {
		uint64_t one = UINT64_C(1) << bit;
		bool by_adj =
			one & (FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ | FO_CAP_PPPOE | FO_CAP_INGRESS);

		caps.can = uses & ~one;
		flow.needs = 0;
		ck_assert_int_eq(fo__check_adj_caps(&adj[0], &caps, &err), by_adj ? -EOPNOTSUPP : 0);
		if (uses & one) {
			ck_assert_int_eq(fo__check_flow_caps(&flow, &adj[0], &adj[1], &caps, &err),
					 -EOPNOTSUPP);
			ck_assert_int_eq(err.reason, FO_R_UNSUPPORTED);
			ck_assert_str_ne(err.field, "needs");
			lacking++;
		} else {
			ck_assert_int_eq(fo__check_flow_caps(&flow, &adj[0], &adj[1], &caps, &err), 0);
			flow.needs = one;
			expect_error(&err, fo__check_flow_caps(&flow, &adj[0], &adj[1], &caps, &err),
				     -EOPNOTSUPP, FO_R_NEEDS, "needs");
			caps.can |= one;
			ck_assert_int_eq(fo__check_flow_caps(&flow, &adj[0], &adj[1], &caps, &err), 0);
			continue;
		}
		ck_assert_ptr_nonnull(strstr(err.text, fo_cap_name(bit)));
		ck_assert_ptr_nonnull(strstr(err.text, "some"));
	}
	ck_assert_uint_eq(lacking, 15);
}
END_TEST

START_TEST(caps_that_lack_something_name_the_member_it_comes_from)
{
	static const struct {
		uint64_t lack;
		const char *field;
	} origins[] = {
		{FO_CAP_IPV6, "tuple[0].family"}, {FO_CAP_UDP, "tuple[0].proto"},
		{FO_CAP_SNAT, "tuple[1]"},	  {FO_CAP_DNAT, "tuple[1]"},
		{FO_CAP_PORT_NAT, "tuple[1]"},	  {FO_CAP_NAT66, "tuple[1]"},
		{FO_CAP_VLAN, "encap"},		  {FO_CAP_QINQ, "encap"},
		{FO_CAP_PPPOE, "encap"},	  {FO_CAP_INGRESS, "flags"},
		{FO_CAP_ANY_INGRESS, "flags"},	  {FO_CAP_DSCP, "dscp"},
		{FO_CAP_SCOPE, "scope"},	  {FO_CAP_PER_FLOW_TIMEOUT, "timeout_ms"},
		{FO_CAP_VLAN_AD, "encap"},
	};
	struct fo_adj adj[2] = {plain_adj(1), plain_adj(2)};
	struct fo_flow flow = nat_flow(22);
	struct fo_caps caps;
	struct fo_error err;
	size_t i;

	add_encap(&adj[0], FO_ENCAP_8021AD);
	add_encap(&adj[0], FO_ENCAP_8021Q);
	add_encap(&adj[0], FO_ENCAP_PPPOE);
	adj[1].flags = FO_ADJ_ANY_INGRESS;
	flow.scope = 4;
	flow.dscp[0] = FO_DSCP_SET(1);
	flow.timeout_ms = 7;
	FO_INIT(&caps);
	strcpy(caps.backend, "some");
	for (i = 0; i < COUNT(origins); i++) {
		caps.can = FO__CAP_ALL & ~origins[i].lack;
		expect_error(&err, fo__check_flow_caps(&flow, &adj[0], &adj[1], &caps, &err), -EOPNOTSUPP,
			     FO_R_UNSUPPORTED, origins[i].field);
	}
}
END_TEST

START_TEST(caps_bound_the_number_of_encapsulations)
{
	struct fo_adj adj = plain_adj(1);
	struct fo_caps caps;
	struct fo_error err;

	add_encap(&adj, FO_ENCAP_8021Q);
	add_encap(&adj, FO_ENCAP_PPPOE);
	FO_INIT(&caps);
	caps.can = FO__CAP_ALL;
	caps.max_encaps = 1;
	expect_error(&err, fo__check_adj_caps(&adj, &caps, &err), -EOPNOTSUPP, FO_R_UNSUPPORTED, "n_encaps");
	caps.max_encaps = 2;
	ck_assert_int_eq(fo__check_adj_caps(&adj, &caps, &err), 0);
}
END_TEST

START_TEST(caps_text_lists_names_and_is_cut_safely)
{
	char text[600], small[8];
	size_t size;

	memset(text, 'x', sizeof(text));
	fo__caps_text(FO_CAP_VLAN, text, 0);
	ck_assert_int_eq(text[0], 'x');
	ck_assert_str_eq(fo__caps_text(0, text, sizeof(text)), "");
	ck_assert_str_eq(fo__caps_text(FO_CAP_VLAN | FO_CAP_QINQ, text, sizeof(text)), "vlan, qinq");
	ck_assert_str_eq(fo__caps_text(FO_CAP_BLOCKING_ADD, text, sizeof(text)), "blocking-add");
	fo__caps_text(UINT64_MAX, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "blocking-add"));
	for (size = 1; size <= sizeof(small); size++) {
		memset(small, 'x', sizeof(small));
		fo__caps_text(UINT64_MAX, small, size);
		ck_assert_uint_eq(strlen(small), size - 1);
		ck_assert(strncmp(small, "ipv4, i", size - 1) == 0);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("needs");
	TCase *nat = tcase_create("nat");
	TCase *together = tcase_create("needs and capabilities");

	tcase_add_loop_test(nat, nat_is_what_the_tuples_and_the_statement_agree_on, 0, (int)COUNT(nats));
	tcase_add_loop_test(nat, nat_is_needed_of_the_backend_as_the_tuples_use_it, 0, (int)COUNT(nats));
	tcase_add_loop_test(nat, mirror_of_the_mirror_is_the_tuple, 0, (int)COUNT(nats));
	suite_add_tcase(suite, nat);
	tcase_add_test(together, needs_of_a_plain_flow_are_family_protocol_and_ingress);
	tcase_add_test(together, needs_follow_each_option_of_flow_and_sides);
	tcase_add_test(together, caps_that_lack_one_thing_are_told_so_by_name);
	tcase_add_test(together, caps_that_lack_something_name_the_member_it_comes_from);
	tcase_add_test(together, caps_bound_the_number_of_encapsulations);
	tcase_add_test(together, caps_text_lists_names_and_is_cut_safely);
	suite_add_tcase(suite, together);
	return suite;
}
