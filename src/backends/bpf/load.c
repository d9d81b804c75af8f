/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c - the program's maps in their sizes, and the program in the kernel. Neighbours: state.h, program.bpf.c.
 *
 * The kernel accounts the maps' memory when they are made, so that a table that was created does not run out of it.
 */
#include "backends/bpf/state.h"

#include "program.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

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
	bpf_map__set_max_entries(program->maps.states, directions);
	bpf_map__set_max_entries(program->maps.ingress, FO__BPF_INGRESSES);
	bpf_map__set_max_entries(program->maps.adjacencies, FO__BPF_SIDES);
	bpf_map__set_max_entries(program->maps.entries, 2 * FO__BPF_SIDES);
	bpf_map__set_max_entries(program->maps.devices, 2 * FO__BPF_DEVICES);
}

/* Since 6.3 (before, xdp_do_redirect() is not for frames in several buffers, and the driver drops them). Nothing else tells. */
static bool redirects_frags(void)
{
	struct utsname name;
	unsigned int major, minor;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 3);
}

static void list_maps(const struct program_bpf *program, struct bpf_map *maps[FO__BPF_MAPS])
{
	maps[FO__BPF_FLOWS4] = program->maps.flows4;
	maps[FO__BPF_FLOWS6] = program->maps.flows6;
	maps[FO__BPF_STATES] = program->maps.states;
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

#define BATCH_SIZE (FO__BPF_BATCH * sizeof(struct fo__bpf_pair))

static size_t states_size(const struct fo__bpf *bpf)
{
	return 2 * (size_t)bpf->n_slots * sizeof(struct fo__bpf_state);
}

static void *see_map(const struct bpf_map *map, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int see_maps(struct fo__bpf *bpf)
{
	bpf->batch = see_map(bpf->program->maps.batch, BATCH_SIZE);
	if (bpf->batch)
		bpf->states = see_map(bpf->program->maps.states, states_size(bpf));
	return bpf->states ? 0 : -errno;
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
		bpf->program->data->fo_slots = slots;
		bpf->program->bss->fo_redirects_frags = redirects_frags();
		code = bpf->pins.found ? reuse_maps(bpf) : 0;
	}
	if (!code)
		code = program_bpf__load(bpf->program);
	if (!code)
		code = see_maps(bpf);
	if (!code) {
		note_descriptors(bpf);
		/* That of an earlier process says ready, and goes on saying so. */
		code = bpf->pins.found ? 0 : write_config(bpf);
	}
	fo__bpf_unquiet(before);
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
	if (bpf->states)
		(void)munmap(bpf->states, states_size(bpf));
	program_bpf__destroy(bpf->program);
}
