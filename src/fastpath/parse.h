/* SPDX-License-Identifier: BSD-2-Clause */
/* parse.h - from a frame to the offsets and the key of its IP packet, or the reason why it is not for the short cut.
 *
 * Parse once: whoever rewrites takes these offsets. Every length is checked against the frame and against the bytes
 * that are there; nothing is written. Source: RFC 791, 8200, 9293, 768, 792, 4443, 2516; IEEE 802.1Q, 802.1ad.
 */
#ifndef FO_FASTPATH_PARSE_H
#define FO_FASTPATH_PARSE_H

#include "fastpath/parsed.h"

/* How the L4 header of a protocol is checked without a branch for TCP or UDP: of the 16-bit word at this offset, these
 * bits, shifted, are a length that must reach least and stay within the packet, and these are flags. */
struct fo__l4_rule {
	uint8_t at;
	uint8_t shift;
	uint16_t mask;
	uint8_t least;
	uint8_t flags;
	uint8_t checksum; /* offset of the checksum */
	uint8_t unused;
};

#define FO__L4_RULES (FO__PROTO_UDP + 1)

/* Protocols that are not there have a least that their mask of 0 cannot reach. */
static const struct fo__l4_rule fo__l4_rules[FO__L4_RULES] = {
	[0 ... FO__PROTO_TCP - 1] = {.least = 0xff},
	[FO__PROTO_TCP] =
		{.at = 12, .shift = 10, .mask = 0x3c, .least = 20, .flags = FO__MARK_FLAGS, .checksum = 16},
	[FO__PROTO_TCP + 1 ... FO__PROTO_UDP - 1] = {.least = 0xff},
	[FO__PROTO_UDP] = {.at = 4, .mask = 0xffff, .least = 8, .checksum = 6},
};

/* A 16-bit constant of the wire as fo__load16() sees it. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FO__WIRE16(value) ((uint16_t)((value) >> 8 | ((value)&0xff) << 8))
#else
#define FO__WIRE16(value) ((uint16_t)(value))
#endif

static inline unsigned int fo__be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static inline unsigned int fo__tag_kind(unsigned int tpid)
{
	return tpid == 0x8100 ? FO_ENCAP_8021Q : tpid == 0x88a8 ? FO_ENCAP_8021AD : FO_ENCAP_NONE;
}

struct fo__l2 {
	unsigned int type; /* ethertype of what is inside */
	uint32_t off;	   /* where that begins */
	uint32_t room;	   /* bytes of the frame from there on */
};

/* Tags and session, out of line: plain Ethernet does not come here. */
static __attribute__((noinline)) unsigned int fo__parse_encap(const struct fo_packet *packet, uint32_t avail,
							      struct fo__l2 *l2, uint64_t *encap)
{
	const uint8_t *data = packet->data;
	unsigned int kind, tags = 0;

	if (packet->flags & FO_PKT_VLAN) {
		kind = fo__tag_kind(packet->vlan_tpid);
		if (!kind)
			return FO_R_ENCAP;
		*encap |= FO__ENCAP_TAG(kind, packet->vlan_tci, tags++);
	}
	while ((kind = fo__tag_kind(l2->type)) != FO_ENCAP_NONE) {
		if (tags == 2)
			return FO_R_ENCAP;
		if (avail - l2->off < 4)
			return FO_R_MALFORMED;
		*encap |= FO__ENCAP_TAG(kind, fo__be16(data + l2->off), tags++);
		l2->type = fo__be16(data + l2->off + 2);
		l2->off += 4;
	}
	l2->room = packet->length - l2->off;
	if (l2->type != 0x8864)
		return FO_R_NONE;
	if (avail - l2->off < 8)
		return FO_R_MALFORMED;
	data += l2->off;
	if (fo__be16(data) != 0x1100)
		return FO_R_ENCAP;
	if (fo__be16(data + 4) < 2 || fo__be16(data + 4) > l2->room - 6)
		return FO_R_MALFORMED;
	l2->type = fo__be16(data + 6) == 0x0021 ? 0x0800 : fo__be16(data + 6) == 0x0057 ? 0x86dd : 0;
	*encap |= FO__ENCAP_SESSION(fo__be16(data + 2));
	l2->room = fo__be16(data + 4) - 2;
	l2->off += 8;
	return l2->type ? FO_R_NONE : FO_R_ENCAP;
}

