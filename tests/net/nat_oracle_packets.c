/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle_packets.c - the packets of the second oracle: listed ones that aim at an edge, then
 * random ones. All of them are fit for the short cut: what passes on is the conformance suite's
 * matter. Interface and neighbours: nat_oracle.h.  */
#include "nat_oracle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define RANDOM_PACKETS 64u
#define FILL	       UINT16_MAX /* as long as the MTU allows */

#define TCP_URG 0x20u
#define TCP_ECE 0x40u
#define TCP_CWR 0x80u

const uint8_t oracle_host_mac[2][6] = {{2, 0, 0, 0, 1, 2}, {2, 0, 0, 0, 2, 2}};
const uint8_t oracle_router_mac[2][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 2, 1}};

/* Which checksum the packet is made to fit. 0 and 0xffff are one number in ones' complement: where
 * an update lands on it the protocols differ, and so do implementations. */
enum landing {
	LAND_NOWHERE = 0,
	LAND_L4_IN,	  /* the packet that arrives has an L4 checksum of 0 (UDP: 0xffff) */
	LAND_L4_OUT,	  /* the one that leaves */
	LAND_L4_IN_ALIAS, /* as LAND_L4_IN, written as 0xffff where 0 is usual: equally right to a receiver */
	LAND_IP_IN,	  /* the IPv4 header checksum that arrives is value */
	LAND_IP_OUT,	  /* the one that leaves */
	LAND_IP_IN_ALIAS, /* 0xffff where 0 is usual */
	LAND_L4_OUT_WRONG, /* LAND_L4_OUT, and then a payload byte changes */
	LAND_PARTIAL_OUT,  /* the partial sum that leaves is 0 */
	LAND_PARTIAL_IN,   /* the one that arrives is value */
	LAND_UDP_NO_CHECKSUM
};

/* Zero: as packet_spec_init() has it. */
struct shape {
	const char *what;
	uint8_t ttl;
	uint8_t tos;
	uint16_t length; /* of the payload */
	uint16_t padding;
	uint16_t frag; /* IPv4, with SHAPE_FRAG */
	uint8_t tcp_flags;
	uint8_t tcp_options;
	uint8_t landing;
	uint8_t proto; /* only for this one */
	uint16_t value;
	uint16_t gso_size;
	enum packet_csum csum;
	uint8_t flags;
};

#define SHAPE_FRAG  (1u << 0)
#define SHAPE_IPV4  (1u << 1) /* only for IPv4 */
#define SHAPE_PORTS (1u << 2) /* only for TCP and UDP */

