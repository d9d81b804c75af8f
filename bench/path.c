/* SPDX-License-Identifier: BSD-2-Clause */
/* path.c - the whole packet path: 64-byte frames, TCP and UDP by halves, both directions, source NAT with ports,
 * through fo_worker_run() and through the same work over rte_hash (rival.h). The public API alone.
 *
 * Frames are rebuilt outside the timed part. n counts directions: two for a connection. Every run ends with every
 * byte of every frame of a sample compared with frames made without looking at the library's.
 */
#include <string.h>

#include "bench.h"
#include "frames.h"
#include "keys.h"
#include "library.h"
#include "rival.h"

#define ROOM   128u /* bytes of buffer a frame, the frame from HEAD on */
#define HEAD   64u
#define NOW_MS 5000u

static uint32_t entries;
static int missing, v6;

struct path {
	struct library library; /* the library's */
	struct fo_worker *worker;
	struct rival *rival; /* or the rival's */
	unsigned int (*run)(struct path *path);
};

static struct bench_draw order;
static uint32_t wanted[BENCH_CHUNK];
static struct fo_packet packets[BENCH_CHUNK];
static uint8_t *buffers;
static uint64_t forwarded;

/* IPv6 frames of 64 bytes have no room for TCP: odd numbers are UDP. */
static void flow_of(struct fo_flow *flow, uint32_t n)
{
	key_flow(flow, v6 ? 2 * n + 1 : n, v6);
}

static void prepare(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t entry = bench_below(&order, entries) + (missing ? entries : 0);
		uint8_t *data = buffers + (size_t)i * ROOM + HEAD;
		struct fo_flow flow;

		wanted[i] = entry;
		flow_of(&flow, entry / 2);
		frame_in(data, &flow, entry & 1, entry);
		memset(&packets[i], 0, sizeof(packets[i]));
		packets[i].data = data;
		packets[i].user = i;
		packets[i].contiguous = packets[i].length = FRAME_LENGTH;
		packets[i].headroom = HEAD;
		packets[i].in_port = (entry & 1) + 1;
	}
}

static unsigned int run_library(struct path *path)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		n += fo_worker_run(path->worker, packets + i, BENCH_BURST, NOW_MS);
	return n;
}

static unsigned int run_rival(struct path *path)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		n += rival_run(path->rival, packets + i, BENCH_BURST, NOW_MS);
	return n;
}

static void run(void *ctx)
{
	forwarded += ((struct path *)ctx)->run(ctx);
}

static double round_of(void *ctx)
{
	return bench_chunks(prepare, run, ctx);
}

static void warm_up(void *ctx)
{
	for (uint64_t done = 0; done < 2 * (uint64_t)entries; done += BENCH_CHUNK) {
		prepare(ctx);
		run(ctx);
	}
}

/* ---- what is measured ---- */

static void library_open(struct path *path)
{
	struct fo_error error;

	library_create(&path->library, entries / 2);
	for (uint32_t n = 0; n < entries / 2; n++) {
		struct fo_flow flow;

		flow_of(&flow, n);
		(void)library_add(&path->library, &flow);
	}
	/* what poll has left to do (growth) is not the packets' */
	for (uint32_t i = 0; i < entries / 16 + 16; i++)
		library_check(fo_table_poll(path->library.table, 0, 0, NULL, NULL, &error) < 0, &error);
	library_check(fo_worker_open(path->library.table, NULL, &path->worker, &error), &error);
	path->run = run_library;
}

static void library_close(struct path *path)
{
	fo_worker_close(path->worker);
	fo_table_destroy(path->library.table);
}

static void rival_path(struct path *path, int lock_free)
{
	path->rival = rival_open(entries, lock_free);
	path->run = run_rival;
	for (uint32_t n = 0; n < entries / 2; n++) {
		struct fo_flow flow;

		flow_of(&flow, n);
		if (rival_add(path->rival, &flow))
			bench_fail("rte_hash refuses connection %u", n);
	}
}

/* ---- verdicts and bytes ---- */

static void verify_packet(const char *who, unsigned int i)
{
	const struct fo_packet *packet = &packets[i];
	const uint8_t *start = buffers + (size_t)i * ROOM;
	uint8_t expected[ROOM] = {0};
	struct fo_flow flow;
	unsigned int dir = wanted[i] & 1;

	flow_of(&flow, wanted[i] / 2);
	if (missing)
		frame_in(expected + HEAD, &flow, dir, wanted[i]);
	else
		frame_out(expected + HEAD, &flow, dir, wanted[i]);
	if (packet->verdict != (missing ? FO_PASS : FO_FORWARD) || packet->data != start + HEAD ||
	    packet->length != FRAME_LENGTH || packet->contiguous != FRAME_LENGTH || packet->user != i ||
	    (!missing && packet->out_port != 2 - dir) || memcmp(start, expected, ROOM))
		bench_fail("%s: the frame of entry %u is not what it must be", who, wanted[i]);
}

static void verify(const struct contestant *who)
{
	for (unsigned int chunk = 0; chunk < 100; chunk++) {
		uint64_t before = forwarded;

		prepare(who->ctx);
		run(who->ctx);
		if (forwarded - before != (missing ? 0 : BENCH_CHUNK))
			bench_fail("%s: %u forwarded", who->name, (unsigned int)(forwarded - before));
		for (unsigned int i = 0; i < BENCH_CHUNK; i++)
			verify_packet(who->name, i);
	}
}

/* ---- cases ---- */

static void run_case(const char *family, const char *name, const struct bench_options *options,
		     struct contestant *contestants, unsigned int count)
{
	char full[64];

	snprintf(full, sizeof(full), "%s-%s", family, name);
	if (!bench_wanted(options, full))
		return;
	if (bench_case("path", full, entries, options, contestants, count))
		bench_fail("no memory");
	for (unsigned int i = 0; i < count; i++)
		verify(&contestants[i]);
}

/* The rival knows IPv4 alone: with IPv6 the library is on its own. */
static void run_size(uint32_t size, const struct bench_options *options, int with_peers)
{
	struct path path[3];
	struct contestant contestants[3] = {
		{"flowoffload", round_of, warm_up, &path[0], NULL},
		{"rte_hash", round_of, warm_up, &path[1], NULL},
		{"rte_hash-lf", round_of, warm_up, &path[2], NULL},
	};
	unsigned int count = with_peers && !v6 ? 3 : 1;

	memset(path, 0, sizeof(path));
	entries = size;
	library_open(&path[0]);
	for (unsigned int i = 1; i < count; i++)
		rival_path(&path[i], i == 2);
	missing = 0;
	run_case(v6 ? "v6" : "v4", "nat", options, contestants, count);
	missing = 1;
	run_case(v6 ? "v6" : "v4", "miss", options, contestants, count);
	for (unsigned int i = 1; i < count; i++)
		rival_close(path[i].rival);
	library_close(&path[0]);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	const char *why;

	bench_options_read(&options, argc, argv, "1000,60000,1000000");
	why = peers_open(256 + options.largest / 2500);
	if (why)
		bench_note("path", why);
	buffers = bench_memory((size_t)BENCH_CHUNK * ROOM);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++) {
		v6 = 0;
		run_size(options.sizes[i], &options, !why);
		v6 = 1;
		if (options.sizes[i] == options.largest)
			run_size(options.sizes[i], &options, !why);
	}
	bench_memory_free(buffers, (size_t)BENCH_CHUNK * ROOM);
	return 0;
}
