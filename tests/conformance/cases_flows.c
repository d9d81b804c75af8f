/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_flows.c - rules 2, 3 and 4: both directions or none, duplicates, delete. */
#include <errno.h>

#include "topology.h"

static void both_directions_at_once(struct env *env)
{
	struct fo_table_counters stats;
	unsigned int n = usual(env);

	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 1);
	REQUIRE_EQ(stats.added, 1);
	env_traffic(env, n, FO_REPLY, 2);
	env_traffic(env, n, FO_ORIGINAL, 1);
}

/* A refused add leaves neither direction behind: neither its packets go, nor is its key taken. */
static void refused_add_leaves_nothing(struct env *env)
{
	unsigned int first = usual(env), d;
	struct fo_flow clash, after;
	struct packet_spec spec;
	struct rig_packet packet;

	usual_flow(env, &clash, 9);
	clash.tuple[1] =
		env->flows[first].flow.tuple[1]; /* the reply key is taken, the original one is free */
	env_add_refused(env, &clash, -EEXIST, FO_R_EXISTS, NULL);
	packet_spec_init(&spec, &clash.tuple[0], &env->flows[first].adj[0]);
	packet = env_frame(env, first, FO_ORIGINAL, &spec);
	env_pass(env, &packet, FO_R_NO_FLOW);
	for (d = 0; d < 2; d++)
		env_traffic(env, first, (enum fo_dir)d, 3);
	env_check_counters(env, first);
	usual_flow(env, &after, 9);
	env_traffic(env, env_add(env, &after), FO_ORIGINAL, 1);
}

static void info_says_what_was_added(struct env *env)
{
	struct fo_flow flow;
	struct fo_flow_info info;
	unsigned int n;

	usual_flow(env, &flow, 5);
	flow.tag = 0xfeed;
	flow.user = UINT64_MAX;
	flow.ct_mark = 0x80000001u;
	flow.timeout_ms = (env->caps.can & FO_CAP_PER_FLOW_TIMEOUT) ? 123450 : 0;
	n = env_add(env, &flow);
	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, env->ids[n], &info, &env->err));
	REQUIRE_EQ(info.size, sizeof(info));
	REQUIRE(info.id == env->ids[n]);
	REQUIRE(!memcmp(info.flow.tuple, flow.tuple, sizeof(flow.tuple)));
	REQUIRE(info.flow.adj[0] == flow.adj[0] && info.flow.adj[1] == flow.adj[1]);
	REQUIRE_EQ(info.flow.tag, flow.tag);
	REQUIRE(info.flow.user == flow.user);
	REQUIRE_EQ(info.flow.ct_mark, flow.ct_mark);
	REQUIRE_EQ(info.flow.timeout_ms, flow.timeout_ms ? flow.timeout_ms : ENV_PATIENT_MS);
	REQUIRE_EQ(info.flow.scope, 0);
	REQUIRE_EQ(info.reason, info.state == FO_STATE_PARTIAL ? FO_R_NOT_IN_HARDWARE : FO_R_NONE);
	if (env->rig->features & RIG_CLOCK)
		REQUIRE_EQ(info.since_ms, env->rig->now_ms(env->state));
}

/* The caller may throw its structs away. */
static void what_is_passed_is_copied(struct env *env)
{
	struct fo_flow flow;
	struct fo_adj adj;
	unsigned int n;

	usual_flow(env, &flow, 0);
	n = env_add(env, &flow);
	memset(&flow, 0xff, sizeof(flow));
	memset(&adj, 0xff, sizeof(adj));
	memset(env->ports, 0xff, sizeof(env->ports));
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, n, FO_REPLY, 2);
}

