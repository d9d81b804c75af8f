/* SPDX-License-Identifier: BSD-2-Clause */
/* packet.h - builds Ethernet frames for the tests: any encapsulation, right or deliberately
 * wrong.
 *
 * Used by the cases, the random differential test and the stress test; knows nothing of tables.
 * model.h says what must become of a frame.
 * */
#ifndef CONFORMANCE_PACKET_H
#define CONFORMANCE_PACKET_H

#include "flowoffload.h"

#define PACKET_MAX	 (65535u + 64u)
#define PACKET_MAX_ENCAP 4u
#define PACKET_MAX_EXT	 4u

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

/* How the L4 checksum is written. */
enum packet_csum {
	PACKET_CSUM_GOOD = 0,
	PACKET_CSUM_WRONG,  /* the right one xor csum_value */
	PACKET_CSUM_GIVEN,  /* csum_value */
	PACKET_CSUM_PARTIAL /* pseudo header sum, not complemented: for FO_PKT_CSUM_PARTIAL */
};

/* Everything that can be said about one frame. packet_spec_init() gives a valid one; change what
 * the test is about. */
struct packet_spec {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	unsigned int n_encaps;
	struct fo_encap encap[PACKET_MAX_ENCAP]; /* outermost first; pcp and dei are written, id 0 allowed */
	struct fo_tuple tuple; /* family, protocol, addresses, ports; ICMP: identifier, type and code */
	uint8_t ttl;
	uint8_t tos; /* DSCP and ECN */
	uint16_t ip_id;
	uint16_t frag; /* IPv4 flags and offset field; IPv6: a fragment header with this field when not 0 */
	uint32_t flow_label;	  /* IPv6, 20 bits */
	unsigned int options_len; /* IPv4 options, a multiple of 4 */
	unsigned int n_ext;	  /* IPv6 extension headers of 8 bytes each, before L4 */
	uint8_t ext[PACKET_MAX_EXT];
	uint8_t tcp_flags;
	unsigned int tcp_options_len; /* a multiple of 4 */
	unsigned int payload_len;
	uint32_t payload_seed; /* the payload's pattern */
	unsigned int padding;  /* bytes after the IP packet */
	enum packet_csum csum;
	uint16_t csum_value;
	uint16_t ip_csum_xor; /* IPv4 header checksum: 0 right */
	/* lies, added to the true value */
	int ip_len_delta;
	int l4_len_delta; /* UDP length */
	int ppp_len_delta;
	int data_offset; /* TCP data offset in words; -1: the true one */
	int version;	 /* version nibble; -1: the true one */
	int ihl;	 /* IPv4; -1: the true one */
};

/* A frame and where its parts are. Large: keep it static or on the heap. */
struct packet_frame {
	uint32_t length;
	uint32_t l3;	  /* offset of the IP header */
	uint32_t l4;	  /* offset of the L4 header (behind options and extension headers) */
	uint32_t payload; /* offset of the payload */
	uint32_t l4_csum; /* offset of the L4 checksum */
	uint32_t end;	  /* offset behind the IP packet (padding starts here) */
	uint8_t bytes[PACKET_MAX];
};

/* A valid frame that arrives by side and has this tuple: TTL 64, 32 bytes of payload, TCP flags
 * ACK. */
void packet_spec_init(struct packet_spec *spec, const struct fo_tuple *tuple, const struct fo_adj *side);
/* Write the frame. A spec that does not fit PACKET_MAX is a fault of the caller's (abort). */
void packet_build(const struct packet_spec *spec, struct packet_frame *out);

/* Ones' complement sum of bytes (big-endian words, an odd last byte padded), added to sum; and
 * its fold to 16 bits. */
uint32_t packet_sum(const uint8_t *bytes, size_t len, uint32_t sum);
uint16_t packet_fold(uint32_t sum);
/* Is the L4 checksum of this frame's IP packet right (recomputed from scratch)? l3: offset of
 * the IP header. Only for frames without options, extension headers and partial checksums. UDP
 * over IPv4 with 0 counts as right. */
int packet_l4_csum_ok(const uint8_t *frame, uint32_t l3, uint32_t length);
int packet_ip_csum_ok(const uint8_t *frame, uint32_t l3);

uint16_t packet_get16(const uint8_t *p);
void packet_put16(uint8_t *p, uint32_t value);

#endif /* CONFORMANCE_PACKET_H */
