/* SPDX-License-Identifier: BSD-2-Clause */
/* flows.c - flows that come and flows that go. See state.h.
 *
 * A flow that comes is compared with its conntrack entry first: NAT and next hop are the kernel's, so that what the caller
 * says of them can only be right or refused. One that goes loses its element; where the kernel holds it still it then waits
 * for the next refresh, and only after that its last counters are read and its end is told.
 */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>

/* ---- Against conntrack ---- */

static int judge(const struct fo_backend_flow *flow, const struct fo__ct_entry *entry, uint8_t *flags,
		 struct fo_error *err)
{
	int reversed;

	*flags |= FO__NFT_HAS_CT;
	if (!fo__ct_carries(entry, flow->flow->tuple, &reversed))
		return fo__ct_contradicts(entry, flow->flow->tuple, err);
	*flags |= reversed ? FO__NFT_REVERSED : 0;
	return fo__ct_fits(entry, err);
}

/* ---- Coming ---- */

struct adding {
	struct fo__nft *nft;
	const struct fo_backend_flow *flows;
	int *results;
	struct fo_error *errs;
};

static void enter(struct fo__nft *nft, const struct fo_backend_flow *flow, const struct fo__ct_entry *entry,
		  uint8_t flags)
{
	struct fo__nft_record *record = fo__nft_record_take(nft, flow->slot);

	memset(record, 0, sizeof(*record));
	record->cookie = flow->cookie;
	record->tuple = flow->flow->tuple[flags & FO__NFT_REVERSED ? 1 : 0];
	record->zone = flow->flow->scope;
	record->reply = fo__nft_tuple_hash(nft, &flow->flow->tuple[flags & FO__NFT_REVERSED ? 0 : 1],
					   flow->flow->scope);
	record->state = FO_STATE_ARMED;
	record->flags = flags;
	record->queue = FO__NFT_NO_SLOT;
	if (fo__nft_is_hidden(flow->in[0]) || fo__nft_is_hidden(flow->in[1]))
		record->flags |= FO__NFT_HIDDEN;
	if (entry) {
		/* What was counted before is the slow path's. */
		memcpy(record->packets, entry->packets, sizeof(record->packets));
		memcpy(record->bytes, entry->bytes, sizeof(record->bytes));
		record->ct_id = entry->id;
	}
	fo__nft_record_link(nft, flow->slot);
}

static int collision(struct fo_error *err)
{
	return fo__nl_refuse(
		err, -ENOSPC, FO_R_COLLISION, FO_STAGE_INSTALL, 0, "tuple[0]",
		"conntrack knows one connection of this tuple whatever the ingress: give the flows "
		"scopes (zones) of their own");
}

static void judged(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct adding *adding = arg;
	const struct fo_backend_flow *flow = &adding->flows[i];
	struct fo_error *err = &adding->errs[i];
	const struct fo_tuple *key;
	uint8_t flags = 0;
	int rc = 0;

	if (entry)
		rc = judge(flow, entry, &flags, err);
	else if (error == ENOENT)
		rc = 0;
	else
		rc = fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, error, NULL,
				   "conntrack could not be asked: %s", strerror(error));
	if (!rc)
		rc = fo__nft_check_timeout(adding->nft, flow, err);
	key = &flow->flow->tuple[flags & FO__NFT_REVERSED ? 1 : 0];
	if (!rc && fo__nft_record_by_tuple(adding->nft, key, flow->flow->scope) != FO__NFT_NO_SLOT)
		rc = collision(err);
	if (!rc)
		enter(adding->nft, flow, entry, flags);
	adding->results[i] = rc ? rc : FO_BACKEND_PENDING;
}

static void take_back(struct adding *adding, size_t n, int rc, const struct fo__nl_answer *answer)
{
	for (size_t i = 0; i < n; i++) {
		if (adding->results[i] != FO_BACKEND_PENDING)
			continue;
		fo__nft_record_drop(adding->nft, adding->flows[i].slot);
		adding->results[i] =
			fo__nl_refused(&adding->errs[i], rc == -ENOMEM ? rc : -EIO, FO_STAGE_INSTALL, answer,
				       "nf_tables refused the element");
	}
}

static int install(struct adding *adding, size_t n, struct fo__nl_answer *answer)
{
	struct fo__nft_record *records[FO__NFT_ASK_MOST];
	size_t fit = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (adding->results[i] == FO_BACKEND_PENDING)
			records[fit++] = &adding->nft->records[adding->flows[i].slot];
	if (!fit)
		return 0;
	rc = fo__nft_elements_add(adding->nft, records, fit, answer);
	for (size_t i = 0; !rc && i < fit; i++)
		records[i]->flags |= FO__NFT_IN_SET;
	return rc;
}

