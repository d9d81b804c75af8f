/* SPDX-License-Identifier: BSD-2-Clause */
/* registry.c - registration, look-up, probing and choice of backends. See registry.h.
 *
 * Registered backends fill an array from its start; a slot goes from NULL to its backend once and
 * stays. Whoever registers walks the slots from the first, compares every name on the way, and
 * claims the first empty one by compare and swap: a rival that was faster is met as one more name
 * to compare, so no name gets in twice.
 */
#include "core/registry.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/error.h"
#include "core/size.h"
#include "core/validate.h"

#define NAME_MAX_LENGTH 15u
#define CAPS_MIN	(offsetof(struct fo_caps, can) + sizeof(uint64_t))

static _Atomic(const struct fo_backend *) registered[FO__BACKENDS_MAX];

static unsigned int builtin_count(void)
{
	unsigned int n = 0;

	while (fo__builtin[n])
		n++;
	return n;
}

const struct fo_backend *fo__backend_at(unsigned int i)
{
	unsigned int n = builtin_count();

	if (i < n)
		return fo__builtin[i];
	if (i - n >= FO__BACKENDS_MAX)
		return NULL;
	return atomic_load_explicit(&registered[i - n], memory_order_acquire);
}

const struct fo_backend *fo__backend_find(const char *name)
{
	const struct fo_backend *backend;
	unsigned int i;

	for (i = 0; name && (backend = fo__backend_at(i)) != NULL; i++)
		if (!strcmp(backend->name, name))
			return backend;
	return NULL;
}

const char *fo_backend_name(unsigned int i)
{
	const struct fo_backend *backend = fo__backend_at(i);

	return backend ? backend->name : NULL;
}

/* ---- Registration ---- */

static int refuse(struct fo_error *err, const char *field, const char *text)
{
	return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

static bool name_is_good(const char *name)
{
	size_t i;

	if (!name)
		return false;
	for (i = 0; name[i]; i++) {
		bool letter = name[i] >= 'a' && name[i] <= 'z';
		bool digit = name[i] >= '0' && name[i] <= '9';

		if (i == NAME_MAX_LENGTH || !(letter || digit || name[i] == '_' || name[i] == '-'))
			return false;
	}
	return i > 0 && strcmp(name, "auto") != 0;
}

/* The functions that come without "(opt)" in the header. */
static const char *missing_function(const struct fo_backend *backend)
{
	if (!backend->probe)
		return "probe";
	if (!backend->create)
		return "create";
	if (!backend->destroy)
		return "destroy";
	if (!backend->flow_add)
		return "flow_add";
	if (!backend->flow_del)
		return "flow_del";
	return NULL;
}

/* What can be wrong with it by itself. A whole struct is asked for: ABI 1 has no shorter one, and
 * its members are used in place. */
static int check_backend(const struct fo_backend *backend, struct fo_error *err)
{
	struct fo_backend known;
	const char *missing;
	int rc = fo__take(&known, sizeof(known), sizeof(known), backend, "backend", err);

	if (rc)
		return rc;
	if (known.abi != FO_BACKEND_ABI)
		return refuse(
			err, "abi",
			"is not this library's: set it to FO_BACKEND_ABI and compile against its header");
	if (!name_is_good(known.name))
		return refuse(err, "name", "must be 1 to 15 characters of [a-z0-9_-] and not \"auto\"");
	missing = missing_function(&known);
	if (missing)
		return refuse(err, missing, "is NULL: every backend must have it");
	return 0;
}

static int name_taken(const char *name, struct fo_error *err)
{
	return fo__fail(err, -EEXIST, FO_R_EXISTS, FO_STAGE_VALIDATE, "name",
			"name \"%s\" is another backend's: choose one of your own", name);
}

/* Is the fast path of this library claimed by somebody else's backend? */
static int check_no_worker(const struct fo_caps *caps, struct fo_error *err)
{
	if (!(caps->can & FO_CAP_WORKER))
		return 0;
	return fo__fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_VALIDATE, "can",
			"can has FO_CAP_WORKER, which belongs to the library's own store: clear it");
}

static int claim_slot(const struct fo_backend *backend, struct fo_error *err)
{
	unsigned int i;

	for (i = 0; i < FO__BACKENDS_MAX; i++) {
		const struct fo_backend *there = NULL;

		if (atomic_compare_exchange_strong_explicit(&registered[i], &there, backend,
							    memory_order_acq_rel, memory_order_acquire))
			return 0;
		if (!strcmp(there->name, backend->name))
			return name_taken(backend->name, err);
	}
	return fo__fail(err, -ENOSPC, FO_R_FULL, FO_STAGE_VALIDATE, NULL,
			"%u backends are registered, which is the most: register fewer", FO__BACKENDS_MAX);
}

/* ---- Probing ---- */

static bool is_builtin(const struct fo_backend *backend)
{
	unsigned int i;

	for (i = 0; fo__builtin[i]; i++)
		if (fo__builtin[i] == backend)
			return true;
	return false;
}