static void find_by_key(struct env *env)
{
	unsigned int n = usual(env), d;
	struct fo_key key;
	fo_flow_id id = 0;
	enum fo_dir dir;

	for (d = 0; d < 2; d++) {
		FO_INIT(&key);
		key.tuple = env->flows[n].flow.tuple[d];
		key.port = env->flows[n].adj[d].port;
		dir = (enum fo_dir)(1 - d);
		OK(env, fo_flow_find(env->table, &key, &id, &dir, &env->err));
		REQUIRE(id == env->ids[n]);
		REQUIRE_EQ(dir, d);
		OK(env, fo_flow_find(env->table, &key, &id, NULL, &env->err));
		key.port = FO_PORT_ANY;
		OK(env, fo_flow_find(env->table, &key, &id, &dir, &env->err));
		REQUIRE(id == env->ids[n]);
		key.scope = 1;
		REFUSED(env, fo_flow_find(env->table, &key, &id, &dir, &env->err), -ENOENT, ANY_REASON, NULL);
		key.scope = 0;
		key.port = DMZ;
		REFUSED(env, fo_flow_find(env->table, &key, &id, &dir, &env->err), -ENOENT, ANY_REASON, NULL);
		key.port = env->flows[n].adj[d].port;
		key.tuple.src[3] ^= 1;
		REFUSED(env, fo_flow_find(env->table, &key, &id, &dir, &env->err), -ENOENT, ANY_REASON, NULL);
	}
}

static const struct suite_case add_cases[] = {
	{.name = "both_directions_at_once", .run = both_directions_at_once},
	{.name = "refused_add_leaves_nothing", .run = refused_add_leaves_nothing},
	{.name = "info_says_what_was_added", .run = info_says_what_was_added},
	{.name = "what_is_passed_is_copied", .run = what_is_passed_is_copied},
	{.name = "find_by_key", .run = find_by_key},
};
SUITE_GROUP(group_add, "add", add_cases);

/* ---- Duplicates ------------------------------------------------------------------------------ */

static void same_flow_twice(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow again;

	env_traffic(env, n, FO_ORIGINAL, 2);
	again = env->flows[n].flow;
	again.user = 1;
	again.tag = 1;
	env_add_refused(env, &again, -EEXIST, FO_R_EXISTS, NULL);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, n, FO_REPLY, 2);
	env_check_counters(env, n);
}

static void original_key_taken(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow other;

	usual_flow(env, &other, 3);
	other.tuple[0] = env->flows[n].flow.tuple[0];
	env_add_refused(env, &other, -EEXIST, FO_R_EXISTS, NULL);
	env_traffic(env, n, FO_ORIGINAL, 1);
}

/* The new flow's reply key is the old one's original key, and the other way round. */
static void crossed_keys(struct env *env)
{
	struct fo_flow flow, crossed;
	struct fo_adj adj;
	unsigned int n, i;

	connection(&flow, 4, 17, NAT_NONE, 0);
	between(env, &flow);
	n = env_add(env, &flow);
	for (i = 0; i < 2; i++) {
		crossed = flow;
		crossed.tuple[0] = flow.tuple[1];
		crossed.tuple[1] = flow.tuple[0];
		crossed.adj[0] = flow.adj[1];
		crossed.adj[1] = flow.adj[0];
		if (i) { /* one key crossed, the other elsewhere */
			side(&adj, DMZ, PLAIN);
			crossed.adj[1] = env_adj(env, &adj);
		}
		env_add_refused(env, &crossed, -EEXIST, FO_R_EXISTS, NULL);
	}
	env_traffic(env, n, FO_REPLY, 1);
	env_traffic(env, n, FO_ORIGINAL, 1);
}

/* Adjacencies may differ in everything but port and tags: the key is the same. Where sides stand on devices, two of them on
 * one differ in their neighbours alone. */
static void another_adjacency_same_ingress(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow other = env->flows[n].flow;
	struct fo_adj adj;

	side(&adj, LAN, PLAIN);
	adj.peer_mac[5] = 0x78;
	if (!env->rig->side) {
		adj.own_mac[5] = 0x77;
		adj.mtu = 1400;
		adj.l3_dev = 99;
	}
	other.adj[0] = env_adj(env, &adj);
	env_add_refused(env, &other, -EEXIST, FO_R_EXISTS, NULL);
	env_traffic(env, n, FO_ORIGINAL, 1);
}

