/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.pml - Spin model: a packet sees an adjacency as it was or as it is, whole, and never another one.
 *
 * Models sides.c (fo__side_get, fo__sides_update, fo__sides_kill, side_free, grow, when entries and numbers are
 * used again), fo_flow_update()'s change of a flow's side (core/flow.c, apply_adj), and what ../fastpath/run.c
 * does with a line that names a side: load the number, the view, the number of the entry, the entry. Grace
 * periods are taken as reclaim.pml has them: what is retired within a burst is not used again before that burst
 * ends.
 *
 * One flow, two side numbers, adjacencies that come and go. An entry is two words, written one after the other;
 * each holds the version that it is of, and a version is of one adjacency. Version 0 is dead. Views: a small
 * one, and the larger copy that replaces it. What is claimed of a packet, by assertions:
 *   - both words are of one version;
 *   - it is of an adjacency that the flow had at some time during the burst, and of a version that was in force
 *     at some time during the burst: who was told that an update is done sees no burst begun later that uses
 *     the old one;
 *   - or it is dead, and the flow's side was so when the burst began, or a side died during it;
 *   - no view is read that was freed.
 *
 * Why sequential consistency is enough: as in move.pml, one writer of releases, a reader that only loads.
 *
 * FAULT_x and REACH_x: see move.pml.
 *
 * run: -DVERSIONS=3
 * long: -DVERSIONS=4
 */
#define SIDES	2
#define SMALL	3 /* entries of the first view: the dead one, and two */
#define ENTRIES 4 /* of the second */
#define DEAD	0 /* entry, version */

/* ---- memory that workers read ---- */

bit linked; /* the flow is in the index */
byte line;  /* side number of the flow */
byte view;  /* which one is current */
byte side[2 * SIDES];
byte word0[2 * ENTRIES];
byte word1[2 * ENTRIES];

#define of_side(v, s)  side[(v) * SIDES + (s)]
#define word_0(v, e)   word0[(v) * ENTRIES + (e)]
#define word_1(v, e)   word1[(v) * ENTRIES + (e)]
#define bit_of(number) (1 << (number))

/* ---- what is true of it ---- */

bit inside;			/* the worker is in a burst */
byte adjacency[VERSIONS + 1];	/* of a version; 0: not made yet */
byte force;			/* versions in force now */
byte in_force;			/* ... at some time during the burst */
byte had;			/* adjacencies the flow had during the burst */
bit died;			/* its side was dead, or one died, during the burst */
bit freed;			/* the small view */

/* Control's: what is in use, and what waits for the end of the burst. */
bit entry_used[ENTRIES];
bit entry_waits[ENTRIES];
byte owner[SIDES]; /* adjacency of a side; 0: free */
bit side_dead[SIDES];
bit side_waits[SIDES];
bit view_waits;
bit line_waits;

/* ---- the worker ---- */

inline look()
{
	w_side = line;
#ifndef FAULT_VIEW_KEPT
	w_view = view;
#endif
	assert(!(freed && w_view == 0));
	w_entry = of_side(w_view, w_side);
	assert(!(freed && w_view == 0));
	w_version = word_0(w_view, w_entry);
	assert(!(freed && w_view == 0) && w_version == word_1(w_view, w_entry));
	assert(w_version != DEAD || died);
	assert(w_version == DEAD || ((in_force & bit_of(w_version)) && (had & bit_of(adjacency[w_version]))));
#ifdef REACH_DEAD
	assert(w_version != DEAD);
#endif
#ifdef REACH_OLD_VIEW
	assert(w_view == view);
#endif
#ifdef REACH_OLD_VERSION
	assert(w_version == DEAD || (force & bit_of(w_version)));
#endif
	atomic {
		w_side = 0;
		w_entry = 0;
		w_version = 0
#ifndef FAULT_VIEW_KEPT
		;
		w_view = 0
#endif
	}
}

proctype worker()
{
	byte w_side, w_view, w_entry, w_version;

end:
	do
	:: atomic {
		inside = 1;
		in_force = force;
		had = (linked -> bit_of(owner[line]) : 0);
		died = linked && side_dead[line]
	   };
	   do
	   :: linked -> look()
	   :: break
	   od;
	   atomic {
		inside = 0;
		in_force = 0;
		had = 0;
		died = 0;
		entry_waits[1] = 0;
		entry_waits[2] = 0;
		entry_waits[3] = 0;
		side_waits[0] = 0;
		side_waits[1] = 0;
		line_waits = 0;
		freed = freed | view_waits;
		view_waits = 0
	   }
	od
}

/* ---- control ---- */

#define is_free(e)    (!entry_used[e] && !entry_waits[e])
#define may_take(e)   (is_free(e) && (e) < (view == 0 -> SMALL : ENTRIES))
#define has_entry     (may_take(1) || may_take(2) || may_take(3))
#define may_make      (c_made < VERSIONS && has_entry)

/* entry_take() */
inline take_entry()
{
	if
	:: may_take(1) -> c_entry = 1
	:: else ->
		if
		:: may_take(2) -> c_entry = 2
		:: else -> c_entry = 3
		fi
	fi;
	entry_used[c_entry] = 1
}

/* A version of an adjacency that will be in force when a side points at its entry. */
inline make(id)
{
	c_made++;
	adjacency[c_made] = id
}

/* fo__entry_build() */
inline build()
{
	word_0(view, c_entry) = c_made;
	word_1(view, c_entry) = c_made
}

