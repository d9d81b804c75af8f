// SPDX-License-Identifier: GPL-2.0
/* match.c - the keys of a rule, as the kernel hands them to a driver, into struct sim_match. */
#include <linux/version.h>

#include "hwsim.h"

#define KEY(name) BIT_ULL(FLOW_DISSECTOR_KEY_##name)
#define KEYS_KNOWN                                                                                           \
	(KEY(CONTROL) | KEY(BASIC) | KEY(META) | KEY(ETH_ADDRS) | KEY(VLAN) | KEY(CVLAN) | KEY(PPPOE) |      \
	 KEY(IPV4_ADDRS) | KEY(IPV6_ADDRS) | KEY(PORTS) | KEY(TCP) | KEY(IP))

static void set(void *key, void *mask, const void *from_key, const void *from_mask, size_t size)
{
	memcpy(key, from_key, size);
	memcpy(mask, from_mask, size);
}

#define SET(match, field, from, member)                                                                      \
	set(&(match)->key.field, &(match)->mask.field, &(from).key->member, &(from).mask->member,            \
	    sizeof((match)->key.field))

static __be16 tci_of(const struct flow_dissector_key_vlan *vlan)
{
	return htons(vlan->vlan_id | vlan->vlan_dei << 12 | vlan->vlan_priority << VLAN_PRIO_SHIFT);
}

static void read_tag(struct sim_match *match, unsigned int i, const struct flow_match_vlan *vlan)
{
	match->key.tci[i] = tci_of(vlan->key);
	match->mask.tci[i] = tci_of(vlan->mask);
	SET(match, tpid[i], *vlan, vlan_tpid);
	SET(match, next[i], *vlan, vlan_eth_type);
	/* A tag that is matched is there, whatever is said of it. */
	match->key.tags = i + 1;
	match->mask.tags = 0xff;
}

static void read_l2(struct sim_match *match, struct flow_rule *rule)
{
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_ETH_ADDRS)) {
		struct flow_match_eth_addrs eth;

		flow_rule_match_eth_addrs(rule, &eth);
		SET(match, dst_mac, eth, dst);
		SET(match, src_mac, eth, src);
	}
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_VLAN)) {
		struct flow_match_vlan vlan;

		flow_rule_match_vlan(rule, &vlan);
		read_tag(match, 0, &vlan);
	}
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CVLAN)) {
		struct flow_match_vlan vlan;

		flow_rule_match_cvlan(rule, &vlan);
		read_tag(match, 1, &vlan);
	}
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_PPPOE)) {
		struct flow_match_pppoe pppoe;

		flow_rule_match_pppoe(rule, &pppoe);
		SET(match, session, pppoe, session_id);
		match->key.has_session = 1;
		match->mask.has_session = 0xff;
	}
}

/* Fragment flags; and which family the addresses are of. */
static int read_control(struct sim_match *match, struct flow_rule *rule, u16 *addr_type,
			struct netlink_ext_ack *extack)
{
	struct flow_match_control control;

	*addr_type = 0;
	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CONTROL))
		return 0;
	flow_rule_match_control(rule, &control);
	*addr_type = control.key->addr_type;
	if (control.mask->flags & ~(FLOW_DIS_IS_FRAGMENT | FLOW_DIS_FIRST_FRAG))
		return SIM_REFUSE(extack, "Of the flags only those for fragments can be matched");
	if (control.mask->flags & FLOW_DIS_IS_FRAGMENT) {
		match->mask.fragment |= SIM_FRAGMENT;
		match->key.fragment |= control.key->flags & FLOW_DIS_IS_FRAGMENT ? SIM_FRAGMENT : 0;
	}
	if (control.mask->flags & FLOW_DIS_FIRST_FRAG) {
		match->mask.fragment |= SIM_FRAGMENT_FIRST;
		match->key.fragment |= control.key->flags & FLOW_DIS_FIRST_FRAG ? SIM_FRAGMENT_FIRST : 0;
	}
	return 0;
}

