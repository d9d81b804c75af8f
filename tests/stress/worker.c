/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - a worker of the stress test: sends bursts at connections that the control thread keeps replacing, and
 * checks every packet that comes back forwarded against the generations that could be alive meanwhile (oracle.h).
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "stress.h"

#define BURST	 32u
#define HEADROOM 32u
#define REOPEN	 4096u /* bursts after which a worker is closed and opened again */

struct shot {
	uint32_t connection;
	uint32_t life; /* FO_REPLY: the one whose address it is sent to */
	uint32_t far;  /* FO_REPLY: the generation it arrives by */
	uint32_t payload;
	unsigned int dir;
	uint8_t tcp_flags;
	uint8_t buffer[HEADROOM + FRAME_MAX];
};

static struct oracle *freeze_by;

/* Only atomics and one system call: async-signal-safe. */
static void frozen(int sig)
{
	uint32_t until = atomic_load(&freeze_by->now) + 64;

	(void)sig;
	while (!atomic_load(&freeze_by->done) && (int32_t)(atomic_load(&freeze_by->now) - until) < 0)
		sched_yield();
}

void stress_install_freeze(struct oracle *oracle)
{
	struct sigaction action;

	freeze_by = oracle;
	memset(&action, 0, sizeof(action));
	action.sa_handler = frozen;
	action.sa_flags = SA_RESTART;
	if (sigaction(STRESS_FREEZE, &action, NULL) != 0)
		stress_die("sigaction");
}

static void take_aim(struct stress_worker *w, struct shot *shot, struct fo_packet *p)
{
	uint32_t life, sides = atomic_load(&w->oracle->n_sides);
	struct frame frame;
	struct fo_flow flow;

	shot->connection = stress_below(&w->random, STRESS_CONNECTIONS);
	life = atomic_load(&w->oracle->current[shot->connection]);
	shot->life = life;
	shot->far = sides - 1;
	shot->dir = stress_below(&w->random, 2);
	shot->payload = stress_below(&w->random, 256);
	shot->tcp_flags = stress_below(&w->random, 4096) == 0 ? TCP_RST : TCP_ACK;
	frames_flow(shot->connection, life, &flow);
	frames_arriving(&flow, shot->dir, shot->far, shot->payload, shot->tcp_flags, &frame);
	memcpy(shot->buffer + HEADROOM, frame.bytes, frame.length);
	memset(p, 0, sizeof(*p));
	p->data = shot->buffer + HEADROOM;
	p->headroom = HEADROOM;
	p->contiguous = p->length = frame.length;
	p->in_port = shot->dir == FO_ORIGINAL ? NEAR_PORT : FAR_PORT;
}

static void check_life(struct oracle *oracle, const struct shot *shot, uint32_t life, uint32_t begin,
		       uint32_t end)
{
	const struct dates *dates;

	if (life >= atomic_load(&oracle->n_flows) || oracle->flows[life].connection != shot->connection)
		stress_die("connection %u was forwarded as life %u, which is none of its", shot->connection,
			   life);
	dates = &oracle->flows[life].dates;
	if (!oracle_could(dates, begin, end))
		stress_die(
			"connection %u direction %u: life %u (%u to %u) forwarded a packet of burst %u to %u",
			shot->connection, shot->dir, life, atomic_load(&dates->begin),
			atomic_load(&dates->end), begin, end);
}

/* Was there a far side during the burst by which a reply with these tags could arrive? */
static bool could_arrive(struct oracle *oracle, uint32_t far, uint32_t begin, uint32_t end)
{
	uint32_t i = atomic_load(&oracle->n_sides);

	while (i-- != 0 && atomic_load(&oracle->sides[i].end) > begin)
		if (oracle_could(&oracle->sides[i], begin, end) && (i == far || ((i | far) & 1) == 0))
			return true;
	return false;
}

static void check_far(struct oracle *oracle, const struct shot *shot, uint32_t far, uint32_t begin,
		      uint32_t end)
{
	if (shot->dir == FO_REPLY) {
		if (!could_arrive(oracle, shot->far, begin, end))
			stress_die("a reply by far side %u was taken in burst %u to %u", shot->far, begin,
				   end);
		return;
	}
	if (far >= atomic_load(&oracle->n_sides))
		stress_die("a packet left by far side %u, which never was", far);
	if (!oracle_could(&oracle->sides[far], begin, end))
		stress_die("far side %u (%u to %u) sent a packet of burst %u to %u", far,
			   atomic_load(&oracle->sides[far].begin), atomic_load(&oracle->sides[far].end),
			   begin, end);
}

static void check_forwarded(struct stress_worker *w, const struct shot *shot, const struct fo_packet *p,
			    uint32_t begin, uint32_t end)
{
	uint32_t life = shot->life, far = shot->far;
	struct frame expected;
	struct fo_flow flow;

	if (p->contiguous != p->length)
		stress_die("contiguous %u, length %u", p->contiguous, p->length);
	if (shot->dir == FO_ORIGINAL) {
		life = frames_read_life(p->data, p->length, shot->connection);
		far = frames_read_far(p->data, p->length);
	}
	check_life(w->oracle, shot, life, begin, end);
	check_far(w->oracle, shot, far, begin, end);
	frames_flow(shot->connection, life, &flow);
	frames_leaving(&flow, shot->dir, far, shot->payload, shot->tcp_flags, &expected);
	if (p->length != expected.length || memcmp(p->data, expected.bytes, expected.length) != 0)
		stress_die("connection %u direction %u life %u far side %u: wrong bytes", shot->connection,
			   shot->dir, life, far);
	if (p->out_port != (shot->dir == FO_ORIGINAL ? FAR_PORT : NEAR_PORT))
		stress_die("left by port %u", p->out_port);
	w->life_packets[life * 2 + shot->dir]++;
	w->life_bytes[life * 2 + shot->dir] += expected.l3_bytes;
	w->forwarded++;
	w->bytes += expected.l3_bytes;
}

