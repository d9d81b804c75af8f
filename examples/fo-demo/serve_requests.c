/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_requests.c - what a client may ask of `fo-demo serve`, and the events it may watch. Neighbours: serve.h,
 * flow_json.h; ask.c is the other end.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "flow_json.h"
#include "serve.h"

static int read_id(struct json_object *request, fo_flow_id *id, struct fo_error *err)
{
	const char *text = flow_json_text(request, "id");
	char *end;

	*id = 0;
	if (text == NULL)
		return 0;
	errno = 0;
	*id = strtoull(text, &end, 16);
	if (*end != '\0' || errno != 0 || *id == 0)
		return flow_json_refuse(err, "id",
					"'%.40s' is not a flow's id; 'fo-demo list --json' shows them", text);
	return 0;
}

/* The key of a request's original tuple. */
static int read_key(struct json_object *request, struct fo_key *key, struct fo_error *err)
{
	const char *dev = flow_json_text(request, "dev");
	struct fo_tuple tuple[2];
	uint64_t zone;

	FO_INIT(key);
	if (flow_json_tuples(request, tuple, err) != 0 ||
	    flow_json_number(request, "zone", 65535, 0, &zone, err) != 0)
		return -EINVAL;
	key->tuple = tuple[0];
	key->scope = (uint16_t)zone;
	key->port = dev != NULL ? serve_port(dev) : FO_PORT_ANY;
	if (key->port == 0)
		return flow_json_refuse(err, "dev", "there is no device '%.40s' here", dev);
	return 0;
}

static void answer_info(struct serve_client *client, const struct fo_flow_info *info)
{
	struct json doc;

	json_begin(&doc);
	flow_json_put_info(&doc, json_node(&doc, doc.root, "flow"), info);
	serve_answer(client, &doc);
}

/* Who says where answers come from and where they go means both, be they what they may. */
static uint32_t stated_nat(struct json_object *request)
{
	struct json_object *reply;

	if (!json_object_object_get_ex(request, "reply", &reply) || flow_json_text(reply, "src") == NULL ||
	    flow_json_text(reply, "dst") == NULL)
		return 0;
	return FO_NAT_SRC | FO_NAT_DST;
}

static int add(struct serve *serve, struct serve_client *client, struct json_object *request,
	       struct fo_error *err)
{
	uint64_t timeout, mark, tag, zone;
	struct fo_flow_info info;
	struct fo_flow flow;
	fo_flow_id id;
	int status;

	FO_INIT(&flow);
	if (flow_json_tuples(request, flow.tuple, err) != 0 ||
	    flow_json_number(request, "timeout_ms", UINT32_MAX, 0, &timeout, err) != 0 ||
	    flow_json_number(request, "mark", UINT32_MAX, 0, &mark, err) != 0 ||
	    flow_json_number(request, "tag", UINT32_MAX, 0, &tag, err) != 0 ||
	    flow_json_number(request, "zone", 65535, 0, &zone, err) != 0)
		return -EINVAL;
	flow.nat = stated_nat(request);
	flow.timeout_ms = (uint32_t)timeout;
	flow.ct_mark = (uint32_t)mark;
	flow.tag = (uint32_t)tag;
	flow.scope = (uint16_t)zone;
	status = serve_side(serve, request, "in", &flow.adj[FO_ORIGINAL], err);
	if (status == 0)
		status = serve_side(serve, request, "out", &flow.adj[FO_REPLY], err);
	if (status == 0)
		status = fo_flow_add(serve->table, &flow, &id, err);
	if (status != 0)
		return status;
	FO_INIT(&info);
	status = fo_flow_get(serve->table, id, &info, err);
	if (status == 0)
		answer_info(client, &info);
	return status;
}

static int read_match(struct json_object *request, struct fo_match *match, struct fo_error *err)
{
	const char *dev = flow_json_text(request, "dev"), *state = flow_json_text(request, "state");
	uint64_t tag, zone;

	FO_INIT(match);
	if (flow_json_number(request, "tag", UINT32_MAX, UINT64_MAX, &tag, err) != 0 ||
	    flow_json_number(request, "zone", 65535, UINT64_MAX, &zone, err) != 0)
		return -EINVAL;
	if (tag != UINT64_MAX) {
		match->mask |= FO_MATCH_TAG;
		match->tag = (uint32_t)tag;
	}
	if (zone != UINT64_MAX) {
		match->mask |= FO_MATCH_SCOPE;
		match->scope = (uint16_t)zone;
	}
	if (dev != NULL) {
		match->mask |= FO_MATCH_PORT;
		match->port = serve_port(dev);
		if (match->port == 0)
			return flow_json_refuse(err, "dev", "there is no device '%.40s' here", dev);
	}
	if (state == NULL)
		return 0;
	match->mask |= FO_MATCH_STATE;
	for (match->state = FO_STATE_ARMED; match->state <= FO_STATE_CLOSING; match->state++)
		if (strcmp(fo_state_name(match->state), state) == 0)
			return 0;
	return flow_json_refuse(err, "state", "give armed, active, hardware, partial or closing");
}

