/* SPDX-License-Identifier: BSD-2-Clause */
/* topology.c - sides and connections for the cases. See topology.h. */
#include "topology.h"

#include <arpa/inet.h>

const char *const encaps_name[N_ENCAPS] = {"plain", "q", "ad", "qinq", "pppoe", "q+pppoe", "qinq+pppoe"};
const char *const nat_name[N_NAT] = {"none", "snat", "dnat", "snat+dnat", "hairpin", "port only"};

unsigned int encaps_count(enum encaps encaps)
{
	static const unsigned int n[N_ENCAPS] = {0, 1, 1, 2, 1, 2, 3};

	return n[encaps];
}

uint64_t encaps_caps(enum encaps encaps)
{
	switch (encaps) {
	case PLAIN:
		return 0;
	case Q:
		return FO_CAP_VLAN;
	case AD:
		return FO_CAP_VLAN | FO_CAP_VLAN_AD;
	case QINQ:
		return FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ;
	case PPPOE:
		return FO_CAP_PPPOE;
	case Q_PPPOE:
		return FO_CAP_VLAN | FO_CAP_PPPOE;
	default:
		return FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ | FO_CAP_PPPOE;
	}
}

static void put_encap(struct fo_adj *adj, unsigned int kind, uint32_t id, uint8_t pcp, uint8_t dei)
{
	struct fo_encap *encap = &adj->encap[adj->n_encaps++];

	encap->kind = (uint16_t)kind;
	encap->id = (uint16_t)id;
	encap->pcp = pcp;
	encap->dei = dei;
}

void side(struct fo_adj *adj, uint32_t port, enum encaps encaps)
{
	static const uint8_t own[6] = {0x02, 0xf0, 0, 0, 0, 0x01}, peer[6] = {0x02, 0xf0, 0, 0, 0, 0x02};

	FO_INIT(adj);
	adj->port = port;
	memcpy(adj->own_mac, own, 6);
	memcpy(adj->peer_mac, peer, 6);
	adj->own_mac[4] = adj->peer_mac[4] = (uint8_t)port;
	adj->mtu = 1500;
	if (encaps == AD || encaps == QINQ || encaps == QINQ_PPPOE)
		put_encap(adj, FO_ENCAP_8021AD, 200 + port, 3, 1);
	if (encaps == Q || encaps == QINQ || encaps == Q_PPPOE || encaps == QINQ_PPPOE)
		put_encap(adj, FO_ENCAP_8021Q, 100 + port, 5, 0);
	if (encaps == PPPOE || encaps == Q_PPPOE || encaps == QINQ_PPPOE) {
		put_encap(adj, FO_ENCAP_PPPOE, 0x1200 + port, 0, 0);
		adj->mtu = 1492;
	}
}

/* The n-th address of a network: client 10.1/16, server 198.51.100/24 and so on;
 * 2001:db8:NET::n. */
static void address(uint8_t *out, unsigned int family, unsigned int net, unsigned int n)
{
	static const uint8_t v4[5][2] = {{10, 1}, {198, 51}, {203, 0}, {172, 16}, {192, 0}};

	memset(out, 0, 16);
	if (family == FO_FAMILY_IPV4) {
		memcpy(out, v4[net], 2);
		packet_put16(out + 2, 0x0100 + n);
		return;
	}
	packet_put16(out, 0x2001);
	packet_put16(out + 2, 0x0db8);
	packet_put16(out + 4, net + 1);
	packet_put16(out + 12, 0x5eed);
	packet_put16(out + 14, 0x0100 + n);
}

enum { NET_CLIENT, NET_SERVER, NET_OUTSIDE, NET_SERVICE, NET_INSIDE };

