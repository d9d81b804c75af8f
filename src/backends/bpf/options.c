/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - struct fo_bpf_options of any version, as this one knows it. Neighbour: guard.h. */
#include "backends/bpf/guard.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* No struct of options is so large: a size beyond it was never set. */
#define OPTIONS_MOST 4096u
/* What tells one table from another; all after it may be left to this library. */
#define OPTIONS_LEAST offsetof(struct fo_bpf_options, warn)

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* The options as this version knows them, with attach resolved: what is asked for, or follows from what is needed. */
int fo__bpf_options_take(const struct fo_table_options *options, struct fo_bpf_options *out,
			 struct fo_error *err)
{
	const struct fo_bpf_options *given = options ? options->backend_options : NULL;
	size_t size = given ? given->size : sizeof(*out), known = size < sizeof(*out) ? size : sizeof(*out);

	FO_INIT(out);
	if (size < OPTIONS_LEAST || size > OPTIONS_MOST)
		return fo__bpf_fail(err, -EINVAL, FO_R_SIZE, "backend_options.size", 0,
				    "give a struct fo_bpf_options made by FO_INIT()");
	if (given)
		memcpy(out, given, known);
	out->size = sizeof(*out);
	if (given && !is_zero((const uint8_t *)given + known, size - known))
		return fo__bpf_fail(
			err, -EINVAL, FO_R_SIZE, "backend_options.size", 0,
			"the struct has fields that this library does not know: link a newer one, "
			"or leave them zero");
	if (out->attach > FO_BPF_ATTACH_CLSACT)
		return fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "backend_options.attach", 0,
				    "attach %u is no FO_BPF_ATTACH_ value", out->attach);
	if (out->conntrack > FO_BPF_CONNTRACK_OFF)
		return fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "backend_options.conntrack", 0,
				    "conntrack %u is no FO_BPF_CONNTRACK_ value", out->conntrack);
	if (out->reserved)
		return fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "backend_options.reserved", 0,
				    "reserved must be zero: prepare the struct by FO_INIT()");
	if (!out->attach && options && (options->needs & FO_CAP_EGRESS_QDISC))
		out->attach = FO_BPF_ATTACH_TC;
	return 0;
}
