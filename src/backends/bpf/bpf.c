/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.c - the provider contract on maps and one program in the kernel. Neighbours: state.h. */
#include "backends/bpf/bpf.h"

#include "backends/bpf/guard.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CAN                                                                                                  \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_QINQ | FO_CAP_PPPOE |           \
	 FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_PUNT_SYN |           \
	 FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC | FO_CAP_DELETE_KEEPS_CT |                      \
	 FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST | FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT |            \
	 FO_CAP_CALLER_NEIGH)

#define AGE_GRANULARITY_MS 2000u
#define RANK		   50u

int fo__bpf_fail(struct fo_error *err, int code, unsigned int reason, const char *field, int errno_,
		 const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->reason = (uint16_t)reason;
	err->stage = FO_STAGE_INSTALL;
	err->backend_errno = errno_;
	snprintf(err->field, sizeof(err->field), "%s", field ? field : "");
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

/* ---- network namespace: the control thread goes there to attach, and comes back ---- */

static int netns_enter(const struct fo__bpf *bpf)
{
	int back;

	if (bpf->netns < 0)
		return -1;
	back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back >= 0 && setns(bpf->netns, CLONE_NEWNET)) {
		close(back);
		back = -1;
	}
	return back;
}

static void netns_leave(int back)
{
	if (back < 0)
		return;
	(void)setns(back, CLONE_NEWNET);
	close(back);
}

/* ---- create and destroy ---- */

/* XDP goes round the queueing discipline of the device that it leaves by; a filter stays when its owner is killed. */
static uint64_t caps_of(uint32_t attach)
{
	bool xdp = attach == FO_BPF_ATTACH_XDP || attach == FO_BPF_ATTACH_XDP_GENERIC;
	bool filter = attach == FO_BPF_ATTACH_CLSACT || (!xdp && !fo__bpf_has_tcx());

	return CAN | (xdp ? 0 : FO_CAP_EGRESS_QDISC) | (filter ? FO_CAP_CRASH_LEASE : FO_CAP_CRASH_GONE);
}

static int bpf_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	struct fo_bpf_options own;
	int code = fo__bpf_options_take(options, &own, err);

	if (code)
		return code;
	if (geteuid() && options == NULL)
		return fo__bpf_fail(err, -EPERM, FO_R_PERMISSION, NULL, EPERM,
				    "loading BPF programs needs CAP_BPF and CAP_NET_ADMIN (or root)");
	caps->can = caps_of(own.attach);
	caps->max_encaps = FO_MAX_ENCAPS;
	caps->delete_bound_ms = 0;
	caps->age_granularity_ms = AGE_GRANULARITY_MS;
	snprintf(caps->text, sizeof(caps->text),
		 "one program in the kernel, at XDP or TC ingress of each port");
	return 0;
}

static void *take(struct fo__bpf *bpf, size_t n, size_t size)
{
	void *memory = bpf->ops->alloc(bpf->host, n * size, 64);

	if (memory)
		memset(memory, 0, n * size);
	return memory;
}

static int arrays_open(struct fo__bpf *bpf)
{
	bpf->slots = take(bpf, bpf->n_slots, sizeof(*bpf->slots));
	bpf->sides = take(bpf, FO__BPF_SIDES, sizeof(*bpf->sides));
	bpf->sides_by_id = take(bpf, 65536, sizeof(*bpf->sides_by_id));
	bpf->entries_free = take(bpf, 2 * FO__BPF_SIDES, sizeof(*bpf->entries_free));
	bpf->retired = take(bpf, FO__BPF_RETIRED, sizeof(*bpf->retired));
	bpf->ingresses = take(bpf, FO__BPF_INGRESSES, sizeof(*bpf->ingresses));
	bpf->sides_high = 1;
	return bpf->slots && bpf->sides && bpf->sides_by_id && bpf->entries_free && bpf->retired &&
			       bpf->ingresses
		       ? 0
		       : -ENOMEM;
}

static void give(struct fo__bpf *bpf, void *memory, size_t n, size_t size)
{
	if (memory)
		bpf->ops->free(bpf->host, memory, n * size);
}

static void arrays_close(struct fo__bpf *bpf)
{
	give(bpf, bpf->slots, bpf->n_slots, sizeof(*bpf->slots));
	give(bpf, bpf->sides, FO__BPF_SIDES, sizeof(*bpf->sides));
	give(bpf, bpf->sides_by_id, 65536, sizeof(*bpf->sides_by_id));
	give(bpf, bpf->entries_free, 2 * FO__BPF_SIDES, sizeof(*bpf->entries_free));
	give(bpf, bpf->retired, FO__BPF_RETIRED, sizeof(*bpf->retired));
	give(bpf, bpf->ingresses, FO__BPF_INGRESSES, sizeof(*bpf->ingresses));
}

