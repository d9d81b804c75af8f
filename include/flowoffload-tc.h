/* SPDX-License-Identifier: BSD-2-Clause */
/* flowoffload-tc.h - options of the backend "tc" alone: fo_table_options.backend_options points at one of these.
 *
 * A flow is two flower filters at the ingress of its ports, which the ports' drivers put into hardware. They stay when
 * their owner is killed (FO_CAP_CRASH_LINGERS): create wants FO_TABLE_ACCEPT_LINGER or FO_TABLE_PERSIST. The next table on a
 * port removes what it finds there of an earlier one; when both are FO_TABLE_PERSIST, it adopts the flows that are whole,
 * and fo_caps.text says how many. Then filters stay when a table is destroyed, too. Not with FO_TC_SOFTWARE.
 */
#ifndef FLOWOFFLOAD_TC_H
#define FLOWOFFLOAD_TC_H

#include "flowoffload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How rules are written. */
enum fo_tc_profile {
	FO_TC_PROFILE_AUTO = 0, /* explicit where the hardware takes it, else ppe */
	FO_TC_PROFILE_EXPLICIT =
		1, /* TTL, TCP flags, fragments, MAC and MTU are keys, edits and guard rules */
	FO_TC_PROFILE_PPE =
		2 /* for a router's packet engine, which decrements the TTL and guards by itself */
};

/* Who forwards. */
enum fo_tc_mode {
	FO_TC_HARDWARE = 0, /* rules that exist in hardware or not at all (skip_sw) */
	/* The kernel's software (skip_hw); without NAT, since it spoils the checksums of GSO packets. */
	FO_TC_SOFTWARE = 1,
	/* Nobody: a table without flows, for what creating it removes of an earlier one's. */
	FO_TC_CLEAN_UP = 2
};

/* What the hardware's byte counters count. */
enum fo_tc_bytes {
	FO_TC_BYTES_FRAME = 0, /* the frame, from the Ethernet header on, without checksum: as most do */
	FO_TC_BYTES_IP = 1     /* the IP packet */
};

/* Whether the kernel's conntrack, which carries the connections otherwise, is kept right. */
enum fo_tc_conntrack {
	FO_TC_CONNTRACK_AUTO = 0, /* where the kernel can be asked about it */
	FO_TC_CONNTRACK_ON = 1,	  /* or create fails */
	FO_TC_CONNTRACK_OFF = 2	  /* the slow path is another; nobody tells of FIN and RST then */
};

/* Priorities of a port that rules take: from fo_tc_options.priority on, so many. */
#define FO_TC_PRIORITIES 8u
#define FO_TC_PRIORITY	 50000u /* behind all that the kernel chooses by itself */

struct fo_tc_options {
	size_t size;
	uint32_t profile;	 /* enum fo_tc_profile */
	uint32_t mode;		 /* enum fo_tc_mode */
	uint32_t bytes;		 /* enum fo_tc_bytes */
	uint32_t conntrack;	 /* enum fo_tc_conntrack */
	uint32_t priority;	 /* the first; 0: FO_TC_PRIORITY */
	uint32_t helper_threads; /* 0: an add waits for the driver; n: it answers ARMED, and n threads wait */
	uint32_t
		guards_shown; /* 1: the caller has seen this hardware keep the guards (FO_CAP_GUARDS_VERIFIED): that
				  * it takes a rule does not show it */
	uint32_t reserved;
};

#ifdef __cplusplus
}
#endif

#endif /* FLOWOFFLOAD_TC_H */
