/* SPDX-License-Identifier: BSD-2-Clause */
/* cases.c - the changes of the table that the schedules try against a look-up. Each is as small as the protocol's part
 * that it is about, for the number of orders grows with the binomial coefficient of both sides' steps.
 */
#include "cases.h"

#include "../stress/pool.h"

#define BOTH 3u

/* ---- what is aimed at ---- */

static void aim_at(struct world *w, struct target *target, uint32_t connection)
{
	target->connection = connection;
	target->life = w->control.life[connection];
	target->far = atomic_load(&w->control.oracle.n_sides) - 1;
}

static bool aim_first(struct world *w, struct target *target, bool after)
{
	if (!after)
		aim_at(w, target, 0);
	return true;
}

/* A connection that is not there yet: its next life. */
static bool aim_new(struct world *w, struct target *target, bool after)
{
	if (!after) {
		aim_at(w, target, 0);
		target->life = atomic_load(&w->control.oracle.n_flows);
	}
	return true;
}

static bool aim_closing(struct world *w, struct target *target, bool after)
{
	if (!after)
		aim_at(w, target, 0);
	target->tcp_flags = TCP_RST;
	return true;
}

/* An entry that the change moves to its second bucket or back; which one is known when the change has been made. */
static bool find_moved(struct world *w, struct target *target, bool after, uint32_t wanted)
{
	static uint32_t before[STRESS_CONNECTIONS];
	uint32_t i;

	for (i = 0; i < STRESS_CONNECTIONS; i++) {
		uint32_t at = w->control.place[i] == LIVE ? world_position(w, i, target->dir) : UINT32_MAX;

		if (!after)
			before[i] = at;
		else if (at != UINT32_MAX && before[i] != UINT32_MAX && at != before[i] &&
			 (at & (WORLD_AWAY | WORLD_NEXT)) == wanted) {
			aim_at(w, target, i);
			return true;
		}
	}
	return !after;
}

static bool aim_displaced(struct world *w, struct target *target, bool after)
{
	return find_moved(w, target, after, WORLD_AWAY);
}

static bool aim_sent_home(struct world *w, struct target *target, bool after)
{
	return find_moved(w, target, after, 0);
}

/* The index has been replaced while the key stayed. */
static bool aim_migrated(struct world *w, struct target *target, bool after)
{
	if (!after)
		aim_at(w, target, 0);
	return world_migrating(w) != after;
}

/* ---- prepared states ---- */

static void nothing(struct world *w)
{
	(void)w;
}

static void one_flow(struct world *w)
{
	control_add(&w->control, 0);
}

/* Three buckets that are nearly full. */
static void crowd(struct world *w)
{
	uint32_t i;

	for (i = 0; i < 7; i++)
		control_add(&w->control, i);
	control_fill(&w->control, 6);
}

static void remove_flow(struct world *w, uint32_t connection)
{
	control_end(&w->control, connection, false);
	control_poll(&w->control, 0);
}

/* Something displaced, and room at its home, before upkeep has come by. */
static void room_at_home(struct world *w)
{
	uint32_t i;

	for (i = 0; i < 8; i++)
		control_add(&w->control, i);
	remove_flow(w, 0);
}

/* Two free records, the one on top not the one that the connection had. */
static void two_free_records(struct world *w)
{
	control_add(&w->control, 0);
	control_add(&w->control, 1);
	remove_flow(w, 0);
	remove_flow(w, 1);
}

static void index_with_successor(struct world *w)
{
	one_flow(w);
	pool_rotate(w->control.table);
	world_upkeep(w);
}

static void pass_time(struct world *w, uint32_t ticks)
{
	while (ticks-- != 0)
		oracle_tick(&w->control.oracle);
}

/* Connection 0 is silent for longer than its timeout, and the sweep is due. */
static void idle_flow(struct world *w)
{
	uint32_t i;

	for (i = 4; i-- != 0;) /* the fourth life has a timeout (control.c) */
		control_add(&w->control, i);
	pass_time(w, 60000 / ORACLE_MS_PER_TICK);
}

static void one_spare_entry(struct world *w)
{
	one_flow(w);
	control_update_side(&w->control);
	control_poll(&w->control, 0);
}