static void ports(struct fo_flow *flow, enum nat nat, unsigned int n)
{
	struct fo_tuple *a = &flow->tuple[0], *b = &flow->tuple[1];
	int echo = a->proto == 1 || a->proto == 58;
	int moved = nat != NAT_NONE && nat != NAT_DST;

	a->sport_be = htons((uint16_t)(20000 + n));
	a->dport_be = htons((uint16_t)(a->proto == 6 ? 443 : 53));
	b->sport_be = a->dport_be;
	b->dport_be = moved ? htons((uint16_t)(40000 + n)) : a->sport_be;
	if (nat == NAT_DST || nat == NAT_BOTH || nat == NAT_HAIRPIN)
		b->sport_be = htons(8080);
	if (echo) {
		b->sport_be = moved ? htons((uint16_t)(40000 + n)) : a->sport_be;
		a->dport_be = htons(a->proto == 1 ? 0x0800 : 0x8000);
		b->dport_be = htons(a->proto == 1 ? 0x0000 : 0x8100);
	}
}

void connection(struct fo_flow *flow, unsigned int family, unsigned int proto, enum nat nat, unsigned int n)
{
	struct fo_tuple *a = &flow->tuple[0], *b = &flow->tuple[1];
	static const uint32_t flags[N_NAT] = {
		FO_NAT_NONE, FO_NAT_SRC, FO_NAT_DST, FO_NAT_SRC | FO_NAT_DST, FO_NAT_SRC | FO_NAT_DST,
		FO_NAT_SRC};

	FO_INIT(flow);
	a->family = b->family = (uint8_t)family;
	a->proto = b->proto = (uint8_t)proto;
	address(a->src, family, NET_CLIENT, n);
	address(a->dst, family, NET_SERVER, 1);
	memcpy(b->src, a->dst, 16);
	memcpy(b->dst, a->src, 16);
	if (nat == NAT_SRC || nat == NAT_BOTH || nat == NAT_HAIRPIN)
		address(b->dst, family, NET_OUTSIDE, 1);
	if (nat == NAT_DST || nat == NAT_BOTH)
		address(b->src, family, NET_SERVICE, 7);
	if (nat == NAT_HAIRPIN)
		address(b->src, family, NET_CLIENT, 250);
	ports(flow, nat, n);
	flow->nat = flags[nat];
	flow->user = 0xc001000 + n;
	flow->tag = 7;
}

uint64_t nat_caps(enum nat nat, unsigned int family, unsigned int proto)
{
	static const uint64_t caps[N_NAT] = {0,
					     FO_CAP_SNAT | FO_CAP_PORT_NAT,
					     FO_CAP_DNAT | FO_CAP_PORT_NAT,
					     FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT,
					     FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT,
					     FO_CAP_SNAT | FO_CAP_PORT_NAT};

	(void)proto;
	return caps[nat] | (nat != NAT_NONE && family == FO_FAMILY_IPV6 ? FO_CAP_NAT66 : 0);
}

uint64_t connection_caps(unsigned int family, unsigned int proto, enum nat nat)
{
	return (family == FO_FAMILY_IPV4 ? FO_CAP_IPV4 : FO_CAP_IPV6) |
	       (proto == 6    ? FO_CAP_TCP
		: proto == 17 ? FO_CAP_UDP
			      : FO_CAP_ICMP_ECHO) |
	       nat_caps(nat, family, proto);
}

void between(struct env *env, struct fo_flow *flow)
{
	struct fo_adj adj;

	while (env->n_adjs < 2) {
		side(&adj, env->n_adjs ? WAN : LAN, PLAIN);
		env_adj(env, &adj);
	}
	flow->adj[FO_ORIGINAL] = env->adj_ids[0];
	flow->adj[FO_REPLY] = env->adj_ids[1];
}

void usual_flow(struct env *env, struct fo_flow *flow, unsigned int n)
{
	env_need(env, connection_caps(FO_FAMILY_IPV4, 6, NAT_SRC));
	connection(flow, FO_FAMILY_IPV4, 6, NAT_SRC, n);
	between(env, flow);
}

unsigned int usual(struct env *env)
{
	struct fo_flow flow;

	usual_flow(env, &flow, env->model.n_flows);
	return env_add(env, &flow);
}

unsigned int plain(struct env *env, unsigned int family, unsigned int proto, enum nat nat, unsigned int n)
{
	struct fo_flow flow;

	env_need(env, connection_caps(family, proto, nat));
	connection(&flow, family, proto, nat, n);
	between(env, &flow);
	return env_add(env, &flow);
}
