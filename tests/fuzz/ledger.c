/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.c - the allocator hook of ledger.h: an unsorted array of blocks under a mutex; tests need no speed. */
#include "ledger.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEDGER_PATTERN	 0xa5
#define LEDGER_FILL_MAX	 ((size_t)1 << 20) /* larger blocks are address space, most of it never touched */
#define LEDGER_ALIGN_MAX ((size_t)2 << 20)

struct ledger_block {
	void *ptr;
	size_t size;
};

static void ledger_die(const char *what, const void *ptr, size_t size)
{
	fprintf(stderr, "allocator hook: %s (ptr %p, size %zu)\n", what, ptr, size);
	abort();
}

static void ledger_enter(struct ledger *ledger, void *ptr, size_t size)
{
	if (ledger->n_blocks == ledger->room) {
		size_t room = ledger->room != 0 ? 2 * ledger->room : 64;
		struct ledger_block *blocks = realloc(ledger->blocks, room * sizeof(*blocks));

		if (blocks == NULL)
			ledger_die("no memory for the books", NULL, room);
		ledger->blocks = blocks;
		ledger->room = room;
	}
	ledger->blocks[ledger->n_blocks].ptr = ptr;
	ledger->blocks[ledger->n_blocks].size = size;
	ledger->n_blocks++;
	ledger->bytes += size;
}

static bool ledger_refuses(struct ledger *ledger)
{
	if (ledger->fail_at == 0 || --ledger->fail_at != 0)
		return false;
	ledger->fired = true;
	return true;
}

static void *ledger_alloc(void *ctx, size_t size, size_t align)
{
	struct ledger *ledger = ctx;
	void *ptr = NULL;

	if (size == 0)
		ledger_die("size 0", NULL, size);
	if (align == 0 || (align & (align - 1)) != 0 || align > LEDGER_ALIGN_MAX)
		ledger_die("bad alignment", NULL, align);
	if (align < sizeof(void *))
		align = sizeof(void *);
	pthread_mutex_lock(&ledger->lock);
	if (!ledger_refuses(ledger)) {
		if (posix_memalign(&ptr, align, size) != 0)
			ledger_die("out of memory", NULL, size);
		memset(ptr, LEDGER_PATTERN, size <= LEDGER_FILL_MAX ? size : LEDGER_FILL_MAX);
		ledger_enter(ledger, ptr, size);
	}
	pthread_mutex_unlock(&ledger->lock);
	return ptr;
}

static void ledger_free(void *ctx, void *ptr, size_t size)
{
	struct ledger *ledger = ctx;
	size_t i;

	if (ptr == NULL)
		ledger_die("free of NULL", ptr, size);
	pthread_mutex_lock(&ledger->lock);
	for (i = 0; i < ledger->n_blocks && ledger->blocks[i].ptr != ptr; i++)
		;
	if (i == ledger->n_blocks)
		ledger_die("free of what was never handed out, or twice", ptr, size);
	if (ledger->blocks[i].size != size)
		ledger_die("free with another size", ptr, size);
	ledger->blocks[i] = ledger->blocks[--ledger->n_blocks];
	ledger->bytes -= size;
	pthread_mutex_unlock(&ledger->lock);
	free(ptr);
}

void ledger_init(struct ledger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
	if (pthread_mutex_init(&ledger->lock, NULL) != 0)
		ledger_die("no mutex", NULL, 0);
	ledger->hook.alloc = ledger_alloc;
	ledger->hook.free = ledger_free;
	ledger->hook.ctx = ledger;
}

void ledger_fini(struct ledger *ledger)
{
	pthread_mutex_destroy(&ledger->lock);
	free(ledger->blocks);
	memset(ledger, 0, sizeof(*ledger));
}

void ledger_fail_at(struct ledger *ledger, size_t n)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->fail_at = n;
	ledger->fired = false;
	pthread_mutex_unlock(&ledger->lock);
}

bool ledger_fired(struct ledger *ledger)
{
	bool fired;

	pthread_mutex_lock(&ledger->lock);
	fired = ledger->fired;
	pthread_mutex_unlock(&ledger->lock);
	return fired;
}

size_t ledger_bytes(struct ledger *ledger)
{
	size_t bytes;

	pthread_mutex_lock(&ledger->lock);
	bytes = ledger->bytes;
	pthread_mutex_unlock(&ledger->lock);
	return bytes;
}

size_t ledger_leaks(struct ledger *ledger, const char *what)
{
	size_t n, i;

	pthread_mutex_lock(&ledger->lock);
	n = ledger->n_blocks;
	for (i = 0; i < n; i++)
		fprintf(stderr, "leaked by %s: %zu bytes at %p\n", what, ledger->blocks[i].size,
			ledger->blocks[i].ptr);
	pthread_mutex_unlock(&ledger->lock);
	return n;
}
