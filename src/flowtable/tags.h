/* SPDX-License-Identifier: BSD-2-Clause */
/* tags.h - the tags of a bucket against one tag. Readers (src/fastpath) and the writer (index.c) look with it;
 * index.h says what readers rely on. */
#ifndef FO_FLOWTABLE_TAGS_H
#define FO_FLOWTABLE_TAGS_H

#include "flowtable/index.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FO__SCALAR_TAGS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__SSE2__)
#define FO__SCALAR_TAGS 1
#endif

#ifndef FO__SCALAR_TAGS
#include <emmintrin.h>
#endif

/* Bit i: tag i of the bucket is this one. On x86 a load is an acquire and a 16-bit lane is not torn; elsewhere, and
 * for ThreadSanitizer, tag by tag. */
static inline uint32_t fo__bucket_match(const struct fo__bucket *bucket, uint16_t tag)
{
#ifdef FO__SCALAR_TAGS
	uint32_t match = 0;

	for (unsigned int i = 0; i < FO__BUCKET_SLOTS; i++)
		match |= (uint32_t)(fo__load_acquire(&bucket->tag[i]) == tag) << i;
	return match;
#else
	const uint8_t *at = (const uint8_t *)bucket;
	__m128i want = _mm_set1_epi16((short)tag);
	__m128i low = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(const void *)at), want);
	__m128i high = _mm_cmpeq_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(at + 16)), want);

	/* The compiler must not move later loads of this bucket before these. */
	__asm__ volatile("" ::: "memory");
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & ((1u << FO__BUCKET_SLOTS) - 1);
#endif
}

/* Control: is it plain from the home bucket alone that there is no candidate? Only the writer may trust the hints so. */
static inline int fo__index_lacks(const struct fo__index *index, uint64_t hash)
{
	const struct fo__bucket *home = &index->buckets[fo__index_home(index->count, hash)];

	return !fo__bucket_match(home, fo__index_tag(hash)) &&
	       !(fo__load_relaxed(&home->meta) & fo__index_hint(hash));
}

#endif
