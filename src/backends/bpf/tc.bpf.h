/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tc.bpf.h - the short cut at the TC ingress hook: a socket buffer, its outermost tag in metadata, perhaps an aggregate, its
 * L4 checksum perhaps unfinished.
 *
 * The kernel's helpers keep the socket buffer's own checksum (CHECKSUM_COMPLETE) and an unfinished one (CHECKSUM_PARTIAL)
 * right. What may fail for want of memory comes first; where it fails after the first change, the packet is lost and counted.
 * Source: net/core/filter.c, net/core/utils.c (inet_proto_csum_replace_by_diff).
 */
#ifndef FO_BACKENDS_BPF_TC_BPF_H
#define FO_BACKENDS_BPF_TC_BPF_H

#include <linux/pkt_cls.h>

#include "rewrite.bpf.h"

/* The longest headers that are looked at: Ethernet, a tag, PPPoE, IPv6, TCP. */
#define TC_HEADERS    (14u + 4 + 8 + 40 + 20)
#define OFF_CSUM_TCP  16u
#define OFF_CSUM_UDP  6u
#define OFF_CSUM_ICMP 2u

ALWAYS int tc_pass(int reason)
{
	count_passed((__u32)reason);
	return TC_ACT_UNSPEC;
}

ALWAYS int tc_lost(void)
{
	struct fo__bpf_counters *mine = my_counters();

	if (mine)
		mine->lost++;
	return TC_ACT_SHOT;
}

ALWAYS int tc_judge(const void *data, const struct frame *frame, const struct fo__bpf_flow *flow,
		    const struct fo__bpf_state *state, const struct fo__bpf_entry *in,
		    const struct fo__bpf_entry *to)
{
	int reason = judge_state(data, flow, state, in, to);

	if (reason)
		return reason;
	if (frame->tcp_flags & TCP_SYN && !(frame->tcp_flags & (TCP_FIN | TCP_RST)))
		return FO__BPF_R_TCP_SYN;
	return frame->tcp_flags ? FO__BPF_R_TCP_FIN : FO__BPF_R_NONE;
}

ALWAYS __u32 csum_offset(__u8 proto)
{
	return proto == IPPROTO_TCP ? OFF_CSUM_TCP : proto == IPPROTO_UDP ? OFF_CSUM_UDP : OFF_CSUM_ICMP;
}

/* Ports or identifier, and the L4 checksum, finished or not. zero: a UDP checksum of 0, which stays. delta: of l4_delta(). */
ALWAYS int tc_l4(struct __sk_buff *skb, __u32 l4, const struct frame *frame, const struct fo__bpf_flow *flow,
		 __u32 delta, int v6, int zero)
{
	__u64 udp = frame->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u32 at = l4 + csum_offset(frame->proto);
	int echo = frame->proto == IPPROTO_ICMP || frame->proto == IPPROTO_ICMPV6;
	__u32 others = csum_fold(delta + (__u16)~flow->address_delta);

	/* The sum of ports and checksum together does not change, unless there is no checksum. */
	if (bpf_skb_store_bytes(skb, echo ? l4 + 4 : l4, &flow->new_sport, echo ? 2 : 4,
				zero ? BPF_F_RECOMPUTE_CSUM : 0))
		return -1;
	if (zero)
		return 0;
	/* A change by nothing is left out: the kernel makes 0 of 0xffff then, and a wrong checksum stays as it was.
	 * ICMP has no pseudo header: its delta is of the identifier alone. */
	if (frame->proto == IPPROTO_ICMP)
		return delta && bpf_l4_csum_replace(skb, at, 0, delta, 0) ? -1 : 0;
	if (flow->address_delta &&
	    bpf_l4_csum_replace(skb, at, 0, flow->address_delta, udp | BPF_F_PSEUDO_HDR))
		return -1;
	if (delta != flow->address_delta && bpf_l4_csum_replace(skb, at, 0, others, udp))
		return -1;
	/* The kernel took the addresses' change for one that the IP header's checksum makes good, which IPv6 has not. */
	if (v6)
		bpf_csum_update(skb, flow->address_delta);
	return 0;
}

/* The ethertype and the eight bytes of a session are turned into two tags, which the kernel then takes off: it has no
 * helper for a session. It looks for tags in the data only where it has put one there itself: so one more goes in (the
 * first push only fills the metadata), and four times a tag comes off, of the metadata, refilled from the data. The
 * ethertype is not part of the socket buffer's sum, the rest is.
 * Source: net/core/skbuff.c (skb_vlan_push, skb_vlan_pop). */
ALWAYS int tc_end_session(struct __sk_buff *skb, int v6)
{
	__be16 tags[5] = {bpf_htons(ETH_P_8021Q), bpf_htons(1), bpf_htons(ETH_P_8021Q), bpf_htons(1),
			  v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP)};

	if (bpf_skb_store_bytes(skb, 12, &tags[0], 2, 0) ||
	    bpf_skb_store_bytes(skb, 14, &tags[1], 8, BPF_F_RECOMPUTE_CSUM))
		return -1;
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 1) ||
	    bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 1))
		return -1;
	return bpf_skb_vlan_pop(skb) || bpf_skb_vlan_pop(skb) || bpf_skb_vlan_pop(skb) ||
			       bpf_skb_vlan_pop(skb)
		       ? -1
		       : 0;
}

