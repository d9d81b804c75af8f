/* SPDX-License-Identifier: BSD-2-Clause */
/* path.c - the whole packet path through fo_worker_run(), and the same work over rte_hash (rival.h): TCP and UDP by halves,
 * both directions, uniformly over all of them. The public API alone. n counts directions: two for a connection.
 *
 * Every table has been in use (population.h). Frames are rebuilt outside the timed part. Before a case is measured
 * each contestant forwards a packet of every direction two times; after it, every byte of the frames of a sample is
 * compared with frames made without looking at anybody's.
 *
 *   v4-nat, v6-nat     source NAT with ports, the shortest frames of their family that TCP fits into (64 and 78 bytes)
 *   v4-imix            frames of 60, 590 and 1514 bytes (64, 594 and 1518 on the wire), 7:4:1
 *   v4-miss, v6-miss   packets of connections that the table does not have
 *   v6-plain           no NAT
 *   v4-burst           the library alone: bursts of 64 against 32, 4 and 1
 *   v4-cold            frames that no cache holds any more
 *   v4-encap           the library alone: 802.1ad, 802.1Q and PPPoE pushed onto each frame (originators' packets)
 *   v4-adj-1000, -60000  so many next hops on the clients' side
 */
#include <string.h>

#include "bench.h"
#include "library.h"
#include "rival.h"
#include "traffic.h"

#define SCRUB ((size_t)64 << 20)

enum kind { FORWARD, IMIX, MISS, BURST, COLD, PUSH };

struct scene {
	const char *name;
	enum kind kind;
	struct net net;
	int everywhere; /* at all sizes */
	int peers;	/* how many of them */
};

