/* SPDX-License-Identifier: BSD-2-Clause */
/* test_hash.c - the keyed hashes: SipHash-1-3 against a second implementation and published values, the fast one
 * for its spread. Every secret is fixed, so that a verdict never depends on luck.
 *
 * Neighbours: test_index.c uses hashes, whatever they are.
 */
#include <check.h>

#include "flowtable/index.h"
#include "store_fixture.h"
#include "unit.h"

/* ---- SipHash-c-d byte by byte, as the paper describes it ---- */

static uint64_t left(uint64_t v, unsigned int n)
{
	return v << n | v >> (64 - n);
}

static void sip(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, unsigned int rounds)
{
	while (rounds--) {
		*a += *b;
		*b = left(*b, 13);
		*b ^= *a;
		*a = left(*a, 32);
		*c += *d;
		*d = left(*d, 16);
		*d ^= *c;
		*a += *d;
		*d = left(*d, 21);
		*d ^= *a;
		*c += *b;
		*b = left(*b, 17);
		*b ^= *c;
		*c = left(*c, 32);
	}
}

static uint64_t little(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint64_t reference(const uint8_t key[16], const uint8_t *in, size_t n, unsigned int c, unsigned int d)
{
	uint64_t k0 = little(key, 8), k1 = little(key + 8, 8);
	uint64_t v0 = k0 ^ UINT64_C(0x736f6d6570736575), v1 = k1 ^ UINT64_C(0x646f72616e646f6d);
	uint64_t v2 = k0 ^ UINT64_C(0x6c7967656e657261), v3 = k1 ^ UINT64_C(0x7465646279746573);
	size_t at;

	for (at = 0; at + 8 <= n; at += 8) {
		v3 ^= little(in + at, 8);
		sip(&v0, &v1, &v2, &v3, c);
		v0 ^= little(in + at, 8);
	}
	v3 ^= little(in + at, n - at) | (uint64_t)n << 56;
	sip(&v0, &v1, &v2, &v3, c);
	v0 ^= little(in + at, n - at) | (uint64_t)n << 56;
	v2 ^= 0xff;
	sip(&v0, &v1, &v2, &v3, d);
	return v0 ^ v1 ^ v2 ^ v3;
}

static const uint8_t counting[64] = {0,	 1,  2,	 3,  4,	 5,  6,	 7,  8,	 9,  10, 11, 12, 13, 14, 15,
				     16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
				     32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
				     48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

/* The reference is right: the value of the paper's appendix A (2-4), and the published ones of 1-3. */
START_TEST(reference_gives_the_published_values)
{
	ck_assert_uint_eq(reference(counting, counting, 15, 2, 4), UINT64_C(0xa129ca6149be45e5));
	ck_assert_uint_eq(reference(counting, counting, 0, 1, 3), UINT64_C(0xabac0158050fc4dc));
}
END_TEST

START_TEST(siphash_agrees_with_the_reference)
{
	struct fo__secret secret = {.kind = FO__HASH_SIPHASH};
	struct draw draw = {.state = 11};

	for (unsigned int round = 0; round < 2000; round++) {
		uint64_t words[5];
		uint8_t key[16], bytes[40];
		unsigned int count = round % 6;

		for (unsigned int i = 0; i < 2; i++)
			secret.word[i] = draw_next(&draw);
		for (unsigned int i = 0; i < 5; i++)
			words[i] = draw_next(&draw);
		for (unsigned int i = 0; i < 16; i++)
			key[i] = (uint8_t)(secret.word[i / 8] >> (i % 8 * 8));
		for (unsigned int i = 0; i < 40; i++)
			bytes[i] = (uint8_t)(words[i / 8] >> (i % 8 * 8));
		ck_assert_uint_eq(fo__hash_words_slow(&secret, words, count),
				  reference(key, bytes, count * 8, 1, 3));
	}
}
END_TEST

START_TEST(siphash_is_what_keys_of_both_families_use)
{
	struct fo__secret secret = {.word = {1, 2, 3, 4, 5, 6}, .kind = FO__HASH_SIPHASH};
	uint64_t v4[2] = {fo__load64(counting), 77}, v6[5];

	for (unsigned int i = 0; i < 4; i++)
		v6[i] = fo__load64(counting + 8 * i);
	v6[4] = 78;
	ck_assert_uint_eq(fo__hash_v4(&secret, v4[0], 77), fo__hash_words_slow(&secret, v4, 2));
	ck_assert_uint_eq(fo__hash_v6(&secret, counting, 78), fo__hash_words_slow(&secret, v6, 5));
}
END_TEST

START_TEST(constant_hash_is_constant)
{
	struct fo__secret secret = {.kind = FO__HASH_CONSTANT};

	ck_assert_uint_eq(fo__hash_v4(&secret, 1, 2), fo__hash_v4(&secret, 3, 4));
	ck_assert_uint_eq(fo__hash_v6(&secret, counting, 2), fo__hash_v4(&secret, 3, 4));
}
END_TEST

START_TEST(two_secrets_differ_in_every_word)
{
	struct fo__secret one, two;

	ck_assert_int_eq(fo__secret_draw(&one, FO__HASH_FAST), 0);
	ck_assert_int_eq(fo__secret_draw(&two, FO__HASH_FAST), 0);
	for (unsigned int i = 0; i < 6; i++)
		ck_assert_uint_ne(one.word[i], two.word[i]);
	ck_assert_uint_eq(one.kind, FO__HASH_FAST);
}
END_TEST

/* ---- spread ---- */

static const struct fo__secret fixed[2] = {
	{.word = {UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344), UINT64_C(0xa4093822299f31d0),
		  UINT64_C(0x082efa98ec4e6c89), UINT64_C(0x452821e638d01377), UINT64_C(0xbe5466cf34e90c6c)},
	 .kind = FO__HASH_FAST},
	{.word = {UINT64_C(0xc0ac29b7c97c50dd), UINT64_C(0x3f84d5b5b5470917), UINT64_C(0x9216d5d98979fb1b),
		  UINT64_C(0xd1310ba698dfb5ac), UINT64_C(0x2ffd72dbd01adfb7), UINT64_C(0xb8e1afed6a267e96)},
	 .kind = FO__HASH_SIPHASH},
};

/* Keys as networks have them: one server, consecutive clients and ports. */
static uint64_t ordinary(const struct fo__secret *secret, int v6, uint32_t i)
{
	struct fo__key key = {.ports = 0xbb010000u | (i & 0x3fff), .code = 6};
	uint8_t addresses[32] = {0x20, 1, 0x0d, 0xb8, [15] = 1, [16] = 0x20, 1, 0x0d, 0xb8, [31] = 2};

	if (v6) {
		addresses[14] = (uint8_t)(i >> 14);
		key.code |= FO__CODE_V6;
		key.address6 = addresses;
	} else {
		key.address4 = UINT64_C(0x0a00000100000000) | (0xc0a80000u + (i >> 14));
	}
	return fo__key_hash(&key, secret);
}

#define KEYS  65536u
#define CELLS 4096u

/* Chi-squared of a uniform spread over n cells has mean n and deviation sqrt(2n) = 90: 5000 is ten of them off. */
static double chi_squared(const uint32_t *cell)
{
	double expected = (double)KEYS / CELLS, sum = 0;

	for (unsigned int i = 0; i < CELLS; i++)
		sum += (cell[i] - expected) * (cell[i] - expected) / expected;
	return sum;
}

START_TEST(ordinary_keys_spread_over_buckets_tags_and_hints)
{
	static uint32_t home[CELLS], second[CELLS], tag[CELLS], hint[16];
	unsigned int kind = (unsigned int)_i / 2, v6 = _i % 2;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t hash = ordinary(&fixed[kind], (int)v6, i);

		home[fo__index_home(CELLS, hash)]++;
		second[fo__index_second(CELLS, hash)]++;
		tag[fo__index_tag(hash) % CELLS]++;
		hint[__builtin_ctz(fo__index_hint(hash))]++;
		HOLDS(fo__index_tag(hash));
		HOLDS(fo__index_home(CELLS, hash) != fo__index_second(CELLS, hash));
	}
	ck_assert_double_lt(chi_squared(home), 5000);
	ck_assert_double_lt(chi_squared(second), 5000);
	ck_assert_double_lt(chi_squared(tag), 5000);
	for (unsigned int i = 0; i < 16; i++)
		ck_assert(hint[i] > KEYS / 16 * 9 / 10 && hint[i] < KEYS / 16 * 11 / 10);
}
END_TEST

