/* SPDX-License-Identifier: BSD-2-Clause */
/* events.c - what callers are told: coalesced notices of living flows, one terminal event of each ended one.
 *
 * There is no queue that could overflow: a terminal event waits in the slot of its flow, a notice is a bit there. */
#include "core/table.h"

uint32_t fo__end_kind(unsigned int reason)
{
	switch (reason) {
	case FO_R_DELETED:
		return FO_EV_DELETED;
	case FO_R_IDLE:
		return FO_EV_EXPIRED;
	case FO_R_TCP_FIN:
	case FO_R_TCP_RST:
		return FO_EV_CLOSED;
	case FO_R_INVALIDATED:
	case FO_R_EGRESS_DOWN:
		return FO_EV_INVALIDATED;
	case FO_R_LOST:
		return FO_EV_LOST;
	default:
		return FO_EV_REFUSED;
	}
}

void fo__notice(struct fo_table *table, uint32_t conn, int fallback)
{
	struct fo__cold *cold = &table->store->cold[conn];

	if (fallback)
		cold->flags |= FO__COLD_FALLBACK;
	if (cold->flags & FO__COLD_NOTICE)
		return;
	cold->flags |= FO__COLD_NOTICE;
	if (table->notice_head - table->notice_tail < FO__NOTICES)
		table->notices[table->notice_head++ % FO__NOTICES] = conn;
	else
		table->notice_scan = 1;
	fo__wake_at(table, 0);
}

static void event_fill(struct fo_table *table, uint32_t conn, struct fo_event *event)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	FO_INIT(event);
	event->flow = fo__conn_id(table->store, conn);
	event->reason = cold->reason;
	event->user = fo__cold_user(cold);
	event->tag = fo__load_relaxed(&cold->tag);
	event->state = cold->state;
	fo__conn_counters(table->store, conn, fo__now(table), &event->counters);
}

static unsigned int deliver_notice(struct fo_table *table, uint32_t conn, fo_event_cb cb, void *arg)
{
	struct fo__cold *cold = &table->store->cold[conn];
	struct fo_event event;

	if (cold->life != FO__LIFE_LIVE || !fo__settle(table, conn) || !(cold->flags & FO__COLD_NOTICE))
		return 0;
	event_fill(table, conn, &event);
	event.kind = cold->flags & FO__COLD_FALLBACK ? FO_EV_FALLBACK : FO_EV_STATE;
	cold->flags &= (uint8_t) ~(FO__COLD_NOTICE | FO__COLD_FALLBACK);
	if (cb)
		cb(arg, &event);
	return 1;
}

static void deliver_end(struct fo_table *table, uint32_t conn, fo_event_cb cb, void *arg)
{
	const struct fo__cold *cold = &table->store->cold[conn];
	struct fo_event event;

	event_fill(table, conn, &event);
	event.kind = fo__end_kind(cold->reason);
	event.counters.flags |= FO_STATS_FINAL;
	if (event.kind == FO_EV_REFUSED || event.kind == FO_EV_LOST)
		event.backend_errno = (int32_t)cold->since_ms;
	table->ended[event.kind - FO_EV_DELETED]++;
	fo__remember_end(table, conn, cold->reason, event.backend_errno);
	/* The tuple is free for the callback, the id holds until it returns. */
	fo__conn_unlink(table->store, conn);
	if (cb)
		cb(arg, &event);
	fo__conn_retire(table->store, conn);
}

int fo__events_waiting(const struct fo_table *table)
{
	return table->store->ended.count || table->notice_head != table->notice_tail || table->notice_scan;
}

/* Slots that one poll looks at for those. */
#define NOTICE_SLOTS 128u

/* The ring, then the flows it had no room for: each slot is looked at once. */
static unsigned int deliver_notices(struct fo_table *table, unsigned int max, fo_event_cb cb, void *arg)
{
	unsigned int delivered = 0, slots = NOTICE_SLOTS;

	while (delivered < max && table->notice_head != table->notice_tail) {
		uint32_t conn = table->notices[table->notice_tail++ % FO__NOTICES];

		delivered += deliver_notice(table, conn, cb, arg);
	}
	while (delivered < max && table->notice_scan && slots--) {
		if (table->store->cold[table->notice_cursor].flags & FO__COLD_NOTICE)
			delivered += deliver_notice(table, table->notice_cursor, cb, arg);
		if (++table->notice_cursor < table->store->high)
			continue;
		table->notice_cursor = 0;
		table->notice_scan = 0;
	}
	return delivered;
}

unsigned int fo__deliver(struct fo_table *table, unsigned int max, fo_event_cb cb, void *arg)
{
	unsigned int delivered = deliver_notices(table, max, cb, arg);

	while (delivered < max) {
		uint32_t conn = fo__awaiting(table->store);

		if (conn == FO__NO_SLOT)
			break;
		deliver_end(table, conn, cb, arg);
		delivered++;
	}
	return delivered;
}
