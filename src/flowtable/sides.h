/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.h - what the packet path knows of adjacencies: interned, immutable 64-byte entries behind side numbers.
 *
 * A record names a side by 24 bits (fo__line.meta: where its packets must come from; fo__line.out: where they go).
 * A side is one adjacency in one scope; its number leads to an entry. An update writes a new entry and swaps
 * the number's entry in one store; a side that was invalidated points at a dead entry, so that all its flows pass
 * from the next burst on. Entries and side numbers are reused after a grace period only.
 * Control keeps, per side, the adjacency it belongs to and how many line ends refer to it.
 */
#ifndef FO_FLOWTABLE_SIDES_H
#define FO_FLOWTABLE_SIDES_H

#include "flowtable/atomics.h"
#include "flowtable/memory.h"

#define FO__ENTRY_DEAD	      0x01u /* flows pass; reason says why */
#define FO__ENTRY_ANY_INGRESS 0x02u
#define FO__ENTRY_PPPOE	      0x04u

#define FO__ARRIVAL_OTHER UINT32_MAX

struct fo__entry {
	uint8_t header
		[30]; /* egress L2 header, with IPv4's protocol at its end; PPPoE's length is the packet's */
	uint8_t header_len; /* 14 .. 30 */
	uint8_t flags;
	uint64_t encap; /* ingress tags and session, fo__encap_word() */
	uint32_t port;
	uint32_t mtu; /* 0 of a dead entry */
	uint8_t own_mac[6];
	uint16_t scope;
	/* of packets in plain Ethernet, that need no further look: */
	uint32_t arrival; /* their scope, or FO__ARRIVAL_OTHER: nothing arrives so */
	uint16_t room;	  /* longest IP packet that leaves so; 0 with encapsulations, and of a dead entry */
	uint8_t reason;	  /* enum fo_reason, of a dead entry */
	uint8_t unused;
};
_Static_assert(sizeof(struct fo__entry) == 64, "an entry is a cache line");

/* What readers see; replaced as a whole when it grows. side[n] is a number into entry[]. */
struct fo__side_view {
	struct fo__entry *entry;
	_Atomic uint32_t *side;
	uint32_t room; /* of both arrays */
};

/* Control's part of one side. */
struct fo__side {
	fo_adj_id adj; /* 0: free */
	uint32_t refs; /* line ends of connections not yet retired */
	uint32_t next; /* of the same adjacency, or of those waiting for reuse; FO__NO_SIDE */
	uint16_t scope;
	uint8_t dead;		/* enum fo_reason, 0 while alive */
	struct fo__twin *twins; /* first of those that have a key in common with it */
};

#define FO__NO_SIDE UINT32_MAX
/* Entries that never change: 0 dead by invalidation, 1 dead by port. */
#define FO__ENTRY_INVALIDATED 0u
#define FO__ENTRY_DOWN	      1u
#define FO__ENTRY_FIRST	      2u

/* A VLAN tag and a session as one comparable word, outermost tag lowest. */
#define FO__ENCAP_TAG(kind, vid, position)                                                                   \
	((uint64_t)((unsigned int)(kind) << 12 | ((unsigned int)(vid)&0xfffu)) << ((position)*14))
#define FO__ENCAP_SESSION(id) (UINT64_C(1) << 31 | (uint64_t)(id) << 32)

/* The ingress word of an adjacency's encapsulations. */
uint64_t fo__encap_word(const struct fo_encap *encap, unsigned int n);

/* Build the entry of an adjacency in a scope. */
void fo__entry_build(struct fo__entry *entry, const struct fo_adj *adj, uint16_t scope);

struct fo_flowtable;

/* 0 or -ENOMEM. */
int fo__sides_open(struct fo_flowtable *table);
void fo__sides_close(struct fo_flowtable *table);
/* Reuse up to n entries past their grace period; returns how many. */
unsigned int fo__entries_reclaim(struct fo_flowtable *table, unsigned int n);

/* A side for (adj, scope): an existing one alive among *first and its chain, or a new one chained in front.
 * 0, -ENOMEM, -ENOSPC, -EAGAIN. Does not take a reference. */
int fo__side_get(struct fo_flowtable *table, uint32_t *first, fo_adj_id id, const struct fo_adj *adj,
		 uint16_t scope, uint32_t *out);

/* Swap what all sides of a chain say; all or none. 0, -ENOMEM, -ENOSPC, -EAGAIN (a stuck worker holds old entries). */
int fo__sides_update(struct fo_flowtable *table, uint32_t first, const struct fo_adj *adj);

/* Make all sides of a chain dead and detach them from their adjacency. */
void fo__sides_kill(struct fo_flowtable *table, uint32_t *first, unsigned int reason);

/* The chain's adjacency goes; no flow refers to it. */
void fo__sides_drop(struct fo_flowtable *table, uint32_t *first);

void fo__side_ref(struct fo_flowtable *table, uint32_t side);
void fo__side_unref(struct fo_flowtable *table, uint32_t side);

const struct fo__entry *fo__side_entry(const struct fo_flowtable *table, uint32_t side);

#endif
