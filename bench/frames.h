/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h - Ethernet frames of a connection, as they arrive and as they must leave, every byte computed from
 * the tuples and not from each other. Used by path.c; tuples come from keys.h.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include "flowoffload.h"

#define FRAME_LENGTH 64u

/* The side of the router that a frame comes from or goes to: 0 the clients', 1 the servers'. */
void frame_adj(struct fo_adj *adj, unsigned int side);

/* What arrives in this direction, 64 bytes: full checksums, TTL 64, a payload that differs by number. */
void frame_in(uint8_t *frame, const struct fo_flow *flow, unsigned int dir, uint32_t number);

/* What leaves when that one is forwarded. */
void frame_out(uint8_t *frame, const struct fo_flow *flow, unsigned int dir, uint32_t number);

#endif