static const struct shape valid_shapes[] = {
	{.what = "plain", .length = 32},
	{.what = "TTL 2", .length = 32, .ttl = 2},
	{.what = "TTL 3", .length = 32, .ttl = 3},
	{.what = "TTL 128", .length = 32, .ttl = 128},
	{.what = "TTL 129", .length = 32, .ttl = 129},
	{.what = "TTL 255", .length = 32, .ttl = 255},
	{.what = "ECT(1)", .length = 32, .tos = 1},
	{.what = "ECT(0)", .length = 32, .tos = 2},
	{.what = "CE", .length = 32, .tos = 3},
	{.what = "CS1", .length = 32, .tos = 0x20},
	{.what = "EF", .length = 32, .tos = 0xb8},
	{.what = "EF, CE", .length = 32, .tos = 0xbb},
	{.what = "TOS 255", .length = 32, .tos = 0xff},
	{.what = "may be fragmented", .length = 32, .flags = SHAPE_FRAG | SHAPE_IPV4},
	{.what = "reserved flag", .length = 32, .frag = 0x8000, .flags = SHAPE_FRAG | SHAPE_IPV4},
	{.what = "no payload"},
	{.what = "no payload, padded", .padding = 18},
	{.what = "1 byte", .length = 1},
	{.what = "1 byte, padded by 17", .length = 1, .padding = 17},
	{.what = "2 bytes", .length = 2},
	{.what = "31 bytes", .length = 31},
	{.what = "511 bytes", .length = 511},
	{.what = "1000 bytes, padded by 4", .length = 1000, .padding = 4},
	{.what = "one less than the MTU", .length = FILL - 1},
	{.what = "the MTU", .length = FILL},
	{.what = "PSH", .length = 32, .tcp_flags = TCP_PSH | TCP_ACK, .proto = 6},
	{.what = "URG", .length = 32, .tcp_flags = TCP_URG | TCP_ACK, .proto = 6},
	{.what = "ECE", .length = 32, .tcp_flags = TCP_ECE | TCP_ACK, .proto = 6},
	{.what = "CWR", .length = 32, .tcp_flags = TCP_CWR | TCP_PSH | TCP_ACK, .proto = 6},
	{.what = "4 bytes of options", .length = 32, .tcp_options = 4, .proto = 6},
	{.what = "12 bytes of options", .length = 0, .tcp_options = 12, .proto = 6},
	{.what = "40 bytes of options", .length = FILL, .tcp_options = 40, .proto = 6},
	{.what = "no checksum", .length = 32, .landing = LAND_UDP_NO_CHECKSUM, .proto = 17},
	{.what = "no checksum, odd", .length = 33, .landing = LAND_UDP_NO_CHECKSUM, .proto = 17},
	{.what = "no checksum, empty", .landing = LAND_UDP_NO_CHECKSUM, .proto = 17},
	{.what = "no checksum, the MTU", .length = FILL, .landing = LAND_UDP_NO_CHECKSUM, .proto = 17},
	{.what = "partial checksum", .length = 32, .csum = PACKET_CSUM_PARTIAL, .flags = SHAPE_PORTS},
	{.what = "partial, 1 byte, padded",
	 .length = 1,
	 .padding = 17,
	 .csum = PACKET_CSUM_PARTIAL,
	 .flags = SHAPE_PORTS},
	{.what = "partial, the MTU", .length = FILL, .csum = PACKET_CSUM_PARTIAL, .flags = SHAPE_PORTS},
	{.what = "partial sum 0 after",
	 .length = 32,
	 .csum = PACKET_CSUM_PARTIAL,
	 .landing = LAND_PARTIAL_OUT,
	 .flags = SHAPE_PORTS},
	/* Of TCP only: no sum of a UDP pseudo header is 0, and nf_nat takes one for "no checksum"
	 * (nf_flow_table does not) */
	{.what = "partial sum 0 before",
	 .length = 32,
	 .csum = PACKET_CSUM_PARTIAL,
	 .landing = LAND_PARTIAL_IN,
	 .proto = 6},
	{.what = "partial sum 0xffff before",
	 .length = 32,
	 .csum = PACKET_CSUM_PARTIAL,
	 .landing = LAND_PARTIAL_IN,
	 .value = 0xffff,
	 .flags = SHAPE_PORTS},
	{.what = "two segments", .length = 1401, .gso_size = 1400, .csum = PACKET_CSUM_PARTIAL, .proto = 6},
	{.what = "five segments", .length = 7000, .gso_size = 1400, .csum = PACKET_CSUM_PARTIAL, .proto = 6},
	{.what = "five segments, PSH",
	 .length = 2500,
	 .gso_size = 536,
	 .tcp_flags = TCP_PSH | TCP_ACK,
	 .csum = PACKET_CSUM_PARTIAL,
	 .proto = 6},
	{.what = "L4 checksum 0 before", .length = 32, .landing = LAND_L4_IN},
	{.what = "L4 checksum 0 before, odd", .length = 3, .landing = LAND_L4_IN},
	{.what = "L4 checksum 0 after", .length = 32, .landing = LAND_L4_OUT},
	{.what = "L4 checksum 0 after, odd", .length = 3, .landing = LAND_L4_OUT},
	{.what = "L4 checksum 0 after, the MTU", .length = FILL, .landing = LAND_L4_OUT},
	{.what = "L4 checksum 0xffff for 0", .length = 32, .landing = LAND_L4_IN_ALIAS},
	{.what = "IP checksum 0 before", .length = 32, .landing = LAND_IP_IN, .value = 0},
	{.what = "IP checksum 0x00ff before", .length = 32, .landing = LAND_IP_IN, .value = 0x00ff},
	{.what = "IP checksum 0x0100 before", .length = 32, .landing = LAND_IP_IN, .value = 0x0100},
	{.what = "IP checksum 0xfeff before", .length = 32, .landing = LAND_IP_IN, .value = 0xfeff},
	{.what = "IP checksum 0xff00 before", .length = 32, .landing = LAND_IP_IN, .value = 0xff00},
	{.what = "IP checksum 0xfffe before", .length = 32, .landing = LAND_IP_IN, .value = 0xfffe},
	{.what = "IP checksum 0 after", .length = 32, .landing = LAND_IP_OUT, .value = 0},
	{.what = "IP checksum 1 after", .length = 32, .landing = LAND_IP_OUT, .value = 1},
	{.what = "IP checksum 0xfffe after", .length = 32, .landing = LAND_IP_OUT, .value = 0xfffe},
	{.what = "IP checksum 0xffff for 0", .length = 32, .landing = LAND_IP_IN_ALIAS},
};

