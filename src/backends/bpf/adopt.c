/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt.c - flows that an earlier process left in pinned maps become this table's. Neighbours: state.h, pins.c, sides.c.
 *
 * That process may have been killed at any point, and its program goes on forwarding meanwhile. What is believed: a slot
 * that was alive, both of whose directions are in the map once, active, under the sides that the slot names. It is told to
 * the library with the counters and times that the map has. All else is taken out of the maps, after a grace period, and
 * carried by the slow path from then on.
 */
#include "backends/bpf/guard.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* What the maps have of one slot: one cache line, since the maps have no order. */
struct found {
	uint64_t packets[2], bytes[2];
	uint32_t in[2], last[2];
	uint8_t seen; /* bits of directions */
	bool twice;
	uint8_t unused[14];
};

struct fo__bpf_adoption {
	struct found *found; /* one a slot */
	uint64_t n_elements; /* in both maps */
	uint64_t n_gone;
};

static void see(struct fo__bpf *bpf, uint32_t number, const struct fo__bpf_flow *seen)
{
	struct fo__bpf_adoption *adoption = bpf->adoption;
	uint32_t at = number >> 1, dir = number & 1;
	struct found *found;

	adoption->n_elements++;
	if (at >= bpf->n_slots)
		return;
	found = &adoption->found[at];
	found->twice |= (found->seen & 1u << dir) != 0;
	found->seen |= (uint8_t)(1u << dir);
	found->packets[dir] = seen->packets;
	found->bytes[dir] = seen->bytes;
	found->in[dir] = seen->in;
	found->last[dir] = seen->last;
}

/* ---- one flow ---- */

static uint32_t where_of(const struct fo__bpf_slot *slot, unsigned int dir)
{
	return slot->family == FO_FAMILY_IPV4 ? slot->key[dir].v4.where : slot->key[dir].v6.where;
}

static bool is_whole(const struct fo__bpf *bpf, uint32_t at, const struct found *found)
{
	const struct fo__bpf_slot *slot = &bpf->slots[at];

	if (slot->life != FO__BPF_LIVE || found->twice || found->seen != 3 || (uint32_t)slot->cookie != at ||
	    (slot->family != FO_FAMILY_IPV4 && slot->family != FO_FAMILY_IPV6))
		return false;
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t side = slot->in[dir];

		if (found->in[dir] & (FO__BPF_DEAD | FO__BPF_INACTIVE) || found->in[dir] >> 8 != side)
			return false;
		if (!side || side >= FO__BPF_SIDES || !bpf->sides[side].id ||
		    where_of(slot, dir) >> 8 != fo__bpf_side_ingress(bpf, side))
			return false;
	}
	return true;
}

static void read_flow(const struct fo__bpf *bpf, const struct fo__bpf_slot *slot, struct fo_flow *out)
{
	FO_INIT(out);
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__bpf_read_tuple(slot, dir, &out->tuple[dir]);
		out->adj[dir] = bpf->sides[slot->in[dir]].id;
		out->dscp[dir] = slot->dscp[dir];
	}
	out->user = slot->user;
	out->tag = slot->tag;
	out->ct_mark = slot->mark;
	out->timeout_ms = slot->timeout_ms;
}

static int adopt_flow(struct fo__bpf *bpf, struct fo__bpf_slot *slot, const struct found *found)
{
	struct fo_flow flow;
	int code;

	read_flow(bpf, slot, &flow);
	code = bpf->ops->restore_flow(bpf->host, slot->cookie, &flow, slot->state, slot->since_ms);
	if (code)
		return code;
	slot->closing = false;
	slot->ended = FO_R_NONE;
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__bpf_flow seen = {.packets = found->packets[dir],
					    .bytes = found->bytes[dir],
					    .in = found->in[dir],
					    .last = found->last[dir]};

		slot->packets[dir] = slot->bytes[dir] = 0;
		bpf->sides[slot->in[dir]].refs++;
		fo__bpf_report(bpf, (uint32_t)(slot - bpf->slots), dir, &seen);
	}
	fo__bpf_lives(bpf, (uint32_t)(slot - bpf->slots));
	fo__bpf_conntrack_adopt(bpf, (uint32_t)(slot - bpf->slots));
	return 0;
}

/* ---- what is not whole ---- */

/* Nothing forwards by it any more; its keys may still be used by others that are whole. */
static void bury(struct fo__bpf *bpf, struct fo__bpf_slot *slot)
{
	slot->life = FO__BPF_ENDING;
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__bpf_mark dead = {.set = FO__BPF_DEAD};

		(void)fo__bpf_mark(bpf, slot->family, &slot->key[dir], &dead);
	}
}

static bool has_element(const struct fo__bpf *bpf, const struct fo__bpf_slot *slot, unsigned int dir)
{
	union fo__bpf_element element;
	uint32_t number = (uint32_t)(slot - bpf->slots) << 1 | dir;

	return !bpf_map_lookup_elem(fo__bpf_flow_map(bpf, slot->family), &slot->key[dir], &element) &&
	       element.flow.slot == number;
}