/* ---- events ---- */

/* known: the flow of the event when the table no longer shows it, or NULL. */
static void send_event(struct serve *serve, struct serve_client *client, const struct fo_event *event,
		       const struct fo_flow_info *known)
{
	struct json_object *node, *original, *reply;
	struct fo_flow_info info;
	struct json doc;

	json_begin(&doc);
	node = json_node(&doc, doc.root, "event");
	json_text(&doc, node, "kind", fo_event_name(event->kind));
	if (event->reason != FO_R_NONE)
		json_text(&doc, node, "reason", fo_reason_name(event->reason));
	if (client->missed != 0)
		json_u64(&doc, node, "missed", client->missed);
	FO_INIT(&info);
	if (event->flow == 0) {
		json_u64(&doc, node, "worker", event->worker);
	} else if (known != NULL) {
		flow_json_put_info(&doc, json_node(&doc, node, "flow"), known);
	} else if (fo_flow_get(serve->table, event->flow, &info, NULL) == 0) {
		if (FO_EV_IS_TERMINAL(event->kind)) {
			info.counters = event->counters;
			info.state = event->state;
		}
		flow_json_put_info(&doc, json_node(&doc, node, "flow"), &info);
	} else {
		flow_json_put_id(&doc, node, event->flow);
		original = json_node(&doc, node, "original");
		reply = json_node(&doc, node, "reply");
		flow_json_put_counters(&doc, original, reply, &event->counters);
	}
	serve_answer(client, &doc);
	client->missed = 0;
}

static void tell_watchers(struct serve *serve, const struct fo_event *event, const struct fo_flow_info *known)
{
	for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++) {
		struct serve_client *client = &serve->clients[i];

		if (client->fd < 0 || !client->watching)
			continue;
		if (client->out_size - client->sent > SERVE_WATCH_MAX)
			client->missed++;
		else
			send_event(serve, client, event, known);
	}
}

void serve_event(void *arg, const struct fo_event *event)
{
	tell_watchers(arg, event, NULL);
}

/* A delete that was over at once told the end itself, so that the table has no event for those who watch. */
static void tell_deleted(struct serve *serve, const struct fo_flow_info *info)
{
	struct fo_event event;

	FO_INIT(&event);
	event.kind = FO_EV_DELETED;
	event.reason = FO_R_DELETED;
	event.flow = info->id;
	event.state = info->state;
	tell_watchers(serve, &event, info);
}

/* ---- requests ---- */

/* One flow by id or tuple; without either all that match. */
static int del(struct serve *serve, struct serve_client *client, struct json_object *request,
	       struct fo_error *err)
{
	struct fo_match match;
	struct fo_flow_info info;
	struct fo_key key;
	fo_flow_id id;
	int status = read_id(request, &id, err);

	if (status == 0 && id == 0 && json_object_object_get_ex(request, "original", NULL)) {
		status = read_key(request, &key, err);
		if (status == 0)
			status = fo_flow_find(serve->table, &key, &id, NULL, err);
	} else if (status == 0 && id == 0) {
		status = read_match(request, &match, err);
		return status != 0 ? status : fo_invalidate(serve->table, &match, err);
	}
	FO_INIT(&info);
	if (status == 0)
		status = fo_flow_get(serve->table, id, &info, err);
	if (status == 0)
		status = fo_flow_del(serve->table, id, &info.counters, err);
	if (status != 0)
		return status;
	if (info.counters.flags & FO_STATS_FINAL)
		tell_deleted(serve, &info);
	answer_info(client, &info);
	return 0;
}

static int list_flow(void *arg, const struct fo_flow_info *info)
{
	struct serve_client *client = arg;

	answer_info(client, info);
	return client->ending;
}

static int list(struct serve *serve, struct serve_client *client, struct json_object *request,
		struct fo_error *err)
{
	struct fo_match match;
	int status = read_match(request, &match, err);

	if (status == 0)
		status = fo_flow_walk(serve->table, &match, list_flow, client, err);
	return status < 0 ? status : 0;
}

