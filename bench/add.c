/* SPDX-License-Identifier: BSD-2-Clause */
/* add.c - control's work: adding connections to an empty table until it is full, growth included, and replacing them
 * in a full one (one fo_flow_del() and one fo_flow_add()), against two rte_hash adds (and two deletes) and the same
 * records filled in and copied (rival.h). Nanoseconds are per connection; n counts directions, two for each.
 *
 * Connections are described outside the timed part. After each round every connection is looked for.
 */
#include <string.h>

#include "bench.h"
#include "keys.h"
#include "library.h"
#include "rival.h"

static uint32_t connections;

struct party {
	struct library library;
	fo_flow_id *ids;
	uint32_t *number; /* by place: which connection is there */
	struct rival *rival;
	int is_rival, lock_free;
	struct bench_draw order;
	/* the chunk at hand */
	uint32_t place[BENCH_CHUNK];
	struct fo_flow old[BENCH_CHUNK];
	struct fo_flow flow[BENCH_CHUNK];
};

static void party_open(struct party *party)
{
	if (party->is_rival)
		party->rival = rival_open(2 * connections, party->lock_free);
	else
		library_create(&party->library, connections);
}

static void party_close(struct party *party)
{
	if (party->is_rival)
		rival_close(party->rival);
	else
		fo_table_destroy(party->library.table);
}

static void add(struct party *party, unsigned int i)
{
	if (!party->is_rival)
		party->ids[party->place[i]] = library_add(&party->library, &party->flow[i]);
	else if (rival_add(party->rival, &party->flow[i]))
		bench_fail("rte_hash refuses a connection");
}

static void del(struct party *party, unsigned int i)
{
	struct fo_flow_counters last;
	struct fo_error error;

	if (party->is_rival) {
		if (rival_del(party->rival, &party->old[i]))
			bench_fail("rte_hash does not delete a connection");
		return;
	}
	FO_INIT(&last);
	library_check(fo_flow_del(party->library.table, party->ids[party->place[i]], &last, &error), &error);
	if (!(last.flags & FO_STATS_FINAL))
		bench_fail("counters are not final although no worker runs");
}

/* Every connection is there, and nothing else. */
static void verify(struct party *party)
{
	struct fo_table_counters counters;
	struct fo_error error;

	if (party->is_rival)
		return;
	FO_INIT(&counters);
	library_check(fo_stats(party->library.table, &counters, &error), &error);
	if (counters.flows != connections)
		bench_fail("%u connections, not %u", (unsigned int)counters.flows, connections);
	for (uint32_t place = 0; place < connections; place++) {
		struct fo_flow flow;
		struct fo_key key;
		fo_flow_id id;

		key_flow(&flow, party->number[place], 0);
		FO_INIT(&key);
		key.tuple = flow.tuple[place & 1];
		key.port = FO_PORT_ANY;
		library_check(fo_flow_find(party->library.table, &key, &id, NULL, &error), &error);
		if (id != party->ids[place])
			bench_fail("connection %u is another's", party->number[place]);
	}
}

static void fill(struct party *party, uint64_t *spent)
{
	for (uint32_t begin = 0; begin < connections; begin += BENCH_CHUNK) {
		uint32_t count = connections - begin < BENCH_CHUNK ? connections - begin : BENCH_CHUNK;
		uint64_t start;

		for (uint32_t i = 0; i < count; i++) {
			party->place[i] = begin + i;
			party->number[begin + i] = begin + i;
			key_flow(&party->flow[i], begin + i, 0);
		}
		start = bench_now();
		for (uint32_t i = 0; i < count; i++)
			add(party, i);
		*spent += bench_now() - start;
	}
}

static double fill_round(void *ctx)
{
	struct party *party = ctx;
	uint64_t spent = 0;

	party_open(party);
	fill(party, &spent);
	verify(party);
	party_close(party);
	return (double)spent / connections;
}

/* The one at a place drawn goes; the next generation's number of that place comes. */
static void replace_prepare(void *ctx)
{
	struct party *party = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t place = bench_below(&party->order, connections), now = party->number[place];

		party->place[i] = place;
		party->number[place] = now < connections ? now + connections : now - connections;
		key_flow(&party->old[i], now, 0);
		key_flow(&party->flow[i], party->number[place], 0);
	}
}

static void replace_run(void *ctx)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		del(ctx, i);
		add(ctx, i);
	}
}

static double replace_round(void *ctx)
{
	double ns = bench_chunks(replace_prepare, replace_run, ctx);

	verify(ctx);
	return ns;
}

static void replace_warm_up(void *ctx)
{
	for (uint32_t done = 0; done < connections; done += BENCH_CHUNK) {
		replace_prepare(ctx);
		replace_run(ctx);
	}
}

static void run_size(uint32_t size, const struct bench_options *options, struct party *parties,
		     unsigned int count)
{
	static const char *const names[] = {"flowoffload", "rte_hash", "rte_hash-lf"};
	struct contestant fills[3], replaces[3];

	connections = size / 2;
	for (unsigned int i = 0; i < count; i++) {
		memset(&parties[i], 0, sizeof(parties[i]));
		parties[i].is_rival = i > 0;
		parties[i].lock_free = i == 2;
		parties[i].ids = bench_memory(connections * sizeof(*parties[i].ids));
		parties[i].number = bench_memory(connections * sizeof(*parties[i].number));
		fills[i] = (struct contestant){names[i], fill_round, NULL, &parties[i], NULL};
		replaces[i] =
			(struct contestant){names[i], replace_round, replace_warm_up, &parties[i], NULL};
	}
	if (bench_wanted(options, "v4-fill") && bench_case("add", "v4-fill", size, options, fills, count))
		bench_fail("no memory");
	if (bench_wanted(options, "v4-replace")) {
		uint64_t untimed = 0;

		for (unsigned int i = 0; i < count; i++) {
			party_open(&parties[i]);
			fill(&parties[i], &untimed);
		}
		if (bench_case("add", "v4-replace", size, options, replaces, count))
			bench_fail("no memory");
		for (unsigned int i = 0; i < count; i++)
			party_close(&parties[i]);
	}
	for (unsigned int i = 0; i < count; i++) {
		bench_memory_free(parties[i].ids, connections * sizeof(*parties[i].ids));
		bench_memory_free(parties[i].number, connections * sizeof(*parties[i].number));
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct party *parties = bench_memory(3 * sizeof(*parties));
	const char *why;

	bench_options_read(&options, argc, argv, "60000,1000000");
	why = peers_open(256 + options.largest / 2500);
	if (why)
		bench_note("add", why);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		run_size(options.sizes[i], &options, parties, why ? 1 : 3);
	bench_memory_free(parties, 3 * sizeof(*parties));
	return 0;
}
