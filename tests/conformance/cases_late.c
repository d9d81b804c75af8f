/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_late.c - backends that answer later (FO_CAP_ASYNC_ADD) or by slices: what is not in effect yet must not be seen, and
 * what was called off must stop at once, however much of it there is. Neighbour: cases_states.c.
 */
#include "topology.h"

/* fo_flow_add() and nothing more: what the backend does with it is still to come. */
static unsigned int add_unsettled(struct env *env, unsigned int n)
{
	struct fo_flow flow;
	fo_flow_id id = 0;

	usual_flow(env, &flow, n);
	env_connect(env, &flow);
	OK(env, fo_flow_add(env->table, &flow, &id, &env->err));
	return env_know(env, &flow, id);
}

static unsigned int state_of(struct env *env, unsigned int flow)
{
	struct fo_flow_info info;

	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, env->ids[flow], &info, &env->err));
	return info.state;
}

static void both_quiet(struct env *env, unsigned int flow)
{
	env_quiet(env, flow, FO_ORIGINAL, FO_R_NONE);
	env_quiet(env, flow, FO_REPLY, FO_R_NONE);
}

/* The slow path carries an armed flow, both directions; then both take the short cut from the same moment on. */
static void armed_flow_is_not_short_cut(struct env *env)
{
	unsigned int n = add_unsettled(env, 0), polls;

	REQUIRE_EQ(state_of(env, n), FO_STATE_ARMED);
	for (polls = 0; state_of(env, n) == FO_STATE_ARMED; polls++) {
		REQUIRE(polls < 20000);
		env->flows[n].life = MODEL_CLOSING; /* for the model: passes */
		both_quiet(env, n);
		env_polls(env, 1);
	}
	env->flows[n].life = MODEL_LIVE;
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
	env_polls(env, 10);
	REQUIRE_EQ(env_count_events(env, env->ids[n], FO_EV_STATE), 1);
	env_check_counters(env, n);
}

/* A reset takes what was under way too: the armed flow is lost, the one being deleted is deleted. */
static void reset_takes_what_is_under_way(struct env *env)
{
	unsigned int armed, deleted;

	if (!env->rig->reset)
		suite_skip(0, "this device cannot lose its flows");
	deleted = usual(env);
	env_traffic(env, deleted, FO_ORIGINAL, 2);
	armed = add_unsettled(env, 1);
	OK(env, fo_flow_del(env->table, env->ids[deleted], NULL, &env->err));
	if (env->rig->reset(env->state))
		FAIL("the rig could not reset its device");
	env->flows[armed].life = MODEL_CLOSING;
	env->flows[deleted].life = MODEL_CLOSING;
	both_quiet(env, armed);
	env_ended(env, armed, FO_EV_LOST, FO_R_LOST);
	env_ended(env, deleted, FO_EV_DELETED, FO_R_DELETED);
	env_traffic(env, env_add(env, &env->flows[armed].flow), FO_REPLY, 1);
}

/* More flows than any slice: "from the next burst on" is said of all of them. */
static void all_stop_at_once(struct env *env, void (*stop)(struct env *env), enum model_life life)
{
	unsigned int n = env_room(env, 200), i;

	for (i = 0; i < n; i++)
		usual(env);
	stop(env);
	for (i = 0; i < n; i++) {
		env->flows[i].life = life;
		both_quiet(env, i);
	}
}

static void wan_goes_down(struct env *env)
{
	env_port_set(env, WAN, FO_PORT_DOWN);
}

static void wan_is_invalidated(struct env *env)
{
	struct fo_match match;

	FO_INIT(&match);
	match.mask = FO_MATCH_PORT;
	match.port = WAN;
	OK(env, fo_invalidate(env->table, &match, &env->err));
}

static void port_down_stops_all(struct env *env)
{
	all_stop_at_once(env, wan_goes_down, MODEL_EGRESS_DOWN);
}

static void invalidate_stops_all(struct env *env)
{
	all_stop_at_once(env, wan_is_invalidated, MODEL_INVALIDATED);
}

static void room_for_many(struct env *env)
{
	env->options.capacity = env_room(env, 256);
}

static const struct suite_case late_cases[] = {
	{.name = "armed_flow_is_not_short_cut",
	 .run = armed_flow_is_not_short_cut,
	 .needs = FO_CAP_ASYNC_ADD},
	{.name = "reset_takes_what_is_under_way",
	 .run = reset_takes_what_is_under_way,
	 .needs = FO_CAP_ASYNC_ADD},
	{.name = "port_down_stops_every_flow_at_once", .run = port_down_stops_all, .prepare = room_for_many},
	{.name = "invalidate_stops_every_flow_at_once",
	 .run = invalidate_stops_all,
	 .prepare = room_for_many},
};
SUITE_GROUP(group_late, "late", late_cases);
