/* SPDX-License-Identifier: BSD-2-Clause */
/* env_poll.c - letting time pass: polls, events, waiting for an end, counters. See env.h. */
#include "env.h"

#include <stdlib.h>
#include <time.h>

#define MANY_POLLS 20000u
/* Less than any lease by far. */
#define LEASE_POLL_MS 1000u
/* What may be passed over in one wait: some rounds of a table's own, and no timeout of a case. */
#define PASS_MOST_MS 2000u

static void keep_event(void *arg, const struct fo_event *event)
{
	struct env *env = arg;

	if (env->n_events == env->max_events) {
		unsigned int max = env->max_events ? env->max_events * 2 : 64;
		struct fo_event *bigger = realloc(env->events, max * sizeof(*bigger));

		if (!bigger)
			abort();
		env->events = bigger;
		env->max_events = max;
	}
	env->events[env->n_events++] = *event;
}

uint64_t env_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void env_poll_limited(struct env *env, unsigned int max_events)
{
	unsigned int before = env->n_events;
	int rc;

	env->polled_ms = env_monotonic_ms();
	if (env->rig->settle)
		env->rig->settle(env->state);
	rc = fo_table_poll(env->table, max_events, 0, keep_event, env, &env->err);
	if (rc < 0)
		FAIL("fo_table_poll returned %d: %s", rc, env->err.text);
	REQUIRE_EQ(rc, env->n_events - before);
}

void env_keep_lease(struct env *env)
{
	if ((env->caps.can & FO_CAP_CRASH_LEASE) && env_monotonic_ms() - env->polled_ms >= LEASE_POLL_MS)
		env_poll_limited(env, 0);
}

void env_polls(struct env *env, unsigned int n)
{
	while (n--)
		env_poll_limited(env, 0);
}

