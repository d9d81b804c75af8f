/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_hardware.c - the simulated hardware of tests/hwsim as the router's ports. See rig_net.h.
 *
 * The module is loaded anew for each table: so its devices are where they belong however the last case ended, and its
 * rules are this table's alone. Its path is in FO_HWSIM; it is for the lab's kernels.
 * */
#define _GNU_SOURCE
#include "rig_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#define MODULE "fo_hwsim"
#define FOLDER "/sys/kernel/debug/" MODULE "/"
/* For the namespaces of an earlier case to let go of the module. */
#define PATIENCE_MS 20000u

static int unload(struct net *net)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	unsigned int i;

	for (i = 0; i < PATIENCE_MS / 10; i++) {
		if (!syscall(SYS_delete_module, MODULE, O_NONBLOCK) || errno == ENOENT)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return net_fail(net, "module " MODULE " cannot be unloaded: %m");
}

static int load(struct net *net)
{
	const char *path = getenv("FO_HWSIM");
	char options[64];
	int fd, rc;

	if (!path)
		return net->cannot = 1,
		       net_fail(net, "FO_HWSIM does not name the module: tests/lab/nft_hw.sh");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return net->cannot = 1, net_fail(net, "FO_HWSIM=%.100s: %m", path);
	snprintf(options, sizeof(options), "ports=%u personality=%s", net->n_ports < 2 ? 2 : net->n_ports,
		 net->personality);
	rc = unload(net);
	if (!rc && syscall(SYS_finit_module, fd, options, 0))
		rc = net_fail(net, "%.100s cannot be loaded: %m", path);
	close(fd);
	if (!rc && access(FOLDER, F_OK) && mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL))
		rc = net_fail(net, "debugfs: %m");
	return rc;
}

/* A neighbour's end takes frames as long as the hardware does. */
#define CABLE_MTU 9000u

/* From the namespace where this thread is to another, to be what make_wires() would have made there. */
static int move(struct net *net, const char *from, int namespace_fd, const char *name, uint32_t port,
		int is_cable)
{
	const uint8_t mac[6] = {0x02, 0xf0, 0, 0, (uint8_t)port, is_cable ? 2 : 1};
	union {
		struct nlmsghdr header;
		char room[512];
	} buffer;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(&buffer);
	struct ifinfomsg *link;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), error = EIO;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	link = mnl_nlmsg_put_extra_header(nlh, sizeof(*link));
	link->ifi_index = (int)if_nametoindex(from);
	link->ifi_flags = link->ifi_change = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)namespace_fd);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
	if (is_cable)
		mnl_attr_put_u32(nlh, IFLA_MTU, CABLE_MTU);
	else
		mnl_attr_put_u32(nlh, IFLA_NEW_IFINDEX, port);
	if (fd >= 0 && send(fd, nlh, nlh->nlmsg_len, 0) == (ssize_t)nlh->nlmsg_len &&
	    recv(fd, &buffer, sizeof(buffer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
	    nlh->nlmsg_type == NLMSG_ERROR)
		error = -((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
	if (fd >= 0)
		close(fd);
	errno = error;
	return error ? net_fail(net, "%s cannot be moved to be %s: %m", from, name) : 0;
}

static int move_ports(struct net *net)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < net->n_ports; i++) {
		char from[16], name[16];

		snprintf(from, sizeof(from), "fo%u", i);
		snprintf(name, sizeof(name), "p%u", net->port[i]);
		rc = move(net, from, net->router, name, net->port[i], 0);
		snprintf(from, sizeof(from), "cable%u", i);
		snprintf(name, sizeof(name), "w%u", net->port[i]);
		if (!rc)
			rc = move(net, from, net->wires, name, net->port[i], 1);
	}
	return rc;
}

int net_hardware_wires(struct net *net)
{
	int rc = net_enter(net, net->home) || load(net) || move_ports(net);

	return net_enter(net, net->router) ? -1 : rc ? -1 : 0;
}

/* ---- What it holds --------------------------------------------------------------------------------------- */

static FILE *open_file(struct net *net, const char *name)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	file = fopen(path, "re");
	if (!file)
		net_fail(net, "%s: %m", path);
	return file;
}

int net_hardware_counter(struct net *net, const char *name, unsigned long *out)
{
	FILE *file = open_file(net, "counters");
	char line[96], word[64];
	int found = 0;

	if (!file)
		return -1;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %lu", word, out) == 2 && !strcmp(word, name);
	fclose(file);
	return found ? 0 : net_fail(net, "the hardware has no counter %s", name);
}

int net_hardware_rules(struct net *net, unsigned int *out)
{
	FILE *file = open_file(net, "rules");
	int c;

	*out = 0;
	if (!file)
		return -1;
	while ((c = fgetc(file)) != EOF)
		*out += c == '\n';
	fclose(file);
	return 0;
}
