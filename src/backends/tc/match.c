/* SPDX-License-Identifier: BSD-2-Clause */
/* match.c - what the packets of a direction look like when they arrive, as keys of flower. See state.h.
 *
 * Profile explicit says everything that a packet must be to take the short cut; a router's packet engine looks at
 * connections only, and what else it is told it ignores in silence: so it is not told.
 */
#include "backends/tc/state.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static uint16_t payload_type(unsigned int family)
{
	return family == FO_FAMILY_IPV4 ? ETH_P_IP : ETH_P_IPV6;
}

static uint16_t tag_type(const struct fo_encap *encap)
{
	return encap->kind == FO_ENCAP_8021AD ? ETH_P_8021AD : ETH_P_8021Q;
}

/* A VID is in host order here; any priority will do. */
static void put_vid(struct fo__tx *tx, uint16_t type, uint16_t vid)
{
	fo__tx_put(tx, type, sizeof(vid), &vid);
}

void fo__tc_put_shape(struct fo__tx *tx, const struct fo_adj *adj, unsigned int family, int with_ids)
{
	uint32_t n = adj->n_encaps;

	fo__tx_put_be16(tx, TCA_FLOWER_KEY_ETH_TYPE, n ? tag_type(&adj->encap[0]) : payload_type(family));
	if (n > 0) {
		if (with_ids)
			put_vid(tx, TCA_FLOWER_KEY_VLAN_ID, adj->encap[0].id);
		fo__tx_put_be16(tx, TCA_FLOWER_KEY_VLAN_ETH_TYPE,
				n > 1 ? tag_type(&adj->encap[1]) : payload_type(family));
	}
	if (n > 1) {
		if (with_ids)
			put_vid(tx, TCA_FLOWER_KEY_CVLAN_ID, adj->encap[1].id);
		fo__tx_put_be16(tx, TCA_FLOWER_KEY_CVLAN_ETH_TYPE, payload_type(family));
	}
}

static void put_masked(struct fo__tx *tx, uint16_t key, uint16_t mask, const uint8_t *value, size_t size)
{
	static const uint8_t all[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	fo__tx_put(tx, key, size, value);
	fo__tx_put(tx, mask, size, all);
}

static void put_addresses(struct fo__tx *tx, const struct fo_tuple *tuple)
{
	if (tuple->family == FO_FAMILY_IPV4) {
		put_masked(tx, TCA_FLOWER_KEY_IPV4_SRC, TCA_FLOWER_KEY_IPV4_SRC_MASK, tuple->src, 4);
		put_masked(tx, TCA_FLOWER_KEY_IPV4_DST, TCA_FLOWER_KEY_IPV4_DST_MASK, tuple->dst, 4);
	} else {
		put_masked(tx, TCA_FLOWER_KEY_IPV6_SRC, TCA_FLOWER_KEY_IPV6_SRC_MASK, tuple->src, 16);
		put_masked(tx, TCA_FLOWER_KEY_IPV6_DST, TCA_FLOWER_KEY_IPV6_DST_MASK, tuple->dst, 16);
	}
}

static void put_ports(struct fo__tx *tx, const struct fo_tuple *tuple)
{
	int tcp = tuple->proto == IPPROTO_TCP;

	fo__tx_put(tx, tcp ? TCA_FLOWER_KEY_TCP_SRC : TCA_FLOWER_KEY_UDP_SRC, 2, &tuple->sport_be);
	fo__tx_put(tx, tcp ? TCA_FLOWER_KEY_TCP_DST : TCA_FLOWER_KEY_UDP_DST, 2, &tuple->dport_be);
}

/* No SYN, FIN, RST; no fragment; to our address. */
static void put_guards(struct fo__tx *tx, const struct fo__tc_rule *rule)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	fo__tx_put(tx, TCA_FLOWER_KEY_ETH_DST, 6, rule->from->own_mac);
	fo__tx_put(tx, TCA_FLOWER_KEY_ETH_DST_MASK, 6, all);
	if (rule->in->proto == IPPROTO_TCP) {
		fo__tx_put_be16(tx, TCA_FLOWER_KEY_TCP_FLAGS, 0);
		fo__tx_put_be16(tx, TCA_FLOWER_KEY_TCP_FLAGS_MASK, TH_SYN | TH_FIN | TH_RST);
	}
	fo__tx_put_be32(tx, TCA_FLOWER_KEY_FLAGS, 0);
	fo__tx_put_be32(tx, TCA_FLOWER_KEY_FLAGS_MASK, TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT);
}

void fo__tc_put_match(const struct fo__tc *tc, struct fo__tx *tx, const struct fo__tc_rule *rule)
{
	if (rule->port->block)
		fo__tx_put_text(tx, TCA_FLOWER_INDEV, rule->port->name);
	fo__tc_put_shape(tx, rule->from, rule->in->family, 1);
	fo__tx_put_u8(tx, TCA_FLOWER_KEY_IP_PROTO, rule->in->proto);
	put_addresses(tx, rule->in);
	put_ports(tx, rule->in);
	if (tc->profile == FO_TC_PROFILE_EXPLICIT)
		put_guards(tx, rule);
}
