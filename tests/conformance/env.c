/* SPDX-License-Identifier: BSD-2-Clause */
/* env.c - a table on a rig, its sides and flows. Packets: env_send.c; polls, events and
 * counters: env_poll.c. */
#include "env.h"

#include <stdlib.h>

void env_init(struct env *env, const struct rig *rig)
{
	unsigned int i;

	memset(env, 0, sizeof(*env));
	env->rig = rig;
	env->model.flows = env->flows;
	FO_INIT(&env->options);
	for (i = 0; i < ENV_PORTS; i++) {
		FO_INIT(&env->ports[i]);
		env->ports[i].port = ENV_PORT_0 + i;
	}
	env->options.ports = env->ports;
	env->options.n_ports = ENV_PORTS;
	env->options.capacity = env_room(env, 64);
	env->options.timeout_tcp_ms = ENV_PATIENT_MS;
	env->options.timeout_udp_ms = ENV_PATIENT_MS;
	env->options.timeout_icmp_ms = ENV_PATIENT_MS;
}

unsigned int env_room(const struct env *env, unsigned int n)
{
	return env->rig->most_flows && env->rig->most_flows < n ? env->rig->most_flows : n;
}

void env_open(struct env *env)
{
	char why[200] = "";

	if (env->rig->open(&env->state, &env->options, why, sizeof(why))) {
		struct fo_caps caps;
		struct fo_error err = {0};

		env->state = NULL;
		FO_INIT(&caps);
		if (env->options.backend &&
		    fo_backend_probe(env->options.backend, &env->options, &caps, &err))
			suite_skip(0, "%s: %s", why, err.text);
		FAIL("the rig did not open: %s", why);
	}
	OK(env, fo_table_create(&env->options, &env->table, &env->err));
	FO_INIT(&env->caps);
	OK(env, fo_table_caps(env->table, &env->caps, &env->err));
	env->model.caps = env->caps.can;
	if (env->rig->attach(env->state, env->table, why, sizeof(why)))
		FAIL("the rig did not attach: %s", why);
	env_need(env, env->needs);
}

void env_close(struct env *env)
{
	if (env->table && env->state)
		env->rig->detach(env->state);
	fo_table_destroy(env->table);
	env->table = NULL;
	if (env->state)
		env->rig->close(env->state);
	env->state = NULL;
	free(env->events);
	env->events = NULL;
	env->n_events = env->max_events = env->n_adjs = env->model.n_flows = 0;
}

void env_need(struct env *env, uint64_t caps)
{
	uint64_t missing = caps & ~env->caps.can;
	unsigned int bit;

	for (bit = 0; bit < FO_CAP_COUNT; bit++)
		if (missing & (UINT64_C(1) << bit))
			suite_skip((env->rig->must_have >> bit) & 1, "the backend has no %s",
				   fo_cap_name(bit));
}

void env_need_encaps(struct env *env, unsigned int n)
{
	if (env->caps.max_encaps < n)
		suite_skip((env->rig->must_have & FO_CAP_QINQ) != 0,
			   "the backend takes %u encapsulations, this needs %u", env->caps.max_encaps, n);
}

int env_has(struct env *env, uint64_t caps, unsigned int n_encaps)
{
	if (caps & ~env->caps.can & env->rig->must_have)
		env_need(env, caps);
	/* Two tags and a session: with both, a backend has three. */
	if (env->caps.max_encaps < n_encaps && (env->rig->must_have & FO_CAP_QINQ) &&
	    (env->rig->must_have & FO_CAP_PPPOE))
		env_need_encaps(env, n_encaps);
	return !(caps & ~env->caps.can) && env->caps.max_encaps >= n_encaps;
}

void env_prepare_side(struct env *env, struct fo_adj *adj)
{
	char why[200];
	unsigned int i;

	for (i = 0; i < adj->n_encaps && i < FO_MAX_ENCAPS && !(env->rig->features & RIG_PRIORITY); i++)
		adj->encap[i].pcp = adj->encap[i].dei = 0;
	if (env->rig->side && env->rig->side(env->state, adj, why, sizeof(why)))
		FAIL("the rig could not make this side: %s", why);
}

fo_adj_id env_adj(struct env *env, const struct fo_adj *adj)
{
	struct fo_adj *copy = &env->adjs[env->n_adjs];
	fo_adj_id id = 0;

	REQUIRE(env->n_adjs < ENV_MAX_ADJ);
	*copy = *adj;
	env_prepare_side(env, copy);
	OK(env, fo_adj_add(env->table, copy, &id, &env->err));
	REQUIRE(id != 0);
	env->adj_ids[env->n_adjs] = id;
	env->n_adjs++;
	return id;
}

void env_reroute(struct env *env, unsigned int n, const struct fo_adj adj[2])
{
	char why[200];

	memcpy(env->flows[n].adj, adj, sizeof(env->flows[n].adj));
	if (env->rig->reroute && env->rig->reroute(env->state, &env->flows[n].flow, adj, why, sizeof(why)))
		FAIL("the rig could not send the connection elsewhere: %s", why);
}

