/* SPDX-License-Identifier: BSD-2-Clause */
/* foreign.c - flowtables of others (a firewall's) on the devices of this table. See state.h.
 *
 * With two flowtables on a device nobody can tell which of them holds a connection, and neither's owner can make the other
 * let go. */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

/* The names of this library's tables begin so: setup.c. */
#define OURS "flowoffload_"

struct search {
	struct fo__nft *nft;
	int probing;
	int found;
	char what[96];
};

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	default:
		return "inet";
	}
}

static const char *shared_device(const struct fo__nft *nft, const struct nlattr *devices)
{
	const struct nlattr *device;

	mnl_attr_for_each_nested(device, devices)
	{
		char name[FO__NFT_NAME_SIZE];

		if (fo__rx_text(device, name, sizeof(name)))
			continue;
		for (uint32_t i = 0; i < nft->devices.n; i++)
			if (!strcmp(nft->devices.name[i], name))
				return nft->devices.name[i];
	}
	return NULL;
}

static int look(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct nlattr *attrs[NFTA_FLOWTABLE_MAX + 1], *hook[NFTA_FLOWTABLE_HOOK_MAX + 1];
	struct search *search = arg;
	char table[64], name[64];
	const char *device;
	int rc = fo__rx_attrs(nlh, sizeof(struct nfgenmsg), attrs, NFTA_FLOWTABLE_MAX);

	(void)seq;
	(void)error;
	if (rc || fo__rx_text(attrs[NFTA_FLOWTABLE_TABLE], table, sizeof(table)) ||
	    fo__rx_text(attrs[NFTA_FLOWTABLE_NAME], name, sizeof(name)))
		return rc ? rc : -EPROTO;
	if (search->probing && !strncmp(table, OURS, sizeof(OURS) - 1))
		return 0;
	if (search->found || !strcmp(table, search->nft->table) ||
	    fo__rx_nested(attrs[NFTA_FLOWTABLE_HOOK], hook, NFTA_FLOWTABLE_HOOK_MAX) ||
	    !hook[NFTA_FLOWTABLE_HOOK_DEVS])
		return 0;
	device = shared_device(search->nft, hook[NFTA_FLOWTABLE_HOOK_DEVS]);
	if (!device)
		return 0;
	search->found = 1;
	(void)snprintf(search->what, sizeof(search->what), "%.15s is in flowtable %s %.24s %.24s", device,
		       family_name(((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family),
		       table, name);
	return 0;
}

static int dump_flowtables(struct search *search)
{
	struct fo__nft *nft = search->nft;
	int rc = -EINTR;

	for (unsigned int i = 0; i < 8 && rc == -EINTR; i++) {
		struct nfgenmsg *header;
		struct fo__tx tx;

		search->found = 0;
		fo__tx_begin(&tx, nft->tx, FO__NFT_TX_ROOM, nft->ask.seq);
		header = fo__tx_message(&tx, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETFLOWTABLE, NLM_F_DUMP,
					sizeof(*header));
		if (header)
			header->nfgen_family = NFPROTO_UNSPEC;
		rc = fo__nl_dump_begin(&nft->ask, &tx);
		while (!rc && (rc = fo__nl_dump_step(&nft->ask, look, search)) == 1)
			rc = 0;
	}
	return rc;
}

/* A probe says what this machine can do. That a table of this library is open already, the caller's own perhaps, is no reason
 * against it; whoever creates a second one over its devices is told. */
int fo__nft_foreign(struct fo__nft *nft, int allowed, int probing, struct fo_error *err)
{
	struct search search = {.nft = nft, .probing = probing};
	int rc = dump_flowtables(&search);

	if (rc)
		return fo__nl_refused(err, rc, FO_STAGE_RESOLVE, NULL, "flowtables of others cannot be read");
	nft->foreign = (uint8_t)search.found;
	if (!search.found || allowed)
		return 0;
	return fo__nl_refuse(err, -EBUSY, FO_R_IN_USE, FO_STAGE_RESOLVE, EBUSY, "ports",
			     "%s: take it out of there, or share it with FO_TABLE_ALLOW_FOREIGN",
			     search.what);
}
