/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_sweep.c - what the program saw reaches the library, though the ring of events is full.
 *
 * More connections than the ring has room for see a FIN while nobody polls: each must end once, for that reason, with its
 * packets counted. Needs root.
 */
#include "bpf_router.h"

#include <poll.h>
#include <stdio.h>

#define FLOWS 4500u
#define RING  4096u /* events of 16 bytes, their header included, in 64 KiB */
#define DATA  100u  /* flows that carry a packet before */

_Static_assert(FLOWS > RING + 100, "the ring does overflow");

static struct fo_flow flows[FLOWS];
static unsigned char ended[FLOWS];
static unsigned int n_ended, n_wrong;
static uint64_t n_packets;

static void use(unsigned int n, uint8_t flags, int forwarded)
{
	struct packet_spec spec;

	packet_spec_init(&spec, &flows[n].tuple[0], &adj[0]);
	spec.tcp_flags = flags;
	carry(&spec, PORT_IN);
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

static struct fo_table *add_flows(void)
{
	struct fo_table *table = open_table("a table");
	struct fo_error err;
	fo_adj_id id[2];

	add_sides(table, id);
	for (unsigned int n = 0; n < FLOWS; n++) {
		describe_flow(&flows[n], 6, (uint16_t)(10000 + n), 80);
		flows[n].user = n;
		memcpy(flows[n].adj, id, sizeof(id));
	}
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

int main(void)
{
	struct fo_table *table;

	place = "bpf-sweep";
	describe();
	options.capacity = FLOWS;
	open_router("bpf-sweep");
	table = add_flows();
	for (unsigned int n = 0; n < DATA; n++)
		use(n * 40, TCP_ACK, 1);
	wait_for_counters(table);
	for (unsigned int n = 0; n < FLOWS; n++)
		use(n, TCP_FIN | TCP_ACK, 0);
	wait_for_ends(table);
	fo_table_destroy(table);
	close_router();
	printf("1 passed, 0 failed, 0 skipped\n");
	return 0;
}