void env_port_set(struct env *env, uint32_t number, unsigned int state)
{
	struct fo_port port;
	char why[200];

	FO_INIT(&port);
	port.port = number;
	port.state = state;
	if (env->rig->port && env->rig->port(env->state, &port, why, sizeof(why)))
		FAIL("the rig could not change the port: %s", why);
	OK(env, fo_port_set(env->table, &port, &env->err));
}

void env_fault(struct env *env, const struct rig_fault *fault)
{
	static const struct rig_fault none;
	char why[200];

	if (env->rig->fault(env->state, fault ? fault : &none, why, sizeof(why)))
		FAIL("the rig could not order this of its hardware: %s", why);
}

unsigned int env_rules(struct env *env)
{
	unsigned int n = 0;

	if (env->rig->rules(env->state, &n))
		FAIL("the rig could not count the rules in its hardware");
	return n;
}

const struct fo_adj *env_adj_of(const struct env *env, fo_adj_id id)
{
	unsigned int i;

	for (i = env->n_adjs; i-- > 0;)
		if (env->adj_ids[i] == id)
			return &env->adjs[i];
	FAIL("the case uses an adjacency that it never made");
}

void env_connect(struct env *env, const struct fo_flow *flow)
{
	struct fo_adj adj[2];
	char why[200];
	unsigned int d;

	if (!env->rig->connection)
		return;
	for (d = 0; d < 2; d++)
		adj[d] = *env_adj_of(env, flow->adj[d]);
	if (env->rig->connection(env->state, flow, adj, why, sizeof(why)))
		FAIL("the rig could not bring the connection about: %s", why);
}

unsigned int env_know(struct env *env, const struct fo_flow *flow, fo_flow_id id)
{
	unsigned int n = env->model.n_flows;
	struct model_flow *f = &env->flows[n];
	unsigned int d;

	REQUIRE(n < ENV_MAX_FLOWS);
	memset(f, 0, sizeof(*f));
	f->life = MODEL_LIVE;
	f->flow = *flow;
	for (d = 0; d < 2; d++) {
		f->adj[d] = *env_adj_of(env, flow->adj[d]);
		f->last_seen_ms[d] = env->rig->now_ms(env->state);
	}
	env->ids[n] = id;
	env->model.n_flows++;
	return n;
}

int env_short_cut(const struct env *env, unsigned int state)
{
	return state == FO_STATE_ACTIVE || state == FO_STATE_HARDWARE ||
	       (state == FO_STATE_PARTIAL && (env->caps.can & FO_CAP_HARDWARE));
}

unsigned int env_add(struct env *env, const struct fo_flow *flow)
{
	fo_flow_id id = 0;
	unsigned int n;
	struct fo_flow_info info;

	env_connect(env, flow);
	OK(env, fo_flow_add(env->table, flow, &id, &env->err));
	REQUIRE(id != 0);
	n = env_know(env, flow, id);
	env_settle(env);
	FO_INIT(&info);
	OK(env, fo_flow_get(env->table, id, &info, &env->err));
	if (!env_short_cut(env, info.state))
		FAIL("the flow was added, but is %s (%s)", fo_state_name(info.state),
		     fo_reason_name(info.reason));
	return n;
}

void env_refused(struct env *env, int rc, int code, unsigned int reason, const char *field)
{
	const struct fo_error *err = &env->err;

	if (rc != code)
		FAIL("returned %d, should be %d (%s %s)", rc, code, fo_reason_name(err->reason), err->text);
	if (err->code != code)
		FAIL("err.code is %d, should be %d", err->code, code);
	if (reason != ANY_REASON && err->reason != reason)
		FAIL("reason %s, should be %s (%s)", fo_reason_name(err->reason), fo_reason_name(reason),
		     err->text);
	if (!memchr(err->text, 0, sizeof(err->text)) || !memchr(err->field, 0, sizeof(err->field)))
		FAIL("text or field is not terminated");
	if (strlen(err->text) < 8)
		FAIL("no sentence for %s: \"%s\"", fo_reason_name(reason), err->text);
	if (err->stage > FO_STAGE_AGE || err->stage == FO_STAGE_NONE)
		FAIL("stage %u", err->stage);
	if (field && strcmp(field, err->field))
		FAIL("field \"%s\", should be \"%s\" (%s)", err->field, field, err->text);
}

void env_add_refused(struct env *env, const struct fo_flow *flow, int code, unsigned int reason,
		     const char *field)
{
	struct fo_table_counters before, after;
	struct fo_error err;
	fo_flow_id id = 0x5aa5;
	int rc;

	env_stats(env, &before);
	memset(&env->err, 0, sizeof(env->err));
	rc = fo_flow_add(env->table, flow, &id, &env->err);
	env_refused(env, rc, code, reason, field);
	err = env->err;
	env_stats(env, &after);
	env->err = err;
	REQUIRE_EQ(id, 0x5aa5); /* results are untouched on failure */
	REQUIRE_EQ(after.flows, before.flows);
	REQUIRE_EQ(after.closing, before.closing);
	REQUIRE_EQ(after.added, before.added);
	REQUIRE_EQ(after.refused, before.refused + 1);
}
