/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_guards.c - rule 5: what must never take the short cut, with the flow there that it would
 * match; passed on unmodified (env_send() compares every byte). Malformed packets and
 * truncations as well. */
#include "topology.h"

#include <arpa/inet.h>

static struct packet_frame frame;

/* Both directions, with and without NAT, of each family that the backend has. */
typedef void (*visit_fn)(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec);

static void everywhere(struct env *env, unsigned int proto, visit_fn visit)
{
	static const unsigned int families[2] = {4, 6};
	unsigned int i, d;
	enum nat nat;

	for (i = 0; i < 2; i++) {
		unsigned int p = proto == 1 && i ? 58 : proto;

		for (nat = NAT_NONE; nat <= NAT_SRC; nat++) {
			unsigned int n;

			if (!env_has(env, connection_caps(families[i], p, nat), 0))
				continue;
			n = plain(env, families[i], p, nat, nat);
			for (d = 0; d < 2; d++) {
				struct packet_spec spec;

				suite_context("ipv%u proto %u nat %s direction %u", families[i], p,
					      nat_name[nat], d);
				env_traffic(env, n, (enum fo_dir)d, 1);
				env_spec(env, n, (enum fo_dir)d, &spec);
				visit(env, n, (enum fo_dir)d, &spec);
			}
			env_check_counters(env, n);
			env_delete(env, n);
		}
	}
}

static void passes(struct env *env, unsigned int flow, enum fo_dir dir, const struct packet_spec *spec,
		   unsigned int reason)
{
	struct rig_packet packet = env_frame(env, flow, dir, spec);

	env_pass(env, &packet, reason);
}

static void visit_fragments(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	int v4 = spec->tuple.family == 4;
	/* first, middle, last, atomic (IPv6: a header that says "the whole") */
	static const uint16_t v4_fields[] = {0x2000, 0x2001, 0x0005, 0x1fff, 0x3fff, 0x6000};
	static const uint16_t v6_fields[] = {0x0001, 0x0009, 0x0028, 0xfff8, 0x0002};
	unsigned int i;

	for (i = 0; i < (v4 ? 6u : 5u); i++) {
		spec->frag = v4 ? v4_fields[i] : v6_fields[i];
		passes(env, flow, dir, spec, FO_R_FRAGMENT);
	}
	/* "do not fragment" is none */
	spec->frag = v4 ? 0x4000 : 0;
	{
		struct rig_packet packet = env_frame(env, flow, dir, spec);

		env_forward(env, &packet);
	}
}

static void fragments(struct env *env)
{
	everywhere(env, 6, visit_fragments);
	everywhere(env, 17, visit_fragments);
	everywhere(env, 1, visit_fragments);
}

static void visit_options(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	static const uint8_t ext[] = {0, 43, 60, 51};
	unsigned int i;

	if (spec->tuple.family == 4) {
		for (i = 4; i <= 40; i += 4) {
			spec->options_len = i;
			passes(env, flow, dir, spec, FO_R_IP_OPTIONS);
		}
		return;
	}
	for (i = 0; i < sizeof(ext); i++) {
		spec->n_ext = 1;
		spec->ext[0] = ext[i];
		passes(env, flow, dir, spec, FO_R_EXT_HEADER);
		spec->n_ext = 2;
		spec->ext[1] = 60;
		passes(env, flow, dir, spec, FO_R_EXT_HEADER);
	}
}

static void options_and_extension_headers(struct env *env)
{
	everywhere(env, 6, visit_options);
	everywhere(env, 17, visit_options);
}

static void visit_ttl(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	struct rig_packet packet;

	spec->ttl = 0;
	passes(env, flow, dir, spec, FO_R_TTL);
	spec->ttl = 1;
	passes(env, flow, dir, spec, FO_R_TTL);
	spec->ttl = 2;
	packet = env_frame(env, flow, dir, spec);
	env_forward(env, &packet);
}

