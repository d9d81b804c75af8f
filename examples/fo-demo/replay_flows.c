/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_flows.c - the life of a flow in a replay: handed to the table when the slow path saw it established,
 * given back by its terminal event, whose counters are final. Neighbours: replay.h, sides.h, slowpath.h.
 */
#include "replay.h"

#include "out.h"

#define RETRY_MS 1000u

void replay_offload(struct replay *r, const struct sp_packet *pkt)
{
	uint64_t now_ms = r->clock_ns / 1000000;
	struct fo_error err = {0};
	struct fo_flow flow;
	fo_flow_id id;
	int status;

	if (r->opt.no_offload || sp_flow(r->sp, pkt->conn, &flow) != 0)
		return;
	r->counts.offered++;
	status = sides_adjacencies(r->sides, r->table, pkt->conn, flow.adj, &err);
	if (status == 0)
		status = fo_flow_add(r->table, &flow, &id, &err);
	if (status == 0) {
		r->counts.added++;
		sp_offload_added(r->sp, pkt->conn, id);
		return;
	}
	sp_offload_refused(r->sp, pkt->conn, now_ms + RETRY_MS);
	r->counts.refused[err.reason < FO_R_MAX ? err.reason : 0]++;
	if (r->first_refusal.code == 0)
		r->first_refusal = err;
}

static uint64_t flow_bytes(const struct fo_flow_counters *counters)
{
	return counters->bytes[FO_ORIGINAL] + counters->bytes[FO_REPLY];
}

/* Keeps the opt.top largest, largest first. */
static void rank(struct replay *r, const struct replay_flow *flow)
{
	size_t at = r->n_top;

	if (r->opt.top == 0)
		return;
	if (at == r->opt.top) {
		if (flow_bytes(&flow->counters) <= flow_bytes(&r->top[at - 1].counters))
			return;
		at--;
	} else {
		r->n_top++;
	}
	for (; at > 0 && flow_bytes(&r->top[at - 1].counters) < flow_bytes(&flow->counters); at--)
		r->top[at] = r->top[at - 1];
	r->top[at] = *flow;
}

static void on_event(void *arg, const struct fo_event *event)
{
	struct replay *r = arg;
	struct replay_flow flow = {.counters = event->counters, .kind = event->kind, .reason = event->reason};
	struct fo_flow_info info;

	if (!FO_EV_IS_TERMINAL(event->kind))
		return;
	sp_offload_ended(r->sp, event->user, r->clock_ns / 1000000);
	r->counts.flows_ended++;
	if (event->kind <= FO_EV_LOST)
		r->counts.ended[event->kind]++;
	r->counts.flow_packets += event->counters.packets[FO_ORIGINAL] + event->counters.packets[FO_REPLY];
	/* The handle is good until this callback returns. */
	FO_INIT(&info);
	if (fo_flow_get(r->table, event->flow, &info, NULL) == 0) {
		flow.flow = info.flow;
		rank(r, &flow);
	}
}

void replay_poll(struct replay *r)
{
	fo_table_poll(r->table, 0, 0, on_event, r, NULL);
}

bool replay_end_flows(struct replay *r)
{
	struct fo_table_counters counters;
	struct fo_error err = {0};
	struct fo_match all;
	int status;

	FO_INIT(&all);
	FO_INIT(&counters);
	status = fo_invalidate(r->table, &all, &err);
	if (status < 0) {
		out_fo_error("fo_invalidate", &err);
		return false;
	}
	if (fo_table_sync(r->table, 10000, &err) < 0) {
		out_fo_error("fo_table_sync", &err);
		return false;
	}
	/* Each poll delivers a slice; every flow has its event queued since the sync. */
	for (;;) {
		status = fo_table_poll(r->table, 0, 0, on_event, r, &err);
		if (status < 0) {
			out_fo_error("fo_table_poll", &err);
			return false;
		}
		if (fo_stats(r->table, &counters, &err) < 0) {
			out_fo_error("fo_stats", &err);
			return false;
		}
		if (counters.flows + counters.closing == 0)
			return true;
		if (status == 0) {
			out_error("the table holds %llu flows without an event",
				  (unsigned long long)(counters.flows + counters.closing));
			return false;
		}
	}
}
