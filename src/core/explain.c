/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - fo_flow_explain(): is it offloaded, since when, and if not, why not. */
#include "core/table.h"

#include <errno.h>
#include <stdio.h>

#include "core/tuple.h"

static struct fo__recent *remember(struct fo_table *table)
{
	struct fo__recent *recent = &table->recent[table->recent_next++ % FO__RECENT];

	memset(recent, 0, sizeof(*recent));
	recent->used = 1;
	recent->when_ms = fo__about_now(table);
	return recent;
}

void fo__remember_end(struct fo_table *table, uint32_t conn, unsigned int reason, int backend_errno)
{
	fo_flow_id id = fo__conn_id(table->store, conn);
	struct fo__recent *recent = NULL;

	/* fo__remember_words() may have begun it, for reasons that are a device's. */
	for (uint32_t i = 0; fo__end_kind(reason) == FO_EV_REFUSED && !recent && i < FO__RECENT; i++)
		if (table->recent[i].used && table->recent[i].id == id)
			recent = &table->recent[i];
	if (!recent)
		recent = remember(table);
	recent->id = id;
	recent->reason = (uint8_t)reason;
	recent->backend_errno = backend_errno;
	recent->scope = fo__conn_scope(table->store, conn);
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__conn_tuple(table->store, conn, (enum fo_dir)dir, &recent->tuple[dir]);
}

void fo__remember_words(struct fo_table *table, uint32_t conn, const struct fo_error *why)
{
	struct fo__recent *recent = remember(table);

	recent->id = fo__conn_id(table->store, conn);
	recent->reason = (uint8_t)why->reason;
	recent->stage = why->stage;
	snprintf(recent->text, sizeof(recent->text), "%.*s", (int)sizeof(recent->text) - 1, why->text);
}

void fo__remember_refusal(struct fo_table *table, const struct fo_flow *flow, const struct fo_error *err)
{
	struct fo__recent *recent = remember(table);

	recent->reason = (uint8_t)err->reason;
	recent->stage = err->stage;
	recent->backend_errno = err->backend_errno;
	recent->scope = flow->scope;
	memcpy(recent->tuple, flow->tuple, sizeof(recent->tuple));
	snprintf(recent->text, sizeof(recent->text), "%.*s", (int)sizeof(recent->text) - 1, err->text);
}

static void explain_recent(const struct fo_table *table, const struct fo__recent *recent,
			   struct fo_explanation *out)
{
	uint64_t ago = fo__now(table) - recent->when_ms;

	out->flow = recent->id;
	out->reason = recent->reason;
	out->stage = recent->stage;
	out->backend_errno = recent->backend_errno;
	snprintf(out->text, sizeof(out->text), "Not offloaded: %s %llu ms ago (%s: %s).%s%s%s",
		 recent->id ? "the flow ended" : "its offload was refused", (unsigned long long)ago,
		 fo_reason_name(recent->reason), fo_reason_text(recent->reason), recent->text[0] ? " " : "",
		 recent->text, recent->id ? " The slow path carries it unless it is added again." : "");
}

static const char *state_words(uint32_t state)
{
	switch (state) {
	case FO_STATE_ARMED:
		return "Accepted, but the slow path carries it still";
	case FO_STATE_ACTIVE:
		return "Short-cut in software";
	case FO_STATE_HARDWARE:
		return "Short-cut in hardware";
	case FO_STATE_PARTIAL:
		return "Partly in hardware, or not proven to be";
	default:
		return "Ending: the slow path carries it";
	}
}

static void explain_conn(struct fo_table *table, uint32_t conn, struct fo_explanation *out)
{
	const struct fo__cold *cold = &table->store->cold[conn];
	struct fo_flow_info info;
	char device[160] = "";
	int used;

	fo__flow_info(table, conn, &info);
	out->flow = info.id;
	out->state = info.state;
	out->reason = info.reason;
	out->since_ms = info.since_ms;
	out->counters = info.counters;
	used = snprintf(out->text, sizeof(out->text),
			"%s on backend %s, added %llu ms ago; %llu + %llu packets took the short cut.",
			state_words(info.state), table->backend->name,
			(unsigned long long)(fo__now(table) - info.since_ms),
			(unsigned long long)info.counters.packets[0],
			(unsigned long long)info.counters.packets[1]);
	if (info.reason && used > 0 && (size_t)used < sizeof(out->text))
		used += snprintf(out->text + used, sizeof(out->text) - (size_t)used, " Reason: %s (%s).",
				 fo_reason_name(info.reason), fo_reason_text(info.reason));
	if (table->backend->flow_explain && cold->life == FO__LIFE_LIVE)
		table->backend->flow_explain(table->priv, info.id, conn, device, sizeof(device));
	if (device[0] && used > 0 && (size_t)used < sizeof(out->text))
		snprintf(out->text + used, sizeof(out->text) - (size_t)used, " %s", device);
}

