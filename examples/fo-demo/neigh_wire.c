/* SPDX-License-Identifier: BSD-2-Clause */
/* neigh_wire.c - ARP (RFC 826) and neighbour discovery (RFC 4861) as bytes. See neigh.h. */
#include "neigh.h"

#include <string.h>

#define ETH_ARP	       0x0806u
#define ETH_IP6	       0x86ddu
#define ETH_VLAN       0x8100u
#define ARP_SIZE       28u
#define ND_SIZE	       32u /* header, target, one option with a MAC */
#define ND_ASK	       135
#define ND_TELL	       136
#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint8_t *neigh_write_ethernet(uint8_t *l3, const uint8_t to[6], const uint8_t from[6], uint16_t vlan,
			      uint16_t type)
{
	uint8_t *eth = l3 - (vlan ? 18 : 14);

	put16(l3 - 2, type);
	if (vlan) {
		put16(l3 - 4, vlan);
		put16(l3 - 6, ETH_VLAN);
	}
	memcpy(eth, to, 6);
	memcpy(eth + 6, from, 6);
	return eth;
}

bool neigh_read_arp(const uint8_t *arp, size_t n, struct neigh_message *m)
{
	static const uint8_t ethernet_ip4[] = {0, 1, 8, 0, 6, 4, 0};

	if (n < ARP_SIZE || memcmp(arp, ethernet_ip4, sizeof(ethernet_ip4)) || arp[7] < 1 || arp[7] > 2)
		return false;
	memset(m, 0, sizeof(*m));
	m->family = FO_FAMILY_IPV4;
	m->question = arp[7] == 1;
	memcpy(m->mac, arp + 8, 6);
	m->has_mac = true;
	memcpy(m->sender, arp + 14, 4);
	memcpy(m->target, arp + 24, 4);
	return true;
}

/* Sum of an ICMPv6 message and its pseudo header; 0 when the checksum in it is right. */
static uint16_t icmp6_sum(const uint8_t *ip6, size_t n)
{
	uint32_t sum = 58 + (uint32_t)n;
	size_t i;

	for (i = 8; i + 1 < 40 + n; i += 2)
		sum += (uint32_t)(ip6[i] << 8 | ip6[i + 1]);
	if (n & 1)
		sum += (uint32_t)ip6[40 + n - 1] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void read_options(const uint8_t *p, size_t n, struct neigh_message *m)
{
	uint8_t wanted = m->question ? OPT_SOURCE_MAC : OPT_TARGET_MAC;

	while (n >= 8 && p[1]) {
		size_t size = p[1] * 8u;

		if (size > n)
			return;
		if (p[0] == wanted && size == 8) {
			memcpy(m->mac, p + 2, 6);
			m->has_mac = true;
		}
		p += size;
		n -= size;
	}
}

bool neigh_read_nd(const uint8_t *ip6, size_t n, struct neigh_message *m)
{
	const uint8_t *icmp = ip6 + 40;
	size_t size;

	if (n < 40 + 24 || ip6[6] != 58 || ip6[7] != 255)
		return false;
	size = (size_t)(ip6[4] << 8 | ip6[5]);
	/* Longer ones do not exist; the bound keeps the sum in 32 bits. */
	if (size < 24 || size > 1500 || size > n - 40 || icmp[0] < ND_ASK || icmp[0] > ND_TELL || icmp[1] ||
	    icmp6_sum(ip6, size))
		return false;
	memset(m, 0, sizeof(*m));
	m->family = FO_FAMILY_IPV6;
	m->question = icmp[0] == ND_ASK;
	memcpy(m->target, icmp + 8, 16);
	memcpy(m->sender, m->question ? ip6 + 8 : icmp + 8, 16);
	read_options(icmp + 24, size - 24, m);
	return true;
}

static size_t write_arp(uint8_t *frame, const struct neigh_self *self, int op, const uint8_t *to_addr,
			const uint8_t *to_mac)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t *arp = frame + (self->vlan ? 18 : 14);

	neigh_write_ethernet(arp, to_mac ? to_mac : broadcast, self->mac, self->vlan, ETH_ARP);
	memset(arp, 0, ARP_SIZE);
	put16(arp, 1);
	put16(arp + 2, 0x0800);
	arp[4] = 6;
	arp[5] = 4;
	arp[7] = (uint8_t)op;
	memcpy(arp + 8, self->mac, 6);
	memcpy(arp + 14, self->addr, 4);
	if (op == 2)
		memcpy(arp + 18, to_mac, 6);
	memcpy(arp + 24, to_addr, 4);
	return (size_t)(arp - frame) + ARP_SIZE;
}

static size_t write_nd(uint8_t *frame, const struct neigh_self *self, uint8_t type, const uint8_t *target,
		       const uint8_t *to_addr, const uint8_t *to_mac)
{
	uint8_t *ip6 = frame + (self->vlan ? 18 : 14), *icmp = ip6 + 40;

	neigh_write_ethernet(ip6, to_mac, self->mac, self->vlan, ETH_IP6);
	memset(ip6, 0, 40 + ND_SIZE);
	ip6[0] = 0x60;
	put16(ip6 + 4, ND_SIZE);
	ip6[6] = 58;
	ip6[7] = 255;
	memcpy(ip6 + 8, self->addr, 16);
	memcpy(ip6 + 24, to_addr, 16);
	icmp[0] = type;
	icmp[4] = type == ND_TELL ? 0xe0 : 0; /* router, solicited, override */
	memcpy(icmp + 8, target, 16);
	icmp[24] = type == ND_TELL ? OPT_TARGET_MAC : OPT_SOURCE_MAC;
	icmp[25] = 1;
	memcpy(icmp + 26, self->mac, 6);
	put16(icmp + 2, icmp6_sum(ip6, ND_SIZE));
	return (size_t)(icmp - frame) + ND_SIZE;
}

size_t neigh_write_question(uint8_t frame[NEIGH_FRAME_MAX], const struct neigh_self *self, uint8_t family,
			    const uint8_t *target, const uint8_t *to_mac)
{
	uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff};
	uint8_t group_mac[6] = {0x33, 0x33, 0xff};

	if (family == FO_FAMILY_IPV4)
		return write_arp(frame, self, 1, target, to_mac);
	if (to_mac)
		return write_nd(frame, self, ND_ASK, target, target, to_mac);
	memcpy(group + 13, target + 13, 3);
	memcpy(group_mac + 3, target + 13, 3);
	return write_nd(frame, self, ND_ASK, target, group, group_mac);
}

size_t neigh_write_answer(uint8_t frame[NEIGH_FRAME_MAX], const struct neigh_self *self, uint8_t family,
			  const uint8_t *to_addr, const uint8_t to_mac[6])
{
	if (family == FO_FAMILY_IPV4)
		return write_arp(frame, self, 2, to_addr, to_mac);
	return write_nd(frame, self, ND_TELL, self->addr, to_addr, to_mac);
}
