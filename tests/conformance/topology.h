/* SPDX-License-Identifier: BSD-2-Clause */
/* topology.h - the sides and connections that the cases are about: a LAN, a WAN, any
 * encapsulation, any NAT. */
#ifndef CONFORMANCE_TOPOLOGY_H
#define CONFORMANCE_TOPOLOGY_H

#include "env.h"

#define LAN   ENV_PORT_0 /* port numbers */
#define WAN   (ENV_PORT_0 + 1)
#define DMZ   (ENV_PORT_0 + 2)
#define SPARE (ENV_PORT_0 + 3)

enum encaps { PLAIN, Q, AD, QINQ, PPPOE, Q_PPPOE, QINQ_PPPOE, N_ENCAPS };
extern const char *const encaps_name[N_ENCAPS];
/* FO_CAP_ bits that a side of this kind needs. */
uint64_t encaps_caps(enum encaps encaps);
unsigned int encaps_count(enum encaps encaps);

enum nat { NAT_NONE, NAT_SRC, NAT_DST, NAT_BOTH, NAT_HAIRPIN, NAT_PORT, N_NAT };
extern const char *const nat_name[N_NAT];
uint64_t nat_caps(enum nat nat, unsigned int family, unsigned int proto);

/* The router's side at a port: MACs and tag numbers depend on the port, MTU 1500 (1492 with
 * PPPoE). */
void side(struct fo_adj *adj, uint32_t port, enum encaps encaps);
/* A connection of this kind; n tells connections apart (addresses, ports, identifiers). adj[] is
 * left 0. */
void connection(struct fo_flow *flow, unsigned int family, unsigned int proto, enum nat nat, unsigned int n);
uint64_t connection_caps(unsigned int family, unsigned int proto, enum nat nat);
/* The usual: plain LAN and WAN sides and one TCP over IPv4 connection with SNAT, added. Returns
 * its index. */
unsigned int usual(struct env *env);
/* ... not yet added: adj[] filled in (the sides are registered once per env). */
void usual_flow(struct env *env, struct fo_flow *flow, unsigned int n);
/* A connection between two plain sides, added. */
unsigned int plain(struct env *env, unsigned int family, unsigned int proto, enum nat nat, unsigned int n);
/* Fill in adj[] with the plain LAN and WAN sides. */
void between(struct env *env, struct fo_flow *flow);

#endif /* CONFORMANCE_TOPOLOGY_H */
