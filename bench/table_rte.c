/* SPDX-License-Identifier: BSD-2-Clause */
/* table_rte.c - rte_hash by bulk look-up and records beside it, by position. See tables.h and peer.h. */
#include <stdlib.h>

#include "bench.h"
#include "peer.h"
#include "tables.h"

struct table {
	struct peer *peer;
	struct touched *records;
	size_t size;
};

static void *open_kind(const struct table_room *room, int lock_free)
{
	struct table *table = malloc(sizeof(*table));

	if (!table)
		return NULL;
	table->peer = peer_create(room->places, room->key_length, lock_free);
	if (!table->peer) {
		free(table);
		return NULL;
	}
	table->size = peer_positions(table->peer) * sizeof(*table->records);
	table->records = bench_memory(table->size);
	return table;
}

static void *open_plain(const struct table_room *room)
{
	return open_kind(room, 0);
}

static void *open_lock_free(const struct table_room *room)
{
	return open_kind(room, 1);
}

static void close_table(void *ctx)
{
	struct table *table = ctx;

	peer_destroy(table->peer);
	bench_memory_free(table->records, table->size);
	free(table);
}

static int add(void *ctx, const void *key)
{
	const struct table *table = ctx;
	int32_t at = peer_add(table->peer, key);

	return at < 0 ? at : 0;
}

static int del(void *ctx, const void *key)
{
	const struct table *table = ctx;

	return peer_del(table->peer, key);
}

static uint32_t touch(void *ctx, struct table_burst *burst)
{
	struct table *table = ctx;
	int32_t at[BENCH_BURST];
	uint32_t found = 0;

	peer_find(table->peer, burst->keys, burst->n, at);
	for (uint32_t i = 0; i < burst->n; i++)
		if (at[i] >= 0)
			__builtin_prefetch(&table->records[at[i]], 1, 3);
	for (uint32_t i = 0; i < burst->n; i++)
		if (at[i] >= 0)
			found += table_touch(&table->records[at[i]], burst);
	return found;
}

static const struct touched *find(void *ctx, const void *key)
{
	const struct table *table = ctx;
	int32_t at;

	peer_find(table->peer, &key, 1, &at);
	return at < 0 ? NULL : &table->records[at];
}

static size_t bytes(const void *ctx)
{
	const struct table *table = ctx;

	return peer_bytes(table->peer) + table->size;
}

const struct table_kind table_rte = {
	"rte_hash", 0, open_plain, close_table, add, del, touch, find, bytes,
};

const struct table_kind table_rte_lf = {
	"rte_hash-lf", 0, open_lock_free, close_table, add, del, touch, find, bytes,
};
