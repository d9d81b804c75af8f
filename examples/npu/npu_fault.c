/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_fault.c - the names of the faults that can be seeded. The faults themselves are where a backend would make them:
 * look for NPU_FAULT_ in the neighbours.
 */
#include "npu.h"

static const char *const names[NPU_FAULT_COUNT] = {
	[NPU_FAULT_NONE] = "none",
	[NPU_FAULT_UDP_ZERO_REWRITTEN] = "udp-zero-rewritten",
	[NPU_FAULT_UDP_ZERO_SENT] = "udp-zero-sent",
	[NPU_FAULT_TCP_ZERO_COMPLEMENTED] = "tcp-zero-complemented",
	[NPU_FAULT_PORTS_WITHOUT_CSUM] = "ports-without-csum",
	[NPU_FAULT_NO_PSEUDO_HEADER] = "no-pseudo-header",
	[NPU_FAULT_ICMP_PSEUDO_HEADER] = "icmp-pseudo-header",
	[NPU_FAULT_CSUM_REPAIRED] = "csum-repaired",
	[NPU_FAULT_ECN_CLEARED] = "ecn-cleared",
	[NPU_FAULT_TTL_KEPT] = "ttl-kept",
	[NPU_FAULT_TTL_ONE_FORWARDED] = "ttl-one-forwarded",
	[NPU_FAULT_FRAGMENT_FORWARDED] = "fragment-forwarded",
	[NPU_FAULT_OPTIONS_FORWARDED] = "options-forwarded",
	[NPU_FAULT_MTU_IGNORED] = "mtu-ignored",
	[NPU_FAULT_MTU_OFF_BY_ONE] = "mtu-off-by-one",
	[NPU_FAULT_MAC_IGNORED] = "mac-ignored",
	[NPU_FAULT_VLAN_IGNORED] = "vlan-ignored",
	[NPU_FAULT_PORT_IGNORED] = "port-ignored",
	[NPU_FAULT_ICMP_ERROR_AS_ECHO] = "icmp-error-as-echo",
	[NPU_FAULT_SYN_FORWARDED] = "syn-forwarded",
	[NPU_FAULT_FIN_IGNORED] = "fin-ignored",
	[NPU_FAULT_RST_FORWARDED] = "rst-forwarded",
	[NPU_FAULT_PADDING_FORWARDED] = "padding-forwarded",
	[NPU_FAULT_PPPOE_LENGTH] = "pppoe-length",
	[NPU_FAULT_PCP_COPIED] = "pcp-copied",
	[NPU_FAULT_PASS_MODIFIED] = "pass-modified",
	[NPU_FAULT_LINK_IGNORED] = "link-ignored",
	[NPU_FAULT_L2_BYTES] = "l2-bytes",
	[NPU_FAULT_PADDING_COUNTED] = "padding-counted",
	[NPU_FAULT_FULL_EVICTS] = "full-evicts",
	[NPU_FAULT_NEVER_IDLE] = "never-idle",
	[NPU_FAULT_ONE_DIRECTION] = "one-direction",
	[NPU_FAULT_COUNTER_LOST_AT_DELETE] = "counter-lost-at-delete",
	[NPU_FAULT_STATS_CONSUMED] = "stats-consumed",
	[NPU_FAULT_DELETED_FORWARDS] = "deleted-forwards",
	[NPU_FAULT_LATE_RESURRECTION] = "late-resurrection",
	[NPU_FAULT_REMOVED_NOT_TOLD] = "removed-not-told",
	[NPU_FAULT_CLOSING_NOT_TOLD] = "closing-not-told",
	[NPU_FAULT_TOLD_TWICE] = "told-twice",
	[NPU_FAULT_RESET_NOT_TOLD] = "reset-not-told",
	[NPU_FAULT_FALLBACK_INVENTED] = "fallback-invented",
	[NPU_FAULT_ADJ_UPDATE_IGNORED] = "adj-update-ignored",
	[NPU_FAULT_DSCP_UPDATE_IGNORED] = "dscp-update-ignored",
	[NPU_FAULT_IDLE_BY_ONE_DIRECTION] = "idle-by-one-direction",
};

const char *npu_fault_name(unsigned int fault)
{
	return fault < NPU_FAULT_COUNT ? names[fault] : NULL;
}
