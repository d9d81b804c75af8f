/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_persist.c - flows of the bpf backend that outlive their process, at each place of attachment, on real packets.
 *
 *   killed under load   five owners one after the other are killed, the next adopts: each packet takes the short cut
 *   adopted             handles, counters and all that the caller gave are as they were; what was changed stays changed
 *   ended in order      a table leaves living flows, and nothing at all without any
 *   refused             a living owner, another capacity, an unknown layout, foreign content, no BPF file system
 *
 * Needs root.
 */
#define _GNU_SOURCE
#include "bpf_owner.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNERS 5u
/* Packets that each owner sees at least. */
#define PACKETS 300u

/* ---- packets ---- */

static int goes_on(unsigned int n)
{
	return is_forwarded(&flows[n], &adj[0]);
}

/* One packet after the other, as fast as they go, by a process of its own. */
struct load {
	volatile int stop;
	volatile uint64_t sent, received;
	pid_t child;
};

static uint64_t drain(int fd, int wait_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint8_t bytes[256];
	uint64_t n = 0;

	while (poll(&ready, 1, n ? 0 : wait_ms) == 1 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

static void send_load(struct load *load)
{
	static struct packet_frame frame;
	struct packet_spec spec;

	packet_spec_init(&spec, &flows[0].tuple[0], &adj[0]);
	packet_build(&spec, &frame);
	while (!load->stop) {
		if (send(net->wire[0], frame.bytes, frame.length, 0) != (ssize_t)frame.length) {
			fprintf(stderr, "bpf-persist: %s: sending: %s\n", place, strerror(errno));
			_exit(1);
		}
		load->sent++;
		load->received += drain(net->arrivals, 0);
	}
	while (load->received < load->sent) {
		uint64_t more = drain(net->arrivals, PATIENCE_MS / 10);

		load->received += more;
		if (!more)
			break;
	}
	_exit(0);
}

static struct load *start_load(void)
{
	struct load *load =
		mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	check(load != MAP_FAILED, "memory is to be had");
	child = fork();
	if (!child)
		send_load(load);
	check(child > 0, "a process can be made");
	load->child = child;
	return load;
}

static void wait_for_packets(const struct load *load)
{
	uint64_t until = load->sent + PACKETS;

	while (load->sent < until) {
		if (waitpid(load->child, NULL, WNOHANG))
			fail("the load", "ended");
		sched_yield();
	}
}

static void stop_load(struct load *load)
{
	int status;

	load->stop = 1;
	if (waitpid(load->child, &status, 0) != load->child || status)
		fail("the load", "failed");
}

/* ---- cases ---- */

static void check_same(const struct report *now, const struct report *then)
{
	check(now->n_flows == FLOWS, "all flows are there");
	for (unsigned int i = 0; i < FLOWS; i++) {
		const struct fo_flow *a = &now->info[i].flow, *b = &then->info[i].flow;

		check(now->info[i].id == then->info[i].id, "handles are the same");
		check(!memcmp(a, b, sizeof(*a)), "what the caller gave is the same");
		check(now->info[i].state == FO_STATE_ACTIVE, "flows are active");
		check(now->info[i].since_ms == then->info[i].since_ms, "flows are as old as they were");
		check(now->info[i].counters.packets[0] >= then->info[i].counters.packets[0],
		      "counters do not go back");
	}
	check(!memcmp(now->adj, then->adj, sizeof(now->adj)), "adjacencies are the same");
}

static void killed_under_load_every_packet_is_forwarded(void)
{
	struct report first, now;
	struct owner owner;
	struct load *load;

	start_owner(&owner, 1, &first);
	check(goes_on(0), "the first owner's flow forwards");
	load = start_load();
	for (unsigned int i = 0; i < OWNERS; i++) {
		wait_for_packets(load);
		kill_owner(&owner);
		wait_for_packets(load);
		start_owner(&owner, 0, &now);
		check_same(&now, &first);
	}
	wait_for_packets(load);
	stop_load(load);
	check(load->sent == load->received, "each packet took the short cut");
	ask_owner(&owner, &now);
	check_same(&now, &first);
	check(now.info[0].counters.packets[0] == load->sent + 1, "each packet was counted");
	fprintf(stderr, "bpf-persist: %s: %u owners, %llu packets, all forwarded\n", place, OWNERS + 1,
		(unsigned long long)load->sent);
	kill_owner(&owner);
	check(goes_on(0) && goes_on(1), "flows forward with nobody in charge");
	munmap(load, sizeof(*load));
}

static void poll_until_gone(struct fo_table *table)
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};
	struct fo_table_counters stats;

	for (;;) {
		FO_INIT(&stats);
		(void)fo_table_poll(table, 0, 0, NULL, NULL, NULL);
		check(!fo_stats(table, &stats, NULL), "a table can be asked");
		if (!stats.closing)
			return;
		check(poll(&fd, 1, PATIENCE_MS) == 1, "ends are told");
	}
}

static struct fo_table *adopt(void)
{
	return open_table("the next table");
}

