/* SPDX-License-Identifier: BSD-2-Clause */
/* adj.c - adjacencies: added, changed under their flows, forgotten. Their packet-path form is flowtable/sides.h. */
#include "core/table.h"

#include <errno.h>

#include "core/calls.h"

#define FIRST_ROOM 16u
#define ADJS_MAX   FO__SIDE_MAX

static struct fo__adjacency *find_or_fail(const struct fo_table *table, fo_adj_id id, const char *field,
					  struct fo_error *err)
{
	struct fo__adjacency *adj = fo__adj_find(table, id);

	if (!adj)
		fo__fail(err, -ENOENT, FO_R_STALE, FO_STAGE_RESOLVE, field,
			 "%s: no adjacency has this handle; it was deleted or never came from fo_adj_add()",
			 field);
	return adj;
}

int fo__adj_resolve(const struct fo_table *table, fo_adj_id id, unsigned int dir, struct fo__adjacency **out,
		    struct fo_error *err)
{
	const char *field = dir ? "adj[1]" : "adj[0]";

	*out = find_or_fail(table, id, field, err);
	if (!*out)
		return -ENOENT;
	if (table->ports[(*out)->port_at].state == FO_PORT_UP)
		return 0;
	return fo__port_usable(table, (*out)->spec.port, field, err);
}

const struct fo_adj *fo__side_adj(const struct fo_table *table, uint32_t side, fo_adj_id *id)
{
	const struct fo__adjacency *adj = fo__adj_find(table, table->store->sides[side].adj);

	if (id)
		*id = table->store->sides[side].adj;
	return adj ? &adj->spec : NULL;
}

void fo__adjs_free(struct fo_table *table)
{
	fo__free(&table->store->memory, table->adjs, table->adj_room * sizeof(*table->adjs));
}

int fo__adjs_grow(struct fo_table *table)
{
	uint32_t room = table->adj_room ? table->adj_room * 2 : FIRST_ROOM;
	struct fo__adjacency *adjs = fo__alloc(&table->store->memory, room * sizeof(*adjs), 8);

	if (!adjs)
		return -ENOMEM;
	if (table->adj_room)
		memcpy(adjs, table->adjs, table->adj_room * sizeof(*adjs));
	fo__adjs_free(table);
	table->adjs = adjs;
	table->adj_room = room;
	return 0;
}

/* A free number: the first below adj_high when some were deleted, else a new one. */
static int take(struct fo_table *table, uint32_t *out, struct fo_error *err)
{
	if (table->n_adjs < table->adj_high) {
		while (table->adjs[table->adj_hint].generation)
			table->adj_hint = table->adj_hint + 1 < table->adj_high ? table->adj_hint + 1 : 0;
		*out = table->adj_hint;
		return 0;
	}
	if (table->adj_high == ADJS_MAX)
		return fo__fail(err, -ENOSPC, FO_R_FULL, FO_STAGE_RESOLVE, NULL,
				"%u adjacencies exist; delete some", ADJS_MAX);
	if (table->adj_high == table->adj_room && fo__adjs_grow(table))
		return fo__fail(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, NULL,
				"no memory for another adjacency");
	*out = table->adj_high++;
	return 0;
}

static int check(struct fo_table *table, const struct fo_adj *adj, struct fo_adj *out, struct fo_error *err)
{
	int code = fo__check_adj(adj, out, err);

	if (!code && !fo__port_find(table, out->port))
		code = fo__port_usable(table, out->port, "port", err);
	if (!code)
		code = fo__check_adj_caps(out, &table->caps, err);
	if (!code)
		code = fo__call_adj_check(table, out, err);
	return code;
}

/* check() has found the port, and ports are never forgotten. */
static uint32_t port_at(const struct fo_table *table, uint32_t port)
{
	return (uint32_t)(fo__port_find(table, port) - table->ports);
}

int fo_adj_add(struct fo_table *table, const struct fo_adj *adj, fo_adj_id *out, struct fo_error *err)
{
	struct fo_adj spec;
	uint32_t number = 0;
	int code = fo__need_table(table, err);

	if (!code)
		code = check(table, adj, &spec, err);
	if (!code && !out)
		code = fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "out",
				"out is NULL: pass where the handle goes");
	if (!code)
		code = take(table, &number, err);
	if (code)
		return code;
	if (!++table->adj_generation)
		table->adj_generation = 1;
	table->adjs[number] =
		(struct fo__adjacency){spec, table->adj_generation, FO__NO_SIDE, port_at(table, spec.port)};
	table->n_adjs++;
	*out = (fo_adj_id)table->adj_generation << 32 | number;
	return 0;
}

static int same_ingress(const struct fo_adj *a, const struct fo_adj *b)
{
	if ((a->flags | b->flags) & FO_ADJ_ANY_INGRESS)
		return 1;
	return a->port == b->port &&
	       fo__encap_word(a->encap, a->n_encaps) == fo__encap_word(b->encap, b->n_encaps);
}

static int side_overlaps(const struct fo_table *table, uint32_t side, const struct fo_adj *then)
{
	const struct fo_adj *adj = fo__side_adj(table, side, NULL);

	/* Of an adjacency that was deleted: its flows are closing, and cannot tell what it was. */
	return !adj || same_ingress(adj, then);
}

/* Would a change of ingress give a flow of this adjacency a key that another flow has? Only one that has the same tuple
 * can, and of those the store knows the sides (flowtable/twins.h). */
