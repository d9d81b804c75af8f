/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath_int.h - what the files of the slow path share; its users include slowpath.h only.
 *
 * Neighbours: see slowpath.h.
 */
#ifndef FO_DEMO_SLOWPATH_INT_H
#define FO_DEMO_SLOWPATH_INT_H

#include "slowpath.h"

#define SP_PROTO_ICMP	1
#define SP_PROTO_TCP	6
#define SP_PROTO_UDP	17
#define SP_PROTO_ICMPV6 58

#define SP_TCP_FIN 0x01
#define SP_TCP_SYN 0x02
#define SP_TCP_RST 0x04
#define SP_TCP_ACK 0x10

/* ---- Bytes (slowpath_parse.c, slowpath_nat.c) ---- */

enum sp_kind {
	SP_K_TRACK,	 /* TCP, UDP, echo: has a full tuple; the first fragment of such a packet too */
	SP_K_ICMP_ERROR, /* quotes a packet at offset quote */
	SP_K_LATER,	 /* a fragment but the first: no ports */
	SP_K_OTHER	 /* addresses and protocol only */
};

/* One IP packet as fields and offsets from the IP header. */
struct sp_fields {
	struct fo_tuple tuple; /* ports zero unless SP_K_TRACK */
	uint32_t ip_len;       /* header included */
	uint32_t l4;	       /* offset of the L4 header */
	uint32_t payload;      /* offset of what GSO cuts into segments */
	uint32_t csum;	       /* offset of the L4 checksum; 0: none here, or cut off (quotes) */
	uint32_t quote;	       /* SP_K_ICMP_ERROR: offset of the quoted IP header */
	uint32_t frag_id;      /* of fragments */
	uint8_t kind;	       /* enum sp_kind */
	uint8_t tcp_flags;
	bool fragment;	    /* any, the first too */
	bool dont_fragment; /* IPv4 DF, or IPv6 */
};

/* Returns false when the packet is malformed. n bytes are readable at l3, the frame has length bytes from there. */
bool sp_parse(const uint8_t *l3, size_t n, size_t length, struct sp_fields *f);
/* The same for the packet an ICMP error quotes, of which 8 bytes of L4 suffice. */
bool sp_parse_quote(const uint8_t *l3, size_t n, struct sp_fields *f);
bool sp_ipv4_csum_ok(const uint8_t *l3);
/* The tuple of the answer to t. */
void sp_mirror(const struct fo_tuple *t, struct fo_tuple *out);

/* Makes the packet that f describes carry tuple to; all checksums follow incrementally. */
void sp_translate(uint8_t *l3, const struct sp_fields *f, const struct fo_tuple *to, bool partial);
/* The same for an ICMP error whose quote (described by q, offsets from the quote) becomes quote_to. */
void sp_translate_error(uint8_t *l3, const struct sp_fields *f, const struct fo_tuple *to,
			const struct sp_fields *q, const struct fo_tuple *quote_to, bool partial);
void sp_ttl_decrement(uint8_t *l3);

/* ---- Connections (slowpath_table.c) ---- */

enum sp_state {
	SP_S_NEW,      /* one direction seen */
	SP_S_ANSWERED, /* TCP: SYN and SYN-ACK seen */
	SP_S_ESTABLISHED,
	SP_S_CLOSING, /* TCP: a FIN seen */
	SP_S_CLOSED,  /* TCP: a RST, or a FIN of both */
	SP_S_MAX
};

struct sp_conn {
	struct fo_tuple tuple[2];
	uint64_t deadline_ms;
	uint64_t retry_ms; /* not offered for offload before */
	fo_flow_id flow;   /* not 0: the table ages it */
	uint32_t next[2];  /* chain of each tuple; next[0] also links free slots. Slot * 2 + direction + 1 */
	uint32_t generation;
	uint8_t live;
	uint8_t state; /* enum sp_state */
	uint8_t side;  /* of the originator */
	uint8_t fins;  /* bit per direction */
	uint8_t seen;  /* bit per direction */
};

struct sp_frag {
	struct fo_tuple tuple; /* addresses and protocol of the fragment as it arrives */
	uint32_t id;
	uint64_t deadline_ms;
	sp_conn_id conn;
	uint8_t dir;
};

#define SP_FRAGS 256u

struct sp {
	struct sp_options o;
	struct sp_local *local;
	struct sp_conn *conns;
	uint32_t *heads;
	uint32_t head_mask;
	uint32_t capacity, used; /* slots ever taken: below used */
	uint32_t free;		 /* slot + 1 */
	uint32_t cursor;	 /* of sp_expire() */
	struct sp_frag frags[SP_FRAGS];
	struct sp_stats stats;
};

uint64_t sp_hash(const struct sp *sp, const struct fo_tuple *t);
bool sp_tuple_equal(const struct fo_tuple *a, const struct fo_tuple *b);
struct sp_conn *sp_lookup(const struct sp *sp, const struct fo_tuple *t, uint8_t *dir);
struct sp_conn *sp_conn_get(const struct sp *sp, sp_conn_id id);
sp_conn_id sp_conn_name(const struct sp *sp, const struct sp_conn *c);
/* NULL when the table is full. The tuples must not be in the table. */
struct sp_conn *sp_conn_add(struct sp *sp, const struct fo_tuple tuple[2]);
void sp_conn_del(struct sp *sp, struct sp_conn *c);

/* ---- Fragments (slowpath_frag.c) ---- */

void sp_frag_learn(struct sp *sp, const struct sp_fields *f, sp_conn_id conn, uint8_t dir, uint64_t now_ms);
struct sp_conn *sp_frag_find(struct sp *sp, const struct sp_fields *f, uint64_t now_ms, uint8_t *dir);

#endif /* FO_DEMO_SLOWPATH_INT_H */
