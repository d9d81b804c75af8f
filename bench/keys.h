/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.h - connections by number: clients behind SNAT, half TCP and half UDP, of either family. The same number gives
 * the same connection to every contestant; entry 2n + d is direction d of connection n.
 */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "flowoffload.h"

/* Fill in the two tuples of connection n; everything else of flow is zero. */
void key_flow(struct fo_flow *flow, uint32_t n, int v6);

/* The keys that a table of plain bytes uses, padding zero: addresses, ports, protocol. Lengths that rte_hash compares
 * inline; of 48 bytes each lies in one cache line of its key store (of 40, which would do, half of them in two, and
 * it is a fifth slower at a million). */
#define KEY_V4 16u
#define KEY_V6 48u
void key_bytes(uint8_t *key, const struct fo_tuple *tuple);

#endif
