/* SPDX-License-Identifier: BSD-2-Clause */
/* cases.h - what a case of the schedules consists of. */
#ifndef SCHEDULES_CASES_H
#define SCHEDULES_CASES_H

#include "world.h"

/* What the worker sends at. */
struct target {
	uint32_t connection;
	unsigned int dir;
	uint32_t life; /* whose addresses a reply is sent to */
	uint32_t far;  /* by which a reply arrives */
	uint8_t tcp_flags;
	uint32_t before; /* aim(): position of its entry before the change */
};

struct schedule_case {
	const char *name;
	void (*prepare)(struct world *w);
	void (*change)(struct world *w);
	/* Called before and after a change that nobody disturbs: choose the target; false: not with these secrets. */
	bool (*aim)(struct world *w, struct target *target, bool after);
	unsigned int directions; /* bit 0: original, bit 1: reply */
	unsigned int bursts;
	bool must_find;
	uint8_t first_flags;   /* TCP flags of the first packet; 0: ACK */
	uint32_t more_buckets; /* than two */
	uint32_t fillers;      /* flows without packets that may be added */
};

extern const struct schedule_case schedule_cases[];
extern const unsigned int schedule_case_count;

#endif
