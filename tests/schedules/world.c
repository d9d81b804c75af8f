/* SPDX-License-Identifier: BSD-2-Clause */
/* world.c - see world.h. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "../stress/pool.h"
#include "core/table.h"

#define ARENA_SIZE (1024u * 1024)
#define LIVES	   64u

static _Alignas(4096) uint8_t arena[ARENA_SIZE];
static size_t arena_used;

static void *arena_alloc(void *ctx, size_t size, size_t align)
{
	size_t at = (arena_used + align - 1) / align * align;

	(void)ctx;
	if (align > 4096 || size > ARENA_SIZE - at)
		return NULL;
	arena_used = at + size;
	return arena + at;
}

/* What is freed stays as it is: a schedule is short, and the next one begins with the saved block. Its bytes are
 * overwritten, so that whoever still looks at them finds nothing. */
static void arena_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	memset(ptr, 0xdd, size);
}

static const struct fo_allocator arena_hook = {arena_alloc, arena_free, NULL};

struct piece {
	void *at;
	size_t size;
	uint8_t *saved;
};

static struct piece pieces[6];
static size_t saved_used;

static void take_piece(unsigned int i, void *at, size_t size)
{
	free(pieces[i].saved);
	pieces[i] = (struct piece){at, size, malloc(size)};
	if (pieces[i].saved == NULL)
		stress_die("no memory");
	memcpy(pieces[i].saved, at, size);
}

void world_save(struct world *w)
{
	struct control *c = &w->control;
	struct stress_worker *worker = &c->workers[0];

	saved_used = arena_used;
	take_piece(0, arena, arena_used);
	take_piece(1, w, sizeof(*w));
	take_piece(2, c->oracle.flows, LIVES * sizeof(*c->oracle.flows));
	take_piece(3, c->oracle.sides, LIVES * sizeof(*c->oracle.sides));
	take_piece(4, worker->life_packets, LIVES * 2 * sizeof(*worker->life_packets));
	take_piece(5, worker->life_bytes, LIVES * 2 * sizeof(*worker->life_bytes));
}

void world_restore(struct world *w)
{
	unsigned int i;

	(void)w;
	for (i = 0; i < 6; i++)
		memcpy(pieces[i].at, pieces[i].saved, pieces[i].size);
	arena_used = saved_used;
}

void world_open(struct world *w, uint64_t seed, uint32_t buckets, uint32_t fillers)
{
	struct control *c = &w->control;
	struct fo_error err;

	memset(w, 0, sizeof(*w));
	arena_used = 0;
	c->n_workers = 1;
	c->buckets = buckets;
	c->n_fillers = fillers;
	c->allocator = &arena_hook;
	c->random = seed;
	pool_seed(seed);
	oracle_open(&c->oracle, LIVES);
	control_open(c);
	worker_open(&c->workers[0], &c->oracle, c->table, 0, seed);
	if (fo_worker_open(c->table, NULL, &w->worker, &err) != 0)
		stress_die("fo_worker_open: %s", err.text);
}

void world_close(struct world *w)
{
	unsigned int i;

	fo_worker_close(w->worker);
	pool_restore(w->control.table);
	fo_table_destroy(w->control.table);
	worker_close(&w->control.workers[0]);
	oracle_close(&w->control.oracle);
	for (i = 0; i < 6; i++) {
		free(pieces[i].saved);
		pieces[i].saved = NULL;
	}
}

static uint32_t find_in(const struct fo__index *index, uint32_t dir)
{
	uint32_t bucket, slot;

	for (bucket = 0; index != NULL && bucket < index->count; bucket++)
		for (slot = 0; slot < FO__BUCKET_SLOTS; slot++) {
			const struct fo__bucket *b = &index->buckets[bucket];

			if (fo__load_relaxed(&b->tag[slot]) != 0 && fo__load_relaxed(&b->dir[slot]) == dir)
				return fo__load_relaxed(&b->meta) & FO__META_FOREIGN(slot)
					       ? bucket | WORLD_AWAY
					       : bucket;
		}
	return UINT32_MAX;
}

uint32_t world_position(const struct world *w, uint32_t connection, unsigned int dir)
{
	const struct control *c = &w->control;
	const struct fo_flowtable *store = c->table->store;
	uint32_t number = (uint32_t)c->oracle.flows[c->life[connection]].id * 2 + dir;
	uint32_t at = find_in(fo__load_relaxed(&store->cur), number);

	if (at != UINT32_MAX)
		return at;
	at = find_in(fo__load_relaxed(&store->next), number);
	return at == UINT32_MAX ? at : at | WORLD_NEXT;
}

void world_upkeep(struct world *w)
{
	fo__upkeep(w->control.table->store);
}

bool world_migrating(const struct world *w)
{
	return fo__load_relaxed(&w->control.table->store->next) != NULL;
}
