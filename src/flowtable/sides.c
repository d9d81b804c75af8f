/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.c - control's work on sides: interning, update, death, reuse. See sides.h. */
#include "flowtable/lists.h"
#include "flowtable/steps.h"

#include <errno.h>

#define FIRST_ROOM 64u
/* Old entries that may wait for a worker; more means that one is stuck. */
#define RETIRED_MAX 65536u

#define ETHERTYPE_8021Q	 0x8100u
#define ETHERTYPE_8021AD 0x88a8u
#define ETHERTYPE_PPPOE	 0x8864u
#define ETHERTYPE_IPV4	 0x0800u
#define PPP_IPV4	 0x0021u

static struct fo__links entry_links(struct fo_flowtable *table)
{
	return (struct fo__links){table->entry_next, sizeof(uint32_t)};
}

static struct fo__links side_links(struct fo_flowtable *table)
{
	return (struct fo__links){&table->sides[0].next, sizeof(struct fo__side)};
}

uint64_t fo__encap_word(const struct fo_encap *encap, unsigned int n)
{
	uint64_t word = 0;

	for (unsigned int i = 0; i < n; i++)
		word |= encap[i].kind == FO_ENCAP_PPPOE ? FO__ENCAP_SESSION(encap[i].id)
							: FO__ENCAP_TAG(encap[i].kind, encap[i].id, i);
	return word;
}

static uint8_t *put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

void fo__entry_build(struct fo__entry *entry, const struct fo_adj *adj, uint16_t scope)
{
	uint8_t *at = entry->header;

	memset(entry, 0, sizeof(*entry));
	memcpy(at, adj->peer_mac, 6);
	memcpy(at + 6, adj->own_mac, 6);
	at += 12;
	for (unsigned int i = 0; i < adj->n_encaps; i++) {
		const struct fo_encap *encap = &adj->encap[i];

		if (encap->kind == FO_ENCAP_PPPOE) {
			at = put16(at, ETHERTYPE_PPPOE);
			at = put16(at, 0x1100); /* version 1, type 1, code 0: session data (RFC 2516) */
			at = put16(at, encap->id);
			entry->flags |= FO__ENTRY_PPPOE;
			at += 2; /* length */
		} else {
			at = put16(at, encap->kind == FO_ENCAP_8021Q ? ETHERTYPE_8021Q : ETHERTYPE_8021AD);
			at = put16(at, (unsigned int)encap->pcp << 13 | (unsigned int)encap->dei << 12 |
					       encap->id);
		}
	}
	/* of IPv4; the packet path writes that of IPv6 over it */
	at = put16(at, entry->flags & FO__ENTRY_PPPOE ? PPP_IPV4 : ETHERTYPE_IPV4);
	entry->header_len = (uint8_t)(at - entry->header);
	entry->encap = fo__encap_word(adj->encap, adj->n_encaps);
	entry->port = adj->port;
	entry->mtu = adj->mtu;
	entry->scope = scope;
	memcpy(entry->own_mac, adj->own_mac, 6);
	if (adj->flags & FO_ADJ_ANY_INGRESS)
		entry->flags |= FO__ENTRY_ANY_INGRESS;
	entry->arrival = entry->encap || entry->flags ? FO__ARRIVAL_OTHER : scope;
	if (!adj->n_encaps)
		entry->room = adj->mtu < UINT16_MAX ? (uint16_t)adj->mtu : UINT16_MAX;
}

static struct fo__side_view *view_create(struct fo_flowtable *table, uint32_t room)
{
	struct fo__side_view *view = fo__alloc(&table->memory, sizeof(*view), 64);
	size_t size = (size_t)room * (sizeof(struct fo__entry) + sizeof(uint32_t));

	if (!view)
		return NULL;
	view->entry = fo__alloc(&table->memory, size, 64);
	if (!view->entry) {
		fo__free(&table->memory, view, sizeof(*view));
		return NULL;
	}
	view->side = (_Atomic uint32_t *)(void *)(view->entry + room);
	view->room = room;
	return view;
}

static size_t view_size(uint32_t room)
{
	return (size_t)room * (sizeof(struct fo__entry) + sizeof(uint32_t));
}

