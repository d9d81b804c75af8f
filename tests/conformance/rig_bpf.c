/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_bpf.c - the rigs of backend bpf: its program at the ports of the router of rig_net.h, at each of its places.
 *
 * The slow path is whatever the program passes on: the tap sees it. The neighbours' ends have GRO on, without which a
 * veth device loses what native XDP sends to it.
 * */
#define _GNU_SOURCE
#include "rig_net.h"

#include "flowoffload-bpf.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* For the kernel to let go of a flow; only one that is stuck takes so long. */
#define PATIENCE_MS 10000

#define EVERYWHERE                                                                                           \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ |         \
	 FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE |              \
	 FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC | FO_CAP_DELETE_KEEPS_CT |    \
	 FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST | FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT |            \
	 FO_CAP_CALLER_NEIGH)

/* Sides may have an MTU of their own, which is the program's business. */
#define PORT_MTU 65535

static int set_mtus(struct net *net)
{
	struct ifreq ask = {.ifr_mtu = PORT_MTU};
	unsigned int i;
	int fd, rc = net_enter(net, net->router);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (i = 0; !rc && i < net->n_ports; i++) {
		snprintf(ask.ifr_name, sizeof(ask.ifr_name), "p%u", net->port[i]);
		rc = ioctl(fd, SIOCSIFMTU, &ask) ? net_fail(net, "MTU of %s: %m", ask.ifr_name) : 0;
	}
	close(fd);
	return net_enter(net, net->home) ? -1 : rc;
}

static int set_gro(struct net *net, int fd, uint32_t port)
{
	struct ethtool_value on = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq ask = {.ifr_data = (char *)&on};

	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "w%u", port);
	return ioctl(fd, SIOCETHTOOL, &ask) ? net_fail(net, "GRO of %s: %m", ask.ifr_name) : 0;
}

static int receive_redirected(struct net *net)
{
	unsigned int i;
	int fd, rc = net_enter(net, net->wires);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (i = 0; !rc && i < net->n_ports; i++)
		rc = set_gro(net, fd, net->port[i]);
	close(fd);
	return net_enter(net, net->home) ? -1 : rc;
}

static int open_at(enum fo_bpf_attach attach, void **state, struct fo_table_options *options, char *why,
		   size_t why_size)
{
	static struct fo_bpf_options own;
	struct net *net;

	FO_INIT(&own);
	own.attach = attach;
	own.conntrack = FO_BPF_CONNTRACK_OFF; /* no connection of the suite's is one that a kernel tracks */
	options->backend_options = &own;
	if (net_open_bare(state, options, "bpf", why, why_size))
		return -1;
	net = *state;
	if (!receive_redirected(net) && !set_mtus(net))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	net_close(net);
	return -1;
}

static int open_tc(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	struct net *net;

	if (open_at(FO_BPF_ATTACH_TC, state, options, why, why_size))
		return -1;
	net = *state;
	if (!net_wire_offloads(net))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	net_close(net);
	return -1;
}

static int open_xdp(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_at(FO_BPF_ATTACH_XDP, state, options, why, why_size);
}

static int open_generic(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_at(FO_BPF_ATTACH_XDP_GENERIC, state, options, why, why_size);
}

static int ask_stats(void *arg, const struct fo_flow_info *info)
{
	struct fo_flow_counters stats;

	FO_INIT(&stats);
	(void)fo_flow_stats(arg, info->id, &stats, NULL);
	return 0;
}

/* Flows that are ending wait for the kernel. */
static void wait_for_kernel(struct fo_table *table)
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};
	struct fo_table_counters stats;

	FO_INIT(&stats);
	if (!fo_stats(table, &stats, NULL) && stats.closing)
		(void)poll(&fd, 1, PATIENCE_MS);
}

/* The kernel's clock does not move along: what it saw until now is read, and what it has under way awaited, before the
 * table's clock jumps. */
static void advance(void *state, uint64_t ms)
{
	struct net *net = state;

	if (net->table) {
		(void)fo_flow_walk(net->table, NULL, ask_stats, net->table, NULL);
		wait_for_kernel(net->table);
	}
	net_advance(state, ms);
}

#define RIG_BPF                                                                                              \
	.most_flows = 0, .attach = net_attach, .detach = net_detach, .close = net_close,                     \
	.inject = net_inject, .advance = advance, .now_ms = net_now_ms, .settle = net_settle

const struct rig rig_bpf_tc = {
	.name = "bpf-tc",
	.about = "the BPF program at TC ingress, real packets over veth (needs root)",
	.must_have = EVERYWHERE | FO_CAP_EGRESS_QDISC,
	.features = RIG_BURSTS | RIG_OVERSIZE | RIG_CSUM | RIG_GSO,
	.open = open_tc,
	RIG_BPF,
};

const struct rig rig_bpf_xdp = {
	.name = "bpf-xdp",
	.about = "the BPF program at native XDP of veth (needs root)",
	.must_have = EVERYWHERE | FO_CAP_CRASH_GONE,
	.features = RIG_BURSTS | RIG_OVERSIZE,
	.exceptions = bpf_xdp_exceptions,
	.open = open_xdp,
	RIG_BPF,
};

const struct rig rig_bpf_generic = {
	.name = "bpf-generic",
	.about = "the BPF program at generic XDP of veth (needs root)",
	.must_have = EVERYWHERE | FO_CAP_CRASH_GONE,
	.features = RIG_BURSTS | RIG_OVERSIZE,
	.open = open_generic,
	RIG_BPF,
};
