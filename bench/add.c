/* SPDX-License-Identifier: BSD-2-Clause */
/* add.c - control's work on connections, against two rte_hash adds (and two deletes) and the records, which the rival has
 * ready and copies (rival.h). Nanoseconds are per connection; n counts directions, two for each.
 *
 *   v4-fill      an empty table filled, growth included; by the thread's own clock
 *   v4-add       connections added to a table in use (population.h) that lacks BENCH_CHUNK of them
 *   v4-replace   one deleted and one added in a full table in use
 *   v4-full      an add that is refused because the table is full: a figure
 *
 * Connections are described outside the timed part. After each round every connection is looked for.
 */
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "cores.h"
#include "library.h"
#include "rival.h"

static const struct net net = {.clients = 1};

struct party {
	struct population population; /* each has its own, since each draws its own replacements */
	struct library library;
	fo_flow_id *ids; /* by place */
	struct rival *rival;
	int is_rival, lock_free;
	/* the chunk at hand */
	uint32_t place[BENCH_CHUNK];
	fo_flow_id old_id[BENCH_CHUNK];
	struct fo_flow flow[BENCH_CHUNK];
	struct rival_item old[BENCH_CHUNK], item[BENCH_CHUNK];
};

static void party_open(struct party *party)
{
	if (party->is_rival)
		party->rival = rival_open(&party->population, party->lock_free, 1);
	else
		library_create(&party->library, &net, party->population.connections, NULL);
}

static void party_close(struct party *party)
{
	if (party->is_rival)
		rival_close(party->rival);
	else
		library_destroy(&party->library);
}

/* With the history behind it. */
static void party_open_used(struct party *party)
{
	if (party->is_rival) {
		party->rival = rival_populated(&party->population, party->lock_free);
		return;
	}
	library_create(&party->library, &net, party->population.connections, NULL);
	library_populate(&party->library, &party->population, party->ids);
}

static void describe(struct party *party, unsigned int i, uint32_t number)
{
	if (party->is_rival)
		rival_describe(party->rival, &party->item[i], number);
	else
		library_flow(&party->library, &party->flow[i], number);
}

static void add(struct party *party, unsigned int i)
{
	struct fo_error error;

	if (party->is_rival) {
		if (rival_add(party->rival, &party->item[i]))
			bench_fail("rte_hash refuses a connection; of a power of two it takes not all: "
				   "choose another size");
		return;
	}
	library_check(
		fo_flow_add(party->library.table, &party->flow[i], &party->ids[party->place[i]], &error),
		&error);
}

static void del(struct party *party, unsigned int i)
{
	if (!party->is_rival)
		library_del(&party->library, party->old_id[i]);
	else if (rival_del(party->rival, &party->old[i]))
		bench_fail("rte_hash does not delete a connection");
}

/* ---- every connection is there, and nothing else ---- */

static void verify_rival(const struct party *party)
{
	for (uint32_t place = 0; place < party->population.connections; place++) {
		struct rival_item item;

		rival_describe(party->rival, &item, party->population.number[place]);
		if (!rival_has(party->rival, &item))
			bench_fail("rte_hash has lost connection %u", party->population.number[place]);
	}
}

static void verify(const struct party *party)
{
	struct fo_table_counters counters;
	struct fo_error error;

	if (party->is_rival) {
		verify_rival(party);
		return;
	}
	FO_INIT(&counters);
	library_check(fo_stats(party->library.table, &counters, &error), &error);
	if (counters.flows != party->population.connections)
		bench_fail("%u connections, not %u", (unsigned int)counters.flows,
			   party->population.connections);
	for (uint32_t place = 0; place < party->population.connections; place++) {
		struct fo_flow flow;
		struct fo_key key;
		fo_flow_id id;

		frame_flow(&net, &flow, party->population.number[place]);
		FO_INIT(&key);
		key.tuple = flow.tuple[place & 1];
		key.port = FO_PORT_ANY;
		library_check(fo_flow_find(party->library.table, &key, &id, NULL, &error), &error);
		if (id != party->ids[place])
			bench_fail("connection %u is another's", party->population.number[place]);
	}
}

/* ---- cases ---- */

static double fill_round(void *ctx)
{
	struct party *party = ctx;
	uint32_t connections = party->population.connections;
	uint64_t spent = 0;

	population_begin(&party->population);
	party_open(party);
	for (uint32_t begin = 0; begin < connections; begin += BENCH_CHUNK) {
		uint32_t count = connections - begin < BENCH_CHUNK ? connections - begin : BENCH_CHUNK;
		uint64_t start;

		for (uint32_t i = 0; i < count; i++) {
			party->place[i] = begin + i;
			describe(party, i, begin + i);
		}
		start = cores_cpu_now();
		for (uint32_t i = 0; i < count; i++)
			add(party, i);
		spent += cores_cpu_now() - start;
	}
	verify(party);
	party_close(party);
	return (double)spent / connections;
}

