/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_idle.c - flows of the bpf backend that nobody uses end, by the kernel's clock: real time, since nobody can set it.
 *
 *   idle       ends after its timeout, never before
 *   busy       packets of one direction keep both alive; it ends its timeout after the last of them
 *   passed on  packets that the program passes on keep nothing alive
 *   for ever   a flow without a timeout stays
 *
 * The rigs of the conformance suite leave such cases out: they move the table's clock, and the kernel's stays where it is. The
 * router is that of these rigs (tests/conformance/rig_net.h). Needs root.
 */
#include "flowoffload-bpf.h"
#include "rig_net.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PORT_IN	    2u
#define PORT_OUT    3u
#define TIMEOUT_MS  1500u
#define BUSY_MS	    4500u /* three timeouts */
#define PAUSE_MS    100
#define PATIENCE_MS 30000u

enum { IDLE, BUSY, PASSED_ON, FOR_EVER, FLOWS };

static const char *const names[FLOWS] = {"idle", "busy", "passed on", "for ever"};
static struct fo_bpf_options own;
static struct fo_port ports[2];
static struct fo_adj adj[2];
static struct fo_flow flows[FLOWS];
static struct fo_table *table;
static uint64_t used_ms[FLOWS];	 /* before the last packet went, or it was added */
static uint64_t after_ms[FLOWS]; /* ... and after */
static uint64_t n_packets[FLOWS];
static unsigned int ended[FLOWS];

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "bpf-idle: %s: %s\n", what, detail);
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
		flows[n].timeout_ms = n == FOR_EVER ? FO_TIMEOUT_NEVER : TIMEOUT_MS;
		for (unsigned int i = 0; i < 2; i++) {
			struct fo_tuple *tuple = &flows[n].tuple[i];

			tuple->family = FO_FAMILY_IPV4;
			tuple->proto = 17;
			memcpy(tuple->src, address[i], 4);
			memcpy(tuple->dst, address[1 - i], 4);
			packet_put16((uint8_t *)&tuple->sport_be, (uint16_t)(i ? 53 : 4000 + n));
			packet_put16((uint8_t *)&tuple->dport_be, (uint16_t)(i ? 4000 + n : 53));
		}
	}
}

static void carry(struct net *net, unsigned int n, enum fo_dir dir, uint8_t ttl)
{
	static struct packet_frame frame;
	struct packet_spec spec;
	struct rig_packet packet = {.frame = frame.bytes, .in_port = dir == FO_REPLY ? PORT_OUT : PORT_IN};

	packet_spec_init(&spec, &flows[n].tuple[dir], &adj[dir]);
	spec.ttl = ttl;
	packet_build(&spec, &frame);
	packet.length = frame.length;
	if (net_carry(net, &packet))
		fail("the rig", net->why);
	if ((int)net->n_out != (ttl > 1 && !ended[n]))
		fail(names[n], net->n_out ? "a packet was forwarded" : "a packet was not forwarded");
}

static void hear(void *arg, const struct fo_event *event)
{
	uint64_t n = event->user, now = now_ms();

	(void)arg;
	if (n >= FOR_EVER)
		fail("a flow without a timeout", "has an event");
	if (event->kind != FO_EV_EXPIRED || event->reason != FO_R_IDLE || ended[n])
		fail(names[n], "another event, or one more");
	if (now < used_ms[n] + TIMEOUT_MS)
		fail(names[n], "ended too early");
	if (!(event->counters.flags & FO_STATS_FINAL) || event->counters.packets[FO_REPLY] != n_packets[n] ||
	    event->counters.packets[FO_ORIGINAL])
		fail(names[n], "final counters are not what was sent");
	ended[n] = 1;
}

static void poll_table(int wait_ms)
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};

	(void)poll(&fd, 1, wait_ms);
	if (fo_table_poll(table, 0, 0, hear, NULL, NULL) < 0)
		fail("polling", "failed");
}

static void add_flows(struct fo_table_options *options)
{
	struct fo_error err;
	fo_adj_id id[2];

	if (fo_table_create(options, &table, &err))
		fail("a table", err.text);
	for (unsigned int i = 0; i < 2; i++)
		if (fo_adj_add(table, &adj[i], &id[i], &err))
			fail("an adjacency", err.text);
	for (unsigned int n = 0; n < FLOWS; n++) {
		fo_flow_id flow;

		memcpy(flows[n].adj, id, sizeof(id));
		used_ms[n] = now_ms();
		if (fo_flow_add(table, &flows[n], &flow, &err))
			fail(names[n], err.text);
	}
}

/* What the library says of the last packet is never before it, and the stated granularity after it at most. */
static int check_last_seen(void *arg, const struct fo_flow_info *info)
{
	struct fo_flow_counters stats;
	uint64_t n = info->flow.user, seen;

	(void)arg;
	FO_INIT(&stats);
	if (n != BUSY || fo_flow_stats(table, info->id, &stats, NULL))
		return 0;
	seen = stats.last_seen_ms[FO_REPLY];
	if (seen < used_ms[n] || seen > after_ms[n] + 2000)
		fail(names[n], "was not last seen when its packet went");
	return 0;
}

static void keep_busy(struct net *net)
{
	for (uint64_t end = now_ms() + BUSY_MS; now_ms() < end && !ended[BUSY];) {
		uint64_t before = now_ms();

		carry(net, BUSY, FO_REPLY, 64);
		used_ms[BUSY] = before;
		after_ms[BUSY] = now_ms();
		n_packets[BUSY]++;
		carry(net, PASSED_ON, FO_ORIGINAL, 1);
		(void)fo_flow_walk(table, NULL, check_last_seen, NULL, NULL);
		poll_table(PAUSE_MS);
	}
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
	options.capacity = 16;
	options.backend_options = &own;
	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("bpf-idle: skipped, %s\n0 passed, 0 failed, 1 skipped\n", why);
		return 77;
	}
	options.clock_ms = NULL;
	add_flows(&options);
	keep_busy(state);
	for (uint64_t end = now_ms() + PATIENCE_MS; !ended[IDLE] || !ended[BUSY] || !ended[PASSED_ON];) {
		if (now_ms() >= end)
			fail("what nobody uses", "does not end");
		if (!ended[PASSED_ON])
			carry(state, PASSED_ON, FO_ORIGINAL, 1);
		poll_table(PAUSE_MS);
	}
	carry(state, FOR_EVER, FO_ORIGINAL, 64);
	fo_table_destroy(table);
	net_close(state);
	printf("4 passed, 0 failed, 0 skipped\n");
	return 0;
}
