/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_table_test.c - what a daemon sees of an asynchronous device, through the public API: refusals, collisions, resets.
 *
 * The conformance suite says that the backend keeps the contract; here is what only a device that can refuse and forget
 * does. Neighbours: npu_driver_test.c has the same from below.
 */
#include "npu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("FAIL %s:%d %s (%s)\n", __FILE__, __LINE__, #cond, last_error.text);          \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

#define MOST_EVENTS 128u
#define TIMEOUT_MS  5000u

static struct fo_error last_error;
static struct npu_device *dev;
static uint64_t now_ms;
static struct fo_table *table;
static fo_adj_id side[2];
static struct fo_event events[MOST_EVENTS];
static unsigned int n_events;

static uint64_t test_clock(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static void keep(void *arg, const struct fo_event *event)
{
	(void)arg;
	CHECK(n_events < MOST_EVENTS);
	events[n_events++] = *event;
}

static void fill_side(struct fo_adj *adj, uint32_t port)
{
	FO_INIT(adj);
	adj->port = port;
	adj->mtu = 1500;
	memcpy(adj->own_mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)port}, 6);
	memcpy(adj->peer_mac, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)port}, 6);
}

static int create(struct fo_table **out)
{
	struct npu_options own = {.size = sizeof(own), .device = dev};
	struct fo_table_options options;
	struct fo_port ports[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	FO_INIT(&options);
	options.backend = "npu";
	options.backend_options = &own;
	options.capacity = 64;
	options.ports = ports;
	options.n_ports = 2;
	options.clock_ms = test_clock;
	return fo_table_create(&options, out, &last_error);
}

static void open_table(const struct npu_device_options *silicon)
{
	struct npu_device_options options = {0};
	struct fo_adj adj;
	unsigned int i;

	if (silicon)
		options = *silicon;
	options.clock_ms = test_clock;
	now_ms = 1000000;
	n_events = 0;
	dev = npu_device_create(&options);
	CHECK(dev);
	CHECK(create(&table) == 0);
	for (i = 0; i < 2; i++) {
		fill_side(&adj, i + 1);
		CHECK(fo_adj_add(table, &adj, &side[i], &last_error) == 0);
	}
}

static void close_table(void)
{
	fo_table_destroy(table);
	CHECK(npu_device_entries(dev) == 0);
	npu_device_destroy(dev);
}

/* 10.0.0.n to 192.0.2.1, UDP, untranslated. */
static int add(uint8_t n, fo_flow_id *id)
{
	struct fo_flow flow;
	unsigned int d;

	FO_INIT(&flow);
	for (d = 0; d < 2; d++) {
		memcpy(d ? flow.tuple[d].dst : flow.tuple[d].src, (uint8_t[]){10, 0, 0, (uint8_t)(n + 1)}, 4);
		memcpy(d ? flow.tuple[d].src : flow.tuple[d].dst, (uint8_t[]){192, 0, 2, 1}, 4);
		memcpy(d ? &flow.tuple[d].dport_be : &flow.tuple[d].sport_be, "\x20\x01", 2);
		memcpy(d ? &flow.tuple[d].sport_be : &flow.tuple[d].dport_be, "\x20\x02", 2);
		flow.tuple[d].family = FO_FAMILY_IPV4;
		flow.tuple[d].proto = 17;
		flow.adj[d] = side[d];
	}
	flow.user = n;
	flow.timeout_ms = TIMEOUT_MS;
	return fo_flow_add(table, &flow, id, &last_error);
}

static enum npu_trap send_dir(uint8_t n, unsigned int dir)
{
	uint8_t frame[60] = {2,	   0, 0,    0, 0,    (uint8_t)(dir + 1),
			     2,	   0, 0,    0, 1,    (uint8_t)(dir + 1),
			     8,	   0, 0x45, 0, 0,    40,
			     0,	   0, 0,    0, 64,   17,
			     0,	   0, 10,   0, 0,    (uint8_t)(n + 1),
			     192,  0, 2,    1, 0x20, 1,
			     0x20, 2, 0,    20};
	uint8_t sent[128];
	struct npu_output out = {.data = sent, .room = sizeof(sent)};

	if (dir == FO_REPLY)
		memcpy(frame + 26, (uint8_t[]){192, 0, 2, 1, 10, 0, 0, (uint8_t)(n + 1), 0x20, 2, 0x20, 1},
		       12);
	return npu_device_inject(dev, dir + 1, frame, sizeof(frame), &out);
}

static enum npu_trap send_packet(uint8_t n)
{
	return send_dir(n, FO_ORIGINAL);
}

static unsigned int state_of(fo_flow_id id)
{
	struct fo_flow_info info;

	FO_INIT(&info);
	return fo_flow_get(table, id, &info, &last_error) ? FO_STATE_NONE : info.state;
}

/* Poll until the device has nothing to do and the table has said all. */
static void settle(void)
{
	unsigned int quiet = 0, polls = 0;

	while (quiet < 8) {
		unsigned int before = n_events;

		CHECK(polls++ < 10000);
		CHECK(fo_table_poll(table, 0, 0, keep, NULL, &last_error) >= 0);
		quiet = n_events == before ? quiet + 1 : 0;
	}
}

static const struct fo_event *event_of(fo_flow_id id, unsigned int kind)
{
	unsigned int i;

	for (i = 0; i < n_events; i++)
		if (events[i].flow == id && events[i].kind == kind)
			return &events[i];
	return NULL;
}

static unsigned int count_events(unsigned int kind)
{
	unsigned int n = 0, i;

	for (i = 0; i < n_events; i++)
		n += events[i].kind == kind;
	return n;
}

static void add_is_armed_until_the_device_says_so(void)
{
	fo_flow_id id;

	open_table(NULL);
	CHECK(add(0, &id) == 0);
	CHECK(state_of(id) == FO_STATE_ARMED && send_packet(0) != NPU_FORWARDED);
	settle();
	CHECK(state_of(id) == FO_STATE_HARDWARE && send_packet(0) == NPU_FORWARDED);
	CHECK(event_of(id, FO_EV_STATE) && event_of(id, FO_EV_STATE)->state == FO_STATE_HARDWARE);
	close_table();
}

static void refused_direction_ends_the_flow_with_the_devices_words(void)
{
	struct fo_explanation why;
	const struct fo_event *event;
	fo_flow_id id, again;

	open_table(NULL);
	npu_device_refuse(dev, 1);
	CHECK(add(0, &id) == 0);
	settle();
	event = event_of(id, FO_EV_REFUSED);
	CHECK(event && event->user == 0 && event->reason == FO_R_BACKEND && event->backend_errno == EIO);
	CHECK(npu_device_entries(dev) == 0 && state_of(id) == FO_STATE_NONE);
	FO_INIT(&why);
	CHECK(fo_flow_explain(table, id, NULL, &why, &last_error) == 0);
	CHECK(why.state == FO_STATE_NONE && strstr(why.text, "reply direction"));
	CHECK(add(0, &again) == 0 && again != id);
	settle();
	CHECK(state_of(again) == FO_STATE_HARDWARE);
	close_table();
}

static void collision_is_not_full(void)
{
	const struct npu_device_options silicon = {.directions = 64, .ways = 1, .buckets = 1};
	const struct fo_event *event;
	fo_flow_id id;

	open_table(&silicon);
	CHECK(add(0, &id) == 0);
	settle();
	event = event_of(id, FO_EV_REFUSED);
	CHECK(event && event->reason == FO_R_COLLISION);
	CHECK(npu_device_entries(dev) == 0);
	close_table();
}

static void small_device_fills_and_keeps_what_it_has(void)
{
	const struct npu_device_options silicon = {.directions = 16, .ways = 16, .buckets = 16};
	fo_flow_id id[9];
	uint8_t n;

	open_table(&silicon);
	for (n = 0; n < 8; n++)
		CHECK(add(n, &id[n]) == 0);
	CHECK(add(8, &id[8]) == -ENOSPC && last_error.reason == FO_R_FULL);
	settle();
	for (n = 0; n < 8; n++)
		CHECK(state_of(id[n]) == FO_STATE_HARDWARE && send_packet(n) == NPU_FORWARDED);
	CHECK(fo_flow_del(table, id[3], NULL, &last_error) == 0);
	settle();
	CHECK(add(8, &id[8]) == 0);
	settle();
	CHECK(send_packet(8) == NPU_FORWARDED && send_packet(3) == NPU_TRAP_NO_ENTRY);
	close_table();
}

static void reset_ends_every_flow_once(void)
{
	fo_flow_id id[6];
	uint8_t n;

	open_table(NULL);
	for (n = 0; n < 5; n++)
		CHECK(add(n, &id[n]) == 0);
	settle();
	CHECK(send_packet(0) == NPU_FORWARDED);
	n_events = 0;
	CHECK(add(5, &id[5]) == 0); /* not yet in the device */
	npu_device_reset(dev);
	settle();
	CHECK(count_events(FO_EV_LOST) == 6 && n_events == 6);
	for (n = 0; n < 6; n++)
		CHECK(event_of(id[n], FO_EV_LOST) && state_of(id[n]) == FO_STATE_NONE);
	CHECK(add(0, &id[0]) == 0);
	settle();
	CHECK(state_of(id[0]) == FO_STATE_HARDWARE && send_packet(0) == NPU_FORWARDED);
	close_table();
}

static void armed_flow_deleted_is_never_heard_of_again(void)
{
	fo_flow_id id;

	open_table(NULL);
	CHECK(add(0, &id) == 0);
	CHECK(fo_table_poll(table, 0, 0, keep, NULL, &last_error) >= 0);
	CHECK(fo_flow_del(table, id, NULL, &last_error) == 0);
	settle();
	CHECK(event_of(id, FO_EV_DELETED) && count_events(FO_EV_STATE) == 0);
	CHECK(npu_device_entries(dev) == 0 && send_packet(0) == NPU_TRAP_NO_ENTRY);
	close_table();
}

static void narrow_counters_add_up_in_stats(void)
{
	const struct npu_device_options silicon = {.counter_bits = 8};
	struct fo_flow_counters counters;
	unsigned int i;
	fo_flow_id id;

	open_table(&silicon);
	CHECK(add(0, &id) == 0);
	settle();
	FO_INIT(&counters);
	for (i = 0; i < 300; i++) {
		CHECK(send_packet(0) == NPU_FORWARDED);
		if (i % 3 == 2)
			CHECK(fo_flow_stats(table, id, &counters, &last_error) == 0);
	}
	CHECK(counters.packets[0] == 300 && counters.bytes[0] == 12000 && counters.packets[1] == 0);
	close_table();
}

/* The driver collects counters now and then; what the device saw in between counts all the same. */
static void packet_since_the_last_sweep_keeps_the_flow(void)
{
	fo_flow_id id;

	open_table(NULL);
	CHECK(add(0, &id) == 0);
	settle();
	now_ms += TIMEOUT_MS - 50;
	settle();
	now_ms += 10;
	CHECK(send_dir(0, FO_ORIGINAL) == NPU_FORWARDED && send_dir(0, FO_REPLY) == NPU_FORWARDED);
	now_ms += 40;
	settle();
	CHECK(state_of(id) == FO_STATE_HARDWARE && send_packet(0) == NPU_FORWARDED);
	now_ms += TIMEOUT_MS + 1000;
	settle();
	CHECK(event_of(id, FO_EV_EXPIRED) && event_of(id, FO_EV_EXPIRED)->counters.packets[0] == 2);
	close_table();
}

static void what_the_silicon_cannot_do_is_refused(void)
{
	struct fo_worker *worker = NULL;
	struct fo_table *second = NULL;
	struct fo_adj adj;
	fo_adj_id id;

	open_table(NULL);
	CHECK(create(&second) == -EBUSY && !second);
	CHECK(fo_worker_open(table, NULL, &worker, &last_error) == -EOPNOTSUPP && !worker);
	fill_side(&adj, 1);
	adj.n_encaps = 2;
	adj.encap[0].kind = FO_ENCAP_8021AD;
	adj.encap[0].id = 5;
	adj.encap[1].kind = FO_ENCAP_8021Q;
	adj.encap[1].id = 6;
	CHECK(fo_adj_add(table, &adj, &id, &last_error) == -EOPNOTSUPP && last_error.text[0]);
	adj.encap[1].kind = FO_ENCAP_PPPOE;
	CHECK(fo_adj_add(table, &adj, &id, &last_error) == 0);
	close_table();
}

int main(void)
{
	CHECK(npu_register(&last_error) == 0);
	CHECK(npu_register(&last_error) == -EEXIST);
	add_is_armed_until_the_device_says_so();
	refused_direction_ends_the_flow_with_the_devices_words();
	collision_is_not_full();
	small_device_fills_and_keeps_what_it_has();
	reset_ends_every_flow_once();
	armed_flow_deleted_is_never_heard_of_again();
	narrow_counters_add_up_in_stats();
	packet_since_the_last_sweep_keeps_the_flow();
	what_the_silicon_cannot_do_is_refused();
	printf("ok: 9 tests of a table on the device\n");
	return 0;
}
