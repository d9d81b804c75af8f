/* SPDX-License-Identifier: BSD-2-Clause */
/* records.c - the flows of a table, by slot and by conntrack's original tuple. See state.h. */
#include "backends/nft/state.h"

#include <errno.h>

uint32_t fo__nft_tuple_hash(const struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone)
{
	uint64_t rest = (uint64_t)tuple->sport_be << 48 | (uint64_t)tuple->dport_be << 32 |
			(uint64_t)tuple->proto << 16 | zone;
	uint64_t hash;

	if (tuple->family == FO_FAMILY_IPV6) {
		uint8_t both[32];

		memcpy(both, tuple->src, 16);
		memcpy(both + 16, tuple->dst, 16);
		hash = fo__hash_v6(&nft->secret, both, rest);
	} else {
		hash = fo__hash_v4(&nft->secret,
				   (uint64_t)fo__load32(tuple->src) << 32 | fo__load32(tuple->dst), rest);
	}
	return (uint32_t)(hash >> 32);
}

static uint32_t bucket_of(const struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone)
{
	return fo__nft_tuple_hash(nft, tuple, zone) & (nft->n_buckets - 1);
}

void fo__nft_records_clear(struct fo__nft *nft)
{
	memset(nft->buckets, 0xff, (size_t)nft->n_buckets * sizeof(*nft->buckets));
	nft->high = nft->n_used = 0;
	nft->queue_head = nft->queue_tail = nft->wait_head = nft->wait_tail = FO__NFT_NO_SLOT;
	nft->left_head = nft->left_tail = FO__NFT_NO_SLOT;
}

int fo__nft_records_open(struct fo__nft *nft, uint32_t slots)
{
	int rc = fo__secret_draw(&nft->secret, FO__HASH_FAST);

	if (rc)
		return rc;
	nft->n_slots = slots;
	nft->n_buckets = 16;
	while (nft->n_buckets < slots && nft->n_buckets < (UINT32_C(1) << 30))
		nft->n_buckets *= 2;
	nft->records = fo__nft_alloc(nft, (size_t)slots * sizeof(*nft->records));
	nft->buckets = fo__nft_alloc(nft, (size_t)nft->n_buckets * sizeof(*nft->buckets));
	if (!nft->records || !nft->buckets)
		return -ENOMEM;
	fo__nft_records_clear(nft);
	return 0;
}

void fo__nft_records_close(struct fo__nft *nft)
{
	fo__nft_free(nft, nft->records, (size_t)nft->n_slots * sizeof(*nft->records));
	fo__nft_free(nft, nft->buckets, (size_t)nft->n_buckets * sizeof(*nft->buckets));
	nft->records = NULL;
	nft->buckets = NULL;
}

struct fo__nft_record *fo__nft_record_find(struct fo__nft *nft, uint64_t cookie, uint32_t slot)
{
	if (slot >= nft->high || !cookie || nft->records[slot].cookie != cookie)
		return NULL;
	return &nft->records[slot];
}

uint32_t fo__nft_record_by_tuple(const struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone)
{
	uint32_t slot = nft->buckets[bucket_of(nft, tuple, zone)];

	while (slot != FO__NFT_NO_SLOT &&
	       (nft->records[slot].zone != zone || !fo__ct_same_tuple(&nft->records[slot].tuple, tuple)))
		slot = nft->records[slot].chain;
	return slot;
}

/* Memory is touched as slots come into use: a table that never fills never pays for its capacity. */
struct fo__nft_record *fo__nft_record_take(struct fo__nft *nft, uint32_t slot)
{
	if (slot >= nft->high) {
		memset(&nft->records[nft->high], 0, (slot + 1 - nft->high) * sizeof(*nft->records));
		nft->high = slot + 1;
	}
	return &nft->records[slot];
}

void fo__nft_record_link(struct fo__nft *nft, uint32_t slot)
{
	struct fo__nft_record *record = &nft->records[slot];
	uint32_t *bucket = &nft->buckets[bucket_of(nft, &record->tuple, record->zone)];

	record->chain = *bucket;
	*bucket = slot;
	nft->n_used++;
}

void fo__nft_record_drop(struct fo__nft *nft, uint32_t slot)
{
	struct fo__nft_record *record = &nft->records[slot];
	uint32_t *at = &nft->buckets[bucket_of(nft, &record->tuple, record->zone)];

	while (*at != slot)
		at = &nft->records[*at].chain;
	*at = record->chain;
	nft->n_used--;
	memset(record, 0, sizeof(*record));
}
