/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_router.h - what tests of the backend bpf on real packets share: the router of the conformance rigs (tests/conformance/rig_net.h) with
 * two ports, their sides, the options of a table there, flows, and packets through it; and how a test says what became of it. */
#ifndef TESTS_NET_BPF_ROUTER_H
#define TESTS_NET_BPF_ROUTER_H

#include "flowoffload-bpf.h"
#include "rig_net.h"

#define PORT_IN	    2u
#define PORT_OUT    3u
#define PATIENCE_MS 30000

extern struct net *net;
extern struct fo_bpf_options own; /* at TC, without conntrack */
extern struct fo_port ports[2];
extern struct fo_adj adj[2];
extern struct fo_table_options options;
extern const char *place; /* what is under way */
extern unsigned int n_passed;

/* ---- verdicts ---- */

void fail(const char *what, const char *detail) __attribute__((noreturn));
void check(int holds, const char *what);
/* The call failed so, and says the word. */
void check_error(const char *what, int code, int want, const struct fo_error *err, const char *word);

/* ---- the router ---- */

/* Ports, sides and options as they are wanted most often. */
void describe(void);
/* IPv4 from the first side to the second. */
void describe_flow(struct fo_flow *flow, uint8_t proto, uint16_t sport, uint16_t dport);
/* As options say; ends the test, skipped, where this machine has no such thing. The table's clock is the real one. */
void open_router(const char *test);
void close_router(void);
uint64_t now_ms(void);

/* ---- tables ---- */

struct fo_table *open_table(const char *what);
/* 0, or -errno: it could not be had. */
int try_table(struct fo_error *err);
void add_sides(struct fo_table *table, fo_adj_id id[2]);

/* ---- packets ---- */

/* Send it; the answer is in net. */
void carry(const struct packet_spec *spec, uint32_t port);
/* A packet of the flow that comes by this side: did it take the short cut? None may be lost. */
int is_forwarded(const struct fo_flow *flow, const struct fo_adj *side);

#endif
