/* SPDX-License-Identifier: BSD-2-Clause */
/* proof.c - are both directions of a flow in hardware? See state.h.
 *
 * The kernel says HW_OFFLOAD when the driver took one direction at least, and keeps to itself which. But a packet that the
 * hardware forwards never arrives at the host. So the table has one chain more, in front of the flowtable at the devices'
 * ingress, and sets whose elements count:
 *
 *   set seen_tcp4 { type ipv4_addr . ipv4_addr . inet_service . inet_service; counter; }
 *   chain arrivals { type filter hook ingress devices = { ... } priority -1;
 *     meta nfproto ipv4 meta l4proto tcp ip saddr . ip daddr . th sport . th dport @seen_tcp4 }
 *
 * A direction that conntrack counts more packets of while none of them arrived is in hardware. One without packets, or whose
 * packets are seen, is not proven to be: the flow is PARTIAL until it is. What is in a PPPoE session or behind two
 * tags cannot be seen there, so that nothing is proven of it. The flows under trial are few at a time; who is proven leaves.
 *
 * What is compared is taken in such an order that a packet in between speaks against hardware: at first the arrivals are read
 * before conntrack, then after.
 */
#include "backends/nft/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define KEY_MOST 40u
/* Between two looks: several of the kernel's at the hardware are within the trial's length. */
#define LOOK_MS 500u
#define LOOKS	64u

enum { FREE, WANTED, ADDED, BASED };

/* src, dst and ports as the registers hold them. Returns the size. */
static size_t key_of(const struct fo_tuple *tuple, uint8_t key[KEY_MOST])
{
	size_t address = tuple->family == FO_FAMILY_IPV6 ? 16 : 4;

	memset(key, 0, KEY_MOST);
	memcpy(key, tuple->src, address);
	memcpy(key + address, tuple->dst, address);
	memcpy(key + 2 * address, &tuple->sport_be, 2);
	memcpy(key + 2 * address + 4, &tuple->dport_be, 2);
	return 2 * address + 8;
}

static struct fo__nft_record *record_of(struct fo__nft *nft, const struct fo__nft_proof *proof)
{
	struct fo__nft_record *record = fo__nft_record_find(nft, proof->cookie, proof->slot);

	return record && !(record->flags & FO__NFT_QUEUED) ? record : NULL;
}

int fo__nft_is_hidden(const struct fo_adj *adj)
{
	return adj->n_encaps > 1 || (adj->n_encaps && adj->encap[0].kind == FO_ENCAP_PPPOE);
}

void fo__nft_proof_want(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry)
{
	const struct fo__nft_record *record = &nft->records[slot];
	struct fo__nft_proof *place = NULL;

	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++) {
		if (nft->proofs[i].stage == FREE)
			place = place ? place : &nft->proofs[i];
		else if (nft->proofs[i].cookie == record->cookie)
			return;
	}
	if (!place)
		return;
	memset(place, 0, sizeof(*place));
	place->cookie = record->cookie;
	place->slot = slot;
	place->stage = WANTED;
	memcpy(place->tuple, entry->tuple, sizeof(place->tuple));
	nft->n_proofs++;
}

/* ---- Elements ---- */

static size_t put_message(struct fo__nft *nft, struct fo__tx *tx, unsigned int set, unsigned int message,
			  struct fo__nft_proof *const *proofs, size_t n)
{
	struct nlattr *list = NULL;
	size_t put = 0;

	for (size_t i = 0; i < 2 * n; i++) {
		const struct fo_tuple *tuple = &proofs[i / 2]->tuple[i % 2];
		struct nlattr *element, *data;
		uint8_t key[KEY_MOST];

		if (fo__nft_set_of(tuple) != set)
			continue;
		if (!put++) {
			fo__nft_message(tx, message,
					message == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_ACK : NLM_F_ACK);
			fo__tx_put_text(tx, NFTA_SET_ELEM_LIST_TABLE, nft->table);
			fo__tx_put_text(tx, NFTA_SET_ELEM_LIST_SET, fo__nft_sets[set].seen);
			list = fo__tx_open(tx, NFTA_SET_ELEM_LIST_ELEMENTS);
		}
		element = fo__tx_open(tx, NFTA_LIST_ELEM);
		data = fo__tx_open(tx, NFTA_SET_ELEM_KEY);
		fo__tx_put(tx, NFTA_DATA_VALUE, key_of(tuple, key), key);
		fo__tx_close(tx, data);
		fo__tx_close(tx, element);
	}
	fo__tx_close(tx, list);
	return put;
}

