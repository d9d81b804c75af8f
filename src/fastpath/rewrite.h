/* SPDX-License-Identifier: BSD-2-Clause */
/* rewrite.h - the bytes of a packet that takes the short cut: NAT, TTL, DSCP, checksums, L2 header.
 *
 * All checks are done before; nothing here fails. Checksums change by RFC 1624 equation 3, so that a wrong one
 * stays wrong; only 16-bit words that change take part. Deltas of addresses and ports were computed when the flow
 * was added. Source: net/netfilter/nf_flow_table_ip.c, nf_flow_nat_ip().
 */
#ifndef FO_FASTPATH_REWRITE_H
#define FO_FASTPATH_REWRITE_H

#include "fastpath/parse.h"

/* The L4 checksum: whole (delta), or partial (the pseudo header's sum, uncomplemented: address alone). */
static inline void fo__rewrite_l4(uint8_t *at, unsigned int proto, int partial, uint16_t delta,
				  uint16_t address)
{
	uint16_t sum = fo__load16(at);

	if (__builtin_expect(partial, 0)) {
		fo__store16(at, fo__csum_fold((uint32_t)sum + address));
		return;
	}
	if (__builtin_expect(!sum, 0) && proto == FO__PROTO_UDP)
		return;
	sum = fo__csum_apply(sum, delta);
	if (__builtin_expect(!sum, 0) && proto == FO__PROTO_UDP)
		sum = 0xffff;
	fo__store16(at, sum);
}

/* Ports, or the identifier of an echo. */
static inline void fo__rewrite_ports(uint8_t *l4, unsigned int proto, uint32_t ports)
{
	if (__builtin_expect(proto != FO__PROTO_ICMP && proto != FO__PROTO_ICMPV6, 1))
		memcpy(l4, &ports, 4);
	else
		memcpy(l4 + 4, &ports, 2);
}

/* IPv4 with TCP or UDP. A flow without NAT has its own addresses as new ones and deltas of zero: no branch for it, none
 * for TCP or UDP. */
static inline void fo__rewrite_plain(uint8_t *l3, const struct fo__line *line,
				     const struct fo__parsed *parsed, uint16_t l4_delta)
{
	uint8_t *l4 = l3 + 20, *at = l4 + parsed->checksum;

	l3[8]--;
	fo__store16(l3 + 10, fo__csum_apply(fo__load16(l3 + 10), line->key.v4.ip_delta));
	memcpy(l3 + 12, &line->key.v4.new_src, 8);
	memcpy(l4, &line->key.v4.new_ports, 4);
	fo__rewrite_l4(at, parsed->key.code, 0, l4_delta, 0);
}

static inline void fo__rewrite_v4(uint8_t *l3, const struct fo__line *line, const struct fo__parsed *parsed,
				  uint16_t l4_delta, unsigned int dscp, int partial)
{
	unsigned int proto = parsed->key.code;
	uint16_t delta = line->key.v4.ip_delta;
	uint8_t *l4 = l3 + 20;

	if (dscp) {
		uint16_t before = fo__load16(l3);

		l3[1] = (uint8_t)(dscp << 2 | (l3[1] & 3));
		delta = fo__csum_fold(delta + fo__csum_change(before, fo__load16(l3)));
	}
	l3[8]--;
	fo__store16(l3 + 10, fo__csum_apply(fo__load16(l3 + 10), delta));
	memcpy(l3 + 12, &line->key.v4.new_src, 8);
	fo__rewrite_ports(l4, proto, line->key.v4.new_ports);
	fo__rewrite_l4(l4 + parsed->checksum, proto, partial, l4_delta, line->key.v4.address_delta);
}

/* The address delta of NAT66, which has no place in the line. */
static uint16_t fo__delta_v6(const uint8_t *l3, const struct fo__line *mirror)
{
	uint32_t delta = 0;

	for (unsigned int i = 0; i < 16; i += 2) {
		delta += fo__csum_change(fo__load16(l3 + 8 + i), fo__load16(mirror->key.v6.dst + i));
		delta += fo__csum_change(fo__load16(l3 + 24 + i), fo__load16(mirror->key.v6.src + i));
	}
	return fo__csum_fold(delta);
}