/* The L4 header at l4, of which left bytes are in the IP packet and have in memory. */
static inline unsigned int fo__parse_l4(struct fo__parsed *out, const uint8_t *l4, uint32_t left,
					uint32_t have, unsigned int proto, unsigned int v6)
{
	uint32_t type_code = 0;

	if (proto == FO__PROTO_TCP) {
		if (left < 20 || have < 20 || l4[12] >> 4 < 5 || (uint32_t)(l4[12] >> 4) * 4 > left)
			return FO_R_MALFORMED;
		out->marks = FO__MARK_OTHER | (l4[13] & FO__MARK_FLAGS);
		out->checksum = 16;
		out->key.ports = fo__load32(l4);
	} else if (proto == FO__PROTO_UDP) {
		if (left < 8 || have < 8 || fo__be16(l4 + 4) < 8 || fo__be16(l4 + 4) > left)
			return FO_R_MALFORMED;
		out->marks = FO__MARK_OTHER;
		out->checksum = 6;
		out->key.ports = fo__load32(l4);
	} else if (proto == (v6 ? FO__PROTO_ICMPV6 : FO__PROTO_ICMP)) {
		if (left < 8 || have < 8)
			return FO_R_MALFORMED;
		if (l4[1] || (v6 ? (l4[0] & 0xfe) != 128 : l4[0] & 0xf7))
			return FO_R_ICMP_TYPE;
		out->marks = FO__MARK_OTHER;
		out->checksum = 2;
		/* identifier, type, code: the key's ports in memory order */
		memcpy(&type_code, l4 + 4, 2);
		memcpy((uint8_t *)&type_code + 2, l4, 2);
		out->key.ports = type_code;
	} else {
		return FO_R_PROTOCOL;
	}
	out->key.code = (uint8_t)(proto | (v6 ? FO__CODE_V6 : 0));
	return FO_R_NONE;
}

static inline unsigned int fo__parse_v4(struct fo__parsed *out, const uint8_t *l3, uint32_t room,
					uint32_t have)
{
	unsigned int length;

	if (have < 20 || l3[0] >> 4 != 4 || (l3[0] & 15) < 5)
		return FO_R_MALFORMED;
	length = fo__be16(l3 + 2);
	if (length < (l3[0] & 15u) * 4 || length > room)
		return FO_R_MALFORMED;
	if (l3[0] != 0x45)
		return FO_R_IP_OPTIONS;
	if (fo__be16(l3 + 6) & 0x3fff)
		return FO_R_FRAGMENT;
	out->ip_len = (uint16_t)length;
	out->key.address4 = fo__load64(l3 + 12);
	if (l3[8] <= 1)
		return FO_R_TTL;
	return fo__parse_l4(out, l3 + 20, length - 20, have - 20, l3[9], 0);
}

static inline int fo__is_extension(unsigned int next)
{
	return next == 0 || next == 43 || next == 51 || next == 60 || next == 135 || next == 139 ||
	       next == 140;
}

static inline unsigned int fo__parse_v6(struct fo__parsed *out, const uint8_t *l3, uint32_t room,
					uint32_t have)
{
	unsigned int payload;

	if (have < 40 || l3[0] >> 4 != 6)
		return FO_R_MALFORMED;
	payload = fo__be16(l3 + 4);
	if (!payload || payload + 40 > room || payload + 40 > UINT16_MAX)
		return FO_R_MALFORMED;
	if (l3[6] == 44)
		return FO_R_FRAGMENT;
	if (fo__is_extension(l3[6]))
		return FO_R_EXT_HEADER;
	out->ip_len = (uint16_t)(payload + 40);
	out->key.address6 = l3 + 8;
	if (l3[7] <= 1)
		return FO_R_TTL;
	return fo__parse_l4(out, l3 + 40, payload, have - 40, l3[6], 1);
}

/* ---- what nearly all packets are ----
 *
 * Untagged, no options or extension headers, TCP or UDP, all headers at hand. The quick parsers only accept; whatever they
 * do not take, the whole parser judges. No branch depends on TCP or UDP: traffic mixes them.
 */

/* Ethernet, IPv4 and TCP's fixed part. */
#define FO__QUICK_HEADERS 54u

