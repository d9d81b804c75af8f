/* SPDX-License-Identifier: BSD-2-Clause */
/* test_alloc.c - every allocation of every public call fails once.
 *
 * For each call: a fresh table with some flows, then the call with its first allocation failing, its second, and so
 * on until it succeeds without the failure having struck. What failed says -ENOMEM and changed nothing, the same call
 * then succeeds, and the allocator's books (tests/fuzz/ledger.h) are empty once the table is destroyed.
 */
#include <errno.h>
#include <stdio.h>

#include "../fuzz/ledger.h"
#include "flowoffload.h"
#include "unit.h"

#define FLOWS	 4u
#define CAPACITY 600u

struct set {
	struct ledger ledger;
	struct fo_table *table;
	struct fo_worker *worker;
	fo_adj_id adj[2];
	fo_flow_id flows[FLOWS];
	uint64_t now_ms;
	unsigned int i;
};

typedef int (*set_call)(struct set *set, struct fo_error *err);

static uint64_t set_clock(void *ctx)
{
	return ((struct set *)ctx)->now_ms;
}

static int create(struct set *set, struct fo_error *err)
{
	struct fo_table_options opts;
	struct fo_port ports[2];
	unsigned int i;

	FO_INIT(&opts);
	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = CAPACITY;
	opts.max_workers = 2;
	opts.ports = ports;
	opts.n_ports = 2;
	opts.allocator = &set->ledger.hook;
	opts.clock_ms = set_clock;
	opts.clock_ctx = set;
	return fo_table_create(&opts, &set->table, err);
}

static void describe_side(unsigned int i, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = 1 + i % 2;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01\x01", 6);
	memcpy(adj->peer_mac, "\x02\x00\x00\x00\x02\x01", 6);
	adj->peer_mac[2] = 0xee;
	adj->peer_mac[3] = (uint8_t)(i >> 8);
	adj->peer_mac[4] = (uint8_t)i;
	if (i >= 2) {
		adj->n_encaps = 1;
		adj->encap[0].kind = FO_ENCAP_8021Q;
		adj->encap[0].id = (uint16_t)i;
	}
	adj->mtu = 1500;
}

static void describe_flow(const struct set *set, unsigned int i, struct fo_flow *flow)
{
	struct fo_tuple *t = flow->tuple;

	FO_INIT(flow);
	t[0].family = t[1].family = FO_FAMILY_IPV4;
	t[0].proto = t[1].proto = 17;
	memcpy(t[0].src, "\x0a\x00\x00\x01", 4);
	t[0].src[2] = t[1].dst[2] = (uint8_t)(i >> 8);
	t[0].src[3] = (uint8_t)(1 + i);
	memcpy(t[0].dst, "\xcb\x00\x71\x05", 4);
	memcpy(t[1].src, t[0].dst, 4);
	memcpy(t[1].dst, t[0].src, 4);
	t[0].sport_be = t[1].dport_be = (uint16_t)(1 + i);
	t[0].dport_be = t[1].sport_be = 0x3500;
	flow->adj[0] = set->adj[0];
	flow->adj[1] = set->adj[1];
	flow->user = i;
	flow->tag = i;
}

/* A table with two sides and some flows. */
static void open_set(struct set *set)
{
	struct fo_flow flow;
	struct fo_error err;
	struct fo_adj adj;
	unsigned int i;

	memset(set, 0, sizeof(*set));
	set->now_ms = 1000;
	ledger_init(&set->ledger);
	ck_assert_int_eq(create(set, &err), 0);
	for (i = 0; i < 2; i++) {
		describe_side(i, &adj);
		ck_assert_int_eq(fo_adj_add(set->table, &adj, &set->adj[i], &err), 0);
	}
	for (i = 0; i < FLOWS; i++) {
		describe_flow(set, i, &flow);
		ck_assert_msg(fo_flow_add(set->table, &flow, &set->flows[i], &err) == 0, "%s: %s", err.field,
			      err.text);
	}
}