static void read_l3(struct sim_match *match, struct flow_rule *rule, u16 addr_type)
{
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_BASIC)) {
		struct flow_match_basic basic;

		flow_rule_match_basic(rule, &basic);
		SET(match, proto, basic, n_proto);
		SET(match, l4, basic, ip_proto);
	}
	if (addr_type == FLOW_DISSECTOR_KEY_IPV4_ADDRS &&
	    flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_IPV4_ADDRS)) {
		struct flow_match_ipv4_addrs addrs;

		flow_rule_match_ipv4_addrs(rule, &addrs);
		SET(match, src.s6_addr32[0], addrs, src);
		SET(match, dst.s6_addr32[0], addrs, dst);
	}
	if (addr_type == FLOW_DISSECTOR_KEY_IPV6_ADDRS &&
	    flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_IPV6_ADDRS)) {
		struct flow_match_ipv6_addrs addrs;

		flow_rule_match_ipv6_addrs(rule, &addrs);
		SET(match, src, addrs, src);
		SET(match, dst, addrs, dst);
	}
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_IP)) {
		struct flow_match_ip ip;

		flow_rule_match_ip(rule, &ip);
		SET(match, tos, ip, tos);
		SET(match, ttl, ip, ttl);
	}
}

static void read_l4(struct sim_match *match, struct flow_rule *rule)
{
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_PORTS)) {
		struct flow_match_ports ports;

		flow_rule_match_ports(rule, &ports);
		SET(match, sport, ports, src);
		SET(match, dport, ports, dst);
	}
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_TCP)) {
		struct flow_match_tcp tcp;

		flow_rule_match_tcp(rule, &tcp);
		SET(match, tcp_flags, tcp, flags);
	}
}

static bool is_exact(const struct sim_match *match)
{
	const struct sim_key *mask = &match->mask;
	size_t size = match->key.proto == htons(ETH_P_IP) ? sizeof(__be32) : sizeof(struct in6_addr);

	return mask->proto == htons(0xffff) && mask->l4 == 0xff && mask->sport == htons(0xffff) &&
	       mask->dport == htons(0xffff) && !memchr_inv(&mask->src, 0xff, size) &&
	       !memchr_inv(&mask->dst, 0xff, size);
}

/* What a packet processing engine makes of a rule: it wants a connection, and looks no further. */
static int narrow(struct sim_match *match, struct netlink_ext_ack *extack)
{
	if (!match->exact)
		return SIM_REFUSE(extack,
				  "Only connections can be offloaded: addresses, protocol and both ports");
	if (match->key.l4 != IPPROTO_TCP && match->key.l4 != IPPROTO_UDP)
		return SIM_REFUSE(extack, "Only TCP and UDP can be offloaded");
	if (match->mask.ttl || match->mask.tos)
		return SIM_REFUSE(extack, "TTL and DSCP cannot be matched");
	memset(match->mask.dst_mac, 0, ETH_ALEN);
	memset(match->mask.src_mac, 0, ETH_ALEN);
	match->mask.tcp_flags = 0;
	match->mask.fragment = 0;
	return 0;
}

bool sim_match_port(struct flow_cls_offload *cls, const struct sim_port *port)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(cls);
	struct flow_match_meta meta;

	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_META))
		return true;
	flow_rule_match_meta(rule, &meta);
	return !meta.mask->ingress_ifindex || meta.key->ingress_ifindex == port->host->ifindex;
}

static bool wants_more_of_meta(struct flow_rule *rule)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct flow_match_meta meta;

	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_META)) {
		flow_rule_match_meta(rule, &meta);
		return meta.mask->l2_miss;
	}
#endif
	return false;
}

int sim_match_read(struct sim_match *match, struct flow_cls_offload *cls, enum sim_source source,
		   enum sim_kind kind)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(cls);
	struct netlink_ext_ack *extack = cls->common.extack;
	u16 addr_type;
	int err;

	if ((rule->match.dissector->used_keys & ~KEYS_KNOWN) || wants_more_of_meta(rule))
		return SIM_REFUSE(extack, "A key that cannot be matched");
	/* tc asks for the ethertype behind the MACs; nf_flowtable names the family and lets tags be. */
	if (source == SIM_FLOWER && cls->common.protocol != htons(ETH_P_ALL)) {
		match->key.outer = cls->common.protocol;
		match->mask.outer = htons(0xffff);
	}
	read_l2(match, rule);
	err = read_control(match, rule, &addr_type, extack);
	if (err)
		return err;
	read_l3(match, rule, addr_type);
	read_l4(match, rule);
	match->exact = is_exact(match);
	return kind == SIM_PPE ? narrow(match, extack) : 0;
}