static int change(struct fo__nft *nft, unsigned int message, struct fo__nft_proof *const *proofs, size_t n)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;

	fo__nft_batch_begin(nft, &tx);
	for (unsigned int set = 0; set < FO__NFT_SETS; set++)
		(void)put_message(nft, &tx, set, message, proofs, n);
	return fo__nft_batch_send(nft, &tx, 1, &answer);
}

static void begin_trials(struct fo__nft *nft)
{
	struct fo__nft_proof *proofs[FO__NFT_PROOFS];
	size_t n = 0;

	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++)
		if (nft->proofs[i].stage == WANTED)
			proofs[n++] = &nft->proofs[i];
	if (!n || change(nft, NFT_MSG_NEWSETELEM, proofs, n))
		return;
	while (n--)
		proofs[n]->stage = ADDED;
}

/* An element that stays counts for nobody. */
static void end_trial(struct fo__nft *nft, struct fo__nft_proof *proof)
{
	if (proof->stage != WANTED)
		(void)change(nft, NFT_MSG_DELSETELEM, &proof, 1);
	proof->stage = FREE;
	nft->n_proofs--;
}

/* ---- What arrived ---- */

static int take_packets(const struct nlattr *expression, uint64_t *out)
{
	const struct nlattr *attrs[NFTA_EXPR_MAX + 1], *counter[NFTA_COUNTER_MAX + 1];
	char name[16];

	if (fo__rx_nested(expression, attrs, NFTA_EXPR_MAX) ||
	    fo__rx_text(attrs[NFTA_EXPR_NAME], name, sizeof(name)) || strcmp(name, "counter") ||
	    fo__rx_nested(attrs[NFTA_EXPR_DATA], counter, NFTA_COUNTER_MAX))
		return -EPROTO;
	return fo__rx_be64(counter[NFTA_COUNTER_PACKETS], out);
}

static void take_element(struct fo__nft *nft, const struct nlattr *element)
{
	const struct nlattr *attrs[NFTA_SET_ELEM_MAX + 1], *data[NFTA_DATA_MAX + 1];
	uint64_t packets;

	if (fo__rx_nested(element, attrs, NFTA_SET_ELEM_MAX) ||
	    fo__rx_nested(attrs[NFTA_SET_ELEM_KEY], data, NFTA_DATA_MAX) || !data[NFTA_DATA_VALUE] ||
	    take_packets(attrs[NFTA_SET_ELEM_EXPR], &packets))
		return;
	for (uint32_t i = 0; i < 2 * FO__NFT_PROOFS; i++) {
		struct fo__nft_proof *proof = &nft->proofs[i / 2];
		uint8_t key[KEY_MOST];
		size_t size = key_of(&proof->tuple[i % 2], key);

		if (proof->stage >= ADDED && mnl_attr_get_payload_len(data[NFTA_DATA_VALUE]) == size &&
		    !memcmp(mnl_attr_get_payload(data[NFTA_DATA_VALUE]), key, size)) {
			proof->arrived[i % 2] = packets;
			proof->read |= (uint8_t)(1u << i % 2);
		}
	}
}

