/* SPDX-License-Identifier: BSD-2-Clause */
/* ask.h - what the files share that ask a running `fo-demo serve`: add, del, list, stats, watch, explain,
 * policy.
 *
 *   ask.c          connects, sends the request, hands each answer on
 *   ask_options.c  the command line, in conntrack(8)'s words, to the request
 *   ask_print.c    answers as people know them from conntrack -L and -E
 */
#ifndef FO_DEMO_ASK_H
#define FO_DEMO_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"

struct ask {
	const char *verb;
	const char *socket;
	bool as_json, help;
	struct json request;
	uint64_t shown; /* flows printed */
};

/* ask_options.c: fills ask->request; false after a message. */
bool ask_options(struct ask *ask, int argc, char **argv);
void ask_usage(const char *verb);

/* ask_print.c: one answer as text. */
void ask_print(struct ask *ask, struct json_object *answer);
void ask_print_end(const struct ask *ask);

#endif /* FO_DEMO_ASK_H */
