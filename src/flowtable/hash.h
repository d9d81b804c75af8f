/* SPDX-License-Identifier: BSD-2-Clause */
/* hash.h - the keyed hash of a tuple and its scope.
 *
 * FAST folds 64x64-bit products with a random secret per index; where the machine has no 128-bit product it is
 * HalfSipHash-1-3. SIPHASH is SipHash-1-3. Neither is CRC: an attacker who knows the code but not the secret
 * cannot aim tuples at one bucket; should a bucket crowd all the same, the index takes a new secret.
 * The value depends on the machine's byte order and is never stored outside the process.
 */
#ifndef FO_FLOWTABLE_HASH_H
#define FO_FLOWTABLE_HASH_H

#include <stdint.h>
#include <string.h>

/* Kinds beyond the public enum fo_hash. CONSTANT sends every key to one place and exists for tests of the index. */
enum fo__hash_kind { FO__HASH_FAST = 1, FO__HASH_SIPHASH = 2, FO__HASH_CONSTANT = 99 };

struct fo__secret {
	uint64_t word[6];
	uint32_t kind; /* enum fo__hash_kind */
};

/* Fill in a fresh random secret. 0 or -errno. */
int fo__secret_draw(struct fo__secret *secret, uint32_t kind);

uint64_t fo__hash_words_slow(const struct fo__secret *secret, const uint64_t *words, unsigned int count);

static inline uint64_t fo__load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t fo__load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t fo__load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void fo__store16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 fo__u128;

static inline uint64_t fo__fold(uint64_t a, uint64_t b)
{
	fo__u128 product = (fo__u128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}
#endif

/* addresses: source and destination as they lie in the packet; rest: ports, protocol code and scope. */
static inline uint64_t fo__hash_v4(const struct fo__secret *secret, uint64_t addresses, uint64_t rest)
{
#ifdef __SIZEOF_INT128__
	if (__builtin_expect(secret->kind == FO__HASH_FAST, 1)) {
		const uint64_t *k = secret->word;

		return fo__fold(fo__fold(addresses ^ k[0], rest ^ k[1]) ^ k[2], k[3] ^ rest);
	}
#endif
	uint64_t words[2] = {addresses, rest};

	return fo__hash_words_slow(secret, words, 2);
}

/* addresses: the 32 bytes of source and destination. */
static inline uint64_t fo__hash_v6(const struct fo__secret *secret, const uint8_t *addresses, uint64_t rest)
{
	uint64_t words[5] = {fo__load64(addresses), fo__load64(addresses + 8), fo__load64(addresses + 16),
			     fo__load64(addresses + 24), rest};

#ifdef __SIZEOF_INT128__
	if (__builtin_expect(secret->kind == FO__HASH_FAST, 1)) {
		const uint64_t *k = secret->word;
		uint64_t src = fo__fold(words[0] ^ k[0], words[1] ^ k[1]);
		uint64_t dst = fo__fold(words[2] ^ k[2], words[3] ^ k[3]);

		return fo__fold(fo__fold(src ^ k[4], dst ^ k[5]) ^ k[1], rest ^ k[3]);
	}
#endif
	return fo__hash_words_slow(secret, words, 5);
}

#endif
