/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.c - adjacencies in the kernel: number to entry to header. Neighbours: state.h, layout.h.
 *
 * A side exists while a flow uses its adjacency. Its number leads to an entry by one 32-bit store, so that an update is seen
 * whole; entries and numbers are used again after a grace period. Packets with tags or a session come in by an
 * ingress number, which all adjacencies behind the same tags of a port share.
 */
#include "backends/bpf/guard.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* ---- ingress numbers ---- */

static uint32_t ingress_number(uint32_t index, uint32_t port)
{
	return index == FO__BPF_NONE ? port : FO__BPF_INGRESS_TAGGED | index;
}

uint32_t fo__bpf_side_ingress(const struct fo__bpf *bpf, uint32_t side)
{
	return ingress_number(bpf->sides[side].ingress, bpf->sides[side].adj.port);
}

static void ingress_release(struct fo__bpf *bpf, uint32_t index)
{
	if (index != FO__BPF_NONE && !--bpf->ingresses[index].refs)
		(void)bpf_map_delete_elem(bpf->map[FO__BPF_INGRESS], &bpf->ingresses[index].key);
}

static int ingress_take(struct fo__bpf *bpf, const struct fo_adj *adj, uint32_t *out, struct fo_error *err)
{
	struct fo__bpf_ingress_key key = {.encap = fo__bpf_encap_word(adj), .port = adj->port};
	uint32_t room = FO__BPF_NONE, number;

	*out = FO__BPF_NONE;
	if (!adj->n_encaps)
		return 0;
	for (uint32_t i = 0; i < FO__BPF_INGRESSES; i++) {
		if (bpf->ingresses[i].refs && !memcmp(&bpf->ingresses[i].key, &key, sizeof(key))) {
			bpf->ingresses[i].refs++;
			*out = i;
			return 0;
		}
		if (!bpf->ingresses[i].refs && room == FO__BPF_NONE)
			room = i;
	}
	if (room == FO__BPF_NONE)
		return fo__bpf_fail(err, -ENOSPC, FO_R_FULL, "adj.encap", 0,
				    "%u different combinations of port, tags and session are in use; end the "
				    "flows of some",
				    FO__BPF_INGRESSES);
	number = ingress_number(room, adj->port);
	if (bpf_map_update_elem(bpf->map[FO__BPF_INGRESS], &key, &number, BPF_NOEXIST))
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "adj.encap", errno,
				    "the kernel refused the ingress");
	bpf->ingresses[room] = (struct fo__bpf_ingress){key, 1};
	*out = room;
	return 0;
}

/* ---- entries and numbers ---- */

static int entry_take(struct fo__bpf *bpf, uint32_t *out)
{
	if (bpf->n_entries_free)
		*out = bpf->entries_free[--bpf->n_entries_free];
	else if (bpf->entries_high < 2 * FO__BPF_SIDES)
		*out = bpf->entries_high++;
	else
		return -EAGAIN;
	return 0;
}

static int entry_point(struct fo__bpf *bpf, uint32_t side, uint32_t entry, const struct fo_adj *adj,
		       uint32_t ingress, struct fo_error *err)
{
	struct fo__bpf_entry built;

	fo__bpf_build_entry(adj, ingress_number(ingress, adj->port), &built);
	if (!fo__bpf_port_works(bpf, adj->port)) {
		built.flags |= FO__BPF_ENTRY_DEAD;
		built.reason = FO_R_EGRESS_DOWN;
		fo__bpf_links_end_flows(bpf);
	}
	if (bpf_map_update_elem(bpf->map[FO__BPF_ENTRIES], &entry, &built, BPF_ANY) ||
	    bpf_map_update_elem(bpf->map[FO__BPF_ADJACENCIES], &side, &entry, BPF_ANY))
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "adj", errno,
				    "the kernel refused the adjacency");
	return 0;
}

/* ---- sides ---- */

