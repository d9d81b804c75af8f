/* SPDX-License-Identifier: BSD-2-Clause */
/* jobs.c - the walk that finds the flows of invalidations: one for all that are under way, round and round.
 *
 * A job is a match and the place at which the walk was when it came: once the walk is there again, all flows that the
 * match could mean have been looked at. So however many jobs there are, each slot is looked at once a round, and a call
 * that adds one does a bounded amount of work. The walk is for the oldest few of them, the others join it as those end: so
 * each slot is compared with a bounded number. Jobs end in the order in which they came.
 *
 * Neighbours: invalidate.c says which flows match and has killed sides already; flowtable/filter.h is what workers are
 * told meanwhile; poll.c gives the walk its time. */
#include "core/table.h"

#include <limits.h>

/* What the call that adds a job looks at already. */
#define FIRST_LINES 128
/* Jobs that the walk is for at once. */
#define ACTIVE 32u
/* Jobs whose conditions are gathered anew when one of them ends; while there are more, the filter stays as wide as it is. */
#define GATHERED 16u

/* Lines of a flow that is looked at beyond its cold part, and how many more of one that ends. */
#define LOOK_LINES 3
#define END_LINES  4

/* Can workers judge all of it? */
static int is_plain(const struct fo__job *job)
{
	return job->match.mask && !(job->match.mask & ~FO__CONDITION_MASK);
}

/* What workers are to pass on, by the jobs that are under way. */
static void gather_filter(struct fo_table *table)
{
	struct fo__condition conditions[FO__CONDITIONS];
	uint32_t n = 0;

	if (table->n_jobs > GATHERED)
		return;
	for (const struct fo__job *job = table->job_first; job; job = job->next)
		if (is_plain(job))
			fo__filter_gather(conditions, &n, &job->condition);
	/* A filter that stays for want of another one stops nobody for ever: what it means has ended. */
	table->filter_stale = fo__filter_publish(table->store, conditions, n) != 0;
}

/* ---- one slot ---- */

/* A flow that goes because it is idle would come back if a packet was under way: not when it is meant here as well. */
static void look_at_ending(const struct fo_table *table, const struct fo__job *job, uint32_t conn)
{
	struct fo__cold *cold = &table->store->cold[conn];

	if (cold->life == FO__LIFE_DRAIN && cold->reason == FO_R_IDLE && job->match.mask &&
	    (int32_t)(cold->generation - job->born) <= 0 &&
	    fo__matches_by(table, conn, &job->match, &job->condition))
		cold->reason = FO_R_INVALIDATED;
}

static void look(struct fo_table *table, const struct fo__job *job, uint32_t conn)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	if (cold->life != FO__LIFE_LIVE) {
		look_at_ending(table, job, conn);
	} else if (!job->match.mask) {
		(void)fo__settle(table, conn);
	} else if ((int32_t)(cold->generation - job->born) <= 0 &&
		   fo__matches_by(table, conn, &job->match, &job->condition) && fo__settle(table, conn)) {
		(void)fo__end(table, conn, FO_R_INVALIDATED, NULL);
	}
}

static void look_by_all(struct fo_table *table, uint32_t conn)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	if (cold->life == FO__LIFE_FREE || cold->life == FO__LIFE_RETIRED)
		return;
	for (const struct fo__job *job = table->job_first; job != table->job_waiting; job = job->next)
		look(table, job, conn);
}

/* Cache lines of a slot beyond its cold part, and something for the time that many comparisons take. Tags are in the cold
 * part, and those of slots side by side share lines. */
static int lines_of_look(const struct fo_table *table)
{
	int lines = (int)(table->n_jobs_active / 16);

	for (const struct fo__job *job = table->job_first; job != table->job_waiting; job = job->next)
		if (job->match.mask != FO_MATCH_TAG)
			return lines + LOOK_LINES;
	return lines;
}

/* ---- the walk ---- */

/* Has the walk been everywhere since the job came? */
static int is_done(const struct fo_table *table, const struct fo__job *job)
{
	uint32_t laps = table->job_lap - job->lap;

	return laps > 1 || (laps == 1 && table->job_cursor >= job->begin);
}

