/* SPDX-License-Identifier: BSD-2-Clause */
/* steps.h - the points of the lock-free protocol between which another thread matters.
 *
 * In the library fo__step() is nothing. Tests of concurrency build it with FO__STEPS and supply fo__step(): it pauses
 * a thread at a point, or hands over to another one, so that each order of the steps can be made to happen.
 */
#ifndef FO_FLOWTABLE_STEPS_H
#define FO_FLOWTABLE_STEPS_H

enum fo__step {
	/* worker */
	FO__STEP_ENTERED,   /* epoch announced */
	FO__STEP_HINTS,	    /* hints of a bucket read, its tags not yet */
	FO__STEP_TAGS,	    /* direction number taken from a bucket, its line not yet compared */
	FO__STEP_COMPARED,  /* the key is the packet's */
	FO__STEP_JUDGED,    /* the packet will be short-cut; nothing written yet */
	FO__STEP_REWRITTEN, /* written, not yet counted */
	FO__STEP_COUNTED,
	FO__STEP_MISSED, /* neither bucket of an index has it */
	FO__STEP_LEFT,	 /* epoch taken back */
	/* control */
	FO__STEP_FILLED,   /* line written, not yet in the index */
	FO__STEP_DIR,	   /* bucket: direction number stored, tag not yet */
	FO__STEP_TAG,	   /* bucket: tag stored */
	FO__STEP_MOVED,	   /* in both places; the old one is cleared next */
	FO__STEP_CLEARED,  /* gone from a bucket */
	FO__STEP_CLOSED,   /* DEAD on one direction, the other next */
	FO__STEP_REUSED,   /* slot past its grace period, free for the next connection */
	FO__STEP_SWAPPED,  /* side points at its new entry */
	FO__STEP_SWITCHED, /* the new index is cur, next not yet taken back */
};

#ifdef FO__STEPS
void fo__step(enum fo__step step);
#else
#define fo__step(step) ((void)0)
#endif

#endif
