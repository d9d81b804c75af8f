/* SPDX-License-Identifier: BSD-2-Clause */
/* link.h - one network device, as rtnetlink shows it. Neighbours: netlink.h, link.c. */
#ifndef FO_NETLINK_LINK_H
#define FO_NETLINK_LINK_H

#include "netlink/netlink.h"

struct fo__link {
	uint32_t index;
	uint32_t flags; /* IFF_ */
	uint32_t mtu;
	uint32_t peer;	    /* IFLA_LINK: the device beneath, a veth's other end; 0: none */
	int32_t peer_netns; /* whose number it is in; -1: this namespace */
	uint32_t xdp_id;    /* program at XDP; 0: none */
	uint16_t type;	    /* ARPHRD_ */
	uint8_t mac[6];
	char name[16];
	char kind[16]; /* "veth", "vlan", ...; "" for hardware */
};

/* fo__link_read - the device that a message shows. 0; -ENOENT no message of a device; -EPROTO malformed. */
int fo__link_read(const struct nlmsghdr *nlh, struct fo__link *out);
/* fo__link_get - ask for one by its index. 0; -ENODEV there is none; -errno. */
int fo__link_get(struct fo__nl *nl, uint32_t index, struct fo__link *out);
/* Up, and with a carrier as far as the device knows one. */
int fo__link_works(const struct fo__link *link);

#define FO__LINK_NOTICES_MOST 64u
/* fo__link_notices - take what a socket in RTNLGRP_LINK has heard, as much as one poll should.
 * @first: index of the first device, 0: none; the others follow at this stride, n of them, FO__LINK_NOTICES_MOST at most.
 * Returns a bit for each that is to be asked for how it is: a notice says only that it is time to. All, where some were lost. */
uint64_t fo__link_notices(struct fo__nl *notices, const uint32_t *first, size_t stride, unsigned int n);

#endif
