/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_device_test.c - the silicon by itself, no library: ring, buckets, counters, notices, one packet byte by byte.
 *
 * The packet path as a whole is what the conformance suite is about; here is what it cannot see from outside.
 * Neighbours: npu_silicon.h is what is tested.
 */
#include "npu_silicon.h"

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

static uint64_t clock_now = 1000;

static uint64_t test_clock(void *ctx)
{
	(void)ctx;
	return clock_now;
}

/* UDP 10.0.0.2:4096 to 192.0.2.9:53, four bytes of payload, in a padded frame. Checksums by hand. */
static const uint8_t dns_frame[60] = {
	0x02, 0,    0,	  0,	0,    0x01, 0x02, 0,	0,    0,    0,	 0x11, 0x08, 0x00, 0x45, 0x00,
	0x00, 0x20, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x5c, 0x8e, 10,	 0,    0,    2,	   192,	 0,
	2,    9,    0x10, 0x00, 0x00, 0x35, 0x00, 0x0c, 0x5e, 0xcf, 'a', 'b',  'c',  'd',
};

/* The same as 198.51.100.7:8192, TTL 63, in VLAN 5 and PPPoE session 7: 32 bytes of IP, so a PPPoE length of 34. */
static const uint8_t dns_sent[58] = {
	0x02, 0,    0,	  0,	0,    0x22, 0x02, 0,	0,    0,    0,	  0x02, 0x81, 0x00, 0x60,
	0x05, 0x88, 0x64, 0x11, 0x00, 0x00, 0x07, 0x00, 0x22, 0x00, 0x21, 0x45, 0x00, 0x00, 0x20,
	0x12, 0x34, 0x40, 0x00, 0x3f, 0x11, 0x3d, 0x55, 198,  51,   100,  7,	192,  0,    2,
	9,    0x20, 0x00, 0x00, 0x35, 0x00, 0x0c, 0x2e, 0x96, 'a',  'b',  'c',	'd',
};

static struct npu_device *device(uint32_t directions, uint32_t ways, uint32_t counter_bits)
{
	struct npu_device_options options;
	struct npu_device *dev;

	memset(&options, 0, sizeof(options));
	options.directions = directions;
	options.ways = ways;
	options.counter_bits = counter_bits;
	options.clock_ms = test_clock;
	dev = npu_device_create(&options);
	CHECK(dev);
	CHECK(npu_attach(dev));
	CHECK(!npu_attach(dev));
	return dev;
}

static void add_interfaces(struct npu_device *dev)
{
	const struct npu_interface lan = {.port = 1,
					  .mtu = 1500,
					  .own_mac = {2, 0, 0, 0, 0, 1},
					  .peer_mac = {2, 0, 0, 0, 0, 0x11},
					  .up = true};
	const struct npu_interface wan = {.port = 2,
					  .mtu = 1492,
					  .own_mac = {2, 0, 0, 0, 0, 2},
					  .peer_mac = {2, 0, 0, 0, 0, 0x22},
					  .n_tags = 2,
					  .tag = {{0x8100, 5, 0x6000}, {0x8864, 7, 0}},
					  .up = true};

	npu_write_interface(dev, 0, &lan);
	npu_write_interface(dev, 1, &wan);
}

static struct npu_rule dns_rule(void)
{
	struct npu_rule rule;

	memset(&rule, 0, sizeof(rule));
	memcpy(rule.match.src, dns_frame + 26, 4);
	memcpy(rule.match.dst, dns_frame + 30, 4);
	memcpy(&rule.match.sport_be, dns_frame + 34, 2);
	memcpy(&rule.match.dport_be, dns_frame + 36, 2);
	rule.match.family = 4;
	rule.match.proto = 17;
	rule.out = rule.match;
	memcpy(rule.out.src, dns_sent + 38, 4);
	memcpy(&rule.out.sport_be, dns_sent + 46, 2);
	rule.to = 1;
	rule.timeout_ms = 30000;
	rule.seen_ms = clock_now;
	return rule;
}

static struct npu_command insertion(const struct npu_rule *rule, uint64_t cookie)
{
	struct npu_command command;

	memset(&command, 0, sizeof(command));
	command.opcode = NPU_INSERT;
	command.cookie = cookie;
	command.rule = *rule;
	return command;
}

