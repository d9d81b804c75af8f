/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - a worker of the stress test: sends bursts (shots.h) at connections that the control thread keeps replacing,
 * and keeps books of what was forwarded for each life.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shots.h"

#define FORWARD_AT_LEAST 500u
#define REOPEN		 512u /* bursts after which a worker is closed and opened again */

static void take_aim(struct stress_worker *w, struct shot *shot, struct fo_packet *p)
{
	shot->connection = stress_below(&w->random, STRESS_CONNECTIONS);
	shot->life = atomic_load(&w->oracle->current[shot->connection]);
	shot->far = atomic_load(&w->oracle->n_sides) - 1;
	shot->dir = stress_below(&w->random, 2);
	shot->payload = stress_below(&w->random, 256);
	shot->tcp_flags = stress_below(&w->random, 4096) == 0 ? TCP_RST : TCP_ACK;
	shots_load(shot, p);
}

static void run_burst(struct stress_worker *w, struct fo_worker *worker)
{
	unsigned int n = 1 + stress_below(&w->random, 1u << stress_below(&w->random, 6)), i;
	struct fo_packet packets[SHOTS_MAX];
	struct shot shots[SHOTS_MAX];

	for (i = 0; i < n; i++)
		take_aim(w, &shots[i], &packets[i]);
	(void)shots_fire(w, worker, shots, packets, n);
	w->offered += n;
	atomic_store(&w->progress, (uint32_t)w->offered);
	actors_acted();
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

/* Some packets must have been forwarded: else the test has shown nothing. */
void worker_run(void *arg)
{
	struct stress_worker *w = arg;
	struct fo_worker *worker = open_worker(w);
	uint32_t bursts = 0;

	while (w->offered < w->quota || w->forwarded < FORWARD_AT_LEAST) {
		run_burst(w, worker);
		if (++bursts % REOPEN == 0) {
			fo_worker_close(worker);
			worker = open_worker(w);
		}
	}
	fo_worker_close(worker);
	atomic_store(&w->finished, true);
}

void worker_open(struct stress_worker *w, struct oracle *oracle, struct fo_table *table, uint64_t quota,
		 uint64_t seed)
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
}

void worker_close(struct stress_worker *w)
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

void worker_check_lives(const struct oracle *oracle, const struct stress_worker *workers,
			unsigned int n_workers)
{
	uint32_t i;

	for (i = 0; i < atomic_load(&oracle->n_flows); i++)
		check_sums(oracle, workers, n_workers, i);
}
