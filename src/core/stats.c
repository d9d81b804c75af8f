/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - fo_stats(): the table's counters, summed over flows, workers and the backend. */
#include "core/table.h"

static void add_workers(const struct fo_table *table, struct fo_table_counters *sum)
{
	for (uint32_t i = 0; i < table->store->max_workers; i++) {
		const struct fo_worker *worker = &table->store->workers[i];

		sum->forwarded_packets += fo__count_read(&worker->forwarded_packets);
		sum->forwarded_bytes += fo__count_read(&worker->forwarded_bytes);
		for (unsigned int reason = 0; reason < FO_R_PACKET_MAX; reason++)
			sum->passed[reason] += fo__count_read(&worker->passed[reason]);
		if (fo__load_relaxed(&worker->aggregated))
			sum->flags |= FO_STATS_GRO_AGGREGATED;
	}
}

static uint64_t index_moves(const struct fo_flowtable *store)
{
	const struct fo__index *next = fo__load_relaxed(&store->next);

	return store->moves + fo__load_relaxed(&store->cur)->moves + (next ? next->moves : 0);
}

int fo_stats(struct fo_table *table, struct fo_table_counters *out, struct fo_error *err)
{
	const struct fo_flowtable *store;
	struct fo_table_counters sum;

	if (!table)
		return fo__no_table(err);
	store = table->store;
	FO_INIT(&sum);
	sum.flows = store->living;
	sum.closing = store->closing;
	sum.capacity = store->capacity;
	sum.adjacencies = table->n_adjs;
	sum.added = table->added;
	sum.refused = table->refused;
	memcpy(sum.ended, table->ended, sizeof(sum.ended));
	sum.forwarded_packets = table->host_packets;
	sum.forwarded_bytes = table->host_bytes;
	sum.flags = store->stats_flags | FO_STATS_PACKETS | FO_STATS_BYTES;
	sum.index_moves = index_moves(store);
	sum.index_rotations = store->rotations;
	sum.memory = store->memory.bytes;
	sum.workers = fo__workers_open(table);
	add_workers(table, &sum);
	return fo__give(out, &sum, sizeof(sum), offsetof(struct fo_table_counters, forwarded_packets), "out",
			err);
}
