/* SPDX-License-Identifier: BSD-2-Clause */
/* live_many.c - thousands of flows through deletes and refreshes: nothing is lost, nobody else disturbed. See live.h. */
#include "live.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

#define FLOWS	10000u
#define ONE_WAY 1000u
/* Ends of so many do not fit into the socket's buffer. */
#define FEWER	  2000u
#define STRANGERS 30000u

static int is_active(void *arg, const struct fo_flow_info *info)
{
	unsigned int *n = arg;

	*n += info->state == FO_STATE_ACTIVE;
	return 0;
}

static void until_active(struct world *world, struct crowd *crowd, unsigned int want)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 30; i++) {
		crowd_talk(crowd);
		for (unsigned int k = 0; k < 20; k++)
			world_poll(world);
		n = 0;
		OK(fo_flow_walk(world->table, NULL, is_active, &n, &live_err));
		if (n == want)
			return;
	}
	FAIL("%u flows are active, not %u", n, want);
}

static void add_all(struct world *world, struct crowd *crowd, fo_flow_id *ids)
{
	for (unsigned int i = 0; i < crowd->n; i++) {
		crowd->flows[i].adj[0] = world->adj[0];
		crowd->flows[i].adj[1] = world->adj[1];
	}
	CHECK_INT(fo_flow_add_many(world->table, crowd->flows, crowd->n, 0, ids, NULL, &live_err), crowd->n);
}

/* Every second flow is deleted, a tenth at a time, while all of them talk; one-way UDP beside them, which no kernel may
 * take up and whose entries must live on. */
static void burst(struct world *world)
{
	fo_flow_id *ids = calloc(FLOWS + ONE_WAY, sizeof(*ids));
	struct crowd crowd, quiet;
	uint64_t slow;

	CHECK(ids);
	world_open(world, FLOWS + ONE_WAY, 0);
	crowd_open(&crowd, FLOWS, true);
	crowd_open(&quiet, ONE_WAY, false);
	crowd_talk(&crowd);
	crowd_talk(&quiet);
	add_all(world, &crowd, ids);
	add_all(world, &quiet, ids + FLOWS);
	until_active(world, &crowd, FLOWS);
	for (unsigned int tenth = 0; tenth < 10; tenth++) {
		for (unsigned int i = tenth; i < FLOWS; i += 20)
			OK(fo_flow_del(world->table, ids[i], NULL, &live_err));
		crowd_talk(&crowd);
		world_poll(world);
		crowd_talk(&quiet);
	}
	OK(fo_table_sync(world->table, 60000, &live_err));
	world_until_event(world, FO_EV_DELETED, FLOWS / 2);
	until_active(world, &crowd, FLOWS / 2);
	slow = world_slow();
	crowd_talk(&crowd);
	/* Those deleted, and no other. */
	CHECK_INT(world_slow() - slow, FLOWS);
	crowd_close(&crowd);
	crowd_close(&quiet);
	free(ids);
	world_close(world);
}

/* Entries that are no flow's: UDP that nobody answers. */
static void strangers(unsigned int n)
{
	struct pair pair;

	pair_open(&pair, AF_INET, SOCK_DGRAM, 9000, 7100);
	for (unsigned int i = 0; i < n; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(i + 1))};

		to.sin_addr.s_addr = htonl(0x0a5b0203); /* 10.91.2.3 */
		(void)sendto(pair.client, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	}
	pair_close(&pair);
}

/* All of conntrack is flushed while nobody polls: more ends than a socket holds. Each flow ends all the same, once. */
static void deaf(struct world *world)
{
	fo_flow_id *ids = calloc(FEWER, sizeof(*ids));
	struct crowd crowd;

	CHECK(ids);
	world_open(world, FEWER, 0);
	crowd_open(&crowd, FEWER, true);
	crowd_talk(&crowd);
	add_all(world, &crowd, ids);
	until_active(world, &crowd, FEWER);
	strangers(STRANGERS);
	world_run("conntrack -F >/dev/null 2>&1");
	world_until_event(world, FO_EV_LOST, FEWER);
	CHECK_INT(world->events[FO_EV_LOST], FEWER);
	/* And what comes then is new. */
	crowd_talk(&crowd);
	add_all(world, &crowd, ids);
	until_active(world, &crowd, FEWER);
	crowd_close(&crowd);
	free(ids);
	world_close(world);
}

const struct live_case live_many[] = {
	{"ends_that_were_not_heard_are_found_out", deaf},
	{"ten_thousand_flows_lose_no_packet_while_half_of_them_go", burst},
	{NULL, NULL},
};
