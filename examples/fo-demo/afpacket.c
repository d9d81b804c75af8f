/* SPDX-License-Identifier: BSD-2-Clause */
/* afpacket.c - see afpacket.h. Source: Linux, Documentation/networking/packet_mmap.rst and af_packet.c. */
#include "afpacket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define BLOCK_SIZE   (1u << 20)
#define SEND_WAIT_MS 5
#define SEND_TRIES   4

static int failed(char *why, size_t size, const char *what)
{
	int e = errno;

	snprintf(why, size, "%s: %s", what, strerror(e));
	return -e;
}

static int set_option(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value));
}

static int read_interface(struct ap_port *port, char *why, size_t size)
{
	struct ifreq req;

	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", port->name);
	if (ioctl(port->fd, SIOCGIFINDEX, &req) < 0)
		return failed(why, size, "no such interface here");
	port->ifindex = req.ifr_ifindex;
	if (ioctl(port->fd, SIOCGIFHWADDR, &req) < 0)
		return failed(why, size, "reading its MAC address");
	if (req.ifr_hwaddr.sa_family != 1 /* ARPHRD_ETHER */) {
		snprintf(why, size, "not an Ethernet interface");
		return -EOPNOTSUPP;
	}
	memcpy(port->mac, req.ifr_hwaddr.sa_data, 6);
	if (ioctl(port->fd, SIOCGIFMTU, &req) < 0)
		return failed(why, size, "reading its MTU");
	port->mtu = req.ifr_mtu < 65535 ? (uint32_t)req.ifr_mtu : 65535;
	return 0;
}

static int set_options(struct ap_port *port, bool bypass_qdisc, char *why, size_t size)
{
	if (set_option(port->fd, PACKET_VERSION, TPACKET_V2) < 0)
		return failed(why, size, "PACKET_VERSION");
	if (set_option(port->fd, PACKET_VNET_HDR, 1) < 0)
		return failed(why, size, "PACKET_VNET_HDR");
	if (set_option(port->fd, PACKET_RESERVE, AP_HEADROOM) < 0)
		return failed(why, size, "PACKET_RESERVE");
	if (set_option(port->fd, PACKET_IGNORE_OUTGOING, 1) < 0)
		return failed(why, size, "PACKET_IGNORE_OUTGOING");
	if (bypass_qdisc && set_option(port->fd, PACKET_QDISC_BYPASS, 1) < 0)
		return failed(why, size, "PACKET_QDISC_BYPASS");
	return 0;
}

