/* SPDX-License-Identifier: BSD-2-Clause */
/* rules.c - the table in nf_tables: made, refreshed, looked for. See state.h.
 *
 * What it holds, as nft(8) lists it:
 *
 *   table inet flowoffload_N { # owned by this process: it goes when the socket closes
 *     flowtable ft { hook ingress priority 0; devices = { ... }; counter; }         # in hardware mode: flags offload
 *     set tcp4 { type mark . ipv4_addr . ipv4_addr . inet_service . inet_service; }   # and udp4, tcp6, udp6
 *     set no_tcp4 { ... }                                                             # kept from policies
 *     chain established { type filter hook forward priority 10;
 *       ct state established meta nfproto ipv4 meta l4proto tcp
 *         ct zone . ct original saddr . daddr . proto-src . proto-dst @tcp4 flow add @ft   # one a set
 *       ...                                                                   # the policies' (policy.c)
 *     }
 *     set seen_tcp4, chain arrivals                                             # in hardware mode (proof.c)
 *   }
 *
 * The chain comes after the firewall's: what that drops is never offered. "established" keeps one-way UDP out, whose
 * conntrack entry some kernels expire the moment it leaves the flowtable.
 */
#include "backends/nft/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#define FLOWTABLE "ft"
#define CHAIN	  "established"
#define PRIORITY  10
#define ARRIVALS  "arrivals"
#define BEFORE	  (-1) /* the flowtable, which is at 0 */
#ifndef NF_INET_INGRESS
#define NF_INET_INGRESS 5
#endif

/* nft's numbers of data types, by which it prints set elements. */
#define TYPE_IPV4    7u
#define TYPE_IPV6    8u
#define TYPE_SERVICE 13u
#define TYPE_MARK    19u

const struct fo__nft_set fo__nft_sets[FO__NFT_SETS] = {
	{"tcp4", "no_tcp4", "seen_tcp4", FO_FAMILY_IPV4, IPPROTO_TCP, 4, TYPE_IPV4},
	{"udp4", "no_udp4", "seen_udp4", FO_FAMILY_IPV4, IPPROTO_UDP, 4, TYPE_IPV4},
	{"tcp6", "no_tcp6", "seen_tcp6", FO_FAMILY_IPV6, IPPROTO_TCP, 16, TYPE_IPV6},
	{"udp6", "no_udp6", "seen_udp6", FO_FAMILY_IPV6, IPPROTO_UDP, 16, TYPE_IPV6},
};

unsigned int fo__nft_set_of(const struct fo_tuple *tuple)
{
	return (tuple->family == FO_FAMILY_IPV6 ? 2u : 0u) + (tuple->proto == IPPROTO_UDP ? 1u : 0u);
}

/* ---- Batches ---- */

void fo__nft_batch_begin(struct fo__nft *nft, struct fo__tx *tx)
{
	struct nfgenmsg *header;

	fo__tx_begin(tx, nft->tx, FO__NFT_TX_ROOM, nft->rules.seq);
	header = fo__tx_message(tx, NFNL_MSG_BATCH_BEGIN, 0, sizeof(*header));
	if (header)
		header->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

struct nfgenmsg *fo__nft_message(struct fo__tx *tx, unsigned int message, uint16_t flags)
{
	struct nfgenmsg *header =
		fo__tx_message(tx, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message), flags, sizeof(*header));

	if (header)
		header->nfgen_family = NFPROTO_INET;
	return header;
}

/* A batch without its end is checked and taken back: how nft --check does it. */
int fo__nft_batch_send(struct fo__nft *nft, struct fo__tx *tx, int commit, struct fo__nl_answer *answer)
{
	struct nfgenmsg *header;
	int rc;

	if (commit) {
		header = fo__tx_message(tx, NFNL_MSG_BATCH_END, 0, sizeof(*header));
		if (header)
			header->res_id = htons(NFNL_SUBSYS_NFTABLES);
	}
	rc = fo__nl_talk(&nft->rules, tx, NULL, NULL, answer);
	/* Each batch asks for one acknowledgement: silence is no success. */
	if (!rc && commit && !answer->acks)
		return -EIO;
	return rc;
}

/* ---- Objects ---- */

