/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program.bpf.c - the short cut inside the kernel: one source for XDP and for TC.
 *
 * A packet is parsed, looked up, judged; only when nothing is left that could fail is it written, counted and sent out
 * of another device. Everything else goes on to the kernel, unmodified. Needs the kernel's UAPI alone: no BTF.
 */
#include "add.bpf.h"
#include "tc.bpf.h"
#include "xdp.bpf.h"

char fo_license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int fo_xdp(struct xdp_md *ctx)
{
	return xdp_run(ctx, (__u32)(ctx->data_end - ctx->data));
}

/* For devices whose frames may lie in several buffers. A kernel that cannot redirect these would drop them. */
SEC("xdp.frags")
int fo_xdp_frags(struct xdp_md *ctx)
{
	__u32 length = (__u32)bpf_xdp_get_buff_len(ctx);

	if (!fo_redirects_frags && length > (__u32)(ctx->data_end - ctx->data))
		return xdp_pass(FO__BPF_R_MTU);
	return xdp_run(ctx, length);
}

/* With a lease, for where nothing else ends what a dead process has attached. */
SEC("tc")
int fo_tc(struct __sk_buff *skb)
{
	return is_orphaned() ? TC_ACT_UNSPEC : tc_run(skb);
}

/* Run by user space, which alone writes elements: how one direction's packets leave. */
SEC("syscall")
int fo_mark(struct fo__bpf_mark *mark)
{
	struct fo__bpf_flow *flow = 0;
	struct fo__bpf_key4 key4;
	struct fo__bpf_key6 key6;

	mark->jiffies = bpf_jiffies64();
	mark->found = 0;
	/* A key of a helper has to be on the stack. */
	if (mark->family == 4) {
		key4 = mark->key.v4;
		flow = bpf_map_lookup_elem(&flows4, &key4);
	} else if (mark->family == 6) {
		key6 = mark->key.v6;
		flow = bpf_map_lookup_elem(&flows6, &key6);
	}
	if (!flow)
		return 0;
	flow->how = (flow->how & mark->keep) | mark->set;
	if (mark->in)
		flow->in = (__u16)mark->in;
	mark->found = 1;
	return 0;
}

/* Run by user space: the first n flows of the map `batch`. */
SEC("syscall")
int fo_add(struct fo__bpf_many *many)
{
	long done;

	bpf_loop(many->n, expect_next, 0, 0);
	done = bpf_loop(many->n, add_next, 0, 0);
	many->done = done < 0 ? 0 : (__u32)done;
	return 0;
}

/* The far end of a redirect into a device without a program of its own (veth) loses frames: this one passes them on. */
SEC("xdp")
int fo_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}
