/* SPDX-License-Identifier: BSD-2-Clause */
/* care.c - the connections of flows in conntrack: FIN and RST, which hardware hands to the slow path, are heard of there;
 * entries are renewed, and their ends end flows. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>

/* Slots looked at in one slice, datagrams of events in one poll. */
#define SLICE_SLOTS 4096u
#define EVENTS_MOST 256u
#define PASS_MS	    1000u

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

struct looking {
	struct fo__ct_look looks[FO__CT_LOOK_MOST];
	uint32_t slots[FO__CT_LOOK_MOST];
	size_t n;
};

static void conclude(struct fo__tc *tc, const struct looking *looking)
{
	for (size_t i = 0; i < looking->n; i++) {
		const struct fo__ct_look *look = &looking->looks[i];

		if (look->end)
			fo__tc_flow_end(tc, looking->slots[i], look->end);
		else if (look->closing)
			say_closing(tc, looking->slots[i], look->closing);
		else if (tc->rechecking) /* looked at as well: events may have been lost */
			fo__ct_retime(look->kept, tc->records[looking->slots[i]].timeout_ms);
	}
}

static void begin_pass(struct fo__tc *tc)
{
	tc->caring = 1;
	tc->care_at = 0;
	tc->rechecking = tc->care->recheck;
	tc->care->recheck = 0;
	tc->next_care_ms = fo__tc_now(tc) + PASS_MS;
}

static void collect(struct fo__tc *tc, struct looking *looking)
{
	uint32_t now_s = fo__ct_now_s();
	uint32_t end = tc->high - tc->care_at < SLICE_SLOTS ? tc->high : tc->care_at + SLICE_SLOTS;

	for (; tc->care_at < end && looking->n < FO__CT_LOOK_MOST; tc->care_at++) {
		struct fo__tc_record *record = &tc->records[tc->care_at];

		if (!record->cookie || record->life != FO__TC_LIVE || record->ct.known == FO__CT_NOT)
			continue;
		if (!tc->rechecking &&
		    !fo__ct_is_due(&record->ct, record->tuple[0].proto, record->seen_packets, now_s))
			continue;
		looking->slots[looking->n] = tc->care_at;
		looking->looks[looking->n++] =
			(struct fo__ct_look){.kept = &record->ct, .tuple = record->tuple};
	}
}

static void slice(struct fo__tc *tc)
{
	struct looking looking;

	memset(&looking, 0, sizeof(looking));
	collect(tc, &looking);
	if (tc->rechecking)
		fo__ct_recheck(tc->care, looking.looks, looking.n);
	else
		fo__ct_look_after(tc->care, looking.looks, looking.n);
	conclude(tc, &looking);
	if (tc->care_at < tc->high)
		return;
	tc->caring = 0;
	if (tc->rechecking)
		tc->next_care_ms = 0;
	tc->rechecking = 0;
}

void fo__tc_care_poll(struct fo__tc *tc)
{
	if (!tc->care)
		return;
	hear(tc);
	if (fo__ipsec_changed(&tc->care->ipsec))
		tc->care->recheck = 1;
	if (!tc->caring && !tc->care->recheck && fo__tc_now(tc) < tc->next_care_ms)
		return;
	if (!tc->caring)
		begin_pass(tc);
	slice(tc);
}
