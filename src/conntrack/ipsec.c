/* SPDX-License-Identifier: BSD-2-Clause */
/* ipsec.c - the kernel's IPsec policies against connections. See ipsec.h. */
#include "conntrack/ipsec.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Notices read in one go; more of them say the same. */
#define NOTICES_MOST 64u

/* No policy of this flow and look was seen yet. */
#define NOTHING UINT64_MAX

/* ---- One policy ---- */

/* fo__rx_attrs() knows attributes by type; these are the ones looked at. */
static int read_extras(const struct nlmsghdr *nlh, struct fo__ipsec_policy *out)
{
	const struct nlattr *attrs[XFRMA_MAX + 1];
	struct xfrm_mark mark;
	uint32_t interface = 0;

	if (fo__rx_attrs(nlh, sizeof(struct xfrm_userpolicy_info), attrs, XFRMA_MAX))
		return -EPROTO;
	if (attrs[XFRMA_MARK]) {
		if (fo__rx_bytes(attrs[XFRMA_MARK], &mark, sizeof(mark)))
			return -EPROTO;
		out->partial |= mark.m != 0;
	}
	if (attrs[XFRMA_IF_ID] && fo__rx_u32(attrs[XFRMA_IF_ID], &interface))
		return -EPROTO;
	/* Those of XFRM interfaces meet what goes by such a device alone, which has no Ethernet header. */
	if (interface)
		return -ENOENT;
	if (attrs[XFRMA_TMPL] && mnl_attr_get_payload_len(attrs[XFRMA_TMPL]) >= sizeof(struct xfrm_user_tmpl))
		out->lets_pass = 0;
	return 0;
}

int fo__ipsec_read(const struct nlmsghdr *nlh, struct fo__ipsec_policy *out)
{
	struct xfrm_userpolicy_info info;

	memset(out, 0, sizeof(*out));
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(info))
		return -EPROTO;
	memcpy(&info, mnl_nlmsg_get_payload(nlh), sizeof(info));
	/* Policies of sockets are beyond. */
	if (info.dir > XFRM_POLICY_FWD)
		return -ENOENT;
	if (info.sel.family != AF_INET && info.sel.family != AF_INET6 && info.sel.family != AF_UNSPEC)
		return -ENOENT;
	out->family = info.sel.family == AF_INET ? FO_FAMILY_IPV4 : info.sel.family ? FO_FAMILY_IPV6 : 0;
	memcpy(out->src, &info.sel.saddr, 16);
	memcpy(out->dst, &info.sel.daddr, 16);
	out->src_bits = info.sel.prefixlen_s;
	out->dst_bits = info.sel.prefixlen_d;
	if (out->src_bits > (out->family == FO_FAMILY_IPV4 ? 32 : 128) ||
	    out->dst_bits > (out->family == FO_FAMILY_IPV4 ? 32 : 128))
		return -EPROTO;
	out->proto = info.sel.proto;
	out->sport_be = info.sel.sport;
	out->sport_mask = info.sel.sport_mask;
	out->dport_be = info.sel.dport;
	out->dport_mask = info.sel.dport_mask;
	out->priority = info.priority;
	out->way = info.dir;
	out->lets_pass = info.action == XFRM_POLICY_ALLOW;
	out->partial = info.sel.ifindex != 0;
	return read_extras(nlh, out);
}

static int same_prefix(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return 0;
	return !rest || !((a[whole] ^ b[whole]) & (uint8_t)(0xff00u >> rest));
}

int fo__ipsec_matches(const struct fo__ipsec_policy *policy, const struct fo_tuple *src,
		      const struct fo_tuple *dst)
{
	int echo = src->proto == IPPROTO_ICMP || src->proto == IPPROTO_ICMPV6;
	uint16_t sport = src->sport_be, dport = dst->dport_be;
	uint8_t kind[2];

	if (echo) {
		/* Type and code, as numbers, where others have ports. */
		memcpy(kind, &src->dport_be, sizeof(kind));
		sport = htons(kind[0]);
		dport = htons(kind[1]);
	}
	return (!policy->family || policy->family == src->family) &&
	       (!policy->proto || policy->proto == src->proto) &&
	       !((sport ^ policy->sport_be) & policy->sport_mask) &&
	       !((dport ^ policy->dport_be) & policy->dport_mask) &&
	       same_prefix(policy->src, src->src, policy->src_bits) &&
	       same_prefix(policy->dst, dst->dst, policy->dst_bits);
}

/* ---- All of them ---- */

struct judging {
	struct fo__ipsec *ipsec;
	const struct fo__ipsec_flow *flows;
	size_t n;
	size_t policies;
};

