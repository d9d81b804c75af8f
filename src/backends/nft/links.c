/* SPDX-License-Identifier: BSD-2-Clause */
/* links.c - the network devices, and which of them the flowtable must be on. See state.h.
 *
 * nf_flowtable sees packets at the ingress hook of the device that they come by first, so that VLAN, bridge and PPPoE
 * devices are walked down to what lies beneath. A DSA user port, a WLAN device and a bond are ports: the kernel's own walk
 * (dev_fill_forward_path()) stops there as well. */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

/* Devices stacked on each other; a loop would be a kernel's bug. */
#define DEPTH_MOST 16u

/* ---- Reading ---- */

/* The usual priority is 0; without a mapping it is written as it is. */
static void read_priority(const struct nlattr *mappings, struct fo__nft_link *link)
{
	const struct nlattr *at;

	if (!mappings)
		return;
	mnl_attr_for_each_nested(at, mappings)
	{
		struct ifla_vlan_qos_mapping mapping;

		if (mnl_attr_get_type(at) == IFLA_VLAN_QOS_MAPPING &&
		    !fo__rx_bytes(at, &mapping, sizeof(mapping)) && mapping.from == 0)
			link->vlan_pcp = mapping.to & 7;
	}
}

static void read_kind(const struct nlattr *info, struct fo__nft_link *link)
{
	const struct nlattr *attrs[IFLA_INFO_MAX + 1], *vlan[IFLA_VLAN_MAX + 1];
	char kind[16] = "";

	if (fo__rx_nested(info, attrs, IFLA_INFO_MAX) ||
	    fo__rx_text(attrs[IFLA_INFO_KIND], kind, sizeof(kind)))
		return;
	if (!strcmp(kind, "bridge"))
		link->kind = FO__NFT_BRIDGE;
	else if (!strcmp(kind, "ppp"))
		link->kind = FO__NFT_PPP;
	if (strcmp(kind, "vlan") || fo__rx_nested(attrs[IFLA_INFO_DATA], vlan, IFLA_VLAN_MAX))
		return;
	link->kind = FO__NFT_VLAN;
	/* Host order the one, network order the other. */
	if (fo__rx_bytes(vlan[IFLA_VLAN_ID], &link->vlan_id, sizeof(link->vlan_id)) ||
	    fo__rx_be16(vlan[IFLA_VLAN_PROTOCOL], &link->vlan_proto))
		link->vlan_id = 0;
	read_priority(vlan[IFLA_VLAN_EGRESS_QOS], link);
}

static int read_link(const struct nlmsghdr *nlh, struct fo__nft_link *link)
{
	const struct nlattr *attrs[IFLA_MAX + 1];
	struct ifinfomsg header;
	int rc = fo__rx_attrs(nlh, sizeof(header), attrs, IFLA_MAX);

	if (rc)
		return rc;
	memset(link, 0, sizeof(*link));
	memcpy(&header, mnl_nlmsg_get_payload(nlh), sizeof(header));
	if (header.ifi_index <= 0 || fo__rx_text(attrs[IFLA_IFNAME], link->name, sizeof(link->name)))
		return -EPROTO;
	link->index = (uint32_t)header.ifi_index;
	(void)fo__rx_u32(attrs[IFLA_MASTER], &link->master);
	(void)fo__rx_u32(attrs[IFLA_MTU], &link->mtu);
	(void)fo__rx_bytes(attrs[IFLA_ADDRESS], link->mac, sizeof(link->mac));
	if (header.ifi_type == ARPHRD_LOOPBACK)
		link->kind = FO__NFT_LOOPBACK;
	else if (header.ifi_type == ARPHRD_PPP)
		link->kind = FO__NFT_PPP;
	read_kind(attrs[IFLA_LINKINFO], link);
	/* Of other kinds (a veth, a DSA user port) it is no device beneath; in another namespace it is out of reach. */
	if (link->kind == FO__NFT_VLAN && !attrs[IFLA_LINK_NETNSID])
		(void)fo__rx_u32(attrs[IFLA_LINK], &link->below);
	return 0;
}

