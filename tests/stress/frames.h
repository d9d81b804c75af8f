/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h - what the connections of the stress test look like, as flows, sides and frames.
 *
 * The near side is fixed; the far side's generation g has the peer's MAC 06:g and, when g is odd, a VLAN tag. Life n
 * of connection c translates the originator to the address 100.(n) or, IPv6, to one that ends in n, and writes a DSCP
 * with the last bits of n and the number of its marking. Frames are built
 * whole by tests/conformance/packet.c; what must leave is built in the same way, never rewritten.
 */
#ifndef STRESS_FRAMES_H
#define STRESS_FRAMES_H

#include "../conformance/packet.h"
#include "oracle.h"

#define NEAR_PORT 1u
#define FAR_PORT  2u
#define FRAME_MAX 256u

void frames_near(struct fo_adj *adj);
void frames_far(uint32_t generation, struct fo_adj *adj);
/* With its first marking. */
void frames_flow(uint32_t connection, uint32_t life, struct fo_flow *flow);
void frames_mark(uint32_t life, uint32_t marking, struct fo_flow *flow);

struct frame {
	uint32_t length;
	uint32_t l3_bytes;
	uint8_t bytes[FRAME_MAX];
};

/* The frame that arrives in this direction ... */
void frames_arriving(const struct fo_flow *flow, unsigned int dir, uint32_t far_generation, uint32_t payload,
		     uint8_t tcp_flags, struct frame *out);
/* ... and how it leaves. */
void frames_leaving(const struct fo_flow *flow, unsigned int dir, uint32_t far_generation, uint32_t payload,
		    uint8_t tcp_flags, struct frame *out);

/* Which life of connection, which generation of the far side, which marking of a life made this forwarded frame?
 * UINT32_MAX: none that could. The near side shows no generation, and of the life only what its marking shows. */
uint32_t frames_read_life(const uint8_t *frame, uint32_t length, uint32_t connection);
uint32_t frames_read_marking(const uint8_t *frame, uint32_t length, uint32_t connection, uint32_t life);
uint32_t frames_read_far(const uint8_t *frame, uint32_t length);

#endif
