/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_lengths.c - rules 1 and 5a, lengths: padding, headroom, MTU, GSO by its segments, split
 * buffers, tags in metadata. */
#include "topology.h"

static struct packet_frame frame;

/* A UDP connection between these sides, added. */
static unsigned int joined(struct env *env, enum encaps lan, enum encaps wan, uint32_t wan_mtu)
{
	struct fo_adj adj;
	struct fo_flow flow;

	env_need(env, connection_caps(4, 17, NAT_SRC) | encaps_caps(lan) | encaps_caps(wan));
	env_need_encaps(env, encaps_count(lan) > encaps_count(wan) ? encaps_count(lan) : encaps_count(wan));
	connection(&flow, 4, 17, NAT_SRC, env->model.n_flows);
	side(&adj, LAN, lan);
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, WAN, wan);
	if (wan_mtu)
		adj.mtu = wan_mtu;
	flow.adj[1] = env_adj(env, &adj);
	return env_add(env, &flow);
}

static struct rig_packet sized(struct env *env, unsigned int n, enum fo_dir dir, unsigned int payload,
			       unsigned int padding)
{
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, dir, &spec);
	spec.payload_len = payload;
	spec.padding = padding;
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, env->flows[n].adj[dir].port);
	return packet;
}

static void padding_is_trimmed(struct env *env)
{
	unsigned int n = joined(env, PLAIN, PLAIN, 0), pad;

	for (pad = 0; pad <= 46; pad++) {
		struct rig_packet packet = sized(env, n, FO_ORIGINAL, 4, pad);

		REQUIRE_EQ(env_forward(env, &packet)->length, 14 + 20 + 8 + 4);
	}
	env_check_counters(env, n);
	REQUIRE_EQ(env->flows[n].bytes[0], 47 * 32);
}

static void padding_never_enters_pppoe(struct env *env)
{
	unsigned int n = joined(env, PLAIN, PPPOE, 0);
	struct rig_packet packet = sized(env, n, FO_ORIGINAL, 1, 17);
	const struct model_answer *answer = env_forward(env, &packet);

	REQUIRE_EQ(answer->length, 22 + 29);
	REQUIRE_EQ(packet_get16(answer->frame + 18), 29 + 2);
	packet = sized(env, n, FO_REPLY, 1, 9);
	REQUIRE_EQ(env_forward(env, &packet)->length, 14 + 29);
}

static void mtu_exact_goes_one_more_passes(struct env *env)
{
	static const uint32_t mtus[] = {68, 576, 1280, 1492, 1500, 9000, 65535};
	unsigned int i;

	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct rig_packet packet;
		unsigned int n;

		/* as long as the ports' own MTU is longer by one */
		if (mtus[i] > 1500 && !(env->rig->features & RIG_OVERSIZE))
			break;
		suite_context("mtu %u", mtus[i]);
		n = joined(env, PLAIN, PLAIN, mtus[i]);
		packet = sized(env, n, FO_ORIGINAL, mtus[i] - 28, 0);
		env_forward(env, &packet);
		if (mtus[i] < 65535) {
			packet = sized(env, n, FO_ORIGINAL, mtus[i] - 27, 0);
			env_pass(env, &packet, FO_R_MTU);
		}
		env_check_counters(env, n);
		env_delete(env, n);
	}
}

/* The ingress side's MTU is nobody's business on the way in. */
static void ingress_mtu_does_not_matter(struct env *env)
{
	static const uint32_t mtus[] = {68, 576, 1280, 1492, 1500, 9000, 65535};
	unsigned int i;

	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		unsigned int n = joined(env, PLAIN, PLAIN, mtus[i]);
		struct rig_packet packet;

		suite_context("mtu %u", mtus[i]);
		packet = sized(env, n, FO_REPLY, 1500 - 28, 0);
		env_forward(env, &packet);
		packet = sized(env, n, FO_REPLY, 1500 - 27, 0);
		env_pass(env, &packet, FO_R_MTU);
		env_delete(env, n);
	}
}