static void close_set(struct set *set)
{
	fo_worker_close(set->worker);
	fo_table_destroy(set->table);
	ck_assert_uint_eq(ledger_leaks(&set->ledger, "the table"), 0);
	ledger_fini(&set->ledger);
}

static void counts(struct set *set, struct fo_table_counters *out)
{
	FO_INIT(out);
	ck_assert_int_eq(fo_stats(set->table, out, NULL), 0);
	/* what a failed call may change: it was refused, and memory may have been asked for and given back */
	out->refused = 0;
	out->memory = 0;
}

static void assert_memory_error(int rc, const struct fo_error *err)
{
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_int_eq(err->code, -ENOMEM);
	ck_assert_uint_eq(err->reason, FO_R_MEMORY);
	ck_assert(err->text[0] != '\0');
}

/* One call with its n-th allocation failing. Returns whether there was an n-th. */
static bool fails_cleanly(set_call call, size_t n)
{
	struct fo_table_counters before, after;
	struct fo_error err;
	struct set set;
	size_t bytes;
	bool fired;
	int rc;

	open_set(&set);
	counts(&set, &before);
	bytes = ledger_bytes(&set.ledger);
	ledger_fail_at(&set.ledger, n);
	rc = call(&set, &err);
	fired = ledger_fired(&set.ledger);
	ledger_fail_at(&set.ledger, 0);
	if (!fired || rc >= 0) {
		/* nothing failed, or the call got by without it */
		ck_assert_msg(rc >= 0, "%d %s: %s", rc, err.field, err.text);
	} else {
		assert_memory_error(rc, &err);
		counts(&set, &after);
		ck_assert_mem_eq(&before, &after, sizeof(before));
		ck_assert_uint_eq(ledger_bytes(&set.ledger), bytes);
		ck_assert_int_ge(call(&set, &err), 0);
	}
	close_set(&set);
	return fired;
}

static size_t allocations_of(set_call call)
{
	size_t n = 1;

	while (fails_cleanly(call, n))
		n++;
	return n - 1;
}

