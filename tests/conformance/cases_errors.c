/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_errors.c - bad input to fo_flow_add(): errno, reason, field, a sentence; nothing
 * changed. Tables: cases_tables.c. */
#include <arpa/inet.h>
#include <errno.h>

#include "topology.h"

static void v4(uint8_t *addr, unsigned int a, unsigned int b, unsigned int c, unsigned int d)
{
	addr[0] = (uint8_t)a;
	addr[1] = (uint8_t)b;
	addr[2] = (uint8_t)c;
	addr[3] = (uint8_t)d;
}

/* A good flow, one thing wrong in it, refused; and the good one still goes afterwards. */
#define BAD(env, family, proto, nat, change, code, reason, field)                                            \
	do {                                                                                                 \
		struct fo_flow f;                                                                            \
		connection(&f, family, proto, nat, 1);                                                       \
		between(env, &f);                                                                            \
		change;                                                                                      \
		suite_context("%s", #change);                                                                \
		env_add_refused(env, &f, code, reason, field);                                               \
	} while (0)

static void still_works(struct env *env)
{
	struct fo_table_counters stats;
	unsigned int n;

	suite_context("afterwards");
	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 0);
	n = plain(env, 4, 6, NAT_SRC, 1);
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
}

static void tuples(struct env *env)
{
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].family = 0, -EINVAL, FO_R_TUPLE, "tuple[0].family");
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].family = 5, -EINVAL, FO_R_TUPLE, "tuple[0].family");
	BAD(env, 4, 6, NAT_NONE, f.tuple[1].family = 6, -EINVAL, FO_R_TUPLE, "tuple[1].family");
	BAD(env, 4, 6, NAT_NONE, f.tuple[1].proto = 17, -EINVAL, FO_R_TUPLE, "tuple[1].proto");
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].sport_be = 0, -EINVAL, FO_R_TUPLE, "tuple[0].sport_be");
	BAD(env, 4, 17, NAT_NONE, f.tuple[1].dport_be = 0, -EINVAL, FO_R_TUPLE, "tuple[1].dport_be");
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].src[4] = 1, -EINVAL, ANY_REASON, "tuple[0].src");
	BAD(env, 4, 6, NAT_NONE, f.tuple[1].dst[15] = 1, -EINVAL, ANY_REASON, "tuple[1].dst");
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].reserved = 1, -EINVAL, ANY_REASON, "tuple[0].reserved");
	BAD(env, 4, 6, NAT_NONE, f.tuple[0].proto = f.tuple[1].proto = 58, -EINVAL, ANY_REASON,
	    "tuple[0].proto");
	still_works(env);
}

/* SCTP, UDP-Lite, DCCP and the rest: well formed perhaps, refused in any case. */
static void protocols(struct env *env)
{
	static const uint8_t protos[] = {0, 2, 33, 41, 47, 50, 132, 136, 255};
	unsigned int i;

	for (i = 0; i < sizeof(protos); i++) {
		struct fo_flow f;
		fo_flow_id id;
		int rc;

		connection(&f, 4, 6, NAT_SRC, 1);
		between(env, &f);
		f.tuple[0].proto = f.tuple[1].proto = protos[i];
		memset(&env->err, 0, sizeof(env->err));
		rc = fo_flow_add(env->table, &f, &id, &env->err);
		if (rc != -EINVAL && rc != -EOPNOTSUPP)
			FAIL("protocol %u: returned %d", protos[i], rc);
		REQUIRE(env->err.text[0]);
	}
	still_works(env);
}

static void echo_tuples(struct env *env)
{
	BAD(env, 4, 1, NAT_NONE, f.tuple[0].dport_be = htons(0x0000), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 4, 1, NAT_NONE, f.tuple[1].dport_be = htons(0x0800), -EINVAL, FO_R_TUPLE,
	    "tuple[1].dport_be");
	BAD(env, 4, 1, NAT_NONE, f.tuple[0].dport_be = htons(0x0801), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 4, 1, NAT_NONE, f.tuple[0].dport_be = htons(0x0300), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 4, 1, NAT_NONE, f.tuple[0].dport_be = htons(0x8000), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 4, 1, NAT_NONE, f.tuple[1].sport_be ^= htons(1), -EINVAL, FO_R_NAT, NULL);
}

