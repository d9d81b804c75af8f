/* SPDX-License-Identifier: BSD-2-Clause */
/* lookup.h - the reader's side of the index: what src/fastpath needs of the flow table. index.h says what readers rely
 * on, tags.h has fo__bucket_match(). */
#ifndef FO_FASTPATH_LOOKUP_H
#define FO_FASTPATH_LOOKUP_H

#include "flowtable/flowtable.h"
#include "flowtable/tags.h"

#endif
