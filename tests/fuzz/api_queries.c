/* SPDX-License-Identifier: BSD-2-Clause */
/* api_queries.c - calls that only ask; each answer is compared with api_model.h. */
#include <errno.h>

#include "api_model.h"

static struct api_flow *pick_flow(struct api *api)
{
	return api->n_flows != 0 ? &api->flows[fuzz_take16(api->in) % api->n_flows] : NULL;
}

/* Is this state one that f can be in? */
static bool fits(const struct api_flow *f, uint32_t state)
{
	if (f->life == API_LIVING)
		return state == FO_STATE_ACTIVE;
	if (f->life == API_CLOSING)
		return state == FO_STATE_CLOSING;
	return state == FO_STATE_ACTIVE || state == FO_STATE_CLOSING;
}

static void check_info(const struct api_flow *f, const struct fo_flow_info *info)
{
	const struct fo_flow *a = &info->flow, *b = &f->flow;

	FUZZ_CHECK(info->id == f->id && fits(f, info->state), "id %llx, life %d, state %s",
		   (unsigned long long)f->id, f->life, fo_state_name(info->state));
	FUZZ_CHECK(api_same_tuple(&a->tuple[0], &b->tuple[0]) && api_same_tuple(&a->tuple[1], &b->tuple[1]),
		   "the tuples read back changed");
	FUZZ_CHECK(a->adj[0] == b->adj[0] && a->adj[1] == b->adj[1], "the adjacencies read back changed");
	FUZZ_CHECK(a->user == b->user && a->tag == b->tag && a->ct_mark == b->ct_mark &&
			   a->scope == b->scope && a->timeout_ms == b->timeout_ms,
		   "user %llx tag %u mark %u scope %u timeout %u", (unsigned long long)a->user, a->tag,
		   a->ct_mark, a->scope, a->timeout_ms);
	FUZZ_CHECK(a->dscp[0] == b->dscp[0] && a->dscp[1] == b->dscp[1], "dscp %x %x", a->dscp[0],
		   a->dscp[1]);
	FUZZ_CHECK(info->since_ms == f->since_ms, "since %llu, added at %llu",
		   (unsigned long long)info->since_ms, (unsigned long long)f->since_ms);
	api_compare_counters(f, &info->counters);
}

void api_call_get(struct api *api)
{
	struct api_flow *f = pick_flow(api);
	struct api_verdict v = {0, 0};
	struct fo_flow_counters counters;
	struct fo_flow_info info;
	struct fo_error err;

	if (f == NULL)
		return;
	if (f->life == API_ENDED)
		v.must = API_ENOENT;
	FO_INIT(&info);
	if (api_answered(api, "fo_flow_get", fo_flow_get(api->table, f->id, &info, &err), &err, &v))
		check_info(f, &info);
	FO_INIT(&counters);
	if (api_answered(api, "fo_flow_stats", fo_flow_stats(api->table, f->id, &counters, &err), &err, &v))
		api_compare_counters(f, &counters);
}

void api_call_find(struct api *api)
{
	unsigned int byte = fuzz_take8(api->in), d = byte & 1;
	struct api_flow *f = pick_flow(api), *other;
	struct api_verdict v = {0, 0};
	fo_flow_id id = 0;
	struct fo_error err;
	enum fo_dir dir;
	struct fo_key key;
	unsigned int i;

	if (f == NULL)
		return;
	FO_INIT(&key);
	key.tuple = f->flow.tuple[d];
	key.scope = f->flow.scope;
	key.port = byte & 2 ? FO_PORT_ANY : f->adj[d].port;
	if ((byte & 2) == 0) {
		key.n_encaps = f->adj[d].n_encaps;
		memcpy(key.encap, f->adj[d].encap, sizeof(key.encap));
	}
	if (f->life == API_DOOMED)
		v.may = API_ENOENT;
	else if (f->life != API_LIVING)
		v.must = API_ENOENT;
	/* another flow may have this key by now, or, without a port, have had it all the time */
	for (i = 0; i < api->n_flows && v.must != 0; i++) {
		other = &api->flows[i];
		if (other->life == API_LIVING || other->life == API_DOOMED) {
			v.may |= API_ENOENT;
			v.must = 0;
		}
	}
	if (!api_answered(api, "fo_flow_find", fo_flow_find(api->table, &key, &id, &dir, &err), &err, &v))
		return;
	other = api_by_id(api, id);
	FUZZ_CHECK(other != NULL && (other->life == API_LIVING || other->life == API_DOOMED), "found %llx",
		   (unsigned long long)id);
	FUZZ_CHECK(api_same_tuple(&other->flow.tuple[dir], &key.tuple) && other->flow.scope == key.scope &&
			   (key.port == FO_PORT_ANY || api_same_ingress(&other->adj[dir], &f->adj[d])),
		   "found a flow with another key");
	FUZZ_CHECK(f->life != API_LIVING || key.port == FO_PORT_ANY || (other == f && dir == d),
		   "found another flow with this key");
}

