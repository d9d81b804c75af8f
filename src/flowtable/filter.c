/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - flows that are not to be short-cut any more: compared and published. See filter.h. */
#include "flowtable/filter.h"

#include <errno.h>
#include <limits.h>

#include "flowtable/flowtable.h"

static int prefix_has(const struct fo__condition *condition, const void *address)
{
	unsigned int whole = condition->prefix_len / 8, rest = condition->prefix_len % 8;
	const uint8_t *bytes = address;

	if (memcmp(condition->prefix, bytes, whole))
		return 0;
	return !rest || !((condition->prefix[whole] ^ bytes[whole]) >> (8 - rest));
}

/* Any address of either direction's tuple. */
static int addresses_match(const struct fo__line *line, const struct fo__condition *condition)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		if (condition->family == FO_FAMILY_IPV6) {
			if (prefix_has(condition, line[dir].key.v6.src) ||
			    prefix_has(condition, line[dir].key.v6.dst))
				return 1;
		} else if (prefix_has(condition, &line[dir].key.v4.src) ||
			   prefix_has(condition, &line[dir].key.v4.dst)) {
			return 1;
		}
	}
	return 0;
}

/* The bit of a tag in fo__condition.tags: word << 5 | bit. */
static unsigned int tag_bit(uint32_t tag)
{
	return (tag * 0x9e3779b1u) >> 24;
}

static int tag_is_one_of(const struct fo__condition *condition, uint32_t tag)
{
	unsigned int bit = tag_bit(tag);

	return condition->tags[bit >> 5] >> (bit & 31) & 1;
}

int fo__condition_holds(const struct fo_flowtable *table, uint32_t conn, uint16_t scope,
			const struct fo__condition *condition)
{
	const struct fo__line *line = &table->lines[conn * 2];
	uint8_t code;

	if ((condition->mask & FO_MATCH_TAG) && fo__load_relaxed(&table->cold[conn].tag) != condition->tag)
		return 0;
	if ((condition->mask & FO__CONDITION_TAGS) &&
	    !tag_is_one_of(condition, fo__load_relaxed(&table->cold[conn].tag)))
		return 0;
	if ((condition->mask & FO_MATCH_SCOPE) && scope != condition->scope)
		return 0;
	if (!(condition->mask & (FO_MATCH_PROTO | FO_MATCH_PREFIX)))
		return 1;
	code = fo__meta_code(fo__load_relaxed(&line->meta));
	if ((condition->mask & FO_MATCH_PROTO) && (code & ~FO__CODE_V6) != condition->proto)
		return 0;
	if (!(condition->mask & FO_MATCH_PREFIX))
		return 1;
	return !(code & FO__CODE_V6) == (condition->family != FO_FAMILY_IPV6) &&
	       addresses_match(line, condition);
}

/* ---- widened ---- */

static void tags_as_bits(struct fo__condition *condition)
{
	unsigned int bit = tag_bit(condition->tag);

	if (!(condition->mask & FO_MATCH_TAG))
		return;
	condition->mask ^= FO_MATCH_TAG | FO__CONDITION_TAGS;
	condition->tags[bit >> 5] |= 1u << (bit & 31);
}

static void widen_tag(struct fo__condition *condition, const struct fo__condition *other)
{
	struct fo__condition more = *other;

	if ((condition->mask & other->mask & FO_MATCH_TAG) && condition->tag == other->tag)
		return;
	tags_as_bits(condition);
	tags_as_bits(&more);
	if (!(more.mask & FO__CONDITION_TAGS))
		condition->mask &= ~FO__CONDITION_TAGS;
	for (unsigned int i = 0; i < sizeof(more.tags) / sizeof(*more.tags); i++)
		condition->tags[i] |= more.tags[i];
}

/* Bits that two prefixes of one family have in common. */
static uint8_t common_bits(const struct fo__condition *a, const struct fo__condition *b)
{
	uint8_t most = a->prefix_len < b->prefix_len ? a->prefix_len : b->prefix_len, bits = 0;

	while (bits < most && !((a->prefix[bits / 8] ^ b->prefix[bits / 8]) >> (7 - bits % 8) & 1))
		bits++;
	return bits;
}

