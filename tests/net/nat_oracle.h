/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle.h - the second oracle: the same packets through this kernel's nf_tables NAT and
 * through the library.
 *
 *   nat_oracle.sh          makes the namespaces, loads nat_oracle.nft, runs the program
 *   nat_oracle.c           establishes connections, sends, compares
 *   nat_oracle_cases.c     which connections
 *   nat_oracle_packets.c   which packets of each
 *   nat_oracle_kernel.c    the kernel's side: packet sockets, conntrack
 *   nat_oracle_library.c   the library's side: a table, a worker
 *
 * The hosts' namespace has c0 (LAN) and s0 (WAN); the router's is on the other end of both.
 */
#ifndef NAT_ORACLE_H
#define NAT_ORACLE_H

#include "packet.h"

#include <stddef.h>

#define ORACLE_MTU	 1500u
#define ORACLE_FRAME_MAX 9216u

/* Also the index of what there is one of a side. */
enum oracle_side { SIDE_LAN = 0, SIDE_WAN = 1 };

/* What a translation changes. */
#define CHANGES_SRC   (1u << 0)
#define CHANGES_SPORT (1u << 1)
#define CHANGES_DST   (1u << 2)
#define CHANGES_DPORT (1u << 3)

struct oracle_case {
	const char *name;
	uint8_t family;
	uint8_t from; /* the originator's side, enum oracle_side */
	uint8_t to;
	const char *src;
	const char *dst;
	const char *squatter; /* who takes the translated source port first, or NULL */
	uint16_t sport;
	uint16_t dport;
	unsigned int changes;	   /* CHANGES_ bits of TCP and UDP, that the kernel really did them */
	unsigned int changes_icmp; /* ... of ICMP echo, whose identifier counts as source port */
	uint8_t dscp[2];	   /* as in struct fo_flow */
};

/* The i-th connection: listed ones, then random ones. 0: there is none. Its strings live until the
 * next call. */
int oracle_case_get(unsigned int i, struct oracle_case *c);

/* One connection as the kernel translates it. */
struct oracle_flow {
	struct fo_tuple tuple[2]; /* as packets arrive, by direction */
	uint8_t side[2];	  /* where they arrive */
	uint8_t dscp[2];
};

/* What comes with a frame between a host that leaves work to its network card and the card. Zero:
 * nothing left. */
struct oracle_meta {
	uint8_t partial;   /* the L4 checksum is to be finished: the two offsets are valid */
	uint16_t gso_size; /* to be cut into segments with this much payload, or 0 */
	uint16_t csum_start;
	uint16_t csum_offset;
};

/* ---- nat_oracle_packets.c ---- */

/* Which packets. */
enum oracle_set {
	SET_VALID, /* what a kernel that verifies checksums translates */
	SET_WRONG  /* wrong L4 checksums: for nf_conntrack_checksum=0 */
};

extern const uint8_t oracle_host_mac[2][6];   /* by side: c0, s0 */
extern const uint8_t oracle_router_mac[2][6]; /* lan0, wan0 */

/* The next number of a sequence that is the same in each run; state is not 0. */
uint32_t oracle_random(uint32_t *state);
unsigned int oracle_packet_count(enum oracle_set set);
/* The i-th packet of this direction; describes it in text (of text_size bytes). 0: this flow has no
 * such packet. */
int oracle_packet_make(enum oracle_set set, unsigned int i, const struct oracle_flow *flow, enum fo_dir dir,
		       struct packet_frame *out, struct oracle_meta *meta, char *text, size_t text_size);
/* A packet that sets the connection up, with these TCP flags. */
void oracle_packet_setup(const struct oracle_flow *flow, enum fo_dir dir, uint8_t tcp_flags,
			 struct packet_frame *out);

/* ---- nat_oracle_kernel.c ---- */

struct oracle_wire {
	int fd[2]; /* by side */
};

/* What conntrack says of a connection. */
struct oracle_conntrack {
	struct fo_tuple reply;
	uint64_t packets[2];
	uint64_t bytes[2];
};

/* 0, or -errno after a line on stderr. Looks the hosts' ends up where the program was started. */
int oracle_wire_open(struct oracle_wire *wire, const char *lan_end, const char *wan_end);
void oracle_wire_close(struct oracle_wire *wire);
int oracle_wire_send(struct oracle_wire *wire, enum oracle_side side, const uint8_t *frame, size_t length,
		     const struct oracle_meta *meta);
/* The next frame that the router sent out of that side: its length; -ETIMEDOUT when none came. wait
 * 0: only what is there already. */
int oracle_wire_receive(struct oracle_wire *wire, enum oracle_side side, uint8_t *frame, size_t size,
			int wait, struct oracle_meta *meta);
/* Go over to the router's namespace (a path); sockets that are open stay where they are. */
int oracle_router_enter(const char *netns);
/* Ask conntrack of the namespace we are in. -ENOENT: it has no such connection. */
int oracle_conntrack_read(const struct fo_tuple *original, struct oracle_conntrack *out);

/* ---- nat_oracle_library.c ---- */

struct oracle_library {
	struct fo_table *table;
	struct fo_worker *worker;
	fo_adj_id adj[2]; /* by side */
	fo_flow_id flow;
};

int oracle_library_open(struct oracle_library *lib);
void oracle_library_close(struct oracle_library *lib);
int oracle_library_add(struct oracle_library *lib, const struct oracle_flow *flow);
/* End the flow; what it counted. */
int oracle_library_del(struct oracle_library *lib, struct fo_flow_counters *last);
/* Forward a frame: the new length and where it leaves, or -(reason) when the library passes it on.
 * meta: the frame's, then what is left to do. */
int oracle_library_forward(struct oracle_library *lib, enum oracle_side in, const uint8_t *frame,
			   size_t length, uint8_t *out, size_t size, enum oracle_side *out_side,
			   struct oracle_meta *meta);

#endif /* NAT_ORACLE_H */