static const struct shape wrong_shapes[] = {
	{.what = "wrong by 1", .length = 32, .csum = PACKET_CSUM_WRONG, .value = 0x0001},
	{.what = "wrong by 0x8000", .length = 32, .csum = PACKET_CSUM_WRONG, .value = 0x8000},
	{.what = "wrong by 0x0100", .length = 33, .csum = PACKET_CSUM_WRONG, .value = 0x0100},
	{.what = "wrong by 0xffff", .length = 32, .csum = PACKET_CSUM_WRONG, .value = 0xffff},
	{.what = "wrong by 0x5a5a, the MTU", .length = FILL, .csum = PACKET_CSUM_WRONG, .value = 0x5a5a},
	{.what = "wrong by 0x5a5a, padded",
	 .length = 1,
	 .padding = 17,
	 .csum = PACKET_CSUM_WRONG,
	 .value = 0x5a5a},
	{.what = "0 as checksum", .length = 32, .csum = PACKET_CSUM_GIVEN, .value = 0, .proto = 6},
	{.what = "1 as checksum", .length = 32, .csum = PACKET_CSUM_GIVEN, .value = 1},
	{.what = "0xffff as checksum", .length = 32, .csum = PACKET_CSUM_GIVEN, .value = 0xffff},
	{.what = "0xfffe as checksum", .length = 32, .csum = PACKET_CSUM_GIVEN, .value = 0xfffe},
	{.what = "wrong, and 0 after", .length = 32, .landing = LAND_L4_OUT_WRONG},
	{.what = "wrong, and 0 after, odd", .length = 3, .landing = LAND_L4_OUT_WRONG},
};

#define COUNT(a) ((unsigned int)(sizeof(a) / sizeof((a)[0])))

unsigned int oracle_packet_count(enum oracle_set set)
{
	return (set == SET_VALID ? COUNT(valid_shapes) : COUNT(wrong_shapes)) + RANDOM_PACKETS;
}

/* ---- specs ---- */

static int has_ports(const struct fo_tuple *tuple)
{
	return tuple->proto == 6 || tuple->proto == 17;
}

static unsigned int longest(const struct packet_spec *spec)
{
	unsigned int l3 = spec->tuple.family == FO_FAMILY_IPV4 ? 20 : 40;
	unsigned int l4 = spec->tuple.proto == 6 ? 20 + spec->tcp_options_len : 8;

	return ORACLE_MTU - l3 - l4;
}

