/* SPDX-License-Identifier: BSD-2-Clause */
/* live_devices.c - VLANs and bridges as ports, devices that go and come, processes that are killed. See live.h. */
#include "live.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink/netlink.h"

static fo_flow_id add(struct world *world, struct pair *pair)
{
	fo_flow_id id = 0;

	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	return id;
}

static void expect_fast(struct world *world, struct pair *pair)
{
	fo_flow_id id;
	uint64_t slow;

	pair_talk(pair, 3);
	id = add(world, pair);
	world_until_state(world, pair, id, FO_STATE_ACTIVE);
	slow = world_slow();
	pair_talk(pair, 20);
	CHECK_INT(world_slow() - slow, 0);
}

static bool ruleset_says(const char *pattern)
{
	char command[160];

	snprintf(command, sizeof(command), "nft list ruleset | grep -q -E '%s'", pattern);
	return system(command) == 0;
}

/* The client behind a bridge, the server behind a VLAN; the ports given are the bridge and the VLAN device. */
static void stacked(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_adj adj;
	struct pair pair;
	fo_adj_id wrong;

	world_run("ip link add br0 type bridge && ip link set br0 up && ip addr flush dev c0 && ip link set "
		  "c0 master br0 && "
		  "ip addr add 10.91.1.1/24 dev br0");
	world_run("ip addr flush dev s0 && ip link add link s0 name s0.10 type vlan id 10 && ip link set "
		  "s0.10 up && "
		  "ip addr add 10.91.2.1/24 dev s0.10 && nft add rule inet world post oifname s0.10 "
		  "masquerade");
	world_run("nsenter --net=$FO_WORLD_SERVER sh -c 'ip addr flush dev eth; ip link add link eth name "
		  "eth.10 type vlan id 10; "
		  "ip link set eth.10 up; ip addr add 10.91.2.2/24 dev eth.10; ip route add default via "
		  "10.91.2.1'");
	world_options(world, &options, ports);
	ports[0].port = if_nametoindex("br0");
	ports[1].port = if_nametoindex("s0.10");
	OK(fo_table_create(&options, &world->table, &live_err));
	CHECK(ruleset_says("devices = \\{ \"?c0\"?, \"?s0\"? \\}"));
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj);
		adj.port = ports[i].port;
		adj.mtu = 1500;
		OK(fo_adj_add(world->table, &adj, &world->adj[i], &live_err));
	}
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5201, 7000);
	expect_fast(world, &pair);
	world_close(world);

	/* The same by its real ports, with what lies on them said, and checked. */
	world_options(world, &options, ports);
	OK(fo_table_create(&options, &world->table, &live_err));
	FO_INIT(&adj);
	adj.port = world->port[0];
	adj.l3_dev = if_nametoindex("br0");
	adj.mtu = 1500;
	OK(fo_adj_add(world->table, &adj, &world->adj[0], &live_err));
	adj.port = world->port[1];
	adj.l3_dev = if_nametoindex("s0.10");
	adj.n_encaps = 1;
	adj.encap[0].kind = FO_ENCAP_8021Q;
	adj.encap[0].id = 11;
	CHECK_INT(fo_adj_add(world->table, &adj, &wrong, &live_err), -EINVAL);
	CHECK_INT(live_err.reason, FO_R_ADJACENCY);
	adj.encap[0].id = 10;
	/* The VLAN device writes the priority. */
	adj.encap[0].pcp = 3;
	CHECK_INT(fo_adj_add(world->table, &adj, &wrong, &live_err), -EOPNOTSUPP);
	CHECK(strstr(live_err.text, "egress-qos-map"));
	world_run("ip link set s0.10 type vlan egress-qos-map 0:3");
	OK(fo_adj_add(world->table, &adj, &world->adj[1], &live_err));
	adj.encap[0].dei = 1;
	CHECK_INT(fo_adj_add(world->table, &adj, &wrong, &live_err), -EOPNOTSUPP);
	adj.encap[0].dei = 0;
	adj.mtu = 1400;
	CHECK_INT(fo_adj_add(world->table, &adj, &wrong, &live_err), -EOPNOTSUPP);
	expect_fast(world, &pair);
	pair_close(&pair);
	world_close(world);
	world_run("ip link del s0.10 && ip addr add 10.91.2.1/24 dev s0");
	world_run(
		"nsenter --net=$FO_WORLD_SERVER sh -c 'ip link del eth.10; ip addr add 10.91.2.2/24 dev eth; "
		"ip route add default via 10.91.2.1'");
	world_run("ip link set c0 nomaster && ip link del br0 && ip addr add 10.91.1.1/24 dev c0");
}

