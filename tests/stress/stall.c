/* SPDX-License-Identifier: BSD-2-Clause */
/* stall.c - a worker that does not come back from fo_worker_run(), and what the control thread can do meanwhile.
 *
 * The worker is stopped at an exact place without any hook in the library: the page that holds its frame is made
 * unreadable (it stops when it parses) or read-only (it stops when it rewrites, the flow already found), and the
 * handler of SIGSEGV waits for the control thread, which sends it on or lets it die there. Checked while it stands still: deletes and adds go on, nothing of
 * the worker's flow is given away, fo_table_sync() keeps its deadline, the stall is an event, memory stays bounded.
 * And once it goes on: the packet left by the flow it belonged to and is in that flow's final counters. And when it
 * has died and somebody closes it: everything it held is given back, and its place serves another worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../fuzz/ledger.h"
#include "frames.h"

#define CAPACITY 64u
#define STALL_MS 500u
#define HEADROOM 64u
#define CHURN	 20000u
#define UPDATES	 100000u

enum part { AT_PARSE, AT_REWRITE };

/* What the worker is told when it stands still. */
enum order { GO_ON, DIE };

struct stall {
	struct ledger ledger;
	struct fo_table *table;
	_Atomic uint32_t now_ms; /* no 64-bit atomics on 32-bit machines */
	fo_adj_id near_id, far_id;
	fo_flow_id flow; /* the one the stopped worker works on */
	struct fo_worker *worker;
	uint8_t *page;
	size_t page_size;
	struct frame frame;
	struct fo_packet packet;
	unsigned int deleted; /* FO_EV_DELETED of flow */
	struct fo_flow_counters last;
	unsigned int other_events;
	unsigned int stalls, recoveries;
};

/* What the signal handler needs: the page it may stop for, and two pipes. */
static uint8_t *volatile trap_page;
static volatile size_t trap_size;
static int stopped_pipe[2], resume_pipe[2];
static sigjmp_buf end_of_thread;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;
	char byte = 0;

	(void)context;
	if (at < trap_page || at >= trap_page + trap_size) {
		signal(sig, SIG_DFL); /* a real fault: let it happen again */
		return;
	}
	if (write(stopped_pipe[1], &byte, 1) != 1 || read(resume_pipe[0], &byte, 1) != 1)
		_exit(3);
	if (byte == DIE)
		siglongjmp(end_of_thread, 1);
}

static uint64_t clock_ms(void *ctx)
{
	return atomic_load(&((struct stall *)ctx)->now_ms);
}

static void require(bool good, const char *what, const struct fo_error *err)
{
	if (!good)
		stress_die("%s%s%s", what, err != NULL ? ": " : "", err != NULL ? err->text : "");
}

static void open_table(struct stall *s)
{
	struct fo_table_options opts;
	struct fo_port ports[2];
	struct fo_error err;
	struct fo_adj adj;
	unsigned int i;

	FO_INIT(&opts);
	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = CAPACITY;
	opts.max_workers = 2;
	opts.ports = ports;
	opts.n_ports = 2;
	opts.allocator = &s->ledger.hook;
	opts.clock_ms = clock_ms;
	opts.clock_ctx = s;
	opts.stall_ms = STALL_MS;
	require(fo_table_create(&opts, &s->table, &err) == 0, "fo_table_create", &err);
	frames_near(&adj);
	require(fo_adj_add(s->table, &adj, &s->near_id, &err) == 0, "fo_adj_add", &err);
	frames_far(0, &adj);
	require(fo_adj_add(s->table, &adj, &s->far_id, &err) == 0, "fo_adj_add", &err);
}

static int add(struct stall *s, uint32_t connection, uint32_t life, fo_flow_id *id, struct fo_error *err)
{
	struct fo_flow flow;

	frames_flow(connection, life, &flow);
	flow.adj[0] = s->near_id;
	flow.adj[1] = s->far_id;
	return fo_flow_add(s->table, &flow, id, err);
}

