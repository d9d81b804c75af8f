/* SPDX-License-Identifier: BSD-2-Clause */
/* attack.c - connections chosen by somebody who knows the code but not the secret, against random ones: the time of
 * fo_flow_add() while a table fills with them, growth included, and of their packets. n counts connections; IPv4, UDP.
 *
 *   random        addresses and ports drawn
 *   sequential    one client, one server; ports count
 *   low-bits      differences in the lowest bits of each field alone
 *   high-bits     differences in the highest bits that the attacker has
 *   zero-secret   both directions in one of PARTS parts of the index, had the hash's secret been zero
 *   other-secret  the same for a secret drawn by another table
 *
 * Ratios are to the random set: 1.5 is half as slow again. An add that is refused because the index is crowded is
 * tried again after a poll, in the time measured, which for adds is the thread's own. Every packet must be forwarded and become what it must.
 */
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "cores.h"
#include "flowtable/key.h"
#include "library.h"
#include "traffic.h"

#define PARTS 32u
#define TRIES 100u

struct pair {
	uint8_t src[4], dst[4];
	uint8_t sport[2], dport[2];
};

enum set { RANDOM, SEQUENTIAL, LOW_BITS, HIGH_BITS, ZERO_SECRET, OTHER_SECRET, SETS };

static const char *const names[SETS] = {"random",    "sequential",  "low-bits",
					"high-bits", "zero-secret", "other-secret"};

struct party {
	struct net net;
	struct population population;
	struct library library;
	struct fo_worker *worker;
	struct pair *pairs;
};

static struct party parties[SETS];
static struct traffic traffic;
static struct bench_draw order;

/* ---- the sets ---- */

static void tuples_of(const void *set, struct fo_flow *flow, uint32_t n)
{
	const struct pair *pair = (const struct pair *)set + n;
	struct fo_tuple *to = &flow->tuple[0], *back = &flow->tuple[1];

	to->family = back->family = FO_FAMILY_IPV4;
	to->proto = back->proto = 17;
	memcpy(to->src, pair->src, 4);
	memcpy(to->dst, pair->dst, 4);
	memcpy(&to->sport_be, pair->sport, 2);
	memcpy(&to->dport_be, pair->dport, 2);
	memcpy(back->src, to->dst, 4);
	memcpy(back->dst, to->src, 4);
	back->sport_be = to->dport_be;
	back->dport_be = to->sport_be;
}

static void draw_pair(struct bench_draw *draw, struct pair *pair)
{
	uint64_t bits = bench_draw(draw), more = bench_draw(draw);

	memcpy(pair, &bits, 8);
	memcpy(pair->sport, &more, 4);
	pair->src[0] = 10;
	pair->dst[0] = 45;
	/* no port is zero, no address the network's */
	pair->sport[1] |= 1;
	pair->dport[1] |= 1;
	pair->src[3] |= 1;
	pair->dst[3] |= 1;
}

static void count_pair(struct pair *pair, uint32_t n)
{
	*pair = (struct pair){{10, 0, 0, 1}, {45, 0, 0, 1}, {0, 0}, {0, 0}};
	pair->sport[0] = (uint8_t)(n >> 8);
	pair->sport[1] = (uint8_t)n;
	pair->dport[0] = (uint8_t)((n >> 16) + 1);
	pair->dport[1] = 1;
	if (!pair->sport[0] && !pair->sport[1])
		pair->dport[1] = 2, pair->sport[1] = 1;
}

static void low_pair(struct pair *pair, uint32_t n)
{
	*pair = (struct pair){{10, 0, 0, 32}, {45, 0, 0, 32}, {0, 64}, {0, 64}};
	pair->src[3] |= n & 31;
	pair->dst[3] |= n >> 5 & 31;
	pair->sport[1] |= n >> 10 & 31;
	pair->dport[1] |= n >> 15 & 63;
}

static void high_pair(struct pair *pair, uint32_t n)
{
	*pair = (struct pair){{10, 0, 0, 1}, {45, 0, 0, 1}, {0, 1}, {0, 1}};
	pair->src[1] = (uint8_t)(n << 3);
	pair->dst[1] = (uint8_t)(n >> 5 << 3);
	pair->sport[0] = (uint8_t)(n >> 10 << 3);
	pair->dport[0] = (uint8_t)(n >> 15 << 2);
}

/* Are both directions in the first part of an index with this secret? */
static int in_first_part(const struct pair *pair, const struct fo__secret *secret)
{
	struct fo_flow flow;

	memset(&flow, 0, sizeof(flow));
	tuples_of(pair, &flow, 0);
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__key key;

		fo__key_of_tuple(&key, &flow.tuple[dir], 0);
		if (fo__key_hash(&key, secret) >> 32 >= UINT64_C(0x100000000) / PARTS)
			return 0;
	}
	return 1;
}

