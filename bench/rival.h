/* SPDX-License-Identifier: BSD-2-Clause */
/* rival.h - a forwarding path as one writes it over a hash table: the same packets, checks and rewriting as the
 * library's for IPv4 NAT over plain Ethernet, with rte_hash (peer.h) for the look-up. Staged in bursts, records and headers
 * prefetched. Used by path.c.
 */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include "flowoffload.h"
#include "peer.h"

struct rival;

/* Room for n directions; ends the program without memory. */
struct rival *rival_open(uint32_t n, int lock_free);
void rival_close(struct rival *rival);

/* Both directions of a connection between the sides of frames.h. 0 or negative. */
int rival_add(struct rival *rival, const struct fo_flow *flow);
/* 0 or negative. */
int rival_del(struct rival *rival, const struct fo_flow *flow);

/* What fo_worker_run() does; returns how many are forwarded. */
unsigned int rival_run(struct rival *rival, struct fo_packet *packets, unsigned int n, uint64_t now_ms);

#endif