static int ignore_info(void *arg, const struct fo_flow_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static unsigned int in_state(struct env *env, unsigned int state)
{
	struct fo_match match;
	int n;

	FO_INIT(&match);
	match.mask = FO_MATCH_STATE;
	match.state = (uint8_t)state;
	n = fo_flow_walk(env->table, &match, ignore_info, NULL, &env->err);
	if (n < 0)
		FAIL("fo_flow_walk returned %d: %s", n, env->err.text);
	return (unsigned int)n;
}

/* Until the table wants the next poll. passed: in this wait until now. */
static void pass(const struct env *env, uint64_t *passed)
{
	if (env->rig->pass)
		*passed += env->rig->pass(env->state, PASS_MOST_MS - *passed);
}

void env_settle(struct env *env)
{
	struct fo_table_counters stats;
	uint64_t passed = 0;
	unsigned int i;

	for (i = 0; i < MANY_POLLS; i++) {
		env_polls(env, 1);
		env_stats(env, &stats);
		if (!stats.closing && (!(env->caps.can & FO_CAP_ASYNC_ADD) || !in_state(env, FO_STATE_ARMED)))
			return;
		pass(env, &passed);
	}
	FAIL("%llu flows still closing, %u armed after %u polls", (unsigned long long)stats.closing,
	     in_state(env, FO_STATE_ARMED), MANY_POLLS);
}

void env_advance(struct env *env, uint64_t ms)
{
	env->rig->advance(env->state, ms);
}

unsigned int env_count_events(const struct env *env, fo_flow_id id, unsigned int kind)
{
	unsigned int n = 0, i;

	for (i = 0; i < env->n_events; i++)
		if (env->events[i].flow == id &&
		    (kind ? env->events[i].kind == kind : FO_EV_IS_TERMINAL(env->events[i].kind)))
			n++;
	return n;
}

unsigned int env_count_ends(const struct env *env)
{
	unsigned int n = 0, i;

	for (i = 0; i < env->n_events; i++)
		n += FO_EV_IS_TERMINAL(env->events[i].kind);
	return n;
}

static const struct fo_event *terminal(const struct env *env, fo_flow_id id)
{
	unsigned int i;

	for (i = 0; i < env->n_events; i++)
		if (env->events[i].flow == id && FO_EV_IS_TERMINAL(env->events[i].kind))
			return &env->events[i];
	return NULL;
}

const struct fo_event *env_ended(struct env *env, unsigned int flow, unsigned int kind, unsigned int reason)
{
	const struct model_flow *f = &env->flows[flow];
	const struct fo_event *event = NULL;
	uint64_t passed = 0;
	unsigned int i;

	for (i = 0; i < MANY_POLLS && !event; i++) {
		env_polls(env, 1);
		event = terminal(env, env->ids[flow]);
		if (!event)
			pass(env, &passed);
	}
	if (!event)
		FAIL("no terminal event of flow %u after %u polls (should be %s)", flow, MANY_POLLS,
		     fo_event_name(kind));
	if (event->kind != kind)
		FAIL("event %s (%s), should be %s", fo_event_name(event->kind), fo_reason_name(event->reason),
		     fo_event_name(kind));
	if (event->reason != reason)
		FAIL("event %s with reason %s, should be %s", fo_event_name(kind),
		     fo_reason_name(event->reason), fo_reason_name(reason));
	REQUIRE_EQ(event->size, sizeof(*event));
	REQUIRE_EQ(event->user, f->flow.user);
	REQUIRE_EQ(event->tag, f->flow.tag);
	env_check_final(env, flow, &event->counters);
	REQUIRE_EQ(env_count_events(env, env->ids[flow], 0), 1);
	env->flows[flow].life = MODEL_GONE;
	return event;
}

static void check_numbers(const struct env *env, unsigned int flow, const struct fo_flow_counters *c)
{
	const struct model_flow *f = &env->flows[flow];
	unsigned int d;

	if (c->flags & FO_STATS_INCLUDES_SLOW)
		return; /* what the slow path carried is in them; the bytes cases compare what is left */
	for (d = 0; d < 2; d++) {
		/* An aggregate is one packet, whether the flags say that there may be some or not. */
		if ((c->flags & FO_STATS_PACKETS) && c->packets[d] != f->packets[d])
			FAIL("flow %u direction %u counted %llu packets, should be %llu", flow, d,
			     (unsigned long long)c->packets[d], (unsigned long long)f->packets[d]);
		if ((c->flags & FO_STATS_BYTES) && !(c->flags & FO_STATS_L2_MIXED) &&
		    c->bytes[d] != f->bytes[d])
			FAIL("flow %u direction %u counted %llu bytes, should be %llu", flow, d,
			     (unsigned long long)c->bytes[d], (unsigned long long)f->bytes[d]);
		if ((c->flags & FO_STATS_LAST_SEEN) && (env->rig->features & RIG_CLOCK) &&
		    (c->last_seen_ms[d] < f->last_seen_ms[d] ||
		     c->last_seen_ms[d] > f->last_seen_ms[d] + env->caps.age_granularity_ms))
			FAIL("flow %u direction %u last seen %llu, should be %llu", flow, d,
			     (unsigned long long)c->last_seen_ms[d], (unsigned long long)f->last_seen_ms[d]);
	}
	if ((env->caps.can & FO_CAP_COUNTERS_FAST) &&
	    (c->flags & (FO_STATS_PACKETS | FO_STATS_BYTES)) != (FO_STATS_PACKETS | FO_STATS_BYTES))
		FAIL("the backend says counters-fast, but packets and bytes are not known (flags 0x%x)",
		     c->flags);
}

void env_check_counters(struct env *env, unsigned int flow)
{
	struct fo_flow_counters c;

	FO_INIT(&c);
	OK(env, fo_flow_stats(env->table, env->ids[flow], &c, &env->err));
	check_numbers(env, flow, &c);
}

void env_check_final(struct env *env, unsigned int flow, const struct fo_flow_counters *counters)
{
	if (!(counters->flags & FO_STATS_FINAL))
		FAIL("last counters of flow %u do not say FINAL", flow);
	check_numbers(env, flow, counters);
}

/* Has it to be waited for? */
static int begin_delete(struct env *env, unsigned int flow)
{
	struct fo_flow_counters last;

	FO_INIT(&last);
	OK(env, fo_flow_del(env->table, env->ids[flow], &last, &env->err));
	if (last.flags & FO_STATS_FINAL) {
		env_check_final(env, flow, &last);
		env->flows[flow].life = MODEL_GONE;
		env_settle(env);
		REQUIRE_EQ(env_count_events(env, env->ids[flow], 0), 0);
		return 0;
	}
	env->flows[flow].life = MODEL_CLOSING;
	return 1;
}

void env_delete(struct env *env, unsigned int flow)
{
	if (begin_delete(env, flow))
		env_ended(env, flow, FO_EV_DELETED, FO_R_DELETED);
}

void env_delete_every(struct env *env, unsigned int step)
{
	unsigned int i;

	for (i = 0; i < env->model.n_flows; i += step)
		if (env->flows[i].life == MODEL_LIVE)
			(void)begin_delete(env, i);
	for (i = 0; i < env->model.n_flows; i += step)
		if (env->flows[i].life == MODEL_CLOSING)
			env_ended(env, i, FO_EV_DELETED, FO_R_DELETED);
}

void env_delete_all(struct env *env)
{
	env_delete_every(env, 1);
	env->model.n_flows = 0;
	env->n_events = 0;
}

void env_stats(struct env *env, struct fo_table_counters *out)
{
	FO_INIT(out);
	OK(env, fo_stats(env->table, out, &env->err));
}