/* Tags of the ingress side off, those of the egress side on, and the session; then both MACs. */
ALWAYS int tc_l2(struct __sk_buff *skb, const struct frame *frame, const struct fo__bpf_entry *to, int v6)
{
	const __u16 *header = (const __u16 *)to->header;
	__u32 n_tags = to->n_tags;

	if (frame->tags >= 1 && bpf_skb_vlan_pop(skb))
		return -1;
	if (frame->tags >= 2 && bpf_skb_vlan_pop(skb))
		return -1;
	if (frame->pppoe && tc_end_session(skb, v6))
		return -1;
	if (to->flags & FO__BPF_ENTRY_PPPOE) {
		__u32 at = 6 + n_tags * 2; /* words of the header before the session's ethertype */
		__u16 session[5];

		if (at > 10 || bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
			return -1;
		session[0] = bpf_htons(ETH_P_PPP_SES);
		session[1] = bpf_htons(0x1100);
		session[2] = header[at + 2];
		session[3] = bpf_htons((__u16)(frame->ip_len + 2));
		session[4] = v6 ? bpf_htons(0x0057) : bpf_htons(0x0021);
		if (bpf_skb_store_bytes(skb, 12, &session[0], 2, 0) ||
		    bpf_skb_store_bytes(skb, 14, &session[1], 8, BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	if (n_tags == 2 && bpf_skb_vlan_push(skb, header[8], bpf_ntohs(header[9])))
		return -1;
	if (n_tags >= 1 && bpf_skb_vlan_push(skb, header[6], bpf_ntohs(header[7])))
		return -1;
	return bpf_skb_store_bytes(skb, 0, to->header, 12, 0) ? -1 : 0;
}

ALWAYS int tc_send(struct fo__bpf_state *state, const struct fo__bpf_entry *to, __u32 ip_len)
{
	count_forwarded(state, ip_len);
	return bpf_redirect(to->port, 0);
}

/* Padding beyond the IP packet goes. */
ALWAYS int tc_trim(struct __sk_buff *skb, const struct frame *frame)
{
	__u32 length = frame->l3 + frame->ip_len;

	return skb->len > length ? bpf_skb_change_tail(skb, length, 0) : 0;
}

ALWAYS int tc_ip(struct __sk_buff *skb, struct frame *frame, int v6)
{
	__u32 l3 = frame->l3 & OFFSET_MASK, l4 = l3 + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct fo__bpf_entry *in, *to;
	struct fo__bpf_state *state;
	struct fo__bpf_flow *flow;
	struct udphdr *udp;
	union key key;
	int reason = key_of(data, end, skb->ifindex, frame, &key, v6), zero;

	if (reason)
		return tc_pass(reason);
	flow = flow_of(&key, v6);
	if (!flow)
		return tc_pass(FO__BPF_R_NO_FLOW);
	state = state_of(flow->number);
	in = entry_of(flow->in);
	to = entry_of(flow->how >> 16);
	if (!state || !in || !to)
		return tc_pass(FO__BPF_R_NOT_ACTIVE);
	reason = tc_judge(data, frame, flow, state, in, to);
	if (reason == FO__BPF_R_TCP_FIN)
		reason = see_flags(state, flow->number, frame->tcp_flags);
	if (!reason)
		reason = judge_length(frame, skb->gso_size, to, v6);
	if (reason)
		return tc_pass(reason);
	if (tc_trim(skb, frame))
		return tc_pass(FO__BPF_R_NO_HEADROOM);
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	udp = data + l4;
	if ((void *)(udp + 1) > end)
		return tc_lost();
	zero = frame->proto == IPPROTO_UDP && !udp->check;
	if (v6)
		bpf_csum_update(skb, rewrite_ip(data + l3, flow, 1));
	else
		rewrite_ip(data + l3, flow, 0);
	if ((flow->how & FO__BPF_HOW_NAT) &&
	    tc_l4(skb, l4, frame, flow, l4_delta(&key, flow, frame->proto, v6), v6, zero))
		return tc_lost();
	if (tc_l2(skb, frame, to, v6))
		return tc_lost();
	return tc_send(state, to, frame->ip_len);
}

ALWAYS int tc_run(struct __sk_buff *skb)
{
	struct frame frame = {0};
	__u32 headers = skb->len < TC_HEADERS ? skb->len : TC_HEADERS;
	int reason;

	if ((void *)(long)skb->data + headers > (void *)(long)skb->data_end &&
	    bpf_skb_pull_data(skb, headers))
		return tc_pass(FO__BPF_R_MALFORMED);
	if (skb->vlan_present) {
		__u32 kind = tag_kind((__be16)skb->vlan_proto);

		if (!kind)
			return tc_pass(FO__BPF_R_ENCAP);
		note_tag(&frame, kind, skb->vlan_tci);
	}
	reason = parse_l2((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, &frame);
	if (reason)
		return tc_pass(reason);
	return frame.type == bpf_htons(ETH_P_IP) ? tc_ip(skb, &frame, 0) : tc_ip(skb, &frame, 1);
}

#endif /* FO_BACKENDS_BPF_TC_BPF_H */
