/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - flows that are not to be short-cut any more: compared and published. See filter.h. */
#include "flowtable/filter.h"

#include <errno.h>

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

int fo__condition_holds(const struct fo_flowtable *table, uint32_t conn, uint16_t scope,
			const struct fo__condition *condition)
{
	const struct fo__line *line = &table->lines[conn * 2];
	uint8_t code;

	if ((condition->mask & FO_MATCH_TAG) && fo__load_relaxed(&table->cold[conn].tag) != condition->tag)
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
