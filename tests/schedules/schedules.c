/* SPDX-License-Identifier: BSD-2-Clause */
/* schedules.c - all orders of the steps of one look-up and one change of the table.
 *
 *   schedules [CASE]
 *
 * Of each case: a state is prepared, a worker sends its bursts at one connection while control does its part, and every
 * order in which their steps (src/flowtable/steps.h) can follow each other is tried. After each the rules of the
 * stress test hold: no generation is used by a burst that began after its end, bytes are right, packets that pass on
 * are untouched, final counters are exact and come once. Besides, a key that is in the table all the time is found.
 * What is seen is sequential consistency: the compiler's and the processor's reordering are the business of the threads.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../stress/actors.h"
#include "cases.h"
#include "explore.h"

#define SEEDS 4000u

static struct explore explore;
static const struct schedule_case *running;
static struct world world;

/* The rules of the stress test ask for these; here nobody waits but at steps. */
void actors_acted(void)
{
}

void actors_wait(void)
{
}

bool actors_freeze(unsigned int i)
{
	(void)i;
	return false;
}

/* A rule was broken: say in which case and schedule. */
static void on_abort(int sig)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "schedules: %s: schedule %s\n", running->name, explore.trail);

	if (n > 0 && write(2, text, (size_t)n) != n)
		_exit(3);
	signal(sig, SIG_DFL);
}

static unsigned int fire(struct world *w, const struct target *target)
{
	struct fo_packet packet;
	struct shot shot;

	memset(&shot, 0, sizeof(shot));
	shot.connection = target->connection;
	shot.dir = target->dir;
	shot.life = target->life;
	shot.far = target->far;
	shot.payload = 7;
	shot.tcp_flags = target->tcp_flags;
	shots_load(&shot, &packet);
	w->control.workers[0].offered++;
	return shots_fire(&w->control.workers[0], w->worker, &shot, &packet, 1);
}

struct reader {
	struct world *world;
	struct target target;
	unsigned int forwarded;
};

static void read_side(void *arg)
{
	struct reader *r = arg;
	struct target target = r->target;
	unsigned int i;

	for (i = 0; i < running->bursts; i++) {
		r->forwarded += fire(r->world, &target);
		target.tcp_flags = TCP_ACK; /* data follows what may have closed the connection */
	}
}

static void write_side(void *arg)
{
	running->change(arg);
}

/* A seed whose secrets put the entries where the case wants them; control alone shows where they go. */
static bool prepare(const struct schedule_case *c, unsigned int dir, struct target *target)
{
	for (stress_seed = 1; stress_seed <= SEEDS; stress_seed++) {
		bool good;

		world_open(&world, stress_seed, 2 + c->more_buckets, c->fillers);
		c->prepare(&world);
		*target = (struct target){.dir = dir, .tcp_flags = TCP_ACK};
		world_save(&world);
		good = c->aim(&world, target, false);
		if (good) {
			c->change(&world);
			good = c->aim(&world, target, true);
		}
		world_restore(&world);
		if (good)
			return true;
		world_close(&world);
	}
	return false;
}

static uint64_t run_direction(const struct schedule_case *c, unsigned int dir, uint64_t *found)
{
	const struct explore_side writer = {write_side, &world};
	struct reader reader = {.world = &world};
	const struct explore_side reading = {read_side, &reader};

	if (!prepare(c, dir, &reader.target))
		stress_die("%s: no seed brings about what it is about", c->name);
	memset(&explore, 0, sizeof(explore));
	do {
		world_restore(&world);
		reader.forwarded = 0;
		explore_run(&explore, &reading, &writer);
		if (c->must_find && reader.forwarded != c->bursts)
			stress_die("a key that was in the table all the time was not found");
		*found += reader.forwarded;
		reader.target.tcp_flags = TCP_ACK;
		(void)fire(&world, &reader.target);
		reader.target.tcp_flags = c->first_flags != 0 ? c->first_flags : TCP_ACK;
		control_end_all(&world.control);
		control_check(&world.control);
	} while (explore_next(&explore));
	world_restore(&world);
	world_close(&world);
	return explore.schedules;
}

static void run_case(const struct schedule_case *c)
{
	uint64_t schedules = 0, found = 0;
	unsigned int dir;

	running = c;
	for (dir = 0; dir < 2; dir++)
		if ((c->directions & 1u << dir) != 0)
			schedules += run_direction(c, dir, &found);
	printf("ok %-28s %8" PRIu64 " schedules, %8" PRIu64 " packets forwarded in them\n", c->name,
	       schedules, found);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned int i, n = 0;

	signal(SIGABRT, on_abort);
	for (i = 0; i < schedule_case_count; i++) {
		if (argc > 1 && strcmp(argv[1], schedule_cases[i].name) != 0)
			continue;
		run_case(&schedule_cases[i]);
		n++;
	}
	explore_close();
	printf("%u passed, 0 failed, 0 skipped\n", n);
	return n != 0 ? 0 : 2;
}
