/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_explain.c - promise 1: fo_flow_explain() answers for any flow or tuple; rule 13: what
 * caps do not list is refused. */
#include <errno.h>

#include "topology.h"

static void explain_id(struct env *env, fo_flow_id id, struct fo_explanation *ex)
{
	FO_INIT(ex);
	OK(env, fo_flow_explain(env->table, id, NULL, ex, &env->err));
	REQUIRE(memchr(ex->text, 0, sizeof(ex->text)) != NULL);
	if (strlen(ex->text) < 10)
		FAIL("explained as \"%s\"", ex->text);
}

static void explain_key(struct env *env, const struct fo_tuple *tuple, uint32_t port,
			struct fo_explanation *ex)
{
	struct fo_key key;

	FO_INIT(&key);
	key.tuple = *tuple;
	key.port = port;
	FO_INIT(ex);
	OK(env, fo_flow_explain(env->table, 0, &key, ex, &env->err));
	REQUIRE(memchr(ex->text, 0, sizeof(ex->text)) != NULL);
	if (strlen(ex->text) < 10)
		FAIL("explained as \"%s\"", ex->text);
}

static void living_flow(struct env *env)
{
	unsigned int n = usual(env), d;
	struct fo_explanation ex;

	env_traffic(env, n, FO_REPLY, 3);
	env_check_counters(env, n); /* fetches what a device still has */
	explain_id(env, env->ids[n], &ex);
	REQUIRE(ex.flow == env->ids[n]);
	REQUIRE(env_short_cut(env, ex.state));
	REQUIRE_EQ(ex.reason != FO_R_NONE, ex.state == FO_STATE_PARTIAL);
	if (env->caps.can & FO_CAP_COUNTERS_FAST)
		REQUIRE_EQ(ex.counters.packets[1], 3);
	for (d = 0; d < 2; d++) {
		explain_key(env, &env->flows[n].flow.tuple[d], env->flows[n].adj[d].port, &ex);
		REQUIRE(ex.flow == env->ids[n]);
		REQUIRE_EQ(ex.dir, d);
		explain_key(env, &env->flows[n].flow.tuple[d], FO_PORT_ANY, &ex);
		REQUIRE(ex.flow == env->ids[n]);
	}
}

static void closing_flow(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_explanation ex;

	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	explain_id(env, env->ids[n], &ex);
	REQUIRE_EQ(ex.state, FO_STATE_CLOSING);
	REQUIRE_EQ(ex.reason, FO_R_DELETED);
}

static void ended_flow(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_explanation ex;
	struct fo_match m;

	FO_INIT(&m);
	OK(env, fo_invalidate(env->table, &m, &env->err));
	env->flows[n].life = MODEL_INVALIDATED;
	env_ended(env, n, FO_EV_INVALIDATED, FO_R_INVALIDATED);
	explain_id(env, env->ids[n], &ex);
	REQUIRE_EQ(ex.state, FO_STATE_NONE);
	REQUIRE_EQ(ex.reason, FO_R_INVALIDATED);
	explain_key(env, &env->flows[n].flow.tuple[0], LAN, &ex);
	REQUIRE_EQ(ex.state, FO_STATE_NONE);
	REQUIRE_EQ(ex.reason, FO_R_INVALIDATED);
}

static void refused_flow(struct env *env)
{
	struct fo_flow flow;
	struct fo_explanation ex;

	usual_flow(env, &flow, 0);
	flow.needs = ~env->caps.can & ((UINT64_C(1) << FO_CAP_COUNT) - 1);
	if (!flow.needs)
		suite_skip(0, "this backend has every capability");
	env_add_refused(env, &flow, -EOPNOTSUPP, FO_R_NEEDS, NULL);
	explain_key(env, &flow.tuple[0], LAN, &ex);
	REQUIRE(ex.flow == 0);
	REQUIRE_EQ(ex.state, FO_STATE_NONE);
	REQUIRE_EQ(ex.reason, FO_R_NEEDS);
	REQUIRE(ex.stage != FO_STAGE_NONE);
}

static void wrong_ingress(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_explanation ex;

	explain_key(env, &env->flows[n].flow.tuple[0], DMZ, &ex);
	REQUIRE_EQ(ex.state, FO_STATE_NONE);
	REQUIRE_EQ(ex.reason, FO_R_WRONG_INGRESS);
}

static void never_seen(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_tuple tuple = env->flows[n].flow.tuple[0];
	struct fo_explanation ex;

	tuple.dst[2] ^= 0x10;
	explain_key(env, &tuple, LAN, &ex);
	REQUIRE_EQ(ex.state, FO_STATE_NONE);
	REQUIRE_EQ(ex.reason, FO_R_NO_FLOW);
	REQUIRE(ex.flow == 0);
}

