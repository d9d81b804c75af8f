/* SPDX-License-Identifier: BSD-2-Clause */
/* tables.c - which tables this build has. See tables.h; bench/meson.build defines HAVE_ for what it found. */
#include "tables.h"

const struct table_kind *const tables[] = {
	&table_rte,  &table_rte_lf,
#ifdef HAVE_LFHT
	&table_lfht,
#endif
#ifdef HAVE_CK
	&table_ck,
#endif
#ifdef HAVE_ABSL
	&table_absl,
#endif
	NULL,
};

const char *tables_missing(void)
{
	static const char text[] = ""
#ifndef HAVE_LFHT
				   " liburcu's lfht (Debian: liburcu-dev)"
#endif
#ifndef HAVE_CK
				   " Concurrency Kit (Debian: libck-dev)"
#endif
#ifndef HAVE_ABSL
				   " Abseil (Debian: libabsl-dev, and a C++ compiler)"
#endif
		;

	return sizeof(text) > 1 ? text : NULL;
}