static void *run_worker(void *arg)
{
	struct stall *s = arg;

	if (sigsetjmp(end_of_thread, 1) == 0)
		fo_worker_run(s->worker, &s->packet, 1, atomic_load(&s->now_ms));
	return NULL;
}

static void on_event(void *arg, const struct fo_event *event)
{
	struct stall *s = arg;

	if (event->kind == FO_EV_WORKER) {
		if (event->reason == FO_R_STALLED)
			s->stalls++;
		else
			s->recoveries++;
		require(event->flow == 0 && event->worker == 0, "FO_EV_WORKER names another worker", NULL);
	} else if (event->flow == s->flow) {
		require(event->kind == FO_EV_DELETED, "the flow ended by another event", NULL);
		s->deleted++;
		s->last = event->counters;
	} else {
		s->other_events++;
	}
}

static void poll_table(struct stall *s)
{
	struct fo_error err;

	require(fo_table_poll(s->table, 0, 0, on_event, s, &err) >= 0, "fo_table_poll", &err);
}

/* Start the worker on one packet of connection 0 and wait until it stands still. */
static pthread_t stop_worker(struct stall *s, enum part part)
{
	struct fo_flow flow;
	pthread_t thread;
	char byte;

	frames_flow(0, 1, &flow);
	frames_arriving(&flow, FO_ORIGINAL, 0, 11, TCP_ACK, &s->frame);
	require(mprotect(s->page, s->page_size, PROT_READ | PROT_WRITE) == 0, "mprotect", NULL);
	memcpy(s->page + HEADROOM, s->frame.bytes, s->frame.length);
	memset(&s->packet, 0, sizeof(s->packet));
	s->packet.data = s->page + HEADROOM;
	s->packet.headroom = HEADROOM;
	s->packet.contiguous = s->packet.length = s->frame.length;
	s->packet.in_port = NEAR_PORT;
	require(mprotect(s->page, s->page_size, part == AT_PARSE ? PROT_NONE : PROT_READ) == 0, "mprotect",
		NULL);
	require(pthread_create(&thread, NULL, run_worker, s) == 0, "pthread_create", NULL);
	require(read(stopped_pipe[0], &byte, 1) == 1, "read", NULL);
	return thread;
}

static void resume_worker(struct stall *s, pthread_t thread, enum order order)
{
	char byte = (char)order;

	require(mprotect(s->page, s->page_size, PROT_READ | PROT_WRITE) == 0, "mprotect", NULL);
	require(write(resume_pipe[1], &byte, 1) == 1, "write", NULL);
	require(pthread_join(thread, NULL) == 0, "pthread_join", NULL);
}

static void delete_under_the_worker(struct stall *s)
{
	struct fo_flow_counters last;
	struct fo_error err;
	fo_flow_id id;

	FO_INIT(&last);
	require(fo_flow_del(s->table, s->flow, &last, &err) == 0, "fo_flow_del", &err);
	require(!(last.flags & FO_STATS_FINAL),
		"counters called final with a worker in the middle of a packet", NULL);
	require(fo_flow_del(s->table, s->flow, NULL, &err) == -ENOENT, "the second delete was accepted",
		NULL);
	require(add(s, 0, 2, &id, &err) == -EBUSY && err.reason == FO_R_KEY_CLOSING,
		"the key of a closing flow", &err);
	require(fo_table_sync(s->table, 30, &err) == -ETIMEDOUT, "fo_table_sync did not time out", NULL);
	require((err.reason == FO_R_TIMEOUT || err.reason == FO_R_STALLED) &&
			strstr(err.text, "worker") != NULL,
		"the stalled worker is not named", &err);
}

