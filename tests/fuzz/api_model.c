/* SPDX-License-Identifier: BSD-2-Clause */
/* api_model.c - the plain arrays of api_model.h and what follows from them. */
#include "api_model.h"

#include <errno.h>

#include "../conformance/packet.h"

static void put_address(uint8_t out[16], uint8_t family, unsigned int net, unsigned int host)
{
	static const uint8_t v6[8] = {0x20, 0x01, 0x0d, 0xb8};

	memset(out, 0, 16);
	if (family == FO_FAMILY_IPV4) {
		out[0] = net == 0 ? 10 : 203;
		out[2] = (uint8_t)net;
		out[3] = (uint8_t)(1 + host);
		return;
	}
	memcpy(out, v6, 8);
	out[7] = (uint8_t)net;
	out[15] = (uint8_t)(1 + host);
}

/* 10 and 11 repeat one tuple of 0 and 1, so that half of a key can be taken. */
void api_connection(unsigned int i, unsigned int variant, struct fo_flow *flow)
{
	static const uint32_t timeouts[4] = {FO_TIMEOUT_NEVER, 50, 1000, 30000};
	unsigned int base = i >= 10 ? i - 10 : i;
	unsigned int d;

	FO_INIT(flow);
	for (d = 0; d < 2; d++) {
		struct fo_tuple *t = &flow->tuple[d];

		t->family = base % 3 == 2 ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4;
		t->proto = base % 2 != 0 ? 17 : 6;
		put_address(t->src, t->family, d, d == FO_ORIGINAL ? base : 100);
		put_address(t->dst, t->family, 1 - d + (d == FO_REPLY ? 2u : 0u),
			    d == FO_ORIGINAL ? 100 : base);
		packet_put16((uint8_t *)&t->sport_be, d == FO_ORIGINAL ? 1000 + base : 80);
		packet_put16((uint8_t *)&t->dport_be, d == FO_ORIGINAL ? 80 : 2000 + base);
	}
	if (i == 10)
		packet_put16((uint8_t *)&flow->tuple[FO_REPLY].dport_be, 3000);
	if (i == 11)
		packet_put16((uint8_t *)&flow->tuple[FO_ORIGINAL].sport_be, 3001);
	flow->timeout_ms = timeouts[variant & 3];
	flow->tag = variant >> 2 & 3;
	flow->scope = (uint16_t)(variant >> 4 & 1);
	flow->user = UINT64_C(0x1122334400000000) + variant;
}

void api_side(uint32_t port, unsigned int variant, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = port;
	adj->l3_dev = 10 + (variant & 1);
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01\x01", 6);
	memcpy(adj->peer_mac, "\x02\x00\x00\x00\x02\x00", 6);
	adj->peer_mac[5] = (uint8_t)(variant & 1);
	if ((variant & 2) != 0) {
		adj->n_encaps = 1;
		adj->encap[0].kind = FO_ENCAP_8021Q;
		adj->encap[0].id = (uint16_t)(10 + (variant >> 2 & 1));
	}
	adj->mtu = 1500;
}

struct api_flow *api_by_id(struct api *api, fo_flow_id id)
{
	unsigned int i;

	for (i = 0; i < api->n_flows; i++)
		if (api->flows[i].id == id)
			return &api->flows[i];
	return NULL;
}

struct api_adj *api_adj_by_id(struct api *api, fo_adj_id id)
{
	unsigned int i;

	for (i = 0; i < API_ADJS; i++)
		if (api->adjs[i].alive && api->adjs[i].id == id)
			return &api->adjs[i];
	return NULL;
}

unsigned int api_count(const struct api *api, enum api_life life)
{
	unsigned int i, n = 0;

	for (i = 0; i < api->n_flows; i++)
		n += api->flows[i].life == life;
	return n;
}

unsigned int api_taken(const struct api *api)
{
	return api->n_flows - api_count(api, API_ENDED);
}

bool api_same_tuple(const struct fo_tuple *a, const struct fo_tuple *b)
{
	return a->family == b->family && a->proto == b->proto && a->sport_be == b->sport_be &&
	       a->dport_be == b->dport_be && memcmp(a->src, b->src, 16) == 0 &&
	       memcmp(a->dst, b->dst, 16) == 0;
}

bool api_same_ingress(const struct fo_adj *a, const struct fo_adj *b)
{
	unsigned int i;

	if (a->port != b->port || a->n_encaps != b->n_encaps)
		return false;
	for (i = 0; i < a->n_encaps; i++)
		if (a->encap[i].kind != b->encap[i].kind || a->encap[i].id != b->encap[i].id)
			return false;
	return true;
}

bool api_is_due(const struct api *api, const struct api_flow *f)
{
	uint64_t last = f->last_ms[0] > f->last_ms[1] ? f->last_ms[0] : f->last_ms[1];

	return f->flow.timeout_ms != FO_TIMEOUT_NEVER && api->now_ms - last >= f->flow.timeout_ms;
}

void api_age(struct api *api)
{
	unsigned int i;

	for (i = 0; i < api->n_flows; i++) {
		struct api_flow *f = &api->flows[i];

		if (f->life == API_LIVING && api_is_due(api, f)) {
			f->life = API_DOOMED;
			f->idle_only = true;
			f->kinds = API_KIND(FO_EV_EXPIRED);
		} else if (f->life == API_DOOMED && api_is_due(api, f)) {
			f->kinds |= API_KIND(FO_EV_EXPIRED); /* two reasons to end: either may be named */
		}
	}
}

