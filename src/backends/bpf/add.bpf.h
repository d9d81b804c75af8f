/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* add.bpf.h - flows into their map, many at once, both directions or none.
 *
 * User space has marked both states inactive, and makes them active when both directions are in the map: a failure between
 * leaves nothing that ever forwarded. Here and not in user space, where it would be two calls of the kernel a flow.
 */
#ifndef FO_BACKENDS_BPF_ADD_BPF_H
#define FO_BACKENDS_BPF_ADD_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

ALWAYS int add_direction(struct fo__bpf_direction *dir, int v6)
{
	return v6 ? bpf_map_update_elem(&flows6, &dir->key.v6, &dir->element.v6, BPF_NOEXIST)
		  : bpf_map_update_elem(&flows4, &dir->key.v4, &dir->element.v4, BPF_NOEXIST);
}

ALWAYS int add_pair(struct fo__bpf_pair *pair, int v6)
{
	struct fo__bpf_direction *first = &pair->dir[0];
	int failed = add_direction(first, v6);

	if (failed)
		return failed;
	failed = add_direction(&pair->dir[1], v6);
	if (!failed)
		return 0;
	if (v6)
		bpf_map_delete_elem(&flows6, &first->key.v6);
	else
		bpf_map_delete_elem(&flows4, &first->key.v4);
	return failed;
}

/* Asks for the cache lines that adding will wait for, key by key, behind a lock each: look-ups wait for several at once. */
static long expect_next(__u32 i, struct fo__bpf_many *many)
{
	struct fo__bpf_pair *pair = bpf_map_lookup_elem(&batch, &i);

	(void)many;
	if (!pair)
		return 1;
	if (pair->family == 6) {
		(void)bpf_map_lookup_elem(&flows6, &pair->dir[0].key.v6);
		(void)bpf_map_lookup_elem(&flows6, &pair->dir[1].key.v6);
	} else {
		(void)bpf_map_lookup_elem(&flows4, &pair->dir[0].key.v4);
		(void)bpf_map_lookup_elem(&flows4, &pair->dir[1].key.v4);
	}
	return 0;
}

/* For bpf_loop(). */
static long add_next(__u32 i, struct fo__bpf_many *many)
{
	struct fo__bpf_pair *pair = bpf_map_lookup_elem(&batch, &i);

	(void)many;
	if (!pair)
		return 1;
	pair->result = pair->family == 6 ? add_pair(pair, 1) : add_pair(pair, 0);
	return 0;
}

#endif /* FO_BACKENDS_BPF_ADD_BPF_H */
