/* SPDX-License-Identifier: BSD-2-Clause */
/* query.c - flows found by key, read by id, walked. Nothing here changes a flow. */
#include "core/calls.h"

#include <errno.h>

static int key_fits(const struct fo_table *table, uint32_t dir, const struct fo_key *key)
{
	uint32_t side = fo__meta_side(fo__load_relaxed(&table->store->lines[dir].meta));
	const struct fo_adj *adj = fo__side_adj(table, side, NULL);

	if (!adj)
		return 0;
	if (key->port == FO_PORT_ANY || (adj->flags & FO_ADJ_ANY_INGRESS))
		return 1;
	return adj->port == key->port &&
	       fo__encap_word(adj->encap, adj->n_encaps) == fo__encap_word(key->encap, key->n_encaps);
}

int fo_flow_find(struct fo_table *table, const struct fo_key *key, fo_flow_id *out, enum fo_dir *dir,
		 struct fo_error *err)
{
	struct fo__search search;
	struct fo_key want;
	uint32_t found;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__check_key(key, &want, err);
	if (!code && !out)
		code = fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the id goes");
	if (code)
		return code;
	fo__search_begin(table->store, &search, &want.tuple, want.scope);
	while ((found = fo__search_next(table->store, &search)) != FO__NO_DIR) {
		uint32_t conn = found >> 1;

		if (!key_fits(table, found, &want) || table->store->cold[conn].life != FO__LIFE_LIVE ||
		    !fo__settle(table, conn))
			continue;
		*out = fo__conn_id(table->store, conn);
		if (dir)
			*dir = (enum fo_dir)(found & 1);
		return 0;
	}
	return fo__fail(err, -ENOENT, FO_R_NO_FLOW, FO_STAGE_RESOLVE, "key", "no living flow has this key");
}

void fo__flow_info(struct fo_table *table, uint32_t conn, struct fo_flow_info *out)
{
	const struct fo__cold *cold = &table->store->cold[conn];
	uint64_t now = fo__now(table);

	FO_INIT(out);
	out->id = fo__conn_id(table->store, conn);
	fo__flow_read(table, conn, &out->flow);
	out->state = fo__flow_state(table, conn);
	out->reason = cold->reason;
	out->since_ms = now - (uint32_t)((uint32_t)now - cold->since_ms);
	fo__conn_counters(table->store, conn, now, &out->counters);
}

/* A flow whatever its life, as long as its id holds. */
static uint32_t known(struct fo_table *table, fo_flow_id id, struct fo_error *err)
{
	uint32_t conn = fo__conn_of(table->store, id);

	if (conn == FO__NO_SLOT)
		fo__fail(err, -ENOENT, FO_R_STALE, FO_STAGE_RESOLVE, "id",
			 "no flow has this id; it has ended or never came from fo_flow_add()");
	else if (table->store->cold[conn].life == FO__LIFE_LIVE)
		(void)fo__settle(table, conn);
	return conn;
}

void fo__flow_refresh(struct fo_table *table, uint32_t conn)
{
	if (table->store->cold[conn].life == FO__LIFE_LIVE)
		fo__call_flow_stats(table, conn);
}

int fo_flow_get(struct fo_table *table, fo_flow_id id, struct fo_flow_info *out, struct fo_error *err)
{
	const size_t least = offsetof(struct fo_flow_info, state);
	struct fo_flow_info info;
	uint32_t conn;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__give_check(out, least, "out", err);
	if (code)
		return code;
	conn = known(table, id, err);
	if (conn == FO__NO_SLOT)
		return -ENOENT;
	fo__flow_refresh(table, conn);
	fo__flow_info(table, conn, &info);
	return fo__give(out, &info, sizeof(info), least, "out", err);
}

int fo_flow_stats(struct fo_table *table, fo_flow_id id, struct fo_flow_counters *out, struct fo_error *err)
{
	struct fo_flow_counters counters;
	uint32_t conn;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__give_check(out, FO__COUNTERS_MIN, "out", err);
	if (code)
		return code;
	conn = known(table, id, err);
	if (conn == FO__NO_SLOT)
		return -ENOENT;
	fo__flow_refresh(table, conn);
	fo__conn_counters(table->store, conn, fo__now(table), &counters);
	return fo__give(out, &counters, sizeof(counters), FO__COUNTERS_MIN, "out", err);
}

int fo_flow_walk(struct fo_table *table, const struct fo_match *match, fo_walk_cb cb, void *arg,
		 struct fo_error *err)
{
	struct fo_match want;
	int visited = 0;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__check_match(match, &want, true, err);
	if (!code && !cb)
		code = fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "cb",
				"cb is NULL: pass a callback");
	if (code)
		return code;
	/* Flows never change their slot, so that one pass sees each once. */
	for (uint32_t conn = 0; conn < table->store->high; conn++) {
		const struct fo__cold *cold = &table->store->cold[conn];
		struct fo_flow_info info;

		if (cold->life == FO__LIFE_LIVE)
			(void)fo__settle(table, conn);
		if (cold->life == FO__LIFE_FREE || cold->life == FO__LIFE_RETIRED ||
		    !fo__matches(table, conn, &want))
			continue;
		fo__flow_info(table, conn, &info);
		visited++;
		if (cb(arg, &info))
			break;
	}
	return visited;
}
