/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_soft.c - the rig of the software backend: a worker on buffers of this process.
 *
 * Each frame lies in its own pages: a canary, the headroom, the contiguous part, and then a page
 * that may not be touched, so that one byte read too far ends the case. What the caller may have
 * elsewhere (the part behind "contiguous") the library cannot reach at all.
 * */
#define _GNU_SOURCE
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "packet.h"

#define SLOTS  64u
#define CANARY 64u
#define FILL   0xa5

struct slot {
	uint8_t *map;	/* body bytes, then the guard page */
	uint8_t *start; /* of the canary */
	uint8_t *data;	/* as injected */
	uint8_t *out;
	struct fo_packet before;
};

struct soft {
	uint64_t now_ms;
	struct fo_worker *worker;
	size_t body;
	size_t page;
	struct slot slot[SLOTS];
	struct fo_packet packet[SLOTS];
};

static uint64_t soft_clock(void *ctx)
{
	return ((struct soft *)ctx)->now_ms;
}

static void soft_close(void *state)
{
	struct soft *soft = state;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (soft->slot[i].map)
			munmap(soft->slot[i].map, soft->body + soft->page);
		free(soft->slot[i].out);
	}
	free(soft);
}

static int map_slot(struct soft *soft, struct slot *slot)
{
	void *map = mmap(NULL, soft->body + soft->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED)
		return -1;
	slot->map = map;
	slot->out = malloc(PACKET_MAX + 64);
	return slot->out ? mprotect(slot->map + soft->body, soft->page, PROT_NONE) : -1;
}

static int soft_open(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	struct soft *soft = calloc(1, sizeof(*soft));
	long page = sysconf(_SC_PAGESIZE);

	if (!soft || page <= 0) {
		snprintf(why, why_size, "no memory");
		free(soft);
		return -1;
	}
	soft->page = (size_t)page;
	soft->body = (PACKET_MAX + 65536u + CANARY + soft->page) / soft->page * soft->page;
	soft->now_ms = 1000000;
	options->backend = "soft";
	options->clock_ms = soft_clock;
	options->clock_ctx = soft;
	if (!options->max_workers)
		options->max_workers = 1;
	*state = soft;
	return 0;
}

static int soft_attach(void *state, struct fo_table *table, char *why, size_t why_size)
{
	struct soft *soft = state;
	struct fo_worker_options options;
	struct fo_error err = {0};

	FO_INIT(&options);
	options.packet_size = sizeof(struct fo_packet);
	options.flags = FO_WORKER_FLOW_IDS;
	if (!fo_worker_open(table, &options, &soft->worker, &err))
		return 0;
	snprintf(why, why_size, "fo_worker_open: %s", err.text);
	return -1;
}

static void soft_detach(void *state)
{
	struct soft *soft = state;

	fo_worker_close(soft->worker);
	soft->worker = NULL;
}

static void load(struct soft *soft, struct slot *slot, struct fo_packet *packet, const struct rig_packet *in)
{
	uint32_t contiguous = in->contiguous && in->contiguous < in->length ? in->contiguous : in->length;

	slot->data = slot->map + soft->body - contiguous;
	slot->start = slot->data - in->headroom - CANARY;
	memset(slot->start, FILL, CANARY + (size_t)in->headroom);
	memcpy(slot->data, in->frame, contiguous);
	memset(packet, 0, sizeof(*packet));
	packet->data = slot->data;
	packet->user = 0x1122334455667788u + (uint64_t)(slot - soft->slot);
	packet->contiguous = contiguous;
	packet->length = in->length;
	packet->in_port = in->in_port;
	packet->out_port = 0xdead;
	packet->flags = in->flags;
	packet->headroom = in->headroom;
	packet->gso_size = in->gso_size;
	packet->csum_start = in->csum_start;
	packet->csum_offset = in->csum_offset;
	packet->vlan_tci = in->vlan_tci;
	packet->vlan_tpid = in->vlan_tpid;
	packet->scope = in->scope;
	packet->verdict = FO_FORWARD + 1;
	packet->reason = FO_R_PACKET_MAX;
	slot->before = *packet;
}

#define VIOLATION(result, ...) snprintf((result)->violation, sizeof((result)->violation), __VA_ARGS__)

static void check_passed(const struct slot *slot, const struct fo_packet *packet, const struct rig_packet *in,
			 struct rig_result *out)
{
	struct fo_packet want = slot->before;
	uint32_t i;

	want.verdict = packet->verdict;
	want.reason = packet->reason;
	want.flow = packet->flow;
	if (memcmp(&want, packet, sizeof(want)))
		VIOLATION(out, "passed, but struct fo_packet is not as it was");
	for (i = 0; i < in->headroom; i++)
		if (slot->start[CANARY + i] != FILL)
			VIOLATION(out, "passed, but headroom byte -%u was written", in->headroom - i);
	if (packet->reason == FO_R_NONE || packet->reason >= FO_R_PACKET_MAX)
		VIOLATION(out, "passed with reason %u", packet->reason);
	memcpy(slot->out, slot->data, slot->before.contiguous);
	memcpy(slot->out + slot->before.contiguous, in->frame + slot->before.contiguous,
	       in->length - slot->before.contiguous);
	out->length = in->length;
}

