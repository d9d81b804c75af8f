/* SPDX-License-Identifier: BSD-2-Clause */
/* library.c - a table of the soft backend. See library.h. */
#include "library.h"

#include <string.h>

#include "bench.h"

void library_check(int err, const struct fo_error *error)
{
	if (err)
		bench_fail("%s: %s", error->field, error->text);
}

void library_options(struct fo_table_options *options, uint32_t connections)
{
	static struct fo_port ports[2];

	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	FO_INIT(options);
	options->backend = "soft";
	options->capacity = connections;
	options->max_workers = 2;
	options->ports = ports;
	options->n_ports = 2;
}

void library_create(struct library *library, const struct net *net, uint32_t connections,
		    const struct fo_table_options *options)
{
	struct fo_table_options plain;
	struct fo_error error;
	struct fo_adj adj;

	if (!options) {
		library_options(&plain, connections);
		options = &plain;
	}
	memset(library, 0, sizeof(*library));
	library->net = *net;
	library->clock_ms = options->clock_ms;
	library->common.timeout_ms = FO_TIMEOUT_NEVER;
	library_check(fo_table_create(options, &library->table, &error), &error);
	library->client = bench_memory(net->clients * sizeof(*library->client));
	for (uint32_t i = 0; i < net->clients; i++) {
		frame_adj(net, &adj, 0, i);
		library_check(fo_adj_add(library->table, &adj, &library->client[i], &error), &error);
	}
	frame_adj(net, &adj, 1, 0);
	library_check(fo_adj_add(library->table, &adj, &library->server, &error), &error);
}

void library_destroy(struct library *library)
{
	fo_table_destroy(library->table);
	bench_memory_free(library->client, library->net.clients * sizeof(*library->client));
}

void library_flow(const struct library *library, struct fo_flow *flow, uint32_t n)
{
	frame_flow(&library->net, flow, n);
	flow->adj[FO_ORIGINAL] = library->client[n % library->net.clients];
	flow->adj[FO_REPLY] = library->server;
	flow->timeout_ms = library->common.timeout_ms;
	flow->tag = library->common.tag;
	flow->scope = library->common.scope;
}

fo_flow_id library_add(const struct library *library, uint32_t n)
{
	struct fo_error error;
	struct fo_flow flow;
	fo_flow_id id;

	library_flow(library, &flow, n);
	library_check(fo_flow_add(library->table, &flow, &id, &error), &error);
	return id;
}

void library_del(const struct library *library, fo_flow_id id)
{
	struct fo_flow_counters last;
	struct fo_error error;

	FO_INIT(&last);
	library_check(fo_flow_del(library->table, id, &last, &error), &error);
	if (!(last.flags & FO_STATS_FINAL))
		bench_fail("counters are not final although no worker runs");
}

static void poll_once(const struct library *library)
{
	struct fo_error error;

	library_check(fo_table_poll(library->table, 0, 0, NULL, NULL, &error) < 0, &error);
}

static uint64_t now_ms(const struct library *library)
{
	return library->clock_ms ? library->clock_ms(NULL) : bench_now() / 1000000;
}

void library_settle(const struct library *library)
{
	struct fo_error error;

	library_check(fo_table_sync(library->table, 600000, &error), &error);
	do {
		poll_once(library);
	} while (fo_table_deadline(library->table) <= now_ms(library));
}

void library_populate(const struct library *library, struct population *population, fo_flow_id *ids)
{
	uint64_t replacements = population_replacements(population);

	population_begin(population);
	for (uint32_t place = 0; place < population->connections; place++)
		ids[place] = library_add(library, place);
	for (uint64_t i = 0; i < replacements; i++) {
		uint32_t place;

		(void)population_replace(population, &place);
		library_del(library, ids[place]);
		ids[place] = library_add(library, population->number[place]);
		if (i % BENCH_CHUNK == 0)
			poll_once(library);
	}
	library_settle(library);
}

struct fo_worker *library_worker(const struct library *library)
{
	struct fo_worker *worker;
	struct fo_error error;

	library_check(fo_worker_open(library->table, NULL, &worker, &error), &error);
	return worker;
}