/* The MTU is of the IP packet: tags and session are beside it, padding is not counted. */
static void mtu_counts_neither_tags_nor_padding(struct env *env)
{
	unsigned int n = joined(env, QINQ, PPPOE, 0);
	struct rig_packet packet = sized(env, n, FO_ORIGINAL, 1492 - 28, 20);

	env_forward(env, &packet);
	packet = sized(env, n, FO_ORIGINAL, 1492 - 27, 0);
	env_pass(env, &packet, FO_R_MTU);
	packet = sized(env, n, FO_REPLY, 1500 - 28, 0);
	env_forward(env, &packet);
}

static void mtu_of_ipv6(struct env *env)
{
	unsigned int n = plain(env, 6, 17, NAT_NONE, 0);
	struct rig_packet packet = sized(env, n, FO_ORIGINAL, 1500 - 48, 0);

	env_forward(env, &packet);
	packet = sized(env, n, FO_ORIGINAL, 1500 - 47, 0);
	env_pass(env, &packet, FO_R_MTU);
}

static struct rig_packet gso(struct env *env, unsigned int n, unsigned int payload, unsigned int segment,
			     unsigned int tcp_options)
{
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.payload_len = payload;
	spec.tcp_options_len = tcp_options;
	spec.csum = PACKET_CSUM_PARTIAL;
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, env->flows[n].adj[0].port);
	packet.flags = FO_PKT_GSO | FO_PKT_CSUM_PARTIAL;
	packet.gso_size = (uint16_t)segment;
	packet.csum_start = (uint16_t)frame.l4;
	packet.csum_offset = (uint16_t)(frame.l4_csum - frame.l4);
	return packet;
}

static void gso_is_measured_by_its_segments(struct env *env)
{
	unsigned int n = plain(env, 4, 6, NAT_SRC, 0), u, options;
	struct rig_packet packet;

	for (options = 0; options <= 40; options += 20) {
		packet = gso(env, n, 20000, 1460 - options, options);
		env_forward(env, &packet);
		packet = gso(env, n, 60000, 1461 - options, options);
		env_pass(env, &packet, FO_R_MTU);
	}
	packet = gso(env, n, 20000, 65535, 0);
	env_pass(env, &packet, FO_R_MTU);
	env_check_counters(env, n);
	if (!env_has(env, connection_caps(6, 17, NAT_SRC), 0))
		return;
	u = plain(env, 6, 17, NAT_SRC, 0);
	packet = gso(env, u, 30000, 1500 - 48, 0);
	env_forward(env, &packet);
	packet = gso(env, u, 30000, 1500 - 47, 0);
	env_pass(env, &packet, FO_R_MTU);
}

/* One frame in, one out, to be cut up behind. Whether it counts as one or as its segments is another matter. */
static void gso_stays_one_frame(struct env *env)
{
	static const unsigned int families[2] = {4, 6};
	struct rig_packet packet;
	unsigned int i, n;

	for (i = 0; i < 2; i++) {
		if (!env_has(env, connection_caps(families[i], 6, NAT_SRC), 0))
			continue;
		n = plain(env, families[i], 6, NAT_SRC, i);
		packet = gso(env, n, 20000, 1400, 0);
		REQUIRE_EQ(env_forward(env, &packet)->length, packet.length);
		packet = gso(env, n, 60000, 1461, 0);
		env_pass(env, &packet, FO_R_MTU);
		env_check_counters(env, n); /* one packet */
	}
}

static void gso_into_pppoe_passes(struct env *env)
{
	unsigned int n = joined(env, PLAIN, PPPOE, 0);
	struct rig_packet packet = gso(env, n, 9000, 1000, 0);

	env_pass(env, &packet, FO_R_GSO);
}

static void gso_that_cannot_be_segmented_passes(struct env *env)
{
	unsigned int n = plain(env, 4, 6, NAT_SRC, 0);
	struct rig_packet packet = gso(env, n, 9000, 0, 0);

	env_pass(env, &packet, FO_R_NONE);
	/* nor can one with a complete checksum be cut into segments */
	packet = gso(env, n, 9000, 1000, 0);
	packet.flags = FO_PKT_GSO;
	env_pass(env, &packet, FO_R_NONE);
}

