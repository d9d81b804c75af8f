/* SPDX-License-Identifier: BSD-2-Clause */
/* model.c - the reference: search, judge, rewrite, one plain step after the other. Interface:
 * model.h; how a frame is read: model_parse.c. */
#include "model.h"

#include "model_view.h"

static int same_tuple(const struct fo_tuple *a, const struct fo_tuple *b)
{
	return a->family == b->family && a->proto == b->proto && !memcmp(a->src, b->src, 16) &&
	       !memcmp(a->dst, b->dst, 16) && a->sport_be == b->sport_be && a->dport_be == b->dport_be;
}

static int arrives_by(const struct fo_adj *adj, const struct rig_packet *p, const struct model_view *v)
{
	unsigned int i;

	if (adj->flags & FO_ADJ_ANY_INGRESS)
		return 1;
	if (adj->port != p->in_port || adj->n_encaps != v->n_tags)
		return 0;
	for (i = 0; i < v->n_tags; i++)
		if (adj->encap[i].kind != v->tag[i].kind || adj->encap[i].id != v->tag[i].id)
			return 0;
	return 1;
}

/* The flow and direction of this packet. 0, or why there is none. */
static uint64_t search(const struct model *model, const struct rig_packet *p, const struct model_view *v,
		       struct model_answer *answer)
{
	uint64_t reasons = MODEL_BIT(FO_R_NO_FLOW);
	unsigned int i, d;

	for (i = 0; i < model->n_flows; i++) {
		const struct model_flow *f = &model->flows[i];

		for (d = 0; d < 2; d++) {
			if (f->life == MODEL_GONE || f->flow.scope != p->scope ||
			    !same_tuple(&f->flow.tuple[d], &v->tuple))
				continue;
			if (arrives_by(&f->adj[d], p, v)) {
				answer->flow = (int)i;
				answer->dir = (enum fo_dir)d;
				return 0;
			}
			if (f->life == MODEL_LIVE)
				reasons &= ~MODEL_BIT(FO_R_NO_FLOW);
			reasons |= MODEL_BIT(FO_R_WRONG_INGRESS);
		}
	}
	return reasons;
}

static uint64_t punted_flags(const struct model *model, const struct model_view *v)
{
	uint64_t reasons = 0;

	if (v->tuple.proto != 6)
		return 0;
	if ((v->tcp_flags & TCP_SYN) && (model->caps & FO_CAP_PUNT_SYN))
		reasons |= MODEL_BIT(FO_R_TCP_SYN);
	if ((v->tcp_flags & TCP_FIN) && (model->caps & FO_CAP_PUNT_FIN))
		reasons |= MODEL_BIT(FO_R_TCP_FIN);
	if ((v->tcp_flags & TCP_RST) && (model->caps & FO_CAP_PUNT_RST))
		reasons |= MODEL_BIT(FO_R_TCP_RST);
	return reasons;
}

static uint64_t dead_reason(enum model_life life)
{
	switch (life) {
	case MODEL_LIVE:
		return 0;
	case MODEL_INVALIDATED:
		return MODEL_BIT(FO_R_INVALIDATED) | MODEL_BIT(FO_R_CLOSING) | MODEL_BIT(FO_R_NO_FLOW);
	case MODEL_EGRESS_DOWN:
		return MODEL_BIT(FO_R_EGRESS_DOWN) | MODEL_BIT(FO_R_CLOSING) | MODEL_BIT(FO_R_NO_FLOW);
	default:
		return MODEL_BIT(FO_R_CLOSING) | MODEL_BIT(FO_R_NO_FLOW);
	}
}

static uint32_t l2_len(const struct fo_adj *adj)
{
	uint32_t len = 14;
	unsigned int i;

	for (i = 0; i < adj->n_encaps; i++)
		len += adj->encap[i].kind == FO_ENCAP_PPPOE ? 8 : 4;
	return len;
}

/* Does it fit the side that it leaves by? */
static uint64_t unfit_for_egress(const struct rig_packet *p, const struct model_view *v,
				 const struct fo_adj *to)
{
	uint64_t reasons = 0;
	uint32_t largest = v->ip_len;
	uint32_t header = v->l4 - v->l3 + 8;
	uint32_t out = l2_len(to);

	if (p->flags & FO_PKT_GSO) {
		if (v->tuple.proto == 6)
			header = v->l4 - v->l3 + (p->frame[v->l4 + 12] >> 4) * 4u;
		if (header + p->gso_size < largest)
			largest = header + p->gso_size;
		if (!p->gso_size)
			reasons |= MODEL_BIT(FO_R_GSO) | MODEL_BIT(FO_R_MALFORMED);
		/* each segment needs a checksum of its own, which only a partial one can become */
		if (!(p->flags & FO_PKT_CSUM_PARTIAL))
			reasons |= MODEL_BIT(FO_R_GSO) | MODEL_BIT(FO_R_CSUM_META);
		if (to->n_encaps && to->encap[to->n_encaps - 1].kind == FO_ENCAP_PPPOE)
			reasons |= MODEL_BIT(FO_R_GSO);
		if (v->tuple.proto != 6 && v->tuple.proto != 17)
			reasons |= MODEL_BIT(FO_R_GSO);
	}
	if (largest > to->mtu)
		reasons |= MODEL_BIT(FO_R_MTU);
	if (p->flags & FO_PKT_CSUM_PARTIAL) {
		uint32_t field = v->tuple.proto == 6 ? 16 : v->tuple.proto == 17 ? 6 : 0;

		if (!field || p->csum_start != v->l4 || p->csum_offset != field)
			reasons |= MODEL_BIT(FO_R_CSUM_META);
	}
	if (out > v->l3 && out - v->l3 > p->headroom)
		reasons |= MODEL_BIT(FO_R_NO_HEADROOM);
	return reasons;
}