static const struct scene scenes[] = {
	{"v4-nat", FORWARD, {.clients = 1}, 1, 2},
	{"v4-imix", IMIX, {.clients = 1}, 1, 2},
	{"v4-miss", MISS, {.clients = 1}, 1, 2},
	{"v4-burst", BURST, {.clients = 1}, 0, 0},
	{"v4-cold", COLD, {.clients = 1}, 0, 2},
	{"v4-encap", PUSH, {.clients = 1, .encap = 1}, 0, 0},
	{"v4-adj-1000", FORWARD, {.clients = 1000}, 0, 1},
	{"v4-adj-60000", FORWARD, {.clients = 60000}, 0, 1},
	{"v6-nat", FORWARD, {.clients = 1, .v6 = 1}, 1, 2},
	{"v6-miss", MISS, {.clients = 1, .v6 = 1}, 0, 2},
	{"v6-plain", FORWARD, {.clients = 1, .v6 = 1, .plain = 1}, 0, 2},
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct path {
	struct library library; /* the library's */
	struct fo_worker *worker;
	struct rival *rival; /* or the rival's */
	unsigned int burst;
};

static const struct scene *scene;
static struct population population;
static struct traffic traffic;
static struct bench_draw order;
static uint32_t cursor, chunk; /* of warm-ups; of the frames at hand */
static unsigned int forwarded;
static uint8_t *scrub;

/* ---- packets ---- */

static unsigned int frame_length(void)
{
	static const uint16_t imix[12] = {60, 60, 60, 60, 60, 60, 60, 590, 590, 590, 590, 1514};

	if (scene->kind == IMIX)
		return imix[bench_below(&order, 12)];
	return scene->net.v6 ? FRAME_LEAST_V6 : FRAME_LENGTH;
}

static uint32_t drawn(void)
{
	uint32_t position = bench_below(&order, 2 * population.connections);

	return scene->kind == PUSH ? position & ~1u : position;
}

static void prepare(void *ctx)
{
	(void)ctx;
	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		traffic_put(&traffic, i, drawn(), scene->kind == MISS, frame_length());
}

static void prepare_next(void *ctx)
{
	(void)ctx;
	for (uint32_t i = 0; i < BENCH_CHUNK; i++) {
		traffic_put(&traffic, i, cursor, scene->kind == MISS, frame_length());
		cursor = (cursor + 1) % (2 * population.connections);
	}
}

/* Frames are there already, and cold; their descriptors are what a driver has just written. */
static void prepare_cold(void *ctx)
{
	volatile struct fo_packet *packets = traffic.packets + (size_t)chunk * BENCH_CHUNK;

	(void)ctx;
	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		packets[i].verdict = FO_PASS;
}

static void build_cold(void)
{
	for (uint32_t i = 0; i < traffic.count; i++)
		traffic_put(&traffic, i, drawn(), 0, frame_length());
	memset(scrub, 1, SCRUB);
	chunk = 0;
}

/* ---- the work ---- */

static void run(void *ctx)
{
	struct path *path = ctx;
	struct fo_packet *packets = traffic.packets + (size_t)chunk * BENCH_CHUNK;

	forwarded = 0;
	for (unsigned int i = 0; i < BENCH_CHUNK; i += path->burst)
		forwarded += path->rival
				     ? rival_run(path->rival, packets + i, path->burst, TRAFFIC_NOW_MS)
				     : fo_worker_run(path->worker, packets + i, path->burst, TRAFFIC_NOW_MS);
}

static void run_cold(void *ctx)
{
	run(ctx);
	chunk++;
}

static double round_of(void *ctx)
{
	double ns;

	if (scene->kind != COLD)
		return bench_chunks(prepare, run, ctx);
	build_cold();
	ns = bench_chunks(prepare_cold, run_cold, ctx);
	chunk = 0;
	return ns;
}

static void warm_up(void *ctx)
{
	cursor = 0;
	for (uint64_t done = 0; done < 4 * (uint64_t)population.connections; done += BENCH_CHUNK) {
		prepare_next(ctx);
		run(ctx);
	}
}

static void verify(const struct contestant *who)
{
	for (unsigned int times = 0; times < 100; times++) {
		prepare(NULL);
		run(who->ctx);
		if (forwarded != (scene->kind == MISS ? 0 : BENCH_CHUNK))
			bench_fail("%s: %u of %u forwarded", who->name, forwarded, BENCH_CHUNK);
		traffic_verify(&traffic, who->name, 0, BENCH_CHUNK);
	}
}

/* ---- contestants ---- */

static void library_open(struct path *path)
{
	fo_flow_id *ids = bench_memory(population.connections * sizeof(*ids));

	library_create(&path->library, &scene->net, population.connections, NULL);
	library_populate(&path->library, &population, ids);
	path->worker = library_worker(&path->library);
	bench_memory_free(ids, population.connections * sizeof(*ids));
}

static void library_close(struct path *path)
{
	fo_worker_close(path->worker);
	library_destroy(&path->library);
}

static unsigned int bursts(struct path *path, struct contestant *contestants)
{
	static const char *const names[] = {"burst-64", "burst-32", "burst-4", "burst-1"};
	static const unsigned int sizes[] = {64, 32, 4, 1};

	for (unsigned int i = 0; i < 4; i++) {
		path[i] = path[0];
		path[i].burst = sizes[i];
		contestants[i] = (struct contestant){names[i], round_of, i ? NULL : warm_up, &path[i], NULL};
	}
	return 4;
}

static unsigned int peers(struct path *path, struct contestant *contestants, unsigned int count)
{
	static const char *const names[] = {"flowoffload", "rte_hash", "rte_hash-lf"};

	for (unsigned int i = 0; i <= count; i++) {
		path[i].burst = BENCH_BURST;
		contestants[i] = (struct contestant){names[i], round_of, warm_up, &path[i], NULL};
		if (!i || path[i].rival)
			continue;
		path[i].rival = rival_populated(&population, i == 2);
	}
	return count + 1;
}

/* Tables of a population; kept while scenes that follow each other have the same. */
static struct path tables[3];

static void tables_open(uint32_t size)
{
	population_open(&population, &scene->net, size / 2);
	library_open(&tables[0]);
}

static void tables_close(void)
{
	for (unsigned int i = 1; i < 3; i++)
		if (tables[i].rival)
			rival_close(tables[i].rival);
	library_close(&tables[0]);
	population_close(&population);
	memset(tables, 0, sizeof(tables));
}

static void run_scene(uint32_t size, const struct bench_options *options, int with_peers)
{
	struct contestant contestants[4];
	struct path apart[4] = {tables[0]};
	unsigned int count;

	if (scene->kind == COLD)
		traffic_open(&traffic, &population, BENCH_CHUNKS * BENCH_CHUNK, 1514);
	else
		traffic_open(&traffic, &population, BENCH_CHUNK, scene->kind == IMIX ? 1514 : FRAME_LEAST_V6);
	if (scene->kind == BURST)
		count = bursts(apart, contestants);
	else
		count = peers(tables, contestants, with_peers ? (unsigned int)scene->peers : 0);
	if (bench_case("path", scene->name, size, options, contestants, count))
		bench_fail("no memory");
	for (unsigned int i = 0; i < count; i++)
		verify(&contestants[i]);
	traffic_close(&traffic);
}

static void run_scenes(uint32_t size, const struct bench_options *options, int common, int with_peers)
{
	const struct scene *last = NULL;

	for (scene = scenes; scene < scenes + SCENES; scene++) {
		if (!bench_wanted(options, scene->name) || !(scene->everywhere || common))
			continue;
		if (last && memcmp(&last->net, &scene->net, sizeof(scene->net)))
			tables_close();
		if (!last || memcmp(&last->net, &scene->net, sizeof(scene->net)))
			tables_open(size);
		run_scene(size, options, with_peers);
		last = scene;
	}
	if (last)
		tables_close();
}

/* Scenes that are not for all sizes have the largest of at most a million, or the largest. */
static uint32_t common_size(const struct bench_options *options)
{
	uint32_t size = 0;

	for (unsigned int i = 0; i < 8 && options->sizes[i]; i++)
		if (options->sizes[i] <= 1000000 && options->sizes[i] > size)
			size = options->sizes[i];
	return size ? size : options->largest;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	const char *why;

	bench_options_read(&options, argc, argv, "1000,60000,1000000");
	why = peers_open(256 + options.largest / 1250);
	if (why)
		bench_note("path", why);
	scrub = bench_memory(SCRUB);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_scenes(options.sizes[i], &options, options.sizes[i] == common_size(&options), !why);
	bench_memory_free(scrub, SCRUB);
	return 0;
}
