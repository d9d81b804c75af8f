/* SPDX-License-Identifier: BSD-2-Clause */
/* live_tables.c - what a table refuses, shares and leaves behind. See live.h. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

const struct live_case live_tables[] = {
	{"sysctls_are_set_by_permission_only", sysctls},
	{"a_flowtable_of_others_is_refused_by_name_or_shared", foreign},
	{"a_second_table_over_the_same_devices_is_refused", twice},
	{"ports_must_be_devices_that_forward", no_such_port},
	{"nat_that_contradicts_conntrack_is_refused", contradiction},
	{"a_firewall_reload_leaves_the_table", firewall_reload},
	{"a_killed_process_leaves_no_table", killed},
	{"a_table_in_another_namespace", other_namespace},
	{"explain_tells_what_conntrack_says", explained},
	{NULL, NULL},
};
