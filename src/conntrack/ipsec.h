/* SPDX-License-Identifier: BSD-2-Clause */
/* ipsec.h - would IPsec policies of the kernel meet the packets of a connection? What they transform, or drop, must not
 * go round them by a short cut.
 *
 * Where there are none, which is the rule, an answer costs one look for notices; else one dump of the policies for up to
 * FO__IPSEC_MOST connections at a time, so that none is remembered that may have changed. Sockets and buffers only.
 * Source: net/xfrm/xfrm_policy.c, xfrm_selector_match(), __xfrm_policy_check(), xfrm_lookup(). Neighbour: ipsec.c.
 */
#ifndef FO_CONNTRACK_IPSEC_H
#define FO_CONNTRACK_IPSEC_H

#include "netlink/netlink.h"

#define FO__IPSEC_MOST 128u
/* For each direction of a connection: in, out and forward policies, and four ways to combine translated addresses. */
#define FO__IPSEC_LOOKS 24u

struct fo__ipsec {
	struct fo__nl dump, notices; /* fd -1: this kernel has no IPsec */
	uint8_t none;		     /* there were no policies, and nothing was heard since */
	uint64_t best[FO__IPSEC_MOST][FO__IPSEC_LOOKS];
};

/* A connection: packets arrive as in[d] and leave as out[d]. */
struct fo__ipsec_flow {
	const struct fo_tuple *in; /* two */
	const struct fo_tuple *out;
};

/* fo__ipsec_open - @rx: FO__NL_RX_ROOM bytes, for both sockets. A kernel without IPsec is no failure. */
int fo__ipsec_open(struct fo__ipsec *ipsec, int netns_fd, void *rx, struct fo_error *err);
void fo__ipsec_close(struct fo__ipsec *ipsec);

/* fo__ipsec_judge - met[i]: 0 no policy meets flows[i], else 1 + the direction that one does. n: FO__IPSEC_MOST at most.
 * -errno: it could not be found out. */
int fo__ipsec_judge(struct fo__ipsec *ipsec, const struct fo__ipsec_flow *flows, size_t n, uint8_t *met);
/* Have policies changed since the last call, of either? 1 or 0. */
int fo__ipsec_changed(struct fo__ipsec *ipsec);

/* One policy as a message shows it. */
struct fo__ipsec_policy {
	uint8_t src[16], dst[16];
	uint8_t src_bits, dst_bits;
	uint8_t family; /* FO_FAMILY_, or 0: any */
	uint8_t proto;	/* 0: any */
	uint16_t sport_be, sport_mask, dport_be, dport_mask;
	uint32_t priority; /* the smallest decides */
	uint8_t way;	   /* XFRM_POLICY_IN, _OUT, _FWD */
	uint8_t lets_pass; /* as it is */
	uint8_t partial;   /* for packets of one mark or device only */
};

/* 0; -ENOENT not one for packets that are forwarded; -EPROTO malformed. */
int fo__ipsec_read(const struct nlmsghdr *nlh, struct fo__ipsec_policy *out);
/* Packets from src's address and port to dst's. */
int fo__ipsec_matches(const struct fo__ipsec_policy *policy, const struct fo_tuple *src,
		      const struct fo_tuple *dst);

#endif
