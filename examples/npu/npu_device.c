/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_device.c - the silicon's tables: match table, interfaces, command ring, counters, notices.
 *
 * One hash bucket has a few ways and nothing overflows into the next, so a key can be refused while the table has room:
 * that is a collision, and not the same as full. Neighbours: npu_packet.c looks rules up here for each packet;
 * npu_silicon.h says what the driver sees of this.
 */
#include "npu_core.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static uint64_t oscillator(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static void complete_options(struct npu_device_options *o)
{
	o->directions = or_default(o->directions, 64);
	o->ways = or_default(o->ways, 4);
	o->interfaces = or_default(o->interfaces, 16);
	o->ring = or_default(o->ring, 32);
	o->commands_per_tick = or_default(o->commands_per_tick, 4);
	o->latency_ticks = or_default(o->latency_ticks, 1);
	o->counter_bits = or_default(o->counter_bits, 32);
	if (!o->clock_ms)
		o->clock_ms = oscillator;
}

/* The smallest power of two of buckets that holds every direction. */
static uint32_t enough_buckets(const struct npu_device_options *o)
{
	uint32_t n = 1;

	while ((uint64_t)n * o->ways < o->directions)
		n *= 2;
	return n;
}

static bool possible(const struct npu_device_options *o)
{
	return o->directions <= 1u << 20 && o->ways <= 64 && o->counter_bits <= 32 &&
	       o->buckets <= 1u << 20 && (o->buckets & (o->buckets - 1)) == 0 && o->interfaces <= 1u << 16 &&
	       o->ring <= 1u << 16;
}

struct npu_device *npu_device_create(const struct npu_device_options *options)
{
	struct npu_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	if (options)
		dev->options = *options;
	complete_options(&dev->options);
	if (!possible(&dev->options)) {
		free(dev);
		return NULL;
	}
	dev->buckets = or_default(dev->options.buckets, enough_buckets(&dev->options));
	dev->entries = calloc((size_t)dev->buckets * dev->options.ways, sizeof(*dev->entries));
	dev->interfaces = calloc(dev->options.interfaces, sizeof(*dev->interfaces));
	dev->ring = calloc(dev->options.ring, sizeof(*dev->ring));
	if (!dev->entries || !dev->interfaces || !dev->ring) {
		npu_device_destroy(dev);
		return NULL;
	}
	return dev;
}

void npu_device_destroy(struct npu_device *dev)
{
	if (!dev)
		return;
	free(dev->entries);
	free(dev->interfaces);
	free(dev->ring);
	free(dev);
}

void npu_device_reset(struct npu_device *dev)
{
	memset(dev->entries, 0, (size_t)dev->buckets * dev->options.ways * sizeof(*dev->entries));
	memset(dev->interfaces, 0, dev->options.interfaces * sizeof(*dev->interfaces));
	dev->queued = 0;
	dev->executed = 0;
	dev->reported = 0;
	dev->taken = 0;
	dev->scan = 0;
	dev->generation++;
}

void npu_device_refuse(struct npu_device *dev, unsigned int after)
{
	dev->refuse = true;
	dev->refuse_after = after;
}

uint32_t npu_device_entries(const struct npu_device *dev)
{
	return dev->taken;
}

void npu_device_fault(struct npu_device *dev, enum npu_fault fault)
{
	dev->fault = fault;
}

bool npu_has_fault(const struct npu_device *dev, enum npu_fault fault)
{
	return dev->fault == fault;
}

bool npu_attach(struct npu_device *dev)
{
	if (dev->attached)
		return false;
	npu_device_reset(dev);
	dev->attached = true;
	return true;
}

/* The host let go: whatever it left in the tables goes, as when its process dies. */
void npu_detach(struct npu_device *dev)
{
	npu_device_reset(dev);
	dev->attached = false;
}

uint32_t npu_generation(const struct npu_device *dev)
{
	return dev->generation;
}

uint32_t npu_max_directions(const struct npu_device *dev)
{
	return dev->options.directions;
}

uint32_t npu_max_interfaces(const struct npu_device *dev)
{
	return dev->options.interfaces;
}

uint64_t npu_clock(const struct npu_device *dev)
{
	return dev->options.clock_ms(dev->options.clock_ctx);
}

/* ---- The match table --------------------------------------------------------------------------------- */

static uint32_t mix(uint32_t hash, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n--)
		hash = (hash ^ *p++) * 16777619u;
	return hash;
}

