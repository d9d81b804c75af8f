/* SPDX-License-Identifier: BSD-2-Clause */
/* router_slow.c - a frame that the fast path passed on (or every frame, with --no-offload): whose it is, the slow
 * path's verdict, and how it leaves. Neighbours: see router.h.
 */
#include "router.h"

#include <string.h>

#include <linux/if_ether.h>

#define ND_FIRST 133
#define ND_LAST	 137

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)(p[0] << 8 | p[1]);
}

static int family_index(uint8_t family)
{
	return family == FO_FAMILY_IPV4 ? ROUTER_V4 : ROUTER_V6;
}

static bool in_prefix(const struct router_addr *net, const uint8_t *addr)
{
	unsigned int whole = net->len / 8u, rest = net->len % 8u;

	if (!net->set || memcmp(net->addr, addr, whole))
		return false;
	return !rest || !((net->addr[whole] ^ addr[whole]) >> (8 - rest));
}

int router_route(const struct router *r, uint8_t family, const uint8_t *dst, uint8_t next_hop[16])
{
	int f = family_index(family), side;

	memset(next_hop, 0, 16);
	for (side = SP_LAN; side <= SP_WAN; side++) {
		if (!in_prefix(&r->o.addr[side][f], dst))
			continue;
		memcpy(next_hop, dst, f == ROUTER_V4 ? 4 : 16);
		return side;
	}
	if (!r->o.gw[f].set)
		return -1;
	memcpy(next_hop, r->o.gw[f].addr, 16);
	return SP_WAN;
}

bool router_own_address(const struct router *r, int side, uint8_t family, const uint8_t *addr)
{
	int f = family_index(family);
	size_t n = f == ROUTER_V4 ? 4 : 16;

	if (r->o.addr[side][f].set && !memcmp(r->o.addr[side][f].addr, addr, n))
		return true;
	return side == SP_WAN && r->o.nat[f].set && !memcmp(r->o.nat[f].addr, addr, n);
}

/* ---- Out ---- */

static void output_to(struct router *r, const struct neigh *n, uint8_t *l3, uint32_t length,
		      const struct virtio_net_hdr *vnet)
{
	struct ap_port *port = &r->port[n->side];
	uint8_t *frame = neigh_write_ethernet(l3, n->mac, port->mac, r->o.vlan[n->side],
					      n->family == FO_FAMILY_IPV4 ? ETH_P_IP : ETH_P_IPV6);
	struct virtio_net_hdr out = *vnet;
	uint16_t l2 = (uint16_t)(l3 - frame);

	out.csum_start = (uint16_t)(out.flags ? out.csum_start + l2 : 0);
	out.hdr_len = (uint16_t)(out.gso_type ? out.hdr_len + l2 : 0);
	ap_send(port, &out, frame, length + l2);
}

void router_output(struct router *r, int side, uint8_t *l3, uint32_t length,
		   const struct virtio_net_hdr *vnet)
{
	uint8_t family = l3[0] >> 4 == 4 ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6, hop[16];
	const uint8_t *dst = l3 + (family == FO_FAMILY_IPV4 ? 16 : 24);
	struct neigh *n = NULL;

	if (router_route(r, family, dst, hop) == side)
		n = neigh_want(r->neigh, side, family, hop, r->now_ms);
	if (!n)
		r->n.no_route++;
	else if (neigh_usable(n))
		output_to(r, n, l3, length, vnet);
	else if (neigh_queue(n, l3, length, vnet))
		r->n.waiting++;
	else
		r->n.given_up++;
}

/* ---- Neighbours ---- */

static struct neigh_self self(const struct router *r, int side, uint8_t family)
{
	return (struct neigh_self){r->port[side].mac, r->o.addr[side][family_index(family)].addr,
				   r->o.vlan[side]};
}

static void send_message(struct router *r, int side, uint8_t *frame, size_t length)
{
	static const struct virtio_net_hdr plain;

	ap_send(&r->port[side], &plain, frame, (uint32_t)length);
	ap_flush(&r->port[side]); /* the frame is on our stack */
}

void router_ask(void *arg, const struct neigh *n, bool unicast)
{
	struct router *r = arg;
	struct neigh_self me = self(r, n->side, n->family);
	uint8_t frame[NEIGH_FRAME_MAX];

	send_message(r, n->side, frame,
		     neigh_write_question(frame, &me, n->family, n->addr, unicast ? n->mac : NULL));
}

void router_send_queued(void *arg, const struct neigh *n, struct neigh_packet *p)
{
	struct router *r = arg;

	output_to(r, n, p->bytes + NEIGH_ROOM, p->length, &p->vnet);
	ap_flush(&r->port[n->side]); /* p goes with this call */
}

