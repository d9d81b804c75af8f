/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.c - see pool.h. */
#include "pool.h"

#include <sys/types.h>

#include "core/table.h"
#include "oracle.h"

static uint32_t slots_taken;
static uint64_t drawn;

ssize_t __wrap_getrandom(void *out, size_t size, unsigned int flags);

ssize_t __wrap_getrandom(void *out, size_t size, unsigned int flags)
{
	uint8_t *at = out;
	size_t i;

	(void)flags;
	for (i = 0; i < size; i++)
		at[i] = (uint8_t)stress_random(&drawn);
	return (ssize_t)size;
}

void pool_seed(uint64_t seed)
{
	drawn = seed;
}

void pool_shrink(struct fo_table *table, uint32_t buckets)
{
	struct fo_flowtable *store = table->store;
	struct fo__index *index = fo__index_for(store, buckets);

	if (index == NULL || store->high != 0)
		stress_die("the pool cannot be made smaller");
	slots_taken = store->slots;
	store->slots = store->capacity;
	store->max_buckets = buckets;
	fo__index_destroy(&store->memory, fo__load_relaxed(&store->cur));
	fo__store_release(&store->cur, index);
}

void pool_restore(struct fo_table *table)
{
	if (slots_taken != 0)
		table->store->slots = slots_taken;
	slots_taken = 0;
}

void pool_rotate(struct fo_table *table)
{
	fo__rotate(table->store);
}
