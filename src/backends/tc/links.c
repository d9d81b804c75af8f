/* SPDX-License-Identifier: BSD-2-Clause */
/* links.c - devices that go down or away, by themselves. See state.h.
 *
 * Hardware loses what it sends to a port that is down. So the filters of all flows over it go first, and the flows end
 * then. A notice only says that it is time to look; how a device is, it is asked.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* Flows ended in one slice. */
#define ENDS_MOST 64u

int fo__tc_links_open(struct fo__tc *tc, struct fo_error *err)
{
	int rc = fo__nl_open(&tc->notices, NETLINK_ROUTE, tc->netns, tc->rx, FO__NL_RX_ROOM, err);

	return rc ? rc : fo__nl_join(&tc->notices, RTNLGRP_LINK, err);
}

void fo__tc_links_end_flows(struct fo__tc *tc)
{
	tc->ending = 1;
	tc->ending_at = 0;
}

static void end_some(struct fo__tc *tc)
{
	unsigned int ended = 0;

	for (; tc->ending_at < tc->high && ended < ENDS_MOST; tc->ending_at++) {
		const struct fo__tc_record *record = &tc->records[tc->ending_at];

		/* Also where the port is up again: its filters are gone. */
		if (!record->cookie || record->life != FO__TC_LIVE ||
		    (record->there[0] && record->there[1] && fo__tc_port_works(&tc->ports[record->port[0]]) &&
		     fo__tc_port_works(&tc->ports[record->port[1]])))
			continue;
		ended++;
		fo__tc_flow_end(tc, tc->ending_at, FO_R_EGRESS_DOWN);
	}
	tc->ending = tc->ending_at < tc->high;
}

static void look(struct fo__tc *tc, struct fo__tc_port *port)
{
	int worked = fo__tc_port_works(port), rc;
	struct fo__link link;

	rc = fo__link_get(&tc->set, port->index, &link);
	/* Not to be found out is no reason to stop. */
	if (rc && rc != -ENODEV)
		return;
	port->down = rc || !fo__link_works(&link);
	if (!rc)
		port->mtu = link.mtu;
	if (!worked || fo__tc_port_works(port))
		return;
	fo__tc_flows_cut(tc, port);
	fo__tc_links_end_flows(tc);
}

_Static_assert(FO__TC_PORTS <= FO__LINK_NOTICES_MOST, "one bit each");

void fo__tc_links_poll(struct fo__tc *tc)
{
	uint64_t heard =
		fo__link_notices(&tc->notices, &tc->ports[0].index, sizeof(tc->ports[0]), FO__TC_PORTS);

	for (unsigned int i = 0; i < FO__TC_PORTS; i++)
		if ((heard >> i & 1) && tc->ports[i].index)
			look(tc, &tc->ports[i]);
	if (tc->ending)
		end_some(tc);
}
