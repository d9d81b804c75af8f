/* SPDX-License-Identifier: BSD-2-Clause */
/* actions.c - what becomes of the packets of a direction, as actions of tc. See state.h.
 *
 * Length first, then tags off, edits, checksums, tags on, and out: the order that drivers take.
 */
#include "backends/tc/state.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_pedit.h>
#include <linux/tc_act/tc_vlan.h>
#include <netinet/in.h>

#define ETHERNET_SIZE 14u
#define TAG_SIZE      4u

/* ---- One action ---- */

struct listing {
	struct fo__tx *tx;
	uint16_t order;
	uint8_t lean; /* without counters for each processor: hardware counts */
	struct nlattr *action, *options;
};

static void begin(struct listing *list, const char *kind, const void *cookie)
{
	const struct nla_bitfield32 no_percpu = {TCA_ACT_FLAGS_NO_PERCPU_STATS,
						 TCA_ACT_FLAGS_NO_PERCPU_STATS};

	list->action = fo__tx_open(list->tx, ++list->order);
	fo__tx_put_text(list->tx, TCA_ACT_KIND, kind);
	if (cookie)
		fo__tx_put(list->tx, TCA_ACT_COOKIE, FO__TC_COOKIE_MAX, cookie);
	if (list->lean)
		fo__tx_put(list->tx, TCA_ACT_FLAGS, sizeof(no_percpu), &no_percpu);
	list->options = fo__tx_open(list->tx, TCA_ACT_OPTIONS);
}

static void end(struct listing *list)
{
	fo__tx_close(list->tx, list->options);
	fo__tx_close(list->tx, list->action);
}

/* ---- Edits ---- */

struct edit {
	uint16_t header; /* enum pedit_header_type */
	uint16_t add;
	uint32_t offset;
	uint32_t keep, value; /* as they lie in the packet */
};

struct edits {
	unsigned int n;
	struct edit at[FO__TC_EDITS]; /* three words of MACs, TTL, DSCP, eight of IPv6 addresses, ports */
};

static void edit(struct edits *edits, uint16_t header, uint32_t offset, uint32_t keep_be, uint32_t value_be)
{
	edits->at[edits->n++] = (struct edit){header, 0, offset, keep_be, value_be & ~keep_be};
}

/* Whole words that differ. */
static void edit_words(struct edits *edits, uint16_t header, uint32_t offset, const uint8_t *before,
		       const uint8_t *after, size_t size)
{
	for (size_t i = 0; i < size; i += 4) {
		uint32_t value;

		memcpy(&value, after + i, sizeof(value));
		if (!before || memcmp(before + i, after + i, sizeof(value)) != 0)
			edit(edits, header, offset + (uint32_t)i, 0, value);
	}
}

/* TTL minus one: plus 255 in its eight bits. */
static void edit_ttl(struct edits *edits, int v6)
{
	struct edit *ttl = &edits->at[edits->n++];

	ttl->header = v6 ? TCA_PEDIT_KEY_EX_HDR_TYPE_IP6 : TCA_PEDIT_KEY_EX_HDR_TYPE_IP4;
	ttl->add = 1;
	ttl->offset = v6 ? 4 : 8;
	ttl->value = htonl(v6 ? 0x000000ff : 0xff000000);
	ttl->keep = ~ttl->value;
}

static void edit_dscp(struct edits *edits, int v6, uint8_t dscp)
{
	uint32_t bits = (uint32_t)(dscp & 0x3f) << 2;

	if (v6)
		edit(edits, TCA_PEDIT_KEY_EX_HDR_TYPE_IP6, 0, htonl(~0x0fc00000u), htonl(bits << 20));
	else
		edit(edits, TCA_PEDIT_KEY_EX_HDR_TYPE_IP4, 0, htonl(~0x00fc0000u), htonl(bits << 16));
}

