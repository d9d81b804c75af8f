/* SPDX-License-Identifier: BSD-2-Clause */
/* hash.c - SipHash-1-3 and HalfSipHash-1-3 over a few words, and the drawing of secrets.
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012), and its reference parameters. */
#include "flowtable/hash.h"

#include <errno.h>
#include <sys/random.h>

int fo__secret_draw(struct fo__secret *secret, uint32_t kind)
{
	uint8_t *at = (uint8_t *)secret->word;
	size_t left = sizeof(secret->word);

	while (left) {
		ssize_t got = getrandom(at, left, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		at += got;
		left -= (size_t)got;
	}
	secret->kind = kind;
	return 0;
}

static inline uint64_t rotl64(uint64_t v, unsigned int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl64(v[1], 13) ^ v[0];
	v[0] = rotl64(v[0], 32);
	v[2] += v[3];
	v[3] = rotl64(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl64(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl64(v[1], 17) ^ v[2];
	v[2] = rotl64(v[2], 32);
}

static uint64_t sip13(const struct fo__secret *secret, const uint64_t *words, unsigned int count)
{
	uint64_t k0 = secret->word[0], k1 = secret->word[1];
	uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
			 k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
	uint64_t last = (uint64_t)count * 8 << 56;

	for (unsigned int i = 0; i <= count; i++) {
		uint64_t m = i < count ? words[i] : last;

		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#ifndef __SIZEOF_INT128__
static inline uint32_t rotl32(uint32_t v, unsigned int n)
{
	return v << n | v >> (32 - n);
}

static void half_round(uint32_t v[4])
{
	v[0] += v[1];
	v[1] = rotl32(v[1], 5) ^ v[0];
	v[0] = rotl32(v[0], 16);
	v[2] += v[3];
	v[3] = rotl32(v[3], 8) ^ v[2];
	v[0] += v[3];
	v[3] = rotl32(v[3], 7) ^ v[0];
	v[2] += v[1];
	v[1] = rotl32(v[1], 13) ^ v[2];
	v[2] = rotl32(v[2], 16);
}

/* The 64-bit output form. */
static uint64_t half_sip13(const struct fo__secret *secret, const uint64_t *words, unsigned int count)
{
	uint32_t k0 = (uint32_t)secret->word[0], k1 = (uint32_t)(secret->word[0] >> 32);
	uint32_t v[4] = {k0, k1 ^ 0xee, k0 ^ 0x6c796765u, k1 ^ 0x74656462u};
	uint32_t low;

	for (unsigned int i = 0; i <= 2 * count; i++) {
		uint32_t m = count * 8 << 24;

		if (i < 2 * count)
			m = (uint32_t)(words[i / 2] >> (i % 2 * 32));
		v[3] ^= m;
		half_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xee;
	for (int i = 0; i < 3; i++)
		half_round(v);
	low = v[1] ^ v[3];
	v[1] ^= 0xdd;
	for (int i = 0; i < 3; i++)
		half_round(v);
	return (uint64_t)(v[1] ^ v[3]) << 32 | low;
}
#endif

uint64_t fo__hash_words_slow(const struct fo__secret *secret, const uint64_t *words, unsigned int count)
{
	if (secret->kind == FO__HASH_CONSTANT)
		return UINT64_C(0x123456789abcdef0);
#ifndef __SIZEOF_INT128__
	if (secret->kind == FO__HASH_FAST)
		return half_sip13(secret, words, count);
#endif
	return sip13(secret, words, count);
}
