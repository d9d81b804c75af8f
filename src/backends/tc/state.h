/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h - one table of the tc backend, and what its files do for each other.
 *
 * A flow is two flower filters, one at the ingress of each of its ports. A filter's handle is its flow's slot and
 * direction, its priority says which ethertype it matches, and the cookie of its last action says whose it is: so
 * every filter of ours is found again without a list, by this process or by the next one. What must not take the short
 * cut though its connection does is a key of the filter, or, where no key can say it (TTL up to 1), a guard: a filter of a
 * lower priority that sends it to the host.
 *
 *   backend.c  the provider contract            flows.c    flows that come and go
 *   create.c   a table opened and closed        records.c  ... by slot and tuple
 *   update.c   flows that change                stats.c    what their filters counted
 *   options.c  what the caller asks for         links.c    devices that go down or away
 *   ports.c    where a port's filters hang      care.c     conntrack of the connections
 *   probe.c    what its hardware takes          guards.c   what must go to the host
 *   filter.c   a filter as a message            match.c    ... its keys
 *   refusal.c  why the kernel said no           actions.c  ... its actions
 *   explain.c  words for a person               stale.c    what an earlier process left
 *   threads.c  adds that do not wait            adopt.c    ... becomes this table's
 *   told.c     a filter read back
 */
#ifndef FO_TC_STATE_H
#define FO_TC_STATE_H

#include "flowoffload-backend.h"
#include "flowoffload-tc.h"

#include "conntrack/admit.h"
#include "conntrack/conntrack.h"
#include "flowtable/hash.h"
#include "netlink/link.h"
#include "netlink/netlink.h"

#define FO__TC_PORTS   64u
#define FO__TC_NO_SLOT UINT32_MAX

/* ---- Priorities: one an ethertype, since the kernel has one protocol a priority ---- */

enum fo__tc_prio {
	FO__TC_GUARD_V4,
	FO__TC_GUARD_V6,
	FO__TC_GUARD_Q,
	FO__TC_GUARD_AD,
	FO__TC_FLOW_V4,
	FO__TC_FLOW_V6,
	FO__TC_FLOW_Q,
	FO__TC_FLOW_AD,
	FO__TC_PRIOS
};
_Static_assert(FO__TC_PRIOS == FO_TC_PRIORITIES, "as the header says");

/* ---- Cookies of the last action ---- */

enum fo__tc_kind { FO__TC_OF_FLOW = 1, FO__TC_OF_GUARD = 2, FO__TC_OF_PROBE = 3 };

#define FO__TC_MAGIC 0x666f7463u /* "fotc" */
struct fo__tc_cookie {
	uint32_t magic;
	uint8_t version;
	uint8_t kind; /* enum fo__tc_kind */
	uint8_t dir;
	uint8_t turn; /* counts the rules that a direction had: a dump under way may still show the one before */
	uint64_t flow; /* its cookie */
};
_Static_assert(sizeof(struct fo__tc_cookie) == 16, "all the room that an action has");
#define FO__TC_VERSION 1u

/* What a persistent table's next owner cannot read off the filters of a direction: cookies of its edits, which are three actions. */
#define FO__TC_COOKIES	  3u
#define FO__TC_COOKIE_MAX 16u
struct fo__tc_kept {
	uint64_t side; /* handle of that which its packets come from */
	uint32_t l3_dev, mtu;
	uint64_t packets, bytes; /* counted by earlier filters; in a record: so far */
	union {
		struct {
			uint64_t user;
			uint32_t tag, mark;
		} original;
		struct {
			uint64_t since_ms;
			uint32_t timeout_ms, zero;
		} reply;
	};
};
_Static_assert(sizeof(struct fo__tc_kept) == FO__TC_COOKIES * FO__TC_COOKIE_MAX, "each third is a cookie");

/* ---- Ports ---- */

/* What a rule's packets look like to a guard: 0 .. FO__TC_SHAPES - 1. */
#define FO__TC_SHAPES 14u

struct fo__tc_port {
	uint32_t index; /* ifindex; 0: free */
	uint32_t mtu;
	uint32_t block;	   /* shared with other devices; 0: its own */
	int lock;	   /* abstract socket, which says that we are its owner; -1: none */
	uint16_t guards;   /* by shape: which are installed */
	uint16_t found;	   /* ... which an earlier process left, and nobody has written anew */
	uint8_t made;	   /* the qdisc is ours */
	uint8_t down;	   /* by the kernel */
	uint8_t said_down; /* by the caller */
	char name[16];
};