static void other_ingress_is_another_key(struct env *env)
{
	unsigned int n = usual(env), m;
	struct fo_flow other = env->flows[n].flow;
	struct fo_adj adj;

	side(&adj, DMZ, PLAIN);
	other.adj[0] = env_adj(env, &adj);
	/* the reply key is still the same */
	env_add_refused(env, &other, -EEXIST, FO_R_EXISTS, NULL);
	side(&adj, SPARE, PLAIN);
	other.adj[1] = env_adj(env, &adj);
	m = env_add(env, &other);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, m, FO_ORIGINAL, 3);
	env_check_counters(env, n);
	env_check_counters(env, m);
}

static void key_is_free_after_the_end(struct env *env)
{
	unsigned int n = usual(env), i;

	for (i = 0; i < 5; i++) {
		struct fo_flow flow = env->flows[n].flow;
		fo_flow_id old = env->ids[n];

		env_traffic(env, n, FO_ORIGINAL, i + 1);
		env_delete(env, n);
		n = env_add(env, &flow);
		REQUIRE(env->ids[n] != old);
		env_check_counters(env, n);
		REFUSED(env, fo_flow_del(env->table, old, NULL, &env->err), -ENOENT, FO_R_STALE, NULL);
	}
}

static const struct suite_case duplicates_cases[] = {
	{.name = "add_same_flow_twice_keeps_the_first", .run = same_flow_twice},
	{.name = "original_key_taken", .run = original_key_taken},
	{.name = "crossed_keys", .run = crossed_keys, .needs = FO_CAP_IPV4 | FO_CAP_UDP},
	{.name = "another_adjacency_same_ingress_is_the_same_key", .run = another_adjacency_same_ingress},
	{.name = "other_ingress_is_another_key",
	 .run = other_ingress_is_another_key,
	 .needs = FO_CAP_INGRESS},
	{.name = "key_is_free_after_the_end", .run = key_is_free_after_the_end},
};
SUITE_GROUP(group_duplicates, "duplicates", duplicates_cases);

/* ---- Delete ---------------------------------------------------------------------------------- */

static void delete_ends_both_directions(struct env *env)
{
	unsigned int n = usual(env), other = usual(env);

	env_traffic(env, n, FO_ORIGINAL, 3);
	env_traffic(env, n, FO_REPLY, 2);
	env_delete(env, n);
	env_advance(env, env->caps.delete_bound_ms);
	env_polls(env, 2);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NO_FLOW);
	env_quiet(env, n, FO_REPLY, FO_R_NO_FLOW);
	env_traffic(env, other, FO_ORIGINAL, 1);
	env_traffic(env, other, FO_REPLY, 1);
}

/* From the moment that the bound is over, without a single poll. */
static void delete_needs_no_poll(struct env *env)
{
	unsigned int n = usual(env);

	env_traffic(env, n, FO_ORIGINAL, 1);
	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	env->flows[n].life = MODEL_CLOSING;
	env_advance(env, env->caps.delete_bound_ms);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NONE);
	env_quiet(env, n, FO_REPLY, FO_R_NONE);
	env_ended(env, n, FO_EV_DELETED, FO_R_DELETED);
}

/* last == NULL: CLOSING, the key stays taken until the event has brought the final counters. */
static void delete_without_last_closes(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow_info info;
	struct fo_flow_counters c;
	struct fo_table_counters stats;

	env_traffic(env, n, FO_REPLY, 4);
	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, env->ids[n], &info, &env->err));
	REQUIRE_EQ(info.state, FO_STATE_CLOSING);
	REQUIRE_EQ(info.reason, FO_R_DELETED);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 0);
	REQUIRE_EQ(stats.closing, 1);
	env_add_refused(env, &env->flows[n].flow, -EBUSY, FO_R_KEY_CLOSING, NULL);
	FO_INIT(&c);
	REFUSED(env, fo_flow_del(env->table, env->ids[n], &c, &env->err), -ENOENT, ANY_REASON, NULL);
	env->flows[n].life = MODEL_CLOSING;
	env_ended(env, n, FO_EV_DELETED, FO_R_DELETED);
	REFUSED(env, fo_flow_get(env->table, env->ids[n], &info, &env->err), -ENOENT, FO_R_STALE, NULL);
	REFUSED(env, fo_flow_stats(env->table, env->ids[n], &c, &env->err), -ENOENT, FO_R_STALE, NULL);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.closing, 0);
	REQUIRE_EQ(stats.ended[FO_EV_DELETED - FO_EV_DELETED], 1);
	env_add(env, &env->flows[n].flow);
}

