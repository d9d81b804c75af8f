/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt.c - flows whose filters an earlier process left become this table's. See state.h, docs/TC.md.
 *
 * That process may have been killed at any point, and its filters go on forwarding meanwhile. They are input: a flow is made of what
 * they say, and then it is this table that says what their filters would be. Only where these are the ones that are there, key
 * by key and action by action, is it a flow. So adoption is an add whose filters are in the hardware already.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#define FLOWS_MOST (FO__TC_BATCH / 2)
/* Nobody knows how many flows came after the newest that was found, and ended. */
#define GENERATIONS_SKIPPED (UINT32_C(1) << 20)

/* A flow as its filters say it. */
struct candidate {
	uint32_t slot;
	struct fo__tc_told told[2];
	uint8_t read[2];
	struct fo_adj side[2];
	struct fo_flow flow;
	struct fo__tc_rule rule[2];
};

struct adoption {
	struct fo__tc *tc;
	uint32_t *sides; /* by handle: slot * 2 + direction + 1 of a flow that comes from there */
	uint32_t n_buckets;
	/* some flows at a time */
	struct candidate candidates[FLOWS_MOST];
	size_t n;
	/* ... and those of them that their filters show */
	struct candidate *shown[FLOWS_MOST];
	struct fo_backend_flow flows[FLOWS_MOST];
	struct fo__ct_kept kept[FLOWS_MOST];
	int results[FLOWS_MOST];
	struct fo_error errs[FLOWS_MOST];
	size_t n_shown;
	uint32_t first_seq;
	struct fo__tc_told ours; /* as this table would put it */
	uint8_t buffer[4096] __attribute__((aligned(4)));
};

/* ---- What is there ---- */

void fo__tc_adopt_note(struct fo__tc *tc, struct fo__tc_port *port, const struct fo__tc_seen *seen)
{
	uint32_t slot = (seen->handle - 1) / 2, generation = (uint32_t)(seen->cookie.flow >> 32);
	unsigned int dir = (seen->handle - 1) & 1;
	int shape = fo__tc_guard_shape(tc, port, seen);
	uint8_t prio = (uint8_t)(seen->prio - tc->own.priority);
	struct fo__tc_record *record;

	if (shape >= 0)
		port->found |= (uint16_t)(1u << shape);
	if (seen->cookie.kind != FO__TC_OF_FLOW || slot >= tc->n_slots)
		return;
	if (generation > tc->newest)
		tc->newest = generation;
	record = fo__tc_record_take(tc, slot);
	/* In two places: a change was under way. The same one again: the dump was begun anew. */
	if (record->there[dir])
		record->there[dir] +=
			record->port[dir] != fo__tc_place(tc, port) || record->prio[dir] != prio;
	else
		record->there[dir] = 1;
	if (record->there[dir] > 2)
		record->there[dir] = 2;
	record->port[dir] = fo__tc_place(tc, port);
	record->prio[dir] = prio;
}

static int answered(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct adoption *adoption = arg;
	uint32_t at = seq - adoption->first_seq;
	struct candidate *candidate;

	(void)error;
	if (!nlh || at >= 2 * adoption->n)
		return 0;
	candidate = &adoption->candidates[at / 2];
	candidate->read[at & 1] = !fo__tc_read_back(nlh, &candidate->told[at & 1]);
	return 0;
}

/* Both filters of each, from slot on; returns the slot after the last. */
static uint32_t read_some(struct adoption *adoption, uint32_t slot)
{
	struct fo__tc *tc = adoption->tc;
	struct fo__tx tx;

	adoption->n = 0;
	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	adoption->first_seq = tx.first_seq;
	for (; slot < tc->high && adoption->n < FLOWS_MOST; slot++) {
		const struct fo__tc_record *record = &tc->records[slot];
		struct candidate *candidate = &adoption->candidates[adoption->n];

		if (record->there[0] != 1 || record->there[1] != 1)
			continue;
		adoption->n++;
		memset(candidate, 0, sizeof(*candidate));
		candidate->slot = slot;
		for (unsigned int dir = 0; dir < 2; dir++)
			fo__tc_put_get(tc, &tx, 0, &tc->ports[record->port[dir]], record->prio[dir],
				       fo__tc_handle(slot, dir));
	}
	/* What is not answered is not read. */
	if (adoption->n)
		(void)fo__nl_talk(&tc->set, &tx, answered, adoption, NULL);
	return slot;
}

