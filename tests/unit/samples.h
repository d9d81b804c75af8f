/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.h - good connections and sides, to be spoilt by the validation tests.
 *
 * Used by test_validate_flow.c and test_needs.c.
 */
#ifndef UNIT_SAMPLES_H
#define UNIT_SAMPLES_H

#include <arpa/inet.h>
#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "flowoffload.h"

#define A    "192.168.1.2"
#define B    "198.51.100.1"
#define R    "203.0.113.9"
#define S    "192.168.1.7"
#define A6   "2001:db8:1::2"
#define B6   "2001:db8:2::1"
#define R6   "2001:db8:3::9"
#define S6   "2001:db8:1::7"
#define REQ  0x0800
#define REP  0x0000
#define REQ6 0x8000
#define REP6 0x8100

static inline void set_address(uint8_t to[16], const char *text)
{
	memset(to, 0, 16);
	ck_assert_int_eq(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, to), 1);
}

static inline void set_tuple(struct fo_tuple *t, unsigned int proto, const char *src, unsigned int sport,
			     const char *dst, unsigned int dport)
{
	memset(t, 0, sizeof(*t));
	t->family = strchr(src, ':') ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
	t->proto = (uint8_t)proto;
	set_address(t->src, src);
	set_address(t->dst, dst);
	t->sport_be = htons((uint16_t)sport);
	t->dport_be = htons((uint16_t)dport);
}

/* An ordinary connection of a client behind SNAT. */
static inline struct fo_flow good_flow(void)
{
	struct fo_flow flow;

	FO_INIT(&flow);
	set_tuple(&flow.tuple[0], 6, "192.168.1.2", 40000, "198.51.100.1", 443);
	set_tuple(&flow.tuple[1], 6, "198.51.100.1", 443, "203.0.113.9", 50000);
	flow.adj[0] = 1;
	flow.adj[1] = 2;
	return flow;
}

static inline struct fo_adj plain_adj(uint32_t port)
{
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = port;
	adj.l3_dev = port;
	adj.own_mac[0] = 2;
	adj.own_mac[5] = (uint8_t)port;
	adj.peer_mac[0] = 6;
	adj.peer_mac[5] = (uint8_t)port;
	adj.mtu = 1500;
	return adj;
}

/* The same without NAT. */
static inline struct fo_flow udp6_flow(void)
{
	struct fo_flow flow = good_flow();

	set_tuple(&flow.tuple[0], 17, A6, 40, B6, 80);
	set_tuple(&flow.tuple[1], 17, B6, 80, A6, 40);
	return flow;
}

static inline struct fo_flow echo_flow(bool v6)
{
	struct fo_flow flow = good_flow();

	set_tuple(&flow.tuple[0], v6 ? 58 : 1, v6 ? A6 : A, 7, v6 ? B6 : B, v6 ? REQ6 : REQ);
	set_tuple(&flow.tuple[1], v6 ? 58 : 1, v6 ? B6 : B, 7, v6 ? A6 : A, v6 ? REP6 : REP);
	return flow;
}

#endif
