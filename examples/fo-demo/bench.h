/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.h - the made-up connections and packets of `fo-demo bench`. bench.c runs them, bench_packets.c makes them. */
#ifndef FO_DEMO_BENCH_H
#define FO_DEMO_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <flowoffload.h>

#define BENCH_MAX_FLOWS 10000000u
#define BENCH_FRAME_MAX 62u /* IPv6; IPv4: 60, a 64-byte frame without its checksum */

#define BENCH_LAN 1u /* ports */
#define BENCH_WAN 2u

struct bench_traffic {
	uint8_t family; /* FO_FAMILY_ */
	bool nat;
};

/* The side of that port: no tags, Ethernet MTU. */
void bench_adjacency(uint32_t port, struct fo_adj *adj);

/* The n-th connection, UDP; adj[] is left to the caller. */
void bench_flow(const struct bench_traffic *traffic, uint32_t n, struct fo_flow *flow);

/* A packet of direction dir of that flow as it comes in, or (out) as it has to leave. Returns its length. */
uint32_t bench_frame(const struct fo_flow *flow, enum fo_dir dir, bool out, uint8_t frame[BENCH_FRAME_MAX]);

#endif /* FO_DEMO_BENCH_H */
