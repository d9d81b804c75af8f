/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_flows.c - the driver's flows: how two rules become one connection, and how both leave again.
 *
 * A record says what is wanted (in the device, or out of it) and where each of its two sides is. Whatever happens, a
 * completion, a refusal, a delete in the middle of an insertion, only changes the one or the other, and
 * settle_record() draws the conclusion. That is what keeps "both or none" true: rules go in switched off, and are
 * switched on together when both are there. Neighbours: npu_backend.c is the library's side, npu_silicon.h the device's.
 */
#include "npu_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORDS_PER_SWEEP 4096u
#define MESSAGES_PER_WORK 1024u

void npu_records_clear(struct npu_driver *drv)
{
	uint32_t i;

	memset(drv->records, 0, drv->n_records * sizeof(*drv->records));
	for (i = 0; i < drv->n_records; i++)
		drv->records[i].next = i + 1 < drv->n_records ? i + 1 : NPU_NO_RECORD;
	for (i = 0; i < drv->n_slots; i++)
		drv->by_slot[i] = NPU_NO_RECORD;
	memset(drv->sides, 0, drv->n_sides * sizeof(*drv->sides));
	drv->free_record = 0;
	drv->work_head = NPU_NO_RECORD;
	drv->work_tail = NPU_NO_RECORD;
	drv->sweep_at = 0;
	drv->n_used = 0;
}

struct npu_record *npu_record_take(struct npu_driver *drv, uint64_t cookie, uint32_t slot)
{
	struct npu_record *rec;
	uint32_t i = drv->free_record;

	if (i == NPU_NO_RECORD || slot >= drv->n_slots)
		return NULL;
	rec = &drv->records[i];
	drv->free_record = rec->next;
	memset(rec, 0, sizeof(*rec));
	drv->n_used++;
	rec->used = true;
	rec->cookie = cookie;
	rec->slot = slot;
	drv->by_slot[slot] = i;
	return rec;
}

void npu_record_drop(struct npu_driver *drv, struct npu_record *rec)
{
	uint32_t i = (uint32_t)(rec - drv->records);

	npu_side_release(drv, rec->rule[0].in);
	npu_side_release(drv, rec->rule[1].in);
	drv->by_slot[rec->slot] = NPU_NO_RECORD;
	drv->n_used--;
	rec->used = false;
	rec->next = drv->free_record;
	drv->free_record = i;
}

struct npu_record *npu_record_find(struct npu_driver *drv, uint64_t cookie, uint32_t slot)
{
	struct npu_record *rec;

	if (slot >= drv->n_slots || drv->by_slot[slot] == NPU_NO_RECORD)
		return NULL;
	rec = &drv->records[drv->by_slot[slot]];
	return rec->cookie == cookie ? rec : NULL;
}

/* ---- The work list ------------------------------------------------------------------------------------ */

static void enqueue(struct npu_driver *drv, struct npu_record *rec)
{
	uint32_t i = (uint32_t)(rec - drv->records);

	if (rec->queued)
		return;
	rec->queued = true;
	rec->next = NPU_NO_RECORD;
	if (drv->work_tail == NPU_NO_RECORD)
		drv->work_head = i;
	else
		drv->records[drv->work_tail].next = i;
	drv->work_tail = i;
}

static void unqueue(struct npu_driver *drv, struct npu_record *rec)
{
	uint32_t i = (uint32_t)(rec - drv->records);
	uint32_t before = NPU_NO_RECORD;
	uint32_t at = drv->work_head;

	while (at != i) {
		before = at;
		at = drv->records[at].next;
	}
	if (before == NPU_NO_RECORD)
		drv->work_head = rec->next;
	else
		drv->records[before].next = rec->next;
	if (drv->work_tail == i)
		drv->work_tail = before;
	rec->queued = false;
}

/* What the device is told with a command and returns with its completion: which side of which record. */
static uint64_t device_cookie(const struct npu_driver *drv, const struct npu_record *rec, unsigned int dir)
{
	return (uint64_t)(rec - drv->records) << 1 | dir;
}

