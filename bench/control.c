/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - how long packets go on using what fo_adj_update() or fo_invalidate() took away, with all connections of the
 * table concerned and a worker running: from the begin of the call to the end of the last burst with such a packet in
 * it, microseconds; zero when the last one ended before. n counts connections. The public API alone.
 *
 *   adj-update             the servers' next hop; adj-update-most: the longest of UPDATES
 *   invalidate-port, -l3-dev, -mac, -adj, -prefix, -tag, -scope
 *   invalidate-NAME-call   the call alone
 *   invalidate-NAME-done   until the last event is delivered
 *
 * The worker forwards packets of all connections, drawn, as fast as it can; after an invalidation control polls, a
 * POLL_US at a time, until every connection has its event. A packet with an old next hop after the last old burst, or
 * forwarded after the last event, would be seen: the worker goes on for SETTLED bursts.
 */
#include <sched.h>
#include <string.h>

#include "bench.h"
#include "cores.h"
#include "library.h"
#include "traffic.h"

#define POOL	16384u
#define UPDATES 101u
#define SETTLED 4096u
/* Bursts just before a call, so that the worker has a processor when it comes, and nanoseconds at most until it does, so
 * that it comes anywhere in a burst. */
#define AWAKE	 16u
#define APART_NS 20000u
#define POLL_US	 100u
#define TAG	 9u
#define SCOPE	 1u
#define L3_DEV	 77u

static const struct net net = {.clients = 1};
static struct population population;
static struct library library;
static fo_flow_id *ids;

/* ---- the worker ---- */

static struct traffic traffic, fresh; /* packets at work, and as they come */
static struct fo_worker *worker;
static _Atomic int stop;
static _Atomic uint64_t bursts;
static _Atomic uint64_t used_ns[256]; /* by next hop: when the last burst ended that used it */

static void restore(uint32_t first)
{
	memcpy(traffic.buffers + (size_t)first * traffic.room, fresh.buffers + (size_t)first * fresh.room,
	       (size_t)BENCH_BURST * fresh.room);
	memcpy(traffic.packets + first, fresh.packets + first, BENCH_BURST * sizeof(*fresh.packets));
	for (uint32_t i = first; i < first + BENCH_BURST; i++)
		traffic.packets[i].data += traffic.buffers - fresh.buffers;
}

static void note_used(uint32_t first, uint64_t end)
{
	int last = -1;

	for (uint32_t i = first; i < first + BENCH_BURST; i++) {
		const struct fo_packet *packet = &traffic.packets[i];

		if (packet->verdict != FO_FORWARD || packet->data[5] == last)
			continue;
		last = packet->data[5];
		atomic_store(&used_ns[last], end);
	}
}

static void *forward(void *arg)
{
	(void)arg;
	cores_pin(1);
	while (!atomic_load(&stop))
		for (uint32_t first = 0; first < POOL; first += BENCH_BURST) {
			restore(first);
			(void)fo_worker_run(worker, traffic.packets + first, BENCH_BURST, TRAFFIC_NOW_MS);
			note_used(first, bench_now());
			atomic_fetch_add(&bursts, 1);
		}
	return NULL;
}

static void await_bursts(unsigned int count)
{
	uint64_t until = atomic_load(&bursts) + count;

	while (atomic_load(&bursts) < until)
		sched_yield();
}

/* Returns when the call is to begin: now. */
static uint64_t meet(void)
{
	static struct bench_draw draw;
	uint64_t until, now;

	await_bursts(AWAKE);
	until = bench_now() + bench_below(&draw, APART_NS);
	while ((now = bench_now()) < until)
		;
	return now;
}

/* Originators' packets: they leave by the servers' side. Next hops are drawn once. */
static void worker_start(void)
{
	struct bench_draw draw = {.state = 7};

	for (uint32_t i = 0; i < POOL; i++) {
		traffic_put(&fresh, i, 2 * bench_below(&draw, population.connections), 0, FRAME_LENGTH);
		fresh.packets[i].scope = SCOPE;
	}
	atomic_store(&stop, 0);
	worker = library_worker(&library);
	cores_start(forward, NULL);
	await_bursts(SETTLED);
}

static void worker_stop(void)
{
	atomic_store(&stop, 1);
	cores_join();
	fo_worker_close(worker);
}

static double microseconds(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1000 : 0;
}

/* ---- updates ---- */

static void adj_of(struct fo_adj *adj, uint32_t next_hop)
{
	frame_adj(&net, adj, 1, next_hop);
	adj->l3_dev = L3_DEV;
}

static double update(uint32_t next_hop)
{
	struct fo_error error;
	struct fo_adj adj;
	uint64_t begin;
	int err;

	adj_of(&adj, next_hop);
	begin = meet();
	err = fo_adj_update(library.table, library.server, &adj, &error);
	library_check(err, &error);
	await_bursts(SETTLED);
	if (atomic_load(&used_ns[next_hop]) <= begin)
		bench_fail("no packet uses the new next hop");
	return microseconds(begin, atomic_load(&used_ns[next_hop - 1]));
}

