/* SPDX-License-Identifier: BSD-2-Clause */
/* model.h - the reference: what must become of a packet, said as plainly as possible.
 *
 * Small, naive and independent: written from the contract (docs/ARCHITECTURE.md, flowoffload.h)
 * and the RFCs, sharing no line with the library. A list of flows searched one by one, checksums
 * mended one 16-bit word at a time (RFC 1624, equation 3), no speed. Keeps the state that
 * packets change: counters, last seen, closing after FIN or RST.
 * */
#ifndef CONFORMANCE_MODEL_H
#define CONFORMANCE_MODEL_H

#include "packet.h"
#include "rig.h"

enum model_life {
	MODEL_GONE = 0,
	MODEL_LIVE,
	MODEL_CLOSING, /* FIN or RST was seen, or it was deleted */
	MODEL_INVALIDATED,
	MODEL_EGRESS_DOWN
};

struct model_flow {
	enum model_life life;
	struct fo_flow flow;
	struct fo_adj adj[2]; /* copies of the two sides */
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t last_seen_ms[2];
};

struct model {
	struct model_flow *flows;
	unsigned int n_flows;
	uint64_t caps; /* which of FO_CAP_PUNT_* hold; others forward */
};

/* What must happen. */
struct model_answer {
	unsigned int verdict; /* enum fo_verdict */
	unsigned int reason;  /* the exact one */
	uint64_t reasons;     /* bit r: reason r is right too (where the contract fixes no order) */
	int flow;	      /* index into flows, -1: none */
	enum fo_dir dir;
	uint32_t out_port;
	uint32_t flags;
	uint16_t csum_start;
	uint32_t l3_in;	     /* offset of the IP header in the packet as it came */
	uint32_t l3_bytes;   /* what the flow's byte counter gains */
	unsigned int closes; /* FO_R_TCP_FIN or FO_R_TCP_RST: this packet closes the flow */
	uint32_t length;
	uint8_t frame[PACKET_MAX]; /* FORWARD: the frame as it must leave */
};

/* Judge one packet, changing nothing. */
void model_judge(const struct model *model, const struct rig_packet *packet, struct model_answer *answer);
/* Judge it and take note: counters, last seen, closing. */
void model_packet(struct model *model, const struct rig_packet *packet, uint64_t now_ms,
		  struct model_answer *answer);
/* RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). */
uint16_t model_csum_word(uint16_t csum, uint16_t from, uint16_t to);

#endif /* CONFORMANCE_MODEL_H */
