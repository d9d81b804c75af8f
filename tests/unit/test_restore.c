/* SPDX-License-Identifier: BSD-2-Clause */
/* test_restore.c - what a backend says in create() that an earlier process left: the handles and words of its flows.
 *
 * Neighbours: src/core/restore.c; tests/net/bpf_persist.c, where a kernel keeps them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "flowoffload-backend.h"
#include "unit.h"

#define CAPACITY 10

/* What the backend below finds in its device when the next table is created, and what became of it. */
static struct {
	fo_adj_id adj_id[2];
	struct fo_adj adj[2];
	struct fo_flow flow;
	uint64_t cookie[3]; /* 0: none */
	uint64_t used;
	int adj_code[2], code[3];
	uint32_t told; /* mask of the last update */
} device;

static int probe_all(const struct fo_table_options *opts, struct fo_caps *caps, struct fo_error *err)
{
	(void)opts;
	(void)err;
	caps->can = ~UINT64_C(0) >> (64 - FO_CAP_COUNT) & ~(FO_CAP_WORKER | FO_CAP_CALLER_NEIGH);
	caps->max_encaps = FO_MAX_ENCAPS;
	return 0;
}

static int create_full(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		       struct fo_error *err)
{
	const struct fo_host_ops *ops = config->ops;

	*priv = &device;
	(void)probe_all(config->options, caps, err);
	for (unsigned int i = 0; i < 2; i++)
		device.adj_code[i] = ops->restore_adj(config->host, device.adj_id[i], &device.adj[i]);
	for (unsigned int i = 0; i < 3 && device.cookie[i]; i++) {
		struct fo_flow flow = device.flow;

		flow.tuple[0].sport_be = flow.tuple[1].dport_be = htons((uint16_t)(1000 + i));
		flow.user = i;
		device.code[i] = ops->restore_flow(config->host, device.cookie[i], &flow, FO_STATE_ACTIVE,
						   ops->now_ms(config->host));
		ops->count(config->host, device.cookie[i], FO_ORIGINAL, 7 + i, 700, 0);
	}
	if (device.used)
		ops->restore_used(config->host, device.used);
	return 0;
}

static void destroy_nothing(void *priv)
{
	(void)priv;
}

static int add_any(void *priv, const struct fo_backend_flow *flow, unsigned int *state, struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)state;
	(void)err;
	return 0;
}

static int del_any(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)slot;
	(void)err;
	return 0;
}

static int update_any(void *priv, const struct fo_backend_flow *flow, uint32_t mask, struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)err;
	device.told = mask;
	return 0;
}

static const struct fo_backend keeper = {
	.size = sizeof(keeper),
	.abi = FO_BACKEND_ABI,
	.rank = 1,
	.name = "keeper",
	.probe = probe_all,
	.create = create_full,
	.destroy = destroy_nothing,
	.flow_add = add_any,
	.flow_del = del_any,
	.flow_update = update_any,
};

static uint64_t handle(uint32_t number, uint32_t generation)
{
	return (uint64_t)generation << 32 | number;
}

static void describe(void)
{
	memset(&device, 0, sizeof(device));
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&device.adj[i]);
		device.adj[i].port = 1;
		device.adj[i].mtu = 1500;
		memcpy(device.adj[i].own_mac, (uint8_t[6]){2, 0, 0, 0, 0, 1}, 6);
		memcpy(device.adj[i].peer_mac, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)(2 + i)}, 6);
		device.adj_id[i] = handle(30 * (i + 1), 5 + i);
		device.flow.adj[i] = device.adj_id[i];
	}
	FO_INIT(&device.flow);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_tuple *tuple = &device.flow.tuple[i];

		memcpy(tuple->src, (uint8_t[4]){10, 0, 0, (uint8_t)(1 + i)}, 4);
		memcpy(tuple->dst, (uint8_t[4]){10, 0, 0, (uint8_t)(2 - i)}, 4);
		tuple->family = FO_FAMILY_IPV4;
		tuple->proto = 17;
		tuple->sport_be = tuple->dport_be = htons(53);
		device.flow.adj[i] = device.adj_id[i];
	}
	device.flow.tag = 9;
	device.flow.timeout_ms = 12345;
}

static struct fo_table *open_table(void)
{
	static struct fo_port port;
	struct fo_table_options options;
	struct fo_table *table;
	struct fo_error err;

	FO_INIT(&port);
	port.port = 1;
	FO_INIT(&options);
	options.backend = "keeper";
	options.capacity = CAPACITY;
	options.ports = &port;
	options.n_ports = 1;
	options.flags = FO_TABLE_PERSIST;
	ck_assert_msg(!fo_table_create(&options, &table, &err), "%s", err.text);
	return table;
}

static void open_keeper(void)
{
	struct fo_error err;

	ck_assert_msg(!fo_backend_register(&keeper, &err), "%s", err.text);
	describe();
}

