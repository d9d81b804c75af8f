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

static void note_descriptors(struct fo__bpf *bpf)
{
	const struct program_bpf *program = bpf->program;

	bpf->map[FO__BPF_FLOWS4] = bpf_map__fd(program->maps.flows4);
	bpf->map[FO__BPF_FLOWS6] = bpf_map__fd(program->maps.flows6);
	bpf->map[FO__BPF_INGRESS] = bpf_map__fd(program->maps.ingress);
	bpf->map[FO__BPF_ADJACENCIES] = bpf_map__fd(program->maps.adjacencies);
	bpf->map[FO__BPF_ENTRIES] = bpf_map__fd(program->maps.entries);
	bpf->map[FO__BPF_DEVMAP] = bpf_map__fd(program->maps.devices);
	bpf->map[FO__BPF_COUNTERS] = bpf_map__fd(program->maps.counters);
	bpf->map[FO__BPF_EVENTS] = bpf_map__fd(program->maps.events);
	bpf->map[FO__BPF_CONFIG] = bpf_map__fd(program->maps.config);
	bpf->program_xdp = bpf_program__fd(program->progs.fo_xdp);
	bpf->program_frags = bpf_program__fd(program->progs.fo_xdp_frags);
	bpf->program_tc = bpf_program__fd(program->progs.fo_tc);
	bpf->program_mark = bpf_program__fd(program->progs.fo_mark);
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

int fo__bpf_load(struct fo__bpf *bpf, uint32_t slots, struct fo_error *err)
{
	struct fo__bpf_config config = {.layout = FO__BPF_LAYOUT};
	fo__bpf_print *before = fo__bpf_quiet();
	uint32_t zero = 0;
	int code;

	bpf->program = program_bpf__open();
	code = bpf->program ? 0 : -errno;
	if (!code) {
		set_sizes(bpf->program, 2 * slots);
		code = program_bpf__load(bpf->program);
	}
	if (!code) {
		note_descriptors(bpf);
		code = bpf_map_update_elem(bpf->map[FO__BPF_CONFIG], &zero, &config, BPF_ANY) ? -errno : 0;
	}
	if (!code)
		load_sweep(bpf);
	fo__bpf_unquiet(before);
	return code ? explain_load(code, err) : 0;
}

int fo__bpf_lease(struct fo__bpf *bpf)
{
	uint64_t lease = FO_BPF_LEASE_MS / 1000 * bpf->jiffies_per_second;
	struct fo__bpf_config config = {.lease_until_jiffies = fo__bpf_jiffies(bpf) + lease,
					.layout = FO__BPF_LAYOUT};
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf->map[FO__BPF_CONFIG], &zero, &config, BPF_ANY) ? -errno : 0;
}

void fo__bpf_unload(struct fo__bpf *bpf)
{
	for (unsigned int i = 0; i < 2; i++)
		bpf_link__destroy(bpf->sweep_link[i]);
	sweep_bpf__destroy(bpf->sweep);
	program_bpf__destroy(bpf->program);
}
