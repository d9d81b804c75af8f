/* SPDX-License-Identifier: BSD-2-Clause */
/* records.c - the flows of a table, by slot and by tuple. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>

#define ETHERNET_SIZE 14u
#define TAG_SIZE      4u

static uint32_t bucket_of(const struct fo__tc *tc, const struct fo_tuple *tuple)
{
	uint64_t rest = (uint64_t)tuple->sport_be << 48 | (uint64_t)tuple->dport_be << 32 |
			(uint64_t)tuple->proto << 16;
	uint64_t hash;

	if (tuple->family == FO_FAMILY_IPV6) {
		uint8_t both[32];

		memcpy(both, tuple->src, 16);
		memcpy(both + 16, tuple->dst, 16);
		hash = fo__hash_v6(&tc->secret, both, rest);
	} else {
		hash = fo__hash_v4(&tc->secret,
				   (uint64_t)fo__load32(tuple->src) << 32 | fo__load32(tuple->dst), rest);
	}
	return (uint32_t)(hash >> 32) & (tc->n_buckets - 1);
}

int fo__tc_records_open(struct fo__tc *tc, uint32_t slots)
{
	int rc = fo__secret_draw(&tc->secret, FO__HASH_FAST);

	if (rc)
		return rc;
	tc->n_slots = slots;
	tc->n_buckets = 16;
	while (tc->n_buckets < slots && tc->n_buckets < (UINT32_C(1) << 30))
		tc->n_buckets *= 2;
	tc->records = tc->ops->alloc(tc->host, (size_t)slots * sizeof(*tc->records), 64);
	tc->buckets = tc->ops->alloc(tc->host, (size_t)tc->n_buckets * sizeof(*tc->buckets), 64);
	if (!tc->records || !tc->buckets)
		return -ENOMEM;
	memset(tc->buckets, 0xff, (size_t)tc->n_buckets * sizeof(*tc->buckets));
	return 0;
}

void fo__tc_records_close(struct fo__tc *tc)
{
	if (tc->records)
		tc->ops->free(tc->host, tc->records, (size_t)tc->n_slots * sizeof(*tc->records));
	if (tc->buckets)
		tc->ops->free(tc->host, tc->buckets, (size_t)tc->n_buckets * sizeof(*tc->buckets));
	tc->records = NULL;
	tc->buckets = NULL;
}

struct fo__tc_record *fo__tc_record(struct fo__tc *tc, uint64_t cookie, uint32_t slot)
{
	if (slot >= tc->high || !cookie || tc->records[slot].cookie != cookie)
		return NULL;
	return &tc->records[slot];
}

uint32_t fo__tc_slot_by_tuple(const struct fo__tc *tc, const struct fo_tuple *tuple)
{
	uint32_t slot = tc->buckets[bucket_of(tc, tuple)];

	while (slot != FO__TC_NO_SLOT && !fo__ct_same_tuple(&tc->records[slot].tuple[0], tuple))
		slot = tc->records[slot].chain;
	return slot;
}

/* Memory is touched as slots come into use: a table that never fills never pays for its capacity. */
struct fo__tc_record *fo__tc_record_take(struct fo__tc *tc, uint32_t slot)
{
	if (slot >= tc->high) {
		memset(&tc->records[tc->high], 0, (slot + 1 - tc->high) * sizeof(*tc->records));
		tc->high = slot + 1;
	}
	return &tc->records[slot];
}

void fo__tc_record_rule(struct fo__tc *tc, struct fo__tc_record *record, unsigned int dir,
			const struct fo__tc_rule *rule)
{
	record->tuple[dir] = *rule->in;
	record->adj[dir] = *rule->from;
	record->dscp[dir] = rule->dscp;
	record->turn[dir] = rule->cookie.turn;
	record->kept[dir].side = rule->kept.side;
	record->kept[dir].l3_dev = rule->kept.l3_dev;
	record->kept[dir].mtu = rule->kept.mtu;
	if (dir == FO_ORIGINAL)
		record->kept[dir].original = rule->kept.original;
	else
		record->kept[dir].reply = rule->kept.reply;
	record->port[dir] = fo__tc_place(tc, rule->port);
	record->prio[dir] = (uint8_t)rule->prio;
	record->overhead[dir] = 0;
	/* Software counts from the IP header on; so may hardware. */
	if (tc->own.mode == FO_TC_HARDWARE && tc->own.bytes == FO_TC_BYTES_FRAME)
		record->overhead[dir] = (uint8_t)(ETHERNET_SIZE + TAG_SIZE * rule->from->n_encaps);
}

void fo__tc_leaves(const struct fo_tuple *tuple, const struct fo_tuple *other, struct fo_tuple *out)
{
	*out = *tuple;
	memcpy(out->src, other->dst, 16);
	memcpy(out->dst, other->src, 16);
	out->sport_be = other->dport_be;
	out->dport_be = other->sport_be;
}

void fo__tc_rule_of(struct fo__tc *tc, uint32_t slot, unsigned int dir, struct fo_tuple *out,
		    struct fo__tc_rule *rule)
{
	const struct fo__tc_record *record = &tc->records[slot];
	uint8_t can = tc->pair[record->port[dir]][record->port[1 - dir]];

	fo__tc_leaves(&record->tuple[dir], &record->tuple[1 - dir], out);
	*rule = (struct fo__tc_rule){.cookie = {FO__TC_MAGIC, FO__TC_VERSION, FO__TC_OF_FLOW, (uint8_t)dir,
						record->turn[dir], record->cookie},
				     .port = &tc->ports[record->port[dir]],
				     .to = tc->ports[record->port[1 - dir]].index,
				     .handle = fo__tc_handle(slot, dir),
				     .prio = record->prio[dir],
				     .in = &record->tuple[dir],
				     .out = out,
				     .from = &record->adj[dir],
				     .into = &record->adj[1 - dir],
				     .kept = record->kept[dir],
				     .dscp = record->dscp[dir],
				     .police = (can & FO__TC_CAN_POLICE) != 0};
}

void fo__tc_record_link(struct fo__tc *tc, uint32_t slot)
{
	uint32_t *bucket = &tc->buckets[bucket_of(tc, &tc->records[slot].tuple[0])];

	tc->records[slot].chain = *bucket;
	*bucket = slot;
	tc->n_used++;
}

void fo__tc_record_drop(struct fo__tc *tc, uint32_t slot)
{
	struct fo__tc_record *record = &tc->records[slot];
	uint32_t *at = &tc->buckets[bucket_of(tc, &record->tuple[0])];

	while (*at != slot)
		at = &tc->records[*at].chain;
	*at = record->chain;
	tc->n_used--;
	memset(record, 0, sizeof(*record));
}
