/* SPDX-License-Identifier: BSD-2-Clause */
/* care.c - the flows' connections in conntrack: asked before a flow is in the maps, looked after while it is. See guard.h;
 * src/conntrack/admit.h has what is asked, and why.
 *
 * What an earlier process left is asked for as soon as may be, by its tuples; until then it goes on forwarding.
 */
#include "backends/bpf/guard.h"

#include <errno.h>

/* ---- open and close ---- */

static int absent(uint32_t how, int code, int errno_, struct fo_error *err)
{
	/* Privilege is needed in any case: nothing is concluded from its lack. */
	if (how != FO_BPF_CONNTRACK_ON && code != -EPERM)
		return 0;
	return fo__bpf_fail(err, code, code == -EPERM ? FO_R_PERMISSION : FO_R_UNSUPPORTED,
			    "backend_options.conntrack", errno_,
			    "conntrack cannot be asked: the kernel needs nf_conntrack_netlink, the process "
			    "CAP_NET_ADMIN in that namespace; or say FO_BPF_CONNTRACK_OFF");
}

static int no_memory(struct fo__bpf *bpf, struct fo_error *err)
{
	return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0,
			    "no memory for %u flows: give a smaller one", bpf->n_slots);
}

int fo__bpf_care_open(struct fo__bpf *bpf, uint32_t how, struct fo_error *err)
{
	size_t size = bpf->n_slots * sizeof(struct fo__ct_kept);
	struct fo__bpf_care *care;
	struct fo_error why;
	int code;

	if (how == FO_BPF_CONNTRACK_OFF)
		return 0;
	care = bpf->ops->alloc(bpf->host, sizeof(*care), 64);
	if (!care)
		return no_memory(bpf, err);
	memset(care, 0, offsetof(struct fo__bpf_care, ct));
	code = fo__ct_care_open(&care->ct, bpf->netns, "with FO_BPF_CONNTRACK_OFF", &why);
	if (code) {
		bpf->ops->free(bpf->host, care, sizeof(*care));
		if (code == -EOPNOTSUPP || code == -EPERM)
			return absent(how, code, why.backend_errno, err);
		if (err)
			*err = why;
		return code;
	}
	bpf->care = care;
	care->kept = bpf->ops->alloc(bpf->host, size, 64);
	if (!care->kept)
		return no_memory(bpf, err);
	memset(care->kept, 0, size);
	return 0;
}

void fo__bpf_care_close(struct fo__bpf *bpf)
{
	struct fo__bpf_care *care = bpf->care;

	if (!care)
		return;
	bpf->care = NULL;
	fo__ct_care_close(&care->ct);
	if (care->kept)
		bpf->ops->free(bpf->host, care->kept, bpf->n_slots * sizeof(*care->kept));
	bpf->ops->free(bpf->host, care, sizeof(*care));
}

/* ---- which flows ---- */

void fo__bpf_care_admit(struct fo__bpf *bpf, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
			size_t n, int *results, struct fo_error *errs)
{
	if (bpf->care)
		fo__ct_admit(&bpf->care->ct, flows, kept, n, results, errs);
}

void fo__bpf_care_begin(struct fo__bpf *bpf, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
			size_t n, const int *results)
{
	for (size_t i = 0; bpf->care && i < n; i++) {
		if (results[i])
			fo__ct_dismiss(&bpf->care->ct, &flows[i].flow->tuple[0], &kept[i]);
		else
			bpf->care->kept[flows[i].slot] = kept[i];
	}
}

void fo__bpf_care_retime(struct fo__bpf *bpf, uint32_t slot, uint32_t timeout_ms)
{
	if (bpf->care)
		fo__ct_retime(&bpf->care->kept[slot], timeout_ms);
}

/* Before the first poll. Scopes other than 0 are not what this backend can. */
void fo__bpf_care_adopt(struct fo__bpf *bpf, uint32_t slot)
{
	if (bpf->care)
		fo__ct_adopt(&bpf->care->ct, &bpf->care->kept[slot], bpf->slots[slot].timeout_ms);
}

/* ---- looking after ---- */

static struct fo__ct_kept *living(void *table, uint32_t slot)
{
	const struct fo__bpf *bpf = table;

	return bpf->slots[slot].life == FO__BPF_LIVE ? &bpf->care->kept[slot] : NULL;
}

static void traffic(void *table, uint32_t slot, uint8_t *proto, uint32_t *packets)
{
	const struct fo__bpf_slot *flow = &((const struct fo__bpf *)table)->slots[slot];

	*proto = (uint8_t)(flow->family == FO_FAMILY_IPV4 ? flow->key[0].v4.where : flow->key[0].v6.where);
	*packets = (uint32_t)(flow->packets[0] + flow->packets[1]);
}

static void tuples(void *table, uint32_t slot, struct fo_tuple tuple[2])
{
	const struct fo__bpf_slot *flow = &((const struct fo__bpf *)table)->slots[slot];

	for (unsigned int dir = 0; dir < 2; dir++)
		fo__bpf_read_tuple(flow->family, &flow->key[dir], &tuple[dir]);
}

static void conclude(void *table, uint32_t slot, const struct fo__ct_look *look)
{
	struct fo__bpf *bpf = table;

	if (look->end)
		fo__bpf_flow_end(bpf, slot, look->end);
	else if (look->closing)
		bpf->ops->closing(bpf->host, bpf->slots[slot].cookie, look->closing);
}

bool fo__bpf_care_poll(struct fo__bpf *bpf, uint64_t until_us)
{
	const struct fo__ct_flows flows = {bpf, bpf->slots_high, living, traffic, tuples, conclude};
	bool more;

	if (!bpf->care || !fo__ct_care_due(&bpf->care->ct, bpf->ops->now_ms(bpf->host)))
		return false;
	do
		more = fo__ct_care_slice(&bpf->care->ct, &flows);
	while (more && fo__bpf_now_us() < until_us);
	return more;
}
