/* SPDX-License-Identifier: BSD-2-Clause */
/* test_twins.c - flows with one tuple, told apart by their ingress: what is counted of them, and which changes of an
 * adjacency's ingress are refused on account of it.
 *
 * The counts are compared with what a look at every two directions finds, after each step of a random history.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/table.h"
#include "unit.h"

#define ADJS   5u
#define TUPLES 3u
#define ROOM   200u

static struct fo_table *table;
static struct fo_worker *worker;
static fo_adj_id adjs[ADJS];
static fo_flow_id ids[ROOM];
static unsigned int n_ids;
static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((state >> 33) % n);
}

static struct fo_adj adj_of(unsigned int vlan, unsigned int next_hop)
{
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = 1;
	adj.mtu = 1500;
	memcpy(adj.own_mac, "\2\0\0\0\1\1", 6);
	memcpy(adj.peer_mac, "\2\0\0\0\2", 5);
	adj.peer_mac[5] = (uint8_t)(1 + next_hop);
	adj.n_encaps = 1;
	adj.encap[0].kind = FO_ENCAP_8021Q;
	adj.encap[0].id = (uint16_t)vlan;
	return adj;
}

static void set_up(void)
{
	struct fo_table_options options;
	struct fo_port port;

	FO_INIT(&port);
	port.port = 1;
	FO_INIT(&options);
	options.backend = "soft";
	options.capacity = 1000;
	options.max_workers = 1;
	options.ports = &port;
	options.n_ports = 1;
	ck_assert_int_eq(fo_table_create(&options, &table, NULL), 0);
	ck_assert_int_eq(fo_worker_open(table, NULL, &worker, NULL), 0);
	for (unsigned int i = 0; i < ADJS; i++) {
		struct fo_adj adj = adj_of(10 + i, i);

		ck_assert_int_eq(fo_adj_add(table, &adj, &adjs[i], NULL), 0);
	}
	n_ids = 0;
}

static void tear_down(void)
{
	fo_worker_close(worker);
	fo_table_destroy(table);
	table = NULL;
}

/* Originator's tuple one of a few; the reply's is told apart by a port when it must be. */
static int add(unsigned int tuple, unsigned int reply, unsigned int from, unsigned int to, fo_flow_id *id)
{
	struct fo_flow flow;

	FO_INIT(&flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		flow.tuple[dir].family = FO_FAMILY_IPV4;
		flow.tuple[dir].proto = 17;
		memcpy(flow.tuple[dir].src, dir ? "\306\63\144\1" : "\12\0\0\1", 4);
		memcpy(flow.tuple[dir].dst, dir ? "\12\0\0\1" : "\306\63\144\1", 4);
	}
	flow.tuple[0].sport_be = htons((uint16_t)(1000 + tuple));
	flow.tuple[0].dport_be = flow.tuple[1].sport_be = htons(53);
	flow.tuple[1].dport_be = htons((uint16_t)(1000 + reply));
	flow.adj[0] = adjs[from];
	flow.adj[1] = adjs[to];
	flow.timeout_ms = FO_TIMEOUT_NEVER;
	return fo_flow_add(table, &flow, id, NULL);
}

static int move_to(unsigned int i, unsigned int vlan)
{
	struct fo_adj adj = adj_of(vlan, i);

	return fo_adj_update(table, adjs[i], &adj, NULL);
}

/* ---- the counts ---- */

static int is_there(uint32_t conn)
{
	uint8_t life = table->store->cold[conn].life;

	return life == FO__LIFE_LIVE || life == FO__LIFE_DRAIN || life == FO__LIFE_ENDED;
}

static int same_key(uint32_t a, uint32_t b)
{
	struct fo_tuple of_a, of_b;

	fo__conn_tuple(table->store, a >> 1, (enum fo_dir)(a & 1), &of_a);
	fo__conn_tuple(table->store, b >> 1, (enum fo_dir)(b & 1), &of_b);
	return !memcmp(&of_a, &of_b, sizeof(of_a)) &&
	       fo__conn_scope(table->store, a >> 1) == fo__conn_scope(table->store, b >> 1);
}

static uint32_t side_of(uint32_t dir)
{
	return fo__meta_side(fo__load_relaxed(&table->store->lines[dir].meta));
}

static void look(uint32_t a, uint32_t b, uint32_t *pairs, uint32_t *living)
{
	*pairs = *living = 0;
	for (uint32_t i = 0; i < 2 * table->store->high; i++)
		for (uint32_t j = 0; j < 2 * table->store->high; j++) {
			if (i >> 1 == j >> 1 || side_of(i) != a || side_of(j) != b || !is_there(i >> 1) ||
			    !is_there(j >> 1) || !same_key(i, j) || (a == b && i > j))
				continue;
			++*pairs;
			*living += table->store->cold[i >> 1].life == FO__LIFE_LIVE &&
				   table->store->cold[j >> 1].life == FO__LIFE_LIVE;
		}
}

