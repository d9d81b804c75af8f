/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sweep.bpf.c - reads every direction of a flow map inside the kernel, without a copy of keys or of what never changes.
 *
 * An iterator: read() of its descriptor goes on where the last one stopped, so that a sweep of a million directions comes
 * in slices. An object of its own, since it needs the kernel's BTF; without it user space reads the maps in batches.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

/* As the kernel lays it out for iterators over elements (kernel/bpf/map_iter.c); pointers, whatever their types. */
struct element {
	void *meta;
	void *map;
	void *key;
	struct fo__bpf_flow *value;
};

struct meta {
	void *seq;
};

char fo_license[] SEC("license") = "Dual BSD/GPL";

static __attribute__((always_inline)) inline int write_seen(struct element *element)
{
	struct fo__bpf_flow *flow = element->value;
	struct meta *meta = element->meta;
	struct fo__bpf_seen seen = {0};

	if (!flow)
		return 0;
	seen.packets = flow->packets;
	seen.bytes = flow->bytes;
	seen.in = flow->in;
	seen.last = flow->last;
	seen.slot = flow->slot;
	bpf_seq_write(meta->seq, &seen, sizeof(seen));
	return 0;
}

SEC("iter/bpf_map_elem")
int fo_sweep(struct element *element)
{
	return write_seen(element);
}
