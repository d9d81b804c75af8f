/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* parse.bpf.h - from a frame to offsets and lengths, or the reason why it is not for the short cut.
 *
 * Judges as src/fastpath/parse.h does, in the same order, so that a packet has one fate on both; a differential test
 * holds them together. Offsets are kept below 64 so that the verifier can follow them.
 */
#ifndef FO_BACKENDS_BPF_PARSE_BPF_H
#define FO_BACKENDS_BPF_PARSE_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define ALWAYS static __attribute__((always_inline)) inline

#define TCP_FIN	    0x01u
#define TCP_SYN	    0x02u
#define TCP_RST	    0x04u
#define OFFSET_MASK 63u

struct frame {
	__u64 encap;
	__u32 room; /* bytes of the frame from the IP header on */
	__u32 l3;   /* offset of the IP header */
	__u32 ip_len;
	__u16 type; /* network order */
	__u8 tags;
	__u8 proto;
	__u8 tcp_flags;
	__u8 l4_len;
	__u8 pppoe;
};

struct tag {
	__be16 tci;
	__be16 type;
};

/* linux/icmp.h would bring the C library's headers along. */
struct echo {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 id;
	__be16 sequence;
};

struct session {
	__u8 version;
	__u8 code;
	__be16 id;
	__be16 length;
	__be16 protocol;
};

ALWAYS __u32 tag_kind(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) ? 1 : type == bpf_htons(ETH_P_8021AD) ? 2 : 0;
}

ALWAYS void note_tag(struct frame *frame, __u32 kind, __u32 tci)
{
	frame->encap |= (__u64)(kind << 12 | (tci & 0xfff)) << (frame->tags * 14);
	frame->tags++;
}

ALWAYS int parse_session(void *data, void *end, struct frame *frame)
{
	struct session *session = data + (frame->l3 & OFFSET_MASK);
	__u32 length;

	if ((void *)(session + 1) > end)
		return FO__BPF_R_MALFORMED;
	if (session->version != 0x11 || session->code != 0)
		return FO__BPF_R_ENCAP;
	length = bpf_ntohs(session->length);
	if (length < 2 || length > frame->room - 6)
		return FO__BPF_R_MALFORMED;
	frame->type = session->protocol == bpf_htons(0x0021)   ? bpf_htons(ETH_P_IP)
		      : session->protocol == bpf_htons(0x0057) ? bpf_htons(ETH_P_IPV6)
							       : 0;
	frame->encap |= 1ull << 31 | (__u64)bpf_ntohs(session->id) << 32;
	frame->room = length - 2;
	frame->l3 += 8;
	frame->pppoe = 1;
	return frame->type ? FO__BPF_R_NONE : FO__BPF_R_ENCAP;
}

/* frame->encap and tags hold what metadata said already. length: of the whole frame. */
ALWAYS int parse_l2(void *data, void *end, __u32 length, struct frame *frame)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return FO__BPF_R_MALFORMED;
	frame->type = eth->h_proto;
	frame->l3 = sizeof(*eth);
	frame->pppoe = 0;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u32 kind = tag_kind(frame->type);
		struct tag *tag = data + (frame->l3 & OFFSET_MASK);

		if (!kind)
			break;
		if (frame->tags == 2)
			return FO__BPF_R_ENCAP;
		if ((void *)(tag + 1) > end)
			return FO__BPF_R_MALFORMED;
		note_tag(frame, kind, bpf_ntohs(tag->tci));
		frame->type = tag->type;
		frame->l3 += sizeof(*tag);
	}
	frame->room = length - frame->l3;
	if (frame->type == bpf_htons(ETH_P_PPP_SES))
		return parse_session(data, end, frame);
	if (frame->type != bpf_htons(ETH_P_IP) && frame->type != bpf_htons(ETH_P_IPV6))
		return FO__BPF_R_NOT_IP;
	return FO__BPF_R_NONE;
}