static void go_on(struct fo_table *table)
{
	if (++table->job_cursor < table->store->high)
		return;
	table->job_cursor = 0;
	table->job_lap++;
}

static void release(struct fo_table *table, struct fo__job *job)
{
	if (job < table->job_room || job >= table->job_room + FO__JOBS) {
		fo__free(&table->store->memory, job, sizeof(*job));
		return;
	}
	job->next = table->job_spare;
	table->job_spare = job;
}

static void activate(struct fo_table *table, struct fo__job *job)
{
	job->begin = table->job_cursor;
	job->lap = table->job_lap;
	table->n_jobs_active++;
}

/* The first one that waits takes its place. */
static void end_first(struct fo_table *table)
{
	struct fo__job *job = table->job_first;

	table->job_first = job->next;
	table->n_jobs--;
	table->n_jobs_active--;
	release(table, job);
	if (!table->job_waiting)
		return;
	activate(table, table->job_waiting);
	table->job_waiting = table->job_waiting->next;
}

int fo__jobs_run(struct fo_table *table, int lines)
{
	int a_look = lines_of_look(table);
	uint32_t before = table->n_jobs;

	while (table->job_first && lines > 0) {
		uint32_t conn = table->job_cursor, living = table->store->living;

		look_by_all(table, conn);
		lines -= (int)(conn & 1) + a_look + (table->store->living < living ? END_LINES : 0);
		go_on(table);
		while (table->job_first && is_done(table, table->job_first))
			end_first(table);
	}
	if (table->n_jobs != before || table->filter_stale)
		gather_filter(table);
	return lines;
}

/* ---- a new one ---- */

static void finish_all(struct fo_table *table)
{
	while (table->job_first)
		(void)fo__jobs_run(table, INT_MAX);
}

/* Without memory for one more, those that there are are finished now. */
static struct fo__job *take(struct fo_table *table)
{
	struct fo__job *job = NULL;

	if (!table->job_spare)
		job = fo__alloc(&table->store->memory, sizeof(*job), 8);
	if (!table->job_spare && !job)
		finish_all(table);
	if (job)
		return job;
	job = table->job_spare;
	table->job_spare = job->next;
	return job;
}

static int is_again(const struct fo__job *job, const struct fo_match *match)
{
	return job && !memcmp(&job->match, match, sizeof(*match));
}

static struct fo__job *append(struct fo_table *table, const struct fo_match *match)
{
	struct fo__job *job = take(table);

	*job = (struct fo__job){.match = *match, .condition = fo__condition_of(match)};
	*(table->n_jobs ? &table->job_last->next : &table->job_first) = job;
	table->job_last = job;
	table->n_jobs++;
	if (table->n_jobs_active < ACTIVE)
		activate(table, job);
	else if (!table->job_waiting)
		table->job_waiting = job;
	return job;
}

/* The last one's match again: it goes round from here once more. */
static struct fo__job *append_or_renew(struct fo_table *table, const struct fo_match *match)
{
	struct fo__job *job = table->n_jobs ? table->job_last : NULL;

	if (!is_again(job, match)) {
		job = append(table, match);
	} else if (!table->job_waiting) {
		job->begin = table->job_cursor;
		job->lap = table->job_lap;
	}
	job->born = job->condition.born = table->store->generation;
	return job;
}

void fo__job_add(struct fo_table *table, const struct fo_match *match)
{
	const struct fo__job *job;

	if (!table->store->high)
		return;
	job = append_or_renew(table, match);
	/* No filter to be had, because a worker is stuck: the flows are found now. */
	if (is_plain(job) && fo__filter_add(table->store, &job->condition))
		finish_all(table);
	/* What does not stop at once, the backend is told now. */
	(void)fo__jobs_run(table, table->caps.can & FO_CAP_WORKER || match->mask ? FIRST_LINES : INT_MAX);
	fo__wake_at(table, 0);
}

void fo__jobs_open(struct fo_table *table)
{
	for (unsigned int i = 0; i < FO__JOBS; i++)
		release(table, &table->job_room[i]);
}

void fo__jobs_free(struct fo_table *table)
{
	while (table->job_first)
		end_first(table);
}
