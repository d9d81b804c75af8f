/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic.h - packets of a population in buffers of their own, built before they are timed and compared, every byte of
 * the buffer, with what must have become of them.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "population.h"

/* Bytes before each frame. */
#define TRAFFIC_HEAD   64u
#define TRAFFIC_NOW_MS 5000u

/* A packet: which connection, whether it is in the table, and the length of its frame on plain Ethernet. */
struct wanted {
	uint32_t number;
	uint16_t length;
	uint8_t dir;
	uint8_t absent;
};

struct traffic {
	const struct population *population;
	struct fo_packet *packets;
	struct wanted *wanted;
	uint8_t *buffers;
	uint32_t count; /* of packets */
	uint32_t room;	/* bytes of buffer each */
};

/* Room for count packets of frames of at most length bytes. Buffers follow each other as in a pool of packet buffers, at a
 * distance that is an odd number of cache lines: with a power of two they would share a few sets of the caches. */
void traffic_open(struct traffic *traffic, const struct population *population, uint32_t count,
		  unsigned int length);
void traffic_close(struct traffic *traffic);

/* Put the packet of a position at i; absent: of a connection of the same kind that is in no table. */
void traffic_put(struct traffic *traffic, uint32_t i, uint32_t position, int absent, unsigned int length);

/* Build the packet at i again after it was forwarded. */
void traffic_again(struct traffic *traffic, uint32_t i);

/* End the program unless packets begin to begin + count were treated as they must be. */
void traffic_verify(const struct traffic *traffic, const char *who, uint32_t begin, uint32_t count);

#endif
