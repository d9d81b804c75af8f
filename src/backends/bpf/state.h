/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h - one table of the bpf backend, and what its files do for each other.
 *
 *   bpf.c      the provider contract
 *   create.c   create and destroy, what the backend can
 *   load.c     the program's object: sizes, loading, descriptors
 *   attach.c   the program on devices: XDP, tcx, clsact
 *   sides.c    adjacencies to entries and ingress numbers
 *   encode.c   flows and adjacencies as the maps have them
 *   flows.c    elements of the flow maps: add, end, read, update
 *   move.c     directions that come in another way than before
 *   sweep.c    what the program saw: counters, FIN and RST, out of memory that both have
 *   pins.c     maps and links in a folder of a BPF file system, for the next process
 *   adopt.c    flows that an earlier process left there
 *   grace.c    waits, in a thread, until no CPU can still be in an old run of the program
 *
 * layout.h is what the program and these files share.
 */
#ifndef FO_BACKENDS_BPF_STATE_H
#define FO_BACKENDS_BPF_STATE_H

#include "flowoffload-backend.h"
#include "flowoffload-bpf.h"

#include "backends/bpf/encode.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

struct fo__bpf_care;
struct fo__bpf_links;
struct fo__bpf_prover;
struct program_bpf;
struct bpf_link;
struct ring_buffer;

#define FO__BPF_NONE UINT32_MAX

/* Adjacencies at most: 24 bits name one in a flow; memory is what limits. */
#define FO__BPF_SIDES	  65536u
#define FO__BPF_INGRESSES 4096u
#define FO__BPF_DEVICES	  64u

enum fo__bpf_map {
	FO__BPF_FLOWS4,
	FO__BPF_FLOWS6,
	FO__BPF_STATES,
	FO__BPF_INGRESS,
	FO__BPF_ADJACENCIES,
	FO__BPF_ENTRIES,
	FO__BPF_DEVMAP,
	FO__BPF_COUNTERS,
	FO__BPF_EVENTS,
	FO__BPF_CONFIG,
	FO__BPF_MAPS
};

/* How a device's packets come to the program. */
enum fo__bpf_hook {
	FO__BPF_HOOK_NONE,
	FO__BPF_HOOK_XDP,
	FO__BPF_HOOK_XDP_GENERIC,
	FO__BPF_HOOK_TCX,
	FO__BPF_HOOK_CLSACT
};

/* For a persistent table, these and the slots are maps too. */
enum fo__bpf_array { FO__BPF_SLOTS, FO__BPF_SIDE_ARRAY, FO__BPF_INGRESS_ARRAY, FO__BPF_ARRAYS };

#define FO__BPF_PATH 256u
struct fo__bpf_pins {
	bool wanted;
	bool found;		 /* flows of an earlier process are there */
	bool leave;		 /* ... or of this one: destroy() leaves them */
	int folder;		 /* locked by the process that works with it; -1: none */
	char path[FO__BPF_PATH]; /* of the layout's folder */
	int map[FO__BPF_MAPS];	 /* found, or -1 */
	int array[FO__BPF_ARRAYS];
};

struct fo__bpf_device {
	uint32_t port; /* ifindex; 0: free */
	enum fo__bpf_hook hook;
	int link; /* of XDP and tcx, -1 otherwise */
	bool made_qdisc;
	bool down, said_down; /* by the kernel, by the caller */
	bool frags;	      /* at XDP, by the program for frames in several buffers */
	uint8_t proven;	      /* enum fo__bpf_proven: takes what XDP redirects to it */
	uint64_t prove_again_ms;
	char owner[64]; /* who has its XDP, where that was wanted; "" nobody */
};

/* Does a device take what XDP redirects to it? */
enum fo__bpf_proven { FO__BPF_UNKNOWN, FO__BPF_PROVEN, FO__BPF_LOSES, FO__BPF_UNPROVEN };

/* One adjacency in use. After a kill, id, adj and ingress are what is believed. */
struct fo__bpf_side {
	fo_adj_id id; /* 0: free */
	struct fo_adj adj;
	uint32_t refs; /* ends of flows */
	uint32_t entry;
	uint32_t ingress; /* index of ingresses, or FO__BPF_NONE: untagged */
	uint32_t chain;	  /* of sides_by_id */
	uint32_t next;	  /* free */
};

