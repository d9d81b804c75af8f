/* SPDX-License-Identifier: BSD-2-Clause */
/* router.c - `fo-demo router`: builds the router up, runs it, reports, takes it down. See router.h. */
#include "router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "demo.h"
#include "out.h"

static uint64_t cpu_ns(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) < 0)
		return 0;
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static int open_ports(struct router *r)
{
	char why[160];
	int side;

	for (side = 0; side < 2; side++) {
		if (ap_open(&r->port[side], r->o.ifname[side], &r->o.ap, why, sizeof(why))) {
			out_error("router: %s: %s", r->o.ifname[side], why);
			return -1;
		}
	}
	return 0;
}

static size_t local_addresses(const struct router_options *o, struct sp_local local[4])
{
	size_t n = 0;
	int side, f;

	for (side = 0; side < 2; side++) {
		for (f = ROUTER_V4; f <= ROUTER_V6; f++) {
			if (!o->addr[side][f].set)
				continue;
			local[n].family = router_fo_family(f);
			memcpy(local[n++].addr, o->addr[side][f].addr, 16);
		}
	}
	return n;
}

static int open_slow_path(struct router *r)
{
	struct sp_local local[4];
	struct sp_options o = {
		.capacity = r->o.capacity,
		.nat4 = r->o.nat[ROUTER_V4].set,
		.nat6 = r->o.nat[ROUTER_V6].set,
		.allow_in = r->o.allow_in,
		.check_ip_csum = true,
		.mtu = {r->port[SP_LAN].mtu, r->port[SP_WAN].mtu},
		.local = local,
		.n_local = local_addresses(&r->o, local),
	};
	struct neigh_ops ops = {router_ask, router_send_queued, router_neigh_changed, router_queue_lost, r};
	int ret;

	memcpy(o.nat4_addr, r->o.nat[ROUTER_V4].addr, 4);
	memcpy(o.nat6_addr, r->o.nat[ROUTER_V6].addr, 16);
	if (getrandom(o.secret, sizeof(o.secret), 0) != sizeof(o.secret)) {
		out_error("router: getrandom: %s", strerror(errno));
		return -1;
	}
	ret = sp_create(&o, &r->sp);
	r->neigh = ret ? NULL : neigh_create(&ops);
	if (r->neigh)
		return 0;
	out_error("router: %s", strerror(ret ? -ret : ENOMEM));
	return -1;
}

static int build(struct router *r)
{
	if (open_ports(r) || open_slow_path(r))
		return -1;
	if (!r->o.no_offload && router_offload_open(r))
		return -1;
	return router_link_open(r);
}

static void take_down(struct router *r)
{
	int fds[] = {r->epoll_fd, r->signal_fd, r->timer_fd, r->link_fd};
	size_t i;

	router_offload_close(r);
	neigh_destroy(r->neigh);
	sp_destroy(r->sp);
	ap_close(&r->port[SP_LAN]);
	ap_close(&r->port[SP_WAN]);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(r);
}

static int run(struct router *r)
{
	uint64_t wall = router_now_ns(), cpu = cpu_ns();
	int status = router_loop(r), reported;

	cpu = cpu_ns() - cpu;
	wall = router_now_ns() - wall;
	router_offload_poll(r);
	router_offload_close(r);
	sp_get_stats(r->sp, &r->slow);
	ap_count_lost(&r->port[SP_LAN]);
	ap_count_lost(&r->port[SP_WAN]);
	reported = router_report(r, wall, cpu);
	return status ? status : reported;
}

int cmd_router(int argc, char **argv)
{
	struct router_options o;
	struct router *r;
	bool done;
	int status = router_parse_options(argc, argv, &o, &done);

	if (status || done)
		return status ? status : out_finish(DEMO_OK);
	r = calloc(1, sizeof(*r));
	if (!r) {
		out_error("router: %s", strerror(ENOMEM));
		return DEMO_FAILED;
	}
	r->o = o;
	r->epoll_fd = r->signal_fd = r->timer_fd = r->link_fd = -1;
	r->port[SP_LAN].fd = r->port[SP_WAN].fd = -1;
	status = build(r) ? DEMO_FAILED : run(r);
	take_down(r);
	return status;
}
