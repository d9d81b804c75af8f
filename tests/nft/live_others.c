/* SPDX-License-Identifier: BSD-2-Clause */
/* live_others.c - the table is taken away under the library: it says so, makes it anew, and goes on. See live.h.
 *
 * Nobody but the owner may delete the table, and the owner is a netlink socket: so the message goes out by that very socket.
 */
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "netlink/netlink.h"

/* Descriptors that are looked at. */
#define FDS 256

static struct nfgenmsg *message(struct fo__tx *tx, uint16_t type, uint16_t flags, uint16_t res_id)
{
	struct nfgenmsg *header = fo__tx_message(tx, type, flags, sizeof(*header));

	CHECK(header);
	header->nfgen_family = res_id ? AF_UNSPEC : NFPROTO_INET;
	header->res_id = htons(res_id);
	return header;
}

static int delete_table(struct fo__nl *nl, const char *table)
{
	static uint8_t room[1024] __attribute__((aligned(4)));
	struct fo__tx tx;

	fo__tx_begin(&tx, room, sizeof(room), 1u << 30);
	message(&tx, NFNL_MSG_BATCH_BEGIN, 0, NFNL_SUBSYS_NFTABLES);
	message(&tx, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, 0);
	fo__tx_put_text(&tx, NFTA_TABLE_NAME, table);
	message(&tx, NFNL_MSG_BATCH_END, 0, NFNL_SUBSYS_NFTABLES);
	return fo__nl_talk(nl, &tx, NULL, NULL, NULL);
}

/* By whichever netfilter socket of this process owns it. */
static void take_away(const char *table)
{
	static uint8_t rx[FO__NL_RX_LEAST] __attribute__((aligned(4)));

	for (int fd = 3; fd < FDS; fd++) {
		struct fo__nl nl = {.fd = fd, .rx = rx, .rx_room = sizeof(rx)};
		struct sockaddr_nl name;
		socklen_t size = sizeof(name), four = sizeof(int);
		int protocol = 0;

		if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &four) ||
		    protocol != NETLINK_NETFILTER || getsockname(fd, (struct sockaddr *)&name, &size) ||
		    name.nl_family != AF_NETLINK)
			continue;
		nl.portid = name.nl_pid;
		if (!delete_table(&nl, table))
			return;
	}
	FAIL("no socket here owns table %s", table);
}

static void own_table(char *name, size_t size)
{
	FILE *list = popen("nft list tables inet | sed -n 's/.* \\(flowoffload_.*\\)/\\1/p'", "r");

	CHECK(list && fgets(name, (int)size, list));
	name[strcspn(name, "\n")] = '\0';
	CHECK(!pclose(list));
}

static fo_flow_id add(struct world *world, struct pair *pair)
{
	fo_flow_id id;

	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
	OK(fo_flow_add(world->table, &pair->flow, &id, &live_err));
	return id;
}

static void table_lost(struct world *world)
{
	struct pair pair, other;
	char table[64];
	fo_flow_id id;
	int rc;

	world_open(world, 10, 0);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5090, 7000);
	pair_open(&other, AF_INET, SOCK_DGRAM, 5091, 7030);
	pair_talk(&pair, 2);
	pair_talk(&other, 2);
	id = add(world, &pair);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	own_table(table, sizeof(table));
	take_away(table);
	/* Refused, and why, until the loss was told of by a poll. */
	other.flow.adj[0] = world->adj[0];
	other.flow.adj[1] = world->adj[1];
	rc = fo_flow_add(world->table, &other.flow, &id, &live_err);
	CHECK_INT(rc, -EIO);
	world_until_event(world, FO_EV_LOST, 1);
	CHECK_INT(world->last[FO_EV_LOST].reason, FO_R_LOST);
	pair_talk(&pair, 3);
	for (unsigned int i = 0; i < 1000 && fo_flow_add(world->table, &pair.flow, &id, &live_err); i++)
		world_rest(world);
	world_until_state(world, &pair, id, FO_STATE_ACTIVE);
	id = add(world, &other);
	world_until_state(world, &other, id, FO_STATE_ACTIVE);
	pair_close(&pair);
	pair_close(&other);
	world_close(world);
	CHECK(system("nft list ruleset | grep -q flowoffload_") != 0);
}

const struct live_case live_others[] = {
	{"a_table_that_is_taken_away_is_made_anew", table_lost},
	{NULL, NULL},
};
