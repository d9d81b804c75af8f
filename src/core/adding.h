/* SPDX-License-Identifier: BSD-2-Clause */
/* adding.h - the steps by which a flow comes into a table, one flow at a time (flow_add.c) or many (flow_add_many.c).
 *
 * expect: a slot and its memory are on their way; take: the caller's words are read, and the memory asked for that they
 * will need; store: checked, resolved and published, so that the next one sees its keys as taken; then the backend is
 * told and answers; done: the flow lives, or is out of the store again, unseen; count: what stats and explain keep.
 */
#ifndef FO_CORE_ADDING_H
#define FO_CORE_ADDING_H

#include "core/table.h"

struct fo__adding {
	struct fo_flow flow; /* as checked; timeout_ms resolved */
	struct fo__search search[2];
	struct fo__adjacency *adj[2];
	uint64_t now_ms;
	uint32_t conn;
	uint8_t remember; /* flow is whole: a refusal of it can be explained later */
};

static inline void fo__adding_expect(struct fo_table *table)
{
	fo__conn_expect(table->store);
	(void)fo__make_way(table->store);
}

/* Do the searches still fit the index? Else take it again. */
static inline int fo__adding_is_fresh(const struct fo_table *table, const struct fo__adding *adding)
{
	return adding->search[0].serial == table->store->index_serial;
}

/* 0, or -errno: count it, and no more. */
int fo__adding_take(struct fo_table *table, const struct fo_flow *flow, struct fo__adding *adding,
		    struct fo_error *err);
/* The first half of store: what the store needs. spec lives no longer than adding. */
int fo__adding_resolve(struct fo_table *table, struct fo__adding *adding, struct fo__conn_spec *spec,
		       struct fo_error *err);
/* 0, or -errno with nothing left behind and done not to be called. */
int fo__adding_store(struct fo_table *table, struct fo__adding *adding, struct fo_error *err);
void fo__adding_tell(const struct fo_table *table, const struct fo__adding *adding,
		     struct fo_backend_flow *told);
/* answer: the backend's: 0, FO_BACKEND_PENDING or -errno. Returns the id, or 0. */
fo_flow_id fo__adding_done(struct fo_table *table, const struct fo__adding *adding, int answer,
			   unsigned int state);
/* code: of take, store or the backend; why: filled when it is not 0. */
void fo__adding_count(struct fo_table *table, const struct fo__adding *adding, int code,
		      const struct fo_error *why);

/* All that follows fo__adding_take(). err is not NULL. */
int fo__add_one(struct fo_table *table, struct fo__adding *adding, fo_flow_id *out, struct fo_error *err);

#endif
