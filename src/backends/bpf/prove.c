/* SPDX-License-Identifier: BSD-2-Clause */
/* prove.c - a packet through the program, and a frame out of a device, before anybody relies on them. See guard.h.
 *
 * The program: at create, before it is attached, for each port, a flow to it from the loopback device is put into the maps
 * beside those that are there already, and a packet of it run through each program (BPF_PROG_TEST_RUN, nothing is sent): it must come out redirected, and changed as computed
 * here. The device: what native XDP redirects to one that has no room for such frames is lost without a word, so before
 * the first flow over it a frame is sent for real, to the device's own address, and the kernel's tracepoint must say
 * that the driver took it. That packets of the network reach the program is not proven: that it is attached is.
 */
#include "backends/bpf/guard.h"
#include "backends/bpf/prove.h"

#include "prove.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOPBACK 1u
/* Between two tries of a device that lost a frame. */
#define AGAIN_MS 1000u

#define FRAME_SIZE 64u
#define IP_AT	   14u
#define UDP_AT	   34u
/* Of local experiments (IEEE 802): nobody takes such a frame for his. */
#define PROBE_TYPE 0x88b5u

/* ---- the program ---- */

static const uint8_t own_mac[6] = {0x02, 0xf0, 0, 0, 0, 1}, peer_mac[6] = {0x02, 0xf0, 0, 0, 0, 2};

/* Documentation addresses (RFC 5737): client, server, and what the client is translated to. */
static const uint8_t client[4] = {192, 0, 2, 1}, server[4] = {198, 51, 100, 1}, router[4] = {203, 0, 113, 1};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t sum(const uint8_t *at, size_t size, uint32_t start)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		start += (uint32_t)at[i] << 8 | at[i + 1];
	return start;
}

static void put_checksum(uint8_t *at, uint32_t total)
{
	total = (total & 0xffff) + (total >> 16);
	total = (total & 0xffff) + (total >> 16);
	put16(at, ~total & 0xffff);
}

/* A UDP packet of the flow, before or after the router. */
static void build_packet(uint8_t *frame, const uint8_t *dst_mac, const uint8_t *src_mac, const uint8_t *src,
			 uint32_t sport, uint8_t ttl)
{
	uint8_t *ip = frame + IP_AT, *udp = frame + UDP_AT;
	uint32_t size = FRAME_SIZE - IP_AT;

	memset(frame, 0, FRAME_SIZE);
	memcpy(frame, dst_mac, 6);
	memcpy(frame + 6, src_mac, 6);
	put16(frame + 12, ETH_P_IP);
	ip[0] = 0x45;
	put16(ip + 2, size);
	ip[8] = ttl;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, server, 4);
	put_checksum(ip + 10, sum(ip, 20, 0));
	put16(udp, sport);
	put16(udp + 2, 2000);
	put16(udp + 4, size - 20);
	put_checksum(udp + 6, sum(udp, size - 20, sum(ip + 12, 8, IPPROTO_UDP + size - 20)));
}

static void build_tuple(struct fo_tuple *tuple, const uint8_t *src, uint32_t sport, const uint8_t *dst,
			uint32_t dport)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->family = FO_FAMILY_IPV4;
	tuple->proto = IPPROTO_UDP;
	memcpy(tuple->src, src, 4);
	memcpy(tuple->dst, dst, 4);
	put16((uint8_t *)&tuple->sport_be, sport);
	put16((uint8_t *)&tuple->dport_be, dport);
}

/* 0; -errno of the run; -EBADMSG: another answer, or other bytes. */
static int run_once(int program, uint32_t verdict)
{
	uint8_t in[FRAME_SIZE], out[FRAME_SIZE + 64], wanted[FRAME_SIZE];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in, .data_size_in = sizeof(in), .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);

	build_packet(in, own_mac, peer_mac, client, 1000, 64);
	build_packet(wanted, peer_mac, own_mac, router, 3000, 63);
	if (bpf_prog_test_run_opts(program, &run))
		return -errno;
	return run.retval == verdict && run.data_size_out == FRAME_SIZE && !memcmp(out, wanted, FRAME_SIZE)
		       ? 0
		       : -EBADMSG;
}

static int run_programs(struct fo__bpf *bpf)
{
	int code = run_once(bpf->program_xdp, XDP_REDIRECT);

	if (!code)
		code = run_once(bpf->program_frags, XDP_REDIRECT);
	return code ? code : run_once(bpf->program_tc, TC_ACT_REDIRECT);
}

/* There is one: the library keeps some more than the table's capacity. */
static uint32_t free_slot(const struct fo__bpf *bpf)
{
	uint32_t slot = 0;

	while (slot < bpf->n_slots && bpf->slots[slot].life != FO__BPF_FREE)
		slot++;
	return slot;
}

/* A flow from the loopback device, by which a test run comes in, to the port. */
static int prove_port(struct fo__bpf *bpf, uint32_t port)
{
	struct fo_adj adj[2];
	struct fo_flow flow;
	struct fo_backend_flow told = {.size = sizeof(told), .slot = free_slot(bpf), .flow = &flow};
	unsigned int state = FO_STATE_NONE; /* no later process takes it for a flow */
	struct fo__bpf_slot kept;
	struct fo_error why;
	int code = 0;

	if (told.slot == bpf->n_slots)
		return -ENOSPC;
	kept = bpf->slots[told.slot];
	FO_INIT(&flow);
	build_tuple(&flow.tuple[0], client, 1000, server, 2000);
	build_tuple(&flow.tuple[1], server, 2000, router, 3000);
	build_tuple(&told.out[0], router, 3000, server, 2000);
	build_tuple(&told.out[1], server, 2000, client, 1000);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj[i]);
		adj[i].port = i ? port : LOOPBACK;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, own_mac, 6);
		memcpy(adj[i].peer_mac, peer_mac, 6);
		/* No adjacency of the library's has such a number. */
		flow.adj[i] = UINT64_MAX - i;
		told.in[i] = &adj[i];
		told.to[1 - i] = &adj[i];
	}
	fo__bpf_flows_add(bpf, &told, 1, &state, &code, &why);
	if (code)
		return code;
	/* A port that is down cannot be flowed over, but it can be proven. Other sides of it stay as they are. */
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__bpf_side_mark(bpf, bpf->slots[told.slot].in[dir], FO_R_NONE);
	code = run_programs(bpf);
	fo__bpf_flow_undo(bpf, told.slot);
	/* Its last cookie is still what its next must differ from. */
	bpf->slots[told.slot] = kept;
	return code;
}

