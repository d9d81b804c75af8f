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

/* Worker: begin, or re-announce within, a burst. The second load orders everything after it behind the epoch that
 * control has made visible (see docs/ARCHITECTURE.md, grace periods). */
static inline void fo__epoch_enter(_Atomic uint32_t *mine, _Atomic uint32_t *global)
{
	fo__store_seq(mine, fo__load_relaxed(global));
	(void)fo__load_seq(global);
}

/* Worker: end a burst. */
static inline void fo__epoch_leave(_Atomic uint32_t *mine)
{
	fo__store_release(mine, 0);
}

/* Is a worker that announced mine past stamp? */
static inline int fo__epoch_past(uint32_t mine, uint32_t stamp)
{
	return !mine || (int32_t)(mine - stamp) >= 0;
}

/* Control: stamp everything changed so far. Never 0. */
static inline uint32_t fo__epoch_stamp(_Atomic uint32_t *global)
{
	uint32_t stamp = atomic_fetch_add_explicit(global, 1, memory_order_seq_cst) + 1;

	if (!stamp)
		stamp = atomic_fetch_add_explicit(global, 1, memory_order_seq_cst) + 1;
	return stamp;
}

#endif
