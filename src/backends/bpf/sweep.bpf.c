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

struct fo__bpf_sweep fo_state;
/* A read that writes nothing goes on to the end of the map: too long for one slice of the control thread. */
static struct fo__bpf_seen padding[FO__BPF_SWEEP_SEEN];

static __attribute__((always_inline)) inline int has_news(const struct fo__bpf_flow *flow)
{
	if (fo_state.all || (flow->in & (FO__BPF_FIN | FO__BPF_RST)))
		return 1;
	return flow->last && (__s32)(flow->last - fo_state.since) >= 0;
}

static __attribute__((always_inline)) inline int write_seen(struct element *element)
{
	struct fo__bpf_flow *flow = element->value;
	struct meta *meta = element->meta;
	struct fo__bpf_seen seen = {.valid = 1};

	if (!flow)
		return 0;
	if (!has_news(flow)) {
		if (++fo_state.past < FO__BPF_SWEEP_PAST)
			return 0;
		fo_state.past = 0;
		bpf_seq_write(meta->seq, padding, sizeof(padding));
		return 0;
	}
	fo_state.past++;
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
