/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_counters.c - rules 6, 7 and 8: counters, idle timeouts, a full table. */
#include <errno.h>

#include "topology.h"

static void l3_bytes_per_direction(struct env *env)
{
	struct fo_flow_counters c;
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int n = usual(env);

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.payload_len = 100;
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	env_forward(env, &packet);
	env_spec(env, n, FO_REPLY, &spec);
	spec.payload_len = 0;
	spec.padding = 6;
	packet = env_frame(env, n, FO_REPLY, &spec);
	env_forward(env, &packet);
	env_forward(env, &packet);
	FO_INIT(&c);
	OK(env, fo_flow_stats(env->table, env->ids[n], &c, &env->err));
	REQUIRE_EQ(c.size, sizeof(c));
	REQUIRE_EQ(c.packets[0], 1);
	REQUIRE_EQ(c.packets[1], 2);
	REQUIRE_EQ(c.bytes[0], 140);
	REQUIRE_EQ(c.bytes[1], 80);
	REQUIRE(!(c.flags & FO_STATS_FINAL));
}

static void reading_has_no_side_effect(struct env *env)
{
	unsigned int n = usual(env), i;
	struct fo_table_counters stats;
	struct fo_flow_info info;

	for (i = 0; i < 40; i++) {
		env_traffic(env, n, i & 1 ? FO_REPLY : FO_ORIGINAL, i % 4);
		env_check_counters(env, n);
		env_check_counters(env, n);
		env_stats(env, &stats);
		FO_INIT(&info);
		OK(env, fo_flow_get(env->table, env->ids[n], &info, &env->err));
		REQUIRE_EQ(info.counters.packets[0], env->flows[n].packets[0]);
		REQUIRE_EQ(info.counters.bytes[1], env->flows[n].bytes[1]);
	}
	env_delete(env, n);
}

static void passed_packets_are_counted_by_reason(struct env *env)
{
	struct fo_table_counters before, after;
	unsigned int n = usual(env), i, d;
	struct packet_spec spec;
	struct rig_packet packet;

	env_stats(env, &before);
	env_traffic(env, n, FO_ORIGINAL, 5);
	env_traffic(env, n, FO_REPLY, 3);
	for (i = 0; i < 4; i++) {
		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.ttl = 1;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		env_pass(env, &packet, FO_R_TTL);
	}
	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.tuple.src[3] ^= 0x80;
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	env_pass(env, &packet, FO_R_NO_FLOW);
	env_stats(env, &after);
	for (d = 0; d < FO_R_PACKET_MAX; d++)
		REQUIRE_EQ(after.passed[d] - before.passed[d], d == FO_R_TTL ? 4 : d == FO_R_NO_FLOW ? 1 : 0);
	if (after.flags & FO_STATS_PACKETS)
		REQUIRE_EQ(after.forwarded_packets - before.forwarded_packets, 8);
	if (after.flags & FO_STATS_BYTES)
		REQUIRE_EQ(after.forwarded_bytes - before.forwarded_bytes,
			   env->flows[n].bytes[0] + env->flows[n].bytes[1]);
}

/* The table's sums keep what ended flows carried. */
static void table_sums_include_ended_flows(struct env *env)
{
	struct fo_table_counters stats;
	uint64_t packets = 0, bytes = 0;
	unsigned int i, n;

	for (i = 0; i < 30; i++) {
		n = usual(env);
		env_traffic(env, n, FO_ORIGINAL, 1 + i % 4);
		env_traffic(env, n, FO_REPLY, i % 3);
		packets += env->flows[n].packets[0] + env->flows[n].packets[1];
		bytes += env->flows[n].bytes[0] + env->flows[n].bytes[1];
		if (i % 3)
			env_delete(env, n);
		if (i % 3)
			env->model.n_flows--;
		if (i % 5 == 0)
			env_settle(env);
		if (env->model.n_flows >= env_room(env, 8)) {
			env_delete(env, --env->model.n_flows);
		}
	}
	for (i = 0; i < env->model.n_flows; i++)
		env_check_counters(env, i); /* and with it, what a device still has is fetched */
	env_stats(env, &stats);
	if (stats.flags & FO_STATS_PACKETS)
		REQUIRE_EQ(stats.forwarded_packets, packets);
	if (stats.flags & FO_STATS_BYTES)
		REQUIRE_EQ(stats.forwarded_bytes, bytes);
	REQUIRE(stats.flags & FO_STATS_PACKETS);
}

