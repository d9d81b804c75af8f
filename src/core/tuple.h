/* SPDX-License-Identifier: BSD-2-Clause */
/* tuple.h - one direction of a connection by itself: its form, its address classes, its mirror.
 *
 * Neighbours: validate_flow.c and validate.c (keys) check with it, needs.c and the table ask
 * fo__nat_of().
 */
#ifndef FO_CORE_TUPLE_H
#define FO_CORE_TUPLE_H

#include <stdbool.h>

#include "flowoffload.h"

#define FO__PROTO_ICMP	 1u
#define FO__PROTO_TCP	 6u
#define FO__PROTO_UDP	 17u
#define FO__PROTO_ICMPV6 58u

/* What differs between tuple[0] and the mirror of tuple[1]. An ICMP identifier is the source's
 * port. */
struct fo__nat {
	bool src_addr;
	bool dst_addr;
	bool src_port;
	bool dst_port;
};

struct fo__nat fo__nat_of(const struct fo_tuple tuple[2]);

/* fo__mirror - the tuple of a packet that answers one of tuple in. ICMP: the identifier stays,
 * request and reply swap. in and out may be the same. */
void fo__mirror(const struct fo_tuple *in, struct fo_tuple *out);

/* fo__check_tuple_form - known family, unused bytes zero; any address, protocol and ports.
 * @name: of the tuple, for the field: "tuple[1]". */
int fo__check_tuple_form(const struct fo_tuple *tuple, const char *name, struct fo_error *err);

/* fo__check_flow_tuple - form, and what direction d of an offloaded connection may have. */
int fo__check_flow_tuple(const struct fo_tuple *tuple, unsigned int d, struct fo_error *err);

#endif
