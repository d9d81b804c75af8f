/* SPDX-License-Identifier: BSD-2-Clause */
/* connection.c - slots: taken, filled in, published, ended, reused. See flowtable.h for their life. */
#include "flowtable/lists.h"
#include "flowtable/steps.h"

#include <errno.h>
#include <limits.h>

/* What one add takes back of the slots that waited for workers. */
#define RECLAIM_SLOTS 16u

static struct fo__links slot_links(struct fo_flowtable *table)
{
	return (struct fo__links){&table->cold[0].next, sizeof(struct fo__cold)};
}

static int slot_take(struct fo_flowtable *table, uint32_t *out)
{
	/* What is closing holds its place until its event is delivered. */
	if (table->living + table->closing >= table->capacity)
		return table->living >= table->capacity ? -ENOSPC : -EAGAIN;
	/* Slots used before, some at a time, and only then fresh ones. */
	if (!table->free.count)
		(void)fo__reclaim_slots(table, RECLAIM_SLOTS);
	*out = fo__list_pop(&table->free, slot_links(table));
	if (*out != FO__LIST_END)
		return 0;
	if (table->high == table->slots)
		return -EAGAIN;
	*out = table->high++;
	return 0;
}

static uint32_t port_pair(uint16_t first_be, uint16_t second_be)
{
	uint16_t pair[2] = {first_be, second_be};

	return fo__load32(pair);
}

/* What the checksums of the first direction gain, and how many 16-bit words of it change. The other direction changes
 * the same words back: ~b + a is 0x1fffe less ~a + b. */
struct change {
	uint32_t sum;
	uint32_t words;
};

static inline void change16(struct change *change, uint16_t from, uint16_t to)
{
	change->sum += fo__csum_change(from, to);
	change->words += from != to;
}

static inline void change_bytes(struct change *change, const uint8_t *from, const uint8_t *to,
				unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i += 2)
		change16(change, fo__load16(from + i), fo__load16(to + i));
}

static void change_address(struct change *change, const uint8_t *from, const uint8_t *to, int v6)
{
	if (v6)
		change_bytes(change, from, to, 16);
	else
		change_bytes(change, from, to, 4);
}

static inline uint16_t delta_of(struct change change, unsigned int dir)
{
	return fo__csum_fold(dir ? change.words * 0x1fffeu - change.sum : change.sum);
}

/* How the packets of both directions change. */
struct changes {
	uint32_t ports[2], new_ports[2];
	struct change addresses;
	struct change l4; /* ports or identifier, and the addresses where the protocol has a pseudo header */
};

/* What leaves is the mirror of the other direction's tuple. An ICMP echo keeps its type; its identifier is the reply's. */
static void changes_of(const struct fo_tuple tuple[2], struct changes *changes)
{
	int icmp = tuple->proto == 1 || tuple->proto == 58, v6 = tuple->family == FO_FAMILY_IPV6;

	memset(changes, 0, sizeof(*changes));
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo_tuple *in = &tuple[dir], *other = &tuple[1 - dir];

		changes->ports[dir] = port_pair(in->sport_be, in->dport_be);
		changes->new_ports[dir] = icmp ? port_pair(other->sport_be, in->dport_be)
					       : port_pair(other->dport_be, other->sport_be);
	}
	/* Most connections change one end or none. */
	if (memcmp(tuple[0].src, tuple[1].dst, 16))
		change_address(&changes->addresses, tuple[0].src, tuple[1].dst, v6);
	if (memcmp(tuple[0].dst, tuple[1].src, 16))
		change_address(&changes->addresses, tuple[0].dst, tuple[1].src, v6);
	if (tuple->proto != 1)
		changes->l4 = changes->addresses;
	change16(&changes->l4, (uint16_t)changes->ports[0], (uint16_t)changes->new_ports[0]);
	change16(&changes->l4, (uint16_t)(changes->ports[0] >> 16), (uint16_t)(changes->new_ports[0] >> 16));
}

