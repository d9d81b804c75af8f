/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_walk.c - rules 9 and 10: walks see each flow once, batches report per item. */
#include <errno.h>

#include "topology.h"

/* What a walk saw; judged after it (callbacks must not leave by longjmp). */
struct seen {
	struct env *env;
	unsigned int times[ENV_MAX_FLOWS];
	unsigned int strangers;
	unsigned int n;
	unsigned int stop_after;
	unsigned int delete_nth;  /* delete every n-th flow that is visited */
	unsigned int delete_next; /* delete the flow added after the visited one */
	int last_rc;
};

static struct seen seen;

static unsigned int index_of(const struct env *env, fo_flow_id id)
{
	unsigned int i;

	for (i = 0; i < env->model.n_flows; i++)
		if (env->ids[i] == id)
			return i;
	return ENV_MAX_FLOWS;
}

static int visit(void *arg, const struct fo_flow_info *info)
{
	struct seen *s = arg;
	unsigned int i = index_of(s->env, info->id);

	s->n++;
	if (i == ENV_MAX_FLOWS || info->size != sizeof(*info)) {
		s->strangers++;
		return 0;
	}
	s->times[i]++;
	if (s->delete_nth && s->n % s->delete_nth == 0)
		s->last_rc |= fo_flow_del(s->env->table, info->id, NULL, NULL);
	if (s->delete_next && i + 1 < s->env->model.n_flows && s->env->flows[i + 1].life == MODEL_LIVE) {
		s->env->flows[i + 1].life = MODEL_CLOSING;
		s->last_rc |= fo_flow_del(s->env->table, s->env->ids[i + 1], NULL, NULL);
	}
	return s->stop_after && s->n >= s->stop_after;
}

static int walk(struct env *env, const struct fo_match *match)
{
	int rc;

	memset(seen.times, 0, sizeof(seen.times));
	seen.env = env;
	seen.n = seen.strangers = 0;
	seen.last_rc = 0;
	rc = fo_flow_walk(env->table, match, visit, &seen, &env->err);
	if (rc < 0)
		FAIL("fo_flow_walk returned %d: %s", rc, env->err.text);
	REQUIRE_EQ(rc, seen.n);
	REQUIRE_EQ(seen.strangers, 0);
	REQUIRE_EQ(seen.last_rc, 0);
	return rc;
}

static unsigned int populate(struct env *env, unsigned int want)
{
	unsigned int n = env_room(env, want), i;

	memset(&seen, 0, sizeof(seen));
	for (i = 0; i < n; i++)
		usual(env);
	return n;
}

static void every_flow_once(struct env *env)
{
	unsigned int n = populate(env, 60), i;

	REQUIRE_EQ(walk(env, NULL), n);
	for (i = 0; i < n; i++)
		REQUIRE_EQ(seen.times[i], 1);
	env_delete(env, n / 2);
	REQUIRE_EQ(walk(env, NULL), n - 1);
	REQUIRE_EQ(seen.times[n / 2], 0);
}

static void empty_table(struct env *env)
{
	REQUIRE_EQ(walk(env, NULL), 0);
}

static void closing_flows_are_seen(struct env *env)
{
	unsigned int n = populate(env, 6);
	struct fo_match match;

	OK(env, fo_flow_del(env->table, env->ids[1], NULL, &env->err));
	REQUIRE_EQ(walk(env, NULL), n);
	REQUIRE_EQ(seen.times[1], 1);
	FO_INIT(&match);
	match.mask = FO_MATCH_STATE;
	match.state = FO_STATE_CLOSING;
	REQUIRE_EQ(walk(env, &match), 1);
	REQUIRE_EQ(seen.times[1], 1);
}

/* Flows deleted on the way may be seen or not; the others exactly once. */
static void delete_while_walking(struct env *env)
{
	unsigned int n = populate(env, 60), i;

	seen.delete_nth = 3;
	walk(env, NULL);
	for (i = 0; i < n; i++)
		REQUIRE_EQ(seen.times[i], 1); /* deleted while visited: visited */
	seen.delete_nth = 0;
	env_settle(env);
	REQUIRE_EQ(walk(env, NULL), n - n / 3);
}

static void delete_others_while_walking(struct env *env)
{
	unsigned int n = populate(env, 60), i;

	seen.delete_next = 1;
	walk(env, NULL);
	for (i = 0; i < n; i++) {
		if (env->flows[i].life == MODEL_LIVE)
			REQUIRE_EQ(seen.times[i], 1);
		else
			REQUIRE(seen.times[i] <= 1);
	}
	seen.delete_next = 0;
	env_settle(env);
	for (i = 0; i < n; i++)
		REQUIRE_EQ(env_count_events(env, env->ids[i], FO_EV_DELETED),
			   env->flows[i].life != MODEL_LIVE);
}

static void callback_stops_the_walk(struct env *env)
{
	unsigned int n = populate(env, 20);

	seen.stop_after = n / 2;
	REQUIRE_EQ(walk(env, NULL), n / 2);
}

