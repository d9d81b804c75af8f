/* SPDX-License-Identifier: BSD-2-Clause */
/* elements.c - set elements, one a flow: added and deleted in transactions. See state.h. */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#define KEY_MOST 44u

/* As load_key() in rules.c fills the registers: each field in whole words, the zone in host order. Returns the size. */
static size_t key_of(const struct fo_tuple *tuple, uint16_t zone, const struct fo__nft_set *set,
		     uint8_t key[KEY_MOST])
{
	uint8_t *at = key;

	memset(key, 0, KEY_MOST);
	memcpy(at, &zone, sizeof(zone));
	at += 4;
	memcpy(at, tuple->src, set->address);
	at += set->address;
	memcpy(at, tuple->dst, set->address);
	at += set->address;
	memcpy(at, &tuple->sport_be, 2);
	at += 4;
	memcpy(at, &tuple->dport_be, 2);
	return (size_t)(at + 4 - key);
}

static void put_element(struct fo__tx *tx, const struct fo_tuple *tuple, uint16_t zone,
			const struct fo__nft_set *set)
{
	struct nlattr *element = fo__tx_open(tx, NFTA_LIST_ELEM), *data = fo__tx_open(tx, NFTA_SET_ELEM_KEY);
	uint8_t key[KEY_MOST];
	size_t size = key_of(tuple, zone, set, key);

	fo__tx_put(tx, NFTA_DATA_VALUE, size, key);
	fo__tx_close(tx, data);
	fo__tx_close(tx, element);
}

static struct nlattr *begin(struct fo__nft *nft, struct fo__tx *tx, const char *set, unsigned int message,
			    uint16_t flags)
{
	fo__nft_message(tx, message, flags);
	fo__tx_put_text(tx, NFTA_SET_ELEM_LIST_TABLE, nft->table);
	fo__tx_put_text(tx, NFTA_SET_ELEM_LIST_SET, set);
	return fo__tx_open(tx, NFTA_SET_ELEM_LIST_ELEMENTS);
}

/* Those of one set in one message. Returns how many. */
static size_t put_message(struct fo__nft *nft, struct fo__tx *tx, unsigned int set, unsigned int message,
			  uint16_t flags, struct fo__nft_record *const *records, size_t n)
{
	struct nlattr *list = NULL;
	size_t put = 0;

	for (size_t i = 0; i < n; i++) {
		if (fo__nft_set_of(&records[i]->tuple) != set)
			continue;
		if (!put++)
			list = begin(nft, tx, fo__nft_sets[set].name, message, flags);
		put_element(tx, &records[i]->tuple, records[i]->zone, &fo__nft_sets[set]);
	}
	fo__tx_close(tx, list);
	return put;
}

/* Every message is acknowledged: which of them is the last depends on what the flows are. */
static int transact(struct fo__nft *nft, unsigned int message, uint16_t flags,
		    struct fo__nft_record *const *records, size_t n, struct fo__nl_answer *answer)
{
	struct fo__tx tx;

	fo__nft_batch_begin(nft, &tx);
	for (unsigned int set = 0; set < FO__NFT_SETS; set++)
		(void)put_message(nft, &tx, set, message, (uint16_t)(flags | NLM_F_ACK), records, n);
	return fo__nft_batch_send(nft, &tx, 1, answer);
}

int fo__nft_elements_add(struct fo__nft *nft, struct fo__nft_record *const *records, size_t n,
			 struct fo__nl_answer *answer)
{
	return transact(nft, NFT_MSG_NEWSETELEM, NLM_F_CREATE, records, n, answer);
}

int fo__nft_elements_del(struct fo__nft *nft, struct fo__nft_record *const *records, size_t n,
			 struct fo__nl_answer *answer)
{
	return transact(nft, NFT_MSG_DELSETELEM, 0, records, n, answer);
}

static int transact_forbidden(struct fo__nft *nft, unsigned int message, uint16_t flags,
			      const struct fo__nft_forbidden *which, struct fo__nl_answer *answer)
{
	const struct fo__nft_set *set = &fo__nft_sets[fo__nft_set_of(&which->tuple)];
	struct nlattr *list;
	struct fo__tx tx;

	fo__nft_batch_begin(nft, &tx);
	list = begin(nft, &tx, set->forbidden, message, (uint16_t)(flags | NLM_F_ACK));
	put_element(&tx, &which->tuple, which->zone, set);
	fo__tx_close(&tx, list);
	return fo__nft_batch_send(nft, &tx, 1, answer);
}

int fo__nft_forbidden_add(struct fo__nft *nft, const struct fo__nft_forbidden *which,
			  struct fo__nl_answer *answer)
{
	return transact_forbidden(nft, NFT_MSG_NEWSETELEM, NLM_F_CREATE, which, answer);
}

int fo__nft_forbidden_del(struct fo__nft *nft, const struct fo__nft_forbidden *which,
			  struct fo__nl_answer *answer)
{
	return transact_forbidden(nft, NFT_MSG_DELSETELEM, 0, which, answer);
}
