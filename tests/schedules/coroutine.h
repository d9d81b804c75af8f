/* SPDX-License-Identifier: BSD-2-Clause */
/* coroutine.h - several flows of control in one thread, switched by hand: what they do is the same each time.
 *
 * Built on ucontext.h, which glibc has and musl has not; programs that use it are left out there. The stress test
 * (tests/stress/pause.c) and the schedules beside it switch at the steps of src/flowtable/steps.h.
 */
#ifndef SCHEDULES_COROUTINE_H
#define SCHEDULES_COROUTINE_H

#include <stdbool.h>

struct coroutine;

/* Never NULL: without memory the program ends. It runs when it is first resumed. */
struct coroutine *coroutine_new(void (*run)(void *arg), void *arg);
/* Begin anew; only one that has ended. */
void coroutine_restart(struct coroutine *c, void (*run)(void *arg), void *arg);
void coroutine_free(struct coroutine *c);

/* Run it until it yields or ends. Not from inside a coroutine. */
void coroutine_resume(struct coroutine *c);
/* Back to whom resumed the running one; does nothing outside. */
void coroutine_yield(void);
bool coroutine_ended(const struct coroutine *c);
/* The one that runs, or NULL. */
struct coroutine *coroutine_running(void);

#endif
