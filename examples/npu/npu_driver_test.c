/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_driver_test.c - the driver against the provider contract, without the library: this program is the library's side,
 * fo_backend_register() and struct fo_host_ops, and writes down what it is told.
 *
 * Here is what the conformance suite cannot provoke through a table: a device that refuses one direction, that is full,
 * that resets in the middle, that is asked to delete what it has not yet added. npu_table_test.c has the same seen from
 * the public API.
 */
#include "npu_silicon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("FAIL %s:%d %s\n", __FILE__, __LINE__, #cond);                                \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

/* What the library would have been told, of every flow together. */
struct fo_host {
	uint64_t now;
	unsigned int hardware, refused, removed, ended, closing, lost;
	struct fo_error why;
	unsigned int reason;
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t seen_ms[2];
	size_t allocated;
	bool last_words; /* of any flow; no counter may come after it */
};

static struct fo_host host;
static struct npu_device *dev;
static const struct fo_backend *backend;
static void *drv;
static struct fo_adj side[2];

int fo_backend_register(const struct fo_backend *registered, struct fo_error *err)
{
	(void)err;
	backend = registered;
	return 0;
}

static void on_state(struct fo_host *h, uint64_t cookie, unsigned int state, unsigned int reason)
{
	(void)cookie;
	CHECK(state == FO_STATE_HARDWARE && reason == FO_R_NONE);
	h->hardware++;
}

static void on_refused(struct fo_host *h, uint64_t cookie, const struct fo_error *why)
{
	(void)cookie;
	h->refused++;
	h->why = *why;
	h->last_words = true;
}

static void on_removed(struct fo_host *h, uint64_t cookie)
{
	(void)cookie;
	h->removed++;
	h->last_words = true;
}

static void on_ended(struct fo_host *h, uint64_t cookie, unsigned int reason, int backend_errno)
{
	(void)cookie;
	(void)backend_errno;
	h->ended++;
	h->reason = reason;
	h->last_words = true;
}

static void on_closing(struct fo_host *h, uint64_t cookie, unsigned int reason)
{
	h->closing++;
	h->reason = reason;
	CHECK(backend->flow_del(drv, cookie, 0, NULL) == FO_BACKEND_PENDING);
}

static void on_all_lost(struct fo_host *h, int backend_errno)
{
	(void)backend_errno;
	h->lost++;
}

static void on_count(struct fo_host *h, uint64_t cookie, enum fo_dir dir, uint64_t packets, uint64_t bytes,
		     uint64_t last_seen_ms)
{
	(void)cookie;
	CHECK(!h->last_words);
	h->packets[dir] += packets;
	h->bytes[dir] += bytes;
	h->seen_ms[dir] = last_seen_ms;
}

static uint64_t on_now(struct fo_host *h)
{
	return h->now;
}

static void *on_alloc(struct fo_host *h, size_t size, size_t align)
{
	CHECK(align <= _Alignof(max_align_t));
	h->allocated += size;
	return malloc(size);
}

static void on_free(struct fo_host *h, void *ptr, size_t size)
{
	h->allocated -= size;
	free(ptr);
}

static const struct fo_host_ops ops = {
	.size = sizeof(struct fo_host_ops),
	.state = on_state,
	.refused = on_refused,
	.removed = on_removed,
	.ended = on_ended,
	.closing = on_closing,
	.all_lost = on_all_lost,
	.count = on_count,
	.now_ms = on_now,
	.alloc = on_alloc,
	.free = on_free,
};

static uint64_t device_clock(void *ctx)
{
	(void)ctx;
	return host.now + 5000; /* the device has been up for longer */
}

