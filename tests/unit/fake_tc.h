/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_tc.h - a kernel that keeps flower filters as they were put, says that they are in hardware, and shows them; and a library
 * that takes down what a backend tells it. For tests of tc's adoption and the fuzz target of it. */
#ifndef FAKE_TC_H
#define FAKE_TC_H

#include <linux/gen_stats.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdlib.h>

#include "backends/tc/state.h"
#include "fake_netlink.h"

#define FAKE_FILTERS 64u
#define FAKE_ADJS    16u
#define FAKE_FLOWS   16u
#define FAKE_NOW_MS  1000000u

/* ---- The kernel ---- */

static struct fake_filter {
	uint8_t bytes[4096] __attribute__((aligned(4)));
} fake_filters[FAKE_FILTERS];
static unsigned int fake_n_filters;

static inline struct nlmsghdr *fake_filter(unsigned int i)
{
	return (struct nlmsghdr *)fake_filters[i].bytes;
}

static inline struct tcmsg *fake_tcmsg(const struct nlmsghdr *nlh)
{
	return mnl_nlmsg_get_payload(nlh);
}

/* The attribute of that type in a message or a nest, to be written to; NULL. */
static inline struct nlattr *fake_attr(struct nlattr *first, size_t size, uint16_t type)
{
	for (struct nlattr *attr = first; mnl_attr_ok(attr, (int)((uint8_t *)first + size - (uint8_t *)attr));
	     attr = (struct nlattr *)((uint8_t *)attr + MNL_ALIGN(attr->nla_len)))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static inline struct nlattr *fake_nested(struct nlattr *nest, uint16_t type)
{
	return fake_attr(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), type);
}

static inline struct nlattr *fake_options(struct nlmsghdr *nlh)
{
	return fake_attr(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct tcmsg)),
			 mnl_nlmsg_get_payload_len(nlh) - MNL_ALIGN(sizeof(struct tcmsg)), TCA_OPTIONS);
}

static inline struct nlattr *fake_last_action(struct nlmsghdr *nlh)
{
	struct nlattr *actions = fake_nested(fake_options(nlh), TCA_FLOWER_ACT), *last = NULL, *attr;

	for (uint16_t order = 1; (attr = fake_nested(actions, order)) != NULL; order++)
		last = attr;
	return last;
}

static inline void fake_set_flags(struct nlmsghdr *nlh, uint32_t flags)
{
	memcpy(mnl_attr_get_payload(fake_nested(fake_options(nlh), TCA_FLOWER_FLAGS)), &flags, sizeof(flags));
}

/* Behind all that there is, which is the last action's options; depth: how many nests around it it is in. */
static inline void fake_append(struct nlmsghdr *nlh, const void *attr, size_t size, int in_options)
{
	struct nlattr *action = fake_last_action(nlh);
	struct nlattr *around[] = {fake_options(nlh), fake_nested(fake_options(nlh), TCA_FLOWER_ACT), action,
				   in_options ? fake_nested(action, TCA_ACT_OPTIONS) : NULL};

	memcpy((uint8_t *)nlh + nlh->nlmsg_len, attr, size);
	nlh->nlmsg_len += (uint32_t)size;
	for (unsigned int i = 0; i < 4; i++)
		if (around[i])
			around[i]->nla_len = (uint16_t)(around[i]->nla_len + size);
}

/* What hardware has counted, and how long ago. Once for each filter. */
static inline void fake_count(struct nlmsghdr *nlh, uint64_t bytes, uint32_t packets, uint64_t ago_ms)
{
	struct {
		struct nlattr attr;
		struct tcf_t times;
	} __attribute__((packed)) times = {{sizeof(times), TCA_MIRRED_TM}, {.lastuse = ago_ms / 10}};
	struct {
		struct nlattr stats, basic;
		uint64_t bytes;
		uint32_t packets, pad;
	} __attribute__((packed)) stats = {{sizeof(stats), TCA_ACT_STATS | NLA_F_NESTED},
					   {sizeof(stats) - sizeof(stats.stats), TCA_STATS_BASIC},
					   bytes,
					   packets,
					   0};

	fake_append(nlh, &times, sizeof(times), 1);
	fake_append(nlh, &stats, sizeof(stats), 0);
}

