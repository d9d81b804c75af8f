/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_npu.c - the rig of the example backend: frames go into the ports of a device that does not exist
 * (examples/npu), and one of its known faults can be seeded (faults.c).
 */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "npu.h"
#include "packet.h"
#include "rig.h"

#define SLOTS	   32u
#define MOST_FLOWS 512u
#define OUT_ROOM   (PACKET_MAX + 64u)

struct npu {
	uint64_t now_ms;
	struct npu_device *device;
	struct npu_options options;
	uint8_t *in[SLOTS];
	uint8_t *out[SLOTS];
};

static unsigned int seeded;

void rig_npu_seed(unsigned int fault)
{
	seeded = fault;
}

static uint64_t npu_clock_ms(void *ctx)
{
	return ((struct npu *)ctx)->now_ms;
}

static void npu_close(void *state)
{
	struct npu *npu = state;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		free(npu->in[i]);
		free(npu->out[i]);
	}
	npu_device_destroy(npu->device);
	free(npu);
}

static int give_up(struct npu *npu, const char *reason, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s", reason);
	if (npu)
		npu_close(npu);
	return -1;
}

/* Once in a process. */
static int register_driver(void)
{
	static int registered;

	if (!registered)
		registered = npu_register(NULL) == 0;
	return registered ? 0 : -1;
}

/* Room for the connections of the table, and eight ways at a mean of one: no two cases collide by chance. */
static struct npu_device *make_device(struct npu *npu, uint32_t capacity)
{
	struct npu_device_options options = {
		.ways = 8, .buckets = 1, .interfaces = 256, .commands_per_tick = 16};

	options.directions = 2 * (capacity < MOST_FLOWS ? capacity : MOST_FLOWS);
	while (options.buckets < options.directions)
		options.buckets *= 2;
	options.clock_ms = npu_clock_ms;
	options.clock_ctx = npu;
	return npu_device_create(&options);
}

static int npu_open(void **state, struct fo_table_options *options, char *why, size_t why_size)
{
	struct npu *npu = calloc(1, sizeof(*npu));
	unsigned int i;

	if (!npu)
		return give_up(NULL, "no memory", why, why_size);
	for (i = 0; i < SLOTS; i++) {
		npu->in[i] = malloc(PACKET_MAX);
		npu->out[i] = malloc(OUT_ROOM);
		if (!npu->in[i] || !npu->out[i])
			return give_up(npu, "no memory", why, why_size);
	}
	npu->now_ms = 1000000;
	npu->device = make_device(npu, options->capacity ? options->capacity : 1);
	if (!npu->device || register_driver())
		return give_up(npu, "no device", why, why_size);
	npu_device_fault(npu->device, (enum npu_fault)seeded);
	npu->options.size = sizeof(npu->options);
	npu->options.device = npu->device;
	options->backend = "npu";
	options->backend_options = &npu->options;
	options->clock_ms = npu_clock_ms;
	options->clock_ctx = npu;
	*state = npu;
	return 0;
}

static int npu_attach_table(void *state, struct fo_table *table, char *why, size_t why_size)
{
	(void)state;
	(void)table;
	(void)why;
	(void)why_size;
	return 0;
}

static void npu_detach_table(void *state)
{
	(void)state;
}

/* What the trap of the device is called by the library. */
static uint8_t reason_of(enum npu_trap trap)
{
	static const uint8_t reasons[NPU_TRAP_COUNT] = {
		[NPU_FORWARDED] = FO_R_NONE,
		[NPU_TRAP_NO_ENTRY] = FO_R_NO_FLOW,
		[NPU_TRAP_NOT_IP] = FO_R_NOT_IP,
		[NPU_TRAP_MALFORMED] = FO_R_MALFORMED,
		[NPU_TRAP_FRAGMENT] = FO_R_FRAGMENT,
		[NPU_TRAP_OPTIONS] = FO_R_IP_OPTIONS,
		[NPU_TRAP_EXT_HEADER] = FO_R_EXT_HEADER,
		[NPU_TRAP_TTL] = FO_R_TTL,
		[NPU_TRAP_MTU] = FO_R_MTU,
		[NPU_TRAP_PROTOCOL] = FO_R_PROTOCOL,
		[NPU_TRAP_ICMP_TYPE] = FO_R_ICMP_TYPE,
		[NPU_TRAP_SYN] = FO_R_TCP_SYN,
		[NPU_TRAP_FIN] = FO_R_TCP_FIN,
		[NPU_TRAP_RST] = FO_R_TCP_RST,
		[NPU_TRAP_INGRESS] = FO_R_WRONG_INGRESS,
		[NPU_TRAP_MAC] = FO_R_WRONG_MAC,
		[NPU_TRAP_STOPPED] = FO_R_CLOSING,
		[NPU_TRAP_LINK] = FO_R_EGRESS_DOWN,
		[NPU_TRAP_ENCAP] = FO_R_ENCAP,
		[NPU_TRAP_ROOM] = FO_R_NO_HEADROOM,
	};

	return reasons[trap];
}

static int npu_inject(void *state, const struct rig_packet *in, struct rig_result *out, unsigned int n)
{
	struct npu *npu = state;
	unsigned int i;

	if (n > SLOTS)
		return -1;
	for (i = 0; i < n; i++) {
		struct npu_output sent = {.data = npu->out[i], .room = OUT_ROOM};
		enum npu_trap trap;

		if (in[i].length > PACKET_MAX)
			return -1;
		memcpy(npu->in[i], in[i].frame, in[i].length);
		trap = npu_device_inject(npu->device, in[i].in_port, npu->in[i], in[i].length, &sent);
		memset(&out[i], 0, sizeof(out[i]));
		out[i].verdict = trap == NPU_FORWARDED ? FO_FORWARD : FO_PASS;
		out[i].reason = reason_of(trap);
		out[i].frame = trap == NPU_FORWARDED ? sent.data : npu->in[i];
		out[i].length = trap == NPU_FORWARDED ? (uint32_t)sent.length : in[i].length;
		out[i].out_port = trap == NPU_FORWARDED ? sent.port : 0;
	}
	return 0;
}

static void npu_advance(void *state, uint64_t ms)
{
	((struct npu *)state)->now_ms += ms;
}

static uint64_t npu_now(void *state)
{
	return ((struct npu *)state)->now_ms;
}

static int npu_reset(void *state)
{
	npu_device_reset(((struct npu *)state)->device);
	return 0;
}

/* What the device of the example is meant to do; the rest it refuses. */
const struct rig rig_npu = {
	.name = "npu",
	.about = "the example backend, an asynchronous network processor that does not exist",
	.must_have = FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |
		     FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD |
		     FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE |
		     FO_CAP_HARDWARE | FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC |
		     FO_CAP_CRASH_GONE | FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST |
		     FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_ASYNC_ADD | FO_CAP_CALLER_NEIGH,
	.features = RIG_REASONS | RIG_BURSTS | RIG_CLOCK | RIG_ALLOC | RIG_PRIORITY | RIG_OVERSIZE,
	.most_flows = MOST_FLOWS,
	.open = npu_open,
	.attach = npu_attach_table,
	.detach = npu_detach_table,
	.close = npu_close,
	.inject = npu_inject,
	.advance = npu_advance,
	.now_ms = npu_now,
	.reset = npu_reset,
};
