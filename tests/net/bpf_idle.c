/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_idle.c - flows of the bpf backend that nobody uses end, by the kernel's clock: real time, since nobody can set it.
 *
 *   idle       ends after its timeout, never before
 *   busy       packets of one direction keep both alive; it ends its timeout after the last of them
 *   passed on  packets that the program passes on keep nothing alive
 *   for ever   a flow without a timeout stays
 *
 * The rigs of the conformance suite leave such cases out: they move the table's clock, and the kernel's stays where it is.
 * Needs root.
 */
#include "bpf_router.h"

#include <poll.h>
#include <stdio.h>

#define TIMEOUT_MS 1500u
#define BUSY_MS	   4500u /* three timeouts */
#define PAUSE_MS   100

enum { IDLE, BUSY, PASSED_ON, FOR_EVER, FLOWS };

static const char *const names[FLOWS] = {"idle", "busy", "passed on", "for ever"};
static struct fo_flow flows[FLOWS];
static struct fo_table *table;
static uint64_t used_ms[FLOWS];	 /* before the last packet went, or it was added */
static uint64_t after_ms[FLOWS]; /* ... and after */
static uint64_t n_packets[FLOWS];
static unsigned int ended[FLOWS];

static void describe_flows(void)
{
	for (unsigned int n = 0; n < FLOWS; n++) {
		describe_flow(&flows[n], 17, (uint16_t)(4000 + n), 53);
		flows[n].user = n;
		flows[n].timeout_ms = n == FOR_EVER ? FO_TIMEOUT_NEVER : TIMEOUT_MS;
	}
}

static void use(unsigned int n, enum fo_dir dir, uint8_t ttl)
{
	struct packet_spec spec;

	packet_spec_init(&spec, &flows[n].tuple[dir], &adj[dir]);
	spec.ttl = ttl;
	carry(&spec, adj[dir].port);
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

static void add_flows(void)
{
	struct fo_error err;
	fo_adj_id id[2];

	table = open_table("a table");
	add_sides(table, id);
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

static void keep_busy(void)
{
	for (uint64_t end = now_ms() + BUSY_MS; now_ms() < end && !ended[BUSY];) {
		uint64_t before = now_ms();

		use(BUSY, FO_REPLY, 64);
		used_ms[BUSY] = before;
		after_ms[BUSY] = now_ms();
		n_packets[BUSY]++;
		use(PASSED_ON, FO_ORIGINAL, 1);
		(void)fo_flow_walk(table, NULL, check_last_seen, NULL, NULL);
		poll_table(PAUSE_MS);
	}
}

int main(void)
{
	place = "bpf-idle";
	describe();
	describe_flows();
	open_router("bpf-idle");
	add_flows();
	keep_busy();
	for (uint64_t end = now_ms() + PATIENCE_MS; !ended[IDLE] || !ended[BUSY] || !ended[PASSED_ON];) {
		if (now_ms() >= end)
			fail("what nobody uses", "does not end");
		if (!ended[PASSED_ON])
			use(PASSED_ON, FO_ORIGINAL, 1);
		poll_table(PAUSE_MS);
	}
	use(FOR_EVER, FO_ORIGINAL, 64);
	fo_table_destroy(table);
	close_router();
	printf("4 passed, 0 failed, 0 skipped\n");
	return 0;
}
