/* SPDX-License-Identifier: BSD-2-Clause */
/* care.c - the connections of flows in conntrack: FIN and RST, which hardware hands to the slow path, are heard of there;
 * entries are renewed, and their ends end flows. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>

/* Datagrams of events in one poll. */
#define EVENTS_MOST 256u

int fo__tc_care_open(struct fo__tc *tc, struct fo_error *err)
{
	struct fo__ct_care *care;
	int rc;

	if (tc->own.conntrack == FO_TC_CONNTRACK_OFF)
		return 0;
	care = tc->ops->alloc(tc->host, sizeof(*care), 64);
	if (!care)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory for the table");
	rc = fo__ct_care_open(care, tc->netns, "without conntrack", err);
	if (!rc)
		tc->care = care;
	else
		tc->ops->free(tc->host, care, sizeof(*care));
	if (rc == -EOPNOTSUPP && tc->own.conntrack == FO_TC_CONNTRACK_AUTO)
		return 0;
	if (!rc)
		rc = fo__nl_open(&tc->events, NETLINK_NETFILTER, tc->netns, tc->rx, FO__NL_RX_ROOM, err);
	if (!rc)
		fo__nl_buffers(&tc->events, 0, 4 << 20);
	return rc ? rc : fo__ct_listen(&tc->events, FO__CT_LISTEN_UPDATE | FO__CT_LISTEN_DESTROY, err);
}

void fo__tc_care_close(struct fo__tc *tc)
{
	fo__nl_close(&tc->events);
	if (!tc->care)
		return;
	fo__ct_care_close(tc->care);
	tc->ops->free(tc->host, tc->care, sizeof(*tc->care));
	tc->care = NULL;
}

/* ---- Events ---- */

static void say_closing(struct fo__tc *tc, uint32_t slot, enum fo_reason reason)
{
	struct fo__tc_record *record = &tc->records[slot];

	if (record->closing == (uint8_t)reason)
		return;
	record->closing = (uint8_t)reason;
	tc->ops->closing(tc->host, record->cookie, reason);
}

static void heard(void *arg, enum fo__ct_event event, const struct fo__ct_entry *entry)
{
	struct fo__tc *tc = arg;
	enum fo_reason closing = fo__ct_closing(entry);
	uint32_t slot = fo__tc_slot_by_tuple(tc, &entry->tuple[0]);

	if (slot == FO__TC_NO_SLOT)
		slot = fo__tc_slot_by_tuple(tc, &entry->tuple[1]);
	if (slot == FO__TC_NO_SLOT || entry->zone != tc->records[slot].ct.zone)
		return;
	if ((entry->have & FO__CT_ID) && tc->records[slot].ct.id != entry->id)
		return;
	if (event == FO__CT_DESTROY && tc->records[slot].life == FO__TC_LIVE)
		fo__tc_flow_end(tc, slot, closing ? closing : FO_R_LOST);
	else if (closing)
		say_closing(tc, slot, closing);
}

static void hear(struct fo__tc *tc)
{
	for (unsigned int i = 0; i < EVENTS_MOST; i++) {
		int rc = fo__ct_events(&tc->events, heard, tc);

		if (!rc)
			return;
		/* Lost or garbled: what they would have told is asked for. */
		if (rc < 0)
			tc->care->recheck = 1;
	}
}

/* ---- Looking after ---- */

static struct fo__ct_kept *living(void *table, uint32_t slot)
{
	struct fo__tc_record *record = &((struct fo__tc *)table)->records[slot];

	return record->cookie && record->life == FO__TC_LIVE ? &record->ct : NULL;
}

static void traffic(void *table, uint32_t slot, uint8_t *proto, uint32_t *packets)
{
	const struct fo__tc_record *record = &((const struct fo__tc *)table)->records[slot];

	*proto = record->tuple[0].proto;
	*packets = record->seen_packets;
}

static void tuples(void *table, uint32_t slot, struct fo_tuple tuple[2])
{
	memcpy(tuple, ((const struct fo__tc *)table)->records[slot].tuple, 2 * sizeof(*tuple));
}

static void conclude(void *table, uint32_t slot, const struct fo__ct_look *look)
{
	struct fo__tc *tc = table;

	if (look->end)
		fo__tc_flow_end(tc, slot, look->end);
	else if (look->closing)
		say_closing(tc, slot, look->closing);
	else if (tc->care->rechecking) /* looked at as well: events may have been lost */
		fo__ct_retime(look->kept, tc->records[slot].timeout_ms);
}

void fo__tc_care_poll(struct fo__tc *tc)
{
	const struct fo__ct_flows flows = {tc, tc->high, living, traffic, tuples, conclude};

	if (!tc->care)
		return;
	hear(tc);
	if (fo__ct_care_due(tc->care, fo__tc_now(tc)))
		(void)fo__ct_care_slice(tc->care, &flows);
}