static void ttl(struct env *env)
{
	everywhere(env, 6, visit_ttl);
	everywhere(env, 17, visit_ttl);
	everywhere(env, 1, visit_ttl);
}

static void visit_icmp_types(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	int v4 = spec->tuple.family == 4;
	unsigned int type;

	for (type = 0; type < 256; type++) {
		if (v4 ? type == 0 || type == 8 : type == 128 || type == 129)
			continue;
		spec->tuple.dport_be = htons((uint16_t)(type << 8));
		passes(env, flow, dir, spec, FO_R_ICMP_TYPE);
	}
	/* an echo with a code is none */
	spec->tuple.dport_be = env->flows[flow].flow.tuple[dir].dport_be | htons(1);
	passes(env, flow, dir, spec, FO_R_NONE);
}

static void icmp_types(struct env *env)
{
	everywhere(env, 1, visit_icmp_types);
}

/* The flow's own addresses, another protocol: never its packets. */
static void other_protocols(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_NONE, 0), proto;

	for (proto = 0; proto < 256; proto++) {
		struct packet_spec spec;
		struct rig_packet packet;

		if (proto == 6 || proto == 17 || proto == 1)
			continue;
		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.tuple.proto = (uint8_t)proto;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		env_pass(env, &packet, FO_R_PROTOCOL);
	}
}

static void visit_lengths(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	static const int deltas[] = {1, 2, 100, 20000};
	unsigned int i;

	for (i = 0; i < 4; i++) {
		spec->ip_len_delta = deltas[i];
		passes(env, flow, dir, spec, FO_R_MALFORMED);
	}
	/* shorter than its own headers */
	spec->ip_len_delta = -(int)spec->payload_len - 1;
	passes(env, flow, dir, spec, FO_R_MALFORMED);
	spec->payload_len = 0;
	spec->ip_len_delta = -(int)(spec->tuple.family == 4 ? 9 : 8);
	if (spec->tuple.proto != 6)
		passes(env, flow, dir, spec, FO_R_MALFORMED);
	spec->ip_len_delta = 0;
	for (i = 0; i < 5 && spec->tuple.family == 4; i++) {
		spec->ihl = (int)i;
		passes(env, flow, dir, spec, FO_R_MALFORMED);
	}
}

static void ip_lengths_that_lie(struct env *env)
{
	everywhere(env, 6, visit_lengths);
	everywhere(env, 17, visit_lengths);
	everywhere(env, 1, visit_lengths);
}

/* Below an Ethernet type that names the other one, or none that there is. */
static void visit_versions(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	spec->version = 5;
	passes(env, flow, dir, spec, FO_R_MALFORMED);
	spec->version = spec->tuple.family == 4 ? 6 : 4;
	passes(env, flow, dir, spec, FO_R_MALFORMED);
}

static void ip_version_that_lies(struct env *env)
{
	everywhere(env, 6, visit_versions);
	everywhere(env, 17, visit_versions);
	everywhere(env, 1, visit_versions);
}

static void visit_udp_length(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	static const int deltas[] = {1, 2, 1000};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		spec->l4_len_delta = deltas[i];
		passes(env, flow, dir, spec, FO_R_MALFORMED);
	}
	for (i = 0; i < 8; i++) { /* less than its header; 0 is a jumbogram's */
		spec->l4_len_delta = -(int)spec->payload_len - 8 + (int)i;
		passes(env, flow, dir, spec, FO_R_MALFORMED);
	}
}

static void udp_length_that_lies(struct env *env)
{
	everywhere(env, 17, visit_udp_length);
}

static void visit_data_offset(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	spec->payload_len = 8;
	for (spec->data_offset = 0; spec->data_offset < 16; spec->data_offset++) {
		struct rig_packet packet = env_frame(env, flow, dir, spec);

		if (spec->data_offset < 5 || spec->data_offset > 7)
			env_pass(env, &packet, FO_R_MALFORMED);
		else
			env_forward(env, &packet);
	}
}

