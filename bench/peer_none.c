/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_none.c - no peers on this machine. See peer.h; peers_open() fails, so nothing else is called. */
#include "peer.h"

const char *peers_open(unsigned int megabytes)
{
	(void)megabytes;
	return "built without libdpdk (Debian: libdpdk-dev): no rte_hash to compare with";
}

uint32_t peer_places(uint32_t n)
{
	return n;
}

struct peer *peer_create(uint32_t n, uint32_t length, int lock_free)
{
	(void)n;
	(void)length;
	(void)lock_free;
	return NULL;
}

void peer_destroy(struct peer *peer)
{
	(void)peer;
}

size_t peer_bytes(const struct peer *peer)
{
	(void)peer;
	return 0;
}

uint32_t peer_positions(const struct peer *peer)
{
	(void)peer;
	return 0;
}

int32_t peer_add(struct peer *peer, const void *key)
{
	(void)peer;
	(void)key;
	return -1;
}

int peer_del(struct peer *peer, const void *key)
{
	(void)peer;
	(void)key;
	return -1;
}

void peer_find(const struct peer *peer, const void **keys, uint32_t n, int32_t *at)
{
	(void)peer;
	(void)keys;
	while (n--)
		at[n] = -1;
}
