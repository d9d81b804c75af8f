/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h - what the files of the nft backend share: one table's sockets, ruleset and flows.
 *
 * No netlink call puts one flow into nf_flowtable. This backend owns a table of nf_tables with four sets of conntrack
 * tuples and rules that say "flow add" for what is in them, so that adding a flow is adding an element: a permission that
 * takes effect at the connection's next packet. What became of it is read from conntrack, where IPS_OFFLOAD is the
 * kernel's own word. To take a flow out, its element is deleted and, since nothing else makes the kernel let go, the
 * flowtable is made anew in one transaction (the refresh): all flows take the slow path for a packet and come back.
 * In hardware mode a refresh would leave rules behind in drivers; there the connection's conntrack entry is deleted.
 *
 * Neighbours: backend.c is the contract's side, setup.c opens and closes, rules.c and elements.c write nf_tables,
 * links.c reads devices, settings.c sysctls, foreign.c other flowtables, records.c keeps flows by tuple, flows.c adds
 * and deletes, hardware.c what is otherwise in hardware mode, watch.c follows conntrack, explain.c words it.
 */
#ifndef FO_NFT_STATE_H
#define FO_NFT_STATE_H

#include "flowoffload-backend.h"

#include "conntrack/conntrack.h"
#include "flowtable/hash.h"
#include "netlink/netlink.h"

#define FO__NFT_NAME_SIZE 16u /* IFNAMSIZ */
#define FO__NFT_NO_SLOT	  UINT32_MAX

/* ---- Devices (links.c) ---- */

enum fo__nft_kind {
	FO__NFT_PLAIN,
	FO__NFT_VLAN,
	FO__NFT_BRIDGE,
	FO__NFT_PPP,
	FO__NFT_LOOPBACK,
};

struct fo__nft_link {
	uint32_t index;
	uint32_t below;	 /* IFLA_LINK of a VLAN; 0: none in this namespace */
	uint32_t master; /* 0: none */
	uint32_t mtu;
	uint16_t vlan_id;
	uint16_t vlan_proto; /* 0x8100, 0x88a8 */
	uint8_t vlan_pcp;    /* that a VLAN device writes into packets of the usual priority */
	uint8_t kind;	     /* enum fo__nft_kind */
	uint8_t sessions;    /* carries PPPoE sessions */
	uint8_t mac[6];
	char name[FO__NFT_NAME_SIZE];
};

struct fo__nft_links {
	struct fo__nft_link *at;
	size_t n, room;
};

/* The devices that the flowtable is on, each the lowest beneath a port of the table. */
#define FO__NFT_DEVICES_MOST 256u
struct fo__nft_devices {
	uint32_t n;
	uint32_t index[FO__NFT_DEVICES_MOST];
	char name[FO__NFT_DEVICES_MOST][FO__NFT_NAME_SIZE];
};

/* ---- Flows (records.c) ---- */

#define FO__NFT_REVERSED (1u << 0) /* conntrack's original direction is the flow's reply */
#define FO__NFT_IN_SET	 (1u << 1) /* its element exists */
#define FO__NFT_HAS_CT	 (1u << 2) /* a conntrack entry was seen */
#define FO__NFT_QUEUED	 (1u << 3) /* in the queue of those that end */
#define FO__NFT_LEFT_OUT (1u << 4) /* packets came while it was armed, and the kernel did not take it */
#define FO__NFT_KILLED	 (1u << 5) /* its conntrack entry is gone, the hardware has until due_ms to follow */
#define FO__NFT_PROVEN	 (1u << 6) /* both directions were seen to be in hardware */
#define FO__NFT_HIDDEN	 (1u << 7) /* by tags or a session that nobody looks into: nothing can be proven */

/* What is owed when a flow has left. */
enum fo__nft_last_word { FO__NFT_SAY_REMOVED, FO__NFT_SAY_ENDED, FO__NFT_SAY_REFUSED };

