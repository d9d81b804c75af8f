/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.c - one conntrack entry out of a ctnetlink message. See conntrack.h.
 * Source: net/netfilter/nf_conntrack_netlink.c. */
#include "conntrack/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

static int read_addresses(const struct nlattr *nest, struct fo_tuple *out)
{
	const struct nlattr *ip[CTA_IP_MAX + 1];
	int rc = fo__rx_nested(nest, ip, CTA_IP_MAX);

	if (rc)
		return -EPROTO;
	if (ip[CTA_IP_V4_SRC]) {
		out->family = FO_FAMILY_IPV4;
		rc = fo__rx_bytes(ip[CTA_IP_V4_SRC], out->src, 4);
		return rc || fo__rx_bytes(ip[CTA_IP_V4_DST], out->dst, 4) ? -EPROTO : 0;
	}
	if (!ip[CTA_IP_V6_SRC])
		return -EPROTONOSUPPORT;
	out->family = FO_FAMILY_IPV6;
	rc = fo__rx_bytes(ip[CTA_IP_V6_SRC], out->src, 16);
	return rc || fo__rx_bytes(ip[CTA_IP_V6_DST], out->dst, 16) ? -EPROTO : 0;
}

/* Which attributes have what stands for ports. Echo: the identifier, and type and code (see struct fo_tuple). */
static int read_echo(const struct nlattr *const *proto, struct fo_tuple *out)
{
	int v6 = out->proto == IPPROTO_ICMPV6;
	uint8_t kind[2];

	if (fo__rx_bytes(proto[v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID], &out->sport_be, 2) ||
	    fo__rx_u8(proto[v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE], &kind[0]) ||
	    fo__rx_u8(proto[v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE], &kind[1]))
		return -EPROTO;
	memcpy(&out->dport_be, kind, 2);
	if (kind[1] || (v6 ? kind[0] != ICMP6_ECHO_REQUEST && kind[0] != ICMP6_ECHO_REPLY
			   : kind[0] != ICMP_ECHO && kind[0] != ICMP_ECHOREPLY))
		return -EPROTONOSUPPORT;
	return 0;
}