/* What one port's hardware does with packets for another. */
#define FO__TC_CAN_V4	  (1u << 0)
#define FO__TC_CAN_V6	  (1u << 1)
#define FO__TC_CAN_VLAN	  (1u << 2)
#define FO__TC_CAN_QINQ	  (1u << 3)
#define FO__TC_CAN_DSCP	  (1u << 4)
#define FO__TC_CAN_POLICE (1u << 5) /* frames longer than a rule says go to the host */
#define FO__TC_PROBED	  (1u << 7)

/* ---- Rules ---- */

/* One direction of a flow, as its filter says it. */
struct fo__tc_rule {
	struct fo__tc_cookie cookie;
	const struct fo__tc_port *port;
	uint32_t to; /* ifindex */
	uint32_t handle;
	enum fo__tc_prio prio;
	const struct fo_tuple *in, *out; /* as its packets arrive and leave */
	const struct fo_adj *from, *into;
	struct fo__tc_kept kept; /* of a persistent table */
	uint8_t dscp;		 /* FO_DSCP_ */
	uint8_t police;
};

enum fo__tc_life { FO__TC_FREE, FO__TC_LIVE, FO__TC_PENDING };

/* One flow. */
struct fo__tc_record {
	uint64_t cookie; /* 0: no flow */
	uint64_t bytes[2];
	uint32_t packets[2];	  /* as the kernel last told, modulo 2^32 */
	uint32_t owed_packets[2]; /* not yet reported */
	uint64_t owed_bytes[2];
	uint32_t seen_packets; /* of both, for conntrack */
	uint32_t chain;	       /* next slot of the bucket */
	struct fo_tuple tuple[2];
	struct fo_adj adj[2]; /* to put a change back that half failed */
	struct fo__tc_kept kept[2];
	struct fo__ct_kept ct;
	uint32_t timeout_ms;
	uint8_t dscp[2];
	uint8_t port[2];     /* place in fo__tc.ports */
	uint8_t prio[2];     /* enum fo__tc_prio */
	uint8_t overhead[2]; /* bytes before the IP header */
	uint8_t there[2];    /* its filter is; before adoption: so many were found */
	uint8_t turn[2];     /* of its cookie */
	uint8_t seen[2];     /* pass that showed it last */
	uint8_t life;	     /* enum fo__tc_life */
	uint8_t state;	     /* enum fo_state, as last reported */
	uint8_t closing;     /* FO_R_TCP_FIN, _RST: said */
	uint8_t unwanted;    /* PENDING, and deleted already */
};

/* What hardware refused, so that it need not be asked for each flow. */
#define FO__TC_REFUSALS 32u
struct fo__tc_refusal {
	uint32_t shape; /* of a rule; 0: free */
	uint8_t from, into;
	uint16_t error;
	uint64_t until_ms;
	char words[96];
};

struct fo__tc {
	struct fo_host *host;
	const struct fo_host_ops *ops; /* NULL while probing */
	struct fo__nl set;	       /* filters, qdiscs and devices: asked for and changed */
	struct fo__nl dump;	       /* statistics, in slices */
	struct fo__nl notices;	       /* devices that change */
	struct fo__ct_care *care;      /* NULL: without conntrack */
	uint8_t *tx, *rx, *rx_dump;
	uint32_t cleared; /* filters of an earlier process that were removed */
	uint32_t adopted; /* flows */
	uint32_t newest;  /* generation of a flow whose filters were found */
	uint8_t persists; /* FO_TABLE_PERSIST */
	uint8_t adopting; /* what is at the ports is looked at, not removed */
	struct fo_tc_options own;
	uint32_t profile; /* enum fo_tc_profile: what AUTO came to */
	uint32_t trap;	  /* TC_ACT_ of guards */
	int netns;	  /* -1: the caller's */
	struct fo__tc_port ports[FO__TC_PORTS];
	uint8_t pair[FO__TC_PORTS][FO__TC_PORTS]; /* FO__TC_CAN_ bits */
	uint8_t can;				  /* what all pairs do that do anything */
	struct fo__tc_refusal refused[FO__TC_REFUSALS];
	uint32_t next_refused;

	struct fo__tc_record *records;
	uint32_t n_slots, n_used, high;
	uint32_t *buckets; /* by the tuple that conntrack calls the original one */
	uint32_t n_buckets;
	struct fo__secret secret;

