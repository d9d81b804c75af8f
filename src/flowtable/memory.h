/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h - where the flow store's memory comes from: the caller's allocator hook, or the system.
 *
 * Large blocks of the system come from mmap: address space for the maximum is reserved at once and pages appear
 * when they are first touched; huge pages where they can be had; not copied by fork, so that a fork in a firmware
 * daemon does not stall the packet path with page copies.
 */
#ifndef FO_FLOWTABLE_MEMORY_H
#define FO_FLOWTABLE_MEMORY_H

#include "flowoffload.h"

struct fo__memory {
	struct fo_allocator hook; /* hook.alloc is NULL: the system */
	uint64_t bytes;		  /* in use, as asked for */
};

/* Aligned to align (a power of two), zeroed; NULL when there is none. size 0 is not allowed. */
void *fo__alloc(struct fo__memory *memory, size_t size, size_t align);

/* Accepts NULL. size and align as given to fo__alloc(). */
void fo__free(struct fo__memory *memory, void *ptr, size_t size);

#endif