START_TEST(restored_flows_have_their_handles_words_and_counters)
{
	struct fo_flow_info info;
	struct fo_table *table;
	struct fo_adj adj;

	device.cookie[0] = handle(2, 40);
	device.cookie[1] = handle(7, 3);
	table = open_table();
	ck_assert_int_eq(device.adj_code[0], 0);
	ck_assert_int_eq(device.adj_code[1], 0);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_int_eq(device.code[i], 0);
		FO_INIT(&info);
		ck_assert_int_eq(fo_flow_get(table, device.cookie[i], &info, NULL), 0);
		ck_assert_uint_eq(info.flow.user, i);
		ck_assert_uint_eq(info.flow.tag, 9);
		ck_assert_uint_eq(info.flow.timeout_ms, 12345);
		ck_assert_uint_eq(info.flow.adj[1], device.adj_id[1]);
		ck_assert_uint_eq(info.state, FO_STATE_ACTIVE);
		ck_assert_uint_eq(info.counters.packets[0], 7 + i);
	}
	FO_INIT(&adj);
	ck_assert_int_eq(fo_adj_get(table, device.adj_id[1], &adj, NULL), 0);
	ck_assert_uint_eq(adj.peer_mac[5], 3);
	fo_table_destroy(table);
}
END_TEST

START_TEST(no_new_flow_has_a_handle_that_was_used)
{
	struct fo_table *table;
	struct fo_flow flow;
	fo_flow_id ids[CAPACITY];

	device.cookie[0] = handle(2, 40);
	device.used = handle(0, 90);
	table = open_table();
	flow = device.flow;
	for (unsigned int i = 0; i < CAPACITY - 1; i++) {
		flow.tuple[0].sport_be = flow.tuple[1].dport_be = htons((uint16_t)(2000 + i));
		ck_assert_int_eq(fo_flow_add(table, &flow, &ids[i], NULL), 0);
		ck_assert_uint_gt(ids[i] >> 32, 90);
		for (unsigned int before = 0; before < i; before++)
			ck_assert_uint_ne((uint32_t)ids[i], (uint32_t)ids[before]);
		ck_assert_uint_ne((uint32_t)ids[i], 2);
	}
	flow.tuple[0].sport_be = flow.tuple[1].dport_be = htons(3000);
	ck_assert_int_eq(fo_flow_add(table, &flow, &ids[0], NULL), -ENOSPC);
	fo_table_destroy(table);
}
END_TEST

START_TEST(what_cannot_be_restored_is_refused)
{
	struct fo_flow_info info;
	struct fo_table *table;

	device.cookie[0] = handle(5, 40);
	device.cookie[1] = handle(5, 41); /* the slot is taken */
	device.cookie[2] = handle(UINT32_MAX, 42);
	device.adj[1].port = 2;
	table = open_table();
	ck_assert_int_eq(device.adj_code[1], -ENODEV);
	ck_assert_int_eq(device.code[0], -ENOENT);
	fo_table_destroy(table);
	device.adj[1].port = 1;
	table = open_table();
	ck_assert_int_eq(device.code[0], 0);
	ck_assert_int_eq(device.code[1], -EEXIST);
	ck_assert_int_eq(device.code[2], -ENOSPC);
	FO_INIT(&info);
	ck_assert_int_eq(fo_flow_get(table, device.cookie[1], &info, NULL), -ENOENT);
	ck_assert_int_eq(fo_flow_get(table, device.cookie[0], &info, NULL), 0);
	fo_table_destroy(table);
	device.cookie[1] = 0;
	device.adj_id[1] = device.adj_id[0];
	table = open_table();
	ck_assert_int_eq(device.adj_code[1], -EEXIST);
	fo_table_destroy(table);
}
END_TEST

START_TEST(a_backend_that_keeps_flows_is_told_of_every_change)
{
	struct fo_flow change = device.flow;
	struct fo_table *table;

	device.cookie[0] = handle(0, 1);
	table = open_table();
	change.tag = 10;
	ck_assert_int_eq(fo_flow_update(table, device.cookie[0], FO_UPDATE_TAG, &change, NULL), 0);
	ck_assert_uint_eq(device.told, FO_UPDATE_TAG);
	ck_assert_int_eq(fo_flow_update(table, device.cookie[0], FO_UPDATE_USER, &change, NULL), 0);
	ck_assert_uint_eq(device.told, FO_UPDATE_USER);
	fo_table_destroy(table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("restore");
	TCase *tests = tcase_create("restore");

	tcase_add_checked_fixture(tests, open_keeper, NULL);
	tcase_add_test(tests, restored_flows_have_their_handles_words_and_counters);
	tcase_add_test(tests, no_new_flow_has_a_handle_that_was_used);
	tcase_add_test(tests, what_cannot_be_restored_is_refused);
	tcase_add_test(tests, a_backend_that_keeps_flows_is_told_of_every_change);
	suite_add_tcase(suite, tests);
	return suite;
}