static void bpf_destroy(void *priv)
{
	struct fo__bpf *bpf = priv;
	int back = netns_enter(bpf);

	fo__bpf_detach(bpf);
	netns_leave(back);
	fo__bpf_grace_close(bpf);
	fo__bpf_conntrack_close(bpf);
	fo__bpf_links_close(bpf);
	fo__bpf_prover_close(bpf);
	if (bpf->sweeping >= 0)
		close(bpf->sweeping);
	ring_buffer__free(bpf->ring);
	if (bpf->epoll >= 0)
		close(bpf->epoll);
	fo__bpf_unload(bpf);
	if (bpf->netns >= 0)
		close(bpf->netns);
	arrays_close(bpf);
	bpf->ops->free(bpf->host, bpf, sizeof(*bpf));
}

static int watch(struct fo__bpf *bpf, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(bpf->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int events_open(struct fo__bpf *bpf)
{
	bpf->epoll = epoll_create1(EPOLL_CLOEXEC);
	bpf->ring = ring_buffer__new(bpf->map[FO__BPF_EVENTS], fo__bpf_see_event, bpf, NULL);
	if (bpf->epoll < 0 || !bpf->ring)
		return -errno;
	return watch(bpf, ring_buffer__epoll_fd(bpf->ring)) || watch(bpf, bpf->grace.done) ? -errno : 0;
}

static int attach_all(struct fo__bpf *bpf, const struct fo_table_options *options, struct fo_error *err)
{
	size_t stride = options->port_stride ? options->port_stride : sizeof(struct fo_port);
	int code = 0, back = netns_enter(bpf);

	for (size_t i = 0; !code && i < options->n_ports; i++) {
		const struct fo_port *port = (const void *)((const char *)options->ports + i * stride);

		code = fo__bpf_device_add(bpf, port->port, bpf->attach, err);
	}
	if (!code)
		code = fo__bpf_prove_program(bpf, err);
	for (unsigned int i = 0; !code && i < FO__BPF_DEVICES; i++)
		if (bpf->devices[i].port)
			fo__bpf_preflight(bpf, &bpf->devices[i]);
	netns_leave(back);
	return code;
}

static void describe_hooks(const struct fo__bpf *bpf, struct fo_caps *caps)
{
	unsigned int n[5] = {0};
	size_t at;

	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		n[bpf->devices[i].hook]++;
	at = (size_t)snprintf(caps->text, sizeof(caps->text), "attached by");
	for (unsigned int hook = 1; hook < 5; hook++)
		if (n[hook] && at < sizeof(caps->text))
			at += (size_t)snprintf(caps->text + at, sizeof(caps->text) - at, " %s on %u ports",
					       fo__bpf_hook_name(hook), n[hook]);
	at += (size_t)snprintf(caps->text + at, sizeof(caps->text) - at, "; %s conntrack",
			       bpf->conntrack ? "with" : "without");
	if (bpf->n_warnings && at < sizeof(caps->text))
		snprintf(caps->text + at, sizeof(caps->text) - at,
			 "; %u warnings, which fo_bpf_options.warn is told", bpf->n_warnings);
	if (n[FO__BPF_HOOK_XDP] || n[FO__BPF_HOOK_XDP_GENERIC])
		caps->can &= ~FO_CAP_EGRESS_QDISC;
}

static int bpf_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		      struct fo_error *err)
{
	struct timespec tick = {.tv_nsec = 4000000};
	struct fo_bpf_options own;
	struct fo__bpf *bpf;
	int back, code = bpf_probe(config->options, caps, err);

	if (code)
		return code;
	(void)fo__bpf_options_take(config->options, &own, NULL);
	bpf = config->ops->alloc(config->host, sizeof(*bpf), 64);
	if (!bpf)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, NULL, 0, "no memory for the table");
	*bpf = (struct fo__bpf){.host = config->host,
				.ops = config->ops,
				.n_slots = config->slots,
				.netns = -1,
				.epoll = -1,
				.sweeping = -1,
				.grace = {.wake = -1, .done = -1},
				.ending = {FO__BPF_NONE, FO__BPF_NONE},
				.waiting = {FO__BPF_NONE, FO__BPF_NONE},
				.warn = own.warn,
				.warn_ctx = own.warn_ctx,
				.attach = own.attach};
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		bpf->devices[i].link = -1;
	/* The coarse clocks go by the tick. */
	(void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	bpf->jiffies_per_second = (1000000000ull + (uint64_t)tick.tv_nsec / 2) / (uint64_t)tick.tv_nsec;
	if (config->options->netns_fd > 0) {
		bpf->netns = fcntl(config->options->netns_fd, F_DUPFD_CLOEXEC, 3);
		if (bpf->netns < 0)
			code = fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "netns_fd", errno,
					    "not a descriptor of a namespace");
	}
	if (!code && arrays_open(bpf))
		code = fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0, "no memory for %u flows",
				    bpf->n_slots);
	if (!code)
		code = fo__bpf_load(bpf, config->slots, err);
	if (!code && (fo__bpf_grace_open(bpf) || events_open(bpf)))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno,
				    "no thread, ring or descriptor to be had");
	if (!code && (caps->can & FO_CAP_CRASH_LEASE) && fo__bpf_lease(bpf))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno, "the kernel takes no lease");
	if (!code)
		code = fo__bpf_links_open(bpf, err);
	if (!code && watch(bpf, bpf->links->notices.fd))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno, "the notices cannot be waited for");
	if (!code)
		code = fo__bpf_conntrack_open(bpf, own.conntrack, err);
	if (!code)
		code = attach_all(bpf, config->options, err);
	if (code) {
		bpf_destroy(bpf);
		return code;
	}
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	bpf->leased = (caps->can & FO_CAP_CRASH_LEASE) != 0;
	back = netns_enter(bpf);
	describe_hooks(bpf, caps);
	netns_leave(back);
	*priv = bpf;
	return 0;
}

