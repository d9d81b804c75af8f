/* SPDX-License-Identifier: BSD-2-Clause */
/* connection.c - slots: taken, filled in, published, ended, reused. See flowtable.h for their life. */
#include "flowtable/lists.h"
#include "flowtable/steps.h"

#include <errno.h>

static struct fo__links slot_links(struct fo_flowtable *table)
{
	return (struct fo__links){&table->cold[0].next, sizeof(struct fo__cold)};
}

static int slot_take(struct fo_flowtable *table, uint32_t *out)
{
	/* What is closing holds its place until its event is delivered. */
	if (table->living + table->closing >= table->capacity)
		return table->living >= table->capacity ? -ENOSPC : -EAGAIN;
	if (!table->free.count && table->high == table->slots)
		(void)fo__reclaim(table);
	*out = fo__list_pop(&table->free, slot_links(table));
	if (*out != FO__LIST_END)
		return 0;
	if (table->high == table->slots)
		return -EAGAIN;
	*out = table->high++;
	return 0;
}

static uint32_t raw_ports(const struct fo_tuple *tuple)
{
	uint32_t ports;

	memcpy(&ports, &tuple->sport_be, 2);
	memcpy((uint8_t *)&ports + 2, &tuple->dport_be, 2);
	return ports;
}

/* What leaves: the mirror of the other direction's tuple. An ICMP echo keeps its type; its identifier is the reply's. */
static uint32_t mirror_ports(const struct fo_tuple *tuple, const struct fo_tuple *other)
{
	int icmp = tuple->proto == 1 || tuple->proto == 58;
	struct fo_tuple mirror = {.sport_be = icmp ? other->sport_be : other->dport_be,
				  .dport_be = icmp ? tuple->dport_be : other->sport_be};

	return raw_ports(&mirror);
}

static uint32_t words_change(const uint8_t *from, const uint8_t *to, unsigned int bytes)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < bytes; i += 2)
		sum += fo__csum_change(fo__load16(from + i), fo__load16(to + i));
	return sum;
}

/* Deltas of one direction. L4: ports or identifier, and the addresses where the protocol has a pseudo header. */
static void line_deltas(const struct fo_tuple *tuple, const struct fo_tuple *other, uint32_t new_ports,
			uint16_t *address, uint16_t *l4)
{
	unsigned int bytes = tuple->family == FO_FAMILY_IPV6 ? 16 : 4;
	uint32_t ports = raw_ports(tuple);
	uint32_t changed =
		words_change(tuple->src, other->dst, bytes) + words_change(tuple->dst, other->src, bytes);
	uint32_t own = words_change((const uint8_t *)&ports, (const uint8_t *)&new_ports, 4);

	*address = fo__csum_fold(changed);
	*l4 = fo__csum_fold(own + (tuple->proto == 1 ? 0 : changed));
}

static void line_fill(struct fo__line *line, const struct fo__conn_spec *spec, unsigned int dir)
{
	const struct fo_tuple *tuple = &spec->flow->tuple[dir], *other = &spec->flow->tuple[1 - dir];
	uint32_t new_ports = mirror_ports(tuple, other), ctl = spec->inactive ? FO__CTL_INACTIVE : 0;
	uint8_t code = tuple->proto;
	uint16_t address, l4;

	line_deltas(tuple, other, new_ports, &address, &l4);
	line->ports = raw_ports(tuple);
	if (tuple->family == FO_FAMILY_IPV6) {
		code |= FO__CODE_V6;
		memcpy(line->key.v6.src, tuple->src, 16);
		memcpy(line->key.v6.dst, tuple->dst, 16);
	} else {
		line->key.v4.src = fo__load32(tuple->src);
		line->key.v4.dst = fo__load32(tuple->dst);
		line->key.v4.new_src = fo__load32(other->dst);
		line->key.v4.new_dst = fo__load32(other->src);
		line->key.v4.new_ports = new_ports;
		line->key.v4.address_delta = address;
	}
	if (line->ports != new_ports || memcmp(tuple->src, other->dst, 16) ||
	    memcmp(tuple->dst, other->src, 16))
		ctl |= FO__CTL_NAT;
	fo__store_relaxed(&line->meta, spec->in[dir] << 8 | code);
	fo__store_relaxed(&line->out, spec->in[1 - dir] << 8 | spec->flow->dscp[dir]);
	fo__store_relaxed(&line->ctl, (uint32_t)l4 << 16 | ctl);
	fo__count_set(&line->bytes, 0);
	fo__store_relaxed(&line->packets, 0);
	fo__store_relaxed(&line->last_ms, spec->now_ms);
}

static void cold_fill(struct fo_flowtable *table, struct fo__cold *cold, const struct fo__conn_spec *spec)
{
	if (!++table->generation)
		table->generation = 1;
	memset(cold, 0, sizeof(*cold));
	cold->generation = table->generation;
	cold->user = spec->flow->user;
	cold->tag = spec->flow->tag;
	cold->mark = spec->flow->ct_mark;
	cold->timeout_ms = spec->flow->timeout_ms;
	cold->since_ms = spec->now_ms;
}

