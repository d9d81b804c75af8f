/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath_frag.c - later fragments have no ports: they follow the connection of their first fragment. Nothing is
 * reassembled or held back, so a fragment that overtakes its first one is dropped and counted, and two clients
 * behind one NAT address that use the same identifier towards one server are not told apart by that server.
 *
 * Neighbours: slowpath.c asks; the small table here forgets by being overwritten.
 */
#include <string.h>

#include "slowpath_int.h"

#define FRAG_LIFE_MS 15000u

static void frag_key(const struct sp_fields *f, struct fo_tuple *key)
{
	*key = f->tuple;
	key->sport_be = 0;
	key->dport_be = 0;
}

static struct sp_frag *frag_slot(struct sp *sp, const struct fo_tuple *key, uint32_t id)
{
	struct fo_tuple hashed = *key;

	memcpy(&hashed.sport_be, &id, 2);
	memcpy(&hashed.dport_be, (const uint8_t *)&id + 2, 2);
	return &sp->frags[sp_hash(sp, &hashed) % SP_FRAGS];
}

void sp_frag_learn(struct sp *sp, const struct sp_fields *f, sp_conn_id conn, uint8_t dir, uint64_t now_ms)
{
	struct fo_tuple key;
	struct sp_frag *slot;

	frag_key(f, &key);
	slot = frag_slot(sp, &key, f->frag_id);
	slot->tuple = key;
	slot->id = f->frag_id;
	slot->conn = conn;
	slot->dir = dir;
	slot->deadline_ms = now_ms + FRAG_LIFE_MS;
}

struct sp_conn *sp_frag_find(struct sp *sp, const struct sp_fields *f, uint64_t now_ms, uint8_t *dir)
{
	struct fo_tuple key;
	struct sp_frag *slot;

	frag_key(f, &key);
	slot = frag_slot(sp, &key, f->frag_id);
	if (!slot->conn || slot->deadline_ms <= now_ms || slot->id != f->frag_id ||
	    !sp_tuple_equal(&slot->tuple, &key))
		return NULL;
	*dir = slot->dir;
	return sp_conn_get(sp, slot->conn);
}