static uint32_t *chain_of(struct fo__bpf *bpf, fo_adj_id id)
{
	return &bpf->sides_by_id[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 48];
}

static uint32_t find_side(struct fo__bpf *bpf, fo_adj_id id)
{
	uint32_t side = *chain_of(bpf, id);

	while (side && bpf->sides[side].id != id)
		side = bpf->sides[side].chain;
	return side;
}

static void unchain(struct fo__bpf *bpf, uint32_t side)
{
	uint32_t *at = chain_of(bpf, bpf->sides[side].id);

	while (*at != side)
		at = &bpf->sides[*at].chain;
	*at = bpf->sides[side].chain;
}

static int side_number(struct fo__bpf *bpf, uint32_t *out)
{
	*out = bpf->sides_free;
	if (*out)
		bpf->sides_free = bpf->sides[*out].next;
	else if (bpf->sides_high < FO__BPF_SIDES)
		*out = bpf->sides_high++;
	return *out ? 0 : -ENOSPC;
}

static void give_back(struct fo__bpf *bpf, uint32_t side)
{
	bpf->sides[side].next = bpf->sides_free;
	bpf->sides_free = side;
}

static int side_create(struct fo__bpf *bpf, fo_adj_id id, const struct fo_adj *adj, uint32_t *out,
		       struct fo_error *err)
{
	uint32_t side, entry, ingress;
	int code;

	if (side_number(bpf, &side) || entry_take(bpf, &entry))
		return fo__bpf_fail(err, -ENOSPC, FO_R_FULL, "adj", 0,
				    "%u adjacencies have flows, or wait until the kernel has let go of them",
				    FO__BPF_SIDES - 1);
	code = ingress_take(bpf, adj, &ingress, err);
	if (!code)
		code = entry_point(bpf, side, entry, adj, ingress, err);
	if (code) {
		/* No flow names this side yet. */
		bpf->entries_free[bpf->n_entries_free++] = entry;
		give_back(bpf, side);
		return code;
	}
	bpf->sides[side] = (struct fo__bpf_side){
		.id = id, .adj = *adj, .entry = entry, .ingress = ingress, .chain = *chain_of(bpf, id)};
	*chain_of(bpf, id) = side;
	*out = side;
	return 0;
}

int fo__bpf_side_take(struct fo__bpf *bpf, fo_adj_id id, const struct fo_adj *adj, uint32_t *out,
		      struct fo_error *err)
{
	uint32_t side = find_side(bpf, id);
	int code = side ? 0 : side_create(bpf, id, adj, &side, err);

	if (code)
		return code;
	bpf->sides[side].refs++;
	*out = side;
	return 0;
}

/* In place: a packet under way sees the flag or it does not. The reason is there before it. */
static void mark_entry(struct fo__bpf *bpf, const struct fo__bpf_side *side, enum fo_reason reason)
{
	struct fo__bpf_entry entry;
	int map = bpf->map[FO__BPF_ENTRIES];

	if (bpf_map_lookup_elem(map, &side->entry, &entry) ||
	    (!reason && !(entry.flags & FO__BPF_ENTRY_DEAD)))
		return;
	if (reason) {
		entry.reason = (uint8_t)reason;
		(void)bpf_map_update_elem(map, &side->entry, &entry, BPF_EXIST);
		entry.flags |= FO__BPF_ENTRY_DEAD;
	} else {
		entry.flags &= (uint8_t)~FO__BPF_ENTRY_DEAD;
	}
	(void)bpf_map_update_elem(map, &side->entry, &entry, BPF_EXIST);
}

void fo__bpf_side_mark(struct fo__bpf *bpf, uint32_t side, enum fo_reason reason)
{
	mark_entry(bpf, &bpf->sides[side], reason);
}

