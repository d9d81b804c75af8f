/* SPDX-License-Identifier: BSD-2-Clause */
/* test_error.c - errors are whole, names are complete and stable, sizes of other headers are read right. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/size.h"
#include "unit.h"

START_TEST(fail_fills_every_member_and_returns_the_code)
{
	struct fo_error err;

	memset(&err, 0xa5, sizeof(err));
	ck_assert_int_eq(fo__fail(&err, -ENOSPC, FO_R_FULL, FO_STAGE_INSTALL, "capacity", "all %d taken", 7),
			 -ENOSPC);
	ck_assert_int_eq(err.code, -ENOSPC);
	ck_assert_int_eq(err.reason, FO_R_FULL);
	ck_assert_int_eq(err.stage, FO_STAGE_INSTALL);
	ck_assert_int_eq(err.backend_errno, 0);
	ck_assert_str_eq(err.field, "capacity");
	ck_assert_str_eq(err.text, "all 7 taken");
}
END_TEST

START_TEST(fail_accepts_no_error_struct_and_no_field)
{
	struct fo_error err;

	ck_assert_int_eq(fo__fail(NULL, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "x", "%s", "y"), -EINVAL);
	ck_assert_int_eq(fo__fail_backend(NULL, -EIO, FO_R_BACKEND, FO_STAGE_AGE, 5, NULL, "z"), -EIO);
	memset(&err, 0xa5, sizeof(err));
	ck_assert_int_eq(fo__fail(&err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, NULL, "text"), -EINVAL);
	ck_assert_str_eq(err.field, "");
}
END_TEST

START_TEST(fail_backend_keeps_the_backends_errno)
{
	struct fo_error err;

	ck_assert_int_eq(fo__fail_backend(&err, -EIO, FO_R_BACKEND, FO_STAGE_VERIFY, ENOBUFS, "f", "t"),
			 -EIO);
	ck_assert_int_eq(err.backend_errno, ENOBUFS);
	ck_assert_int_eq(err.stage, FO_STAGE_VERIFY);
	ck_assert_str_eq(err.field, "f");
	ck_assert_str_eq(err.text, "t");
}
END_TEST

START_TEST(fail_cuts_what_does_not_fit)
{
	struct fo_error err[2];
	char longer[1000];

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	memset(err, 0xa5, sizeof(err));
	fo__fail(&err[0], -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, longer, "%s", longer);
	ck_assert_uint_eq(strlen(err[0].field), sizeof(err[0].field) - 1);
	ck_assert_uint_eq(strlen(err[0].text), sizeof(err[0].text) - 1);
	ck_assert_int_eq(((unsigned char *)&err[1])[0], 0xa5);
}
END_TEST

START_TEST(fail_may_quote_the_error_it_replaces)
{
	struct fo_error err;

	fo__fail(&err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "inner", "the inner cause");
	fo__fail(&err, -EIO, FO_R_BACKEND, FO_STAGE_INSTALL, err.field, "outer: %s", err.text);
	ck_assert_str_eq(err.field, "inner");
	ck_assert_str_eq(err.text, "outer: the inner cause");
}
END_TEST

/* Lower case words joined by hyphens, as JSON output and scripts rely on. */
static void expect_name(const char *name)
{
	size_t i;

	ck_assert_msg(islower((unsigned char)name[0]), "name \"%s\"", name);
	for (i = 0; name[i]; i++)
		ck_assert_msg(islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]) ||
				      (name[i] == '-' && name[i + 1]),
			      "name \"%s\"", name);
}

static bool reason_defined(unsigned int reason)
{
	return reason <= FO_R_TABLE_GONE || (reason >= FO_R_ARGUMENT && reason <= FO_R_NOT_IN_HARDWARE);
}

START_TEST(every_reason_has_a_name_and_a_text_of_its_own)
{
	unsigned int i, j;

	for (i = 0; i < FO_R_MAX; i++) {
		if (!reason_defined(i)) {
			ck_assert_str_eq(fo_reason_name(i), "unknown");
			continue;
		}
		expect_name(fo_reason_name(i));
		ck_assert_uint_gt(strlen(fo_reason_text(i)), 12);
		for (j = 0; j < i; j++) {
			ck_assert_str_ne(fo_reason_name(i), fo_reason_name(j));
			ck_assert_str_ne(fo_reason_text(i), fo_reason_text(j));
		}
		ck_assert_str_ne(fo_reason_name(i), "unknown");
	}
}
END_TEST

