/* SPDX-License-Identifier: BSD-2-Clause */
/* links.c - devices that go down or away, by themselves. See guard.h.
 *
 * What is redirected to a device that is down is lost without a word. So its adjacencies are marked dead first, which
 * makes all their flows pass at once, and the flows end then, some thousands in a slice. A notice only says that it is
 * time to look; how a device is, it is asked.
 */
#include "backends/bpf/guard.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* Slots looked at in one slice. */
#define SLICE_SLOTS 4096u

int fo__bpf_links_open(struct fo__bpf *bpf, struct fo_error *err)
{
	struct fo__bpf_links *links = bpf->ops->alloc(bpf->host, sizeof(*links), 64);
	int code;

	if (!links)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, NULL, 0, "no memory for the table");
	memset(links, 0, sizeof(*links));
	links->ask.fd = links->notices.fd = -1;
	bpf->links = links;
	code = fo__nl_open(&links->ask, NETLINK_ROUTE, bpf->netns, links->rx, sizeof(links->rx), err);
	if (!code)
		code = fo__nl_open(&links->notices, NETLINK_ROUTE, bpf->netns, links->rx, sizeof(links->rx),
				   err);
	return code ? code : fo__nl_join(&links->notices, RTNLGRP_LINK, err);
}

void fo__bpf_links_close(struct fo__bpf *bpf)
{
	struct fo__bpf_links *links = bpf->links;

	if (!links)
		return;
	bpf->links = NULL;
	fo__nl_close(&links->ask);
	fo__nl_close(&links->notices);
	bpf->ops->free(bpf->host, links, sizeof(*links));
}

/* ---- how a port is ---- */

struct fo__bpf_device *fo__bpf_device(struct fo__bpf *bpf, uint32_t port)
{
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		if (bpf->devices[i].port == port)
			return &bpf->devices[i];
	return NULL;
}

bool fo__bpf_port_works(struct fo__bpf *bpf, uint32_t port)
{
	const struct fo__bpf_device *device = fo__bpf_device(bpf, port);

	return device && !device->down && !device->said_down;
}

int fo__bpf_flow_ports_check(struct fo__bpf *bpf, const struct fo_backend_flow *flow, struct fo_error *err)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		if (!fo__bpf_port_works(bpf, flow->in[dir]->port))
			return fo__bpf_fail(
				err, -ENODEV, FO_R_EGRESS_DOWN, dir ? "adj[1]" : "adj[0]", 0,
				"port %u is down, without a carrier, or gone: add the flow when it "
				"is up",
				flow->in[dir]->port);
	return 0;
}

int fo__bpf_port_check(struct fo__bpf *bpf, uint32_t port, struct fo_error *err)
{
	struct fo__link link;
	int code = fo__link_get(&bpf->links->ask, port, &link);

	if (code)
		return fo__bpf_fail(err, code == -ENODEV ? code : -EIO, FO_R_PORT, "ports", -code,
				    "there is no device with index %u here", port);
	if (link.type != ARPHRD_ETHER)
		return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "ports", 0,
				    "%s has no Ethernet header (type %u): name the Ethernet device beneath",
				    link.name, link.type);
	return 0;
}

/* The L3 device may be a session's: PPP in PPPoE is written by us. Others put something else before the packet. */
int fo__bpf_l3_check(struct fo__bpf *bpf, const struct fo_adj *adj, struct fo_error *err)
{
	bool session = adj->n_encaps && adj->encap[adj->n_encaps - 1].kind == FO_ENCAP_PPPOE;
	struct fo__link link;

	if (!adj->l3_dev || adj->l3_dev == adj->port || fo__link_get(&bpf->links->ask, adj->l3_dev, &link))
		return 0; /* a number of the caller's own is no device */
	if (link.type == ARPHRD_ETHER || (session && link.type == ARPHRD_PPP))
		return 0;
	return fo__bpf_fail(
		err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "l3_dev", 0,
		"packets leave by %s without an Ethernet header, or in a header that is not ours to "
		"write (type %u): leave it to the slow path",
		link.name, link.type);
}

/* ---- ends ---- */

static bool is_cut_off(struct fo__bpf *bpf, const struct fo__bpf_slot *flow)
{
	return !fo__bpf_port_works(bpf, bpf->sides[flow->in[0]].adj.port) ||
	       !fo__bpf_port_works(bpf, bpf->sides[flow->in[1]].adj.port);
}

static void end_some(struct fo__bpf *bpf)
{
	struct fo__bpf_links *links = bpf->links;
	uint32_t high = bpf->slots_high;
	uint32_t end = high - links->at < SLICE_SLOTS ? high : links->at + SLICE_SLOTS;

	for (; links->at < end; links->at++)
		if (bpf->slots[links->at].life == FO__BPF_LIVE && is_cut_off(bpf, &bpf->slots[links->at]))
			fo__bpf_flow_end(bpf, links->at, FO_R_EGRESS_DOWN);
	links->ending = links->at < high;
}

void fo__bpf_links_end_flows(struct fo__bpf *bpf)
{
	bpf->links->at = 0;
	bpf->links->ending = true;
}

static void apply(struct fo__bpf *bpf, struct fo__bpf_device *device, bool worked)
{
	bool works = !device->down && !device->said_down;

	if (works == worked)
		return;
	fo__bpf_sides_mark(bpf, device->port, works ? FO_R_NONE : FO_R_EGRESS_DOWN);
	if (!works)
		fo__bpf_links_end_flows(bpf);
}

void fo__bpf_links_look(struct fo__bpf *bpf, uint32_t port)
{
	struct fo__bpf_device *device = fo__bpf_device(bpf, port);
	bool worked;
	struct fo__link link;
	int code;

	if (!device)
		return;
	code = fo__link_get(&bpf->links->ask, port, &link);
	/* Not to be found out is no reason to stop. */
	if (code && code != -ENODEV)
		return;
	worked = !device->down && !device->said_down;
	device->down = code || !fo__link_works(&link);
	apply(bpf, device, worked);
	if (code)
		fo__bpf_device_del(bpf, port);
}

void fo__bpf_links_said(struct fo__bpf *bpf, uint32_t port, bool down)
{
	struct fo__bpf_device *device = fo__bpf_device(bpf, port);
	bool worked;

	if (!device)
		return;
	worked = !device->down && !device->said_down;
	device->said_down = down;
	apply(bpf, device, worked);
}

/* ---- notices ---- */

_Static_assert(FO__BPF_DEVICES <= FO__LINK_NOTICES_MOST, "one bit each");

bool fo__bpf_links_poll(struct fo__bpf *bpf)
{
	uint64_t heard = fo__link_notices(&bpf->links->notices, &bpf->devices[0].port,
					  sizeof(bpf->devices[0]), FO__BPF_DEVICES);

	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		if ((heard >> i & 1) && bpf->devices[i].port)
			fo__bpf_links_look(bpf, bpf->devices[i].port);
	if (bpf->links->ending)
		end_some(bpf);
	return bpf->links->ending;
}
