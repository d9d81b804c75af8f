/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_events.c - FIN and RST close a flow; one terminal event per flow, whoever polls when. */
#include <errno.h>

#include "topology.h"

static struct packet_frame frames[ENV_BURST];

static void burst_of(struct env *env, unsigned int n, const enum fo_dir *dirs, const uint8_t *flags,
		     unsigned int count)
{
	struct rig_packet packets[ENV_BURST];
	struct packet_spec spec;
	unsigned int i;

	for (i = 0; i < count; i++) {
		env_spec(env, n, dirs[i], &spec);
		spec.tcp_flags = flags[i];
		spec.payload_len = i;
		packet_build(&spec, &frames[i]);
		env_packet(&packets[i], &frames[i], env->flows[n].adj[dirs[i]].port);
	}
	env_burst(env, packets, count);
}

/* The packet itself passes, and so does all that follows, in both directions. */
static void closes(struct env *env, uint8_t flags, enum fo_dir dir, unsigned int reason)
{
	unsigned int n = usual(env), other = usual(env);
	struct packet_spec spec;
	struct rig_packet packet;
	struct fo_flow_info info;

	env_traffic(env, n, FO_ORIGINAL, 3);
	env_traffic(env, n, FO_REPLY, 2);
	env_spec(env, n, dir, &spec);
	spec.tcp_flags = flags;
	packet = env_frame(env, n, dir, &spec);
	env_pass(env, &packet, reason);
	REQUIRE_EQ(env->flows[n].life, MODEL_CLOSING);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NONE);
	env_quiet(env, n, FO_REPLY, FO_R_NONE);
	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, env->ids[n], &info, &env->err));
	env_ended(env, n, FO_EV_CLOSED, reason);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NO_FLOW);
	env_traffic(env, other, FO_ORIGINAL, 1);
	env_add(env, &env->flows[n].flow);
}

static void fin_original(struct env *env)
{
	closes(env, TCP_FIN | TCP_ACK, FO_ORIGINAL, FO_R_TCP_FIN);
}
static void fin_reply(struct env *env)
{
	closes(env, TCP_FIN | TCP_ACK, FO_REPLY, FO_R_TCP_FIN);
}
static void rst_original(struct env *env)
{
	closes(env, TCP_RST, FO_ORIGINAL, FO_R_TCP_RST);
}
static void rst_reply(struct env *env)
{
	closes(env, TCP_RST | TCP_ACK, FO_REPLY, FO_R_TCP_RST);
}

static void later_in_the_same_burst(struct env *env)
{
	static const enum fo_dir dirs[8] = {0, 1, 0, 1, 0, 1, 0, 1};
	static const uint8_t flags[8] = {TCP_ACK, TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK,
					 TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK};
	unsigned int n = usual(env);

	burst_of(env, n, dirs, flags, 8);
	REQUIRE_EQ(env->flows[n].packets[0], 2);
	REQUIRE_EQ(env->flows[n].packets[1], 1);
	env_ended(env, n, FO_EV_CLOSED, FO_R_TCP_FIN);
}

/* A FIN that is not for this flow (other port, other MAC, expired TTL) closes nothing. */
static void forged_fin_closes_nothing(struct env *env)
{
	unsigned int n = usual(env), i;

	for (i = 0; i < 4; i++) {
		struct packet_spec spec;
		struct rig_packet packet;

		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.tcp_flags = i & 1 ? TCP_RST : TCP_FIN | TCP_ACK;
		if (i < 2)
			spec.dst_mac[5] ^= 1;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		if (i >= 2)
			packet.in_port = DMZ;
		env_pass(env, &packet, i < 2 ? FO_R_WRONG_MAC : FO_R_WRONG_INGRESS);
	}
	env_polls(env, 50);
	env_traffic(env, n, FO_ORIGINAL, 1);
	REQUIRE_EQ(env_count_ends(env), 0);
}

static void delete_of_a_closing_flow(struct env *env)
{
	static const enum fo_dir dirs[1] = {FO_REPLY};
	static const uint8_t flags[1] = {TCP_RST};
	unsigned int n = usual(env);
	struct fo_flow_counters last;
	int rc;

	env_traffic(env, n, FO_ORIGINAL, 2);
	burst_of(env, n, dirs, flags, 1);
	FO_INIT(&last);
	rc = fo_flow_del(env->table, env->ids[n], &last, &env->err);
	/* Nobody polled, so the library may not know of the RST yet: either answer is right, but
	 * the final counters come once: with the call, or with one event. */
	if (rc == 0 && (last.flags & FO_STATS_FINAL)) {
		env_check_final(env, n, &last);
		env_polls(env, 50);
		REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 0);
		return;
	}
	REQUIRE(rc == 0 || rc == -ENOENT);
	env_polls(env, 200);
	REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 1);
	env_check_final(env, n, &env->events[env->n_events - 1].counters);
}

