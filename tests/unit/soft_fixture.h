/* SPDX-License-Identifier: BSD-2-Clause */
/* soft_fixture.h - a table of the soft backend with one worker, many flows that a test can tell by their number, and
 * packets of theirs. The clock is the test's.
 *
 * Used by test_invalidate.c and test_ageing.c.
 */
#ifndef UNIT_SOFT_FIXTURE_H
#define UNIT_SOFT_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "core/table.h"

#define FLOWS 3000u

static struct fo_table *table;
static struct fo_worker *worker;
static fo_adj_id adjs[2];
static fo_flow_id ids[FLOWS];
static uint64_t clock_now = 1000000;

/* Flow n: tag n mod 3, scope n mod 2; TCP when n mod 4 is 0; IPv6 when n mod 5 is 0; its address ends in n. */
static inline struct fo_flow numbered(uint32_t n)
{
	unsigned int at = n % 5 ? 0 : 12;
	uint8_t host[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
	struct fo_flow flow;

	FO_INIT(&flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo_tuple *tuple = &flow.tuple[dir];

		tuple->family = n % 5 ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6;
		tuple->proto = n % 4 ? 17 : 6;
		tuple->sport_be = tuple->dport_be = htons(700);
		memcpy(dir ? tuple->dst : tuple->src, at ? "\x20\x01\x0d\xb8" : "\0\0\0\0", 4);
		memcpy(dir ? tuple->src : tuple->dst, at ? "\x20\x01\x0d\xb8" : "\0\0\0\0", 4);
		memcpy((dir ? tuple->dst : tuple->src) + at, host, 4);
		memcpy((dir ? tuple->src : tuple->dst) + at, "\xc6\x33\x64\x01", 4);
		flow.adj[dir] = adjs[dir];
	}
	flow.tag = n % 3;
	flow.scope = (uint16_t)(n % 2);
	return flow;
}

static inline void put_headers(uint8_t *at, const struct fo_flow *flow, unsigned int tcp_flags)
{
	const struct fo_tuple *tuple = &flow->tuple[0];
	int v6 = tuple->family == FO_FAMILY_IPV6;
	uint16_t l4 = tuple->proto == 6 ? 20 : 8, length = htons((uint16_t)(v6 ? l4 : 20 + l4));

	memcpy(at, "\x02\x00\x00\x00\x01\x01\x02\x00\x00\x00\x02\x01", 12);
	memcpy(at + 12, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	at += 14;
	memcpy(at + (v6 ? 4 : 2), &length, 2);
	at[v6 ? 6 : 9] = tuple->proto;
	at[v6 ? 7 : 8] = 64;
	memcpy(at + (v6 ? 8 : 12), tuple->src, v6 ? 16 : 4);
	memcpy(at + (v6 ? 24 : 16), tuple->dst, v6 ? 16 : 4);
	at += v6 ? 40 : 20;
	memcpy(at, &tuple->sport_be, 2);
	memcpy(at + 2, &tuple->dport_be, 2);
	if (tuple->proto == 6) {
		at[12] = 0x50;
		at[13] = (uint8_t)tcp_flags;
	} else {
		at[5] = 8;
	}
}

/* The reason why a packet of flow n passes; FO_R_NONE when it is forwarded. */
static inline unsigned int reason_with(uint32_t n, unsigned int tcp_flags)
{
	static uint8_t frame[96];
	struct fo_flow flow = numbered(n);
	struct fo_packet packet;

	memset(frame, 0, sizeof(frame));
	put_headers(frame, &flow, tcp_flags);
	memset(&packet, 0, sizeof(packet));
	packet.data = frame;
	packet.contiguous = packet.length = sizeof(frame);
	packet.in_port = 1;
	packet.scope = flow.scope;
	(void)fo_worker_run(worker, &packet, 1, clock_now);
	ck_assert((packet.reason == FO_R_NONE) == (packet.verdict == FO_FORWARD));
	return packet.reason;
}

static inline unsigned int reason_of(uint32_t n)
{
	return reason_with(n, 0);
}

static inline void must(int code, const struct fo_error *err)
{
	ck_assert_msg(!code, "%s: %s", err->field, err->text);
}

static inline void add(uint32_t n, fo_flow_id *id, uint32_t timeout_ms)
{
	struct fo_flow flow = numbered(n);
	struct fo_error err;

	flow.timeout_ms = timeout_ms;
	must(fo_flow_add(table, &flow, id, &err), &err);
}

static uint64_t read_clock(void *ctx)
{
	(void)ctx;
	return clock_now;
}

static inline void set_up(uint32_t timeout_ms)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_error err;

	FO_INIT(&options);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = "soft";
	options.capacity = FLOWS + 100;
	options.max_workers = 1;
	options.ports = ports;
	options.n_ports = 2;
	options.clock_ms = read_clock;
	must(fo_table_create(&options, &table, &err), &err);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj adj;

		FO_INIT(&adj);
		adj.port = i + 1;
		adj.mtu = 1500;
		memcpy(adj.own_mac, "\x02\x00\x00\x00\x01", 5);
		memcpy(adj.peer_mac, "\x02\x00\x00\x00\x02", 5);
		adj.own_mac[5] = adj.peer_mac[5] = (uint8_t)(i + 1);
		must(fo_adj_add(table, &adj, &adjs[i], &err), &err);
	}
	must(fo_worker_open(table, NULL, &worker, &err), &err);
	for (uint32_t n = 0; n < FLOWS; n++)
		add(n, &ids[n], timeout_ms);
}

static inline void tear_down(void)
{
	fo_worker_close(worker);
	fo_table_destroy(table);
}

static inline uint64_t living(void)
{
	struct fo_table_counters counters;

	FO_INIT(&counters);
	ck_assert_int_eq(fo_stats(table, &counters, NULL), 0);
	return counters.flows;
}

#endif
