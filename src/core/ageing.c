/* SPDX-License-Identifier: BSD-2-Clause */
/* ageing.c - how flows end by themselves: idle, FIN or RST seen by workers, their side dead, their backend done. */
#include "core/calls.h"

#include <errno.h>

/* Packets of all workers after which a pass looks at all flows: none of their 32-bit counters can go round unseen, as
 * long as fewer than that pass between two passes. */
#define LOOK_PACKETS (UINT64_C(1) << 30)
/* Cache lines of a flow whose lines the sweep looks at, of one that ends so beyond that, and of one that has drained. */
#define LOOK_LINES   4
#define END_LINES    4
#define SETTLE_LINES 4
/* A pass over all slots begins at most this much after a flow could expire, and at least this often. */
#define PASS_LEAST_MS 1000u
#define PASS_MOST_MS  10000u

/* Why a flow must end, by its state bits and its sides; FO_R_NONE when it need not. */
static unsigned int doom(const struct fo_table *table, uint32_t conn)
{
	unsigned int reason = FO_R_NONE;

	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__line *line = &table->store->lines[conn * 2 + dir];
		uint32_t ctl = fo__load_relaxed(&line->ctl);
		uint8_t dead = table->store->sides[fo__meta_side(fo__load_relaxed(&line->meta))].dead;

		if (ctl & FO__CTL_RST)
			return FO_R_TCP_RST;
		if (ctl & FO__CTL_FIN)
			reason = FO_R_TCP_FIN;
		else if (!reason)
			reason = dead;
	}
	return reason;
}

/* Counters of a DRAIN flow are complete. Idle flows of which a packet was under way live on, unless a FIN or RST
 * came with it, which its worker did not report because the flow was ending already. */
static void complete(struct fo_table *table, uint32_t conn)
{
	struct fo__cold *cold = &table->store->cold[conn];
	uint32_t now = (uint32_t)fo__now(table);

	if (cold->reason == FO_R_IDLE && !(cold->flags & FO__COLD_TOLD) &&
	    (table->caps.can & FO_CAP_WORKER) && fo__conn_idle(table->store, conn, now) < cold->timeout_ms) {
		unsigned int reason = doom(table, conn);

		if (!reason) {
			fo__conn_revive(table->store, conn, now);
			return;
		}
		cold->reason = (uint8_t)reason;
	}
	fo__conn_await(table->store, conn);
	fo__wake_at(table, 0);
}

int fo__settle_drained(struct fo_table *table, int lines)
{
	uint32_t conn;

	while (lines > 0 && (conn = fo__drained(table->store)) != FO__NO_SLOT) {
		complete(table, conn);
		lines -= SETTLE_LINES;
	}
	return lines;
}

void fo__backend_done(struct fo_table *table, uint32_t conn)
{
	table->store->cold[conn].flags &= (uint8_t)~FO__COLD_BACKEND;
	if (fo__conn_drain(table->store, conn))
		complete(table, conn);
	else
		fo__wake_at(table, 0);
}

int fo__end(struct fo_table *table, uint32_t conn, unsigned int reason, struct fo_error *err)
{
	struct fo_flowtable *store = table->store;
	int code = fo__call_flow_del(table, conn, err);

	if (code < 0)
		return code;
	fo__conn_close(store, conn, reason);
	if (code == FO_BACKEND_PENDING)
		store->cold[conn].flags |= FO__COLD_BACKEND;
	else
		fo__backend_done(table, conn);
	return 0;
}

int fo__settle(struct fo_table *table, uint32_t conn)
{
	unsigned int reason = doom(table, conn);

	if (!reason)
		return 1;
	if (!fo__end(table, conn, reason, NULL))
		return 0;
	/* The backend keeps it: the next pass tries again. */
	table->store->cold[conn].look_ms = (uint32_t)fo__about_now(table);
	return 1;
}

/* The device may have seen packets since it last reported. */
static uint32_t idle_of(struct fo_table *table, uint32_t conn, uint32_t now)
{
	uint32_t idle = fo__conn_idle(table->store, conn, now);

	if (idle < table->store->cold[conn].timeout_ms)
		return idle;
	fo__call_flow_stats(table, conn);
	return fo__conn_idle(table->store, conn, now);
}

/* A 32-bit time tells 24 days apart. Flows silent for longer than half of that are marked, and their times kept
 * that far back; a packet takes the mark away. */
static void note_silence(struct fo_table *table, uint32_t conn, uint32_t now, int all)
{
	struct fo__cold *cold = &table->store->cold[conn];
	int silent = all || fo__conn_idle(table->store, conn, now) > FO_TIMEOUT_MAX_MS;

	if (!silent && (cold->flags & FO__COLD_SILENT) &&
	    fo__conn_idle(table->store, conn, now) < FO_TIMEOUT_MAX_MS / 2)
		cold->flags &= (uint8_t)~FO__COLD_SILENT;
	if (!silent)
		return;
	cold->flags |= FO__COLD_SILENT;
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__store_relaxed(&table->store->lines[conn * 2 + dir].last_ms, now - FO_TIMEOUT_MAX_MS);
}

