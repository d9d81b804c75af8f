/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_rte.c - DPDK's rte_hash as a peer. See peer.h. No device, no huge page file, nothing shared: memory of this
 * process, with transparent huge pages asked for as the library does, so that neither has better pages. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_memory.h>

struct peer {
	struct rte_hash *hash;
	int lock_free;
	uint32_t length;
	size_t bytes;
};

/* What the environment's allocator has handed out. */
static size_t in_use(void)
{
	struct rte_malloc_socket_stats stats = {0};

	return rte_malloc_get_socket_stats(0, &stats) ? 0 : stats.heap_allocsz_bytes;
}

static int want_huge_pages(const struct rte_memseg_list *list, const struct rte_memseg *segment,
			   size_t length, void *arg)
{
	(void)list;
	(void)arg;
	(void)madvise(segment->addr, length, MADV_HUGEPAGE);
	return 0;
}

const char *peers_open(unsigned int megabytes)
{
	char memory[16];
	char *args[] = {
		"bench", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "--log-level=error", "-m",
		memory,	 "-l",	      "0",	  NULL};

	snprintf(memory, sizeof(memory), "%u", megabytes);
	if (rte_eal_init(10, args) < 0)
		return "DPDK's environment does not start here: no rte_hash to compare with";
	(void)rte_memseg_contig_walk(want_huge_pages, NULL);
	return NULL;
}

static uint32_t power_above(uint32_t n)
{
	uint32_t power = 8;

	while (power < n)
		power *= 2;
	return power;
}

/* Fuller than this it refuses keys, the more so after replacements: then as few more entries as double its buckets. */
static uint32_t with_room(uint32_t n)
{
	return n > power_above(n) / 100 * 96 && n < power_above(n) ? power_above(n) + 1 : n;
}

uint32_t peer_places(uint32_t n)
{
	return power_above(with_room(n));
}

struct peer *peer_create(uint32_t n, uint32_t length, int lock_free)
{
	static unsigned int number;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters parameters = {
		.name = name,
		.entries = with_room(n),
		.key_len = length,
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = lock_free ? RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF : 0,
	};
	struct peer *peer = length == 16 || length == 48 ? malloc(sizeof(*peer)) : NULL;

	if (!peer)
		return NULL;
	snprintf(name, sizeof(name), "peer%u", number++);
	peer->lock_free = lock_free;
	peer->length = length;
	peer->bytes = in_use();
	peer->hash = rte_hash_create(&parameters);
	if (!peer->hash) {
		free(peer);
		return NULL;
	}
	peer->bytes = in_use() - peer->bytes;
	return peer;
}

void peer_destroy(struct peer *peer)
{
	if (!peer)
		return;
	rte_hash_free(peer->hash);
	free(peer);
}

size_t peer_bytes(const struct peer *peer)
{
	return peer->bytes;
}

uint32_t peer_positions(const struct peer *peer)
{
	return (uint32_t)rte_hash_max_key_id(peer->hash) + 1;
}

int32_t peer_add(struct peer *peer, const void *key)
{
	return rte_hash_add_key(peer->hash, key);
}

int peer_del(struct peer *peer, const void *key)
{
	int32_t at = rte_hash_del_key(peer->hash, key);

	if (at < 0)
		return at;
	return peer->lock_free ? rte_hash_free_key_with_position(peer->hash, at) : 0;
}

/* The hash computed here, where its length is known, saves a call a key: a tenth of a hit in cache. */
void peer_find(const struct peer *peer, const void **keys, uint32_t n, int32_t *at)
{
	hash_sig_t hash[RTE_HASH_LOOKUP_BULK_MAX];

	for (uint32_t i = 0; i < n; i++)
		hash[i] = rte_hash_crc(keys[i], peer->length == 16 ? 16 : 48, 0);
	if (rte_hash_lookup_with_hash_bulk(peer->hash, keys, hash, n, at)) {
		while (n--)
			at[n] = -1;
	}
}
