/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_sides.c - the driver's interfaces: an adjacency of the library is an entry of the device's interface table, which all
 * its flows share, so that a new next hop is one register write. Neighbours: npu_backend.c calls it.
 */
#include "npu_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int npu_fail(struct fo_error *err, int code, unsigned int reason, int device_errno, const char *text)
{
	if (!err)
		return code;
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->reason = (uint16_t)reason;
	err->stage = FO_STAGE_INSTALL;
	err->backend_errno = device_errno;
	snprintf(err->text, sizeof(err->text), "%s", text);
	return code;
}

/* The silicon takes one VLAN tag, one PPPoE session, or the first around the second. */
int npu_interface_from(const struct fo_adj *adj, struct npu_interface *out, struct fo_error *err)
{
	uint32_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < adj->n_encaps; i++) {
		const struct fo_encap *encap = &adj->encap[i];
		bool session = encap->kind == FO_ENCAP_PPPOE;

		if (i >= NPU_MAX_TAGS || (i == 1 && !session))
			return npu_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, 0,
					"the interface table holds one VLAN tag and one PPPoE session");
		out->tag[i].type = session ? 0x8864 : encap->kind == FO_ENCAP_8021Q ? 0x8100 : 0x88a8;
		out->tag[i].id = encap->id;
		out->tag[i].priority = session ? 0 : (uint16_t)(encap->pcp << 13 | encap->dei << 12);
	}
	out->n_tags = adj->n_encaps;
	out->port = adj->port;
	out->mtu = adj->mtu;
	out->up = true;
	memcpy(out->own_mac, adj->own_mac, 6);
	memcpy(out->peer_mac, adj->peer_mac, 6);
	return 0;
}

static uint32_t find_side(const struct npu_driver *drv, fo_adj_id id)
{
	uint32_t i;

	for (i = 0; i < drv->n_sides; i++)
		if (drv->sides[i].users && drv->sides[i].adj == id)
			break;
	return i;
}

static uint32_t find_free(const struct npu_driver *drv)
{
	uint32_t i;

	for (i = 0; i < drv->n_sides && drv->sides[i].users; i++)
		;
	return i;
}

int npu_side_hold(struct npu_driver *drv, fo_adj_id id, const struct fo_adj *adj, uint32_t *index,
		  struct fo_error *err)
{
	struct npu_shared_side *side;
	uint32_t i = find_side(drv, id);

	if (i == drv->n_sides) {
		struct npu_interface setting;
		int ret = npu_interface_from(adj, &setting, err);

		if (ret)
			return ret;
		i = find_free(drv);
		if (i == drv->n_sides)
			return npu_fail(
				err, -ENOSPC, FO_R_FULL, ENOSPC,
				"the device's interface table is full: end the flows of an adjacency first");
		side = &drv->sides[i];
		side->adj = id;
		side->setting = setting;
		npu_write_interface(drv->dev, i, &side->setting);
	}
	drv->sides[i].users++;
	*index = i;
	return 0;
}

void npu_side_release(struct npu_driver *drv, uint32_t index)
{
	drv->sides[index].users--;
}

int npu_side_change(struct npu_driver *drv, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err)
{
	struct npu_interface setting;
	uint32_t i = find_side(drv, id);
	int ret = npu_interface_from(adj, &setting, err);

	if (ret || i == drv->n_sides || npu_has_fault(drv->dev, NPU_FAULT_ADJ_UPDATE_IGNORED))
		return ret;
	drv->sides[i].setting = setting;
	npu_write_interface(drv->dev, i, &setting);
	return 0;
}

void npu_sides_link(struct npu_driver *drv, uint32_t port, bool up)
{
	uint32_t i;

	for (i = 0; i < drv->n_sides; i++) {
		struct npu_shared_side *side = &drv->sides[i];

		if (!side->users || side->setting.port != port)
			continue;
		side->setting.up = up;
		npu_write_interface(drv->dev, i, &side->setting);
	}
}
