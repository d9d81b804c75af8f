/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.c - what the hardware of two ports takes, shown by rules that are there for a moment. See state.h.
 *
 * Their connections are between addresses that exist in documents only. That hardware takes a rule does not show that it
 * keeps what the rule says: that is for the caller's tests.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <unistd.h>

/* Pairs that are tried when a table is created; the others when their first flow comes. */
#define EAGER_MOST 64u
/* Beyond all slots. */
#define HANDLE 0xffff0000u

struct trial {
	const char *what;
	uint8_t gives; /* FO__TC_CAN_ bit */
	uint8_t family;
	uint8_t tags[2]; /* of the side that it comes from, and goes to */
	uint8_t dscp;
};

static const struct trial trials[] = {
	{"IPv4", FO__TC_CAN_V4, FO_FAMILY_IPV4, {0, 0}, 0},
	{"IPv6", FO__TC_CAN_V6, FO_FAMILY_IPV6, {0, 0}, 0},
	{"a VLAN tag written", FO__TC_CAN_VLAN, FO_FAMILY_IPV4, {0, 1}, 0},
	{"a VLAN tag taken off", FO__TC_CAN_VLAN, FO_FAMILY_IPV4, {1, 0}, 0},
	{"a VLAN tag replaced", FO__TC_CAN_VLAN, FO_FAMILY_IPV4, {1, 1}, 0},
	{"two VLAN tags written", FO__TC_CAN_QINQ, FO_FAMILY_IPV4, {0, 2}, 0},
	{"two VLAN tags taken off", FO__TC_CAN_QINQ, FO_FAMILY_IPV4, {2, 0}, 0},
	{"DSCP", FO__TC_CAN_DSCP, FO_FAMILY_IPV4, {0, 0}, FO_DSCP_SET(46)},
};

static void make_side(struct fo_adj *adj, uint32_t port, unsigned int tags, uint8_t number)
{
	FO_INIT(adj);
	adj->port = port;
	adj->mtu = 1500;
	adj->n_encaps = tags;
	adj->own_mac[0] = adj->peer_mac[0] = 0x02;
	adj->own_mac[5] = number;
	adj->peer_mac[5] = (uint8_t)(number + 1);
	for (unsigned int i = 0; i < tags; i++) {
		adj->encap[i].kind = i + 1 < tags ? FO_ENCAP_8021AD : FO_ENCAP_8021Q;
		adj->encap[i].id = (uint16_t)(4000 + number + i);
	}
}

/* 192.0.2.1 to 198.51.100.1, 2001:db8::1 to 2001:db8:1::1; the process tells those of two tables apart. */
static void make_tuples(const struct fo__tc *tc, unsigned int family, struct fo_tuple *in,
			struct fo_tuple *out)
{
	static const uint8_t v4[2][4] = {{192, 0, 2, 1}, {198, 51, 100, 1}};
	static const uint8_t v6[2][16] = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1},
					  {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 1}};
	int translates = tc->own.mode == FO_TC_HARDWARE;

	memset(in, 0, sizeof(*in));
	in->family = (uint8_t)family;
	in->proto = 6;
	in->sport_be = (uint16_t)getpid();
	in->dport_be = 0x0900;
	memcpy(in->src, family == FO_FAMILY_IPV4 ? v4[0] : v6[0], family == FO_FAMILY_IPV4 ? 4 : 16);
	memcpy(in->dst, family == FO_FAMILY_IPV4 ? v4[1] : v6[1], family == FO_FAMILY_IPV4 ? 4 : 16);
	*out = *in;
	if (!translates)
		return;
	out->src[family == FO_FAMILY_IPV4 ? 3 : 15] = 2;
	out->sport_be ^= 1;
}

static int is_first_refused(const struct fo__nl_answer *answer, uint32_t seq)
{
	return answer->error && answer->seq == seq;
}

/* One rule in and out again. Returns errno, 0 when it was taken. */
static int attempt(struct fo__tc *tc, const struct fo__tc_port *from, const struct fo__tc_port *into,
		   const struct trial *trial, int police, struct fo__nl_answer *answer)
{
	struct fo_adj sides[2];
	struct fo_tuple in, out;
	struct fo__tc_rule rule = {.port = from, .to = into->index, .in = &in, .out = &out};
	struct fo__tx tx;
	int rc;

	make_side(&sides[0], from->index, trial->tags[0], 1);
	make_side(&sides[1], into->index, trial->tags[1], 11);
	make_tuples(tc, trial->family, &in, &out);
	rule.from = &sides[0];
	rule.into = &sides[1];
	rule.police = (uint8_t)police;
	rule.dscp = trial->dscp;
	rule.prio = fo__tc_prio_of(rule.from, trial->family);
	rule.handle = HANDLE | ((uint32_t)getpid() & 0xffff);
	rule.cookie = (struct fo__tc_cookie){
		.magic = FO__TC_MAGIC, .version = FO__TC_VERSION, .kind = FO__TC_OF_PROBE};
	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	fo__tc_put_rule(tc, &tx, NLM_F_EXCL, &rule);
	fo__tc_put_delete(tc, &tx, 0, from, rule.prio, rule.handle);
	memset(answer, 0, sizeof(*answer));
	rc = fo__nl_talk(&tc->set, &tx, NULL, NULL, answer);
	if (rc && !answer->error)
		return -rc;
	return is_first_refused(answer, tx.first_seq) ? answer->error : 0;
}

