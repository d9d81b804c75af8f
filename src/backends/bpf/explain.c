/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - what the program's counters say of packets that it passed on. Neighbours: guard.h, layout.h. */
#include "backends/bpf/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

/* What all processors have counted. 0, or -1. */
static int read_passed(struct fo__bpf *bpf, uint64_t passed[FO__BPF_R_MAX])
{
	int n = libbpf_num_possible_cpus();
	size_t size = (size_t)(n > 0 ? n : 0) * sizeof(struct fo__bpf_counters);
	struct fo__bpf_counters *each;
	uint32_t zero = 0;
	int code = -1;

	memset(passed, 0, FO__BPF_R_MAX * sizeof(*passed));
	each = size ? bpf->ops->alloc(bpf->host, size, 8) : NULL;
	if (!each)
		return -1;
	if (!bpf_map_lookup_elem(bpf->map[FO__BPF_COUNTERS], &zero, each)) {
		for (int cpu = 0; cpu < n; cpu++)
			for (unsigned int reason = 1; reason < FO__BPF_R_MAX; reason++)
				passed[reason] += each[cpu].passed[reason];
		code = 0;
	}
	bpf->ops->free(bpf->host, each, size);
	return code;
}

/* The most frequent first, as many as there is room for. */
static void append_reasons(struct fo__bpf *bpf, char *text, size_t size, size_t at)
{
	uint64_t passed[FO__BPF_R_MAX];

	if (read_passed(bpf, passed))
		return;
	for (unsigned int n = 0; n < FO__BPF_R_MAX; n++) {
		unsigned int most = 0;
		int length;

		for (unsigned int reason = 1; reason < FO__BPF_R_MAX; reason++)
			if (passed[reason] > passed[most])
				most = reason;
		if (!most)
			break;
		length = snprintf(text + at, size - at, "%s %s %llu", n ? "," : "", fo_reason_name(most),
				  (unsigned long long)passed[most]);
		if (length < 0 || (size_t)length >= size - at) {
			text[at] = '\0';
			break;
		}
		at += (size_t)length;
		passed[most] = 0;
	}
}

static void append(struct fo__bpf *bpf, char *text, size_t size, int at)
{
	if (at > 0 && (size_t)at < size)
		append_reasons(bpf, text, size, (size_t)at);
}

void fo__bpf_flow_explain(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size)
{
	struct fo__bpf *bpf = priv;
	const struct fo__bpf_slot *flow = &bpf->slots[slot];
	const struct fo__bpf_device *device[2];

	if (slot >= bpf->n_slots || flow->cookie != cookie || flow->life != FO__BPF_LIVE)
		return;
	for (unsigned int dir = 0; dir < 2; dir++)
		device[dir] = fo__bpf_device(bpf, bpf->sides[flow->in[dir]].adj.port);
	append(bpf, text, size,
	       snprintf(text, size, "By %s and %s. Passed on by the program, of all packets:",
			fo__bpf_hook_name(device[0] ? device[0]->hook : FO__BPF_HOOK_NONE),
			fo__bpf_hook_name(device[1] ? device[1]->hook : FO__BPF_HOOK_NONE)));
}

void fo__bpf_key_explain(void *priv, const struct fo_key *key, char *text, size_t size)
{
	(void)key;
	append(priv, text, size, snprintf(text, size, "Passed on by the program, of all packets:"));
}
