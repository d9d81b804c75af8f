/* SPDX-License-Identifier: BSD-2-Clause */
/* crowded.c - a table with the flows of a crowd in it. See crowded.h. */
#include "crowded.h"

#include <time.h>

double crowded_now_ms(void)
{
	return (double)bench_now() / 1e6;
}

double crowded_cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int count(void *arg, const struct fo_flow_info *info)
{
	(void)info;
	++*(unsigned int *)arg;
	return 0;
}

unsigned int crowded_in_state(struct world *world, unsigned int state)
{
	struct fo_match match;
	unsigned int n = 0;

	FO_INIT(&match);
	match.mask = FO_MATCH_STATE;
	match.state = (uint8_t)state;
	OK(fo_flow_walk(world->table, &match, count, &n, &live_err));
	return n;
}

uint64_t crowded_forwarded(struct world *world)
{
	struct fo_table_counters counters;

	FO_INIT(&counters);
	OK(fo_stats(world->table, &counters, &live_err));
	return counters.forwarded_packets;
}

double crowded_add(struct world *world, const struct crowd *crowd, fo_flow_id *ids)
{
	double began;

	for (unsigned int i = 0; i < crowd->n; i++) {
		crowd->flows[i].adj[0] = world->adj[0];
		crowd->flows[i].adj[1] = world->adj[1];
	}
	began = crowded_now_ms();
	CHECK_INT(fo_flow_add_many(world->table, crowd->flows, crowd->n, 0, ids, NULL, &live_err), crowd->n);
	return crowded_now_ms() - began;
}

void crowded_poll(struct world *world, struct crowded_polling *sum)
{
	double at = crowded_now_ms(), cpu = crowded_cpu_ms(), took, took_cpu;

	world_poll(world);
	took_cpu = crowded_cpu_ms() - cpu;
	took = crowded_now_ms() - at;
	sum->cpu_ms += took_cpu;
	sum->longest_ms = took > sum->longest_ms ? took : sum->longest_ms;
	sum->each_cpu_ms[sum->polls % CROWDED_POLLS] = took_cpu;
	sum->longest_cpu_ms = took_cpu > sum->longest_cpu_ms ? took_cpu : sum->longest_cpu_ms;
	sum->polls++;
	if (fo_table_deadline(world->table) > (uint64_t)crowded_now_ms() + 1)
		world_rest(world);
}

double crowded_read(struct world *world, struct crowd *crowd, struct crowded_polling *sum, double *moving_ms)
{
	uint64_t before = crowded_forwarded(world), now;
	double began, at, moved = 0;

	crowd_talk(crowd);
	began = crowded_now_ms();
	do {
		at = crowded_now_ms();
		CHECK(at - began < 60000);
		crowded_poll(world, sum);
		now = crowded_forwarded(world);
		if (!moved && now > before)
			moved = at;
	} while (now < before + 2 * (uint64_t)crowd->n);
	at = crowded_now_ms();
	if (moving_ms)
		*moving_ms = at - moved;
	return at - began;
}
