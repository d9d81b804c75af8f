/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.c - `fo-demo replay`: a capture through slow path and fast path. This file reads the command line, opens
 * what the loop needs and closes it again; replay.h tells who does the rest.
 */
#include "replay.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "demo.h"
#include "out.h"

static const char usage_text[] =
	"usage: fo-demo replay [OPTIONS] CAPTURE\n"
	"\n"
	"Plays a router in the middle of the link that CAPTURE (pcap or pcapng, Ethernet) was recorded on.\n"
	"Connections go through a slow path with connection tracking; once one is seen established in both\n"
	"directions it is offloaded, and the fast path does the rest.\n"
	"\n"
	"  -w, --write FILE     write the forwarded packets, as they leave, to this capture\n"
	"      --nat ADDR       translate IPv4 connections to this source address\n"
	"      --nat6 ADDR      translate IPv6 connections to this source address\n"
	"  -l, --loop N         play it N times, the time running on (default 1)\n"
	"  -n, --limit N        stop after N packets\n"
	"  -b, --burst N        packets in one fo_worker_run() at most (default 32)\n"
	"  -t, --top N          list the N largest flows (default 10)\n"
	"      --flows N        connections in the table at most (default 65536)\n"
	"      --mtu N          MTU of both sides (default 65535: recorded frames may be aggregates)\n"
	"      --no-offload     everything by the slow path, for comparison\n"
	"      --progress       show progress even when standard error is no terminal\n"
	"  -j, --json           the report as JSON\n"
	"  -h, --help           this text\n";

enum { OPT_NAT = 256, OPT_NAT6, OPT_FLOWS, OPT_MTU, OPT_NO_OFFLOAD, OPT_PROGRESS };

static const struct option long_options[] = {
	{"write", required_argument, NULL, 'w'},
	{"nat", required_argument, NULL, OPT_NAT},
	{"nat6", required_argument, NULL, OPT_NAT6},
	{"loop", required_argument, NULL, 'l'},
	{"limit", required_argument, NULL, 'n'},
	{"burst", required_argument, NULL, 'b'},
	{"top", required_argument, NULL, 't'},
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"no-offload", no_argument, NULL, OPT_NO_OFFLOAD},
	{"progress", no_argument, NULL, OPT_PROGRESS},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Returns DEMO_OK, DEMO_USAGE after a message, or -1: help was asked for. */
static int take_option(struct replay_options *opt, int c)
{
	bool good = true;

	switch (c) {
	case 'w':
		opt->output = optarg;
		break;
	case OPT_NAT:
		opt->nat4 = good = out_address("--nat", optarg, FO_FAMILY_IPV4, opt->nat4_addr);
		break;
	case OPT_NAT6:
		opt->nat6 = good = out_address("--nat6", optarg, FO_FAMILY_IPV6, opt->nat6_addr);
		break;
	case 'l':
		good = out_number("--loop", optarg, 1, 1000000000, &opt->loops);
		break;
	case 'n':
		good = out_number("--limit", optarg, 1, UINT64_MAX, &opt->limit);
		break;
	case 'b':
		good = out_number("--burst", optarg, 1, REPLAY_MAX_BURST, &opt->burst);
		break;
	case 't':
		good = out_number("--top", optarg, 0, REPLAY_MAX_TOP, &opt->top);
		break;
	case OPT_FLOWS:
		good = out_number("--flows", optarg, 1, 1u << 24, &opt->capacity);
		break;
	case OPT_MTU:
		good = out_number("--mtu", optarg, 68, 65535, &opt->mtu);
		break;
	case OPT_NO_OFFLOAD:
		opt->no_offload = true;
		break;
	case OPT_PROGRESS:
		opt->progress = true;
		break;
	case 'j':
		opt->json = true;
		break;
	case 'h':
		return -1;
	default:
		good = false;
	}
	return good ? DEMO_OK : DEMO_USAGE;
}

static int read_command_line(struct replay_options *opt, int argc, char **argv)
{
	int c, status;

	*opt = (struct replay_options){.loops = 1, .burst = 32, .top = 10, .capacity = 65536, .mtu = 65535};
	opt->progress = isatty(STDERR_FILENO) == 1;
	optind = 0;
	while ((c = getopt_long(argc, argv, "w:l:n:b:t:jh", long_options, NULL)) != -1) {
		status = take_option(opt, c);
		if (status != DEMO_OK)
			return status;
	}
	if (optind + 1 != argc) {
		out_error("replay: %s", optind == argc ? "name a capture" : "one capture at a time");
		return DEMO_USAGE;
	}
	opt->input = argv[optind];
	if (strcmp(opt->input, "-") == 0 && opt->loops > 1) {
		out_error("--loop: standard input can be read only once; save it to a file first");
		return DEMO_USAGE;
	}
	return DEMO_OK;
}

