/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_packet.h - between the parser (npu_parse.c) and the rest of the packet engine (npu_packet.c, npu_rewrite.c). */
#ifndef NPU_PACKET_H
#define NPU_PACKET_H

#include "npu_core.h"

#define NPU_TYPE_IPV4  0x0800u
#define NPU_TYPE_IPV6  0x86ddu
#define NPU_TYPE_8021Q 0x8100u
#define NPU_TYPE_AD    0x88a8u
#define NPU_TYPE_PPPOE 0x8864u
#define NPU_PPP_IPV4   0x0021u
#define NPU_PPP_IPV6   0x0057u

#define NPU_TCP	   6u
#define NPU_UDP	   17u
#define NPU_ICMP   1u
#define NPU_ICMPV6 58u

#define NPU_TCP_FIN 0x01u
#define NPU_TCP_SYN 0x02u
#define NPU_TCP_RST 0x04u

/* More than any interface can say, so that what is not terminated here is seen and not mistaken. */
#define NPU_PARSED_TAGS 3u

struct npu_parsed {
	const uint8_t *frame;
	size_t length;
	size_t l3;	/* offsets from frame */
	size_t l3_room; /* bytes from l3 that may be the IP packet */
	size_t ip_length;
	size_t l4;
	uint8_t tcp_flags;
	bool icmp_other; /* not an echo; only the seeded fault goes on with it */
	uint32_t n_tags;
	struct npu_tag tag[NPU_PARSED_TAGS];
	struct npu_tuple tuple;
};

static inline uint16_t npu_load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void npu_store16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

enum npu_trap npu_parse(const struct npu_device *dev, const uint8_t *frame, size_t length,
			struct npu_parsed *out);
/* Write the frame that leaves; out->data has room for it. */
void npu_rewrite_frame(const struct npu_device *dev, const struct npu_entry *entry,
		       const struct npu_parsed *in, struct npu_output *out);
size_t npu_l2_length(const struct npu_interface *to);
/* Where the L4 checksum is, from the L4 header on. */
size_t npu_csum_offset(uint8_t proto);

#endif /* NPU_PACKET_H */