static inline int fake_is_at(const struct nlmsghdr *nlh, const struct tcmsg *asked)
{
	const struct tcmsg *has = fake_tcmsg(nlh);

	return has->tcm_ifindex == asked->tcm_ifindex &&
	       (!asked->tcm_info || has->tcm_info == asked->tcm_info) &&
	       (!asked->tcm_handle || has->tcm_handle == asked->tcm_handle);
}

static inline void fake_remove(unsigned int i)
{
	fake_n_filters--;
	memmove(&fake_filters[i], &fake_filters[i + 1], (fake_n_filters - i) * sizeof(fake_filters[0]));
}

static inline void fake_put(const struct nlmsghdr *request)
{
	struct nlmsghdr *nlh;

	for (unsigned int i = 0; i < fake_n_filters; i++)
		if (fake_is_at(fake_filter(i), fake_tcmsg(request)))
			fake_remove(i);
	if (fake_n_filters == FAKE_FILTERS || request->nlmsg_len > sizeof(fake_filters[0]) - 256) {
		fake_ack(request, ENOSPC);
		return;
	}
	nlh = fake_filter(fake_n_filters++);
	memcpy(nlh, request, request->nlmsg_len);
	nlh->nlmsg_flags = 0;
	fake_set_flags(nlh, TCA_CLS_FLAGS_SKIP_SW | TCA_CLS_FLAGS_IN_HW);
	if (request->nlmsg_flags & NLM_F_ECHO)
		fake_answer(request, nlh, nlh->nlmsg_len);
	fake_ack(request, 0);
}

static inline void fake_show(const struct nlmsghdr *request)
{
	unsigned int shown = 0;

	for (unsigned int i = 0; i < fake_n_filters; i++)
		if (fake_is_at(fake_filter(i), fake_tcmsg(request))) {
			fake_answer(request, fake_filter(i), fake_filter(i)->nlmsg_len);
			shown++;
		}
	if (request->nlmsg_flags & NLM_F_DUMP)
		fake_done(request);
	else if (!shown)
		fake_ack(request, ENOENT);
}

static inline void fake_delete(const struct nlmsghdr *request)
{
	unsigned int before = fake_n_filters;

	for (unsigned int i = fake_n_filters; i-- > 0;)
		if (fake_is_at(fake_filter(i), fake_tcmsg(request)))
			fake_remove(i);
	fake_ack(request, before == fake_n_filters ? ENOENT : 0);
}

static inline void fake_tc_kernel(const struct nlmsghdr *request)
{
	if (request->nlmsg_type == RTM_NEWTFILTER)
		fake_put(request);
	else if (request->nlmsg_type == RTM_DELTFILTER)
		fake_delete(request);
	else if (request->nlmsg_type == RTM_GETTFILTER)
		fake_show(request);
	else
		fake_ack(request, EOPNOTSUPP);
}

/* ---- The library ---- */

static struct {
	fo_adj_id adj_id[FAKE_ADJS];
	struct fo_adj adj[FAKE_ADJS];
	unsigned int n_adjs;
	uint64_t cookie[FAKE_FLOWS];
	struct fo_flow flow[FAKE_FLOWS];
	uint64_t since_ms[FAKE_FLOWS];
	unsigned int state[FAKE_FLOWS];
	uint64_t packets[FAKE_FLOWS][2], bytes[FAKE_FLOWS][2], last_ms[FAKE_FLOWS][2];
	unsigned int n_flows;
	uint64_t used;
} fake_told;

static inline int fake_restore_adj(struct fo_host *host, fo_adj_id id, const struct fo_adj *adj)
{
	(void)host;
	for (unsigned int i = 0; i < fake_told.n_adjs; i++)
		if ((uint32_t)fake_told.adj_id[i] == (uint32_t)id)
			return -EEXIST;
	if (!(id >> 32) || fake_told.n_adjs == FAKE_ADJS)
		return -EINVAL;
	fake_told.adj_id[fake_told.n_adjs] = id;
	fake_told.adj[fake_told.n_adjs++] = *adj;
	return 0;
}

