/* SPDX-License-Identifier: BSD-2-Clause */
/* packet.c - builds Ethernet frames, right or deliberately wrong. Interface and neighbours:
 * packet.h. */
#include "packet.h"

#include <stdlib.h>

uint16_t packet_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

void packet_put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	packet_put16(p, value >> 16);
	packet_put16(p + 2, value & 0xffff);
}

uint32_t packet_sum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2) {
		sum += packet_get16(bytes + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len & 1)
		sum += (uint32_t)bytes[len - 1] << 8;
	return sum;
}

uint16_t packet_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

void packet_spec_init(struct packet_spec *spec, const struct fo_tuple *tuple, const struct fo_adj *side)
{
	unsigned int i;

	memset(spec, 0, sizeof(*spec));
	memcpy(spec->dst_mac, side->own_mac, 6);
	memcpy(spec->src_mac, side->peer_mac, 6);
	spec->n_encaps = side->n_encaps;
	for (i = 0; i < side->n_encaps; i++)
		spec->encap[i] = side->encap[i];
	spec->tuple = *tuple;
	spec->ttl = 64;
	spec->ip_id = 0x1234;
	spec->frag = tuple->family == FO_FAMILY_IPV4 ? 0x4000 : 0;
	spec->flow_label = 0xbeef;
	spec->tcp_flags = TCP_ACK;
	spec->payload_len = 32;
	spec->payload_seed = 1;
	spec->data_offset = -1;
	spec->version = -1;
	spec->ihl = -1;
}

static unsigned int l4_header_len(const struct packet_spec *spec)
{
	switch (spec->tuple.proto) {
	case 6:
		return 20 + spec->tcp_options_len;
	default:
		return 8;
	}
}

static uint32_t put_l2(const struct packet_spec *spec, uint32_t ip_len, uint8_t *p)
{
	static const uint16_t types[] = {0, 0x8100, 0x88a8, 0x8864};
	uint32_t at = 12;
	int v4 = spec->tuple.family == FO_FAMILY_IPV4;
	int ppp = 0;
	unsigned int i;

	memcpy(p, spec->dst_mac, 6);
	memcpy(p + 6, spec->src_mac, 6);
	for (i = 0; i < spec->n_encaps; i++) {
		const struct fo_encap *encap = &spec->encap[i];

		if (encap->kind == FO_ENCAP_NONE || encap->kind > FO_ENCAP_PPPOE)
			abort();
		packet_put16(p + at, types[encap->kind]);
		if (encap->kind == FO_ENCAP_PPPOE) {
			packet_put16(p + at + 2, 0x1100);
			packet_put16(p + at + 4, encap->id);
			packet_put16(p + at + 6, ip_len + 2 + (uint32_t)spec->ppp_len_delta);
			at += 8;
			ppp = 1;
		} else {
			packet_put16(p + at + 2,
				     (uint32_t)encap->pcp << 13 | (uint32_t)encap->dei << 12 | encap->id);
			at += 4;
		}
	}
	packet_put16(p + at, ppp ? (v4 ? 0x0021 : 0x0057) : (v4 ? 0x0800 : 0x86dd));
	return at + 2;
}

static void put_ipv4(const struct packet_spec *spec, uint8_t *p, uint32_t ip_len)
{
	uint32_t hlen = 20 + spec->options_len;
	uint32_t version = spec->version < 0 ? 4 : (uint32_t)spec->version;
	uint32_t ihl = spec->ihl < 0 ? hlen / 4 : (uint32_t)spec->ihl;

	p[0] = (uint8_t)(version << 4 | (ihl & 15));
	p[1] = spec->tos;
	packet_put16(p + 2, ip_len + (uint32_t)spec->ip_len_delta);
	packet_put16(p + 4, spec->ip_id);
	packet_put16(p + 6, spec->frag);
	p[8] = spec->ttl;
	p[9] = spec->tuple.proto;
	packet_put16(p + 10, 0);
	memcpy(p + 12, spec->tuple.src, 4);
	memcpy(p + 16, spec->tuple.dst, 4);
	memset(p + 20, 1, spec->options_len); /* "no operation" */
	packet_put16(p + 10, (uint16_t)~packet_fold(packet_sum(p, hlen, 0)) ^ spec->ip_csum_xor);
}

/* Returns the bytes of extension headers written behind the fixed header. */
static uint32_t put_ipv6(const struct packet_spec *spec, uint8_t *p, uint32_t ip_len)
{
	uint32_t version = spec->version < 0 ? 6 : (uint32_t)spec->version;
	uint8_t *next = p + 6;
	uint32_t at = 40;
	unsigned int i;

	put32(p, version << 28 | (uint32_t)spec->tos << 20 | (spec->flow_label & 0xfffff));
	packet_put16(p + 4, ip_len - 40 + (uint32_t)spec->ip_len_delta);
	p[7] = spec->ttl;
	memcpy(p + 8, spec->tuple.src, 16);
	memcpy(p + 24, spec->tuple.dst, 16);
	for (i = 0; i < spec->n_ext + (spec->frag != 0); i++) {
		int fragment = i == spec->n_ext;

		*next = fragment ? 44 : spec->ext[i];
		memset(p + at, 0, 8);
		if (fragment) {
			packet_put16(p + at + 2, spec->frag);
			put32(p + at + 4, spec->ip_id);
		} else {
			p[at + 2] = 1; /* PadN of four bytes */
			p[at + 3] = 4;
		}
		next = p + at;
		at += 8;
	}
	*next = spec->tuple.proto;
	return at;
}

