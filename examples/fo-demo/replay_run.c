/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_run.c - the packet loop of a replay: read a burst, run it through the fast path, give what was passed
 * on to the slow path, write what was forwarded, in order. Time is the capture's. Neighbours: replay.h.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "out.h"

#define HEADROOM    64u
#define NS_PER_MS   UINT64_C(1000000)
#define BURST_NS    NS_PER_MS /* a burst spans at most this much of the capture's time */
#define EXPIRY_MS   100u
#define LOOP_GAP_NS NS_PER_MS
#define PROGRESS_NS (250 * NS_PER_MS)
#define QUIET_NS    (1000 * NS_PER_MS) /* no progress before it */
#define MAX_POLLS   100000u	       /* slices at one jump of the clock */

uint64_t replay_real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Copies a frame behind its headroom. */
static bool keep(struct replay_slot *slot, const struct capture_frame *frame)
{
	if (slot->size < HEADROOM + frame->captured) {
		/* Most frames fit 2 KiB: after the first round there is no allocation. */
		size_t size = frame->captured < 2048 - HEADROOM ? 2048 : HEADROOM + frame->captured;
		uint8_t *buffer = realloc(slot->buffer, size);

		if (buffer == NULL) {
			out_error("no memory for a frame of %" PRIu32 " bytes", frame->captured);
			return false;
		}
		slot->buffer = buffer;
		slot->size = size;
	}
	memcpy(slot->buffer + HEADROOM, frame->data, frame->captured);
	return true;
}

static struct sp_packet slow_view(const struct fo_packet *packet, const struct replay_slot *slot)
{
	return (struct sp_packet){
		.l3 = packet->data + slot->frame.l3,
		.contiguous = packet->contiguous - slot->frame.l3,
		.length = packet->length - slot->frame.l3,
		.side = SP_SIDE_ANY,
		.csum_partial = (packet->flags & FO_PKT_CSUM_PARTIAL) != 0,
	};
}

/* With NAT, a recorded reply still has the client's address: give it the one it carries on the WAN. The slow path
 * knows it from the connection's first packet, so it is tried again there for what this burst itself opened. */
static void to_wan_view(struct replay *r, const struct fo_packet *packet, struct replay_slot *slot)
{
	struct sp_packet view;

	if (slot->wan_view || slot->frame.kind != FRAME_IP || !(r->opt.nat4 || r->opt.nat6))
		return;
	view = slow_view(packet, slot);
	slot->wan_view = sp_wan_view(r->sp, &view);
}

static void prepare(struct replay *r, struct fo_packet *packet, struct replay_slot *slot,
		    const struct capture_frame *frame)
{
	struct frame_csum csum;

	frame_parse(slot->buffer + HEADROOM, frame->captured, &slot->frame);
	slot->time_ns = frame->time_ns + r->offset_ns;
	slot->wan_view = false;
	*packet = (struct fo_packet){
		.data = slot->buffer + HEADROOM,
		.contiguous = frame->captured,
		.length = frame->length,
		.headroom = HEADROOM,
		.in_port = SIDES_PORT_FIRST,
	};
	if (slot->frame.kind == FRAME_BROKEN)
		return;
	packet->in_port = sides_port(r->sides, packet->data);
	if (slot->frame.kind == FRAME_IP &&
	    frame_csum_unfinished(packet->data, packet->contiguous, &slot->frame, &csum)) {
		packet->flags = FO_PKT_CSUM_PARTIAL;
		packet->csum_start = csum.start;
		packet->csum_offset = csum.offset;
		r->counts.unfinished_csum++;
	}
	to_wan_view(r, packet, slot);
}

/* When a frame came, on the replay's clock: it stands still where the capture's times go back. */
static uint64_t frame_clock(const struct replay *r, const struct capture_frame *frame)
{
	uint64_t time = frame->time_ns + r->offset_ns;

	if (time > r->origin_ns && time - r->origin_ns > r->clock_ns)
		return time - r->origin_ns;
	return r->clock_ns;
}

static void advance(struct replay *r, const struct capture_frame *frame)
{
	if (r->counts.packets == 0)
		r->origin_ns = r->first_ns = r->last_ns = frame->time_ns;
	if (frame->time_ns < r->first_ns)
		r->first_ns = frame->time_ns;
	if (frame->time_ns > r->last_ns)
		r->last_ns = frame->time_ns;
	r->clock_ns = frame_clock(r, frame);
}

/* The next frame, the one put back first. Returns as capture_next(). */
static int next_frame(struct replay *r, struct capture_frame *frame)
{
	if (!r->has_put_back)
		return capture_next(r->in, frame);
	*frame = r->put_back;
	r->has_put_back = false;
	return 1;
}

/* Reads up to a burst: what a router would have found waiting. Returns the number of frames, -1 after a message;
 * *end: the capture or the limit is over. */
