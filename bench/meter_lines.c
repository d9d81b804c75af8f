/* SPDX-License-Identifier: BSD-2-Clause */
/* meter_lines.c - how many different cache lines a call touches: exactly, and the same on every machine.
 *
 * The library is compiled with -fsanitize=thread, which makes the compiler report every load and store of memory and every
 * atomic operation by a call. The functions that it calls are here, instead of a sanitizer; the library's calls of
 * memcpy and its like are renamed to the functions below, since the compiler would open-code them unreported. The stack,
 * where the caller's structs are, is not counted; memory that the system clears or maps is not either.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench.h"
#include "meter.h"

#define LINE 64u
/* More lines than any call should touch; a power of two. */
#define PLACES (1u << 22)

const char *const meter_bench = "lines";
const char *const meter_unit = "lines";

struct place {
	uintptr_t line;
	uint64_t call;
};

static struct place *places;
static uintptr_t stack_low, stack_high;
static uint64_t call;
static uint32_t count;
static int on;

static void note(uintptr_t line)
{
	uint32_t at = (uint32_t)((line * UINT64_C(0x9e3779b97f4a7c15)) >> 42);

	while (places[at].call == call && places[at].line != line)
		at = (at + 1) % PLACES;
	if (places[at].call == call)
		return;
	places[at] = (struct place){line, call};
	if (++count > PLACES / 2)
		bench_fail("a call touches more than %u cache lines", PLACES / 2);
}

static void touch(const volatile void *ptr, size_t size)
{
	uintptr_t first = (uintptr_t)ptr / LINE, last = ((uintptr_t)ptr + (size ? size - 1 : 0)) / LINE;

	if (!on || !size || ((uintptr_t)ptr >= stack_low && (uintptr_t)ptr < stack_high))
		return;
	for (uintptr_t line = first; line <= last; line++)
		note(line);
}

static void find_stack(void)
{
	pthread_attr_t attr;
	size_t size;
	void *low;

	if (pthread_getattr_np(pthread_self(), &attr) || pthread_attr_getstack(&attr, &low, &size))
		bench_fail("the stack cannot be found");
	(void)pthread_attr_destroy(&attr);
	stack_low = (uintptr_t)low;
	stack_high = stack_low + size;
}

void meter_begin(void)
{
	if (!places) {
		places = bench_memory(PLACES * sizeof(*places));
		find_stack();
	}
	call++;
	count = 0;
	on = 1;
}

double meter_end(void)
{
	on = 0;
	return count;
}

/* ---- memory moved by functions ---- */

void *meter_memcpy(void *to, const void *from, size_t size);
void *meter_memmove(void *to, const void *from, size_t size);
void *meter_memset(void *to, int byte, size_t size);
int meter_memcmp(const void *a, const void *b, size_t size);

void *meter_memcpy(void *to, const void *from, size_t size)
{
	touch(to, size);
	touch(from, size);
	return memcpy(to, from, size);
}

void *meter_memmove(void *to, const void *from, size_t size)
{
	touch(to, size);
	touch(from, size);
	return memmove(to, from, size);
}

void *meter_memset(void *to, int byte, size_t size)
{
	touch(to, size);
	return memset(to, byte, size);
}

int meter_memcmp(const void *a, const void *b, size_t size)
{
	touch(a, size);
	touch(b, size);
	return memcmp(a, b, size);
}

/* ---- what the compiler calls: names and types are its own ---- */

#define EXPORT(type, name, ...)                                                                              \
	type name(__VA_ARGS__);                                                                              \
	type name(__VA_ARGS__)

EXPORT(void, __tsan_init, void)
{
}

EXPORT(void, __tsan_func_entry, void *caller)
{
	(void)caller;
}

EXPORT(void, __tsan_func_exit, void)
{
}

EXPORT(void *, __tsan_memcpy, void *to, const void *from, size_t size)
{
	return meter_memcpy(to, from, size);
}

EXPORT(void *, __tsan_memmove, void *to, const void *from, size_t size)
{
	return meter_memmove(to, from, size);
}

EXPORT(void *, __tsan_memset, void *to, int byte, size_t size)
{
	return meter_memset(to, byte, size);
}

EXPORT(void, __tsan_read_range, void *ptr, size_t size)
{
	touch(ptr, size);
}

EXPORT(void, __tsan_write_range, void *ptr, size_t size)
{
	touch(ptr, size);
}