static void spec_arriving(const struct oracle_flow *flow, enum fo_dir dir, struct packet_spec *spec)
{
	struct fo_adj side;

	FO_INIT(&side);
	memcpy(side.own_mac, oracle_router_mac[flow->side[dir]], 6);
	memcpy(side.peer_mac, oracle_host_mac[flow->side[dir]], 6);
	packet_spec_init(spec, &flow->tuple[dir], &side);
}

/* What should leave, as far as the landings need it: addresses, ports, TTL and TOS. */
static struct packet_spec spec_leaving(const struct packet_spec *arriving, const struct oracle_flow *flow,
				       enum fo_dir dir)
{
	const struct fo_tuple *answer = &flow->tuple[1 - dir];
	struct packet_spec leaving = *arriving;

	memcpy(leaving.tuple.src, answer->dst, 16);
	memcpy(leaving.tuple.dst, answer->src, 16);
	if (has_ports(answer)) {
		leaving.tuple.sport_be = answer->dport_be;
		leaving.tuple.dport_be = answer->sport_be;
	} else {
		leaving.tuple.sport_be = answer->sport_be;
	}
	leaving.ttl--;
	if (flow->dscp[dir] != FO_DSCP_KEEP)
		leaving.tos = (uint8_t)((flow->dscp[dir] & 0x3f) << 2 | (arriving->tos & 3));
	return leaving;
}

static void apply_shape(const struct shape *shape, struct packet_spec *spec)
{
	if (shape->ttl)
		spec->ttl = shape->ttl;
	spec->tos = shape->tos;
	if (shape->flags & SHAPE_FRAG)
		spec->frag = shape->frag;
	if (shape->tcp_flags)
		spec->tcp_flags = shape->tcp_flags;
	spec->tcp_options_len = shape->tcp_options;
	spec->payload_len = shape->length;
	if (shape->length >= FILL - 1)
		spec->payload_len = longest(spec) - (FILL - shape->length);
	spec->padding = shape->padding;
	spec->csum = shape->csum;
	spec->csum_value = shape->value;
	if (shape->landing == LAND_UDP_NO_CHECKSUM) {
		spec->csum = PACKET_CSUM_GIVEN;
		spec->csum_value = 0;
	}
}

uint32_t oracle_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void randomize(enum oracle_set set, uint32_t seed, struct packet_spec *spec)
{
	uint32_t state = seed * 2654435761u + 1;

	spec->ttl = (uint8_t)(2 + oracle_random(&state) % 254);
	spec->tos = (uint8_t)oracle_random(&state);
	spec->ip_id = (uint16_t)oracle_random(&state);
	if (spec->tuple.family == FO_FAMILY_IPV4)
		spec->frag = oracle_random(&state) & 0x4000;
	spec->flow_label = oracle_random(&state) & 0xfffff;
	spec->payload_seed = oracle_random(&state);
	spec->payload_len = oracle_random(&state) % 300;
	spec->padding = oracle_random(&state) % 3 == 0 ? oracle_random(&state) % 40 : 0;
	if (set == SET_VALID && has_ports(&spec->tuple) && seed % 8 < 2) {
		spec->csum = PACKET_CSUM_PARTIAL;
	} else if (set == SET_WRONG) {
		spec->csum = PACKET_CSUM_WRONG;
		spec->csum_value = (uint16_t)(1 + oracle_random(&state) % 65535);
	}
}

/* ---- bytes ---- */

/* Write the L4 checksum anew from all bytes. */
static void finish_l4(const struct packet_spec *spec, struct packet_frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->l3;
	uint32_t len = frame->end - frame->l4;
	uint32_t sum = 0;
	uint16_t csum;

	packet_put16(frame->bytes + frame->l4_csum, 0);
	if (spec->tuple.proto != 1) {
		sum = spec->tuple.family == FO_FAMILY_IPV4 ? packet_sum(ip + 12, 8, 0)
							   : packet_sum(ip + 8, 32, 0);
		sum += len + spec->tuple.proto;
	}
	csum = (uint16_t)~packet_fold(packet_sum(frame->bytes + frame->l4, len, packet_fold(sum)));
	packet_put16(frame->bytes + frame->l4_csum, csum == 0 && spec->tuple.proto == 17 ? 0xffff : csum);
}

