/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - what the filters of flows counted, read in passes over all ports and priorities, a datagram at a time. See
 * state.h.
 *
 * A terse dump tells no time of the last use: a flow lives as long as its counters move. A pass shows as well which filters
 * somebody else has removed, or a driver has dropped from its hardware.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <time.h>

/* Flows asked for between two looks at the clock. */
#define CHECKS_MOST 16u

uint64_t fo__tc_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- Counters ---- */

void fo__tc_count(struct fo__tc *tc, uint32_t slot, unsigned int dir, const struct fo__tc_seen *seen)
{
	struct fo__tc_record *record = &tc->records[slot];
	uint32_t packets = (uint32_t)seen->packets - record->packets[dir];
	uint64_t bytes = seen->bytes - record->bytes[dir], overhead;

	/* The kernel's totals never go back: a dump under way may show what was before the last reading. */
	if (!seen->counted || (int32_t)packets < 0 || seen->bytes < record->bytes[dir])
		return;
	record->packets[dir] = (uint32_t)seen->packets;
	record->bytes[dir] = seen->bytes;
	overhead = (uint64_t)packets * record->overhead[dir];
	bytes = bytes > overhead ? bytes - overhead : 0;
	record->owed_packets[dir] += packets;
	record->owed_bytes[dir] += bytes;
	record->kept[dir].packets += packets;
	record->kept[dir].bytes += bytes;
	record->seen_packets += packets;
}

void fo__tc_report(struct fo__tc *tc, uint32_t slot)
{
	struct fo__tc_record *record = &tc->records[slot];

	for (unsigned int dir = 0; dir < 2; dir++) {
		if (!record->owed_packets[dir])
			continue;
		tc->ops->count(tc->host, record->cookie, (enum fo_dir)dir, record->owed_packets[dir],
			       record->owed_bytes[dir], 0);
		record->owed_packets[dir] = 0;
		record->owed_bytes[dir] = 0;
	}
}

/* ---- One flow ---- */

struct asking {
	struct fo__tc *tc;
	uint32_t slot, first_seq;
	uint8_t gone, left_hw;
};

static int told(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct asking *asking = arg;
	struct fo__tc_record *record = &asking->tc->records[asking->slot];
	unsigned int dir = seq - asking->first_seq;
	struct fo__tc_seen seen;

	if (dir > 1)
		return 0;
	if (!nlh) {
		/* Not even its priority is there, or its qdisc. */
		asking->gone |= error == ENOENT || error == EINVAL || error == ENODEV;
		return 0;
	}
	if (fo__tc_read(nlh, &seen))
		return 0;
	if (!seen.ours || seen.cookie.flow != record->cookie) {
		asking->gone = 1;
		return 0;
	}
	asking->left_hw |= !seen.in_hw;
	fo__tc_count(asking->tc, asking->slot, dir, &seen);
	return 0;
}

/* 0; -ENOENT one of its filters is gone or has left the hardware; -errno. */
static int ask(struct fo__tc *tc, uint32_t slot)
{
	const struct fo__tc_record *record = &tc->records[slot];
	struct asking asking = {.tc = tc, .slot = slot};
	struct fo__nl_answer answer = {.error = 0};
	struct fo__tx tx;
	int rc;

	fo__tx_begin(&tx, tc->tx, FO__TC_TX_ROOM, tc->set.seq);
	asking.first_seq = tx.first_seq;
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__tc_put_get(tc, &tx, 0, &tc->ports[record->port[dir]], record->prio[dir],
			       fo__tc_handle(slot, dir));
	rc = fo__nl_talk(&tc->set, &tx, told, &asking, &answer);
	if (asking.gone || (asking.left_hw && tc->own.mode == FO_TC_HARDWARE))
		return -ENOENT;
	return rc;
}

int fo__tc_flow_stats(struct fo__tc *tc, uint32_t slot)
{
	int rc = ask(tc, slot);

	fo__tc_report(tc, slot);
	return rc;
}

/* ---- A pass over all of them ---- */