/* Submit one command and tick until it is done. */
static struct npu_message complete(struct npu_device *dev, const struct npu_command *command)
{
	struct npu_message msg;
	unsigned int ticks = 0;

	CHECK(npu_submit(dev, command));
	while (!npu_receive(dev, &msg)) {
		CHECK(ticks++ < 100);
		npu_tick(dev);
	}
	CHECK(ticks > 1);
	CHECK(msg.kind == NPU_DONE && msg.cookie == command->cookie && msg.opcode == command->opcode);
	return msg;
}

static uint32_t insert(struct npu_device *dev, const struct npu_rule *rule, uint64_t cookie)
{
	const struct npu_command command = insertion(rule, cookie);
	struct npu_message msg = complete(dev, &command);

	CHECK(msg.status == NPU_OK && msg.handle != NPU_NO_HANDLE);
	return msg.handle;
}

/* The DNS connection: its rule and, as mirror, one that no test sends packets for. */
static uint32_t insert_dns(struct npu_device *dev)
{
	struct npu_rule rule = dns_rule();
	struct npu_rule mirror = dns_rule();
	uint32_t handle = insert(dev, &rule, 2);

	mirror.match.src[0]++;
	npu_enable_pair(dev, handle, insert(dev, &mirror, 3));
	return handle;
}

static enum npu_trap inject(struct npu_device *dev, const uint8_t *bytes, size_t length,
			    struct npu_output *out)
{
	static uint8_t sent[2048];
	uint8_t frame[2048];
	enum npu_trap trap;

	memcpy(frame, bytes, length);
	out->data = sent;
	out->room = sizeof(sent);
	trap = npu_device_inject(dev, 1, frame, length, out);
	CHECK(!memcmp(frame, bytes, length));
	return trap;
}

static void packet_leaves_as_written_here(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_counters counters;
	struct npu_output out;
	uint32_t handle;

	add_interfaces(dev);
	handle = insert_dns(dev);
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_FORWARDED);
	CHECK(out.port == 2 && out.length == sizeof(dns_sent));
	CHECK(!memcmp(out.data, dns_sent, sizeof(dns_sent)));
	npu_read_counters(dev, handle, &counters);
	CHECK(counters.packets == 1 && counters.bytes == 32 && counters.seen_ms == clock_now);
	npu_read_counters(dev, handle, &counters);
	CHECK(counters.packets == 0 && counters.bytes == 0);
	npu_disable(dev, handle);
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_TRAP_STOPPED);
	npu_device_destroy(dev);
}

static void rule_is_off_until_it_is_enabled(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_rule rule = dns_rule();
	struct npu_output out;

	add_interfaces(dev);
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_TRAP_NO_ENTRY);
	insert(dev, &rule, 2);
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_TRAP_STOPPED);
	npu_device_destroy(dev);
}

static void bucket_collides_before_the_table_is_full(void)
{
	struct npu_device *dev = device(8, 1, 32);
	unsigned int collisions = 0, taken = 0, full = 0;
	uint16_t i;

	for (i = 0; i < 4096 && !full; i++) {
		struct npu_rule rule = dns_rule();
		struct npu_command command;
		enum npu_status status;

		rule.match.sport_be = i;
		command = insertion(&rule, i);
		status = complete(dev, &command).status;
		taken += status == NPU_OK;
		collisions += status == NPU_COLLISION;
		full += status == NPU_FULL;
		CHECK(npu_device_entries(dev) == taken);
		CHECK((status == NPU_FULL) == (taken == 8 && status != NPU_OK));
	}
	CHECK(taken == 8 && full == 1 && collisions > 0);
	npu_device_destroy(dev);
}

static void cancelled_command_leaves_nothing(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_rule rule = dns_rule();
	const struct npu_command first = insertion(&rule, 7);
	struct npu_message msg;

	CHECK(npu_submit(dev, &first));
	npu_cancel(dev, 7);
	CHECK(!npu_receive(dev, &msg));
	npu_tick(dev);
	npu_tick(dev);
	CHECK(npu_receive(dev, &msg) && msg.status == NPU_CANCELLED && msg.cookie == 7);
	CHECK(npu_device_entries(dev) == 0 && npu_outstanding(dev) == 0);
	npu_device_destroy(dev);
}

