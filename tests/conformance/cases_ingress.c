/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_ingress.c - rule 5b and the key: a packet belongs to a flow only by its port, tags,
 * session and scope. */
#include "topology.h"

static struct packet_frame frame;

static unsigned int joined(struct env *env, enum encaps lan, uint32_t adj_flags)
{
	struct fo_adj adj;
	struct fo_flow flow;

	env_need(env, connection_caps(4, 17, NAT_SRC) | encaps_caps(lan));
	env_need_encaps(env, encaps_count(lan));
	connection(&flow, 4, 17, NAT_SRC, env->model.n_flows);
	side(&adj, LAN, lan);
	adj.flags = adj_flags;
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, WAN, PLAIN);
	flow.adj[1] = env_adj(env, &adj);
	return env_add(env, &flow);
}

static struct rig_packet arriving(struct env *env, unsigned int n, const struct packet_spec *spec,
				  uint32_t port)
{
	struct rig_packet packet;

	(void)env;
	(void)n;
	packet_build(spec, &frame);
	env_packet(&packet, &frame, port);
	return packet;
}

static void wrong_port(struct env *env)
{
	unsigned int n = joined(env, PLAIN, 0);
	static const uint32_t ports[] = {WAN, DMZ, 4, 5, 0, 0xffffffffu, 0x01000001u};
	struct packet_spec spec;
	unsigned int i;

	env_spec(env, n, FO_ORIGINAL, &spec);
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct rig_packet packet = arriving(env, n, &spec, ports[i]);

		env_pass(env, &packet, FO_R_WRONG_INGRESS);
	}
	env_traffic(env, n, FO_ORIGINAL, 1);
}

/* Every other combination of tags than the adjacency's own, and every other number in them. */
static void wrong_encapsulation(struct env *env)
{
	unsigned int have, got, i;

	for (have = 0; have < N_ENCAPS; have++) {
		struct packet_spec spec;
		struct rig_packet packet;
		unsigned int n;

		if (!env_has(env, encaps_caps((enum encaps)have), encaps_count((enum encaps)have)))
			continue;
		n = joined(env, (enum encaps)have, 0);
		for (got = 0; got < N_ENCAPS; got++) {
			struct fo_adj other;

			suite_context("flow on %s, packet on %s", encaps_name[have], encaps_name[got]);
			side(&other, LAN, (enum encaps)got);
			for (i = 0; i < other.n_encaps && !(env->rig->features & RIG_PRIORITY); i++)
				other.encap[i].pcp = other.encap[i].dei = 0;
			packet_spec_init(&spec, &env->flows[n].flow.tuple[0], &other);
			packet = arriving(env, n, &spec, LAN);
			if (got == have)
				env_forward(env, &packet);
			else
				env_pass(env, &packet, FO_R_WRONG_INGRESS);
		}
		for (i = 0; i < encaps_count((enum encaps)have); i++) {
			env_spec(env, n, FO_ORIGINAL, &spec);
			spec.encap[i].id ^= 1;
			packet = arriving(env, n, &spec, LAN);
			env_pass(env, &packet, FO_R_WRONG_INGRESS);
		}
		env_delete(env, n);
	}
}

static void priority_bits_are_ignored_on_ingress(struct env *env)
{
	unsigned int n = joined(env, QINQ, 0), bits;
	struct packet_spec spec;

	for (bits = 0; bits < 16; bits++) {
		struct rig_packet packet;

		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.encap[0].pcp = (uint8_t)(bits >> 1);
		spec.encap[0].dei = bits & 1;
		spec.encap[1].pcp = (uint8_t)(7 - (bits >> 1));
		spec.encap[1].dei = ~bits & 1;
		packet = arriving(env, n, &spec, LAN);
		env_forward(env, &packet);
	}
}

