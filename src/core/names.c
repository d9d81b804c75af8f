/* SPDX-License-Identifier: BSD-2-Clause */
/* names.c - words for the public numbers: reasons, stages, capabilities, states, events, the
 * version.
 *
 * Names are part of the API (they appear in JSON output and in tests): add, never change.
 * Neighbours: error.c.
 */
#include "flowoffload.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct words {
	const char *name;
	const char *text;
};

static const struct words reasons[FO_R_MAX] = {
	[FO_R_NONE] = {"none", "nothing to report"},
	[FO_R_NO_FLOW] = {"no-flow", "no flow has this tuple"},
	[FO_R_NOT_IP] = {"not-ip", "neither IPv4 nor IPv6 after at most two VLAN tags and PPPoE"},
	[FO_R_MALFORMED] = {"malformed", "the packet is truncated, or its lengths contradict each other"},
	[FO_R_FRAGMENT] = {"fragment", "the packet is an IP fragment"},
	[FO_R_IP_OPTIONS] = {"ip-options", "the IPv4 header has options"},
	[FO_R_EXT_HEADER] = {"ext-header", "the IPv6 packet has an extension header"},
	[FO_R_TTL] = {"ttl", "TTL or hop limit is used up"},
	[FO_R_MTU] = {"mtu", "the packet, or a segment of it, is longer than the egress MTU"},
	[FO_R_PROTOCOL] = {"protocol", "the protocol is not TCP, UDP, ICMP or ICMPv6"},
	[FO_R_ICMP_TYPE] = {"icmp-type", "the ICMP message is no echo request or reply"},
	[FO_R_TCP_SYN] = {"tcp-syn", "TCP SYN belongs to the slow path"},
	[FO_R_TCP_FIN] = {"tcp-fin", "TCP FIN was seen"},
	[FO_R_TCP_RST] = {"tcp-rst", "TCP RST was seen"},
	[FO_R_WRONG_INGRESS] = {"wrong-ingress",
				"the tuple is known, but from another port, VLAN, session or scope"},
	[FO_R_WRONG_MAC] = {"wrong-mac", "the packet was not sent to the adjacency's own MAC"},
	[FO_R_CLOSING] = {"closing", "the flow is ending"},
	[FO_R_NO_HEADROOM] = {"no-headroom", "the egress L2 header does not fit before the packet"},
	[FO_R_INVALIDATED] = {"invalidated", "the flow was invalidated"},
	[FO_R_EGRESS_DOWN] = {"egress-down", "the egress port is down or gone"},
	[FO_R_BUSY] = {"busy", "the flow was being changed at this moment"},
	[FO_R_CSUM_META] = {"csum-meta", "the partial checksum cannot be carried by the short cut"},
	[FO_R_GSO] = {"gso", "the GSO frame cannot be carried by this egress"},
	[FO_R_ENCAP] = {"encap", "too many tags, or PPP that is not IP"},
	[FO_R_NOT_ACTIVE] = {"not-active", "the flow is armed: the slow path carries it"},
	[FO_R_TABLE_GONE] = {"table-gone", "the table was destroyed while the worker was open"},

	[FO_R_ARGUMENT] = {"argument", "an argument has a value that no backend accepts"},
	[FO_R_SIZE] = {"size", "the struct has a size that this library cannot read"},
	[FO_R_TUPLE] = {"tuple", "addresses, ports or protocol contradict each other"},
	[FO_R_ADDRESS] = {"address", "the address is of a class that is never offloaded"},
	[FO_R_NAT] = {"nat", "the reply tuple does not answer the original one under the stated NAT"},
	[FO_R_PORT] = {"port", "the port is not in the table"},
	[FO_R_ADJACENCY] = {"adjacency", "no such adjacency, or one that contradicts itself"},
	[FO_R_ENCAP_KIND] = {"encap-kind",
			     "an encapsulation is unknown, reserved, one too many or out of order"},
	[FO_R_EXISTS] = {"exists", "the key belongs to a living flow"},
	[FO_R_KEY_CLOSING] = {"key-closing", "the key belongs to a flow that is still closing"},
	[FO_R_FULL] = {"full", "the capacity is reached"},
	[FO_R_RECLAIM] = {"reclaim", "slots wait for workers or for fo_table_poll()"},
	[FO_R_INDEX_CROWDED] = {"index-crowded", "too many keys share one hash"},
	[FO_R_STALE] = {"stale", "the handle is of something that has ended, or never was"},
	[FO_R_IN_USE] = {"in-use", "it is still referenced, or owned by somebody else"},
	[FO_R_UNSUPPORTED] = {"unsupported", "well formed, but not on this backend"},
	[FO_R_NEEDS] = {"needs", "a needed capability is missing"},
	[FO_R_NO_BACKEND] = {"no-backend", "no backend has that name, or none fits"},
	[FO_R_PERMISSION] = {"permission", "the process lacks the permission"},
	[FO_R_MEMORY] = {"memory", "memory could not be had"},
	[FO_R_WORKERS] = {"workers", "more workers than the table was created for, or none allowed"},
	[FO_R_TIMEOUT] = {"timeout", "it was not finished at the deadline"},
	[FO_R_BACKEND] = {"backend", "the backend reported an error of its own"},
	[FO_R_COLLISION] = {"collision", "the device cannot hold this key beside another"},
	[FO_R_DELETED] = {"deleted", "the flow was deleted by the caller"},
	[FO_R_IDLE] = {"idle", "the flow was idle for its timeout"},
	[FO_R_LOST] = {"lost", "the backend lost the flow"},
	[FO_R_FALLBACK] = {"fallback", "the backend handed the flow back to the slow path"},
	[FO_R_STALLED] = {"stalled", "a worker has been inside one run for too long"},
	[FO_R_CALL_ORDER] = {"call-order", "the call is not allowed at this moment"},
	[FO_R_NOT_ESTABLISHED] = {"not-established", "conntrack does not know the connection both ways"},
	[FO_R_NOT_IN_HARDWARE] =
		{"not-in-hardware",
		 "the driver did not take it, or one direction only, or that cannot be told"},
};

