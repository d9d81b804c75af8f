/* SPDX-License-Identifier: BSD-2-Clause */
/* api_sides.c - calls on adjacencies and ports; what a change of them means for the flows of api_model.h. */
#include <errno.h>

#include "api_model.h"

static struct api_adj *pick_side(struct api *api)
{
	return &api->adjs[fuzz_pick(api->in, API_ADJS)];
}

/* A side on a known port, or now and then on one that the table never heard of. */
static void choose_side(struct api *api, struct fo_adj *adj, struct api_verdict *v)
{
	unsigned int byte = fuzz_take8(api->in);

	api_side(1 + byte % API_PORTS, byte >> 2, adj);
	if (api->port_state[adj->port] == FO_PORT_GONE)
		v->may |= API_ENODEV; /* whether a port that is gone is still known is not promised */
	if (byte >= 0xf8) {
		adj->port = 99;
		v->must |= API_ENODEV;
	}
}

static void check_reads_back(struct api *api, const struct api_adj *side)
{
	struct fo_adj got;
	struct fo_error err;

	FO_INIT(&got);
	FUZZ_CHECK(fo_adj_get(api->table, side->id, &got, &err) == 0, "%s", err.text);
	FUZZ_CHECK(memcmp(&got, &side->adj, sizeof(got)) == 0, "an adjacency reads back changed");
}

void api_call_adj_add(struct api *api)
{
	struct api_adj *side = pick_side(api);
	struct api_verdict v = {0, 0};
	struct fo_error err;
	struct fo_adj adj;
	fo_adj_id id = 42;

	if (side->alive)
		return;
	choose_side(api, &adj, &v);
	if (!api_answered(api, "fo_adj_add", fo_adj_add(api->table, &adj, &id, &err), &err, &v)) {
		FUZZ_CHECK(id == 42, "the out-parameter of a failed call was written");
		return;
	}
	FUZZ_CHECK(id != 0 && id != api->old_adj && api_adj_by_id(api, id) == NULL, "id %llx",
		   (unsigned long long)id);
	side->alive = true;
	side->id = id;
	side->adj = adj;
	check_reads_back(api, side);
}

static bool uses(const struct api_flow *f, fo_adj_id id)
{
	return f->flow.adj[0] == id || f->flow.adj[1] == id;
}

/* What stands against it that every flow over this side follows it to adj. */
static void update_conflicts(struct api *api, const struct api_adj *side, const struct fo_adj *adj,
			     struct api_verdict *v)
{
	static struct fo_adj before[API_FLOWS][2];
	struct api_verdict clash = {0, 0};
	unsigned int i, d;

	for (i = 0; i < api->n_flows; i++) {
		memcpy(before[i], api->flows[i].adj, sizeof(before[i]));
		for (d = 0; d < 2; d++)
			if (api->flows[i].flow.adj[d] == side->id)
				api->flows[i].adj[d] = *adj;
	}
	for (i = 0; i < api->n_flows; i++) {
		struct api_verdict one = {0, 0};
		const struct api_flow *f = &api->flows[i];

		if (f->life == API_ENDED || !uses(f, side->id))
			continue;
		api_conflicts(api, &f->flow, f->adj, f, &one);
		/* with a flow that is ending on either end, both outcomes are right */
		if (f->life == API_LIVING && one.must == API_EEXIST)
			clash.must |= API_EEXIST;
		if ((one.must | one.may) != 0)
			clash.may |= API_EEXIST | API_EBUSY;
	}
	for (i = 0; i < api->n_flows; i++)
		memcpy(api->flows[i].adj, before[i], sizeof(before[i]));
	v->must |= clash.must;
	v->may |= clash.may;
}

void api_call_adj_update(struct api *api)
{
	struct api_adj *side = pick_side(api);
	struct api_verdict v = {0, 0};
	struct fo_error err;
	struct fo_adj adj;
	unsigned int i, d;
	fo_adj_id id = side->alive ? side->id : api->old_adj;

	choose_side(api, &adj, &v);
	if (adj.port < 99 && api->port_state[adj.port] != FO_PORT_UP)
		return; /* a move to a port that is down: what becomes of the flows is not promised */
	if (!side->alive)
		v.must |= API_ENOENT | API_EINVAL;
	else if (adj.port < 99)
		update_conflicts(api, side, &adj, &v);
	if (!api_answered(api, "fo_adj_update", fo_adj_update(api->table, id, &adj, &err), &err, &v)) {
		if (side->alive)
			check_reads_back(api, side);
		return;
	}
	side->adj = adj;
	for (i = 0; i < api->n_flows; i++)
		for (d = 0; d < 2; d++)
			if (api->flows[i].flow.adj[d] == id)
				api->flows[i].adj[d] = adj;
	check_reads_back(api, side);
}

void api_call_adj_del(struct api *api)
{
	struct api_adj *side = pick_side(api);
	fo_adj_id id = side->alive ? side->id : api->old_adj;
	struct api_verdict v = {0, 0};
	struct fo_error err;
	unsigned int i;

	if (!side->alive)
		v.must |= API_ENOENT | API_EINVAL;
	for (i = 0; i < api->n_flows && side->alive; i++) {
		if (!uses(&api->flows[i], side->id) || api->flows[i].life == API_ENDED)
			continue;
		if (api->flows[i].life == API_LIVING)
			v.must |= API_EBUSY;
		else
			v.may |= API_EBUSY;
	}
	if (!api_answered(api, "fo_adj_del", fo_adj_del(api->table, id, &err), &err, &v))
		return;
	side->alive = false;
	api->old_adj = id;
}

void api_call_port_set(struct api *api)
{
	unsigned int byte = fuzz_take8(api->in), i;
	struct api_verdict v = {0, 0};
	struct fo_error err;
	struct fo_port port;

	FO_INIT(&port);
	port.port = byte % API_PORTS + 1;
	port.state = byte < 0xc0 ? FO_PORT_UP : byte < 0xe0 ? FO_PORT_DOWN : FO_PORT_GONE;
	if (byte == 0xff) {
		port.port = 77;
		v.must = API_ENODEV;
	} else if (api->port_state[port.port] == FO_PORT_GONE && port.state != FO_PORT_UP) {
		v.may = API_ENODEV;
	}
	if (!api_answered(api, "fo_port_set", fo_port_set(api->table, &port, &err), &err, &v))
		return;
	api->port_state[port.port] = port.state;
	for (i = 0; i < api->n_flows && port.state != FO_PORT_UP; i++) {
		struct api_flow *f = &api->flows[i];

		if (f->adj[0].port == port.port || f->adj[1].port == port.port)
			api_doom(f, false, API_KIND(FO_EV_INVALIDATED));
	}
}
