/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_refused.c - a table of the bpf backend that cannot be: the errno, the reason and the words; and nothing stays attached.
 *
 * The router is that of the conformance rigs (tests/conformance/rig_net.h). Needs root.
 */
#include "flowoffload-bpf.h"
#include "rig_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY	65534
#define MISSING 77u

static struct fo_bpf_options own;
static struct fo_port ports[2];

static void check(const char *what, int code, int want, unsigned int reason, const struct fo_error *err,
		  const char *word)
{
	if (code == want && err->reason == reason && strstr(err->text, word))
		return;
	fprintf(stderr, "bpf-refused: %s: %d, should be %d; %s: %s (should say '%s')\n", what, code, want,
		fo_reason_name(err->reason), err->text, word);
	printf("0 passed, 1 failed, 0 skipped\n");
	exit(1);
}

static int try_table(const struct fo_table_options *options, struct fo_error *err)
{
	struct fo_table *table;
	int code;

	memset(err, 0, sizeof(*err));
	code = fo_table_create(options, &table, err);
	if (!code)
		fo_table_destroy(table);
	return code;
}

static void owned_device_names_its_owner(const struct fo_table_options *options)
{
	struct fo_table *first;
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	memset(&err, 0, sizeof(err));
	check("the first table", fo_table_create(options, &first, &err), 0, 0, &err, "");
	check("a second owner of XDP", try_table(options, &err), -EBUSY, FO_R_IN_USE, &err, "fo_xdp");
	fo_table_destroy(first);
	check("after the first has gone", try_table(options, &err), 0, 0, &err, "");
}

/* The second port: the first was attached already, and must be free again. */
static void missing_device_leaves_nothing(const struct fo_table_options *options)
{
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	ports[1].port = MISSING;
	check("a port that is not there", try_table(options, &err), -ENODEV, FO_R_PORT, &err, "77");
	ports[1].port = 3;
	check("the ports that are there", try_table(options, &err), 0, 0, &err, "");
}

static void without_privilege_says_which(const struct fo_table_options *options)
{
	struct fo_error err;
	int status;
	pid_t child = fork();

	if (!child) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		check("without privilege", try_table(options, &err), -EPERM, FO_R_PERMISSION, &err,
		      "CAP_BPF");
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		printf("2 passed, 1 failed, 0 skipped\n");
		exit(1);
	}
}

int main(void)
{
	struct fo_table_options options;
	char why[200] = "";
	void *state;

	FO_INIT(&own);
	FO_INIT(&options);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = 2 + i;
	}
	options.ports = ports;
	options.n_ports = 2;
	options.capacity = 16;
	options.backend_options = &own;
	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("bpf-refused: skipped, %s\n0 passed, 0 failed, 1 skipped\n", why);
		return 77;
	}
	owned_device_names_its_owner(&options);
	missing_device_leaves_nothing(&options);
	without_privilege_says_which(&options);
	net_close(state);
	printf("3 passed, 0 failed, 0 skipped\n");
	return 0;
}
