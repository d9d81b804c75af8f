/* SPDX-License-Identifier: BSD-2-Clause */
/* order.h - in place of bpf_endian.h, for bpf_replica.c. */
#ifndef TESTS_NET_REPLICA_ORDER_H
#define TESTS_NET_REPLICA_ORDER_H

/* Not the C library's, whose headers do not go with the kernel's. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(x) __builtin_bswap16(x)
#else
#define bpf_htons(x) ((__u16)(x))
#endif
#define bpf_ntohs(x) bpf_htons(x)

#endif
