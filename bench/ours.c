/* SPDX-License-Identifier: BSD-2-Clause */
/* ours.c - look-ups in the library's store. See ours.h.
 *
 * The look-up is the library's own, the stages of src/fastpath/find.h by the schedule of fo_worker_run(), epoch
 * announced and counters on; keys take the place of packets. They are made outside the timed part; their hash is not.
 */
#include "ours.h"

#include <string.h>

#include "fastpath/find.h"
#include "keys.h"

/* A key and what it points to in a cache line, as the headers of a packet are. */
struct asked {
	struct fo__key key;
	uint8_t address6[32];
} __attribute__((aligned(64)));

struct ours {
	struct scene *scene;
	struct fo_flowtable *store;
	uint32_t side[2];
	uint32_t *
		conn; /* slot of connection n - first_living; of any number modulo the connections there are */
	struct fo_worker *worker;
	struct asked asked[BENCH_CHUNK];
	struct fo_packet packets[BENCH_CHUNK]; /* where each key comes from, for the whole look-up */
	uint64_t found;
	uint64_t missed;
	uint64_t seen;
};

/* ---- control ---- */

static uint32_t *slot_of(const struct ours *ours, uint32_t number)
{
	return &ours->conn[number % (ours->scene->entries / 2)];
}

static void add(struct ours *ours, uint32_t number)
{
	struct fo_flow flow;
	struct fo__conn_spec spec = {.flow = &flow, .in = {ours->side[0], ours->side[1]}, .now_ms = 1};
	uint32_t conn;
	int err;

	key_flow(&flow, number, (int)ours->scene->v6);
	err = fo__conn_prepare(ours->store, &spec, &conn);
	if (err || fo__conn_publish(ours->store, conn))
		bench_fail("the store refuses connection %u: %d", number, err);
	fo__upkeep(ours->store);
	*slot_of(ours, number) = conn;
}

struct ours *ours_open(struct scene *scene)
{
	struct fo__store_options options = {
		.capacity = scene->entries / 2, .max_workers = 1, .hash = FO__HASH_FAST};
	struct ours *ours = bench_memory(sizeof(*ours));
	struct fo_adj adj;

	ours->scene = scene;
	if (fo__store_open(&options, &ours->store))
		bench_fail("no memory for a store of %u", options.capacity);
	for (unsigned int end = 0; end < 2; end++) {
		uint32_t chain = FO__NO_SIDE;

		FO_INIT(&adj);
		adj.port = end + 1;
		if (fo__side_get(ours->store, &chain, end + 1, &adj, 0, &ours->side[end]))
			bench_fail("no memory for a side");
	}
	ours->conn = bench_memory(options.capacity * sizeof(*ours->conn));
	for (uint32_t n = 0; n < options.capacity; n++)
		add(ours, n);
	while (fo__upkeep_pending(ours->store))
		fo__upkeep(ours->store);
	if (fo__worker_claim(ours->store, 0, &ours->worker))
		bench_fail("no place for a worker");
	return ours;
}

void ours_close(struct ours *ours)
{
	fo__worker_release(ours->worker);
	fo__store_close(ours->store);
	bench_memory_free(ours->conn, ours->scene->entries / 2 * sizeof(*ours->conn));
	bench_memory_free(ours, sizeof(*ours));
}

void ours_replace(struct ours *ours, uint32_t old, uint32_t new_one)
{
	uint32_t conn = *slot_of(ours, old);

	fo__conn_close(ours->store, conn, FO_R_DELETED);
	if (!fo__conn_drain(ours->store, conn))
		bench_fail("nobody is in a burst, yet connection %u does not drain", old);
	fo__conn_unlink(ours->store, conn);
	fo__conn_retire(ours->store, conn);
	fo__upkeep(ours->store);
	(void)fo__reclaim(ours->store);
	add(ours, new_one);
}

double ours_bytes(const struct ours *ours)
{
	return (double)ours->store->memory.bytes / ours->scene->entries;
}

double ours_load(const struct ours *ours)
{
	const struct fo__index *index = fo__load_relaxed(&ours->store->cur);

	return (double)index->entries / index->count / FO__BUCKET_SLOTS;
}

/* ---- look-up ---- */

static void make_keys(struct ours *ours)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t entry = ours->scene->wanted[i];
		struct fo_flow flow;

		key_flow(&flow, entry / 2, (int)ours->scene->v6);
		fo__key_of_tuple(&ours->asked[i].key, &flow.tuple[entry & 1], 0);
		memcpy(ours->asked[i].address6, flow.tuple[entry & 1].src, sizeof(ours->asked[i].address6));
		if (ours->scene->v6)
			ours->asked[i].key.address6 = ours->asked[i].address6;
		ours->packets[i].in_port = (entry & 1) + 1;
	}
}

static void prepare(void *ctx)
{
	struct ours *ours = ctx;

	scene_draw(ours->scene);
	make_keys(ours);
}

/* What the stages work on. */
struct asking {
	struct fo__run run;
	struct ours *ours;
	uint32_t now_ms;
};

static void expect_nothing(const struct fo_packet *packets, uint32_t n)
{
	(void)packets;
	(void)n;
}

static __attribute__((noinline)) void fill(struct fo__run *run, struct fo__group *group,
					   struct fo_packet *packets, uint32_t n)
{
	const struct ours *ours = ((const struct asking *)run)->ours;
	const struct asked *asked = ours->asked + (packets - ours->packets);

	group->packets = packets;
	group->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct fo__look *look = &group->looks[i];