struct fo__nft_record {
	uint64_t cookie;     /* 0: no flow */
	uint64_t packets[2]; /* of the entry when last reported; by conntrack's direction */
	uint64_t bytes[2];
	struct fo_tuple tuple; /* conntrack's original one: the element's key */
	uint32_t chain;	       /* next slot of the bucket, or FO__NFT_NO_SLOT */
	uint32_t queue;	       /* next slot of the queue, or FO__NFT_NO_SLOT */
	uint32_t ct_id;
	uint32_t due_ms; /* with FO__NFT_KILLED; modulo 2^32 */
	uint32_t reply;	 /* hash of the flow's other tuple, for entries that come after their flow */
	uint16_t zone;
	uint8_t state; /* enum fo_state, as last reported */
	uint8_t flags; /* FO__NFT_ bits */
	uint8_t seen;  /* pass of the dump that showed it last */
	uint8_t word;  /* enum fo__nft_last_word */
	uint8_t reason;
	uint8_t policy; /* its place and 1, or 0 */
};

/* ---- Policies (policy.c) ---- */

#define FO__NFT_POLICIES 32u
struct fo__nft_policy {
	fo_policy_id id; /* 0: free */
	struct fo_policy spec;
	uint32_t device[2]; /* L3 devices of its sides */
	uint8_t hidden;	    /* FO__NFT_HIDDEN or 0, for its flows */
	uint8_t past;	    /* deleted: flows that it took and that are nobody's may be in hardware still */
};

/* Connections that policies must not take: the caller deleted their flows. As long as their conntrack entry lives. */
#define FO__NFT_FORBIDDEN 1024u
struct fo__nft_forbidden {
	struct fo_tuple tuple;
	uint32_t ct_id;
	uint16_t zone;
};

/* ---- Trials (proof.c) ---- */

#define FO__NFT_PROOFS 64u
struct fo__nft_proof {
	uint64_t cookie;
	uint64_t packets[2], base_packets[2]; /* conntrack's */
	uint64_t arrived[2], base_arrived[2]; /* of those, at the host */
	struct fo_tuple tuple[2];	      /* conntrack's, as packets arrive */
	uint32_t slot;
	uint8_t stage;
	uint8_t looks;
	uint8_t known;	/* packets is of the last look */
	uint8_t read;	/* bits: arrived is */
	uint8_t proven; /* bits: directions seen to be in hardware */
};

struct fo__nft {
	struct fo_host *host;
	const struct fo_host_ops *ops; /* NULL while probing */
	struct fo__nl rules;	       /* the only socket that writes: the table's owner */
	struct fo__nl ask;	       /* conntrack entries, one by one */
	struct fo__nl dump;	       /* all of them, in slices */
	struct fo__nl events;	       /* their ends */
	struct fo__nl route;	       /* devices */
	uint8_t *tx, *rx, *rx_dump;
	char table[32];
	struct fo__nft_links links;
	struct fo__nft_devices devices;
	uint32_t *ports; /* as the caller named them */
	uint32_t n_ports, port_room;
	int netns;	  /* our own descriptor of the table's network namespace; -1: the caller's */
	uint8_t hardware; /* flags offload */
	uint8_t may_kill; /* in hardware mode: connections with NAT too */
	uint8_t foreign;  /* devices are shared with flowtables of others */
	uint8_t lost;	  /* the ruleset is gone */
	uint8_t stale;	  /* devices changed: a refresh takes them up */
	uint8_t pass;	  /* number of the dump, never 0 */
	uint8_t dumping;
	uint8_t checking;  /* the dump is over, those it did not show are being asked for */
	uint8_t resync;	   /* events were lost: the next pass asks for every flow */
	uint8_t refreshed; /* while the dump ran: what it does not show says nothing */
	uint8_t past_gone; /* the dump has shown nothing yet that policies of the past took, and they take no more */

