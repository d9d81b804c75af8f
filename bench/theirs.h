/* SPDX-License-Identifier: BSD-2-Clause */
/* theirs.h - another table (tables.h) as a contestant of lookup.c. scene.h says what is looked up.
 */
#ifndef BENCH_THEIRS_H
#define BENCH_THEIRS_H

#include "scene.h"
#include "tables.h"

struct theirs;

/* A table with all connections of the scene and room for places entries; NULL when it refuses one. */
struct theirs *theirs_open(struct scene *scene, const struct table_kind *kind, uint32_t places);
void theirs_close(struct theirs *theirs);

/* Connection old of the scene's numbers goes, new comes. 0, or -1 when it refuses the new one. */
int theirs_replace(struct theirs *theirs, uint32_t old, uint32_t new_one);

void theirs_contestant(struct theirs *theirs, struct contestant *contestant);

/* Every entry is found and touched once by a look-up of it, or no missing one is found; else the end. */
void theirs_verify(struct theirs *theirs);

/* Memory an entry, records included. */
double theirs_bytes(const struct theirs *theirs);

#endif
