/* SPDX-License-Identifier: BSD-2-Clause */
/* test_nft.c - the parts of the nft backend that need no kernel: its index of flows, and messages that must fit.
 *
 * What needs nf_flowtable is in tests/nft and runs in the lab.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "backends/nft/nft.h"
#include "backends/nft/state.h"
#include "unit.h"

#define SLOTS 500u
#define STEPS 200000u

static struct fo__nft *open_records(void)
{
	struct fo__nft *nft = calloc(1, sizeof(*nft));

	ck_assert_ptr_nonnull(nft);
	ck_assert_int_eq(fo__nft_records_open(nft, SLOTS), 0);
	return nft;
}

/* Few addresses and ports, so that tuples differ in one field only. */
static void set_tuple(struct fo_tuple *tuple, unsigned int number)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->family = number & 1 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
	tuple->proto = number & 2 ? IPPROTO_TCP : IPPROTO_UDP;
	tuple->src[3] = (uint8_t)(number >> 2 & 7);
	tuple->dst[number & 1 ? 15 : 0] = (uint8_t)(number >> 5 & 7);
	tuple->sport_be = (uint16_t)(number >> 8 & 7);
	tuple->dport_be = (uint16_t)(number >> 11);
}

START_TEST(flows_are_found_by_tuple_and_zone_as_in_a_plain_array)
{
	struct fo__nft *nft = open_records();
	unsigned int have[SLOTS], living = 0;
	uint32_t seed = 1;

	memset(have, 0xff, sizeof(have));
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int number, slot, i;
		struct fo_tuple tuple;
		uint32_t found, want = FO__NFT_NO_SLOT;

		seed = seed * 1664525u + 1013904223u;
		number = seed >> 8 & 0x1fff;
		slot = (seed >> 21) % SLOTS;
		set_tuple(&tuple, number);
		for (i = 0; i < SLOTS; i++)
			if (have[i] == number)
				want = i;
		found = fo__nft_record_by_tuple(nft, &tuple, (uint16_t)(number % 3));
		ck_assert_uint_eq(found, want);
		ck_assert_uint_eq(fo__nft_record_by_tuple(nft, &tuple, 3), FO__NFT_NO_SLOT);
		if (have[slot] != UINT32_MAX) {
			ck_assert_ptr_nonnull(fo__nft_record_find(nft, have[slot] + 1u, slot));
			ck_assert_ptr_null(fo__nft_record_find(nft, have[slot] + 2u, slot));
			fo__nft_record_drop(nft, slot);
			have[slot] = UINT32_MAX;
			living--;
		} else if (want == FO__NFT_NO_SLOT) {
			struct fo__nft_record *record = fo__nft_record_take(nft, slot);

			record->cookie = number + 1;
			record->tuple = tuple;
			record->zone = (uint16_t)(number % 3);
			fo__nft_record_link(nft, slot);
			have[slot] = number;
			living++;
		}
		ck_assert_uint_eq(nft->n_used, living);
	}
	ck_assert_uint_gt(living, 0);
	fo__nft_records_close(nft);
	free(nft);
}
END_TEST

START_TEST(a_cookie_of_nobody_is_not_found)
{
	struct fo__nft *nft = open_records();

	ck_assert_ptr_null(fo__nft_record_find(nft, 1, 0));
	ck_assert_ptr_null(fo__nft_record_find(nft, 0, 0));
	ck_assert_ptr_null(fo__nft_record_find(nft, 1, UINT32_MAX));
	fo__nft_records_close(nft);
	free(nft);
}
END_TEST

/* The refresh writes all policies at once: the most that there can be must fit beside all else. */
START_TEST(the_most_policies_fit_into_a_refresh)
{
	struct fo__nft *nft = calloc(1, sizeof(*nft));
	struct fo__tx tx;
	ssize_t size;

	ck_assert_ptr_nonnull(nft);
	nft->tx = malloc(FO__NFT_TX_ROOM);
	ck_assert_ptr_nonnull(nft->tx);
	memset(nft->table, 'x', sizeof(nft->table) - 1);
	nft->hardware =
		1; /* each rule has a condition more, each device is named twice, and arrivals have rules */
	for (unsigned int i = 0; i < FO__NFT_POLICIES; i++) {
		struct fo_policy *spec = &nft->policies[i].spec;

		nft->policies[i].id = i + 1;
		/* One family and protocol more would be two rules less: the widest has all four, the longest prefixes. */
		spec->src_len = spec->dst_len = 31;
		spec->sport_first = spec->dport_first = 1;
		spec->sport_last = spec->dport_last = 65535;
	}
	fo__nft_batch_begin(nft, &tx);
	fo__nft_put_policies(nft, &tx);
	size = fo__tx_end(&tx);
	ck_assert_int_gt(size, 0);
	/* Devices, sets' rules and the rest. */
	ck_assert_int_lt(size, (ssize_t)(FO__NFT_TX_ROOM - 2 * FO__NFT_DEVICES_MOST * 24 - 8 * 1500 - 1024));
	free(nft->tx);
	free(nft);
}
END_TEST

START_TEST(a_probe_says_what_it_is_also_where_it_cannot_run)
{
	struct fo_table_options options;
	struct fo_port port;
	struct fo_caps caps;
	struct fo_error err;
	int rc;

	FO_INIT(&port);
	port.port = 0x7ffffff0;
	FO_INIT(&options);
	options.backend = "nft";
	options.capacity = 1;
	options.ports = &port;
	options.n_ports = 1;
	FO_INIT(&caps);
	rc = fo_backend_probe("nft", &options, &caps, &err);
	/* No such device, or nothing at all without the rights. */
	ck_assert_int_lt(rc, 0);
	ck_assert_str_ne(err.text, "");
	ck_assert_str_eq(caps.backend, "nft");
	ck_assert(caps.can & FO_CAP_POLICY);
	ck_assert(!(caps.can & FO_CAP_HARDWARE));
	ck_assert_str_ne(caps.text, "");
	options.needs = FO_CAP_HARDWARE;
	ck_assert_int_lt(fo_backend_probe("nft", &options, &caps, &err), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("nft");
	TCase *tc = tcase_create("without a kernel");

	tcase_add_test(tc, flows_are_found_by_tuple_and_zone_as_in_a_plain_array);
	tcase_add_test(tc, a_cookie_of_nobody_is_not_found);
	tcase_add_test(tc, the_most_policies_fit_into_a_refresh);
	tcase_add_test(tc, a_probe_says_what_it_is_also_where_it_cannot_run);
	suite_add_tcase(suite, tc);
	return suite;
}
