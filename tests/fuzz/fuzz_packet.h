/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_packet.h - the head of a packet in the packet fuzzer's input; 16 bits are little-endian.
 *
 *   0      bits 0-2: ingress port, 7 is an unknown one; bits 3-6: alignment as guard_place() has it, above 8: 0
 *   1      bits 0-2: FO_PKT_ flags; bits 4-5: which scope; bits 6-7: which TPID
 *   2      headroom, modulo 49
 *   3  4   gso_size
 *   5  6   csum_start
 *   7  8   csum_offset
 *   9  10  vlan_tci
 *   11     how many bytes are contiguous, 0: all
 *   12     times 255: bytes of the frame that lie elsewhere
 *   13     milliseconds since the packet before
 *   14 15  bytes of the frame that follow
 *
 * fuzz_packet.c reads it, packet_seeds.c writes it.
 */
#ifndef FUZZ_FUZZ_PACKET_H
#define FUZZ_FUZZ_PACKET_H

#define HEAD_SIZE 16u

#endif
