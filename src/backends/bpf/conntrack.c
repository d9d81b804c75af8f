/* SPDX-License-Identifier: BSD-2-Clause */
/* conntrack.c - which connections may leave the kernel's slow path. See guard.h; care.c goes on from there.
 *
 * Before a flow is in the maps: its entry is read and compared, TCP's window check is lifted (conntrack sees only a few of
 * the packets from now on, and would call those invalid), and the entry's time is made longer than the flow's own, so
 * that it is the flow that idles first. The window check stays lifted after the flow: conntrack has missed what it would
 * compare with. What a rule of conntrack may not see at all, an IPsec policy's packets, is refused as well.
 */
#include "backends/bpf/guard.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netlink.h>
#include <netinet/in.h>

_Static_assert(FO__BPF_ADMIT_MOST <= FO__IPSEC_MOST, "one handful");

/* ---- open and close ---- */

struct presence {
	int error;
};

static void note_presence(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct presence *presence = arg;

	(void)i;
	presence->error = entry ? 0 : error;
}

/* Documentation addresses: an entry of theirs would do as well as none. */
static int is_present(struct fo__bpf_conntrack *ct, struct presence *presence)
{
	struct fo_tuple nobody = {.family = FO_FAMILY_IPV4, .proto = IPPROTO_UDP, .src = {192, 0, 2, 1}};
	struct fo__ct_key key = {.tuple = &nobody};

	memcpy(nobody.dst, (uint8_t[4]){198, 51, 100, 1}, 4);
	presence->error = EIO;
	(void)fo__ct_get(&ct->ask, ct->tx, &key, 1, note_presence, presence);
	return !presence->error || presence->error == ENOENT;
}

static int absent(uint32_t how, int error, struct fo_error *err)
{
	/* Privilege is needed in any case: nothing is concluded from its lack. */
	if (how != FO_BPF_CONNTRACK_ON && error != EPERM)
		return 0;
	return fo__bpf_fail(err, error == EPERM ? -EPERM : -EOPNOTSUPP,
			    error == EPERM ? FO_R_PERMISSION : FO_R_UNSUPPORTED, "backend_options.conntrack",
			    error,
			    "conntrack cannot be asked: the kernel needs nf_conntrack_netlink, the process "
			    "CAP_NET_ADMIN in that namespace; or say FO_BPF_CONNTRACK_OFF");
}

static int open_sockets(struct fo__bpf *bpf, struct fo__bpf_conntrack *ct, struct fo_error *err)
{
	int code = fo__nl_open(&ct->ask, NETLINK_NETFILTER, bpf->netns, ct->rx, sizeof(ct->rx), err);

	if (code)
		return code;
	fo__nl_buffers(&ct->ask, 0, 1 << 20);
	return fo__ipsec_open(&ct->ipsec, bpf->netns, ct->rx, err);
}

int fo__bpf_conntrack_open(struct fo__bpf *bpf, uint32_t how, struct fo_error *err)
{
	struct fo__bpf_conntrack *ct;
	struct presence presence;
	int code;

	if (how == FO_BPF_CONNTRACK_OFF)
		return 0;
	ct = bpf->ops->alloc(bpf->host, sizeof(*ct), 64);
	if (!ct)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, NULL, 0, "no memory for the table");
	memset(ct, 0, sizeof(*ct));
	ct->ask.fd = ct->ipsec.dump.fd = ct->ipsec.notices.fd = -1;
	bpf->conntrack = ct;
	code = open_sockets(bpf, ct, err);
	presence.error = -code;
	if (code == -EPROTONOSUPPORT || (!code && !is_present(ct, &presence))) {
		code = absent(how, presence.error, err);
		fo__bpf_conntrack_close(bpf);
		return code;
	}
	if (!code) {
		ct->flows = bpf->ops->alloc(bpf->host, bpf->n_slots * sizeof(*ct->flows), 64);
		if (!ct->flows)
			code = fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", 0,
					    "no memory for %u flows", bpf->n_slots);
		else
			memset(ct->flows, 0, bpf->n_slots * sizeof(*ct->flows));
	}
	return code;
}

