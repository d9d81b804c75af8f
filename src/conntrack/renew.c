/* SPDX-License-Identifier: BSD-2-Clause */
/* renew.c - that conntrack does not forget the connections of living flows, and that these do not outlive it. See admit.h.
 *
 * Once a second a pass over all flows begins. An entry that is gone, or another's, ends its flow, and so does an IPsec policy
 * that came later. What an earlier process left is compared as at an add.
 */
#include "conntrack/admit.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <time.h>

/* Between two looks at an entry. Conntrack gives a TCP connection 300 s where it expects least, UDP and echo 30 s. */
#define LOOK_TCP_S   30u
#define LOOK_OTHER_S 10u
/* An entry outlives its flow by this much: two looks that came late. */
#define MARGIN_S 60u
/* What a flow that never idles is given anew at each look. */
#define NEVER_S 600u

/* Slots passed over, and entries asked for, in one slice. */
#define SLICE_SLOTS 4096u
#define LOOKS_MOST  32u
#define PASS_MS	    1000u

uint32_t fo__ct_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_sec;
}

uint32_t fo__ct_idle_s(uint32_t timeout_ms)
{
	return timeout_ms == FO_TIMEOUT_NEVER ? UINT32_MAX : timeout_ms / 1000 + 1;
}

/* What is left of an entry's time at least, for as long as somebody looks after it. */
uint32_t fo__ct_enough_s(const struct fo__ct_kept *kept)
{
	return (kept->timeout_s == UINT32_MAX ? NEVER_S : kept->timeout_s) + MARGIN_S;
}

uint32_t fo__ct_look_s(uint8_t proto)
{
	return proto == IPPROTO_TCP ? LOOK_TCP_S : LOOK_OTHER_S;
}

void fo__ct_retime(struct fo__ct_kept *kept, uint32_t timeout_ms)
{
	kept->timeout_s = fo__ct_idle_s(timeout_ms);
	/* A longer one may be beyond what the entry has left. */
	kept->due_s = fo__ct_now_s();
	kept->packets--;
}

void fo__ct_adopt(struct fo__ct_care *care, struct fo__ct_kept *kept, uint32_t timeout_ms)
{
	*kept = (struct fo__ct_kept){
		.timeout_s = fo__ct_idle_s(timeout_ms), .due_s = fo__ct_now_s(), .known = FO__CT_UNREAD};
	/* Policies may have come meanwhile. */
	care->recheck = 1;
}

/* ---- Looking ---- */

struct looking {
	struct fo__ct_look looks[LOOKS_MOST];
	struct fo_tuple tuples[LOOKS_MOST][2];
	uint32_t slots[LOOKS_MOST];
	size_t n;
	struct fo__ct_wish wishes[LOOKS_MOST];
	size_t n_wishes;
};

/* What becomes of a flow whose entry is this one, or that has none; FO_R_NONE: it goes on. */
static enum fo_reason judge(struct fo__ct_kept *kept, const struct fo_tuple *tuple,
			    const struct fo__ct_entry *entry, int error)
{
	struct fo_error why;
	int reversed;

	/* Somebody flushed it, or another connection has its tuple: the short cut must not go on by itself. */
	if (!entry)
		return error == ENOENT ? FO_R_LOST : FO_R_NONE;
	if (entry->status & IPS_DYING)
		return FO_R_LOST;
	if (kept->known == FO__CT_KNOWN)
		return entry->id == kept->id ? FO_R_NONE : FO_R_LOST;
	if (!fo__ct_carries(entry, tuple, &reversed))
		return FO_R_LOST;
	if (!fo__ct_closing(entry) && fo__ct_fits(entry, &why))
		return FO_R_FALLBACK;
	kept->id = entry->id;
	kept->known = FO__CT_KNOWN;
	return FO_R_NONE;
}

static void looked(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct looking *looking = arg;
	struct fo__ct_look *look = &looking->looks[i];
	const struct fo_tuple *tuple = looking->tuples[i];
	struct fo__ct_wish wish = {.key = {tuple, look->kept->zone}};
	uint32_t enough_s = fo__ct_enough_s(look->kept);

	look->end = (uint8_t)judge(look->kept, tuple, entry, error);
	if (look->end || !entry)
		return;
	look->closing = (uint8_t)fo__ct_closing(entry);
	if (look->closing)
		return;
	if (entry->timeout_s < enough_s) {
		wish.bits |= FO__CT_SET_TIMEOUT;
		wish.timeout_s = enough_s;
	}
	/* Somebody else's change, or an earlier process was killed before its own. */
	if (tuple[0].proto == IPPROTO_TCP && !entry->liberal)
		wish.bits |= FO__CT_BE_LIBERAL;
	if (wish.bits)
		looking->wishes[looking->n_wishes++] = wish;
}

