/* SPDX-License-Identifier: BSD-2-Clause */
/* peer.h - the other tables: DPDK's rte_hash with its bulk look-up, plain and lock-free for readers.
 *
 * peer_rte.c has it, compiled for the processor that Debian's DPDK asks for; peer_none.c stands in where libdpdk
 * is not installed: then peers_open() says so, and the benchmarks run without it.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer;

/* Make room for tables of about so many megabytes in all. NULL, or why there is no peer. */
const char *peers_open(unsigned int megabytes);

/* An empty table of room for n keys of length bytes, 16 or 48 (keys.h); lock_free: readers need no lock. NULL: no memory.
 * It has a power of two of places (peer_places(n)), twice as many when n keys would fill more than 0.96 of them; n a power
 * of two gets just that. Nearly full it may still refuse a key after many replacements. */
struct peer *peer_create(uint32_t n, uint32_t length, int lock_free);
void peer_destroy(struct peer *peer);
uint32_t peer_places(uint32_t n);

/* Memory of the table itself, records not included. */
size_t peer_bytes(const struct peer *peer);

/* Positions run from 0 to below this. */
uint32_t peer_positions(const struct peer *peer);

/* The position of a key newly added, or negative. */
int32_t peer_add(struct peer *peer, const void *key);
/* 0 or negative. */
int peer_del(struct peer *peer, const void *key);

/* Look up a burst of at most 32; at[i] is negative where there is none. */
void peer_find(const struct peer *peer, const void **keys, uint32_t n, int32_t *at);

#endif
