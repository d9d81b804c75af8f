/* SPDX-License-Identifier: BSD-2-Clause */
/* index.c - the writer's side of the index: place, displace, remove, tidy, migrate. See index.h for what readers
 * rely on; the readers' side is src/fastpath. */
#include "flowtable/index.h"
#include "flowtable/steps.h"
#include "flowtable/tags.h"

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
	uint32_t empty = fo__bucket_match(bucket, 0);

	return empty ? __builtin_ctz(empty) : -1;
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

static inline int place_home(struct fo__index *index, uint64_t hash, uint32_t dir)
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
	int foreign = (meta_of(bucket) & FO__META_FOREIGN(slot)) != 0, err;

	index->touched += 2; /* the line and the other bucket */
	err = foreign ? place_home(index, hash, dir) : place_second(index, hash, dir);

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

/* Not at home; and when the second bucket is full too, one entry of either moves to where it may lie as well. */
static __attribute__((noinline)) int place_away(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	index->touched++;
	if (!place_second(index, hash, dir))
		return 0;
	if (!make_room(index, &index->buckets[fo__index_home(index->count, hash)]))
		return place_home(index, hash, dir);
	if (!make_room(index, &index->buckets[fo__index_second(index->count, hash)]))
		return place_second(index, hash, dir);
	return -ENOSPC;
}

int fo__index_insert(struct fo__index *index, uint64_t hash, uint32_t dir)
{
	index->touched++;
	if (place_home(index, hash, dir) && place_away(index, hash, dir))
		return -ENOSPC;
	index->entries++;
	return 0;
}

static int find_slot(const struct fo__bucket *bucket, uint16_t tag, uint32_t dir)
{
	for (uint32_t match = fo__bucket_match(bucket, tag); match; match &= match - 1)
		if (fo__load_relaxed(&bucket->dir[__builtin_ctz(match)]) == dir)
			return __builtin_ctz(match);
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
		/* For the next call. */
		__builtin_prefetch(&index->buckets[index->cursor + n], 0, 3);
	}
}

/* The lines that say what the entries' keys are, then where they go: each is asked for before it is needed. */
static uint32_t prepare_moves(const struct fo__index *to, const struct fo__bucket *bucket, uint64_t *hash)
{
	uint32_t used = ~fo__bucket_match(bucket, 0) & ((1u << FO__BUCKET_SLOTS) - 1), left;

	for (left = used; to->lines && left; left &= left - 1)
		__builtin_prefetch(&to->lines[fo__load_relaxed(&bucket->dir[__builtin_ctz(left)])], 0, 3);
	for (left = used; left; left &= left - 1) {
		unsigned int slot = (unsigned int)__builtin_ctz(left);

		hash[slot] = to->rehash(to->ctx, &to->secret, fo__load_relaxed(&bucket->dir[slot]));
		__builtin_prefetch(&to->buckets[fo__index_home(to->count, hash[slot])], 1, 3);
	}
	return used;
}

/* What finds no room stays where it is. */
static void migrate_bucket(struct fo__index *from, struct fo__index *to, struct fo__bucket *bucket)
{
	uint64_t hash[FO__BUCKET_SLOTS];
	uint32_t left = prepare_moves(to, bucket, hash);

	for (; left; left &= left - 1) {
		unsigned int slot = (unsigned int)__builtin_ctz(left);
		uint32_t dir = fo__load_relaxed(&bucket->dir[slot]);

		to->touched++;
		if (fo__index_insert(to, hash[slot], dir))
			continue;
		fo__step(FO__STEP_MOVED);
		/* Only a displaced entry's home, another bucket, has to hear of it. */
		clear_slot(from, bucket, slot,
			   meta_of(bucket) & FO__META_FOREIGN(slot)
				   ? from->rehash(from->ctx, &from->secret, dir)
				   : 0);
		from->entries--;
	}
}

int fo__index_migrate(struct fo__index *from, struct fo__index *to, unsigned int lines)
{
	uint32_t begun = to->touched;

	for (uint32_t n = 0; from->entries && n < from->count && to->touched - begun < lines; n++) {
		to->touched++;
		migrate_bucket(from, to, &from->buckets[from->cursor]);
		if (++from->cursor >= from->count)
			from->cursor = 0;
		__builtin_prefetch(&from->buckets[from->cursor], 1, 3);
	}
	return !from->entries;
}

uint32_t fo__index_next(const struct fo__index *index, uint64_t hash, unsigned int *at)
{
	const struct fo__bucket *bucket = &index->buckets[fo__index_home(index->count, hash)];

	if (*at >= FO__BUCKET_SLOTS && !(meta_of(bucket) & fo__index_hint(hash)))
		return FO__NO_DIR;
	while (*at < 2 * FO__BUCKET_SLOTS) {
		unsigned int first = *at % FO__BUCKET_SLOTS;
		uint32_t match;

		if (*at >= FO__BUCKET_SLOTS)
			bucket = &index->buckets[fo__index_second(index->count, hash)];
		match = fo__bucket_match(bucket, fo__index_tag(hash)) >> first;
		if (match) {
			first += (unsigned int)__builtin_ctz(match);
			*at += (unsigned int)__builtin_ctz(match) + 1;
			return fo__load_relaxed(&bucket->dir[first]);
		}
		if (*at >= FO__BUCKET_SLOTS || !(meta_of(bucket) & fo__index_hint(hash)))
			break;
		*at = FO__BUCKET_SLOTS;
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