/* Time until the flow can expire; UINT32_MAX: it cannot, or has ended just now. */
static uint32_t look(struct fo_table *table, uint32_t conn, uint32_t now)
{
	struct fo__cold *cold = &table->store->cold[conn];
	uint32_t idle;

	fo__conn_fold(table->store, conn);
	note_silence(table, conn, now, table->sweep_gap);
	if (!fo__settle(table, conn) || cold->timeout_ms == FO_TIMEOUT_NEVER)
		return UINT32_MAX;
	idle = idle_of(table, conn, now);
	if (idle < cold->timeout_ms)
		return cold->timeout_ms - idle;
	return fo__end(table, conn, FO_R_IDLE, NULL) < 0 ? PASS_MOST_MS : UINT32_MAX;
}

/* The cold part alone says for most that there is nothing to see yet. */
static uint32_t look_if_due(struct fo_table *table, uint32_t conn, uint32_t now)
{
	struct fo__cold *cold = &table->store->cold[conn];
	uint32_t left = cold->look_ms - now;

	if ((int32_t)left > 0 && !table->sweep_all)
		return left;
	left = look(table, conn, now);
	if (cold->life == FO__LIFE_LIVE)
		cold->look_ms = now + (left < FO__LOOK_MOST_MS ? left : FO__LOOK_MOST_MS);
	return left;
}

void fo__sweep_expect(struct fo_table *table, uint64_t now, uint32_t timeout_ms)
{
	uint64_t then = now + table->slack_ms + (timeout_ms < PASS_MOST_MS ? timeout_ms : PASS_MOST_MS);

	/* Many short timeouts do not make more passes than the granularity asks for. */
	if (table->sweep_began_ms && then < table->sweep_began_ms + PASS_LEAST_MS)
		then = table->sweep_began_ms + PASS_LEAST_MS;
	if (table->sweep_next_ms <= then)
		return;
	table->sweep_next_ms = then;
	fo__wake_at(table, then);
}

int fo__sweep_due(const struct fo_table *table)
{
	return table->sweep_limit || fo__now(table) >= table->sweep_next_ms;
}

/* Must each flow be looked at? Its counters may have gone half round, or a worker's report may be lost. */
static int wants_all(struct fo_table *table)
{
	uint64_t count = 0;
	int all;

	for (uint32_t i = 0; i < fo__load_relaxed(&table->store->worker_high); i++)
		count += fo__count_read(&table->store->workers[i].forwarded_packets);
	all = fo__worker_reports_lost(table->store) || table->sweep_gap ||
	      count - table->sweep_count >= LOOK_PACKETS;
	if (all)
		table->sweep_count = count;
	return all;
}

static void pass_begin(struct fo_table *table)
{
	uint64_t now = fo__now(table);

	/* Nobody polled for so long that times have gone round. */
	table->sweep_gap = table->sweep_began_ms && now - table->sweep_began_ms > FO_TIMEOUT_MAX_MS;
	table->sweep_all = wants_all(table);
	table->sweep_cursor = 0;
	table->sweep_limit = table->store->high;
	table->sweep_least_ms = UINT32_MAX;
	table->sweep_began_ms = now;
	table->sweep_next_ms =
		UINT64_MAX; /* fo__sweep_expect() of flows added during the pass may lower it */
}

static void pass_end(struct fo_table *table)
{
	uint32_t least = table->sweep_least_ms;
	uint64_t next;

	table->sweep_limit = 0;
	if (!table->store->living)
		return;
	least = least < PASS_LEAST_MS ? PASS_LEAST_MS : least < PASS_MOST_MS ? least : PASS_MOST_MS;
	next = table->sweep_began_ms + least;
	if (next < table->sweep_next_ms)
		table->sweep_next_ms = next;
}

/* How far ahead lines are asked for. */
#define AHEAD 8u

/* One slot; returns about how many lines that took. Cold parts of slots side by side share lines. */
static int sweep_slot(struct fo_table *table, uint32_t conn, uint32_t now)
{
	const struct fo__cold *cold = &table->store->cold[conn];
	int lines = (int)(conn & 1);
	uint32_t left;

	if (cold->life != FO__LIFE_LIVE)
		return lines;
	if ((int32_t)(cold->look_ms - now) <= 0 || table->sweep_all)
		lines += LOOK_LINES;
	left = look_if_due(table, conn, now);
	if (left < table->sweep_least_ms)
		table->sweep_least_ms = left;
	return cold->life == FO__LIFE_LIVE ? lines : lines + END_LINES;
}

int fo__sweep(struct fo_table *table, int lines)
{
	const struct fo_flowtable *store = table->store;
	uint32_t now;

	if (!fo__sweep_due(table))
		return lines;
	/* What was added by the rough clock is younger than it looks. */
	now = (uint32_t)(fo__now(table) - table->slack_ms);
	if (!table->sweep_limit)
		pass_begin(table);
	for (; lines > 0 && table->sweep_cursor < table->sweep_limit; table->sweep_cursor++) {
		uint32_t conn = table->sweep_cursor;

		if (conn + AHEAD < store->high && (int32_t)(store->cold[conn + AHEAD].look_ms - now) <= 0)
			fo__conn_touch(store, conn + AHEAD);
		lines -= sweep_slot(table, conn, now);
	}
	if (table->sweep_cursor >= table->sweep_limit)
		pass_end(table);
	return lines;
}
