/* SPDX-License-Identifier: BSD-2-Clause */
/* workers.c - two workers on two processors against one worker: the NATed directions of the same connections, originals
 * on one worker and replies on the other, so that both write to the same pairs of records. n counts directions.
 *
 * In each pass the same 2 * PASS packets are forwarded: by one worker, a burst of either direction in turn, or by two at
 * the same time. Packets are built and compared outside the timed part, by the thread that forwards them. One worker and two
 * have tables of their own, since a direction's counters belong to the first worker that forwards it. Nanoseconds are per packet of the pass: v4-two of the clock on the wall, from the first begin to the last end; v4-two-cpu of the threads'
 * own clocks, divided by the number of threads, which other programs on these processors disturb less.
 */
#include "bench.h"
#include "cores.h"
#include "library.h"
#include "traffic.h"

/* Frames and descriptors of both directions fit one processor's second-level cache: otherwise two processors would win
 * by having two of those. */
#define PASS   1024u
#define PASSES 400u

static const struct net net = {.clients = 1};
static struct population population;
static struct library library[2]; /* of one worker, of two */
static struct fo_worker *alone;

/* What one thread has; hands[0] is the main thread's. */
struct hand {
	struct traffic traffic;
	struct fo_worker *worker; /* of library[1] */
	uint64_t begin, end, cpu;
};

static struct hand hands[2];
static struct gate gate;
static int together, stop; /* written before the gate, read after it */
static struct bench_draw order;
static uint32_t place[PASS];

static void build(struct hand *hand, unsigned int dir)
{
	for (uint32_t i = 0; i < PASS; i++)
		traffic_put(&hand->traffic, i, place[i] * 2 + dir, 0, FRAME_LENGTH);
}

static void begin(struct hand *hand)
{
	hand->cpu = cores_cpu_now();
	hand->begin = bench_now();
}

static void end(struct hand *hand)
{
	hand->end = bench_now();
	hand->cpu = cores_cpu_now() - hand->cpu;
}

static void burst(struct fo_worker *worker, struct traffic *traffic, uint32_t i)
{
	if (fo_worker_run(worker, traffic->packets + i, BENCH_BURST, TRAFFIC_NOW_MS) != BENCH_BURST)
		bench_fail("packets of connections in the table are not forwarded");
}

static void run_one(struct hand *hand)
{
	begin(hand);
	for (uint32_t i = 0; i < PASS; i += BENCH_BURST)
		burst(hand->worker, &hand->traffic, i);
	end(hand);
}

static void run_both(void)
{
	begin(&hands[0]);
	for (uint32_t i = 0; i < PASS; i += BENCH_BURST)
		for (unsigned int dir = 0; dir < 2; dir++)
			burst(alone, &hands[dir].traffic, i);
	end(&hands[0]);
}

/* The second thread: builds replies, forwards and compares them, or lets the first do that. */
static void *second(void *arg)
{
	(void)arg;
	cores_pin(1);
	for (;;) {
		gate_pass(&gate);
		if (stop)
			return NULL;
		build(&hands[1], 1);
		gate_pass(&gate);
		run_one(&hands[1]);
		gate_pass(&gate);
		traffic_verify(&hands[1].traffic, "second worker", 0, PASS);
		gate_pass(&gate);
	}
}

static void pass_together(void)
{
	gate_pass(&gate);
	build(&hands[0], 0);
	gate_pass(&gate);
	run_one(&hands[0]);
	gate_pass(&gate);
	traffic_verify(&hands[0].traffic, "first worker", 0, PASS);
	gate_pass(&gate);
}

static void pass(void)
{
	for (uint32_t i = 0; i < PASS; i++)
		place[i] = bench_below(&order, population.connections);
	if (together) {
		pass_together();
		return;
	}
	for (unsigned int dir = 0; dir < 2; dir++)
		build(&hands[dir], dir);
	run_both();
	for (unsigned int dir = 0; dir < 2; dir++)
		traffic_verify(&hands[dir].traffic, "one worker", 0, PASS);
}

/* ---- figures ---- */

struct kind {
	int together, cpu;
};

static double figure(const struct kind *kind)
{
	uint64_t first = hands[0].begin, last = hands[0].end;

	if (kind->cpu)
		return (double)(hands[0].cpu + (together ? hands[1].cpu : 0)) / (together ? 2 : 1);
	if (together && hands[1].begin < first)
		first = hands[1].begin;
	if (together && hands[1].end > last)
		last = hands[1].end;
	return (double)(last - first);
}

static double round_of(void *ctx)
{
	const struct kind *kind = ctx;
	double ns[PASSES];

	together = kind->together;
	for (unsigned int i = 0; i < PASSES; i++) {
		pass();
		ns[i] = figure(kind) / (2 * PASS);
	}
	return bench_median(ns, PASSES);
}

static void warm_up(void *ctx)
{
	together = ((const struct kind *)ctx)->together;
	for (uint32_t done = 0; done < 2 * population.connections; done += PASS)
		pass();
}

static void measure(uint32_t size, const struct bench_options *options, const char *name, int cpu)
{
	struct kind kinds[2] = {{1, cpu}, {0, cpu}};
	struct contestant contestants[2] = {
		{"two-workers", round_of, warm_up, &kinds[0], NULL},
		{"one-worker", round_of, warm_up, &kinds[1], NULL},
	};

	if (bench_wanted(options, name) && bench_case("workers", name, size, options, contestants, 2))
		bench_fail("no memory");
}

static void run_size(uint32_t size, const struct bench_options *options)
{
	fo_flow_id *ids = bench_memory(size / 2 * sizeof(*ids));

	population_open(&population, &net, size / 2);
	for (unsigned int i = 0; i < 2; i++) {
		library_create(&library[i], &net, size / 2, NULL);
		library_populate(&library[i], &population, ids);
	}
	alone = library_worker(&library[0]);
	bench_memory_free(ids, size / 2 * sizeof(*ids));
	for (unsigned int i = 0; i < 2; i++) {
		traffic_open(&hands[i].traffic, &population, PASS, FRAME_LENGTH);
		hands[i].worker = library_worker(&library[1]);
	}
	stop = 0;
	cores_start(second, NULL);
	measure(size, options, "v4-two", 0);
	measure(size, options, "v4-two-cpu", 1);
	stop = 1;
	gate_pass(&gate);
	cores_join();
	for (unsigned int i = 0; i < 2; i++) {
		fo_worker_close(hands[i].worker);
		traffic_close(&hands[i].traffic);
	}
	fo_worker_close(alone);
	for (unsigned int i = 0; i < 2; i++)
		library_destroy(&library[i]);
	population_close(&population);
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "1000000");
	if (!cores_two()) {
		bench_note("workers", "one processor: two workers cannot be measured");
		return 0;
	}
	cores_pin(0);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i], &options);
	return 0;
}
