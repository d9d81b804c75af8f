/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath_parse.c - an IP packet as fields and offsets. Every length comes from the wire and is checked here;
 * who uses struct sp_fields afterwards needs no further checks.
 *
 * Neighbours: slowpath_nat.c takes the offsets, slowpath.c the tuple.
 */
#include <string.h>

#include "slowpath_int.h"

#define IP4_MF	   0x2000u
#define IP4_OFFSET 0x1fffu
#define IP4_DF	   0x4000u

#define NEXT_HOP_BY_HOP 0
#define NEXT_FRAGMENT	44
#define NEXT_DEST_OPTS	60
#define MAX_EXT_HEADERS 8

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t wire16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

bool sp_ipv4_csum_ok(const uint8_t *l3)
{
	size_t i, n = (l3[0] & 15u) * 4u;
	uint32_t sum = 0;

	for (i = 0; i < n; i += 2)
		sum += be16(l3 + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

void sp_mirror(const struct fo_tuple *t, struct fo_tuple *out)
{
	static const uint8_t other[] = {8, 0}, other6[] = {129, 128};
	const uint8_t *type = (const uint8_t *)&t->dport_be;
	uint8_t answer[2] = {0, 0};

	*out = *t;
	memcpy(out->src, t->dst, 16);
	memcpy(out->dst, t->src, 16);
	if (t->proto == SP_PROTO_ICMP)
		answer[0] = other[*type == 8];
	else if (t->proto == SP_PROTO_ICMPV6)
		answer[0] = other6[*type == 129];
	if (t->proto == SP_PROTO_ICMP || t->proto == SP_PROTO_ICMPV6) {
		memcpy(&out->dport_be, answer, 2);
		return;
	}
	out->sport_be = t->dport_be;
	out->dport_be = t->sport_be;
}

/* L4 of a tracked protocol, with have bytes of it readable and size bytes in this packet. */
static bool parse_tcp(const uint8_t *p, size_t have, size_t size, bool quote, struct sp_fields *f)
{
	size_t header;

	if (have < (quote ? 8u : 20u))
		return false;
	f->tuple.sport_be = wire16(p);
	f->tuple.dport_be = wire16(p + 2);
	f->csum = have >= 18 ? f->l4 + 16 : 0;
	if (quote)
		return true;
	header = (p[12] >> 4) * 4u;
	if (header < 20 || header > size)
		return false;
	f->tcp_flags = p[13];
	f->payload = f->l4 + (uint32_t)header;
	return true;
}

static bool parse_udp(const uint8_t *p, size_t have, size_t size, bool quote, struct sp_fields *f)
{
	if (have < 8)
		return false;
	f->tuple.sport_be = wire16(p);
	f->tuple.dport_be = wire16(p + 2);
	f->csum = f->l4 + 6;
	f->payload = f->l4 + 8;
	/* GSO frames and first fragments carry the length of the whole datagram. */
	return quote || f->fragment || (be16(p + 4) >= 8 && be16(p + 4) <= size);
}

static bool is_error(uint8_t proto, uint8_t type)
{
	if (proto == SP_PROTO_ICMPV6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool parse_icmp(const uint8_t *p, size_t have, struct sp_fields *f)
{
	bool echo;

	if (have < 8)
		return false;
	f->csum = f->l4 + 2;
	f->payload = f->l4 + 8;
	echo = f->tuple.proto == SP_PROTO_ICMP ? p[0] == 8 || p[0] == 0 : p[0] == 128 || p[0] == 129;
	if (echo && p[1] == 0) {
		f->tuple.dport_be = wire16(p);
		f->tuple.sport_be = wire16(p + 4);
		return true;
	}
	f->kind = is_error(f->tuple.proto, p[0]) && !f->fragment ? SP_K_ICMP_ERROR : SP_K_OTHER;
	f->quote = f->l4 + 8;
	return true;
}

static bool parse_l4(const uint8_t *l3, size_t n, bool quote, struct sp_fields *f)
{
	size_t end = !quote && n > f->ip_len ? f->ip_len : n;
	size_t have = end > f->l4 ? end - f->l4 : 0;
	size_t size = f->ip_len > f->l4 ? f->ip_len - f->l4 : 0;

	f->payload = f->l4;
	if (f->kind == SP_K_LATER)
		return true;
	f->kind = SP_K_TRACK;
	if (f->tuple.proto == SP_PROTO_TCP)
		return parse_tcp(l3 + f->l4, have, size, quote, f);
	if (f->tuple.proto == SP_PROTO_UDP)
		return parse_udp(l3 + f->l4, have, size, quote, f);
	if (f->tuple.proto == (f->tuple.family == FO_FAMILY_IPV4 ? SP_PROTO_ICMP : SP_PROTO_ICMPV6))
		return parse_icmp(l3 + f->l4, have, f);
	f->kind = SP_K_OTHER;
	return true;
}

static bool parse_ip4(const uint8_t *l3, size_t n, struct sp_fields *f)
{
	uint16_t frag;

	if (n < 20 || (l3[0] & 15) < 5 || n < (l3[0] & 15u) * 4u)
		return false;
	f->tuple.family = FO_FAMILY_IPV4;
	f->tuple.proto = l3[9];
	memcpy(f->tuple.src, l3 + 12, 4);
	memcpy(f->tuple.dst, l3 + 16, 4);
	f->ip_len = be16(l3 + 2);
	f->l4 = (l3[0] & 15u) * 4u;
	frag = be16(l3 + 6);
	f->dont_fragment = frag & IP4_DF;
	f->fragment = frag & (IP4_MF | IP4_OFFSET);
	f->frag_id = be16(l3 + 4);
	f->kind = frag & IP4_OFFSET ? SP_K_LATER : SP_K_TRACK;
	return f->ip_len >= f->l4;
}

/* Hop-by-hop and destination options are stepped over; a routing header is not (it makes the pseudo header's
 * address another one), and leaves the packet SP_K_OTHER. */
static bool parse_ip6(const uint8_t *l3, size_t n, struct sp_fields *f)
{
	uint8_t next;
	size_t at = 40;
	int i;

	if (n < 40)
		return false;
	f->tuple.family = FO_FAMILY_IPV6;
	memcpy(f->tuple.src, l3 + 8, 16);
	memcpy(f->tuple.dst, l3 + 24, 16);
	f->ip_len = be16(l3 + 4) + 40u;
	f->dont_fragment = true;
	next = l3[6];
	for (i = 0; next == NEXT_HOP_BY_HOP || next == NEXT_DEST_OPTS || next == NEXT_FRAGMENT; i++) {
		if (i == MAX_EXT_HEADERS || n < at + 8)
			return false;
		if (next == NEXT_FRAGMENT) {
			f->fragment = true;
			memcpy(&f->frag_id, l3 + at + 4, 4);
			f->kind = be16(l3 + at + 2) & 0xfff8 ? SP_K_LATER : SP_K_TRACK;
			next = l3[at];
			at += 8;
			if (f->kind == SP_K_LATER)
				break;
			continue;
		}
		next = l3[at];
		at += (l3[at + 1] + 1u) * 8u;
	}
	f->tuple.proto = next;
	f->l4 = (uint32_t)at;
	return f->ip_len >= at;
}

static bool parse(const uint8_t *l3, size_t n, bool quote, struct sp_fields *f)
{
	memset(f, 0, sizeof(*f));
	if (n < 1)
		return false;
	if (l3[0] >> 4 == 4 ? !parse_ip4(l3, n, f) : l3[0] >> 4 != 6 || !parse_ip6(l3, n, f))
		return false;
	return parse_l4(l3, n, quote, f);
}

bool sp_parse(const uint8_t *l3, size_t n, size_t length, struct sp_fields *f)
{
	return parse(l3, n, false, f) && f->ip_len <= length;
}

bool sp_parse_quote(const uint8_t *l3, size_t n, struct sp_fields *f)
{
	return parse(l3, n, true, f);
}
