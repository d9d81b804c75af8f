/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_client.c - the socket of `fo-demo serve` and those connected to it. Neighbours: serve.h.
 *
 * A request and an answer are a line of JSON each. Nothing here blocks: what a client does not read waits in its
 * memory, up to a bound; a request longer than a line may be ends the connection.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "flow_json.h"
#include "serve.h"

/* A socket file that nobody answers at is what a killed process left: it is replaced. */
static bool is_left_over(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool dead;

	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

int serve_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, status;

	if (strlen(path) >= sizeof(address.sun_path)) {
		out_error("--socket: '%s' is longer than the %zu bytes a socket's path may have", path,
			  sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		out_error("socket: %s", strerror(errno));
		return -1;
	}
	mask = umask(0177);
	status = bind(fd, (struct sockaddr *)&address, sizeof(address));
	if (status != 0 && errno == EADDRINUSE && is_left_over(&address) && unlink(path) == 0)
		status = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (status == 0)
		status = listen(fd, 8);
	if (status != 0) {
		out_error("%s: %s%s", path, strerror(errno),
			  errno == EADDRINUSE ? "; another fo-demo serves there: choose another --socket"
					      : "");
		close(fd);
		return -1;
	}
	return fd;
}

void serve_close(struct serve_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->in);
	free(client->out);
	*client = (struct serve_client){.fd = -1};
}

void serve_accept(struct serve *serve)
{
	int fd = accept4(serve->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < SERVE_MAX_CLIENTS; i++) {
		struct serve_client *client = &serve->clients[i];

		if (client->fd >= 0)
			continue;
		client->in = malloc(SERVE_LINE_MAX);
		if (client->in == NULL)
			break;
		client->fd = fd;
		return;
	}
	close(fd);
}

static bool make_room(struct serve_client *client, size_t more)
{
	size_t room = client->out_room != 0 ? client->out_room : 4096;
	char *grown;

	if (client->sent != 0) {
		client->out_size -= client->sent;
		memmove(client->out, client->out + client->sent, client->out_size);
		client->sent = 0;
	}
	while (room < client->out_size + more)
		room *= 2;
	if (room == client->out_room)
		return true;
	if (room > SERVE_ANSWER_MAX)
		return false;
	grown = realloc(client->out, room);
	if (grown == NULL)
		return false;
	client->out = grown;
	client->out_room = room;
	return true;
}

void serve_answer(struct serve_client *client, struct json *doc)
{
	char *line = json_line(doc);
	size_t size = line != NULL ? strlen(line) : 0;

	if (line == NULL || client->fd < 0 || !make_room(client, size + 1)) {
		/* Half an answer would look like a whole one: without its "done" the client knows. */
		client->ending = true;
		free(line);
		return;
	}
	memcpy(client->out + client->out_size, line, size);
	client->out[client->out_size + size] = '\n';
	client->out_size += size + 1;
	free(line);
}

void serve_done(struct serve_client *client, int status)
{
	struct json doc;

	json_begin(&doc);
	json_u64(&doc, doc.root, "done", (uint64_t)status);
	serve_answer(client, &doc);
}

void serve_failed(struct serve_client *client, const struct fo_error *err)
{
	struct json doc;

	json_begin(&doc);
	flow_json_put_error(&doc, json_node(&doc, doc.root, "error"), err);
	serve_answer(client, &doc);
	serve_done(client, 1);
}

void serve_flush(struct serve_client *client)
{
	while (client->fd >= 0 && client->sent < client->out_size) {
		ssize_t n = send(client->fd, client->out + client->sent, client->out_size - client->sent,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			serve_close(client);
			return;
		}
		client->sent += (size_t)n;
	}
	client->sent = client->out_size = 0;
	if (client->ending)
		serve_close(client);
}

/* Answers every whole line; false: the connection is to end. */
static bool answer_lines(struct serve *serve, struct serve_client *client)
{
	char *line = client->in, *end;
	size_t left = client->in_size;

	while (!client->ending && (end = memchr(line, '\n', left)) != NULL) {
		*end = '\0';
		serve_request(serve, client, line);
		left -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	memmove(client->in, line, left);
	client->in_size = left;
	return left < SERVE_LINE_MAX;
}

void serve_read(struct serve *serve, struct serve_client *client)
{
	ssize_t n = recv(client->fd, client->in + client->in_size, SERVE_LINE_MAX - client->in_size, 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		serve_close(client);
		return;
	}
	client->in_size += (size_t)n;
	if (!answer_lines(serve, client)) {
		serve_close(client);
		return;
	}
	serve_flush(client);
}
