/* SPDX-License-Identifier: BSD-2-Clause */
/* stale.c - filters that are at a port already: of an earlier process, or of others. See state.h; adopt.c is for those that
 * are to live on. */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

/* A dump that others disturb begins anew. */
#define SWEEPS_MOST 8u

/* What is at our priorities. */
struct search {
	struct fo__tc *tc;
	struct fo__tc_port *port; /* NULL: nothing of it is to be adopted */
	uint32_t ours[FO__TC_PRIOS];
	uint32_t foreign; /* a priority of ours that others use; 0: none */
	uint32_t any;
};

static int look(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct search *search = arg;
	struct fo__tc_seen seen;
	uint32_t at;
	int rc = fo__tc_read(nlh, &seen);

	(void)seq;
	(void)error;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	search->any++;
	at = seen.prio - search->tc->own.priority;
	if (at >= FO__TC_PRIOS)
		return 0;
	if (!seen.ours)
		search->foreign = seen.prio;
	else if (search->port)
		fo__tc_adopt_note(search->tc, search->port, &seen);
	else
		search->ours[at]++;
	return 0;
}

static void look_again(void *arg)
{
	struct search *search = arg;

	*search = (struct search){.tc = search->tc, .port = search->port};
}

static int dump(struct fo__tc *tc, const struct fo__tc_port *port, int egress, struct search *search)
{
	struct tcmsg *header;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	header = fo__tc_message(tc, &tx, RTM_GETTFILTER, NLM_F_DUMP, port, FO__TC_GUARD_V4, 0);
	if (!header)
		return -EMSGSIZE;
	header->tcm_info = 0; /* all priorities */
	if (egress)
		header->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);
	return fo__nl_dump(&tc->set, &tx, look, search, look_again);
}

int fo__tc_has_filters(struct fo__tc *tc, const struct fo__tc_port *port)
{
	struct search search = {.tc = tc};
	uint32_t any;
	int rc = dump(tc, port, 0, &search);

	any = search.any;
	if (!rc)
		rc = dump(tc, port, 1, &search);
	return rc ? rc : any + search.any > 0;
}

/* All filters of one priority, in one message. */
static int delete_all(struct fo__tc *tc, const struct fo__tc_port *port, enum fo__tc_prio prio,
		      struct fo__nl_answer *answer)
{
	struct fo__tx tx;
	int rc;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	fo__tc_put_delete(tc, &tx, 0, port, prio, 0);
	rc = fo__nl_talk(&tc->set, &tx, NULL, NULL, answer);
	return rc == -ENOENT ? 0 : rc;
}

int fo__tc_clear(struct fo__tc *tc, struct fo__tc_port *port, struct fo_error *err)
{
	struct search search = {.tc = tc, .port = tc->adopting ? port : NULL};
	struct fo__nl_answer answer = {.error = 0};
	int rc = dump(tc, port, 0, &search);

	if (rc)
		return fo__nl_refused(err, rc, FO_STAGE_RESOLVE, NULL, "filters cannot be read");
	if (search.foreign)
		return fo__nl_refuse(err, -EBUSY, FO_R_IN_USE, FO_STAGE_RESOLVE, EBUSY,
				     "backend_options.priority",
				     "%s has filters of others at priority %u, which is one of the table's: "
				     "choose another",
				     port->name, search.foreign);
	for (unsigned int prio = 0; !rc && prio < FO__TC_PRIOS; prio++)
		if (search.ours[prio]) {
			rc = delete_all(tc, port, prio, &answer);
			tc->cleared += rc ? 0 : search.ours[prio];
		}
	return rc ? fo__nl_refused(err, -EIO, FO_STAGE_RESOLVE, &answer,
				   "filters of an earlier process cannot be removed")
		  : 0;
}

/* ---- All but what was adopted ---- */

