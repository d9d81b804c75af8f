/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h - one table with its control side and one worker, saved at a moment and put back there as often as one likes.
 *
 * All that the library and the rules of the stress test (tests/stress: control.c, shots.c, oracle.c) remember lies in
 * one block and a few arrays; a schedule changes them, and the next one starts from the same bytes.
 */
#ifndef SCHEDULES_WORLD_H
#define SCHEDULES_WORLD_H

#include "../stress/shots.h"

struct world {
	struct control control;
	struct fo_worker *worker;
};

/* A table with sides and no flows, secrets drawn from the seed; room for some fillers. */
void world_open(struct world *w, uint64_t seed, uint32_t buckets, uint32_t fillers);
void world_close(struct world *w);
void world_save(struct world *w);
void world_restore(struct world *w);

/* Where a direction's entry lies: bucket in bits 0 to 7, 0x100 in the second index, 0x200 not at its home;
 * UINT32_MAX: nowhere. */
uint32_t world_position(const struct world *w, uint32_t connection, unsigned int dir);
#define WORLD_NEXT 0x100u
#define WORLD_AWAY 0x200u

/* One control operation's share of upkeep, and no more of it than that. */
void world_upkeep(struct world *w);
bool world_migrating(const struct world *w);

#endif
