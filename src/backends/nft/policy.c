/* SPDX-License-Identifier: BSD-2-Clause */
/* policy.c - rules that take whatever is established and matches, and the flows that come of them. See state.h.
 *
 * A policy is up to four rules (by family and protocol) in the chain that has the sets' rules:
 *
 *   ct state established ct direction original meta nfproto ipv4 meta l4proto tcp iif "lan" oif "wan" ct zone 0
 *     ip saddr 192.168.1.0/24 tcp dport 443 (key of tcp4) != @no_tcp4 flow add @ft
 *
 * Who was taken is found out from the dump: an entry on the short cut that is no flow's, that matches, and whose
 * addresses are routed by the policy's devices, for conntrack knows no devices.
 */
#include "backends/nft/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>

/* ---- Rules ---- */

static void put_one(struct fo__nft *nft, struct fo__tx *tx, const struct fo__nft_policy *policy, uint32_t i)
{
	const struct fo__nft_set *set = &fo__nft_sets[i];
	const struct fo_policy *spec = &policy->spec;
	struct nlattr *rule = fo__nft_rule_begin(nft, tx, NLM_F_ACK);

	fo__nft_match_original(tx);
	fo__nft_match_protocol(tx, set);
	fo__nft_match_devices(tx, policy->device);
	fo__nft_match_zone(tx, spec->scope);
	fo__nft_match_prefix(tx, set, 0, spec->src, spec->src_len);
	fo__nft_match_prefix(tx, set, 1, spec->dst, spec->dst_len);
	fo__nft_match_ports(tx, 0, spec->sport_first, spec->sport_last);
	fo__nft_match_ports(tx, 1, spec->dport_first, spec->dport_last);
	fo__nft_match_set(tx, set, set->forbidden, FO__NFT_SETS + i, 0);
	fo__nft_rule_end(tx, rule);
}

void fo__nft_put_policy(struct fo__nft *nft, struct fo__tx *tx, const struct fo__nft_policy *policy)
{
	for (uint32_t i = 0; i < FO__NFT_SETS; i++)
		if ((!policy->spec.family || policy->spec.family == fo__nft_sets[i].family) &&
		    (!policy->spec.proto || policy->spec.proto == fo__nft_sets[i].proto))
			put_one(nft, tx, policy, i);
}

void fo__nft_put_policies(struct fo__nft *nft, struct fo__tx *tx)
{
	for (uint32_t i = 0; i < FO__NFT_POLICIES; i++)
		if (nft->policies[i].id)
			fo__nft_put_policy(nft, tx, &nft->policies[i]);
}

static uint32_t l3_device(const struct fo_adj *adj)
{
	return adj->l3_dev ? adj->l3_dev : adj->port;
}

static struct fo__nft_policy *free_place(struct fo__nft *nft)
{
	for (uint32_t i = 0; i < FO__NFT_POLICIES; i++)
		if (!nft->policies[i].id && !nft->policies[i].past)
			return &nft->policies[i];
	return NULL;
}

int fo__nft_policy_add(struct fo__nft *nft, const struct fo_backend_policy *policy, struct fo_error *err)
{
	struct fo__nft_policy *place = free_place(nft);
	int rc;

	if (!place)
		return fo__nl_refuse(
			err, -ENOSPC, FO_R_FULL, FO_STAGE_INSTALL, 0, NULL,
			"%u policies are the most, with deleted ones whose flows are leaving the "
			"hardware: poll for some seconds and retry, or delete one",
			FO__NFT_POLICIES);
	place->spec = *policy->policy;
	place->hidden = 0;
	for (unsigned int dir = 0; dir < 2; dir++) {
		place->device[dir] = l3_device(policy->adj[dir]);
		if (fo__nft_is_hidden(policy->adj[dir]))
			place->hidden = FO__NFT_HIDDEN;
	}
	rc = fo__nft_add_policy_rules(nft, place, err);
	if (rc)
		return rc;
	place->id = policy->id;
	nft->n_policies++;
	return 0;
}

/* The rules go with the refresh that takes the flows out. In hardware no refresh does: the flows that are known end one by
 * one, and so do those that nobody has adopted, as the dump shows them. */
