/* SPDX-License-Identifier: BSD-2-Clause */
/* reclaim.pml - Spin model: a record is used again only when no worker can look at it or count in it.
 *
 * Models epoch.h, workers.c (what control sees of workers), the life of a connection in connection.c and the two lists of its
 * grace periods (lists.h), against what fo_worker_run() does with a record: finds its number beside a tag,
 * compares the key, looks at its state, rewrites the packet by it, counts. One key, two slots, so a connection
 * that is added while the last one is being reclaimed takes the other slot. Every worker may stop for ever at
 * any point, inside or outside a burst. Control may stop between two operations.
 *
 * What is claimed, by assertions:
 *   - what a worker compares, rewrites by and counts in is a complete record, and the same one all the time;
 *   - counters that are called final have all packets that were forwarded, and do not change afterwards; and by
 *     the absence of invalid end states: no operation of control waits for a worker.
 *
 * Memory order. A worker's stores go through a buffer of its own, first in, first out, and reach memory at some
 * later time; its loads do not wait for them. That is x86, and it is what any machine may do to a store that a
 * load of another place follows. The sequentially consistent store and load of fo__epoch_enter() wait until the
 * buffer is empty. Control's additions to the epoch are such operations, too. Control's other stores need no
 * buffer: one thread makes them, all are releases or come before one (docs/CONCURRENCY.md).
 *
 * Epochs are numbers modulo 8 here and begin shortly before they go round.
 *
 * FAULT_x and REACH_x: see move.pml.
 *
 * run: -DWORKERS=1 -DADDS=3 -DPACKETS=3
 * run: -DWORKERS=2 -DADDS=1 -DPACKETS=2
 * long: -DWORKERS=2 -DADDS=2 -DPACKETS=2
 */
#define SLOTS	2
#define NOWHERE SLOTS
#define MODULO	8
#define BUFFER	3
#define NOT_YET 255

byte epoch = MODULO - 2; /* about to go round */
byte mine[WORKERS]; /* announced; 0: offline */
bit tag;	    /* the key's place in the index */
byte dir = NOWHERE; /* ... and the slot that it leads to */
byte gen[SLOTS];     /* generation in a slot; 0: free */
bit complete[SLOTS]; /* its line is filled in */
bit dead[SLOTS];     /* closing state */
byte counted[SLOTS];
byte sent[ADDS + 1];  /* of a generation: packets forwarded */
byte final[ADDS + 1]; /* ... and what was said in the end */
byte budget = PACKETS; /* that may still be forwarded */
bit stuck;	       /* a worker stands still within a burst */
byte high;	       /* places that workers have had */

#define distance(to, from) (((to) + MODULO - (from)) % MODULO)

mtype = { ANNOUNCE, COUNT };
chan stores[WORKERS] = [BUFFER] of { mtype, byte, byte };

/* ---- workers ---- */

/* The stores of a worker reach memory. */
proctype buffer(byte me)
{
	byte slot, value;

end:
	do
	:: atomic {
		stores[me]?ANNOUNCE(slot, value);
		mine[me] = value;
		value = 0
	   }
	:: atomic {
		stores[me]?COUNT(slot, value);
		assert(gen[slot] == value && final[value] == NOT_YET);
		counted[slot]++;
		slot = 0;
		value = 0
	   }
	od
}

/* fo__epoch_enter() */
inline enter()
{
	w_epoch = epoch;
	do
	:: stores[me]!ANNOUNCE(0, w_epoch);
#ifndef FAULT_ANNOUNCED_LATE
	   empty(stores[me]);
#endif
	   w_seen = epoch;
#ifdef FAULT_ANNOUNCED_STALE
	   break
#else
	   if
	   :: distance(w_seen, w_epoch) < MODULO / 4 -> break
	   :: else -> w_epoch = w_seen /* so long between load and store that nobody could tell its age */
	   fi
#endif
	od;
	atomic { w_epoch = 0; w_seen = 0 }
}

/* fo__epoch_leave(): a release after all that was counted. */
inline leave()
{
#ifdef FAULT_LEFT_BEFORE_COUNTED
	mine[me] = 0
#else
	stores[me]!ANNOUNCE(0, 0)
#endif
}

/* One packet: tag, record, key, state, rewrite, count. */
inline packet()
{
	if
	:: tag ->
		w_slot = dir;
		if
		:: w_slot == NOWHERE -> skip
		:: else ->
			atomic {
				assert(complete[w_slot]);
				w_gen = gen[w_slot]
			};
			if
			:: dead[w_slot] || !budget ->
#ifdef REACH_CLOSING
				assert(!dead[w_slot]);
#endif
				skip
			:: else ->
#ifdef FAULT_ANNOUNCED_AMID
				enter();
#endif
				atomic {
					assert(gen[w_slot] == w_gen && complete[w_slot]);
					budget = (budget -> budget - 1 : 0);
					sent[w_gen]++
				};
				stores[me]!COUNT(w_slot, w_gen)
			fi
		fi;
		atomic { w_slot = 0; w_gen = 0 }
	:: else
	fi
}

/* A sequentially consistent read-modify-write. */
inline note_high()
{
	atomic { high = (high > me -> high : me + 1) }
}

proctype worker(byte me)
{
	byte w_epoch, w_seen, w_slot, w_gen;

	/* fo__worker_claim(), before the first burst */
#ifndef FAULT_HIGH_LATE
	note_high();
#endif
end:
	do
	:: enter();
#ifdef FAULT_HIGH_LATE
	   note_high();
#endif
end_within:
	   do
	   :: skip; packet()
	   :: enter()
	   :: break
	   :: stuck = 1; goto end_stuck
	   od;
	   leave()
	od;
end_stuck:
	false
}

