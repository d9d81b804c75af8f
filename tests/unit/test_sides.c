/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sides.c - adjacencies as the packet path sees them: headers built, interned by scope, swapped by an update,
 * dead at once, reused after a grace period only.
 *
 * Neighbours: test_store.c for grace periods, store_fixture.h for the store.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "store_fixture.h"
#include "unit.h"

static struct fo_flowtable *table;

static void open_table(void)
{
	struct fo__store_options options = {.capacity = 100, .max_workers = 1, .hash = FO__HASH_FAST};

	ck_assert_int_eq(fo__store_open(&options, &table), 0);
}

static void close_table(void)
{
	fo__store_close(table);
}

static uint32_t get(uint32_t *chain, fo_adj_id id, const struct fo_adj *adj, uint16_t scope)
{
	uint32_t side = FO__NO_SIDE;

	ck_assert_int_eq(fo__side_get(table, chain, id, adj, scope, &side), 0);
	return side;
}

/* ---- headers ---- */

#define PEER 2, 0, 0, 0, 2, 7
#define OWN  2, 0, 0, 0, 1, 7

static const struct {
	unsigned int n;
	struct fo_encap encap[3];
	unsigned int length;
	uint8_t after[18]; /* after the two addresses: IPv4's protocol, PPPoE's length left zero */
	unsigned int flags;
} headers[] = {
	{0, {{0}}, 14, {8, 0}, 0},
	{1, {{FO_ENCAP_8021Q, 100, 0, 0, 0}}, 18, {0x81, 0, 0, 100, 8, 0}, 0},
	{1, {{FO_ENCAP_8021AD, 4094, 7, 1, 0}}, 18, {0x88, 0xa8, 0xff, 0xfe, 8, 0}, 0},
	{2,
	 {{FO_ENCAP_8021AD, 5, 1, 0, 0}, {FO_ENCAP_8021Q, 0x123, 0, 1, 0}},
	 22,
	 {0x88, 0xa8, 0x20, 5, 0x81, 0, 0x11, 0x23, 8, 0},
	 0},
	{1,
	 {{FO_ENCAP_PPPOE, 0xabcd, 0, 0, 0}},
	 22,
	 {0x88, 0x64, 0x11, 0, 0xab, 0xcd, 0, 0, 0, 0x21},
	 FO__ENTRY_PPPOE},
	{3,
	 {{FO_ENCAP_8021Q, 2, 0, 0, 0}, {FO_ENCAP_8021Q, 3, 0, 0, 0}, {FO_ENCAP_PPPOE, 1, 0, 0, 0}},
	 30,
	 {0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21},
	 FO__ENTRY_PPPOE},
};
#define HEADERS (sizeof(headers) / sizeof(headers[0]))

START_TEST(header_is_what_goes_on_the_wire)
{
	struct fo_adj adj = side_adj(7);
	struct fo__entry entry;

	adj.n_encaps = headers[_i].n;
	memcpy(adj.encap, headers[_i].encap, sizeof(adj.encap));
	memset(&entry, 0xff, sizeof(entry));
	fo__entry_build(&entry, &adj, 9);
	ck_assert_uint_eq(entry.header_len, headers[_i].length);
	ck_assert_mem_eq(entry.header, ((uint8_t[]){PEER, OWN}), 12);
	ck_assert_mem_eq(entry.header + 12, headers[_i].after, headers[_i].length - 12);
	ck_assert_mem_eq(entry.own_mac, adj.own_mac, 6);
	ck_assert_uint_eq(entry.flags, headers[_i].flags);
	ck_assert_uint_eq(entry.port, 7);
	ck_assert_uint_eq(entry.mtu, 1500);
	ck_assert_uint_eq(entry.scope, 9);
	/* only plain Ethernet comes and goes without a further look */
	ck_assert_uint_eq(entry.arrival, headers[_i].n ? FO__ARRIVAL_OTHER : 9);
	ck_assert_uint_eq(entry.room, headers[_i].n ? 0 : 1500);
	adj.flags = FO_ADJ_ANY_INGRESS;
	fo__entry_build(&entry, &adj, 9);
	ck_assert_uint_eq(entry.flags, headers[_i].flags | FO__ENTRY_ANY_INGRESS);
	ck_assert_uint_eq(entry.arrival, FO__ARRIVAL_OTHER);
	ck_assert_uint_eq(entry.room, headers[_i].n ? 0 : 1500);
}
END_TEST