static int read_burst(struct replay *r, bool *end)
{
	uint64_t began_ns = 0;
	unsigned int n = 0;

	*end = false;
	while (n < r->opt.burst) {
		struct capture_frame frame;
		int got;

		*end = r->opt.limit != 0 && r->counts.packets == r->opt.limit;
		if (*end)
			break;
		got = next_frame(r, &frame);
		r->cut_off = got < 0;
		*end = got <= 0;
		if (*end)
			break;
		if (n > 0 && frame_clock(r, &frame) >= began_ns + BURST_NS) {
			/* Its bytes stay good: nothing is read before it has been taken again. */
			r->put_back = frame;
			r->has_put_back = true;
			break;
		}
		advance(r, &frame);
		if (!keep(&r->slots[n], &frame))
			return -1;
		prepare(r, &r->packets[n], &r->slots[n], &frame);
		r->counts.packets++;
		r->counts.bytes += frame.length;
		if (n++ == 0)
			began_ns = r->clock_ns;
	}
	return (int)n;
}

static void write_frame(struct replay *r, const struct fo_packet *packet, const struct replay_slot *slot)
{
	struct capture_frame frame = {
		.data = packet->data,
		.captured = packet->contiguous < packet->length ? packet->contiguous : packet->length,
		.length = packet->length,
		.time_ns = slot->time_ns,
	};

	if (r->out != NULL)
		capture_write(r->out, &frame);
}

static void run_slow_path(struct replay *r, struct fo_packet *packet, struct replay_slot *slot)
{
	struct sp_packet view;

	r->counts.passed[packet->reason < FO_R_PACKET_MAX ? packet->reason : 0]++;
	r->flow_ends |= packet->reason == FO_R_TCP_FIN || packet->reason == FO_R_TCP_RST;
	if (slot->frame.kind != FRAME_IP) {
		r->counts.unparseable[slot->frame.kind]++;
		return;
	}
	r->counts.slow++;
	to_wan_view(r, packet, slot);
	view = slow_view(packet, slot);
	sp_packet(r->sp, &view, r->clock_ns / NS_PER_MS);
	if (view.verdict != SP_FORWARD)
		return;
	if (view.conn != 0)
		sides_note(r->sides, view.conn, view.dir, packet->data, &slot->frame);
	if (view.offload)
		replay_offload(r, &view);
	packet->length = slot->frame.l3 + view.length;
	write_frame(r, packet, slot);
}

/* Ages and delivers events until the table has nothing left to do at this moment of the capture. The deadline holds
 * from one poll to the next; a FIN or RST is taken up at once, so that its ports can be used again. */
static void keep_house(struct replay *r)
{
	uint64_t now_ms = r->clock_ns / NS_PER_MS, deadline = fo_table_deadline(r->table);

	/* Flows added since may have brought it forward. */
	if (deadline < r->next_poll_ms)
		r->next_poll_ms = deadline;
	if (now_ms >= r->next_poll_ms || r->flow_ends) {
		unsigned int polls = 0;

		do {
			replay_poll(r);
			r->next_poll_ms = fo_table_deadline(r->table);
		} while (now_ms >= r->next_poll_ms && ++polls < MAX_POLLS);
		r->flow_ends = false;
	}
	if (now_ms >= r->next_expiry_ms) {
		sp_expire(r->sp, now_ms, 4096);
		r->next_expiry_ms = now_ms + EXPIRY_MS;
	}
}

static void show_progress(struct replay *r, uint64_t loop, bool last)
{
	uint64_t now = replay_real_ns();
	char packets[OUT_NUMBER];
	double done;

	if (!r->opt.progress || now - r->started_ns < QUIET_NS || (!last && now - r->shown_ns < PROGRESS_NS))
		return;
	r->shown_ns = now;
	done = last ? 1 : ((double)loop + capture_position(r->in)) / (double)r->opt.loops;
	fprintf(stderr, "\rfo-demo: %3.0f %%  %s packets  %.2f Mpps ", 100 * done,
		out_count(packets, r->counts.packets),
		(double)r->counts.packets * 1e3 / (double)(now - r->started_ns));
	if (last)
		fputc('\n', stderr);
}

static bool run_once(struct replay *r, uint64_t loop)
{
	bool end = false;

	while (!end) {
		uint64_t before;
		int n = read_burst(r, &end);

		if (n < 0)
			return false;
		keep_house(r);
		before = replay_real_ns();
		fo_worker_run(r->worker, r->packets, (unsigned int)n, r->clock_ns / NS_PER_MS);
		r->counts.fast_ns += replay_real_ns() - before;
		for (int i = 0; i < n; i++) {
			if (r->packets[i].verdict == FO_FORWARD) {
				r->counts.short_cut++;
				write_frame(r, &r->packets[i], &r->slots[i]);
			} else {
				run_slow_path(r, &r->packets[i], &r->slots[i]);
			}
		}
		show_progress(r, loop, false);
	}
	return true;
}

bool replay_run(struct replay *r)
{
	bool good = true;

	r->started_ns = replay_real_ns();
	for (uint64_t loop = 0; loop < r->opt.loops && good && !r->cut_off; loop++) {
		if (r->opt.limit != 0 && r->counts.packets == r->opt.limit)
			break;
		if (loop > 0) {
			r->offset_ns += r->last_ns - r->first_ns + LOOP_GAP_NS;
			good = capture_rewind(r->in);
		}
		if (good)
			good = run_once(r, loop);
		if (r->counts.packets == 0)
			break;
	}
	r->counts.whole_ns = replay_real_ns() - r->started_ns;
	if (good)
		show_progress(r, r->opt.loops, true);
	return good;
}
