/* SPDX-License-Identifier: BSD-2-Clause */
/* rigs.c - the rigs that this build knows; add yours here. */
#include "rig.h"

const struct rig *const rig_list[] = {
	&rig_soft,
#ifdef HAVE_RIG_NPU
	&rig_npu,
#endif
#ifdef HAVE_RIG_NFT
	&rig_nft,    &rig_nft_nic,    &rig_nft_ppe,
#endif
#ifdef HAVE_RIG_BPF
	&rig_bpf_tc, &rig_bpf_xdp,    &rig_bpf_generic,
#endif
#ifdef HAVE_RIG_TC
	&rig_tc,     &rig_tc_threads, &rig_tc_ppe,
#endif
	NULL,
};