	uint8_t pass; /* number of the pass over all filters, never 0 */
	uint8_t passing, dumping, checking;
	uint8_t pass_port, pass_prio; /* that is being dumped */
	uint32_t check_at;
	uint64_t pass_began_ms, next_pass_ms;
	uint8_t ending; /* flows of ports that do not work are being ended */
	uint32_t ending_at;
	struct fo__nl events;		/* of conntrack */
	struct fo__tc_threads *threads; /* NULL: an add waits for the driver */
	int epoll;			/* all that poll() is wanted for */
};

#define FO__TC_TX_ROOM (160u * 1024)
/* Filters in one request: what their answers take must fit the socket's buffer. */
#define FO__TC_BATCH 64u
/* Between two passes over the counters: four times what one takes, within these bounds. */
#define FO__TC_PASS_MS	    1000u
#define FO__TC_PASS_MOST_MS 4000u
#define FO__TC_AGE_MS	    6000u

/* ---- create.c ---- */

int fo__tc_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err);
int fo__tc_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		  struct fo_error *err);
void fo__tc_destroy(void *priv);

/* ---- backend.c ---- */

int fo__tc_adj_check(const struct fo_adj *adj, struct fo_error *err);

/* ---- options.c ---- */

int fo__tc_options_take(const struct fo_table_options *options, struct fo_tc_options *out,
			struct fo_error *err);

/* ---- ports.c: in the table's network namespace ---- */

/* Add a port: its device, its place for filters, our ownership. @probing: nobody's ownership is asked for. */
int fo__tc_port_open(struct fo__tc *tc, uint32_t index, int probing, struct fo_error *err);
/* Take everything of ours from it. */
void fo__tc_port_close(struct fo__tc *tc, struct fo__tc_port *port);
struct fo__tc_port *fo__tc_port(struct fo__tc *tc, uint32_t index); /* NULL: none of the table's */
int fo__tc_port_works(const struct fo__tc_port *port);
/* Is this the port by which its filters are to be dumped? Others may share its block. */
int fo__tc_port_shows(const struct fo__tc *tc, unsigned int at);

/* ---- probe.c ---- */

/* Try rules on this pair until it is known what it can; err (may be NULL) says why it cannot do anything. 0, -errno. */
int fo__tc_probe_pair(struct fo__tc *tc, unsigned int from, unsigned int into, struct fo_error *err);
/* All pairs, or as many as may be; tc->profile, tc->can and tc->trap are known then. */
int fo__tc_probe_ports(struct fo__tc *tc, struct fo_error *err);

/* ---- filter.c ---- */

/* How a filter is named: port, priority, handle. */
struct tcmsg;
struct tcmsg *fo__tc_message(struct fo__tc *tc, struct fo__tx *tx, uint16_t type, uint16_t flags,
			     const struct fo__tc_port *port, enum fo__tc_prio prio, uint32_t handle);
/* One rule's filter; flags: of netlink, besides NLM_F_CREATE and NLM_F_ACK. */
void fo__tc_put_rule(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_rule *rule);
void fo__tc_put_delete(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_port *port,
		       enum fo__tc_prio prio, uint32_t handle);
/* Ask for one or, with NLM_F_DUMP, all of a priority. */
void fo__tc_put_get(struct fo__tc *tc, struct fo__tx *tx, uint16_t flags, const struct fo__tc_port *port,
		    enum fo__tc_prio prio, uint32_t handle);
uint16_t fo__tc_ethertype(enum fo__tc_prio prio);
enum fo__tc_prio fo__tc_prio_of(const struct fo_adj *adj, unsigned int family);
uint32_t fo__tc_handle(uint32_t slot, unsigned int dir);

/* What a message says of a filter. */
struct fo__tc_seen {
	uint32_t ifindex, handle;
	uint16_t prio; /* the kernel's number */
	uint8_t ours;  /* cookie is one of this library's */
	uint8_t in_hw;
	uint8_t counted; /* packets and bytes are there */
	uint64_t packets, bytes;
	struct fo__tc_cookie cookie;
};
/* 0; -ENOENT no filter of flower; -EPROTO. */
int fo__tc_read(const struct nlmsghdr *nlh, struct fo__tc_seen *out);

/* ---- told.c ---- */

#define FO__TC_EDITS 14u
#define FO__TC_WORDS 1024u

