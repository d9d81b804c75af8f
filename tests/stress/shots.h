/* SPDX-License-Identifier: BSD-2-Clause */
/* shots.h - packets that a worker sends at the connections, and what may have become of them.
 *
 * A packet that comes back forwarded must be, byte by byte, what generations that could be alive during its burst make
 * of it (oracle.h); one that is passed on must be untouched. Used by worker.c and by the schedules (tests/schedules).
 */
#ifndef STRESS_SHOTS_H
#define STRESS_SHOTS_H

#include "frames.h"
#include "stress.h"

#define SHOTS_MAX      32u
#define SHOTS_HEADROOM 32u

struct shot {
	uint32_t connection;
	uint32_t life; /* FO_REPLY: the one whose address it is sent to */
	uint32_t far;  /* FO_REPLY: the generation it arrives by */
	uint32_t payload;
	unsigned int dir;
	uint8_t tcp_flags;
	uint8_t buffer[SHOTS_HEADROOM + FRAME_MAX];
};

/* Build the frame of a shot, and its packet. */
void shots_load(struct shot *shot, struct fo_packet *packet);
/* One burst of n loaded shots, each checked and counted for the worker. Returns how many were forwarded. */
unsigned int shots_fire(struct stress_worker *w, struct fo_worker *worker, struct shot *shots,
			struct fo_packet *packets, unsigned int n);

#endif
