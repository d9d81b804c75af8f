/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_devices.c - namespaces, wires, and the devices that a side stands on. See rig_net.h.
 *
 * A port's number is its device's: veth pN in the router, wN at the other end. Everything goes with the namespaces, and
 * they with the process.
 * */
#define _GNU_SOURCE
#include "rig_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A neighbour's end takes frames longer than the router's ports do. */
#define WIRE_MTU 65535

int net_enter(struct net *net, int namespace_fd)
{
	return setns(namespace_fd, CLONE_NEWNET) ? net_fail(net, "setns: %m") : 0;
}

static int new_namespace(struct net *net, int *fd)
{
	if (unshare(CLONE_NEWNET))
		return net->cannot = 1, net_fail(net, "a network namespace cannot be made: %m");
	*fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? net_fail(net, "/proc/thread-self/ns/net: %m") : 0;
}

/* ip -batch in the namespace where this thread is. A pipe holds all that is ever written here. */
static int run_batch(struct net *net, const char *lines)
{
	static char *const command[] = {"ip", "-batch", "-", NULL};
	posix_spawn_file_actions_t actions;
	size_t size = strlen(lines);
	int ends[2], status = -1, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return net_fail(net, "pipe: %m");
	rc = write(ends[1], lines, size) != (ssize_t)size || posix_spawn_file_actions_init(&actions);
	close(ends[1]);
	if (!rc) {
		rc = posix_spawn_file_actions_adddup2(&actions, ends[0], 0) ||
		     posix_spawnp(&pid, "ip", &actions, NULL, command, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[0]);
	if (rc)
		return net_fail(net, "ip(8) cannot be started");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? net_fail(net, "ip(8) refused: %.120s", lines) : 0;
}

/* Commands of ip(8) in the router, one a line. */
__attribute__((format(printf, 2, 3))) static int net_ip(struct net *net, const char *format, ...)
{
	char lines[2048];
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = vsnprintf(lines, sizeof(lines), format, ap);
	va_end(ap);
	if (rc < 0 || (size_t)rc >= sizeof(lines))
		return net_fail(net, "too many commands at once");
	if (net_enter(net, net->router))
		return -1;
	rc = run_batch(net, lines);
	return net_enter(net, net->home) ? -1 : rc;
}

static int set_sysctl(struct net *net, const char *name, const char *value)
{
	char path[128];
	int fd, bad;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return net_fail(net, "%s: %m", path);
	bad = write(fd, value, strlen(value)) < 0;
	close(fd);
	return bad ? net_fail(net, "%s: %m", path) : 0;
}

/* Forward everything; say nothing of one's own accord. */
static int set_sysctls(struct net *net)
{
	static const char *const router[][2] = {
		{"ipv4/ip_forward", "1"},
		{"ipv6/conf/all/forwarding", "1"},
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
		{"ipv6/conf/default/addr_gen_mode", "1"},
		{"ipv6/conf/default/accept_dad", "0"},
	};
	size_t i;

	for (i = 0; i < sizeof(router) / sizeof(router[0]); i++)
		if (set_sysctl(net, router[i][0], router[i][1]))
			return -1;
	return 0;
}

/* Both ends of all wires. The router's namespace is the one that this thread is in. */
static int make_wires(struct net *net)
{
	char lines[4096] = "link set lo up\n";
	size_t used = strlen(lines);
	unsigned int i;

	if (net->hwsim)
		return run_batch(net, lines) || net_hwsim_take(net) ? -1 : 0;
	for (i = 0; i < net->n_ports; i++) {
		uint32_t port = net->port[i];

		used += (size_t)snprintf(lines + used, sizeof(lines) - used,
					 "link add p%u index %u address 02:f0:00:00:%02x:01 type veth peer "
					 "name w%u mtu %u address "
					 "02:f0:00:00:%02x:02 netns /proc/%ld/fd/%d\nlink set p%u up\n",
					 port, port, port, port, WIRE_MTU, port, (long)getpid(), net->wires,
					 port);
		if (used >= sizeof(lines))
			return net_fail(net, "too many ports");
	}
	return run_batch(net, lines);
}

static int raise_wires(struct net *net)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
	unsigned int i;

	for (i = 0; !rc && i < net->n_ports; i++) {
		struct ifreq request = {.ifr_flags = IFF_UP};

		snprintf(request.ifr_name, sizeof(request.ifr_name), "w%u", net->port[i]);
		rc = ioctl(fd, SIOCSIFFLAGS, &request);
	}
	if (rc)
		net_fail(net, "a wire cannot be raised: %m");
	if (fd >= 0)
		close(fd);
	for (i = 0; !rc && i < net->n_ports; i++)
		rc = net_link_wait(net, net->port[i], 1);
	return rc;
}

