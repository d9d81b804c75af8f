/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_crash.c - what a killed owner of the bpf backend leaves, at each place of attachment, on real packets.
 *
 *   tcx, generic XDP  nothing: the next packet is the slow path's, and the next table attaches
 *   clsact            the filter: it forwards until the lease is over and then passes everything on; a second table is
 *                     refused meanwhile, with the owner's name, and takes the filter over afterwards
 *
 * The router is that of the conformance rigs (tests/conformance/rig_net.h). Needs root.
 */
#include "flowoffload-bpf.h"
#include "rig_net.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_IN	 2u
#define PORT_OUT 3u
/* Only a lease that never ends makes a test wait for this long. */
#define PATIENCE_MS (6 * FO_BPF_LEASE_MS)

static struct fo_bpf_options own;
static struct fo_port ports[2];
static struct fo_adj adj[2];
static struct fo_flow flow;
static const char *place;

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "bpf-crash: %s: %s: %s\n", place, what, detail);
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
	FO_INIT(&flow);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_tuple *tuple = &flow.tuple[i];

		tuple->family = FO_FAMILY_IPV4;
		tuple->proto = 17;
		memcpy(tuple->src, address[i], 4);
		memcpy(tuple->dst, address[1 - i], 4);
		packet_put16((uint8_t *)&tuple->sport_be, i ? 53 : 4711);
		packet_put16((uint8_t *)&tuple->dport_be, i ? 4711 : 53);
	}
}

static void set_options(struct fo_table_options *options)
{
	FO_INIT(options);
	options->ports = ports;
	options->n_ports = 2;
	options->capacity = 16;
	options->backend_options = &own;
}

/* In the child: a table with one flow; then wait to be killed. */
static void own_the_short_cut(const struct fo_table_options *options, int ready)
{
	struct fo_table *table;
	struct fo_error err;
	fo_adj_id id[2];
	fo_flow_id out;
	int code = fo_table_create(options, &table, &err);

	for (unsigned int i = 0; !code && i < 2; i++)
		code = fo_adj_add(table, &adj[i], &id[i], &err);
	if (!code) {
		flow.adj[0] = id[0];
		flow.adj[1] = id[1];
		code = fo_flow_add(table, &flow, &out, &err);
	}
	if (code)
		fail("the owner", err.text);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start_owner(const struct fo_table_options *options)
{
	int ready[2];
	pid_t child;
	char byte;

	if (pipe(ready))
		fail("pipe", strerror(errno));
	child = fork();
	if (!child) {
		close(ready[0]);
		own_the_short_cut(options, ready[1]);
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		fail("the owner", "it did not start");
	close(ready[0]);
	return child;
}

static void kill_owner(pid_t child)
{
	if (kill(child, SIGKILL) || waitpid(child, NULL, 0) != child)
		fail("kill", strerror(errno));
}

/* Did a packet of the flow take the short cut? */
static int is_forwarded(struct net *net)
{
	static struct packet_frame frame;
	struct packet_spec spec;
	struct rig_packet packet = {.frame = frame.bytes, .in_port = PORT_IN};

	packet_spec_init(&spec, &flow.tuple[0], &adj[0]);
	packet_build(&spec, &frame);
	packet.length = frame.length;
	if (net_carry(net, &packet))
		fail("the rig", net->why);
	if (net->tapped + (int)net->n_out != 1)
		fail("a packet", "it was lost, or there were two of it");
	return net->n_out == 1;
}

/* A table can be had, or -errno with why. */
static int try_table(const struct fo_table_options *options, struct fo_error *err)
{
	struct fo_table *table;
	int code = fo_table_create(options, &table, err);

	if (!code)
		fo_table_destroy(table);
	return code;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The owner is dead, its filter is not. */
static void wait_for_the_lease(struct net *net, const struct fo_table_options *options)
{
	struct timespec pause_for = {.tv_nsec = 50000000};
	uint64_t start = now_ms();
	struct fo_error err;
	int code = try_table(options, &err);

	if (code == -EBUSY && !strstr(err.text, "fo_tc"))
		fail("refused without the owner's name", err.text);
	if (code != -EBUSY && is_forwarded(net))
		fail("a second table beside a living lease", err.text);
	while (is_forwarded(net)) {
		if (now_ms() - start > PATIENCE_MS)
			fail("the lease", "it does not end");
		nanosleep(&pause_for, NULL);
	}
}

static void run(enum fo_bpf_attach attach, const char *name)
{
	struct fo_table_options options;
	struct fo_error err;
	char why[200] = "";
	void *state;
	pid_t child;

	place = name;
	FO_INIT(&own);
	own.attach = attach;
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	set_options(&options);
	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("bpf-crash: skipped, %s\n0 passed, 0 failed, 1 skipped\n", why);
		exit(77);
	}
	options.clock_ms = NULL;
	child = start_owner(&options);
	if (!is_forwarded(state))
		fail("the owner lives", "but its flow's packet was passed on");
	kill_owner(child);
	if (attach == FO_BPF_ATTACH_CLSACT)
		wait_for_the_lease(state, &options);
	else if (is_forwarded(state))
		fail("the owner is dead", "but its flow's packet was forwarded");
	if (try_table(&options, &err))
		fail("the next table", err.text);
	if (is_forwarded(state))
		fail("a table without flows", "forwarded a packet");
	net_close(state);
}

int main(void)
{
	describe();
	run(FO_BPF_ATTACH_TC, "tc");
	run(FO_BPF_ATTACH_XDP_GENERIC, "generic XDP");
	run(FO_BPF_ATTACH_CLSACT, "clsact");
	printf("3 passed, 0 failed, 0 skipped\n");
	return 0;
}
