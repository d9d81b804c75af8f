/* SPDX-License-Identifier: BSD-2-Clause */
/* rival_run.c - the packets of the forwarding path over rte_hash. See rival.h.
 *
 * It checks what the library checks on these packets (lengths, options, fragments, extension headers, TTL, TCP flags, ingress
 * port, own address, MTU), takes the same counters and writes the same bytes. A burst is staged: headers prefetched, keys
 * gathered, one bulk look-up (which prefetches buckets and keys itself), records prefetched, packets rewritten.
 */
#include <string.h>

#include "rival_table.h"

#define ETHERNET 14u

static inline uint32_t load16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint16_t apply(const uint8_t *at, uint32_t delta)
{
	uint16_t sum;

	memcpy(&sum, at, 2);
	return (uint16_t)~rival_fold((uint16_t)~sum + delta);
}

/* Does the transport header fit, with room bytes readable and length bytes sent? */
static inline int l4_fits(const uint8_t *l4, unsigned int proto, uint32_t room, uint32_t length)
{
	uint32_t head;

	if (proto == 6) {
		if (length < 20 || room < 20)
			return 0;
		head = (uint32_t)(l4[12] >> 4) * 4;
		return head >= 20 && head <= length;
	}
	return proto == 17 && length >= 8 && load16(l4 + 4) >= 8 && load16(l4 + 4) <= length;
}

/* The key of a packet that may be forwarded; 0 when it passes. */
static inline int parse_v4(const struct fo_packet *packet, uint8_t *key)
{
	uint32_t room = packet->contiguous < packet->length ? packet->contiguous : packet->length, length;
	const uint8_t *ip = packet->data + ETHERNET, *l4 = ip + 20;

	if (room < 42 || load16(packet->data + 12) != 0x0800 || ip[0] != 0x45 || (load16(ip + 6) & 0x3fff))
		return 0;
	length = load16(ip + 2);
	if (length < 28 || length > packet->length - ETHERNET || ip[8] <= 1 ||
	    !l4_fits(l4, ip[9], room - 34, length - 20))
		return 0;
	memcpy(key, ip + 12, 8);
	memcpy(key + 8, l4, 4);
	memset(key + 12, 0, 4);
	key[12] = ip[9];
	return 1;
}

static inline int parse_v6(const struct fo_packet *packet, uint8_t *key)
{
	uint32_t room = packet->contiguous < packet->length ? packet->contiguous : packet->length, length;
	const uint8_t *ip = packet->data + ETHERNET, *l4 = ip + 40;

	if (room < 62 || load16(packet->data + 12) != 0x86dd || ip[0] >> 4 != 6)
		return 0;
	length = load16(ip + 4);
	if (length > packet->length - 54 || ip[7] <= 1 || !l4_fits(l4, ip[6], room - 54, length))
		return 0;
	memcpy(key, ip + 8, 32);
	memcpy(key + 32, l4, 4);
	memset(key + 36, 0, RIVAL_KEY_V6 - 36);
	key[36] = ip[6];
	return 1;
}

static inline void rewrite_l4(uint8_t *l4, unsigned int proto, const uint32_t *ports, uint32_t delta)
{
	uint16_t sum;

	memcpy(l4, ports, 4);
	if (proto == 6) {
		sum = apply(l4 + 16, delta);
		memcpy(l4 + 16, &sum, 2);
	} else if (l4[6] | l4[7]) {
		sum = apply(l4 + 6, delta);
		sum = sum ? sum : 0xffff;
		memcpy(l4 + 6, &sum, 2);
	}
}

static inline void leave(struct fo_packet *packet, const uint8_t *header, uint32_t length, uint32_t port)
{
	memcpy(packet->data, header, ETHERNET);
	packet->length = length + ETHERNET;
	if (packet->contiguous > packet->length)
		packet->contiguous = packet->length;
	packet->out_port = port;
}

