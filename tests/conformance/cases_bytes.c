/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_bytes.c - rule 1: a packet that takes the short cut leaves exactly as the reference
 * says. Every family, protocol, NAT and encapsulation on either side; checksums have a file of
 * their own (cases_checksum.c). */
#include "topology.h"

struct sides {
	fo_adj_id lan[N_ENCAPS];
	fo_adj_id wan[N_ENCAPS];
	int usable[N_ENCAPS];
};

static void make_sides(struct env *env, struct sides *sides)
{
	unsigned int e;

	for (e = 0; e < N_ENCAPS; e++) {
		struct fo_adj adj;

		sides->usable[e] = env_has(env, encaps_caps((enum encaps)e), encaps_count((enum encaps)e));
		if (!sides->usable[e])
			continue;
		side(&adj, LAN, (enum encaps)e);
		sides->lan[e] = env_adj(env, &adj);
		side(&adj, WAN, (enum encaps)e);
		sides->wan[e] = env_adj(env, &adj);
	}
}

/* The frame built afresh as it should leave, checksums computed from nothing: an oracle beside
 * the model. */
static void same_as_built(const struct env *env, unsigned int flow, enum fo_dir dir,
			  const struct packet_spec *in, const struct model_answer *answer)
{
	static struct packet_frame want;
	const struct fo_tuple *back = &env->flows[flow].flow.tuple[1 - dir];
	const struct fo_adj *to = &env->flows[flow].adj[1 - dir];
	struct packet_spec spec = *in;
	int echo = back->proto == 1 || back->proto == 58;

	memcpy(spec.dst_mac, to->peer_mac, 6);
	memcpy(spec.src_mac, to->own_mac, 6);
	spec.n_encaps = to->n_encaps;
	memcpy(spec.encap, to->encap, sizeof(to->encap));
	memcpy(spec.tuple.src, back->dst, 16);
	memcpy(spec.tuple.dst, back->src, 16);
	spec.tuple.sport_be = echo ? back->sport_be : back->dport_be;
	spec.tuple.dport_be = echo ? in->tuple.dport_be : back->sport_be;
	spec.ttl--;
	packet_build(&spec, &want);
	if (want.length != answer->length || memcmp(want.bytes, answer->frame, want.length))
		FAIL("model and builder disagree: %s, %s", suite_hex(answer->frame, answer->length),
		     suite_hex(want.bytes, want.length));
}

static void both_ways(struct env *env, unsigned int flow)
{
	static const unsigned int lengths[] = {0, 1, 33, 1000};
	unsigned int d, i;

	for (d = 0; d < 2; d++) {
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			struct packet_spec spec;
			struct rig_packet packet;

			env_spec(env, flow, (enum fo_dir)d, &spec);
			spec.payload_len = lengths[i];
			spec.payload_seed = i * 77 + d;
			spec.ttl = (uint8_t)(i == 3 ? 255 : 2 + 30 * i);
			spec.tos = (uint8_t)(0x2e << 2 | i);
			packet = env_frame(env, flow, (enum fo_dir)d, &spec);
			same_as_built(env, flow, (enum fo_dir)d, &spec, env_forward(env, &packet));
		}
	}
	env_check_counters(env, flow);
}

static void one_combination(struct env *env, const struct sides *sides, struct fo_flow *flow, unsigned int in,
			    unsigned int out)
{
	unsigned int n;

	flow->adj[FO_ORIGINAL] = sides->lan[in];
	flow->adj[FO_REPLY] = sides->wan[out];
	n = env_add(env, flow);
	both_ways(env, n);
}

static void all_combinations(struct env *env, unsigned int family, unsigned int proto)
{
	struct sides sides;
	unsigned int nat, in, out, done = 0;

	make_sides(env, &sides);
	for (nat = 0; nat < N_NAT; nat++) {
		struct fo_flow flow;

		if (!env_has(env, connection_caps(family, proto, (enum nat)nat), 0))
			continue;
		for (in = 0; in < N_ENCAPS; in++) {
			for (out = 0; out < N_ENCAPS; out++) {
				if (!sides.usable[in] || !sides.usable[out])
					continue;
				suite_context("ipv%u proto %u, nat %s, %s to %s", family, proto,
					      nat_name[nat], encaps_name[in], encaps_name[out]);
				connection(&flow, family, proto, (enum nat)nat, done % 200);
				one_combination(env, &sides, &flow, in, out);
				done++;
				if (env->model.n_flows == env_room(env, N_ENCAPS * N_ENCAPS))
					env_delete_all(env);
			}
		}
		env_delete_all(env);
	}
	suite_context(NULL);
	REQUIRE(done > 0);
}

static void ipv4_tcp(struct env *env)
{
	all_combinations(env, 4, 6);
}
static void ipv4_udp(struct env *env)
{
	all_combinations(env, 4, 17);
}
static void ipv4_icmp(struct env *env)
{
	all_combinations(env, 4, 1);
}
static void ipv6_tcp(struct env *env)
{
	all_combinations(env, 6, 6);
}
static void ipv6_udp(struct env *env)
{
	all_combinations(env, 6, 17);
}
static void ipv6_icmp(struct env *env)
{
	all_combinations(env, 6, 58);
}