/* Keys of one home bucket scatter over second buckets: a crowd in one does not become a crowd in another. */
START_TEST(keys_of_one_home_have_many_second_buckets)
{
	static uint8_t seen[64][64];
	unsigned int pairs = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t hash = ordinary(&fixed[_i], 0, i);
		uint8_t *at = &seen[fo__index_home(64, hash)][fo__index_second(64, hash)];

		pairs += !*at;
		*at = 1;
	}
	ck_assert_uint_gt(pairs, 64 * 63 * 95 / 100);
}
END_TEST

/* Each single bit of a key changes half of the hash, give or take. */
static void check_avalanche(const struct fo__secret *secret, unsigned int v6)
{
	unsigned int bits = v6 ? 256 : 64;

	for (unsigned int bit = 0; bit < bits + 56; bit++) {
		struct draw draw = {.state = 5};
		unsigned int changed = 0;

		for (unsigned int i = 0; i < 256; i++) {
			uint64_t words[4], rest = draw_next(&draw) >> 8, before, after;

			for (unsigned int w = 0; w < 4; w++)
				words[w] = draw_next(&draw);
			before = v6 ? fo__hash_v6(secret, (uint8_t *)words, rest)
				    : fo__hash_v4(secret, words[0], rest);
			if (bit < bits)
				words[bit / 64] ^= UINT64_C(1) << bit % 64;
			else
				rest ^= UINT64_C(1) << (bit - bits);
			after = v6 ? fo__hash_v6(secret, (uint8_t *)words, rest)
				   : fo__hash_v4(secret, words[0], rest);
			changed += (unsigned int)__builtin_popcountll(before ^ after);
		}
		/* mean 32 of 64 bits over 256 samples: the deviation of the sum is 64 */
		ck_assert_msg(changed > 256 * 32 - 800 && changed < 256 * 32 + 800,
			      "kind %u v6 %u bit %u: %u", secret->kind, v6, bit, changed);
	}
}

START_TEST(every_bit_of_a_key_matters)
{
	check_avalanche(&fixed[_i / 2], (unsigned int)_i % 2);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("hash");
	TCase *cases = tcase_create("hash");

	tcase_add_test(cases, reference_gives_the_published_values);
	tcase_add_test(cases, siphash_agrees_with_the_reference);
	tcase_add_test(cases, siphash_is_what_keys_of_both_families_use);
	tcase_add_test(cases, constant_hash_is_constant);
	tcase_add_test(cases, two_secrets_differ_in_every_word);
	tcase_add_loop_test(cases, ordinary_keys_spread_over_buckets_tags_and_hints, 0, 4);
	tcase_add_loop_test(cases, keys_of_one_home_have_many_second_buckets, 0, 2);
	tcase_add_loop_test(cases, every_bit_of_a_key_matters, 0, 4);
	suite_add_tcase(suite, cases);
	return suite;
}