static uint64_t lacks(const struct fo_table_options *opts, const struct fo_caps *caps)
{
	return opts ? fo__options_needs(opts) & ~caps->can : 0;
}

static void make_whole(const struct fo_backend *backend, struct fo_caps *caps)
{
	caps->size = sizeof(*caps);
	memset(caps->backend, 0, sizeof(caps->backend));
	(void)snprintf(caps->backend, sizeof(caps->backend), "%s", backend->name);
	caps->text[sizeof(caps->text) - 1] = '\0';
	memset(caps->choice, 0, sizeof(caps->choice));
	caps->stats_flags &= FO_STATS_INCLUDES_SLOW | FO_STATS_GRO_AGGREGATED | FO_STATS_L2_MIXED;
}

int fo__settle_caps(const struct fo_backend *backend, const struct fo_table_options *opts,
		    struct fo_caps *caps, struct fo_error *err)
{
	uint64_t missing;
	char names[96];
	int rc;

	make_whole(backend, caps);
	rc = is_builtin(backend) ? 0 : check_no_worker(caps, err);
	if (rc)
		return rc;
	missing = lacks(opts, caps);
	if (!missing)
		return 0;
	return fo__fail(err, -EOPNOTSUPP, FO_R_NEEDS, FO_STAGE_RESOLVE, "needs",
			"backend %s lacks %s: need less, or take another backend", caps->backend,
			fo__caps_text(missing, names, sizeof(names)));
}

int fo__backend_failed(const struct fo_backend *backend, int rc, const char *call, struct fo_error *why,
		       struct fo_error *err)
{
	why->field[sizeof(why->field) - 1] = '\0';
	why->text[sizeof(why->text) - 1] = '\0';
	if (rc > 0)
		return fo__fail(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, NULL,
				"backend %s answered %s with %d, which the contract does not know",
				backend->name, call, rc);
	if (!why->text[0])
		return fo__fail(err, rc, FO_R_BACKEND, FO_STAGE_RESOLVE, NULL,
				"backend %s failed in %s (errno %d) and gave no reason", backend->name, call,
				-rc);
	why->code = rc;
	if (why->reason == FO_R_NONE)
		why->reason = FO_R_BACKEND;
	if (err)
		*err = *why;
	return rc;
}

/* What backend could do for opts (NULL: for anybody), its answer held to the contract. */
static int ask(const struct fo_backend *backend, const struct fo_table_options *opts, struct fo_caps *caps,
	       struct fo_error *err)
{
	struct fo_error why = {0};
	int rc;

	FO_INIT(caps);
	rc = backend->probe(opts, caps, &why);
	if (!rc)
		return fo__settle_caps(backend, opts, caps, err);
	make_whole(backend, caps);
	return fo__backend_failed(backend, rc, "probe", &why, err);
}

int fo_backend_register(const struct fo_backend *backend, struct fo_error *err)
{
	struct fo_error why = {0}; /* a backend is always given one: it need not ask */
	struct fo_caps caps;
	int rc = check_backend(backend, err);

	if (rc)
		return rc;
	if (fo__backend_find(backend->name))
		return name_taken(backend->name, err);
	/* A device that is absent now may come later; what counts is what it claims when it answers. */
	FO_INIT(&caps);
	if (backend->probe(NULL, &caps, &why) == 0) {
		rc = check_no_worker(&caps, err);
		if (rc)
			return rc;
	}
	return claim_slot(backend, err);
}

/* ---- Choice ---- */

static int unknown_name(const char *name, struct fo_error *err)
{
	char names[128] = "";
	size_t used = 0;
	unsigned int i;

	for (i = 0; fo__backend_at(i) && used < sizeof(names); i++) {
		int n = snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
				 fo_backend_name(i));

		if (n < 0)
			break;
		used += (size_t)n;
	}
	return fo__fail(err, -ENOENT, FO_R_NO_BACKEND, FO_STAGE_RESOLVE, "backend",
			"backend \"%.20s\" does not exist; there are: %s", name, used ? names : "none");
}

/* One way to ask a backend: at its rank, or at its hardware_rank. */
struct offer {
	const struct fo_backend *backend;
	uint64_t needs; /* what it is asked for beside the caller's */
	uint32_t rank;
};

/* The i-th of all, two a backend; 0: there is no such backend. An offer without a backend is none. */
static int offer_at(unsigned int i, struct offer *out)
{
	const struct fo_backend *backend = fo__backend_at(i / 2);

	if (!backend)
		return 0;
	*out = (struct offer){backend, 0, backend->rank};
	if (i % 2) {
		out->needs = FO_CAP_HARDWARE;
		out->rank = backend->hardware_rank;
		if (!backend->hardware_rank)
			out->backend = NULL;
	}
	return 1;
}

