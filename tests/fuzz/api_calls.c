/* SPDX-License-Identifier: BSD-2-Clause */
/* api_calls.c - calls that add, change and end flows, and the events; the input chooses, the model judges. */
#include <errno.h>

#include "api_model.h"

/* Any flow of this input, ended ones too; NULL when there was none. */
static struct api_flow *pick_flow(struct api *api)
{
	return api->n_flows != 0 ? &api->flows[fuzz_take16(api->in) % api->n_flows] : NULL;
}

/* Choose two sides for flow. What stands against them goes into v. */
static void choose_sides(struct api *api, struct fo_flow *flow, struct fo_adj adj[2], struct api_verdict *v)
{
	unsigned int d, byte = fuzz_take8(api->in);

	for (d = 0; d < 2; d++) {
		const struct api_adj *side = &api->adjs[(d == 0 ? byte : byte >> 4) % API_ADJS];

		memset(&adj[d], 0, sizeof(adj[d]));
		flow->adj[d] = side->alive ? side->id : api->old_adj;
		if (!side->alive) {
			/* 0 is no handle at all */
			v->must |= api->old_adj != 0 ? API_ENOENT : API_ENOENT | API_EINVAL;
			continue;
		}
		adj[d] = side->adj;
		if (api->port_state[side->adj.port] != FO_PORT_UP)
			v->must |= API_ENODEV;
	}
}

static void choose_flow(struct api *api, struct fo_flow *flow, struct fo_adj adj[2], struct api_verdict *v)
{
	unsigned int connection = fuzz_pick(api->in, API_CONNECTIONS);

	memset(v, 0, sizeof(*v));
	api_connection(connection, fuzz_take8(api->in), flow);
	choose_sides(api, flow, adj, v);
	api_conflicts(api, flow, adj, NULL, v);
	/* the flow whose last event is being delivered may have given up its slot, or not yet */
	if (api_taken(api) - (api->in_event != 0) >= API_CAPACITY)
		v->must |= API_ENOSPC | API_EAGAIN;
	if (api->in_event != 0)
		v->may |= API_ENOSPC | API_EAGAIN;
	if (api_count(api, API_ENDED) != 0)
		v->may |= API_EAGAIN;
}

static void note_added(struct api *api, const struct fo_flow *flow, const struct fo_adj adj[2], fo_flow_id id)
{
	struct api_flow *f = &api->flows[api->n_flows];

	FUZZ_CHECK(id != 0 && api_by_id(api, id) == NULL, "id %llx was given out before",
		   (unsigned long long)id);
	memset(f, 0, sizeof(*f));
	f->life = API_LIVING;
	f->id = id;
	f->flow = *flow;
	f->adj[0] = adj[0];
	f->adj[1] = adj[1];
	f->since_ms = f->last_ms[0] = f->last_ms[1] = api->now_ms;
	api->n_flows++;
	api->added++;
}

void api_call_add(struct api *api)
{
	struct api_verdict v;
	struct fo_adj adj[2];
	struct fo_error err;
	struct fo_flow flow;
	fo_flow_id id = 42;
	int rc;

	if (api->n_flows == API_FLOWS)
		return;
	choose_flow(api, &flow, adj, &v);
	rc = fo_flow_add(api->table, &flow, &id, &err);
	if (api_answered(api, "fo_flow_add", rc, &err, &v)) {
		note_added(api, &flow, adj, id);
		return;
	}
	FUZZ_CHECK(id == 42, "the out-parameter of a failed add was written");
	api->refused++;
}

#define MANY 4u

/* Distinct connections, so that no item depends on another. */
void api_call_add_many(struct api *api)
{
	struct {
		struct fo_flow flow;
		uint8_t gap[24];
	} items[MANY];
	struct fo_adj adj[MANY][2];
	struct api_verdict v[MANY];
	fo_flow_id ids[MANY] = {0};
	int results[MANY], rc, good = 0;
	unsigned int i, n = 1 + fuzz_pick(api->in, MANY), room = API_CAPACITY - api_taken(api);
	struct fo_error err;

	if (api->n_flows + MANY > API_FLOWS)
		return;
	memset(items, 0xee, sizeof(items));
	for (i = 0; i < n; i++) {
		memset(&v[i], 0, sizeof(v[i]));
		api_connection(i * 3, fuzz_take8(api->in), &items[i].flow);
		choose_sides(api, &items[i].flow, adj[i], &v[i]);
		api_conflicts(api, &items[i].flow, adj[i], NULL, &v[i]);
		v[i].may |= API_EAGAIN;
	}
	rc = fo_flow_add_many(api->table, &items[0].flow, n, sizeof(items[0]), ids, results, &err);
	for (i = 0; i < n; i++) {
		if (room == 0)
			v[i].must |= API_ENOSPC | API_EAGAIN;
		if (results[i] == 0) {
			FUZZ_CHECK(v[i].must == 0, "item %u added, must fail with %x", i, v[i].must);
			note_added(api, &items[i].flow, adj[i], ids[i]);
			room--;
			good++;
			continue;
		}
		api->refused++;
		if (good == (int)i) /* the first one refused */
			api_answered(api, "fo_flow_add_many", results[i], &err, &v[i]);
	}
	FUZZ_CHECK(rc == good, "returned %d, %d are in effect", rc, good);
}