/* A side or an entry that a run of the program may still use. */
#define FO__BPF_RETIRED_SIDE  0u
#define FO__BPF_RETIRED_ENTRY 1u
#define FO__BPF_RETIRED	      (3 * FO__BPF_SIDES)
struct fo__bpf_retired {
	uint32_t kind : 1;
	uint32_t number : 31;
};

struct fo__bpf_ingress {
	struct fo__bpf_ingress_key key;
	uint32_t refs; /* 0: free */
};

enum fo__bpf_life { FO__BPF_FREE, FO__BPF_LIVE, FO__BPF_ENDING };

/* One flow. Kept because the library names it by cookie and slot alone when it ends. What its caller gave is for the next
 * process. */
struct fo__bpf_slot {
	uint64_t cookie;	       /* of a free one: the last that it had */
	uint64_t packets[2], bytes[2]; /* reported so far */
	union fo__bpf_key key[2];
	uint32_t in[2]; /* sides */
	uint32_t next;	/* ending: the next that waits */
	uint8_t family;
	uint8_t life;  /* enum fo__bpf_life */
	bool closing;  /* FIN or RST was reported */
	uint8_t ended; /* ending by itself: the reason to be told; 0: by the library */
	uint64_t user, since_ms;
	uint32_t tag, mark, timeout_ms;
	uint8_t dscp[2];
	uint8_t state; /* enum fo_state of its adding */
	bool moving;   /* its keys are changing: a process that is killed now leaves others than these */
};

/* Slots or sides that wait for one grace period, oldest first. */
struct fo__bpf_queue {
	uint32_t first, last;
};

struct fo__bpf_grace {
	pthread_t thread;
	bool started;
	int wake, done;		   /* eventfds: to the thread, to poll */
	uint64_t wanted, finished; /* numbers of periods; atomic */
	bool stop;
};

struct fo__bpf {
	struct fo_host *host;
	const struct fo_host_ops *ops;
	struct program_bpf *program; /* skeletons */
	struct ring_buffer *ring;
	int map[FO__BPF_MAPS];
	struct fo__bpf_config config;
	struct fo__bpf_pins pins;
	int program_xdp, program_frags, program_tc, program_mark, program_add;
	struct fo__bpf_pair *batch;   /* FO__BPF_BATCH of them, which the program sees */
	struct fo__bpf_state *states; /* the program's, of 2 * n_slots directions */

	struct fo__bpf_device devices[FO__BPF_DEVICES];

	struct fo__bpf_slot *slots;
	uint32_t n_slots, slots_high, n_living, n_living6; /* slots ever used are below slots_high */
	struct fo__bpf_queue ending, waiting; /* marked since the period began; for the period under way */
	uint64_t period;		      /* that `waiting` waits for; 0: none */

	struct fo__bpf_side *sides; /* number 0 is nobody's */
	uint32_t *sides_by_id;	    /* 65536 chains */
	uint32_t sides_high, sides_free;
	uint32_t *entries_free; /* 2 * FO__BPF_SIDES of them at most */
	uint32_t entries_high, n_entries_free;
	struct fo__bpf_retired *retired; /* a ring */
	uint32_t retired_first, n_retired, retired_waiting;
	uint64_t retired_period;
	struct fo__bpf_ingress *ingresses;

	struct fo__bpf_grace grace;
	struct fo__bpf_care *care;   /* guard.h; NULL: without conntrack */
	struct fo__bpf_links *links; /* guard.h */
	/* Under way: a pass over conntrack's entries, over flows of dead ports, over what is to be taken out of the maps. */
	bool looking_after, ending_flows, reaping;
	struct fo__bpf_prover *prover; /* guard.h; NULL: not needed yet */
	void (*warn)(void *ctx, const struct fo_bpf_warning *warning);
	void *warn_ctx;
	uint32_t n_warnings;
	uint32_t attach; /* enum fo_bpf_attach */
	int netns;	 /* the table's network namespace, or -1: the caller's */
	uint64_t jiffies_per_second, now_jiffies;