static void measure_updates(uint32_t connections)
{
	double us[UPDATES];

	for (unsigned int i = 0; i < UPDATES; i++)
		us[i] = update(1 + i);
	bench_figure("control", "adj-update", connections, bench_median(us, UPDATES), "us");
	bench_figure("control", "adj-update-most", connections, us[UPDATES - 1], "us");
}

/* ---- invalidations ---- */

static const struct kind {
	const char *name;
	struct fo_match match;
} kinds[] = {
	{"port", {.size = sizeof(struct fo_match), .mask = FO_MATCH_PORT, .port = 2}},
	{"l3-dev", {.size = sizeof(struct fo_match), .mask = FO_MATCH_L3_DEV, .l3_dev = L3_DEV}},
	{"mac", {.size = sizeof(struct fo_match), .mask = FO_MATCH_MAC, .mac = {2, 1, 1, 0, 0, 1}}},
	{"adj", {.size = sizeof(struct fo_match), .mask = FO_MATCH_ADJ}},
	{"prefix",
	 {.size = sizeof(struct fo_match),
	  .mask = FO_MATCH_PREFIX,
	  .prefix = {10},
	  .prefix_len = 8,
	  .family = 4}},
	{"tag", {.size = sizeof(struct fo_match), .mask = FO_MATCH_TAG, .tag = TAG}},
	{"scope", {.size = sizeof(struct fo_match), .mask = FO_MATCH_SCOPE, .scope = SCOPE}},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct times {
	double used, call, done;
};

static void ended(void *arg, const struct fo_event *event)
{
	uint32_t *count = arg;

	if (event->kind != FO_EV_INVALIDATED)
		bench_fail("a connection ends as %s", fo_event_name(event->kind));
	(*count)++;
}

static void invalidate(const struct kind *kind, struct times *times)
{
	struct fo_match match = kind->match;
	uint32_t count = 0;
	struct fo_error error;
	uint64_t begin, end;
	int err;

	match.adj = match.mask == FO_MATCH_ADJ ? library.server : 0;
	begin = meet();
	err = fo_invalidate(library.table, &match, &error);
	times->call = microseconds(begin, bench_now());
	library_check(err, &error);
	do {
		err = fo_table_poll(library.table, 0, POLL_US, ended, &count, &error);
		library_check(err < 0, &error);
	} while (count < population.connections);
	end = bench_now();
	times->done = microseconds(begin, end);
	await_bursts(SETTLED);
	times->used = microseconds(begin, atomic_load(&used_ns[1]));
	if (atomic_load(&used_ns[1]) > end)
		bench_fail("a packet is forwarded after its connection's last event");
}

static void open_table(void)
{
	struct fo_error error;
	struct fo_adj adj;

	library_create(&library, &net, population.connections, NULL);
	library.common.tag = TAG;
	library.common.scope = SCOPE;
	adj_of(&adj, 1);
	library_check(fo_adj_update(library.table, library.server, &adj, &error), &error);
	for (uint32_t place = 0; place < population.connections; place++)
		ids[place] = library_add(&library, place);
	library_settle(&library);
	worker_start();
}

static void close_table(void)
{
	worker_stop();
	library_destroy(&library);
}

static void measure_invalidations(const struct kind *kind, uint32_t connections, unsigned int rounds)
{
	double *us = bench_memory(3 * rounds * sizeof(*us));
	static const char *const parts[] = {"", "-call", "-done"};
	char name[64];

	for (unsigned int round = 0; round < rounds; round++) {
		struct times times;

		open_table();
		invalidate(kind, &times);
		us[round] = times.used;
		us[rounds + round] = times.call;
		us[2 * rounds + round] = times.done;
		close_table();
	}
	for (unsigned int part = 0; part < 3; part++) {
		snprintf(name, sizeof(name), "invalidate-%s%s", kind->name, parts[part]);
		bench_figure("control", name, connections, bench_median(us + part * rounds, rounds), "us");
	}
	bench_memory_free(us, 3 * rounds * sizeof(*us));
}

static void run_size(uint32_t connections, const struct bench_options *options)
{
	population_open(&population, &net, connections);
	ids = bench_memory(connections * sizeof(*ids));
	traffic_open(&fresh, &population, POOL, FRAME_LENGTH);
	traffic_open(&traffic, &population, POOL, FRAME_LENGTH);
	if (bench_wanted(options, "adj-update")) {
		open_table();
		measure_updates(connections);
		close_table();
	}
	for (unsigned int i = 0; i < KINDS; i++) {
		char name[64];

		snprintf(name, sizeof(name), "invalidate-%s", kinds[i].name);
		if (bench_wanted(options, name))
			measure_invalidations(&kinds[i], connections, (options->rounds + 1) / 2);
	}
	traffic_close(&traffic);
	traffic_close(&fresh);
	bench_memory_free(ids, connections * sizeof(*ids));
	population_close(&population);
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "1000000");
	if (!cores_two()) {
		bench_note("control", "one processor: worker and control cannot run at the same time");
		return 0;
	}
	cores_pin(0);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i], &options);
	return 0;
}