static void open_driver(const struct npu_device_options *silicon)
{
	struct npu_device_options options = *silicon;
	struct npu_options own = {.size = sizeof(own)};
	struct fo_table_options table;
	struct fo_backend_config config = {.size = sizeof(config), .host = &host, .ops = &ops, .slots = 64};
	struct fo_caps caps = {.size = sizeof(caps)};

	memset(&host, 0, sizeof(host));
	host.now = 100000;
	options.clock_ms = device_clock;
	dev = npu_device_create(&options);
	CHECK(dev);
	own.device = dev;
	FO_INIT(&table);
	table.backend = "npu";
	table.backend_options = &own;
	config.options = &table;
	CHECK(backend->create(&config, &caps, &drv, NULL) == 0);
	CHECK((caps.can & FO_CAP_ASYNC_ADD) && caps.max_flows > 0);
}

static void close_driver(void)
{
	backend->destroy(drv);
	CHECK(host.allocated == 0);
	CHECK(npu_device_entries(dev) == 0);
	npu_device_destroy(dev);
}

/* The usual: the default device, but for what a test changes. */
static void open_default(void)
{
	const struct npu_device_options silicon = {.directions = 0};

	open_driver(&silicon);
}

static void make_sides(void)
{
	unsigned int d;

	for (d = 0; d < 2; d++) {
		FO_INIT(&side[d]);
		side[d].port = d + 1;
		side[d].mtu = 1500;
		memcpy(side[d].own_mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(d + 1)}, 6);
		memcpy(side[d].peer_mac, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)(d + 1)}, 6);
	}
}