START_TEST(every_capability_has_a_name_of_its_own)
{
	unsigned int i, j;

	for (i = 0; i < FO_CAP_COUNT; i++) {
		expect_name(fo_cap_name(i));
		ck_assert_str_ne(fo_cap_name(i), "unknown");
		for (j = 0; j < i; j++)
			ck_assert_str_ne(fo_cap_name(i), fo_cap_name(j));
	}
}
END_TEST

START_TEST(capability_names_stand_at_their_bits)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} known[] = {
		{FO_CAP_IPV4, "ipv4"},
		{FO_CAP_IPV6, "ipv6"},
		{FO_CAP_TCP, "tcp"},
		{FO_CAP_UDP, "udp"},
		{FO_CAP_ICMP_ECHO, "icmp-echo"},
		{FO_CAP_SNAT, "snat"},
		{FO_CAP_DNAT, "dnat"},
		{FO_CAP_PORT_NAT, "port-nat"},
		{FO_CAP_NAT66, "nat66"},
		{FO_CAP_VLAN, "vlan"},
		{FO_CAP_QINQ, "qinq"},
		{FO_CAP_PPPOE, "pppoe"},
		{FO_CAP_DSCP, "dscp"},
		{FO_CAP_SCOPE, "scope"},
		{FO_CAP_INGRESS, "ingress"},
		{FO_CAP_ANY_INGRESS, "any-ingress"},
		{FO_CAP_ADJ_UPDATE, "adj-update"},
		{FO_CAP_FLOW_UPDATE, "flow-update"},
		{FO_CAP_WORKER, "worker"},
		{FO_CAP_HARDWARE, "hardware"},
		{FO_CAP_POLICY, "policy"},
		{FO_CAP_PERSIST, "persist"},
		{FO_CAP_PUNT_SYN, "punt-syn"},
		{FO_CAP_PUNT_FIN, "punt-fin"},
		{FO_CAP_PUNT_RST, "punt-rst"},
		{FO_CAP_PUNT_MAC, "punt-mac"},
		{FO_CAP_CRASH_GONE, "crash-gone"},
		{FO_CAP_CRASH_LEASE, "crash-lease"},
		{FO_CAP_CRASH_LINGERS, "crash-lingers"},
		{FO_CAP_DELETE_KEEPS_CT, "delete-keeps-ct"},
		{FO_CAP_GUARDS_VERIFIED, "guards-verified"},
		{FO_CAP_EGRESS_QDISC, "egress-qdisc"},
		{FO_CAP_INGRESS_TC, "ingress-tc"},
		{FO_CAP_COUNTERS_FAST, "counters-fast"},
		{FO_CAP_NETNS, "netns"},
		{FO_CAP_PER_FLOW_TIMEOUT, "per-flow-timeout"},
		{FO_CAP_ASYNC_ADD, "async-add"},
		{FO_CAP_CALLER_NEIGH, "caller-neigh"},
		{FO_CAP_BLOCKING_ADD, "blocking-add"},
		{FO_CAP_VLAN_AD, "vlan-ad"},
	};
	unsigned int i;

	ck_assert_uint_eq(sizeof(known) / sizeof(known[0]), FO_CAP_COUNT);
	for (i = 0; i < FO_CAP_COUNT; i++) {
		ck_assert(known[i].bit == UINT64_C(1) << i);
		ck_assert_str_eq(fo_cap_name(i), known[i].name);
	}
}
END_TEST

START_TEST(stages_states_and_events_have_their_names)
{
	ck_assert_str_eq(fo_stage_name(FO_STAGE_NONE), "");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_VALIDATE), "validate");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_RESOLVE), "resolve");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_INSTALL), "install");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_VERIFY), "verify");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_AGE), "age");
	ck_assert_str_eq(fo_state_name(FO_STATE_NONE), "none");
	ck_assert_str_eq(fo_state_name(FO_STATE_ARMED), "armed");
	ck_assert_str_eq(fo_state_name(FO_STATE_ACTIVE), "active");
	ck_assert_str_eq(fo_state_name(FO_STATE_HARDWARE), "hardware");
	ck_assert_str_eq(fo_state_name(FO_STATE_PARTIAL), "partial");
	ck_assert_str_eq(fo_state_name(FO_STATE_CLOSING), "closing");
	ck_assert_str_eq(fo_event_name(FO_EV_STATE), "state");
	ck_assert_str_eq(fo_event_name(FO_EV_FALLBACK), "fallback");
	ck_assert_str_eq(fo_event_name(FO_EV_WORKER), "worker");
	ck_assert_str_eq(fo_event_name(FO_EV_DELETED), "deleted");
	ck_assert_str_eq(fo_event_name(FO_EV_CLOSED), "closed");
	ck_assert_str_eq(fo_event_name(FO_EV_EXPIRED), "expired");
	ck_assert_str_eq(fo_event_name(FO_EV_INVALIDATED), "invalidated");
	ck_assert_str_eq(fo_event_name(FO_EV_REFUSED), "refused");
	ck_assert_str_eq(fo_event_name(FO_EV_LOST), "lost");
}
END_TEST

