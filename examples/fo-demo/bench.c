/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.c - `fo-demo bench`: a quick look at the fast path's speed on made-up traffic in memory. Its last pass
 * compares every packet with what has to come out. Neighbours: bench.h, out.h.
 */
#include "bench.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "out.h"

#define BATCH	 1024u /* packets made at once, outside the time that is measured */
#define HEADROOM 32u
#define ROOM	 128u /* bytes of buffer a packet, headroom included */

static const char usage_text[] =
	"usage: fo-demo bench [OPTIONS]\n"
	"\n"
	"Runs 64-byte UDP packets of many connections, picked at random, through the fast path.\n"
	"\n"
	"      --flows N      connections (default 10000)\n"
	"      --seconds S    how long (default 2)\n"
	"      --burst N      packets in one fo_worker_run() (default 32)\n"
	"      --family 4|6   IP version (default 4)\n"
	"      --nat          translate source address and port\n"
	"  -j, --json         the result as JSON\n"
	"  -h, --help         this text\n";

enum { OPT_FLOWS = 256, OPT_SECONDS, OPT_BURST, OPT_FAMILY, OPT_NAT };

static const struct option long_options[] = {
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"burst", required_argument, NULL, OPT_BURST},
	{"family", required_argument, NULL, OPT_FAMILY},
	{"nat", no_argument, NULL, OPT_NAT},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct bench {
	uint64_t flows, seconds, burst, family;
	struct bench_traffic traffic;
	bool json;
	struct fo_table *table;
	struct fo_worker *worker;
	fo_adj_id adj[2];
	uint64_t random;
	uint64_t packets, run_ns; /* measured */
	uint64_t checked;
	struct fo_packet batch[BATCH];
	uint8_t buffers[BATCH][ROOM];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool open_table(struct bench *b)
{
	struct fo_port ports[2];
	struct fo_table_options opts;
	struct fo_error err = {0};
	struct fo_adj adj;

	FO_INIT(&opts);
	for (uint32_t i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = BENCH_LAN + i;
	}
	opts.needs = FO_CAP_WORKER;
	opts.capacity = (uint32_t)b->flows;
	opts.max_workers = 1;
	opts.ports = ports;
	opts.n_ports = 2;
	if (fo_table_create(&opts, &b->table, &err) < 0) {
		out_fo_error("fo_table_create", &err);
		return false;
	}
	if (fo_worker_open(b->table, NULL, &b->worker, &err) < 0) {
		out_fo_error("fo_worker_open", &err);
		return false;
	}
	for (uint32_t i = 0; i < 2; i++) {
		bench_adjacency(BENCH_LAN + i, &adj);
		if (fo_adj_add(b->table, &adj, &b->adj[i], &err) < 0) {
			out_fo_error("fo_adj_add", &err);
			return false;
		}
	}
	return true;
}

static bool add_flows(struct bench *b)
{
	bool tty = isatty(STDERR_FILENO) == 1 && b->flows >= 1000000;
	struct fo_error err = {0};
	struct fo_flow flow;
	fo_flow_id id;

	for (uint32_t n = 0; n < b->flows; n++) {
		if (tty && n % 100000 == 0)
			fprintf(stderr, "\rfo-demo: adding flows, %3.0f %% ", 100.0 * n / (double)b->flows);
		bench_flow(&b->traffic, n, &flow);
		memcpy(flow.adj, b->adj, sizeof(flow.adj));
		if (fo_flow_add(b->table, &flow, &id, &err) < 0) {
			out_fo_error("fo_flow_add", &err);
			return false;
		}
	}
	if (tty)
		fprintf(stderr, "\r%40s\r", "");
	return true;
}

static void prepare(struct bench *b, uint32_t slot, uint32_t flow_number, enum fo_dir dir)
{
	uint8_t *frame = b->buffers[slot] + HEADROOM;
	struct fo_flow flow;
	uint32_t length;

	bench_flow(&b->traffic, flow_number, &flow);
	length = bench_frame(&flow, dir, false, frame);
	b->batch[slot] = (struct fo_packet){
		.data = frame,
		.contiguous = length,
		.length = length,
		.headroom = HEADROOM,
		.in_port = dir == FO_ORIGINAL ? BENCH_LAN : BENCH_WAN,
	};
}

/* Runs the first n packets of the batch; returns how many were forwarded. */
static uint32_t run(struct bench *b, uint32_t n)
{
	uint32_t forwarded = 0, step;

	for (uint32_t i = 0; i < n; i += step) {
		step = n - i < b->burst ? n - i : (uint32_t)b->burst;
		forwarded += fo_worker_run(b->worker, b->batch + i, step, now_ns() / 1000000);
	}
	return forwarded;
}

static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static bool measure(struct bench *b)
{
	uint64_t end = now_ns() + b->seconds * 1000000000u, before;
	uint32_t forwarded;

	do {
		for (uint32_t i = 0; i < BATCH; i++) {
			uint64_t pick = next_random(b);

			prepare(b, i, (uint32_t)((pick >> 1) % b->flows), (enum fo_dir)(pick & 1));
		}
		before = now_ns();
		forwarded = run(b, BATCH);
		b->run_ns += now_ns() - before;
		b->packets += BATCH;
		if (forwarded != BATCH) {
			out_error("%" PRIu32 " of %u packets were not forwarded", BATCH - forwarded, BATCH);
			return false;
		}
	} while (now_ns() < end);
	return true;
}

static bool is_right(const struct bench *b, uint32_t slot, uint32_t flow_number, enum fo_dir dir)
{
	const struct fo_packet *p = &b->batch[slot];
	uint8_t want[BENCH_FRAME_MAX];
	struct fo_flow flow;
	uint32_t length;

	bench_flow(&b->traffic, flow_number, &flow);
	length = bench_frame(&flow, dir, true, want);
	if (p->verdict == FO_FORWARD && p->length == length && memcmp(p->data, want, length) == 0 &&
	    p->out_port == (dir == FO_ORIGINAL ? BENCH_WAN : BENCH_LAN))
		return true;
	out_error("flow %" PRIu32 ", direction %d: %s", flow_number, (int)dir,
		  p->verdict == FO_FORWARD ? "the packet came out wrong" : fo_reason_name(p->reason));
	return false;
}

/* Both directions of every flow, each packet compared. */
static bool verify(struct bench *b)
{
	for (uint64_t first = 0; first < 2 * b->flows; first += BATCH) {
		uint32_t n = 2 * b->flows - first < BATCH ? (uint32_t)(2 * b->flows - first) : BATCH;

		for (uint32_t i = 0; i < n; i++)
			prepare(b, i, (uint32_t)((first + i) / 2), (enum fo_dir)((first + i) % 2));
		run(b, n);
		for (uint32_t i = 0; i < n; i++) {
			if (!is_right(b, i, (uint32_t)((first + i) / 2), (enum fo_dir)((first + i) % 2)))
				return false;
		}
		b->checked += n;
	}
	return true;
}

static int report(const struct bench *b)
{
	double ns = (double)b->run_ns / (double)b->packets;
	char flows[OUT_NUMBER], packets[OUT_NUMBER], memory[OUT_NUMBER];
	struct fo_table_counters counters;
	struct fo_error err = {0};
	struct json doc;

	FO_INIT(&counters);
	if (fo_stats(b->table, &counters, &err) < 0) {
		out_fo_error("fo_stats", &err);
		return DEMO_FAILED;
	}
	if (counters.forwarded_packets != b->packets + b->checked) {
		out_error("the table counted %" PRIu64 " packets, but %" PRIu64 " were forwarded",
			  counters.forwarded_packets, b->packets + b->checked);
		return DEMO_FAILED;
	}
	if (b->json) {
		json_begin(&doc);
		json_u64(&doc, doc.root, "flows", b->flows);
		json_u64(&doc, doc.root, "family", b->traffic.family);
		json_flag(&doc, doc.root, "nat", b->traffic.nat);
		json_u64(&doc, doc.root, "burst", b->burst);
		json_u64(&doc, doc.root, "packets", b->packets);
		json_real(&doc, doc.root, "ns_per_packet", ns);
		json_real(&doc, doc.root, "mpps", 1e3 / ns);
		json_u64(&doc, doc.root, "checked_packets", b->checked);
		json_u64(&doc, doc.root, "table_memory_bytes", counters.memory);
		json_text(&doc, doc.root, "note", "a quick look; ./dev bench is the method");
		return json_print(&doc, DEMO_OK);
	}
	printf("%s flows, IPv%d%s, bursts of %" PRIu64 ", one worker: %.1f ns/packet, %.2f Mpps\n",
	       out_count(flows, b->flows), b->traffic.family, b->traffic.nat ? " with NAT" : "", b->burst, ns,
	       1e3 / ns);
	printf("%s packets measured; ", out_count(packets, b->packets));
	printf("%s more compared byte by byte, all right; ", out_count(packets, b->checked));
	printf("the table's memory is %s\n", out_bytes(memory, counters.memory));
	printf("This is a quick look on a machine that does other things too; ./dev bench is the method.\n");
	return out_finish(DEMO_OK);
}

/* Returns DEMO_OK, DEMO_USAGE after a message, or -1: help was asked for. */
static int read_command_line(struct bench *b, int argc, char **argv)
{
	bool good = true;
	int c;

	optind = 0;
	while (good && (c = getopt_long(argc, argv, "jh", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_FLOWS:
			good = out_number("--flows", optarg, 1, BENCH_MAX_FLOWS, &b->flows);
			break;
		case OPT_SECONDS:
			good = out_number("--seconds", optarg, 1, 3600, &b->seconds);
			break;
		case OPT_BURST:
			good = out_number("--burst", optarg, 1, BATCH, &b->burst);
			break;
		case OPT_FAMILY:
			good = out_number("--family", optarg, 4, 6, &b->family);
			break;
		case OPT_NAT:
			b->traffic.nat = true;
			break;
		case 'j':
			b->json = true;
			break;
		case 'h':
			return -1;
		default:
			good = false;
		}
	}
	if (good && b->family == 5) {
		out_error("--family: 4 or 6");
		good = false;
	}
	if (good && optind != argc) {
		out_error("bench: '%s' is one word too many", argv[optind]);
		good = false;
	}
	b->traffic.family = (uint8_t)b->family;
	return good ? DEMO_OK : DEMO_USAGE;
}

int cmd_bench(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	int status;

	if (b == NULL) {
		out_error("bench: no memory");
		return DEMO_FAILED;
	}
	b->flows = 10000;
	b->seconds = 2;
	b->burst = 32;
	b->family = 4;
	b->random = UINT64_C(0x2545f4914f6cdd1d);
	status = read_command_line(b, argc, argv);
	if (status == -1) {
		fputs(usage_text, stdout);
		status = out_finish(DEMO_OK);
	} else if (status == DEMO_OK) {
		bool done = open_table(b) && add_flows(b) && measure(b) && verify(b);

		status = done ? report(b) : DEMO_FAILED;
		fo_worker_close(b->worker);
		fo_table_destroy(b->table);
	}
	free(b);
	return status;
}