static const char *const stages[] = {
	[FO_STAGE_NONE] = "",		[FO_STAGE_VALIDATE] = "validate", [FO_STAGE_RESOLVE] = "resolve",
	[FO_STAGE_INSTALL] = "install", [FO_STAGE_VERIFY] = "verify",	  [FO_STAGE_AGE] = "age",
};

/* By bit number, in the order of the header. */
static const char *const caps[FO_CAP_COUNT] = {
	"ipv4",
	"ipv6",
	"tcp",
	"udp",
	"icmp-echo",
	"snat",
	"dnat",
	"port-nat",
	"nat66",
	"vlan",
	"qinq",
	"pppoe",
	"dscp",
	"scope",
	"ingress",
	"any-ingress",
	"adj-update",
	"flow-update",
	"worker",
	"hardware",
	"policy",
	"persist",
	"punt-syn",
	"punt-fin",
	"punt-rst",
	"punt-mac",
	"crash-gone",
	"crash-lease",
	"crash-lingers",
	"delete-keeps-ct",
	"guards-verified",
	"egress-qdisc",
	"ingress-tc",
	"counters-fast",
	"netns",
	"per-flow-timeout",
	"async-add",
	"caller-neigh",
	"blocking-add",
	"vlan-ad",
};

static const char *const states[] = {
	[FO_STATE_NONE] = "none",	  [FO_STATE_ARMED] = "armed",	  [FO_STATE_ACTIVE] = "active",
	[FO_STATE_HARDWARE] = "hardware", [FO_STATE_PARTIAL] = "partial", [FO_STATE_CLOSING] = "closing",
};

static const char *const events[] = {
	[FO_EV_STATE] = "state",
	[FO_EV_FALLBACK] = "fallback",
	[FO_EV_WORKER] = "worker",
	[FO_EV_DELETED] = "deleted",
	[FO_EV_CLOSED] = "closed",
	[FO_EV_EXPIRED] = "expired",
	[FO_EV_INVALIDATED] = "invalidated",
	[FO_EV_REFUSED] = "refused",
	[FO_EV_LOST] = "lost",
};

static const char *pick(const char *const *names, size_t count, unsigned int i, const char *none)
{
	return i < count && names[i] ? names[i] : none;
}

const char *fo_reason_name(unsigned int reason)
{
	return reason < FO_R_MAX && reasons[reason].name ? reasons[reason].name : "unknown";
}

const char *fo_reason_text(unsigned int reason)
{
	return reason < FO_R_MAX && reasons[reason].text ? reasons[reason].text
							 : "a reason this library does not know";
}

const char *fo_stage_name(unsigned int stage)
{
	return pick(stages, COUNT(stages), stage, "");
}

const char *fo_cap_name(unsigned int bit)
{
	return pick(caps, COUNT(caps), bit, "unknown");
}

const char *fo_state_name(unsigned int state)
{
	return pick(states, COUNT(states), state, "unknown");
}

const char *fo_event_name(unsigned int kind)
{
	return pick(events, COUNT(events), kind, "unknown");
}

#define QUOTE(number)		     #number
#define VERSION(major, minor, patch) QUOTE(major) "." QUOTE(minor) "." QUOTE(patch)

const char *fo_version(void)
{
	return VERSION(FO_VERSION_MAJOR, FO_VERSION_MINOR, FO_VERSION_PATCH);
}
