/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h - a table of the public API made so small that every record and bucket is used again at once.
 *
 * fo_table_create() adds a thousand spare slots to what is asked for, so that reclaim seldom has to wait. The stress
 * test takes them away, and leaves the index a few buckets: the one place where it looks into the library. Secrets of the
 * index come from the seed, by the linker's --wrap=getrandom, so that a scheduled run can be repeated.
 */
#ifndef STRESS_POOL_H
#define STRESS_POOL_H

#include <stdint.h>

#include "flowoffload.h"

/* Before the first flow: as many records as the table was created for, none to spare. */
void pool_shrink(struct fo_table *table, uint32_t buckets);
/* Before fo_table_destroy(), which gives back as much memory as was taken. */
void pool_restore(struct fo_table *table);
/* The index takes a new secret: all its entries move. */
void pool_rotate(struct fo_table *table);
/* What the library draws from the system follows from this. */
void pool_seed(uint64_t seed);

#endif
