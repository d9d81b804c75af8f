/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - the control thread of the stress test: adds, deletes, updates, marks, invalidates, lets flows expire,
 * lets the index grow and take new secrets, and tells the oracle when each generation begins and ends.
 *
 * Beside a pool of records as small as the number of connections, whatever is taken back too early is in use again
 * at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "pool.h"
#include "stress.h"

#define FILLER_LIFE UINT32_C(0xf00000) /* user cookies from here on are fillers' */

/* Lives of connections, and generations of the far side, by the number of packets sent. */
#define PACKETS_PER_LIFE 8u
#define LIVES_AHEAD	 4096u

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
	c->tally.expired += event->kind == FO_EV_EXPIRED;
	if (event->user >= FILLER_LIFE)
		return; /* a filler; its deletion will find it gone */
	if (event->flow != c->oracle.flows[event->user].id)
		stress_die("event %s of life %" PRIu64 " has another id", fo_event_name(event->kind),
			   event->user);
	finish(c, (uint32_t)event->user, &event->counters);
}

void control_poll(struct control *c, unsigned int max_events)
{
	struct fo_error err;
	int rc = fo_table_poll(c->table, max_events, 0, on_event, c, &err);

	if (rc < 0)
		stress_die("fo_table_poll: %d %s", rc, err.text);
}

void control_add(struct control *c, uint32_t connection)
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
	if (life % 4 == 3)
		flow.timeout_ms = (1 + life % 16) * ORACLE_MS_PER_TICK;
	rc = fo_flow_add(c->table, &flow, &c->oracle.flows[life].id, &err);
	if (rc == 0) {
		if (c->place[connection] != NONE)
			stress_die("connection %u: added beside a flow that is ending", connection);
		c->place[connection] = LIVE;
		c->life[connection] = life;
		atomic_store(&c->oracle.current[connection], life);
		c->tally.added++;
		return;
	}
	/* what an invalidation by tag has not reached yet is still a living flow */
	if ((rc == -EBUSY || rc == -EEXIST) && c->place[connection] == ENDING)
		c->tally.busy++;
	else if (rc == -EAGAIN)
		c->tally.again++;
	else if (rc == -ENOSPC && err.reason == FO_R_INDEX_CROWDED)
		c->tally.crowded++;
	else
		stress_die("fo_flow_add: %d %s: %s", rc, err.field, err.text);
	atomic_store(&c->oracle.n_flows, life); /* never lived: the number is free */
	actors_wait();
}

void control_end(struct control *c, uint32_t connection, bool want_last)
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

void control_update_side(struct control *c)
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
	if (rc == -EAGAIN) { /* a worker stands still on old ones */
		atomic_store(&c->oracle.n_sides, generation);
		return;
	}
	if (rc != 0)
		stress_die("fo_adj_update: %d %s: %s", rc, err.field, err.text);
	oracle_end(&c->oracle, &c->oracle.sides[generation - 1]);
}