	struct fo__nft_record *records;
	uint32_t n_slots, n_used, high;
	uint32_t *buckets;
	uint32_t n_buckets;
	struct fo__secret secret;
	uint32_t queue_head, queue_tail; /* flows that end: first their element goes ... */
	uint32_t wait_head, wait_tail;	 /* ... then, where the kernel holds them, the flowtable ... */
	uint32_t left_head, left_tail;	 /* ... and then their last counters are read */
	uint32_t check_at;
	uint32_t permit_at; /* of the forbidden, those below are still to be asked for */
	uint32_t reset_s;   /* fo__nft_reset_timeout() */
	uint32_t report_ms; /* fo__nft_report_ms(), in hardware mode */

	struct fo__nft_policy policies[FO__NFT_POLICIES];
	uint32_t n_policies;
	uint32_t n_past;
	struct fo__nft_forbidden *forbidden; /* FO__NFT_FORBIDDEN of them, or NULL before the first */
	uint32_t n_forbidden;
	struct fo__nft_proof *proofs; /* FO__NFT_PROOFS of them, in hardware mode */
	uint32_t n_proofs;

	uint64_t next_refresh_ms;
	uint64_t next_direct_ms; /* when a delete may be worked off by itself again */
	uint64_t next_dump_ms;
	uint64_t dump_began_ms;
	uint64_t next_look_ms; /* of the trials; real time */
};

/* ---- Sizes and times ---- */

#define FO__NFT_TX_ROOM (256u * 1024)
/* Between two refreshes at least: each sends every flow through the slow path for a packet. */
#define FO__NFT_REFRESH_MS 250u
/* What a delete takes at most: that pause, and the kernel's time for the transaction. */
#define FO__NFT_DELETE_BOUND_MS 1000u
/* Between the end of a dump of conntrack and the next one: four times what it took, within these bounds. */
#define FO__NFT_DUMP_MS	     500u
#define FO__NFT_DUMP_MOST_MS 2000u
/* ... and after flows were added. */
#define FO__NFT_SOON_MS 100u
#define FO__NFT_AGE_MS	4000u
/* The collector of nf_flowtable comes once a second: it finds that a connection is gone and has the driver forget it, and
 * frees the flow when it comes again. And some time for itself. */
#define FO__NFT_LET_GO_MS 2250u
/* What a delete takes at most in hardware mode, where the driver is no slower. */
#define FO__NFT_HARDWARE_BOUND_MS 3000u

/* ---- Functions ---- */

/* setup.c: open all of it; probing: leave the kernel as it was. Fills changed with the sysctls that were set. */
int fo__nft_open(struct fo__nft *nft, const struct fo_table_options *options, int probing, char *changed,
		 size_t changed_size, struct fo_error *err);
void fo__nft_close(struct fo__nft *nft);
void *fo__nft_alloc(struct fo__nft *nft, size_t size);
void fo__nft_free(struct fo__nft *nft, void *ptr, size_t size);

/* sessions.c: mark the devices that carry PPPoE sessions. */
void fo__nft_sessions_read(struct fo__nft *nft);

/* links.c */
int fo__nft_links_read(struct fo__nft *nft, struct fo_error *err);
void fo__nft_links_free(struct fo__nft *nft);
const struct fo__nft_link *fo__nft_link(const struct fo__nft *nft, uint32_t index);
/* The devices beneath nft->ports. strict: a port that is not there is refused, else left out. */
int fo__nft_devices_choose(struct fo__nft *nft, int strict, struct fo_error *err);
/* Is it one of the flowtable's devices, or does it stand on one? */
int fo__nft_covers(const struct fo__nft *nft, uint32_t index);
int fo__nft_adj_check(struct fo__nft *nft, const struct fo_adj *adj, struct fo_error *err);

/* settings.c: in the table's network namespace. */
int fo__nft_settings(int may_change, int probing, char *changed, size_t size, struct fo_error *err);

