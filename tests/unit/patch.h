/* SPDX-License-Identifier: BSD-2-Clause */
/* patch.h - one member of a struct set to a value, as a row of a table: what turns a good argument into a bad one.
 *
 * Used by the validation tests.
 */
#ifndef UNIT_PATCH_H
#define UNIT_PATCH_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "flowoffload.h"

struct patch {
	size_t offset;
	size_t length; /* 1, 2, 4 or 8; 0: no patch */
	uint64_t value;
};

#define SET(type, member, number)                                                                            \
	{                                                                                                    \
		offsetof(type, member), sizeof(((type *)0)->member), (number)                                \
	}

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BE16(number) ((uint16_t)(number))
#else
#define BE16(number) ((uint16_t)((((number)&0xffu) << 8) | (((number) >> 8) & 0xffu)))
#endif

static inline void patch_apply(void *target, const struct patch *patch)
{
	uint8_t u8 = (uint8_t)patch->value;
	uint16_t u16 = (uint16_t)patch->value;
	uint32_t u32 = (uint32_t)patch->value;
	const void *from = &patch->value;

	switch (patch->length) {
	case 0:
		return;
	case 1:
		from = &u8;
		break;
	case 2:
		from = &u16;
		break;
	case 4:
		from = &u32;
		break;
	case 8:
		break;
	default:
		ck_abort_msg("a patch of %zu bytes", patch->length);
	}
	memcpy((unsigned char *)target + patch->offset, from, patch->length);
}

/* One bad argument and how it has to be refused. */
struct refusal {
	struct patch patch[3];
	int code;
	unsigned int reason;
	const char *field;
};

static inline void expect_error(const struct fo_error *err, int rc, int code, unsigned int reason,
				const char *field)
{
	ck_assert_msg(rc == code, "%s: returned %d instead of %d: %s", field, rc, code, err->text);
	ck_assert_int_eq(err->code, code);
	ck_assert_msg(err->reason == reason, "%s: reason %s instead of %s", field,
		      fo_reason_name(err->reason), fo_reason_name(reason));
	ck_assert_str_eq(err->field, field);
	ck_assert_msg(strlen(err->text) > 20, "%s: no sentence", field);
	ck_assert_msg(strlen(err->text) < sizeof(err->text) - 1, "%s: cut: %s", field, err->text);
}

#endif
