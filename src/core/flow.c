/* SPDX-License-Identifier: BSD-2-Clause */
/* flow.c - living flows: deleted, updated, read back. */
#include "core/table.h"

#include <errno.h>

#include "core/calls.h"
#include "core/tuple.h"

uint32_t fo__flow_living(struct fo_table *table, fo_flow_id id, struct fo_error *err)
{
	uint32_t conn = fo__conn_of(table->store, id);

	if (conn != FO__NO_SLOT && table->store->cold[conn].life == FO__LIFE_LIVE && fo__settle(table, conn))
		return conn;
	/* Whoever is told that a flow is ending waits for its event: it is not revived, whatever was under way. */
	if (conn != FO__NO_SLOT)
		table->store->cold[conn].flags |= FO__COLD_TOLD;
	fo__fail(err, -ENOENT, FO_R_STALE, FO_STAGE_RESOLVE, "id",
		 conn == FO__NO_SLOT ? "no flow has this id; it has ended or never came from fo_flow_add()"
				     : "the flow is ending; its terminal event brings its final counters");
	return FO__NO_SLOT;
}

uint32_t fo__flow_state(const struct fo_table *table, uint32_t conn)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	return cold->life == FO__LIFE_LIVE ? cold->state : FO_STATE_CLOSING;
}

uint32_t fo__flow_nat(const struct fo_tuple tuple[2])
{
	struct fo__nat nat = fo__nat_of(tuple);
	uint32_t bits = (nat.src_addr || nat.src_port ? FO_NAT_SRC : 0) |
			(nat.dst_addr || nat.dst_port ? FO_NAT_DST : 0);

	return bits ? bits : FO_NAT_NONE;
}

void fo__flow_read(const struct fo_table *table, uint32_t conn, struct fo_flow *out)
{
	const struct fo__cold *cold = &table->store->cold[conn];

	FO_INIT(out);
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__line *line = &table->store->lines[conn * 2 + dir];

		fo__conn_tuple(table->store, conn, (enum fo_dir)dir, &out->tuple[dir]);
		(void)fo__side_adj(table, fo__meta_side(fo__load_relaxed(&line->meta)), &out->adj[dir]);
		out->dscp[dir] = (uint8_t)fo__load_relaxed(&line->out);
	}
	out->user = fo__cold_user(cold);
	out->tag = fo__load_relaxed(&cold->tag);
	out->ct_mark = cold->mark;
	out->timeout_ms = cold->timeout_ms;
	out->scope = fo__conn_scope(table->store, conn);
	out->nat = fo__flow_nat(out->tuple);
}

/* ---- delete ---- */

static int delete_flow(struct fo_table *table, uint32_t conn, struct fo_flow_counters *last,
		       struct fo_error *err)
{
	struct fo_flowtable *store = table->store;
	struct fo__cold *cold = &store->cold[conn];
	struct fo_error own;
	int code;

	code = fo__call_flow_forbid(table, conn, &own);
	if (!code)
		code = fo__call_flow_del(table, conn, &own);
	if (code < 0)
		return fo__fail_backend(err, -EIO, FO_R_BACKEND, FO_STAGE_INSTALL, own.backend_errno, "id",
					"backend %s did not delete the flow, which is still there: %s",
					table->backend->name, own.text);
	fo__conn_close(store, conn, FO_R_DELETED);
	if (code == FO_BACKEND_PENDING) {
		cold->flags |= FO__COLD_BACKEND;
	} else if (fo__conn_drain(store, conn)) {
		if (last) {
			fo__conn_counters(store, conn, fo__about_now(table), last);
			last->flags |= FO_STATS_FINAL;
			fo__remember_end(table, conn, FO_R_DELETED, 0);
			table->ended[7]++;
			fo__conn_unlink(store, conn);
			fo__conn_retire(store, conn);
			return 0;
		}
		fo__conn_await(store, conn);
	}
	if (last)
		fo__conn_counters(store, conn, fo__about_now(table), last);
	fo__wake_at(table, 0);
	return 0;
}

int fo_flow_del(struct fo_table *table, fo_flow_id id, struct fo_flow_counters *last, struct fo_error *err)
{
	struct fo_flow_counters counters;
	uint32_t conn;
	int code = fo__need_table(table, err);

	if (!code && last)
		code = fo__give_check(last, FO__COUNTERS_MIN, "last", err);
	if (code)
		return code;
	if ((uint32_t)id < table->store->high)
		fo__conn_touch(table->store, (uint32_t)id);
	fo__upkeep(table->store);
	conn = fo__flow_living(table, id, err);
	if (conn == FO__NO_SLOT)
		return -ENOENT;
	code = delete_flow(table, conn, last ? &counters : NULL, err);
	if (!code && last)
		(void)fo__give(last, &counters, sizeof(counters), FO__COUNTERS_MIN, "last", NULL);
	return code;
}