static inline void line_fill(struct fo__line *line, const struct fo__conn_spec *spec, unsigned int dir,
			     const struct changes *changes)
{
	const struct fo_tuple *tuple = &spec->flow->tuple[dir], *other = &spec->flow->tuple[1 - dir];
	uint32_t ctl = spec->inactive ? FO__CTL_INACTIVE : 0;
	uint8_t code = tuple->proto;

	if (changes->addresses.words | changes->l4.words)
		ctl |= FO__CTL_NAT;
	line->ports = changes->ports[dir];
	if (tuple->family == FO_FAMILY_IPV6) {
		code |= FO__CODE_V6;
		memcpy(line->key.v6.src, tuple->src, 16);
		memcpy(line->key.v6.dst, tuple->dst, 16);
	} else {
		line->key.v4.src = fo__load32(tuple->src);
		line->key.v4.dst = fo__load32(tuple->dst);
		line->key.v4.new_src = fo__load32(other->dst);
		line->key.v4.new_dst = fo__load32(other->src);
		line->key.v4.new_ports = changes->new_ports[dir];
		line->key.v4.address_delta = delta_of(changes->addresses, dir);
		line->key.v4.ip_delta = fo__csum_fold(delta_of(changes->addresses, dir) + FO__CSUM_TTL);
	}
	fo__store_relaxed(&line->meta, spec->in[dir] << 8 | code);
	fo__store_relaxed(&line->out, spec->in[1 - dir] << 8 | spec->flow->dscp[dir]);
	fo__store_relaxed(&line->ctl, (uint32_t)delta_of(changes->l4, dir) << 16 | ctl);
	fo__count_set(&line->bytes, 0);
	fo__store_relaxed(&line->packets, 0);
	fo__store_relaxed(&line->last_ms, spec->now_ms);
}

static void cold_fill(struct fo_flowtable *table, struct fo__cold *cold, const struct fo__conn_spec *spec,
		      uint32_t generation)
{
	uint32_t timeout_ms = spec->flow->timeout_ms;

	memset(cold, 0, sizeof(*cold));
	cold->generation = generation;
	fo__cold_set_user(cold, spec->flow->user);
	fo__store_relaxed(&cold->tag, spec->flow->tag);
	cold->mark = spec->flow->ct_mark;
	cold->timeout_ms = timeout_ms;
	cold->since_ms = spec->now_ms;
	cold->look_ms = spec->now_ms + (timeout_ms < FO__LOOK_MOST_MS ? timeout_ms : FO__LOOK_MOST_MS);
	if (table->shared)
		memset(&table->shared[cold - table->cold], 0, sizeof(*table->shared));
}

static void fill(struct fo_flowtable *table, uint32_t conn, const struct fo__conn_spec *spec,
		 uint32_t generation)
{
	struct changes changes;

	changes_of(spec->flow->tuple, &changes);
	line_fill(&table->lines[conn * 2], spec, 0, &changes);
	line_fill(&table->lines[conn * 2 + 1], spec, 1, &changes);
	fo__side_ref(table, spec->in[0]);
	fo__side_ref(table, spec->in[1]);
	cold_fill(table, &table->cold[conn], spec, generation);
	fo__step(FO__STEP_FILLED);
}

int fo__conn_prepare(struct fo_flowtable *table, const struct fo__conn_spec *spec, uint32_t *out)
{
	uint32_t conn;
	int err = slot_take(table, &conn);

	if (err)
		return err;
	if (!++table->generation)
		table->generation = 1;
	fill(table, conn, spec, table->generation);
	*out = conn;
	return 0;
}

int fo__conn_restore(struct fo_flowtable *table, const struct fo__conn_spec *spec, uint32_t conn,
		     uint32_t generation)
{
	if (conn < table->high)
		return -EEXIST;
	if (conn >= table->slots || table->living >= table->capacity)
		return -ENOSPC;
	/* Those left out are free. */
	while (table->high < conn)
		fo__list_append(&table->free, slot_links(table), table->high++);
	table->high++;
	fill(table, conn, spec, generation);
	if (generation > table->generation)
		table->generation = generation;
	return 0;
}

/* Both indexes, the older one first. */
static inline void indexes(const struct fo_flowtable *table, struct fo__index *index[2])
{
	index[0] = fo__load_relaxed(&table->cur);
	index[1] = fo__load_relaxed(&table->next);
}

/* Ask for the buckets that a hash leads to in each index. */
static inline void ask_for_homes(struct fo__index *const index[2], const uint64_t hash[2])
{
	__builtin_prefetch(&index[0]->buckets[fo__index_home(index[0]->count, hash[0])], 1, 3);
	if (index[1])
		__builtin_prefetch(&index[1]->buckets[fo__index_home(index[1]->count, hash[1])], 1, 3);
}

/* New keys go to the index that the others are being moved to. Should that one be crowded, the old one serves as well:
 * it is searched as long as it is there, and left when it is empty. */
static inline int link_line(struct fo__index *const index[2], const uint64_t hash[2], uint32_t dir)
{
	if (index[1] && !fo__index_insert(index[1], hash[1], dir))
		return 0;
	return fo__index_insert(index[0], hash[0], dir);
}

static void unlink_line(struct fo__index *const index[2], const uint64_t hash[2], uint32_t dir)
{
	for (unsigned int i = 0; i < 2; i++)
		if (index[i] && !fo__index_remove(index[i], hash[i], dir))
			return;
}