int fo__nft_policy_del(struct fo__nft *nft, fo_policy_id id)
{
	uint32_t i = 0;

	while (i < FO__NFT_POLICIES && nft->policies[i].id != id)
		i++;
	if (i == FO__NFT_POLICIES)
		return 0;
	if (nft->hardware) {
		nft->policies[i].id = 0;
		nft->policies[i].past = 1;
		nft->n_past++;
		nft->past_gone = 0;
	} else {
		memset(&nft->policies[i], 0, sizeof(nft->policies[i]));
	}
	nft->n_policies--;
	nft->stale = 1;
	for (uint32_t slot = 0; slot < nft->high; slot++)
		if (nft->records[slot].cookie && nft->records[slot].policy == i + 1)
			fo__nft_flow_end(nft, slot, FO__NFT_SAY_ENDED, FO_R_INVALIDATED);
	return 0;
}

/* ---- Who was taken ---- */

static int in_prefix(const uint8_t *address, const uint8_t *prefix, uint8_t length)
{
	uint8_t left = length % 8;

	if (memcmp(address, prefix, length / 8))
		return 0;
	return !left || !((address[length / 8] ^ prefix[length / 8]) >> (8 - left));
}

static int in_range(uint16_t port_be, uint16_t first, uint16_t last)
{
	uint16_t port = ntohs(port_be);

	return (!first && !last) || (port >= first && port <= last);
}

/* As the rule says it: destinations are those after DNAT, which is where replies come from. */
static int matches(const struct fo_policy *spec, const struct fo__ct_entry *entry)
{
	const struct fo_tuple *from = &entry->tuple[0], *to = &entry->tuple[1];

	return spec->scope == entry->zone && (!spec->family || spec->family == from->family) &&
	       (!spec->proto || spec->proto == from->proto) &&
	       in_prefix(from->src, spec->src, spec->src_len) &&
	       in_prefix(to->src, spec->dst, spec->dst_len) &&
	       in_range(from->sport_be, spec->sport_first, spec->sport_last) &&
	       in_range(to->sport_be, spec->dport_first, spec->dport_last);
}

static int take_route(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct nlattr *attrs[RTA_MAX + 1];

	(void)seq;
	(void)error;
	if (nlh && nlh->nlmsg_type == RTM_NEWROUTE &&
	    !fo__rx_attrs(nlh, sizeof(struct rtmsg), attrs, RTA_MAX))
		(void)fo__rx_u32(attrs[RTA_OIF], arg);
	return 0;
}

uint32_t fo__nft_routed_by(struct fo__nft *nft, uint8_t family, const uint8_t *address)
{
	uint32_t device = 0;
	struct rtmsg *header;
	struct fo__tx tx;

	fo__tx_begin(&tx, nft->tx, FO__NFT_TX_ROOM, nft->route.seq);
	header = fo__tx_message(&tx, RTM_GETROUTE, 0, sizeof(*header));
	if (header) {
		header->rtm_family = family == FO_FAMILY_IPV6 ? AF_INET6 : AF_INET;
		header->rtm_dst_len = family == FO_FAMILY_IPV6 ? 128 : 32;
	}
	fo__tx_put(&tx, RTA_DST, family == FO_FAMILY_IPV6 ? 16 : 4, address);
	return fo__nl_talk(&nft->route, &tx, take_route, &device, NULL) ? 0 : device;
}

static int is_forbidden(const struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	for (uint32_t i = 0; i < nft->n_forbidden; i++)
		if (nft->forbidden[i].zone == entry->zone &&
		    fo__ct_same_tuple(&nft->forbidden[i].tuple, &entry->tuple[0]))
			return 1;
	return 0;
}

static void adopt_by(struct fo__nft *nft, uint32_t policy, const struct fo__ct_entry *entry)
{
	struct fo__nft_record *record;
	uint64_t cookie;
	uint32_t slot;

	if (nft->ops->adopt(nft->host, nft->policies[policy].id, entry->tuple, &cookie, &slot))
		return;
	record = fo__nft_record_take(nft, slot);
	memset(record, 0, sizeof(*record));
	record->cookie = cookie;
	record->tuple = entry->tuple[0];
	record->zone = entry->zone;
	record->reply = fo__nft_tuple_hash(nft, &entry->tuple[1], entry->zone);
	record->state = FO_STATE_ARMED;
	record->ct_id = entry->id;
	record->queue = FO__NFT_NO_SLOT;
	record->policy = (uint8_t)(policy + 1);
	record->seen = nft->pass;
	record->flags = nft->policies[policy].hidden;
	fo__nft_record_link(nft, slot);
	fo__nft_take_entry(nft, slot, entry);
}

