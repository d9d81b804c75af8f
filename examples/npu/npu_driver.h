/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_driver.h - inside the driver: what npu_backend.c (the functions the library calls), npu_flows.c (the life of one
 * flow) and npu_sides.c (interfaces) share. Below it is npu_silicon.h, above it flowoffload-backend.h.
 */
#ifndef NPU_DRIVER_H
#define NPU_DRIVER_H

#include "npu_silicon.h"

#define NPU_NO_RECORD UINT32_MAX

/* Where one direction of a flow is. */
enum npu_side { NPU_SIDE_OUT, NPU_SIDE_INSERTING, NPU_SIDE_IN, NPU_SIDE_REMOVING };

/* What the library is told once nothing of the flow is left in the device. */
enum npu_last_word { NPU_SAY_NOTHING, NPU_SAY_REMOVED, NPU_SAY_REFUSED, NPU_SAY_ENDED };

/* One flow. The driver wants it in the device or out of it; completions move its sides until that is so. */
struct npu_record {
	bool used;
	bool wanted;
	bool live;   /* both sides in and switched on */
	bool queued; /* on the work list */
	uint64_t cookie;
	uint32_t slot;
	uint32_t next; /* free list or work list */
	enum npu_side side[2];
	uint32_t handle[2];
	struct npu_rule rule[2];
	enum npu_last_word last_word;
	enum npu_status failure;
	int failed_dir;
	unsigned int reason;
};

/* An entry of the device's interface table, shared by the flows of one adjacency. */
struct npu_shared_side {
	fo_adj_id adj;
	uint32_t users;
	struct npu_interface setting;
};

struct npu_driver {
	struct npu_device *dev;
	struct fo_host *host;
	const struct fo_host_ops *ops;
	uint32_t generation;
	uint32_t sweep_ms;
	uint64_t next_sweep_ms;
	uint32_t sweep_at;
	uint32_t n_slots;
	uint32_t *by_slot; /* slot -> record */
	uint32_t n_records;
	uint32_t n_used;
	struct npu_record *records;
	uint32_t free_record;
	uint32_t work_head; /* records that have commands to submit, in their order */
	uint32_t work_tail;
	uint32_t n_sides;
	struct npu_shared_side *sides;
};

/* npu_flows.c */
void npu_records_clear(struct npu_driver *drv);
struct npu_record *npu_record_take(struct npu_driver *drv, uint64_t cookie, uint32_t slot);
void npu_record_drop(struct npu_driver *drv, struct npu_record *rec);
struct npu_record *npu_record_find(struct npu_driver *drv, uint64_t cookie, uint32_t slot);
void npu_flow_want(struct npu_driver *drv, struct npu_record *rec);
/* The flow has to leave the device, and `word` is said then. true: it has left already, nothing will be said. */
bool npu_flow_unwant(struct npu_driver *drv, struct npu_record *rec, enum npu_last_word word,
		     unsigned int reason);
void npu_flow_collect(struct npu_driver *drv, struct npu_record *rec);
/* Flows over a port that went away stop at once, and for good: the library will delete them. */
void npu_flows_stop(struct npu_driver *drv, uint32_t port);
void npu_flow_rewrite(struct npu_driver *drv, struct npu_record *rec);
void npu_work(struct npu_driver *drv);
void npu_sweep(struct npu_driver *drv);
bool npu_pending(const struct npu_driver *drv);

/* npu_sides.c */
int npu_interface_from(const struct fo_adj *adj, struct npu_interface *out, struct fo_error *err);
/* A use of the adjacency's entry; index out. */
int npu_side_hold(struct npu_driver *drv, fo_adj_id id, const struct fo_adj *adj, uint32_t *index,
		  struct fo_error *err);
void npu_side_release(struct npu_driver *drv, uint32_t index);
int npu_side_change(struct npu_driver *drv, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err);
void npu_sides_link(struct npu_driver *drv, uint32_t port, bool up);
/* Fill err (may be NULL) and return code. */
int npu_fail(struct fo_error *err, int code, unsigned int reason, int device_errno, const char *text);

#endif /* NPU_DRIVER_H */
