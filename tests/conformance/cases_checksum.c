/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_checksum.c - rule 1, checksums: incremental by RFC 1624, so that a wrong one stays
 * wrong; UDP's zero; partial checksums; DSCP and ECN, TTL. */
#include "topology.h"

#include <arpa/inet.h>

static struct packet_frame frame;

/* Build, set the L4 checksum field as given, return a packet. */
static struct rig_packet with_csum(struct env *env, unsigned int flow, enum fo_dir dir, uint32_t csum)
{
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, flow, dir, &spec);
	packet_build(&spec, &frame);
	packet_put16(frame.bytes + frame.l4_csum, csum);
	env_packet(&packet, &frame, env->flows[flow].adj[dir].port);
	return packet;
}

static uint32_t csum_out(const struct model_answer *answer)
{
	/* same L2 and L3 lengths on both plain sides: the field is where it was */
	return packet_get16(answer->frame + frame.l4_csum);
}

/* All values of the field, in steps; seen[0] and seen[1]: a 0 or 0xffff came out. */
static void every_value(struct env *env, unsigned int flow, enum fo_dir dir, uint32_t step, int seen[2])
{
	uint32_t csum;

	seen[0] = seen[1] = 0;
	for (csum = 0; csum <= 0xffff; csum += step) {
		struct rig_packet packet = with_csum(env, flow, dir, csum);
		uint32_t out = csum_out(env_forward(env, &packet));

		if (env->flows[flow].flow.tuple[0].proto == 17 && csum == 0 && out != 0)
			FAIL("UDP checksum 0 became %04x", out);
		seen[0] |= csum != 0 && out == 0;
		seen[1] |= out == 0xffff;
	}
}

static void udp_every_checksum_value(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0);
	unsigned int d;
	int seen[2];

	for (d = 0; d < 2; d++) {
		every_value(env, n, (enum fo_dir)d, 1, seen);
		REQUIRE(!seen[0]); /* a computed 0 leaves as ffff */
		REQUIRE(seen[1]);
	}
}

static void tcp_every_checksum_value(struct env *env)
{
	unsigned int n = plain(env, 4, 6, NAT_SRC, 0);
	int seen[2];

	every_value(env, n, FO_ORIGINAL, 1, seen);
	REQUIRE(seen[0]); /* a computed 0 stays 0 */
}

static void udp_ipv6_every_checksum_value(struct env *env)
{
	unsigned int n = plain(env, 6, 17, NAT_BOTH, 0);
	int seen[2];

	every_value(env, n, FO_REPLY, 1, seen);
	REQUIRE(!seen[0] && seen[1]);
}

static void udp_zero_stays_zero(struct env *env)
{
	static const unsigned int families[2] = {4, 6};
	unsigned int i, d;

	for (i = 0; i < 2; i++) {
		enum nat nat;

		for (nat = NAT_NONE; nat < NAT_HAIRPIN; nat++) {
			unsigned int n;

			if (!env_has(env, connection_caps(families[i], 17, nat), 0))
				continue;
			n = plain(env, families[i], 17, nat, 10 + nat);
			for (d = 0; d < 2; d++) {
				struct rig_packet packet = with_csum(env, n, (enum fo_dir)d, 0);

				REQUIRE_EQ(csum_out(env_forward(env, &packet)), 0);
			}
		}
	}
}

/* Words change places: the sum stays the same, the delta is 0xffff, which is not "nothing
 * changed". */
static void delta_of_all_ones(struct env *env)
{
	static const uint8_t swapped[4] = {1, 2, 10, 1};
	unsigned int proto[2] = {6, 17}, i;

	for (i = 0; i < 2; i++) {
		struct fo_flow flow;
		unsigned int n;
		int seen[2];

		if (!env_has(env, connection_caps(4, proto[i], NAT_SRC), 0))
			continue;
		connection(&flow, 4, proto[i], NAT_SRC, 2);
		flow.tuple[1].dport_be = flow.tuple[0].sport_be;
		memcpy(flow.tuple[1].dst, swapped, 4);
		between(env, &flow);
		n = env_add(env, &flow);
		every_value(env, n, FO_ORIGINAL, 257, seen);
		every_value(env, n, FO_REPLY, 255, seen);
	}
}

