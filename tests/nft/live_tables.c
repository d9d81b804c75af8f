/* SPDX-License-Identifier: BSD-2-Clause */
/* live_tables.c - what a table refuses, shares and leaves behind. See live.h. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static bool ruleset_has(const char *text)
{
	char command[128];

	snprintf(command, sizeof(command), "nft list ruleset | grep -q '%s'", text);
	return system(command) == 0;
}

static void refused(struct world *world, const struct fo_table_options *options, int code,
		    unsigned int reason, const char *word)
{
	CHECK_INT(fo_table_create(options, &world->table, &live_err), code);
	CHECK_INT(live_err.reason, reason);
	if (!strstr(live_err.text, word))
		FAIL("\"%s\" does not say \"%s\"", live_err.text, word);
	CHECK(!ruleset_has("flowoffload_"));
}

static void sysctls(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_caps caps;

	world_options(world, &options, ports);
	options.flags = 0;
	world_sysctl_set("nf_conntrack_acct", 0);
	refused(world, &options, -EPERM, FO_R_PERMISSION, "nf_conntrack_acct");
	CHECK_INT(world_sysctl("nf_conntrack_acct"), 0);
	world_sysctl_set("nf_conntrack_acct", 1);
	world_sysctl_set("nf_flowtable_udp_timeout", 120);
	refused(world, &options, -EPERM, FO_R_PERMISSION, "nf_flowtable_udp_timeout");
	world_sysctl_set("nf_conntrack_acct", 0);
	options.flags = FO_TABLE_ALLOW_SYSCTL;
	OK(fo_table_create(&options, &world->table, &live_err));
	CHECK_INT(world_sysctl("nf_conntrack_acct"), 1);
	CHECK_INT(world_sysctl("nf_flowtable_udp_timeout"), 60);
	FO_INIT(&caps);
	OK(fo_table_caps(world->table, &caps, &live_err));
	CHECK(strstr(caps.text, "nf_conntrack_acct=1"));
	world_close(world);
}

static void foreign(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct pair pair;
	fo_flow_id id;

	world_options(world, &options, ports);
	world_run("nft add table inet firewall");
	world_run("nft add flowtable inet firewall fast '{ hook ingress priority 0; devices = { s0 }; }'");
	refused(world, &options, -EBUSY, FO_R_IN_USE, "s0 is in flowtable inet firewall fast");
	options.flags |= FO_TABLE_ALLOW_FOREIGN;
	OK(fo_table_create(&options, &world->table, &live_err));
	world_sides(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	pair_talk(&pair, 3);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_state(world, &pair, id, FO_STATE_PARTIAL);
	world_close(world);
	world_run("nft delete table inet firewall");
}

/* The second table over the same devices is told whose they are. */
static void twice(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_table *second;

	world_open(world, 10, 0);
	world_options(world, &options, ports);
	CHECK_INT(fo_table_create(&options, &second, &live_err), -EBUSY);
	CHECK(strstr(live_err.text, "flowoffload_"));
	world_close(world);
	OK(fo_table_create(&options, &world->table, &live_err));
	world_close(world);
	CHECK(!ruleset_has("flowoffload_"));
}

static void no_such_port(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];

	world_options(world, &options, ports);
	ports[1].port = 4711;
	refused(world, &options, -ENODEV, FO_R_PORT, "4711");
	ports[1].port = 1;
	refused(world, &options, -ENODEV, FO_R_PORT, "loopback");
}

