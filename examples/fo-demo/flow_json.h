/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_json.h - flows, their counters and errors as JSON objects, both ways: what `fo-demo serve` and the verbs that
 * ask it speak. Used by serve_requests.c, serve_events.c and, for its names, by ask_print.c.
 *
 * A tuple is {"proto": "tcp", "src": "192.0.2.1", "dst": "198.51.100.1", "sport": 1234, "dport": 443}, of an echo
 * {"proto": "icmp", "src": ..., "dst": ..., "id": 7}. Addresses of both families are text, numbers are in host order.
 * Counters that are unknown are left out.
 */
#ifndef FO_DEMO_FLOW_JSON_H
#define FO_DEMO_FLOW_JSON_H

#include "out.h"

/* Fills err for a request that names a wrong field; returns -EINVAL. */
int flow_json_refuse(struct fo_error *err, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "original" and, where the connection is translated, what differs in "reply": the rest is original's mirror.
 * -EINVAL and err. */
int flow_json_tuples(struct json_object *from, struct fo_tuple tuple[2], struct fo_error *err);

/* A whole number at key, or missing where there is none. -EINVAL and err when it is something else or beyond max. */
int flow_json_number(struct json_object *from, const char *key, uint64_t max, uint64_t missing, uint64_t *out,
		     struct fo_error *err);

/* Text at key, or NULL. */
const char *flow_json_text(struct json_object *from, const char *key);

/* Writers: members of parent. */
void flow_json_put_info(struct json *doc, struct json_object *parent, const struct fo_flow_info *info);
void flow_json_put_error(struct json *doc, struct json_object *parent, const struct fo_error *err);
void flow_json_put_counters(struct json *doc, struct json_object *original, struct json_object *reply,
			    const struct fo_flow_counters *counters);
void flow_json_put_tuple(struct json *doc, struct json_object *parent, const struct fo_tuple *tuple);
void flow_json_put_flags(struct json *doc, struct json_object *parent, uint32_t flags);
void flow_json_put_id(struct json *doc, struct json_object *parent, fo_flow_id id);

#endif /* FO_DEMO_FLOW_JSON_H */
