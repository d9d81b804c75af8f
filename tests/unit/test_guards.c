/* SPDX-License-Identifier: BSD-2-Clause */
/* test_guards.c - what the kernel says of a connection before it may leave the slow path, by a fake of the kernel:
 * conntrack entries that do not fit, changes that are refused one by one, IPsec policies, devices; and broken messages. */
#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "conntrack/conntrack.h"
#include "conntrack/ipsec.h"
#include "netlink/link.h"
#include "fake_netlink.h"
#include "unit.h"

static uint8_t rx[FO__NL_RX_ROOM], tx[FO__CT_TX_ROOM] __attribute__((aligned(4)));
static uint8_t buffer[1024] __attribute__((aligned(4)));

static struct fo_tuple tuple(const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t proto)
{
	struct fo_tuple made = {.family = FO_FAMILY_IPV4, .proto = proto};

	made.sport_be = htons(sport);
	made.dport_be = htons(dport);
	ck_assert_int_eq(inet_pton(AF_INET, src, made.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET, dst, made.dst), 1);
	return made;
}

/* ---- entries ---- */

static const struct {
	struct fo__ct_entry entry;
	int code;
	enum fo_reason reason;
	const char *word;
} unfit[] = {
	{{.have = FO__CT_HELPER, .helper = "ftp"}, -EOPNOTSUPP, FO_R_UNSUPPORTED, "ftp"},
	{{.have = FO__CT_HELPER}, -EOPNOTSUPP, FO_R_UNSUPPORTED, "no name"},
	{{.status = IPS_SEQ_ADJUST}, -EOPNOTSUPP, FO_R_UNSUPPORTED, "sequence numbers"},
	{{.have = FO__CT_TCP_STATE, .tcp_state = TCP_CONNTRACK_LAST_ACK}, -EBUSY, FO_R_CLOSING, "LAST_ACK"},
	{{.status = IPS_DYING}, -EBUSY, FO_R_CLOSING, "dying"},
};

START_TEST(entries_that_must_stay_are_refused_with_their_reason)
{
	struct fo_error err;

	ck_assert_int_eq(fo__ct_fits(&unfit[_i].entry, &err), unfit[_i].code);
	ck_assert_int_eq(err.reason, unfit[_i].reason);
	ck_assert_ptr_nonnull(strstr(err.text, unfit[_i].word));
	ck_assert_str_eq(err.field, "tuple[0]");
}
END_TEST

START_TEST(an_entry_carries_a_connection_either_way_round)
{
	struct fo_tuple there = tuple("10.0.0.1", 1000, "192.0.2.1", 80, IPPROTO_TCP);
	struct fo_tuple back = tuple("192.0.2.1", 80, "203.0.113.1", 2000, IPPROTO_TCP);
	struct fo__ct_entry entry = {.tuple = {there, back}};
	struct fo_tuple flow[2] = {there, back}, turned[2] = {back, there};
	struct fo_error err;
	int reversed;

	ck_assert(fo__ct_carries(&entry, flow, &reversed) && !reversed);
	ck_assert(fo__ct_carries(&entry, turned, &reversed) && reversed);
	flow[1].dport_be = htons(2001);
	ck_assert(!fo__ct_carries(&entry, flow, &reversed));
	ck_assert_int_eq(fo__ct_contradicts(&entry, flow, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "from 192.0.2.1 80 to 203.0.113.1 2000"));
}
END_TEST

/* ---- changes ---- */

#define WISHES 300u

static unsigned int silent_after;

/* Every third entry is gone, every seventh is busy. */
static void conntrack(const struct nlmsghdr *request)
{
	unsigned int n = fake_requests - 1;

	ck_assert_uint_eq(request->nlmsg_type, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW);
	ck_assert(!(request->nlmsg_flags & NLM_F_CREATE));
	if (n < silent_after)
		fake_ack(request, n % 3 == 0 ? ENOENT : n % 7 == 0 ? EBUSY : 0);
}

