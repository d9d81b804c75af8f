/* SPDX-License-Identifier: BSD-2-Clause */
/* explore.c - see explore.h. */
#include "explore.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "coroutine.h"
#include "flowtable/steps.h"

static struct coroutine *sides[2];

/* Outside of a coroutine, while a case is set up, nothing happens. */
void fo__step(enum fo__step step)
{
	(void)step;
	coroutine_yield();
}

static void start(struct coroutine **c, const struct explore_side *side)
{
	if (*c == NULL)
		*c = coroutine_new(side->run, side->arg);
	else
		coroutine_restart(*c, side->run, side->arg);
}

static char choose(struct explore *e)
{
	if (e->trail[e->depth] == '\0') {
		if (e->depth == EXPLORE_STEPS_MAX) {
			fprintf(stderr, "schedules: more than %u steps\n", EXPLORE_STEPS_MAX);
			abort();
		}
		e->trail[e->depth] = 'r';
		e->trail[e->depth + 1] = '\0';
	}
	return e->trail[e->depth++];
}

void explore_run(struct explore *e, const struct explore_side *reader, const struct explore_side *writer)
{
	start(&sides[0], reader);
	start(&sides[1], writer);
	e->depth = 0;
	while (!coroutine_ended(sides[0]) && !coroutine_ended(sides[1]))
		coroutine_resume(sides[choose(e) == 'w']);
	while (!coroutine_ended(sides[0]))
		coroutine_resume(sides[0]);
	while (!coroutine_ended(sides[1]))
		coroutine_resume(sides[1]);
	e->schedules++;
}

bool explore_next(struct explore *e)
{
	unsigned int last = e->depth;

	while (last != 0 && e->trail[last - 1] == 'w')
		last--;
	if (last == 0)
		return false;
	e->trail[last - 1] = 'w';
	e->trail[last] = '\0';
	return true;
}

void explore_close(void)
{
	coroutine_free(sides[0]);
	coroutine_free(sides[1]);
	sides[0] = sides[1] = NULL;
}