uint16_t model_csum_word(uint16_t csum, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint16_t)~csum;

	sum += (uint16_t)~from;
	sum += to;
	return (uint16_t)~packet_fold(sum);
}

/* The same for a checksum that is not complemented yet (a partial one). */
static uint16_t partial_word(uint16_t csum, uint16_t from, uint16_t to)
{
	return packet_fold((uint32_t)csum + (uint16_t)~from + to);
}

/* Write one word and mend a checksum for it. A word that stays the same is no change and
 * contributes nothing. */
static void set_word(uint8_t *word, uint16_t to, uint8_t *csum, int partial)
{
	uint16_t from = packet_get16(word);

	if (from == to)
		return;
	packet_put16(word, to);
	if (csum)
		packet_put16(csum, partial ? partial_word(packet_get16(csum), from, to)
					   : model_csum_word(packet_get16(csum), from, to));
}

/* Mend csum as if the word at from had become the one at to, without writing it. */
static void account_word(const uint8_t *from, const uint8_t *to, uint8_t *csum, int partial)
{
	uint8_t copy[2];

	memcpy(copy, from, 2);
	set_word(copy, packet_get16(to), csum, partial);
}

static void write_l2(const struct fo_adj *to, uint32_t ip_len, int v4, uint8_t *out)
{
	uint32_t at = 12;
	uint32_t type = v4 ? 0x0800 : 0x86dd;
	unsigned int i;

	memcpy(out, to->peer_mac, 6);
	memcpy(out + 6, to->own_mac, 6);
	for (i = 0; i < to->n_encaps; i++) {
		const struct fo_encap *e = &to->encap[i];

		if (e->kind == FO_ENCAP_PPPOE) {
			packet_put16(out + at, 0x8864);
			packet_put16(out + at + 2, 0x1100);
			packet_put16(out + at + 4, e->id);
			packet_put16(out + at + 6, ip_len + 2);
			type = v4 ? 0x0021 : 0x0057;
			at += 8;
		} else {
			packet_put16(out + at, e->kind == FO_ENCAP_8021Q ? 0x8100 : 0x88a8);
			packet_put16(out + at + 2, (uint32_t)e->pcp << 13 | (uint32_t)e->dei << 12 | e->id);
			at += 4;
		}
	}
	packet_put16(out + at, type);
}

/* Addresses of the outgoing packet: the mirror of the other direction's tuple. Each changed word
 * goes into the L4 checksum (its pseudo header) and, for IPv4, into the header's own. */
static void write_addresses(uint8_t *ip, const struct fo_tuple *mirror, uint8_t *l4_csum, int partial)
{
	int v4 = mirror->family == FO_FAMILY_IPV4;
	unsigned int size = v4 ? 4 : 16;
	uint8_t *field = ip + (v4 ? 12 : 8);
	unsigned int i;

	for (i = 0; i < 2 * size; i += 2) {
		const uint8_t *to = i < size ? mirror->dst + i : mirror->src + (i - size);

		if (l4_csum)
			account_word(field + i, to, l4_csum, partial);
		set_word(field + i, packet_get16(to), v4 ? ip + 10 : NULL, 0);
	}
}

static void write_ports(uint8_t *l4, const struct fo_tuple *mirror, uint8_t *csum)
{
	uint8_t sport[2], dport[2];

	memcpy(sport, &mirror->dport_be, 2);
	memcpy(dport, &mirror->sport_be, 2);
	switch (mirror->proto) {
	case 6:
	case 17:
		set_word(l4, packet_get16(sport), csum, 0);
		set_word(l4 + 2, packet_get16(dport), csum, 0);
		break;
	default: /* echo: the identifier; type and code are the packet's own */
		set_word(l4 + 4, packet_get16(dport), csum, 0);
		break;
	}
}

static void write_ttl_dscp(uint8_t *ip, uint8_t dscp, int v4)
{
	if (v4) {
		set_word(ip + 8, (uint16_t)(packet_get16(ip + 8) - 0x100), ip + 10, 0);
		if (dscp & 0x80)
			set_word(ip, (uint16_t)((packet_get16(ip) & 0xff03) | (dscp & 0x3f) << 2), ip + 10,
				 0);
		return;
	}
	ip[7]--;
	if (dscp & 0x80)
		packet_put16(ip, (packet_get16(ip) & 0xf03fu) | (dscp & 0x3fu) << 6);
}