	bool leased; /* a device has a clsact filter, which outlives this process */
	uint64_t next_lease_jiffies;
	uint64_t next_sweep_ms;
	bool sweep_running;
	uint32_t sweep_since, sweep_at; /* jiffies: what was counted before was told; the next state */
	uint32_t swept_jiffies;		/* when the last sweep began */
	int epoll;
};

/* Fill err; returns code. errno_ is the kernel's, positive, or 0. */
int fo__bpf_fail(struct fo_error *err, int code, unsigned int reason, const char *field, int errno_,
		 const char *format, ...) __attribute__((format(printf, 6, 7)));

/* load.c. libbpf prints what this library puts into errors: between these two it does not. */
typedef int fo__bpf_print(enum libbpf_print_level level, const char *format, va_list args);
fo__bpf_print *fo__bpf_quiet(void);
void fo__bpf_unquiet(fo__bpf_print *before);
int fo__bpf_load(struct fo__bpf *bpf, uint32_t slots, struct fo_error *err);
void fo__bpf_unload(struct fo__bpf *bpf);

/* pins.c. open: the folder is there, is ours alone, and what it holds is known. fresh: nothing in it is used, and goes. */
int fo__bpf_pins_open(struct fo__bpf *bpf, const char *folder, struct fo_error *err);
int fo__bpf_pins_arrays(struct fo__bpf *bpf, struct fo_error *err);
/* Maps are pinned before any device is attached, and the whole said to be ready when all are. */
int fo__bpf_pins_maps(struct fo__bpf *bpf, struct fo_error *err);
int fo__bpf_pins_ready(struct fo__bpf *bpf, struct fo_error *err);
void fo__bpf_pins_close(struct fo__bpf *bpf);
/* Of the device's program by this hook. find: its link, or -1. */
int fo__bpf_pin_link(const struct fo__bpf *bpf, const struct fo__bpf_device *device);
int fo__bpf_pin_find(const struct fo__bpf *bpf, uint32_t port, enum fo__bpf_hook hook);
void fo__bpf_pin_drop(const struct fo__bpf *bpf, uint32_t port, enum fo__bpf_hook hook);

/* adopt.c: what is whole becomes the library's, all else goes. */
int fo__bpf_adopt(struct fo__bpf *bpf, struct fo_error *err);

/* create.c: as in struct fo_backend. */
int fo__bpf_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err);
int fo__bpf_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		   struct fo_error *err);
void fo__bpf_destroy(void *priv);
/* To the table's network namespace, and back to what enter() returned. */
int fo__bpf_netns_enter(const struct fo__bpf *bpf);
void fo__bpf_netns_leave(int back);

/* attach.c. open: known, watched, packets can be redirected to it. attach: its packets come to the program by how, enum
 * fo_bpf_attach. */
int fo__bpf_device_open(struct fo__bpf *bpf, uint32_t port, struct fo_error *err);
int fo__bpf_device_attach(struct fo__bpf *bpf, struct fo__bpf_device *device, uint32_t how,
			  struct fo_error *err);
void fo__bpf_device_del(struct fo__bpf *bpf, uint32_t port);
void fo__bpf_detach(struct fo__bpf *bpf);
bool fo__bpf_has_tcx(void);
bool fo__bpf_is_virtual(uint32_t port);
const char *fo__bpf_hook_name(enum fo__bpf_hook hook);

/* sides.c: a side for the adjacency, with one more reference. */
int fo__bpf_side_take(struct fo__bpf *bpf, fo_adj_id id, const struct fo_adj *adj, uint32_t *out,
		      struct fo_error *err);
void fo__bpf_side_release(struct fo__bpf *bpf, uint32_t side);
/* After a kill: the arrays around sides[] and ingresses[] anew, for the sides that flows name. */
int fo__bpf_sides_adopt(struct fo__bpf *bpf, struct fo_error *err);
int fo__bpf_side_update(struct fo__bpf *bpf, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err);
/* This side, or all sides of this port, are dead for that reason, or, FO_R_NONE, alive. */
void fo__bpf_side_mark(struct fo__bpf *bpf, uint32_t side, enum fo_reason reason);
void fo__bpf_sides_mark(struct fo__bpf *bpf, uint32_t port, enum fo_reason reason);
uint32_t fo__bpf_side_ingress(const struct fo__bpf *bpf, uint32_t side);
/* Sides whose grace period is over may be used again. */
void fo__bpf_sides_reclaim(struct fo__bpf *bpf);