static int change(int errors[WISHES])
{
	struct fo_tuple there = tuple("10.0.0.1", 1000, "192.0.2.1", 80, IPPROTO_TCP);
	struct fo__ct_wish wishes[WISHES];
	struct fo__nl nl;

	for (unsigned int i = 0; i < WISHES; i++)
		wishes[i] = (struct fo__ct_wish){{&there, 0}, FO__CT_BE_LIBERAL | FO__CT_SET_TIMEOUT, 100};
	memset(errors, 0xff, WISHES * sizeof(*errors));
	fake_open(&nl, rx, sizeof(rx));
	fake_kernel = conntrack;
	return fo__ct_change(&nl, tx, wishes, WISHES, errors);
}

START_TEST(each_change_has_its_own_answer)
{
	int errors[WISHES];

	silent_after = WISHES;
	ck_assert_int_eq(change(errors), 0);
	ck_assert_uint_eq(fake_requests, WISHES);
	for (unsigned int i = 0; i < WISHES; i++)
		ck_assert_int_eq(errors[i], i % 3 == 0 ? ENOENT : i % 7 == 0 ? EBUSY : 0);
}
END_TEST

START_TEST(a_missing_answer_is_no_yes)
{
	int errors[WISHES];

	silent_after = 200;
	ck_assert_int_eq(change(errors), -EIO);
	for (unsigned int i = 0; i < FO__CT_GET_MOST; i++)
		ck_assert_int_eq(errors[i], i % 3 == 0 ? ENOENT : i % 7 == 0 ? EBUSY : 0);
	for (unsigned int i = FO__CT_GET_MOST; i < WISHES; i++)
		ck_assert_int_ne(errors[i], 0);
}
END_TEST

/* ---- IPsec ---- */

struct policy {
	const char *src, *dst;
	uint8_t src_bits, dst_bits, way, action;
	uint8_t templates, proto;
	uint16_t dport;
	uint32_t priority, mark, interface;
};

static const struct nlmsghdr *policy_message(const struct policy *policy)
{
	struct xfrm_user_tmpl templates[2] = {{.family = AF_INET}};
	struct xfrm_mark mark = {policy->mark, policy->mark};
	struct xfrm_userpolicy_info *info;
	struct fo__tx message;

	fo__tx_begin(&message, buffer, sizeof(buffer), 1);
	info = fo__tx_message(&message, XFRM_MSG_NEWPOLICY, 0, sizeof(*info));
	info->sel.family = AF_INET;
	info->sel.prefixlen_s = policy->src_bits;
	info->sel.prefixlen_d = policy->dst_bits;
	info->sel.proto = policy->proto;
	info->sel.dport = htons(policy->dport);
	info->sel.dport_mask = policy->dport ? 0xffff : 0;
	info->dir = policy->way;
	info->action = policy->action;
	info->priority = policy->priority;
	(void)inet_pton(AF_INET, policy->src ? policy->src : "0.0.0.0", &info->sel.saddr);
	(void)inet_pton(AF_INET, policy->dst ? policy->dst : "0.0.0.0", &info->sel.daddr);
	if (policy->templates)
		fo__tx_put(&message, XFRMA_TMPL, policy->templates * sizeof(templates[0]), templates);
	if (policy->mark)
		fo__tx_put(&message, XFRMA_MARK, sizeof(mark), &mark);
	if (policy->interface)
		fo__tx_put_u32(&message, XFRMA_IF_ID, policy->interface);
	ck_assert_int_gt(fo__tx_end(&message), 0);
	return (const struct nlmsghdr *)(const void *)buffer;
}

#define TUNNEL .templates = 1, .action = XFRM_POLICY_ALLOW

