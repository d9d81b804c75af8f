/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - fo_worker_run(): a burst of packets through parse, look-up and rewrite, in stages.
 *
 * Each stage touches the next cache line for all packets of a burst before the following stage needs it: headers,
 * home buckets, record lines, side entries. The last stage judges packets in their order, so that what follows
 * a FIN passes. Uses src/flowtable only; knows no table of core. No lock, no allocation, no syscall.
 */
#include "fastpath/lookup.h"
#include "fastpath/rewrite.h"
#include "flowtable/steps.h"

#define BURST 32u
/* Bursts between two announcements of the epoch. */
#define BURSTS_PER_EPOCH 2u

struct look {
	struct fo__parsed parsed;
	const struct fo__bucket *bucket;
	const struct fo__entry *in, *to;
	uint32_t out;
	uint32_t hints; /* of the home bucket, before its tags were read */
	uint32_t dir;	/* FO__NO_DIR: none */
	uint32_t reason;
};

struct run {
	struct fo_worker *worker;
	struct fo_flowtable *table;
	const struct fo__index *cur;
	uint32_t now_ms;
	uint32_t forwarded;
	uint32_t bytes;
};

/* side was loaded with acquire: the view that has it, or a later one, is seen here. */
static inline const struct fo__entry *entry_of(const struct run *run, uint32_t side)
{
	const struct fo__side_view *view = fo__load_acquire(&run->table->view);

	return &view->entry[fo__load_acquire(&view->side[side])];
}

static inline const struct fo__entry *ingress_of(const struct run *run, const struct fo__line *line)
{
	return entry_of(run, fo__meta_side(fo__load_acquire(&line->meta)));
}

static inline int same_ingress(const struct fo__entry *in, const struct fo_packet *packet,
			       const struct fo__parsed *parsed)
{
	if (in->scope != packet->scope)
		return 0;
	if (in->flags & FO__ENTRY_ANY_INGRESS)
		return 1;
	return in->port == packet->in_port && in->encap == parsed->encap;
}

/* ---- look-ups that the stages did not settle ---- */

struct search {
	const struct fo__key *key;
	const struct fo_packet *packet; /* with it, the ingress must fit too */
	const struct fo__parsed *parsed;
	uint16_t tag;
	uint32_t seen; /* a direction with this key, whatever its ingress */
};

static uint32_t search_bucket(const struct run *run, const struct fo__bucket *bucket, struct search *search)
{
	uint32_t match = fo__bucket_match(bucket, search->tag);

	for (; match; match &= match - 1) {
		uint32_t dir = fo__load_acquire(&bucket->dir[__builtin_ctz(match)]);
		const struct fo__line *line = &run->table->lines[dir];

		fo__step(FO__STEP_TAGS);
		if (!fo__key_is(search->key, line))
			continue;
		fo__step(FO__STEP_COMPARED);
		search->seen = dir;
		if (same_ingress(ingress_of(run, line), search->packet, search->parsed))
			return dir;
	}
	return FO__NO_DIR;
}

/* index.h: hints before and after the tags; the home bucket once more after the second. */
static uint32_t search_index(const struct run *run, const struct fo__index *index, uint64_t hash,
			     struct search *search)
{
	const struct fo__bucket *home = &index->buckets[fo__index_home(index->count, hash)];
	uint32_t hints = fo__load_acquire(&home->meta), dir;

	fo__step(FO__STEP_HINTS);
	search->tag = fo__index_tag(hash);
	dir = search_bucket(run, home, search);
	if (dir != FO__NO_DIR)
		return dir;
	hints |= fo__load_acquire(&home->meta);
	if (!(hints & fo__index_hint(hash)))
		return FO__NO_DIR;
	dir = search_bucket(run, &index->buckets[fo__index_second(index->count, hash)], search);
	fo__step(FO__STEP_MISSED);
	return dir != FO__NO_DIR ? dir : search_bucket(run, home, search);
}

