/* SPDX-License-Identifier: BSD-2-Clause */
/* router_icmp.c - what the router itself says: echo replies for its own addresses, time exceeded, packet too big.
 * At most SAY_MAX a second, so that nobody makes it shout. Neighbours: see router.h.
 */
#include "router.h"

#include <string.h>

#define SAY_MAX	  100u
#define QUOTE_IP4 548u	/* RFC 1812 4.3.2.3: 576 bytes in all */
#define QUOTE_IP6 1232u /* RFC 4443 2.4: 1280 bytes in all */
#define HOP_LIMIT 64
#define ROOM	  18u

static const struct virtio_net_hdr plain;

static bool may_say(struct router *r)
{
	if (r->now_ms - r->said_ms >= 1000) {
		r->said_ms = r->now_ms;
		r->said = 0;
	}
	return r->said++ < SAY_MAX;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum_words(const uint8_t *p, size_t n, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	return n & 1 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

static uint32_t finish(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
}

static void ip4_checksum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, finish(sum_words(ip, 20, 0)));
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
	while (n--) {
		uint8_t t = a[n];

		a[n] = b[n];
		b[n] = t;
	}
}

/* Adds to a checksum what the sum of the message has lost (RFC 1624). */
static void adjust_type(uint8_t *csum, uint32_t was, uint32_t is)
{
	put16(csum, finish((~(uint32_t)(csum[0] << 8 | csum[1]) & 0xffff) + (~was & 0xffff) + is));
}

static bool echo_request4(const uint8_t *ip, uint32_t n)
{
	return n >= 28 && ip[0] == 0x45 && ip[9] == 1 && !(ip[6] & 0x3f) && !ip[7] && ip[20] == 8 &&
	       !ip[21] && (uint32_t)(ip[2] << 8 | ip[3]) >= 28 && (uint32_t)(ip[2] << 8 | ip[3]) <= n;
}

static bool echo_request6(const uint8_t *ip, uint32_t n)
{
	return n >= 48 && ip[0] >> 4 == 6 && ip[6] == 58 && ip[40] == 128 && !ip[41] &&
	       (uint32_t)(ip[4] << 8 | ip[5]) >= 8 && (uint32_t)(ip[4] << 8 | ip[5]) + 40 <= n;
}

void router_local(struct router *r, int side, struct sp_packet *pkt)
{
	uint8_t *ip = pkt->l3;
	uint32_t n = pkt->contiguous;
	int own;

	if (pkt->csum_partial || (!echo_request4(ip, n) && !echo_request6(ip, n)))
		return;
	/* Both addresses may be asked from the LAN; from the WAN the LAN's is nobody's business. */
	for (own = side; own <= SP_WAN; own++) {
		if (!router_own_address(r, own, ip[0] == 0x45 ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6,
					ip + (ip[0] == 0x45 ? 16 : 24)))
			continue;
		if (!may_say(r))
			return;
		r->n.echo_answered++;
		if (ip[0] == 0x45) {
			swap_bytes(ip + 12, ip + 16, 4);
			ip[20] = 0;
			adjust_type(ip + 22, 0x0800, 0);
			ip[8] = HOP_LIMIT;
			ip4_checksum(ip);
			router_output(r, side, ip, (uint32_t)(ip[2] << 8 | ip[3]), &plain);
		} else {
			swap_bytes(ip + 8, ip + 24, 16);
			ip[40] = 129;
			adjust_type(ip + 42, 0x8000, 0x8100);
			ip[7] = HOP_LIMIT;
			router_output(r, side, ip, (uint32_t)(ip[4] << 8 | ip[5]) + 40, &plain);
		}
		return;
	}
}

/* ---- Errors ---- */

/* No errors about errors, about later fragments, or where one may not be sent. */
static bool may_complain(const uint8_t *ip, const struct sp_packet *pkt)
{
	if (ip[0] >> 4 == 6)
		return ip[6] != 58 || (pkt->contiguous > 40 && ip[40] >= 128);
	if ((ip[6] & 0x1f) || ip[7])
		return false;
	if (pkt->drop == SP_D_MTU && !(ip[6] & 0x40))
		return false;
	return ip[9] != 1 || (pkt->contiguous > 20 && (ip[20] == 8 || ip[20] == 0));
}

static uint32_t quote_size(const struct sp_packet *pkt, uint32_t max)
{
	uint32_t size = pkt->contiguous < pkt->length ? pkt->contiguous : pkt->length;

	return size < max ? size : max;
}

static uint32_t write_error4(uint8_t *ip, const struct sp_packet *pkt, const uint8_t *from)
{
	bool too_big = pkt->drop == SP_D_MTU;
	uint32_t quote = quote_size(pkt, QUOTE_IP4), length = 28 + quote;

	memset(ip, 0, 28);
	ip[0] = 0x45;
	put16(ip + 2, length);
	ip[8] = HOP_LIMIT;
	ip[9] = 1;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, pkt->l3 + 12, 4);
	ip4_checksum(ip);
	ip[20] = too_big ? 3 : 11;
	ip[21] = too_big ? 4 : 0;
	put16(ip + 26, too_big ? pkt->mtu : 0);
	memcpy(ip + 28, pkt->l3, quote);
	put16(ip + 22, finish(sum_words(ip + 20, length - 20, 0)));
	return length;
}

static uint32_t write_error6(uint8_t *ip, const struct sp_packet *pkt, const uint8_t *from)
{
	bool too_big = pkt->drop == SP_D_MTU;
	uint32_t quote = quote_size(pkt, QUOTE_IP6), length = 48 + quote;

	memset(ip, 0, 48);
	ip[0] = 0x60;
	put16(ip + 4, length - 40);
	ip[6] = 58;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, from, 16);
	memcpy(ip + 24, pkt->l3 + 8, 16);
	ip[40] = too_big ? 2 : 3;
	put16(ip + 46, too_big ? pkt->mtu : 0);
	memcpy(ip + 48, pkt->l3, quote);
	put16(ip + 42, finish(sum_words(ip + 8, length - 8, 58 + length - 40)));
	return length;
}

void router_icmp_error(struct router *r, int side, const struct sp_packet *pkt)
{
	uint8_t buffer[ROOM + 48 + QUOTE_IP6], *ip = buffer + ROOM;
	int family = pkt->l3[0] >> 4 == 4 ? ROUTER_V4 : ROUTER_V6;
	const struct router_addr *from = &r->o.addr[side][family];
	uint32_t length;

	if (!from->set || !may_complain(pkt->l3, pkt) || !may_say(r))
		return;
	length = family == ROUTER_V4 ? write_error4(ip, pkt, from->addr) : write_error6(ip, pkt, from->addr);
	r->n.icmp_sent++;
	router_output(r, side, ip, length, &plain);
	ap_flush(&r->port[side]); /* the buffer is on our stack */
}
