/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - the memory of one connection: two hot lines of 64 bytes, side by side, and a cold part of 36.
 *
 * A packet touches one bucket of the index and the line of its direction, nothing else of the connection: the key
 * lies in the line with what the packet needs. IPv6 fills its line with the key; NAT66 takes the new addresses from
 * the key of the mirror line. Lines are named by direction number: connection * 2 + direction.
 *
 * Who writes: the control thread writes a line before it is published in the index and after its grace period;
 * between the two, workers write the counters, last_ms and ctl, control writes ctl (by atomic OR), out and meta.
 */
#ifndef FO_FLOWTABLE_RECORD_H
#define FO_FLOWTABLE_RECORD_H

#include "flowtable/atomics.h"

#include "flowoffload.h"

/* Protocol code of a key: the IP protocol, with this bit for IPv6. */
#define FO__CODE_V6 0x80u

/* fo__line.meta: ingress side << 8 | protocol code. fo__line.out: egress side << 8 | DSCP (0x80 | value, or 0). */
#define FO__SIDE_MAX 0xffffffu

/* fo__line.ctl: L4 checksum delta << 16 | owner worker << 8 | state bits. */
#define FO__CTL_FIN	   0x01u /* a worker saw FIN */
#define FO__CTL_RST	   0x02u /* ... or RST */
#define FO__CTL_DEAD	   0x04u /* control is ending the flow */
#define FO__CTL_GRO	   0x08u /* an aggregated frame was counted */
#define FO__CTL_NAT	   0x10u /* addresses, ports or identifier change */
#define FO__CTL_INACTIVE   0x20u /* not on the short cut (armed) */
#define FO__CTL_CLOSING	   (FO__CTL_FIN | FO__CTL_RST | FO__CTL_DEAD)
#define FO__CTL_STOP	   (FO__CTL_CLOSING | FO__CTL_INACTIVE)
#define FO__CTL_OWNED	   0xff00u
#define FO__CTL_OWNER(ctl) (((ctl)&FO__CTL_OWNED) >> 8)

struct fo__line {
	uint32_t ports; /* source and destination as in the packet; ICMP: identifier, type, code */
	_Atomic uint32_t meta;
	union {
		struct {
			uint32_t src;
			uint32_t dst;
			uint32_t new_src;
			uint32_t new_dst;
			uint32_t new_ports;
			uint16_t address_delta; /* checksum delta of the addresses alone */
			uint16_t ip_delta;	/* of the IP header: addresses and one TTL */
			uint16_t unused[4];
		} v4;
		struct {
			uint8_t src[16];
			uint8_t dst[16];
		} v6;
	} key;
	struct fo__count bytes; /* L3; written by the owner worker alone */
	_Atomic uint32_t packets;
	_Atomic uint32_t last_ms;
	_Atomic uint32_t out;
	_Atomic uint32_t ctl;
};
_Static_assert(sizeof(struct fo__line) == 64, "a line is a cache line");

enum fo__life {
	FO__LIFE_FREE = 0,
	FO__LIFE_LIVE,	 /* in the index */
	FO__LIFE_DRAIN,	 /* DEAD is set; waits until no worker can still count; in the index */
	FO__LIFE_ENDED,	 /* counters final; its terminal event waits; in the index */
	FO__LIFE_RETIRED /* out of the index; waits until no worker can still look */
};

struct fo__cold {
	uint32_t user[2];     /* the caller's 64 bits: so that the whole is not rounded up to eights */
	_Atomic uint32_t tag; /* workers read it while a filter is in force */
	uint32_t mark;
	uint32_t timeout_ms;
	uint32_t generation;
	uint32_t since_ms; /* added; of an ENDED one that its backend refused or lost: the backend's errno */
	union {
		uint32_t next;	  /* in the list of its life, when that is not LIVE */
		uint32_t look_ms; /* LIVE: the sweep has no need to look at its lines before */
	};
	uint8_t life;	     /* enum fo__life */
	uint8_t state : 7;   /* enum fo_state while LIVE */
	uint8_t wrapped : 1; /* a struct fo__wrapped belongs to it */
	uint8_t reason;	     /* enum fo_reason */
	uint8_t flags;	     /* FO__COLD_ */
};
_Static_assert(sizeof(struct fo__cold) == 36, "the cold part of a connection has no holes");

static inline uint64_t fo__cold_user(const struct fo__cold *cold)
{
	return (uint64_t)cold->user[1] << 32 | cold->user[0];
}

static inline void fo__cold_set_user(struct fo__cold *cold, uint64_t user)
{
	cold->user[0] = (uint32_t)user;
	cold->user[1] = (uint32_t)(user >> 32);
}

/* What workers other than a direction's owner have counted; kept where there can be more than one. */
struct fo__shared {
	struct fo__count bytes[2];
	_Atomic uint32_t packets[2];
};

/* Silence that a 32-bit time could not tell is looked for at least this often. */
#define FO__LOOK_MOST_MS (FO_TIMEOUT_MAX_MS / 2)

#define FO__COLD_TOP_OWNED  0x01u /* << direction: bit 31 of packets when last looked at */
#define FO__COLD_TOP_SHARED 0x04u /* << direction: bit 31 of fo__shared.packets when last looked at */
#define FO__COLD_NOTICE	    0x10u /* a coalesced event waits */
#define FO__COLD_FALLBACK   0x20u /* ... and it is FO_EV_FALLBACK */
/* DRAIN, where workers are: a caller was told that it ends. No such flow falls back to anything. */
#define FO__COLD_TOLD	 FO__COLD_FALLBACK
#define FO__COLD_SILENT	 0x40u /* last_ms is older than a 32-bit time can tell */
#define FO__COLD_BACKEND 0x80u /* the backend still has to say removed() */

static inline unsigned int fo__meta_side(uint32_t meta)
{
	return meta >> 8;
}

static inline uint8_t fo__meta_code(uint32_t meta)
{
	return (uint8_t)meta;
}

/* One's complement sum folded to 16 bits. Zero only if every term was zero. Source: RFC 1071, RFC 1624. */
static inline uint16_t fo__csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What changing a 16-bit word adds to the complement of the checksum: ~m + m'; nothing when it does not change. */
static inline uint32_t fo__csum_change(uint16_t from, uint16_t to)
{
	return from == to ? 0 : (uint32_t)(uint16_t)~from + to;
}

/* HC' = ~(~HC + delta), RFC 1624 equation 3: in one's complement the same, both zeros included, as taking delta away. */
static inline uint16_t fo__csum_apply(uint16_t checksum, uint16_t delta)
{
	return (uint16_t)(checksum - delta - (checksum < delta));
}

/* What one TTL less adds: ~m + (m - one) is the same for every m. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FO__CSUM_TTL (0xffffu - 0x0001u)
#else
#define FO__CSUM_TTL (0xffffu - 0x0100u)
#endif

#endif