void fo__bpf_conntrack_close(struct fo__bpf *bpf)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;

	if (!ct)
		return;
	bpf->conntrack = NULL;
	fo__ipsec_close(&ct->ipsec);
	fo__nl_close(&ct->ask);
	if (ct->flows)
		bpf->ops->free(bpf->host, ct->flows, bpf->n_slots * sizeof(*ct->flows));
	bpf->ops->free(bpf->host, ct, sizeof(*ct));
}

/* ---- admission ---- */

struct admission {
	struct fo__bpf *bpf;
	const struct fo_backend_flow *flows;
	int *results;
	struct fo_error *errs;
	struct fo__ct_wish wishes[FO__BPF_ADMIT_MOST];
	size_t wishing[FO__BPF_ADMIT_MOST]; /* whose they are */
	size_t n_wishes;
};

static int refuse(struct fo_error *err, int code, enum fo_reason reason, int errno_, const char *field,
		  const char *text)
{
	return fo__nl_refuse(err, code, reason, FO_STAGE_RESOLVE, errno_, field, "%s", text);
}

/* Both ways, and for TCP beyond the handshake. */
static int check_established(const struct fo__ct_entry *entry, struct fo_error *err)
{
	const char *state = "";

	if (!(entry->status & IPS_CONFIRMED))
		return refuse(err, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, 0, "tuple[0]",
			      "conntrack has not confirmed the connection: add it after its first packets");
	if (entry->tuple[0].proto == IPPROTO_TCP)
		state = fo__ct_tcp_state_name(entry->tcp_state);
	if ((entry->status & IPS_SEEN_REPLY) &&
	    (entry->tuple[0].proto != IPPROTO_TCP ||
	     (entry->tcp_state == TCP_CONNTRACK_ESTABLISHED && (entry->status & IPS_ASSURED))))
		return 0;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, FO_STAGE_RESOLVE, 0, "tuple[0]",
			     "conntrack does not call the connection established both ways%s%s: add it when "
			     "it has been answered",
			     *state ? ", but " : "", state);
}

static void wish(struct admission *admission, size_t i, const struct fo__ct_entry *entry)
{
	const struct fo_backend_flow *flow = &admission->flows[i];
	struct fo__bpf_ct *kept = &admission->bpf->conntrack->flows[flow->slot];
	struct fo__ct_wish *wish = &admission->wishes[admission->n_wishes];

	*kept = (struct fo__bpf_ct){.id = entry->id,
				    .timeout_s = fo__bpf_ct_idle_s(flow->timeout_ms),
				    .zone = flow->flow->scope,
				    .due_s = fo__bpf_ct_now_s() +
					     fo__bpf_ct_look_s(flow->flow->tuple[0].proto),
				    .care = FO__BPF_CT_KNOWN};
	*wish = (struct fo__ct_wish){.key = {&flow->flow->tuple[0], flow->flow->scope}};
	if (flow->flow->tuple[0].proto == IPPROTO_TCP && !entry->liberal) {
		wish->bits |= FO__CT_BE_LIBERAL;
		kept->loosened = true;
	}
	if (!(entry->have & FO__CT_TIMEOUT) || entry->timeout_s < fo__bpf_ct_enough_s(kept)) {
		wish->bits |= FO__CT_SET_TIMEOUT;
		wish->timeout_s = fo__bpf_ct_enough_s(kept);
	}
	if (wish->bits)
		admission->wishing[admission->n_wishes++] = i;
}

static int unanswered(int error, struct fo_error *err)
{
	if (error == ENOENT)
		return refuse(err, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, error, "tuple[0]",
			      "conntrack has no entry of this connection: add it while the kernel tracks it, "
			      "or create the table with FO_BPF_CONNTRACK_OFF");
	return fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, error, NULL,
			     "conntrack could not be asked: %s", strerror(error));
}

