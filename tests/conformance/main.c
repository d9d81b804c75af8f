/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - fo-conformance: does this backend keep the contract? Arguments only; run.c does the
 * work. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_RIG_NPU
#include "faults.h"
#endif
#include "run.h"

static const char usage_text[] =
	"usage: fo-conformance [--rig NAME] [--case PATTERNS] [--json] [--in-process]\n"
	"                      [--expect-fail PATTERNS] [--faults] [--list]\n"
	"\n"
	"  --rig NAME              the backend's rig (default: the first)\n"
	"  --case PATTERNS         only these cases; comma-separated, 'group/name' with * and ?\n"
	"  --json                  one JSON object a line\n"
	"  --in-process            no child per case (sanitizers, debuggers)\n"
	"  --share I/N             only the Ith of N shares of the cases, for processes side by side\n"
	"  --expect-fail PATTERNS  these cases must fail\n"
	"  --faults                seed each known fault in turn; the suite must catch it by name\n"
	"  --list                  rigs and cases\n"
	"\n"
	"Exit status: 0 all as it should be, 1 a case failed, 2 wrong usage.\n";

static const struct rig *find_rig(const char *name)
{
	unsigned int i;

	for (i = 0; rig_list[i]; i++)
		if (!name || !strcmp(rig_list[i]->name, name))
			return rig_list[i];
	return NULL;
}

static int list(void)
{
	unsigned int g, i;

	for (i = 0; rig_list[i]; i++)
		printf("rig  %s - %s\n", rig_list[i]->name, rig_list[i]->about);
	for (g = 0; run_groups[g]; g++)
		for (i = 0; i < run_groups[g]->n_cases; i++)
			printf("case %s/%s\n", run_groups[g]->name, run_groups[g]->cases[i].name);
	return 0;
}

static int run(const struct run_options *options, int faults)
{
	struct run_totals totals = {0};

#ifdef HAVE_RIG_NPU
	if (faults)
		return faults_run(options);
#else
	if (faults) {
		fprintf(stderr, "fo-conformance: this build has no rig with seeded faults\n");
		return 2;
	}
#endif
	if (!run_all(options, &totals)) {
		fprintf(stderr, "fo-conformance: no case matches %s\n", options->glob);
		return 2;
	}
	return run_close(options, &totals);
}

static int read_share(const char *text, struct run_options *options)
{
	char end;

	if (sscanf(text, "%u/%u%c", &options->share, &options->shares, &end) == 2 && options->share &&
	    options->share <= options->shares) {
		options->share--;
		return 0;
	}
	fprintf(stderr, "fo-conformance: --share takes I/N, I from 1 to N, not %s\n", text);
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"rig", required_argument, NULL, 'r'},
						     {"case", required_argument, NULL, 'c'},
						     {"json", no_argument, NULL, 'j'},
						     {"in-process", no_argument, NULL, 'i'},
						     {"expect-fail", required_argument, NULL, 'e'},
						     {"share", required_argument, NULL, 's'},
						     {"faults", no_argument, NULL, 'f'},
						     {"list", no_argument, NULL, 'l'},
						     {"help", no_argument, NULL, 'h'},
						     {NULL, 0, NULL, 0}};
	struct run_options options = {.shares = 1};
	const char *rig = NULL;
	int faults = 0, want_list = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			rig = optarg;
			break;
		case 'c':
			options.glob = optarg;
			break;
		case 'j':
			options.json = 1;
			break;
		case 'i':
			options.in_process = 1;
			break;
		case 'e':
			options.expect_fail = optarg;
			break;
		case 's':
			if (read_share(optarg, &options))
				return 2;
			break;
		case 'f':
			faults = 1;
			break;
		case 'l':
			want_list = 1;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			fputs(usage_text, stderr);
			return 2;
		}
	}
	options.rig = find_rig(rig);
	if (!options.rig || optind < argc) {
		fprintf(stderr, "fo-conformance: %s %s\n%s",
			options.rig ? "unexpected argument" : "no such rig:",
			options.rig ? argv[optind] : rig, usage_text);
		return 2;
	}
	return want_list ? list() : run(&options, faults);
}
