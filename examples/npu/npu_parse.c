/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_parse.c - the silicon's parser: what it takes for a packet that it could forward. Whatever it does not know
 * everything about goes to the host. Neighbours: npu_packet.c goes on from here.
 */
#include "npu_packet.h"

#include <string.h>

static bool is_vlan(uint16_t type)
{
	return type == NPU_TYPE_8021Q || type == NPU_TYPE_AD;
}

static void push_tag(struct npu_parsed *p, uint16_t type, uint16_t id, uint16_t priority)
{
	p->tag[p->n_tags].type = type;
	p->tag[p->n_tags].id = id;
	p->tag[p->n_tags].priority = priority;
	p->n_tags++;
}

static enum npu_trap parse_pppoe(struct npu_parsed *p, uint16_t *type)
{
	const uint8_t *header = p->frame + p->l3;
	size_t payload;
	uint16_t ppp;

	if (p->l3_room < 8)
		return NPU_TRAP_MALFORMED;
	payload = npu_load16(header + 4);
	ppp = npu_load16(header + 6);
	if (header[0] != 0x11 || header[1] != 0 || payload < 2 || payload > p->l3_room - 6)
		return NPU_TRAP_MALFORMED;
	if (ppp != NPU_PPP_IPV4 && ppp != NPU_PPP_IPV6)
		return NPU_TRAP_ENCAP;
	push_tag(p, NPU_TYPE_PPPOE, npu_load16(header + 2), 0);
	p->l3 += 8;
	p->l3_room = payload - 2;
	*type = ppp == NPU_PPP_IPV4 ? NPU_TYPE_IPV4 : NPU_TYPE_IPV6;
	return NPU_FORWARDED;
}

static enum npu_trap parse_l2(struct npu_parsed *p, uint16_t *type)
{
	if (p->length < 14)
		return NPU_TRAP_MALFORMED;
	*type = npu_load16(p->frame + 12);
	p->l3 = 14;
	while (is_vlan(*type)) {
		uint16_t tci;

		if (p->n_tags == 2)
			return NPU_TRAP_ENCAP;
		if (p->length - p->l3 < 4)
			return NPU_TRAP_MALFORMED;
		tci = npu_load16(p->frame + p->l3);
		push_tag(p, *type, tci & 0x0fff, tci & 0xf000);
		*type = npu_load16(p->frame + p->l3 + 2);
		p->l3 += 4;
	}
	p->l3_room = p->length - p->l3;
	return *type == NPU_TYPE_PPPOE ? parse_pppoe(p, type) : NPU_FORWARDED;
}

static enum npu_trap parse_ipv4(const struct npu_device *dev, struct npu_parsed *p)
{
	const uint8_t *ip = p->frame + p->l3;
	size_t header;

	if (p->l3_room < 20 || ip[0] >> 4 != 4)
		return NPU_TRAP_MALFORMED;
	header = (size_t)(ip[0] & 0x0f) * 4;
	p->ip_length = npu_load16(ip + 2);
	if (header < 20 || p->ip_length < header || p->ip_length > p->l3_room)
		return NPU_TRAP_MALFORMED;
	if ((npu_load16(ip + 6) & 0x3fff) && !npu_has_fault(dev, NPU_FAULT_FRAGMENT_FORWARDED))
		return NPU_TRAP_FRAGMENT;
	if (header > 20 && !npu_has_fault(dev, NPU_FAULT_OPTIONS_FORWARDED))
		return NPU_TRAP_OPTIONS;
	if (ip[9] != NPU_TCP && ip[9] != NPU_UDP && ip[9] != NPU_ICMP)
		return NPU_TRAP_PROTOCOL;
	p->tuple.family = 4;
	p->tuple.proto = ip[9];
	memcpy(p->tuple.src, ip + 12, 4);
	memcpy(p->tuple.dst, ip + 16, 4);
	p->l4 = p->l3 + header;
	return NPU_FORWARDED;
}