#define PUNTS (FO_CAP_TCP | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST)

static const struct suite_case closing_cases[] = {
	{.name = "fin_in_original_direction", .run = fin_original, .needs = PUNTS},
	{.name = "fin_in_reply_direction", .run = fin_reply, .needs = PUNTS},
	{.name = "rst_in_original_direction", .run = rst_original, .needs = PUNTS},
	{.name = "rst_in_reply_direction", .run = rst_reply, .needs = PUNTS},
	{.name = "later_packets_of_the_same_burst_pass",
	 .run = later_in_the_same_burst,
	 .needs = PUNTS,
	 .features = RIG_BURSTS},
	{.name = "forged_fin_closes_nothing",
	 .run = forged_fin_closes_nothing,
	 .needs = PUNTS | FO_CAP_PUNT_MAC | FO_CAP_INGRESS},
	{.name = "delete_of_a_closing_flow", .run = delete_of_a_closing_flow, .needs = PUNTS},
};
SUITE_GROUP(group_closing, "closing", closing_cases);

/* ---- Events ---------------------------------------------------------------------------------- */

/* A consumer that takes one event at a time loses none. */
static void slow_consumer_loses_none(struct env *env)
{
	unsigned int n = env_room(env, 40), i, before;

	for (i = 0; i < n; i++) {
		usual(env);
		env_traffic(env, i, FO_ORIGINAL, i % 4);
	}
	for (i = 0; i < n; i++) {
		OK(env, fo_flow_del(env->table, env->ids[i], NULL, &env->err));
		env->flows[i].life = MODEL_CLOSING;
	}
	OK(env, fo_table_sync(env->table, 10000, &env->err));
	for (i = 0; i < 20000 && env_count_ends(env) < n; i++) {
		before = env->n_events;
		env_poll_limited(env, 1);
		REQUIRE(env->n_events <= before + 1);
	}
	for (i = 0; i < n; i++) {
		REQUIRE_EQ(env_count_events(env, env->ids[i], 0), 1);
		REQUIRE_EQ(env_count_events(env, env->ids[i], FO_EV_DELETED), 1);
	}
	env_polls(env, 50);
	REQUIRE_EQ(env_count_ends(env), n);
	for (i = 0; i < n; i++)
		env_ended(env, i, FO_EV_DELETED, FO_R_DELETED);
}

/* What the callback found, judged after the poll. */
struct inside {
	struct env *env;
	unsigned int n;
	int get_rc, explain_rc, stats_rc, add_rc, poll_rc, sync_rc, del_rc;
	uint16_t poll_reason;
	struct fo_flow_info info;
	struct fo_flow fresh;
	fo_flow_id fresh_id;
};

static void look_inside(void *arg, const struct fo_event *event)
{
	struct inside *in = arg;
	struct fo_explanation ex;
	struct fo_flow_counters c;
	struct fo_error err = {0};

	if (!FO_EV_IS_TERMINAL(event->kind))
		return;
	in->n++;
	FO_INIT(&in->info);
	in->get_rc = fo_flow_get(in->env->table, event->flow, &in->info, NULL);
	FO_INIT(&ex);
	in->explain_rc = fo_flow_explain(in->env->table, event->flow, NULL, &ex, NULL);
	FO_INIT(&c);
	in->stats_rc = fo_flow_stats(in->env->table, event->flow, &c, NULL);
	in->del_rc = fo_flow_del(in->env->table, event->flow, NULL, NULL);
	in->add_rc = fo_flow_add(in->env->table, &in->fresh, &in->fresh_id, NULL);
	in->poll_rc = fo_table_poll(in->env->table, 0, 0, NULL, NULL, &err);
	in->poll_reason = err.reason;
	in->sync_rc = fo_table_sync(in->env->table, 0, NULL);
	fo_table_destroy(in->env->table); /* ignored here */
}

