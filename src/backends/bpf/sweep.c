/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep.c - what the program counted and saw, from the maps to the library. Neighbours: state.h, layout.h.
 *
 * Once a second every direction's state is looked at, in slices, out of the array that the program and this process both
 * have in memory; those that had a packet since are told. A FIN or RST comes by the ring at once; what did not fit into the
 * ring is found by the flag that the sweep reads.
 */
#include "backends/bpf/state.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#define SWEEP_MS 1000u
/* Slots between two looks at the clock. */
#define STEP 512u

uint64_t fo__bpf_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t fo__bpf_jiffies(struct fo__bpf *bpf)
{
	struct fo__bpf_mark ask = {.family = 0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &ask, .ctx_size_in = sizeof(ask));

	return bpf_prog_test_run_opts(bpf->program_mark, &run) ? 0 : ask.jiffies;
}

/* Jiffies of the program to the table's clock, rounded so that it is never before the packet; 0: none yet. */
static uint64_t last_seen_ms(struct fo__bpf *bpf, uint32_t last)
{
	uint64_t now_ms = bpf->ops->now_ms(bpf->host);
	int32_t ago = (int32_t)((uint32_t)bpf->now_jiffies - last);
	uint64_t ago_ms = ago > 1 ? (uint64_t)(ago - 1) * 1000 / bpf->jiffies_per_second : 0;

	if (!last)
		return 0;
	return ago_ms < now_ms ? now_ms - ago_ms : 1;
}

/* ---- one direction ---- */

struct fo__bpf_state *fo__bpf_state_of(const struct fo__bpf *bpf, uint32_t slot, unsigned int dir)
{
	return &bpf->states[slot + (size_t)dir * bpf->n_slots];
}

void fo__bpf_state_set(struct fo__bpf *bpf, uint32_t slot, uint32_t set, uint32_t clear)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t *flags = &fo__bpf_state_of(bpf, slot, dir)->flags;

		if (set)
			(void)__atomic_fetch_or(flags, set, __ATOMIC_SEQ_CST);
		if (clear)
			(void)__atomic_fetch_and(flags, ~clear, __ATOMIC_SEQ_CST);
	}
}

/* The program adds meanwhile. Where a word has half of its bits, it is read until it stands still. */
static uint64_t count_of(const __u64 *count)
{
#if __SIZEOF_POINTER__ >= 8
	return __atomic_load_n(count, __ATOMIC_RELAXED);
#else
	const volatile __u64 *at = count;
	uint64_t now = *at, before;

	do {
		before = now;
		now = *at;
	} while (now != before);
	return now;
#endif
}

void fo__bpf_report(struct fo__bpf *bpf, uint32_t slot, unsigned int dir)
{
	const struct fo__bpf_state *state = fo__bpf_state_of(bpf, slot, dir);
	struct fo__bpf_slot *flow = &bpf->slots[slot];
	uint64_t seen_packets = count_of(&state->packets), seen_bytes = count_of(&state->bytes);
	uint64_t packets = seen_packets - flow->packets[dir], bytes = seen_bytes - flow->bytes[dir];
	uint32_t flags = __atomic_load_n(&state->flags, __ATOMIC_RELAXED);

	if (packets || bytes) {
		flow->packets[dir] = seen_packets;
		flow->bytes[dir] = seen_bytes;
		bpf->ops->count(bpf->host, flow->cookie, dir, packets, bytes,
				last_seen_ms(bpf, __atomic_load_n(&state->last, __ATOMIC_RELAXED)));
	}
	if ((flags & (FO__BPF_FIN | FO__BPF_RST)) && !flow->closing && flow->life == FO__BPF_LIVE) {
		flow->closing = true;
		bpf->ops->closing(bpf->host, flow->cookie, flags & FO__BPF_RST ? FO_R_TCP_RST : FO_R_TCP_FIN);
	}
}

int fo__bpf_see_event(void *ctx, void *data, size_t size)
{
	struct fo__bpf *bpf = ctx;
	const struct fo__bpf_event *event = data;
	struct fo__bpf_slot *flow;
	uint32_t slot;

	if (size < sizeof(*event))
		return 0;
	slot = event->number < bpf->n_slots ? event->number : event->number - bpf->n_slots;
	if (slot >= bpf->n_slots)
		return 0;
	flow = &bpf->slots[slot];
	if (flow->life != FO__BPF_LIVE || flow->closing)
		return 0;
	/* The slot may be another flow's by now: its own flag tells. */
	(void)fo__bpf_flow_stats(bpf, flow->cookie, slot);
	return 0;
}

/* ---- a sweep ---- */

static bool has_news(const struct fo__bpf *bpf, const struct fo__bpf_state *state)
{
	uint32_t last = __atomic_load_n(&state->last, __ATOMIC_RELAXED);

	if (__atomic_load_n(&state->flags, __ATOMIC_RELAXED) & (FO__BPF_FIN | FO__BPF_RST))
		return true;
	return last && (int32_t)(last - bpf->sweep_since) >= 0;
}

static void step(struct fo__bpf *bpf)
{
	uint32_t end = bpf->slots_high - bpf->sweep_at < STEP ? bpf->slots_high : bpf->sweep_at + STEP;

	for (; bpf->sweep_at < end; bpf->sweep_at++)
		for (unsigned int dir = 0; dir < 2; dir++)
			if (has_news(bpf, fo__bpf_state_of(bpf, bpf->sweep_at, dir)) &&
			    bpf->slots[bpf->sweep_at].life == FO__BPF_LIVE)
				fo__bpf_report(bpf, bpf->sweep_at, dir);
	bpf->sweep_running = bpf->sweep_at < bpf->slots_high;
}

/* What was counted since the one before began, and the jiffy in which it did: the program writes the time after the count, and
 * its last bit is always set. */
static void begin(struct fo__bpf *bpf, uint64_t now_ms)
{
	bpf->sweep_since = bpf->swept_jiffies - 2;
	bpf->swept_jiffies = (uint32_t)bpf->now_jiffies;
	bpf->sweep_running = true;
	bpf->sweep_at = 0;
	bpf->next_sweep_ms = now_ms + SWEEP_MS;
}

void fo__bpf_sweep(struct fo__bpf *bpf, uint64_t until_us)
{
	uint64_t now_ms = bpf->ops->now_ms(bpf->host);

	if (!bpf->sweep_running && now_ms < bpf->next_sweep_ms)
		return;
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	if (!bpf->sweep_running)
		begin(bpf, now_ms);
	do
		step(bpf);
	while (bpf->sweep_running && fo__bpf_now_us() < until_us);
}
