/* SPDX-License-Identifier: BSD-2-Clause */
/* flowoffload-backend.h - the provider contract: what you implement to put a device behind libflowoffload.
 *
 * A backend is a struct of functions that the library calls, and a set of functions (struct fo_host_ops) by which it
 * reports what happened later. The library validates every argument first, keeps the list of flows, detects
 * duplicates, ages flows by the counters that you report, queues events; a backend never sees a flow it did not
 * declare to be able to do. docs/BACKENDS.md tells the story in order; examples/npu is a complete one; the suite in
 * tests/conformance proves yours.
 *
 * Threads: every function here, in both directions, runs on the table's control thread. A backend with threads of its
 * own (an interrupt, an SDK's callback) keeps what it learned and reports it from its poll().
 *
 * The rules that are easy to get wrong
 *   Both or none  flow_add installs both directions or leaves nothing behind, also when it fails half way.
 *   Cookies       are never reused while you hold one; a late completion for a dead cookie is ignored by the library.
 *   Counters      are reported as increments with count(), so that a 32-bit clear-on-read counter is read once and
 *                 never lost; what the device still has is reported before removed(), or before flow_del returns 0.
 *   Honesty       what your caps do not say is refused by the library before you see it; what you find out later you
 *                 refuse with a reason and the device's own words.
 */
#ifndef FLOWOFFLOAD_BACKEND_H
#define FLOWOFFLOAD_BACKEND_H

#include "flowoffload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FO_BACKEND_ABI 1u

/* The library's own ranks: "auto" tries higher ones first, of equals the one that was there first. */
#define FO_RANK_SOFT         0u
#define FO_RANK_NFT          50u
#define FO_RANK_BPF          60u
#define FO_RANK_TC_HARDWARE  110u
#define FO_RANK_NFT_HARDWARE 120u

/* Returned by flow_add and flow_del: accepted, the outcome comes by state(), refused() or removed(). */
#define FO_BACKEND_PENDING 1

struct fo_host;      /* the library's side of one table */
struct fo_flowtable; /* the library's own flow store; opaque, used by the built-in "soft" alone */

/* A flow as a device needs it. Valid during the call; copy what you keep. */
struct fo_backend_flow {
	size_t size;
	uint64_t cookie;             /* names the flow in every later call; equals its fo_flow_id */
	uint32_t slot;               /* dense: below fo_backend_config.slots; unique among the cookies alive. Index your arrays by it. */
	uint32_t timeout_ms;         /* resolved; FO_TIMEOUT_NEVER */
	const struct fo_flow *flow;  /* as validated */
	struct fo_tuple out[2];      /* packets arriving as flow->tuple[d] leave as out[d] */
	const struct fo_adj *in[2];  /* they arrive by in[d] ... */
	const struct fo_adj *to[2];  /* ... and leave by to[d] (= in[1 - d]) */
	uint64_t since_ms;           /* table clock: when it was added; 0 in updates, which do not change it */
};

/* A policy as a device needs it. Valid during the call; copy what you keep. */
struct fo_backend_policy {
	size_t size;
	fo_policy_id id;
	const struct fo_policy *policy; /* as validated */
	const struct fo_adj *adj[2];
};

/* What a backend calls to report. Only from within its own poll(), flow_stats() and sync(); count() also from flow_add() and
 * flow_del().
 * Every call accepts a cookie that has ended and ignores it. */
