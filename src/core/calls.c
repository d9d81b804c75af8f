/* SPDX-License-Identifier: BSD-2-Clause */
/* calls.c - calls into a backend that can fail, each answer held to the contract before a caller sees it. */
#include "core/calls.h"

#include "core/registry.h"

static int judge(const struct fo_table *table, int rc, int pending, const char *call, struct fo_error *why,
		 struct fo_error *err)
{
	if (!rc || (pending && rc == FO_BACKEND_PENDING))
		return rc;
	return fo__backend_failed(table->backend, rc, call, why, err);
}

/* Zero, as far as anybody reads it: the strings are empty. On the way of each flow, so not all of its 256 bytes. */
static void clear(struct fo_error *why)
{
	memset(why, 0, offsetof(struct fo_error, field));
	why->field[0] = '\0';
	why->text[0] = '\0';
}

int fo__call_flow_add(struct fo_table *table, const struct fo_backend_flow *flow, unsigned int *state,
		      struct fo_error *err)
{
	struct fo_error why;
	int rc;

	clear(&why);
	rc = table->backend->flow_add(table->priv, flow, state, &why);

	return judge(table, rc, 1, "flow_add", &why, err);
}

int fo__answered(const struct fo_table *table, int rc, const char *call, struct fo_error *why,
		 struct fo_error *err)
{
	return judge(table, rc, 1, call, why, err);
}

int fo__call_flow_del(struct fo_table *table, uint32_t conn, struct fo_error *err)
{
	struct fo_error why;
	int rc;

	clear(&why);
	rc = table->backend->flow_del(table->priv, fo__conn_id(table->store, conn), conn, &why);

	return judge(table, rc, 1, "flow_del", &why, err);
}

int fo__call_flow_forbid(struct fo_table *table, uint32_t conn, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = 0;

	if (table->backend->flow_forbid)
		rc = table->backend->flow_forbid(table->priv, fo__conn_id(table->store, conn), conn, &why);
	return judge(table, rc, 0, "flow_forbid", &why, err);
}

int fo__call_policy_add(struct fo_table *table, const struct fo_backend_policy *policy, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = table->backend->policy_add(table->priv, policy, &why);

	return judge(table, rc, 0, "policy_add", &why, err);
}

int fo__call_policy_del(struct fo_table *table, fo_policy_id id, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = table->backend->policy_del(table->priv, id, &why);

	return judge(table, rc, 0, "policy_del", &why, err);
}

void fo__call_flow_stats(struct fo_table *table, uint32_t conn)
{
	struct fo_error why;

	if (!table->backend->flow_stats)
		return;
	clear(&why);
	(void)table->backend->flow_stats(table->priv, fo__conn_id(table->store, conn), conn, &why);
}

int fo__call_flow_update(struct fo_table *table, const struct fo_backend_flow *flow, uint32_t mask,
			 struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = table->backend->flow_update(table->priv, flow, mask, &why);

	return judge(table, rc, 0, "flow_update", &why, err);
}

int fo__call_adj_check(struct fo_table *table, const struct fo_adj *adj, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = table->backend->adj_check ? table->backend->adj_check(table->priv, adj, &why) : 0;

	return judge(table, rc, 0, "adj_check", &why, err);
}

int fo__call_adj_update(struct fo_table *table, fo_adj_id id, const struct fo_adj *now,
			const struct fo_adj *then, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc = table->backend->adj_update(table->priv, id, now, then, &why);

	return judge(table, rc, 0, "adj_update", &why, err);
}

int fo__call_create(struct fo_table *table, const struct fo_backend_config *config, struct fo_error *err)
{
	struct fo_error why = {.code = 0};
	int rc;

	FO_INIT(&table->caps);
	rc = table->backend->create(config, &table->caps, &table->priv, &why);
	if (rc)
		return judge(table, rc, 0, "create", &why, err);
	rc = fo__settle_caps(table->backend, config->options, &table->caps, err);
	if (rc)
		table->backend->destroy(table->priv);
	else
		table->store->stats_flags = table->caps.stats_flags;
	return rc;
}
