/* SPDX-License-Identifier: BSD-2-Clause */
/* router_offload.c - all that the router says to libflowoffload but for fo_worker_run() itself: one table, a port
 * an interface, an adjacency a neighbour, a flow a connection. This is the file to read for an embedder.
 *
 * Neighbours: slowpath.h says when a connection is ready, neigh.h whose MACs changed, router_link.c which port
 * went down.
 */
#include "router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

#define RETRY_SOON_MS  50u     /* the neighbour is being asked, the port is down */
#define RETRY_MS       1000u   /* full, or its predecessor is still closing */
#define RETRY_NEVER_MS 600000u /* the table says it can never take it */

int router_offload_open(struct router *r)
{
	struct fo_port ports[2];
	struct fo_table_options o;
	struct fo_error err;
	int side;

	for (side = 0; side < 2; side++) {
		FO_INIT(&ports[side]);
		ports[side].port = (uint32_t)r->port[side].ifindex;
	}
	FO_INIT(&o);
	o.backend = "soft";
	o.needs = FO_CAP_WORKER | FO_CAP_SNAT;
	o.capacity = r->o.capacity;
	o.max_workers = 1;
	o.ports = ports;
	o.n_ports = 2;
	if (fo_table_create(&o, &r->table, &err)) {
		out_fo_error("fo_table_create", &err);
		return -1;
	}
	if (fo_worker_open(r->table, NULL, &r->worker, &err)) {
		out_fo_error("fo_worker_open", &err);
		return -1;
	}
	return 0;
}

/* ---- Flows ---- */

static bool too_small(const struct router *r, const struct router_top *t)
{
	return t->bytes == 0 || (r->n_top == r->o.top && t->bytes <= r->top[r->n_top - 1].bytes);
}

/* Keeps the largest flows, largest first. */
static void rank(struct router *r, const struct router_top *t)
{
	uint32_t at;

	if (!r->o.top || too_small(r, t))
		return;
	if (r->n_top < r->o.top)
		r->n_top++;
	for (at = r->n_top - 1; at && r->top[at - 1].bytes < t->bytes; at--)
		r->top[at] = r->top[at - 1];
	r->top[at] = *t;
}

static void describe(struct router_top *t, const struct fo_flow_info *info)
{
	memcpy(t->tuple, info->flow.tuple, sizeof(t->tuple));
	t->packets = info->counters.packets[0] + info->counters.packets[1];
	t->bytes = info->counters.bytes[0] + info->counters.bytes[1];
}

static void say(const struct router *r, const char *what, const struct fo_tuple *t, const char *why)
{
	char from[OUT_ENDPOINT], to[OUT_ENDPOINT];

	if (!r->o.verbose)
		return;
	fprintf(stderr, "fo-demo: %-9s %s %s -> %s%s%s\n", what, out_proto(t->proto),
		out_endpoint(from, t, 0), out_endpoint(to, t, 1), why[0] ? ": " : "", why);
}

static void describe_side(const struct router *r, const struct neigh *n, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = (uint32_t)r->port[n->side].ifindex;
	memcpy(adj->own_mac, r->port[n->side].mac, 6);
	memcpy(adj->peer_mac, n->mac, 6);
	adj->mtu = r->port[n->side].mtu;
	if (r->o.vlan[n->side]) {
		adj->n_encaps = 1;
		adj->encap[0].kind = FO_ENCAP_8021Q;
		adj->encap[0].id = r->o.vlan[n->side];
	}
}

static bool add_adjacency(struct router *r, struct neigh *n)
{
	struct fo_adj adj;
	struct fo_error err;

	describe_side(r, n, &adj);
	if (fo_adj_add(r->table, &adj, &n->adj, &err) == 0)
		return true;
	out_fo_error("fo_adj_add", &err);
	return false;
}

/* The adjacency of the side that sends from addr. Returns false when its neighbour is not known yet. */
static bool side_adjacency(struct router *r, int side, uint8_t family, const uint8_t *addr, fo_adj_id *adj)
{
	uint8_t hop[16];
	struct neigh *n;

	if (router_route(r, family, addr, hop) != side)
		return false;
	n = neigh_want(r->neigh, side, family, hop, r->now_ms);
	if (!n || !neigh_usable(n) || (!n->adj && !add_adjacency(r, n)))
		return false;
	*adj = n->adj;
	return true;
}

static uint64_t retry_at(const struct router *r, int error)
{
	switch (error) {
	case -EAGAIN:
	case -EBUSY:
	case -ENOSPC:
	case -EEXIST:
		return r->now_ms + RETRY_MS;
	default:
		return r->now_ms + RETRY_NEVER_MS;
	}
}

