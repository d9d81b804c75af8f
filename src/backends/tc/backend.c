/* SPDX-License-Identifier: BSD-2-Clause */
/* backend.c - flower filters in hardware as the library sees them: struct fo_backend, function by function. See state.h. */
#include "backends/tc/tc.h"

#include <errno.h>

#include "backends/tc/state.h"

static int tc_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
		       struct fo_error *err)
{
	struct fo_error why;
	int result;

	fo__tc_flows_add(priv, flow, 1, state, &result, err ? err : &why);
	return result;
}

static void tc_flow_add_many(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
			     int *results, struct fo_error *errs)
{
	fo__tc_flows_add(priv, flows, n, states, results, errs);
}

static int tc_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	return fo__tc_record(priv, cookie, slot) ? fo__tc_flow_del(priv, slot, err) : 0;
}

static void tc_flow_del_ahead(void *priv, const uint64_t *cookies, const uint32_t *slots, size_t n)
{
	fo__tc_flows_del_ahead(priv, cookies, slots, n);
}

static int tc_flow_update(void *priv, const struct fo_backend_flow *flow, uint32_t mask, struct fo_error *err)
{
	return fo__tc_flow_update(priv, flow, mask, err);
}

static int tc_flow_stats(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	const struct fo__tc_record *record = fo__tc_record(priv, cookie, slot);
	int rc = record && record->life == FO__TC_LIVE ? fo__tc_flow_stats(priv, slot) : 0;

	return rc ? fo__nl_refused(err, rc, FO_STAGE_VERIFY, NULL, "its filters could not be read") : 0;
}

static void tc_flow_explain(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size)
{
	if (fo__tc_record(priv, cookie, slot))
		fo__tc_explain(priv, slot, text, size);
}

/* ---- Sides and ports ---- */

int fo__tc_adj_check(const struct fo_adj *adj, struct fo_error *err)
{
	static const uint8_t zero[6];

	if (!memcmp(adj->own_mac, zero, 6) || !memcmp(adj->peer_mac, zero, 6))
		return fo__nl_refuse(err, -EINVAL, FO_R_ADJACENCY, FO_STAGE_RESOLVE, 0, "peer_mac",
				     "this backend does not resolve neighbours: give both MAC addresses");
	for (uint32_t i = 0; i < adj->n_encaps; i++)
		if (adj->encap[i].dei)
			return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, "encap",
					     "tc writes no DEI: say 0, or leave it to the slow path");
	return 0;
}

static int tc_adj_check(void *priv, const struct fo_adj *adj, struct fo_error *err)
{
	(void)priv;
	return fo__tc_adj_check(adj, err);
}

static void tc_port_set(void *priv, const struct fo_port *state)
{
	struct fo__tc *tc = priv;
	struct fo__tc_port *port = fo__tc_port(tc, state->port);
	int back, worked = port && fo__tc_port_works(port);

	if (!port && state->state == FO_PORT_UP && !fo__netns_enter(tc->netns, &back, NULL)) {
		(void)fo__tc_port_open(tc, state->port, 0, NULL);
		(void)fo__netns_leave(back);
		return;
	}
	if (!port)
		return;
	port->said_down = state->state != FO_PORT_UP;
	if (worked && !fo__tc_port_works(port))
		fo__tc_flows_cut(tc, port);
}

/* ---- Time ---- */

static void tc_poll(void *priv, unsigned int max_us)
{
	struct fo__tc *tc = priv;
	uint64_t until_us = fo__tc_us() + max_us;

	fo__tc_threads_poll(tc, until_us);
	fo__tc_links_poll(tc);
	fo__tc_care_poll(tc);
	fo__tc_stats_poll(tc, until_us);
}

static int tc_fd(void *priv)
{
	return ((struct fo__tc *)priv)->epoll;
}

static uint64_t tc_deadline(void *priv)
{
	struct fo__tc *tc = priv;
	uint64_t next = tc->n_used ? tc->next_pass_ms : UINT64_MAX;

	if (tc->passing || tc->ending || (tc->care && tc->care->passing))
		return fo__tc_now(tc);
	if (tc->care && tc->n_used && tc->care->next_pass_ms < next)
		next = tc->care->next_pass_ms;
	return next;
}

static int tc_sync(void *priv)
{
	const struct fo__tc *tc = priv;

	return tc->ending || fo__tc_threads_pending(tc) ? -EAGAIN : 0;
}

const struct fo_backend fo__backend_tc = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = FO_RANK_TC_HARDWARE,
	.name = "tc",
	.probe = fo__tc_probe,
	.create = fo__tc_create,
	.destroy = fo__tc_destroy,
	.flow_add = tc_flow_add,
	.flow_del = tc_flow_del,
	.flow_update = tc_flow_update,
	.flow_stats = tc_flow_stats,
	.flow_explain = tc_flow_explain,
	.adj_check = tc_adj_check,
	.port_set = tc_port_set,
	.poll = tc_poll,
	.fd = tc_fd,
	.deadline = tc_deadline,
	.sync = tc_sync,
	.flow_add_many = tc_flow_add_many,
	.flow_del_ahead = tc_flow_del_ahead,
};
