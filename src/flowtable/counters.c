/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.c - what the lines of a connection have counted, read as 64-bit totals.
 *
 * The owner worker of a direction counts in the line (packets in 32 bits), every other worker in struct fo__shared.
 * Control counts the wraps of the 32-bit counters whenever it passes by; the sweep does so often enough. */
#include "flowtable/flowtable.h"

/* ---- counters that went round ---- */

static struct fo__wrapped **wrapped_at(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__wrapped **at = &table->wrapped[conn % FO__WRAPPED_HEADS];

	while (*at && (*at)->conn != conn)
		at = &(*at)->next;
	return at;
}

static uint32_t wraps_of(const struct fo_flowtable *table, uint32_t conn, unsigned int dir)
{
	const struct fo__wrapped *wrapped = NULL;

	if (!table->cold[conn].wrapped)
		return 0;
	for (wrapped = table->wrapped[conn % FO__WRAPPED_HEADS]; wrapped->conn != conn;)
		wrapped = wrapped->next;
	return wrapped->wraps[dir];
}

/* NULL without memory. */
static struct fo__wrapped *wrapped_make(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__wrapped **at = wrapped_at(table, conn);

	if (!*at) {
		*at = fo__alloc(&table->memory, sizeof(**at), 8);
		if (!*at)
			return NULL;
		(*at)->conn = conn;
		table->cold[conn].wrapped = 1;
	}
	return *at;
}

void fo__conn_forget_wraps(struct fo_flowtable *table, uint32_t conn)
{
	struct fo__wrapped **at, *wrapped;

	if (!table->cold[conn].wrapped)
		return;
	table->cold[conn].wrapped = 0;
	at = wrapped_at(table, conn);
	wrapped = *at;
	*at = wrapped->next;
	fo__free(&table->memory, wrapped, sizeof(*wrapped));
}

void fo__wraps_close(struct fo_flowtable *table)
{
	for (unsigned int i = 0; i < FO__WRAPPED_HEADS; i++)
		while (table->wrapped[i]) {
			struct fo__wrapped *wrapped = table->wrapped[i];

			table->wrapped[i] = wrapped->next;
			fo__free(&table->memory, wrapped, sizeof(*wrapped));
		}
}

/* Memory for the wrap is asked for when a counter is half way. Without any it is asked for again at every look, and until
 * then the missing wrap is read off the bit that stays set: 2^31 packets more would make it two. */
static void fold_one(struct fo_flowtable *table, uint32_t conn, unsigned int dir, uint8_t bit,
		     uint32_t packets)
{
	struct fo__cold *cold = &table->cold[conn];
	uint8_t top = packets >> 31 ? bit : 0;
	struct fo__wrapped *wrapped;

	if ((cold->flags & bit) == top)
		return;
	wrapped = wrapped_make(table, conn);
	if (!top && !wrapped)
		return;
	if (!top)
		wrapped->wraps[dir]++;
	cold->flags = (uint8_t)((cold->flags & ~bit) | top);
}

static uint32_t shared_packets(const struct fo_flowtable *table, uint32_t conn, unsigned int dir)
{
	return table->shared ? fo__load_relaxed(&table->shared[conn].packets[dir]) : 0;
}

void fo__conn_fold(struct fo_flowtable *table, uint32_t conn)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__line *line = &table->lines[conn * 2 + dir];

		fold_one(table, conn, dir, (uint8_t)(FO__COLD_TOP_OWNED << dir),
			 fo__load_relaxed(&line->packets));
		fold_one(table, conn, dir, (uint8_t)(FO__COLD_TOP_SHARED << dir),
			 shared_packets(table, conn, dir));
	}
}

/* A 32-bit time near now as a 64-bit one; a worker's clock may be a little ahead. */
static uint64_t widen(uint32_t then, uint64_t now)
{
	int64_t ago = (int32_t)((uint32_t)now - then);

	return ago > (int64_t)now ? 0 : (uint64_t)((int64_t)now - ago);
}

void fo__conn_counters(const struct fo_flowtable *table, uint32_t conn, uint64_t now_ms,
		       struct fo_flow_counters *out)
{
	const struct fo__cold *cold = &table->cold[conn];

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->flags = table->stats_flags | FO_STATS_PACKETS | FO_STATS_BYTES |
		     (cold->flags & FO__COLD_SILENT ? 0 : FO_STATS_LAST_SEEN);
	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo__line *line = &table->lines[conn * 2 + dir];
		uint32_t owned = fo__load_relaxed(&line->packets);
		uint32_t shared = shared_packets(table, conn, dir);
		uint32_t wraps = wraps_of(table, conn, dir);

		/* A wrap since the last fold counts as well. */
		wraps += (cold->flags & (FO__COLD_TOP_OWNED << dir)) && !(owned >> 31);
		wraps += (cold->flags & (FO__COLD_TOP_SHARED << dir)) && !(shared >> 31);
		out->packets[dir] = ((uint64_t)wraps << 32) + owned + shared;
		out->bytes[dir] = fo__count_read(&line->bytes);
		if (table->shared)
			out->bytes[dir] += fo__count_read(&table->shared[conn].bytes[dir]);
		out->last_seen_ms[dir] = widen(fo__load_relaxed(&line->last_ms), now_ms);
		if (fo__load_relaxed(&line->ctl) & FO__CTL_GRO)
			out->flags |= FO_STATS_GRO_AGGREGATED;
	}
}

void fo__conn_count(struct fo_flowtable *table, uint32_t conn, enum fo_dir dir, uint64_t packets,
		    uint64_t bytes)
{
	struct fo__line *line = &table->lines[conn * 2 + dir];
	uint64_t total = fo__load_relaxed(&line->packets) + packets;
	struct fo__wrapped *wrapped;

	fo__conn_fold(table, conn);
	fo__count_set(&line->bytes, fo__count_read(&line->bytes) + bytes);
	wrapped = total >> 32 ? wrapped_make(table, conn) : NULL;
	if (wrapped) {
		wrapped->wraps[dir] += (uint32_t)(total >> 32);
		/* The carry is counted: the next fold must not see it once more. */
		table->cold[conn].flags &= (uint8_t) ~(FO__COLD_TOP_OWNED << dir);
	}
	fo__store_relaxed(&line->packets, (uint32_t)total);
	fo__conn_fold(table, conn);
}

uint32_t fo__conn_idle(const struct fo_flowtable *table, uint32_t conn, uint32_t now_ms)
{
	int32_t first = (int32_t)(now_ms - fo__load_relaxed(&table->lines[conn * 2].last_ms));
	int32_t second = (int32_t)(now_ms - fo__load_relaxed(&table->lines[conn * 2 + 1].last_ms));
	int32_t idle = first < second ? first : second;

	return idle > 0 ? (uint32_t)idle : 0;
}
