/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_pppoe.c - PPPoE sessions of the router, without anybody negotiating them. See rig_net.h.
 *
 * A socket is the session, a unit of /dev/ppp the device; both live as long as their descriptors.
 * */
#include "rig_net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>
#include <linux/ppp_defs.h>

static int keep(struct net *net, int fd)
{
	if (fd < 0)
		return -1;
	net->session[net->n_sessions++] = fd;
	return fd;
}

/* The channel of the session; -1. */
static int connect_session(struct net *net, const struct fo_adj *adj, uint16_t id, const char *below)
{
	struct sockaddr_pppox to = {.sa_family = AF_PPPOX, .sa_protocol = PX_PROTO_OE};
	int fd = keep(net, socket(AF_PPPOX, SOCK_STREAM | SOCK_CLOEXEC, PX_PROTO_OE)), channel = -1;

	to.sa_addr.pppoe.sid = htons(id);
	memcpy(to.sa_addr.pppoe.remote, adj->peer_mac, 6);
	snprintf(to.sa_addr.pppoe.dev, sizeof(to.sa_addr.pppoe.dev), "%s", below);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) || ioctl(fd, PPPIOCGCHAN, &channel))
		return net_fail(net, "a PPPoE session cannot be made: %m");
	return channel;
}

static int make_unit(struct net *net, int channel)
{
	struct npioctl pass = {.mode = NPMODE_PASS};
	int port = keep(net, open("/dev/ppp", O_RDWR | O_CLOEXEC)),
	    unit_fd = keep(net, open("/dev/ppp", O_RDWR | O_CLOEXEC)), unit = -1, rc;

	rc = port < 0 || unit_fd < 0 || ioctl(port, PPPIOCATTCHAN, &channel) ||
	     ioctl(unit_fd, PPPIOCNEWUNIT, &unit) || ioctl(port, PPPIOCCONNECT, &unit);
	pass.protocol = PPP_IP;
	rc = rc || ioctl(unit_fd, PPPIOCSNPMODE, &pass);
	pass.protocol = PPP_IPV6;
	if (rc || ioctl(unit_fd, PPPIOCSNPMODE, &pass))
		return net_fail(net, "a PPP device cannot be made: %m");
	return unit;
}

int net_pppoe_add(struct net *net, struct net_side *side, uint16_t id, const char *below)
{
	int channel, unit = -1;

	if (net->n_sessions + 3 > sizeof(net->session) / sizeof(net->session[0]))
		return net_fail(net, "too many PPPoE sessions");
	if (net_enter(net, net->router))
		return -1;
	channel = connect_session(net, &side->adj, id, below);
	if (channel >= 0)
		unit = make_unit(net, channel);
	if (net_enter(net, net->home) || unit < 0)
		return -1;
	snprintf(side->name, sizeof(side->name), "ppp%d", unit);
	return 0;
}

void net_pppoe_close(struct net *net)
{
	while (net->n_sessions)
		close(net->session[--net->n_sessions]);
}
