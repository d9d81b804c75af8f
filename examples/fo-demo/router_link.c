/* SPDX-License-Identifier: BSD-2-Clause */
/* router_link.c - tells when one of the two interfaces goes down, comes back or disappears (rtnetlink).
 * Neighbours: router_loop.c reads it, router_offload.c passes it on to the table.
 */
#include "router.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "demo.h"
#include "out.h"

/* IFF_LOWER_UP of linux/if.h, which cannot be had beside net/if.h. Not IFF_RUNNING: that follows the carrier
 * up to a second late, in which packets would flow past the fast path. */
#define LINK_CARRIER 0x10000u

static bool carries(unsigned int flags)
{
	return (flags & IFF_UP) && (flags & LINK_CARRIER);
}

/* Asks for all links: how things stood before we listened, and what an overrun socket has missed. The answers
 * come as the notices do. */
static int ask_states(const struct router *r)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg info;
	} ask = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		      .nlmsg_type = RTM_GETLINK,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};

	if (send(r->link_fd, &ask, sizeof(ask), 0) == sizeof(ask))
		return 0;
	out_error("router: rtnetlink: %s", strerror(errno));
	return -1;
}

int router_link_open(struct router *r)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	r->link_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (r->link_fd < 0 || bind(r->link_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		out_error("router: rtnetlink: %s", strerror(errno));
		return -1;
	}
	return ask_states(r);
}

static void link_message(struct router *r, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	int side;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	for (side = 0; side < 2; side++) {
		if (info->ifi_index != r->port[side].ifindex)
			continue;
		if (h->nlmsg_type == RTM_DELLINK) {
			router_port_state(r, side, FO_PORT_GONE);
			out_error("router: %s has been removed", r->port[side].name);
			r->stop = true;
			r->status = DEMO_FAILED;
		} else if (h->nlmsg_type == RTM_NEWLINK) {
			router_port_state(r, side, carries(info->ifi_flags) ? FO_PORT_UP : FO_PORT_DOWN);
		}
	}
}

void router_link_read(struct router *r)
{
	char buffer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t n = recv(r->link_fd, buffer, sizeof(buffer), 0);
		const struct nlmsghdr *h = (const void *)buffer;

		if (n < 0 && errno == ENOBUFS) {
			ask_states(r);
			continue;
		}
		if (n <= 0)
			return;
		for (; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n))
			link_message(r, h);
	}
}
