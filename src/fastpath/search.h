/* SPDX-License-Identifier: BSD-2-Clause */
/* search.h - the whole look-up of one packet that the stages of find.h did not settle: another key with its tag, a twin
 * from another side, a key under way between buckets or indexes. index.h says what readers rely on. */
#ifndef FO_FASTPATH_SEARCH_H
#define FO_FASTPATH_SEARCH_H

#include "fastpath/burst.h"
#include "flowtable/steps.h"

struct fo__quest {
	const struct fo__key *key;
	const struct fo_packet *packet;
	const struct fo__parsed *parsed;
	uint16_t tag;
	uint32_t seen; /* a direction with this key, whatever its ingress */
};

static uint32_t fo__search_bucket(const struct fo__run *run, const struct fo__bucket *bucket,
				  struct fo__quest *quest)
{
	uint32_t match = fo__bucket_match(bucket, quest->tag);

	for (; match; match &= match - 1) {
		uint32_t dir = fo__load_acquire(&bucket->dir[__builtin_ctz(match)]);
		const struct fo__line *line = &run->table->lines[dir];
		uint32_t side = fo__meta_side(fo__load_acquire(&line->meta));
		const struct fo__side_view *view;

		fo__step(FO__STEP_TAGS);
		if (!fo__key_is(quest->key, line))
			continue;
		fo__step(FO__STEP_COMPARED);
		quest->seen = dir;
		view = fo__load_acquire(&run->table->view);
		if (fo__same_ingress(&view->entry[fo__load_acquire(&view->side[side])], quest->packet,
				     quest->parsed))
			return dir;
	}
	return FO__NO_DIR;
}

/* index.h: hints before and after the tags; the home bucket once more after the second. */
static uint32_t fo__search_index(const struct fo__run *run, const struct fo__index *index, uint64_t hash,
				 struct fo__quest *quest)
{
	const struct fo__bucket *home = &index->buckets[fo__index_home(index->count, hash)];
	uint32_t hints = fo__load_acquire(&home->meta), dir;

	fo__step(FO__STEP_HINTS);
	quest->tag = fo__index_tag(hash);
	dir = fo__search_bucket(run, home, quest);
	if (dir != FO__NO_DIR)
		return dir;
	hints |= fo__load_acquire(&home->meta);
	if (!(hints & fo__index_hint(hash)))
		return FO__NO_DIR;
	dir = fo__search_bucket(run, &index->buckets[fo__index_second(index->count, hash)], quest);
	fo__step(FO__STEP_MISSED);
	return dir != FO__NO_DIR ? dir : fo__search_bucket(run, home, quest);
}

static uint32_t fo__search_other(const struct fo__run *run, const struct fo__index *index,
				 struct fo__quest *quest)
{
	return fo__search_index(run, index, fo__key_hash(quest->key, &index->secret), quest);
}

/* The whole protocol, over both indexes. A direction in look->dir, or FO__NO_DIR with the reason. */
static __attribute__((noinline)) unsigned int
fo__search_all(const struct fo__run *run, const struct fo_packet *packet, struct fo__look *look)
{
	struct fo__quest quest = {&look->parsed.key, packet, &look->parsed, 0, FO__NO_DIR};
	const struct fo__index *next, *cur;
	int moved;

	fo__parsed_complete(&look->parsed, packet);
	look->dir = fo__search_index(run, run->cur, look->parsed.key.hash, &quest);
	if (look->dir != FO__NO_DIR)
		return FO_R_NONE;
	/* Keys may have moved since the burst began: next is loaded before cur. */
	next = fo__load_acquire(&run->table->next);
	cur = fo__load_acquire(&run->table->cur);
	if (cur != run->cur)
		look->dir = fo__search_other(run, cur, &quest);
	if (look->dir == FO__NO_DIR && next && next != cur)
		look->dir = fo__search_other(run, next, &quest);
	if (look->dir != FO__NO_DIR)
		return FO_R_NONE;
	/* A migration that ended or began meanwhile may have taken the key along; next before cur here, too. */
	if (quest.seen == FO__NO_DIR) {
		moved = fo__load_acquire(&run->table->next) != next;
		return moved || fo__load_acquire(&run->table->cur) != cur ? FO_R_BUSY : FO_R_NO_FLOW;
	}
	/* Known from elsewhere, or its side is dead and cannot tell. */
	look->dir = quest.seen;
	return FO_R_WRONG_INGRESS;
}

#endif
