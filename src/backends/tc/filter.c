/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - one flower filter as a message of rtnetlink, written and read. See state.h.
 * Source: net/sched/cls_api.c, net/sched/cls_flower.c. */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ---- Names of filters ---- */

uint16_t fo__tc_ethertype(enum fo__tc_prio prio)
{
	static const uint16_t types[] = {
		[FO__TC_GUARD_V4] = ETH_P_IP,	[FO__TC_GUARD_V6] = ETH_P_IPV6,
		[FO__TC_GUARD_Q] = ETH_P_8021Q, [FO__TC_GUARD_AD] = ETH_P_8021AD,
		[FO__TC_FLOW_V4] = ETH_P_IP,	[FO__TC_FLOW_V6] = ETH_P_IPV6,
		[FO__TC_FLOW_Q] = ETH_P_8021Q,	[FO__TC_FLOW_AD] = ETH_P_8021AD,
	};

	return types[prio];
}

enum fo__tc_prio fo__tc_prio_of(const struct fo_adj *adj, unsigned int family)
{
	if (!adj->n_encaps)
		return family == FO_FAMILY_IPV4 ? FO__TC_FLOW_V4 : FO__TC_FLOW_V6;
	return adj->encap[0].kind == FO_ENCAP_8021AD ? FO__TC_FLOW_AD : FO__TC_FLOW_Q;
}

/* 0 would let the kernel choose. */
uint32_t fo__tc_handle(uint32_t slot, unsigned int dir)
{
	return slot * 2 + dir + 1;
}

struct tcmsg *fo__tc_message(struct fo__tc *tc, struct fo__tx *tx, uint16_t type, uint16_t flags,
			     const struct fo__tc_port *port, enum fo__tc_prio prio, uint32_t handle)
{
	struct tcmsg *header = fo__tx_message(tx, type, flags, sizeof(*header));

	if (!header)
		return NULL;
	header->tcm_family = AF_UNSPEC;
	header->tcm_ifindex = (int)port->index;
	header->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	if (port->block) {
		header->tcm_ifindex = (int)TCM_IFINDEX_MAGIC_BLOCK;
		header->tcm_block_index = port->block;
	}
	header->tcm_handle = handle;
	header->tcm_info =
		TC_H_MAKE((tc->own.priority + prio) << 16, (uint32_t)htons(fo__tc_ethertype(prio)));
	return header;
}

static void put_kind(struct fo__tx *tx)
{
	fo__tx_put_text(tx, TCA_KIND, "flower");
}

void fo__tc_put_rule(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_rule *rule)
{
	struct nlattr *options, *actions;

	(void)fo__tc_message(tc, tx, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_ACK | flags, rule->port, rule->prio,
			     rule->handle);
	put_kind(tx);
	options = fo__tx_open(tx, TCA_OPTIONS);
	fo__tx_put_u32(tx, TCA_FLOWER_FLAGS,
		       tc->own.mode == FO_TC_SOFTWARE ? TCA_CLS_FLAGS_SKIP_HW : TCA_CLS_FLAGS_SKIP_SW);
	fo__tc_put_match(tc, tx, rule);
	actions = fo__tx_open(tx, TCA_FLOWER_ACT);
	fo__tc_put_actions(tc, tx, rule);
	fo__tx_close(tx, actions);
	fo__tx_close(tx, options);
}

void fo__tc_put_delete(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_port *port,
		       enum fo__tc_prio prio, uint32_t handle)
{
	(void)fo__tc_message(tc, tx, RTM_DELTFILTER, NLM_F_ACK | flags, port, prio, handle);
	put_kind(tx);
}

/* Terse: no keys and no parameters of actions, but flags, cookies and counters. */
void fo__tc_put_get(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_port *port,
		    enum fo__tc_prio prio, uint32_t handle)
{
	const struct nla_bitfield32 terse = {TCA_DUMP_FLAGS_TERSE, TCA_DUMP_FLAGS_TERSE};