/* Control's arrays grow in place of the old ones; nobody else reads them. */
static int grow_control(struct fo_flowtable *table, uint32_t room)
{
	struct fo__side *sides = fo__alloc(&table->memory, room * sizeof(*sides), 64);
	uint32_t *next = sides ? fo__alloc(&table->memory, room * sizeof(*next), 64) : NULL;

	if (!next) {
		fo__free(&table->memory, sides, room * sizeof(*sides));
		return -ENOMEM;
	}
	if (table->side_room) {
		memcpy(sides, table->sides, table->side_room * sizeof(*sides));
		memcpy(next, table->entry_next, table->side_room * sizeof(*next));
		fo__free(&table->memory, table->sides, table->side_room * sizeof(*sides));
		fo__free(&table->memory, table->entry_next, table->side_room * sizeof(*next));
	}
	table->sides = sides;
	table->entry_next = next;
	table->side_room = room;
	return 0;
}

static int grow(struct fo_flowtable *table)
{
	struct fo__side_view *old = fo__load_relaxed(&table->view), *view;
	uint32_t room = old ? old->room * 2 : FIRST_ROOM;

	if (room > FO__SIDE_MAX + 1)
		return -ENOSPC;
	if (old && !fo__defer_room(table))
		return -EAGAIN;
	view = view_create(table, room);
	if (!view)
		return -ENOMEM;
	if (grow_control(table, room)) {
		fo__free(&table->memory, view->entry, view_size(room));
		fo__free(&table->memory, view, sizeof(*view));
		return -ENOMEM;
	}
	if (old) {
		memcpy(view->entry, old->entry, old->room * sizeof(*view->entry));
		for (uint32_t i = 0; i < old->room; i++)
			fo__store_relaxed(&view->side[i], fo__load_relaxed(&old->side[i]));
	}
	fo__store_release(&table->view, view);
	if (old)
		(void)fo__defer(table, old->entry, view_size(old->room), old, sizeof(*old));
	return 0;
}

int fo__sides_open(struct fo_flowtable *table)
{
	struct fo__side_view *view;

	table->side_retired = FO__LIST_INIT;
	table->entry_free = table->entry_retired = FO__LIST_INIT;
	if (grow(table))
		return -ENOMEM;
	view = fo__load_relaxed(&table->view);
	for (uint32_t i = 0; i < FO__ENTRY_FIRST; i++) {
		view->entry[i].flags = FO__ENTRY_DEAD;
		view->entry[i].encap = UINT64_MAX; /* no packet arrives so */
		view->entry[i].arrival = FO__ARRIVAL_OTHER;
	}
	view->entry[FO__ENTRY_INVALIDATED].reason = FO_R_INVALIDATED;
	view->entry[FO__ENTRY_DOWN].reason = FO_R_EGRESS_DOWN;
	table->entry_high = FO__ENTRY_FIRST;
	return 0;
}

void fo__sides_close(struct fo_flowtable *table)
{
	struct fo__side_view *view = fo__load_relaxed(&table->view);

	if (view) {
		fo__free(&table->memory, view->entry, view_size(view->room));
		fo__free(&table->memory, view, sizeof(*view));
	}
	fo__free(&table->memory, table->sides, table->side_room * sizeof(*table->sides));
	fo__free(&table->memory, table->entry_next, table->side_room * sizeof(*table->entry_next));
}

const struct fo__entry *fo__side_entry(const struct fo_flowtable *table, uint32_t side)
{
	const struct fo__side_view *view = fo__load_relaxed(&table->view);

	return &view->entry[fo__load_relaxed(&view->side[side])];
}

/* Make sure that n entries can be had; the arrays may move. */
static int entries_reserve(struct fo_flowtable *table, uint32_t n)
{
	if (table->entry_free.count < n)
		(void)fo__entries_reclaim(table, n - table->entry_free.count);
	if (table->entry_free.count >= n)
		return 0;
	if (table->entry_retired.count > RETIRED_MAX)
		return -EAGAIN;
	while (table->entry_high + n > table->side_room) {
		int err = grow(table);

		if (err)
			return err;
	}
	return 0;
}

/* After entries_reserve(). */
static uint32_t entry_take(struct fo_flowtable *table)
{
	if (table->entry_free.count)
		return fo__list_pop(&table->entry_free, entry_links(table));
	return table->entry_high++;
}

static void side_set(struct fo_flowtable *table, uint32_t side, uint32_t entry)
{
	fo__store_release(&fo__load_relaxed(&table->view)->side[side], entry);
	fo__step(FO__STEP_SWAPPED);
}

