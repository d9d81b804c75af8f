/* SPDX-License-Identifier: BSD-2-Clause */
/* flood.c - nine packets of ten belong to no connection: what a PASS costs, and what the flood does to the hits among
 * them. n counts directions; the public API alone.
 *
 * Three kinds of chunks take turns: hits alone, misses alone, and both mixed at random, one hit to nine misses. The
 * hits' share of the mixed chunks is their time less that of as many misses alone; the slow-down is that share per hit
 * over the cost of a hit alone. Every frame is compared with what must have become of it.
 *
 *   v4-pass           nanoseconds of a miss, misses alone
 *   v4-hit            nanoseconds of a hit, hits alone
 *   v4-mixed          nanoseconds of a packet of the flood
 *   v4-hit-slowed     times
 */
#include "bench.h"
#include "library.h"
#include "traffic.h"

enum kind { HITS, MISSES, MIXED, KINDS };

static const struct net net = {.clients = 1};
static struct population population;
static struct library library;
static struct traffic traffic;
static struct fo_worker *worker;
static struct bench_draw order;

/* Returns how many hits it has. */
static unsigned int prepare(enum kind kind)
{
	unsigned int hits = 0;

	for (uint32_t i = 0; i < BENCH_CHUNK; i++) {
		int absent = kind == MIXED ? bench_below(&order, 10) > 0 : kind == MISSES;

		traffic_put(&traffic, i, bench_below(&order, 2 * population.connections), absent,
			    FRAME_LENGTH);
		hits += !absent;
	}
	return hits;
}

static double run(enum kind kind, unsigned int *hits)
{
	unsigned int forwarded = 0;
	uint64_t begin;

	*hits = prepare(kind);
	begin = bench_now();
	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		forwarded += fo_worker_run(worker, traffic.packets + i, BENCH_BURST, TRAFFIC_NOW_MS);
	begin = bench_now() - begin;
	if (forwarded != *hits)
		bench_fail("%u of %u forwarded", forwarded, *hits);
	traffic_verify(&traffic, "flood", 0, BENCH_CHUNK);
	return (double)begin / BENCH_CHUNK;
}

struct figures {
	double ns[KINDS], slowed;
};

static void measure(struct figures *figures)
{
	double ns[KINDS][BENCH_CHUNKS], share;
	uint64_t hits = 0;

	for (unsigned int chunk = 0; chunk < BENCH_CHUNKS; chunk++)
		for (unsigned int i = 0; i < KINDS; i++) {
			enum kind kind = (enum kind)((i + chunk) % KINDS);
			unsigned int count;

			ns[kind][chunk] = run(kind, &count);
			if (kind == MIXED)
				hits += count;
		}
	for (unsigned int kind = 0; kind < KINDS; kind++)
		figures->ns[kind] = bench_median(ns[kind], BENCH_CHUNKS);
	share = (double)hits / (BENCH_CHUNK * BENCH_CHUNKS);
	figures->slowed =
		(figures->ns[MIXED] - (1 - share) * figures->ns[MISSES]) / share / figures->ns[HITS];
}

static void print(uint32_t size, const struct figures *figures, unsigned int rounds)
{
	static const char *const names[] = {"v4-hit", "v4-pass", "v4-mixed"};
	double *values = bench_memory(rounds * sizeof(*values));

	for (unsigned int kind = 0; kind < KINDS; kind++) {
		for (unsigned int i = 0; i < rounds; i++)
			values[i] = figures[i].ns[kind];
		bench_figure("flood", names[kind], size, bench_median(values, rounds), "ns");
	}
	for (unsigned int i = 0; i < rounds; i++)
		values[i] = figures[i].slowed;
	bench_figure("flood", "v4-hit-slowed", size, bench_median(values, rounds), "times");
	bench_memory_free(values, rounds * sizeof(*values));
}

static void run_size(uint32_t size, const struct bench_options *options)
{
	fo_flow_id *ids = bench_memory(size / 2 * sizeof(*ids));
	struct figures *figures = bench_memory(options->rounds * sizeof(*figures));
	unsigned int hits;

	population_open(&population, &net, size / 2);
	library_create(&library, &net, size / 2, NULL);
	library_populate(&library, &population, ids);
	worker = library_worker(&library);
	traffic_open(&traffic, &population, BENCH_CHUNK, FRAME_LENGTH);
	for (uint32_t done = 0; done < 2 * size; done += BENCH_CHUNK)
		(void)run(HITS, &hits);
	for (unsigned int i = 0; i < options->rounds; i++)
		measure(&figures[i]);
	print(size, figures, options->rounds);
	traffic_close(&traffic);
	fo_worker_close(worker);
	library_destroy(&library);
	population_close(&population);
	bench_memory_free(figures, options->rounds * sizeof(*figures));
	bench_memory_free(ids, size / 2 * sizeof(*ids));
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "60000,1000000");
	if (bench_wanted(&options, "v4-"))
		for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
			run_size(options.sizes[i], &options);
	return 0;
}
