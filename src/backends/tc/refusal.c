/* SPDX-License-Identifier: BSD-2-Clause */
/* refusal.c - why the kernel or a driver said no, as a reason; and what it need not be asked again at once. See state.h. */
#include "backends/tc/state.h"

#include <errno.h>
#include <stdio.h>

/* Hardware may be set up anew meanwhile. */
#define REMEMBER_MS 30000u

static const struct row {
	int error, code;
	enum fo_reason reason;
	const char *remedy;
} rows[] = {
	{ENOSPC, -ENOSPC, FO_R_FULL, "the hardware's table is full: try again when flows have ended"},
	{ENOMEM, -ENOSPC, FO_R_FULL, "the hardware or the kernel has no memory left for it"},
	{EOPNOTSUPP, -EOPNOTSUPP, FO_R_UNSUPPORTED, "leave it to the slow path"},
	{ENOENT, -EOPNOTSUPP, FO_R_UNSUPPORTED,
	 "the kernel lacks a part of tc (cls_flower, act_pedit, act_csum, act_vlan, act_mirred)"},
	{EINVAL, -EOPNOTSUPP, FO_R_UNSUPPORTED, "leave it to the slow path"},
	{ERANGE, -EOPNOTSUPP, FO_R_UNSUPPORTED, "leave it to the slow path"},
	{EEXIST, -EBUSY, FO_R_IN_USE, "somebody else has a filter with this key"},
	{ENODEV, -ENODEV, FO_R_EGRESS_DOWN, "its port is gone"},
	{ENXIO, -ENODEV, FO_R_EGRESS_DOWN, "its port is gone"},
	{EAGAIN, -EAGAIN, FO_R_BUSY, "try again"},
	{EBUSY, -EAGAIN, FO_R_BUSY, "try again"},
	{EINTR, -EAGAIN, FO_R_BUSY, "try again"},
	{ENOBUFS, -EAGAIN, FO_R_BUSY, "answers were lost: try again"},
	{EPERM, -EPERM, FO_R_PERMISSION, "it takes CAP_NET_ADMIN"},
};

static const struct row *row_of(int error)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].error == error)
			return &rows[i];
	return NULL;
}

int fo__tc_refused(struct fo_error *err, int error, const char *words, const char *what)
{
	const struct row *row = row_of(error);

	return fo__nl_refuse(err, row ? row->code : -EIO, row ? row->reason : FO_R_BACKEND, FO_STAGE_INSTALL,
			     error, NULL, "%s was refused: %s%s%s%s%s", what, strerror(error),
			     *words ? ": " : "", words, row ? ": " : "", row ? row->remedy : "");
}

/* ---- Remembering ---- */

/* All that decides whether hardware takes a direction, but for its addresses and ports. Never 0. */
static uint32_t shape_of(const struct fo__tc_rule *rule)
{
	const struct fo_tuple *in = rule->in, *out = rule->out;
	uint32_t shape = 1;

	shape = shape << 4 | in->family;
	shape = shape << 8 | in->proto;
	shape = shape << 2 | (rule->from->n_encaps & 3);
	shape = shape << 2 | (rule->into->n_encaps & 3);
	shape = shape << 1 | (rule->dscp != 0);
	shape = shape << 1 | (memcmp(in->src, out->src, 16) != 0);
	shape = shape << 1 | (memcmp(in->dst, out->dst, 16) != 0);
	shape = shape << 1 | (in->sport_be != out->sport_be);
	return shape << 1 | (in->dport_be != out->dport_be);
}

static int is_lasting(int error)
{
	const struct row *row = row_of(error);

	return row && row->reason == FO_R_UNSUPPORTED;
}

static struct fo__tc_refusal *find(struct fo__tc *tc, const struct fo__tc_rule *rule)
{
	uint8_t from = fo__tc_place(tc, rule->port);
	const struct fo__tc_port *into = fo__tc_port(tc, rule->to);
	uint32_t shape = shape_of(rule);

	for (unsigned int i = 0; into && i < FO__TC_REFUSALS; i++)
		if (tc->refused[i].shape == shape && tc->refused[i].from == from &&
		    tc->refused[i].into == fo__tc_place(tc, into))
			return &tc->refused[i];
	return NULL;
}

void fo__tc_remember(struct fo__tc *tc, const struct fo__tc_rule *rule, int error, const char *words)
{
	struct fo__tc_refusal *refused = find(tc, rule);
	const struct fo__tc_port *into = fo__tc_port(tc, rule->to);

	if (!is_lasting(error) || !into)
		return;
	if (!refused)
		refused = &tc->refused[tc->next_refused++ % FO__TC_REFUSALS];
	refused->shape = shape_of(rule);
	refused->from = fo__tc_place(tc, rule->port);
	refused->into = fo__tc_place(tc, into);
	refused->error = (uint16_t)error;
	refused->until_ms = fo__tc_now(tc) + REMEMBER_MS;
	(void)snprintf(refused->words, sizeof(refused->words), "%s", words);
}

int fo__tc_remembered(struct fo__tc *tc, const struct fo__tc_rule *rule, struct fo_error *err)
{
	const struct fo__tc_refusal *refused = find(tc, rule);

	if (!refused || fo__tc_now(tc) >= refused->until_ms)
		return 0;
	return fo__tc_refused(err, refused->error, refused->words, "a flow of this shape, a moment ago,");
}
