/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath.h - the slow path of fo-demo: a small connection tracker with NAT, at the level of IP packets.
 *
 * It decides about the first packets of a connection, translates them, and says when a connection is ready to
 * be handed to libflowoffload. Used by `fo-demo router` (router_*.c) and `fo-demo replay` (replay.c). It knows
 * the structs of flowoffload.h but calls nothing of the library, sends nothing and never reads a clock: the
 * caller owns Ethernet, neighbours, sockets and time.
 *
 * How a caller uses it:
 *
 *	sp_packet(sp, &pkt, now_ms);                    pkt.l3 points at the IP header, whatever the L2 was
 *	if (pkt.verdict == SP_FORWARD) {                translated in place, TTL decremented, pkt.length trimmed
 *		if (pkt.offload) {
 *			sp_flow(sp, pkt.conn, &flow);   tuples, NAT, timeout, user = pkt.conn
 *			flow.adj[...] = ...;            the caller knows the two sides
 *			if (fo_flow_add(...) == 0)
 *				sp_offload_added(sp, pkt.conn, id);
 *			else
 *				sp_offload_refused(sp, pkt.conn, now_ms + 1000);
 *		}
 *		send it
 *	}
 *	from the terminal event of the flow:            sp_offload_ended(sp, event->user, last_seen_ms)
 *	now and then:                                   sp_expire(sp, now_ms, 256)
 *
 * Neighbours: slowpath.c (policy and states), slowpath_table.c (connections), slowpath_parse.c (bytes to
 * fields), slowpath_nat.c (translation and checksums), slowpath_frag.c (later fragments find their connection).
 */
#ifndef FO_DEMO_SLOWPATH_H
#define FO_DEMO_SLOWPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flowoffload.h>

struct sp; /* one slow path */

/* Names a connection; 0 is none. It stays invalid once the connection has gone, and fits fo_flow.user. */
typedef uint64_t sp_conn_id;

/* Where a packet came in. SP_SIDE_ANY (captures, where both directions were recorded on one link): whoever
 * sends the first packet of a connection is taken to be on the LAN. */
enum sp_side { SP_LAN = 0, SP_WAN = 1, SP_SIDE_ANY = 2 };

enum sp_verdict {
	SP_DROP = 0,	/* untouched; why: pkt->drop */
	SP_FORWARD = 1, /* translated, TTL decremented: send it */
	SP_LOCAL = 2	/* untouched; for the router itself (one of sp_options.local, multicast, broadcast) */
};

/* Why a packet was dropped. Index of sp_stats.dropped[]. */
enum sp_drop {
	SP_D_NONE = 0,
	SP_D_MALFORMED,	 /* truncated, lengths contradict, IPv4 header checksum wrong (if checked) */
	SP_D_ADDRESS,	 /* one that is never routed: zero, loopback, link-local, multicast source */
	SP_D_TTL,	 /* TTL would reach 0: the caller may answer with time exceeded */
	SP_D_MTU,	 /* too big for the other side: pkt->mtu; the caller may answer so */
	SP_D_FRAGMENT,	 /* a later fragment whose first one has not been seen (they are not reassembled) */
	SP_D_PROTOCOL,	 /* needs NAT, but is neither TCP, UDP nor echo */
	SP_D_POLICY,	 /* a new connection from the WAN without sp_options.allow_in */
	SP_D_STATE,	 /* TCP that begins in the middle, an echo reply nobody asked for */
	SP_D_ICMP_ERROR, /* an ICMP error about no known connection */
	SP_D_FULL,	 /* the connection table is full */
	SP_D_NAT_PORTS,	 /* no free port or echo identifier for this destination */
	SP_D_MAX
};

struct sp_options {
	size_t capacity;      /* connections at most; 0: 65536 */
	bool nat4, nat6;      /* masquerade what the LAN opens behind nat4_addr, nat6_addr (NAT66) */
	bool allow_in;	      /* the WAN may open connections too (without NAT for that family only) */
	bool pick_up;	      /* TCP may begin in the middle: captures, a router that was restarted */
	bool check_ip_csum;   /* drop packets whose IPv4 header checksum is wrong */
	uint8_t nat4_addr[4]; /* network order */
	uint8_t nat6_addr[16];
	uint16_t port_min;	/* first and last port or echo identifier that NAT may choose, host order; */
	uint16_t port_max;	/* 0, 0: 1024 .. 65535. The original one is kept where it is free. */
	uint32_t mtu[2];	/* of SP_LAN and SP_WAN, bytes of IP; 0: no limit */
	const struct sp_local { /* the router's own addresses (copied) */
		uint8_t family; /* FO_FAMILY_ */
		uint8_t addr[16];
	} * local;
	size_t n_local;
	uint8_t secret[16]; /* key of the hash and of port choice: random bytes; fixed in tests */
};

