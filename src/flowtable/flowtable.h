/* SPDX-License-Identifier: BSD-2-Clause */
/* flowtable.h - the flow store: connections in slots, their index, sides, workers' places and grace periods.
 *
 * Core keeps its authoritative list of flows here, for every backend; the software fast path (src/fastpath) forwards
 * by the same records. It knows neither backends nor events nor validation: what it is given is right.
 *
 *   connection   a slot; two lines and a cold part (record.h)
 *   index        hash of tuple and scope -> direction numbers (index.h)
 *   side         an adjacency in a scope, as the packet path sees it (sides.h)
 *   twin         two sides that have keys in common (twins.h)
 *   filter       what workers pass on until control has ended it (filter.h)
 *   worker       a place of one packet loop: epoch, counters, ring of connections that saw FIN or RST
 *
 * Life of a connection: FREE -> LIVE -> DRAIN (DEAD set, workers may still count) -> ENDED (counters final, its terminal
 * event waits) -> RETIRED (unlinked; workers may still look) -> FREE. See enum fo__life.
 *
 * Threads: control, but for the functions that say otherwise.
 */
#ifndef FO_FLOWTABLE_FLOWTABLE_H
#define FO_FLOWTABLE_FLOWTABLE_H

#include "flowtable/epoch.h"
#include "flowtable/filter.h"
#include "flowtable/index.h"
#include "flowtable/key.h"
#include "flowtable/record.h"
#include "flowtable/sides.h"
#include "flowtable/tags.h"
#include "flowtable/twins.h"

#define FO__RING 256u /* connections a worker can report between two polls; more are found by the sweep */

struct fo_worker {
	/* the worker's own line, read by control */
	_Alignas(64) _Atomic uint32_t epoch; /* 0: offline */
	_Atomic uint32_t runs;		     /* bursts begun */
	struct fo_flowtable *table;
	uint32_t number;	    /* 0 .. max_workers - 1; owner byte is number + 1 */
	uint32_t flags;		    /* FO_WORKER_ bits */
	_Atomic uint32_t ring_head; /* worker pushes */
	_Atomic uint32_t ring_lost; /* ... and found no room: control looks at all flows */
	_Atomic uint32_t open;
	struct fo__count forwarded_packets;
	struct fo__count forwarded_bytes;
	struct fo__count passed[FO_R_PACKET_MAX];
	_Atomic uint32_t aggregated; /* a GSO frame was counted */
	/* control's part */
	_Alignas(64) _Atomic uint32_t ring_tail;
	uint32_t seen_runs; /* for the stall watch */
	uint64_t seen_ms;
	uint32_t stalled;
	_Alignas(64) _Atomic uint32_t ring[FO__RING];
};

/* A first-in first-out list of slots through fo__cold.next. */
struct fo__list {
	uint32_t first;
	uint32_t last;
	uint32_t count;
};

#define FO__NO_SLOT UINT32_MAX

/* Two blocks of memory that go after a grace period. */
#define FO__DEFERRED 64u
struct fo__deferred {
	void *ptr[2]; /* NULL in [0]: unused */
	size_t size[2];
	uint32_t stamp;
};

/* Grace periods of a list: the first count slots of it are free when stamp has passed. Merged when there are many. */
#define FO__BATCHES 64u
struct fo__batches {
	uint32_t stamp[FO__BATCHES];
	uint32_t slots[FO__BATCHES];
	uint32_t first;
	uint32_t used;
};

/* A connection one of whose 32-bit packet counters has gone round, or is half way. */
#define FO__WRAPPED_HEADS 64u
struct fo__wrapped {
	struct fo__wrapped *next;
	uint32_t conn;
	uint32_t wraps[2]; /* of a direction's counters, the owner's and the others' together */
};

#define FO__FILTERS 8u /* the one in use, and those that workers may still look at */

