/* SPDX-License-Identifier: BSD-2-Clause */
/* invalidate.c - which flows match, and how many are ended at once.
 *
 * By port, L3 device, MAC or adjacency alone, the sides concerned die first; by tag, prefix, scope and protocol, workers
 * are given a filter: either way their flows pass from the next burst on, however many there are. The flows themselves
 * are found by jobs, some slots with each poll. Only a match that mixes both kinds waits for its job. */
#include "core/table.h"

#include <errno.h>

#define BY_SIDE	    (FO_MATCH_PORT | FO_MATCH_L3_DEV | FO_MATCH_MAC | FO_MATCH_ADJ)
#define FIRST_SLICE 64u

static struct fo__condition condition_of(const struct fo_match *match)
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

static int matches(const struct fo_table *table, uint32_t conn, const struct fo_match *match,
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
	struct fo__condition condition = condition_of(match);

	return matches(table, conn, match, &condition);
}

/* ---- jobs ---- */

/* Can workers judge all of it? */
static int is_plain(const struct fo__job *job)
{
	return job->match.mask && !(job->match.mask & ~FO__CONDITION_MASK);
}

/* What workers are to pass on, by the jobs that are under way. */
static int publish_filter(struct fo_table *table)
{
	struct fo__condition conditions[FO__JOBS];
	uint32_t n = 0;
	int code;

	for (uint32_t i = 0; i < table->n_jobs; i++)
		if (is_plain(&table->jobs[i]))
			conditions[n++] = table->jobs[i].condition;
	code = fo__filter_publish(table->store, conditions, n);
	table->filter_stale = code != 0;
	return code;
}
_Static_assert(FO__JOBS <= FO__CONDITIONS, "a condition for each job");

/* A flow that goes because it is idle would come back if a packet was under way: not when it is meant here as well. */
static void job_look_at_ending(const struct fo_table *table, const struct fo__job *job, uint32_t conn)
{
	struct fo__cold *cold = &table->store->cold[conn];

	if (cold->life == FO__LIFE_DRAIN && cold->reason == FO_R_IDLE && job->match.mask &&
	    (int32_t)(cold->generation - job->born) <= 0 &&
	    matches(table, conn, &job->match, &job->condition))
		cold->reason = FO_R_INVALIDATED;
}

static void job_look(struct fo_table *table, const struct fo__job *job, uint32_t conn)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	if (cold->life != FO__LIFE_LIVE) {
		job_look_at_ending(table, job, conn);
	} else if (!job->match.mask) {
		(void)fo__settle(table, conn);
	} else if ((int32_t)(cold->generation - job->born) <= 0 &&
		   matches(table, conn, &job->match, &job->condition) && fo__settle(table, conn)) {
		(void)fo__end(table, conn, FO_R_INVALIDATED, NULL);
	}
}

static void job_step(struct fo_table *table, struct fo__job *job, unsigned int n)
{
	for (; n-- && job->cursor < job->limit; job->cursor++)
		job_look(table, job, job->cursor);
}

void fo__jobs_run(struct fo_table *table, unsigned int n)
{
	if (table->filter_stale)
		(void)publish_filter(table);
	if (!table->n_jobs)
		return;
	job_step(table, &table->jobs[0], n);
	if (table->jobs[0].cursor < table->jobs[0].limit)
		return;
	table->n_jobs--;
	memmove(&table->jobs[0], &table->jobs[1], table->n_jobs * sizeof(table->jobs[0]));
	/* A filter that stays for want of another one stops nobody: what it means has ended. */
	(void)publish_filter(table);
}

static void job_append(struct fo_table *table, const struct fo_match *match)
{
	struct fo__job *job = &table->jobs[table->n_jobs++];

	job->match = *match;
	job->condition = condition_of(match);
	job->born = job->condition.born = table->store->generation;
	job->cursor = 0;
	job->limit = table->store->high;
}

void fo__job_add(struct fo_table *table, const struct fo_match *match)
{
	/* No room: the oldest is finished now. */
	while (table->n_jobs == FO__JOBS)
		fo__jobs_run(table, UINT32_MAX);
	job_append(table, match);
	/* No filter to be had either, because a worker is stuck: the flows are found now. */
	if (is_plain(&table->jobs[table->n_jobs - 1]) && publish_filter(table))
		while (table->n_jobs)
			fo__jobs_run(table, UINT32_MAX);
	/* What does not stop at once, the backend is told now. */
	fo__jobs_run(table, table->caps.can & FO_CAP_WORKER || match->mask ? FIRST_SLICE : UINT32_MAX);
	fo__wake_at(table, 0);
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
