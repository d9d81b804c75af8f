/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_forgetful.c - hardware that does not tell what it counted, or has lost it: counters and ageing. See faulty.h. */
#include "faulty.h"

/* What is known of flow n: it never goes back, nor beyond the truth. */
static void counters_only_rise(struct env *env, unsigned int n, struct fo_flow_counters *known)
{
	struct fo_flow_counters now;
	unsigned int d;

	FO_INIT(&now);
	OK(env, fo_flow_stats(env->table, env->ids[n], &now, &env->err));
	for (d = 0; d < 2; d++) {
		REQUIRE(now.packets[d] >= known->packets[d] && now.bytes[d] >= known->bytes[d]);
		if (now.flags & FO_STATS_INCLUDES_SLOW)
			continue;
		REQUIRE(now.packets[d] <= env->flows[n].packets[d]);
		REQUIRE(now.bytes[d] <= env->flows[n].bytes[d]);
	}
	REQUIRE(!(now.flags & FO_STATS_FINAL));
	*known = now;
}

/* All that the short cut carried and was not lost, at least, when it has had its time to be known. */
static void all_is_known(struct env *env, unsigned int n, const uint64_t lost[2])
{
	struct fo_flow_counters now;
	unsigned int d;

	env_advance(env, env->caps.age_granularity_ms);
	FO_INIT(&now);
	OK(env, fo_flow_stats(env->table, env->ids[n], &now, &env->err));
	for (d = 0; d < 2; d++) {
		REQUIRE(now.packets[d] >= env->flows[n].packets[d] - lost[d]);
		REQUIRE(now.bytes[d] > 0);
	}
}

/* Traffic, polls and readings under a fault of the statistics, and traffic after it. during: packets under the fault.
 * Returns what is known at last. */
static struct fo_flow_counters count_under(struct env *env, unsigned int n, unsigned int stats,
					   uint64_t during[2])
{
	const uint64_t none[2] = {0, 0};
	const struct rig_fault fault = {.stats = stats};
	struct fo_flow_counters known;
	unsigned int i;

	FO_INIT(&known);
	env_traffic(env, n, FO_ORIGINAL, 3);
	env_traffic(env, n, FO_REPLY, 2);
	env_check_counters(env, n);
	all_is_known(env, n, none);
	counters_only_rise(env, n, &known);
	memcpy(during, env->flows[n].packets, sizeof(none));
	env_fault(env, &fault);
	for (i = 0; i < 5; i++) {
		env_traffic(env, n, FO_ORIGINAL, 1);
		env_traffic(env, n, FO_REPLY, 1);
		env_advance(env, 5000);
		env_polls(env, 2);
		counters_only_rise(env, n, &known);
	}
	faulty_expect(env, 1);
	counters_only_rise(env, n, &known);
	for (i = 0; i < 2; i++)
		during[i] = env->flows[n].packets[i] - during[i];
	env_fault(env, NULL);
	env_traffic(env, n, FO_ORIGINAL, 4);
	counters_only_rise(env, n, &known);
	REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 0);
	return known;
}

/* What was not to be had comes later. */
static void statistics_refused(struct env *env)
{
	const uint64_t none[2] = {0, 0};
	unsigned int n = usual(env);
	uint64_t late[2];

	(void)count_under(env, n, RIG_STATS_REFUSED, late);
	all_is_known(env, n, none);
	env_check_counters(env, n);
	env_delete(env, n);
	faulty_expect_rules(env, 0);
}

/* Nobody can know what was lost; what comes after it is counted again. */
static void statistics_lost(struct env *env)
{
	uint64_t lost[2];
	unsigned int n = usual(env), d;
	struct fo_flow_counters known = count_under(env, n, RIG_STATS_LOST, lost), last;

	all_is_known(env, n, lost);
	for (d = 0; d < 2; d++)
		if (!(known.flags & FO_STATS_INCLUDES_SLOW))
			REQUIRE_EQ(known.packets[d], env->flows[n].packets[d] - lost[d]);
	FO_INIT(&last);
	OK(env, fo_flow_del(env->table, env->ids[n], &last, &env->err));
	env->flows[n].life = MODEL_CLOSING;
	if (last.flags & FO_STATS_FINAL)
		REQUIRE(last.packets[0] >= known.packets[0] && last.packets[1] >= known.packets[1]);
	env_settle(env);
	faulty_expect_rules(env, 0);
}

#define TIMEOUT_MS 30000u
/* Longer than all that these cases let pass; and a rig may know by it that its hardware is to tell in time. */
#define ENOUGH_MS 60000u

static void timeout_enough(struct env *env)
{
	env->options.timeout_tcp_ms = ENOUGH_MS;
}

static void short_timeout(struct env *env)
{
	env->options.timeout_tcp_ms = TIMEOUT_MS;
}

/* A flow whose counters stand still looks idle. It does not end before its timeout is over; when it ends it is for that
 * reason, whole, and said; its packets arrive all the while. Once they are counted again it lives. */
static void ageing_without_statistics(struct env *env)
{
	const struct rig_fault fault = {.stats = RIG_STATS_LOST};
	unsigned int n = usual(env), i;
	const struct fo_event *event;

	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
	env_advance(env, TIMEOUT_MS / 2);
	env_polls(env, 5);
	env_fault(env, &fault);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_advance(env, TIMEOUT_MS / 3);
	env_polls(env, 5);
	REQUIRE(!faulty_end(env, n));
	for (i = 0; i < 20 && !faulty_end(env, n); i++) {
		env_arrive(env, n, FO_ORIGINAL);
		env_advance(env, TIMEOUT_MS / 10);
		env_polls(env, 5);
	}
	event = faulty_end(env, n);
	if (event) {
		REQUIRE_EQ(event->kind, FO_EV_EXPIRED);
		REQUIRE_EQ(event->reason, FO_R_IDLE);
		REQUIRE(event->counters.flags & FO_STATS_FINAL);
		env->flows[n].life = MODEL_GONE;
		faulty_expect(env, 0);
	}
	env_fault(env, NULL);
	if (event)
		faulty_add_again(env, n);
	for (i = 0; i < 20; i++) {
		env_traffic(env, n, FO_ORIGINAL, 1);
		env_advance(env, TIMEOUT_MS / 4);
		env_polls(env, 2);
	}
	REQUIRE(!faulty_end(env, n));
	faulty_expect(env, 1);
}

static const struct suite_case forgetful_cases[] = {
	{.name = "statistics_are_refused_for_a_while",
	 .run = statistics_refused,
	 .prepare = timeout_enough,
	 .features = RIG_FAULTS},
	{.name = "statistics_are_lost_for_a_while",
	 .run = statistics_lost,
	 .prepare = timeout_enough,
	 .features = RIG_FAULTS},
	{.name = "ageing_without_statistics",
	 .run = ageing_without_statistics,
	 .prepare = short_timeout,
	 .features = RIG_FAULTS},
};
SUITE_GROUP(group_forgetful, "forgetful", forgetful_cases);
