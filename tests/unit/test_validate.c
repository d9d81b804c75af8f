/* SPDX-License-Identifier: BSD-2-Clause */
/* test_validate.c - table options, ports, keys and matches: what is taken, what is refused and how.
 *
 * Neighbours: test_validate_adj.c, test_validate_flow.c; patch.h has the tables' rows.
 */
#include <errno.h>
#include <limits.h>

#include "core/validate.h"
#include "patch.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Options ---- */

static struct fo_port two_ports[2];

static void *any_alloc(void *ctx, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	return NULL;
}

static void any_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)ptr;
	(void)size;
}

static struct fo_table_options good_options(void)
{
	struct fo_table_options opts;

	FO_INIT(&two_ports[0]);
	FO_INIT(&two_ports[1]);
	two_ports[0].port = 1;
	two_ports[1].port = 7;
	FO_INIT(&opts);
	opts.capacity = 1000;
	opts.ports = two_ports;
	opts.n_ports = 2;
	return opts;
}

START_TEST(options_get_their_defaults)
{
	struct fo_table_options in = good_options(), out;

	ck_assert_int_eq(fo__check_options(&in, &out, NULL), 0);
	ck_assert_uint_eq(out.timeout_tcp_ms, FO_TIMEOUT_DEFAULT_MS);
	ck_assert_uint_eq(out.timeout_udp_ms, FO_TIMEOUT_DEFAULT_MS);
	ck_assert_uint_eq(out.timeout_icmp_ms, FO_TIMEOUT_DEFAULT_MS);
	ck_assert_uint_eq(out.stall_ms, 1000);
	ck_assert_uint_eq(out.hash, FO_HASH_FAST);
	ck_assert_int_eq(out.netns_fd, -1);
	ck_assert_uint_eq(out.port_stride, sizeof(struct fo_port));
	ck_assert_uint_eq(out.capacity, 1000);
	ck_assert_ptr_eq(out.ports, two_ports);
}
END_TEST

