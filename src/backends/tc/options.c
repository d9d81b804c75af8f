/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - struct fo_tc_options of any version, as this one knows it. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>
#include <stddef.h>

/* No struct of options is so large: a size beyond it was never set. */
#define OPTIONS_MOST  4096u
#define OPTIONS_LEAST offsetof(struct fo_tc_options, mode)
#define PRIORITY_MOST (UINT16_MAX - FO__TC_PRIOS)
#define THREADS_MOST  16u

static int refuse(struct fo_error *err, const char *field, enum fo_reason reason, const char *text)
{
	return fo__nl_refuse(err, -EINVAL, reason, FO_STAGE_VALIDATE, 0, field, "%s", text);
}

static int is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return 0;
	return 1;
}

static int check_values(const struct fo_tc_options *own, struct fo_error *err)
{
	const struct {
		const char *field;
		uint32_t value, most;
		const char *text;
	} rows[] = {
		{"backend_options.profile", own->profile, FO_TC_PROFILE_PPE,
		 "profile is no FO_TC_PROFILE_ value"},
		{"backend_options.mode", own->mode, FO_TC_CLEAN_UP, "mode is no FO_TC_ mode"},
		{"backend_options.bytes", own->bytes, FO_TC_BYTES_IP, "bytes is no FO_TC_BYTES_ value"},
		{"backend_options.conntrack", own->conntrack, FO_TC_CONNTRACK_OFF,
		 "conntrack is no FO_TC_CONNTRACK_ value"},
		{"backend_options.priority", own->priority, PRIORITY_MOST,
		 "priority leaves no room for eight behind it: choose a smaller one"},
		{"backend_options.helper_threads", own->helper_threads, THREADS_MOST,
		 "helper_threads is more than 16: drivers gain nothing from so many"},
		{"backend_options.guards_shown", own->guards_shown, 1, "guards_shown is 0 or 1"},
		{"backend_options.reserved", own->reserved, 0,
		 "reserved must be zero: prepare the struct by FO_INIT()"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value > rows[i].most)
			return refuse(err, rows[i].field, FO_R_ARGUMENT, rows[i].text);
	if (own->mode == FO_TC_SOFTWARE && own->profile == FO_TC_PROFILE_PPE)
		return refuse(err, "backend_options.profile", FO_R_ARGUMENT,
			      "profile ppe is for hardware: software decrements no TTL by itself");
	return 0;
}

/* Whoever runs "auto" has options of another backend, or none. */
static const struct fo_tc_options *given_to_us(const struct fo_table_options *options)
{
	if (!options || !options->backend || strcmp(options->backend, "tc") != 0)
		return NULL;
	return options->backend_options;
}

int fo__tc_options_take(const struct fo_table_options *options, struct fo_tc_options *out,
			struct fo_error *err)
{
	const struct fo_tc_options *given = given_to_us(options);
	size_t size = given ? given->size : sizeof(*out), known = size < sizeof(*out) ? size : sizeof(*out);
	int rc;

	FO_INIT(out);
	if (size < OPTIONS_LEAST || size > OPTIONS_MOST)
		return refuse(err, "backend_options.size", FO_R_SIZE,
			      "give a struct fo_tc_options made by FO_INIT()");
	if (given)
		memcpy(out, given, known);
	out->size = sizeof(*out);
	if (given && !is_zero((const uint8_t *)given + known, size - known))
		return refuse(err, "backend_options.size", FO_R_SIZE,
			      "the struct has fields that this library does not know: link a newer one, or "
			      "leave them zero");
	rc = check_values(out, err);
	if (!rc && !out->priority)
		out->priority = FO_TC_PRIORITY;
	if (!rc && out->mode == FO_TC_SOFTWARE)
		out->profile = FO_TC_PROFILE_EXPLICIT;
	return rc;
}
