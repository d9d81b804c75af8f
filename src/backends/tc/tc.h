/* SPDX-License-Identifier: BSD-2-Clause */
/* tc.h - the backend "tc": flower filters that drivers put into hardware. For the list of built-in backends. */
#ifndef FO_BACKENDS_TC_TC_H
#define FO_BACKENDS_TC_TC_H

#include "flowoffload-backend.h"

extern const struct fo_backend fo__backend_tc;

#endif
