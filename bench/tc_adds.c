/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_adds.c - adding flows with helper threads and without, to a driver that is slow and to one that is not; deleting them one by
 * one and many at once. In rounds, each way's turn another one every time; a ratio is of one round. See tc_measure.h.
 */
#include "tc_measure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 5u
/* With a slow driver so few, for there each takes its time. */
#define SLOW_FLOWS 100u
#define DELAY_MS   5u
#define MANY_FLOWS 2000u
/* Short rounds, and many, so that both halves of one meet the same machine. */
#define DELETE_FLOWS  128u
#define DELETE_ROUNDS 61u

/* ---- Adding ---- */

static const unsigned int helpers[] = {0, 1, 2, 4};
#define WAYS  (sizeof(helpers) / sizeof(helpers[0]))
#define ALONE 1u /* the way with one thread */

struct added {
	double all_ms[WAYS][ROUNDS];  /* until all were in hardware */
	double call_ms[WAYS][ROUNDS]; /* until the call was back */
};

static void until_told(struct world *world, unsigned int want)
{
	struct pollfd fd = {fo_table_fd(world->table), POLLIN, 0};

	while (world->events[FO_EV_STATE] < want) {
		CHECK(poll(&fd, 1, 60000) == 1);
		world_poll(world);
		CHECK_INT(world->events[FO_EV_REFUSED], 0);
	}
}

/* The first flow comes before the clock: its guards are added once a port, and always wait for the driver. */
static void add_by(const struct crowd *crowd, unsigned int way, unsigned int delay_ms, double *all_ms,
		   double *call_ms)
{
	struct crowd first = tc_some(crowd, 1), rest = tc_some(crowd, crowd->n);
	fo_flow_id *ids = calloc(crowd->n, sizeof(*ids));
	struct world world;
	char text[16];
	double began;

	CHECK(ids);
	rest.flows++;
	rest.n--;
	tc_open(&world, crowd->n, helpers[way]);
	(void)crowded_add(&world, &first, ids);
	until_told(&world, helpers[way] ? 1 : 0);
	snprintf(text, sizeof(text), "%u", delay_ms);
	hwsim_order("delay_add_ms", text);
	began = crowded_now_ms();
	*call_ms = crowded_add(&world, &rest, ids + 1);
	until_told(&world, helpers[way] ? crowd->n : 0);
	*all_ms = crowded_now_ms() - began;
	hwsim_order("delay_add_ms", "0");
	CHECK_INT(crowded_in_state(&world, FO_STATE_HARDWARE), crowd->n);
	tc_close(&world);
	free(ids);
}

static void tell_adds(const char *name, unsigned int n, struct added *added)
{
	char who[32], text[48];

	for (unsigned int way = 0; way < WAYS; way++) {
		double ratios[ROUNDS], rates[ROUNDS];

		for (unsigned int i = 0; i < ROUNDS; i++) {
			ratios[i] = added->all_ms[ALONE][i] / added->all_ms[way][i];
			rates[i] = n * 1e3 / added->all_ms[way][i];
		}
		snprintf(who, sizeof(who), "%u threads", helpers[way]);
		snprintf(text, sizeof(text), "%s-ratio", name);
		bench_spread(TC_BENCH, text, n, who, ratios, ROUNDS, "x");
		bench_spread(TC_BENCH, name, n, who, rates, ROUNDS, "flows/s");
		snprintf(text, sizeof(text), "%s-call", name);
		bench_spread(TC_BENCH, text, n, who, added->call_ms[way], ROUNDS, "ms");
	}
}

static void add_in_turns(const struct crowd *crowd, unsigned int delay_ms, struct added *added)
{
	for (unsigned int i = 0; i < ROUNDS; i++)
		for (unsigned int at = 0; at < WAYS; at++) {
			unsigned int way = (at + i) % WAYS;

			add_by(crowd, way, delay_ms, &added->all_ms[way][i], &added->call_ms[way][i]);
		}
}

void tc_adds(const struct crowd *crowd)
{
	struct crowd few = tc_some(crowd, SLOW_FLOWS), many = tc_some(crowd, MANY_FLOWS);
	struct added added;
	double unused;

	/* Who comes first meets modules that are not loaded and memory that was never touched. */
	add_by(&many, 0, 0, &unused, &unused);
	add_in_turns(&few, DELAY_MS, &added);
	tell_adds("add-slow", few.n - 1, &added);
	bench_figure(TC_BENCH, "delay", few.n, DELAY_MS, "ms");
	/* The kernel's clock is coarse; what is asked for is the least. */
	bench_figure(TC_BENCH, "delay-seen", few.n, bench_median(added.all_ms[0], ROUNDS) / (2 * (few.n - 1)),
		     "ms");
	add_in_turns(&many, 0, &added);
	tell_adds("add", many.n - 1, &added);
}

/* ---- Deleting ---- */

/* Final counters come from the call itself. */
static double one_by_one(struct world *world, const fo_flow_id *ids, unsigned int n)
{
	double began = crowded_now_ms();

	for (unsigned int i = 0; i < n; i++) {
		struct fo_flow_counters last;

		FO_INIT(&last);
		OK(fo_flow_del(world->table, ids[i], &last, &live_err));
		CHECK(last.flags & FO_STATS_FINAL);
	}
	return crowded_now_ms() - began;
}

/* ... and here from events, which are waited for. */
static double at_once(struct world *world, const fo_flow_id *ids, unsigned int n)
{
	unsigned int want = world->events[FO_EV_DELETED] + n;
	double began = crowded_now_ms();

	CHECK_INT(fo_flow_del_many(world->table, ids, n, NULL, &live_err), n);
	while (world->events[FO_EV_DELETED] < want)
		world_poll(world);
	return crowded_now_ms() - began;
}

void tc_deletes(const struct crowd *crowd)
{
	struct crowd some = tc_some(crowd, DELETE_FLOWS);
	fo_flow_id *ids = calloc(some.n, sizeof(*ids));
	double single[DELETE_ROUNDS + 1], batch[DELETE_ROUNDS + 1], ratios[DELETE_ROUNDS];
	struct world world;
	unsigned int guards;

	CHECK(ids);
	tc_open(&world, some.n, 0);
	/* The first round warms up. */
	for (unsigned int i = 0; i <= DELETE_ROUNDS; i++)
		for (unsigned int at = 0; at < 2; at++) {
			(void)crowded_add(&world, &some, ids);
			guards = hwsim_rules() - 2 * some.n;
			if (at == i % 2)
				single[i] = one_by_one(&world, ids, some.n);
			else
				batch[i] = at_once(&world, ids, some.n);
			CHECK_INT(hwsim_rules(), guards);
		}
	for (unsigned int i = 0; i < DELETE_ROUNDS; i++) {
		ratios[i] = single[i + 1] / batch[i + 1];
		single[i] = some.n * 1e3 / single[i + 1];
		batch[i] = some.n * 1e3 / batch[i + 1];
	}
	bench_spread(TC_BENCH, "delete-ratio", some.n, "flowoffload", ratios, DELETE_ROUNDS, "x");
	bench_spread(TC_BENCH, "delete", some.n, "one by one", single, DELETE_ROUNDS, "flows/s");
	bench_spread(TC_BENCH, "delete", some.n, "many at once", batch, DELETE_ROUNDS, "flows/s");
	tc_close(&world);
	free(ids);
}
