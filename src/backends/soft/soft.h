/* SPDX-License-Identifier: BSD-2-Clause */
/* soft.h - the software backend, for the registry's list of built-in ones. */
#ifndef FO_BACKENDS_SOFT_H
#define FO_BACKENDS_SOFT_H

#include "flowoffload-backend.h"

extern const struct fo_backend fo__backend_soft;

#endif