START_TEST(ingress_words_tell_encapsulations_apart)
{
	static const struct fo_encap q = {FO_ENCAP_8021Q, 5, 0, 0, 0}, ad = {FO_ENCAP_8021AD, 5, 0, 0, 0},
				     ppp = {FO_ENCAP_PPPOE, 5, 0, 0, 0}, q6 = {FO_ENCAP_8021Q, 6, 0, 0, 0},
				     high = {FO_ENCAP_8021Q, 5, 7, 1, 0},
				     ppp2 = {FO_ENCAP_PPPOE, 65534, 0, 0, 0};
	const struct fo_encap lists[][3] = {{q},       {ad},	  {ppp},	{q6},	 {q, q},
					    {q, ad},   {ad, q},	  {q, q6},	{q6, q}, {q, ppp},
					    {ad, ppp}, {q6, ppp}, {q, q6, ppp}, {ppp2},	 {q6, q, ppp}};
	static const unsigned int length[] = {1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 1, 3};
	unsigned int n = sizeof(length) / sizeof(length[0]);

	ck_assert_uint_eq(fo__encap_word(NULL, 0), 0);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_uint_ne(fo__encap_word(lists[i], length[i]), 0);
		for (unsigned int j = 0; j < i; j++)
			ck_assert_msg(fo__encap_word(lists[i], length[i]) !=
					      fo__encap_word(lists[j], length[j]),
				      "%u and %u", i, j);
	}
	/* priority bits of what arrives are not compared */
	ck_assert_uint_eq(fo__encap_word(&high, 1), fo__encap_word(&q, 1));
}
END_TEST

/* ---- life ---- */

START_TEST(one_side_for_each_scope)
{
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, a = get(&chain, 1, &adj, 0), b = get(&chain, 1, &adj, 1);

	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(get(&chain, 1, &adj, 0), a);
	ck_assert_uint_eq(get(&chain, 1, &adj, 1), b);
	ck_assert_uint_eq(fo__side_entry(table, a)->scope, 0);
	ck_assert_uint_eq(fo__side_entry(table, b)->scope, 1);
}
END_TEST

START_TEST(an_update_reaches_all_sides_and_leaves_old_entries_to_readers)
{
	struct fo_adj adj = side_adj(1), new = side_adj(9);
	uint32_t chain = FO__NO_SIDE, a = get(&chain, 1, &adj, 0), b = get(&chain, 1, &adj, 1);
	const struct fo__entry *old = fo__side_entry(table, a);
	struct fo_worker *worker;

	ck_assert_int_eq(fo__worker_claim(table, 0, &worker), 0);
	fo__epoch_enter(&worker->epoch, &table->epoch);
	ck_assert_int_eq(fo__sides_update(table, chain, &new), 0);
	ck_assert_uint_eq(fo__side_entry(table, a)->port, 9);
	ck_assert_uint_eq(fo__side_entry(table, b)->port, 9);
	ck_assert_uint_eq(fo__side_entry(table, b)->scope, 1);
	/* whoever holds the old entry still reads the old adjacency, through further updates */
	for (unsigned int i = 0; i < 20; i++)
		ck_assert_int_eq(fo__sides_update(table, chain, &new), 0);
	ck_assert_uint_eq(old->port, 1);
	ck_assert_uint_eq(fo__entries_reclaim(table, 100), 0);
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(fo__entries_reclaim(table, 40), 40);
	ck_assert_uint_eq(fo__entries_reclaim(table, 40), 2);
	fo__worker_release(worker);
}
END_TEST

START_TEST(entries_are_reused_when_nobody_looks)
{
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side = get(&chain, 1, &adj, 0), high;

	for (uint32_t i = 0; i < 5000; i++) {
		adj.mtu = 1000 + i;
		ck_assert_int_eq(fo__sides_update(table, chain, &adj), 0);
		HOLDS(fo__side_entry(table, side)->mtu == 1000 + i);
	}
	high = table->entry_high;
	ck_assert_uint_lt(high, 16);
}
END_TEST

