/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_exceptions.c - where hardware under flower filters does not keep the contract. See exceptions.h. */
#include "exceptions.h"

#define BEHIND                                                                                               \
	"hardware goes on with what comes behind a FIN or RST; the flow leaves it when a poll has heard of " \
	"it "                                                                                                \
	"from conntrack"
#define FORWARDED "forwarded (none), should be passed on"

/* The same for all hardware. */
#define EVERYWHERE                                                                                           \
	{"closing/fin_in_original_direction", FORWARDED, 0, 0, BEHIND},                                      \
		{"closing/fin_in_reply_direction", FORWARDED, 0, 0, BEHIND},                                 \
		{"closing/rst_in_original_direction", FORWARDED, 0, 0, BEHIND},                              \
		{"closing/rst_in_reply_direction", FORWARDED, 0, 0, BEHIND},                                 \
	{                                                                                                    \
		"closing/later_packets_of_the_same_burst_pass", FORWARDED, 0, 0, BEHIND                      \
	}

const struct rig_exception tc_exceptions[] = {
	EVERYWHERE,
	{0, 0, 0, 0, 0},
};

const struct rig_exception tc_threads_exceptions[] = {
	EVERYWHERE,
	{"late/armed_flow_is_not_short_cut", FORWARDED, 0, 0,
	 "hardware forwards from when a thread has added a rule to it, one direction before the other; that "
	 "the flow "
	 "is in is said at the next poll"},
	{0, 0, 0, 0, 0},
};

const struct rig_exception tc_ppe_exceptions[] = {
	EVERYWHERE,
	{"adjacency/port_mtu_and_encapsulation_change", "give the port this MTU", 0, 0,
	 "a packet engine goes by the MTU of the port, which that of a VLAN device on top of it is not"},
	{0, 0, 0, 0, 0},
};
