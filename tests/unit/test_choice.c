/* SPDX-License-Identifier: BSD-2-Clause */
/* test_choice.c - backends are probed, and chosen by name or by rank and needs; a refusal says why.
 *
 * Neighbours: test_registry.c, fake_backends.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/registry.h"
#include "core/validate.h"
#include "fake_backends.h"
#include "patch.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct fo_port one_port;

static struct fo_table_options options(const char *backend, uint64_t needs)
{
	struct fo_table_options opts;

	FO_INIT(&one_port);
	one_port.port = 1;
	FO_INIT(&opts);
	opts.backend = backend;
	opts.needs = needs;
	opts.capacity = 10;
	opts.ports = &one_port;
	opts.n_ports = 1;
	ck_assert_int_eq(fo__check_options(&opts, &opts, NULL), 0);
	return opts;
}

/* ---- Choice ---- */

START_TEST(choice_by_name_finds_it_or_lists_those_there_are)
{
	static struct fo_backend a, b;
	struct fo_table_options opts = options("b", RARE);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	a = make("a", 9, probe_rich);
	b = make("b", 1, probe_rare);
	ck_assert_int_eq(fo_backend_register(&a, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&b, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), 0);
	ck_assert_ptr_eq(chosen.backend, &b);
	opts.backend = "c";
	expect_error(&err, fo__backend_choose(&opts, &chosen, &err), -ENOENT, FO_R_NO_BACKEND, "backend");
	ck_assert_ptr_nonnull(strstr(err.text, "\"c\""));
	ck_assert_ptr_nonnull(strstr(err.text, "a, b"));
	ck_assert_ptr_eq(chosen.backend, &b);
	opts.backend = "";
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), -ENOENT);
}
END_TEST

START_TEST(choice_by_name_says_which_need_is_missing)
{
	static struct fo_backend b;
	struct fo_table_options opts = options("b", RARE | FO_CAP_VLAN | FO_CAP_QINQ);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	b = make("b", 1, probe_rare);
	ck_assert_int_eq(fo_backend_register(&b, NULL), 0);
	expect_error(&err, fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP, FO_R_NEEDS, "needs");
	ck_assert_ptr_nonnull(strstr(err.text, "backend b lacks vlan, qinq"));
	ck_assert_ptr_null(chosen.backend);
	opts = options("b", RARE);
	opts.flags = FO_TABLE_PERSIST;
	expect_error(&err, fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP, FO_R_NEEDS, "needs");
	ck_assert_ptr_nonnull(strstr(err.text, "persist"));
}
END_TEST

START_TEST(choice_by_name_passes_the_backends_own_words_on)
{
	static struct fo_backend absent, silent, absurd;
	struct fo_table_options opts = options("absent", 0);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	absent = make("absent", 1, probe_absent);
	silent = make("silent", 1, probe_silent);
	absurd = make("absurd", 1, probe_absurd);
	ck_assert_int_eq(fo_backend_register(&absent, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&silent, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&absurd, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -ENODEV);
	ck_assert_str_eq(err.text, "no such silicon here");
	ck_assert_int_eq(err.code, -ENODEV);
	ck_assert_int_eq(err.backend_errno, ENXIO);
	ck_assert_int_eq(err.reason, FO_R_PORT);
	opts.backend = "silent";
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EPERM);
	ck_assert_int_eq(err.code, -EPERM);
	ck_assert_int_eq(err.reason, FO_R_BACKEND);
	ck_assert_ptr_nonnull(strstr(err.text, "silent"));
	opts.backend = "absurd";
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EIO);
	ck_assert_int_eq(err.code, -EIO);
	ck_assert_ptr_null(chosen.backend);
}
END_TEST