static void edit_ports(struct edits *edits, const struct fo_tuple *in, const struct fo_tuple *out)
{
	uint16_t header =
		in->proto == IPPROTO_TCP ? TCA_PEDIT_KEY_EX_HDR_TYPE_TCP : TCA_PEDIT_KEY_EX_HDR_TYPE_UDP;
	uint32_t change = (in->sport_be != out->sport_be ? 0xffff0000 : 0) |
			  (in->dport_be != out->dport_be ? 0x0000ffff : 0);
	uint16_t ports[2] = {out->sport_be, out->dport_be};
	uint32_t value;

	memcpy(&value, ports, sizeof(value));
	if (change)
		edit(edits, header, 0, htonl(~change), value);
}

static void collect(const struct fo__tc *tc, const struct fo__tc_rule *rule, struct edits *edits)
{
	const struct fo_tuple *in = rule->in, *out = rule->out;
	int v6 = in->family == FO_FAMILY_IPV6;
	uint16_t ip = v6 ? TCA_PEDIT_KEY_EX_HDR_TYPE_IP6 : TCA_PEDIT_KEY_EX_HDR_TYPE_IP4;
	size_t size = v6 ? 16 : 4;
	uint8_t macs[12];

	memcpy(macs, rule->into->peer_mac, 6);
	memcpy(macs + 6, rule->into->own_mac, 6);
	edit_words(edits, TCA_PEDIT_KEY_EX_HDR_TYPE_ETH, 0, NULL, macs, sizeof(macs));
	if (tc->profile == FO_TC_PROFILE_EXPLICIT)
		edit_ttl(edits, v6);
	if (rule->dscp)
		edit_dscp(edits, v6, rule->dscp);
	edit_words(edits, ip, v6 ? 8 : 12, in->src, out->src, size);
	edit_words(edits, ip, v6 ? 24 : 16, in->dst, out->dst, size);
	edit_ports(edits, in, out);
}

static void put_edits(struct listing *list, const struct edit *edits, unsigned int n, const void *cookie)
{
	struct {
		struct tc_pedit_sel sel;
		struct tc_pedit_key keys[FO__TC_EDITS];
	} parms;
	size_t size = sizeof(parms.sel) + n * sizeof(parms.keys[0]);
	struct nlattr *all, *one;

	memset(&parms, 0, sizeof(parms));
	parms.sel.action = TC_ACT_PIPE;
	parms.sel.nkeys = (uint8_t)n;
	for (unsigned int i = 0; i < n; i++) {
		parms.keys[i].mask = edits[i].keep;
		parms.keys[i].val = edits[i].value;
		parms.keys[i].off = edits[i].offset;
	}
	begin(list, "pedit", cookie);
	fo__tx_put(list->tx, TCA_PEDIT_PARMS_EX, size, &parms);
	all = fo__tx_open(list->tx, TCA_PEDIT_KEYS_EX);
	for (unsigned int i = 0; i < n; i++) {
		one = fo__tx_open(list->tx, TCA_PEDIT_KEY_EX);
		fo__tx_put(list->tx, TCA_PEDIT_KEY_EX_HTYPE, 2, &edits[i].header);
		fo__tx_put(list->tx, TCA_PEDIT_KEY_EX_CMD, 2, &edits[i].add);
		fo__tx_close(list->tx, one);
	}
	fo__tx_close(list->tx, all);
	end(list);
}

/* One action; of a persistent table as many as there are cookies: the first edits, those of MACs, by themselves. */
static void put_all_edits(struct listing *list, const struct fo__tc *tc, const struct fo__tc_rule *rule)
{
	const uint8_t *cookie = (const uint8_t *)&rule->kept;
	struct edits edits = {.n = 0};
	unsigned int at = 0;

	collect(tc, rule, &edits);
	for (; tc->persists && at + 1 < FO__TC_COOKIES; at++, cookie += FO__TC_COOKIE_MAX)
		put_edits(list, &edits.at[at], 1, cookie);
	put_edits(list, &edits.at[at], edits.n - at, tc->persists ? cookie : NULL);
}

/* ---- Checksums ---- */

static int is_translated(const struct fo_tuple *in, const struct fo_tuple *out)
{
	return memcmp(in->src, out->src, 16) || memcmp(in->dst, out->dst, 16) ||
	       in->sport_be != out->sport_be || in->dport_be != out->dport_be;
}