/* side_set(): from this store on the version is in force, and the old one is not. */
inline swap(s, version)
{
	atomic {
#ifdef FAULT_SWAPPED_IN_OLD_VIEW
		of_side(0, s) = c_entry;
#else
		of_side(view, s) = c_entry;
#endif
		force = (force & ~bit_of(c_version)) | (version == DEAD -> 0 : bit_of(version));
		in_force = in_force | (inside && version != DEAD -> bit_of(version) : 0);
		side_dead[s] = (version == DEAD);
		died = died || (inside && version == DEAD)
	}
}

/* entry_retire(): the stamp */
inline retire(e)
{
	atomic {
		if
		:: e != DEAD ->
			entry_used[e] = 0; /* unreached there, too */
#ifndef FAULT_ENTRY_WITHOUT_GRACE
			entry_waits[e] = inside /* unreached where a dead side is freed */
#endif
		:: else
		fi
	}
}

inline note_old(s)
{
	c_old = of_side(view, s);
	c_version = word_0(view, c_old)
}

inline over()
{
	atomic {
		c_entry = 0;
		c_old = 0;
		c_version = 0
	}
}

/* fo__side_get(): a side for a new adjacency. */
inline get(s)
{
	atomic {
		c_ids++;
		owner[s] = c_ids;
		take_entry();
		make(c_ids)
	};
#ifdef FAULT_LINE_BEFORE_SIDE
	if
	:: !linked && !line_waits -> link(s)
	:: else
	fi;
#endif
	build();
	swap(s, c_made);
	over()
}

/* fo__sides_update() */
inline update(s)
{
#ifdef FAULT_IN_PLACE
	atomic { note_old(s); c_entry = c_old; make(owner[s]) };
	build();
	swap(s, c_made);
#else
	atomic { note_old(s); take_entry(); make(owner[s]) };
#ifdef FAULT_SWAPPED_BEFORE_BUILT
	swap(s, c_made);
	build();
#else
	build();
#ifdef FAULT_RETIRED_BEFORE_SWAP
	retire(c_old);
	swap(s, c_made);
#else
	swap(s, c_made);
#endif
#endif
#ifndef FAULT_RETIRED_BEFORE_SWAP
	retire(c_old);
#endif
#endif
	over()
}

/* side_free(): nothing names the side that a burst begun from now on could find. */
inline free_side(s)
{
	note_old(s);
	retire(c_old);
	c_entry = DEAD;
	swap(s, DEAD);
	atomic {
		owner[s] = 0;
#ifndef FAULT_NUMBER_WITHOUT_GRACE
		side_waits[s] = inside
#endif
	};
	over()
}

#define names(s) (linked && line == (s))

/* fo__sides_kill(): with flows it stays, dead; without it goes. */
inline kill(s)
{
	if
	:: names(s) ->
		atomic { note_old(s); c_entry = DEAD };
		swap(s, DEAD);
		retire(c_old);
		over()
	:: else -> free_side(s)
	fi
}

/* A flow is added, or fo_flow_update() gives the one that is there another side. */
inline link(s)
{
	atomic {
		line = s;
		linked = 1;
		had = had | (inside -> bit_of(owner[s]) : 0)
	}
}

/* The flow is out of the index. Its reference to the side may go at once, its line is used again after a grace period. */
inline unlink()
{
	atomic {
		linked = 0;
		line_waits = inside
	}
}

/* grow(): rooms are copied, then the larger view is published; the small one goes after a grace period. */
inline grow()
{
#ifdef FAULT_VIEW_BEFORE_COPY
	view = 1;
#endif
	atomic {
		word_0(1, 1) = word_0(0, 1);
		word_1(1, 1) = word_1(0, 1)
	};
	atomic {
		word_0(1, 2) = word_0(0, 2);
		word_1(1, 2) = word_1(0, 2)
	};
	of_side(1, 0) = of_side(0, 0);
	of_side(1, 1) = of_side(0, 1);
	view = 1;
	atomic {
#ifdef FAULT_VIEW_WITHOUT_GRACE
		freed = 1
#else
		if
		:: inside -> view_waits = 1
		:: else -> freed = 1
		fi
#endif
	}
}

proctype control()
{
	byte c_entry, c_old, c_version, c_made, c_ids;

end:
	do
	:: owner[0] == 0 && !side_waits[0] && may_make -> get(0)
	:: owner[1] == 0 && !side_waits[1] && may_make -> get(1)
	:: owner[0] && !side_dead[0] && may_make -> update(0)
	:: owner[1] && !side_dead[1] && may_make -> update(1)
	:: owner[0] && !side_dead[0] -> kill(0)
	:: owner[1] && !side_dead[1] -> kill(1)
	/* fo__side_unref(): a dead side goes with its last flow */
	:: owner[0] && side_dead[0] && !names(0) -> free_side(0)
	:: owner[1] && side_dead[1] && !names(1) -> free_side(1)
	:: owner[0] && !side_dead[0] && !linked && !line_waits -> link(0)
	:: owner[1] && !side_dead[1] && !linked && !line_waits -> link(1)
	:: linked && line == 1 && owner[0] && !side_dead[0] && !side_dead[1] -> link(0)
	:: linked && line == 0 && owner[1] && !side_dead[1] && !side_dead[0] -> link(1)
	:: linked -> unlink()
	:: view == 0 -> grow()
	od
}

init {
	atomic {
		run control();
		run worker()
	}
}
