/* SPDX-License-Identifier: BSD-2-Clause */
/* test_nft_hardware.c - the nft backend in hardware mode before a kernel of the test's own: what proves that a flow is in
 * hardware, and whose conntrack entry is deleted.
 *
 * That a real kernel behaves so is shown in the lab: tests/nft/live_hardware.c.
 */
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "backends/nft/state.h"
#include "fake_netlink.h"
#include "unit.h"

#define ID     77u
#define COOKIE 5u
#define IN_HW  (IPS_OFFLOAD | FO__NFT_HW_OFFLOAD)

/* What this kernel has. */
static struct {
	int entry; /* conntrack has it */
	uint32_t id, status, deletes;
	uint64_t packets[2], arrived[2];
	unsigned int elements; /* in the sets of who arrived */
} kernel;

static struct fo__nft nft;
static struct fo_tuple tuple[2];
static uint8_t answer_room[4096] __attribute__((aligned(4)));

static void answer(const struct nlmsghdr *request, struct fo__tx *tx)
{
	ck_assert_int_gt(fo__tx_end(tx), 0);
	fake_answer(request, answer_room, tx->used);
}

static void put_tuple(struct fo__tx *tx, uint16_t type, const struct fo_tuple *which)
{
	struct nlattr *whole = fo__tx_open(tx, type), *part = fo__tx_open(tx, CTA_TUPLE_IP);

	fo__tx_put(tx, CTA_IP_V4_SRC, 4, which->src);
	fo__tx_put(tx, CTA_IP_V4_DST, 4, which->dst);
	fo__tx_close(tx, part);
	part = fo__tx_open(tx, CTA_TUPLE_PROTO);
	fo__tx_put_u8(tx, CTA_PROTO_NUM, which->proto);
	fo__tx_put(tx, CTA_PROTO_SRC_PORT, 2, &which->sport_be);
	fo__tx_put(tx, CTA_PROTO_DST_PORT, 2, &which->dport_be);
	fo__tx_close(tx, part);
	fo__tx_close(tx, whole);
}

static void put_be64(struct fo__tx *tx, uint16_t type, uint64_t value)
{
	uint32_t words[2] = {htonl((uint32_t)(value >> 32)), htonl((uint32_t)value)};

	fo__tx_put(tx, type, sizeof(words), words);
}

static void answer_entry(const struct nlmsghdr *request)
{
	struct fo__tx tx;

	fo__tx_begin(&tx, answer_room, sizeof(answer_room), request->nlmsg_seq);
	(void)fo__tx_message(&tx, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, 0, sizeof(struct nfgenmsg));
	put_tuple(&tx, CTA_TUPLE_ORIG, &tuple[0]);
	put_tuple(&tx, CTA_TUPLE_REPLY, &tuple[1]);
	fo__tx_put_be32(&tx, CTA_STATUS, kernel.status);
	fo__tx_put_be32(&tx, CTA_ID, kernel.id);
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct nlattr *nest = fo__tx_open(&tx, dir ? CTA_COUNTERS_REPLY : CTA_COUNTERS_ORIG);

		put_be64(&tx, CTA_COUNTERS_PACKETS, kernel.packets[dir]);
		put_be64(&tx, CTA_COUNTERS_BYTES, kernel.packets[dir] * 100);
		fo__tx_close(&tx, nest);
	}
	answer(request, &tx);
}

static void conntrack(const struct nlmsghdr *request)
{
	int is_delete = request->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE);
	const struct nlattr *attrs[CTA_MAX + 1];
	uint32_t id = 0;

	if (is_delete && !fo__rx_attrs(request, sizeof(struct nfgenmsg), attrs, CTA_MAX) && attrs[CTA_ID])
		ck_assert_int_eq(fo__rx_be32(attrs[CTA_ID], &id), 0);
	if (!kernel.entry || (id && id != kernel.id)) {
		fake_ack(request, ENOENT);
		return;
	}
	if (is_delete) {
		kernel.deletes++;
		kernel.entry = 0;
	} else {
		answer_entry(request);
	}
	if (request->nlmsg_flags & NLM_F_ACK)
		fake_ack(request, 0);
}

