/* SPDX-License-Identifier: BSD-2-Clause */
/* nft.h - the nf_flowtable backend, for the registry's list of built-in ones. */
#ifndef FO_BACKENDS_NFT_H
#define FO_BACKENDS_NFT_H

#include "flowoffload-backend.h"

extern const struct fo_backend fo__backend_nft;

#endif
