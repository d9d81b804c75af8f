/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c - what the kernel does with the flows, as conntrack shows it. See state.h.
 *
 * No event says that a flow entered or left nf_flowtable. So all entries with IPS_OFFLOAD are dumped, a datagram at a
 * time; flows on the short cut that the dump did not show are then asked for one by one, which tells those that idled back
 * from those that are closing and those whose entry is gone. Ends are told by events as well, at once and with the last
 * counters; when events are lost, the next pass asks for every flow.
 */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <time.h>

/* Datagrams of events taken between two looks at anything else. */
#define EVENTS_MOST 256u
/* Flows asked for between two looks at the clock. */
#define CHECKS_MOST 32u

uint64_t fo__nft_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int fo__nft_has_time(uint64_t *at, uint64_t until_us)
{
	uint64_t now = fo__nft_us(), took = now - *at;

	*at = now;
	return now + took < until_us;
}

/* ---- One entry ---- */

void fo__nft_take_counters(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry)
{
	struct fo__nft_record *record = &nft->records[slot];

	/* Another connection with the same tuple counts from nothing. */
	if ((entry->have & FO__CT_ID) && record->ct_id != entry->id) {
		if (record->ct_id)
			memset(record->packets, 0, sizeof(record->packets));
		if (record->ct_id)
			memset(record->bytes, 0, sizeof(record->bytes));
		record->ct_id = entry->id;
	}
	record->flags |= FO__NFT_HAS_CT;
	if (!(entry->have & FO__CT_COUNTERS))
		return;
	for (unsigned int side = 0; side < 2; side++) {
		unsigned int dir = record->flags & FO__NFT_REVERSED ? 1 - side : side;
		uint64_t packets = entry->packets[side] - record->packets[side];
		uint64_t bytes = entry->bytes[side] - record->bytes[side];

		/* They never go back; a reader of a moment ago may have seen more than a late event tells. */
		if (entry->packets[side] <= record->packets[side] || entry->bytes[side] < record->bytes[side])
			continue;
		record->packets[side] = entry->packets[side];
		record->bytes[side] = entry->bytes[side];
		nft->ops->count(nft->host, record->cookie, (enum fo_dir)dir, packets, bytes, 0);
	}
}

/* A RST that ends a connection on the short cut leaves its entry ESTABLISHED with the timeout of a closed one. */
enum fo_reason fo__nft_closing(const struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	enum fo_reason closing = fo__ct_closing(entry);

	if (closing || !nft->reset_s || (entry->status & IPS_OFFLOAD))
		return closing;
	if (!(entry->have & FO__CT_TIMEOUT) || !(entry->have & FO__CT_TCP_STATE))
		return FO_R_NONE;
	return entry->tcp_state == TCP_CONNTRACK_ESTABLISHED && entry->timeout_s <= nft->reset_s
		       ? FO_R_TCP_RST
		       : FO_R_NONE;
}

/* The kernel says HW_OFFLOAD where the driver took at least one direction, and nothing of the other. */
static uint8_t state_of(const struct fo__nft *nft, const struct fo__nft_record *record,
			const struct fo__ct_entry *entry)
{
	/* The kernel has let go, and the driver not yet. */
	if ((entry->status & FO__NFT_SHORT_CUT) == FO__NFT_HW_OFFLOAD)
		return record->state;
	if (!(entry->status & IPS_OFFLOAD))
		return FO_STATE_ARMED;
	if (nft->foreign)
		return FO_STATE_PARTIAL;
	if (!(entry->status & FO__NFT_HW_OFFLOAD))
		return FO_STATE_ACTIVE;
	return record->flags & FO__NFT_PROVEN ? FO_STATE_HARDWARE : FO_STATE_PARTIAL;
}

static unsigned int reason_of(const struct fo__nft *nft, uint8_t state)
{
	if (state == FO_STATE_ARMED)
		return FO_R_FALLBACK;
	if (state == FO_STATE_PARTIAL && nft->foreign)
		return FO_R_IN_USE;
	return nft->hardware && state != FO_STATE_HARDWARE ? FO_R_NOT_IN_HARDWARE : FO_R_NONE;
}

