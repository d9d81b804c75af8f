/* SPDX-License-Identifier: BSD-2-Clause */
/* live_flows.c - flows that come, are seen on the short cut, and go. See live.h. */
#include "live.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Rounds while the short cut must carry all, or none of it. */
#define ROUNDS 20u

static fo_flow_id add(struct world *world, struct pair *pair)
{
	fo_flow_id id = 0;

	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	return id;
}

/* Talk; how many packets took the slow path? */
static uint64_t slow_of(struct pair *pair, unsigned int rounds)
{
	uint64_t before = world_slow();

	pair_talk(pair, rounds);
	return world_slow() - before;
}

static void one_life(struct world *world, int family, int type)
{
	struct fo_flow_counters counters;
	struct pair pair;
	fo_flow_id id;

	world_open(world, 100, 0);
	pair_open(&pair, family, type, 5001, 7000);
	pair_talk(&pair, 3);
	CHECK(slow_of(&pair, ROUNDS) >= 2 * ROUNDS);
	id = add(world, &pair);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	CHECK_INT(slow_of(&pair, ROUNDS), 0);

	FO_INIT(&counters);
	OK(fo_flow_stats(world->table, id, &counters, &live_err));
	CHECK(counters.packets[0] >= ROUNDS && counters.packets[1] >= ROUNDS);
	CHECK(counters.flags & FO_STATS_INCLUDES_SLOW);

	OK(fo_flow_del(world->table, id, NULL, &live_err));
	OK(fo_table_sync(world->table, 10000, &live_err));
	world_until_event(world, FO_EV_DELETED, 1);
	CHECK(world->last[FO_EV_DELETED].counters.packets[0] >= ROUNDS);
	CHECK(slow_of(&pair, ROUNDS) >= 2 * ROUNDS);
	/* Conntrack, and the NAT with it, went on: the first packet after the delete was answered. */
	pair_close(&pair);
	world_close(world);
}

/* Nobody polls: it is out when the call returns, with its last counters, and so is its place. */
static void alone(struct world *world)
{
	struct fo_flow_counters last;
	struct pair pair, other;
	fo_flow_id id, stays;

	world_open(world, 100, 0);
	pair_open(&pair, AF_INET, SOCK_STREAM, 5011, 7000);
	pair_open(&other, AF_INET, SOCK_STREAM, 5012, 7001);
	pair_talk(&pair, 3);
	pair_talk(&other, 3);
	id = add(world, &pair);
	stays = add(world, &other);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	world_until_state(world, &other, stays, FO_STATE_ACTIVE);
	pair_talk(&pair, ROUNDS);
	FO_INIT(&last);
	OK(fo_flow_del(world->table, id, &last, &live_err));
	CHECK(last.flags & FO_STATS_FINAL);
	CHECK(last.packets[0] >= ROUNDS && last.packets[1] >= ROUNDS);
	CHECK(slow_of(&pair, ROUNDS) >= 2 * ROUNDS);
	/* The other took the slow path for a packet or two, and is back. */
	pair_talk(&other, 2);
	CHECK_INT(slow_of(&other, ROUNDS), 0);
	id = add(world, &pair);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	pair_close(&other);
	world_close(world);
}

static void udp4(struct world *world)
{
	one_life(world, AF_INET, SOCK_DGRAM);
}

static void udp6(struct world *world)
{
	one_life(world, AF_INET6, SOCK_DGRAM);
}

static void tcp4(struct world *world)
{
	one_life(world, AF_INET, SOCK_STREAM);
}

static void tcp6(struct world *world)
{
	one_life(world, AF_INET6, SOCK_STREAM);
}

const struct live_case live_flows[] = {
	{"udp4_goes_on_the_short_cut_and_back", udp4},
	{"udp6_goes_on_the_short_cut_and_back", udp6},
	{"tcp4_goes_on_the_short_cut_and_back", tcp4},
	{"tcp6_goes_on_the_short_cut_and_back", tcp6},
	{"a_delete_that_comes_alone_is_done_when_it_returns", alone},
	{NULL, NULL},
};