/* ---- control ---- */

mtype = { NONE, LIVE, DRAIN, ENDED };

/* What control saw of the workers that there are, one after the other: the oldest epoch announced, 0 for none. */
inline look_at(number)
{
	if
	:: c_high > number ->
		atomic {
			c_seen = mine[number];
			if
			:: c_seen != 0 && (c_oldest == 0 || distance(c_seen, c_oldest) >= MODULO / 2) ->
				c_oldest = c_seen
			:: else
			fi;
			c_seen = 0
		}
	:: else
	fi
}

inline look()
{
	atomic { c_oldest = 0; c_high = high };
	look_at(0);
#if WORKERS == 2
	look_at(1);
#endif
	c_high = 0
}

/* fo__progress_past(), of a stamp that was taken before the look. */
#define is_past(stamp) (c_oldest == 0 || distance(c_oldest, stamp) < MODULO / 2)

/* fo__epoch_stamp(): one addition, and never to 0, which would say offline. */
inline take_stamp(out)
{
#ifdef FAULT_EPOCH_ZERO
	epoch = (epoch + 1) % MODULO;
	if
	:: epoch == 0 -> epoch = 1
	:: else
	fi;
	out = epoch
#else
	atomic { epoch = (epoch == MODULO - 1 -> 1 : epoch + 1); out = epoch }
#endif
}

/* fo__conn_prepare(), fo__conn_publish() */
inline add(s)
{
	c_slot = s;
	complete[c_slot] = 0;
	atomic {
		c_added++;
		gen[c_slot] = c_added;
		dead[c_slot] = 0;
		counted[c_slot] = 0;
		complete[c_slot] = 1
	};
#ifdef REACH_ADDED_WHILE_STOPPED
	assert(!stuck);
#endif
#ifdef FAULT_TAG_BEFORE_DIR
	tag = 1;
	dir = c_slot;
#else
	dir = c_slot;
	tag = 1;
#endif
	c_life = LIVE
}

/* fo__conn_close(), fo__conn_drain() */
inline close()
{
#ifdef FAULT_CLOSED_AFTER_STAMP
	take_stamp(c_stamp);
	dead[c_slot] = 1;
#else
	dead[c_slot] = 1;
	take_stamp(c_stamp);
#endif
#ifdef FAULT_RESET_EARLY
	counted[c_slot] = 0;
#endif
#ifdef FAULT_CONTROL_WAITS
	mine[0] == 0;
#endif
	c_life = DRAIN
}

/* What fo__drained() gives: its counters are final, or it was counted after all and lives on. */
inline drained()
{
	if
	:: counted[c_slot] && !c_revived ->
		c_revived = 1;
		dead[c_slot] = 0;
		c_life = LIVE
	:: atomic {
		final[gen[c_slot]] = counted[c_slot];
		assert(final[gen[c_slot]] == sent[gen[c_slot]])
	   };
	   c_life = ENDED
	fi
}

/* slot_release() */
inline release(s)
{
	atomic {
		c_retired[s] = 0;
		gen[s] = 0;
		complete[s] = 0
	}
}

#ifdef FAULT_NO_GRACE
#define may_release(s) c_retired[s]
#else
#define may_release(s) (c_retired[s] && is_past(c_retired[s]))
#endif

/* One look for all that wait. */
inline reclaim()
{
	look();
	if
	:: may_release(0) -> release(0)
	:: else
	fi;
	if
	:: may_release(1) -> release(1)
	:: else
	fi;
	c_oldest = 0
}

/* fo__conn_unlink(), fo__conn_retire() */
inline retire()
{
#ifdef FAULT_OLD_LOOK
	look();
#endif
#ifdef FAULT_LATE_UNLINK
	take_stamp(c_retired[c_slot]);
	tag = 0;
#else
	tag = 0;
	take_stamp(c_retired[c_slot]);
#endif
#ifdef FAULT_OLD_LOOK
	if
	:: is_past(c_retired[c_slot]) -> release(c_slot)
	:: else
	fi;
#endif
	atomic {
		c_life = NONE;
		c_slot = 0;
		c_stamp = 0;
		c_revived = 0
	}
}

proctype control()
{
	mtype c_life = NONE;
	byte c_slot, c_stamp, c_added, c_retired[SLOTS], c_high, c_seen, c_oldest;
	bit c_revived;

	do
	:: c_life == NONE && c_added < ADDS && gen[0] == 0 -> add(0)
	:: c_life == NONE && c_added < ADDS && gen[1] == 0 -> add(1)
	:: c_life == LIVE -> close()
	:: c_life == DRAIN ->
		look();
		if
#ifdef FAULT_FINAL_AT_ONCE
		:: skip; drained()
#else
		:: is_past(c_stamp) ->
			c_oldest = 0;
			drained()
#endif
		:: else
		fi;
		c_oldest = 0
	:: c_life == ENDED -> retire()
	:: c_retired[0] || c_retired[1] -> reclaim()
	:: break
	od;
#ifdef REACH_ALL_RETIRED
	assert(c_added < ADDS || c_life != NONE || gen[0] || gen[1] || sent[ADDS] == 0)
#endif
}

init {
	atomic {
		byte i = 0;

		do
		:: i <= ADDS ->
			final[i] = NOT_YET;
			i++
		:: else -> break
		od;
		run control();
		run buffer(0);
		run worker(0);
#if WORKERS == 2
		run buffer(1);
		run worker(1);
#endif
		i = 0
	}
}
