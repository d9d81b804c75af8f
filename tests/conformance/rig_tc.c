/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_tc.c - the rigs of backend tc: flower filters in the hardware of the simulated switch (tests/hwsim), with the kernel's
 * slow path and its conntrack behind it. Runs in the lab, where tests/lab/hw.sh loads the switch. */
#include "rig_net.h"

#include "flowoffload-tc.h"

#define EVERYWHERE                                                                                           \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT | \
	 FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ | FO_CAP_DSCP | FO_CAP_INGRESS |          \
	 FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_HARDWARE | FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN |      \
	 FO_CAP_PUNT_RST | FO_CAP_CRASH_LINGERS | FO_CAP_DELETE_KEEPS_CT | FO_CAP_COUNTERS_FAST |            \
	 FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_CALLER_NEIGH | FO_CAP_PERSIST)

static int open_as(const char *personality, uint32_t profile, uint32_t threads, void **state,
		   struct fo_table_options *options, char *why, size_t why_size)
{
	static struct fo_tc_options own;

	FO_INIT(&own);
	own.profile = profile;
	own.helper_threads = threads;
	own.conntrack = FO_TC_CONNTRACK_ON;
	own.bytes = FO_TC_BYTES_IP;
	/* This suite is what shows it. */
	own.guards_shown = profile == FO_TC_PROFILE_EXPLICIT;
	options->backend_options = &own;
	options->flags |= FO_TABLE_ACCEPT_LINGER;
	if (net_open_hwsim(state, options, "tc", personality, why, why_size))
		return -1;
	((struct net *)*state)->instant = 1;
	return 0;
}

static int open_explicit(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_as("nic", FO_TC_PROFILE_EXPLICIT, 0, state, options, why, why_size);
}

static int open_threads(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_as("nic", FO_TC_PROFILE_EXPLICIT, 2, state, options, why, why_size);
}

static int open_ppe(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_as("ppe", FO_TC_PROFILE_PPE, 0, state, options, why, why_size);
}

/* What the hardware counted until now is read before the table's clock jumps: a counter says nothing of when. */
static void advance(void *state, uint64_t ms)
{
	net_read_counters(state);
	net_advance(state, ms);
}

#define RIG_TC                                                                                               \
	.features = RIG_BURSTS | RIG_ALLOC | RIG_FAULTS, .most_flows = 200, .attach = net_attach,            \
	.detach = net_detach, .close = net_close, .inject = net_inject, .advance = advance,                  \
	.now_ms = net_now_ms, .side = net_prepare_side, .connection = net_connect, .reroute = net_reroute,   \
	.port = net_set_port, .settle = net_settle, .clean = net_hwsim_clean, .fault = net_hwsim_fault,      \
	.rules = net_hwsim_forwarding, .carry = net_carry_through

const struct rig rig_tc = {
	.name = "tc",
	.about = "flower filters, profile explicit, on the simulated switch as a nic (in the lab)",
	.must_have = EVERYWHERE | FO_CAP_BLOCKING_ADD | FO_CAP_PUNT_MAC | FO_CAP_GUARDS_VERIFIED,
	.limits = RIG_ONE_MTU,
	.exceptions = tc_exceptions,
	.open = open_explicit,
	RIG_TC,
};

const struct rig rig_tc_threads = {
	.name = "tc-threads",
	.about = "as tc, with two threads that wait for the driver",
	.must_have = EVERYWHERE | FO_CAP_ASYNC_ADD | FO_CAP_PUNT_MAC | FO_CAP_GUARDS_VERIFIED,
	.limits = RIG_ONE_MTU,
	.exceptions = tc_threads_exceptions,
	.open = open_threads,
	RIG_TC,
};

const struct rig rig_tc_ppe = {
	.name = "tc-ppe",
	.about = "flower filters, profile ppe, on the simulated switch as a packet engine (in the lab)",
	.must_have = EVERYWHERE | FO_CAP_BLOCKING_ADD,
	.limits = RIG_ONE_MTU | RIG_UNICAST,
	.exceptions = tc_ppe_exceptions,
	.open = open_ppe,
	RIG_TC,
};
