/* SPDX-License-Identifier: BSD-2-Clause */
/* policy.c - policies: what a backend offloads without being asked for each connection, and the flows that come of it. */
#include "core/adding.h"

#include <errno.h>

#include "core/calls.h"
#include "core/tuple.h"

static fo_policy_id id_of(const struct fo_table *table, uint32_t i)
{
	return (uint64_t)table->policies[i].generation << 32 | (i + 1);
}

static struct fo__policy *find(const struct fo_table *table, fo_policy_id id)
{
	uint32_t i = (uint32_t)id - 1, generation = (uint32_t)(id >> 32);

	if (!table->policies || i >= FO__POLICIES || !generation ||
	    table->policies[i].generation != generation)
		return NULL;
	return &table->policies[i];
}

static struct fo__policy *find_or_fail(const struct fo_table *table, fo_policy_id id, struct fo_error *err)
{
	struct fo__policy *policy = find(table, id);

	if (!policy)
		fo__fail(err, -ENOENT, FO_R_STALE, FO_STAGE_RESOLVE, "id",
			 "no policy has this id; it was deleted or never came from fo_policy_add()");
	return policy;
}

/* ---- Checks ---- */

static int wrong(struct fo_error *err, const char *field, const char *text)
{
	return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static int check_ports(uint16_t first, uint16_t last, const char *field, struct fo_error *err)
{
	if (first > last)
		return wrong(err, field, "is above the last of its range: swap them");
	return 0;
}

static int check_fields(const struct fo_policy *policy, struct fo_error *err)
{
	uint8_t most = policy->family == FO_FAMILY_IPV4 ? 32 : 128;
	int code;

	if (policy->family && policy->family != FO_FAMILY_IPV4 && policy->family != FO_FAMILY_IPV6)
		return wrong(err, "family", "must be FO_FAMILY_IPV4, FO_FAMILY_IPV6 or 0");
	if (!policy->family && (policy->src_len || policy->dst_len))
		return wrong(err, "family", "must be said where a prefix is");
	if (policy->src_len > most)
		return wrong(err, "src_len", "is longer than an address");
	if (policy->dst_len > most)
		return wrong(err, "dst_len", "is longer than an address");
	if (policy->proto && policy->proto != FO__PROTO_TCP && policy->proto != FO__PROTO_UDP)
		return wrong(err, "proto", "must be TCP (6), UDP (17) or 0");
	if (policy->timeout_ms > FO_TIMEOUT_MAX_MS && policy->timeout_ms != FO_TIMEOUT_NEVER)
		return wrong(err, "timeout_ms", "is above FO_TIMEOUT_MAX_MS");
	if (policy->reserved[0] || policy->reserved[1] || policy->reserved[2])
		return wrong(err, "reserved", "must be zero");
	code = check_ports(policy->sport_first, policy->sport_last, "sport_first", err);
	return code ? code : check_ports(policy->dport_first, policy->dport_last, "dport_first", err);
}

static int check_caps(const struct fo_table *table, const struct fo_policy *policy, struct fo_error *err)
{
	uint64_t needs = FO_CAP_POLICY | (policy->scope ? FO_CAP_SCOPE : 0) |
			 (policy->timeout_ms != FO_TIMEOUT_TABLE ? FO_CAP_PER_FLOW_TIMEOUT : 0);
	uint64_t missing = needs & ~table->caps.can;
	char names[96];

	if (!missing && table->backend->policy_add && table->backend->policy_del)
		return 0;
	return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VALIDATE, "policy",
			"backend %s lacks %s: add flows one by one", table->backend->name,
			fo__caps_text(missing ? missing : FO_CAP_POLICY, names, sizeof(names)));
}

int fo__policies_use(const struct fo_table *table, fo_adj_id adj, struct fo_error *err)
{
	for (uint32_t i = 0; table->policies && i < FO__POLICIES; i++) {
		const struct fo__policy *policy = &table->policies[i];

		if (policy->generation && (policy->spec.adj[0] == adj || policy->spec.adj[1] == adj))
			return fo__fail(err, -EBUSY, FO_R_IN_USE, FO_STAGE_RESOLVE, "id",
					"a policy names this adjacency; fo_policy_del() it first");
	}
	return 0;
}

/* ---- Calls ---- */

