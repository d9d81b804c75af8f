/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - fo-demo, the example program of libflowoffload: finds the verb and runs it. Neighbours: demo.h. */
#include <stdio.h>
#include <string.h>

#include <flowoffload.h>

#include "demo.h"
#include "out.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} verbs[] = {
	{"router", cmd_router,
	 "route and NAT between two network interfaces, established connections short-cut"},
	{"replay", cmd_replay, "play a capture through the slow path and the fast path"},
	{"probe", cmd_probe, "what each backend can do here, or why not"},
	{"bench", cmd_bench, "a quick look at the speed of the fast path"},
	{"serve", cmd_serve, "hold a flow table that the verbs below work on"},
	{"add", cmd_add, "offload a connection"},
	{"del", cmd_del, "end the offload of a connection, or of all that match"},
	{"list", cmd_list, "the flows, in the form of conntrack -L"},
	{"stats", cmd_stats, "the table's counters"},
	{"watch", cmd_watch, "events as they come"},
	{"explain", cmd_explain, "why a connection is offloaded, or not"},
	{"clean", cmd_clean, "remove what a killed process left in the kernel"},
	{"policy", cmd_policy, "add, del, list: offload whatever is established and matches"},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void usage(FILE *to)
{
	fprintf(to, "fo-demo: the example program of libflowoffload %s\n\nusage: fo-demo VERB [OPTIONS]\n\n",
		fo_version());
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(to,
		"  %-8s this text; 'fo-demo VERB --help' explains a verb\n\n"
		"Exit status: 0 done, 1 it did not work, 2 the command line is wrong.\n",
		"help");
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	out_error("no verb '%s'; 'fo-demo help' lists them", name);
	return NULL;
}

/* Runs a verb with argv[0] for getopt's own messages; whoever got the command line wrong is told where to look. */
static int run_verb(const struct verb *verb, int argc, char **argv)
{
	static char name[32];
	int status;

	snprintf(name, sizeof(name), "fo-demo: %s", verb->name);
	argv[0] = name;
	status = verb->run(argc, argv);
	if (status == DEMO_USAGE)
		out_error("'fo-demo %s --help' explains", verb->name);
	return status;
}

static int help(int argc, char **argv)
{
	static char long_help[] = "--help";
	const struct verb *verb;

	if (argc < 2) {
		usage(stdout);
		return out_finish(DEMO_OK);
	}
	verb = find_verb(argv[1]);
	if (verb == NULL)
		return DEMO_USAGE;
	return run_verb(verb, 2, (char *[]){argv[1], long_help, NULL});
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		usage(stderr);
		return DEMO_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0) {
		printf("fo-demo %s\n", fo_version());
		return out_finish(DEMO_OK);
	}
	verb = find_verb(argv[1]);
	return verb != NULL ? run_verb(verb, argc - 1, argv + 1) : DEMO_USAGE;
}