static int make_room(struct fo__nft *nft)
{
	struct fo__nft_links *links = &nft->links;
	size_t room = links->room ? links->room * 2 : 64;
	struct fo__nft_link *at = fo__nft_alloc(nft, room * sizeof(*at));

	if (!at)
		return -ENOMEM;
	if (links->n)
		memcpy(at, links->at, links->n * sizeof(*at));
	fo__nft_free(nft, links->at, links->room * sizeof(*at));
	links->at = at;
	links->room = room;
	return 0;
}

static int take_link(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct fo__nft *nft = arg;
	int rc = 0;

	(void)seq;
	(void)error;
	if (nlh->nlmsg_type != RTM_NEWLINK)
		return -EPROTO;
	if (nft->links.n == nft->links.room)
		rc = make_room(nft);
	if (!rc)
		rc = read_link(nlh, &nft->links.at[nft->links.n]);
	if (!rc)
		nft->links.n++;
	return rc;
}

static void read_anew(void *arg)
{
	struct fo__nft *nft = arg;

	nft->links.n = 0;
}

static int dump_links(struct fo__nft *nft)
{
	int rc = -EINTR;

	for (unsigned int i = 0; i < 8 && rc == -EINTR; i++) {
		struct ifinfomsg *header;
		struct fo__tx tx;

		read_anew(nft);
		fo__tx_begin(&tx, nft->tx, FO__NFT_TX_ROOM, nft->route.seq);
		header = fo__tx_message(&tx, RTM_GETLINK, NLM_F_DUMP, sizeof(*header));
		if (header)
			header->ifi_family = AF_UNSPEC;
		rc = fo__nl_dump_begin(&nft->route, &tx);
		while (!rc && (rc = fo__nl_dump_step(&nft->route, take_link, nft)) == 1)
			rc = 0;
	}
	return rc;
}

int fo__nft_links_read(struct fo__nft *nft, struct fo_error *err)
{
	int rc = dump_links(nft);

	if (rc)
		return fo__nl_refused(err, rc, FO_STAGE_RESOLVE, NULL, "network devices cannot be read");
	fo__nft_sessions_read(nft);
	return 0;
}

void fo__nft_links_free(struct fo__nft *nft)
{
	fo__nft_free(nft, nft->links.at, nft->links.room * sizeof(*nft->links.at));
	memset(&nft->links, 0, sizeof(nft->links));
}

const struct fo__nft_link *fo__nft_link(const struct fo__nft *nft, uint32_t index)
{
	for (size_t i = 0; i < nft->links.n; i++)
		if (nft->links.at[i].index == index)
			return &nft->links.at[i];
	return NULL;
}

/* ---- Walking down ---- */

static int no_device(uint32_t index, struct fo_error *err)
{
	return fo__nl_refuse(err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, ENODEV, "ports",
			     "port %u is no network device here: a port of backend nft is an ifindex in the "
			     "table's network namespace",
			     index);
}

static int choose(struct fo__nft *nft, const struct fo__nft_link *link, struct fo_error *err)
{
	struct fo__nft_devices *devices = &nft->devices;

	for (uint32_t i = 0; i < devices->n; i++)
		if (devices->index[i] == link->index)
			return 0;
	if (devices->n == FO__NFT_DEVICES_MOST)
		return fo__nl_refuse(err, -ENOSPC, FO_R_FULL, FO_STAGE_RESOLVE, 0, "ports",
				     "the ports stand on more than %u devices; name fewer",
				     FO__NFT_DEVICES_MOST);
	devices->index[devices->n] = link->index;
	memcpy(devices->name[devices->n], link->name, sizeof(link->name));
	devices->n++;
	return 0;
}

static int descend(struct fo__nft *nft, const struct fo__nft_link *link, unsigned int depth,
		   struct fo_error *err);