uint32_t npu_bucket(const struct npu_device *dev, const struct npu_tuple *tuple)
{
	uint32_t hash = 2166136261u;

	hash = mix(hash, tuple->src, sizeof(tuple->src));
	hash = mix(hash, tuple->dst, sizeof(tuple->dst));
	hash = mix(hash, &tuple->sport_be, sizeof(tuple->sport_be));
	hash = mix(hash, &tuple->dport_be, sizeof(tuple->dport_be));
	hash = mix(hash, &tuple->proto, sizeof(tuple->proto));
	return (hash ^ hash >> 15) & (dev->buckets - 1);
}

static void clear_entry(struct npu_device *dev, struct npu_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	dev->taken--;
}

/* The seeded fault "full-evicts": the oldest rule makes room for the new one, and nobody is told. */
static void evict_oldest(struct npu_device *dev)
{
	struct npu_entry *oldest = NULL;
	uint32_t i;

	for (i = 0; i < dev->buckets * dev->options.ways; i++) {
		struct npu_entry *entry = &dev->entries[i];

		if (entry->used && entry->on && (!oldest || entry->cookie < oldest->cookie))
			oldest = entry;
	}
	if (oldest)
		oldest->on = false;
}

static bool refused_by_test(struct npu_device *dev)
{
	if (!dev->refuse || dev->refuse_after-- > 0)
		return false;
	dev->refuse = false;
	return true;
}

static enum npu_status insert_rule(struct npu_device *dev, const struct npu_command *command,
				   uint32_t *handle)
{
	uint32_t base = npu_bucket(dev, &command->rule.match) * dev->options.ways;
	uint32_t way;

	if (refused_by_test(dev))
		return NPU_REFUSED;
	if (dev->taken >= dev->options.directions)
		return NPU_FULL;
	if (npu_has_fault(dev, NPU_FAULT_FULL_EVICTS) && dev->taken >= dev->options.directions / 2)
		evict_oldest(dev);
	for (way = 0; way < dev->options.ways; way++) {
		struct npu_entry *entry = &dev->entries[base + way];

		if (entry->used)
			continue;
		memset(entry, 0, sizeof(*entry));
		entry->used = true;
		entry->cookie = command->cookie;
		entry->rule = command->rule;
		entry->seen_ms = command->rule.seen_ms;
		dev->taken++;
		*handle = base + way + 1;
		return NPU_OK;
	}
	return NPU_COLLISION;
}

static enum npu_status remove_rule(struct npu_device *dev, const struct npu_command *command)
{
	struct npu_entry *entry = npu_entry(dev, command->handle);

	if (!entry || entry->cookie != command->cookie)
		return NPU_BAD_HANDLE;
	clear_entry(dev, entry);
	return NPU_OK;
}

/* ---- The ring ---------------------------------------------------------------------------------------- */

bool npu_submit(struct npu_device *dev, const struct npu_command *command)
{
	struct npu_slot *slot;

	if (dev->queued - dev->reported >= dev->options.ring)
		return false;
	slot = &dev->ring[dev->queued % dev->options.ring];
	memset(slot, 0, sizeof(*slot));
	slot->command = *command;
	dev->queued++;
	return true;
}

void npu_cancel(struct npu_device *dev, uint64_t cookie)
{
	uint64_t i;

	for (i = dev->executed; i < dev->queued; i++) {
		struct npu_slot *slot = &dev->ring[i % dev->options.ring];

		if (slot->command.opcode == NPU_INSERT && slot->command.cookie == cookie)
			slot->status = NPU_CANCELLED;
	}
}

static void execute(struct npu_device *dev, struct npu_slot *slot)
{
	if (slot->command.opcode == NPU_REMOVE) {
		slot->handle = slot->command.handle;
		slot->status = remove_rule(dev, &slot->command);
	} else if (slot->status != NPU_CANCELLED) {
		slot->status = insert_rule(dev, &slot->command, &slot->handle);
	}
	slot->due = dev->ticks + dev->options.latency_ticks;
}

static void look_for_idle(struct npu_device *dev)
{
	uint64_t now = npu_clock(dev);
	uint32_t i;

	if (npu_has_fault(dev, NPU_FAULT_NEVER_IDLE))
		return;
	for (i = 0; i < dev->buckets * dev->options.ways; i++) {
		struct npu_entry *entry = &dev->entries[i];

		if (!entry->on || entry->aged || entry->rule.timeout_ms == NPU_NO_TIMEOUT)
			continue;
		if (now < entry->seen_ms || now - entry->seen_ms < entry->rule.timeout_ms)
			continue;
		entry->aged = true;
		entry->notes |= NPU_NOTE_AGED;
	}
}

void npu_tick(struct npu_device *dev)
{
	uint32_t i;

	dev->ticks++;
	for (i = 0; i < dev->options.commands_per_tick && dev->executed < dev->queued; i++) {
		execute(dev, &dev->ring[dev->executed % dev->options.ring]);
		dev->executed++;
	}
	look_for_idle(dev);
}

