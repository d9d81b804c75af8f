/* SPDX-License-Identifier: BSD-2-Clause */
/* port.c - the ports of a table and their state. */
#include "core/table.h"

#include <errno.h>

const struct fo_port *fo__port_find(const struct fo_table *table, uint32_t port)
{
	for (uint32_t i = 0; i < table->n_ports; i++)
		if (table->ports[i].port == port)
			return &table->ports[i];
	return NULL;
}

int fo__ports_take(struct fo_table *table, const struct fo_table_options *options)
{
	uint32_t n = (uint32_t)options->n_ports;

	table->ports = fo__alloc(&table->store->memory, n * sizeof(*table->ports), 8);
	if (!table->ports)
		return -ENOMEM;
	table->port_room = table->n_ports = n;
	for (uint32_t i = 0; i < n; i++)
		fo__options_port(options, i, &table->ports[i]);
	return 0;
}

int fo__port_usable(const struct fo_table *table, uint32_t port, const char *field, struct fo_error *err)
{
	const struct fo_port *known = fo__port_find(table, port);

	if (!known)
		return fo__fail(
			err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, field,
			"port %u is not in the table; name it in fo_table_options.ports or fo_port_set()",
			port);
	if (known->state != FO_PORT_UP)
		return fo__fail(err, -ENODEV, FO_R_EGRESS_DOWN, FO_STAGE_RESOLVE, field,
				"port %u is %s; say fo_port_set() when it is up", port,
				known->state == FO_PORT_DOWN ? "down" : "gone");
	return 0;
}

static int port_append(struct fo_table *table, const struct fo_port *port, struct fo_error *err)
{
	uint32_t room = table->port_room * 2;

	if (table->n_ports == FO__PORTS_MAX)
		return fo__fail(err, -EINVAL, FO_R_PORT, FO_STAGE_RESOLVE, "port",
				"the table has %u ports already", FO__PORTS_MAX);
	if (table->n_ports == table->port_room) {
		struct fo_port *ports = fo__alloc(&table->store->memory, room * sizeof(*ports), 8);

		if (!ports)
			return fo__fail(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, NULL,
					"no memory for another port");
		memcpy(ports, table->ports, table->n_ports * sizeof(*ports));
		fo__free(&table->store->memory, table->ports, table->port_room * sizeof(*ports));
		table->ports = ports;
		table->port_room = room;
	}
	table->ports[table->n_ports++] = *port;
	return 0;
}

int fo_port_set(struct fo_table *table, const struct fo_port *port, struct fo_error *err)
{
	struct fo_port want, *known;
	struct fo_match everything;
	int code = fo__need_table(table, err);

	if (!code)
		code = fo__check_port(port, &want, err);
	if (code)
		return code;
	known = (struct fo_port *)fo__port_find(table, want.port);
	if (!known && want.state != FO_PORT_UP)
		return fo__port_usable(table, want.port, "port", err);
	if (!known) {
		code = port_append(table, &want, err);
		if (code)
			return code;
	} else {
		known->state = want.state;
	}
	if (table->backend->port_set)
		table->backend->port_set(table->priv, &want);
	if (want.state == FO_PORT_UP)
		return 0;
	for (uint32_t i = 0; i < table->adj_high; i++)
		if (table->adjs[i].generation && table->adjs[i].spec.port == want.port)
			fo__sides_kill(table->store, &table->adjs[i].first_side, FO_R_EGRESS_DOWN);
	FO_INIT(&everything);
	fo__job_add(table, &everything);
	return 0;
}