/* Other flows come and go; where the table runs out of slots it says why, and its memory does not grow. */
static void churn_under_the_worker(struct stall *s)
{
	uint64_t good = 0, again = 0;
	size_t most = 0, first = 0;
	struct fo_error err;
	fo_flow_id id;
	uint32_t i;

	for (i = 0; i < CHURN; i++) {
		int rc = add(s, 1 + i % (CAPACITY / 2), 100 + i, &id, &err);

		if (rc == 0) {
			good++;
			require(fo_flow_del(s->table, id, NULL, &err) == 0, "fo_flow_del", &err);
		} else {
			require((rc == -EAGAIN && err.reason == FO_R_RECLAIM) || rc == -EBUSY ||
					rc == -ENOSPC,
				"adding another flow", &err);
			again++;
		}
		poll_table(s);
		if (i == CHURN / 10)
			first = ledger_bytes(&s->ledger);
		if (ledger_bytes(&s->ledger) > most)
			most = ledger_bytes(&s->ledger);
	}
	require(good >= CAPACITY / 2, "no other flow could be added", NULL);
	require(again != 0, "slots were given away while a worker could still look at them", NULL);
	require(most <= first, "memory grows as long as the worker is away", NULL);
	require(s->deleted == 0, "the flow ended under a worker that has not finished with it", NULL);
	printf("stall: %" PRIu64 " flows added meanwhile, %" PRIu64 " refused for now\n", good, again);
}

/* Each update leaves an entry that the worker may look at; when too many wait, an update is refused. */
static void update_under_the_worker(struct stall *s)
{
	size_t bytes = 0;
	struct fo_error err;
	struct fo_adj adj;
	uint32_t i;

	frames_far(0, &adj);
	for (i = 0; i < UPDATES; i++) {
		int rc = fo_adj_update(s->table, s->far_id, &adj, &err);

		require(rc == 0 || (rc == -EAGAIN && err.reason == FO_R_RECLAIM), "fo_adj_update", &err);
		require(rc == 0 || bytes == 0 || ledger_bytes(&s->ledger) == bytes,
			"refused updates take memory", NULL);
		if (rc != 0)
			bytes = ledger_bytes(&s->ledger);
	}
	require(bytes != 0, "updates go on without bound", NULL);
}

static void expect_stall_event(struct stall *s)
{
	unsigned int i;

	for (i = 0; i < 1000 && s->stalls == 0; i++) {
		atomic_fetch_add(&s->now_ms, STALL_MS);
		poll_table(s);
	}
	require(s->stalls == 1, "no FO_EV_WORKER for a worker that stands still", NULL);
}

/* Another worker is not held up. */
static void forward_on_another_worker(struct stall *s)
{
	uint8_t buffer[HEADROOM + FRAME_MAX];
	struct fo_worker *worker;
	struct fo_packet p;
	struct frame frame;
	struct fo_error err;
	struct fo_flow flow;
	fo_flow_id id;

	require(add(s, 40, 40, &id, &err) == 0, "adding beside a stalled worker", &err);
	require(fo_worker_open(s->table, NULL, &worker, &err) == 0, "fo_worker_open", &err);
	frames_flow(40, 40, &flow);
	frames_arriving(&flow, FO_ORIGINAL, 0, 5, TCP_ACK, &frame);
	memcpy(buffer + HEADROOM, frame.bytes, frame.length);
	memset(&p, 0, sizeof(p));
	p.data = buffer + HEADROOM;
	p.headroom = HEADROOM;
	p.contiguous = p.length = frame.length;
	p.in_port = NEAR_PORT;
	require(fo_worker_run(worker, &p, 1, atomic_load(&s->now_ms)) == 1,
		"the other worker forwards nothing", NULL);
	frames_leaving(&flow, FO_ORIGINAL, 0, 5, TCP_ACK, &frame);
	require(p.length == frame.length && memcmp(p.data, frame.bytes, frame.length) == 0, "wrong bytes",
		NULL);
	fo_worker_close(worker);
	require(fo_flow_del(s->table, id, NULL, &err) == 0, "fo_flow_del", &err);
}

