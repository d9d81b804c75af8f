/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle_library.c - the library's side of the second oracle: the soft backend and one worker.
 * Interface and neighbours: nat_oracle.h. */
#include "nat_oracle.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define HEADROOM 64u

static int failed(const char *what, int code, const struct fo_error *err)
{
	fprintf(stderr, "nat-oracle: %s: %d, %s (%s)\n", what, code, err->text, err->field);
	return code;
}

static int add_side(struct oracle_library *lib, enum oracle_side side, struct fo_error *err)
{
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = side + 1u;
	memcpy(adj.own_mac, oracle_router_mac[side], 6);
	memcpy(adj.peer_mac, oracle_host_mac[side], 6);
	adj.mtu = ORACLE_MTU;
	return fo_adj_add(lib->table, &adj, &lib->adj[side], err);
}

int oracle_library_open(struct oracle_library *lib)
{
	struct fo_table_options opts;
	struct fo_port ports[2];
	struct fo_error err;
	int ret;
	int i;

	memset(lib, 0, sizeof(*lib));
	memset(&err, 0, sizeof(err));
	FO_INIT(&opts);
	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = (uint32_t)i + 1;
	}
	opts.backend = "soft";
	opts.capacity = 16;
	opts.max_workers = 1;
	opts.ports = ports;
	opts.n_ports = 2;
	ret = fo_table_create(&opts, &lib->table, &err);
	if (ret != 0)
		return failed("fo_table_create", ret, &err);
	ret = fo_worker_open(lib->table, NULL, &lib->worker, &err);
	if (ret == 0)
		ret = add_side(lib, SIDE_LAN, &err);
	if (ret == 0)
		ret = add_side(lib, SIDE_WAN, &err);
	if (ret != 0) {
		failed("fo_worker_open, fo_adj_add", ret, &err);
		oracle_library_close(lib);
	}
	return ret;
}

void oracle_library_close(struct oracle_library *lib)
{
	fo_worker_close(lib->worker);
	fo_table_destroy(lib->table);
}

/* Which ends are translated, as a daemon reads it off conntrack. */
static uint32_t nat_of(const struct oracle_flow *flow)
{
	const struct fo_tuple *there = &flow->tuple[FO_ORIGINAL], *back = &flow->tuple[FO_REPLY];
	int ported = there->proto == 6 || there->proto == 17;
	uint16_t src_be = ported ? back->dport_be : back->sport_be; /* ICMP: the identifier is the source's */
	uint32_t nat = 0;

	if (memcmp(there->src, back->dst, 16) != 0 || there->sport_be != src_be)
		nat |= FO_NAT_SRC;
	if (memcmp(there->dst, back->src, 16) != 0 || (ported && there->dport_be != back->sport_be))
		nat |= FO_NAT_DST;
	return nat ? nat : FO_NAT_NONE;
}

int oracle_library_add(struct oracle_library *lib, const struct oracle_flow *oracle)
{
	struct fo_flow flow;
	struct fo_error err;
	int ret;
	int dir;

	FO_INIT(&flow);
	for (dir = 0; dir < 2; dir++) {
		flow.tuple[dir] = oracle->tuple[dir];
		flow.adj[dir] = lib->adj[oracle->side[dir]];
		flow.dscp[dir] = oracle->dscp[dir];
	}
	flow.nat = nat_of(oracle);
	ret = fo_flow_add(lib->table, &flow, &lib->flow, &err);
	return ret == 0 ? 0 : failed("fo_flow_add", ret, &err);
}

int oracle_library_del(struct oracle_library *lib, struct fo_flow_counters *last)
{
	struct fo_error err;
	int ret;

	FO_INIT(last);
	ret = fo_flow_del(lib->table, lib->flow, last, &err);
	if (ret != 0)
		return failed("fo_flow_del", ret, &err);
	if (!(last->flags & FO_STATS_FINAL)) {
		fprintf(stderr, "nat-oracle: a deleted flow without traffic has no final counters\n");
		return -EBUSY;
	}
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

int oracle_library_forward(struct oracle_library *lib, enum oracle_side in, const uint8_t *frame,
			   size_t length, uint8_t *out, size_t size, enum oracle_side *out_side,
			   struct oracle_meta *meta)
{
	static uint8_t buffer[HEADROOM + ORACLE_FRAME_MAX];
	struct fo_packet packet;

	if (length > ORACLE_FRAME_MAX)
		return -FO_R_MTU;
	memset(&packet, 0, sizeof(packet));
	memcpy(buffer + HEADROOM, frame, length);
	packet.data = buffer + HEADROOM;
	packet.contiguous = (uint32_t)length;
	packet.length = (uint32_t)length;
	packet.headroom = HEADROOM;
	packet.in_port = in + 1u;
	packet.flags = (meta->partial ? FO_PKT_CSUM_PARTIAL : 0) | (meta->gso_size ? FO_PKT_GSO : 0);
	packet.gso_size = meta->gso_size;
	packet.csum_start = meta->csum_start;
	packet.csum_offset = meta->csum_offset;
	if (fo_worker_run(lib->worker, &packet, 1, now_ms()) != 1 || packet.verdict != FO_FORWARD)
		return -(int)packet.reason;
	if (packet.length > size || packet.length > packet.contiguous)
		return -FO_R_MALFORMED;
	memcpy(out, packet.data, packet.length);
	memset(meta, 0, sizeof(*meta));
	if (packet.flags & FO_PKT_GSO)
		meta->gso_size = packet.gso_size;
	if (packet.flags & FO_PKT_CSUM_PARTIAL) {
		meta->partial = 1;
		meta->csum_start = packet.csum_start;
		meta->csum_offset = packet.csum_offset;
	}
	*out_side = packet.out_port == 1 ? SIDE_LAN : SIDE_WAN;
	return (int)packet.length;
}
