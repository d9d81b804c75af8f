/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_alike.c - random packets through the BPF program and through fo_worker_run(): the same verdict, and the same bytes. See
 * bpf_differential.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_differential.h"
#include "damage.h"

#define PACKETS 50000u /* by each hook */
#define FLOWS	48u
/* The kernel runs the program on one page, less its own needs. */
#define LENGTH_MAX 3000u

struct connection {
	struct fo_flow flow;
	struct fo_adj adj[2];
};

uint64_t seed = 0x20261122u;
uint32_t ports_of[PORTS];
static struct connection connections[FLOWS];
static unsigned int n_connections;
unsigned int forwarded, passed;

uint32_t pick(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 2685821657736338717u) >> 33) % below;
}

void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s: %s\n", program_name, what, detail);
	printf("0 passed, 1 failed, 0 skipped\n");
	exit(1);
}

void skip(const char *why)
{
	printf("%s: skipped, %s\n0 passed, 0 failed, 1 skipped\n", program_name, why);
	exit(77);
}

struct fo_table *open_table(const char *backend, const struct fo_bpf_options *own)
{
	struct fo_table_options options;
	struct fo_port ports[PORTS];
	struct fo_table *table;
	struct fo_error err = {0};

	FO_INIT(&options);
	for (unsigned int i = 0; i < PORTS; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = ports_of[i];
	}
	options.backend = backend;
	options.capacity = FLOWS;
	options.max_workers = own ? 0 : 1;
	options.ports = ports;
	options.n_ports = PORTS;
	options.backend_options = own;
	if (fo_table_create(&options, &table, &err) == 0)
		return table;
	if (err.code == -EPERM || err.code == -EOPNOTSUPP)
		skip(err.text);
	fail("fo_table_create", err.text);
	return NULL;
}

/* ---- flows ---- */

static void random_side(struct fo_adj *adj, unsigned int which, int tc)
{
	static const uint8_t macs[2][6] = {{2, 0xf0, 0, 0, 0, 1}, {2, 0xf0, 0, 0, 0, 2}};
	unsigned int kind = pick(tc ? 4 : 7);

	FO_INIT(adj);
	adj->port = ports_of[which];
	memcpy(adj->own_mac, macs[0], 6);
	memcpy(adj->peer_mac, macs[1], 6);
	adj->own_mac[4] = adj->peer_mac[4] = (uint8_t)which;
	adj->mtu = 1280 + pick(212);
	if (kind == 2 || kind == 3 || kind == 6)
		adj->encap[adj->n_encaps++] = (struct fo_encap){
			.kind = FO_ENCAP_8021AD, .id = (uint16_t)(200 + which), .pcp = 3, .dei = 1};
	if (kind == 1 || kind == 3 || kind == 5 || kind == 6)
		adj->encap[adj->n_encaps++] =
			(struct fo_encap){.kind = FO_ENCAP_8021Q, .id = (uint16_t)(100 + which), .pcp = 5};
	if (kind >= 4)
		adj->encap[adj->n_encaps++] =
			(struct fo_encap){.kind = FO_ENCAP_PPPOE, .id = (uint16_t)(7 + which)};
}

static void random_address(uint8_t addr[16], int v6, uint8_t network)
{
	memset(addr, 0, 16);
	if (v6) {
		memcpy(addr, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, network}, 5);
		addr[15] = (uint8_t)(1 + pick(250));
		addr[14] = (uint8_t)pick(256);
	} else {
		memcpy(addr, (const uint8_t[]){10, network, (uint8_t)pick(256), (uint8_t)(1 + pick(250))}, 4);
	}
}

