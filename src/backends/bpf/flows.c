/* SPDX-License-Identifier: BSD-2-Clause */
/* flows.c - the directions of a flow as elements of the kernel's maps. Neighbours: state.h, layout.h, sides.c.
 *
 * Added: the first direction inactive, the second, then the first made active, so that a failure between the two leaves
 * nothing that ever forwarded. Ended: marked dead in place (from the next run on no packet uses it), read and removed
 * after a grace period, when nothing can count into it any more.
 */
#include "backends/bpf/state.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

int fo__bpf_flow_map(const struct fo__bpf *bpf, unsigned int family)
{
	return bpf->map[family == FO_FAMILY_IPV4 ? FO__BPF_FLOWS4 : FO__BPF_FLOWS6];
}

/* ---- building ---- */

void fo__bpf_build_key(const struct fo_tuple *tuple, uint32_t ingress, union fo__bpf_key *key)
{
	uint32_t where = ingress << 8 | tuple->proto;

	memset(key, 0, sizeof(*key));
	if (tuple->family == FO_FAMILY_IPV4) {
		memcpy(&key->v4.src, tuple->src, 4);
		memcpy(&key->v4.dst, tuple->dst, 4);
		key->v4.sport = tuple->sport_be;
		key->v4.dport = tuple->dport_be;
		key->v4.where = where;
	} else {
		memcpy(key->v6.src, tuple->src, 16);
		memcpy(key->v6.dst, tuple->dst, 16);
		key->v6.sport = tuple->sport_be;
		key->v6.dport = tuple->dport_be;
		key->v6.where = where;
	}
}

/* RFC 1624: what changing these bytes adds to the complement of a checksum; only words that change take part. */
static uint32_t change(const void *from, const void *to, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i += 2) {
		uint16_t old, new;

		memcpy(&old, (const uint8_t *)from + i, 2);
		memcpy(&new, (const uint8_t *)to + i, 2);
		sum += old == new ? 0 : (uint32_t)(uint16_t)~old + new;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void fo__bpf_build_element(const struct fo_backend_flow *flow, unsigned int dir, const uint32_t side[2],
			   union fo__bpf_element *out)
{
	const struct fo_tuple *in = &flow->flow->tuple[dir], *to = &flow->out[dir];
	size_t bytes = in->family == FO_FAMILY_IPV4 ? 4 : 16;
	uint32_t addresses = change(in->src, to->src, bytes) + change(in->dst, to->dst, bytes);
	uint32_t ports = change(&in->sport_be, &to->sport_be, 2) + change(&in->dport_be, &to->dport_be, 2);

	memset(out, 0, sizeof(*out));
	out->flow.new_sport = to->sport_be;
	out->flow.new_dport = to->dport_be;
	out->flow.address_delta = fold(addresses);
	out->flow.l4_delta = fold(ports + (in->proto == IPPROTO_ICMP ? 0 : addresses));
	out->flow.to = side[1 - dir] << 8 | flow->flow->dscp[dir];
	out->flow.in = side[dir] << 8;
	out->flow.slot = flow->slot << 1 | dir;
	if (memcmp(in->src, to->src, 16) || memcmp(in->dst, to->dst, 16) || in->sport_be != to->sport_be ||
	    in->dport_be != to->dport_be)
		out->flow.in |= FO__BPF_NAT;
	if (in->family == FO_FAMILY_IPV4) {
		memcpy(&out->v4.new_src, to->src, 4);
		memcpy(&out->v4.new_dst, to->dst, 4);
	} else {
		memcpy(out->v6.new_src, to->src, 16);
		memcpy(out->v6.new_dst, to->dst, 16);
	}
}

/* ---- the program fo_mark ---- */

int fo__bpf_mark(const struct fo__bpf *bpf, unsigned int family, const union fo__bpf_key *key,
		 struct fo__bpf_mark *answer)
{
	/* The kernel writes the answer to where it read the question. */
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = answer, .ctx_size_in = sizeof(*answer));

	if (family == FO_FAMILY_IPV4)
		answer->key.v4 = key->v4;
	else
		answer->key.v6 = key->v6;
	answer->family = family;
	if (bpf_prog_test_run_opts(bpf->program_mark, &run))
		return -errno;
	return answer->found ? 0 : -ENOENT;
}

/* ---- add ---- */

