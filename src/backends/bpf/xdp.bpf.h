/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* xdp.bpf.h - the short cut at XDP: a frame as the driver received it.
 *
 * The frame is moved to its new length first, since that alone can fail, and only then written: what passes on is as it was.
 */
#ifndef FO_BACKENDS_BPF_XDP_BPF_H
#define FO_BACKENDS_BPF_XDP_BPF_H

#include "rewrite.bpf.h"

#define L4_MIN 8u

/* Make the frame n + ip_len bytes long, the IP header n bytes from its start. 0, or as it was. */
ALWAYS int xdp_resize(struct xdp_md *ctx, __u32 length, const struct frame *frame, __u32 n)
{
	int shift = (int)frame->l3 - (int)n;
	int trim = (int)(frame->l3 + frame->ip_len) - (int)length;

	if (shift && bpf_xdp_adjust_head(ctx, shift))
		return -1;
	if (trim < 0 && bpf_xdp_adjust_tail(ctx, trim)) {
		if (shift)
			bpf_xdp_adjust_head(ctx, -shift);
		return -1;
	}
	return 0;
}

/* All checks but those that moving the frame makes. */
ALWAYS int xdp_judge(const void *data, const struct frame *frame, const struct fo__bpf_flow *flow,
		     const struct fo__bpf_state *state, const struct fo__bpf_entry *in,
		     const struct fo__bpf_entry *to, int v6)
{
	int reason = judge_state(data, flow, state, in, to);
	__u32 port = to->port;

	if (reason)
		return reason;
	if (frame->tcp_flags & TCP_SYN && !(frame->tcp_flags & (TCP_FIN | TCP_RST)))
		return FO__BPF_R_TCP_SYN;
	if (frame->tcp_flags)
		return FO__BPF_R_TCP_FIN; /* the caller looks closer */
	reason = judge_length(frame, 0, to, v6);
	if (reason)
		return reason;
	return bpf_map_lookup_elem(&devices, &port) ? FO__BPF_R_NONE : FO__BPF_R_EGRESS_DOWN;
}

ALWAYS int xdp_send(struct fo__bpf_state *state, const struct fo__bpf_entry *to, __u32 ip_len)
{
	count_forwarded(state, ip_len);
	return bpf_redirect_map(&devices, to->port, XDP_DROP);
}

ALWAYS int xdp_pass(int reason)
{
	count_passed((__u32)reason);
	return XDP_PASS;
}

/* Unreachable but for the verifier: every length was checked before the frame was moved. */
ALWAYS int xdp_lost(void)
{
	struct fo__bpf_counters *mine = my_counters();

	if (mine)
		mine->lost++;
	return XDP_DROP;
}

ALWAYS int xdp_ip(struct xdp_md *ctx, __u32 length, struct frame *frame, int v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *ip, *l4;
	struct fo__bpf_entry *in, *to;
	struct fo__bpf_state *state;
	struct fo__bpf_flow *flow;
	union key key;
	int reason = key_of(data, end, ctx->ingress_ifindex, frame, &key, v6);
	__u32 n;

	if (reason)
		return xdp_pass(reason);
	flow = flow_of(&key, v6);
	if (!flow)
		return xdp_pass(FO__BPF_R_NO_FLOW);
	state = state_of(flow->number);
	in = entry_of(flow->in);
	to = entry_of(flow->how >> 16);
	if (!state || !in || !to)
		return xdp_pass(FO__BPF_R_NOT_ACTIVE);
	reason = xdp_judge(data, frame, flow, state, in, to, v6);
	if (reason == FO__BPF_R_TCP_FIN)
		reason = see_flags(state, flow->number, frame->tcp_flags);
	if (reason)
		return xdp_pass(reason);
	n = to->header_len & 31;
	if (xdp_resize(ctx, length, frame, n))
		return xdp_pass(FO__BPF_R_NO_HEADROOM);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = data + n;
	l4 = ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (l4 + L4_MIN > end || data + 30 > end)
		return xdp_lost();
	if ((flow->how & FO__BPF_HOW_NAT) &&
	    rewrite_l4(l4, end, frame->proto, flow, l4_delta(&key, flow, frame->proto, v6)))
		return xdp_lost();
	rewrite_ip(ip, flow, v6);
	write_l2(data, to, n, frame->ip_len, v6);
	return xdp_send(state, to, frame->ip_len);
}

ALWAYS int xdp_run(struct xdp_md *ctx, __u32 length)
{
	struct frame frame = {0};
	int reason = parse_l2((void *)(long)ctx->data, (void *)(long)ctx->data_end, length, &frame);

	if (reason)
		return xdp_pass(reason);
	return frame.type == bpf_htons(ETH_P_IP) ? xdp_ip(ctx, length, &frame, 0)
						 : xdp_ip(ctx, length, &frame, 1);
}

#endif /* FO_BACKENDS_BPF_XDP_BPF_H */