static void wrong_questions(struct env *env)
{
	struct fo_explanation ex;
	struct fo_key key;

	FO_INIT(&ex);
	REFUSED(env, fo_flow_explain(env->table, 0x77777777, NULL, &ex, &env->err), -ENOENT, FO_R_STALE,
		NULL);
	REFUSED(env, fo_flow_explain(env->table, 0, NULL, &ex, &env->err), -EINVAL, FO_R_ARGUMENT, "key");
	FO_INIT(&key);
	key.tuple.family = 9;
	REFUSED(env, fo_flow_explain(env->table, 0, &key, &ex, &env->err), -EINVAL, ANY_REASON,
		"tuple.family");
	ex.size = 7;
	REFUSED(env, fo_flow_explain(env->table, 1, NULL, &ex, &env->err), -EINVAL, FO_R_SIZE, "size");
}

static const struct suite_case explain_cases[] = {
	{.name = "living_flow_by_id_and_by_key", .run = living_flow},
	{.name = "closing_flow", .run = closing_flow},
	{.name = "ended_flow_and_why", .run = ended_flow},
	{.name = "refused_flow_and_why", .run = refused_flow},
	{.name = "key_known_from_another_ingress", .run = wrong_ingress, .needs = FO_CAP_INGRESS},
	{.name = "never_seen", .run = never_seen},
	{.name = "wrong_questions", .run = wrong_questions},
};
SUITE_GROUP(group_explain, "explain", explain_cases);

/* ---- Honest ---------------------------------------------------------------------------------- */

/* A connection that needs each capability in turn: accepted when caps list it, refused with a
 * text when not. */
static void try_flow(struct env *env, struct fo_flow *flow, uint64_t needs, const char *what)
{
	suite_context("%s", what);
	if ((env->caps.can & needs) == needs) {
		env_delete(env, env_add(env, flow));
		return;
	}
	env_add_refused(env, flow, -EOPNOTSUPP, FO_R_UNSUPPORTED, NULL);
}

static void flows_beyond_caps(struct env *env)
{
	static const struct {
		unsigned int family, proto;
	} kinds[] = {{4, 6}, {4, 17}, {4, 1}, {6, 6}, {6, 17}, {6, 58}};
	unsigned int i;
	enum nat nat;
	struct fo_flow flow;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (nat = NAT_NONE; nat < N_NAT; nat++) {
			connection(&flow, kinds[i].family, kinds[i].proto, nat, i * N_NAT + nat);
			between(env, &flow);
			try_flow(env, &flow, connection_caps(kinds[i].family, kinds[i].proto, nat),
				 nat_name[nat]);
			env->model.n_flows = 0;
		}
	}
	connection(&flow, 4, 6, NAT_NONE, 100);
	between(env, &flow);
	flow.dscp[0] = FO_DSCP_SET(8);
	try_flow(env, &flow, FO_CAP_DSCP | FO_CAP_IPV4 | FO_CAP_TCP, "dscp");
	connection(&flow, 4, 6, NAT_NONE, 101);
	between(env, &flow);
	flow.scope = 4;
	if (!(env->caps.can & FO_CAP_SCOPE) || (env->rig->features & RIG_SCOPES))
		try_flow(env, &flow, FO_CAP_SCOPE | FO_CAP_IPV4 | FO_CAP_TCP, "scope");
	connection(&flow, 4, 6, NAT_NONE, 102);
	between(env, &flow);
	flow.timeout_ms = 77700;
	try_flow(env, &flow, FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_IPV4 | FO_CAP_TCP, "timeout");
}

