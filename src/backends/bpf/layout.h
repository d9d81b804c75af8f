/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* layout.h - what the bpf backend keeps in maps: shared by the program (program.bpf.c) and by user space.
 *
 * Private and versioned: FO__BPF_LAYOUT changes with everything here and with the arrays of state.h that may be maps, and
 * maps of another layout are not touched. All
 * in host order but what packets hold, which stays as in the packet.
 *
 * A direction is one element of flows4 or flows6, its key what packets show, its value what to do with them, which the
 * program only reads; and an element of states, what they were: an array that user space has mapped, in the order of slots.
 * So a sweep is one pass over memory, and marking a flow is no call of the kernel. A v4 direction must stay below 130 bytes:
 * 16 + 24 and what the kernel adds to an element of a hash, and 24.
 */
#ifndef FO_BACKENDS_BPF_LAYOUT_H
#define FO_BACKENDS_BPF_LAYOUT_H

#include <linux/types.h>

#define FO__BPF_LAYOUT 4

/* Ingress numbers: an untagged port's is its ifindex, that of a port with tags or a session comes from the map ingress. */
#define FO__BPF_INGRESS_TAGGED 0x800000u
#define FO__BPF_INGRESS_MAX    0xffffffu

struct fo__bpf_key4 {
	__u32 src;
	__u32 dst;
	__u16 sport; /* of an echo: identifier, then type and code */
	__u16 dport;
	__u32 where; /* ingress number << 8 | protocol */
};

struct fo__bpf_key6 {
	__u8 src[16];
	__u8 dst[16];
	__u16 sport;
	__u16 dport;
	__u32 where;
};

/* fo__bpf_state.flags, changed by atomic operations alone. */
#define FO__BPF_FIN	 0x01u /* the program saw FIN */
#define FO__BPF_RST	 0x02u
#define FO__BPF_DEAD	 0x04u /* user space is ending the flow */
#define FO__BPF_INACTIVE 0x08u /* not both of its directions are in the map */
#define FO__BPF_CLOSING	 (FO__BPF_FIN | FO__BPF_RST | FO__BPF_DEAD)

/* What the packets of a direction were. The program adds atomically; user space writes the counters of free slots only. Number:
 * slot for the original direction, slot + slots of the table for the other, which so is in another cache line. */
struct fo__bpf_state {
	__u64 packets; /* an aggregate is one */
	__u64 bytes;   /* L3 */
	__u32 flags;
	__u32 last; /* jiffies, low 32 bits; 0: no packet yet */
};

/* fo__bpf_flow.how: side that packets leave to << 16 | DSCP (0x80 | value, or 0) << 8 | these. */
#define FO__BPF_HOW_NAT	    0x01u
#define FO__BPF_HOW_WAITING 0x02u /* of an element that is about to come, or to go: its packets pass */

/* What both families have. */
struct fo__bpf_flow {
	__u32 number; /* of its state */
	__u32 how;
	__u16 in;	     /* side that packets come in by */
	__u16 address_delta; /* one's complement, of the addresses alone; see RFC 1624 */
	__u16 new_sport;     /* of an echo: the identifier */
	__u16 new_dport;
};

struct fo__bpf_flow4 {
	struct fo__bpf_flow flow;
	__u32 new_src;
	__u32 new_dst;
};

struct fo__bpf_flow6 {
	struct fo__bpf_flow flow;
	__u8 new_src[16];
	__u8 new_dst[16];
};

struct fo__bpf_ingress_key {
	__u64 encap; /* outermost tag lowest: kind << 12 | VID, 14 bits each; bit 31: a session, in the upper half */
	__u32 port;
	__u32 zero;
};

#define FO__BPF_ENTRY_DEAD  0x01u
#define FO__BPF_ENTRY_PPPOE 0x02u