static void put_element(struct fo__tx *tx, unsigned int dir)
{
	struct nlattr *element = fo__tx_open(tx, NFTA_LIST_ELEM), *key = fo__tx_open(tx, NFTA_SET_ELEM_KEY),
		      *data;
	uint8_t value[16] = {0};

	memcpy(value, tuple[dir].src, 4);
	memcpy(value + 4, tuple[dir].dst, 4);
	memcpy(value + 8, &tuple[dir].sport_be, 2);
	memcpy(value + 12, &tuple[dir].dport_be, 2);
	fo__tx_put(tx, NFTA_DATA_VALUE, sizeof(value), value);
	fo__tx_close(tx, key);
	key = fo__tx_open(tx, NFTA_SET_ELEM_EXPR);
	fo__tx_put_text(tx, NFTA_EXPR_NAME, "counter");
	data = fo__tx_open(tx, NFTA_EXPR_DATA);
	put_be64(tx, NFTA_COUNTER_PACKETS, kernel.arrived[dir]);
	fo__tx_close(tx, data);
	fo__tx_close(tx, key);
	fo__tx_close(tx, element);
}

static void answer_elements(const struct nlmsghdr *request)
{
	const struct nlattr *attrs[NFTA_SET_ELEM_LIST_MAX + 1];
	struct nlattr *list;
	struct fo__tx tx;
	char set[32];

	ck_assert_int_eq(fo__rx_attrs(request, sizeof(struct nfgenmsg), attrs, NFTA_SET_ELEM_LIST_MAX), 0);
	ck_assert_int_eq(fo__rx_text(attrs[NFTA_SET_ELEM_LIST_SET], set, sizeof(set)), 0);
	if (kernel.elements && !strcmp(set, "seen_udp4")) {
		fo__tx_begin(&tx, answer_room, sizeof(answer_room), request->nlmsg_seq);
		(void)fo__tx_message(&tx, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM, NLM_F_MULTI,
				     sizeof(struct nfgenmsg));
		list = fo__tx_open(&tx, NFTA_SET_ELEM_LIST_ELEMENTS);
		put_element(&tx, 0);
		put_element(&tx, 1);
		fo__tx_close(&tx, list);
		answer(request, &tx);
	}
	fake_done(request);
}

static void play(const struct nlmsghdr *request)
{
	unsigned int message = request->nlmsg_type & 0xff;

	if (request->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK) {
		conntrack(request);
	} else if (request->nlmsg_flags & NLM_F_DUMP && message == NFT_MSG_GETSETELEM) {
		answer_elements(request);
	} else if (request->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES) {
		kernel.elements += message == NFT_MSG_NEWSETELEM;
		kernel.elements -= message == NFT_MSG_DELSETELEM;
		if (request->nlmsg_flags & NLM_F_ACK)
			fake_ack(request, 0);
	}
}

/* ---- The table ---- */

static uint64_t clock_of(struct fo_host *host)
{
	(void)host;
	return 1000;
}

static const struct fo_host_ops ops = {.size = sizeof(ops), .now_ms = clock_of};

