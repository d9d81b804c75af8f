/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_devices.c - rule 11 and promise 3: ports that go down or away, fo_invalidate(). */
#include <errno.h>

#include "topology.h"

/* Before any poll: nothing is short-cut to the port, nothing is lost in a black hole. */
static void ends_with_its_port(struct env *env, unsigned int state)
{
	unsigned int n = usual(env), d;
	struct fo_flow other;
	struct fo_adj adj;
	unsigned int bystander;

	connection(&other, 4, 6, NAT_NONE, 50);
	other.adj[0] = env->adj_ids[0];
	side(&adj, DMZ, PLAIN);
	other.adj[1] = env_adj(env, &adj);
	bystander = env_add(env, &other);
	for (d = 0; d < 2; d++)
		env_traffic(env, n, (enum fo_dir)d, 2);
	env_port_set(env, WAN, state);
	env->flows[n].life = MODEL_EGRESS_DOWN;
	env_quiet(env, n, FO_ORIGINAL, FO_R_EGRESS_DOWN);
	env_quiet(env, n, FO_REPLY, FO_R_NONE);
	env_traffic(env, bystander, FO_ORIGINAL, 1);
	env_ended(env, n, FO_EV_INVALIDATED, FO_R_EGRESS_DOWN);
	env_quiet(env, n, FO_ORIGINAL, FO_R_NO_FLOW);
	env_polls(env, 50);
	env_traffic(env, bystander, FO_REPLY, 1);
	env_check_counters(env, bystander);
}

static void port_down(struct env *env)
{
	ends_with_its_port(env, FO_PORT_DOWN);
}
static void port_gone(struct env *env)
{
	ends_with_its_port(env, FO_PORT_GONE);
}

static void no_flow_to_a_dead_port(struct env *env)
{
	struct fo_flow flow;

	usual_flow(env, &flow, 0);
	env_port_set(env, WAN, FO_PORT_DOWN);
	env_add_refused(env, &flow, -ENODEV, ANY_REASON, NULL);
	env_port_set(env, WAN, FO_PORT_UP);
	env_traffic(env, env_add(env, &flow), FO_ORIGINAL, 1);
}

/* After DOWN and UP the same connection may be added again at once, also while the old one is
 * closing down. */
static void up_again(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow flow = env->flows[n].flow;

	env_port_set(env, LAN, FO_PORT_DOWN);
	env->flows[n].life = MODEL_EGRESS_DOWN;
	env_port_set(env, LAN, FO_PORT_UP);
	env_quiet(env, n, FO_REPLY, FO_R_NONE); /* it was ended; coming back does not revive it */
	env_ended(env, n, FO_EV_INVALIDATED, FO_R_EGRESS_DOWN);
	n = env_add(env, &flow);
	env_traffic(env, n, FO_REPLY, 1);
}

static void up_adds_a_port(struct env *env)
{
	struct fo_adj adj;
	struct fo_flow flow;
	fo_adj_id id;

	side(&adj, 17, PLAIN);
	REFUSED(env, fo_adj_add(env->table, &adj, &id, &env->err), -ENODEV, FO_R_PORT, "port");
	env_port_set(env, 17, FO_PORT_UP);
	connection(&flow, 4, 6, NAT_NONE, 0);
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, WAN, PLAIN);
	flow.adj[1] = env_adj(env, &adj);
	env_traffic(env, env_add(env, &flow), FO_ORIGINAL, 1);
}

