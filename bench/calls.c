/* SPDX-License-Identifier: BSD-2-Clause */
/* calls.c - what control calls cost one by one while a table grows to its capacity and lives there: the most, and what 999
 * of a thousand do not exceed. n counts directions. The public API alone; meter.h says what cost is.
 *
 * Connections are added one by one, then two replaced for each; between them come all other calls. Now and then one tuple
 * is added behind so many VLANs that the index is crowded and takes a new secret, which is a migration of all of it; a
 * migration as the index grows is the same. Polls come every POLL_EVERY replacements.
 *
 *   CALL-most, CALL-p999   for each call; "adj-update-ingress" takes an ingress that another adjacency has, now and then
 *                          with flows of one tuple on both, and is refused then; "invalidate" comes in bursts of more
 *                          than the table keeps jobs for, each with a tag of its own, which some flows have; "poll" has no
 *                          time and takes up to POLL_EVENTS events, with all that these leave behind
 *   any-most, any-p999     all of these; only fo_flow_walk(), fo_table_sync(), create and destroy are left out
 */
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "library.h"
#include "meter.h"

#define POLL_EVERY    64u
#define POLL_EVENTS   8u
#define SELDOM	      (population.connections / 4)
#define INVALIDATIONS 40u
/* A flow in so many has a tag by which it will be invalidated: this and those that follow. */
#define DOOMED	   8192u
#define DOOMED_TAG 1000000u
/* More than the index takes of one hash. */
#define TWINS 24u
#define SPARE 64u

enum call {
	ADD,
	DEL,
	UPDATE,
	FIND,
	GET,
	FLOW_STATS,
	EXPLAIN,
	STATS,
	ADJ_ADD,
	ADJ_UPDATE,
	ADJ_UPDATE_INGRESS,
	ADJ_DEL,
	INVALIDATE,
	POLL,
	CALLS
};

static const char *const names[CALLS] = {"add",
					 "del",
					 "update",
					 "find",
					 "get",
					 "flow-stats",
					 "explain",
					 "stats",
					 "adj-add",
					 "adj-update",
					 "adj-update-ingress",
					 "adj-del",
					 "invalidate",
					 "poll"};

static const struct net net = {.clients = 1};
static struct population population;
static struct library library;
static fo_flow_id *ids, twins[TWINS];
static fo_adj_id vlan[TWINS];
static uint64_t rotations;

/* Costs of each call, as they came. */
static struct costs {
	double *at;
	uint32_t count, room;
} costs[CALLS];

static void take(enum call call)
{
	double cost = meter_end();
	struct costs *of = &costs[call];

	if (of->count == of->room)
		return;
	of->at[of->count++] = cost;
}

static void checked(enum call call, int err, const struct fo_error *error)
{
	take(call);
	library_check(err, error);
}

/* The connection at a place, which is its cookie; some can be invalidated by tag. */
static void flow_at(struct fo_flow *flow, uint32_t place)
{
	library_flow(&library, flow, population.number[place]);
	flow->user = place;
	if (place % DOOMED == 0)
		flow->tag = DOOMED_TAG + place / DOOMED % INVALIDATIONS;
}

/* ---- one call each ---- */

static int add(const struct fo_flow *flow, fo_flow_id *id)
{
	struct fo_error error;
	int err;

	meter_begin();
	err = fo_flow_add(library.table, flow, id, &error);
	take(ADD);
	if (err && err != -ENOSPC)
		library_check(err, &error);
	return err;
}

static void del(fo_flow_id id)
{
	struct fo_flow_counters last;
	struct fo_error error;
	int err;

	FO_INIT(&last);
	meter_begin();
	err = fo_flow_del(library.table, id, &last, &error);
	checked(DEL, err, &error);
}

/* An event's connection, whose place is its cookie, comes anew when the poll is over. */
static uint32_t ended[POLL_EVENTS], n_ended;

static void on_event(void *arg, const struct fo_event *event)
{
	(void)arg;
	if (n_ended == POLL_EVENTS || event->kind != FO_EV_INVALIDATED || ids[event->user] != event->flow)
		bench_fail("an event that nothing gave rise to");
	ended[n_ended++] = (uint32_t)event->user;
}

