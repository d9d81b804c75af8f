/* SPDX-License-Identifier: BSD-2-Clause */
/* update.c - flows whose sides or DSCP change, or, where filters keep them, the caller's words: new filters for old ones,
 * both or none. See state.h.
 *
 * A filter with the same port and priority is replaced under its handle, so that no packet misses it; what it counted is read
 * just before. One that hangs elsewhere comes before the old one goes.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

struct change {
	struct fo__tc *tc;
	uint32_t slot, first_seq;
	struct fo__tc_rule now[2], then[2];
	struct fo_tuple now_out[2];
	uint8_t moves[2]; /* to another port or priority */
	uint16_t errors[2];
	uint8_t in_hw[2];
};

static int answered(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct change *change = arg;
	uint32_t dir = seq - change->first_seq;
	struct fo__tc_seen seen;

	if (dir > 1)
		return 0;
	if (!nlh)
		change->errors[dir] = (uint16_t)error;
	else if (!fo__tc_read(nlh, &seen))
		change->in_hw[dir] = seen.in_hw;
	return 0;
}

/* What goes on: when it began, and what was counted so far. */
static void go_on(const struct change *change, unsigned int dir, struct fo__tc_rule *rule)
{
	const struct fo__tc_kept *kept = &change->tc->records[change->slot].kept[dir];

	rule->kept.packets = kept->packets;
	rule->kept.bytes = kept->bytes;
	if (dir == FO_REPLY)
		rule->kept.reply.since_ms = kept->reply.since_ms;
}

static int put_new(struct change *change, struct fo__nl_answer *answer)
{
	struct fo__tc *tc = change->tc;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	change->first_seq = tx.first_seq;
	for (unsigned int dir = 0; dir < 2; dir++) {
		go_on(change, dir, &change->then[dir]);
		fo__tc_put_rule(tc, &tx, NLM_F_ECHO | (change->moves[dir] ? NLM_F_EXCL : 0),
				&change->then[dir]);
	}
	return fo__nl_talk(&tc->set, &tx, answered, change, answer);
}

static int is_in(const struct change *change, unsigned int dir)
{
	return !change->errors[dir] && (change->in_hw[dir] || change->tc->own.mode == FO_TC_SOFTWARE);
}

/* A filter that was put there counts from nothing. */
static void begin_anew(struct change *change, unsigned int dir, const struct fo__tc_rule *rule)
{
	struct fo__tc_record *record = &change->tc->records[change->slot];

	record->packets[dir] = 0;
	record->bytes[dir] = 0;
	record->turn[dir] = rule->cookie.turn;
}

/* What was put goes, and what it replaced is put back. */
static void put_back(struct change *change)
{
	struct fo__tc *tc = change->tc;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__tc_rule *then = &change->then[dir];

		if (change->errors[dir])
			continue;
		if (change->moves[dir]) {
			fo__tc_put_delete(tc, &tx, 0, then->port, then->prio, then->handle);
			continue;
		}
		change->now[dir].cookie.turn = (uint8_t)(then->cookie.turn + 1);
		go_on(change, dir, &change->now[dir]);
		fo__tc_put_rule(tc, &tx, 0, &change->now[dir]);
		begin_anew(change, dir, &change->now[dir]);
	}
	if (tx.nlh)
		(void)fo__nl_talk(&tc->set, &tx, NULL, NULL, NULL);
}

static int counted(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct change *change = arg;
	struct fo__tc_seen seen;

	(void)seq;
	(void)error;
	if (nlh && !fo__tc_read(nlh, &seen) && seen.ours && seen.cookie.dir < 2)
		fo__tc_count(change->tc, change->slot, seen.cookie.dir, &seen);
	return 0;
}

static void drop_old(struct change *change)
{
	struct fo__tc *tc = change->tc;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	for (unsigned int dir = 0; dir < 2; dir++)
		if (change->moves[dir])
			fo__tc_put_delete(tc, &tx, NLM_F_ECHO, change->now[dir].port, change->now[dir].prio,
					  change->now[dir].handle);
	if (tx.nlh)
		(void)fo__nl_talk(&tc->set, &tx, counted, change, NULL);
}

static int refused(const struct change *change, const struct fo__nl_answer *answer, struct fo_error *err)
{
	unsigned int dir = is_in(change, 0);

	if (!change->errors[dir])
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VERIFY, 0, NULL,
				     "the change was taken, but is not in hardware: it was taken back");
	fo__tc_remember(change->tc, &change->then[dir], change->errors[dir], answer->words);
	return fo__tc_refused(err, change->errors[dir], answer->words,
			      dir ? "the change of the reply direction"
				  : "the change of the original direction");
}

static int change_rules(struct change *change, struct fo_error *err)
{
	struct fo__tc *tc = change->tc;
	struct fo__nl_answer answer = {.error = 0};
	int rc;

	(void)fo__tc_flow_stats(tc, change->slot);
	rc = put_new(change, &answer);
	if (rc && answer.error != -rc) {
		memset(change->errors, 0, sizeof(change->errors));
		put_back(change);
		return fo__tc_refused(err, -rc, "", "the change");
	}
	if (!is_in(change, 0) || !is_in(change, 1)) {
		put_back(change);
		return refused(change, &answer, err);
	}
	drop_old(change);
	for (unsigned int dir = 0; dir < 2; dir++)
		begin_anew(change, dir, &change->then[dir]);
	return 0;
}

static void take_over(struct change *change)
{
	struct fo__tc *tc = change->tc;
	struct fo__tc_record *record = &tc->records[change->slot];

	for (unsigned int dir = 0; dir < 2; dir++)
		fo__tc_record_rule(tc, record, dir, &change->then[dir]);
}

static int is_same_place(const struct fo__tc_rule *a, const struct fo__tc_rule *b)
{
	return a->port == b->port && a->prio == b->prio;
}

int fo__tc_flow_update(struct fo__tc *tc, const struct fo_backend_flow *flow, uint32_t mask,
		       struct fo_error *err)
{
	struct fo__tc_record *record = fo__tc_record(tc, flow->cookie, flow->slot);
	struct change change = {.tc = tc, .slot = flow->slot};
	int rc = 0;

	if (!record)
		return 0;
	if (tc->persists || (mask & (FO_UPDATE_ADJ | FO_UPDATE_DSCP))) {
		if (record->life == FO__TC_PENDING)
			return fo__nl_refuse(err, -EAGAIN, FO_R_BUSY, FO_STAGE_INSTALL, 0, NULL,
					     "the flow is being put into the hardware: poll, and try again");
		for (unsigned int dir = 0; !rc && dir < 2; dir++) {
			fo__tc_rule_of(tc, flow->slot, dir, &change.now_out[dir], &change.now[dir]);
			rc = fo__tc_make_rule(tc, flow, dir, &change.then[dir], err);
			change.then[dir].cookie.turn = (uint8_t)(record->turn[dir] + 1);
			change.moves[dir] = (uint8_t)!is_same_place(&change.now[dir], &change.then[dir]);
		}
		if (!rc)
			rc = change_rules(&change, err);
		if (!rc)
			take_over(&change);
	}
	if (!rc && (mask & FO_UPDATE_TIMEOUT)) {
		record->timeout_ms = flow->timeout_ms;
		fo__ct_retime(&record->ct, flow->timeout_ms);
	}
	return rc;
}
