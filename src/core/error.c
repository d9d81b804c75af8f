/* SPDX-License-Identifier: BSD-2-Clause */
/* error.c - fills struct fo_error. See error.h; the words for the numbers are in names.c. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Composed beside *err first: the arguments may be strings that live in it. */
static void fill(struct fo_error *err, struct fo_error *next, const char *field, const char *fmt,
		 va_list args)
{
	/* Text that does not fit is cut; an encoding error leaves it empty rather than undefined. */
	if (field && snprintf(next->field, sizeof(next->field), "%s", field) < 0)
		next->field[0] = '\0';
	if (vsnprintf(next->text, sizeof(next->text), fmt, args) < 0)
		next->text[0] = '\0';
	*err = *next;
}

int fo__fail(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage, const char *field,
	     const char *fmt, ...)
{
	struct fo_error next = {.code = code, .reason = (uint16_t)reason, .stage = (uint16_t)stage};
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	fill(err, &next, field, fmt, args);
	va_end(args);
	return code;
}

int fo__fail_backend(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		     int backend_errno, const char *field, const char *fmt, ...)
{
	struct fo_error next = {.code = code,
				.reason = (uint16_t)reason,
				.stage = (uint16_t)stage,
				.backend_errno = backend_errno};
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	fill(err, &next, field, fmt, args);
	va_end(args);
	return code;
}
