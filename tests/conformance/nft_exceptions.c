/* SPDX-License-Identifier: BSD-2-Clause */
/* nft_exceptions.c - where nf_flowtable does not keep the contract. See exceptions.h. */
#include "exceptions.h"

#define FORWARDED "forwarded (none), should be passed on"
#define LOOKED_AT                                                                                            \
	"the kernel takes a flow up with its first packet; that it is active is said at the next look at "   \
	"conntrack"
#define COLLISION "conntrack knows one connection of this tuple"
#define INGRESS                                                                                              \
	"a connection is known to conntrack by zone and tuple: of two that are told apart by their ingress " \
	"alone the "                                                                                         \
	"second is refused (collision)"
#define LENGTHS                                                                                              \
	"nf_flowtable does not compare the lengths in the headers with the packet's: what the slow path "    \
	"would "                                                                                             \
	"drop as malformed is forwarded as it is"

#define BENEATH                                                                                              \
	"hardware hands it up, to nf_flowtable in software: that does not compare the lengths in the "       \
	"headers "                                                                                           \
	"with "                                                                                              \
	"the packet's, and forwards what the slow path would drop as malformed"
#define NOT_HARDWARE "it took the short cut, but not that of the hardware"
#define FORWARDED    "forwarded (none), should be passed on"
#define BEHIND                                                                                               \
	"hardware goes on with what comes behind a FIN or RST until the flowtable's collector, once a "      \
	"second, "                                                                                           \
	"has it "                                                                                            \
	"forget the flow"
#define WITHOUT_TAGS                                                                                         \
	"nf_flowtable tells drivers the port that frames come in by, but not with which tags or session, "   \
	"or "                                                                                                \
	"that "                                                                                              \
	"they have none"

const struct rig_exception nft_exceptions[] = {
	{"lengths/padding_is_trimmed", "forwarded with other bytes", 0, 0,
	 "nf_flowtable forwards what lies behind the IP packet (Ethernet padding) with it"},
	{"lengths/padding_never_enters_pppoe", "forwarded with other bytes", 0, 0,
	 "nf_flowtable forwards Ethernet padding, and counts it into the length of PPPoE"},
	{"malformed/ip_lengths_that_lie", "forwarded (none), should be passed on (malformed)", 0, 0, LENGTHS},
	{"malformed/ip_version_that_lies", "forwarded (none), should be passed on (malformed)", 0, 0,
	 "nf_flowtable goes by the Ethernet type, and forwards a packet whose version in the IP header is "
	 "another"},
	{"malformed/udp_length_that_lies", "forwarded (none), should be passed on (malformed)", 0, 0,
	 LENGTHS},
	{"malformed/tcp_data_offset_that_lies", "forwarded (none), should be passed on (malformed)", 0, 0,
	 LENGTHS},
	{"malformed/ipv6_payload_length_zero", "forwarded (none), should be passed on (malformed)", 0, 0,
	 LENGTHS},
	{"malformed/truncated_at_every_byte", "forwarded (none), should be passed on (malformed)", 0, 0,
	 LENGTHS},
	{"malformed/pppoe_that_lies", "forwarded (none), should be passed on (malformed)", 0, 0, LENGTHS},
	{"duplicates/other_ingress_is_another_key", COLLISION, 0, 0, INGRESS},
	{"update/update_onto_a_taken_key_is_refused", COLLISION, 0, 0, INGRESS},
	{"adjacency/update_that_merges_keys_is_refused", COLLISION, 0, 0, INGRESS},
	{"late/armed_flow_is_not_short_cut", FORWARDED, 0, 0, LOOKED_AT},
	{"closing/*", "the backend has no punt-fin", EXCEPTION_KERNEL(7, 0), 0,
	 "FIN and RST stay on the short cut; the connection leaves it when it has been idle"},
	{0, 0, 0, 0, 0},
};

const struct rig_exception nft_hw_exceptions[] = {
	{"malformed/ip_lengths_that_lie", NOT_HARDWARE, 0, 0, BENEATH},
	{"malformed/udp_length_that_lies", NOT_HARDWARE, 0, 0, BENEATH},
	{"malformed/tcp_data_offset_that_lies", NOT_HARDWARE, 0, 0, BENEATH},
	{"malformed/ipv6_payload_length_zero", NOT_HARDWARE, 0, 0, BENEATH},
	{"malformed/truncated_at_every_byte", NOT_HARDWARE, 0, 0, BENEATH},
	{"malformed/pppoe_that_lies", NOT_HARDWARE, 0, 0, BENEATH},
	{"ingress/wrong_encapsulation_passes", "forwarded (none), should be passed on (wrong-ingress)", 0, 0,
	 WITHOUT_TAGS},
	{"ingress/priority_tag_passes", "forwarded (none), should be passed on (wrong-ingress)", 0, 0,
	 WITHOUT_TAGS},
	{"duplicates/other_ingress_is_another_key", COLLISION, 0, 0, INGRESS},
	{"closing/fin_in_original_direction", FORWARDED, 0, 0, BEHIND},
	{"closing/fin_in_reply_direction", FORWARDED, 0, 0, BEHIND},
	{"closing/rst_in_original_direction", FORWARDED, 0, 0, BEHIND},
	{"closing/rst_in_reply_direction", FORWARDED, 0, 0, BEHIND},
	{"closing/later_packets_of_the_same_burst_pass", FORWARDED, 0, 0, BEHIND},
	{"late/armed_flow_is_not_short_cut", FORWARDED, 0, 0, LOOKED_AT},
	{0, 0, 0, 0, 0},
};