/* Its thread is gone; its burst will never end. */
static void bury_worker(struct stall *s)
{
	struct fo_error err;
	fo_flow_id id;

	require(fo_table_sync(s->table, 30, &err) == -ETIMEDOUT,
		"what a dead worker may look at was given away", NULL);
	fo_worker_close(s->worker);
	require(fo_table_sync(s->table, 60000, &err) == 0, "fo_table_sync after the dead worker was closed",
		&err);
	poll_table(s);
	require(s->deleted == 1 && s->recoveries == 1, "no terminal event after the dead worker was closed",
		NULL);
	require((s->last.flags & FO_STATS_FINAL) && s->last.packets[0] == 0,
		"a packet that never left was counted", NULL);
	require(add(s, 0, 3, &id, &err) == 0, "the key is not free", &err);
	require(fo_worker_open(s->table, NULL, &s->worker, &err) == 0, "fo_worker_open", &err);
	forward_on_another_worker(s);
}

/* Stopped while parsing, it has not looked the flow up yet and may find it gone; stopped while rewriting it must
 * finish what it began, as the flow that it found. */
static void check_outcome(struct stall *s, enum part part)
{
	uint64_t expected = s->packet.verdict == FO_FORWARD;
	struct fo_error err;
	struct fo_flow flow;
	struct frame out;
	fo_flow_id id;
	unsigned int i;

	require(part == AT_PARSE || expected == 1, "a packet was given up in the middle of its rewriting",
		NULL);
	if (expected != 0) {
		frames_flow(0, 1, &flow);
		frames_leaving(&flow, FO_ORIGINAL, 0, 11, TCP_ACK, &out);
		require(s->packet.length == out.length && memcmp(s->packet.data, out.bytes, out.length) == 0,
			"the packet left with other bytes than its flow's", NULL);
	}
	require(fo_table_sync(s->table, 60000, &err) == 0, "fo_table_sync", &err);
	for (i = 0; i < 100 && (s->deleted == 0 || s->recoveries == 0); i++) {
		atomic_fetch_add(&s->now_ms, 1);
		poll_table(s);
	}
	require(s->deleted == 1, "no terminal event after the worker came back", NULL);
	require(s->recoveries == 1, "no FO_EV_WORKER after the worker came back", NULL);
	require((s->last.flags & FO_STATS_FINAL) && s->last.packets[0] == expected &&
			s->last.packets[1] == 0 && s->last.bytes[0] == expected * s->frame.l3_bytes,
		"the late packet is not in the final counters", NULL);
	require(add(s, 0, 3, &id, &err) == 0, "the key is not free", &err);
}

static void run(enum part part, enum order order)
{
	static struct stall s;
	struct fo_error err;
	pthread_t thread;

	memset(&s, 0, sizeof(s));
	atomic_init(&s.now_ms, 1000);
	ledger_init(&s.ledger);
	open_table(&s);
	s.page_size = (size_t)sysconf(_SC_PAGESIZE);
	s.page = mmap(NULL, s.page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(s.page != MAP_FAILED, "mmap", NULL);
	trap_page = s.page;
	trap_size = s.page_size;
	require(fo_worker_open(s.table, NULL, &s.worker, &err) == 0, "fo_worker_open", &err);
	require(add(&s, 0, 1, &s.flow, &err) == 0, "fo_flow_add", &err);
	thread = stop_worker(&s, part);
	forward_on_another_worker(&s);
	delete_under_the_worker(&s);
	expect_stall_event(&s);
	churn_under_the_worker(&s);
	update_under_the_worker(&s);
	resume_worker(&s, thread, order);
	if (order == DIE)
		bury_worker(&s);
	else
		check_outcome(&s, part);
	fo_worker_close(s.worker);
	fo_table_destroy(s.table);
	require(ledger_leaks(&s.ledger, "fo_table_destroy") == 0, "leaks", NULL);
	ledger_fini(&s.ledger);
	munmap(s.page, s.page_size);
	printf("stall: a worker %s while it %s: ok\n", order == DIE ? "died" : "stopped",
	       part == AT_PARSE ? "parses" : "rewrites");
}

int main(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO;
	require(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction", NULL);
	require(pipe(stopped_pipe) == 0 && pipe(resume_pipe) == 0, "pipe", NULL);
	run(AT_REWRITE, GO_ON);
	run(AT_PARSE, GO_ON);
	run(AT_REWRITE, DIE);
	run(AT_PARSE, DIE);
	return 0;
}
