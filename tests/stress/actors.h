/* SPDX-License-Identifier: BSD-2-Clause */
/* actors.h - who acts in the stress test, and where they pause.
 *
 * The library is built with FO__STEPS here: at each step of its lock-free protocol (src/flowtable/steps.h) an actor
 * may stop for a while: let others run, spin, or wait until the other side has acted some times more. Every wait is
 * bounded by what others do, never by time.
 *   threads     each actor is a thread; the system interleaves them as well
 *   scheduled   each is a coroutine, and a generator decides who runs: one seed is one run, to the last packet
 * Neighbours: control.c and worker.c are the actors, stress.c starts them.
 */
#ifndef STRESS_ACTORS_H
#define STRESS_ACTORS_H

#include <stdbool.h>
#include <stdint.h>

enum actors_mode { ACTORS_THREADS, ACTORS_SCHEDULED };

#define ACTORS_MAX 9u

/* The first is the control thread, the others are workers. */
struct actor {
	void (*run)(void *arg);
	void *arg;
};

/* Can this build do it? */
bool actors_can(enum actors_mode mode);
/* Returns when all have ended. pause: one step in so many stops. */
void actors_run(enum actors_mode mode, const struct actor *actors, unsigned int n, uint64_t seed,
		uint32_t pause);

/* An actor has done something whole: a call of control's, a burst. */
void actors_acted(void);
/* An actor can do nothing before another one acts. */
void actors_wait(void);
/* Stop worker i (counted from 0) at whatever instruction it is, until control has acted some times more. False: it
 * has ended, or instructions are not what it stops at. */
bool actors_freeze(unsigned int i);
/* Stops so far. */
uint64_t actors_stops(void);

#endif
