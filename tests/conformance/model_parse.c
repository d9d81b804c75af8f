/* SPDX-License-Identifier: BSD-2-Clause */
/* model_parse.c - the reference reads a frame: encapsulation, IP, L4, from the first byte on.
 * See model_view.h. */
#include "model_view.h"

#include "packet.h"

/* May n bytes at offset at be read, being headers? */
static int readable(const struct rig_packet *p, uint32_t at, uint32_t n)
{
	uint32_t have = p->contiguous && p->contiguous < p->length ? p->contiguous : p->length;

	return at <= have && n <= have - at;
}

static unsigned int tag_kind(uint32_t type)
{
	return type == 0x8100 ? FO_ENCAP_8021Q : type == 0x88a8 ? FO_ENCAP_8021AD : FO_ENCAP_NONE;
}

static void add_tag(struct model_view *v, unsigned int kind, unsigned int id)
{
	v->tag[v->n_tags].kind = kind;
	v->tag[v->n_tags].id = id;
	v->n_tags++;
}

/* PPPoE session header at v->l3; leaves the type of what follows in *type. */
static uint64_t parse_pppoe(const struct rig_packet *p, struct model_view *v, uint32_t *type)
{
	const uint8_t *h = p->frame + v->l3;
	uint32_t len, proto;

	if (!readable(p, v->l3, 8))
		return MODEL_BIT(FO_R_MALFORMED);
	len = packet_get16(h + 4);
	proto = packet_get16(h + 6);
	if (h[0] != 0x11 || h[1] != 0)
		return MODEL_BIT(FO_R_MALFORMED) | MODEL_BIT(FO_R_ENCAP) | MODEL_BIT(FO_R_NOT_IP);
	if (len < 2 || len + 6 > p->length - v->l3)
		return MODEL_BIT(FO_R_MALFORMED) |
		       (proto != 0x0021 && proto != 0x0057 ? MODEL_BIT(FO_R_ENCAP) : 0);
	if (proto != 0x0021 && proto != 0x0057)
		return MODEL_BIT(FO_R_ENCAP);
	add_tag(v, FO_ENCAP_PPPOE, packet_get16(h + 2));
	v->l3 += 8;
	v->room = len - 2;
	*type = proto == 0x0021 ? 0x0800 : 0x86dd;
	return 0;
}

static uint64_t parse_l2(const struct rig_packet *p, struct model_view *v, uint32_t *type)
{
	if (!readable(p, 0, 14))
		return MODEL_BIT(FO_R_MALFORMED);
	v->l3 = 14;
	*type = packet_get16(p->frame + 12);
	if (p->flags & FO_PKT_VLAN) {
		if (!tag_kind(p->vlan_tpid))
			return MODEL_BIT(FO_R_NOT_IP) | MODEL_BIT(FO_R_ENCAP) | MODEL_BIT(FO_R_MALFORMED);
		add_tag(v, tag_kind(p->vlan_tpid), p->vlan_tci & 0xfff);
	}
	while (tag_kind(*type)) {
		if (v->n_tags == 2)
			return MODEL_BIT(FO_R_ENCAP) |
			       (readable(p, v->l3, 4) ? 0 : MODEL_BIT(FO_R_MALFORMED));
		if (!readable(p, v->l3, 4))
			return MODEL_BIT(FO_R_MALFORMED);
		add_tag(v, tag_kind(*type), packet_get16(p->frame + v->l3) & 0xfff);
		*type = packet_get16(p->frame + v->l3 + 2);
		v->l3 += 4;
	}
	v->room = p->length - v->l3;
	if (*type == 0x8864)
		return parse_pppoe(p, v, type);
	return 0;
}

static uint64_t parse_ipv4(const struct rig_packet *p, struct model_view *v)
{
	const uint8_t *ip = p->frame + v->l3;
	uint64_t reasons = 0;
	uint32_t hlen;

	if (v->room < 20 || !readable(p, v->l3, 20))
		return MODEL_BIT(FO_R_MALFORMED);
	hlen = (ip[0] & 15u) * 4;
	v->ip_len = packet_get16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < 20 || v->ip_len < hlen || v->ip_len > v->room)
		return MODEL_BIT(FO_R_MALFORMED);
	if (packet_get16(ip + 6) & 0x3fff)
		reasons |= MODEL_BIT(FO_R_FRAGMENT);
	if (hlen > 20)
		reasons |= MODEL_BIT(FO_R_IP_OPTIONS);
	if (ip[8] <= 1)
		reasons |= MODEL_BIT(FO_R_TTL);
	v->tuple.family = FO_FAMILY_IPV4;
	v->tuple.proto = ip[9];
	memcpy(v->tuple.src, ip + 12, 4);
	memcpy(v->tuple.dst, ip + 16, 4);
	v->l4 = v->l3 + hlen;
	v->l4_len = v->ip_len - hlen;
	if (ip[9] != 6 && ip[9] != 17 && ip[9] != 1)
		reasons |= MODEL_BIT(FO_R_PROTOCOL);
	return reasons;
}