/* Old entries that no worker lets go are bounded: the update is refused, and nothing has changed. */
START_TEST(a_stuck_worker_stops_updates_whole)
{
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side[3], mtu = 68;
	struct fo_worker *worker;
	int err = 0;

	for (uint16_t scope = 0; scope < 3; scope++)
		side[scope] = get(&chain, 1, &adj, scope);
	ck_assert_int_eq(fo__worker_claim(table, 0, &worker), 0);
	fo__epoch_enter(&worker->epoch, &table->epoch);
	for (uint32_t i = 0; i < 200000 && !err; i++) {
		adj.mtu = 1000 + i;
		err = fo__sides_update(table, chain, &adj);
		mtu = err ? mtu : adj.mtu;
	}
	ck_assert_int_eq(err, -EAGAIN);
	for (uint16_t scope = 0; scope < 3; scope++)
		ck_assert_uint_eq(fo__side_entry(table, side[scope])->mtu, mtu);
	fo__epoch_leave(&worker->epoch);
	ck_assert_int_eq(fo__sides_update(table, chain, &adj), 0);
	ck_assert_uint_eq(fo__side_entry(table, side[2])->mtu, adj.mtu);
	fo__worker_release(worker);
}
END_TEST

START_TEST(killed_sides_are_dead_at_once_and_say_why)
{
	static const unsigned int reasons[] = {FO_R_INVALIDATED, FO_R_EGRESS_DOWN};
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side = get(&chain, 1, &adj, 0), fresh;

	fo__side_ref(table, side);
	fo__sides_kill(table, &chain, reasons[_i]);
	ck_assert_uint_eq(chain, FO__NO_SIDE);
	ck_assert(fo__side_entry(table, side)->flags & FO__ENTRY_DEAD);
	ck_assert_uint_eq(fo__side_entry(table, side)->reason, reasons[_i]);
	ck_assert_uint_eq(table->sides[side].dead, reasons[_i]);
	/* no packet is short enough for it, none comes from it */
	ck_assert_uint_eq(fo__side_entry(table, side)->mtu, 0);
	ck_assert_uint_eq(fo__side_entry(table, side)->room, 0);
	ck_assert_uint_eq(fo__side_entry(table, side)->arrival, FO__ARRIVAL_OTHER);
	/* the adjacency is usable again at once, by another side */
	fresh = get(&chain, 1, &adj, 0);
	ck_assert_uint_ne(fresh, side);
	ck_assert(!(fo__side_entry(table, fresh)->flags & FO__ENTRY_DEAD));
	ck_assert(fo__side_entry(table, side)->flags & FO__ENTRY_DEAD);
}
END_TEST

START_TEST(a_dead_side_is_reused_after_its_last_flow_and_a_grace_period)
{
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side = get(&chain, 1, &adj, 0), others[8];
	struct fo_worker *worker;

	fo__side_ref(table, side);
	fo__side_ref(table, side);
	fo__sides_kill(table, &chain, FO_R_INVALIDATED);
	ck_assert_int_eq(fo__worker_claim(table, 0, &worker), 0);
	fo__epoch_enter(&worker->epoch, &table->epoch);
	fo__side_unref(table, side);
	fo__side_unref(table, side); /* nobody refers to it, but the worker may look */
	for (uint16_t scope = 0; scope < 8; scope++) {
		others[scope] = get(&chain, 1, &adj, scope);
		ck_assert_uint_ne(others[scope], side);
		ck_assert(fo__side_entry(table, side)->flags & FO__ENTRY_DEAD);
	}
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(get(&chain, 1, &adj, 8), side);
	ck_assert_uint_eq(fo__side_entry(table, side)->scope, 8);
	fo__worker_release(worker);
}
END_TEST

START_TEST(a_side_alive_stays_without_flows)
{
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side = get(&chain, 1, &adj, 0);

	fo__side_ref(table, side);
	fo__side_unref(table, side);
	ck_assert_uint_eq(get(&chain, 1, &adj, 0), side);
	ck_assert_uint_eq(fo__side_entry(table, side)->port, 1);
}
END_TEST