static uint32_t search_other(const struct run *run, const struct fo__index *index, struct search *search)
{
	return search_index(run, index, fo__key_hash(search->key, &index->secret), search);
}

/* The whole protocol, over both indexes. */
static __attribute__((noinline)) unsigned int search_all(const struct run *run,
							 const struct fo_packet *packet, struct look *look)
{
	struct search search = {&look->parsed.key, packet, &look->parsed, 0, FO__NO_DIR};
	const struct fo__index *next, *cur;

	look->dir = search_index(run, run->cur, look->parsed.key.hash, &search);
	if (look->dir != FO__NO_DIR)
		return FO_R_NONE;
	/* Keys may have moved since the burst began: next is loaded before cur. */
	next = fo__load_acquire(&run->table->next);
	cur = fo__load_acquire(&run->table->cur);
	if (cur != run->cur)
		look->dir = search_other(run, cur, &search);
	if (look->dir == FO__NO_DIR && next && next != cur)
		look->dir = search_other(run, next, &search);
	if (look->dir != FO__NO_DIR)
		return FO_R_NONE;
	if (search.seen == FO__NO_DIR)
		return fo__load_acquire(&run->table->cur) == cur ? FO_R_NO_FLOW : FO_R_BUSY;
	/* Known from elsewhere, or its side is dead and cannot tell. */
	look->dir = search.seen;
	return FO_R_WRONG_INGRESS;
}

/* ---- verdict ---- */

static inline unsigned int check_length(const struct fo_packet *packet, const struct fo__parsed *parsed,
					const struct fo__entry *to)
{
	uint32_t longest = parsed->ip_len;

	if (__builtin_expect(packet->flags & FO_PKT_GSO, 0)) {
		unsigned int proto = parsed->key.code & ~FO__CODE_V6;

		if (!packet->gso_size || !(packet->flags & FO_PKT_CSUM_PARTIAL) ||
		    (to->flags & FO__ENTRY_PPPOE) || (proto != FO__PROTO_TCP && proto != FO__PROTO_UDP))
			return FO_R_GSO;
		longest = (uint32_t)(parsed->l4 - parsed->l3) + parsed->l4_len + packet->gso_size;
		if (longest > parsed->ip_len)
			longest = parsed->ip_len;
	}
	return longest > to->mtu ? FO_R_MTU : FO_R_NONE;
}

static inline unsigned int check_buffer(const struct fo_packet *packet, const struct fo__parsed *parsed)
{
	if (__builtin_expect(packet->flags & FO_PKT_CSUM_PARTIAL, 0)) {
		unsigned int proto = parsed->key.code & ~FO__CODE_V6;

		if ((proto != FO__PROTO_TCP && proto != FO__PROTO_UDP) || packet->csum_start != parsed->l4 ||
		    packet->csum_offset != fo__checksum_offset(proto))
			return FO_R_CSUM_META;
	}
	return FO_R_NONE;
}

static __attribute__((noinline)) unsigned int
check_unfinished(const struct fo_packet *packet, const struct fo__parsed *parsed, const struct fo__entry *to)
{
	unsigned int reason = check_length(packet, parsed, to);

	return reason ? reason : check_buffer(packet, parsed);
}

/* FIN or RST: both directions stop here; control hears of it by the ring, or finds it when it sweeps. */
static __attribute__((noinline)) unsigned int see_flags(struct run *run, uint32_t dir, unsigned int flags)
{
	struct fo_worker *worker = run->worker;
	uint32_t bit = flags & FO__TCP_RST ? FO__CTL_RST : FO__CTL_FIN, head, before;

	if (!(flags & (FO__TCP_RST | FO__TCP_FIN)))
		return FO_R_TCP_SYN;
	before = atomic_fetch_or_explicit(&run->table->lines[dir].ctl, bit, memory_order_relaxed);
	before |= atomic_fetch_or_explicit(&run->table->lines[dir ^ 1].ctl, bit, memory_order_relaxed);
	head = fo__load_relaxed(&worker->ring_head);
	if (!(before & FO__CTL_CLOSING) && head - fo__load_acquire(&worker->ring_tail) < FO__RING) {
		fo__store_relaxed(&worker->ring[head % FO__RING], dir >> 1);
		fo__store_release(&worker->ring_head, head + 1);
	}
	return flags & FO__TCP_RST ? FO_R_TCP_RST : FO_R_TCP_FIN;
}

