/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rewrite.bpf.h - the bytes of a packet that takes the short cut, as src/fastpath/rewrite.h writes them.
 *
 * Checksums change by RFC 1624 equation 3 with deltas that were computed from old and new values: a wrong one stays wrong.
 * Used by the XDP program for everything, by the TC program for IP headers; L4 checksums of socket buffers may be
 * unfinished, and are the kernel's helpers' business.
 */
#ifndef FO_BACKENDS_BPF_REWRITE_BPF_H
#define FO_BACKENDS_BPF_REWRITE_BPF_H

#include "judge.bpf.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TTL_ONE 0x0001u
#else
#define TTL_ONE 0x0100u
#endif

ALWAYS __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

ALWAYS __u16 csum_apply(__u16 checksum, __u32 delta)
{
	return (__u16)~csum_fold((__u16)~checksum + delta);
}

ALWAYS __u32 csum_change(__u16 from, __u16 to)
{
	return from == to ? 0 : (__u32)(__u16)~from + to;
}

/* What the new ports, or the new identifier of an echo, are in a sum over the packet. */
ALWAYS __u32 port_delta(const union key *key, const struct fo__bpf_flow *flow, int v6)
{
	return csum_change(v6 ? key->v6.sport : key->v4.sport, flow->new_sport) +
	       csum_change(v6 ? key->v6.dport : key->v4.dport, flow->new_dport);
}

/* ... and with the addresses, for what the L4 checksum covers: that of ICMP has no pseudo header. */
ALWAYS __u16 l4_delta(const union key *key, const struct fo__bpf_flow *flow, __u8 proto, int v6)
{
	return csum_fold(port_delta(key, flow, v6) + (proto == IPPROTO_ICMP ? 0 : flow->address_delta));
}

/* TTL, DSCP, addresses and their checksum. */
ALWAYS void rewrite_v4(struct iphdr *ip, const struct fo__bpf_flow4 *flow)
{
	__u32 delta = 0xffff - TTL_ONE, dscp = flow->flow.how >> 8 & 0xff;

	ip->ttl--;
	if (dscp) {
		__u16 *word = (__u16 *)ip, before = *word;

		ip->tos = (__u8)(dscp << 2 | (ip->tos & 3));
		delta += csum_change(before, *word);
	}
	if (flow->flow.how & FO__BPF_HOW_NAT) {
		ip->saddr = flow->new_src;
		ip->daddr = flow->new_dst;
		delta += flow->flow.address_delta;
	}
	ip->check = csum_apply(ip->check, delta);
}

/* Hop limit, DSCP, addresses. Returns what the first two change in a sum over the packet. */
ALWAYS __u32 rewrite_v6(struct ipv6hdr *ip, const struct fo__bpf_flow6 *flow)
{
	__u16 *word = (__u16 *)ip, before[2] = {word[0], word[3]};
	__u32 dscp = flow->flow.how >> 8 & 0xff;
	__u8 *byte = (__u8 *)ip;

	ip->hop_limit--;
	if (dscp) {
		byte[0] = (__u8)(0x60 | (dscp & 0x3f) >> 2);
		byte[1] = (__u8)((dscp & 3) << 6 | (byte[1] & 0x3f));
	}
	if (flow->flow.how & FO__BPF_HOW_NAT) {
		__builtin_memcpy(&ip->saddr, flow->new_src, 16);
		__builtin_memcpy(&ip->daddr, flow->new_dst, 16);
	}
	return csum_change(before[0], word[0]) + csum_change(before[1], word[3]);
}

/* Returns what the change of an IPv6 header is in a sum over the packet; that of IPv4 makes itself good. */
ALWAYS __u32 rewrite_ip(void *ip, const struct fo__bpf_flow *flow, int v6)
{
	if (v6)
		return rewrite_v6(ip, (const void *)flow);
	rewrite_v4(ip, (const void *)flow);
	return 0;
}

/* Ports or identifier, and the whole L4 checksum. l4 has been checked for eight bytes, and for the header of TCP as well; of
 * that, verifiers before Linux 6.4 have no memory here. delta: of l4_delta(). -1: it was not. */
ALWAYS int rewrite_l4(void *l4, const void *end, __u8 proto, const struct fo__bpf_flow *flow, __u32 delta)
{
	struct udphdr *udp = l4;
	struct tcphdr *tcp = l4;
	struct echo *echo = l4;

	if (proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > end)
			return -1;
		tcp->source = flow->new_sport;
		tcp->dest = flow->new_dport;
		tcp->check = csum_apply(tcp->check, delta);
	} else if (proto == IPPROTO_UDP) {
		udp->source = flow->new_sport;
		udp->dest = flow->new_dport;
		if (udp->check) {
			__u16 sum = csum_apply(udp->check, delta);

			udp->check = sum ? sum : 0xffff;
		}
	} else {
		echo->id = flow->new_sport;
		echo->checksum = csum_apply(echo->checksum, delta);
	}
	return 0;
}

/* The L2 header of n bytes (14, 18, 22, 26 or 30) at start, before an IP packet of ip_len bytes. */
ALWAYS void write_l2(void *start, const struct fo__bpf_entry *to, __u32 n, __u32 ip_len, int v6)
{
	__u16 *at = start;
	const __u16 *from = (const __u16 *)to->header;
	int pppoe = to->flags & FO__BPF_ENTRY_PPPOE;

#pragma unroll
	for (int i = 0; i < 15; i++) {
		__u16 word = from[i];

		if (i * 2u + 2 == n)
			word = pppoe ? (v6 ? bpf_htons(0x0057) : bpf_htons(0x0021))
				     : (v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
		else if (pppoe && i * 2u + 4 == n)
			word = bpf_htons((__u16)(ip_len + 2));
		if (i * 2u + 2 <= n)
			at[i] = word;
	}
}

#endif /* FO_BACKENDS_BPF_REWRITE_BPF_H */
