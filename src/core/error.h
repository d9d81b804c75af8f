/* SPDX-License-Identifier: BSD-2-Clause */
/* error.h - how every refusal is written down.
 *
 * All of src/core and the built-in backends fail through these two functions, so that each struct
 * fo_error is complete: code, reason, stage, field and one sentence. Neighbours: names.c has the
 * words for the numbers.
 */
#ifndef FO_CORE_ERROR_H
#define FO_CORE_ERROR_H

#include "flowoffload.h"

#if defined(__GNUC__)
#define FO__PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#else
#define FO__PRINTF(fmt_arg, first_arg)
#endif

/* fo__fail - fill err and hand code back, so that a check is one line: return fo__fail(...).
 * @err:   the caller's; NULL is accepted.
 * @code:  -errno, the value that the public call returns.
 * @field: path of the argument, such as "tuple[1].family"; NULL when it is none's fault.
 * @fmt:   one sentence: what is wrong and what to do about it. Cut to fit. May name strings that
 *         live in *err.
 */
int fo__fail(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage, const char *field,
	     const char *fmt, ...) FO__PRINTF(6, 7);

/* The same with the errno (> 0) that a kernel or a device gave. */
int fo__fail_backend(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		     int backend_errno, const char *field, const char *fmt, ...) FO__PRINTF(7, 8);

#endif