/* Beyond the first room of 64 the arrays move; numbers and what they say do not. */
START_TEST(growth_keeps_numbers_and_entries)
{
	enum { N = 1000 };
	static uint32_t chain[N], side[N];
	struct fo__side_view *first = fo__load_relaxed(&table->view);
	struct fo_worker *worker;

	ck_assert_int_eq(fo__worker_claim(table, 0, &worker), 0);
	fo__epoch_enter(&worker->epoch, &table->epoch);
	for (uint32_t i = 0; i < N; i++) {
		struct fo_adj adj = side_adj(i + 1);

		chain[i] = FO__NO_SIDE;
		side[i] = get(&chain[i], i + 1, &adj, (uint16_t)(i % 7));
		for (uint32_t j = 0; j <= i; j++) {
			const struct fo__entry *entry = fo__side_entry(table, side[j]);

			HOLDS(entry->port == j + 1 && entry->scope == j % 7 &&
			      entry->own_mac[5] == (uint8_t)(j + 1));
		}
	}
	ck_assert_ptr_ne(first, fo__load_relaxed(&table->view));
	/* the worker's view is the one it began with */
	for (uint32_t j = 0; j < 60; j++)
		ck_assert_uint_eq(first->entry[fo__load_relaxed(&first->side[side[j]])].port, j + 1);
	fo__epoch_leave(&worker->epoch);
	ck_assert_uint_eq(fo__reclaim(table), 0);
	fo__worker_release(worker);
}
END_TEST

/* ---- memory ---- */

struct rationed {
	uint64_t held;
	unsigned int left;
};

static void *rationed_alloc(void *ctx, size_t size, size_t align)
{
	struct rationed *rationed = ctx;
	void *ptr = NULL;

	if (!rationed->left)
		return NULL;
	rationed->left--;
	ck_assert_int_eq(posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size), 0);
	rationed->held += size;
	return ptr;
}

static void rationed_free(void *ctx, void *ptr, size_t size)
{
	((struct rationed *)ctx)->held -= size;
	free(ptr);
}

START_TEST(growth_without_memory_changes_nothing)
{
	struct rationed memory = {.left = UINT32_MAX};
	struct fo_allocator hook = {rationed_alloc, rationed_free, &memory};
	struct fo__store_options options = {
		.capacity = 10, .max_workers = 1, .hash = FO__HASH_FAST, .allocator = &hook};
	struct fo_adj adj = side_adj(1);
	uint32_t chain = FO__NO_SIDE, side = FO__NO_SIDE, n = 0, first;
	int err;

	ck_assert_int_eq(fo__store_open(&options, &table), 0);
	first = get(&chain, 1, &adj, 0);
	for (unsigned int ration = 0; ration < 4; ration++) {
		uint64_t held = memory.held;

		memory.left = ration;
		while (!(err = fo__side_get(table, &chain, 1, &adj, (uint16_t)(n + 1), &side)))
			n++;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_uint_eq(side == FO__NO_SIDE, n == 0);
		ck_assert_uint_eq(memory.held, held);
	}
	memory.left = UINT32_MAX;
	ck_assert_int_eq(fo__side_get(table, &chain, 1, &adj, (uint16_t)(n + 1), &side), 0);
	ck_assert_uint_eq(get(&chain, 1, &adj, 0), first);
	fo__store_close(table);
	ck_assert_uint_eq(memory.held, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("sides");
	TCase *headers_case = tcase_create("headers"), *cases = tcase_create("life"),
	      *memory = tcase_create("memory");

	tcase_add_loop_test(headers_case, header_is_what_goes_on_the_wire, 0, (int)HEADERS);
	tcase_add_test(headers_case, ingress_words_tell_encapsulations_apart);
	suite_add_tcase(suite, headers_case);
	tcase_add_checked_fixture(cases, open_table, close_table);
	tcase_add_test(cases, one_side_for_each_scope);
	tcase_add_test(cases, an_update_reaches_all_sides_and_leaves_old_entries_to_readers);
	tcase_add_test(cases, entries_are_reused_when_nobody_looks);
	tcase_add_test(cases, a_stuck_worker_stops_updates_whole);
	tcase_add_loop_test(cases, killed_sides_are_dead_at_once_and_say_why, 0, 2);
	tcase_add_test(cases, a_dead_side_is_reused_after_its_last_flow_and_a_grace_period);
	tcase_add_test(cases, a_side_alive_stays_without_flows);
	tcase_add_test(cases, growth_keeps_numbers_and_entries);
	suite_add_tcase(suite, cases);
	tcase_add_test(memory, growth_without_memory_changes_nothing);
	suite_add_tcase(suite, memory);
	return suite;
}
