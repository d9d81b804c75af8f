/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.c - thousands of UDP connections at once, each with a socket of its own at the client. See live.h. */
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams under way at once: fewer than any queue holds. */
#define WINDOW	   64u
#define FIRST_PORT 10000u
/* Sockets of all crowds. */
#define FILES 20000u

void crowd_open(struct crowd *crowd, unsigned int n, bool answered)
{
	const struct rlimit files = {FILES, FILES};
	uint16_t server_port = answered ? 7000 : 7001;
	struct pair first;

	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	crowd->n = n;
	crowd->answered = answered;
	crowd->client = calloc(n, sizeof(*crowd->client));
	crowd->flows = calloc(n, sizeof(*crowd->flows));
	CHECK(crowd->client && crowd->flows);
	for (unsigned int i = 0; i < n; i++) {
		uint16_t port = (uint16_t)(FIRST_PORT + i + (answered ? 0 : 20000));

		if (i)
			pair_client(&first, port, server_port);
		else
			pair_open(&first, AF_INET, SOCK_DGRAM, port, server_port);
		crowd->client[i] = first.client;
		crowd->flows[i] = first.flow;
	}
	crowd->server = first.server;
}

static void expect_number(int fd, uint32_t want, struct sockaddr_in *from)
{
	struct pollfd ready = {fd, POLLIN, 0};
	socklen_t size = sizeof(*from);
	uint32_t got = 0;

	CHECK_INT(poll(&ready, 1, 60000), 1);
	CHECK_INT(recvfrom(fd, &got, sizeof(got), 0, (struct sockaddr *)from, from ? &size : NULL),
		  sizeof(got));
	CHECK_INT(got, want);
}

/* Each datagram carries its number; it must arrive, from the port that it always had, and so must the answer. */
void crowd_talk(struct crowd *crowd)
{
	for (unsigned int i = 0; i < crowd->n; i += WINDOW) {
		unsigned int end = i + WINDOW < crowd->n ? i + WINDOW : crowd->n;
		struct sockaddr_in from[WINDOW];

		for (uint32_t k = i; k < end; k++)
			CHECK_INT(send(crowd->client[k], &k, sizeof(k), 0), sizeof(k));
		for (uint32_t k = i; k < end; k++) {
			expect_number(crowd->server, k, &from[k - i]);
			CHECK_INT(from[k - i].sin_port, crowd->flows[k].tuple[1].dport_be);
		}
		for (uint32_t k = i; crowd->answered && k < end; k++)
			CHECK_INT(sendto(crowd->server, &k, sizeof(k), 0, (struct sockaddr *)&from[k - i],
					 sizeof(from[0])),
				  sizeof(k));
		for (uint32_t k = i; crowd->answered && k < end; k++)
			expect_number(crowd->client[k], k, NULL);
	}
}

void crowd_close(struct crowd *crowd)
{
	for (unsigned int i = 0; i < crowd->n; i++)
		close(crowd->client[i]);
	close(crowd->server);
	free(crowd->client);
	free(crowd->flows);
}
