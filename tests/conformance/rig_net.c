/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net.c - a kernel's router as a rig: one packet in, what became of it. See rig_net.h.
 *
 * A frame that the tap behind the short cut saw was passed on; one that it did not see and that came out took the short
 * cut. What the slow path then makes of a frame that was passed on is nobody's business here.
 * */
#include "rig_net.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Longest wait of settle() for the table's descriptor; the suite polls as often as it takes. */
#define SETTLE_MS 5

#define BURST 32u
/* Of less the kernel drops some before anybody sees it: no header, half a tag. */
#define ETHERNET_AND_IP 34u

int net_fail(struct net *net, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(net->why, sizeof(net->why), format, ap);
	va_end(ap);
	return -1;
}

uint64_t net_now_ms(void *state)
{
	const struct net *net = state;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return net->ahead_ms + (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t net_clock(void *ctx)
{
	return net_now_ms(ctx);
}

/* The kernel's own times go on as ever; those of the library are the ones that are promised. */
void net_advance(void *state, uint64_t ms)
{
	struct net *net = state;

	net->ahead_ms += ms;
}

static int ask_stats(void *arg, const struct fo_flow_info *info)
{
	struct fo_flow_counters stats;

	FO_INIT(&stats);
	(void)fo_flow_stats(arg, info->id, &stats, NULL);
	return 0;
}

void net_read_counters(struct net *net)
{
	if (net->table)
		(void)fo_flow_walk(net->table, NULL, ask_stats, net->table, NULL);
}

void net_close(void *state)
{
	struct net *net = state;

	net_router_close(net);
	net_wire_close(net);
	net_devices_close(net);
	free(net->connection);
	free(net->results);
	free(net);
}

/* The ports that devices can have; what else a case names is for the library to refuse. */
static void take_ports(struct net *net, const struct fo_table_options *options)
{
	size_t stride = options->port_stride ? options->port_stride : sizeof(struct fo_port), i;

	for (i = 0; options->ports && i < options->n_ports && net->n_ports < NET_PORTS; i++) {
		struct fo_port port;

		memcpy(&port, (const uint8_t *)options->ports + i * stride, sizeof(port));
		if (port.port > 1 && port.port < 1000)
			net->port[net->n_ports++] = port.port;
	}
}

/* Would a table of the simplest kind be possible here at all? */
static int probe(struct net *net, const struct fo_table_options *wanted)
{
	struct fo_table_options options;
	struct fo_error err = {0};
	struct fo_caps caps;

	FO_INIT(&options);
	FO_INIT(&caps);
	options.backend = net->backend;
	options.capacity = 16;
	options.ports = wanted->ports;
	options.n_ports = wanted->n_ports;
	options.port_stride = wanted->port_stride;
	options.netns_fd = net->router;
	options.flags = FO_TABLE_ALLOW_SYSCTL | wanted->flags;
	options.needs = wanted->needs;
	options.backend_options = wanted->backend_options;
	if (!fo_backend_probe(net->backend, &options, &caps, &err))
		return 0;
	net->cannot = 1;
	return net_fail(net, "%.150s", err.text);
}

static int open_with(void **state, struct fo_table_options *options, const char *backend,
		     const char *personality, int (*router)(struct net *net), char *why, size_t why_size)
{
	struct net *net = calloc(1, sizeof(*net));

	if (!net) {
		snprintf(why, why_size, "no memory");
		return -1;
	}
	net->backend = backend;
	net->hwsim = personality;
	net->home = net->router = net->wires = net->arrivals = net->tap = net->rtnetlink = net->counters = -1;
	net->rulesets = net->conntrack = -1;
	take_ports(net, options);
	net->results = calloc(BURST, sizeof(*net->results));
	if (!net->results || net_devices_open(net) || net_wire_open(net) || router(net) ||
	    probe(net, options)) {
		snprintf(why, why_size, "%s", net->why);
		/* The suite asks the backend whether it is right; of a fault of the rig's it is not asked. */
		options->backend = net->cannot ? backend : NULL;
		net_close(net);
		return -1;
	}
	options->backend = backend;
	options->netns_fd = net->router;
	options->flags |= FO_TABLE_ALLOW_SYSCTL;
	options->clock_ms = net_clock;
	options->clock_ctx = net;
	*state = net;
	return 0;
}

int net_open(void **state, struct fo_table_options *options, const char *backend, char *why, size_t why_size)
{
	return open_with(state, options, backend, NULL, net_router_open, why, why_size);
}

int net_open_hwsim(void **state, struct fo_table_options *options, const char *backend,
		   const char *personality, char *why, size_t why_size)
{
	return open_with(state, options, backend, personality, net_router_open, why, why_size);
}

int net_open_bare(void **state, struct fo_table_options *options, const char *backend, char *why,
		  size_t why_size)
{
	return open_with(state, options, backend, NULL, net_tap_open, why, why_size);
}

int net_attach(void *state, struct fo_table *table, char *why, size_t why_size)
{
	struct net *net = state;

	(void)why;
	(void)why_size;
	net->table = table;
	return 0;
}

void net_detach(void *state)
{
	struct net *net = state;

	net->table = NULL;
}

static int has_port(const struct net *net, uint32_t port)
{
	unsigned int i;

	for (i = 0; i < net->n_ports; i++)
		if (net->port[i] == port)
			return 1;
	return 0;
}

static void take_result(struct net *net, const struct rig_packet *in, struct rig_result *out,
			struct net_frame *keep)
{
	int forwarded = !net->tapped && net->n_out;

	memset(out, 0, sizeof(*out));
	out->verdict = forwarded ? FO_FORWARD : FO_PASS;
	out->frame = in->frame;
	out->length = in->length;
	out->flags = in->flags;
	out->gso_size = in->gso_size;
	out->csum_start = in->csum_start;
	out->csum_offset = in->csum_offset;
	if (forwarded) {
		out->flags = net->out.flags;
		out->gso_size = net->out.gso_size;
		out->csum_start = net->out.csum_start;
		out->csum_offset = net->out.csum_offset;
		net_frame_copy(keep, &net->out);
		out->frame = keep->bytes;
		out->length = keep->length;
		out->out_port = keep->port;
		if (net->n_out > 1)
			snprintf(out->violation, sizeof(out->violation), "one packet in, %u out", net->n_out);
	} else if (net->tapped) {
		net_frame_copy(keep, &net->seen);
		out->frame = keep->bytes;
		out->length = keep->length;
	} else if (net->rulesets < 0 && has_port(net, in->in_port) && in->length >= ETHERNET_AND_IP) {
		snprintf(out->violation, sizeof(out->violation), "lost: neither passed on nor sent");
	}
	if (net->late)
		snprintf(out->violation, sizeof(out->violation), "of an earlier packet %u more came out",
			 net->late);
}

/* Only where the slow path puts flows on the short cut. new: there may be some that never were. */
static int take_up(struct net *net, int new)
{
	if (!net->table || net->rulesets < 0 || net->instant)
		return 0;
	if (net_kernel_refreshes(net))
		return -1;
	return new || net->taken_up != net->refreshes ? net_router_take_up(net) : 0;
}

/* by_hardware: no other short cut will do. */
static int carry_one(struct net *net, const struct rig_packet *in, struct rig_result *out,
		     struct net_frame *keep, int by_hardware)
{
	unsigned long before, after;

	if (net->hwsim && !net->carried && net_hwsim_counter(net, "forwarded", &net->forwarded))
		return -1;
	before = after = net->forwarded;
	if ((has_port(net, in->in_port) && net_carry(net, in)) ||
	    (net->hwsim && net_hwsim_counter(net, "forwarded", &after)))
		return -1;
	net->forwarded = after;
	net->carried = 1;
	if (!has_port(net, in->in_port))
		net->tapped = net->n_out = 0;
	take_result(net, in, out, keep);
	if (by_hardware && out->verdict == FO_FORWARD && after != before + 1)
		snprintf(out->violation, sizeof(out->violation),
			 "it took the short cut, but not that of the hardware");
	return 0;
}

int net_inject(void *state, const struct rig_packet *in, struct rig_result *out, unsigned int n)
{
	struct net *net = state;
	unsigned int i;

	if (n > BURST)
		return -1;
	if (take_up(net, 0)) {
		fprintf(stderr, "rig: %s\n", net->why);
		return -1;
	}
	for (i = 0; i < n; i++)
		if (carry_one(net, &in[i], &out[i], &net->results[i], net->hwsim != NULL)) {
			fprintf(stderr, "rig: %s\n", net->why);
			return -1;
		}
	return 0;
}

int net_carry_through(void *state, const struct rig_packet *in, struct rig_result *out)
{
	struct net *net = state;
	struct net_frame *keep = &net->results[0];

	/* Where hardware fails, the kernel may have a short cut of its own. */
	if (carry_one(net, in, out, keep, net->instant)) {
		fprintf(stderr, "rig: %s\n", net->why);
		return -1;
	}
	if (out->verdict == FO_FORWARD)
		return 0;
	if (net->n_out > 1)
		snprintf(out->violation, sizeof(out->violation), "one packet in, %u out by the slow path",
			 net->n_out);
	net_frame_copy(keep, &net->out);
	out->frame = keep->bytes;
	out->length = net->n_out ? keep->length : 0;
	out->out_port = keep->port;
	return 0;
}

int net_prepare_side(void *state, struct fo_adj *adj, char *why, size_t why_size)
{
	struct net *net = state;
	uint32_t side;

	if (!has_port(net, adj->port) || !net_side(net, adj, &side))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	return -1;
}

static int both_sides(struct net *net, const struct fo_adj *adj, uint32_t side[2])
{
	unsigned int d;

	for (d = 0; d < 2; d++) {
		struct fo_adj copy = adj[d];

		if (net_side(net, &copy, &side[d]))
			return -1;
	}
	return 0;
}

int net_connect(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why, size_t why_size)
{
	struct net *net = state;
	uint32_t side[2];

	if (!both_sides(net, adj, side) && !net_router_connect(net, flow, side))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	return -1;
}

int net_reroute(void *state, const struct fo_flow *flow, const struct fo_adj *adj, char *why, size_t why_size)
{
	struct net *net = state;
	uint32_t side[2];

	if (!both_sides(net, adj, side) && !net_router_move(net, flow, side))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	return -1;
}

int net_set_port(void *state, const struct fo_port *port, char *why, size_t why_size)
{
	struct net *net = state;

	if (!net_port(net, port))
		return 0;
	snprintf(why, why_size, "%s", net->why);
	return -1;
}

void net_settle(void *state)
{
	struct net *net = state;
	struct pollfd fd = {.events = POLLIN};

	if (!net->table)
		return;
	if (take_up(net, 1))
		fprintf(stderr, "rig: %s\n", net->why);
	fd.fd = fo_table_fd(net->table);
	if (fd.fd >= 0)
		(void)poll(&fd, 1, fo_table_deadline(net->table) > net_now_ms(net) ? SETTLE_MS : 0);
}

uint64_t net_pass(void *state, uint64_t most_ms)
{
	struct net *net = state;
	uint64_t now = net_now_ms(net), then = fo_table_deadline(net->table);

	if (then <= now || then - now > most_ms)
		return 0;
	net_advance(net, then - now);
	return then - now;
}