/* Armed as it was at the last look, and packets since: of a flow that only now left they may have been on the short cut. */
static void note_left_out(struct fo__nft_record *record, uint8_t state, uint64_t packets_before)
{
	if (state != FO_STATE_ARMED || record->state != FO_STATE_ARMED)
		record->flags &= (uint8_t)~FO__NFT_LEFT_OUT;
	else if (record->packets[0] + record->packets[1] > packets_before)
		record->flags |= FO__NFT_LEFT_OUT;
}

void fo__nft_take_entry(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry)
{
	struct fo__nft_record *record = &nft->records[slot];
	uint64_t packets = record->packets[0] + record->packets[1];
	uint8_t state = state_of(nft, record, entry);
	enum fo_reason closing = fo__nft_closing(nft, entry);
	int first = !(record->flags & FO__NFT_HAS_CT);

	/* Armed in advance: only now can it be compared. */
	if (first && fo__nft_tuple_hash(nft, &entry->tuple[1], entry->zone) != record->reply) {
		record->flags |= FO__NFT_HAS_CT;
		fo__nft_flow_end(nft, slot, FO__NFT_SAY_REFUSED, FO_R_NAT);
		return;
	}
	fo__nft_take_counters(nft, slot, entry);
	note_left_out(record, state, packets);
	if (record->flags & FO__NFT_QUEUED)
		return;
	if (state != record->state) {
		record->state = state;
		nft->ops->state(nft->host, record->cookie, state, reason_of(nft, state));
	}
	/* What left the hardware is proven anew when it is back. */
	if (!(entry->status & FO__NFT_HW_OFFLOAD))
		record->flags &= (uint8_t)~FO__NFT_PROVEN;
	else if (nft->hardware && !nft->foreign && !(record->flags & (FO__NFT_PROVEN | FO__NFT_HIDDEN)))
		fo__nft_proof_want(nft, slot, entry);
	if (closing)
		nft->ops->closing(nft->host, record->cookie, closing);
}

/* ---- Asking ---- */

struct one {
	struct fo__ct_entry *entry;
	int error;
};

static void take_one(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct one *one = arg;

	(void)i;
	one->error = error;
	if (entry)
		*one->entry = *entry;
}

int fo__nft_ask(struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone, struct fo__ct_entry *entry)
{
	struct fo__ct_key key = {tuple, zone};
	struct one one = {entry, EIO};

	(void)fo__ct_get(&nft->ask, nft->tx, &key, 1, take_one, &one);
	return -one.error;
}

void fo__nft_ask_slots(struct fo__nft *nft, const uint32_t *slots, size_t n, fo__ct_found found, void *arg)
{
	struct fo__ct_key keys[FO__NFT_ASK_MOST];
	struct fo_tuple tuples[FO__NFT_ASK_MOST];

	/* Copies: a record may be dropped while the rest is told. */
	for (size_t i = 0; i < n; i++) {
		tuples[i] = nft->records[slots[i]].tuple;
		keys[i].tuple = &tuples[i];
		keys[i].zone = nft->records[slots[i]].zone;
	}
	(void)fo__ct_get(&nft->ask, nft->tx, keys, n, found, arg);
}

/* ---- Events ---- */

static void heard(void *arg, enum fo__ct_event event, const struct fo__ct_entry *entry)
{
	struct fo__nft *nft = arg;
	enum fo_reason closing = fo__ct_closing(entry);
	struct fo__nft_record *record;
	uint32_t slot;

	if (event != FO__CT_DESTROY)
		return;
	fo__nft_permit(nft, entry);
	slot = fo__nft_record_by_tuple(nft, &entry->tuple[0], entry->zone);
	if (slot == FO__NFT_NO_SLOT)
		return;
	record = &nft->records[slot];
	if (record->ct_id && (entry->have & FO__CT_ID) && record->ct_id != entry->id)
		return;
	fo__nft_take_counters(nft, slot, entry);
	fo__nft_flow_end(nft, slot, FO__NFT_SAY_ENDED, closing ? closing : FO_R_LOST);
}

void fo__nft_hear(struct fo__nft *nft)
{
	for (unsigned int i = 0; i < EVENTS_MOST; i++) {
		int rc = fo__ct_events(&nft->events, heard, nft);

		if (!rc)
			return;
		/* Lost or garbled: what they would have told is asked for. */
		if (rc < 0)
			nft->resync = 1;
	}
}