static void ipv6_echo_tuples(struct env *env)
{
	BAD(env, 6, 58, NAT_NONE, f.tuple[0].dport_be = htons(0x0800), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 6, 58, NAT_NONE, f.tuple[0].dport_be = htons(0x8700), -EINVAL, FO_R_TUPLE,
	    "tuple[0].dport_be");
	BAD(env, 6, 58, NAT_NONE, f.tuple[1].dport_be = htons(0x8000), -EINVAL, FO_R_TUPLE,
	    "tuple[1].dport_be");
	BAD(env, 6, 58, NAT_NONE, f.tuple[0].proto = f.tuple[1].proto = 1, -EINVAL, ANY_REASON,
	    "tuple[0].proto");
}

static void addresses_ipv4(struct env *env)
{
	static const uint8_t bad[][4] = {{0, 0, 0, 0},	  {127, 0, 0, 1},	{127, 9, 9, 9},
					 {224, 0, 0, 1},  {239, 255, 255, 250}, {255, 255, 255, 255},
					 {169, 254, 1, 1}};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint8_t *a = bad[i];

		BAD(env, 4, 17, NAT_NONE,
		    (v4(f.tuple[0].src, a[0], a[1], a[2], a[3]), v4(f.tuple[1].dst, a[0], a[1], a[2], a[3])),
		    -EINVAL, FO_R_ADDRESS, "tuple[0].src");
		BAD(env, 4, 17, NAT_NONE,
		    (v4(f.tuple[0].dst, a[0], a[1], a[2], a[3]), v4(f.tuple[1].src, a[0], a[1], a[2], a[3])),
		    -EINVAL, FO_R_ADDRESS, "tuple[0].dst");
		BAD(env, 4, 17, NAT_DST, v4(f.tuple[1].src, a[0], a[1], a[2], a[3]), -EINVAL, FO_R_ADDRESS,
		    "tuple[1].src");
		BAD(env, 4, 17, NAT_SRC, v4(f.tuple[1].dst, a[0], a[1], a[2], a[3]), -EINVAL, FO_R_ADDRESS,
		    "tuple[1].dst");
	}
	still_works(env);
}

static void addresses_ipv6(struct env *env)
{
	static const uint8_t bad[][16] = {
		{0},
		{[15] = 1},
		{0xff, 0x02, [15] = 1},
		{0xff, 0x0e, [15] = 1},
		{0xfe, 0x80, [15] = 9},
		{[10] = 0xff, 0xff, 10, 1, 1, 1},
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		BAD(env, 6, 17, NAT_NONE,
		    (memcpy(f.tuple[0].src, bad[i], 16), memcpy(f.tuple[1].dst, bad[i], 16)), -EINVAL,
		    FO_R_ADDRESS, "tuple[0].src");
		BAD(env, 6, 17, NAT_NONE,
		    (memcpy(f.tuple[0].dst, bad[i], 16), memcpy(f.tuple[1].src, bad[i], 16)), -EINVAL,
		    FO_R_ADDRESS, "tuple[0].dst");
	}
}

