/* SPDX-License-Identifier: BSD-2-Clause */
/* flows.c - flows that come and go: two filters each, both or none. See state.h.
 *
 * Both filters of many flows go in one request. What is refused of one direction takes the other one with it. A filter that
 * goes tells its last counters itself (NLM_F_ECHO).
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#define FLOWS_MOST (FO__TC_BATCH / 2)

/* ---- What a direction says ---- */

static uint8_t capabilities_of(const struct fo_backend_flow *flow, unsigned int dir)
{
	const struct fo_adj *from = flow->in[dir], *into = flow->to[dir];
	uint32_t tags = from->n_encaps > into->n_encaps ? from->n_encaps : into->n_encaps;

	return (uint8_t)((flow->flow->tuple[dir].family == FO_FAMILY_IPV4 ? FO__TC_CAN_V4 : FO__TC_CAN_V6) |
			 (tags ? FO__TC_CAN_VLAN : 0) | (tags > 1 ? FO__TC_CAN_QINQ : 0) |
			 (flow->flow->dscp[dir] ? FO__TC_CAN_DSCP : 0));
}

static const char *word_for(uint8_t missing)
{
	if (missing & (FO__TC_CAN_V4 | FO__TC_CAN_V6))
		return missing & FO__TC_CAN_V4 ? "IPv4" : "IPv6";
	if (missing & FO__TC_CAN_QINQ)
		return "two VLAN tags";
	return missing & FO__TC_CAN_VLAN ? "VLAN tags" : "writing DSCP";
}

/* Where nothing sends long frames to the host they must not come; and a packet engine goes by the MTU of the port, not by
 * that of a device on top of it. */
static int check_length(struct fo__tc *tc, struct fo__tc_port *from, struct fo__tc_port *port, uint8_t can,
			const struct fo_adj *into, struct fo_error *err)
{
	struct fo__tc_port *narrow = tc->profile == FO_TC_PROFILE_EXPLICIT ? from : port;
	struct fo__link link;

	if ((tc->profile == FO_TC_PROFILE_EXPLICIT && (can & FO__TC_CAN_POLICE)) || into->mtu >= narrow->mtu)
		return 0;
	/* It may have changed since the last notice was read. */
	if (!fo__link_get(&tc->set, narrow->index, &link))
		narrow->mtu = link.mtu;
	if (into->mtu >= narrow->mtu)
		return 0;
	return fo__nl_refuse(
		err, -EOPNOTSUPP, FO_R_MTU, FO_STAGE_RESOLVE, 0, "mtu",
		"packets of up to %u bytes would leave by %s, but mtu is %u, and the hardware cannot tell "
		"them apart: give the port this MTU, or leave it to the slow path",
		narrow->mtu, port->name, into->mtu);
}

static int find_port(struct fo__tc *tc, uint32_t index, unsigned int dir, struct fo__tc_port **out,
		     struct fo_error *err)
{
	*out = fo__tc_port(tc, index);
	if (*out && fo__tc_port_works(*out))
		return 0;
	return fo__nl_refuse(err, -ENODEV, FO_R_EGRESS_DOWN, FO_STAGE_RESOLVE, 0, dir ? "adj[1]" : "adj[0]",
			     "port %u is down, without a carrier, or gone: add the flow when it is up",
			     index);
}

/* For the next owner. */
static void keep(const struct fo_backend_flow *flow, unsigned int dir, struct fo__tc_kept *kept)
{
	kept->side = flow->flow->adj[dir];
	kept->l3_dev = flow->in[dir]->l3_dev;
	kept->mtu = flow->in[dir]->mtu;
	if (dir == FO_ORIGINAL) {
		kept->original.user = flow->flow->user;
		kept->original.tag = flow->flow->tag;
		kept->original.mark = flow->flow->ct_mark;
	} else {
		kept->reply.since_ms = flow->since_ms;
		kept->reply.timeout_ms = flow->timeout_ms;
	}
}

int fo__tc_make_rule(struct fo__tc *tc, const struct fo_backend_flow *flow, unsigned int dir,
		     struct fo__tc_rule *rule, struct fo_error *err)
{
	struct fo__tc_port *from, *into;
	uint8_t missing, *can;
	int rc = find_port(tc, flow->in[dir]->port, dir, &from, err);