static enum npu_trap ipv6_next_header(uint8_t next)
{
	switch (next) {
	case NPU_TCP:
	case NPU_UDP:
	case NPU_ICMPV6:
		return NPU_FORWARDED;
	case 44:
		return NPU_TRAP_FRAGMENT;
	case 0:
	case 43:
	case 51:
	case 60:
	case 135:
	case 139:
	case 140:
		return NPU_TRAP_EXT_HEADER;
	default:
		return NPU_TRAP_PROTOCOL;
	}
}

static enum npu_trap parse_ipv6(struct npu_parsed *p)
{
	const uint8_t *ip = p->frame + p->l3;
	size_t payload;

	if (p->l3_room < 40 || ip[0] >> 4 != 6)
		return NPU_TRAP_MALFORMED;
	payload = npu_load16(ip + 4);
	if (!payload || payload > p->l3_room - 40)
		return NPU_TRAP_MALFORMED;
	p->ip_length = 40 + payload;
	p->tuple.family = 6;
	p->tuple.proto = ip[6];
	memcpy(p->tuple.src, ip + 8, 16);
	memcpy(p->tuple.dst, ip + 24, 16);
	p->l4 = p->l3 + 40;
	return ipv6_next_header(ip[6]);
}

static enum npu_trap parse_icmp(const struct npu_device *dev, struct npu_parsed *p)
{
	const uint8_t *l4 = p->frame + p->l4;
	uint8_t request = p->tuple.proto == NPU_ICMP ? 8 : 128;
	uint8_t reply = p->tuple.proto == NPU_ICMP ? 0 : 129;

	p->icmp_other = (l4[0] != request && l4[0] != reply) || l4[1] != 0;
	if (p->icmp_other && !npu_has_fault(dev, NPU_FAULT_ICMP_ERROR_AS_ECHO))
		return NPU_TRAP_ICMP_TYPE;
	memcpy(&p->tuple.sport_be, l4 + 4, 2);
	memcpy(&p->tuple.dport_be, l4, 2);
	return NPU_FORWARDED;
}

static enum npu_trap parse_l4(const struct npu_device *dev, struct npu_parsed *p)
{
	const uint8_t *l4 = p->frame + p->l4;
	size_t room = p->ip_length - (p->l4 - p->l3);
	size_t said;

	if (room < (p->tuple.proto == NPU_TCP ? 20u : 8u))
		return NPU_TRAP_MALFORMED;
	if (p->tuple.proto == NPU_ICMP || p->tuple.proto == NPU_ICMPV6)
		return parse_icmp(dev, p);
	said = p->tuple.proto == NPU_TCP ? (size_t)(l4[12] >> 4) * 4 : npu_load16(l4 + 4);
	if (said > room || said < (p->tuple.proto == NPU_TCP ? 20u : 8u))
		return NPU_TRAP_MALFORMED;
	if (p->tuple.proto == NPU_TCP)
		p->tcp_flags = l4[13];
	memcpy(&p->tuple.sport_be, l4, 2);
	memcpy(&p->tuple.dport_be, l4 + 2, 2);
	return NPU_FORWARDED;
}

enum npu_trap npu_parse(const struct npu_device *dev, const uint8_t *frame, size_t length,
			struct npu_parsed *out)
{
	enum npu_trap trap;
	uint16_t type = 0;
	uint8_t ttl;

	memset(out, 0, sizeof(*out));
	out->frame = frame;
	out->length = length;
	trap = parse_l2(out, &type);
	if (trap)
		return trap;
	if (type != NPU_TYPE_IPV4 && type != NPU_TYPE_IPV6)
		return NPU_TRAP_NOT_IP;
	trap = type == NPU_TYPE_IPV4 ? parse_ipv4(dev, out) : parse_ipv6(out);
	if (!trap)
		trap = parse_l4(dev, out);
	if (trap)
		return trap;
	ttl = frame[out->l3 + (type == NPU_TYPE_IPV4 ? 8 : 7)];
	if (ttl <= 1 && !(ttl == 1 && npu_has_fault(dev, NPU_FAULT_TTL_ONE_FORWARDED)))
		return NPU_TRAP_TTL;
	return NPU_FORWARDED;
}
