/* SPDX-License-Identifier: BSD-2-Clause */
/* library.c - a table of the soft backend. See library.h. */
#include "library.h"

#include <string.h>

#include "bench.h"
#include "frames.h"

void library_check(int err, const struct fo_error *error)
{
	if (err)
		bench_fail("%s: %s", error->field, error->text);
}

void library_create(struct library *library, uint32_t connections)
{
	struct fo_port ports[2];
	struct fo_table_options options;
	struct fo_error error;

	FO_INIT(&options);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = "soft";
	options.capacity = connections;
	options.max_workers = 1;
	options.ports = ports;
	options.n_ports = 2;
	library_check(fo_table_create(&options, &library->table, &error), &error);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj adj;

		frame_adj(&adj, i);
		library_check(fo_adj_add(library->table, &adj, &library->side[i], &error), &error);
	}
}

fo_flow_id library_add(const struct library *library, struct fo_flow *flow)
{
	struct fo_error error;
	fo_flow_id id;

	memcpy(flow->adj, library->side, sizeof(flow->adj));
	flow->timeout_ms = FO_TIMEOUT_NEVER;
	library_check(fo_flow_add(library->table, flow, &id, &error), &error);
	return id;
}