/* PCP and DEI leave as the adjacency says, whatever they were. */
static void priority_bits_are_the_adjacencys(struct env *env)
{
	unsigned int bits;

	for (bits = 0; bits < 16; bits++) {
		struct fo_adj adj;
		struct fo_flow flow;
		struct packet_spec spec;
		struct rig_packet packet;
		unsigned int n;

		connection(&flow, 4, 17, NAT_NONE, 0);
		side(&adj, LAN, Q);
		adj.encap[0].pcp = 7;
		adj.encap[0].dei = 1;
		flow.adj[0] = env_adj(env, &adj);
		side(&adj, WAN, Q);
		adj.encap[0].pcp = (uint8_t)(bits >> 1);
		adj.encap[0].dei = bits & 1;
		flow.adj[1] = env_adj(env, &adj);
		n = env_add(env, &flow);
		env_spec(env, n, FO_ORIGINAL, &spec);
		packet = arriving(env, n, &spec, LAN);
		REQUIRE_EQ(packet_get16(env_forward(env, &packet)->frame + 14), (bits << 12 | (100 + WAN)));
		env_delete(env, n);
	}
}

static void priority_tag_passes(struct env *env)
{
	unsigned int plain_flow = joined(env, PLAIN, 0), tagged = joined(env, Q, 0);
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, tagged, FO_ORIGINAL, &spec);
	spec.encap[0].id = 0;
	packet = arriving(env, tagged, &spec, LAN);
	env_pass(env, &packet, FO_R_WRONG_INGRESS);
	env_spec(env, plain_flow, FO_ORIGINAL, &spec);
	spec.n_encaps = 1;
	spec.encap[0].kind = FO_ENCAP_8021Q;
	spec.encap[0].pcp = 6;
	packet = arriving(env, plain_flow, &spec, LAN);
	env_pass(env, &packet, FO_R_WRONG_INGRESS);
}

static void more_tags_than_two_pass(struct env *env)
{
	unsigned int n = joined(env, QINQ, 0), i;
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.n_encaps = 3;
	for (i = 0; i < 3; i++) {
		spec.encap[i].kind = i ? FO_ENCAP_8021Q : FO_ENCAP_8021AD;
		spec.encap[i].id = (uint16_t)(5 + i);
	}
	packet = arriving(env, n, &spec, LAN);
	env_pass(env, &packet, FO_R_ENCAP);
	spec.n_encaps = 4;
	spec.encap[3] = spec.encap[2];
	packet = arriving(env, n, &spec, LAN);
	env_pass(env, &packet, FO_R_ENCAP);
}

static void any_ingress_takes_all(struct env *env)
{
	unsigned int n = joined(env, PLAIN, FO_ADJ_ANY_INGRESS), e;
	struct packet_spec spec;
	struct rig_packet packet;

	for (e = 0; e < N_ENCAPS; e++) {
		struct fo_adj other;

		suite_context("%s", encaps_name[e]);
		side(&other, DMZ, (enum encaps)e);
		packet_spec_init(&spec, &env->flows[n].flow.tuple[0], &other);
		packet = arriving(env, n, &spec, DMZ);
		env_forward(env, &packet);
	}
	/* the other side still checks */
	env_spec(env, n, FO_REPLY, &spec);
	packet = arriving(env, n, &spec, DMZ);
	env_pass(env, &packet, FO_R_WRONG_INGRESS);
	packet = arriving(env, n, &spec, WAN);
	env_forward(env, &packet);
}

static void wrong_scope(struct env *env)
{
	struct fo_flow flow;
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int n;

	connection(&flow, 4, 17, NAT_SRC, 0);
	between(env, &flow);
	flow.scope = 700;
	n = env_add(env, &flow);
	env_spec(env, n, FO_ORIGINAL, &spec);
	packet = arriving(env, n, &spec, LAN);
	packet.scope = 0;
	env_pass(env, &packet, FO_R_NO_FLOW);
	packet.scope = 701;
	env_pass(env, &packet, FO_R_NO_FLOW);
	packet.scope = 700;
	env_forward(env, &packet);
}