static int read_ports(const struct nlattr *nest, struct fo_tuple *out)
{
	const struct nlattr *proto[CTA_PROTO_MAX + 1];

	if (fo__rx_nested(nest, proto, CTA_PROTO_MAX) || fo__rx_u8(proto[CTA_PROTO_NUM], &out->proto))
		return -EPROTO;
	if (out->proto == (out->family == FO_FAMILY_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return read_echo(proto, out);
	if (out->proto != IPPROTO_TCP && out->proto != IPPROTO_UDP)
		return -EPROTONOSUPPORT;
	if (fo__rx_bytes(proto[CTA_PROTO_SRC_PORT], &out->sport_be, 2) ||
	    fo__rx_bytes(proto[CTA_PROTO_DST_PORT], &out->dport_be, 2))
		return -EPROTO;
	return 0;
}

static int read_tuple(const struct nlattr *nest, struct fo_tuple *out)
{
	const struct nlattr *attrs[CTA_TUPLE_MAX + 1];
	int rc = fo__rx_nested(nest, attrs, CTA_TUPLE_MAX);

	if (!rc)
		rc = read_addresses(attrs[CTA_TUPLE_IP], out);
	if (!rc)
		rc = read_ports(attrs[CTA_TUPLE_PROTO], out);
	return rc == -ENOENT ? -EPROTO : rc;
}

static int read_counters(const struct nlattr *nest, uint64_t *packets, uint64_t *bytes)
{
	const struct nlattr *attrs[CTA_COUNTERS_MAX + 1];

	if (fo__rx_nested(nest, attrs, CTA_COUNTERS_MAX))
		return -EPROTO;
	return fo__rx_be64(attrs[CTA_COUNTERS_PACKETS], packets) ||
			       fo__rx_be64(attrs[CTA_COUNTERS_BYTES], bytes)
		       ? -EPROTO
		       : 0;
}

/* Both directions or none: kernels without accounting show neither. */
static int read_both_counters(const struct nlattr *const *attrs, struct fo__ct_entry *out)
{
	if (!attrs[CTA_COUNTERS_ORIG] || !attrs[CTA_COUNTERS_REPLY])
		return 0;
	out->have |= FO__CT_COUNTERS;
	if (read_counters(attrs[CTA_COUNTERS_ORIG], &out->packets[0], &out->bytes[0]))
		return -EPROTO;
	return read_counters(attrs[CTA_COUNTERS_REPLY], &out->packets[1], &out->bytes[1]);
}

static uint8_t is_liberal(const struct nlattr *attr)
{
	struct nf_ct_tcp_flags flags;

	return !fo__rx_bytes(attr, &flags, sizeof(flags)) && (flags.flags & IP_CT_TCP_FLAG_BE_LIBERAL);
}

static int read_protoinfo(const struct nlattr *nest, struct fo__ct_entry *out)
{
	const struct nlattr *info[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1];

	if (!nest)
		return 0;
	if (fo__rx_nested(nest, info, CTA_PROTOINFO_MAX))
		return -EPROTO;
	if (!info[CTA_PROTOINFO_TCP])
		return 0;
	if (fo__rx_nested(info[CTA_PROTOINFO_TCP], tcp, CTA_PROTOINFO_TCP_MAX))
		return -EPROTO;
	out->liberal = is_liberal(tcp[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL]) &&
		       is_liberal(tcp[CTA_PROTOINFO_TCP_FLAGS_REPLY]);
	if (!tcp[CTA_PROTOINFO_TCP_STATE])
		return 0;
	out->have |= FO__CT_TCP_STATE;
	return fo__rx_u8(tcp[CTA_PROTOINFO_TCP_STATE], &out->tcp_state);
}

static int read_helper(const struct nlattr *nest, struct fo__ct_entry *out)
{
	const struct nlattr *attrs[CTA_HELP_MAX + 1];

	if (!nest)
		return 0;
	out->have |= FO__CT_HELPER;
	if (fo__rx_nested(nest, attrs, CTA_HELP_MAX))
		return -EPROTO;
	return attrs[CTA_HELP_NAME] ? fo__rx_text(attrs[CTA_HELP_NAME], out->helper, sizeof(out->helper)) : 0;
}

/* Numbers that may be absent, one row each. */
static int read_numbers(const struct nlattr *const *attrs, struct fo__ct_entry *out)
{
	const struct {
		unsigned int type;
		uint32_t have;
		uint32_t *to;
	} rows[] = {
		{CTA_STATUS, 0, &out->status},
		{CTA_ID, FO__CT_ID, &out->id},
		{CTA_MARK, FO__CT_MARK, &out->mark},
		{CTA_TIMEOUT, FO__CT_TIMEOUT, &out->timeout_s},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = fo__rx_be32(attrs[rows[i].type], rows[i].to);

		if (rc == -ENOENT)
			continue;
		if (rc)
			return rc;
		out->have |= rows[i].have;
	}
	return attrs[CTA_ZONE] ? fo__rx_be16(attrs[CTA_ZONE], &out->zone) : 0;
}

int fo__ct_read(const struct nlmsghdr *nlh, struct fo__ct_entry *out)
{
	const struct nlattr *attrs[CTA_MAX + 1];
	int rc = fo__rx_attrs(nlh, sizeof(struct nfgenmsg), attrs, CTA_MAX);

	memset(out, 0, sizeof(*out));
	if (rc)
		return rc;
	if (!attrs[CTA_TUPLE_ORIG] || !attrs[CTA_TUPLE_REPLY])
		return -EPROTO;
	rc = read_tuple(attrs[CTA_TUPLE_ORIG], &out->tuple[0]);
	if (!rc)
		rc = read_tuple(attrs[CTA_TUPLE_REPLY], &out->tuple[1]);
	if (!rc)
		rc = read_both_counters(attrs, out);
	if (!rc)
		rc = read_protoinfo(attrs[CTA_PROTOINFO], out);
	if (!rc)
		rc = read_helper(attrs[CTA_HELP], out);
	return rc ? rc : read_numbers(attrs, out);
}

int fo__ct_established(const struct fo__ct_entry *entry)
{
	return (entry->status & IPS_SEEN_REPLY) && (entry->status & IPS_CONFIRMED);
}

enum fo_reason fo__ct_closing(const struct fo__ct_entry *entry)
{
	if (!(entry->have & FO__CT_TCP_STATE))
		return FO_R_NONE;
	switch (entry->tcp_state) {
	case TCP_CONNTRACK_FIN_WAIT:
	case TCP_CONNTRACK_CLOSE_WAIT:
	case TCP_CONNTRACK_LAST_ACK:
	case TCP_CONNTRACK_TIME_WAIT:
		return FO_R_TCP_FIN;
	case TCP_CONNTRACK_CLOSE:
		return FO_R_TCP_RST;
	default:
		return FO_R_NONE;
	}
}

const char *fo__ct_tcp_state_name(unsigned int state)
{
	static const char *const names[] = {
		[TCP_CONNTRACK_NONE] = "NONE",	       [TCP_CONNTRACK_SYN_SENT] = "SYN_SENT",
		[TCP_CONNTRACK_SYN_RECV] = "SYN_RECV", [TCP_CONNTRACK_ESTABLISHED] = "ESTABLISHED",
		[TCP_CONNTRACK_FIN_WAIT] = "FIN_WAIT", [TCP_CONNTRACK_CLOSE_WAIT] = "CLOSE_WAIT",
		[TCP_CONNTRACK_LAST_ACK] = "LAST_ACK", [TCP_CONNTRACK_TIME_WAIT] = "TIME_WAIT",
		[TCP_CONNTRACK_CLOSE] = "CLOSE",       [TCP_CONNTRACK_SYN_SENT2] = "SYN_SENT2",
	};

	return state < sizeof(names) / sizeof(names[0]) && names[state] ? names[state] : "";
}
