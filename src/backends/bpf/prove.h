/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* prove.h - shared by prove.bpf.c and prove.c: what became of a frame that a thread sent through a redirect. */
#ifndef FO_BACKENDS_BPF_PROVE_H
#define FO_BACKENDS_BPF_PROVE_H

#include <linux/types.h>

struct fo__bpf_proof {
	__u64 who; /* answer: process and thread that sent the frame */
	__u32 port;
	__u32 zero;
	__u64 sent; /* frames that the device took */
};

#endif /* FO_BACKENDS_BPF_PROVE_H */
