/* SPDX-License-Identifier: BSD-2-Clause */
/* table.h - struct fo_table and what the files of core share about it.
 *
 * Core validates (validate.h), keeps ports and adjacencies, drives the life of each flow in the flow store
 * (flowtable/flowtable.h) and at the backend (flowoffload-backend.h), and queues events. One control thread.
 */
#ifndef FO_CORE_TABLE_H
#define FO_CORE_TABLE_H

#include "flowoffload-backend.h"

#include "core/error.h"
#include "core/size.h"
#include "core/validate.h"
#include "flowtable/flowtable.h"

/* What a caller's struct for counters must hold at least. */
#define FO__COUNTERS_MIN offsetof(struct fo_flow_counters, reserved)

/* An adjacency that the caller described. */
struct fo__adjacency {
	struct fo_adj spec;
	uint32_t generation; /* 0: free */
	uint32_t first_side; /* chain of its living sides, one a scope */
	uint32_t port_at;    /* its port's place among the table's, which never changes */
};

/* What is remembered of flows that ended and adds that were refused, for fo_flow_explain(). */
#define FO__RECENT 128u
struct fo__recent {
	fo_flow_id id; /* 0: refused, or unused */
	uint64_t when_ms;
	struct fo_tuple tuple[2];
	uint16_t scope;
	uint8_t used;
	uint8_t reason;
	char text[96]; /* the backend's words */
	uint32_t stage;
	int32_t backend_errno;
};

/* A pending fo_invalidate(), or (mask 0) a search for flows over dead sides. */
#define FO__JOBS 8u /* so many without asking for memory */
struct fo__job {
	struct fo_match match;
	struct fo__condition condition; /* the part of match that workers can judge */
	uint32_t born;			/* flows added later are not meant */
	uint32_t begin, lap;		/* where the walk was when it came, and in which round */
	struct fo__job *next;		/* that came after it */
};

/* Flows with a coalesced event; when the ring is full, a look at every slot finds the rest. */
#define FO__NOTICES 1024u

/* What a caller's struct for a policy must hold at least. */
#define FO__POLICY_MIN offsetof(struct fo_policy, timeout_ms)
#define FO__POLICIES   32u
struct fo__policy {
	struct fo_policy spec;
	uint32_t generation; /* 0: free */
};

struct fo_table {
	struct fo_flowtable *store;
	const struct fo_backend *backend;
	void *priv;
	struct fo_caps caps;
	uint64_t (*clock_ms)(void *ctx);
	uint64_t (*about_ms)(void *ctx); /* the same clock, cheaper, and up to slack_ms behind */
	void *clock_ctx;
	uint32_t slack_ms;
	uint32_t timeout_tcp_ms, timeout_udp_ms, timeout_icmp_ms;
	uint32_t stall_ms;

	struct fo_port *ports;
	uint32_t n_ports, port_room;
	struct fo__adjacency *adjs;
	uint32_t n_adjs, adj_room, adj_high;
	uint32_t adj_generation;
	uint32_t adj_hint; /* a number that may be free, when one below adj_high is */

	struct fo__policy *policies; /* FO__POLICIES of them, or NULL before the first */
	uint32_t policy_generation;

	struct fo__recent *recent;
	uint32_t recent_next;
	struct fo__job *job_first, *job_last; /* in the order in which they came */
	struct fo__job *job_spare;	      /* of job_room */
	struct fo__job job_room[FO__JOBS];
	struct fo__job *job_waiting; /* the first that the walk is not for yet, or NULL */
	uint32_t n_jobs, n_jobs_active;
	uint32_t job_cursor;   /* the slot that the walk looks at next */
	uint32_t job_lap;      /* how often it has gone round */
	uint32_t filter_stale; /* it says more than the jobs do: no room for another one yet */
	uint32_t *notices;     /* ring of slots */
	uint32_t notice_head, notice_tail;
	uint32_t notice_scan, notice_cursor; /* the ring was full */

