/* SPDX-License-Identifier: BSD-2-Clause */
/* faulty.c - what becomes of flows while hardware fails. See faulty.h. */
#include "faulty.h"

#include <errno.h>

/* A refusal may be remembered, instead of asking for each flow of the kind. */
#define FORGET_MS 120000u

int faulty_answers_at_once(const struct env *env)
{
	return !(env->caps.can & FO_CAP_ASYNC_ADD);
}

void faulty_connected(struct env *env, struct fo_flow *flow, unsigned int n)
{
	usual_flow(env, flow, n);
	env_connect(env, flow);
}

const struct fo_event *faulty_end(const struct env *env, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < env->n_events; i++)
		if (env->events[i].flow == env->ids[n] && FO_EV_IS_TERMINAL(env->events[i].kind))
			return &env->events[i];
	return NULL;
}

/* The table took it, and the hardware did not: an event says so, and why. */
static void was_refused(struct env *env, unsigned int n)
{
	const struct fo_event *event = faulty_end(env, n);

	REQUIRE(event && event->kind == FO_EV_REFUSED);
	REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 1);
	REQUIRE(event->reason != FO_R_NONE && event->backend_errno > 0);
	env->flows[n].life = MODEL_GONE;
}

enum faulty_place faulty_place(struct env *env, unsigned int n)
{
	struct fo_flow_info info;

	if (env->flows[n].life == MODEL_GONE)
		return FAULTY_OUTSIDE;
	FO_INIT(&info);
	if (fo_flow_get(env->table, env->ids[n], &info, NULL) == -ENOENT) {
		was_refused(env, n);
		return FAULTY_OUTSIDE;
	}
	if (info.state == FO_STATE_HARDWARE) {
		REQUIRE_EQ(info.reason, FO_R_NONE);
		return FAULTY_INSIDE;
	}
	if (info.reason == FO_R_NONE)
		FAIL("flow %u is %s, and nothing says why", n, fo_state_name(info.state));
	REQUIRE(env_count_events(env, env->ids[n], FO_EV_STATE) +
		env_count_events(env, env->ids[n], FO_EV_FALLBACK));
	return info.state == FO_STATE_PARTIAL ? FAULTY_HALF : FAULTY_OUTSIDE;
}

unsigned int faulty_check(struct env *env)
{
	unsigned int n, d, inside = 0, half = 0, rules;

	for (n = 0; n < env->model.n_flows; n++) {
		enum faulty_place place = faulty_place(env, n);

		inside += place == FAULTY_INSIDE;
		half += place == FAULTY_HALF;
		for (d = 0; d < 2; d++) {
			int fast = env_arrive(env, n, (enum fo_dir)d);

			if (place == FAULTY_INSIDE && !fast)
				FAIL("flow %u is in hardware, but direction %u took the slow path", n, d);
			if (fast && env->flows[n].life == MODEL_GONE)
				FAIL("flow %u was refused, but direction %u took the short cut", n, d);
		}
	}
	rules = env_rules(env);
	if (rules < 2 * inside + half || rules > 2 * (inside + half))
		FAIL("%u flows are in hardware and %u half, but it has %u rules", inside, half, rules);
	if (faulty_answers_at_once(env))
		REQUIRE_EQ(half, 0);
	return inside;
}

void faulty_add_again(struct env *env, unsigned int n)
{
	unsigned int at = env_add(env, &env->flows[n].flow);

	env->flows[n] = env->flows[at];
	env->ids[n] = env->ids[at];
	env->model.n_flows--;
	REQUIRE_EQ(faulty_place(env, n), FAULTY_INSIDE);
}

void faulty_mend_and_end(struct env *env)
{
	unsigned int n;

	env_fault(env, NULL);
	env_advance(env, FORGET_MS);
	for (n = 0; n < env->model.n_flows; n++) {
		if (env->flows[n].life == MODEL_GONE)
			faulty_add_again(env, n);
		env_arrive(env, n, FO_ORIGINAL);
		env_arrive(env, n, FO_REPLY);
		env_delete(env, n);
	}
	REQUIRE_EQ(env_rules(env), 0);
}
