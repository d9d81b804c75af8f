/* SPDX-License-Identifier: BSD-2-Clause */
/* epoch.h - grace periods: when may control reuse what a worker could still look at.
 *
 * A worker announces the table's epoch when it begins a burst and 0 when it ends; control makes a change, then takes
 * a stamp (a new epoch). The change is seen by every burst that begins later; once each worker is offline or has
 * announced the stamp or a later epoch, nothing older looks. A worker asleep between bursts is offline and holds up nobody.
 * Source: Fraser, "Practical lock-freedom" (2004), section 5.2.3; liburcu's QSBR.
 */
#ifndef FO_FLOWTABLE_EPOCH_H
#define FO_FLOWTABLE_EPOCH_H

#include "flowtable/atomics.h"

/* Epochs go round. One announced so much late could pass for a new one: as many objects as can wait for a worker that
 * stands still, 2^30 connections and a few more, must still be told from it by fo__progress_past(). */
#define FO__EPOCH_LATE (UINT32_C(1) << 29)

/* Worker: begin, or re-announce within, a burst. The second load orders everything after it behind the epoch that
 * control has made visible (see docs/CONCURRENCY.md, grace periods). A worker that slept between load and store for
 * hundreds of millions of stamps announces anew. */
static inline void fo__epoch_enter(_Atomic uint32_t *mine, _Atomic uint32_t *global)
{
	uint32_t epoch = fo__load_relaxed(global), seen;

	for (;;) {
		fo__store_seq(mine, epoch);
		seen = fo__load_seq(global);
		if (__builtin_expect(seen - epoch < FO__EPOCH_LATE, 1))
			return;
		epoch = seen;
	}
}

/* Worker: end a burst. */
static inline void fo__epoch_leave(_Atomic uint32_t *mine)
{
	fo__store_release(mine, 0);
}

/* Control, which alone changes the epoch: stamp everything changed so far. The epoch is never 0, not for a moment: a
 * worker that announced it would count as offline for a whole burst. */
static inline uint32_t fo__epoch_stamp(_Atomic uint32_t *global)
{
	uint32_t step = fo__load_relaxed(global) == UINT32_MAX ? 2 : 1;

	return atomic_fetch_add_explicit(global, step, memory_order_seq_cst) + step;
}

#endif