/* The highest rank not tried yet, the first of equals; its number, or -1. */
static int next_by_rank(uint64_t tried, struct offer *out)
{
	struct offer offer = {.backend = NULL};
	int best = -1;
	unsigned int i;

	for (i = 0; i < 64 && offer_at(i, &offer); i++) {
		if (!offer.backend || (tried >> i & 1) || (best >= 0 && offer.rank <= out->rank))
			continue;
		best = (int)i;
		*out = offer;
	}
	return best;
}

static const char *in_hardware(const struct offer *offer)
{
	return offer->needs & FO_CAP_HARDWARE ? " in hardware" : "";
}

struct story {
	char text[sizeof(((struct fo__choice *)NULL)->why)];
	size_t used;
};

/* Append "; NAME why not". */
static void tell(struct story *story, const struct offer *offer, const struct fo_table_options *opts,
		 const struct fo_caps *caps, const struct fo_error *why)
{
	char *at = story->text + story->used;
	size_t room = sizeof(story->text) - story->used;
	const char *apart = story->used ? ";" : "", *where = in_hardware(offer);
	char names[96];
	int n;

	if (why->reason == FO_R_NEEDS && lacks(opts, caps))
		n = snprintf(at, room, "%s %s%s lacks %s", apart, caps->backend, where,
			     fo__caps_text(lacks(opts, caps), names, sizeof(names)));
	else
		n = snprintf(at, room, "%s %s%s: %s", apart, caps->backend, where, why->text);
	if (n > 0)
		story->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void take(struct fo__choice *out, const struct offer *offer, uint64_t needs, const struct story *story)
{
	out->backend = offer->backend;
	out->needs = needs;
	(void)snprintf(out->why, sizeof(out->why), "auto took %s%s%s%.300s", offer->backend->name,
		       in_hardware(offer), story->used ? "; before it:" : ", the first that it asked",
		       story->text);
}

static int choose_auto(const struct fo_table_options *opts, struct fo__choice *out, struct fo_error *err)
{
	/* All that was asked; and without offers of hardware, which nobody needs who did not ask for it. */
	struct story all = {.used = 0}, needed = {.used = 0};
	enum fo_reason reason = FO_R_NO_BACKEND;
	struct offer offer = {.backend = NULL};
	uint64_t tried = 0;
	int i;

	while ((i = next_by_rank(tried, &offer)) >= 0) {
		struct fo_table_options wanted = *opts;
		struct fo_error why = {0};
		struct fo_caps caps;

		tried |= UINT64_C(1) << i;
		/* Who needs hardware has asked the same already. */
		if ((opts->needs & FO_CAP_HARDWARE) && !offer.needs && offer.backend->hardware_rank)
			continue;
		wanted.needs |= offer.needs;
		/* Whoever asks for workers has packets to give them. */
		if (opts->max_workers)
			wanted.needs |= FO_CAP_WORKER;
		if (!ask(offer.backend, &wanted, &caps, &why)) {
			take(out, &offer, wanted.needs & ~opts->needs, &all);
			return 0;
		}
		if (why.reason == FO_R_NEEDS)
			reason = FO_R_NEEDS;
		tell(&all, &offer, &wanted, &caps, &why);
		if (!(offer.needs & ~opts->needs))
			tell(&needed, &offer, &wanted, &caps, &why);
	}
	return fo__fail(err, -EOPNOTSUPP, reason, FO_STAGE_RESOLVE,
			reason == FO_R_NEEDS ? "needs" : "backend", "no backend fits:%s",
			needed.used ? needed.text : " none is built in or registered");
}

int fo__backend_choose(const struct fo_table_options *opts, struct fo__choice *out, struct fo_error *err)
{
	const struct fo_backend *backend;
	struct fo_caps caps;
	int rc;

	if (!opts->backend || !strcmp(opts->backend, "auto"))
		return choose_auto(opts, out, err);
	backend = fo__backend_find(opts->backend);
	if (!backend)
		return unknown_name(opts->backend, err);
	rc = ask(backend, opts, &caps, err);
	if (!rc)
		*out = (struct fo__choice){.backend = backend};
	return rc;
}

int fo_backend_probe(const char *name, const struct fo_table_options *opts, struct fo_caps *caps,
		     struct fo_error *err)
{
	struct fo_error why = {0};
	struct fo_table_options checked;
	const struct fo_backend *backend;
	struct fo_caps found;
	int rc = fo__give_check(caps, CAPS_MIN, "caps", err);

	if (!rc && !name)
		rc = refuse(err, "name", "is NULL: name a backend");
	if (!rc && opts)
		rc = fo__check_options(opts, &checked, err);
	if (rc)
		return rc;
	backend = fo__backend_find(name);
	if (!backend)
		return unknown_name(name, err);
	rc = ask(backend, opts ? &checked : NULL, &found, &why);
	/* The answer is wanted in the case of "no", too: caps.text says why not. */
	if (rc && !found.text[0])
		(void)snprintf(found.text, sizeof(found.text), "%.*s", (int)sizeof(found.text) - 1, why.text);
	if (rc && err)
		*err = why;
	fo__give(caps, &found, sizeof(found), CAPS_MIN, "caps", NULL);
	return rc;
}