static void add_some(struct adding *adding, size_t n)
{
	struct fo__ct_key keys[FO__NFT_ASK_MOST];
	struct fo__nft *nft = adding->nft;
	struct fo__nl_answer answer = {.error = 0};
	uint64_t soon = fo__nft_now(nft) + FO__NFT_SOON_MS;
	int rc;

	for (size_t i = 0; i < n; i++) {
		keys[i].tuple = &adding->flows[i].flow->tuple[0];
		keys[i].zone = adding->flows[i].flow->scope;
	}
	(void)fo__ct_get(&nft->ask, nft->tx, keys, n, judged, adding);
	rc = install(adding, n, &answer);
	if (rc == -ENOENT)
		nft->lost = 1;
	if (rc)
		take_back(adding, n, rc, &answer);
	if (soon < nft->next_dump_ms)
		nft->next_dump_ms = soon;
}

void fo__nft_flows_add(struct fo__nft *nft, const struct fo_backend_flow *flows, size_t n, int *results,
		       struct fo_error *errs)
{
	if (nft->lost) {
		for (size_t i = 0; i < n; i++)
			results[i] = fo__nl_refuse(&errs[i], -EIO, FO_R_LOST, FO_STAGE_INSTALL, ENOENT, NULL,
						   "the table in nf_tables is gone: poll, then add again");
		return;
	}
	/* Ends of earlier connections with these tuples must not be taken for theirs. */
	fo__nft_hear(nft);
	for (size_t i = 0; i < n; i += FO__NFT_ASK_MOST) {
		struct adding adding = {nft, flows + i, results + i, errs + i};

		add_some(&adding, n - i < FO__NFT_ASK_MOST ? n - i : FO__NFT_ASK_MOST);
	}
}

/* ---- Going ---- */

void fo__nft_queue_put(struct fo__nft *nft, uint32_t *head, uint32_t *tail, uint32_t slot)
{
	nft->records[slot].queue = FO__NFT_NO_SLOT;
	if (*tail == FO__NFT_NO_SLOT)
		*head = slot;
	else
		nft->records[*tail].queue = slot;
	*tail = slot;
}

uint32_t fo__nft_queue_take(struct fo__nft *nft, uint32_t *head, uint32_t *tail)
{
	uint32_t slot = *head;

	if (slot == FO__NFT_NO_SLOT)
		return slot;
	*head = nft->records[slot].queue;
	if (*head == FO__NFT_NO_SLOT)
		*tail = FO__NFT_NO_SLOT;
	return slot;
}

void fo__nft_flow_end(struct fo__nft *nft, uint32_t slot, enum fo__nft_last_word word, unsigned int reason)
{
	struct fo__nft_record *record = &nft->records[slot];

	/* A delete is owed removed(), whatever else ends the flow meanwhile. */
	if (!(record->flags & FO__NFT_QUEUED) || word == FO__NFT_SAY_REMOVED) {
		record->word = (uint8_t)word;
		record->reason = (uint8_t)reason;
	}
	if (record->flags & FO__NFT_QUEUED)
		return;
	record->flags |= FO__NFT_QUEUED;
	fo__nft_queue_put(nft, &nft->queue_head, &nft->queue_tail, slot);
}

int fo__nft_ending(const struct fo__nft *nft)
{
	return nft->queue_head != FO__NFT_NO_SLOT || nft->wait_head != FO__NFT_NO_SLOT ||
	       nft->left_head != FO__NFT_NO_SLOT;
}

static void refused(struct fo__nft *nft, uint64_t cookie)
{
	struct fo_error why;

	memset(&why, 0, sizeof(why));
	(void)fo__nl_refuse(&why, -EINVAL, FO_R_NAT, FO_STAGE_VERIFY, 0, "tuple[1]",
			    "tuple[1] contradicts the conntrack entry that came: the NAT is the kernel's");
	nft->ops->refused(nft->host, cookie, &why);
}

/* The record goes first: the library may give its slot to another flow at once. */
static void finish(struct fo__nft *nft, uint32_t slot)
{
	struct fo__nft_record was = nft->records[slot];

	fo__nft_record_drop(nft, slot);
	if (was.word == FO__NFT_SAY_REMOVED)
		nft->ops->removed(nft->host, was.cookie);
	else if (was.word == FO__NFT_SAY_REFUSED)
		refused(nft, was.cookie);
	else
		nft->ops->ended(nft->host, was.cookie, was.reason, 0);
}