static void look_after(struct fo__ct_care *care, struct looking *looking)
{
	struct fo__ct_key keys[LOOKS_MOST];
	int errors[LOOKS_MOST];

	for (size_t i = 0; i < looking->n; i++)
		keys[i] = (struct fo__ct_key){looking->tuples[i], looking->looks[i].kept->zone};
	if (looking->n)
		(void)fo__ct_get(&care->ask, care->tx, keys, looking->n, looked, looking);
	/* One that went meanwhile is found at the next look. */
	if (looking->n_wishes)
		(void)fo__ct_change(&care->ask, care->tx, looking->wishes, looking->n_wishes, errors);
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
static void recheck(struct fo__ct_care *care, struct looking *looking)
{
	struct fo_tuple out[LOOKS_MOST][2];
	struct fo__ipsec_flow flows[LOOKS_MOST];
	uint8_t met[LOOKS_MOST];

	for (size_t i = 0; i < looking->n; i++) {
		const struct fo_tuple *tuple = looking->tuples[i];

		for (unsigned int dir = 0; dir < 2; dir++)
			leaves(&tuple[dir], &tuple[1 - dir], &out[i][dir]);
		flows[i] = (struct fo__ipsec_flow){tuple, out[i]};
	}
	if (looking->n && fo__ipsec_judge(&care->ipsec, flows, looking->n, met))
		memset(met, 1, looking->n); /* not known: the slow path knows */
	for (size_t i = 0; i < looking->n; i++)
		looking->looks[i].end = met[i] ? FO_R_FALLBACK : FO_R_NONE;
}

/* ---- Passes ---- */

static int is_due(const struct fo__ct_flows *flows, uint32_t slot, struct fo__ct_kept *kept, uint32_t now_s)
{
	uint32_t packets;
	uint8_t proto;

	if (kept->known == FO__CT_UNREAD)
		return 1;
	if ((int32_t)(now_s - kept->due_s) < 0)
		return 0;
	flows->traffic(flows->table, slot, &proto, &packets);
	if (packets == kept->packets && kept->timeout_s != UINT32_MAX)
		return 0;
	kept->packets = packets;
	kept->due_s = now_s + fo__ct_look_s(proto);
	return 1;
}

static void collect(struct fo__ct_care *care, const struct fo__ct_flows *flows, struct looking *looking)
{
	uint32_t high = flows->slots_end, now_s = fo__ct_now_s();
	uint32_t end = high - care->at < SLICE_SLOTS ? high : care->at + SLICE_SLOTS;

	for (; care->at < end && looking->n < LOOKS_MOST; care->at++) {
		struct fo__ct_kept *kept = flows->living(flows->table, care->at);

		if (!kept || kept->known == FO__CT_NOT ||
		    (!care->rechecking && !is_due(flows, care->at, kept, now_s)))
			continue;
		flows->tuples(flows->table, care->at, looking->tuples[looking->n]);
		looking->slots[looking->n] = care->at;
		looking->looks[looking->n++] = (struct fo__ct_look){.kept = kept};
	}
}

int fo__ct_care_due(struct fo__ct_care *care, uint64_t now_ms)
{
	if (fo__ipsec_changed(&care->ipsec))
		care->recheck = 1;
	if (care->passing)
		return 1;
	if (!care->recheck && now_ms < care->next_pass_ms)
		return 0;
	care->at = 0;
	care->passing = 1;
	care->rechecking = care->recheck;
	care->recheck = 0;
	/* After a look at policies, at once one at entries. */
	care->next_pass_ms = care->rechecking ? 0 : now_ms + PASS_MS;
	return 1;
}

/* One exchange, and one more for what it is to change. */
int fo__ct_care_slice(struct fo__ct_care *care, const struct fo__ct_flows *flows)
{
	struct looking looking;

	looking.n = looking.n_wishes = 0;
	collect(care, flows, &looking);
	if (care->rechecking)
		recheck(care, &looking);
	else
		look_after(care, &looking);
	for (size_t i = 0; i < looking.n; i++)
		flows->conclude(flows->table, looking.slots[i], &looking.looks[i]);
	care->passing = care->at < flows->slots_end;
	return care->passing;
}