struct fo_flowtable {
	/* read by workers, seldom written */
	_Alignas(64) _Atomic(struct fo__index *)
		next; /* what keys are being moved to, or NULL; load before cur */
	_Atomic(struct fo__index *) cur;
	_Atomic(struct fo__side_view *) view;
	struct fo__line *lines;
	struct fo__cold *cold;
	_Atomic(struct fo__filter *) filter; /* flows not to be used any more, or NULL */
	struct fo__shared *shared;	     /* NULL with one worker at most: nobody to share with */
	_Atomic uint32_t gone;		     /* the table was destroyed */
	_Alignas(64) _Atomic uint32_t epoch;
	_Atomic uint32_t worker_high; /* places of workers ever claimed: those below it */

	/* control */
	_Alignas(64) struct fo__memory memory;
	struct fo_worker *workers;
	uint32_t max_workers;
	uint32_t capacity;
	uint32_t slots;	  /* capacity and spare ones for what is being reclaimed */
	uint32_t high;	  /* slots ever used */
	uint32_t living;  /* LIVE */
	uint32_t closing; /* DRAIN and ENDED */
	uint32_t generation;
	uint32_t hash; /* enum fo__hash_kind */
	uint32_t max_buckets;
	uint32_t rotations;
	uint32_t index_serial; /* changes of cur and next */
	uint32_t crowded;      /* an insert found no room: rotate */
	uint32_t stats_flags;  /* FO_STATS_ bits of all counters, by the backend's nature */
	uint64_t moves;	       /* of indexes that are gone */
	struct fo__list free, drain, ended, retired;
	struct fo__batches drain_grace, retired_grace;
	struct fo__side *sides;
	uint32_t side_room, side_high;
	struct fo__list side_retired;
	struct fo__batches side_grace;
	struct fo__list entry_free, entry_retired;
	struct fo__batches entry_grace;
	uint32_t entry_high;
	uint32_t *entry_next; /* links of the two lists */
	struct fo__twins twins;
	struct fo__wrapped *wrapped[FO__WRAPPED_HEADS];
	struct fo__deferred deferred[FO__DEFERRED];
	uint32_t n_deferred;
	struct fo__filter filters[FO__FILTERS];
	_Atomic uint32_t refs; /* the table and its open workers */
};

struct fo__store_options {
	uint32_t capacity;
	uint32_t max_workers;
	uint32_t hash;	/* enum fo__hash_kind */
	uint32_t spare; /* slots beyond capacity; 0: max(1024, 2 %) */
	const struct fo_allocator *allocator;
};

/* 0, -ENOMEM, or -errno of the random source. */
int fo__store_open(const struct fo__store_options *options, struct fo_flowtable **out);

/* The table lets go; workers still open keep the memory until they close. */
void fo__store_close(struct fo_flowtable *table);

/* ---- connections (connection.c) ---- */

/* What a connection needs beyond its flow; sides were got by fo__side_get(). */
struct fo__conn_spec {
	const struct fo_flow *flow;
	uint32_t in[2]; /* side that packets of a direction come from */
	uint32_t now_ms;
	int inactive; /* do not forward yet */
};

/* Take a slot and fill it in; not published. 0, -ENOSPC (capacity), -EAGAIN (slots wait for reclaim). */
int fo__conn_prepare(struct fo_flowtable *table, const struct fo__conn_spec *spec, uint32_t *out);
/* The same for a slot and generation that an earlier process chose. Slots in ascending order, before any other is taken.
 * 0, -ENOSPC, or -EEXIST: not beyond all slots used so far. */
int fo__conn_restore(struct fo_flowtable *table, const struct fo__conn_spec *spec, uint32_t conn,
		     uint32_t generation);
/* Make it LIVE in the index, both directions or none. 0 or -ENOSPC (crowded). */
int fo__conn_publish(struct fo_flowtable *table, uint32_t conn);
/* The same by the two searches for its keys, which no upkeep has come after. */
struct fo__search;
int fo__conn_publish_as(struct fo_flowtable *table, uint32_t conn, const struct fo__search *search);
/* Give a prepared slot back, published or not in vain. */
void fo__conn_abandon(struct fo_flowtable *table, uint32_t conn);