struct leaving {
	struct fo__nft *nft;
	const uint32_t *slots;
	int may_wait; /* for the refresh */
};

/* Does the kernel hold a flow whose element is gone? */
static int is_held(const struct fo__nft *nft, const struct fo__nft_record *record,
		   const struct fo__ct_entry *entry, int error)
{
	if (nft->hardware)
		return fo__nft_in_hardware(nft, record, entry, error);
	return entry ? (entry->status & IPS_OFFLOAD) != 0 : error != ENOENT;
}

static void left(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct leaving *leaving = arg;
	struct fo__nft *nft = leaving->nft;
	uint32_t slot = leaving->slots[i];

	if (entry && !(nft->records[slot].flags & FO__NFT_KILLED))
		fo__nft_take_counters(nft, slot, entry);
	/* Not knowing is treated as the worse case. */
	if (leaving->may_wait && is_held(nft, &nft->records[slot], entry, error))
		fo__nft_queue_put(nft, &nft->wait_head, &nft->wait_tail, slot);
	else
		finish(nft, slot);
}

/* One by one, where one of many was not there. */
static int delete_singly(struct fo__nft *nft, struct fo__nft_record *const *records, size_t n)
{
	struct fo__nl_answer answer;

	for (size_t i = 0; i < n; i++) {
		int rc = fo__nft_elements_del(nft, &records[i], 1, &answer);

		if (rc && rc != -ENOENT)
			return rc;
		records[i]->flags &= (uint8_t)~FO__NFT_IN_SET;
	}
	return 0;
}

static int delete_elements(struct fo__nft *nft, const uint32_t *slots, size_t n)
{
	struct fo__nft_record *records[FO__NFT_ASK_MOST];
	struct fo__nl_answer answer;
	size_t there = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (nft->records[slots[i]].flags & FO__NFT_IN_SET)
			records[there++] = &nft->records[slots[i]];
	if (!there)
		return 0;
	rc = fo__nft_elements_del(nft, records, there, &answer);
	if (rc == -ENOENT && !fo__nft_table_alive(nft))
		return delete_singly(nft, records, there);
	for (size_t i = 0; !rc && i < there; i++)
		records[i]->flags &= (uint8_t)~FO__NFT_IN_SET;
	return rc;
}

static void take_last(struct fo__nft *nft, uint32_t slot, const struct fo__ct_entry *entry)
{
	if (entry && fo__ct_same_tuple(&entry->tuple[0], &nft->records[slot].tuple))
		fo__nft_take_counters(nft, slot, entry);
}

/* A delete that comes alone need not wait for a poll: out at once, with a refresh where it takes one, or by its conntrack
 * entry where that is what takes it out of hardware. Those that come sooner after another are left for the poll, which takes
 * them together. */
static int leave_now(struct fo__nft *nft, uint32_t slot)
{
	struct fo__nft_record *record = &nft->records[slot];
	struct fo__ct_entry entry;
	struct fo_error why;
	int rc;

	if (delete_elements(nft, &slot, 1))
		return 0;
	rc = fo__nft_ask(nft, &record->tuple, record->zone, &entry);
	if (rc && rc != -ENOENT)
		return 0;
	if (nft->hardware && fo__nft_in_hardware(nft, record, rc ? NULL : &entry, -rc)) {
		take_last(nft, slot, rc ? NULL : &entry);
		fo__nft_let_go_now(nft, record, rc ? NULL : &entry, -rc);
		return 0;
	}
	if (!rc && (entry.status & IPS_OFFLOAD)) {
		if (fo__nft_refresh(nft, &why))
			return 0;
		nft->refreshed = 1;
		nft->next_refresh_ms = fo__nft_now(nft) + FO__NFT_REFRESH_MS;
		rc = fo__nft_ask(nft, &record->tuple, record->zone, &entry);
	}
	take_last(nft, slot, rc ? NULL : &entry);
	fo__nft_record_drop(nft, slot);
	return 1;
}