static int take_place(struct fo_table *table, uint32_t *place, struct fo_error *err)
{
	uint32_t i = 0;

	if (!table->policies)
		table->policies =
			fo__alloc(&table->store->memory, FO__POLICIES * sizeof(*table->policies), 64);
	if (!table->policies)
		return fo__fail(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, NULL, "no memory for policies");
	while (i < FO__POLICIES && table->policies[i].generation)
		i++;
	if (i == FO__POLICIES)
		return fo__fail(err, -ENOSPC, FO_R_FULL, FO_STAGE_RESOLVE, NULL,
				"the table has %u policies, which is the most: make them wider",
				FO__POLICIES);
	*place = i;
	return 0;
}

static int resolve(struct fo_table *table, const struct fo_policy *policy, const struct fo_adj *adj[2],
		   struct fo_error *err)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__adjacency *known;
		int code = fo__adj_resolve(table, policy->adj[dir], dir, &known, err);

		if (code)
			return code;
		adj[dir] = &known->spec;
	}
	return 0;
}

int fo_policy_add(struct fo_table *table, const struct fo_policy *policy, fo_policy_id *out,
		  struct fo_error *err)
{
	struct fo_policy checked;
	struct fo_backend_policy told = {.size = sizeof(told), .policy = &checked};
	uint32_t place = 0;
	int code = fo__take(&checked, sizeof(checked), FO__POLICY_MIN, policy, "policy", err);

	if (!code && !out)
		code = wrong(err, "out", "is NULL: pass where the id goes");
	if (!code)
		code = check_fields(&checked, err);
	if (!code)
		code = check_caps(table, &checked, err);
	if (!code)
		code = resolve(table, &checked, told.adj, err);
	if (!code)
		code = take_place(table, &place, err);
	if (code)
		return code;
	table->policies[place].spec = checked;
	table->policies[place].generation =
		++table->policy_generation ? table->policy_generation : ++table->policy_generation;
	told.id = id_of(table, place);
	code = fo__call_policy_add(table, &told, err);
	if (code) {
		table->policies[place].generation = 0;
		return code;
	}
	*out = told.id;
	fo__wake_at(table, 0);
	return 0;
}

int fo_policy_del(struct fo_table *table, fo_policy_id id, struct fo_error *err)
{
	struct fo__policy *policy = find_or_fail(table, id, err);
	int code = policy ? fo__call_policy_del(table, id, err) : -ENOENT;

	if (code)
		return code;
	policy->generation = 0;
	fo__wake_at(table, 0);
	return 0;
}

int fo_policy_get(struct fo_table *table, fo_policy_id id, struct fo_policy *out, struct fo_error *err)
{
	const struct fo__policy *policy = find_or_fail(table, id, err);

	if (!policy)
		return -ENOENT;
	return fo__give(out, &policy->spec, sizeof(policy->spec), FO__POLICY_MIN, "out", err);
}

fo_policy_id fo_policy_at(struct fo_table *table, unsigned int i)
{
	for (uint32_t at = 0; table->policies && at < FO__POLICIES; at++)
		if (table->policies[at].generation && !i--)
			return id_of(table, at);
	return 0;
}

void fo__policies_free(struct fo_table *table)
{
	if (table->policies)
		fo__free(&table->store->memory, table->policies, FO__POLICIES * sizeof(*table->policies));
}

/* ---- Flows that a device took ---- */

/* As if the caller had added it. A failure is nobody's refused call, and is not counted. */
int fo__policy_adopt(struct fo_host *host, fo_policy_id policy, const struct fo_tuple tuple[2],
		     uint64_t *cookie, uint32_t *slot)
{
	struct fo_table *table = (struct fo_table *)host;
	const struct fo__policy *known = find(table, policy);
	struct fo__adding adding;
	struct fo_error why;
	struct fo_flow flow;
	int code;

	if (!known)
		return -ENOENT;
	FO_INIT(&flow);
	memcpy(flow.tuple, tuple, sizeof(flow.tuple));
	/* Whatever ends are translated, the kernel knows that both are of one connection. */
	flow.nat = fo__flow_nat(flow.tuple);
	memcpy(flow.adj, known->spec.adj, sizeof(flow.adj));
	flow.tag = known->spec.tag;
	flow.user = known->spec.user;
	flow.scope = known->spec.scope;
	flow.timeout_ms = known->spec.timeout_ms;
	fo__adding_expect(table);
	code = fo__adding_take(table, &flow, &adding, &why);
	if (!code)
		code = fo__adding_store(table, &adding, &why);
	if (code)
		return code;
	*cookie = fo__adding_done(table, &adding, FO_BACKEND_PENDING, FO_STATE_ARMED);
	*slot = adding.conn;
	fo__adding_count(table, &adding, 0, NULL);
	return 0;
}
