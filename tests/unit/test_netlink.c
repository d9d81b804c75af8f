/* SPDX-License-Identifier: BSD-2-Clause */
/* test_netlink.c - messages that do not fit, attributes that lie about their size, a socket that talks to this kernel. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <unistd.h>

#include "netlink/netlink.h"
#include "unit.h"

#define ROOM 256u

static uint8_t buffer[ROOM] __attribute__((aligned(4)));

START_TEST(what_does_not_fit_is_told_once_at_the_end)
{
	struct fo__tx tx;

	fo__tx_begin(&tx, buffer, 64, 7);
	ck_assert_ptr_nonnull(fo__tx_message(&tx, 100, 0, 4));
	for (int i = 0; i < 10; i++)
		fo__tx_put_u32(&tx, 1, 1);
	fo__tx_close(&tx, fo__tx_open(&tx, 2));
	ck_assert_ptr_null(fo__tx_message(&tx, 101, 0, 4));
	ck_assert_int_eq(fo__tx_end(&tx), -EMSGSIZE);
}
END_TEST

/* Every room from nothing to enough: all of it or an error, and never a byte behind the end. */
START_TEST(no_room_is_too_small_to_be_safe)
{
	int fitted = 0;

	for (size_t room = 0; room <= ROOM - 8; room++) {
		struct nlattr *nest;
		struct fo__tx tx;
		ssize_t size;

		memset(buffer, 0xa5, sizeof(buffer));
		fo__tx_begin(&tx, buffer, room, 1);
		fo__tx_message(&tx, 100, NLM_F_ACK, 16);
		nest = fo__tx_open(&tx, 1);
		fo__tx_put_text(&tx, 2, "device");
		fo__tx_put_be16(&tx, 3, 0x1234);
		fo__tx_close(&tx, nest);
		fo__tx_message(&tx, 101, 0, 4);
		fo__tx_put_u8(&tx, 4, 9);
		size = fo__tx_end(&tx);
		for (size_t i = room; i < ROOM; i++)
			ck_assert_uint_eq(buffer[i], 0xa5);
		ck_assert(size == -EMSGSIZE || (size > 0 && (size_t)size <= room));
		fitted += size > 0;
		ck_assert(size > 0 || !fitted);
	}
	ck_assert_int_gt(fitted, 0);
}
END_TEST

START_TEST(attributes_come_back_as_they_were_written)
{
	const struct nlattr *attrs[8], *inner[8];
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)buffer;
	struct nlattr *nest;
	struct fo__tx tx;
	uint32_t number;
	uint16_t small;
	char text[4];

	fo__tx_begin(&tx, buffer, ROOM, 1);
	fo__tx_message(&tx, 100, 0, 4);
	fo__tx_put_be32(&tx, 3, 0x01020304);
	nest = fo__tx_open(&tx, 5);
	fo__tx_put_be16(&tx, 1, 443);
	fo__tx_put_text(&tx, 2, "longer than four");
	fo__tx_close(&tx, nest);
	ck_assert_int_gt(fo__tx_end(&tx), 0);

	ck_assert_int_eq(fo__rx_attrs(nlh, 4, attrs, 7), 0);
	ck_assert_int_eq(fo__rx_be32(attrs[3], &number), 0);
	ck_assert_uint_eq(number, 0x01020304);
	ck_assert_int_eq(fo__rx_nested(attrs[5], inner, 7), 0);
	ck_assert_int_eq(fo__rx_be16(inner[1], &small), 0);
	ck_assert_uint_eq(small, 443);
	ck_assert_int_eq(fo__rx_text(inner[2], text, sizeof(text)), 0);
	ck_assert_str_eq(text, "lon");
	ck_assert_int_eq(fo__rx_be32(inner[1], &number), -EPROTO);
	ck_assert_int_eq(fo__rx_be32(inner[7], &number), -ENOENT);
	ck_assert_int_eq(fo__rx_nested(attrs[7], inner, 7), -ENOENT);
}
END_TEST