static void wrong_stays_wrong(struct env *env)
{
	static const struct {
		unsigned int family, proto;
	} kinds[] = {{4, 6}, {4, 17}, {4, 1}, {6, 6}, {6, 17}, {6, 58}};
	unsigned int i, d;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		unsigned int n;

		if (!env_has(env, connection_caps(kinds[i].family, kinds[i].proto, NAT_SRC), 0))
			continue;
		n = plain(env, kinds[i].family, kinds[i].proto, NAT_SRC, i);
		for (d = 0; d < 2; d++) {
			struct packet_spec spec;
			struct rig_packet packet;
			const struct model_answer *answer;

			env_spec(env, n, (enum fo_dir)d, &spec);
			spec.csum = PACKET_CSUM_WRONG;
			spec.csum_value = 0x0100;
			packet = env_frame(env, n, (enum fo_dir)d, &spec);
			answer = env_forward(env, &packet);
			REQUIRE(!packet_l4_csum_ok(answer->frame, 14, answer->length));
		}
	}
}

static void wrong_ip_header_checksum_stays_wrong(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_DST, 0);
	struct packet_spec spec;
	uint32_t value;

	for (value = 1; value <= 0xffff; value += 119) {
		struct rig_packet packet;
		const struct model_answer *answer;

		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.ip_csum_xor = (uint16_t)value;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		answer = env_forward(env, &packet);
		REQUIRE(!packet_ip_csum_ok(answer->frame, 14));
	}
}

static void icmp_checksum_and_pseudo_header(struct env *env)
{
	unsigned int n4 = plain(env, 4, 1, NAT_SRC, 0), d;

	/* ICMPv4 has no pseudo header: an address alone does not change the checksum */
	for (d = 0; d < 2; d++) {
		struct packet_spec spec;
		struct rig_packet packet;
		const struct model_answer *answer;

		env_spec(env, n4, (enum fo_dir)d, &spec);
		packet = env_frame(env, n4, (enum fo_dir)d, &spec);
		answer = env_forward(env, &packet);
		REQUIRE(packet_l4_csum_ok(answer->frame, 14, answer->length));
	}
	if (!env_has(env, connection_caps(6, 58, NAT_SRC), 0))
		return;
	n4 = plain(env, 6, 58, NAT_SRC, 1);
	for (d = 0; d < 2; d++) {
		struct packet_spec spec;
		struct rig_packet packet;
		const struct model_answer *answer;

		env_spec(env, n4, (enum fo_dir)d, &spec);
		packet = env_frame(env, n4, (enum fo_dir)d, &spec);
		answer = env_forward(env, &packet);
		REQUIRE(packet_l4_csum_ok(answer->frame, 14, answer->length));
	}
}

/* The field holds the pseudo header's sum: it must become that of the new addresses, ports left
 * out. */
static void partial_checksum_gets_the_address_delta_alone(struct env *env)
{
	static const struct {
		unsigned int family, proto;
	} kinds[] = {{4, 6}, {4, 17}, {6, 6}, {6, 17}};
	unsigned int i, d;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		enum nat nat;

		for (nat = NAT_NONE; nat < NAT_HAIRPIN; nat++) {
			unsigned int n;

			if (!env_has(env, connection_caps(kinds[i].family, kinds[i].proto, nat), 0))
				continue;
			n = plain(env, kinds[i].family, kinds[i].proto, nat, i * 8 + nat);
			for (d = 0; d < 2; d++) {
				static struct packet_frame want;
				struct packet_spec spec;
				struct rig_packet packet;
				const struct model_answer *answer;
				const struct fo_tuple *back = &env->flows[n].flow.tuple[1 - d];

				env_spec(env, n, (enum fo_dir)d, &spec);
				spec.csum = PACKET_CSUM_PARTIAL;
				packet_build(&spec, &frame);
				env_packet(&packet, &frame, env->flows[n].adj[d].port);
				packet.flags = FO_PKT_CSUM_PARTIAL;
				packet.csum_start = (uint16_t)frame.l4;
				packet.csum_offset = (uint16_t)(frame.l4_csum - frame.l4);
				answer = env_forward(env, &packet);
				memcpy(spec.tuple.src, back->dst, 16);
				memcpy(spec.tuple.dst, back->src, 16);
				packet_build(&spec, &want);
				REQUIRE_EQ(csum_out(answer), packet_get16(want.bytes + want.l4_csum));
			}
			env_delete(env, n);
		}
	}
}