int fo__nft_flow_del(struct fo__nft *nft, uint32_t slot)
{
	uint64_t now = fo__nft_now(nft);
	int alone = !(nft->records[slot].flags & FO__NFT_QUEUED) && !fo__nft_ending(nft) && !nft->lost &&
		    now >= nft->next_refresh_ms && now >= nft->next_direct_ms;

	if (alone) {
		nft->next_direct_ms = now + FO__NFT_REFRESH_MS;
		if (leave_now(nft, slot))
			return 0;
	}
	fo__nft_flow_end(nft, slot, FO__NFT_SAY_REMOVED, FO_R_NONE);
	return FO_BACKEND_PENDING;
}

static size_t take_some(struct fo__nft *nft, uint32_t *head, uint32_t *tail, uint32_t *slots)
{
	size_t n = 0;

	while (n < FO__NFT_ASK_MOST && *head != FO__NFT_NO_SLOT)
		slots[n++] = fo__nft_queue_take(nft, head, tail);
	return n;
}

static void flush_queue(struct fo__nft *nft, uint64_t until_us)
{
	uint32_t slots[FO__NFT_ASK_MOST];
	struct leaving leaving = {nft, slots, 1};
	uint64_t at = fo__nft_us();

	while (nft->queue_head != FO__NFT_NO_SLOT) {
		size_t n = take_some(nft, &nft->queue_head, &nft->queue_tail, slots);
		int rc = delete_elements(nft, slots, n);

		if (rc) {
			/* They stay; whoever polls next tries again. */
			for (size_t i = 0; i < n; i++)
				fo__nft_queue_put(nft, &nft->queue_head, &nft->queue_tail, slots[i]);
			nft->lost |= rc == -ENOENT;
			return;
		}
		fo__nft_ask_slots(nft, slots, n, left, &leaving);
		if (!fo__nft_has_time(&at, until_us))
			return;
	}
}

/* The kernel has let go of all that waited for it: what they counted last can be read. */
static void refresh(struct fo__nft *nft)
{
	struct fo_error why;
	int rc = fo__nft_refresh(nft, &why);

	nft->next_refresh_ms = fo__nft_now(nft) + FO__NFT_REFRESH_MS;
	if (rc) {
		nft->lost |= fo__nft_table_alive(nft) == -ENOENT;
		return;
	}
	if (nft->hardware)
		return;
	nft->refreshed = 1;
	if (nft->wait_head == FO__NFT_NO_SLOT)
		return;
	if (nft->left_tail == FO__NFT_NO_SLOT)
		nft->left_head = nft->wait_head;
	else
		nft->records[nft->left_tail].queue = nft->wait_head;
	nft->left_tail = nft->wait_tail;
	nft->wait_head = nft->wait_tail = FO__NFT_NO_SLOT;
}

static void say_last_words(struct fo__nft *nft, uint64_t until_us)
{
	uint32_t slots[FO__NFT_ASK_MOST];
	struct leaving leaving = {nft, slots, 0};
	uint64_t at = fo__nft_us();

	while (nft->left_head != FO__NFT_NO_SLOT) {
		size_t n = take_some(nft, &nft->left_head, &nft->left_tail, slots);

		fo__nft_ask_slots(nft, slots, n, left, &leaving);
		if (!fo__nft_has_time(&at, until_us))
			return;
	}
}

void fo__nft_flows_flush(struct fo__nft *nft, uint64_t until_us)
{
	uint64_t now;

	flush_queue(nft, until_us);
	now = fo__nft_now(nft);
	if (nft->hardware)
		fo__nft_let_go(nft);
	/* Those still in the queue would want another refresh: wait for them, but not for ever. */
	if (!nft->lost && ((nft->wait_head != FO__NFT_NO_SLOT && !nft->hardware) || nft->stale) &&
	    now >= nft->next_refresh_ms &&
	    (nft->queue_head == FO__NFT_NO_SLOT || now >= nft->next_refresh_ms + FO__NFT_REFRESH_MS))
		refresh(nft);
	say_last_words(nft, until_us);
}

void fo__nft_flows_lost(struct fo__nft *nft)
{
	struct fo_error why;

	if (nft->n_used) {
		fo__nft_records_clear(nft);
		if (nft->proofs)
			memset(nft->proofs, 0, FO__NFT_PROOFS * sizeof(*nft->proofs));
		nft->n_proofs = 0;
		nft->ops->all_lost(nft->host, ENOENT);
	}
	if (fo__nft_now(nft) < nft->next_refresh_ms)
		return;
	nft->next_refresh_ms = fo__nft_now(nft) + FO__NFT_REFRESH_MS;
	if (!fo__nft_create_rules(nft, 0, &why))
		nft->lost = 0;
}