static inline fo_flow_id fo__conn_id(const struct fo_flowtable *table, uint32_t conn)
{
	return (fo_flow_id)table->cold[conn].generation << 32 | conn;
}

/* The slot of an id that is LIVE, DRAIN or ENDED; FO__NO_SLOT when stale. */
uint32_t fo__conn_of(const struct fo_flowtable *table, fo_flow_id id);

/* Begin the end: no burst begun later forwards. LIVE -> DRAIN; its grace period begins with fo__conn_drain(). */
void fo__conn_close(struct fo_flowtable *table, uint32_t conn, unsigned int reason);
/* Nobody but workers can still count: wait for them. True when none is in a burst: counters are final at once and the
 * connection is on no list. */
int fo__conn_drain(struct fo_flowtable *table, uint32_t conn);
/* DRAIN -> LIVE again (taken off fo__drained()). */
void fo__conn_revive(struct fo_flowtable *table, uint32_t conn, uint32_t now_ms);
/* Is there one whose counters became final? */
int fo__drained_ready(const struct fo_flowtable *table);
/* The next connection whose counters became final, or FO__NO_SLOT; it is on no list afterwards. */
uint32_t fo__drained(struct fo_flowtable *table);
/* DRAIN -> ENDED: its terminal event waits. */
void fo__conn_await(struct fo_flowtable *table, uint32_t conn);
/* The next whose event waits, or FO__NO_SLOT; it is on no list afterwards. */
uint32_t fo__awaiting(struct fo_flowtable *table);
/* Free its keys: out of the index. The id still holds. */
void fo__conn_unlink(struct fo_flowtable *table, uint32_t conn);
/* The id is stale from here on; the slot follows after a grace period. -> RETIRED. */
void fo__conn_retire(struct fo_flowtable *table, uint32_t conn);

/* Free what is past its grace period: slots, entries, memory. Returns how much still waits. */
uint32_t fo__reclaim(struct fo_flowtable *table);
/* Free up to n slots that are past it. Returns how many. */
unsigned int fo__reclaim_slots(struct fo_flowtable *table, unsigned int n);
/* The same, and up to n entries, and memory. True when there may be more. */
int fo__reclaim_some(struct fo_flowtable *table, unsigned int n);

/* Every line in the index that has one key and scope; next candidates by repeated calls. A search is good until the next
 * fo__make_way(). */
struct fo__search {
	struct fo__key key;
	uint64_t hash[2]; /* in cur, in next */
	uint32_t serial; /* fo_flowtable.index_serial when it was begun: hashes of other indexes are no use */
	uint32_t twins;	 /* found on the way by fo__key_taken() of core: the same key from elsewhere */
	unsigned int which; /* index being searched */
	unsigned int at;
};
/* Hashes the key and asks for its buckets; tuple must outlive the search. */
void fo__search_begin(const struct fo_flowtable *table, struct fo__search *search,
		      const struct fo_tuple *tuple, uint16_t scope);
/* Direction number whose key and scope are these, or FO__NO_DIR. Sides are the caller's to compare. */
uint32_t fo__search_next(const struct fo_flowtable *table, struct fo__search *search);
/* Is it plain without a look at any line that nothing will be found? */
static inline int fo__search_is_empty(const struct fo_flowtable *table, const struct fo__search *search)
{
	return !fo__load_relaxed(&table->next) &&
	       fo__index_lacks(fo__load_relaxed(&table->cur), search->hash[0]);
}

/* Ask for the lines of a connection that is about to be looked at. */
static inline void fo__conn_touch(const struct fo_flowtable *table, uint32_t conn)
{
	__builtin_prefetch(&table->lines[conn * 2], 1, 3);
	__builtin_prefetch(&table->lines[conn * 2 + 1], 1, 3);
	__builtin_prefetch(&table->cold[conn], 1, 3);
}

/* ... and of the slot that the next one prepared will take. */
static inline void fo__conn_expect(const struct fo_flowtable *table)
{
	uint32_t conn = table->free.count ? table->free.first : table->high;

	if (conn < table->slots)
		fo__conn_touch(table, conn);
}