uint32_t npu_outstanding(const struct npu_device *dev)
{
	return (uint32_t)(dev->queued - dev->reported);
}

static bool receive_completion(struct npu_device *dev, struct npu_message *out)
{
	const struct npu_slot *slot;

	if (dev->reported == dev->executed)
		return false;
	slot = &dev->ring[dev->reported % dev->options.ring];
	if (slot->due > dev->ticks)
		return false;
	out->kind = NPU_DONE;
	out->opcode = slot->command.opcode;
	out->status = slot->status;
	out->cookie = slot->command.cookie;
	out->handle = slot->handle;
	dev->reported++;
	return true;
}

static bool take_note(struct npu_entry *entry, uint8_t note, enum npu_message_kind kind,
		      struct npu_message *out)
{
	if (!(entry->notes & note))
		return false;
	entry->notes &= (uint8_t)~note;
	out->kind = kind;
	out->cookie = entry->cookie;
	return true;
}

static bool receive_notice(struct npu_device *dev, struct npu_message *out)
{
	uint32_t n = dev->buckets * dev->options.ways;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct npu_entry *entry = &dev->entries[dev->scan];

		out->handle = dev->scan + 1;
		if (entry->used && (take_note(entry, NPU_NOTE_FIN, NPU_SAW_FIN, out) ||
				    take_note(entry, NPU_NOTE_RST, NPU_SAW_RST, out) ||
				    take_note(entry, NPU_NOTE_COUNTER, NPU_COUNTER_HIGH, out) ||
				    take_note(entry, NPU_NOTE_AGED, NPU_AGED, out)))
			return true;
		dev->scan = dev->scan + 1 < n ? dev->scan + 1 : 0;
	}
	return false;
}

bool npu_receive(struct npu_device *dev, struct npu_message *out)
{
	memset(out, 0, sizeof(*out));
	return receive_completion(dev, out) || receive_notice(dev, out);
}

/* ---- Registers --------------------------------------------------------------------------------------- */

void npu_write_interface(struct npu_device *dev, uint32_t index, const struct npu_interface *interface)
{
	if (index < dev->options.interfaces)
		dev->interfaces[index] = *interface;
}

void npu_enable_pair(struct npu_device *dev, uint32_t handle, uint32_t mirror)
{
	struct npu_entry *a = npu_entry(dev, handle);
	struct npu_entry *b = npu_entry(dev, mirror);

	if (!a || !b)
		return;
	a->mirror = mirror;
	b->mirror = handle;
	a->on = true;
	b->on = true;
}

void npu_disable(struct npu_device *dev, uint32_t handle)
{
	struct npu_entry *entry = npu_entry(dev, handle);

	if (entry) {
		entry->on = false;
		entry->notes = 0;
	}
}

void npu_rewrite(struct npu_device *dev, uint32_t handle, const struct npu_rule *rule)
{
	struct npu_entry *entry = npu_entry(dev, handle);
	struct npu_tuple match;

	if (!entry)
		return;
	match = entry->rule.match;
	entry->rule = *rule;
	entry->rule.match = match;
	entry->aged = false;
}

void npu_read_counters(struct npu_device *dev, uint32_t handle, struct npu_counters *out)
{
	struct npu_entry *entry = npu_entry(dev, handle);

	memset(out, 0, sizeof(*out));
	if (!entry)
		return;
	out->packets = entry->packets;
	out->bytes = entry->bytes;
	out->seen_ms = entry->seen_ms;
	entry->packets = 0;
	entry->bytes = 0;
}

/* ---- What packets do to an entry ----------------------------------------------------------------------- */

static uint32_t add_saturating(uint32_t counter, uint32_t n, uint32_t most)
{
	return n > most - counter ? most : counter + n;
}

void npu_hit(struct npu_device *dev, struct npu_entry *entry, uint32_t bytes)
{
	uint32_t most = (uint32_t)((UINT64_C(1) << dev->options.counter_bits) - 1);

	entry->packets = add_saturating(entry->packets, 1, most);
	entry->bytes = add_saturating(entry->bytes, bytes, most);
	entry->seen_ms = npu_clock(dev);
	entry->aged = false;
	if (entry->packets > most / 2 || entry->bytes > most / 2)
		entry->notes |= NPU_NOTE_COUNTER;
}

void npu_stop(struct npu_device *dev, struct npu_entry *entry, uint8_t note)
{
	struct npu_entry *mirror = npu_entry(dev, entry->mirror);

	if (npu_has_fault(dev, NPU_FAULT_FIN_IGNORED) && note == NPU_NOTE_FIN)
		return;
	entry->on = false;
	if (mirror)
		mirror->on = false;
	entry->notes |= note;
}
