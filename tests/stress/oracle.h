/* SPDX-License-Identifier: BSD-2-Clause */
/* oracle.h - who may still forward what: generations of connections, of their marking and of the far side, each with
 * its dates.
 *
 * Every generation writes its number into what a forwarded packet shows: a connection's into its NAT address, a
 * marking's into the DSCP, the far side's into the peer's MAC and its VLAN tag. So one packet tells which generations
 * it was made by, and whether those could be alive during the burst. Time is a counter that the control thread
 * advances by its actions:
 *   begin   taken before fo_flow_add(), fo_flow_update() or fo_adj_update() is called
 *   end     taken after the call that ended it had returned (or after its last event): no burst begun from then on
 *           may use it
 * A worker reads the time before and after a burst. Neighbours: control.c, worker.c, frames.c the bytes.
 */
#ifndef STRESS_ORACLE_H
#define STRESS_ORACLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flowoffload.h"

#define STRESS_CONNECTIONS 8u
#define STRESS_WORKERS_MAX 8u
#define STRESS_MARKINGS	   8u /* DSCP values of one life, one after the other */
#define STRESS_NO_END	   UINT32_MAX

struct dates {
	_Atomic uint32_t begin;
	_Atomic uint32_t end; /* STRESS_NO_END while alive */
};

/* One life of one connection; its number is its place in oracle.flows. */
struct flow_life {
	struct dates dates;
	_Atomic uint32_t n_markings;
	struct dates markings[STRESS_MARKINGS];
	uint32_t connection;
	bool finished;	     /* its final counters have come (control's) */
	uint64_t packets[2]; /* as they said */
	uint64_t bytes[2];
	fo_flow_id id;
};

struct oracle {
	_Atomic uint32_t now;
	uint32_t room; /* lives at most */
	_Atomic uint32_t n_flows;
	struct flow_life *flows;
	_Atomic uint32_t n_sides;
	struct dates *sides;
	_Atomic uint32_t current[STRESS_CONNECTIONS]; /* the youngest life of each, for workers to aim at */
};

void oracle_open(struct oracle *oracle, uint32_t lives);
void oracle_close(struct oracle *oracle);

/* The clock of table and workers: a fixed step of milliseconds with each step of the counter. */
#define ORACLE_MS_PER_TICK 40u
uint32_t oracle_ms(struct oracle *oracle);

/* Control: the counter one further. Returns the new time. */
uint32_t oracle_tick(struct oracle *oracle);
/* Control: a generation starts to exist. Returns its number. */
uint32_t oracle_new_flow(struct oracle *oracle, uint32_t connection);
uint32_t oracle_new_side(struct oracle *oracle);
/* STRESS_MARKINGS when the life has had them all. */
uint32_t oracle_new_marking(struct oracle *oracle, uint32_t life);
/* Control: from now on no burst may begin with it. */
void oracle_end(struct oracle *oracle, struct dates *dates);

/* Worker: could it be used by a burst that lasted from begin to end? */
bool oracle_could(const struct dates *dates, uint32_t begin, uint32_t end);

/* End the program: what, and the seed to repeat it with. */
_Noreturn void stress_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern uint64_t stress_seed;

/* splitmix64 */
uint64_t stress_random(uint64_t *state);
uint32_t stress_below(uint64_t *state, uint32_t n);

#endif