static uint32_t pseudo_sum(const struct packet_spec *spec, uint32_t l4_len)
{
	size_t len = spec->tuple.family == FO_FAMILY_IPV4 ? 4 : 16;
	uint32_t sum = packet_sum(spec->tuple.src, len, 0);

	sum = packet_sum(spec->tuple.dst, len, sum);
	return sum + l4_len + spec->tuple.proto;
}

static uint16_t l4_csum(const struct packet_spec *spec, const uint8_t *l4, uint32_t l4_len)
{
	uint32_t sum = spec->tuple.proto == 1 ? 0 : pseudo_sum(spec, l4_len);
	uint16_t good;

	if (spec->csum == PACKET_CSUM_GIVEN)
		return spec->csum_value;
	if (spec->csum == PACKET_CSUM_PARTIAL)
		return packet_fold(sum);
	good = (uint16_t)~packet_fold(packet_sum(l4, l4_len, sum));
	if (spec->tuple.proto == 17 && good == 0)
		good = 0xffff;
	return spec->csum == PACKET_CSUM_WRONG ? good ^ spec->csum_value : good;
}

/* Writes the L4 header and payload; returns the offset of the checksum in it. */
static uint32_t put_l4(const struct packet_spec *spec, uint8_t *p, uint32_t l4_len)
{
	uint32_t hlen = l4_header_len(spec);
	uint32_t csum_at = spec->tuple.proto == 6 ? 16 : spec->tuple.proto == 17 ? 6 : 2;
	uint32_t state = spec->payload_seed;
	uint32_t i;

	memset(p, 0, hlen);
	for (i = hlen; i < l4_len; i++) {
		state = state * 1664525u + 1013904223u;
		p[i] = (uint8_t)(state >> 24);
	}
	memcpy(p, &spec->tuple.sport_be, 2);
	memcpy(p + 2, &spec->tuple.dport_be, 2);
	switch (spec->tuple.proto) {
	case 6:
		put32(p + 4, 0x01020304);
		put32(p + 8, 0x05060708);
		p[12] = (uint8_t)((spec->data_offset < 0 ? hlen / 4 : (uint32_t)spec->data_offset) << 4);
		p[13] = spec->tcp_flags;
		packet_put16(p + 14, 0x2000);
		memset(p + 20, 1, spec->tcp_options_len);
		break;
	case 17:
		packet_put16(p + 4, l4_len + (uint32_t)spec->l4_len_delta);
		break;
	case 1:
	case 58:
		memcpy(p, &spec->tuple.dport_be, 2);
		memcpy(p + 4, &spec->tuple.sport_be, 2);
		memset(p + 2, 0, 2);
		packet_put16(p + 6, 7);
		break;
	default: /* SCTP, GRE, ...: eight bytes that look like ports */
		return csum_at;
	}
	packet_put16(p + csum_at, l4_csum(spec, p, l4_len));
	return csum_at;
}

void packet_build(const struct packet_spec *spec, struct packet_frame *out)
{
	int v4 = spec->tuple.family == FO_FAMILY_IPV4;
	uint32_t l3_len = v4 ? 20 + spec->options_len : 40 + 8 * (spec->n_ext + (spec->frag != 0));
	uint32_t l4_len = l4_header_len(spec) + spec->payload_len;
	uint32_t ip_len = l3_len + l4_len;

	if (ip_len + spec->padding + 64 > PACKET_MAX || spec->n_encaps > PACKET_MAX_ENCAP ||
	    spec->n_ext > PACKET_MAX_EXT || spec->options_len > 40 || spec->tcp_options_len > 40)
		abort();
	out->l3 = put_l2(spec, ip_len, out->bytes);
	if (v4)
		put_ipv4(spec, out->bytes + out->l3, ip_len);
	else
		put_ipv6(spec, out->bytes + out->l3, ip_len);
	out->l4 = out->l3 + l3_len;
	out->payload = out->l4 + l4_header_len(spec);
	out->end = out->l3 + ip_len;
	out->length = out->end + spec->padding;
	out->l4_csum = out->l4 + put_l4(spec, out->bytes + out->l4, l4_len);
	memset(out->bytes + out->end, 0xee, spec->padding);
}

int packet_ip_csum_ok(const uint8_t *frame, uint32_t l3)
{
	return packet_fold(packet_sum(frame + l3, 20, 0)) == 0xffff;
}

int packet_l4_csum_ok(const uint8_t *frame, uint32_t l3, uint32_t length)
{
	const uint8_t *ip = frame + l3;
	int v4 = ip[0] >> 4 == 4;
	uint32_t l4_len = v4 ? packet_get16(ip + 2) - 20u : packet_get16(ip + 4);
	uint8_t proto = v4 ? ip[9] : ip[6];
	const uint8_t *l4 = ip + (v4 ? 20 : 40);
	uint32_t sum = 0;

	if (l3 + (v4 ? 20 : 40) + l4_len > length)
		return 0;
	if (proto == 17 && packet_get16(l4 + 6) == 0)
		return v4;
	if (proto != 1) {
		sum = v4 ? packet_sum(ip + 12, 8, 0) : packet_sum(ip + 8, 32, 0);
		sum += l4_len + proto;
	}
	return packet_fold(packet_sum(l4, l4_len, sum)) == 0xffff;
}
