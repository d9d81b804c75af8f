/* SPDX-License-Identifier: BSD-2-Clause */
/* ours.c - look-ups in the library's store. See ours.h.
 *
 * The look-up is the stages of src/fastpath/run.c for hits and misses without their packet work, compiled here for the
 * baseline processor. Keys are made outside the timed part; their hash is not.
 */
#include "ours.h"

#include <string.h>

#include "fastpath/lookup.h"
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
	struct asked asked[BENCH_CHUNK];
	uint64_t found;
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
	return ours;
}

void ours_close(struct ours *ours)
{
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
	}
}

static void prepare(void *ctx)
{
	struct ours *ours = ctx;

	scene_draw(ours->scene);
	make_keys(ours);
}

static uint32_t second_look(const struct ours *ours, const struct fo__index *index, const struct fo__key *key)
{
	unsigned int at = 0;
	uint32_t dir;

	while ((dir = fo__index_next(index, key->hash, &at)) != FO__NO_DIR)
		if (fo__key_is(key, &ours->store->lines[dir]))
			return dir;
	return FO__NO_DIR;
}

/* A burst on its way through the stages. */
struct burst {
	const struct fo__index *index;
	const struct fo__bucket *bucket[BENCH_BURST];
	uint32_t dir[BENCH_BURST];
};

static inline void stage_hash(struct burst *burst, struct asked *asked)
{
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		asked[i].key.hash = fo__key_hash(&asked[i].key, &burst->index->secret);
		burst->bucket[i] =
			&burst->index->buckets[fo__index_home(burst->index->count, asked[i].key.hash)];
		__builtin_prefetch(burst->bucket[i], 0, 3);
	}
}

static inline void stage_tags(const struct ours *ours, struct burst *burst, const struct asked *asked)
{
	const struct fo__bucket *second[BENCH_BURST];
	uint32_t away[BENCH_BURST];
	unsigned int n_away = 0;

	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		const struct fo__bucket *bucket = burst->bucket[i];
		uint32_t match = fo__bucket_match(bucket, fo__index_tag(asked[i].key.hash));

		burst->dir[i] = FO__NO_DIR;
		if (match) {
			burst->dir[i] = fo__load_acquire(&bucket->dir[__builtin_ctz(match)]);
			__builtin_prefetch(&ours->store->lines[burst->dir[i]], 1, 3);
		} else if (fo__load_relaxed(&bucket->meta) & fo__index_hint(asked[i].key.hash)) {
			second[n_away] =
				&burst->index
					 ->buckets[fo__index_second(burst->index->count, asked[i].key.hash)];
			__builtin_prefetch(second[n_away], 0, 3);
			away[n_away++] = i;
		}
	}
	for (unsigned int i = 0; i < n_away; i++) {
		uint32_t match = fo__bucket_match(second[i], fo__index_tag(asked[away[i]].key.hash));

		if (match) {
			burst->dir[away[i]] = fo__load_acquire(&second[i]->dir[__builtin_ctz(match)]);
			__builtin_prefetch(&ours->store->lines[burst->dir[away[i]]], 1, 3);
		}
	}
}

/* The line of key i, or NULL. */
static inline struct fo__line *settle(const struct ours *ours, struct burst *burst, const struct asked *asked,
				      unsigned int i)
{
	struct fo__line *lines = ours->store->lines;
	uint32_t dir = burst->dir[i];

	if (__builtin_expect(dir != FO__NO_DIR && fo__key_is(&asked[i].key, &lines[dir]), 1))
		return &lines[dir];
	if (dir == FO__NO_DIR &&
	    !(fo__load_relaxed(&burst->bucket[i]->meta) & fo__index_hint(asked[i].key.hash)))
		return NULL;
	burst->dir[i] = dir = second_look(ours, burst->index, &asked[i].key);
	return dir == FO__NO_DIR ? NULL : &lines[dir];
}

static inline void touch(struct ours *ours, struct fo__line *line)
{
	fo__count_add_owned(&line->bytes, 64);
	fo__store_relaxed(&line->packets, fo__load_relaxed(&line->packets) + 1);
	fo__store_relaxed(&line->last_ms, (uint32_t)ours->found);
	ours->found++;
}

static inline void stage_touch(struct ours *ours, struct burst *burst, const struct asked *asked)
{
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		struct fo__line *line = settle(ours, burst, asked, i);

		if (line)
			touch(ours, line);
	}
}

/* NAT66: the new addresses and ports are the key of the mirror line. */
static inline void stage_translate(struct ours *ours, struct burst *burst, const struct asked *asked)
{
	struct fo__line *line[BENCH_BURST];

	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		line[i] = settle(ours, burst, asked, i);
		if (line[i])
			__builtin_prefetch(&ours->store->lines[burst->dir[i] ^ 1], 0, 3);
	}
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		const struct fo__line *mirror = &ours->store->lines[burst->dir[i] ^ 1];

		if (!line[i])
			continue;
		ours->seen += (fo__load64(mirror->key.v6.src) ^ fo__load64(mirror->key.v6.src + 8)) +
			      (fo__load64(mirror->key.v6.dst) ^ fo__load64(mirror->key.v6.dst + 8)) +
			      mirror->ports;
		touch(ours, line[i]);
	}
}

static void run(void *ctx)
{
	struct ours *ours = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST) {
		struct asked *asked = ours->asked + i;
		struct burst burst;

		burst.index = fo__load_acquire(&ours->store->cur);
		stage_hash(&burst, asked);
		stage_tags(ours, &burst, asked);
		if (ours->scene->translate)
			stage_translate(ours, &burst, asked);
		else
			stage_touch(ours, &burst, asked);
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

static void verify_chunk(struct ours *ours, uint32_t n)
{
	const struct fo__index *index = fo__load_relaxed(&ours->store->cur);
	uint32_t before[BENCH_CHUNK];
	uint64_t found = ours->found;

	for (uint32_t i = 0; !ours->scene->missing && i < n; i++) {
		uint32_t entry = ours->scene->wanted[i];
		uint32_t dir = 2 * *slot_of(ours, entry / 2) + (entry & 1);

		ours->asked[i].key.hash = fo__key_hash(&ours->asked[i].key, &index->secret);
		if (second_look(ours, index, &ours->asked[i].key) != dir)
			bench_fail("entry %u is not at its place", entry);
		before[i] = fo__load_relaxed(&ours->store->lines[dir].packets);
	}
	run(ours);
	if (ours->found - found != (ours->scene->missing ? 0 : BENCH_CHUNK))
		bench_fail("%u of %u keys found", (unsigned int)(ours->found - found), BENCH_CHUNK);
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
