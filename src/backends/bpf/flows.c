/* SPDX-License-Identifier: BSD-2-Clause */
/* flows.c - the directions of a flow as elements of the kernel's maps. Neighbours: state.h, layout.h, sides.c.
 *
 * Added: many at once by the program fo_add (add.bpf.h). Ended: marked dead in its states (from the next run on no packet uses
 * it), read and removed after a grace period, when nothing can count into it any more.
 */
#include "backends/bpf/state.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* Flows taken out of the maps between two looks at the clock. */
#define REAP_SLICE 64u

int fo__bpf_flow_map(const struct fo__bpf *bpf, unsigned int family)
{
	return bpf->map[family == FO_FAMILY_IPV4 ? FO__BPF_FLOWS4 : FO__BPF_FLOWS6];
}

/* ---- the program fo_mark ---- */

int fo__bpf_mark(const struct fo__bpf *bpf, unsigned int family, const union fo__bpf_key *key,
		 struct fo__bpf_mark *answer)
{
	/* The kernel writes the answer to where it read the question. */
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = answer, .ctx_size_in = sizeof(*answer));

	if (family == FO_FAMILY_IPV4)
		answer->key.v4 = key->v4;
	else
		answer->key.v6 = key->v6;
	answer->family = family;
	if (bpf_prog_test_run_opts(bpf->program_mark, &run))
		return -errno;
	return answer->found ? 0 : -ENOENT;
}

/* ---- add ---- */

int fo__bpf_refused(int errno_, struct fo_error *err)
{
	if (errno_ == E2BIG || errno_ == ENOMEM)
		return fo__bpf_fail(err, -ENOSPC, FO_R_FULL, NULL, errno_, "the kernel's flow map is full");
	if (errno_ == EEXIST)
		return fo__bpf_fail(err, -EEXIST, FO_R_EXISTS, NULL, errno_,
				    "the kernel's flow map has this key already");
	return fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno_, "the kernel refused the flow");
}

static void release_sides(struct fo__bpf *bpf, const uint32_t side[2])
{
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__bpf_side_release(bpf, side[dir]);
}

/* What its caller gave, and may change. */
static void note_words(struct fo__bpf_slot *slot, const struct fo_backend_flow *flow)
{
	slot->user = flow->flow->user;
	slot->tag = flow->flow->tag;
	slot->mark = flow->flow->ct_mark;
	slot->timeout_ms = flow->timeout_ms;
	memcpy(slot->dscp, flow->flow->dscp, sizeof(slot->dscp));
}

/* The flow as the program takes it; its slot and its sides are its own from here on. */
static int prepare(struct fo__bpf *bpf, const struct fo_backend_flow *flow, unsigned int state,
		   struct fo__bpf_pair *pair, struct fo_error *err)
{
	struct fo__bpf_slot *slot = &bpf->slots[flow->slot];
	uint32_t side[2];
	int code = fo__bpf_side_take(bpf, flow->flow->adj[0], flow->in[0], &side[0], err);

	if (code)
		return code;
	code = fo__bpf_side_take(bpf, flow->flow->adj[1], flow->in[1], &side[1], err);
	if (code) {
		fo__bpf_side_release(bpf, side[0]);
		return code;
	}
	/* Before the slot lives: a process that is killed now leaves none that looks whole. Nobody else knows these states. */
	for (unsigned int dir = 0; dir < 2; dir++)
		*fo__bpf_state_of(bpf, flow->slot, dir) = (struct fo__bpf_state){.flags = FO__BPF_INACTIVE};
	__asm__ volatile("" ::: "memory");
	*slot = (struct fo__bpf_slot){.cookie = flow->cookie,
				      .in = {side[0], side[1]},
				      .family = flow->flow->tuple[0].family,
				      .life = FO__BPF_LIVE,
				      .since_ms = flow->since_ms,
				      .state = (uint8_t)state};
	note_words(slot, flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__bpf_build_key(&flow->flow->tuple[dir], fo__bpf_side_ingress(bpf, side[dir]),
				  &slot->key[dir]);
		memcpy(&pair->dir[dir].key, &slot->key[dir], sizeof(slot->key[dir]));
		fo__bpf_build_element(flow, bpf->n_slots, dir, side, (void *)&pair->dir[dir].element);
	}
	pair->family = slot->family;
	pair->result = -EIO;
	return 0;
}

