/* SPDX-License-Identifier: BSD-2-Clause */
/* npu.h - a network processor that does not exist, and the libflowoffload backend "npu" that drives it.
 *
 * For people who write a backend for real silicon (docs/BACKENDS.md walks through this folder), and for the conformance
 * suite, which proves itself on it. This header is what the outside sees: the box with its ports, and the name of its
 * driver. Neighbours: npu_silicon.h is what the driver sees of the device, npu_driver.h the driver's own inside.
 */
#ifndef NPU_H
#define NPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowoffload-backend.h"

struct npu_device;

/* The box. Zero in any field: the default in brackets. */
struct npu_device_options {
	uint32_t directions;	    /* entries of the match table, one a direction [64] */
	uint32_t ways;		    /* entries in one hash bucket [4] */
	uint32_t buckets;	    /* a power of two [the smallest with which all directions have a way] */
	uint32_t interfaces;	    /* entries of the interface table [16] */
	uint32_t ring;		    /* commands that fit into the ring [32] */
	uint32_t commands_per_tick; /* how many the firmware works off in one tick [4] */
	uint32_t latency_ticks;	    /* ticks from a command's execution to its completion [1] */
	uint32_t counter_bits;	    /* width of each counter; they saturate [32] */
	uint64_t (*clock_ms)(void *ctx); /* the device's oscillator [CLOCK_MONOTONIC] */
	void *clock_ctx;
};

/* Why the device hands a packet to the host. */
enum npu_trap {
	NPU_FORWARDED = 0,
	NPU_TRAP_NO_ENTRY,
	NPU_TRAP_NOT_IP,
	NPU_TRAP_MALFORMED,
	NPU_TRAP_FRAGMENT,
	NPU_TRAP_OPTIONS,
	NPU_TRAP_EXT_HEADER,
	NPU_TRAP_TTL,
	NPU_TRAP_MTU,
	NPU_TRAP_PROTOCOL,
	NPU_TRAP_ICMP_TYPE,
	NPU_TRAP_SYN,
	NPU_TRAP_FIN,
	NPU_TRAP_RST,
	NPU_TRAP_INGRESS,
	NPU_TRAP_MAC,
	NPU_TRAP_STOPPED, /* the entry is there and switched off */
	NPU_TRAP_LINK,	  /* the egress interface is down */
	NPU_TRAP_ENCAP,
	NPU_TRAP_ROOM, /* the caller's buffer is too small for the frame to send */
	NPU_TRAP_COUNT
};

/* A frame that the device sends. data and room are the caller's. */
struct npu_output {
	uint8_t *data;
	size_t room;
	size_t length;
	uint32_t port;
};

/* Faults that can be seeded, each the mistake of a backend one has met. The names are those of npu_fault_name(). */
enum npu_fault {
	NPU_FAULT_NONE = 0,
	/* the packet path of the device */
	NPU_FAULT_UDP_ZERO_REWRITTEN,
	NPU_FAULT_UDP_ZERO_SENT,
	NPU_FAULT_TCP_ZERO_COMPLEMENTED,
	NPU_FAULT_PORTS_WITHOUT_CSUM,
	NPU_FAULT_NO_PSEUDO_HEADER,
	NPU_FAULT_ICMP_PSEUDO_HEADER,
	NPU_FAULT_CSUM_REPAIRED,
	NPU_FAULT_ECN_CLEARED,
	NPU_FAULT_TTL_KEPT,
	NPU_FAULT_TTL_ONE_FORWARDED,
	NPU_FAULT_FRAGMENT_FORWARDED,
	NPU_FAULT_OPTIONS_FORWARDED,
	NPU_FAULT_MTU_IGNORED,
	NPU_FAULT_MTU_OFF_BY_ONE,
	NPU_FAULT_MAC_IGNORED,
	NPU_FAULT_VLAN_IGNORED,
	NPU_FAULT_PORT_IGNORED,
	NPU_FAULT_ICMP_ERROR_AS_ECHO,
	NPU_FAULT_SYN_FORWARDED,
	NPU_FAULT_FIN_IGNORED,
	NPU_FAULT_RST_FORWARDED,
	NPU_FAULT_PADDING_FORWARDED,
	NPU_FAULT_PPPOE_LENGTH,
	NPU_FAULT_PCP_COPIED,
	NPU_FAULT_PASS_MODIFIED,
	NPU_FAULT_LINK_IGNORED,
	/* its counters and tables */
	NPU_FAULT_L2_BYTES,
	NPU_FAULT_PADDING_COUNTED,
	NPU_FAULT_FULL_EVICTS,
	NPU_FAULT_NEVER_IDLE,
	/* the driver */
	NPU_FAULT_ONE_DIRECTION,
	NPU_FAULT_COUNTER_LOST_AT_DELETE,
	NPU_FAULT_STATS_CONSUMED,
	NPU_FAULT_DELETED_FORWARDS,
	NPU_FAULT_LATE_RESURRECTION,
	NPU_FAULT_REMOVED_NOT_TOLD,
	NPU_FAULT_CLOSING_NOT_TOLD,
	NPU_FAULT_TOLD_TWICE,
	NPU_FAULT_RESET_NOT_TOLD,
	NPU_FAULT_FALLBACK_INVENTED,
	NPU_FAULT_ADJ_UPDATE_IGNORED,
	NPU_FAULT_DSCP_UPDATE_IGNORED,
	NPU_FAULT_IDLE_BY_ONE_DIRECTION,
	NPU_FAULT_COUNT
};

/* npu_device_create - make a box. options may be NULL. NULL: no memory, or options that make no device. */
struct npu_device *npu_device_create(const struct npu_device_options *options);
/* The table that drives it is destroyed first. NULL is accepted. */
void npu_device_destroy(struct npu_device *dev);

/* npu_device_inject - one frame arrives on a port. The buffer is the device's until the call returns.
 * NPU_FORWARDED: out has the frame to send. Otherwise the frame, as it came, goes to the host. */
enum npu_trap npu_device_inject(struct npu_device *dev, uint32_t port, uint8_t *frame, size_t length,
				struct npu_output *out);

/* npu_device_reset - the firmware crashed and came up again: all tables, rings and counters are empty. */
void npu_device_reset(struct npu_device *dev);

/* npu_device_refuse - the insertion that comes after `after` more will be refused, once. */
void npu_device_refuse(struct npu_device *dev, unsigned int after);

/* How many entries of the match table are taken. For tests that ask whether anything is left behind. */
uint32_t npu_device_entries(const struct npu_device *dev);

/* npu_device_fault - seed one fault instead of the one before. NPU_FAULT_NONE: a sound device again. */
void npu_device_fault(struct npu_device *dev, enum npu_fault fault);
/* "udp-zero-rewritten" and so on; NULL beyond the last. */
const char *npu_fault_name(unsigned int fault);

/* What fo_table_options.backend_options points to when fo_table_options.backend is "npu". */
struct npu_options {
	size_t size;
	struct npu_device *device; /* stays the caller's; one table at a time */
	uint32_t sweep_ms;	   /* how often counters are collected; 0: 100 */
	uint32_t reserved;
};

/* npu_register - fo_backend_register() of the driver; its errors. */
int npu_register(struct fo_error *err);

#endif /* NPU_H */
