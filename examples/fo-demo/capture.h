/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.h - captures of Ethernet frames, read and written with libpcap (pcap and pcapng in, pcap out).
 * Used by replay.c.
 */
#ifndef FO_DEMO_CAPTURE_H
#define FO_DEMO_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

struct capture;	       /* one that is read */
struct capture_writer; /* one that is written */

struct capture_frame {
	const uint8_t *data; /* the reader's; valid until the next call */
	uint32_t captured;   /* bytes at data */
	uint32_t length;     /* of the frame on the wire, at least captured */
	uint64_t time_ns;    /* since 1970; 0 where the capture's own is absurd */
};

/* Opens a capture. NULL after a message that says what is wrong. */
struct capture *capture_open(const char *path);
void capture_close(struct capture *in);
/* 1 a frame, 0 the end, -1 after a message: the file is cut off or broken from here on. */
int capture_next(struct capture *in, struct capture_frame *frame);
/* Starts again at the first frame. false after a message. */
bool capture_rewind(struct capture *in);
/* How much of the file has been read, 0 .. 1. */
double capture_position(const struct capture *in);

/* Makes a capture file with nanosecond times. NULL after a message; in's own file is refused. */
struct capture_writer *capture_create(const char *path, const struct capture *in);
void capture_write(struct capture_writer *out, const struct capture_frame *frame);
/* NULL is accepted. false after a message: not everything reached the file. */
bool capture_finish(struct capture_writer *out);

#endif /* FO_DEMO_CAPTURE_H */