static void check_forwarded(const struct slot *slot, const struct fo_packet *packet,
			    const struct rig_packet *in, struct rig_result *out)
{
	const uint8_t *end = slot->data + slot->before.contiguous;
	uint32_t rest;

	out->length = 0;
	if (packet->data < slot->data - in->headroom || packet->data > end ||
	    packet->contiguous > (size_t)(end - packet->data)) {
		VIOLATION(out, "forwarded, but data and contiguous leave the buffer");
		return;
	}
	if (packet->contiguous > packet->length)
		VIOLATION(out, "forwarded with contiguous %u > length %u", packet->contiguous,
			  packet->length);
	rest = packet->length > packet->contiguous ? packet->length - packet->contiguous : 0;
	if (rest > in->length - slot->before.contiguous ||
	    (rest && packet->data + packet->contiguous != end)) {
		VIOLATION(out, "forwarded, but contiguous %u and length %u do not fit together",
			  packet->contiguous, packet->length);
		return;
	}
	if (packet->user != slot->before.user || packet->reserved || packet->in_port != in->in_port ||
	    packet->scope != in->scope)
		VIOLATION(out, "forwarded, but user, reserved, in_port or scope was changed");
	if (packet->reason != FO_R_NONE)
		VIOLATION(out, "forwarded with reason %u", packet->reason);
	memcpy(slot->out, packet->data, packet->contiguous);
	memcpy(slot->out + packet->contiguous, in->frame + slot->before.contiguous, rest);
	out->length = packet->length;
}

static void unload(const struct slot *slot, const struct fo_packet *packet, const struct rig_packet *in,
		   struct rig_result *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	out->verdict = packet->verdict;
	out->reason = packet->reason;
	out->flow = packet->flow;
	out->out_port = packet->out_port;
	out->flags = packet->flags;
	out->gso_size = packet->gso_size;
	out->csum_start = packet->csum_start;
	out->csum_offset = packet->csum_offset;
	out->frame = slot->out;
	if (packet->verdict == FO_PASS)
		check_passed(slot, packet, in, out);
	else if (packet->verdict == FO_FORWARD)
		check_forwarded(slot, packet, in, out);
	else
		VIOLATION(out, "no verdict was written");
	for (i = 0; i < CANARY; i++)
		if (slot->start[i] != FILL)
			VIOLATION(out, "byte -%u before the headroom was written", CANARY - i);
}

static int soft_inject(void *state, const struct rig_packet *in, struct rig_result *out, unsigned int n)
{
	struct soft *soft = state;
	unsigned int forwarded = 0, said, i;

	if (n > SLOTS)
		return -1;
	for (i = 0; i < n; i++) {
		if (!soft->slot[i].map && map_slot(soft, &soft->slot[i]))
			return -1;
		load(soft, &soft->slot[i], &soft->packet[i], &in[i]);
	}
	said = fo_worker_run(soft->worker, soft->packet, n, soft->now_ms);
	for (i = 0; i < n; i++) {
		unload(&soft->slot[i], &soft->packet[i], &in[i], &out[i]);
		forwarded += out[i].verdict == FO_FORWARD;
	}
	if (said != forwarded)
		VIOLATION(&out[0], "fo_worker_run returned %u, %u were forwarded", said, forwarded);
	return 0;
}

static void soft_advance(void *state, uint64_t ms)
{
	((struct soft *)state)->now_ms += ms;
}

static uint64_t soft_now(void *state)
{
	return ((struct soft *)state)->now_ms;
}

const struct rig rig_soft = {
	.name = "soft",
	.about = "the software backend, a worker on buffers between guard pages",
	.must_have = FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |
		     FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD |
		     FO_CAP_QINQ | FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_SCOPE | FO_CAP_INGRESS |
		     FO_CAP_ANY_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_WORKER |
		     FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC |
		     FO_CAP_CRASH_GONE | FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST |
		     FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_CALLER_NEIGH,
	.features = RIG_REASONS | RIG_META | RIG_CSUM | RIG_GSO | RIG_SCOPES | RIG_HEADROOM | RIG_BURSTS |
		    RIG_CLOCK | RIG_FLOW_IDS | RIG_ALLOC | RIG_PRIORITY | RIG_OVERSIZE,
	.open = soft_open,
	.attach = soft_attach,
	.detach = soft_detach,
	.close = soft_close,
	.inject = soft_inject,
	.advance = soft_advance,
	.now_ms = soft_now,
};
