/* SPDX-License-Identifier: BSD-2-Clause */
/* live_ends.c - how flows end or fall back by themselves: FIN, RST, idleness, an entry deleted by others. See live.h. */
#include "live.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A flow of pair that is on the short cut. */
static fo_flow_id active(struct world *world, struct pair *pair, int family, int type, uint32_t timeout_ms)
{
	fo_flow_id id = 0;

	world_open(world, 100, timeout_ms);
	pair_open(pair, family, type, 5001, 7000);
	pair_talk(pair, 3);
	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	world_until_state(world, pair, id, FO_STATE_ACTIVE);
	pair_talk(pair, 10);
	return id;
}

static void expect_final(const struct world *world, unsigned int kind, unsigned int reason)
{
	const struct fo_event *event = &world->last[kind];

	CHECK_INT(event->reason, reason);
	CHECK(event->counters.flags & FO_STATS_FINAL);
	CHECK(event->counters.packets[0] >= 10 && event->counters.packets[1] >= 10);
}

/* The packets of a close, one after another, each there before the next one goes. Those by the slow path are counted. */
static uint64_t slow_of_close(struct pair *pair)
{
	uint64_t before = world_slow();
	char none;

	CHECK(!shutdown(pair->client, SHUT_WR));
	CHECK_INT(recv(pair->server, &none, 1, 0), 0);
	CHECK(!shutdown(pair->server, SHUT_WR));
	CHECK_INT(recv(pair->client, &none, 1, 0), 0);
	return world_slow() - before;
}

static uint64_t slow_of_reset(struct pair *pair)
{
	const struct linger now = {1, 0};
	uint64_t before = world_slow();
	char none;

	CHECK(!setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	CHECK(!close(pair->client));
	pair->client = -1;
	CHECK_INT(recv(pair->server, &none, 1, 0), -1);
	CHECK_INT(errno, ECONNRESET);
	return world_slow() - before;
}

/* What the capability says of this kernel is what it does: FIN and RST come by the slow path, or every one of them stays on
 * the short cut. */
static void end_as_stated(struct world *world, uint64_t punt, uint64_t (*slow_of_end)(struct pair *pair))
{
	struct fo_caps caps;
	struct pair pair;
	uint64_t slow;

	active(world, &pair, AF_INET, SOCK_STREAM, 0);
	FO_INIT(&caps);
	OK(fo_table_caps(world->table, &caps, &live_err));
	slow = slow_of_end(&pair);
	if (caps.can & punt)
		CHECK(slow > 0);
	else
		CHECK_INT(slow, 0);
	world_until_event(world, FO_EV_CLOSED, 1);
	pair_close(&pair);
	world_close(world);
}

static void fin_as_stated(struct world *world)
{
	end_as_stated(world, FO_CAP_PUNT_FIN, slow_of_close);
}

static void rst_as_stated(struct world *world)
{
	end_as_stated(world, FO_CAP_PUNT_RST, slow_of_reset);
}

static void fin(struct world *world)
{
	struct fo_caps caps;
	struct pair pair;

	active(world, &pair, AF_INET, SOCK_STREAM, 0);
	pair_close(&pair);
	world_until_event(world, FO_EV_CLOSED, 1);
	/* A kernel that does not hand FIN up lets conntrack see no more than that it is over. */
	FO_INIT(&caps);
	OK(fo_table_caps(world->table, &caps, &live_err));
	if (caps.can & FO_CAP_PUNT_FIN)
		expect_final(world, FO_EV_CLOSED, FO_R_TCP_FIN);
	world_close(world);
}

static void rst(struct world *world)
{
	const struct linger now = {1, 0};
	struct pair pair;

	active(world, &pair, AF_INET, SOCK_STREAM, 0);
	CHECK(!setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	pair_close(&pair);
	world_until_event(world, FO_EV_CLOSED, 1);
	expect_final(world, FO_EV_CLOSED, FO_R_TCP_RST);
	world_close(world);
}

static void idle(struct world *world)
{
	struct pair pair;

	active(world, &pair, AF_INET, SOCK_DGRAM, 3000);
	world_until_event(world, FO_EV_EXPIRED, 1);
	expect_final(world, FO_EV_EXPIRED, FO_R_IDLE);
	/* The connection itself goes on. */
	pair_talk(&pair, 3);
	pair_close(&pair);
	world_close(world);
}

static void idle_in_advance(struct world *world)
{
	struct pair pair;
	fo_flow_id id = 0;

	world_open(world, 100, 2000);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_event(world, FO_EV_EXPIRED, 1);
	CHECK_INT(world->last[FO_EV_EXPIRED].counters.packets[0], 0);
	pair_close(&pair);
	world_close(world);
}

static void in_advance(struct world *world)
{
	struct pair pair;
	fo_flow_id id = 0;

	world_open(world, 100, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5332, 7000);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	world_close(world);
}

static void contradicted_later(struct world *world)
{
	struct pair pair;
	fo_flow_id id = 0;

	world_open(world, 100, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5333, 7000);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	pair.flow.tuple[1].dst[3] = 99;
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	for (unsigned int i = 0; i < 1000 && !world->events[FO_EV_REFUSED]; i++) {
		pair_talk(&pair, 1);
		world_rest(world);
	}
	CHECK_INT(world->last[FO_EV_REFUSED].reason, FO_R_NAT);
	pair_close(&pair);
	world_close(world);
}

static void deleted_by_others(struct world *world)
{
	struct pair pair;

	active(world, &pair, AF_INET, SOCK_DGRAM, 0);
	world_run("conntrack -D -p udp --orig-port-src 5001 >/dev/null 2>&1");
	world_until_event(world, FO_EV_LOST, 1);
	expect_final(world, FO_EV_LOST, FO_R_LOST);
	pair_close(&pair);
	world_close(world);
}

static void fallback(struct world *world)
{
	struct pair pair;
	fo_flow_id id;

	/* Of the network namespace: it ends with the test. */
	world_sysctl_set("nf_flowtable_udp_timeout", 2);
	id = active(world, &pair, AF_INET, SOCK_DGRAM, 0);
	world_until_event(world, FO_EV_FALLBACK, 1);
	CHECK_INT(world->last[FO_EV_FALLBACK].reason, FO_R_FALLBACK);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	world_close(world);
}

const struct live_case live_ends[] = {
	{"fin_takes_the_path_that_the_capability_says", fin_as_stated},
	{"rst_takes_the_path_that_the_capability_says", rst_as_stated},
	{"fin_ends_the_flow", fin},
	{"rst_ends_the_flow", rst},
	{"an_idle_flow_expires_and_the_connection_goes_on", idle},
	{"a_flow_armed_in_advance_expires", idle_in_advance},
	{"a_flow_armed_in_advance_is_taken_when_it_comes", in_advance},
	{"what_contradicts_the_entry_that_comes_is_refused", contradicted_later},
	{"an_entry_deleted_by_others_loses_the_flow", deleted_by_others},
	{"a_silent_flow_falls_back_and_comes_again", fallback},
	{NULL, NULL},
};
