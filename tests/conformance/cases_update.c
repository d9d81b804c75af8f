/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_update.c - changes under traffic: fo_adj_update() and fo_flow_update(), counters kept;
 * adjacencies' own calls. */
#include <errno.h>

#include "topology.h"

/* "From the next burst on" is the soft path's promise; a backend with a queue to its device, or to the kernel, needs polls. */
static void take_effect(struct env *env)
{
	if (env->caps.can & FO_CAP_WORKER)
		return;
	OK(env, fo_table_sync(env->table, 60000, &env->err));
	env_settle(env);
}

/* Tell library and model that side number i now looks like this. */
static void swap_adj(struct env *env, unsigned int i, const struct fo_adj *wanted)
{
	struct fo_adj adj = *wanted;
	unsigned int n, d;

	env_prepare_side(env, &adj);
	for (n = 0; n < env->model.n_flows; n++) {
		const struct model_flow *f = &env->flows[n];
		struct fo_adj both[2];

		for (d = 0; d < 2; d++)
			both[d] = f->flow.adj[d] == env->adj_ids[i] ? adj : f->adj[d];
		if (f->flow.adj[0] == env->adj_ids[i] || f->flow.adj[1] == env->adj_ids[i])
			env_reroute(env, n, both);
	}
	OK(env, fo_adj_update(env->table, env->adj_ids[i], &adj, &env->err));
	env->adjs[i] = adj;
	take_effect(env);
}

static void next_hop_changes(struct env *env)
{
	unsigned int n = env_room(env, 8), i;
	struct fo_adj adj;

	for (i = 0; i < n; i++) {
		usual(env);
		env_traffic(env, i, FO_ORIGINAL, 2);
		env_traffic(env, i, FO_REPLY, 1);
	}
	adj = env->adjs[1];
	adj.peer_mac[5] = 0x99;
	adj.own_mac[5] = 0x98;
	swap_adj(env, 1, &adj);
	for (i = 0; i < n; i++) {
		env_traffic(env, i, FO_ORIGINAL, 1);
		env_traffic(env, i, FO_REPLY, 2); /* to the new own MAC */
		env_check_counters(env, i);
	}
}

/* What matched before matches no more: the old own MAC. */
static void old_mac_is_a_stranger(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_adj adj = env->adjs[1];
	struct packet_spec old;
	struct rig_packet packet;

	env_spec(env, n, FO_REPLY, &old);
	adj.own_mac[5] ^= 0x40;
	swap_adj(env, 1, &adj);
	packet = env_frame(env, n, FO_REPLY, &old);
	env_pass(env, &packet, FO_R_WRONG_MAC);
	env_traffic(env, n, FO_REPLY, 1);
}

static void port_mtu_and_encapsulation_change(struct env *env)
{
	unsigned int n = usual(env), e;
	struct packet_spec spec;
	struct rig_packet packet;

	for (e = 0; e < 2 * N_ENCAPS; e++) {
		struct fo_adj adj;

		if (!env_has(env, encaps_caps((enum encaps)(e % N_ENCAPS)),
			     encaps_count((enum encaps)(e % N_ENCAPS))))
			continue;
		suite_context("to %s on port %u", encaps_name[e % N_ENCAPS], e & 1 ? DMZ : WAN);
		side(&adj, e & 1 ? DMZ : WAN, (enum encaps)(e % N_ENCAPS));
		adj.mtu = 1000 + e;
		swap_adj(env, 1, &adj);
		env_traffic(env, n, FO_ORIGINAL, 2);
		env_traffic(env, n, FO_REPLY, 3);
		env_spec(env, n, FO_ORIGINAL, &spec);
		spec.payload_len = 1000 + e - 40;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		env_forward(env, &packet);
		spec.payload_len++;
		packet = env_frame(env, n, FO_ORIGINAL, &spec);
		env_pass(env, &packet, FO_R_MTU);
	}
	env_check_counters(env, n);
}

/* The old ingress is no ingress any more. */
static void old_port_is_wrong_ingress(struct env *env)
{
	unsigned int n = usual(env);
	struct packet_spec spec;
	struct rig_packet packet;
	struct fo_adj adj = env->adjs[1];

	env_spec(env, n, FO_REPLY, &spec);
	adj.port = DMZ;
	adj.l3_dev = 0;
	swap_adj(env, 1, &adj);
	packet = env_frame(env, n, FO_REPLY, &spec);
	packet.in_port = WAN;
	env_pass(env, &packet, FO_R_WRONG_INGRESS);
	packet.in_port = DMZ;
	env_forward(env, &packet);
}

