/* SPDX-License-Identifier: BSD-2-Clause */
/* rival.h - a forwarding path as one writes it over a hash table: the same packets, checks and rewriting as the
 * library's over plain Ethernet, with rte_hash (peer.h) for the look-up. Staged in bursts, records and headers
 * prefetched. Used by path.c and add.c.
 *
 * It knows one family a table, one encapsulation, no grace periods, no events and no index of what flows depend on, all
 * to its advantage.
 */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include "flowoffload.h"
#include "peer.h"
#include "population.h"

/* Key lengths that rte_hash compares with code made for them. */
#define RIVAL_KEY_V4 16u
#define RIVAL_KEY_V6 48u

/* Of a direction of IPv4: everything that its packets need, in one line. */
struct rival_v4 {
	uint32_t new_address[2];
	uint32_t new_ports;
	uint16_t ip_delta;
	uint16_t l4_delta;
	uint8_t header[14];
	uint8_t own_mac[6];
	uint16_t in_port;
	uint16_t out_port;
	uint32_t mtu_state; /* MTU << 8 | closing */
	uint32_t packets;
	uint64_t bytes;
	uint32_t last_ms;
};

/* Of IPv6: addresses leave no room for the sides, which are few and shared, in one line with them. */
struct rival_v6 {
	uint8_t new_address[32];
	uint32_t new_ports;
	uint32_t packets;
	uint64_t bytes;
	uint32_t last_ms;
	uint32_t from_state; /* side << 1 | closing */
	uint32_t to;
	uint16_t l4_delta;
	uint16_t reserved;
};

union rival_record {
	struct rival_v4 v4;
	struct rival_v6 v6;
	uint8_t line[64];
};

/* A connection described, to be added or deleted. */
struct rival_item {
	union rival_record record[2];
	uint8_t key[2][RIVAL_KEY_V6];
};

struct rival;

/* For the connections of a population without encapsulation; ends the program without memory. Room for `times` as many
 * as there are. */
struct rival *rival_open(const struct population *population, int lock_free, uint32_t times);
void rival_close(struct rival *rival);

void rival_describe(const struct rival *rival, struct rival_item *item, uint32_t n);
/* Both directions. 0 or negative. */
int rival_add(struct rival *rival, const struct rival_item *item);
/* Are both directions there, with these records? */
int rival_has(const struct rival *rival, const struct rival_item *item);
/* 0 or negative. */
int rival_del(struct rival *rival, const struct rival_item *item);

/* A table to which the history of a population was played. Nearly full, rte_hash may refuse a key after many
 * replacements: then it gets twice the room, and a note says so. */
struct rival *rival_populated(struct population *population, int lock_free);

/* What fo_worker_run() does; returns how many are forwarded. */
unsigned int rival_run(struct rival *rival, struct fo_packet *packets, unsigned int n, uint64_t now_ms);

#endif