static __attribute__((noinline)) void count_shared(struct run *run, uint32_t dir, uint32_t bytes)
{
	struct fo__cold *cold = &run->table->cold[dir >> 1];

	fo__count_add_shared(&cold->shared_bytes[dir & 1], bytes);
	atomic_fetch_add_explicit(&cold->shared_packets[dir & 1], 1, memory_order_relaxed);
}

static inline void count(struct run *run, struct fo__line *line, uint32_t dir, uint32_t ctl,
			 const struct fo_packet *packet, uint32_t bytes)
{
	uint32_t mine = run->worker->number + 1, owner = FO__CTL_OWNER(ctl);
	int32_t later = (int32_t)(run->now_ms - fo__load_relaxed(&line->last_ms));

	if (__builtin_expect(!owner, 0)) {
		while (!FO__CTL_OWNER(ctl) &&
		       !atomic_compare_exchange_weak_explicit(&line->ctl, &ctl, ctl | mine << 8,
							      memory_order_relaxed, memory_order_relaxed))
			;
		owner = FO__CTL_OWNER(ctl);
		owner = owner ? owner : mine;
	}
	if (__builtin_expect(owner == mine, 1)) {
		fo__count_add_owned(&line->bytes, bytes);
		fo__store_relaxed(&line->packets, fo__load_relaxed(&line->packets) + 1);
	} else {
		count_shared(run, dir, bytes);
	}
	if (later > 0)
		fo__store_relaxed(&line->last_ms, run->now_ms);
	if (__builtin_expect(packet->flags & FO_PKT_GSO, 0)) {
		atomic_fetch_or_explicit(&line->ctl, FO__CTL_GRO, memory_order_relaxed);
		fo__store_relaxed(&run->worker->aggregated, 1);
	}
	run->forwarded++;
	run->bytes += bytes;
}

static inline unsigned int act(struct run *run, struct fo_packet *packet, struct look *look)
{
	struct fo__parsed *parsed = &look->parsed;
	struct fo__line *line = &run->table->lines[look->dir];
	const struct fo__entry *in = look->in, *to;
	uint32_t ctl, out;
	uint8_t *l3 = packet->data + parsed->l3;
	unsigned int reason;

	if (__builtin_expect(!same_ingress(in, packet, parsed), 0)) {
		reason = search_all(run, packet, look);
		if (look->dir == FO__NO_DIR)
			return reason;
		line = &run->table->lines[look->dir];
		in = ingress_of(run, line);
		look->out = fo__load_acquire(&line->out);
		look->to = entry_of(run, look->out >> 8);
		if (reason)
			return in->flags & FO__ENTRY_DEAD ? in->reason : reason;
	}
	if (__builtin_expect(memcmp(packet->data, in->own_mac, 6) && !(in->flags & FO__ENTRY_ANY_INGRESS), 0))
		return FO_R_WRONG_MAC;
	ctl = fo__load_relaxed(&line->ctl);
	out = look->out;
	to = look->to;
	if (__builtin_expect((ctl & FO__CTL_STOP) | (to->flags & FO__ENTRY_DEAD), 0))
		return to->flags & FO__ENTRY_DEAD ? to->reason
		       : ctl & FO__CTL_CLOSING	  ? FO_R_CLOSING
						  : FO_R_NOT_ACTIVE;
	if (__builtin_expect(parsed->tcp_flags, 0))
		return see_flags(run, look->dir, parsed->tcp_flags);
	if (__builtin_expect(packet->flags & (FO_PKT_GSO | FO_PKT_CSUM_PARTIAL), 0)) {
		reason = check_unfinished(packet, parsed, to);
		if (reason)
			return reason;
	} else if (__builtin_expect(parsed->ip_len > to->mtu, 0)) {
		return FO_R_MTU;
	}
	if (__builtin_expect(to->header_len > (uint32_t)packet->headroom + parsed->l3, 0))
		return FO_R_NO_HEADROOM;

	fo__step(FO__STEP_JUDGED);
	if (parsed->key.code & FO__CODE_V6)
		fo__rewrite_v6(l3, &run->table->lines[look->dir ^ 1], ctl, out & 0xbf,
			       (packet->flags & FO_PKT_CSUM_PARTIAL) != 0);
	else
		fo__rewrite_v4(l3, line, ctl, out & 0xbf, (packet->flags & FO_PKT_CSUM_PARTIAL) != 0);
	fo__rewrite_l2(packet, parsed, to);
	fo__step(FO__STEP_REWRITTEN);
	count(run, line, look->dir, ctl, packet, parsed->ip_len);
	fo__step(FO__STEP_COUNTED);
	return FO_R_NONE;
}

