/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_path.c - what a packet of a TCP stream costs the router, short-cut by hardware and not. See tc_measure.h.
 *
 * A network namespace has no CPU time of its own. So one processor does the router's work and nothing else (what arrives at
 * its ports is steered there, and the table's owner runs there), and another that of both ends, which here is the simulated
 * hardware's, too. The time is what the first one was not idle.
 */
#include "tc_measure.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS	   5u
#define STREAM	   (48u << 20)
#define ENDS_CPU   0
#define ROUTER_CPU 1

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

/* What arrives at a device is that processor's. */
static void steer(const char *namespace, const char *device, int cpu)
{
	world_run("ip netns exec %s sh -c 'echo %x >/sys/class/net/%s/queues/rx-0/rps_cpus'", namespace,
		  1 << cpu, device);
}

/* How long it has been idle: to the microsecond, where the ticks that tell what else it did see only a sample. */
static double idle_ns(int cpu)
{
	unsigned long long idle, wait;
	FILE *file = fopen("/proc/stat", "r");
	char line[512], name[16];
	bool found = false;

	CHECK(file);
	snprintf(name, sizeof(name), "cpu%d ", cpu);
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, name, strlen(name));
	fclose(file);
	CHECK(found && sscanf(line + strlen(name), "%*u %*u %*u %llu %llu", &idle, &wait) == 2);
	return (double)(idle + wait) * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

/* ---- A stream ---- */

static void send_all(int fd)
{
	static char chunk[65536];

	for (unsigned int left = STREAM; left;) {
		ssize_t sent = send(fd, chunk, left < sizeof(chunk) ? left : sizeof(chunk), 0);

		CHECK(sent > 0);
		left -= (unsigned int)sent;
	}
}

static void receive_all(int fd)
{
	static char chunk[65536];

	for (unsigned int left = STREAM; left;) {
		struct pollfd ready = {fd, POLLIN, 0};
		ssize_t got;

		CHECK_INT(poll(&ready, 1, 60000), 1);
		got = recv(fd, chunk, left < sizeof(chunk) ? left : sizeof(chunk), 0);
		CHECK(got > 0);
		left -= (unsigned int)got;
	}
}

static pid_t end_of(void (*work)(int), int fd)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child)
		return child;
	run_on(ENDS_CPU);
	work(fd);
	_exit(0);
}

/* Until both have ended the table's owner does what a program does: wait for the table's descriptor, and poll. */
static void stream(struct world *world, const struct pair *pair)
{
	pid_t ends[2] = {end_of(receive_all, pair->server), end_of(send_all, pair->client)};
	int unsent = 1;

	for (unsigned int i = 0; i < 2;) {
		int status;
		pid_t got = waitpid(ends[i], &status, WNOHANG);

		CHECK(got >= 0);
		if (got) {
			CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
			i++;
		} else {
			world_rest(world);
		}
	}
	/* Nothing of it is under way any more. */
	while (unsent) {
		CHECK(!ioctl(pair->client, SIOCOUTQ, &unsent));
		world_rest(world);
	}
}

/* ---- With and without ---- */

enum way { SLOW, FAST, WAYS };
static const char *const names[WAYS] = {"slow path", "flowoffload"};

struct cost {
	double ns[ROUNDS];	/* of the router's processor, a packet */
	double library[ROUNDS]; /* of that, the thread that polls the table: milliseconds a second */
	double seen[ROUNDS];	/* packets in the forward hook */
	double packets[ROUNDS]; /* forwarded by whom they should be */
	double rate[ROUNDS];	/* Mbit/s */
};

static void measure(struct world *world, struct pair *pair, enum way way, struct cost *cost, unsigned int i)
{
	uint64_t slow, fast;
	fo_flow_id id = 0;
	double idle, cpu, ms, packets;

	if (way == FAST)
		OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	slow = world_slow();
	fast = hwsim_counter("forwarded");
	idle = idle_ns(ROUTER_CPU);
	cpu = crowded_cpu_ms();
	ms = crowded_now_ms();
	stream(world, pair);
	ms = crowded_now_ms() - ms;
	cpu = crowded_cpu_ms() - cpu;
	idle = idle_ns(ROUTER_CPU) - idle;
	fast = hwsim_counter("forwarded") - fast;
	slow = world_slow() - slow;
	packets = (double)(way == FAST ? fast : slow);
	CHECK(packets > STREAM / 1500.0 && (way == FAST || !fast));
	cost->ns[i] = (ms * 1e6 - idle) / packets;
	cost->library[i] = cpu * 1e3 / ms;
	cost->seen[i] = (double)slow;
	cost->packets[i] = packets;
	cost->rate[i] = STREAM * 8e-3 / ms;
	if (way == FAST)
		OK(fo_flow_del(world->table, id, NULL, &live_err));
	world_poll(world);
}

static void tell(enum way way, struct cost *cost)
{
	bench_spread(TC_BENCH, "router-cpu", 0, names[way], cost->ns, ROUNDS, "ns");
	bench_spread(TC_BENCH, "router-library", 0, names[way], cost->library, ROUNDS, "ms/s");
	bench_spread(TC_BENCH, "stream-packets", 0, names[way], cost->packets, ROUNDS, "packets");
	bench_spread(TC_BENCH, "stream-rate", 0, names[way], cost->rate, ROUNDS, "Mbit/s");
	/* Sorted by then: the most. */
	(void)bench_median(cost->seen, ROUNDS);
	bench_figure_of(TC_BENCH, "stream-seen", 0, names[way], cost->seen[ROUNDS - 1], "packets");
}

void tc_path(void)
{
	static struct cost costs[WAYS];
	struct world world;
	struct pair pair;

	CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 2);
	run_on(ROUTER_CPU);
	steer("router", "c0", ROUTER_CPU);
	steer("router", "s0", ROUTER_CPU);
	steer("client", "eth", ENDS_CPU);
	steer("server", "eth", ENDS_CPU);
	tc_open(&world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_STREAM, 5001, 7002);
	pair.flow.adj[0] = world.adj[0];
	pair.flow.adj[1] = world.adj[1];
	/* The first stream of each does not count: windows open, and guards come. */
	for (enum way way = SLOW; way < WAYS; way++)
		measure(&world, &pair, way, &costs[way], 0);
	for (unsigned int i = 0; i < ROUNDS; i++)
		for (unsigned int at = 0; at < WAYS; at++) {
			enum way way = (enum way)((at + i) % WAYS);

			measure(&world, &pair, way, &costs[way], i);
		}
	for (enum way way = SLOW; way < WAYS; way++)
		tell(way, &costs[way]);
	pair_close(&pair);
	tc_close(&world);
}
