// SPDX-License-Identifier: GPL-2.0
/* rewrite.c - what a rule does to a frame: whether it may, then edits, TTL, checksums, tags and session.
 *
 * Checksums follow by what changed (RFC 1624), so that a wrong one stays wrong, as hardware does that never reads the
 * payload; act_csum in software computes them anew.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ppp_defs.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tcp.h>

#include "hwsim.h"

#define PPPOE_SIZE 8

/* The guards of hardware that routes; a nic keeps to its rules. */
static enum sim_count routing_guard(const struct sim_act *act, const struct sim_frame *frame)
{
	const struct sim_key *key = &frame->key;
	unsigned int l3_size = frame->size - frame->l3 + (act->pppoe_push ? PPPOE_SIZE : 0);
	const __be16 control = htons((ntohl(TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST) >> 16) & 0xfff);

	if ((sim.guards & SIM_G_MULTICAST) && is_multicast_ether_addr(key->dst_mac))
		return SIM_N_MULTICAST;
	if ((sim.guards & SIM_G_TTL) && key->ttl <= 1)
		return SIM_N_TTL;
	if ((sim.guards & SIM_G_FRAGMENT) && key->fragment)
		return SIM_N_FRAGMENT;
	/* What nf_flowtable asks of TCP flags is in its keys; only the engine that ignores keys has its own idea. */
	if ((sim.guards & SIM_G_TCP_FLAGS) && act->any_tags && (key->tcp_flags & control))
		return SIM_N_TCP_FLAGS;
	if ((sim.guards & SIM_G_MTU) && l3_size > READ_ONCE(act->out->host->mtu))
		return SIM_N_MTU;
	return SIM_N_FORWARDED;
}

/* Whether the L2 header is made anew. */
static bool retags(const struct sim_act *act, const struct sim_frame *frame)
{
	return act->pops || act->pushes || act->any_tags || act->pppoe_push ||
	       (act->routes && frame->key.has_session);
}

/* Whether what the rule rewrites was parsed. */
static bool is_opaque(const struct sim_act *act, const struct sim_frame *frame)
{
	if ((act->needs_ip && !frame->ip) || (act->needs_ports && !frame->whole))
		return true;
	return retags(act, frame) && (!frame->l3 || (frame->key.has_session && !frame->ip));
}

enum sim_count sim_guard(const struct sim_act *act, const struct sim_frame *frame)
{
	if (act->verdict == SIM_DROP)
		return SIM_N_DROPPED;
	if (act->verdict == SIM_TO_HOST)
		return SIM_N_TRAPPED;
	if (is_opaque(act, frame))
		return SIM_N_OPAQUE;
	if (act->police_mtu && frame->wire_size > act->police_mtu)
		return SIM_N_MTU;
	if (!act->any_tags && act->pops > frame->key.tags)
		return SIM_N_TAGS;
	if (act->routes) {
		if (!act->any_tags && act->pops != frame->key.tags)
			return SIM_N_TAGS;
		return routing_guard(act, frame);
	}
	return SIM_N_FORWARDED;
}

static void apply_edit(const struct sim_edit *edit, const struct sim_frame *frame, struct sk_buff *skb)
{
	const u16 begin[] = {[SIM_L2] = 0, [SIM_L3] = frame->l3, [SIM_L4] = frame->l4};
	unsigned int offset = begin[edit->layer] + edit->offset;
	u32 old, value;

	if (WARN_ON_ONCE(offset + sizeof(old) > skb->len))
		return;
	memcpy(&old, skb->data + offset, sizeof(old));
	value = edit->add ? old + edit->value : edit->value;
	value = (old & edit->keep) | (value & ~edit->keep);
	memcpy(skb->data + offset, &value, sizeof(value));
}

static void decrement_ttl(const struct sim_frame *frame, u8 *l3)
{
	if (frame->key.proto == htons(ETH_P_IP))
		l3[offsetof(struct iphdr, ttl)]--;
	else
		l3[offsetof(struct ipv6hdr, hop_limit)]--;
}

/* What checksums cover of the headers, before and after. */
struct covered {
	u8 ip[sizeof(struct ipv6hdr)]; /* the header of IPv4; IPv6 has no checksum of its own */
	__be16 ports[2];
};

