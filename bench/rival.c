/* SPDX-License-Identifier: BSD-2-Clause */
/* rival.c - a forwarding path over rte_hash. See rival.h.
 *
 * It checks what the library checks on these packets (lengths, options, fragments, TTL, TCP flags, ingress port, own
 * address, MTU, room), takes the same counters and writes the same bytes; it has no grace periods, no events and one
 * encapsulation, which is to its advantage.
 */
#include "rival.h"

#include <string.h>

#include "bench.h"
#include "frames.h"
#include "keys.h"

struct record {
	uint32_t new_address[2];
	uint32_t new_ports;
	uint16_t ip_delta;
	uint16_t l4_delta;
	uint8_t header[14];
	uint8_t own_mac[6];
	uint16_t in_port;
	uint16_t out_port;
	uint32_t mtu_state; /* MTU << 8 | closing */
	uint32_t packets;
	uint64_t bytes;
	uint32_t last_ms;
};
_Static_assert(sizeof(struct record) == 64, "a record is a cache line");

struct rival {
	struct peer *peer;
	struct record *records;
	size_t size;
};

struct rival *rival_open(uint32_t n, int lock_free)
{
	struct rival *rival = bench_memory(sizeof(*rival));

	rival->peer = peer_create(n, KEY_V4, lock_free);
	if (!rival->peer)
		bench_fail("no memory for an rte_hash of %u", n);
	rival->size = peer_positions(rival->peer) * sizeof(*rival->records);
	rival->records = bench_memory(rival->size);
	return rival;
}

void rival_close(struct rival *rival)
{
	peer_destroy(rival->peer);
	bench_memory_free(rival->records, rival->size);
	bench_memory_free(rival, sizeof(*rival));
}

/* ---- control ---- */