/* ---- A flow from its filters ---- */

static int is_timeout(uint32_t timeout_ms)
{
	return timeout_ms == FO_TIMEOUT_NEVER || (timeout_ms && timeout_ms <= FO_TIMEOUT_MAX_MS);
}

static int has_right_names(const struct candidate *candidate)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__tc_told *told = &candidate->told[dir];
		const struct fo__tc_cookie *cookie = &told->seen.cookie;

		if (!candidate->read[dir] || !told->seen.in_hw || cookie->version != FO__TC_VERSION ||
		    cookie->kind != FO__TC_OF_FLOW || cookie->dir != dir ||
		    (uint32_t)cookie->flow != candidate->slot || !(cookie->flow >> 32) ||
		    told->seen.handle != fo__tc_handle(candidate->slot, dir) ||
		    (told->tuple.proto != IPPROTO_TCP && told->tuple.proto != IPPROTO_UDP))
			return 0;
	}
	return candidate->told[0].seen.cookie.flow == candidate->told[1].seen.cookie.flow &&
	       is_timeout(candidate->told[1].kept.reply.timeout_ms) && !candidate->told[1].kept.reply.zero;
}

/* On a shared block a filter names its device. */
static const struct fo__tc_port *port_of(struct fo__tc *tc, const struct candidate *candidate,
					 unsigned int dir)
{
	const struct fo__tc_port *port = &tc->ports[tc->records[candidate->slot].port[dir]];

	for (unsigned int i = 0; port->block && i < FO__TC_PORTS; i++)
		if (tc->ports[i].index && tc->ports[i].block == port->block &&
		    !strcmp(tc->ports[i].name, candidate->told[dir].indev))
			return &tc->ports[i];
	return port->block ? NULL : port;
}

/* What the filter of one direction writes is how the other side's packets look. */
static int make_side(struct fo__tc *tc, struct candidate *candidate, unsigned int dir)
{
	const struct fo__tc_told *own = &candidate->told[dir], *other = &candidate->told[1 - dir];
	const struct fo__tc_port *port = port_of(tc, candidate, dir);
	struct fo_adj *side = &candidate->side[dir];

	if (!port)
		return -EINVAL;
	FO_INIT(side);
	side->port = port->index;
	side->l3_dev = own->kept.l3_dev;
	side->mtu = own->kept.mtu;
	memcpy(side->own_mac, other->own_mac, 6);
	memcpy(side->peer_mac, other->peer_mac, 6);
	side->n_encaps = other->n_encaps;
	memcpy(side->encap, other->encap, sizeof(other->encap));
	return fo__tc_adj_check(side, NULL);
}

static void make_flow(struct candidate *candidate, struct fo_backend_flow *out)
{
	const struct fo__tc_kept *kept[2] = {&candidate->told[0].kept, &candidate->told[1].kept};
	struct fo_flow *flow = &candidate->flow;

	FO_INIT(flow);
	flow->user = kept[FO_ORIGINAL]->original.user;
	flow->tag = kept[FO_ORIGINAL]->original.tag;
	flow->ct_mark = kept[FO_ORIGINAL]->original.mark;
	flow->timeout_ms = kept[FO_REPLY]->reply.timeout_ms;
	*out = (struct fo_backend_flow){.size = sizeof(*out),
					.cookie = candidate->told[0].seen.cookie.flow,
					.slot = candidate->slot,
					.timeout_ms = flow->timeout_ms,
					.flow = flow,
					.since_ms = kept[FO_REPLY]->reply.since_ms};
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__tc_told *told = &candidate->told[dir];

		flow->tuple[dir] = told->tuple;
		flow->adj[dir] = told->kept.side;
		flow->dscp[dir] = told->dscp;
		out->in[dir] = out->to[1 - dir] = &candidate->side[dir];
		fo__tc_leaves(&told->tuple, &candidate->told[1 - dir].tuple, &out->out[dir]);
	}
}

/* ---- Is it that flow? ---- */

