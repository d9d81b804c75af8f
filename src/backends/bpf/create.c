/* SPDX-License-Identifier: BSD-2-Clause */
/* create.c - a table of the bpf backend comes and goes. Neighbours: state.h, guard.h, bpf.c.
 *
 * Memory first, then the kernel's maps and program, what watches over them, what an earlier process left, and devices at
 * last: what fails before that has changed nothing that forwards.
 */
#include "backends/bpf/guard.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CAN                                                                                                  \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ |         \
	 FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE |              \
	 FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC | FO_CAP_DELETE_KEEPS_CT |    \
	 FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST | FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT |            \
	 FO_CAP_CALLER_NEIGH | FO_CAP_PERSIST)

#define AGE_GRANULARITY_MS 2000u

/* ---- network namespace: the control thread goes there to attach, and comes back ---- */

int fo__bpf_netns_enter(const struct fo__bpf *bpf)
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

void fo__bpf_netns_leave(int back)
{
	if (back < 0)
		return;
	(void)setns(back, CLONE_NEWNET);
	close(back);
}

/* ---- what it can ---- */

/* XDP goes round the queueing discipline of the device that it leaves by; a filter stays when its owner is killed. */
static uint64_t caps_of(uint32_t attach, bool persists)
{
	bool xdp = attach == FO_BPF_ATTACH_XDP || attach == FO_BPF_ATTACH_XDP_GENERIC;
	bool filter = attach == FO_BPF_ATTACH_CLSACT || (!xdp && !fo__bpf_has_tcx());

	return CAN | (xdp ? 0 : FO_CAP_EGRESS_QDISC) |
	       (persists ? FO_CAP_CRASH_LINGERS
		: filter ? FO_CAP_CRASH_LEASE
			 : FO_CAP_CRASH_GONE);
}

static int look_at(const struct fo_table_options *options, struct fo_bpf_options *own, struct fo_caps *caps,
		   struct fo_error *err)
{
	int code = fo__bpf_options_take(options, own, err);

	if (code)
		return code;
	if (geteuid() && options == NULL)
		return fo__bpf_fail(err, -EPERM, FO_R_PERMISSION, NULL, EPERM,
				    "loading BPF programs needs CAP_BPF and CAP_NET_ADMIN (or root)");
	caps->can = caps_of(own->attach, options && (options->flags & FO_TABLE_PERSIST));
	if (own->attach != FO_BPF_ATTACH_XDP && own->attach != FO_BPF_ATTACH_XDP_GENERIC)
		caps->stats_flags = FO_STATS_GRO_AGGREGATED;
	caps->max_encaps = FO_MAX_ENCAPS;
	caps->delete_bound_ms = 0;
	caps->age_granularity_ms = AGE_GRANULARITY_MS;
	snprintf(caps->text, sizeof(caps->text),
		 "one program in the kernel, at XDP or TC ingress of each port");
	return 0;
}

int fo__bpf_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	struct fo_bpf_options own;

	return look_at(options, &own, caps, err);
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
			       bpf->care ? "with" : "without");
	if (bpf->n_warnings && at < sizeof(caps->text))
		snprintf(caps->text + at, sizeof(caps->text) - at,
			 "; %u warnings, which fo_bpf_options.warn is told", bpf->n_warnings);
	if (n[FO__BPF_HOOK_XDP] || n[FO__BPF_HOOK_XDP_GENERIC])
		caps->can &= ~FO_CAP_EGRESS_QDISC;
}

/* ---- memory ---- */

static void *take(struct fo__bpf *bpf, size_t n, size_t size)
{
	void *memory = bpf->ops->alloc(bpf->host, n * size, 64);

	if (memory)
		memset(memory, 0, n * size);
	return memory;
}