	if (!rc)
		rc = find_port(tc, flow->to[dir]->port, 1 - dir, &into, err);
	if (rc)
		return rc;
	can = &tc->pair[fo__tc_place(tc, from)][fo__tc_place(tc, into)];
	if (!*can)
		rc = fo__tc_probe_pair(tc, fo__tc_place(tc, from), fo__tc_place(tc, into), err);
	if (rc)
		return rc;
	missing = capabilities_of(flow, dir) & (uint8_t) ~*can;
	if (missing)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "adj",
				     "the hardware from %s to %s does not take %s: leave it to the slow path",
				     from->name, into->name, word_for(missing));
	rc = check_length(tc, from, into, *can, flow->to[dir], err);
	if (rc)
		return rc;
	*rule = (struct fo__tc_rule){
		.cookie = {FO__TC_MAGIC, FO__TC_VERSION, FO__TC_OF_FLOW, (uint8_t)dir, 0, flow->cookie},
		.port = from,
		.to = into->index,
		.handle = fo__tc_handle(flow->slot, dir),
		.prio = fo__tc_prio_of(flow->in[dir], flow->flow->tuple[dir].family),
		.in = &flow->flow->tuple[dir],
		.out = &flow->out[dir],
		.from = flow->in[dir],
		.into = flow->to[dir],
		.dscp = flow->flow->dscp[dir],
		.police = (*can & FO__TC_CAN_POLICE) != 0};
	keep(flow, dir, &rule->kept);
	rc = fo__tc_remembered(tc, rule, err);
	if (rc)
		return rc;
	rc = fo__tc_guard(tc, from, flow->in[dir], flow->flow->tuple[dir].family, err);
	if (rc && err)
		fo__tc_remember(tc, rule, err->backend_errno, "its guard was refused");
	return rc;
}

/* ---- Coming ---- */

struct adding {
	struct fo__tc *tc;
	const struct fo_backend_flow *flows;
	unsigned int *states;
	int *results;
	struct fo_error *errs;
	struct fo__ct_kept kept[FLOWS_MOST];
	struct fo__tc_rule rules[FLOWS_MOST][2];
	/* of both filters, by their place in the request */
	uint32_t first_seq;
	uint8_t owner[FO__TC_BATCH];   /* whose they are */
	uint16_t errors[FO__TC_BATCH]; /* 0: taken */
	uint8_t in_hw[FO__TC_BATCH];
	size_t n_rules;
};

static void prepare(struct adding *adding, size_t n)
{
	struct fo__tc *tc = adding->tc;

	for (size_t i = 0; i < n; i++) {
		int *result = &adding->results[i];

		*result = 0;
		for (unsigned int dir = 0; !*result && dir < 2; dir++)
			*result = fo__tc_make_rule(tc, &adding->flows[i], dir, &adding->rules[i][dir],
						   &adding->errs[i]);
	}
	if (tc->care)
		fo__ct_admit(tc->care, adding->flows, adding->kept, n, adding->results, adding->errs);
}

static int answered(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct adding *adding = arg;
	uint32_t at = seq - adding->first_seq;
	struct fo__tc_seen seen;

	if (at >= adding->n_rules)
		return 0;
	if (!nlh)
		adding->errors[at] = (uint16_t)error;
	else if (!fo__tc_read(nlh, &seen))
		adding->in_hw[at] = seen.in_hw;
	return 0;
}

static void put_rules(struct adding *adding, size_t n, struct fo__tx *tx)
{
	for (size_t i = 0; i < n; i++) {
		if (adding->results[i])
			continue;
		for (unsigned int dir = 0; dir < 2; dir++) {
			adding->owner[adding->n_rules++] = (uint8_t)i;
			fo__tc_put_rule(adding->tc, tx, NLM_F_EXCL | NLM_F_ECHO, &adding->rules[i][dir]);
		}
	}
}

/* What is there of a flow that did not come in whole goes; nobody needs its counters. */
static void take_back(struct adding *adding, size_t n)
{
	struct fo__tc *tc = adding->tc;
	struct fo__tx tx;
	size_t put = 0;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	for (size_t at = 0; at < adding->n_rules; at++) {
		const struct fo__tc_rule *rule = &adding->rules[adding->owner[at]][at & 1];

		if (!adding->results[adding->owner[at]] || adding->errors[at])
			continue;
		fo__tc_put_delete(tc, &tx, 0, rule->port, rule->prio, rule->handle);
		put++;
	}
	if (put)
		(void)fo__nl_talk(&tc->set, &tx, NULL, NULL, NULL);
	for (size_t i = 0; tc->care && i < n; i++)
		if (adding->results[i])
			fo__ct_dismiss(tc->care, &adding->flows[i].flow->tuple[0], &adding->kept[i]);
}