static void gso_frame_is_one_packet(struct env *env)
{
	unsigned int n = usual(env);
	struct packet_spec spec;
	struct rig_packet packet;
	struct fo_flow_counters c;

	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.payload_len = 14000;
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	packet.flags = FO_PKT_GSO | FO_PKT_CSUM_PARTIAL;
	packet.gso_size = 1400;
	packet.csum_start = 34;
	packet.csum_offset = 16;
	env_forward(env, &packet);
	FO_INIT(&c);
	OK(env, fo_flow_stats(env->table, env->ids[n], &c, &env->err));
	REQUIRE_EQ(c.packets[0], 1);
	REQUIRE_EQ(c.bytes[0], 14040);
}

static void last_seen_is_the_packets_time(struct env *env)
{
	unsigned int n = usual(env), i;
	struct fo_flow_counters c;

	FO_INIT(&c);
	OK(env, fo_flow_stats(env->table, env->ids[n], &c, &env->err));
	if (!(c.flags & FO_STATS_LAST_SEEN))
		suite_skip(0, "the backend does not know when a packet was last seen");
	for (i = 0; i < 10; i++) {
		env_advance(env, 7);
		env_traffic(env, n, i & 1 ? FO_ORIGINAL : FO_REPLY, 1);
		env_polls(env, 1);
		env_check_counters(env, n);
	}
}

static const struct suite_case counters_cases[] = {
	{.name = "l3_bytes_per_direction", .run = l3_bytes_per_direction, .needs = FO_CAP_COUNTERS_FAST},
	{.name = "reading_has_no_side_effect",
	 .run = reading_has_no_side_effect,
	 .needs = FO_CAP_COUNTERS_FAST},
	{.name = "passed_packets_are_counted_by_reason",
	 .run = passed_packets_are_counted_by_reason,
	 .needs = FO_CAP_WORKER,
	 .features = RIG_REASONS},
	{.name = "table_sums_include_ended_flows",
	 .run = table_sums_include_ended_flows,
	 .needs = FO_CAP_COUNTERS_FAST},
	{.name = "gso_frame_counts_as_one_packet",
	 .run = gso_frame_is_one_packet,
	 .needs = FO_CAP_COUNTERS_FAST,
	 .features = RIG_META},
	{.name = "last_seen_is_the_packets_time",
	 .run = last_seen_is_the_packets_time,
	 .features = RIG_CLOCK},
};
SUITE_GROUP(group_counters, "counters", counters_cases);

/* ---- Idle ------------------------------------------------------------------------------------ */

static void short_timeouts(struct env *env)
{
	env->options.timeout_tcp_ms = 30000;
	env->options.timeout_udp_ms = 10000;
	env->options.timeout_icmp_ms = 5000;
}

/* Enough polls for any slice to have come round. */
static void many_polls(struct env *env)
{
	env_polls(env, 300);
}

static void stays(struct env *env, unsigned int n)
{
	many_polls(env);
	if (env_count_events(env, env->ids[n], 0))
		FAIL("flow %u ended too early", n);
	env_check_counters(env, n);
}

static void ends_idle(struct env *env, unsigned int n)
{
	env_ended(env, n, FO_EV_EXPIRED, FO_R_IDLE);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NO_FLOW);
	env_quiet(env, n, FO_REPLY, FO_R_NO_FLOW);
}

