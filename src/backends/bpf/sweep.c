/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep.c - what the program counted and saw, from the maps to the library. Neighbours: state.h, sweep.bpf.c.
 *
 * Once a second every direction is looked at, in slices, and those that had a packet since are read: inside the kernel where it has iterators, else in batches of the map, else key by key.
 * A FIN or RST comes by the ring at once; what did not fit into the ring is found by the flag that the sweep reads.
 */
#include "backends/bpf/state.h"

#include "sweep.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS 1000u
#define BATCH	 FO__BPF_SWEEP_SEEN

static uint64_t now_us(void)
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

void fo__bpf_report(struct fo__bpf *bpf, uint32_t slot, unsigned int dir, const struct fo__bpf_flow *seen)
{
	struct fo__bpf_slot *flow = &bpf->slots[slot];
	uint64_t packets = seen->packets - flow->packets[dir], bytes = seen->bytes - flow->bytes[dir];

	if (packets || bytes) {
		flow->packets[dir] = seen->packets;
		flow->bytes[dir] = seen->bytes;
		bpf->ops->count(bpf->host, flow->cookie, dir, packets, bytes, last_seen_ms(bpf, seen->last));
	}
	if ((seen->in & (FO__BPF_FIN | FO__BPF_RST)) && !flow->closing && flow->life == FO__BPF_LIVE) {
		flow->closing = true;
		bpf->ops->closing(bpf->host, flow->cookie,
				  seen->in & FO__BPF_RST ? FO_R_TCP_RST : FO_R_TCP_FIN);
	}
}

void fo__bpf_report_number(struct fo__bpf *bpf, uint32_t number, const struct fo__bpf_flow *seen)
{
	if (number >> 1 < bpf->n_slots && bpf->slots[number >> 1].life == FO__BPF_LIVE)
		fo__bpf_report(bpf, number >> 1, number & 1, seen);
}

int fo__bpf_see_event(void *ctx, void *data, size_t size)
{
	struct fo__bpf *bpf = ctx;
	const struct fo__bpf_event *event = data;
	struct fo__bpf_slot *flow;

	if (size < sizeof(*event) || event->slot >> 1 >= bpf->n_slots)
		return 0;
	flow = &bpf->slots[event->slot >> 1];
	if (flow->life != FO__BPF_LIVE || flow->closing)
		return 0;
	/* The slot may be another flow's by now: its own flag tells. */
	(void)fo__bpf_flow_stats(bpf, flow->cookie, event->slot >> 1);
	return 0;
}

/* ---- inside the kernel ---- */

static int sweep_begin(struct fo__bpf *bpf)
{
	bpf->sweeping = bpf_iter_create(bpf_link__fd(bpf->sweep_link[bpf->sweep_map]));
	return bpf->sweeping < 0 ? -1 : 0;
}

static void sweep_end(struct fo__bpf *bpf)
{
	if (bpf->sweeping >= 0)
		close(bpf->sweeping);
	bpf->sweeping = -1;
}

/* One read of the iterator. 0: goes on; 1: this map is done. */
static int iterate(struct fo__bpf *bpf)
{
	struct fo__bpf_seen seen[BATCH];
	ssize_t n = read(bpf->sweeping, seen, sizeof(seen));

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return 1;
	for (size_t i = 0; i < (size_t)n / sizeof(seen[0]); i++) {
		struct fo__bpf_flow flow = {.packets = seen[i].packets,
					    .bytes = seen[i].bytes,
					    .in = seen[i].in,
					    .last = seen[i].last};

		if (seen[i].valid)
			bpf->see(bpf, seen[i].slot, &flow);
	}
	return 0;
}

/* ---- in batches ---- */

/* As the program judges. */
static bool has_news(const struct fo__bpf *bpf, const struct fo__bpf_flow *flow)
{
	if (bpf->sweep_state.all || (flow->in & (FO__BPF_FIN | FO__BPF_RST)))
		return true;
	return flow->last && (int32_t)(flow->last - bpf->sweep_state.since) >= 0;
}

static int read_batch(struct fo__bpf *bpf)
{
	union {
		struct fo__bpf_flow4 v4[BATCH];
		struct fo__bpf_flow6 v6[BATCH];
	} value;
	union fo__bpf_key key[BATCH];
	uint32_t n = BATCH, next;
	int map = bpf->map[bpf->sweep_map ? FO__BPF_FLOWS6 : FO__BPF_FLOWS4];
	int code = bpf_map_lookup_batch(map, bpf->sweep_started ? &bpf->sweep_next : NULL, &next, key, &value,
					&n, NULL);

	if (code && errno != ENOENT) {
		/* What was told already is told again, as nothing new. */
		bpf->batch_fails = true;
		bpf->sweep_way = FO_BPF_SWEEP_KEYS;
		bpf->sweep_started = false;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct fo__bpf_flow *flow = bpf->sweep_map ? &value.v6[i].flow : &value.v4[i].flow;

		if (has_news(bpf, flow))
			bpf->see(bpf, flow->slot, flow);
	}
	bpf->sweep_next = next;
	bpf->sweep_started = true;
	return code ? 1 : 0;
}

