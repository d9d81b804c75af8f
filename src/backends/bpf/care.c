/* SPDX-License-Identifier: BSD-2-Clause */
/* care.c - that conntrack does not forget the connections of living flows, and that these do not outlive it. See guard.h.
 *
 * What has traffic is asked for now and then, a handful at a time, and its time renewed. What an earlier process left is
 * asked for as soon as may be, by its tuples, and compared as at an add; until then it goes on forwarding. An entry that is
 * gone ends its flow, and so does an IPsec policy that came later.
 */
#include "backends/bpf/guard.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

/* Between two looks at an entry. Conntrack gives a TCP connection 300 s where it expects least, UDP and echo 30 s. */
#define LOOK_TCP_S   30u
#define LOOK_OTHER_S 10u
/* An entry outlives its flow by this much: two looks that came late. */
#define MARGIN_S 60u
/* What a flow that never idles is given anew at each look. */
#define NEVER_S 600u

/* Slots looked at, and entries asked for, in one slice. */
#define SLICE_SLOTS 4096u
#define SLICE_ASKED 32u
#define PASS_MS	    1000u

/* ---- times ---- */

uint32_t fo__bpf_ct_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}

uint32_t fo__bpf_ct_idle_s(uint32_t timeout_ms)
{
	return timeout_ms == FO_TIMEOUT_NEVER ? UINT32_MAX : timeout_ms / 1000 + 1;
}

/* What is left of an entry's time at least, for as long as somebody looks after it. */
uint32_t fo__bpf_ct_enough_s(const struct fo__bpf_ct *flow)
{
	return (flow->timeout_s == UINT32_MAX ? NEVER_S : flow->timeout_s) + MARGIN_S;
}

uint32_t fo__bpf_ct_look_s(uint8_t proto)
{
	return proto == IPPROTO_TCP ? LOOK_TCP_S : LOOK_OTHER_S;
}

/* ---- which flows ---- */

void fo__bpf_conntrack_timeout(struct fo__bpf *bpf, uint32_t slot, uint32_t timeout_ms)
{
	if (!bpf->conntrack)
		return;
	bpf->conntrack->flows[slot].timeout_s = fo__bpf_ct_idle_s(timeout_ms);
	/* A longer one may be beyond what the entry has left. */
	bpf->conntrack->flows[slot].due_s = fo__bpf_ct_now_s();
	bpf->conntrack->flows[slot].packets--;
}

/* Before the first poll. Scopes other than 0 are not what this backend can. */
void fo__bpf_conntrack_adopt(struct fo__bpf *bpf, uint32_t slot)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;

	if (!ct)
		return;
	ct->flows[slot] = (struct fo__bpf_ct){.timeout_s = fo__bpf_ct_idle_s(bpf->slots[slot].timeout_ms),
					      .due_s = fo__bpf_ct_now_s(),
					      .care = FO__BPF_CT_UNREAD};
	/* Policies may have come meanwhile. */
	ct->recheck = true;
}

/* ---- looking ---- */

struct looking {
	struct fo__bpf *bpf;
	uint32_t slots[SLICE_ASKED];
	struct fo_tuple tuples[SLICE_ASKED][2];
	struct fo__ct_wish wishes[SLICE_ASKED];
	size_t n, n_wishes;
};

/* What becomes of a flow whose entry is this one, or that has none; FO_R_NONE: it goes on. */
static enum fo_reason judge(const struct looking *looking, size_t i, const struct fo__ct_entry *entry,
			    int error)
{
	struct fo__bpf_ct *kept = &looking->bpf->conntrack->flows[looking->slots[i]];
	struct fo_error why;
	int reversed;

	/* Somebody flushed it, or another connection has its tuple: the short cut must not go on by itself. */
	if (!entry)
		return error == ENOENT ? FO_R_LOST : FO_R_NONE;
	if (entry->status & IPS_DYING)
		return FO_R_LOST;
	if (kept->care == FO__BPF_CT_KNOWN)
		return entry->id == kept->id ? FO_R_NONE : FO_R_LOST;
	if (!fo__ct_carries(entry, looking->tuples[i], &reversed))
		return FO_R_LOST;
	if (!fo__ct_closing(entry) && fo__ct_fits(entry, &why))
		return FO_R_FALLBACK;
	kept->id = entry->id;
	kept->care = FO__BPF_CT_KNOWN;
	return FO_R_NONE;
}

static void looked(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct looking *looking = arg;
	struct fo__bpf *bpf = looking->bpf;
	uint32_t slot = looking->slots[i];
	struct fo__bpf_ct *kept = &bpf->conntrack->flows[slot];
	enum fo_reason end = judge(looking, i, entry, error),
		       closing = entry ? fo__ct_closing(entry) : FO_R_NONE;
	struct fo__ct_wish wish = {.key = {looking->tuples[i], kept->zone}};

	if (end)
		fo__bpf_flow_end(bpf, slot, end);
	if (end || !entry)
		return;
	if (closing) {
		bpf->ops->closing(bpf->host, bpf->slots[slot].cookie, closing);
		return;
	}
	if (entry->timeout_s < fo__bpf_ct_enough_s(kept)) {
		wish.bits |= FO__CT_SET_TIMEOUT;
		wish.timeout_s = fo__bpf_ct_enough_s(kept);
	}
	/* Somebody else's change, or an earlier process was killed before its own. */
	if (looking->tuples[i][0].proto == IPPROTO_TCP && !entry->liberal)
		wish.bits |= FO__CT_BE_LIBERAL;
	if (wish.bits)
		looking->wishes[looking->n_wishes++] = wish;
}

