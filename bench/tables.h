/* SPDX-License-Identifier: BSD-2-Clause */
/* tables.h - other people's tables behind one set of calls, each used as its authors advise: keys of plain bytes to
 * records of 64 bytes. The peers are rte_hash's bulk look-ups (peer.h); the rest is context: one key at a time.
 *
 * tables.c has the list of those that this build has; table_rte.c, table_lfht.c, table_ck.c and table_absl.cc are one
 * table each. Used by theirs.c.
 */
#ifndef BENCH_TABLES_H
#define BENCH_TABLES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A record: what every hit writes, and for NAT66 reads. */
struct touched {
	uint64_t bytes;
	uint32_t packets;
	uint32_t last_ms;
	uint64_t new_address[4];
	uint32_t new_ports;
	uint32_t rest[3];
};

struct table_room {
	uint32_t entries;    /* that will be there */
	uint32_t places;     /* that the table shall have, entries or more */
	uint32_t key_length; /* 16 (KEY_V4) or 48 (KEY_V6) */
};

/* What to do in a look-up. */
struct table_burst {
	const void **keys;
	uint32_t n; /* at most 32 */
	uint32_t now_ms;
	uint32_t translate; /* read the new addresses */
	uint64_t seen;	    /* what was read: keeps the reads */
};

struct table_kind {
	const char *name;
	uint32_t context; /* 0: a peer to be measured against */
	/* NULL: no memory. */
	void *(*open)(const struct table_room *room);
	void (*close)(void *table);
	/* 0, or negative; a new key. */
	int (*add)(void *table, const void *key);
	int (*del)(void *table, const void *key);
	/* Look up, and touch the record of each that is found; returns how many. */
	uint32_t (*touch)(void *table, struct table_burst *burst);
	/* The record of one key, or NULL. */
	const struct touched *(*find)(void *table, const void *key);
	/* Memory in all, records included. */
	size_t (*bytes)(const void *table);
};

/* Those of this build, peers first; NULL ends the list. */
extern const struct table_kind *const tables[];

/* What is not in this build and why; NULL: nothing. */
const char *tables_missing(void);

/* Each in its file; which of them are there only tables.c knows. */
extern const struct table_kind table_rte, table_rte_lf, table_lfht, table_ck, table_absl;

/* For tables that want a hash from their user: a multiplication a word. length is a multiple of 8. */
static inline uint64_t table_hash(const void *key, uint32_t length)
{
	uint64_t hash = length;

	for (uint32_t at = 0; at < length; at += 8) {
		uint64_t word;

		memcpy(&word, (const uint8_t *)key + at, 8);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

static inline uint32_t table_touch(struct touched *record, struct table_burst *burst)
{
	record->bytes += 64;
	record->packets++;
	record->last_ms = burst->now_ms;
	if (burst->translate)
		burst->seen += (record->new_address[0] ^ record->new_address[1]) +
			       (record->new_address[2] ^ record->new_address[3]) + record->new_ports;
	return 1;
}

#ifdef __cplusplus
}
#endif

#endif
