/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.c - `fo-demo probe`: what each backend of this library can do on this machine, or why not. Neighbours:
 * out.h, demo.h.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <flowoffload.h>

#include "demo.h"
#include "out.h"

static const char usage_text[] =
	"usage: fo-demo probe [OPTIONS]\n"
	"\n"
	"Asks every backend of this library what it can do here, and creates nothing.\n"
	"Exit status 1 when none is usable.\n"
	"\n"
	"  -j, --json   as JSON\n"
	"  -h, --help   this text\n";

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct answer {
	const char *name;
	bool usable;
	struct fo_caps caps;
	struct fo_error err;
};

static void ask(const char *name, struct answer *answer)
{
	*answer = (struct answer){.name = name};
	FO_INIT(&answer->caps);
	answer->usable = fo_backend_probe(name, NULL, &answer->caps, &answer->err) == 0;
}

static void print_caps(const char *label, const struct fo_caps *caps, bool wanted)
{
	int column = printf("  %-7s", label);

	for (unsigned int bit = 0; bit < FO_CAP_COUNT; bit++) {
		const char *name = fo_cap_name(bit);

		if (((caps->can >> bit & 1) != 0) != wanted)
			continue;
		if (column + (int)strlen(name) + 1 > 78)
			column = printf("\n%9s", "") - 1;
		column += printf(" %s", name);
	}
	putchar('\n');
}

static void print_text(const struct answer *a)
{
	char n[OUT_NUMBER];

	if (!a->usable) {
		printf("%s: not usable here\n  %s%s%s (%s, %s)\n", a->name, a->err.field,
		       a->err.field[0] != '\0' ? ": " : "", a->err.text, fo_reason_name(a->err.reason),
		       strerror(-a->err.code));
		return;
	}
	printf("%s: usable%s%s\n", a->name, a->caps.text[0] != '\0' ? "; " : "", a->caps.text);
	print_caps("can", &a->caps, true);
	print_caps("cannot", &a->caps, false);
	printf("  flows at most   %s\n",
	       a->caps.max_flows != 0 ? out_count(n, a->caps.max_flows) : "as memory allows");
	printf("  encapsulations  %" PRIu32 " in one adjacency\n", a->caps.max_encaps);
	printf("  workers         %" PRIu32 "\n", a->caps.max_workers);
	printf("  delete holds    %s", a->caps.delete_bound_ms == 0 ? "at once\n" : "within ");
	if (a->caps.delete_bound_ms != 0)
		printf("%" PRIu32 " ms\n", a->caps.delete_bound_ms);
	printf("  idle flows end  at most %" PRIu32 " ms late\n", a->caps.age_granularity_ms);
}

static void add_json(struct json *doc, struct json_object *list, const struct answer *a)
{
	struct json_object *node = json_node(doc, list, NULL), *can, *error;

	json_text(doc, node, "name", a->name);
	json_flag(doc, node, "usable", a->usable);
	if (!a->usable) {
		error = json_node(doc, node, "error");
		json_text(doc, error, "reason", fo_reason_name(a->err.reason));
		json_text(doc, error, "stage", fo_stage_name(a->err.stage));
		json_text(doc, error, "field", a->err.field);
		json_text(doc, error, "text", a->err.text);
		return;
	}
	can = json_list(doc, node, "can");
	for (unsigned int bit = 0; bit < FO_CAP_COUNT; bit++) {
		if ((a->caps.can >> bit & 1) != 0)
			json_text(doc, can, NULL, fo_cap_name(bit));
	}
	json_u64(doc, node, "max_flows", a->caps.max_flows);
	json_u64(doc, node, "max_encaps", a->caps.max_encaps);
	json_u64(doc, node, "max_workers", a->caps.max_workers);
	json_u64(doc, node, "delete_bound_ms", a->caps.delete_bound_ms);
	json_u64(doc, node, "age_granularity_ms", a->caps.age_granularity_ms);
	json_text(doc, node, "text", a->caps.text);
}

static int probe(bool as_json)
{
	struct json_object *list = NULL;
	int status = DEMO_FAILED;
	struct answer answer;
	const char *name;
	struct json doc;

	if (as_json) {
		json_begin(&doc);
		json_text(&doc, doc.root, "version", fo_version());
		list = json_list(&doc, doc.root, "backends");
	} else {
		printf("libflowoffload %s\n", fo_version());
	}
	for (unsigned int i = 0; (name = fo_backend_name(i)) != NULL; i++) {
		ask(name, &answer);
		if (answer.usable)
			status = DEMO_OK;
		if (as_json) {
			add_json(&doc, list, &answer);
		} else {
			putchar('\n');
			print_text(&answer);
		}
	}
	return as_json ? json_print(&doc, status) : out_finish(status);
}

int cmd_probe(int argc, char **argv)
{
	bool as_json = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "jh", long_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			as_json = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return out_finish(DEMO_OK);
		default:
			return DEMO_USAGE;
		}
	}
	if (optind != argc) {
		out_error("probe: '%s' is one word too many", argv[optind]);
		return DEMO_USAGE;
	}
	return probe(as_json);
}
