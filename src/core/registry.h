/* SPDX-License-Identifier: BSD-2-Clause */
/* registry.h - the backends there are: built in (builtin.c) and registered (fo_backend_register()).
 *
 * Entries are only ever added, so that readers need no lock: what was seen once stays. Neighbours:
 * table.c asks fo__backend_choose() when it creates a table; the public fo_backend_name() and
 * fo_backend_probe() live in registry.c too.
 */
#ifndef FO_CORE_REGISTRY_H
#define FO_CORE_REGISTRY_H

#include "flowoffload-backend.h"

/* Room for registered ones; those built in do not count. */
#define FO__BACKENDS_MAX 16u

/* The built-in ones (builtin.c), NULL at the end. */
extern const struct fo_backend *const fo__builtin[];

/* fo__backend_at - the i-th, built-in ones first, then in the order of registration; NULL past the
 * last. */
const struct fo_backend *fo__backend_at(unsigned int i);

/* fo__backend_find - by name; NULL when there is none. */
const struct fo_backend *fo__backend_find(const char *name);

/* What fo__backend_choose() took. */
struct fo__choice {
	const struct fo_backend *backend;
	uint64_t
		needs; /* what the table needs beyond its options: by "auto" it is held to what was offered */
	char why[sizeof(((struct fo_caps *)NULL)->choice)]; /* for fo_caps.choice */
};

/* fo__backend_choose - the backend for a table.
 * @opts: checked by fo__check_options(). opts->backend NULL or "auto": the one of the highest rank
 *        that probes well and can do all of opts->needs (of equal ranks the one that comes first),
 *        a backend with a hardware_rank being asked twice; otherwise that name.
 *
 * -ENOENT no such name (the text lists those there are); -EOPNOTSUPP a need is missing (the text
 * says which, for auto per backend); or what the probe of the named one returned.
 */
int fo__backend_choose(const struct fo_table_options *opts, struct fo__choice *out, struct fo_error *err);

/* fo__settle_caps - hold the caps that a backend's probe() or create() filled to the contract:
 * whole, under its own name, no FO_CAP_WORKER but the library's own, and all that opts need (NULL:
 * nothing). -EOPNOTSUPP. */
int fo__settle_caps(const struct fo_backend *backend, const struct fo_table_options *opts,
		    struct fo_caps *caps, struct fo_error *err);

/* fo__backend_failed - make a whole error of what a backend's function named call returned (rc, not
 * 0) and wrote (why, zeroed before the call). Returns the code: rc, or -EIO for a value that the
 * contract has not. */
int fo__backend_failed(const struct fo_backend *backend, int rc, const char *call, struct fo_error *why,
		       struct fo_error *err);

#endif
