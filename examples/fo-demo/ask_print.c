/* SPDX-License-Identifier: BSD-2-Clause */
/* ask_print.c - answers as text, in the form of conntrack -L and -E. Neighbours: ask.h, flow_json.h. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "flow_json.h"

static const char *text_of(struct json_object *from, const char *key)
{
	const char *text = flow_json_text(from, key);

	return text != NULL ? text : "";
}

static void print_number(struct json_object *from, const char *key, const char *label)
{
	struct json_object *value;

	if (json_object_object_get_ex(from, key, &value))
		printf(" %s=%" PRIu64, label, json_object_get_uint64(value));
}

static void print_tuple(struct json_object *flow, const char *direction)
{
	struct json_object *tuple;

	if (!json_object_object_get_ex(flow, direction, &tuple))
		return;
	if (flow_json_text(tuple, "src") != NULL)
		printf(" src=%s dst=%s", text_of(tuple, "src"), text_of(tuple, "dst"));
	print_number(tuple, "sport", "sport");
	print_number(tuple, "dport", "dport");
	print_number(tuple, "id", "id");
	print_number(tuple, "packets", "packets");
	print_number(tuple, "bytes", "bytes");
}

static const char *state_flag(const char *state)
{
	static const struct {
		const char *state, *flag;
	} flags[] = {{"armed", "[ARMED]"},
		     {"active", "[OFFLOAD]"},
		     {"hardware", "[HW_OFFLOAD]"},
		     {"partial", "[PARTIAL_OFFLOAD]"},
		     {"closing", "[CLOSING]"}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].state, state) == 0)
			return flags[i].flag;
	return "";
}

static unsigned int proto_number(const char *name)
{
	return strcmp(name, "tcp") == 0	   ? 6
	       : strcmp(name, "udp") == 0  ? 17
	       : strcmp(name, "icmp") == 0 ? 1
					   : 58;
}

static void print_flow(struct json_object *flow)
{
	struct json_object *original = NULL;
	const char *proto, *reason = flow_json_text(flow, "reason");

	json_object_object_get_ex(flow, "original", &original);
	proto = text_of(original, "proto");
	printf("%-8s %u", proto, proto_number(proto));
	print_tuple(flow, "original");
	print_tuple(flow, "reply");
	printf(" %s", state_flag(text_of(flow, "state")));
	if (reason != NULL)
		printf(" reason=%s", reason);
	print_number(flow, "mark", "mark");
	print_number(flow, "zone", "zone");
	print_number(flow, "tag", "tag");
	printf(" id=%s\n", text_of(flow, "id"));
}

static void print_text(struct json_object *from, const char *key)
{
	if (flow_json_text(from, key) != NULL)
		printf(" %s=%s", key, flow_json_text(from, key));
}

static void print_side(struct json_object *policy, const char *key)
{
	struct json_object *side;

	if (!json_object_object_get_ex(policy, key, &side))
		return;
	printf(" %s=%s", key, text_of(side, "dev"));
	if (flow_json_text(side, "l3dev") != NULL)
		printf(",l3=%s", text_of(side, "l3dev"));
}

static void print_policy(struct json_object *policy)
{
	static const char *const texts[] = {"src", "dst", "sport", "dport"};
	const char *family = flow_json_text(policy, "family"), *proto = flow_json_text(policy, "proto");

	printf("%-8s %s", proto != NULL ? proto : "any", family != NULL ? family : "any");
	print_side(policy, "in");
	print_side(policy, "out");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		print_text(policy, texts[i]);
	print_number(policy, "timeout_ms", "timeout_ms");
	print_number(policy, "tag", "tag");
	print_number(policy, "zone", "zone");
	printf(" id=%s\n", text_of(policy, "id"));
}

static void print_event(struct json_object *event)
{
	const char *kind = text_of(event, "kind"), *reason = flow_json_text(event, "reason");
	struct json_object *flow;

	print_number(event, "missed", "missed");
	printf("[%s]%s%s ", kind, reason != NULL ? " reason=" : "", reason != NULL ? reason : "");
	if (json_object_object_get_ex(event, "flow", &flow)) {
		print_flow(flow);
		return;
	}
	print_number(event, "worker", "worker");
	printf(" %s\n", text_of(event, "id"));
}

/* Members one a line, those of an object below it: "passed: no-flow 12". */
static void print_members(struct json_object *object, int depth)
{
	json_object_object_foreach(object, key, value)
	{
		if (json_object_is_type(value, json_type_object)) {
			printf("%*s%s:\n", depth, "", key);
			print_members(value, depth + 2);
		} else if (json_object_is_type(value, json_type_string)) {
			printf("%*s%-*s %s\n", depth, "", 20 - depth, key, json_object_get_string(value));
		} else if (json_object_is_type(value, json_type_array)) {
			printf("%*s%-*s", depth, "", 20 - depth, key);
			for (size_t i = 0; i < json_object_array_length(value); i++)
				printf(" %s", json_object_get_string(json_object_array_get_idx(value, i)));
			printf("%s\n", json_object_array_length(value) == 0 ? " exact" : "");
		} else {
			printf("%*s%-*s %" PRIu64 "\n", depth, "", 20 - depth, key,
			       json_object_get_uint64(value));
		}
	}
}

static void print_explanation(struct json_object *found)
{
	const char *state = text_of(found, "state");

	printf("%s %s\n", state_flag(state)[0] != '\0' ? state_flag(state) : "[NOT OFFLOADED]",
	       text_of(found, "text"));
	printf("reason=%s stage=%s", text_of(found, "reason"), text_of(found, "stage"));
	if (flow_json_text(found, "backend") != NULL)
		printf(" backend=\"%s\"", text_of(found, "backend"));
	if (flow_json_text(found, "id") != NULL) {
		printf(" id=%s", text_of(found, "id"));
		print_number(found, "since_ms", "since_ms");
		printf("\noriginal:");
		print_tuple(found, "original");
		printf("\nreply:");
		print_tuple(found, "reply");
	}
	putchar('\n');
}

void ask_print(struct ask *ask, struct json_object *answer)
{
	struct json_object *member;

	if (json_object_object_get_ex(answer, "flow", &member)) {
		print_flow(member);
		ask->shown++;
	} else if (json_object_object_get_ex(answer, "policy", &member)) {
		print_policy(member);
	} else if (json_object_object_get_ex(answer, "event", &member)) {
		print_event(member);
	} else if (json_object_object_get_ex(answer, "stats", &member)) {
		print_members(member, 0);
	} else if (json_object_object_get_ex(answer, "explanation", &member)) {
		print_explanation(member);
	}
}

void ask_print_end(const struct ask *ask)
{
	if (strcmp(ask->verb, "list") == 0)
		fprintf(stderr, "fo-demo: %" PRIu64 " flows have been shown.\n", ask->shown);
}
