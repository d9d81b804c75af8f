/* SPDX-License-Identifier: BSD-2-Clause */
/* needs.c - what tables, adjacencies and flows ask of a backend, in the bits that it states its
 * abilities in.
 *
 * Neighbours: validate.h; registry.c chooses backends by it.
 */
#include "core/validate.h"

#include <errno.h>
#include <stdio.h>

#include "core/error.h"
#include "core/tuple.h"

/* All that a flow can make use of: a backend that has them needs not be asked. */
#define ALL_USES                                                                                             \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_QINQ | FO_CAP_PPPOE |           \
	 FO_CAP_DSCP | FO_CAP_SCOPE | FO_CAP_INGRESS | FO_CAP_ANY_INGRESS | FO_CAP_PER_FLOW_TIMEOUT |        \
	 FO_CAP_VLAN_AD)

/* Where a capability comes from, for fo_error.field. */
static const struct {
	uint64_t bits;
	const char *field;
} origins[] = {
	{FO_CAP_IPV4 | FO_CAP_IPV6, "tuple[0].family"},
	{FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO, "tuple[0].proto"},
	{FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66, "tuple[1]"},
	{FO_CAP_VLAN | FO_CAP_QINQ | FO_CAP_PPPOE | FO_CAP_VLAN_AD, "encap"},
	{FO_CAP_INGRESS | FO_CAP_ANY_INGRESS, "flags"},
	{FO_CAP_DSCP, "dscp"},
	{FO_CAP_SCOPE, "scope"},
	{FO_CAP_PER_FLOW_TIMEOUT, "timeout_ms"},
};

static const char *origin(uint64_t missing)
{
	size_t i;

	for (i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
		if (origins[i].bits & missing)
			return origins[i].field;
	return "needs";
}

const char *fo__caps_text(uint64_t bits, char *text, size_t size)
{
	size_t used = 0;
	unsigned int bit;
	int n;

	if (size)
		text[0] = '\0';
	for (bit = 0; bit < FO_CAP_COUNT && used < size; bit++) {
		if (!(bits >> bit & 1))
			continue;
		n = snprintf(text + used, size - used, "%s%s", used ? ", " : "", fo_cap_name(bit));
		if (n < 0)
			break;
		used += (size_t)n;
	}
	return text;
}

uint64_t fo__options_needs(const struct fo_table_options *opts)
{
	uint64_t needs = opts->needs;

	if (opts->flags & FO_TABLE_PERSIST)
		needs |= FO_CAP_PERSIST;
	if (opts->netns_fd > 0)
		needs |= FO_CAP_NETNS;
	return needs;
}

uint64_t fo__adj_needs(const struct fo_adj *adj)
{
	uint64_t needs = adj->flags & FO_ADJ_ANY_INGRESS ? FO_CAP_ANY_INGRESS : FO_CAP_INGRESS;
	unsigned int tags = 0;
	uint32_t i;

	for (i = 0; i < adj->n_encaps; i++) {
		if (adj->encap[i].kind == FO_ENCAP_PPPOE)
			needs |= FO_CAP_PPPOE;
		else
			tags++;
		if (adj->encap[i].kind == FO_ENCAP_8021AD)
			needs |= FO_CAP_VLAN_AD;
	}
	if (tags > 0)
		needs |= FO_CAP_VLAN;
	if (tags > 1)
		needs |= FO_CAP_QINQ;
	return needs;
}

static uint64_t proto_needs(uint8_t proto)
{
	switch (proto) {
	case FO__PROTO_TCP:
		return FO_CAP_TCP;
	case FO__PROTO_UDP:
		return FO_CAP_UDP;
	default:
		return FO_CAP_ICMP_ECHO;
	}
}

static uint64_t nat_needs(const struct fo_flow *flow)
{
	struct fo__nat nat = fo__nat_of(flow->tuple);
	uint64_t needs = 0;

	if (nat.src_addr || nat.src_port)
		needs |= FO_CAP_SNAT;
	if (nat.dst_addr || nat.dst_port)
		needs |= FO_CAP_DNAT;
	if (nat.src_port || nat.dst_port)
		needs |= FO_CAP_PORT_NAT;
	if (needs && flow->tuple[0].family == FO_FAMILY_IPV6)
		needs |= FO_CAP_NAT66;
	return needs;
}

/* What the flow makes use of, whatever the caller asked for besides. */
static uint64_t flow_uses(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1)
{
	uint64_t uses = fo__adj_needs(adj0) | fo__adj_needs(adj1);

	uses |= flow->tuple[0].family == FO_FAMILY_IPV6 ? FO_CAP_IPV6 : FO_CAP_IPV4;
	uses |= proto_needs(flow->tuple[0].proto);
	uses |= nat_needs(flow);
	if (flow->dscp[FO_ORIGINAL] != FO_DSCP_KEEP || flow->dscp[FO_REPLY] != FO_DSCP_KEEP)
		uses |= FO_CAP_DSCP;
	if (flow->scope)
		uses |= FO_CAP_SCOPE;
	if (flow->timeout_ms != FO_TIMEOUT_TABLE)
		uses |= FO_CAP_PER_FLOW_TIMEOUT;
	return uses;
}

uint64_t fo__flow_needs(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1)
{
	return flow_uses(flow, adj0, adj1) | flow->needs;
}

static int unsupported(const struct fo_caps *caps, uint64_t missing, const char *what, struct fo_error *err)
{
	char names[96];

	return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VALIDATE, origin(missing),
			"backend %.15s cannot do %s, which this %s uses: leave it to the slow path",
			caps->backend, fo__caps_text(missing, names, sizeof(names)), what);
}

int fo__check_adj_caps(const struct fo_adj *adj, const struct fo_caps *caps, struct fo_error *err)
{
	static const uint8_t zero[6];
	uint64_t missing = fo__adj_needs(adj) & ~caps->can;

	if (missing)
		return unsupported(caps, missing, "adjacency", err);
	if (adj->n_encaps > caps->max_encaps)
		return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VALIDATE, "n_encaps",
				"n_encaps is %u, but backend %.15s takes %u: leave such flows to the "
				"slow path",
				(unsigned int)adj->n_encaps, caps->backend, (unsigned int)caps->max_encaps);
	if ((caps->can & FO_CAP_CALLER_NEIGH) && !memcmp(adj->own_mac, zero, sizeof(zero)))
		return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VALIDATE, "own_mac",
				"own_mac and peer_mac are zero, but backend %.15s resolves no neighbours: "
				"give both",
				caps->backend);
	return 0;
}

int fo__check_flow_caps(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1,
			const struct fo_caps *caps, struct fo_error *err)
{
	uint64_t missing = (caps->can & ALL_USES) == ALL_USES ? 0 : flow_uses(flow, adj0, adj1) & ~caps->can;
	char names[96];

	if (missing)
		return unsupported(caps, missing, "flow", err);
	missing = flow->needs & ~caps->can;
	if (missing)
		return fo__fail(err, -EOPNOTSUPP, FO_R_NEEDS, FO_STAGE_VALIDATE, "needs",
				"backend %.15s lacks %s, which needs asks for: clear the bit or leave the "
				"flow to the slow path",
				caps->backend, fo__caps_text(missing, names, sizeof(names)));
	return 0;
}