_Static_assert(sizeof(((struct fo__bpf_direction *)0)->element) == sizeof(union fo__bpf_element) &&
		       sizeof(((struct fo__bpf_direction *)0)->key) == sizeof(union fo__bpf_key),
	       "a direction is a key and an element");

_Static_assert(FO__BPF_SIDES <= 65536, "a flow names its sides by 16 bits each");

/* The first n of the batch. What the program does not come to keeps its -EIO. */
static void run_batch(struct fo__bpf *bpf, uint32_t n)
{
	struct fo__bpf_many many = {.n = n};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &many, .ctx_size_in = sizeof(many));

	(void)bpf_prog_test_run_opts(bpf->program_add, &run);
}

void fo__bpf_lives(struct fo__bpf *bpf, uint32_t slot)
{
	bpf->n_living++;
	bpf->n_living6 += bpf->slots[slot].family == FO_FAMILY_IPV6;
	if (bpf->slots_high <= slot)
		bpf->slots_high = slot + 1;
}

static void dies(struct fo__bpf *bpf, struct fo__bpf_slot *flow, enum fo__bpf_life life)
{
	flow->life = (uint8_t)life;
	bpf->n_living--;
	bpf->n_living6 -= flow->family == FO_FAMILY_IPV6;
}

static int settle(struct fo__bpf *bpf, const struct fo_backend_flow *flow, int result, struct fo_error *err)
{
	struct fo__bpf_slot *slot = &bpf->slots[flow->slot];

	if (!result) {
		fo__bpf_state_set(bpf, flow->slot, 0, FO__BPF_INACTIVE);
		fo__bpf_lives(bpf, flow->slot);
		return 0;
	}
	slot->life = FO__BPF_FREE;
	release_sides(bpf, slot->in);
	return fo__bpf_refused(-result, err);
}

void fo__bpf_flows_add(struct fo__bpf *bpf, const struct fo_backend_flow *flows, uint32_t n,
		       const unsigned int *states, int *results, struct fo_error *errs)
{
	uint32_t item[FO__BPF_BATCH], fit = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (results[i])
			continue;
		results[i] = prepare(bpf, &flows[i], states[i], &bpf->batch[fit], &errs[i]);
		if (!results[i])
			item[fit++] = i;
	}
	if (fit)
		run_batch(bpf, fit);
	for (uint32_t i = 0; i < fit; i++)
		results[item[i]] = settle(bpf, &flows[item[i]], bpf->batch[i].result, &errs[item[i]]);
}

void fo__bpf_flow_undo(struct fo__bpf *bpf, uint32_t slot)
{
	struct fo__bpf_slot *flow = &bpf->slots[slot];

	fo__bpf_state_set(bpf, slot, FO__BPF_DEAD, 0);
	for (unsigned int dir = 0; dir < 2; dir++)
		(void)bpf_map_delete_elem(fo__bpf_flow_map(bpf, flow->family), &flow->key[dir]);
	dies(bpf, flow, FO__BPF_FREE);
	release_sides(bpf, flow->in);
}

/* ---- end ---- */

static struct fo__bpf_slot *slot_of(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot)
{
	if (slot >= bpf->n_slots || bpf->slots[slot].cookie != cookie ||
	    bpf->slots[slot].life != FO__BPF_LIVE)
		return NULL;
	return &bpf->slots[slot];
}

static void queue_append(struct fo__bpf *bpf, struct fo__bpf_queue *queue, uint32_t slot)
{
	bpf->slots[slot].next = FO__BPF_NONE;
	if (queue->first == FO__BPF_NONE)
		queue->first = slot;
	else
		bpf->slots[queue->last].next = slot;
	queue->last = slot;
}

static void mark_dead(struct fo__bpf *bpf, uint32_t slot)
{
	fo__bpf_state_set(bpf, slot, FO__BPF_DEAD, 0);
	dies(bpf, &bpf->slots[slot], FO__BPF_ENDING);
	queue_append(bpf, &bpf->ending, slot);
}

