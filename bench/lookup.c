/* SPDX-License-Identifier: BSD-2-Clause */
/* lookup.c - look-up alone: the library's index and records against rte_hash with records beside it, hits that touch
 * their record (packets, bytes, last seen) and misses; fresh, and after each connection was replaced eight times.
 *
 * The library's look-up is the stages of src/fastpath/run.c for hits and misses without their packet work. Keys are made
 * outside the timed part for all. n counts directions: two for a connection. The floor is what no table
 * avoids: two cache lines at random places, the second known from the first.
 */
#include <string.h>

#include "bench.h"
#include "fastpath/lookup.h"
#include "floor.h"
#include "keys.h"
#include "peer.h"

#define REPLACEMENTS 8u

static uint32_t entries;
static int v6, missing;

/* ---- what is looked up: a chunk at a time, the same for all ---- */

static struct bench_draw order;
static uint32_t wanted[BENCH_CHUNK];

/* Connections there are 0 .. entries / 2 - 1 after the last replacement; misses ask for later numbers. */
static uint32_t first_living;

static uint32_t next_entry(void)
{
	uint32_t entry = bench_below(&order, entries);

	return 2 * first_living + entry + (missing ? entries : 0);
}

/* Two passes over as many look-ups as there are entries. */
static void passes(void (*prepare)(void *), void (*run)(void *), void *ctx)
{
	for (uint64_t done = 0; done < 2 * (uint64_t)entries; done += BENCH_CHUNK) {
		prepare(ctx);
		run(ctx);
	}
}

/* ---- the library ---- */

struct library {
	struct fo_flowtable *store;
	uint32_t side[2];
	uint32_t *conn; /* slot of connection n - first_living */
	struct fo__key key[BENCH_CHUNK];
	struct fo_tuple tuple[BENCH_CHUNK];
	uint64_t found;
};

static uint32_t library_add(struct library *library, uint32_t n)
{
	struct fo_flow flow;
	struct fo__conn_spec spec = {.flow = &flow, .in = {library->side[0], library->side[1]}, .now_ms = 1};
	uint32_t conn;
	int err;

	key_flow(&flow, n, v6);
	err = fo__conn_prepare(library->store, &spec, &conn);
	if (err || fo__conn_publish(library->store, conn))
		bench_fail("the store refuses connection %u: %d", n, err);
	fo__upkeep(library->store);
	return conn;
}

static void library_open(struct library *library)
{
	struct fo__store_options options = {.capacity = entries / 2, .max_workers = 1, .hash = FO__HASH_FAST};
	struct fo_adj adj;

	memset(library, 0, sizeof(*library));
	if (fo__store_open(&options, &library->store))
		bench_fail("no memory for a store of %u", entries / 2);
	for (unsigned int end = 0; end < 2; end++) {
		uint32_t chain = FO__NO_SIDE;

		FO_INIT(&adj);
		adj.port = end + 1;
		if (fo__side_get(library->store, &chain, end + 1, &adj, 0, &library->side[end]))
			bench_fail("no memory for a side");
	}
	library->conn = bench_memory(entries / 2 * sizeof(*library->conn));
	for (uint32_t n = 0; n < entries / 2; n++)
		library->conn[n] = library_add(library, n);
	while (fo__upkeep_pending(library->store))
		fo__upkeep(library->store);
}

static void library_close(struct library *library)
{
	fo__store_close(library->store);
	bench_memory_free(library->conn, entries / 2 * sizeof(*library->conn));
}

static void library_replace(struct library *library, uint32_t old, uint32_t new)
{
	uint32_t conn = library->conn[old];

	fo__conn_close(library->store, conn, FO_R_DELETED);
	if (!fo__conn_drain(library->store, conn))
		bench_fail("nobody is in a burst, yet connection %u does not drain", old);
	fo__conn_unlink(library->store, conn);
	fo__conn_retire(library->store, conn);
	fo__upkeep(library->store);
	(void)fo__reclaim(library->store);
	library->conn[old] = library_add(library, new);
}

static void library_prepare(void *ctx)
{
	struct library *library = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t entry = next_entry();
		struct fo_flow flow;

		wanted[i] = entry;
		key_flow(&flow, entry / 2, v6);
		library->tuple[i] = flow.tuple[entry & 1];
		fo__key_of_tuple(&library->key[i], &library->tuple[i], 0);
	}
}

static uint32_t second_look(struct library *library, const struct fo__index *index, const struct fo__key *key)
{
	unsigned int at = 0;
	uint32_t dir;

	while ((dir = fo__index_next(index, key->hash, &at)) != FO__NO_DIR)
		if (fo__key_is(key, &library->store->lines[dir]))
			return dir;
	return FO__NO_DIR;
}