static void what_was_changed_stays_changed(void)
{
	struct fo_table *table = adopt();
	struct fo_flow change = flows[0];
	struct report then = {0}, now = {0};
	struct fo_error err;
	fo_flow_id gone;

	look(table, &then);
	check(then.n_flows == FLOWS, "the flows of a killed process are there");
	change.tag = 4242;
	change.timeout_ms = 7777777;
	if (fo_flow_update(table, then.info[0].id, FO_UPDATE_TAG | FO_UPDATE_TIMEOUT, &change, &err))
		fail("an update", err.text);
	gone = then.info[2].id;
	check(!fo_flow_del(table, gone, NULL, &err), "an adopted flow can be deleted");
	poll_until_gone(table);
	check(!goes_on(2) && goes_on(0), "it alone forwards no more");
	fo_table_destroy(table);
	check(goes_on(0) && goes_on(1), "a table that is destroyed leaves its flows");
	table = adopt();
	look(table, &now);
	check(now.n_flows == FLOWS - 1 && now.info[0].id == then.info[0].id,
	      "the next table has what was left");
	check(now.info[0].flow.tag == 4242 && now.info[0].flow.timeout_ms == 7777777,
	      "with what was changed");
	check(fo_flow_stats(table, gone, &now.info[0].counters, &err) == -ENOENT,
	      "a stale handle stays stale");
	memcpy(flows[2].adj, now.info[0].flow.adj, sizeof(flows[2].adj));
	check(!fo_flow_add(table, &flows[2], &gone, &err) && gone != then.info[2].id,
	      "a new flow has a handle that nobody had");
	check(goes_on(2), "and forwards");
	fo_table_destroy(table);
}

static void without_flows_nothing_is_left(void)
{
	struct fo_table *table = adopt();
	struct report report = {0};

	look(table, &report);
	for (unsigned int i = 0; i < FLOWS; i++)
		check(!fo_flow_del(table, report.info[i].id, NULL, NULL), "an adopted flow can be deleted");
	poll_until_gone(table);
	fo_table_destroy(table);
	check(access(folder, F_OK) && errno == ENOENT, "the folder is gone");
	check(!goes_on(0), "nothing forwards");
	own.pins = NULL;
	options.flags &= ~FO_TABLE_PERSIST;
	fo_table_destroy(adopt()); /* nothing is attached that would be in its way */
	options.flags |= FO_TABLE_PERSIST;
	own.pins = folder;
}

static void refused_with_a_living_owner_and_another_capacity(void)
{
	struct report report;
	struct owner owner;
	struct fo_error err;

	start_owner(&owner, 1, &report);
	check_error("a living owner", try_table(&err), -EBUSY, &err, "a living process");
	kill_owner(&owner);
	options.capacity = 17;
	check_error("another capacity", try_table(&err), -EINVAL, &err, "the same capacity");
	options.capacity = 16;
	check(!try_table(&err), "the same capacity is taken after all");
	start_owner(&owner, 0, &report);
	check(report.n_flows == FLOWS, "refusals cost no flow");
	kill_owner(&owner);
}

static void refused_for_what_the_folder_holds(void)
{
	char other[128];
	struct fo_error err;

	own.pins = other;
	snprintf(other, sizeof(other), "%s/old", mount_point);
	mkdir(other, 0700);
	snprintf(other, sizeof(other), "%s/old/v1", mount_point);
	mkdir(other, 0700);
	snprintf(other, sizeof(other), "%s/old", mount_point);
	check_error("an unknown layout", try_table(&err), -EOPNOTSUPP, &err, "layout 1");
	snprintf(other, sizeof(other), "%s/old/strange", mount_point);
	mkdir(other, 0700);
	snprintf(other, sizeof(other), "%s/old/v1", mount_point);
	rmdir(other);
	snprintf(other, sizeof(other), "%s/old", mount_point);
	check_error("foreign content", try_table(&err), -EBUSY, &err, "'strange'");
	snprintf(other, sizeof(other), "%s/old/strange", mount_point);
	check(!access(other, F_OK), "foreign content is still there");
	snprintf(other, sizeof(other), "/tmp");
	check_error("no BPF file system", try_table(&err), -EOPNOTSUPP, &err, "mount -t bpf");
	own.pins = folder;
}

/* As `ip netns exec` does: something else lies over it. */
static void refused_where_the_file_system_is_hidden(void)
{
	struct fo_error err;
	int status;
	pid_t child = fork();

	if (!child) {
		if (unshare(CLONE_NEWNS) || mount("hides", mount_point, "tmpfs", 0, NULL))
			_exit(2);
		check_error("a hidden BPF file system", try_table(&err), -EOPNOTSUPP, &err, "nsenter");
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		fail("a hidden BPF file system", "see above");
}

static void run(enum fo_bpf_attach attach, const char *name)
{
	place = name;
	own.attach = attach;
	killed_under_load_every_packet_is_forwarded();
	what_was_changed_stays_changed();
	without_flows_nothing_is_left();
	n_passed += 3;
}

int main(void)
{
	open_owners("bpf-persist");
	run(FO_BPF_ATTACH_TC, "tc");
	run(FO_BPF_ATTACH_XDP_GENERIC, "generic XDP");
	run(FO_BPF_ATTACH_CLSACT, "clsact");
	place = "refusals";
	own.attach = FO_BPF_ATTACH_TC;
	refused_with_a_living_owner_and_another_capacity();
	refused_for_what_the_folder_holds();
	refused_where_the_file_system_is_hidden();
	n_passed += 3;
	close_router();
	printf("%u passed, 0 failed, 0 skipped\n", n_passed);
	return 0;
}
