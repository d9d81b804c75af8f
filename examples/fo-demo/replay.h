/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - what the files of `fo-demo replay` share.
 *
 *   replay.c         the command line; opens everything, runs, closes
 *   replay_run.c     the packet loop: bursts through the fast path, what it passes on through the slow path
 *   replay_flows.c   connections handed to the table, and what their events say at the end
 *   replay_report.c  the summary, as text and as JSON, and the check that every packet is accounted for
 *
 * Below them: capture.h, frame.h, sides.h, slowpath.h, and the public API alone.
 */
#ifndef FO_DEMO_REPLAY_H
#define FO_DEMO_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flowoffload.h>

#include "capture.h"
#include "frame.h"
#include "sides.h"
#include "slowpath.h"

#define REPLAY_MAX_TOP	 100u
#define REPLAY_MAX_BURST 1024u

struct replay_options {
	const char *input, *output; /* output NULL: none */
	bool nat4, nat6;
	uint8_t nat4_addr[4], nat6_addr[16];
	uint64_t loops, limit; /* limit: packets; 0: all */
	uint64_t burst, top, capacity, mtu;
	bool no_offload, json, progress;
};

/* A flow that has ended, by its terminal event. */
struct replay_flow {
	struct fo_flow flow;
	struct fo_flow_counters counters;
	uint32_t kind, reason; /* of the event */
};

/* One frame of a burst, in memory of its own: 64 bytes of headroom before it. */
struct replay_slot {
	uint8_t *buffer;
	size_t size;
	struct frame frame;
	uint64_t time_ns;
	bool wan_view; /* sp_wan_view() has rewritten it */
};

struct replay_counts {
	uint64_t packets, bytes; /* read; bytes of frames */
	uint64_t unfinished_csum;
	uint64_t short_cut;		  /* forwarded by the fast path */
	uint64_t slow;			  /* given to the slow path */
	uint64_t unparseable[3];	  /* by enum frame_kind: neither path can route them */
	uint64_t passed[FO_R_PACKET_MAX]; /* packets the fast path passed on, by reason */
	uint64_t offered, added;	  /* connections */
	uint64_t refused[FO_R_MAX];	  /* by reason */
	uint64_t fast_ns, whole_ns;	  /* time in fo_worker_run(); in all */
	uint64_t flows_ended;
	uint64_t ended[FO_EV_LOST + 1]; /* by kind of event */
	uint64_t flow_packets;		/* sum of the final counters of all flows */
};

struct replay {
	struct replay_options opt;
	struct capture *in;
	struct capture_writer *out;
	struct capture_frame put_back; /* read, but too late for its burst */
	bool has_put_back;
	struct sides *sides;
	struct sp *sp;
	struct fo_table *table;
	struct fo_worker *worker;
	struct replay_slot *slots; /* opt.burst of them */
	struct fo_packet *packets;
	uint64_t clock_ns;	    /* since the first frame, the capture's time; never goes back */
	uint64_t origin_ns;	    /* the first frame's time */
	uint64_t offset_ns;	    /* added to the capture's times in this loop */
	uint64_t first_ns, last_ns; /* the capture's earliest and latest time */
	uint64_t next_expiry_ms;
	uint64_t next_poll_ms;	       /* the deadline that the last poll left */
	bool flow_ends;		       /* a FIN or RST has been seen since */
	uint64_t started_ns, shown_ns; /* real time: begin, last progress */
	bool cut_off;		       /* the capture ends in the middle of a packet */
	struct replay_counts counts;
	struct fo_error first_refusal;
	struct replay_flow top[REPLAY_MAX_TOP]; /* the largest first */
	size_t n_top;
};

/* replay_run.c: the whole capture, opt.loops times. Returns false after a message. */
bool replay_run(struct replay *r);
uint64_t replay_real_ns(void);

/* replay_flows.c */
void replay_offload(struct replay *r, const struct sp_packet *pkt);
void replay_poll(struct replay *r);
bool replay_end_flows(struct replay *r);

/* replay_report.c: returns the exit status, DEMO_FAILED when the figures do not add up. */
int replay_report(struct replay *r);

#endif /* FO_DEMO_REPLAY_H */