#define SPOIL_TAIL 128u

/* One field is wrong. Not zero: the SPOIL_TAIL bytes behind the flow. */
static void spoil(struct api *api, struct fo_flow *flow)
{
	unsigned int value = fuzz_take8(api->in);

	switch (fuzz_pick(api->in, 12)) {
	case 0: /* no header ever had so little */
		flow->size = value % sizeof(flow->tuple);
		break;
	case 1: /* a newer header's, with something in it; or nonsense */
		flow->size = value & 1 ? ~(size_t)value : sizeof(*flow) + 1 + value % SPOIL_TAIL;
		break;
	case 2:
		flow->tuple[value & 1].family = (uint8_t)(7 + value % 200);
		break;
	case 3:
		flow->tuple[value & 1].proto = 132;
		break;
	case 4:
		memset(flow->tuple[value & 1].src, 0, 16);
		break;
	case 5:
		memset(flow->tuple[value & 1].dst, 0xff, flow->tuple[0].family == FO_FAMILY_IPV4 ? 4 : 16);
		break;
	case 6:
		flow->tuple[value & 1].reserved = 1;
		break;
	case 7:
		flow->reserved = 1 + value;
		break;
	case 8:
		flow->nat = 8u << (value & 7);
		break;
	case 9:
		flow->dscp[value & 1] = (uint8_t)(1 + value % 0x7f);
		break;
	case 10:
		flow->needs = UINT64_C(1) << (FO_CAP_COUNT + value % (64 - FO_CAP_COUNT));
		break;
	default:
		flow->tuple[1] = flow->tuple[0];
		break;
	}
}

void api_call_add_bad(struct api *api)
{
	struct {
		struct fo_flow flow;
		uint8_t tail[SPOIL_TAIL];
	} bad;
	struct api_verdict v;
	struct fo_adj adj[2];
	struct fo_error err;
	fo_flow_id id = 42;
	int rc;

	memset(bad.tail, 0xee, sizeof(bad.tail));
	choose_flow(api, &bad.flow, adj, &v);
	spoil(api, &bad.flow);
	rc = fo_flow_add(api->table, &bad.flow, &id, &err);
	FUZZ_CHECK(rc == -EINVAL || rc == -EOPNOTSUPP, "a spoiled flow: %d", rc);
	FUZZ_CHECK(err.code == rc && err.reason != FO_R_NONE && err.text[0] != '\0', "%d: %u %s", err.code,
		   err.reason, err.text);
	FUZZ_CHECK(id == 42, "the out-parameter of a failed add was written");
	api->refused++;
}

/* What a call on a living flow may answer. */
static struct api_verdict needs_living(const struct api_flow *f)
{
	struct api_verdict v = {0, 0};

	if (f->life == API_DOOMED)
		v.may = API_ENOENT;
	else if (f->life != API_LIVING)
		v.must = API_ENOENT;
	return v;
}

static void note_deleted(struct api_flow *f)
{
	f->kinds = (f->life == API_DOOMED ? f->kinds : 0) | API_KIND(FO_EV_DELETED);
	f->life = API_CLOSING;
	f->dead = true;
}

static void delete_flow(struct api *api, struct api_flow *f, bool want_last)
{
	struct api_verdict v = needs_living(f);
	struct fo_flow_counters last;
	struct fo_error err;
	int rc;

	FO_INIT(&last);
	rc = fo_flow_del(api->table, f->id, want_last ? &last : NULL, &err);
	if (!api_answered(api, "fo_flow_del", rc, &err, &v))
		return;
	if (!want_last) {
		note_deleted(f);
		return;
	}
	api_compare_counters(f, &last);
	if (last.flags & FO_STATS_FINAL)
		api_final(api, f, &last, 7);
	else
		note_deleted(f);
}

void api_call_del(struct api *api)
{
	struct api_flow *f = pick_flow(api);

	if (f != NULL)
		delete_flow(api, f, fuzz_take8(api->in) & 1);
}

