/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_core.h - inside the silicon: what its packet engine (npu_packet.c) shares with its tables (npu_device.c). No driver
 * includes it.
 */
#ifndef NPU_CORE_H
#define NPU_CORE_H

#include "npu_silicon.h"

/* Notices not yet read, one bit an occasion, so that a slow driver loses none. */
#define NPU_NOTE_AGED	 (1u << 0)
#define NPU_NOTE_FIN	 (1u << 1)
#define NPU_NOTE_RST	 (1u << 2)
#define NPU_NOTE_COUNTER (1u << 3)

struct npu_entry {
	bool used;
	bool on;
	bool aged;	  /* told once per idle period */
	uint8_t notes;	  /* NPU_NOTE_ bits */
	uint32_t mirror;  /* handle of the other direction, once enabled */
	uint32_t packets; /* since the last read; they saturate */
	uint32_t bytes;
	uint64_t seen_ms;
	uint64_t cookie;
	struct npu_rule rule;
};

struct npu_slot {
	struct npu_command command;
	enum npu_status status;
	uint32_t handle;
	uint64_t due; /* tick at which its completion can be read */
};

struct npu_device {
	struct npu_device_options options;
	enum npu_fault fault;
	bool attached;
	uint32_t generation;
	uint64_t ticks;
	uint32_t taken; /* entries in use */
	uint32_t buckets;
	struct npu_entry *entries; /* buckets * ways */
	struct npu_interface *interfaces;
	struct npu_slot *ring;
	uint64_t queued; /* commands ever queued, executed, reported: the ring's three pointers */
	uint64_t executed;
	uint64_t reported;
	uint32_t scan; /* where the search for notices goes on */
	bool refuse;
	unsigned int refuse_after;
};

static inline struct npu_entry *npu_entry(struct npu_device *dev, uint32_t handle)
{
	if (handle == NPU_NO_HANDLE || handle > dev->buckets * dev->options.ways)
		return NULL;
	return dev->entries[handle - 1].used ? &dev->entries[handle - 1] : NULL;
}

uint32_t npu_bucket(const struct npu_device *dev, const struct npu_tuple *tuple);
void npu_hit(struct npu_device *dev, struct npu_entry *entry, uint32_t bytes);
/* FIN or RST in a rule's packet: it and its mirror stop, and the driver is told. */
void npu_stop(struct npu_device *dev, struct npu_entry *entry, uint8_t note);

#endif /* NPU_CORE_H */