/* ---- the rest of the contract ---- */

/* Conntrack takes a handful in one exchange. */
static void add_handful(struct fo__bpf *bpf, const struct fo_backend_flow *flows, size_t n,
			unsigned int *states, int *results, struct fo_error *errs)
{
	for (size_t i = 0; i < n; i++) {
		results[i] = fo__bpf_flow_ports_check(bpf, &flows[i], &errs[i]);
		if (!results[i])
			results[i] = fo__bpf_prove_flow(bpf, &flows[i], &states[i], &errs[i]);
	}
	fo__bpf_conntrack_admit(bpf, flows, n, results, errs);
	for (size_t i = 0; i < n; i++) {
		if (results[i])
			continue;
		results[i] = fo__bpf_flow_add(bpf, &flows[i], &errs[i]);
		if (results[i])
			fo__bpf_conntrack_dismiss(bpf, &flows[i]);
	}
}

static int bpf_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			struct fo_error *err)
{
	struct fo__bpf *bpf = priv;
	struct fo_error why;
	int code;

	add_handful(bpf, flow, 1, state, &code, err ? err : &why);
	return code;
}

static void bpf_flow_add_many(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
			      int *results, struct fo_error *errs)
{
	struct fo__bpf *bpf = priv;

	for (size_t i = 0; i < n; i += FO__BPF_ADMIT_MOST)
		add_handful(bpf, flows + i, n - i < FO__BPF_ADMIT_MOST ? n - i : FO__BPF_ADMIT_MOST,
			    states + i, results + i, errs + i);
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
		fo__bpf_conntrack_timeout(priv, flow->slot, flow->timeout_ms);
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

static void bpf_port_set(void *priv, const struct fo_port *port)
{
	struct fo__bpf *bpf = priv;
	bool attached = false;
	int back;

	if (port->state != FO_PORT_UP)
		fo__bpf_links_said(bpf, port->port, true);
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		attached |= bpf->devices[i].port == port->port;
	back = netns_enter(bpf);
	if (port->state == FO_PORT_GONE)
		fo__bpf_device_del(bpf, port->port);
	else if (port->state == FO_PORT_UP && !attached &&
		 !fo__bpf_device_add(bpf, port->port, bpf->attach, NULL))
		fo__bpf_preflight(bpf, fo__bpf_device(bpf, port->port));
	netns_leave(back);
	if (port->state == FO_PORT_UP)
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
	uint64_t count;

	(void)!read(bpf->grace.done, &count, sizeof(count));
	fo__bpf_flows_reap(bpf);
	fo__bpf_sides_reclaim(bpf);
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	renew_lease(bpf);
	(void)ring_buffer__consume(bpf->ring);
	fo__bpf_sweep(bpf, max_us);
	bpf->looking_after = fo__bpf_conntrack_poll(bpf);
	bpf->ending_flows = fo__bpf_links_poll(bpf);
}

static int bpf_fd(void *priv)
{
	return ((struct fo__bpf *)priv)->epoll;
}

static uint64_t bpf_deadline(void *priv)
{
	struct fo__bpf *bpf = priv;

	return bpf->sweep_running || bpf->looking_after || bpf->ending_flows ? 0 : bpf->next_sweep_ms;
}

static int bpf_sync(void *priv)
{
	struct fo__bpf *bpf = priv;

	return bpf->ending.first == FO__BPF_NONE && bpf->waiting.first == FO__BPF_NONE ? 0 : -EAGAIN;
}

const struct fo_backend fo__backend_bpf = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = RANK,
	.name = "bpf",
	.probe = bpf_probe,
	.create = bpf_create,
	.destroy = bpf_destroy,
	.flow_add = bpf_flow_add,
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
	.flow_add_many = bpf_flow_add_many,
	.flow_explain = fo__bpf_flow_explain,
	.key_explain = fo__bpf_key_explain,
};
