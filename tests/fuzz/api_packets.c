/* SPDX-License-Identifier: BSD-2-Clause */
/* api_packets.c - workers of the API fuzzer. Which packets take the short cut, and what that does to the flows; what
 * happens to their bytes is the packet fuzzer's concern.
 */
#include <errno.h>

#include "../conformance/packet.h"
#include "api_model.h"

#define BURST	 4u
#define HEADROOM 64u

struct aim {
	uint8_t buffer[HEADROOM + 256];
	struct fo_tuple tuple;
	struct fo_adj from;
	uint16_t scope;
	uint8_t tcp_flags;
	uint32_t l3_bytes;
};

void api_call_worker_open(struct api *api)
{
	unsigned int i = fuzz_pick(api->in, API_WORKERS), n = 0, k;
	struct api_verdict v = {0, 0};
	struct fo_worker *worker = NULL;
	struct fo_error err;

	for (k = 0; k < API_WORKERS; k++)
		n += api->workers[k] != NULL;
	if (n == API_WORKERS)
		v.must = API_ENOSPC;
	else if (api->workers[i] != NULL)
		return;
	if (api_answered(api, "fo_worker_open", fo_worker_open(api->table, NULL, &worker, &err), &err, &v)) {
		FUZZ_CHECK(worker != NULL, "no worker");
		api->workers[i] = worker;
	} else {
		FUZZ_CHECK(worker == NULL, "the out-parameter of a failed call was written");
	}
}

void api_call_worker_close(struct api *api)
{
	unsigned int i = fuzz_pick(api->in, API_WORKERS);

	fo_worker_close(api->workers[i]);
	api->workers[i] = NULL;
}

/* Aim at any flow, ended ones too, now and then from a wrong side. */
static bool aim(struct api *api, struct aim *a, struct fo_packet *p)
{
	static const uint8_t flags[8] = {TCP_ACK,	    TCP_ACK, TCP_ACK,		TCP_ACK,
					 TCP_ACK | TCP_PSH, TCP_SYN, TCP_FIN | TCP_ACK, TCP_RST};
	static struct packet_frame frame;
	const struct api_flow *f;
	struct packet_spec spec;
	unsigned int byte;

	if (api->n_flows == 0)
		return false;
	f = &api->flows[fuzz_take16(api->in) % api->n_flows];
	byte = fuzz_take8(api->in);
	a->tuple = f->flow.tuple[byte & 1];
	a->from = f->adj[byte & 1];
	if (byte >= 0xf0)
		a->from = f->adj[~byte & 1];
	a->scope = f->flow.scope;
	a->tcp_flags = flags[byte >> 1 & 7];
	packet_spec_init(&spec, &a->tuple, &a->from);
	spec.payload_len = byte >> 4;
	spec.tcp_flags = a->tcp_flags;
	packet_build(&spec, &frame);
	a->l3_bytes = frame.end - frame.l3;
	memcpy(a->buffer + HEADROOM, frame.bytes, frame.length);
	memset(p, 0, sizeof(*p));
	p->data = a->buffer + HEADROOM;
	p->headroom = HEADROOM;
	p->contiguous = p->length = frame.length;
	p->in_port = a->from.port;
	p->scope = a->scope;
	return true;
}

/* The flow, not ended, that has this packet's key. A living one comes before one that is ending: fo_adj_update() may
 * have given a flow the key of another that is on its way out. */
static struct api_flow *target(struct api *api, const struct aim *a, unsigned int *dir, bool *shared)
{
	struct api_flow *found = NULL;
	unsigned int i, d;

	for (i = 0; i < api->n_flows; i++) {
		struct api_flow *f = &api->flows[i];

		for (d = 0; d < 2 && f->life != API_ENDED; d++) {
			if (f->flow.scope != a->scope || !api_same_tuple(&f->flow.tuple[d], &a->tuple) ||
			    !api_same_ingress(&f->adj[d], &a->from))
				continue;
			*shared = found != NULL;
			if (found != NULL && (found->life < f->life || (found->life == f->life && f->dead)))
				continue;
			*dir = d;
			found = f;
		}
	}
	return found;
}

static void judge(struct api *api, const struct aim *a, const struct fo_packet *p)
{
	unsigned int dir = 0;
	bool shared = false; /* with a flow that is ending, which then may answer first */
	struct api_flow *f = target(api, a, &dir, &shared);
	bool punted = a->tuple.proto == 6 && (a->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0;
	bool must_pass = f == NULL || f->dead || f->life == API_CLOSING || punted;

	if (p->verdict == FO_FORWARD) {
		FUZZ_CHECK(!must_pass, "forwarded; flow %llx, life %d, flags %x",
			   (unsigned long long)(f != NULL ? f->id : 0), f != NULL ? (int)f->life : -1,
			   a->tcp_flags);
		FUZZ_CHECK(p->out_port == f->adj[1 - dir].port, "left by port %u", p->out_port);
		f->packets[dir]++;
		f->bytes[dir] += a->l3_bytes;
		f->last_ms[dir] = api->now_ms;
		api->forwarded_packets++;
		api->forwarded_bytes += a->l3_bytes;
		if (f->life == API_DOOMED && f->idle_only)
			f->life = API_LIVING;
		return;
	}
	FUZZ_CHECK(p->reason != FO_R_NONE && p->reason < FO_R_PACKET_MAX, "reason %u", p->reason);
	api->passed++;
	if (must_pass && f != NULL && !f->dead && (a->tcp_flags & (TCP_FIN | TCP_RST)) &&
	    a->tuple.proto == 6) {
		api_doom(f, true, API_KIND(FO_EV_CLOSED));
		return;
	}
	FUZZ_CHECK(must_pass || shared || f->life != API_LIVING, "passed on (%s); flow %llx lives",
		   fo_reason_name(p->reason), (unsigned long long)f->id);
}

void api_call_packets(struct api *api)
{
	unsigned int i, n = 1 + fuzz_pick(api->in, BURST), forwarded = 0, returned;
	struct fo_worker *worker = api->workers[fuzz_pick(api->in, API_WORKERS)];
	static struct aim aims[BURST];
	struct fo_packet packets[BURST];

	if (worker == NULL)
		return;
	for (i = 0; i < n; i++)
		if (!aim(api, &aims[i], &packets[i]))
			return;
	returned = fo_worker_run(worker, packets, n, api->now_ms);
	for (i = 0; i < n; i++) {
		judge(api, &aims[i], &packets[i]);
		forwarded += packets[i].verdict == FO_FORWARD;
	}
	FUZZ_CHECK(returned == forwarded, "returned %u, forwarded %u", returned, forwarded);
}
