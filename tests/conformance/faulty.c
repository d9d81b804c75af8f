/* SPDX-License-Identifier: BSD-2-Clause */
/* faulty.c - what becomes of flows while hardware fails. See faulty.h. */
#include "faulty.h"

#include <errno.h>

/* A refusal may be remembered, instead of asking for each flow of the kind. */
#define FORGET_MS 120000u
/* For a backend that answers later: a kernel may ask the driver again no more often than once a second. */
#define PATIENCE_MS 20000u

int faulty_answers_at_once(const struct env *env)
{
	return !(env->caps.can & FO_CAP_ASYNC_ADD);
}

/* May what is not so yet become so? */
static int may_change(const struct env *env, uint64_t since_ms)
{
	return !faulty_answers_at_once(env) && env_monotonic_ms() - since_ms < PATIENCE_MS;
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

/* Where the flows are, and what the hardware has. */
struct tally {
	unsigned int inside, half, rules;
};

/* With its entry of conntrack the connection is gone, where what the table ends takes that. */
static int is_over(const struct env *env, unsigned int n)
{
	const struct fo_event *end = faulty_end(env, n);

	return end && (end->kind == FO_EV_DELETED || end->kind == FO_EV_EXPIRED) &&
	       !(env->caps.can & FO_CAP_DELETE_KEEPS_CT);
}

static void take_tally(struct env *env, struct tally *tally)
{
	unsigned int n, d;

	memset(tally, 0, sizeof(*tally));
	for (n = 0; n < env->model.n_flows; n++) {
		enum faulty_place place = faulty_place(env, n);

		tally->inside += place == FAULTY_INSIDE;
		tally->half += place == FAULTY_HALF;
		for (d = 0; d < 2 && !is_over(env, n); d++) {
			int fast = env_arrive(env, n, (enum fo_dir)d);

			if (place == FAULTY_INSIDE && !fast)
				FAIL("flow %u is in hardware, but direction %u took the slow path", n, d);
			if (fast && env->flows[n].life == MODEL_GONE)
				FAIL("flow %u was refused, but direction %u took the short cut", n, d);
		}
	}
	tally->rules = env_rules(env);
}

unsigned int faulty_check(struct env *env)
{
	uint64_t began = env_monotonic_ms();
	struct tally tally;
	unsigned int least;

	for (;;) {
		take_tally(env, &tally);
		if (faulty_answers_at_once(env))
			REQUIRE_EQ(tally.half, 0);
		/* Of those that are said to be half there, each has a rule, and what is left are second ones. */
		least = 2 * tally.inside + tally.half;
		if (tally.rules >= least && tally.rules <= least + tally.half)
			return tally.inside + tally.rules - least;
		if (!may_change(env, began))
			FAIL("%u flows are in hardware and %u half, but it has %u rules", tally.inside,
			     tally.half, tally.rules);
		env_settle(env);
	}
}

void faulty_expect(struct env *env, unsigned int want)
{
	uint64_t began = env_monotonic_ms();
	unsigned int inside = faulty_check(env);

	while (inside != want && may_change(env, began)) {
		env_settle(env);
		inside = faulty_check(env);
	}
	REQUIRE_EQ(inside, want);
}

void faulty_expect_rules(struct env *env, unsigned int want)
{
	uint64_t began = env_monotonic_ms();
	unsigned int rules = env_rules(env);

	while (rules != want && may_change(env, began)) {
		env_polls(env, 1);
		rules = env_rules(env);
	}
	REQUIRE_EQ(rules, want);
}

void faulty_add_again(struct env *env, unsigned int n)
{
	unsigned int rules = env_rules(env), at = env_add(env, &env->flows[n].flow);

	env->flows[n] = env->flows[at];
	env->ids[n] = env->ids[at];
	env->model.n_flows--;
	REQUIRE(faulty_place(env, n) == FAULTY_INSIDE || !faulty_answers_at_once(env));
	faulty_expect_rules(env, rules + 2);
}

void faulty_mend_and_end(struct env *env)
{
	unsigned int n;

	env_fault(env, NULL);
	env_advance(env, FORGET_MS);
	for (n = 0; n < env->model.n_flows; n++)
		if (env->flows[n].life == MODEL_GONE)
			faulty_add_again(env, n);
	faulty_expect(env, env->model.n_flows);
	env_delete_every(env, 1);
	faulty_expect_rules(env, 0);
}
