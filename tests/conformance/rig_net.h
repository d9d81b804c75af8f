/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net.h - the place where kernel backends are tested: a router in a network namespace of its own, its neighbours'
 * ends of the wires in another, without addresses, so that nothing but the rig speaks there.
 *
 * rig_net.c     opens it, carries a packet through it and says what became of it
 * rig_net_devices.c  namespaces and devices: a veth pair a port, the devices that a side needs on top
 * rig_net_hwsim.c    ports of the simulated switch (tests/hwsim) in place of the veth pairs
 * rig_net_pppoe.c    PPPoE sessions
 * rig_net_route.c    where the packets of a side go
 * rig_net_wire.c     raw sockets at the neighbours' ends; the tap behind the short cut
 * rig_net_router.c   what makes the slow path do what a flow says: marks, routes, NAT, and real packets first
 * rig_net_kernel.c   what the kernel says of the short cut: conntrack's bit, flowtables made anew
 *
 * A rig of one backend (rig_nft.c, rig_bpf.c, rig_tc.c) adds a name and what that backend must have.
 * */
#ifndef CONFORMANCE_RIG_NET_H
#define CONFORMANCE_RIG_NET_H

#include "packet.h"
#include "rig.h"

#define NET_PORTS    16u
#define NET_SIDES    256u
#define NET_SESSIONS 64u

struct nft_ctx;

/* One side as its devices stand: a way out of the router. */
struct net_side {
	struct fo_adj adj;
	uint32_t device;     /* ifindex of the L3 device */
	char name[16];	     /* its name */
	unsigned int shaped; /* when the device got the MTU and address of this side; 0: it has not */
	int first;	     /* of this device: the one that routes by device alone lead to */
};

/* One connection that was brought about. */
struct net_connection {
	struct fo_tuple tuple[2];
	uint32_t side[2];
	fo_flow_id flow;      /* the one that was last put on the short cut */
	unsigned int refresh; /* net->refreshes by then */
};

/* What came out at a neighbour's end. */
struct net_frame {
	uint32_t port;
	uint32_t length;
	uint32_t flags; /* FO_PKT_CSUM_PARTIAL, FO_PKT_GSO */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t bytes[PACKET_MAX];
};

struct net {
	const char *backend;
	const char
		*hwsim; /* ports are those of the simulated switch, with this personality; NULL: veth pairs */
	int counters;	/* the switch's, as a file */
	int tells;	/* ... what it counted, when asked */
	unsigned long flushed;	 /* by the switch, before */
	unsigned long forwarded; /* ... so far, if carried says so: nothing was sent since */
	int carried;
	int prompt;  /* what hardware counts is waited for before the table's clock jumps */
	int instant; /* flows are on the short cut once they are added */
	int home;    /* the namespace that this process came from */
	int router;  /* namespaces */
	int wires;
	unsigned int n_ports;
	uint32_t port[NET_PORTS];
	int wire[NET_PORTS];	    /* raw socket at the neighbour's end of that port */
	int wire_index[NET_PORTS];  /* ... and its ifindex there */
	uint8_t is_down[NET_PORTS]; /* nobody can send into it */
	int arrivals;		    /* raw socket at all those ends */
	int offloads;		    /* frames carry what a sender left to its device */
	int rtnetlink;
	int tap;	 /* netlink: frames behind the short cut */
	uint64_t marker; /* number of the last frame sent to see that all before it is through */
	int session[3 * NET_SESSIONS]; /* descriptors that PPPoE devices live by */
	unsigned int n_sessions;
	struct nft_ctx *nft;
	int rulesets;		/* netlink: changes of the ruleset */
	int conntrack;		/* netlink: entries, one by one */
	unsigned int refreshes; /* how often the kernel had to let go of everything */
	unsigned int taken_up;	/* by how many of them flows were put back; see net_router_take_up() */
	uint64_t longest_us;	/* that the kernel took to let go of a flow */
	uint64_t ahead_ms;	/* the table's clock before the real one */
	struct fo_table *table;
	unsigned int n_sides;
	unsigned int shapes; /* counts net_side.shaped */
	struct net_side side[NET_SIDES];
	struct net_connection *connection;
	unsigned int n_connections;
	unsigned int most_connections;
	/* of the last packet */
	int tapped;	       /* it came through to the slow path */
	struct net_frame seen; /* as it did */
	unsigned int n_out;    /* frames that came out, counted; the first is kept */
	struct net_frame out;
	unsigned int late; /* frames that came out after one that was on the short cut and out already */
	/* results of an inject() stay until the next */
	struct net_frame *results;
	char why[160]; /* of the last failure */
	int cannot;    /* ... which is that of this machine, not of the rig */
};

