/* SPDX-License-Identifier: BSD-2-Clause */
/* router.h - `fo-demo router`: a small NAT router over two interfaces, the model for embedders.
 *
 * One thread does everything: it is the packet loop (worker) and the control thread of the table.
 *
 *	router_loop.c     epoll; a burst: ring -> fast path -> what it passed on: slow path -> both rings
 *	router_slow.c     one packet the fast path passed on: Ethernet, ARP and ND, slow path, offload
 *	router_offload.c  the table: ports, adjacencies, flows, events
 *	router_link.c     netlink: a port goes down or comes back
 *	router_icmp.c     time exceeded, too big, echo replies of the router itself
 *	router_options.c  the command line
 *	router_report.c   what it prints at the end
 *	router.c          builds it all up and takes it down
 *	neigh.c, neigh_wire.c  whose MAC is that address: cache, queue while resolving; ARP and ND messages
 *	slowpath.h        connections and NAT
 *	afpacket.h        an interface as frames
 */
#ifndef FO_DEMO_ROUTER_H
#define FO_DEMO_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include <flowoffload.h>

#include "afpacket.h"
#include "neigh.h"
#include "slowpath.h"

#define ROUTER_BURST AP_BATCH

/* One address of the router, and the network behind it. */
struct router_addr {
	bool set;
	uint8_t addr[16]; /* IPv4 in the first four bytes */
	uint8_t len;	  /* prefix, bits */
};

/* Index of addr[], gw[]. */
enum router_family { ROUTER_V4 = 0, ROUTER_V6 = 1 };

static inline uint8_t router_fo_family(int family)
{
	return family == ROUTER_V4 ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6;
}

struct router_options {
	const char *ifname[2]; /* by enum sp_side */
	struct router_addr addr[2][2];
	struct router_addr gw[2];
	struct router_addr nat[2]; /* set: translate that family to this address */
	uint16_t vlan[2];	   /* VID the side is tagged with; 0: untagged */
	bool no_offload, json, verbose, explain_one, allow_in;
	struct ap_options ap;
	uint32_t seconds, stats_every, capacity, top;
};

/* Frames by what became of them: rx = fast + slow + the rest. */
struct router_counts {
	uint64_t rx, fast, slow; /* slow: given to sp_packet() */
	uint64_t neigh;		 /* ARP and ND for the router */
	uint64_t decide_ns;	 /* time from a burst's arrival to its hand over for sending */
	uint64_t not_ours;	 /* to another MAC, VLAN, or not IP */
	uint64_t truncated;
	uint64_t no_route;	    /* of the slow path's forwarded: nowhere to send it */
	uint64_t waiting, given_up; /* of the same: queued for a neighbour; the neighbour never answered */
	uint64_t icmp_sent, echo_answered;
	uint64_t offload_added, offload_refused, offload_ended[8];
	uint64_t adj_updates, port_changes;
};

#define ROUTER_TOP_MAX 32u

struct router_top {
	struct fo_tuple tuple[2];
	uint64_t packets, bytes;
};

struct router {
	struct router_options o;
	struct ap_port port[2];
	struct sp *sp;
	struct neigh_table *neigh;
	struct fo_table *table; /* NULL with --no-offload */
	struct fo_worker *worker;
	int epoll_fd, signal_fd, timer_fd, link_fd;
	uint64_t now_ms;
	uint64_t said_ms;  /* rate limit of what the router says by itself: */
	unsigned int said; /* that many in the second of said_ms */
	enum fo_port_state port_state[2];
	bool stop;
	int status; /* exit code when stopped */
	struct router_counts n;
	struct router_top top[ROUTER_TOP_MAX]; /* largest first */
	uint32_t n_top;
	struct router_top explained;	   /* --explain-one: the busiest flow while it lived, */
	struct fo_explanation explanation; /* and what the table said of it then */
	struct fo_table_counters counters; /* of the table, at its end */
	struct sp_stats slow;
};

/* router_options.c: DEMO_OK, DEMO_USAGE; 0 and *done when --help was printed. */
int router_parse_options(int argc, char **argv, struct router_options *o, bool *done);

/* router_loop.c */
int router_loop(struct router *r);
uint64_t router_now_ns(void);

/* router_slow.c */
void router_pass(struct router *r, int side, struct ap_frame *f);
/* Callbacks of the neighbour table. */
void router_ask(void *arg, const struct neigh *n, bool unicast);
void router_send_queued(void *arg, const struct neigh *n, struct neigh_packet *p);
void router_queue_lost(void *arg, unsigned int packets);
/* Sends an IP packet out of side: neighbour, Ethernet header, batch. 18 bytes before l3 are writable. */
void router_output(struct router *r, int side, uint8_t *l3, uint32_t length,
		   const struct virtio_net_hdr *vnet);
/* Which side an address is behind, and the next hop there. Returns -1 when nowhere. */
int router_route(const struct router *r, uint8_t family, const uint8_t *dst, uint8_t next_hop[16]);
bool router_own_address(const struct router *r, int side, uint8_t family, const uint8_t *addr);

/* router_icmp.c */
void router_local(struct router *r, int side, struct sp_packet *pkt);
void router_icmp_error(struct router *r, int side, const struct sp_packet *pkt);

/* router_offload.c */
int router_offload_open(struct router *r);
void router_offload_close(struct router *r);
void router_offload(struct router *r, int side, const struct sp_packet *pkt);
void router_offload_poll(struct router *r);
void router_offload_explain(struct router *r);	       /* asks about the busiest living flow */
void router_neigh_changed(void *arg, struct neigh *n); /* callback of the neighbour table */
void router_port_state(struct router *r, int side, enum fo_port_state state);

/* router_link.c */
int router_link_open(struct router *r);
void router_link_read(struct router *r);

/* router_report.c */
void router_progress(const struct router *r);
int router_report(const struct router *r, uint64_t wall_ns, uint64_t cpu_ns);

#endif /* FO_DEMO_ROUTER_H */