static int map_ring(struct ap_port *port, const struct ap_options *o, char *why, size_t size)
{
	uint32_t slot_size = TPACKET_ALIGN(o->slot), per_block = BLOCK_SIZE / slot_size;
	struct tpacket_req req = {.tp_block_size = BLOCK_SIZE, .tp_frame_size = slot_size};
	void *ring;

	req.tp_block_nr = (o->frames + per_block - 1) / per_block;
	req.tp_frame_nr = req.tp_block_nr * per_block;
	if (setsockopt(port->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return failed(why, size, "PACKET_RX_RING (a smaller --ring needs less memory)");
	port->ring_size = (size_t)req.tp_block_nr * BLOCK_SIZE;
	ring = mmap(NULL, port->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
	if (ring == MAP_FAILED)
		return failed(why, size, "mapping the ring");
	port->ring = ring;
	port->block_size = BLOCK_SIZE;
	port->per_block = per_block;
	port->frame_size = slot_size;
	port->frames = req.tp_frame_nr;
	return 0;
}

static int bind_port(struct ap_port *port, char *why, size_t size)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = port->ifindex};
	struct packet_mreq all = {.mr_ifindex = port->ifindex, .mr_type = PACKET_MR_ALLMULTI};

	if (bind(port->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed(why, size, "bind");
	/* Neighbour discovery asks by multicast, which a NIC would filter. */
	if (setsockopt(port->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
		return failed(why, size, "PACKET_ADD_MEMBERSHIP");
	return 0;
}

int ap_open(struct ap_port *port, const char *name, const struct ap_options *o, char *why, size_t size)
{
	int r;

	memset(port, 0, sizeof(*port));
	snprintf(port->name, sizeof(port->name), "%s", name);
	/* Protocol 0: nothing arrives before the ring is there and bind() says from where. */
	port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (port->fd < 0)
		return failed(why, size, "AF_PACKET socket (needs CAP_NET_RAW)");
	r = read_interface(port, why, size);
	if (!r)
		r = set_options(port, o->bypass_qdisc, why, size);
	if (!r)
		r = map_ring(port, o, why, size);
	if (!r)
		r = bind_port(port, why, size);
	if (r)
		ap_close(port);
	return r;
}

void ap_close(struct ap_port *port)
{
	if (port->ring)
		munmap(port->ring, port->ring_size);
	port->ring = NULL;
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
}

static struct tpacket2_hdr *slot(const struct ap_port *port, uint32_t i)
{
	return (struct tpacket2_hdr *)(port->ring + i / port->per_block * port->block_size +
				       (size_t)(i % port->per_block) * port->frame_size);
}

static void read_slot(const struct tpacket2_hdr *h, uint32_t status, struct ap_frame *f)
{
	f->data = (uint8_t *)(uintptr_t)h + h->tp_mac;
	f->length = h->tp_snaplen;
	f->truncated = h->tp_snaplen < h->tp_len;
	memcpy(&f->vnet, f->data - sizeof(f->vnet), sizeof(f->vnet));
	f->vlan_tpid = 0;
	if (status & TP_STATUS_VLAN_VALID) {
		f->vlan_tci = h->tp_vlan_tci;
		f->vlan_tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;
	}
}

unsigned int ap_receive(struct ap_port *port, struct ap_frame *frames, unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max; n++) {
		struct tpacket2_hdr *h = slot(port, port->next);
		/* Pairs with the kernel's barrier: the status is written after the frame. */
		uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			break;
		read_slot(h, status, &frames[n]);
		port->next = port->next + 1 < port->frames ? port->next + 1 : 0;
		/* Once round the ring and none given back: the oldest frame is still the caller's. */
		if (port->next == port->oldest) {
			n++;
			break;
		}
	}
	port->rx_frames += n;
	return n;
}

void ap_release(struct ap_port *port, unsigned int n)
{
	for (; n; n--) {
		__atomic_store_n(&slot(port, port->oldest)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		port->oldest = port->oldest + 1 < port->frames ? port->oldest + 1 : 0;
	}
}

void ap_send(struct ap_port *port, const struct virtio_net_hdr *vnet, uint8_t *data, uint32_t length)
{
	struct msghdr *m;
	unsigned int i;

	if (port->queued == AP_BATCH)
		ap_flush(port);
	i = port->queued++;
	m = &port->msgs[i].msg_hdr;
	port->vnet[i] = *vnet;
	port->iov[i][0] = (struct iovec){&port->vnet[i], sizeof(port->vnet[i])};
	port->iov[i][1] = (struct iovec){data, length};
	memset(m, 0, sizeof(*m));
	m->msg_iov = port->iov[i];
	m->msg_iovlen = 2;
}

static bool wait_for_room(struct ap_port *port)
{
	struct pollfd p = {.fd = port->fd, .events = POLLOUT};

	return poll(&p, 1, SEND_WAIT_MS) >= 0;
}

/* A frame that the kernel refuses costs itself only. One that finds no room waits a little, as a NIC's full
 * queue would make it, and is then lost and counted. */
void ap_flush(struct ap_port *port)
{
	unsigned int at = 0, tries = 0, i;

	while (at < port->queued) {
		int sent = sendmmsg(port->fd, port->msgs + at, port->queued - at, MSG_DONTWAIT);

		if (sent > 0) {
			for (i = at; i < at + (unsigned int)sent; i++)
				port->tx_bytes += port->iov[i][1].iov_len;
			port->tx_frames += (unsigned int)sent;
			at += (unsigned int)sent;
			tries = 0;
			continue;
		}
		if (errno == EINTR)
			continue;
		if ((errno == EAGAIN || errno == ENOBUFS) && tries++ < SEND_TRIES && wait_for_room(port))
			continue;
		if (errno == EAGAIN || errno == ENOBUFS) {
			port->tx_full++;
		} else {
			port->tx_refused++;
			port->tx_errno = errno;
		}
		at++;
		tries = 0;
	}
	port->queued = 0;
}

void ap_count_lost(struct ap_port *port)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	if (getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
		port->rx_lost += stats.tp_drops;
}