/* Seconds that conntrack leaves a reset connection, where no living one can have as little left; else 0. */
uint32_t fo__nft_reset_timeout(void);

/* Milliseconds after which what hardware has counted is in conntrack: the kernel asks drivers when a tenth of the flowtable's
 * timeout has passed without a packet that it saw. */
uint32_t fo__nft_report_ms(void);

/* foreign.c: flowtables of others on our devices. */
int fo__nft_foreign(struct fo__nft *nft, int allowed, int probing, struct fo_error *err);

struct fo__nft_set;

/* rules.c */
int fo__nft_create_rules(struct fo__nft *nft, int probing, struct fo_error *err);
/* Make the flowtable and the rules anew: the kernel lets go of every flow. In hardware mode: the rules, and devices that
 * came; the kernel lets go of nothing. */
int fo__nft_refresh(struct fo__nft *nft, struct fo_error *err);
/* Take nothing up any more. */
int fo__nft_drop_rules(struct fo__nft *nft);
/* Is the table still there? 0, -ENOENT, -errno. */
int fo__nft_table_alive(struct fo__nft *nft);
/* Add the rules of one policy to those that are there. */
int fo__nft_add_policy_rules(struct fo__nft *nft, const struct fo__nft_policy *policy, struct fo_error *err);
void fo__nft_put_policy(struct fo__nft *nft, struct fo__tx *tx, const struct fo__nft_policy *policy);
/* Begin and end one rule of the chain; flags: NLM_F_ACK or 0. */
struct nlattr *fo__nft_rule_begin(struct fo__nft *nft, struct fo__tx *tx, uint16_t flags);
void fo__nft_rule_end(struct fo__tx *tx, struct nlattr *rule);
void fo__nft_batch_begin(struct fo__nft *nft, struct fo__tx *tx);
struct nfgenmsg;
struct nfgenmsg *fo__nft_message(struct fo__tx *tx, unsigned int message, uint16_t flags);
/* Close and send; commit 0: have the kernel check it and take it back. */
int fo__nft_batch_send(struct fo__nft *nft, struct fo__tx *tx, int commit, struct fo__nl_answer *answer);

/* expressions.c: what rules are made of. */
void fo__nft_established(struct fo__tx *tx);
/* No translation of either end. */
void fo__nft_match_no_nat(struct fo__tx *tx);
void fo__nft_match_protocol(struct fo__tx *tx, const struct fo__nft_set *set);
/* Is the connection in this set (number + 1 of the batch), or not? */
void fo__nft_match_set(struct fo__tx *tx, const struct fo__nft_set *set, const char *name, uint32_t number,
		       int in);
/* Is the packet itself, as it arrives, in this set? */
void fo__nft_match_packet(struct fo__tx *tx, const struct fo__nft_set *set, uint32_t number);
void fo__nft_match_original(struct fo__tx *tx);
void fo__nft_match_zone(struct fo__tx *tx, uint16_t zone);
void fo__nft_match_devices(struct fo__tx *tx, const uint32_t device[2]);
void fo__nft_match_prefix(struct fo__tx *tx, const struct fo__nft_set *set, int dst, const uint8_t *prefix,
			  uint8_t length);
void fo__nft_match_ports(struct fo__tx *tx, int dst, uint16_t first, uint16_t last);
void fo__nft_flow_add(struct fo__tx *tx, const char *flowtable);

