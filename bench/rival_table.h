/* SPDX-License-Identifier: BSD-2-Clause */
/* rival_table.h - what rival.c (control) and rival_run.c (packets) share. */
#ifndef BENCH_RIVAL_TABLE_H
#define BENCH_RIVAL_TABLE_H

#include "rival.h"

_Static_assert(sizeof(union rival_record) == 64, "a record is a cache line");

struct rival_side {
	uint8_t header[14];
	uint8_t own_mac[6];
	uint32_t port;
	uint32_t mtu;
	uint8_t rest[36];
};
_Static_assert(sizeof(struct rival_side) == 64, "a side is a cache line");

struct rival {
	struct peer *peer;
	union rival_record *records; /* by position in the peer */
	size_t size;
	struct net net;
	struct rival_side *sides; /* IPv6: the servers' side, then the clients' */
};

static inline uint16_t rival_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
