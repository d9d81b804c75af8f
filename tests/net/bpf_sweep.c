/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_sweep.c - what the program saw reaches the library, though the ring of events is full.
 *
 * More connections than the ring has room for see a FIN while nobody polls: each must end once, for that reason, with its
 * packets counted. The router is that of the conformance rigs (tests/conformance/rig_net.h). Needs root.
 */
#include "flowoffload-bpf.h"
#include "rig_net.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define PORT_IN	    2u
#define PORT_OUT    3u
#define FLOWS	    4500u
#define RING	    4096u /* events of 16 bytes, their header included, in 64 KiB */
#define DATA	    100u  /* flows that carry a packet before */
#define PATIENCE_MS 30000

_Static_assert(FLOWS > RING + 100, "the ring does overflow");

static struct fo_bpf_options own;
static struct fo_port ports[2];
static struct fo_adj adj[2];
static struct fo_flow flows[FLOWS];
static unsigned char ended[FLOWS];
static unsigned int n_ended, n_wrong;
static uint64_t n_packets;

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "bpf-sweep: %s: %s\n", what, detail);
	printf("0 passed, 1 failed, 0 skipped\n");
	exit(1);
}

static void describe(void)
{
	static const uint8_t address[2][4] = {{10, 1, 0, 7}, {198, 51, 100, 9}};

	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		FO_INIT(&adj[i]);
		ports[i].port = adj[i].port = i ? PORT_OUT : PORT_IN;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 1}, 6);
		memcpy(adj[i].peer_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 2}, 6);
	}
	for (unsigned int n = 0; n < FLOWS; n++) {
		FO_INIT(&flows[n]);
		flows[n].user = n;
		for (unsigned int i = 0; i < 2; i++) {
			struct fo_tuple *tuple = &flows[n].tuple[i];

			tuple->family = FO_FAMILY_IPV4;
			tuple->proto = 6;
			memcpy(tuple->src, address[i], 4);
			memcpy(tuple->dst, address[1 - i], 4);
			packet_put16((uint8_t *)&tuple->sport_be, (uint16_t)(i ? 80 : 10000 + n));
			packet_put16((uint8_t *)&tuple->dport_be, (uint16_t)(i ? 10000 + n : 80));
		}
	}
}

static void carry(struct net *net, unsigned int n, uint8_t flags, int forwarded)
{
	static struct packet_frame frame;
	struct packet_spec spec;
	struct rig_packet packet = {.frame = frame.bytes, .in_port = PORT_IN};

	packet_spec_init(&spec, &flows[n].tuple[0], &adj[0]);
	spec.tcp_flags = flags;
	packet_build(&spec, &frame);
	packet.length = frame.length;
	if (net_carry(net, &packet))
		fail("the rig", net->why);
	if ((int)net->n_out != forwarded || net->tapped == forwarded)
		fail("a packet", forwarded ? "was not forwarded" : "did not reach the slow path");
}

static void hear(void *arg, const struct fo_event *event)
{
	uint64_t n = event->user;

	(void)arg;
	if (n >= FLOWS || ended[n] || event->reason != FO_R_TCP_FIN ||
	    !(event->counters.flags & FO_STATS_FINAL)) {
		n_wrong++;
		return;
	}
	ended[n] = 1;
	n_ended++;
	n_packets += event->counters.packets[0];
}

static struct fo_table *open_table(struct fo_table_options *options)
{
	struct fo_table *table;
	struct fo_error err;
	fo_adj_id id[2];

	if (fo_table_create(options, &table, &err))
		fail("a table", err.text);
	for (unsigned int i = 0; i < 2; i++)
		if (fo_adj_add(table, &adj[i], &id[i], &err))
			fail("an adjacency", err.text);
	for (unsigned int n = 0; n < FLOWS; n++)
		memcpy(flows[n].adj, id, sizeof(id));
	if (fo_flow_add_many(table, flows, FLOWS, 0, NULL, NULL, &err) != (int)FLOWS)
		fail("flows", err.text);
	return table;
}

/* The library alone knows what the sweep has told it. */
static void wait_for_counters(struct fo_table *table)
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};
	struct fo_table_counters stats;

	for (;;) {
		FO_INIT(&stats);
		if (fo_table_poll(table, 0, 0, hear, NULL, NULL) < 0 || fo_stats(table, &stats, NULL))
			fail("polling", "failed");
		if (stats.forwarded_packets == DATA)
			return;
		if (stats.forwarded_packets > DATA || poll(&fd, 1, PATIENCE_MS) != 1)
			fail("counters", "are not what was sent");
	}
}

static void wait_for_ends(struct fo_table *table)
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};

	while (n_ended < FLOWS) {
		if (fo_table_poll(table, 0, 0, hear, NULL, NULL) < 0)
			fail("polling", "failed");
		if (n_ended < FLOWS && poll(&fd, 1, PATIENCE_MS) != 1)
			fail("a FIN", "was lost");
	}
	if (n_wrong)
		fail("an event", "came twice, or for another reason");
	if (n_packets != DATA)
		fail("final counters", "are not what was sent");
}

static void run(struct net *net, struct fo_table_options *options)
{
	struct fo_table *table;

	table = open_table(options);
	for (unsigned int n = 0; n < DATA; n++)
		carry(net, n * 40, TCP_ACK, 1);
	wait_for_counters(table);
	for (unsigned int n = 0; n < FLOWS; n++)
		carry(net, n, TCP_FIN | TCP_ACK, 0);
	wait_for_ends(table);
	fo_table_destroy(table);
}

int main(void)
{
	struct fo_table_options options;
	char why[200] = "";
	void *state;

	describe();
	FO_INIT(&own);
	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	FO_INIT(&options);
	options.ports = ports;
	options.n_ports = 2;
	options.capacity = FLOWS;
	options.backend_options = &own;
	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("bpf-sweep: skipped, %s\n0 passed, 0 failed, 1 skipped\n", why);
		return 77;
	}
	options.clock_ms = NULL;
	run(state, &options);
	net_close(state);
	printf("1 passed, 0 failed, 0 skipped\n");
	return 0;
}