/* Both directions get the next DSCP of this life. */
void control_mark(struct control *c, uint32_t connection)
{
	uint32_t life = c->life[connection], marking;
	struct flow_life *l = &c->oracle.flows[life];
	struct fo_error err;
	struct fo_flow flow;
	int rc;

	if (c->place[connection] != LIVE)
		return;
	marking = oracle_new_marking(&c->oracle, life);
	if (marking == STRESS_MARKINGS)
		return;
	FO_INIT(&flow);
	frames_mark(life, marking, &flow);
	rc = fo_flow_update(c->table, l->id, FO_UPDATE_DSCP, &flow, &err);
	if (rc == -ENOENT) { /* it has ended by itself: the event is to come */
		atomic_store(&l->n_markings, marking);
		c->place[connection] = ENDING;
		return;
	}
	if (rc != 0)
		stress_die("fo_flow_update: %d %s: %s", rc, err.field, err.text);
	c->tally.remarked++;
	oracle_end(&c->oracle, &l->markings[marking - 1]);
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

void control_invalidate(struct control *c, uint32_t mask, uint32_t connection)
{
	struct fo_match match;
	struct fo_error err;
	int rc;

	FO_INIT(&match);
	match.mask = mask;
	match.adj = c->far_id;
	match.port = NEAR_PORT;
	match.tag = connection;
	rc = fo_invalidate(c->table, &match, &err);
	if (rc != 0)
		stress_die("fo_invalidate: %d %s", rc, err.text);
	if (match.mask != FO_MATCH_TAG)
		everything_ends(c, true);
	else if (c->place[connection] == LIVE)
		c->place[connection] = ENDING;
}

static void invalidate(struct control *c, uint32_t connection)
{
	static const uint32_t masks[] = {FO_MATCH_ADJ, FO_MATCH_PORT, FO_MATCH_TAG};

	control_invalidate(c, masks[stress_below(&c->random, 3)], connection);
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
void control_fill(struct control *c, unsigned int n)
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

static void churn(struct control *c, uint32_t dice)
{
	if (dice % 2 == 0)
		control_fill(c, 100);
	else
		drain_fillers(c, 100);
}

/* Often where the index has two buckets; where it is large each of its entries takes a share of a control call. */
static void rotate(struct control *c, uint32_t dice)
{
	if (c->buckets == 0 && dice % 16 != 0)
		return;
	pool_rotate(c->table);
	c->tally.rotated++;
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
			control_add(c, i);
}

static void act(struct control *c)
{
	uint32_t dice = stress_below(&c->random, 1000),
		 connection = stress_below(&c->random, STRESS_CONNECTIONS);

	oracle_tick(&c->oracle);
	actors_acted();
	if (ahead_of_workers(c)) {
		control_poll(c, 0);
		add_what_is_missing(c);
		actors_wait();
		return;
	}
	if (dice < 60)
		control_end(c, connection, dice & 1);
	else if (dice < 360)
		control_add(c, connection);
	else if (dice < 390)
		control_update_side(c);
	else if (dice < 470)
		control_mark(c, connection);
	else if (dice < 910)
		control_poll(c, 16 * (dice & 3));
	else if (dice < 912)
		invalidate(c, connection);
	else if (dice < 913)
		flap(c);
	else if (dice < 960)
		churn(c, dice);
	else if (dice < 996)
		rotate(c, dice);
	else
		c->tally.freezes += actors_freeze(stress_below(&c->random, c->n_workers));
}

static uint64_t clock_ms(void *ctx)
{
	return oracle_ms(ctx);
}

static void create_table(struct control *c)
{
	struct fo_table_options opts;
	struct fo_port ports[2];
	struct fo_error err;
	unsigned int i;

	FO_INIT(&opts);
	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = STRESS_CONNECTIONS + 2 * c->n_fillers;
	opts.max_workers = c->n_workers;
	opts.ports = ports;
	opts.n_ports = 2;
	opts.allocator = c->allocator;
	opts.clock_ms = clock_ms;
	opts.clock_ctx = &c->oracle;
	if (fo_table_create(&opts, &c->table, &err) != 0)
		stress_die("fo_table_create: %s: %s", err.field, err.text);
	if (c->buckets != 0)
		pool_shrink(c->table, c->buckets);
}

static void add_sides(struct control *c)
{
	struct fo_error err;
	struct fo_adj adj;

	frames_near(&adj);
	if (fo_adj_add(c->table, &adj, &c->near_id, &err) != 0)
		stress_die("fo_adj_add: %s", err.text);
	frames_far(oracle_new_side(&c->oracle), &adj);
	if (fo_adj_add(c->table, &adj, &c->far_id, &err) != 0)
		stress_die("fo_adj_add: %s", err.text);
}

static bool workers_finished(struct control *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->n_workers; i++)
		n += atomic_load(&c->workers[i].finished);
	return n == c->n_workers;
}

/* End everything and wait for the last events. */
void control_end_all(struct control *c)
{
	struct fo_table_counters counters;
	struct fo_error err;
	uint32_t i;

	for (i = 0; i < STRESS_CONNECTIONS; i++)
		control_end(c, i, i & 1);
	drain_fillers(c, UINT32_MAX);
	if (fo_table_sync(c->table, 60000, &err) != 0)
		stress_die("fo_table_sync: %s", err.text);
	for (i = 0; i < 100000; i++) {
		control_poll(c, 0);
		FO_INIT(&counters);
		if (fo_stats(c->table, &counters, &err) != 0)
			stress_die("fo_stats: %s", err.text);
		if (counters.flows + counters.closing == 0)
			return;
	}
	stress_die("%" PRIu64 " flows do not end", counters.flows + counters.closing);
}

void control_check(struct control *c)
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
	worker_check_lives(&c->oracle, c->workers, c->n_workers);
	c->tally.moves = counters.index_moves;
}

void control_open(struct control *c)
{
	create_table(c);
	add_sides(c);
}

void control_run(void *arg)
{
	struct control *c = arg;

	while (!workers_finished(c))
		act(c);
}

void control_close(struct control *c)
{
	control_end_all(c);
	control_check(c);
	pool_restore(c->table);
	fo_table_destroy(c->table);
}
