/* SPDX-License-Identifier: BSD-2-Clause */
/* test_care.c - which flows a pass over a table's connections looks at, and when, by a fake of the kernel that has no
 * entries. */
#include <netinet/in.h>

#include "conntrack/admit.h"
#include "fake_netlink.h"
#include "unit.h"

/* What each slot has: no flow; traffic since the last look; none; traffic, but it is not time; what an earlier process left. */
enum { NOBODY, BUSY, IDLE, EARLY, LEFT, SLOTS };

static struct fo__ct_kept kept[SLOTS];
static unsigned int n_concluded, ends[SLOTS];

static struct fo__ct_kept *living(void *table, uint32_t slot)
{
	(void)table;
	return slot == NOBODY ? NULL : &kept[slot];
}

static void traffic(void *table, uint32_t slot, uint8_t *proto, uint32_t *packets)
{
	(void)table;
	*proto = IPPROTO_UDP;
	*packets = slot == IDLE ? 0 : 5;
}

static void tuples(void *table, uint32_t slot, struct fo_tuple made[2])
{
	(void)table;
	for (unsigned int i = 0; i < 2; i++)
		made[i] = (struct fo_tuple){.family = FO_FAMILY_IPV4,
					    .proto = IPPROTO_UDP,
					    .sport_be = (uint16_t)(i ? 53 : slot),
					    .dport_be = (uint16_t)(i ? slot : 53)};
}

static void conclude(void *table, uint32_t slot, const struct fo__ct_look *look)
{
	(void)table;
	n_concluded++;
	ends[slot] = look->end;
}

static void has_no_entry(const struct nlmsghdr *request)
{
	fake_ack(request, ENOENT);
}

static struct fo__ct_care *fake_care(void)
{
	static struct fo__ct_care care;

	memset(&care, 0, sizeof(care));
	care.ipsec.dump.fd = care.ipsec.notices.fd = -1;
	fake_open(&care.ask, care.rx, sizeof(care.rx));
	fake_kernel = has_no_entry;
	for (unsigned int i = 0; i < SLOTS; i++)
		kept[i] =
			(struct fo__ct_kept){.timeout_s = 60, .due_s = fo__ct_now_s(), .known = FO__CT_KNOWN};
	kept[EARLY].due_s += 1000;
	kept[LEFT].known = FO__CT_UNREAD;
	n_concluded = 0;
	memset(ends, 0, sizeof(ends));
	return &care;
}

START_TEST(a_pass_a_second_asks_for_what_has_traffic_and_for_what_was_left)
{
	const struct fo__ct_flows flows = {NULL, SLOTS, living, traffic, tuples, conclude};
	struct fo__ct_care *care = fake_care();

	ck_assert(fo__ct_care_due(care, 5000));
	ck_assert(!fo__ct_care_slice(care, &flows));
	ck_assert_uint_eq(fake_requests, 2);
	ck_assert_uint_eq(n_concluded, 2);
	ck_assert(ends[BUSY] == FO_R_LOST && ends[LEFT] == FO_R_LOST);
	ck_assert(!fo__ct_care_due(care, 5999));
	ck_assert(fo__ct_care_due(care, 6000));
}
END_TEST

START_TEST(policies_that_changed_are_asked_about_all_flows_and_entries_at_once_after)
{
	const struct fo__ct_flows flows = {NULL, SLOTS, living, traffic, tuples, conclude};
	struct fo__ct_care *care = fake_care();

	care->recheck = 1;
	ck_assert(fo__ct_care_due(care, 5000));
	ck_assert(!fo__ct_care_slice(care, &flows));
	/* This kernel has none: nothing is asked, and no flow ends. */
	ck_assert_uint_eq(fake_requests, 0);
	ck_assert_uint_eq(n_concluded, SLOTS - 1);
	ck_assert(!ends[BUSY] && !ends[IDLE] && !ends[EARLY] && !ends[LEFT]);
	ck_assert(fo__ct_care_due(care, 5000));
	ck_assert(!fo__ct_care_slice(care, &flows));
	ck_assert_uint_eq(fake_requests, 2);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("care");
	TCase *tc = tcase_create("passes");

	tcase_add_test(tc, a_pass_a_second_asks_for_what_has_traffic_and_for_what_was_left);
	tcase_add_test(tc, policies_that_changed_are_asked_about_all_flows_and_entries_at_once_after);
	suite_add_tcase(suite, tc);
	return suite;
}
