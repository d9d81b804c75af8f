/* SPDX-License-Identifier: BSD-2-Clause */
/* scene.h - the fixed router that the packet fuzzer plays with: seven sides, thirteen connections.
 *
 * Every encapsulation and every kind of NAT that a packet can meet occurs, on both families. The same description
 * goes into a table and into the reference model (tests/conformance/model.h).
 */
#ifndef FUZZ_SCENE_H
#define FUZZ_SCENE_H

#include "../conformance/model.h"
#include "flowoffload.h"

#define SCENE_ADJS  7u
#define SCENE_FLOWS 13u
#define SCENE_PORTS 6u /* 1 .. 6 */

struct scene {
	struct fo_table *table;
	fo_adj_id adj_ids[SCENE_ADJS];
	fo_flow_id flow_ids[SCENE_FLOWS];
	struct model_flow flows[SCENE_FLOWS];
	struct model model;
};

/* The i-th side. */
void scene_adj(unsigned int i, struct fo_adj *adj);
/* The i-th connection, and the numbers of its sides. flow->adj[] is left zero. */
void scene_flow(unsigned int i, struct fo_flow *flow, unsigned int sides[2]);

/* Open a table with all of it on backend soft, on the hook and the clock given. Aborts when refused. */
void scene_open(struct scene *scene, const struct fo_allocator *hook, uint64_t (*clock_ms)(void *),
		void *clock_ctx);

#endif
