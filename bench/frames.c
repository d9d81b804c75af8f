/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.c - frames built whole, with checksums summed over all bytes. See frames.h. */
#include "frames.h"

#include <string.h>

#define IP_AT 14u

void frame_adj(struct fo_adj *adj, unsigned int side)
{
	FO_INIT(adj);
	adj->port = side + 1;
	adj->mtu = 1500;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01", 5);
	memcpy(adj->peer_mac, "\x02\x00\x00\x00\x02", 5);
	adj->own_mac[5] = adj->peer_mac[5] = (uint8_t)side;
}

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t sum_of(const uint8_t *at, unsigned int length)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static unsigned int checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* The IP packet of a tuple; 64 bytes of frame are left to it. */
static void put_packet(uint8_t *frame, const struct fo_tuple *tuple, unsigned int ttl, uint32_t number)
{
	unsigned int v6 = tuple->family == FO_FAMILY_IPV6, bytes = v6 ? 16 : 4, tcp = tuple->proto == 6;
	unsigned int head = v6 ? 40 : 20, rest = FRAME_LENGTH - IP_AT - head, at = tcp ? 16 : 6;
	uint8_t *ip = frame + IP_AT, *l4 = ip + head, *addresses = ip + (v6 ? 8 : 12);
	unsigned int sum;

	/* TCP does not fit into 64 bytes of IPv6 */
	memset(ip, 0, FRAME_LENGTH - IP_AT);
	memcpy(addresses, tuple->src, bytes);
	memcpy(addresses + bytes, tuple->dst, bytes);
	memcpy(l4, &tuple->sport_be, 2);
	memcpy(l4 + 2, &tuple->dport_be, 2);
	for (unsigned int i = tcp ? 20 : 8; i < rest; i++)
		l4[i] = (uint8_t)(number >> (i % 4 * 8));
	if (tcp) {
		put16(l4 + 4, number >> 16);
		put16(l4 + 6, number & 0xffff);
		l4[12] = 0x50;
		l4[13] = 0x10;
		put16(l4 + 14, 512);
	} else {
		put16(l4 + 4, rest);
	}
	sum = checksum(sum_of(addresses, 2 * bytes) + tuple->proto + rest + sum_of(l4, rest));
	put16(l4 + at, !sum && !tcp ? 0xffff : sum);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, rest);
		ip[6] = tuple->proto;
		ip[7] = (uint8_t)ttl;
		return;
	}
	ip[0] = 0x45;
	put16(ip + 2, head + rest);
	put16(ip + 4, number & 0xffff);
	ip[6] = 0x40;
	ip[8] = (uint8_t)ttl;
	ip[9] = tuple->proto;
	put16(ip + 10, checksum(sum_of(ip, 20)));
}

static void put_ethernet(uint8_t *frame, const uint8_t *to, const uint8_t *from, unsigned int family)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	put16(frame + 12, family == FO_FAMILY_IPV6 ? 0x86dd : 0x0800);
}

void frame_in(uint8_t *frame, const struct fo_flow *flow, unsigned int dir, uint32_t number)
{
	struct fo_adj adj;

	frame_adj(&adj, dir);
	put_ethernet(frame, adj.own_mac, adj.peer_mac, flow->tuple[dir].family);
	put_packet(frame, &flow->tuple[dir], 64, number);
}

void frame_out(uint8_t *frame, const struct fo_flow *flow, unsigned int dir, uint32_t number)
{
	const struct fo_tuple *reply = &flow->tuple[1 - dir];
	struct fo_tuple leaves = *reply;
	struct fo_adj adj;

	memcpy(leaves.src, reply->dst, 16);
	memcpy(leaves.dst, reply->src, 16);
	leaves.sport_be = reply->dport_be;
	leaves.dport_be = reply->sport_be;
	frame_adj(&adj, 1 - dir);
	put_ethernet(frame, adj.peer_mac, adj.own_mac, leaves.family);
	put_packet(frame, &leaves, 63, number);
}