#define ACCESS(size)                                                                                         \
	EXPORT(void, __tsan_read##size, void *ptr)                                                           \
	{                                                                                                    \
		touch(ptr, size);                                                                            \
	}                                                                                                    \
	EXPORT(void, __tsan_write##size, void *ptr)                                                          \
	{                                                                                                    \
		touch(ptr, size);                                                                            \
	}                                                                                                    \
	EXPORT(void, __tsan_unaligned_read##size, void *ptr)                                                 \
	{                                                                                                    \
		touch(ptr, size);                                                                            \
	}                                                                                                    \
	EXPORT(void, __tsan_unaligned_write##size, void *ptr)                                                \
	{                                                                                                    \
		touch(ptr, size);                                                                            \
	}

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

#define CHANGE(bits, name)                                                                                   \
	EXPORT(uint##bits##_t, __tsan_atomic##bits##_##name, volatile uint##bits##_t *ptr,                   \
	       uint##bits##_t value, int order)                                                              \
	{                                                                                                    \
		(void)order;                                                                                 \
		touch(ptr, bits / 8);                                                                        \
		return __atomic_##name(ptr, value, __ATOMIC_SEQ_CST);                                        \
	}

#define EXCHANGE(bits, kind)                                                                                 \
	EXPORT(int, __tsan_atomic##bits##_compare_exchange_##kind, volatile uint##bits##_t *ptr,             \
	       uint##bits##_t *expected, uint##bits##_t value, int order, int failed)                        \
	{                                                                                                    \
		(void)order;                                                                                 \
		(void)failed;                                                                                \
		touch(ptr, bits / 8);                                                                        \
		return __atomic_compare_exchange_n(ptr, expected, value, 0, __ATOMIC_SEQ_CST,                \
						   __ATOMIC_SEQ_CST);                                        \
	}

/* What clang calls for both. */
#define EXCHANGE_VALUE(bits)                                                                                 \
	EXPORT(uint##bits##_t, __tsan_atomic##bits##_compare_exchange_val, volatile uint##bits##_t *ptr,     \
	       uint##bits##_t expected, uint##bits##_t value, int order, int failed)                         \
	{                                                                                                    \
		(void)order;                                                                                 \
		(void)failed;                                                                                \
		touch(ptr, bits / 8);                                                                        \
		(void)__atomic_compare_exchange_n(ptr, &expected, value, 0, __ATOMIC_SEQ_CST,                \
						  __ATOMIC_SEQ_CST);                                         \
		return expected;                                                                             \
	}

#define ATOMIC(bits)                                                                                         \
	EXPORT(uint##bits##_t, __tsan_atomic##bits##_load, const volatile uint##bits##_t *ptr, int order)    \
	{                                                                                                    \
		(void)order;                                                                                 \
		touch(ptr, bits / 8);                                                                        \
		return __atomic_load_n(ptr, __ATOMIC_SEQ_CST);                                               \
	}                                                                                                    \
	EXPORT(void, __tsan_atomic##bits##_store, volatile uint##bits##_t *ptr, uint##bits##_t value,        \
	       int order)                                                                                    \
	{                                                                                                    \
		(void)order;                                                                                 \
		touch(ptr, bits / 8);                                                                        \
		__atomic_store_n(ptr, value, __ATOMIC_SEQ_CST);                                              \
	}                                                                                                    \
	EXPORT(uint##bits##_t, __tsan_atomic##bits##_exchange, volatile uint##bits##_t *ptr,                 \
	       uint##bits##_t value, int order)                                                              \
	{                                                                                                    \
		(void)order;                                                                                 \
		touch(ptr, bits / 8);                                                                        \
		return __atomic_exchange_n(ptr, value, __ATOMIC_SEQ_CST);                                    \
	}                                                                                                    \
	CHANGE(bits, fetch_add)                                                                              \
	CHANGE(bits, fetch_sub)                                                                              \
	CHANGE(bits, fetch_or)                                                                               \
	CHANGE(bits, fetch_and)                                                                              \
	CHANGE(bits, fetch_xor)                                                                              \
	EXCHANGE(bits, strong)                                                                               \
	EXCHANGE(bits, weak)                                                                                 \
	EXCHANGE_VALUE(bits)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

EXPORT(void, __tsan_atomic_thread_fence, int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
