/* SPDX-License-Identifier: BSD-2-Clause */
/* move.c - directions of living flows that come in another way: their keys change. Neighbours: state.h, flows.c, sides.c.
 *
 * The new elements are written first, waiting, so that a refusal leaves everything as it was. Then the old ones wait and the
 * new ones do not: packets between the two are passed on. Both have one state, so nothing that is counted is lost. After a
 * grace period, waited for here, nobody reads the old ones any more, and they are removed. A process that is killed meanwhile
 * leaves slots that say so.
 */
#include "backends/bpf/state.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* One direction under way. */
struct move {
	uint32_t slot;
	uint32_t dir;
	union fo__bpf_key to;
};

static void set_ingress(unsigned int family, union fo__bpf_key *key, uint32_t ingress)
{
	uint32_t *where = family == FO_FAMILY_IPV4 ? &key->v4.where : &key->v6.where;

	*where = ingress << 8 | (*where & 0xff);
}

static void drop_new(struct fo__bpf *bpf, const struct move *moves, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct fo__bpf_slot *slot = &bpf->slots[moves[i].slot];

		(void)bpf_map_delete_elem(fo__bpf_flow_map(bpf, slot->family), &moves[i].to);
	}
}

/* The new element is what the old one says, or what is given. */
static int write_new(struct fo__bpf *bpf, const struct move *move, const union fo__bpf_element *given)
{
	struct fo__bpf_slot *slot = &bpf->slots[move->slot];
	int map = fo__bpf_flow_map(bpf, slot->family);
	union fo__bpf_element element;

	if (given)
		element = *given;
	else if (bpf_map_lookup_elem(map, &slot->key[move->dir], &element))
		return -errno;
	slot->moving = true;
	element.flow.how |= FO__BPF_HOW_WAITING;
	return bpf_map_update_elem(map, &move->to, &element, BPF_NOEXIST) ? -errno : 0;
}

static void take_over(struct fo__bpf *bpf, const struct move *move)
{
	const struct fo__bpf_slot *slot = &bpf->slots[move->slot];
	struct fo__bpf_mark wait = {.keep = ~0u, .set = FO__BPF_HOW_WAITING};
	struct fo__bpf_mark go = {.keep = ~FO__BPF_HOW_WAITING};

	(void)fo__bpf_mark(bpf, slot->family, &slot->key[move->dir], &wait);
	(void)fo__bpf_mark(bpf, slot->family, &move->to, &go);
}

static void remove_old(struct fo__bpf *bpf, const struct move *move)
{
	struct fo__bpf_slot *slot = &bpf->slots[move->slot];

	(void)bpf_map_delete_elem(fo__bpf_flow_map(bpf, slot->family), &slot->key[move->dir]);
	slot->key[move->dir] = move->to;
}

static void finish(struct fo__bpf *bpf, const struct move *moves, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		take_over(bpf, &moves[i]);
	if (!n)
		return;
	/* Cannot fail: it was tried when the table was created. */
	(void)fo__bpf_grace_wait();
	for (uint32_t i = 0; i < n; i++)
		remove_old(bpf, &moves[i]);
}

/* ---- all flows of a side ---- */

static uint32_t directions_of(const struct fo__bpf *bpf, uint32_t side, uint32_t ingress, struct move *moves)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < bpf->n_slots; i++) {
		const struct fo__bpf_slot *slot = &bpf->slots[i];

		for (uint32_t dir = 0; slot->life == FO__BPF_LIVE && dir < 2; dir++) {
			if (slot->in[dir] != side)
				continue;
			if (moves) {
				moves[n] = (struct move){.slot = i, .dir = dir, .to = slot->key[dir]};
				set_ingress(slot->family, &moves[n].to, ingress);
			}
			n++;
		}
	}
	return n;
}

static int move_all(struct fo__bpf *bpf, const struct move *moves, uint32_t n,
		    int (*commit)(struct fo__bpf *bpf, void *arg, struct fo_error *err), void *arg,
		    struct fo_error *err)
{
	uint32_t written = 0;
	int code = 0;