/* A flow with this tuple and scope that is not reached by this key; FO__NO_SLOT when there is none. */
static uint32_t known_elsewhere(const struct fo_table *table, const struct fo_key *key)
{
	struct fo__search search;
	uint32_t dir;

	fo__search_begin(table->store, &search, &key->tuple, key->scope);
	dir = fo__search_next(table->store, &search);
	return dir == FO__NO_DIR ? FO__NO_SLOT : dir >> 1;
}

static const struct fo__recent *recent_by_key(const struct fo_table *table, const struct fo_key *key,
					      unsigned int *dir)
{
	for (uint32_t back = 1; back <= FO__RECENT; back++) {
		const struct fo__recent *recent = &table->recent[(table->recent_next - back) % FO__RECENT];

		if (!recent->used || recent->scope != key->scope)
			continue;
		for (*dir = 0; *dir < 2; ++*dir)
			if (!memcmp(&recent->tuple[*dir], &key->tuple, sizeof(key->tuple)))
				return recent;
	}
	return NULL;
}

/* What the device knows of a key that is none of the table's. */
static void append_device(struct fo_table *table, const struct fo_key *key, struct fo_explanation *out)
{
	char device[160] = "";
	size_t used = strlen(out->text);

	if (table->backend->key_explain)
		table->backend->key_explain(table->priv, key, device, sizeof(device));
	if (device[0] && used < sizeof(out->text))
		snprintf(out->text + used, sizeof(out->text) - used, " %.*s", (int)sizeof(device) - 1,
			 device);
}

static void explain_key(struct fo_table *table, const struct fo_key *key, struct fo_explanation *out)
{
	const struct fo__recent *recent;
	unsigned int dir;
	uint32_t other;

	other = known_elsewhere(table, key);
	if (other != FO__NO_SLOT) {
		out->flow = fo__conn_id(table->store, other);
		out->reason = FO_R_WRONG_INGRESS;
		snprintf(out->text, sizeof(out->text),
			 "Not offloaded from there: a flow has this tuple, but its packets must come by "
			 "another port, VLAN "
			 "or PPPoE session than this key says.");
		return;
	}
	recent = recent_by_key(table, key, &dir);
	if (recent) {
		out->dir = dir;
		explain_recent(table, recent, out);
		append_device(table, key, out);
		return;
	}
	out->reason = FO_R_NO_FLOW;
	snprintf(out->text, sizeof(out->text),
		 "Not offloaded: no flow has this tuple in scope %u, and none that ended or was refused "
		 "lately had it.",
		 key->scope);
	append_device(table, key, out);
}

static int explain_id(struct fo_table *table, fo_flow_id id, struct fo_explanation *out, struct fo_error *err)
{
	uint32_t conn = fo__conn_of(table->store, id);

	if (conn != FO__NO_SLOT) {
		if (table->store->cold[conn].life == FO__LIFE_LIVE)
			(void)fo__settle(table, conn);
		fo__flow_refresh(table, conn);
		explain_conn(table, conn, out);
		return 0;
	}
	for (uint32_t i = 0; i < FO__RECENT; i++)
		if (table->recent[i].used && table->recent[i].id == id) {
			explain_recent(table, &table->recent[i], out);
			return 0;
		}
	return fo__fail(err, -ENOENT, FO_R_STALE, FO_STAGE_RESOLVE, "id",
			"no flow has this id, and none that ended lately had it; ask by key instead");
}

int fo_flow_explain(struct fo_table *table, fo_flow_id id, const struct fo_key *key,
		    struct fo_explanation *out, struct fo_error *err)
{
	const size_t least = offsetof(struct fo_explanation, text);
	struct fo_explanation answer;
	struct fo_key want;
	enum fo_dir dir;
	fo_flow_id found;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__give_check(out, least, "out", err);
	FO_INIT(&answer);
	if (!code && !id)
		code = fo__check_key(key, &want, err);
	if (code)
		return code;
	if (id) {
		code = explain_id(table, id, &answer, err);
	} else if (!fo_flow_find(table, &want, &found, &dir, NULL)) {
		code = explain_id(table, found, &answer, err);
		answer.dir = (uint32_t)dir;
	} else {
		explain_key(table, &want, &answer);
	}
	return code ? code : fo__give(out, &answer, sizeof(answer), least, "out", err);
}
