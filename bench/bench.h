/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.h - how everything here is measured: contestants take turns in rounds, the order rotates from round to
 * round, a figure is the median over rounds, a ratio the median of the ratios of each round. JSON, one object a line.
 *
 * Machines are shared and clocks drift: only figures of one run compare, and ratios before all. measure.c has the
 * rounds, keys.h what is looked up, peer.h the other tables.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_BURST  32u
#define BENCH_CHUNK  1024u
#define BENCH_CHUNKS 120u

struct bench_options {
	uint32_t sizes[8]; /* entries; 0 ends the list */
	unsigned int rounds;
	/* Texts, with commas between: run cases whose name has one of them in it, or after = is it; NULL: all. */
	const char *only;
	uint32_t largest; /* of sizes */
};

/* Read --sizes A,B,.. --rounds N --case TEXT; exits with a message when they are wrong. */
void bench_options_read(struct bench_options *options, int argc, char **argv, const char *sizes);

/* One way to do the work of a case. The first of a case is the library; ratios are relative to it. */
struct contestant {
	const char *name;
	/* Do the work of one round; returns nanoseconds per item. */
	double (*round)(void *ctx);
	/* Touch everything in the order of the rounds, two times; NULL: the round itself is its own warm-up. */
	void (*warm_up)(void *ctx);
	void *ctx;
	double *ns; /* by round; bench_case() has the memory */
};

/* Measure contestants against each other and print a line for each. 0 or -1 (no memory). */
int bench_case(const char *bench, const char *name, uint32_t n, const struct bench_options *options,
	       struct contestant *contestants, unsigned int count);

/* Is a case wanted by --case? */
int bench_wanted(const struct bench_options *options, const char *name);

/* Median over BENCH_CHUNKS chunks of BENCH_CHUNK items: prepare is not timed, run is. */
double bench_chunks(void (*prepare)(void *ctx), void (*run)(void *ctx), void *ctx);

/* Nanoseconds of a monotonic clock. */
uint64_t bench_now(void);

/* Zeroed memory aligned to pages, huge ones where they can be had; ends the program when there is none. */
void *bench_memory(size_t size);
void bench_memory_free(void *ptr, size_t size);

/* Print a figure that has no peer: {"bench":...,"case":...,"n":...,"figure":...,"unit":...}. */
void bench_figure(const char *bench, const char *name, uint32_t n, double figure, const char *unit);

/* The same of another than the library. */
void bench_figure_of(const char *bench, const char *name, uint32_t n, const char *who, double figure,
		     const char *unit);

/* The median of some values, which are sorted, with the least and the most of them. */
void bench_spread(const char *bench, const char *name, uint32_t n, const char *who, double *values,
		  unsigned int count, const char *unit);

/* Of n values, which are sorted: the median, and the smallest that so many of a thousand do not exceed. */
double bench_median(double *values, unsigned int n);
double bench_permille(double *values, unsigned int n, unsigned int permille);

/* A line that is not a measurement: {"bench":...,"note":...}. */
void bench_note(const char *bench, const char *note);

/* End with a message: a result is wrong, so no figure of this program counts. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* splitmix64 of a counter: the order in which keys are looked up. */
struct bench_draw {
	uint64_t state;
};

static inline uint64_t bench_draw(struct bench_draw *draw)
{
	uint64_t z = draw->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t bench_below(struct bench_draw *draw, uint32_t n)
{
	return (uint32_t)(((bench_draw(draw) >> 32) * n) >> 32);
}

#ifdef __cplusplus
}
#endif

#endif
