// SPDX-License-Identifier: GPL-2.0
/* frame.c - the hardware's parser: a frame's bytes into struct sim_frame.
 *
 * It reads Ethernet, up to two tags, a PPPoE session, IPv4 or IPv6 without options and extension headers, TCP and UDP. Where
 * it stops, fields stay 0, so that no rule for a connection matches: such a frame goes to the host. The first
 * fragment of a packet has ports as any other packet; only a rule, or a guard, tells the two apart.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ppp_defs.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "hwsim.h"

#define PPPOE_SIZE     8      /* with the protocol behind it */
#define PPPOE_SESSION  0x1100 /* version 1, type 1, code 0 */
#define IPV6_FRAG_SIZE 8

static __be16 be16_at(const u8 *at)
{
	__be16 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Tags and session; returns the ethertype of what lies at frame->l3, or 0 and leaves that 0. */
static __be16 read_l2(struct sim_frame *frame, const u8 *data, unsigned int size)
{
	struct sim_key *key = &frame->key;
	unsigned int at = ETH_HLEN;
	__be16 type = be16_at(data + 2 * ETH_ALEN);

	memcpy(key->dst_mac, data, ETH_ALEN);
	memcpy(key->src_mac, data + ETH_ALEN, ETH_ALEN);
	key->outer = type;
	while (eth_type_vlan(type)) {
		if (key->tags == SIM_TAGS || at + VLAN_HLEN > size)
			return 0;
		key->tpid[key->tags] = type;
		key->tci[key->tags] = be16_at(data + at);
		type = be16_at(data + at + 2);
		key->next[key->tags++] = type;
		at += VLAN_HLEN;
	}
	if (type == htons(ETH_P_PPP_SES)) {
		unsigned int length;
		__be16 ppp;

		if (at + PPPOE_SIZE > size || be16_at(data + at) != htons(PPPOE_SESSION))
			return 0;
		key->has_session = 1;
		key->session = be16_at(data + at + 2);
		ppp = be16_at(data + at + 6);
		length = ntohs(be16_at(data + at + 4));
		if (length < 2 || length + 6 > size - at)
			return 0;
		frame->size = at + 6 + length;
		type = 0;
		if (ppp == htons(PPP_IP))
			type = htons(ETH_P_IP);
		else if (ppp == htons(PPP_IPV6))
			type = htons(ETH_P_IPV6);
		at += PPPOE_SIZE;
	}
	if (type)
		frame->l3 = at;
	return type;
}

static bool read_ipv4(struct sim_frame *frame, const u8 *data, unsigned int size)
{
	struct sim_key *key = &frame->key;
	struct iphdr ip;
	unsigned int length;

	if (frame->l3 + sizeof(ip) > size)
		return false;
	memcpy(&ip, data + frame->l3, sizeof(ip));
	length = ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl != 5 || length < sizeof(ip) || frame->l3 + length > frame->size)
		return false;
	key->l4 = ip.protocol;
	key->ttl = ip.ttl;
	key->tos = ip.tos;
	key->src.s6_addr32[0] = ip.saddr;
	key->dst.s6_addr32[0] = ip.daddr;
	if (ip.frag_off & htons(IP_MF | IP_OFFSET)) {
		key->fragment = SIM_FRAGMENT;
		if (!(ip.frag_off & htons(IP_OFFSET)))
			key->fragment |= SIM_FRAGMENT_FIRST;
	}
	frame->l4 = frame->l3 + sizeof(ip);
	frame->size = frame->l3 + length;
	return true;
}

static bool read_ipv6(struct sim_frame *frame, const u8 *data, unsigned int size)
{
	struct sim_key *key = &frame->key;
	struct ipv6hdr ip;
	unsigned int length;
	__be32 first;

	if (frame->l3 + sizeof(ip) > size)
		return false;
	memcpy(&ip, data + frame->l3, sizeof(ip));
	memcpy(&first, &ip, sizeof(first));
	length = sizeof(ip) + ntohs(ip.payload_len);
	if (ip.version != 6 || frame->l3 + length > frame->size)
		return false;
	key->l4 = ip.nexthdr;
	key->ttl = ip.hop_limit;
	key->tos = ntohl(first) >> 20;
	key->src = ip.saddr;
	key->dst = ip.daddr;
	frame->l4 = frame->l3 + sizeof(ip);
	frame->size = frame->l3 + length;
	if (ip.nexthdr == NEXTHDR_FRAGMENT && length >= sizeof(ip) + IPV6_FRAG_SIZE) {
		const u8 *header = data + frame->l4;

		key->fragment = SIM_FRAGMENT;
		if (!(be16_at(header + 2) & htons(IP6_OFFSET)))
			key->fragment |= SIM_FRAGMENT_FIRST;
		key->l4 = header[0];
		frame->l4 += IPV6_FRAG_SIZE;
	}
	return true;
}

static void read_l4(struct sim_frame *frame, const u8 *data)
{
	struct sim_key *key = &frame->key;
	const u8 *header = data + frame->l4;
	unsigned int left = frame->size - frame->l4;

	if (key->fragment && !(key->fragment & SIM_FRAGMENT_FIRST))
		return;
	if (key->l4 == IPPROTO_TCP && left >= sizeof(struct tcphdr)) {
		if (header[12] >> 4 < 5 || (header[12] >> 4) * 4 > left)
			return;
		key->tcp_flags = be16_at(header + 12) & htons(0x0fff);
		frame->l4_checksum = offsetof(struct tcphdr, check);
	} else if (key->l4 == IPPROTO_UDP && left >= sizeof(struct udphdr)) {
		unsigned int length = ntohs(be16_at(header + 4));

		if (!key->fragment && (length < sizeof(struct udphdr) || length > left))
			return;
		frame->l4_checksum = offsetof(struct udphdr, check);
	} else {
		return;
	}
	key->sport = be16_at(header);
	key->dport = be16_at(header + 2);
	frame->whole = 1;
}

void sim_frame_read(struct sim_frame *frame, const struct sk_buff *skb)
{
	__be16 type;
	bool ip = false;

	memset(frame, 0, sizeof(*frame));
	frame->wire_size = min_t(unsigned int, skb->len, U16_MAX);
	frame->size = frame->wire_size;
	if (frame->wire_size < ETH_HLEN)
		return;
	type = read_l2(frame, skb->data, frame->wire_size);
	if (type == htons(ETH_P_IP))
		ip = read_ipv4(frame, skb->data, frame->wire_size);
	else if (type == htons(ETH_P_IPV6))
		ip = read_ipv6(frame, skb->data, frame->wire_size);
	frame->key.proto = type;
	frame->ip = ip;
	if (ip)
		read_l4(frame, skb->data);
}
