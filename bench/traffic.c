/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic.c - packets and what must become of them. See traffic.h. */
#include "traffic.h"

#include <string.h>

#define LINE 64u

void traffic_open(struct traffic *traffic, const struct population *population, uint32_t count,
		  unsigned int length)
{
	uint32_t lines = (TRAFFIC_HEAD + length + FRAME_ENCAP + LINE - 1) / LINE;

	traffic->population = population;
	traffic->count = count;
	traffic->room = (lines | 1) * LINE;
	traffic->packets = bench_memory(count * sizeof(*traffic->packets));
	traffic->wanted = bench_memory(count * sizeof(*traffic->wanted));
	traffic->buffers = bench_memory((size_t)count * traffic->room);
}

void traffic_close(struct traffic *traffic)
{
	bench_memory_free(traffic->packets, traffic->count * sizeof(*traffic->packets));
	bench_memory_free(traffic->wanted, traffic->count * sizeof(*traffic->wanted));
	bench_memory_free(traffic->buffers, (size_t)traffic->count * traffic->room);
}

void traffic_again(struct traffic *traffic, uint32_t i)
{
	const struct wanted *wanted = &traffic->wanted[i];
	struct fo_packet *packet = &traffic->packets[i];
	uint8_t *data = traffic->buffers + (size_t)i * traffic->room + TRAFFIC_HEAD;

	memset(packet, 0, sizeof(*packet));
	packet->data = data;
	packet->user = i;
	packet->length =
		frame_in(data, &traffic->population->net, wanted->number, wanted->dir, wanted->length);
	packet->contiguous = packet->length;
	packet->headroom = TRAFFIC_HEAD;
	packet->in_port = wanted->dir + 1u;
}

void traffic_put(struct traffic *traffic, uint32_t i, uint32_t position, int absent, unsigned int length)
{
	struct wanted *wanted = &traffic->wanted[i];

	wanted->number = traffic->population->number[position / 2] + (absent ? POPULATION_ABSENT : 0);
	wanted->dir = (uint8_t)(position & 1);
	wanted->absent = absent != 0;
	wanted->length = (uint16_t)length;
	traffic_again(traffic, i);
}

/* Headers leave longer or shorter than they came: the IP packet stays where it is, the frame grows or shrinks at
 * its front. What the library leaves of old headers before a frame is nobody's business. */
static int forwarded_well(const struct traffic *traffic, uint32_t i)
{
	const struct wanted *wanted = &traffic->wanted[i];
	const struct fo_packet *packet = &traffic->packets[i];
	const uint8_t *buffer = traffic->buffers + (size_t)i * traffic->room;
	uint8_t expected[2048], came[2048];
	const struct net *net = &traffic->population->net;
	unsigned int length = frame_out(expected, net, wanted->number, wanted->dir, wanted->length);
	unsigned int before = frame_in(came, net, wanted->number, wanted->dir, wanted->length);
	const uint8_t *data = buffer + TRAFFIC_HEAD + before - length;

	return packet->verdict == FO_FORWARD && packet->data == data && packet->length == length &&
	       packet->contiguous == length && packet->user == i && packet->out_port == 2u - wanted->dir &&
	       !memcmp(data, expected, length);
}

static int passed_well(const struct traffic *traffic, uint32_t i)
{
	const struct wanted *wanted = &traffic->wanted[i];
	const struct fo_packet *packet = &traffic->packets[i];
	const uint8_t *data = traffic->buffers + (size_t)i * traffic->room + TRAFFIC_HEAD;
	uint8_t expected[2048];
	unsigned int length =
		frame_in(expected, &traffic->population->net, wanted->number, wanted->dir, wanted->length);

	return packet->verdict == FO_PASS && packet->data == data && packet->length == length &&
	       packet->contiguous == length && packet->user == i && !memcmp(data, expected, length);
}

void traffic_verify(const struct traffic *traffic, const char *who, uint32_t begin, uint32_t count)
{
	for (uint32_t i = begin; i < begin + count; i++)
		if (!(traffic->wanted[i].absent ? passed_well(traffic, i) : forwarded_well(traffic, i)))
			bench_fail("%s: the frame of connection %u, direction %u, is not what it must be",
				   who, traffic->wanted[i].number, traffic->wanted[i].dir);
}
