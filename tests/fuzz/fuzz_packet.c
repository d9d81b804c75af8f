/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_packet.c - any bytes as packets, with any metadata, through fo_worker_run(), against the reference model.
 *
 * An input is a sequence of packets, each a head (fuzz_packet.h) and a frame; up to BURST of them are one burst. Judged for each: the verdict and reason; a packet passed on is unchanged
 * down to the last byte around it, its struct included; a forwarded one equals the model's byte for byte; at the end
 * the counters and the closing of every flow. Neighbours: scene.c the router, guard.c the buffers, packet_seeds.c.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_packet.h"
#include "guard.h"
#include "ledger.h"
#include "scene.h"

#define BURST 4u

struct shot {
	struct fo_packet before;
	struct rig_packet rig;
	uint8_t frame[PACKET_MAX];
};

static struct guard guards[BURST];
static struct shot shots[BURST];
static struct model_answer answer;
static uint64_t now_ms;

static uint64_t clock_ms(void *ctx)
{
	(void)ctx;
	return now_ms;
}

/* The first half of a head. */
static void take_metadata(struct fuzz_input *in, struct fo_packet *p, unsigned int *align)
{
	static const uint16_t scopes[4] = {0, 1, 7, 65535};
	static const uint16_t tpids[4] = {0x8100, 0x88a8, 0x9100, 0};
	unsigned int byte = fuzz_take8(in);

	p->in_port = (byte & 7) == 7 ? 77 : byte & 7;
	*align = byte >> 3 & 15;
	if (*align > 8)
		*align = 0;
	byte = fuzz_take8(in);
	p->flags = byte & (FO_PKT_CSUM_PARTIAL | FO_PKT_GSO | FO_PKT_VLAN);
	p->scope = scopes[byte >> 4 & 3];
	p->vlan_tpid = tpids[byte >> 6];
	p->headroom = (uint16_t)(fuzz_take8(in) % 49);
	p->gso_size = fuzz_take16(in);
	p->csum_start = fuzz_take16(in);
	p->csum_offset = fuzz_take16(in);
	p->vlan_tci = fuzz_take16(in);
}

static void describe(struct rig_packet *rig, const uint8_t *frame, const struct fo_packet *p)
{
	memset(rig, 0, sizeof(*rig));
	rig->frame = frame;
	rig->length = p->length;
	rig->contiguous = p->contiguous;
	rig->in_port = p->in_port;
	rig->flags = p->flags;
	rig->headroom = p->headroom;
	rig->gso_size = p->gso_size;
	rig->csum_start = p->csum_start;
	rig->csum_offset = p->csum_offset;
	rig->vlan_tci = p->vlan_tci;
	rig->vlan_tpid = p->vlan_tpid;
	rig->scope = p->scope;
}

static void take_packet(struct fuzz_input *in, unsigned int i, struct fo_packet *p)
{
	struct shot *shot = &shots[i];
	unsigned int align, split, tail, length;

	memset(p, 0, sizeof(*p));
	take_metadata(in, p, &align);
	split = fuzz_take8(in);
	tail = fuzz_take8(in);
	now_ms += fuzz_take8(in);
	length = fuzz_take16(in) % (GUARD_DATA_MAX + 1);
	if (length > fuzz_left(in))
		length = (unsigned int)fuzz_left(in);
	memcpy(shot->frame, in->at, length);
	in->at += length;
	p->contiguous = split != 0 && split < length ? split : length;
	p->length = length;
	if (p->contiguous != 0) {
		/* the model takes 0 for "all", so a tail needs something before it */
		tail = 255u * tail < PACKET_MAX - length ? 255u * tail : PACKET_MAX - length;
		memset(shot->frame + length, 0x5a, tail);
		p->length += tail;
	}
	p->user = 0xfeedface00000000u + i;
	guard_place(&guards[i], shot->frame, p->contiguous, p->headroom, align);
	p->data = guards[i].data;
	describe(&shot->rig, shot->frame, p);
	shot->before = *p;
}

static void check_passed(unsigned int i, const struct fo_packet *after)
{
	struct fo_packet same = shots[i].before;

	same.verdict = after->verdict;
	same.reason = after->reason;
	same.flow = after->flow; /* always written: the flow, or 0 */
	FUZZ_CHECK(memcmp(&same, after, sizeof(same)) == 0,
		   "packet %u passed on (%s), but its struct changed", i, fo_reason_name(after->reason));
	FUZZ_CHECK(guard_untouched(&guards[i]), "packet %u passed on (%s), but its memory changed", i,
		   fo_reason_name(after->reason));
	FUZZ_CHECK(after->reason == answer.reason || (answer.reasons >> after->reason & 1) != 0,
		   "packet %u: reason %s, the model says %s", i, fo_reason_name(after->reason),
		   fo_reason_name(answer.reason));
}