int net_devices_open(struct net *net)
{
	int rc;

	net->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (net->home < 0)
		return net_fail(net, "/proc/thread-self/ns/net: %m");
	rc = new_namespace(net, &net->wires);
	if (!rc)
		rc = set_sysctl(net, "ipv6/conf/all/disable_ipv6", "1") ||
		     set_sysctl(net, "ipv6/conf/default/disable_ipv6", "1") ||
		     new_namespace(net, &net->router) || set_sysctls(net) || make_wires(net) ||
		     net_route_open(net) || net_enter(net, net->wires) || raise_wires(net);
	if (net->home >= 0 && net_enter(net, net->home))
		return -1;
	return rc ? -1 : 0;
}

void net_devices_close(struct net *net)
{
	if (net->hwsim)
		net_hwsim_give_back(net);
	net_pppoe_close(net);
	net_route_close(net);
	if (net->wires >= 0)
		close(net->wires);
	if (net->router >= 0)
		close(net->router);
	if (net->home >= 0)
		close(net->home);
}

/* ---- Sides ----------------------------------------------------------------------------------------------- */

static int same_side(const struct net_side *side, const struct fo_adj *b)
{
	const struct fo_adj *a = &side->adj;

	return a->port == b->port && (a->l3_dev == b->l3_dev || side->device == b->l3_dev) &&
	       a->n_encaps == b->n_encaps && a->mtu == b->mtu && !memcmp(a->own_mac, b->own_mac, 6) &&
	       !memcmp(a->peer_mac, b->peer_mac, 6) && !memcmp(a->encap, b->encap, sizeof(a->encap));
}

static uint32_t device_number(struct net *net, const char *name)
{
	uint32_t number;

	if (net_enter(net, net->router))
		return 0;
	number = if_nametoindex(name);
	return net_enter(net, net->home) ? 0 : number;
}

/* One VLAN device on another. PCP is the same for every priority; DEI cannot be set. */
static int add_vlan(struct net *net, struct net_side *side, const char *below, const struct fo_encap *tag)
{
	char map[64] = "", where[48] = "";
	size_t used = 0;
	unsigned int i;
	int has;

	if (snprintf(side->name, sizeof(side->name), "%.9s.%u", below, tag->id) >= (int)sizeof(side->name))
		return net_fail(net, "the name of a VLAN device is too long");
	for (i = 0; i < 8; i++)
		used += (size_t)snprintf(map + used, sizeof(map) - used, " %u:%u", i, tag->pcp);
	has = device_number(net, side->name) != 0;
	if (!has)
		snprintf(where, sizeof(where), "add link %s name", below);
	return net_ip(net, "link %s %s type vlan proto %s id %u egress-qos-map%s\nlink set %s up\n",
		      has ? "set" : where, side->name, tag->kind == FO_ENCAP_8021AD ? "802.1ad" : "802.1Q",
		      tag->id, map, side->name);
}

static int add_bridge(struct net *net, struct net_side *side)
{
	const uint8_t *mac = side->adj.own_mac;

	snprintf(side->name, sizeof(side->name), "br%u", side->adj.l3_dev);
	if (device_number(net, side->name))
		return 0;
	return net_ip(net,
		      "link add %s index %u type bridge\nlink set %s address "
		      "%02x:%02x:%02x:%02x:%02x:%02x\nlink set p%u master %s\nlink set %s up\n",
		      side->name, side->adj.l3_dev, side->name, mac[0], mac[1], mac[2], mac[3], mac[4],
		      mac[5], side->adj.port, side->name, side->name);
}

static const struct net_side *side_of_device(const struct net *net, const char *name)
{
	unsigned int i;

	for (i = 0; i < net->n_sides; i++)
		if (!strcmp(net->side[i].name, name))
			return &net->side[i];
	return NULL;
}

/* The devices of this side, from the port upwards. */
static int make_devices(struct net *net, struct net_side *side)
{
	char below[16];
	unsigned int i;

	snprintf(side->name, sizeof(side->name), "p%u", side->adj.port);
	if (side->adj.l3_dev && side->adj.l3_dev != side->adj.port && !side->adj.n_encaps)
		return add_bridge(net, side);
	for (i = 0; i < side->adj.n_encaps; i++) {
		memcpy(below, side->name, sizeof(below));
		if (side->adj.encap[i].kind != FO_ENCAP_PPPOE) {
			if (add_vlan(net, side, below, &side->adj.encap[i]))
				return -1;
			continue;
		}
		if (net_pppoe_add(net, side, side->adj.encap[i].id, below) ||
		    net_ip(net, "link set %s up\n", side->name))
			return -1;
	}
	return 0;
}

static int is_session(const struct net_side *side)
{
	return side->adj.n_encaps && side->adj.encap[side->adj.n_encaps - 1].kind == FO_ENCAP_PPPOE;
}

/* Of a device that nobody asked for anything else. */
#define USUAL_MTU 1500u