/* Refusals of one request are most often the same; their words came with the first. */
static void judge(struct adding *adding, const struct fo__nl_answer *answer)
{
	for (size_t at = 0; at < adding->n_rules; at++) {
		size_t i = adding->owner[at];
		unsigned int dir = at & 1;
		const char *words = adding->errors[at] == answer->error ? answer->words : "";
		const char *what = dir ? "the reply direction" : "the original direction";

		if (adding->results[i])
			continue;
		if (adding->errors[at]) {
			adding->results[i] =
				fo__tc_refused(&adding->errs[i], adding->errors[at], words, what);
			fo__tc_remember(adding->tc, &adding->rules[i][dir], adding->errors[at], words);
		} else if (!adding->in_hw[at] && adding->tc->own.mode == FO_TC_HARDWARE) {
			adding->results[i] = fo__nl_refuse(
				&adding->errs[i], -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VERIFY, 0, NULL,
				"%s was taken, but is not in hardware: leave it to the slow path", what);
		}
	}
}

static void enter(struct adding *adding, size_t i)
{
	struct fo__tc *tc = adding->tc;
	const struct fo_backend_flow *flow = &adding->flows[i];
	struct fo__tc_record *record = fo__tc_record_take(tc, flow->slot);

	memset(record, 0, sizeof(*record));
	record->cookie = flow->cookie;
	record->ct = adding->kept[i];
	record->timeout_ms = flow->timeout_ms;
	record->life = tc->threads ? FO__TC_PENDING : FO__TC_LIVE;
	record->state = tc->own.mode == FO_TC_SOFTWARE ? FO_STATE_ACTIVE : FO_STATE_HARDWARE;
	if (tc->threads)
		record->state = FO_STATE_ARMED;
	for (unsigned int dir = 0; dir < 2; dir++) {
		record->there[dir] = !tc->threads;
		record->seen[dir] = tc->pass;
		fo__tc_record_rule(tc, record, dir, &adding->rules[i][dir]);
	}
	fo__tc_record_link(tc, flow->slot);
	adding->states[i] = record->state;
}

/* Threads put them into the hardware; poll says what came of it. */
static void add_later(struct adding *adding, size_t n)
{
	prepare(adding, n);
	for (size_t i = 0; i < n; i++) {
		if (adding->results[i])
			continue;
		enter(adding, i);
		fo__tc_threads_add(adding->tc, adding->flows[i].slot);
		adding->results[i] = FO_BACKEND_PENDING;
	}
}

static void add_now(struct adding *adding, size_t n)
{
	struct fo__tc *tc = adding->tc;
	struct fo__nl_answer answer = {.error = 0};
	struct fo__tx tx;
	int rc = 0;

	prepare(adding, n);
	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	adding->first_seq = tx.first_seq;
	put_rules(adding, n, &tx);
	if (adding->n_rules)
		rc = fo__nl_talk(&tc->set, &tx, answered, adding, &answer);
	/* Answers that are missing prove nothing: none of them is in. */
	if (rc && answer.error != -rc)
		for (size_t at = 0; at < adding->n_rules; at++)
			if (!adding->results[adding->owner[at]])
				adding->results[adding->owner[at]] =
					fo__tc_refused(&adding->errs[adding->owner[at]], -rc, "", "the flow");
	judge(adding, &answer);
	take_back(adding, n);
	for (size_t i = 0; i < n; i++)
		if (!adding->results[i])
			enter(adding, i);
}

void fo__tc_flows_add(struct fo__tc *tc, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
		      int *results, struct fo_error *errs)
{
	for (size_t i = 0; i < n; i += FLOWS_MOST) {
		struct adding adding = {.tc = tc,
					.flows = flows + i,
					.states = states + i,
					.results = results + i,
					.errs = errs + i};

		if (tc->threads)
			add_later(&adding, n - i < FLOWS_MOST ? n - i : FLOWS_MOST);
		else
			add_now(&adding, n - i < FLOWS_MOST ? n - i : FLOWS_MOST);
	}
}

/* ---- Going ---- */

struct removing {
	struct fo__tc *tc;
	uint32_t first_seq;
	uint32_t slot[FO__TC_BATCH];
	uint8_t dir[FO__TC_BATCH];
	uint16_t errors[FO__TC_BATCH];
	size_t n;
};

static int removed(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct removing *removing = arg;
	uint32_t at = seq - removing->first_seq;
	struct fo__tc_seen seen;

	if (at >= removing->n)
		return 0;
	if (!nlh)
		removing->errors[at] = (uint16_t)error;
	else if (!fo__tc_read(nlh, &seen))
		fo__tc_count(removing->tc, removing->slot[at], removing->dir[at], &seen);
	return 0;
}

/* The filters of n flows (FLOWS_MOST at most) go, and tell what they counted. 0, or the first -errno: those that
 * are still there say so. */