static void headroom_exact_goes_one_less_passes(struct env *env)
{
	unsigned int e;

	for (e = Q; e < N_ENCAPS; e++) {
		unsigned int grows = e == PPPOE	       ? 8
				     : e == QINQ       ? 8
				     : e == Q_PPPOE    ? 12
				     : e == QINQ_PPPOE ? 16
						       : 4;
		struct rig_packet packet;
		unsigned int n;

		if (!env_has(env, encaps_caps((enum encaps)e), encaps_count((enum encaps)e)))
			continue;
		n = joined(env, PLAIN, (enum encaps)e, 0);
		suite_context("%s", encaps_name[e]);
		packet = sized(env, n, FO_ORIGINAL, 30, 0);
		packet.headroom = (uint16_t)grows;
		env_forward(env, &packet);
		packet.headroom = (uint16_t)(grows - 1);
		env_pass(env, &packet, FO_R_NO_HEADROOM);
		packet.headroom = 0;
		env_pass(env, &packet, FO_R_NO_HEADROOM);
		/* the other way the header shrinks */
		packet = sized(env, n, FO_REPLY, 30, 0);
		packet.headroom = 0;
		env_forward(env, &packet);
		env_check_counters(env, n);
		env_delete(env, n);
	}
}

/* Only the headers need be in one piece, and nothing behind them is read. */
static void only_the_headers_are_contiguous(struct env *env)
{
	unsigned int families[2] = {4, 6}, i, cut;

	for (i = 0; i < 2; i++) {
		unsigned int n;

		if (!env_has(env, connection_caps(families[i], 6, NAT_SRC), 0))
			continue;
		n = plain(env, families[i], 6, NAT_SRC, i);
		for (cut = 1; cut < 140; cut++) {
			struct packet_spec spec;
			struct rig_packet packet;

			suite_context("ipv%u, %u bytes contiguous", families[i], cut);
			env_spec(env, n, FO_ORIGINAL, &spec);
			spec.payload_len = 700;
			spec.tcp_options_len = 12;
			spec.padding = 3;
			packet = env_frame(env, n, FO_ORIGINAL, &spec);
			packet.contiguous = cut;
			if (cut < (i ? 74u : 54u))
				env_pass(env, &packet, FO_R_MALFORMED);
			else
				env_forward(env, &packet);
		}
	}
}

static void buffers_of_any_alignment(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0), len;

	for (len = 0; len < 64; len++) {
		struct rig_packet packet = sized(env, n, FO_ORIGINAL, len, 0);

		packet.headroom = (uint16_t)(len & 7);
		env_forward(env, &packet);
	}
}

/* The outermost tag in metadata, the rest in the frame: the same packet. */
static struct rig_packet with_meta(struct env *env, unsigned int n, enum fo_dir dir)
{
	struct rig_packet packet = sized(env, n, dir, 40, 0);

	packet.flags = FO_PKT_VLAN;
	packet.vlan_tpid = packet_get16(frame.bytes + 12);
	packet.vlan_tci = packet_get16(frame.bytes + 14);
	memmove(frame.bytes + 12, frame.bytes + 16, frame.length - 16);
	frame.length -= 4;
	packet.length -= 4;
	return packet;
}

static void tag_in_metadata_is_a_tag(struct env *env)
{
	static const enum encaps kinds[] = {Q, AD, QINQ, Q_PPPOE, QINQ_PPPOE};
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig_packet packet;
		unsigned int n;

		if (!env_has(env, encaps_caps(kinds[i]), encaps_count(kinds[i])))
			continue;
		n = joined(env, kinds[i], PLAIN, 0);
		suite_context("%s", encaps_name[kinds[i]]);
		packet = with_meta(env, n, FO_ORIGINAL);
		REQUIRE_EQ(env_forward(env, &packet)->flags, 0);
		packet.vlan_tci ^= 0xf000; /* PCP and DEI are ignored on ingress */
		env_forward(env, &packet);
		packet.vlan_tci ^= 0x0001;
		env_pass(env, &packet, FO_R_WRONG_INGRESS);
		packet.vlan_tci ^= 0x0001;
		packet.vlan_tpid = packet.vlan_tpid == 0x8100 ? 0x88a8 : 0x8100;
		env_pass(env, &packet, FO_R_WRONG_INGRESS);
		env_delete(env, n);
	}
}