START_TEST(numbers_from_nowhere_are_named_unknown)
{
	static const unsigned int beyond[] = {FO_R_MAX, 1000, UINT_MAX - 1, UINT_MAX};
	size_t i;

	for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		ck_assert_str_eq(fo_reason_name(beyond[i]), "unknown");
		ck_assert_uint_gt(strlen(fo_reason_text(beyond[i])), 0);
		ck_assert_str_eq(fo_stage_name(beyond[i]), "");
		ck_assert_str_eq(fo_cap_name(beyond[i]), "unknown");
		ck_assert_str_eq(fo_state_name(beyond[i]), "unknown");
		ck_assert_str_eq(fo_event_name(beyond[i]), "unknown");
	}
	ck_assert_str_eq(fo_cap_name(FO_CAP_COUNT), "unknown");
	ck_assert_str_eq(fo_state_name(FO_STATE_CLOSING + 1), "unknown");
	ck_assert_str_eq(fo_event_name(0), "unknown");
	ck_assert_str_eq(fo_event_name(FO_EV_WORKER + 1), "unknown");
	ck_assert_str_eq(fo_event_name(FO_EV_LOST + 1), "unknown");
	ck_assert_str_eq(fo_stage_name(FO_STAGE_AGE + 1), "");
}
END_TEST

START_TEST(version_is_the_headers)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "%d.%d.%d", FO_VERSION_MAJOR, FO_VERSION_MINOR,
		 FO_VERSION_PATCH);
	ck_assert_str_eq(fo_version(), expected);
}
END_TEST

/* A struct as this library knows it; the caller's may be any other length. */
struct sample {
	size_t size;
	unsigned char body[48];
};

#define SAMPLE_MIN (sizeof(size_t) * 2)

static void *caller_struct(size_t size, size_t memory, int fill)
{
	unsigned char *bytes = malloc(memory);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, fill, memory);
	memcpy(bytes, &size, sizeof(size));
	return bytes;
}

static bool size_is_sane(size_t size)
{
	return size >= SAMPLE_MIN && size <= FO__SIZE_MAX && size % sizeof(size_t) == 0;
}

/* Every size up to beyond the limit, with memory of exactly that size so that a sanitizer sees a read beyond. */
START_TEST(take_reads_every_sane_size_and_no_other)
{
	struct sample expected, got;
	struct fo_error err;
	size_t size, body;
	void *src;

	for (size = 0; size <= FO__SIZE_MAX + 64; size++) {
		src = caller_struct(size, size < sizeof(size) ? sizeof(size) : size, 0x5a);
		body = size > sizeof(size) ? size - sizeof(size) : 0;
		if (size > sizeof(got)) {
			memset((unsigned char *)src + sizeof(got), 0, size - sizeof(got));
			body = sizeof(got.body);
		}
		memset(&got, 0xa5, sizeof(got));
		expected = got;
		if (size_is_sane(size)) {
			ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, src, "sample", &err), 0);
			memset(&expected, 0, sizeof(expected));
			expected.size = sizeof(expected);
			memset(expected.body, 0x5a, body);
		} else {
			ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, src, "sample", &err),
					 -EINVAL);
			ck_assert_int_eq(err.reason, FO_R_SIZE);
			ck_assert_str_eq(err.field, "size");
			ck_assert_ptr_nonnull(strstr(err.text, "sample"));
		}
		ck_assert_mem_eq(&got, &expected, sizeof(got));
		free(src);
	}
}
END_TEST

