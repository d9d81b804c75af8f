/* SPDX-License-Identifier: BSD-2-Clause */
/* closing.pml - Spin model: a connection that a worker saw closing is reported to control.
 *
 * Models see_flags() of ../fastpath/run.c (closing bits by atomic OR on both lines, then the worker's ring),
 * the end of an idle connection and its revival (connection.c fo__conn_close, fo__conn_revive; core/ageing.c
 * complete), and control's look at what was reported (core/poll.c take_reports). Two workers, one a direction,
 * each sees a packet with FIN at some time, at the same time maybe. Rings have room here: what finds a full
 * ring is the sweep's.
 *
 * What is claimed: when all is quiet, a connection with a closing bit has been ended, without the help of the
 * sweep, and whoever saw FIN left it on both lines; nobody takes control's DEAD away.
 *
 * The bits of a line are one word, changed by atomic read-modify-writes only, which have one order on every
 * machine.
 *
 * FAULT_x and REACH_x: see move.pml.
 *
 * run: -DEXPIRIES=2
 */
bit fin[2];   /* of a line */
bit dead[2];  /* ... in the same word */
bit ring[2];  /* of a worker: the connection is reported */
bit burst[2]; /* a worker is in one */
bit ended;    /* for good */

#define closing(l) (fin[l] || dead[l])

/* see_flags(): one line decides for both directions who reports. */
inline see_fin()
{
#ifdef FAULT_OWN_LINE_FIRST
	atomic { w_before = closing(me); fin[me] = 1 };
	atomic { w_before = w_before || closing(1 - me); fin[1 - me] = 1 };
#else
#ifdef FAULT_BIT_LOST
	atomic { w_before = closing(0); w_dead = dead[0] };
	atomic { fin[0] = 1; dead[0] = w_dead };
#else
	atomic { w_before = closing(0); fin[0] = 1 };
#endif
	fin[1] = 1;
#endif
	if
	:: !w_before -> ring[me] = 1
	:: else
	fi
}

/* act() looks at the line of its direction only; what is closing passes unseen. */
proctype worker(byte me)
{
	bit w_before, w_dead;

	burst[me] = 1;
	if
	:: !closing(me) -> see_fin()
	:: else
	fi;
	burst[me] = 0
}

#define saw_fin (fin[0] || fin[1])

/* fo__settle(): ends what has a closing bit. */
inline settle()
{
	if
	:: fin[0] -> ended = 1
	:: else ->
		if
		:: fin[1] -> ended = 1 /* unreached: line 0 has it first */
		:: else
		fi
	fi
}

/* fo__conn_revive() */
inline revive()
{
	dead[0] = 0;
	dead[1] = 0
}

proctype control()
{
	byte expiries;
	bit drain;

	do
	/* take_reports() */
	:: ring[0] && !drain ->
		ring[0] = 0;
		settle()
	:: ring[1] && !drain ->
		ring[1] = 0;
		settle()
	/* idle: fo__conn_close() */
	:: !drain && !ended && expiries < EXPIRIES ->
		expiries++;
		dead[0] = 1;
		dead[1] = 1;
		drain = 1
	/* grace period over: it was idle, or a packet was counted and it lives on */
	:: drain && !burst[0] && !burst[1] ->
		drain = 0;
		assert(dead[0] && dead[1]);
		if
		:: skip;
		   ended = 1
#ifdef FAULT_REVIVED_UNSEEN
		:: skip;
		   revive()
#else
		:: skip;
		   settle();
		   if
		   :: !ended -> revive()
		   :: else
		   fi
#endif
		fi
	:: timeout -> break
	od;
	assert(fin[0] == fin[1]);
	assert(ended || !saw_fin);
#ifdef REACH_QUIET
	assert(saw_fin);
#endif
#ifdef REACH_REPORTED
	assert(!ended || expiries)
#endif
}

init {
	atomic {
		run control();
		run worker(0);
		run worker(1)
	}
}
