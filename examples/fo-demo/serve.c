/* SPDX-License-Identifier: BSD-2-Clause */
/* serve.c - `fo-demo serve`: holds a table on one backend until it is told to end. Neighbours: serve.h, demo.h. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <flowoffload-bpf.h>
#include <flowoffload-tc.h>

#include "demo.h"

static const char usage_text[] =
	"usage: fo-demo serve --device DEV [--device DEV ...] [OPTIONS]\n"
	"\n"
	"Holds a flow table on these devices (or port numbers), and lets fo-demo add, del, list, stats, "
	"watch, explain and\n"
	"policy work on it. What a backend has installed goes when this process ends, however it ends; but "
	"that "
	"of tc, which\n"
	"a kill leaves behind: see 'fo-demo clean'. And with --persist it stays.\n"
	"\n"
	"  -b, --backend NAME     soft, nft, ...; default: auto\n"
	"  -d, --device DEV       a device that packets enter and leave by; again for each\n"
	"  -c, --capacity N       connections at most, default 65536\n"
	"      --netns NAME       work in this network namespace (of 'ip netns')\n"
	"      --timeout-tcp S    idle timeouts in seconds, default 120\n"
	"      --timeout-udp S\n"
	"      --allow-sysctl     the backend may change the sysctls it needs; 'stats' tells which it did\n"
	"      --allow-foreign    share the devices with flow tables of others\n"
	"      --accept-linger    flows may outlive a crash, where the backend works so\n"
	"      --persist          flows outlive this process, and the next one has them: backends bpf, tc\n"
	"      --hardware         only what forwards in hardware will do\n"
	"      --kill-conntrack   deletes may end conntrack's entries, and NAT with them, where hardware "
	"needs it\n"
	"      --bpf-attach HOW   backend bpf: xdp, xdp-generic, tc or clsact; default: what each device "
	"does best\n"
	"      --tc-profile NAME  backend tc: explicit or ppe; default: what the hardware takes\n"
	"      --tc-software      backend tc: in the kernel's software, without NAT\n"
	"      --tc-bytes WHAT    backend tc: the hardware counts bytes of frame (the default) or ip\n"
	"      --tc-threads N     backend tc: adds do not wait for the driver; N threads do\n"
	"      --no-conntrack     backends bpf, tc: the slow path is not this kernel's\n"
	"      --socket PATH      where to listen, default " SERVE_SOCKET "\n"
	"  -h, --help             this text\n";

enum option_key {
	KEY_NETNS = 256,
	KEY_TCP,
	KEY_UDP,
	KEY_SYSCTL,
	KEY_FOREIGN,
	KEY_LINGER,
	KEY_PERSIST,
	KEY_HARDWARE,
	KEY_KILL,
	KEY_SOCKET,
	KEY_ATTACH,
	KEY_NO_CONNTRACK,
	KEY_TC_PROFILE,
	KEY_TC_SOFTWARE,
	KEY_TC_BYTES,
	KEY_TC_THREADS
};

static const struct option longs[] = {
	{"backend", required_argument, NULL, 'b'},
	{"device", required_argument, NULL, 'd'},
	{"capacity", required_argument, NULL, 'c'},
	{"netns", required_argument, NULL, KEY_NETNS},
	{"timeout-tcp", required_argument, NULL, KEY_TCP},
	{"timeout-udp", required_argument, NULL, KEY_UDP},
	{"allow-sysctl", no_argument, NULL, KEY_SYSCTL},
	{"allow-foreign", no_argument, NULL, KEY_FOREIGN},
	{"accept-linger", no_argument, NULL, KEY_LINGER},
	{"persist", no_argument, NULL, KEY_PERSIST},
	{"hardware", no_argument, NULL, KEY_HARDWARE},
	{"kill-conntrack", no_argument, NULL, KEY_KILL},
	{"bpf-attach", required_argument, NULL, KEY_ATTACH},
	{"no-conntrack", no_argument, NULL, KEY_NO_CONNTRACK},
	{"tc-profile", required_argument, NULL, KEY_TC_PROFILE},
	{"tc-software", no_argument, NULL, KEY_TC_SOFTWARE},
	{"tc-bytes", required_argument, NULL, KEY_TC_BYTES},
	{"tc-threads", required_argument, NULL, KEY_TC_THREADS},
	{"socket", required_argument, NULL, KEY_SOCKET},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct serve_options {
	struct fo_table_options table;
	struct fo_bpf_options bpf; /* handed on once an option is of it */
	struct fo_tc_options tc;
	const char *device[SERVE_MAX_DEVICES];
	size_t n_devices;
	const char *socket, *netns;
	bool help;
};

static bool read_seconds(const char *option, uint32_t *out_ms)
{
	uint64_t seconds;

	if (!out_number(option, optarg, 1, FO_TIMEOUT_MAX_MS / 1000, &seconds))
		return false;
	*out_ms = (uint32_t)seconds * 1000;
	return true;
}

