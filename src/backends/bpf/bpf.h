/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.h - the backend "bpf": flows in maps, one program at XDP or TC. For the list of built-in backends. */
#ifndef FO_BACKENDS_BPF_BPF_H
#define FO_BACKENDS_BPF_BPF_H

#include "flowoffload-backend.h"

extern const struct fo_backend fo__backend_bpf;

#endif