/* Would this table put just this filter? */
static int is_ours(struct adoption *adoption, struct candidate *candidate, unsigned int dir)
{
	struct fo__tc_rule *rule = &candidate->rule[dir];
	const struct fo__tc_told *told = &candidate->told[dir], *ours = &adoption->ours;
	struct fo__tx tx;

	rule->cookie.turn = told->seen.cookie.turn;
	fo__tx_begin(&tx, adoption->buffer, sizeof(adoption->buffer), 1);
	fo__tc_put_rule(adoption->tc, &tx, 0, rule);
	return fo__tx_end(&tx) > 0 &&
	       !fo__tc_read_back((const struct nlmsghdr *)adoption->buffer, &adoption->ours) &&
	       told->size == ours->size && !memcmp(told->words, ours->words, told->size);
}

static uint32_t *side_at(const struct adoption *adoption, fo_adj_id id)
{
	uint32_t at = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (adoption->n_buckets - 1);

	while (adoption->sides[at]) {
		uint32_t number = adoption->sides[at] - 1;

		if (adoption->tc->records[number / 2].kept[number & 1].side == id)
			break;
		at = (at + 1) & (adoption->n_buckets - 1);
	}
	return &adoption->sides[at];
}

/* The side as flows have it that were adopted before; NULL: none comes from there. */
static const struct fo_adj *known_side(const struct adoption *adoption, fo_adj_id id)
{
	uint32_t number = *side_at(adoption, id);

	return number ? &adoption->tc->records[(number - 1) / 2].adj[(number - 1) & 1] : NULL;
}

static int agrees(const struct fo_adj *known, const struct fo_adj *side)
{
	return known->port == side->port && known->l3_dev == side->l3_dev && known->mtu == side->mtu &&
	       known->n_encaps == side->n_encaps && !memcmp(known->own_mac, side->own_mac, 6) &&
	       !memcmp(known->peer_mac, side->peer_mac, 6) &&
	       !memcmp(known->encap, side->encap, sizeof(side->encap));
}

static int is_shown(struct adoption *adoption, struct candidate *candidate)
{
	struct fo_backend_flow *flow = &adoption->flows[adoption->n_shown];

	if (!has_right_names(candidate) || make_side(adoption->tc, candidate, 0) ||
	    make_side(adoption->tc, candidate, 1))
		return 0;
	make_flow(candidate, flow);
	for (unsigned int dir = 0; dir < 2; dir++)
		if (fo__tc_make_rule(adoption->tc, flow, dir, &candidate->rule[dir], NULL) ||
		    !is_ours(adoption, candidate, dir))
			return 0;
	return 1;
}

/* ---- It is ---- */

/* All that the direction counted, since the flow was added. */
static void count(struct fo__tc *tc, struct fo__tc_record *record, unsigned int dir,
		  const struct fo__tc_told *told)
{
	uint64_t overhead = told->seen.packets * record->overhead[dir], now = fo__tc_now(tc), last = 0;

	record->packets[dir] = (uint32_t)told->seen.packets;
	record->bytes[dir] = told->seen.bytes;
	record->kept[dir].packets = told->kept.packets + told->seen.packets;
	record->kept[dir].bytes =
		told->kept.bytes + (told->seen.bytes > overhead ? told->seen.bytes - overhead : 0);
	if (record->kept[dir].packets)
		last = told->used_ms < now ? now - told->used_ms : 1;
	tc->ops->count(tc->host, record->cookie, (enum fo_dir)dir, record->kept[dir].packets,
		       record->kept[dir].bytes, last);
}

static void enter(struct adoption *adoption, size_t i)
{
	struct fo__tc *tc = adoption->tc;
	const struct candidate *candidate = adoption->shown[i];
	struct fo__tc_record *record = fo__tc_record_take(tc, candidate->slot);

	memset(record, 0, sizeof(*record));
	record->cookie = adoption->flows[i].cookie;
	record->ct = adoption->kept[i];
	record->timeout_ms = adoption->flows[i].timeout_ms;
	record->life = FO__TC_LIVE;
	record->state = FO_STATE_HARDWARE;
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t *side;

		record->there[dir] = 1;
		record->seen[dir] = tc->pass;
		fo__tc_record_rule(tc, record, dir, &candidate->rule[dir]);
		side = side_at(adoption, candidate->flow.adj[dir]);
		if (!*side)
			*side = candidate->slot * 2 + dir + 1;
		count(tc, record, dir, &candidate->told[dir]);
	}
	fo__tc_record_link(tc, candidate->slot);
	tc->adopted++;
}

