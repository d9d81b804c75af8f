/* SPDX-License-Identifier: GPL-2.0 */
/* model.c - the simulated hardware's parser and rewriter against the model of the conformance suite, byte for byte.
 *
 * The module's own frame.c and rewrite.c are built as a program (kernel.h) and given random packets of random connections,
 * most of them damaged. What the model says must be forwarded has to leave as the model says; what it says must pass has
 * to go to the host as it came. So what a backend is compared with in the lab, and what the hardware does by itself, are
 * known to be the same. Frames lie at the end of memory of their exact size, for sanitizers to watch.
 *
 *   hwsim-model [PACKETS [SEED]]
 */
#include "../hwsim.h"

#include <linux/tc_act/tc_csum.h>
#include <stdio.h>

#include "damage.h"
#include "model.h"

#define FLOWS 48u
#define RULES (2u * FLOWS)

enum mode { EXPLICIT, FLOWTABLE, PPE, MODES };
static const char *const mode_name[] = {"explicit", "flowtable", "ppe"};

struct sim sim = {.guards = SIM_G_ALL};
static struct net_device devices[RULES];
static struct sim_port ports[RULES];
static struct {
	struct sim_match match;
	struct sim_act act;
} rules[RULES];
static struct model_flow flows[FLOWS];
static uint64_t state;

static uint32_t pick(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 2685821657736338717u) >> 33) % below;
}

/* ---- Connections ---- */

static void tag(struct fo_adj *adj, unsigned int kind, unsigned int id)
{
	struct fo_encap *encap = &adj->encap[adj->n_encaps++];

	encap->kind = (uint16_t)kind;
	encap->id = (uint16_t)id;
	if (kind != FO_ENCAP_PPPOE) {
		encap->pcp = (uint8_t)pick(8);
		encap->dei = (uint8_t)pick(2);
	}
}

static void make_side(struct fo_adj *adj, unsigned int port, unsigned int kind, int session)
{
	memset(adj, 0, sizeof(*adj));
	adj->port = port;
	memcpy(adj->own_mac, (const uint8_t[]){2, 0, 0, 0, (uint8_t)port, 1}, 6);
	memcpy(adj->peer_mac, (const uint8_t[]){2, 0, 0, 0, (uint8_t)port, 2}, 6);
	adj->mtu = pick(3) ? 1500 : 68 + pick(600);
	if (kind == 2 || kind == 3)
		tag(adj, FO_ENCAP_8021AD, 1 + pick(5));
	if (kind == 1 || kind == 3)
		tag(adj, FO_ENCAP_8021Q, 1 + pick(5));
	if (session)
		tag(adj, FO_ENCAP_PPPOE, 1 + pick(5));
}

static void make_address(uint8_t *address, unsigned int family, unsigned int n)
{
	memset(address, 0, 16);
	if (family == FO_FAMILY_IPV6)
		memcpy(address, (const uint8_t[]){0xfd, 1}, 2);
	else
		address[0] = 10;
	address[family == FO_FAMILY_IPV6 ? 14 : 2] = (uint8_t)(n >> 8);
	address[family == FO_FAMILY_IPV6 ? 15 : 3] = (uint8_t)n;
}

static void make_flow(struct model_flow *f, unsigned int n, enum mode mode)
{
	struct fo_tuple *there = &f->flow.tuple[0], *back = &f->flow.tuple[1];
	unsigned int nat = pick(16);

	memset(f, 0, sizeof(*f));
	f->life = MODEL_LIVE;
	there->family = pick(2) ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6;
	there->proto = pick(2) ? 6 : 17;
	make_address(there->src, there->family, 256 + n);
	make_address(there->dst, there->family, 512 + n);
	there->sport_be = htons((uint16_t)(1000 + n));
	there->dport_be = htons((uint16_t)(2000 + n));
	*back = *there;
	memcpy(back->src, there->dst, 16);
	memcpy(back->dst, there->src, 16);
	back->sport_be = there->dport_be;
	back->dport_be = there->sport_be;
	if (nat & 1)
		make_address(back->dst, there->family, 768 + n);
	if (nat & 2)
		make_address(back->src, there->family, 1024 + n);
	if (nat & 4)
		back->dport_be = htons((uint16_t)(3000 + n));
	if (nat & 8)
		back->sport_be = htons((uint16_t)(4000 + n));
	f->flow.dscp[0] = pick(3) ? FO_DSCP_KEEP : FO_DSCP_SET(pick(64));
	/* tc has no action for sessions, so that the rules of EXPLICIT know none. */
	make_side(&f->adj[0], 1, pick(4), mode != EXPLICIT && !pick(3));
	make_side(&f->adj[1], 2, pick(4), mode != EXPLICIT && !pick(3));
}

