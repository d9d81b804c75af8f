/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_nft_hw.c - the rigs of backend nft in hardware mode: nf_flowtable with flags offload on the simulated hardware of
 * tests/hwsim, as its two kinds.
 *
 * What is short-cut must have been forwarded by the hardware, and when the table is gone the hardware must have been told
 * to forget every rule: one of the kind ppe would keep it.
 * */
#include "rig_net.h"

#include <stdio.h>
#include <time.h>

/* A case with timeouts this short is about counters: it wants the kernel to ask for them in time. So long a flow
 * stays whose packets nobody counts. */
#define SHORT_MS 60000u
#define SHORT_S	 "20"
/* For that. */
#define PATIENCE_MS 15000u

/* The kernel asks the hardware after a tenth of that. */
static int shorten(struct net *net, const struct fo_table_options *options)
{
	int rc;

	if (!options->timeout_tcp_ms || options->timeout_tcp_ms > SHORT_MS)
		return 0;
	net->prompt = 1;
	rc = net_enter(net, net->router) || net_set_kernel(net, "nf_flowtable_tcp_timeout", SHORT_S) ||
	     net_set_kernel(net, "nf_flowtable_udp_timeout", SHORT_S);
	return net_enter(net, net->home) || rc ? -1 : 0;
}

static int open_as(const char *personality, void **state, struct fo_table_options *options, char *why,
		   size_t why_size)
{
	options->needs |= FO_CAP_HARDWARE;
	options->flags |= FO_TABLE_ACCEPT_LINGER | FO_TABLE_KILL_CONNTRACK;
	if (net_open_hwsim(state, options, "nft", personality, why, why_size))
		return -1;
	if (!shorten(*state, options))
		return 0;
	snprintf(why, why_size, "%s", ((struct net *)*state)->why);
	net_close(*state);
	return -1;
}

static int open_nic(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_as("nic", state, options, why, why_size);
}

static int open_ppe(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	return open_as("ppe", state, options, why, why_size);
}

/* Does the hardware hold what the table is to let go of? */
static int holds_ended(struct net *net)
{
	struct fo_table_counters stats;
	unsigned int rules;

	FO_INIT(&stats);
	return net->table && !fo_stats(net->table, &stats, NULL) && stats.closing &&
	       !net_hwsim_rules(net, &rules) && rules > 2 * stats.flows;
}

/* A delete is carried out by the kernel in its own time: of the time that passes, as much passes in truth. */
static void advance(void *state, uint64_t ms)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct net *net = state;
	uint64_t until, now = net_now_ms(net);

	/* What was counted until now is told before the clock jumps: a counter says nothing of when. */
	for (until = now + PATIENCE_MS; net->prompt && net_hwsim_untold(net) && net_now_ms(net) < until;)
		nanosleep(&pause, NULL);
	if (net->prompt)
		net_read_counters(net);
	until = net_now_ms(net) + ms;
	while ((now = net_now_ms(net)) < until && holds_ended(net))
		nanosleep(&pause, NULL);
	if (now < until)
		net_advance(net, until - now);
}

/* ... and cannot be passed over. */
static uint64_t pass(void *state, uint64_t most_ms)
{
	return holds_ended(state) ? 0 : net_pass(state, most_ms);
}

#define MUST_HAVE                                                                                            \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT | \
	 FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_PPPOE | FO_CAP_SCOPE | FO_CAP_INGRESS | FO_CAP_POLICY |         \
	 FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_FLOW_UPDATE | FO_CAP_CRASH_LINGERS | FO_CAP_NETNS |      \
	 FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_ASYNC_ADD | FO_CAP_HARDWARE)

#define LIMITS (RIG_ONE_MTU | RIG_UNICAST | RIG_TRUE_HEADERS | RIG_TRUE_TAGS)

#define RIG_NFT_HW                                                                                           \
	.must_have = MUST_HAVE, .exceptions = nft_hw_exceptions,                                             \
	.features = RIG_BURSTS | RIG_ALLOC | RIG_FAULTS, .most_flows = 140, .attach = net_attach,            \
	.detach = net_detach, .close = net_close, .inject = net_inject, .advance = advance,                  \
	.now_ms = net_now_ms, .side = net_prepare_side, .connection = net_connect, .reroute = net_reroute,   \
	.port = net_set_port, .settle = net_settle, .pass = pass, .clean = net_hwsim_clean,                  \
	.fault = net_hwsim_fault, .rules = net_hwsim_forwarding, .carry = net_carry_through

const struct rig rig_nft_nic = {
	.name = "nft-nic",
	.about = "nf_flowtable with flags offload on the simulated hardware, a network adapter",
	.limits = LIMITS,
	.open = open_nic,
	RIG_NFT_HW,
};

const struct rig rig_nft_ppe = {
	.name = "nft-ppe",
	.about = "nf_flowtable with flags offload on the simulated hardware, a router's chip",
	.limits = LIMITS | RIG_NO_SYN | RIG_KEEPS,
	.open = open_ppe,
	RIG_NFT_HW,
};