struct sweep {
	struct fo__tc *tc;
	struct fo__tc_port *port;
	enum fo__tc_prio prio;
	uint32_t handles[FO__TC_BATCH];
	size_t n;
	int more; /* than there is room for */
};

static int is_adopted(const struct sweep *sweep, const struct fo__tc_seen *seen)
{
	struct fo__tc *tc = sweep->tc;
	unsigned int dir = (seen->handle - 1) & 1;
	const struct fo__tc_record *record;

	/* Guards of all ports of a shared block are in one place. */
	for (unsigned int i = 0; i < FO__TC_PORTS; i++) {
		int shape = tc->ports[i].index ? fo__tc_guard_shape(tc, &tc->ports[i], seen) : -ENOENT;

		if (shape >= 0 && tc->ports[i].block == sweep->port->block &&
		    (tc->ports[i].block || &tc->ports[i] == sweep->port))
			return tc->ports[i].guards >> shape & 1;
	}
	record = fo__tc_record(tc, seen->cookie.flow, (seen->handle - 1) / 2);
	return record && seen->cookie.kind == FO__TC_OF_FLOW && record->turn[dir] == seen->cookie.turn &&
	       record->prio[dir] == sweep->prio && tc->ports[record->port[dir]].block == sweep->port->block &&
	       (sweep->port->block || &tc->ports[record->port[dir]] == sweep->port);
}

static int shown(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct sweep *sweep = arg;
	struct fo__tc_seen seen;
	int rc = fo__tc_read(nlh, &seen);

	(void)seq;
	(void)error;
	if (rc || !seen.ours || is_adopted(sweep, &seen))
		return rc == -ENOENT ? 0 : rc;
	if (sweep->n < FO__TC_BATCH)
		sweep->handles[sweep->n++] = seen.handle;
	else
		sweep->more = 1;
	return 0;
}

static int remove_shown(struct sweep *sweep, struct fo__nl_answer *answer)
{
	struct fo__tc *tc = sweep->tc;
	struct fo__tx tx;
	int rc;

	if (!sweep->n)
		return 0;
	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	for (size_t i = 0; i < sweep->n; i++)
		fo__tc_put_delete(tc, &tx, 0, sweep->port, sweep->prio, sweep->handles[i]);
	rc = fo__nl_talk(&tc->set, &tx, NULL, NULL, answer);
	tc->cleared += (uint32_t)sweep->n;
	sweep->n = 0;
	return rc == -ENOENT ? 0 : rc;
}

/* Removes while it reads. */
static int sweep_once(struct sweep *sweep, struct fo__nl_answer *answer)
{
	struct fo__tc *tc = sweep->tc;
	uint8_t buffer[128] __attribute__((aligned(4)));
	struct fo__tx tx;
	int rc, code = 0;

	sweep->more = 0;
	fo__tx_begin(&tx, buffer, sizeof(buffer), tc->dump.seq);
	fo__tc_put_get(tc, &tx, NLM_F_DUMP, sweep->port, sweep->prio, 0);
	rc = fo__nl_dump_begin(&tc->dump, &tx);
	if (rc)
		return rc;
	do {
		rc = fo__nl_dump_step(&tc->dump, shown, sweep);
		if (!code)
			code = remove_shown(sweep, answer);
	} while (rc == 1);
	return code ? code : rc;
}

int fo__tc_sweep(struct fo__tc *tc, struct fo__nl_answer *answer)
{
	for (unsigned int at = 0; at < FO__TC_PORTS; at++)
		for (unsigned int prio = 0; fo__tc_port_shows(tc, at) && prio < FO__TC_PRIOS; prio++) {
			struct sweep sweep = {.tc = tc, .port = &tc->ports[at], .prio = prio, .more = 1};
			unsigned int times = 0;
			int rc = -EINTR;

			while ((rc == -EINTR || (!rc && sweep.more)) && times++ < SWEEPS_MOST)
				rc = sweep_once(&sweep, answer);
			if (rc)
				return rc;
		}
	return 0;
}
