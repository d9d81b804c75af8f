/* SPDX-License-Identifier: BSD-2-Clause */
/* expressions.c - what the rules are made of: nf_tables' expressions as attributes. See state.h.
 * Source: include/uapi/linux/netfilter/nf_tables.h; numbers are big-endian there, data is as the register holds it. */
#include "backends/nft/state.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

struct expression {
	struct nlattr *element, *data;
};

static struct expression begin(struct fo__tx *tx, const char *name)
{
	struct expression e = {.element = fo__tx_open(tx, NFTA_LIST_ELEM)};

	fo__tx_put_text(tx, NFTA_EXPR_NAME, name);
	e.data = fo__tx_open(tx, NFTA_EXPR_DATA);
	return e;
}

static void end(struct fo__tx *tx, struct expression e)
{
	fo__tx_close(tx, e.data);
	fo__tx_close(tx, e.element);
}

static void put_value(struct fo__tx *tx, uint16_t type, const void *value, size_t size)
{
	struct nlattr *nest = fo__tx_open(tx, type);

	fo__tx_put(tx, NFTA_DATA_VALUE, size, value);
	fo__tx_close(tx, nest);
}

static void meta(struct fo__tx *tx, uint32_t key, uint32_t reg)
{
	struct expression e = begin(tx, "meta");

	fo__tx_put_be32(tx, NFTA_META_DREG, reg);
	fo__tx_put_be32(tx, NFTA_META_KEY, key);
	end(tx, e);
}

static void compare(struct fo__tx *tx, uint32_t reg, uint32_t op, const void *value, size_t size)
{
	struct expression e = begin(tx, "cmp");

	fo__tx_put_be32(tx, NFTA_CMP_SREG, reg);
	fo__tx_put_be32(tx, NFTA_CMP_OP, op);
	put_value(tx, NFTA_CMP_DATA, value, size);
	end(tx, e);
}

static void compare_u8(struct fo__tx *tx, uint32_t reg, uint8_t value)
{
	compare(tx, reg, NFT_CMP_EQ, &value, sizeof(value));
}

