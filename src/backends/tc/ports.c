/* SPDX-License-Identifier: BSD-2-Clause */
/* ports.c - a port of the table: its device, the place where its filters hang, and who owns them. See state.h.
 *
 * An ingress or clsact qdisc that is there is used and never deleted, nor is one that we made as long as others have filters
 * there. Ownership is an abstract socket, which a network namespace has once, and which goes with its process however it
 * ends. Source: net/sched/sch_ingress.c, net/sched/sch_api.c.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fo__tc_port *fo__tc_port(struct fo__tc *tc, uint32_t index)
{
	for (unsigned int i = 0; index && i < FO__TC_PORTS; i++)
		if (tc->ports[i].index == index)
			return &tc->ports[i];
	return NULL;
}

int fo__tc_port_works(const struct fo__tc_port *port)
{
	return port->index && !port->down && !port->said_down;
}

int fo__tc_port_shows(const struct fo__tc *tc, unsigned int at)
{
	const struct fo__tc_port *port = &tc->ports[at];

	if (!port->index)
		return 0;
	for (unsigned int i = 0; port->block && i < at; i++)
		if (tc->ports[i].index && tc->ports[i].block == port->block)
			return 0;
	return 1;
}

/* ---- Ownership ---- */

static socklen_t name_of(const struct fo__tc *tc, const struct fo__tc_port *port, struct sockaddr_un *name)
{
	int length;

	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	length = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "flowoffload-tc/%s%u/%u",
			  port->block ? "block" : "", port->block ? port->block : port->index,
			  tc->own.priority);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* Who has it: the process that listens there. */
static int owned(const struct fo__tc_port *port, const struct sockaddr_un *name, socklen_t size,
		 struct fo_error *err)
{
	struct ucred who = {.pid = 0};
	socklen_t length = sizeof(who);
	char path[32], comm[32] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FILE *file;

	if (fd >= 0 && !connect(fd, (const struct sockaddr *)name, size))
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length);
	if (fd >= 0)
		close(fd);
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)who.pid);
	file = who.pid ? fopen(path, "re") : NULL;
	if (file) {
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = '\0';
		(void)fclose(file);
	}
	comm[strcspn(comm, "\n")] = '\0';
	return fo__nl_refuse(
		err, -EBUSY, FO_R_IN_USE, FO_STAGE_RESOLVE, EADDRINUSE, "ports",
		"%s is a port of another table (process %ld%s%s) with these priorities: end that one, or "
		"choose another backend_options.priority",
		port->name, (long)who.pid, *comm ? " " : "", comm);
}

static int take_ownership(const struct fo__tc *tc, struct fo__tc_port *port, struct fo_error *err)
{
	struct sockaddr_un name;
	socklen_t size = name_of(tc, port, &name);
	int error;

	port->lock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (port->lock >= 0 && !bind(port->lock, (struct sockaddr *)&name, size) && !listen(port->lock, 1))
		return 0;
	error = errno;
	if (port->lock >= 0)
		close(port->lock);
	port->lock = -1;
	if (error == EADDRINUSE)
		return owned(port, &name, size, err);
	return fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, error, "ports",
			     "ownership of %s cannot be taken: %s", port->name, strerror(error));
}

/* ---- Where filters hang ---- */

struct place {
	uint32_t index;
	uint32_t block;
	int found;
};

static int look(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct nlattr *attrs[TCA_MAX + 1];
	struct place *place = arg;
	struct tcmsg header;

	(void)seq;
	(void)error;
	if (nlh->nlmsg_type != RTM_NEWQDISC)
		return 0;
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(header) ||
	    fo__rx_attrs(nlh, sizeof(header), attrs, TCA_MAX))
		return -EPROTO;
	memcpy(&header, mnl_nlmsg_get_payload(nlh), sizeof(header));
	if ((uint32_t)header.tcm_ifindex != place->index || header.tcm_parent != TC_H_INGRESS)
		return 0;
	place->found = 1;
	(void)fo__rx_u32(attrs[TCA_INGRESS_BLOCK], &place->block);
	return 0;
}

static void look_again(void *arg)
{
	struct place *place = arg;

	place->found = 0;
	place->block = 0;
}

static int find_place(struct fo__tc *tc, struct place *place)
{
	struct tcmsg *header;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	header = fo__tx_message(&tx, RTM_GETQDISC, NLM_F_DUMP, sizeof(*header));
	if (!header)
		return -EMSGSIZE;
	header->tcm_ifindex = (int)place->index;
	return fo__nl_dump(&tc->set, &tx, look, place, look_again);
}

