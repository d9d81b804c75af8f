/* SPDX-License-Identifier: BSD-2-Clause */
/* stress.h - one round of the stress test: a table, its control thread (control.c) and its workers (worker.c), as
 * stress.c puts them together; the schedules (tests/schedules) have their own order of the same operations.
 */
#ifndef STRESS_STRESS_H
#define STRESS_STRESS_H

#include "actors.h"
#include "oracle.h"

/* Fillers: flows without packets, which come and go by the hundred so that a large index grows and is churned. */
#define FILLERS_MAX 8192u

struct stress_worker {
	struct oracle *oracle;
	struct fo_table *table;
	uint64_t random;
	uint64_t quota; /* packets to offer at least */
	uint64_t offered;
	_Atomic uint32_t progress; /* offered, for control's pace */
	uint64_t forwarded;
	uint64_t bytes;
	uint64_t passed;
	uint32_t *life_packets; /* [life * 2 + direction]: forwarded, as this worker saw it */
	uint32_t *life_bytes;
	atomic_bool finished;
};

/* What became of adds, and what else control did. */
struct control_tally {
	uint64_t added, busy, again, crowded, expired, remarked, rotated, freezes, moves;
};

enum place { NONE, LIVE, ENDING };

struct control {
	struct oracle oracle;
	const struct fo_allocator *allocator;
	struct fo_table *table;
	uint64_t random;
	fo_adj_id near_id, far_id;
	enum place place[STRESS_CONNECTIONS];
	uint32_t life[STRESS_CONNECTIONS];
	uint32_t buckets;	/* of the index, and no records to spare; 0: as the library likes it */
	unsigned int n_fillers; /* wanted at most */
	fo_flow_id filler[FILLERS_MAX];
	unsigned int first_filler, last_filler; /* modulo FILLERS_MAX */
	unsigned int n_workers;
	struct stress_worker workers[STRESS_WORKERS_MAX];
	struct control_tally tally;
};

/* The table with its sides; and, when all actors have ended: end the flows, compare the counters, close. */
void control_open(struct control *c);
void control_close(struct control *c);
/* What control_run() does in random order; each tells the oracle. */
void control_poll(struct control *c, unsigned int max_events);
void control_add(struct control *c, uint32_t connection);
void control_end(struct control *c, uint32_t connection, bool want_last);
void control_mark(struct control *c, uint32_t connection);
void control_update_side(struct control *c);
void control_fill(struct control *c, unsigned int n);
/* mask: FO_MATCH_ADJ (the far side), FO_MATCH_PORT (the near one) or FO_MATCH_TAG (the connection). */
void control_invalidate(struct control *c, uint32_t mask, uint32_t connection);
/* The two halves of control_close() that may be called without it. */
void control_end_all(struct control *c);
void control_check(struct control *c);
/* An actor: acts until all workers have finished. */
void control_run(void *arg);

void worker_open(struct stress_worker *w, struct oracle *oracle, struct fo_table *table, uint64_t quota,
		 uint64_t seed);
void worker_close(struct stress_worker *w);
/* An actor. */
void worker_run(void *arg);
/* Every life has had its final counters, and they are the sum of what the workers saw. */
void worker_check_lives(const struct oracle *oracle, const struct stress_worker *workers,
			unsigned int n_workers);

#endif
