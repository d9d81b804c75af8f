/* SPDX-License-Identifier: BSD-2-Clause */
/* table_ck.c - Concurrency Kit's hash set of objects, one writer and many readers, for many deletions. See tables.h.
 * The object is key and record; tombstones are collected as its manual advises. */
#include <string.h>

#include <ck_hs.h>

#include "bench.h"
#include "tables.h"

#define KEY_MAX 48u

struct node {
	uint8_t key[KEY_MAX]; /* first: a key to look for stands for an object */
	struct touched record;
} __attribute__((aligned(64)));

struct table {
	ck_hs_t set;
	struct node *nodes;
	uint32_t *free; /* a stack of node numbers */
	uint32_t n_free;
	uint32_t places;
	uint32_t key_length;
	uint32_t deleted; /* since tombstones were collected */
};

static size_t set_bytes;

static void *set_alloc(size_t size)
{
	set_bytes += size;
	return bench_memory(size);
}

static void set_free(void *ptr, size_t size, bool defer)
{
	(void)defer; /* nobody else reads */
	set_bytes -= size;
	bench_memory_free(ptr, size);
}

static struct ck_malloc set_memory = {.malloc = set_alloc, .free = set_free};

static unsigned long hash_short(const void *key, unsigned long seed)
{
	return table_hash(key, 16) ^ seed;
}

static unsigned long hash_long(const void *key, unsigned long seed)
{
	return table_hash(key, KEY_MAX) ^ seed;
}

static bool same_short(const void *a, const void *b)
{
	return !memcmp(a, b, 16);
}

static bool same_long(const void *a, const void *b)
{
	return !memcmp(a, b, KEY_MAX);
}

static void *open_table(const struct table_room *room)
{
	struct table *table = bench_memory(sizeof(*table));
	int longer = room->key_length > 16;

	table->places = room->places;
	table->key_length = room->key_length;
	if (!ck_hs_init(&table->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT | CK_HS_MODE_DELETE,
			longer ? hash_long : hash_short, longer ? same_long : same_short, &set_memory,
			room->places, 1))
		return NULL;
	table->nodes = bench_memory(table->places * sizeof(*table->nodes));
	table->free = bench_memory(table->places * sizeof(*table->free));
	while (table->n_free < table->places) {
		table->free[table->n_free] = table->n_free;
		table->n_free++;
	}
	return table;
}

static void close_table(void *ctx)
{
	struct table *table = ctx;

	ck_hs_destroy(&table->set);
	bench_memory_free(table->nodes, table->places * sizeof(*table->nodes));
	bench_memory_free(table->free, table->places * sizeof(*table->free));
	bench_memory_free(table, sizeof(*table));
}

static unsigned long hash_of(const struct table *table, const void *key)
{
	return table->set.hf(key, table->set.seed);
}

static int add(void *ctx, const void *key)
{
	struct table *table = ctx;
	struct node *node;

	if (!table->n_free)
		return -1;
	node = &table->nodes[table->free[--table->n_free]];
	memset(node, 0, sizeof(*node));
	memcpy(node->key, key, table->key_length);
	return ck_hs_put_unique(&table->set, hash_of(table, key), node) ? 0 : -1;
}

static int del(void *ctx, const void *key)
{
	struct table *table = ctx;
	struct node *node = ck_hs_remove(&table->set, hash_of(table, key), key);

	if (!node)
		return -1;
	table->free[table->n_free++] = (uint32_t)(node - table->nodes);
	if (++table->deleted < table->places / 2)
		return 0;
	table->deleted = 0;
	return ck_hs_gc(&table->set, 0, 1) ? 0 : -1;
}

static uint32_t touch(void *ctx, struct table_burst *burst)
{
	struct table *table = ctx;
	uint32_t found = 0;

	for (uint32_t i = 0; i < burst->n; i++) {
		struct node *node = ck_hs_get(&table->set, hash_of(table, burst->keys[i]), burst->keys[i]);

		if (node)
			found += table_touch(&node->record, burst);
	}
	return found;
}

static const struct touched *find(void *ctx, const void *key)
{
	struct table *table = ctx;
	const struct node *node = ck_hs_get(&table->set, hash_of(table, key), key);

	return node ? &node->record : NULL;
}

static size_t bytes(const void *ctx)
{
	const struct table *table = ctx;

	return set_bytes + table->places * (sizeof(*table->nodes) + sizeof(*table->free));
}

const struct table_kind table_ck = {
	"ck_hs", 1, open_table, close_table, add, del, touch, find, bytes,
};
