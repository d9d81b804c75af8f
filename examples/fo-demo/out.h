/* SPDX-License-Identifier: BSD-2-Clause */
/* out.h - what every verb of fo-demo prints with: errors, figures for people, JSON for programs; and numbers
 * read from the command line.
 *
 * Errors go to standard error, one line each: "fo-demo: what is wrong, and the remedy". Reports go to standard
 * output. Implementation: out.c (text), json.c (JSON, on json-c).
 */
#ifndef FO_DEMO_OUT_H
#define FO_DEMO_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flowoffload.h>

/* "fo-demo: ..." and a newline, to standard error. */
void out_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a call of the library had against it:
 * "fo-demo: fo_flow_add: tuple[1].family: differs from ... (reason tuple, stage validate)". */
void out_fo_error(const char *call, const struct fo_error *err);

/* Reads a whole number in [min, max] given to option; says what is wrong otherwise. */
bool out_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Reads an address of that family (FO_FAMILY_) that a router can translate to: 4 or 16 bytes to addr. */
bool out_address(const char *option, const char *text, uint8_t family, uint8_t *addr);

/* Figures for people. Each returns text, which it has filled. */
#define OUT_NUMBER 32
const char *out_count(char text[OUT_NUMBER], uint64_t n);		     /* 1,234,567 */
const char *out_bytes(char text[OUT_NUMBER], uint64_t n);		     /* 1.2 MB */
const char *out_share(char text[OUT_NUMBER], uint64_t part, uint64_t whole); /* 97.1 %, or - */

/* "192.0.2.1:443", "[2001:db8::1]:443"; echo: "192.0.2.1 id 7". which: 0 the source, 1 the destination. */
#define OUT_ENDPOINT 72
const char *out_endpoint(char text[OUT_ENDPOINT], const struct fo_tuple *tuple, unsigned int which);
/* "tcp", "udp", "icmp", "icmpv6", "ip" */
const char *out_proto(uint8_t proto);

/* Flushes standard output. Returns status, or DEMO_FAILED (with a message) when it could not be written. */
int out_finish(int status);

/* ---- JSON ---------------------------------------------------------------------------------------------
 * A document is built from its root down; a node belongs to its document. key NULL appends to a list. When
 * memory runs out the document fails as a whole, in json_print(). */
struct json_object;

struct json {
	struct json_object *root;
	bool failed;
};

void json_begin(struct json *doc);
struct json_object *json_node(struct json *doc, struct json_object *parent, const char *key);
struct json_object *json_list(struct json *doc, struct json_object *parent, const char *key);
void json_u64(struct json *doc, struct json_object *parent, const char *key, uint64_t value);
void json_real(struct json *doc, struct json_object *parent, const char *key, double value);
void json_text(struct json *doc, struct json_object *parent, const char *key, const char *value);
void json_flag(struct json *doc, struct json_object *parent, const char *key, bool value);
/* Prints and frees the document. Returns status, or DEMO_FAILED (with a message). */
int json_print(struct json *doc, int status);
/* The document on one line without its newline, to be freed by the caller; frees the document. NULL: no memory. */
char *json_line(struct json *doc);

#endif /* FO_DEMO_OUT_H */
