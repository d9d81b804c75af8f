/* SPDX-License-Identifier: BSD-2-Clause */
/* damage.h - what random packets differ by from right ones. Used by the random cases, and where two
 * implementations are given the same packets. */
#ifndef CONFORMANCE_DAMAGE_H
#define CONFORMANCE_DAMAGE_H

#include "packet.h"

/* Change one thing about the frame, or nothing that matters. pick: a number below its argument. */
void damage_spec(struct packet_spec *spec, uint32_t (*pick)(uint32_t below));

#endif /* CONFORMANCE_DAMAGE_H */
