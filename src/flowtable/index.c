/* SPDX-License-Identifier: BSD-2-Clause */
/* index.c - the writer's side of the index: place, displace, remove, tidy, migrate. See index.h for what readers
 * rely on; the readers' side is lookup.h. */
#include "flowtable/index.h"
#include "flowtable/steps.h"

#include <errno.h>

static inline uint32_t meta_of(const struct fo__bucket *bucket)
{
	return fo__load_relaxed(&bucket->meta);
}

static inline void set_meta(struct fo__bucket *bucket, uint32_t meta)
{
	fo__store_release(&bucket->meta, meta);
}

static int free_slot(const struct fo__bucket *bucket)
{
	for (unsigned int i = 0; i < FO__BUCKET_SLOTS; i++)
		if (!fo__load_relaxed(&bucket->tag[i]))
			return (int)i;
	return -1;
}

static void publish(struct fo__bucket *bucket, unsigned int slot, uint16_t tag, uint32_t dir)
{
	fo__store_release(&bucket->dir[slot], dir);
	fo__step(FO__STEP_DIR);
	fo__store_release(&bucket->tag[slot], tag);
	fo__step(FO__STEP_TAG);
}

/* One entry of this home lies elsewhere: say so before it can be looked for there. */
static void note_away(struct fo__bucket *home, uint64_t hash)
{
	uint32_t meta = meta_of(home);

	if ((meta & FO__META_AWAY_ALL) != FO__META_AWAY_ALL)
		meta += FO__META_AWAY_ONE;
	set_meta(home, meta | fo__index_hint(hash));
}

/* One entry of this home is back or gone. A saturated count stays: its hints go with the next migration. */
static void note_back(struct fo__bucket *home)
{
	uint32_t meta = meta_of(home), away = meta & FO__META_AWAY_ALL;

	if (!away || away == FO__META_AWAY_ALL)
		return;
	meta -= FO__META_AWAY_ONE;
	if (!(meta & FO__META_AWAY_ALL))
		meta &= ~FO__META_HINTS;
	set_meta(home, meta);
}

static int place_home(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	struct fo__bucket *home = &index->buckets[fo__index_home(index->count, hash)];
	int slot = free_slot(home);

	if (slot < 0)
		return -ENOSPC;
	publish(home, (unsigned int)slot, fo__index_tag(hash), dir);
	return 0;
}

static int place_second(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	struct fo__bucket *second = &index->buckets[fo__index_second(index->count, hash)];
	int slot = free_slot(second);

	if (slot < 0)
		return -ENOSPC;
	note_away(&index->buckets[fo__index_home(index->count, hash)], hash);
	set_meta(second, meta_of(second) | FO__META_FOREIGN((unsigned int)slot));
	publish(second, (unsigned int)slot, fo__index_tag(hash), dir);
	return 0;
}

static void clear_slot(struct fo__index *index, struct fo__bucket *bucket, unsigned int slot, uint64_t hash)
{
	uint32_t foreign = FO__META_FOREIGN(slot);

	fo__store_release(&bucket->tag[slot], 0);
	fo__step(FO__STEP_CLEARED);
	if (meta_of(bucket) & foreign) {
		set_meta(bucket, meta_of(bucket) & ~foreign);
		note_back(&index->buckets[fo__index_home(index->count, hash)]);
	}
}

/* Try to move the entry in one slot to the other of its two buckets. */
static int move_away(struct fo__index *index, struct fo__bucket *bucket, unsigned int slot)
{
	uint32_t dir = fo__load_relaxed(&bucket->dir[slot]);
	uint64_t hash = index->rehash(index->ctx, &index->secret, dir);
	int foreign = (meta_of(bucket) & FO__META_FOREIGN(slot)) != 0;
	int err = foreign ? place_home(index, hash, dir) : place_second(index, hash, dir);

	if (err)
		return err;
	fo__step(FO__STEP_MOVED);
	clear_slot(index, bucket, slot, hash);
	index->moves++;
	return 0;
}

static int make_room(struct fo__index *index, struct fo__bucket *bucket)
{
	for (unsigned int slot = 0; slot < FO__BUCKET_SLOTS; slot++)
		if (!move_away(index, bucket, slot))
			return 0;
	return -ENOSPC;
}