/* The client behind a bond, which is a port itself: its members are the kernel's business. */
static void bonded(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct pair pair;

	world_run("ip addr flush dev c0 && ip link set c0 down && ip link add bond9 type bond mode "
		  "active-backup && ip link set c0 master bond9 && ip link set bond9 up && ip addr add "
		  "10.91.1.1/24 dev bond9");
	world_options(world, &options, ports);
	ports[0].port = world->port[0] = if_nametoindex("bond9");
	OK(fo_table_create(&options, &world->table, &live_err));
	CHECK(ruleset_says("devices = \\{ \"?bond9\"?, \"?s0\"? \\}"));
	world_sides(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5206, 7000);
	expect_fast(world, &pair);
	pair_close(&pair);
	world_close(world);
	world_run("ip link del bond9 && ip link set c0 up && ip addr add 10.91.1.1/24 dev c0");
}

#define SESSION 77u

/* The server behind a PPPoE session; the port given is the ppp device, then the Ethernet device with the session said. */
static void dialled(struct world *world)
{
	const char *router = getenv("FO_WORLD_ROUTER"), *server = getenv("FO_WORLD_SERVER");
	struct fo_table_options options;
	unsigned char near[6], far[6];
	struct fo_port ports[2];
	struct fo_adj adj;
	struct pair pair;

	session_address(router, "s0", near);
	session_address(server, "eth", far);
	session_open(router, "s0", far, SESSION);
	session_open(server, "eth", near, SESSION);
	world_run("ip addr flush dev s0 && ip addr add 10.91.2.1 peer 10.91.2.2 dev ppp0 && ip link set ppp0 "
		  "mtu 1492 "
		  "up && "
		  "nft add rule inet world post oifname ppp0 masquerade");
	world_run("nsenter --net=$FO_WORLD_SERVER sh -c 'ip addr flush dev eth; ip addr add 10.91.2.2 peer "
		  "10.91.2.1 dev ppp0; "
		  "ip link set ppp0 mtu 1492 up; ip route add default dev ppp0'");
	world_options(world, &options, ports);
	ports[1].port = if_nametoindex("ppp0");
	OK(fo_table_create(&options, &world->table, &live_err));
	CHECK(ruleset_says("devices = \\{ \"?c0\"?, \"?s0\"? \\}"));
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj);
		adj.port = ports[i].port;
		adj.mtu = 1500;
		OK(fo_adj_add(world->table, &adj, &world->adj[i], &live_err));
	}
	pair_open(&pair, AF_INET, SOCK_STREAM, 5205, 7000);
	expect_fast(world, &pair);
	world_close(world);

	world_options(world, &options, ports);
	OK(fo_table_create(&options, &world->table, &live_err));
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj);
		adj.port = world->port[i];
		adj.mtu = 1500;
		if (i) {
			adj.l3_dev = if_nametoindex("ppp0");
			adj.n_encaps = 1;
			adj.encap[0].kind = FO_ENCAP_PPPOE;
			adj.encap[0].id = SESSION;
			adj.mtu = 1492;
		}
		OK(fo_adj_add(world->table, &adj, &world->adj[i], &live_err));
	}
	expect_fast(world, &pair);
	pair_close(&pair);
	world_close(world);
	world_run("ip addr flush dev ppp0 && ip addr add 10.91.2.1/24 dev s0");
	world_run("nsenter --net=$FO_WORLD_SERVER sh -c 'ip addr flush dev ppp0; ip addr add 10.91.2.2/24 "
		  "dev eth; "
		  "ip route replace default via 10.91.2.1'");
}

/* The server's device is deleted under the table, and another takes its name. */
static void replaced(struct world *world)
{
	struct fo_port port;
	struct fo_adj adj;
	struct pair pair;

	world_open(world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5202, 7000);
	expect_fast(world, &pair);
	world_run("ip link del s0 && ip link add s0 type veth peer name eth && ip link set eth netns "
		  "$FO_WORLD_SERVER && "
		  "ip addr add 10.91.2.1/24 dev s0 && ip -6 addr add fd91:2::1/64 dev s0 nodad && ip link "
		  "set s0 up");
	world_run("nsenter --net=$FO_WORLD_SERVER sh -c 'ip addr add 10.91.2.2/24 dev eth; ip addr add "
		  "fd91:2::2/64 dev eth nodad; "
		  "ip link set eth up; ip route add default via 10.91.2.1; ip -6 route add default via "
		  "fd91:2::1'");
	FO_INIT(&port);
	port.port = world->port[1];
	port.state = FO_PORT_GONE;
	OK(fo_port_set(world->table, &port, &live_err));
	world_until_event(world, FO_EV_INVALIDATED, 1);
	port.port = world->port[1] = if_nametoindex("s0");
	port.state = FO_PORT_UP;
	OK(fo_port_set(world->table, &port, &live_err));
	FO_INIT(&adj);
	adj.port = world->port[1];
	adj.mtu = 1500;
	OK(fo_adj_add(world->table, &adj, &world->adj[1], &live_err));
	OK(fo_table_sync(world->table, 10000, &live_err));
	expect_fast(world, &pair);
	pair_close(&pair);
	world_close(world);
}