static void choose(enum set set, struct pair *pairs, uint32_t count)
{
	struct fo__secret secret = {{0}, FO__HASH_FAST};
	struct bench_draw draw = {.state = (uint64_t)set << 32};

	if (set == OTHER_SECRET && fo__secret_draw(&secret, FO__HASH_FAST))
		bench_fail("no randomness");
	for (uint32_t n = 0; n < count; n++)
		switch (set) {
		case SEQUENTIAL:
			count_pair(&pairs[n], n);
			break;
		case LOW_BITS:
			low_pair(&pairs[n], n);
			break;
		case HIGH_BITS:
			high_pair(&pairs[n], n);
			break;
		default:
			do {
				draw_pair(&draw, &pairs[n]);
			} while (set != RANDOM && !in_first_part(&pairs[n], &secret));
		}
}

/* ---- adds ---- */

static void add(const struct party *party, const struct fo_flow *flow)
{
	struct fo_error error;
	fo_flow_id id;
	int err = fo_flow_add(party->library.table, flow, &id, &error);

	for (unsigned int i = 0; i < TRIES && (err == -ENOSPC || err == -EAGAIN); i++) {
		library_check(fo_table_poll(party->library.table, 0, 0, NULL, NULL, &error) < 0, &error);
		err = fo_flow_add(party->library.table, flow, &id, &error);
	}
	library_check(err, &error);
}

static double fill_round(void *ctx)
{
	static struct fo_flow flows[BENCH_CHUNK];
	struct party *party = ctx;
	uint32_t connections = party->population.connections;
	uint64_t spent = 0;

	library_create(&party->library, &party->net, connections, NULL);
	for (uint32_t first = 0; first < connections; first += BENCH_CHUNK) {
		uint32_t count = connections - first < BENCH_CHUNK ? connections - first : BENCH_CHUNK;
		uint64_t begin;

		for (uint32_t i = 0; i < count; i++)
			library_flow(&party->library, &flows[i], first + i);
		begin = cores_cpu_now();
		for (uint32_t i = 0; i < count; i++)
			add(party, &flows[i]);
		spent += cores_cpu_now() - begin;
	}
	library_destroy(&party->library);
	return (double)spent / connections;
}

/* ---- packets ---- */

static void prepare(void *ctx)
{
	const struct party *party = ctx;

	traffic.population = &party->population;
	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		traffic_put(&traffic, i, bench_below(&order, 2 * party->population.connections), 0,
			    FRAME_LENGTH);
}

static void run(void *ctx)
{
	const struct party *party = ctx;

	for (unsigned int i = 0; i < BENCH_CHUNK; i += BENCH_BURST)
		(void)fo_worker_run(party->worker, traffic.packets + i, BENCH_BURST, TRAFFIC_NOW_MS);
}

static double packet_round(void *ctx)
{
	double ns = bench_chunks(prepare, run, ctx);

	traffic_verify(&traffic, "worker", 0, BENCH_CHUNK);
	return ns;
}

static void warm_up(void *ctx)
{
	struct party *party = ctx;

	for (uint64_t done = 0; done < 4 * (uint64_t)party->population.connections; done += BENCH_CHUNK) {
		prepare(ctx);
		run(ctx);
		traffic_verify(&traffic, "worker", 0, BENCH_CHUNK);
	}
}

static void fill(struct party *party)
{
	library_create(&party->library, &party->net, party->population.connections, NULL);
	for (uint32_t n = 0; n < party->population.connections; n++) {
		struct fo_flow flow;

		library_flow(&party->library, &flow, n);
		add(party, &flow);
	}
	library_settle(&party->library);
	party->worker = library_worker(&party->library);
}

static void run_size(uint32_t connections, const struct bench_options *options)
{
	struct contestant adds[SETS], packets[SETS];

	for (unsigned int set = 0; set < SETS; set++) {
		struct party *party = &parties[set];

		party->pairs = bench_memory(connections * sizeof(*party->pairs));
		choose((enum set)set, party->pairs, connections);
		party->net = (struct net){.clients = 1, .tuples = tuples_of, .set = party->pairs};
		population_open(&party->population, &party->net, connections);
		adds[set] = (struct contestant){names[set], fill_round, NULL, party, NULL};
		packets[set] = (struct contestant){names[set], packet_round, warm_up, party, NULL};
	}
	traffic_open(&traffic, &parties[0].population, BENCH_CHUNK, FRAME_LENGTH);
	if (bench_wanted(options, "v4-add") &&
	    bench_case("attack", "v4-add", connections, options, adds, SETS))
		bench_fail("no memory");
	for (unsigned int set = 0; set < SETS; set++)
		fill(&parties[set]);
	if (bench_wanted(options, "v4-packet") &&
	    bench_case("attack", "v4-packet", connections, options, packets, SETS))
		bench_fail("no memory");
	traffic_close(&traffic);
	for (unsigned int set = 0; set < SETS; set++) {
		fo_worker_close(parties[set].worker);
		library_destroy(&parties[set].library);
		population_close(&parties[set].population);
		bench_memory_free(parties[set].pairs, connections * sizeof(struct pair));
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_options_read(&options, argc, argv, "100000");
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++) {
		if (options.sizes[i] > 1u << 20)
			bench_fail("the sets have 2^20 connections at most");
		run_size(options.sizes[i], &options);
	}
	return 0;
}
