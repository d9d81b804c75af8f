/* SPDX-License-Identifier: BSD-2-Clause */
/* find.h - the staged look-up: groups of packets through home buckets, tags and lines, each asked for a stage ahead.
 *
 * Each stage asks for the cache line that the next one needs, for a whole group: so lines arrive during the work on the
 * others, and no more are under way than a core keeps. A packet that is settled leaves its group at once; the last stage gets
 * the others in their order, so that what follows a FIN passes.
 *
 * What is looked up, and what becomes of it, is the caller's: run.c has packets, bench/ours.c has keys alone. burst.h has
 * what the stages hand on, search.h what they do not settle; index.h says what readers rely on.
 */
#ifndef FO_FASTPATH_FIND_H
#define FO_FASTPATH_FIND_H

#include "fastpath/search.h"

/* About as many lines as a core keeps under way. */
#define FO__GROUP 32u

/* Packets of a group that are not settled, in their order. */
struct fo__group {
	struct fo_packet *packets;
	uint32_t n;
	struct fo__look looks[FO__GROUP];
};

/* A caller's stages. fill and act are its own; tags and lines wrap fo__find_tags() and fo__find_lines(). */
struct fo__stages {
	/* soon n of these */
	void (*expect)(const struct fo_packet *packets, uint32_t n);
	/* keys into looks, each with fo__find_home() */
	void (*fill)(struct fo__run *run, struct fo__group *group, struct fo_packet *packets, uint32_t n);
	void (*tags)(struct fo__run *run, struct fo__group *group);
	void (*lines)(struct fo__run *run, struct fo__group *group);
	void (*act)(struct fo__run *run, struct fo__group *group);
};

/* The hash of its key is there: ask for its bucket. */
static inline void fo__find_home(const struct fo__index *cur, struct fo__look *look, uint32_t number)
{
	look->bucket = &cur->buckets[fo__index_home(cur->count, look->parsed.key.hash)];
	look->parsed.number = (uint8_t)number;
	__builtin_prefetch(look->bucket, 0, 3);
}

static inline void fo__find_line(const struct fo_flowtable *table, struct fo__look *look,
				 const struct fo__bucket *bucket, uint32_t match)
{
	size_t slot = (size_t)__builtin_ctz(match);

	look->dir = fo__load_acquire(&bucket->dir[slot]);
	fo__step(FO__STEP_TAGS);
	__builtin_prefetch(&table->lines[look->dir], 1, 3);
}

/* No second index, and the first is still the one this burst began with: what it has not, is not there. */
static inline int fo__find_is_settled(const struct fo__run *run)
{
	return !fo__load_acquire(&run->table->next) && fo__load_acquire(&run->table->cur) == run->cur;
}

/* Those in their second bucket, one in thirty: one wait for its line would cost as much as half a group. */
static inline void fo__find_away(const struct fo__run *run, struct fo__group *group)
{
	for (uint32_t i = 0; i < group->n; i++) {
		struct fo__look *look = &group->looks[i];
		uint32_t match;

		if (look->dir != FO__NO_DIR)
			continue;
		match = fo__bucket_match(look->bucket, fo__index_tag(look->parsed.key.hash));
		if (match)
			fo__find_line(run->table, look, look->bucket, match);
	}
}

/* No tag in the home bucket; hints are of before its tags. True when the packet is settled: a miss in one line. Else
 * look->bucket is the one to look at next. */
static inline int fo__find_elsewhere(const struct fo__run *run, struct fo__look *look, uint32_t hints)
{
	uint64_t hash = look->parsed.key.hash;

	hints |= fo__load_acquire(&look->bucket->meta);
	look->dir = FO__NO_DIR;
	if (!(hints & fo__index_hint(hash)))
		return fo__find_is_settled(run);
	look->bucket = &run->cur->buckets[fo__index_second(run->cur->count, hash)];
	__builtin_prefetch(look->bucket, 0, 3);
	return 0;
}

/* settle: nothing more is to be done for this packet, for this reason. */
static inline void fo__find_tags(struct fo__run *run, struct fo__group *group,
				 void (*settle)(struct fo__run *, struct fo_packet *, unsigned int))
{
	const struct fo_flowtable *table = run->table;
	struct fo__look *kept = group->looks, *end = kept + group->n;
	unsigned int away = 0;

	for (struct fo__look *look = kept; look < end; look++) {
		const struct fo__bucket *bucket = look->bucket;
		uint32_t match, hints = fo__load_acquire(&bucket->meta);

		fo__step(FO__STEP_HINTS);
		match = fo__bucket_match(bucket, fo__index_tag(look->parsed.key.hash));
		if (match) {
			fo__find_line(table, look, bucket, match);
		} else if (fo__find_elsewhere(run, look, hints)) {
			settle(run, &group->packets[look->parsed.number], FO_R_NO_FLOW);
			continue;
		} else {
			away = 1;
		}
		if (kept != look)
			*kept = *look;
		kept++;
	}
	group->n = (uint32_t)(kept - group->looks);
	if (away)
		fo__find_away(run, group);
}

/* found: the line of a key. */
static inline void fo__find_lines(struct fo__run *run, struct fo__group *group,
				  void (*settle)(struct fo__run *, struct fo_packet *, unsigned int),
				  void (*found)(struct fo__run *, struct fo__look *, const struct fo__line *))
{
	struct fo__look *kept = group->looks, *end = kept + group->n;
	struct fo__line *lines = run->table->lines;

	for (struct fo__look *look = kept; look < end; look++) {
		const struct fo__line *line = &lines[look->dir];

		if (__builtin_expect(look->dir == FO__NO_DIR || !fo__key_is(&look->parsed.key, line), 0)) {
			struct fo_packet *packet = &group->packets[look->parsed.number];
			unsigned int reason = fo__search_all(run, packet, look);

			/* fo__judge() tells one from elsewhere from a dead side */
			if (reason && reason != FO_R_WRONG_INGRESS) {
				settle(run, packet, reason);
				continue;
			}
			line = &lines[look->dir];
		}
		fo__step(FO__STEP_COMPARED);
		found(run, look, line);
		if (kept != look)
			*kept = *look;
		kept++;
	}
	group->n = (uint32_t)(kept - group->looks);
}

/* NAT66 takes the new addresses from the key of the mirror line: ask for it. */
static inline void fo__look_mirror(const struct fo__run *run, const struct fo__look *look,
				   const struct fo__line *line)
{
	if (fo__load_relaxed(&line->ctl) & FO__CTL_NAT)
		__builtin_prefetch(&run->table->lines[look->dir ^ 1], 0, 3);
}

/* The schedule: n packets, at least one. stages is a constant, so that nothing is called by pointer. */
static inline __attribute__((always_inline)) void
fo__find_burst(struct fo__run *run, struct fo_packet *packets, uint32_t n, const struct fo__stages *stages)
{
	struct fo__group group;

	run->cur = fo__load_acquire(&run->table->cur);
	for (uint32_t at = 0, size; at < n; at += size) {
		size = n - at < FO__GROUP ? n - at : FO__GROUP;
		stages->expect(packets + at, size);
		stages->fill(run, &group, packets + at, size);
		stages->tags(run, &group);
		stages->lines(run, &group);
		stages->act(run, &group);
	}
}

#endif
