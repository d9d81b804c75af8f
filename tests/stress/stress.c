/* SPDX-License-Identifier: BSD-2-Clause */
/* stress.c - workers forward while the control thread adds, deletes, updates, invalidates and lets the index grow.
 *
 *   stress [--packets N] [--workers N] [--fillers N] [--seed N]
 *
 * Every forwarded packet is checked byte by byte (worker.c) and must come from a generation that could be alive
 * during its burst (oracle.h); at the end the final counters of each life of each connection equal what the workers
 * saw forwarded. Signals freeze workers in the middle of a burst while control goes on. The threads' interleaving is
 * the system's; the seed repeats the rest.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/ledger.h"
#include "frames.h"
#include "stress.h"

#define FILLERS_MAX 8192u
#define FILLER_LIFE UINT32_C(0xf00000) /* user cookies from here on are fillers' */

/* Lives of connections, and generations of the far side, by the number of packets sent. */
#define PACKETS_PER_LIFE 8u
#define LIVES_AHEAD	 4096u
#define PACKETS_MAX	 (UINT64_C(8) * 4000000) /* life numbers stay below FILLER_LIFE */

enum place { NONE, LIVE, ENDING };

struct control {
	struct oracle oracle;
	struct ledger ledger;
	struct fo_table *table;
	uint64_t random;
	fo_adj_id near_id, far_id;
	enum place place[STRESS_CONNECTIONS];
	uint32_t life[STRESS_CONNECTIONS];
	unsigned int n_fillers; /* wanted at most */
	fo_flow_id filler[FILLERS_MAX];
	unsigned int first_filler, last_filler; /* modulo FILLERS_MAX */
	unsigned int n_workers;
	struct stress_worker workers[STRESS_WORKERS_MAX];
	uint64_t tally[8]; /* what became of adds: ok, busy, again, crowded; freezes */
};

static void finish(struct control *c, uint32_t life, const struct fo_flow_counters *counters)
{
	struct flow_life *l = &c->oracle.flows[life];

	if (life >= atomic_load(&c->oracle.n_flows))
		stress_die("final counters of life %u, which never was", life);
	if (l->finished)
		stress_die("final counters of life %u came twice", life);
	if (!(counters->flags & FO_STATS_FINAL))
		stress_die("the last counters of life %u are not final", life);
	l->finished = true;
	memcpy(l->packets, counters->packets, sizeof(l->packets));
	memcpy(l->bytes, counters->bytes, sizeof(l->bytes));
	oracle_end(&c->oracle, &l->dates);
	c->place[l->connection] = NONE;
}

static void on_event(void *arg, const struct fo_event *event)
{
	struct control *c = arg;

	if (!FO_EV_IS_TERMINAL(event->kind))
		return;
	if (event->user >= FILLER_LIFE)
		return; /* a filler; its deletion will find it gone */
	if (event->flow != c->oracle.flows[event->user].id)
		stress_die("event %s of life %" PRIu64 " has another id", fo_event_name(event->kind),
			   event->user);
	finish(c, (uint32_t)event->user, &event->counters);
}

static void poll_table(struct control *c, unsigned int max_events)
{
	struct fo_error err;
	int rc = fo_table_poll(c->table, max_events, 0, on_event, c, &err);

	if (rc < 0)
		stress_die("fo_table_poll: %d %s", rc, err.text);
}

static void add(struct control *c, uint32_t connection)
{
	struct fo_error err;
	struct fo_flow flow;
	uint32_t life;
	int rc;

	if (c->place[connection] == LIVE || atomic_load(&c->oracle.n_flows) == c->oracle.room)
		return;
	life = oracle_new_flow(&c->oracle, connection);
	frames_flow(connection, life, &flow);
	flow.adj[0] = c->near_id;
	flow.adj[1] = c->far_id;
	rc = fo_flow_add(c->table, &flow, &c->oracle.flows[life].id, &err);
	if (rc == 0) {
		if (c->place[connection] != NONE)
			stress_die("connection %u: added beside a flow that is ending", connection);
		c->place[connection] = LIVE;
		c->life[connection] = life;
		atomic_store(&c->oracle.current[connection], life);
		c->tally[0]++;
		return;
	}
	/* what an invalidation by tag has not reached yet is still a living flow */
	if ((rc == -EBUSY || rc == -EEXIST) && c->place[connection] == ENDING)
		c->tally[1]++;
	else if (rc == -EAGAIN)
		c->tally[2]++;
	else if (rc == -ENOSPC && err.reason == FO_R_INDEX_CROWDED)
		c->tally[3]++;
	else
		stress_die("fo_flow_add: %d %s: %s", rc, err.field, err.text);
	atomic_store(&c->oracle.n_flows, life); /* never lived: the number is free */
}