static uint64_t parse_ipv6(const struct rig_packet *p, struct model_view *v)
{
	const uint8_t *ip = p->frame + v->l3;
	uint64_t reasons = 0;
	uint32_t payload;

	if (v->room < 40 || !readable(p, v->l3, 40))
		return MODEL_BIT(FO_R_MALFORMED);
	payload = packet_get16(ip + 4);
	if (ip[0] >> 4 != 6 || payload == 0 || payload + 40 > v->room)
		return MODEL_BIT(FO_R_MALFORMED);
	if (ip[7] <= 1)
		reasons |= MODEL_BIT(FO_R_TTL);
	v->tuple.family = FO_FAMILY_IPV6;
	v->tuple.proto = ip[6];
	memcpy(v->tuple.src, ip + 8, 16);
	memcpy(v->tuple.dst, ip + 24, 16);
	v->ip_len = payload + 40;
	v->l4 = v->l3 + 40;
	v->l4_len = payload;
	switch (ip[6]) {
	case 6:
	case 17:
	case 58:
		return reasons;
	case 44:
		return reasons | MODEL_BIT(FO_R_FRAGMENT);
	case 0:
	case 43:
	case 51:
	case 60:
	case 135:
	case 139:
	case 140:
		return reasons | MODEL_BIT(FO_R_EXT_HEADER);
	case 50:
	case 59:
	case 253:
	case 254: /* called extension headers by some, protocols by others */
		return reasons | MODEL_BIT(FO_R_EXT_HEADER) | MODEL_BIT(FO_R_PROTOCOL);
	default:
		return reasons | MODEL_BIT(FO_R_PROTOCOL);
	}
}

static uint64_t parse_l4(const struct rig_packet *p, struct model_view *v)
{
	const uint8_t *l4 = p->frame + v->l4;
	uint32_t need = v->tuple.proto == 6 ? 20 : 8;
	uint32_t len;

	if (v->l4_len < need || !readable(p, v->l4, need))
		return MODEL_BIT(FO_R_MALFORMED);
	memcpy(&v->tuple.sport_be, l4, 2);
	memcpy(&v->tuple.dport_be, l4 + 2, 2);
	switch (v->tuple.proto) {
	case 6:
		v->tcp_flags = l4[13];
		len = (l4[12] >> 4) * 4u;
		return len < 20 || len > v->l4_len ? MODEL_BIT(FO_R_MALFORMED) : 0;
	case 17:
		len = packet_get16(l4 + 4);
		return len < 8 || len > v->l4_len ? MODEL_BIT(FO_R_MALFORMED) : 0;
	default:
		memcpy(&v->tuple.dport_be, l4, 2);
		memcpy(&v->tuple.sport_be, l4 + 4, 2);
		if (v->tuple.proto == 1 ? l4[0] != 0 && l4[0] != 8 : l4[0] != 128 && l4[0] != 129)
			return MODEL_BIT(FO_R_ICMP_TYPE);
		return l4[1] ? MODEL_BIT(FO_R_ICMP_TYPE) | MODEL_BIT(FO_R_NO_FLOW) : 0;
	}
}

uint64_t model_parse(const struct rig_packet *p, struct model_view *v)
{
	uint64_t reasons;
	uint32_t type;

	memset(v, 0, sizeof(*v));
	reasons = parse_l2(p, v, &type);
	if (reasons)
		return reasons;
	if (type != 0x0800 && type != 0x86dd)
		return MODEL_BIT(FO_R_NOT_IP);
	reasons = type == 0x0800 ? parse_ipv4(p, v) : parse_ipv6(p, v);
	if (reasons & ~MODEL_BIT(FO_R_TTL))
		return reasons;
	return reasons | parse_l4(p, v);
}
