/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_hwsim.c - the simulated switch (tests/hwsim) as the ports of the router: its devices are where the rig began, go
 * to router and wires under the names and numbers that ports have there, and come back. See rig_net.h.
 *
 * A case that crashed leaves that to the kernel, which brings them back in its own time, under the names they had.
 * */
#define _GNU_SOURCE
#include "rig_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#define SWITCH	    "/sys/kernel/debug/fo_hwsim/"
#define PATIENCE_MS 20000u
/* Rules that it has room for. */
#define CAPACITY 65536u
/* What the switch can carry. */
#define CABLE_MTU 9000u

/* One end of a port: its name on the switch, its letter in a router of the rig. */
static const struct end {
	const char *name;
	char letter;
	uint8_t number; /* last byte of its address */
} ends[] = {{"fo", 'p', 1}, {"cable", 'w', 2}};

/* By whatever of its two names it is here. 0: not here yet, or not at all. */
static unsigned int find(const struct end *end, unsigned int i, uint32_t port)
{
	char name[IF_NAMESIZE];
	unsigned int index;

	snprintf(name, sizeof(name), "%s%u", end->name, i);
	index = if_nametoindex(name);
	if (index)
		return index;
	snprintf(name, sizeof(name), "%c%u", end->letter, port);
	return if_nametoindex(name);
}

static unsigned int await(const struct end *end, unsigned int i, uint32_t port)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	unsigned int waited, index;

	for (waited = 0; waited < PATIENCE_MS; waited += 10) {
		index = find(end, i, port);
		if (index)
			return index;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* One request, in the namespace where this thread is. */
static int ask(struct net *net, const struct nlmsghdr *nlh, const char *what)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc = -1;

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&any, sizeof(any)) &&
	    send(fd, nlh, nlh->nlmsg_len, 0) == (ssize_t)nlh->nlmsg_len &&
	    recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(answer.error))) {
		errno = -answer.error.error;
		rc = answer.error.error ? -1 : 0;
	}
	if (rc)
		net_fail(net, "%s: %m", what);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* number 0: whatever the kernel gives it there. */
static int move(struct net *net, unsigned int index, int to, const char *name, uint32_t number,
		const uint8_t *mac, uint32_t mtu, int up)
{
	char room[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct ifinfomsg *header;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->ifi_index = (int)index;
	header->ifi_flags = up ? IFF_UP : 0;
	header->ifi_change = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)to);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (number)
		mnl_attr_put_u32(nlh, IFLA_NEW_IFINDEX, number);
	if (mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return ask(net, nlh, name);
}

static int set(struct net *net, const char *path, const char *value)
{
	FILE *file = fopen(path, "we");
	int bad;

	if (!file)
		return net->cannot = 1,
		       net_fail(net, "the simulated switch is not there (%s): insmod fo_hwsim.ko, in the lab",
				path);
	bad = fputs(value, file) < 0;
	bad |= fclose(file) != 0;
	return bad ? net_fail(net, "%s: %m", path) : 0;
}

static int set_number(struct net *net, const char *path, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return set(net, path, text);
}

static int order_refusals(struct net *net, const struct rig_fault *fault)
{
	char fail[128] = "0", refuse[64] = "";
	unsigned int i = 0;

	if (fault->error)
		snprintf(fail, sizeof(fail), "%d %u %u %s", fault->error, fault->skip, fault->count,
			 fault->words);
	while (fault->port && i < net->n_ports && net->port[i] != fault->port)
		i++;
	if (fault->port)
		snprintf(refuse, sizeof(refuse), "in%u %s", i, fault->without ? fault->without : "");
	else if (fault->without)
		snprintf(refuse, sizeof(refuse), "%s", fault->without);
	return set(net, SWITCH "fail", fail) || set(net, SWITCH "refuse", *refuse ? refuse : " ") ? -1 : 0;
}

/* All of what can be wrong with it. */
static int order(struct net *net, const struct rig_fault *fault)
{
	static const char *const stats[] = {
		[RIG_STATS_KEPT] = "on", [RIG_STATS_REFUSED] = "refused", [RIG_STATS_LOST] = "lost"};
	unsigned int rules = 0;

	net->tells = fault->stats == RIG_STATS_KEPT;
	if (fault->full && net_hwsim_rules(net, &rules))
		return -1;
	return set_number(net, SWITCH "capacity", fault->full ? rules + fault->room : CAPACITY) ||
			       order_refusals(net, fault) ||
			       set_number(net, SWITCH "delay_add_ms", fault->add_ms) ||
			       set_number(net, SWITCH "delay_delete_ms", fault->delete_ms) ||
			       set_number(net, SWITCH "delay_stats_ms", fault->stats_ms) ||
			       set(net, SWITCH "stats", stats[fault->stats])
		       ? -1
		       : 0;
}