/* The builder numbers both directions' segments alike; the reply's are the mirror. The sum stays.
 * */
static void build(const struct packet_spec *spec, enum fo_dir dir, struct packet_frame *frame)
{
	uint8_t *numbers;
	uint8_t seq[4];

	packet_build(spec, frame);
	if (spec->tuple.proto != 6 || dir == FO_ORIGINAL)
		return;
	numbers = frame->bytes + frame->l4 + 4;
	memcpy(seq, numbers, 4);
	memcpy(numbers, numbers + 4, 4);
	memcpy(numbers + 4, seq, 4);
}

/* Change the payload's first word so that the packet target would have an L4 checksum of 0. */
static void land_l4(const struct packet_spec *spec, const struct packet_spec *target, enum fo_dir dir,
		    struct packet_frame *frame)
{
	static struct packet_frame probe;
	uint8_t *word = frame->bytes + frame->payload;
	uint16_t csum;

	build(target, dir, &probe);
	csum = packet_get16(probe.bytes + probe.l4_csum);
	if (spec->tuple.proto == 17 && csum == 0xffff)
		csum = 0;
	packet_put16(word, packet_fold((uint32_t)packet_get16(word) + csum));
	finish_l4(spec, frame);
}

/* The identification that gives target's IPv4 header this checksum. */
static uint16_t land_ip(const struct packet_spec *target, uint16_t value)
{
	static struct packet_frame probe;
	struct packet_spec without = *target;

	without.ip_id = 0;
	packet_build(&without, &probe);
	return packet_fold((uint32_t)(uint16_t)~value + packet_get16(probe.bytes + probe.l3 + 10));
}

/* The partial sum that becomes 0 on the way out. */
static uint16_t land_partial(const struct packet_spec *spec, const struct packet_spec *leaving)
{
	static struct packet_frame probe;
	uint16_t arrives, leaves;

	packet_build(spec, &probe);
	arrives = packet_get16(probe.bytes + probe.l4_csum);
	packet_build(leaving, &probe);
	leaves = packet_get16(probe.bytes + probe.l4_csum);
	return packet_fold((uint32_t)arrives + (uint16_t)~leaves);
}

static void make_landing(const struct shape *shape, struct packet_spec *spec, const struct oracle_flow *flow,
			 enum fo_dir dir, struct packet_frame *out)
{
	struct packet_spec leaving = spec_leaving(spec, flow, dir);

	if (shape->landing == LAND_IP_IN || shape->landing == LAND_IP_IN_ALIAS)
		spec->ip_id = land_ip(spec, shape->value);
	else if (shape->landing == LAND_IP_OUT)
		spec->ip_id = land_ip(&leaving, shape->value);
	if (shape->landing == LAND_IP_IN_ALIAS)
		spec->ip_csum_xor = 0xffff;
	build(spec, dir, out);
	if (shape->landing == LAND_L4_IN || shape->landing == LAND_L4_IN_ALIAS)
		land_l4(spec, spec, dir, out);
	else if (shape->landing == LAND_L4_OUT || shape->landing == LAND_L4_OUT_WRONG)
		land_l4(spec, &leaving, dir, out);
	if (shape->landing == LAND_L4_IN_ALIAS)
		packet_put16(out->bytes + out->l4_csum, 0xffff);
	if (shape->landing == LAND_PARTIAL_OUT)
		packet_put16(out->bytes + out->l4_csum, land_partial(spec, &leaving));
	else if (shape->landing == LAND_PARTIAL_IN)
		packet_put16(out->bytes + out->l4_csum, shape->value);
	if (shape->landing == LAND_L4_OUT_WRONG)
		out->bytes[out->payload] ^= 0x55;
}

