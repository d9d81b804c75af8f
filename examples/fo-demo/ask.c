/* SPDX-License-Identifier: BSD-2-Clause */
/* ask.c - `fo-demo add`, `del`, `list`, `stats`, `watch`, `explain`, `policy`: one question to a running `fo-demo serve`.
 * Neighbours: ask.h, demo.h; serve_requests.c is the other end.
 */
#include "ask.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "demo.h"
#include "flow_json.h"

static FILE *connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	FILE *stream = NULL;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		out_error("--socket: '%s' is too long for a socket's path", path);
		return NULL;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		stream = fdopen(fd, "r+");
	if (stream != NULL)
		return stream;
	out_error("%s: %s; is 'fo-demo serve' running there?", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* A server that has hung up already is found by the answer that does not come. */
static bool send_request(FILE *stream, struct ask *ask)
{
	char *line = json_line(&ask->request);
	size_t size = line != NULL ? strlen(line) : 0;
	struct iovec parts[2] = {{line, size}, {(char[]){"\n"}, 1}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t sent = -1;

	if (line != NULL)
		sent = sendmsg(fileno(stream), &message, MSG_NOSIGNAL);
	free(line);
	if (sent == (ssize_t)size + 1 || (sent < 0 && (errno == EPIPE || errno == ECONNRESET)))
		return true;
	out_error("%s: the request could not be sent: %s", ask->socket, strerror(errno));
	return false;
}

static void print_error(const struct ask *ask, struct json_object *error)
{
	const char *field = flow_json_text(error, "field"), *text = flow_json_text(error, "text"),
		   *reason = flow_json_text(error, "reason"), *backend = flow_json_text(error, "backend");
	bool named = field != NULL && field[0] != '\0';

	out_error("%s: %s%s%s (reason %s)", ask->verb, named ? field : "", named ? ": " : "",
		  text != NULL ? text : "refused", reason != NULL ? reason : "unknown");
	if (backend != NULL)
		out_error("%s: the backend says: %s", ask->verb, backend);
}

/* One answer. Returns the exit status that ends it all, or -1: more to come. */
static int take_answer(struct ask *ask, const char *line, struct json_object *answer)
{
	struct json_object *member;

	if (json_object_object_get_ex(answer, "done", &member))
		return json_object_get_int(member) == 0 ? DEMO_OK : DEMO_FAILED;
	if (ask->as_json)
		fputs(line, stdout);
	else if (json_object_object_get_ex(answer, "error", &member))
		print_error(ask, member);
	else
		ask_print(ask, answer);
	return -1;
}

static int read_answers(struct ask *ask, FILE *stream)
{
	struct json_object *answer;
	size_t room = 0;
	char *line = NULL;
	int status = -1;

	while (status < 0 && getline(&line, &room, stream) > 0) {
		answer = json_tokener_parse(line);
		if (json_object_is_type(answer, json_type_object))
			status = take_answer(ask, line, answer);
		json_object_put(answer);
		/* Whoever watches wants to see it now. */
		if (fflush(stdout) != 0)
			break;
	}
	free(line);
	if (status < 0) {
		out_error("%s: the answer broke off: fo-demo serve has ended, or the answer was too long",
			  ask->verb);
		return DEMO_FAILED;
	}
	if (!ask->as_json)
		ask_print_end(ask);
	return out_finish(status);
}

static int run(const char *verb, int argc, char **argv)
{
	struct ask ask = {.verb = verb};
	FILE *stream;
	int status;

	if (!ask_options(&ask, argc, argv)) {
		json_object_put(ask.request.root);
		return DEMO_USAGE;
	}
	if (ask.help) {
		json_object_put(ask.request.root);
		ask_usage(verb);
		return out_finish(DEMO_OK);
	}
	stream = connect_to(ask.socket);
	if (stream == NULL) {
		json_object_put(ask.request.root);
		return DEMO_FAILED;
	}
	status = send_request(stream, &ask) ? read_answers(&ask, stream) : DEMO_FAILED;
	fclose(stream);
	return status;
}

int cmd_add(int argc, char **argv)
{
	return run("add", argc, argv);
}

int cmd_del(int argc, char **argv)
{
	return run("del", argc, argv);
}

int cmd_list(int argc, char **argv)
{
	return run("list", argc, argv);
}

int cmd_stats(int argc, char **argv)
{
	return run("stats", argc, argv);
}

int cmd_watch(int argc, char **argv)
{
	return run("watch", argc, argv);
}

int cmd_explain(int argc, char **argv)
{
	return run("explain", argc, argv);
}

int cmd_policy(int argc, char **argv)
{
	return run("policy", argc, argv);
}
