/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_add.c - fo_flow_add(): from the caller's words to a living flow, both directions or none. */
#include "core/adding.h"

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

int fo__key_taken(struct fo_table *table, struct fo__search *search, const struct fo_adj *from,
		  unsigned int dir, uint32_t except, struct fo_error *err)
{
	const char *field = dir ? "tuple[1]" : "tuple[0]";
	uint32_t found;

	while ((found = fo__search_next(table->store, search)) != FO__NO_DIR) {
		uint32_t conn = found >> 1;

		if (conn == except)
			continue;
		if (!ingress_overlaps(table, found, from)) {
			search->twins++;
			continue;
		}
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
	out->size = sizeof(*out);
	out->cookie = fo__conn_id(table->store, conn);
	out->slot = conn;
	out->since_ms = 0;
	out->timeout_ms = table->store->cold[conn].timeout_ms;
	out->flow = flow;
	mirror_out(&flow->tuple[0], &flow->tuple[1], &out->out[0]);
	mirror_out(&flow->tuple[1], &flow->tuple[0], &out->out[1]);
	out->in[0] = out->to[1] = adj0;
	out->in[1] = out->to[0] = adj1;
}

/* What the flow says, against the table: adjacencies, capabilities, keys. */
static int resolve(struct fo_table *table, struct fo__adding *adding, struct fo_error *err)
{
	const struct fo_flow *flow = &adding->flow;
	struct fo__adjacency **adj = adding->adj;
	int code = 0;

	for (unsigned int dir = 0; !code && dir < 2; dir++)
		code = fo__adj_resolve(table, flow->adj[dir], dir, &adj[dir], err);
	if (!code)
		code = fo__check_pair(flow, &adj[0]->spec, &adj[1]->spec, err);
	if (!code)
		code = fo__check_flow_caps(flow, &adj[0]->spec, &adj[1]->spec, &table->caps, err);
	for (unsigned int dir = 0; !code && dir < 2; dir++)
		if (!fo__search_is_empty(table->store, &adding->search[dir]))
			code = fo__key_taken(table, &adding->search[dir], &adj[dir]->spec, dir, FO__NO_SLOT,
					     err);
	return code;
}

static int store_failed(const struct fo_table *table, int code, struct fo_error *err)
{
	switch (code) {
	case -ENOMEM:
		return fo__fail(
			err, code, FO_R_MEMORY, FO_STAGE_INSTALL, NULL,
			"no memory for the flow's sides, or to keep it apart from others with its tuple");
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

static inline int side_of(struct fo_table *table, const struct fo_flow *flow, unsigned int dir,
			  struct fo__adjacency *adj, uint32_t *out)
{
	/* Most adjacencies are used in one scope. */
	if (adj->first_side != FO__NO_SIDE && table->store->sides[adj->first_side].scope == flow->scope) {
		*out = adj->first_side;
		return 0;
	}
	return fo__side_get(table->store, &adj->first_side, flow->adj[dir], &adj->spec, flow->scope, out);
}

static int publish(struct fo_table *table, const struct fo__conn_spec *spec, const struct fo__search *search,
		   uint32_t *conn, struct fo_error *err)
{
	int code = fo__twins_reserve(table->store, search[0].twins + search[1].twins);

	if (!code)
		code = fo__conn_prepare(table->store, spec, conn);
	if (code)
		return store_failed(table, code, err);
	if (!fo__conn_publish_as(table->store, *conn, search)) {
		if (search[0].twins | search[1].twins)
			fo__twins_enter(table->store, *conn);
		return 0;
	}
	fo__conn_abandon(table->store, *conn);
	return fo__fail(err, -ENOSPC, FO_R_INDEX_CROWDED, FO_STAGE_INSTALL, NULL,
			"too many keys share one hash; retry: the table is taking a new secret");
}

int fo__adding_take(struct fo_table *table, const struct fo_flow *flow, struct fo__adding *adding,
		    struct fo_error *err)
{
	int code = fo__take_flow(flow, &adding->flow, err);

	adding->remember = 0;
	if (code)
		return code;
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__search_begin(table->store, &adding->search[dir], &adding->flow.tuple[dir],
				 adding->flow.scope);
	return 0;
}

int fo__adding_resolve(struct fo_table *table, struct fo__adding *adding, struct fo__conn_spec *spec,
		       struct fo_error *err)
{
	struct fo_flow *flow = &adding->flow;
	int code = fo__check_flow(flow, err);

	adding->remember = !code;
	if (!code)
		code = resolve(table, adding, err);
	if (code)
		return code;
	adding->now_ms = fo__about_now(table);
	*spec = (struct fo__conn_spec){.flow = flow, .now_ms = (uint32_t)adding->now_ms};
	flow->timeout_ms = resolve_timeout(table, flow);
	for (unsigned int dir = 0; !code && dir < 2; dir++)
		code = side_of(table, flow, dir, adding->adj[dir], &spec->in[dir]);
	return code ? store_failed(table, code, err) : 0;
}

int fo__adding_store(struct fo_table *table, struct fo__adding *adding, struct fo_error *err)
{
	struct fo__conn_spec spec;
	int code = fo__adding_resolve(table, adding, &spec, err);

	return code ? code : publish(table, &spec, adding->search, &adding->conn, err);
}

void fo__adding_tell(const struct fo_table *table, const struct fo__adding *adding,
		     struct fo_backend_flow *told)
{
	fo__backend_flow(table, adding->conn, &adding->flow, &adding->adj[0]->spec, &adding->adj[1]->spec,
			 told);
	told->since_ms = adding->now_ms;
}

fo_flow_id fo__adding_done(struct fo_table *table, const struct fo__adding *adding, int answer,
			   unsigned int state)
{
	struct fo_flowtable *store = table->store;

	if (answer < 0) {
		fo__conn_close(store, adding->conn, FO_R_BACKEND);
		fo__conn_unlink(store, adding->conn);
		fo__conn_retire(store, adding->conn);
		return 0;
	}
	store->cold[adding->conn].state = (uint8_t)(answer == FO_BACKEND_PENDING ? FO_STATE_ARMED : state);
	fo__sweep_expect(table, adding->now_ms, adding->flow.timeout_ms);
	return fo__conn_id(store, adding->conn);
}

void fo__adding_count(struct fo_table *table, const struct fo__adding *adding, int code,
		      const struct fo_error *why)
{
	if (!code) {
		table->added++;
		return;
	}
	table->refused++;
	if (adding->remember)
		fo__remember_refusal(table, &adding->flow, why);
	if (fo__upkeep_pending(table->store))
		fo__wake_at(table, 0);
}

int fo__add_one(struct fo_table *table, struct fo__adding *adding, fo_flow_id *out, struct fo_error *err)
{
	unsigned int state = FO_STATE_ACTIVE;
	struct fo_backend_flow told;
	int code = fo__adding_store(table, adding, err);

	if (!code) {
		fo__adding_tell(table, adding, &told);
		code = fo__call_flow_add(table, &told, &state, err);
		*out = fo__adding_done(table, adding, code, state);
		code = code < 0 ? code : 0;
	}
	fo__adding_count(table, adding, code, err);
	return code;
}

int fo_flow_add(struct fo_table *table, const struct fo_flow *flow, fo_flow_id *out, struct fo_error *err)
{
	struct fo__adding adding;
	struct fo_error own;
	fo_flow_id id;
	int code = fo__need_table(table, err);

	if (code)
		return code;
	if (!out)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the id goes");
	if (!err)
		err = &own;
	fo__adding_expect(table);
	code = fo__adding_take(table, flow, &adding, err);
	if (code)
		fo__adding_count(table, &adding, code, err);
	else
		code = fo__add_one(table, &adding, &id, err);
	if (!code)
		*out = id;
	return code;
}