START_TEST(create_fails_at_each_allocation_and_leaves_nothing)
{
	struct fo_error err;
	struct set set;
	size_t n;
	int rc;

	for (n = 1;; n++) {
		memset(&set, 0, sizeof(set));
		ledger_init(&set.ledger);
		ledger_fail_at(&set.ledger, n);
		rc = create(&set, &err);
		if (!ledger_fired(&set.ledger))
			break;
		if (rc == 0) {
			fo_table_destroy(set.table);
		} else {
			assert_memory_error(rc, &err);
			ck_assert_ptr_null(set.table);
		}
		ck_assert_uint_eq(ledger_leaks(&set.ledger, "fo_table_create"), 0);
		ledger_fini(&set.ledger);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_gt(n, 1);
	close_set(&set);
}
END_TEST

static int call_worker_open(struct set *set, struct fo_error *err)
{
	return fo_worker_open(set->table, NULL, &set->worker, err);
}

static int call_adj_add(struct set *set, struct fo_error *err)
{
	struct fo_adj adj;
	fo_adj_id id;

	describe_side(3, &adj);
	return fo_adj_add(set->table, &adj, &id, err);
}

static int call_adj_update(struct set *set, struct fo_error *err)
{
	struct fo_adj adj;

	describe_side(5, &adj);
	return fo_adj_update(set->table, set->adj[1], &adj, err);
}

static int call_flow_add(struct set *set, struct fo_error *err)
{
	struct fo_flow flow;
	fo_flow_id id;

	describe_flow(set, 100, &flow);
	return fo_flow_add(set->table, &flow, &id, err);
}

static int call_flow_add_in_another_scope(struct set *set, struct fo_error *err)
{
	struct fo_flow flow;
	fo_flow_id id;

	describe_flow(set, 100, &flow);
	flow.scope = 9;
	return fo_flow_add(set->table, &flow, &id, err);
}

static int call_flow_update(struct set *set, struct fo_error *err)
{
	struct fo_flow flow;

	describe_flow(set, 0, &flow);
	flow.adj[0] = set->adj[1];
	flow.adj[1] = set->adj[0];
	flow.dscp[0] = FO_DSCP_SET(12);
	return fo_flow_update(set->table, set->flows[0], 0x3f, &flow, err);
}

static int call_flow_del(struct set *set, struct fo_error *err)
{
	struct fo_flow_counters last;

	FO_INIT(&last);
	return fo_flow_del(set->table, set->flows[1], &last, err);
}

static int call_flow_del_many(struct set *set, struct fo_error *err)
{
	return fo_flow_del_many(set->table, set->flows, FLOWS, NULL, err);
}

static int call_port_set(struct set *set, struct fo_error *err)
{
	struct fo_port port;

	FO_INIT(&port);
	port.port = 17;
	return fo_port_set(set->table, &port, err);
}

static int call_port_down(struct set *set, struct fo_error *err)
{
	struct fo_port port;

	FO_INIT(&port);
	port.port = 1;
	port.state = FO_PORT_DOWN;
	return fo_port_set(set->table, &port, err);
}

static int call_invalidate_tag(struct set *set, struct fo_error *err)
{
	struct fo_match match;

	FO_INIT(&match);
	match.mask = FO_MATCH_TAG;
	match.tag = 2;
	return fo_invalidate(set->table, &match, err);
}

static int call_invalidate_port(struct set *set, struct fo_error *err)
{
	struct fo_match match;

	FO_INIT(&match);
	match.mask = FO_MATCH_PORT;
	match.port = 2;
	return fo_invalidate(set->table, &match, err);
}

static int count_visit(void *arg, const struct fo_flow_info *info)
{
	(void)info;
	++*(unsigned int *)arg;
	return 0;
}

static int call_walk(struct set *set, struct fo_error *err)
{
	unsigned int n = 0;
	int rc = fo_flow_walk(set->table, NULL, count_visit, &n, err);

	ck_assert(rc < 0 || n == FLOWS);
	return rc;
}

static int call_find(struct set *set, struct fo_error *err)
{
	struct fo_flow flow;
	enum fo_dir dir;
	struct fo_key key;
	fo_flow_id id;

	describe_flow(set, 2, &flow);
	FO_INIT(&key);
	key.tuple = flow.tuple[1];
	key.port = 2;
	return fo_flow_find(set->table, &key, &id, &dir, err);
}

static int call_explain(struct set *set, struct fo_error *err)
{
	struct fo_explanation ex;

	FO_INIT(&ex);
	return fo_flow_explain(set->table, set->flows[0], NULL, &ex, err);
}

static int call_poll(struct set *set, struct fo_error *err)
{
	set->now_ms += 1000;
	return fo_table_poll(set->table, 0, 0, NULL, NULL, err);
}

static int call_sync(struct set *set, struct fo_error *err)
{
	return fo_table_sync(set->table, 10000, err);
}

/* The tuple of another flow, from another side. */
static int call_flow_add_beside_a_twin(struct set *set, struct fo_error *err)
{
	struct fo_flow flow;
	struct fo_adj adj;
	fo_flow_id id;
	int rc;

	describe_side(3, &adj);
	describe_flow(set, 0, &flow);
	flow.tuple[1].dport_be ^= 0xffff;
	ck_assert_int_eq(fo_adj_add(set->table, &adj, &flow.adj[0], err), 0);
	rc = fo_flow_add(set->table, &flow, &id, err);
	if (rc != 0)
		ck_assert_int_eq(fo_adj_del(set->table, flow.adj[0], NULL), 0);
	return rc;
}

static const struct {
	const char *name;
	set_call call;
} calls[] = {
	{"fo_worker_open", call_worker_open},
	{"fo_adj_add", call_adj_add},
	{"fo_adj_update", call_adj_update},
	{"fo_flow_add", call_flow_add},
	{"fo_flow_add in another scope", call_flow_add_in_another_scope},
	{"fo_flow_add beside a twin", call_flow_add_beside_a_twin},
	{"fo_flow_update", call_flow_update},
	{"fo_flow_del", call_flow_del},
	{"fo_flow_del_many", call_flow_del_many},
	{"fo_port_set of a new port", call_port_set},
	{"fo_port_set down", call_port_down},
	{"fo_invalidate by tag", call_invalidate_tag},
	{"fo_invalidate by port", call_invalidate_port},
	{"fo_flow_walk", call_walk},
	{"fo_flow_find", call_find},
	{"fo_flow_explain", call_explain},
	{"fo_table_poll", call_poll},
	{"fo_table_sync", call_sync},
};

START_TEST(call_fails_at_each_allocation_and_changes_nothing)
{
	size_t n = allocations_of(calls[_i].call);

	printf("%s: %zu allocations\n", calls[_i].name, n);
}
END_TEST

/* The index grows on the way up, adjacencies and ports as well: one failure at each step, then the step again. */
START_TEST(growth_fails_at_each_step_and_goes_on)
{
	unsigned int failed = 0, i;
	struct fo_flow flow;
	struct fo_error err;
	fo_flow_id id;
	struct set set;

	open_set(&set);
	for (i = FLOWS; i < CAPACITY; i++) {
		int rc;

		describe_flow(&set, i, &flow);
		ledger_fail_at(&set.ledger, 1);
		rc = fo_flow_add(set.table, &flow, &id, &err);
		if (rc != 0) {
			ck_assert(ledger_fired(&set.ledger));
			assert_memory_error(rc, &err);
			failed++;
			ledger_fail_at(&set.ledger, 0);
			ck_assert_int_eq(fo_flow_add(set.table, &flow, &id, &err), 0);
		}
		ledger_fail_at(&set.ledger, 1);
		ck_assert_int_ge(fo_table_poll(set.table, 0, 0, NULL, NULL, &err), 0);
	}
	ledger_fail_at(&set.ledger, 0);
	describe_flow(&set, CAPACITY, &flow);
	ck_assert_int_eq(fo_flow_add(set.table, &flow, &id, &err), -ENOSPC);
	printf("%u of %u adds failed for want of memory and succeeded when repeated\n", failed, CAPACITY);
	close_set(&set);
}
END_TEST

START_TEST(sides_and_ports_grow_in_spite_of_failures)
{
	struct fo_error err;
	struct fo_adj adj;
	struct fo_port port;
	struct set set;
	unsigned int i;
	fo_adj_id id;

	open_set(&set);
	for (i = 2; i < 300; i++) {
		int rc;

		FO_INIT(&port);
		port.port = 100 + i;
		ledger_fail_at(&set.ledger, 1);
		rc = fo_port_set(set.table, &port, &err);
		ck_assert(rc == 0 || (rc == -ENOMEM && ledger_fired(&set.ledger)));
		ledger_fail_at(&set.ledger, 0);
		ck_assert_int_eq(fo_port_set(set.table, &port, &err), 0);
		describe_side(i, &adj);
		adj.port = 100 + i;
		ledger_fail_at(&set.ledger, 1);
		rc = fo_adj_add(set.table, &adj, &id, &err);
		ck_assert(rc == 0 || (rc == -ENOMEM && ledger_fired(&set.ledger)));
		ledger_fail_at(&set.ledger, 0);
		if (rc != 0)
			ck_assert_int_eq(fo_adj_add(set.table, &adj, &id, &err), 0);
	}
	close_set(&set);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("alloc");
	TCase *tcase = tcase_create("every allocation fails once");

	tcase_add_test(tcase, create_fails_at_each_allocation_and_leaves_nothing);
	tcase_add_loop_test(tcase, call_fails_at_each_allocation_and_changes_nothing, 0,
			    sizeof(calls) / sizeof(calls[0]));
	tcase_add_test(tcase, growth_fails_at_each_step_and_goes_on);
	tcase_add_test(tcase, sides_and_ports_grow_in_spite_of_failures);
	suite_add_tcase(suite, tcase);
	return suite;
}
