/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - fo_worker_run(): packets through parse, look-up and rewrite, in stages.
 *
 * The look-up and its schedule are find.h's; here are the parser before it and what is done with a line that was found.
 *
 * Neighbours: find.h, burst.h (what stages hand on), parse.h, judge.h, rewrite.h. Uses src/flowtable only; knows no
 * table of core. No lock, no allocation, no syscall.
 */
#include "fastpath/find.h"
#include "fastpath/judge.h"
#include "fastpath/parse.h"

/* Packets between two announcements of the epoch. */
#define BURST 64u

static inline void pass(struct fo__run *run, struct fo_packet *packet, unsigned int reason)
{
	packet->verdict = FO_PASS;
	packet->reason = (uint8_t)reason;
	packet->flow = 0;
	fo__count_add_owned(&run->worker->passed[reason], 1);
}

/* ---- counters ---- */

static __attribute__((noinline)) void count_shared(struct fo__run *run, uint32_t dir, uint32_t bytes)
{
	struct fo__shared *shared = &run->table->shared[dir >> 1];

	fo__count_add_shared(&shared->bytes[dir & 1], bytes);
	atomic_fetch_add_explicit(&shared->packets[dir & 1], 1, memory_order_relaxed);
}

/* True when this worker becomes, or is, the owner of a direction. */
static __attribute__((noinline)) int claim(const struct fo__run *run, struct fo__line *line)
{
	uint32_t mine = run->worker->number + 1, ctl = fo__load_relaxed(&line->ctl);

	while (!FO__CTL_OWNER(ctl) &&
	       !atomic_compare_exchange_weak_explicit(&line->ctl, &ctl, ctl | mine << 8, memory_order_relaxed,
						      memory_order_relaxed))
		;
	return !FO__CTL_OWNER(ctl) || FO__CTL_OWNER(ctl) == mine;
}

static inline void count_owned(struct fo__line *line, uint32_t bytes, uint32_t now_ms)
{
	int32_t later = (int32_t)(now_ms - fo__load_relaxed(&line->last_ms));

	fo__count_add_owned(&line->bytes, bytes);
	fo__store_relaxed(&line->packets, fo__load_relaxed(&line->packets) + 1);
	if (later > 0)
		fo__store_relaxed(&line->last_ms, now_ms);
}

static void count_any(struct fo__run *run, struct fo__line *line, uint32_t dir, uint32_t ctl,
		      const struct fo_packet *packet, uint32_t bytes)
{
	int32_t later = (int32_t)(run->now_ms - fo__load_relaxed(&line->last_ms));

	if ((ctl & FO__CTL_OWNED) == run->owner || claim(run, line)) {
		count_owned(line, bytes, run->now_ms);
	} else {
		count_shared(run, dir, bytes);
		if (later > 0)
			fo__store_relaxed(&line->last_ms, run->now_ms);
	}
	if (packet->flags & FO_PKT_GSO) {
		atomic_fetch_or_explicit(&line->ctl, FO__CTL_GRO, memory_order_relaxed);
		fo__store_relaxed(&run->worker->aggregated, 1);
	}
}

/* ---- stages ---- */

static __attribute__((noinline)) void parse_group(struct fo__run *run, struct fo__group *group,
						  struct fo_packet *packets, uint32_t n)
{
	const struct fo__index *cur = run->cur;
	struct fo__look *look = group->looks;

	group->packets = packets;
	for (uint32_t i = 0; i < n; i++) {
		struct fo__key *key = &look->parsed.key;

		if (__builtin_expect(fo__quick_v4(&packets[i], &look->parsed), 1)) {
			key->hash = fo__key_hash_v4(key->address4, key->ports, key->code, packets[i].scope,
						    &cur->secret);
		} else {
			if (!fo__quick_v6(&packets[i], &look->parsed)) {
				unsigned int reason = fo__parse(&packets[i], &look->parsed);

				if (reason) {
					pass(run, &packets[i], reason);
					continue;
				}
			}
			key->hash = fo__key_hash(key, &cur->secret);
		}
		fo__find_home(cur, look, i);
		look++;
	}
	group->n = (uint32_t)(look - group->looks);
}

static __attribute__((noinline)) void tag_group(struct fo__run *run, struct fo__group *group)
{
	fo__find_tags(run, group, pass);
}

static inline void look_found(struct fo__run *run, struct fo__look *look, const struct fo__line *line)
{
	fo__look_sides(run, look, line);
	__builtin_prefetch(look->in, 0, 3);
	if (look->parsed.marks && fo__key_is_v6(&look->parsed.key))
		fo__look_mirror(run, look, line);
}

static __attribute__((noinline)) void take_group(struct fo__run *run, struct fo__group *group)
{
	fo__find_lines(run, group, pass, look_found);
}

/* What is not plain: forwarded all the same, or passed with the reason. */
static __attribute__((noinline)) unsigned int forward_other(struct fo__run *run, struct fo_packet *packet,
							    struct fo__look *look)
{
	const struct fo__parsed *parsed = &look->parsed;
	int partial = (packet->flags & FO_PKT_CSUM_PARTIAL) != 0;
	struct fo__line *line = &run->table->lines[look->dir];
	uint32_t ctl = fo__load_relaxed(&line->ctl);
	uint8_t *l3;