START_TEST(choice_completes_an_error_that_a_backend_left_half_empty)
{
	static struct fo_backend terse;
	struct fo_table_options opts = options("terse", 0);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	terse = make("terse", 1, probe_terse);
	ck_assert_int_eq(fo_backend_register(&terse, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EIO);
	ck_assert_int_eq(err.code, -EIO);
	ck_assert_int_eq(err.reason, FO_R_BACKEND);
	ck_assert_str_eq(err.text, "the cable is out");
}
END_TEST

START_TEST(choice_by_auto_that_fails_for_needs_alone_says_so)
{
	static struct fo_backend rare;
	struct fo_table_options opts = options(NULL, RARE | FO_CAP_VLAN);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	rare = make("rare", 1, probe_rare);
	ck_assert_int_eq(fo_backend_register(&rare, NULL), 0);
	expect_error(&err, fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP, FO_R_NEEDS, "needs");
	ck_assert_ptr_nonnull(strstr(err.text, "rare lacks vlan"));
}
END_TEST

START_TEST(choice_by_auto_takes_the_highest_rank_that_fits)
{
	static struct fo_backend absent, rare, rich, equal;
	struct fo_table_options opts = options(NULL, RARE);
	struct fo__choice chosen = {.backend = NULL};

	absent = make("absent", 900, probe_absent);
	rich = make("rich", 10, probe_rich);
	rare = make("rare", 20, probe_rare);
	equal = make("equal", 20, probe_rare);
	ck_assert_int_eq(fo_backend_register(&rich, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&rare, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&equal, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&absent, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &rare);
	opts = options("auto", RARE | FO_CAP_VLAN);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &rich);
}
END_TEST

START_TEST(choice_by_auto_says_for_each_backend_why_not)
{
	static struct fo_backend absent, rare;
	struct fo_table_options opts = options(NULL, RARE | FO_CAP_NETNS | FO_CAP_PERSIST);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	absent = make("absent", 900, probe_absent);
	rare = make("rare", 800, probe_rare);
	ck_assert_int_eq(fo_backend_register(&absent, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&rare, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP);
	ck_assert_int_eq(err.code, -EOPNOTSUPP);
	ck_assert_int_eq(err.reason, FO_R_NEEDS);
	ck_assert_str_eq(err.field, "needs");
	ck_assert_msg(strstr(err.text, "absent: no such silicon here; rare lacks persist, netns") != NULL,
		      "%s", err.text);
	ck_assert_ptr_null(chosen.backend);
}
END_TEST

/* The story of many refusals is cut, not overrun. */
START_TEST(choice_by_auto_among_many_tells_what_fits_the_text)
{
	static struct fo_backend many[MANY];
	static char many_names[MANY][16];
	struct fo_table_options opts = options(NULL, FO__CAP_ALL);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		snprintf(many_names[i], sizeof(many_names[i]), "backend-no-%u", i);
		many[i] = make(many_names[i], 1000 - i, probe_rare);
		ck_assert_int_eq(fo_backend_register(&many[i], NULL), 0);
	}
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP);
	ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
	ck_assert_ptr_nonnull(strstr(err.text, "backend-no-0 lacks ipv6"));
	opts.backend = "nobody";
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "backend-no-0, backend-no-1"));
}
END_TEST

/* Works in hardware when it is asked to, where the first port is odd. */
static int probe_dual(const struct fo_table_options *opts, struct fo_caps *caps, struct fo_error *err)
{
	caps->can = RARE | FO_CAP_IPV4;
	if (!opts || !(opts->needs & FO_CAP_HARDWARE))
		return 0;
	if (!(opts->ports[0].port & 1))
		return fo__fail_backend(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, EOPNOTSUPP,
					"ports", "port %u has no silicon", opts->ports[0].port);
	caps->can = (caps->can & ~FO_CAP_IPV4) | FO_CAP_HARDWARE;
	return 0;
}

static uint64_t needs_at_create;

static int dual_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		       struct fo_error *err)
{
	needs_at_create = config->options->needs;
	*priv = NULL;
	memset(caps->choice, 'z', sizeof(caps->choice));
	return probe_dual(config->options, caps, err);
}

static struct fo_backend make_dual(void)
{
	struct fo_backend dual = make("dual", 10, probe_dual);

	dual.hardware_rank = FO_RANK_NFT_HARDWARE;
	dual.create = dual_create;
	return dual;
}

