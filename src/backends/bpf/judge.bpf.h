/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* judge.bpf.h - may this packet of a known flow take the short cut? All checks, before anything is written.
 *
 * The order is that of act() in src/fastpath/run.c.
 */
#ifndef FO_BACKENDS_BPF_JUDGE_BPF_H
#define FO_BACKENDS_BPF_JUDGE_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

ALWAYS struct fo__bpf_entry *entry_of(__u32 adjacency)
{
	__u32 *number = bpf_map_lookup_elem(&adjacencies, &adjacency);

	return number ? bpf_map_lookup_elem(&entries, number) : 0;
}

/* The ingress number; 0 is nobody's. */
ALWAYS __u32 ingress_of(__u32 port, __u64 encap)
{
	struct fo__bpf_ingress_key key = {.encap = encap, .port = port};
	__u32 *number;

	if (!encap)
		return port;
	number = bpf_map_lookup_elem(&ingress, &key);
	return number ? *number : 0;
}

ALWAYS int mac_differs(const void *a, const void *b)
{
	const __u16 *left = a, *right = b;

	return (left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]);
}

ALWAYS struct fo__bpf_state *state_of(__u32 number)
{
	return bpf_map_lookup_elem(&states, &number);
}

/* FIN or RST: both directions stop here, and user space hears of it once. A full ring loses nothing: the flag stays. */
ALWAYS int see_flags(struct fo__bpf_state *state, __u32 number, __u32 flags)
{
	struct fo__bpf_state *mirror = state_of(number < fo_slots ? number + fo_slots : number - fo_slots);
	__u32 bit = flags & TCP_RST ? FO__BPF_RST : FO__BPF_FIN, before;
	struct fo__bpf_event *event;

	before = __sync_fetch_and_or(&state->flags, bit);
	if (mirror)
		before |= __sync_fetch_and_or(&mirror->flags, bit);
	if (!(before & FO__BPF_CLOSING)) {
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (event) {
			event->number = number;
			event->reason = flags & TCP_RST ? FO__BPF_R_TCP_RST : FO__BPF_R_TCP_FIN;
			bpf_ringbuf_submit(event, 0);
		}
	}
	return flags & TCP_RST ? FO__BPF_R_TCP_RST : FO__BPF_R_TCP_FIN;
}

/* ---- flows of both families: v6 is a constant where these are used, so each use is compiled for one of them ---- */

union key {
	struct fo__bpf_key4 v4;
	struct fo__bpf_key6 v6;
};

ALWAYS struct fo__bpf_flow *flow_of(const union key *key, int v6)
{
	return v6 ? bpf_map_lookup_elem(&flows6, &key->v6) : bpf_map_lookup_elem(&flows4, &key->v4);
}

/* The key of a packet that came in by port; 0, or the reason why there is none. */
ALWAYS int key_of(void *data, void *end, __u32 port, struct frame *frame, union key *key, int v6)
{
	int reason = v6 ? parse_v6(data, end, frame, &key->v6) : parse_v4(data, end, frame, &key->v4);
	__u32 where;

	if (reason)
		return reason;
	where = ingress_of(port, frame->encap) << 8 | frame->proto;
	if (v6)
		key->v6.where = where;
	else
		key->v4.where = where;
	return FO__BPF_R_NONE;
}

/* gso_size: of the segments of an aggregate, or 0. */
ALWAYS int judge_length(const struct frame *frame, __u32 gso_size, const struct fo__bpf_entry *to, int v6)
{
	__u32 longest = frame->ip_len;

	if (gso_size) {
		if ((to->flags & FO__BPF_ENTRY_PPPOE) ||
		    (frame->proto != IPPROTO_TCP && frame->proto != IPPROTO_UDP))
			return FO__BPF_R_GSO;
		longest = (v6 ? 40 : 20) + frame->l4_len + gso_size;
		if (longest > frame->ip_len)
			longest = frame->ip_len;
	}
	return longest > to->mtu ? FO__BPF_R_MTU : FO__BPF_R_NONE;
}

/* All but TCP flags, which need the mirror direction, and what is judged after them. */
ALWAYS int judge_state(const void *data, const struct fo__bpf_flow *flow, const struct fo__bpf_state *state,
		       const struct fo__bpf_entry *in, const struct fo__bpf_entry *to)
{
	__u32 flags = state->flags;

	if (in->flags & FO__BPF_ENTRY_DEAD)
		return in->reason;
	if (mac_differs(data, in->own_mac))
		return FO__BPF_R_WRONG_MAC;
	if (to->flags & FO__BPF_ENTRY_DEAD)
		return to->reason;
	if (flags & FO__BPF_CLOSING)
		return FO__BPF_R_CLOSING;
	if ((flags & FO__BPF_INACTIVE) || (flow->how & FO__BPF_HOW_WAITING))
		return FO__BPF_R_NOT_ACTIVE;
	return FO__BPF_R_NONE;
}

/* ---- counting ---- */

ALWAYS struct fo__bpf_counters *my_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

ALWAYS void count_passed(__u32 reason)
{
	struct fo__bpf_counters *mine = my_counters();

	if (mine && reason < FO__BPF_R_MAX)
		mine->passed[reason]++;
}

ALWAYS void count_forwarded(struct fo__bpf_state *state, __u32 bytes)
{
	struct fo__bpf_counters *mine = my_counters();
	__u32 now = (__u32)bpf_jiffies64() | 1; /* never 0, at most a jiffy wrong */

	__sync_fetch_and_add(&state->packets, 1);
	__sync_fetch_and_add(&state->bytes, bytes);
	if (state->last != now)
		state->last = now;
	if (mine) {
		mine->forwarded_packets++;
		mine->forwarded_bytes += bytes;
	}
}

/* Is the lease of whoever attached this over? */
ALWAYS int is_orphaned(void)
{
	__u32 zero = 0;
	struct fo__bpf_config *now = bpf_map_lookup_elem(&config, &zero);

	return !now || (now->lease_until_jiffies && bpf_jiffies64() > now->lease_until_jiffies);
}

#endif /* FO_BACKENDS_BPF_JUDGE_BPF_H */
