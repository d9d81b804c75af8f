/* SPDX-License-Identifier: BSD-2-Clause */
/* test_policy.c - policies: what is refused, what a backend is told, what becomes of the flows it took.
 *
 * The backend is one of this file: it remembers what it was told, and adopts a connection when a test says so.
 */
#include <errno.h>
#include <string.h>

#include "flowoffload-backend.h"
#include "unit.h"

static struct fo_host *host;
static const struct fo_host_ops *ops;
static fo_policy_id told, dropped;
static uint64_t forbidden;
static int adopt_now, adopt_result, refuse;
static uint64_t cookie;

static struct fo_tuple tuples[2] = {
	{.src = {192, 168, 1, 2},
	 .dst = {8, 8, 8, 8},
	 .sport_be = 1,
	 .dport_be = 2,
	 .family = 4,
	 .proto = 17},
	{.src = {8, 8, 8, 8},
	 .dst = {192, 168, 1, 2},
	 .sport_be = 2,
	 .dport_be = 1,
	 .family = 4,
	 .proto = 17},
};

static int taker_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	(void)options;
	(void)err;
	caps->can = FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_INGRESS | FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_POLICY;
	return 0;
}

static int taker_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
			struct fo_error *err)
{
	host = config->host;
	ops = config->ops;
	*priv = NULL;
	return taker_probe(NULL, caps, err);
}

static void taker_destroy(void *priv)
{
	(void)priv;
}

static int taker_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
		     struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)state;
	(void)err;
	return 0;
}

static int taker_del(void *priv, uint64_t id, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)id;
	(void)slot;
	(void)err;
	return 0;
}

static int taker_policy_add(void *priv, const struct fo_backend_policy *policy, struct fo_error *err)
{
	(void)priv;
	(void)err;
	told = policy->id;
	ck_assert_ptr_nonnull(policy->adj[0]);
	ck_assert_uint_eq(policy->adj[1]->port, 2);
	return refuse;
}

static int taker_policy_del(void *priv, fo_policy_id id, struct fo_error *err)
{
	(void)priv;
	(void)err;
	dropped = id;
	return refuse;
}

static int taker_forbid(void *priv, uint64_t id, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)slot;
	(void)err;
	forbidden = id;
	return refuse;
}

static void taker_poll(void *priv, unsigned int max_us)
{
	uint32_t slot;

	(void)priv;
	(void)max_us;
	if (!adopt_now)
		return;
	adopt_now = 0;
	adopt_result = ops->adopt(host, told, tuples, &cookie, &slot);
	if (!adopt_result)
		ops->state(host, cookie, FO_STATE_ACTIVE, FO_R_NONE);
}

static const struct fo_backend taker = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.name = "taker",
	.probe = taker_probe,
	.create = taker_create,
	.destroy = taker_destroy,
	.flow_add = taker_add,
	.flow_del = taker_del,
	.poll = taker_poll,
	.policy_add = taker_policy_add,
	.policy_del = taker_policy_del,
	.flow_forbid = taker_forbid,
};

static struct fo_error err;
static fo_adj_id adj[2];

static struct fo_table *open_table(const char *backend)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_table *table = NULL;

	if (!strcmp(backend, "taker"))
		ck_assert_int_eq(fo_backend_register(&taker, &err), 0);
	FO_INIT(&options);
	for (uint32_t i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = backend;
	options.capacity = 2;
	options.ports = ports;
	options.n_ports = 2;
	ck_assert_int_eq(fo_table_create(&options, &table, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct fo_adj side;

		FO_INIT(&side);
		side.port = i + 1;
		side.mtu = 1500;
		side.own_mac[5] = (uint8_t)(i + 1);
		side.peer_mac[5] = (uint8_t)(i + 11);
		ck_assert_int_eq(fo_adj_add(table, &side, &adj[i], &err), 0);
	}
	return table;
}

static void init(struct fo_policy *policy)
{
	FO_INIT(policy);
	policy->adj[0] = adj[0];
	policy->adj[1] = adj[1];
	policy->tag = 5;
}

START_TEST(a_backend_without_policies_refuses)
{
	struct fo_table *table = open_table("soft");
	struct fo_policy policy;
	fo_policy_id id;

	init(&policy);
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), -EOPNOTSUPP);
	ck_assert_int_eq(err.reason, FO_R_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "policy"));
	ck_assert(!fo_policy_at(table, 0));
	fo_table_destroy(table);
}
END_TEST

static void wrong(struct fo_table *table, const struct fo_policy *policy, int code, const char *field)
{
	fo_policy_id id = 99;

	ck_assert_int_eq(fo_policy_add(table, policy, &id, &err), code);
	ck_assert_str_eq(err.field, field);
	ck_assert(id == 99);
}

START_TEST(wrong_fields_are_named)
{
	struct fo_table *table = open_table("taker");
	struct fo_policy good, policy;

	init(&good);
	policy = good;
	policy.family = 5;
	wrong(table, &policy, -EINVAL, "family");
	policy = good;
	policy.src_len = 8;
	wrong(table, &policy, -EINVAL, "family");
	policy.family = FO_FAMILY_IPV4;
	policy.dst_len = 33;
	wrong(table, &policy, -EINVAL, "dst_len");
	policy = good;
	policy.proto = 1;
	wrong(table, &policy, -EINVAL, "proto");
	policy = good;
	policy.dport_first = 2;
	policy.dport_last = 1;
	wrong(table, &policy, -EINVAL, "dport_first");
	policy = good;
	policy.scope = 1;
	wrong(table, &policy, -EOPNOTSUPP, "policy");
	policy = good;
	policy.adj[1] = 12345;
	wrong(table, &policy, -ENOENT, "adj[1]");
	policy = good;
	policy.size = 3;
	wrong(table, &policy, -EINVAL, "size");
	ck_assert(!told);
	fo_table_destroy(table);
}
END_TEST

