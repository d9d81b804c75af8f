/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* bpf_traffic.bpf.c - what stands around a router that is measured (bpf_forward.c): a generator, two receivers, and the least
 * that a program of XDP can do for a packet on its way.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char fo_license[] SEC("license") = "Dual BSD/GPL";

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

/* Set by user space. */
struct frame pattern;
unsigned int n_flows = 1, first_port = 1024;
unsigned char next_hop[12]; /* both MACs of bare's way out */
unsigned int sequence;
unsigned long long received;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} out SEC(".maps");

/* Run over and over on a frame that may have been sent before: its headers are written anew, its UDP checksum is zero. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*frame = pattern;
	frame->udp.source = bpf_htons((__u16)(first_port + sequence++ % n_flows));
	return XDP_TX;
}

/* Everything runs on one processor: a plain count is right. */
SEC("xdp")
int receive_xdp(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	received++;
	return XDP_DROP;
}

SEC("tc")
int receive_skb(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	received++;
	return TC_ACT_SHOT;
}

/* Parse, new MACs, redirect: no table, no NAT, no counter. */
SEC("xdp")
int bare(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end || frame->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    frame->ip.version != 4 || frame->ip.ihl != 5 || frame->ip.protocol != IPPROTO_UDP)
		return XDP_PASS;
	__builtin_memcpy(frame, next_hop, sizeof(next_hop));
	return bpf_redirect_map(&out, 0, XDP_DROP);
}
