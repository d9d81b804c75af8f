/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_add_many.c - fo_flow_add_many(): one by one, or in handfuls where the backend takes them. See adding.h. */
#include "core/adding.h"

#include <errno.h>

#include "core/calls.h"

/* How many flows are taken before the first of them is stored: the memory that they need comes meanwhile. */
#define AHEAD 4u
/* Flows that a backend is given at once. */
#define HANDFUL 128u

struct batch {
	struct fo_table *table;
	size_t stride;
	fo_flow_id *ids;
	int *results;
	struct fo_error *err; /* the caller's, or NULL */
	size_t refused;	      /* the item that err is of */
	int added;
};

/* Working memory of a handful. told, states, answers and errs are dense: the items that got as far as the backend. */
struct handful {
	struct fo__adding adding[HANDFUL];
	struct fo_backend_flow told[HANDFUL];
	struct fo_error errs[HANDFUL];
	unsigned int states[HANDFUL];
	int answers[HANDFUL];
	size_t items[HANDFUL];
};

static void tell(struct batch *batch, size_t item, fo_flow_id id, int code, const struct fo_error *why)
{
	batch->added += !code;
	if (batch->ids)
		batch->ids[item] = code ? 0 : id;
	if (batch->results)
		batch->results[item] = code;
	/* Of a handful, what the backend refuses is told last. */
	if (!code || !batch->err || item > batch->refused)
		return;
	*batch->err = *why;
	batch->refused = item;
}

static const struct fo_flow *flow_at(const struct batch *batch, const struct fo_flow *flows, size_t i)
{
	return (const struct fo_flow *)(const void *)((const uint8_t *)flows + i * batch->stride);
}

static void one_by_one(struct batch *batch, const struct fo_flow *flows, size_t n)
{
	struct fo_table *table = batch->table;
	struct fo__adding adding[AHEAD + 1];
	int taken[AHEAD + 1];
	struct fo_error why;

	for (size_t i = 0; i < n + AHEAD; i++) {
		size_t item = i - AHEAD, at = item % (AHEAD + 1);
		fo_flow_id id = 0;

		if (i < n)
			taken[i % (AHEAD + 1)] = fo__adding_take(table, flow_at(batch, flows, i),
								 &adding[i % (AHEAD + 1)], &why);
		if (i < AHEAD)
			continue;
		fo__adding_expect(table);
		/* Anew for its error, or since the index has changed. */
		if (taken[at] || !fo__adding_is_fresh(table, &adding[at]))
			taken[at] = fo__adding_take(table, flow_at(batch, flows, item), &adding[at], &why);
		if (taken[at])
			fo__adding_count(table, &adding[at], taken[at], &why);
		else
			taken[at] = fo__add_one(table, &adding[at], &id, &why);
		tell(batch, item, id, taken[at], &why);
	}
}

static void settle(struct batch *batch, struct handful *hand, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fo_error why;
		int code =
			fo__answered(batch->table, hand->answers[i], "flow_add_many", &hand->errs[i], &why);
		fo_flow_id id = fo__adding_done(batch->table, &hand->adding[i], code, hand->states[i]);

		code = code < 0 ? code : 0;
		fo__adding_count(batch->table, &hand->adding[i], code, &why);
		tell(batch, hand->items[i], id, code, &why);
	}
}

static void by_the_handful(struct batch *batch, struct handful *hand, const struct fo_flow *flows,
			   size_t first, size_t n)
{
	struct fo_table *table = batch->table;
	size_t fit = 0;

	for (size_t i = first; i < first + n; i++) {
		struct fo_error why;
		int code;

		fo__adding_expect(table);
		code = fo__adding_take(table, flow_at(batch, flows, i), &hand->adding[fit], &why);
		if (!code)
			code = fo__adding_store(table, &hand->adding[fit], &why);
		if (code) {
			fo__adding_count(table, &hand->adding[fit], code, &why);
			tell(batch, i, 0, code, &why);
			continue;
		}
		fo__adding_tell(table, &hand->adding[fit], &hand->told[fit]);
		hand->states[fit] = FO_STATE_ACTIVE;
		hand->answers[fit] = -EIO;
		memset(&hand->errs[fit], 0, sizeof(hand->errs[fit]));
		hand->items[fit++] = i;
	}
	if (fit)
		table->backend->flow_add_many(table->priv, hand->told, fit, hand->states, hand->answers,
					      hand->errs);
	settle(batch, hand, fit);
}

static void add_all(struct batch *batch, const struct fo_flow *flows, size_t n)
{
	struct fo__memory *memory = &batch->table->store->memory;
	struct handful *hand = NULL;

	if (batch->table->backend->flow_add_many && n > 1)
		hand = fo__alloc(memory, sizeof(*hand), 64);
	/* Without the memory it is slower, no more. */
	if (!hand) {
		one_by_one(batch, flows, n);
		return;
	}
	for (size_t i = 0; i < n; i += HANDFUL)
		by_the_handful(batch, hand, flows, i, n - i < HANDFUL ? n - i : HANDFUL);
	fo__free(memory, hand, sizeof(*hand));
}

int fo_flow_add_many(struct fo_table *table, const struct fo_flow *flows, size_t n, size_t stride,
		     fo_flow_id *ids, int *results, struct fo_error *err)
{
	struct batch batch = {table, stride ? stride : sizeof(*flows), ids, results, err, SIZE_MAX, 0};

	if (!table)
		return fo__no_table(err);
	if (!flows && n)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "flows",
				"flows is NULL: pass n of them");
	if (n > INT32_MAX)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "n",
				"n is above 2^31-1: split the batch");
	if (batch.stride % sizeof(size_t) || batch.stride < FO__FLOW_MIN)
		return fo__fail(err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "stride",
				"stride %zu is no size of a struct fo_flow: pass sizeof(struct fo_flow)",
				batch.stride);
	add_all(&batch, flows, n);
	return batch.added;
}