START_TEST(a_policy_lives_until_it_is_deleted)
{
	struct fo_table *table = open_table("taker");
	struct fo_policy policy, got;
	fo_policy_id id;

	init(&policy);
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), 0);
	ck_assert(told == id && fo_policy_at(table, 0) == id && !fo_policy_at(table, 1));
	FO_INIT(&got);
	ck_assert_int_eq(fo_policy_get(table, id, &got, &err), 0);
	ck_assert_uint_eq(got.tag, 5);
	ck_assert_int_eq(fo_adj_del(table, adj[1], &err), -EBUSY);
	refuse = -EIO;
	ck_assert_int_eq(fo_policy_del(table, id, &err), -EIO);
	ck_assert(fo_policy_at(table, 0) == id);
	refuse = 0;
	ck_assert_int_eq(fo_policy_del(table, id, &err), 0);
	ck_assert(dropped == id);
	ck_assert_int_eq(fo_policy_del(table, id, &err), -ENOENT);
	ck_assert_int_eq(fo_policy_get(table, id, &got, &err), -ENOENT);
	ck_assert_int_eq(fo_adj_del(table, adj[1], &err), 0);
	fo_table_destroy(table);
}
END_TEST

START_TEST(thirty_two_and_no_more_and_a_refused_one_takes_no_place)
{
	struct fo_table *table = open_table("taker");
	struct fo_policy policy;
	fo_policy_id id;

	init(&policy);
	refuse = -EIO;
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), -EIO);
	refuse = 0;
	for (int i = 0; i < 32; i++)
		ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), 0);
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), -ENOSPC);
	fo_table_destroy(table);
}
END_TEST

static unsigned int n_events;
static struct fo_event last;

static void on_event(void *arg, const struct fo_event *event)
{
	(void)arg;
	n_events++;
	last = *event;
}

START_TEST(what_a_device_took_is_a_flow_like_any_other)
{
	struct fo_table *table = open_table("taker");
	struct fo_table_counters counters;
	struct fo_flow_counters final;
	struct fo_policy policy;
	struct fo_flow_info info;
	fo_policy_id id;

	init(&policy);
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), 0);
	adopt_now = 1;
	ck_assert_int_eq(fo_table_poll(table, 0, 0, on_event, NULL, &err), 1);
	ck_assert_int_eq(adopt_result, 0);
	ck_assert_uint_eq(last.kind, FO_EV_STATE);
	ck_assert_uint_eq(last.tag, 5);
	FO_INIT(&info);
	ck_assert_int_eq(fo_flow_get(table, last.flow, &info, &err), 0);
	ck_assert_uint_eq(info.state, FO_STATE_ACTIVE);
	ck_assert(info.flow.adj[0] == adj[0]);
	/* Twice, and of a policy that is none. */
	adopt_now = 1;
	(void)fo_table_poll(table, 0, 0, on_event, NULL, &err);
	ck_assert_int_eq(adopt_result, -EEXIST);
	told++;
	adopt_now = 1;
	(void)fo_table_poll(table, 0, 0, on_event, NULL, &err);
	ck_assert_int_eq(adopt_result, -ENOENT);
	FO_INIT(&counters);
	ck_assert_int_eq(fo_stats(table, &counters, &err), 0);
	ck_assert(counters.added == 1 && counters.refused == 0 && counters.flows == 1);

	FO_INIT(&final);
	refuse = -EIO;
	ck_assert_int_eq(fo_flow_del(table, info.id, &final, &err), -EIO);
	refuse = 0;
	ck_assert_int_eq(fo_flow_del(table, info.id, &final, &err), 0);
	ck_assert(forbidden == info.id);
	fo_table_destroy(table);
}
END_TEST

/* DNAT behind masquerading: of a caller's tuples nobody could tell whether they belong together; the kernel knows. */
START_TEST(what_a_device_took_may_be_translated_at_both_ends)
{
	struct fo_table *table = open_table("taker");
	struct fo_policy policy;
	struct fo_flow_info info;
	struct fo_tuple was[2];
	fo_policy_id id;

	memcpy(was, tuples, sizeof(was));
	tuples[1].src[3] = 9;
	tuples[1].dst[3] = 7;
	init(&policy);
	ck_assert_int_eq(fo_policy_add(table, &policy, &id, &err), 0);
	adopt_now = 1;
	ck_assert_int_eq(fo_table_poll(table, 0, 0, on_event, NULL, &err), 1);
	memcpy(tuples, was, sizeof(tuples));
	ck_assert_int_eq(adopt_result, 0);
	FO_INIT(&info);
	ck_assert_int_eq(fo_flow_get(table, last.flow, &info, &err), 0);
	ck_assert_uint_eq(info.flow.nat, FO_NAT_SRC | FO_NAT_DST);
	fo_table_destroy(table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");

	tcase_add_test(tc, a_backend_without_policies_refuses);
	tcase_add_test(tc, wrong_fields_are_named);
	tcase_add_test(tc, a_policy_lives_until_it_is_deleted);
	tcase_add_test(tc, thirty_two_and_no_more_and_a_refused_one_takes_no_place);
	tcase_add_test(tc, what_a_device_took_is_a_flow_like_any_other);
	tcase_add_test(tc, what_a_device_took_may_be_translated_at_both_ends);
	suite_add_tcase(suite, tc);
	return suite;
}
