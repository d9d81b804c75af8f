/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.c - Ethernet, VLAN tags and PPPoE before an IP header; unfinished checksums. Neighbours: frame.h, replay.c. */
#include "frame.h"

#include <netinet/in.h>

#define ETH_HLEN      14u
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define TPID_8021Q    0x8100
#define TPID_8021AD   0x88a8
#define PPPOE_SESSION 0x8864
#define PPPOE_LEN     8u /* the PPPoE header and the two bytes of PPP's protocol */
#define PPP_IP4	      0x0021
#define PPP_IP6	      0x0057

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void take_tag(struct frame *frame, uint16_t type, uint16_t tci)
{
	struct fo_encap *encap = &frame->encap[frame->n_encaps++];

	encap->kind = type == TPID_8021Q ? FO_ENCAP_8021Q : FO_ENCAP_8021AD;
	encap->id = tci & 0x0fff;
	encap->pcp = (uint8_t)(tci >> 13);
	encap->dei = (uint8_t)(tci >> 12 & 1);
}

void frame_parse(const uint8_t *data, uint32_t len, struct frame *frame)
{
	uint32_t at = ETH_HLEN;
	uint16_t type;

	memset(frame, 0, sizeof(*frame));
	frame->kind = FRAME_BROKEN;
	if (len < ETH_HLEN)
		return;
	type = get16(data + 12);
	while (type == TPID_8021Q || type == TPID_8021AD) {
		if (len - at < 4 || frame->n_encaps == 2)
			return;
		take_tag(frame, type, get16(data + at));
		type = get16(data + at + 2);
		at += 4;
	}
	if (type == PPPOE_SESSION) {
		if (len - at < PPPOE_LEN)
			return;
		frame->encap[frame->n_encaps].kind = FO_ENCAP_PPPOE;
		frame->encap[frame->n_encaps++].id = get16(data + at + 2);
		type = get16(data + at + 6);
		type = type == PPP_IP4 ? ETHERTYPE_IP4 : type == PPP_IP6 ? ETHERTYPE_IP6 : 0;
		at += PPPOE_LEN;
	}
	frame->l3 = at;
	if (type != ETHERTYPE_IP4 && type != ETHERTYPE_IP6)
		frame->kind = FRAME_OTHER;
	else if (len - at >= (type == ETHERTYPE_IP4 ? 20u : 40u))
		frame->kind = FRAME_IP;
	frame->family = type == ETHERTYPE_IP6 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
}

static uint64_t sum_bytes(const uint8_t *at, uint32_t len)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += get16(at + i);
	if (len % 2 != 0)
		sum += (uint64_t)at[len - 1] << 8;
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Where L4 is in a packet without options, extension headers or fragments; 0: not such a packet. */
static uint32_t find_l4(const uint8_t *ip, uint32_t len, uint8_t family, uint8_t *proto, uint32_t *l4_len)
{
	uint32_t header = family == FO_FAMILY_IPV4 ? 20 : 40;
	uint32_t total = family == FO_FAMILY_IPV4 ? get16(ip + 2) : get16(ip + 4) + 40u;

	if (family == FO_FAMILY_IPV4 && (ip[0] != 0x45 || (get16(ip + 6) & 0x3fff) != 0))
		return 0;
	*proto = family == FO_FAMILY_IPV4 ? ip[9] : ip[6];
	if (total < header || len < header + (*proto == IPPROTO_TCP ? 18u : 8u))
		return 0;
	*l4_len = total - header;
	return header;
}

bool frame_csum_unfinished(const uint8_t *data, uint32_t captured, const struct frame *frame,
			   struct frame_csum *csum)
{
	const uint8_t *ip = data + frame->l3;
	uint32_t len = captured - frame->l3, l4_len, l4;
	uint64_t pseudo;
	uint8_t proto;

	l4 = find_l4(ip, len, frame->family, &proto, &l4_len);
	if (l4 == 0 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return false;
	csum->start = (uint16_t)(frame->l3 + l4);
	csum->offset = proto == IPPROTO_TCP ? 16 : 6;
	if (proto == IPPROTO_UDP && get16(ip + l4 + 6) == 0)
		return false;
	pseudo = sum_bytes(frame->family == FO_FAMILY_IPV4 ? ip + 12 : ip + 8,
			   frame->family == FO_FAMILY_IPV4 ? 8 : 32) +
		 l4_len + proto;
	if (get16(ip + l4 + csum->offset) != fold(pseudo))
		return false;
	/* One finished checksum in 65536 looks like this too: then it is right for the whole packet. */
	return len < l4 + l4_len || fold(pseudo + sum_bytes(ip + l4, l4_len)) != 0xffff;
}
