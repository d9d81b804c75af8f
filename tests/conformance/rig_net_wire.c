/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_wire.c - frames into the router's ports, and what comes of them. See rig_net.h.
 *
 * The tap is a chain at the ports' ingress hook, behind every short cut there is at that place, that logs whole frames:
 * what it sees was passed on, and shows how. How long to wait for a frame that may never come out is not a matter of time:
 * everything runs on one processor, whose backlog of frames is a queue, so a marker that is seen after the frame proves
 * that the frame was dealt with, and a second one that what was sent on account of it has arrived. One that came out
 * before a marker was sent needs none.
 * */
#define _GNU_SOURCE
#include "rig_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#define TAP_GROUP   7u
#define MARKER_TYPE 0x88b5 /* local experiments */
#define MARKER_SIZE 60u
/* For a marker to come through; only a rig that is broken waits so long. */
#define PATIENCE_S 30

static uint8_t buffer[PACKET_MAX + 4096];

/* Room for the longest of frames is not copied for each. */
void net_frame_copy(struct net_frame *to, const struct net_frame *from)
{
	to->port = from->port;
	to->length = from->length;
	memcpy(to->bytes, from->bytes, from->length);
}

/* ---- Sockets --------------------------------------------------------------------------------------------- */

/* To send: it hears nothing. */
static int open_wire(struct net *net, unsigned int i)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	char name[16];

	net->wire[i] = fd;
	snprintf(name, sizeof(name), "w%u", net->port[i]);
	net->wire_index[i] = to.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		return net_fail(net, "a packet socket on %s cannot be made: %m", name);
	return 0;
}

/* Everything that comes out of the router, by whatever port. */
static int open_arrivals(struct net *net)
{
	int on = 1, size = 8 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	net->arrivals = fd;
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		return net_fail(net, "a packet socket for what comes out cannot be made: %m");
	return 0;
}

static void configure(struct nlmsghdr *nlh, uint8_t command, uint32_t range)
{
	struct nfulnl_msg_config_cmd cmd = {.command = command};
	struct nfulnl_msg_config_mode mode = {.copy_mode = NFULNL_COPY_PACKET, .copy_range = htonl(range)};
	struct nfgenmsg *header;

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->nfgen_family = AF_UNSPEC;
	header->version = NFNETLINK_V0;
	header->res_id = htons(TAP_GROUP);
	if (command)
		mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	else
		mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	if (!command)
		mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(1));
}