START_TEST(choice_by_auto_asks_for_hardware_at_a_rank_of_its_own)
{
	static struct fo_backend dual, middle;
	struct fo_table_options opts = options(NULL, RARE);
	struct fo__choice chosen = {.backend = NULL};

	dual = make_dual();
	middle = make("middle", 60, probe_rare);
	ck_assert_int_eq(fo_backend_register(&middle, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&dual, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &dual);
	ck_assert(chosen.needs == FO_CAP_HARDWARE);
	ck_assert_msg(strstr(chosen.why, "auto took dual in hardware") != NULL, "%s", chosen.why);
	/* The device has none, ... */
	one_port.port = 2;
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &middle);
	ck_assert(chosen.needs == 0);
	ck_assert_msg(strstr(chosen.why, "auto took middle; before it:") != NULL, "%s", chosen.why);
	ck_assert_msg(strstr(chosen.why, "dual in hardware: port 2 has no silicon") != NULL, "%s",
		      chosen.why);
	/* ... or what is needed is not done by it: its other offer comes when all above have been asked. */
	one_port.port = 1;
	opts = options(NULL, RARE | FO_CAP_IPV4);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &middle);
	ck_assert_msg(strstr(chosen.why, "dual in hardware lacks ipv4") != NULL, "%s", chosen.why);
}
END_TEST

START_TEST(choice_by_auto_comes_back_to_the_same_backend_without_hardware)
{
	static struct fo_backend dual, middle;
	struct fo_table_options opts = options(NULL, RARE | FO_CAP_IPV4);
	struct fo__choice chosen = {.backend = NULL};
	struct fo_error err;

	dual = make_dual();
	middle = make("middle", 60, probe_absent);
	ck_assert_int_eq(fo_backend_register(&middle, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&dual, NULL), 0);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, NULL), 0);
	ck_assert_ptr_eq(chosen.backend, &dual);
	ck_assert(chosen.needs == 0);
	ck_assert_msg(strstr(chosen.why, "auto took dual; before it:") != NULL, "%s", chosen.why);
	ck_assert_msg(strstr(chosen.why, "middle: no such silicon here") != NULL, "%s", chosen.why);
	opts = options(NULL, RARE | FO_CAP_IPV4 | FO_CAP_HARDWARE);
	ck_assert_int_eq(fo__backend_choose(&opts, &chosen, &err), -EOPNOTSUPP);
	ck_assert_int_eq(err.reason, FO_R_NEEDS);
}
END_TEST

/* The table is held to what was offered, and its caps tell the choice, whatever the backend writes there. */
START_TEST(choice_is_told_by_the_table_and_kept)
{
	static struct fo_backend dual;
	struct fo_table_options opts = options(NULL, RARE);
	struct fo_table *table;
	struct fo_caps caps;

	dual = make_dual();
	ck_assert_int_eq(fo_backend_register(&dual, NULL), 0);
	FO_INIT(&caps);
	ck_assert_int_eq(fo_table_create(&opts, &table, NULL), 0);
	ck_assert(needs_at_create == (RARE | FO_CAP_HARDWARE));
	ck_assert_int_eq(fo_table_caps(table, &caps, NULL), 0);
	ck_assert_msg(strstr(caps.choice, "auto took dual in hardware") != NULL, "%s", caps.choice);
	fo_table_destroy(table);
	opts.backend = "dual";
	ck_assert_int_eq(fo_table_create(&opts, &table, NULL), 0);
	ck_assert(needs_at_create == RARE);
	ck_assert_int_eq(fo_table_caps(table, &caps, NULL), 0);
	ck_assert_str_eq(caps.choice, "");
	fo_table_destroy(table);
	ck_assert_int_eq(fo_backend_probe("dual", &opts, &caps, NULL), 0);
	ck_assert_str_eq(caps.choice, "");
}
END_TEST

START_TEST(built_in_backends_have_the_ranks_of_the_header)
{
	static const struct {
		const char *name;
		uint32_t rank, hardware;
	} ranks[] = {
		{"soft", FO_RANK_SOFT, 0},
		{"nft", FO_RANK_NFT, FO_RANK_NFT_HARDWARE},
		{"bpf", FO_RANK_BPF, 0},
		{"tc", FO_RANK_TC_HARDWARE, 0},
	};
	unsigned int i, k;

	ck_assert_uint_lt(FO_RANK_SOFT, FO_RANK_NFT);
	ck_assert_uint_lt(FO_RANK_NFT, FO_RANK_BPF);
	ck_assert_uint_lt(FO_RANK_BPF, FO_RANK_TC_HARDWARE);
	ck_assert_uint_lt(FO_RANK_TC_HARDWARE, FO_RANK_NFT_HARDWARE);
	for (i = 0; fo__builtin[i]; i++) {
		for (k = 0; k < COUNT(ranks) && strcmp(ranks[k].name, fo__builtin[i]->name) != 0; k++)
			;
		ck_assert_uint_lt(k, COUNT(ranks));
		ck_assert_uint_eq(fo__builtin[i]->rank, ranks[k].rank);
		ck_assert_uint_eq(fo__builtin[i]->hardware_rank, ranks[k].hardware);
	}
}
END_TEST

