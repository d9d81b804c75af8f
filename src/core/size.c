/* SPDX-License-Identifier: BSD-2-Clause */
/* size.c - reads and answers structs of another header's size. See size.h.
 *
 * Sizes and members are read with memcpy: an array's stride is the caller's and need not align
 * them.
 */
#include "core/size.h"

#include <errno.h>
#include <stdbool.h>

#include "core/error.h"

static size_t size_of(const void *tagged)
{
	size_t size;

	memcpy(&size, tagged, sizeof(size));
	return size;
}

static bool zero_from(const unsigned char *bytes, size_t from, size_t to)
{
	for (; from < to; from++)
		if (bytes[from])
			return false;
	return true;
}

int fo__give_check(const void *dst, size_t min_size, const char *what, struct fo_error *err)
{
	size_t size;

	if (!dst)
		return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, what,
				"%s is NULL: pass a struct prepared with FO_INIT()", what);
	size = size_of(dst);
	if (size < min_size || size > FO__SIZE_MAX || size % sizeof(size_t))
		return fo__fail(err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "size",
				"size of %s is %zu, which no version of the header has: use FO_INIT()", what,
				size);
	return 0;
}

int fo__take(void *dst, size_t known, size_t min_size, const void *src, const char *what,
	     struct fo_error *err)
{
	size_t size;
	int rc = fo__give_check(src, min_size, what, err);

	if (rc)
		return rc;
	size = size_of(src);
	if (size > known && !zero_from(src, known, size))
		return fo__fail(err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "size",
				"%s has size %zu and uses members behind the %zu bytes that this "
				"library (%s) knows: leave them zero or link a newer one",
				what, size, known, fo_version());
	memset(dst, 0, known);
	memcpy(dst, src, size < known ? size : known);
	memcpy(dst, &known, sizeof(known));
	return 0;
}

int fo__give(void *dst, const void *src, size_t known, size_t min_size, const char *what,
	     struct fo_error *err)
{
	size_t size;
	int rc = fo__give_check(dst, min_size, what, err);

	if (rc)
		return rc;
	size = size_of(dst);
	memset(dst, 0, size);
	memcpy(dst, src, size < known ? size : known);
	memcpy(dst, &size, sizeof(size));
	return 0;
}
