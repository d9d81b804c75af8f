/* SPDX-License-Identifier: BSD-2-Clause */
/* slowpath.c - what happens to one packet: which connection it belongs to, whether that may pass, what it
 * becomes, and what the connection has learnt from it.
 *
 * All checks come before the first write and before any connection is created, so that a dropped packet leaves
 * no trace but a count. Neighbours: see slowpath.h.
 */
#include <errno.h>
#include <string.h>

#include "slowpath_int.h"

#define PORT_TRIES 128u

/* Time without packets after which a connection ends, by protocol and state. */
static const uint32_t timeout_tcp_ms[SP_S_MAX] = {30000, 30000, 3600000, 60000, 10000};
static const uint32_t timeout_udp_ms[SP_S_MAX] = {30000, 30000, 120000, 0, 0};
static const uint32_t timeout_icmp_ms[SP_S_MAX] = {10000, 10000, 30000, 0, 0};

/* A packet on its way through this file. */
struct work {
	struct sp_packet *pkt;
	struct sp_fields f;
	struct sp_fields quote;
	struct sp_conn *conn; /* NULL: new, or untracked */
	uint8_t dir;
	uint64_t now_ms;
};

static const char *const drop_names[SP_D_MAX] = {
	"none",	    "malformed", "address", "ttl",	  "mtu",  "fragment",
	"protocol", "policy",	 "state",   "icmp-error", "full", "nat-ports",
};

const char *sp_drop_name(unsigned int drop)
{
	return drop < SP_D_MAX ? drop_names[drop] : "unknown";
}

static uint32_t timeout_ms(const struct sp_conn *c)
{
	switch (c->tuple[0].proto) {
	case SP_PROTO_TCP:
		return timeout_tcp_ms[c->state];
	case SP_PROTO_UDP:
		return timeout_udp_ms[c->state];
	default:
		return timeout_icmp_ms[c->state];
	}
}

/* ---- Addresses ---- */

static bool is_local(const struct sp *sp, uint8_t family, const uint8_t addr[16])
{
	size_t i;

	if (family == FO_FAMILY_IPV4 && sp->o.nat4 && !memcmp(addr, sp->o.nat4_addr, 4))
		return true;
	if (family == FO_FAMILY_IPV6 && sp->o.nat6 && !memcmp(addr, sp->o.nat6_addr, 16))
		return true;
	for (i = 0; i < sp->o.n_local; i++) {
		const struct sp_local *l = &sp->local[i];

		if (l->family == family && !memcmp(l->addr, addr, family == FO_FAMILY_IPV4 ? 4 : 16))
			return true;
	}
	return false;
}

