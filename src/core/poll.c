/* SPDX-License-Identifier: BSD-2-Clause */
/* poll.c - fo_table_poll() and fo_table_sync(): the work that control calls leave for later, in slices. */
#include "core/table.h"

#include <errno.h>
#include <time.h>

/* A slice is bounded by the cache lines that it touches: these shares, once when a poll has next to no time, and so many
 * times as many between two looks at the clock when it has more. docs/ARCHITECTURE.md adds them up. */
#define REPORT_LINES  48
#define JOB_LINES     80
#define SWEEP_LINES   80
#define SETTLE_LINES  32
#define RECLAIM_SLOTS 24
#define TIMES_MOST    64
/* One time more for each so many microseconds: a slice takes a small part of the time that a poll has. */
#define US_A_TIME 8u
/* Cache lines that one flow takes which a worker has reported. */
#define A_REPORT_LINES 6

uint64_t fo__real_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void take_reports(struct fo_table *table, int lines)
{
	for (; lines > 0; lines -= A_REPORT_LINES) {
		uint32_t conn = fo__worker_reported(table->store);

		if (conn == FO__NO_SLOT)
			return;
		if (conn < table->store->high && table->store->cold[conn].life == FO__LIFE_LIVE)
			(void)fo__settle(table, conn);
	}
}

int fo__work_left(const struct fo_table *table)
{
	return table->n_jobs || table->sweep_limit || fo__upkeep_pending(table->store) ||
	       fo__worker_reports(table->store) || fo__drained_ready(table->store);
}

/* Returns whether slots or memory that waited for workers are free and have not been taken back. */
static int slice(struct fo_table *table, int times)
{
	take_reports(table, times * REPORT_LINES);
	(void)fo__jobs_run(table, times * JOB_LINES);
	(void)fo__sweep(table, times * SWEEP_LINES);
	for (int i = 0; i < times && fo__upkeep_pending(table->store); i++)
		fo__upkeep(table->store);
	(void)fo__settle_drained(table, times * SETTLE_LINES);
	return fo__reclaim_some(table->store, (unsigned int)(times * RECLAIM_SLOTS));
}

void fo__work(struct fo_table *table, unsigned int max_us)
{
	uint64_t now = fo__real_us(), until = now + max_us;
	int more;

	if (table->backend->poll) {
		table->backend->poll(table->priv, max_us);
		now = fo__real_us();
	}
	do {
		/* By what is left: a backend may have taken all of it. */
		uint64_t times = 1 + (now < until ? until - now : 0) / US_A_TIME;

		more = slice(table, times < TIMES_MOST ? (int)times : TIMES_MOST);
		now = fo__real_us();
	} while ((more || fo__work_left(table)) && now < until);
}

int fo_table_poll(struct fo_table *table, unsigned int max_events, unsigned int max_us, fo_event_cb cb,
		  void *arg, struct fo_error *err)
{
	unsigned int max = max_events ? max_events : INT32_MAX, delivered;

	if (!table)
		return fo__no_table(err);
	if (table->polling)
		return fo__fail(err, -EINVAL, FO_R_CALL_ORDER, FO_STAGE_VALIDATE, NULL,
				"fo_table_poll() was called from its own callback; return from it first");
	table->polling = 1;
	fo__work(table, max_us);
	delivered = fo__watch_workers(table, cb, arg, max);
	delivered += fo__deliver(table, max - delivered, cb, arg);
	/* With no worker in a burst the slots of those are free. */
	(void)fo__reclaim_some(table->store, delivered + RECLAIM_SLOTS);
	table->polling = 0;
	table->polled_ms = fo__now(table);
	fo__fd_rearm(table);
	return (int)delivered;
}

/* Has everything been let go that was deleted or invalidated? */
static int settled(struct fo_table *table)
{
	const struct fo_flowtable *store = table->store;

	if (table->n_jobs || store->drain.count || fo__reclaim(table->store))
		return 0;
	return !table->backend->sync || !table->backend->sync(table->priv);
}

static int timed_out(const struct fo_table *table, unsigned int timeout_ms, struct fo_error *err)
{
	int worker = fo__worker_inside(table);

	if (worker < 0)
		return fo__fail(err, -ETIMEDOUT, FO_R_TIMEOUT, FO_STAGE_VERIFY, NULL,
				"backend %s has not let go of all flows within %u ms; try again",
				table->backend->name, timeout_ms);
	return fo__fail(err, -ETIMEDOUT, FO_R_STALLED, FO_STAGE_VERIFY, NULL,
			"worker %d has been inside one fo_worker_run() for more than %u ms; nothing it may "
			"look at can be "
			"reused until it returns",
			worker, timeout_ms);
}

int fo_table_sync(struct fo_table *table, unsigned int timeout_ms, struct fo_error *err)
{
	uint64_t until = fo__real_us() + (uint64_t)timeout_ms * 1000;
	struct timespec pause = {0, 20000};
	int code = 0;

	if (!table)
		return fo__no_table(err);
	if (table->polling)
		return fo__fail(err, -EINVAL, FO_R_CALL_ORDER, FO_STAGE_VALIDATE, NULL,
				"fo_table_sync() was called from a callback of fo_table_poll(); return from "
				"it first");
	table->polling = 1;
	for (;;) {
		fo__work(table, 1000);
		if (settled(table))
			break;
		if (fo__real_us() >= until) {
			code = timed_out(table, timeout_ms, err);
			break;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec *= 2;
	}
	table->polling = 0;
	table->polled_ms = fo__now(table);
	fo__fd_rearm(table);
	return code;
}