	uint32_t sweep_cursor;
	uint32_t sweep_limit;	 /* slots of the pass under way; 0: none */
	uint64_t sweep_next_ms;	 /* when the next pass begins */
	uint32_t sweep_least_ms; /* of the pass under way: when the first flow can expire, from its begin */
	uint64_t sweep_began_ms;
	int sweep_gap;	      /* the pass under way began too long after the one before */
	int sweep_all;	      /* it looks at all flows, expected to end or not */
	uint64_t sweep_count; /* packets forwarded when the last such pass began */

	int persists;		/* FO_TABLE_PERSIST */
	int polling;		/* inside fo_table_poll() or fo_table_sync() */
	int timer_fd, epoll_fd; /* -1: not asked for */
	uint64_t armed_ms;
	uint64_t polled_ms; /* end of the last poll */

	uint64_t added, refused, ended[8];
	uint64_t host_packets, host_bytes; /* reported by the backend */
};

static inline uint64_t fo__now(const struct fo_table *table)
{
	return table->clock_ms(table->clock_ctx);
}

/* 0, or -EINVAL with err: a caller passed no table. */
int fo__no_table(struct fo_error *err);
static inline int fo__need_table(const struct fo_table *table, struct fo_error *err)
{
	return table ? 0 : fo__no_table(err);
}

/* The time for records that are made one after the other. What was noted by it may look up to slack_ms older than it
 * is: who asks whether something is old enough must allow for that. */
static inline uint64_t fo__about_now(const struct fo_table *table)
{
	return table->about_ms(table->clock_ctx);
}

static inline int fo__is_terminal_life(const struct fo__cold *cold)
{
	return cold->life != FO__LIFE_LIVE;
}

/* ports (port.c) */
const struct fo_port *fo__port_find(const struct fo_table *table, uint32_t port);
int fo__ports_take(struct fo_table *table, const struct fo_table_options *options);
int fo__port_usable(const struct fo_table *table, uint32_t port, const char *field, struct fo_error *err);

/* adjacencies (adj.c) */
static inline struct fo__adjacency *fo__adj_find(const struct fo_table *table, fo_adj_id id)
{
	uint32_t number = (uint32_t)id, generation = (uint32_t)(id >> 32);

	if (!generation || number >= table->adj_high || table->adjs[number].generation != generation)
		return NULL;
	return &table->adjs[number];
}

int fo__adj_resolve(const struct fo_table *table, fo_adj_id id, unsigned int dir, struct fo__adjacency **out,
		    struct fo_error *err);
/* The adjacency of a side; NULL when it was deleted since. */
const struct fo_adj *fo__side_adj(const struct fo_table *table, uint32_t side, fo_adj_id *id);
/* Twice the room, or the first. The new places are zero. -ENOMEM. */
int fo__adjs_grow(struct fo_table *table);
void fo__adjs_free(struct fo_table *table);

/* policies (policy.c) */
/* Does a policy name this adjacency? -EBUSY with err. */
int fo__policies_use(const struct fo_table *table, fo_adj_id adj, struct fo_error *err);
void fo__policies_free(struct fo_table *table);
/* The host's adopt(). */
int fo__policy_adopt(struct fo_host *host, fo_policy_id policy, const struct fo_tuple tuple[2],
		     uint64_t *cookie, uint32_t *slot);

/* What an earlier process left (restore.c): the host's restore_adj(), restore_flow(), restore_used(). */
int fo__restore_adj(struct fo_host *host, fo_adj_id id, const struct fo_adj *adj);
int fo__restore_flow(struct fo_host *host, uint64_t cookie, const struct fo_flow *flow, unsigned int state,
		     uint64_t since_ms);
void fo__restore_used(struct fo_host *host, uint64_t cookie);

/* flows (flow_add.c, flow.c) */
/* Who else has the key of a search that was begun, and from that side? 0, -EEXIST or -EBUSY with err. except: a slot
 * that may, or FO__NO_SLOT. */
int fo__key_taken(struct fo_table *table, struct fo__search *search, const struct fo_adj *from,
		  unsigned int dir, uint32_t except, struct fo_error *err);
