/* SPDX-License-Identifier: BSD-2-Clause */
/* shots.c - see shots.h. */
#include "shots.h"

#include <inttypes.h>
#include <string.h>

void shots_load(struct shot *shot, struct fo_packet *p)
{
	struct frame frame;
	struct fo_flow flow;

	frames_flow(shot->connection, shot->life, &flow);
	frames_arriving(&flow, shot->dir, shot->far, shot->payload, shot->tcp_flags, &frame);
	memcpy(shot->buffer + SHOTS_HEADROOM, frame.bytes, frame.length);
	memset(p, 0, sizeof(*p));
	p->data = shot->buffer + SHOTS_HEADROOM;
	p->headroom = SHOTS_HEADROOM;
	p->contiguous = p->length = frame.length;
	p->in_port = shot->dir == FO_ORIGINAL ? NEAR_PORT : FAR_PORT;
}

static void check_life(struct oracle *oracle, const struct shot *shot, uint32_t life, uint32_t begin,
		       uint32_t end)
{
	const struct dates *dates;

	if (life >= atomic_load(&oracle->n_flows) || oracle->flows[life].connection != shot->connection)
		stress_die("connection %u was forwarded as life %u, which is none of its", shot->connection,
			   life);
	dates = &oracle->flows[life].dates;
	if (!oracle_could(dates, begin, end))
		stress_die(
			"connection %u direction %u: life %u (%u to %u) forwarded a packet of burst %u to %u",
			shot->connection, shot->dir, life, atomic_load(&dates->begin),
			atomic_load(&dates->end), begin, end);
}

/* Was there a far side during the burst by which a reply with these tags could arrive? */
static bool could_arrive(struct oracle *oracle, uint32_t far, uint32_t begin, uint32_t end)
{
	uint32_t i = atomic_load(&oracle->n_sides);

	while (i-- != 0 && atomic_load(&oracle->sides[i].end) > begin)
		if (oracle_could(&oracle->sides[i], begin, end) && (i == far || ((i | far) & 1) == 0))
			return true;
	return false;
}

static void check_far(struct oracle *oracle, const struct shot *shot, uint32_t far, uint32_t begin,
		      uint32_t end)
{
	if (shot->dir == FO_REPLY) {
		if (!could_arrive(oracle, shot->far, begin, end))
			stress_die("a reply by far side %u was taken in burst %u to %u", shot->far, begin,
				   end);
		return;
	}
	if (far >= atomic_load(&oracle->n_sides))
		stress_die("a packet left by far side %u, which never was", far);
	if (!oracle_could(&oracle->sides[far], begin, end))
		stress_die("far side %u (%u to %u) sent a packet of burst %u to %u", far,
			   atomic_load(&oracle->sides[far].begin), atomic_load(&oracle->sides[far].end),
			   begin, end);
}

/* Returns the marking that the frame shows; all that its life has shown so far are small in number. */
static uint32_t check_marking(struct oracle *oracle, const struct shot *shot, const struct fo_packet *p,
			      uint32_t life, uint32_t begin, uint32_t end)
{
	uint32_t marking = frames_read_marking(p->data, p->length, shot->connection, life);
	const struct flow_life *l = &oracle->flows[life];

	if (marking >= atomic_load(&l->n_markings))
		stress_die("connection %u direction %u: life %u never had the DSCP that a packet left with",
			   shot->connection, shot->dir, life);
	if (!oracle_could(&l->markings[marking], begin, end))
		stress_die("connection %u direction %u life %u: marking %u (%u to %u) on a packet of burst "
			   "%u to %u",
			   shot->connection, shot->dir, life, marking,
			   atomic_load(&l->markings[marking].begin), atomic_load(&l->markings[marking].end),
			   begin, end);
	return marking;
}

static void check_forwarded(struct stress_worker *w, const struct shot *shot, const struct fo_packet *p,
			    uint32_t begin, uint32_t end)
{
	uint32_t life = shot->life, far = shot->far;
	struct frame expected;
	struct fo_flow flow;

	if (p->contiguous != p->length)
		stress_die("contiguous %u, length %u", p->contiguous, p->length);
	if (shot->dir == FO_ORIGINAL) {
		life = frames_read_life(p->data, p->length, shot->connection);
		far = frames_read_far(p->data, p->length);
	}
	check_life(w->oracle, shot, life, begin, end);
	check_far(w->oracle, shot, far, begin, end);
	frames_flow(shot->connection, life, &flow);
	frames_mark(life, check_marking(w->oracle, shot, p, life, begin, end), &flow);
	frames_leaving(&flow, shot->dir, far, shot->payload, shot->tcp_flags, &expected);
	if (p->length != expected.length || memcmp(p->data, expected.bytes, expected.length) != 0)
		stress_die("connection %u direction %u life %u far side %u: wrong bytes", shot->connection,
			   shot->dir, life, far);
	if (p->out_port != (shot->dir == FO_ORIGINAL ? FAR_PORT : NEAR_PORT))
		stress_die("left by port %u", p->out_port);
	w->life_packets[life * 2 + shot->dir]++;
	w->life_bytes[life * 2 + shot->dir] += expected.l3_bytes;
	w->forwarded++;
	w->bytes += expected.l3_bytes;
}

static void check_passed(struct stress_worker *w, const struct shot *shot, const struct fo_packet *p)
{
	struct frame frame;
	struct fo_flow flow;

	frames_flow(shot->connection, shot->life, &flow);
	frames_arriving(&flow, shot->dir, shot->far, shot->payload, shot->tcp_flags, &frame);
	if (p->data != shot->buffer + SHOTS_HEADROOM || p->length != frame.length ||
	    memcmp(p->data, frame.bytes, frame.length) != 0)
		stress_die("a packet passed on (%s) was changed", fo_reason_name(p->reason));
	if (p->reason == FO_R_NONE)
		stress_die("a packet passed on without a reason");
	w->passed++;
}

unsigned int shots_fire(struct stress_worker *w, struct fo_worker *worker, struct shot *shots,
			struct fo_packet *packets, unsigned int n)
{
	unsigned int i, returned, forwarded = 0;
	uint32_t begin, end;

	begin = atomic_load(&w->oracle->now);
	returned = fo_worker_run(worker, packets, n, oracle_ms(w->oracle));
	end = atomic_load(&w->oracle->now);
	for (i = 0; i < n; i++) {
		if (packets[i].verdict == FO_FORWARD) {
			check_forwarded(w, &shots[i], &packets[i], begin, end);
			forwarded++;
		} else {
			check_passed(w, &shots[i], &packets[i]);
		}
	}
	if (returned != forwarded)
		stress_die("fo_worker_run returned %u, forwarded %u", returned, forwarded);
	return forwarded;
}
