/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.c - adds that do not wait for a driver: threads of ours do, each with a socket of its own. See state.h.
 *
 * The kernel runs the driver while it takes the request, and several at a time where their sockets are several. A record
 * that is PENDING is read by the thread that has its slot, and written by nobody. What came of it is concluded by poll,
 * on the control thread, as every report.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MOST 16u
/* Outcomes that wait for poll; a thread that finds no room waits, too. */
#define DONE_MOST 256u
#define TX_ROOM	  8192u

struct outcome {
	uint32_t slot;
	uint16_t errors[2];
	uint8_t in_hw[2];
	char words[96];
};

struct waiter {
	struct fo__tc *tc;
	pthread_t thread;
	int started;
	struct fo__nl nl;
	struct outcome outcome;
	uint32_t first_seq;
	uint8_t tx[TX_ROOM] __attribute__((aligned(4)));
	uint8_t rx[FO__NL_RX_ROOM] __attribute__((aligned(4)));
};

struct fo__tc_threads {
	pthread_mutex_t lock;
	pthread_cond_t work, room;
	int stop, notice; /* eventfd: outcomes wait */
	uint32_t *queue;  /* a ring of slots */
	uint32_t size, first, n;
	uint32_t pending; /* control's alone: queued, under way, or not concluded */
	struct outcome done[DONE_MOST];
	uint32_t done_first, n_done;
	uint32_t n_waiters;
	struct waiter waiters[];
};

/* ---- A thread ---- */

static int answered(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct waiter *waiter = arg;
	uint32_t dir = seq - waiter->first_seq;
	struct fo__tc_seen seen;

	if (dir > 1)
		return 0;
	if (!nlh)
		waiter->outcome.errors[dir] = (uint16_t)error;
	else if (!fo__tc_read(nlh, &seen))
		waiter->outcome.in_hw[dir] = seen.in_hw;
	return 0;
}

static void add(struct waiter *waiter, uint32_t slot)
{
	struct fo__nl_answer answer = {.error = 0};
	struct fo__tc_rule rule;
	struct fo_tuple out;
	struct fo__tx tx;
	int rc;

	memset(&waiter->outcome, 0, sizeof(waiter->outcome));
	waiter->outcome.slot = slot;
	fo__tx_begin(&tx, waiter->tx, sizeof(waiter->tx), waiter->nl.seq);
	waiter->first_seq = tx.first_seq;
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__tc_rule_of(waiter->tc, slot, dir, &out, &rule);
		fo__tc_put_rule(waiter->tc, &tx, NLM_F_EXCL | NLM_F_ECHO, &rule);
	}
	rc = fo__nl_talk(&waiter->nl, &tx, answered, waiter, &answer);
	memcpy(waiter->outcome.words, answer.words, sizeof(waiter->outcome.words));
	/* Not known is not in; it is deleted to be sure. */
	for (unsigned int dir = 0; rc && answer.error != -rc && dir < 2; dir++)
		waiter->outcome.in_hw[dir] = 0;
}

