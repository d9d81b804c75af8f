/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.c - connections by number. See keys.h. */
#include "keys.h"

#include <string.h>

static uint16_t be16(unsigned int v)
{
	uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	uint16_t out;

	memcpy(&out, bytes, 2);
	return out;
}

static void put_address(uint8_t *at, int v6, uint8_t network, uint32_t host)
{
	uint8_t low[4] = {network, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};

	if (v6) {
		memcpy(at, "\x20\x01\x0d\xb8", 4);
		at[5] = network;
		memcpy(at + 12, low, 4);
	} else {
		memcpy(at, low, 4);
	}
}

/* 4096 ports a client, 2^16 servers; the router's own ports follow the number. */
void key_flow(struct fo_flow *flow, uint32_t n, int v6)
{
	struct fo_tuple *to = &flow->tuple[0], *back = &flow->tuple[1];

	FO_INIT(flow);
	to->family = back->family = v6 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
	to->proto = back->proto = n % 2 ? 17 : 6;
	put_address(to->src, v6, 10, 1 + (n >> 12));
	put_address(to->dst, v6, 45, 0x101 + n % 65521);
	put_address(back->dst, v6, 100, 0x400001 + n / 50000);
	memcpy(back->src, to->dst, 16);
	to->sport_be = be16(32768 + (n & 4095));
	to->dport_be = back->sport_be = be16(443);
	back->dport_be = be16(10000 + n % 50000);
}

void key_bytes(uint8_t *key, const struct fo_tuple *tuple)
{
	unsigned int n = tuple->family == FO_FAMILY_IPV6 ? 16 : 4;

	memset(key, 0, n == 4 ? KEY_V4 : KEY_V6);
	memcpy(key, tuple->src, n);
	memcpy(key + n, tuple->dst, n);
	memcpy(key + 2 * n, &tuple->sport_be, 2);
	memcpy(key + 2 * n + 2, &tuple->dport_be, 2);
	key[2 * n + 4] = tuple->proto;
}
