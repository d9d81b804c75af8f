/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.h - what stands before the IP header of a recorded frame, and whether its checksum is finished. Used by
 * replay.c and sides.c.
 */
#ifndef FO_DEMO_FRAME_H
#define FO_DEMO_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <flowoffload.h>

enum frame_kind {
	FRAME_IP = 0,	 /* IPv4 or IPv6 behind the tags */
	FRAME_OTHER = 1, /* ARP, LLDP, PPP's own protocols, ... */
	FRAME_BROKEN = 2 /* cut off before its IP header, or more tags than three encapsulations hold */
};

struct frame {
	uint32_t l3;	/* offset of the IP header */
	uint8_t kind;	/* enum frame_kind */
	uint8_t family; /* FO_FAMILY_, of FRAME_IP */
	uint8_t n_encaps;
	struct fo_encap encap[FO_MAX_ENCAPS];
};

/* Reads the L2 headers of len bytes at data. */
void frame_parse(const uint8_t *data, uint32_t len, struct frame *frame);

struct frame_csum {
	uint16_t start;	 /* offset of the L4 header from the Ethernet header */
	uint16_t offset; /* of the checksum field from there */
};

/* Whether the sender left the TCP or UDP checksum to its network card: a capture taken on the sending machine
 * shows the sum over the pseudo header there. captured: bytes at data. */
bool frame_csum_unfinished(const uint8_t *data, uint32_t captured, const struct frame *frame,
			   struct frame_csum *csum);

#endif /* FO_DEMO_FRAME_H */