int net_hwsim_fault(void *state, const struct rig_fault *fault, char *why, size_t why_size)
{
	struct net *net = state;

	if (!order(net, fault))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	return -1;
}

static const struct rig_fault no_fault;

/* Bytes are those of the IP packet, which the suite counts: of a frame there is no telling what was padding. */
static int set_up(struct net *net)
{
	return set(net, SWITCH "personality", net->hwsim) || set(net, SWITCH "count_l3", "Y") ||
			       order(net, &no_fault) || net_hwsim_counter(net, "flushed", &net->flushed)
		       ? -1
		       : 0;
}

static int take_end(struct net *net, unsigned int i, unsigned int which)
{
	const struct end *end = &ends[which];
	uint32_t port = net->port[i];
	const uint8_t mac[6] = {0x02, 0xf0, 0, 0, (uint8_t)port, end->number};
	unsigned int index = await(end, i, port);
	char name[IF_NAMESIZE];

	if (!index)
		return net->cannot = 1, net_fail(net,
						 "the simulated switch has no device %s%u: insmod "
						 "fo_hwsim.ko ports=8, in the lab",
						 end->name, i);
	snprintf(name, sizeof(name), "%c%u", end->letter, port);
	return move(net, index, which ? net->wires : net->router, name, which ? 0 : port, mac,
		    which ? CABLE_MTU : 1500, !which);
}

int net_hwsim_take(struct net *net)
{
	unsigned int i;
	int rc = net_enter(net, net->home);

	if (!rc)
		rc = set_up(net);
	for (i = 0; !rc && i < net->n_ports; i++)
		rc = take_end(net, i, 0) || take_end(net, i, 1) ? -1 : 0;
	return net_enter(net, net->router) ? -1 : rc;
}

void net_hwsim_give_back(struct net *net)
{
	unsigned int i, which;

	(void)order(net, &no_fault);
	if (net->counters >= 0)
		close(net->counters);
	net->counters = -1;
	for (which = 0; which < 2; which++) {
		int there = which ? net->wires : net->router;

		if (there < 0 || net->home < 0 || net_enter(net, there))
			continue;
		for (i = 0; i < net->n_ports; i++) {
			char here[IF_NAMESIZE], name[IF_NAMESIZE];
			unsigned int index;

			snprintf(here, sizeof(here), "%c%u", ends[which].letter, net->port[i]);
			snprintf(name, sizeof(name), "%s%u", ends[which].name, i);
			index = if_nametoindex(here);
			if (index)
				(void)move(net, index, net->home, name, 0, NULL, 1500, 0);
		}
		(void)net_enter(net, net->home);
	}
}

/* ---- What it holds --------------------------------------------------------------------------------------- */

/* The file stays open, since it is read for every packet. */
int net_hwsim_counter(struct net *net, const char *name, unsigned long *out)
{
	char text[1024], line[64];
	const char *at;
	ssize_t size;

	if (net->counters < 0)
		net->counters = open(SWITCH "counters", O_RDONLY | O_CLOEXEC);
	size = net->counters < 0 ? -1 : pread(net->counters, text, sizeof(text) - 1, 0);
	if (size < 0)
		return net_fail(net, SWITCH "counters: %m");
	text[size] = '\0';
	snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(text, line);
	if (!at)
		return net_fail(net, "the hardware has no counter %s", name);
	*out = strtoul(at + strlen(line), NULL, 10);
	return 0;
}

/* Those in whose line this is. */
static int count_rules(struct net *net, const char *of, unsigned int *out)
{
	FILE *file = fopen(SWITCH "rules", "re");
	char line[512];

	*out = 0;
	if (!file)
		return net_fail(net, SWITCH "rules: %m");
	while (fgets(line, sizeof(line), file))
		*out += strstr(line, of) != NULL;
	fclose(file);
	return 0;
}

int net_hwsim_rules(struct net *net, unsigned int *out)
{
	return count_rules(net, "\n", out);
}

int net_hwsim_untold(struct net *net)
{
	unsigned int rules, told;

	return net->tells && !net_hwsim_rules(net, &rules) && !count_rules(net, " untold=0\n", &told) &&
	       told < rules;
}

/* All but guards. */
int net_hwsim_forwarding(void *state, unsigned int *out)
{
	return count_rules(state, " do=forward ", out);
}

int net_hwsim_clean(void *state, char *why, size_t why_size)
{
	struct net *net = state;
	unsigned long flushed = 0;
	unsigned int rules = 0;

	if (net_hwsim_rules(net, &rules) || net_hwsim_counter(net, "flushed", &flushed)) {
		snprintf(why, why_size, "%s", net->why);
		return -1;
	}
	flushed -= net->flushed;
	if (!rules && !flushed)
		return 0;
	snprintf(why, why_size, "%u rules in the hardware, and %lu that it flushed by itself", rules,
		 flushed);
	return -1;
}