static int restore(struct adoption *adoption, size_t i)
{
	struct fo__tc *tc = adoption->tc;
	const struct candidate *candidate = adoption->shown[i];
	const struct fo_flow *flow = &candidate->flow;
	int rc = 0;

	for (unsigned int dir = 0; !rc && dir < 2; dir++) {
		const struct fo_adj *known = known_side(adoption, flow->adj[dir]);

		/* Of a hairpin both are one. */
		if (dir && flow->adj[1] == flow->adj[0])
			known = &candidate->side[0];
		if (!known)
			rc = tc->ops->restore_adj(tc->host, flow->adj[dir], &candidate->side[dir]);
		else if (!agrees(known, &candidate->side[dir]))
			rc = -EEXIST;
	}
	return rc ? rc
		  : tc->ops->restore_flow(tc->host, adoption->flows[i].cookie, flow, FO_STATE_HARDWARE,
					  adoption->flows[i].since_ms);
}

static void adopt_some(struct adoption *adoption)
{
	struct fo__tc *tc = adoption->tc;

	adoption->n_shown = 0;
	for (size_t i = 0; i < adoption->n; i++)
		if (is_shown(adoption, &adoption->candidates[i]))
			adoption->shown[adoption->n_shown++] = &adoption->candidates[i];
	memset(adoption->results, 0, sizeof(adoption->results));
	memset(adoption->kept, 0, sizeof(adoption->kept));
	if (tc->care)
		fo__ct_admit(tc->care, adoption->flows, adoption->kept, adoption->n_shown, adoption->results,
			     adoption->errs);
	for (size_t i = 0; i < adoption->n_shown; i++) {
		if (adoption->results[i])
			continue;
		if (!restore(adoption, i))
			enter(adoption, i);
		else if (tc->care)
			fo__ct_dismiss(tc->care, &adoption->flows[i].flow->tuple[0], &adoption->kept[i]);
	}
}

/* ---- All of it ---- */

/* What was only noted is none of the table's. */
static void forget_notes(struct fo__tc *tc)
{
	for (uint32_t slot = 0; slot < tc->high; slot++)
		if (!tc->records[slot].cookie)
			memset(&tc->records[slot], 0, sizeof(tc->records[slot]));
	for (unsigned int i = 0; i < FO__TC_PORTS; i++)
		tc->ports[i].found = 0;
}

static void adopt_flows(struct adoption *adoption)
{
	struct fo__tc *tc = adoption->tc;
	uint32_t most = UINT32_MAX - GENERATIONS_SKIPPED, slot = 0;

	while (slot < tc->high) {
		slot = read_some(adoption, slot);
		adopt_some(adoption);
	}
	if (tc->newest)
		tc->ops->restore_used(
			tc->host, (uint64_t)((tc->newest < most ? tc->newest : most) + GENERATIONS_SKIPPED)
					  << 32);
}

int fo__tc_adopt(struct fo__tc *tc, struct fo_error *err)
{
	struct adoption *adoption = tc->ops->alloc(tc->host, sizeof(*adoption), 64);
	struct fo__nl_answer answer = {.error = 0};
	uint32_t n_buckets = 16;
	size_t size;
	int rc = 0;

	/* Each flow may bring two. */
	while (n_buckets < 4 * (uint64_t)tc->high && n_buckets < UINT32_C(1) << 31)
		n_buckets *= 2;
	size = n_buckets * sizeof(uint32_t);
	if (adoption) {
		memset(adoption, 0, sizeof(*adoption));
		adoption->tc = tc;
		adoption->n_buckets = n_buckets;
		adoption->sides = tc->ops->alloc(tc->host, size, 64);
	}
	if (adoption && adoption->sides) {
		memset(adoption->sides, 0, size);
		adopt_flows(adoption);
		tc->ops->free(tc->host, adoption->sides, size);
	} else {
		rc = fo__nl_refuse(
			err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
			"no memory to look at what an earlier process left: create the table without "
			"FO_TABLE_PERSIST, which removes it");
	}
	if (adoption)
		tc->ops->free(tc->host, adoption, sizeof(*adoption));
	if (rc)
		return rc;
	forget_notes(tc);
	rc = fo__tc_sweep(tc, &answer);
	if (rc)
		return fo__nl_refused(err, -EIO, FO_STAGE_RESOLVE, &answer,
				      "filters of an earlier process cannot be removed");
	tc->adopting = 0;
	return 0;
}
