/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.h - what a fuzz target and whoever drives it agree on.
 *
 * A target is one file with LLVMFuzzerTestOneInput(), linked either with libFuzzer (clang, meson option "fuzz") or
 * with driver.c, whose main() works with every compiler and under qemu-user. fuzz_seed() makes the seed corpus of
 * both, so that no binary lies in the repository.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_INPUT_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Write the i-th seed to out. Returns its size; 0: there are no more. */
size_t fuzz_seed(unsigned int i, uint8_t *out, size_t room);

/* The bytes of one input, taken one by one; past the end they read as zero. */
struct fuzz_input {
	const uint8_t *at;
	const uint8_t *end;
};

static inline size_t fuzz_left(const struct fuzz_input *in)
{
	return (size_t)(in->end - in->at);
}

static inline uint8_t fuzz_take8(struct fuzz_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static inline uint16_t fuzz_take16(struct fuzz_input *in)
{
	unsigned int low = fuzz_take8(in);

	return (uint16_t)(low | (unsigned int)fuzz_take8(in) << 8);
}

/* 0 .. n-1 */
static inline unsigned int fuzz_pick(struct fuzz_input *in, unsigned int n)
{
	return fuzz_take8(in) % n;
}

/* A found defect: say what is wrong, then abort, which every fuzzer understands. */
#define FUZZ_CHECK(cond, ...)                                                                                \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                           \
			fprintf(stderr, __VA_ARGS__);                                                        \
			fputc('\n', stderr);                                                                 \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