int fo__index_insert(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	struct fo__bucket *home = &index->buckets[fo__index_home(index->count, hash)];
	struct fo__bucket *second = &index->buckets[fo__index_second(index->count, hash)];

	if (place_home(index, hash, dir) && place_second(index, hash, dir)) {
		if (!make_room(index, home)) {
			if (place_home(index, hash, dir))
				return -ENOSPC;
		} else if (make_room(index, second) || place_second(index, hash, dir)) {
			return -ENOSPC;
		}
	}
	index->entries++;
	return 0;
}

static int find_slot(const struct fo__bucket *bucket, uint16_t tag, uint32_t dir)
{
	for (unsigned int i = 0; i < FO__BUCKET_SLOTS; i++)
		if (fo__load_relaxed(&bucket->tag[i]) == tag && fo__load_relaxed(&bucket->dir[i]) == dir)
			return (int)i;
	return -1;
}

int fo__index_remove(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	struct fo__bucket *bucket = &index->buckets[fo__index_home(index->count, hash)];
	int slot = find_slot(bucket, fo__index_tag(hash), dir);

	if (slot < 0) {
		bucket = &index->buckets[fo__index_second(index->count, hash)];
		slot = find_slot(bucket, fo__index_tag(hash), dir);
		if (slot < 0)
			return -ENOENT;
	}
	clear_slot(index, bucket, (unsigned int)slot, hash);
	index->entries--;
	return 0;
}

static void tidy_bucket(struct fo__index *index, struct fo__bucket *bucket)
{
	if (!(meta_of(bucket) & FO__META_FOREIGN_ALL))
		return;
	for (unsigned int slot = 0; slot < FO__BUCKET_SLOTS; slot++)
		if (meta_of(bucket) & FO__META_FOREIGN(slot))
			(void)move_away(index, bucket, slot);
}

void fo__index_tidy(struct fo__index *index, unsigned int n)
{
	while (n--) {
		tidy_bucket(index, &index->buckets[index->cursor]);
		if (++index->cursor >= index->count)
			index->cursor = 0;
	}
}

static int migrate_bucket(struct fo__index *from, struct fo__index *to, struct fo__bucket *bucket)
{
	for (unsigned int slot = 0; slot < FO__BUCKET_SLOTS; slot++) {
		uint32_t dir = fo__load_relaxed(&bucket->dir[slot]);

		if (!fo__load_relaxed(&bucket->tag[slot]))
			continue;
		if (fo__index_insert(to, to->rehash(to->ctx, &to->secret, dir), dir))
			return -ENOSPC;
		fo__step(FO__STEP_MOVED);
		clear_slot(from, bucket, slot, from->rehash(from->ctx, &from->secret, dir));
		from->entries--;
	}
	return 0;
}

int fo__index_migrate(struct fo__index *from, struct fo__index *to, unsigned int n)
{
	while (n-- && from->cursor < from->count) {
		if (migrate_bucket(from, to, &from->buckets[from->cursor]))
			break;
		from->cursor++;
	}
	return from->cursor >= from->count;
}

uint32_t fo__index_next(const struct fo__index *index, uint64_t hash, unsigned int *at)
{
	uint16_t tag = fo__index_tag(hash);

	for (; *at < 2 * FO__BUCKET_SLOTS; ++*at) {
		uint32_t number = *at < FO__BUCKET_SLOTS ? fo__index_home(index->count, hash)
							 : fo__index_second(index->count, hash);
		const struct fo__bucket *bucket = &index->buckets[number];
		unsigned int slot = *at % FO__BUCKET_SLOTS;

		if (fo__load_relaxed(&bucket->tag[slot]) == tag) {
			++*at;
			return fo__load_relaxed(&bucket->dir[slot]);
		}
	}
	return FO__NO_DIR;
}

struct fo__index *fo__index_create(struct fo__memory *memory, uint32_t buckets, uint32_t kind,
				   uint64_t (*rehash)(void *, const struct fo__secret *, uint32_t), void *ctx)
{
	struct fo__index *index = fo__alloc(memory, sizeof(*index), 64);

	if (!index)
		return NULL;
	index->buckets = fo__alloc(memory, (size_t)buckets * sizeof(struct fo__bucket), 64);
	if (!index->buckets || fo__secret_draw(&index->secret, kind)) {
		index->count = buckets;
		fo__index_destroy(memory, index);
		return NULL;
	}
	index->count = buckets;
	index->rehash = rehash;
	index->ctx = ctx;
	return index;
}

void fo__index_destroy(struct fo__memory *memory, struct fo__index *index)
{
	if (!index)
		return;
	fo__free(memory, index->buckets, (size_t)index->count * sizeof(struct fo__bucket));
	fo__free(memory, index, sizeof(*index));
}
