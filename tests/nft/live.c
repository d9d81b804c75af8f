/* SPDX-License-Identifier: BSD-2-Clause */
/* live.c - runs the cases of the nft backend on this kernel, each in a process of its own: live [NAME...]. See live.h.
 *
 * A kernel without nf_flowtable is a skip with the probe's own words; everything else that is missing is a failure.
 */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Those that a kernel without nf_flowtable can run come first. */
#define WITHOUT_FLOWTABLE 1u
static const struct live_case *const groups[] = {live_conntrack, live_flows,   live_ends,   live_tables,
						 live_policies,	 live_devices, live_others, live_many};
/* In their place where the router's ports are simulated hardware. */
static const struct live_case *const hardware[] = {live_hardware};

static bool wanted(const char *name, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (strstr(name, names[i]))
			return true;
	return n == 0;
}

static bool run(const struct live_case *which)
{
	struct world world;
	int status;
	pid_t child = fork();

	if (!child) {
		memset(&world, 0, sizeof(world));
		which->run(&world);
		exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* 0: yes; 77: it has no nf_flowtable; 1: it should, and something is wrong. */
static int kernel_can(void)
{
	struct fo_error err;
	struct fo_table_options options;
	struct fo_port ports[2];
	struct world world;
	struct fo_caps caps;

	memset(&world, 0, sizeof(world));
	world_options(&world, &options, ports);
	FO_INIT(&caps);
	if (!fo_backend_probe("nft", &options, &caps, &err))
		return 0;
	printf("%s: %s\n", err.reason == FO_R_UNSUPPORTED ? "skip" : "FAIL", err.text);
	return err.reason == FO_R_UNSUPPORTED ? 77 : 1;
}

int main(int argc, char **argv)
{
	bool simulated = getenv("FO_WORLD_HARDWARE") != NULL;
	const struct live_case *const *all = simulated ? hardware : groups;
	size_t n = simulated ? 1 : sizeof(groups) / sizeof(groups[0]);
	unsigned int passed = 0, failed = 0, skipped = 0;
	int able;

	setvbuf(stdout, NULL, _IOLBF, 0);
	able = kernel_can();
	failed += able == 1;
	for (size_t i = 0; i < n; i++)
		for (const struct live_case *at = all[i]; at->name; at++) {
			bool ok;

			if (!wanted(at->name, argc - 1, argv + 1))
				continue;
			if (able && (simulated || i >= WITHOUT_FLOWTABLE)) {
				skipped++;
				continue;
			}
			ok = run(at);
			printf("%s %s\n", ok ? "ok  " : "FAIL", at->name);
			passed += ok;
			failed += !ok;
		}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? 1 : passed ? 0 : 77;
}