/* The slow path has seen the connection of this packet established: both directions leave it together. */
void router_offload(struct router *r, int side, const struct sp_packet *pkt)
{
	struct fo_flow flow;
	struct fo_error err;
	fo_flow_id id;
	int from = pkt->dir == FO_ORIGINAL ? side : 1 - side;
	int ret;

	if (!r->table || sp_flow(r->sp, pkt->conn, &flow))
		return;
	if (r->port_state[SP_LAN] != FO_PORT_UP || r->port_state[SP_WAN] != FO_PORT_UP ||
	    !side_adjacency(r, from, flow.tuple[0].family, flow.tuple[FO_ORIGINAL].src,
			    &flow.adj[FO_ORIGINAL]) ||
	    !side_adjacency(r, 1 - from, flow.tuple[0].family, flow.tuple[FO_REPLY].src,
			    &flow.adj[FO_REPLY])) {
		sp_offload_refused(r->sp, pkt->conn, r->now_ms + RETRY_SOON_MS);
		return;
	}
	ret = fo_flow_add(r->table, &flow, &id, &err);
	if (ret) {
		r->n.offload_refused++;
		sp_offload_refused(r->sp, pkt->conn, retry_at(r, ret));
		say(r, "refused", &flow.tuple[FO_ORIGINAL], err.text);
		return;
	}
	r->n.offload_added++;
	sp_offload_added(r->sp, pkt->conn, id);
	say(r, "offloaded", &flow.tuple[FO_ORIGINAL], "");
}

/* ---- What the table says ---- */

static void on_event(void *arg, const struct fo_event *e)
{
	struct router *r = arg;
	const struct fo_flow_counters *c = &e->counters;
	struct router_top t = {.bytes = 0};
	struct fo_flow_info info;
	uint64_t seen = r->now_ms;

	if (!FO_EV_IS_TERMINAL(e->kind)) {
		if (r->o.verbose)
			fprintf(stderr, "fo-demo: event     %s: %s\n", fo_event_name(e->kind),
				fo_reason_text(e->reason));
		return;
	}
	r->n.offload_ended[(e->kind - FO_EV_DELETED) % 8]++;
	FO_INIT(&info);
	if (fo_flow_get(r->table, e->flow, &info, NULL) == 0) {
		info.counters = *c;
		describe(&t, &info);
		rank(r, &t);
		say(r, fo_event_name(e->kind), &info.flow.tuple[FO_ORIGINAL], fo_reason_text(e->reason));
	}
	if (c->flags & FO_STATS_LAST_SEEN)
		seen = c->last_seen_ms[0] > c->last_seen_ms[1] ? c->last_seen_ms[0] : c->last_seen_ms[1];
	sp_offload_ended(r->sp, e->user, seen);
}

void router_offload_poll(struct router *r)
{
	struct fo_error err;

	if (r->table && fo_table_poll(r->table, 256, 1000, on_event, r, &err) < 0)
		out_fo_error("fo_table_poll", &err);
}

struct busiest {
	struct router_top top;
	fo_flow_id id;
};

static int look_for_busiest(void *arg, const struct fo_flow_info *info)
{
	struct busiest *b = arg;
	struct router_top t;

	describe(&t, info);
	if (info->state != FO_STATE_CLOSING && t.bytes > b->top.bytes) {
		b->top = t;
		b->id = info->id;
	}
	return 0;
}

void router_offload_explain(struct router *r)
{
	struct busiest b = {.top.bytes = r->explained.bytes};
	struct fo_explanation e;

	if (!r->table || fo_flow_walk(r->table, NULL, look_for_busiest, &b, NULL) < 0 || !b.id)
		return;
	FO_INIT(&e);
	if (fo_flow_explain(r->table, b.id, NULL, &e, NULL))
		return;
	r->explained = b.top;
	r->explanation = e;
}

/* ---- What the table must be told ---- */

void router_neigh_changed(void *arg, struct neigh *n)
{
	struct router *r = arg;
	struct fo_match match;
	struct fo_adj adj;
	struct fo_error err;

	if (!r->table || !n->adj)
		return;
	if (neigh_usable(n)) {
		describe_side(r, n, &adj);
		r->n.adj_updates++;
		if (fo_adj_update(r->table, n->adj, &adj, &err))
			out_fo_error("fo_adj_update", &err);
		return;
	}
	/* Nobody answers there any more: the slow path takes its flows back and asks again. */
	FO_INIT(&match);
	match.mask = FO_MATCH_ADJ;
	match.adj = n->adj;
	if (fo_invalidate(r->table, &match, &err))
		out_fo_error("fo_invalidate", &err);
}

void router_port_state(struct router *r, int side, enum fo_port_state state)
{
	static const char *const names[] = {"up", "down", "gone"};
	struct fo_port port;
	struct fo_error err;

	/* rtnetlink tells of every change, the state of the link is one of many. */
	if (r->port_state[side] == state)
		return;
	r->port_state[side] = state;
	if (r->o.verbose)
		fprintf(stderr, "fo-demo: port      %s is %s\n", r->port[side].name, names[state]);
	r->n.port_changes++;
	if (!r->table)
		return;
	FO_INIT(&port);
	port.port = (uint32_t)r->port[side].ifindex;
	port.state = state;
	if (fo_port_set(r->table, &port, &err))
		out_fo_error("fo_port_set", &err);
}

static int rank_living(void *arg, const struct fo_flow_info *info)
{
	struct router_top t;

	describe(&t, info);
	rank(arg, &t);
	return 0;
}

void router_offload_close(struct router *r)
{
	struct fo_error err;

	if (!r->table)
		return;
	FO_INIT(&r->counters);
	if (fo_flow_walk(r->table, NULL, rank_living, r, &err) < 0)
		out_fo_error("fo_flow_walk", &err);
	if (fo_stats(r->table, &r->counters, &err))
		out_fo_error("fo_stats", &err);
	fo_worker_close(r->worker);
	fo_table_destroy(r->table);
	r->worker = NULL;
	r->table = NULL;
}
