/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_add.c - fo_flow_add(): from the caller's words to a living flow, both directions or none. */
#include "core/table.h"

#include <errno.h>

#include "core/calls.h"
#include "core/tuple.h"

static int ingress_overlaps(const struct fo_table *table, uint32_t dir, const struct fo_adj *from)
{
	uint32_t side = fo__meta_side(fo__load_relaxed(&table->store->lines[dir].meta));
	const struct fo_adj *adj = fo__side_adj(table, side, NULL);

	/* A side whose adjacency was deleted is dead: its flow is closing, and cannot tell what it was. */
	if (!adj || (adj->flags & FO_ADJ_ANY_INGRESS) || (from->flags & FO_ADJ_ANY_INGRESS))
		return 1;
	return adj->port == from->port &&
	       fo__encap_word(adj->encap, adj->n_encaps) == fo__encap_word(from->encap, from->n_encaps);
}

int fo__key_taken(struct fo_table *table, const struct fo_tuple *tuple, uint16_t scope,
		  const struct fo_adj *from, unsigned int dir, uint32_t except, struct fo_error *err)
{
	const char *field = dir ? "tuple[1]" : "tuple[0]";
	struct fo__search search;
	uint32_t found;

	fo__search_begin(table->store, &search, tuple, scope);
	while ((found = fo__search_next(table->store, &search)) != FO__NO_DIR) {
		uint32_t conn = found >> 1;

		if (conn == except || !ingress_overlaps(table, found, from))
			continue;
		if (table->store->cold[conn].life == FO__LIFE_LIVE && fo__settle(table, conn))
			return fo__fail(err, -EEXIST, FO_R_EXISTS, FO_STAGE_RESOLVE, field,
					"%s belongs to a living flow; update or delete that one", field);
		/* It may have ended for good at this look. */
		if (fo__is_terminal_life(&table->store->cold[conn]) &&
		    table->store->cold[conn].life != FO__LIFE_RETIRED)
			return fo__fail(
				err, -EBUSY, FO_R_KEY_CLOSING, FO_STAGE_RESOLVE, field,
				"%s belongs to a flow that is closing; retry after its terminal event",
				field);
	}
	return 0;
}

static uint32_t resolve_timeout(const struct fo_table *table, const struct fo_flow *flow)
{
	if (flow->timeout_ms != FO_TIMEOUT_TABLE)
		return flow->timeout_ms;
	if (flow->tuple[0].proto == FO__PROTO_TCP)
		return table->timeout_tcp_ms;
	return flow->tuple[0].proto == FO__PROTO_UDP ? table->timeout_udp_ms : table->timeout_icmp_ms;
}

static void mirror_out(const struct fo_tuple *tuple, const struct fo_tuple *other, struct fo_tuple *out)
{
	*out = *tuple;
	memcpy(out->src, other->dst, 16);
	memcpy(out->dst, other->src, 16);
	if (tuple->proto == FO__PROTO_ICMP || tuple->proto == FO__PROTO_ICMPV6) {
		out->sport_be = other->sport_be; /* the identifier; type and code stay */
	} else {
		out->sport_be = other->dport_be;
		out->dport_be = other->sport_be;
	}
}

void fo__backend_flow(const struct fo_table *table, uint32_t conn, const struct fo_flow *flow,
		      const struct fo_adj *adj0, const struct fo_adj *adj1, struct fo_backend_flow *out)
{
	const struct fo_adj *adj[2] = {adj0, adj1};

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->cookie = fo__conn_id(table->store, conn);
	out->slot = conn;
	out->timeout_ms = table->store->cold[conn].timeout_ms;
	out->flow = flow;
	for (unsigned int dir = 0; dir < 2; dir++) {
		mirror_out(&flow->tuple[dir], &flow->tuple[1 - dir], &out->out[dir]);
		out->in[dir] = adj[dir];
		out->to[dir] = adj[1 - dir];
	}
}

/* What the flow says, against the table: adjacencies, capabilities, keys. */
static int resolve(struct fo_table *table, const struct fo_flow *flow, struct fo__adjacency *adj[2],
		   struct fo_error *err)
{
	int code = 0;

	for (unsigned int dir = 0; !code && dir < 2; dir++)
		code = fo__adj_resolve(table, flow->adj[dir], dir, &adj[dir], err);
	if (!code)
		code = fo__check_pair(flow, &adj[0]->spec, &adj[1]->spec, err);
	if (!code)
		code = fo__check_flow_caps(flow, &adj[0]->spec, &adj[1]->spec, &table->caps, err);
	for (unsigned int dir = 0; !code && dir < 2; dir++)
		code = fo__key_taken(table, &flow->tuple[dir], flow->scope, &adj[dir]->spec, dir, FO__NO_SLOT,
				     err);
	return code;
}