struct visits {
	struct api *api;
	unsigned int n;
	unsigned int stop_after;
	bool delete_first;
	bool seen[API_FLOWS];
};

static int on_visit(void *arg, const struct fo_flow_info *info)
{
	struct visits *visits = arg;
	struct api_flow *f = api_by_id(visits->api, info->id);
	struct fo_error err;
	int rc;

	FUZZ_CHECK(f != NULL && f->life != API_ENDED, "visited %llx", (unsigned long long)info->id);
	FUZZ_CHECK(!visits->seen[f - visits->api->flows], "visited %llx twice", (unsigned long long)info->id);
	check_info(f, info);
	visits->seen[f - visits->api->flows] = true;
	visits->n++;
	if (visits->delete_first && visits->n == 1 && f->life == API_LIVING) {
		rc = fo_flow_del(visits->api->table, f->id, NULL, &err);
		FUZZ_CHECK(rc == 0, "deleting from inside a walk: %d %s", rc, err.text);
		f->life = API_CLOSING;
		f->dead = true;
		f->kinds = API_KIND(FO_EV_DELETED);
	}
	return visits->n == visits->stop_after;
}

void api_call_walk(struct api *api)
{
	static struct visits visits;
	struct fo_match match;
	struct fo_error err;
	unsigned int i, byte = fuzz_take8(api->in);
	int rc;

	memset(&visits, 0, sizeof(visits));
	visits.api = api;
	visits.delete_first = (byte & 3) == 3;
	visits.stop_after = byte & 4 ? 1 + (byte >> 6) : 0;
	FO_INIT(&match);
	match.mask = byte & 8 ? FO_MATCH_TAG : 0;
	match.tag = byte >> 4 & 3;
	ledger_fail_at(&api->ledger, 0);
	rc = fo_flow_walk(api->table, match.mask != 0 ? &match : NULL, on_visit, &visits, &err);
	FUZZ_CHECK(rc == (int)visits.n, "returned %d after %u visits", rc, visits.n);
	for (i = 0; i < api->n_flows; i++) {
		const struct api_flow *f = &api->flows[i];
		bool wanted = f->life != API_ENDED && (match.mask == 0 || f->flow.tag == match.tag);

		if (visits.stop_after == 0)
			FUZZ_CHECK(visits.seen[i] == wanted, "flow %llx (life %d): visited %d",
				   (unsigned long long)f->id, f->life, visits.seen[i]);
		else
			FUZZ_CHECK(!visits.seen[i] || wanted, "flow %llx does not match",
				   (unsigned long long)f->id);
	}
}

void api_call_explain(struct api *api)
{
	struct api_flow *f = pick_flow(api);
	struct api_verdict v = {0, 0};
	struct fo_explanation ex;
	struct fo_error err;
	struct fo_key key;

	if (f == NULL)
		return;
	if (f->life == API_ENDED)
		v.may = API_ENOENT;
	FO_INIT(&ex);
	if (api_answered(api, "fo_flow_explain", fo_flow_explain(api->table, f->id, NULL, &ex, &err), &err,
			 &v)) {
		FUZZ_CHECK(ex.text[0] != '\0' && memchr(ex.text, 0, sizeof(ex.text)) != NULL, "no text");
		if (f->life == API_ENDED)
			FUZZ_CHECK(ex.state == FO_STATE_NONE && ex.reason != FO_R_NONE,
				   "an ended flow: %s, %s", fo_state_name(ex.state),
				   fo_reason_name(ex.reason));
		else
			FUZZ_CHECK(ex.flow == f->id && fits(f, ex.state), "life %d: %s", f->life,
				   fo_state_name(ex.state));
	}
	FO_INIT(&key);
	key.tuple = f->flow.tuple[fuzz_take8(api->in) & 1];
	key.scope = f->flow.scope;
	key.port = FO_PORT_ANY;
	FO_INIT(&ex);
	v.may = v.must = 0;
	if (api_answered(api, "fo_flow_explain", fo_flow_explain(api->table, 0, &key, &ex, &err), &err, &v))
		FUZZ_CHECK(ex.text[0] != '\0', "no text");
}

