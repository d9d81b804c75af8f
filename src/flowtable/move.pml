/* SPDX-License-Identifier: BSD-2-Clause */
/* move.pml - Spin model: a key that is in the table is found while the writer moves it.
 *
 * Models index.c (place, displace, remove, tidy, migrate), upkeep.c (begin, finish) and the look-up of
 * ../fastpath (its stages, then the whole protocol, search_all). One writer that goes on until the look-up
 * ends; one look-up that begins at any time. K is the key looked for and never leaves the table; X has
 * its hash (tag, home, second, hint), comes and goes, and takes the slots that K leaves. Each load and each
 * store that the other side can notice is one step. (That a direction number is stored before its tag matters
 * to reclaim.pml, not here.)
 *
 * What is claimed: K is found, or the answer is "busy", if no more than MOVES = 1 moves of K overlap the
 * look-up. All else that the writer does meanwhile is not limited. Indexes are used in turn and never again: the
 * burst keeps those alive that it may look at (reclaim.pml). Four are enough: to leave one, K must have been
 * moved out of it.
 *
 * Why sequential consistency is enough here: docs/CONCURRENCY.md (one writer whose stores are all releases, a
 * reader that only loads, always with acquire).
 *
 * FAULT_x changes the protocol so that the claim must break; REACH_x denies something that must be possible.
 * tests/models/run.sh tries them all, in these sizes; the last one takes 3 GB and is tried with --long only.
 *
 * run: -DALONE=1
 * run: -DINDEXES=2
 * long: -DINDEXES=4
 */
#define SLOTS	3 /* of one key's two buckets: home 0, second 1 and 2 */
#ifndef INDEXES
#define INDEXES 4
#endif
#ifndef ALONE
#define ALONE 0 /* without X */
#endif
#define NULL	INDEXES
#define K	1
#define X	2
#define NOWHERE 3
#define UNREAD	(NULL + 1)
#define NO_SLOT SLOTS

#ifdef REACH_DOUBLE_MOVE
#define MOVES 2
#else
#define MOVES 1
#endif

#define at(i, s) ((i) * SLOTS + (s))
bit tag[INDEXES * SLOTS];
byte dir[INDEXES * SLOTS];
bit hint[INDEXES];
byte away[INDEXES]; /* with hint, one word: meta of the home bucket */
byte cur = 0;
byte next = NULL;

bit between; /* the reader has seen a tag and will load the direction number beside it */
bit looking; /* the look-up has read the hints of the home bucket */
bit done;    /* it is over */
byte moved;  /* moves of K that overlap it */
bit moving;  /* one is under way */

/* ---- the writer ---- */

#define has(i, s)	 (tag[at(i, s)])
#define movable(i, s)	 (has(i, s) && (dir[at(i, s)] == X || !looking || moved < MOVES))
#define has_x(i, s)	 (has(i, s) && dir[at(i, s)] == X)
#define room_in_second(i) (!has(i, 1) || !has(i, 2))
#define is_empty(i)	 (!has(i, 0) && !has(i, 1) && !has(i, 2))

inline publish(i, s, key)
{
	dir[at(i, s)] = key;
	tag[at(i, s)] = 1
}

/* The number stays beside the tag, for a reader that saw the tag; when there is none it makes no difference. */
inline clear_tag(i, s)
{
	atomic {
		tag[at(i, s)] = 0;
		if
		:: !between -> dir[at(i, s)] = 0
		:: else
		fi
	}
}

inline note_away(i)
{
	d_step {
		hint[i] = 1;
		away[i]++
	}
}

inline note_back(i)
{
	d_step {
		away[i]--;
#ifdef FAULT_HINTS_UNCOUNTED
		hint[i] = 0
#else
		if
		:: away[i] == 0 -> hint[i] = 0
		:: else
		fi
#endif
	}
}

/* What control does next: the entry in (w_in, w_from), NO_SLOT for a new one, goes to (w_at, w_to), NO_SLOT for none. */
inline take(i, s)
{
	w_in = i;
	w_from = s;
	w_key = dir[at(i, s)];
	if
	:: w_key == K ->
		moving = 1;
		moved = moved + looking
	:: else
	fi
}

inline take_out(i, s)
{
	w_in = i;
	w_from = s;
	w_to = NO_SLOT;
	present = 0
}

inline give(i, s)
{
	w_at = i;
	w_to = s
}

inline give_second(i)
{
	if
	:: !has(i, 1) -> give(i, 1)
	:: else -> give(i, 2)
	fi
}