/* How packets leave; never changed while an adjacency points at it. */
struct fo__bpf_entry {
	__u8 header[32]; /* L2, its last two bytes (and PPPoE's length) are the packet's */
	__u32 port;
	__u32 mtu;
	__u32 ingress; /* number by which packets from there come in */
	__u8 own_mac[6];
	__u8 header_len; /* 14 .. 30 */
	__u8 n_tags;
	__u8 flags;
	__u8 reason; /* of a dead one */
	__u8 unused[10];
};

/* What user space asks of the program fo_mark: how one direction's packets leave, changed in place. */
struct fo__bpf_mark {
	union {
		struct fo__bpf_key4 v4;
		struct fo__bpf_key6 v6;
	} key;
	__u32 family; /* 4, 6, or 0: only the time */
	__u32 keep;   /* bits of fo__bpf_flow.how that stay */
	__u32 set;
	__u32 in; /* new fo__bpf_flow.in, or 0 */
	/* answers */
	__u32 found;
	__u32 zero;
	__u64 jiffies;
};

/* Flows that user space gives to the program fo_add at once, in the map `batch`. */
#define FO__BPF_BATCH 128

struct fo__bpf_direction {
	union {
		struct fo__bpf_key4 v4;
		struct fo__bpf_key6 v6;
	} key;
	union {
		struct fo__bpf_flow flow;
		struct fo__bpf_flow4 v4;
		struct fo__bpf_flow6 v6;
	} element;
};

struct fo__bpf_pair {
	struct fo__bpf_direction dir[2];
	__u32 family; /* 4 or 6 */
	__s32 result; /* answer: 0 or -errno, and nothing of it is there */
};

struct fo__bpf_many {
	__u32 n;
	__u32 done; /* answer: those looked at */
};

/* Sent once when a flow's first FIN or RST is seen. */
struct fo__bpf_event {
	__u32 number; /* of its state */
	__u32 reason;
};

/* Reasons, as enum fo_reason numbers them (user space asserts it). */
enum fo__bpf_reason {
	FO__BPF_R_NONE = 0,
	FO__BPF_R_NO_FLOW = 1,
	FO__BPF_R_NOT_IP = 2,
	FO__BPF_R_MALFORMED = 3,
	FO__BPF_R_FRAGMENT = 4,
	FO__BPF_R_IP_OPTIONS = 5,
	FO__BPF_R_EXT_HEADER = 6,
	FO__BPF_R_TTL = 7,
	FO__BPF_R_MTU = 8,
	FO__BPF_R_PROTOCOL = 9,
	FO__BPF_R_ICMP_TYPE = 10,
	FO__BPF_R_TCP_SYN = 11,
	FO__BPF_R_TCP_FIN = 12,
	FO__BPF_R_TCP_RST = 13,
	FO__BPF_R_WRONG_MAC = 15,
	FO__BPF_R_CLOSING = 16,
	FO__BPF_R_NO_HEADROOM = 17,
	FO__BPF_R_EGRESS_DOWN = 19,
	FO__BPF_R_GSO = 22,
	FO__BPF_R_ENCAP = 23,
	FO__BPF_R_NOT_ACTIVE = 24,
	FO__BPF_R_MAX = 32
};

/* One a CPU. passed[0] is unused. */
struct fo__bpf_counters {
	__u64 forwarded_packets;
	__u64 forwarded_bytes;
	__u64 passed[FO__BPF_R_MAX];
	__u64 lost; /* changed, and then a helper of the kernel found no memory: dropped */
};

/* After the lease the program passes everything on (0: never): for where a dead process leaves it attached. */
struct fo__bpf_config {
	__u64 lease_until_jiffies;
	__u64 netns; /* inode of the network namespace whose devices are meant; for user space, as what follows */
	__u32 layout;
	__u32 slots;
	__u32 ready; /* everything that belongs to it is there, pinned */
	__u32 zero;
};

#endif /* FO_BACKENDS_BPF_LAYOUT_H */