static void look_after(struct looking *looking)
{
	struct fo__bpf_conntrack *ct = looking->bpf->conntrack;
	struct fo__ct_key keys[SLICE_ASKED];
	int errors[SLICE_ASKED];

	for (size_t i = 0; i < looking->n; i++)
		keys[i] = (struct fo__ct_key){looking->tuples[i], ct->flows[looking->slots[i]].zone};
	if (looking->n)
		(void)fo__ct_get(&ct->ask, ct->tx, keys, looking->n, looked, looking);
	/* One that went meanwhile is found at the next look. */
	if (looking->n_wishes)
		(void)fo__ct_change(&ct->ask, ct->tx, looking->wishes, looking->n_wishes, errors);
}

/* What arrives as tuple leaves as the mirror of the other direction. */
static void leaves(const struct fo_tuple *tuple, const struct fo_tuple *other, struct fo_tuple *out)
{
	*out = *tuple;
	memcpy(out->src, other->dst, 16);
	memcpy(out->dst, other->src, 16);
	/* An echo keeps its type; its identifier is not looked at. */
	if (tuple->proto == IPPROTO_ICMP || tuple->proto == IPPROTO_ICMPV6)
		return;
	out->sport_be = other->dport_be;
	out->dport_be = other->sport_be;
}

/* Policies have changed: what they meet now is handed back. */
static void recheck(struct looking *looking)
{
	struct fo__ipsec *ipsec = &looking->bpf->conntrack->ipsec;
	struct fo_tuple out[SLICE_ASKED][2];
	struct fo__ipsec_flow flows[SLICE_ASKED];
	uint8_t met[SLICE_ASKED];

	for (size_t i = 0; i < looking->n; i++) {
		for (unsigned int dir = 0; dir < 2; dir++)
			leaves(&looking->tuples[i][dir], &looking->tuples[i][1 - dir], &out[i][dir]);
		flows[i] = (struct fo__ipsec_flow){looking->tuples[i], out[i]};
	}
	if (fo__ipsec_judge(ipsec, flows, looking->n, met))
		memset(met, 1, looking->n); /* not known: the slow path knows */
	for (size_t i = 0; i < looking->n; i++)
		if (met[i])
			fo__bpf_flow_end(looking->bpf, looking->slots[i], FO_R_FALLBACK);
}

static bool is_due(const struct fo__bpf *bpf, uint32_t slot, uint32_t now)
{
	const struct fo__bpf_slot *flow = &bpf->slots[slot];
	struct fo__bpf_ct *kept = &bpf->conntrack->flows[slot];
	uint32_t packets = (uint32_t)(flow->packets[0] + flow->packets[1]);

	if (flow->life != FO__BPF_LIVE || kept->care == FO__BPF_CT_NOT)
		return false;
	if (bpf->conntrack->rechecking || kept->care == FO__BPF_CT_UNREAD)
		return true;
	if ((int32_t)(now - kept->due_s) < 0 || (packets == kept->packets && kept->timeout_s != UINT32_MAX))
		return false;
	kept->packets = packets;
	kept->due_s =
		now + fo__bpf_ct_look_s((uint8_t)(flow->family == FO_FAMILY_IPV4 ? flow->key[0].v4.where
										 : flow->key[0].v6.where));
	return true;
}

static void begin_pass(struct fo__bpf *bpf)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;

	ct->at = 0;
	ct->passing = true;
	ct->rechecking = ct->recheck;
	ct->recheck = false;
	/* After a look at policies, at once one at entries. */
	ct->next_pass_ms = ct->rechecking ? 0 : bpf->ops->now_ms(bpf->host) + PASS_MS;
}

/* One exchange, and one more for what it is to change. */
static void slice(struct fo__bpf *bpf)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;
	struct looking looking = {.bpf = bpf};
	uint32_t high = bpf->slots_high, now = fo__bpf_ct_now_s();
	uint32_t end = high - ct->at < SLICE_SLOTS ? high : ct->at + SLICE_SLOTS;

	for (; ct->at < end && looking.n < SLICE_ASKED; ct->at++) {
		if (!is_due(bpf, ct->at, now))
			continue;
		for (unsigned int dir = 0; dir < 2; dir++)
			fo__bpf_read_tuple(bpf->slots[ct->at].family, &bpf->slots[ct->at].key[dir],
					   &looking.tuples[looking.n][dir]);
		looking.slots[looking.n++] = ct->at;
	}
	if (ct->rechecking && looking.n)
		recheck(&looking);
	else
		look_after(&looking);
	ct->passing = ct->at < high;
}

bool fo__bpf_conntrack_poll(struct fo__bpf *bpf, uint64_t until_us)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;

	if (!ct)
		return false;
	ct->recheck |= fo__ipsec_changed(&ct->ipsec);
	if (!ct->passing && !ct->recheck && bpf->ops->now_ms(bpf->host) < ct->next_pass_ms)
		return false;
	if (!ct->passing)
		begin_pass(bpf);
	do
		slice(bpf);
	while (ct->passing && fo__bpf_now_us() < until_us);
	return ct->passing;
}
