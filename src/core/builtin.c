/* SPDX-License-Identifier: BSD-2-Clause */
/* builtin.c - the list of backends that this library was built with, and nothing else.
 *
 * The only file that knows their names: each is a build option. Neighbour: registry.c.
 */
#include "core/registry.h"

#ifdef FO_BACKEND_NFT
#include "backends/nft/nft.h"
#endif
#ifdef FO_BACKEND_SOFT
#include "backends/soft/soft.h"
#endif
#ifdef FO_BACKEND_BPF
#include "backends/bpf/bpf.h"
#endif
#ifdef FO_BACKEND_TC
#include "backends/tc/tc.h"
#endif

const struct fo_backend *const fo__builtin[] = {
#ifdef FO_BACKEND_SOFT
	&fo__backend_soft,
#endif
#ifdef FO_BACKEND_NFT
	&fo__backend_nft,
#endif
#ifdef FO_BACKEND_BPF
	&fo__backend_bpf,
#endif
#ifdef FO_BACKEND_TC
	&fo__backend_tc,
#endif
	NULL,
};
