/* SPDX-License-Identifier: BSD-2-Clause */
/* coroutine.c - see coroutine.h. AddressSanitizer is told of each change of stack. */
#include "coroutine.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK_SIZE (128u * 1024)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TELL_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define TELL_SANITIZER 1
#endif

struct coroutine {
	ucontext_t own, back;
	void (*run)(void *arg);
	void *arg;
	bool ended;
	void *stack;
	void *fake_own, *fake_back; /* the sanitizer's */
	const void *back_stack;
	size_t back_size;
};

static struct coroutine *running;

#ifdef TELL_SANITIZER
#include <sanitizer/common_interface_defs.h>

static void leaving(void **fake, const void *stack, size_t size)
{
	__sanitizer_start_switch_fiber(fake, stack, size);
}

static void arrived(void *fake, const void **stack, size_t *size)
{
	__sanitizer_finish_switch_fiber(fake, stack, size);
}
#else
static void leaving(void **fake, const void *stack, size_t size)
{
	(void)fake;
	(void)stack;
	(void)size;
}

static void arrived(void *fake, const void **stack, size_t *size)
{
	(void)fake;
	(void)stack;
	(void)size;
}
#endif

static void fail(const char *what)
{
	fprintf(stderr, "coroutine: %s\n", what);
	abort();
}

static void begin(void)
{
	struct coroutine *c = running;

	arrived(NULL, &c->back_stack, &c->back_size);
	c->run(c->arg);
	c->ended = true;
	leaving(NULL, c->back_stack, c->back_size);
	if (setcontext(&c->back) != 0)
		fail("setcontext");
}

void coroutine_restart(struct coroutine *c, void (*run)(void *arg), void *arg)
{
	c->run = run;
	c->arg = arg;
	c->ended = false;
	if (getcontext(&c->own) != 0)
		fail("getcontext");
	c->own.uc_stack.ss_sp = c->stack;
	c->own.uc_stack.ss_size = STACK_SIZE;
	c->own.uc_link = NULL;
	makecontext(&c->own, begin, 0);
}

struct coroutine *coroutine_new(void (*run)(void *arg), void *arg)
{
	struct coroutine *c = calloc(1, sizeof(*c));

	if (c == NULL)
		fail("no memory");
	c->stack = malloc(STACK_SIZE);
	if (c->stack == NULL)
		fail("no memory for a stack");
	coroutine_restart(c, run, arg);
	return c;
}

void coroutine_free(struct coroutine *c)
{
	if (c == NULL)
		return;
	free(c->stack);
	free(c);
}

void coroutine_resume(struct coroutine *c)
{
	if (running != NULL || c->ended)
		fail("resumed from inside, or after its end");
	running = c;
	leaving(&c->fake_back, c->stack, STACK_SIZE);
	if (swapcontext(&c->back, &c->own) != 0)
		fail("swapcontext");
	arrived(c->fake_back, NULL, NULL);
	running = NULL;
}

void coroutine_yield(void)
{
	struct coroutine *c = running;

	if (c == NULL)
		return;
	leaving(&c->fake_own, c->back_stack, c->back_size);
	if (swapcontext(&c->own, &c->back) != 0)
		fail("swapcontext");
	arrived(c->fake_own, &c->back_stack, &c->back_size);
}

bool coroutine_ended(const struct coroutine *c)
{
	return c->ended;
}

struct coroutine *coroutine_running(void)
{
	return running;
}