/* Two flows, told apart by their port alone: an update that would merge their keys is refused,
 * nothing changed. */
static void update_that_merges_keys(struct env *env)
{
	unsigned int n = usual(env), m;
	struct fo_flow other = env->flows[n].flow;
	struct fo_adj adj;

	side(&adj, DMZ, PLAIN);
	other.adj[0] = env_adj(env, &adj);
	side(&adj, SPARE, PLAIN);
	other.adj[1] = env_adj(env, &adj);
	m = env_add(env, &other);
	adj = env->adjs[0];
	REFUSED(env, fo_adj_update(env->table, env->adj_ids[2], &adj, &env->err), -EEXIST, FO_R_EXISTS, NULL);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, m, FO_ORIGINAL, 1);
	env_traffic(env, m, FO_REPLY, 1);
	env_check_counters(env, n);
	env_check_counters(env, m);
}

static void adj_calls(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_adj adj, back;
	fo_adj_id id, old;

	side(&adj, DMZ, PLAIN);
	adj.l3_dev = 55;
	adj.mtu = 1300;
	env_prepare_side(env, &adj);
	OK(env, fo_adj_add(env->table, &adj, &id, &env->err));
	FO_INIT(&back);
	OK(env, fo_adj_get(env->table, id, &back, &env->err));
	REQUIRE(!memcmp(&adj, &back, sizeof(adj)));
	REFUSED(env, fo_adj_del(env->table, env->adj_ids[0], &env->err), -EBUSY, FO_R_IN_USE, NULL);
	OK(env, fo_adj_del(env->table, id, &env->err));
	old = id;
	REFUSED(env, fo_adj_del(env->table, old, &env->err), -ENOENT, FO_R_STALE, NULL);
	REFUSED(env, fo_adj_get(env->table, old, &back, &env->err), -ENOENT, FO_R_STALE, NULL);
	REFUSED(env, fo_adj_update(env->table, old, &adj, &env->err), -ENOENT, FO_R_STALE, NULL);
	REFUSED(env, fo_adj_del(env->table, 0, &env->err), -ENOENT, FO_R_STALE, NULL);
	OK(env, fo_adj_add(env->table, &adj, &id, &env->err));
	REQUIRE(id != old);
	REFUSED(env, fo_adj_del(env->table, old, &env->err), -ENOENT, FO_R_STALE, NULL);
	env_delete(env, n);
	OK(env, fo_adj_del(env->table, env->adj_ids[0], &env->err)); /* no flow uses it any more */
}

