/* SPDX-License-Identifier: BSD-2-Clause */
/* atomics.h - the few atomic operations the flow store uses, and a 64-bit counter for machines that have none.
 *
 * C11 atomics without stand-alone fences, so that ThreadSanitizer sees every edge. On 32-bit machines a 64-bit
 * atomic would pull in libatomic and its locks; struct fo__count is two words there that overlap by one bit:
 * lo holds bits 0..31 of the value, hi holds bits 31..62. A writer stores lo first; a reader who loads hi first
 * sees by the shared bit that a carry has not arrived in hi yet.
 */
#ifndef FO_FLOWTABLE_ATOMICS_H
#define FO_FLOWTABLE_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

#define fo__load_relaxed(p)	atomic_load_explicit((p), memory_order_relaxed)
#define fo__load_acquire(p)	atomic_load_explicit((p), memory_order_acquire)
#define fo__load_seq(p)		atomic_load_explicit((p), memory_order_seq_cst)
#define fo__store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define fo__store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define fo__store_seq(p, v)	atomic_store_explicit((p), (v), memory_order_seq_cst)

#if UINTPTR_MAX > UINT32_MAX

struct fo__count {
	_Atomic uint64_t value;
};

static inline uint64_t fo__count_read(const struct fo__count *count)
{
	return fo__load_relaxed(&count->value);
}

static inline void fo__count_set(struct fo__count *count, uint64_t value)
{
	fo__store_relaxed(&count->value, value);
}

/* Add by the only thread that writes this counter. */
static inline void fo__count_add_owned(struct fo__count *count, uint32_t n)
{
	fo__store_relaxed(&count->value, fo__load_relaxed(&count->value) + n);
}

/* Add by any of several threads. */
static inline void fo__count_add_shared(struct fo__count *count, uint32_t n)
{
	atomic_fetch_add_explicit(&count->value, n, memory_order_relaxed);
}

#else

struct fo__count {
	_Atomic uint32_t lo;
	_Atomic uint32_t hi;
};

static inline uint64_t fo__count_read(const struct fo__count *count)
{
	uint32_t hi = fo__load_acquire(&count->hi);
	uint32_t lo = fo__load_relaxed(&count->lo);

	if ((lo >> 31) != (hi & 1))
		hi++;
	return (uint64_t)hi << 31 | (lo & INT32_MAX);
}

static inline void fo__count_set(struct fo__count *count, uint64_t value)
{
	fo__store_relaxed(&count->lo, (uint32_t)value);
	fo__store_release(&count->hi, (uint32_t)(value >> 31));
}

static inline void fo__count_add_owned(struct fo__count *count, uint32_t n)
{
	uint32_t lo = fo__load_relaxed(&count->lo);
	uint32_t sum = lo + n;

	fo__store_relaxed(&count->lo, sum);
	if ((lo ^ sum) >> 31)
		fo__store_release(&count->hi, fo__load_relaxed(&count->hi) + 1);
}

static inline void fo__count_add_shared(struct fo__count *count, uint32_t n)
{
	uint32_t lo = atomic_fetch_add_explicit(&count->lo, n, memory_order_relaxed);

	if ((lo ^ (lo + n)) >> 31)
		atomic_fetch_add_explicit(&count->hi, 1, memory_order_release);
}

#endif

#endif
