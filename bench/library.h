/* SPDX-License-Identifier: BSD-2-Clause */
/* library.h - a table of the soft backend between the sides of frames.h, by the public API, and the history of
 * population.h played to it. Every call ends the program when it fails.
 */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include "flowoffload.h"
#include "frames.h"
#include "population.h"

struct library {
	struct fo_table *table;
	struct net net;
	fo_adj_id *client; /* net.clients of them */
	fo_adj_id server;
	uint64_t (*clock_ms)(void *ctx); /* NULL: the table's own */
	struct fo_flow common; /* timeout, tag and scope of flows to come; they never age unless changed */
};

/* The options of a table for so many connections: soft, a worker for each processor that benchmarks use. */
void library_options(struct fo_table_options *options, uint32_t connections);

/* An empty table. options: as library_options() and changed, or NULL. */
void library_create(struct library *library, const struct net *net, uint32_t connections,
		    const struct fo_table_options *options);
void library_destroy(struct library *library);

/* The whole of connection n, ready for fo_flow_add(). */
void library_flow(const struct library *library, struct fo_flow *flow, uint32_t n);

fo_flow_id library_add(const struct library *library, uint32_t n);
/* With no worker in a burst: the counters are final. */
void library_del(const struct library *library, fo_flow_id id);

/* Play the history to an empty table and let it finish its upkeep. ids: by place. */
void library_populate(const struct library *library, struct population *population, fo_flow_id *ids);

/* Poll until nothing is left of growth, of passes over the table, of what ended and of its events. */
void library_settle(const struct library *library);

struct fo_worker *library_worker(const struct library *library);

/* End the program with the library's words when err is not 0. */
void library_check(int err, const struct fo_error *error);

#endif
