/* SPDX-License-Identifier: BSD-2-Clause */
/* parsed.h - what is known of a packet once its headers were read: key and offsets. parse.h fills it in; the look-up
 * needs no more of a packet.
 */
#ifndef FO_FASTPATH_PARSED_H
#define FO_FASTPATH_PARSED_H

#include "flowtable/flowtable.h"

#define FO__TCP_FIN 0x01u
#define FO__TCP_SYN 0x02u
#define FO__TCP_RST 0x04u

#define FO__PROTO_ICMP	 1u
#define FO__PROTO_TCP	 6u
#define FO__PROTO_UDP	 17u
#define FO__PROTO_ICMPV6 58u

/* fo__parsed.marks: FIN, SYN, RST as in TCP, and: */
#define FO__MARK_FLAGS 0x07u
#define FO__MARK_OTHER 0x80u /* anything but IPv4 TCP or UDP in plain Ethernet */

/* Offset of the IP header of what nearly all packets are: not tagged. */
#define FO__QUICK_L3 14u

struct fo__parsed {
	struct fo__key key; /* hash not yet filled in */
	uint64_t encap;	    /* ingress word, fo__encap_word() */
	uint16_t l3;	    /* offset of the IP header from data */
	uint16_t ip_len;    /* of the whole IP packet */
	uint8_t marks;	    /* 0 of what is forwarded without a further look */
	uint8_t checksum;   /* its offset in the L4 header */
	uint8_t number;	    /* the caller's */
	uint8_t unused;
};

/* Offset of the L4 header from data. */
static inline uint32_t fo__parsed_l4(const struct fo__parsed *parsed)
{
	return parsed->l3 + (fo__key_is_v6(&parsed->key) ? 40u : 20u);
}

/* What fo__quick_v4() left to those who ask. */
static inline void fo__parsed_complete(struct fo__parsed *parsed, const struct fo_packet *packet)
{
	if (parsed->marks & FO__MARK_OTHER)
		return;
	parsed->key.scope = packet->scope;
	parsed->encap = 0;
	parsed->l3 = FO__QUICK_L3;
}

#endif
