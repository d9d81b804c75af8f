/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_crash.c - what a killed owner of the bpf backend leaves, at each place of attachment, on real packets.
 *
 *   tcx, generic XDP  nothing: the next packet is the slow path's, and the next table attaches
 *   clsact            the filter: it forwards until the lease is over and then passes everything on; a second table is
 *                     refused meanwhile, with the owner's name, and takes the filter over afterwards
 *
 * Needs root.
 */
#include "bpf_router.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Only a lease that never ends makes a test wait for this long. */
#define LEASE_PATIENCE_MS (6 * FO_BPF_LEASE_MS)

static struct fo_flow flow;

/* In the child: a table with one flow; then wait to be killed. */
static void own_the_short_cut(int ready)
{
	struct fo_table *table = open_table("the owner");
	struct fo_error err;
	fo_flow_id out;

	add_sides(table, flow.adj);
	if (fo_flow_add(table, &flow, &out, &err))
		fail("the owner", err.text);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start_owner(void)
{
	int ready[2];
	pid_t child;
	char byte;

	if (pipe(ready))
		fail("pipe", strerror(errno));
	child = fork();
	if (!child) {
		close(ready[0]);
		own_the_short_cut(ready[1]);
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		fail("the owner", "it did not start");
	close(ready[0]);
	return child;
}

static void kill_owner(pid_t child)
{
	if (kill(child, SIGKILL) || waitpid(child, NULL, 0) != child)
		fail("kill", strerror(errno));
}

/* Did a packet of the flow take the short cut? */
static int takes_it(void)
{
	return is_forwarded(&flow, &adj[0]);
}

/* The owner is dead, its filter is not. */
static void wait_for_the_lease(void)
{
	struct timespec pause_for = {.tv_nsec = 50000000};
	uint64_t start = now_ms();
	struct fo_error err;
	int code = try_table(&err);

	if (code == -EBUSY && !strstr(err.text, "fo_tc"))
		fail("refused without the owner's name", err.text);
	if (code != -EBUSY && takes_it())
		fail("a second table beside a living lease", err.text);
	while (takes_it()) {
		if (now_ms() - start > LEASE_PATIENCE_MS)
			fail("the lease", "it does not end");
		nanosleep(&pause_for, NULL);
	}
}

static void run(enum fo_bpf_attach attach, const char *name)
{
	struct fo_error err;
	pid_t child;

	place = name;
	describe();
	describe_flow(&flow, 17, 4711, 53);
	own.attach = attach;
	open_router("bpf-crash");
	child = start_owner();
	if (!takes_it())
		fail("the owner lives", "but its flow's packet was passed on");
	kill_owner(child);
	if (attach == FO_BPF_ATTACH_CLSACT)
		wait_for_the_lease();
	else if (takes_it())
		fail("the owner is dead", "but its flow's packet was forwarded");
	if (try_table(&err))
		fail("the next table", err.text);
	if (takes_it())
		fail("a table without flows", "forwarded a packet");
	close_router();
	n_passed++;
}

int main(void)
{
	run(FO_BPF_ATTACH_TC, "tc");
	run(FO_BPF_ATTACH_XDP_GENERIC, "generic XDP");
	run(FO_BPF_ATTACH_CLSACT, "clsact");
	printf("%u passed, 0 failed, 0 skipped\n", n_passed);
	return 0;
}
