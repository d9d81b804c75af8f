/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_owner.h - persistent tables of the bpf backend in processes that can be killed, for bpf_persist.c and bpf_adopted.c: two ports, three
 * flows, a BPF file system of the test's own. */
#ifndef TESTS_NET_BPF_OWNER_H
#define TESTS_NET_BPF_OWNER_H

#include "flowoffload-bpf.h"
#include "packet.h"

#include <sys/types.h>

#define PORT_IN	 2u
#define PORT_OUT 3u
#define FLOWS	 3u /* the first is the one that carries packets */

extern struct fo_bpf_options own;
extern struct fo_adj adj[2];
extern struct fo_flow flows[FLOWS];
extern struct fo_table_options options;
extern char mount_point[64], folder[96];
extern const char *place;
extern unsigned int n_passed;

struct report {
	int code;
	char text[200];
	unsigned int n_flows;
	struct fo_flow_info info[FLOWS];
	struct fo_adj adj[2];
};

struct owner {
	pid_t child;
	int ask, answer;
};

void fail(const char *what, const char *detail) __attribute__((noreturn));
void check(int holds, const char *what);
/* The call failed so, and says the word. */
void check_error(const char *what, int code, int want, const struct fo_error *err, const char *word);

void describe(void);
void open_bpffs(void);
void close_bpffs(void);

/* What a table has. */
void look(struct fo_table *table, struct report *report);
/* first: it adds the flows; the others adopt them. */
void start_owner(struct owner *owner, int first, struct report *report);
void ask_owner(const struct owner *owner, struct report *report);
void kill_owner(struct owner *owner);

#endif