/* The living slot of an id, or FO__NO_SLOT with err; notices what workers and dead sides have decided. */
uint32_t fo__flow_living(struct fo_table *table, fo_flow_id id, struct fo_error *err);
/* Which ends are translated, from the tuples: FO_NAT_ bits. */
uint32_t fo__flow_nat(const struct fo_tuple tuple[2]);
void fo__flow_read(const struct fo_table *table, uint32_t conn, struct fo_flow *out);
/* What the backend is told about a flow. adj copies must outlive it. */
void fo__backend_flow(const struct fo_table *table, uint32_t conn, const struct fo_flow *flow,
		      const struct fo_adj *adj0, const struct fo_adj *adj1, struct fo_backend_flow *out);
/* Ask the backend for fresh counters, where it can give them. */
void fo__flow_refresh(struct fo_table *table, uint32_t conn);
uint32_t fo__flow_state(const struct fo_table *table, uint32_t conn);
void fo__flow_info(struct fo_table *table, uint32_t conn, struct fo_flow_info *out);
int fo__matches(const struct fo_table *table, uint32_t conn, const struct fo_match *match);
/* The same with the condition of it made before. */
int fo__matches_by(const struct fo_table *table, uint32_t conn, const struct fo_match *match,
		   const struct fo__condition *condition);
/* What of a match workers can judge. */
struct fo__condition fo__condition_of(const struct fo_match *match);

/* ends (ageing.c) */
/* End a LIVE flow for reason: at the backend, then in the store; its event follows. 0 or -errno of the backend. */
int fo__end(struct fo_table *table, uint32_t conn, unsigned int reason, struct fo_error *err);
/* End a LIVE flow that workers or dead sides have doomed. True when it is LIVE still. */
int fo__settle(struct fo_table *table, uint32_t conn);
/* The store's and the backend's counters of closing flows are complete: queue their events, or let them live on; until
 * about so many cache lines were looked at. Returns what is left of them. */
int fo__settle_drained(struct fo_table *table, int lines);
/* The backend has let go of a DRAIN flow. */
void fo__backend_done(struct fo_table *table, uint32_t conn);
/* End what is idle or doomed, as far as about so many cache lines go. Returns what is left of them. */
int fo__sweep(struct fo_table *table, int lines);
int fo__sweep_due(const struct fo_table *table);
/* A flow with this timeout was added or updated; now: fo__about_now(). */
void fo__sweep_expect(struct fo_table *table, uint64_t now, uint32_t timeout_ms);

/* jobs (jobs.c) */
void fo__jobs_open(struct fo_table *table);
void fo__jobs_free(struct fo_table *table);
void fo__job_add(struct fo_table *table, const struct fo_match *match);
/* Walk on until about so many cache lines were looked at. Returns what is left of them. */
int fo__jobs_run(struct fo_table *table, int lines);

/* events (events.c) */
void fo__notice(struct fo_table *table, uint32_t conn, int fallback);
unsigned int fo__deliver(struct fo_table *table, unsigned int max, fo_event_cb cb, void *arg);
/* The terminal event that tells of an end for this reason. */
uint32_t fo__end_kind(unsigned int reason);
int fo__events_waiting(const struct fo_table *table);

/* explanations (explain.c) */
void fo__remember_end(struct fo_table *table, uint32_t conn, unsigned int reason, int backend_errno);
void fo__remember_refusal(struct fo_table *table, const struct fo_flow *flow, const struct fo_error *err);
/* The backend's own words on the end that follows. */
void fo__remember_words(struct fo_table *table, uint32_t conn, const struct fo_error *why);

/* fd.c */
/* Something is to be done at when_ms: make the descriptor fire by then. */
void fo__wake_at(struct fo_table *table, uint64_t when_ms);
/* Make it fire at the deadline. */
void fo__fd_rearm(struct fo_table *table);
void fo__fd_close(struct fo_table *table);

/* workers (worker.c) */
unsigned int fo__watch_workers(struct fo_table *table, fo_event_cb cb, void *arg, unsigned int max);
/* Number of a worker that is inside a burst, or -1. */
int fo__worker_inside(const struct fo_table *table);
uint32_t fo__workers_open(const struct fo_table *table);

/* host.c */
extern const struct fo_host_ops fo__host_ops;

/* poll.c */
/* All upkeep but events: a slice, and more while there are microseconds left. */
void fo__work(struct fo_table *table, unsigned int max_us);
/* Is there something that a slice would do at once? */
int fo__work_left(const struct fo_table *table);
uint64_t fo__real_us(void);

#endif