static void check_counts(void)
{
	const struct fo__side *sides = table->store->sides;
	uint32_t known = 0, links = 0;

	for (uint32_t a = 0; a < table->store->side_high; a++) {
		for (const struct fo__twin *twin = sides[a].twins; twin;
		     twin = twin->next[fo__twin_at(twin, a)])
			links++;
		for (uint32_t b = a; b < table->store->side_high; b++) {
			const struct fo__twin *twin = sides[a].twins;
			uint32_t pairs, living;

			while (twin && twin->side[1 - fo__twin_at(twin, a)] != b)
				twin = twin->next[fo__twin_at(twin, a)];
			look(a, b, &pairs, &living);
			ck_assert_uint_eq(twin ? twin->pairs : 0, pairs);
			ck_assert_uint_eq(twin ? twin->living : 0, living);
			known += twin != NULL;
		}
	}
	ck_assert_uint_eq(table->store->twins.known, known);
	ck_assert_uint_eq(links, 2 * known);
}

static void forget(unsigned int at)
{
	ids[at] = ids[--n_ids];
}

static void step(void)
{
	unsigned int dice = below(20), at = n_ids ? below(n_ids) : 0, other = below(ADJS);
	struct fo_flow_counters last;
	struct fo_match match;
	struct fo_flow flow;

	FO_INIT(&last);
	FO_INIT(&match);
	FO_INIT(&flow);
	if (dice < 9 && n_ids < ROOM) {
		n_ids += add(below(TUPLES), below(ROOM), other, below(ADJS), &ids[n_ids]) == 0;
	} else if (dice < 12 && n_ids) {
		(void)fo_flow_del(table, ids[at], dice % 2 ? &last : NULL, NULL);
		forget(at);
	} else if (dice < 14 && n_ids) {
		flow.adj[0] = adjs[other];
		flow.adj[1] = adjs[below(ADJS)];
		(void)fo_flow_update(table, ids[at], FO_UPDATE_ADJ, &flow, NULL);
	} else if (dice < 16) {
		(void)move_to(other, 10 + below(2 * ADJS));
	} else if (dice < 17) {
		match.mask = FO_MATCH_ADJ;
		match.adj = adjs[other];
		(void)fo_invalidate(table, &match, NULL);
	} else if (dice < 18) {
		fo__rotate(table->store);
	} else if (dice < 19) {
		fo__epoch_enter(&worker->epoch, &table->store->epoch);
	} else {
		fo__epoch_leave(&worker->epoch);
		(void)fo_table_poll(table, 0, 0, NULL, NULL, NULL);
	}
}

START_TEST(counts_are_those_of_a_look_at_all)
{
	unsigned int most = 0;

	state = (uint64_t)_i;
	set_up();
	for (unsigned int i = 0; i < 150; i++) {
		step();
		check_counts();
		most = table->store->twins.known > most ? table->store->twins.known : most;
	}
	ck_assert_uint_gt(most, 2);
	fo__epoch_leave(&worker->epoch);
	tear_down();
}
END_TEST

/* ---- what is refused ---- */

START_TEST(a_shared_ingress_is_no_conflict_by_itself)
{
	fo_flow_id id;

	set_up();
	ck_assert_int_eq(add(0, 0, 0, 4, &id), 0);
	ck_assert_int_eq(add(1, 1, 1, 4, &id), 0);
	ck_assert_int_eq(move_to(1, 10), 0);
	tear_down();
}
END_TEST

START_TEST(one_tuple_on_both_is_a_conflict_until_one_is_gone)
{
	struct fo_flow_counters last;
	fo_flow_id id[2];

	set_up();
	FO_INIT(&last);
	ck_assert_int_eq(add(0, 0, 0, 4, &id[0]), 0);
	ck_assert_int_eq(add(0, 1, 1, 4, &id[1]), 0);
	ck_assert_int_eq(move_to(1, 10), -EEXIST);
	ck_assert_int_eq(move_to(0, 11), -EEXIST);
	ck_assert_int_eq(move_to(2, 10), 0); /* nobody uses it */
	ck_assert_int_eq(move_to(1, 20), 0); /* nobody is there */
	ck_assert_int_eq(move_to(0, 20), -EEXIST);
	ck_assert_int_eq(fo_flow_del(table, id[_i], NULL, NULL), 0);
	ck_assert_int_eq(move_to(0, 20), -EBUSY);
	ck_assert_int_eq(fo_table_poll(table, 0, 0, NULL, NULL, NULL), 1);
	ck_assert_int_eq(move_to(0, 20), 0);
	tear_down();
}
END_TEST

/* A worker's burst keeps the idle flow from ending: alive again, it is a conflict again. */
START_TEST(a_revived_flow_counts_again)
{
	struct fo_flowtable *store;
	fo_flow_id id[2];
	uint32_t conn;

	set_up();
	store = table->store;
	ck_assert_int_eq(add(0, 0, 0, 4, &id[0]), 0);
	ck_assert_int_eq(add(0, 1, 1, 4, &id[1]), 0);
	conn = (uint32_t)id[0];
	fo__conn_close(store, conn, FO_R_IDLE);
	check_counts();
	ck_assert_int_eq(move_to(0, 11), -EBUSY);
	fo__conn_revive(store, conn, 1);
	check_counts();
	ck_assert_int_eq(move_to(0, 11), -EEXIST);
	tear_down();
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("twins");
	TCase *cases = tcase_create("twins");

	tcase_add_loop_test(cases, counts_are_those_of_a_look_at_all, 1, 21);
	tcase_add_test(cases, a_shared_ingress_is_no_conflict_by_itself);
	tcase_add_loop_test(cases, one_tuple_on_both_is_a_conflict_until_one_is_gone, 0, 2);
	tcase_add_test(cases, a_revived_flow_counts_again);
	suite_add_tcase(suite, cases);
	return suite;
}
