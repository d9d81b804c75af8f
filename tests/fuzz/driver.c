/* SPDX-License-Identifier: BSD-2-Clause */
/* driver.c - runs a fuzz target without libFuzzer: with gcc, musl, and cross-built under qemu-user.
 *
 *   TARGET [--seed N] [--runs N] [--only I] [--write-corpus DIR] [FILE ...]
 *
 * Runs the target's own seeds, then the files given, then N mutations of the seeds that the generator makes from
 * --seed. The same seed gives the same inputs on every machine. A failure aborts; which input it was is printed by
 * the handler below, and --only I repeats it alone. Neighbours: fuzz.h, the targets fuzz_*.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

struct options {
	uint64_t seed;
	uint64_t runs;
	uint64_t only; /* 0: all; else 1 + the run */
	const char *corpus;
};

static char now_running[160];
static uint8_t input[FUZZ_INPUT_MAX];

static void died(int sig)
{
	ssize_t done = write(STDERR_FILENO, now_running, strlen(now_running));

	(void)done; /* nothing is left to be done about it */
	signal(sig, SIG_DFL);
	raise(sig);
}

/* splitmix64 (Steele, Lea, Flood 2014): small, and the same everywhere */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
	return n != 0 ? (size_t)(next(state) % n) : 0;
}

static unsigned int count_seeds(void)
{
	unsigned int n = 0;

	while (fuzz_seed(n, input, sizeof(input)) != 0)
		n++;
	return n;
}

static void overwrite(uint64_t *state, size_t size)
{
	static const uint8_t notable[] = {0, 1, 0x7f, 0x80, 0xff, 0x45, 0x60, 0x11, 0x06};
	size_t at = below(state, size);

	switch (below(state, 4)) {
	case 0:
		input[at] ^= (uint8_t)(1u << below(state, 8));
		break;
	case 1:
		input[at] = (uint8_t)next(state);
		break;
	case 2:
		input[at] = notable[below(state, sizeof(notable))];
		break;
	default:
		input[at] = (uint8_t)(input[at] + below(state, 9) - 4);
		break;
	}
}

/* Move the tail: cut bytes out, put bytes in, or cut the end off. */
static size_t reshape(uint64_t *state, size_t size)
{
	size_t at = below(state, size), n = 1 + below(state, 12);

	switch (below(state, 3)) {
	case 0:
		if (n > size - at)
			n = size - at;
		memmove(input + at, input + at + n, size - at - n);
		return size - n;
	case 1:
		if (size + n > sizeof(input))
			return size;
		memmove(input + at + n, input + at, size - at);
		while (n-- != 0) {
			input[at + n] = (uint8_t)next(state);
			size++;
		}
		return size;
	default:
		return 1 + at;
	}
}

static size_t append_seed(uint64_t *state, unsigned int n_seeds, size_t size)
{
	return size + fuzz_seed((unsigned int)below(state, n_seeds), input + size, sizeof(input) - size);
}

static void run_mutation(const struct options *opts, uint64_t run, unsigned int n_seeds)
{
	uint64_t state = opts->seed * UINT64_C(1000003) + run;
	size_t size = append_seed(&state, n_seeds, 0);
	size_t n = below(&state, 9);

	while (below(&state, 3) == 0 && size < sizeof(input) / 2)
		size = append_seed(&state, n_seeds, size);
	while (n-- != 0 && size != 0) {
		if (below(&state, 5) == 0)
			size = reshape(&state, size);
		else
			overwrite(&state, size);
	}
	snprintf(now_running, sizeof(now_running),
		 "while running mutation %" PRIu64 " of seed %" PRIu64 "; again: --seed %" PRIu64
		 " --only %" PRIu64 "\n",
		 run, opts->seed, opts->seed, run);
	LLVMFuzzerTestOneInput(input, size);
}

static void run_seeds(unsigned int n_seeds)
{
	unsigned int i;

	for (i = 0; i < n_seeds; i++) {
		size_t size = fuzz_seed(i, input, sizeof(input));

		snprintf(now_running, sizeof(now_running), "while running built-in seed %u\n", i);
		LLVMFuzzerTestOneInput(input, size);
	}
}

static int write_corpus(const char *dir, unsigned int n_seeds)
{
	unsigned int i;

	for (i = 0; i < n_seeds; i++) {
		size_t size = fuzz_seed(i, input, sizeof(input));
		char path[4096];
		FILE *file;

		snprintf(path, sizeof(path), "%s/seed-%03u", dir, i);
		file = fopen(path, "wb");
		if (file == NULL || fwrite(input, 1, size, file) != size || fclose(file) != 0) {
			fprintf(stderr, "%s: %s\n", path, strerror(errno));
			return 1;
		}
	}
	printf("%u seeds written to %s\n", n_seeds, dir);
	return 0;
}

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	snprintf(now_running, sizeof(now_running), "while running %.100s\n", path);
	LLVMFuzzerTestOneInput(input, size);
	return 0;
}

static int number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

/* Returns the index of the first file, or -1. */
static int parse(int argc, char **argv, struct options *opts)
{
	int i;

	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		int bad = i + 1 >= argc;

		if (bad)
			; /* every option has a value */
		else if (strcmp(argv[i], "--seed") == 0)
			bad = number(argv[i + 1], &opts->seed);
		else if (strcmp(argv[i], "--runs") == 0)
			bad = number(argv[i + 1], &opts->runs);
		else if (strcmp(argv[i], "--only") == 0)
			bad = number(argv[i + 1], &opts->only) || opts->only++ == UINT64_MAX;
		else if (strcmp(argv[i], "--write-corpus") == 0)
			opts->corpus = argv[i + 1];
		else
			bad = 1;
		if (bad) {
			fprintf(stderr,
				"usage: %s [--seed N] [--runs N] [--only I] [--write-corpus DIR] [FILE "
				"...]\n",
				argv[0]);
			return -1;
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	struct options opts = {.seed = 1, .runs = 20000};
	unsigned int n_seeds;
	uint64_t run;
	int file, failed = 0;

	file = parse(argc, argv, &opts);
	if (file < 0)
		return 2;
	signal(SIGABRT, died);
	signal(SIGSEGV, died);
	signal(SIGBUS, died);
	n_seeds = count_seeds();
	if (opts.corpus != NULL)
		return write_corpus(opts.corpus, n_seeds);
	if (opts.only != 0) {
		run_mutation(&opts, opts.only - 1, n_seeds);
		return 0;
	}
	run_seeds(n_seeds);
	for (; file < argc; file++)
		failed |= run_file(argv[file]);
	for (run = 0; run < opts.runs; run++)
		run_mutation(&opts, run, n_seeds);
	printf("%s: %u seeds and %" PRIu64 " mutations of seed %" PRIu64 " passed\n", argv[0], n_seeds,
	       opts.runs, opts.seed);
	return failed;
}
