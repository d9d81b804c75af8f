/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - what tc does with a flow, in words. See state.h. */
#include "backends/tc/state.h"

#include <stdio.h>

void fo__tc_explain(struct fo__tc *tc, uint32_t slot, char *text, size_t size)
{
	const struct fo__tc_record *record = &tc->records[slot];
	const struct fo__tc_port *a = &tc->ports[record->port[0]], *b = &tc->ports[record->port[1]];

	if (record->life == FO__TC_PENDING) {
		(void)snprintf(text, size, "Its filters are being put into the hardware of %s and %s.",
			       a->name, b->name);
		return;
	}
	if (!record->there[0]) {
		(void)snprintf(text, size,
			       "Its filters were removed when %s or %s went down; the flow is ending.",
			       a->name, b->name);
		return;
	}
	(void)snprintf(
		text, size,
		"tc filters %s ingress prio %u handle 0x%x and %s ingress prio %u handle 0x%x, profile %s%s.",
		a->name, tc->own.priority + record->prio[0], fo__tc_handle(slot, 0), b->name,
		tc->own.priority + record->prio[1], fo__tc_handle(slot, 1),
		tc->profile == FO_TC_PROFILE_PPE ? "ppe" : "explicit",
		tc->own.mode == FO_TC_SOFTWARE ? ", in software" : "");
}
