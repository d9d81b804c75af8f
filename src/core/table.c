/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - open and close a table: options, store, backend. */
#include "core/table.h"

#include <errno.h>
#include <time.h>

#include "core/calls.h"
#include "core/registry.h"

static uint64_t monotonic_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#ifdef CLOCK_MONOTONIC_COARSE
static uint64_t coarse_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Milliseconds that the coarse clock may be behind; 0: it is not to be used. */
static uint32_t coarse_slack(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || tick.tv_nsec > 20000000)
		return 0;
	return (uint32_t)(tick.tv_nsec / 1000000) + 1;
}
#endif

/* The caller's clock is asked each time; of the system's there is one that costs a quarter. */
static void set_up_clock(struct fo_table *table, const struct fo_table_options *options)
{
	table->clock_ms = options->clock_ms ? options->clock_ms : monotonic_ms;
	table->clock_ctx = options->clock_ctx;
	table->about_ms = table->clock_ms;
#ifdef CLOCK_MONOTONIC_COARSE
	if (!options->clock_ms)
		table->slack_ms = coarse_slack();
	if (table->slack_ms)
		table->about_ms = coarse_ms;
#endif
}

int fo__no_table(struct fo_error *err)
{
	return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "table",
			"table is NULL: pass what fo_table_create() gave");
}

static int open_store(const struct fo_table_options *options, struct fo_flowtable **out, struct fo_error *err)
{
	struct fo__store_options store = {
		.capacity = options->capacity,
		.max_workers = options->max_workers,
		.hash = options->hash == FO_HASH_SIPHASH ? FO__HASH_SIPHASH : FO__HASH_FAST,
		.allocator = options->allocator,
	};
	int code = fo__store_open(&store, out);

	return code ? fo__fail(err, code, FO_R_MEMORY, FO_STAGE_RESOLVE, "capacity",
			       "no memory for %u connections; lower capacity or max_workers",
			       options->capacity)
		    : 0;
}

static void set_up(struct fo_table *table, const struct fo_table_options *options)
{
	set_up_clock(table, options);
	table->timeout_tcp_ms = options->timeout_tcp_ms;
	table->timeout_udp_ms = options->timeout_udp_ms;
	table->timeout_icmp_ms = options->timeout_icmp_ms;
	table->stall_ms = options->stall_ms;
	table->persists = (options->flags & FO_TABLE_PERSIST) != 0;
	table->timer_fd = table->epoll_fd = -1;
	table->armed_ms = UINT64_MAX;
	table->sweep_next_ms = UINT64_MAX;
	fo__jobs_open(table);
}

/* The struct itself and its arrays come from the store's memory, so that one balance covers all. */
static int allocate(struct fo_flowtable *store, const struct fo_table_options *options, struct fo_table **out,
		    struct fo_error *err)
{
	struct fo_table *table = fo__alloc(&store->memory, sizeof(*table), 64);

	if (!table)
		goto no_memory;
	table->store = store;
	set_up(table, options);
	table->recent = fo__alloc(&store->memory, FO__RECENT * sizeof(*table->recent), 64);
	if (!table->recent)
		goto no_recent;
	table->notices = fo__alloc(&store->memory, FO__NOTICES * sizeof(*table->notices), 64);
	if (!table->notices)
		goto no_notices;
	if (fo__ports_take(table, options))
		goto no_ports;
	*out = table;
	return 0;

no_ports:
	fo__free(&store->memory, table->notices, FO__NOTICES * sizeof(*table->notices));
no_notices:
	fo__free(&store->memory, table->recent, FO__RECENT * sizeof(*table->recent));
no_recent:
	fo__free(&store->memory, table, sizeof(*table));
no_memory:
	return fo__fail(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, NULL, "no memory for the table");
}

static void release(struct fo_table *table)
{
	struct fo_flowtable *store = table->store;

	fo__fd_close(table);
	fo__adjs_free(table);
	fo__policies_free(table);
	fo__jobs_free(table);
	fo__free(&store->memory, table->ports, table->port_room * sizeof(*table->ports));
	fo__free(&store->memory, table->notices, FO__NOTICES * sizeof(*table->notices));
	fo__free(&store->memory, table->recent, FO__RECENT * sizeof(*table->recent));
	fo__free(&store->memory, table, sizeof(*table));
}

static int open_backend(struct fo_table *table, const struct fo_table_options *options, struct fo_error *err)
{
	struct fo_backend_config config = {
		.size = sizeof(config),
		.options = options,
		.host = (struct fo_host *)table,
		.ops = &fo__host_ops,
		.slots = table->store->slots,
		.store = table->store,
	};

	return fo__call_create(table, &config, err);
}

int fo_table_create(const struct fo_table_options *opts, struct fo_table **out, struct fo_error *err)
{
	struct fo_table_options options;
	struct fo__choice choice;
	struct fo_flowtable *store;
	struct fo_table *table = NULL;
	int code = fo__check_options(opts, &options, err);

	if (!code && !out)
		code = fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the table goes");
	if (!code)
		code = fo__backend_choose(&options, &choice, err);
	if (!code)
		code = open_store(&options, &store, err);
	if (code)
		return code;
	code = allocate(store, &options, &table, err);
	if (code)
		goto no_table;
	table->backend = choice.backend;
	/* A backend that can do more than one thing does what it was chosen for. */
	options.needs |= choice.needs;
	code = open_backend(table, &options, err);
	if (code)
		goto no_backend;
	memcpy(table->caps.choice, choice.why, sizeof(table->caps.choice));
	*out = table;
	return 0;

no_backend:
	release(table);
no_table:
	fo__store_close(store);
	return code;
}

void fo_table_destroy(struct fo_table *table)
{
	struct fo_flowtable *store;

	if (!table || table->polling)
		return;
	store = table->store;
	fo__store_release(&store->gone, 1);
	table->backend->destroy(table->priv);
	release(table);
	fo__store_close(store);
}

int fo_table_caps(const struct fo_table *table, struct fo_caps *caps, struct fo_error *err)
{
	int code = fo__need_table(table, err);

	if (code)
		return code;
	return fo__give(caps, &table->caps, sizeof(table->caps), offsetof(struct fo_caps, max_flows), "caps",
			err);
}
