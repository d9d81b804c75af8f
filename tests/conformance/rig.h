/* SPDX-License-Identifier: BSD-2-Clause */
/* rig.h - what a backend's author writes to run the conformance suite: how packets go in, what
 * comes out.
 *
 * A rig knows one backend and the place where it runs (a buffer in this process, a namespace, a
 * virtual machine, a device). The cases know none of it: they use the public API and struct rig.
 * README.md tells how to write one; rig_soft.c and rig_npu.c are two; rigs.c lists them.
 * */
#ifndef CONFORMANCE_RIG_H
#define CONFORMANCE_RIG_H

#include "exceptions.h"
#include "flowoffload.h"

/* What a rig can show. A case that needs more than a rig can show is skipped with that reason. */
#define RIG_REASONS  (1u << 0) /* rig_result.reason is the reason for passing; else only the verdict counts */
#define RIG_META     (1u << 1) /* partial checksums, GSO and VLAN metadata can be injected */
#define RIG_SCOPES   (1u << 2) /* rig_packet.scope is honoured */
#define RIG_HEADROOM (1u << 3) /* rig_packet.headroom is honoured */
#define RIG_BURSTS   (1u << 4) /* n packets of one inject() are one burst, judged in their order */
#define RIG_CLOCK    (1u << 5) /* advance() moves the clock of the table (else it waits in real time) */
#define RIG_FLOW_IDS (1u << 6) /* rig_result.flow is filled */
#define RIG_ALLOC    (1u << 7) /* fo_table_options.allocator sees every allocation of the backend */
#define RIG_PRIORITY (1u << 8) /* tags arrive with any priority and leave with the side's */
#define RIG_OVERSIZE (1u << 9) /* frames come in that are longer than the port's side may send */
#define RIG_CSUM     (1u << 10) /* of RIG_META, partial checksums of TCP and UDP as kernels make them */
#define RIG_GSO	     (1u << 11) /* of RIG_META, GSO frames of TCP as kernels make them */
#define RIG_FAULTS                                                                                           \
	(1u << 12) /* fault(), rules() and carry(): hardware that fails on order, its slow path behind it */

/* What packets and sides chosen at random must keep to, because what is beyond it is no single packet's to show. */
#define RIG_ONE_MTU (1u << 0) /* sides of one device have the MTU of that device: one at a time */
#define RIG_TRUE_HEADERS                                                                                     \
	(1u                                                                                                  \
	 << 1) /* padding, lengths and an IP version that lie: an exception of this rig, or not looked at */
#define RIG_UNICAST                                                                                          \
	(1u << 2) /* what is sent to a multicast MAC is the host's, though no other MAC is looked at */
#define RIG_TRUE_TAGS (1u << 3) /* tags and sessions that are not the side's: an exception of this rig */
#define RIG_NO_SYN    (1u << 4) /* SYN is handed up by hardware, to a short cut of the kernel's */
#define RIG_KEEPS     (1u << 5) /* nothing but the backend takes from the device what a dead process left */

/* One frame to send in. Fields as in struct fo_packet; the rig copies what it needs. */
struct rig_packet {
	const uint8_t *frame;
	uint32_t length;
	uint32_t contiguous; /* bytes that may be read in one piece; 0: all */
	uint32_t in_port;
	uint32_t flags; /* FO_PKT_ bits */
	uint16_t headroom;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t vlan_tci;
	uint16_t vlan_tpid;
	uint16_t scope;
	uint16_t reserved;
};

/* What became of it. frame is the rig's memory, valid until the next inject(). */
struct rig_result {
	const uint8_t *frame; /* the frame as it left, or as it was passed on */
	uint32_t length;
	uint32_t out_port; /* FO_FORWARD */
	uint32_t flags;	   /* FO_PKT_ bits */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t verdict; /* enum fo_verdict */
	uint8_t reason;	 /* enum fo_reason, with RIG_REASONS */
	fo_flow_id flow; /* with RIG_FLOW_IDS */
	/* Not empty: the backend broke a rule that only the rig can see: a byte written outside the frame, a passed
	 * frame or its struct changed, one packet in and two out. */
	char violation[128];
};

/* What becomes of the counters that hardware keeps. */
enum rig_stats {
	RIG_STATS_KEPT,
	RIG_STATS_REFUSED, /* asking for them fails; they come with the next answer */
	RIG_STATS_LOST	   /* asking for them tells nothing, and what was counted until then is gone */
};

/* Hardware that does not work as it should, with RIG_FAULTS. All zero: it does. */
struct rig_fault {
	int full;      /* it has room for no more than */
	uint32_t room; /* ... so many rules more; one direction of a flow is one */
	int error;     /* after skip rules more, count are refused with this errno and these words */
	uint32_t skip, count;
	const char *words;
	uint32_t port;	     /* it takes no rule for what comes in here; 0: none such */
	const char *without; /* it takes no rule that needs this, "nat" for one; NULL: none such */
	uint32_t add_ms, delete_ms, stats_ms; /* it takes so long for each, at least */
	unsigned int stats;		      /* enum rig_stats */
};