/* Put words into net->why; always -1. */
int net_fail(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* rig_net_devices.c: 0 or -1 */
int net_enter(struct net *net, int namespace_fd);
int net_devices_open(struct net *net);
void net_devices_close(struct net *net);
/* A port's device goes down or up. */
int net_port(struct net *net, const struct fo_port *port);
/* The side's number; devices and routes are made where they are not there yet. Sets adj->l3_dev. */
int net_side(struct net *net, struct fo_adj *adj, uint32_t *out);

/* rig_net_hwsim.c: ports of the switch to where they are used, and back. In the router. */
int net_hwsim_take(struct net *net);
void net_hwsim_give_back(struct net *net);
/* What it counted so far, by its own word; rules that it has. */
int net_hwsim_counter(struct net *net, const char *name, unsigned long *out);
int net_hwsim_rules(struct net *net, unsigned int *out);
/* Has it counted what it has told nobody, and will? */
int net_hwsim_untold(struct net *net);
/* struct rig's functions of hardware that fails on order. */
int net_hwsim_fault(void *state, const struct rig_fault *fault, char *why, size_t why_size);
int net_hwsim_forwarding(void *state, unsigned int *out);
int net_hwsim_clean(void *state, char *why, size_t why_size);

/* rig_net_pppoe.c: a session on that device; names the side's device */
int net_pppoe_add(struct net *net, struct net_side *side, uint16_t id, const char *below);
void net_pppoe_close(struct net *net);

/* rig_net_route.c: opened in the router. A table of routes for the n-th side, chosen by the mark n + 1; the neighbour that it
 * leads to is given, not asked for. A look-up by device alone, as nf_flowtable does for the way back, finds the first side
 * of that device. */
int net_route_open(struct net *net);
/* Until the kernel itself knows that a device is up or down. */
int net_link_wait(struct net *net, uint32_t device, int up);
void net_route_close(struct net *net);
int net_route_add(struct net *net, const struct net_side *side, unsigned int n);
/* After its device was down, or got another shape: of a side the kernel may have forgotten all but the rules. mtu: that the
 * device has now. */
int net_route_restore(struct net *net, const struct net_side *side, unsigned int n, uint32_t mtu);

/* rig_net_wire.c */
void net_frame_copy(struct net_frame *to, const struct net_frame *from);
int net_wire_open(struct net *net);
/* From now on frames go in and come out with their unfinished checksums. */
int net_wire_offloads(struct net *net);
void net_wire_close(struct net *net);
/* Send a frame into a port; when it returns, whatever became of it is in net->tapped, seen, n_out and out. */
int net_carry(struct net *net, const struct rig_packet *packet);

/* rig_net_router.c */
int net_tap_open(struct net *net); /* the tap alone: for backends that need no slow path to be right */
int net_router_open(struct net *net);
void net_router_close(struct net *net);
/* One of conntrack's settings, in the router. */
int net_set_kernel(struct net *net, const char *setting, const char *value);
int net_router_run(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));
int net_router_connect(struct net *net, const struct fo_flow *flow, const uint32_t *side);
/* By other sides from now on. */
int net_router_move(struct net *net, const struct fo_flow *flow, const uint32_t *side);
/* Put each connection that the table has and that is new, or was let go of with all others since, on the short cut: by the
 * one packet that it takes. */
int net_router_take_up(struct net *net);

/* rig_net_kernel.c: opened in the router */
int net_kernel_open(struct net *net);
void net_kernel_close(struct net *net);
/* Count what was told into net->refreshes. */
int net_kernel_refreshes(struct net *net);
/* Does the connection's entry say that it is on the short cut? */
int net_kernel_offloaded(struct net *net, const struct fo_tuple *tuple, int *out);
/* Until it says that the driver took it. */
int net_kernel_wait_hardware(struct net *net, const struct fo_tuple *tuple);
/* A connection that FIN or RST ended can be opened again when conntrack's time for it is over: it is over now. */
int net_kernel_forget_ended(struct net *net, const struct fo_tuple *tuple);

/* rig_net.c: struct rig's functions; a rig has an open() of its own, which names the backend. */
int net_open(void **state, struct fo_table_options *options, const char *backend, char *why, size_t why_size);
/* With ports of the simulated switch. */
int net_open_hwsim(void **state, struct fo_table_options *options, const char *backend,
		   const char *personality, char *why, size_t why_size);
/* Without rules, routes and NAT: for a backend that does not ask the slow path. */
int net_open_bare(void **state, struct fo_table_options *options, const char *backend, char *why,
		  size_t why_size);
/* Ask the table for what it counted. */
void net_read_counters(struct net *net);
int net_attach(void *state, struct fo_table *table, char *why, size_t why_size);
void net_detach(void *state);
void net_close(void *state);
int net_inject(void *state, const struct rig_packet *in, struct rig_result *out, unsigned int n);
int net_carry_through(void *state, const struct rig_packet *in, struct rig_result *out);
void net_advance(void *state, uint64_t ms);
uint64_t net_now_ms(void *state);
int net_prepare_side(void *state, struct fo_adj *adj, char *why, size_t why_size);
int net_connect(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why,
		size_t why_size);
int net_reroute(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why,
		size_t why_size);
int net_set_port(void *state, const struct fo_port *port, char *why, size_t why_size);
void net_settle(void *state);
uint64_t net_pass(void *state, uint64_t most_ms);

#endif /* CONFORMANCE_RIG_NET_H */