static void contradiction(struct world *world)
{
	struct pair pair;
	fo_flow_id id;

	world_open(world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	pair.flow.tuple[1].dst[3] = 77;
	CHECK_INT(fo_flow_add(world->table, &pair.flow, &id, &live_err), -EINVAL);
	CHECK_INT(live_err.reason, FO_R_NAT);
	CHECK(strstr(live_err.text, "10.91.2.1 5001"));
	pair_close(&pair);
	world_close(world);
}

static void firewall_reload(struct world *world)
{
	struct pair pair;
	fo_flow_id id;

	world_open(world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	world_run("nft flush ruleset && nft -f \"$FO_WORLD_RULES\"");
	CHECK(ruleset_has("0x00000000 . 10.91.1.2 . 10.91.2.2 . 5001 . 7000"));
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	world_close(world);
}

static void killed(struct world *world)
{
	int pipes[2], status;
	char ready;
	pid_t child;

	CHECK(!pipe(pipes));
	child = fork();
	if (!child) {
		world_open(world, 10, 0);
		CHECK_INT(write(pipes[1], "r", 1), 1);
		for (;;)
			pause();
	}
	CHECK(child > 0);
	CHECK_INT(read(pipes[0], &ready, 1), 1);
	CHECK(ruleset_has("flowoffload_"));
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	CHECK(!ruleset_has("flowoffload_"));
}

/* The table is the router's, the program somewhere else. */
static void other_namespace(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct pair pair;
	fo_flow_id id;
	int router = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int away = open(getenv("FO_WORLD_CLIENT"), O_RDONLY | O_CLOEXEC);

	world_options(world, &options, ports);
	CHECK(router >= 0 && away >= 0 && !setns(away, CLONE_NEWNET));
	CHECK_INT(fo_table_create(&options, &world->table, &live_err), -ENODEV);
	options.netns_fd = router;
	OK(fo_table_create(&options, &world->table, &live_err));
	world_sides(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	world_close(world);
}

/* Ports of their own, a connection in one: the other's refreshes and its end are nothing to it. */
static void side_by_side(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2], others[2];
	struct fo_table *other;
	struct pair pair;
	fo_flow_id id;
	uint64_t slow;

	world_run("ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up");
	world_open(world, 10, 0);
	world_options(world, &options, ports);
	for (unsigned int i = 0; i < 2; i++) {
		others[i] = ports[i];
		others[i].port = if_nametoindex(i ? "d1" : "d0");
	}
	options.ports = others;
	OK(fo_table_create(&options, &other, &live_err));
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5079, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	/* A port that comes makes the other table's flowtable anew. */
	others[0].state = FO_PORT_GONE;
	OK(fo_port_set(other, &others[0], &live_err));
	others[0].state = FO_PORT_UP;
	OK(fo_port_set(other, &others[0], &live_err));
	OK(fo_table_sync(other, 10000, &live_err));
	slow = world_slow();
	pair_talk(&pair, 20);
	CHECK_INT(world_slow() - slow, 0);
	fo_table_destroy(other);
	pair_talk(&pair, 20);
	CHECK_INT(world_slow() - slow, 0);
	pair_close(&pair);
	world_close(world);
	world_run("ip link del d0");
}

/* What the owner has, others cannot take away or change; what they do to tables of their own meanwhile is no matter. */
static void others_at_work(struct world *world)
{
	struct pair pair;
	fo_flow_id id;
	int status;
	pid_t child;

	world_open(world, 10, 0);
	CHECK(system("nft delete table inet \"$(nft list tables inet | sed -n "
		     "'s/.*\\(flowoffload_.*\\)/\\1/p')\" "
		     "2>/dev/null") != 0);
	CHECK(ruleset_has("flowoffload_"));
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5080, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	child = fork();
	if (!child) {
		for (;;)
			world_run("nft 'add table inet noise; add chain inet noise c; delete table inet "
				  "noise'");
	}
	CHECK(child > 0);
	for (unsigned int i = 0; i < 15; i++) {
		OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
		world_until_state(world, &pair, id, FO_STATE_ACTIVE);
		OK(fo_flow_del(world->table, id, NULL, &live_err));
		OK(fo_table_sync(world->table, 60000, &live_err));
		world_until_event(world, FO_EV_DELETED, i + 1);
	}
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	pair_close(&pair);
	world_close(world);
	(void)system("nft delete table inet noise 2>/dev/null");
}

static volatile sig_atomic_t alarms;

static void rung(int number)
{
	(void)number;
	alarms++;
}

/* Signals that interrupt whatever waits: every call does what it would have done. */
static void interrupted(struct world *world)
{
	const struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = rung};
	struct pair pair;
	fo_flow_id id;

	world_open(world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5081, 7000);
	pair_talk(&pair, 2);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	CHECK(!sigaction(SIGALRM, &act, NULL));
	for (unsigned int i = 0; i < 20; i++) {
		CHECK(!setitimer(ITIMER_REAL, &often, NULL));
		OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
		for (unsigned int k = 0; k < 20; k++)
			world_poll(world);
		OK(fo_flow_del(world->table, id, NULL, &live_err));
		OK(fo_table_sync(world->table, 60000, &live_err));
		for (unsigned int k = 0; k < 20; k++)
			world_poll(world);
		CHECK(!setitimer(ITIMER_REAL, &never, NULL));
		world_until_event(world, FO_EV_DELETED, i + 1);
		pair_talk(&pair, 1);
	}
	CHECK(alarms > 0);
	pair_close(&pair);
	world_close(world);
}

static void explain_key(struct world *world, const struct pair *pair, const char *words)
{
	struct fo_explanation answer;
	struct fo_key key;

	FO_INIT(&key);
	key.tuple = pair->flow.tuple[0];
	key.port = FO_PORT_ANY;
	FO_INIT(&answer);
	OK(fo_flow_explain(world->table, 0, &key, &answer, &live_err));
	if (!strstr(answer.text, words))
		FAIL("\"%s\" does not say \"%s\"", answer.text, words);
}

static void explained(struct world *world)
{
	struct pollfd arrived = {-1, POLLIN, 0};
	struct pair pair;
	fo_flow_id id;

	world_open(world, 10, 0);
	/* Ports of no other case: conntrack remembers. */
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5077, 7000);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	explain_key(world, &pair, "Conntrack has no entry");
	arrived.fd = pair.server;
	CHECK_INT(send(pair.client, "x", 1, 0), 1);
	CHECK_INT(poll(&arrived, 1, 60000), 1);
	explain_key(world, &pair, "no answer was seen");
	CHECK_INT(recv(pair.server, &(char){0}, 1, 0), 1);
	pair_talk(&pair, 2);
	explain_key(world, &pair, "it may be added");
	OK(fo_flow_add(world->table, &pair.flow, &id, &live_err));
	explain_key(world, &pair, "Idle");
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	explain_key(world, &pair, "Conntrack says OFFLOAD");
	pair_close(&pair);
	world_close(world);
}

