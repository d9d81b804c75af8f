/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h - the network that the packet benchmarks play in, and Ethernet frames of its connections, as they arrive and
 * as they must leave, every byte computed from the tuples and not from each other.
 *
 * Clients (port 1) reach servers (port 2); tuples come from keys.h. Used by population.h, traffic.h and rival.h.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include "flowoffload.h"

/* The shortest frames, without the frame check sequence, which no memory holds. TCP over IPv6 needs 74 bytes. */
#define FRAME_LEAST_V4 60u
#define FRAME_LENGTH   64u
#define FRAME_LEAST_V6 78u
/* What encapsulation adds at most. */
#define FRAME_ENCAP 16u

struct net {
	int v6;
	int plain; /* no NAT: the second tuple mirrors the first */
	int encap; /* the servers are behind 802.1ad, 802.1Q and PPPoE */
	/* next hops on the clients' side, at least 1; connection n is behind number n % clients */
	uint32_t clients;
	/* fills in the tuples of connection n; NULL: those of keys.h */
	void (*tuples)(const void *set, struct fo_flow *flow, uint32_t n);
	const void *set;
};

/* The tuples of connection n. */
void frame_flow(const struct net *net, struct fo_flow *flow, uint32_t n);

/* A side of the router: 0 the clients', of which there are net->clients, 1 the servers'. */
void frame_adj(const struct net *net, struct fo_adj *adj, unsigned int side, uint32_t which);

/* What arrives of connection n in a direction: an IP packet of length - 14 bytes with full checksums, TTL 64 and a
 * payload that differs by number. Returns the length of the frame, encapsulation included. */
unsigned int frame_in(uint8_t *frame, const struct net *net, uint32_t n, unsigned int dir,
		      unsigned int length);

/* What leaves when that one is forwarded, likewise. */
unsigned int frame_out(uint8_t *frame, const struct net *net, uint32_t n, unsigned int dir,
		       unsigned int length);

#endif