/* Overlapping networks: one tuple in several scopes and on several ingresses are as many flows. */
static void same_tuple_in_scopes_and_vlans_keeps_apart(struct env *env)
{
	static const uint16_t scopes[] = {0, 1, 0xffff};
	unsigned int n[9], i, s;

	for (i = 0; i < 3; i++) {
		fo_adj_id lan, wan;
		struct fo_adj adj;

		side(&adj, LAN, Q);
		adj.encap[0].id = (uint16_t)(10 + i);
		lan = env_adj(env, &adj);
		side(&adj, WAN, Q);
		adj.encap[0].id = (uint16_t)(20 + i);
		wan = env_adj(env, &adj);
		for (s = 0; s < 3; s++) {
			struct fo_flow flow;

			connection(&flow, 4, 17, NAT_NONE, 0);
			flow.scope = scopes[s];
			flow.adj[0] = lan;
			flow.adj[1] = wan;
			flow.user = 100 + 3 * i + s;
			n[3 * i + s] = env_add(env, &flow);
		}
	}
	for (i = 0; i < 9; i++) {
		env_traffic(env, n[i], FO_ORIGINAL, i + 1);
		env_traffic(env, n[i], FO_REPLY, 9 - i);
	}
	for (i = 0; i < 9; i++)
		env_check_counters(env, n[i]);
	env_delete(env, n[4]);
	for (i = 0; i < 9; i++)
		if (i != 4)
			env_traffic(env, n[i], FO_ORIGINAL, 1);
	env_quiet(env, n[4], FO_ORIGINAL, FO_R_WRONG_INGRESS);
}

static void unknown_tuple(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0), i;
	struct packet_spec spec;
	struct rig_packet packet;

	/* one bit off anywhere in addresses and ports */
	for (i = 0; i < 96; i++) {
		uint8_t *at;

		env_spec(env, n, FO_ORIGINAL, &spec);
		at = i < 32   ? &spec.tuple.src[i / 8]
		     : i < 64 ? &spec.tuple.dst[i / 8 - 4]
		     : i < 80 ? (uint8_t *)&spec.tuple.sport_be + i / 8 - 8
			      : (uint8_t *)&spec.tuple.dport_be + i / 8 - 10;
		*at ^= (uint8_t)(1u << i % 8);
		packet = arriving(env, n, &spec, LAN);
		env_pass(env, &packet, FO_R_NO_FLOW);
	}
	/* as it leaves, it is no flow's packet either */
	env_spec(env, n, FO_REPLY, &spec);
	memcpy(spec.tuple.src, env->flows[n].flow.tuple[1].dst, 16);
	memcpy(spec.tuple.dst, env->flows[n].flow.tuple[1].src, 16);
	packet = arriving(env, n, &spec, WAN);
	env_pass(env, &packet, FO_R_NO_FLOW);
}

#define UDP4 (FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_PORT_NAT)

static const struct suite_case ingress_cases[] = {
	{.name = "wrong_port_passes", .run = wrong_port, .needs = UDP4 | FO_CAP_INGRESS},
	{.name = "wrong_encapsulation_passes", .run = wrong_encapsulation, .needs = UDP4 | FO_CAP_INGRESS},
	{.name = "priority_bits_are_ignored_on_ingress",
	 .run = priority_bits_are_ignored_on_ingress,
	 .needs = UDP4 | FO_CAP_QINQ,
	 .features = RIG_PRIORITY},
	{.name = "priority_bits_are_the_adjacencys",
	 .run = priority_bits_are_the_adjacencys,
	 .needs = UDP4 | FO_CAP_VLAN,
	 .features = RIG_PRIORITY},
	{.name = "priority_tag_passes",
	 .run = priority_tag_passes,
	 .needs = UDP4 | FO_CAP_VLAN | FO_CAP_INGRESS},
	{.name = "more_tags_than_two_pass", .run = more_tags_than_two_pass, .needs = UDP4 | FO_CAP_QINQ},
	{.name = "any_ingress_takes_all", .run = any_ingress_takes_all, .needs = UDP4 | FO_CAP_ANY_INGRESS},
	{.name = "wrong_scope_passes",
	 .run = wrong_scope,
	 .needs = UDP4 | FO_CAP_SCOPE,
	 .features = RIG_SCOPES},
	{.name = "same_tuple_in_scopes_and_vlans_keeps_apart",
	 .run = same_tuple_in_scopes_and_vlans_keeps_apart,
	 .needs = UDP4 | FO_CAP_SCOPE | FO_CAP_VLAN | FO_CAP_INGRESS,
	 .features = RIG_SCOPES},
	{.name = "unknown_tuple_passes", .run = unknown_tuple, .needs = UDP4},
};
SUITE_GROUP(group_ingress, "ingress", ingress_cases);