/* What does not fit is said of the IPv4 rule: without that there is nothing. */
static int explain(const struct fo__tc_port *from, const struct fo__tc_port *into, int error,
		   const struct fo__nl_answer *answer, struct fo_error *err)
{
	char what[96];

	(void)snprintf(what, sizeof(what), "a rule from %.15s to %.15s", from->name, into->name);
	return fo__tc_refused(err, error, answer->words, what);
}

/* trap is what tells hardware to hand a packet to the host; some know it as pass. */
static int try_guard(struct fo__tc *tc, struct fo__tc_port *from, struct fo_error *err)
{
	struct fo_adj side;
	uint16_t had = from->guards, found = from->found;
	int rc;

	make_side(&side, from->index, 0, 1);
	rc = fo__tc_guard(tc, from, &side, FO_FAMILY_IPV4, err);
	if (rc == -EOPNOTSUPP && tc->trap == TC_ACT_TRAP && !had) {
		tc->trap = TC_ACT_OK;
		rc = fo__tc_guard(tc, from, &side, FO_FAMILY_IPV4, err);
		if (rc)
			tc->trap = TC_ACT_TRAP;
	}
	/* The first flow brings it back. */
	if (!rc && !had && !found)
		fo__tc_guards_drop(tc, from);
	return rc;
}

int fo__tc_probe_pair(struct fo__tc *tc, unsigned int from, unsigned int into, struct fo_error *err)
{
	struct fo__tc_port *a = &tc->ports[from], *b = &tc->ports[into];
	uint8_t can = FO__TC_PROBED, cannot = 0;
	int police = tc->profile == FO_TC_PROFILE_EXPLICIT, error, rc = 0;
	struct fo__nl_answer answer;

	if (tc->profile == FO_TC_PROFILE_EXPLICIT)
		rc = try_guard(tc, a, err);
	if (rc)
		return rc;
	error = attempt(tc, a, b, &trials[0], police, &answer);
	if (error && police) {
		police = 0;
		error = attempt(tc, a, b, &trials[0], 0, &answer);
	}
	if (error)
		return explain(a, b, error, &answer, err);
	can |= FO__TC_CAN_V4 | (police ? FO__TC_CAN_POLICE : 0);
	for (size_t i = 1; i < sizeof(trials) / sizeof(trials[0]); i++) {
		can |= trials[i].gives;
		if (attempt(tc, a, b, &trials[i], police, &answer))
			cannot |= trials[i].gives;
	}
	tc->pair[from][into] = can & (uint8_t)~cannot;
	return 0;
}

/* All pairs of ports by one profile; how many work. */
static unsigned int try_pairs(struct fo__tc *tc, struct fo_error *err)
{
	unsigned int n = 0, tried = 0;

	tc->can = UINT8_MAX;
	for (unsigned int from = 0; from < FO__TC_PORTS; from++)
		for (unsigned int into = 0; into < FO__TC_PORTS && tried < EAGER_MOST; into++) {
			if (from == into || !tc->ports[from].index || !tc->ports[into].index)
				continue;
			tried++;
			if (fo__tc_probe_pair(tc, from, into, err))
				continue;
			n++;
			tc->can &= tc->pair[from][into];
		}
	return n;
}

static unsigned int count_ports(const struct fo__tc *tc)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FO__TC_PORTS; i++)
		n += tc->ports[i].index != 0;
	return n;
}

int fo__tc_probe_ports(struct fo__tc *tc, struct fo_error *err)
{
	unsigned int works = 0;
	struct fo_error why = {.code = 0};

	tc->trap = TC_ACT_TRAP;
	tc->profile = tc->own.profile ? tc->own.profile : FO_TC_PROFILE_EXPLICIT;
	/* One port has nothing but itself. */
	if (count_ports(tc) == 1) {
		unsigned int only = 0;

		while (!tc->ports[only].index)
			only++;
		works = !fo__tc_probe_pair(tc, only, only, &why);
		if (!works && !tc->own.profile) {
			tc->profile = FO_TC_PROFILE_PPE;
			works = !fo__tc_probe_pair(tc, only, only, &why);
		}
		tc->can = tc->pair[only][only];
	} else {
		works = try_pairs(tc, &why);
		if (!works && !tc->own.profile) {
			tc->profile = FO_TC_PROFILE_PPE;
			works = try_pairs(tc, &why);
		}
	}
	if (works)
		return 0;
	if (err)
		*err = why;
	return why.code ? why.code : -EIO;
}