static void check_bytes(unsigned int i, const struct fo_packet *after)
{
	const struct guard *guard = &guards[i];
	const struct fo_packet *before = &shots[i].before;
	const uint8_t *from = after->data < before->data ? after->data : before->data;
	uint32_t k;

	FUZZ_CHECK(after->data >= guard->data - guard->headroom && after->data <= guard->end,
		   "packet %u: data moved by %td with headroom %zu", i, after->data - guard->data,
		   guard->headroom);
	FUZZ_CHECK((size_t)(guard->data + guard->contiguous - after->data) >= after->contiguous,
		   "packet %u: contiguous %u", i, after->contiguous);
	FUZZ_CHECK(guard_untouched_but(guard, from, guard->data + guard->contiguous),
		   "packet %u: bytes outside the frame changed", i);
	for (k = 0; k < after->contiguous; k++)
		FUZZ_CHECK(after->data[k] == answer.frame[k], "packet %u byte %u: %02x, the model says %02x",
			   i, k, after->data[k], answer.frame[k]);
}

static void check_forwarded(unsigned int i, const struct fo_packet *after, fo_flow_id flow)
{
	const struct fo_packet *before = &shots[i].before;
	struct fo_packet same = *before;
	ptrdiff_t gained = before->data - after->data;
	ptrdiff_t contiguous = (ptrdiff_t)before->contiguous + gained;

	if (contiguous > (ptrdiff_t)answer.length)
		contiguous = (ptrdiff_t)answer.length;
	same.data = after->data;
	same.contiguous = (uint32_t)contiguous;
	same.length = answer.length;
	same.out_port = answer.out_port;
	same.flags = answer.flags;
	same.csum_start = answer.csum_start;
	same.flow = flow;
	same.verdict = FO_FORWARD;
	same.reason = FO_R_NONE;
	same.headroom = after->headroom; /* may follow data; nothing is promised */
	FUZZ_CHECK(memcmp(&same, after, sizeof(same)) == 0,
		   "packet %u: length %u (%u), contiguous %u (%u), port %u (%u), flags %x (%x), csum_start "
		   "%u (%u), "
		   "flow %llx (%llx)",
		   i, after->length, same.length, after->contiguous, same.contiguous, after->out_port,
		   same.out_port, after->flags, same.flags, after->csum_start, same.csum_start,
		   (unsigned long long)after->flow, (unsigned long long)same.flow);
	check_bytes(i, after);
}

static void run_burst(struct fuzz_input *in, struct scene *scene, struct fo_worker *worker, uint64_t *passed)
{
	struct fo_packet packets[BURST];
	unsigned int n, i, forwarded, expected = 0;

	for (n = 0; n < BURST && fuzz_left(in) != 0; n++)
		take_packet(in, n, &packets[n]);
	forwarded = fo_worker_run(worker, packets, n, now_ms);
	for (i = 0; i < n; i++) {
		model_packet(&scene->model, &shots[i].rig, now_ms, &answer);
		FUZZ_CHECK(packets[i].verdict == answer.verdict,
			   "packet %u: verdict %u (%s), the model says %u (%s)", i, packets[i].verdict,
			   fo_reason_name(packets[i].reason), answer.verdict, fo_reason_name(answer.reason));
		if (answer.verdict == FO_FORWARD) {
			check_forwarded(i, &packets[i], scene->flow_ids[answer.flow]);
			expected++;
		} else {
			check_passed(i, &packets[i]);
			passed[packets[i].reason]++;
		}
	}
	FUZZ_CHECK(forwarded == expected, "returned %u of %u", forwarded, expected);
}

static void check_flow(struct scene *scene, unsigned int i)
{
	const struct model_flow *mf = &scene->flows[i];
	struct fo_flow_info info;
	struct fo_error err;
	unsigned int d;
	int rc;

	FO_INIT(&info);
	rc = fo_flow_get(scene->table, scene->flow_ids[i], &info, &err);
	FUZZ_CHECK(rc == 0, "flow %u: %d %s", i, rc, err.text);
	/* "as last seen": what a worker noticed may wait for the next poll */
	FUZZ_CHECK(info.state == FO_STATE_ACTIVE ||
			   (mf->life == MODEL_CLOSING && info.state == FO_STATE_CLOSING),
		   "flow %u is %s", i, fo_state_name(info.state));
	for (d = 0; d < 2; d++) {
		FUZZ_CHECK(info.counters.packets[d] == mf->packets[d] &&
				   info.counters.bytes[d] == mf->bytes[d],
			   "flow %u direction %u: %llu packets %llu bytes, the model says %llu and %llu", i,
			   d, (unsigned long long)info.counters.packets[d],
			   (unsigned long long)info.counters.bytes[d], (unsigned long long)mf->packets[d],
			   (unsigned long long)mf->bytes[d]);
		FUZZ_CHECK(info.counters.last_seen_ms[d] == mf->last_seen_ms[d],
			   "flow %u direction %u: last seen %llu, the model says %llu", i, d,
			   (unsigned long long)info.counters.last_seen_ms[d],
			   (unsigned long long)mf->last_seen_ms[d]);
	}
}

