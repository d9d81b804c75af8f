/* SPDX-License-Identifier: BSD-2-Clause */
/* refusal.c - what went wrong at the kernel, as a struct fo_error. See netlink.h. */
#include "netlink/netlink.h"

#include <errno.h>
#include <stdio.h>

int fo__nl_vrefuse(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		   int backend_errno, const char *field, const char *fmt, va_list args)
{
	struct fo_error made;

	if (!err)
		return code;
	memset(&made, 0, sizeof(made));
	made.code = code;
	made.reason = (uint16_t)reason;
	made.stage = (uint16_t)stage;
	made.backend_errno = backend_errno;
	if (field)
		(void)snprintf(made.field, sizeof(made.field), "%s", field);
	(void)vsnprintf(made.text, sizeof(made.text), fmt, args);
	/* Last: the arguments may lie in *err. */
	*err = made;
	return code;
}

int fo__nl_refuse(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		  int backend_errno, const char *field, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)fo__nl_vrefuse(err, code, reason, stage, backend_errno, field, fmt, args);
	va_end(args);
	return code;
}

static enum fo_reason reason_of(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		return FO_R_PERMISSION;
	case ENOMEM:
		return FO_R_MEMORY;
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return FO_R_UNSUPPORTED;
	default:
		return FO_R_BACKEND;
	}
}

int fo__nl_refused(struct fo_error *err, int code, enum fo_stage stage, const struct fo__nl_answer *answer,
		   const char *what)
{
	int error = answer && answer->error ? answer->error : -code;
	const char *words = answer && answer->words[0] ? answer->words : "";

	return fo__nl_refuse(err, code, reason_of(error), stage, error, NULL, "%s: %s%s%s", what,
			     strerror(error), *words ? ": the kernel says: " : "", words);
}