static bool link_scope(uint8_t family, const uint8_t a[16])
{
	if (family == FO_FAMILY_IPV4)
		return a[0] == 169 && a[1] == 254;
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static bool group(uint8_t family, const uint8_t a[16])
{
	return family == FO_FAMILY_IPV4 ? a[0] >= 224 : a[0] == 0xff;
}

/* Zero and loopback; the v4-mapped prefix. */
static bool never_routed(uint8_t family, const uint8_t a[16])
{
	static const uint8_t zero[16];

	if (family == FO_FAMILY_IPV4)
		return a[0] == 0 || a[0] == 127;
	return !memcmp(a, zero, 15) ? a[15] <= 1 : !memcmp(a, zero, 10) && a[10] == 0xff && a[11] == 0xff;
}

/* ---- Translation ---- */

static bool nat_family(const struct sp *sp, uint8_t family)
{
	return family == FO_FAMILY_IPV4 ? sp->o.nat4 : sp->o.nat6;
}

static void set_nat_port(struct fo_tuple *reply, uint16_t port)
{
	uint8_t be[2] = {(uint8_t)(port >> 8), (uint8_t)port};

	memcpy(reply->proto == SP_PROTO_TCP || reply->proto == SP_PROTO_UDP ? &reply->dport_be
									    : &reply->sport_be,
	       be, 2);
}

/* The client's own port where it is free towards this destination, else one of the range, from a start that
 * only who knows the secret can tell. */
static bool choose_reply(const struct sp *sp, const struct fo_tuple *original, struct fo_tuple *reply)
{
	uint32_t range = (uint32_t)sp->o.port_max - sp->o.port_min + 1u, start, i;
	uint8_t dir;

	sp_mirror(original, reply);
	if (!nat_family(sp, original->family))
		return !sp_lookup(sp, reply, &dir);
	if (original->family == FO_FAMILY_IPV4)
		memcpy(reply->dst, sp->o.nat4_addr, 4);
	else
		memcpy(reply->dst, sp->o.nat6_addr, 16);
	if (!sp_lookup(sp, reply, &dir))
		return true;
	start = (uint32_t)(sp_hash(sp, original) % range);
	for (i = 0; i < PORT_TRIES && i < range; i++) {
		set_nat_port(reply, (uint16_t)(sp->o.port_min + (start + i) % range));
		if (!sp_lookup(sp, reply, &dir))
			return true;
	}
	return false;
}

/* What a packet of direction dir becomes. */
static void outgoing(const struct sp_conn *c, uint8_t dir, struct fo_tuple *to)
{
	sp_mirror(&c->tuple[1 - dir], to);
}

static void translate(struct work *w)
{
	struct fo_tuple to;

	outgoing(w->conn, w->dir, &to);
	if (w->f.kind == SP_K_LATER) {
		to.sport_be = 0;
		to.dport_be = 0;
	}
	sp_translate(w->pkt->l3, &w->f, &to, w->pkt->csum_partial);
}

/* An error travels against the packet it quotes, which left here as the mirror of tuple[dir]; its sender knows it
 * as tuple[1 - dir]. Whoever complains keeps its address, unless that is behind the NAT. */
static void translate_error(struct work *w)
{
	const struct sp_conn *c = w->conn;
	const struct fo_tuple *quoted = &c->tuple[1 - w->dir];
	struct fo_tuple to = w->f.tuple;
	bool hidden = memcmp(c->tuple[FO_REPLY].dst, c->tuple[FO_ORIGINAL].src, 16) != 0;

	if (hidden && w->dir == FO_ORIGINAL)
		memcpy(to.src, quoted->dst, 16);
	memcpy(to.dst, quoted->src, 16);
	sp_translate_error(w->pkt->l3, &w->f, &to, &w->quote, quoted, w->pkt->csum_partial);
}

/* ---- Finding the connection ---- */

static enum sp_drop find_error(struct sp *sp, struct work *w)
{
	uint32_t have = w->pkt->contiguous < w->f.ip_len ? w->pkt->contiguous : w->f.ip_len;
	struct fo_tuple mirror;

	if (!sp_parse_quote(w->pkt->l3 + w->f.quote, have - w->f.quote, &w->quote))
		return SP_D_MALFORMED;
	if (w->quote.kind == SP_K_TRACK && w->quote.tuple.family == w->f.tuple.family) {
		sp_mirror(&w->quote.tuple, &mirror);
		w->conn = sp_lookup(sp, &mirror, &w->dir);
	}
	return w->conn ? SP_D_NONE : SP_D_ICMP_ERROR;
}

static enum sp_drop find(struct sp *sp, struct work *w)
{
	switch (w->f.kind) {
	case SP_K_TRACK:
		w->conn = sp_lookup(sp, &w->f.tuple, &w->dir);
		return SP_D_NONE;
	case SP_K_LATER:
		w->conn = sp_frag_find(sp, &w->f, w->now_ms, &w->dir);
		return w->conn ? SP_D_NONE : SP_D_FRAGMENT;
	case SP_K_ICMP_ERROR:
		return find_error(sp, w);
	default:
		return SP_D_NONE;
	}
}

/* ---- May it pass ---- */

static enum sp_drop may_open(const struct sp *sp, const struct work *w)
{
	const struct sp_fields *f = &w->f;
	bool nat = nat_family(sp, f->tuple.family);

	if (w->pkt->side == SP_WAN && (!sp->o.allow_in || nat))
		return SP_D_POLICY;
	if (f->kind != SP_K_TRACK)
		return nat ? SP_D_PROTOCOL : SP_D_NONE;
	if (f->tuple.proto == SP_PROTO_TCP) {
		uint8_t flags = f->tcp_flags & (SP_TCP_SYN | SP_TCP_ACK | SP_TCP_RST | SP_TCP_FIN);

		return flags == SP_TCP_SYN || (sp->o.pick_up && flags == SP_TCP_ACK) ? SP_D_NONE : SP_D_STATE;
	}
	if (f->tuple.proto == SP_PROTO_UDP)
		return SP_D_NONE;
	switch (*(const uint8_t *)&f->tuple.dport_be) {
	case 8:
		return f->tuple.proto == SP_PROTO_ICMP ? SP_D_NONE : SP_D_STATE;
	case 128:
		return f->tuple.proto == SP_PROTO_ICMPV6 ? SP_D_NONE : SP_D_STATE;
	default:
		return SP_D_STATE;
	}
}

/* A connection's packets come from its two sides and from nowhere else. */
static bool right_side(const struct work *w)
{
	if (w->pkt->side == SP_SIDE_ANY || w->conn->side == SP_SIDE_ANY)
		return true;
	return w->pkt->side == (w->dir == FO_ORIGINAL ? w->conn->side : 1 - w->conn->side);
}

static enum sp_drop fits(const struct sp *sp, struct work *w)
{
	uint8_t from = w->pkt->side == SP_SIDE_ANY ? (w->dir == FO_ORIGINAL ? SP_LAN : SP_WAN) : w->pkt->side;
	uint32_t mtu = sp->o.mtu[1 - from], size = w->f.ip_len;

	if (w->pkt->gso_size && size > w->f.payload + w->pkt->gso_size)
		size = w->f.payload + w->pkt->gso_size;
	if (!mtu || size <= mtu)
		return SP_D_NONE;
	w->pkt->mtu = mtu;
	return SP_D_MTU;
}

static enum sp_drop check(const struct sp *sp, struct work *w)
{
	const uint8_t *l3 = w->pkt->l3;
	uint8_t ttl = w->f.tuple.family == FO_FAMILY_IPV4 ? l3[8] : l3[7];
	enum sp_drop drop = SP_D_NONE;

	if (w->conn ? !right_side(w) : (drop = may_open(sp, w)) != SP_D_NONE)
		return drop ? drop : SP_D_POLICY;
	return ttl <= 1 ? SP_D_TTL : fits(sp, w);
}

/* ---- What the connection learns ---- */

static enum sp_drop open_conn(struct sp *sp, struct work *w)
{
	struct fo_tuple tuple[2];

	tuple[FO_ORIGINAL] = w->f.tuple;
	if (!choose_reply(sp, &tuple[FO_ORIGINAL], &tuple[FO_REPLY]))
		return SP_D_NAT_PORTS;
	w->conn = sp_conn_add(sp, tuple);
	if (!w->conn && sp_expire(sp, w->now_ms, 256))
		w->conn = sp_conn_add(sp, tuple);
	if (!w->conn)
		return SP_D_FULL;
	w->dir = FO_ORIGINAL;
	w->conn->side = w->pkt->side;
	return SP_D_NONE;
}

static void establish(struct sp *sp, struct sp_conn *c)
{
	c->state = SP_S_ESTABLISHED;
	sp->stats.established++;
}

static void learn_tcp(struct sp *sp, struct sp_conn *c, uint8_t dir, uint8_t flags)
{
	bool syn = flags & SP_TCP_SYN, ack = flags & SP_TCP_ACK;

	if (flags & SP_TCP_RST) {
		c->state = SP_S_CLOSED;
		return;
	}
	if (syn && !ack && dir == FO_ORIGINAL && c->state >= SP_S_CLOSING) {
		c->state = SP_S_NEW; /* the client uses the port again */
		c->fins = 0;
		c->seen = 1;
	}
	if (syn && ack && dir == FO_REPLY && c->state == SP_S_NEW)
		c->state = SP_S_ANSWERED;
	else if (!syn && ack && dir == FO_ORIGINAL && c->state == SP_S_ANSWERED)
		establish(sp, c);
	else if (sp->o.pick_up && !syn && ack && c->seen == 3 && c->state == SP_S_NEW)
		establish(sp, c);
	if (flags & SP_TCP_FIN) {
		c->fins |= (uint8_t)(1u << dir);
		c->state = c->fins == 3 ? SP_S_CLOSED : SP_S_CLOSING;
	}
}

static void learn(struct sp *sp, struct work *w)
{
	struct sp_conn *c = w->conn;
	uint8_t flags = w->f.tcp_flags;

	c->seen |= (uint8_t)(1u << w->dir);
	if (w->f.tuple.proto == SP_PROTO_TCP)
		learn_tcp(sp, c, w->dir, flags);
	else if (c->state == SP_S_NEW && c->seen == 3)
		establish(sp, c);
	c->deadline_ms = w->now_ms + timeout_ms(c);
	w->pkt->offload = c->state == SP_S_ESTABLISHED && !c->flow && w->now_ms >= c->retry_ms &&
			  !w->f.fragment && !(flags & (SP_TCP_SYN | SP_TCP_FIN | SP_TCP_RST));
	if (w->f.fragment)
		sp_frag_learn(sp, &w->f, sp_conn_name(sp, c), w->dir, w->now_ms);
}

static void forward(struct sp *sp, struct work *w)
{
	w->pkt->verdict = SP_FORWARD;
	w->pkt->length = w->f.ip_len;
	sp->stats.forwarded++;
	sp->stats.forwarded_bytes += w->f.ip_len;
	sp->stats.fragments += w->f.fragment && w->conn;
	if (!w->conn) {
		sp->stats.untracked++;
	} else if (w->f.kind == SP_K_ICMP_ERROR) {
		sp->stats.icmp_errors++;
		translate_error(w);
	} else {
		translate(w);
	}
	if (w->conn) {
		w->pkt->conn = sp_conn_name(sp, w->conn);
		w->pkt->dir = w->dir;
	}
	sp_ttl_decrement(w->pkt->l3);
}

static enum sp_drop judge(struct sp *sp, struct work *w)
{
	const struct fo_tuple *t = &w->f.tuple;
	enum sp_drop drop;

	if (!sp_parse(w->pkt->l3, w->pkt->contiguous, w->pkt->length, &w->f))
		return SP_D_MALFORMED;
	sp->stats.bytes += w->f.ip_len;
	if (t->family == FO_FAMILY_IPV4 && sp->o.check_ip_csum && !sp_ipv4_csum_ok(w->pkt->l3))
		return SP_D_MALFORMED;
	w->pkt->verdict = SP_LOCAL;
	if (group(t->family, t->dst) || link_scope(t->family, t->dst))
		return SP_D_NONE;
	if (never_routed(t->family, t->src) || never_routed(t->family, t->dst) || group(t->family, t->src) ||
	    link_scope(t->family, t->src))
		return SP_D_ADDRESS;
	drop = find(sp, w);
	if (!w->conn && is_local(sp, t->family, t->dst))
		return SP_D_NONE;
	if (drop == SP_D_NONE)
		drop = check(sp, w);
	if (drop == SP_D_NONE && !w->conn && w->f.kind == SP_K_TRACK)
		drop = open_conn(sp, w);
	if (drop)
		return drop;
	if (w->f.kind == SP_K_TRACK)
		learn(sp, w);
	forward(sp, w);
	return SP_D_NONE;
}

void sp_packet(struct sp *sp, struct sp_packet *pkt, uint64_t now_ms)
{
	struct work w = {.pkt = pkt, .now_ms = now_ms};

	pkt->dir = FO_ORIGINAL;
	pkt->offload = false;
	pkt->mtu = 0;
	pkt->conn = 0;
	sp->stats.packets++;
	pkt->drop = (uint8_t)judge(sp, &w);
	if (pkt->drop) {
		pkt->verdict = SP_DROP;
		sp->stats.dropped[pkt->drop]++;
	}
	sp->stats.local += pkt->verdict == SP_LOCAL;
}

bool sp_wan_view(struct sp *sp, struct sp_packet *pkt)
{
	struct sp_fields f;
	struct fo_tuple mirror, arrives;
	const struct sp_conn *c;
	uint8_t dir;

	if (!sp_parse(pkt->l3, pkt->contiguous, pkt->length, &f) || f.kind != SP_K_TRACK)
		return false;
	sp_mirror(&f.tuple, &mirror);
	c = sp_lookup(sp, &mirror, &dir);
	if (!c || dir != FO_ORIGINAL || sp_tuple_equal(&c->tuple[FO_REPLY], &f.tuple))
		return false;
	arrives = c->tuple[FO_REPLY];
	sp_translate(pkt->l3, &f, &arrives, pkt->csum_partial);
	return true;
}

/* ---- Offload ---- */

int sp_flow(const struct sp *sp, sp_conn_id conn, struct fo_flow *flow)
{
	const struct sp_conn *c = sp_conn_get(sp, conn);

	if (!c)
		return -ENOENT;
	FO_INIT(flow);
	flow->tuple[FO_ORIGINAL] = c->tuple[FO_ORIGINAL];
	flow->tuple[FO_REPLY] = c->tuple[FO_REPLY];
	flow->nat = nat_family(sp, c->tuple[0].family) ? FO_NAT_SRC : FO_NAT_NONE;
	flow->timeout_ms = timeout_ms(c);
	flow->user = conn;
	return 0;
}

void sp_offload_added(struct sp *sp, sp_conn_id conn, fo_flow_id flow)
{
	struct sp_conn *c = sp_conn_get(sp, conn);

	if (!c || c->flow)
		return;
	c->flow = flow;
	sp->stats.offloaded += flow != 0;
}

void sp_offload_refused(struct sp *sp, sp_conn_id conn, uint64_t retry_at_ms)
{
	struct sp_conn *c = sp_conn_get(sp, conn);

	if (c)
		c->retry_ms = retry_at_ms;
}

void sp_offload_ended(struct sp *sp, sp_conn_id conn, uint64_t last_seen_ms)
{
	struct sp_conn *c = sp_conn_get(sp, conn);

	if (!c || !c->flow)
		return;
	c->flow = 0;
	sp->stats.offloaded--;
	if (c->deadline_ms < last_seen_ms + timeout_ms(c))
		c->deadline_ms = last_seen_ms + timeout_ms(c);
}

fo_flow_id sp_offload_flow(const struct sp *sp, sp_conn_id conn)
{
	const struct sp_conn *c = sp_conn_get(sp, conn);

	return c ? c->flow : 0;
}

void sp_get_stats(const struct sp *sp, struct sp_stats *out)
{
	*out = sp->stats;
}