void api_call_stats(struct api *api)
{
	struct fo_table_counters c;
	struct fo_error err;
	uint64_t passed = 0;
	unsigned int i;
	int rc;

	FO_INIT(&c);
	rc = fo_stats(api->table, &c, &err);
	FUZZ_CHECK(rc == 0, "fo_stats: %d %s", rc, err.text);
	FUZZ_CHECK(c.flows + c.closing == api_taken(api), "%llu flows and %llu closing, not %u together",
		   (unsigned long long)c.flows, (unsigned long long)c.closing, api_taken(api));
	FUZZ_CHECK(c.flows >= api_count(api, API_LIVING) && c.closing >= api_count(api, API_CLOSING),
		   "%llu flows, %llu closing", (unsigned long long)c.flows, (unsigned long long)c.closing);
	FUZZ_CHECK(c.added == api->added && c.refused == api->refused,
		   "added %llu (%llu), refused %llu (%llu)", (unsigned long long)c.added,
		   (unsigned long long)api->added, (unsigned long long)c.refused,
		   (unsigned long long)api->refused);
	for (i = 0; i < 8; i++)
		FUZZ_CHECK(c.ended[i] == api->ended[i], "ended[%u] is %llu, seen %llu", i,
			   (unsigned long long)c.ended[i], (unsigned long long)api->ended[i]);
	for (i = 0; i < FO_R_PACKET_MAX; i++)
		passed += c.passed[i];
	FUZZ_CHECK(passed == api->passed, "%llu packets passed on, seen %llu", (unsigned long long)passed,
		   (unsigned long long)api->passed);
	FUZZ_CHECK(c.forwarded_packets == api->forwarded_packets && c.forwarded_bytes == api->forwarded_bytes,
		   "forwarded %llu packets, %llu bytes; seen %llu and %llu",
		   (unsigned long long)c.forwarded_packets, (unsigned long long)c.forwarded_bytes,
		   (unsigned long long)api->forwarded_packets, (unsigned long long)api->forwarded_bytes);
	FUZZ_CHECK(c.capacity == API_CAPACITY, "capacity %llu", (unsigned long long)c.capacity);
}

/* Handles that were never given out. */
void api_call_stale(struct api *api)
{
	unsigned int i, shift = fuzz_take8(api->in);
	const struct api_verdict v = {API_ENOENT | API_EINVAL, 0};
	struct fo_flow_counters counters;
	struct fo_flow flow;
	struct fo_error err;
	struct fo_adj adj;
	uint64_t id = 0;

	for (i = 0; i < 8; i++)
		id = id << 8 | fuzz_take8(api->in);
	if (shift & 1 && api->n_flows != 0) /* nearly a handle */
		id = api->flows[id % api->n_flows].id ^ UINT64_C(1) << (shift >> 1 & 63);
	if (api_by_id(api, id) != NULL)
		return;
	FO_INIT(&counters);
	api_answered(api, "fo_flow_stats", fo_flow_stats(api->table, id, &counters, &err), &err, &v);
	api_answered(api, "fo_flow_del", fo_flow_del(api->table, id, &counters, &err), &err, &v);
	api_connection(0, 0, &flow);
	api_answered(api, "fo_flow_update", fo_flow_update(api->table, id, FO_UPDATE_TAG, &flow, &err), &err,
		     &v);
	if (api_adj_by_id(api, id) != NULL)
		return;
	FO_INIT(&adj);
	api_answered(api, "fo_adj_get", fo_adj_get(api->table, id, &adj, &err), &err, &v);
	api_answered(api, "fo_adj_del", fo_adj_del(api->table, id, &err), &err, &v);
}
