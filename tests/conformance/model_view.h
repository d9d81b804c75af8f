/* SPDX-License-Identifier: BSD-2-Clause */
/* model_view.h - what the reference reads out of a frame: between model_parse.c, which fills it
 * in, and model.c. */
#ifndef CONFORMANCE_MODEL_VIEW_H
#define CONFORMANCE_MODEL_VIEW_H

#include "rig.h"

#define MODEL_BIT(reason) (UINT64_C(1) << (reason))

/* What a frame says about itself. */
struct model_view {
	unsigned int n_tags;
	struct {
		unsigned int kind, id;
	} tag[3]; /* VLAN tags in order, then the PPPoE session */
	uint32_t l3;
	uint32_t room; /* bytes from l3 to the end of what L2 says is the packet */
	uint32_t ip_len;
	uint32_t l4;
	uint32_t l4_len;
	unsigned int tcp_flags;
	struct fo_tuple tuple;
};

/* 0, or the reasons (MODEL_BIT) for which this frame is no candidate for any flow. */
uint64_t model_parse(const struct rig_packet *packet, struct model_view *view);

#endif /* CONFORMANCE_MODEL_VIEW_H */