void fo__bpf_sides_mark(struct fo__bpf *bpf, uint32_t port, enum fo_reason reason)
{
	for (uint32_t side = 1; side < bpf->sides_high; side++)
		if (bpf->sides[side].id && bpf->sides[side].adj.port == port)
			mark_entry(bpf, &bpf->sides[side], reason);
}

/* ---- what must wait before it is used again ---- */

static void retire(struct fo__bpf *bpf, uint32_t kind, uint32_t number)
{
	/* Room for every side and every entry: each is in the list once at most. */
	bpf->retired[(bpf->retired_first + bpf->n_retired++) % FO__BPF_RETIRED] =
		(struct fo__bpf_retired){.kind = kind, .number = number};
}

void fo__bpf_side_release(struct fo__bpf *bpf, uint32_t side)
{
	struct fo__bpf_side *gone = &bpf->sides[side];

	if (--gone->refs)
		return;
	unchain(bpf, side);
	ingress_release(bpf, gone->ingress);
	retire(bpf, FO__BPF_RETIRED_ENTRY, gone->entry);
	retire(bpf, FO__BPF_RETIRED_SIDE, side);
	gone->id = 0;
}

/* Period by period: what was retired before one began is free when it is over. */
void fo__bpf_sides_reclaim(struct fo__bpf *bpf)
{
	if (bpf->retired_period && !fo__bpf_grace_over(bpf, bpf->retired_period))
		return;
	for (; bpf->retired_period && bpf->retired_waiting; bpf->retired_waiting--, bpf->n_retired--) {
		struct fo__bpf_retired *free = &bpf->retired[bpf->retired_first++ % FO__BPF_RETIRED];

		if (free->kind == FO__BPF_RETIRED_SIDE)
			give_back(bpf, free->number);
		else
			bpf->entries_free[bpf->n_entries_free++] = free->number;
	}
	bpf->retired_waiting = bpf->n_retired;
	bpf->retired_period = bpf->n_retired ? fo__bpf_grace_begin(bpf) : 0;
}

struct update {
	uint32_t side, ingress;
	const struct fo_adj *adj;
};

/* One store, for all flows. */
static int commit_update(struct fo__bpf *bpf, void *arg, struct fo_error *err)
{
	const struct update *update = arg;
	struct fo__bpf_side *now = &bpf->sides[update->side];
	uint32_t entry;
	int code;

	if (entry_take(bpf, &entry))
		return fo__bpf_fail(err, -EAGAIN, FO_R_RECLAIM, "adj", 0,
				    "too many old adjacencies wait for the kernel; call fo_table_poll()");
	code = entry_point(bpf, update->side, entry, update->adj, update->ingress, err);
	if (code) {
		bpf->entries_free[bpf->n_entries_free++] = entry;
		return code;
	}
	retire(bpf, FO__BPF_RETIRED_ENTRY, now->entry);
	now->entry = entry;
	return 0;
}

int fo__bpf_side_update(struct fo__bpf *bpf, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err)
{
	struct update update = {.side = find_side(bpf, id), .adj = adj};
	struct fo__bpf_side *now = &bpf->sides[update.side];
	bool elsewhere =
		now->adj.port != adj->port || fo__bpf_encap_word(&now->adj) != fo__bpf_encap_word(adj);
	int code;

	if (!update.side)
		return 0; /* no flow uses it: it comes with the next that does */
	update.ingress = now->ingress;
	if (elsewhere) {
		code = ingress_take(bpf, adj, &update.ingress, err);
		if (!code)
			code = fo__bpf_side_move(bpf, update.side, ingress_number(update.ingress, adj->port),
						 commit_update, &update, err);
		/* Whichever of the two is not in use any more. */
		ingress_release(bpf, code ? update.ingress : now->ingress);
	} else {
		code = commit_update(bpf, &update, err);
	}
	if (code)
		return code;
	now->ingress = update.ingress;
	now->adj = *adj;
	return 0;
}

/* ---- after a kill ---- */

