/* SPDX-License-Identifier: BSD-2-Clause */
/* guard.h - what keeps the kernel's slow path right, and the short cut honest, around the maps of state.h.
 *
 *   care.c       the flows' connections in conntrack, before and while they are on the short cut
 *   links.c      devices that go down or away: their flows pass at once, and end
 *   preflight.c  what loses packets in silence, as warnings
 *   options.c    what the caller asks for
 *   explain.c    what the program's counters say
 *   prove.c      a frame through the program, and one out of a device, before anybody relies on them
 */
#ifndef FO_BACKENDS_BPF_GUARD_H
#define FO_BACKENDS_BPF_GUARD_H

#include "backends/bpf/state.h"

#include "conntrack/admit.h"
#include "netlink/link.h"

/* ---- options.c ---- */

int fo__bpf_options_take(const struct fo_table_options *options, struct fo_bpf_options *out,
			 struct fo_error *err);

/* ---- explain.c: as in struct fo_backend ---- */

void fo__bpf_flow_explain(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size);
void fo__bpf_key_explain(void *priv, const struct fo_key *key, char *text, size_t size);

/* ---- care.c ---- */

struct fo__bpf_care {
	struct fo__ct_kept *kept; /* by slot */
	struct fo__ct_care ct;
};

/* Without conntrack, by the options or the kernel, bpf->care stays NULL, and the others do nothing. */
int fo__bpf_care_open(struct fo__bpf *bpf, uint32_t how, struct fo_error *err);
void fo__bpf_care_close(struct fo__bpf *bpf);
/* As fo__ct_admit(). */
void fo__bpf_care_admit(struct fo__bpf *bpf, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
			size_t n, int *results, struct fo_error *errs);
/* Those with result 0 got into the maps, the others did not after all. */
void fo__bpf_care_begin(struct fo__bpf *bpf, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
			size_t n, const int *results);
/* A flow of an earlier process is taken under care. */
void fo__bpf_care_adopt(struct fo__bpf *bpf, uint32_t slot);
void fo__bpf_care_retime(struct fo__bpf *bpf, uint32_t slot, uint32_t timeout_ms);
/* Looks after entries, a slice at least, no new one from then on; true while a pass is under way. */
bool fo__bpf_care_poll(struct fo__bpf *bpf, uint64_t until_us);

/* ---- links.c ---- */

struct fo__bpf_links {
	struct fo__nl ask, notices;
	uint32_t at; /* slots below it were looked at */
	bool ending; /* flows of ports that do not work */
	uint8_t rx[FO__NL_RX_ROOM] __attribute__((aligned(4)));
};

int fo__bpf_links_open(struct fo__bpf *bpf, struct fo_error *err);
void fo__bpf_links_close(struct fo__bpf *bpf);
/* May this device be a port at all? -ENODEV, -EOPNOTSUPP. */
int fo__bpf_port_check(struct fo__bpf *bpf, uint32_t port, struct fo_error *err);
/* Do packets leave by the adjacency's L3 device in a header that it describes? -EOPNOTSUPP. */
int fo__bpf_l3_check(struct fo__bpf *bpf, const struct fo_adj *adj, struct fo_error *err);
/* Do both ports of a flow work? -ENODEV. */
int fo__bpf_flow_ports_check(struct fo__bpf *bpf, const struct fo_backend_flow *flow, struct fo_error *err);
struct fo__bpf_device *fo__bpf_device(struct fo__bpf *bpf, uint32_t port); /* NULL: none of the table's */
/* Attached, up, and not said to be down by the caller. */
bool fo__bpf_port_works(struct fo__bpf *bpf, uint32_t port);
/* How is the device now? Acts on it. */
void fo__bpf_links_look(struct fo__bpf *bpf, uint32_t port);
/* The caller says how it is. */
void fo__bpf_links_said(struct fo__bpf *bpf, uint32_t port, bool down);
/* End, in slices, what goes over ports that do not work. */
void fo__bpf_links_end_flows(struct fo__bpf *bpf);
/* Takes notices and ends flows; true while there are more of them. */
bool fo__bpf_links_poll(struct fo__bpf *bpf);

/* ---- preflight.c: in the table's namespace ---- */

void fo__bpf_preflight(struct fo__bpf *bpf, struct fo__bpf_device *device);

/* ---- prove.c ---- */

/* Before any flow of the library's: -EIO this kernel does not do what the program says. */
int fo__bpf_prove_program(struct fo__bpf *bpf, struct fo_error *err);
/* UNKNOWN: the device is down. */
enum fo__bpf_proven fo__bpf_prove_device(struct fo__bpf *bpf, struct fo__bpf_device *device);
/* Do the devices that a flow leaves by take it? *state: FO_STATE_ACTIVE or, not to be proven, _PARTIAL. -EOPNOTSUPP. */
int fo__bpf_prove_flow(struct fo__bpf *bpf, const struct fo_backend_flow *flow, unsigned int *state,
		       struct fo_error *err);
void fo__bpf_prover_close(struct fo__bpf *bpf);

#endif
