/* SPDX-License-Identifier: BSD-2-Clause */
/* measure.c - rounds, medians, JSON lines and options of the benchmarks. See bench.h. */
#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE_PAGE ((size_t)2 << 20)

uint64_t bench_now(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now))
		bench_fail("no monotonic clock");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double bench_permille(double *values, unsigned int n, unsigned int permille)
{
	uint64_t at = ((uint64_t)n * permille + 999) / 1000;

	qsort(values, n, sizeof(*values), by_value);
	return values[at ? at - 1 : 0];
}

double bench_chunks(void (*prepare)(void *), void (*run)(void *), void *ctx)
{
	double ns[BENCH_CHUNKS];

	for (unsigned int i = 0; i < BENCH_CHUNKS; i++) {
		uint64_t begin;

		prepare(ctx);
		begin = bench_now();
		run(ctx);
		ns[i] = (double)(bench_now() - begin) / BENCH_CHUNK;
	}
	return bench_median(ns, BENCH_CHUNKS);
}

static void print_line(const char *bench, const char *name, uint32_t n, const struct contestant *who,
		       double ns, double ratio)
{
	printf("{\"bench\":\"%s\",\"case\":\"%s\",\"n\":%u,\"who\":\"%s\",\"ns\":%.2f,\"ratio\":%.3f}\n",
	       bench, name, n, who->name, ns, ratio);
	fflush(stdout);
}

int bench_case(const char *bench, const char *name, uint32_t n, const struct bench_options *options,
	       struct contestant *contestants, unsigned int count)
{
	double *ns = calloc((size_t)options->rounds * (count + 1), sizeof(*ns));
	double *scratch = ns + (size_t)options->rounds * count, ratio;

	if (!ns)
		return -1;
	for (unsigned int i = 0; i < count; i++) {
		contestants[i].ns = ns + (size_t)i * options->rounds;
		if (contestants[i].warm_up)
			contestants[i].warm_up(contestants[i].ctx);
	}
	for (unsigned int round = 0; round < options->rounds; round++)
		for (unsigned int i = 0; i < count; i++) {
			struct contestant *who = &contestants[(i + round) % count];

			who->ns[round] = who->round(who->ctx);
		}
	for (unsigned int i = 0; i < count; i++) {
		/* of a copy: sorting takes rounds apart, and the ratios of the others need those of the first */
		for (unsigned int round = 0; round < options->rounds; round++)
			scratch[round] = contestants[i].ns[round] / contestants[0].ns[round];
		ratio = bench_median(scratch, options->rounds);
		memcpy(scratch, contestants[i].ns, options->rounds * sizeof(*scratch));
		print_line(bench, name, n, &contestants[i], bench_median(scratch, options->rounds), ratio);
	}
	free(ns);
	return 0;
}

int bench_wanted(const struct bench_options *options, const char *name)
{
	const char *text = options->only;

	for (size_t length; text && *text; text += length + (text[length] == ',')) {
		length = strcspn(text, ",");
		if (*text == '=' ? strlen(name) == length - 1 && !memcmp(name, text + 1, length - 1)
				 : memmem(name, strlen(name), text, length) != NULL)
			return 1;
	}
	return !options->only;
}

void *bench_memory(size_t size)
{
	size_t room = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	uint8_t *base =
		mmap(NULL, room + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (base == MAP_FAILED)
		bench_fail("no memory for %zu bytes", size);
	head = (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
	if (head)
		(void)munmap(base, head);
	if (head != HUGE_PAGE)
		(void)munmap(base + head + room, HUGE_PAGE - head);
	(void)madvise(base + head, room, MADV_HUGEPAGE);
	return base + head;
}

void bench_memory_free(void *ptr, size_t size)
{
	if (ptr)
		(void)munmap(ptr, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
}

void bench_figure_of(const char *bench, const char *name, uint32_t n, const char *who, double figure,
		     const char *unit)
{
	printf("{\"bench\":\"%s\",\"case\":\"%s\",\"n\":%u,\"who\":\"%s\",\"figure\":%.3f,\"unit\":\"%s\"}\n",
	       bench, name, n, who, figure, unit);
	fflush(stdout);
}

void bench_figure(const char *bench, const char *name, uint32_t n, double figure, const char *unit)
{
	printf("{\"bench\":\"%s\",\"case\":\"%s\",\"n\":%u,\"figure\":%.3f,\"unit\":\"%s\"}\n", bench, name,
	       n, figure, unit);
	fflush(stdout);
}

void bench_spread(const char *bench, const char *name, uint32_t n, const char *who, double *values,
		  unsigned int count, const char *unit)
{
	double middle = bench_median(values, count);

	printf("{\"bench\":\"%s\",\"case\":\"%s\",\"n\":%u,\"who\":\"%s\",\"figure\":%.3f,\"least\":%.3f,"
	       "\"most\":%.3f,\"unit\":\"%s\"}\n",
	       bench, name, n, who, middle, values[0], values[count - 1], unit);
	fflush(stdout);
}

void bench_note(const char *bench, const char *note)
{
	printf("{\"bench\":\"%s\",\"note\":\"%s\"}\n", bench, note);
	fflush(stdout);
}

void bench_fail(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void read_sizes(struct bench_options *options, const char *text)
{
	unsigned int count = 0;
	char *end;

	memset(options->sizes, 0, sizeof(options->sizes));
	options->largest = 0;
	for (; *text; text = *end ? end + 1 : end) {
		unsigned long size = strtoul(text, &end, 10);

		if (end == text || (*end && *end != ',') || size < 64 || size > 100000000 || count == 8)
			bench_fail("--sizes wants up to 8 numbers from 64 to 100000000, like 1000,60000");
		options->sizes[count++] = (uint32_t)size / 2 * 2;
		if (size > options->largest)
			options->largest = (uint32_t)size;
	}
}

void bench_options_read(struct bench_options *options, int argc, char **argv, const char *sizes)
{
	options->rounds = 7;
	options->only = NULL;
	read_sizes(options, sizes);
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--sizes"))
			read_sizes(options, value);
		else if (!strcmp(argv[i], "--case"))
			options->only = value;
		else if (!strcmp(argv[i], "--rounds") && atoi(value) >= 2 && atoi(value) <= 1000)
			options->rounds = (unsigned int)atoi(value);
		else
			bench_fail("usage: %s [--sizes N,N..] [--rounds 2..1000] [--case TEXT,=NAME..]",
				   argv[0]);
	}
}
