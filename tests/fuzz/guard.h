/* SPDX-License-Identifier: BSD-2-Clause */
/* guard.h - a packet buffer that notices every byte read or written where it must not be.
 *
 * A page without access lies right behind the contiguous bytes, so that a read too far ends the program under any
 * compiler. The writable headroom lies before the data, and canaries before that (and behind the data, when an
 * alignment was asked for that keeps the data from touching the page).
 */
#ifndef FUZZ_GUARD_H
#define FUZZ_GUARD_H

#include <stddef.h>
#include <stdint.h>

#define GUARD_DATA_MAX	   4096u
#define GUARD_HEADROOM_MAX 256u

struct guard {
	uint8_t *map;
	size_t map_size;
	uint8_t *end;  /* the page without access */
	uint8_t *data; /* as placed */
	size_t contiguous;
	size_t headroom;
	uint8_t *shadow; /* what the accessible part was when placed */
	size_t usable;
};

void guard_open(struct guard *guard);
void guard_close(struct guard *guard);

/* Place bytes[0 .. contiguous) with headroom writable bytes before them. align 0: right before the page without
 * access; 1 .. 8: at an address that is align - 1 modulo 8, at most 7 canary bytes before the page. */
void guard_place(struct guard *guard, const uint8_t *bytes, size_t contiguous, size_t headroom,
		 unsigned int align);

/* Is every byte as it was placed? */
int guard_untouched(const struct guard *guard);
/* Is every byte as it was placed, outside [from, to)? Both must lie within headroom and data. */
int guard_untouched_but(const struct guard *guard, const uint8_t *from, const uint8_t *to);

#endif