int fo__conn_prepare(struct fo_flowtable *table, const struct fo__conn_spec *spec, uint32_t *out)
{
	uint32_t conn;
	int err = slot_take(table, &conn);

	if (err)
		return err;
	for (unsigned int dir = 0; dir < 2; dir++) {
		line_fill(&table->lines[conn * 2 + dir], spec, dir);
		fo__side_ref(table, spec->in[dir]);
	}
	cold_fill(table, &table->cold[conn], spec);
	fo__step(FO__STEP_FILLED);
	*out = conn;
	return 0;
}

static struct fo__index *newest(const struct fo_flowtable *table)
{
	struct fo__index *next = fo__load_relaxed(&table->next);

	return next ? next : fo__load_relaxed(&table->cur);
}

static int link_line(struct fo_flowtable *table, uint32_t dir)
{
	struct fo__index *index = newest(table);

	return fo__index_insert(index, index->rehash(table, &index->secret, dir), dir);
}

static void unlink_line(struct fo_flowtable *table, uint32_t dir)
{
	struct fo__index *index[2] = {fo__load_relaxed(&table->cur), fo__load_relaxed(&table->next)};

	for (unsigned int i = 0; i < 2; i++)
		if (index[i] &&
		    !fo__index_remove(index[i], index[i]->rehash(table, &index[i]->secret, dir), dir))
			return;
}

int fo__conn_publish(struct fo_flowtable *table, uint32_t conn)
{
	int err = link_line(table, conn * 2);

	if (!err) {
		err = link_line(table, conn * 2 + 1);
		if (err)
			unlink_line(table, conn * 2);
	}
	if (err) {
		table->crowded = 1;
		return err;
	}
	table->cold[conn].life = FO__LIFE_LIVE;
	table->living++;
	return 0;
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

void fo__conn_revive(struct fo_flowtable *table, uint32_t conn)
{
	table->cold[conn].life = FO__LIFE_LIVE;
	table->cold[conn].reason = FO_R_NONE;
	table->living++;
	table->closing--;
	for (unsigned int dir = 0; dir < 2; dir++)
		atomic_fetch_and_explicit(&table->lines[conn * 2 + dir].ctl, ~FO__CTL_DEAD,
					  memory_order_release);
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
	unlink_line(table, conn * 2);
	unlink_line(table, conn * 2 + 1);
}

void fo__conn_retire(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__cold *cold = &table->cold[conn];

	if (cold->life == FO__LIFE_DRAIN || cold->life == FO__LIFE_ENDED)
		table->closing--;
	cold->life = FO__LIFE_RETIRED;
	fo__list_append(&table->retired, slot_links(table), conn);
	fo__batch_add(&table->retired_grace, fo__stamp(table));
}

static void slot_release(struct fo_flowtable *table, uint32_t conn)
{
	for (unsigned int dir = 0; dir < 2; dir++)
		fo__side_unref(table, fo__meta_side(fo__load_relaxed(&table->lines[conn * 2 + dir].meta)));
	table->cold[conn].life = FO__LIFE_FREE;
	fo__list_push(&table->free, slot_links(table), conn);
	fo__step(FO__STEP_REUSED);
}

static uint32_t release_memory(struct fo_flowtable *table)
{
	uint32_t waiting = 0;

	for (unsigned int i = 0; i < FO__DEFERRED; i++) {
		struct fo__deferred *place = &table->deferred[i];

		if (!place->ptr[0])
			continue;
		if (!fo__grace_over(table, place->stamp)) {
			waiting++;
			continue;
		}
		fo__free(&table->memory, place->ptr[0], place->size[0]);
		fo__free(&table->memory, place->ptr[1], place->size[1]);
		place->ptr[0] = NULL;
	}
	return waiting;
}

uint32_t fo__reclaim(struct fo_flowtable *table)
{
	uint32_t conn;

	for (;;) {
		conn = fo__batch_pop(table, &table->retired_grace, &table->retired, slot_links(table));
		if (conn == FO__LIST_END)
			break;
		slot_release(table, conn);
	}
	return table->retired.count + fo__entries_reclaim(table) + release_memory(table);
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
	(void)table;
	fo__key_of_tuple(&search->key, tuple, scope);
	search->which = 0;
	search->at = 0;
}

uint32_t fo__search_next(const struct fo_flowtable *table, struct fo__search *search)
{
	const struct fo__index *index[2] = {fo__load_relaxed(&table->cur), fo__load_relaxed(&table->next)};

	for (; search->which < 2 && index[search->which]; search->which++, search->at = 0) {
		const struct fo__index *here = index[search->which];
		uint64_t hash = fo__key_hash(&search->key, &here->secret);
		uint32_t dir;

		while ((dir = fo__index_next(here, hash, &search->at)) != FO__NO_DIR)
			if (fo__key_is(&search->key, &table->lines[dir]) &&
			    fo__conn_scope(table, dir >> 1) == search->key.scope)
				return dir;
	}
	return FO__NO_DIR;
}
