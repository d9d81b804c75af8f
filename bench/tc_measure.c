/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_measure.c - backend tc measured: tc-measure [FLOWS [PART...]] with PART of adds, deletes, life, path. See tc_measure.h. */
#include "tc_measure.h"

#include "flowoffload-tc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>

static const char *const port_names[2] = {"c0", "s0"}, *const far_ends[2] = {"FO_WORLD_CLIENT",
									     "FO_WORLD_SERVER"};
/* Of the router, and of the far ends. */
static uint8_t own_mac[2][6], peer_mac[2][6];

static void learn_macs(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		session_address(getenv("FO_WORLD_ROUTER"), port_names[i], own_mac[i]);
		session_address(getenv(far_ends[i]), "eth", peer_mac[i]);
	}
}

void tc_open(struct world *world, uint32_t capacity, uint32_t helper_threads)
{
	struct fo_table_options options;
	struct fo_tc_options own;
	struct fo_port ports[2];

	memset(world, 0, sizeof(*world));
	world_options(world, &options, ports);
	FO_INIT(&own);
	own.profile = FO_TC_PROFILE_EXPLICIT;
	own.conntrack = FO_TC_CONNTRACK_ON;
	own.helper_threads = helper_threads;
	options.backend = "tc";
	options.backend_options = &own;
	options.capacity = capacity;
	options.flags |= FO_TABLE_ACCEPT_LINGER;
	OK(fo_table_create(&options, &world->table, &live_err));
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj adj;

		FO_INIT(&adj);
		adj.port = world->port[i];
		adj.mtu = 1500;
		memcpy(adj.own_mac, own_mac[i], sizeof(adj.own_mac));
		memcpy(adj.peer_mac, peer_mac[i], sizeof(adj.peer_mac));
		OK(fo_adj_add(world->table, &adj, &world->adj[i], &live_err));
	}
}

void tc_close(struct world *world)
{
	world_close(world);
	CHECK_INT(hwsim_rules(), 0);
}

struct crowd tc_some(const struct crowd *crowd, unsigned int n)
{
	struct crowd some = *crowd;

	CHECK(n <= crowd->n);
	some.n = n;
	return some;
}

static bool wanted(const char *part, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], part))
			return true;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 10000;
	struct crowd crowd;

	CHECK(n >= 100 && n <= 15000);
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The /sys of a network namespace comes without it. */
	CHECK(!mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) || errno == EBUSY);
	learn_macs();
	world_sysctl_set("nf_conntrack_udp_timeout", 600);
	world_sysctl_set("nf_conntrack_udp_timeout_stream", 600);
	crowd_open(&crowd, n, true);
	crowd_talk(&crowd);
	if (wanted("adds", argc, argv))
		tc_adds(&crowd);
	if (wanted("deletes", argc, argv))
		tc_deletes(&crowd);
	if (wanted("life", argc, argv))
		tc_life(&crowd);
	crowd_close(&crowd);
	if (wanted("path", argc, argv))
		tc_path();
	return 0;
}
