/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h - in place of bpf_helpers.h, for bpf_replica.c, which is what the kernel is to the program: its maps are names, and
 * helpers are functions.
 */
#ifndef TESTS_NET_REPLICA_KERNEL_H
#define TESTS_NET_REPLICA_KERNEL_H

#include <linux/bpf.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name

/* One thread is all there is, and machines of 32 bits have none for eight bytes. */
#define __sync_fetch_and_add(at, n) (*(at) += (n))

void *bpf_map_lookup_elem(const void *map, const void *key);
int bpf_xdp_adjust_head(struct xdp_md *ctx, int delta);
int bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta);
int bpf_redirect_map(const void *map, __u32 key, __u64 flags);
void *bpf_ringbuf_reserve(const void *ring, __u64 size, __u64 flags);
void bpf_ringbuf_submit(void *data, __u64 flags);
__u64 bpf_jiffies64(void);

#endif
