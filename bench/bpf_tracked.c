/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_tracked.c - flows added by fo_flow_add_many() to the backend bpf, with and without its work on conntrack: each entry
 * read and compared, its time made longer. The public API alone; rounds take turns, figures are medians.
 *
 *   bench-bpf-tracked [--sizes N]
 *
 * In a network namespace of its own, on a veth there, with the entries made by conntrack(8). Needs root. JSON lines for
 * targets.py.
 */
#define _GNU_SOURCE
#include <flowoffload-bpf.h>
#include <flowoffload.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5u

static const char set_up_device[] =
	"ip link add fo0 type veth peer name fo1 && ip link set fo0 up && ip link set fo1 up";

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "bench-bpf-tracked: %s: %s\n", what, why);
	exit(1);
}

static double now_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The i-th connection: a client behind the router, which masquerades, asks a name server. */
static uint16_t client_port(uint32_t i)
{
	return (uint16_t)(1024 + i % 50000);
}

static uint32_t server_address(uint32_t i)
{
	return 0xc0000201u + i / 50000;
}

#define CLIENT	    0x0a000001u
#define ROUTER	    0xc6336401u
#define SERVER_PORT 53

static void fill_tuple(struct fo_tuple *tuple, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	uint32_t from = htonl(src), to = htonl(dst);

	memset(tuple, 0, sizeof(*tuple));
	tuple->family = FO_FAMILY_IPV4;
	tuple->proto = IPPROTO_UDP;
	memcpy(tuple->src, &from, 4);
	memcpy(tuple->dst, &to, 4);
	tuple->sport_be = htons(sport);
	tuple->dport_be = htons(dport);
}

static void track(uint32_t n)
{
	FILE *tool = popen("conntrack -R - >/dev/null", "w");
	char client[16], router[16], server[16];
	struct in_addr address;

	if (!tool)
		die("conntrack", "cannot be run");
	address.s_addr = htonl(CLIENT);
	snprintf(client, sizeof(client), "%s", inet_ntoa(address));
	address.s_addr = htonl(ROUTER);
	snprintf(router, sizeof(router), "%s", inet_ntoa(address));
	for (uint32_t i = 0; i < n; i++) {
		address.s_addr = htonl(server_address(i));
		snprintf(server, sizeof(server), "%s", inet_ntoa(address));
		fprintf(tool,
			"-A -p udp -s %s -d %s --sport %u --dport %u -r %s -q %s --reply-port-src %u "
			"--reply-port-dst %u -t 600 -u SEEN_REPLY,ASSURED\n",
			client, server, client_port(i), SERVER_PORT, server, router, SERVER_PORT,
			client_port(i));
	}
	if (pclose(tool))
		die("conntrack", "entries could not be made");
}

/* Seconds: by the clock, and of this thread. */
struct took {
	double clock, cpu;
};

static struct took add(const struct fo_table_options *options, struct fo_flow *flows, uint32_t n)
{
	struct fo_table *table;
	struct fo_adj adj[2];
	struct fo_error err;
	fo_adj_id id[2];
	struct took took;

	if (fo_table_create(options, &table, &err))
		die("a table", err.text);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj[i]);
		adj[i].port = options->ports[0].port;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, (uint8_t[6]){2, 0, 0, 0, 0, 1}, 6);
		memcpy(adj[i].peer_mac, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)(2 + i)}, 6);
		if (fo_adj_add(table, &adj[i], &id[i], &err))
			die("an adjacency", err.text);
	}
	for (uint32_t i = 0; i < n; i++) {
		FO_INIT(&flows[i]);
		fill_tuple(&flows[i].tuple[0], CLIENT, client_port(i), server_address(i), SERVER_PORT);
		fill_tuple(&flows[i].tuple[1], server_address(i), SERVER_PORT, ROUTER, client_port(i));
		flows[i].adj[0] = id[0];
		flows[i].adj[1] = id[1];
	}
	took.clock = now_s(CLOCK_MONOTONIC);
	took.cpu = now_s(CLOCK_THREAD_CPUTIME_ID);
	if (fo_flow_add_many(table, flows, n, 0, NULL, NULL, &err) != (int)n)
		die("flows", err.text);
	took.clock = now_s(CLOCK_MONOTONIC) - took.clock;
	took.cpu = now_s(CLOCK_THREAD_CPUTIME_ID) - took.cpu;
	fo_table_destroy(table);
	return took;
}

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static void line(const char *name, uint32_t n, double seconds[ROUNDS])
{
	qsort(seconds, ROUNDS, sizeof(seconds[0]), by_value);
	printf("{\"bench\":\"bpf-tracked\",\"case\":\"%s\",\"n\":%u,\"figure\":%.0f,\"unit\":\"flows/s\"}\n",
	       name, n, n / seconds[ROUNDS / 2]);
}

static void run(uint32_t n)
{
	static const char *const names[2][2] = {{"add", "add-cpu"}, {"add-tracked", "add-tracked-cpu"}};
	struct fo_flow *flows = calloc(n, sizeof(*flows));
	struct fo_table_options options;
	struct fo_bpf_options own;
	struct fo_port port;
	double clock[2][ROUNDS], cpu[2][ROUNDS];

	if (!flows)
		die("flows", "no memory");
	FO_INIT(&port);
	port.port = if_nametoindex("fo0");
	FO_INIT(&own);
	own.attach = FO_BPF_ATTACH_TC;
	FO_INIT(&options);
	options.backend = "bpf";
	options.capacity = n;
	options.ports = &port;
	options.n_ports = 1;
	options.backend_options = &own;
	track(n);
	for (unsigned int i = 0; i < ROUNDS * 2; i++) {
		unsigned int tracked = (i + i / 2) % 2;
		struct took took;

		own.conntrack = tracked ? FO_BPF_CONNTRACK_ON : FO_BPF_CONNTRACK_OFF;
		took = add(&options, flows, n);
		clock[tracked][i / 2] = took.clock;
		cpu[tracked][i / 2] = took.cpu;
	}
	for (unsigned int i = 0; i < 2; i++) {
		line(names[i][0], n, clock[i]);
		line(names[i][1], n, cpu[i]);
	}
	free(flows);
}

int main(int argc, char **argv)
{
	uint32_t n = 50000;

	if (argc == 3 && !strcmp(argv[1], "--sizes"))
		n = (uint32_t)strtoul(argv[2], NULL, 10);
	if (!n || n > 200000)
		die("--sizes", "must be 1 to 200000: the kernel tracks no more by itself");
	if (unshare(CLONE_NEWNET))
		die("a namespace", "needs root");
	if (system(set_up_device))
		die("a veth", set_up_device);
	setvbuf(stdout, NULL, _IOLBF, 0);
	run(n);
	return 0;
}