static void refused_adjacencies(struct env *env)
{
	struct fo_adj good, adj;
	fo_adj_id id = 77;
	struct fo_table_counters before, after;

	side(&good, LAN, PLAIN);
	env_stats(env, &before);
#define BAD(change, code, reason, field)                                                                     \
	do {                                                                                                 \
		adj = good;                                                                                  \
		change;                                                                                      \
		REFUSED(env, fo_adj_add(env->table, &adj, &id, &env->err), code, reason, field);             \
	} while (0)
	BAD(adj.port = 99, -ENODEV, FO_R_PORT, "port");
	BAD(adj.port = 0, -EINVAL, ANY_REASON, "port");
	BAD(adj.mtu = 67, -EINVAL, FO_R_ADJACENCY, "mtu");
	BAD(adj.mtu = 0, -EINVAL, FO_R_ADJACENCY, "mtu");
	BAD(adj.mtu = 65536, -EINVAL, FO_R_ADJACENCY, "mtu");
	BAD(adj.flags = 1u << 7, -EINVAL, ANY_REASON, "flags");
	BAD(adj.size = 3, -EINVAL, FO_R_SIZE, "size");
	BAD(adj.own_mac[0] |= 1, -EINVAL, FO_R_ADJACENCY, "own_mac");
	BAD(adj.n_encaps = 4, -EINVAL, FO_R_ENCAP_KIND, "n_encaps");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = 0), -EINVAL, FO_R_ENCAP_KIND, "encap[0].kind");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = 55, adj.encap[0].id = 1), -EINVAL, FO_R_ENCAP_KIND,
	    "encap[0].kind");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_8021Q), -EINVAL, ANY_REASON, "encap[0].id");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_8021Q, adj.encap[0].id = 4095), -EINVAL,
	    ANY_REASON, "encap[0].id");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_8021Q, adj.encap[0].id = 1, adj.encap[0].pcp = 8),
	    -EINVAL, ANY_REASON, "encap[0].pcp");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_8021Q, adj.encap[0].id = 1, adj.encap[0].dei = 2),
	    -EINVAL, ANY_REASON, "encap[0].dei");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_PPPOE), -EINVAL, ANY_REASON, "encap[0].id");
	BAD((adj.n_encaps = 1, adj.encap[0].kind = FO_ENCAP_PPPOE, adj.encap[0].id = 0xffff), -EINVAL,
	    ANY_REASON, "encap[0].id");
	BAD((adj.n_encaps = 2, adj.encap[0].kind = FO_ENCAP_PPPOE, adj.encap[0].id = 1,
	     adj.encap[1].kind = FO_ENCAP_8021Q, adj.encap[1].id = 1),
	    -EINVAL, FO_R_ENCAP_KIND, NULL); /* a session is innermost */
	BAD((adj.n_encaps = 3, adj.encap[0].kind = adj.encap[1].kind = adj.encap[2].kind = FO_ENCAP_8021Q,
	     adj.encap[0].id = adj.encap[1].id = adj.encap[2].id = 1),
	    -EINVAL, FO_R_ENCAP_KIND, NULL); /* three tags */
	{
		unsigned int kind;

		for (kind = FO_ENCAP_IPIP; kind <= FO_ENCAP_GRE; kind++) {
			adj = good;
			adj.n_encaps = 1;
			adj.encap[0].kind = (uint16_t)kind;
			memset(&env->err, 0, sizeof(env->err));
			/* reserved: well formed one day, refused today; the header does not
			 * choose the errno */
			if (fo_adj_add(env->table, &adj, &id, &env->err) == 0)
				FAIL("encapsulation kind %u was accepted", kind);
			REQUIRE_EQ(env->err.reason, FO_R_ENCAP_KIND);
		}
	}
#undef BAD
	REFUSED(env, fo_adj_add(env->table, NULL, &id, &env->err), -EINVAL, FO_R_ARGUMENT, "adj");
	REFUSED(env, fo_adj_add(env->table, &good, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "out");
	REQUIRE_EQ(id, 77);
	env_stats(env, &after);
	REQUIRE_EQ(after.adjacencies, before.adjacencies);
}

static const struct suite_case adjacency_cases[] = {
	{.name = "next_hop_changes_under_traffic", .run = next_hop_changes, .needs = FO_CAP_ADJ_UPDATE},
	{.name = "old_mac_is_a_stranger",
	 .run = old_mac_is_a_stranger,
	 .needs = FO_CAP_ADJ_UPDATE | FO_CAP_PUNT_MAC},
	{.name = "port_mtu_and_encapsulation_change",
	 .run = port_mtu_and_encapsulation_change,
	 .needs = FO_CAP_ADJ_UPDATE},
	{.name = "old_port_is_wrong_ingress",
	 .run = old_port_is_wrong_ingress,
	 .needs = FO_CAP_ADJ_UPDATE | FO_CAP_INGRESS},
	{.name = "update_that_merges_keys_is_refused",
	 .run = update_that_merges_keys,
	 .needs = FO_CAP_ADJ_UPDATE | FO_CAP_INGRESS},
	{.name = "handles_and_references", .run = adj_calls},
	{.name = "wrong_adjacencies_are_refused_by_field", .run = refused_adjacencies},
};
SUITE_GROUP(group_adjacency, "adjacency", adjacency_cases);

/* ---- fo_flow_update() ------------------------------------------------------------------------ */

static void update(struct env *env, unsigned int n, uint32_t mask, const struct fo_flow *flow)
{
	OK(env, fo_flow_update(env->table, env->ids[n], mask, flow, &env->err));
	take_effect(env);
}

static void get(struct env *env, unsigned int n, struct fo_flow_info *info)
{
	FO_INIT(info);
	OK(env, fo_flow_get(env->table, env->ids[n], info, &env->err));
}