/* One flow of another kind among the usual ones, for the filters. */
static unsigned int special(struct env *env)
{
	struct fo_flow flow;
	struct fo_adj adj;

	populate(env, 5);
	connection(&flow, 4, 17, NAT_NONE, 77);
	side(&adj, DMZ, PLAIN);
	adj.l3_dev = 4242;
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, SPARE, PLAIN);
	flow.adj[1] = env_adj(env, &adj);
	flow.tag = 99;
	flow.scope = (env->caps.can & FO_CAP_SCOPE) && (env->rig->features & RIG_SCOPES) ? 12 : 0;
	return env_add(env, &flow);
}

static void only(struct env *env, struct fo_match *match, unsigned int n, const char *what)
{
	int rc;

	suite_context("%s", what);
	rc = walk(env, match);
	REQUIRE_EQ(rc, 1);
	REQUIRE_EQ(seen.times[n], 1);
	suite_context(NULL);
}

static void filters(struct env *env)
{
	unsigned int n = special(env);
	struct fo_match match;
	const struct model_flow *f = &env->flows[n];

	FO_INIT(&match);
	match.mask = FO_MATCH_TAG;
	match.tag = 99;
	only(env, &match, n, "tag");
	match.mask = FO_MATCH_PORT;
	match.port = DMZ;
	only(env, &match, n, "port");
	match.port = SPARE;
	only(env, &match, n, "port of the other side");
	match.mask = FO_MATCH_L3_DEV;
	match.l3_dev = 4242;
	only(env, &match, n, "l3_dev");
	match.l3_dev = SPARE; /* the other side's says 0: same as port */
	only(env, &match, n, "l3_dev from the port");
	match.mask = FO_MATCH_MAC;
	memcpy(match.mac, f->adj[1].peer_mac, 6);
	only(env, &match, n, "mac");
	match.mask = FO_MATCH_PROTO;
	match.proto = 17;
	only(env, &match, n, "proto");
	match.mask = FO_MATCH_ADJ;
	match.adj = f->flow.adj[0];
	only(env, &match, n, "adj");
	match.mask = FO_MATCH_PREFIX;
	match.family = 4;
	match.prefix_len = 32;
	memcpy(match.prefix, f->flow.tuple[0].src, 4);
	only(env, &match, n, "prefix /32");
	if (f->flow.scope) {
		match.mask = FO_MATCH_SCOPE;
		match.scope = 12;
		only(env, &match, n, "scope");
	}
	match.mask = FO_MATCH_TAG | FO_MATCH_PORT | FO_MATCH_PROTO;
	match.port = DMZ;
	only(env, &match, n, "three together");
	match.proto = 6;
	REQUIRE_EQ(walk(env, &match), 0); /* every bit must match */
}

static void prefix_lengths(struct env *env)
{
	unsigned int n = populate(env, 5), i;
	struct fo_match match;

	FO_INIT(&match);
	match.mask = FO_MATCH_PREFIX;
	match.family = 4;
	match.prefix_len = 0;
	REQUIRE_EQ(walk(env, &match), n); /* 0.0.0.0/0: all of the family */
	match.family = 6;
	REQUIRE_EQ(walk(env, &match), 0);
	match.family = 4;
	memcpy(match.prefix, env->flows[0].flow.tuple[0].src, 4);
	for (i = 1; i <= 32; i++) {
		unsigned int want = 0, j;

		/* clients are 10.1.1.(n): so many share this prefix */
		for (j = 0; j < n; j++) {
			const uint8_t *a = env->flows[j].flow.tuple[0].src;
			uint32_t x =
				((uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3]) ^
				((uint32_t)match.prefix[0] << 24 | (uint32_t)match.prefix[1] << 16 |
				 (uint32_t)match.prefix[2] << 8 | match.prefix[3]);

			want += !(x >> (32 - i));
		}
		match.prefix_len = (uint8_t)i;
		suite_context("/%u", i);
		REQUIRE_EQ(walk(env, &match), want);
	}
}

static const struct suite_case walk_cases[] = {
	{.name = "every_flow_exactly_once", .run = every_flow_once},
	{.name = "empty_table", .run = empty_table},
	{.name = "closing_flows_are_seen_too", .run = closing_flows_are_seen},
	{.name = "delete_the_visited_flow", .run = delete_while_walking},
	{.name = "delete_other_flows_while_walking", .run = delete_others_while_walking},
	{.name = "callback_stops_the_walk", .run = callback_stops_the_walk},
	{.name = "filters", .run = filters, .needs = FO_CAP_UDP},
	{.name = "prefix_lengths", .run = prefix_lengths},
};
SUITE_GROUP(group_walk, "walk", walk_cases);

/* ---- Batches --------------------------------------------------------------------------------- */

