/* SPDX-License-Identifier: BSD-2-Clause */
/* table_lfht.c - liburcu's lock-free hash table, the record in its node, for readers in the quiescent-state flavour.
 * See tables.h. One bucket an entry, fixed, so that nothing resizes in the background. */
#include <string.h>

#include <urcu/urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include "bench.h"
#include "tables.h"

#define KEY_MAX 48u

struct node {
	struct cds_lfht_node link;
	struct touched record;
	uint8_t key[KEY_MAX];
} __attribute__((aligned(64)));

struct table {
	struct cds_lfht *lfht;
	struct node *nodes;
	uint32_t *free; /* a stack of node numbers */
	uint32_t n_free;
	uint32_t places;
	uint32_t key_length;
	uint32_t buckets;
};

static uint32_t power_above(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static void *open_table(const struct table_room *room)
{
	struct table *table = bench_memory(sizeof(*table));

	urcu_qsbr_register_thread();
	table->places = room->places;
	table->key_length = room->key_length;
	table->buckets = power_above(room->places);
	table->lfht = cds_lfht_new_flavor(table->buckets, table->buckets, table->buckets, 0,
					  &urcu_qsbr_flavor, NULL);
	if (!table->lfht)
		return NULL;
	table->nodes = bench_memory(table->places * sizeof(*table->nodes));
	table->free = bench_memory(table->places * sizeof(*table->free));
	while (table->n_free < table->places) {
		table->free[table->n_free] = table->n_free;
		table->n_free++;
	}
	return table;
}

static int matches(struct cds_lfht_node *link, const void *key)
{
	const struct node *node = caa_container_of(link, struct node, link);
	const uint64_t *a = (const void *)node->key, *b = key;

	/* of either length the rest is zero or the same words: sixteen bytes, then the others */
	return a[0] == b[0] && a[1] == b[1];
}

static int matches_long(struct cds_lfht_node *link, const void *key)
{
	const struct node *node = caa_container_of(link, struct node, link);

	return !memcmp(node->key, key, KEY_MAX);
}

static struct node *look_up(const struct table *table, const void *key)
{
	struct cds_lfht_iter at;
	struct cds_lfht_node *link;

	cds_lfht_lookup(table->lfht, table_hash(key, table->key_length),
			table->key_length == KEY_MAX ? matches_long : matches, key, &at);
	link = cds_lfht_iter_get_node(&at);
	return link ? caa_container_of(link, struct node, link) : NULL;
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
	urcu_qsbr_read_lock();
	cds_lfht_add(table->lfht, table_hash(key, table->key_length), &node->link);
	urcu_qsbr_read_unlock();
	return 0;
}

/* This thread is the only reader and between look-ups: the node can be used again at once. */
static int del(void *ctx, const void *key)
{
	struct table *table = ctx;
	struct node *node;
	int err;

	urcu_qsbr_read_lock();
	node = look_up(table, key);
	err = node ? cds_lfht_del(table->lfht, &node->link) : -1;
	urcu_qsbr_read_unlock();
	if (!err)
		table->free[table->n_free++] = (uint32_t)(node - table->nodes);
	return err;
}

static uint32_t touch(void *ctx, struct table_burst *burst)
{
	const struct table *table = ctx;
	uint32_t found = 0;

	urcu_qsbr_read_lock();
	for (uint32_t i = 0; i < burst->n; i++) {
		struct node *node = look_up(table, burst->keys[i]);

		if (node)
			found += table_touch(&node->record, burst);
	}
	urcu_qsbr_read_unlock();
	urcu_qsbr_quiescent_state();
	return found;
}

static const struct touched *find(void *ctx, const void *key)
{
	const struct node *node = look_up(ctx, key);

	return node ? &node->record : NULL;
}

static size_t bytes(const void *ctx)
{
	const struct table *table = ctx;

	return table->places * (sizeof(*table->nodes) + sizeof(*table->free)) +
	       table->buckets * sizeof(struct cds_lfht_node);
}

static int empty(struct table *table)
{
	struct cds_lfht_iter at;
	struct cds_lfht_node *link;

	urcu_qsbr_read_lock();
	cds_lfht_for_each(table->lfht, &at, link) if (cds_lfht_del(table->lfht, link)) return -1;
	urcu_qsbr_read_unlock();
	return 0;
}

static void close_table(void *ctx)
{
	struct table *table = ctx;

	if (empty(table) || cds_lfht_destroy(table->lfht, NULL))
		bench_fail("liburcu's table does not go");
	bench_memory_free(table->nodes, table->places * sizeof(*table->nodes));
	bench_memory_free(table->free, table->places * sizeof(*table->free));
	bench_memory_free(table, sizeof(*table));
	urcu_qsbr_unregister_thread();
}

const struct table_kind table_lfht = {
	"liburcu lfht", 1, open_table, close_table, add, del, touch, find, bytes,
};