/* ---- The dump ---- */

static int seen(void *arg, const struct fo__ct_entry *entry)
{
	struct fo__nft *nft = arg;
	uint32_t slot = fo__nft_record_by_tuple(nft, &entry->tuple[0], entry->zone);

	if (slot == FO__NFT_NO_SLOT) {
		fo__nft_adopt(nft, entry);
		return 0;
	}
	nft->records[slot].seen = nft->pass;
	fo__nft_take_entry(nft, slot, entry);
	return 0;
}

static void rest(struct fo__nft *nft)
{
	uint64_t now = fo__nft_now(nft), pause = 4 * (now - nft->dump_began_ms);

	if (pause < FO__NFT_DUMP_MS)
		pause = FO__NFT_DUMP_MS;
	if (pause > FO__NFT_DUMP_MOST_MS)
		pause = FO__NFT_DUMP_MOST_MS;
	nft->dumping = nft->checking = 0;
	nft->next_dump_ms = now + pause;
}

static void begin(struct fo__nft *nft)
{
	nft->pass = (uint8_t)(nft->pass == UINT8_MAX ? 1 : nft->pass + 1);
	nft->refreshed = 0;
	fo__nft_past_begin(nft);
	nft->dump_began_ms = fo__nft_now(nft);
	nft->dumping = !fo__ct_dump_begin(&nft->dump, IPS_OFFLOAD);
	if (!nft->dumping)
		rest(nft);
}

static void step(struct fo__nft *nft)
{
	int rc = fo__ct_dump_step(&nft->dump, IPS_OFFLOAD, seen, nft);

	if (rc == 1)
		return;
	nft->dumping = 0;
	/* A refresh meanwhile, or a broken dump: absence proves nothing. */
	if ((rc && rc != -EINTR) || (nft->refreshed && !nft->resync)) {
		rest(nft);
		return;
	}
	if (!rc)
		fo__nft_past_end(nft);
	nft->checking = 1;
	nft->check_at = 0;
	nft->permit_at = nft->n_forbidden;
}

struct missing {
	struct fo__nft *nft;
	const uint32_t *slots;
};

static void missed(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	const struct missing *missing = arg;
	struct fo__nft *nft = missing->nft;
	uint32_t slot = missing->slots[i];
	struct fo__nft_record *record = &nft->records[slot];

	if (entry && fo__ct_same_tuple(&entry->tuple[0], &record->tuple))
		fo__nft_take_entry(nft, slot, entry);
	else if ((entry || error == ENOENT) && (record->flags & FO__NFT_HAS_CT))
		fo__nft_flow_end(nft, slot, FO__NFT_SAY_ENDED, FO_R_LOST);
}

static void check(struct fo__nft *nft)
{
	uint32_t slots[CHECKS_MOST];
	struct missing missing = {nft, slots};
	size_t n = 0;

	for (; nft->check_at < nft->high && n < CHECKS_MOST; nft->check_at++) {
		const struct fo__nft_record *record = &nft->records[nft->check_at];

		if (!record->cookie || (record->flags & FO__NFT_QUEUED) || record->seen == nft->pass)
			continue;
		if (record->state != FO_STATE_ARMED || nft->resync)
			slots[n++] = nft->check_at;
	}
	if (n)
		fo__nft_ask_slots(nft, slots, n, missed, &missing);
	if (nft->check_at < nft->high)
		return;
	if (nft->resync && nft->permit_at) {
		fo__nft_permit_ended(nft, CHECKS_MOST);
		return;
	}
	nft->resync = 0;
	rest(nft);
}

void fo__nft_watch(struct fo__nft *nft, uint64_t until_us)
{
	uint64_t at;

	fo__nft_hear(nft);
	if (!nft->dumping && !nft->checking) {
		if (!(nft->n_used || nft->n_policies || nft->n_past) || fo__nft_now(nft) < nft->next_dump_ms)
			return;
		begin(nft);
	}
	at = fo__nft_us();
	while (nft->dumping || nft->checking) {
		if (nft->dumping)
			step(nft);
		else
			check(nft);
		if (!fo__nft_has_time(&at, until_us))
			return;
	}
}