struct rig {
	const char *name;
	const char *about;     /* one line for --list */
	uint64_t must_have;    /* FO_CAP_ bits whose absence is a failure, never a skip */
	unsigned int features; /* RIG_ bits */
	unsigned int limits;   /* RIG_ONE_MTU and the like */
	uint32_t most_flows;   /* connections the backend can hold at once; 0: any number */
	const struct rig_exception
		*exceptions; /* (may be NULL) where its kernel is known to break the contract */

	/* Get ready for one table: fill in options->backend, backend_options, clock_ms,
	 * allocator as needed; the case has set the rest (ports, capacity, needs, timeouts).
	 * Called before every fo_table_create() of a case; one state is open at a time. 0, or -1
	 * with why written: the case is skipped when probe() says so too, else it fails. */
	int (*open)(void **state, struct fo_table_options *options, char *why, size_t why_size);
	/* The table stands: start the packet path (open a worker, attach to devices). 0 or -1. */
	int (*attach)(void *state, struct fo_table *table, char *why, size_t why_size);
	/* The table is about to be destroyed. */
	void (*detach)(void *state);
	void (*close)(void *state);

	/* Send n frames (one burst where the rig has RIG_BURSTS) and say what became of each. 0,
	 * or -1: the rig failed. */
	int (*inject)(void *state, const struct rig_packet *in, struct rig_result *out, unsigned int n);
	/* Let ms milliseconds of the table's clock pass. */
	void (*advance)(void *state, uint64_t ms);
	uint64_t (*now_ms)(void *state);
	/* (may be NULL) a side is about to be registered: make the devices that it is about, and say
	 * by which L3 device it goes. 0, or -1 with why. */
	int (*side)(void *state, struct fo_adj *adj, char *why, size_t why_size);
	/* (may be NULL) a connection is about to be added: bring it about where the backend looks for
	 * it. adj: of both sides. 0, or -1 with why. */
	int (*connection)(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why,
			  size_t why_size);
	/* (may be NULL) a connection that was brought about goes by these sides from now on: have the slow path
	 * send it there. The table is told next. 0, or -1 with why. */
	int (*reroute)(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why,
		       size_t why_size);
	/* (may be NULL) a port goes down, away or up: do so with its device. The table is told next. 0, or -1 with
	 * why. */
	int (*port)(void *state, const struct fo_port *port, char *why, size_t why_size);
	/* (may be NULL) let the device finish what is in flight; the suite polls the table in
	 * between. */
	void (*settle)(void *state);
	/* (may be NULL) the suite waits for an end, or for a flow to be active: let the table's clock go on to when
	 * the table wants to be polled, by most_ms at most, instead of waiting for it. Returns by how much. */
	uint64_t (*pass)(void *state, uint64_t most_ms);
	/* (may be NULL) the device loses all flows: firmware reset, table flushed by somebody
	 * else. */
	int (*reset)(void *state);
	/* (may be NULL) after a process that used this rig died without a word: what is left in
	 * the device, and how long in milliseconds until it is gone. NULL: nothing outlives the
	 * process. */
	uint64_t (*leftover_ms)(void *state);
	/* (may be NULL) the table is gone: has it left nothing in the device? 0, or -1 with why: the case has failed. */
	int (*clean)(void *state, char *why, size_t why_size);
	/* With RIG_FAULTS. The hardware is so from now on, whatever it was before; close() mends it. 0, or -1 with why. */
	int (*fault)(void *state, const struct rig_fault *fault, char *why, size_t why_size);
	/* With RIG_FAULTS. How many rules that forward it has. 0 or -1. */
	int (*rules)(void *state, unsigned int *out);
	/* With RIG_FAULTS. Send one frame, by whatever path. out: the verdict says whether it took the short cut, frame and
	 * port are what came out at last; length 0: nothing did. Uses nothing of the table's. 0, or -1: the rig failed. */
	int (*carry)(void *state, const struct rig_packet *in, struct rig_result *out);
};

/* All rigs of this build, NULL-terminated; the first is the default (rigs.c). */
extern const struct rig *const rig_list[];
extern const struct rig rig_soft;
extern const struct rig rig_npu;
extern const struct rig rig_nft, rig_nft_nic, rig_nft_ppe;
extern const struct rig rig_bpf_tc, rig_bpf_xdp, rig_bpf_generic;
extern const struct rig rig_tc, rig_tc_threads, rig_tc_ppe;

#endif /* CONFORMANCE_RIG_H */
