/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_silicon.h - the device as its driver sees it: tables, a command ring, registers.
 *
 * This is the vendor's SDK of the example. Inserting and removing go through the ring and complete later; switching
 * entries on and off, rewriting their actions and reading counters are register accesses and take effect at once.
 * The device knows one direction at a time and calls it a rule; that two of them make a connection is the driver's
 * affair. Neighbours: npu_device.c and npu_packet.c are the silicon, npu_flows.c and npu_backend.c the driver.
 */
#ifndef NPU_SILICON_H
#define NPU_SILICON_H

#include "npu.h"

#define NPU_MAX_TAGS   2u
#define NPU_NO_HANDLE  0u
#define NPU_NO_TIMEOUT UINT32_MAX

/* One header in front of IP: 0x8100, 0x88a8 with a VID, 0x8864 with a session. */
struct npu_tag {
	uint16_t type;
	uint16_t id;
	uint16_t priority; /* PCP and DEI where the TCI has them; not matched */
};

/* One side: how packets arrive and leave. */
struct npu_interface {
	uint32_t port;
	uint32_t mtu;
	uint8_t own_mac[6];
	uint8_t peer_mac[6];
	uint32_t n_tags;
	struct npu_tag tag[NPU_MAX_TAGS];
	bool up;
};

/* ICMP echo: sport_be is the identifier, dport_be type and code. */
struct npu_tuple {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport_be;
	uint16_t dport_be;
	uint8_t family; /* 4 or 6 */
	uint8_t proto;
};

struct npu_rule {
	struct npu_tuple match;
	struct npu_tuple out; /* ICMP: dport_be is not written */
	uint32_t in;	      /* interfaces */
	uint32_t to;
	uint32_t timeout_ms; /* NPU_NO_TIMEOUT: none */
	bool set_dscp;
	uint8_t dscp;
	uint64_t seen_ms; /* device clock: idle counts from here until the first packet */
};

enum npu_opcode { NPU_INSERT, NPU_REMOVE };

enum npu_status { NPU_OK, NPU_FULL, NPU_COLLISION, NPU_REFUSED, NPU_CANCELLED, NPU_BAD_HANDLE };

struct npu_command {
	enum npu_opcode opcode;
	uint64_t cookie; /* comes back with the completion */
	uint32_t handle; /* NPU_REMOVE */
	struct npu_rule rule;
};

/* Read from the device: the end of a command, or a notice about a rule. */
enum npu_message_kind { NPU_DONE, NPU_AGED, NPU_SAW_FIN, NPU_SAW_RST, NPU_COUNTER_HIGH };

struct npu_message {
	enum npu_message_kind kind;
	enum npu_opcode opcode;
	enum npu_status status;
	uint64_t cookie;
	uint32_t handle;
};

struct npu_counters {
	uint32_t packets; /* since the last read */
	uint32_t bytes;
	uint64_t seen_ms; /* device clock */
};

/* One driver at a time. false: another has it. */
bool npu_attach(struct npu_device *dev);
void npu_detach(struct npu_device *dev);
/* Changes with every firmware reset. */
uint32_t npu_generation(const struct npu_device *dev);
uint32_t npu_max_directions(const struct npu_device *dev);
uint32_t npu_max_interfaces(const struct npu_device *dev);
uint64_t npu_clock(const struct npu_device *dev);
bool npu_has_fault(const struct npu_device *dev, enum npu_fault fault);

/* Commands complete in their order. A new rule is switched off. false: the ring is full. */
bool npu_submit(struct npu_device *dev, const struct npu_command *command);
/* Insertions with this cookie that have not been executed complete with NPU_CANCELLED. */
void npu_cancel(struct npu_device *dev, uint64_t cookie);
/* The firmware's share of time: works off commands, looks for idle rules. */
void npu_tick(struct npu_device *dev);
/* The next message, if any. A notice comes once per occasion. */
bool npu_receive(struct npu_device *dev, struct npu_message *out);
/* Commands neither executed nor reported. */
uint32_t npu_outstanding(const struct npu_device *dev);

void npu_write_interface(struct npu_device *dev, uint32_t index, const struct npu_interface *interface);
/* Both on at once. FIN or RST in one stops both in the same cycle. */
void npu_enable_pair(struct npu_device *dev, uint32_t handle, uint32_t mirror);
void npu_disable(struct npu_device *dev, uint32_t handle);
/* All of rule but its match. */
void npu_rewrite(struct npu_device *dev, uint32_t handle, const struct npu_rule *rule);
/* Reading clears. */
void npu_read_counters(struct npu_device *dev, uint32_t handle, struct npu_counters *out);

#endif /* NPU_SILICON_H */