static void delete (struct control *c, uint32_t connection, bool want_last)
{
	struct flow_life *l = &c->oracle.flows[c->life[connection]];
	struct fo_flow_counters last;
	struct fo_error err;
	int rc;

	if (c->place[connection] != LIVE)
		return;
	FO_INIT(&last);
	rc = fo_flow_del(c->table, l->id, want_last ? &last : NULL, &err);
	if (rc == -ENOENT) { /* a worker saw RST: the event is to come */
		c->place[connection] = ENDING;
		return;
	}
	if (rc != 0)
		stress_die("fo_flow_del: %d %s", rc, err.text);
	if (want_last && (last.flags & FO_STATS_FINAL)) {
		finish(c, c->life[connection], &last);
		return;
	}
	c->place[connection] = ENDING;
	oracle_end(&c->oracle, &l->dates);
}

static void update_side(struct control *c)
{
	uint32_t generation;
	struct fo_error err;
	struct fo_adj adj;
	int rc;

	if (atomic_load(&c->oracle.n_sides) == c->oracle.room)
		return;
	generation = oracle_new_side(&c->oracle);
	frames_far(generation, &adj);
	rc = fo_adj_update(c->table, c->far_id, &adj, &err);
	if (rc != 0)
		stress_die("fo_adj_update: %d %s: %s", rc, err.field, err.text);
	oracle_end(&c->oracle, &c->oracle.sides[generation - 1]);
}

/* at_once: by the header no burst begun from now on uses the flows. */
static void everything_ends(struct control *c, bool at_once)
{
	uint32_t i;

	for (i = 0; i < STRESS_CONNECTIONS; i++) {
		if (c->place[i] != LIVE)
			continue;
		c->place[i] = ENDING;
		if (at_once)
			oracle_end(&c->oracle, &c->oracle.flows[c->life[i]].dates);
	}
}

static void invalidate(struct control *c)
{
	struct fo_match match;
	struct fo_error err;
	uint32_t connection = stress_below(&c->random, STRESS_CONNECTIONS);
	int rc;

	FO_INIT(&match);
	switch (stress_below(&c->random, 3)) {
	case 0:
		match.mask = FO_MATCH_ADJ;
		match.adj = c->far_id;
		break;
	case 1:
		match.mask = FO_MATCH_PORT;
		match.port = NEAR_PORT;
		break;
	default:
		match.mask = FO_MATCH_TAG;
		match.tag = connection;
		break;
	}
	rc = fo_invalidate(c->table, &match, &err);
	if (rc != 0)
		stress_die("fo_invalidate: %d %s", rc, err.text);
	if (match.mask != FO_MATCH_TAG)
		everything_ends(c, true);
	else if (c->place[connection] == LIVE)
		c->place[connection] = ENDING;
}

static void flap(struct control *c)
{
	struct fo_port port;
	struct fo_error err;
	unsigned int i;

	FO_INIT(&port);
	port.port = stress_below(&c->random, 2) != 0 ? NEAR_PORT : FAR_PORT;
	for (i = 0; i < 2; i++) {
		port.state = i == 0 ? FO_PORT_DOWN : FO_PORT_UP;
		if (fo_port_set(c->table, &port, &err) != 0)
			stress_die("fo_port_set: %s", err.text);
	}
	everything_ends(c, false);
}

static unsigned int fillers(const struct control *c)
{
	return c->last_filler - c->first_filler;
}

/* Fillers come and go by the hundred, so that the index grows, is churned, and sends entries home. */
static void fill(struct control *c, unsigned int n)
{
	struct fo_error err;
	struct fo_flow flow;
	fo_flow_id id;

	for (; n != 0 && fillers(c) < c->n_fillers; n--) {
		int rc;

		frames_flow(1000 + c->last_filler % FILLERS_MAX, FILLER_LIFE + c->last_filler % FILLERS_MAX,
			    &flow);
		flow.adj[0] = c->near_id;
		flow.adj[1] = c->far_id;
		flow.tag = UINT32_MAX;
		rc = fo_flow_add(c->table, &flow, &id, &err);
		if (rc == -EBUSY || rc == -EAGAIN || (rc == -ENOSPC && err.reason == FO_R_INDEX_CROWDED))
			return;
		if (rc != 0)
			stress_die("fo_flow_add of filler %u: %d %s", c->last_filler, rc, err.text);
		c->filler[c->last_filler++ % FILLERS_MAX] = id;
	}
}

