/* SPDX-License-Identifier: BSD-2-Clause */
/* lookup.c - look-up alone: the library's index and records (ours.c) against other tables with records (theirs.c) and
 * against cache lines that no table avoids (floor.c). n counts directions: two for a connection.
 *
 * All are built with the same connections and then replace each of them eight times in the same random order; "fresh"
 * is before that. A hit touches its record: bytes, packets, last seen. Each set of cases ends with every entry looked
 * up at its place and every missing one missed, by all contestants.
 *
 *   v4, v6            the peers with the places that they round n up to: also the size at which their memory is nearest to
 *                     the library's (the memory- and load- lines say what each has)
 *   v4-equal-load     another n: as many entries as load a power of two of places, which is what the peers have, as
 *                     high as the library's index is loaded
 *   v4-all            all tables that this build has, for context
 */
#include <string.h>

#include "cores.h"
#include "floor.h"
#include "ours.h"
#include "peer.h"
#include "theirs.h"
#include "zipf.h"

#define REPLACEMENTS 8u
#define MOST	     8u
/* What the library's index is loaded to when it is full, in percent. */
#define LOAD 70u

/* A set of cases: one building of all tables. */
struct set {
	const char *name;
	unsigned int v6;
	unsigned int equal_load;
	unsigned int context;
};

static const struct set sets[] = {
	{"v4", 0, 0, 0},
	{"v4-equal-load", 0, 1, 0},
	{"v4-all", 0, 0, 1},
	{"v6", 1, 0, 0},
};

static const struct variant {
	const char *name;
	unsigned int v6_only, v4_only;
	unsigned int missing, translate, skewed;
} variants[] = {
	{"hit", 0, 0, 0, 0, 0},
	{"miss", 0, 0, 1, 0, 0},
	{"hit-nat66", 1, 0, 0, 1, 0},
	{"hit-zipf", 0, 1, 0, 0, 1},
};

static struct scene scene;
static struct ours *ours;
static struct theirs *theirs[MOST];
static unsigned int n_theirs;
static struct floor *lines;
static int with_peers;

static void case_name(char *text, size_t size, const struct set *set, const struct variant *variant,
		      const char *state)
{
	snprintf(text, size, "%s-%s%s", set->name, variant->name, state);
}

static int fits(const struct set *set, const struct variant *variant)
{
	return !(set->v6 ? variant->v4_only : variant->v6_only);
}

/* Is any case of a set wanted? */
static int set_wanted(const struct bench_options *options, const struct set *set, const char *state)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		char name[64];

		case_name(name, sizeof(name), set, &variants[i], state);
		if (fits(set, &variants[i]) && bench_wanted(options, name))
			return 1;
	}
	return 0;
}

static void measure(const struct set *set, const char *state, const struct bench_options *options)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct contestant contestants[MOST + 3];
		unsigned int count = 0;
		char name[64];

		case_name(name, sizeof(name), set, &variants[i], state);
		if (!fits(set, &variants[i]) || !bench_wanted(options, name))
			continue;
		scene.missing = variants[i].missing;
		scene.translate = variants[i].translate;
		scene.skewed = variants[i].skewed;
		ours_contestant(ours, &contestants[count++]);
		for (unsigned int t = 0; t < n_theirs; t++)
			theirs_contestant(theirs[t], &contestants[count++]);
		for (unsigned int n = 2; !scene.missing && !scene.skewed && n <= 3; n++)
			floor_contestant(lines, n, &contestants[count++]);
		if (bench_case("lookup", name, scene.entries, options, contestants, count))
			bench_fail("no memory");
	}
	scene.skewed = 0;
}

static void shuffle(uint32_t *shuffled, uint32_t n, struct bench_draw *draw)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = bench_below(draw, i + 1);

		shuffled[i] = shuffled[j];
		shuffled[j] = i;
	}
}

/* Each place gets another connection, eight times over, in random order; n becomes n + entries / 2. By the library, or by
 * all others: they do it at the same time, for at ten million it takes minutes. -1: refused. */