struct fo_host_ops {
	size_t size;
	/* flow_add's PENDING has come true, or the state changed later. state: ACTIVE, HARDWARE, PARTIAL, or ARMED (fell
	 * back to the slow path: reported as FO_EV_FALLBACK with reason). */
	void (*state)(struct fo_host *host, uint64_t cookie, unsigned int state, unsigned int reason);
	/* flow_add's PENDING failed; nothing is left in the device. The flow ends with FO_EV_REFUSED. */
	void (*refused)(struct fo_host *host, uint64_t cookie, const struct fo_error *why);
	/* flow_del's PENDING is done; all counters were reported. */
	void (*removed)(struct fo_host *host, uint64_t cookie);
	/* The device ended the flow by itself and has forgotten it: FO_R_IDLE (hardware aged), FO_R_TCP_FIN, FO_R_TCP_RST,
	 * FO_R_LOST. */
	void (*ended)(struct fo_host *host, uint64_t cookie, unsigned int reason, int backend_errno);
	/* FIN or RST was seen, the flow is still in the device: the library will call flow_del. reason: FO_R_TCP_FIN, _RST */
	void (*closing)(struct fo_host *host, uint64_t cookie, unsigned int reason);
	/* Firmware reset, table flushed by others: every flow of this backend is gone, pending completions included. */
	void (*all_lost)(struct fo_host *host, int backend_errno);
	/* packets and L3 bytes since the last report; last_seen_ms on the table's clock, 0: unchanged, or now when packets > 0 */
	void (*count)(struct fo_host *host, uint64_t cookie, enum fo_dir dir, uint64_t packets, uint64_t bytes,
		      uint64_t last_seen_ms);
	/* (FO_CAP_POLICY) the device took a connection by policy: make it a flow. 0 with its cookie and slot (ARMED until state()),
	 * or -errno: it is none (-EEXIST a flow has a key of it, -ENOSPC, -EINVAL addresses that no flow may have). */
	int (*adopt)(struct fo_host *host, fo_policy_id policy, const struct fo_tuple tuple[2], uint64_t *cookie,
		     uint32_t *slot);
	uint64_t (*now_ms)(struct fo_host *host);
	/* The table's allocator. */
	void *(*alloc)(struct fo_host *host, size_t size, size_t align);
	void (*free)(struct fo_host *host, void *ptr, size_t size);

	/* (FO_CAP_PERSIST) What an earlier process left in the device, from within create() alone, once caps are filled in: an adjacency before its
	 * flows, these in ascending order of their slots, and after each its counters by count(). They are the table's again under the handles and with
	 * all that their callers gave them; what is refused here is to be removed from the device.
	 * -EINVAL wrong; -ENODEV its port is not one of this table's; -EEXIST the handle is taken; -ENOMEM. */
	int (*restore_adj)(struct fo_host *host, fo_adj_id id, const struct fo_adj *adj);
	/* cookie and slot (its lower half) as flow_add had them; state: FO_STATE_ACTIVE ...; since_ms: when it was added.
	 * -EINVAL; -ENOENT no such adjacency; -EEXIST a key of it, or its slot, is taken; -ENOSPC; -ENOMEM. */
	int (*restore_flow)(struct fo_host *host, uint64_t cookie, const struct fo_flow *flow, unsigned int state,
			    uint64_t since_ms);
	/* No flow will have this cookie, or an older one: a caller may hold it still. */
	void (*restore_used)(struct fo_host *host, uint64_t cookie);
};

struct fo_backend_config {
	size_t size;
	const struct fo_table_options *options; /* validated, defaults filled in; valid during create() */
	struct fo_host *host;
	const struct fo_host_ops *ops;          /* valid until destroy() returns */
	uint32_t slots;                         /* bound of fo_backend_flow.slot */
	uint32_t reserved;
	struct fo_flowtable *store;
};

/* A backend. The struct must live as long as the library uses it (static). Functions marked (opt) may be NULL. A function that
 * fails fills err: code, reason, stage (FO_STAGE_INSTALL for the device's refusal), backend_errno, text. */
struct fo_backend {
	size_t size;
	uint32_t abi;          /* FO_BACKEND_ABI */
	uint32_t rank;         /* among FO_RANK_: "auto" tries higher ones first; hardware 100 and more */
	const char *name;      /* at most 15 characters, [a-z0-9_-] */

	/* What could be done here with these options (may be NULL). Creates nothing. 0, or -errno with err saying why not. */
	int (*probe)(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err);
	/* Open one table. caps: fill in for good. */
	int (*create)(const struct fo_backend_config *config, struct fo_caps *caps, void **priv, struct fo_error *err);
	/* Remove everything from the device; no reports during or after it. With FO_TABLE_PERSIST, living flows stay. */
	void (*destroy)(void *priv);