static void widen_prefix(struct fo__condition *condition, const struct fo__condition *other)
{
	if ((condition->mask & other->mask & FO_MATCH_PREFIX) && condition->family == other->family)
		condition->prefix_len = common_bits(condition, other);
	else
		condition->mask &= ~FO_MATCH_PREFIX;
}

void fo__condition_widen(struct fo__condition *condition, const struct fo__condition *other)
{
	widen_tag(condition, other);
	widen_prefix(condition, other);
	if (!(other->mask & FO_MATCH_SCOPE) || condition->scope != other->scope)
		condition->mask &= ~FO_MATCH_SCOPE;
	if (!(other->mask & FO_MATCH_PROTO) || condition->proto != other->proto)
		condition->mask &= ~FO_MATCH_PROTO;
	if ((int32_t)(other->born - condition->born) > 0)
		condition->born = other->born;
}

/* How much a condition asks for: more of its parts before more bits of its prefix. */
static unsigned int narrowness(const struct fo__condition *condition)
{
	unsigned int parts = (unsigned int)__builtin_popcount(condition->mask);

	return 256 * parts + (condition->mask & FO_MATCH_PREFIX ? condition->prefix_len : 0);
}

void fo__filter_gather(struct fo__condition *conditions, uint32_t *n, const struct fo__condition *condition)
{
	uint32_t best = 0;
	unsigned int least = UINT_MAX;

	for (uint32_t i = 0; i < *n; i++) {
		struct fo__condition wide = conditions[i];
		unsigned int lost = narrowness(&wide);

		fo__condition_widen(&wide, condition);
		lost -= narrowness(&wide);
		if (lost >= least)
			continue;
		least = lost;
		best = i;
	}
	if (least && *n < FO__CONDITIONS)
		conditions[(*n)++] = *condition;
	else
		fo__condition_widen(&conditions[best], condition);
}

/* ---- published ---- */

int fo__filter_hits(const struct fo_flowtable *table, const struct fo__filter *filter, uint32_t conn,
		    uint16_t scope)
{
	for (uint32_t i = 0; i < filter->n; i++) {
		const struct fo__condition *condition = &filter->condition[i];

		if ((int32_t)(table->cold[conn].generation - condition->born) <= 0 &&
		    fo__condition_holds(table, conn, scope, condition))
			return 1;
	}
	return 0;
}

/* One that no worker can be looking at. */
static struct fo__filter *free_filter(struct fo_flowtable *table)
{
	const struct fo__filter *now = fo__load_relaxed(&table->filter);
	struct fo__progress progress = fo__progress(table);

	for (unsigned int i = 0; i < FO__FILTERS; i++) {
		struct fo__filter *filter = &table->filters[i];

		if (filter != now && (!filter->waits || fo__progress_past(progress, filter->stamp)))
			return filter;
	}
	return NULL;
}

int fo__filter_publish(struct fo_flowtable *table, const struct fo__condition *conditions, uint32_t n)
{
	struct fo__filter *old = fo__load_relaxed(&table->filter), *filter = NULL;
	uint32_t stamp;

	if (!n && !old)
		return 0;
	if (n) {
		filter = free_filter(table);
		if (!filter)
			return -EAGAIN;
		filter->n = n;
		filter->waits = 0;
		memcpy(filter->condition, conditions, n * sizeof(*conditions));
	}
	fo__store_release(&table->filter, filter);
	/* Bursts that begin after the stamp see it. */
	stamp = fo__stamp(table);
	if (old) {
		old->stamp = stamp;
		old->waits = 1;
	}
	return 0;
}

int fo__filter_add(struct fo_flowtable *table, const struct fo__condition *condition)
{
	const struct fo__filter *now = fo__load_relaxed(&table->filter);
	struct fo__condition conditions[FO__CONDITIONS];
	uint32_t n = now ? now->n : 0;

	if (n)
		memcpy(conditions, now->condition, n * sizeof(*conditions));
	fo__filter_gather(conditions, &n, condition);
	return fo__filter_publish(table, conditions, n);
}
