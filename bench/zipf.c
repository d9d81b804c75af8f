/* SPDX-License-Identifier: BSD-2-Clause */
/* zipf.c - a skewed draw. See zipf.h. */
#include "zipf.h"

#include <math.h>

#define EXPONENT 0.99

struct zipf {
	uint32_t n;
	uint32_t stride; /* prime to n: rank r is entry r * stride mod n */
	double all;	 /* sum of 1 / r^s for r in 1..n */
	double first_two;
	double alpha, eta;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

struct zipf *zipf_open(uint32_t n)
{
	struct zipf *zipf = bench_memory(sizeof(*zipf));

	zipf->n = n;
	for (uint32_t rank = 1; rank <= n; rank++)
		zipf->all += pow(rank, -EXPONENT);
	zipf->first_two = 1 + pow(2, -EXPONENT);
	zipf->alpha = 1 / (1 - EXPONENT);
	zipf->eta = (1 - pow(2.0 / n, 1 - EXPONENT)) / (1 - zipf->first_two / zipf->all);
	for (zipf->stride = (uint32_t)(n * 0.618) | 1; common_divisor(zipf->stride, n) > 1;)
		zipf->stride++;
	return zipf;
}

void zipf_close(struct zipf *zipf)
{
	bench_memory_free(zipf, sizeof(*zipf));
}

uint32_t zipf_draw(const struct zipf *zipf, struct bench_draw *draw)
{
	double u = (double)(bench_draw(draw) >> 11) / 9007199254740992.0, at = u * zipf->all;
	uint64_t rank = 0;

	if (at >= zipf->first_two)
		rank = (uint64_t)(zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
	else if (at >= 1)
		rank = 1;
	if (rank >= zipf->n)
		rank = zipf->n - 1;
	return (uint32_t)(rank * zipf->stride % zipf->n);
}