static void poll_table(void)
{
	struct fo_error error;
	struct fo_flow flow;
	int delivered;

	n_ended = 0;
	meter_begin();
	delivered = fo_table_poll(library.table, POLL_EVENTS, 0, on_event, NULL, &error);
	checked(POLL, delivered < 0, &error);
	while (n_ended) {
		flow_at(&flow, ended[--n_ended]);
		if (add(&flow, &ids[ended[n_ended]]))
			bench_fail("no room for a connection that was invalidated");
	}
}

static void ask(uint32_t place)
{
	struct fo_flow_counters counters;
	struct fo_explanation explanation;
	struct fo_flow_info info;
	struct fo_error error;
	struct fo_flow flow;
	struct fo_key key;
	fo_flow_id id;
	int err;

	flow_at(&flow, place);
	FO_INIT(&key);
	key.tuple = flow.tuple[place & 1];
	key.port = FO_PORT_ANY;
	meter_begin();
	err = fo_flow_find(library.table, &key, &id, NULL, &error);
	checked(FIND, err || id != ids[place], &error);
	FO_INIT(&info);
	meter_begin();
	err = fo_flow_get(library.table, id, &info, &error);
	checked(GET, err, &error);
	FO_INIT(&counters);
	meter_begin();
	err = fo_flow_stats(library.table, id, &counters, &error);
	checked(FLOW_STATS, err, &error);
	FO_INIT(&explanation);
	meter_begin();
	err = fo_flow_explain(library.table, id, NULL, &explanation, &error);
	checked(EXPLAIN, err, &error);
	meter_begin();
	err = fo_flow_update(library.table, id, FO_UPDATE_TAG | FO_UPDATE_TIMEOUT, &flow, &error);
	checked(UPDATE, err, &error);
}

static void count_table(void)
{
	struct fo_table_counters counters;
	struct fo_error error;
	int err;

	FO_INIT(&counters);
	meter_begin();
	err = fo_stats(library.table, &counters, &error);
	checked(STATS, err, &error);
	rotations = counters.index_rotations;
}

/* ---- adjacencies ---- */

static void describe_vlan(struct fo_adj *adj, unsigned int id, unsigned int next_hop)
{
	frame_adj(&net, adj, 0, next_hop);
	adj->n_encaps = 1;
	adj->encap[0] = (struct fo_encap){.kind = FO_ENCAP_8021Q, .id = (uint16_t)id};
}

static void take_ingress(fo_adj_id id, const struct fo_adj *adj, int expected)
{
	struct fo_error error;
	int err;

	meter_begin();
	err = fo_adj_update(library.table, id, adj, &error);
	take(ADJ_UPDATE_INGRESS);
	if (err != expected)
		bench_fail("an update to another adjacency's ingress returns %d: %s", err, error.text);
}

/* An adjacency takes the ingress of another one: first with flows of one tuple on both, then without. */
static void move_beside(fo_adj_id id, unsigned int round)
{
	struct fo_flow flow;
	struct fo_adj adj;
	fo_flow_id two[2];

	library_flow(&library, &flow, POPULATION_ABSENT);
	for (unsigned int i = 0; i < 2; i++) {
		flow.adj[0] = i ? id : vlan[0];
		flow.tuple[1].dport_be ^= (uint16_t)i;
		if (add(&flow, &two[i]))
			bench_fail("no room for one tuple behind two VLANs");
	}
	describe_vlan(&adj, 1, round % 1000);
	take_ingress(id, &adj, -EEXIST);
	for (unsigned int i = 0; i < 2; i++)
		del(two[i]);
	take_ingress(id, &adj, 0);
}

static void update_adjacencies(unsigned int round, int ingress)
{
	struct fo_error error;
	struct fo_adj adj;
	fo_adj_id id;
	int err;

	frame_adj(&net, &adj, 1, round % 1000);
	meter_begin();
	err = fo_adj_update(library.table, library.server, &adj, &error);
	checked(ADJ_UPDATE, err, &error);
	describe_vlan(&adj, 4000, round % 1000);
	meter_begin();
	err = fo_adj_add(library.table, &adj, &id, &error);
	checked(ADJ_ADD, err, &error);
	if (ingress)
		move_beside(id, round);
	meter_begin();
	err = fo_adj_del(library.table, id, &error);
	checked(ADJ_DEL, err, &error);
}

/* ---- rarer events ---- */