/* policy.c */
int fo__nft_policy_add(struct fo__nft *nft, const struct fo_backend_policy *policy, struct fo_error *err);
int fo__nft_policy_del(struct fo__nft *nft, fo_policy_id id);
void fo__nft_put_policies(struct fo__nft *nft, struct fo__tx *tx);
/* An entry on the short cut that is no flow's: is it a policy's? One that a policy of the past took has to leave. */
void fo__nft_adopt(struct fo__nft *nft, const struct fo__ct_entry *entry);
/* A dump begins, or has shown all that there is. */
void fo__nft_past_begin(struct fo__nft *nft);
void fo__nft_past_end(struct fo__nft *nft);
/* The device that packets to this address leave by; 0: none. */
uint32_t fo__nft_routed_by(struct fo__nft *nft, uint8_t family, const uint8_t *address);
int fo__nft_forbid(struct fo__nft *nft, uint32_t slot, struct fo_error *err);
/* Its conntrack entry is gone. */
void fo__nft_permit(struct fo__nft *nft, const struct fo__ct_entry *entry);
/* Ask for the next of them, from nft->permit_at down: events were lost. */
void fo__nft_permit_ended(struct fo__nft *nft, uint32_t most);
void fo__nft_policies_free(struct fo__nft *nft);
/* Could a policy have taken this entry, by its addresses and ports? */
int fo__nft_policy_may_have(const struct fo__nft *nft, const struct fo__ct_entry *entry);

/* elements.c: the elements of these records, in one transaction each: all or none. */
int fo__nft_elements_add(struct fo__nft *nft, struct fo__nft_record *const *records, size_t n,
			 struct fo__nl_answer *answer);
int fo__nft_elements_del(struct fo__nft *nft, struct fo__nft_record *const *records, size_t n,
			 struct fo__nl_answer *answer);
/* One element of the sets of forbidden connections. */
int fo__nft_forbidden_add(struct fo__nft *nft, const struct fo__nft_forbidden *which,
			  struct fo__nl_answer *answer);
int fo__nft_forbidden_del(struct fo__nft *nft, const struct fo__nft_forbidden *which,
			  struct fo__nl_answer *answer);

/* The four sets, each with one of connections that policies must not take. */
#define FO__NFT_SETS 4u
struct fo__nft_set {
	const char *name;
	const char *forbidden;
	const char *seen; /* in hardware mode: who arrives at the host */
	uint8_t family;	  /* FO_FAMILY_ */
	uint8_t proto;
	uint8_t address; /* bytes */
	uint8_t type;	 /* nft's number of the address type */
};
extern const struct fo__nft_set fo__nft_sets[FO__NFT_SETS];
unsigned int fo__nft_set_of(const struct fo_tuple *tuple);

/* records.c */
int fo__nft_records_open(struct fo__nft *nft, uint32_t slots);
void fo__nft_records_close(struct fo__nft *nft);
/* Forget all flows. */
void fo__nft_records_clear(struct fo__nft *nft);
struct fo__nft_record *fo__nft_record_find(struct fo__nft *nft, uint64_t cookie, uint32_t slot);
/* By conntrack's original tuple; FO__NFT_NO_SLOT. */
uint32_t fo__nft_record_by_tuple(const struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone);
uint32_t fo__nft_tuple_hash(const struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone);
/* The record of a slot that has no flow: fill it in, cookie and all, then link it. */
struct fo__nft_record *fo__nft_record_take(struct fo__nft *nft, uint32_t slot);
void fo__nft_record_link(struct fo__nft *nft, uint32_t slot);
void fo__nft_record_drop(struct fo__nft *nft, uint32_t slot);

/* flows.c */
void fo__nft_flows_add(struct fo__nft *nft, const struct fo_backend_flow *flows, size_t n, int *results,
		       struct fo_error *errs);
/* Let it leave; word and reason are said when it has. */
void fo__nft_flow_end(struct fo__nft *nft, uint32_t slot, enum fo__nft_last_word word, unsigned int reason);
/* The caller deletes it: 0 when it has left, its counters told, or FO_BACKEND_PENDING. */
int fo__nft_flow_del(struct fo__nft *nft, uint32_t slot);
/* Work off those that end; what is not done by then waits for the next call. */
void fo__nft_flows_flush(struct fo__nft *nft, uint64_t until_us);
/* The ruleset is gone: say so, and make it anew. */
void fo__nft_flows_lost(struct fo__nft *nft);
int fo__nft_ending(const struct fo__nft *nft);

