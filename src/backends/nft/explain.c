/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - what the kernel does with a connection, in a sentence: fo_flow_explain()'s second half. See state.h. */
#include "backends/nft/state.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h>

/* The device by which one end of it is reached, where that is none of the flowtable's: by routes that ask for no mark. */
static const struct fo__nft_link *outside(struct fo__nft *nft, const struct fo__ct_entry *entry)
{
	if (fo__nft_links_read(nft, NULL))
		return NULL;
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t device = fo__nft_routed_by(nft, entry->tuple[dir].family, entry->tuple[dir].src);

		if (device && !fo__nft_covers(nft, device))
			return fo__nft_link(nft, device);
	}
	return NULL;
}

static void not_taken(struct fo__nft *nft, const struct fo__ct_entry *entry, char *text, size_t size)
{
	const struct fo__nft_link *link = outside(nft, entry);

	if (link)
		(void)snprintf(text, size,
			       "Established and in the set, but not taken: one end is reached by device %s, "
			       "which is not in the flowtable.",
			       link->name);
	else
		(void)snprintf(
			text, size,
			"Established and in the set, but not taken: it is not forwarded here, or a rule "
			"drops it first.");
}

/* Why an established connection with an element is not on the short cut. */
static void why_not(struct fo__nft *nft, const struct fo__nft_record *record,
		    const struct fo__ct_entry *entry, char *text, size_t size)
{
	if (entry->have & FO__CT_HELPER)
		(void)snprintf(text, size,
			       "Conntrack helper %s reads its packets; nf_flowtable takes no such.",
			       entry->helper);
	else if (entry->status & IPS_SEQ_ADJUST)
		(void)snprintf(text, size,
			       "Conntrack adjusts its sequence numbers; nf_flowtable takes no such.");
	else if (fo__nft_closing(nft, entry))
		(void)snprintf(text, size, "The connection is ending: %s, conntrack says %s.",
			       fo_reason_text(fo__nft_closing(nft, entry)),
			       fo__ct_tcp_state_name(entry->tcp_state));
	else if (!fo__ct_established(entry))
		(void)snprintf(text, size, "Conntrack has seen no answer yet (%s): not established.",
			       entry->have & FO__CT_TCP_STATE ? fo__ct_tcp_state_name(entry->tcp_state)
							      : "UNREPLIED");
	else if ((entry->have & FO__CT_TCP_STATE) &&
		 strcmp(fo__ct_tcp_state_name(entry->tcp_state), "ESTABLISHED"))
		(void)snprintf(text, size, "Conntrack says %s: not established.",
			       fo__ct_tcp_state_name(entry->tcp_state));
	else if (!(record->flags & FO__NFT_LEFT_OUT) &&
		 entry->packets[0] + entry->packets[1] == record->packets[0] + record->packets[1])
		(void)snprintf(text, size,
			       "Idle, so that the kernel let go of it; it comes back with its next packet.");
	else
		not_taken(nft, entry, text, size);
}

/* The kernel takes a connection up by the device of one direction: the other may come by one that it does not look at. */
static void taken(struct fo__nft *nft, const struct fo__ct_entry *entry, char *text, size_t size)
{
	const struct fo__nft_link *link = outside(nft, entry);

	(void)snprintf(text, size, "Conntrack says OFFLOAD; %llu + %llu packets since it began.%s%s%s",
		       (unsigned long long)entry->packets[0], (unsigned long long)entry->packets[1],
		       link ? " What comes by device " : "", link ? link->name : "",
		       link ? " takes the slow path: it is not in the flowtable." : "");
}

/* In hardware mode: on the short cut, but whose? */
static void where(const struct fo__nft_record *record, const struct fo__ct_entry *entry, char *text,
		  size_t size)
{
	unsigned long long packets[2] = {entry->packets[0], entry->packets[1]};

	if (!(entry->status & IPS_OFFLOAD))
		(void)snprintf(
			text, size,
			"The kernel has let go of it, the driver is being told; the slow path has it.");
	else if (!(entry->status & FO__NFT_HW_OFFLOAD))
		(void)snprintf(text, size,
			       "Conntrack says OFFLOAD: in software. The driver refused it (the kernel does "
			       "not say why) or has not answered.");
	else if (record->flags & FO__NFT_PROVEN)
		(void)snprintf(text, size, "Conntrack says HW_OFFLOAD; %llu + %llu packets were told of.",
			       packets[0], packets[1]);
	else if (record->flags & FO__NFT_HIDDEN)
		(void)snprintf(text, size,
			       "Conntrack says HW_OFFLOAD: one direction at least; in this encapsulation it "
			       "cannot be told whether both.");
	else
		(void)snprintf(text, size,
			       "Conntrack says HW_OFFLOAD: one direction at least; of which the kernel does "
			       "not say. %llu + %llu packets were told of.",
			       packets[0], packets[1]);
}

void fo__nft_explain(struct fo__nft *nft, uint32_t slot, char *text, size_t size)
{
	struct fo__nft_record *record = &nft->records[slot];
	struct fo__ct_entry entry;
	int rc = fo__nft_ask(nft, &record->tuple, record->zone, &entry);

	if (rc == -ENOENT)
		(void)snprintf(text, size, "Conntrack has no entry for it%s.",
			       record->flags & FO__NFT_HAS_CT ? " any more" : " yet; it is armed in advance");
	else if (rc)
		(void)snprintf(text, size, "Conntrack could not be asked: %s.", strerror(-rc));
	else if ((entry.status & IPS_OFFLOAD) && nft->foreign)
		(void)snprintf(text, size,
			       "Conntrack says OFFLOAD, but others have flowtables on these devices: "
			       "whose it is cannot be told.");
	else if (nft->hardware && (entry.status & FO__NFT_SHORT_CUT))
		where(record, &entry, text, size);
	else if (entry.status & IPS_OFFLOAD)
		taken(nft, &entry, text, size);
	else
		why_not(nft, record, &entry, text, size);
}

void fo__nft_explain_key(struct fo__nft *nft, const struct fo_key *key, char *text, size_t size)
{
	struct fo__ct_entry entry;
	int rc = fo__nft_ask(nft, &key->tuple, key->scope, &entry);

	if (rc == -ENOENT)
		(void)snprintf(text, size, "Conntrack has no entry for it.");
	else if (rc)
		(void)snprintf(text, size, "Conntrack could not be asked: %s.", strerror(-rc));
	else if (entry.status & IPS_OFFLOAD)
		(void)snprintf(text, size,
			       "Conntrack says OFFLOAD: another table or somebody else's flowtable has it.");
	else if (entry.have & FO__CT_HELPER)
		(void)snprintf(text, size, "Not in the set; conntrack helper %s would keep it out as well.",
			       entry.helper);
	else if (!fo__ct_established(&entry))
		(void)snprintf(text, size, "Not in the set; conntrack knows it, but no answer was seen yet.");
	else
		(void)snprintf(text, size,
			       "Not in the set; conntrack knows it as established: it may be added.");
}