static void metadata_counts_as_a_tag(struct env *env)
{
	struct rig_packet packet;
	unsigned int n = joined(env, QINQ, PLAIN, 0);

	packet = sized(env, n, FO_ORIGINAL, 40, 0);
	packet.flags = FO_PKT_VLAN;
	packet.vlan_tpid = 0x8100;
	packet.vlan_tci = 9;
	env_pass(env, &packet, FO_R_ENCAP);
}

static void metadata_grows_the_frame_by_its_tag(struct env *env)
{
	struct rig_packet packet;
	unsigned int n = joined(env, Q, Q, 0);

	packet = with_meta(env, n, FO_ORIGINAL);
	packet.headroom = 4;
	env_forward(env, &packet);
	packet.headroom = 3;
	env_pass(env, &packet, FO_R_NO_HEADROOM);
}

#define UDP4 (FO_CAP_IPV4 | FO_CAP_UDP)

static const struct suite_case lengths_cases[] = {
	{.name = "padding_is_trimmed", .run = padding_is_trimmed, .needs = UDP4},
	{.name = "padding_never_enters_pppoe",
	 .run = padding_never_enters_pppoe,
	 .needs = UDP4 | FO_CAP_PPPOE},
	{.name = "mtu_exact_goes_one_more_passes", .run = mtu_exact_goes_one_more_passes, .needs = UDP4},
	{.name = "ingress_mtu_does_not_matter",
	 .run = ingress_mtu_does_not_matter,
	 .needs = UDP4,
	 .features = RIG_OVERSIZE},
	{.name = "mtu_counts_neither_tags_nor_padding",
	 .run = mtu_counts_neither_tags_nor_padding,
	 .needs = UDP4 | FO_CAP_QINQ | FO_CAP_PPPOE},
	{.name = "mtu_of_ipv6", .run = mtu_of_ipv6, .needs = FO_CAP_IPV6 | FO_CAP_UDP},
	{.name = "gso_is_measured_by_its_segments",
	 .run = gso_is_measured_by_its_segments,
	 .needs = UDP4,
	 .features = RIG_META},
	{.name = "gso_stays_one_frame",
	 .run = gso_stays_one_frame,
	 .needs = FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_SNAT,
	 .features = RIG_GSO},
	{.name = "gso_into_pppoe_passes",
	 .run = gso_into_pppoe_passes,
	 .needs = UDP4 | FO_CAP_PPPOE,
	 .features = RIG_META},
	{.name = "gso_that_cannot_be_segmented_passes",
	 .run = gso_that_cannot_be_segmented_passes,
	 .needs = UDP4,
	 .features = RIG_META},
	{.name = "headroom_exact_goes_one_less_passes",
	 .run = headroom_exact_goes_one_less_passes,
	 .needs = UDP4 | FO_CAP_VLAN,
	 .features = RIG_HEADROOM},
	{.name = "only_the_headers_are_contiguous",
	 .run = only_the_headers_are_contiguous,
	 .needs = UDP4,
	 .features = RIG_META},
	{.name = "buffers_of_any_alignment",
	 .run = buffers_of_any_alignment,
	 .needs = UDP4,
	 .features = RIG_HEADROOM},
	{.name = "tag_in_metadata_is_a_tag",
	 .run = tag_in_metadata_is_a_tag,
	 .needs = UDP4 | FO_CAP_VLAN,
	 .features = RIG_META},
	{.name = "metadata_counts_as_a_tag",
	 .run = metadata_counts_as_a_tag,
	 .needs = UDP4 | FO_CAP_QINQ,
	 .features = RIG_META},
	{.name = "metadata_grows_the_frame_by_its_tag",
	 .run = metadata_grows_the_frame_by_its_tag,
	 .needs = UDP4 | FO_CAP_VLAN,
	 .features = RIG_META | RIG_HEADROOM},
};
SUITE_GROUP(group_lengths, "lengths", lengths_cases);
