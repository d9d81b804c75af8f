/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c - network devices read from rtnetlink messages. See link.h. */
#include "netlink/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

/* Datagrams of notices read in one poll. */
#define DATAGRAMS_MOST 256u

static int read_kind(const struct nlattr *nest, struct fo__link *out)
{
	const struct nlattr *info[IFLA_INFO_MAX + 1];

	if (!nest)
		return 0;
	if (fo__rx_nested(nest, info, IFLA_INFO_MAX))
		return -EPROTO;
	return info[IFLA_INFO_KIND] ? fo__rx_text(info[IFLA_INFO_KIND], out->kind, sizeof(out->kind)) : 0;
}

static int read_xdp(const struct nlattr *nest, struct fo__link *out)
{
	const struct nlattr *xdp[IFLA_XDP_MAX + 1];

	if (!nest)
		return 0;
	if (fo__rx_nested(nest, xdp, IFLA_XDP_MAX))
		return -EPROTO;
	return xdp[IFLA_XDP_PROG_ID] ? fo__rx_u32(xdp[IFLA_XDP_PROG_ID], &out->xdp_id) : 0;
}

int fo__link_read(const struct nlmsghdr *nlh, struct fo__link *out)
{
	const struct nlattr *attrs[IFLA_MAX + 1];
	struct ifinfomsg info;
	uint32_t netns = 0;

	memset(out, 0, sizeof(*out));
	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return -ENOENT;
	if (fo__rx_attrs(nlh, sizeof(info), attrs, IFLA_MAX) ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(info))
		return -EPROTO;
	memcpy(&info, mnl_nlmsg_get_payload(nlh), sizeof(info));
	out->index = (uint32_t)info.ifi_index;
	out->flags = info.ifi_flags;
	out->type = info.ifi_type;
	out->peer_netns = -1;
	/* Addresses of another length are none of Ethernet's. */
	(void)fo__rx_bytes(attrs[IFLA_ADDRESS], out->mac, sizeof(out->mac));
	if (attrs[IFLA_MTU] && fo__rx_u32(attrs[IFLA_MTU], &out->mtu))
		return -EPROTO;
	if (attrs[IFLA_LINK] && fo__rx_u32(attrs[IFLA_LINK], &out->peer))
		return -EPROTO;
	if (attrs[IFLA_LINK_NETNSID] && fo__rx_u32(attrs[IFLA_LINK_NETNSID], &netns))
		return -EPROTO;
	if (attrs[IFLA_LINK_NETNSID])
		out->peer_netns = (int32_t)netns;
	if (attrs[IFLA_IFNAME] && fo__rx_text(attrs[IFLA_IFNAME], out->name, sizeof(out->name)))
		return -EPROTO;
	return read_kind(attrs[IFLA_LINKINFO], out) || read_xdp(attrs[IFLA_XDP], out) ? -EPROTO : 0;
}

static int take(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	(void)seq;
	(void)error;
	return nlh ? fo__link_read(nlh, arg) : 0;
}

int fo__link_get(struct fo__nl *nl, uint32_t index, struct fo__link *out)
{
	uint8_t buffer[64] __attribute__((aligned(4)));
	struct ifinfomsg *header;
	struct fo__tx tx;
	int rc;

	memset(out, 0, sizeof(*out));
	fo__tx_begin(&tx, buffer, sizeof(buffer), nl->seq);
	header = fo__tx_message(&tx, RTM_GETLINK, 0, sizeof(*header));
	if (!header)
		return -EMSGSIZE;
	header->ifi_family = AF_UNSPEC;
	header->ifi_index = (int)index;
	rc = fo__nl_talk(nl, &tx, take, out, NULL);
	if (!rc && out->index != index)
		return -EPROTO;
	return rc;
}

int fo__link_works(const struct fo__link *link)
{
	return (link->flags & IFF_UP) && (link->flags & IFF_RUNNING);
}

/* ---- Notices ---- */

struct hearing {
	const uint8_t *first;
	size_t stride;
	unsigned int n;
	uint64_t devices;
};

static int heard(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct hearing *hearing = arg;
	struct fo__link link;
	int rc = fo__link_read(nlh, &link);

	(void)seq;
	(void)error;
	for (unsigned int i = 0; i < hearing->n; i++) {
		uint32_t index;

		memcpy(&index, hearing->first + i * hearing->stride, sizeof(index));
		if (index && (rc || index == link.index))
			hearing->devices |= UINT64_C(1) << i;
	}
	return 0;
}

uint64_t fo__link_notices(struct fo__nl *notices, const uint32_t *first, size_t stride, unsigned int n)
{
	struct hearing hearing = {.first = (const uint8_t *)first, .stride = stride, .n = n};
	int rc = 1;

	for (unsigned int i = 0; i < DATAGRAMS_MOST && rc > 0; i++)
		rc = fo__nl_notices(notices, heard, &hearing);
	return rc < 0 ? UINT64_MAX : hearing.devices;
}
