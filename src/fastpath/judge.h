/* SPDX-License-Identifier: BSD-2-Clause */
/* judge.h - may this packet take the short cut, and if not, why not: every check in its order.
 *
 * Nearly all packets pass the few comparisons of fo__is_plain(); what fails one of them is judged here in full, out of
 * line, and may still be forwarded (GSO, partial checksum, a twin from another side, ingress from anywhere).
 * Source: net/netfilter/nf_flow_table_ip.c.
 */
#ifndef FO_FASTPATH_JUDGE_H
#define FO_FASTPATH_JUDGE_H

#include "fastpath/rewrite.h"
#include "fastpath/search.h"

/* The first 6 bytes differ. Both have 8 that can be read. */
static inline int fo__macs_differ(const uint8_t *a, const uint8_t *b)
{
	uint64_t differ = fo__load64(a) ^ fo__load64(b);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (differ << 16) != 0;
#else
	return (differ >> 16) != 0;
#endif
}
_Static_assert(offsetof(struct fo__entry, own_mac) + 8 <= sizeof(struct fo__entry), "8 bytes to read");

/* An owner that no direction has. */
#define FO__NOBODY UINT32_MAX

/* Nothing is in the way, and the direction is counted by this worker (owner: number + 1, in its place in ctl). */
static inline int fo__is_plain(const struct fo_packet *packet, const struct fo__look *look, uint32_t ctl,
			       uint32_t owner)
{
	const struct fo__entry *in = look->in, *to = look->to;

	return !look->parsed.marks && !packet->flags && in->port == packet->in_port &&
	       in->arrival == packet->scope && !fo__macs_differ(packet->data, in->own_mac) &&
	       (ctl & (FO__CTL_STOP | FO__CTL_OWNED)) == owner && look->parsed.ip_len <= to->room &&
	       !(look->out & 0xff);
}

/* Nothing is in the way of a packet with tags, a session, IPv6 or a DSCP to write either. */
static inline int fo__is_easy(const struct fo_packet *packet, const struct fo__look *look, uint32_t ctl)
{
	const struct fo__parsed *parsed = &look->parsed;
	const struct fo__entry *in = look->in, *to = look->to;

	return in->port == packet->in_port && in->scope == packet->scope && in->encap == parsed->encap &&
	       !fo__macs_differ(packet->data, in->own_mac) &&
	       !((ctl & FO__CTL_STOP) | (parsed->marks & FO__MARK_FLAGS) |
		 (packet->flags & (FO_PKT_GSO | FO_PKT_CSUM_PARTIAL))) &&
	       parsed->ip_len <= to->mtu && to->header_len <= (uint32_t)packet->headroom + parsed->l3;
}

static unsigned int fo__judge_length(const struct fo_packet *packet, const struct fo__parsed *parsed,
				     const struct fo__entry *to)
{
	uint32_t longest = parsed->ip_len;

	if (packet->flags & FO_PKT_GSO) {
		unsigned int proto = parsed->key.code & ~FO__CODE_V6, headers;
		const uint8_t *l4 = packet->data + fo__parsed_l4(parsed);

		if (!packet->gso_size || !(packet->flags & FO_PKT_CSUM_PARTIAL) ||
		    (to->flags & FO__ENTRY_PPPOE) || (proto != FO__PROTO_TCP && proto != FO__PROTO_UDP))
			return FO_R_GSO;
		headers = fo__parsed_l4(parsed) - parsed->l3;
		headers += proto == FO__PROTO_TCP ? (l4[12] >> 4) * 4u : 8u;
		if (headers + packet->gso_size < longest)
			longest = headers + packet->gso_size;
	}
	return longest > to->mtu ? FO_R_MTU : FO_R_NONE;
}