int fo__bpf_refused(int errno_, struct fo_error *err)
{
	if (errno_ == E2BIG || errno_ == ENOMEM)
		return fo__bpf_fail(err, -ENOSPC, FO_R_FULL, NULL, errno_, "the kernel's flow map is full");
	if (errno_ == EEXIST)
		return fo__bpf_fail(err, -EEXIST, FO_R_EXISTS, NULL, errno_,
				    "the kernel's flow map has this key already");
	return fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, errno_, "the kernel refused the flow");
}

static int write_both(struct fo__bpf *bpf, const struct fo__bpf_slot *slot, union fo__bpf_element element[2],
		      struct fo_error *err)
{
	struct fo__bpf_mark activate = {.clear = FO__BPF_INACTIVE};
	int map = fo__bpf_flow_map(bpf, slot->family), failed;

	element[0].flow.in |= FO__BPF_INACTIVE;
	if (bpf_map_update_elem(map, &slot->key[0], &element[0], BPF_NOEXIST))
		return fo__bpf_refused(errno, err);
	if (bpf_map_update_elem(map, &slot->key[1], &element[1], BPF_NOEXIST)) {
		failed = errno;
		(void)bpf_map_delete_elem(map, &slot->key[0]);
		return fo__bpf_refused(failed, err);
	}
	failed = fo__bpf_mark(bpf, slot->family, &slot->key[0], &activate);
	if (failed) {
		(void)bpf_map_delete_elem(map, &slot->key[1]);
		(void)bpf_map_delete_elem(map, &slot->key[0]);
		return fo__bpf_refused(-failed, err);
	}
	return 0;
}

static void release_sides(struct fo__bpf *bpf, const uint32_t side[2])
{
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__bpf_side_release(bpf, side[dir]);
}

int fo__bpf_flow_add(struct fo__bpf *bpf, const struct fo_backend_flow *flow, struct fo_error *err)
{
	struct fo__bpf_slot *slot = &bpf->slots[flow->slot];
	union fo__bpf_element element[2];
	uint32_t side[2];
	int code = fo__bpf_side_take(bpf, flow->flow->adj[0], flow->in[0], &side[0], err);

	if (code)
		return code;
	code = fo__bpf_side_take(bpf, flow->flow->adj[1], flow->in[1], &side[1], err);
	if (code) {
		fo__bpf_side_release(bpf, side[0]);
		return code;
	}
	*slot = (struct fo__bpf_slot){.cookie = flow->cookie,
				      .in = {side[0], side[1]},
				      .family = flow->flow->tuple[0].family,
				      .life = FO__BPF_LIVE};
	for (unsigned int dir = 0; dir < 2; dir++) {
		fo__bpf_build_key(&flow->flow->tuple[dir], fo__bpf_side_ingress(bpf, side[dir]),
				  &slot->key[dir]);
		fo__bpf_build_element(flow, dir, side, &element[dir]);
	}
	code = write_both(bpf, slot, element, err);
	if (code) {
		slot->life = FO__BPF_FREE;
		release_sides(bpf, side);
	}
	return code;
}

void fo__bpf_flow_undo(struct fo__bpf *bpf, struct fo__bpf_slot *flow)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		(void)bpf_map_delete_elem(fo__bpf_flow_map(bpf, flow->family), &flow->key[dir]);
	release_sides(bpf, flow->in);
	*flow = (struct fo__bpf_slot){.life = FO__BPF_FREE};
}

/* ---- end ---- */

static struct fo__bpf_slot *slot_of(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot)
{
	if (slot >= bpf->n_slots || bpf->slots[slot].cookie != cookie ||
	    bpf->slots[slot].life != FO__BPF_LIVE)
		return NULL;
	return &bpf->slots[slot];
}

static void queue_append(struct fo__bpf *bpf, struct fo__bpf_queue *queue, uint32_t slot)
{
	bpf->slots[slot].next = FO__BPF_NONE;
	if (queue->first == FO__BPF_NONE)
		queue->first = slot;
	else
		bpf->slots[queue->last].next = slot;
	queue->last = slot;
}

static int mark_dead(struct fo__bpf *bpf, uint32_t slot)
{
	struct fo__bpf_slot *flow = &bpf->slots[slot];
	int code = 0;

	for (unsigned int dir = 0; !code && dir < 2; dir++) {
		struct fo__bpf_mark dead = {.set = FO__BPF_DEAD};

		code = fo__bpf_mark(bpf, flow->family, &flow->key[dir], &dead);
		if (code == -ENOENT)
			code = 0; /* somebody else took it out: the more it is gone */
	}
	if (code)
		return code;
	flow->life = FO__BPF_ENDING;
	queue_append(bpf, &bpf->ending, slot);
	return 0;
}

