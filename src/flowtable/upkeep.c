/* SPDX-License-Identifier: BSD-2-Clause */
/* upkeep.c - growth, rotation and tidying of the index, a little with each control operation.
 *
 * Growth and a change of secret are one thing: a second index is published as `next`, new keys go there, and each
 * operation moves the keys of a few buckets; when the first is empty, the second takes its place. Readers look in
 * `cur`, then in `next`. Why no key is missed: docs/CONCURRENCY.md. */
#include "flowtable/flowtable.h"
#include "flowtable/steps.h"

/* Cache lines per operation: with the bucket at which the count is reached, far within the bound of 512. */
#define MIGRATE_LINES 64u
#define TIDY_BUCKETS  2u
/* Entries per bucket at which the index grows: 0.70 of ten. */
#define GROW_AT 7u
/* So few keys move on the way to the full size; the last step is a large one, so that it is not the half of them. */
#define GROW_BY	     4u
#define GROW_LAST_BY (3u * GROW_BY)

static uint64_t rehash(void *ctx, const struct fo__secret *secret, uint32_t dir)
{
	const struct fo_flowtable *table = ctx;
	struct fo__key key;

	fo__key_of_line(&key, &table->lines[dir], fo__conn_scope(table, dir >> 1));
	return fo__key_hash(&key, secret);
}

struct fo__index *fo__index_for(struct fo_flowtable *table, uint32_t buckets)
{
	struct fo__index *index = fo__index_create(&table->memory, buckets, table->hash, rehash, table);

	if (index)
		index->lines = table->lines;
	return index;
}

static int wants_growth(const struct fo_flowtable *table, const struct fo__index *cur)
{
	return cur->count < table->max_buckets && cur->entries / GROW_AT >= cur->count;
}

/* Fails without harm: it is tried again with the next operation. */
static void begin(struct fo_flowtable *table, struct fo__index *cur)
{
	uint32_t count = cur->count;
	struct fo__index *next;

	/* What the last one left may wait for a poll that never comes. */
	(void)fo__deferred_free(table);
	if (!fo__defer_room(table))
		return;
	if (wants_growth(table, cur))
		count = count > table->max_buckets / GROW_LAST_BY ? table->max_buckets : count * GROW_BY;
	next = fo__index_for(table, count);
	if (!next)
		return;
	if (table->crowded)
		table->rotations++;
	table->crowded = 0;
	cur->cursor = 0;
	table->index_serial++;
	fo__store_release(&table->next, next);
}

/* Readers load next before cur: cur is replaced before next is taken back. */
static void finish(struct fo_flowtable *table, struct fo__index *cur, struct fo__index *next)
{
	table->moves += cur->moves;
	next->cursor = 0;
	table->index_serial++;
	fo__store_release(&table->cur, next);
	fo__step(FO__STEP_SWITCHED);
	fo__store_release(&table->next, NULL);
	(void)fo__defer(table, cur->buckets, (size_t)cur->count * sizeof(struct fo__bucket), cur,
			sizeof(*cur));
}

int fo__make_way(struct fo_flowtable *table)
{
	struct fo__index *cur = fo__load_relaxed(&table->cur), *next = fo__load_relaxed(&table->next);

	if (next) {
		if (fo__index_migrate(cur, next, MIGRATE_LINES) && fo__defer_room(table))
			finish(table, cur, next);
		return 1;
	}
	if (!table->crowded && !wants_growth(table, cur))
		return 0;
	begin(table, cur);
	return 1;
}

void fo__upkeep(struct fo_flowtable *table)
{
	if (!fo__make_way(table))
		fo__index_tidy(fo__load_relaxed(&table->cur), TIDY_BUCKETS);
}

int fo__upkeep_pending(const struct fo_flowtable *table)
{
	return table->crowded || fo__load_relaxed(&table->next);
}

void fo__rotate(struct fo_flowtable *table)
{
	table->crowded = 1;
}

uint32_t fo__index_entries(const struct fo_flowtable *table)
{
	const struct fo__index *next = fo__load_relaxed(&table->next);

	return fo__load_relaxed(&table->cur)->entries + (next ? next->entries : 0);
}
