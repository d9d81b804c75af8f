/* SPDX-License-Identifier: BSD-2-Clause */
/* restore.c - what an earlier process left in a device comes into a new table, under the handles that it had.
 *
 * Called by a backend from its create(): the table is empty, and none of its workers or callers is there yet. What is
 * restored was validated once, by a process that may have been killed at any point: it is checked again.
 */
#include "core/adding.h"

#include <errno.h>

/* Room for an adjacency of this number; those below it that nobody restores are free. */
static int reach(struct fo_table *table, uint32_t number)
{
	if (number >= FO__SIDE_MAX)
		return -EINVAL;
	while (table->adj_room <= number) {
		int code = fo__adjs_grow(table);

		if (code)
			return code;
	}
	if (table->adj_high <= number)
		table->adj_high = number + 1;
	return 0;
}

int fo__restore_adj(struct fo_host *host, fo_adj_id id, const struct fo_adj *adj)
{
	struct fo_table *table = (struct fo_table *)host;
	uint32_t number = (uint32_t)id, generation = (uint32_t)(id >> 32);
	const struct fo_port *port;
	struct fo_adj spec;
	int code = fo__check_adj(adj, &spec, NULL);

	if (code || !generation)
		return -EINVAL;
	port = fo__port_find(table, spec.port);
	if (!port)
		return -ENODEV;
	code = reach(table, number);
	if (code)
		return code;
	if (table->adjs[number].generation)
		return -EEXIST;
	table->adjs[number] =
		(struct fo__adjacency){spec, generation, FO__NO_SIDE, (uint32_t)(port - table->ports)};
	table->n_adjs++;
	if (generation > table->adj_generation)
		table->adj_generation = generation;
	return 0;
}

/* The slot of the cookie, with its generation. */
static int place(struct fo_table *table, uint64_t cookie, struct fo__conn_spec *spec,
		 const struct fo__search search[2])
{
	uint32_t conn = (uint32_t)cookie;
	int code = fo__conn_restore(table->store, spec, conn, (uint32_t)(cookie >> 32));

	if (code)
		return code;
	code = fo__conn_publish_as(table->store, conn, search);
	if (code)
		fo__conn_abandon(table->store, conn);
	return code;
}

int fo__restore_flow(struct fo_host *host, uint64_t cookie, const struct fo_flow *flow, unsigned int state,
		     uint64_t since_ms)
{
	struct fo_table *table = (struct fo_table *)host;
	struct fo__conn_spec spec;
	struct fo__adding adding;
	uint64_t now = fo__now(table);
	int code;

	if (state < FO_STATE_ARMED || state > FO_STATE_PARTIAL || !(cookie >> 32))
		return -EINVAL;
	fo__adding_expect(table);
	code = fo__adding_take(table, flow, &adding, NULL);
	if (code)
		return code;
	adding.flow.nat = fo__flow_nat(adding.flow.tuple);
	code = fo__adding_resolve(table, &adding, &spec, NULL);
	if (code)
		return code;
	spec.now_ms = (uint32_t)(since_ms < now ? since_ms : now);
	code = place(table, cookie, &spec, adding.search);
	if (code)
		return code;
	table->store->cold[(uint32_t)cookie].state = (uint8_t)state;
	fo__sweep_expect(table, now, adding.flow.timeout_ms);
	table->added++;
	return 0;
}

void fo__restore_used(struct fo_host *host, uint64_t cookie)
{
	struct fo_table *table = (struct fo_table *)host;
	uint32_t generation = (uint32_t)(cookie >> 32);

	if (generation > table->store->generation)
		table->store->generation = generation;
}