/* Is the L4 header sound, of which left bytes are in the IP packet (may be negative) and have in memory? */
static inline int fo__quick_l4(struct fo__parsed *out, const uint8_t *l4, unsigned int proto, int32_t left,
			       uint32_t have)
{
	const struct fo__l4_rule *rule = &fo__l4_rules[proto];
	uint32_t word, length;

	if (have < rule->least)
		return 0;
	word = fo__be16(l4 + rule->at);
	length = word >> rule->shift & rule->mask;
	out->marks = (uint8_t)(word & rule->flags);
	out->checksum = rule->checksum;
	return length >= rule->least && (int32_t)length <= left;
}

/* IPv4. scope, encap and l3 are not written: fo__parsed_complete(). */
static inline int fo__quick_v4(const struct fo_packet *packet, struct fo__parsed *out)
{
	const uint8_t *l3;
	uint32_t proto, length;

	if (!packet->data || packet->contiguous < FO__QUICK_HEADERS || (packet->flags & FO_PKT_VLAN))
		return 0;
	l3 = packet->data + FO__QUICK_L3;
	if (fo__load16(l3 - 2) != FO__WIRE16(0x0800) || l3[0] != 0x45 ||
	    (fo__load16(l3 + 6) & FO__WIRE16(0x3fff)) || l3[8] <= 1)
		return 0;
	proto = l3[9];
	length = fo__be16(l3 + 2);
	if (length + FO__QUICK_L3 > packet->length || proto >= FO__L4_RULES)
		return 0;
	if (!fo__quick_l4(out, l3 + 20, proto, (int32_t)length - 20, UINT32_MAX))
		return 0;
	out->key.address4 = fo__load64(l3 + 12);
	out->key.ports = fo__load32(l3 + 20);
	out->key.code = (uint8_t)proto;
	out->ip_len = (uint16_t)length;
	return 1;
}

/* IPv6, all of it written. */
static __attribute__((noinline)) int fo__quick_v6(const struct fo_packet *packet, struct fo__parsed *out)
{
	const uint8_t *l3;
	uint32_t proto, length;

	if (!packet->data || packet->contiguous < FO__QUICK_L3 + 48 || (packet->flags & FO_PKT_VLAN))
		return 0;
	l3 = packet->data + FO__QUICK_L3;
	if (fo__load16(l3 - 2) != FO__WIRE16(0x86dd) || l3[0] >> 4 != 6 || l3[7] <= 1)
		return 0;
	proto = l3[6];
	length = fo__be16(l3 + 4) + 40;
	if (length + FO__QUICK_L3 > packet->length || length > UINT16_MAX || proto >= FO__L4_RULES)
		return 0;
	if (!fo__quick_l4(out, l3 + 40, proto, (int32_t)length - 40, packet->contiguous - FO__QUICK_L3 - 40))
		return 0;
	out->key.address6 = l3 + 8;
	out->key.ports = fo__load32(l3 + 40);
	out->key.code = (uint8_t)(proto | FO__CODE_V6);
	out->key.scope = packet->scope;
	out->encap = 0;
	out->l3 = FO__QUICK_L3;
	out->ip_len = (uint16_t)length;
	out->marks |= FO__MARK_OTHER;
	return 1;
}

static __attribute__((noinline)) unsigned int fo__parse(const struct fo_packet *packet,
							struct fo__parsed *out)
{
	uint32_t avail = packet->contiguous < packet->length ? packet->contiguous : packet->length;
	struct fo__l2 l2;
	unsigned int reason;

	if (!packet->data || avail < 14)
		return FO_R_MALFORMED;
	l2.type = fo__be16(packet->data + 12);
	l2.off = 14;
	l2.room = packet->length - 14;
	out->encap = 0;
	out->key.scope = packet->scope;
	if (__builtin_expect((packet->flags & FO_PKT_VLAN) || (l2.type != 0x0800 && l2.type != 0x86dd), 0)) {
		reason = fo__parse_encap(packet, avail, &l2, &out->encap);
		if (reason)
			return reason;
	}
	out->l3 = (uint16_t)l2.off;
	if (l2.type == 0x0800)
		return fo__parse_v4(out, packet->data + l2.off, l2.room, avail - l2.off);
	if (l2.type == 0x86dd)
		return fo__parse_v6(out, packet->data + l2.off, l2.room, avail - l2.off);
	return FO_R_NOT_IP;
}

#endif