/* Of each look, the policy that decides: the one of the smallest priority, and of equal ones the one that is in the way. */
static void weigh(struct judging *judging, size_t i, const struct fo__ipsec_policy *policy)
{
	uint64_t weight = (uint64_t)policy->priority << 1 | policy->lets_pass;

	for (unsigned int look = 0; look < 8; look++) {
		unsigned int dir = look & 1;
		const struct fo_tuple *in = &judging->flows[i].in[dir], *out = &judging->flows[i].out[dir];
		uint64_t *best = &judging->ipsec->best[i][policy->way * 8u + look];

		if (weight < *best && fo__ipsec_matches(policy, look & 2 ? out : in, look & 4 ? out : in))
			*best = weight;
	}
}

static int take_policy(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct judging *judging = arg;
	struct fo__ipsec_policy policy;
	int rc;

	(void)seq;
	(void)error;
	if (nlh->nlmsg_type != XFRM_MSG_NEWPOLICY)
		return -EPROTO;
	rc = fo__ipsec_read(nlh, &policy);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	judging->policies++;
	/* Not knowing whether it is these packets that it means: it may be in the way, it does not make way. */
	if (policy.partial && policy.lets_pass)
		return 0;
	for (size_t i = 0; i < judging->n; i++)
		weigh(judging, i, &policy);
	return 0;
}

static void forget(void *arg)
{
	struct judging *judging = arg;

	judging->policies = 0;
	for (size_t i = 0; i < judging->n; i++)
		for (unsigned int look = 0; look < FO__IPSEC_LOOKS; look++)
			judging->ipsec->best[i][look] = NOTHING;
}

static int dump(struct judging *judging)
{
	uint8_t buffer[128] __attribute__((aligned(4)));
	struct fo__tx tx;

	forget(judging);
	fo__tx_begin(&tx, buffer, sizeof(buffer), judging->ipsec->dump.seq);
	(void)fo__tx_message(&tx, XFRM_MSG_GETPOLICY, NLM_F_DUMP, sizeof(struct xfrm_userpolicy_id));
	return fo__nl_dump(&judging->ipsec->dump, &tx, take_policy, judging, forget);
}

static int notice(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	(void)arg;
	(void)seq;
	(void)nlh;
	(void)error;
	return 0;
}

int fo__ipsec_changed(struct fo__ipsec *ipsec)
{
	int heard = 0, rc = 1;

	if (ipsec->notices.fd < 0)
		return 0;
	for (unsigned int i = 0; i < NOTICES_MOST && rc > 0; i++) {
		rc = fo__nl_notices(&ipsec->notices, notice, NULL);
		heard |= rc != 0; /* lost or garbled ones are notices */
	}
	if (heard)
		ipsec->none = 0;
	return heard;
}

int fo__ipsec_judge(struct fo__ipsec *ipsec, const struct fo__ipsec_flow *flows, size_t n, uint8_t *met)
{
	struct judging judging = {ipsec, flows, n, 0};
	int rc;

	memset(met, 0, n);
	if (ipsec->dump.fd < 0 || ipsec->none)
		return 0;
	rc = dump(&judging);
	if (rc)
		return rc;
	ipsec->none = !judging.policies;
	for (size_t i = 0; i < n; i++)
		for (unsigned int look = 0; look < FO__IPSEC_LOOKS && !met[i]; look++)
			if (ipsec->best[i][look] != NOTHING && !(ipsec->best[i][look] & 1))
				met[i] = (uint8_t)(1 + (look & 1));
	return 0;
}

int fo__ipsec_open(struct fo__ipsec *ipsec, int netns_fd, void *rx, struct fo_error *err)
{
	struct fo_error why;
	int rc;

	ipsec->none = 0;
	ipsec->notices.fd = -1;
	rc = fo__nl_open(&ipsec->dump, NETLINK_XFRM, netns_fd, rx, FO__NL_RX_ROOM, &why);
	if (rc == -EPROTONOSUPPORT)
		return 0;
	if (!rc)
		rc = fo__nl_open(&ipsec->notices, NETLINK_XFRM, netns_fd, rx, FO__NL_RX_ROOM, &why);
	if (!rc)
		rc = fo__nl_join(&ipsec->notices, XFRMNLGRP_POLICY, &why);
	if (!rc)
		return 0;
	if (err)
		*err = why;
	fo__ipsec_close(ipsec);
	return rc;
}

void fo__ipsec_close(struct fo__ipsec *ipsec)
{
	fo__nl_close(&ipsec->dump);
	fo__nl_close(&ipsec->notices);
}
