/* SPDX-License-Identifier: BSD-2-Clause */
/* hardware.c - what is otherwise where drivers hold the flows (flags offload). See state.h.
 *
 * A flowtable that goes takes its flows out of the kernel, but tells no driver: what some of them hold then forwards for
 * ever. So nothing here ever takes the flowtable away while it has flows. What makes the kernel let go of one flow, and tell
 * the driver, is the end of its conntrack entry: the flowtable's collector finds it dying. The connection loses its state by
 * that, and one with NAT its translation: those are taken with FO_TABLE_KILL_CONNTRACK only. A connection that the kernel
 * has let go of by itself (FIN, idle) keeps its entry; its driver follows within a second.
 */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <time.h>

/* How long the drain before the end goes on for what does not let go. */
#define DRAIN_MOST_MS 10000u
#define DRAIN_STEP_MS 50u

static uint32_t real_ms(void)
{
	return (uint32_t)(fo__nft_us() / 1000);
}

/* Milliseconds left of a time that may be over. */
static uint32_t left_until(uint32_t due_ms, uint32_t now_ms)
{
	int32_t left = (int32_t)(due_ms - now_ms);

	return left > 0 ? (uint32_t)left : 0;
}

/* ... until the hardware has forgotten a flow, by the table's clock. */
static uint32_t left_of(const struct fo__nft *nft, const struct fo__nft_record *record)
{
	return left_until(record->due_ms, (uint32_t)fo__nft_now(nft));
}

int fo__nft_hardware_check(const struct fo_table_options *options, struct fo_error *err)
{
	if (options->flags & FO_TABLE_ACCEPT_LINGER)
		return 0;
	return fo__nl_refuse(
		err, -EOPNOTSUPP, FO_R_NEEDS, FO_STAGE_RESOLVE, 0, "needs",
		"hardware needs FO_TABLE_ACCEPT_LINGER in flags: a crash leaves rules in drivers");
}

int fo__nft_check_timeout(const struct fo__nft *nft, const struct fo_backend_flow *flow, struct fo_error *err)
{
	if (!nft->hardware || flow->timeout_ms >= nft->report_ms)
		return 0;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_INSTALL, 0, "timeout_ms",
			     "timeout_ms is %u, but what hardware counts is known after %u ms: give more, or "
			     "lower nf_flowtable_*_timeout",
			     flow->timeout_ms, nft->report_ms);
}

int fo__nft_in_hardware(const struct fo__nft *nft, const struct fo__nft_record *record,
			const struct fo__ct_entry *entry, int error)
{
	(void)nft;
	if (record->flags & FO__NFT_KILLED)
		return 1;
	/* Its entry is gone, or another connection's by now: the kernel has yet to notice. */
	if (!entry && error == ENOENT)
		return (record->flags & FO__NFT_HAS_CT) != 0;
	if (entry && record->ct_id && entry->id != record->ct_id)
		return 1;
	return !entry || (entry->status & FO__NFT_SHORT_CUT) != 0;
}

/* ---- Those that end ---- */

static int kill_entry(struct fo__nft *nft, const struct fo_tuple *tuple, uint16_t zone, uint32_t id)
{
	struct fo__ct_key key = {tuple, zone};
	struct fo__nl_answer answer;
	int rc = fo__ct_delete(&nft->ask, nft->tx, &key, id, &answer);

	return rc == -ENOENT ? 0 : rc;
}

void fo__nft_take_out(struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	(void)kill_entry(nft, &entry->tuple[0], entry->zone, entry->id);
}

struct verdict {
	uint32_t status;
	uint32_t id;
	int error;
};

static void take_verdict(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct verdict *verdicts = arg;

	verdicts[i].error = error;
	verdicts[i].status = entry ? entry->status : 0;
	verdicts[i].id = entry ? entry->id : 0;
}

/* One that waits: 1 it has left, 0 it has to wait. */
static int let_one_go(struct fo__nft *nft, struct fo__nft_record *record, const struct verdict *verdict)
{
	if (record->flags & FO__NFT_KILLED)
		return !left_of(nft, record);
	if (verdict->error && verdict->error != ENOENT)
		return 0;
	if (!record->ct_id)
		record->ct_id = verdict->id;
	/* The kernel let go of it by itself. */
	if (!verdict->error && verdict->id == record->ct_id && !(verdict->status & FO__NFT_SHORT_CUT))
		return 1;
	/* ... and the driver not yet: that is no reason to take its entry away. */
	if (!verdict->error && verdict->id == record->ct_id && !(verdict->status & IPS_OFFLOAD))
		return 0;
	if (!verdict->error && kill_entry(nft, &record->tuple, record->zone, record->ct_id))
		return 0;
	record->flags |= FO__NFT_KILLED;
	record->due_ms = (uint32_t)fo__nft_now(nft) + FO__NFT_LET_GO_MS;
	return 0;
}

void fo__nft_let_go_now(struct fo__nft *nft, struct fo__nft_record *record, const struct fo__ct_entry *entry,
			int error)
{
	struct verdict verdict;

	take_verdict(&verdict, 0, entry, error);
	(void)let_one_go(nft, record, &verdict);
}