static int count(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	unsigned int *n = arg;

	(void)seq;
	(void)nlh;
	(void)error;
	++*n;
	return 0;
}

static void count_anew(void *arg)
{
	*(unsigned int *)arg = 0;
}

static void ask_for_links(struct fo__tx *tx, uint8_t *room, size_t size, const struct fo__nl *nl)
{
	struct ifinfomsg *header;

	fo__tx_begin(tx, room, size, nl->seq);
	header = fo__tx_message(tx, RTM_GETLINK, NLM_F_DUMP, sizeof(*header));
	CHECK(header);
}

/* Devices come while they are being listed: it is noticed, and the list is read anew until it is whole. */
static void torn(struct world *world)
{
	static uint8_t rx[FO__NL_RX_LEAST] __attribute__((aligned(4)));
	uint8_t room[128] __attribute__((aligned(4)));
	unsigned int n = 0, whole;
	struct fo__tx tx;
	struct fo__nl nl;
	int rc;

	(void)world;
	world_run("for i in $(seq 60); do echo link add many$i type veth peer name other$i; done | ip -batch "
		  "-");
	OK(fo__nl_open(&nl, NETLINK_ROUTE, -1, rx, sizeof(rx), &live_err));
	ask_for_links(&tx, room, sizeof(room), &nl);
	CHECK_INT(fo__nl_dump_begin(&nl, &tx), 0);
	CHECK_INT(fo__nl_dump_step(&nl, count, &n), 1);
	CHECK(n > 0);
	world_run("ip link add late type veth peer name later");
	while ((rc = fo__nl_dump_step(&nl, count, &n)) == 1)
		;
	CHECK_INT(rc, -EINTR);
	whole = 0;
	ask_for_links(&tx, room, sizeof(room), &nl);
	CHECK_INT(fo__nl_dump(&nl, &tx, count, &whole, count_anew), 0);
	CHECK(whole >= 122);
	fo__nl_close(&nl);
	world_run("ip link del late; for i in $(seq 60); do echo link del many$i; done | ip -batch -");
}

/* A process with a table and a living flow, until it is killed. */
static void serve(struct world *world, struct pair *pair, int ready)
{
	world_open(world, 10, 0);
	add(world, pair);
	CHECK_INT(write(ready, "r", 1), 1);
	for (;;)
		world_poll(world);
}

static void killed_often(struct world *world)
{
	struct pair pair;

	pair_open(&pair, AF_INET, SOCK_DGRAM, 5203, 7000);
	pair_talk(&pair, 3);
	srand(1);
	for (unsigned int i = 0; i < 50; i++) {
		int pipes[2], status, delay = rand() % 200000;
		char ready;
		pid_t child;

		CHECK(!pipe(pipes));
		child = fork();
		if (!child)
			serve(world, &pair, pipes[1]);
		CHECK(child > 0);
		/* Some are killed before they are ready. */
		close(pipes[1]);
		if (i % 3)
			CHECK_INT(read(pipes[0], &ready, 1), 1);
		for (int waited = 0; waited < delay; waited += 20000) {
			pair_talk(&pair, 1);
			usleep(20000);
		}
		CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
		close(pipes[0]);
		CHECK(!ruleset_says("flowoffload_"));
		pair_talk(&pair, 2);
	}
	pair_close(&pair);
}

const struct live_case live_devices[] = {
	{"bridges_and_vlans_are_walked_down", stacked},
	{"a_bond_is_a_port", bonded},
	{"pppoe_is_walked_down", dialled},
	{"a_device_that_is_replaced_is_taken_up", replaced},
	{"a_list_of_devices_that_is_torn_is_read_anew", torn},
	{"fifty_kills_leave_nothing_and_traffic_flows", killed_often},
	{NULL, NULL},
};