START_TEST(options_that_are_stated_stay)
{
	static const struct fo_allocator allocator = {any_alloc, any_free, NULL};
	struct fo_table_options in = good_options(), out;

	in.backend = "npu";
	in.needs = FO__CAP_ALL;
	in.capacity = FO__CAPACITY_MAX;
	in.max_workers = 250;
	in.timeout_tcp_ms = 1;
	in.timeout_udp_ms = FO_TIMEOUT_NEVER;
	in.timeout_icmp_ms = 3;
	in.hash = FO_HASH_SIPHASH;
	in.allocator = &allocator;
	in.netns_fd = 5;
	in.flags = 31;
	in.stall_ms = 7;
	in.port_stride = sizeof(struct fo_port);
	ck_assert_int_eq(fo__check_options(&in, &out, NULL), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

#define OPT(member, number) SET(struct fo_table_options, member, number)

static const struct refusal bad_options[] = {
	{{OPT(capacity, 0)}, -EINVAL, FO_R_ARGUMENT, "capacity"},
	{{OPT(capacity, FO__CAPACITY_MAX + 1)}, -EINVAL, FO_R_ARGUMENT, "capacity"},
	{{OPT(max_workers, 251)}, -EINVAL, FO_R_ARGUMENT, "max_workers"},
	{{OPT(needs, UINT64_C(1) << FO_CAP_COUNT)}, -EINVAL, FO_R_ARGUMENT, "needs"},
	{{OPT(needs, UINT64_C(1) << 63)}, -EINVAL, FO_R_ARGUMENT, "needs"},
	{{OPT(hash, 3)}, -EINVAL, FO_R_ARGUMENT, "hash"},
	{{OPT(flags, 32)}, -EINVAL, FO_R_ARGUMENT, "flags"},
	{{OPT(netns_fd, (uint32_t)-2)}, -EINVAL, FO_R_ARGUMENT, "netns_fd"},
	{{OPT(reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
	{{OPT(ports, 0)}, -EINVAL, FO_R_ARGUMENT, "ports"},
	{{OPT(n_ports, 0)}, -EINVAL, FO_R_ARGUMENT, "n_ports"},
	{{OPT(n_ports, 4097)}, -EINVAL, FO_R_ARGUMENT, "n_ports"},
	{{OPT(n_ports, SIZE_MAX)}, -EINVAL, FO_R_ARGUMENT, "n_ports"},
	{{OPT(port_stride, 1)}, -EINVAL, FO_R_SIZE, "port_stride"},
	{{OPT(port_stride, sizeof(struct fo_port) - 1)}, -EINVAL, FO_R_SIZE, "port_stride"},
	{{OPT(port_stride, SIZE_MAX)}, -EINVAL, FO_R_SIZE, "port_stride"},
	{{OPT(size, 0)}, -EINVAL, FO_R_SIZE, "size"},
	{{OPT(size, sizeof(size_t))}, -EINVAL, FO_R_SIZE, "size"},
	{{OPT(size, SIZE_MAX)}, -EINVAL, FO_R_SIZE, "size"},
};

START_TEST(options_that_are_wrong_are_refused)
{
	const struct refusal *bad = &bad_options[_i];
	struct fo_table_options in = good_options(), out, untouched;
	struct fo_error err;

	patch_apply(&in, &bad->patch[0]);
	memset(&out, 0xa5, sizeof(out));
	untouched = out;
	expect_error(&err, fo__check_options(&in, &out, &err), bad->code, bad->reason, bad->field);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
	ck_assert_int_eq(fo__check_options(&in, &out, NULL), bad->code);
}
END_TEST

START_TEST(options_null_and_half_allocators_are_refused)
{
	static const struct fo_allocator halves[] = {{any_alloc, NULL, NULL}, {NULL, any_free, NULL}};
	struct fo_table_options in = good_options(), out;
	struct fo_error err;
	size_t i;

	expect_error(&err, fo__check_options(NULL, &out, &err), -EINVAL, FO_R_ARGUMENT, "opts");
	for (i = 0; i < COUNT(halves); i++) {
		in.allocator = &halves[i];
		expect_error(&err, fo__check_options(&in, &out, &err), -EINVAL, FO_R_ARGUMENT, "allocator");
	}
}
END_TEST

START_TEST(options_of_an_older_header_are_read)
{
	struct fo_table_options in = good_options(), out;

	in.timeout_tcp_ms = 5;
	in.reserved = 1; /* beyond the older struct: not to be read */
	in.size = offsetof(struct fo_table_options, port_stride);
	ck_assert_int_eq(fo__check_options(&in, &out, NULL), 0);
	ck_assert_uint_eq(out.timeout_tcp_ms, FO_TIMEOUT_DEFAULT_MS);
	ck_assert_uint_eq(out.size, sizeof(out));
}
END_TEST

static const struct {
	size_t index;
	struct patch patch;
	unsigned int reason;
	const char *field;
} bad_ports[] = {
	{0, SET(struct fo_port, port, 0), FO_R_ARGUMENT, "ports[0].port"},
	{1, SET(struct fo_port, port, 0), FO_R_ARGUMENT, "ports[1].port"},
	{1, SET(struct fo_port, port, FO_PORT_ANY), FO_R_ARGUMENT, "ports[1].port"},
	{1, SET(struct fo_port, state, 3), FO_R_ARGUMENT, "ports[1].state"},
	{1, SET(struct fo_port, size, 3), FO_R_SIZE, "ports[1].size"},
	{1, SET(struct fo_port, size, 4096), FO_R_SIZE, "port_stride"},
	{1, SET(struct fo_port, port, 1), FO_R_ARGUMENT, "ports"},
};

START_TEST(options_with_a_bad_port_name_it)
{
	struct fo_table_options in = good_options(), out;
	struct fo_error err;

	patch_apply(&two_ports[bad_ports[_i].index], &bad_ports[_i].patch);
	expect_error(&err, fo__check_options(&in, &out, &err), -EINVAL, bad_ports[_i].reason,
		     bad_ports[_i].field);
}
END_TEST

/* A newer program's larger elements, an odd number of bytes apart so that none after the first is aligned. */
START_TEST(options_read_ports_by_the_callers_stride)
{
	enum { STRIDE = 2 * sizeof(struct fo_port) + 1, N = 5 };
	unsigned char memory[STRIDE * N] = {0};
	struct fo_table_options in = good_options(), out;
	struct fo_port port;
	struct fo_error err;
	size_t i, size = 2 * sizeof(struct fo_port);

	for (i = 0; i < N; i++) {
		FO_INIT(&port);
		port.port = (uint32_t)(100 + i);
		port.state = (uint32_t)(i % 3);
		memcpy(memory + i * STRIDE, &port, sizeof(port));
		memcpy(memory + i * STRIDE, &size, sizeof(size));
	}
	in.ports = (const struct fo_port *)(const void *)memory;
	in.n_ports = N;
	in.port_stride = STRIDE;
	ck_assert_int_eq(fo__check_options(&in, &out, NULL), 0);
	for (i = 0; i < N; i++) {
		fo__options_port(&out, i, &port);
		ck_assert_uint_eq(port.size, sizeof(port));
		ck_assert_uint_eq(port.port, 100 + i);
		ck_assert_uint_eq(port.state, i % 3);
	}
	memory[3 * STRIDE + sizeof(port)] = 1;
	expect_error(&err, fo__check_options(&in, &out, &err), -EINVAL, FO_R_SIZE, "ports[3].size");
}
END_TEST

START_TEST(port_is_checked_alone)
{
	struct fo_port in, out;
	struct fo_error err;

	FO_INIT(&in);
	in.port = 9;
	in.state = FO_PORT_GONE;
	ck_assert_int_eq(fo__check_port(&in, &out, NULL), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	in.state = 3;
	expect_error(&err, fo__check_port(&in, &out, &err), -EINVAL, FO_R_ARGUMENT, "state");
	in.state = UINT32_MAX;
	expect_error(&err, fo__check_port(&in, &out, &err), -EINVAL, FO_R_ARGUMENT, "state");
	in.state = 0;
	in.port = 0;
	expect_error(&err, fo__check_port(&in, &out, &err), -EINVAL, FO_R_ARGUMENT, "port");
	expect_error(&err, fo__check_port(NULL, &out, &err), -EINVAL, FO_R_ARGUMENT, "port");
}
END_TEST

START_TEST(options_imply_needs)
{
	struct fo_table_options opts = good_options();

	ck_assert(fo__options_needs(&opts) == 0);
	opts.netns_fd = -1;
	opts.needs = FO_CAP_TCP;
	ck_assert(fo__options_needs(&opts) == FO_CAP_TCP);
	opts.flags = FO_TABLE_PERSIST;
	opts.netns_fd = 3;
	ck_assert(fo__options_needs(&opts) == (FO_CAP_TCP | FO_CAP_PERSIST | FO_CAP_NETNS));
}
END_TEST

/* ---- Keys ---- */

static struct fo_key good_key(void)
{
	struct fo_key key;

	FO_INIT(&key);
	key.tuple.family = FO_FAMILY_IPV4;
	key.tuple.proto = 6;
	key.tuple.src[0] = 10;
	key.tuple.dst[0] = 11;
	key.port = 4;
	return key;
}

#define KEY(member, number) SET(struct fo_key, member, number)

static const struct refusal bad_keys[] = {
	{{KEY(tuple.family, 0)}, -EINVAL, FO_R_TUPLE, "tuple.family"},
	{{KEY(tuple.family, 2)}, -EINVAL, FO_R_TUPLE, "tuple.family"},
	{{KEY(tuple.src[4], 1)}, -EINVAL, FO_R_TUPLE, "tuple.src"},
	{{KEY(tuple.dst[15], 1)}, -EINVAL, FO_R_TUPLE, "tuple.dst"},
	{{KEY(tuple.reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "tuple.reserved"},
	{{KEY(port, 0)}, -EINVAL, FO_R_ARGUMENT, "port"},
	{{KEY(n_encaps, 4)}, -EINVAL, FO_R_ENCAP_KIND, "n_encaps"},
	{{KEY(n_encaps, 1)}, -EINVAL, FO_R_ENCAP_KIND, "encap[0].kind"},
	{{KEY(n_encaps, 1), KEY(encap[0].kind, FO_ENCAP_GRE)}, -EINVAL, FO_R_ENCAP_KIND, "encap[0].kind"},
	{{KEY(encap[1].id, 1)}, -EINVAL, FO_R_ENCAP_KIND, "encap[1].kind"},
	{{KEY(reserved[0], 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
	{{KEY(reserved[1], 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
	{{KEY(reserved[2], 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
	{{KEY(size, 8)}, -EINVAL, FO_R_SIZE, "size"},
};

START_TEST(key_that_is_none_is_refused)
{
	const struct refusal *bad = &bad_keys[_i];
	struct fo_key in = good_key(), out, untouched;
	struct fo_error err;
	size_t i;

	for (i = 0; i < COUNT(bad->patch); i++)
		patch_apply(&in, &bad->patch[i]);
	memset(&out, 0xa5, sizeof(out));
	untouched = out;
	expect_error(&err, fo__check_key(&in, &out, &err), bad->code, bad->reason, bad->field);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
}
END_TEST

START_TEST(key_may_be_of_a_packet_that_is_never_offloaded)
{
	static const struct patch odd[][2] = {
		{KEY(tuple.proto, 132)},  {KEY(tuple.proto, 0)},
		{KEY(tuple.src[0], 224)}, {KEY(tuple.dst[0], 0)},
		{KEY(tuple.dst[0], 10)},  {KEY(port, FO_PORT_ANY)},
		{KEY(scope, 65535)},	  {KEY(tuple.family, 6), KEY(tuple.src[15], 1)},
		{KEY(tuple.dport_be, 0)},
	};
	struct fo_error err;
	size_t i, j;

	for (i = 0; i < COUNT(odd); i++) {
		struct fo_key in = good_key(), out;

		for (j = 0; j < 2; j++)
			patch_apply(&in, &odd[i][j]);
		ck_assert_msg(fo__check_key(&in, &out, &err) == 0, "%zu: %s", i, err.text);
		ck_assert_mem_eq(&in, &out, sizeof(in));
	}
	ck_assert_int_eq(fo__check_key(NULL, &(struct fo_key){0}, &err), -EINVAL);
	ck_assert_str_eq(err.field, "key");
}
END_TEST

/* ---- Matches ---- */

static struct fo_match good_match(void)
{
	struct fo_match match;

	FO_INIT(&match);
	match.mask = 0x1ff;
	match.port = 1;
	match.l3_dev = 2;
	match.mac[5] = 3;
	match.family = FO_FAMILY_IPV4;
	match.state = FO_STATE_ACTIVE;
	match.adj = 5;
	return match;
}

#define MATCH(member, number) SET(struct fo_match, member, number)

static const struct refusal bad_matches[] = {
	{{MATCH(mask, 0x200)}, -EINVAL, FO_R_ARGUMENT, "mask"},
	{{MATCH(mask, UINT32_MAX)}, -EINVAL, FO_R_ARGUMENT, "mask"},
	{{MATCH(port, 0)}, -EINVAL, FO_R_ARGUMENT, "port"},
	{{MATCH(port, FO_PORT_ANY)}, -EINVAL, FO_R_ARGUMENT, "port"},
	{{MATCH(l3_dev, 0)}, -EINVAL, FO_R_ARGUMENT, "l3_dev"},
	{{MATCH(mac[5], 0)}, -EINVAL, FO_R_ARGUMENT, "mac"},
	{{MATCH(family, 0)}, -EINVAL, FO_R_ARGUMENT, "family"},
	{{MATCH(family, 10)}, -EINVAL, FO_R_ARGUMENT, "family"},
	{{MATCH(prefix_len, 33)}, -EINVAL, FO_R_ARGUMENT, "prefix_len"},
	{{MATCH(family, 6), MATCH(prefix_len, 129)}, -EINVAL, FO_R_ARGUMENT, "prefix_len"},
	{{MATCH(state, 0)}, -EINVAL, FO_R_ARGUMENT, "state"},
	{{MATCH(state, 6)}, -EINVAL, FO_R_ARGUMENT, "state"},
	{{MATCH(adj, 0)}, -EINVAL, FO_R_ADJACENCY, "adj"},
	{{MATCH(reserved, 1)}, -EINVAL, FO_R_ARGUMENT, "reserved"},
	{{MATCH(size, 0)}, -EINVAL, FO_R_SIZE, "size"},
};

START_TEST(match_that_matches_nothing_is_refused)
{
	const struct refusal *bad = &bad_matches[_i];
	struct fo_match in = good_match(), out, untouched;
	struct fo_error err;
	size_t i;

	for (i = 0; i < COUNT(bad->patch); i++)
		patch_apply(&in, &bad->patch[i]);
	memset(&out, 0xa5, sizeof(out));
	untouched = out;
	expect_error(&err, fo__check_match(&in, &out, true, &err), bad->code, bad->reason, bad->field);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
}
END_TEST

START_TEST(match_members_outside_the_mask_are_not_looked_at)
{
	struct fo_match in, out;

	memset(&in, 0, sizeof(in));
	in.size = sizeof(in);
	in.family = 99;
	in.prefix_len = 200;
	in.state = 77;
	ck_assert_int_eq(fo__check_match(&in, &out, false, NULL), 0);
	ck_assert_uint_eq(out.mask, 0);
	memset(&out, 0xa5, sizeof(out));
	ck_assert_int_eq(fo__check_match(NULL, &out, false, NULL), 0);
	memset(&in, 0, sizeof(in));
	in.size = sizeof(in);
	ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

START_TEST(match_by_state_is_for_walks)
{
	struct fo_match in = good_match(), out;
	struct fo_error err;

	ck_assert_int_eq(fo__check_match(&in, &out, true, &err), 0);
	expect_error(&err, fo__check_match(&in, &out, false, &err), -EINVAL, FO_R_ARGUMENT, "mask");
	in.mask &= ~FO_MATCH_STATE;
	ck_assert_int_eq(fo__check_match(&in, &out, false, &err), 0);
}
END_TEST

START_TEST(match_prefixes_lose_their_host_bits)
{
	unsigned int family, length, bit;

	for (family = 4; family <= 6; family += 2) {
		for (length = 0; length <= (family == 4 ? 32u : 128u); length++) {
			struct fo_match in = good_match(), out;

			in.family = (uint8_t)family;
			in.prefix_len = (uint8_t)length;
			memset(in.prefix, 0xff, sizeof(in.prefix));
			ck_assert_int_eq(fo__check_match(&in, &out, true, NULL), 0);
			for (bit = 0; bit < 128; bit++)
				ck_assert_uint_eq(out.prefix[bit / 8] >> (7 - bit % 8) & 1, bit < length);
		}
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("validate");
	TCase *options = tcase_create("options");
	TCase *others = tcase_create("keys and matches");

	tcase_add_test(options, options_get_their_defaults);
	tcase_add_test(options, options_that_are_stated_stay);
	tcase_add_loop_test(options, options_that_are_wrong_are_refused, 0, (int)COUNT(bad_options));
	tcase_add_test(options, options_null_and_half_allocators_are_refused);
	tcase_add_test(options, options_of_an_older_header_are_read);
	tcase_add_loop_test(options, options_with_a_bad_port_name_it, 0, (int)COUNT(bad_ports));
	tcase_add_test(options, options_read_ports_by_the_callers_stride);
	tcase_add_test(options, port_is_checked_alone);
	tcase_add_test(options, options_imply_needs);
	suite_add_tcase(suite, options);
	tcase_add_loop_test(others, key_that_is_none_is_refused, 0, (int)COUNT(bad_keys));
	tcase_add_test(others, key_may_be_of_a_packet_that_is_never_offloaded);
	tcase_add_loop_test(others, match_that_matches_nothing_is_refused, 0, (int)COUNT(bad_matches));
	tcase_add_test(others, match_members_outside_the_mask_are_not_looked_at);
	tcase_add_test(others, match_by_state_is_for_walks);
	tcase_add_test(others, match_prefixes_lose_their_host_bits);
	suite_add_tcase(suite, others);
	return suite;
}
