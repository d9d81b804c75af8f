/* SPDX-License-Identifier: BSD-2-Clause */
/* test_burst.c - packets run in bursts of any size leave as they do when each is run alone: verdict, reason, bytes,
 * place, counters; at any alignment; with packets among them that pass for every reason, and FIN in between.
 *
 * That each alone is right, the conformance suite says. Neighbours: store_fixture.h for the store and its connections.
 */
#include <check.h>

#include "store_fixture.h"
#include "unit.h"

#define FLOWS	400u
#define LARGEST 130u
#define HEAD	64u
#define ROOM	256u
#define NOW_MS	77u

/* One store takes packets one by one, the other in bursts. */
struct party {
	struct store store;
	struct fo_worker *worker;
	struct fo_packet packets[LARGEST];
	uint8_t buffers[LARGEST][ROOM];
};

static struct party alone, burst;

static void open_party(struct party *party)
{
	store_open(&party->store, FLOWS, 1, FO__HASH_FAST);
	for (uint32_t n = 0; n < FLOWS; n++) {
		uint32_t conn;

		ck_assert_int_eq(store_add(&party->store, n, 1, &conn), 0);
		ck_assert_uint_eq(conn, n);
	}
	ck_assert_int_eq(fo__worker_claim(party->store.table, FO_WORKER_FLOW_IDS, &party->worker), 0);
}

static void close_party(struct party *party)
{
	fo__worker_release(party->worker);
	fo__store_close(party->store.table);
}

static void open_both(void)
{
	open_party(&alone);
	open_party(&burst);
}

static void close_both(void)
{
	close_party(&alone);
	close_party(&burst);
}

/* ---- frames ---- */

static uint8_t *put(uint8_t *at, const void *from, size_t length)
{
	memcpy(at, from, length);
	return at + length;
}

static uint8_t *put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

enum spoilt { GOOD, MISS, FIN, PORT, MAC, TAG, TTL, SHORT, ARP, GSO, SCOPE, SPOILT };

/* A frame of direction dir of connection n, good or spoilt, of payload bytes more than headers. Checksums are whatever the
 * draw says: both parties must carry them on alike. */
static void make_packet(struct draw *draw, struct fo_packet *packet, uint8_t *data)
{
	uint32_t n = draw_below(draw, FLOWS), payload = draw_below(draw, 40);
	unsigned int dir = draw_below(draw, 2), tcp, v6, spoilt = draw_below(draw, 3 * SPOILT);
	struct fo_flow flow = numbered_flow(spoilt == MISS ? n + FLOWS : n);
	const struct fo_tuple *tuple = &flow.tuple[dir];
	struct fo_adj adj = side_adj(dir + 1);
	uint8_t *at = data, *l3, *l4;

	v6 = tuple->family == FO_FAMILY_IPV6;
	tcp = tuple->proto == 6;
	payload += tcp ? 20 : 8;
	adj.own_mac[4] ^= spoilt == MAC;
	at = put(at, adj.own_mac, 6);
	at = put(at, adj.peer_mac, 6);
	if (spoilt == TAG)
		at = put16(put16(at, 0x8100), 5);
	l3 = at = put16(at, spoilt == ARP ? 0x0806 : v6 ? 0x86dd : 0x0800);
	for (unsigned int i = 0; i < 100; i++)
		l3[i] = (uint8_t)draw_next(draw);
	if (v6) {
		l3[0] = 0x60;
		put16(l3 + 4, payload);
		l3[6] = tuple->proto;
		l3[7] = spoilt == TTL ? 1 : 64;
		at = put(put(l3 + 8, tuple->src, 16), tuple->dst, 16);
	} else {
		l3[0] = 0x45;
		put16(l3 + 2, 20 + payload);
		put16(l3 + 6, 0x4000);
		l3[8] = spoilt == TTL ? 1 : 64;
		l3[9] = tuple->proto;
		at = put(put(l3 + 12, tuple->src, 4), tuple->dst, 4);
	}
	l4 = at;
	at = put(put(at, &tuple->sport_be, 2), &tuple->dport_be, 2);
	if (tcp)
		put16(l4 + 12, 0x5010 | (spoilt == FIN && !draw_below(draw, 50)));
	else
		put16(at, payload);
	*packet = (struct fo_packet){.data = data,
				     .headroom = HEAD,
				     .contiguous = (uint32_t)(l4 - data) + payload,
				     .in_port = dir + 1 + 7 * (spoilt == PORT),
				     .scope = (uint16_t)(flow.scope + (spoilt == SCOPE)),
				     .user = n};
	packet->length = packet->contiguous + draw_below(draw, 3);
	packet->contiguous -= spoilt == SHORT ? payload - 7 : 0;
	if (spoilt == GSO) {
		packet->flags = FO_PKT_GSO | FO_PKT_CSUM_PARTIAL;
		packet->gso_size = (uint16_t)draw_below(draw, 100);
		packet->csum_start = (uint16_t)(l4 - data);
		packet->csum_offset = tcp ? 16 : 6;
	}
}

