/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.c - the descriptor and the deadline by which a caller's event loop knows when to poll. */
#include "core/table.h"

#include <errno.h>

/* Workers tell without a syscall; while some are open, their rings are looked at this often. */
#define RING_MS 100u
/* Waiting for workers to leave a burst. */
#define DRAIN_MS 1u

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t fo_table_deadline(struct fo_table *table)
{
	const struct fo_flowtable *store;
	uint64_t now, when;

	if (!table)
		return UINT64_MAX;
	store = table->store;
	now = fo__now(table);
	when = table->sweep_next_ms;
	if (fo__work_left(table) || fo__events_waiting(table))
		return now;
	/* From the last poll on, so that asking does not put it off. */
	if (store->drain.count)
		when = sooner(when, table->polled_ms + DRAIN_MS);
	if (store->retired.count || (store->living && fo__workers_open(table)))
		when = sooner(when, table->polled_ms + RING_MS);
	if (table->backend->deadline)
		when = sooner(when, table->backend->deadline(table->priv));
	return when;
}

#ifdef __linux__

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void arm(struct fo_table *table, uint64_t when_ms)
{
	uint64_t now = fo__now(table), left = when_ms > now ? when_ms - now : 0;
	struct itimerspec timer = {
		.it_value = {.tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000}};

	if (!left)
		timer.it_value.tv_nsec = 1; /* zero would disarm */
	if (when_ms == UINT64_MAX)
		memset(&timer, 0, sizeof(timer));
	/* Only a bad descriptor or value could fail. */
	(void)timerfd_settime(table->timer_fd, 0, &timer, NULL);
	table->armed_ms = when_ms;
}

void fo__wake_at(struct fo_table *table, uint64_t when_ms)
{
	if (table->timer_fd >= 0 && when_ms < table->armed_ms)
		arm(table, when_ms);
}

void fo__fd_rearm(struct fo_table *table)
{
	if (table->timer_fd >= 0)
		arm(table, fo_table_deadline(table));
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int fo_table_fd(struct fo_table *table)
{
	int backend, code = fo__need_table(table, NULL);

	if (code)
		return code;
	if (table->epoll_fd >= 0)
		return table->epoll_fd;
	backend = table->backend->fd ? table->backend->fd(table->priv) : -1;
	table->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	table->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (table->epoll_fd < 0 || table->timer_fd < 0 || watch(table->epoll_fd, table->timer_fd) ||
	    (backend >= 0 && watch(table->epoll_fd, backend))) {
		code = -errno;
		fo__fd_close(table);
		return code;
	}
	fo__fd_rearm(table);
	return table->epoll_fd;
}

void fo__fd_close(struct fo_table *table)
{
	if (table->timer_fd >= 0)
		close(table->timer_fd);
	if (table->epoll_fd >= 0)
		close(table->epoll_fd);
	table->timer_fd = table->epoll_fd = -1;
}

#else

void fo__wake_at(struct fo_table *table, uint64_t when_ms)
{
	(void)table;
	(void)when_ms;
}

void fo__fd_rearm(struct fo_table *table)
{
	(void)table;
}

int fo_table_fd(struct fo_table *table)
{
	(void)table;
	return -EOPNOTSUPP;
}

void fo__fd_close(struct fo_table *table)
{
	(void)table;
}

#endif
