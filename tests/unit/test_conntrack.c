/* SPDX-License-Identifier: BSD-2-Clause */
/* test_conntrack.c - ctnetlink messages read: whole ones, foreign ones, and every kind of broken one. */
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>

#include "conntrack/conntrack.h"
#include "unit.h"

#define ROOM 1024u

static uint8_t buffer[ROOM] __attribute__((aligned(4)));
static uint8_t icmp_type;

static void put_tuple(struct fo__tx *tx, uint16_t type, int v6, uint8_t proto, uint8_t first, uint16_t port)
{
	struct nlattr *whole = fo__tx_open(tx, type), *part = fo__tx_open(tx, CTA_TUPLE_IP);
	const uint8_t src[16] = {first, 1, 2, 3}, dst[16] = {first, 4, 5, 6};

	fo__tx_put(tx, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, v6 ? 16 : 4, src);
	fo__tx_put(tx, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, v6 ? 16 : 4, dst);
	fo__tx_close(tx, part);
	part = fo__tx_open(tx, CTA_TUPLE_PROTO);
	fo__tx_put_u8(tx, CTA_PROTO_NUM, proto);
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		fo__tx_put_u8(tx, v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, icmp_type);
		fo__tx_put_u8(tx, v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, 0);
		fo__tx_put_be16(tx, v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, port);
	} else {
		fo__tx_put_be16(tx, CTA_PROTO_SRC_PORT, port);
		fo__tx_put_be16(tx, CTA_PROTO_DST_PORT, (uint16_t)(port + 1));
	}
	fo__tx_close(tx, part);
	fo__tx_close(tx, whole);
}

static void put_counters(struct fo__tx *tx, uint16_t type, uint64_t packets)
{
	struct nlattr *nest = fo__tx_open(tx, type);
	uint64_t wire = htobe64(packets), bytes = htobe64(packets * 100);

	fo__tx_put(tx, CTA_COUNTERS_PACKETS, sizeof(wire), &wire);
	fo__tx_put(tx, CTA_COUNTERS_BYTES, sizeof(bytes), &bytes);
	fo__tx_close(tx, nest);
}

/* An entry as a kernel shows it. */
static const struct nlmsghdr *entry(int v6, uint8_t proto)
{
	struct nlattr *nest, *tcp;
	struct fo__tx tx;

	fo__tx_begin(&tx, buffer, ROOM, 1);
	fo__tx_message(&tx, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, 0, sizeof(struct nfgenmsg));
	put_tuple(&tx, CTA_TUPLE_ORIG, v6, proto, 10, 5001);
	put_tuple(&tx, CTA_TUPLE_REPLY, v6, proto, 20, 6001);
	fo__tx_put_be32(&tx, CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_OFFLOAD);
	put_counters(&tx, CTA_COUNTERS_ORIG, UINT64_C(5000000000));
	put_counters(&tx, CTA_COUNTERS_REPLY, 7);
	nest = fo__tx_open(&tx, CTA_PROTOINFO);
	tcp = fo__tx_open(&tx, CTA_PROTOINFO_TCP);
	fo__tx_put_u8(&tx, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_FIN_WAIT);
	fo__tx_close(&tx, tcp);
	fo__tx_close(&tx, nest);
	nest = fo__tx_open(&tx, CTA_HELP);
	fo__tx_put_text(&tx, CTA_HELP_NAME, "ftp");
	fo__tx_close(&tx, nest);
	fo__tx_put_be32(&tx, CTA_ID, 0xdeadbeef);
	fo__tx_put_be16(&tx, CTA_ZONE, 9);
	ck_assert_int_gt(fo__tx_end(&tx), 0);
	return (const struct nlmsghdr *)(const void *)buffer;
}

