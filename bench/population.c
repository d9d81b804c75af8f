/* SPDX-License-Identifier: BSD-2-Clause */
/* population.c - the history of a table in use. See population.h. */
#include "population.h"

void population_open(struct population *population, const struct net *net, uint32_t connections)
{
	population->net = *net;
	population->connections = connections;
	population->number = bench_memory(connections * sizeof(*population->number));
	population_begin(population);
}

void population_close(struct population *population)
{
	bench_memory_free(population->number, population->connections * sizeof(*population->number));
}

void population_begin(struct population *population)
{
	population->draw.state = 0;
	for (uint32_t place = 0; place < population->connections; place++)
		population->number[place] = place;
}

uint32_t population_replace(struct population *population, uint32_t *place)
{
	uint32_t leaves;

	*place = bench_below(&population->draw, population->connections);
	leaves = population->number[*place];
	population->number[*place] += population->connections;
	return leaves;
}

uint64_t population_replacements(const struct population *population)
{
	return (uint64_t)POPULATION_REPLACED * population->connections;
}
