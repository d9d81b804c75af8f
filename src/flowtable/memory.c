/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - the allocator hook, and mmap behind it. See memory.h. */
#include "flowtable/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
/* From here on a block is a mapping of its own: the system clears it, so that no call touches all of it. */
#define MAP_FROM ((size_t)16 << 10)

static void *map_block(size_t size)
{
	size_t room = size >= HUGE_PAGE ? size + HUGE_PAGE : size;
	uint8_t *base =
		mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *start;

	if (base == MAP_FAILED)
		return NULL;
	start = base;
	if (room != size) {
		/* Huge pages need the start on their boundary; what is left on both sides goes back. */
		size_t page = 4096, head = (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
		size_t end = head + (size + page - 1) / page * page;

		start = base + head;
		if (head)
			munmap(base, head);
		if (room > end)
			munmap(base + end, room - end);
		(void)madvise(start, size, MADV_HUGEPAGE);
	}
	(void)madvise(start, size, MADV_DONTFORK);
	return start;
}

static void *system_alloc(size_t size, size_t align)
{
	void *ptr = NULL;

	if (size >= MAP_FROM)
		return map_block(size);
	if (posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size))
		return NULL;
	memset(ptr, 0, size);
	return ptr;
}

void *fo__alloc(struct fo__memory *memory, size_t size, size_t align)
{
	void *ptr;

	if (memory->hook.alloc) {
		ptr = memory->hook.alloc(memory->hook.ctx, size, align);
		if (ptr)
			memset(ptr, 0, size);
	} else {
		ptr = system_alloc(size, align);
	}
	if (ptr)
		memory->bytes += size;
	return ptr;
}

void fo__free(struct fo__memory *memory, void *ptr, size_t size)
{
	if (!ptr)
		return;
	memory->bytes -= size;
	if (memory->hook.alloc)
		memory->hook.free(memory->hook.ctx, ptr, size);
	else if (size >= MAP_FROM)
		munmap(ptr, size);
	else
		free(ptr);
}