static void library_burst(struct library *library, struct fo__key *key)
{
	const struct fo__index *index = fo__load_acquire(&library->store->cur);
	const struct fo__bucket *bucket[BENCH_BURST], *second[BENCH_BURST];
	uint32_t dir[BENCH_BURST], away[BENCH_BURST];
	unsigned int n_away = 0;

	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		key[i].hash = fo__key_hash(&key[i], &index->secret);
		bucket[i] = &index->buckets[fo__index_home(index->count, key[i].hash)];
		__builtin_prefetch(bucket[i], 0, 3);
	}
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		uint32_t match = fo__bucket_match(bucket[i], fo__index_tag(key[i].hash));

		dir[i] = FO__NO_DIR;
		if (match) {
			dir[i] = fo__load_acquire(&bucket[i]->dir[__builtin_ctz(match)]);
			__builtin_prefetch(&library->store->lines[dir[i]], 1, 3);
		} else if (fo__load_relaxed(&bucket[i]->meta) & fo__index_hint(key[i].hash)) {
			second[n_away] = &index->buckets[fo__index_second(index->count, key[i].hash)];
			__builtin_prefetch(second[n_away], 0, 3);
			away[n_away++] = i;
		}
	}
	for (unsigned int i = 0; i < n_away; i++) {
		uint32_t match = fo__bucket_match(second[i], fo__index_tag(key[away[i]].hash));

		if (match) {
			dir[away[i]] = fo__load_acquire(&second[i]->dir[__builtin_ctz(match)]);
			__builtin_prefetch(&library->store->lines[dir[away[i]]], 1, 3);
		}
	}
	for (unsigned int i = 0; i < BENCH_BURST; i++) {
		struct fo__line *line;

		if (dir[i] == FO__NO_DIR || !fo__key_is(&key[i], &library->store->lines[dir[i]])) {
			if (dir[i] == FO__NO_DIR &&
			    !(fo__load_relaxed(&bucket[i]->meta) & fo__index_hint(key[i].hash)))
				continue;
			dir[i] = second_look(library, index, &key[i]);
			if (dir[i] == FO__NO_DIR)
				continue;
		}
		line = &library->store->lines[dir[i]];
		fo__count_add_owned(&line->bytes, 64);
		fo__store_relaxed(&line->packets, fo__load_relaxed(&line->packets) + 1);
		fo__store_relaxed(&line->last_ms, (uint32_t)library->found);
		library->found++;
	}
}

static void library_run(void *ctx)
{
	struct library *library = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		library_burst(library, library->key + i);
}

static double library_round(void *ctx)
{
	return bench_chunks(library_prepare, library_run, ctx);
}

static void library_warm_up(void *ctx)
{
	passes(library_prepare, library_run, ctx);
}

/* ---- rte_hash and records beside it ---- */

struct record {
	uint64_t bytes;
	uint32_t packets;
	uint32_t last_ms;
	uint8_t rest[48];
};

struct table {
	struct peer *peer;
	struct record *records;
	size_t size;
	uint8_t key[BENCH_CHUNK][KEY_V6];
	uint64_t found;
};

static void key_of(uint8_t *key, uint32_t entry)
{
	struct fo_flow flow;

	key_flow(&flow, entry / 2, v6);
	key_bytes(key, &flow.tuple[entry & 1]);
}

static void table_open(struct table *table, int lock_free)
{
	uint8_t key[KEY_V6];

	memset(table, 0, sizeof(*table));
	table->peer = peer_create(entries, v6 ? KEY_V6 : KEY_V4, lock_free);
	if (!table->peer)
		bench_fail("no memory for an rte_hash of %u", entries);
	table->size = peer_positions(table->peer) * sizeof(*table->records);
	table->records = bench_memory(table->size);
	for (uint32_t entry = 0; entry < entries; entry++) {
		key_of(key, entry);
		if (peer_add(table->peer, key) < 0)
			bench_fail("rte_hash refuses entry %u", entry);
	}
}

static void table_close(struct table *table)
{
	peer_destroy(table->peer);
	bench_memory_free(table->records, table->size);
}

static void table_replace(struct table *table, uint32_t old, uint32_t new)
{
	uint8_t key[KEY_V6];

	for (uint32_t dir = 0; dir < 2; dir++) {
		key_of(key, 2 * old + dir);
		if (peer_del(table->peer, key))
			bench_fail("rte_hash does not delete connection %u", old);
	}
	for (uint32_t dir = 0; dir < 2; dir++) {
		key_of(key, 2 * new + dir);
		if (peer_add(table->peer, key) < 0)
			bench_fail("rte_hash refuses connection %u", new);
	}
}

static void table_prepare(void *ctx)
{
	struct table *table = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		wanted[i] = next_entry();
		key_of(table->key[i], wanted[i]);
	}
}

static void table_run(void *ctx)
{
	struct table *table = ctx;
	const void *keys[BENCH_BURST];
	int32_t at[BENCH_BURST];

	for (unsigned int begin = 0; begin < BENCH_CHUNK; begin += BENCH_BURST) {
		for (unsigned int i = 0; i < BENCH_BURST; i++)
			keys[i] = table->key[begin + i];
		peer_find(table->peer, keys, BENCH_BURST, at);
		for (unsigned int i = 0; i < BENCH_BURST; i++)
			if (at[i] >= 0)
				__builtin_prefetch(&table->records[at[i]], 1, 3);
		for (unsigned int i = 0; i < BENCH_BURST; i++) {
			struct record *record;

			if (at[i] < 0)
				continue;
			record = &table->records[at[i]];
			record->bytes += 64;
			record->packets++;
			record->last_ms = (uint32_t)table->found;
			table->found++;
		}
	}
}