static void open_table(void)
{
	static uint8_t rx[FO__NL_RX_ROOM] __attribute__((aligned(4)));
	static struct fo__nft_record records[4];
	static uint32_t buckets[16];
	static struct fo__nft_proof proofs[FO__NFT_PROOFS];
	static uint8_t tx[FO__NFT_TX_ROOM] __attribute__((aligned(4)));
	struct fo__nft_record *record;

	memset(&kernel, 0, sizeof(kernel));
	memset(&nft, 0, sizeof(nft));
	memset(proofs, 0, sizeof(proofs));
	memset(tuple, 0, sizeof(tuple));
	kernel.entry = 1;
	kernel.id = ID;
	kernel.status = IPS_CONFIRMED | IPS_SEEN_REPLY | IN_HW;
	fake_kernel = play;
	fake_open(&nft.ask, rx, sizeof(rx));
	fake_open(&nft.rules, rx, sizeof(rx));
	nft.tx = tx;
	nft.ops = &ops;
	nft.hardware = 1;
	nft.records = records;
	nft.n_slots = 4;
	nft.buckets = buckets;
	nft.n_buckets = 16;
	nft.proofs = proofs;
	fo__nft_records_clear(&nft);
	for (unsigned int dir = 0; dir < 2; dir++) {
		tuple[dir].family = FO_FAMILY_IPV4;
		tuple[dir].proto = IPPROTO_UDP;
		tuple[dir].src[3] = tuple[1 - dir].dst[3] = (uint8_t)(10 + dir);
		tuple[dir].sport_be = htons((uint16_t)(5000 + dir));
		tuple[dir].dport_be = htons((uint16_t)(5001 - dir));
	}
	record = fo__nft_record_take(&nft, 0);
	memset(record, 0, sizeof(*record));
	record->cookie = COOKIE;
	record->tuple = tuple[0];
	record->ct_id = ID;
	record->flags = FO__NFT_HAS_CT;
	record->state = FO_STATE_PARTIAL;
	fo__nft_record_link(&nft, 0);
}

static void look(void)
{
	nft.next_look_ms = 0;
	fo__nft_prove(&nft);
}

/* Elements, and what both had counted by then. */
static void begin_trial(void)
{
	struct fo__ct_entry entry;

	memset(&entry, 0, sizeof(entry));
	memcpy(entry.tuple, tuple, sizeof(entry.tuple));
	fo__nft_proof_want(&nft, 0, &entry);
	fo__nft_proof_want(&nft, 0, &entry);
	ck_assert_uint_eq(nft.n_proofs, 1);
	look();
	ck_assert_uint_eq(kernel.elements, 1);
	look();
}

static int is_proven(void)
{
	return (nft.records[0].flags & FO__NFT_PROVEN) != 0;
}

/* ---- Proofs ---- */

START_TEST(counted_and_not_arrived_both_ways_is_proven)
{
	open_table();
	kernel.packets[0] = kernel.packets[1] = kernel.arrived[0] = kernel.arrived[1] = 3;
	begin_trial();
	look();
	ck_assert(!is_proven());
	kernel.packets[0] += 10;
	look();
	ck_assert(!is_proven());
	kernel.packets[1] += 1;
	look();
	ck_assert(is_proven());
	ck_assert_uint_eq(kernel.elements, 0);
	ck_assert_uint_eq(nft.n_proofs, 0);
}
END_TEST

START_TEST(what_arrives_in_one_direction_proves_nothing)
{
	open_table();
	begin_trial();
	for (unsigned int i = 0; i < 20; i++) {
		kernel.packets[0] += 10;
		kernel.packets[1] += 10;
		kernel.arrived[1] += 10;
		look();
		ck_assert(!is_proven());
	}
	/* One that arrives among many that do not, a TTL perhaps, only puts it off. */
	kernel.packets[1] += 10;
	kernel.arrived[1] += 1;
	look();
	kernel.packets[1] += 10;
	look();
	ck_assert(is_proven());
}
END_TEST

START_TEST(what_is_not_in_hardware_or_another_connection_proves_nothing)
{
	open_table();
	begin_trial();
	kernel.status &= ~FO__NFT_HW_OFFLOAD;
	kernel.packets[0] = kernel.packets[1] = 10;
	look();
	ck_assert(!is_proven());
	kernel.status |= FO__NFT_HW_OFFLOAD;
	kernel.id = ID + 1;
	look();
	ck_assert(!is_proven());
	/* Its flow has ended: the trial, too. */
	nft.records[0].flags |= FO__NFT_QUEUED;
	look();
	ck_assert_uint_eq(nft.n_proofs, 0);
	ck_assert_uint_eq(kernel.elements, 0);
}
END_TEST

START_TEST(a_trial_without_end_makes_room)
{
	open_table();
	begin_trial();
	for (unsigned int i = 0; i < 100 && nft.n_proofs; i++)
		look();
	ck_assert_uint_eq(nft.n_proofs, 0);
	ck_assert_uint_eq(kernel.elements, 0);
}
END_TEST

/* ---- Letting go ---- */

