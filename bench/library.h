/* SPDX-License-Identifier: BSD-2-Clause */
/* library.h - a table of the soft backend between the two sides of frames.h, by the public API. Used by path.c and
 * add.c; every call ends the program when it fails.
 */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include "flowoffload.h"

struct library {
	struct fo_table *table;
	fo_adj_id side[2];
};

/* An empty table for so many connections and one worker. */
void library_create(struct library *library, uint32_t connections);

/* flow without its adjacencies and timeout, which are filled in. */
fo_flow_id library_add(const struct library *library, struct fo_flow *flow);

/* End the program with the library's words when err is not 0. */
void library_check(int err, const struct fo_error *error);

#endif