/* ports: source and destination, or identifier, type and code of an echo. left: bytes of the IP packet from l4 on. */
ALWAYS int parse_l4(void *l4, void *end, __u32 left, int v6, struct frame *frame, __u16 ports[2])
{
	frame->tcp_flags = 0;
	frame->l4_len = 8;
	if (frame->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		__u8 *bytes = l4;

		if (left < sizeof(*tcp) || (void *)(tcp + 1) > end)
			return FO__BPF_R_MALFORMED;
		if (tcp->doff < 5 || tcp->doff * 4u > left)
			return FO__BPF_R_MALFORMED;
		frame->l4_len = (__u8)(tcp->doff * 4);
		frame->tcp_flags = bytes[13] & (TCP_FIN | TCP_SYN | TCP_RST);
		ports[0] = tcp->source;
		ports[1] = tcp->dest;
		return FO__BPF_R_NONE;
	}
	if (frame->proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;

		if (left < sizeof(*udp) || (void *)(udp + 1) > end)
			return FO__BPF_R_MALFORMED;
		if (bpf_ntohs(udp->len) < 8 || bpf_ntohs(udp->len) > left)
			return FO__BPF_R_MALFORMED;
		ports[0] = udp->source;
		ports[1] = udp->dest;
		return FO__BPF_R_NONE;
	}
	if (frame->proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		struct echo *echo = l4;

		if (left < sizeof(*echo) || (void *)(echo + 1) > end)
			return FO__BPF_R_MALFORMED;
		if (echo->code || (v6 ? (echo->type & 0xfe) != 128 : echo->type & 0xf7))
			return FO__BPF_R_ICMP_TYPE;
		ports[0] = echo->id;
		ports[1] = bpf_htons((__u16)(echo->type << 8));
		return FO__BPF_R_NONE;
	}
	return FO__BPF_R_PROTOCOL;
}

ALWAYS int parse_v4(void *data, void *end, struct frame *frame, struct fo__bpf_key4 *key)
{
	struct iphdr *ip = data + (frame->l3 & OFFSET_MASK);
	__u16 ports[2] = {0, 0};
	int reason;

	if ((void *)(ip + 1) > end || frame->room < sizeof(*ip))
		return FO__BPF_R_MALFORMED;
	if (ip->version != 4 || ip->ihl < 5)
		return FO__BPF_R_MALFORMED;
	frame->ip_len = bpf_ntohs(ip->tot_len);
	if (frame->ip_len < ip->ihl * 4u || frame->ip_len > frame->room)
		return FO__BPF_R_MALFORMED;
	if (ip->ihl != 5)
		return FO__BPF_R_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(0x3fff))
		return FO__BPF_R_FRAGMENT;
	if (ip->ttl <= 1)
		return FO__BPF_R_TTL;
	frame->proto = ip->protocol;
	reason = parse_l4(ip + 1, end, frame->ip_len - 20, 0, frame, ports);
	key->src = ip->saddr;
	key->dst = ip->daddr;
	key->sport = ports[0];
	key->dport = ports[1];
	return reason;
}

ALWAYS int is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 51 || next == 60 || next == 135 || next == 139 ||
	       next == 140;
}

ALWAYS int parse_v6(void *data, void *end, struct frame *frame, struct fo__bpf_key6 *key)
{
	struct ipv6hdr *ip = data + (frame->l3 & OFFSET_MASK);
	__u16 ports[2] = {0, 0};
	__u32 payload;
	int reason;

	if ((void *)(ip + 1) > end || frame->room < sizeof(*ip))
		return FO__BPF_R_MALFORMED;
	if (ip->version != 6)
		return FO__BPF_R_MALFORMED;
	payload = bpf_ntohs(ip->payload_len);
	if (!payload || payload + 40 > frame->room || payload + 40 > 65535)
		return FO__BPF_R_MALFORMED;
	if (ip->nexthdr == 44)
		return FO__BPF_R_FRAGMENT;
	if (is_extension(ip->nexthdr))
		return FO__BPF_R_EXT_HEADER;
	frame->ip_len = payload + 40;
	if (ip->hop_limit <= 1)
		return FO__BPF_R_TTL;
	frame->proto = ip->nexthdr;
	reason = parse_l4(ip + 1, end, payload, 1, frame, ports);
	__builtin_memcpy(key->src, &ip->saddr, 16);
	__builtin_memcpy(key->dst, &ip->daddr, 16);
	key->sport = ports[0];
	key->dport = ports[1];
	return reason;
}

#endif /* FO_BACKENDS_BPF_PARSE_BPF_H */
