/* SPDX-License-Identifier: BSD-2-Clause */
/* test_add_many.c - flows handed to a backend by the handful: every item has its own outcome, as if it came alone.
 *
 * The backend is one of this file: it refuses odd source ports, answers ARMED or ACTIVE by turns, and counts calls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flowoffload-backend.h"
#include "unit.h"

#define MANY 1000u

static unsigned int many_calls, many_flows, single_calls, deletes;

static int bulk_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	(void)options;
	(void)err;
	caps->can = FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_INGRESS | FO_CAP_ASYNC_ADD;
	return 0;
}

static int bulk_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		       struct fo_error *err)
{
	*priv = NULL;
	return bulk_probe(config->options, caps, err);
}

static void bulk_destroy(void *priv)
{
	(void)priv;
}

static int answer(const struct fo_backend_flow *flow, unsigned int *state, struct fo_error *err)
{
	uint16_t port = ntohs(flow->flow->tuple[0].sport_be);

	if (port % 2) {
		err->reason = FO_R_COLLISION;
		strcpy(err->text, "odd ports find no room");
		return -ENOSPC;
	}
	*state = FO_STATE_ACTIVE;
	return port % 4 ? FO_BACKEND_PENDING : 0;
}

static int bulk_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state, struct fo_error *err)
{
	(void)priv;
	single_calls++;
	return answer(flow, state, err);
}

static void bulk_add_many(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
			  int *results, struct fo_error *errs)
{
	(void)priv;
	many_calls++;
	many_flows += (unsigned int)n;
	for (size_t i = 0; i < n; i++)
		results[i] = answer(&flows[i], &states[i], &errs[i]);
}

static int bulk_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)slot;
	(void)err;
	deletes++;
	return 0;
}

static const struct fo_backend bulk = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.name = "bulk",
	.probe = bulk_probe,
	.create = bulk_create,
	.destroy = bulk_destroy,
	.flow_add = bulk_add,
	.flow_del = bulk_del,
	.flow_add_many = bulk_add_many,
};

/* ---- A table, whose memory may fail for large pieces ---- */

static int refuse_large;

static void *hook_alloc(void *ctx, size_t size, size_t align)
{
	void *ptr = NULL;

	(void)ctx;
	if (refuse_large && size > 32768)
		return NULL;
	return posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size) ? NULL : ptr;
}

static void hook_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
	free(ptr);
}

static struct fo_error err;
static fo_adj_id adj[2];
static struct fo_flow flows[MANY];
static fo_flow_id ids[MANY];
static int results[MANY];

static struct fo_table *open_table(uint32_t capacity)
{
	const struct fo_allocator hook = {hook_alloc, hook_free, NULL};
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_table *table = NULL;

