/* SPDX-License-Identifier: BSD-2-Clause */
/* stress.h - the workers of the stress test, as its control thread (stress.c) sees them. */
#ifndef STRESS_STRESS_H
#define STRESS_STRESS_H

#include <pthread.h>

#include "oracle.h"

struct stress_worker {
	pthread_t thread;
	struct oracle *oracle;
	struct fo_table *table;
	uint64_t random;
	uint64_t quota; /* packets to offer at least */
	uint64_t offered;
	_Atomic uint32_t progress; /* offered, for control's pace */
	uint64_t forwarded;
	uint64_t bytes;
	uint64_t passed;
	uint32_t *life_packets; /* [life * 2 + direction]: forwarded, as this worker saw it */
	uint32_t *life_bytes;
	_Atomic bool finished;
};

/* Which signal freezes a worker, wherever it is, until the control thread has acted a few times more. */
#define STRESS_FREEZE SIGUSR1

void stress_worker_start(struct stress_worker *w, struct oracle *oracle, struct fo_table *table,
			 uint64_t quota, uint64_t seed);
void stress_worker_join(struct stress_worker *w);
void stress_worker_free(struct stress_worker *w);
/* Every life has had its final counters, and they are the sum of what the workers saw. */
void stress_check_lives(const struct oracle *oracle, const struct stress_worker *workers,
			unsigned int n_workers);
/* Before any worker starts. */
void stress_install_freeze(struct oracle *oracle);

#endif