static int descend_bridge(struct fo__nft *nft, const struct fo__nft_link *bridge, unsigned int depth,
			  struct fo_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < nft->links.n; i++)
		if (nft->links.at[i].master == bridge->index)
			rc = descend(nft, &nft->links.at[i], depth + 1, err);
	return rc;
}

static int descend_sessions(struct fo__nft *nft, const struct fo__nft_link *ppp, unsigned int depth,
			    struct fo_error *err)
{
	unsigned int found = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < nft->links.n; i++) {
		if (!nft->links.at[i].sessions)
			continue;
		found++;
		rc = descend(nft, &nft->links.at[i], depth + 1, err);
	}
	if (rc || found)
		return rc;
	return fo__nl_refuse(
		err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, 0, "ports",
		"port %u (%s) is a PPP device without a PPPoE session here: name the Ethernet port beneath "
		"as the port, and %s as the adjacency's l3_dev",
		ppp->index, ppp->name, ppp->name);
}

static int descend(struct fo__nft *nft, const struct fo__nft_link *link, unsigned int depth,
		   struct fo_error *err)
{
	const struct fo__nft_link *below;

	if (depth == DEPTH_MOST)
		return 0;
	switch (link->kind) {
	case FO__NFT_LOOPBACK:
		return fo__nl_refuse(err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, 0, "ports",
				     "port %u (%s) is a loopback device, which forwards nothing", link->index,
				     link->name);
	case FO__NFT_PPP:
		return descend_sessions(nft, link, depth, err);
	case FO__NFT_BRIDGE:
		return descend_bridge(nft, link, depth, err);
	case FO__NFT_VLAN:
		below = fo__nft_link(nft, link->below);
		return below ? descend(nft, below, depth + 1, err) : choose(nft, link, err);
	default:
		return choose(nft, link, err);
	}
}

int fo__nft_devices_choose(struct fo__nft *nft, int strict, struct fo_error *err)
{
	int rc = 0;

	nft->devices.n = 0;
	for (uint32_t i = 0; !rc && i < nft->n_ports; i++) {
		const struct fo__nft_link *link = fo__nft_link(nft, nft->ports[i]);

		if (link)
			rc = descend(nft, link, 0, err);
		else if (strict)
			rc = no_device(nft->ports[i], err);
		if (!strict && rc == -ENODEV)
			rc = 0;
	}
	return rc;
}

static int covers(const struct fo__nft *nft, const struct fo__nft_link *link, unsigned int depth)
{
	int found = 0;

	if (!link || depth == DEPTH_MOST)
		return 0;
	for (uint32_t i = 0; i < nft->devices.n; i++)
		if (nft->devices.index[i] == link->index)
			return 1;
	if (link->kind == FO__NFT_VLAN)
		return covers(nft, fo__nft_link(nft, link->below), depth + 1);
	for (size_t i = 0; !found && i < nft->links.n; i++) {
		const struct fo__nft_link *other = &nft->links.at[i];

		if (link->kind == FO__NFT_BRIDGE ? other->master == link->index
						 : link->kind == FO__NFT_PPP && other->sessions)
			found = covers(nft, other, depth + 1);
	}
	return found;
}

int fo__nft_covers(const struct fo__nft *nft, uint32_t index)
{
	return covers(nft, fo__nft_link(nft, index), 0);
}

/* ---- Adjacencies against devices ---- */

static int contradicts(struct fo_error *err, const char *field, const char *text, const char *name)
{
	return fo__nl_refuse(err, -EINVAL, FO_R_ADJACENCY, FO_STAGE_RESOLVE, 0, field, text, name);
}

