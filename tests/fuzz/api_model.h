/* SPDX-License-Identifier: BSD-2-Clause */
/* api_model.h - what the API fuzzer believes about a table: plain arrays, searched from end to end.
 *
 * A flow is LIVING until something may have ended it. DOOMED is the honest state of a test that cannot see when the
 * library gets round to it (an invalidation that works in slices, FIN seen by a worker, an idle time that ran out
 * when the table was polled): answers of both sorts are right, until the one terminal event. CLOSING: deleted, its
 * event is to come. ENDED ids are kept to the end, for stale handles and because no id may come twice.
 *
 * Neighbours: fuzz_api.c decodes the input into calls, api_calls.c makes them and compares, api_packets.c sends packets.
 */
#ifndef FUZZ_API_MODEL_H
#define FUZZ_API_MODEL_H

#include <stdbool.h>

#include "flowoffload.h"
#include "fuzz.h"
#include "ledger.h"

#define API_PORTS	4u /* 1 .. 4 */
#define API_ADJS	6u
#define API_CAPACITY	5u
#define API_CONNECTIONS 12u
#define API_WORKERS	2u
#define API_FLOWS	512u /* added in one input */

enum api_life { API_LIVING, API_DOOMED, API_CLOSING, API_ENDED };

#define API_KIND(kind) (1u << ((kind)-FO_EV_DELETED))

struct api_flow {
	enum api_life life;
	bool dead;	/* no packet may be forwarded any more */
	bool idle_only; /* DOOMED by its idle time alone: a forwarded packet proves that it lives */
	uint32_t kinds; /* API_KIND() of the terminal events that may come */
	fo_flow_id id;
	struct fo_flow flow;
	struct fo_adj adj[2];
	uint64_t since_ms;
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t last_ms[2];
};

struct api_adj {
	bool alive;
	fo_adj_id id;
	struct fo_adj adj;
};

struct api {
	struct ledger ledger;
	struct fo_table *table;
	struct fuzz_input *in;
	uint64_t now_ms;
	struct api_adj adjs[API_ADJS];
	fo_adj_id old_adj; /* a deleted one */
	uint32_t port_state[API_PORTS + 1];
	struct api_flow flows[API_FLOWS];
	unsigned int n_flows;
	fo_flow_id in_event; /* the flow whose terminal event is being delivered */
	struct fo_worker *workers[API_WORKERS];
	uint64_t added;
	uint64_t refused;
	uint64_t ended[8];
	uint64_t forwarded_packets;
	uint64_t forwarded_bytes;
	uint64_t passed;
};

/* The i-th connection; some share a tuple. timeout, tag, scope by variant. adj[] is left zero. */
void api_connection(unsigned int i, unsigned int variant, struct fo_flow *flow);
/* A side on this port; variant chooses tags and MACs. */
void api_side(uint32_t port, unsigned int variant, struct fo_adj *adj);

struct api_flow *api_by_id(struct api *api, fo_flow_id id);
struct api_adj *api_adj_by_id(struct api *api, fo_adj_id id);
unsigned int api_count(const struct api *api, enum api_life life);
/* Not ended yet: those that count against capacity. */
unsigned int api_taken(const struct api *api);
bool api_same_tuple(const struct fo_tuple *a, const struct fo_tuple *b);
bool api_same_ingress(const struct fo_adj *a, const struct fo_adj *b);

/* Has its idle time run out? */
bool api_is_due(const struct api *api, const struct api_flow *f);
/* The table was given the chance to age: whoever is due may have ended. */
void api_age(struct api *api);
/* An invalidation hit f. at_once: no packet is forwarded from now on. */
void api_doom(struct api_flow *f, bool at_once, uint32_t kinds);

/* Errors that a call must or may answer with; bits below. must != 0: it has to fail with one of must | may. */
#define API_ENOENT (1u << 0)
#define API_ENODEV (1u << 1)
#define API_EEXIST (1u << 2)
#define API_EBUSY  (1u << 3)
#define API_ENOSPC (1u << 4)
#define API_EAGAIN (1u << 5)
#define API_EINVAL (1u << 6)

struct api_verdict {
	unsigned int must;
	unsigned int may;
};

/* Add to v what stands against this flow with these sides; except: the flow itself, for updates, or NULL. */
void api_conflicts(const struct api *api, const struct fo_flow *flow, const struct fo_adj adj[2],
		   const struct api_flow *except, struct api_verdict *v);
/* Is rc what v says? Checks err as well, and -ENOMEM against the allocator hook. True: the call succeeded. */
bool api_answered(struct api *api, const char *call, int rc, const struct fo_error *err,
		  const struct api_verdict *v);

/* The terminal event, or final counters of fo_flow_del(), of f: compare, note the end. slot: index of ended[]. */
void api_final(struct api *api, struct api_flow *f, const struct fo_flow_counters *counters,
	       unsigned int slot);
void api_compare_counters(const struct api_flow *f, const struct fo_flow_counters *counters);

/* api_calls.c: one call each, arguments from api->in. */
void api_call_add(struct api *api);
void api_call_add_many(struct api *api);
void api_call_add_bad(struct api *api);
void api_call_del(struct api *api);
void api_call_del_many(struct api *api);
void api_call_update(struct api *api);
void api_call_poll(struct api *api);
void api_call_sync(struct api *api);
void api_call_invalidate(struct api *api);
void api_poll(struct api *api, unsigned int max_events);

/* api_sides.c */
void api_call_adj_add(struct api *api);
void api_call_adj_update(struct api *api);
void api_call_adj_del(struct api *api);
void api_call_port_set(struct api *api);

/* api_queries.c */
void api_call_get(struct api *api);
void api_call_find(struct api *api);
void api_call_walk(struct api *api);
void api_call_explain(struct api *api);
void api_call_stats(struct api *api);
void api_call_stale(struct api *api);

/* api_packets.c */
void api_call_packets(struct api *api);
void api_call_worker_open(struct api *api);
void api_call_worker_close(struct api *api);

#endif