static void partial_checksum_elsewhere_passes(struct env *env)
{
	unsigned int n = plain(env, 4, 6, NAT_SRC, 0);
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.csum = PACKET_CSUM_PARTIAL;
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, LAN);
	packet.flags = FO_PKT_CSUM_PARTIAL;
	packet.csum_start = (uint16_t)(frame.l4 + 20);
	packet.csum_offset = 16;
	env_pass(env, &packet, FO_R_CSUM_META);
	packet.csum_start = (uint16_t)frame.l4;
	packet.csum_offset = 6;
	env_pass(env, &packet, FO_R_CSUM_META);
	packet.csum_start = 0xffff;
	packet.csum_offset = 0xffff;
	env_pass(env, &packet, FO_R_CSUM_META);
}

/* csum_start is an offset from data: it moves with the L2 header. */
static void partial_checksum_start_follows_the_l2_header(struct env *env)
{
	struct fo_adj adj;
	struct fo_flow flow;
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int n, d;

	env_need_encaps(env, 2);
	connection(&flow, 4, 6, NAT_SRC, 0);
	side(&adj, LAN, PLAIN);
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, WAN, Q_PPPOE);
	flow.adj[1] = env_adj(env, &adj);
	n = env_add(env, &flow);
	for (d = 0; d < 2; d++) {
		env_spec(env, n, (enum fo_dir)d, &spec);
		spec.csum = PACKET_CSUM_PARTIAL;
		packet_build(&spec, &frame);
		env_packet(&packet, &frame, env->flows[n].adj[d].port);
		packet.flags = FO_PKT_CSUM_PARTIAL;
		packet.csum_start = (uint16_t)frame.l4;
		packet.csum_offset = 16;
		REQUIRE_EQ(env_forward(env, &packet)->csum_start, d ? 34 : 46);
	}
}

static void dscp_is_written_and_ecn_kept(struct env *env)
{
	static const unsigned int families[2] = {4, 6};
	unsigned int i, tos;

	for (i = 0; i < 2; i++) {
		struct fo_flow flow;
		struct packet_spec spec;
		struct rig_packet packet;
		const struct model_answer *answer;
		unsigned int n;

		if (!env_has(env, connection_caps(families[i], 17, NAT_NONE), 0))
			continue;
		connection(&flow, families[i], 17, NAT_NONE, i);
		flow.dscp[FO_ORIGINAL] = FO_DSCP_SET(46);
		between(env, &flow);
		n = env_add(env, &flow);
		for (tos = 0; tos < 256; tos++) {
			const uint8_t *ip;

			env_spec(env, n, FO_ORIGINAL, &spec);
			spec.tos = (uint8_t)tos;
			packet = env_frame(env, n, FO_ORIGINAL, &spec);
			answer = env_forward(env, &packet);
			ip = answer->frame + 14;
			REQUIRE_EQ(i ? (packet_get16(ip) >> 4 & 0xff) : ip[1], (46u << 2 | (tos & 3)));
			env_spec(env, n, FO_REPLY, &spec);
			spec.tos = (uint8_t)tos;
			packet = env_frame(env, n, FO_REPLY, &spec);
			ip = env_forward(env, &packet)->frame + 14;
			REQUIRE_EQ(i ? (packet_get16(ip) >> 4 & 0xff) : ip[1], tos);
		}
	}
}