static int remove_filters(struct fo__tc *tc, const uint32_t *slots, size_t n, struct fo__nl_answer *answer)
{
	struct removing removing = {.tc = tc};
	struct fo__tx tx;
	int rc, code = 0;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	removing.first_seq = tx.first_seq;
	for (size_t i = 0; i < n; i++)
		for (unsigned int dir = 0; dir < 2; dir++) {
			const struct fo__tc_record *record = &tc->records[slots[i]];

			if (!record->there[dir])
				continue;
			removing.slot[removing.n] = slots[i];
			removing.dir[removing.n++] = (uint8_t)dir;
			fo__tc_put_delete(tc, &tx, NLM_F_ECHO, &tc->ports[record->port[dir]],
					  record->prio[dir], fo__tc_handle(slots[i], dir));
		}
	if (!removing.n)
		return 0;
	rc = fo__nl_talk(&tc->set, &tx, removed, &removing, answer);
	if (rc && answer->error != -rc)
		return rc;
	for (size_t at = 0; at < removing.n; at++) {
		/* Its priority, its chain or its device may be gone as well. */
		if (!removing.errors[at] || removing.errors[at] == ENOENT || removing.errors[at] == ENODEV ||
		    removing.errors[at] == EINVAL)
			tc->records[removing.slot[at]].there[removing.dir[at]] = 0;
		else if (!code)
			code = -removing.errors[at];
	}
	return code;
}

int fo__tc_flow_del(struct fo__tc *tc, uint32_t slot, struct fo_error *err)
{
	struct fo__nl_answer answer = {.error = 0};
	int rc;

	if (tc->records[slot].life == FO__TC_PENDING) {
		tc->records[slot].unwanted = 1;
		return FO_BACKEND_PENDING;
	}
	rc = remove_filters(tc, &slot, 1, &answer);
	fo__tc_report(tc, slot);
	if (rc)
		return fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_INSTALL, -rc, NULL,
				     "its filters could not be deleted: %s%s%s", strerror(-rc),
				     answer.words[0] ? ": " : "", answer.words);
	fo__tc_record_drop(tc, slot);
	return 0;
}

void fo__tc_flows_del_ahead(struct fo__tc *tc, const uint64_t *cookies, const uint32_t *slots, size_t n)
{
	struct fo__nl_answer answer;
	uint32_t some[FLOWS_MOST];
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		if (fo__tc_record(tc, cookies[i], slots[i]))
			some[known++] = slots[i];
		if (known == FLOWS_MOST || (known && i + 1 == n)) {
			(void)remove_filters(tc, some, known, &answer);
			known = 0;
		}
	}
}

void fo__tc_flow_forget(struct fo__tc *tc, uint32_t slot)
{
	struct fo__tc_record *record = &tc->records[slot];
	struct fo__nl_answer answer;

	(void)remove_filters(tc, &slot, 1, &answer);
	if (tc->care)
		fo__ct_dismiss(tc->care, &record->tuple[0], &record->ct);
	if (record->unwanted)
		fo__tc_report(tc, slot);
	fo__tc_record_drop(tc, slot);
}

void fo__tc_flows_cut_halves(struct fo__tc *tc)
{
	for (uint32_t slot = 0; slot < tc->high; slot++) {
		struct fo__tc_record *record = &tc->records[slot];

		if (!record->cookie || (record->life == FO__TC_LIVE && record->there[0] && record->there[1]))
			continue;
		record->unwanted = 0;
		fo__tc_flow_forget(tc, slot);
	}
}

void fo__tc_flow_end(struct fo__tc *tc, uint32_t slot, enum fo_reason reason)
{
	uint64_t cookie = tc->records[slot].cookie;
	struct fo__nl_answer answer = {.error = 0};

	/* Whoever comes by next tries again. */
	if (remove_filters(tc, &slot, 1, &answer))
		return;
	fo__tc_report(tc, slot);
	fo__tc_record_drop(tc, slot);
	tc->ops->ended(tc->host, cookie, reason, 0);
}

void fo__tc_flows_cut(struct fo__tc *tc, const struct fo__tc_port *port)
{
	struct fo__nl_answer answer;
	uint32_t slots[FLOWS_MOST];
	size_t n = 0;

	for (uint32_t slot = 0; slot < tc->high; slot++) {
		const struct fo__tc_record *record = &tc->records[slot];

		if (record->cookie &&
		    (!port || &tc->ports[record->port[0]] == port || &tc->ports[record->port[1]] == port))
			slots[n++] = slot;
		if (n == FLOWS_MOST || (n && slot + 1 == tc->high)) {
			(void)remove_filters(tc, slots, n, &answer);
			n = 0;
		}
	}
}