/* ---- stages ---- */

static inline void stage_parse(struct run *run, struct fo_packet *packets, struct look *looks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct look *look = &looks[i];

		look->reason = FO_R_NONE;
		if (__builtin_expect(!fo__parse_quick(&packets[i], &look->parsed), 0))
			look->reason = fo__parse(&packets[i], &look->parsed);
		if (look->reason)
			continue;
		look->parsed.key.hash = fo__key_hash(&look->parsed.key, &run->cur->secret);
		look->bucket = &run->cur->buckets[fo__index_home(run->cur->count, look->parsed.key.hash)];
		__builtin_prefetch(look->bucket, 0, 3);
	}
}

static inline void find_line(const struct run *run, struct look *look, const struct fo__bucket *bucket,
			     uint32_t match)
{
	look->dir = fo__load_acquire(&bucket->dir[__builtin_ctz(match)]);
	fo__step(FO__STEP_TAGS);
	__builtin_prefetch(&run->table->lines[look->dir], 1, 3);
}

static inline void stage_tags(struct run *run, struct look *looks, unsigned int n)
{
	const struct fo__bucket *second[BURST];
	uint8_t away[BURST];
	unsigned int n_away = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct look *look = &looks[i];
		uint32_t match;

		if (look->reason)
			continue;
		look->hints = fo__load_acquire(&look->bucket->meta);
		fo__step(FO__STEP_HINTS);
		match = fo__bucket_match(look->bucket, fo__index_tag(look->parsed.key.hash));
		look->dir = FO__NO_DIR;
		if (match) {
			find_line(run, look, look->bucket, match);
		} else if (look->hints & fo__index_hint(look->parsed.key.hash)) {
			second[n_away] =
				&run->cur->buckets[fo__index_second(run->cur->count, look->parsed.key.hash)];
			__builtin_prefetch(second[n_away], 0, 3);
			away[n_away++] = (uint8_t)i;
		}
	}
	/* One in thirty lies there, and one wait for its line would cost as much as the whole burst. */
	for (unsigned int i = 0; i < n_away; i++) {
		struct look *look = &looks[away[i]];
		uint32_t match = fo__bucket_match(second[i], fo__index_tag(look->parsed.key.hash));

		if (match)
			find_line(run, look, second[i], match);
	}
}

/* Nothing in the home bucket, nothing displaced from it, and no second index: a miss in one line. */
static inline int is_plain_miss(const struct run *run, const struct look *look)
{
	uint32_t hints = look->hints | fo__load_acquire(&look->bucket->meta);

	return look->dir == FO__NO_DIR && !(hints & fo__index_hint(look->parsed.key.hash)) &&
	       !fo__load_acquire(&run->table->next) && fo__load_acquire(&run->table->cur) == run->cur;
}