static void random_flow(struct connection *connection, int tc)
{
	static const uint8_t protos[2][3] = {{6, 17, 1}, {6, 17, 58}};
	struct fo_tuple *a = &connection->flow.tuple[0], *b = &connection->flow.tuple[1];
	int v6 = (int)pick(2), echo;

	FO_INIT(&connection->flow);
	a->family = v6 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
	a->proto = protos[v6][pick(3)];
	echo = a->proto == 1 || a->proto == 58;
	random_address(a->src, v6, 1);
	random_address(a->dst, v6, 2);
	a->sport_be = htons((uint16_t)(1024 + pick(60000)));
	a->dport_be = echo ? htons(v6 ? 0x8000 : 0x0800) : htons((uint16_t)(1 + pick(1000)));
	*b = *a;
	memcpy(b->src, a->dst, 16);
	memcpy(b->dst, a->src, 16);
	b->sport_be = echo ? a->sport_be : a->dport_be;
	b->dport_be = echo ? htons(v6 ? 0x8100 : 0x0000) : a->sport_be;
	if (pick(3)) {
		random_address(b->dst, v6, 3);
		*(echo ? &b->sport_be : &b->dport_be) = htons((uint16_t)(1024 + pick(60000)));
	}
	if (!echo && !pick(3)) {
		random_address(b->src, v6, 4);
		b->sport_be = htons((uint16_t)(1 + pick(1000)));
	}
	connection->flow.nat = FO_NAT_SRC | FO_NAT_DST;
	connection->flow.dscp[pick(2)] = pick(2) ? FO_DSCP_SET(pick(64)) : 0;
	for (unsigned int side = 0; side < 2; side++)
		random_side(&connection->adj[side], side, tc);
}

static int add(struct fo_table *table, const struct connection *connection)
{
	struct fo_flow flow = connection->flow;
	struct fo_error err = {0};
	fo_flow_id id;
	int code = 0;

	for (int side = 0; side < 2 && !code; side++)
		code = fo_adj_add(table, &connection->adj[side], &flow.adj[side], &err);
	if (!code)
		code = fo_flow_add(table, &flow, &id, &err);
	if (code && code != -EEXIST)
		fail("fo_flow_add", err.text);
	return code;
}

static void populate(struct fo_table *soft, struct fo_table *bpf, int tc)
{
	for (n_connections = 0; n_connections < FLOWS;) {
		struct connection *connection = &connections[n_connections];
		int first;

		random_flow(connection, tc);
		first = add(soft, connection);
		if (first != add(bpf, connection))
			fail("fo_flow_add", "one backend takes a flow that the other refuses");
		n_connections += first == 0;
	}
}

/* ---- packets ---- */

static void random_frame(struct packet_frame *frame, uint32_t *in_port)
{
	unsigned int which = pick(n_connections), dir = pick(2);
	const struct connection *connection = &connections[which];
	struct packet_spec spec;

	packet_spec_init(&spec, &connection->flow.tuple[dir], &connection->adj[dir]);
	spec.payload_len = pick(300);
	spec.payload_seed = pick(1u << 30);
	spec.tos = (uint8_t)pick(256);
	spec.ip_id = (uint16_t)pick(0x10000);
	for (unsigned int n = pick(3); n; n--)
		damage_spec(&spec, pick);
	packet_build(&spec, frame);
	if (frame->length > LENGTH_MAX)
		frame->length = LENGTH_MAX;
	if (!pick(20))
		frame->length = pick(frame->length + 1);
	for (unsigned int n = pick(8) ? 0 : 1 + pick(3); n && frame->length; n--)
		frame->bytes[pick(frame->length < 90 ? frame->length : 90)] ^= (uint8_t)(1u << pick(8));
	*in_port = pick(20) ? ports_of[dir] : ports_of[1 - dir];
}

void by_worker(struct fo_worker *worker, const struct packet_frame *frame, uint32_t in_port,
	       struct outcome *out)
{
	static uint8_t room[PACKET_MAX + HEADROOM];
	struct fo_packet packet = {.data = room + HEADROOM,
				   .contiguous = frame->length,
				   .length = frame->length,
				   .in_port = in_port,
				   .headroom = HEADROOM};

	memcpy(packet.data, frame->bytes, frame->length);
	out->forward = fo_worker_run(worker, &packet, 1, 1) == 1;
	out->length = packet.length;
	memcpy(out->bytes, packet.data, packet.length);
}

static int has_tag(const struct outcome *out)
{
	static const uint8_t tags[2][2] = {{0x81, 0x00}, {0x88, 0xa8}};

	return !memcmp(out->bytes + 12, tags[0], 2) || !memcmp(out->bytes + 12, tags[1], 2);
}

static void drop_outer_tag(struct outcome *out)
{
	memmove(out->bytes + 12, out->bytes + 16, out->length - 16);
	out->length -= 4;
}