/* With last: either FINAL at once and no event, or CLOSING and one event; never both, never
 * neither. */
static void final_counters_come_once(struct env *env)
{
	unsigned int i, n = env_room(env, 16);

	for (i = 0; i < n; i++)
		usual(env);
	for (i = 0; i < n; i++) {
		env_traffic(env, i, FO_ORIGINAL, i % 5);
		env_traffic(env, i, FO_REPLY, i % 3);
	}
	env_delete_all(env);
	env_polls(env, 50);
	REQUIRE_EQ(env_count_ends(env), 0);
}

static void stale_and_invented_handles(struct env *env)
{
	static const fo_flow_id invented[] = {0, 1, UINT64_MAX, 0x100000000u, 0xffffffffu, UINT64_C(1) << 63};
	unsigned int n = usual(env), i;
	struct fo_flow_counters c;
	struct fo_flow_info info;
	struct fo_flow flow = env->flows[n].flow;

	FO_INIT(&c);
	FO_INIT(&info);
	for (i = 0; i < sizeof(invented) / sizeof(invented[0]) + 64; i++) {
		/* one bit off a good handle, too */
		fo_flow_id id = i < 64 ? env->ids[n] ^ (UINT64_C(1) << i) : invented[i - 64];

		if (id == env->ids[n])
			continue;
		REFUSED(env, fo_flow_del(env->table, id, &c, &env->err), -ENOENT, FO_R_STALE, NULL);
		REFUSED(env, fo_flow_get(env->table, id, &info, &env->err), -ENOENT, FO_R_STALE, NULL);
		REFUSED(env, fo_flow_stats(env->table, id, &c, &env->err), -ENOENT, FO_R_STALE, NULL);
		if (env->caps.can & FO_CAP_FLOW_UPDATE)
			REFUSED(env, fo_flow_update(env->table, id, FO_UPDATE_TAG, &flow, &env->err), -ENOENT,
				FO_R_STALE, NULL);
	}
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_check_counters(env, n);
}

/* The handle of a flow that has ended is never another flow, however often its slot is used
 * again. */
static void old_handles_stay_stale(struct env *env)
{
	fo_flow_id old[200];
	unsigned int i, j;

	for (i = 0; i < 200; i++) {
		old[i] = env->ids[usual(env)];
		for (j = 0; j < i; j++)
			REQUIRE(old[i] != old[j]);
		if (env->model.n_flows == env_room(env, 1 + i / 20))
			env_delete_all(env);
	}
	env_delete_all(env);
	usual(env);
	for (i = 0; i < 200; i++)
		REFUSED(env, fo_flow_del(env->table, old[i], NULL, &env->err), -ENOENT, FO_R_STALE, NULL);
	env_traffic(env, 0, FO_ORIGINAL, 1);
}

static const struct suite_case delete_cases[] = {
	{.name = "delete_ends_both_directions_and_no_other_flow", .run = delete_ends_both_directions},
	{.name = "delete_needs_no_poll", .run = delete_needs_no_poll},
	{.name = "delete_without_last_closes_until_polled", .run = delete_without_last_closes},
	{.name = "final_counters_come_exactly_once", .run = final_counters_come_once},
	{.name = "stale_and_invented_handles_are_refused", .run = stale_and_invented_handles},
	{.name = "old_handles_stay_stale", .run = old_handles_stay_stale},
};
SUITE_GROUP(group_delete, "delete", delete_cases);
