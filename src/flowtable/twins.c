/* SPDX-License-Identifier: BSD-2-Clause */
/* twins.c - sides that have a key in common, counted. See twins.h. */
#include "flowtable/flowtable.h"

#include <errno.h>

int fo__twins_reserve(struct fo_flowtable *table, uint32_t n)
{
	while (table->twins.spares < n) {
		struct fo__twin *twin = fo__alloc(&table->memory, sizeof(*twin), 8);

		if (!twin)
			return -ENOMEM;
		twin->next[0] = table->twins.spare;
		table->twins.spare = twin;
		table->twins.spares++;
	}
	return 0;
}

/* ---- the list of a side ---- */

static void link_one(struct fo_flowtable *table, struct fo__twin *twin, unsigned int at)
{
	struct fo__twin **first = &table->sides[twin->side[at]].twins, *second = *first;

	twin->prev[at] = NULL;
	twin->next[at] = second;
	if (second)
		second->prev[fo__twin_at(second, twin->side[at])] = twin;
	*first = twin;
}

static void unlink_one(struct fo_flowtable *table, struct fo__twin *twin, unsigned int at)
{
	struct fo__twin *next = twin->next[at], *prev = twin->prev[at];
	uint32_t side = twin->side[at];

	if (next)
		next->prev[fo__twin_at(next, side)] = prev;
	if (prev)
		prev->next[fo__twin_at(prev, side)] = next;
	else
		table->sides[side].twins = next;
}

/* In the shorter of both lists: a side may have keys in common with very many, each of which has them with few. */
static struct fo__twin *find(const struct fo_flowtable *table, uint32_t a, uint32_t b)
{
	struct fo__twin *of_a = table->sides[a].twins, *of_b = table->sides[b].twins;

	while (of_a && of_b) {
		unsigned int at_a = fo__twin_at(of_a, a), at_b = fo__twin_at(of_b, b);

		if (of_a->side[1 - at_a] == b)
			return of_a;
		if (of_b->side[1 - at_b] == a)
			return of_b;
		of_a = of_a->next[at_a];
		of_b = of_b->next[at_b];
	}
	return NULL;
}

/* What was reserved. */
static struct fo__twin *create(struct fo_flowtable *table, uint32_t a, uint32_t b)
{
	struct fo__twin *twin = table->twins.spare;

	table->twins.spare = twin->next[0];
	table->twins.spares--;
	*twin = (struct fo__twin){.side = {a, b}};
	link_one(table, twin, 0);
	link_one(table, twin, 1);
	table->twins.known++;
	return twin;
}

static void forget(struct fo_flowtable *table, struct fo__twin *twin)
{
	unlink_one(table, twin, 0);
	unlink_one(table, twin, 1);
	table->twins.known--;
	fo__free(&table->memory, twin, sizeof(*twin));
}

/* ---- connections that come, end and go ---- */

static uint32_t side_of(const struct fo_flowtable *table, uint32_t dir)
{
	return fo__meta_side(fo__load_relaxed(&table->lines[dir].meta));
}

static void count(struct fo_flowtable *table, uint32_t a, uint32_t b, int pairs, int living)
{
	struct fo__twin *twin = find(table, a, b);

	if (!twin)
		twin = create(table, a, b);
	twin->pairs += (uint32_t)pairs;
	twin->living += (uint32_t)living;
	if (!twin->pairs)
		forget(table, twin);
}

/* Of every direction that has the key of one of the connection's: a pair more or less, a living one if it is LIVE. */
static void count_all(struct fo_flowtable *table, uint32_t conn, int pairs, int living)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__search search;
		struct fo_tuple tuple;
		uint32_t found;

		fo__conn_tuple(table, conn, (enum fo_dir)dir, &tuple);
		fo__search_begin(table, &search, &tuple, fo__conn_scope(table, conn));
		while ((found = fo__search_next(table, &search)) != FO__NO_DIR)
			if (found >> 1 != conn)
				count(table, side_of(table, conn * 2 + dir), side_of(table, found), pairs,
				      table->cold[found >> 1].life == FO__LIFE_LIVE ? living : 0);
	}
}

void fo__twins_enter(struct fo_flowtable *table, uint32_t conn)
{
	count_all(table, conn, 1, 1);
}

void fo__twins_leave(struct fo_flowtable *table, uint32_t conn)
{
	if (table->twins.known)
		count_all(table, conn, -1, table->cold[conn].life == FO__LIFE_LIVE ? -1 : 0);
}

void fo__twins_end(struct fo_flowtable *table, uint32_t conn)
{
	if (table->twins.known)
		count_all(table, conn, 0, -1);
}

void fo__twins_revive(struct fo_flowtable *table, uint32_t conn)
{
	if (table->twins.known)
		count_all(table, conn, 0, 1);
}

void fo__twins_close(struct fo_flowtable *table)
{
	for (uint32_t side = 0; table->twins.known && side < table->side_high; side++)
		while (table->sides[side].twins)
			forget(table, table->sides[side].twins);
	while (table->twins.spare) {
		struct fo__twin *twin = table->twins.spare;

		table->twins.spare = twin->next[0];
		fo__free(&table->memory, twin, sizeof(*twin));
	}
}