static void check_counters(struct scene *scene, const uint64_t *passed)
{
	struct fo_table_counters counters;
	struct fo_error err;
	uint64_t packets = 0, bytes = 0;
	unsigned int i;
	int rc;

	FO_INIT(&counters);
	rc = fo_stats(scene->table, &counters, &err);
	FUZZ_CHECK(rc == 0, "%d %s", rc, err.text);
	for (i = 0; i < SCENE_FLOWS; i++) {
		packets += scene->flows[i].packets[0] + scene->flows[i].packets[1];
		bytes += scene->flows[i].bytes[0] + scene->flows[i].bytes[1];
	}
	FUZZ_CHECK(counters.forwarded_packets == packets && counters.forwarded_bytes == bytes,
		   "forwarded %llu packets, %llu bytes", (unsigned long long)counters.forwarded_packets,
		   (unsigned long long)counters.forwarded_bytes);
	for (i = 0; i < FO_R_PACKET_MAX; i++)
		FUZZ_CHECK(counters.passed[i] == passed[i], "passed with reason %s: %llu, counted %llu",
			   fo_reason_name(i), (unsigned long long)passed[i],
			   (unsigned long long)counters.passed[i]);
}

struct closings {
	struct scene *scene;
	unsigned int seen[SCENE_FLOWS];
};

static void on_event(void *arg, const struct fo_event *event)
{
	struct closings *closings = arg;
	unsigned int i;

	for (i = 0; i < SCENE_FLOWS && closings->scene->flow_ids[i] != event->flow; i++)
		;
	FUZZ_CHECK(i < SCENE_FLOWS, "event %s of flow %llx", fo_event_name(event->kind),
		   (unsigned long long)event->flow);
	FUZZ_CHECK(event->kind == FO_EV_CLOSED, "flow %u: event %s", i, fo_event_name(event->kind));
	FUZZ_CHECK(event->counters.flags & FO_STATS_FINAL, "flow %u: counters are not final", i);
	FUZZ_CHECK(event->counters.packets[0] == closings->scene->flows[i].packets[0] &&
			   event->counters.packets[1] == closings->scene->flows[i].packets[1],
		   "flow %u: final counters", i);
	closings->seen[i]++;
}

/* Every flow that saw FIN or RST ends with one event; the others live. */
static void check_closings(struct scene *scene)
{
	struct closings closings;
	unsigned int i, round;

	memset(&closings, 0, sizeof(closings));
	closings.scene = scene;
	FUZZ_CHECK(fo_table_sync(scene->table, 10000, NULL) == 0, "sync");
	for (round = 0; round < 64; round++)
		fo_table_poll(scene->table, 0, 0, on_event, &closings, NULL);
	for (i = 0; i < SCENE_FLOWS; i++)
		FUZZ_CHECK(closings.seen[i] == (scene->flows[i].life == MODEL_CLOSING), "flow %u: %u events",
			   i, closings.seen[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};
	uint64_t passed[256] = {0};
	struct fo_worker_options opts;
	struct fo_worker *worker;
	struct ledger ledger;
	static struct scene scene;
	unsigned int i;
	int rc;

	for (i = 0; i < BURST && guards[i].map == NULL; i++)
		guard_open(&guards[i]);
	now_ms = 1000;
	ledger_init(&ledger);
	scene_open(&scene, &ledger.hook, clock_ms, NULL);
	FO_INIT(&opts);
	opts.flags = FO_WORKER_FLOW_IDS;
	rc = fo_worker_open(scene.table, &opts, &worker, NULL);
	FUZZ_CHECK(rc == 0, "%d", rc);
	while (fuzz_left(&in) != 0)
		run_burst(&in, &scene, worker, passed);
	for (i = 0; i < SCENE_FLOWS; i++)
		check_flow(&scene, i);
	check_counters(&scene, passed);
	check_closings(&scene);
	fo_worker_close(worker);
	fo_table_destroy(scene.table);
	FUZZ_CHECK(ledger_leaks(&ledger, "fo_table_destroy") == 0, "leak");
	ledger_fini(&ledger);
	return 0;
}