static bool submit_side(struct npu_driver *drv, struct npu_record *rec, unsigned int dir)
{
	struct npu_command command;

	memset(&command, 0, sizeof(command));
	command.cookie = device_cookie(drv, rec, dir);
	if (rec->wanted && rec->side[dir] == NPU_SIDE_OUT) {
		command.opcode = NPU_INSERT;
		command.rule = rec->rule[dir];
		if (!npu_submit(drv->dev, &command))
			return false;
		rec->side[dir] = NPU_SIDE_INSERTING;
	} else if (!rec->wanted && rec->side[dir] == NPU_SIDE_IN) {
		command.opcode = NPU_REMOVE;
		command.handle = rec->handle[dir];
		if (!npu_submit(drv->dev, &command))
			return false;
		rec->side[dir] = NPU_SIDE_REMOVING;
	}
	return true;
}

static void submit(struct npu_driver *drv)
{
	while (drv->work_head != NPU_NO_RECORD) {
		struct npu_record *rec = &drv->records[drv->work_head];

		if (!submit_side(drv, rec, 0) || !submit_side(drv, rec, 1))
			return;
		unqueue(drv, rec);
	}
}

bool npu_pending(const struct npu_driver *drv)
{
	return drv->work_head != NPU_NO_RECORD || npu_outstanding(drv->dev) ||
	       npu_generation(drv->dev) != drv->generation;
}

/* ---- Counters ----------------------------------------------------------------------------------------- */

static uint64_t on_table_clock(struct npu_driver *drv, uint64_t device_ms)
{
	uint64_t ago = npu_clock(drv->dev) - device_ms;
	uint64_t now = drv->ops->now_ms(drv->host);

	return ago < now ? now - ago : 1;
}

/* Reading clears, so each value read is reported, then and there. */
void npu_flow_collect(struct npu_driver *drv, struct npu_record *rec)
{
	unsigned int dir;

	for (dir = 0; dir < 2; dir++) {
		struct npu_counters got;

		if (rec->side[dir] != NPU_SIDE_IN)
			continue;
		npu_read_counters(drv->dev, rec->handle[dir], &got);
		if (got.packets)
			drv->ops->count(drv->host, rec->cookie, (enum fo_dir)dir, got.packets, got.bytes,
					on_table_clock(drv, got.seen_ms));
		else if (npu_has_fault(drv->dev, NPU_FAULT_NEVER_IDLE))
			drv->ops->count(drv->host, rec->cookie, (enum fo_dir)dir, 0, 0,
					drv->ops->now_ms(drv->host));
		if (got.packets && npu_has_fault(drv->dev, NPU_FAULT_FALLBACK_INVENTED)) {
			drv->ops->state(drv->host, rec->cookie, FO_STATE_ARMED, FO_R_FALLBACK);
			drv->ops->state(drv->host, rec->cookie, FO_STATE_HARDWARE, FO_R_NONE);
		}
	}
}

void npu_sweep(struct npu_driver *drv)
{
	uint64_t now = drv->ops->now_ms(drv->host);
	uint32_t n;

	if (now < drv->next_sweep_ms)
		return;
	for (n = 0; n < RECORDS_PER_SWEEP && drv->sweep_at < drv->n_records; n++) {
		struct npu_record *rec = &drv->records[drv->sweep_at++];

		if (rec->used && rec->live)
			npu_flow_collect(drv, rec);
	}
	if (drv->sweep_at < drv->n_records)
		return;
	drv->sweep_at = 0;
	drv->next_sweep_ms = now + drv->sweep_ms;
}

/* ---- Conclusions --------------------------------------------------------------------------------------- */

static void describe_failure(const struct npu_record *rec, struct fo_error *err)
{
	static const struct {
		int code;
		unsigned int reason;
		int device_errno;
		const char *text;
	} what[] = {
		[NPU_FULL] = {-ENOSPC, FO_R_FULL, ENOSPC, "match table full"},
		[NPU_COLLISION] = {-ENOSPC, FO_R_COLLISION, EXFULL,
				   "all ways of the key's hash bucket are taken"},
		[NPU_REFUSED] = {-EIO, FO_R_BACKEND, EIO, "firmware refused the rule"},
	};
	char text[160];

	snprintf(text, sizeof(text), "%s direction: %s",
		 rec->failed_dir == FO_ORIGINAL ? "original" : "reply", what[rec->failure].text);
	npu_fail(err, what[rec->failure].code, what[rec->failure].reason, what[rec->failure].device_errno,
		 text);
}