/* ---- Rules: what match.c and actions.c would make of them ---- */

static void edit(struct sim_act *act, enum sim_layer layer, unsigned int offset, const void *bytes,
		 uint32_t bits)
{
	struct sim_edit *to = &act->edit[act->edits++];

	WARN_ON_ONCE(act->edits > SIM_EDITS);
	to->layer = layer;
	to->offset = (u8)offset;
	to->keep = ~htonl(bits);
	memcpy(&to->value, bytes, 4);
}

static void edit_ttl(struct sim_act *act, int v4)
{
	struct sim_edit *to = &act->edit[act->edits];
	uint8_t minus_one[4] = {0};

	minus_one[v4 ? 0 : 3] = 0xff;
	edit(act, SIM_L3, v4 ? 8 : 4, minus_one, v4 ? 0xff000000u : 0xffu);
	to->add = 1;
}

static void make_edits(struct sim_act *act, const struct model_flow *f, unsigned int dir)
{
	const struct fo_tuple *mirror = &f->flow.tuple[1 - dir];
	const struct fo_adj *to = &f->adj[1 - dir];
	int v4 = mirror->family == FO_FAMILY_IPV4;
	uint8_t bytes[32];
	unsigned int i, size = v4 ? 4 : 16;

	memcpy(bytes, to->peer_mac, 6);
	memcpy(bytes + 6, to->own_mac, 6);
	for (i = 0; i < 12; i += 4)
		edit(act, SIM_L2, i, bytes + i, ~0u);
	memcpy(bytes, mirror->dst, size);
	memcpy(bytes + size, mirror->src, size);
	for (i = 0; i < 2 * size; i += 4)
		edit(act, SIM_L3, (v4 ? 12 : 8) + i, bytes + i, ~0u);
	memcpy(bytes, &mirror->dport_be, 2);
	memcpy(bytes + 2, &mirror->sport_be, 2);
	edit(act, SIM_L4, 0, bytes, ~0u);
	if (f->flow.dscp[dir] & 0x80) {
		uint32_t value = htonl((f->flow.dscp[dir] & 0x3fu) << (v4 ? 18 : 22));

		edit(act, SIM_L3, 0, &value, v4 ? 0x00fc0000u : 0x0fc00000u);
	}
	act->needs_ip = act->needs_ports = true;
}

static void make_act(struct sim_act *act, const struct model_flow *f, unsigned int dir, enum mode mode,
		     struct sim_port *out)
{
	const struct fo_adj *from = &f->adj[dir], *to = &f->adj[1 - dir];
	unsigned int i, l2 = ETH_HLEN;