static int ask_qdisc(struct fo__tc *tc, const struct fo__tc_port *port, uint16_t type, uint16_t flags,
		     struct fo__nl_answer *answer)
{
	struct tcmsg *header;
	struct fo__tx tx;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	header = fo__tx_message(&tx, type, NLM_F_ACK | flags, sizeof(*header));
	if (!header)
		return -EMSGSIZE;
	header->tcm_ifindex = (int)port->index;
	header->tcm_parent = TC_H_CLSACT;
	header->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	fo__tx_put_text(&tx, TCA_KIND, "clsact");
	return fo__nl_talk(&tc->set, &tx, NULL, NULL, answer);
}

static int make_place(struct fo__tc *tc, struct fo__tc_port *port, struct fo_error *err)
{
	struct place place = {.index = port->index};
	struct fo__nl_answer answer = {.error = 0};
	int rc = find_place(tc, &place);

	if (rc)
		return fo__nl_refused(err, rc, FO_STAGE_RESOLVE, NULL, "qdiscs cannot be read");
	port->block = place.block;
	if (place.found || tc->own.mode == FO_TC_CLEAN_UP)
		return 0;
	rc = ask_qdisc(tc, port, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &answer);
	port->made = !rc;
	return rc ? fo__nl_refused(err, rc == -EPERM ? rc : -EOPNOTSUPP, FO_STAGE_RESOLVE, &answer,
				   "a port takes no clsact qdisc")
		  : 0;
}

/* ---- Coming and going ---- */

static int read_device(struct fo__tc *tc, struct fo__tc_port *port, struct fo_error *err)
{
	struct fo__link link;
	int rc = fo__link_get(&tc->set, port->index, &link);

	if (rc)
		return fo__nl_refuse(
			err, rc == -ENODEV ? rc : -EIO, FO_R_PORT, FO_STAGE_RESOLVE, -rc, "ports",
			"there is no device with index %u here: a port of backend tc is an ifindex "
			"in the table's network namespace",
			port->index);
	memcpy(port->name, link.name, sizeof(port->name));
	port->mtu = link.mtu;
	port->down = !fo__link_works(&link);
	if (link.type == ARPHRD_ETHER && !(link.flags & IFF_LOOPBACK))
		return 0;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "ports",
			     "%s has no Ethernet header (type %u): name the Ethernet device beneath",
			     link.name, link.type);
}

/* Another of our ports in the same block has its owner already. */
static int is_shared_with_ours(const struct fo__tc *tc, const struct fo__tc_port *port)
{
	for (unsigned int i = 0; port->block && i < FO__TC_PORTS; i++)
		if (&tc->ports[i] != port && tc->ports[i].index && tc->ports[i].block == port->block)
			return 1;
	return 0;
}

int fo__tc_port_open(struct fo__tc *tc, uint32_t index, int probing, struct fo_error *err)
{
	struct fo__tc_port *port = NULL;
	int rc;

	for (unsigned int i = 0; !port && i < FO__TC_PORTS; i++)
		if (!tc->ports[i].index)
			port = &tc->ports[i];
	if (!port)
		return fo__nl_refuse(err, -ENOSPC, FO_R_FULL, FO_STAGE_RESOLVE, 0, "ports",
				     "a table has %u ports at most", FO__TC_PORTS);
	*port = (struct fo__tc_port){.index = index, .lock = -1};
	rc = read_device(tc, port, err);
	if (!rc)
		rc = make_place(tc, port, err);
	if (!rc && !probing && !is_shared_with_ours(tc, port)) {
		rc = take_ownership(tc, port, err);
		if (!rc)
			rc = fo__tc_clear(tc, port, err);
	}
	if (rc)
		fo__tc_port_close(tc, port);
	return rc;
}

void fo__tc_port_close(struct fo__tc *tc, struct fo__tc_port *port)
{
	if (!fo__tc_flows_stay(tc))
		fo__tc_guards_drop(tc, port);
	/* Not knowing is treated as the worse case. */
	if (port->made && !fo__tc_has_filters(tc, port))
		(void)ask_qdisc(tc, port, RTM_DELQDISC, 0, NULL);
	if (port->lock >= 0)
		close(port->lock);
	memset(port, 0, sizeof(*port));
	port->lock = -1;
	for (unsigned int i = 0; i < FO__TC_PORTS; i++)
		tc->pair[i][fo__tc_place(tc, port)] = tc->pair[fo__tc_place(tc, port)][i] = 0;
}
