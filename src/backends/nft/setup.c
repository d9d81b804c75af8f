/* SPDX-License-Identifier: BSD-2-Clause */
/* setup.c - one table's sockets, buffers and ruleset: opened in the order in which they need each other. See state.h. */
#include "backends/nft/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A transaction of some thousand elements in one request, and events of a busy second. */
#define SEND_BYTES    (1 << 20)
#define RECEIVE_BYTES (4 << 20)

/* While probing there is no table whose memory it could be. */
void *fo__nft_alloc(struct fo__nft *nft, size_t size)
{
	return nft->ops ? nft->ops->alloc(nft->host, size, 64) : malloc(size);
}

void fo__nft_free(struct fo__nft *nft, void *ptr, size_t size)
{
	if (!ptr)
		return;
	if (nft->ops)
		nft->ops->free(nft->host, ptr, size);
	else
		free(ptr);
}

static int no_memory(struct fo_error *err)
{
	return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
			     "no memory for the nft backend");
}

static int open_buffers(struct fo__nft *nft, const struct fo_table_options *options, struct fo_error *err)
{
	nft->tx = fo__nft_alloc(nft, FO__NFT_TX_ROOM);
	nft->rx = fo__nft_alloc(nft, FO__NL_RX_ROOM);
	nft->rx_dump = fo__nft_alloc(nft, FO__NL_RX_LEAST);
	nft->port_room = options ? (uint32_t)options->n_ports : 0;
	if (nft->port_room)
		nft->ports = fo__nft_alloc(nft, nft->port_room * sizeof(*nft->ports));
	if (nft->hardware)
		nft->proofs = fo__nft_alloc(nft, FO__NFT_PROOFS * sizeof(*nft->proofs));
	if (nft->proofs)
		memset(nft->proofs, 0, FO__NFT_PROOFS * sizeof(*nft->proofs));
	if (!nft->tx || !nft->rx || !nft->rx_dump || (nft->hardware && !nft->proofs) ||
	    (nft->port_room && !nft->ports))
		return no_memory(err);
	for (uint32_t i = 0; i < nft->port_room; i++) {
		const uint8_t *at = (const uint8_t *)options->ports;
		size_t stride = options->port_stride ? options->port_stride : sizeof(struct fo_port);
		struct fo_port port;

		memcpy(&port, at + i * stride, sizeof(port));
		if (port.state != FO_PORT_GONE)
			nft->ports[nft->n_ports++] = port.port;
	}
	return 0;
}

static int open_sockets(struct fo__nft *nft, struct fo_error *err)
{
	const struct {
		struct fo__nl *nl;
		int family;
		uint8_t *rx;
		size_t rx_room;
	} all[] = {
		{&nft->rules, NETLINK_NETFILTER, nft->rx, FO__NL_RX_ROOM},
		{&nft->ask, NETLINK_NETFILTER, nft->rx, FO__NL_RX_ROOM},
		{&nft->dump, NETLINK_NETFILTER, nft->rx_dump, FO__NL_RX_LEAST},
		{&nft->events, NETLINK_NETFILTER, nft->rx_dump, FO__NL_RX_LEAST},
		{&nft->route, NETLINK_ROUTE, nft->rx, FO__NL_RX_ROOM},
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(all) / sizeof(all[0]); i++) {
		rc = fo__nl_open(all[i].nl, all[i].family, -1, all[i].rx, all[i].rx_room, err);
		if (!rc)
			fo__nl_buffers(all[i].nl, SEND_BYTES, RECEIVE_BYTES);
	}
	if (rc)
		return rc;
	/* Unique in its network namespace as long as the socket is open. */
	(void)snprintf(nft->table, sizeof(nft->table), "flowoffload_%x", nft->rules.portid);
	return 0;
}

/* In the table's network namespace. Events are listened for before any rule makes conntrack work: entries that were made
 * while nobody listened never tell of their end. */
static int open_here(struct fo__nft *nft, const struct fo_table_options *options, int probing, char *changed,
		     size_t size, struct fo_error *err)
{
	uint32_t flags = options ? options->flags : 0;
	int rc = open_sockets(nft, err);

	if (!rc)
		rc = fo__nft_links_read(nft, err);
	if (!rc)
		rc = fo__nft_devices_choose(nft, 1, err);
	if (!rc)
		rc = fo__ct_ready(&nft->ask, nft->tx, err);
	if (!rc)
		rc = fo__ct_listen(&nft->events, FO__CT_LISTEN_DESTROY, err);
	if (!rc)
		rc = fo__nft_settings((flags & FO_TABLE_ALLOW_SYSCTL) != 0, probing, changed, size, err);
	nft->reset_s = fo__nft_reset_timeout();
	nft->report_ms = fo__nft_report_ms();
	if (!rc)
		rc = fo__nft_foreign(nft, (flags & FO_TABLE_ALLOW_FOREIGN) != 0, probing, err);
	return rc ? rc : fo__nft_create_rules(nft, probing, err);
}

/* The caller may close its descriptor. */
static int keep_netns(struct fo__nft *nft, int netns_fd, struct fo_error *err)
{
	nft->netns = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
	if (nft->netns >= 0)
		return 0;
	return fo__nl_refuse(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_RESOLVE, errno, "netns_fd",
			     "netns_fd is no descriptor that can be kept: %s", strerror(errno));
}

int fo__nft_open(struct fo__nft *nft, const struct fo_table_options *options, int probing, char *changed,
		 size_t changed_size, struct fo_error *err)
{
	int rc, back;

	nft->hardware = options && (options->needs & FO_CAP_HARDWARE);
	nft->may_kill = options && (options->flags & FO_TABLE_KILL_CONNTRACK);
	rc = open_buffers(nft, options, err);
	nft->rules.fd = nft->ask.fd = nft->dump.fd = nft->events.fd = nft->route.fd = nft->netns = -1;
	changed[0] = '\0';
	if (!rc && options && options->netns_fd > 0)
		rc = keep_netns(nft, options->netns_fd, err);
	if (!rc)
		rc = fo__netns_enter(nft->netns, &back, err);
	if (!rc) {
		rc = open_here(nft, options, probing, changed, changed_size, err);
		if (fo__netns_leave(back))
			rc = fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, EIO, "netns_fd",
					   "the thread could not return to its own network namespace");
	}
	if (rc)
		fo__nft_close(nft);
	return rc;
}

/* The ruleset goes with the socket that owns it. */
void fo__nft_close(struct fo__nft *nft)
{
	fo__nl_close(&nft->events);
	fo__nl_close(&nft->dump);
	fo__nl_close(&nft->ask);
	fo__nl_close(&nft->route);
	fo__nl_close(&nft->rules);
	if (nft->netns >= 0)
		close(nft->netns);
	nft->netns = -1;
	fo__nft_links_free(nft);
	fo__nft_free(nft, nft->ports, nft->port_room * sizeof(*nft->ports));
	fo__nft_free(nft, nft->proofs, FO__NFT_PROOFS * sizeof(*nft->proofs));
	nft->proofs = NULL;
	fo__nft_free(nft, nft->rx_dump, FO__NL_RX_LEAST);
	fo__nft_free(nft, nft->rx, FO__NL_RX_ROOM);
	fo__nft_free(nft, nft->tx, FO__NFT_TX_ROOM);
	nft->ports = NULL;
	nft->tx = nft->rx = nft->rx_dump = NULL;
}