static void hash_line(const struct fo_flowtable *table, struct fo__index *const index[2], uint64_t hash[2],
		      uint32_t dir)
{
	struct fo__key key;

	fo__key_of_line(&key, &table->lines[dir], fo__conn_scope(table, dir >> 1));
	hash[0] = fo__key_hash(&key, &index[0]->secret);
	if (index[1])
		hash[1] = fo__key_hash(&key, &index[1]->secret);
}

static inline int publish(struct fo_flowtable *table, uint32_t conn, struct fo__index *const index[2],
			  const uint64_t first[2], const uint64_t second[2])
{
	int err = link_line(index, first, conn * 2);

	if (!err) {
		err = link_line(index, second, conn * 2 + 1);
		if (err)
			unlink_line(index, first, conn * 2);
	}
	if (err) {
		table->crowded = 1;
		return err;
	}
	table->cold[conn].life = FO__LIFE_LIVE;
	table->living++;
	return 0;
}

int fo__conn_publish(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__index *index[2];
	uint64_t hash[2][2];

	indexes(table, index);
	hash_line(table, index, hash[0], conn * 2);
	hash_line(table, index, hash[1], conn * 2 + 1);
	return publish(table, conn, index, hash[0], hash[1]);
}

int fo__conn_publish_as(struct fo_flowtable *table, uint32_t conn, const struct fo__search *search)
{
	struct fo__index *index[2];

	indexes(table, index);
	return publish(table, conn, index, search[0].hash, search[1].hash);
}

void fo__conn_abandon(struct fo_flowtable *table, uint32_t conn)
{
	fo__conn_retire(table, conn);
}

uint32_t fo__conn_of(const struct fo_flowtable *table, fo_flow_id id)
{
	uint32_t conn = (uint32_t)id;
	const struct fo__cold *cold;

	if (conn >= table->high)
		return FO__NO_SLOT;
	cold = &table->cold[conn];
	if (cold->generation != id >> 32 || cold->life == FO__LIFE_FREE || cold->life == FO__LIFE_RETIRED)
		return FO__NO_SLOT;
	return conn;
}

void fo__conn_close(struct fo_flowtable *table, uint32_t conn, unsigned int reason)
{
	fo__twins_end(table, conn);
	for (unsigned int dir = 0; dir < 2; dir++) {
		atomic_fetch_or_explicit(&table->lines[conn * 2 + dir].ctl, FO__CTL_DEAD,
					 memory_order_release);
		fo__step(FO__STEP_CLOSED);
	}
	table->cold[conn].life = FO__LIFE_DRAIN;
	table->cold[conn].reason = (uint8_t)reason;
	table->living--;
	table->closing++;
}

int fo__conn_drain(struct fo_flowtable *table, uint32_t conn)
{
	uint32_t stamp = fo__stamp(table);

	if (fo__grace_over(table, stamp))
		return 1;
	fo__list_append(&table->drain, slot_links(table), conn);
	fo__batch_add(&table->drain_grace, stamp);
	return 0;
}

void fo__conn_revive(struct fo_flowtable *table, uint32_t conn, uint32_t now_ms)
{
	table->cold[conn].life = FO__LIFE_LIVE;
	table->cold[conn].reason = FO_R_NONE;
	table->cold[conn].look_ms = now_ms;
	table->living++;
	table->closing--;
	fo__twins_revive(table, conn);
	for (unsigned int dir = 0; dir < 2; dir++)
		atomic_fetch_and_explicit(&table->lines[conn * 2 + dir].ctl, ~FO__CTL_DEAD,
					  memory_order_release);
}

int fo__drained_ready(const struct fo_flowtable *table)
{
	return table->drain_grace.used &&
	       fo__grace_over(table, table->drain_grace.stamp[table->drain_grace.first]);
}

uint32_t fo__drained(struct fo_flowtable *table)
{
	return fo__batch_pop(table, &table->drain_grace, &table->drain, slot_links(table));
}

void fo__conn_await(struct fo_flowtable *table, uint32_t conn)
{
	table->cold[conn].life = FO__LIFE_ENDED;
	fo__list_append(&table->ended, slot_links(table), conn);
}

uint32_t fo__awaiting(struct fo_flowtable *table)
{
	return fo__list_pop(&table->ended, slot_links(table));
}

void fo__conn_unlink(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__index *index[2];
	uint64_t hash[2][2];

	fo__twins_leave(table, conn);
	indexes(table, index);
	for (unsigned int dir = 0; dir < 2; dir++) {
		hash_line(table, index, hash[dir], conn * 2 + dir);
		ask_for_homes(index, hash[dir]);
	}
	for (unsigned int dir = 0; dir < 2; dir++)
		unlink_line(index, hash[dir], conn * 2 + dir);
}

