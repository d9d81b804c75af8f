/* SPDX-License-Identifier: BSD-2-Clause */
/* explore.h - every order in which two threads can take their steps, one order after the other.
 *
 * Both are coroutines that yield at each step; at each step of either one must choose who goes on. A schedule is the
 * string of these choices; the next one is found by changing the last choice that has not been both. So all are
 * visited, however the number of steps depends on what happened before, provided that a schedule repeated from the
 * same state goes the same way.
 */
#ifndef SCHEDULES_EXPLORE_H
#define SCHEDULES_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_STEPS_MAX 96u

struct explore {
	char trail[EXPLORE_STEPS_MAX + 1]; /* 'r' or 'w'; after one has ended there is nothing to choose */
	unsigned int depth;
	uint64_t schedules;
};

struct explore_side {
	void (*run)(void *arg);
	void *arg;
};

/* Run the schedule that the trail begins; it is complete afterwards. */
void explore_run(struct explore *e, const struct explore_side *reader, const struct explore_side *writer);
/* The next one; false: that was the last. */
bool explore_next(struct explore *e);
/* Gives back the stacks. */
void explore_close(void);

#endif