static void check_passed(struct stress_worker *w, const struct shot *shot, const struct fo_packet *p)
{
	struct frame frame;
	struct fo_flow flow;

	frames_flow(shot->connection, shot->life, &flow);
	frames_arriving(&flow, shot->dir, shot->far, shot->payload, shot->tcp_flags, &frame);
	if (p->data != shot->buffer + HEADROOM || p->length != frame.length ||
	    memcmp(p->data, frame.bytes, frame.length) != 0)
		stress_die("a packet passed on (%s) was changed", fo_reason_name(p->reason));
	if (p->reason == FO_R_NONE)
		stress_die("a packet passed on without a reason");
	w->passed++;
}

static void run_burst(struct stress_worker *w, struct fo_worker *worker)
{
	unsigned int n = 1 + stress_below(&w->random, BURST), i, returned, forwarded = 0;
	struct fo_packet packets[BURST];
	struct shot shots[BURST];
	uint32_t begin, end;

	for (i = 0; i < n; i++)
		take_aim(w, &shots[i], &packets[i]);
	begin = atomic_load(&w->oracle->now);
	returned = fo_worker_run(worker, packets, n, 1000);
	end = atomic_load(&w->oracle->now);
	for (i = 0; i < n; i++) {
		if (packets[i].verdict == FO_FORWARD) {
			check_forwarded(w, &shots[i], &packets[i], begin, end);
			forwarded++;
		} else {
			check_passed(w, &shots[i], &packets[i]);
		}
	}
	if (returned != forwarded)
		stress_die("fo_worker_run returned %u, forwarded %u", returned, forwarded);
	w->offered += n;
	atomic_store(&w->progress, (uint32_t)w->offered);
}

static struct fo_worker *open_worker(struct stress_worker *w)
{
	struct fo_worker *worker;
	struct fo_error err;
	int rc = fo_worker_open(w->table, NULL, &worker, &err);

	if (rc != 0)
		stress_die("fo_worker_open: %d %s", rc, err.text);
	return worker;
}

/* A thousand packets must have been forwarded: else the test has shown nothing. */
static void *run(void *arg)
{
	struct stress_worker *w = arg;
	struct fo_worker *worker = open_worker(w);
	uint32_t bursts = 0;

	while (w->offered < w->quota || w->forwarded < 1000) {
		run_burst(w, worker);
		if (++bursts % REOPEN == 0) {
			fo_worker_close(worker);
			worker = open_worker(w);
		}
	}
	fo_worker_close(worker);
	atomic_store(&w->finished, true);
	return NULL;
}

void stress_worker_start(struct stress_worker *w, struct oracle *oracle, struct fo_table *table,
			 uint64_t quota, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->oracle = oracle;
	w->table = table;
	w->quota = quota;
	w->random = seed;
	atomic_init(&w->finished, false);
	atomic_init(&w->progress, 0);
	w->life_packets = calloc((size_t)oracle->room * 2, sizeof(*w->life_packets));
	w->life_bytes = calloc((size_t)oracle->room * 2, sizeof(*w->life_bytes));
	if (w->life_packets == NULL || w->life_bytes == NULL)
		stress_die("no memory");
	if (pthread_create(&w->thread, NULL, run, w) != 0)
		stress_die("pthread_create");
}

void stress_worker_join(struct stress_worker *w)
{
	if (pthread_join(w->thread, NULL) != 0)
		stress_die("pthread_join");
}

void stress_worker_free(struct stress_worker *w)
{
	free(w->life_packets);
	free(w->life_bytes);
}

static void check_sums(const struct oracle *oracle, const struct stress_worker *workers,
		       unsigned int n_workers, uint32_t life)
{
	const struct flow_life *l = &oracle->flows[life];
	unsigned int d, i;

	if (!l->finished)
		stress_die("life %u of connection %u never had final counters", life, l->connection);
	for (d = 0; d < 2; d++) {
		uint64_t packets = 0, bytes = 0;

		for (i = 0; i < n_workers; i++) {
			packets += workers[i].life_packets[life * 2 + d];
			bytes += workers[i].life_bytes[life * 2 + d];
		}
		if (packets != l->packets[d] || bytes != l->bytes[d])
			stress_die("life %u direction %u: workers forwarded %" PRIu64 " packets, %" PRIu64
				   " bytes, its final counters say %" PRIu64 " and %" PRIu64,
				   life, d, packets, bytes, l->packets[d], l->bytes[d]);
	}
}

void stress_check_lives(const struct oracle *oracle, const struct stress_worker *workers,
			unsigned int n_workers)
{
	uint32_t i;

	for (i = 0; i < atomic_load(&oracle->n_flows); i++)
		check_sums(oracle, workers, n_workers, i);
}