/* ---- Probe ---- */

START_TEST(probe_answers_with_whole_caps)
{
	static struct fo_backend rich;
	struct fo_caps caps;
	size_t i;

	rich = make("rich", 1, probe_rich);
	ck_assert_int_eq(fo_backend_register(&rich, NULL), 0);
	FO_INIT(&caps);
	ck_assert_int_eq(fo_backend_probe("rich", NULL, &caps, NULL), 0);
	ck_assert_uint_eq(caps.size, sizeof(caps));
	ck_assert_str_eq(caps.backend, "rich");
	for (i = strlen("rich"); i < sizeof(caps.backend); i++)
		ck_assert_int_eq(caps.backend[i], 0);
	ck_assert_uint_eq(strlen(caps.text), sizeof(caps.text) - 1);
	ck_assert(caps.can == (RARE | FO_CAP_IPV4 | FO_CAP_VLAN | FO_CAP_PERSIST));
}
END_TEST

START_TEST(probe_fits_an_older_callers_caps)
{
	static struct fo_backend rich;
	unsigned char memory[sizeof(struct fo_caps)];
	struct fo_caps caps;
	size_t size = offsetof(struct fo_caps, max_flows);

	rich = make("rich", 1, probe_rich);
	ck_assert_int_eq(fo_backend_register(&rich, NULL), 0);
	memset(memory, 0xa5, sizeof(memory));
	memcpy(memory, &size, sizeof(size));
	ck_assert_int_eq(fo_backend_probe("rich", NULL, (struct fo_caps *)(void *)memory, NULL), 0);
	memcpy(&caps, memory, sizeof(caps));
	ck_assert_uint_eq(caps.size, size);
	ck_assert(caps.can == (RARE | FO_CAP_IPV4 | FO_CAP_VLAN | FO_CAP_PERSIST));
	ck_assert_int_eq(memory[size], 0xa5);
}
END_TEST

START_TEST(probe_says_why_not_in_caps_and_error)
{
	static struct fo_backend absent, rare;
	struct fo_table_options opts = options(NULL, RARE | FO_CAP_QINQ);
	struct fo_caps caps;
	struct fo_error err;

	absent = make("absent", 1, probe_absent);
	rare = make("rare", 1, probe_rare);
	ck_assert_int_eq(fo_backend_register(&absent, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&rare, NULL), 0);
	FO_INIT(&caps);
	ck_assert_int_eq(fo_backend_probe("absent", NULL, &caps, &err), -ENODEV);
	ck_assert_str_eq(caps.text, "no such silicon here");
	ck_assert_str_eq(err.text, "no such silicon here");
	ck_assert_str_eq(caps.backend, "absent");
	ck_assert_int_eq(fo_backend_probe("absent", NULL, &caps, NULL), -ENODEV);
	ck_assert_int_eq(fo_backend_probe("rare", NULL, &caps, &err), 0);
	expect_error(&err, fo_backend_probe("rare", &opts, &caps, &err), -EOPNOTSUPP, FO_R_NEEDS, "needs");
	ck_assert_ptr_nonnull(strstr(caps.text, "qinq"));
	ck_assert(caps.can == (RARE | FO_CAP_IPV4));
}
END_TEST