/* The connection: 10.0.0.1:1000 -> 192.0.2.1:80, masqueraded as 203.0.113.1:2000. */
static const struct {
	struct policy policies[2];
	uint8_t met;
} worlds[] = {
	{{{.way = XFRM_POLICY_OUT, .dst = "192.0.2.0", .dst_bits = 24, TUNNEL}}, 1},
	{{{.way = XFRM_POLICY_FWD, .src = "192.0.2.1", .src_bits = 32, TUNNEL}}, 2},
	{{{.way = XFRM_POLICY_OUT, .src = "203.0.113.1", .src_bits = 32, TUNNEL}}, 1}, /* after translation */
	{{{.way = XFRM_POLICY_IN, .dst = "203.0.113.1", .dst_bits = 32, TUNNEL}},
	 2}, /* before it is undone */
	{{{.way = XFRM_POLICY_OUT, .dst = "192.0.2.0", .dst_bits = 25, .action = XFRM_POLICY_BLOCK}}, 1},
	{{{.way = XFRM_POLICY_OUT, .dst = "192.0.2.128", .dst_bits = 25, TUNNEL}}, 0},
	{{{.way = XFRM_POLICY_OUT, .proto = IPPROTO_UDP, TUNNEL}}, 0},
	{{{.way = XFRM_POLICY_OUT, .dport = 81, TUNNEL}}, 0},
	{{{.way = XFRM_POLICY_OUT, .dport = 80, TUNNEL}}, 1},
	{{{.way = XFRM_POLICY_OUT, .action = XFRM_POLICY_ALLOW}}, 0}, /* nothing to transform */
	{{{.way = XFRM_POLICY_OUT, .interface = 5, TUNNEL}}, 0},
	{{{.way = XFRM_POLICY_OUT, .mark = 5, TUNNEL}}, 1},
	{{{.way = XFRM_POLICY_MAX, TUNNEL}}, 0}, /* a socket's */
	{{{.way = XFRM_POLICY_OUT, .priority = 9, TUNNEL},
	  {.way = XFRM_POLICY_OUT, .priority = 3, .action = XFRM_POLICY_ALLOW}},
	 0},
	{{{.way = XFRM_POLICY_OUT, .priority = 3, .action = XFRM_POLICY_ALLOW},
	  {.way = XFRM_POLICY_OUT, .priority = 2, .dport = 80, TUNNEL}},
	 1},
	{{{.way = XFRM_POLICY_OUT, .priority = 3, .action = XFRM_POLICY_ALLOW},
	  {.way = XFRM_POLICY_OUT, .priority = 3, TUNNEL}},
	 1},
	{{{.way = XFRM_POLICY_OUT, .priority = 9, TUNNEL},
	  {.way = XFRM_POLICY_OUT, .priority = 3, .mark = 1, .action = XFRM_POLICY_ALLOW}},
	 1},
	{{{.way = XFRM_POLICY_OUT, .priority = 9, TUNNEL},
	  {.way = XFRM_POLICY_FWD, .priority = 3, .action = XFRM_POLICY_ALLOW}},
	 1},
};

static const struct policy *world;
static int garbled;

static void xfrm(const struct nlmsghdr *request)
{
	const struct nlmsghdr *shown;

	ck_assert_uint_eq(request->nlmsg_type, XFRM_MSG_GETPOLICY);
	for (unsigned int i = 0; world && i < 2; i++)
		if (world[i].way || world[i].action || world[i].templates) {
			shown = policy_message(&world[i]);
			fake_answer(request, shown, garbled ? sizeof(*shown) + 8 : shown->nlmsg_len);
		}
	fake_done(request);
}

static int judge(struct fo__ipsec *ipsec, uint8_t met[2])
{
	struct fo_tuple in[2] = {tuple("10.0.0.1", 1000, "192.0.2.1", 80, IPPROTO_TCP),
				 tuple("192.0.2.1", 80, "203.0.113.1", 2000, IPPROTO_TCP)};
	struct fo_tuple out[2] = {tuple("203.0.113.1", 2000, "192.0.2.1", 80, IPPROTO_TCP),
				  tuple("192.0.2.1", 80, "10.0.0.1", 1000, IPPROTO_TCP)};
	struct fo_tuple elsewhere[2] = {tuple("172.16.0.1", 1, "172.16.0.2", 2, IPPROTO_ICMP),
					tuple("172.16.0.2", 2, "172.16.0.1", 1, IPPROTO_ICMP)};
	struct fo__ipsec_flow flows[2] = {{in, out}, {elsewhere, elsewhere}};

	fake_kernel = xfrm;
	return fo__ipsec_judge(ipsec, flows, 2, met);
}

