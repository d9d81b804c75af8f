/* SPDX-License-Identifier: BSD-2-Clause */
/* care.c - the flows' connections in conntrack: asked before a flow is in the maps, looked after while it is. See guard.h;
 * src/conntrack/admit.h has what is asked, and why.
 *
 * What an earlier process left is asked for as soon as may be, by its tuples; until then it goes on forwarding.
 */
#include "backends/bpf/guard.h"

#include <errno.h>

/* Slots looked at in one slice. */
#define SLICE_SLOTS 4096u
#define PASS_MS	    1000u

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
	return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0, "no memory for %u flows", bpf->n_slots);
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
	if (!bpf->care)
		return;
	bpf->care->kept[slot] = (struct fo__ct_kept){.timeout_s = fo__ct_idle_s(bpf->slots[slot].timeout_ms),
						     .due_s = fo__ct_now_s(),
						     .known = FO__CT_UNREAD};
	/* Policies may have come meanwhile. */
	bpf->care->ct.recheck = 1;
}

/* ---- looking after ---- */

struct looking {
	struct fo__ct_look looks[FO__CT_LOOK_MOST];
	struct fo_tuple tuples[FO__CT_LOOK_MOST][2];
	uint32_t slots[FO__CT_LOOK_MOST];
	size_t n;
};

static bool is_due(const struct fo__bpf *bpf, uint32_t slot, uint32_t now_s)
{
	const struct fo__bpf_slot *flow = &bpf->slots[slot];
	struct fo__ct_kept *kept = &bpf->care->kept[slot];

	if (flow->life != FO__BPF_LIVE || kept->known == FO__CT_NOT)
		return false;
	if (bpf->care->rechecking)
		return true;
	return fo__ct_is_due(
		kept,
		(uint8_t)(flow->family == FO_FAMILY_IPV4 ? flow->key[0].v4.where : flow->key[0].v6.where),
		(uint32_t)(flow->packets[0] + flow->packets[1]), now_s);
}

static void collect(struct fo__bpf *bpf, struct looking *looking)
{
	struct fo__bpf_care *care = bpf->care;
	uint32_t high = bpf->slots_high, now_s = fo__ct_now_s();
	uint32_t end = high - care->at < SLICE_SLOTS ? high : care->at + SLICE_SLOTS;

	for (; care->at < end && looking->n < FO__CT_LOOK_MOST; care->at++) {
		struct fo_tuple *tuple = looking->tuples[looking->n];

		if (!is_due(bpf, care->at, now_s))
			continue;
		for (unsigned int dir = 0; dir < 2; dir++)
			fo__bpf_read_tuple(bpf->slots[care->at].family, &bpf->slots[care->at].key[dir],
					   &tuple[dir]);
		looking->slots[looking->n] = care->at;
		looking->looks[looking->n++] =
			(struct fo__ct_look){.kept = &care->kept[care->at], .tuple = tuple};
	}
}

static void conclude(struct fo__bpf *bpf, const struct looking *looking)
{
	for (size_t i = 0; i < looking->n; i++) {
		const struct fo__ct_look *look = &looking->looks[i];
		uint32_t slot = looking->slots[i];

		if (look->end)
			fo__bpf_flow_end(bpf, slot, look->end);
		else if (look->closing)
			bpf->ops->closing(bpf->host, bpf->slots[slot].cookie, look->closing);
	}
}

static void begin_pass(struct fo__bpf *bpf)
{
	struct fo__bpf_care *care = bpf->care;

	care->at = 0;
	care->passing = true;
	care->rechecking = care->ct.recheck;
	care->ct.recheck = 0;
	/* After a look at policies, at once one at entries. */
	care->next_pass_ms = care->rechecking ? 0 : bpf->ops->now_ms(bpf->host) + PASS_MS;
}

/* One exchange, and one more for what it is to change. */
static void slice(struct fo__bpf *bpf)
{
	struct fo__bpf_care *care = bpf->care;
	struct looking looking;

	looking.n = 0;
	collect(bpf, &looking);
	if (care->rechecking)
		fo__ct_recheck(&care->ct, looking.looks, looking.n);
	else
		fo__ct_look_after(&care->ct, looking.looks, looking.n);
	conclude(bpf, &looking);
	care->passing = care->at < bpf->slots_high;
}

bool fo__bpf_care_poll(struct fo__bpf *bpf, uint64_t until_us)
{
	struct fo__bpf_care *care = bpf->care;

	if (!care)
		return false;
	if (fo__ipsec_changed(&care->ct.ipsec))
		care->ct.recheck = 1;
	if (!care->passing && !care->ct.recheck && bpf->ops->now_ms(bpf->host) < care->next_pass_ms)
		return false;
	if (!care->passing)
		begin_pass(bpf);
	do
		slice(bpf);
	while (care->passing && fo__bpf_now_us() < until_us);
	return care->passing;
}
