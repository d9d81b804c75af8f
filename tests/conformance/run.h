/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - running cases: for the program (main.c) and for the seeded faults (faults.c). */
#ifndef CONFORMANCE_RUN_H
#define CONFORMANCE_RUN_H

#include "suite.h"

/* Ends a case that hangs; on an emulated machine that is busy some take minutes. */
#define RUN_TIMEOUT_S 600u

enum run_outcome { RUN_OK, RUN_FAIL, RUN_SKIP };

struct run_options {
	const struct rig *rig;
	const char *glob;	    /* "group/name" pattern; NULL: all */
	const char *expect_fail;    /* comma-separated patterns of cases that must fail; NULL: none */
	unsigned int share, shares; /* of the cases: this one of so many, from 0; 1: all */
	int json;
	int in_process; /* no child per case: for sanitizers and debuggers; a crash ends the run */
};

struct run_totals {
	unsigned int passed;
	unsigned int failed;
	unsigned int skipped;
};

/* All groups, NULL-terminated. */
extern const struct suite_group *const run_groups[];

/* Run one case; why gets the reason of a failure or skip, or "". */
enum run_outcome run_case(const struct run_options *options, const struct suite_case *c, char *why,
			  size_t why_size);
/* Does "group/name" match a comma-separated list of patterns? */
int run_matches(const char *patterns, const char *name);
/* Run what options->glob selects, print a line each, add to totals. Returns the number of cases
 * selected. */
unsigned int run_all(const struct run_options *options, struct run_totals *totals);
/* The closing line. Returns the exit status. */
int run_close(const struct run_options *options, const struct run_totals *totals);

#endif /* CONFORMANCE_RUN_H */