/* NAT66 takes the new addresses and ports from the mirror line's key. No branch for TCP or UDP. */
static inline void fo__rewrite_nat66(uint8_t *l3, const struct fo__line *mirror,
				     const struct fo__parsed *parsed, uint16_t delta, int partial)
{
	unsigned int proto = parsed->key.code & ~FO__CODE_V6;
	uint16_t address = __builtin_expect(partial, 0) ? fo__delta_v6(l3, mirror) : 0;
	uint32_t ports = mirror->ports;
	uint8_t *l4 = l3 + 40;

	memcpy(l3 + 8, mirror->key.v6.dst, 16);
	memcpy(l3 + 24, mirror->key.v6.src, 16);
	if (__builtin_expect(proto != FO__PROTO_ICMPV6, 1))
		ports = ports << 16 | ports >> 16;
	fo__rewrite_ports(l4, proto, ports);
	fo__rewrite_l4(l4 + parsed->checksum, proto, partial, delta, address);
}

static inline void fo__rewrite_v6(uint8_t *l3, const struct fo__line *mirror, const struct fo__parsed *parsed,
				  uint32_t ctl, unsigned int dscp, int partial)
{
	l3[7]--;
	if (__builtin_expect(dscp, 0)) {
		/* version 4, traffic class 8 (DSCP 6, ECN 2), flow label 20 */
		l3[0] = (uint8_t)(0x60 | (dscp & 0x3f) >> 2);
		l3[1] = (uint8_t)((dscp & 3) << 6 | (l3[1] & 0x3f));
	}
	if (ctl & FO__CTL_NAT)
		fo__rewrite_nat66(l3, mirror, parsed, (uint16_t)(ctl >> 16), partial);
}

/* Copy n bytes, 18 <= n <= 30, in two overlapping pieces. */
static inline void fo__copy_header(uint8_t *to, const uint8_t *from, unsigned int n)
{
	memcpy(to, from, 16);
	memcpy(to + n - 16, from + n - 16, 16);
}

/* The L2 header before the IP packet, and the packet's new place, length and port. */
static inline void fo__rewrite_l2(struct fo_packet *packet, const struct fo__parsed *parsed,
				  const struct fo__entry *to)
{
	uint32_t n = to->header_len, length = n + parsed->ip_len;
	uint32_t shift = n - parsed->l3; /* may wrap: all of it is modulo 2^32 */
	uint8_t *l3 = packet->data + parsed->l3;
	unsigned int pppoe = to->flags & FO__ENTRY_PPPOE;

	if (n == 14)
		memcpy(l3 - 14, to->header, 14);
	else
		fo__copy_header(l3 - n, to->header, n);
	if (pppoe) {
		unsigned int inner = parsed->ip_len + 2u;

		l3[-4] = (uint8_t)(inner >> 8);
		l3[-3] = (uint8_t)inner;
	}
	if (fo__key_is_v6(&parsed->key)) {
		/* entries have IPv4's */
		l3[-2] = pppoe ? 0x00 : 0x86;
		l3[-1] = pppoe ? 0x57 : 0xdd;
	}
	packet->data = l3 - n;
	packet->headroom = (uint16_t)(packet->headroom - shift);
	packet->contiguous += shift;
	if (packet->flags & FO_PKT_CSUM_PARTIAL)
		packet->csum_start = (uint16_t)(packet->csum_start + shift);
	if (packet->contiguous > length)
		packet->contiguous = length;
	packet->length = length;
	packet->out_port = to->port;
	packet->flags &= ~FO_PKT_VLAN;
}

/* The same of a packet that came in plain Ethernet and leaves so: it stays where it is. */
static inline void fo__rewrite_ethernet(struct fo_packet *packet, uint8_t *data, uint32_t ip_len,
					const struct fo__entry *to)
{
	uint32_t length = FO__QUICK_L3 + ip_len;

	memcpy(data, to->header, FO__QUICK_L3);
	if (__builtin_expect(packet->contiguous > length, 0))
		packet->contiguous = length;
	packet->length = length;
	packet->out_port = to->port;
}

#endif
