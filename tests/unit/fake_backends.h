/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_backends.h - backends that answer a probe in one way each, and do nothing else.
 *
 * Used by test_registry.c and test_choice.c.
 */
#ifndef UNIT_FAKE_BACKENDS_H
#define UNIT_FAKE_BACKENDS_H

#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "flowoffload-backend.h"

#define MANY 16 /* as many as fit */

/* A need that no built-in backend has, so that they never stand in the way of a choice. */
#define RARE FO_CAP_POLICY

static inline int probe_rare(const struct fo_table_options *opts, struct fo_caps *caps, struct fo_error *err)
{
	(void)opts;
	(void)err;
	caps->can = RARE | FO_CAP_IPV4;
	return 0;
}

static inline int probe_rich(const struct fo_table_options *opts, struct fo_caps *caps, struct fo_error *err)
{
	(void)opts;
	(void)err;
	caps->can = RARE | FO_CAP_IPV4 | FO_CAP_VLAN | FO_CAP_PERSIST;
	memset(caps->text, 'x', sizeof(caps->text));
	memset(caps->backend, 'y', sizeof(caps->backend));
	caps->size = 1;
	return 0;
}

static inline int probe_absent(const struct fo_table_options *opts, struct fo_caps *caps,
			       struct fo_error *err)
{
	(void)opts;
	(void)caps;
	return fo__fail_backend(err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, ENXIO, "ports",
				"no such silicon here");
}

static inline int probe_silent(const struct fo_table_options *opts, struct fo_caps *caps,
			       struct fo_error *err)
{
	(void)opts;
	(void)caps;
	(void)err;
	return -EPERM;
}

static inline int probe_terse(const struct fo_table_options *opts, struct fo_caps *caps, struct fo_error *err)
{
	(void)opts;
	(void)caps;
	strcpy(err->text, "the cable is out");
	return -EIO;
}

static inline int probe_absurd(const struct fo_table_options *opts, struct fo_caps *caps,
			       struct fo_error *err)
{
	(void)opts;
	(void)caps;
	(void)err;
	return 7;
}

static inline int probe_worker(const struct fo_table_options *opts, struct fo_caps *caps,
			       struct fo_error *err)
{
	(void)opts;
	(void)err;
	caps->can = RARE | FO_CAP_WORKER;
	return 0;
}

/* Claims the worker only when it knows the ports: registration cannot see it, the probe does. */
static inline int probe_late_worker(const struct fo_table_options *opts, struct fo_caps *caps,
				    struct fo_error *err)
{
	(void)err;
	caps->can = RARE | (opts ? FO_CAP_WORKER : 0);
	return 0;
}

static inline int any_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
			     struct fo_error *err)
{
	(void)config;
	(void)caps;
	(void)priv;
	(void)err;
	return -ENODEV;
}

static inline void any_destroy(void *priv)
{
	(void)priv;
}

static inline int any_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			  struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)state;
	(void)err;
	return -EIO;
}

static inline int any_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)slot;
	(void)err;
	return -EIO;
}

typedef int (*probe_fn)(const struct fo_table_options *, struct fo_caps *, struct fo_error *);

static inline struct fo_backend make(const char *name, uint32_t rank, probe_fn probe)
{
	struct fo_backend backend;

	FO_INIT(&backend);
	backend.abi = FO_BACKEND_ABI;
	backend.rank = rank;
	backend.name = name;
	backend.probe = probe;
	backend.create = any_create;
	backend.destroy = any_destroy;
	backend.flow_add = any_add;
	backend.flow_del = any_del;
	return backend;
}

static inline unsigned int count_backends(void)
{
	unsigned int n = 0;

	while (fo_backend_name(n))
		n++;
	return n;
}

#endif
