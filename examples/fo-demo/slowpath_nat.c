/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath_nat.c - writes another tuple into a packet. Checksums are updated incrementally (RFC 1624, equation
 * 3), so that a wrong one stays wrong and the payload is never read.
 *
 * Neighbours: slowpath_parse.c made the offsets, slowpath.c chose the tuple.
 */
#include <string.h>

#include "slowpath_int.h"

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Writes n bytes (even) and returns what the one's complement sum of the packet changes by. */
static uint32_t replace(uint8_t *p, const void *to, size_t n)
{
	const uint8_t *t = to;
	uint32_t delta = 0;
	size_t i;

	for (i = 0; i < n; i += 2)
		delta += (uint16_t)~be16(p + i) + be16(t + i);
	memcpy(p, t, n);
	return delta;
}

/* Returns what the sum changes by because the checksum field itself changed. */
static uint32_t adjust(uint8_t *csum, uint32_t delta)
{
	uint16_t old = be16(csum);

	put16(csum, (uint16_t)~fold((uint16_t)~old + (uint32_t)fold(delta)));
	return (uint16_t)~old + (uint32_t)be16(csum);
}

/* A partial checksum field holds the plain sum of the pseudo header; somebody adds the rest later. */
static void adjust_partial(uint8_t *csum, uint32_t pseudo_delta)
{
	put16(csum, fold(be16(csum) + (uint32_t)fold(pseudo_delta)));
}

/* Addresses, IPv4 header checksum included. Returns the delta of the pseudo header; *all is that of the header. */
static uint32_t replace_addresses(uint8_t *ip, const struct fo_tuple *to, uint32_t *all)
{
	uint32_t delta;

	if (to->family == FO_FAMILY_IPV6) {
		delta = replace(ip + 8, to->src, 16);
		delta += replace(ip + 24, to->dst, 16);
		*all = delta;
		return delta;
	}
	delta = replace(ip + 12, to->src, 4);
	delta += replace(ip + 16, to->dst, 4);
	*all = delta + adjust(ip + 10, delta);
	return delta;
}

/* Ports or the echo identifier; the type of an echo never changes. */
static uint32_t replace_ports(uint8_t *l4, const struct fo_tuple *to)
{
	uint32_t delta;

	if (to->proto == SP_PROTO_ICMP || to->proto == SP_PROTO_ICMPV6)
		return replace(l4 + 4, &to->sport_be, 2);
	delta = replace(l4, &to->sport_be, 2);
	return delta + replace(l4 + 2, &to->dport_be, 2);
}

/* Returns what the checksum's own change adds to the sum of a packet that quotes this one. */
static uint32_t adjust_l4(uint8_t *csum, uint8_t proto, uint32_t pseudo, uint32_t body, bool partial)
{
	uint16_t old = be16(csum);

	if (proto == SP_PROTO_ICMP)
		pseudo = 0;
	if (partial) {
		adjust_partial(csum, pseudo);
		return 0;
	}
	if (proto == SP_PROTO_UDP && old == 0)
		return 0;
	adjust(csum, (uint32_t)fold(pseudo) + fold(body));
	if (proto == SP_PROTO_UDP && be16(csum) == 0)
		put16(csum, 0xffff);
	return (uint16_t)~old + (uint32_t)be16(csum);
}

/* Returns the delta of all that was written. */
static uint32_t rewrite(uint8_t *l3, const struct sp_fields *f, const struct fo_tuple *to, bool partial)
{
	uint32_t all, pseudo = replace_addresses(l3, to, &all), body;

	if (f->kind != SP_K_TRACK)
		return all;
	body = replace_ports(l3 + f->l4, to);
	all = (uint32_t)fold(all) + fold(body);
	if (f->csum)
		all += adjust_l4(l3 + f->csum, to->proto, pseudo, body, partial);
	return all;
}

void sp_translate(uint8_t *l3, const struct sp_fields *f, const struct fo_tuple *to, bool partial)
{
	rewrite(l3, f, to, partial);
}

void sp_translate_error(uint8_t *l3, const struct sp_fields *f, const struct fo_tuple *to,
			const struct sp_fields *q, const struct fo_tuple *quote_to, bool partial)
{
	uint32_t quote = rewrite(l3 + f->quote, q, quote_to, false);
	uint32_t header, pseudo = replace_addresses(l3, to, &header);

	adjust_l4(l3 + f->csum, f->tuple.proto, pseudo, quote, partial);
}

void sp_ttl_decrement(uint8_t *l3)
{
	uint8_t word[2];

	if (l3[0] >> 4 == 6) {
		l3[7]--;
		return;
	}
	word[0] = (uint8_t)(l3[8] - 1);
	word[1] = l3[9];
	adjust(l3 + 10, replace(l3 + 8, word, 2));
}
