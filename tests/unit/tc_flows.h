/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_flows.h - three flows between four sides of a table on fake_tc.h, of all that tc can: for tests of its adoption and the fuzz
 * target of it. */
#ifndef TC_FLOWS_H
#define TC_FLOWS_H

#include <netinet/in.h>

#include "fake_tc.h"

#define SLOTS 32u
#define FLOWS 3u

static struct fo_adj sides[4];
static fo_adj_id side_ids[4];
static struct fo_flow flows[FLOWS];
static uint64_t cookies[FLOWS];
static struct fo_backend_flow told[FLOWS];

static inline void describe_side(unsigned int i, uint32_t port, uint32_t mtu)
{
	FO_INIT(&sides[i]);
	sides[i].port = port;
	sides[i].l3_dev = 40 + i;
	sides[i].mtu = mtu;
	memcpy(sides[i].own_mac, (uint8_t[6]){2, 0, 0, 0, 1, (uint8_t)i}, 6);
	memcpy(sides[i].peer_mac, (uint8_t[6]){2, 0, 0, 0, 2, (uint8_t)i}, 6);
	side_ids[i] = (uint64_t)(10 + i) << 32 | (3 * i);
}

static inline void describe_sides(void)
{
	describe_side(0, 5, 1500);
	describe_side(1, 6, 1400);
	describe_side(2, 6, 1496);
	describe_side(3, 5, 1492);
	sides[2].n_encaps = 1;
	sides[2].encap[0] = (struct fo_encap){.kind = FO_ENCAP_8021Q, .id = 7, .pcp = 3};
	sides[3].n_encaps = 2;
	sides[3].encap[0] = (struct fo_encap){.kind = FO_ENCAP_8021AD, .id = 100, .pcp = 5};
	sides[3].encap[1] = (struct fo_encap){.kind = FO_ENCAP_8021Q, .id = 200, .pcp = 1};
}

static inline void describe_flow(unsigned int i, uint8_t family, uint8_t proto, unsigned int from,
				 unsigned int to)
{
	struct fo_tuple *there = &flows[i].tuple[0], *back = &flows[i].tuple[1];
	size_t last = family == FO_FAMILY_IPV4 ? 3 : 15;

	FO_INIT(&flows[i]);
	there->family = back->family = family;
	there->proto = back->proto = proto;
	there->src[0] = there->dst[0] = back->src[0] = back->dst[0] = 0x20;
	there->src[last] = back->dst[last] = (uint8_t)(1 + i);
	there->dst[last] = back->src[last] = 100;
	there->sport_be = back->dport_be = htons((uint16_t)(1000 + i));
	there->dport_be = back->sport_be = htons(80);
	flows[i].adj[0] = side_ids[from];
	flows[i].adj[1] = side_ids[to];
	flows[i].user = 0x1122334455667788 + i;
	flows[i].tag = 70 + i;
	flows[i].ct_mark = 0xdead0000 + i;
	cookies[i] = (uint64_t)(500 + i) << 32 | (5 * i + 1);
	told[i] = (struct fo_backend_flow){.size = sizeof(told[i]),
					   .cookie = cookies[i],
					   .slot = 5 * i + 1,
					   .timeout_ms = 30000 + i,
					   .flow = &flows[i],
					   .since_ms = 900000 + i};
	flows[i].timeout_ms = told[i].timeout_ms;
	told[i].in[0] = told[i].to[1] = &sides[from];
	told[i].in[1] = told[i].to[0] = &sides[to];
}

static inline void resolve(unsigned int i)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__tc_leaves(&flows[i].tuple[dir], &flows[i].tuple[1 - dir], &told[i].out[dir]);
}

/* NAT and a tag; IPv6 without NAT; two tags to one, DSCP. */
static inline void describe(void)
{
	memset(&fake_told, 0, sizeof(fake_told));
	fake_n_filters = 0;
	describe_sides();
	describe_flow(0, FO_FAMILY_IPV4, IPPROTO_TCP, 0, 2);
	flows[0].tuple[1].dst[0] = 0x30;
	flows[0].tuple[1].dport_be = htons(4000);
	describe_flow(1, FO_FAMILY_IPV6, IPPROTO_UDP, 0, 1);
	describe_flow(2, FO_FAMILY_IPV6, IPPROTO_TCP, 2, 3);
	flows[2].dscp[0] = FO_DSCP_SET(46);
	flows[2].dscp[1] = FO_DSCP_SET(0);
	for (unsigned int i = 0; i < FLOWS; i++)
		resolve(i);
}

#endif