static void remove_buried(struct fo__bpf *bpf, struct fo__bpf_adoption *adoption)
{
	for (uint32_t at = 0; at < bpf->n_slots; at++) {
		struct fo__bpf_slot *slot = &bpf->slots[at];

		for (unsigned int dir = 0; slot->life == FO__BPF_ENDING && dir < 2; dir++)
			if (has_element(bpf, slot, dir) &&
			    !bpf_map_delete_elem(fo__bpf_flow_map(bpf, slot->family), &slot->key[dir]))
				adoption->n_gone++;
		if (slot->life == FO__BPF_ENDING)
			slot->life = FO__BPF_FREE;
	}
}

static bool belongs(const struct fo__bpf *bpf, uint8_t family, const union fo__bpf_key *key, uint32_t number)
{
	const struct fo__bpf_slot *slot = &bpf->slots[number >> 1];
	size_t size = family == FO_FAMILY_IPV4 ? sizeof(key->v4) : sizeof(key->v6);

	return number >> 1 < bpf->n_slots && slot->life == FO__BPF_LIVE && slot->family == family &&
	       !memcmp(key, &slot->key[number & 1], size);
}

/* Elements whose keys no slot knows: every key is looked at. drop: take them out, else mark them. */
static void scan(struct fo__bpf *bpf, uint8_t family, bool drop)
{
	int map = fo__bpf_flow_map(bpf, family);
	union fo__bpf_element element;
	union fo__bpf_key key, next;
	bool more = !bpf_map_get_next_key(map, NULL, &key);

	while (more) {
		struct fo__bpf_mark dead = {.set = FO__BPF_DEAD};

		more = !bpf_map_get_next_key(map, &key, &next);
		if (!bpf_map_lookup_elem(map, &key, &element) &&
		    !belongs(bpf, family, &key, element.flow.slot)) {
			if (drop)
				(void)bpf_map_delete_elem(map, &key);
			else
				(void)fo__bpf_mark(bpf, family, &key, &dead);
		}
		key = next;
	}
}

static int clean_up(struct fo__bpf *bpf, struct fo__bpf_adoption *adoption)
{
	if (fo__bpf_grace_wait())
		return -errno;
	remove_buried(bpf, adoption);
	if (adoption->n_elements == 2 * (uint64_t)bpf->n_living + adoption->n_gone)
		return 0;
	for (unsigned int pass = 0; pass < 2; pass++) {
		scan(bpf, FO_FAMILY_IPV4, pass != 0);
		scan(bpf, FO_FAMILY_IPV6, pass != 0);
		if (!pass && fo__bpf_grace_wait())
			return -errno;
	}
	return 0;
}

/* ---- all of it ---- */

static void adopt_sides(struct fo__bpf *bpf)
{
	for (uint32_t side = 1; side < FO__BPF_SIDES; side++) {
		struct fo__bpf_side *now = &bpf->sides[side];

		now->refs = 0;
		if (now->ingress != FO__BPF_NONE && now->ingress >= FO__BPF_INGRESSES)
			now->id = 0;
		if (now->id && bpf->ops->restore_adj(bpf->host, now->id, &now->adj))
			now->id = 0;
	}
}

static void adopt_flows(struct fo__bpf *bpf, struct fo__bpf_adoption *adoption)
{
	uint64_t newest = 0;

	for (uint32_t at = 0; at < bpf->n_slots; at++) {
		struct fo__bpf_slot *slot = &bpf->slots[at];

		newest = slot->cookie >> 32 > newest >> 32 ? slot->cookie : newest;
		if (is_whole(bpf, at, &adoption->found[at]) && !adopt_flow(bpf, slot, &adoption->found[at]))
			continue;
		if (slot->life != FO__BPF_FREE || adoption->found[at].seen)
			bury(bpf, slot);
	}
	bpf->ops->restore_used(bpf->host, newest);
}

int fo__bpf_adopt(struct fo__bpf *bpf, struct fo_error *err)
{
	size_t size = bpf->n_slots * sizeof(struct found);
	struct fo__bpf_adoption adoption = {.found = bpf->ops->alloc(bpf->host, size, 64)};
	int code;

	if (!adoption.found)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0, "no memory to adopt %u flows",
				    bpf->n_slots);
	memset(adoption.found, 0, size);
	bpf->adoption = &adoption;
	bpf->see = see;
	fo__bpf_sweep_all(bpf);
	bpf->see = fo__bpf_report_number;
	bpf->adoption = NULL;
	adopt_sides(bpf);
	adopt_flows(bpf, &adoption);
	code = clean_up(bpf, &adoption);
	bpf->ops->free(bpf->host, adoption.found, size);
	if (code)
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "pins", -code,
				    "the kernel did not end a grace period");
	return fo__bpf_sides_adopt(bpf, err);
}