static void data_offset_that_lies(struct env *env)
{
	everywhere(env, 6, visit_data_offset);
}

static void ipv6_payload_length_zero(struct env *env)
{
	unsigned int n = plain(env, 6, 17, NAT_NONE, 0);
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.ip_len_delta = -(int)(8 + spec.payload_len);
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	env_pass(env, &packet, FO_R_MALFORMED);
}

/* Cut at every byte: the IP length no longer fits, and nothing behind the cut may be read. */
static void truncated_at_every_byte(struct env *env)
{
	static const struct {
		unsigned int family, proto;
	} kinds[] = {{4, 6}, {4, 17}, {4, 1}, {6, 6}, {6, 17}, {6, 58}};
	unsigned int i, e, cut;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (e = 0; e < N_ENCAPS; e++) {
			struct fo_flow flow;
			struct fo_adj adj;
			struct packet_spec spec;
			struct rig_packet packet;
			unsigned int n;

			if (!env_has(env,
				     connection_caps(kinds[i].family, kinds[i].proto, NAT_NONE) |
					     encaps_caps((enum encaps)e),
				     encaps_count((enum encaps)e)))
				continue;
			connection(&flow, kinds[i].family, kinds[i].proto, NAT_NONE, e);
			side(&adj, LAN, (enum encaps)e);
			flow.adj[0] = env_adj(env, &adj);
			side(&adj, WAN, PLAIN);
			flow.adj[1] = env_adj(env, &adj);
			n = env_add(env, &flow);
			env_spec(env, n, FO_ORIGINAL, &spec);
			packet_build(&spec, &frame);
			env_packet(&packet, &frame, LAN);
			env_forward(env, &packet);
			for (cut = 0; cut < frame.length; cut++) {
				suite_context("ipv%u proto %u %s cut at %u", kinds[i].family, kinds[i].proto,
					      encaps_name[e], cut);
				packet.length = cut;
				env_pass(env, &packet, FO_R_MALFORMED);
			}
			env_delete(env, n);
		}
	}
}

static void pppoe_that_lies(struct env *env)
{
	static const int deltas[] = {1, 30000, -1, -3, -50};
	struct fo_flow flow;
	struct fo_adj adj;
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int n, i;

	connection(&flow, 4, 17, NAT_NONE, 0);
	side(&adj, LAN, PPPOE);
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, WAN, PLAIN);
	flow.adj[1] = env_adj(env, &adj);
	n = env_add(env, &flow);
	for (i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.ppp_len_delta = deltas[i];
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		env_pass(env, &packet, FO_R_MALFORMED);
	}
	env_spec(env, n, FO_ORIGINAL, &spec);
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, LAN);
	packet_put16(frame.bytes + 20, 0xc021); /* LCP */
	env_pass(env, &packet, FO_R_ENCAP);
	packet_put16(frame.bytes + 20, 0x0057); /* says IPv6, is IPv4 */
	env_pass(env, &packet, FO_R_MALFORMED);
	packet_put16(frame.bytes + 20, 0x0021);
	frame.bytes[15] = 0xa7; /* code: a discovery message */
	env_pass(env, &packet, FO_R_NONE);
	frame.bytes[15] = 0;
	frame.bytes[14] = 0x12;
	env_pass(env, &packet, FO_R_NONE);
	frame.bytes[14] = 0x11;
	env_forward(env, &packet);
}

static void neither_ipv4_nor_ipv6(struct env *env)
{
	static const uint16_t types[] = {0x0806, 0x8863, 0x88cc, 0x8847, 0x9100, 0x0000, 0x05dc, 0xffff};
	unsigned int n = plain(env, 4, 17, NAT_NONE, 0), i;
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, FO_ORIGINAL, &spec);
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, LAN);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		packet_put16(frame.bytes + 12, types[i]);
		env_pass(env, &packet, FO_R_NOT_IP);
	}
	packet_put16(frame.bytes + 12, 0x86dd); /* the version says otherwise */
	env_pass(env, &packet, FO_R_MALFORMED);
}

