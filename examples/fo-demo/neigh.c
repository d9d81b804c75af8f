/* SPDX-License-Identifier: BSD-2-Clause */
/* neigh.c - the cache of neighbours. See neigh.h. */
#include "neigh.h"

#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS 1024u
#define BUCKETS	   256u
#define QUEUE_MAX  16u
#define RETRY_MS   500u
#define TRIES	   4u
#define FAILED_MS  2000u
#define KNOWN_MS   15000u

struct neigh_table {
	struct neigh_ops ops;
	struct neigh at[NEIGHBOURS];
	uint32_t buckets[BUCKETS];
	uint32_t used, scan;
};

struct neigh_table *neigh_create(const struct neigh_ops *ops)
{
	struct neigh_table *t = calloc(1, sizeof(*t));

	if (t)
		t->ops = *ops;
	return t;
}

static unsigned int drop_queue(struct neigh *n)
{
	unsigned int dropped = n->queued;

	while (n->first) {
		struct neigh_packet *p = n->first;

		n->first = p->next;
		free(p);
	}
	n->last = &n->first;
	n->queued = 0;
	return dropped;
}

void neigh_destroy(struct neigh_table *t)
{
	uint32_t i;

	for (i = 0; t && i < t->used; i++)
		drop_queue(&t->at[i]);
	free(t);
}

static uint32_t *bucket(struct neigh_table *t, int side, const uint8_t addr[16])
{
	uint32_t h = (uint32_t)side, i;

	for (i = 0; i < 16; i++)
		h = h * 31 + addr[i];
	return &t->buckets[(h ^ h >> 8) % BUCKETS];
}

static struct neigh *find(struct neigh_table *t, int side, uint8_t family, const uint8_t addr[16])
{
	uint32_t at = *bucket(t, side, addr);

	for (; at; at = t->at[at - 1].chain) {
		struct neigh *n = &t->at[at - 1];

		if (n->side == side && n->family == family && !memcmp(n->addr, addr, 16))
			return n;
	}
	return NULL;
}

static void unlink_neigh(struct neigh_table *t, struct neigh *n)
{
	uint32_t *link = bucket(t, n->side, n->addr), self = (uint32_t)(n - t->at) + 1;

	while (*link != self)
		link = &t->at[*link - 1].chain;
	*link = n->chain;
}

/* A fresh slot, or the next one that no adjacency and no waiting packet holds. */
static struct neigh *take(struct neigh_table *t)
{
	uint32_t i;

	if (t->used < NEIGHBOURS)
		return &t->at[t->used++];
	for (i = 0; i < NEIGHBOURS; i++) {
		struct neigh *n = &t->at[t->scan];

		t->scan = (t->scan + 1) % NEIGHBOURS;
		if (n->adj || n->queued)
			continue;
		unlink_neigh(t, n);
		return n;
	}
	return NULL;
}

static void ask(struct neigh_table *t, struct neigh *n, uint8_t state, uint64_t now_ms)
{
	n->state = state;
	n->tries = 1;
	n->next_ms = now_ms + RETRY_MS;
	t->ops.ask(t->ops.arg, n, state == NEIGH_PROBING);
}

static struct neigh *create_neigh(struct neigh_table *t, int side, uint8_t family, const uint8_t addr[16])
{
	struct neigh *n = take(t);
	uint32_t *head;

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->side = (uint8_t)side;
	n->family = family;
	memcpy(n->addr, addr, 16);
	n->last = &n->first;
	head = bucket(t, side, addr);
	n->chain = *head;
	*head = (uint32_t)(n - t->at) + 1;
	return n;
}

struct neigh *neigh_want(struct neigh_table *t, int side, uint8_t family, const uint8_t *addr,
			 uint64_t now_ms)
{
	struct neigh *n = find(t, side, family, addr);

	if (!n)
		n = create_neigh(t, side, family, addr);
	if (!n)
		return NULL;
	if (n->state == NEIGH_FREE || (n->state == NEIGH_FAILED && n->next_ms <= now_ms))
		ask(t, n, NEIGH_ASKING, now_ms);
	else if (n->state == NEIGH_KNOWN && n->next_ms <= now_ms)
		ask(t, n, NEIGH_PROBING, now_ms);
	return n;
}

bool neigh_usable(const struct neigh *n)
{
	return n->state == NEIGH_KNOWN || n->state == NEIGH_PROBING;
}

bool neigh_queue(struct neigh *n, const uint8_t *l3, uint32_t length, const struct virtio_net_hdr *vnet)
{
	struct neigh_packet *p;

	if (n->state != NEIGH_ASKING || n->queued >= QUEUE_MAX)
		return false;
	p = malloc(sizeof(*p) + NEIGH_ROOM + length);
	if (!p)
		return false;
	p->next = NULL;
	p->vnet = *vnet;
	p->length = length;
	memcpy(p->bytes + NEIGH_ROOM, l3, length);
	*n->last = p;
	n->last = &p->next;
	n->queued++;
	return true;
}

static void send_queue(struct neigh_table *t, struct neigh *n)
{
	while (n->first) {
		struct neigh_packet *p = n->first;

		n->first = p->next;
		n->queued--;
		t->ops.send(t->ops.arg, n, p);
		free(p);
	}
	n->last = &n->first;
}

void neigh_learn(struct neigh_table *t, int side, uint8_t family, const uint8_t *addr, const uint8_t mac[6],
		 bool create, uint64_t now_ms)
{
	struct neigh *n = find(t, side, family, addr);
	bool changed;

	if (mac[0] & 1)
		return;
	if (!n && create)
		n = create_neigh(t, side, family, addr);
	if (!n)
		return;
	changed = memcmp(n->mac, mac, 6) != 0;
	memcpy(n->mac, mac, 6);
	n->state = NEIGH_KNOWN;
	n->next_ms = now_ms + KNOWN_MS;
	if (changed)
		t->ops.changed(t->ops.arg, n);
	send_queue(t, n);
}

static void give_up(struct neigh_table *t, struct neigh *n, uint64_t now_ms)
{
	n->state = NEIGH_FAILED;
	n->next_ms = now_ms + FAILED_MS;
	memset(n->mac, 0, sizeof(n->mac));
	t->ops.lost(t->ops.arg, drop_queue(n));
	t->ops.changed(t->ops.arg, n);
}

void neigh_tick(struct neigh_table *t, uint64_t now_ms)
{
	uint32_t i;

	for (i = 0; i < t->used; i++) {
		struct neigh *n = &t->at[i];

		if (n->next_ms > now_ms)
			continue;
		if (n->state == NEIGH_KNOWN && n->adj) {
			ask(t, n, NEIGH_PROBING, now_ms);
		} else if (n->state == NEIGH_ASKING || n->state == NEIGH_PROBING) {
			if (n->tries >= TRIES) {
				give_up(t, n, now_ms);
				continue;
			}
			n->tries++;
			n->next_ms = now_ms + RETRY_MS;
			/* Whoever has taken over the address does not hear a unicast to the old MAC. */
			t->ops.ask(t->ops.arg, n, n->state == NEIGH_PROBING && n->tries < TRIES - 1);
		}
	}
}