static int arrays_open(struct fo__bpf *bpf)
{
	if (!bpf->pins.wanted) {
		bpf->slots = take(bpf, bpf->n_slots, sizeof(*bpf->slots));
		bpf->sides = take(bpf, FO__BPF_SIDES, sizeof(*bpf->sides));
		bpf->ingresses = take(bpf, FO__BPF_INGRESSES, sizeof(*bpf->ingresses));
	}
	bpf->sides_by_id = take(bpf, 65536, sizeof(*bpf->sides_by_id));
	bpf->entries_free = take(bpf, 2 * FO__BPF_SIDES, sizeof(*bpf->entries_free));
	bpf->retired = take(bpf, FO__BPF_RETIRED, sizeof(*bpf->retired));
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

/* ---- destroy ---- */

void fo__bpf_destroy(void *priv)
{
	struct fo__bpf *bpf = priv;
	int back = fo__bpf_netns_enter(bpf);

	/* Of one that was created. A failure to create leaves what it found. */
	if (bpf->config.ready)
		bpf->pins.leave = bpf->n_living != 0;
	fo__bpf_detach(bpf);
	fo__bpf_netns_leave(back);
	fo__bpf_grace_close(bpf);
	fo__bpf_care_close(bpf);
	fo__bpf_links_close(bpf);
	fo__bpf_prover_close(bpf);
	ring_buffer__free(bpf->ring);
	if (bpf->epoll >= 0)
		close(bpf->epoll);
	fo__bpf_unload(bpf);
	fo__bpf_pins_close(bpf);
	if (bpf->netns >= 0)
		close(bpf->netns);
	arrays_close(bpf);
	bpf->ops->free(bpf->host, bpf, sizeof(*bpf));
}

/* ---- create ---- */

static void set_up(struct fo__bpf *bpf, const struct fo_backend_config *config,
		   const struct fo_bpf_options *own)
{
	struct timespec tick = {.tv_nsec = 4000000};

	*bpf = (struct fo__bpf){.host = config->host,
				.ops = config->ops,
				.n_slots = config->slots,
				.netns = -1,
				.epoll = -1,
				.grace = {.wake = -1, .done = -1},
				.ending = {FO__BPF_NONE, FO__BPF_NONE},
				.waiting = {FO__BPF_NONE, FO__BPF_NONE},
				.pins = {.folder = -1},
				.warn = own->warn,
				.warn_ctx = own->warn_ctx,
				.attach = own->attach};
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		bpf->devices[i].link = -1;
	for (unsigned int i = 0; i < FO__BPF_MAPS; i++)
		bpf->pins.map[i] = -1;
	for (unsigned int i = 0; i < FO__BPF_ARRAYS; i++)
		bpf->pins.array[i] = -1;
	/* The coarse clocks go by the tick. */
	(void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	bpf->jiffies_per_second = (1000000000ull + (uint64_t)tick.tv_nsec / 2) / (uint64_t)tick.tv_nsec;
}

static int memory_open(struct fo__bpf *bpf, const struct fo_table_options *options, const char *pins,
		       struct fo_error *err)
{
	int code = 0;

	if (options->netns_fd > 0) {
		bpf->netns = fcntl(options->netns_fd, F_DUPFD_CLOEXEC, 3);
		if (bpf->netns < 0)
			return fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "netns_fd", errno,
					    "not a descriptor of a namespace");
	}
	bpf->pins.wanted = (options->flags & FO_TABLE_PERSIST) != 0;
	if (bpf->pins.wanted) {
		code = fo__bpf_pins_open(bpf, pins, err);
		if (!code)
			code = fo__bpf_pins_arrays(bpf, err);
	}
	if (!code && arrays_open(bpf))
		code = fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0, "no memory for %u flows",
				    bpf->n_slots);
	return code;
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

/* The kernel's part: maps and program, and who tells of what happens. */
static int kernel_open(struct fo__bpf *bpf, bool leased, uint32_t conntrack, struct fo_error *err)
{
	int code = fo__bpf_load(bpf, bpf->n_slots, err);

	if (!code && (fo__bpf_grace_open(bpf) || events_open(bpf)))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno,
				    "no thread, ring or descriptor to be had");
	if (!code && leased && fo__bpf_lease(bpf))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno, "the kernel takes no lease");
	if (!code)
		code = fo__bpf_links_open(bpf, err);
	if (!code && watch(bpf, bpf->links->notices.fd))
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno, "the notices cannot be waited for");
	return code ? code : fo__bpf_care_open(bpf, conntrack, err);
}

/* The program is proven before it takes the place of one that forwards. */
static int attach_all(struct fo__bpf *bpf, const struct fo_table_options *options, struct fo_error *err)
{
	size_t stride = options->port_stride ? options->port_stride : sizeof(struct fo_port);
	int code = 0;

	for (size_t i = 0; !code && i < options->n_ports; i++) {
		const struct fo_port *port = (const void *)((const char *)options->ports + i * stride);

		code = fo__bpf_device_open(bpf, port->port, err);
	}
	if (!code)
		code = fo__bpf_prove_program(bpf, err);
	for (unsigned int i = 0; !code && i < FO__BPF_DEVICES; i++)
		if (bpf->devices[i].port)
			code = fo__bpf_device_attach(bpf, &bpf->devices[i], bpf->attach, err);
	for (unsigned int i = 0; !code && i < FO__BPF_DEVICES; i++)
		if (bpf->devices[i].port)
			fo__bpf_preflight(bpf, &bpf->devices[i]);
	return code;
}

/* What an earlier process left becomes ours, and everything is attached. */
static int begin(struct fo__bpf *bpf, const struct fo_table_options *options, struct fo_error *err)
{
	int code = 0, back;

	if (bpf->pins.wanted)
		code = bpf->pins.found ? fo__bpf_adopt(bpf, err) : fo__bpf_pins_maps(bpf, err);
	if (code)
		return code;
	back = fo__bpf_netns_enter(bpf);
	code = attach_all(bpf, options, err);
	fo__bpf_netns_leave(back);
	return !code && bpf->pins.wanted ? fo__bpf_pins_ready(bpf, err) : code;
}

int fo__bpf_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		   struct fo_error *err)
{
	struct fo_bpf_options own;
	struct fo__bpf *bpf;
	int code = look_at(config->options, &own, caps, err);
	bool leased = (caps->can & FO_CAP_CRASH_LEASE) != 0;

	if (code)
		return code;
	bpf = config->ops->alloc(config->host, sizeof(*bpf), 64);
	if (!bpf)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, NULL, 0, "no memory for the table");
	set_up(bpf, config, &own);
	code = memory_open(bpf, config->options, own.pins, err);
	if (!code)
		code = kernel_open(bpf, leased, own.conntrack, err);
	if (!code)
		code = begin(bpf, config->options, err);
	if (code) {
		fo__bpf_destroy(bpf);
		return code;
	}
	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	/* All that was counted before was told by the adoption; jiffies of a machine that has just started are high. */
	bpf->swept_jiffies = (uint32_t)bpf->now_jiffies;
	bpf->leased = leased;
	describe_hooks(bpf, caps);
	*priv = bpf;
	return 0;
}
