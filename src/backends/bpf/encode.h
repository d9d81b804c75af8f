/* SPDX-License-Identifier: BSD-2-Clause */
/* encode.h - flows and adjacencies as the program finds them in its maps, and back. Needs neither the kernel nor libbpf, so that
 * tests can run the program's source against it on any machine.
 */
#ifndef FO_BACKENDS_BPF_ENCODE_H
#define FO_BACKENDS_BPF_ENCODE_H

#include "flowoffload-backend.h"

#include "backends/bpf/layout.h"

union fo__bpf_key {
	struct fo__bpf_key4 v4;
	struct fo__bpf_key6 v6;
};

union fo__bpf_element {
	struct fo__bpf_flow flow;
	struct fo__bpf_flow4 v4;
	struct fo__bpf_flow6 v6;
};

void fo__bpf_build_key(const struct fo_tuple *tuple, uint32_t ingress, union fo__bpf_key *key);
/* A direction as its packets arrive, out of its key. */
void fo__bpf_read_tuple(uint8_t family, const union fo__bpf_key *key, struct fo_tuple *out);
/* slots: of the table; side: numbers of the flow's. */
void fo__bpf_build_element(const struct fo_backend_flow *flow, uint32_t slots, unsigned int dir,
			   const uint32_t side[2], union fo__bpf_element *out);
/* Tags and session, as in a key of the map ingress. */
uint64_t fo__bpf_encap_word(const struct fo_adj *adj);
void fo__bpf_build_entry(const struct fo_adj *adj, uint32_t ingress, struct fo__bpf_entry *entry);

#endif /* FO_BACKENDS_BPF_ENCODE_H */