/* 10.0.0.n:1 to 192.0.2.1:2, not translated. */
static int add_proto(uint32_t n, uint8_t proto)
{
	struct fo_backend_flow bf = {.size = sizeof(bf), .cookie = 100 + n, .slot = n, .timeout_ms = 30000};
	struct fo_flow flow;
	unsigned int state = FO_STATE_ACTIVE, d;

	FO_INIT(&flow);
	memcpy(flow.tuple[0].src, (uint8_t[]){10, 0, 0, (uint8_t)(n + 1)}, 4);
	memcpy(flow.tuple[0].dst, (uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(&flow.tuple[0].sport_be, "\0\1", 2);
	memcpy(&flow.tuple[0].dport_be, "\0\2", 2);
	flow.tuple[0].family = 4;
	flow.tuple[0].proto = proto;
	flow.tuple[1] = flow.tuple[0];
	memcpy(flow.tuple[1].src, flow.tuple[0].dst, 16);
	memcpy(flow.tuple[1].dst, flow.tuple[0].src, 16);
	flow.tuple[1].sport_be = flow.tuple[0].dport_be;
	flow.tuple[1].dport_be = flow.tuple[0].sport_be;
	bf.flow = &flow;
	for (d = 0; d < 2; d++) {
		flow.adj[d] = d + 1;
		bf.out[d] = flow.tuple[d];
		bf.in[d] = &side[d];
		bf.to[d] = &side[1 - d];
	}
	return backend->flow_add(drv, &bf, &state, NULL);
}

static int add(uint32_t n)
{
	return add_proto(n, 17);
}

static enum npu_trap send_packet(uint32_t n, unsigned int dir, uint8_t proto, uint8_t tcp_flags)
{
	uint8_t frame[60] = {2,	  0, 0,	   0, 0,  (uint8_t)(dir + 1),
			     2,	  0, 0,	   0, 1,  (uint8_t)(dir + 1),
			     8,	  0, 0x45, 0, 0,  40,
			     0,	  0, 0,	   0, 64, proto,
			     0,	  0, 10,   0, 0,  (uint8_t)(n + 1),
			     192, 0, 2,	   1, 0,  1,
			     0,	  2, 0,	   20};
	uint8_t sent[128];
	struct npu_output out = {.data = sent, .room = sizeof(sent)};

	if (dir == 1)
		memcpy(frame + 26, (uint8_t[]){192, 0, 2, 1, 10, 0, 0, (uint8_t)(n + 1), 0, 2, 0, 1}, 12);
	if (proto == 6) {
		frame[46] = 0x50;
		frame[47] = tcp_flags;
	}
	return npu_device_inject(dev, dir + 1, frame, sizeof(frame), &out);
}

static enum npu_trap send_udp(uint32_t n, unsigned int dir)
{
	return send_packet(n, dir, 17, 0);
}

static void settle(void)
{
	unsigned int polls = 0;

	do {
		CHECK(polls++ < 1000);
		backend->poll(drv, 0);
	} while (backend->sync(drv) == -EAGAIN);
}

static int del(uint32_t n)
{
	return backend->flow_del(drv, 100 + n, n, NULL);
}

static void both_directions_come_up_together(void)
{
	unsigned int before = 0;

	open_default();
	CHECK(add(0) == FO_BACKEND_PENDING);
	while (!host.hardware) {
		CHECK(before++ < 100);
		CHECK(send_udp(0, 0) != NPU_FORWARDED && send_udp(0, 1) != NPU_FORWARDED);
		CHECK(backend->deadline(drv) <= host.now);
		backend->poll(drv, 0);
	}
	CHECK(before > 1);
	CHECK(send_udp(0, 0) == NPU_FORWARDED && send_udp(0, 1) == NPU_FORWARDED);
	close_driver();
}

static void second_direction_refused_leaves_neither(void)
{
	unsigned int which;

	for (which = 0; which < 2; which++) {
		open_default();
		npu_device_refuse(dev, which);
		CHECK(add(0) == FO_BACKEND_PENDING);
		settle();
		CHECK(host.refused == 1 && host.hardware == 0);
		CHECK(host.why.code == -EIO && host.why.reason == FO_R_BACKEND && host.why.text[0]);
		CHECK(npu_device_entries(dev) == 0);
		CHECK(send_udp(0, 0) == NPU_TRAP_NO_ENTRY && send_udp(0, 1) == NPU_TRAP_NO_ENTRY);
		CHECK(add(0) == FO_BACKEND_PENDING);
		settle();
		CHECK(host.hardware == 1 && send_udp(0, 1) == NPU_FORWARDED);
		close_driver();
	}
}

static void full_and_collision_are_told_apart(void)
{
	const struct npu_device_options silicon = {.directions = 40, .ways = 1, .buckets = 32};
	uint32_t n;

	open_driver(&silicon);
	for (n = 0; n < 20; n++)
		CHECK(add(n) == FO_BACKEND_PENDING);
	CHECK(add(20) == -ENOSPC);
	settle();
	CHECK(host.refused > 0 && host.refused + host.hardware == 20);
	CHECK(host.why.code == -ENOSPC && host.why.reason == FO_R_COLLISION);
	CHECK(npu_device_entries(dev) == 2 * host.hardware);
	close_driver();
}

static void pending_add_deleted_never_forwards(void)
{
	unsigned int polls;

	for (polls = 0; polls < 4; polls++) {
		unsigned int i;

		open_default();
		CHECK(add(0) == FO_BACKEND_PENDING);
		for (i = 0; i < polls; i++)
			backend->poll(drv, 0);
		if (del(0) == FO_BACKEND_PENDING)
			CHECK(host.removed == 0);
		else
			CHECK(polls == 0);
		for (i = 0; i < 20; i++) {
			CHECK(send_udp(0, 0) != NPU_FORWARDED && send_udp(0, 1) != NPU_FORWARDED);
			backend->poll(drv, 0);
		}
		CHECK(host.removed == (polls ? 1u : 0u) && npu_device_entries(dev) == 0);
		close_driver();
	}
}

static void delete_reports_the_last_counters_first(void)
{
	open_default();
	CHECK(add(0) == FO_BACKEND_PENDING);
	settle();
	CHECK(send_udp(0, 0) == NPU_FORWARDED && send_udp(0, 0) == NPU_FORWARDED &&
	      send_udp(0, 1) == NPU_FORWARDED);
	host.now += 50;
	CHECK(del(0) == FO_BACKEND_PENDING);
	CHECK(host.packets[0] == 2 && host.bytes[0] == 80 && host.packets[1] == 1 && host.bytes[1] == 40);
	CHECK(host.seen_ms[0] == host.now - 50);
	CHECK(send_udp(0, 0) == NPU_TRAP_STOPPED);
	settle();
	CHECK(host.removed == 1 && npu_device_entries(dev) == 0);
	close_driver();
}

static void narrow_counters_add_up(void)
{
	const struct npu_device_options silicon = {.counter_bits = 8};
	unsigned int i;

	open_driver(&silicon);
	CHECK(add(0) == FO_BACKEND_PENDING);
	settle();
	for (i = 0; i < 500; i++) {
		CHECK(send_udp(0, 0) == NPU_FORWARDED);
		if (i % 4 == 3)
			backend->poll(drv, 0);
	}
	CHECK(del(0) == FO_BACKEND_PENDING);
	CHECK(host.packets[0] == 500 && host.bytes[0] == 20000);
	close_driver();
}

static void one_busy_direction_keeps_both(void)
{
	unsigned int i;

	open_default();
	CHECK(add(0) == FO_BACKEND_PENDING);
	settle();
	for (i = 0; i < 5; i++) {
		host.now += 20000;
		CHECK(send_udp(0, 0) == NPU_FORWARDED);
		settle();
	}
	host.now += 29999;
	settle();
	CHECK(host.ended == 0);
	host.now++;
	settle();
	CHECK(host.ended == 1 && host.reason == FO_R_IDLE && host.packets[0] == 5);
	CHECK(npu_device_entries(dev) == 0);
	close_driver();
}

static void reset_is_told_and_survived(void)
{
	open_default();
	CHECK(add(0) == FO_BACKEND_PENDING);
	settle();
	CHECK(add(1) == FO_BACKEND_PENDING);
	CHECK(del(0) == FO_BACKEND_PENDING);
	npu_device_reset(dev);
	CHECK(backend->sync(drv) == -EAGAIN);
	CHECK(add(2) == -EIO);
	CHECK(del(1) == 0);
	settle();
	CHECK(host.lost == 1 && host.removed == 0);
	CHECK(add(2) == FO_BACKEND_PENDING);
	settle();
	CHECK(host.hardware == 2 && send_udp(2, 0) == NPU_FORWARDED);
	close_driver();
}

static void fin_stops_both_in_the_device_and_is_told(void)
{
	open_default();
	CHECK(add_proto(0, 6) == FO_BACKEND_PENDING);
	settle();
	CHECK(send_packet(0, 1, 6, 0x10) == NPU_FORWARDED);
	CHECK(send_packet(0, 0, 6, 0x11) == NPU_TRAP_FIN);
	CHECK(send_packet(0, 1, 6, 0x10) == NPU_TRAP_STOPPED);
	settle();
	CHECK(host.closing == 1 && host.reason == FO_R_TCP_FIN && host.removed == 1 && host.packets[1] == 1);
	close_driver();
}

static void options_of_others_are_refused(void)
{
	struct npu_options own = {.size = sizeof(own)};
	struct fo_table_options table;
	struct fo_error err = {0};

	FO_INIT(&table);
	CHECK(backend->probe(NULL, NULL, &err) == -ENODEV && err.text[0]);
	table.backend = "auto";
	table.backend_options = &own;
	CHECK(backend->probe(&table, NULL, &err) == -ENODEV);
	table.backend = "npu";
	CHECK(backend->probe(&table, NULL, &err) == -ENODEV);
}

int main(void)
{
	CHECK(npu_register(NULL) == 0 && backend);
	make_sides();
	both_directions_come_up_together();
	second_direction_refused_leaves_neither();
	full_and_collision_are_told_apart();
	pending_add_deleted_never_forwards();
	delete_reports_the_last_counters_first();
	narrow_counters_add_up();
	one_busy_direction_keeps_both();
	reset_is_told_and_survived();
	fin_stops_both_in_the_device_and_is_told();
	options_of_others_are_refused();
	printf("ok: 10 tests of the driver\n");
	return 0;
}