static inline int forward_v4(const struct rival *rival, struct fo_packet *packet, union rival_record *any,
			     uint32_t now_ms)
{
	uint8_t *ip = packet->data + ETHERNET;
	uint32_t length = load16(ip + 2);
	struct rival_v4 *record = &any->v4;
	uint16_t before, after, sum;

	(void)rival;
	if (packet->in_port != record->in_port || memcmp(packet->data, record->own_mac, 6))
		return 0;
	if (ip[9] == 6 && (ip[33] & 7)) {
		record->mtu_state |= 1;
		return 0;
	}
	if ((record->mtu_state & 0xff) || length > record->mtu_state >> 8)
		return 0;
	memcpy(&before, ip + 8, 2);
	ip[8]--;
	memcpy(&after, ip + 8, 2);
	sum = apply(ip + 10, record->ip_delta + (uint16_t)~before + (uint32_t)after);
	memcpy(ip + 10, &sum, 2);
	memcpy(ip + 12, record->new_address, 8);
	rewrite_l4(ip + 20, ip[9], &record->new_ports, record->l4_delta);
	leave(packet, record->header, length, record->out_port);
	record->packets++;
	record->bytes += length;
	record->last_ms = now_ms;
	return 1;
}

static inline int forward_v6(const struct rival *rival, struct fo_packet *packet, union rival_record *any,
			     uint32_t now_ms)
{
	uint8_t *ip = packet->data + ETHERNET;
	uint32_t length = load16(ip + 4) + 40;
	struct rival_v6 *record = &any->v6;
	const struct rival_side *from = &rival->sides[record->from_state >> 1],
				*to = &rival->sides[record->to];

	if (packet->in_port != from->port || memcmp(packet->data, from->own_mac, 6))
		return 0;
	if (ip[6] == 6 && (ip[53] & 7)) {
		record->from_state |= 1;
		return 0;
	}
	if ((record->from_state & 1) || length > to->mtu)
		return 0;
	ip[7]--;
	memcpy(ip + 8, record->new_address, 32);
	rewrite_l4(ip + 40, ip[6], &record->new_ports, record->l4_delta);
	leave(packet, to->header, length, to->port);
	record->packets++;
	record->bytes += length;
	record->last_ms = now_ms;
	return 1;
}

typedef int parse_fn(const struct fo_packet *packet, uint8_t *key);
typedef int forward_fn(const struct rival *rival, struct fo_packet *packet, union rival_record *record,
		       uint32_t now_ms);

/* Made anew for each family, so that the calls are none. */
static inline __attribute__((always_inline)) unsigned int burst(struct rival *rival,
								struct fo_packet *packets, unsigned int n,
								uint32_t now_ms, unsigned int key_size,
								parse_fn *parse, forward_fn *forward)
{
	uint8_t key[BENCH_BURST][RIVAL_KEY_V6];
	const void *keys[BENCH_BURST];
	unsigned int which[BENCH_BURST], count = 0, forwarded = 0;
	int32_t at[BENCH_BURST];

	for (unsigned int i = 0; i < n; i++) {
		__builtin_prefetch(packets[i].data, 1, 3);
		if (ETHERNET + 40 + 20 > 64 && key_size == RIVAL_KEY_V6)
			__builtin_prefetch(packets[i].data + 64, 1, 3);
	}
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
		if (at[i] >= 0 && forward(rival, &packets[which[i]], &rival->records[at[i]], now_ms)) {
			packets[which[i]].verdict = FO_FORWARD;
			forwarded++;
		}
	return forwarded;
}

unsigned int rival_run(struct rival *rival, struct fo_packet *packets, unsigned int n, uint64_t now_ms)
{
	unsigned int forwarded = 0;

	for (unsigned int at = 0; at < n; at += BENCH_BURST) {
		unsigned int count = n - at < BENCH_BURST ? n - at : BENCH_BURST;

		if (rival->net.v6)
			forwarded += burst(rival, packets + at, count, (uint32_t)now_ms, RIVAL_KEY_V6,
					   parse_v6, forward_v6);
		else
			forwarded += burst(rival, packets + at, count, (uint32_t)now_ms, RIVAL_KEY_V4,
					   parse_v4, forward_v4);
	}
	return forwarded;
}
