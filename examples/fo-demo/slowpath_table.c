/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath_table.c - the connections: a bounded array of slots, found by either tuple through one chained hash.
 * The hash is keyed (SipHash-2-4), because whoever sends packets chooses the tuples.
 *
 * Neighbours: slowpath.c is the only user, slowpath_frag.c borrows the hash.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "slowpath_int.h"

#define DEFAULT_CAPACITY 65536u
#define MAX_CAPACITY	 (1u << 24)

_Static_assert(sizeof(struct fo_tuple) == 40, "tuples are hashed as five words and compared whole");

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t sp_hash(const struct sp *sp, const struct fo_tuple *t)
{
	uint64_t k[2], m[5], v[4], last = (uint64_t)sizeof(m) << 56;
	size_t i;

	memcpy(k, sp->o.secret, sizeof(k));
	memcpy(m, t, sizeof(m));
	v[0] = k[0] ^ UINT64_C(0x736f6d6570736575);
	v[1] = k[1] ^ UINT64_C(0x646f72616e646f6d);
	v[2] = k[0] ^ UINT64_C(0x6c7967656e657261);
	v[3] = k[1] ^ UINT64_C(0x7465646279746573);
	for (i = 0; i <= 5; i++) {
		uint64_t word = i < 5 ? m[i] : last;

		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool sp_tuple_equal(const struct fo_tuple *a, const struct fo_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

struct sp_conn *sp_lookup(const struct sp *sp, const struct fo_tuple *t, uint8_t *dir)
{
	uint32_t at = sp->heads[sp_hash(sp, t) & sp->head_mask];

	while (at) {
		struct sp_conn *c = &sp->conns[(at - 1) / 2];

		*dir = (at - 1) & 1;
		if (sp_tuple_equal(&c->tuple[*dir], t))
			return c;
		at = c->next[*dir];
	}
	return NULL;
}

struct sp_conn *sp_conn_get(const struct sp *sp, sp_conn_id id)
{
	uint32_t slot = (uint32_t)id - 1;
	struct sp_conn *c;

	if (slot >= sp->used)
		return NULL;
	c = &sp->conns[slot];
	return c->live && c->generation == (uint32_t)(id >> 32) ? c : NULL;
}

sp_conn_id sp_conn_name(const struct sp *sp, const struct sp_conn *c)
{
	return (uint64_t)c->generation << 32 | ((uint64_t)(c - sp->conns) + 1);
}

static uint32_t take_slot(struct sp *sp)
{
	uint32_t slot = sp->free;

	if (slot) {
		sp->free = sp->conns[slot - 1].next[0];
		return slot;
	}
	return sp->used < sp->capacity ? ++sp->used : 0;
}

struct sp_conn *sp_conn_add(struct sp *sp, const struct fo_tuple tuple[2])
{
	uint32_t slot = take_slot(sp), generation;
	struct sp_conn *c;
	int d;

	if (!slot)
		return NULL;
	c = &sp->conns[slot - 1];
	generation = c->generation + 1;
	memset(c, 0, sizeof(*c));
	c->generation = generation;
	c->live = 1;
	for (d = 0; d < 2; d++) {
		uint32_t *head = &sp->heads[sp_hash(sp, &tuple[d]) & sp->head_mask];

		c->tuple[d] = tuple[d];
		c->next[d] = *head;
		*head = (slot - 1) * 2 + (uint32_t)d + 1;
	}
	sp->stats.connections++;
	sp->stats.created++;
	return c;
}

static void unlink_tuple(struct sp *sp, struct sp_conn *c, unsigned int d)
{
	uint32_t self = (uint32_t)(c - sp->conns) * 2 + d + 1;
	uint32_t *link = &sp->heads[sp_hash(sp, &c->tuple[d]) & sp->head_mask];

	while (*link != self)
		link = &sp->conns[(*link - 1) / 2].next[(*link - 1) & 1];
	*link = c->next[d];
}

void sp_conn_del(struct sp *sp, struct sp_conn *c)
{
	unlink_tuple(sp, c, 0);
	unlink_tuple(sp, c, 1);
	if (c->flow)
		sp->stats.offloaded--;
	c->live = 0;
	c->next[0] = sp->free;
	sp->free = (uint32_t)(c - sp->conns) + 1;
	sp->stats.connections--;
}

size_t sp_expire(struct sp *sp, uint64_t now_ms, size_t max)
{
	size_t ended = 0;

	for (max = max < sp->used ? max : sp->used; max; max--) {
		struct sp_conn *c = &sp->conns[sp->cursor];

		sp->cursor = sp->cursor + 1 < sp->used ? sp->cursor + 1 : 0;
		if (!c->live || c->flow || c->deadline_ms > now_ms)
			continue;
		sp_conn_del(sp, c);
		sp->stats.expired++;
		ended++;
	}
	return ended;
}

static int check_options(const struct sp_options *o)
{
	if (o->capacity > MAX_CAPACITY || o->port_max < o->port_min || (o->n_local && !o->local))
		return -EINVAL;
	return o->port_max && !o->port_min ? -EINVAL : 0;
}

static int allocate(struct sp *sp)
{
	uint32_t heads = 16;

	sp->capacity = sp->o.capacity ? (uint32_t)sp->o.capacity : DEFAULT_CAPACITY;
	while (heads < sp->capacity * 2)
		heads *= 2;
	sp->head_mask = heads - 1;
	sp->heads = calloc(heads, sizeof(*sp->heads));
	sp->conns = calloc(sp->capacity, sizeof(*sp->conns));
	sp->local = calloc(sp->o.n_local + 1, sizeof(*sp->local));
	return sp->heads && sp->conns && sp->local ? 0 : -ENOMEM;
}

int sp_create(const struct sp_options *opts, struct sp **out)
{
	struct sp *sp;
	int r = check_options(opts);

	if (r)
		return r;
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return -ENOMEM;
	sp->o = *opts;
	if (!sp->o.port_max) {
		sp->o.port_min = 1024;
		sp->o.port_max = 65535;
	}
	r = allocate(sp);
	if (r) {
		sp_destroy(sp);
		return r;
	}
	if (opts->n_local)
		memcpy(sp->local, opts->local, opts->n_local * sizeof(*sp->local));
	sp->o.local = sp->local;
	*out = sp;
	return 0;
}

void sp_destroy(struct sp *sp)
{
	if (!sp)
		return;
	free(sp->heads);
	free(sp->conns);
	free(sp->local);
	free(sp);
}