/* The kernel's NAT writes the identifier of an ICMP echo anew even where it stays, and the checksum
 * with it: a sum of 0xffff becomes 0. The library leaves alone what does not change. Both are right to
 * a receiver (RFC 1624, section 3). */
static int kernel_renews_icmp_sum(const struct oracle_flow *flow)
{
	const struct fo_tuple *there = &flow->tuple[FO_ORIGINAL], *back = &flow->tuple[FO_REPLY];

	return there->proto == 1 && there->sport_be == back->sport_be &&
	       (memcmp(there->src, back->dst, 16) != 0 || memcmp(there->dst, back->src, 16) != 0);
}

static int fits(const struct shape *shape, const struct oracle_flow *flow)
{
	const struct fo_tuple *tuple = &flow->tuple[FO_ORIGINAL];
	int ip_landing = shape->landing == LAND_IP_IN || shape->landing == LAND_IP_OUT ||
			 shape->landing == LAND_IP_IN_ALIAS || (shape->flags & SHAPE_IPV4);

	int all_ones = shape->landing == LAND_L4_IN_ALIAS ||
		       (shape->csum == PACKET_CSUM_GIVEN && shape->value == 0xffff);

	if (all_ones && kernel_renews_icmp_sum(flow))
		return 0;
	if ((shape->flags & SHAPE_PORTS) && !has_ports(tuple))
		return 0;
	return (shape->proto == 0 || shape->proto == tuple->proto) &&
	       (!ip_landing || tuple->family == FO_FAMILY_IPV4);
}

static void make_meta(const struct packet_spec *spec, const struct packet_frame *frame, uint16_t gso_size,
		      struct oracle_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	meta->gso_size = gso_size;
	if (spec->csum != PACKET_CSUM_PARTIAL)
		return;
	meta->partial = 1;
	meta->csum_start = (uint16_t)frame->l4;
	meta->csum_offset = (uint16_t)(frame->l4_csum - frame->l4);
}

int oracle_packet_make(enum oracle_set set, unsigned int i, const struct oracle_flow *flow, enum fo_dir dir,
		       struct packet_frame *out, struct oracle_meta *meta, char *text, size_t text_size)
{
	const struct shape *shapes = set == SET_VALID ? valid_shapes : wrong_shapes;
	unsigned int n = oracle_packet_count(set) - RANDOM_PACKETS;
	struct packet_spec spec;

	spec_arriving(flow, dir, &spec);
	if (i >= n) {
		snprintf(text, text_size, "random packet %u", i - n);
		randomize(set, i * 2 + dir, &spec);
		build(&spec, dir, out);
		make_meta(&spec, out, 0, meta);
		return 1;
	}
	snprintf(text, text_size, "%s", shapes[i].what);
	if (!fits(&shapes[i], flow))
		return 0;
	apply_shape(&shapes[i], &spec);
	make_landing(&shapes[i], &spec, flow, dir, out);
	make_meta(&spec, out, shapes[i].gso_size, meta);
	return 1;
}

void oracle_packet_setup(const struct oracle_flow *flow, enum fo_dir dir, uint8_t tcp_flags,
			 struct packet_frame *out)
{
	struct packet_spec spec;
	uint8_t *numbers;

	spec_arriving(flow, dir, &spec);
	spec.payload_len = spec.tuple.proto == 6 ? 0 : spec.payload_len;
	spec.tcp_flags = tcp_flags;
	build(&spec, dir, out);
	if (spec.tuple.proto != 6 || !(tcp_flags & TCP_SYN))
		return;
	numbers = out->bytes + out->l4 + 4;
	numbers[3]--; /* SYN takes one number before the first byte */
	if (!(tcp_flags & TCP_ACK))
		memset(numbers + 4, 0, 4);
	finish_l4(&spec, out);
}
