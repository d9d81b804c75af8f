/* SPDX-License-Identifier: BSD-2-Clause */
/* invalidate.c - which flows match, and how many are ended at once.
 *
 * By port, L3 device, MAC or adjacency alone, the sides concerned die first: from the next burst on their flows pass,
 * however many there are. The flows themselves are found by jobs, some slots with each poll. */
#include "core/table.h"

#include <errno.h>

#define BY_SIDE	    (FO_MATCH_PORT | FO_MATCH_L3_DEV | FO_MATCH_MAC | FO_MATCH_ADJ)
#define FIRST_SLICE 64u

static int prefix_has(const struct fo_match *match, const uint8_t *address)
{
	unsigned int whole = match->prefix_len / 8, rest = match->prefix_len % 8;

	if (memcmp(match->prefix, address, whole))
		return 0;
	return !rest || !((match->prefix[whole] ^ address[whole]) >> (8 - rest));
}

static int tuples_match(const struct fo_table *table, uint32_t conn, const struct fo_match *match)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo_tuple tuple;

		fo__conn_tuple(table->store, conn, (enum fo_dir)dir, &tuple);
		if ((match->mask & FO_MATCH_PROTO) && tuple.proto != match->proto)
			return 0;
		if (!(match->mask & FO_MATCH_PREFIX))
			continue;
		if (tuple.family == match->family &&
		    (prefix_has(match, tuple.src) || prefix_has(match, tuple.dst)))
			return 1;
	}
	return !(match->mask & FO_MATCH_PREFIX);
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

int fo__matches(const struct fo_table *table, uint32_t conn, const struct fo_match *match)
{
	const struct fo__cold *cold = &table->store->cold[conn];
	uint32_t sides = 0;

	if ((match->mask & FO_MATCH_TAG) && cold->tag != match->tag)
		return 0;
	if ((match->mask & FO_MATCH_SCOPE) && fo__conn_scope(table->store, conn) != match->scope)
		return 0;
	if ((match->mask & FO_MATCH_STATE) && fo__flow_state(table, conn) != match->state)
		return 0;
	if ((match->mask & (FO_MATCH_PROTO | FO_MATCH_PREFIX)) && !tuples_match(table, conn, match))
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

/* ---- jobs ---- */

static void job_step(struct fo_table *table, struct fo__job *job, unsigned int n)
{
	for (; n-- && job->cursor < job->limit; job->cursor++) {
		uint32_t conn = job->cursor;
		const struct fo__cold *cold = &table->store->cold[conn];

		if (cold->life != FO__LIFE_LIVE || !fo__settle(table, conn))
			continue;
		if (!job->match.mask || (int32_t)(cold->generation - job->born) > 0)
			continue;
		if (fo__matches(table, conn, &job->match))
			(void)fo__end(table, conn, FO_R_INVALIDATED, NULL);
	}
}

void fo__jobs_run(struct fo_table *table, unsigned int n)
{
	if (!table->n_jobs)
		return;
	job_step(table, &table->jobs[0], n);
	if (table->jobs[0].cursor < table->jobs[0].limit)
		return;
	table->n_jobs--;
	memmove(&table->jobs[0], &table->jobs[1], table->n_jobs * sizeof(table->jobs[0]));
}

void fo__job_add(struct fo_table *table, const struct fo_match *match)
{
	struct fo__job *job;

	/* No room: the oldest is finished now. */
	while (table->n_jobs == FO__JOBS)
		fo__jobs_run(table, UINT32_MAX);
	job = &table->jobs[table->n_jobs++];
	job->match = *match;
	job->born = table->store->generation;
	job->cursor = 0;
	job->limit = table->store->high;
	/* What a side's death does not stop at once, the backend is told now. */
	fo__jobs_run(table, table->caps.can & FO_CAP_WORKER || match->mask ? FIRST_SLICE : UINT32_MAX);
	fo__wake_at(table, 0);
}

int fo_invalidate(struct fo_table *table, const struct fo_match *match, struct fo_error *err)
{
	struct fo_match want;
	int code = fo__check_match(match, &want, false, err);

	if (code)
		return code;
	if (!want.mask || ((want.mask & BY_SIDE) == want.mask && !(want.mask & (want.mask - 1)))) {
		for (uint32_t i = 0; i < table->adj_high; i++) {
			struct fo__adjacency *adj = &table->adjs[i];
			fo_adj_id id = (fo_adj_id)adj->generation << 32 | i;

			if (adj->generation &&
			    (!want.mask || (side_matches(&adj->spec, id, &want) & want.mask)))
				fo__sides_kill(table->store, &adj->first_side, FO_R_INVALIDATED);
		}
		want.mask = 0; /* the job looks for dead sides */
	}
	fo__job_add(table, &want);
	return 0;
}
