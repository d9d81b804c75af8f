/* SPDX-License-Identifier: BSD-2-Clause */
/* test_null.c - every call that takes a table or a worker is refused without one; none of them looks at it. */
#include <errno.h>
#include <string.h>

#include "flowoffload.h"
#include "unit.h"

static struct fo_adj adj;
static struct fo_flow flow;
static struct fo_port port;
static struct fo_key key;
static struct fo_match match;
static struct fo_flow_info info;
static struct fo_flow_counters counters;
static struct fo_table_counters sums;
static struct fo_explanation explanation;
static struct fo_caps caps;
static struct fo_worker *worker;
static fo_adj_id adj_id;
static fo_flow_id flow_id;
static int result;

static int visit(void *arg, const struct fo_flow_info *found)
{
	(void)arg;
	(void)found;
	return 0;
}

#define REFUSED(call)                                                                                        \
	do {                                                                                                 \
		memset(&err, 0, sizeof(err));                                                                \
		ck_assert_int_eq(call, -EINVAL);                                                             \
		ck_assert_int_eq(err.code, -EINVAL);                                                         \
		ck_assert_str_eq(err.field, "table");                                                        \
	} while (0)

START_TEST(calls_without_a_table_are_refused)
{
	struct fo_error err;

	REFUSED(fo_table_caps(NULL, &caps, &err));
	REFUSED(fo_table_poll(NULL, 0, 0, NULL, NULL, &err));
	REFUSED(fo_table_sync(NULL, 0, &err));
	REFUSED(fo_port_set(NULL, &port, &err));
	REFUSED(fo_adj_add(NULL, &adj, &adj_id, &err));
	REFUSED(fo_adj_update(NULL, 1, &adj, &err));
	REFUSED(fo_adj_del(NULL, 1, &err));
	REFUSED(fo_adj_get(NULL, 1, &adj, &err));
	REFUSED(fo_flow_add(NULL, &flow, &flow_id, &err));
	REFUSED(fo_flow_add_many(NULL, &flow, 1, 0, &flow_id, &result, &err));
	REFUSED(fo_flow_update(NULL, 1, 0, &flow, &err));
	REFUSED(fo_flow_del(NULL, 1, &counters, &err));
	REFUSED(fo_flow_del_many(NULL, &flow_id, 1, &result, &err));
	REFUSED(fo_flow_find(NULL, &key, &flow_id, NULL, &err));
	REFUSED(fo_flow_get(NULL, 1, &info, &err));
	REFUSED(fo_flow_stats(NULL, 1, &counters, &err));
	REFUSED(fo_flow_walk(NULL, &match, visit, NULL, &err));
	REFUSED(fo_invalidate(NULL, &match, &err));
	REFUSED(fo_stats(NULL, &sums, &err));
	REFUSED(fo_flow_explain(NULL, 1, NULL, &explanation, &err));
	REFUSED(fo_worker_open(NULL, NULL, &worker, &err));
	ck_assert_int_eq(fo_table_fd(NULL), -EINVAL);
	ck_assert(fo_table_deadline(NULL) == UINT64_MAX);
	ck_assert_int_eq(fo_flow_add(NULL, NULL, NULL, NULL), -EINVAL);
	fo_table_destroy(NULL);
}
END_TEST

START_TEST(a_worker_that_is_none_forwards_nothing)
{
	struct fo_packet packet;

	memset(&packet, 0, sizeof(packet));
	ck_assert_uint_eq(fo_worker_run(NULL, &packet, 1, 0), 0);
	fo_worker_close(NULL);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("null");
	TCase *cases = tcase_create("null");

	FO_INIT(&adj);
	FO_INIT(&flow);
	FO_INIT(&port);
	FO_INIT(&key);
	FO_INIT(&match);
	FO_INIT(&info);
	FO_INIT(&counters);
	FO_INIT(&sums);
	FO_INIT(&explanation);
	FO_INIT(&caps);
	tcase_add_test(cases, calls_without_a_table_are_refused);
	tcase_add_test(cases, a_worker_that_is_none_forwards_nothing);
	suite_add_tcase(suite, cases);
	return suite;
}
