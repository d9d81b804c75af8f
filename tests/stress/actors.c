/* SPDX-License-Identifier: BSD-2-Clause */
/* actors.c - threads or coroutines, and fo__step() where they pause. See actors.h. */
#include "actors.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "flowtable/steps.h"
#include "oracle.h"
#ifdef HAVE_COROUTINES
#include "../schedules/coroutine.h"
#endif

#define FREEZE	     SIGUSR1
#define FREEZE_FOR   64u
#define WAIT_AT_MOST 400u /* yields, when the other side does not act at all */

struct place {
	struct actor actor;
	unsigned int number; /* 0: control */
	uint64_t random;
	pthread_t thread;
	atomic_bool ended;
	uint32_t asleep_until; /* scheduled: acts of the other side */
	bool asleep;
};

static struct place places[ACTORS_MAX];
static unsigned int n_places;
static _Atomic uint32_t acts[2]; /* of control, of all workers */
static _Atomic uint32_t stops;	 /* of one run */
static uint64_t earlier_stops;
static uint32_t one_in;
static atomic_bool control_ended;
static _Thread_local struct place *me;

static uint32_t others_acts(const struct place *place)
{
	return atomic_load(&acts[place->number == 0 ? 1 : 0]);
}

static bool reached(const struct place *place, uint32_t until)
{
	return (int32_t)(others_acts(place) - until) >= 0;
}

void actors_acted(void)
{
	atomic_fetch_add(&acts[me->number == 0 ? 0 : 1], 1);
}

uint64_t actors_stops(void)
{
	return earlier_stops + atomic_load(&stops);
}

/* ---- coroutines: a generator decides who goes on ---- */

#ifdef HAVE_COROUTINES

static struct coroutine *coroutines[ACTORS_MAX];
static uint64_t chooser;

static void stop_coroutine(struct place *place)
{
	if (stress_below(&place->random, 8) == 0) {
		place->asleep = true;
		place->asleep_until = others_acts(place) + 1 + stress_below(&place->random, 24);
	}
	coroutine_yield();
}

static bool ready(struct place *place)
{
	if (atomic_load(&place->ended))
		return false;
	if (place->asleep && reached(place, place->asleep_until))
		place->asleep = false;
	return !place->asleep;
}

/* Nobody is ready: all that sleep wake up, for what they wait for does not come. */
static struct place *choose(void)
{
	unsigned int from = stress_below(&chooser, n_places), i;

	for (i = 0; i < n_places; i++)
		if (ready(&places[(from + i) % n_places]))
			return &places[(from + i) % n_places];
	for (i = 0; i < n_places; i++)
		places[i].asleep = false;
	for (i = 0; i < n_places; i++)
		if (ready(&places[i]))
			return &places[i];
	return NULL;
}

static void begin_coroutine(void *arg)
{
	struct place *place = arg;

	place->actor.run(place->actor.arg);
	atomic_store(&place->ended, true);
}

static void run_scheduled(uint64_t seed)
{
	unsigned int i;

	chooser = seed;
	for (i = 0; i < n_places; i++)
		coroutines[i] = coroutine_new(begin_coroutine, &places[i]);
	while ((me = choose()) != NULL)
		coroutine_resume(coroutines[me->number]);
	for (i = 0; i < n_places; i++)
		coroutine_free(coroutines[i]);
}

static bool scheduled(void)
{
	return coroutine_running() != NULL;
}

#else

static void stop_coroutine(struct place *place)
{
	(void)place;
}

static void run_scheduled(uint64_t seed)
{
	(void)seed;
}

static bool scheduled(void)
{
	return false;
}

#endif

/* ---- threads ---- */

static void wait_for_others(struct place *place, uint32_t n)
{
	uint32_t until = others_acts(place) + n;
	unsigned int i;

	for (i = 0; i < WAIT_AT_MOST && !reached(place, until) && !atomic_load(&control_ended); i++)
		sched_yield();
}

static void stop_thread(struct place *place)
{
	uint32_t spins = stress_below(&place->random, 2000), i;

	switch (stress_below(&place->random, 4)) {
	case 0:
		for (i = 0; i < spins; i++)
			(void)atomic_load(&control_ended);
		break;
	case 1:
		wait_for_others(place, 1 + stress_below(&place->random, 24));
		break;
	default:
		sched_yield();
		break;
	}
}

/* Only atomics and one system call: async-signal-safe. */
static void frozen(int sig)
{
	uint32_t until = atomic_load(&acts[0]) + FREEZE_FOR;

	(void)sig;
	while (!atomic_load(&control_ended) && (int32_t)(atomic_load(&acts[0]) - until) < 0)
		sched_yield();
}

static void *begin_thread(void *arg)
{
	me = arg;
	me->actor.run(me->actor.arg);
	atomic_store(&me->ended, true);
	return NULL;
}

static void run_threads(void)
{
	struct sigaction action;
	unsigned int i;

	memset(&action, 0, sizeof(action));
	action.sa_handler = frozen;
	action.sa_flags = SA_RESTART;
	if (sigaction(FREEZE, &action, NULL) != 0)
		stress_die("sigaction");
	for (i = 1; i < n_places; i++)
		if (pthread_create(&places[i].thread, NULL, begin_thread, &places[i]) != 0)
			stress_die("pthread_create");
	begin_thread(&places[0]);
	atomic_store(&control_ended, true);
	for (i = 1; i < n_places; i++)
		if (pthread_join(places[i].thread, NULL) != 0)
			stress_die("pthread_join");
}

/* ---- both ---- */

bool actors_freeze(unsigned int i)
{
	/* not joined yet: a thread that has ended may still be named */
	return !scheduled() && !atomic_load(&places[i + 1].ended) &&
	       pthread_kill(places[i + 1].thread, FREEZE) == 0;
}

void actors_wait(void)
{
	if (scheduled())
		stop_coroutine(me);
	else
		sched_yield();
}

void fo__step(enum fo__step step)
{
	(void)step;
	if (me == NULL || stress_below(&me->random, one_in) != 0)
		return;
	atomic_fetch_add(&stops, 1);
	if (scheduled())
		stop_coroutine(me);
	else
		stop_thread(me);
}

bool actors_can(enum actors_mode mode)
{
#ifdef HAVE_COROUTINES
	(void)mode;
	return true;
#else
	return mode == ACTORS_THREADS;
#endif
}

void actors_run(enum actors_mode mode, const struct actor *actors, unsigned int n, uint64_t seed,
		uint32_t pause)
{
	unsigned int i;

	n_places = n;
	one_in = pause;
	earlier_stops += atomic_load(&stops);
	atomic_store(&stops, 0);
	atomic_store(&acts[0], 0);
	atomic_store(&acts[1], 0);
	atomic_store(&control_ended, false);
	for (i = 0; i < n; i++) {
		memset(&places[i], 0, sizeof(places[i]));
		places[i].actor = actors[i];
		places[i].number = i;
		places[i].random = seed * 64 + i;
		atomic_init(&places[i].ended, false);
	}
	if (mode == ACTORS_SCHEDULED)
		run_scheduled(seed);
	else
		run_threads();
	me = NULL;
}