void api_doom(struct api_flow *f, bool at_once, uint32_t kinds)
{
	if (f->life == API_ENDED || f->life == API_CLOSING)
		return;
	f->kinds = f->life == API_LIVING ? kinds : f->kinds | kinds;
	f->life = API_DOOMED;
	f->idle_only = false;
	f->dead |= at_once;
}

void api_conflicts(const struct api *api, const struct fo_flow *flow, const struct fo_adj adj[2],
		   const struct api_flow *except, struct api_verdict *v)
{
	unsigned int i, d, e;

	for (i = 0; i < api->n_flows; i++) {
		const struct api_flow *f = &api->flows[i];

		if (f == except || f->life == API_ENDED || f->flow.scope != flow->scope)
			continue;
		for (d = 0; d < 4; d++) {
			e = d & 1;
			if (!api_same_tuple(&f->flow.tuple[d >> 1], &flow->tuple[e]))
				continue;
			if (!api_same_ingress(&f->adj[d >> 1], &adj[e])) {
				/* of a flow that is ending the library may have forgotten where it came from */
				v->may |= f->life != API_LIVING ? API_EBUSY : 0;
				continue;
			}
			if (f->id == api->in_event)
				v->may |= API_EBUSY;
			else if (f->life == API_LIVING)
				v->must |= API_EEXIST;
			else if (f->life == API_DOOMED)
				v->must |= API_EEXIST | API_EBUSY;
			else
				v->must |= API_EBUSY;
		}
	}
}

static unsigned int error_bit(int rc)
{
	switch (rc) {
	case -ENOENT:
		return API_ENOENT;
	case -ENODEV:
		return API_ENODEV;
	case -EEXIST:
		return API_EEXIST;
	case -EBUSY:
		return API_EBUSY;
	case -ENOSPC:
		return API_ENOSPC;
	case -EAGAIN:
		return API_EAGAIN;
	case -EINVAL:
		return API_EINVAL;
	default:
		return 0;
	}
}

static void check_error(const char *call, int rc, const struct fo_error *err)
{
	FUZZ_CHECK(err->code == rc, "%s: returned %d, err->code %d", call, rc, err->code);
	FUZZ_CHECK(err->reason != FO_R_NONE && err->reason < FO_R_MAX, "%s: reason %u", call, err->reason);
	FUZZ_CHECK(memchr(err->text, 0, sizeof(err->text)) != NULL && err->text[0] != '\0',
		   "%s: no sentence for %d", call, rc);
	FUZZ_CHECK(memchr(err->field, 0, sizeof(err->field)) != NULL, "%s: field not terminated", call);
}

bool api_answered(struct api *api, const char *call, int rc, const struct fo_error *err,
		  const struct api_verdict *v)
{
	if (rc >= 0) {
		FUZZ_CHECK(v->must == 0, "%s: succeeded, must fail with %x", call, v->must);
		return true;
	}
	check_error(call, rc, err);
	if (rc == -ENOMEM) {
		FUZZ_CHECK(ledger_fired(&api->ledger), "%s: -ENOMEM, but every allocation succeeded", call);
		FUZZ_CHECK(err->reason == FO_R_MEMORY, "%s: -ENOMEM with reason %s", call,
			   fo_reason_name(err->reason));
		return false;
	}
	FUZZ_CHECK((error_bit(rc) & (v->must | v->may)) != 0, "%s: %d (%s: %s), must %x may %x", call, rc,
		   err->field, err->text, v->must, v->may);
	return false;
}

void api_compare_counters(const struct api_flow *f, const struct fo_flow_counters *counters)
{
	unsigned int d;

	FUZZ_CHECK((counters->flags & FO_STATS_PACKETS) && (counters->flags & FO_STATS_BYTES), "flags %x",
		   counters->flags);
	for (d = 0; d < 2; d++) {
		FUZZ_CHECK(counters->packets[d] == f->packets[d] && counters->bytes[d] == f->bytes[d],
			   "flow %llx direction %u: %llu packets %llu bytes, not %llu and %llu",
			   (unsigned long long)f->id, d, (unsigned long long)counters->packets[d],
			   (unsigned long long)counters->bytes[d], (unsigned long long)f->packets[d],
			   (unsigned long long)f->bytes[d]);
		FUZZ_CHECK(counters->last_seen_ms[d] == f->last_ms[d],
			   "flow %llx direction %u: last seen %llu, not %llu", (unsigned long long)f->id, d,
			   (unsigned long long)counters->last_seen_ms[d], (unsigned long long)f->last_ms[d]);
	}
}

void api_final(struct api *api, struct api_flow *f, const struct fo_flow_counters *counters,
	       unsigned int slot)
{
	FUZZ_CHECK(f->life != API_ENDED, "flow %llx ended twice", (unsigned long long)f->id);
	FUZZ_CHECK(counters->flags & FO_STATS_FINAL, "flow %llx: last counters are not final",
		   (unsigned long long)f->id);
	api_compare_counters(f, counters);
	api->ended[slot]++;
	f->life = API_ENDED;
}