static void drain_fillers(struct control *c, unsigned int n)
{
	for (; n != 0 && fillers(c) != 0; n--) {
		int rc = fo_flow_del(c->table, c->filler[c->first_filler++ % FILLERS_MAX], NULL, NULL);

		if (rc != 0 && rc != -ENOENT)
			stress_die("fo_flow_del of a filler: %d", rc);
	}
}

static void freeze(struct control *c)
{
	struct stress_worker *w = &c->workers[stress_below(&c->random, c->n_workers)];

	/* not joined yet: a thread that has ended may still be named */
	if (!atomic_load(&w->finished) && pthread_kill(w->thread, STRESS_FREEZE) == 0)
		c->tally[4]++;
}

/* Control must not run out of lives before the workers have sent their packets, on a machine of any speed. */
static bool ahead_of_workers(struct control *c)
{
	uint64_t offered = 0;
	unsigned int i;

	for (i = 0; i < c->n_workers; i++)
		offered += atomic_load(&c->workers[i].progress);
	return atomic_load(&c->oracle.n_flows) > LIVES_AHEAD + offered / PACKETS_PER_LIFE ||
	       atomic_load(&c->oracle.n_sides) > LIVES_AHEAD + offered / PACKETS_PER_LIFE;
}

static void add_what_is_missing(struct control *c)
{
	uint32_t i;

	for (i = 0; i < STRESS_CONNECTIONS; i++)
		if (c->place[i] == NONE)
			add(c, i);
}

static void act(struct control *c)
{
	uint32_t dice = stress_below(&c->random, 1000),
		 connection = stress_below(&c->random, STRESS_CONNECTIONS);

	oracle_tick(&c->oracle);
	if (ahead_of_workers(c)) {
		poll_table(c, 0);
		add_what_is_missing(c);
		sched_yield();
		return;
	}
	if (dice < 300)
		delete (c, connection, dice & 1);
	else if (dice < 600)
		add(c, connection);
	else if (dice < 680)
		update_side(c);
	else if (dice < 880)
		poll_table(c, 16 * (dice & 3));
	else if (dice < 900)
		invalidate(c);
	else if (dice < 905)
		flap(c);
	else if (dice < 940)
		fill(c, 100);
	else if (dice < 970)
		drain_fillers(c, 100);
	else
		freeze(c);
}

static void open_table(struct control *c)
{
	struct fo_table_options opts;
	struct fo_port ports[2];
	struct fo_error err;
	struct fo_adj adj;
	unsigned int i;

	FO_INIT(&opts);
	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = STRESS_CONNECTIONS + 2 * FILLERS_MAX;
	opts.max_workers = c->n_workers;
	opts.ports = ports;
	opts.n_ports = 2;
	opts.allocator = &c->ledger.hook;
	if (fo_table_create(&opts, &c->table, &err) != 0)
		stress_die("fo_table_create: %s: %s", err.field, err.text);
	frames_near(&adj);
	if (fo_adj_add(c->table, &adj, &c->near_id, &err) != 0)
		stress_die("fo_adj_add: %s", err.text);
	frames_far(oracle_new_side(&c->oracle), &adj);
	if (fo_adj_add(c->table, &adj, &c->far_id, &err) != 0)
		stress_die("fo_adj_add: %s", err.text);
	for (i = 0; i < STRESS_CONNECTIONS; i++)
		add(c, i);
}

static bool workers_finished(struct control *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->n_workers; i++)
		n += atomic_load(&c->workers[i].finished);
	return n == c->n_workers;
}

/* End everything and wait for the last events. */
static void end_all(struct control *c)
{
	struct fo_table_counters counters;
	struct fo_error err;
	uint32_t i;

	for (i = 0; i < STRESS_CONNECTIONS; i++)
		delete (c, i, i & 1);
	drain_fillers(c, UINT32_MAX);
	if (fo_table_sync(c->table, 60000, &err) != 0)
		stress_die("fo_table_sync: %s", err.text);
	for (i = 0; i < 100000; i++) {
		poll_table(c, 0);
		FO_INIT(&counters);
		if (fo_stats(c->table, &counters, &err) != 0)
			stress_die("fo_stats: %s", err.text);
		if (counters.flows + counters.closing == 0)
			return;
	}
	stress_die("%" PRIu64 " flows do not end", counters.flows + counters.closing);
}

