/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c - the flow store as a whole: opened, closed when the table and its last worker have let go. */
#include "flowtable/lists.h"

#include <errno.h>

#define FIRST_BUCKETS 256u
#define SPARE_MIN     1024u
#define SPARE_PERCENT 2u

static size_t lines_size(const struct fo_flowtable *table)
{
	return (size_t)table->slots * 2 * sizeof(struct fo__line);
}

static size_t cold_size(const struct fo_flowtable *table)
{
	return (size_t)table->slots * sizeof(struct fo__cold);
}

static size_t shared_size(const struct fo_flowtable *table)
{
	return (size_t)table->slots * sizeof(struct fo__shared);
}

static void store_free(struct fo_flowtable *table)
{
	struct fo__memory memory;

	fo__index_destroy(&table->memory, fo__load_relaxed(&table->cur));
	fo__index_destroy(&table->memory, fo__load_relaxed(&table->next));
	for (unsigned int i = 0; i < FO__DEFERRED; i++) {
		if (!table->deferred[i].ptr[0])
			continue;
		fo__free(&table->memory, table->deferred[i].ptr[0], table->deferred[i].size[0]);
		fo__free(&table->memory, table->deferred[i].ptr[1], table->deferred[i].size[1]);
	}
	fo__wraps_close(table);
	fo__twins_close(table);
	fo__sides_close(table);
	fo__free(&table->memory, table->lines, lines_size(table));
	fo__free(&table->memory, table->cold, cold_size(table));
	fo__free(&table->memory, table->shared, shared_size(table));
	fo__free(&table->memory, table->workers, table->max_workers * sizeof(*table->workers));
	memory = table->memory;
	fo__free(&memory, table, sizeof(*table));
}

static int allocate(struct fo_flowtable *table)
{
	uint32_t buckets = table->max_buckets < FIRST_BUCKETS ? table->max_buckets : FIRST_BUCKETS;

	table->lines = fo__alloc(&table->memory, lines_size(table), 128);
	table->cold = table->lines ? fo__alloc(&table->memory, cold_size(table), 64) : NULL;
	if (table->max_workers > 1)
		table->shared = fo__alloc(&table->memory, shared_size(table), 64);
	if (!table->cold || (table->max_workers > 1 && !table->shared) || fo__sides_open(table))
		return -ENOMEM;
	if (table->max_workers) {
		table->workers = fo__alloc(&table->memory, table->max_workers * sizeof(*table->workers), 64);
		if (!table->workers)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < table->max_workers; i++) {
		table->workers[i].table = table;
		table->workers[i].number = i;
	}
	fo__store_relaxed(&table->cur, fo__index_for(table, buckets));
	return fo__load_relaxed(&table->cur) ? 0 : -ENOMEM;
}

int fo__store_open(const struct fo__store_options *options, struct fo_flowtable **out)
{
	struct fo__memory memory = {.bytes = 0};
	struct fo_flowtable *table;
	uint32_t spare = options->capacity / 100 * SPARE_PERCENT;

	if (options->allocator)
		memory.hook = *options->allocator;
	table = fo__alloc(&memory, sizeof(*table), 64);
	if (!table)
		return -ENOMEM;
	table->memory = memory;
	table->capacity = options->capacity;
	table->slots = options->capacity + (spare > SPARE_MIN ? spare : SPARE_MIN);
	if (options->spare)
		table->slots = options->capacity + options->spare;
	table->max_workers = options->max_workers;
	table->hash = options->hash;
	table->max_buckets = options->capacity / 7 * 2 + 4;
	table->free = table->drain = table->ended = table->retired = FO__LIST_INIT;
	fo__store_relaxed(&table->epoch, 1);
	fo__store_relaxed(&table->refs, 1);
	if (allocate(table)) {
		store_free(table);
		return -ENOMEM;
	}
	*out = table;
	return 0;
}

void fo__store_close(struct fo_flowtable *table)
{
	if (atomic_fetch_sub(&table->refs, 1) == 1)
		store_free(table);
}
