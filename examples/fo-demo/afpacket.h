/* SPDX-License-Identifier: BSD-2-Clause */
/* afpacket.h - one network interface as frames: an AF_PACKET socket with a receive ring and batched sending.
 *
 * Why TPACKET_V2 and not V3: V3 hands frames over by the block, when one is full or its timer (a millisecond at
 * least) has run out, which every round trip of a TCP connection would pay for. V2 shows each frame at once. Its
 * slots have one size, so where segmentation offload is on (veth, most NICs) they must hold 64 KiB.
 *
 * Frames are used where the kernel put them: each has AP_HEADROOM writable bytes before it, the fast path
 * rewrites it in place, and ap_send() takes it from there. The one copy is the kernel's, on sending.
 *
 * Neighbours: router_loop.c.
 */
#ifndef FO_DEMO_AFPACKET_H
#define FO_DEMO_AFPACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_net.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define AP_BATCH    64u
#define AP_HEADROOM 64u

/* One received frame, in the ring until ap_release(). */
struct ap_frame {
	uint8_t *data;
	uint32_t length;
	struct virtio_net_hdr vnet; /* unfinished checksum, segmentation to be done */
	uint16_t vlan_tci;
	uint16_t vlan_tpid; /* 0: no tag in metadata */
	bool truncated;	    /* longer than a slot: not all of it is there */
};

struct ap_port {
	int fd;
	int ifindex;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	uint32_t mtu;

	uint8_t *ring;
	size_t ring_size, block_size;
	uint32_t frames, frame_size, per_block;
	uint32_t next;	 /* slot to look at */
	uint32_t oldest; /* slot to give back next */

	unsigned int queued;
	struct mmsghdr msgs[AP_BATCH];
	struct iovec iov[AP_BATCH][2];
	struct virtio_net_hdr vnet[AP_BATCH];

	uint64_t rx_frames, rx_lost; /* lost: the ring was full */
	uint64_t tx_frames, tx_bytes, tx_full, tx_refused;
	int tx_errno; /* of the last one refused */
};

/* A slot holds a frame, AP_HEADROOM and some hundred bytes of the ring's own; the default takes any GSO frame. */
#define AP_SLOT_DEFAULT (65536u + 2048u)
#define AP_SLOT_MIN	2048u
#define AP_SLOT_MAX	(1u << 17)

struct ap_options {
	uint32_t frames; /* slots in the ring */
	uint32_t slot;	 /* bytes */
	bool bypass_qdisc;
};

/* Opens interface name. -errno, and what failed in why. */
int ap_open(struct ap_port *port, const char *name, const struct ap_options *o, char *why, size_t size);
void ap_close(struct ap_port *port);

/* Up to max frames, oldest first; they stay valid until ap_release() has given them back, in the same order. */
unsigned int ap_receive(struct ap_port *port, struct ap_frame *frames, unsigned int max);
void ap_release(struct ap_port *port, unsigned int n);

/* Queues a frame; data must stay as it is until the next ap_flush(), which a full batch calls by itself
 * when one more comes. */
void ap_send(struct ap_port *port, const struct virtio_net_hdr *vnet, uint8_t *data, uint32_t length);
void ap_flush(struct ap_port *port);

/* Adds what the kernel has counted since the last call to rx_lost. */
void ap_count_lost(struct ap_port *port);

#endif /* FO_DEMO_AFPACKET_H */