static void judge(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct admission *admission = arg;
	const struct fo_tuple *tuple = admission->flows[i].flow->tuple;
	struct fo_error *err = &admission->errs[i];
	int code, reversed;

	if (admission->results[i])
		return;
	if (!entry)
		code = unanswered(error, err);
	else if (!fo__ct_carries(entry, tuple, &reversed))
		code = fo__ct_contradicts(entry, tuple, err);
	else
		code = fo__ct_fits(entry, err);
	if (!code)
		code = check_established(entry, err);
	if (!code)
		wish(admission, i, entry);
	admission->results[i] = code;
}

static void make_wishes(struct admission *admission)
{
	int errors[FO__BPF_ADMIT_MOST];
	struct fo__bpf_conntrack *ct = admission->bpf->conntrack;

	if (!admission->n_wishes)
		return;
	(void)fo__ct_change(&ct->ask, ct->tx, admission->wishes, admission->n_wishes, errors);
	for (size_t w = 0; w < admission->n_wishes; w++) {
		size_t i = admission->wishing[w];

		if (!errors[w])
			continue;
		ct->flows[admission->flows[i].slot].care = FO__BPF_CT_NOT;
		admission->results[i] = unanswered(errors[w], &admission->errs[i]);
	}
}

static void check_ipsec(struct fo__bpf_conntrack *ct, const struct fo_backend_flow *flows, size_t n,
			int *results, struct fo_error *errs)
{
	struct fo__ipsec_flow asked[FO__IPSEC_MOST];
	uint8_t met[FO__IPSEC_MOST];
	int code;

	ct->recheck |= fo__ipsec_changed(&ct->ipsec);
	for (size_t i = 0; i < n; i++)
		asked[i] = (struct fo__ipsec_flow){flows[i].flow->tuple, flows[i].out};
	code = fo__ipsec_judge(&ct->ipsec, asked, n, met);
	for (size_t i = 0; i < n; i++) {
		if (results[i])
			continue;
		if (code)
			results[i] =
				fo__nl_refuse(&errs[i], -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, -code, NULL,
					      "IPsec policies could not be read: %s", strerror(-code));
		else if (met[i])
			results[i] = refuse(&errs[i], -EOPNOTSUPP, FO_R_UNSUPPORTED, 0,
					    met[i] == 1 ? "tuple[0]" : "tuple[1]",
					    "an IPsec policy meets its packets: leave it to the slow path");
	}
}

void fo__bpf_conntrack_admit(struct fo__bpf *bpf, const struct fo_backend_flow *flows, size_t n, int *results,
			     struct fo_error *errs)
{
	struct admission admission = {.bpf = bpf, .flows = flows, .results = results, .errs = errs};
	struct fo__ct_key keys[FO__BPF_ADMIT_MOST];
	struct fo__bpf_conntrack *ct = bpf->conntrack;

	if (!ct)
		return;
	check_ipsec(ct, flows, n, results, errs);
	for (size_t i = 0; i < n; i++)
		keys[i] = (struct fo__ct_key){&flows[i].flow->tuple[0], flows[i].flow->scope};
	(void)fo__ct_get(&ct->ask, ct->tx, keys, n, judge, &admission);
	make_wishes(&admission);
}

/* Its time stays longer until its next packet. */
void fo__bpf_conntrack_dismiss(struct fo__bpf *bpf, const struct fo_backend_flow *flow)
{
	struct fo__bpf_conntrack *ct = bpf->conntrack;
	struct fo__ct_wish wish = {.key = {&flow->flow->tuple[0], flow->flow->scope},
				   .bits = FO__CT_BE_STRICT};
	int error;

	if (!ct)
		return;
	if (ct->flows[flow->slot].care && ct->flows[flow->slot].loosened)
		(void)fo__ct_change(&ct->ask, ct->tx, &wish, 1, &error);
	ct->flows[flow->slot].care = FO__BPF_CT_NOT;
}