static void nat(struct env *env)
{
	/* said NONE, is SNAT; said SNAT, is DNAT; the other way round */
	BAD(env, 4, 6, NAT_SRC, f.nat = FO_NAT_NONE, -EINVAL, FO_R_NAT, NULL);
	BAD(env, 4, 6, NAT_DST, f.nat = FO_NAT_SRC, -EINVAL, FO_R_NAT, NULL);
	BAD(env, 4, 6, NAT_SRC, f.nat = FO_NAT_DST, -EINVAL, FO_R_NAT, NULL);
	BAD(env, 4, 6, NAT_BOTH, f.nat = FO_NAT_SRC, -EINVAL, FO_R_NAT, NULL);
	/* unstated: one end at least must mirror */
	BAD(env, 4, 6, NAT_BOTH, f.nat = 0, -EINVAL, FO_R_NAT, NULL);
	BAD(env, 4, 6, NAT_NONE, f.nat = FO_NAT_NONE | FO_NAT_SRC, -EINVAL, ANY_REASON, "nat");
	BAD(env, 4, 6, NAT_NONE, f.nat = 64, -EINVAL, ANY_REASON, "nat");
	/* the same tuple both ways */
	BAD(env, 4, 17, NAT_NONE, f.tuple[1] = f.tuple[0], -EINVAL, ANY_REASON, NULL);
	BAD(env, 4, 17, NAT_NONE, f.tuple[1].src[3] ^= 1, -EINVAL, FO_R_NAT, NULL);
	BAD(env, 4, 17, NAT_NONE, f.tuple[1].dport_be ^= htons(1), -EINVAL, FO_R_NAT, NULL);
	still_works(env);
}

/* From A to A: a flow whose two keys would be one. */
static void both_keys_the_same(struct env *env)
{
	struct fo_flow f;

	connection(&f, 4, 17, NAT_NONE, 1);
	between(env, &f);
	memcpy(f.tuple[0].dst, f.tuple[0].src, 16);
	memcpy(f.tuple[1].src, f.tuple[0].src, 16);
	f.tuple[0].dport_be = f.tuple[1].sport_be = f.tuple[1].dport_be = f.tuple[0].sport_be;
	f.adj[1] = f.adj[0];
	env_add_refused(env, &f, -EINVAL, ANY_REASON, NULL);
}