static int store_failed(const struct fo_table *table, int code, struct fo_error *err)
{
	switch (code) {
	case -ENOMEM:
		return fo__fail(err, code, FO_R_MEMORY, FO_STAGE_INSTALL, NULL,
				"no memory for the flow's sides");
	case -EAGAIN:
		return fo__fail(
			err, code, FO_R_RECLAIM, FO_STAGE_INSTALL, NULL,
			"slots of ended flows wait for workers or for their events; call fo_table_poll()");
	default:
		return fo__fail(err, -ENOSPC, FO_R_FULL, FO_STAGE_INSTALL, NULL,
				"the table holds its capacity of %u flows; end some or create it larger",
				table->store->capacity);
	}
}

static int publish(struct fo_table *table, const struct fo__conn_spec *spec, uint32_t *conn,
		   struct fo_error *err)
{
	int code = fo__conn_prepare(table->store, spec, conn);

	if (code)
		return store_failed(table, code, err);
	if (!fo__conn_publish(table->store, *conn))
		return 0;
	fo__conn_abandon(table->store, *conn);
	return fo__fail(err, -ENOSPC, FO_R_INDEX_CROWDED, FO_STAGE_INSTALL, NULL,
			"too many keys share one hash; retry: the table is taking a new secret");
}

/* The backend's part. On failure the flow is taken back out of the store, unseen. */
static int install(struct fo_table *table, uint32_t conn, const struct fo_flow *flow,
		   struct fo__adjacency *adj[2], struct fo_error *err)
{
	struct fo__cold *cold = &table->store->cold[conn];
	unsigned int state = FO_STATE_ACTIVE;
	struct fo_backend_flow told;
	int code;

	fo__backend_flow(table, conn, flow, &adj[0]->spec, &adj[1]->spec, &told);
	code = fo__call_flow_add(table, &told, &state, err);
	if (code < 0) {
		fo__conn_close(table->store, conn, FO_R_BACKEND);
		fo__conn_unlink(table->store, conn);
		fo__conn_retire(table->store, conn);
		return code;
	}
	cold->state = (uint8_t)(code == FO_BACKEND_PENDING ? FO_STATE_ARMED : state);
	return 0;
}

static int add(struct fo_table *table, const struct fo_flow *flow, fo_flow_id *out, struct fo_error *err)
{
	struct fo__conn_spec spec = {.flow = flow, .now_ms = (uint32_t)fo__now(table)};
	struct fo__adjacency *adj[2];
	struct fo_flow resolved = *flow;
	uint32_t conn;
	int code = resolve(table, flow, adj, err);

	if (code)
		return code;
	resolved.timeout_ms = resolve_timeout(table, flow);
	spec.flow = &resolved;
	for (unsigned int dir = 0; dir < 2; dir++) {
		code = fo__side_get(table->store, &adj[dir]->first_side, flow->adj[dir], &adj[dir]->spec,
				    flow->scope, &spec.in[dir]);
		if (code)
			return store_failed(table, code, err);
	}
	code = publish(table, &spec, &conn, err);
	if (code)
		return code;
	code = install(table, conn, &resolved, adj, err);
	if (code)
		return code;
	fo__sweep_expect(table, resolved.timeout_ms);
	*out = fo__conn_id(table->store, conn);
	return 0;
}

/* One flow that passed no check yet. Keeps count, and what explain needs. */
static int add_one(struct fo_table *table, const struct fo_flow *flow, fo_flow_id *out, struct fo_error *err)
{
	struct fo_error own;
	struct fo_flow checked;
	int code;

	memset(&own, 0, sizeof(own));
	fo__upkeep(table->store);
	code = fo__check_flow(flow, &checked, &own);
	if (!code) {
		code = add(table, &checked, out, &own);
		if (code)
			fo__remember_refusal(table, &checked, &own);
	}
	if (!code) {
		table->added++;
		return 0;
	}
	table->refused++;
	if (err)
		*err = own;
	if (fo__upkeep_pending(table->store))
		fo__wake_at(table, 0);
	return code;
}

int fo_flow_add(struct fo_table *table, const struct fo_flow *flow, fo_flow_id *out, struct fo_error *err)
{
	fo_flow_id id;
	int code;

	if (!out)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the id goes");
	code = add_one(table, flow, &id, err);
	if (!code)
		*out = id;
	return code;
}

int fo_flow_add_many(struct fo_table *table, const struct fo_flow *flows, size_t n, size_t stride,
		     fo_flow_id *ids, int *results, struct fo_error *err)
{
	const uint8_t *at = (const uint8_t *)flows;
	struct fo_error first;
	int failed = 0, added = 0;

	if (!flows && n)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "flows",
				"flows is NULL: pass n of them");
	if (n > INT32_MAX)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "n",
				"n is above 2^31-1: split the batch");
	if (!stride)
		stride = sizeof(*flows);
	if (stride % sizeof(size_t) || stride < FO__FLOW_MIN)
		return fo__fail(err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "stride",
				"stride %zu is no size of a struct fo_flow: pass sizeof(struct fo_flow)",
				stride);
	for (size_t i = 0; i < n; i++, at += stride) {
		fo_flow_id id = 0;
		int code =
			add_one(table, (const struct fo_flow *)(const void *)at, &id, failed ? NULL : &first);

		added += !code;
		failed |= code != 0;
		if (ids)
			ids[i] = id;
		if (results)
			results[i] = code;
	}
	if (failed && err)
		*err = first;
	return added;
}