/* A word of a list that ends with NULL, by its place. */
static bool read_word(const char *option, const char *const *words, uint32_t *out)
{
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (strcmp(optarg, words[i]) != 0)
			continue;
		*out = i;
		return true;
	}
	out_error("%s: '%s' is none of its values; 'fo-demo serve --help' lists them", option, optarg);
	return false;
}

static bool read_tc_option(int key, struct serve_options *o)
{
	static const char *const profiles[] = {"auto", "explicit", "ppe", NULL};
	static const char *const bytes[] = {"frame", "ip", NULL};
	uint64_t number;

	switch (key) {
	case KEY_TC_PROFILE:
		return read_word("--tc-profile", profiles, &o->tc.profile);
	case KEY_TC_SOFTWARE:
		o->tc.mode = FO_TC_SOFTWARE;
		return true;
	case KEY_TC_BYTES:
		return read_word("--tc-bytes", bytes, &o->tc.bytes);
	case KEY_TC_THREADS:
		if (!out_number("--tc-threads", optarg, 0, 16, &number))
			return false;
		o->tc.helper_threads = (uint32_t)number;
		return true;
	default:
		return false;
	}
}

static bool read_option(int key, struct serve_options *o)
{
	static const char *const attachments[] = {"auto", "xdp", "xdp-generic", "tc", "clsact", NULL};
	uint64_t number;

	switch (key) {
	case 'b':
		o->table.backend = optarg;
		return true;
	case 'd':
		if (o->n_devices == SERVE_MAX_DEVICES) {
			out_error("--device: %u at most", SERVE_MAX_DEVICES);
			return false;
		}
		o->device[o->n_devices++] = optarg;
		return true;
	case 'c':
		if (!out_number("--capacity", optarg, 1, UINT32_C(1) << 30, &number))
			return false;
		o->table.capacity = (uint32_t)number;
		return true;
	case KEY_NETNS:
		o->netns = optarg;
		return true;
	case KEY_TCP:
		return read_seconds("--timeout-tcp", &o->table.timeout_tcp_ms);
	case KEY_UDP:
		return read_seconds("--timeout-udp", &o->table.timeout_udp_ms);
	case KEY_SYSCTL:
		o->table.flags |= FO_TABLE_ALLOW_SYSCTL;
		return true;
	case KEY_FOREIGN:
		o->table.flags |= FO_TABLE_ALLOW_FOREIGN;
		return true;
	case KEY_LINGER:
		o->table.flags |= FO_TABLE_ACCEPT_LINGER;
		return true;
	case KEY_PERSIST:
		o->table.flags |= FO_TABLE_PERSIST;
		return true;
	case KEY_HARDWARE:
		o->table.needs |= FO_CAP_HARDWARE;
		return true;
	case KEY_KILL:
		o->table.flags |= FO_TABLE_KILL_CONNTRACK;
		return true;
	case KEY_ATTACH:
		o->table.backend_options = &o->bpf;
		return read_word("--bpf-attach", attachments, &o->bpf.attach);
	case KEY_NO_CONNTRACK:
		o->table.backend_options = &o->bpf;
		o->bpf.conntrack = FO_BPF_CONNTRACK_OFF;
		o->tc.conntrack = FO_TC_CONNTRACK_OFF;
		return true;
	case KEY_SOCKET:
		o->socket = optarg;
		return true;
	case 'h':
		o->help = true;
		return true;
	default:
		return read_tc_option(key, o);
	}
}

/* A backend that is named is given its own. */
static void choose_options(struct serve_options *o)
{
	if (o->table.backend != NULL && strcmp(o->table.backend, "bpf") == 0)
		o->table.backend_options = &o->bpf;
	if (o->table.backend != NULL && strcmp(o->table.backend, "tc") == 0)
		o->table.backend_options = &o->tc;
}

static bool read_options(int argc, char **argv, struct serve_options *o)
{
	int key;

	optind = 0;
	while ((key = getopt_long(argc, argv, "b:d:c:h", longs, NULL)) != -1)
		if (!read_option(key, o))
			return false;
	choose_options(o);
	if (optind != argc) {
		out_error("serve: '%s' is one word too many", argv[optind]);
		return false;
	}
	if (o->n_devices == 0 && !o->help)
		out_error("serve: name the devices that packets enter and leave by: --device DEV");
	return o->n_devices != 0 || o->help;
}

