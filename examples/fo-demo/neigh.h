/* SPDX-License-Identifier: BSD-2-Clause */
/* neigh.h - who has that address: a bounded cache of neighbours on both sides, by ARP and ND.
 *
 * A packet to an unknown neighbour waits in a short queue. A neighbour in use is asked again from time to time
 * (packets in the fast path do not pass by here and prove nothing), so that a new MAC is noticed and a silent
 * one given up. neigh_wire.c speaks ARP and ND, neigh.c keeps the cache; router_slow.c feeds both.
 */
#ifndef FO_DEMO_NEIGH_H
#define FO_DEMO_NEIGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flowoffload.h>
#include <linux/virtio_net.h>

enum neigh_state {
	NEIGH_FREE,
	NEIGH_ASKING, /* MAC unknown */
	NEIGH_KNOWN,
	NEIGH_PROBING, /* MAC known, asked whether it still holds */
	NEIGH_FAILED   /* nobody answered; asked again when a packet wants it */
};

struct neigh_packet {
	struct neigh_packet *next;
	struct virtio_net_hdr vnet;
	uint32_t length;
	uint8_t bytes[]; /* room for the Ethernet header, then the IP packet */
};

#define NEIGH_ROOM 18u

struct neigh {
	uint8_t state; /* enum neigh_state */
	uint8_t side;
	uint8_t family; /* FO_FAMILY_ */
	uint8_t tries;
	uint8_t addr[16];
	uint8_t mac[6];
	uint16_t queued;
	uint32_t chain; /* index + 1 of the next in the same bucket */
	uint64_t next_ms;
	struct neigh_packet *first, **last;
	fo_adj_id adj; /* of the caller; 0: never offloaded to */
};

struct neigh_table;

/* What the table asks of its owner. */
struct neigh_ops {
	void (*ask)(void *arg, const struct neigh *n,
		    bool unicast); /* send an ARP request or a solicitation */
	void (*send)(void *arg, const struct neigh *n, struct neigh_packet *p);
	void (*changed)(void *arg, struct neigh *n);   /* another MAC, or NEIGH_FAILED */
	void (*lost)(void *arg, unsigned int packets); /* queued ones that were given up */
	void *arg;
};

struct neigh_table *neigh_create(const struct neigh_ops *ops);
void neigh_destroy(struct neigh_table *t);

/* Addresses are 16 bytes, IPv4 in the first four and zero after them. */

/* The neighbour with that address, asked for if need be. NULL when the cache is full of others in use. */
struct neigh *neigh_want(struct neigh_table *t, int side, uint8_t family, const uint8_t *addr,
			 uint64_t now_ms);
bool neigh_usable(const struct neigh *n);
/* Copies a packet to be sent when n answers. Returns false when its queue is full. */
bool neigh_queue(struct neigh *n, const uint8_t *l3, uint32_t length, const struct virtio_net_hdr *vnet);
/* A neighbour told its MAC. One that asked for us (create) is about to be answered and is learnt; of the others
 * only those wanted before. Nobody can push out those in use by talking. */
void neigh_learn(struct neigh_table *t, int side, uint8_t family, const uint8_t *addr, const uint8_t mac[6],
		 bool create, uint64_t now_ms);
/* Repeats questions, gives up, probes those in use. Call some ten times a second. */
void neigh_tick(struct neigh_table *t, uint64_t now_ms);

/* ---- Messages (neigh_wire.c) ---- */

struct neigh_message {
	bool question; /* an answer is due when target is ours */
	uint8_t family;
	uint8_t target[16]; /* asked for */
	uint8_t sender[16]; /* has mac; all zero: does not say (ARP probe, duplicate address detection) */
	uint8_t mac[6];
	bool has_mac;
};

#define NEIGH_FRAME_MAX 90u

/* Reads an ARP packet or an IPv6 packet with a neighbour message. False: is none, or malformed. */
bool neigh_read_arp(const uint8_t *arp, size_t n, struct neigh_message *m);
bool neigh_read_nd(const uint8_t *ip6, size_t n, struct neigh_message *m);

/* Who speaks: our MAC, our address on that side, the VLAN it is tagged with (0: none). */
struct neigh_self {
	const uint8_t *mac;
	const uint8_t *addr;
	uint16_t vlan;
};

/* Each writes a whole frame and returns its length. to_mac NULL: broadcast or the solicited-node group. */
size_t neigh_write_question(uint8_t frame[NEIGH_FRAME_MAX], const struct neigh_self *self, uint8_t family,
			    const uint8_t *target, const uint8_t *to_mac);
size_t neigh_write_answer(uint8_t frame[NEIGH_FRAME_MAX], const struct neigh_self *self, uint8_t family,
			  const uint8_t *to_addr, const uint8_t to_mac[6]);
/* Writes the Ethernet header that ends at l3; returns where it begins. */
uint8_t *neigh_write_ethernet(uint8_t *l3, const uint8_t to[6], const uint8_t from[6], uint16_t vlan,
			      uint16_t type);

#endif /* FO_DEMO_NEIGH_H */