	while (!code && written < n) {
		code = write_new(bpf, &moves[written], NULL);
		written += !code;
	}
	code = code ? fo__bpf_refused(-code, err) : commit(bpf, arg, err);
	if (code)
		drop_new(bpf, moves, written);
	else
		finish(bpf, moves, n);
	for (uint32_t i = 0; i < n; i++)
		bpf->slots[moves[i].slot].moving = false;
	return code;
}

int fo__bpf_side_move(struct fo__bpf *bpf, uint32_t side, uint32_t ingress,
		      int (*commit)(struct fo__bpf *bpf, void *arg, struct fo_error *err), void *arg,
		      struct fo_error *err)
{
	uint32_t n = directions_of(bpf, side, ingress, NULL);
	size_t size = (n ? n : 1) * sizeof(struct move);
	struct move *moves = bpf->ops->alloc(bpf->host, size, 64);
	int code;

	if (!moves)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "adj", 0, "no memory to move %u directions",
				    n);
	(void)directions_of(bpf, side, ingress, moves);
	code = move_all(bpf, moves, n, commit, arg, err);
	bpf->ops->free(bpf->host, moves, size);
	return code;
}

/* ---- one flow ---- */

/* The element stays where it is: only its sides change. */
static void change_sides(struct fo__bpf *bpf, const struct fo__bpf_slot *slot, unsigned int dir,
			 const uint32_t side[2], uint8_t dscp)
{
	struct fo__bpf_mark change = {
		.keep = 0xff, .set = side[1 - dir] << 16 | (uint32_t)dscp << 8, .in = side[dir]};

	(void)fo__bpf_mark(bpf, slot->family, &slot->key[dir], &change);
}

static int move_flow(struct fo__bpf *bpf, const struct fo_backend_flow *flow, const uint32_t side[2],
		     struct fo_error *err)
{
	struct fo__bpf_slot *slot = &bpf->slots[flow->slot];
	struct move moves[2];
	uint32_t n = 0;
	bool moved[2];
	int code = 0;

	for (uint32_t dir = 0; !code && dir < 2; dir++) {
		struct move *move = &moves[n];
		union fo__bpf_element element;

		*move = (struct move){.slot = flow->slot, .dir = dir};
		fo__bpf_build_key(&flow->flow->tuple[dir], fo__bpf_side_ingress(bpf, side[dir]), &move->to);
		moved[dir] = memcmp(&move->to, &slot->key[dir], sizeof(move->to)) != 0;
		if (!moved[dir])
			continue;
		fo__bpf_build_element(flow, bpf->n_slots, dir, side, &element);
		code = write_new(bpf, move, &element);
		n += !code;
	}
	if (code) {
		drop_new(bpf, moves, n);
		return fo__bpf_refused(-code, err);
	}
	for (unsigned int dir = 0; dir < 2; dir++)
		if (!moved[dir])
			change_sides(bpf, slot, dir, side, flow->flow->dscp[dir]);
	finish(bpf, moves, n);
	return 0;
}

int fo__bpf_flow_move(struct fo__bpf *bpf, const struct fo_backend_flow *flow, struct fo_error *err)
{
	struct fo__bpf_slot *slot = &bpf->slots[flow->slot];
	uint32_t side[2] = {0, 0}, old[2] = {slot->in[0], slot->in[1]};
	int code = fo__bpf_side_take(bpf, flow->flow->adj[0], flow->in[0], &side[0], err);

	if (!code)
		code = fo__bpf_side_take(bpf, flow->flow->adj[1], flow->in[1], &side[1], err);
	if (!code) {
		slot->moving = true;
		code = move_flow(bpf, flow, side, err);
	}
	if (!code) {
		slot->in[0] = side[0];
		slot->in[1] = side[1];
	}
	slot->moving = false;
	/* What is not in use any more. */
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t gone = code ? side[dir] : old[dir];

		if (gone)
			fo__bpf_side_release(bpf, gone);
	}
	return code;
}