static void visit_tcp_flags(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	unsigned int flags;

	for (flags = 0; flags < 256; flags++) {
		struct rig_packet packet;

		if (flags & (TCP_SYN | TCP_FIN | TCP_RST))
			continue;
		spec->tcp_flags = (uint8_t)flags;
		packet = env_frame(env, flow, dir, spec);
		env_forward(env, &packet);
	}
	for (flags = 0; flags < 256; flags++) {
		if ((flags & (TCP_SYN | TCP_FIN | TCP_RST)) != TCP_SYN)
			continue;
		spec->tcp_flags = (uint8_t)flags;
		passes(env, flow, dir, spec, FO_R_TCP_SYN);
	}
}

/* SYN goes to the slow path, the flow lives on. */
static void syn_passes_other_flags_go(struct env *env)
{
	everywhere(env, 6, visit_tcp_flags);
}

static void visit_wrong_mac(struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	unsigned int bit;
	struct rig_packet packet;

	for (bit = 0; bit < 48; bit++) {
		spec->dst_mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
		passes(env, flow, dir, spec, FO_R_WRONG_MAC);
		spec->dst_mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memset(spec->dst_mac, 0xff, 6);
	passes(env, flow, dir, spec, FO_R_WRONG_MAC);
	/* who sends is not checked: neighbours change */
	memcpy(spec->dst_mac, env->flows[flow].adj[dir].own_mac, 6);
	spec->src_mac[5] ^= 0x55;
	packet = env_frame(env, flow, dir, spec);
	env_forward(env, &packet);
}

static void wrong_mac(struct env *env)
{
	everywhere(env, 17, visit_wrong_mac);
}

#define UDP4 (FO_CAP_IPV4 | FO_CAP_UDP)

static const struct suite_case guards_cases[] = {
	{.name = "fragments_pass", .run = fragments},
	{.name = "options_and_extension_headers_pass", .run = options_and_extension_headers},
	{.name = "ttl_of_one_and_zero_pass", .run = ttl},
	{.name = "icmp_other_than_echo_passes", .run = icmp_types, .needs = FO_CAP_ICMP_ECHO},
	{.name = "other_protocols_pass", .run = other_protocols, .needs = UDP4},
	{.name = "syn_passes_other_flags_go",
	 .run = syn_passes_other_flags_go,
	 .needs = FO_CAP_TCP | FO_CAP_PUNT_SYN},
	{.name = "wrong_mac_passes", .run = wrong_mac, .needs = FO_CAP_UDP | FO_CAP_PUNT_MAC},
};
SUITE_GROUP(group_guards, "guards", guards_cases);

static const struct suite_case malformed_cases[] = {
	{.name = "ip_lengths_that_lie", .run = ip_lengths_that_lie},
	{.name = "ip_version_that_lies", .run = ip_version_that_lies},
	{.name = "udp_length_that_lies", .run = udp_length_that_lies, .needs = FO_CAP_UDP},
	{.name = "tcp_data_offset_that_lies", .run = data_offset_that_lies, .needs = FO_CAP_TCP},
	{.name = "ipv6_payload_length_zero",
	 .run = ipv6_payload_length_zero,
	 .needs = FO_CAP_IPV6 | FO_CAP_UDP},
	{.name = "truncated_at_every_byte", .run = truncated_at_every_byte},
	{.name = "pppoe_that_lies", .run = pppoe_that_lies, .needs = UDP4 | FO_CAP_PPPOE},
	{.name = "neither_ipv4_nor_ipv6", .run = neither_ipv4_nor_ipv6, .needs = UDP4},
};
SUITE_GROUP(group_malformed, "malformed", malformed_cases);
