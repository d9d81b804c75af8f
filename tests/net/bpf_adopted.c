/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_adopted.c - flows of the bpf backend that a killed process left, and what became of their connections meanwhile.
 *
 *   forgotten   an entry of conntrack that is gone, or another connection's, ends the adopted flow; the others' time is renewed
 *   cut off     a port that went down while nobody was there ends all flows over it, and no packet is lost
 *
 * Needs root, and conntrack(8) and nsenter(1).
 */
#define _GNU_SOURCE
#include "bpf_owner.h"

#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOP_MS 20

/* How conntrack(8) names a flow. */
static const char *const entry[FLOWS] = {
	"-p udp -s 10.1.0.7 -d 198.51.100.9 --sport 4711 --dport 53",
	"-p udp -s 2001:db0:: -d 2001:db1:: --sport 4712 --dport 53",
	"-p udp -s 10.1.0.7 -d 198.51.100.9 --sport 4713 --dport 53",
};

static unsigned int told[FLOWS]; /* reason of the event */

/* In the router. -1, or the first number that it prints behind the word. */
static int ask_conntrack(const char *word, const char *format, ...)
{
	char command[512], line[512], *found;
	int length = snprintf(command, sizeof(command), "nsenter --net=/proc/%d/fd/%d conntrack 2>&1 ",
			      (int)getpid(), net->router);
	int number = -1;
	va_list args;
	FILE *output;

	va_start(args, format);
	vsnprintf(command + length, sizeof(command) - (size_t)length, format, args);
	va_end(args);
	output = popen(command, "r");
	check(output != NULL, "conntrack can be run");
	while (fgets(line, sizeof(line), output)) {
		found = strstr(line, word);
		if (found && number < 0)
			number = atoi(found + strlen(word));
	}
	if (pclose(output))
		fail("conntrack", command);
	return number;
}

static int goes_on(unsigned int n)
{
	return is_forwarded(&flows[n], &adj[0]);
}

static void hear(void *ctx, const struct fo_event *event)
{
	(void)ctx;
	if (event->user - flows[0].user < FLOWS)
		told[event->user - flows[0].user] = event->reason;
}

static struct fo_table *adopt(void)
{
	memset(told, 0, sizeof(told));
	return open_table("the next table");
}

/* As a loop does that waits for nothing else. */
static void poll_until(struct fo_table *table, int (*holds)(void))
{
	struct pollfd fd = {.fd = fo_table_fd(table), .events = POLLIN};

	for (int left_ms = PATIENCE_MS; !holds(); left_ms -= LOOP_MS) {
		check(left_ms > 0, "what is awaited comes");
		(void)poll(&fd, 1, LOOP_MS);
		check(fo_table_poll(table, 0, 0, hear, NULL, NULL) >= 0, "a table can be polled");
	}
}

static void leave_flows(void)
{
	struct report report;
	struct owner owner;

	start_owner(&owner, 1, &report);
	kill_owner(&owner);
}

/* Nothing of this case is there for the next. */
static void clear(struct fo_table *table)
{
	struct report report = {0};

	look(table, &report);
	for (unsigned int i = 0; i < FLOWS; i++)
		if (report.info[i].id)
			check(!fo_flow_del(table, report.info[i].id, NULL, NULL),
			      "an adopted flow can be deleted");
	check(!fo_table_sync(table, PATIENCE_MS, NULL), "ends are told");
	fo_table_destroy(table);
	check(access(folder, F_OK) != 0, "nothing is left");
}

/* ---- conntrack ---- */

static int two_are_lost(void)
{
	return told[1] && told[2];
}

/* Above the flow's own hour: what the slow path had given was far below. */
static int time_is_renewed(void)
{
	return ask_conntrack("udp      17 ", "-L %s", entry[0]) > 3600;
}

static void forgotten_connections_end(void)
{
	struct fo_table *table;

	place = "forgotten";
	own.conntrack = FO_BPF_CONNTRACK_ON;
	for (unsigned int n = 0; n < FLOWS; n++)
		(void)ask_conntrack("", "-I %s -t 60 -u SEEN_REPLY", entry[n]);
	leave_flows();
	(void)ask_conntrack("", "-U %s -t 50", entry[0]);
	(void)ask_conntrack("", "-D %s", entry[1]);
	(void)ask_conntrack("", "-D %s", entry[2]);
	(void)ask_conntrack("",
			    "-I %s -r 198.51.100.9 -q 10.1.0.99 --reply-port-src 53 --reply-port-dst 9 -t 60 "
			    "-u SEEN_REPLY",
			    entry[2]);
	check(goes_on(0) && goes_on(1) && goes_on(2), "they go on with nobody in charge");
	table = adopt();
	check(goes_on(0) && goes_on(1) && goes_on(2), "adoption alone ends nothing");
	poll_until(table, two_are_lost);
	check(told[1] == FO_R_LOST && told[2] == FO_R_LOST && !told[0], "those alone are lost that are");
	check(!goes_on(1) && !goes_on(2), "they pass to the slow path");
	poll_until(table, time_is_renewed);
	check(goes_on(0), "the third goes on");
	clear(table);
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	n_passed++;
}

/* ---- a port ---- */

static void set_port(uint32_t port, short flags)
{
	struct ifreq request = {.ifr_flags = flags};
	int fd;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "p%u", port);
	check(!net_enter(net, net->router), "the router can be entered");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request), "a port can be set");
	close(fd);
	check(!net_enter(net, net->home), "the router can be left");
}

static int all_are_told(void)
{
	return told[0] && told[1] && told[2];
}

static void flows_over_a_port_that_went_down_end(void)
{
	struct fo_table *table;

	place = "cut off";
	leave_flows();
	check(goes_on(0), "a flow forwards");
	set_port(PORT_OUT, 0);
	table = adopt();
	/* Before the first poll: what would be redirected to it would be lost. */
	check(!goes_on(0) && !goes_on(1), "its packets pass to the slow path");
	poll_until(table, all_are_told);
	for (unsigned int n = 0; n < FLOWS; n++)
		check(told[n] == FO_R_EGRESS_DOWN, "flows end because it is down");
	set_port(PORT_OUT, IFF_UP);
	clear(table);
	n_passed++;
}

int main(void)
{
	if (system("command -v conntrack >/dev/null && command -v nsenter >/dev/null")) {
		printf("bpf-adopted: skipped, no conntrack, or no nsenter\n0 passed, 0 failed, 1 skipped\n");
		return 77;
	}
	open_owners("bpf-adopted");
	forgotten_connections_end();
	flows_over_a_port_that_went_down_end();
	close_router();
	printf("%u passed, 0 failed, 0 skipped\n", n_passed);
	return 0;
}
