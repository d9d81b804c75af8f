/* SPDX-License-Identifier: BSD-2-Clause */
/* ours.h - the library's index and records as a contestant of lookup.c. scene.h says what is looked up.
 */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include "scene.h"

struct ours;

/* A store with all connections of the scene. */
struct ours *ours_open(struct scene *scene);
void ours_close(struct ours *ours);

/* Connection old of the scene's numbers goes, new comes. */
void ours_replace(struct ours *ours, uint32_t old, uint32_t new_one);

void ours_contestant(struct ours *ours, struct contestant *contestant);

/* Every entry is found at its place and touched once by a look-up of it, or no missing one is found; else the end. */
void ours_verify(struct ours *ours);

/* Memory an entry, the connection's cold half included, and entries to places. */
double ours_bytes(const struct ours *ours);
double ours_load(const struct ours *ours);

#endif
