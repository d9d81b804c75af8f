/* SPDX-License-Identifier: BSD-2-Clause */
/* invalidate.c - which flows match, and how many are ended at once.
 *
 * By port, L3 device, MAC or adjacency alone, the sides concerned die first; by tag, prefix, scope and protocol, workers
 * are given a filter: either way their flows pass from the next burst on, however many there are. The flows themselves
 * are found by jobs (jobs.c), some slots with each poll. Only a match that mixes both kinds waits for its job. */
#include "core/table.h"

#include <errno.h>

#define BY_SIDE (FO_MATCH_PORT | FO_MATCH_L3_DEV | FO_MATCH_MAC | FO_MATCH_ADJ)

struct fo__condition fo__condition_of(const struct fo_match *match)
{
	struct fo__condition condition = {.mask = match->mask & FO__CONDITION_MASK,
					  .tag = match->tag,
					  .scope = match->scope,
					  .proto = match->proto,
					  .family = match->family,
					  .prefix_len = match->prefix_len};

	memcpy(condition.prefix, match->prefix, sizeof(condition.prefix));
	return condition;
}

/* Which of the BY_SIDE bits one side fulfils. */
static uint32_t side_matches(const struct fo_adj *adj, fo_adj_id id, const struct fo_match *match)
{
	uint32_t bits = 0;

	if (id == match->adj)
		bits |= FO_MATCH_ADJ;
	if (!adj)
		return bits;
	if (adj->port == match->port)
		bits |= FO_MATCH_PORT;
	if (adj->l3_dev == match->l3_dev)
		bits |= FO_MATCH_L3_DEV;
	if (!memcmp(adj->peer_mac, match->mac, 6))
		bits |= FO_MATCH_MAC;
	return bits;
}

int fo__matches_by(const struct fo_table *table, uint32_t conn, const struct fo_match *match,
		   const struct fo__condition *condition)
{
	uint32_t sides = 0;

	if (condition->mask &&
	    !fo__condition_holds(table->store, conn, fo__conn_scope(table->store, conn), condition))
		return 0;
	if ((match->mask & FO_MATCH_STATE) && fo__flow_state(table, conn) != match->state)
		return 0;
	if (!(match->mask & BY_SIDE))
		return 1;
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t side = fo__meta_side(fo__load_relaxed(&table->store->lines[conn * 2 + dir].meta));
		const struct fo_adj *adj;
		fo_adj_id id;

		adj = fo__side_adj(table, side, &id);
		sides |= side_matches(adj, id, match);
	}
	return (sides & match->mask & BY_SIDE) == (match->mask & BY_SIDE);
}

int fo__matches(const struct fo_table *table, uint32_t conn, const struct fo_match *match)
{
	struct fo__condition condition = fo__condition_of(match);

	return fo__matches_by(table, conn, match, &condition);
}

static void kill_sides(struct fo_table *table, const struct fo_match *match)
{
	struct fo__adjacency *adj = fo__adj_find(table, match->adj);

	if (match->mask == FO_MATCH_ADJ) {
		if (adj)
			fo__sides_kill(table->store, &adj->first_side, FO_R_INVALIDATED);
		return;
	}
	for (uint32_t i = 0; i < table->adj_high; i++) {
		adj = &table->adjs[i];
		if (adj->generation && (!match->mask || (side_matches(&adj->spec, 0, match) & match->mask)))
			fo__sides_kill(table->store, &adj->first_side, FO_R_INVALIDATED);
	}
}

int fo_invalidate(struct fo_table *table, const struct fo_match *match, struct fo_error *err)
{
	struct fo_match want;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__check_match(match, &want, false, err);
	if (code)
		return code;
	if (!want.mask || ((want.mask & BY_SIDE) == want.mask && !(want.mask & (want.mask - 1)))) {
		kill_sides(table, &want);
		want.mask = 0; /* the job looks for dead sides */
	}
	fo__job_add(table, &want);
	return 0;
}
