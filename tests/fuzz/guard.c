/* SPDX-License-Identifier: BSD-2-Clause */
/* guard.c - the packet buffer of guard.h, and its copy to compare with. */
#include "guard.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define GUARD_CANARY 0xc5
#define GUARD_ROOM   (GUARD_DATA_MAX + GUARD_HEADROOM_MAX + 64u)

void guard_open(struct guard *guard)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	memset(guard, 0, sizeof(*guard));
	guard->usable = (GUARD_ROOM + page - 1) / page * page;
	guard->map_size = guard->usable + page;
	guard->map = mmap(NULL, guard->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FUZZ_CHECK(guard->map != MAP_FAILED, "mmap");
	guard->end = guard->map + guard->usable;
	FUZZ_CHECK(mprotect(guard->end, page, PROT_NONE) == 0, "mprotect");
	guard->shadow = malloc(guard->usable);
	FUZZ_CHECK(guard->shadow != NULL, "malloc");
}

void guard_close(struct guard *guard)
{
	munmap(guard->map, guard->map_size);
	free(guard->shadow);
	memset(guard, 0, sizeof(*guard));
}

void guard_place(struct guard *guard, const uint8_t *bytes, size_t contiguous, size_t headroom,
		 unsigned int align)
{
	FUZZ_CHECK(contiguous <= GUARD_DATA_MAX && headroom <= GUARD_HEADROOM_MAX, "%zu, %zu", contiguous,
		   headroom);
	guard->data = guard->end - contiguous;
	if (align != 0)
		guard->data -= ((uintptr_t)guard->data - (align - 1)) % 8;
	guard->contiguous = contiguous;
	guard->headroom = headroom;
	memset(guard->map, GUARD_CANARY, guard->usable);
	memcpy(guard->data, bytes, contiguous);
	memcpy(guard->shadow, guard->map, guard->usable);
}

int guard_untouched(const struct guard *guard)
{
	return memcmp(guard->map, guard->shadow, guard->usable) == 0;
}

int guard_untouched_but(const struct guard *guard, const uint8_t *from, const uint8_t *to)
{
	size_t a = (size_t)(from - guard->map), b = (size_t)(to - guard->map);

	return memcmp(guard->map, guard->shadow, a) == 0 &&
	       memcmp(guard->map + b, guard->shadow + b, guard->usable - b) == 0;
}
