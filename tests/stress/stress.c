/* SPDX-License-Identifier: BSD-2-Clause */
/* stress.c - workers forward while the control thread replaces everything that they use; every packet is checked.
 *
 *   stress [--packets N] [--workers N] [--fillers N] [--seed N] [--mode threads|scheduled] [--pause N]
 *
 * A forwarded packet is checked byte by byte (worker.c) and must come from generations of its flow, marking and side
 * that could be alive during its burst (oracle.h); one that is passed on must be untouched. At the end of a round the
 * final counters of each life of each connection equal what the workers saw forwarded.
 *
 * By default there are eight connections and eight records for them in an index of two buckets; with --fillers a
 * large table that grows. At one step of the library's protocol in --pause an actor stops for others (actors.h).
 * Rounds of two million packets follow each other, each with a table and a seed of its own, so that any number of
 * packets takes the same memory; the seed that a failure names repeats its round with --packets of one round.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/ledger.h"
#include "pool.h"
#include "stress.h"

#define ROUND	    UINT64_C(2000000)
#define PACKETS_MAX UINT64_C(1000000000000)

struct options {
	uint64_t packets, workers, fillers, seed, pause;
	enum actors_mode mode;
};

struct totals {
	uint64_t offered, forwarded, lives, sides;
	struct control_tally tally;
};

static void sum_up(const struct control *c, struct totals *t)
{
	unsigned int i;

	for (i = 0; i < c->n_workers; i++) {
		t->offered += c->workers[i].offered;
		t->forwarded += c->workers[i].forwarded;
	}
	t->lives += atomic_load(&c->oracle.n_flows);
	t->sides += atomic_load(&c->oracle.n_sides);
	t->tally.busy += c->tally.busy;
	t->tally.again += c->tally.again;
	t->tally.crowded += c->tally.crowded;
	t->tally.expired += c->tally.expired;
	t->tally.remarked += c->tally.remarked;
	t->tally.rotated += c->tally.rotated;
	t->tally.freezes += c->tally.freezes;
	t->tally.moves += c->tally.moves;
}

static void run_round(const struct options *o, uint64_t packets, struct totals *totals)
{
	static struct control control;
	static struct ledger ledger;
	struct actor actors[ACTORS_MAX];
	struct control *c = &control;
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->n_workers = (unsigned int)o->workers;
	c->n_fillers = (unsigned int)o->fillers;
	c->buckets = o->fillers == 0 ? 2 : 0;
	c->random = stress_seed;
	pool_seed(stress_seed);
	ledger_init(&ledger);
	c->allocator = &ledger.hook;
	oracle_open(&c->oracle, packets / 4 < 8192 ? 8192 : (uint32_t)(packets / 4));
	control_open(c);
	for (i = 0; i < STRESS_CONNECTIONS; i++) /* workers aim at the youngest life of each */
		control_add(c, i);
	actors[0] = (struct actor){control_run, c};
	for (i = 0; i < c->n_workers; i++) {
		worker_open(&c->workers[i], &c->oracle, c->table, packets / c->n_workers,
			    stress_seed * 1000 + i);
		actors[i + 1] = (struct actor){worker_run, &c->workers[i]};
	}
	actors_run(o->mode, actors, c->n_workers + 1, stress_seed, (uint32_t)o->pause);
	control_close(c);
	if (ledger_leaks(&ledger, "fo_table_destroy") != 0)
		stress_die("leaks");
	sum_up(c, totals);
	for (i = 0; i < c->n_workers; i++)
		worker_close(&c->workers[i]);
	oracle_close(&c->oracle);
	ledger_fini(&ledger);
}

static int number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= least && *out <= most ? 0 : -1;
}

static int parse_mode(const char *text, enum actors_mode *out)
{
	*out = strcmp(text, "scheduled") == 0 ? ACTORS_SCHEDULED : ACTORS_THREADS;
	return *out == ACTORS_SCHEDULED || strcmp(text, "threads") == 0 ? 0 : -1;
}

static int parse(int argc, char **argv, struct options *o)
{
	int i, bad = argc % 2 == 0;

	for (i = 1; i + 1 < argc && !bad; i += 2) {
		if (strcmp(argv[i], "--packets") == 0)
			bad = number(argv[i + 1], 1, PACKETS_MAX, &o->packets);
		else if (strcmp(argv[i], "--workers") == 0)
			bad = number(argv[i + 1], 1, STRESS_WORKERS_MAX, &o->workers);
		else if (strcmp(argv[i], "--fillers") == 0)
			bad = number(argv[i + 1], 0, FILLERS_MAX, &o->fillers);
		else if (strcmp(argv[i], "--seed") == 0)
			bad = number(argv[i + 1], 0, UINT64_MAX, &o->seed);
		else if (strcmp(argv[i], "--pause") == 0)
			bad = number(argv[i + 1], 1, UINT32_MAX, &o->pause);
		else if (strcmp(argv[i], "--mode") == 0)
			bad = parse_mode(argv[i + 1], &o->mode);
		else
			bad = 1;
	}
	return bad;
}

static void print(const struct totals *t)
{
	printf("stress: %" PRIu64 " packets checked, %" PRIu64 " of them forwarded; %" PRIu64
	       " lives, %" PRIu64 " markings, %" PRIu64 " far sides\n",
	       t->offered, t->forwarded, t->lives, t->tally.remarked + t->lives, t->sides);
	printf("stress: adds refused: %" PRIu64 " busy, %" PRIu64 " again, %" PRIu64 " crowded; %" PRIu64
	       " expired; %" PRIu64 " rotations, %" PRIu64 " index moves; %" PRIu64 " pauses, %" PRIu64
	       " freezes\n",
	       t->tally.busy, t->tally.again, t->tally.crowded, t->tally.expired, t->tally.rotated,
	       t->tally.moves, actors_stops(), t->tally.freezes);
}

int main(int argc, char **argv)
{
	struct options o = {.packets = ROUND, .workers = 3, .seed = 1, .pause = 0, .mode = ACTORS_THREADS};
	struct totals totals;
	uint64_t left;

	if (parse(argc, argv, &o) != 0) {
		fprintf(stderr,
			"usage: %s [--packets N] [--workers 1..%u] [--fillers 0..%u] [--seed N]\n"
			"       [--mode threads|scheduled] [--pause N]\n",
			argv[0], STRESS_WORKERS_MAX, FILLERS_MAX);
		return 2;
	}
	if (!actors_can(o.mode)) {
		fprintf(stderr, "stress: this build has no coroutines (ucontext.h)\n");
		return 77;
	}
	if (o.pause == 0)
		o.pause = o.mode == ACTORS_SCHEDULED ? 4 : 256;
	printf("stress: seed %" PRIu64 ", %" PRIu64 " packets, %" PRIu64 " workers, %" PRIu64
	       " fillers, %s\n",
	       o.seed, o.packets, o.workers, o.fillers, o.mode == ACTORS_SCHEDULED ? "scheduled" : "threads");
	fflush(stdout);
	memset(&totals, 0, sizeof(totals));
	stress_seed = o.seed;
	for (left = o.packets; left != 0; left -= left < ROUND ? left : ROUND, stress_seed++)
		run_round(&o, left < ROUND ? left : ROUND, &totals);
	print(&totals);
	return 0;
}
