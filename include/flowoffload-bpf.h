/* SPDX-License-Identifier: BSD-2-Clause */
/* flowoffload-bpf.h - options of the backend "bpf" alone: fo_table_options.backend_options points at one of these.
 *
 * Without options, each device gets native XDP where its driver has it (veth and virtio aside, where frames would
 * lose their checksum offload), else TC. A table that needs FO_CAP_EGRESS_QDISC gets TC everywhere.
 *
 * Links of XDP and tcx end with the process. A clsact filter stays: the program then has a lease of FO_BPF_LEASE_MS, which
 * fo_table_poll() renews, and passes everything on when it is over (FO_CAP_CRASH_LEASE instead of FO_CAP_CRASH_GONE). The
 * filter itself is replaced by the next table that is attached to the device in the same way.
 *
 * With FO_TABLE_PERSIST maps and links are pinned in a folder of a BPF file system, and the program goes on forwarding when
 * the process ends, however it ends (FO_CAP_CRASH_LINGERS): nobody ages flows then. The next table that is created with the
 * same folder, capacity and network namespace has them from the first moment on, with handles, counters and all that their
 * callers gave; no packet misses the short cut while its program takes the old one's place. A flow that was being added,
 * changed or ended at the moment of a kill is left out, and its connection carried by the slow path; so are flows of ports
 * that the new table does not have. fo_flow_walk() shows them; an adjacency that no flow uses is gone, its handle may come
 * again. fo_table_destroy() leaves living flows to the next process; with none left, it removes everything.
 */
#ifndef FLOWOFFLOAD_BPF_H
#define FLOWOFFLOAD_BPF_H

#include "flowoffload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the program is attached. */
enum fo_bpf_attach {
	FO_BPF_ATTACH_AUTO = 0,
	FO_BPF_ATTACH_XDP = 1,	       /* native XDP on every device, or create fails */
	FO_BPF_ATTACH_XDP_GENERIC = 2, /* XDP after the socket buffer was made: for tests */
	FO_BPF_ATTACH_TC = 3,	       /* TC ingress: tcx where the kernel has it, else clsact */
	FO_BPF_ATTACH_CLSACT = 4       /* a clsact filter, also where the kernel has tcx */
};

#define FO_BPF_LEASE_MS 10000u

/* Whether the kernel's conntrack, which carries the connections otherwise, is kept right (see docs/BPF.md). */
enum fo_bpf_conntrack {
	FO_BPF_CONNTRACK_AUTO = 0, /* where the kernel can be asked about it */
	FO_BPF_CONNTRACK_ON = 1,   /* or create fails */
	FO_BPF_CONNTRACK_OFF =
		2 /* the slow path is another: neither conntrack nor IPsec policies are looked at */
};

/* What would lose packets, or hide them from the program, without a word. */
enum fo_bpf_warning_kind {
	FO_BPF_WARN_LOSES =
		1, /* a device drops what XDP sends to it: no flow is added over it until that is mended */
	FO_BPF_WARN_UNPROVEN =
		2, /* it could not be found out whether it does: its flows are FO_STATE_PARTIAL */
	FO_BPF_WARN_CHECKSUM = 3, /* frames may come with an unfinished checksum, which XDP spoils */
	FO_BPF_WARN_VLAN = 4,	  /* the device takes VLAN tags out before XDP sees the frame */
	FO_BPF_WARN_FRAGS = 5,	  /* an MTU beyond one buffer, which other ports may not be able to send */
	FO_BPF_WARN_OWNER = 6	  /* another program has the device's XDP: attached at TC instead */
};

struct fo_bpf_warning {
	size_t size;
	uint32_t port;
	uint32_t kind;	 /* enum fo_bpf_warning_kind */
	char device[16]; /* its name */
	char text[256];	 /* one sentence, with the remedy */
};

/* Of fo_bpf_options.pins. */
#define FO_BPF_PINS "/sys/fs/bpf/flowoffload"

struct fo_bpf_options {
	size_t size;
	uint32_t attach;    /* enum fo_bpf_attach */
	uint32_t conntrack; /* enum fo_bpf_conntrack */
	/* May be NULL. Called by fo_table_create() and fo_port_set() for each warning of a device that they attach; valid
	 * during the call. fo_caps.text says how many there were. */
	void (*warn)(void *ctx, const struct fo_bpf_warning *warning);
	void *warn_ctx;
	const char *
		pins; /* with FO_TABLE_PERSIST: the table's folder, which holds nothing else; NULL: FO_BPF_PINS */
	uint64_t reserved;
};

#ifdef __cplusplus
}
#endif

#endif /* FLOWOFFLOAD_BPF_H */