static void wrong_port_calls(struct env *env)
{
	struct fo_port port;

	FO_INIT(&port);
	port.port = 33;
	port.state = FO_PORT_DOWN;
	REFUSED(env, fo_port_set(env->table, &port, &env->err), -ENODEV, FO_R_PORT, "port");
	port.port = 0;
	port.state = FO_PORT_UP;
	REFUSED(env, fo_port_set(env->table, &port, &env->err), -EINVAL, ANY_REASON, "port");
	port.port = LAN;
	port.state = 3;
	REFUSED(env, fo_port_set(env->table, &port, &env->err), -EINVAL, FO_R_ARGUMENT, "state");
	port.state = 0;
	port.size = 1;
	REFUSED(env, fo_port_set(env->table, &port, &env->err), -EINVAL, FO_R_SIZE, "size");
	REFUSED(env, fo_port_set(env->table, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "port");
}

static const struct suite_case devices_cases[] = {
	{.name = "port_down_ends_its_flows_with_an_event", .run = port_down},
	{.name = "port_gone_ends_its_flows_with_an_event", .run = port_gone},
	{.name = "no_flow_to_a_dead_port", .run = no_flow_to_a_dead_port},
	{.name = "up_again_does_not_revive", .run = up_again},
	{.name = "up_adds_a_port", .run = up_adds_a_port, .needs = FO_CAP_WORKER},
	{.name = "wrong_port_calls", .run = wrong_port_calls},
};
SUITE_GROUP(group_devices, "devices", devices_cases);

/* ---- Invalidate ------------------------------------------------------------------------------ */

/* Flow 0: LAN to WAN, TCP, tag 7. Flow 1: DMZ (l3_dev 4242) to port 4, UDP, tag 99. */
static void two_flows(struct env *env)
{
	struct fo_flow flow;
	struct fo_adj adj;

	usual(env);
	connection(&flow, 4, 17, NAT_NONE, 77);
	side(&adj, DMZ, PLAIN);
	adj.l3_dev = 4242;
	flow.adj[0] = env_adj(env, &adj);
	side(&adj, SPARE, PLAIN);
	flow.adj[1] = env_adj(env, &adj);
	flow.tag = 99;
	flow.scope = (env->caps.can & FO_CAP_SCOPE) && (env->rig->features & RIG_SCOPES) ? 12 : 0;
	env_add(env, &flow);
	env_traffic(env, 0, FO_ORIGINAL, 1);
	env_traffic(env, 1, FO_REPLY, 2);
}

/* Flow 1 ends, flow 0 lives on; the same connection may be added again. at_once: already before
 * the first poll, where a delete takes no time. */
static void ends_flow_1(struct env *env, const struct fo_match *match, int at_once)
{
	struct fo_flow flow = env->flows[1].flow;

	OK(env, fo_invalidate(env->table, match, &env->err));
	env->flows[1].life = MODEL_INVALIDATED;
	if (at_once && !env->caps.delete_bound_ms) {
		env_quiet(env, 1, FO_ORIGINAL, FO_R_NONE);
		env_quiet(env, 1, FO_REPLY, FO_R_NONE);
	}
	env_ended(env, 1, FO_EV_INVALIDATED, FO_R_INVALIDATED);
	env_quiet(env, 1, FO_ORIGINAL, FO_R_NO_FLOW);
	env_traffic(env, 0, FO_ORIGINAL, 1);
	env_traffic(env, 0, FO_REPLY, 1);
	env->model.n_flows = 1;
	env_add(env, &flow);
	env_polls(env, 100);
	/* added after: it survives */
	env_traffic(env, 1, FO_ORIGINAL, 3);
	env_traffic(env, 1, FO_REPLY, 3);
	REQUIRE_EQ(env_count_events(env, env->ids[1], 0), 0);
	REQUIRE_EQ(env_count_events(env, env->ids[0], 0), 0);
	env_check_counters(env, 1);
	env_check_counters(env, 0);
}

static void by_tag(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_TAG;
	m.tag = 99;
	ends_flow_1(env, &m, 0);
}

static void by_port(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_PORT;
	m.port = SPARE;
	ends_flow_1(env, &m, 1);
	m.port = DMZ;
	ends_flow_1(env, &m, 1);
}

static void by_l3_dev(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_L3_DEV;
	m.l3_dev = 4242;
	ends_flow_1(env, &m, 1);
	m.l3_dev = SPARE;
	ends_flow_1(env, &m, 1);
}

static void by_mac(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_MAC;
	memcpy(m.mac, env->flows[1].adj[0].peer_mac, 6);
	ends_flow_1(env, &m, 1);
}

static void by_adjacency(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_ADJ;
	m.adj = env->flows[1].flow.adj[1];
	ends_flow_1(env, &m, 1);
}

static void by_prefix(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_PREFIX;
	m.family = 4;
	m.prefix_len = 31;
	memcpy(m.prefix, env->flows[1].flow.tuple[0].src, 4);
	m.prefix[3] &= 0xfe;
	ends_flow_1(env, &m, 0);
}

static void by_scope(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_SCOPE;
	m.scope = 12;
	ends_flow_1(env, &m, 0);
}

static void by_several_together(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_PORT | FO_MATCH_TAG | FO_MATCH_PROTO;
	m.port = DMZ;
	m.tag = 98; /* not its tag: nothing ends */
	m.proto = 17;
	OK(env, fo_invalidate(env->table, &m, &env->err));
	env_polls(env, 50);
	env_traffic(env, 1, FO_ORIGINAL, 1);
	REQUIRE_EQ(env_count_ends(env), 0);
	m.tag = 99;
	ends_flow_1(env, &m, 0);
}

static void all_flows(struct env *env)
{
	unsigned int n = env_room(env, 12), i;
	struct fo_match m;

	for (i = 0; i < n; i++)
		usual(env);
	FO_INIT(&m);
	OK(env, fo_invalidate(env->table, &m, &env->err));
	for (i = 0; i < n; i++)
		env->flows[i].life = MODEL_INVALIDATED;
	OK(env, fo_table_sync(env->table, 10000, &env->err));
	for (i = 0; i < n; i++)
		env_quiet(env, i, FO_ORIGINAL, FO_R_NONE);
	for (i = 0; i < n; i++)
		env_ended(env, i, FO_EV_INVALIDATED, FO_R_INVALIDATED);
}

/* sync waits for what cannot be done at once. */
static void sync_finishes_slow_ones(struct env *env)
{
	struct fo_match m;

	two_flows(env);
	FO_INIT(&m);
	m.mask = FO_MATCH_TAG;
	m.tag = 99;
	OK(env, fo_invalidate(env->table, &m, &env->err));
	env->flows[1].life = MODEL_INVALIDATED;
	OK(env, fo_table_sync(env->table, 10000, &env->err));
	env_quiet(env, 1, FO_ORIGINAL, FO_R_NONE);
	env_quiet(env, 1, FO_REPLY, FO_R_NONE);
	REQUIRE_EQ(env_count_ends(env), 0); /* events stay queued for poll */
	env_ended(env, 1, FO_EV_INVALIDATED, FO_R_INVALIDATED);
}

static void wrong_matches(struct env *env)
{
	struct fo_match m;

	usual(env);
	FO_INIT(&m);
	m.mask = 1u << 31;
	REFUSED(env, fo_invalidate(env->table, &m, &env->err), -EINVAL, FO_R_ARGUMENT, "mask");
	m.mask = FO_MATCH_STATE;
	REFUSED(env, fo_invalidate(env->table, &m, &env->err), -EINVAL, FO_R_ARGUMENT,
		"mask"); /* walks only */
	m.mask = FO_MATCH_PREFIX;
	m.family = 5;
	REFUSED(env, fo_invalidate(env->table, &m, &env->err), -EINVAL, FO_R_ARGUMENT, "family");
	m.family = 4;
	m.prefix_len = 33;
	REFUSED(env, fo_invalidate(env->table, &m, &env->err), -EINVAL, FO_R_ARGUMENT, "prefix_len");
	m.size = 4;
	REFUSED(env, fo_invalidate(env->table, &m, &env->err), -EINVAL, FO_R_SIZE, "size");
	env_polls(env, 20);
	env_traffic(env, 0, FO_ORIGINAL, 1);
}

static const struct suite_case invalidate_cases[] = {
	{.name = "by_tag", .run = by_tag, .needs = FO_CAP_UDP},
	{.name = "by_port_at_once", .run = by_port, .needs = FO_CAP_UDP},
	{.name = "by_l3_device_at_once", .run = by_l3_dev, .needs = FO_CAP_UDP},
	{.name = "by_mac_at_once", .run = by_mac, .needs = FO_CAP_UDP},
	{.name = "by_adjacency_at_once", .run = by_adjacency, .needs = FO_CAP_UDP},
	{.name = "by_prefix", .run = by_prefix, .needs = FO_CAP_UDP},
	{.name = "by_scope", .run = by_scope, .needs = FO_CAP_SCOPE | FO_CAP_UDP, .features = RIG_SCOPES},
	{.name = "by_several_together", .run = by_several_together, .needs = FO_CAP_UDP},
	{.name = "all_flows", .run = all_flows},
	{.name = "sync_finishes_slow_ones", .run = sync_finishes_slow_ones, .needs = FO_CAP_UDP},
	{.name = "wrong_matches_end_nothing", .run = wrong_matches},
};
SUITE_GROUP(group_invalidate, "invalidate", invalidate_cases);