static struct fo__ipsec *fake_ipsec(void)
{
	static struct fo__ipsec ipsec;

	ipsec.none = 0;
	fake_open(&ipsec.notices, rx, sizeof(rx));
	fake_open(&ipsec.dump, rx, sizeof(rx));
	return &ipsec;
}

START_TEST(policies_are_weighed_as_the_kernel_does)
{
	uint8_t met[2];

	world = worlds[_i].policies;
	ck_assert_int_eq(judge(fake_ipsec(), met), 0);
	ck_assert_uint_eq(met[0], worlds[_i].met);
}
END_TEST

START_TEST(without_policies_nothing_is_asked_until_something_is_heard)
{
	struct fo__ipsec *ipsec = fake_ipsec();
	uint8_t met[2];

	world = NULL;
	ck_assert_int_eq(judge(ipsec, met), 0);
	ck_assert_int_eq(judge(ipsec, met), 0);
	ck_assert_uint_eq(fake_requests, 1);
	ck_assert_int_eq(fo__ipsec_changed(ipsec), 0);
	fake_notify(&ipsec->notices);
	fake_answer(policy_message(&worlds[0].policies[0]), buffer,
		    policy_message(&worlds[0].policies[0])->nlmsg_len);
	ck_assert_int_eq(fo__ipsec_changed(ipsec), 1);
	world = worlds[0].policies;
	ck_assert_int_eq(judge(ipsec, met), 0);
	ck_assert_uint_eq(fake_requests, 2);
	ck_assert_uint_eq(met[0], 1);
}
END_TEST

START_TEST(a_kernel_without_ipsec_meets_nothing)
{
	struct fo__ipsec *ipsec = fake_ipsec();
	uint8_t met[2] = {9, 9};

	ipsec->dump.fd = ipsec->notices.fd = -1;
	ck_assert_int_eq(judge(ipsec, met), 0);
	ck_assert(!met[0] && !met[1] && !fake_requests && !fo__ipsec_changed(ipsec));
}
END_TEST

/* ---- broken messages ---- */

typedef int (*reader)(const struct nlmsghdr *nlh);

static int read_policy(const struct nlmsghdr *nlh)
{
	struct fo__ipsec_policy policy;

	return fo__ipsec_read(nlh, &policy);
}

static int read_link(const struct nlmsghdr *nlh)
{
	struct fo__link link;

	return fo__link_read(nlh, &link);
}

static const struct nlmsghdr *link_message(void)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct ifinfomsg *info;
	struct fo__tx message;
	struct nlattr *nest;

	fo__tx_begin(&message, buffer, sizeof(buffer), 1);
	info = fo__tx_message(&message, RTM_NEWLINK, 0, sizeof(*info));
	info->ifi_index = 7;
	info->ifi_type = ARPHRD_ETHER;
	info->ifi_flags = IFF_UP | IFF_RUNNING;
	fo__tx_put_text(&message, IFLA_IFNAME, "eth0");
	fo__tx_put_u32(&message, IFLA_MTU, 1500);
	fo__tx_put_u32(&message, IFLA_LINK, 3);
	fo__tx_put_u32(&message, IFLA_LINK_NETNSID, 2);
	fo__tx_put(&message, IFLA_ADDRESS, sizeof(mac), mac);
	nest = fo__tx_open(&message, IFLA_LINKINFO);
	fo__tx_put_text(&message, IFLA_INFO_KIND, "veth");
	fo__tx_close(&message, nest);
	nest = fo__tx_open(&message, IFLA_XDP);
	fo__tx_put_u32(&message, IFLA_XDP_PROG_ID, 99);
	fo__tx_close(&message, nest);
	ck_assert_int_gt(fo__tx_end(&message), 0);
	return (const struct nlmsghdr *)(const void *)buffer;
}