START_TEST(take_refuses_a_tail_that_says_something)
{
	const size_t size = sizeof(struct sample) + 4 * sizeof(size_t);
	struct sample got;
	struct fo_error err;
	unsigned char *src;
	size_t i;

	for (i = sizeof(got); i < size; i++) {
		src = caller_struct(size, size, 0);
		src[i] = 1;
		memset(&got, 0xa5, sizeof(got));
		ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, src, "sample", &err), -EINVAL);
		ck_assert_int_eq(err.reason, FO_R_SIZE);
		ck_assert_int_eq(got.body[0], 0xa5);
		free(src);
	}
}
END_TEST

START_TEST(take_refuses_null_and_reads_unaligned_structs)
{
	unsigned char memory[sizeof(struct sample) + 1];
	struct sample sample, got;
	struct fo_error err;

	ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, NULL, "sample", &err), -EINVAL);
	ck_assert_int_eq(err.reason, FO_R_ARGUMENT);
	ck_assert_str_eq(err.field, "sample");
	ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, NULL, "sample", NULL), -EINVAL);
	FO_INIT(&sample);
	memset(sample.body, 0x3c, sizeof(sample.body));
	memcpy(memory + 1, &sample, sizeof(sample));
	ck_assert_int_eq(fo__take(&got, sizeof(got), SAMPLE_MIN, memory + 1, "sample", &err), 0);
	ck_assert_mem_eq(&got, &sample, sizeof(got));
}
END_TEST

START_TEST(give_fills_every_sane_size_and_no_more)
{
	unsigned char expected[FO__SIZE_MAX + 64];
	struct sample answer;
	struct fo_error err;
	size_t size, memory;
	void *dst;

	FO_INIT(&answer);
	memset(answer.body, 0x77, sizeof(answer.body));
	for (size = 0; size <= FO__SIZE_MAX + 64; size++) {
		memory = size < sizeof(size) ? sizeof(size) : size;
		dst = caller_struct(size, memory, 0xa5);
		if (!size_is_sane(size)) {
			memcpy(expected, dst, memory);
			ck_assert_int_eq(fo__give_check(dst, SAMPLE_MIN, "sample", NULL), -EINVAL);
			ck_assert_int_eq(fo__give(dst, &answer, sizeof(answer), SAMPLE_MIN, "sample", &err),
					 -EINVAL);
			ck_assert_int_eq(err.reason, FO_R_SIZE);
		} else {
			memset(expected, 0, size);
			memcpy(expected, &answer, size < sizeof(answer) ? size : sizeof(answer));
			memcpy(expected, &size, sizeof(size));
			ck_assert_int_eq(fo__give_check(dst, SAMPLE_MIN, "sample", NULL), 0);
			ck_assert_int_eq(fo__give(dst, &answer, sizeof(answer), SAMPLE_MIN, "sample", &err),
					 0);
		}
		ck_assert_mem_eq(dst, expected, memory);
		free(dst);
	}
	ck_assert_int_eq(fo__give(NULL, &answer, sizeof(answer), SAMPLE_MIN, "sample", &err), -EINVAL);
	ck_assert_int_eq(err.reason, FO_R_ARGUMENT);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("error");
	TCase *errors = tcase_create("errors");
	TCase *names = tcase_create("names");
	TCase *sizes = tcase_create("sizes");

	tcase_add_test(errors, fail_fills_every_member_and_returns_the_code);
	tcase_add_test(errors, fail_accepts_no_error_struct_and_no_field);
	tcase_add_test(errors, fail_backend_keeps_the_backends_errno);
	tcase_add_test(errors, fail_cuts_what_does_not_fit);
	tcase_add_test(errors, fail_may_quote_the_error_it_replaces);
	suite_add_tcase(suite, errors);
	tcase_add_test(names, every_reason_has_a_name_and_a_text_of_its_own);
	tcase_add_test(names, every_capability_has_a_name_of_its_own);
	tcase_add_test(names, capability_names_stand_at_their_bits);
	tcase_add_test(names, stages_states_and_events_have_their_names);
	tcase_add_test(names, numbers_from_nowhere_are_named_unknown);
	tcase_add_test(names, version_is_the_headers);
	suite_add_tcase(suite, names);
	tcase_add_test(sizes, take_reads_every_sane_size_and_no_other);
	tcase_add_test(sizes, take_refuses_a_tail_that_says_something);
	tcase_add_test(sizes, take_refuses_null_and_reads_unaligned_structs);
	tcase_add_test(sizes, give_fills_every_sane_size_and_no_more);
	suite_add_tcase(suite, sizes);
	return suite;
}
