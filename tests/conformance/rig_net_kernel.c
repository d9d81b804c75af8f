/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_kernel.c - what the kernel says of the short cut: is an entry of conntrack on it, has a flowtable been made anew.
 * See rig_net.h.
 *
 * A flow is taken up by the first packet that passes the rule, and all of them are let go when the flowtable is made anew:
 * at once, but for the bit OFFLOAD of their entries, which keeps the kernel from taking them up again and is cleared
 * later, by a worker of its own. So packets after that take the slow path for a time that only the kernel knows, and for
 * one packet more. This is told apart by asking, so that nothing else that takes the slow path is overlooked.
 * */
#include "rig_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#define ROOM 8192u
/* For the driver to take a flow; only one that refuses it takes so long. */
#define PATIENCE_MS 2000u

static int open_socket(struct net *net, int *fd, int group)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int size = 8 << 20;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    (group && setsockopt(*fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))))
		return net_fail(net, "a netlink socket for conntrack cannot be made: %m");
	return 0;
}

int net_kernel_open(struct net *net)
{
	return open_socket(net, &net->rulesets, NFNLGRP_NFTABLES) || open_socket(net, &net->conntrack, 0) ? -1
													  : 0;
}

void net_kernel_close(struct net *net)
{
	if (net->rulesets >= 0)
		close(net->rulesets);
	if (net->conntrack >= 0)
		close(net->conntrack);
}

/* ---- Flowtables made anew -------------------------------------------------------------------------------- */

int net_kernel_refreshes(struct net *net)
{
	static char room[ROOM];
	ssize_t size;

	while ((size = recv(net->rulesets, room, sizeof(room), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)room;
		int left = (int)size;

		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			net->refreshes +=
				nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE);
	}
	return size < 0 && errno != EAGAIN ? net_fail(net, "changes of the ruleset cannot be read: %m") : 0;
}

/* ---- Entries of conntrack -------------------------------------------------------------------------------- */

static void put_tuple(struct nlmsghdr *nlh, const struct fo_tuple *tuple)
{
	int v6 = tuple->family == FO_FAMILY_IPV6;
	size_t size = v6 ? 16 : 4;
	struct nlattr *whole = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	struct nlattr *part = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	mnl_attr_put(nlh, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, size, tuple->src);
	mnl_attr_put(nlh, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, size, tuple->dst);
	mnl_attr_nest_end(nlh, part);
	part = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, tuple->proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, tuple->sport_be);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, tuple->dport_be);
	mnl_attr_nest_end(nlh, part);
	mnl_attr_nest_end(nlh, whole);
}

static const struct nlattr *find_attr(const struct nlattr *nest, unsigned int type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

struct entry {
	uint32_t status;
	uint8_t tcp_state; /* 0: none */
};

static void take_entry(const struct nlmsghdr *nlh, struct entry *entry)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		const struct nlattr *part;

		if (mnl_attr_get_type(attr) == CTA_STATUS && mnl_attr_get_payload_len(attr) == 4)
			entry->status = ntohl(mnl_attr_get_u32(attr));
		if (mnl_attr_get_type(attr) != CTA_PROTOINFO)
			continue;
		part = find_attr(attr, CTA_PROTOINFO_TCP);
		part = part ? find_attr(part, CTA_PROTOINFO_TCP_STATE) : NULL;
		if (part)
			entry->tcp_state = mnl_attr_get_u8(part);
	}
}

/* One request about the entry of this tuple. No entry: all zero. */
static int ask(struct net *net, uint16_t message, const struct fo_tuple *tuple, struct entry *entry)
{
	static char room[ROOM];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct nfgenmsg *header;
	ssize_t size;

	memset(entry, 0, sizeof(*entry));
	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message);
	nlh->nlmsg_flags = message == IPCTNL_MSG_CT_GET ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_ACK;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->nfgen_family = tuple->family == FO_FAMILY_IPV6 ? AF_INET6 : AF_INET;
	put_tuple(nlh, tuple);
	if (send(net->conntrack, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return net_fail(net, "conntrack cannot be asked: %m");
	size = recv(net->conntrack, room, sizeof(room), 0);
	if (size < (ssize_t)NLMSG_HDRLEN || !mnl_nlmsg_ok(nlh, (int)size))
		return net_fail(net, "conntrack does not answer: %m");
	if (nlh->nlmsg_type != NLMSG_ERROR)
		take_entry(nlh, entry);
	return 0;
}

int net_kernel_offloaded(struct net *net, const struct fo_tuple *tuple, int *out)
{
	struct entry entry;
	int rc = ask(net, IPCTNL_MSG_CT_GET, tuple, &entry);

	*out = !rc && (entry.status & IPS_OFFLOAD) != 0;
	return rc;
}

/* What is not forwarded is not taken at all: that is left for the case to see. */
int net_kernel_wait_hardware(struct net *net, const struct fo_tuple *tuple)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct entry entry = {.status = IPS_OFFLOAD};
	unsigned int i;

	for (i = 0; i < PATIENCE_MS && (entry.status & (IPS_OFFLOAD | IPS_HW_OFFLOAD)) == IPS_OFFLOAD; i++) {
		if (ask(net, IPCTNL_MSG_CT_GET, tuple, &entry))
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int net_kernel_forget_ended(struct net *net, const struct fo_tuple *tuple)
{
	struct entry entry;

	if (ask(net, IPCTNL_MSG_CT_GET, tuple, &entry))
		return -1;
	return entry.tcp_state > TCP_CONNTRACK_ESTABLISHED ? ask(net, IPCTNL_MSG_CT_DELETE, tuple, &entry)
							   : 0;
}
