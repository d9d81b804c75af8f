/* SPDX-License-Identifier: BSD-2-Clause */
/* guards.c - filters before those of flows that send to the host what no key of theirs can exclude. See state.h.
 *
 * A mask can say "TTL 0 or 1", but not "more than 1". One guard serves all flows of a port whose packets have the same
 * tags and family; it stays until the port goes.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

/* 0 or 1: all other bits are zero. */
#define TTL_BITS 0xfeu

static unsigned int kind_of(const struct fo_encap *encap)
{
	return encap->kind == FO_ENCAP_8021AD;
}

static unsigned int shape_of(const struct fo_adj *adj, unsigned int family)
{
	unsigned int tags = 0;

	if (adj->n_encaps == 1)
		tags = 1 + kind_of(&adj->encap[0]);
	else if (adj->n_encaps == 2)
		tags = 3 + kind_of(&adj->encap[0]) * 2 + kind_of(&adj->encap[1]);
	return tags * 2 + (family == FO_FAMILY_IPV6);
}

static enum fo__tc_prio prio_of(const struct fo_adj *adj, unsigned int family)
{
	return fo__tc_prio_of(adj, family) - FO__TC_FLOW_V4 + FO__TC_GUARD_V4;
}

/* The next process has its ports in another order. */
static uint32_t handle_of(const struct fo__tc_port *port, unsigned int shape)
{
	return port->index << 4 | shape;
}

static int install(struct fo__tc *tc, const struct fo__tc_port *port, const struct fo_adj *adj,
		   unsigned int family, struct fo__nl_answer *answer)
{
	const struct fo__tc_cookie cookie = {
		.magic = FO__TC_MAGIC, .version = FO__TC_VERSION, .kind = FO__TC_OF_GUARD};
	struct nlattr *options, *actions;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	/* An owner puts it in the place of one that an earlier process left. */
	(void)fo__tc_message(tc, &tx, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_ACK | (tc->ops ? 0 : NLM_F_EXCL),
			     port, prio_of(adj, family), handle_of(port, shape_of(adj, family)));
	fo__tx_put_text(&tx, TCA_KIND, "flower");
	options = fo__tx_open(&tx, TCA_OPTIONS);
	fo__tx_put_u32(&tx, TCA_FLOWER_FLAGS,
		       tc->own.mode == FO_TC_SOFTWARE ? TCA_CLS_FLAGS_SKIP_HW : TCA_CLS_FLAGS_SKIP_SW);
	if (port->block)
		fo__tx_put_text(&tx, TCA_FLOWER_INDEV, port->name);
	fo__tc_put_shape(&tx, adj, family, 0);
	fo__tx_put_u8(&tx, TCA_FLOWER_KEY_IP_TTL, 0);
	fo__tx_put_u8(&tx, TCA_FLOWER_KEY_IP_TTL_MASK, TTL_BITS);
	actions = fo__tx_open(&tx, TCA_FLOWER_ACT);
	fo__tc_put_verdict(&tx, (int)tc->trap, &cookie);
	fo__tx_close(&tx, actions);
	fo__tx_close(&tx, options);
	return fo__nl_talk(&tc->set, &tx, NULL, NULL, answer);
}

int fo__tc_guard(struct fo__tc *tc, struct fo__tc_port *port, const struct fo_adj *adj, unsigned int family,
		 struct fo_error *err)
{
	unsigned int shape = shape_of(adj, family);
	struct fo__nl_answer answer = {.error = 0};
	int rc;

	if (tc->profile != FO_TC_PROFILE_EXPLICIT || (port->guards >> shape & 1))
		return 0;
	rc = install(tc, port, adj, family, &answer);
	/* Who probes finds that of an owner, or what a dead one left: hardware takes it. */
	if (rc == -EEXIST && !tc->ops)
		return 0;
	if (rc)
		return fo__tc_refused(err, -rc, answer.words,
				      "a guard that hands packets with a TTL of 1 to the host");
	port->guards |= (uint16_t)(1u << shape);
	port->found &= (uint16_t) ~(1u << shape);
	return 0;
}

/* By shape alone: which priority it is at follows from its tags. */
static enum fo__tc_prio prio_of_shape(unsigned int shape)
{
	unsigned int tags = shape / 2;

	if (!tags)
		return shape & 1 ? FO__TC_GUARD_V6 : FO__TC_GUARD_V4;
	return tags == 2 || tags >= 5 ? FO__TC_GUARD_AD : FO__TC_GUARD_Q;
}

void fo__tc_guards_drop(struct fo__tc *tc, struct fo__tc_port *port)
{
	struct fo__tx tx;

	if (!port->guards)
		return;
	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	for (unsigned int shape = 0; shape < FO__TC_SHAPES; shape++)
		if (port->guards >> shape & 1)
			fo__tc_put_delete(tc, &tx, 0, port, prio_of_shape(shape), handle_of(port, shape));
	(void)fo__nl_talk(&tc->set, &tx, NULL, NULL, NULL);
	port->guards = 0;
}

int fo__tc_guard_shape(const struct fo__tc *tc, const struct fo__tc_port *port,
		       const struct fo__tc_seen *seen)
{
	unsigned int shape = seen->handle & 0xf;

	if (seen->cookie.kind != FO__TC_OF_GUARD || shape >= FO__TC_SHAPES ||
	    seen->handle != handle_of(port, shape) || seen->prio != tc->own.priority + prio_of_shape(shape))
		return -ENOENT;
	return (int)shape;
}