/* Send one request and wait for its acknowledgement. */
static int ask_tap(struct net *net, uint8_t command)
{
	char room[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	const struct nlmsgerr *answer;
	ssize_t got;

	configure(nlh, command, 0xffff);
	if (send(net->tap, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return net_fail(net, "the tap cannot be set up: %m");
	got = recv(net->tap, buffer, sizeof(buffer), 0);
	nlh = (struct nlmsghdr *)buffer;
	if (got < (ssize_t)NLMSG_LENGTH(sizeof(*answer)) || nlh->nlmsg_type != NLMSG_ERROR)
		return net_fail(net, "the tap was not acknowledged");
	answer = mnl_nlmsg_get_payload(nlh);
	errno = -answer->error;
	return answer->error ? net_fail(net, "nfnetlink_log refused: %m") : 0;
}

static int open_tap(struct net *net)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int size = 8 << 20;

	net->tap = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (net->tap < 0 || bind(net->tap, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(net->tap, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(net->tap, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		return net_fail(net, "a netlink socket for the tap cannot be made: %m");
	return ask_tap(net, NFULNL_CFG_CMD_BIND) || ask_tap(net, 0) ? -1 : 0;
}

/* On one processor, see above. */
static int stay_here(struct net *net)
{
	cpu_set_t allowed, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return net_fail(net, "sched_getaffinity: %m");
	for (cpu = 0; cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &allowed); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) ? net_fail(net, "sched_setaffinity: %m") : 0;
}

int net_wire_open(struct net *net)
{
	unsigned int i;
	int rc = net_enter(net, net->wires);

	for (i = 0; i < NET_PORTS; i++)
		net->wire[i] = -1;
	for (i = 0; !rc && i < net->n_ports; i++)
		rc = open_wire(net, i);
	if (!rc)
		rc = open_arrivals(net);
	if (!rc)
		rc = net_enter(net, net->router) || open_tap(net) || stay_here(net);
	if (net_enter(net, net->home))
		return -1;
	return rc ? -1 : 0;
}

void net_wire_close(struct net *net)
{
	unsigned int i;

	for (i = 0; i < net->n_ports; i++)
		if (net->wire[i] > 0)
			close(net->wire[i]);
	if (net->arrivals >= 0)
		close(net->arrivals);
	if (net->tap >= 0)
		close(net->tap);
}

/* ---- What comes out -------------------------------------------------------------------------------------- */

/* The kernel takes the outermost tag out of the frame; here it goes back. */
static void put_tag(struct net_frame *frame, uint16_t tpid, uint16_t tci)
{
	memmove(frame->bytes + 16, frame->bytes + 12, frame->length - 12);
	packet_put16(frame->bytes + 12, tpid);
	packet_put16(frame->bytes + 14, tci);
	frame->length += 4;
	frame->csum_start = (uint16_t)(frame->csum_start + (frame->flags ? 4 : 0));
}

static const struct tpacket_auxdata *auxdata(struct msghdr *msg)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
	return NULL;
}

static uint32_t port_of(const struct net *net, int wire_index)
{
	unsigned int i;

	for (i = 0; i < net->n_ports; i++)
		if (net->wire_index[i] == wire_index)
			return net->port[i];
	return 0;
}

/* One frame that came out. 1, 0 when there is none, -1. */
static int receive(struct net *net, struct net_frame *out)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct virtio_net_hdr left = {0};
	struct iovec iov[2] = {{&left, net->offloads ? sizeof(left) : 0},
			       {out->bytes, sizeof(out->bytes) - 4}};
	struct sockaddr_ll from = {.sll_ifindex = 0};
	struct msghdr msg = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(net->arrivals, &msg, MSG_DONTWAIT);
	const struct tpacket_auxdata *aux;

	if (got < 0)
		return errno == EAGAIN ? 0 : net_fail(net, "recvmsg: %m");
	out->port = port_of(net, from.sll_ifindex);
	out->length = (uint32_t)got - (uint32_t)iov[0].iov_len;
	out->flags = left.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? FO_PKT_CSUM_PARTIAL : 0;
	out->csum_start = out->flags ? left.csum_start : 0;
	out->csum_offset = out->flags ? left.csum_offset : 0;
	out->gso_size = left.gso_type ? left.gso_size : 0;
	out->flags |= left.gso_type ? FO_PKT_GSO : 0;
	aux = auxdata(&msg);
	if (aux && (aux->tp_status & TP_STATUS_VLAN_VALID) && out->length >= 14)
		put_tag(out, aux->tp_vlan_tpid, aux->tp_vlan_tci);
	return 1;
}

static int collect(struct net *net)
{
	static struct net_frame more;
	int rc;

	while ((rc = receive(net, net->n_out ? &more : &net->out)) > 0)
		net->n_out++;
	return rc;
}

/* ---- The tap --------------------------------------------------------------------------------------------- */

struct logged {
	const uint8_t *header, *payload;
	uint32_t header_size, payload_size;
	uint16_t tpid, tci;
	int tagged;
};

static void parse_vlan(const struct nlattr *nest, struct logged *log)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_payload_len(attr) < 2)
			continue;
		if (mnl_attr_get_type(attr) == NFULA_VLAN_PROTO)
			log->tpid = ntohs(mnl_attr_get_u16(attr));
		if (mnl_attr_get_type(attr) == NFULA_VLAN_TCI)
			log->tci = ntohs(mnl_attr_get_u16(attr));
		log->tagged = 1;
	}
}

static void parse_log(const struct nlmsghdr *nlh, struct logged *log)
{
	const struct nlattr *attr;

	memset(log, 0, sizeof(*log));
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case NFULA_HWHEADER:
			log->header = mnl_attr_get_payload(attr);
			log->header_size = mnl_attr_get_payload_len(attr);
			break;
		case NFULA_PAYLOAD:
			log->payload = mnl_attr_get_payload(attr);
			log->payload_size = mnl_attr_get_payload_len(attr);
			break;
		case NFULA_VLAN:
			parse_vlan(attr, log);
			break;
		default:
			break;
		}
	}
}

/* The frame as the slow path gets it. */
static int rebuild(struct net *net, const struct logged *log, struct net_frame *frame)
{
	if (log->header_size < 14 || log->payload_size > sizeof(frame->bytes) - 18)
		return net_fail(net, "the tap showed a frame without an Ethernet header");
	memcpy(frame->bytes, log->header, 14);
	if (log->payload_size)
		memcpy(frame->bytes + 14, log->payload, log->payload_size);
	frame->length = 14 + log->payload_size;
	if (log->tagged)
		put_tag(frame, log->tpid, log->tci);
	return 0;
}