struct sp_packet {
	/* in */
	uint8_t *l3;	     /* the IP header; rewritten in place when the verdict is SP_FORWARD */
	uint32_t contiguous; /* bytes readable at l3 */
	uint32_t length;     /* bytes from l3 to the end of the frame, padding included; out: the IP length */
	uint8_t side;	     /* enum sp_side */
	bool csum_partial;   /* the L4 checksum field holds the pseudo header sum (FO_PKT_CSUM_PARTIAL) */
	uint16_t gso_size;   /* L4 payload bytes per segment; 0: not a GSO frame */
	/* out */
	uint8_t verdict; /* enum sp_verdict */
	uint8_t drop;	 /* enum sp_drop, when dropped */
	uint8_t dir;	 /* enum fo_dir, when conn is not 0 */
	bool offload;	 /* established both ways, not offloaded: hand it to the table now */
	uint32_t mtu;	 /* SP_D_MTU: what would have fitted */
	sp_conn_id conn; /* 0: forwarded without tracking, or dropped before */
};

struct sp_stats {
	uint64_t packets, bytes;   /* that sp_packet() saw; bytes of IP */
	uint64_t forwarded, local; /* packets = forwarded + local + the sum of dropped[] */
	uint64_t forwarded_bytes;
	uint64_t untracked;   /* of forwarded: protocols without a connection */
	uint64_t fragments;   /* of forwarded: fragments of a connection's packets */
	uint64_t icmp_errors; /* of forwarded: ICMP errors about a connection */
	uint64_t dropped[SP_D_MAX];
	uint64_t connections; /* living */
	uint64_t offloaded;   /* living, in the fast path */
	uint64_t created, expired;
	uint64_t established; /* ever seen in both directions */
};

/* -ENOMEM; -EINVAL an option contradicts itself. *out is untouched then. */
int sp_create(const struct sp_options *opts, struct sp **out);
void sp_destroy(struct sp *sp); /* NULL is accepted */

/* Judges one packet and, when it is to be forwarded, translates it in place. */
void sp_packet(struct sp *sp, struct sp_packet *pkt, uint64_t now_ms);

/* For captures recorded on the LAN while NAT is on: gives a recorded reply (still addressed to the client)
 * the address and port it would carry on the WAN, so that sp_packet() and the fast path see it as a router
 * would. Returns true when it rewrote the packet. Everything else is left alone. */
bool sp_wan_view(struct sp *sp, struct sp_packet *pkt);

/* Fills flow (FO_INIT included) but for adj[]: tuples, NAT, timeout, user = conn. -ENOENT. */
int sp_flow(const struct sp *sp, sp_conn_id conn, struct fo_flow *flow);

/* Offload bookkeeping; an id that has gone is ignored. An offloaded connection never expires here: the table
 * ages it and its terminal event gives it back, with the time of the last packet it carried (of both
 * directions; now when unknown). A refused one is offered again from retry_at_ms on. */
void sp_offload_added(struct sp *sp, sp_conn_id conn, fo_flow_id flow);
void sp_offload_refused(struct sp *sp, sp_conn_id conn, uint64_t retry_at_ms);
void sp_offload_ended(struct sp *sp, sp_conn_id conn, uint64_t last_seen_ms);
/* The flow a connection is offloaded as, or 0. */
fo_flow_id sp_offload_flow(const struct sp *sp, sp_conn_id conn);

/* Looks at up to max slots for connections whose time is over. Returns how many ended. */
size_t sp_expire(struct sp *sp, uint64_t now_ms, size_t max);

void sp_get_stats(const struct sp *sp, struct sp_stats *out);
const char *sp_drop_name(unsigned int drop); /* "ttl", "policy"; never NULL */

#endif /* FO_DEMO_SLOWPATH_H */
