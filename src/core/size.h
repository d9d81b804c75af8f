/* SPDX-License-Identifier: BSD-2-Clause */
/* size.h - structs that begin with their own size: how an older or newer program and this library
 * agree.
 *
 * Every option, spec, info and counters struct of the public header begins with size_t size. A
 * struct embedded in another by value (struct fo_flow in struct fo_flow_info, struct
 * fo_flow_counters in struct fo_event) is laid out by the header that the caller was compiled with:
 * it must never grow in place. When it has to, the outer struct gets a new member at its end, or a
 * new outer struct takes its place.
 *
 * Neighbours: validate.c takes every argument by fo__take(); calls that answer into a caller's
 * struct use fo__give_check() before they do any work and fo__give() at the end.
 */
#ifndef FO_CORE_SIZE_H
#define FO_CORE_SIZE_H

#include "flowoffload.h"

/* Nobody's struct is larger than this: a size above it was never set by FO_INIT(). */
#define FO__SIZE_MAX 4096u

/* fo__take - read a caller's struct into the library's own layout.
 * @dst:      known bytes; written on success only.
 * @known:    sizeof of the struct as this library knows it; at most FO__SIZE_MAX.
 * @min_size: the part without which the struct says nothing.
 * @src:      the caller's struct.
 * @what:     its name for err, such as "flow".
 *
 * What an older caller does not have reads as zero; what a newer one has beyond known must be zero.
 * Returns 0, or -EINVAL: src is NULL (FO_R_ARGUMENT, the field is what), or its size is below
 * min_size, above FO__SIZE_MAX, no multiple of sizeof(size_t) as every real one is, or the tail is
 * not zero (FO_R_SIZE, the field is "size").
 */
int fo__take(void *dst, size_t known, size_t min_size, const void *src, const char *what,
	     struct fo_error *err);

/* fo__give_check - would fo__give() succeed? Returns as fo__take(). */
int fo__give_check(const void *dst, size_t min_size, const char *what, struct fo_error *err);

/* fo__give - answer into a caller's struct: as much of src as it has room for, zero what this
 * library does not know, its size kept. dst and src must not overlap. Returns as fo__take(); dst
 * untouched on failure. */
int fo__give(void *dst, const void *src, size_t known, size_t min_size, const char *what,
	     struct fo_error *err);

#endif