static void ring_fills_and_says_so(void)
{
	struct npu_device *dev = device(64, 64, 32);
	struct npu_rule rule = dns_rule();
	const struct npu_command command = insertion(&rule, 1);
	struct npu_message msg;
	unsigned int n = 0;

	while (npu_submit(dev, &command))
		CHECK(++n <= 32);
	CHECK(n == 32);
	npu_tick(dev);
	npu_tick(dev);
	CHECK(npu_receive(dev, &msg));
	CHECK(npu_submit(dev, &command));
	npu_device_destroy(dev);
}

static void narrow_counter_warns_and_then_saturates(void)
{
	struct npu_device *dev = device(64, 4, 8);
	struct npu_counters counters;
	struct npu_message msg;
	struct npu_output out;
	uint32_t handle;
	unsigned int i;

	add_interfaces(dev);
	handle = insert_dns(dev);
	for (i = 0; i < 3; i++)
		CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_FORWARDED);
	CHECK(!npu_receive(dev, &msg));
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_FORWARDED);
	CHECK(npu_receive(dev, &msg) && msg.kind == NPU_COUNTER_HIGH && msg.handle == handle);
	CHECK(!npu_receive(dev, &msg));
	for (i = 0; i < 20; i++)
		CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_FORWARDED);
	npu_read_counters(dev, handle, &counters);
	CHECK(counters.packets == 24 && counters.bytes == 255);
	npu_device_destroy(dev);
}

static void idle_rule_is_told_once(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_message msg;
	unsigned int told = 0;

	add_interfaces(dev);
	insert_dns(dev);
	clock_now += 29999;
	npu_tick(dev);
	CHECK(!npu_receive(dev, &msg));
	clock_now++;
	npu_tick(dev);
	npu_tick(dev);
	while (npu_receive(dev, &msg))
		told += msg.kind == NPU_AGED;
	CHECK(told == 2); /* one for each of the pair */
	npu_device_destroy(dev);
}

static void reset_forgets_everything(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_rule rule = dns_rule();
	const struct npu_command command = insertion(&rule, 9);
	uint32_t generation = npu_generation(dev);
	struct npu_output out;
	struct npu_message msg;

	add_interfaces(dev);
	insert_dns(dev);
	CHECK(npu_submit(dev, &command));
	npu_device_reset(dev);
	CHECK(npu_generation(dev) != generation);
	CHECK(npu_device_entries(dev) == 0 && npu_outstanding(dev) == 0);
	npu_tick(dev);
	npu_tick(dev);
	CHECK(!npu_receive(dev, &msg));
	CHECK(inject(dev, dns_frame, sizeof(dns_frame), &out) == NPU_TRAP_NO_ENTRY);
	npu_device_destroy(dev);
}

static void every_truncation_goes_to_the_host(void)
{
	struct npu_device *dev = device(64, 4, 32);
	struct npu_output out;
	size_t n;

	add_interfaces(dev);
	insert_dns(dev);
	for (n = 0; n < 46; n++)
		CHECK(inject(dev, dns_frame, n, &out) == NPU_TRAP_MALFORMED);
	CHECK(inject(dev, dns_frame, 46, &out) == NPU_FORWARDED);
	npu_device_destroy(dev);
}

static void every_fault_has_its_own_name(void)
{
	unsigned int i, j;

	for (i = 0; i < NPU_FAULT_COUNT; i++) {
		CHECK(npu_fault_name(i));
		for (j = 0; j < i; j++)
			CHECK(strcmp(npu_fault_name(i), npu_fault_name(j)) != 0);
	}
	CHECK(!npu_fault_name(NPU_FAULT_COUNT));
}

int main(void)
{
	packet_leaves_as_written_here();
	rule_is_off_until_it_is_enabled();
	bucket_collides_before_the_table_is_full();
	cancelled_command_leaves_nothing();
	ring_fills_and_says_so();
	narrow_counter_warns_and_then_saturates();
	idle_rule_is_told_once();
	reset_forgets_everything();
	every_truncation_goes_to_the_host();
	every_fault_has_its_own_name();
	printf("ok: 10 tests of the device\n");
	return 0;
}
