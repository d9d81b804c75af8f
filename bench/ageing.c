/* SPDX-License-Identifier: BSD-2-Clause */
/* ageing.c - what the sweep costs that looks for idle connections, with a clock of its own. n counts connections.
 * The public API alone; the table has been in use, and a packet of every direction has been forwarded.
 *
 *   v4-look      nanoseconds a connection, none of them idle: poll until a pass has been over all of them
 *   v4-expire    nanoseconds a connection, all of them idle: until the last one's event is delivered
 */
#include "bench.h"
#include "library.h"
#include "traffic.h"

#define TIMEOUT_MS 3600000u
/* A pass begins this often at least, whatever the timeouts are. */
#define PASS_MS 10000u
/* For polling at a time. */
#define POLL_US 1000u

static const struct net net = {.clients = 1};
static struct population population;
static struct library library;
static uint64_t clock_ms;

static uint64_t read_clock(void *ctx)
{
	(void)ctx;
	return clock_ms;
}

static void expired(void *arg, const struct fo_event *event)
{
	uint64_t *count = arg;

	if (event->kind != FO_EV_EXPIRED)
		bench_fail("a connection ends as %s", fo_event_name(event->kind));
	(*count)++;
}

/* Until a pass is over and everything that came of it. Returns nanoseconds a connection. */
static double pass(uint64_t forward_ms, uint64_t expect)
{
	uint64_t ended = 0, begin;
	struct fo_error error;

	clock_ms += forward_ms;
	if (fo_table_deadline(library.table) > clock_ms)
		bench_fail("no pass is due");
	begin = bench_now();
	do {
		library_check(fo_table_poll(library.table, 0, POLL_US, expired, &ended, &error) < 0, &error);
	} while (fo_table_deadline(library.table) <= clock_ms || ended < expect);
	begin = bench_now() - begin;
	if (ended != expect)
		bench_fail("%u connections end, not %u", (unsigned int)ended, (unsigned int)expect);
	return (double)begin / population.connections;
}

static void forward_all(void)
{
	struct fo_worker *worker = library_worker(&library);
	uint32_t positions = 2 * population.connections;
	struct traffic traffic;

	traffic_open(&traffic, &population, BENCH_CHUNK, FRAME_LENGTH);
	for (uint32_t first = 0; first < positions; first += BENCH_CHUNK) {
		for (uint32_t i = 0; i < BENCH_CHUNK; i++)
			traffic_put(&traffic, i, (first + i) % positions, 0, FRAME_LENGTH);
		(void)fo_worker_run(worker, traffic.packets, BENCH_CHUNK, clock_ms);
		traffic_verify(&traffic, "worker", 0, BENCH_CHUNK);
	}
	traffic_close(&traffic);
	fo_worker_close(worker);
}

static void open_table(fo_flow_id *ids)
{
	struct fo_table_options options;

	library_options(&options, population.connections);
	options.clock_ms = read_clock;
	clock_ms = TRAFFIC_NOW_MS;
	library_create(&library, &net, population.connections, &options);
	library.common.timeout_ms = TIMEOUT_MS;
	library_populate(&library, &population, ids);
	forward_all();
}

static void run_size(uint32_t connections, unsigned int rounds)
{
	fo_flow_id *ids = bench_memory(connections * sizeof(*ids));
	double *look = bench_memory(2 * rounds * sizeof(*look)), *expire = look + rounds;

	population_open(&population, &net, connections);
	for (unsigned int round = 0; round < rounds; round++) {
		double ns[5];

		open_table(ids);
		for (unsigned int i = 0; i < 5; i++)
			ns[i] = pass(PASS_MS, 0);
		look[round] = bench_median(ns, 5);
		expire[round] = pass(TIMEOUT_MS, connections);
		library_destroy(&library);
	}
	bench_figure("ageing", "v4-look", connections, bench_median(look, rounds), "ns");
	bench_figure("ageing", "v4-expire", connections, bench_median(expire, rounds), "ns");
	population_close(&population);
	bench_memory_free(look, 2 * rounds * sizeof(*look));
	bench_memory_free(ids, connections * sizeof(*ids));
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "1000000");
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i], (options.rounds + 1) / 2);
	return 0;
}
