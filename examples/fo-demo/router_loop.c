/* SPDX-License-Identifier: BSD-2-Clause */
/* router_loop.c - the packet loop. A burst is taken from a ring, judged by the fast path where it lies, what that
 * passes on goes through the slow path in its place in the order, both rings' batches are sent, and only then
 * are the slots given back. Neighbours: see router.h.
 */
#include "router.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "out.h"

#define TICK_MS	     100
#define ROUNDS	     4u /* bursts from one side before the others get their turn */
#define EXPIRE_SLOTS 4096u

enum source { ON_LAN = SP_LAN, ON_WAN = SP_WAN, ON_TABLE, ON_SIGNAL, ON_TICK, ON_LINK };

uint64_t router_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ms(void)
{
	return router_now_ns() / 1000000;
}

/* ---- Packets ---- */

static void to_packet(const struct router *r, int side, const struct ap_frame *f, struct fo_packet *p)
{
	memset(p, 0, sizeof(*p));
	p->data = f->data;
	p->contiguous = f->length;
	p->length = f->length;
	p->in_port = (uint32_t)r->port[side].ifindex;
	p->headroom = AP_HEADROOM;
	if (f->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		p->flags |= FO_PKT_CSUM_PARTIAL;
		p->csum_start = f->vnet.csum_start;
		p->csum_offset = f->vnet.csum_offset;
	}
	if (f->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		p->flags |= FO_PKT_GSO;
		p->gso_size = f->vnet.gso_size;
	}
	if (f->vlan_tpid) {
		p->flags |= FO_PKT_VLAN;
		p->vlan_tci = f->vlan_tci;
		p->vlan_tpid = f->vlan_tpid;
	}
}

/* Sends what the fast path has rewritten: the virtio-net header follows the packet's metadata. */
static void send_fast(struct router *r, const struct ap_frame *f, const struct fo_packet *p)
{
	int side = p->out_port == (uint32_t)r->port[SP_LAN].ifindex ? SP_LAN : SP_WAN;
	struct virtio_net_hdr vnet = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};

	if (p->flags & FO_PKT_CSUM_PARTIAL) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = p->csum_start;
		vnet.csum_offset = p->csum_offset;
	}
	if (p->flags & FO_PKT_GSO) {
		vnet.gso_type = f->vnet.gso_type;
		vnet.gso_size = p->gso_size;
		vnet.hdr_len = (uint16_t)(f->vnet.hdr_len + (f->data - p->data));
	}
	r->n.fast++;
	ap_send(&r->port[side], &vnet, p->data, p->length);
}

static unsigned int burst(struct router *r, int side)
{
	struct ap_frame frames[ROUTER_BURST];
	struct fo_packet packets[ROUTER_BURST];
	unsigned int n = ap_receive(&r->port[side], frames, ROUTER_BURST), i;
	uint64_t began = router_now_ns();

	if (!n)
		return 0;
	r->now_ms = began / 1000000;
	r->n.rx += n;
	if (r->worker) {
		for (i = 0; i < n; i++)
			to_packet(r, side, &frames[i], &packets[i]);
		fo_worker_run(r->worker, packets, n, r->now_ms);
	}
	for (i = 0; i < n; i++) {
		if (r->worker && packets[i].verdict == FO_FORWARD)
			send_fast(r, &frames[i], &packets[i]);
		else
			router_pass(r, side, &frames[i]);
	}
	r->n.decide_ns += router_now_ns() - began;
	ap_flush(&r->port[SP_LAN]);
	ap_flush(&r->port[SP_WAN]);
	ap_release(&r->port[side], n);
	return n;
}

static void receive(struct router *r, int side, uint32_t events)
{
	unsigned int rounds = 0;
	socklen_t size = sizeof(int);
	int error;

	/* Reading the error clears it; what it means (the link went down) comes by rtnetlink. */
	if (events & EPOLLERR)
		getsockopt(r->port[side].fd, SOL_SOCKET, SO_ERROR, &error, &size);
	while (rounds++ < ROUNDS && burst(r, side) == ROUTER_BURST)
		;
}

/* ---- Everything else ---- */

static void tick(struct router *r)
{
	uint64_t expirations;

	if (read(r->timer_fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	neigh_tick(r->neigh, r->now_ms);
	sp_expire(r->sp, r->now_ms, EXPIRE_SLOTS);
	if (r->o.explain_one)
		router_offload_explain(r);
}

static void read_signal(struct router *r)
{
	struct signalfd_siginfo info;

	if (read(r->signal_fd, &info, sizeof(info)) == sizeof(info))
		r->stop = true;
}

static void dispatch(struct router *r, const struct epoll_event *e)
{
	switch (e->data.u32) {
	case ON_LAN:
	case ON_WAN:
		receive(r, (int)e->data.u32, e->events);
		break;
	case ON_TABLE:
		router_offload_poll(r);
		break;
	case ON_SIGNAL:
		read_signal(r);
		break;
	case ON_TICK:
		tick(r);
		break;
	default:
		router_link_read(r);
	}
}

static int watch(struct router *r, int fd, enum source source)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = source};

	if (fd >= 0 && epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
		return 0;
	out_error("router: epoll: %s", strerror(errno));
	return -1;
}

static int watch_all(struct router *r)
{
	struct itimerspec every = {.it_interval.tv_nsec = TICK_MS * 1000000, .it_value.tv_nsec = 1};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->signal_fd < 0 || r->timer_fd < 0 || r->epoll_fd < 0 ||
	    timerfd_settime(r->timer_fd, 0, &every, NULL)) {
		out_error("router: signals, timer or epoll: %s", strerror(errno));
		return -1;
	}
	if (r->table && watch(r, fo_table_fd(r->table), ON_TABLE))
		return -1;
	return watch(r, r->port[SP_LAN].fd, ON_LAN) || watch(r, r->port[SP_WAN].fd, ON_WAN) ||
			       watch(r, r->signal_fd, ON_SIGNAL) || watch(r, r->timer_fd, ON_TICK) ||
			       watch(r, r->link_fd, ON_LINK)
		       ? -1
		       : 0;
}

int router_loop(struct router *r)
{
	struct epoll_event events[8];
	uint64_t end, progress;
	int n, i;

	if (watch_all(r))
		return DEMO_FAILED;
	r->now_ms = now_ms();
	end = r->o.seconds ? r->now_ms + r->o.seconds * 1000ull : UINT64_MAX;
	progress = r->o.stats_every ? r->now_ms + r->o.stats_every * 1000ull : UINT64_MAX;
	/* Scripts wait for this line. */
	out_error("router: ready on %s (LAN) and %s (WAN)%s", r->port[SP_LAN].name, r->port[SP_WAN].name,
		  r->table ? "" : ", without offload");
	while (!r->stop && r->now_ms < end) {
		n = epoll_wait(r->epoll_fd, events, 8, -1); /* the tick ends it */
		if (n < 0 && errno != EINTR) {
			out_error("router: epoll: %s", strerror(errno));
			return DEMO_FAILED;
		}
		r->now_ms = now_ms();
		for (i = 0; i < n; i++)
			dispatch(r, &events[i]);
		if (r->now_ms >= progress) {
			router_progress(r);
			progress += r->o.stats_every * 1000ull;
		}
	}
	return r->status;
}