static void timeouts_by_protocol(struct env *env)
{
	uint64_t late = env->caps.age_granularity_ms;
	unsigned int tcp = plain(env, 4, 6, NAT_SRC, 0), udp = plain(env, 4, 17, NAT_SRC, 1),
		     icmp = plain(env, 4, 1, NAT_SRC, 2);
	uint64_t start = env->rig->now_ms(env->state);

	env_advance(env, 4999);
	stays(env, icmp);
	env_advance(env, 1 + late);
	ends_idle(env, icmp);
	env_advance(env, start + 9999 - env->rig->now_ms(env->state));
	stays(env, udp);
	env_advance(env, 1 + late);
	ends_idle(env, udp);
	env_advance(env, start + 29999 - env->rig->now_ms(env->state));
	stays(env, tcp);
	env_advance(env, 1 + late);
	ends_idle(env, tcp);
}

static void one_direction_keeps_both(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0), i;

	for (i = 0; i < 12; i++) {
		env_advance(env, 9000);
		stays(env, n);
		env_traffic(env, n, i < 6 ? FO_ORIGINAL : FO_REPLY, 1);
	}
	env_advance(env, 9999);
	stays(env, n);
	env_advance(env, 1 + env->caps.age_granularity_ms);
	ends_idle(env, n);
}

static void per_flow_timeout(struct env *env)
{
	struct fo_flow flow;
	unsigned int brief, forever, i;

	connection(&flow, 4, 17, NAT_SRC, 0);
	between(env, &flow);
	flow.timeout_ms = 1500;
	brief = env_add(env, &flow);
	connection(&flow, 4, 17, NAT_SRC, 1);
	between(env, &flow);
	flow.timeout_ms = FO_TIMEOUT_NEVER;
	forever = env_add(env, &flow);
	env_advance(env, 1499);
	stays(env, brief);
	env_advance(env, 1 + env->caps.age_granularity_ms);
	ends_idle(env, brief);
	for (i = 0; i < 5; i++) {
		env_advance(env, 0x7fffffff); /* 24 days each: past what 32 bits of milliseconds hold */
		stays(env, forever);
	}
	env_traffic(env, forever, FO_ORIGINAL, 1);
}

/* What a backend passes on is no life sign of the short cut. */
static void passed_packets_keep_nothing_alive(struct env *env)
{
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0);
	struct packet_spec spec;
	struct rig_packet packet;

	env_advance(env, 9000);
	env_spec(env, n, FO_ORIGINAL, &spec);
	spec.ttl = 1;
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	env_pass(env, &packet, FO_R_TTL);
	env_advance(env, 1000 + env->caps.age_granularity_ms);
	ends_idle(env, n);
}

static void deadline_says_when(struct env *env)
{
	uint64_t now, deadline;
	unsigned int n = plain(env, 4, 17, NAT_SRC, 0), i;

	for (i = 0; i < 10000 && !env_count_events(env, env->ids[n], 0); i++) {
		now = env->rig->now_ms(env->state);
		deadline = fo_table_deadline(env->table);
		REQUIRE(deadline != UINT64_MAX); /* a flow with a timeout is work to come */
		if (deadline > now)
			env_advance(env, deadline - now);
		env_polls(env, 1);
	}
	/* polled only when the deadline said so, it still ended in time */
	REQUIRE_EQ(env_count_events(env, env->ids[n], FO_EV_EXPIRED), 1);
	now = env->rig->now_ms(env->state);
	if (now - env->flows[n].last_seen_ms[0] > 10000u + env->caps.age_granularity_ms)
		FAIL("ended %llu ms after its last packet",
		     (unsigned long long)(now - env->flows[n].last_seen_ms[0]));
}