/* flows.c */
void fo__bpf_lives(struct fo__bpf *bpf, uint32_t slot); /* it is in the map, from now on */
/* FO__BPF_BATCH of them at most, of which those with a result other than 0 are passed over, in one run of the program. */
void fo__bpf_flows_add(struct fo__bpf *bpf, const struct fo_backend_flow *flows, uint32_t n,
		       const unsigned int *states, int *results, struct fo_error *errs);
int fo__bpf_flow_del(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot, struct fo_error *err);
/* Takes a flow that no packet has used yet out of the maps again. */
void fo__bpf_flow_undo(struct fo__bpf *bpf, uint32_t slot);
/* The backend itself ends a flow: no packet takes it from now on, ended() follows with the reason. */
void fo__bpf_flow_end(struct fo__bpf *bpf, uint32_t slot, enum fo_reason reason);
int fo__bpf_flow_update(struct fo__bpf *bpf, const struct fo_backend_flow *flow, uint32_t mask,
			struct fo_error *err);
int fo__bpf_flow_stats(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot);
int fo__bpf_flow_map(const struct fo__bpf *bpf, unsigned int family);
/* Run the program fo_mark on one direction, question and answer. -ENOENT: it is not there. */
int fo__bpf_mark(const struct fo__bpf *bpf, unsigned int family, const union fo__bpf_key *key,
		 struct fo__bpf_mark *answer);
int fo__bpf_refused(int errno_, struct fo_error *err);
/* Flows whose grace period is over: final counters, removed(). A slice at least, no new one from then on; true: there are more. */
bool fo__bpf_flows_reap(struct fo__bpf *bpf, uint64_t until_us);

/* move.c: both wait for the kernel, some ten milliseconds, where keys change. */
int fo__bpf_flow_move(struct fo__bpf *bpf, const struct fo_backend_flow *flow, struct fo_error *err);
/* All directions that come in by this side do so by another ingress number from now on. commit makes the side's own change
 * when nothing else can fail any more; it may. */
int fo__bpf_side_move(struct fo__bpf *bpf, uint32_t side, uint32_t ingress,
		      int (*commit)(struct fo__bpf *bpf, void *arg, struct fo_error *err), void *arg,
		      struct fo_error *err);

/* load.c: the program forwards for another FO_BPF_LEASE_MS. */
int fo__bpf_lease(struct fo__bpf *bpf);

/* sweep.c: what a direction's state has that the library was not told yet. */
void fo__bpf_report(struct fo__bpf *bpf, uint32_t slot, unsigned int dir);
/* A slice at least, no new one from then on. */
void fo__bpf_sweep(struct fo__bpf *bpf, uint64_t until_us);
uint64_t fo__bpf_now_us(void); /* monotonic */
struct fo__bpf_state *fo__bpf_state_of(const struct fo__bpf *bpf, uint32_t slot, unsigned int dir);
/* Flags of both directions, atomically, though the program works with them. */
void fo__bpf_state_set(struct fo__bpf *bpf, uint32_t slot, uint32_t set, uint32_t clear);
uint64_t fo__bpf_jiffies(struct fo__bpf *bpf);
int fo__bpf_see_event(void *bpf, void *data, size_t size); /* ring_buffer_sample_fn */

/* grace.c */
int fo__bpf_grace_open(struct fo__bpf *bpf);
void fo__bpf_grace_close(struct fo__bpf *bpf);
/* Ask for a period that begins now; returns its number. */
uint64_t fo__bpf_grace_begin(struct fo__bpf *bpf);
/* Wait for one, here. */
int fo__bpf_grace_wait(void);
bool fo__bpf_grace_over(struct fo__bpf *bpf, uint64_t period);

#endif