static void *wait_for_drivers(void *arg)
{
	struct waiter *waiter = arg;
	struct fo__tc_threads *threads = waiter->tc->threads;
	const uint64_t one = 1;

	pthread_mutex_lock(&threads->lock);
	while (!threads->stop) {
		uint32_t slot;

		if (!threads->n) {
			pthread_cond_wait(&threads->work, &threads->lock);
			continue;
		}
		slot = threads->queue[threads->first];
		threads->first = (threads->first + 1) % threads->size;
		threads->n--;
		pthread_mutex_unlock(&threads->lock);
		add(waiter, slot);
		pthread_mutex_lock(&threads->lock);
		while (threads->n_done == DONE_MOST && !threads->stop)
			pthread_cond_wait(&threads->room, &threads->lock);
		/* At the end nobody concludes: what is in is taken out by its record. */
		if (threads->n_done == DONE_MOST)
			break;
		threads->done[(threads->done_first + threads->n_done++) % DONE_MOST] = waiter->outcome;
		(void)!write(threads->notice, &one, sizeof(one));
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

/* ---- Coming and going ---- */

static size_t size_of(uint32_t n)
{
	return sizeof(struct fo__tc_threads) + n * sizeof(struct waiter);
}

static int start(struct fo__tc *tc, struct waiter *waiter, struct fo_error *err)
{
	int rc;

	waiter->tc = tc;
	rc = fo__nl_open(&waiter->nl, NETLINK_ROUTE, tc->netns, waiter->rx, sizeof(waiter->rx), err);
	if (rc)
		return rc;
	rc = pthread_create(&waiter->thread, NULL, wait_for_drivers, waiter);
	waiter->started = !rc;
	return rc ? fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, rc,
				  "backend_options.helper_threads", "a thread cannot be started: %s",
				  strerror(rc))
		  : 0;
}

int fo__tc_threads_open(struct fo__tc *tc, struct fo_error *err)
{
	uint32_t n = tc->own.helper_threads;
	struct fo__tc_threads *threads;
	sigset_t all, before;
	int rc = 0;

	if (!n)
		return 0;
	threads = tc->ops->alloc(tc->host, size_of(n), 64);
	if (!threads)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM,
				     "backend_options.helper_threads", "no memory for %u threads", n);
	memset(threads, 0, size_of(n));
	tc->threads = threads;
	threads->n_waiters = n;
	threads->size = tc->n_slots;
	for (uint32_t i = 0; i < n; i++)
		threads->waiters[i].nl.fd = -1;
	(void)pthread_mutex_init(&threads->lock, NULL);
	(void)pthread_cond_init(&threads->work, NULL);
	(void)pthread_cond_init(&threads->room, NULL);
	threads->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	threads->queue = tc->ops->alloc(tc->host, threads->size * sizeof(*threads->queue), 64);
	if (threads->notice < 0 || !threads->queue)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory for the table");
	/* Signals are the program's. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; !rc && i < n; i++)
		rc = start(tc, &threads->waiters[i], err);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* What the threads put there is known to the records then. */
static void settle(struct fo__tc *tc)
{
	struct fo__tc_threads *threads = tc->threads;

	for (uint32_t i = 0; i < threads->n_waiters; i++)
		if (threads->waiters[i].started)
			pthread_join(threads->waiters[i].thread, NULL);
	/* Whatever was under way: a filter that is not there is none to delete. */
	for (uint32_t slot = 0; threads->pending && slot < tc->high; slot++)
		if (tc->records[slot].life == FO__TC_PENDING)
			tc->records[slot].there[0] = tc->records[slot].there[1] = 1;
}

void fo__tc_threads_stop(struct fo__tc *tc)
{
	struct fo__tc_threads *threads = tc->threads;

	if (!threads)
		return;
	pthread_mutex_lock(&threads->lock);
	threads->stop = 1;
	pthread_cond_broadcast(&threads->work);
	pthread_cond_broadcast(&threads->room);
	pthread_mutex_unlock(&threads->lock);
	settle(tc);
	for (uint32_t i = 0; i < threads->n_waiters; i++)
		fo__nl_close(&threads->waiters[i].nl);
	if (threads->notice >= 0)
		close(threads->notice);
	(void)pthread_cond_destroy(&threads->room);
	(void)pthread_cond_destroy(&threads->work);
	(void)pthread_mutex_destroy(&threads->lock);
	if (threads->queue)
		tc->ops->free(tc->host, threads->queue, threads->size * sizeof(*threads->queue));
	tc->ops->free(tc->host, threads, size_of(threads->n_waiters));
	tc->threads = NULL;
}

/* ---- Control ---- */

int fo__tc_threads_fd(const struct fo__tc *tc)
{
	return tc->threads ? tc->threads->notice : -1;
}

uint32_t fo__tc_threads_pending(const struct fo__tc *tc)
{
	return tc->threads ? tc->threads->pending : 0;
}

void fo__tc_threads_add(struct fo__tc *tc, uint32_t slot)
{
	struct fo__tc_threads *threads = tc->threads;

	pthread_mutex_lock(&threads->lock);
	threads->queue[(threads->first + threads->n++) % threads->size] = slot;
	pthread_cond_signal(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	threads->pending++;
}

static int take(struct fo__tc_threads *threads, struct outcome *out)
{
	int found;

	pthread_mutex_lock(&threads->lock);
	found = threads->n_done > 0;
	if (found) {
		*out = threads->done[threads->done_first];
		threads->done_first = (threads->done_first + 1) % DONE_MOST;
		threads->n_done--;
		pthread_cond_signal(&threads->room);
	}
	pthread_mutex_unlock(&threads->lock);
	return found;
}

static int why_not(struct fo__tc *tc, const struct outcome *outcome, struct fo_error *why)
{
	const struct fo__tc_record *record = &tc->records[outcome->slot];

	for (unsigned int dir = 0; dir < 2; dir++) {
		const char *what = dir ? "the reply direction" : "the original direction";
		struct fo__tc_rule rule;
		struct fo_tuple out;

		if (outcome->errors[dir]) {
			fo__tc_rule_of(tc, outcome->slot, dir, &out, &rule);
			fo__tc_remember(tc, &rule, outcome->errors[dir], outcome->words);
			return fo__tc_refused(why, outcome->errors[dir], outcome->words, what);
		}
		if (!outcome->in_hw[dir] && tc->own.mode == FO_TC_HARDWARE)
			return fo__nl_refuse(
				why, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VERIFY, 0, NULL,
				"%s was taken, but is not in hardware: leave it to the slow path", what);
		if (!fo__tc_port_works(&tc->ports[record->port[dir]]))
			return fo__nl_refuse(why, -ENODEV, FO_R_EGRESS_DOWN, FO_STAGE_INSTALL, 0, NULL,
					     "%s went down meanwhile", tc->ports[record->port[dir]].name);
	}
	return 0;
}

static void conclude(struct fo__tc *tc, const struct outcome *outcome)
{
	struct fo__tc_record *record = &tc->records[outcome->slot];
	uint64_t cookie = record->cookie;
	struct fo_error why;
	int unwanted = record->unwanted, rc = why_not(tc, outcome, &why);

	tc->threads->pending--;
	for (unsigned int dir = 0; dir < 2; dir++)
		record->there[dir] = !outcome->errors[dir];
	if (!rc && !unwanted) {
		record->life = FO__TC_LIVE;
		record->state = tc->own.mode == FO_TC_SOFTWARE ? FO_STATE_ACTIVE : FO_STATE_HARDWARE;
		record->seen[0] = record->seen[1] = tc->pass;
		tc->ops->state(tc->host, cookie, record->state, FO_R_NONE);
		return;
	}
	fo__tc_flow_forget(tc, outcome->slot);
	if (unwanted)
		tc->ops->removed(tc->host, cookie);
	else
		tc->ops->refused(tc->host, cookie, &why);
}

void fo__tc_threads_poll(struct fo__tc *tc, uint64_t until_us)
{
	struct outcome outcome;
	uint64_t count;

	if (!tc->threads)
		return;
	(void)!read(tc->threads->notice, &count, sizeof(count));
	while (take(tc->threads, &outcome)) {
		conclude(tc, &outcome);
		if (fo__tc_us() < until_us)
			continue;
		/* What is left is to be noticed again. */
		count = 1;
		(void)!write(tc->threads->notice, &count, sizeof(count));
		return;
	}
}