	(void)fo__tc_message(tc, tx, RTM_GETTFILTER, flags, port, prio, handle);
	if (flags & NLM_F_DUMP)
		fo__tx_put(tx, TCA_DUMP_FLAGS, sizeof(terse), &terse);
	else
		put_kind(tx);
}

/* ---- Reading ---- */

static void read_stats(const struct nlattr *nest, struct fo__tc_seen *out)
{
	const struct nlattr *attrs[TCA_STATS_MAX + 1];
	struct {
		uint64_t bytes;
		uint32_t packets;
	} __attribute__((packed)) basic;
	const struct nlattr *attr;
	size_t size;

	if (fo__rx_nested(nest, attrs, TCA_STATS_MAX) || !attrs[TCA_STATS_BASIC])
		return;
	attr = attrs[TCA_STATS_BASIC];
	size = mnl_attr_get_payload_len(attr);
	/* Padded to 16 on most machines. */
	if (size < sizeof(basic))
		return;
	memcpy(&basic, mnl_attr_get_payload(attr), sizeof(basic));
	out->bytes = basic.bytes;
	out->packets = basic.packets;
	/* Where 32 bits are not enough for them. */
	(void)fo__rx_bytes(attrs[TCA_STATS_PKT64], &out->packets, sizeof(out->packets));
	out->counted = 1;
}

/* The last action is the one that says where to, and has the cookie; hardware's counts are those of all of them, but not
 * every kind of action keeps them. */
static int read_actions(const struct nlattr *nest, struct fo__tc_seen *out)
{
	const struct nlattr *orders[TCA_ACT_MAX_PRIO + 1], *attrs[TCA_ACT_MAX + 1], *last = NULL;

	if (!nest)
		return 0;
	if (fo__rx_nested(nest, orders, TCA_ACT_MAX_PRIO))
		return -EPROTO;
	for (unsigned int i = 0; i <= TCA_ACT_MAX_PRIO; i++)
		if (orders[i])
			last = orders[i];
	if (!last)
		return 0;
	if (fo__rx_nested(last, attrs, TCA_ACT_MAX))
		return -EPROTO;
	out->ours = !fo__rx_bytes(attrs[TCA_ACT_COOKIE], &out->cookie, sizeof(out->cookie)) &&
		    out->cookie.magic == FO__TC_MAGIC;
	if (attrs[TCA_ACT_STATS])
		read_stats(attrs[TCA_ACT_STATS], out);
	return 0;
}

int fo__tc_read(const struct nlmsghdr *nlh, struct fo__tc_seen *out)
{
	const struct nlattr *attrs[TCA_MAX + 1], *flower[TCA_FLOWER_MAX + 1];
	struct tcmsg header;
	uint32_t flags = 0;
	char kind[16] = "";

	memset(out, 0, sizeof(*out));
	if (nlh->nlmsg_type != RTM_NEWTFILTER && nlh->nlmsg_type != RTM_DELTFILTER)
		return -ENOENT;
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(header) ||
	    fo__rx_attrs(nlh, sizeof(header), attrs, TCA_MAX))
		return -EPROTO;
	memcpy(&header, mnl_nlmsg_get_payload(nlh), sizeof(header));
	out->ifindex = (uint32_t)header.tcm_ifindex;
	out->handle = header.tcm_handle;
	out->prio = (uint16_t)(TC_H_MAJ(header.tcm_info) >> 16);
	/* What a dump shows first is the priority itself, without a filter. */
	if (!out->handle || !attrs[TCA_OPTIONS])
		return -ENOENT;
	(void)fo__rx_text(attrs[TCA_KIND], kind, sizeof(kind));
	if (strcmp(kind, "flower") != 0)
		return 0;
	if (fo__rx_nested(attrs[TCA_OPTIONS], flower, TCA_FLOWER_MAX))
		return -EPROTO;
	if (!fo__rx_u32(flower[TCA_FLOWER_FLAGS], &flags))
		out->in_hw = (flags & TCA_CLS_FLAGS_IN_HW) != 0;
	return read_actions(flower[TCA_FLOWER_ACT], out);
}