static void sides_beyond_caps(struct env *env)
{
	struct fo_adj adj;
	fo_adj_id id;
	unsigned int e;

	for (e = 0; e < N_ENCAPS; e++) {
		suite_context("%s", encaps_name[e]);
		side(&adj, LAN, (enum encaps)e);
		if (env_has(env, encaps_caps((enum encaps)e), encaps_count((enum encaps)e))) {
			env_prepare_side(env, &adj);
			OK(env, fo_adj_add(env->table, &adj, &id, &env->err));
			continue;
		}
		memset(&env->err, 0, sizeof(env->err));
		env_refused(env, fo_adj_add(env->table, &adj, &id, &env->err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
			    NULL);
	}
	side(&adj, LAN, PLAIN);
	adj.flags = FO_ADJ_ANY_INGRESS;
	memset(&env->err, 0, sizeof(env->err));
	if (env->caps.can & FO_CAP_ANY_INGRESS)
		OK(env, fo_adj_add(env->table, &adj, &id, &env->err));
	else
		env_refused(env, fo_adj_add(env->table, &adj, &id, &env->err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
			    "flags");
}

/* "needs" of a flow: exactly the bits of caps are granted. */
static void needs_of_a_flow(struct env *env)
{
	unsigned int bit;
	struct fo_flow flow;

	for (bit = 0; bit < FO_CAP_COUNT; bit++) {
		suite_context("needs %s", fo_cap_name(bit));
		usual_flow(env, &flow, bit);
		flow.needs = UINT64_C(1) << bit;
		if (env->caps.can & flow.needs) {
			env_delete(env, env_add(env, &flow));
			continue;
		}
		env_add_refused(env, &flow, -EOPNOTSUPP, FO_R_NEEDS, "needs");
		if (!strstr(env->err.text, fo_cap_name(bit)))
			FAIL("the text does not name %s: %s", fo_cap_name(bit), env->err.text);
	}
	usual_flow(env, &flow, 60);
	flow.needs = UINT64_C(1) << FO_CAP_COUNT;
	memset(&env->err, 0, sizeof(env->err));
	REQUIRE(fo_flow_add(env->table, &flow, &env->ids[0], &env->err) < 0);
}

static void needs_of_a_table(struct env *env)
{
	unsigned int bit;

	for (bit = 0; bit < FO_CAP_COUNT; bit++) {
		struct fo_table_options options = env->options;
		struct fo_table *table = NULL;
		int rc;

		suite_context("needs %s", fo_cap_name(bit));
		options.needs |= UINT64_C(1) << bit;
		memset(&env->err, 0, sizeof(env->err));
		rc = fo_table_create(&options, &table, &env->err);
		if (env->caps.can & (UINT64_C(1) << bit)) {
			if (rc && rc != -EBUSY) /* one device, one table */
				FAIL("returned %d: %s", rc, env->err.text);
			fo_table_destroy(table);
			continue;
		}
		env_refused(env, rc, -EOPNOTSUPP, FO_R_NEEDS, "needs");
		REQUIRE(table == NULL);
	}
}

static void caps_are_consistent(struct env *env)
{
	const struct fo_caps *c = &env->caps;
	struct fo_caps probed;
	uint64_t crash = c->can & (FO_CAP_CRASH_GONE | FO_CAP_CRASH_LEASE | FO_CAP_CRASH_LINGERS);
	unsigned int bit;

	REQUIRE_EQ(c->size, sizeof(*c));
	REQUIRE(!(c->can >> FO_CAP_COUNT));
	REQUIRE(!strcmp(c->backend, env->options.backend));
	REQUIRE(memchr(c->text, 0, sizeof(c->text)) != NULL);
	REQUIRE(crash != 0 && !(crash & (crash - 1))); /* exactly one of them */
	REQUIRE(c->can & (FO_CAP_IPV4 | FO_CAP_IPV6));
	REQUIRE(c->can & (FO_CAP_TCP | FO_CAP_UDP));
	REQUIRE(!(c->can & FO_CAP_QINQ) || (c->can & FO_CAP_VLAN));
	REQUIRE(c->max_encaps <= FO_MAX_ENCAPS);
	REQUIRE(!!c->max_workers == !!(c->can & FO_CAP_WORKER));
	for (bit = 0; bit < FO_CAP_COUNT; bit++)
		REQUIRE(fo_cap_name(bit) && *fo_cap_name(bit));
	FO_INIT(&probed);
	OK(env, fo_backend_probe(env->options.backend, &env->options, &probed, &env->err));
	REQUIRE(!(c->can & ~probed.can)); /* a table has no more than the probe promised */
	REFUSED(env, fo_backend_probe("no-such", NULL, &probed, &env->err), -ENOENT, FO_R_NO_BACKEND, NULL);
}

static void no_worker_without_the_cap(struct env *env)
{
	struct fo_worker *worker = NULL;

	if (env->caps.can & FO_CAP_WORKER) {
		/* the rig has the only one that was allowed */
		if (env->options.max_workers == 1)
			REFUSED(env, fo_worker_open(env->table, NULL, &worker, &env->err), -ENOSPC,
				FO_R_WORKERS, NULL);
		return;
	}
	REFUSED(env, fo_worker_open(env->table, NULL, &worker, &env->err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
		NULL);
	REQUIRE(worker == NULL);
}

static const struct suite_case honest_cases[] = {
	{.name = "flows_beyond_caps_are_refused_with_a_text", .run = flows_beyond_caps},
	{.name = "sides_beyond_caps_are_refused_with_a_text", .run = sides_beyond_caps},
	{.name = "needs_of_a_flow", .run = needs_of_a_flow},
	{.name = "needs_of_a_table", .run = needs_of_a_table},
	{.name = "caps_are_consistent", .run = caps_are_consistent},
	{.name = "workers_only_where_caps_say_so", .run = no_worker_without_the_cap},
};
SUITE_GROUP(group_honest, "honest", honest_cases);
