/* SPDX-License-Identifier: BSD-2-Clause */
/* suite.h - what a case looks like and how it says that something is wrong.
 *
 * suite.c runs the cases, env.h gives them a table on a rig. Assertions leave the case at once,
 * with file, line and values; they must not be used inside a callback of the library (it must
 * not be left by longjmp): record there, and judge afterwards.
 * */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include "rig.h"

struct env;

struct suite_case {
	const char *name; /* what must hold, in words: passed_packet_is_not_modified */
	void (*run)(struct env *env);
	/* (may be NULL) change env->options before the table is created. */
	void (*prepare)(struct env *env);
	uint64_t needs;	       /* FO_CAP_ bits without which the case makes no sense on this backend */
	unsigned int features; /* RIG_ bits that it needs of the rig */
	unsigned int no_table; /* the case creates its tables itself */
};

/* One group of cases: a rule of the contract. Each cases_*.c exports one, suite.c lists them. */
struct suite_group {
	const char *name;
	const struct suite_case *cases;
	unsigned int n_cases;
};

#define SUITE_GROUP(var, title, table)                                                                       \
	const struct suite_group var = {                                                                     \
		.name = (title), .cases = (table), .n_cases = sizeof(table) / sizeof((table)[0])}

extern const struct suite_group group_bytes, group_nat, group_checksum, group_lengths, group_guards,
	group_malformed, group_ingress, group_add, group_duplicates, group_delete, group_counters, group_idle,
	group_full, group_walk, group_batch, group_devices, group_invalidate, group_update, group_closing,
	group_events, group_explain, group_honest, group_errors, group_states, group_late, group_worker,
	group_tables, group_adjacency, group_crash, group_random, group_faulty, group_forgetful;

/* Leave the case: it failed, or it cannot be run here. */
void suite_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
/* cap: name of the FO_CAP_ bit or rig feature that is missing; must_have: it should have been
 * there. */
void suite_skip(int must_have, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Words put before the message of a failure from here on ("vlan -> pppoe, udp"); NULL clears
 * them. */
void suite_context(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* In a process that the case forked: a failed assertion ends that process, with this status; a
 * skip with another. */
#define SUITE_CHILD_FAILED  99
#define SUITE_CHILD_SKIPPED 77
void suite_in_child(void);
/* printf("%s") of a frame's first bytes, for messages. Static memory. */
const char *suite_hex(const uint8_t *bytes, uint32_t len);

#define FAIL(...) suite_fail(__FILE__, __LINE__, __VA_ARGS__)
#define REQUIRE(cond)                                                                                        \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			FAIL("not true: %s", #cond);                                                         \
	} while (0)
#define REQUIRE_EQ(got, want)                                                                                \
	do {                                                                                                 \
		long long got_ = (long long)(got), want_ = (long long)(want);                                \
		if (got_ != want_)                                                                           \
			FAIL("%s is %lld, should be %s = %lld", #got, got_, #want, want_);                   \
	} while (0)

#endif /* CONFORMANCE_SUITE_H */
