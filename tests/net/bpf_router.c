/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_router.c - see bpf_router.h. */
#include "bpf_router.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct net *net;
struct fo_bpf_options own;
struct fo_port ports[2];
struct fo_adj adj[2];
struct fo_table_options options;
const char *place = "start";
unsigned int n_passed;

/* ---- verdicts ---- */

void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s: %s\n", place, what, detail);
	printf("%u passed, 1 failed, 0 skipped\n", n_passed);
	exit(1);
}

void check(int holds, const char *what)
{
	if (!holds)
		fail(what, "does not hold");
}

void check_error(const char *what, int code, int want, const struct fo_error *err, const char *word)
{
	if (code != want || !strstr(err->text, word))
		fail(what, code ? err->text : "was taken");
}

/* ---- the router ---- */

void describe(void)
{
	FO_INIT(&own);
	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	FO_INIT(&options);
	options.ports = ports;
	options.n_ports = 2;
	options.capacity = 16;
	options.backend_options = &own;
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		FO_INIT(&adj[i]);
		ports[i].port = adj[i].port = i ? PORT_OUT : PORT_IN;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 1}, 6);
		memcpy(adj[i].peer_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 2}, 6);
	}
}

void describe_flow(struct fo_flow *flow, uint8_t proto, uint16_t sport, uint16_t dport)
{
	static const uint8_t address[2][4] = {{10, 1, 0, 7}, {198, 51, 100, 9}};

	FO_INIT(flow);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_tuple *tuple = &flow->tuple[i];

		tuple->family = FO_FAMILY_IPV4;
		tuple->proto = proto;
		memcpy(tuple->src, address[i], 4);
		memcpy(tuple->dst, address[1 - i], 4);
		packet_put16((uint8_t *)&tuple->sport_be, i ? dport : sport);
		packet_put16((uint8_t *)&tuple->dport_be, i ? sport : dport);
	}
}

void open_router(const char *test)
{
	char why[200] = "";
	void *state;

	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("%s: skipped, %s\n0 passed, 0 failed, 1 skipped\n", test, why);
		exit(77);
	}
	net = state;
	options.clock_ms = NULL;
}

void close_router(void)
{
	net_close(net);
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- tables ---- */

struct fo_table *open_table(const char *what)
{
	struct fo_table *table;
	struct fo_error err;

	if (fo_table_create(&options, &table, &err))
		fail(what, err.text);
	return table;
}

int try_table(struct fo_error *err)
{
	struct fo_table *table;
	int code;

	memset(err, 0, sizeof(*err));
	code = fo_table_create(&options, &table, err);
	if (!code)
		fo_table_destroy(table);
	return code;
}

void add_sides(struct fo_table *table, fo_adj_id id[2])
{
	struct fo_error err;

	for (unsigned int i = 0; i < 2; i++)
		if (fo_adj_add(table, &adj[i], &id[i], &err))
			fail("an adjacency", err.text);
}

/* ---- packets ---- */

void carry(const struct packet_spec *spec, uint32_t port)
{
	static struct packet_frame frame;
	struct rig_packet packet = {.frame = frame.bytes, .in_port = port};

	packet_build(spec, &frame);
	packet.length = frame.length;
	if (net_carry(net, &packet))
		fail("the rig", net->why);
}

int is_forwarded(const struct fo_flow *flow, const struct fo_adj *side)
{
	struct packet_spec spec;

	packet_spec_init(&spec, &flow->tuple[side->port == PORT_OUT], side);
	carry(&spec, side->port);
	check(net->tapped + (int)net->n_out == 1, "no packet is lost, or there twice");
	return net->n_out == 1;
}
