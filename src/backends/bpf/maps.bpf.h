/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* maps.bpf.h - the maps of the program; layout.h says what is in them. Sizes are set by user space before loading. */
#ifndef FO_BACKENDS_BPF_MAPS_BPF_H
#define FO_BACKENDS_BPF_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct fo__bpf_key4);
	__type(value, struct fo__bpf_flow4);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct fo__bpf_key6);
	__type(value, struct fo__bpf_flow6);
} flows6 SEC(".maps");

/* Read and marked by user space in place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fo__bpf_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct fo__bpf_ingress_key);
	__type(value, __u32);
} ingress SEC(".maps");

/* Adjacency to entry: an update is one store. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} adjacencies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fo__bpf_entry);
} entries SEC(".maps");

/* By ifindex. Used by the XDP programs alone. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fo__bpf_counters);
} counters SEC(".maps");

/* Written by user space in place. Not one of those that outlive the process. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FO__BPF_BATCH);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fo__bpf_pair);
} batch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fo__bpf_config);
} config SEC(".maps");

/* Set before loading: slots of the table; does this kernel redirect frames that lie in several buffers? */
__u32 fo_slots = 1;
__u32 fo_redirects_frags = 0;

#endif /* FO_BACKENDS_BPF_MAPS_BPF_H */