static void good_ones_are_in_effect(struct env *env)
{
	struct fo_flow flows[6];
	fo_flow_id ids[6];
	int results[6], rc;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		usual_flow(env, &flows[i], i);
		env_connect(env, &flows[i]);
	}
	flows[1].tuple[0].family = 9;
	flows[3] = flows[2];
	flows[4].adj[1] = 0x123456;
	memset(ids, 0xaa, sizeof(ids));
	memset(results, 0xaa, sizeof(results));
	memset(&env->err, 0, sizeof(env->err));
	rc = fo_flow_add_many(env->table, flows, 6, 0, ids, results, &env->err);
	REQUIRE_EQ(rc, 3);
	REQUIRE_EQ(results[0], 0);
	REQUIRE_EQ(results[1], -EINVAL);
	REQUIRE_EQ(results[2], 0);
	REQUIRE_EQ(results[3], -EEXIST);
	REQUIRE_EQ(results[4], -ENOENT);
	REQUIRE_EQ(results[5], 0);
	REQUIRE_EQ(env->err.code, -EINVAL); /* of the first item refused */
	for (i = 0; i < 6; i++)
		if (!results[i])
			env_know(env, &flows[i], ids[i]);
	env_settle(env);
	for (i = 0; i < 3; i++) {
		env_traffic(env, i, FO_ORIGINAL, 1);
		env_traffic(env, i, FO_REPLY, 1);
	}
}

static void stride_and_no_results(struct env *env)
{
	struct wide {
		struct fo_flow flow;
		uint8_t more[24];
	} flows[5];
	fo_flow_id ids[5];
	unsigned int i;

	memset(flows, 0xff, sizeof(flows));
	for (i = 0; i < 5; i++) {
		usual_flow(env, &flows[i].flow, i);
		env_connect(env, &flows[i].flow);
	}
	REQUIRE_EQ(fo_flow_add_many(env->table, &flows[0].flow, 5, sizeof(flows[0]), ids, NULL, NULL), 5);
	for (i = 0; i < 5; i++)
		env_know(env, &flows[i].flow, ids[i]);
	env_settle(env);
	for (i = 0; i < 5; i++)
		env_traffic(env, i, FO_REPLY, 1);
	REQUIRE_EQ(fo_flow_add_many(env->table, &flows[0].flow, 0, 0, NULL, NULL, NULL), 0);
	usual_flow(env, &flows[0].flow, 50);
	env_connect(env, &flows[0].flow);
	REQUIRE_EQ(fo_flow_add_many(env->table, &flows[0].flow, 1, 0, NULL, NULL, NULL), 1);
}

static void wrong_calls(struct env *env)
{
	struct fo_flow flow;
	fo_flow_id id;

	usual_flow(env, &flow, 0);
	REFUSED(env, fo_flow_add_many(env->table, NULL, 1, 0, &id, NULL, &env->err), -EINVAL, FO_R_ARGUMENT,
		"flows");
	REFUSED(env, fo_flow_add_many(env->table, &flow, 2, 4, &id, NULL, &env->err), -EINVAL, ANY_REASON,
		"stride");
	REFUSED(env, fo_flow_del_many(env->table, NULL, 1, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "ids");
}

static void delete_many(struct env *env)
{
	unsigned int n = env_room(env, 12), i;
	fo_flow_id ids[14];
	int results[14];

	for (i = 0; i < n; i++) {
		usual(env);
		env_traffic(env, i, FO_ORIGINAL, i);
		ids[i] = env->ids[i];
	}
	ids[n] = ids[0];
	ids[n + 1] = 0xdeadbeef;
	REQUIRE_EQ(fo_flow_del_many(env->table, ids, n + 2, results, NULL), n);
	for (i = 0; i < n + 2; i++)
		REQUIRE_EQ(results[i], i < n ? 0 : -ENOENT);
	for (i = 0; i < n; i++)
		env->flows[i].life = MODEL_CLOSING;
	for (i = 0; i < n; i++)
		env_ended(env, i, FO_EV_DELETED, FO_R_DELETED);
}

static void full_in_the_middle(struct env *env)
{
	unsigned int n = env->options.capacity, i;
	static struct fo_flow flows[24];
	fo_flow_id ids[24];
	int results[24];

	REQUIRE(n + 3 <= 24);
	for (i = 0; i < n + 3; i++) {
		usual_flow(env, &flows[i], i);
		env_connect(env, &flows[i]);
	}
	REQUIRE_EQ(fo_flow_add_many(env->table, flows, n + 3, 0, ids, results, NULL), n);
	for (i = 0; i < n + 3; i++)
		REQUIRE_EQ(results[i], i < n ? 0 : -ENOSPC);
	for (i = 0; i < n; i++)
		env_know(env, &flows[i], ids[i]);
	env_settle(env);
	for (i = 0; i < n; i++)
		env_traffic(env, i, FO_ORIGINAL, 1);
}

static void capacity_of_eight(struct env *env)
{
	env->options.capacity = env_room(env, 8);
}

static const struct suite_case batch_cases[] = {
	{.name = "good_ones_are_in_effect_bad_ones_are_named", .run = good_ones_are_in_effect},
	{.name = "stride_and_no_results", .run = stride_and_no_results},
	{.name = "wrong_calls_change_nothing", .run = wrong_calls},
	{.name = "delete_many_reports_per_item", .run = delete_many},
	{.name = "full_in_the_middle", .run = full_in_the_middle, .prepare = capacity_of_eight},
};
SUITE_GROUP(group_batch, "batch", batch_cases);
