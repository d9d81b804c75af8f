/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_owner.h - persistent tables of the bpf backend in processes that can be killed, for bpf_persist.c, bpf_adopted.c and
 * bpf_killed.c: three flows and a BPF file system of the test's own, on the router of bpf_router.h. */
#ifndef TESTS_NET_BPF_OWNER_H
#define TESTS_NET_BPF_OWNER_H

#include "bpf_router.h"

#include <sys/types.h>

#define FLOWS 3u /* the first is the one that carries packets */

extern struct fo_flow flows[FLOWS];
extern char mount_point[64], folder[96];

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

/* open_router(), and a folder for tables that persist. */
void open_owners(const char *test);

/* What a table has. */
void look(struct fo_table *table, struct report *report);
/* first: it adds the flows; the others adopt them. */
void start_owner(struct owner *owner, int first, struct report *report);
void ask_owner(const struct owner *owner, struct report *report);
void kill_owner(struct owner *owner);

#endif