static void replace_prepare(void *ctx)
{
	struct party *party = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t old = population_replace(&party->population, &party->place[i]);

		if (party->is_rival)
			rival_describe(party->rival, &party->old[i], old);
		describe(party, i, party->population.number[party->place[i]]);
	}
}

static void replace_run(void *ctx)
{
	struct party *party = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		party->old_id[i] = party->is_rival ? 0 : party->ids[party->place[i]];
		del(party, i);
		add(party, i);
	}
}

/* A chunk of neighbouring places, from a place drawn, goes; a chunk comes. */
static void add_prepare(void *ctx)
{
	struct party *party = ctx;
	uint32_t connections = party->population.connections, stride = connections / BENCH_CHUNK, first;

	first = bench_below(&party->population.draw, connections);
	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t place = (uint32_t)((first + (uint64_t)i * stride) % connections);

		party->place[i] = place;
		party->old_id[i] = party->is_rival ? 0 : party->ids[place];
		if (party->is_rival)
			rival_describe(party->rival, &party->old[i], party->population.number[place]);
		party->population.number[place] += connections;
		describe(party, i, party->population.number[place]);
		del(party, i);
	}
}

static void add_run(void *ctx)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++)
		add(ctx, i);
}

static double replace_round(void *ctx)
{
	double ns = bench_chunks(replace_prepare, replace_run, ctx);

	verify(ctx);
	return ns;
}

static double add_round(void *ctx)
{
	double ns = bench_chunks(add_prepare, add_run, ctx);

	verify(ctx);
	return ns;
}

/* Adds of connections that the table does not have, every one refused. */
static void full_run(void *ctx)
{
	struct party *party = ctx;
	struct fo_error error;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		fo_flow_id id;

		if (fo_flow_add(party->library.table, &party->flow[i], &id, &error) != -ENOSPC)
			bench_fail("a full table does not refuse a connection");
	}
}

static void full_prepare(void *ctx)
{
	struct party *party = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++)
		library_flow(&party->library, &party->flow[i],
			     POPULATION_ABSENT +
				     bench_below(&party->population.draw, party->population.connections));
}

static void full(struct party *party, uint32_t size, unsigned int rounds)
{
	double *ns = bench_memory(rounds * sizeof(*ns));

	for (unsigned int round = 0; round < rounds; round++)
		ns[round] = bench_chunks(full_prepare, full_run, party);
	bench_figure("add", "v4-full", size, bench_median(ns, rounds) / 1000, "us");
	bench_memory_free(ns, rounds * sizeof(*ns));
	verify(party);
}

static void in_use(uint32_t size, const struct bench_options *options, struct party *parties,
		   unsigned int count, const char *const *names)
{
	struct contestant adds[3], replaces[3];

	for (unsigned int i = 0; i < count; i++) {
		adds[i] = (struct contestant){names[i], add_round, NULL, &parties[i], NULL};
		replaces[i] = (struct contestant){names[i], replace_round, NULL, &parties[i], NULL};
		party_open_used(&parties[i]);
	}
	if (size >= 2 * BENCH_CHUNK && bench_wanted(options, "v4-add") &&
	    bench_case("add", "v4-add", size, options, adds, count))
		bench_fail("no memory");
	if (bench_wanted(options, "v4-replace") &&
	    bench_case("add", "v4-replace", size, options, replaces, count))
		bench_fail("no memory");
	if (bench_wanted(options, "v4-full"))
		full(&parties[0], size, options->rounds);
	for (unsigned int i = 0; i < count; i++)
		party_close(&parties[i]);
}

static void run_size(uint32_t size, const struct bench_options *options, struct party *parties,
		     unsigned int count)
{
	static const char *const names[] = {"flowoffload", "rte_hash", "rte_hash-lf"};
	struct contestant fills[3];
	uint32_t connections = size / 2;

	for (unsigned int i = 0; i < count; i++) {
		memset(&parties[i], 0, sizeof(parties[i]));
		population_open(&parties[i].population, &net, connections);
		parties[i].is_rival = i > 0;
		parties[i].lock_free = i == 2;
		parties[i].ids = bench_memory(connections * sizeof(*parties[i].ids));
		fills[i] = (struct contestant){names[i], fill_round, NULL, &parties[i], NULL};
	}
	if (bench_wanted(options, "v4-fill") && bench_case("add", "v4-fill", size, options, fills, count))
		bench_fail("no memory");
	if (bench_wanted(options, "v4-add") || bench_wanted(options, "v4-replace") ||
	    bench_wanted(options, "v4-full"))
		in_use(size, options, parties, count, names);
	for (unsigned int i = 0; i < count; i++) {
		bench_memory_free(parties[i].ids, connections * sizeof(*parties[i].ids));
		population_close(&parties[i].population);
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct party *parties = bench_memory(3 * sizeof(*parties));
	const char *why;

	bench_options_read(&options, argc, argv, "60000,1000000");
	why = peers_open(256 + options.largest / 1250);
	if (why)
		bench_note("add", why);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i], &options, parties, why ? 1 : 3);
	bench_memory_free(parties, 3 * sizeof(*parties));
	return 0;
}