int fo__bpf_prove_program(struct fo__bpf *bpf, struct fo_error *err)
{
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++) {
		uint32_t port = bpf->devices[i].port;
		int code = port ? prove_port(bpf, port) : 0;

		if (code)
			return fo__bpf_fail(
				err, code == -ENOMEM ? code : -EIO, FO_R_BACKEND, "ports", -code,
				"a packet run through the program did not come out for port %u as "
				"computed: this kernel executes it otherwise; use backend soft",
				port);
	}
	return 0;
}

/* ---- a device ---- */

struct fo__bpf_prover {
	struct prove_bpf *program;
	int tracing; /* -1: the kernel does not tell */
};

static struct fo__bpf_prover *prover(struct fo__bpf *bpf)
{
	struct fo__bpf_prover *made;
	fo__bpf_print *before;

	if (bpf->prover)
		return bpf->prover;
	made = bpf->ops->alloc(bpf->host, sizeof(*made), 8);
	if (!made)
		return NULL;
	bpf->prover = made;
	made->tracing = -1;
	before = fo__bpf_quiet();
	made->program = prove_bpf__open();
	if (made->program && !bpf_map__reuse_fd(made->program->maps.devices, bpf->map[FO__BPF_DEVMAP]) &&
	    !prove_bpf__load(made->program))
		made->tracing = bpf_raw_tracepoint_open("xdp_devmap_xmit",
							bpf_program__fd(made->program->progs.fo_proven));
	fo__bpf_unquiet(before);
	return made;
}

void fo__bpf_prover_close(struct fo__bpf *bpf)
{
	struct fo__bpf_prover *made = bpf->prover;

	if (!made)
		return;
	if (made->tracing >= 0)
		close(made->tracing);
	prove_bpf__destroy(made->program);
	bpf->ops->free(bpf->host, made, sizeof(*made));
	bpf->prover = NULL;
}

static enum fo__bpf_proven send_probe(struct fo__bpf *bpf, uint32_t port, const uint8_t mac[6])
{
	const struct fo__bpf_prover *by = prover(bpf);
	struct fo__bpf_proof now = {.port = port};
	uint8_t frame[60] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1,
		    .batch_size = 1, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	LIBBPF_OPTS(bpf_test_run_opts, who);
	uint32_t zero = 0;
	int map;

	if (!by || by->tracing < 0)
		return FO__BPF_UNPROVEN;
	memcpy(frame, mac, 6);
	memcpy(frame + 6, mac, 6);
	put16(frame + 12, PROBE_TYPE);
	map = bpf_map__fd(by->program->maps.proof);
	if (bpf_map_update_elem(map, &zero, &now, BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(by->program->progs.fo_who), &who) ||
	    bpf_prog_test_run_opts(bpf_program__fd(by->program->progs.fo_prove), &run) ||
	    bpf_map_lookup_elem(map, &zero, &now))
		return FO__BPF_UNPROVEN;
	return now.sent ? FO__BPF_PROVEN : FO__BPF_LOSES;
}

enum fo__bpf_proven fo__bpf_prove_device(struct fo__bpf *bpf, struct fo__bpf_device *device)
{
	uint64_t now = bpf->ops->now_ms(bpf->host);
	struct fo__link link;

	if (device->proven == FO__BPF_PROVEN || (device->proven && now < device->prove_again_ms))
		return device->proven;
	device->prove_again_ms = now + AGAIN_MS;
	/* A device that is down takes nothing, which says nothing of it. */
	if (device->down || fo__link_get(&bpf->links->ask, device->port, &link))
		return FO__BPF_UNKNOWN;
	device->proven = send_probe(bpf, device->port, link.mac);
	return device->proven;
}

int fo__bpf_prove_flow(struct fo__bpf *bpf, const struct fo_backend_flow *flow, unsigned int *state,
		       struct fo_error *err)
{
	*state = FO_STATE_ACTIVE;
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__bpf_device *in = fo__bpf_device(bpf, flow->in[dir]->port);
		struct fo__bpf_device *to = fo__bpf_device(bpf, flow->to[dir]->port);
		enum fo__bpf_proven proven;

		if (!in || !to || in->hook != FO__BPF_HOOK_XDP)
			continue;
		proven = fo__bpf_prove_device(bpf, to);
		if (proven == FO__BPF_LOSES)
			return fo__bpf_fail(
				err, -EOPNOTSUPP, FO_R_UNSUPPORTED, dir ? "adj[0]" : "adj[1]", 0,
				"a frame that XDP sent out of port %u was lost: a veth's peer needs "
				"GRO (ethtool -K PEER gro on) or XDP, other drivers XDP on the "
				"device; or attach at TC",
				to->port);
		if (proven != FO__BPF_PROVEN)
			*state = FO_STATE_PARTIAL;
	}
	return 0;
}
