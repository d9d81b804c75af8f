/* SPDX-License-Identifier: BSD-2-Clause */
/* oracle.c - dates of generations, see oracle.h. Control alone writes; workers read behind the counter. */
#include "oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t stress_seed;

void stress_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "stress: seed %" PRIu64 ": ", stress_seed);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

uint64_t stress_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t stress_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(stress_random(state) % n);
}

void oracle_open(struct oracle *oracle, uint32_t lives)
{
	unsigned int i;

	atomic_init(&oracle->now, 1);
	atomic_init(&oracle->n_flows, 0);
	atomic_init(&oracle->n_sides, 0);
	oracle->room = lives;
	oracle->flows = calloc(lives, sizeof(*oracle->flows));
	oracle->sides = calloc(lives, sizeof(*oracle->sides));
	if (oracle->flows == NULL || oracle->sides == NULL)
		stress_die("no memory for %u generations", lives);
	for (i = 0; i < STRESS_CONNECTIONS; i++)
		atomic_init(&oracle->current[i], 0);
}

void oracle_close(struct oracle *oracle)
{
	free(oracle->flows);
	free(oracle->sides);
}

uint32_t oracle_tick(struct oracle *oracle)
{
	return atomic_fetch_add(&oracle->now, 1) + 1;
}

uint32_t oracle_ms(struct oracle *oracle)
{
	return 1000 + atomic_load(&oracle->now) * ORACLE_MS_PER_TICK;
}

static void begin(struct oracle *oracle, struct dates *dates)
{
	atomic_store(&dates->begin, atomic_load(&oracle->now));
	atomic_store(&dates->end, STRESS_NO_END);
}

uint32_t oracle_new_flow(struct oracle *oracle, uint32_t connection)
{
	uint32_t number = atomic_load(&oracle->n_flows);

	oracle->flows[number].connection = connection;
	begin(oracle, &oracle->flows[number].dates);
	begin(oracle, &oracle->flows[number].markings[0]);
	atomic_store(&oracle->flows[number].n_markings, 1);
	atomic_store(&oracle->n_flows, number + 1);
	return number;
}

uint32_t oracle_new_marking(struct oracle *oracle, uint32_t life)
{
	struct flow_life *l = &oracle->flows[life];
	uint32_t number = atomic_load(&l->n_markings);

	if (number == STRESS_MARKINGS)
		return number;
	begin(oracle, &l->markings[number]);
	atomic_store(&l->n_markings, number + 1);
	return number;
}

uint32_t oracle_new_side(struct oracle *oracle)
{
	uint32_t number = atomic_load(&oracle->n_sides);

	begin(oracle, &oracle->sides[number]);
	atomic_store(&oracle->n_sides, number + 1);
	return number;
}

void oracle_end(struct oracle *oracle, struct dates *dates)
{
	/* The date first, then the counter: who reads the new time sees the date as well. */
	if (atomic_load(&dates->end) == STRESS_NO_END)
		atomic_store(&dates->end, atomic_load(&oracle->now) + 1);
	oracle_tick(oracle);
}

bool oracle_could(const struct dates *dates, uint32_t begin_time, uint32_t end_time)
{
	return atomic_load(&dates->begin) <= end_time && atomic_load(&dates->end) > begin_time;
}