	/* 0: installed (*state says ACTIVE, HARDWARE or PARTIAL; preset to ACTIVE), FO_BACKEND_PENDING: ARMED until state(), or -errno.
	 * -ENOSPC FO_R_FULL and FO_R_COLLISION are told apart. */
	int (*flow_add)(void *priv, const struct fo_backend_flow *flow, unsigned int *state, struct fo_error *err);
	/* 0: gone, its last counters reported; FO_BACKEND_PENDING: removed() follows, always (also after refused() would have);
	 * -errno: still there. A pending add may be deleted. */
	int (*flow_del)(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err);
	/* (opt, FO_CAP_FLOW_UPDATE) mask: FO_UPDATE_ bits (_TAG and _USER with FO_TABLE_PERSIST alone); also called with FO_UPDATE_ADJ after fo_adj_update() for each flow when
	 * adj_update is NULL. 0 or -errno with nothing changed. */
	int (*flow_update)(void *priv, const struct fo_backend_flow *flow, uint32_t mask, struct fo_error *err);
	/* (opt) report fresh counters of one flow by count(), if that can be had at once. */
	int (*flow_stats)(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err);
	/* (opt) one sentence on what the device does with this flow, into text (NUL-terminated). */
	void (*flow_explain)(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size);

	/* (opt) can packets arrive and leave this way? Called before an adjacency is accepted. */
	int (*adj_check)(void *priv, const struct fo_adj *adj, struct fo_error *err);
	/* (opt, FO_CAP_ADJ_UPDATE) swap it under all its flows; 0 or -errno with nothing changed. */
	int (*adj_update)(void *priv, fo_adj_id id, const struct fo_adj *old_adj, const struct fo_adj *new_adj,
			  struct fo_error *err);
	/* (opt) a port changed state; flows are deleted by the library. */
	void (*port_set)(void *priv, const struct fo_port *port);

	/* (opt) work off completions and counters, for about max_us microseconds. */
	void (*poll)(void *priv, unsigned int max_us);
	/* (opt) readable when poll() has work; owned by the backend; -1: none. */
	int (*fd)(void *priv);
	/* (opt) when to call poll() next at the latest, table clock; UINT64_MAX: no need. */
	uint64_t (*deadline)(void *priv);
	/* (opt) is nothing pending any more? 0, or -EAGAIN. Called in turn with poll() by fo_table_sync(). */
	int (*sync)(void *priv);

	/* (opt) flow_add for n flows at once, for a device that is dear to talk to: states[i] and results[i] as flow_add would have
	 * answered for flows[i], errs[i] filled where it failed. Each flow by itself is both directions or none. */
	void (*flow_add_many)(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states, int *results,
			      struct fo_error *errs);
	/* (opt) one sentence on what the device knows of a key that no flow of the table has, into text (NUL-terminated). */
	void (*key_explain)(void *priv, const struct fo_key *key, char *text, size_t size);

	/* (opt, FO_CAP_POLICY) take what matches from now on. 0 or -errno. */
	int (*policy_add)(void *priv, const struct fo_backend_policy *policy, struct fo_error *err);
	/* (opt, FO_CAP_POLICY) take no more, and report each flow taken by it as ended (FO_R_INVALIDATED) once it has left. */
	int (*policy_del)(void *priv, fo_policy_id id, struct fo_error *err);
	/* (opt, FO_CAP_POLICY) called before flow_del when it is the caller who deletes: no policy may take this connection again.
	 * 0 for flows that no policy took; -errno: the delete is refused. */
	int (*flow_forbid)(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err);

	/* (opt) A second rank, for a backend that works in hardware when it is asked to: at this one "auto" asks it with
	 * FO_CAP_HARDWARE in options->needs, at rank without. 0: it is asked once, at rank. */
	uint32_t hardware_rank;
	uint32_t reserved;

	/* (opt) n flows are about to be deleted, by one flow_del after another: take them out in as few requests as may be. What
	 * fails is left for flow_del to say; nothing is reported here. */
	void (*flow_del_ahead)(void *priv, const uint64_t *cookies, const uint32_t *slots, size_t n);
};

/* fo_backend_register - make a backend known to fo_table_create(), fo_backend_name() and "auto".
 * -EINVAL abi, name or a mandatory function; -EEXIST the name is taken; -ENOSPC 16 are registered;
 * -EOPNOTSUPP FO_CAP_WORKER belongs to the library's own store. Thread: any, before the first table uses it. */
int fo_backend_register(const struct fo_backend *backend, struct fo_error *err);

#ifdef __cplusplus
}
#endif

#endif /* FLOWOFFLOAD_BACKEND_H */