static void dump(const char *name, const uint8_t *bytes, uint32_t length)
{
	fprintf(stderr, "%-8s", name);
	for (uint32_t i = 0; i < length && i < 96; i++)
		fprintf(stderr, "%02x%s", bytes[i], i % 4 == 3 ? " " : "");
	fprintf(stderr, " (%u)\n", length);
}

void compare(const struct hook *hook, unsigned int n, const struct packet_frame *frame,
	     struct outcome *worker, const struct outcome *program)
{
	const uint8_t *want = worker->forward ? worker->bytes : frame->bytes;
	uint32_t length;

	if (hook->tc && has_tag(worker) && worker->forward && program->forward)
		drop_outer_tag(worker);
	length = worker->forward ? worker->length : frame->length;
	if (worker->forward == program->forward && program->length == length &&
	    !memcmp(program->bytes, want, length)) {
		forwarded += (unsigned int)worker->forward;
		passed += (unsigned int)!worker->forward;
		return;
	}
	fprintf(stderr, "%s, packet %u: the worker %s, the program %s\n", hook->name, n,
		worker->forward ? "forwards" : "passes", program->forward ? "forwards" : "passes");
	dump("frame", frame->bytes, frame->length);
	dump("worker", want, length);
	dump("program", program->bytes, program->length);
	fail("packet", "the two differ");
}

/* ---- counters ---- */

struct counted {
	struct fo_table *table;
	struct fo_flow_counters of[FLOWS];
	unsigned int n;
};

static int note_counters(void *arg, const struct fo_flow_info *info)
{
	struct counted *counted = arg;
	struct fo_flow_counters *stats = &counted->of[counted->n];

	if (counted->n == FLOWS)
		return 1;
	FO_INIT(stats);
	if (fo_flow_stats(counted->table, info->id, stats, NULL))
		fail("fo_flow_stats", "failed");
	counted->n++;
	return 0;
}

/* Both tables have the same flows, in the order in which they were added. Nobody has polled: those that closed are there. */
static void compare_counters(struct fo_table *soft, struct fo_table *bpf)
{
	static struct counted worker, program;

	worker = (struct counted){.table = soft};
	program = (struct counted){.table = bpf};
	(void)fo_flow_walk(soft, NULL, note_counters, &worker, NULL);
	(void)fo_flow_walk(bpf, NULL, note_counters, &program, NULL);
	if (worker.n != n_connections || program.n != n_connections)
		fail("fo_flow_walk", "does not show all flows");
	for (unsigned int i = 0; i < n_connections; i++)
		if (memcmp(worker.of[i].packets, program.of[i].packets, sizeof(worker.of[i].packets)) != 0 ||
		    memcmp(worker.of[i].bytes, program.of[i].bytes, sizeof(worker.of[i].bytes)) != 0)
			fail("counters", "the two differ");
}

void run_hook(const struct hook *hook)
{
	static struct outcome worker_says, program_says;
	static struct packet_frame frame;
	struct fo_bpf_options own;
	struct fo_table *soft, *bpf;
	struct fo_worker *worker;
	struct fo_error err = {0};
	uint32_t in_port;
	int program;

	FO_INIT(&own);
	own.attach = hook->attach;
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	soft = open_table("soft", NULL);
	bpf = open_table(backend_name, &own);
	if (fo_worker_open(soft, NULL, &worker, &err))
		fail("fo_worker_open", err.text);
	program = program_of(hook);
	populate(soft, bpf, hook->tc);
	forwarded = passed = 0;
	for (unsigned int n = 0; n < PACKETS; n++) {
		random_frame(&frame, &in_port);
		if (frame.length < 14)
			continue; /* no device hands such a frame to a program */
		by_worker(worker, &frame, in_port, &worker_says);
		if (by_program(program, hook->tc, &frame, in_port, &program_says))
			compare(hook, n, &frame, &worker_says, &program_says);
	}
	close_program(program);
	compare_counters(soft, bpf);
	fo_worker_close(worker);
	fo_table_destroy(bpf);
	fo_table_destroy(soft);
	printf("%s: %u forwarded, %u passed, all alike\n", hook->name, forwarded, passed);
	/* A mix worth the name. */
	if (forwarded < PACKETS / 10 || passed < PACKETS / 10)
		fail(hook->name, "hardly anything was forwarded, or hardly anything passed");
}
