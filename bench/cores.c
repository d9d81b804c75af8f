/* SPDX-License-Identifier: BSD-2-Clause */
/* cores.c - two threads on two processors. See cores.h. */
#include "cores.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* Spins before the processor is offered to others: the other thread may need this very one. */
#define SPINS 2000u

static pthread_t other;

int cores_two(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

void cores_pin(unsigned int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_fail("processor %u cannot be used", number);
}

void cores_start(void *(*body)(void *), void *arg)
{
	int err = pthread_create(&other, NULL, body, arg);

	if (err)
		bench_fail("no second thread: %s", strerror(err));
}

void cores_join(void)
{
	(void)pthread_join(other, NULL);
}

uint64_t cores_cpu_now(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
		bench_fail("no clock of a thread's own");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void gate_pass(struct gate *gate)
{
	uint32_t mine = atomic_fetch_add(&gate->arrived, 1) | 1;

	for (uint32_t spins = 0; (int32_t)(atomic_load(&gate->arrived) - mine) <= 0; spins++)
		if (spins > SPINS)
			sched_yield();
}
