/* SPDX-License-Identifier: BSD-2-Clause */
/* churn.c - how much a control thread at full churn slows a worker: one thread forwards packets of one half of the
 * connections, another deletes and adds those of the other half as fast as it can, polls included, or waits; or does so with
 * a table of the same size that the worker never sees, so that they share nothing but the machine: its caches, its memory.
 * n counts directions. Nanoseconds are the worker's per packet. The public API alone.
 *
 * Every packet must be forwarded, churn or not; busy ones (FO_R_BUSY, a race lost twice) are counted and reported.
 */
#include <errno.h>
#include <sched.h>

#include "bench.h"
#include "cores.h"
#include "library.h"
#include "traffic.h"

/* Slots for what waits until the worker has let go. */
#define SPARE 4096u

static const struct net net = {.clients = 1};
static struct traffic traffic;
static struct fo_worker *worker;
static struct bench_draw order;
static uint64_t busy;

/* The worker's, and one that it never sees. */
static struct place {
	struct population population;
	struct library library;
	fo_flow_id *ids;
} workers, elsewhere;

enum { WAIT, CHURN, CHURN_ELSEWHERE, STOP };
static _Atomic int wanted, doing;
static uint64_t replaced, replacing_ns; /* the second thread's in the worker's table, read when it waits */

/* ---- control ---- */

static void poll_table(struct fo_table *table)
{
	struct fo_error error;

	library_check(fo_table_poll(table, 0, 0, NULL, NULL, &error) < 0, &error);
}

/* Places of the upper half: the lower half is the worker's. */
static void replace(struct place *of, struct bench_draw *draw)
{
	uint32_t half = of->population.connections / 2, at = half + bench_below(draw, half);
	struct fo_table *table = of->library.table;
	struct fo_error error;
	struct fo_flow flow;
	int err;

	library_check(fo_flow_del(table, of->ids[at], NULL, &error), &error);
	of->population.number[at] += of->population.connections;
	library_flow(&of->library, &flow, of->population.number[at]);
	while ((err = fo_flow_add(table, &flow, &of->ids[at], &error))) {
		if (err != -ENOSPC && err != -EAGAIN)
			library_check(err, &error);
		poll_table(table);
	}
}

static void churn(struct place *of, struct bench_draw *draw)
{
	uint64_t begin = bench_now();

	for (unsigned int i = 0; i < 256; i++) {
		replace(of, draw);
		if (i % 64 == 63)
			poll_table(of->library.table);
	}
	if (of == &workers) {
		replaced += 256;
		replacing_ns += bench_now() - begin;
	}
}

static void *control(void *arg)
{
	struct bench_draw draw = {.state = 12345};

	(void)arg;
	cores_pin(1);
	for (;;) {
		int now = atomic_load(&wanted);

		atomic_store(&doing, now);
		if (now == STOP)
			return NULL;
		if (now == WAIT)
			sched_yield();
		else
			churn(now == CHURN ? &workers : &elsewhere, &draw);
	}
}

static void ask(int what)
{
	atomic_store(&wanted, what);
	while (atomic_load(&doing) != what)
		sched_yield();
}

/* ---- packets ---- */

static void prepare(void *ctx)
{
	(void)ctx;
	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		traffic_put(&traffic, i, bench_below(&order, workers.population.connections), 0,
			    FRAME_LENGTH);
}

static void run(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		(void)fo_worker_run(worker, traffic.packets + i, BENCH_BURST, TRAFFIC_NOW_MS);
}

static void compare(void)
{
	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		if (traffic.packets[i].verdict == FO_PASS && traffic.packets[i].reason == FO_R_BUSY)
			busy++;
		else
			traffic_verify(&traffic, "worker", i, 1);
}

/* Before the next packets are built the last ones are compared. */
static void compare_and_prepare(void *ctx)
{
	if (traffic.packets[0].data)
		compare();
	prepare(ctx);
}

static double round_of(void *ctx)
{
	double ns;

	ask(*(const int *)ctx);
	ns = bench_chunks(compare_and_prepare, run, NULL);
	ask(WAIT);
	return ns;
}

static void warm_up(void *ctx)
{
	(void)ctx;
	for (uint32_t done = 0; done < 4 * workers.population.connections; done += BENCH_CHUNK) {
		prepare(NULL);
		run(NULL);
		compare();
	}
}

static void place_open(struct place *of, uint32_t connections)
{
	struct fo_table_options room;

	library_options(&room, connections + SPARE);
	population_open(&of->population, &net, connections);
	of->ids = bench_memory(connections * sizeof(*of->ids));
	library_create(&of->library, &net, connections, &room);
	library_populate(&of->library, &of->population, of->ids);
}

static void place_close(struct place *of)
{
	library_destroy(&of->library);
	bench_memory_free(of->ids, of->population.connections * sizeof(*of->ids));
	population_close(&of->population);
}

static void run_size(uint32_t size, const struct bench_options *options)
{
	static int quiet = WAIT, churned = CHURN, apart = CHURN_ELSEWHERE;
	struct contestant contestants[3] = {
		{"quiet", round_of, warm_up, &quiet, NULL},
		{"churned", round_of, NULL, &churned, NULL},
		{"churned-elsewhere", round_of, NULL, &apart, NULL},
	};

	place_open(&workers, size / 2);
	place_open(&elsewhere, size / 2);
	traffic_open(&traffic, &workers.population, BENCH_CHUNK, FRAME_LENGTH);
	worker = library_worker(&workers.library);
	replaced = replacing_ns = busy = 0;
	atomic_store(&wanted, WAIT);
	cores_start(control, NULL);
	if (bench_case("churn", "v4-reader", size, options, contestants, 3))
		bench_fail("no memory");
	ask(STOP);
	cores_join();
	bench_figure("churn", "v4-replacement", size,
		     (double)replacing_ns / (double)(replaced ? replaced : 1), "ns");
	bench_figure("churn", "v4-busy-packets", size, (double)busy, "packets");
	fo_worker_close(worker);
	traffic_close(&traffic);
	place_close(&elsewhere);
	place_close(&workers);
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "60000,1000000");
	if (!cores_two()) {
		bench_note("churn", "one processor: worker and control cannot run at the same time");
		return 0;
	}
	cores_pin(0);
	if (bench_wanted(&options, "v4-reader"))
		for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
			run_size(options.sizes[i], &options);
	return 0;
}