static void covered_read(struct covered *now, const struct sim_frame *frame, const struct sk_buff *skb)
{
	bool v4 = frame->key.proto == htons(ETH_P_IP);

	memset(now, 0, sizeof(*now));
	memcpy(now->ip, skb->data + frame->l3, v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	if (frame->whole)
		memcpy(now->ports, skb->data + frame->l4, sizeof(now->ports));
}

static unsigned int addresses_at(bool v4)
{
	return v4 ? offsetof(struct iphdr, saddr) : offsetof(struct ipv6hdr, saddr);
}

static unsigned int addresses_size(bool v4)
{
	return v4 ? 2 * sizeof(__be32) : 2 * sizeof(struct in6_addr);
}

static __wsum l4_sum(const struct covered *covered, bool v4)
{
	return csum_partial(covered->ports, sizeof(covered->ports),
			    csum_partial(covered->ip + addresses_at(v4), addresses_size(v4), 0));
}

/* Not by their sums: addresses that changed places have the same, and yet the checksum is written anew. */
static bool l4_differs(const struct covered *before, const struct covered *after, bool v4)
{
	return memcmp(before->ports, after->ports, sizeof(after->ports)) ||
	       memcmp(before->ip + addresses_at(v4), after->ip + addresses_at(v4), addresses_size(v4));
}

/* ~(~checksum + ~old + new) */
static __sum16 updated(__sum16 checksum, __wsum old, __wsum new)
{
	return csum_fold(csum_add(csum_sub(~csum_unfold(checksum), old), new));
}

static void update_l4(const struct sim_frame *frame, struct sk_buff *skb, __wsum old, __wsum new)
{
	u8 *at = skb->data + frame->l4 + frame->l4_checksum;
	bool udp = frame->key.l4 == IPPROTO_UDP;
	__sum16 checksum;

	memcpy(&checksum, at, sizeof(checksum));
	if (udp && !checksum)
		return;
	checksum = updated(checksum, old, new);
	if (udp && !checksum)
		checksum = CSUM_MANGLED_0;
	memcpy(at, &checksum, sizeof(checksum));
}

static void update_checksums(const struct sim_act *act, const struct sim_frame *frame,
			     const struct covered *before, struct sk_buff *skb)
{
	bool v4 = frame->key.proto == htons(ETH_P_IP);
	u32 flag = frame->key.l4 == IPPROTO_UDP ? TCA_CSUM_UPDATE_FLAG_UDP : TCA_CSUM_UPDATE_FLAG_TCP;
	const unsigned int size = sizeof(struct iphdr);
	struct covered after;

	covered_read(&after, frame, skb);
	if (v4 && (act->checksums & TCA_CSUM_UPDATE_FLAG_IPV4HDR) && memcmp(before->ip, after.ip, size)) {
		u8 *at = skb->data + frame->l3 + offsetof(struct iphdr, check);
		__sum16 checksum;

		memcpy(&checksum, at, sizeof(checksum));
		checksum =
			updated(checksum, csum_partial(before->ip, size, 0), csum_partial(after.ip, size, 0));
		memcpy(at, &checksum, sizeof(checksum));
	}
	if (frame->l4_checksum && (act->checksums & flag) && l4_differs(before, &after, v4))
		update_l4(frame, skb, l4_sum(before, v4), l4_sum(&after, v4));
}

static u8 *put_be16(u8 *at, u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
	return at + 2;
}

/* The L2 header anew: MACs as edited, tags put on before those that stay, session. */
static void rebuild_l2(const struct sim_act *act, const struct sim_frame *frame, struct sk_buff *skb)
{
	const struct sim_key *key = &frame->key;
	unsigned int i, first_kept = act->any_tags ? key->tags : act->pops, l3_size = frame->size - frame->l3;
	bool session = act->pppoe_push || (key->has_session && !act->routes);
	u8 header[ETH_HLEN + 2 * SIM_TAGS * VLAN_HLEN + PPPOE_SIZE], *at = header + 2 * ETH_ALEN;

	memcpy(header, skb->data, 2 * ETH_ALEN);
	for (i = 0; i < act->pushes; i++) {
		at = put_be16(at, ntohs(act->push[i].tpid));
		at = put_be16(at, ntohs(act->push[i].tci));
	}
	for (i = first_kept; i < key->tags; i++) {
		at = put_be16(at, ntohs(key->tpid[i]));
		at = put_be16(at, ntohs(key->tci[i]));
	}
	if (session) {
		at = put_be16(at, ETH_P_PPP_SES);
		at = put_be16(at, 0x1100);
		at = put_be16(at, act->pppoe_push ? act->pppoe_session : ntohs(key->session));
		at = put_be16(at, l3_size + 2);
		at = put_be16(at, key->proto == htons(ETH_P_IP) ? PPP_IP : PPP_IPV6);
	} else {
		at = put_be16(at, ntohs(key->proto));
	}
	skb_pull(skb, frame->l3);
	skb_push(skb, at - header);
	memcpy(skb->data, header, at - header);
}

void sim_rewrite(const struct sim_act *act, const struct sim_frame *frame, struct sk_buff *skb)
{
	struct covered before;
	unsigned int i;

	if (frame->ip) {
		skb_trim(skb, frame->size);
		covered_read(&before, frame, skb);
	}
	for (i = 0; i < act->edits; i++)
		apply_edit(&act->edit[i], frame, skb);
	if (act->routes)
		decrement_ttl(frame, skb->data + frame->l3);
	if (frame->ip)
		update_checksums(act, frame, &before, skb);
	if (retags(act, frame))
		rebuild_l2(act, frame, skb);
}