START_TEST(a_device_is_read)
{
	struct fo__link link;

	ck_assert_int_eq(fo__link_read(link_message(), &link), 0);
	ck_assert(link.index == 7 && link.mtu == 1500 && link.peer == 3 && link.peer_netns == 2);
	ck_assert(link.xdp_id == 99 && link.type == ARPHRD_ETHER && link.mac[5] == 1);
	ck_assert_str_eq(link.name, "eth0");
	ck_assert_str_eq(link.kind, "veth");
	ck_assert(fo__link_works(&link));
	link.flags &= ~(uint32_t)IFF_RUNNING;
	ck_assert(!fo__link_works(&link));
}
END_TEST

START_TEST(devices_of_which_something_was_heard_are_named)
{
	/* At a stride, with a place that nobody has. */
	const uint32_t index[8] = {3, 0, 7, 0, 0, 0, 9, 0};
	const struct nlmsghdr *message = link_message();
	struct fo__nl nl;

	fake_open(&nl, rx, sizeof(rx));
	fake_notify(&nl);
	ck_assert_uint_eq(fo__link_notices(&nl, index, 2 * sizeof(*index), 4), 0);
	fake_answer(message, message, message->nlmsg_len);
	ck_assert_uint_eq(fo__link_notices(&nl, index, 2 * sizeof(*index), 4), 1u << 1);
	/* Of whom it is cannot be read: it may be any. */
	((struct nlmsghdr *)(void *)buffer)->nlmsg_len = NLMSG_HDRLEN;
	fake_answer(message, message, message->nlmsg_len);
	ck_assert_uint_eq(fo__link_notices(&nl, index, 2 * sizeof(*index), 4), 1u << 0 | 1u << 1 | 1u << 3);
}
END_TEST

/* Cut anywhere, or with any byte changed: an answer, and not a byte read outside (the sanitizer sees). */
START_TEST(broken_messages_are_read_within_bounds)
{
	const struct policy whole = {.way = XFRM_POLICY_OUT, .mark = 7, .interface = 9, TUNNEL};
	const struct nlmsghdr *nlh = _i ? link_message() : policy_message(&whole);
	reader read_it = _i ? read_link : read_policy;
	uint32_t size = nlh->nlmsg_len;
	unsigned int refused = 0;

	for (uint32_t at = sizeof(*nlh); at < size; at++) {
		struct nlmsghdr *copy = malloc(size), *cut = malloc(at);

		ck_assert(copy && cut);
		memcpy(cut, buffer, at);
		cut->nlmsg_len = at;
		refused += read_it(cut) != 0;
		for (unsigned int value = 0; value < 256; value += 5) {
			memcpy(copy, buffer, size);
			((uint8_t *)copy)[at] = (uint8_t)value;
			refused += read_it(copy) == -EPROTO;
		}
		free(cut);
		free(copy);
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

START_TEST(a_policy_that_cannot_be_read_is_no_absence)
{
	uint8_t met[2];

	garbled = 1;
	world = worlds[0].policies;
	ck_assert_int_lt(judge(fake_ipsec(), met), 0);
	garbled = 0;
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("guards");
	TCase *tc = tcase_create("guards");

	tcase_add_loop_test(tc, entries_that_must_stay_are_refused_with_their_reason, 0,
			    (int)(sizeof(unfit) / sizeof(unfit[0])));
	tcase_add_test(tc, an_entry_carries_a_connection_either_way_round);
	tcase_add_test(tc, each_change_has_its_own_answer);
	tcase_add_test(tc, a_missing_answer_is_no_yes);
	tcase_add_loop_test(tc, policies_are_weighed_as_the_kernel_does, 0,
			    (int)(sizeof(worlds) / sizeof(worlds[0])));
	tcase_add_test(tc, without_policies_nothing_is_asked_until_something_is_heard);
	tcase_add_test(tc, a_kernel_without_ipsec_meets_nothing);
	tcase_add_test(tc, a_policy_that_cannot_be_read_is_no_absence);
	tcase_add_test(tc, a_device_is_read);
	tcase_add_test(tc, devices_of_which_something_was_heard_are_named);
	tcase_add_loop_test(tc, broken_messages_are_read_within_bounds, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
