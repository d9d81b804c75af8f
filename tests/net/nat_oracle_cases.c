/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle_cases.c - the connections, one a translation; nat_oracle.nft has the rules under the
 * same numbers. The columns are those of struct oracle_case (nat_oracle.h). */
#include "nat_oracle.h"

#include <stdio.h>

#define RANDOM_CASES 24u

#define SRC	   CHANGES_SRC
#define DST	   CHANGES_DST
#define SRC_PORT   (CHANGES_SRC | CHANGES_SPORT)
#define DST_PORT   (CHANGES_DST | CHANGES_DPORT)
#define BOTH	   (CHANGES_SRC | CHANGES_DST)
#define BOTH_DPORT (BOTH | CHANGES_DPORT)
#define ALL	   (SRC_PORT | DST_PORT)
#define AF21	   FO_DSCP_SET(18)
#define EF	   FO_DSCP_SET(46)

/* Two lines a connection. */
/* clang-format off */
static const struct oracle_case listed[] = {
	{"none", 4, SIDE_LAN, SIDE_WAN, "10.0.0.2", "198.51.100.2",
	 NULL, 1234, 80, 0, 0, {0, 0}},
	{"source", 4, SIDE_LAN, SIDE_WAN, "10.0.1.2", "198.51.100.2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source and port", 4, SIDE_LAN, SIDE_WAN, "10.0.2.2", "198.51.100.2",
	 NULL, 1234, 443, SRC_PORT, SRC, {0, 0}},
	{"source, its port taken", 4, SIDE_LAN, SIDE_WAN, "10.0.3.2", "198.51.100.2",
	 "10.0.3.3", 4500, 4500, SRC_PORT, SRC_PORT, {0, 0}},
	{"masquerade", 4, SIDE_LAN, SIDE_WAN, "10.0.4.2", "198.51.100.2",
	 NULL, 50000, 80, SRC, SRC, {0, 0}},
	{"destination", 4, SIDE_LAN, SIDE_WAN, "10.0.5.2", "192.0.2.5",
	 NULL, 1234, 80, DST, DST, {0, 0}},
	{"inbound, destination and port", 4, SIDE_WAN, SIDE_LAN, "198.51.100.6", "203.0.113.6",
	 NULL, 5555, 8080, DST_PORT, DST, {0, 0}},
	{"both and both ports", 4, SIDE_LAN, SIDE_WAN, "10.0.7.2", "192.0.2.7",
	 NULL, 1234, 53, ALL, BOTH, {0, 0}},
	{"hairpin", 4, SIDE_LAN, SIDE_LAN, "10.0.8.2", "203.0.113.8",
	 NULL, 1234, 8080, BOTH_DPORT, BOTH, {0, 0}},
	{"source, sum unchanged", 4, SIDE_LAN, SIDE_WAN, "10.3.0.9", "198.51.100.2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source prefix", 4, SIDE_LAN, SIDE_WAN, "10.0.10.2", "198.51.100.2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source, DSCP written", 4, SIDE_LAN, SIDE_WAN, "10.0.11.2", "198.51.100.2",
	 NULL, 1234, 80, SRC, SRC, {AF21, EF}},
	{"source, port 65535 to 1024", 4, SIDE_LAN, SIDE_WAN, "10.0.12.2", "198.51.100.2",
	 NULL, 65535, 65535, SRC_PORT, SRC, {0, 0}},
	{"none", 6, SIDE_LAN, SIDE_WAN, "fd00::2", "2001:db8:f::2",
	 NULL, 1234, 80, 0, 0, {0, 0}},
	{"source", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:1::2", "2001:db8:f::2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source and port", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:2::2", "2001:db8:f::2",
	 NULL, 1234, 443, SRC_PORT, SRC, {0, 0}},
	{"source, its port taken", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:3::2", "2001:db8:f::2",
	 "fd00:0:0:3::3", 4500, 4500, SRC_PORT, SRC_PORT, {0, 0}},
	{"masquerade", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:4::2", "2001:db8:f::2",
	 NULL, 50000, 80, SRC, SRC, {0, 0}},
	{"destination", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:5::2", "2001:db8:0:5::1",
	 NULL, 1234, 80, DST, DST, {0, 0}},
	{"inbound, destination and port", 6, SIDE_WAN, SIDE_LAN, "2001:db8:f::6", "2001:db8:0:6::1",
	 NULL, 5555, 8080, DST_PORT, DST, {0, 0}},
	{"both and both ports", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:7::2", "2001:db8:0:7::1",
	 NULL, 1234, 53, ALL, BOTH, {0, 0}},
	{"hairpin", 6, SIDE_LAN, SIDE_LAN, "fd00:0:0:8::2", "2001:db8:0:8::1",
	 NULL, 1234, 8080, BOTH_DPORT, BOTH, {0, 0}},
	{"source, sum unchanged", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:9:0:3:0:9", "2001:db8:f::2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source prefix", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:a::2", "2001:db8:f::2",
	 NULL, 1234, 80, SRC, SRC, {0, 0}},
	{"source, DSCP written", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:b::2", "2001:db8:f::2",
	 NULL, 1234, 80, SRC, SRC, {AF21, EF}},
	{"source, port 65535 to 1024", 6, SIDE_LAN, SIDE_WAN, "fd00:0:0:c::2", "2001:db8:f::2",
	 NULL, 65535, 65535, SRC_PORT, SRC, {0, 0}},
};
/* clang-format on */

/* Both prefixes translated (number 10): another host, server and ports each, and so another
 * checksum delta. */
static void random_case(unsigned int i, struct oracle_case *c)
{
	static char src[48], dst[48];
	uint32_t state = i * 2654435761u + 1;
	uint32_t host = oracle_random(&state), server = oracle_random(&state);

	memset(c, 0, sizeof(*c));
	c->name = "both prefixes";
	c->family = i % 2 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
	c->from = SIDE_LAN;
	c->to = SIDE_WAN;
	if (c->family == FO_FAMILY_IPV4) {
		snprintf(src, sizeof(src), "10.0.10.%u", 3 + host % 250);
		snprintf(dst, sizeof(dst), "198.19.1.%u", 1 + server % 254);
	} else {
		snprintf(src, sizeof(src), "fd00:0:0:a:%x:%x:0:%x", host >> 16, host & 0xffff, 1 + i);
		snprintf(dst, sizeof(dst), "2001:db8:1:a::%x:%x", server >> 16, server & 0xffff);
	}
	c->src = src;
	c->dst = dst;
	c->sport = (uint16_t)(1 + oracle_random(&state) % 65535);
	c->dport = (uint16_t)(1 + oracle_random(&state) % 65535);
	c->changes = BOTH;
	c->changes_icmp = BOTH;
}

int oracle_case_get(unsigned int i, struct oracle_case *c)
{
	unsigned int n = sizeof(listed) / sizeof(listed[0]);

	if (i >= n + RANDOM_CASES)
		return 0;
	if (i < n)
		*c = listed[i];
	else
		random_case(i - n, c);
	return 1;
}
