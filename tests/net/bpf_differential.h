/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_differential.h - one frame through the BPF program and through a worker. bpf_alike.c makes random ones, bpf_corpus.c takes
 * those of the packet fuzzer (tests/fuzz). The program is in the kernel (bpf_differential.c), or its source is compiled for
 * this machine (bpf_replica.c). */
#ifndef TESTS_NET_BPF_DIFFERENTIAL_H
#define TESTS_NET_BPF_DIFFERENTIAL_H

#include "flowoffload-bpf.h"
#include "packet.h"

#define PORTS	 6u
#define HEADROOM 64u

struct hook {
	const char *name;
	uint32_t attach;
	int tc;
};

struct outcome {
	int forward;
	uint32_t length;
	uint8_t bytes[PACKET_MAX + HEADROOM];
};

extern uint64_t seed;
extern uint32_t ports_of[PORTS];
extern unsigned int forwarded, passed;

uint32_t pick(uint32_t below);
void fail(const char *what, const char *detail);
void skip(const char *why);

/* own: of bpf; NULL: a table with one worker. All ports are its. */
struct fo_table *open_table(const char *backend, const struct fo_bpf_options *own);
void by_worker(struct fo_worker *worker, const struct packet_frame *frame, uint32_t in_port,
	       struct outcome *out);
void compare(const struct hook *hook, unsigned int n, const struct packet_frame *frame,
	     struct outcome *worker, const struct outcome *program);

/* ---- whoever has the program ---- */

extern const char program_name[], backend_name[];

int program_of(const struct hook *hook);
void close_program(int program);
/* 0: the kernel does not run the program on this frame. */
int by_program(int program, int tc, const struct packet_frame *frame, uint32_t in_port, struct outcome *out);

/* ---- runs ---- */

void run_hook(const struct hook *hook);
/* bpf_corpus.c: the fuzzer's own seeds, changes of them, and these files, the last of which is NULL. */
void run_corpus(const struct hook *hook, char **files);

#endif