/* A message that ends anywhere, or whose attribute claims any length: an error or less of it, never more. */
START_TEST(lengths_that_lie_are_refused)
{
	const struct nlattr *attrs[8];
	struct nlmsghdr *nlh;
	struct fo__tx tx;
	uint32_t whole;

	fo__tx_begin(&tx, buffer, ROOM, 1);
	nlh = (struct nlmsghdr *)(void *)buffer;
	fo__tx_message(&tx, 100, 0, 4);
	fo__tx_put_be32(&tx, 1, 1);
	fo__tx_put_text(&tx, 2, "text");
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	whole = nlh->nlmsg_len;
	for (uint32_t length = 0; length < whole; length++) {
		struct nlmsghdr *cut = malloc(length < sizeof(*cut) ? sizeof(*cut) : length);

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, nlh, length < sizeof(*cut) ? sizeof(*cut) : length);
		cut->nlmsg_len = length;
		if (fo__rx_attrs(cut, 4, attrs, 7) == 0)
			/* The last three bytes are padding. */
			ck_assert(!attrs[2] || length >= whole - 3);
		free(cut);
	}
	for (uint32_t claim = 0; claim <= UINT16_MAX; claim += claim < 64 ? 1 : 997) {
		uint16_t length = (uint16_t)claim;
		int rc;

		memcpy(buffer + 20, &length, sizeof(length));
		rc = fo__rx_attrs(nlh, 4, attrs, 7);
		ck_assert(rc == 0 || rc == -EPROTO);
		ck_assert(rc == -EPROTO || (length >= 4 && length <= whole - 20));
	}
}
END_TEST

START_TEST(text_without_an_end_is_refused)
{
	const struct nlattr *attrs[3];
	struct fo__tx tx;
	char text[16];

	fo__tx_begin(&tx, buffer, ROOM, 1);
	fo__tx_message(&tx, 100, 0, 4);
	fo__tx_put(&tx, 1, 4, "open");
	fo__tx_put(&tx, 2, 0, "");
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	ck_assert_int_eq(fo__rx_attrs((struct nlmsghdr *)(void *)buffer, 4, attrs, 2), 0);
	ck_assert_int_eq(fo__rx_text(attrs[1], text, sizeof(text)), -EPROTO);
	ck_assert_int_eq(fo__rx_text(attrs[2], text, sizeof(text)), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(errors_are_whole_and_may_be_unwanted)
{
	struct fo__nl_answer answer = {.error = EPERM, .words = "not yours"};
	struct fo_error err;

	ck_assert_int_eq(fo__nl_refused(NULL, -EPERM, FO_STAGE_INSTALL, &answer, "no"), -EPERM);
	ck_assert_int_eq(fo__nl_refused(&err, -EPERM, FO_STAGE_INSTALL, &answer, "table refused"), -EPERM);
	ck_assert_int_eq(err.reason, FO_R_PERMISSION);
	ck_assert_int_eq(err.backend_errno, EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "table refused"));
	ck_assert_ptr_nonnull(strstr(err.text, "not yours"));
	ck_assert_int_eq(
		fo__nl_refuse(&err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_RESOLVE, 0, "x", "was: %s", err.text),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "was: table refused"));
}
END_TEST

/* ---- This kernel ---- */

static uint8_t rx[FO__NL_RX_ROOM];

static int count_links(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	(void)seq;
	(void)error;
	*(unsigned int *)arg += nlh->nlmsg_type == RTM_NEWLINK;
	return 0;
}

static void ask_links(struct fo__tx *tx, const struct fo__nl *nl, uint16_t flags, int index)
{
	struct ifinfomsg *header;

	fo__tx_begin(tx, buffer, ROOM, nl->seq);
	header = fo__tx_message(tx, RTM_GETLINK, flags, sizeof(*header));
	header->ifi_index = index;
}

START_TEST(a_dump_shows_every_device_and_ends)
{
	unsigned int n = 0, again = 0;
	struct fo__nl nl;
	struct fo__tx tx;

	ck_assert_int_eq(fo__nl_open(&nl, NETLINK_ROUTE, -1, rx, sizeof(rx), NULL), 0);
	ask_links(&tx, &nl, NLM_F_DUMP, 0);
	ck_assert_int_eq(fo__nl_dump(&nl, &tx, count_links, &n, NULL), 0);
	ck_assert_uint_ge(n, 1);
	/* The socket is good for another. */
	ask_links(&tx, &nl, NLM_F_DUMP, 0);
	ck_assert_int_eq(fo__nl_dump(&nl, &tx, count_links, &again, NULL), 0);
	ck_assert_uint_eq(n, again);
	ck_assert_int_eq(fo__nl_dump_step(&nl, count_links, &again), -EINVAL);
	fo__nl_close(&nl);
}
END_TEST

