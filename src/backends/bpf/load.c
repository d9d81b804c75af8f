/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c - the program's maps in their sizes, and the program in the kernel. Neighbours: state.h, program.bpf.c.
 *
 * The kernel accounts the maps' memory when they are made, so that a table that was created does not run out of it.
 */
#include "backends/bpf/state.h"

#include "program.skel.h"
#include "sweep.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The library's own words go into its errors. */
static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

fo__bpf_print *fo__bpf_quiet(void)
{
	return libbpf_set_print(silent);
}

void fo__bpf_unquiet(fo__bpf_print *before)
{
	libbpf_set_print(before);
}

static int explain_load(int code, struct fo_error *err)
{
	if (code == -EPERM)
		return fo__bpf_fail(err, -EPERM, FO_R_PERMISSION, NULL, EPERM,
				    "loading BPF programs needs CAP_BPF and CAP_NET_ADMIN (or root)");
	if (code == -ENOMEM)
		return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", ENOMEM,
				    "no memory for maps of this capacity; create a smaller table, or raise "
				    "RLIMIT_MEMLOCK");
	return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, NULL, -code,
			    "this kernel does not take the program; it needs Linux 6.1 or later with BPF");
}

static void set_sizes(struct program_bpf *program, uint32_t directions)
{
	bpf_map__set_max_entries(program->maps.flows4, directions);
	bpf_map__set_max_entries(program->maps.flows6, directions);
	bpf_map__set_max_entries(program->maps.ingress, FO__BPF_INGRESSES);
	bpf_map__set_max_entries(program->maps.adjacencies, FO__BPF_SIDES);
	bpf_map__set_max_entries(program->maps.entries, 2 * FO__BPF_SIDES);
	bpf_map__set_max_entries(program->maps.devices, 2 * FO__BPF_DEVICES);
}

static void list_maps(const struct program_bpf *program, struct bpf_map *maps[FO__BPF_MAPS])
{
	maps[FO__BPF_FLOWS4] = program->maps.flows4;
	maps[FO__BPF_FLOWS6] = program->maps.flows6;
	maps[FO__BPF_INGRESS] = program->maps.ingress;
	maps[FO__BPF_ADJACENCIES] = program->maps.adjacencies;
	maps[FO__BPF_ENTRIES] = program->maps.entries;
	maps[FO__BPF_DEVMAP] = program->maps.devices;
	maps[FO__BPF_COUNTERS] = program->maps.counters;
	maps[FO__BPF_EVENTS] = program->maps.events;
	maps[FO__BPF_CONFIG] = program->maps.config;
}

/* The program works with the maps of an earlier process. libbpf's own way of reuse, by path, fails for a map of devices, to
 * which the kernel adds a flag. */
static int reuse_maps(struct fo__bpf *bpf)
{
	struct bpf_map *maps[FO__BPF_MAPS];
	int code = 0;

	list_maps(bpf->program, maps);
	for (unsigned int i = 0; i < FO__BPF_MAPS && !code; i++)
		code = bpf_map__reuse_fd(maps[i], bpf->pins.map[i]);
	return code;
}

static void note_descriptors(struct fo__bpf *bpf)
{
	const struct program_bpf *program = bpf->program;
	struct bpf_map *maps[FO__BPF_MAPS];

	list_maps(program, maps);
	for (unsigned int i = 0; i < FO__BPF_MAPS; i++)
		bpf->map[i] = bpf_map__fd(maps[i]);
	bpf->program_xdp = bpf_program__fd(program->progs.fo_xdp);
	bpf->program_frags = bpf_program__fd(program->progs.fo_xdp_frags);
	bpf->program_tc = bpf_program__fd(program->progs.fo_tc);
	bpf->program_mark = bpf_program__fd(program->progs.fo_mark);
	bpf->program_add = bpf_program__fd(program->progs.fo_add);
}

static struct bpf_link *iterate(const struct fo__bpf *bpf, enum fo__bpf_map map)
{
	union bpf_iter_link_info info = {.map = {.map_fd = (uint32_t)bpf->map[map]}};
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(bpf->sweep->progs.fo_sweep, &options);
}

/* Needs the kernel's BTF: what it lacks, batches make good. */
static void load_sweep(struct fo__bpf *bpf)
{
	if (bpf->sweep_wanted <= FO_BPF_SWEEP_ITERATOR)
		bpf->sweep = sweep_bpf__open_and_load();
	if (!bpf->sweep)
		return;
	bpf->sweep_link[0] = iterate(bpf, FO__BPF_FLOWS4);
	bpf->sweep_link[1] = iterate(bpf, FO__BPF_FLOWS6);
	if (bpf->sweep_link[0] && bpf->sweep_link[1])
		return;
	for (unsigned int i = 0; i < 2; i++) {
		bpf_link__destroy(bpf->sweep_link[i]);
		bpf->sweep_link[i] = NULL;
	}
	sweep_bpf__destroy(bpf->sweep);
	bpf->sweep = NULL;
}

#define BATCH_SIZE (FO__BPF_BATCH * sizeof(struct fo__bpf_pair))

static int open_batch(struct fo__bpf *bpf)
{
	void *memory = mmap(NULL, BATCH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(bpf->program->maps.batch), 0);

	if (memory == MAP_FAILED)
		return -errno;
	bpf->batch = memory;
	return 0;
}

/* Of maps that are in use, too: all that a new process says of itself. */
static int write_config(const struct fo__bpf *bpf)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf->map[FO__BPF_CONFIG], &zero, &bpf->config, BPF_ANY) ? -errno : 0;
}

int fo__bpf_load(struct fo__bpf *bpf, uint32_t slots, struct fo_error *err)
{
	fo__bpf_print *before = fo__bpf_quiet();
	int code;

	bpf->config.layout = FO__BPF_LAYOUT;
	bpf->program = program_bpf__open();
	code = bpf->program ? 0 : -errno;
	if (!code) {
		set_sizes(bpf->program, 2 * slots);
		code = bpf->pins.found ? reuse_maps(bpf) : 0;
	}
	if (!code)
		code = program_bpf__load(bpf->program);
	if (!code)
		code = open_batch(bpf);
	if (!code) {
		note_descriptors(bpf);
		/* That of an earlier process says ready, and goes on saying so. */
		code = bpf->pins.found ? 0 : write_config(bpf);
	}
	if (!code)
		load_sweep(bpf);
	fo__bpf_unquiet(before);
	if (!code && bpf->sweep_wanted == FO_BPF_SWEEP_ITERATOR && !bpf->sweep)
		return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "sweep", 0,
				    "this kernel has no iterators over maps: leave the way to the backend");
	return code ? explain_load(code, err) : 0;
}

int fo__bpf_lease(struct fo__bpf *bpf)
{
	uint64_t lease = FO_BPF_LEASE_MS / 1000 * bpf->jiffies_per_second;

	bpf->config.lease_until_jiffies = fo__bpf_jiffies(bpf) + lease;
	return write_config(bpf);
}

void fo__bpf_unload(struct fo__bpf *bpf)
{
	if (bpf->batch)
		(void)munmap(bpf->batch, BATCH_SIZE);
	for (unsigned int i = 0; i < 2; i++)
		bpf_link__destroy(bpf->sweep_link[i]);
	sweep_bpf__destroy(bpf->sweep);
	program_bpf__destroy(bpf->program);
}