static void put_ended(struct json *doc, struct json_object *parent, const uint64_t ended[8])
{
	for (unsigned int kind = FO_EV_DELETED; kind <= FO_EV_LOST; kind++)
		json_u64(doc, parent, fo_event_name(kind), ended[kind - FO_EV_DELETED]);
	json_u64(doc, parent, "deleted-at-once", ended[7]);
}

static int stats(struct serve *serve, struct serve_client *client, struct json_object *request,
		 struct fo_error *err)
{
	struct fo_table_counters counters;
	struct json_object *node, *passed;
	struct json doc;
	int status;

	(void)request;
	FO_INIT(&counters);
	status = fo_stats(serve->table, &counters, err);
	if (status != 0)
		return status;
	json_begin(&doc);
	node = json_node(&doc, doc.root, "stats");
	json_text(&doc, node, "backend", serve->caps.backend);
	json_u64(&doc, node, "flows", counters.flows);
	json_u64(&doc, node, "closing", counters.closing);
	json_u64(&doc, node, "capacity", counters.capacity);
	json_u64(&doc, node, "adjacencies", counters.adjacencies);
	json_u64(&doc, node, "added", counters.added);
	json_u64(&doc, node, "refused", counters.refused);
	put_ended(&doc, json_node(&doc, node, "ended"), counters.ended);
	json_u64(&doc, node, "forwarded_packets", counters.forwarded_packets);
	json_u64(&doc, node, "forwarded_bytes", counters.forwarded_bytes);
	passed = json_node(&doc, node, "passed");
	for (unsigned int reason = 1; reason < FO_R_PACKET_MAX; reason++)
		if (counters.passed[reason] != 0)
			json_u64(&doc, passed, fo_reason_name(reason), counters.passed[reason]);
	json_u64(&doc, node, "memory", counters.memory);
	flow_json_put_flags(&doc, node, counters.flags);
	serve_answer(client, &doc);
	return 0;
}

static int explain(struct serve *serve, struct serve_client *client, struct json_object *request,
		   struct fo_error *err)
{
	struct json_object *node, *original;
	struct fo_explanation found;
	struct fo_key key;
	fo_flow_id id;
	struct json doc;
	int status = read_id(request, &id, err);

	if (status == 0 && id == 0)
		status = read_key(request, &key, err);
	FO_INIT(&found);
	if (status == 0)
		status = fo_flow_explain(serve->table, id, id != 0 ? NULL : &key, &found, err);
	if (status != 0)
		return status;
	json_begin(&doc);
	node = json_node(&doc, doc.root, "explanation");
	if (found.flow != 0)
		flow_json_put_id(&doc, node, found.flow);
	json_text(&doc, node, "state", fo_state_name(found.state));
	json_text(&doc, node, "reason", fo_reason_name(found.reason));
	json_text(&doc, node, "stage", fo_stage_name(found.stage));
	json_text(&doc, node, "text", found.text);
	if (found.backend_errno != 0)
		json_text(&doc, node, "backend", strerror(found.backend_errno));
	if (found.flow != 0) {
		json_u64(&doc, node, "since_ms", found.since_ms);
		original = json_node(&doc, node, "original");
		flow_json_put_counters(&doc, original, json_node(&doc, node, "reply"), &found.counters);
		flow_json_put_flags(&doc, node, found.counters.flags);
	}
	serve_answer(client, &doc);
	return 0;
}

/* Answered by events from now on; no "done". */
static int watch(struct serve *serve, struct serve_client *client, struct json_object *request,
		 struct fo_error *err)
{
	(void)serve;
	(void)request;
	(void)err;
	client->watching = true;
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(struct serve *, struct serve_client *, struct json_object *, struct fo_error *);
} verbs[] = {
	{"add", add},	      {"del", del},	{"list", list},		  {"stats", stats},
	{"explain", explain}, {"watch", watch}, {"policy", serve_policy},
};

void serve_request(struct serve *serve, struct serve_client *client, const char *line)
{
	struct json_object *request = json_tokener_parse(line);
	const char *name =
		json_object_is_type(request, json_type_object) ? flow_json_text(request, "verb") : NULL;
	struct fo_error err = {0};
	const struct verb *verb = NULL;
	int status;

	for (size_t i = 0; name != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			verb = &verbs[i];
	if (verb != NULL)
		status = verb->run(serve, client, request, &err);
	else
		status = flow_json_refuse(&err, "verb",
					  "a request is a line of JSON with a verb: add, del, list, "
					  "stats, explain, watch or policy");
	if (status != 0)
		serve_failed(client, &err);
	else if (!client->watching)
		serve_done(client, 0);
	json_object_put(request);
}