	make_edits(act, f, dir);
	act->verdict = SIM_FORWARD;
	act->out = out;
	out->host->mtu = to->mtu;
	for (i = 0; i < from->n_encaps; i++)
		if (from->encap[i].kind != FO_ENCAP_PPPOE) {
			act->pops++;
			l2 += VLAN_HLEN;
		}
	for (i = 0; i < to->n_encaps; i++) {
		const struct fo_encap *encap = &to->encap[i];

		if (encap->kind == FO_ENCAP_PPPOE) {
			act->pppoe_push = true;
			act->pppoe_session = encap->id;
			out->host->mtu += 8;
			continue;
		}
		act->push[act->pushes].tpid = htons(encap->kind == FO_ENCAP_8021Q ? 0x8100 : 0x88a8);
		act->push[act->pushes++].tci =
			htons((uint16_t)(encap->pcp << 13 | encap->dei << 12 | encap->id));
	}
	if (mode == EXPLICIT) {
		edit_ttl(act, f->flow.tuple[0].family == FO_FAMILY_IPV4);
		act->checksums =
			TCA_CSUM_UPDATE_FLAG_IPV4HDR | TCA_CSUM_UPDATE_FLAG_TCP | TCA_CSUM_UPDATE_FLAG_UDP;
		act->police_mtu = l2 + to->mtu;
		return;
	}
	act->routes = true;
	act->any_tags = mode == PPE;
	act->checksums = ~0u;
}

#define MATCH(match, field, value)                                                                           \
	do {                                                                                                 \
		(match)->key.field = (value);                                                                \
		memset(&(match)->mask.field, 0xff, sizeof((match)->mask.field));                             \
	} while (0)

static void make_match(struct sim_match *match, const struct model_flow *f, unsigned int dir, enum mode mode)
{
	const struct fo_tuple *tuple = &f->flow.tuple[dir];
	const struct fo_adj *from = &f->adj[dir];
	unsigned int i;

	MATCH(match, proto, htons(tuple->family == FO_FAMILY_IPV4 ? ETH_P_IP : ETH_P_IPV6));
	MATCH(match, l4, tuple->proto);
	MATCH(match, sport, tuple->sport_be);
	MATCH(match, dport, tuple->dport_be);
	memcpy(&match->key.src, tuple->src, 16);
	memcpy(&match->key.dst, tuple->dst, 16);
	memset(&match->mask.src, 0xff, 32);
	MATCH(match, tags, 0);
	MATCH(match, has_session, 0);
	for (i = 0; i < from->n_encaps; i++) {
		if (from->encap[i].kind == FO_ENCAP_PPPOE) {
			MATCH(match, has_session, 1);
			MATCH(match, session, htons(from->encap[i].id));
			continue;
		}
		MATCH(match, tpid[i], htons(from->encap[i].kind == FO_ENCAP_8021Q ? 0x8100 : 0x88a8));
		match->key.tci[i] = htons(from->encap[i].id);
		match->mask.tci[i] = htons(0xfff);
		match->key.tags++;
	}
	if (mode == PPE)
		return;
	memcpy(match->key.dst_mac, from->own_mac, 6);
	memset(match->mask.dst_mac, 0xff, 6);
	match->mask.tcp_flags = htons(TCP_FIN | TCP_SYN | TCP_RST);
	match->mask.fragment = SIM_FRAGMENT;
}

static void populate(enum mode mode)
{
	unsigned int i;

	memset(rules, 0, sizeof(rules));
	for (i = 0; i < FLOWS; i++)
		make_flow(&flows[i], i, mode);
	for (i = 0; i < RULES; i++) {
		ports[i].host = &devices[i];
		make_match(&rules[i].match, &flows[i / 2], i % 2, mode);
		make_act(&rules[i].act, &flows[i / 2], i % 2, mode, &ports[i]);
	}
}

/* ---- Both judge ---- */

static const struct sim_act *find(const struct sim_key *key)
{
	const u8 *have = (const u8 *)key;
	unsigned int i, b;

	for (i = 0; i < RULES; i++) {
		const u8 *want = (const u8 *)&rules[i].match.key, *mask = (const u8 *)&rules[i].match.mask;

		for (b = 0; b < sizeof(*key) && !((want[b] ^ have[b]) & mask[b]); b++)
			;
		if (b == sizeof(*key))
			return &rules[i].act;
	}
	return NULL;
}

/* Whether the hardware forwards; then skb is what leaves. */
static bool hardware(enum mode mode, struct sk_buff *skb)
{
	struct sim_frame frame;
	const struct sim_act *act;

	sim_frame_read(&frame, skb);
	act = find(&frame.key);
	/* The rule before all others of a nic. */
	if (!act || (mode == EXPLICIT && frame.key.ttl <= 1) || sim_guard(act, &frame) != SIM_N_FORWARDED)
		return false;
	sim_rewrite(act, &frame, skb);
	return true;
}