/* Everything here then happens in that namespace: names of devices, and what the backend installs. */
static bool enter_netns(const char *name)
{
	char path[256];
	int fd, status;

	if (name == NULL)
		return true;
	if ((size_t)snprintf(path, sizeof(path), "/run/netns/%s", name) >= sizeof(path) ||
	    strchr(name, '/') != NULL) {
		out_error("--netns: '%s' is no name of a namespace", name);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	status = fd >= 0 ? setns(fd, CLONE_NEWNET) : -1;
	if (status != 0)
		out_error("--netns %s: %s; 'ip netns list' shows them", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return status == 0;
}

static void warn(void *ctx, const struct fo_bpf_warning *warning)
{
	(void)ctx;
	out_error("warning: %s", warning->text);
}

static bool open_table(struct serve *serve, struct serve_options *o)
{
	struct fo_port ports[SERVE_MAX_DEVICES];
	struct fo_error err = {0};

	for (size_t i = 0; i < o->n_devices; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = serve_port(o->device[i]);
		if (ports[i].port == 0) {
			out_error("--device: there is no device '%s' here", o->device[i]);
			return false;
		}
	}
	o->table.ports = ports;
	o->table.n_ports = o->n_devices;
	if (fo_table_create(&o->table, &serve->table, &err) != 0) {
		out_fo_error("fo_table_create", &err);
		return false;
	}
	FO_INIT(&serve->caps);
	if (fo_table_caps(serve->table, &serve->caps, &err) != 0) {
		out_fo_error("fo_table_caps", &err);
		return false;
	}
	return true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What to wait for: signals, the table, the listener, then each client. */
#define WAIT_CLIENTS 3u

static void serve_clients(struct serve *serve, const struct pollfd *wait)
{
	for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++) {
		struct serve_client *client = &serve->clients[i];

		if (client->fd >= 0 && wait[i].fd == client->fd && (wait[i].revents & ~POLLOUT) != 0)
			serve_read(serve, client);
		serve_flush(client);
	}
}

static int milliseconds_left(struct fo_table *table)
{
	uint64_t deadline = fo_table_deadline(table);
	struct timespec now;
	uint64_t now_ms;

	if (deadline == UINT64_MAX)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (deadline <= now_ms)
		return 0;
	return deadline - now_ms > 60000 ? 60000 : (int)(deadline - now_ms);
}

static int run(struct serve *serve)
{
	struct pollfd wait[WAIT_CLIENTS + SERVE_MAX_CLIENTS];
	struct fo_error err = {0};

	for (;;) {
		wait[0] = (struct pollfd){.fd = serve->signals, .events = POLLIN};
		wait[1] = (struct pollfd){.fd = fo_table_fd(serve->table), .events = POLLIN};
		wait[2] = (struct pollfd){.fd = serve->listener, .events = POLLIN};
		for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++)
			wait[WAIT_CLIENTS + i] = (struct pollfd){
				.fd = serve->clients[i].fd,
				.events = (short)(POLLIN | (serve->clients[i].out_size != 0 ? POLLOUT : 0))};
		if (poll(wait, WAIT_CLIENTS + SERVE_MAX_CLIENTS, milliseconds_left(serve->table)) < 0 &&
		    errno != EINTR) {
			out_error("poll: %s", strerror(errno));
			return DEMO_FAILED;
		}
		if (wait[0].revents != 0)
			return DEMO_OK;
		if (fo_table_poll(serve->table, 1024, 5000, serve_event, serve, &err) < 0) {
			out_fo_error("fo_table_poll", &err);
			return DEMO_FAILED;
		}
		if (wait[2].revents != 0)
			serve_accept(serve);
		serve_clients(serve, wait + WAIT_CLIENTS);
	}
}

static int serve_until_signal(struct serve *serve, struct serve_options *o)
{
	int status;

	serve->listener = serve_listen(o->socket);
	if (serve->listener < 0)
		return DEMO_FAILED;
	printf("fo-demo: backend %s, %zu devices, listening at %s\n", serve->caps.backend, o->n_devices,
	       o->socket);
	if (serve->caps.text[0] != '\0')
		printf("fo-demo: %s\n", serve->caps.text);
	if (serve->caps.choice[0] != '\0')
		printf("fo-demo: %s\n", serve->caps.choice);
	status = out_finish(DEMO_OK);
	if (status == DEMO_OK)
		status = run(serve);
	for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++)
		serve_close(&serve->clients[i]);
	close(serve->listener);
	unlink(o->socket);
	return status;
}

int cmd_serve(int argc, char **argv)
{
	struct serve_options o = {.socket = SERVE_SOCKET};
	struct serve serve = {.listener = -1, .signals = -1};
	int status = DEMO_FAILED;

	FO_INIT(&o.table);
	FO_INIT(&o.bpf);
	FO_INIT(&o.tc);
	o.bpf.warn = warn;
	o.table.capacity = 65536;
	if (!read_options(argc, argv, &o))
		return DEMO_USAGE;
	if (o.help) {
		fputs(usage_text, stdout);
		return out_finish(DEMO_OK);
	}
	for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++)
		serve.clients[i].fd = -1;
	serve.sides = calloc(SERVE_MAX_SIDES, sizeof(*serve.sides));
	serve.signals = open_signals();
	if (serve.sides == NULL || serve.signals < 0)
		out_error("serve: %s", strerror(errno));
	else if (enter_netns(o.netns) && open_table(&serve, &o))
		status = serve_until_signal(&serve, &o);
	fo_table_destroy(serve.table);
	if (serve.signals >= 0)
		close(serve.signals);
	free(serve.sides);
	return status;
}
