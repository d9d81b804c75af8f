/* SPDX-License-Identifier: BSD-2-Clause */
/* validate.h - what can be said about an argument without looking into any table.
 *
 * Pure functions: no allocation, no state, no knowledge of flows. Each takes a caller's struct of
 * any size (size.h), checks it, and writes a copy in this library's layout, defaults filled in;
 * *out is untouched on failure. The copy may be the argument itself (out == in) when that is this
 * library's own full-size struct. All return 0 or -errno with err filled (stage FO_STAGE_VALIDATE).
 *
 * Neighbours: validate.c (tables, ports, keys, matches), validate_adj.c, validate_flow.c and
 * needs.c have them, tuple.h is one direction by itself; the table's calls use them before they
 * touch anything.
 */
#ifndef FO_CORE_VALIDATE_H
#define FO_CORE_VALIDATE_H

#include <stdbool.h>

#include "flowoffload.h"

#define FO__CAPACITY_MAX (UINT32_C(1) << 30)
#define FO__WORKERS_MAX	 250u
#define FO__CAP_ALL	 ((UINT64_C(1) << FO_CAP_COUNT) - 1)

/* More ports than any router has, and few enough to look for duplicates without memory. */
#define FO__PORTS_MAX 4096u

/* What a caller's struct must have at least; the members behind read as zero when its header is
 * older. */
#define FO__OPTIONS_MIN offsetof(struct fo_table_options, port_stride)
#define FO__PORT_MIN	(offsetof(struct fo_port, state) + sizeof(uint32_t))
#define FO__ADJ_MIN	offsetof(struct fo_adj, flags)
#define FO__FLOW_MIN	offsetof(struct fo_flow, needs)
#define FO__KEY_MIN	offsetof(struct fo_key, scope)
#define FO__MATCH_MIN	offsetof(struct fo_match, reserved)

/* fo__check_options - out->ports, allocator and backend_options still point to the caller's memory.
 * After it: timeouts, stall_ms and port_stride are not 0, netns_fd is -1 or a descriptor (> 0),
 * hash is not FO_HASH_DEFAULT, and every port passed fo__check_port(). Backend names are not looked
 * up. */
int fo__check_options(const struct fo_table_options *in, struct fo_table_options *out, struct fo_error *err);

/* The i-th port of options that fo__check_options() accepted, in this library's layout. */
void fo__options_port(const struct fo_table_options *opts, size_t i, struct fo_port *out);

int fo__check_port(const struct fo_port *in, struct fo_port *out, struct fo_error *err);

/* fo__check_adj - out->l3_dev is not 0 afterwards. Whether the table has the port is not asked. */
int fo__check_adj(const struct fo_adj *in, struct fo_adj *out, struct fo_error *err);

/* fo__take_flow - a caller's flow of any size in this library's layout, nothing checked but the size. It is apart from
 * the check so that the way to the flow's keys can begin while they are judged. */
int fo__take_flow(const struct fo_flow *in, struct fo_flow *out, struct fo_error *err);

/* fo__check_flow - one that fo__take_flow() gave. Whether the handles live is not asked. */
int fo__check_flow(const struct fo_flow *flow, struct fo_error *err);

/* fo__check_update - the fields of in that mask names; the others are not looked at and are zero in
 * out. */
int fo__check_update(uint32_t mask, const struct fo_flow *in, struct fo_flow *out, struct fo_error *err);

/* fo__check_pair - the flow together with its two sides, all three checked before: what neither
 * shows alone. */
int fo__check_pair(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1,
		   struct fo_error *err);

/* fo__check_key - any tuple that a packet may show, addresses of every class; only what is no key
 * is refused. */
int fo__check_key(const struct fo_key *in, struct fo_key *out, struct fo_error *err);

/* fo__check_match - in NULL: everything (mask 0). The prefix comes back with its host bits cleared.
 * @walk: FO_MATCH_STATE is allowed. */
int fo__check_match(const struct fo_match *in, struct fo_match *out, bool walk, struct fo_error *err);

/* fo__check_timeout - what ageing can hold: at most FO_TIMEOUT_MAX_MS, or never. */
int fo__check_timeout(uint32_t timeout_ms, const char *field, struct fo_error *err);

/* fo__check_encaps - n of them, outermost first, the rest zero. */
int fo__check_encaps(const struct fo_encap encap[FO_MAX_ENCAPS], uint32_t n, struct fo_error *err);

/* fo__flow_needs - FO_CAP_ bits that a checked flow over these sides makes use of, its own needs
 * included. */
uint64_t fo__flow_needs(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1);

/* fo__adj_needs - the part of it that one side alone makes. */
uint64_t fo__adj_needs(const struct fo_adj *adj);

/* fo__options_needs - what a table needs of its backend: opts->needs, and what flags and netns_fd
 * imply. */
uint64_t fo__options_needs(const struct fo_table_options *opts);

/* fo__caps_text - names of the bits, "vlan, qinq", cut to fit. Returns text. */
const char *fo__caps_text(uint64_t bits, char *text, size_t size);

/* fo__check_adj_caps, fo__check_flow_caps - can this backend do it? After the checks above.
 * -EOPNOTSUPP: FO_R_UNSUPPORTED what the struct makes use of is missing (zero MACs where the caller
 * has to give them, too), FO_R_NEEDS what the caller asked for in flow->needs is. The text names
 * it. */
int fo__check_adj_caps(const struct fo_adj *adj, const struct fo_caps *caps, struct fo_error *err);
int fo__check_flow_caps(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1,
			const struct fo_caps *caps, struct fo_error *err);

#endif
