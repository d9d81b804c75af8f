/* SPDX-License-Identifier: BSD-2-Clause */
/* workers.c - places of packet loops, grace periods over all of them, and memory that waits for one. */
#include "flowtable/flowtable.h"

#include <errno.h>

uint32_t fo__stamp(struct fo_flowtable *table)
{
	return fo__epoch_stamp(&table->epoch);
}

/* A place claimed after `worker_high` was loaded is one whose worker sees every change made before: see
 * docs/CONCURRENCY.md. */
struct fo__progress fo__progress(const struct fo_flowtable *table)
{
	uint32_t high = fo__load_seq(&table->worker_high);
	struct fo__progress progress = {0, fo__load_relaxed(&table->epoch), 0};

	for (uint32_t i = 0; i < high; i++) {
		uint32_t epoch = fo__load_seq(&table->workers[i].epoch);

		if (!epoch)
			continue;
		progress.inside = 1;
		if (progress.now - epoch > progress.age)
			progress.age = progress.now - epoch;
	}
	return progress;
}

int fo__grace_over(const struct fo_flowtable *table, uint32_t stamp)
{
	return fo__progress_past(fo__progress(table), stamp);
}

int fo__workers_online(const struct fo_flowtable *table)
{
	return fo__progress(table).inside;
}

static struct fo__deferred *free_place(struct fo_flowtable *table)
{
	for (unsigned int i = 0; i < FO__DEFERRED; i++)
		if (!table->deferred[i].ptr[0])
			return &table->deferred[i];
	return NULL;
}

int fo__defer_room(struct fo_flowtable *table)
{
	return free_place(table) != NULL;
}

int fo__defer(struct fo_flowtable *table, void *ptr0, size_t size0, void *ptr1, size_t size1)
{
	struct fo__deferred *place = free_place(table);

	if (!place)
		return -EAGAIN;
	place->ptr[0] = ptr0;
	place->size[0] = size0;
	place->ptr[1] = ptr1;
	place->size[1] = size1;
	place->stamp = fo__stamp(table);
	table->n_deferred++;
	return 0;
}

uint32_t fo__deferred_free(struct fo_flowtable *table)
{
	uint32_t waiting = 0;

	if (!table->n_deferred)
		return 0;
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
		table->n_deferred--;
	}
	return waiting;
}

static void note_high(struct fo_flowtable *table, uint32_t high)
{
	uint32_t known = fo__load_seq(&table->worker_high);

	while (known < high && !atomic_compare_exchange_weak(&table->worker_high, &known, high))
		;
}

int fo__worker_claim(struct fo_flowtable *table, uint32_t flags, struct fo_worker **out)
{
	for (uint32_t i = 0; i < table->max_workers; i++) {
		struct fo_worker *worker = &table->workers[i];
		uint32_t closed = 0;

		if (!atomic_compare_exchange_strong(&worker->open, &closed, 1))
			continue;
		worker->flags = flags;
		atomic_fetch_add(&table->refs, 1);
		note_high(table, i + 1);
		*out = worker;
		return 0;
	}
	return -ENOSPC;
}

void fo__worker_release(struct fo_worker *worker)
{
	struct fo_flowtable *table = worker->table;

	/* Of a thread that died in a burst nobody else would. */
	fo__epoch_leave(&worker->epoch);
	fo__store_release(&worker->open, 0);
	fo__store_close(table);
}

int fo__worker_reports(const struct fo_flowtable *table)
{
	for (uint32_t i = 0; i < fo__load_relaxed(&table->worker_high); i++)
		if (fo__load_relaxed(&table->workers[i].ring_tail) !=
		    fo__load_relaxed(&table->workers[i].ring_head))
			return 1;
	return 0;
}

int fo__worker_reports_lost(struct fo_flowtable *table)
{
	int lost = 0;

	for (uint32_t i = 0; i < fo__load_relaxed(&table->worker_high); i++)
		if (fo__load_relaxed(&table->workers[i].ring_lost))
			lost |= atomic_exchange_explicit(&table->workers[i].ring_lost, 0,
							 memory_order_acquire) != 0;
	return lost;
}

uint32_t fo__worker_reported(struct fo_flowtable *table)
{
	for (uint32_t i = 0; i < fo__load_relaxed(&table->worker_high); i++) {
		struct fo_worker *worker = &table->workers[i];
		uint32_t tail = fo__load_relaxed(&worker->ring_tail);

		if (tail != fo__load_acquire(&worker->ring_head)) {
			uint32_t conn = fo__load_relaxed(&worker->ring[tail % FO__RING]);
			fo__store_release(&worker->ring_tail, tail + 1);
			return conn;
		}
	}
	return FO__NO_SLOT;
}
