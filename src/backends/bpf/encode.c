/* SPDX-License-Identifier: BSD-2-Clause */
/* encode.c - flows and adjacencies as layout.h has them. Neighbours: encode.h, flows.c, sides.c. */
#include "backends/bpf/encode.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

/* ---- directions ---- */

void fo__bpf_build_key(const struct fo_tuple *tuple, uint32_t ingress, union fo__bpf_key *key)
{
	uint32_t where = ingress << 8 | tuple->proto;

	memset(key, 0, sizeof(*key));
	if (tuple->family == FO_FAMILY_IPV4) {
		memcpy(&key->v4.src, tuple->src, 4);
		memcpy(&key->v4.dst, tuple->dst, 4);
		key->v4.sport = tuple->sport_be;
		key->v4.dport = tuple->dport_be;
		key->v4.where = where;
	} else {
		memcpy(key->v6.src, tuple->src, 16);
		memcpy(key->v6.dst, tuple->dst, 16);
		key->v6.sport = tuple->sport_be;
		key->v6.dport = tuple->dport_be;
		key->v6.where = where;
	}
}

void fo__bpf_read_tuple(uint8_t family, const union fo__bpf_key *key, struct fo_tuple *out)
{
	memset(out, 0, sizeof(*out));
	out->family = family;
	if (family == FO_FAMILY_IPV4) {
		memcpy(out->src, &key->v4.src, 4);
		memcpy(out->dst, &key->v4.dst, 4);
		out->sport_be = key->v4.sport;
		out->dport_be = key->v4.dport;
		out->proto = (uint8_t)key->v4.where;
	} else {
		memcpy(out->src, key->v6.src, 16);
		memcpy(out->dst, key->v6.dst, 16);
		out->sport_be = key->v6.sport;
		out->dport_be = key->v6.dport;
		out->proto = (uint8_t)key->v6.where;
	}
}

/* RFC 1624: what changing these bytes adds to the complement of a checksum; only words that change take part. */
static uint32_t change(const void *from, const void *to, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i += 2) {
		uint16_t old, new;

		memcpy(&old, (const uint8_t *)from + i, 2);
		memcpy(&new, (const uint8_t *)to + i, 2);
		sum += old == new ? 0 : (uint32_t)(uint16_t)~old + new;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void fo__bpf_build_element(const struct fo_backend_flow *flow, uint32_t slots, unsigned int dir,
			   const uint32_t side[2], union fo__bpf_element *out)
{
	const struct fo_tuple *in = &flow->flow->tuple[dir], *to = &flow->out[dir];
	size_t bytes = in->family == FO_FAMILY_IPV4 ? 4 : 16;
	uint32_t addresses = change(in->src, to->src, bytes) + change(in->dst, to->dst, bytes);

	memset(out, 0, sizeof(*out));
	out->flow.new_sport = to->sport_be;
	out->flow.new_dport = to->dport_be;
	out->flow.address_delta = fold(addresses);
	out->flow.number = flow->slot + dir * slots;
	out->flow.how = side[1 - dir] << 16 | (uint32_t)flow->flow->dscp[dir] << 8;
	out->flow.in = (uint16_t)side[dir];
	if (memcmp(in->src, to->src, 16) || memcmp(in->dst, to->dst, 16) || in->sport_be != to->sport_be ||
	    in->dport_be != to->dport_be)
		out->flow.how |= FO__BPF_HOW_NAT;
	if (in->family == FO_FAMILY_IPV4) {
		memcpy(&out->v4.new_src, to->src, 4);
		memcpy(&out->v4.new_dst, to->dst, 4);
	} else {
		memcpy(out->v6.new_src, to->src, 16);
		memcpy(out->v6.new_dst, to->dst, 16);
	}
}

/* ---- sides ---- */

uint64_t fo__bpf_encap_word(const struct fo_adj *adj)
{
	uint64_t word = 0;

	for (uint32_t i = 0; i < adj->n_encaps; i++) {
		const struct fo_encap *encap = &adj->encap[i];

		if (encap->kind == FO_ENCAP_PPPOE)
			word |= UINT64_C(1) << 31 | (uint64_t)encap->id << 32;
		else
			word |= (uint64_t)((unsigned int)encap->kind << 12 | (encap->id & 0xfffu))
				<< (i * 14);
	}
	return word;
}

static uint8_t *put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

void fo__bpf_build_entry(const struct fo_adj *adj, uint32_t ingress, struct fo__bpf_entry *entry)
{
	uint8_t *at = entry->header + 12;

	memset(entry, 0, sizeof(*entry));
	memcpy(entry->header, adj->peer_mac, 6);
	memcpy(entry->header + 6, adj->own_mac, 6);
	for (uint32_t i = 0; i < adj->n_encaps; i++) {
		const struct fo_encap *encap = &adj->encap[i];

		if (encap->kind == FO_ENCAP_PPPOE) {
			at = put16(put16(put16(at, ETH_P_PPP_SES), 0x1100), encap->id) + 2;
			entry->flags |= FO__BPF_ENTRY_PPPOE;
		} else {
			at = put16(at, encap->kind == FO_ENCAP_8021Q ? ETH_P_8021Q : ETH_P_8021AD);
			at = put16(at, (unsigned int)encap->pcp << 13 | (unsigned int)encap->dei << 12 |
					       encap->id);
			entry->n_tags++;
		}
	}
	entry->header_len = (uint8_t)(at + 2 - entry->header);
	entry->port = adj->port;
	entry->mtu = adj->mtu;
	entry->ingress = ingress;
	memcpy(entry->own_mac, adj->own_mac, 6);
}