static int take_elements(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct nlattr *attrs[NFTA_SET_ELEM_LIST_MAX + 1], *element;
	int rc = fo__rx_attrs(nlh, sizeof(struct nfgenmsg), attrs, NFTA_SET_ELEM_LIST_MAX);

	(void)seq;
	(void)error;
	if (rc || !attrs[NFTA_SET_ELEM_LIST_ELEMENTS])
		return rc;
	mnl_attr_for_each_nested(element, attrs[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		take_element(arg, element);
	}
	return 0;
}

static int read_arrivals(struct fo__nft *nft)
{
	int rc = 0;

	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++)
		nft->proofs[i].read = 0;
	for (unsigned int set = 0; !rc && set < FO__NFT_SETS; set++) {
		struct nfgenmsg *header;
		struct fo__tx tx;

		fo__tx_begin(&tx, nft->tx, FO__NFT_TX_ROOM, nft->ask.seq);
		header = fo__tx_message(&tx, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NLM_F_DUMP,
					sizeof(*header));
		if (header)
			header->nfgen_family = NFPROTO_INET;
		fo__tx_put_text(&tx, NFTA_SET_ELEM_LIST_TABLE, nft->table);
		fo__tx_put_text(&tx, NFTA_SET_ELEM_LIST_SET, fo__nft_sets[set].seen);
		rc = fo__nl_dump_begin(&nft->ask, &tx);
		while (!rc && (rc = fo__nl_dump_step(&nft->ask, take_elements, nft)) == 1)
			rc = 0;
	}
	return rc;
}

/* ---- What conntrack counted ---- */

struct counting {
	struct fo__nft *nft;
	struct fo__nft_proof *proofs[FO__NFT_PROOFS];
};

static void counted(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct counting *counting = arg;
	struct fo__nft_proof *proof = counting->proofs[i];
	const struct fo__nft_record *record = record_of(counting->nft, proof);

	(void)error;
	proof->known = entry && record && entry->id == record->ct_id && (entry->have & FO__CT_COUNTERS) &&
		       (entry->status & FO__NFT_SHORT_CUT) == FO__NFT_SHORT_CUT;
	if (proof->known)
		memcpy(proof->packets, entry->packets, sizeof(proof->packets));
}

static void read_conntrack(struct fo__nft *nft, unsigned int stage)
{
	struct counting counting = {.nft = nft};
	uint32_t slots[FO__NFT_PROOFS];
	size_t n = 0;

	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++) {
		nft->proofs[i].known = nft->proofs[i].stage == stage ? 0 : nft->proofs[i].known;
		if (nft->proofs[i].stage != stage || !record_of(nft, &nft->proofs[i]))
			continue;
		counting.proofs[n] = &nft->proofs[i];
		slots[n++] = nft->proofs[i].slot;
	}
	if (n)
		fo__nft_ask_slots(nft, slots, n, counted, &counting);
}

/* ---- The verdict ---- */

static void judge(struct fo__nft *nft, struct fo__nft_proof *proof)
{
	int seen = 0;

	if (!proof->known || proof->read != 3)
		return;
	for (unsigned int dir = 0; dir < 2; dir++) {
		if (proof->arrived[dir] != proof->base_arrived[dir])
			seen = 1;
		else if (proof->packets[dir] > proof->base_packets[dir])
			proof->proven |= (uint8_t)(1u << dir);
	}
	if (proof->proven == 3) {
		nft->records[proof->slot].flags |= FO__NFT_PROVEN;
		nft->next_dump_ms = fo__nft_now(nft); /* which says so */
		end_trial(nft, proof);
	} else if (seen) {
		proof->stage = ADDED;
	}
}

static void take_base(struct fo__nft_proof *proof)
{
	if (!proof->known || proof->read != 3)
		return;
	memcpy(proof->base_arrived, proof->arrived, sizeof(proof->base_arrived));
	memcpy(proof->base_packets, proof->packets, sizeof(proof->base_packets));
	proof->stage = BASED;
}

void fo__nft_prove(struct fo__nft *nft)
{
	uint64_t now = fo__nft_us() / 1000;

	if (!nft->n_proofs || now < nft->next_look_ms)
		return;
	nft->next_look_ms = now + LOOK_MS;
	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++) {
		struct fo__nft_proof *proof = &nft->proofs[i];

		/* Who is not proven after a long time makes room for the next. */
		if (proof->stage != FREE && (!record_of(nft, proof) || proof->looks++ >= LOOKS))
			end_trial(nft, proof);
	}
	read_conntrack(nft, BASED);
	if (read_arrivals(nft))
		return;
	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++)
		if (nft->proofs[i].stage == BASED)
			judge(nft, &nft->proofs[i]);
	read_conntrack(nft, ADDED);
	for (uint32_t i = 0; i < FO__NFT_PROOFS; i++)
		if (nft->proofs[i].stage == ADDED)
			take_base(&nft->proofs[i]);
	begin_trials(nft);
}
