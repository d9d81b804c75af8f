/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_packets.c - connections and packets for `fo-demo bench`, each computed from its number. What has to come
 * out is made by the same function from scratch, checksums included, and not by rewriting. Neighbours: bench.h.
 */
#include "bench.h"

#include <netinet/in.h>

#define SERVERS 131072u /* 198.18.0.0/15, reserved for benchmarks */

/* UDP header and payload: IPv4 fills the smallest Ethernet frame, IPv6 needs no payload to do so. */
static uint32_t udp_length(uint8_t family)
{
	return family == FO_FAMILY_IPV4 ? 8 + 18 : 8;
}

static const uint8_t macs[3][6] = {
	{0x02, 0, 0, 0, 0, 0x01},    /* ours, on both sides */
	{0x02, 0, 0, 0, 0x01, 0x02}, /* the LAN's */
	{0x02, 0, 0, 0, 0x02, 0x02}, /* the WAN's */
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

void bench_adjacency(uint32_t port, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = port;
	memcpy(adj->own_mac, macs[0], 6);
	memcpy(adj->peer_mac, macs[port], 6);
	adj->mtu = 1500;
}

/* Address n of a network; 2001:db8:NETWORK::n. */
static void put_address(const struct bench_traffic *traffic, uint8_t *at, uint32_t network, uint32_t n)
{
	if (traffic->family == FO_FAMILY_IPV4) {
		put32(at, network + n);
		return;
	}
	put32(at, 0x20010db8);
	put16(at + 4, network >> 16);
	put32(at + 12, n);
}

void bench_flow(const struct bench_traffic *traffic, uint32_t n, struct fo_flow *flow)
{
	struct fo_tuple *original = &flow->tuple[FO_ORIGINAL], *reply = &flow->tuple[FO_REPLY];

	FO_INIT(flow);
	original->family = traffic->family;
	original->proto = IPPROTO_UDP;
	put_address(traffic, original->src, 0x0a000000, n + 1); /* 10.0.0.0/8 */
	put_address(traffic, original->dst, 0xc6120000, n % SERVERS);
	original->sport_be = htons((uint16_t)(1024 + n % 60000));
	original->dport_be = htons(443);
	*reply = *original;
	memcpy(reply->src, original->dst, 16);
	memcpy(reply->dst, original->src, 16);
	reply->sport_be = original->dport_be;
	reply->dport_be = original->sport_be;
	flow->nat = FO_NAT_NONE;
	if (traffic->nat) {
		flow->nat = FO_NAT_SRC;
		put_address(traffic, reply->dst, 0xc0000201,
			    traffic->family == FO_FAMILY_IPV4 ? 0 : 1); /* 192.0.2.1 */
		/* A server's connections differ in the port alone. */
		reply->dport_be = htons((uint16_t)(1024 + n / SERVERS));
	}
	flow->timeout_ms = FO_TIMEOUT_NEVER;
}

static uint32_t sum(const uint8_t *at, uint32_t len, uint32_t start)
{
	for (uint32_t i = 0; i < len; i += 2)
		start += (uint32_t)(at[i] << 8 | at[i + 1]);
	return start;
}

static uint32_t finish(uint32_t value)
{
	value = (value & 0xffff) + (value >> 16);
	value = (value & 0xffff) + (value >> 16);
	return ~value & 0xffff;
}

static uint8_t *put_ip(uint8_t *ip, const struct fo_tuple *t, bool swap, uint8_t ttl)
{
	const uint8_t *src = swap ? t->dst : t->src, *dst = swap ? t->src : t->dst;

	if (t->family == FO_FAMILY_IPV4) {
		ip[0] = 0x45;
		put16(ip + 2, 20 + udp_length(t->family));
		ip[8] = ttl;
		ip[9] = t->proto;
		memcpy(ip + 12, src, 4);
		memcpy(ip + 16, dst, 4);
		put16(ip + 10, finish(sum(ip, 20, 0)));
		return ip + 20;
	}
	ip[0] = 0x60;
	put16(ip + 4, udp_length(t->family));
	ip[6] = t->proto;
	ip[7] = ttl;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	return ip + 40;
}

uint32_t bench_frame(const struct fo_flow *flow, enum fo_dir dir, bool out, uint8_t frame[BENCH_FRAME_MAX])
{
	/* What leaves is the mirror of the other direction's tuple. */
	const struct fo_tuple *t = &flow->tuple[out ? 1 - dir : dir];
	uint32_t from = dir == FO_ORIGINAL ? BENCH_LAN : BENCH_WAN;
	uint32_t addresses = t->family == FO_FAMILY_IPV4 ? 8 : 32, length = udp_length(t->family), value;
	uint8_t *udp;

	memset(frame, 0, BENCH_FRAME_MAX);
	memcpy(frame, macs[out ? BENCH_LAN + BENCH_WAN - from : 0], 6);
	memcpy(frame + 6, macs[out ? 0 : from], 6);
	put16(frame + 12, t->family == FO_FAMILY_IPV4 ? 0x0800 : 0x86dd);
	udp = put_ip(frame + 14, t, out, out ? 63 : 64);
	memcpy(udp, out ? &t->dport_be : &t->sport_be, 2);
	memcpy(udp + 2, out ? &t->sport_be : &t->dport_be, 2);
	put16(udp + 4, length);
	memset(udp + 8, 'f', length - 8);
	value = finish(sum(udp, length, sum(udp - addresses, addresses, length + IPPROTO_UDP)));
	put16(udp + 6, value != 0 ? value : 0xffff);
	return (uint32_t)(udp + length - frame);
}
