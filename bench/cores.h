/* SPDX-License-Identifier: BSD-2-Clause */
/* cores.h - two threads on two processors: places, clocks of their own, and a gate where they wait for each other.
 * Used by workers.c, churn.c and control.c; the clock also where a long run cannot take a median of short ones.
 */
#ifndef BENCH_CORES_H
#define BENCH_CORES_H

#include <stdatomic.h>
#include <stdint.h>

/* Are there two processors to run on? */
int cores_two(void);

/* Keep this thread on a processor, whatever the program was started on. */
void cores_pin(unsigned int number);

/* Start a thread; it is joined by cores_join(). Ends the program when it cannot. */
void cores_start(void *(*body)(void *arg), void *arg);
void cores_join(void);

/* Nanoseconds that this thread has run. */
uint64_t cores_cpu_now(void);

/* Two threads pass the gate together, again and again. Zeroed: open for the first time. */
struct gate {
	_Atomic uint32_t arrived;
};
void gate_pass(struct gate *gate);

#endif