/* fo__index_insert(): home, or second. */
inline give_any(i)
{
	if
	:: !has(i, 0) -> give(i, 0)
	:: room_in_second(i) -> give_second(i)
	fi
}

/* place_home() or place_second() */
inline place()
{
	if
	:: w_to == NO_SLOT -> skip
	:: w_to == 0 -> publish(w_at, w_to, w_key)
	:: else ->
#ifndef FAULT_HINT_LATE
		note_away(w_at);
#endif
		publish(w_at, w_to, w_key)
	fi
}

/* clear_slot(); what control remembers of the operation is gone when it is over. */
inline clear()
{
	if
	:: w_from == NO_SLOT -> skip
	:: w_from == 0 -> clear_tag(w_in, w_from)
	:: else ->
		clear_tag(w_in, w_from);
#ifndef FAULT_HINT_CLEARED_EARLY
		note_back(w_in)
#endif
	fi;
#ifdef FAULT_HINT_LATE
	if
	:: w_to != 0 && w_to != NO_SLOT -> note_away(w_at)
	:: else
	fi;
#endif
	atomic {
		moving = 0;
		w_in = 0;
		w_from = 0;
		w_at = 0;
		w_to = 0;
		w_key = 0
	}
}

proctype writer()
{
	byte w_in, w_from, w_at, w_to, w_key;
	bit present; /* X is in the table */

	do
	:: done -> break
	:: atomic {
		if
		/* move_away() of an entry at home: make_room() does that to any */
		:: movable(cur, 0) && room_in_second(cur) -> take(cur, 0); give_second(cur)
		:: next != NULL && movable(next, 0) && room_in_second(next) -> take(next, 0); give_second(next)
		/* ... of a displaced one: make_room(), tidy_bucket() */
		:: movable(cur, 1) && !has(cur, 0) -> take(cur, 1); give(cur, 0)
		:: movable(cur, 2) && !has(cur, 0) -> take(cur, 2); give(cur, 0)
		:: next != NULL && movable(next, 1) && !has(next, 0) -> take(next, 1); give(next, 0)
		:: next != NULL && movable(next, 2) && !has(next, 0) -> take(next, 2); give(next, 0)
		/* migrate_bucket() */
		:: next != NULL && movable(cur, 0) -> take(cur, 0); give_any(next)
		:: next != NULL && movable(cur, 1) -> take(cur, 1); give_any(next)
		:: next != NULL && movable(cur, 2) -> take(cur, 2); give_any(next)
		/* X comes, into next when there is one and it has room, and goes */
		:: !present && !ALONE ->
			present = 1;
			w_from = NO_SLOT;
			w_key = X;
			if
			:: give_any(cur)
			:: next != NULL -> give_any(next)
			fi
		:: has_x(cur, 0) -> take_out(cur, 0)
		:: has_x(cur, 1) -> take_out(cur, 1)
		:: has_x(cur, 2) -> take_out(cur, 2)
		:: next != NULL && has_x(next, 0) -> take_out(next, 0)
		:: next != NULL && has_x(next, 1) -> take_out(next, 1)
		:: next != NULL && has_x(next, 2) -> take_out(next, 2)
		fi
	   };
#ifdef FAULT_CLEAR_FIRST
	   atomic { clear_tag(w_in, w_from) };
#endif
#ifdef FAULT_HINT_CLEARED_EARLY
	   if
	   :: w_from == 1 || w_from == 2 -> note_back(w_in)
	   :: else
	   fi;
#endif
	   place();
	   clear()
	/* upkeep.c, begin() */
	:: next == NULL && cur < (looking -> INDEXES - 1 : 1) -> next = cur + 1
	/* upkeep.c, finish() */
	:: next != NULL && is_empty(cur) && cur < (looking -> INDEXES - 1 : 1) ->
#ifdef FAULT_NEXT_TAKEN_BACK_FIRST
		w_at = next;
		next = NULL;
		atomic { cur = w_at; w_at = 0 }
#else
		cur = next;
		next = NULL
#endif
	od
}

/* ---- the reader ---- */

#define run_cur 0 /* run.cur, taken at the beginning of the burst: the first index, whatever became of it since */

inline read_tag(i, s)
{
	atomic { r_tag = tag[at(i, s)]; between = r_tag }
}

inline read_dir(i, s)
{
	atomic { r_dir = dir[at(i, s)]; between = 0 }
}

/* search_bucket(home): the tag matches and the key is the packet's. */
inline search_home(i)
{
	read_tag(i, 0);
	if
	:: r_tag -> read_dir(i, 0)
	:: else
	fi
}

