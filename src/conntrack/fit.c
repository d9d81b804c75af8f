/* SPDX-License-Identifier: BSD-2-Clause */
/* fit.c - does a conntrack entry agree with a flow, and may its connection leave the slow path? See conntrack.h.
 * Source: nft_flow_offload_eval() in net/netfilter/nft_flow_offload.c. */
#include "conntrack/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h>
#include <sys/socket.h>

int fo__ct_same_tuple(const struct fo_tuple *a, const struct fo_tuple *b)
{
	return a->family == b->family && a->proto == b->proto && a->sport_be == b->sport_be &&
	       a->dport_be == b->dport_be && !memcmp(a->src, b->src, 16) && !memcmp(a->dst, b->dst, 16);
}

int fo__ct_carries(const struct fo__ct_entry *entry, const struct fo_tuple tuple[2], int *reversed)
{
	*reversed = fo__ct_same_tuple(&entry->tuple[0], &tuple[1]) &&
		    fo__ct_same_tuple(&entry->tuple[1], &tuple[0]);
	return *reversed || (fo__ct_same_tuple(&entry->tuple[0], &tuple[0]) &&
			     fo__ct_same_tuple(&entry->tuple[1], &tuple[1]));
}

static void print_end(const uint8_t *address, uint16_t port_be, uint8_t family, char *text, size_t size)
{
	char name[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(family == FO_FAMILY_IPV6 ? AF_INET6 : AF_INET, address, name, sizeof(name));
	(void)snprintf(text, size, "%s %u", name, ntohs(port_be));
}

int fo__ct_contradicts(const struct fo__ct_entry *entry, const struct fo_tuple tuple[2], struct fo_error *err)
{
	const struct fo_tuple *reply = &entry->tuple[fo__ct_same_tuple(&entry->tuple[0], &tuple[0]) ? 1 : 0];
	char from[64], to[64];

	print_end(reply->src, reply->sport_be, reply->family, from, sizeof(from));
	print_end(reply->dst, reply->dport_be, reply->family, to, sizeof(to));
	return fo__nl_refuse(
		err, -EINVAL, FO_R_NAT, FO_STAGE_RESOLVE, 0, "tuple[1]",
		"tuple[1] contradicts conntrack, by which replies come from %s to %s: the NAT is the "
		"kernel's",
		from, to);
}

int fo__ct_fits(const struct fo__ct_entry *entry, struct fo_error *err)
{
	enum fo_reason closing = fo__ct_closing(entry);

	if (entry->have & FO__CT_HELPER)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "tuple[0]",
				     "conntrack helper %s reads its packets: leave it to the slow path",
				     entry->helper[0] ? entry->helper : "of no name");
	if (entry->status & IPS_SEQ_ADJUST)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "tuple[0]",
				     "conntrack adjusts its sequence numbers: leave it to the slow path");
	if (closing || (entry->status & IPS_DYING))
		return fo__nl_refuse(
			err, -EBUSY, FO_R_CLOSING, FO_STAGE_RESOLVE, 0, "tuple[0]",
			"the connection is ending (conntrack says %s): leave it to the slow path",
			closing ? fo__ct_tcp_state_name(entry->tcp_state) : "dying");
	return 0;
}