void fo__conn_retire(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__cold *cold = &table->cold[conn];

	if (cold->life == FO__LIFE_DRAIN || cold->life == FO__LIFE_ENDED)
		table->closing--;
	cold->life = FO__LIFE_RETIRED;
	fo__conn_forget_wraps(table, conn);
	/* Who still holds the line finds the side dead at worst: its number waits for a grace period of its own. */
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__side_unref(table, fo__meta_side(fo__load_relaxed(&table->lines[conn * 2 + dir].meta)));
	fo__list_append(&table->retired, slot_links(table), conn);
	fo__batch_add(&table->retired_grace, fo__stamp(table));
}

static void slot_release(struct fo_flowtable *table, uint32_t conn)
{
	table->cold[conn].life = FO__LIFE_FREE;
	fo__list_push(&table->free, slot_links(table), conn);
	fo__step(FO__STEP_REUSED);
}

unsigned int fo__reclaim_slots(struct fo_flowtable *table, unsigned int n)
{
	struct fo__progress progress;
	unsigned int freed;

	if (!table->retired_grace.used)
		return 0;
	progress = fo__progress(table);
	for (freed = 0; freed < n; freed++) {
		uint32_t conn =
			fo__batch_pop_by(progress, &table->retired_grace, &table->retired, slot_links(table));

		if (conn == FO__LIST_END)
			break;
		slot_release(table, conn);
	}
	return freed;
}

int fo__reclaim_some(struct fo_flowtable *table, unsigned int n)
{
	int more = fo__reclaim_slots(table, n) == n;

	more |= fo__entries_reclaim(table, n) == n;
	(void)fo__deferred_free(table);
	return more;
}

uint32_t fo__reclaim(struct fo_flowtable *table)
{
	(void)fo__reclaim_slots(table, UINT_MAX);
	(void)fo__entries_reclaim(table, UINT_MAX);
	return table->retired.count + table->entry_retired.count + fo__deferred_free(table);
}

/* ---- search and reading back ---- */

uint16_t fo__conn_scope(const struct fo_flowtable *table, uint32_t conn)
{
	return table->sides[fo__meta_side(fo__load_relaxed(&table->lines[conn * 2].meta))].scope;
}

void fo__conn_tuple(const struct fo_flowtable *table, uint32_t conn, enum fo_dir dir, struct fo_tuple *out)
{
	const struct fo__line *line = &table->lines[conn * 2 + (uint32_t)dir];
	uint8_t code = fo__meta_code(fo__load_relaxed(&line->meta));

	memset(out, 0, sizeof(*out));
	memcpy(&out->sport_be, &line->ports, 2);
	memcpy(&out->dport_be, (const uint8_t *)&line->ports + 2, 2);
	out->proto = code & (uint8_t)~FO__CODE_V6;
	if (code & FO__CODE_V6) {
		out->family = FO_FAMILY_IPV6;
		memcpy(out->src, line->key.v6.src, 16);
		memcpy(out->dst, line->key.v6.dst, 16);
	} else {
		out->family = FO_FAMILY_IPV4;
		memcpy(out->src, &line->key.v4.src, 4);
		memcpy(out->dst, &line->key.v4.dst, 4);
	}
}

void fo__search_begin(const struct fo_flowtable *table, struct fo__search *search,
		      const struct fo_tuple *tuple, uint16_t scope)
{
	struct fo__index *index[2];

	indexes(table, index);
	fo__key_of_tuple(&search->key, tuple, scope);
	search->hash[0] = fo__key_hash(&search->key, &index[0]->secret);
	if (index[1])
		search->hash[1] = fo__key_hash(&search->key, &index[1]->secret);
	ask_for_homes(index, search->hash);
	search->serial = table->index_serial;
	search->twins = 0;
	search->which = 0;
	search->at = 0;
}

uint32_t fo__search_next(const struct fo_flowtable *table, struct fo__search *search)
{
	struct fo__index *index[2];
	uint32_t dir;

	indexes(table, index);
	for (; search->which < 2 && index[search->which]; search->which++, search->at = 0) {
		const struct fo__index *here = index[search->which];

		while ((dir = fo__index_next(here, search->hash[search->which], &search->at)) != FO__NO_DIR)
			if (fo__key_is(&search->key, &table->lines[dir]) &&
			    fo__conn_scope(table, dir >> 1) == search->key.scope)
				return dir;
	}
	return FO__NO_DIR;
}