START_TEST(a_request_is_answered_or_refused_with_its_errno)
{
	struct fo__nl_answer answer;
	unsigned int n = 0;
	struct fo__nl nl;
	struct fo__tx tx;

	ck_assert_int_eq(fo__nl_open(&nl, NETLINK_ROUTE, -1, rx, sizeof(rx), NULL), 0);
	ask_links(&tx, &nl, 0, 1);
	ck_assert_int_eq(fo__nl_talk(&nl, &tx, count_links, &n, &answer), 0);
	ck_assert_uint_eq(n, 1);
	ask_links(&tx, &nl, 0, 0x7ffffff0);
	ck_assert_int_eq(fo__nl_talk(&nl, &tx, NULL, NULL, &answer), -ENODEV);
	ck_assert_int_eq(answer.error, ENODEV);
	ck_assert_uint_eq(answer.seq, tx.first_seq);
	fo__nl_close(&nl);
}
END_TEST

#define REQUESTS 50u
#define REFUSED	 20u /* the one that is of no device */

struct in_order {
	uint32_t next; /* sequence number */
	unsigned int refused;
};

static int take_in_order(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error)
{
	struct in_order *order = arg;

	ck_assert_uint_eq(seq, order->next++);
	ck_assert_int_eq(error, nlh ? 0 : ENODEV);
	order->refused += !nlh;
	return 0;
}

/* More than are received at once. */
START_TEST(many_requests_are_answered_in_their_order)
{
	static uint8_t large[REQUESTS * 64] __attribute__((aligned(4)));
	struct fo__nl_answer answer;
	struct in_order order = {0};
	struct fo__nl nl;
	struct fo__tx tx;

	ck_assert_int_eq(fo__nl_open(&nl, NETLINK_ROUTE, -1, rx, sizeof(rx), NULL), 0);
	fo__tx_begin(&tx, large, sizeof(large), nl.seq);
	for (unsigned int i = 0; i < REQUESTS; i++) {
		struct ifinfomsg *header = fo__tx_message(&tx, RTM_GETLINK, 0, sizeof(*header));

		header->ifi_index = i == REFUSED ? 0x7ffffff0 : 1;
	}
	order.next = tx.first_seq;
	ck_assert_int_eq(fo__nl_talk(&nl, &tx, take_in_order, &order, &answer), -ENODEV);
	ck_assert_uint_eq(order.next, tx.first_seq + REQUESTS);
	ck_assert_uint_eq(order.refused, 1);
	ck_assert_uint_eq(answer.seq, tx.first_seq + REFUSED);
	fo__nl_close(&nl);
}
END_TEST

/* Another process's datagram, with sequence number and all, is not taken for the kernel's. */
START_TEST(what_others_send_is_no_answer)
{
	struct fo__nl nl, other;
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct nlmsgerr lie = {.error = -EIO};
	unsigned int n = 0;
	struct fo__tx tx;
	ssize_t size;

	ck_assert_int_eq(fo__nl_open(&nl, NETLINK_USERSOCK, -1, rx, sizeof(rx), NULL), 0);
	ck_assert_int_eq(fo__nl_open(&other, NETLINK_USERSOCK, -1, rx, sizeof(rx), NULL), 0);
	fo__tx_begin(&tx, buffer, ROOM, nl.seq);
	memcpy(fo__tx_message(&tx, NLMSG_ERROR, 0, sizeof(lie)), &lie, sizeof(lie));
	tx.nlh->nlmsg_pid = nl.portid;
	size = fo__tx_end(&tx);
	to.nl_pid = nl.portid;
	ck_assert_int_eq(sendto(other.fd, buffer, (size_t)size, 0, (struct sockaddr *)&to, sizeof(to)), size);
	/* Nobody answers on this family: silence, not the lie. */
	ck_assert_int_eq(fo__nl_notices(&nl, count_links, &n), 0);
	ck_assert_uint_eq(n, 0);
	fo__nl_close(&nl);
	fo__nl_close(&other);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("netlink");
	TCase *tc = tcase_create("messages"), *kernel = tcase_create("kernel");

	tcase_add_test(tc, what_does_not_fit_is_told_once_at_the_end);
	tcase_add_test(tc, no_room_is_too_small_to_be_safe);
	tcase_add_test(tc, attributes_come_back_as_they_were_written);
	tcase_add_test(tc, lengths_that_lie_are_refused);
	tcase_add_test(tc, text_without_an_end_is_refused);
	tcase_add_test(tc, errors_are_whole_and_may_be_unwanted);
	suite_add_tcase(suite, tc);
	tcase_add_test(kernel, a_dump_shows_every_device_and_ends);
	tcase_add_test(kernel, a_request_is_answered_or_refused_with_its_errno);
	tcase_add_test(kernel, many_requests_are_answered_in_their_order);
	tcase_add_test(kernel, what_others_send_is_no_answer);
	suite_add_tcase(suite, kernel);
	return suite;
}