/* ---- changes ---- */

static void add_one(struct world *w)
{
	control_add(&w->control, 0);
}

static void add_eighth(struct world *w)
{
	control_add(&w->control, 7);
}

static void add_two(struct world *w)
{
	control_add(&w->control, 0);
	control_add(&w->control, 1);
}

static void close_one(struct world *w)
{
	control_end(&w->control, 0, false);
}

static void delete_one(struct world *w)
{
	control_end(&w->control, 0, true);
	control_poll(&w->control, 0);
}

/* The next connection gets the record as soon as it may. */
static void delete_and_reuse(struct world *w)
{
	control_end(&w->control, 0, false);
	control_poll(&w->control, 0);
	control_poll(&w->control, 0);
	control_add(&w->control, 1);
}

static void delete_at_once_and_reuse(struct world *w)
{
	control_end(&w->control, 0, true);
	control_add(&w->control, 1);
}

static void poll_twice(struct world *w)
{
	control_poll(&w->control, 0);
	control_poll(&w->control, 0);
}

/* What is idle may live on; what was invalidated meanwhile may not. */
static void expire_and_invalidate(struct world *w)
{
	control_poll(&w->control, 0);
	control_invalidate(&w->control, FO_MATCH_TAG, 0);
	control_poll(&w->control, 0);
}

static void update_side(struct world *w)
{
	control_update_side(&w->control);
}

static void update_side_thrice(struct world *w)
{
	control_update_side(&w->control);
	control_update_side(&w->control);
	control_mark(&w->control, 0);
	control_update_side(&w->control);
}

static void invalidate_side(struct world *w)
{
	control_invalidate(&w->control, FO_MATCH_ADJ, 0);
	control_poll(&w->control, 0);
}

static void invalidate_tag(struct world *w)
{
	control_invalidate(&w->control, FO_MATCH_TAG, 0);
	control_poll(&w->control, 0);
}

const struct schedule_case schedule_cases[] = {
	{"add", nothing, add_one, aim_new, BOTH, 1, false, 0, 0, 0},
	{"add-in-another-record", two_free_records, add_two, aim_first, 1, 1, false, 0, 0, 0},
	{"displace", crowd, add_eighth, aim_displaced, BOTH, 1, true, 0, 1, 8},
	{"send-home", room_at_home, world_upkeep, aim_sent_home, BOTH, 1, true, 0, 0, 0},
	{"migrate", index_with_successor, world_upkeep, aim_migrated, BOTH, 1, true, 0, 0, 0},
	{"close", one_flow, close_one, aim_first, BOTH, 2, false, 0, 0, 0},
	{"delete", one_flow, delete_one, aim_first, BOTH, 2, false, 0, 0, 0},
	{"delete-and-reuse", one_flow, delete_and_reuse, aim_first, BOTH, 1, false, 0, 0, 0},
	{"delete-at-once-and-reuse", one_flow, delete_at_once_and_reuse, aim_first, BOTH, 1, false, 0, 0, 0},
	{"expire", idle_flow, poll_twice, aim_first, BOTH, 2, false, 0, 0, 0},
	{"expire-and-invalidate", idle_flow, expire_and_invalidate, aim_first, BOTH, 1, false, 0, 0, 0},
	{"reset", one_flow, delete_one, aim_closing, BOTH, 2, false, TCP_RST, 0, 0},
	{"update-side", one_flow, update_side, aim_first, 1, 2, true, 0, 0, 0},
	{"update-side-thrice", one_spare_entry, update_side_thrice, aim_first, 1, 2, true, 0, 0, 0},
	{"replies-to-updated-side", one_spare_entry, update_side_thrice, aim_first, 2, 2, false, 0, 0, 0},
	{"invalidate-side", one_flow, invalidate_side, aim_first, BOTH, 2, false, 0, 0, 0},
	{"invalidate-tag", one_flow, invalidate_tag, aim_first, BOTH, 2, false, 0, 0, 0},
};
const unsigned int schedule_case_count = sizeof(schedule_cases) / sizeof(schedule_cases[0]);
