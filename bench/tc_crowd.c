/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_crowd.c - thousands of flows added, counted, aged, and added and deleted again: how long each takes, and that each counter of
 * each flow is right to the last packet and nothing is left. See tc_measure.h.
 */
#include "tc_measure.h"

#include <stdlib.h>

#define READINGS 5u
/* A datagram of a crowd: IPv4 header, UDP header, a number. */
#define DATAGRAM 32u
#define IDLE_MS	 10000u

struct finals {
	struct crowd *crowd;
	unsigned int kind; /* of the events that must come */
	uint64_t packets;  /* that each direction must have counted */
	uint8_t *ended;
	unsigned int n;
};

static void check_counters(const struct fo_flow_counters *counters, uint64_t packets)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		CHECK_INT(counters->packets[dir], packets);
		CHECK_INT(counters->bytes[dir], packets * DATAGRAM);
	}
}

static void ended(void *arg, const struct fo_event *event)
{
	struct finals *finals = arg;

	if (!FO_EV_IS_TERMINAL(event->kind))
		return;
	CHECK_INT(event->kind, finals->kind);
	CHECK(event->user < finals->crowd->n && !finals->ended[event->user]);
	CHECK(event->counters.flags & FO_STATS_FINAL);
	check_counters(&event->counters, finals->packets);
	finals->ended[event->user] = 1;
	finals->n++;
}

/* Poll until every flow has ended so, each once. */
static void until_ended(struct world *world, struct crowd *crowd, unsigned int kind, uint64_t packets)
{
	struct finals finals = {.crowd = crowd, .kind = kind, .packets = packets};
	double began = crowded_now_ms();

	finals.ended = calloc(crowd->n, 1);
	CHECK(finals.ended);
	while (finals.n < crowd->n) {
		CHECK(crowded_now_ms() - began < 120000);
		OK(fo_table_poll(world->table, 0, 5000, ended, &finals, &live_err));
	}
	free(finals.ended);
}

static int counted(void *arg, const struct fo_flow_info *info)
{
	check_counters(&info->counters, *(const uint64_t *)arg);
	return 0;
}

/* A pass over all filters, each flow having sent a packet each way; in the end every flow has counted every one of them. */
static void stats(struct world *world, struct crowd *crowd)
{
	double pass[READINGS], all[READINGS], slice[READINGS];
	static struct crowded_polling sum;
	uint64_t packets = READINGS;

	for (unsigned int i = 0; i < READINGS; i++) {
		memset(&sum, 0, sizeof(sum));
		all[i] = crowded_read(world, crowd, &sum, &pass[i]);
		slice[i] = sum.longest_cpu_ms;
	}
	CHECK_INT(fo_flow_walk(world->table, NULL, counted, &packets, &live_err), crowd->n);
	bench_spread(TC_BENCH, "stats", crowd->n, "flowoffload", pass, READINGS, "ms");
	bench_spread(TC_BENCH, "stats-rest", crowd->n, "flowoffload", all, READINGS, "ms");
	bench_spread(TC_BENCH, "stats-slice", crowd->n, "flowoffload", slice, READINGS, "ms");
}

/* From the moment on when the last of them was due. */
static double age(struct world *world, struct crowd *crowd, const fo_flow_id *ids, uint64_t packets)
{
	struct fo_flow flow;
	double due;

	FO_INIT(&flow);
	flow.timeout_ms = IDLE_MS;
	for (unsigned int i = 0; i < crowd->n; i++)
		OK(fo_flow_update(world->table, ids[i], FO_UPDATE_TIMEOUT, &flow, &live_err));
	crowd_talk(crowd);
	due = crowded_now_ms() + IDLE_MS;
	until_ended(world, crowd, FO_EV_EXPIRED, packets);
	return crowded_now_ms() - due;
}

static double remove_all(struct world *world, struct crowd *crowd, const fo_flow_id *ids)
{
	double began;

	crowd_talk(crowd);
	began = crowded_now_ms();
	CHECK_INT(fo_flow_del_many(world->table, ids, crowd->n, NULL, &live_err), crowd->n);
	until_ended(world, crowd, FO_EV_DELETED, 1);
	return crowded_now_ms() - began;
}

static void seconds(const char *name, const struct crowd *crowd, double ms)
{
	bench_figure(TC_BENCH, name, crowd->n, ms / 1e3, "s");
}

void tc_life(struct crowd *crowd)
{
	fo_flow_id *ids = calloc(crowd->n, sizeof(*ids));
	unsigned int guards;
	struct world world;
	uint64_t slow;
	double took;

	CHECK(ids);
	for (unsigned int i = 0; i < crowd->n; i++)
		crowd->flows[i].user = i;
	tc_open(&world, crowd->n, 0);
	took = crowded_add(&world, crowd, ids);
	CHECK_INT(crowded_in_state(&world, FO_STATE_HARDWARE), crowd->n);
	guards = hwsim_rules() - 2 * crowd->n;
	seconds("life-add", crowd, took);
	slow = world_slow();
	stats(&world, crowd);
	seconds("life-age", crowd, age(&world, crowd, ids, READINGS + 1));
	CHECK_INT(hwsim_rules(), guards);
	(void)crowded_add(&world, crowd, ids);
	seconds("life-delete", crowd, remove_all(&world, crowd, ids));
	CHECK_INT(hwsim_rules(), guards);
	/* Of all that was sent none came to the router. */
	bench_figure(TC_BENCH, "life-slow", crowd->n, (double)(world_slow() - slow), "packets");
	tc_close(&world);
	free(ids);
}
