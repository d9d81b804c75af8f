/* SPDX-License-Identifier: BSD-2-Clause */
/* lists.h - lists of numbers that wait: linked through a field of their records, with the stamps of their grace
 * periods kept in a few batches beside them. Control thread only. */
#ifndef FO_FLOWTABLE_LISTS_H
#define FO_FLOWTABLE_LISTS_H

#include "flowtable/flowtable.h"

#define FO__LIST_END  UINT32_MAX
#define FO__LIST_INIT ((struct fo__list){FO__LIST_END, FO__LIST_END, 0})

/* Where the links lie: the uint32_t at base + number * stride. */
struct fo__links {
	void *base;
	size_t stride;
};

static inline uint32_t *fo__link(struct fo__links links, uint32_t number)
{
	return (uint32_t *)(void *)((uint8_t *)links.base + number * links.stride);
}

static inline void fo__list_append(struct fo__list *list, struct fo__links links, uint32_t number)
{
	*fo__link(links, number) = FO__LIST_END;
	if (list->count++)
		*fo__link(links, list->last) = number;
	else
		list->first = number;
	list->last = number;
}

static inline void fo__list_push(struct fo__list *list, struct fo__links links, uint32_t number)
{
	*fo__link(links, number) = list->count ? list->first : FO__LIST_END;
	if (!list->count++)
		list->last = number;
	list->first = number;
}

static inline uint32_t fo__list_pop(struct fo__list *list, struct fo__links links)
{
	uint32_t number = list->first;

	if (!list->count)
		return FO__LIST_END;
	list->first = *fo__link(links, number);
	list->count--;
	return number;
}

/* The number appended last waits for stamp. When the batches run out the last one takes the newer stamp. */
static inline void fo__batch_add(struct fo__batches *batches, uint32_t stamp)
{
	uint32_t last = (batches->first + batches->used - 1) % FO__BATCHES;

	if (batches->used < FO__BATCHES && (!batches->used || batches->stamp[last] != stamp)) {
		last = (batches->first + batches->used++) % FO__BATCHES;
		batches->slots[last] = 0;
	}
	batches->stamp[last] = stamp;
	batches->slots[last]++;
}

/* Take the number at the head off the list when its grace period is over, by a look that came after its stamp. */
static inline uint32_t fo__batch_pop_by(struct fo__progress progress, struct fo__batches *batches,
					struct fo__list *list, struct fo__links links)
{
	if (!batches->used || !fo__progress_past(progress, batches->stamp[batches->first]))
		return FO__LIST_END;
	if (!--batches->slots[batches->first]) {
		batches->first = (batches->first + 1) % FO__BATCHES;
		batches->used--;
	}
	return fo__list_pop(list, links);
}

/* The same with a look of its own. */
static inline uint32_t fo__batch_pop(struct fo_flowtable *table, struct fo__batches *batches,
				     struct fo__list *list, struct fo__links links)
{
	return batches->used ? fo__batch_pop_by(fo__progress(table), batches, list, links) : FO__LIST_END;
}

#endif
