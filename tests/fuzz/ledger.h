/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.h - an allocator hook that keeps books: what is still out, and which allocation is to fail.
 *
 * Every block is entered with its size and crossed out again, so that a free() with another size, of an unknown
 * pointer or twice ends the program, and an empty ledger after fo_table_destroy() proves that nothing leaked.
 * New memory is filled with a pattern, for the hook promises no zeroes. Any thread may call it.
 * Used by the fuzzers and the stress test beside it and by tests/unit/test_alloc.c.
 */
#ifndef FUZZ_LEDGER_H
#define FUZZ_LEDGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "flowoffload.h"

struct ledger_block;

struct ledger {
	struct fo_allocator hook; /* for fo_table_options.allocator */
	pthread_mutex_t lock;
	struct ledger_block *blocks;
	size_t n_blocks; /* out at the moment */
	size_t room;
	size_t bytes;	/* out at the moment */
	size_t fail_at; /* how many more calls until one fails; 0: none */
	bool fired;
};

void ledger_init(struct ledger *ledger);
/* Gives back the books themselves; call it on an empty ledger. */
void ledger_fini(struct ledger *ledger);
/* The n-th allocation from now on fails, once. 0: none does. Resets ledger_fired(). */
void ledger_fail_at(struct ledger *ledger, size_t n);
/* Did it fail? */
bool ledger_fired(struct ledger *ledger);
size_t ledger_bytes(struct ledger *ledger);
/* Blocks out. When there are any, their sizes are printed with what. */
size_t ledger_leaks(struct ledger *ledger, const char *what);

#endif