int fo__bpf_flow_del(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	/* On its way out by itself: now the library wants to hear of it as its own doing. */
	if (slot < bpf->n_slots && bpf->slots[slot].cookie == cookie && bpf->slots[slot].ended) {
		bpf->slots[slot].ended = FO_R_NONE;
		return FO_BACKEND_PENDING;
	}
	if (!slot_of(bpf, cookie, slot))
		return fo__bpf_fail(err, -ENOENT, FO_R_STALE, NULL, 0,
				    "the flow is not in the kernel's maps");
	mark_dead(bpf, slot);
	return FO_BACKEND_PENDING;
}

void fo__bpf_flow_end(struct fo__bpf *bpf, uint32_t slot, enum fo_reason reason)
{
	if (bpf->slots[slot].life != FO__BPF_LIVE)
		return;
	mark_dead(bpf, slot);
	bpf->slots[slot].ended = (uint8_t)reason;
}

static void reap(struct fo__bpf *bpf, uint32_t slot)
{
	struct fo__bpf_slot *flow = &bpf->slots[slot];
	int map = fo__bpf_flow_map(bpf, flow->family);
	uint8_t ended = flow->ended;

	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__bpf_report(bpf, slot, dir);
		(void)bpf_map_delete_elem(map, &flow->key[dir]);
	}
	release_sides(bpf, flow->in);
	flow->ended = FO_R_NONE;
	flow->life = FO__BPF_FREE;
	if (ended)
		bpf->ops->ended(bpf->host, flow->cookie, ended, 0);
	else
		bpf->ops->removed(bpf->host, flow->cookie);
}

bool fo__bpf_flows_reap(struct fo__bpf *bpf, uint64_t until_us)
{
	if (bpf->period && !fo__bpf_grace_over(bpf, bpf->period))
		return false;
	for (uint32_t n = 1; bpf->waiting.first != FO__BPF_NONE; n++) {
		uint32_t slot = bpf->waiting.first;

		bpf->waiting.first = bpf->slots[slot].next;
		reap(bpf, slot);
		if (n % REAP_SLICE == 0 && fo__bpf_now_us() >= until_us)
			return true;
	}
	bpf->waiting = bpf->ending;
	bpf->ending = (struct fo__bpf_queue){FO__BPF_NONE, FO__BPF_NONE};
	bpf->period = bpf->waiting.first != FO__BPF_NONE ? fo__bpf_grace_begin(bpf) : 0;
	return false;
}

/* ---- update and read ---- */

static int write_dscp(struct fo__bpf *bpf, const struct fo__bpf_slot *slot, const uint8_t dscp[2],
		      struct fo_error *err)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__bpf_mark change = {.keep = ~0xff00u, .set = (uint32_t)dscp[dir] << 8};

		if (fo__bpf_mark(bpf, slot->family, &slot->key[dir], &change))
			return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "dscp", 0,
					    "the kernel did not change the flow");
	}
	return 0;
}

int fo__bpf_flow_update(struct fo__bpf *bpf, const struct fo_backend_flow *flow, uint32_t mask,
			struct fo_error *err)
{
	struct fo__bpf_slot *slot = slot_of(bpf, flow->cookie, flow->slot);
	int code = 0;

	if (!slot)
		return fo__bpf_fail(err, -ENOENT, FO_R_STALE, NULL, 0,
				    "the flow is not in the kernel's maps");
	if (mask & FO_UPDATE_ADJ)
		code = fo__bpf_flow_move(bpf, flow, err);
	else if (mask & FO_UPDATE_DSCP)
		code = write_dscp(bpf, slot, flow->flow->dscp, err);
	if (!code)
		note_words(slot, flow);
	return code;
}

int fo__bpf_flow_stats(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot)
{
	struct fo__bpf_slot *flow = slot_of(bpf, cookie, slot);

	for (unsigned int dir = 0; flow && dir < 2; dir++)
		fo__bpf_report(bpf, slot, dir);
	return flow ? 0 : -ENOENT;
}