/* All that a filter says, read back. */
struct fo__tc_told {
	struct fo__tc_seen seen;
	struct fo_tuple tuple; /* as its packets arrive */
	char indev[16];
	uint32_t to;			 /* ifindex */
	uint8_t peer_mac[6], own_mac[6]; /* written */
	struct fo_encap encap[2];	 /* written, outermost first */
	uint32_t n_encaps;
	uint8_t dscp; /* FO_DSCP_ */
	struct fo__tc_kept kept;
	uint64_t used_ms; /* ago */
	uint32_t size;
	uint8_t words[FO__TC_WORDS]; /* keys and actions in an order of their own: to be compared */
};
/* 0; -ENOENT no filter of flower; -EPROTO malformed, or with a key or an action that no filter of a persistent flow has. */
int fo__tc_read_back(const struct nlmsghdr *nlh, struct fo__tc_told *out);

/* ---- match.c, actions.c: attributes of TCA_OPTIONS ---- */

void fo__tc_put_match(const struct fo__tc *tc, struct fo__tx *tx, const struct fo__tc_rule *rule);
void fo__tc_put_actions(const struct fo__tc *tc, struct fo__tx *tx, const struct fo__tc_rule *rule);
/* Frames of this shape: ethertype and tags. Returns the ethertype of the payload. */
void fo__tc_put_shape(struct fo__tx *tx, const struct fo_adj *adj, unsigned int family, int with_ids);
void fo__tc_put_verdict(struct fo__tx *tx, int verdict, const struct fo__tc_cookie *cookie);

/* ---- guards.c ---- */

/* See to it that packets of this shape with a TTL of 1 or less go to the host. */
int fo__tc_guard(struct fo__tc *tc, struct fo__tc_port *port, const struct fo_adj *adj, unsigned int family,
		 struct fo_error *err);
void fo__tc_guards_drop(struct fo__tc *tc, struct fo__tc_port *port);
/* A guard was found at this port: its shape, or -ENOENT no guard of this library has that place and handle. */
int fo__tc_guard_shape(const struct fo__tc *tc, const struct fo__tc_port *port,
		       const struct fo__tc_seen *seen);

/* ---- refusal.c ---- */

/* What the kernel or a driver refused: the reason by errno, and their words. Returns the code. */
int fo__tc_refused(struct fo_error *err, int error, const char *words, const char *what);
void fo__tc_remember(struct fo__tc *tc, const struct fo__tc_rule *rule, int error, const char *words);
/* Was this refused a moment ago? The code, or 0. */
int fo__tc_remembered(struct fo__tc *tc, const struct fo__tc_rule *rule, struct fo_error *err);

/* ---- records.c ---- */

int fo__tc_records_open(struct fo__tc *tc, uint32_t slots);
void fo__tc_records_close(struct fo__tc *tc);
struct fo__tc_record *fo__tc_record(struct fo__tc *tc, uint64_t cookie, uint32_t slot);
/* Whose tuple[0] this is; FO__TC_NO_SLOT. */
uint32_t fo__tc_slot_by_tuple(const struct fo__tc *tc, const struct fo_tuple *tuple);
/* The record of a slot that has no flow: fill it in, then link it. */
struct fo__tc_record *fo__tc_record_take(struct fo__tc *tc, uint32_t slot);
void fo__tc_record_rule(struct fo__tc *tc, struct fo__tc_record *record, unsigned int dir,
			const struct fo__tc_rule *rule);
/* The rule that a record's direction has; out: memory for a tuple of it. */
void fo__tc_rule_of(struct fo__tc *tc, uint32_t slot, unsigned int dir, struct fo_tuple *out,
		    struct fo__tc_rule *rule);
/* What arrives as a tuple leaves as the mirror of the other one. */
void fo__tc_leaves(const struct fo_tuple *tuple, const struct fo_tuple *other, struct fo_tuple *out);
void fo__tc_record_link(struct fo__tc *tc, uint32_t slot);
void fo__tc_record_drop(struct fo__tc *tc, uint32_t slot);

/* ---- flows.c ---- */

void fo__tc_flows_add(struct fo__tc *tc, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
		      int *results, struct fo_error *errs);