void api_call_del_many(struct api *api)
{
	unsigned int i, n = 1 + fuzz_pick(api->in, MANY), accepted = 0;
	struct api_flow *items[MANY];
	fo_flow_id ids[MANY];
	int results[MANY], rc;
	struct fo_error err;

	for (i = 0; i < n; i++) {
		items[i] = pick_flow(api);
		if (items[i] == NULL)
			return;
		ids[i] = items[i]->id;
	}
	rc = fo_flow_del_many(api->table, ids, n, results, &err);
	for (i = 0; i < n; i++) {
		struct api_verdict v = needs_living(items[i]);

		FUZZ_CHECK(results[i] == 0 ? v.must == 0
					   : results[i] == -ENOENT && (v.must | v.may) == API_ENOENT,
			   "item %u: %d, must %x may %x", i, results[i], v.must, v.may);
		if (results[i] != 0)
			continue;
		note_deleted(items[i]);
		accepted++;
	}
	FUZZ_CHECK(rc == (int)accepted, "returned %d, %u were accepted", rc, accepted);
}

static void apply_update(struct api_flow *f, uint32_t mask, const struct fo_flow *flow,
			 const struct fo_adj adj[2])
{
	unsigned int d;

	if (mask & FO_UPDATE_TIMEOUT)
		f->flow.timeout_ms = flow->timeout_ms;
	if (mask & FO_UPDATE_TAG)
		f->flow.tag = flow->tag;
	if (mask & FO_UPDATE_MARK)
		f->flow.ct_mark = flow->ct_mark;
	if (mask & FO_UPDATE_USER)
		f->flow.user = flow->user;
	for (d = 0; d < 2; d++) {
		if (mask & FO_UPDATE_DSCP)
			f->flow.dscp[d] = flow->dscp[d];
		if (mask & FO_UPDATE_ADJ) {
			f->flow.adj[d] = flow->adj[d];
			f->adj[d] = adj[d];
		}
	}
}

void api_call_update(struct api *api)
{
	uint32_t mask = fuzz_take8(api->in) & 0x3f;
	struct api_flow *f = pick_flow(api);
	struct fo_flow flow, merged;
	struct api_verdict v, sides = {0, 0};
	struct fo_adj adj[2];
	struct fo_error err;

	if (f == NULL)
		return;
	api_connection(0, fuzz_take8(api->in), &flow);
	flow.dscp[0] = flow.dscp[1] = FO_DSCP_SET(fuzz_take8(api->in));
	flow.ct_mark = fuzz_take8(api->in);
	v = needs_living(f);
	if (mask & FO_UPDATE_ADJ) {
		choose_sides(api, &flow, adj, &sides);
		merged = f->flow;
		api_conflicts(api, &merged, adj, f, &sides);
		v.must |= sides.must;
		v.may |= sides.may;
	}
	if (!api_answered(api, "fo_flow_update", fo_flow_update(api->table, f->id, mask, &flow, &err), &err,
			  &v))
		return;
	apply_update(f, mask, &flow, adj);
	if (f->life == API_DOOMED && f->idle_only && !api_is_due(api, f))
		f->life = API_LIVING;
}

static void in_callback(struct api *api, const struct fo_event *event)
{
	struct fo_flow_info info;
	struct fo_error err;

	FO_INIT(&info);
	FUZZ_CHECK(fo_flow_get(api->table, event->flow, &info, &err) == 0 && info.id == event->flow,
		   "the id is not valid inside the callback of its last event");
	FUZZ_CHECK(fo_table_poll(api->table, 0, 0, NULL, NULL, &err) == -EINVAL &&
			   err.reason == FO_R_CALL_ORDER,
		   "fo_table_poll() from its own callback");
	FUZZ_CHECK(fo_table_sync(api->table, 0, &err) < 0, "fo_table_sync() from a callback");
	fo_table_destroy(api->table); /* ignored here */
	if (fuzz_left(api->in) != 0 && fuzz_pick(api->in, 4) == 0)
		api_call_add(api);
}

static void on_event(void *arg, const struct fo_event *event)
{
	struct api *api = arg;
	struct api_flow *f = api_by_id(api, event->flow);

	FUZZ_CHECK(event->size >= sizeof(*event), "size %zu", event->size);
	if (!FO_EV_IS_TERMINAL(event->kind)) {
		FUZZ_CHECK(event->kind == FO_EV_STATE || event->kind == FO_EV_FALLBACK ||
				   event->kind == FO_EV_WORKER,
			   "event %u", event->kind);
		return;
	}
	FUZZ_CHECK(event->kind <= FO_EV_LOST && f != NULL, "event %u of flow %llx", event->kind,
		   (unsigned long long)event->flow);
	FUZZ_CHECK(f->life != API_ENDED && f->life != API_LIVING, "event %s of a flow that is %s",
		   fo_event_name(event->kind), f->life == API_ENDED ? "gone" : "alive");
	FUZZ_CHECK((f->kinds & API_KIND(event->kind)) != 0, "event %s, expected one of %x",
		   fo_event_name(event->kind), f->kinds);
	FUZZ_CHECK(event->user == f->flow.user && event->tag == f->flow.tag, "user %llx tag %u",
		   (unsigned long long)event->user, event->tag);
	api->in_event = f->id;
	in_callback(api, event);
	api->in_event = 0;
	api_final(api, f, &event->counters, event->kind - FO_EV_DELETED);
}