static void ct(struct fo__tx *tx, uint32_t key, int original, uint32_t reg)
{
	struct expression e = begin(tx, "ct");

	fo__tx_put_be32(tx, NFTA_CT_DREG, reg);
	fo__tx_put_be32(tx, NFTA_CT_KEY, key);
	if (original)
		fo__tx_put_u8(tx, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	end(tx, e);
}

/* The register and these bits. */
static void keep_bits(struct fo__tx *tx, const void *mask, uint32_t size)
{
	static const uint8_t none[16];
	struct expression e = begin(tx, "bitwise");

	fo__tx_put_be32(tx, NFTA_BITWISE_SREG, NFT_REG_1);
	fo__tx_put_be32(tx, NFTA_BITWISE_DREG, NFT_REG_1);
	fo__tx_put_be32(tx, NFTA_BITWISE_LEN, size);
	put_value(tx, NFTA_BITWISE_MASK, mask, size);
	put_value(tx, NFTA_BITWISE_XOR, none, size);
	end(tx, e);
}

void fo__nft_established(struct fo__tx *tx)
{
	const uint32_t bit = NF_CT_STATE_BIT(IP_CT_ESTABLISHED), none = 0;

	ct(tx, NFT_CT_STATE, 0, NFT_REG_1);
	keep_bits(tx, &bit, sizeof(bit));
	compare(tx, NFT_REG_1, NFT_CMP_NEQ, &none, sizeof(none));
}

void fo__nft_match_no_nat(struct fo__tx *tx)
{
	const uint32_t bits = IPS_NAT_MASK, none = 0;

	ct(tx, NFT_CT_STATUS, 0, NFT_REG_1);
	keep_bits(tx, &bits, sizeof(bits));
	compare(tx, NFT_REG_1, NFT_CMP_EQ, &none, sizeof(none));
}

/* The key, field by field as key_of() in elements.c lays it out; every field takes whole registers. */
static void load_key(struct fo__tx *tx, const struct fo__nft_set *set)
{
	int v6 = set->family == FO_FAMILY_IPV6;
	uint32_t words = set->address / 4u, reg = NFT_REG32_00;

	ct(tx, NFT_CT_ZONE, 0, reg++);
	ct(tx, v6 ? NFT_CT_SRC_IP6 : NFT_CT_SRC_IP, 1, reg);
	reg += words;
	ct(tx, v6 ? NFT_CT_DST_IP6 : NFT_CT_DST_IP, 1, reg);
	reg += words;
	ct(tx, NFT_CT_PROTO_SRC, 1, reg++);
	ct(tx, NFT_CT_PROTO_DST, 1, reg);
}

static void look_up(struct fo__tx *tx, const char *name, uint32_t number, int in)
{
	struct expression e = begin(tx, "lookup");

	fo__tx_put_be32(tx, NFTA_LOOKUP_SREG, NFT_REG32_00);
	fo__tx_put_text(tx, NFTA_LOOKUP_SET, name);
	fo__tx_put_be32(tx, NFTA_LOOKUP_SET_ID, number + 1);
	if (!in)
		fo__tx_put_be32(tx, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	end(tx, e);
}

void fo__nft_match_set(struct fo__tx *tx, const struct fo__nft_set *set, const char *name, uint32_t number,
		       int in)
{
	load_key(tx, set);
	look_up(tx, name, number, in);
}

void fo__nft_match_protocol(struct fo__tx *tx, const struct fo__nft_set *set)
{
	meta(tx, NFT_META_NFPROTO, NFT_REG_1);
	compare_u8(tx, NFT_REG_1, set->family == FO_FAMILY_IPV6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	meta(tx, NFT_META_L4PROTO, NFT_REG_1);
	compare_u8(tx, NFT_REG_1, set->proto);
}

/* The packet travels as the originator's do. */
void fo__nft_match_original(struct fo__tx *tx)
{
	ct(tx, NFT_CT_DIRECTION, 0, NFT_REG_1);
	compare_u8(tx, NFT_REG_1, IP_CT_DIR_ORIGINAL);
}

void fo__nft_match_zone(struct fo__tx *tx, uint16_t zone)
{
	ct(tx, NFT_CT_ZONE, 0, NFT_REG_1);
	compare(tx, NFT_REG_1, NFT_CMP_EQ, &zone, sizeof(zone));
}

void fo__nft_match_devices(struct fo__tx *tx, const uint32_t device[2])
{
	meta(tx, NFT_META_IIF, NFT_REG_1);
	compare(tx, NFT_REG_1, NFT_CMP_EQ, &device[0], sizeof(device[0]));
	meta(tx, NFT_META_OIF, NFT_REG_1);
	compare(tx, NFT_REG_1, NFT_CMP_EQ, &device[1], sizeof(device[1]));
}

static void payload(struct fo__tx *tx, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg)
{
	struct expression e = begin(tx, "payload");

	fo__tx_put_be32(tx, NFTA_PAYLOAD_DREG, reg);
	fo__tx_put_be32(tx, NFTA_PAYLOAD_BASE, base);
	fo__tx_put_be32(tx, NFTA_PAYLOAD_OFFSET, offset);
	fo__tx_put_be32(tx, NFTA_PAYLOAD_LEN, size);
	end(tx, e);
}

void fo__nft_match_prefix(struct fo__tx *tx, const struct fo__nft_set *set, int dst, const uint8_t *prefix,
			  uint8_t length)
{
	uint32_t source = set->family == FO_FAMILY_IPV6 ? 8 : 12;
	uint8_t mask[16] = {0}, masked[16];

	if (!length)
		return;
	for (unsigned int i = 0; i < length; i++)
		mask[i / 8] |= (uint8_t)(0x80u >> i % 8);
	for (unsigned int i = 0; i < 16; i++)
		masked[i] = prefix[i] & mask[i];
	payload(tx, NFT_PAYLOAD_NETWORK_HEADER, source + (dst ? set->address : 0u), set->address, NFT_REG_1);
	if (length < set->address * 8u)
		keep_bits(tx, mask, set->address);
	compare(tx, NFT_REG_1, NFT_CMP_EQ, masked, set->address);
}

/* As key_of() in proof.c lays it out. */
void fo__nft_match_packet(struct fo__tx *tx, const struct fo__nft_set *set, uint32_t number)
{
	uint32_t source = set->family == FO_FAMILY_IPV6 ? 8 : 12, words = set->address / 4u;

	payload(tx, NFT_PAYLOAD_NETWORK_HEADER, source, set->address, NFT_REG32_00);
	payload(tx, NFT_PAYLOAD_NETWORK_HEADER, source + set->address, set->address, NFT_REG32_00 + words);
	payload(tx, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, NFT_REG32_00 + 2 * words);
	payload(tx, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00 + 2 * words + 1);
	look_up(tx, set->seen, number, 1);
}

void fo__nft_match_ports(struct fo__tx *tx, int dst, uint16_t first, uint16_t last)
{
	uint16_t first_be = htobe16(first), last_be = htobe16(last);

	if (!first && !last)
		return;
	payload(tx, NFT_PAYLOAD_TRANSPORT_HEADER, dst ? 2 : 0, 2, NFT_REG_1);
	if (first == last) {
		compare(tx, NFT_REG_1, NFT_CMP_EQ, &first_be, 2);
		return;
	}
	compare(tx, NFT_REG_1, NFT_CMP_GTE, &first_be, 2);
	compare(tx, NFT_REG_1, NFT_CMP_LTE, &last_be, 2);
}

void fo__nft_flow_add(struct fo__tx *tx, const char *flowtable)
{
	struct expression e = begin(tx, "flow_offload");

	fo__tx_put_text(tx, NFTA_FLOW_TABLE_NAME, flowtable);
	end(tx, e);
}
