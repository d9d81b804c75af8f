/* SPDX-License-Identifier: BSD-2-Clause */
/* store_fixture.h - a flow store with two sides, and connections numbered so that a test can make each again.
 *
 * Used by test_store.c, test_model.c, test_counters.c, test_sides.c; the random draws by test_index.c and
 * test_hash.c too. Draws are of a fixed sequence: a failure repeats.
 */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include <check.h>
#include <string.h>

#include "flowtable/flowtable.h"

/* ck_assert() writes a mark each time; this one only speaks up when it fails, for checks by the million. */
#define HOLDS(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			ck_abort_msg("does not hold: %s", #condition);                                       \
	} while (0)

/* splitmix64 */
struct draw {
	uint64_t state;
};

static inline uint64_t draw_next(struct draw *draw)
{
	uint64_t z = draw->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t draw_below(struct draw *draw, uint32_t n)
{
	return (uint32_t)(draw_next(draw) % n);
}

static inline struct fo_adj side_adj(uint32_t port)
{
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = port;
	adj.mtu = 1500;
	memcpy(adj.own_mac, "\x02\x00\x00\x00\x01", 5);
	memcpy(adj.peer_mac, "\x02\x00\x00\x00\x02", 5);
	adj.own_mac[5] = adj.peer_mac[5] = (uint8_t)port;
	return adj;
}

#define SCOPES 3u

struct store {
	struct fo_flowtable *table;
	uint32_t chain[2];	  /* sides of the two adjacencies */
	uint32_t side[2][SCOPES]; /* by adjacency and scope */
};

static inline void store_open_with(struct store *store, const struct fo__store_options *options)
{
	ck_assert_int_eq(fo__store_open(options, &store->table), 0);
	for (unsigned int end = 0; end < 2; end++) {
		struct fo_adj adj = side_adj(end + 1);

		store->chain[end] = FO__NO_SIDE;
		for (uint16_t scope = 0; scope < SCOPES; scope++)
			ck_assert_int_eq(fo__side_get(store->table, &store->chain[end], end + 1, &adj, scope,
						      &store->side[end][scope]),
					 0);
	}
}

static inline void store_open(struct store *store, uint32_t capacity, uint32_t workers, uint32_t hash)
{
	struct fo__store_options options = {.capacity = capacity, .max_workers = workers, .hash = hash};

	store_open_with(store, &options);
}

/* Connection number n: even ones IPv4, odd ones IPv6, SNAT with a port of its own; scope n mod SCOPES. */
static inline uint16_t numbered_scope(uint32_t n)
{
	return (uint16_t)(n % SCOPES);
}

static inline struct fo_flow numbered_flow(uint32_t n)
{
	struct fo_flow flow;
	unsigned int at = n % 2 ? 12 : 0;

	FO_INIT(&flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		flow.tuple[dir].family = n % 2 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
		flow.tuple[dir].proto = n % 4 < 2 ? 6 : 17;
		if (n % 2) {
			memcpy(flow.tuple[dir].src, "\x20\x01\x0d\xb8", 4);
			memcpy(flow.tuple[dir].dst, "\x20\x01\x0d\xb8", 4);
		}
	}
	memcpy(flow.tuple[0].src + at, (uint8_t[]){10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}, 4);
	memcpy(flow.tuple[0].dst + at, (uint8_t[]){198, 51, 100, 1}, 4);
	flow.tuple[0].sport_be = (uint16_t)(n * 7 + 1);
	flow.tuple[0].dport_be = 0x5000;
	memcpy(flow.tuple[1].src + at, flow.tuple[0].dst + at, 4);
	memcpy(flow.tuple[1].dst + at, (uint8_t[]){203, 0, (uint8_t)(113 + (n >> 16)), 9}, 4);
	flow.tuple[1].sport_be = 0x5000;
	flow.tuple[1].dport_be = (uint16_t)n;
	flow.user = n;
	flow.scope = numbered_scope(n);
	return flow;
}

/* What fo__conn_prepare() and fo__conn_publish() said of connection n. */
static inline int store_add(struct store *store, uint32_t n, uint32_t now_ms, uint32_t *conn)
{
	struct fo_flow flow = numbered_flow(n);
	struct fo__conn_spec spec = {.flow = &flow,
				     .in = {store->side[0][flow.scope], store->side[1][flow.scope]},
				     .now_ms = now_ms};
	int err = fo__conn_prepare(store->table, &spec, conn);

	if (err)
		return err;
	err = fo__conn_publish(store->table, *conn);
	if (err)
		fo__conn_abandon(store->table, *conn);
	return err;
}

/* The whole end of a connection, no worker being in a burst. */
static inline void store_end(struct store *store, uint32_t conn)
{
	fo__conn_close(store->table, conn, FO_R_DELETED);
	HOLDS(fo__conn_drain(store->table, conn));
	fo__conn_unlink(store->table, conn);
	fo__conn_retire(store->table, conn);
}

/* How often a direction of connection n is found; *last is the latest direction number. */
static inline unsigned int store_found(const struct store *store, uint32_t n, unsigned int dir,
				       uint32_t *last)
{
	struct fo_flow flow = numbered_flow(n);
	struct fo__search search;
	unsigned int found = 0;
	uint32_t hit;

	fo__search_begin(store->table, &search, &flow.tuple[dir], flow.scope);
	while ((hit = fo__search_next(store->table, &search)) != FO__NO_DIR) {
		*last = hit;
		found++;
	}
	return found;
}

/* Both directions of n are found once, at conn. */
static inline void store_check_present(const struct store *store, uint32_t n, uint32_t conn)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t hit = FO__NO_DIR;

		HOLDS(store_found(store, n, dir, &hit) == 1);
		HOLDS(hit == conn * 2 + dir);
	}
}

static inline void store_check_absent(const struct store *store, uint32_t n)
{
	uint32_t hit = FO__NO_DIR;

	HOLDS(!store_found(store, n, 0, &hit));
	HOLDS(!store_found(store, n, 1, &hit));
}

#endif
