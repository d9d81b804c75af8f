/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_states.c - the states of a flow: accepted is not yet short-cut where a backend needs
 * time, and what was ended in between stays ended. */
#include <errno.h>

#include "topology.h"

static unsigned int state_of(struct env *env, unsigned int n)
{
	struct fo_flow_info info;

	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, env->ids[n], &info, &env->err));
	return info.state;
}

static unsigned int add_without_waiting(struct env *env)
{
	struct fo_flow flow;
	fo_flow_id id;

	usual_flow(env, &flow, env->model.n_flows);
	env_connect(env, &flow);
	OK(env, fo_flow_add(env->table, &flow, &id, &env->err));
	return env_know(env, &flow, id);
}

/* ARMED until the backend says otherwise, with an event; a backend that needs no time is ACTIVE
 * when add returns. */
static void accepted_flow_reaches_the_short_cut(struct env *env)
{
	unsigned int n = add_without_waiting(env);
	unsigned int state = state_of(env, n);

	if (!(env->caps.can & FO_CAP_ASYNC_ADD)) {
		REQUIRE(env_short_cut(env, state));
		env_traffic(env, n, FO_ORIGINAL, 1);
		env_settle(env);
		REQUIRE_EQ(env_count_events(env, env->ids[n], FO_EV_STATE), 0);
		return;
	}
	REQUIRE_EQ(state, FO_STATE_ARMED);
	env_settle(env);
	state = state_of(env, n);
	REQUIRE(env_short_cut(env, state));
	REQUIRE_EQ(env_count_events(env, env->ids[n], FO_EV_STATE), 1);
	REQUIRE_EQ(env->events[env->n_events - 1].state, state);
	REQUIRE(env->events[env->n_events - 1].user == env->flows[n].flow.user);
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
}

/* The device's "done" may still be on its way when the flow is ended. */
static void deleted_while_being_added(struct env *env)
{
	unsigned int bystander = usual(env), i;

	for (i = 0; i < 8; i++) {
		unsigned int n = add_without_waiting(env);

		if (i & 1)
			env_polls(env, 1);
		OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
		env->flows[n].life = MODEL_CLOSING;
		env_ended(env, n, FO_EV_DELETED, FO_R_DELETED);
		env_polls(env, 30);
		env_quiet(env, n, FO_ORIGINAL, FO_R_NO_FLOW);
		env_quiet(env, n, FO_REPLY, FO_R_NO_FLOW);
		REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 1);
		REFUSED(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err), -ENOENT, FO_R_STALE,
			NULL);
		env_traffic(env, env_add(env, &env->flows[n].flow), FO_ORIGINAL, 1);
		env_delete(env, env->model.n_flows - 1);
		env->model.n_flows = bystander + 1;
	}
	env_traffic(env, bystander, FO_REPLY, 1);
	env_check_counters(env, bystander);
}

static void undisturbed_flow_never_falls_back(struct env *env)
{
	unsigned int n = usual(env), other = usual(env), i;
	unsigned int state = state_of(env, n);

	for (i = 0; i < 50; i++) {
		env_traffic(env, n, FO_ORIGINAL, 1);
		env_traffic(env, n, FO_REPLY, 1);
		env_polls(env, 2);
		if (i == 20)
			env_delete(env, other);
		REQUIRE_EQ(state_of(env, n), state);
	}
	REQUIRE_EQ(env_count_events(env, env->ids[n], FO_EV_FALLBACK), 0);
	REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 0);
}

static void many_flows(struct env *env)
{
	env->options.capacity = env_room(env, 600);
}

/* More flows than a device ends in one go: before any poll, not one packet goes to the port. */
static void port_down_stops_every_flow_at_once(struct env *env)
{
	unsigned int n = env->options.capacity, i;

	for (i = 0; i < n; i++) {
		usual(env);
		env_traffic(env, i, FO_ORIGINAL, 1);
	}
	env_port_set(env, WAN, FO_PORT_DOWN);
	for (i = 0; i < n; i++)
		env->flows[i].life = MODEL_EGRESS_DOWN;
	for (i = 0; i < n; i++) {
		env_quiet(env, i, FO_ORIGINAL, FO_R_NONE);
		env_quiet(env, i, FO_REPLY, FO_R_NONE);
	}
	for (i = 0; i < n; i++)
		env_ended(env, i, FO_EV_INVALIDATED, FO_R_EGRESS_DOWN);
}

static void every_name_is_a_word(struct env *env)
{
	unsigned int i, j;

	(void)env;
	for (i = 0; i < FO_R_MAX + 100; i++)
		REQUIRE(fo_reason_name(i) && *fo_reason_name(i) && fo_reason_text(i));
	for (i = 0; i < 100; i++)
		REQUIRE(fo_state_name(i) && fo_event_name(i) && fo_stage_name(i) && fo_cap_name(i));
	for (i = FO_STATE_ARMED; i <= FO_STATE_CLOSING; i++)
		for (j = FO_STATE_ARMED; j < i; j++)
			REQUIRE(strcmp(fo_state_name(i), fo_state_name(j)));
	REQUIRE(!strcmp(fo_reason_name(FO_R_NO_FLOW), "no-flow"));
	REQUIRE(!strcmp(fo_stage_name(FO_STAGE_VERIFY), "verify"));
}

static const struct suite_case states_cases[] = {
	{.name = "accepted_flow_reaches_the_short_cut", .run = accepted_flow_reaches_the_short_cut},
	{.name = "deleted_while_being_added_stays_deleted", .run = deleted_while_being_added},
	{.name = "undisturbed_flow_never_falls_back", .run = undisturbed_flow_never_falls_back},
	{.name = "port_down_stops_every_flow_at_once",
	 .run = port_down_stops_every_flow_at_once,
	 .prepare = many_flows},
	{.name = "every_name_is_a_word", .run = every_name_is_a_word},
};
SUITE_GROUP(group_states, "states", states_cases);
