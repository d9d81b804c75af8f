/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - workers as control sees them: opened, closed, watched for stalls. What they do: fastpath/run.c. */
#include "core/table.h"

#include <errno.h>

#define OPTIONS_MIN offsetof(struct fo_worker_options, flags)

int fo_worker_open(struct fo_table *table, const struct fo_worker_options *opts, struct fo_worker **out,
		   struct fo_error *err)
{
	struct fo_worker_options options;
	int code = fo__need_table(table, err);

	FO_INIT(&options);
	if (!code && opts)
		code = fo__take(&options, sizeof(options), OPTIONS_MIN, opts, "opts", err);
	if (code)
		return code;
	if (!out)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the worker goes");
	if (options.packet_size && options.packet_size != sizeof(struct fo_packet))
		return fo__fail(
			err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "packet_size",
			"struct fo_packet has %zu bytes here, not %zu; compile against this library's header",
			sizeof(struct fo_packet), options.packet_size);
	if (options.flags & ~FO_WORKER_FLOW_IDS || options.reserved)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE,
				options.reserved ? "reserved" : "flags",
				"unknown bits are set; leave them zero");
	if (!(table->caps.can & FO_CAP_WORKER))
		return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, NULL,
				"backend %s has no workers, its packets do not come through this process; "
				"use backend soft",
				table->backend->name);
	if (fo__worker_claim(table->store, options.flags, out))
		return fo__fail(err, -ENOSPC, FO_R_WORKERS, FO_STAGE_RESOLVE, NULL,
				"%u workers are open, as many as fo_table_options.max_workers allows",
				table->store->max_workers);
	return 0;
}

void fo_worker_close(struct fo_worker *worker)
{
	if (worker)
		fo__worker_release(worker);
}

uint32_t fo__workers_open(const struct fo_table *table)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < table->store->max_workers; i++)
		open += fo__load_relaxed(&table->store->workers[i].open);
	return open;
}

int fo__worker_inside(const struct fo_table *table)
{
	for (uint32_t i = 0; i < table->store->max_workers; i++)
		if (fo__load_seq(&table->store->workers[i].epoch))
			return (int)i;
	return -1;
}

/* True when the worker's stall has begun or ended since it was last looked at. */
static int changed(const struct fo_table *table, struct fo_worker *worker, uint64_t now)
{
	uint32_t runs = fo__load_relaxed(&worker->runs);
	int inside = fo__load_relaxed(&worker->epoch) != 0;

	if (!inside || runs != worker->seen_runs || !worker->seen_ms) {
		worker->seen_runs = runs;
		worker->seen_ms = inside ? now : 0;
		if (!worker->stalled)
			return 0;
		worker->stalled = 0;
		return 1;
	}
	if (worker->stalled || now - worker->seen_ms < table->stall_ms)
		return 0;
	worker->stalled = 1;
	return 1;
}

unsigned int fo__watch_workers(struct fo_table *table, fo_event_cb cb, void *arg, unsigned int max)
{
	uint64_t now = fo__now(table);
	unsigned int delivered = 0;

	for (uint32_t i = 0; i < table->store->max_workers && delivered < max; i++) {
		struct fo_worker *worker = &table->store->workers[i];
		struct fo_event event;

		if (!changed(table, worker, now))
			continue;
		FO_INIT(&event);
		event.kind = FO_EV_WORKER;
		event.reason = worker->stalled ? FO_R_STALLED : FO_R_NONE;
		event.worker = i;
		event.counters.size = sizeof(event.counters);
		delivered++;
		if (cb)
			cb(arg, &event);
	}
	return delivered;
}
