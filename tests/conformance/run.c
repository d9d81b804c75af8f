/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - the list of groups, the loop over the cases, and what is printed. suite.c runs a
 * single case. */
#include "run.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

const struct suite_group *const run_groups[] = {
	&group_bytes,	  &group_nat,	     &group_checksum,
	&group_lengths,	  &group_guards,     &group_malformed,
	&group_ingress,	  &group_add,	     &group_duplicates,
	&group_delete,	  &group_counters,   &group_idle,
	&group_full,	  &group_walk,	     &group_batch,
	&group_devices,	  &group_invalidate, &group_update,
	&group_adjacency, &group_states,     &group_closing,
	&group_events,	  &group_explain,    &group_honest,
	&group_errors,	  &group_tables,     &group_crash,
	&group_worker,	  &group_random,     &group_late,
	&group_faulty,	  &group_forgetful,  NULL,
};

int run_matches(const char *patterns, const char *name)
{
	char one[128];

	while (patterns && *patterns) {
		size_t len = strcspn(patterns, ",");

		if (len < sizeof(one)) {
			memcpy(one, patterns, len);
			one[len] = '\0';
			if (!fnmatch(one, name, 0))
				return 1;
		}
		patterns += len;
		patterns += *patterns == ',';
	}
	return 0;
}

static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_line(const struct run_options *options, enum run_outcome outcome, const char *name,
		       const char *why)
{
	static const char *const words[] = {"ok", "FAIL", "skip"};

	if (options->json) {
		printf("{\"case\": \"%s\", \"rig\": \"%s\", \"outcome\": \"%s\", \"reason\": ", name,
		       options->rig->name, words[outcome]);
		print_json_string(why);
		printf("}\n");
	} else {
		printf("%-4s %s%s%s\n", words[outcome], name, *why ? "  " : "", why);
	}
	fflush(stdout);
}

/* The exception that is made of this case on this kernel. */
static const struct rig_exception *exception_of(const struct rig *rig, const char *name)
{
	unsigned int major = 0, minor = 0, kernel;
	const struct rig_exception *at;
	struct utsname system;

	if (uname(&system) || sscanf(system.release, "%u.%u", &major, &minor) != 2)
		return NULL;
	kernel = EXCEPTION_KERNEL(major, minor);
	for (at = rig->exceptions; at && at->name; at++)
		if (run_matches(at->name, name) && kernel >= at->first && (!at->last || kernel <= at->last))
			return at;
	return NULL;
}

/* Only what fails just so is excused, and what holds is no exception. */
static enum run_outcome excuse(const struct rig_exception *exception, enum run_outcome outcome, char *why,
			       size_t why_size)
{
	if (outcome == RUN_OK) {
		snprintf(why, why_size, "holds, but is listed as an exception: %s", exception->why);
		return RUN_FAIL;
	}
	if (outcome != RUN_FAIL || !strstr(why, exception->seen))
		return outcome;
	snprintf(why, why_size, "exception: %s", exception->why);
	return RUN_SKIP;
}

static enum run_outcome run_one(const struct run_options *options, const struct suite_case *c,
				const char *name)
{
	char why[1024], text[1100];
	const struct rig_exception *exception = exception_of(options->rig, name);
	enum run_outcome outcome = run_case(options, c, why, sizeof(why));

	if (exception)
		outcome = excuse(exception, outcome, why, sizeof(why));
	if (run_matches(options->expect_fail, name)) {
		snprintf(text, sizeof(text), "%s%s",
			 outcome == RUN_FAIL ? "fails, as expected: " : "should have failed ", why);
		outcome = outcome == RUN_FAIL ? RUN_OK : RUN_FAIL;
		print_line(options, outcome, name, text);
	} else {
		print_line(options, outcome, name, why);
	}
	return outcome;
}

unsigned int run_all(const struct run_options *options, struct run_totals *totals)
{
	unsigned int selected = 0;
	unsigned int g, i;

	for (g = 0; run_groups[g]; g++) {
		for (i = 0; i < run_groups[g]->n_cases; i++) {
			const struct suite_case *c = &run_groups[g]->cases[i];
			enum run_outcome outcome;
			char name[128];

			snprintf(name, sizeof(name), "%s/%s", run_groups[g]->name, c->name);
			if (options->glob && !run_matches(options->glob, name))
				continue;
			if (selected++ % options->shares != options->share)
				continue;
			outcome = run_one(options, c, name);
			totals->passed += outcome == RUN_OK;
			totals->failed += outcome == RUN_FAIL;
			totals->skipped += outcome == RUN_SKIP;
		}
	}
	return selected;
}

int run_close(const struct run_options *options, const struct run_totals *totals)
{
	if (options->json)
		printf("{\"rig\": \"%s\", \"passed\": %u, \"failed\": %u, \"skipped\": %u}\n",
		       options->rig->name, totals->passed, totals->failed, totals->skipped);
	else
		printf("%u passed, %u failed, %u skipped\n", totals->passed, totals->failed, totals->skipped);
	return totals->failed != 0;
}