static int take_tapped(struct net *net, const struct nlmsghdr *nlh, int *marked)
{
	static struct net_frame frame;
	struct logged log;
	uint64_t number;

	parse_log(nlh, &log);
	if (rebuild(net, &log, &frame))
		return -1;
	if (frame.length >= 22 && packet_get16(frame.bytes + 12) == MARKER_TYPE) {
		memcpy(&number, frame.bytes + 14, sizeof(number));
		*marked |= number == net->marker;
		return 0;
	}
	if (net->tapped++ == 0)
		net_frame_copy(&net->seen, &frame);
	return 0;
}

/* What there is to read; flags: MSG_DONTWAIT, or 0 to wait for it. 1, 0 when there is nothing, -1. */
static int read_tap(struct net *net, int flags, int *marked)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
	ssize_t size = recv(net->tap, buffer, sizeof(buffer), flags);
	int left = (int)size;

	if (size < 0 && errno == EINTR)
		return 1;
	if (size < 0)
		return errno == EAGAIN ? 0 : net_fail(net, "the tap: %m");
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		if (nlh->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) &&
		    take_tapped(net, nlh, marked))
			return -1;
	return 1;
}

/* ---- In, and through ------------------------------------------------------------------------------------- */

static int push(struct net *net, unsigned int i, const struct rig_packet *packet)
{
	struct virtio_net_hdr left = {0};
	struct iovec iov[2] = {{&left, net->offloads ? sizeof(left) : 0},
			       {(void *)(uintptr_t)packet->frame, packet->length}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (packet->flags & FO_PKT_CSUM_PARTIAL) {
		left.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		left.csum_start = packet->csum_start;
		left.csum_offset = packet->csum_offset;
	}
	/* Of TCP without options, and in no tag. */
	if (packet->flags & FO_PKT_GSO) {
		left.gso_type = packet_get16(packet->frame + 12) == ETH_P_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6
									       : VIRTIO_NET_HDR_GSO_TCPV4;
		left.gso_size = packet->gso_size;
		left.hdr_len = (uint16_t)(packet->csum_start + 20);
	}
	return sendmsg(net->wire[i], &msg, 0) == (ssize_t)(iov[0].iov_len + packet->length)
		       ? 0
		       : net_fail(net, "a frame of %u bytes cannot be sent: %m", packet->length);
}

/* All that was sent before was dealt with when this returns. */
static int barrier(struct net *net, unsigned int i)
{
	uint8_t frame[MARKER_SIZE] = {0x02, 0xf0, 0, 0, 0, 0xfe, 0x02, 0xf0, 0, 0, 0, 0xfd};
	const struct rig_packet marker = {.frame = frame, .length = sizeof(frame)};
	int marked = 0;

	net->marker++;
	packet_put16(frame + 12, MARKER_TYPE);
	memcpy(frame + 14, &net->marker, sizeof(net->marker));
	if (push(net, i, &marker))
		return -1;
	while (!marked) {
		int rc = read_tap(net, 0, &marked);

		if (rc < 0)
			return -1;
		if (!rc)
			return net_fail(net, "a marker did not come through within %u s", PATIENCE_S);
	}
	return 0;
}

int net_wire_offloads(struct net *net)
{
	unsigned int i;
	int on = 1;

	int rc = setsockopt(net->arrivals, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));

	for (i = 0; !rc && i < net->n_ports; i++)
		rc = setsockopt(net->wire[i], SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
	if (rc)
		return net_fail(net, "packet sockets say nothing of checksums: %m");
	net->offloads = 1;
	return 0;
}

/* Of a frame that came out: it passed the tap before, or never. */
static int was_tapped(struct net *net)
{
	int marked = 0, rc;

	while ((rc = read_tap(net, MSG_DONTWAIT, &marked)) > 0)
		;
	return rc;
}

int net_carry(struct net *net, const struct rig_packet *packet)
{
	unsigned int i = 0;
	int fast;

	while (i < net->n_ports && net->port[i] != packet->in_port)
		i++;
	if (i == net->n_ports)
		return net_fail(net, "no port %u", packet->in_port);
	net->carried = 0;
	/* What the slow path said meanwhile is not this frame's doing; but of a frame on the short cut there is one. */
	fast = net->n_out && !net->tapped;
	net->n_out = 0;
	if (collect(net))
		return -1;
	net->late += fast ? net->n_out : 0;
	net->tapped = 0;
	net->n_out = 0;
	/* Too short for a frame at all, or nobody at the other end: no wire takes it. */
	if (packet->length < 14 || net->is_down[i])
		return 0;
	if (push(net, i, packet) || collect(net))
		return -1;
	/* One that came out already is what there is to see; a second one would be late. */
	if (net->n_out)
		return was_tapped(net);
	if (barrier(net, i) || collect(net))
		return -1;
	if (net->n_out)
		return 0;
	return barrier(net, i) ? -1 : collect(net);
}