/* search_bucket(second): all that match, until the key is the packet's. */
inline search_second(i)
{
	read_tag(i, 1);
	if
	:: r_tag -> read_dir(i, 1)
	:: else
	fi;
	if
	:: r_dir != K ->
		read_tag(i, 2);
		if
		:: r_tag -> read_dir(i, 2)
		:: else
		fi
	:: else
	fi
}

inline search_index(i)
{
	r_dir = NOWHERE;
#ifdef FAULT_NO_HINTS_BEFORE
	r_hint = 0;
#else
	r_hint = hint[i];
#endif
	search_home(i);
	if
	:: r_dir != K ->
#ifndef FAULT_NO_HINTS_AFTER
		r_hint = r_hint | hint[i];
#endif
		if
		:: r_hint ->
			search_second(i);
#ifndef FAULT_HOME_ONCE
			if
			:: r_dir != K -> search_home(i)
			:: else
			fi
#endif
		:: else
		fi
	:: else
	fi
}

inline cur_stands_still()
{
	if
	:: cur == r_cur -> no_flow = 1 /* unreached: the claim */
	:: else -> busy = 1
	fi
}

/* The answer when nothing was found: next is looked at before cur here, too. */
inline judge_miss()
{
#ifdef FAULT_BUSY_IGNORES_NEXT
	cur_stands_still()
#else
#ifdef FAULT_BUSY_CUR_BEFORE_NEXT
	if
	:: cur == r_cur ->
		if
		:: next == r_next -> no_flow = 1
		:: else -> busy = 1
		fi
	:: else -> busy = 1
	fi
#else
	if
	:: next == r_next -> cur_stands_still()
	:: else -> busy = 1
	fi
#endif
#endif
}

inline search_all()
{
	r_in = run_cur;
	search_index(r_in);
	if
	:: r_dir != K ->
		r_next = next;
		r_cur = cur;
		if
		:: r_cur != run_cur ->
			r_in = r_cur;
			search_index(r_in)
		:: else
		fi;
		if
		:: r_dir != K && r_next != NULL && r_next != r_cur ->
			r_in = r_next;
			search_index(r_in)
		:: else
		fi;
		if
		:: r_dir != K -> judge_miss()
		:: else
		fi
	:: else
	fi
}

/* The tag stage: the first that matches at home. If none does, the hints once more; the second bucket, or, when both
 * pointers say that there is no other index, a miss in one line. */
inline stage_tags()
{
	atomic { looking = 1; moved = moving; r_hint = hint[run_cur] };
	r_dir = NOWHERE;
	search_home(run_cur);
	if
	:: r_dir == NOWHERE ->
#ifndef FAULT_NO_HINTS_AFTER
		r_hint = r_hint | hint[run_cur];
#endif
		if
		:: r_hint -> first_in_second()
		:: else -> plain_miss()
		fi
	:: else
	fi
}

inline first_in_second()
{
	read_tag(run_cur, 1);
	if
	:: r_tag -> read_dir(run_cur, 1)
	:: else ->
		read_tag(run_cur, 2);
		if
		:: r_tag -> read_dir(run_cur, 2)
		:: else
		fi
	fi
}

inline plain_miss()
{
#ifdef FAULT_PLAIN_CUR_BEFORE_NEXT
	r_cur = cur;
	r_next = next;
#else
	r_next = next;
	r_cur = cur;
#endif
	if
#ifdef FAULT_PLAIN_IGNORES_CUR
	:: r_next == NULL -> no_flow = 1
#else
	:: r_next == NULL && r_cur == run_cur -> no_flow = 1 /* unreached: the claim */
#endif
	:: else
	fi
}

/* The key stage: compare; what is not K, or not there yet, is looked up by the whole protocol. */
inline stage_keys()
{
	if
	:: r_dir != K && !no_flow -> search_all()
	:: else
	fi
}

inline look_up()
{
	stage_tags();
	stage_keys();
	assert(!no_flow && (busy || r_dir == K));
#ifdef REACH_IN_CUR_THAT_CAME
	assert(!(r_in == r_cur && r_cur != run_cur));
#endif
#ifdef REACH_IN_NEXT
	assert(!(r_dir == K && r_in == r_next));
#endif
#ifdef REACH_BUSY
	assert(!busy);
#endif
	done = 1
}

proctype reader()
{
	byte r_next = UNREAD, r_cur = UNREAD, r_in = UNREAD, r_dir;
	bit r_hint, r_tag, no_flow, busy;

	look_up()
}

init {
	atomic {
		dir[at(0, 0)] = K;
		tag[at(0, 0)] = 1;
		run writer();
		run reader()
	}
}