/* Nothing of it is left in the device. The record goes first: the library may call back for the same slot. */
static void finish(struct npu_driver *drv, struct npu_record *rec)
{
	struct npu_record was = *rec;
	struct fo_error why;

	if (rec->queued)
		unqueue(drv, rec);
	npu_record_drop(drv, rec);
	switch (was.last_word) {
	case NPU_SAY_REMOVED:
		if (!npu_has_fault(drv->dev, NPU_FAULT_REMOVED_NOT_TOLD))
			drv->ops->removed(drv->host, was.cookie);
		break;
	case NPU_SAY_REFUSED:
		describe_failure(&was, &why);
		drv->ops->refused(drv->host, was.cookie, &why);
		break;
	case NPU_SAY_ENDED:
		drv->ops->ended(drv->host, was.cookie, was.reason, 0);
		break;
	case NPU_SAY_NOTHING:
		break;
	}
	if (npu_has_fault(drv->dev, NPU_FAULT_TOLD_TWICE)) {
		drv->ops->removed(drv->host, was.cookie);
		drv->ops->ended(drv->host, was.cookie, FO_R_IDLE, 0);
		drv->ops->state(drv->host, was.cookie, FO_STATE_HARDWARE, FO_R_NONE);
	}
}

static void switch_on(struct npu_driver *drv, struct npu_record *rec)
{
	npu_flow_rewrite(drv, rec);
	npu_enable_pair(drv->dev, rec->handle[0], rec->handle[1]);
	if (npu_has_fault(drv->dev, NPU_FAULT_ONE_DIRECTION))
		npu_disable(drv->dev, rec->handle[1]);
	rec->live = true;
	drv->ops->state(drv->host, rec->cookie, FO_STATE_HARDWARE, FO_R_NONE);
}

static void settle_record(struct npu_driver *drv, struct npu_record *rec)
{
	bool both_in = rec->side[0] == NPU_SIDE_IN && rec->side[1] == NPU_SIDE_IN;
	bool both_out = rec->side[0] == NPU_SIDE_OUT && rec->side[1] == NPU_SIDE_OUT;

	if (rec->wanted) {
		if (both_in && !rec->live)
			switch_on(drv, rec);
		return;
	}
	if (npu_has_fault(drv->dev, NPU_FAULT_LATE_RESURRECTION) && both_in && !rec->live) {
		switch_on(drv, rec);
		finish(drv, rec);
		return;
	}
	if (both_out)
		finish(drv, rec);
	else
		enqueue(drv, rec);
}

void npu_flow_want(struct npu_driver *drv, struct npu_record *rec)
{
	rec->wanted = true;
	enqueue(drv, rec);
}

bool npu_flow_unwant(struct npu_driver *drv, struct npu_record *rec, enum npu_last_word word,
		     unsigned int reason)
{
	bool resurrect = npu_has_fault(drv->dev, NPU_FAULT_LATE_RESURRECTION);
	unsigned int dir;

	rec->wanted = false;
	rec->last_word = word;
	rec->reason = reason;
	for (dir = 0; dir < 2; dir++) {
		if (rec->side[dir] == NPU_SIDE_INSERTING && !resurrect)
			npu_cancel(drv->dev, device_cookie(drv, rec, dir));
		if (rec->side[dir] == NPU_SIDE_IN && !npu_has_fault(drv->dev, NPU_FAULT_DELETED_FORWARDS))
			npu_disable(drv->dev, rec->handle[dir]);
	}
	if (!npu_has_fault(drv->dev, NPU_FAULT_COUNTER_LOST_AT_DELETE))
		npu_flow_collect(drv, rec);
	if (npu_has_fault(drv->dev, NPU_FAULT_DELETED_FORWARDS)) {
		rec->side[0] = NPU_SIDE_OUT;
		rec->side[1] = NPU_SIDE_OUT;
	}
	if (rec->side[0] == NPU_SIDE_OUT && rec->side[1] == NPU_SIDE_OUT) {
		rec->last_word = NPU_SAY_NOTHING;
		finish(drv, rec);
		return true;
	}
	enqueue(drv, rec);
	return false;
}