static void rewrite(const struct model_flow *f, const struct rig_packet *p, const struct model_view *v,
		    struct model_answer *answer)
{
	const struct fo_adj *to = &f->adj[1 - answer->dir];
	const struct fo_tuple *mirror = &f->flow.tuple[1 - answer->dir];
	uint32_t l2 = l2_len(to);
	uint8_t *ip = answer->frame + l2;
	uint8_t *l4 = ip + (v->l4 - v->l3);
	uint8_t *csum = l4 + (mirror->proto == 6 ? 16 : mirror->proto == 17 ? 6 : 2);
	int partial = (p->flags & FO_PKT_CSUM_PARTIAL) != 0;
	int v4 = mirror->family == FO_FAMILY_IPV4;
	uint8_t *mend = csum;

	answer->length = l2 + v->ip_len;
	memcpy(ip, p->frame + v->l3, v->ip_len);
	write_l2(to, v->ip_len, v4, answer->frame);
	write_ttl_dscp(ip, f->flow.dscp[answer->dir], v4);
	if (mirror->proto == 17 && !partial && packet_get16(csum) == 0)
		mend = NULL; /* "no checksum" stays that */
	write_addresses(ip, mirror, mirror->proto == 1 ? NULL : mend, partial);
	write_ports(l4, mirror, partial ? NULL : mend);
	if (mirror->proto == 17 && mend && !partial && packet_get16(csum) == 0)
		packet_put16(csum, 0xffff);
	answer->out_port = to->port;
	answer->flags = p->flags & ~FO_PKT_VLAN;
	answer->csum_start = (uint16_t)(partial ? l2 + (v->l4 - v->l3) : p->csum_start);
}

static unsigned int lowest(uint64_t reasons)
{
	static const uint8_t order[] = {FO_R_WRONG_MAC, FO_R_INVALIDATED, FO_R_EGRESS_DOWN,   FO_R_CLOSING,
					FO_R_TCP_SYN,	FO_R_TCP_FIN,	  FO_R_TCP_RST,	      FO_R_MTU,
					FO_R_GSO,	FO_R_CSUM_META,	  FO_R_NO_HEADROOM,   FO_R_MALFORMED,
					FO_R_FRAGMENT,	FO_R_IP_OPTIONS,  FO_R_EXT_HEADER,    FO_R_TTL,
					FO_R_PROTOCOL,	FO_R_ICMP_TYPE,	  FO_R_WRONG_INGRESS, FO_R_NO_FLOW,
					FO_R_NOT_IP,	FO_R_ENCAP};
	size_t i;

	for (i = 0; i < sizeof(order); i++)
		if (reasons & MODEL_BIT(order[i]))
			return order[i];
	return FO_R_NONE;
}

static uint64_t judge_match(const struct model *model, const struct rig_packet *p, const struct model_view *v,
			    struct model_answer *answer)
{
	const struct model_flow *f = &model->flows[answer->flow];
	const struct fo_adj *from = &f->adj[answer->dir];
	uint64_t reasons = dead_reason(f->life);
	uint64_t flags = punted_flags(model, v);
	int stranger = !(from->flags & FO_ADJ_ANY_INGRESS) && (model->caps & FO_CAP_PUNT_MAC) &&
		       memcmp(p->frame, from->own_mac, 6) != 0;

	if (stranger)
		reasons |= MODEL_BIT(FO_R_WRONG_MAC);
	if (!reasons && (flags & (MODEL_BIT(FO_R_TCP_FIN) | MODEL_BIT(FO_R_TCP_RST))))
		answer->closes = flags & MODEL_BIT(FO_R_TCP_FIN) ? FO_R_TCP_FIN : FO_R_TCP_RST;
	return reasons | flags | unfit_for_egress(p, v, &f->adj[1 - answer->dir]);
}

void model_judge(const struct model *model, const struct rig_packet *packet, struct model_answer *answer)
{
	struct model_view v;
	uint64_t reasons;

	memset(answer, 0, offsetof(struct model_answer, frame));
	answer->flow = -1;
	reasons = model_parse(packet, &v);
	if (!reasons)
		reasons = search(model, packet, &v, answer);
	if (!reasons)
		reasons = judge_match(model, packet, &v, answer);
	answer->reasons = reasons;
	answer->reason = lowest(reasons);
	if (reasons)
		return;
	answer->verdict = FO_FORWARD;
	answer->l3_in = v.l3;
	answer->l3_bytes = v.ip_len;
	rewrite(&model->flows[answer->flow], packet, &v, answer);
}

void model_packet(struct model *model, const struct rig_packet *packet, uint64_t now_ms,
		  struct model_answer *answer)
{
	struct model_flow *f;

	model_judge(model, packet, answer);
	if (answer->flow < 0)
		return;
	f = &model->flows[answer->flow];
	if (answer->closes)
		f->life = MODEL_CLOSING;
	if (answer->verdict != FO_FORWARD)
		return;
	f->packets[answer->dir]++;
	f->bytes[answer->dir] += answer->l3_bytes;
	f->last_seen_ms[answer->dir] = now_ms;
}
