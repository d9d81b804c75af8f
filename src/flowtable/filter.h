/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.h - which flows are not to be short-cut any more although control has not come by yet.
 *
 * An invalidation by tag, prefix, scope or protocol concerns any number of flows, and looking at all of them takes
 * milliseconds. Until that is done, workers compare each packet that they would forward with the conditions themselves:
 * from the next burst on, none of these flows is used. Without a filter that costs one load a burst.
 * A filter is immutable; control publishes another one in its place and uses it again after a grace period.
 *
 * It has room for a few conditions, so that a packet is compared with few. When more are to hold at once, two become one
 * that is wide enough for both (fo__condition_widen): a packet too many passes meanwhile, none too few. What is ended is
 * up to core's jobs, and exact.
 *
 * Neighbours: core/invalidate.c makes conditions and ends the flows, src/fastpath asks for each packet.
 */
#ifndef FO_FLOWTABLE_FILTER_H
#define FO_FLOWTABLE_FILTER_H

#include <stdint.h>

#include "flowoffload.h"

#define FO__CONDITIONS 8u

/* What a flow must have, by the bits of mask: FO_MATCH_TAG, FO_MATCH_SCOPE, FO_MATCH_PROTO, FO_MATCH_PREFIX; or, of a
 * widened one, one of several tags. Without any it is every flow. */
#define FO__CONDITION_MASK (FO_MATCH_TAG | FO_MATCH_SCOPE | FO_MATCH_PROTO | FO_MATCH_PREFIX)
#define FO__CONDITION_TAGS (UINT32_C(1) << 31)
struct fo__condition {
	uint32_t mask;
	uint32_t tag;
	uint32_t born; /* flows added later are not meant */
	uint16_t scope;
	uint8_t proto;
	uint8_t family;
	uint8_t prefix[16];
	uint8_t prefix_len;
	uint32_t tags[8]; /* FO__CONDITION_TAGS: a bit for each tag's hash */
};

struct fo__filter {
	uint32_t n;
	struct fo__condition condition[FO__CONDITIONS];
	/* control */
	uint32_t stamp;
	uint32_t waits; /* for the grace period of stamp */
};

struct fo_flowtable;

/* Does a connection, in this scope, fulfil all but born? Thread: control, and workers within a burst. */
int fo__condition_holds(const struct fo_flowtable *table, uint32_t conn, uint16_t scope,
			const struct fo__condition *condition);

/* Make a condition hold for every flow that another one holds for, too; as little else as can be. */
void fo__condition_widen(struct fo__condition *condition, const struct fo__condition *other);

/* Is it meant by one of the filter's conditions? Thread: workers within a burst. */
int fo__filter_hits(const struct fo_flowtable *table, const struct fo__filter *filter, uint32_t conn,
		    uint16_t scope);

/* Publish these conditions, none: no filter. 0, or -EAGAIN: a worker has been looking at all others for too long. */
int fo__filter_publish(struct fo_flowtable *table, const struct fo__condition *conditions, uint32_t n);

/* Add a condition to conditions, whose room is FO__CONDITIONS: as one more, or within the one that it widens least. */
void fo__filter_gather(struct fo__condition *conditions, uint32_t *n, const struct fo__condition *condition);

/* Publish what is in force and one condition more. 0 or -EAGAIN. */
int fo__filter_add(struct fo_flowtable *table, const struct fo__condition *condition);

#endif
