/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_corpus.c - what the packet fuzzer feeds to the fast path, through the BPF program too. See bpf_differential.h.
 *
 * The router is the fuzzer's (tests/fuzz/scene.h) but for what the backend cannot: scopes and ports that take any ingress. An
 * input is a sequence of heads and frames (tests/fuzz/fuzz_packet.h); what lies beside a frame by its head, but the port,
 * BPF_PROG_TEST_RUN cannot say, so all frames are plain here. Each handful begins with living flows: what one input
 * closes is open again for the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/fuzz.h"
#include "../fuzz/fuzz_packet.h"
#include "../fuzz/scene.h"
#include "bpf_differential.h"

#define ROUNDS	 24u
#define CHANGED	 500u /* inputs of a round */
#define SHORTEST 14u  /* no device hands less to a program */
#define LONGEST	 3000u

struct pair {
	const struct hook *hook;
	struct fo_table *soft, *bpf;
	struct fo_worker *worker;
	int program;
	unsigned int n;
};

/* Its side is one that the kernel's test run can write, and that the backend knows. */
static int is_for(const struct hook *hook, const struct fo_adj *adj)
{
	for (uint32_t i = 0; i < adj->n_encaps; i++)
		if (hook->tc && adj->encap[i].kind == FO_ENCAP_PPPOE)
			return 0;
	return 1;
}

static void add(struct fo_table *table, struct fo_flow flow, const struct fo_adj adj[2])
{
	struct fo_error err = {0};
	fo_flow_id id;

	for (unsigned int i = 0; i < 2; i++)
		if (fo_adj_add(table, &adj[i], &flow.adj[i], &err))
			fail("fo_adj_add", err.text);
	if (fo_flow_add(table, &flow, &id, &err))
		fail("fo_flow_add", err.text);
}

static void populate(const struct pair *pair)
{
	for (unsigned int n = 0; n < SCENE_FLOWS; n++) {
		unsigned int side[2];
		struct fo_adj adj[2];
		struct fo_flow flow;

		scene_flow(n, &flow, side);
		for (unsigned int i = 0; i < 2; i++) {
			scene_adj(side[i], &adj[i]);
			adj[i].port = ports_of[adj[i].port - 1];
			adj[i].flags = 0;
		}
		if (flow.scope || !is_for(pair->hook, &adj[0]) || !is_for(pair->hook, &adj[1]))
			continue;
		add(pair->soft, flow, adj);
		add(pair->bpf, flow, adj);
	}
}

static void open_pair(struct pair *pair)
{
	struct fo_bpf_options own;
	struct fo_error err = {0};

	FO_INIT(&own);
	own.attach = pair->hook->attach;
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	pair->soft = open_table("soft", NULL);
	pair->bpf = open_table(backend_name, &own);
	if (fo_worker_open(pair->soft, NULL, &pair->worker, &err))
		fail("fo_worker_open", err.text);
	pair->program = program_of(pair->hook);
	populate(pair);
}

static void close_pair(struct pair *pair)
{
	close_program(pair->program);
	fo_worker_close(pair->worker);
	fo_table_destroy(pair->bpf);
	fo_table_destroy(pair->soft);
}

static void try_frame(struct pair *pair, const struct packet_frame *frame, uint32_t in_port)
{
	static struct outcome worker_says, program_says;

	if (frame->length < SHORTEST || frame->length > LONGEST)
		return;
	by_worker(pair->worker, frame, in_port, &worker_says);
	if (by_program(pair->program, pair->hook->tc, frame, in_port, &program_says))
		compare(pair->hook, pair->n++, frame, &worker_says, &program_says);
}

/* All frames of an input. A port that is none of the table's is given by the first one. */
static void try_input(struct pair *pair, const uint8_t *input, size_t size)
{
	static struct packet_frame frame;

	while (size > HEAD_SIZE) {
		unsigned int number = input[0] & 7u, length = input[14] | (unsigned int)input[15] << 8;

		input += HEAD_SIZE;
		size -= HEAD_SIZE;
		if (length > size)
			length = (unsigned int)size;
		frame.length = length < PACKET_MAX ? length : PACKET_MAX;
		memcpy(frame.bytes, input, frame.length);
		try_frame(pair, &frame, ports_of[number && number <= PORTS ? number - 1 : 0]);
		input += length;
		size -= length;
	}
}

static unsigned int n_seeds(void)
{
	static uint8_t input[FUZZ_INPUT_MAX];
	unsigned int n = 0;

	while (fuzz_seed(n, input, sizeof(input)))
		n++;
	return n;
}

/* A seed with some bytes changed; the head of the first frame keeps its length, so that a frame is left. */
static void try_changed(struct pair *pair, unsigned int which)
{
	static uint8_t input[FUZZ_INPUT_MAX];
	size_t size = fuzz_seed(which, input, sizeof(input));

	for (unsigned int n = pick(6); n; n--) {
		uint32_t reach = size - HEAD_SIZE < 90 ? (uint32_t)size - HEAD_SIZE : 90,
			 at = HEAD_SIZE + pick(reach);

		input[at] = pick(2) ? input[at] ^ (uint8_t)(1u << pick(8)) : (uint8_t)pick(256);
	}
	if (!pick(10))
		size = HEAD_SIZE + pick((uint32_t)size - HEAD_SIZE + 1);
	try_input(pair, input, size);
}

static void try_file(struct pair *pair, const char *path)
{
	static uint8_t input[FUZZ_INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file)
		fail(path, strerror(errno));
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	try_input(pair, input, size);
}

void run_corpus(const struct hook *hook, char **files)
{
	struct pair pair = {.hook = hook};
	unsigned int seeds = n_seeds(), given = 0;

	forwarded = passed = 0;
	/* One variation at a time, on both directions of each connection. */
	for (unsigned int first = 0; first < seeds; first += 2 * SCENE_FLOWS) {
		static uint8_t input[FUZZ_INPUT_MAX];

		open_pair(&pair);
		for (unsigned int i = first; i < seeds && i < first + 2 * SCENE_FLOWS; i++)
			try_input(&pair, input, fuzz_seed(i, input, sizeof(input)));
		close_pair(&pair);
	}
	for (unsigned int round = 0; round < ROUNDS; round++) {
		open_pair(&pair);
		for (unsigned int i = 0; i < CHANGED; i++)
			try_changed(&pair, pick(seeds));
		close_pair(&pair);
	}
	while (files && files[given]) {
		open_pair(&pair);
		for (unsigned int i = 0; i < 2 * SCENE_FLOWS && files[given]; i++)
			try_file(&pair, files[given++]);
		close_pair(&pair);
	}
	printf("%s, the fuzzer's: %u seeds, %u files, %u forwarded, %u passed, all alike\n", hook->name,
	       seeds, given, forwarded, passed);
	if (forwarded < pair.n / 10 || passed < pair.n / 10)
		fail(hook->name, "hardly anything was forwarded, or hardly anything passed");
}
