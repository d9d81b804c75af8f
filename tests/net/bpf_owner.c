/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_owner.c - see bpf_owner.h. */
#define _GNU_SOURCE
#include "bpf_owner.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct fo_flow flows[FLOWS];
char mount_point[64], folder[96];

/* ---- what there is ---- */

static void describe_owned(unsigned int n)
{
	struct fo_flow *flow = &flows[n];

	describe_flow(flow, 17, (uint16_t)(4711 + n), 53);
	for (unsigned int i = 0; n == 1 && i < 2; i++) {
		flow->tuple[i].family = FO_FAMILY_IPV6;
		memcpy(flow->tuple[i].src, (uint8_t[4]){0x20, 1, 0xd, (uint8_t)(0xb0 + i)}, 4);
		memcpy(flow->tuple[i].dst, (uint8_t[4]){0x20, 1, 0xd, (uint8_t)(0xb1 - i)}, 4);
	}
	flow->user = UINT64_C(0x1122334455667788) + n;
	flow->tag = 70 + n;
	flow->ct_mark = 80 + n;
	flow->timeout_ms = 3600000 + n;
	flow->dscp[0] = n == 2 ? FO_DSCP_SET(46) : FO_DSCP_KEEP;
}

static void open_bpffs(void)
{
	snprintf(mount_point, sizeof(mount_point), "/tmp/fo-bpf-persist-XXXXXX");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(mount_point) || mount("bpf", mount_point, "bpf", 0, NULL))
		fail("a BPF file system", strerror(errno));
	snprintf(folder, sizeof(folder), "%s/table", mount_point);
	own.pins = folder;
}

static void close_bpffs(void)
{
	(void)umount2(mount_point, MNT_DETACH);
	(void)rmdir(mount_point);
}

void open_owners(const char *test)
{
	describe();
	/* Numbers of ingresses are to be restored as well. */
	adj[1].n_encaps = 1;
	adj[1].encap[0].kind = FO_ENCAP_8021Q;
	adj[1].encap[0].id = 7;
	for (unsigned int i = 0; i < FLOWS; i++)
		describe_owned(i);
	open_router(test);
	open_bpffs();
	atexit(close_bpffs);
	options.flags |= FO_TABLE_PERSIST;
}

/* ---- owners ---- */

static int keep(void *arg, const struct fo_flow_info *info)
{
	struct report *report = arg;
	uint64_t n = info->flow.user - flows[0].user;

	if (n < FLOWS)
		report->info[n] = *info;
	report->n_flows++;
	return 0;
}

void look(struct fo_table *table, struct report *report)
{
	struct fo_error err;

	report->n_flows = 0;
	memset(report->info, 0, sizeof(report->info));
	for (unsigned int i = 0; i < FLOWS; i++)
		FO_INIT(&report->info[i].counters);
	(void)fo_table_poll(table, 0, 0, NULL, NULL, NULL);
	report->code = fo_flow_walk(table, NULL, keep, report, &err) < 0 ? -EINVAL : 0;
	for (unsigned int i = 0; i < FLOWS && !report->code; i++) {
		struct fo_flow_counters *counters = &report->info[i].counters;

		if (report->info[i].id)
			report->code = fo_flow_stats(table, report->info[i].id, counters, &err);
	}
	for (unsigned int i = 0; i < 2 && !report->code; i++) {
		FO_INIT(&report->adj[i]);
		report->code = fo_adj_get(table, report->info[0].flow.adj[i], &report->adj[i], &err);
	}
	if (report->code)
		snprintf(report->text, sizeof(report->text), "%s", err.text);
}

static int add_all(struct fo_table *table, struct fo_error *err)
{
	fo_adj_id id[2];
	fo_flow_id out;
	int code = 0;

	for (unsigned int i = 0; !code && i < 2; i++)
		code = fo_adj_add(table, &adj[i], &id[i], err);
	for (unsigned int i = 0; !code && i < FLOWS; i++) {
		memcpy(flows[i].adj, id, sizeof(id));
		code = fo_flow_add(table, &flows[i], &out, err);
	}
	return code;
}

/* In the child: a report for each question, until it is killed. */
static void own_the_short_cut(int first, int ask, int answer)
{
	struct report report = {0};
	struct fo_table *table;
	struct fo_error err;
	char byte;

	report.code = fo_table_create(&options, &table, &err);
	if (!report.code && first)
		report.code = add_all(table, &err);
	if (report.code)
		snprintf(report.text, sizeof(report.text), "%s", err.text);
	else
		look(table, &report);
	while (write(answer, &report, sizeof(report)) == sizeof(report) && read(ask, &byte, 1) == 1)
		look(table, &report);
	_exit(1);
}

static void hear(const struct owner *owner, struct report *report)
{
	if (read(owner->answer, report, sizeof(*report)) != sizeof(*report))
		fail("an owner", "ended");
	if (report->code)
		fail("an owner", report->text);
}

void start_owner(struct owner *owner, int first, struct report *report)
{
	int ask[2], answer[2];

	if (pipe(ask) || pipe(answer))
		fail("pipe", strerror(errno));
	owner->child = fork();
	if (!owner->child) {
		close(ask[1]);
		close(answer[0]);
		own_the_short_cut(first, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	owner->ask = ask[1];
	owner->answer = answer[0];
	hear(owner, report);
}

void ask_owner(const struct owner *owner, struct report *report)
{
	check(write(owner->ask, "", 1) == 1, "an owner can be asked");
	hear(owner, report);
}

void kill_owner(struct owner *owner)
{
	if (kill(owner->child, SIGKILL) || waitpid(owner->child, NULL, 0) != owner->child)
		fail("kill", strerror(errno));
	close(owner->ask);
	close(owner->answer);
}