int fo__bpf_flow_del(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	int code;

	/* On its way out by itself: now the library wants to hear of it as its own doing. */
	if (slot < bpf->n_slots && bpf->slots[slot].cookie == cookie && bpf->slots[slot].ended) {
		bpf->slots[slot].ended = FO_R_NONE;
		return FO_BACKEND_PENDING;
	}
	if (!slot_of(bpf, cookie, slot))
		return fo__bpf_fail(err, -ENOENT, FO_R_STALE, NULL, 0,
				    "the flow is not in the kernel's maps");
	code = mark_dead(bpf, slot);
	if (code)
		return fo__bpf_fail(err, -EIO, FO_R_BACKEND, NULL, -code, "the kernel did not mark the flow");
	return FO_BACKEND_PENDING;
}

/* What the kernel does not mark now, whoever asks for this tries again. */
void fo__bpf_flow_end(struct fo__bpf *bpf, uint32_t slot, enum fo_reason reason)
{
	if (bpf->slots[slot].life == FO__BPF_LIVE && !mark_dead(bpf, slot))
		bpf->slots[slot].ended = (uint8_t)reason;
}

static void reap(struct fo__bpf *bpf, uint32_t slot)
{
	struct fo__bpf_slot *flow = &bpf->slots[slot];
	int map = fo__bpf_flow_map(bpf, flow->family);
	union fo__bpf_element last;
	uint64_t cookie;
	uint8_t ended;

	for (unsigned int dir = 0; dir < 2; dir++) {
		if (!bpf_map_lookup_elem(map, &flow->key[dir], &last))
			fo__bpf_report(bpf, slot, dir, &last.flow);
		(void)bpf_map_delete_elem(map, &flow->key[dir]);
	}
	release_sides(bpf, flow->in);
	ended = flow->ended;
	cookie = flow->cookie;
	*flow = (struct fo__bpf_slot){.life = FO__BPF_FREE};
	if (ended)
		bpf->ops->ended(bpf->host, cookie, ended, 0);
	else
		bpf->ops->removed(bpf->host, cookie);
}

void fo__bpf_flows_reap(struct fo__bpf *bpf)
{
	uint32_t slot, next;

	if (bpf->period && !fo__bpf_grace_over(bpf, bpf->period))
		return;
	for (slot = bpf->period ? bpf->waiting.first : FO__BPF_NONE; slot != FO__BPF_NONE; slot = next) {
		next = bpf->slots[slot].next;
		reap(bpf, slot);
	}
	bpf->waiting = bpf->ending;
	bpf->ending = (struct fo__bpf_queue){FO__BPF_NONE, FO__BPF_NONE};
	bpf->period = bpf->waiting.first != FO__BPF_NONE ? fo__bpf_grace_begin(bpf) : 0;
}

/* ---- update and read ---- */

/* DSCP and the way out; the keys stay. */
int fo__bpf_flow_update(struct fo__bpf *bpf, const struct fo_backend_flow *flow, uint32_t mask,
			struct fo_error *err)
{
	struct fo__bpf_slot *slot = slot_of(bpf, flow->cookie, flow->slot);

	if (!slot)
		return fo__bpf_fail(err, -ENOENT, FO_R_STALE, NULL, 0,
				    "the flow is not in the kernel's maps");
	if (mask & FO_UPDATE_ADJ)
		return fo__bpf_flow_move(bpf, flow, err);
	if (!(mask & FO_UPDATE_DSCP))
		return 0;
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct fo__bpf_mark change = {.to = slot->in[1 - dir] << 8 | flow->flow->dscp[dir]};

		if (fo__bpf_mark(bpf, slot->family, &slot->key[dir], &change))
			return fo__bpf_fail(err, -EIO, FO_R_BACKEND, "dscp", 0,
					    "the kernel did not change the flow");
	}
	return 0;
}

int fo__bpf_flow_stats(struct fo__bpf *bpf, uint64_t cookie, uint32_t slot)
{
	struct fo__bpf_slot *flow = slot_of(bpf, cookie, slot);
	union fo__bpf_element now;

	for (unsigned int dir = 0; flow && dir < 2; dir++)
		if (!bpf_map_lookup_elem(fo__bpf_flow_map(bpf, flow->family), &flow->key[dir], &now))
			fo__bpf_report(bpf, slot, dir, &now.flow);
	return flow ? 0 : -ENOENT;
}
