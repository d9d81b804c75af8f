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

struct fo_bpf_options own;
static struct fo_port ports[2];
struct fo_adj adj[2];
struct fo_flow flows[FLOWS];
struct fo_table_options options;
char mount_point[64], folder[96];
const char *place = "start";
unsigned int n_passed;

void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s: %s\n", place, what, detail);
	printf("%u passed, 1 failed, 0 skipped\n", n_passed);
	exit(1);
}

void check(int holds, const char *what)
{
	if (!holds)
		fail(what, "does not hold");
}

void check_error(const char *what, int code, int want, const struct fo_error *err, const char *word)
{
	if (code != want || !strstr(err->text, word))
		fail(what, code ? err->text : "was taken");
}

/* ---- what there is ---- */

static void describe_flow(unsigned int n)
{
	static const uint8_t v4[2][4] = {{10, 1, 0, 7}, {198, 51, 100, 9}};
	struct fo_flow *flow = &flows[n];

	FO_INIT(flow);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_tuple *tuple = &flow->tuple[i];

		tuple->proto = 17;
		tuple->family = n == 1 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
		if (n == 1) {
			memcpy(tuple->src, (uint8_t[4]){0x20, 1, 0xd, (uint8_t)(0xb0 + i)}, 4);
			memcpy(tuple->dst, (uint8_t[4]){0x20, 1, 0xd, (uint8_t)(0xb1 - i)}, 4);
		} else {
			memcpy(tuple->src, v4[i], 4);
			memcpy(tuple->dst, v4[1 - i], 4);
		}
		packet_put16((uint8_t *)&tuple->sport_be, (uint16_t)(i ? 53 : 4711 + n));
		packet_put16((uint8_t *)&tuple->dport_be, (uint16_t)(i ? 4711 + n : 53));
	}
	flow->user = UINT64_C(0x1122334455667788) + n;
	flow->tag = 70 + n;
	flow->ct_mark = 80 + n;
	flow->timeout_ms = 3600000 + n;
	flow->dscp[0] = n == 2 ? FO_DSCP_SET(46) : FO_DSCP_KEEP;
}

void describe(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		FO_INIT(&adj[i]);
		ports[i].port = adj[i].port = i ? PORT_OUT : PORT_IN;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 1}, 6);
		memcpy(adj[i].peer_mac, (uint8_t[6]){0x02, 0xf0, 0, 0, (uint8_t)i, 2}, 6);
	}
	/* Numbers of ingresses are to be restored as well. */
	adj[1].n_encaps = 1;
	adj[1].encap[0].kind = FO_ENCAP_8021Q;
	adj[1].encap[0].id = 7;
	for (unsigned int i = 0; i < FLOWS; i++)
		describe_flow(i);
	FO_INIT(&own);
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	FO_INIT(&options);
	options.ports = ports;
	options.n_ports = 2;
	options.capacity = 16;
	options.backend_options = &own;
}

void open_bpffs(void)
{
	snprintf(mount_point, sizeof(mount_point), "/tmp/fo-bpf-persist-XXXXXX");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(mount_point) || mount("bpf", mount_point, "bpf", 0, NULL))
		fail("a BPF file system", strerror(errno));
	snprintf(folder, sizeof(folder), "%s/table", mount_point);
	own.pins = folder;
}

void close_bpffs(void)
{
	(void)umount2(mount_point, MNT_DETACH);
	(void)rmdir(mount_point);
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
