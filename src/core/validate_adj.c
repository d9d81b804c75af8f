/* SPDX-License-Identifier: BSD-2-Clause */
/* validate_adj.c - is one side of the router described so that packets could be matched and
 * written?
 *
 * Neighbours: validate.h; validate.c uses fo__check_encaps() for keys, needs.c says what a side
 * asks of a backend.
 */
#include "core/validate.h"

#include <errno.h>
#include <stdio.h>

#include "core/error.h"
#include "core/size.h"

#define VID_MAX	      4094u
#define SESSION_MAX   65534u
#define MTU_MIN	      68u
#define MTU_MAX	      65535u
#define MTU_PPPOE_MAX 65533u /* PPPoE counts its two bytes of PPP in a 16-bit length */

static int refuse(struct fo_error *err, enum fo_reason reason, const char *field, const char *text)
{
	return fo__fail(err, -EINVAL, reason, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static int refuse_encap(struct fo_error *err, int code, enum fo_reason reason, uint32_t i, const char *member,
			const char *text)
{
	char field[sizeof(err->field)];

	(void)snprintf(field, sizeof(field), "encap[%u].%s", (unsigned int)i, member);
	return fo__fail(err, code, reason, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static bool is_vlan(uint16_t kind)
{
	return kind == FO_ENCAP_8021Q || kind == FO_ENCAP_8021AD;
}

static int check_kind(const struct fo_encap *encap, uint32_t i, struct fo_error *err)
{
	switch (encap[i].kind) {
	case FO_ENCAP_8021Q:
	case FO_ENCAP_8021AD:
	case FO_ENCAP_PPPOE:
		return 0;
	case FO_ENCAP_IPIP:
	case FO_ENCAP_IP6IP6:
	case FO_ENCAP_GRE:
		return refuse_encap(err, -EOPNOTSUPP, FO_R_ENCAP_KIND, i, "kind",
				    "is a tunnel, which is reserved: leave such flows to the slow path");
	default:
		return refuse_encap(err, -EINVAL, FO_R_ENCAP_KIND, i, "kind",
				    "is no enum fo_encap_kind: use 8021Q, 8021AD or PPPOE below n_encaps");
	}
}

/* Outermost first: at most two tags, then at most one session. */
static int check_order(const struct fo_encap *encap, uint32_t i, struct fo_error *err)
{
	if (i && encap[i - 1].kind == FO_ENCAP_PPPOE)
		return refuse_encap(err, -EINVAL, FO_R_ENCAP_KIND, i, "kind",
				    "is inside PPPoE: put the one PPPoE session last");
	if (i == 2 && is_vlan(encap[i].kind))
		return refuse_encap(err, -EINVAL, FO_R_ENCAP_KIND, i, "kind",
				    "is a third VLAN tag: two is the most");
	if (i && encap[i].kind == FO_ENCAP_8021AD && encap[i - 1].kind == FO_ENCAP_8021Q)
		return refuse_encap(err, -EINVAL, FO_R_ENCAP_KIND, i, "kind",
				    "is an 802.1ad tag inside an 802.1Q tag: the service tag comes first");
	return 0;
}

static int check_values(const struct fo_encap *encap, uint32_t i, struct fo_error *err)
{
	const struct fo_encap *e = &encap[i];

	if (is_vlan(e->kind) && (!e->id || e->id > VID_MAX))
		return refuse_encap(err, -EINVAL, FO_R_ADJACENCY, i, "id",
				    "is no VLAN: use 1..4094 (priority tags match no adjacency)");
	if (e->kind == FO_ENCAP_PPPOE && (!e->id || e->id > SESSION_MAX))
		return refuse_encap(err, -EINVAL, FO_R_ADJACENCY, i, "id",
				    "is no PPPoE session: use 1..65534");
	if (e->pcp > (is_vlan(e->kind) ? 7 : 0))
		return refuse_encap(err, -EINVAL, FO_R_ADJACENCY, i, "pcp",
				    "is no priority: use 0..7 for a VLAN tag and 0 for PPPoE");
	if (e->dei > (is_vlan(e->kind) ? 1 : 0))
		return refuse_encap(err, -EINVAL, FO_R_ADJACENCY, i, "dei",
				    "is no drop eligible bit: use 0 or 1 for a VLAN tag and 0 for PPPoE");
	if (e->reserved)
		return refuse_encap(err, -EINVAL, FO_R_ADJACENCY, i, "reserved", "must be zero");
	return 0;
}

int fo__check_encaps(const struct fo_encap encap[FO_MAX_ENCAPS], uint32_t n, struct fo_error *err)
{
	static const struct fo_encap none;
	int rc = 0;
	uint32_t i;

	if (n > FO_MAX_ENCAPS)
		return refuse(err, FO_R_ENCAP_KIND, "n_encaps", "is more than FO_MAX_ENCAPS: 3 is the most");
	for (i = 0; i < n && !rc; i++) {
		rc = check_kind(encap, i, err);
		if (!rc)
			rc = check_order(encap, i, err);
		if (!rc)
			rc = check_values(encap, i, err);
	}
	if (rc)
		return rc;
	for (i = n; i < FO_MAX_ENCAPS; i++)
		if (memcmp(&encap[i], &none, sizeof(none)))
			return refuse_encap(err, -EINVAL, FO_R_ENCAP_KIND, i, "kind",
					    "lies beyond n_encaps: raise n_encaps or leave the entry zero");
	return 0;
}

static bool mac_zero(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !memcmp(mac, zero, sizeof(zero));
}

static int check_macs(const struct fo_adj *adj, struct fo_error *err)
{
	bool own_zero = mac_zero(adj->own_mac);
	bool peer_zero = mac_zero(adj->peer_mac);

	if (own_zero && peer_zero)
		return 0;
	if (own_zero)
		return refuse(err, FO_R_ADJACENCY, "own_mac",
			      "is zero but peer_mac is not: give both, or none where the kernel resolves");
	if (peer_zero)
		return refuse(err, FO_R_ADJACENCY, "peer_mac",
			      "is zero but own_mac is not: give both, or none where the kernel resolves");
	if (adj->own_mac[0] & 1)
		return refuse(err, FO_R_ADJACENCY, "own_mac",
			      "is a multicast or broadcast address: use the port's own");
	if (adj->peer_mac[0] & 1)
		return refuse(err, FO_R_ADJACENCY, "peer_mac",
			      "is a multicast or broadcast address: use the neighbour's own");
	if (!memcmp(adj->own_mac, adj->peer_mac, sizeof(adj->own_mac)))
		return refuse(err, FO_R_ADJACENCY, "peer_mac",
			      "is the same as own_mac: use the neighbour's, not the port's");
	return 0;
}

static int check_mtu(const struct fo_adj *adj, struct fo_error *err)
{
	bool pppoe = adj->n_encaps && adj->encap[adj->n_encaps - 1].kind == FO_ENCAP_PPPOE;

	if (adj->mtu < MTU_MIN || adj->mtu > MTU_MAX)
		return refuse(err, FO_R_ADJACENCY, "mtu",
			      "is no IP MTU: use 68..65535, the largest IP packet to that side");
	if (pppoe && adj->mtu > MTU_PPPOE_MAX)
		return refuse(err, FO_R_ADJACENCY, "mtu",
			      "does not fit a PPPoE length: use the session's MTU, at most 65533");
	return 0;
}

int fo__check_adj(const struct fo_adj *in, struct fo_adj *out, struct fo_error *err)
{
	struct fo_adj adj;
	int rc = fo__take(&adj, sizeof(adj), FO__ADJ_MIN, in, "adj", err);

	if (rc)
		return rc;
	if (!adj.port || adj.port == FO_PORT_ANY)
		return refuse(err, FO_R_ADJACENCY, "port", "is no port: use one that the table has");
	if (adj.flags & ~FO_ADJ_ANY_INGRESS)
		return refuse(err, FO_R_ADJACENCY, "flags", "has bits that are no FO_ADJ_ flag: clear them");
	rc = fo__check_encaps(adj.encap, adj.n_encaps, err);
	if (!rc)
		rc = check_macs(&adj, err);
	if (!rc)
		rc = check_mtu(&adj, err);
	if (rc)
		return rc;
	if (!adj.l3_dev)
		adj.l3_dev = adj.port;
	*out = adj;
	return 0;
}
