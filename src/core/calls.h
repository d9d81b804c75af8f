/* SPDX-License-Identifier: BSD-2-Clause */
/* calls.h - calls into a backend that can fail. A failure always leaves a whole error: code, reason, text. */
#ifndef FO_CORE_CALLS_H
#define FO_CORE_CALLS_H

#include "core/table.h"

/* Also settles the table's caps. */
int fo__call_create(struct fo_table *table, const struct fo_backend_config *config, struct fo_error *err);
/* 0, FO_BACKEND_PENDING or -errno. */
int fo__call_flow_add(struct fo_table *table, const struct fo_backend_flow *flow, unsigned int *state,
		      struct fo_error *err);
/* The same for an answer that came with others: why is the backend's, zeroed before the call. */
int fo__answered(const struct fo_table *table, int rc, const char *call, struct fo_error *why,
		 struct fo_error *err);
int fo__call_flow_del(struct fo_table *table, uint32_t conn, struct fo_error *err);
/* 0 or -errno. */
int fo__call_flow_forbid(struct fo_table *table, uint32_t conn, struct fo_error *err);
int fo__call_policy_add(struct fo_table *table, const struct fo_backend_policy *policy, struct fo_error *err);
int fo__call_policy_del(struct fo_table *table, fo_policy_id id, struct fo_error *err);
/* Fresh counters where they can be had; old ones stand otherwise. */
void fo__call_flow_stats(struct fo_table *table, uint32_t conn);
/* 0 or -errno. */
int fo__call_flow_update(struct fo_table *table, const struct fo_backend_flow *flow, uint32_t mask,
			 struct fo_error *err);
int fo__call_adj_check(struct fo_table *table, const struct fo_adj *adj, struct fo_error *err);
int fo__call_adj_update(struct fo_table *table, fo_adj_id id, const struct fo_adj *now,
			const struct fo_adj *then, struct fo_error *err);

#endif
