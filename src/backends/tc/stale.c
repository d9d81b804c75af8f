/* SPDX-License-Identifier: BSD-2-Clause */
/* stale.c - filters that are at a port already: of an earlier process, or of others. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

/* What is at our priorities. */
struct search {
	const struct fo__tc *tc;
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
	if (seen.ours)
		search->ours[at]++;
	else
		search->foreign = seen.prio;
	return 0;
}

static void look_again(void *arg)
{
	struct search *search = arg;

	*search = (struct search){.tc = search->tc};
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
	struct search search = {.tc = tc};
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