/* One tuple behind many VLANs: all of one hash. */
static void crowd(unsigned int round)
{
	struct fo_flow flow;
	unsigned int count = 0;
	int err = 0;

	while (count < TWINS && !err) {
		library_flow(&library, &flow, POPULATION_ABSENT + round);
		/* replies must differ, or they are one key */
		flow.tuple[1].dport_be = (uint16_t)(flow.tuple[1].dport_be ^ count);
		flow.adj[0] = vlan[count];
		err = add(&flow, &twins[count]);
		count += !err;
	}
	if (!err)
		bench_note(meter_bench, "the index was not crowded by one tuple behind many VLANs");
	while (count)
		del(twins[--count]);
}

/* All at once; then polls until they are done and their events have come. */
static void invalidate_some(void)
{
	struct fo_match match;
	struct fo_error error;
	int err;

	FO_INIT(&match);
	match.mask = FO_MATCH_TAG;
	for (unsigned int i = 0; i < INVALIDATIONS; i++) {
		match.tag = DOOMED_TAG + i;
		meter_begin();
		err = fo_invalidate(library.table, &match, &error);
		checked(INVALIDATE, err, &error);
	}
	do {
		poll_table();
	} while (fo_table_deadline(library.table) <= bench_now() / 1000000);
}

static void between(uint64_t step, uint32_t below)
{
	uint32_t rotate_every = population.connections / 4 + POLL_EVERY;

	if (step % POLL_EVERY == 0)
		poll_table();
	if (step % 16 == 0)
		ask(bench_below(&population.draw, below));
	if (step % 256 == 0) {
		count_table();
		update_adjacencies((unsigned int)(step / 256), step % SELDOM < 256);
	}
	if (step % SELDOM == SELDOM - 1)
		invalidate_some();
	if (step % rotate_every == rotate_every / 2)
		crowd((unsigned int)(step / rotate_every));
}

static void live(void)
{
	struct fo_flow flow;

	for (uint32_t place = 0; place < population.connections; place++) {
		flow_at(&flow, place);
		if (add(&flow, &ids[place]))
			bench_fail("no room for connection %u", place);
		between(place, place + 1);
	}
	for (uint64_t i = 0; i < 2 * (uint64_t)population.connections; i++) {
		uint32_t place;

		(void)population_replace(&population, &place);
		del(ids[place]);
		flow_at(&flow, place);
		if (add(&flow, &ids[place]))
			bench_fail("no room for connection %u", population.number[place]);
		between(i, population.connections);
	}
}

/* ---- results ---- */

static void print_one(const char *name, double *values, uint32_t count, uint32_t size)
{
	char full[64];
	double most;

	if (!count)
		return;
	snprintf(full, sizeof(full), "%s-p999", name);
	bench_figure(meter_bench, full, size, bench_permille(values, count, 999), meter_unit);
	most = values[count - 1]; /* sorted by now */
	snprintf(full, sizeof(full), "%s-most", name);
	bench_figure(meter_bench, full, size, most, meter_unit);
}

static void print(uint32_t size)
{
	uint32_t count = 0, all = 0;
	double *any;

	for (unsigned int call = 0; call < CALLS; call++)
		all += costs[call].count;
	any = bench_memory(all * sizeof(*any));
	for (unsigned int call = 0; call < CALLS; call++) {
		for (uint32_t i = 0; i < costs[call].count; i++)
			any[count++] = costs[call].at[i];
		print_one(names[call], costs[call].at, costs[call].count, size);
	}
	print_one("any", any, count, size);
	bench_figure(meter_bench, "rotations", size, (double)rotations, "rotations");
	bench_memory_free(any, all * sizeof(*any));
}

static void run_size(uint32_t size)
{
	uint32_t connections = size / 2, room = 4 * connections + 65536;
	struct fo_table_options options;
	struct fo_error error;
	struct fo_adj adj;

	population_open(&population, &net, connections);
	ids = bench_memory(connections * sizeof(*ids));
	for (unsigned int call = 0; call < CALLS; call++)
		costs[call] = (struct costs){bench_memory(room * sizeof(double)), 0, room};
	library_options(&options, connections + SPARE);
	library_create(&library, &net, connections, &options);
	for (unsigned int i = 0; i < TWINS; i++) {
		describe_vlan(&adj, 1 + i, i);
		library_check(fo_adj_add(library.table, &adj, &vlan[i], &error), &error);
	}
	live();
	count_table();
	print(size);
	library_destroy(&library);
	for (unsigned int call = 0; call < CALLS; call++)
		bench_memory_free(costs[call].at, room * sizeof(double));
	bench_memory_free(ids, connections * sizeof(*ids));
	population_close(&population);
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "1000000");
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i]);
	return 0;
}