static void dscp_zero_is_a_value(struct env *env)
{
	struct fo_flow flow;
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int n;

	connection(&flow, 4, 6, NAT_NONE, 0);
	flow.dscp[FO_REPLY] = FO_DSCP_SET(0);
	between(env, &flow);
	n = env_add(env, &flow);
	env_spec(env, n, FO_REPLY, &spec);
	spec.tos = 0xff;
	packet = env_frame(env, n, FO_REPLY, &spec);
	REQUIRE_EQ(env_forward(env, &packet)->frame[15], 3);
}

static void every_ttl(struct env *env)
{
	static const unsigned int families[2] = {4, 6};
	unsigned int i, ttl;

	for (i = 0; i < 2; i++) {
		unsigned int n;

		if (!env_has(env, connection_caps(families[i], 6, NAT_NONE), 0))
			continue;
		n = plain(env, families[i], 6, NAT_NONE, i);
		for (ttl = 0; ttl < 256; ttl++) {
			struct packet_spec spec;
			struct rig_packet packet;

			env_spec(env, n, FO_ORIGINAL, &spec);
			spec.ttl = (uint8_t)ttl;
			packet = env_frame(env, n, FO_ORIGINAL, &spec);
			if (ttl < 2)
				env_pass(env, &packet, FO_R_TTL);
			else
				REQUIRE_EQ(env_forward(env, &packet)->frame[i ? 21 : 22], ttl - 1);
		}
	}
}

#define V4_UDP_SNAT (FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_PORT_NAT)
#define V4_TCP_SNAT (FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_SNAT | FO_CAP_PORT_NAT)

static const struct suite_case checksum_cases[] = {
	{.name = "udp_every_checksum_value", .run = udp_every_checksum_value, .needs = V4_UDP_SNAT},
	{.name = "tcp_every_checksum_value", .run = tcp_every_checksum_value, .needs = V4_TCP_SNAT},
	{.name = "udp_over_ipv6_every_checksum_value",
	 .run = udp_ipv6_every_checksum_value,
	 .needs = FO_CAP_IPV6 | FO_CAP_NAT66 | FO_CAP_UDP | FO_CAP_DNAT},
	{.name = "udp_zero_stays_zero", .run = udp_zero_stays_zero, .needs = FO_CAP_UDP},
	{.name = "delta_of_all_ones_is_a_change", .run = delta_of_all_ones, .needs = FO_CAP_SNAT},
	{.name = "wrong_stays_wrong", .run = wrong_stays_wrong, .needs = FO_CAP_SNAT},
	{.name = "wrong_ip_header_checksum_stays_wrong",
	 .run = wrong_ip_header_checksum_stays_wrong,
	 .needs = FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_DNAT},
	{.name = "icmp_without_and_icmpv6_with_pseudo_header",
	 .run = icmp_checksum_and_pseudo_header,
	 .needs = FO_CAP_ICMP_ECHO | FO_CAP_SNAT},
	{.name = "partial_checksum_gets_the_address_delta_alone",
	 .run = partial_checksum_gets_the_address_delta_alone,
	 .features = RIG_CSUM},
	{.name = "partial_checksum_elsewhere_passes",
	 .run = partial_checksum_elsewhere_passes,
	 .features = RIG_META},
	{.name = "partial_checksum_start_follows_the_l2_header",
	 .run = partial_checksum_start_follows_the_l2_header,
	 .needs = FO_CAP_VLAN | FO_CAP_PPPOE | V4_TCP_SNAT,
	 .features = RIG_CSUM},
	{.name = "dscp_is_written_and_ecn_kept", .run = dscp_is_written_and_ecn_kept, .needs = FO_CAP_DSCP},
	{.name = "dscp_zero_is_a_value", .run = dscp_zero_is_a_value, .needs = FO_CAP_DSCP | FO_CAP_IPV4},
	{.name = "every_ttl", .run = every_ttl, .needs = FO_CAP_TCP},
};
SUITE_GROUP(group_checksum, "checksum", checksum_cases);