static void put_checksums(struct listing *list, const struct fo__tc_rule *rule)
{
	struct tc_csum csum = {.action = TC_ACT_PIPE};

	if (rule->in->family == FO_FAMILY_IPV4)
		csum.update_flags |= TCA_CSUM_UPDATE_FLAG_IPV4HDR;
	if (is_translated(rule->in, rule->out))
		csum.update_flags |=
			rule->in->proto == IPPROTO_TCP ? TCA_CSUM_UPDATE_FLAG_TCP : TCA_CSUM_UPDATE_FLAG_UDP;
	if (!csum.update_flags)
		return;
	begin(list, "csum", NULL);
	fo__tx_put(list->tx, TCA_CSUM_PARMS, sizeof(csum), &csum);
	end(list);
}

/* ---- Tags ---- */

static void put_tag(struct listing *list, int how, const struct fo_encap *encap)
{
	struct tc_vlan vlan = {.action = TC_ACT_PIPE, .v_action = how};

	begin(list, "vlan", NULL);
	fo__tx_put(list->tx, TCA_VLAN_PARMS, sizeof(vlan), &vlan);
	if (encap) {
		fo__tx_put(list->tx, TCA_VLAN_PUSH_VLAN_ID, 2, &encap->id);
		fo__tx_put_be16(list->tx, TCA_VLAN_PUSH_VLAN_PROTOCOL,
				encap->kind == FO_ENCAP_8021AD ? ETH_P_8021AD : ETH_P_8021Q);
		fo__tx_put_u8(list->tx, TCA_VLAN_PUSH_VLAN_PRIORITY, encap->pcp);
	}
	end(list);
}

static int is_replaced(const struct fo__tc_rule *rule)
{
	return rule->from->n_encaps == 1 && rule->into->n_encaps == 1;
}

static void put_pops(struct listing *list, const struct fo__tc_rule *rule)
{
	for (uint32_t i = 0; !is_replaced(rule) && i < rule->from->n_encaps; i++)
		put_tag(list, TCA_VLAN_ACT_POP, NULL);
}

/* What is pushed later lies further out. */
static void put_pushes(struct listing *list, const struct fo__tc_rule *rule)
{
	if (is_replaced(rule)) {
		put_tag(list, TCA_VLAN_ACT_MODIFY, &rule->into->encap[0]);
		return;
	}
	for (uint32_t i = rule->into->n_encaps; i > 0; i--)
		put_tag(list, TCA_VLAN_ACT_PUSH, &rule->into->encap[i - 1]);
}

/* ---- Length, and out ---- */

/* The policer looks at the frame as it arrives. */
static void put_police(struct listing *list, const struct fo__tc_rule *rule)
{
	struct tc_police police = {.action = TC_ACT_OK};

	police.mtu = rule->into->mtu + ETHERNET_SIZE + TAG_SIZE * rule->from->n_encaps;
	begin(list, "police", NULL);
	fo__tx_put(list->tx, TCA_POLICE_TBF, sizeof(police), &police);
	fo__tx_put_u32(list->tx, TCA_POLICE_RESULT, TC_ACT_PIPE);
	end(list);
}

static void put_out(struct listing *list, const struct fo__tc_rule *rule)
{
	struct tc_mirred mirred = {.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR};

	mirred.ifindex = rule->to;
	begin(list, "mirred", &rule->cookie);
	fo__tx_put(list->tx, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	end(list);
}

void fo__tc_put_actions(const struct fo__tc *tc, struct fo__tx *tx, const struct fo__tc_rule *rule)
{
	struct listing list = {.tx = tx, .lean = tc->own.mode == FO_TC_HARDWARE};

	if (rule->police)
		put_police(&list, rule);
	put_pops(&list, rule);
	put_all_edits(&list, tc, rule);
	put_checksums(&list, rule);
	put_pushes(&list, rule);
	put_out(&list, rule);
}

/* To the host, and nothing else. */
void fo__tc_put_verdict(struct fo__tx *tx, int verdict, const struct fo__tc_cookie *cookie)
{
	struct listing list = {.tx = tx};
	struct tc_gact gact = {.action = verdict};

	begin(&list, "gact", cookie);
	fo__tx_put(tx, TCA_GACT_PARMS, sizeof(gact), &gact);
	end(&list);
}
