/* SPDX-License-Identifier: BSD-2-Clause */
/* faulty.h - what cases do with flows while hardware fails (RIG_FAULTS; struct rig_fault of rig.h says how).
 *
 * Whatever comes of a flow is said: by the call that refuses it, with errno, reason and words, or by its state, with a reason
 * and an event. It has both of its rules or none, and its packets arrive all the while, by whatever path, as the reference
 * says. Rules that stay when the table is gone are the rig's to notice.
 * Neighbours: cases_faulty.c is of refusals, slowness and ports, cases_forgetful.c of counters.
 */
#ifndef CONFORMANCE_FAULTY_H
#define CONFORMANCE_FAULTY_H

#include "topology.h"

/* Where a flow is that was given to the table. */
enum faulty_place { FAULTY_OUTSIDE, FAULTY_HALF, FAULTY_INSIDE };

/* Does add() wait for the driver, so that it says itself what came of it? */
int faulty_answers_at_once(const struct env *env);
/* Flow n of the table's, whose connection stands. */
void faulty_connected(struct env *env, struct fo_flow *flow, unsigned int n);
/* Of a flow that the table took and that is in its hardware or not: it says which. */
enum faulty_place faulty_place(struct env *env, unsigned int n);
/* All flows so far: nothing is half installed, but where that is said; and packets of all arrive. Returns how many are in
 * hardware with both rules; of those that are said to be half there, the rules are counted. */
unsigned int faulty_check(struct env *env);
/* ... and it is so many; a backend that answers later may take its time. */
void faulty_expect(struct env *env, unsigned int want);
/* As soon as the backend answers, the hardware has so many rules that forward. */
void faulty_expect_rules(struct env *env, unsigned int want);
/* A flow that was refused, or has ended, is added again. */
void faulty_add_again(struct env *env, unsigned int n);
/* It works again: what was refused is added after all; then everything goes, and nothing stays. */
void faulty_mend_and_end(struct env *env);
/* Its terminal event; NULL: none so far. */
const struct fo_event *faulty_end(const struct env *env, unsigned int n);

#endif /* CONFORMANCE_FAULTY_H */