/* A flow that ends: put it last in one of the three queues; take the first, or FO__NFT_NO_SLOT. */
void fo__nft_queue_put(struct fo__nft *nft, uint32_t *head, uint32_t *tail, uint32_t slot);
uint32_t fo__nft_queue_take(struct fo__nft *nft, uint32_t *head, uint32_t *tail);

/* hardware.c: in hardware mode */
int fo__nft_hardware_check(const struct fo_table_options *options, struct fo_error *err);
/* May it have this timeout? What hardware counted is known late. */
int fo__nft_check_timeout(const struct fo__nft *nft, const struct fo_backend_flow *flow,
			  struct fo_error *err);
/* Of a flow whose element is gone: must it wait for hardware? entry: its conntrack entry, or NULL with errno. */
int fo__nft_in_hardware(const struct fo__nft *nft, const struct fo__nft_record *record,
			const struct fo__ct_entry *entry, int error);
/* Have the kernel let go of it now; that it has is found later. */
void fo__nft_let_go_now(struct fo__nft *nft, struct fo__nft_record *record, const struct fo__ct_entry *entry,
			int error);
/* The same for one that is no flow's. */
void fo__nft_take_out(struct fo__nft *nft, const struct fo__ct_entry *entry);
/* Have the kernel let go of those that wait; those that it has let go of are put into the queue of those that left. */
void fo__nft_let_go(struct fo__nft *nft);
/* Milliseconds until the first of them has left; UINT32_MAX: none waits. */
uint32_t fo__nft_let_go_in(const struct fo__nft *nft);
/* Before the table goes: have hardware forget all that is in it. Blocks while it does. */
void fo__nft_drain(struct fo__nft *nft);

/* proof.c: in hardware mode */
int fo__nft_is_hidden(const struct fo_adj *adj);
/* Find out whether it is in hardware both ways, as soon as there is room for it. */
void fo__nft_proof_want(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry);
/* Look at those under trial, when it is time. */
void fo__nft_prove(struct fo__nft *nft);

/* watch.c */
#define FO__NFT_HW_OFFLOAD (1u << 15) /* IPS_HW_OFFLOAD, which older headers lack */
#define FO__NFT_SHORT_CUT  (IPS_OFFLOAD | FO__NFT_HW_OFFLOAD)
/* FO_R_TCP_FIN, FO_R_TCP_RST, or FO_R_NONE for a connection that is not ending. */
enum fo_reason fo__nft_closing(const struct fo__nft *nft, const struct fo__ct_entry *entry);
/* Report what a conntrack entry says of its flow: counters, state, that it closes. */
void fo__nft_take_entry(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry);
/* The counters alone. */
void fo__nft_take_counters(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry);
/* Ends of conntrack entries that were told so far. */
void fo__nft_hear(struct fo__nft *nft);
/* Hear, and a slice of the dump. */
void fo__nft_watch(struct fo__nft *nft, uint64_t until_us);
/* One entry; 0, -ENOENT, -errno. */
int fo__nft_ask(struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone, struct fo__ct_entry *entry);
/* The entries of these slots, each told to found by its place in slots. */
#define FO__NFT_ASK_MOST FO__CT_GET_MOST
void fo__nft_ask_slots(struct fo__nft *nft, const uint32_t *slots, size_t n, fo__ct_found found, void *arg);
uint64_t fo__nft_us(void);
/* In a loop of steps that began at *at: is there time for another one, as long as the last? */
int fo__nft_has_time(uint64_t *at, uint64_t until_us);

/* explain.c */
void fo__nft_explain(struct fo__nft *nft, uint32_t slot, char *text, size_t size);
void fo__nft_explain_key(struct fo__nft *nft, const struct fo_key *key, char *text, size_t size);

static inline uint64_t fo__nft_now(const struct fo__nft *nft)
{
	return nft->ops->now_ms(nft->host);
}

#endif