	ck_assert_int_eq(fo_backend_register(&bulk, &err), 0);
	FO_INIT(&options);
	for (uint32_t i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = "bulk";
	options.capacity = capacity;
	options.ports = ports;
	options.n_ports = 2;
	options.allocator = &hook;
	ck_assert_int_eq(fo_table_create(&options, &table, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct fo_adj side;

		FO_INIT(&side);
		side.port = i + 1;
		side.mtu = 1500;
		ck_assert_int_eq(fo_adj_add(table, &side, &adj[i], &err), 0);
	}
	return table;
}

/* Ports 2, 4, 6, ...: all of them welcome. */
static void fill(void)
{
	for (unsigned int i = 0; i < MANY; i++) {
		struct fo_tuple *tuple = flows[i].tuple;

		FO_INIT(&flows[i]);
		tuple[0] = (struct fo_tuple){
			.src = {10, 0, 0, 1}, .dst = {10, 0, 1, 1}, .family = 4, .proto = 17};
		tuple[0].sport_be = htons((uint16_t)(2 + 2 * i));
		tuple[0].dport_be = htons(53);
		tuple[1] = (struct fo_tuple){
			.src = {10, 0, 1, 1}, .dst = {10, 0, 0, 1}, .family = 4, .proto = 17};
		tuple[1].sport_be = tuple[0].dport_be;
		tuple[1].dport_be = tuple[0].sport_be;
		flows[i].adj[0] = adj[0];
		flows[i].adj[1] = adj[1];
	}
}

static void set_port(unsigned int i, uint16_t port)
{
	flows[i].tuple[0].sport_be = flows[i].tuple[1].dport_be = htons(port);
}

static void each_item_by_itself(unsigned int handfuls, unsigned int singles)
{
	struct fo_table_counters counters;
	struct fo_table *table = open_table(MANY);
	struct fo_explanation why;
	struct fo_flow_info info;

	refuse_large = !handfuls;
	fill();
	set_port(10, 7);		      /* the backend refuses */
	flows[20] = flows[19];		      /* a key of the same handful */
	flows[900] = flows[5];		      /* a key of an earlier one */
	flows[30].tuple[0].family = 9;	      /* malformed */
	flows[31].adj[1] = UINT64_C(1) << 60; /* a stale handle */
	ck_assert_int_eq(fo_flow_add_many(table, flows, MANY, 0, ids, results, &err), MANY - 5);
	/* The first that was refused. */
	ck_assert_int_eq(err.reason, FO_R_COLLISION);
	ck_assert_str_eq(err.text, "odd ports find no room");
	ck_assert_int_eq(results[10], -ENOSPC);
	ck_assert_int_eq(results[20], -EEXIST);
	ck_assert_int_eq(results[900], -EEXIST);
	ck_assert_int_eq(results[30], -EINVAL);
	ck_assert_int_eq(results[31], -ENOENT);
	ck_assert(!ids[10] && !ids[20] && !ids[30] && !ids[31] && !ids[900]);
	ck_assert_uint_eq(many_calls, handfuls);
	ck_assert_uint_eq(many_flows, handfuls ? MANY - 4 : 0);
	ck_assert_uint_eq(single_calls, singles);
	for (unsigned int i = 0; i < MANY; i++) {
		if (results[i])
			continue;
		FO_INIT(&info);
		ck_assert_int_eq(fo_flow_get(table, ids[i], &info, &err), 0);
		ck_assert_uint_eq(info.state,
				  ntohs(flows[i].tuple[0].sport_be) % 4 ? FO_STATE_ARMED : FO_STATE_ACTIVE);
	}
	FO_INIT(&counters);
	ck_assert_int_eq(fo_stats(table, &counters, &err), 0);
	ck_assert(counters.added == MANY - 5 && counters.refused == 5 && counters.flows == MANY - 5);
	/* Refusals are remembered, and what was refused may come again. */
	FO_INIT(&why);
	ck_assert_int_eq(fo_flow_explain(table, 0,
					 &(struct fo_key){.size = sizeof(struct fo_key),
							  .tuple = flows[10].tuple[0],
							  .port = FO_PORT_ANY},
					 &why, &err),
			 0);
	ck_assert_ptr_nonnull(strstr(why.text, "odd ports"));
	set_port(10, 40000);
	ck_assert_int_eq(fo_flow_add_many(table, &flows[10], 1, 0, NULL, NULL, NULL), 1);
	ck_assert_uint_eq(deletes, 0);
	fo_table_destroy(table);
}

START_TEST(every_item_has_its_own_outcome)
{
	each_item_by_itself(8, 0);
}
END_TEST

START_TEST(without_memory_for_a_handful_they_go_one_by_one)
{
	each_item_by_itself(0, MANY - 4);
}
END_TEST

START_TEST(what_exceeds_the_capacity_is_refused_and_the_rest_lives)
{
	struct fo_table *table = open_table(300);

	fill();
	ck_assert_int_eq(fo_flow_add_many(table, flows, MANY, 0, ids, results, &err), 300);
	ck_assert_int_eq(err.reason, FO_R_FULL);
	for (unsigned int i = 0; i < MANY; i++)
		ck_assert_int_eq(results[i], i < 300 ? 0 : -ENOSPC);
	fo_table_destroy(table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("add_many");
	TCase *tc = tcase_create("handfuls");

	tcase_add_test(tc, every_item_has_its_own_outcome);
	tcase_add_test(tc, without_memory_for_a_handful_they_go_one_by_one);
	tcase_add_test(tc, what_exceeds_the_capacity_is_refused_and_the_rest_lives);
	suite_add_tcase(suite, tc);
	return suite;
}
