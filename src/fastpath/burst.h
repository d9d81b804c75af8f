/* SPDX-License-Identifier: BSD-2-Clause */
/* burst.h - what the stages of a burst hand on: one line of memory for each packet, and what all packets share.
 *
 * find.h and run.c have the stages; search.h and judge.h what few packets need. The bytes of a packet are in the first
 * level of the cache from the parser on, so that later stages read them again rather than carry them.
 */
#ifndef FO_FASTPATH_BURST_H
#define FO_FASTPATH_BURST_H

#include "fastpath/lookup.h"
#include "fastpath/parsed.h"

struct fo__look {
	struct fo__parsed parsed;
	union {
		const struct fo__bucket *bucket; /* to look at next, until a line is found */
		const struct fo__entry *in;	 /* then where its packets come from */
	};
	const struct fo__entry *to;
	uint32_t out; /* fo__line.out, read once: side and DSCP are of one update */
	uint32_t dir; /* FO__NO_DIR: none */
};

struct fo__run {
	struct fo_worker *worker;
	struct fo_flowtable *table;
	const struct fo__index *cur;
	const struct fo__filter *filter; /* nearly always NULL; else every packet is judged in full */
	uint32_t now_ms;
	uint32_t owner; /* this worker's mark in fo__line.ctl */
	uint32_t ids;	/* not 0: flow ids are wanted */
	uint32_t forwarded;
};

/* The entries of a line. Both sides are loaded with acquire before the view: a view that has them is seen here. */
static inline void fo__look_sides(const struct fo__run *run, struct fo__look *look,
				  const struct fo__line *line)
{
	uint32_t in = fo__meta_side(fo__load_acquire(&line->meta)), out = fo__load_acquire(&line->out);
	const struct fo__side_view *view = fo__load_acquire(&run->table->view);
	const struct fo__entry *entry = view->entry, *to;
	_Atomic uint32_t *side = view->side;

	look->out = out;
	look->in = entry + fo__load_acquire(&side[in]);
	to = entry + fo__load_acquire(&side[out >> 8]);
	look->to = to;
	__builtin_prefetch(to, 0, 3);
}

/* Does a packet with this tuple come from this side? */
static inline int fo__same_ingress(const struct fo__entry *in, const struct fo_packet *packet,
				   const struct fo__parsed *parsed)
{
	if (in->scope != packet->scope)
		return 0;
	if (in->flags & FO__ENTRY_ANY_INGRESS)
		return 1;
	return in->port == packet->in_port && in->encap == parsed->encap;
}

#endif