/* Each bit takes its own field and no other. */
static void each_bit_alone(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow want = env->flows[n].flow, change;
	struct fo_flow_info info;

	env_traffic(env, n, FO_ORIGINAL, 3);
	get(env, n, &info);
	want.timeout_ms = info.flow.timeout_ms;
	change = want;
	change.tag = 1001;
	change.user = 1002;
	change.ct_mark = 1003;
	change.timeout_ms = 100400; /* longer than any backend's counters are late */
	change.nat = 0;
	memset(&change.tuple[0].src, 9, 4); /* not an updatable field: ignored */
	want.tag = 1001;
	update(env, n, FO_UPDATE_TAG, &change);
	get(env, n, &info);
	REQUIRE_EQ(info.flow.tag, 1001);
	REQUIRE_EQ(info.flow.user, want.user);
	REQUIRE_EQ(info.flow.ct_mark, 0);
	REQUIRE_EQ(info.flow.timeout_ms, want.timeout_ms);
	update(env, n, FO_UPDATE_USER, &change);
	get(env, n, &info);
	REQUIRE_EQ(info.flow.user, 1002);
	REQUIRE_EQ(info.flow.ct_mark, 0);
	update(env, n, FO_UPDATE_MARK, &change);
	get(env, n, &info);
	REQUIRE_EQ(info.flow.ct_mark, 1003);
	REQUIRE(!memcmp(info.flow.tuple, want.tuple, sizeof(want.tuple)));
	if (env->caps.can & FO_CAP_PER_FLOW_TIMEOUT) {
		update(env, n, FO_UPDATE_TIMEOUT, &change);
		get(env, n, &info);
		REQUIRE_EQ(info.flow.timeout_ms, 100400);
	}
	env->flows[n].flow.tag = 1001;
	env->flows[n].flow.user = 1002;
	env_traffic(env, n, FO_REPLY, 2);
	env_check_counters(env, n);
	OK(env, fo_flow_del(env->table, env->ids[n], NULL, &env->err));
	env->flows[n].life = MODEL_CLOSING;
	env_ended(env, n, FO_EV_DELETED, FO_R_DELETED); /* the event carries the new cookie and tag */
}

static void new_timeout_counts(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow change = env->flows[n].flow;

	change.timeout_ms = 3000;
	update(env, n, FO_UPDATE_TIMEOUT, &change);
	env_advance(env, 2999);
	env_polls(env, 300);
	REQUIRE_EQ(env_count_events(env, env->ids[n], 0), 0);
	env_advance(env, 1 + env->caps.age_granularity_ms);
	env_ended(env, n, FO_EV_EXPIRED, FO_R_IDLE);
}

static void new_tag_is_invalidated_by(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow change = env->flows[n].flow;
	struct fo_match m;

	change.tag = 31337;
	update(env, n, FO_UPDATE_TAG, &change);
	env->flows[n].flow.tag = 31337;
	FO_INIT(&m);
	m.mask = FO_MATCH_TAG;
	m.tag = 7;
	OK(env, fo_invalidate(env->table, &m, &env->err));
	env_polls(env, 50);
	env_traffic(env, n, FO_ORIGINAL, 1);
	m.tag = 31337;
	OK(env, fo_invalidate(env->table, &m, &env->err));
	env->flows[n].life = MODEL_INVALIDATED;
	env_ended(env, n, FO_EV_INVALIDATED, FO_R_INVALIDATED);
}

static void new_dscp(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow change = env->flows[n].flow;

	change.dscp[0] = FO_DSCP_SET(10);
	change.dscp[1] = FO_DSCP_SET(12);
	update(env, n, FO_UPDATE_DSCP, &change);
	memcpy(env->flows[n].flow.dscp, change.dscp, 2);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, n, FO_REPLY, 2);
	change.dscp[0] = FO_DSCP_KEEP;
	update(env, n, FO_UPDATE_DSCP, &change);
	env->flows[n].flow.dscp[0] = FO_DSCP_KEEP;
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_check_counters(env, n);
}

static void new_adjacency(struct env *env)
{
	unsigned int n = usual(env), other = usual(env);
	struct fo_flow change = env->flows[n].flow;
	struct fo_adj adj, both[2];
	struct packet_spec spec;
	struct rig_packet packet;

	env_traffic(env, n, FO_ORIGINAL, 2);
	env_spec(env, n, FO_REPLY, &spec);
	packet = env_frame(env, n, FO_REPLY, &spec);
	side(&adj, DMZ, PLAIN);
	change.adj[1] = env_adj(env, &adj);
	both[0] = env->flows[n].adj[0];
	both[1] = *env_adj_of(env, change.adj[1]);
	env_reroute(env, n, both);
	update(env, n, FO_UPDATE_ADJ, &change);
	env->flows[n].flow.adj[1] = change.adj[1];
	env_pass(env, &packet, FO_R_WRONG_INGRESS);
	env_traffic(env, n, FO_ORIGINAL, 2);
	env_traffic(env, n, FO_REPLY, 1);
	env_traffic(env, other, FO_REPLY, 1);
	env_check_counters(env, n);
	env_check_counters(env, other);
}

