/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.c - flows, sides and frames of the stress test, see frames.h. */
#include "frames.h"

#include <string.h>

static void put32(uint8_t *p, uint32_t value)
{
	packet_put16(p, value >> 16);
	packet_put16(p + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)packet_get16(p) << 16 | packet_get16(p + 2);
}

void frames_near(struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = NEAR_PORT;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01\x01", 6);
	memcpy(adj->peer_mac, "\x02\x00\x00\x00\x01\x02", 6);
	adj->mtu = 1500;
}

void frames_far(uint32_t generation, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = FAR_PORT;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x02\x01", 6);
	adj->peer_mac[0] = 0x06;
	put32(adj->peer_mac + 2, generation);
	if ((generation & 1) != 0) {
		adj->n_encaps = 1;
		adj->encap[0].kind = FO_ENCAP_8021Q;
		adj->encap[0].id = (uint16_t)(1 + generation % 4094);
		adj->encap[0].pcp = (uint8_t)(generation >> 1 & 7);
	}
	adj->mtu = 1500;
}

static void nat_address(uint8_t family, uint32_t life, uint8_t out[16])
{
	memset(out, 0, 16);
	if (family == FO_FAMILY_IPV4) {
		put32(out, UINT32_C(0x64000000) | life);
		return;
	}
	memcpy(out, "\x20\x01\x0d\xb8\x00\x09", 6);
	put32(out + 12, life);
}

void frames_flow(uint32_t connection, uint32_t life, struct fo_flow *flow)
{
	struct fo_tuple *t = flow->tuple;
	uint8_t family = connection % 2 != 0 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;

	FO_INIT(flow);
	t[0].family = t[1].family = family;
	t[0].proto = t[1].proto = connection % 4 < 2 ? 6 : 17;
	if (family == FO_FAMILY_IPV4) {
		put32(t[0].src, UINT32_C(0x0a000001) + connection);
		put32(t[0].dst, UINT32_C(0xc6336401));
	} else {
		memcpy(t[0].src, "\xfd\x00\x00\x00\x00\x01", 6);
		t[0].src[15] = (uint8_t)(1 + connection);
		memcpy(t[0].dst, "\x20\x01\x0d\xb8\x00\x01", 6);
		t[0].dst[15] = 1;
	}
	memcpy(t[1].src, t[0].dst, 16);
	nat_address(family, life, t[1].dst);
	packet_put16((uint8_t *)&t[0].sport_be, 1024 + connection);
	packet_put16((uint8_t *)&t[0].dport_be, 443);
	t[1].sport_be = t[0].dport_be;
	packet_put16((uint8_t *)&t[1].dport_be, 2048 + life % 60000);
	frames_mark(life, 0, flow);
	flow->user = life;
	flow->tag = connection;
	flow->timeout_ms = FO_TIMEOUT_NEVER;
}

void frames_mark(uint32_t life, uint32_t marking, struct fo_flow *flow)
{
	flow->dscp[FO_ORIGINAL] = flow->dscp[FO_REPLY] = FO_DSCP_SET((life & 7) << 3 | marking);
}

static void build(const struct packet_spec *spec, struct frame *out)
{
	static _Thread_local struct packet_frame frame;

	packet_build(spec, &frame);
	if (frame.length > sizeof(out->bytes))
		stress_die("a frame of %u bytes", frame.length);
	out->length = frame.length;
	out->l3_bytes = frame.end - frame.l3;
	memcpy(out->bytes, frame.bytes, frame.length);
}

static void describe(struct packet_spec *spec, const struct fo_tuple *tuple, const struct fo_adj *side,
		     uint32_t payload, uint8_t tcp_flags)
{
	packet_spec_init(spec, tuple, side);
	spec->payload_len = payload % 48;
	spec->payload_seed = payload;
	spec->tcp_flags = tcp_flags;
	spec->tos = payload & 3; /* ECN, which stays */
}

void frames_arriving(const struct fo_flow *flow, unsigned int dir, uint32_t far_generation, uint32_t payload,
		     uint8_t tcp_flags, struct frame *out)
{
	struct packet_spec spec;
	struct fo_adj side;

	if (dir == FO_ORIGINAL)
		frames_near(&side);
	else
		frames_far(far_generation, &side);
	describe(&spec, &flow->tuple[dir], &side, payload, tcp_flags);
	build(&spec, out);
}

void frames_leaving(const struct fo_flow *flow, unsigned int dir, uint32_t far_generation, uint32_t payload,
		    uint8_t tcp_flags, struct frame *out)
{
	const struct fo_tuple *other = &flow->tuple[1 - dir];
	struct packet_spec spec;
	struct fo_tuple mirror = *other;
	struct fo_adj side;

	memcpy(mirror.src, other->dst, 16);
	memcpy(mirror.dst, other->src, 16);
	mirror.sport_be = other->dport_be;
	mirror.dport_be = other->sport_be;
	if (dir == FO_ORIGINAL)
		frames_far(far_generation, &side);
	else
		frames_near(&side);
	describe(&spec, &mirror, &side, payload, tcp_flags);
	memcpy(spec.dst_mac, side.peer_mac, 6);
	memcpy(spec.src_mac, side.own_mac, 6);
	spec.ttl--;
	spec.tos |= (uint8_t)(flow->dscp[dir] << 2);
	build(&spec, out);
}

uint32_t frames_read_far(const uint8_t *frame, uint32_t length)
{
	return length >= 14 && frame[0] == 0x06 && frame[1] == 0 ? get32(frame + 2) : UINT32_MAX;
}

static uint32_t l3_of(const uint8_t *frame, uint32_t length)
{
	return length >= 18 && packet_get16(frame + 12) == 0x8100 ? 18 : 14;
}

uint32_t frames_read_marking(const uint8_t *frame, uint32_t length, uint32_t connection, uint32_t life)
{
	uint32_t l3 = l3_of(frame, length), dscp;

	if (length < l3 + 20)
		return UINT32_MAX;
	dscp = connection % 2 != 0 ? packet_get16(frame + l3) >> 6 & 0x3f : frame[l3 + 1] >> 2;
	return dscp >> 3 == (life & 7) ? dscp & 7 : UINT32_MAX;
}

uint32_t frames_read_life(const uint8_t *frame, uint32_t length, uint32_t connection)
{
	uint32_t l3 = l3_of(frame, length);

	if (connection % 2 != 0)
		return length >= l3 + 40 ? get32(frame + l3 + 8 + 12) : UINT32_MAX;
	if (length < l3 + 20 || frame[l3 + 12] != 0x64)
		return UINT32_MAX;
	return get32(frame + l3 + 12) & 0xffffff;
}