static int shown(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct fo__tc *tc = arg;
	struct fo__tc_record *record;
	struct fo__tc_seen seen;
	uint32_t slot;
	unsigned int dir;
	int rc = fo__tc_read(nlh, &seen);

	(void)seq;
	(void)error;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	slot = (seen.handle - 1) / 2;
	dir = (seen.handle - 1) & 1;
	if (!seen.ours || seen.cookie.kind != FO__TC_OF_FLOW)
		return 0;
	record = fo__tc_record(tc, seen.cookie.flow, slot);
	if (!record || !record->there[dir] || seen.cookie.turn != record->turn[dir])
		return 0;
	/* One that is not in hardware any more is as good as gone: the check finds it. */
	if (seen.in_hw || tc->own.mode == FO_TC_SOFTWARE)
		record->seen[dir] = tc->pass;
	fo__tc_count(tc, slot, dir, &seen);
	fo__tc_report(tc, slot);
	return 0;
}

/* The next port and priority, or the end of the dumps. */
static void advance(struct fo__tc *tc)
{
	if (++tc->pass_prio < FO__TC_PRIOS)
		return;
	tc->pass_prio = FO__TC_FLOW_V4;
	do
		tc->pass_port++;
	while (tc->pass_port < FO__TC_PORTS && !fo__tc_port_shows(tc, tc->pass_port));
}

static void rest(struct fo__tc *tc)
{
	uint64_t now = fo__tc_now(tc), pause = 4 * (now - tc->pass_began_ms);

	if (pause < FO__TC_PASS_MS)
		pause = FO__TC_PASS_MS;
	if (pause > FO__TC_PASS_MOST_MS)
		pause = FO__TC_PASS_MOST_MS;
	tc->passing = tc->dumping = tc->checking = 0;
	tc->next_pass_ms = now + pause;
}

static void begin(struct fo__tc *tc)
{
	tc->pass = (uint8_t)(tc->pass == UINT8_MAX ? 1 : tc->pass + 1);
	tc->passing = 1;
	tc->dumping = tc->checking = 0;
	tc->pass_began_ms = fo__tc_now(tc);
	tc->pass_prio = FO__TC_FLOW_V4;
	tc->pass_port = 0;
	if (!fo__tc_port_shows(tc, 0)) {
		tc->pass_prio = FO__TC_PRIOS - 1;
		advance(tc);
	}
}

static int dump_begin(struct fo__tc *tc)
{
	uint8_t buffer[128] __attribute__((aligned(4)));
	struct fo__tx tx;

	fo__tx_begin(&tx, buffer, sizeof(buffer), tc->dump.seq);
	fo__tc_put_get(tc, &tx, NLM_F_DUMP, &tc->ports[tc->pass_port], tc->pass_prio, 0);
	return fo__nl_dump_begin(&tc->dump, &tx);
}

static void step(struct fo__tc *tc)
{
	int rc;

	if (tc->pass_port >= FO__TC_PORTS) {
		tc->checking = 1;
		tc->check_at = 0;
		return;
	}
	if (!tc->dumping) {
		rc = dump_begin(tc);
		tc->dumping = !rc;
		/* Its device or qdisc is gone: the check finds what that means. */
		if (rc)
			advance(tc);
		return;
	}
	rc = fo__nl_dump_step(&tc->dump, shown, tc);
	if (rc == 1)
		return;
	tc->dumping = 0;
	advance(tc);
}

/* Those that the dumps did not show, one by one: they may have come after their place was passed. */
static void check(struct fo__tc *tc)
{
	unsigned int asked = 0;

	for (; tc->check_at < tc->high && asked < CHECKS_MOST; tc->check_at++) {
		uint32_t slot = tc->check_at;
		const struct fo__tc_record *record = &tc->records[slot];

		if (!record->cookie || record->life != FO__TC_LIVE || !record->there[0] ||
		    (record->seen[0] == tc->pass && record->seen[1] == tc->pass))
			continue;
		asked++;
		if (fo__tc_flow_stats(tc, slot) == -ENOENT)
			fo__tc_flow_end(tc, slot, FO_R_LOST);
	}
	if (tc->check_at >= tc->high)
		rest(tc);
}

void fo__tc_stats_poll(struct fo__tc *tc, uint64_t until_us)
{
	if (!tc->passing) {
		if (!tc->n_used || fo__tc_now(tc) < tc->next_pass_ms)
			return;
		begin(tc);
	}
	do {
		if (tc->checking)
			check(tc);
		else
			step(tc);
	} while (tc->passing && fo__tc_us() < until_us);
}
