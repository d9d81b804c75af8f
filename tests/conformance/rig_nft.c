/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_nft.c - the rig of backend nft: nf_flowtable in the router of rig_net.h. */
#include "rig_net.h"

static int nft_open(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return net_open(state, options, "nft", why, why_size);
}

const struct rig rig_nft = {
	.name = "nft",
	.about = "nf_flowtable in a namespace, real packets over veth (needs root and a kernel that has it)",
	.must_have = FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_DNAT |
		     FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_PPPOE |
		     FO_CAP_SCOPE | FO_CAP_INGRESS | FO_CAP_POLICY | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST |
		     FO_CAP_EGRESS_QDISC | FO_CAP_INGRESS_TC | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE |
		     FO_CAP_CRASH_GONE | FO_CAP_DELETE_KEEPS_CT | FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT |
		     FO_CAP_ASYNC_ADD,
	.features = RIG_BURSTS | RIG_ALLOC,
	.limits = RIG_ONE_MTU | RIG_TRUE_HEADERS,
	/* More than one exchange with conntrack takes; tests/nft has ten thousand. */
	.most_flows = 140,
	.exceptions = nft_exceptions,
	.open = nft_open,
	.attach = net_attach,
	.detach = net_detach,
	.close = net_close,
	.inject = net_inject,
	.advance = net_advance,
	.now_ms = net_now_ms,
	.side = net_prepare_side,
	.connection = net_connect,
	.reroute = net_reroute,
	.port = net_set_port,
	.settle = net_settle,
	.pass = net_pass,
};