/* What hardware may keep to itself though the model would forward it: a policer counts what follows the IP packet, and no
 * engine routes what came to a group. */
static bool may_be_careful(enum mode mode, const struct rig_packet *packet, const struct model_answer *answer)
{
	return mode == EXPLICIT ? answer->l3_in + answer->l3_bytes < packet->length
				: mode == PPE && packet->frame[0] & 1;
}

static int compare(enum mode mode, const struct model *model, const struct rig_packet *packet,
		   unsigned int counts[2])
{
	static struct model_answer answer;
	u8 *memory = malloc(SIM_HEADROOM + packet->length + !packet->length);
	struct sk_buff skb = {memory, memory + SIM_HEADROOM, packet->length};
	bool forwards, same;

	WARN_ON_ONCE(!memory);
	memcpy(skb.data, packet->frame, packet->length);
	model_judge(model, packet, &answer);
	forwards = hardware(mode, &skb);
	if (forwards)
		same = answer.verdict == FO_FORWARD && skb.len == answer.length &&
		       !memcmp(skb.data, answer.frame, skb.len);
	else
		same = !memcmp(memory + SIM_HEADROOM, packet->frame, packet->length) &&
		       (answer.verdict == FO_PASS || may_be_careful(mode, packet, &answer));
	counts[forwards]++;
	free(memory);
	if (same)
		return 0;
	fprintf(stderr, "%s: the model %s (reason %u), the hardware %s\n", mode_name[mode],
		answer.verdict == FO_FORWARD ? "forwards" : "passes", answer.reason,
		forwards ? "forwards" : "does not");
	return 1;
}

static void random_packet(struct rig_packet *packet, struct packet_frame *frame)
{
	struct packet_spec spec;
	unsigned int flow = pick(FLOWS), dir = pick(2), n;

	packet_spec_init(&spec, &flows[flow].flow.tuple[dir], &flows[flow].adj[dir]);
	spec.payload_len = pick(300);
	spec.payload_seed = pick(1u << 30);
	spec.tos = (uint8_t)pick(256);
	for (n = pick(3); n; n--)
		damage_spec(&spec, pick);
	packet_build(&spec, frame);
	/* Damage that nobody thought of. */
	for (n = pick(8) ? 0 : 1 + pick(3); n; n--)
		frame->bytes[pick(frame->length)] ^= (uint8_t)(1u << pick(8));
	memset(packet, 0, sizeof(*packet));
	packet->frame = frame->bytes;
	packet->length = pick(16) ? frame->length : pick(frame->length + 1);
	packet->in_port = flows[flow].adj[dir].port;
	packet->headroom = SIM_HEADROOM;
}

int main(int argc, char **argv)
{
	unsigned long packets = argc > 1 ? strtoul(argv[1], NULL, 0) : 30000, i;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 0x20261128u | 1;
	static struct packet_frame frame;
	struct rig_packet packet;
	enum mode mode;

	for (mode = EXPLICIT; mode < MODES; mode++) {
		struct model model = {flows, FLOWS, ~0ull};
		unsigned int counts[2] = {0, 0};

		if (mode == PPE)
			model.caps &= ~FO_CAP_PUNT_MAC;
		state = seed;
		for (i = 0; i < packets; i++) {
			if (i % 1000 == 0)
				populate(mode);
			random_packet(&packet, &frame);
			if (compare(mode, &model, &packet, counts)) {
				fprintf(stderr, "packet %lu of seed 0x%llx\n", i, (unsigned long long)seed);
				return 1;
			}
		}
		printf("%s: %u forwarded, %u to the host\n", mode_name[mode], counts[1], counts[0]);
		/* Neither is rare, or nothing was compared. */
		if (counts[1] < packets / 5 || counts[0] < packets / 5)
			return 1;
	}
	return 0;
}
