/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.h - the two sides of the router that a replay pretends to be, read from the recorded frames.
 *
 * A capture shows one link; the replay's router sits in its middle. What the machine that spoke first sent has
 * come in by port 1 and leaves by port 2 to the machine it was addressed to, and the answers go the other way.
 * Each pair of MAC addresses with its tags and PPPoE session thus gives two adjacencies, and a forwarded frame
 * carries the L2 header that was recorded. (Where a gateway answers from another address than it is reached by, as
 * with VRRP, what is short-cut goes to the address that answers.) Used by replay_run.c and replay_flows.c.
 */
#ifndef FO_DEMO_SIDES_H
#define FO_DEMO_SIDES_H

#include <flowoffload.h>

#include "frame.h"

#define SIDES_PORT_FIRST  1u /* the side of whoever spoke first */
#define SIDES_PORT_SECOND 2u

struct sides;

/* mtu: of every adjacency. NULL: no memory. */
struct sides *sides_create(uint32_t mtu);
void sides_destroy(struct sides *sides); /* NULL is accepted */

/* The port by which this frame (14 bytes at least) has come in. */
uint32_t sides_port(struct sides *sides, const uint8_t *data);

/* Remembers how a frame of that connection came in, in direction dir. Few connections are between their first
 * packet and their offload at a time; of too many, some are forgotten. */
void sides_note(struct sides *sides, uint64_t conn, enum fo_dir dir, const uint8_t *data,
		const struct frame *frame);

/* The adjacencies of the connection that was noted last, as noted; of a direction that is not known (any more), the mirror of the other.
 * Returns 0, or the error of fo_adj_add(). */
int sides_adjacencies(struct sides *sides, struct fo_table *table, uint64_t conn, fo_adj_id adj[2],
		      struct fo_error *err);

#endif /* FO_DEMO_SIDES_H */