static void callback_may_call_the_api(struct env *env)
{
	unsigned int n = usual(env), i;
	struct inside in;

	memset(&in, 0, sizeof(in));
	in.env = env;
	env_traffic(env, n, FO_ORIGINAL, 2);
	usual_flow(env, &in.fresh, 500);
	env_connect(env, &in.fresh);
	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	for (i = 0; i < 20000 && !in.n; i++) {
		if (env->rig->settle)
			env->rig->settle(env->state);
		REQUIRE(fo_table_poll(env->table, 0, 0, look_inside, &in, &env->err) >= 0);
	}
	REQUIRE_EQ(in.n, 1);
	REQUIRE_EQ(in.get_rc, 0); /* valid inside the callback */
	REQUIRE_EQ(in.info.state, FO_STATE_CLOSING);
	REQUIRE_EQ(in.explain_rc, 0);
	REQUIRE_EQ(in.stats_rc, 0);
	REQUIRE_EQ(in.del_rc, -ENOENT); /* ending already */
	REQUIRE_EQ(in.add_rc, 0);
	REQUIRE_EQ(in.poll_rc, -EINVAL);
	REQUIRE_EQ(in.poll_reason, FO_R_CALL_ORDER);
	REQUIRE(in.sync_rc < 0);
	REFUSED(env, fo_flow_get(env->table, env->ids[n], &in.info, &env->err), -ENOENT, FO_R_STALE, NULL);
	env->flows[n].life = MODEL_GONE;
	n = env_know(env, &in.fresh, in.fresh_id);
	env_settle(env);
	env_traffic(env, n, FO_ORIGINAL, 1);
}

static void null_callback_drops_events(struct env *env)
{
	unsigned int n = usual(env), i;
	struct fo_table_counters stats;

	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	env->flows[n].life = MODEL_GONE;
	for (i = 0; i < 20000; i++) {
		if (env->rig->settle)
			env->rig->settle(env->state);
		REQUIRE(fo_table_poll(env->table, 0, 0, NULL, NULL, &env->err) >= 0);
		env_stats(env, &stats);
		if (!stats.closing)
			break;
	}
	REQUIRE_EQ(stats.closing, 0);
	env_add(env, &env->flows[n].flow);
}

static void counts_by_kind(struct env *env)
{
	struct fo_table_counters stats;
	struct fo_flow_counters last;
	unsigned int i;
	uint64_t final = 0;

	for (i = 0; i < 6; i++)
		usual(env);
	for (i = 0; i < 2; i++) {
		OK(env, fo_flow_del(env->table, env->ids[i], NULL, &env->err));
		env->flows[i].life = MODEL_CLOSING;
		env_ended(env, i, FO_EV_DELETED, FO_R_DELETED);
	}
	FO_INIT(&last);
	OK(env, fo_flow_del(env->table, env->ids[2], &last, &env->err));
	final = (last.flags & FO_STATS_FINAL) != 0;
	env->flows[2].life = MODEL_CLOSING;
	{
		struct fo_match m;

		FO_INIT(&m);
		OK(env, fo_invalidate(env->table, &m, &env->err));
	}
	for (i = 3; i < 6; i++) {
		env->flows[i].life = MODEL_INVALIDATED;
		env_ended(env, i, FO_EV_INVALIDATED, FO_R_INVALIDATED);
	}
	env_settle(env);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.added, 6);
	REQUIRE_EQ(stats.ended[0], 2 + !final);
	REQUIRE_EQ(stats.ended[7], final);
	REQUIRE_EQ(stats.ended[FO_EV_INVALIDATED - FO_EV_DELETED], 3);
	REQUIRE_EQ(stats.flows, 0);
}

/* The device forgets everything: each flow ends with one event, and all may be added again. */
static void device_loses_all(struct env *env)
{
	unsigned int n, i;

	if (!env->rig->reset)
		suite_skip(0, "this device cannot lose its flows");
	n = env_room(env, 6);
	for (i = 0; i < n; i++)
		usual(env);
	if (env->rig->reset(env->state))
		FAIL("the rig could not reset its device");
	for (i = 0; i < n; i++)
		env->flows[i].life = MODEL_CLOSING;
	for (i = 0; i < n; i++)
		env_ended(env, i, FO_EV_LOST, FO_R_LOST);
	for (i = 0; i < n; i++)
		env_traffic(env, env_add(env, &env->flows[i].flow), FO_ORIGINAL, 1);
}

static const struct suite_case events_cases[] = {
	{.name = "slow_consumer_loses_none", .run = slow_consumer_loses_none},
	{.name = "callback_may_call_the_api", .run = callback_may_call_the_api},
	{.name = "null_callback_drops_events", .run = null_callback_drops_events},
	{.name = "ended_flows_are_counted_by_kind", .run = counts_by_kind},
	{.name = "device_loses_all_flows", .run = device_loses_all},
};
SUITE_GROUP(group_events, "events", events_cases);