/* What is on its way is awaited. */
static void explain_flow(struct world *world, fo_flow_id id, const char *words)
{
	struct fo_explanation answer;

	for (unsigned int i = 0; i < 1000; i++) {
		FO_INIT(&answer);
		OK(fo_flow_explain(world->table, id, NULL, &answer, &live_err));
		if (strstr(answer.text, words))
			return;
		world_rest(world);
	}
	FAIL("\"%s\" does not say \"%s\"", answer.text, words);
}

static fo_flow_id add_pair(struct world *world, struct pair *pair)
{
	fo_flow_id id;

	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	return id;
}

/* A helper reads it; the firewall drops it. */
static void not_taken(struct world *world)
{
	struct pair pair;
	fo_flow_id id;

	world_open(world, 10, 0);
	world_run("nft 'add table inet help; add ct helper inet help ftp { type \"ftp\" protocol tcp; }; "
		  "add chain inet help c { type filter hook prerouting priority 0; }; "
		  "add rule inet help c tcp dport 7021 ct helper set \"ftp\"'");
	pair_open(&pair, AF_INET, SOCK_STREAM, 5082, 7021);
	pair_talk(&pair, 1);
	pair.flow.adj[0] = world->adj[0];
	pair.flow.adj[1] = world->adj[1];
	CHECK_INT(fo_flow_add(world->table, &pair.flow, &id, &live_err), -EOPNOTSUPP);
	CHECK(strstr(live_err.text, "helper ftp"));
	explain_key(world, &pair, "helper ftp");
	pair_close(&pair);
	world_run("nft delete table inet help");

	pair_open(&pair, AF_INET, SOCK_DGRAM, 5083, 7022);
	pair_talk(&pair, 2);
	id = add_pair(world, &pair);
	explain_flow(world, id, "Idle");
	world_run("nft 'add table inet wall; add chain inet wall c { type filter hook forward priority 0; }; "
		  "add rule inet wall c udp dport 7022 drop'");
	CHECK_INT(send(pair.client, "x", 1, 0), 1);
	explain_flow(world, id, "not forwarded");
	world_run("nft delete table inet wall");
	pair_close(&pair);
	world_close(world);
}

/* The caller says that the server is behind d0; the router reaches it by s0. */
static void not_covered(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct pair pair;
	fo_flow_id id;

	world_run("ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up");
	world_options(world, &options, ports);
	ports[1].port = world->port[1] = if_nametoindex("d0");
	OK(fo_table_create(&options, &world->table, &live_err));
	world_sides(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5084, 7000);
	pair_talk(&pair, 2);
	id = add_pair(world, &pair);
	pair_talk(&pair, 2);
	explain_flow(world, id, "device s0");
	explain_flow(world, id, "not in the flowtable");
	pair_close(&pair);
	world_close(world);
	world_run("ip link del d0");
}

const struct live_case live_tables[] = {
	{"sysctls_are_set_by_permission_only", sysctls},
	{"a_flowtable_of_others_is_refused_by_name_or_shared", foreign},
	{"a_second_table_over_the_same_devices_is_refused", twice},
	{"ports_must_be_devices_that_forward", no_such_port},
	{"nat_that_contradicts_conntrack_is_refused", contradiction},
	{"a_firewall_reload_leaves_the_table", firewall_reload},
	{"a_killed_process_leaves_no_table", killed},
	{"a_table_in_another_namespace", other_namespace},
	{"two_tables_side_by_side", side_by_side},
	{"others_at_work_on_the_ruleset", others_at_work},
	{"signals_interrupt_nothing", interrupted},
	{"explain_tells_what_conntrack_says", explained},
	{"explain_tells_why_a_flow_is_not_taken", not_taken},
	{"explain_names_a_device_that_is_not_in_the_flowtable", not_covered},
	{NULL, NULL},
};