		look->parsed.key = asked[i].key;
		look->parsed.marks = 0;
		look->parsed.key.hash = fo__key_hash(&asked[i].key, &run->cur->secret);
		fo__find_home(run->cur, look, i);
	}
}

static void settle(struct fo__run *run, struct fo_packet *packet, unsigned int reason)
{
	(void)packet;
	if (reason != FO_R_NO_FLOW)
		bench_fail("a look-up ends with reason %u", reason);
	((struct asking *)run)->ours->missed++;
}

static __attribute__((noinline)) void tags(struct fo__run *run, struct fo__group *group)
{
	fo__find_tags(run, group, settle);
}

static void found(struct fo__run *run, struct fo__look *look, const struct fo__line *line)
{
	if (((struct asking *)run)->ours->scene->translate)
		fo__look_mirror(run, look, line);
}

static __attribute__((noinline)) void lines(struct fo__run *run, struct fo__group *group)
{
	fo__find_lines(run, group, settle, found);
}

static inline void touch(struct ours *ours, struct fo__line *line, uint32_t now_ms)
{
	fo__count_add_owned(&line->bytes, 64);
	fo__store_relaxed(&line->packets, fo__load_relaxed(&line->packets) + 1);
	fo__store_relaxed(&line->last_ms, now_ms);
	ours->found++;
}

/* NAT66: the new addresses and ports are the key of the mirror line. */
static inline void translate(struct ours *ours, const struct fo__line *mirror)
{
	ours->seen += (fo__load64(mirror->key.v6.src) ^ fo__load64(mirror->key.v6.src + 8)) +
		      (fo__load64(mirror->key.v6.dst) ^ fo__load64(mirror->key.v6.dst + 8)) + mirror->ports;
}

static __attribute__((noinline)) void act(struct fo__run *run, struct fo__group *group)
{
	struct asking *asking = (struct asking *)run;
	struct ours *ours = asking->ours;
	struct fo__line *all = ours->store->lines;

	for (uint32_t i = 0; i < group->n; i++) {
		uint32_t dir = group->looks[i].dir;

		if (ours->scene->translate)
			translate(ours, &all[dir ^ 1]);
		touch(ours, &all[dir], asking->now_ms);
	}
}

static void run(void *ctx)
{
	static const struct fo__stages stages = {expect_nothing, fill, tags, lines, act};
	struct ours *ours = ctx;
	struct asking asking = {.run = {.worker = ours->worker, .table = ours->store},
				.ours = ours,
				.now_ms = (uint32_t)ours->found};

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST) {
		fo__epoch_enter(&ours->worker->epoch, &ours->store->epoch);
		fo__find_burst(&asking.run, ours->packets + i, BENCH_BURST, &stages);
		fo__epoch_leave(&ours->worker->epoch);
	}
}

static double round_of(void *ctx)
{
	return bench_chunks(prepare, run, ctx);
}

static void warm_up(void *ctx)
{
	const struct ours *ours = ctx;

	for (uint64_t done = 0; done < 2 * (uint64_t)ours->scene->entries; done += BENCH_CHUNK) {
		prepare(ctx);
		run(ctx);
	}
}

void ours_contestant(struct ours *ours, struct contestant *contestant)
{
	*contestant = (struct contestant){"flowoffload", round_of, warm_up, ours, NULL};
}

/* ---- every entry ---- */

/* One key at a time, as control looks: another way to the same place. */
static uint32_t place_of(const struct ours *ours, const struct fo__index *index, struct fo__key *key)
{
	unsigned int at = 0;
	uint32_t dir;

	key->hash = fo__key_hash(key, &index->secret);
	while ((dir = fo__index_next(index, key->hash, &at)) != FO__NO_DIR)
		if (fo__key_is(key, &ours->store->lines[dir]))
			return dir;
	return FO__NO_DIR;
}

static void verify_chunk(struct ours *ours, uint32_t n)
{
	const struct fo__index *index = fo__load_relaxed(&ours->store->cur);
	uint32_t before[BENCH_CHUNK];
	uint64_t found = ours->found, missed = ours->missed;

	for (uint32_t i = 0; !ours->scene->missing && i < n; i++) {
		uint32_t entry = ours->scene->wanted[i];
		uint32_t dir = 2 * *slot_of(ours, entry / 2) + (entry & 1);

		if (place_of(ours, index, &ours->asked[i].key) != dir)
			bench_fail("entry %u is not at its place", entry);
		before[i] = fo__load_relaxed(&ours->store->lines[dir].packets);
	}
	run(ours);
	found = ours->found - found;
	missed = ours->missed - missed;
	if (found != (ours->scene->missing ? 0 : BENCH_CHUNK) || found + missed != BENCH_CHUNK)
		bench_fail("%u of %u keys found, %u missed", (unsigned int)found, BENCH_CHUNK,
			   (unsigned int)missed);
	for (uint32_t i = 0; !ours->scene->missing && i < n; i++) {
		uint32_t entry = ours->scene->wanted[i], more = i + 1 == n ? BENCH_CHUNK - n + 1 : 1;
		uint32_t dir = 2 * *slot_of(ours, entry / 2) + (entry & 1);

		if (fo__load_relaxed(&ours->store->lines[dir].packets) != before[i] + more)
			bench_fail("the packets of entry %u were counted elsewhere", entry);
	}
}

void ours_verify(struct ours *ours)
{
	for (uint32_t begin = 0; begin < ours->scene->entries; begin += BENCH_CHUNK) {
		uint32_t n = scene_walk(ours->scene, begin);

		make_keys(ours);
		verify_chunk(ours, n);
	}
}
