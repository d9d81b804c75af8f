/* SPDX-License-Identifier: BSD-2-Clause */
/* world.c - both ends of the router that world.sh made, and a table in it. See live.h. */
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longest that something is waited for. Nobody waits so long unless it fails. */
#define PATIENCE_MS 60000

struct fo_error live_err;

void fail_at(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

void check_call(const char *file, int line, const char *what, int rc, const struct fo_error *err)
{
	if (rc < 0)
		fail_at(file, line, "%s: %d: %s (%s)", what, rc, err->text, err->field);
}

/* ---- Commands ---- */

void world_run(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		FAIL("failed: %s", command);
}

uint64_t world_slow(void)
{
	unsigned long long packets = 0;
	char line[256];
	bool found = false;
	FILE *nft = popen("nft list counter inet world slow", "r");

	CHECK(nft);
	while (fgets(line, sizeof(line), nft))
		if (sscanf(line, " packets %llu", &packets) == 1)
			found = true;
	CHECK(!pclose(nft) && found);
	return packets;
}

unsigned long world_sysctl(const char *name)
{
	char path[128];
	unsigned long value;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lu", &value) != 1)
		FAIL("%s cannot be read", path);
	fclose(file);
	return value;
}

void world_sysctl_set(const char *name, unsigned long value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%lu\n", value) < 0 || fclose(file))
		FAIL("%s cannot be set to %lu", path, value);
}

/* ---- The table ---- */

static void on_event(void *arg, const struct fo_event *event)
{
	struct world *world = arg;

	CHECK(event->kind < 32);
	world->events[event->kind]++;
	world->last[event->kind] = *event;
}

void world_options(struct world *world, struct fo_table_options *options, struct fo_port ports[2])
{
	FO_INIT(options);
	for (unsigned int i = 0; i < 2; i++) {
		world->port[i] = if_nametoindex(i ? "s0" : "c0");
		CHECK(world->port[i]);
		FO_INIT(&ports[i]);
		ports[i].port = world->port[i];
	}
	options->backend = "nft";
	options->capacity = 1000;
	options->ports = ports;
	options->n_ports = 2;
	options->flags = FO_TABLE_ALLOW_SYSCTL;
}

void world_sides(struct world *world)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj adj;

		FO_INIT(&adj);
		adj.port = world->port[i];
		adj.mtu = 1500;
		OK(fo_adj_add(world->table, &adj, &world->adj[i], &live_err));
	}
}

void world_open(struct world *world, uint32_t capacity, uint32_t timeout_ms)
{
	struct fo_table_options options;
	struct fo_port ports[2];

	world_options(world, &options, ports);
	options.capacity = capacity;
	options.timeout_tcp_ms = options.timeout_udp_ms = timeout_ms;
	OK(fo_table_create(&options, &world->table, &live_err));
	world_sides(world);
}

void world_close(struct world *world)
{
	fo_table_destroy(world->table);
	world->table = NULL;
}

void world_poll(struct world *world)
{
	OK(fo_table_poll(world->table, 0, 5000, on_event, world, &live_err));
}

/* Wait as a program would: for the descriptor, which fires at the deadline, too. */
static void rest(struct world *world, int most_ms)
{
	struct pollfd fd = {fo_table_fd(world->table), POLLIN, 0};

	CHECK(fd.fd >= 0);
	if (poll(&fd, 1, most_ms) < 0 && errno != EINTR)
		FAIL("poll: %s", strerror(errno));
	world_poll(world);
}

void world_rest(struct world *world)
{
	rest(world, 20);
}

void world_until_state(struct world *world, struct pair *pair, fo_flow_id id, unsigned int state)
{
	struct fo_flow_info info;

	for (int waited = 0; waited < PATIENCE_MS; waited += 20) {
		FO_INIT(&info);
		OK(fo_flow_get(world->table, id, &info, &live_err));
		if (info.state == state)
			return;
		if (pair)
			pair_talk(pair, 1);
		rest(world, 20);
	}
	FAIL("the flow is %s, never %s", fo_state_name(info.state), fo_state_name(state));
}

void world_until_event(struct world *world, unsigned int kind, unsigned int count)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 20) {
		if (world->events[kind] >= count)
			return;
		rest(world, 20);
	}
	FAIL("%u events %s, not %u", world->events[kind], fo_event_name(kind), count);
}

/* ---- Both ends ---- */

