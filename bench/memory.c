/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - what a table takes at its capacity, counted through the allocator hook. n counts connections' directions.
 *
 * Hot is what packets touch, cold the rest: when the table is full and has settled, every allocation is made unreadable,
 * a packet of every direction is forwarded, and an allocation in which that faults is hot, all of it, as requested.
 *
 *   hot-v4, hot-v6     bytes per direction, index and records
 *   cold-v4, cold-v6   bytes per connection
 *   most-v4, most-v6   bytes per direction in all when it was most: while the index grew
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "library.h"
#include "traffic.h"

#define BLOCKS 1024u

struct block {
	uint8_t *at; /* NULL: free */
	uint8_t *base;
	size_t mapped, size;
	int hot;
};

static struct block blocks[BLOCKS];
static size_t now_bytes, most_bytes;

/* ---- the allocator: each block has pages of its own ---- */

static void *hook_alloc(void *ctx, size_t size, size_t align)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (size + page - 1) / page * page + (align > page ? align : 0);
	struct block *block = ctx;
	uint8_t *base;

	while (block < blocks + BLOCKS && block->at)
		block++;
	if (block == blocks + BLOCKS)
		bench_fail("more than %u blocks of memory", BLOCKS);
	base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	*block = (struct block){.base = base, .mapped = mapped, .size = size};
	block->at = base + (align - (uintptr_t)base % align) % align;
	now_bytes += size;
	if (now_bytes > most_bytes)
		most_bytes = now_bytes;
	return block->at;
}

static void hook_free(void *ctx, void *ptr, size_t size)
{
	struct block *block = ctx;

	while (block < blocks + BLOCKS && block->at != ptr)
		block++;
	if (block == blocks + BLOCKS || block->size != size)
		bench_fail("memory given back that was not taken, or of another size");
	if (munmap(block->base, block->mapped))
		bench_fail("memory cannot be given back");
	block->at = NULL;
	now_bytes -= size;
}

/* ---- which blocks packets touch ---- */

static void guard(int protection)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (blocks[i].at && mprotect(blocks[i].base, blocks[i].mapped, protection))
			bench_fail("memory cannot be guarded");
}

static void touched(int number, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;

	(void)context;
	for (unsigned int i = 0; i < BLOCKS; i++) {
		struct block *block = &blocks[i];

		if (!block->at || at < block->base || at >= block->base + block->mapped)
			continue;
		if (block->hot++ || mprotect(block->base, block->mapped, PROT_READ | PROT_WRITE))
			_exit(EXIT_FAILURE);
		return;
	}
	/* a fault of another kind: it comes again, and ends the program */
	signal(number, SIG_DFL);
}

static void forward_all(const struct library *library, const struct population *population)
{
	struct fo_worker *worker = library_worker(library);
	struct traffic traffic;

	traffic_open(&traffic, population, BENCH_CHUNK, FRAME_LEAST_V6);
	guard(PROT_NONE);
	for (uint32_t first = 0; first < 2 * population->connections; first += BENCH_CHUNK) {
		for (uint32_t i = 0; i < BENCH_CHUNK; i++)
			traffic_put(&traffic, i, (first + i) % (2 * population->connections), 0,
				    population->net.v6 ? FRAME_LEAST_V6 : FRAME_LENGTH);
		if (fo_worker_run(worker, traffic.packets, BENCH_CHUNK, TRAFFIC_NOW_MS) != BENCH_CHUNK)
			bench_fail("packets of connections in the table are not forwarded");
		traffic_verify(&traffic, "worker", 0, BENCH_CHUNK);
	}
	guard(PROT_READ | PROT_WRITE);
	fo_worker_close(worker);
	traffic_close(&traffic);
}

static void print(uint32_t size, const char *family)
{
	size_t hot = 0, cold = 0;
	char name[16];

	for (unsigned int i = 0; i < BLOCKS; i++)
		if (blocks[i].at)
			*(blocks[i].hot ? &hot : &cold) += blocks[i].size;
	snprintf(name, sizeof(name), "hot-%s", family);
	bench_figure("memory", name, size, (double)hot / size, "bytes");
	snprintf(name, sizeof(name), "cold-%s", family);
	bench_figure("memory", name, size, (double)cold / (size / 2), "bytes");
	snprintf(name, sizeof(name), "most-%s", family);
	bench_figure("memory", name, size, (double)most_bytes / size, "bytes");
}

static void run_size(uint32_t size, int v6)
{
	const struct net net = {.clients = 1, .v6 = v6};
	struct fo_allocator hook = {hook_alloc, hook_free, blocks};
	struct fo_table_options options;
	struct population population;
	struct library library;

	most_bytes = 0;
	library_options(&options, size / 2);
	options.allocator = &hook;
	population_open(&population, &net, size / 2);
	library_create(&library, &net, size / 2, &options);
	for (uint32_t place = 0; place < size / 2; place++)
		(void)library_add(&library, place);
	library_settle(&library);
	forward_all(&library, &population);
	print(size, v6 ? "v6" : "v4");
	library_destroy(&library);
	population_close(&population);
	if (now_bytes)
		bench_fail("%zu bytes are not given back", now_bytes);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct sigaction action = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO | SA_NODEFER};

	bench_options_read(&options, argc, argv, "60000,1000000");
	if (sigaction(SIGSEGV, &action, NULL))
		bench_fail("faults cannot be caught");
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		for (int v6 = 0; v6 < 2; v6++)
			if (bench_wanted(&options, v6 ? "hot-v6" : "hot-v4"))
				run_size(options.sizes[i], v6);
	return 0;
}