/* How many flows a backend is told of at once. */
#define AHEAD_MOST 128u

/* For a backend that is dear to talk to: the next of them that live. */
static void delete_ahead(struct fo_table *table, const fo_flow_id *ids, size_t n)
{
	uint64_t cookies[AHEAD_MOST];
	uint32_t slots[AHEAD_MOST];
	size_t known = 0;

	for (size_t i = 0; i < n && i < AHEAD_MOST; i++) {
		uint32_t conn = fo__flow_living(table, ids[i], NULL);

		if (conn == FO__NO_SLOT)
			continue;
		cookies[known] = ids[i];
		slots[known++] = conn;
	}
	/* One is as fast by itself. */
	if (known > 1)
		table->backend->flow_del_ahead(table->priv, cookies, slots, known);
}

int fo_flow_del_many(struct fo_table *table, const fo_flow_id *ids, size_t n, int *results,
		     struct fo_error *err)
{
	struct fo_error first;
	int failed = 0, accepted = 0;

	if (!table)
		return fo__no_table(err);
	if (!ids && n)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "ids",
				"ids is NULL: pass n of them");
	if (n > INT32_MAX)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "n",
				"n is above 2^31-1: split the batch");
	for (size_t i = 0; i < n; i++) {
		int code;

		if (table->backend->flow_del_ahead && i % AHEAD_MOST == 0)
			delete_ahead(table, ids + i, n - i);
		code = fo_flow_del(table, ids[i], NULL, failed ? NULL : &first);

		accepted += !code;
		failed |= code != 0;
		if (results)
			results[i] = code;
	}
	if (failed && err)
		*err = first;
	return accepted;
}

/* ---- update ---- */

static int lacks(const struct fo_table *table, const char *cap, struct fo_error *err)
{
	return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, "mask",
			"backend %s lacks %s; delete the flow and add it anew", table->backend->name, cap);
}

/* twins: how many directions have a key of this one's and another ingress, to begin with. */
static int update_adj(struct fo_table *table, uint32_t conn, const struct fo_flow *flow,
		      struct fo__adjacency *adj[2], uint32_t side[2], uint32_t *twins, struct fo_error *err)
{
	int code = 0;

	for (unsigned int dir = 0; !code && dir < 2; dir++)
		code = fo__adj_resolve(table, flow->adj[dir], dir, &adj[dir], err);
	if (!code)
		code = fo__check_pair(flow, &adj[0]->spec, &adj[1]->spec, err);
	if (!code)
		code = fo__check_flow_caps(flow, &adj[0]->spec, &adj[1]->spec, &table->caps, err);
	if (!code && !(table->caps.can & FO_CAP_ADJ_UPDATE))
		code = lacks(table, "adj-update", err);
	for (unsigned int dir = 0; !code && dir < 2; dir++) {
		struct fo__search search;

		fo__search_begin(table->store, &search, &flow->tuple[dir], flow->scope);
		code = fo__key_taken(table, &search, &adj[dir]->spec, dir, conn, err);
		*twins += search.twins;
	}
	if (!code && fo__twins_reserve(table->store, *twins))
		code = fo__fail(
			err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, NULL,
			"no memory to keep the flow apart from others with its tuple; it keeps what it has");
	for (unsigned int dir = 0; !code && dir < 2; dir++) {
		code = fo__side_get(table->store, &adj[dir]->first_side, flow->adj[dir], &adj[dir]->spec,
				    flow->scope, &side[dir]);
		if (code)
			return fo__fail(err, code, code == -ENOMEM ? FO_R_MEMORY : FO_R_RECLAIM,
					FO_STAGE_RESOLVE, dir ? "adj[1]" : "adj[0]",
					"no room for another side; the flow keeps what it has");
	}
	return code;
}

static void apply_adj(struct fo_table *table, uint32_t conn, const uint32_t side[2], uint32_t twins)
{
	fo__twins_leave(table->store, conn);
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__line *line = &table->store->lines[conn * 2 + dir];
		uint32_t meta = fo__load_relaxed(&line->meta), out = fo__load_relaxed(&line->out);

		fo__side_ref(table->store, side[dir]);
		fo__store_release(&line->out, side[1 - dir] << 8 | (out & 0xff));
		fo__store_release(&line->meta, side[dir] << 8 | fo__meta_code(meta));
		fo__side_unref(table->store, fo__meta_side(meta));
	}
	if (twins)
		fo__twins_enter(table->store, conn);
}

