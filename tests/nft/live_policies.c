/* SPDX-License-Identifier: BSD-2-Clause */
/* live_policies.c - connections that the kernel takes by policy, and how they are kept from it. See live.h. */
#include "live.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static fo_policy_id allow(struct world *world, uint8_t proto, const uint8_t dst[4], uint8_t length)
{
	struct fo_policy policy;
	fo_policy_id id;

	FO_INIT(&policy);
	policy.adj[0] = world->adj[0];
	policy.adj[1] = world->adj[1];
	policy.family = FO_FAMILY_IPV4;
	policy.proto = proto;
	memcpy(policy.dst, dst, 4);
	policy.dst_len = length;
	policy.dport_first = 7000;
	policy.dport_last = 7009;
	policy.tag = 77;
	OK(fo_policy_add(world->table, &policy, &id, &live_err));
	return id;
}

static const uint8_t server_net[4] = {10, 91, 2, 0}, other_net[4] = {10, 92, 0, 0};

/* The flow that a pair has by now, found by its tuple. */
static fo_flow_id until_taken(struct world *world, struct pair *pair)
{
	struct fo_key key;
	fo_flow_id id = 0;

	FO_INIT(&key);
	key.tuple = pair->flow.tuple[0];
	key.port = FO_PORT_ANY;
	for (unsigned int i = 0; i < 1000 && !id; i++) {
		pair_talk(pair, 1);
		world_rest(world);
		(void)fo_flow_find(world->table, &key, &id, NULL, NULL);
	}
	if (!id)
		FAIL("no policy took it");
	world_until_state(world, pair, id, FO_STATE_ACTIVE);
	return id;
}

static uint64_t slow_of(struct pair *pair)
{
	uint64_t before = world_slow();

	pair_talk(pair, 20);
	return world_slow() - before;
}

struct found {
	fo_flow_id id;
	unsigned int flows;
};

static int find(void *arg, const struct fo_flow_info *info)
{
	struct found *found = arg;

	found->id = info->id;
	found->flows++;
	return 0;
}

/* As any other flow: one event when it came, one place in a walk, in the totals, counters that grow with its packets, and
 * one last event when conntrack forgets it. */
static void is_like_any_other(struct world *world)
{
	struct fo_table_counters totals;
	struct fo_flow_counters before, after;
	struct found found = {0, 0};
	struct fo_match match;
	struct pair pair;
	fo_flow_id id;

	world_open(world, 100, 0);
	allow(world, 0, server_net, 24);
	pair_open(&pair, AF_INET, SOCK_STREAM, 5106, 7005);
	id = until_taken(world, &pair);
	world_until_event(world, FO_EV_STATE, 1);
	CHECK_INT(world->last[FO_EV_STATE].flow, id);
	CHECK_INT(world->last[FO_EV_STATE].state, FO_STATE_ACTIVE);
	FO_INIT(&match);
	match.mask = FO_MATCH_TAG | FO_MATCH_STATE;
	match.tag = 77;
	match.state = FO_STATE_ACTIVE;
	OK(fo_flow_walk(world->table, &match, find, &found, &live_err));
	CHECK(found.flows == 1 && found.id == id);
	FO_INIT(&totals);
	OK(fo_stats(world->table, &totals, &live_err));
	CHECK_INT(totals.flows, 1);
	FO_INIT(&before);
	OK(fo_flow_stats(world->table, id, &before, &live_err));
	pair_talk(&pair, 50);
	FO_INIT(&after);
	OK(fo_flow_stats(world->table, id, &after, &live_err));
	for (unsigned int dir = 0; dir < 2; dir++)
		CHECK(after.packets[dir] - before.packets[dir] >= 50);
	world_run("conntrack -D -p tcp --orig-port-src 5106 >/dev/null 2>&1");
	world_until_event(world, FO_EV_LOST, 1);
	CHECK_INT(world->last[FO_EV_LOST].flow, id);
	pair_close(&pair);
	world_close(world);
}

static void taken(struct world *world)
{
	struct pair pair, other;
	struct fo_flow_info info;
	fo_policy_id policy;
	fo_flow_id id;

	world_open(world, 100, 0);
	policy = allow(world, IPPROTO_UDP, server_net, 24);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5101, 7001);
	/* Another port than the policy's. */
	pair_open(&other, AF_INET, SOCK_DGRAM, 5102, 7010);
	id = until_taken(world, &pair);
	CHECK_INT(slow_of(&pair), 0);
	pair_talk(&other, 3);
	CHECK(slow_of(&other) >= 40);
	FO_INIT(&info);
	OK(fo_flow_get(world->table, id, &info, &live_err));
	CHECK_INT(info.flow.tag, 77);
	CHECK(!memcmp(info.flow.tuple, pair.flow.tuple, sizeof(info.flow.tuple)));
	CHECK(info.counters.packets[0] >= 20);
	OK(fo_policy_del(world->table, policy, &live_err));
	world_until_event(world, FO_EV_INVALIDATED, 1);
	OK(fo_table_sync(world->table, 10000, &live_err));
	CHECK(slow_of(&pair) >= 40);
	pair_close(&pair);
	pair_close(&other);
	world_close(world);
}

static void deleted_stays_out(struct world *world)
{
	struct pair pair;
	fo_flow_id id;

	world_open(world, 100, 0);
	allow(world, 0, server_net, 24);
	pair_open(&pair, AF_INET, SOCK_STREAM, 5103, 7002);
	id = until_taken(world, &pair);
	CHECK_INT(slow_of(&pair), 0);
	OK(fo_flow_del(world->table, id, NULL, &live_err));
	OK(fo_table_sync(world->table, 10000, &live_err));
	CHECK(slow_of(&pair) >= 40);
	CHECK(slow_of(&pair) >= 40);
	pair_close(&pair);
	world_close(world);
}

static void invalidated_comes_back(struct world *world)
{
	struct fo_match match;
	struct pair pair;
	fo_flow_id id;

	world_open(world, 100, 0);
	allow(world, 0, server_net, 24);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5104, 7003);
	id = until_taken(world, &pair);
	FO_INIT(&match);
	match.mask = FO_MATCH_TAG;
	match.tag = 77;
	OK(fo_invalidate(world->table, &match, &live_err));
	world_until_event(world, FO_EV_INVALIDATED, 1);
	CHECK(until_taken(world, &pair) != id);
	pair_close(&pair);
	world_close(world);
}

static void others_are_left(struct world *world)
{
	struct pair pair;

	world_open(world, 100, 0);
	allow(world, 0, other_net, 16);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5105, 7004);
	pair_talk(&pair, 3);
	CHECK(slow_of(&pair) >= 40);
	CHECK_INT(fo_adj_del(world->table, world->adj[0], &live_err), -EBUSY);
	pair_close(&pair);
	world_close(world);
}

const struct live_case live_policies[] = {
	{"a_policy_takes_what_matches_and_lets_go", taken},
	{"a_flow_of_a_policy_is_like_any_other", is_like_any_other},
	{"a_deleted_flow_is_kept_from_its_policy", deleted_stays_out},
	{"an_invalidated_flow_is_taken_anew", invalidated_comes_back},
	{"what_does_not_match_is_left", others_are_left},
	{NULL, NULL},
};
