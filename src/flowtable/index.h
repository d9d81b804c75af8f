/* SPDX-License-Identifier: BSD-2-Clause */
/* index.h - from the hash of a key to direction numbers: buckets of one cache line, read without locks.
 *
 * A bucket holds ten (16-bit tag, 32-bit direction number). An entry lies in its home bucket or, when that is full,
 * in its second; the home bucket then carries a hint bit (a 16-bit Bloom filter), so that nearly every miss
 * reads one line. The index compares tags only; whoever looks up compares the key in the line.
 *
 * One writer (control), any number of readers. What a reader relies on:
 *   - dir[i] is stored before tag[i] (release), tag[i] is loaded before dir[i] (acquire), and
 *     dir[i] itself publishes the line it names;
 *   - an entry that moves is published in its new place before it is cleared in the old one, and a hint bit is set
 *     before an entry is published in the second bucket and cleared after it has left it;
 *   - so a reader takes the hints of meta before AND after the tags (either set: look at the second bucket), and
 *     looks at the home bucket once more after a second bucket without the key.
 * A key that moves twice during one look-up is missed: that packet passes on, the next one hits.
 */
#ifndef FO_FLOWTABLE_INDEX_H
#define FO_FLOWTABLE_INDEX_H

#include "flowtable/atomics.h"
#include "flowtable/hash.h"
#include "flowtable/memory.h"
#include "flowtable/record.h"

#define FO__BUCKET_SLOTS 10u
#define FO__NO_DIR	 UINT32_MAX

struct fo__bucket {
	_Atomic uint16_t tag[FO__BUCKET_SLOTS]; /* 0: empty */
	_Atomic uint32_t dir[FO__BUCKET_SLOTS];
	_Atomic uint32_t
		meta; /* hints 16 | foreign entries in this bucket 10 | entries of this home elsewhere 6 */
};
_Static_assert(sizeof(struct fo__bucket) == 64, "a bucket is a cache line");

#define FO__META_HINTS	       0xffffu
#define FO__META_FOREIGN(slot) (0x10000u << (slot))
#define FO__META_FOREIGN_ALL   0x3ff0000u
#define FO__META_AWAY_ONE      0x4000000u
#define FO__META_AWAY_ALL      0xfc000000u

struct fo__index {
	/* what readers load for every burst, and nobody changes */
	struct fo__bucket *buckets;
	uint32_t count; /* buckets, at least 2 */
	struct fo__secret secret;
	/* control: the hash of the key of a direction number under this secret */
	uint64_t (*rehash)(void *ctx, const struct fo__secret *secret, uint32_t dir);
	void *ctx;
	const struct fo__line *lines; /* where rehash() looks, to be there before it does; NULL: unknown */
	/* control's, in a cache line of its own, which no reader has to fetch anew */
	_Alignas(64) uint32_t entries;
	uint32_t cursor;  /* next bucket to tidy or to migrate */
	uint32_t touched; /* cache lines looked at, by calls that may need many */
	uint64_t moves;	  /* entries displaced or sent home */
};

static inline uint16_t fo__index_tag(uint64_t hash)
{
	uint16_t tag = (uint16_t)hash;

	return tag ? tag : 1;
}

static inline uint32_t fo__index_home(uint32_t count, uint64_t hash)
{
	return (uint32_t)(((hash >> 32) * count) >> 32);
}

static inline uint32_t fo__index_second(uint32_t count, uint64_t hash)
{
	uint32_t mixed = (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
	uint32_t second = (uint32_t)(((uint64_t)mixed * count) >> 32);

	if (second == fo__index_home(count, hash))
		second = second + 1 < count ? second + 1 : 0;
	return second;
}

static inline uint32_t fo__index_hint(uint64_t hash)
{
	return 1u << ((hash >> 16) & 15);
}

/* NULL when memory or randomness is lacking. kind: enum fo__hash_kind. */
struct fo__index *fo__index_create(struct fo__memory *memory, uint32_t buckets, uint32_t kind,
				   uint64_t (*rehash)(void *, const struct fo__secret *, uint32_t),
				   void *ctx);
void fo__index_destroy(struct fo__memory *memory, struct fo__index *index);

/* 0, or -ENOSPC when neither bucket has room and no entry of either can be displaced. */
int fo__index_insert(struct fo__index *index, uint64_t hash, uint32_t dir);

/* 0, or -ENOENT. */
int fo__index_remove(struct fo__index *index, uint64_t hash, uint32_t dir);

/* Send displaced entries of the next n buckets home and clear hints that nothing needs. */
void fo__index_tidy(struct fo__index *index, unsigned int n);

/* Move entries of from into to until about so many cache lines were looked at; true when from is empty. An entry that
 * finds no room in to stays, and is tried again when its bucket's turn comes round. */
int fo__index_migrate(struct fo__index *from, struct fo__index *to, unsigned int lines);

/* Candidates of one hash for the control thread: call with *at = 0 first; FO__NO_DIR at the end. */
uint32_t fo__index_next(const struct fo__index *index, uint64_t hash, unsigned int *at);

#endif