START_TEST(a_whole_entry_is_read)
{
	struct fo__ct_entry got;

	ck_assert_int_eq(fo__ct_read(entry(_i, IPPROTO_TCP), &got), 0);
	ck_assert_uint_eq(got.tuple[0].family, _i ? FO_FAMILY_IPV6 : FO_FAMILY_IPV4);
	ck_assert_uint_eq(got.tuple[0].src[0], 10);
	ck_assert_uint_eq(got.tuple[1].dst[0], 20);
	ck_assert_uint_eq(be16toh(got.tuple[0].sport_be), 5001);
	ck_assert_uint_eq(be16toh(got.tuple[1].dport_be), 6002);
	ck_assert(got.packets[0] == UINT64_C(5000000000) && got.packets[1] == 7 && got.bytes[1] == 700);
	ck_assert_uint_eq(got.id, 0xdeadbeef);
	ck_assert_uint_eq(got.zone, 9);
	ck_assert_str_eq(got.helper, "ftp");
	ck_assert(fo__ct_established(&got));
	ck_assert_int_eq(fo__ct_closing(&got), FO_R_TCP_FIN);
	ck_assert(!(got.have & FO__CT_TIMEOUT));
}
END_TEST

START_TEST(an_echo_is_read_as_a_flow_says_it)
{
	struct fo__ct_entry got;

	icmp_type = _i ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
	ck_assert_int_eq(fo__ct_read(entry(_i, _i ? IPPROTO_ICMPV6 : IPPROTO_ICMP), &got), 0);
	ck_assert_uint_eq(be16toh(got.tuple[0].sport_be), 5001);
	ck_assert_uint_eq(be16toh(got.tuple[0].dport_be), (unsigned int)icmp_type << 8);
}
END_TEST

START_TEST(other_protocols_are_told_from_broken_ones)
{
	struct fo__ct_entry got;

	icmp_type = ICMP_DEST_UNREACH;
	ck_assert_int_eq(fo__ct_read(entry(0, IPPROTO_ICMP), &got), -EPROTONOSUPPORT);
	/* Each belongs to one family. */
	ck_assert_int_eq(fo__ct_read(entry(1, IPPROTO_ICMP), &got), -EPROTONOSUPPORT);
	ck_assert_int_eq(fo__ct_read(entry(1, IPPROTO_SCTP), &got), -EPROTONOSUPPORT);
}
END_TEST

/* Cut anywhere, or with any byte of it changed to anything: an answer, and not a byte read outside (the sanitizer sees). */
START_TEST(broken_entries_are_refused_or_read_within_bounds)
{
	uint32_t whole = entry(0, IPPROTO_TCP)->nlmsg_len;
	unsigned int refused = 0;

	for (uint32_t i = sizeof(struct nlmsghdr); i < whole; i++)
		for (unsigned int change = 0; change < 256; change += 17) {
			uint8_t *copy = malloc(whole);
			struct fo__ct_entry got;
			int rc;

			ck_assert_ptr_nonnull(copy);
			memcpy(copy, buffer, whole);
			copy[i] ^= (uint8_t)(change + 1);
			rc = fo__ct_read((const struct nlmsghdr *)(const void *)copy, &got);
			ck_assert(rc == 0 || rc == -EPROTO || rc == -EPROTONOSUPPORT);
			refused += rc != 0;
			free(copy);
		}
	ck_assert_uint_gt(refused, 0);
	for (uint32_t length = sizeof(struct nlmsghdr); length < whole; length++) {
		struct nlmsghdr *copy = malloc(length);
		struct fo__ct_entry got;
		int rc;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, buffer, length);
		copy->nlmsg_len = length;
		rc = fo__ct_read(copy, &got);
		ck_assert(rc == 0 || rc == -EPROTO);
		free(copy);
	}
}
END_TEST

START_TEST(states_have_the_names_of_conntrack)
{
	ck_assert_str_eq(fo__ct_tcp_state_name(TCP_CONNTRACK_ESTABLISHED), "ESTABLISHED");
	ck_assert_str_eq(fo__ct_tcp_state_name(TCP_CONNTRACK_TIME_WAIT), "TIME_WAIT");
	ck_assert_str_eq(fo__ct_tcp_state_name(250), "");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("conntrack");
	TCase *tc = tcase_create("entries");

	tcase_add_loop_test(tc, a_whole_entry_is_read, 0, 2);
	tcase_add_loop_test(tc, an_echo_is_read_as_a_flow_says_it, 0, 2);
	tcase_add_test(tc, other_protocols_are_told_from_broken_ones);
	tcase_add_test(tc, broken_entries_are_refused_or_read_within_bounds);
	tcase_add_test(tc, states_have_the_names_of_conntrack);
	suite_add_tcase(suite, tc);
	return suite;
}
