/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c - all conntrack entries in a dump that is read in slices, and what the kernel tells of them unasked. See
 * conntrack.h. */
#include "conntrack/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* ---- Dumps ---- */

int fo__ct_dump_begin(struct fo__nl *nl, uint32_t status)
{
	uint8_t buffer[128] __attribute__((aligned(4)));
	struct nfgenmsg *header;
	struct fo__tx tx;

	fo__tx_begin(&tx, buffer, sizeof(buffer), nl->seq);
	header = fo__tx_message(&tx, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP,
				sizeof(*header));
	if (!header)
		return -EMSGSIZE;
	header->nfgen_family = AF_UNSPEC;
	header->version = NFNETLINK_V0;
	if (status) {
		fo__tx_put_be32(&tx, CTA_STATUS, status);
		fo__tx_put_be32(&tx, CTA_STATUS_MASK, status);
	}
	return fo__nl_dump_begin(nl, &tx);
}

struct showing {
	uint32_t status;
	fo__ct_seen seen;
	void *arg;
};

static int show(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct showing *showing = arg;
	struct fo__ct_entry entry;
	int rc;

	(void)seq;
	(void)error;
	if (nlh->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return -EPROTO;
	rc = fo__ct_read(nlh, &entry);
	if (rc == -EPROTONOSUPPORT)
		return 0;
	if (rc)
		return rc;
	/* Kernels before 5.15 do not know the filter and show everything. */
	if ((entry.status & showing->status) != showing->status)
		return 0;
	return showing->seen(showing->arg, &entry);
}

int fo__ct_dump_step(struct fo__nl *nl, uint32_t status, fo__ct_seen seen, void *arg)
{
	struct showing showing = {status, seen, arg};

	return fo__nl_dump_step(nl, show, &showing);
}

/* ---- Events ---- */

int fo__ct_listen(const struct fo__nl *nl, unsigned int events, struct fo_error *err)
{
	static const struct {
		unsigned int event;
		int group;
	} groups[] = {
		{FO__CT_LISTEN_NEW, NFNLGRP_CONNTRACK_NEW},
		{FO__CT_LISTEN_UPDATE, NFNLGRP_CONNTRACK_UPDATE},
		{FO__CT_LISTEN_DESTROY, NFNLGRP_CONNTRACK_DESTROY},
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (events & groups[i].event)
			rc = fo__nl_join(nl, groups[i].group, err);
	return rc;
}

struct hearing {
	fo__ct_heard heard;
	void *arg;
};

static int hear(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	const struct hearing *hearing = arg;
	enum fo__ct_event event = FO__CT_UPDATE;
	struct fo__ct_entry entry;

	(void)seq;
	(void)error;
	if (nlh->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE))
		event = FO__CT_DESTROY;
	else if (nlh->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return 0;
	else if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL))
		event = FO__CT_NEW;
	if (!fo__ct_read(nlh, &entry))
		hearing->heard(hearing->arg, event, &entry);
	return 0;
}

int fo__ct_events(struct fo__nl *nl, fo__ct_heard heard, void *arg)
{
	struct hearing hearing = {heard, arg};

	return fo__nl_notices(nl, hear, &hearing);
}
