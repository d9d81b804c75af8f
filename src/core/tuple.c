/* SPDX-License-Identifier: BSD-2-Clause */
/* tuple.c - one direction of a connection by itself. See tuple.h. */
#include "core/tuple.h"

#include <errno.h>
#include <stdio.h>

#include "core/error.h"

#define ECHO4_REQUEST 8u
#define ECHO4_REPLY   0u
#define ECHO6_REQUEST 128u
#define ECHO6_REPLY   129u

static __attribute__((noinline)) int refuse(struct fo_error *err, enum fo_reason reason, const char *name,
					    const char *member, const char *text)
{
	char field[sizeof(err->field)];

	(void)snprintf(field, sizeof(field), "%s.%s", name, member);
	return fo__fail(err, -EINVAL, reason, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static const uint8_t zeros[16];

/* n is a constant wherever this is called: one or two words are compared. */
static inline bool zero(const uint8_t *bytes, size_t n)
{
	return !memcmp(bytes, zeros, n);
}

static uint16_t from_be(uint16_t be)
{
	uint8_t bytes[2];

	memcpy(bytes, &be, sizeof(bytes));
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint16_t to_be(unsigned int host)
{
	uint8_t bytes[2] = {(uint8_t)(host >> 8), (uint8_t)host};
	uint16_t be;

	memcpy(&be, bytes, sizeof(be));
	return be;
}

static bool is_icmp(uint8_t proto)
{
	return proto == FO__PROTO_ICMP || proto == FO__PROTO_ICMPV6;
}

/* The echo message that answers one of this type, types and codes as in dport_be. */
static uint16_t echo_answer(uint16_t dport_be)
{
	switch (from_be(dport_be)) {
	case ECHO4_REQUEST << 8:
		return to_be(ECHO4_REPLY << 8);
	case ECHO4_REPLY << 8:
		return to_be(ECHO4_REQUEST << 8);
	case ECHO6_REQUEST << 8:
		return to_be(ECHO6_REPLY << 8);
	case ECHO6_REPLY << 8:
		return to_be(ECHO6_REQUEST << 8);
	default:
		return dport_be;
	}
}

void fo__mirror(const struct fo_tuple *in, struct fo_tuple *out)
{
	struct fo_tuple mirror = *in;

	memcpy(mirror.src, in->dst, sizeof(mirror.src));
	memcpy(mirror.dst, in->src, sizeof(mirror.dst));
	if (is_icmp(in->proto)) {
		mirror.dport_be = echo_answer(in->dport_be);
	} else {
		mirror.sport_be = in->dport_be;
		mirror.dport_be = in->sport_be;
	}
	*out = mirror;
}

struct fo__nat fo__nat_of(const struct fo_tuple tuple[2])
{
	const struct fo_tuple *to = &tuple[FO_ORIGINAL], *back = &tuple[FO_REPLY];
	struct fo__nat nat;

	/* Against the mirror of the reply: what arrives in FO_ORIGINAL when nothing is translated. */
	nat.src_addr = memcmp(to->src, back->dst, sizeof(to->src)) != 0;
	nat.dst_addr = memcmp(to->dst, back->src, sizeof(to->dst)) != 0;
	if (is_icmp(back->proto)) {
		nat.src_port = to->sport_be != back->sport_be;
		nat.dst_port = to->dport_be != echo_answer(back->dport_be);
	} else {
		nat.src_port = to->sport_be != back->dport_be;
		nat.dst_port = to->dport_be != back->sport_be;
	}
	return nat;
}

static inline int check_form(const struct fo_tuple *tuple, const char *name, struct fo_error *err)
{
	if (tuple->family != FO_FAMILY_IPV4 && tuple->family != FO_FAMILY_IPV6)
		return refuse(err, FO_R_TUPLE, name, "family",
			      "is no family: use FO_FAMILY_IPV4 or FO_FAMILY_IPV6");
	if (tuple->family == FO_FAMILY_IPV4 && !zero(tuple->src + 4, 12))
		return refuse(err, FO_R_TUPLE, name, "src",
			      "has bytes behind its four of IPv4: zero them, or set the family to IPv6");
	if (tuple->family == FO_FAMILY_IPV4 && !zero(tuple->dst + 4, 12))
		return refuse(err, FO_R_TUPLE, name, "dst",
			      "has bytes behind its four of IPv4: zero them, or set the family to IPv6");
	if (tuple->reserved)
		return refuse(err, FO_R_ARGUMENT, name, "reserved", "must be zero");
	return 0;
}

int fo__check_tuple_form(const struct fo_tuple *tuple, const char *name, struct fo_error *err)
{
	return check_form(tuple, name, err);
}

/* What is wrong with an address, or NULL. 0.0.0.0/8 without zero itself and 240.0.0.0/4 without
 * broadcast are ordinary unicast to Linux, and so to us. */
static inline const char *class4(const uint8_t bytes[16])
{
	uint32_t a = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];

	if (!a)
		return "is zero: give the address that packets carry";
	if (a >> 28 == 0xe)
		return "is multicast, which is never offloaded: leave it to the slow path";
	if (a == UINT32_MAX)
		return "is broadcast, which is never offloaded: leave it to the slow path";
	if (a >> 24 == 127)
		return "is loopback, which no router forwards: leave it to the slow path";
	if (a >> 16 == 0xa9fe)
		return "is link-local, which no router forwards: leave it to the slow path";
	return NULL;
}

static const char *class6(const uint8_t a[16])
{
	if (zero(a, 16))
		return "is zero: give the address that packets carry";
	if (a[0] == 0xff)
		return "is multicast, which is never offloaded: leave it to the slow path";
	if (zero(a, 15) && a[15] == 1)
		return "is loopback, which no router forwards: leave it to the slow path";
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return "is link-local, which no router forwards: leave it to the slow path";
	if (zero(a, 10) && a[10] == 0xff && a[11] == 0xff)
		return "is v4-mapped, which is no address on the wire: use FO_FAMILY_IPV4";
	return NULL;
}

static inline int check_addresses(const struct fo_tuple *t, const char *name, struct fo_error *err)
{
	const char *src = t->family == FO_FAMILY_IPV4 ? class4(t->src) : class6(t->src);
	const char *dst = t->family == FO_FAMILY_IPV4 ? class4(t->dst) : class6(t->dst);

	if (src)
		return refuse(err, FO_R_ADDRESS, name, "src", src);
	if (dst)
		return refuse(err, FO_R_ADDRESS, name, "dst", dst);
	if (!memcmp(t->src, t->dst, sizeof(t->src)))
		return refuse(err, FO_R_TUPLE, name, "dst",
			      "is the same address as src: a host's packets to itself pass no router");
	return 0;
}

static inline int check_proto(const struct fo_tuple *t, const char *name, struct fo_error *err)
{
	switch (t->proto) {
	case FO__PROTO_TCP:
	case FO__PROTO_UDP:
		return 0;
	case FO__PROTO_ICMP:
		if (t->family == FO_FAMILY_IPV4)
			return 0;
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is ICMP (1) in an IPv6 tuple: use ICMPv6 (58)");
	case FO__PROTO_ICMPV6:
		if (t->family == FO_FAMILY_IPV6)
			return 0;
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is ICMPv6 (58) in an IPv4 tuple: use ICMP (1)");
	case 132:
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is SCTP, which is not offloaded: leave it to the slow path");
	case 136:
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is UDP-Lite, which is not offloaded: leave it to the slow path");
	case 33:
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is DCCP, which is not offloaded: leave it to the slow path");
	default:
		return refuse(err, FO_R_TUPLE, name, "proto",
			      "is not offloaded: only TCP (6), UDP (17), ICMP (1) and ICMPv6 (58) echo are");
	}
}

static int check_echo(const struct fo_tuple *t, unsigned int d, const char *name, struct fo_error *err)
{
	bool v4 = t->proto == FO__PROTO_ICMP;
	unsigned int type =
		d == FO_ORIGINAL ? (v4 ? ECHO4_REQUEST : ECHO6_REQUEST) : (v4 ? ECHO4_REPLY : ECHO6_REPLY);

	if (from_be(t->dport_be) == type << 8)
		return 0;
	return refuse(err, FO_R_TUPLE, name, "dport_be",
		      d == FO_ORIGINAL
			      ? "is not echo request, code 0: use htons(0x0800), htons(0x8000) for ICMPv6"
			      : "is not echo reply, code 0: use htons(0x0000), htons(0x8100) for ICMPv6");
}

int fo__check_flow_tuple(const struct fo_tuple *tuple, unsigned int d, struct fo_error *err)
{
	const char *name = d == FO_ORIGINAL ? "tuple[0]" : "tuple[1]";
	int rc = check_form(tuple, name, err);

	if (!rc)
		rc = check_proto(tuple, name, err);
	if (!rc)
		rc = check_addresses(tuple, name, err);
	if (rc)
		return rc;
	if (is_icmp(tuple->proto))
		return check_echo(tuple, d, name, err);
	if (!tuple->sport_be)
		return refuse(err, FO_R_TUPLE, name, "sport_be",
			      "is 0: give the source port that packets carry, in network order");
	if (!tuple->dport_be)
		return refuse(err, FO_R_TUPLE, name, "dport_be",
			      "is 0: give the destination port that packets carry, in network order");
	return 0;
}