static const struct suite_case bytes_cases[] = {
	{.name = "ipv4_tcp_every_nat_and_encapsulation", .run = ipv4_tcp, .needs = FO_CAP_IPV4 | FO_CAP_TCP},
	{.name = "ipv4_udp_every_nat_and_encapsulation", .run = ipv4_udp, .needs = FO_CAP_IPV4 | FO_CAP_UDP},
	{.name = "ipv4_icmp_echo_every_nat_and_encapsulation",
	 .run = ipv4_icmp,
	 .needs = FO_CAP_IPV4 | FO_CAP_ICMP_ECHO},
	{.name = "ipv6_tcp_every_nat_and_encapsulation", .run = ipv6_tcp, .needs = FO_CAP_IPV6 | FO_CAP_TCP},
	{.name = "ipv6_udp_every_nat_and_encapsulation", .run = ipv6_udp, .needs = FO_CAP_IPV6 | FO_CAP_UDP},
	{.name = "ipv6_icmp_echo_every_nat_and_encapsulation",
	 .run = ipv6_icmp,
	 .needs = FO_CAP_IPV6 | FO_CAP_ICMP_ECHO},
};
SUITE_GROUP(group_bytes, "bytes", bytes_cases);

/* ---- NAT: what the matrix above does not say ------------------------------------------------- */

/* Both sides are one adjacency: the packet goes back out of the port it came in by, its tags
 * kept. */
static void hairpin(struct env *env)
{
	unsigned int families[2] = {4, 6}, i;

	for (i = 0; i < 2; i++) {
		struct fo_adj adj;
		struct fo_flow flow;
		unsigned int n;

		if (!env_has(env, connection_caps(families[i], 6, NAT_HAIRPIN) | FO_CAP_VLAN, 1))
			continue;
		side(&adj, LAN, Q);
		connection(&flow, families[i], 6, NAT_HAIRPIN, 3);
		flow.adj[0] = flow.adj[1] = env_adj(env, &adj);
		n = env_add(env, &flow);
		both_ways(env, n);
	}
}

/* nat = 0: whatever the tuples say. */
static void nat_unstated_is_read_from_the_tuples(struct env *env)
{
	enum nat nat;

	for (nat = NAT_NONE; nat <= NAT_DST; nat++) {
		struct fo_flow flow;

		if (!env_has(env, connection_caps(4, 6, nat), 0))
			continue;
		connection(&flow, 4, 6, nat, nat);
		flow.nat = 0;
		between(env, &flow);
		both_ways(env, env_add(env, &flow));
	}
}

static void many_connections_keep_apart(struct env *env)
{
	unsigned int n = env_room(env, 24), i;

	for (i = 0; i < n; i++) {
		struct fo_flow flow;

		connection(&flow, 4, i & 1 ? 17 : 6, NAT_SRC, i);
		between(env, &flow);
		env_add(env, &flow);
	}
	for (i = 0; i < n; i++) {
		env_traffic(env, n - 1 - i, FO_ORIGINAL, 1 + i % 3);
		env_traffic(env, i, FO_REPLY, 1 + i % 2);
	}
	for (i = 0; i < n; i++)
		env_check_counters(env, i);
}

/* An echo request in the reply direction is no packet of this flow, nor is a reply in the
 * original one. */
static void echo_direction_is_fixed(struct env *env)
{
	static const unsigned int protos[2] = {1, 58};
	unsigned int i, d;

	for (i = 0; i < 2; i++) {
		unsigned int family = i ? 6 : 4, n;

		if (!env_has(env, connection_caps(family, protos[i], NAT_NONE), 0))
			continue;
		n = plain(env, family, protos[i], NAT_NONE, i);
		for (d = 0; d < 2; d++) {
			struct packet_spec spec;
			struct rig_packet packet;

			env_spec(env, n, (enum fo_dir)d, &spec);
			spec.tuple.dport_be = env->flows[n].flow.tuple[1 - d].dport_be;
			packet = env_frame(env, n, (enum fo_dir)d, &spec);
			env_pass(env, &packet, FO_R_NO_FLOW);
		}
	}
}

static const struct suite_case nat_cases[] = {
	{.name = "hairpin_leaves_by_the_port_it_came_in_by",
	 .run = hairpin,
	 .needs = FO_CAP_SNAT | FO_CAP_DNAT},
	{.name = "nat_unstated_is_read_from_the_tuples",
	 .run = nat_unstated_is_read_from_the_tuples,
	 .needs = FO_CAP_IPV4 | FO_CAP_TCP},
	{.name = "many_connections_keep_apart",
	 .run = many_connections_keep_apart,
	 .needs = FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_PORT_NAT},
	{.name = "echo_direction_is_fixed", .run = echo_direction_is_fixed, .needs = FO_CAP_ICMP_ECHO},
};
SUITE_GROUP(group_nat, "nat", nat_cases);