static void put_table(struct fo__nft *nft, struct fo__tx *tx)
{
	fo__nft_message(tx, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	fo__tx_put_text(tx, NFTA_TABLE_NAME, nft->table);
	fo__tx_put_be32(tx, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
}

static void put_devices(struct fo__nft *nft, struct fo__tx *tx, uint16_t type)
{
	struct nlattr *devices = fo__tx_open(tx, type);

	for (uint32_t i = 0; i < nft->devices.n; i++)
		fo__tx_put_text(tx, NFTA_DEVICE_NAME, nft->devices.name[i]);
	fo__tx_close(tx, devices);
}

static void put_flowtable(struct fo__nft *nft, struct fo__tx *tx)
{
	struct nlattr *hook;

	fo__nft_message(tx, NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE);
	fo__tx_put_text(tx, NFTA_FLOWTABLE_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_FLOWTABLE_NAME, FLOWTABLE);
	hook = fo__tx_open(tx, NFTA_FLOWTABLE_HOOK);
	fo__tx_put_be32(tx, NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS);
	fo__tx_put_be32(tx, NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
	put_devices(nft, tx, NFTA_FLOWTABLE_HOOK_DEVS);
	fo__tx_close(tx, hook);
	fo__tx_put_be32(tx, NFTA_FLOWTABLE_FLAGS,
			NFT_FLOWTABLE_COUNTER | (nft->hardware ? NFT_FLOWTABLE_HW_OFFLOAD : 0u));
}

static void put_set(struct fo__nft *nft, struct fo__tx *tx, const struct fo__nft_set *set, const char *name,
		    uint32_t number)
{
	uint32_t type = TYPE_MARK << 24 | (uint32_t)set->type << 18 | (uint32_t)set->type << 12 |
			TYPE_SERVICE << 6 | TYPE_SERVICE;

	fo__nft_message(tx, NFT_MSG_NEWSET, NLM_F_CREATE);
	fo__tx_put_text(tx, NFTA_SET_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_SET_NAME, name);
	fo__tx_put_be32(tx, NFTA_SET_ID, number + 1);
	fo__tx_put_be32(tx, NFTA_SET_FLAGS, 0);
	fo__tx_put_be32(tx, NFTA_SET_KEY_TYPE, type);
	fo__tx_put_be32(tx, NFTA_SET_KEY_LEN, 12u + 2u * set->address);
}

static void put_sets(struct fo__nft *nft, struct fo__tx *tx)
{
	for (unsigned int i = 0; i < FO__NFT_SETS; i++) {
		put_set(nft, tx, &fo__nft_sets[i], fo__nft_sets[i].name, i);
		put_set(nft, tx, &fo__nft_sets[i], fo__nft_sets[i].forbidden, FO__NFT_SETS + i);
	}
}

static void put_chain(struct fo__nft *nft, struct fo__tx *tx)
{
	struct nlattr *hook;

	fo__nft_message(tx, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	fo__tx_put_text(tx, NFTA_CHAIN_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_CHAIN_NAME, CHAIN);
	hook = fo__tx_open(tx, NFTA_CHAIN_HOOK);
	fo__tx_put_be32(tx, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
	fo__tx_put_be32(tx, NFTA_HOOK_PRIORITY, PRIORITY);
	fo__tx_close(tx, hook);
	fo__tx_put_be32(tx, NFTA_CHAIN_POLICY, NF_ACCEPT);
	fo__tx_put_text(tx, NFTA_CHAIN_TYPE, "filter");
}

struct nlattr *fo__nft_rule_begin(struct fo__nft *nft, struct fo__tx *tx, uint16_t flags)
{
	struct nlattr *rule;

	fo__nft_message(tx, NFT_MSG_NEWRULE, (uint16_t)(NLM_F_CREATE | NLM_F_APPEND | flags));
	fo__tx_put_text(tx, NFTA_RULE_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_RULE_CHAIN, CHAIN);
	rule = fo__tx_open(tx, NFTA_RULE_EXPRESSIONS);
	fo__nft_established(tx);
	if (nft->hardware && !nft->may_kill)
		fo__nft_match_no_nat(tx);
	return rule;
}

void fo__nft_rule_end(struct fo__tx *tx, struct nlattr *rule)
{
	fo__nft_flow_add(tx, FLOWTABLE);
	fo__tx_close(tx, rule);
}

/* One message of a batch asks to be acknowledged; refusals are told of every one. */
static void put_rules(struct fo__nft *nft, struct fo__tx *tx)
{
	for (unsigned int i = 0; i < FO__NFT_SETS; i++) {
		const struct fo__nft_set *set = &fo__nft_sets[i];
		struct nlattr *rule = fo__nft_rule_begin(nft, tx, i ? 0 : NLM_F_ACK);

		fo__nft_match_protocol(tx, set);
		fo__nft_match_set(tx, set, set->name, i, 1);
		fo__nft_rule_end(tx, rule);
	}
	fo__nft_put_policies(nft, tx);
}

/* ---- Who arrives (proof.c) ---- */

/* Each element counts for itself. */
static void put_seen(struct fo__nft *nft, struct fo__tx *tx, const struct fo__nft_set *set, uint32_t number)
{
	uint32_t type =
		(uint32_t)set->type << 18 | (uint32_t)set->type << 12 | TYPE_SERVICE << 6 | TYPE_SERVICE;
	struct nlattr *counter;

	fo__nft_message(tx, NFT_MSG_NEWSET, NLM_F_CREATE);
	fo__tx_put_text(tx, NFTA_SET_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_SET_NAME, set->seen);
	fo__tx_put_be32(tx, NFTA_SET_ID, number + 1);
	fo__tx_put_be32(tx, NFTA_SET_FLAGS, 0);
	fo__tx_put_be32(tx, NFTA_SET_KEY_TYPE, type);
	fo__tx_put_be32(tx, NFTA_SET_KEY_LEN, 8u + 2u * set->address);
	counter = fo__tx_open(tx, NFTA_SET_EXPR);
	fo__tx_put_text(tx, NFTA_EXPR_NAME, "counter");
	fo__tx_close(tx, counter);
}

static void put_arrivals(struct fo__nft *nft, struct fo__tx *tx)
{
	struct nlattr *hook, *rule;

	fo__nft_message(tx, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	fo__tx_put_text(tx, NFTA_CHAIN_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_CHAIN_NAME, ARRIVALS);
	hook = fo__tx_open(tx, NFTA_CHAIN_HOOK);
	fo__tx_put_be32(tx, NFTA_HOOK_HOOKNUM, NF_INET_INGRESS);
	fo__tx_put_be32(tx, NFTA_HOOK_PRIORITY, (uint32_t)BEFORE);
	put_devices(nft, tx, NFTA_HOOK_DEVS);
	fo__tx_close(tx, hook);
	fo__tx_put_be32(tx, NFTA_CHAIN_POLICY, NF_ACCEPT);
	fo__tx_put_text(tx, NFTA_CHAIN_TYPE, "filter");
	for (uint32_t i = 0; i < FO__NFT_SETS; i++) {
		fo__nft_message(tx, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
		fo__tx_put_text(tx, NFTA_RULE_TABLE, nft->table);
		fo__tx_put_text(tx, NFTA_RULE_CHAIN, ARRIVALS);
		rule = fo__tx_open(tx, NFTA_RULE_EXPRESSIONS);
		fo__nft_match_protocol(tx, &fo__nft_sets[i]);
		fo__nft_match_packet(tx, &fo__nft_sets[i], 2 * FO__NFT_SETS + i);
		fo__tx_close(tx, rule);
	}
}

/* ---- Transactions ---- */

/* Which device it is whose driver takes no flows: each is tried alone. */
static int no_hardware(struct fo__nft *nft, struct fo_error *err)
{
	struct fo__nft_devices all = nft->devices;
	struct fo__nl_answer answer;
	struct fo__tx tx;
	uint32_t i;

	for (i = 0; i < all.n; i++) {
		nft->devices.n = 1;
		nft->devices.index[0] = all.index[i];
		memcpy(nft->devices.name[0], all.name[i], FO__NFT_NAME_SIZE);
		fo__nft_batch_begin(nft, &tx);
		put_table(nft, &tx);
		put_flowtable(nft, &tx);
		if (fo__nft_batch_send(nft, &tx, 0, &answer))
			break;
	}
	nft->devices = all;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_INSTALL, EOPNOTSUPP, "ports",
			     "the driver of %s takes no flows (flags offload)",
			     i < all.n ? all.name[i] : "one of the ports");
}

int fo__nft_create_rules(struct fo__nft *nft, int probing, struct fo_error *err)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;
	int rc;

	fo__nft_batch_begin(nft, &tx);
	put_table(nft, &tx);
	put_flowtable(nft, &tx);
	put_sets(nft, &tx);
	put_chain(nft, &tx);
	put_rules(nft, &tx);
	for (uint32_t i = 0; nft->hardware && i < FO__NFT_SETS; i++)
		put_seen(nft, &tx, &fo__nft_sets[i], 2 * FO__NFT_SETS + i);
	if (nft->hardware)
		put_arrivals(nft, &tx);
	rc = fo__nft_batch_send(nft, &tx, !probing, &answer);
	if (!rc)
		return 0;
	if (nft->hardware && answer.error == EOPNOTSUPP)
		return no_hardware(nft, err);
	/* A device serves one such flowtable. Which are there was looked at: none but of this library, or the caller shares. */
	if (nft->hardware && answer.error == EBUSY)
		return probing && !nft->foreign
			       ? 0
			       : fo__nl_refuse(
					 err, -EBUSY, FO_R_IN_USE, FO_STAGE_INSTALL, EBUSY, "ports",
					 "the driver of one of the ports serves another flowtable already "
					 "(flags offload): destroy that table, or leave the port out");
	if (answer.error == ENOENT || answer.error == EOPNOTSUPP)
		return fo__nl_refuse(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_INSTALL, answer.error, NULL,
			"this kernel lacks part of nf_flowtable (%s): it takes the modules nf_tables, "
			"nft_ct, nft_flow_offload and nf_flow_table_inet",
			strerror(answer.error));
	return fo__nl_refused(err, rc == -EPERM ? -EPERM : rc, FO_STAGE_INSTALL, &answer,
			      "nf_tables refused the ruleset");
}

int fo__nft_add_policy_rules(struct fo__nft *nft, const struct fo__nft_policy *policy, struct fo_error *err)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;
	int rc;

	fo__nft_batch_begin(nft, &tx);
	fo__nft_put_policy(nft, &tx, policy);
	rc = fo__nft_batch_send(nft, &tx, 1, &answer);
	return rc ? fo__nl_refused(err, -EIO, FO_STAGE_INSTALL, &answer,
				   "nf_tables refused the policy's rules")
		  : 0;
}

static void flush_chain(struct fo__nft *nft, struct fo__tx *tx, uint16_t flags)
{
	fo__nft_message(tx, NFT_MSG_DELRULE, flags);
	fo__tx_put_text(tx, NFTA_RULE_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_RULE_CHAIN, CHAIN);
}

static int refresh(struct fo__nft *nft, struct fo__nl_answer *answer)
{
	struct fo__tx tx;

	fo__nft_batch_begin(nft, &tx);
	flush_chain(nft, &tx, 0);
	fo__nft_message(&tx, NFT_MSG_DELFLOWTABLE, 0);
	fo__tx_put_text(&tx, NFTA_FLOWTABLE_TABLE, nft->table);
	fo__tx_put_text(&tx, NFTA_FLOWTABLE_NAME, FLOWTABLE);
	put_flowtable(nft, &tx);
	put_rules(nft, &tx);
	return fo__nft_batch_send(nft, &tx, 1, answer);
}

/* A flowtable that exists gets the devices that it has not; nothing takes one out but the device's own end. Older kernels do
 * not add devices to a chain, and delete it with its last one. */
static int reload(struct fo__nft *nft, struct fo__nl_answer *answer)
{
	int rc = -ENOENT;

	for (unsigned int there = 1; rc == -ENOENT && there < 2; there--) {
		struct fo__tx tx;

		fo__nft_batch_begin(nft, &tx);
		flush_chain(nft, &tx, 0);
		put_flowtable(nft, &tx);
		put_rules(nft, &tx);
		if (there) {
			fo__nft_message(&tx, NFT_MSG_DELCHAIN, 0);
			fo__tx_put_text(&tx, NFTA_CHAIN_TABLE, nft->table);
			fo__tx_put_text(&tx, NFTA_CHAIN_NAME, ARRIVALS);
		}
		put_arrivals(nft, &tx);
		rc = fo__nft_batch_send(nft, &tx, 1, answer);
	}
	return rc;
}

int fo__nft_drop_rules(struct fo__nft *nft)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;

	fo__nft_batch_begin(nft, &tx);
	flush_chain(nft, &tx, NLM_F_ACK);
	return fo__nft_batch_send(nft, &tx, 1, &answer);
}

int fo__nft_refresh(struct fo__nft *nft, struct fo_error *err)
{
	struct fo__nl_answer answer = {.error = 0};
	int (*const renew)(struct fo__nft *, struct fo__nl_answer *) = nft->hardware ? reload : refresh;
	int rc = nft->stale ? -ENOENT : renew(nft, &answer);

	/* A device that went, came or has another name now. */
	if (rc == -ENOENT) {
		rc = fo__nft_links_read(nft, err);
		if (!rc)
			rc = fo__nft_devices_choose(nft, 0, err);
		if (rc)
			return rc;
		rc = renew(nft, &answer);
	}
	if (rc)
		return fo__nl_refused(err, rc, FO_STAGE_INSTALL, &answer, "nf_tables refused the refresh");
	nft->stale = 0;
	return 0;
}

int fo__nft_table_alive(struct fo__nft *nft)
{
	struct fo__tx tx;

	fo__tx_begin(&tx, nft->tx, FO__NFT_TX_ROOM, nft->ask.seq);
	fo__nft_message(&tx, NFT_MSG_GETTABLE, 0);
	fo__tx_put_text(&tx, NFTA_TABLE_NAME, nft->table);
	return fo__nl_talk(&nft->ask, &tx, NULL, NULL, NULL);
}