START_TEST(probe_refuses_bad_arguments_and_leaves_caps_alone)
{
	static struct fo_backend rare, late;
	struct fo_table_options opts = options(NULL, 0);
	struct fo_caps caps, untouched;
	struct fo_error err;

	rare = make("rare", 1, probe_rare);
	late = make("late", 1, probe_late_worker);
	ck_assert_int_eq(fo_backend_register(&rare, NULL), 0);
	ck_assert_int_eq(fo_backend_register(&late, NULL), 0);
	memset(&caps, 0xa5, sizeof(caps));
	caps.size = sizeof(caps);
	untouched = caps;
	expect_error(&err, fo_backend_probe(NULL, NULL, &caps, &err), -EINVAL, FO_R_ARGUMENT, "name");
	expect_error(&err, fo_backend_probe("gone", NULL, &caps, &err), -ENOENT, FO_R_NO_BACKEND, "backend");
	expect_error(&err, fo_backend_probe("auto", NULL, &caps, &err), -ENOENT, FO_R_NO_BACKEND, "backend");
	opts.capacity = 0;
	expect_error(&err, fo_backend_probe("rare", &opts, &caps, &err), -EINVAL, FO_R_ARGUMENT, "capacity");
	expect_error(&err, fo_backend_probe("rare", NULL, NULL, &err), -EINVAL, FO_R_ARGUMENT, "caps");
	ck_assert_mem_eq(&caps, &untouched, sizeof(caps));
	caps.size = sizeof(size_t);
	expect_error(&err, fo_backend_probe("rare", NULL, &caps, &err), -EINVAL, FO_R_SIZE, "size");
	caps.size = sizeof(caps);
	opts = options(NULL, 0);
	expect_error(&err, fo_backend_probe("late", &opts, &caps, &err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
		     "can");
}
END_TEST

START_TEST(built_in_backends_keep_to_the_contract)
{
	unsigned int i;

	for (i = 0; fo__builtin[i]; i++) {
		const struct fo_backend *backend = fo__builtin[i];
		struct fo_table_options opts = options(backend->name, 0);
		struct fo_caps caps;
		struct fo_error err;

		ck_assert_uint_eq(backend->size, sizeof(*backend));
		ck_assert_uint_eq(backend->abi, FO_BACKEND_ABI);
		ck_assert_uint_le(strlen(backend->name), 15);
		ck_assert(backend->probe && backend->create && backend->destroy && backend->flow_add &&
			  backend->flow_del);
		FO_INIT(&caps);
		if (!fo_backend_probe(backend->name, &opts, &caps, &err)) {
			ck_assert_str_eq(caps.backend, backend->name);
			ck_assert((caps.can & ~FO__CAP_ALL) == 0);
			ck_assert(!(caps.can & FO_CAP_WORKER) == !caps.max_workers);
		} else {
			ck_assert_uint_gt(strlen(err.text), 20);
		}
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("choice");
	TCase *choice = tcase_create("choice");
	TCase *probe = tcase_create("probe");

	tcase_add_test(choice, choice_by_name_finds_it_or_lists_those_there_are);
	tcase_add_test(choice, choice_by_name_says_which_need_is_missing);
	tcase_add_test(choice, choice_by_name_passes_the_backends_own_words_on);
	tcase_add_test(choice, choice_completes_an_error_that_a_backend_left_half_empty);
	tcase_add_test(choice, choice_by_auto_that_fails_for_needs_alone_says_so);
	tcase_add_test(choice, choice_by_auto_takes_the_highest_rank_that_fits);
	tcase_add_test(choice, choice_by_auto_says_for_each_backend_why_not);
	tcase_add_test(choice, choice_by_auto_among_many_tells_what_fits_the_text);
	tcase_add_test(choice, choice_by_auto_asks_for_hardware_at_a_rank_of_its_own);
	tcase_add_test(choice, choice_by_auto_comes_back_to_the_same_backend_without_hardware);
	tcase_add_test(choice, choice_is_told_by_the_table_and_kept);
	tcase_add_test(choice, built_in_backends_have_the_ranks_of_the_header);
	suite_add_tcase(suite, choice);
	tcase_add_test(probe, probe_answers_with_whole_caps);
	tcase_add_test(probe, probe_fits_an_older_callers_caps);
	tcase_add_test(probe, probe_says_why_not_in_caps_and_error);
	tcase_add_test(probe, probe_refuses_bad_arguments_and_leaves_caps_alone);
	tcase_add_test(probe, built_in_backends_keep_to_the_contract);
	suite_add_tcase(suite, probe);
	return suite;
}