/* Ingress numbers that no side uses go, and those that the map alone knows. */
static void adopt_ingresses(struct fo__bpf *bpf)
{
	struct fo__bpf_ingress_key key, next;
	int map = bpf->map[FO__BPF_INGRESS];
	bool more = !bpf_map_get_next_key(map, NULL, &key);

	for (uint32_t i = 0; i < FO__BPF_INGRESSES; i++)
		bpf->ingresses[i].refs = 0;
	for (uint32_t side = 1; side < FO__BPF_SIDES; side++)
		if (bpf->sides[side].id && bpf->sides[side].ingress != FO__BPF_NONE)
			bpf->ingresses[bpf->sides[side].ingress].refs++;
	while (more) {
		uint32_t number = 0, index;

		more = !bpf_map_get_next_key(map, &key, &next);
		(void)bpf_map_lookup_elem(map, &key, &number);
		index = number & ~FO__BPF_INGRESS_TAGGED;
		if (index >= FO__BPF_INGRESSES || !bpf->ingresses[index].refs ||
		    memcmp(&bpf->ingresses[index].key, &key, sizeof(key)) != 0)
			(void)bpf_map_delete_elem(map, &key);
		key = next;
	}
}

/* used: one byte an entry. */
static int adopt_side(struct fo__bpf *bpf, uint32_t side, uint8_t *used, struct fo_error *err)
{
	struct fo__bpf_side *now = &bpf->sides[side];
	struct fo__bpf_entry built, there;
	uint32_t entry;

	now->chain = *chain_of(bpf, now->id);
	*chain_of(bpf, now->id) = side;
	fo__bpf_build_entry(&now->adj, ingress_number(now->ingress, now->adj.port), &built);
	if (bpf_map_lookup_elem(bpf->map[FO__BPF_ADJACENCIES], &side, &entry) || entry >= 2 * FO__BPF_SIDES ||
	    bpf_map_lookup_elem(bpf->map[FO__BPF_ENTRIES], &entry, &there))
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "pins", errno, "an adjacency cannot be read");
	now->entry = entry;
	used[entry] = 1;
	/* Its port was down: whether it still is, is looked at when the port is opened. */
	if (there.flags & FO__BPF_ENTRY_DEAD) {
		built.flags |= FO__BPF_ENTRY_DEAD;
		built.reason = there.reason;
	}
	/* An update was under way. Nobody else points at this entry; a packet that sees half of it is of this moment. */
	if (memcmp(&built, &there, sizeof(built)) != 0 &&
	    bpf_map_update_elem(bpf->map[FO__BPF_ENTRIES], &entry, &built, BPF_ANY))
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "pins", errno, "an adjacency cannot be written");
	return 0;
}

int fo__bpf_sides_adopt(struct fo__bpf *bpf, struct fo_error *err)
{
	size_t size = 2 * FO__BPF_SIDES;
	uint8_t *used = bpf->ops->alloc(bpf->host, size, 64);
	int code = 0;

	if (!used)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, NULL, 0, "no memory to adopt adjacencies");
	memset(used, 0, size);
	for (uint32_t side = 1; side < FO__BPF_SIDES; side++)
		if (!bpf->sides[side].refs)
			bpf->sides[side].id = 0;
		else
			bpf->sides_high = side + 1;
	adopt_ingresses(bpf);
	for (uint32_t side = 1; side < bpf->sides_high && !code; side++) {
		if (!bpf->sides[side].id)
			give_back(bpf, side);
		else
			code = adopt_side(bpf, side, used, err);
	}
	for (uint32_t entry = 0; entry < size; entry++)
		if (used[entry])
			bpf->entries_high = entry + 1;
	for (uint32_t entry = 0; entry < bpf->entries_high; entry++)
		if (!used[entry])
			bpf->entries_free[bpf->n_entries_free++] = entry;
	bpf->ops->free(bpf->host, used, size);
	return code;
}
