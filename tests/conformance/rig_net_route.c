/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_route.c - where packets of a side go: its neighbour, a table of routes, the rules that choose it. See rig_net.h.
 *
 * By rtnetlink and not by ip(8), because every case makes sides and an emulated machine starts programs slowly.
 * */
#include "rig_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

/* Numbers of our tables of routes begin here; a mark is the side's number and one. */
#define TABLE_0 1000u
/* For a link to change; only one that never does takes so long. */
#define PATIENCE_MS 60000u
#define BY_MARK	    200u
#define BY_DEVICE   100u
/* RFC 8200, section 5 */
#define IPV6_LEAST 1280u

struct family {
	uint8_t af;
	uint8_t size;
	uint8_t next_hop[16];
};

/* 100.64.n.1, fe80::n+1: nobody has these addresses, they only name the neighbour. */
static void family_of(struct family *f, int af, unsigned int n)
{
	memset(f, 0, sizeof(*f));
	f->af = (uint8_t)af;
	f->size = af == AF_INET ? 4 : 16;
	if (af == AF_INET) {
		f->next_hop[0] = 100;
		f->next_hop[1] = 64;
		f->next_hop[2] = (uint8_t)n;
		f->next_hop[3] = 1;
		return;
	}
	f->next_hop[0] = 0xfe;
	f->next_hop[1] = 0x80;
	packet_put16(f->next_hop + 14, n + 1);
}

int net_route_open(struct net *net)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};

	net->rtnetlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return net->rtnetlink < 0 || bind(net->rtnetlink, (struct sockaddr *)&any, sizeof(any))
		       ? net_fail(net, "a netlink socket for routes cannot be made: %m")
		       : 0;
}

void net_route_close(struct net *net)
{
	if (net->rtnetlink >= 0)
		close(net->rtnetlink);
}

static struct nlmsghdr *begin(char *room, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	return nlh;
}

static int finish(struct net *net, const struct nlmsghdr *nlh, const char *what)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	ssize_t got;

	if (send(net->rtnetlink, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return net_fail(net, "%s: %m", what);
	got = recv(net->rtnetlink, &answer, sizeof(answer), 0);
	if (got < (ssize_t)NLMSG_LENGTH(sizeof(answer.error)) || answer.header.nlmsg_type != NLMSG_ERROR)
		return net_fail(net, "%s was not acknowledged", what);
	errno = -answer.error.error;
	return answer.error.error ? net_fail(net, "%s: %m", what) : 0;
}

/* ---- Links ----------------------------------------------------------------------------------------------- */

static int operstate(struct net *net, uint32_t device, unsigned int *out)
{
	char room[4096];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct ifinfomsg *header;
	const struct nlattr *attr;
	ssize_t size;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->ifi_index = (int)device;
	if (send(net->rtnetlink, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return net_fail(net, "a device cannot be asked for: %m");
	size = recv(net->rtnetlink, room, sizeof(room), 0);
	if (size < (ssize_t)sizeof(*nlh) || !mnl_nlmsg_ok(nlh, (int)size) || nlh->nlmsg_type != RTM_NEWLINK)
		return net_fail(net, "there is no device %u", device);
	mnl_attr_for_each(attr, nlh, sizeof(*header))
	{
		if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
			*out = mnl_attr_get_u8(attr);
	}
	return 0;
}

/* The kernel tells itself of a link that came or went up to a second later, and forgets its cached routes then: flows that
 * were put on the short cut before would have to be put there again. */
int net_link_wait(struct net *net, uint32_t device, int up)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	unsigned int i, state = IF_OPER_UNKNOWN;

	for (i = 0; i < PATIENCE_MS; i++) {
		if (operstate(net, device, &state))
			return -1;
		if ((state == IF_OPER_UP) == up)
			return 0;
		nanosleep(&pause, NULL);
	}
	return net_fail(net, "device %u is not %s within %u s", device, up ? "up" : "down",
			PATIENCE_MS / 1000);
}

/* ---- Ways ------------------------------------------------------------------------------------------------ */

static int is_ppp(const struct net_side *side)
{
	return side->adj.n_encaps && side->adj.encap[side->adj.n_encaps - 1].kind == FO_ENCAP_PPPOE;
}

static int add_neighbour(struct net *net, const struct net_side *side, const struct family *f)
{
	char room[512];
	struct nlmsghdr *nlh = begin(room, RTM_NEWNEIGH);
	struct ndmsg *header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));

	header->ndm_family = f->af;
	header->ndm_ifindex = (int)side->device;
	header->ndm_state = NUD_PERMANENT;
	nlh->nlmsg_flags |= NLM_F_REPLACE;
	mnl_attr_put(nlh, NDA_DST, f->size, f->next_hop);
	mnl_attr_put(nlh, NDA_LLADDR, 6, side->adj.peer_mac);
	return finish(net, nlh, "the neighbour of a side");
}

static int add_route(struct net *net, const struct net_side *side, const struct family *f, uint32_t table)
{
	char room[512];
	struct nlmsghdr *nlh = begin(room, RTM_NEWROUTE);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));

	header->rtm_family = f->af;
	header->rtm_protocol = RTPROT_STATIC;
	header->rtm_scope = RT_SCOPE_UNIVERSE;
	header->rtm_type = RTN_UNICAST;
	header->rtm_flags = is_ppp(side) ? 0 : RTNH_F_ONLINK;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	mnl_attr_put_u32(nlh, RTA_OIF, side->device);
	if (!is_ppp(side))
		mnl_attr_put(nlh, RTA_GATEWAY, f->size, f->next_hop);
	return finish(net, nlh, "the route of a side");
}

/* mark 0: by device. */
static int add_rule(struct net *net, const struct net_side *side, const struct family *f, uint32_t mark,
		    uint32_t table)
{
	char room[512];
	struct nlmsghdr *nlh = begin(room, RTM_NEWRULE);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));

	header->family = f->af;
	header->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(nlh, FRA_TABLE, table);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, mark ? BY_MARK : BY_DEVICE);
	if (mark)
		mnl_attr_put_u32(nlh, FRA_FWMARK, mark);
	else
		mnl_attr_put_strz(nlh, FRA_OIFNAME, side->name);
	return finish(net, nlh, "the rule of a side");
}

static int add_way(struct net *net, const struct net_side *side, unsigned int n, int with_rules)
{
	static const int families[] = {AF_INET, AF_INET6};
	unsigned int i;

	/* Below its least MTU there is no IPv6 on a device. */
	for (i = 0; i < (side->adj.mtu < IPV6_LEAST ? 1u : 2u); i++) {
		struct family f;

		family_of(&f, families[i], n);
		/* At the other end of a PPP device there is one neighbour, without an address. */
		if ((!is_ppp(side) && add_neighbour(net, side, &f)) || add_route(net, side, &f, TABLE_0 + n))
			return -1;
		if (with_rules && (add_rule(net, side, &f, n + 1, TABLE_0 + n) ||
				   (side->first && add_rule(net, side, &f, 0, TABLE_0 + n))))
			return -1;
	}
	return 0;
}

int net_route_add(struct net *net, const struct net_side *side, unsigned int n)
{
	return add_way(net, side, n, 1);
}

int net_route_restore(struct net *net, const struct net_side *side, unsigned int n)
{
	return add_way(net, side, n, 0);
}