static void apply(struct fo_table *table, uint32_t conn, uint32_t mask, const struct fo_flow *flow)
{
	struct fo__cold *cold = &table->store->cold[conn];

	if (mask & FO_UPDATE_TIMEOUT) {
		cold->timeout_ms = flow->timeout_ms;
		cold->look_ms = (uint32_t)fo__about_now(table);
		fo__sweep_expect(table, fo__about_now(table), flow->timeout_ms);
	}
	if (mask & FO_UPDATE_TAG)
		fo__store_relaxed(&cold->tag, flow->tag);
	if (mask & FO_UPDATE_MARK)
		cold->mark = flow->ct_mark;
	if (mask & FO_UPDATE_USER)
		fo__cold_set_user(cold, flow->user);
	for (unsigned int dir = 0; (mask & FO_UPDATE_DSCP) && dir < 2; dir++) {
		struct fo__line *line = &table->store->lines[conn * 2 + dir];

		fo__store_relaxed(&line->out, (fo__load_relaxed(&line->out) & ~0xffu) | flow->dscp[dir]);
	}
}

/* The flow as it would be. */
static void merge(struct fo_flow *flow, uint32_t mask, const struct fo_flow *from)
{
	if (mask & FO_UPDATE_TIMEOUT)
		flow->timeout_ms = from->timeout_ms;
	if (mask & FO_UPDATE_TAG)
		flow->tag = from->tag;
	if (mask & FO_UPDATE_MARK)
		flow->ct_mark = from->ct_mark;
	if (mask & FO_UPDATE_USER)
		flow->user = from->user;
	if (mask & FO_UPDATE_DSCP)
		memcpy(flow->dscp, from->dscp, sizeof(flow->dscp));
	if (mask & FO_UPDATE_ADJ)
		memcpy(flow->adj, from->adj, sizeof(flow->adj));
}

static uint32_t table_timeout(const struct fo_table *table, uint8_t proto)
{
	return proto == FO__PROTO_TCP	? table->timeout_tcp_ms
	       : proto == FO__PROTO_UDP ? table->timeout_udp_ms
					: table->timeout_icmp_ms;
}

/* What a backend is told of: who keeps flows for another process has to know all. */
static uint32_t told_of(const struct fo_table *table)
{
	return FO_UPDATE_DSCP | FO_UPDATE_ADJ | FO_UPDATE_TIMEOUT | FO_UPDATE_MARK |
	       (table->persists ? FO_UPDATE_TAG | FO_UPDATE_USER : 0);
}

static int update(struct fo_table *table, uint32_t conn, uint32_t mask, const struct fo_flow *from,
		  struct fo_error *err)
{
	struct fo__adjacency *adj[2];
	struct fo_backend_flow told;
	struct fo_flow flow;
	uint32_t side[2], twins = 0;
	int code = 0;

	fo__flow_read(table, conn, &flow);
	merge(&flow, mask, from);
	if (flow.timeout_ms == FO_TIMEOUT_TABLE)
		flow.timeout_ms = table_timeout(table, flow.tuple[0].proto);
	for (unsigned int dir = 0; dir < 2; dir++)
		adj[dir] = fo__adj_find(table, flow.adj[dir]);
	if (mask & FO_UPDATE_ADJ)
		code = update_adj(table, conn, &flow, adj, side, &twins, err);
	else if (adj[0] && adj[1])
		code = fo__check_flow_caps(&flow, &adj[0]->spec, &adj[1]->spec, &table->caps, err);
	if (code)
		return code;
	fo__backend_flow(table, conn, &flow, &adj[0]->spec, &adj[1]->spec, &told);
	told.timeout_ms = flow.timeout_ms;
	if (mask & told_of(table)) {
		code = fo__call_flow_update(table, &told, mask, err);
		if (code < 0)
			return code;
	}
	if (mask & FO_UPDATE_ADJ)
		apply_adj(table, conn, side, twins);
	apply(table, conn, mask, &flow);
	return 0;
}

int fo_flow_update(struct fo_table *table, fo_flow_id id, uint32_t mask, const struct fo_flow *flow,
		   struct fo_error *err)
{
	struct fo_flow checked;
	uint32_t conn;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__check_update(mask, flow, &checked, err);
	if (code)
		return code;
	conn = fo__flow_living(table, id, err);
	if (conn == FO__NO_SLOT)
		return -ENOENT;
	if (!(table->caps.can & FO_CAP_FLOW_UPDATE) || !table->backend->flow_update)
		return lacks(table, "flow-update", err);
	return update(table, conn, mask, &checked, err);
}