/* Workers may look at the entry until their bursts end. */
static void entry_retire(struct fo_flowtable *table, uint32_t entry)
{
	if (entry < FO__ENTRY_FIRST)
		return;
	fo__list_append(&table->entry_retired, entry_links(table), entry);
	fo__batch_add(&table->entry_grace, fo__stamp(table));
}

unsigned int fo__entries_reclaim(struct fo_flowtable *table, unsigned int n)
{
	unsigned int freed;

	for (freed = 0; freed < n; freed++) {
		uint32_t entry =
			fo__batch_pop(table, &table->entry_grace, &table->entry_retired, entry_links(table));

		if (entry == FO__LIST_END)
			break;
		fo__list_push(&table->entry_free, entry_links(table), entry);
	}
	return freed;
}

static int side_take(struct fo_flowtable *table, uint32_t *out)
{
	*out = fo__batch_pop(table, &table->side_grace, &table->side_retired, side_links(table));
	if (*out != FO__LIST_END)
		return 0;
	if (table->side_high == table->side_room) {
		int err = grow(table);

		if (err)
			return err;
	}
	*out = table->side_high++;
	return 0;
}

int fo__side_get(struct fo_flowtable *table, uint32_t *first, fo_adj_id id, const struct fo_adj *adj,
		 uint16_t scope, uint32_t *out)
{
	uint32_t side, entry;
	int err;

	for (side = *first; side != FO__NO_SIDE; side = table->sides[side].next)
		if (table->sides[side].scope == scope) {
			*out = side;
			return 0;
		}
	err = entries_reserve(table, 1);
	if (!err)
		err = side_take(table, &side);
	if (err)
		return err;
	entry = entry_take(table);
	fo__entry_build(&fo__load_relaxed(&table->view)->entry[entry], adj, scope);
	table->sides[side] = (struct fo__side){.adj = id, .next = *first, .scope = scope};
	side_set(table, side, entry);
	*first = side;
	*out = side;
	return 0;
}

int fo__sides_update(struct fo_flowtable *table, uint32_t first, const struct fo_adj *adj)
{
	uint32_t n = 0, side;
	int err;

	for (side = first; side != FO__NO_SIDE; side = table->sides[side].next)
		n++;
	err = entries_reserve(table, n);
	if (err)
		return err;
	for (side = first; side != FO__NO_SIDE; side = table->sides[side].next) {
		struct fo__side_view *view = fo__load_relaxed(&table->view);
		uint32_t entry = entry_take(table), old = fo__load_relaxed(&view->side[side]);

		fo__entry_build(&view->entry[entry], adj, table->sides[side].scope);
		side_set(table, side, entry);
		entry_retire(table, old);
	}
	return 0;
}

/* A worker may still hold the number from a line that was updated since: it must not name another side before long. */
static void side_free(struct fo_flowtable *table, uint32_t side)
{
	entry_retire(table, fo__load_relaxed(&fo__load_relaxed(&table->view)->side[side]));
	side_set(table, side, FO__ENTRY_INVALIDATED);
	table->sides[side] = (struct fo__side){.adj = 0};
	fo__list_append(&table->side_retired, side_links(table), side);
	fo__batch_add(&table->side_grace, fo__stamp(table));
}

void fo__sides_kill(struct fo_flowtable *table, uint32_t *first, unsigned int reason)
{
	uint32_t side = *first, next;

	for (; side != FO__NO_SIDE; side = next) {
		uint32_t old = fo__load_relaxed(&fo__load_relaxed(&table->view)->side[side]);

		next = table->sides[side].next;
		if (!table->sides[side].refs) {
			side_free(table, side);
			continue;
		}
		table->sides[side].dead = (uint8_t)reason;
		table->sides[side].next = FO__NO_SIDE;
		side_set(table, side, reason == FO_R_EGRESS_DOWN ? FO__ENTRY_DOWN : FO__ENTRY_INVALIDATED);
		entry_retire(table, old);
	}
	*first = FO__NO_SIDE;
}

void fo__sides_drop(struct fo_flowtable *table, uint32_t *first)
{
	fo__sides_kill(table, first, FO_R_INVALIDATED);
}

void fo__side_ref(struct fo_flowtable *table, uint32_t side)
{
	table->sides[side].refs++;
}

/* A side alive stays with its adjacency, without flows; a dead one goes with its last flow. */
void fo__side_unref(struct fo_flowtable *table, uint32_t side)
{
	if (!--table->sides[side].refs && table->sides[side].dead)
		side_free(table, side);
}
