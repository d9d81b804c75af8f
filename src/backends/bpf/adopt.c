/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt.c - flows that an earlier process left in pinned maps become this table's. Neighbours: state.h, pins.c, sides.c.
 *
 * That process may have been killed at any point, and its program goes on forwarding meanwhile. What is believed: a slot
 * that was alive, both of whose states are active, under the sides that the slot names. A process makes states active when
 * both directions are in the map, and marks them dead before it takes one out: so nobody has to look into the maps. It is
 * told to the library with the counters and times that its states have. All else is taken out of the maps, after a grace
 * period, and carried by the slow path from then on.
 */
#include "backends/bpf/guard.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* ---- one flow ---- */

static uint32_t where_of(const struct fo__bpf_slot *slot, unsigned int dir)
{
	return slot->family == FO_FAMILY_IPV4 ? slot->key[dir].v4.where : slot->key[dir].v6.where;
}

static bool has_right_sides(const struct fo__bpf *bpf, const struct fo__bpf_slot *slot)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t side = slot->in[dir];

		if (!side || side >= FO__BPF_SIDES || !bpf->sides[side].id ||
		    where_of(slot, dir) >> 8 != fo__bpf_side_ingress(bpf, side))
			return false;
	}
	return true;
}

static bool is_whole(const struct fo__bpf *bpf, uint32_t at)
{
	const struct fo__bpf_slot *slot = &bpf->slots[at];

	if (slot->life != FO__BPF_LIVE || slot->moving || (uint32_t)slot->cookie != at ||
	    (slot->family != FO_FAMILY_IPV4 && slot->family != FO_FAMILY_IPV6))
		return false;
	for (unsigned int dir = 0; dir < 2; dir++)
		if (fo__bpf_state_of(bpf, at, dir)->flags & (FO__BPF_DEAD | FO__BPF_INACTIVE))
			return false;
	return has_right_sides(bpf, slot);
}

static void read_flow(const struct fo__bpf *bpf, const struct fo__bpf_slot *slot, struct fo_flow *out)
{
	FO_INIT(out);
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__bpf_read_tuple(slot->family, &slot->key[dir], &out->tuple[dir]);
		out->adj[dir] = bpf->sides[slot->in[dir]].id;
		out->dscp[dir] = slot->dscp[dir];
	}
	out->user = slot->user;
	out->tag = slot->tag;
	out->ct_mark = slot->mark;
	out->timeout_ms = slot->timeout_ms;
}

static int adopt_flow(struct fo__bpf *bpf, uint32_t at)
{
	struct fo__bpf_slot *slot = &bpf->slots[at];
	struct fo_flow flow;
	int code;

	read_flow(bpf, slot, &flow);
	code = bpf->ops->restore_flow(bpf->host, slot->cookie, &flow, slot->state, slot->since_ms);
	if (code)
		return code;
	slot->closing = false;
	slot->ended = FO_R_NONE;
	fo__bpf_lives(bpf, at);
	for (unsigned int dir = 0; dir < 2; dir++) {
		slot->packets[dir] = slot->bytes[dir] = 0;
		bpf->sides[slot->in[dir]].refs++;
		fo__bpf_report(bpf, at, dir);
	}
	fo__bpf_care_adopt(bpf, at);
	return 0;
}

/* ---- what is not whole ---- */

/* Nothing forwards by it any more; its keys may still be used by others that are whole. */
static void bury(struct fo__bpf *bpf, uint32_t at)
{
	bpf->slots[at].life = FO__BPF_ENDING;
	fo__bpf_state_set(bpf, at, FO__BPF_DEAD, 0);
}

static bool has_element(const struct fo__bpf *bpf, uint32_t at, unsigned int dir)
{
	const struct fo__bpf_slot *slot = &bpf->slots[at];
	union fo__bpf_element element;

	return !bpf_map_lookup_elem(fo__bpf_flow_map(bpf, slot->family), &slot->key[dir], &element) &&
	       element.flow.number == at + dir * bpf->n_slots;
}

static void remove_buried(struct fo__bpf *bpf)
{
	for (uint32_t at = 0; at < bpf->n_slots; at++) {
		struct fo__bpf_slot *slot = &bpf->slots[at];

		if (slot->life != FO__BPF_ENDING)
			continue;
		for (unsigned int dir = 0; dir < 2; dir++)
			if (has_element(bpf, at, dir))
				(void)bpf_map_delete_elem(fo__bpf_flow_map(bpf, slot->family),
							  &slot->key[dir]);
		slot->moving = false;
		slot->life = FO__BPF_FREE;
	}
}

static bool belongs(const struct fo__bpf *bpf, uint8_t family, const union fo__bpf_key *key, uint32_t number)
{
	uint32_t dir = number >= bpf->n_slots, at = number - dir * bpf->n_slots;
	const struct fo__bpf_slot *slot = &bpf->slots[at];
	size_t size = family == FO_FAMILY_IPV4 ? sizeof(key->v4) : sizeof(key->v6);

	return at < bpf->n_slots && slot->life == FO__BPF_LIVE && slot->family == family &&
	       !memcmp(key, &slot->key[dir], size);
}

/* Elements whose keys no slot knows: every key is looked at. drop: take them out, else their packets pass. */
static void scan(struct fo__bpf *bpf, uint8_t family, bool drop)
{
	int map = fo__bpf_flow_map(bpf, family);
	union fo__bpf_element element;
	union fo__bpf_key key, next;
	bool more = !bpf_map_get_next_key(map, NULL, &key);

	while (more) {
		struct fo__bpf_mark wait = {.keep = ~0u, .set = FO__BPF_HOW_WAITING};

		more = !bpf_map_get_next_key(map, &key, &next);
		if (!bpf_map_lookup_elem(map, &key, &element) &&
		    !belongs(bpf, family, &key, element.flow.number)) {
			if (drop)
				(void)bpf_map_delete_elem(map, &key);
			else
				(void)fo__bpf_mark(bpf, family, &key, &wait);
		}
		key = next;
	}
}

/* strangers: there may be elements that no slot knows. */
static int clean_up(struct fo__bpf *bpf, bool strangers)
{
	if (fo__bpf_grace_wait())
		return -errno;
	remove_buried(bpf);
	for (unsigned int pass = 0; strangers && pass < 2; pass++) {
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

/* Returns whether the maps may have elements that no slot knows: those of a flow whose keys were changing. */
static bool adopt_flows(struct fo__bpf *bpf)
{
	bool strangers = false;
	uint64_t newest = 0;

	for (uint32_t at = 0; at < bpf->n_slots; at++) {
		struct fo__bpf_slot *slot = &bpf->slots[at];

		newest = slot->cookie >> 32 > newest >> 32 ? slot->cookie : newest;
		if (slot->life == FO__BPF_FREE || (is_whole(bpf, at) && !adopt_flow(bpf, at)))
			continue;
		strangers |= slot->moving || !has_right_sides(bpf, slot);
		bury(bpf, at);
	}
	bpf->ops->restore_used(bpf->host, newest);
	return strangers;
}

int fo__bpf_adopt(struct fo__bpf *bpf, struct fo_error *err)
{
	bool strangers;
	int code;

	bpf->now_jiffies = fo__bpf_jiffies(bpf);
	adopt_sides(bpf);
	strangers = adopt_flows(bpf);
	code = clean_up(bpf, strangers);
	if (code)
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "pins", -code,
				    "the kernel did not end a grace period");
	return fo__bpf_sides_adopt(bpf, err);
}