int fo__tc_flow_del(struct fo__tc *tc, uint32_t slot, struct fo_error *err);
/* The filters of flows that are about to be deleted. */
void fo__tc_flows_del_ahead(struct fo__tc *tc, const uint64_t *cookies, const uint32_t *slots, size_t n);
/* One direction of a flow as a rule, if its ports work, their hardware takes it, and its guard stands. */
int fo__tc_make_rule(struct fo__tc *tc, const struct fo_backend_flow *flow, unsigned int dir,
		     struct fo__tc_rule *rule, struct fo_error *err);
/* A flow that never came in whole: its filters go, and all that is known of it. Nothing is said. */
void fo__tc_flow_forget(struct fo__tc *tc, uint32_t slot);
/* What is not in the hardware whole goes, when the rest stays. */
void fo__tc_flows_cut_halves(struct fo__tc *tc);
/* All filters of flows that go over this port (NULL: any), at once: what leaves by it would be lost. */
void fo__tc_flows_cut(struct fo__tc *tc, const struct fo__tc_port *port);
/* The backend itself ends it: the filters go, ended() is said. */
void fo__tc_flow_end(struct fo__tc *tc, uint32_t slot, enum fo_reason reason);

/* ---- threads.c ---- */

int fo__tc_threads_open(struct fo__tc *tc, struct fo_error *err);
/* Join them; records say then what may be there. */
void fo__tc_threads_stop(struct fo__tc *tc);
int fo__tc_threads_fd(const struct fo__tc *tc); /* -1: no threads */
uint32_t fo__tc_threads_pending(const struct fo__tc *tc);
/* A record that is PENDING is put into the hardware. */
void fo__tc_threads_add(struct fo__tc *tc, uint32_t slot);
void fo__tc_threads_poll(struct fo__tc *tc, uint64_t until_us);

/* ---- update.c ---- */

int fo__tc_flow_update(struct fo__tc *tc, const struct fo_backend_flow *flow, uint32_t mask,
		       struct fo_error *err);

/* ---- stats.c ---- */

/* Note what a filter counted; report says it to the library, where that may be. */
void fo__tc_count(struct fo__tc *tc, uint32_t slot, unsigned int dir, const struct fo__tc_seen *seen);
void fo__tc_report(struct fo__tc *tc, uint32_t slot);
/* Both directions of one flow, now. 0, -ENOENT one is not there, -errno. */
int fo__tc_flow_stats(struct fo__tc *tc, uint32_t slot);
void fo__tc_stats_poll(struct fo__tc *tc, uint64_t until_us);
uint64_t fo__tc_us(void);

/* ---- links.c ---- */

int fo__tc_links_open(struct fo__tc *tc, struct fo_error *err);
void fo__tc_links_poll(struct fo__tc *tc);
void fo__tc_links_end_flows(struct fo__tc *tc);

/* ---- care.c ---- */

int fo__tc_care_open(struct fo__tc *tc, struct fo_error *err);
void fo__tc_care_close(struct fo__tc *tc);
void fo__tc_care_poll(struct fo__tc *tc);

/* ---- stale.c ---- */

/* Filters at our priorities of this port: those of an earlier process go, those of others are refused. */
int fo__tc_clear(struct fo__tc *tc, struct fo__tc_port *port, struct fo_error *err);
/* All filters of ours but those of flows that there are, and their guards, go. */
int fo__tc_sweep(struct fo__tc *tc, struct fo__nl_answer *answer);
/* Are there filters of anybody's, in either direction, on this device? 1, 0, -errno. */
int fo__tc_has_filters(struct fo__tc *tc, const struct fo__tc_port *port);

/* ---- adopt.c ---- */

/* A filter of an earlier process, before anything of it is believed. */
void fo__tc_adopt_note(struct fo__tc *tc, struct fo__tc_port *port, const struct fo__tc_seen *seen);
/* Flows whose filters are whole become this table's; all other filters go. */
int fo__tc_adopt(struct fo__tc *tc, struct fo_error *err);

/* ---- explain.c ---- */

void fo__tc_explain(struct fo__tc *tc, uint32_t slot, char *text, size_t size);

static inline uint64_t fo__tc_now(struct fo__tc *tc)
{
	return tc->ops ? tc->ops->now_ms(tc->host) : fo__tc_us() / 1000;
}

/* Does what is in the hardware outlive the table? */
static inline int fo__tc_flows_stay(const struct fo__tc *tc)
{
	return tc->persists && (tc->adopting || tc->n_used);
}

static inline uint8_t fo__tc_place(const struct fo__tc *tc, const struct fo__tc_port *port)
{
	return (uint8_t)(port - tc->ports);
}

#endif
