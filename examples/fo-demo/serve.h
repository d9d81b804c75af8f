/* SPDX-License-Identifier: BSD-2-Clause */
/* serve.h - what the files of `fo-demo serve` share: one process that holds a table, and answers over a socket.
 *
 *   serve.c           the command line; opens the table, waits for clients, events and signals
 *   serve_client.c    connections: requests in, answers out, a line of JSON each; nobody is waited for
 *   serve_requests.c  add, del, list, stats, watch, explain
 *   serve_policies.c  policy: add, del, list
 *   serve_sides.c     adjacencies, made from what a request says of a side, one for each that differs
 *
 * Why a process of its own: what a kernel backend installs goes with the process that installed it, so that a crash
 * leaves nothing behind. A firmware daemon is that process; here it is this one. Below: flow_json.h and the public API.
 */
#ifndef FO_DEMO_SERVE_H
#define FO_DEMO_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flowoffload.h>

#include "out.h"

/* Where the socket is unless --socket says otherwise. */
#define SERVE_SOCKET "/run/fo-demo.sock"

#define SERVE_MAX_CLIENTS 32u
#define SERVE_MAX_SIDES	  4096u
#define SERVE_MAX_DEVICES 64u
#define SERVE_LINE_MAX	  65536u
/* Bytes of answers that a client has not read. A watcher that is this far behind misses events, and is told so. */
#define SERVE_WATCH_MAX	 (1u << 20)
#define SERVE_ANSWER_MAX (256u << 20)

struct serve;

struct serve_client {
	int fd; /* -1: free */
	char *in;
	size_t in_size;
	char *out;
	size_t out_size, out_room, sent;
	bool watching, ending; /* ending: closed once all is sent */
	uint64_t missed;       /* events since the last that had room */
};

struct serve_side {
	struct fo_adj adj;
	fo_adj_id id;
};

struct serve {
	struct fo_table *table;
	struct fo_caps caps;
	int listener, signals;
	struct serve_client clients[SERVE_MAX_CLIENTS];
	struct serve_side *sides;
	size_t n_sides;
};

/* serve_client.c */
int serve_listen(const char *path);
void serve_accept(struct serve *serve);
/* Reads what is there and answers it; sends what is due. Closes the client when it is done or gone. */
void serve_read(struct serve *serve, struct serve_client *client);
void serve_flush(struct serve_client *client);
void serve_close(struct serve_client *client);
/* Queues one answer and frees the document. */
void serve_answer(struct serve_client *client, struct json *doc);
/* {"done": status}; the last answer to a request. */
void serve_done(struct serve_client *client, int status);
/* {"error": {...}} and done. */
void serve_failed(struct serve_client *client, const struct fo_error *err);

/* serve_requests.c */
void serve_request(struct serve *serve, struct serve_client *client, const char *line);
void serve_event(void *serve, const struct fo_event *event); /* fo_event_cb */

/* serve_policies.c: 0, or -errno and err. */
int serve_policy(struct serve *serve, struct serve_client *client, struct json_object *request,
		 struct fo_error *err);

/* serve_sides.c: the adjacency that request's member key describes, added when new. 0, or -errno and err. */
int serve_side(struct serve *serve, struct json_object *request, const char *key, fo_adj_id *out,
	       struct fo_error *err);
/* The number of a port: digits, or the index of the device of that name here. 0: there is none. */
uint32_t serve_port(const char *text);

#endif /* FO_DEMO_SERVE_H */
