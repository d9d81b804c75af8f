/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_tc.c - target "tc": filters of an earlier process, changed at will, before a table that adopts.
 *
 * Whatever is in them, a flow that is adopted is the one that its two filters forward, by a reading of them that shares nothing with
 * the library's; and of all others no filter is left. Neighbours: tests/unit/fake_tc.h is the kernel.
 */
#include "../unit/tc_flows.h"
#include "fuzz.h"

enum step { STEP_FLIP, STEP_SET, STEP_CUT, STEP_COPY, STEP_REMOVE, STEP_AGAIN, STEP_MOVE, STEPS };

static struct fake_filter pristine[FAKE_FILTERS];
static unsigned int n_pristine;

/* What there is before anything is changed: made once. */
static void make_pristine(void)
{
	unsigned int states[FLOWS] = {0};
	int results[FLOWS] = {0};
	struct fo_error errs[FLOWS];
	struct fo__tc *tc;

	if (n_pristine)
		return;
	describe();
	tc = fake_table(SLOTS);
	FUZZ_CHECK(tc, "no memory");
	fo__tc_flows_add(tc, told, FLOWS, states, results, errs);
	for (unsigned int i = 0; i < FLOWS; i++)
		FUZZ_CHECK(!results[i], "flow %u: %s", i, errs[i].text);
	fake_table_gone(tc);
	for (unsigned int i = 0; i < fake_n_filters; i++)
		if (i % 2)
			fake_count(fake_filter(i), 1000 * i, 10 * i, 100 * i);
	memcpy(pristine, fake_filters, sizeof(pristine));
	n_pristine = fake_n_filters;
}

/* A place behind the header of netlink, which is the kernel's own. */
static uint8_t *place_in(struct nlmsghdr *nlh, uint16_t at)
{
	return (uint8_t *)nlh + sizeof(*nlh) + at % (nlh->nlmsg_len - sizeof(*nlh));
}

static void again(const struct nlmsghdr *nlh, uint8_t where)
{
	struct nlmsghdr *copy;

	if (fake_n_filters == FAKE_FILTERS)
		return;
	copy = fake_filter(fake_n_filters++);
	memcpy(copy, nlh, nlh->nlmsg_len);
	fake_tcmsg(copy)->tcm_ifindex = 5 + (where & 1);
	fake_tcmsg(copy)->tcm_handle += where >> 1;
}

static void step(struct fuzz_input *in)
{
	unsigned int i = fuzz_pick(in, fake_n_filters), other = fuzz_pick(in, fake_n_filters);
	struct nlmsghdr *nlh = fake_filter(i);
	uint16_t at = fuzz_take16(in);
	uint8_t value = fuzz_take8(in);

	switch (fuzz_pick(in, STEPS)) {
	case STEP_FLIP:
		*place_in(nlh, at) ^= (uint8_t)(1u << value % 8);
		return;
	case STEP_SET:
		*place_in(nlh, at) = value;
		return;
	case STEP_CUT:
		nlh->nlmsg_len = (uint32_t)(place_in(nlh, at) - (uint8_t *)nlh);
		if (nlh->nlmsg_len < sizeof(*nlh) + sizeof(struct tcmsg))
			nlh->nlmsg_len = sizeof(*nlh) + sizeof(struct tcmsg);
		return;
	case STEP_COPY:
		memcpy(place_in(nlh, (uint16_t)(at & ~3u)),
		       place_in(fake_filter(other), (uint16_t)(at & ~3u)), 4);
		return;
	case STEP_REMOVE:
		if (fake_n_filters > 1)
			fake_remove(i);
		return;
	case STEP_AGAIN:
		again(nlh, value);
		return;
	default:
		fake_tcmsg(nlh)->tcm_handle = value;
	}
}

/* No kernel has two in one place. */
static void keep_first(void)
{
	for (unsigned int i = fake_n_filters; i-- > 1;)
		for (unsigned int before = 0; before < i; before++) {
			const struct tcmsg *a = fake_tcmsg(fake_filter(before)),
					   *b = fake_tcmsg(fake_filter(i));

			if (a->tcm_ifindex != b->tcm_ifindex || a->tcm_info != b->tcm_info ||
			    a->tcm_handle != b->tcm_handle)
				continue;
			fake_remove(i);
			break;
		}
}

/* ---- A naive reading ---- */

static int says(struct nlmsghdr *nlh, uint16_t type, const void *value, size_t size)
{
	const struct nlattr *attr = fake_nested(fake_options(nlh), type);

	return attr && mnl_attr_get_payload_len(attr) == size &&
	       !memcmp(mnl_attr_get_payload(attr), value, size);
}

static void check_keys(struct nlmsghdr *nlh, const struct fo_tuple *tuple)
{
	int v4 = tuple->family == FO_FAMILY_IPV4, tcp = tuple->proto == IPPROTO_TCP;
	size_t size = v4 ? 4 : 16;

	FUZZ_CHECK(says(nlh, TCA_FLOWER_KEY_IP_PROTO, &tuple->proto, 1), "protocol");
	FUZZ_CHECK(says(nlh, v4 ? TCA_FLOWER_KEY_IPV4_SRC : TCA_FLOWER_KEY_IPV6_SRC, tuple->src, size),
		   "source");
	FUZZ_CHECK(says(nlh, v4 ? TCA_FLOWER_KEY_IPV4_DST : TCA_FLOWER_KEY_IPV6_DST, tuple->dst, size),
		   "destination");
	FUZZ_CHECK(says(nlh, tcp ? TCA_FLOWER_KEY_TCP_SRC : TCA_FLOWER_KEY_UDP_SRC, &tuple->sport_be, 2),
		   "source port");
	FUZZ_CHECK(says(nlh, tcp ? TCA_FLOWER_KEY_TCP_DST : TCA_FLOWER_KEY_UDP_DST, &tuple->dport_be, 2),
		   "destination port");
}