static int replace_all(int by_others)
{
	uint32_t n = scene.entries / 2, first = 0, *shuffled = bench_memory(n * sizeof(*shuffled));
	struct bench_draw draw = {.state = 3};
	int err = 0;

	for (unsigned int round = 0; !err && round < REPLACEMENTS; round++, first += n) {
		shuffle(shuffled, n, &draw);
		for (uint32_t i = 0; !err && i < n; i++) {
			uint32_t old = first + shuffled[i];

			if (!by_others)
				ours_replace(ours, old, old + n);
			for (unsigned int t = 0; by_others && !err && t < n_theirs; t++)
				err = theirs_replace(theirs[t], old, old + n);
		}
	}
	bench_memory_free(shuffled, n * sizeof(*shuffled));
	return err;
}

static void *replace_ours(void *arg)
{
	if (cores_two())
		cores_pin(1);
	(void)replace_all(0);
	return arg;
}

static int churn(void)
{
	int err;

	cores_start(replace_ours, NULL);
	err = replace_all(1);
	cores_join();
	scene.first_living = REPLACEMENTS * (scene.entries / 2);
	return err;
}

static void verify(void)
{
	scene.translate = 0;
	for (scene.missing = 0; scene.missing < 2; scene.missing++) {
		ours_verify(ours);
		for (unsigned int t = 0; t < n_theirs; t++)
			theirs_verify(theirs[t]);
	}
}

static void tell_room(const struct set *set, uint32_t places)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-memory", set->name);
	bench_figure("lookup", name, scene.entries, ours_bytes(ours), "bytes");
	for (unsigned int t = 0; t < n_theirs; t++)
		bench_figure_of("lookup", name, scene.entries, tables[t]->name, theirs_bytes(theirs[t]),
				"bytes");
	snprintf(name, sizeof(name), "%s-load", set->name);
	bench_figure("lookup", name, scene.entries, ours_load(ours), "of 1");
	if (n_theirs)
		bench_figure_of("lookup", name, scene.entries, tables[0]->name,
				(double)scene.entries / places, "of 1");
}

static uint32_t power_above(uint32_t n)
{
	uint32_t power = 64;

	while (power < n)
		power *= 2;
	return power;
}

static void close_all(void)
{
	while (n_theirs)
		theirs_close(theirs[--n_theirs]);
	zipf_close(scene.zipf);
	floor_close(lines);
	ours_close(ours);
}

static int open_all(const struct set *set, uint32_t places)
{
	ours = ours_open(&scene);
	lines = floor_open(scene.entries);
	scene.zipf = zipf_open(scene.entries);
	for (n_theirs = 0; with_peers && tables[n_theirs]; n_theirs++) {
		if (tables[n_theirs]->context && !set->context)
			break;
		theirs[n_theirs] = theirs_open(&scene, tables[n_theirs], places);
		if (!theirs[n_theirs])
			return -1;
	}
	return 0;
}

/* 0, or -1: a peer with so many places refuses a connection. */
static int run_cases(const struct set *set, uint32_t places, const struct bench_options *options)
{
	int err = open_all(set, places);

	if (!err)
		measure(set, "-fresh", options);
	if (!err && set_wanted(options, set, "")) {
		err = churn();
		if (!err) {
			tell_room(set, peer_places(places));
			measure(set, "", options);
		}
	}
	if (!err)
		verify();
	close_all();
	return err;
}

static void run_set(const struct set *set, uint32_t size, const struct bench_options *options)
{
	uint32_t places = set->equal_load ? power_above(size) : size;

	if (!set_wanted(options, set, "") && !set_wanted(options, set, "-fresh"))
		return;
	for (;; places = power_above(places) + 1) {
		memset(&scene, 0, sizeof(scene));
		scene.v6 = set->v6;
		scene.entries = set->equal_load ? (uint32_t)((uint64_t)places * LOAD / 200 * 2) : size;
		if (!run_cases(set, places, options))
			return;
		if (places / 8 > size)
			bench_fail("a peer refuses connections however large it is");
		bench_note("lookup", "a peer refuses a connection; once more with twice its places");
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	const char *why;

	bench_options_read(&options, argc, argv, "1000,60000,1000000");
	/* rte_hash, two of them, at a power of two: 32 or 64 bytes a key and 8 of bucket */
	why = peers_open(256 + power_above(options.largest) / 5000);
	with_peers = !why;
	if (why)
		bench_note("lookup", why);
	why = tables_missing();
	if (why)
		bench_note("lookup", why);
	for (unsigned int i = 0; i < 8 && options.sizes[i]; i++)
		for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++)
			run_set(&sets[s], options.sizes[i], &options);
	return 0;
}