static void wrong_updates_change_nothing(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_flow change = env->flows[n].flow;
	struct fo_flow_info before, after;

	get(env, n, &before);
	REFUSED(env, fo_flow_update(env->table, env->ids[n], 1u << 30, &change, &env->err), -EINVAL,
		FO_R_ARGUMENT, "mask");
	change.tag = 5;
	change.dscp[1] = 0x40; /* neither KEEP nor SET */
	if (env->caps.can & FO_CAP_DSCP)
		REFUSED(env,
			fo_flow_update(env->table, env->ids[n], FO_UPDATE_TAG | FO_UPDATE_DSCP, &change,
				       &env->err),
			-EINVAL, ANY_REASON, "dscp[1]");
	change.dscp[1] = 0;
	change.adj[1] = 0xbad;
	REFUSED(env,
		fo_flow_update(env->table, env->ids[n], FO_UPDATE_TAG | FO_UPDATE_ADJ, &change, &env->err),
		-ENOENT, ANY_REASON, "adj[1]");
	change.adj[1] = before.flow.adj[1];
	change.size = 9;
	REFUSED(env, fo_flow_update(env->table, env->ids[n], FO_UPDATE_TAG, &change, &env->err), -EINVAL,
		FO_R_SIZE, "size");
	REFUSED(env, fo_flow_update(env->table, env->ids[n], FO_UPDATE_TAG, NULL, &env->err), -EINVAL,
		FO_R_ARGUMENT, "flow");
	get(env, n, &after);
	REQUIRE(!memcmp(&before, &after, sizeof(before)));
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
}

/* Told apart by their sides alone: one does not get the other's. */
static void update_onto_a_taken_key(struct env *env)
{
	unsigned int n = usual(env), m;
	struct fo_flow other = env->flows[n].flow, change;
	struct fo_flow_info before, after;
	struct fo_adj adj;

	side(&adj, DMZ, PLAIN);
	other.adj[0] = env_adj(env, &adj);
	side(&adj, SPARE, PLAIN);
	other.adj[1] = env_adj(env, &adj);
	m = env_add(env, &other);
	get(env, n, &before);
	change = other;
	change.tag = 5;
	REFUSED(env,
		fo_flow_update(env->table, env->ids[n], FO_UPDATE_TAG | FO_UPDATE_ADJ, &change, &env->err),
		-EEXIST, FO_R_EXISTS, NULL);
	get(env, n, &after);
	REQUIRE(!memcmp(&before, &after, sizeof(before)));
	env_traffic(env, n, FO_ORIGINAL, 1);
	env_traffic(env, m, FO_ORIGINAL, 1);
	env_traffic(env, n, FO_REPLY, 1);
}

static const struct suite_case update_cases[] = {
	{.name = "each_bit_takes_its_field_alone", .run = each_bit_alone, .needs = FO_CAP_FLOW_UPDATE},
	{.name = "new_timeout_counts",
	 .run = new_timeout_counts,
	 .needs = FO_CAP_FLOW_UPDATE | FO_CAP_PER_FLOW_TIMEOUT,
	 .features = RIG_CLOCK},
	{.name = "new_tag_is_what_invalidate_goes_by",
	 .run = new_tag_is_invalidated_by,
	 .needs = FO_CAP_FLOW_UPDATE},
	{.name = "new_dscp", .run = new_dscp, .needs = FO_CAP_FLOW_UPDATE | FO_CAP_DSCP},
	{.name = "new_adjacency",
	 .run = new_adjacency,
	 .needs = FO_CAP_FLOW_UPDATE | FO_CAP_ADJ_UPDATE | FO_CAP_INGRESS},
	{.name = "wrong_updates_change_nothing",
	 .run = wrong_updates_change_nothing,
	 .needs = FO_CAP_FLOW_UPDATE},
	{.name = "update_onto_a_taken_key_is_refused",
	 .run = update_onto_a_taken_key,
	 .needs = FO_CAP_FLOW_UPDATE | FO_CAP_ADJ_UPDATE | FO_CAP_INGRESS},
};
SUITE_GROUP(group_update, "update", update_cases);
