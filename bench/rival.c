/* SPDX-License-Identifier: BSD-2-Clause */
/* rival.c - tables of the forwarding path over rte_hash. See rival.h; the packets are in rival_run.c. */
#include <string.h>

#include "keys.h"
#include "rival_table.h"

_Static_assert(RIVAL_KEY_V4 == KEY_V4 && RIVAL_KEY_V6 >= KEY_V6, "keys.h writes the keys");

static void fill_side(const struct rival *rival, struct rival_side *side, unsigned int which_side,
		      uint32_t which)
{
	struct fo_adj adj;

	memset(side, 0, sizeof(*side));
	frame_adj(&rival->net, &adj, which_side, which);
	memcpy(side->header, adj.peer_mac, 6);
	memcpy(side->header + 6, adj.own_mac, 6);
	memcpy(side->header + 12, rival->net.v6 ? "\x86\xdd" : "\x08\x00", 2);
	memcpy(side->own_mac, adj.own_mac, 6);
	side->port = adj.port;
	side->mtu = adj.mtu;
}

struct rival *rival_open(const struct population *population, int lock_free, uint32_t times)
{
	struct rival *rival = bench_memory(sizeof(*rival));
	uint32_t keys = 2 * times * population->connections;

	rival->net = population->net;
	rival->peer = peer_create(keys, rival->net.v6 ? RIVAL_KEY_V6 : RIVAL_KEY_V4, lock_free);
	if (!rival->peer)
		bench_fail("no memory for an rte_hash of %u", keys);
	rival->size = peer_positions(rival->peer) * sizeof(*rival->records);
	rival->records = bench_memory(rival->size);
	rival->sides = bench_memory((rival->net.clients + 1) * sizeof(*rival->sides));
	fill_side(rival, &rival->sides[0], 1, 0);
	for (uint32_t i = 0; i < rival->net.clients; i++)
		fill_side(rival, &rival->sides[1 + i], 0, i);
	return rival;
}

void rival_close(struct rival *rival)
{
	peer_destroy(rival->peer);
	bench_memory_free(rival->records, rival->size);
	bench_memory_free(rival->sides, (rival->net.clients + 1) * sizeof(*rival->sides));
	bench_memory_free(rival, sizeof(*rival));
}

/* ---- descriptions ---- */

/* What replacing words of 16 bits adds to a one's complement sum. */
static uint32_t change(const void *from, const void *to, unsigned int words)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < words; i++) {
		uint16_t a, b;

		memcpy(&a, (const uint8_t *)from + 2 * i, 2);
		memcpy(&b, (const uint8_t *)to + 2 * i, 2);
		sum += (uint16_t)~a;
		sum += b;
	}
	return sum;
}

static void describe_v4(const struct rival *rival, struct rival_v4 *record, const struct fo_flow *flow,
			unsigned int dir, uint32_t client)
{
	const struct fo_tuple *in = &flow->tuple[dir], *other = &flow->tuple[1 - dir];
	uint16_t ports[2] = {in->sport_be, in->dport_be}, new_ports[2] = {other->dport_be, other->sport_be};
	const struct rival_side *from = &rival->sides[dir ? 0 : client],
				*to = &rival->sides[dir ? client : 0];
	uint32_t addresses = change(in->src, other->dst, 2) + change(in->dst, other->src, 2);

	memcpy(&record->new_address[0], other->dst, 4);
	memcpy(&record->new_address[1], other->src, 4);
	memcpy(&record->new_ports, new_ports, 4);
	record->ip_delta = rival_fold(addresses);
	record->l4_delta = rival_fold(addresses + change(ports, new_ports, 2));
	memcpy(record->header, to->header, sizeof(record->header));
	memcpy(record->own_mac, from->own_mac, 6);
	record->in_port = (uint16_t)from->port;
	record->out_port = (uint16_t)to->port;
	record->mtu_state = to->mtu << 8;
}

static void describe_v6(struct rival_v6 *record, const struct fo_flow *flow, unsigned int dir,
			uint32_t client)
{
	const struct fo_tuple *in = &flow->tuple[dir], *other = &flow->tuple[1 - dir];
	uint16_t ports[2] = {in->sport_be, in->dport_be}, new_ports[2] = {other->dport_be, other->sport_be};

	memcpy(record->new_address, other->dst, 16);
	memcpy(record->new_address + 16, other->src, 16);
	memcpy(&record->new_ports, new_ports, 4);
	record->l4_delta = rival_fold(change(in->src, other->dst, 8) + change(in->dst, other->src, 8) +
				      change(ports, new_ports, 2));
	record->from_state = (dir ? 0 : client) << 1;
	record->to = dir ? client : 0;
}

void rival_describe(const struct rival *rival, struct rival_item *item, uint32_t n)
{
	uint32_t client = 1 + n % rival->net.clients;
	struct fo_flow flow;

	frame_flow(&rival->net, &flow, n);
	memset(item, 0, sizeof(*item));
	for (unsigned int dir = 0; dir < 2; dir++) {
		key_bytes(item->key[dir], &flow.tuple[dir]);
		if (rival->net.v6)
			describe_v6(&item->record[dir].v6, &flow, dir, client);
		else
			describe_v4(rival, &item->record[dir].v4, &flow, dir, client);
	}
}

/* ---- control ---- */

int rival_del(struct rival *rival, const struct rival_item *item)
{
	int err = peer_del(rival->peer, item->key[0]);

	return err | peer_del(rival->peer, item->key[1]);
}

int rival_add(struct rival *rival, const struct rival_item *item)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		int32_t at = peer_add(rival->peer, item->key[dir]);

		if (at < 0)
			return at;
		rival->records[at] = item->record[dir];
	}
	return 0;
}

int rival_has(const struct rival *rival, const struct rival_item *item)
{
	const void *keys[2] = {item->key[0], item->key[1]};
	int32_t at[2];

	peer_find(rival->peer, keys, 2, at);
	return at[0] >= 0 && at[1] >= 0 && !memcmp(&rival->records[at[0]], &item->record[0], 64) &&
	       !memcmp(&rival->records[at[1]], &item->record[1], 64);
}

static int add(struct rival *rival, uint32_t n)
{
	struct rival_item item;

	rival_describe(rival, &item, n);
	return rival_add(rival, &item);
}

/* 0, or negative: refused. */
static int populate(struct rival *rival, struct population *population)
{
	uint64_t replacements = population_replacements(population);

	population_begin(population);
	for (uint32_t place = 0; place < population->connections; place++)
		if (add(rival, place))
			return -1;
	for (uint64_t i = 0; i < replacements; i++) {
		struct rival_item item;
		uint32_t place;

		rival_describe(rival, &item, population_replace(population, &place));
		if (rival_del(rival, &item))
			bench_fail("rte_hash does not delete a connection");
		if (add(rival, population->number[place]))
			return -1;
	}
	return 0;
}

struct rival *rival_populated(struct population *population, int lock_free)
{
	for (uint32_t times = 1; times <= 4; times *= 2) {
		struct rival *rival = rival_open(population, lock_free, times);

		if (!populate(rival, population))
			return rival;
		rival_close(rival);
		bench_note("rival",
			   "rte_hash refuses a connection although it is not full: it gets twice the room");
	}
	bench_fail("rte_hash refuses connections with four times the room");
}