/* The policy that took an entry: one of now or of the past; FO__NFT_POLICIES: none. Asks for routes as it needs them. */
static uint32_t taken_by(struct fo__nft *nft, const struct fo__ct_entry *entry, int past, uint32_t device[2])
{
	for (uint32_t i = 0; i < FO__NFT_POLICIES; i++) {
		const struct fo__nft_policy *policy = &nft->policies[i];

		if (!(past ? policy->past : policy->id != 0) || !matches(&policy->spec, entry))
			continue;
		for (unsigned int dir = 0; dir < 2; dir++)
			if (!device[dir])
				device[dir] = fo__nft_routed_by(nft, entry->tuple[dir].family,
								entry->tuple[dir].src);
		if (!memcmp(device, policy->device, sizeof(policy->device)))
			return i;
	}
	return FO__NFT_POLICIES;
}

void fo__nft_adopt(struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	uint32_t device[2] = {0, 0}, policy = FO__NFT_POLICIES;

	if (nft->n_policies && !is_forbidden(nft, entry))
		policy = taken_by(nft, entry, 0, device);
	if (policy != FO__NFT_POLICIES) {
		adopt_by(nft, policy, entry);
	} else if (nft->n_past && !nft->foreign && taken_by(nft, entry, 1, device) != FO__NFT_POLICIES) {
		nft->past_gone = 0;
		fo__nft_take_out(nft, entry);
	}
}

void fo__nft_past_begin(struct fo__nft *nft)
{
	nft->past_gone = !nft->stale;
}

void fo__nft_past_end(struct fo__nft *nft)
{
	if (!nft->past_gone)
		return;
	for (uint32_t i = 0; i < FO__NFT_POLICIES; i++)
		nft->policies[i].past = 0;
	nft->n_past = 0;
}

int fo__nft_policy_may_have(const struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	for (uint32_t i = 0; i < FO__NFT_POLICIES; i++)
		if ((nft->policies[i].id || nft->policies[i].past) && matches(&nft->policies[i].spec, entry))
			return 1;
	return 0;
}

/* ---- Those that the caller deleted ---- */

int fo__nft_forbid(struct fo__nft *nft, uint32_t slot, struct fo_error *err)
{
	const struct fo__nft_record *record = &nft->records[slot];
	struct fo__nft_forbidden *place;
	struct fo__nl_answer answer;
	int rc;

	if (!record->policy)
		return 0;
	if (!nft->forbidden)
		nft->forbidden = fo__nft_alloc(nft, FO__NFT_FORBIDDEN * sizeof(*nft->forbidden));
	if (!nft->forbidden)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_INSTALL, ENOMEM, NULL,
				     "no memory to keep it from its policy");
	if (nft->n_forbidden == FO__NFT_FORBIDDEN)
		return fo__nl_refuse(
			err, -ENOSPC, FO_R_FULL, FO_STAGE_INSTALL, 0, NULL,
			"%u living connections are kept from policies already: narrow the policy",
			FO__NFT_FORBIDDEN);
	place = &nft->forbidden[nft->n_forbidden];
	place->tuple = record->tuple;
	place->zone = record->zone;
	place->ct_id = record->ct_id;
	rc = fo__nft_forbidden_add(nft, place, &answer);
	if (rc)
		return fo__nl_refused(err, -EIO, FO_STAGE_INSTALL, &answer, "nf_tables refused the element");
	nft->n_forbidden++;
	return 0;
}

/* A failure leaves an element that nothing will ever match again, until the table goes. */
static void permit(struct fo__nft *nft, uint32_t i)
{
	struct fo__nl_answer answer;

	(void)fo__nft_forbidden_del(nft, &nft->forbidden[i], &answer);
	nft->forbidden[i] = nft->forbidden[--nft->n_forbidden];
}

void fo__nft_permit(struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	for (uint32_t i = 0; i < nft->n_forbidden; i++)
		if (nft->forbidden[i].zone == entry->zone &&
		    fo__ct_same_tuple(&nft->forbidden[i].tuple, &entry->tuple[0])) {
			permit(nft, i);
			return;
		}
}

void fo__nft_permit_ended(struct fo__nft *nft, uint32_t most)
{
	if (nft->permit_at > nft->n_forbidden)
		nft->permit_at = nft->n_forbidden;
	while (nft->permit_at && most--) {
		uint32_t i = --nft->permit_at;
		struct fo__ct_entry entry;
		int rc = fo__nft_ask(nft, &nft->forbidden[i].tuple, nft->forbidden[i].zone, &entry);

		/* The last takes its place: it was asked for already. */
		if (rc == -ENOENT || (!rc && entry.id != nft->forbidden[i].ct_id))
			permit(nft, i);
	}
}

void fo__nft_policies_free(struct fo__nft *nft)
{
	fo__nft_free(nft, nft->forbidden, FO__NFT_FORBIDDEN * sizeof(*nft->forbidden));
	nft->forbidden = NULL;
}