static void let_some_go(struct fo__nft *nft, const uint32_t *slots, size_t n)
{
	struct verdict verdicts[FO__NFT_ASK_MOST];

	fo__nft_ask_slots(nft, slots, n, take_verdict, verdicts);
	for (size_t i = 0; i < n; i++) {
		if (let_one_go(nft, &nft->records[slots[i]], &verdicts[i]))
			fo__nft_queue_put(nft, &nft->left_head, &nft->left_tail, slots[i]);
		else
			fo__nft_queue_put(nft, &nft->wait_head, &nft->wait_tail, slots[i]);
	}
}

void fo__nft_let_go(struct fo__nft *nft)
{
	uint32_t slots[FO__NFT_ASK_MOST], last = nft->wait_tail, slot = FO__NFT_NO_SLOT;
	size_t n = 0;

	while (last != FO__NFT_NO_SLOT && slot != last) {
		slot = fo__nft_queue_take(nft, &nft->wait_head, &nft->wait_tail);
		if ((nft->records[slot].flags & FO__NFT_KILLED) && left_of(nft, &nft->records[slot]))
			fo__nft_queue_put(nft, &nft->wait_head, &nft->wait_tail, slot);
		else
			slots[n++] = slot;
		if (n == FO__NFT_ASK_MOST || (n && slot == last)) {
			let_some_go(nft, slots, n);
			n = 0;
		}
	}
	if (n)
		let_some_go(nft, slots, n);
}

uint32_t fo__nft_let_go_in(const struct fo__nft *nft)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t slot = nft->wait_head; slot != FO__NFT_NO_SLOT; slot = nft->records[slot].queue) {
		const struct fo__nft_record *record = &nft->records[slot];
		uint32_t in = record->flags & FO__NFT_KILLED ? left_of(nft, record) : DRAIN_STEP_MS;

		least = in < least ? in : least;
	}
	return least;
}

/* ---- Before the table goes ---- */

struct draining {
	struct fo__nft *nft;
	uint32_t found;
	uint32_t killed;
};

static int drain_one(void *arg, const struct fo__ct_entry *entry)
{
	struct draining *draining = arg;
	struct fo__nft *nft = draining->nft;

	if (fo__nft_record_by_tuple(nft, &entry->tuple[0], entry->zone) == FO__NFT_NO_SLOT &&
	    !fo__nft_policy_may_have(nft, entry))
		return 0;
	draining->found++;
	if (entry->status & IPS_OFFLOAD)
		draining->killed += !kill_entry(nft, &entry->tuple[0], entry->zone, entry->id);
	return 0;
}

/* Entries with one of the two bits. */
static int drain_pass(struct draining *draining)
{
	static const uint32_t bits[] = {IPS_OFFLOAD, FO__NFT_HW_OFFLOAD};
	struct fo__nft *nft = draining->nft;
	int rc = 0;

	draining->found = draining->killed = 0;
	for (size_t i = 0; !rc && i < sizeof(bits) / sizeof(bits[0]); i++) {
		rc = fo__ct_dump_begin(&nft->dump, bits[i]);
		while (!rc && (rc = fo__ct_dump_step(&nft->dump, bits[i], drain_one, draining)) == 1)
			rc = 0;
	}
	return rc;
}

static int pass_over(void *arg, const struct fo__ct_entry *entry)
{
	(void)arg;
	(void)entry;
	return 0;
}

/* A dump that was left in the middle would answer in the place of the next. */
static void end_dump(struct fo__nft *nft)
{
	while (nft->dumping)
		nft->dumping = fo__ct_dump_step(&nft->dump, IPS_OFFLOAD, pass_over, NULL) == 1;
}

/* Milliseconds until hardware has forgotten those whose entries are gone: we took them, or somebody else did, just now. */
static uint32_t longest_wait(const struct fo__nft *nft)
{
	uint32_t longest = nft->n_policies || nft->n_past ? FO__NFT_LET_GO_MS : 0;

	for (uint32_t slot = 0; slot < nft->high; slot++) {
		const struct fo__nft_record *record = &nft->records[slot];
		uint32_t left = record->flags & FO__NFT_KILLED ? left_of(nft, record) : FO__NFT_LET_GO_MS;

		if (record->cookie && left > longest &&
		    ((record->flags & FO__NFT_KILLED) || record->state != FO_STATE_ARMED))
			longest = left;
	}
	return longest;
}

void fo__nft_drain(struct fo__nft *nft)
{
	const struct timespec pause = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
	struct draining draining = {.nft = nft};
	uint32_t due = real_ms() + longest_wait(nft), end = real_ms() + DRAIN_MOST_MS;

	if (nft->lost || fo__nft_drop_rules(nft))
		return;
	end_dump(nft);
	while (left_until(end, real_ms())) {
		int rc = drain_pass(&draining);

		if (draining.killed)
			due = real_ms() + FO__NFT_LET_GO_MS;
		/* Of an interrupted dump, what is missing proves nothing. */
		if (rc != -EINTR && !draining.found && !left_until(due, real_ms()))
			return;
		(void)nanosleep(&pause, NULL);
	}
}