static int socket_in(const char *variable, int family, int type)
{
	const char *path = getenv(variable);
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), away, fd, one = 1;

	CHECK(path && home >= 0);
	away = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(away >= 0 && !setns(away, CLONE_NEWNET));
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && !setns(home, CLONE_NEWNET));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	close(away);
	close(home);
	return fd;
}

static socklen_t address(struct sockaddr_storage *out, int family, const char *v4, const char *v6,
			 uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		CHECK(inet_pton(AF_INET, v4, &in->sin_addr) == 1);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	CHECK(inet_pton(AF_INET6, v6, &in6->sin6_addr) == 1);
	return sizeof(*in6);
}

static void set_tuple(struct fo_tuple *tuple, const struct pair *pair, const char *src, uint16_t sport,
		      const char *dst, uint16_t dport)
{
	memset(tuple, 0, sizeof(*tuple));
	CHECK(inet_pton(pair->family, src, tuple->src) == 1 && inet_pton(pair->family, dst, tuple->dst) == 1);
	tuple->sport_be = htons(sport);
	tuple->dport_be = htons(dport);
	tuple->family = pair->family == AF_INET ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6;
	tuple->proto = pair->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
}

static void describe(struct pair *pair)
{
	bool v4 = pair->family == AF_INET;

	FO_INIT(&pair->flow);
	set_tuple(&pair->flow.tuple[0], pair, v4 ? "10.91.1.2" : "fd91:1::2", pair->client_port,
		  v4 ? "10.91.2.2" : "fd91:2::2", pair->server_port);
	/* Masqueraded, and the port is free on the router: it is kept. */
	set_tuple(&pair->flow.tuple[1], pair, v4 ? "10.91.2.2" : "fd91:2::2", pair->server_port,
		  v4 ? "10.91.2.1" : "fd91:2::1", pair->client_port);
}

static socklen_t server_address(const struct pair *pair, struct sockaddr_storage *out)
{
	return address(out, pair->family, "10.91.2.2", "fd91:2::2", pair->server_port);
}

void pair_client(struct pair *pair, uint16_t client_port, uint16_t server_port)
{
	struct sockaddr_storage name;
	socklen_t size;

	pair->client_port = client_port;
	pair->server_port = server_port;
	pair->client = socket_in("FO_WORLD_CLIENT", pair->family, pair->type);
	size = address(&name, pair->family, "10.91.1.2", "fd91:1::2", client_port);
	CHECK(!bind(pair->client, (struct sockaddr *)&name, size));
	describe(pair);
	size = server_address(pair, &name);
	CHECK(!connect(pair->client, (struct sockaddr *)&name, size));
}

void pair_open(struct pair *pair, int family, int type, uint16_t client_port, uint16_t server_port)
{
	struct sockaddr_storage name;
	socklen_t size;
	int listener;

	memset(pair, 0, sizeof(*pair));
	pair->family = family;
	pair->type = type;
	pair->server_port = server_port;
	pair->server = listener = socket_in("FO_WORLD_SERVER", family, type);
	size = server_address(pair, &name);
	CHECK(!bind(listener, (struct sockaddr *)&name, size));
	CHECK(type != SOCK_STREAM || !listen(listener, 1));
	pair_client(pair, client_port, server_port);
	if (type != SOCK_STREAM)
		return;
	pair->server = accept(listener, NULL, NULL);
	CHECK(pair->server >= 0);
	close(listener);
}

static void expect(int fd, char want, struct sockaddr *from, socklen_t *size)
{
	struct pollfd ready = {fd, POLLIN, 0};
	char got = 0;

	CHECK_INT(poll(&ready, 1, PATIENCE_MS), 1);
	CHECK_INT(recvfrom(fd, &got, 1, 0, from, size), 1);
	CHECK_INT(got, want);
}

void pair_talk(struct pair *pair, unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		bool stream = pair->type == SOCK_STREAM;

		CHECK_INT(send(pair->client, "q", 1, 0), 1);
		expect(pair->server, 'q', (struct sockaddr *)&from, &size);
		CHECK_INT(sendto(pair->server, "a", 1, 0, stream ? NULL : (struct sockaddr *)&from,
				 stream ? 0 : size),
			  1);
		expect(pair->client, 'a', NULL, NULL);
	}
}

void pair_close(struct pair *pair)
{
	close(pair->client);
	close(pair->server);
}
