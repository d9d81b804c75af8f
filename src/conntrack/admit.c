/* SPDX-License-Identifier: BSD-2-Clause */
/* admit.c - which connections may leave the kernel's slow path. See admit.h. */
#include "conntrack/admit.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netlink.h>
#include <netinet/in.h>

_Static_assert(FO__CT_ADMIT_MOST <= FO__IPSEC_MOST, "one handful");

/* ---- Open and close ---- */

int fo__ct_care_open(struct fo__ct_care *care, int netns_fd, const char *otherwise, struct fo_error *err)
{
	int rc;

	memset(care, 0, offsetof(struct fo__ct_care, tx));
	care->otherwise = otherwise;
	care->ask.fd = care->ipsec.dump.fd = care->ipsec.notices.fd = -1;
	rc = fo__nl_open(&care->ask, NETLINK_NETFILTER, netns_fd, care->rx, sizeof(care->rx), err);
	if (rc == -EPROTONOSUPPORT)
		rc = fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, -rc, NULL,
				   "this kernel has no nfnetlink, and so no connection tracking to ask");
	if (!rc) {
		fo__nl_buffers(&care->ask, 0, 1 << 20);
		rc = fo__ct_ready(&care->ask, care->tx, err);
	}
	if (!rc)
		rc = fo__ipsec_open(&care->ipsec, netns_fd, care->rx, err);
	if (rc)
		fo__ct_care_close(care);
	return rc;
}

void fo__ct_care_close(struct fo__ct_care *care)
{
	fo__ipsec_close(&care->ipsec);
	fo__nl_close(&care->ask);
}

/* ---- Admission ---- */

struct admission {
	struct fo__ct_care *care;
	const struct fo_backend_flow *flows;
	struct fo__ct_kept *kept;
	int *results;
	struct fo_error *errs;
	struct fo__ct_wish wishes[FO__CT_ADMIT_MOST];
	size_t wishing[FO__CT_ADMIT_MOST]; /* whose they are */
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
	struct fo__ct_kept *kept = &admission->kept[i];
	struct fo__ct_wish *wish = &admission->wishes[admission->n_wishes];
	uint8_t proto = flow->flow->tuple[0].proto;

	*kept = (struct fo__ct_kept){.id = entry->id,
				     .timeout_s = fo__ct_idle_s(flow->timeout_ms),
				     .zone = flow->flow->scope,
				     .due_s = fo__ct_now_s() + fo__ct_look_s(proto),
				     .known = FO__CT_KNOWN};
	*wish = (struct fo__ct_wish){.key = {&flow->flow->tuple[0], flow->flow->scope}};
	if (proto == IPPROTO_TCP && !entry->liberal) {
		wish->bits |= FO__CT_BE_LIBERAL;
		kept->loosened = 1;
	}
	if (!(entry->have & FO__CT_TIMEOUT) || entry->timeout_s < fo__ct_enough_s(kept)) {
		wish->bits |= FO__CT_SET_TIMEOUT;
		wish->timeout_s = fo__ct_enough_s(kept);
	}
	if (wish->bits)
		admission->wishing[admission->n_wishes++] = i;
}

static int unanswered(const struct fo__ct_care *care, int error, struct fo_error *err)
{
	if (error == ENOENT)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, FO_STAGE_RESOLVE, error,
				     "tuple[0]",
				     "conntrack has no entry of this connection: add it while the kernel "
				     "tracks it, or create the table %s",
				     care->otherwise);
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
		code = unanswered(admission->care, error, err);
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
	struct fo__ct_care *care = admission->care;
	int errors[FO__CT_ADMIT_MOST];

	if (!admission->n_wishes)
		return;
	(void)fo__ct_change(&care->ask, care->tx, admission->wishes, admission->n_wishes, errors);
	for (size_t w = 0; w < admission->n_wishes; w++) {
		size_t i = admission->wishing[w];

		if (!errors[w])
			continue;
		admission->kept[i].known = FO__CT_NOT;
		admission->results[i] = unanswered(care, errors[w], &admission->errs[i]);
	}
}

static void check_ipsec(struct fo__ct_care *care, const struct fo_backend_flow *flows, size_t n, int *results,
			struct fo_error *errs)
{
	struct fo__ipsec_flow asked[FO__IPSEC_MOST];
	uint8_t met[FO__IPSEC_MOST];
	int code;

	if (fo__ipsec_changed(&care->ipsec))
		care->recheck = 1;
	for (size_t i = 0; i < n; i++)
		asked[i] = (struct fo__ipsec_flow){flows[i].flow->tuple, flows[i].out};
	code = fo__ipsec_judge(&care->ipsec, asked, n, met);
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

void fo__ct_admit(struct fo__ct_care *care, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
		  size_t n, int *results, struct fo_error *errs)
{
	struct admission admission = {
		.care = care, .flows = flows, .kept = kept, .results = results, .errs = errs};
	struct fo__ct_key keys[FO__CT_ADMIT_MOST];

	check_ipsec(care, flows, n, results, errs);
	for (size_t i = 0; i < n; i++) {
		keys[i] = (struct fo__ct_key){&flows[i].flow->tuple[0], flows[i].flow->scope};
		kept[i].known = FO__CT_NOT;
	}
	(void)fo__ct_get(&care->ask, care->tx, keys, n, judge, &admission);
	make_wishes(&admission);
}

/* Its time stays longer until its next packet. */
void fo__ct_dismiss(struct fo__ct_care *care, const struct fo_tuple *tuple, struct fo__ct_kept *kept)
{
	struct fo__ct_wish wish = {.key = {tuple, kept->zone}, .bits = FO__CT_BE_STRICT};
	int error;

	if (kept->known && kept->loosened)
		(void)fo__ct_change(&care->ask, care->tx, &wish, 1, &error);
	kept->known = FO__CT_NOT;
}