/* ---- both parties, compared ---- */

static void compare_packets(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct fo_packet a = alone.packets[i], b = burst.packets[i];

		HOLDS(a.data - alone.buffers[i] == b.data - burst.buffers[i]);
		b.data = a.data;
		HOLDS(!memcmp(&a, &b, sizeof(a)));
		HOLDS(!memcmp(alone.buffers[i], burst.buffers[i], ROOM));
		HOLDS(a.verdict == FO_FORWARD || a.reason != FO_R_NONE);
	}
}

static void run_both(struct draw *draw, unsigned int n, unsigned int offset)
{
	unsigned int forwarded = 0;

	memset(alone.buffers, 0, sizeof(alone.buffers));
	for (unsigned int i = 0; i < n; i++)
		make_packet(draw, &alone.packets[i], alone.buffers[i] + HEAD + offset);
	memcpy(burst.buffers, alone.buffers, sizeof(burst.buffers));
	for (unsigned int i = 0; i < n; i++) {
		burst.packets[i] = alone.packets[i];
		burst.packets[i].data = burst.buffers[i] + HEAD + offset;
	}
	for (unsigned int i = 0; i < n; i++)
		forwarded += fo_worker_run(alone.worker, &alone.packets[i], 1, NOW_MS);
	HOLDS(fo_worker_run(burst.worker, burst.packets, n, NOW_MS) == forwarded);
	compare_packets(n);
}

static void compare_counters(void)
{
	for (uint32_t conn = 0; conn < FLOWS; conn++) {
		struct fo_flow_counters a, b;

		fo__conn_counters(alone.store.table, conn, NOW_MS, &a);
		fo__conn_counters(burst.store.table, conn, NOW_MS, &b);
		HOLDS(!memcmp(&a, &b, sizeof(a)));
	}
	for (unsigned int reason = 0; reason < FO_R_PACKET_MAX; reason++)
		HOLDS(fo__count_read(&alone.worker->passed[reason]) ==
		      fo__count_read(&burst.worker->passed[reason]));
	HOLDS(fo__count_read(&alone.worker->forwarded_packets) ==
	      fo__count_read(&burst.worker->forwarded_packets));
	HOLDS(fo__count_read(&alone.worker->forwarded_bytes) ==
	      fo__count_read(&burst.worker->forwarded_bytes));
}

/* The draw has met what it is meant to meet. */
static void check_variety(void)
{
	static const uint8_t met[] = {FO_R_NO_FLOW,   FO_R_NOT_IP,  FO_R_MALFORMED,
				      FO_R_TTL,	      FO_R_TCP_FIN, FO_R_WRONG_INGRESS,
				      FO_R_WRONG_MAC, FO_R_CLOSING, FO_R_GSO};
	uint64_t passed = 0;

	for (unsigned int i = 0; i < sizeof(met); i++) {
		ck_assert_msg(fo__count_read(&burst.worker->passed[met[i]]) != 0, "no packet for reason %u",
			      met[i]);
		passed += fo__count_read(&burst.worker->passed[met[i]]);
	}
	ck_assert_uint_gt(fo__count_read(&burst.worker->forwarded_packets), passed / 2);
}

START_TEST(bursts_of_any_size_and_place_equal_single_packets)
{
	struct draw draw = {.state = 11};

	for (unsigned int offset = 0; offset < 8; offset++)
		for (unsigned int n = 1; n <= LARGEST; n++)
			run_both(&draw, n, offset);
	compare_counters();
	check_variety();
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("burst");
	TCase *cases = tcase_create("burst");

	tcase_add_checked_fixture(cases, open_both, close_both);
	tcase_add_test(cases, bursts_of_any_size_and_place_equal_single_packets);
	suite_add_tcase(suite, cases);
	return suite;
}
