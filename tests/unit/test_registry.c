/* SPDX-License-Identifier: BSD-2-Clause */
/* test_registry.c - backends are registered whole, once, and found by name.
 *
 * What is registered stays for the life of a process; each test has one of its own. How many backends are built
 * in depends on the build, so every expectation counts from there. Neighbours: test_choice.c, fake_backends.h.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/registry.h"
#include "fake_backends.h"
#include "patch.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Registration ---- */

START_TEST(registered_backends_follow_the_built_in_ones)
{
	static struct fo_backend a, b;
	unsigned int base = count_backends();

	a = make("a", 0, probe_rare);
	b = make("fifteen_letters", 9, probe_rare);
	ck_assert_int_eq(fo_backend_register(&a, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&b, NULL), 0);
	ck_assert_uint_eq(count_backends(), base + 2);
	ck_assert_str_eq(fo_backend_name(base), "a");
	ck_assert_str_eq(fo_backend_name(base + 1), "fifteen_letters");
	ck_assert_ptr_eq(fo__backend_at(base), &a);
	ck_assert_ptr_eq(fo__backend_find("fifteen_letters"), &b);
	ck_assert_ptr_null(fo__backend_find("fifteen_letter"));
	ck_assert_ptr_null(fo__backend_find(NULL));
	ck_assert_ptr_null(fo_backend_name(base + 2));
	ck_assert_ptr_null(fo_backend_name(UINT_MAX));
}
END_TEST

static const struct {
	const char *name;
	bool good;
} names[] = {
	{NULL, false},
	{"", false},
	{"auto", false},
	{"automatic", true},
	{"sixteen_letters_", false},
	{"Upper", false},
	{"white space", false},
	{"dot.", false},
	{"line\n", false},
	{"\xc3\xa4", false},
	{"a-z_0-9", true},
	{"0", true},
	{"-", true},
};

START_TEST(names_are_short_and_plain)
{
	static struct fo_backend backend;
	unsigned int base = count_backends();
	struct fo_error err;

	backend = make(names[_i].name, 0, probe_rare);
	if (names[_i].good) {
		ck_assert_int_eq(fo_backend_register(&backend, &err), 0);
		return;
	}
	expect_error(&err, fo_backend_register(&backend, &err), -EINVAL, FO_R_ARGUMENT, "name");
	ck_assert_uint_eq(count_backends(), base);
}
END_TEST

#define MEMBER(member, value) SET(struct fo_backend, member, value)

static const struct refusal bad_backends[] = {
	{{MEMBER(size, 0)}, -EINVAL, FO_R_SIZE, "size"},
	{{MEMBER(size, offsetof(struct fo_backend, sync))}, -EINVAL, FO_R_SIZE, "size"},
	{{MEMBER(abi, 0)}, -EINVAL, FO_R_ARGUMENT, "abi"},
	{{MEMBER(abi, 2)}, -EINVAL, FO_R_ARGUMENT, "abi"},
	{{MEMBER(probe, 0)}, -EINVAL, FO_R_ARGUMENT, "probe"},
	{{MEMBER(create, 0)}, -EINVAL, FO_R_ARGUMENT, "create"},
	{{MEMBER(destroy, 0)}, -EINVAL, FO_R_ARGUMENT, "destroy"},
	{{MEMBER(flow_add, 0)}, -EINVAL, FO_R_ARGUMENT, "flow_add"},
	{{MEMBER(flow_del, 0)}, -EINVAL, FO_R_ARGUMENT, "flow_del"},
};

START_TEST(backends_that_are_incomplete_are_refused)
{
	static struct fo_backend backend;
	unsigned int base = count_backends();
	struct fo_error err;

	backend = make("half", 0, probe_rare);
	patch_apply(&backend, &bad_backends[_i].patch[0]);
	expect_error(&err, fo_backend_register(&backend, &err), bad_backends[_i].code,
		     bad_backends[_i].reason, bad_backends[_i].field);
	ck_assert_int_eq(fo_backend_register(&backend, NULL), bad_backends[_i].code);
	ck_assert_uint_eq(count_backends(), base);
}
END_TEST

