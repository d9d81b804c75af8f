/* SPDX-License-Identifier: BSD-2-Clause */
/* renew.c - that conntrack does not forget the connections of living flows, and that these do not outlive it. See admit.h.
 *
 * An entry that is gone, or another's, ends its flow, and so does an IPsec policy that came later. What an earlier process
 * left is compared as at an add.
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

int fo__ct_is_due(struct fo__ct_kept *kept, uint8_t proto, uint32_t packets, uint32_t now_s)
{
	if (kept->known == FO__CT_NOT)
		return 0;
	if (kept->known == FO__CT_UNREAD)
		return 1;
	if ((int32_t)(now_s - kept->due_s) < 0 || (packets == kept->packets && kept->timeout_s != UINT32_MAX))
		return 0;
	kept->packets = packets;
	kept->due_s = now_s + fo__ct_look_s(proto);
	return 1;
}

/* ---- Looking ---- */

struct looking {
	struct fo__ct_look *looks;
	struct fo__ct_wish wishes[FO__CT_LOOK_MOST];
	size_t n_wishes;
};

/* What becomes of a flow whose entry is this one, or that has none; FO_R_NONE: it goes on. */
static enum fo_reason judge(struct fo__ct_look *look, const struct fo__ct_entry *entry, int error)
{
	struct fo__ct_kept *kept = look->kept;
	struct fo_error why;
	int reversed;

	/* Somebody flushed it, or another connection has its tuple: the short cut must not go on by itself. */
	if (!entry)
		return error == ENOENT ? FO_R_LOST : FO_R_NONE;
	if (entry->status & IPS_DYING)
		return FO_R_LOST;
	if (kept->known == FO__CT_KNOWN)
		return entry->id == kept->id ? FO_R_NONE : FO_R_LOST;
	if (!fo__ct_carries(entry, look->tuple, &reversed))
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
	struct fo__ct_wish wish = {.key = {look->tuple, look->kept->zone}};
	uint32_t enough_s = fo__ct_enough_s(look->kept);

	look->end = (uint8_t)judge(look, entry, error);
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
	if (look->tuple[0].proto == IPPROTO_TCP && !entry->liberal)
		wish.bits |= FO__CT_BE_LIBERAL;
	if (wish.bits)
		looking->wishes[looking->n_wishes++] = wish;
}

void fo__ct_look_after(struct fo__ct_care *care, struct fo__ct_look *looks, size_t n)
{
	struct looking looking = {.looks = looks};
	struct fo__ct_key keys[FO__CT_LOOK_MOST];
	int errors[FO__CT_LOOK_MOST];

	for (size_t i = 0; i < n; i++)
		keys[i] = (struct fo__ct_key){looks[i].tuple, looks[i].kept->zone};
	if (n)
		(void)fo__ct_get(&care->ask, care->tx, keys, n, looked, &looking);
	/* One that went meanwhile is found at the next look. */
	if (looking.n_wishes)
		(void)fo__ct_change(&care->ask, care->tx, looking.wishes, looking.n_wishes, errors);
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

void fo__ct_recheck(struct fo__ct_care *care, struct fo__ct_look *looks, size_t n)
{
	struct fo_tuple out[FO__CT_LOOK_MOST][2];
	struct fo__ipsec_flow flows[FO__CT_LOOK_MOST];
	uint8_t met[FO__CT_LOOK_MOST];

	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		for (unsigned int dir = 0; dir < 2; dir++)
			leaves(&looks[i].tuple[dir], &looks[i].tuple[1 - dir], &out[i][dir]);
		flows[i] = (struct fo__ipsec_flow){looks[i].tuple, out[i]};
	}
	if (fo__ipsec_judge(&care->ipsec, flows, n, met))
		memset(met, 1, n); /* not known: the slow path knows */
	for (size_t i = 0; i < n; i++)
		looks[i].end = met[i] ? FO_R_FALLBACK : FO_R_NONE;
}