void router_queue_lost(void *arg, unsigned int packets)
{
	struct router *r = arg;

	r->n.waiting -= packets;
	r->n.given_up += packets;
}

static void answer(struct router *r, int side, const struct neigh_message *m, const uint8_t *from_mac)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1}, zero[16];
	struct neigh_self me = self(r, side, m->family);
	uint8_t frame[NEIGH_FRAME_MAX];
	bool nobody = m->family == FO_FAMILY_IPV6 && !memcmp(m->sender, zero, 16);

	me.addr = m->target;
	send_message(r, side, frame,
		     neigh_write_answer(frame, &me, m->family, nobody ? all_nodes : m->sender,
					nobody	     ? all_nodes_mac
					: m->has_mac ? m->mac
						     : from_mac));
}

static bool neighbour(struct router *r, int side, const uint8_t *eth, uint32_t length)
{
	uint8_t hop[16];
	struct neigh_message m;
	bool asks_us, is_one = be16(eth + 12) == ETH_P_ARP ? neigh_read_arp(eth + 14, length - 14, &m)
							   : neigh_read_nd(eth + 14, length - 14, &m);

	if (!is_one)
		return false;
	r->n.neigh++;
	asks_us = m.question && router_own_address(r, side, m.family, m.target);
	if (m.has_mac && router_route(r, m.family, m.sender, hop) == side && !memcmp(hop, m.sender, 16))
		neigh_learn(r->neigh, side, m.family, m.sender, m.mac, asks_us, r->now_ms);
	if (asks_us)
		answer(r, side, &m, eth + 6);
	return true;
}

/* ---- In ---- */

static bool is_neighbour_type(const uint8_t *eth, uint32_t length)
{
	if (be16(eth + 12) == ETH_P_ARP)
		return true;
	return be16(eth + 12) == ETH_P_IPV6 && length > 14 + 40 && eth[14 + 6] == 58 &&
	       eth[14 + 40] >= ND_FIRST && eth[14 + 40] <= ND_LAST;
}

static bool for_us(const struct router *r, int side, const struct ap_frame *f)
{
	unsigned int vid = f->vlan_tpid ? f->vlan_tci & 0xfffu : 0;

	if (f->length < 14 + 1 || vid != r->o.vlan[side] || (f->vlan_tpid && f->vlan_tpid != ETH_P_8021Q))
		return false;
	return (f->data[0] & 1) || !memcmp(f->data, r->port[side].mac, 6);
}

static void forward(struct router *r, int side, struct sp_packet *pkt, const struct virtio_net_hdr *vnet)
{
	if (pkt->offload)
		router_offload(r, side, pkt);
	router_output(r, 1 - side, pkt->l3, pkt->length, vnet);
}

static void ip_packet(struct router *r, int side, struct ap_frame *f)
{
	struct virtio_net_hdr vnet = f->vnet;
	struct sp_packet pkt = {
		.l3 = f->data + ETH_HLEN,
		.contiguous = f->length - ETH_HLEN,
		.length = f->length - ETH_HLEN,
		.side = (uint8_t)side,
		.csum_partial = vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_size = vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE ? vnet.gso_size : 0,
	};

	/* From here on both count from the IP header, whatever Ethernet header the packet leaves with. */
	vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet.csum_start = (uint16_t)(vnet.csum_start - ETH_HLEN);
	vnet.hdr_len = (uint16_t)(vnet.hdr_len - ETH_HLEN);
	r->n.slow++;
	sp_packet(r->sp, &pkt, r->now_ms);
	if (pkt.verdict == SP_FORWARD)
		forward(r, side, &pkt, &vnet);
	else if (pkt.verdict == SP_LOCAL)
		router_local(r, side, &pkt);
	else if (pkt.drop == SP_D_TTL || pkt.drop == SP_D_MTU)
		router_icmp_error(r, side, &pkt);
}

void router_pass(struct router *r, int side, struct ap_frame *f)
{
	unsigned int type;

	if (f->truncated) {
		r->n.truncated++;
		return;
	}
	if (!for_us(r, side, f)) {
		r->n.not_ours++;
		return;
	}
	type = be16(f->data + 12);
	if (is_neighbour_type(f->data, f->length)) {
		if (!neighbour(r, side, f->data, f->length))
			r->n.not_ours++;
	} else if ((type == ETH_P_IP || type == ETH_P_IPV6) && !(f->data[0] & 1) &&
		   f->data[14] >> 4 == (type == ETH_P_IP ? 4 : 6)) {
		ip_packet(r, side, f);
	} else {
		r->n.not_ours++;
	}
}