static void check_totals(struct control *c)
{
	struct fo_table_counters counters;
	uint64_t forwarded = 0, bytes = 0, passed = 0;
	struct fo_error err;
	unsigned int i;

	FO_INIT(&counters);
	if (fo_stats(c->table, &counters, &err) != 0)
		stress_die("fo_stats: %s", err.text);
	for (i = 0; i < c->n_workers; i++) {
		forwarded += c->workers[i].forwarded;
		bytes += c->workers[i].bytes;
		passed += c->workers[i].passed;
	}
	if (counters.forwarded_packets != forwarded || counters.forwarded_bytes != bytes)
		stress_die("the table forwarded %" PRIu64 " packets, the workers %" PRIu64,
			   counters.forwarded_packets, forwarded);
	for (i = 0; i < FO_R_PACKET_MAX; i++)
		passed -= counters.passed[i];
	if (passed != 0)
		stress_die("packets passed on: %" PRId64 " more than the table says", (int64_t)passed);
	stress_check_lives(&c->oracle, c->workers, c->n_workers);
	printf("stress: %" PRIu64 " forwarded; %u lives, %u far sides; adds: %" PRIu64 " ok, %" PRIu64
	       " busy, %" PRIu64 " again, %" PRIu64 " crowded; %" PRIu64 " freezes, %" PRIu64
	       " index moves, %" PRIu64 " rotations\n",
	       forwarded, atomic_load(&c->oracle.n_flows), atomic_load(&c->oracle.n_sides), c->tally[0],
	       c->tally[1], c->tally[2], c->tally[3], c->tally[4], counters.index_moves,
	       counters.index_rotations);
}

static void run(struct control *c, uint64_t packets)
{
	unsigned int i;

	ledger_init(&c->ledger);
	oracle_open(&c->oracle, packets / 4 < 4096	? 4096
				: packets / 4 > 2000000 ? 2000000
							: (uint32_t)(packets / 4));
	stress_install_freeze(&c->oracle);
	open_table(c);
	for (i = 0; i < c->n_workers; i++)
		stress_worker_start(&c->workers[i], &c->oracle, c->table, packets / c->n_workers,
				    stress_seed * 1000 + i);
	while (!workers_finished(c))
		act(c);
	atomic_store(&c->oracle.done, true);
	for (i = 0; i < c->n_workers; i++)
		stress_worker_join(&c->workers[i]);
	end_all(c);
	check_totals(c);
	fo_table_destroy(c->table);
	if (ledger_leaks(&c->ledger, "fo_table_destroy") != 0)
		stress_die("leaks");
	for (i = 0; i < c->n_workers; i++)
		stress_worker_free(&c->workers[i]);
	oracle_close(&c->oracle);
	ledger_fini(&c->ledger);
}

static int number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= least && *out <= most ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct control control;
	uint64_t packets = 2000000, workers = 3, filling = 3000;
	int i, bad = argc % 2 == 0;

	stress_seed = 1;
	for (i = 1; i + 1 < argc && !bad; i += 2) {
		if (strcmp(argv[i], "--packets") == 0)
			bad = number(argv[i + 1], 1, PACKETS_MAX, &packets);
		else if (strcmp(argv[i], "--workers") == 0)
			bad = number(argv[i + 1], 1, STRESS_WORKERS_MAX, &workers);
		else if (strcmp(argv[i], "--fillers") == 0)
			bad = number(argv[i + 1], 0, FILLERS_MAX, &filling);
		else if (strcmp(argv[i], "--seed") == 0)
			bad = number(argv[i + 1], 0, UINT64_MAX, &stress_seed);
		else
			bad = 1;
	}
	if (bad) {
		fprintf(stderr, "usage: %s [--packets N] [--workers 1..%u] [--fillers 0..%u] [--seed N]\n",
			argv[0], STRESS_WORKERS_MAX, FILLERS_MAX);
		return 2;
	}
	control.n_workers = (unsigned int)workers;
	control.n_fillers = (unsigned int)filling;
	control.random = stress_seed;
	printf("stress: seed %" PRIu64 ", %" PRIu64 " packets, %u workers\n", stress_seed, packets,
	       control.n_workers);
	fflush(stdout);
	run(&control, packets);
	return 0;
}