/* Read a key back from its line. */
void fo__conn_tuple(const struct fo_flowtable *table, uint32_t conn, enum fo_dir dir, struct fo_tuple *out);
uint16_t fo__conn_scope(const struct fo_flowtable *table, uint32_t conn);

/* ---- counters (counters.c) ---- */

/* Packets, bytes, last seen of both directions; flags but FINAL. */
void fo__conn_counters(const struct fo_flowtable *table, uint32_t conn, uint64_t now_ms,
		       struct fo_flow_counters *out);
/* Count the wraps of the 32-bit packet counters; to be called for each connection once in 2^31 packets. */
void fo__conn_fold(struct fo_flowtable *table, uint32_t conn);
/* The connection's counters are no longer of interest. */
void fo__conn_forget_wraps(struct fo_flowtable *table, uint32_t conn);
/* Those of all connections, when the table goes. */
void fo__wraps_close(struct fo_flowtable *table);
/* Add what a backend reports. */
void fo__conn_count(struct fo_flowtable *table, uint32_t conn, enum fo_dir dir, uint64_t packets,
		    uint64_t bytes);
/* Milliseconds since the newer of both directions' last packets. */
uint32_t fo__conn_idle(const struct fo_flowtable *table, uint32_t conn, uint32_t now_ms);

/* ---- upkeep (upkeep.c) ---- */

/* An empty index of this table's keys under a fresh secret; NULL without memory or randomness. */
struct fo__index *fo__index_for(struct fo_flowtable *table, uint32_t buckets);
/* One control operation's share of growth and rotation; true when there was some. */
int fo__make_way(struct fo_flowtable *table);
/* The same, and of tidying when there was none. An add has no need of it: only what goes makes room at home. */
void fo__upkeep(struct fo_flowtable *table);
/* Is an index migration under way, or an index crowded? */
int fo__upkeep_pending(const struct fo_flowtable *table);
/* Take a new secret as soon as possible. */
void fo__rotate(struct fo_flowtable *table);
/* The live entries of both indexes. */
uint32_t fo__index_entries(const struct fo_flowtable *table);

/* ---- grace periods and workers (workers.c) ---- */

uint32_t fo__stamp(struct fo_flowtable *table);

/* One look at all workers: is one inside a burst, and how many stamps ago did the one announce that is behind most. Ages,
 * not epochs, are compared: epochs go round, and of two that are half a round apart neither is older by its sign. */
struct fo__progress {
	uint32_t inside;
	uint32_t now; /* the table's epoch */
	uint32_t age;
};
struct fo__progress fo__progress(const struct fo_flowtable *table);
/* Is the grace period over of a stamp that was taken before the look? */
static inline int fo__progress_past(struct fo__progress progress, uint32_t stamp)
{
	return !progress.inside || progress.age <= progress.now - stamp;
}
int fo__grace_over(const struct fo_flowtable *table, uint32_t stamp);
int fo__workers_online(const struct fo_flowtable *table);
/* Free two blocks when no worker can look any more. 0, or -EAGAIN: too many wait already (try fo__defer_room() first). */
int fo__defer(struct fo_flowtable *table, void *ptr0, size_t size0, void *ptr1, size_t size1);
int fo__defer_room(struct fo_flowtable *table);
/* Free the blocks that nobody can look at any more; how many still wait. */
uint32_t fo__deferred_free(struct fo_flowtable *table);

/* Any thread. 0 or -ENOSPC. */
int fo__worker_claim(struct fo_flowtable *table, uint32_t flags, struct fo_worker **out);
/* Any thread. */
void fo__worker_release(struct fo_worker *worker);
/* Has a worker reported one that was not taken yet? */
int fo__worker_reports(const struct fo_flowtable *table);
/* Has a report found no room since this was last asked? */
int fo__worker_reports_lost(struct fo_flowtable *table);
/* Next connection that a worker reported as closing, or FO__NO_SLOT. */
uint32_t fo__worker_reported(struct fo_flowtable *table);

#endif