void api_poll(struct api *api, unsigned int max_events)
{
	uint64_t before = 0, after = 0;
	struct fo_error err;
	unsigned int i;
	int rc;

	for (i = 0; i < 7; i++)
		before += api->ended[i];
	api_age(api);
	rc = fo_table_poll(api->table, max_events, 0, on_event, api, &err);
	FUZZ_CHECK(rc >= 0, "fo_table_poll: %d %s", rc, err.text);
	FUZZ_CHECK(max_events == 0 || (unsigned int)rc <= max_events, "%d events, at most %u asked", rc,
		   max_events);
	for (i = 0; i < 7; i++)
		after += api->ended[i];
	FUZZ_CHECK((uint64_t)rc >= after - before, "returned %d, %llu flows ended", rc,
		   (unsigned long long)(after - before));
}

void api_call_poll(struct api *api)
{
	api_poll(api, fuzz_pick(api->in, 4));
}

void api_call_sync(struct api *api)
{
	struct fo_error err;
	int rc;

	api_age(api);
	rc = fo_table_sync(api->table, 10000, &err);
	FUZZ_CHECK(rc == 0, "fo_table_sync without a worker inside a run: %d %s", rc, err.text);
}

static bool matches(const struct api_flow *f, const struct fo_match *m)
{
	const struct fo_adj *a = f->adj;

	return (!(m->mask & FO_MATCH_TAG) || f->flow.tag == m->tag) &&
	       (!(m->mask & FO_MATCH_PORT) || a[0].port == m->port || a[1].port == m->port) &&
	       (!(m->mask & FO_MATCH_L3_DEV) || a[0].l3_dev == m->l3_dev || a[1].l3_dev == m->l3_dev) &&
	       (!(m->mask & FO_MATCH_MAC) || memcmp(a[0].peer_mac, m->mac, 6) == 0 ||
		memcmp(a[1].peer_mac, m->mac, 6) == 0) &&
	       (!(m->mask & FO_MATCH_SCOPE) || f->flow.scope == m->scope) &&
	       (!(m->mask & FO_MATCH_PROTO) || f->flow.tuple[0].proto == m->proto) &&
	       (!(m->mask & FO_MATCH_ADJ) || f->flow.adj[0] == m->adj || f->flow.adj[1] == m->adj);
}

void api_call_invalidate(struct api *api)
{
	static const uint32_t at_once[] = {FO_MATCH_PORT, FO_MATCH_L3_DEV, FO_MATCH_MAC, FO_MATCH_ADJ};
	const struct api_adj *side = &api->adjs[fuzz_pick(api->in, API_ADJS)];
	unsigned int i, byte = fuzz_take8(api->in);
	struct fo_match match;
	struct fo_error err;
	struct fo_adj like;
	bool sudden = false;
	int rc;

	api_side(1 + byte % API_PORTS, byte, &like);
	FO_INIT(&match);
	match.mask = fuzz_take8(api->in) & (FO_MATCH_TAG | FO_MATCH_PORT | FO_MATCH_L3_DEV | FO_MATCH_MAC |
					    FO_MATCH_SCOPE | FO_MATCH_PROTO);
	if ((byte & 0x80) != 0 && side->alive)
		match.mask = FO_MATCH_ADJ;
	match.tag = byte & 3;
	match.port = like.port;
	match.l3_dev = like.l3_dev;
	memcpy(match.mac, like.peer_mac, 6);
	match.scope = byte >> 4 & 1;
	match.proto = byte & 8 ? 6 : 17;
	match.adj = side->id;
	for (i = 0; i < 4; i++)
		sudden |= match.mask == at_once[i];
	rc = fo_invalidate(api->table, &match, &err);
	if (rc == -ENOMEM && ledger_fired(&api->ledger))
		return;
	FUZZ_CHECK(rc == 0, "fo_invalidate mask %x: %d %s %s", match.mask, rc, err.field, err.text);
	for (i = 0; i < api->n_flows; i++)
		if (matches(&api->flows[i], &match))
			api_doom(&api->flows[i], sudden, API_KIND(FO_EV_INVALIDATED));
}
