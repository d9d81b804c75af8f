/* SPDX-License-Identifier: BSD-2-Clause */
/* request.c - conntrack entries looked up and changed by tuple. See conntrack.h. */
#include "conntrack/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

static uint16_t message_type(unsigned int message)
{
	return (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

static void begin(struct fo__tx *tx, unsigned int message, uint16_t flags, uint8_t family)
{
	struct nfgenmsg *header = fo__tx_message(tx, message_type(message), flags, sizeof(*header));

	if (!header)
		return;
	header->nfgen_family = family == FO_FAMILY_IPV6 ? AF_INET6 : AF_INET;
	header->version = NFNETLINK_V0;
}

/* The identifier, and type and code where other protocols have a port. */
static void put_echo(struct fo__tx *tx, const struct fo_tuple *tuple)
{
	int v6 = tuple->proto == IPPROTO_ICMPV6;
	uint8_t kind[2];

	memcpy(kind, &tuple->dport_be, sizeof(kind));
	fo__tx_put(tx, v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, sizeof(tuple->sport_be),
		   &tuple->sport_be);
	fo__tx_put_u8(tx, v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, kind[0]);
	fo__tx_put_u8(tx, v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, kind[1]);
}

static void put_tuple(struct fo__tx *tx, const struct fo_tuple *tuple)
{
	int v6 = tuple->family == FO_FAMILY_IPV6;
	struct nlattr *whole = fo__tx_open(tx, CTA_TUPLE_ORIG), *part = fo__tx_open(tx, CTA_TUPLE_IP);

	fo__tx_put(tx, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, v6 ? 16 : 4, tuple->src);
	fo__tx_put(tx, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, v6 ? 16 : 4, tuple->dst);
	fo__tx_close(tx, part);
	part = fo__tx_open(tx, CTA_TUPLE_PROTO);
	fo__tx_put_u8(tx, CTA_PROTO_NUM, tuple->proto);
	if (tuple->proto == IPPROTO_ICMP || tuple->proto == IPPROTO_ICMPV6) {
		put_echo(tx, tuple);
	} else {
		fo__tx_put(tx, CTA_PROTO_SRC_PORT, sizeof(tuple->sport_be), &tuple->sport_be);
		fo__tx_put(tx, CTA_PROTO_DST_PORT, sizeof(tuple->dport_be), &tuple->dport_be);
	}
	fo__tx_close(tx, part);
	fo__tx_close(tx, whole);
}

static void put_key(struct fo__tx *tx, const struct fo__ct_key *key)
{
	put_tuple(tx, key->tuple);
	if (key->zone)
		fo__tx_put_be16(tx, CTA_ZONE, key->zone);
}

/* ---- There at all? ---- */

/* The first request to a part of nfnetlink that is not there loads its module before it is answered; joining a group does it
 * behind the caller's back, too late. Any request would do: this one changes nothing and its answer is short. */
int fo__ct_ready(struct fo__nl *nl, void *buffer, struct fo_error *err)
{
	struct fo__nl_answer answer = {.error = 0};
	struct fo__tx tx;
	int rc;

	fo__tx_begin(&tx, buffer, FO__CT_TX_ROOM, nl->seq);
	begin(&tx, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, FO_FAMILY_IPV4);
	rc = fo__nl_talk(nl, &tx, NULL, NULL, &answer);
	if (answer.error == EINVAL)
		return fo__nl_refuse(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, EINVAL, NULL,
			"this kernel has no ctnetlink: it takes the module nf_conntrack_netlink, or "
			"CONFIG_NF_CT_NETLINK");
	return rc ? fo__nl_refused(err, rc, FO_STAGE_RESOLVE, &answer, "conntrack cannot be asked") : 0;
}

/* ---- Look-up ---- */

struct lookup {
	uint32_t first_seq;
	size_t base, n, next; /* keys below next were told of */
	fo__ct_found found;
	void *arg;
};

/* Keys that the kernel passed over in silence. */
static void skip_to(struct lookup *lookup, size_t i, int error)
{
	while (lookup->next < i)
		lookup->found(lookup->arg, lookup->base + lookup->next++, NULL, error);
}

static int looked_up(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct lookup *lookup = arg;
	size_t i = seq - lookup->first_seq;
	struct fo__ct_entry entry;
	int rc = 0;

	if (i >= lookup->n || i < lookup->next)
		return 0;
	if (nlh) {
		if (nlh->nlmsg_type != message_type(IPCTNL_MSG_CT_NEW))
			return -EPROTO;
		rc = fo__ct_read(nlh, &entry);
	}
	skip_to(lookup, i, EIO);
	lookup->next = i + 1;
	lookup->found(lookup->arg, lookup->base + i, nlh && !rc ? &entry : NULL, nlh ? -rc : error);
	return 0;
}

static int get_some(struct fo__nl *nl, void *buffer, const struct fo__ct_key *keys, struct lookup *lookup)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;
	int rc;

	fo__tx_begin(&tx, buffer, FO__CT_TX_ROOM, nl->seq);
	lookup->first_seq = tx.first_seq;
	for (size_t i = 0; i < lookup->n; i++) {
		begin(&tx, IPCTNL_MSG_CT_GET, 0, keys[i].tuple->family);
		put_key(&tx, &keys[i]);
	}
	rc = fo__nl_talk(nl, &tx, looked_up, lookup, &answer);
	/* That one key was refused is no failure of the exchange: it was told. */
	if (rc && answer.error == -rc)
		rc = 0;
	skip_to(lookup, lookup->n, rc ? -rc : EIO);
	return rc;
}

int fo__ct_get(struct fo__nl *nl, void *tx, const struct fo__ct_key *keys, size_t n, fo__ct_found found,
	       void *arg)
{
	int rc = 0;

	for (size_t i = 0; i < n; i += FO__CT_GET_MOST) {
		struct lookup lookup = {.base = i,
					.n = n - i < FO__CT_GET_MOST ? n - i : FO__CT_GET_MOST,
					.found = found,
					.arg = arg};

		if (rc)
			skip_to(&lookup, lookup.n, -rc);
		else
			rc = get_some(nl, tx, &keys[i], &lookup);
	}
	return rc;
}

/* ---- Change ---- */

/* Source: nlattr_to_tcp() in net/netfilter/nf_conntrack_proto_tcp.c: without a state the flags alone are taken. */
static void put_liberal(struct fo__tx *tx, uint8_t value)
{
	const struct nf_ct_tcp_flags flags = {value, IP_CT_TCP_FLAG_BE_LIBERAL};
	struct nlattr *info = fo__tx_open(tx, CTA_PROTOINFO), *tcp = fo__tx_open(tx, CTA_PROTOINFO_TCP);

	fo__tx_put(tx, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	fo__tx_put(tx, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	fo__tx_close(tx, tcp);
	fo__tx_close(tx, info);
}

static void put_change(struct fo__tx *tx, const struct fo__ct_wish *wish)
{
	begin(tx, IPCTNL_MSG_CT_NEW, NLM_F_ACK, wish->key.tuple->family);
	put_key(tx, &wish->key);
	if (wish->bits & FO__CT_SET_TIMEOUT)
		fo__tx_put_be32(tx, CTA_TIMEOUT, wish->timeout_s);
	if (wish->bits & (FO__CT_BE_LIBERAL | FO__CT_BE_STRICT))
		put_liberal(tx, wish->bits & FO__CT_BE_LIBERAL ? IP_CT_TCP_FLAG_BE_LIBERAL : 0);
}

struct changes {
	uint32_t first_seq;
	size_t n;
	int *errors;
	size_t refused;
};

/* Only refusals come here. */
static int was_refused(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct changes *changes = arg;
	size_t i = seq - changes->first_seq;

	if (nlh || i >= changes->n)
		return 0;
	changes->refused += !changes->errors[i];
	changes->errors[i] = error;
	return 0;
}

static int change_some(struct fo__nl *nl, void *buffer, const struct fo__ct_wish *wishes,
		       struct changes *changes)
{
	struct fo__nl_answer answer;
	struct fo__tx tx;
	int rc;

	memset(changes->errors, 0, changes->n * sizeof(*changes->errors));
	fo__tx_begin(&tx, buffer, FO__CT_TX_ROOM, nl->seq);
	changes->first_seq = tx.first_seq;
	for (size_t i = 0; i < changes->n; i++)
		put_change(&tx, &wishes[i]);
	rc = fo__nl_talk(nl, &tx, was_refused, changes, &answer);
	if (rc && answer.error == -rc)
		rc = 0;
	/* An answer that is missing proves nothing. */
	if (!rc && answer.acks + changes->refused != changes->n)
		rc = -EIO;
	for (size_t i = 0; rc && i < changes->n; i++)
		if (!changes->errors[i])
			changes->errors[i] = -rc;
	return rc;
}

int fo__ct_change(struct fo__nl *nl, void *buffer, const struct fo__ct_wish *wishes, size_t n, int *errors)
{
	int rc = 0;

	for (size_t i = 0; i < n; i += FO__CT_GET_MOST) {
		struct changes changes = {.n = n - i < FO__CT_GET_MOST ? n - i : FO__CT_GET_MOST,
					  .errors = errors + i};
		int now = change_some(nl, buffer, wishes + i, &changes);

		rc = rc ? rc : now;
	}
	return rc;
}

int fo__ct_delete(struct fo__nl *nl, void *buffer, const struct fo__ct_key *key, uint32_t id,
		  struct fo__nl_answer *answer)
{
	struct fo__tx tx;

	fo__tx_begin(&tx, buffer, FO__CT_TX_ROOM, nl->seq);
	begin(&tx, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, key->tuple->family);
	put_key(&tx, key);
	if (id)
		fo__tx_put_be32(&tx, CTA_ID, id);
	return fo__nl_talk(nl, &tx, NULL, NULL, answer);
}
