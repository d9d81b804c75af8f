/* SPDX-License-Identifier: BSD-2-Clause */
/* test_idle_close.c - a flow that looked idle while a worker was in a burst: what the worker did in it decides.
 *
 * The worker is a place whose epoch and whose writes are the test's own. Neighbours: test_store.c, the grace periods;
 * the conformance suite, ageing as a caller sees it.
 */
#include "core/table.h"
#include "samples.h"
#include "unit.h"

#define TIMEOUT_MS 5000u

static uint64_t now_ms = 1;

static uint64_t read_clock(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static struct fo_table *open_table(fo_adj_id adj[2])
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_table *table;

	FO_INIT(&options);
	for (uint32_t i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = "soft";
	options.capacity = 16;
	options.max_workers = 1;
	options.clock_ms = read_clock;
	options.ports = ports;
	options.n_ports = 2;
	ck_assert_int_eq(fo_table_create(&options, &table, NULL), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct fo_adj side = plain_adj(i + 1);

		ck_assert_int_eq(fo_adj_add(table, &side, &adj[i], NULL), 0);
	}
	return table;
}

static void note_kind(void *arg, const struct fo_event *event)
{
	*(uint32_t *)arg = event->kind;
}

static uint32_t poll_kind(struct fo_table *table)
{
	uint32_t kind = UINT32_MAX;

	ck_assert_int_ge(fo_table_poll(table, 0, 1000, note_kind, &kind, NULL), 0);
	return kind;
}

/* One packet was under way when the flow was taken for idle; with it came nothing, a FIN, an RST. */
START_TEST(an_idle_flow_with_a_packet_under_way_lives_unless_it_closed)
{
	static const uint32_t bits[] = {0, FO__CTL_FIN, FO__CTL_RST};
	static const uint32_t kinds[] = {UINT32_MAX, FO_EV_CLOSED, FO_EV_CLOSED};
	struct fo_flow flow = good_flow();
	struct fo_table *table = open_table(flow.adj);
	struct fo_flowtable *store = table->store;
	struct fo_worker *worker;
	fo_flow_id id;

	flow.timeout_ms = TIMEOUT_MS;
	ck_assert_int_eq(fo_flow_add(table, &flow, &id, NULL), 0);
	ck_assert_int_eq(fo_worker_open(table, NULL, &worker, NULL), 0);
	fo__epoch_enter(&worker->epoch, &store->epoch);
	now_ms += 20000;
	ck_assert_uint_eq(poll_kind(table), UINT32_MAX);
	ck_assert_uint_eq(store->cold[(uint32_t)id].life, FO__LIFE_DRAIN);

	for (uint32_t dir = 0; dir < 2; dir++) {
		struct fo__line *line = &store->lines[(uint32_t)id * 2 + dir];

		fo__store_relaxed(&line->last_ms, (uint32_t)now_ms);
		atomic_fetch_or(&line->ctl, bits[_i]);
	}
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(poll_kind(table), kinds[_i]);
	ck_assert_uint_eq(store->living, bits[_i] ? 0 : 1);
	fo_worker_close(worker);
	fo_table_destroy(table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("idle_close");
	TCase *cases = tcase_create("burst");

	suite_add_tcase(suite, cases);
	tcase_add_loop_test(cases, an_idle_flow_with_a_packet_under_way_lives_unless_it_closed, 0, 3);
	return suite;
}
