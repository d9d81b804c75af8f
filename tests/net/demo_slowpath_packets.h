/* SPDX-License-Identifier: BSD-2-Clause */
/* demo_slowpath_packets.h - packets built from nothing, every checksum summed over all that it covers.
 *
 * Neighbours: demo_slowpath_test.c compares with them.
 */
#ifndef DEMO_SLOWPATH_PACKETS_H
#define DEMO_SLOWPATH_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP   6
#define UDP   17
#define ICMP  1
#define ICMP6 58
#define SYN   0x02
#define ACK   0x10
#define FIN   0x01
#define RST   0x04

struct made {
	int family, proto;
	const char *src, *dst;	   /* one of the names below */
	unsigned int sport, dport; /* echo: type, identifier */
	unsigned int flags, ttl, payload;
	bool no_csum, partial;
	unsigned int frag; /* IPv4 flags and offset, or IPv6 offset and flag; 0: none */
	unsigned int ident;
};

/* Hosts by their letter: c and d on the LAN, l the router there; n the NAT address, s the server, r a router near it. */
void made_address(uint8_t *p, int family, const char *name);
/* Writes the packet; returns its length. */
size_t made_packet(const struct made *m, uint8_t *ip);
/* Builds an ICMP error of type, code from src about quote, which is n bytes; returns its length. */
size_t made_error(uint8_t *ip, int family, const char *src, const char *dst, unsigned int ttl,
		  const uint8_t *quote, size_t n);

/* A packet from the client to the server, as it leaves the NAT; an answer to that, as the client gets it. */
struct made made_there(int family, int proto, unsigned int flags);
struct made made_left(struct made m);
struct made made_back(struct made m);
struct made made_arrived(struct made m);

#endif /* DEMO_SLOWPATH_PACKETS_H */