/* The side that a device has its MTU and address of; NULL: its own. */
static struct net_side *shape_of(struct net *net, const char *name)
{
	struct net_side *last = NULL;
	unsigned int i;

	for (i = 0; i < net->n_sides; i++)
		if (!strcmp(net->side[i].name, name) && net->side[i].shaped > (last ? last->shaped : 0))
			last = &net->side[i];
	return last;
}

static uint32_t mtu_of(struct net *net, const char *name)
{
	const struct net_side *shape = shape_of(net, name);

	return shape ? shape->adj.mtu : USUAL_MTU;
}

static int fits(struct net *net, const struct net_side *side, const char *port)
{
	const uint8_t usual[6] = {0x02, 0xf0, 0, 0, (uint8_t)side->adj.port, 0x01};
	const struct net_side *now = shape_of(net, side->name);

	return side->adj.mtu <= mtu_of(net, port) && side->adj.mtu == mtu_of(net, side->name) &&
	       !memcmp(side->adj.own_mac, now ? now->adj.own_mac : usual, 6);
}

static int restore_routes(struct net *net, uint32_t port)
{
	unsigned int i;

	for (i = 0; i < net->n_sides; i++) {
		const struct net_side *side = &net->side[i];

		if (side->adj.port == port && net_route_restore(net, side, i, mtu_of(net, side->name)))
			return -1;
	}
	return 0;
}

/* What it stands on has no shape of a side any more, or gets this one. */
static void forget_shape(struct net *net, const char *name)
{
	unsigned int i;

	for (i = 0; i < net->n_sides; i++)
		if (!strcmp(net->side[i].name, name))
			net->side[i].shaped = 0;
}

/* Give its device the MTU and the address that this side has; what it stands on is not narrower. With its address the kernel
 * forgets the neighbours on a device, and with an MTU too small for IPv6 the routes. */
static int shape(struct net *net, struct net_side *side)
{
	const uint8_t *mac = side->adj.own_mac;
	char address[64] = "", port[16], between[16];

	snprintf(port, sizeof(port), "p%u", side->adj.port);
	if (fits(net, side, port))
		return 0;
	forget_shape(net, port);
	side->shaped = ++net->shapes;
	net->refreshes++;
	if (!is_session(side))
		snprintf(address, sizeof(address), "address %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
	/* Of two tags the device of the outer one stands between. */
	memcpy(between, side->name, sizeof(between));
	if (side->adj.n_encaps == 2 && !is_session(side) && strrchr(between, '.'))
		*strrchr(between, '.') = '\0';
	if (net_ip(net, "link set %s mtu %u\nlink set %s mtu %u\nlink set %s mtu %u %s\n", port,
		   side->adj.mtu > USUAL_MTU ? side->adj.mtu : USUAL_MTU, between, side->adj.mtu, side->name,
		   side->adj.mtu, address))
		return -1;
	return restore_routes(net, side->adj.port);
}

int net_side(struct net *net, struct fo_adj *adj, uint32_t *out)
{
	struct net_side *side = &net->side[net->n_sides];
	unsigned int i;

	for (i = 0; i < net->n_sides; i++) {
		if (!same_side(&net->side[i], adj))
			continue;
		adj->l3_dev = net->side[i].device;
		*out = i;
		return shape(net, &net->side[i]);
	}
	if (net->n_sides == NET_SIDES)
		return net_fail(net, "too many sides");
	memset(side, 0, sizeof(*side));
	side->adj = *adj;
	if (make_devices(net, side))
		return -1;
	side->device = device_number(net, side->name);
	if (!side->device)
		return net_fail(net, "there is no device %s", side->name);
	side->first = !side_of_device(net, side->name);
	adj->l3_dev = side->device;
	*out = net->n_sides++;
	/* Nobody negotiates a session: its device has no state of its own. */
	if (!is_session(side) && net_link_wait(net, side->device, 1))
		return -1;
	/* With new routes the kernel looks for all ways again: it lets go of what is on the short cut. */
	net->refreshes++;
	return shape(net, side) || net_route_add(net, side, *out) ? -1 : 0;
}

/* ---- Ports that go and come ------------------------------------------------------------------------------ */

/* A device that is gone is as good as one that is down, and can come back. */
int net_port(struct net *net, const struct fo_port *port)
{
	int up = port->state == FO_PORT_UP;
	unsigned int i = 0;

	while (i < net->n_ports && net->port[i] != port->port)
		i++;
	if (i == net->n_ports || net->is_down[i] == !up)
		return 0;
	net->is_down[i] = !up;
	if (net_ip(net, "link set p%u %s\n", port->port, up ? "up" : "down") ||
	    net_link_wait(net, port->port, up))
		return -1;
	net->refreshes++;
	return up ? restore_routes(net, port->port) : 0;
}