	fo__parsed_complete(&look->parsed, packet);
	if (run->filter || !fo__is_easy(packet, look, ctl)) {
		unsigned int reason = fo__judge(run, packet, look, &ctl);

		if (reason)
			return reason;
		line = &run->table->lines[look->dir];
	}
	fo__step(FO__STEP_JUDGED);
	l3 = packet->data + parsed->l3;
	if (fo__key_is_v6(&parsed->key))
		fo__rewrite_v6(l3, &run->table->lines[look->dir ^ 1], parsed, ctl, look->out & 0xbf, partial);
	else
		fo__rewrite_v4(l3, line, parsed, (uint16_t)(ctl >> 16), look->out & 0xbf, partial);
	fo__rewrite_l2(packet, parsed, look->to);
	fo__step(FO__STEP_REWRITTEN);
	count_any(run, line, look->dir, ctl, packet, parsed->ip_len);
	fo__step(FO__STEP_COUNTED);
	return FO_R_NONE;
}

/* What the last stage takes from its run, in registers: the bytes it writes could be anything, for all a compiler knows. */
struct act {
	struct fo__line *lines;
	struct fo_packet *packets;
	uint32_t owner;
	uint32_t now_ms;
	uint32_t ids;
};

static inline unsigned int forward(struct fo__run *run, const struct act *act, struct fo_packet *packet,
				   struct fo__look *look)
{
	struct fo__line *line = &act->lines[look->dir];
	uint32_t ctl = fo__load_relaxed(&line->ctl), ip_len = look->parsed.ip_len;
	const struct fo__entry *to = look->to;
	uint8_t *data = packet->data;

	if (__builtin_expect(!fo__is_plain(packet, look, ctl, act->owner), 0))
		return forward_other(run, packet, look);
	fo__step(FO__STEP_JUDGED);
	fo__rewrite_plain(data + FO__QUICK_L3, line, &look->parsed, (uint16_t)(ctl >> 16));
	fo__rewrite_ethernet(packet, data, ip_len, to);
	fo__step(FO__STEP_REWRITTEN);
	count_owned(line, ip_len, act->now_ms);
	fo__step(FO__STEP_COUNTED);
	return FO_R_NONE;
}

static __attribute__((noinline)) void act_group(struct fo__run *run, struct fo__group *group)
{
	const struct act act = {.lines = run->table->lines,
				.packets = group->packets,
				.owner = run->filter ? FO__NOBODY : run->owner,
				.now_ms = run->now_ms,
				.ids = run->ids};
	struct fo__look *end = group->looks + group->n;
	uint32_t forwarded = 0, bytes = 0;

	for (struct fo__look *look = group->looks; look < end; look++) {
		struct fo_packet *packet = &act.packets[look->parsed.number];
		unsigned int reason = forward(run, &act, packet, look);

		if (__builtin_expect(reason, 0)) {
			pass(run, packet, reason);
		} else {
			packet->verdict = FO_FORWARD;
			packet->reason = FO_R_NONE;
			packet->flow = 0;
			forwarded++;
			bytes += look->parsed.ip_len;
		}
		if (__builtin_expect(act.ids, 0) && look->dir != FO__NO_DIR)
			packet->flow = fo__conn_id(run->table, look->dir >> 1);
	}
	run->forwarded += forwarded;
	fo__count_add_owned(&run->worker->forwarded_bytes, bytes);
}

static inline void prefetch_headers(const struct fo_packet *packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(packets[i].data, 1, 3);
}

static void run_burst(struct fo__run *run, struct fo_packet *packets, uint32_t n)
{
	static const struct fo__stages stages = {prefetch_headers, parse_group, tag_group, take_group,
						 act_group};

	run->filter = fo__load_acquire(&run->table->filter);
	fo__find_burst(run, packets, n, &stages);
}

static unsigned int pass_all(struct fo_packet *packets, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		packets[i].verdict = FO_PASS;
		packets[i].reason = FO_R_TABLE_GONE;
		packets[i].flow = 0;
	}
	return 0;
}

unsigned int fo_worker_run(struct fo_worker *worker, struct fo_packet *packets, unsigned int n,
			   uint64_t now_ms)
{
	struct fo__run run = {.worker = worker, .now_ms = (uint32_t)now_ms};
	struct fo_flowtable *table;

	if (__builtin_expect(!worker || !packets, 0))
		return 0;
	table = run.table = worker->table;
	run.owner = (worker->number + 1) << 8;
	run.ids = worker->flags & FO_WORKER_FLOW_IDS;
	fo__epoch_enter(&worker->epoch, &table->epoch);
	if (__builtin_expect(fo__load_acquire(&table->gone), 0)) {
		fo__epoch_leave(&worker->epoch);
		return pass_all(packets, n);
	}
	fo__step(FO__STEP_ENTERED);
	fo__store_relaxed(&worker->runs, fo__load_relaxed(&worker->runs) + 1);
	for (unsigned int at = 0; at < n; at += BURST) {
		if (at)
			fo__epoch_enter(&worker->epoch, &table->epoch);
		run_burst(&run, packets + at, n - at < BURST ? n - at : BURST);
	}
	if (run.forwarded)
		fo__count_add_owned(&worker->forwarded_packets, run.forwarded);
	fo__epoch_leave(&worker->epoch);
	fo__step(FO__STEP_LEFT);
	return run.forwarded;
}