static int collides(const struct fo_table *table, const struct fo__adjacency *known,
		    const struct fo_adj *then, struct fo_error *err)
{
	const struct fo_adj *now = &known->spec;
	const struct fo__side *sides = table->store->sides;

	if (now->port == then->port && now->flags == then->flags &&
	    fo__encap_word(now->encap, now->n_encaps) == fo__encap_word(then->encap, then->n_encaps))
		return 0;
	for (uint32_t side = known->first_side; side != FO__NO_SIDE; side = sides[side].next)
		for (const struct fo__twin *twin = sides[side].twins; twin;
		     twin = twin->next[fo__twin_at(twin, side)]) {
			uint32_t other = twin->side[1 - fo__twin_at(twin, side)];

			if (!side_overlaps(table, other, then))
				continue;
			if (twin->living && !sides[other].dead)
				return fo__fail(err, -EEXIST, FO_R_EXISTS, FO_STAGE_RESOLVE, "port",
						"flows of this adjacency and of the new ingress have one "
						"tuple; delete "
						"one of each two first");
			return fo__fail(
				err, -EBUSY, FO_R_KEY_CLOSING, FO_STAGE_RESOLVE, "port",
				"a flow that is closing has the key that another would get; retry after its "
				"terminal event");
		}
	return 0;
}

/* Backends that follow flow by flow: each flow of the adjacency is told; the ones told are told back when one fails. */
static int update_flows(struct fo_table *table, fo_adj_id id, const struct fo_adj *spec, uint32_t limit,
			struct fo_error *err)
{
	for (uint32_t conn = 0; conn < limit; conn++) {
		struct fo_backend_flow told;
		struct fo_flow flow;
		const struct fo_adj *adj[2];
		int code;

		if (table->store->cold[conn].life != FO__LIFE_LIVE)
			continue;
		fo__flow_read(table, conn, &flow);
		if (flow.adj[0] != id && flow.adj[1] != id)
			continue;
		for (unsigned int dir = 0; dir < 2; dir++)
			adj[dir] = flow.adj[dir] == id ? spec : &fo__adj_find(table, flow.adj[dir])->spec;
		fo__backend_flow(table, conn, &flow, adj[0], adj[1], &told);
		code = fo__call_flow_update(table, &told, FO_UPDATE_ADJ, err);
		if (code < 0) {
			(void)update_flows(table, id, &fo__adj_find(table, id)->spec, conn, NULL);
			return code;
		}
	}
	return 0;
}

static int update_backend(struct fo_table *table, fo_adj_id id, const struct fo_adj *now,
			  const struct fo_adj *then, struct fo_error *err)
{
	if (table->backend->adj_update)
		return fo__call_adj_update(table, id, now, then, err);
	if (table->backend->flow_update)
		return update_flows(table, id, then, table->store->high, err);
	return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, NULL,
			"backend %s cannot update an adjacency; delete its flows and add them anew",
			table->backend->name);
}

int fo_adj_update(struct fo_table *table, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err)
{
	struct fo__adjacency *known = NULL;
	struct fo_adj spec;
	int code = fo__need_table(table, err);

	if (code)
		return code;
	known = find_or_fail(table, id, "id", err);
	code = known ? check(table, adj, &spec, err) : -ENOENT;
	if (!code)
		code = fo__policies_use(table, id, err);
	if (!code)
		code = fo__port_usable(table, spec.port, "port", err);
	if (!code && !(table->caps.can & FO_CAP_ADJ_UPDATE))
		code = fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, NULL,
				"backend %s lacks adj-update; delete the flows and add them anew",
				table->backend->name);
	if (!code)
		code = collides(table, known, &spec, err);
	if (!code)
		code = update_backend(table, id, &known->spec, &spec, err);
	if (code)
		return code;
	code = fo__sides_update(table->store, known->first_side, &spec);
	if (code) {
		(void)update_backend(table, id, &spec, &known->spec, NULL);
		return fo__fail(
			err, code, code == -EAGAIN ? FO_R_RECLAIM : FO_R_MEMORY, FO_STAGE_INSTALL, NULL,
			code == -EAGAIN
				? "a stalled worker holds too many old entries; try again when it is back"
				: "no memory for the new entry; the old one stays");
	}
	known->spec = spec;
	known->port_at = port_at(table, spec.port);
	return 0;
}

int fo_adj_del(struct fo_table *table, fo_adj_id id, struct fo_error *err)
{
	struct fo__adjacency *adj;
	int code = fo__need_table(table, err);
	uint32_t refs = 0;

	if (code)
		return code;
	adj = find_or_fail(table, id, "id", err);
	if (!adj)
		return -ENOENT;
	for (uint32_t side = adj->first_side; side != FO__NO_SIDE; side = table->store->sides[side].next)
		refs += table->store->sides[side].refs;
	if (refs)
		return fo__fail(err, -EBUSY, FO_R_IN_USE, FO_STAGE_RESOLVE, "id",
				"flows use this adjacency; fo_invalidate() it first (FO_MATCH_ADJ)");
	if (fo__policies_use(table, id, err))
		return -EBUSY;
	fo__sides_drop(table->store, &adj->first_side);
	adj->generation = 0;
	table->adj_hint = (uint32_t)id;
	table->n_adjs--;
	return 0;
}

int fo_adj_get(struct fo_table *table, fo_adj_id id, struct fo_adj *out, struct fo_error *err)
{
	struct fo__adjacency *adj;
	int code = fo__need_table(table, err);

	if (code)
		return code;
	adj = find_or_fail(table, id, "id", err);
	if (!adj)
		return -ENOENT;
	return fo__give(out, &adj->spec, sizeof(adj->spec), FO__ADJ_MIN, "adj", err);
}