static inline void stage_keys(struct run *run, struct fo_packet *packets, struct look *looks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct look *look = &looks[i];
		const struct fo__line *line;

		if (look->reason)
			continue;
		if (look->dir == FO__NO_DIR ||
		    !fo__key_is(&look->parsed.key, &run->table->lines[look->dir])) {
			look->reason =
				is_plain_miss(run, look) ? FO_R_NO_FLOW : search_all(run, &packets[i], look);
			if (look->reason == FO_R_WRONG_INGRESS)
				look->reason = FO_R_NONE; /* act() tells it from a dead side */
			if (look->reason)
				continue;
		}
		fo__step(FO__STEP_COMPARED);
		line = &run->table->lines[look->dir];
		look->out = fo__load_acquire(&line->out);
		look->to = entry_of(run, look->out >> 8);
		look->in = ingress_of(run, line);
		__builtin_prefetch(look->to, 0, 3);
		__builtin_prefetch(look->in, 0, 3);
		if ((look->parsed.key.code & FO__CODE_V6) && (fo__load_relaxed(&line->ctl) & FO__CTL_NAT))
			__builtin_prefetch(&run->table->lines[look->dir ^ 1], 0, 3);
	}
}

static inline void stage_act(struct run *run, struct fo_packet *packets, struct look *looks, unsigned int n)
{
	struct fo_worker *worker = run->worker;
	int ids = (worker->flags & FO_WORKER_FLOW_IDS) != 0;

	for (unsigned int i = 0; i < n; i++) {
		struct fo_packet *packet = &packets[i];
		unsigned int reason = looks[i].reason;
		int known = !reason;

		if (known)
			reason = act(run, packet, &looks[i]);
		packet->verdict = reason ? FO_PASS : FO_FORWARD;
		packet->reason = (uint8_t)reason;
		packet->flow = ids && known && looks[i].dir != FO__NO_DIR
				       ? fo__conn_id(run->table, looks[i].dir >> 1)
				       : 0;
		if (reason)
			fo__count_add_owned(&worker->passed[reason], 1);
	}
}

static void run_burst(struct run *run, struct fo_packet *packets, unsigned int n)
{
	struct look looks[BURST];

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(packets[i].data, 1, 3);
	run->cur = fo__load_acquire(&run->table->cur);
	stage_parse(run, packets, looks, n);
	stage_tags(run, looks, n);
	stage_keys(run, packets, looks, n);
	run->bytes = 0;
	stage_act(run, packets, looks, n);
	fo__count_add_owned(&run->worker->forwarded_bytes, run->bytes);
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
	struct fo_flowtable *table = worker->table;
	struct run run = {.worker = worker, .table = table, .now_ms = (uint32_t)now_ms};

	fo__epoch_enter(&worker->epoch, &table->epoch);
	if (__builtin_expect(fo__load_acquire(&table->gone), 0)) {
		fo__epoch_leave(&worker->epoch);
		return pass_all(packets, n);
	}
	fo__step(FO__STEP_ENTERED);
	fo__store_relaxed(&worker->runs, fo__load_relaxed(&worker->runs) + 1);
	for (unsigned int at = 0, bursts = 0; at < n; at += BURST) {
		if (bursts++ == BURSTS_PER_EPOCH) {
			fo__epoch_enter(&worker->epoch, &table->epoch);
			bursts = 1;
		}
		run_burst(&run, packets + at, n - at < BURST ? n - at : BURST);
	}
	if (run.forwarded)
		fo__count_add_owned(&worker->forwarded_packets, run.forwarded);
	fo__epoch_leave(&worker->epoch);
	fo__step(FO__STEP_LEFT);
	return run.forwarded;
}