static int check_tags(const struct fo__nft_link *const *vlans, unsigned int n, const struct fo_adj *adj,
		      const char *name, struct fo_error *err)
{
	unsigned int tags = 0;

	for (uint32_t i = 0; i < adj->n_encaps; i++)
		tags += adj->encap[i].kind != FO_ENCAP_PPPOE;
	if (tags != n)
		return contradicts(err, "encap",
				   "the VLAN tags differ from those of device %s: say what it says", name);
	/* The device nearest to the port writes the outermost tag. */
	for (unsigned int i = 0; i < n; i++) {
		const struct fo__nft_link *vlan = vlans[n - 1 - i];
		uint16_t kind = vlan->vlan_proto == 0x88a8 ? FO_ENCAP_8021AD : FO_ENCAP_8021Q;

		if (adj->encap[i].kind != kind || adj->encap[i].id != vlan->vlan_id)
			return contradicts(err, "encap",
					   "the VLAN tags differ from those of device %s: say what it says",
					   vlan->name);
		if (adj->encap[i].dei || (adj->encap[i].pcp && adj->encap[i].pcp != vlan->vlan_pcp))
			return fo__nl_refuse(
				err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "encap",
				"the tag's priority is written by device %s, which says %u and no "
				"DEI: set its egress-qos-map, and pcp to the same or 0",
				vlan->name, vlan->vlan_pcp);
	}
	return 0;
}

/* From the L3 device down to the port. Through a bridge, which may tag by itself, only the membership is looked at; a PPP
 * device does not tell what it stands on. */
static int check_path(const struct fo__nft *nft, const struct fo__nft_link *l3, const struct fo_adj *adj,
		      struct fo_error *err)
{
	const struct fo__nft_link *vlans[DEPTH_MOST], *link = l3, *port = fo__nft_link(nft, adj->port);
	unsigned int n = 0;

	while (link && link != port && link->kind == FO__NFT_VLAN && n < DEPTH_MOST) {
		vlans[n++] = link;
		link = fo__nft_link(nft, link->below);
	}
	if (link && link->kind == FO__NFT_PPP)
		return 0;
	if (link && link->kind == FO__NFT_BRIDGE && link != port)
		return port->master == link->index
			       ? 0
			       : contradicts(err, "port", "the port is no member of bridge %s", link->name);
	if (link != port)
		return contradicts(err, "l3_dev", "device %s does not stand on the port", l3->name);
	/* A port that is itself a VLAN or a bridge writes tags of its own. */
	return port->kind == FO__NFT_PLAIN ? check_tags(vlans, n, adj, l3->name, err) : 0;
}

static int check_values(const struct fo__nft_link *l3, const struct fo_adj *adj, struct fo_error *err)
{
	static const uint8_t zero[6];

	if (memcmp(adj->own_mac, zero, 6) && memcmp(l3->mac, zero, 6) && memcmp(adj->own_mac, l3->mac, 6))
		return contradicts(
			err, "own_mac",
			"own_mac is not the address of device %s: leave both addresses zero, the kernel "
			"knows them",
			l3->name);
	if (adj->mtu < l3->mtu)
		return fo__nl_refuse(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "mtu",
			"mtu is %u, but backend nft goes by that of device %s, which is %u: set it there",
			adj->mtu, l3->name, l3->mtu);
	return 0;
}

int fo__nft_adj_check(struct fo__nft *nft, const struct fo_adj *adj, struct fo_error *err)
{
	uint32_t l3_dev = adj->l3_dev ? adj->l3_dev : adj->port;
	const struct fo__nft_link *l3;
	int rc = fo__nft_links_read(nft, err);

	if (rc)
		return rc;
	if (!fo__nft_link(nft, adj->port))
		return no_device(adj->port, err);
	l3 = fo__nft_link(nft, l3_dev);
	if (!l3)
		return fo__nl_refuse(err, -ENODEV, FO_R_ADJACENCY, FO_STAGE_RESOLVE, ENODEV, "l3_dev",
				     "l3_dev %u is no network device here", l3_dev);
	rc = check_path(nft, l3, adj, err);
	return rc ? rc : check_values(l3, adj, err);
}