/* ---- key by key ---- */

/* A key that is gone when its next one is asked for leads to the first: some are read again, which tells nothing new. */
static int read_keys(struct fo__bpf *bpf)
{
	int map = bpf->map[bpf->sweep_map ? FO__BPF_FLOWS6 : FO__BPF_FLOWS4];
	union fo__bpf_element element;

	for (uint32_t i = 0; i < BATCH; i++) {
		if (bpf_map_get_next_key(map, bpf->sweep_started ? &bpf->sweep_key : NULL, &bpf->sweep_key))
			return 1;
		bpf->sweep_started = true;
		if (!bpf_map_lookup_elem(map, &bpf->sweep_key, &element) && has_news(bpf, &element.flow))
			bpf->see(bpf, element.flow.slot, &element.flow);
	}
	return 0;
}

/* ---- flow by flow ---- */

/* For both maps. Where flows are few, all other ways walk over what is empty, without a stop. */
static int read_flows(struct fo__bpf *bpf)
{
	uint32_t end = bpf->sweep_next + 4 * BATCH, n = 0;

	for (; bpf->sweep_next < bpf->slots_high && bpf->sweep_next < end && n < BATCH / 2;
	     bpf->sweep_next++) {
		const struct fo__bpf_slot *slot = &bpf->slots[bpf->sweep_next];

		if (slot->life != FO__BPF_LIVE)
			continue;
		(void)fo__bpf_flow_stats(bpf, slot->cookie, bpf->sweep_next);
		n++;
	}
	if (bpf->sweep_next < bpf->slots_high)
		return 0;
	bpf->sweep_map = 1;
	return 1;
}

/* ---- a sweep ---- */

/* One flow in so many slots: fewer are looked at one by one. */
#define SPARSE 16u

static uint32_t way_of(const struct fo__bpf *bpf)
{
	uint32_t wanted = bpf->sweep_wanted;

	/* Adoption is about what is in the maps, whatever the slots say. */
	if (bpf->sweep_state.all && wanted == FO_BPF_SWEEP_FLOWS)
		wanted = FO_BPF_SWEEP_AUTO;
	if (wanted > FO_BPF_SWEEP_ITERATOR)
		return wanted == FO_BPF_SWEEP_BATCH && bpf->batch_fails ? FO_BPF_SWEEP_KEYS : wanted;
	if (wanted == FO_BPF_SWEEP_AUTO && !bpf->sweep_state.all && bpf->n_living < bpf->n_slots / SPARSE)
		return FO_BPF_SWEEP_FLOWS;
	if (bpf->sweep)
		return FO_BPF_SWEEP_ITERATOR;
	return bpf->batch_fails ? FO_BPF_SWEEP_KEYS : FO_BPF_SWEEP_BATCH;
}

static int step(struct fo__bpf *bpf)
{
	if (bpf->sweep_map && !bpf->n_living6 && !bpf->sweep_state.all)
		return 1;
	switch (bpf->sweep_way) {
	case FO_BPF_SWEEP_BATCH:
		return read_batch(bpf);
	case FO_BPF_SWEEP_KEYS:
		return read_keys(bpf);
	case FO_BPF_SWEEP_FLOWS:
		return read_flows(bpf);
	default:
		if (bpf->sweeping < 0 && sweep_begin(bpf))
			return 1;
		return iterate(bpf);
	}
}

/* What was counted since the one before began, and the jiffy in which it did: the program writes the time after the count, and
 * its last bit is always set. */
static void begin(struct fo__bpf *bpf, uint64_t now_ms)
{
	struct fo__bpf_sweep *state = &bpf->sweep_state;

	state->since = bpf->swept_jiffies - 2;
	state->past = 0;
	bpf->swept_jiffies = (uint32_t)bpf->now_jiffies;
	if (bpf->sweep)
		bpf->sweep->bss->fo_state = *state;
	bpf->sweep_running = true;
	bpf->sweep_way = way_of(bpf);
	bpf->sweep_started = false;
	bpf->sweep_next = 0;
	bpf->sweep_map = 0;
	bpf->next_sweep_ms = now_ms + SWEEP_MS;
}

void fo__bpf_sweep(struct fo__bpf *bpf, unsigned int max_us)
{
	uint64_t now_ms = bpf->ops->now_ms(bpf->host), end = now_us() + max_us;

	if (!bpf->sweep_running && now_ms < bpf->next_sweep_ms)
		return;
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	if (!bpf->sweep_running)
		begin(bpf, now_ms);
	do {
		if (!step(bpf))
			continue;
		sweep_end(bpf);
		bpf->sweep_started = false;
		if (++bpf->sweep_map == 2)
			bpf->sweep_running = false;
	} while (bpf->sweep_running && now_us() < end);
}

void fo__bpf_sweep_all(struct fo__bpf *bpf)
{
	bpf->sweep_running = false;
	bpf->next_sweep_ms = 0;
	bpf->sweep_state.all = 1;
	do
		fo__bpf_sweep(bpf, 1000000);
	while (bpf->sweep_running);
	bpf->sweep_state.all = 0;
}
