/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_exceptions.c - where backend bpf does not keep the contract, by the kernel. See exceptions.h. */
#include "exceptions.h"

const struct rig_exception bpf_xdp_exceptions[] = {
	{"lengths/mtu_exact_goes_one_more_passes", "mtu 9000: passed on (none), should be forwarded", 0,
	 EXCEPTION_KERNEL(6, 2),
	 "at native XDP: the kernel redirects no frame that lies in several buffers (more than a page); such "
	 "are passed on"},
	{0, 0, 0, 0, 0},
};
