/* SPDX-License-Identifier: BSD-2-Clause */
/* validate_flow.c - does a connection make sense, before any table is asked?
 *
 * Neighbours: validate.h; tuple.c has the tuple by itself, needs.c says what a flow asks of a
 * backend.
 */
#include "core/validate.h"

#include <errno.h>
#include <stdio.h>

#include "core/error.h"
#include "core/size.h"
#include "core/tuple.h"

#define IPV6_MTU_MIN 1280u /* RFC 8200, section 5 */
#define NAT_ALL	     (FO_NAT_NONE | FO_NAT_SRC | FO_NAT_DST)
#define UPDATE_ALL                                                                                           \
	(FO_UPDATE_TIMEOUT | FO_UPDATE_TAG | FO_UPDATE_MARK | FO_UPDATE_DSCP | FO_UPDATE_ADJ | FO_UPDATE_USER)

static __attribute__((noinline)) int refuse(struct fo_error *err, enum fo_reason reason, const char *field,
					    const char *text)
{
	return fo__fail(err, -EINVAL, reason, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static __attribute__((noinline)) int refuse_dir(struct fo_error *err, enum fo_reason reason,
						const char *array, unsigned int d, const char *text)
{
	char field[sizeof(err->field)];

	(void)snprintf(field, sizeof(field), "%s[%u]", array, d);
	return refuse(err, reason, field, text);
}

static inline int check_nat(const struct fo_flow *flow, struct fo_error *err)
{
	struct fo__nat nat = fo__nat_of(flow->tuple);
	bool src = nat.src_addr || nat.src_port;
	bool dst = nat.dst_addr || nat.dst_port;

	if (flow->nat & ~NAT_ALL)
		return refuse(err, FO_R_ARGUMENT, "nat", "has bits that are no FO_NAT_ flag: clear them");
	if ((flow->nat & FO_NAT_NONE) && flow->nat != FO_NAT_NONE)
		return refuse(err, FO_R_NAT, "nat", "says FO_NAT_NONE and a translation: state one of them");
	if (!flow->nat && src && dst)
		return refuse(err, FO_R_NAT, "tuple[1]",
			      "answers tuple[0] at neither end: correct it, or set nat to "
			      "FO_NAT_SRC | FO_NAT_DST if both ends are translated");
	if (flow->nat && !(flow->nat & FO_NAT_SRC) && src)
		return refuse(err, FO_R_NAT, nat.src_addr ? "tuple[1].dst" : "tuple[1].dport_be",
			      "is not the originator of tuple[0]: correct it, or set FO_NAT_SRC in nat");
	if (flow->nat && !(flow->nat & FO_NAT_DST) && dst)
		return refuse(err, FO_R_NAT, nat.dst_addr ? "tuple[1].src" : "tuple[1].sport_be",
			      "is not the destination of tuple[0]: correct it, or set FO_NAT_DST in nat");
	return 0;
}

static inline int check_tuples(const struct fo_flow *flow, struct fo_error *err)
{
	const struct fo_tuple *t = flow->tuple;
	int rc = fo__check_flow_tuple(&t[FO_ORIGINAL], FO_ORIGINAL, err);

	if (rc)
		return rc;
	if (t[1].family != t[0].family)
		return refuse(
			err, FO_R_TUPLE, "tuple[1].family",
			"differs from tuple[0].family: both directions have one, NAT64 is not offloaded");
	if (t[1].proto != t[0].proto)
		return refuse(err, FO_R_TUPLE, "tuple[1].proto",
			      "differs from tuple[0].proto: both directions have one protocol");
	rc = fo__check_flow_tuple(&t[FO_REPLY], FO_REPLY, err);
	if (rc)
		return rc;
	if (!memcmp(&t[0], &t[1], sizeof(t[0])))
		return refuse(err, FO_R_TUPLE, "tuple[1]",
			      "is the same as tuple[0]: give the reply as it arrives, ends swapped");
	return check_nat(flow, err);
}

static inline int check_dscp(const uint8_t dscp[2], struct fo_error *err)
{
	unsigned int d;

	for (d = 0; d < 2; d++)
		if (dscp[d] != FO_DSCP_KEEP && dscp[d] != FO_DSCP_SET(dscp[d]))
			return refuse_dir(err, FO_R_ARGUMENT, "dscp", d,
					  "is neither FO_DSCP_KEEP nor FO_DSCP_SET(0..63): use one of them");
	return 0;
}

static inline int check_handles(const fo_adj_id adj[2], struct fo_error *err)
{
	unsigned int d;

	for (d = 0; d < 2; d++)
		if (!adj[d])
			return refuse_dir(err, FO_R_ADJACENCY, "adj", d,
					  "is 0, which is no adjacency: use what fo_adj_add() gave");
	return 0;
}

int fo__take_flow(const struct fo_flow *in, struct fo_flow *out, struct fo_error *err)
{
	size_t size;

	if (!in)
		return fo__take(out, sizeof(*out), FO__FLOW_MIN, in, "flow", err);
	memcpy(&size, in, sizeof(size));
	if (size != sizeof(*out))
		return fo__take(out, sizeof(*out), FO__FLOW_MIN, in, "flow", err);
	memcpy(out, in, sizeof(*out));
	return 0;
}

int fo__check_flow(const struct fo_flow *flow, struct fo_error *err)
{
	int rc = check_tuples(flow, err);

	if (!rc)
		rc = check_handles(flow->adj, err);
	if (!rc)
		rc = check_dscp(flow->dscp, err);
	if (!rc)
		rc = fo__check_timeout(flow->timeout_ms, "timeout_ms", err);
	if (rc)
		return rc;
	if (flow->needs & ~FO__CAP_ALL)
		return refuse(err, FO_R_ARGUMENT, "needs",
			      "has bits that are no FO_CAP_ of this library: clear them or link a newer one");
	if (flow->reserved)
		return refuse(err, FO_R_ARGUMENT, "reserved", "must be zero");
	return 0;
}

int fo__check_update(uint32_t mask, const struct fo_flow *in, struct fo_flow *out, struct fo_error *err)
{
	struct fo_flow all;
	struct fo_flow named;
	int rc = fo__take_flow(in, &all, err);

	if (rc)
		return rc;
	if (mask & ~UPDATE_ALL)
		return refuse(err, FO_R_ARGUMENT, "mask", "has bits that are no FO_UPDATE_ flag: clear them");
	FO_INIT(&named);
	if (mask & FO_UPDATE_TIMEOUT)
		named.timeout_ms = all.timeout_ms;
	if (mask & FO_UPDATE_TAG)
		named.tag = all.tag;
	if (mask & FO_UPDATE_MARK)
		named.ct_mark = all.ct_mark;
	if (mask & FO_UPDATE_USER)
		named.user = all.user;
	if (mask & FO_UPDATE_DSCP)
		memcpy(named.dscp, all.dscp, sizeof(named.dscp));
	if (mask & FO_UPDATE_ADJ)
		memcpy(named.adj, all.adj, sizeof(named.adj));
	rc = check_dscp(named.dscp, err);
	if (!rc)
		rc = fo__check_timeout(named.timeout_ms, "timeout_ms", err);
	if (!rc && (mask & FO_UPDATE_ADJ))
		rc = check_handles(named.adj, err);
	if (rc)
		return rc;
	*out = named;
	return 0;
}

/* One segment: same port, same tags, same session. */
static bool same_segment(const struct fo_adj *a, const struct fo_adj *b)
{
	uint32_t i;

	if (a->port != b->port || a->n_encaps != b->n_encaps)
		return false;
	for (i = 0; i < a->n_encaps; i++)
		if (a->encap[i].kind != b->encap[i].kind || a->encap[i].id != b->encap[i].id)
			return false;
	return true;
}

static bool is_own_mac(const uint8_t mac[6], const struct fo_adj *adj)
{
	static const uint8_t zero[6];

	return memcmp(mac, zero, sizeof(zero)) && !memcmp(mac, adj->own_mac, sizeof(zero));
}

int fo__check_pair(const struct fo_flow *flow, const struct fo_adj *adj0, const struct fo_adj *adj1,
		   struct fo_error *err)
{
	const struct fo_adj *adj[2] = {adj0, adj1};
	unsigned int d;

	for (d = 0; d < 2; d++) {
		if (flow->tuple[0].family == FO_FAMILY_IPV6 && adj[d]->mtu < IPV6_MTU_MIN)
			return refuse_dir(err, FO_R_ADJACENCY, "adj", d,
					  "has an MTU below 1280, too small for IPv6: raise its mtu");
		if (same_segment(adj0, adj1) && is_own_mac(adj[d]->peer_mac, adj[1 - d]))
			return refuse_dir(err, FO_R_ADJACENCY, "adj", d,
					  "has the other side's own MAC as its peer on the same segment: "
					  "packets would come back; correct peer_mac");
	}
	return 0;
}