static const struct suite_case idle_cases[] = {
	{.name = "timeouts_by_protocol",
	 .run = timeouts_by_protocol,
	 .prepare = short_timeouts,
	 .needs = FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO,
	 .features = RIG_CLOCK},
	{.name = "one_direction_keeps_both_alive",
	 .run = one_direction_keeps_both,
	 .prepare = short_timeouts,
	 .needs = FO_CAP_UDP,
	 .features = RIG_CLOCK},
	{.name = "per_flow_timeout_and_never",
	 .run = per_flow_timeout,
	 .prepare = short_timeouts,
	 .needs = FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_UDP,
	 .features = RIG_CLOCK},
	{.name = "passed_packets_keep_nothing_alive",
	 .run = passed_packets_keep_nothing_alive,
	 .prepare = short_timeouts,
	 .needs = FO_CAP_UDP,
	 .features = RIG_CLOCK},
	{.name = "deadline_says_when_to_poll",
	 .run = deadline_says_when,
	 .prepare = short_timeouts,
	 .needs = FO_CAP_UDP,
	 .features = RIG_CLOCK},
};
SUITE_GROUP(group_idle, "idle", idle_cases);

/* ---- Full ------------------------------------------------------------------------------------ */

static void small_capacity(struct env *env)
{
	env->options.capacity = env_room(env, 10);
}

static void full_refuses_and_evicts_nothing(struct env *env)
{
	unsigned int n = env->options.capacity, i, round;
	struct fo_flow flow;
	struct fo_table_counters stats;

	for (i = 0; i < n; i++)
		usual(env);
	for (round = 0; round < 3; round++) {
		usual_flow(env, &flow, 1000 + round);
		env_add_refused(env, &flow, -ENOSPC, FO_R_FULL, NULL);
	}
	env_stats(env, &stats);
	REQUIRE_EQ(stats.capacity, n);
	REQUIRE_EQ(stats.flows, n);
	for (i = 0; i < n; i++) {
		env_traffic(env, i, FO_ORIGINAL, 2);
		env_traffic(env, i, FO_REPLY, 1);
		env_check_counters(env, i);
	}
	env_polls(env, 20);
	REQUIRE_EQ(env_count_ends(env), 0);
}

static void room_after_a_delete(struct env *env)
{
	unsigned int n = env->options.capacity, i, round;
	struct fo_flow flow;

	for (i = 0; i < n; i++)
		usual(env);
	for (round = 0; round < 20; round++) {
		unsigned int victim = round % n;

		env_delete(env, victim);
		usual_flow(env, &flow, 2000 + round);
		env_traffic(env, env_add(env, &flow), FO_ORIGINAL, 1);
		/* it is as full as before */
		usual_flow(env, &flow, 3000);
		env_add_refused(env, &flow, -ENOSPC, FO_R_FULL, NULL);
		env->ids[victim] = env->ids[env->model.n_flows - 1];
		env->flows[victim] = env->flows[env->model.n_flows - 1];
		env->model.n_flows--;
	}
}

/* A closing flow counts against capacity until its event was delivered. */
static void closing_flows_count(struct env *env)
{
	unsigned int n = env->options.capacity, i;
	struct fo_flow flow;
	fo_flow_id id;
	int rc;

	for (i = 0; i < n; i++)
		usual(env);
	OK(env, fo_flow_del(env->table, env->ids[0], NULL, &env->err));
	usual_flow(env, &flow, 100);
	rc = fo_flow_add(env->table, &flow, &id, &env->err);
	if (rc != -ENOSPC && rc != -EAGAIN)
		FAIL("returned %d while a closing flow still held its slot", rc);
	env->flows[0].life = MODEL_CLOSING;
	env_ended(env, 0, FO_EV_DELETED, FO_R_DELETED);
	env_add(env, &flow);
}

static const struct suite_case full_cases[] = {
	{.name = "full_refuses_and_evicts_nothing",
	 .run = full_refuses_and_evicts_nothing,
	 .prepare = small_capacity},
	{.name = "room_after_a_delete", .run = room_after_a_delete, .prepare = small_capacity},
	{.name = "closing_flows_count_until_polled", .run = closing_flows_count, .prepare = small_capacity},
};
SUITE_GROUP(group_full, "full", full_cases);