START_TEST(null_names_and_the_worker_are_not_for_others)
{
	static struct fo_backend a, same, worker;
	struct fo_error err;
	unsigned int i, base = count_backends();

	expect_error(&err, fo_backend_register(NULL, &err), -EINVAL, FO_R_ARGUMENT, "backend");
	worker = make("worker", 0, probe_worker);
	expect_error(&err, fo_backend_register(&worker, &err), -EOPNOTSUPP, FO_R_UNSUPPORTED, "can");
	a = make("a", 0, probe_rare);
	same = make("a", 1, probe_rich);
	ck_assert_int_eq(fo_backend_register(&a, &err), 0);
	expect_error(&err, fo_backend_register(&same, &err), -EEXIST, FO_R_EXISTS, "name");
	expect_error(&err, fo_backend_register(&a, &err), -EEXIST, FO_R_EXISTS, "name");
	for (i = 0; i < base; i++) {
		same = make(fo_backend_name(i), 1, probe_rich);
		expect_error(&err, fo_backend_register(&same, &err), -EEXIST, FO_R_EXISTS, "name");
	}
	ck_assert_ptr_eq(fo__backend_find("a"), &a);
	ck_assert_uint_eq(count_backends(), base + 1);
}
END_TEST

START_TEST(a_device_that_is_absent_may_register_and_come_later)
{
	static struct fo_backend a;

	a = make("absent", 0, probe_absent);
	ck_assert_int_eq(fo_backend_register(&a, NULL), 0);
}
END_TEST

START_TEST(sixteen_fit_and_the_next_does_not)
{
	static struct fo_backend many[MANY + 1];
	static char many_names[MANY + 1][8];
	unsigned int i, base = count_backends();
	struct fo_error err;

	for (i = 0; i <= MANY; i++) {
		snprintf(many_names[i], sizeof(many_names[i]), "b%u", i);
		many[i] = make(many_names[i], i, probe_rare);
		if (i < MANY)
			ck_assert_int_eq(fo_backend_register(&many[i], NULL), 0);
	}
	ck_assert_int_eq(fo_backend_register(&many[MANY], &err), -ENOSPC);
	ck_assert_int_eq(err.reason, FO_R_FULL);
	ck_assert_uint_eq(count_backends(), base + MANY);
	ck_assert_int_eq(fo_backend_register(&many[3], &err), -EEXIST);
}
END_TEST

struct racer {
	struct fo_backend backend;
	char name[8];
	pthread_barrier_t *start;
	int result;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	racer->result = fo_backend_register(&racer->backend, NULL);
	return NULL;
}

/* Eight names, each by two threads at once: every name gets in exactly once, nobody gets lost. */
START_TEST(threads_that_register_at_once_get_each_name_in_once)
{
	static struct racer racers[MANY];
	pthread_barrier_t start;
	pthread_t threads[MANY];
	unsigned int i, base = count_backends();

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, MANY), 0);
	for (i = 0; i < MANY; i++) {
		snprintf(racers[i].name, sizeof(racers[i].name), "r%u", i / 2);
		racers[i].backend = make(racers[i].name, 0, probe_rare);
		racers[i].start = &start;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(count_backends(), base + MANY / 2);
	for (i = 0; i < MANY; i += 2) {
		int a = racers[i].result, b = racers[i + 1].result;

		ck_assert_msg((a == 0 && b == -EEXIST) || (a == -EEXIST && b == 0), "%d and %d", a, b);
		ck_assert_ptr_eq(fo__backend_find(racers[i].name),
				 a ? &racers[i + 1].backend : &racers[i].backend);
	}
	ck_assert_int_eq(pthread_barrier_destroy(&start), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("registry");
	TCase *registration = tcase_create("registration");

	tcase_add_test(registration, registered_backends_follow_the_built_in_ones);
	tcase_add_loop_test(registration, names_are_short_and_plain, 0, (int)COUNT(names));
	tcase_add_loop_test(registration, backends_that_are_incomplete_are_refused, 0,
			    (int)COUNT(bad_backends));
	tcase_add_test(registration, null_names_and_the_worker_are_not_for_others);
	tcase_add_test(registration, a_device_that_is_absent_may_register_and_come_later);
	tcase_add_test(registration, sixteen_fit_and_the_next_does_not);
	tcase_add_loop_test(registration, threads_that_register_at_once_get_each_name_in_once, 0, 50);
	suite_add_tcase(suite, registration);
	return suite;
}
