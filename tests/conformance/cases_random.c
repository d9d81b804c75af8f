/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_random.c - differential: random packets, most of them damaged, against the model, byte
 * for byte. The seed is fixed, so that a failure comes again; FO_CONFORMANCE_SEED sets another
 * one. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "damage.h"
#include "topology.h"

#define PACKETS 20000u

static uint64_t state;

/* xorshift64*: enough for choosing, the same everywhere. */
static uint32_t pick(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 2685821657736338717u) >> 33) % below;
}

static struct packet_frame frames[ENV_BURST];

/* An IP packet shorter than its PPP frame may be read as padded or as a lie; the contract does
 * not say. */
static int undecided(const struct packet_spec *spec)
{
	return spec->ip_len_delta < 0 && spec->n_encaps &&
	       spec->encap[spec->n_encaps - 1].kind == FO_ENCAP_PPPOE;
}

/* What a port of the usual MTU takes in, with a tag. */
#define LONGEST_IN 1518u

/* What this rig cannot show, or its exceptions are about. */
static int left_out(const struct env *env, const struct fo_adj *adj, const struct packet_spec *spec,
		    const struct packet_frame *frame)
{
	unsigned int i;

	if (!(env->rig->features & RIG_OVERSIZE) && frame->length > LONGEST_IN)
		return 1;
	if ((env->rig->limits & RIG_UNICAST) && (frame->bytes[0] & 1))
		return 1;
	if ((env->rig->limits & RIG_NO_SYN) && (spec->tcp_flags & TCP_SYN))
		return 1;
	if ((env->rig->limits & RIG_TRUE_TAGS) && spec->n_encaps != adj->n_encaps)
		return 1;
	for (i = 0; i < spec->n_encaps && (env->rig->limits & RIG_TRUE_TAGS); i++)
		if (spec->encap[i].id != adj->encap[i].id)
			return 1;
	return (env->rig->limits & RIG_TRUE_HEADERS) &&
	       (spec->padding || spec->ip_len_delta || spec->l4_len_delta || spec->data_offset >= 0 ||
		spec->version >= 0);
}

static void random_packet(const struct env *env, struct rig_packet *packet, struct packet_frame *frame)
{
	struct packet_spec spec;
	unsigned int flow, dir, n;

	do {
		flow = pick(env->model.n_flows);
		dir = pick(2);
		env_spec(env, flow, (enum fo_dir)dir, &spec);
		spec.payload_len = pick(300);
		spec.payload_seed = pick(1u << 30);
		spec.tos = (uint8_t)pick(256);
		spec.ip_id = (uint16_t)pick(0x10000);
		for (n = pick(3); n; n--)
			damage_spec(&spec, pick);
		packet_build(&spec, frame);
	} while (undecided(&spec) || left_out(env, &env->flows[flow].adj[dir], &spec, frame));
	env_packet(packet, frame, env->flows[flow].adj[dir].port);
	packet->scope = env->flows[flow].flow.scope;
	if (!pick(20))
		packet->in_port = 1 + pick(5);
	if (!(env->rig->limits & RIG_TRUE_HEADERS) && !pick(20))
		packet->length = pick(packet->length + 1);
	if (env->rig->features & RIG_HEADROOM)
		packet->headroom = (uint16_t)(pick(4) ? ENV_HEADROOM : pick(20));
	if ((env->rig->features & RIG_META) && !pick(3) && packet->length > 1)
		packet->contiguous = 1 + pick(packet->length);
	if ((env->rig->features & RIG_SCOPES) && !pick(40))
		packet->scope ^= 1;
	if ((env->rig->features & RIG_META) && (spec.tuple.proto == 6 || spec.tuple.proto == 17) &&
	    !pick(25)) {
		packet->flags = FO_PKT_GSO | (pick(8) ? FO_PKT_CSUM_PARTIAL : 0);
		packet->gso_size = (uint16_t)pick(2000);
		packet->csum_start = (uint16_t)frame->l4;
		packet->csum_offset = (uint16_t)(frame->l4_csum - frame->l4);
	}
}

static void populate(struct env *env)
{
	static const struct {
		unsigned int family, proto;
	} kinds[] = {{4, 6}, {4, 17}, {4, 1}, {6, 6}, {6, 17}, {6, 58}};
	unsigned int want = env_room(env, 24), i;

	for (i = 0; i < 400 && env->model.n_flows < want; i++) {
		unsigned int k = pick(6), e = pick(N_ENCAPS), o = pick(N_ENCAPS);
		enum nat nat = (enum nat)pick(N_NAT);
		struct fo_flow flow;
		struct fo_adj adj;

		if (!env_has(env,
			     connection_caps(kinds[k].family, kinds[k].proto, nat) |
				     encaps_caps((enum encaps)e) | encaps_caps((enum encaps)o),
			     encaps_count((enum encaps)e) > encaps_count((enum encaps)o)
				     ? encaps_count((enum encaps)e)
				     : encaps_count((enum encaps)o)))
			continue;
		connection(&flow, kinds[k].family, kinds[k].proto, nat, i);
		if ((env->caps.can & FO_CAP_SCOPE) && (env->rig->features & RIG_SCOPES))
			flow.scope = (uint16_t)pick(3);
		if (env->caps.can & FO_CAP_DSCP)
			flow.dscp[pick(2)] = FO_DSCP_SET(pick(64));
		side(&adj, LAN, (enum encaps)e);
		flow.adj[0] = env_adj(env, &adj);
		side(&adj, WAN, (enum encaps)o);
		if (!(env->rig->limits & RIG_ONE_MTU))
			adj.mtu = kinds[k].family == 4 ? 68 + pick(1432) : 1280 + pick(220);
		flow.adj[1] = env_adj(env, &adj);
		env_add(env, &flow);
	}
	REQUIRE(env->model.n_flows > 1);
}

static void random_packets(struct env *env)
{
	const char *seed = getenv("FO_CONFORMANCE_SEED");
	struct rig_packet packets[ENV_BURST];
	unsigned int done = 0, i;
	uint64_t forwarded = 0;

	state = seed ? strtoull(seed, NULL, 0) | 1 : 0x20260711u;
	populate(env);
	while (done < PACKETS) {
		unsigned int n = (env->rig->features & RIG_BURSTS) ? 1 + pick(ENV_BURST) : 1;

		suite_context("seed 0x%llx, packet %u",
			      (unsigned long long)(seed ? strtoull(seed, NULL, 0) | 1 : 0x20260711u), done);
		for (i = 0; i < n; i++)
			random_packet(env, &packets[i], &frames[i]);
		env_burst(env, packets, n);
		done += n;
	}
	for (i = 0; i < env->model.n_flows; i++) {
		env_check_counters(env, i);
		forwarded += env->flows[i].packets[0] + env->flows[i].packets[1];
	}
	/* a mix worth the name: neither verdict is rare */
	REQUIRE(forwarded > PACKETS / 5 && forwarded < PACKETS / 5 * 4);
}

static const struct suite_case random_cases[] = {
	{.name = "random_packets_against_the_model", .run = random_packets},
};
SUITE_GROUP(group_random, "random", random_cases);