static void check_sides(struct nlmsghdr *nlh, const struct fo_adj *from, const struct fo_adj *into)
{
	const struct nlattr *options = fake_nested(fake_last_action(nlh), TCA_ACT_OPTIONS);
	struct tc_mirred mirred;

	FUZZ_CHECK(says(nlh, TCA_FLOWER_KEY_ETH_DST, from->own_mac, 6), "destination MAC");
	FUZZ_CHECK((uint32_t)fake_tcmsg(nlh)->tcm_ifindex == from->port, "ingress");
	if (from->n_encaps)
		FUZZ_CHECK(says(nlh, TCA_FLOWER_KEY_VLAN_ID, &from->encap[0].id, 2), "outer tag");
	if (from->n_encaps > 1)
		FUZZ_CHECK(says(nlh, TCA_FLOWER_KEY_CVLAN_ID, &from->encap[1].id, 2), "inner tag");
	memcpy(&mirred, mnl_attr_get_payload(fake_nested((struct nlattr *)options, TCA_MIRRED_PARMS)),
	       sizeof(mirred));
	FUZZ_CHECK(mirred.ifindex == into->port, "egress");
}

static const struct fo_adj *side_of(fo_adj_id id)
{
	for (unsigned int i = 0; i < fake_told.n_adjs; i++)
		if (fake_told.adj_id[i] == id)
			return &fake_told.adj[i];
	FUZZ_CHECK(0, "a side that nobody told of");
	return NULL;
}

static struct nlmsghdr *filter_with(uint32_t handle, uint32_t port)
{
	for (unsigned int i = 0; i < fake_n_filters; i++)
		if (fake_tcmsg(fake_filter(i))->tcm_handle == handle &&
		    (uint32_t)fake_tcmsg(fake_filter(i))->tcm_ifindex == port &&
		    fake_tcmsg(fake_filter(i))->tcm_info >> 16 >= FO_TC_PRIORITY + FO__TC_FLOW_V4)
			return fake_filter(i);
	FUZZ_CHECK(0, "a flow without its filter");
	return NULL;
}

static void check_flow(unsigned int i)
{
	const struct fo_flow *flow = &fake_told.flow[i];

	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct fo_adj *from = side_of(flow->adj[dir]), *into = side_of(flow->adj[1 - dir]);
		struct nlmsghdr *nlh =
			filter_with(fo__tc_handle((uint32_t)fake_told.cookie[i], dir), from->port);

		check_keys(nlh, &flow->tuple[dir]);
		check_sides(nlh, from, into);
	}
}

/* A priority of the table's, and the protocol that the kernel lets it have, on a port of it. */
static int is_in_place(const struct tcmsg *has)
{
	uint32_t prio = (has->tcm_info >> 16) - FO_TC_PRIORITY;

	return prio < FO__TC_PRIOS && (has->tcm_info & 0xffff) == htons(fo__tc_ethertype(prio)) &&
	       (has->tcm_ifindex == 5 || has->tcm_ifindex == 6);
}

static unsigned int count_ours(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fake_n_filters; i++) {
		struct fo__tc_seen seen;

		/* One that nobody can read is no filter. */
		n += is_in_place(fake_tcmsg(fake_filter(i))) && !fo__tc_read(fake_filter(i), &seen) &&
		     seen.ours;
	}
	return n;
}

/* ---- The target ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};
	struct fo__tc *tc;
	unsigned int guards = 0;

	make_pristine();
	memcpy(fake_filters, pristine, sizeof(pristine));
	fake_n_filters = n_pristine;
	for (unsigned int i = 0; i < 16 && fuzz_left(&in); i++)
		step(&in);
	keep_first();
	tc = fake_table(SLOTS);
	FUZZ_CHECK(tc, "no memory");
	if (!fake_adopt(tc)) {
		for (unsigned int i = 0; i < fake_told.n_flows; i++)
			check_flow(i);
		for (unsigned int i = 0; i < 2; i++)
			guards += (unsigned int)__builtin_popcount(tc->ports[i].guards);
		FUZZ_CHECK(tc->adopted == fake_told.n_flows && tc->n_used == fake_told.n_flows, "%u adopted",
			   tc->adopted);
		FUZZ_CHECK(count_ours() == 2 * fake_told.n_flows + guards, "%u filters, %u flows, %u guards",
			   count_ours(), fake_told.n_flows, guards);
	}
	fake_table_gone(tc);
	return 0;
}

/* Nothing changed; and one byte of each step. */
size_t fuzz_seed(unsigned int i, uint8_t *out, size_t room)
{
	if (i > STEPS || room < 6)
		return 0;
	memset(out, 0, 6);
	out[0] = (uint8_t)i;
	out[2] = (uint8_t)(40 * i);
	out[4] = 1;
	out[5] = (uint8_t)(i ? i - 1 : 0);
	return i ? 6 : 1;
}