static void other_fields(struct env *env)
{
	BAD(env, 4, 6, NAT_NONE, f.size = 0, -EINVAL, FO_R_SIZE, "size");
	BAD(env, 4, 6, NAT_NONE, f.size = 8, -EINVAL, FO_R_SIZE, "size");
	BAD(env, 4, 6, NAT_NONE, f.reserved = 1, -EINVAL, ANY_REASON, "reserved");
	BAD(env, 4, 6, NAT_NONE, f.dscp[0] = 5, -EINVAL, ANY_REASON, "dscp[0]");
	BAD(env, 4, 6, NAT_NONE, f.dscp[1] = 0xc0, -EINVAL, ANY_REASON, "dscp[1]");
	BAD(env, 4, 6, NAT_NONE, f.adj[0] = 0, -EINVAL, FO_R_ADJACENCY, "adj[0]");
	BAD(env, 4, 6, NAT_NONE, f.adj[1] = UINT64_MAX, -ENOENT, ANY_REASON, "adj[1]");
	BAD(env, 4, 6, NAT_NONE, f.timeout_ms = FO_TIMEOUT_MAX_MS + 1, -EINVAL, ANY_REASON, "timeout_ms");
	BAD(env, 4, 6, NAT_NONE, f.timeout_ms = FO_TIMEOUT_NEVER - 1, -EINVAL, ANY_REASON, "timeout_ms");
	REFUSED(env, fo_flow_add(env->table, NULL, &env->ids[0], &env->err), -EINVAL, FO_R_ARGUMENT, "flow");
	{
		struct fo_flow f;
		fo_flow_id id;

		connection(&f, 4, 6, NAT_NONE, 1);
		between(env, &f);
		REFUSED(env, fo_flow_add(env->table, &f, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "out");
		/* without a struct for the error it is refused all the same */
		f.tuple[0].family = 0;
		REQUIRE_EQ(fo_flow_add(env->table, &f, &id, NULL), -EINVAL);
	}
	still_works(env);
}

/* A newer caller's struct: a zero tail is read over, anything else is refused; an older one's is
 * filled with zero. */
static void sizes_of_other_versions(struct env *env)
{
	struct newer {
		struct fo_flow flow;
		uint8_t tail[40];
	} f;
	fo_flow_id id;
	unsigned int i;

	memset(&f, 0, sizeof(f));
	connection(&f.flow, 4, 6, NAT_SRC, 1);
	between(env, &f.flow);
	f.flow.size = sizeof(f);
	for (i = 0; i < sizeof(f.tail); i += 13) {
		f.tail[i] = 1;
		REFUSED(env, fo_flow_add(env->table, &f.flow, &id, &env->err), -EINVAL, FO_R_SIZE, "size");
		f.tail[i] = 0;
	}
	env_connect(env, &f.flow);
	OK(env, fo_flow_add(env->table, &f.flow, &id, &env->err));
	f.flow.size = sizeof(f.flow);
	env_know(env, &f.flow, id);
	env_settle(env);
	env_traffic(env, 0, FO_ORIGINAL, 1);
	/* an absurd size is no reason to read a gigabyte */
	f.flow.size = SIZE_MAX;
	REFUSED(env, fo_flow_add(env->table, &f.flow, &id, &env->err), -EINVAL, FO_R_SIZE, "size");
}

/* Info structs of an older caller: only its bytes are written. */
static void older_info_structs(struct env *env)
{
	unsigned int n = usual(env);
	struct {
		struct fo_flow_counters c;
		uint8_t canary[8];
	} small;
	size_t older = offsetof(struct fo_flow_counters, last_seen_ms);

	env_traffic(env, n, FO_ORIGINAL, 3);
	memset(&small, 0xa5, sizeof(small));
	small.c.size = older;
	if (fo_flow_stats(env->table, env->ids[n], &small.c, &env->err) == 0) {
		const uint8_t *bytes = (const uint8_t *)&small;
		size_t i;

		for (i = older; i < sizeof(small); i++)
			REQUIRE_EQ(bytes[i], 0xa5);
	} else {
		REQUIRE_EQ(env->err.reason, FO_R_SIZE);
	}
	small.c.size = 0;
	REFUSED(env, fo_flow_stats(env->table, env->ids[n], &small.c, &env->err), -EINVAL, FO_R_SIZE, "size");
}

/* Less than 1280 is too small for IPv6, whichever side it is; 1280 is not. */
static void ipv6_needs_an_mtu_of_1280(struct env *env)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct fo_flow flow;
		struct fo_adj adj;

		connection(&flow, 6, 6, NAT_NONE, 1);
		between(env, &flow);
		side(&adj, i ? WAN : LAN, PLAIN);
		adj.mtu = 1279;
		flow.adj[i] = env_adj(env, &adj);
		env_add_refused(env, &flow, -EINVAL, ANY_REASON, NULL);
		adj.mtu = 1280;
		flow.adj[i] = env_adj(env, &adj);
		env_delete(env, env_add(env, &flow));
	}
}

static const struct suite_case errors_cases[] = {
	{.name = "tuples", .run = tuples, .needs = FO_CAP_UDP},
	{.name = "protocols", .run = protocols},
	{.name = "echo_tuples", .run = echo_tuples, .needs = FO_CAP_ICMP_ECHO | FO_CAP_IPV4},
	{.name = "icmpv6_echo_tuples", .run = ipv6_echo_tuples, .needs = FO_CAP_ICMP_ECHO | FO_CAP_IPV6},
	{.name = "addresses_ipv4", .run = addresses_ipv4, .needs = FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_DNAT},
	{.name = "addresses_ipv6", .run = addresses_ipv6, .needs = FO_CAP_UDP | FO_CAP_IPV6},
	{.name = "nat_that_contradicts_the_tuples", .run = nat, .needs = FO_CAP_SNAT | FO_CAP_DNAT},
	{.name = "both_keys_the_same", .run = both_keys_the_same, .needs = FO_CAP_UDP},
	{.name = "other_fields", .run = other_fields},
	{.name = "sizes_of_other_versions", .run = sizes_of_other_versions},
	{.name = "ipv6_needs_an_mtu_of_1280",
	 .run = ipv6_needs_an_mtu_of_1280,
	 .needs = FO_CAP_IPV6 | FO_CAP_TCP},
	{.name = "older_info_structs", .run = older_info_structs},
};
SUITE_GROUP(group_errors, "errors", errors_cases);
