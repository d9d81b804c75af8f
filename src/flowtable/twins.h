/* SPDX-License-Identifier: BSD-2-Clause */
/* twins.h - which sides have a key in common: directions with one tuple in one scope, told apart by their ingress alone.
 *
 * A change of a side's ingress could make two such keys one. Instead of asking the index about every flow of the side,
 * control counts twins as they come and go: one struct fo__twin for each two sides that have any, in the lists of
 * both. Most tables have none, and nothing is done for them but to look at one number.
 *
 * Neighbours: connection.c tells of each connection that enters or leaves the index, or ends; core/adj.c asks. Control
 * thread only.
 */
#ifndef FO_FLOWTABLE_TWINS_H
#define FO_FLOWTABLE_TWINS_H

#include <stdint.h>

struct fo_flowtable;

struct fo__twin {
	uint32_t side[2];
	uint32_t pairs;			    /* of directions, one over each side, that have one key */
	uint32_t living;		    /* those of them whose connections are both LIVE */
	struct fo__twin *next[2], *prev[2]; /* in the list of each side */
};

/* The sides of this table that have a key in common, and memory for more of them. */
struct fo__twins {
	uint32_t known;
	uint32_t spares;
	struct fo__twin *spare;
};

/* Make sure that a connection with so many twins can enter. 0 or -ENOMEM. */
int fo__twins_reserve(struct fo_flowtable *table, uint32_t n);
/* A LIVE connection that has twins is in the index with these sides, or was and leaves it. */
void fo__twins_enter(struct fo_flowtable *table, uint32_t conn);
void fo__twins_leave(struct fo_flowtable *table, uint32_t conn);
/* A connection in the index stops being LIVE (still is), or is again. */
void fo__twins_end(struct fo_flowtable *table, uint32_t conn);
void fo__twins_revive(struct fo_flowtable *table, uint32_t conn);
/* The table goes. */
void fo__twins_close(struct fo_flowtable *table);

/* Which of a twin's two places is this side's. */
static inline unsigned int fo__twin_at(const struct fo__twin *twin, uint32_t side)
{
	return twin->side[1] == side;
}

#endif
