/* SPDX-License-Identifier: BSD-2-Clause */
/* live.h - the nft backend on a living kernel: what its cases share. world.sh made the router that they run in.
 *
 * world.c has sockets at both ends, the slow path's counter and a table; live_*.c have the cases; live.c runs them.
 */
#ifndef NFT_LIVE_H
#define NFT_LIVE_H

#include <stdbool.h>

#include "flowoffload.h"

struct world {
	struct fo_table *table;
	fo_adj_id adj[2];	 /* client's side, server's side */
	uint32_t port[2];	 /* ifindex of c0 and s0 */
	unsigned int events[32]; /* delivered, by kind */
	struct fo_event last[32];
};

/* One UDP or TCP connection: a socket at each end. */
struct pair {
	int family; /* AF_INET, AF_INET6 */
	int type;   /* SOCK_DGRAM, SOCK_STREAM */
	int client, server;
	uint16_t client_port, server_port; /* host order */
	struct fo_flow flow;		   /* as conntrack says it is */
};

struct live_case {
	const char *name;
	void (*run)(struct world *world);
};
extern const struct live_case live_flows[], live_ends[], live_tables[], live_many[], live_policies[],
	live_devices[], live_conntrack[], live_hardware[], live_others[];

/* Ends the case as failed. */
void fail_at(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
#define FAIL(...)	 fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) ((condition) ? (void)0 : FAIL("%s", #condition))
#define CHECK_INT(have, want)                                                                                \
	((long long)(have) == (long long)(want)                                                              \
		 ? (void)0                                                                                   \
		 : FAIL("%s is %lld, not %lld", #have, (long long)(have), (long long)(want)))
/* A call of the library that must succeed. */
#define OK(call) check_call(__FILE__, __LINE__, #call, (call), &live_err)
void check_call(const char *file, int line, const char *what, int rc, const struct fo_error *err);
extern struct fo_error live_err;

/* A table over both ports of the router, sysctls permitted. */
void world_open(struct world *world, uint32_t capacity, uint32_t timeout_ms);
void world_options(struct world *world, struct fo_table_options *options, struct fo_port ports[2]);
void world_sides(struct world *world);
void world_close(struct world *world);
void world_poll(struct world *world);
/* Wait for the table to have work, not for long, and poll. */
void world_rest(struct world *world);
/* Poll, with a packet each way where pair is not NULL, until the flow is in that state. */
void world_until_state(struct world *world, struct pair *pair, fo_flow_id id, unsigned int state);
void world_until_event(struct world *world, unsigned int kind, unsigned int count);
/* Packets that took the slow path since the beginning. */
uint64_t world_slow(void);
/* Read a sysctl of net.netfilter; write one. */
unsigned long world_sysctl(const char *name);
void world_sysctl_set(const char *name, unsigned long value);
/* Run a command; its exit status must be 0. */
void world_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void pair_open(struct pair *pair, int family, int type, uint16_t client_port, uint16_t server_port);
/* So many packets each way; every one must arrive. */
void pair_talk(struct pair *pair, unsigned int rounds);
void pair_close(struct pair *pair);
/* Another client to the same server; the one before is the caller's to close. */
void pair_client(struct pair *pair, uint16_t client_port, uint16_t server_port);

/* PPPoE without discovery (session.c), in the network namespace of that path. */
void session_address(const char *path, const char *device, unsigned char mac[6]);
void session_open(const char *path, const char *device, const unsigned char peer[6], uint16_t session);

/* The simulated hardware's files (hardware.c; tests/hwsim/README.md): write one; rules that are there; one of its counters. */
void hardware_order(const char *file, const char *text);
unsigned int hardware_rules(void);
unsigned long hardware_counter(const char *name);

/* Many clients of one server (crowd.c). */
struct crowd {
	unsigned int n;
	bool answered; /* by the server; else UDP goes one way */
	int *client;
	int server;
	struct fo_flow *flows;
};

void crowd_open(struct crowd *crowd, unsigned int n, bool answered);
/* A datagram of each, and its answer. */
void crowd_talk(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

#endif