static inline int fake_restore_flow(struct fo_host *host, uint64_t cookie, const struct fo_flow *flow,
				    unsigned int state, uint64_t since_ms)
{
	unsigned int at = fake_told.n_flows;

	(void)host;
	if (at == FAKE_FLOWS || (at && (uint32_t)cookie <= (uint32_t)fake_told.cookie[at - 1]))
		return -EEXIST;
	fake_told.cookie[at] = cookie;
	fake_told.flow[at] = *flow;
	fake_told.state[at] = state;
	fake_told.since_ms[at] = since_ms;
	fake_told.n_flows++;
	return 0;
}

static inline void fake_restore_used(struct fo_host *host, uint64_t cookie)
{
	(void)host;
	fake_told.used = cookie;
}

static inline void fake_counted(struct fo_host *host, uint64_t cookie, enum fo_dir dir, uint64_t packets,
				uint64_t bytes, uint64_t last_ms)
{
	(void)host;
	for (unsigned int i = 0; i < fake_told.n_flows; i++)
		if (fake_told.cookie[i] == cookie) {
			fake_told.packets[i][dir] += packets;
			fake_told.bytes[i][dir] += bytes;
			fake_told.last_ms[i][dir] = last_ms;
		}
}

static inline uint64_t fake_clock(struct fo_host *host)
{
	(void)host;
	return FAKE_NOW_MS;
}

static inline void *fake_alloc(struct fo_host *host, size_t size, size_t align)
{
	(void)host;
	return aligned_alloc(align, (size + align - 1) / align * align);
}

static inline void fake_free(struct fo_host *host, void *memory, size_t size)
{
	(void)host;
	(void)size;
	free(memory);
}

static const struct fo_host_ops fake_ops = {.size = sizeof(fake_ops),
					    .count = fake_counted,
					    .now_ms = fake_clock,
					    .alloc = fake_alloc,
					    .free = fake_free,
					    .restore_adj = fake_restore_adj,
					    .restore_flow = fake_restore_flow,
					    .restore_used = fake_restore_used};

/* ---- A table on two ports, 5 and 6 ---- */

/* NULL: no memory. Without conntrack and threads; what an earlier one left is there still. */
static inline struct fo__tc *fake_table(uint32_t slots)
{
	struct fo__tc *tc = calloc(1, sizeof(*tc));
	uint8_t *memory = tc ? calloc(1, FO__TC_TX_ROOM + FO__NL_RX_ROOM + FO__NL_RX_LEAST) : NULL;

	if (!memory) {
		free(tc);
		return NULL;
	}
	fake_kernel = fake_tc_kernel;
	tc->tx = memory;
	tc->rx = memory + FO__TC_TX_ROOM;
	tc->rx_dump = tc->rx + FO__NL_RX_ROOM;
	fake_open(&tc->set, tc->rx, FO__NL_RX_ROOM);
	fake_open(&tc->dump, tc->rx_dump, FO__NL_RX_LEAST);
	tc->ops = &fake_ops;
	tc->profile = FO_TC_PROFILE_EXPLICIT;
	tc->trap = TC_ACT_TRAP;
	tc->own.priority = FO_TC_PRIORITY;
	tc->persists = 1;
	tc->pass = 1;
	tc->ports[0] = (struct fo__tc_port){.index = 5, .mtu = 1500, .lock = -1, .name = "five"};
	tc->ports[1] = (struct fo__tc_port){.index = 6, .mtu = 1500, .lock = -1, .name = "six"};
	tc->pair[0][1] = tc->pair[1][0] = UINT8_MAX;
	if (!fo__tc_records_open(tc, slots))
		return tc;
	free(memory);
	free(tc);
	return NULL;
}

static inline void fake_table_gone(struct fo__tc *tc)
{
	fo__tc_records_close(tc);
	free(tc->tx);
	free(tc);
}

/* The next one. The result of create. */
static inline int fake_adopt(struct fo__tc *tc)
{
	int rc = 0;

	memset(&fake_told, 0, sizeof(fake_told));
	tc->adopting = 1;
	for (unsigned int i = 0; !rc && i < 2; i++)
		rc = fo__tc_clear(tc, &tc->ports[i], NULL);
	return rc ? rc : fo__tc_adopt(tc, NULL);
}

#endif