static void wait_for_hardware(void)
{
	nft.records[0].flags |= FO__NFT_QUEUED;
	fo__nft_queue_put(&nft, &nft.wait_head, &nft.wait_tail, 0);
	fo__nft_let_go(&nft);
}

START_TEST(a_flow_in_hardware_loses_its_entry_and_waits)
{
	open_table();
	wait_for_hardware();
	ck_assert_uint_eq(kernel.deletes, 1);
	ck_assert(nft.records[0].flags & FO__NFT_KILLED);
	ck_assert_uint_eq(nft.wait_head, 0);
	ck_assert_uint_gt(fo__nft_let_go_in(&nft), 1000);
	ck_assert_uint_le(fo__nft_let_go_in(&nft), FO__NFT_LET_GO_MS);
	nft.records[0].due_ms = 1000;
	fo__nft_let_go(&nft);
	ck_assert_uint_eq(nft.wait_head, FO__NFT_NO_SLOT);
	ck_assert_uint_eq(nft.left_head, 0);
	ck_assert_uint_eq(kernel.deletes, 1);
}
END_TEST

START_TEST(what_the_kernel_let_go_of_keeps_its_entry)
{
	open_table();
	kernel.status &= ~(uint32_t)IPS_OFFLOAD;
	wait_for_hardware();
	ck_assert_uint_eq(nft.wait_head, 0); /* the driver has it still */
	kernel.status &= ~FO__NFT_HW_OFFLOAD;
	fo__nft_let_go(&nft);
	ck_assert_uint_eq(nft.left_head, 0);
	ck_assert_uint_eq(kernel.deletes, 0);
}
END_TEST

START_TEST(the_next_connection_of_the_tuple_is_spared)
{
	open_table();
	kernel.id = ID + 1;
	wait_for_hardware();
	ck_assert_uint_eq(kernel.deletes, 0);
	ck_assert(kernel.entry);
	ck_assert(nft.records[0].flags & FO__NFT_KILLED);
	ck_assert_uint_eq(nft.wait_head, 0);
}
END_TEST

START_TEST(who_must_wait_for_hardware)
{
	struct fo__ct_entry entry;
	struct fo__nft_record record;

	open_table();
	memset(&entry, 0, sizeof(entry));
	memset(&record, 0, sizeof(record));
	entry.id = record.ct_id = ID;
	ck_assert(!fo__nft_in_hardware(&nft, &record, &entry, 0));
	entry.status = IPS_OFFLOAD;
	ck_assert(fo__nft_in_hardware(&nft, &record, &entry, 0));
	entry.status = FO__NFT_HW_OFFLOAD;
	ck_assert(fo__nft_in_hardware(&nft, &record, &entry, 0));
	entry.status = 0;
	entry.id++;
	ck_assert(fo__nft_in_hardware(&nft, &record, &entry, 0));
	ck_assert(!fo__nft_in_hardware(&nft, &record, NULL, ENOENT)); /* armed in advance, and never came */
	record.flags = FO__NFT_HAS_CT;
	ck_assert(fo__nft_in_hardware(&nft, &record, NULL, ENOENT));
	record.flags = 0;
	ck_assert(fo__nft_in_hardware(&nft, &record, NULL, ENOBUFS));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("nft in hardware mode");
	TCase *proofs = tcase_create("proofs");
	TCase *ends = tcase_create("ends");

	tcase_add_test(proofs, counted_and_not_arrived_both_ways_is_proven);
	tcase_add_test(proofs, what_arrives_in_one_direction_proves_nothing);
	tcase_add_test(proofs, what_is_not_in_hardware_or_another_connection_proves_nothing);
	tcase_add_test(proofs, a_trial_without_end_makes_room);
	suite_add_tcase(suite, proofs);
	tcase_add_test(ends, a_flow_in_hardware_loses_its_entry_and_waits);
	tcase_add_test(ends, what_the_kernel_let_go_of_keeps_its_entry);
	tcase_add_test(ends, the_next_connection_of_the_tuple_is_spared);
	tcase_add_test(ends, who_must_wait_for_hardware);
	suite_add_tcase(suite, ends);
	return suite;
}