void npu_flows_stop(struct npu_driver *drv, uint32_t port)
{
	uint32_t i;

	if (npu_has_fault(drv->dev, NPU_FAULT_LINK_IGNORED))
		return;
	for (i = 0; i < drv->n_records; i++) {
		struct npu_record *rec = &drv->records[i];

		if (!rec->used || !rec->live)
			continue;
		if (drv->sides[rec->rule[0].in].setting.port != port &&
		    drv->sides[rec->rule[1].in].setting.port != port)
			continue;
		npu_disable(drv->dev, rec->handle[0]);
		npu_disable(drv->dev, rec->handle[1]);
	}
}

void npu_flow_rewrite(struct npu_driver *drv, struct npu_record *rec)
{
	unsigned int dir;

	for (dir = 0; dir < 2; dir++)
		if (rec->side[dir] == NPU_SIDE_IN)
			npu_rewrite(drv->dev, rec->handle[dir], &rec->rule[dir]);
}

/* ---- Messages ------------------------------------------------------------------------------------------ */

static void on_done(struct npu_driver *drv, struct npu_record *rec, unsigned int dir,
		    const struct npu_message *msg)
{
	bool inserted = msg->opcode == NPU_INSERT && msg->status == NPU_OK;

	rec->side[dir] = inserted ? NPU_SIDE_IN : NPU_SIDE_OUT;
	rec->handle[dir] = inserted ? msg->handle : NPU_NO_HANDLE;
	if (msg->opcode == NPU_INSERT && !inserted && rec->wanted) {
		rec->wanted = false;
		rec->last_word = NPU_SAY_REFUSED;
		rec->failure = msg->status;
		rec->failed_dir = (int)dir;
	}
	settle_record(drv, rec);
}

/* One rule was idle; the connection is when both are. The later notice finds that out. */
static void on_aged(struct npu_driver *drv, struct npu_record *rec)
{
	uint64_t now = npu_clock(drv->dev);
	struct npu_counters got[2];
	unsigned int dir;

	for (dir = 0; dir < 2; dir++) {
		npu_read_counters(drv->dev, rec->handle[dir], &got[dir]);
		if (got[dir].packets)
			drv->ops->count(drv->host, rec->cookie, (enum fo_dir)dir, got[dir].packets,
					got[dir].bytes, on_table_clock(drv, got[dir].seen_ms));
		if (now - got[dir].seen_ms < rec->rule[dir].timeout_ms &&
		    !npu_has_fault(drv->dev, NPU_FAULT_IDLE_BY_ONE_DIRECTION))
			return;
	}
	(void)npu_flow_unwant(drv, rec, NPU_SAY_ENDED, FO_R_IDLE);
}

static void on_notice(struct npu_driver *drv, struct npu_record *rec, enum npu_message_kind kind)
{
	if (!rec->live || !rec->wanted)
		return;
	switch (kind) {
	case NPU_AGED:
		on_aged(drv, rec);
		break;
	case NPU_COUNTER_HIGH:
		npu_flow_collect(drv, rec);
		break;
	case NPU_SAW_FIN:
	case NPU_SAW_RST:
		if (!npu_has_fault(drv->dev, NPU_FAULT_CLOSING_NOT_TOLD))
			drv->ops->closing(drv->host, rec->cookie,
					  kind == NPU_SAW_FIN ? FO_R_TCP_FIN : FO_R_TCP_RST);
		break;
	case NPU_DONE:
		break;
	}
}

void npu_work(struct npu_driver *drv)
{
	struct npu_message msg;
	unsigned int n;

	submit(drv);
	npu_tick(drv->dev);
	for (n = 0; n < MESSAGES_PER_WORK && npu_receive(drv->dev, &msg); n++) {
		uint64_t index = msg.cookie >> 1;
		struct npu_record *rec = index < drv->n_records ? &drv->records[index] : NULL;

		if (!rec || !rec->used)
			continue;
		if (msg.kind == NPU_DONE)
			on_done(drv, rec, (unsigned int)(msg.cookie & 1), &msg);
		else
			on_notice(drv, rec, msg.kind);
	}
	submit(drv);
}
