/* SPDX-License-Identifier: BSD-2-Clause */
/* lookup.h - the reader's side of the index: tags of a bucket against one tag. index.h says what readers rely on. */
#ifndef FO_FASTPATH_LOOKUP_H
#define FO_FASTPATH_LOOKUP_H

#include "flowtable/flowtable.h"

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

#endif
