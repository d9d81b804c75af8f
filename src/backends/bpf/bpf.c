/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.c - the provider contract on maps and one program in the kernel. Neighbours: state.h, guard.h, create.c. */
#include "backends/bpf/bpf.h"

#include "backends/bpf/guard.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fo__bpf_fail(struct fo_error *err, int code, unsigned int reason, const char *field, int errno_,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fo__nl_vrefuse(err, code, (enum fo_reason)reason, FO_STAGE_INSTALL, errno_, field, format,
			     args);
	va_end(args);
	return code;
}

/* ---- flows ---- */

/* Conntrack takes as many in one exchange as the program takes in one run. */
_Static_assert(FO__CT_ADMIT_MOST == FO__BPF_BATCH, "one handful");

static void add_handful(struct fo__bpf *bpf, const struct fo_backend_flow *flows, size_t n,
			unsigned int *states, int *results, struct fo_error *errs)
{
	struct fo__ct_kept kept[FO__BPF_BATCH];

	for (size_t i = 0; i < n; i++) {
		results[i] = fo__bpf_flow_ports_check(bpf, &flows[i], &errs[i]);
		if (!results[i])
			results[i] = fo__bpf_prove_flow(bpf, &flows[i], &states[i], &errs[i]);
	}
	fo__bpf_care_admit(bpf, flows, kept, n, results, errs);
	fo__bpf_flows_add(bpf, flows, (uint32_t)n, states, results, errs);
	fo__bpf_care_begin(bpf, flows, kept, n, results);
}

static int bpf_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			struct fo_error *err)
{
	struct fo_error why;
	int code;

	add_handful(priv, flow, 1, state, &code, err ? err : &why);
	return code;
}

static void bpf_flow_add_many(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
			      int *results, struct fo_error *errs)
{
	for (size_t i = 0; i < n; i += FO__BPF_BATCH)
		add_handful(priv, flows + i, n - i < FO__BPF_BATCH ? n - i : FO__BPF_BATCH, states + i,
			    results + i, errs + i);
}

static int bpf_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	return fo__bpf_flow_del(priv, cookie, slot, err);
}

static int bpf_flow_update(void *priv, const struct fo_backend_flow *flow, uint32_t mask,
			   struct fo_error *err)
{
	int code = fo__bpf_flow_update(priv, flow, mask, err);

	if (!code && (mask & FO_UPDATE_TIMEOUT))
		fo__bpf_care_retime(priv, flow->slot, flow->timeout_ms);
	return code;
}

static int bpf_flow_stats(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct fo__bpf *bpf = priv;

	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	if (fo__bpf_flow_stats(bpf, cookie, slot))
		return fo__bpf_fail(err, -ENOENT, FO_R_STALE, NULL, 0,
				    "the flow is not in the kernel's maps");
	return 0;
}

static int bpf_adj_check(void *priv, const struct fo_adj *adj, struct fo_error *err)
{
	static const uint8_t zero[6];

	if (!memcmp(adj->own_mac, zero, 6) || !memcmp(adj->peer_mac, zero, 6))
		return fo__bpf_fail(err, -EINVAL, FO_R_ADJACENCY, "peer_mac", 0,
				    "this backend does not resolve neighbours: give both MAC addresses");
	return fo__bpf_l3_check(priv, adj, err);
}

static int bpf_adj_update(void *priv, fo_adj_id id, const struct fo_adj *old_adj,
			  const struct fo_adj *new_adj, struct fo_error *err)
{
	int code = bpf_adj_check(priv, new_adj, err);

	(void)old_adj;
	return code ? code : fo__bpf_side_update(priv, id, new_adj, err);
}

/* In the table's namespace. */
static void attach_later(struct fo__bpf *bpf, uint32_t port)
{
	struct fo__bpf_device *device;
	int back = fo__bpf_netns_enter(bpf);

	if (!fo__bpf_device_open(bpf, port, NULL)) {
		device = fo__bpf_device(bpf, port);
		if (fo__bpf_device_attach(bpf, device, bpf->attach, NULL))
			fo__bpf_device_del(bpf, port);
		else
			fo__bpf_preflight(bpf, device);
	}
	fo__bpf_netns_leave(back);
}

static void detach_now(struct fo__bpf *bpf, uint32_t port)
{
	int back = fo__bpf_netns_enter(bpf);

	fo__bpf_device_del(bpf, port);
	fo__bpf_netns_leave(back);
}

static void bpf_port_set(void *priv, const struct fo_port *port)
{
	struct fo__bpf *bpf = priv;

	if (port->state != FO_PORT_UP)
		fo__bpf_links_said(bpf, port->port, true);
	if (port->state == FO_PORT_GONE)
		detach_now(bpf, port->port);
	if (port->state != FO_PORT_UP)
		return;
	if (!fo__bpf_device(bpf, port->port))
		attach_later(bpf, port->port);
	fo__bpf_links_said(bpf, port->port, false);
}

/* Far more often than it runs out. By the kernel's clock: the table's may be another. */
static void renew_lease(struct fo__bpf *bpf)
{
	uint64_t soon = bpf->now_jiffies + bpf->jiffies_per_second;

	if (!bpf->leased || bpf->now_jiffies < bpf->next_lease_jiffies)
		return;
	if (!fo__bpf_lease(bpf))
		bpf->next_lease_jiffies = soon;
}

static void bpf_poll(void *priv, unsigned int max_us)
{
	struct fo__bpf *bpf = priv;
	uint64_t count, until_us = fo__bpf_now_us() + max_us;

	(void)!read(bpf->grace.done, &count, sizeof(count));
	bpf->reaping = fo__bpf_flows_reap(bpf, until_us);
	fo__bpf_sides_reclaim(bpf);
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	renew_lease(bpf);
	(void)ring_buffer__consume(bpf->ring);
	fo__bpf_sweep(bpf, until_us);
	/* One of them takes all the time: the other has its turn when that is done. */
	if (!bpf->sweep_running || fo__bpf_now_us() < until_us || !max_us)
		bpf->looking_after = fo__bpf_care_poll(bpf, until_us);
	bpf->ending_flows = fo__bpf_links_poll(bpf);
}

static int bpf_fd(void *priv)
{
	return ((struct fo__bpf *)priv)->epoll;
}

static uint64_t bpf_deadline(void *priv)
{
	struct fo__bpf *bpf = priv;

	return bpf->reaping || bpf->sweep_running || bpf->looking_after || bpf->ending_flows
		       ? 0
		       : bpf->next_sweep_ms;
}

static int bpf_sync(void *priv)
{
	struct fo__bpf *bpf = priv;

	return bpf->ending.first == FO__BPF_NONE && bpf->waiting.first == FO__BPF_NONE ? 0 : -EAGAIN;
}

const struct fo_backend fo__backend_bpf = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = FO_RANK_BPF,
	.name = "bpf",
	.probe = fo__bpf_probe,
	.create = fo__bpf_create,
	.destroy = fo__bpf_destroy,
	.flow_add = bpf_flow_add,
	.flow_add_many = bpf_flow_add_many,
	.flow_del = bpf_flow_del,
	.flow_update = bpf_flow_update,
	.flow_stats = bpf_flow_stats,
	.adj_check = bpf_adj_check,
	.adj_update = bpf_adj_update,
	.port_set = bpf_port_set,
	.poll = bpf_poll,
	.fd = bpf_fd,
	.deadline = bpf_deadline,
	.sync = bpf_sync,
	.flow_explain = fo__bpf_flow_explain,
	.key_explain = fo__bpf_key_explain,
};