static double table_round(void *ctx)
{
	return bench_chunks(table_prepare, table_run, ctx);
}

static void table_warm_up(void *ctx)
{
	passes(table_prepare, table_run, ctx);
}

/* ---- the floor ---- */

static void floor_prepare(void *ctx)
{
	floor_draw(ctx, &order);
}

static double floor_round(void *ctx)
{
	return bench_chunks(floor_prepare, floor_run, ctx);
}

static void floor_warm_up(void *ctx)
{
	passes(floor_prepare, floor_run, ctx);
}

/* ---- cases ---- */

static struct library library;
static struct table tables[2];
static struct floor *lines;
static int with_peers;

/* All that is there is found at its place, once; what is not there is not found. */
static void verify(void)
{
	uint64_t expected = missing ? 0 : BENCH_CHUNK;

	for (unsigned int i = 0; i < 200; i++) {
		uint64_t before = library.found;

		library_prepare(&library);
		library_run(&library);
		if (library.found - before != expected)
			bench_fail("%u of %u keys found", (unsigned int)(library.found - before),
				   BENCH_CHUNK);
		for (unsigned int k = 0; !missing && k < BENCH_CHUNK; k++) {
			uint32_t conn = library.conn[wanted[k] / 2 - first_living];
			const struct fo__index *index = fo__load_relaxed(&library.store->cur);

			if (second_look(&library, index, &library.key[k]) != 2 * conn + (wanted[k] & 1))
				bench_fail("entry %u found at another's place", wanted[k]);
		}
		for (unsigned int t = 0; with_peers && t < 2; t++) {
			before = tables[t].found;
			table_prepare(&tables[t]);
			table_run(&tables[t]);
			if (tables[t].found - before != expected)
				bench_fail("rte_hash does not find what it should");
		}
	}
}

static void measure(const char *name, const struct bench_options *options)
{
	struct contestant contestants[4] = {
		{"flowoffload", library_round, library_warm_up, &library, NULL},
		{"rte_hash", table_round, table_warm_up, &tables[0], NULL},
		{"rte_hash-lf", table_round, table_warm_up, &tables[1], NULL},
	};
	unsigned int count = with_peers ? 3 : 1;
	char full[64];

	if (!missing)
		contestants[count++] =
			(struct contestant){"floor-2-lines", floor_round, floor_warm_up, lines, NULL};
	snprintf(full, sizeof(full), "%s-%s", v6 ? "v6" : "v4", name);
	if (!bench_wanted(options, full))
		return;
	if (bench_case("lookup", full, entries, options, contestants, count))
		bench_fail("no memory");
	verify();
}

/* Each place gets another connection, eight times over, in random order; n becomes n + entries / 2. */
static void churn(void)
{
	uint32_t n = entries / 2, *shuffled = bench_memory(n * sizeof(*shuffled));
	struct bench_draw draw = {.state = 3};

	for (unsigned int round = 0; round < REPLACEMENTS; round++, first_living += n) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t j = bench_below(&draw, i + 1);

			shuffled[i] = shuffled[j];
			shuffled[j] = i;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint32_t place = shuffled[i];

			library_replace(&library, place, first_living + n + place);
			for (unsigned int t = 0; with_peers && t < 2; t++)
				table_replace(&tables[t], first_living + place, first_living + n + place);
		}
	}
	bench_memory_free(shuffled, n * sizeof(*shuffled));
}

static void run_size(uint32_t size, const struct bench_options *options)
{
	entries = size;
	first_living = 0;
	library_open(&library);
	lines = floor_open(entries);
	for (int t = 0; with_peers && t < 2; t++)
		table_open(&tables[t], t);
	missing = 0;
	measure("hit", options);
	missing = 1;
	measure("miss", options);
	if (bench_wanted(options, "v4-hit-churned") || bench_wanted(options, "v4-miss-churned") || v6) {
		churn();
		missing = 0;
		measure("hit-churned", options);
		missing = 1;
		measure("miss-churned", options);
	}
	for (unsigned int t = 0; with_peers && t < 2; t++)
		table_close(&tables[t]);
	floor_close(lines);
	library_close(&library);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	const char *why;

	bench_options_read(&options, argc, argv, "1000,60000,1000000");
	why = peers_open(256 + options.largest / 2500);
	with_peers = !why;
	if (why)
		bench_note("lookup", why);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++) {
		v6 = 0;
		run_size(options.sizes[i], &options);
		/* IPv6 where it costs most: at the largest size, unless there is but one */
		v6 = 1;
		if (options.sizes[i] == options.largest)
			run_size(options.sizes[i], &options);
	}
	return 0;
}
