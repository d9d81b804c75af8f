/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.c - frames built whole, with checksums summed over all bytes. See frames.h. */
#include "frames.h"

#include <string.h>

#include "keys.h"

#define ETHERNET 14u

void frame_flow(const struct net *net, struct fo_flow *flow, uint32_t n)
{
	if (net->tuples) {
		FO_INIT(flow);
		net->tuples(net->set, flow, n);
		return;
	}
	key_flow(flow, n, net->v6);
	if (!net->plain)
		return;
	memcpy(flow->tuple[1].dst, flow->tuple[0].src, 16);
	flow->tuple[1].dport_be = flow->tuple[0].sport_be;
}

void frame_adj(const struct net *net, struct fo_adj *adj, unsigned int side, uint32_t which)
{
	FO_INIT(adj);
	adj->port = side + 1;
	adj->mtu = 1500;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01", 5);
	adj->own_mac[5] = (uint8_t)side;
	memcpy(adj->peer_mac, "\x02\x01", 2);
	adj->peer_mac[2] = (uint8_t)side;
	for (unsigned int i = 0; i < 3; i++)
		adj->peer_mac[3 + i] = (uint8_t)(which >> (16 - 8 * i));
	if (!side || !net->encap)
		return;
	adj->mtu = 1492;
	adj->n_encaps = 3;
	adj->encap[0] = (struct fo_encap){.kind = FO_ENCAP_8021AD, .id = 100};
	adj->encap[1] = (struct fo_encap){.kind = FO_ENCAP_8021Q, .id = 200};
	adj->encap[2] = (struct fo_encap){.kind = FO_ENCAP_PPPOE, .id = 4660};
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
	return length % 2 ? sum + ((uint32_t)at[length - 1] << 8) : sum;
}

static unsigned int checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* TCP or UDP of length bytes, without a checksum. */
static void put_l4(uint8_t *l4, const struct fo_tuple *tuple, unsigned int length, uint32_t number)
{
	unsigned int tcp = tuple->proto == 6, head = tcp ? 20 : 8;

	memset(l4, 0, head);
	memcpy(l4, &tuple->sport_be, 2);
	memcpy(l4 + 2, &tuple->dport_be, 2);
	for (unsigned int i = head; i < length; i++)
		l4[i] = (uint8_t)(number >> (i % 4 * 8));
	if (!tcp) {
		put16(l4 + 4, length);
		return;
	}
	put16(l4 + 4, number >> 16);
	put16(l4 + 6, number & 0xffff);
	l4[12] = 0x50;
	l4[13] = 0x10;
	put16(l4 + 14, 512);
}

/* The IP packet of a tuple, length bytes. */
static void put_packet(uint8_t *ip, const struct fo_tuple *tuple, unsigned int ttl, uint32_t number,
		       unsigned int length)
{
	unsigned int v6 = tuple->family == FO_FAMILY_IPV6, bytes = v6 ? 16 : 4, head = v6 ? 40 : 20;
	unsigned int rest = length - head, tcp = tuple->proto == 6, sum;
	uint8_t *l4 = ip + head, *addresses = ip + (v6 ? 8 : 12);

	memset(ip, 0, head);
	memcpy(addresses, tuple->src, bytes);
	memcpy(addresses + bytes, tuple->dst, bytes);
	put_l4(l4, tuple, rest, number);
	sum = checksum(sum_of(addresses, 2 * bytes) + tuple->proto + rest + sum_of(l4, rest));
	put16(l4 + (tcp ? 16 : 6), !sum && !tcp ? 0xffff : sum);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, rest);
		ip[6] = tuple->proto;
		ip[7] = (uint8_t)ttl;
		return;
	}
	ip[0] = 0x45;
	put16(ip + 2, length);
	put16(ip + 4, number & 0xffff);
	ip[6] = 0x40;
	ip[8] = (uint8_t)ttl;
	ip[9] = tuple->proto;
	put16(ip + 10, checksum(sum_of(ip, 20)));
}

/* What is between the addresses and the IP packet of length bytes. */
static unsigned int put_types(uint8_t *at, const struct fo_adj *adj, int v6, unsigned int length)
{
	static const uint16_t types[] = {
		[FO_ENCAP_8021Q] = 0x8100, [FO_ENCAP_8021AD] = 0x88a8, [FO_ENCAP_PPPOE] = 0x8864};
	uint8_t *begin = at;

	for (unsigned int i = 0; i < adj->n_encaps; i++) {
		put16(at, types[adj->encap[i].kind]);
		if (adj->encap[i].kind == FO_ENCAP_PPPOE) {
			put16(at + 2, 0x1100);
			put16(at + 4, adj->encap[i].id);
			put16(at + 6, length + 2);
			put16(at + 8, v6 ? 0x0057 : 0x0021);
			return (unsigned int)(at + 10 - begin);
		}
		put16(at + 2, adj->encap[i].id);
		at += 4;
	}
	put16(at, v6 ? 0x86dd : 0x0800);
	return (unsigned int)(at + 2 - begin);
}

static unsigned int put_frame(uint8_t *frame, const struct fo_adj *adj, int leaves,
			      const struct fo_tuple *tuple, uint32_t number, unsigned int length)
{
	unsigned int head;

	memcpy(frame, leaves ? adj->peer_mac : adj->own_mac, 6);
	memcpy(frame + 6, leaves ? adj->own_mac : adj->peer_mac, 6);
	head = 12 + put_types(frame + 12, adj, tuple->family == FO_FAMILY_IPV6, length - ETHERNET);
	put_packet(frame + head, tuple, leaves ? 63 : 64, number, length - ETHERNET);
	return head + length - ETHERNET;
}

unsigned int frame_in(uint8_t *frame, const struct net *net, uint32_t n, unsigned int dir,
		      unsigned int length)
{
	struct fo_flow flow;
	struct fo_adj adj;

	frame_flow(net, &flow, n);
	frame_adj(net, &adj, dir, dir ? 0 : n % net->clients);
	return put_frame(frame, &adj, 0, &flow.tuple[dir], 2 * n + dir, length);
}

unsigned int frame_out(uint8_t *frame, const struct net *net, uint32_t n, unsigned int dir,
		       unsigned int length)
{
	struct fo_flow flow;
	struct fo_tuple leaves;
	struct fo_adj adj;

	frame_flow(net, &flow, n);
	leaves = flow.tuple[1 - dir];
	memcpy(leaves.src, flow.tuple[1 - dir].dst, 16);
	memcpy(leaves.dst, flow.tuple[1 - dir].src, 16);
	leaves.sport_be = flow.tuple[1 - dir].dport_be;
	leaves.dport_be = flow.tuple[1 - dir].sport_be;
	frame_adj(net, &adj, 1 - dir, dir ? n % net->clients : 0);
	return put_frame(frame, &adj, 1, &leaves, 2 * n + dir, length);
}
