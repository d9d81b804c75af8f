/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - the JSON that --json prints, on json-c. Neighbours: out.h. */
#include "out.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "demo.h"

void json_begin(struct json *doc)
{
	doc->root = json_object_new_object();
	doc->failed = doc->root == NULL;
}

/* Hands value over to parent. A document that failed takes nothing more. */
static struct json_object *attach(struct json *doc, struct json_object *parent, const char *key,
				  struct json_object *value)
{
	int status = -1;

	if (value != NULL && parent != NULL && !doc->failed)
		status = key != NULL ? json_object_object_add(parent, key, value)
				     : json_object_array_add(parent, value);
	if (status == 0)
		return value;
	doc->failed = true;
	json_object_put(value);
	return NULL;
}

struct json_object *json_node(struct json *doc, struct json_object *parent, const char *key)
{
	return attach(doc, parent, key, json_object_new_object());
}

struct json_object *json_list(struct json *doc, struct json_object *parent, const char *key)
{
	return attach(doc, parent, key, json_object_new_array());
}

void json_u64(struct json *doc, struct json_object *parent, const char *key, uint64_t value)
{
	attach(doc, parent, key, json_object_new_uint64(value));
}

void json_real(struct json *doc, struct json_object *parent, const char *key, double value)
{
	char text[64];

	/* Three decimals: json-c would print all seventeen digits. */
	snprintf(text, sizeof(text), "%.3f", value);
	attach(doc, parent, key, json_object_new_double_s(value, text));
}

void json_text(struct json *doc, struct json_object *parent, const char *key, const char *value)
{
	attach(doc, parent, key, json_object_new_string(value));
}

void json_flag(struct json *doc, struct json_object *parent, const char *key, bool value)
{
	attach(doc, parent, key, json_object_new_boolean(value));
}

int json_print(struct json *doc, int status)
{
	const char *text = NULL;

	if (!doc->failed)
		text = json_object_to_json_string_ext(doc->root, JSON_C_TO_STRING_PRETTY |
									 JSON_C_TO_STRING_SPACED |
									 JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text != NULL) {
		puts(text);
	} else {
		out_error("no memory for the JSON report");
		status = DEMO_FAILED;
	}
	json_object_put(doc->root);
	doc->root = NULL;
	return out_finish(status);
}

char *json_line(struct json *doc)
{
	const char *text =
		doc->failed ? NULL
			    : json_object_to_json_string_ext(
				      doc->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *line = text != NULL ? strdup(text) : NULL;

	json_object_put(doc->root);
	doc->root = NULL;
	return line;
}
