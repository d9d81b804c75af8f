/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* prove.bpf.c - does a device take what XDP redirects to it? Neighbour: prove.c.
 *
 * bpf_redirect_map() says nothing of it, and a device that does not take a frame drops it without a word. The kernel's
 * tracepoint tells, to whoever sent the frame: the thread as the kernel numbers it, which in a PID namespace is not how
 * it numbers itself. So it is asked by a program of its own, since up to Linux 6.9 one for XDP must not ask.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "prove.h"

char fo_license[] SEC("license") = "Dual BSD/GPL";

/* The table's, of program.bpf.c. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fo__bpf_proof);
} proof SEC(".maps");

/* Run by the thread that is about to run fo_prove(). */
SEC("raw_tp")
int fo_who(void *ctx)
{
	__u32 zero = 0;
	struct fo__bpf_proof *now = bpf_map_lookup_elem(&proof, &zero);

	(void)ctx;
	if (now)
		now->who = bpf_get_current_pid_tgid();
	return 0;
}

SEC("xdp")
int fo_prove(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct fo__bpf_proof *now = bpf_map_lookup_elem(&proof, &zero);

	(void)ctx;
	return now ? (int)bpf_redirect_map(&devices, now->port, XDP_DROP) : XDP_DROP;
}

/* Arguments: from, to, how many were sent, how many dropped, errno. */
SEC("raw_tp/xdp_devmap_xmit")
int fo_proven(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	struct fo__bpf_proof *now = bpf_map_lookup_elem(&proof, &zero);
	int sent = (int)ctx->args[2];

	if (now && now->who == bpf_get_current_pid_tgid() && sent > 0)
		__sync_fetch_and_add(&now->sent, (__u64)sent);
	return 0;
}