/* The table lives in the capture's time, so that its timeouts mean what they did when it was recorded. */
static uint64_t capture_clock_ms(void *ctx)
{
	const struct replay *r = ctx;

	return r->clock_ns / 1000000;
}

static bool open_table(struct replay *r)
{
	struct fo_port ports[2];
	struct fo_table_options opts;
	struct fo_error err = {0};

	FO_INIT(&ports[0]);
	ports[0].port = SIDES_PORT_FIRST;
	FO_INIT(&ports[1]);
	ports[1].port = SIDES_PORT_SECOND;
	FO_INIT(&opts);
	opts.backend = "soft";
	opts.capacity = (uint32_t)r->opt.capacity;
	opts.max_workers = 1;
	opts.ports = ports;
	opts.n_ports = 2;
	opts.clock_ms = capture_clock_ms;
	opts.clock_ctx = r;
	if (fo_table_create(&opts, &r->table, &err) < 0) {
		out_fo_error("fo_table_create", &err);
		return false;
	}
	if (fo_worker_open(r->table, NULL, &r->worker, &err) < 0) {
		out_fo_error("fo_worker_open", &err);
		return false;
	}
	return true;
}

static bool open_slow_path(struct replay *r)
{
	struct sp_options opts = {
		.capacity = r->opt.capacity,
		.nat4 = r->opt.nat4,
		.nat6 = r->opt.nat6,
		.allow_in = true,
		.pick_up = true,
	};
	int status;

	memcpy(opts.nat4_addr, r->opt.nat4_addr, sizeof(opts.nat4_addr));
	memcpy(opts.nat6_addr, r->opt.nat6_addr, sizeof(opts.nat6_addr));
	if (r->opt.mtu < 65535)
		opts.mtu[SP_LAN] = opts.mtu[SP_WAN] = (uint32_t)r->opt.mtu;
	if (getrandom(opts.secret, sizeof(opts.secret), 0) != (ssize_t)sizeof(opts.secret)) {
		out_error("no random bytes from the system: %s", strerror(errno));
		return false;
	}
	status = sp_create(&opts, &r->sp);
	if (status < 0)
		out_error("the slow path for %llu connections: %s", (unsigned long long)r->opt.capacity,
			  strerror(-status));
	return status == 0;
}

static bool open_all(struct replay *r)
{
	r->in = capture_open(r->opt.input);
	if (r->in == NULL)
		return false;
	r->slots = calloc(r->opt.burst, sizeof(*r->slots));
	r->packets = calloc(r->opt.burst, sizeof(*r->packets));
	r->sides = sides_create((uint32_t)r->opt.mtu);
	if (r->slots == NULL || r->packets == NULL || r->sides == NULL) {
		out_error("no memory for bursts of %llu packets", (unsigned long long)r->opt.burst);
		return false;
	}
	if (!open_slow_path(r) || !open_table(r))
		return false;
	/* Last, so that nothing is overwritten for a replay that cannot start. */
	if (r->opt.output != NULL)
		r->out = capture_create(r->opt.output, r->in);
	return r->opt.output == NULL || r->out != NULL;
}

/* The output file was closed before, where it could still be complained about. */
static void close_all(struct replay *r)
{
	fo_worker_close(r->worker);
	fo_table_destroy(r->table);
	sp_destroy(r->sp);
	sides_destroy(r->sides);
	for (uint64_t i = 0; r->slots != NULL && i < r->opt.burst; i++)
		free(r->slots[i].buffer);
	free(r->slots);
	free(r->packets);
	capture_close(r->in);
}

int cmd_replay(int argc, char **argv)
{
	struct replay *r = calloc(1, sizeof(*r));
	int status;

	if (r == NULL) {
		out_error("replay: no memory");
		return DEMO_FAILED;
	}
	status = read_command_line(&r->opt, argc, argv);
	if (status == -1) {
		fputs(usage_text, stdout);
		free(r);
		return out_finish(DEMO_OK);
	}
	if (status == DEMO_OK) {
		bool played = open_all(r) && replay_run(r) && replay_end_flows(r);

		status = played ? replay_report(r) : DEMO_FAILED;
		if (!capture_finish(r->out) || r->cut_off)
			status = DEMO_FAILED;
		close_all(r);
	}
	free(r);
	return status;
}