static uint32_t change(const void *from, const void *to, unsigned int words)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < words; i++) {
		uint16_t a, b;

		memcpy(&a, (const uint8_t *)from + 2 * i, 2);
		memcpy(&b, (const uint8_t *)to + 2 * i, 2);
		sum += (uint16_t)~a;
		sum += b;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void fill(struct record *record, const struct fo_flow *flow, unsigned int dir)
{
	const struct fo_tuple *in = &flow->tuple[dir], *other = &flow->tuple[1 - dir];
	uint16_t ports[2] = {in->sport_be, in->dport_be}, new_ports[2] = {other->dport_be, other->sport_be};
	struct fo_adj from, to;
	uint32_t addresses;

	memset(record, 0, sizeof(*record));
	frame_adj(&from, dir);
	frame_adj(&to, 1 - dir);
	memcpy(&record->new_address[0], other->dst, 4);
	memcpy(&record->new_address[1], other->src, 4);
	memcpy(&record->new_ports, new_ports, 4);
	addresses = change(in->src, other->dst, 2) + change(in->dst, other->src, 2);
	record->ip_delta = fold(addresses);
	record->l4_delta = fold(addresses + change(ports, new_ports, 2));
	memcpy(record->header, to.peer_mac, 6);
	memcpy(record->header + 6, to.own_mac, 6);
	memcpy(record->header + 12, "\x08\x00", 2);
	memcpy(record->own_mac, from.own_mac, 6);
	record->in_port = (uint16_t)from.port;
	record->out_port = (uint16_t)to.port;
	record->mtu_state = to.mtu << 8;
}

int rival_del(struct rival *rival, const struct fo_flow *flow)
{
	uint8_t key[KEY_V4];
	int err = 0;

	for (unsigned int dir = 0; dir < 2; dir++) {
		key_bytes(key, &flow->tuple[dir]);
		err |= peer_del(rival->peer, key);
	}
	return err;
}

int rival_add(struct rival *rival, const struct fo_flow *flow)
{
	uint8_t key[KEY_V4];

	for (unsigned int dir = 0; dir < 2; dir++) {
		struct record record;
		int32_t at;

		fill(&record, flow, dir);
		key_bytes(key, &flow->tuple[dir]);
		at = peer_add(rival->peer, key);
		if (at < 0)
			return at;
		rival->records[at] = record;
	}
	return 0;
}

/* ---- packets ---- */

static uint32_t load16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* The key of a packet that may be forwarded; 0 when it passes. */
static int parse(const struct fo_packet *packet, uint8_t *key)
{
	uint32_t room = packet->contiguous < packet->length ? packet->contiguous : packet->length, length;
	const uint8_t *ip = packet->data + 14, *l4 = ip + 20;

	if (room < 42 || load16(packet->data + 12) != 0x0800 || ip[0] != 0x45 || (load16(ip + 6) & 0x3fff))
		return 0;
	length = load16(ip + 2);
	if (length < 28 || length > packet->length - 14 || ip[8] <= 1)
		return 0;
	if (ip[9] == 6) {
		if (length < 40 || room < 54 || l4[12] >> 4 < 5 || (uint32_t)(l4[12] >> 4) * 4 > length - 20)
			return 0;
	} else if (ip[9] != 17 || load16(l4 + 4) < 8 || load16(l4 + 4) > length - 20) {
		return 0;
	}
	memcpy(key, ip + 12, 8);
	memcpy(key + 8, l4, 4);
	memset(key + 12, 0, 4);
	key[12] = ip[9];
	return 1;
}

static uint16_t apply(const uint8_t *at, uint32_t delta)
{
	uint16_t sum;

	memcpy(&sum, at, 2);
	return (uint16_t)~fold((uint16_t)~sum + delta);
}

static void rewrite(struct fo_packet *packet, const struct record *record, uint32_t length)
{
	uint8_t *ip = packet->data + 14, *l4 = ip + 20;
	uint16_t before, after, sum;

	memcpy(&before, ip + 8, 2);
	ip[8]--;
	memcpy(&after, ip + 8, 2);
	sum = apply(ip + 10, record->ip_delta + (uint16_t)~before + (uint32_t)after);
	memcpy(ip + 10, &sum, 2);
	memcpy(ip + 12, record->new_address, 8);
	memcpy(l4, &record->new_ports, 4);
	if (ip[9] == 6) {
		sum = apply(l4 + 16, record->l4_delta);
		memcpy(l4 + 16, &sum, 2);
	} else if (l4[6] | l4[7]) {
		sum = apply(l4 + 6, record->l4_delta);
		sum = sum ? sum : 0xffff;
		memcpy(l4 + 6, &sum, 2);
	}
	memcpy(packet->data, record->header, 14);
	packet->length = length + 14;
	if (packet->contiguous > packet->length)
		packet->contiguous = packet->length;
	packet->out_port = record->out_port;
}

static int forward(struct fo_packet *packet, struct record *record, uint64_t now_ms)
{
	const uint8_t *ip = packet->data + 14;
	uint32_t length = load16(ip + 2);

	if (packet->in_port != record->in_port || memcmp(packet->data, record->own_mac, 6))
		return 0;
	if (ip[9] == 6 && (ip[33] & 7)) {
		record->mtu_state |= 1;
		return 0;
	}
	if ((record->mtu_state & 0xff) || length > record->mtu_state >> 8)
		return 0;
	rewrite(packet, record, length);
	record->packets++;
	record->bytes += length;
	record->last_ms = (uint32_t)now_ms;
	return 1;
}

static unsigned int run_burst(struct rival *rival, struct fo_packet *packets, unsigned int n, uint64_t now_ms)
{
	uint8_t key[BENCH_BURST][KEY_V4];
	const void *keys[BENCH_BURST];
	unsigned int which[BENCH_BURST], count = 0, forwarded = 0;
	int32_t at[BENCH_BURST];

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(packets[i].data, 1, 3);
	for (unsigned int i = 0; i < n; i++) {
		packets[i].verdict = FO_PASS;
		if (!parse(&packets[i], key[count]))
			continue;
		keys[count] = key[count];
		which[count++] = i;
	}
	if (count)
		peer_find(rival->peer, keys, count, at);
	for (unsigned int i = 0; i < count; i++)
		if (at[i] >= 0)
			__builtin_prefetch(&rival->records[at[i]], 1, 3);
	for (unsigned int i = 0; i < count; i++)
		if (at[i] >= 0 && forward(&packets[which[i]], &rival->records[at[i]], now_ms)) {
			packets[which[i]].verdict = FO_FORWARD;
			forwarded++;
		}
	return forwarded;
}

unsigned int rival_run(struct rival *rival, struct fo_packet *packets, unsigned int n, uint64_t now_ms)
{
	unsigned int forwarded = 0;

	for (unsigned int at = 0; at < n; at += BENCH_BURST)
		forwarded +=
			run_burst(rival, packets + at, n - at < BENCH_BURST ? n - at : BENCH_BURST, now_ms);
	return forwarded;
}