static unsigned int fo__judge_checksum(const struct fo_packet *packet, const struct fo__parsed *parsed)
{
	unsigned int proto = parsed->key.code & ~FO__CODE_V6;

	if (!(packet->flags & FO_PKT_CSUM_PARTIAL))
		return FO_R_NONE;
	if ((proto != FO__PROTO_TCP && proto != FO__PROTO_UDP) ||
	    packet->csum_start != fo__parsed_l4(parsed) || packet->csum_offset != parsed->checksum)
		return FO_R_CSUM_META;
	return FO_R_NONE;
}

/* FIN or RST: both directions stop here; control hears of it by the ring, or finds it when it sweeps. */
static unsigned int fo__judge_flags(struct fo__run *run, uint32_t dir, unsigned int flags)
{
	struct fo_worker *worker = run->worker;
	uint32_t bit = flags & FO__TCP_RST ? FO__CTL_RST : FO__CTL_FIN, head, before, first = dir & ~1u;

	if (!(flags & (FO__TCP_RST | FO__TCP_FIN)))
		return FO_R_TCP_SYN;
	/* One line decides who reports: two workers that begin with one line each would leave it to each other. */
	before = atomic_fetch_or_explicit(&run->table->lines[first].ctl, bit, memory_order_relaxed);
	atomic_fetch_or_explicit(&run->table->lines[first + 1].ctl, bit, memory_order_relaxed);
	head = fo__load_relaxed(&worker->ring_head);
	if (before & FO__CTL_CLOSING)
		return flags & FO__TCP_RST ? FO_R_TCP_RST : FO_R_TCP_FIN;
	if (head - fo__load_acquire(&worker->ring_tail) < FO__RING) {
		fo__store_relaxed(&worker->ring[head % FO__RING], dir >> 1);
		fo__store_release(&worker->ring_head, head + 1);
	} else {
		fo__store_release(&worker->ring_lost, 1);
	}
	return flags & FO__TCP_RST ? FO_R_TCP_RST : FO_R_TCP_FIN;
}

/* Where does it come from? May find another direction with the same tuple. */
static unsigned int fo__judge_ingress(const struct fo__run *run, const struct fo_packet *packet,
				      struct fo__look *look)
{
	unsigned int reason;

	if (!fo__same_ingress(look->in, packet, &look->parsed)) {
		reason = fo__search_all(run, packet, look);
		if (look->dir == FO__NO_DIR)
			return reason;
		fo__look_sides(run, look, &run->table->lines[look->dir]);
		if (reason)
			return look->in->flags & FO__ENTRY_DEAD ? look->in->reason : reason;
	}
	if (fo__macs_differ(packet->data, look->in->own_mac) && !(look->in->flags & FO__ENTRY_ANY_INGRESS))
		return FO_R_WRONG_MAC;
	return FO_R_NONE;
}

/* The reason to pass, or FO_R_NONE: then look->dir, to and out are those to forward by, *ctl the line's state. */
static __attribute__((noinline)) unsigned int fo__judge(struct fo__run *run, const struct fo_packet *packet,
							struct fo__look *look, uint32_t *ctl)
{
	const struct fo__parsed *parsed = &look->parsed;
	unsigned int reason = fo__judge_ingress(run, packet, look);

	if (reason)
		return reason;
	*ctl = fo__load_relaxed(&run->table->lines[look->dir].ctl);
	if (look->to->flags & FO__ENTRY_DEAD)
		return look->to->reason;
	if (*ctl & FO__CTL_STOP)
		return *ctl & FO__CTL_CLOSING ? FO_R_CLOSING : FO_R_NOT_ACTIVE;
	if (run->filter && fo__filter_hits(run->table, run->filter, look->dir >> 1, packet->scope))
		return FO_R_INVALIDATED;
	if (parsed->marks & FO__MARK_FLAGS)
		return fo__judge_flags(run, look->dir, parsed->marks & FO__MARK_FLAGS);
	reason = fo__judge_length(packet, parsed, look->to);
	if (!reason)
		reason = fo__judge_checksum(packet, parsed);
	if (reason)
		return reason;
	return look->to->header_len > (uint32_t)packet->headroom + parsed->l3 ? FO_R_NO_HEADROOM : FO_R_NONE;
}

#endif
