/* SPDX-License-Identifier: BSD-2-Clause */
/* told.c - a filter of a persistent flow read back: its keys, its actions, what its cookies keep. See state.h.
 *
 * It is read as this library would have written it, and no other key or action is let pass: one that is not known here could mean
 * that the filter matches less, or does more, than its flow says. What has been read is kept as well in an order of its own,
 * the same for what the kernel shows and for the request that would make it, so that the two can be compared.
 * Source: net/sched/cls_flower.c fl_dump_key(), net/sched/act_*.c *_dump().
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_pedit.h>
#include <linux/tc_act/tc_vlan.h>
#include <netinet/in.h>
#include <stddef.h>

#define ADDRESS_MAX 16u
/* A clock tick of rtnetlink. */
#define TICK_MS 10u

struct reader {
	struct fo__tc_told *out;
	unsigned int edits, cookies; /* read so far */
	uint8_t macs;		     /* words of them, a bit each */
};

/* ---- Words to compare ---- */

static int say(struct reader *reader, const void *data, size_t size)
{
	struct fo__tc_told *out = reader->out;

	if (sizeof(out->words) - out->size < size)
		return -EPROTO;
	memcpy(out->words + out->size, data, size);
	out->size += (uint32_t)size;
	return 0;
}

static int say_numbers(struct reader *reader, const uint32_t *numbers, size_t n)
{
	return say(reader, numbers, n * sizeof(*numbers));
}

/* ---- Attributes ---- */

/* All attributes by type, none of them twice. */
static int index_once(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max, int *unknown)
{
	const struct nlattr *attr;

	*unknown = 0;
	if (!nest || fo__rx_nested(nest, attrs, max))
		return -EPROTO;
	mnl_attr_for_each_nested(attr, nest)
	{
		uint16_t type = mnl_attr_get_type(attr);

		*unknown |= type > max;
		if (type <= max && attrs[type] != attr)
			return -EPROTO;
	}
	return 0;
}

/* ... and none of them unknown. */
static int index_all(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max)
{
	int unknown;

	return index_once(nest, attrs, max, &unknown) || unknown ? -EPROTO : 0;
}

static int has_only(const struct nlattr **attrs, uint16_t max, const uint16_t *known, size_t n)
{
	for (uint16_t type = 0; type <= max; type++) {
		size_t i = 0;

		while (i < n && known[i] != type)
			i++;
		if (attrs[type] && i == n)
			return 0;
	}
	return 1;
}

/* The options of an action, of which the kernel may show more than was given. */
static int index_known(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max,
		       const uint16_t *known, size_t n)
{
	return index_all(nest, attrs, max) || !has_only(attrs, max, known, n) ? -EPROTO : 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Keys ---- */

#define NOWHERE	  UINT16_MAX
#define AT(field) offsetof(struct fo_tuple, field)

static const struct key {
	uint16_t value, mask; /* mask 0: it has none */
	uint16_t size, at;    /* in the tuple */
} keys[] = {
	{TCA_FLOWER_KEY_ETH_DST, TCA_FLOWER_KEY_ETH_DST_MASK, 6, NOWHERE},
	{TCA_FLOWER_KEY_VLAN_ID, 0, 2, NOWHERE},
	{TCA_FLOWER_KEY_VLAN_ETH_TYPE, 0, 2, NOWHERE},
	{TCA_FLOWER_KEY_CVLAN_ID, 0, 2, NOWHERE},
	{TCA_FLOWER_KEY_CVLAN_ETH_TYPE, 0, 2, NOWHERE},
	{TCA_FLOWER_KEY_IP_PROTO, 0, 1, AT(proto)},
	{TCA_FLOWER_KEY_IPV4_SRC, TCA_FLOWER_KEY_IPV4_SRC_MASK, 4, AT(src)},
	{TCA_FLOWER_KEY_IPV4_DST, TCA_FLOWER_KEY_IPV4_DST_MASK, 4, AT(dst)},
	{TCA_FLOWER_KEY_IPV6_SRC, TCA_FLOWER_KEY_IPV6_SRC_MASK, 16, AT(src)},
	{TCA_FLOWER_KEY_IPV6_DST, TCA_FLOWER_KEY_IPV6_DST_MASK, 16, AT(dst)},
	{TCA_FLOWER_KEY_TCP_SRC, TCA_FLOWER_KEY_TCP_SRC_MASK, 2, AT(sport_be)},
	{TCA_FLOWER_KEY_TCP_DST, TCA_FLOWER_KEY_TCP_DST_MASK, 2, AT(dport_be)},
	{TCA_FLOWER_KEY_UDP_SRC, TCA_FLOWER_KEY_UDP_SRC_MASK, 2, AT(sport_be)},
	{TCA_FLOWER_KEY_UDP_DST, TCA_FLOWER_KEY_UDP_DST_MASK, 2, AT(dport_be)},
	{TCA_FLOWER_KEY_TCP_FLAGS, TCA_FLOWER_KEY_TCP_FLAGS_MASK, 2, NOWHERE},
	{TCA_FLOWER_KEY_FLAGS, TCA_FLOWER_KEY_FLAGS_MASK, 4, NOWHERE},
};

/* A mask that is not there is all of it: requests leave out those of ports. */
static int read_key(struct reader *reader, const struct nlattr **attrs, const struct key *key)
{
	uint8_t value[ADDRESS_MAX], mask[ADDRESS_MAX];
	const struct nlattr *masked = key->mask ? attrs[key->mask] : NULL;
	uint32_t type = key->value;

	if (!attrs[key->value])
		return masked ? -EPROTO : 0;
	memset(mask, 0xff, sizeof(mask));
	if (fo__rx_bytes(attrs[key->value], value, key->size) ||
	    (masked && fo__rx_bytes(masked, mask, key->size)))
		return -EPROTO;
	if (key->at != NOWHERE)
		memcpy((uint8_t *)&reader->out->tuple + key->at, value, key->size);
	return say(reader, &type, sizeof(type)) || say(reader, value, key->size) ||
			       say(reader, mask, key->size)
		       ? -EPROTO
		       : 0;
}

static int is_known(uint16_t type)
{
	static const uint16_t others[] = {TCA_FLOWER_INDEV, TCA_FLOWER_ACT, TCA_FLOWER_FLAGS,
					  TCA_FLOWER_IN_HW_COUNT, TCA_FLOWER_KEY_ETH_TYPE};

	for (size_t i = 0; i < COUNT(others); i++)
		if (others[i] == type)
			return 1;
	for (size_t i = 0; i < COUNT(keys); i++)
		if (keys[i].value == type || (keys[i].mask && keys[i].mask == type))
			return 1;
	return 0;
}

/* What the innermost header is: the kernel shows that as the ethertype, where a request says the outermost. */
static int read_family(struct reader *reader, const struct nlattr **attrs)
{
	static const uint16_t inner[] = {TCA_FLOWER_KEY_CVLAN_ETH_TYPE, TCA_FLOWER_KEY_VLAN_ETH_TYPE,
					 TCA_FLOWER_KEY_ETH_TYPE};
	uint16_t type;
	size_t i = 0;

	while (i < COUNT(inner) && !attrs[inner[i]])
		i++;
	if (!attrs[TCA_FLOWER_KEY_ETH_TYPE] || fo__rx_be16(attrs[inner[i]], &type) ||
	    (type != ETH_P_IP && type != ETH_P_IPV6))
		return -EPROTO;
	reader->out->tuple.family = type == ETH_P_IP ? FO_FAMILY_IPV4 : FO_FAMILY_IPV6;
	return say(reader, &type, sizeof(type));
}

static int read_keys(struct reader *reader, const struct nlattr **attrs)
{
	const uint32_t asked = TCA_CLS_FLAGS_SKIP_SW | TCA_CLS_FLAGS_SKIP_HW;
	struct fo__tc_told *out = reader->out;
	uint32_t flags;

	for (uint16_t type = 0; type <= TCA_FLOWER_MAX; type++)
		if (attrs[type] && !is_known(type))
			return -EPROTO;
	if (fo__rx_u32(attrs[TCA_FLOWER_FLAGS], &flags))
		return -EPROTO;
	flags &= asked;
	if (attrs[TCA_FLOWER_INDEV] && fo__rx_text(attrs[TCA_FLOWER_INDEV], out->indev, sizeof(out->indev)))
		return -EPROTO;
	if (say(reader, &flags, sizeof(flags)) || say(reader, out->indev, sizeof(out->indev)) ||
	    read_family(reader, attrs))
		return -EPROTO;
	for (size_t i = 0; i < COUNT(keys); i++)
		if (read_key(reader, attrs, &keys[i]))
			return -EPROTO;
	return 0;
}

/* ---- Edits ---- */

static uint8_t dscp_of(uint32_t value_be, unsigned int shift)
{
	return (uint8_t)FO_DSCP_SET(ntohl(value_be) >> shift & 0x3f);
}

static int read_edit(struct reader *reader, const struct tc_pedit_key *key, uint16_t header, uint16_t how)
{
	struct fo__tc_told *out = reader->out;
	const uint32_t numbers[] = {header, how, key->off, key->mask, key->val};
	uint8_t macs[12];

	if (++reader->edits > FO__TC_EDITS || key->at || key->offmask || key->shift)
		return -EPROTO;
	if (header == TCA_PEDIT_KEY_EX_HDR_TYPE_ETH) {
		if (how != TCA_PEDIT_KEY_EX_CMD_SET || key->mask || key->off > 8 || (key->off & 3))
			return -EPROTO;
		memcpy(macs, out->peer_mac, 6);
		memcpy(macs + 6, out->own_mac, 6);
		memcpy(macs + key->off, &key->val, 4);
		memcpy(out->peer_mac, macs, 6);
		memcpy(out->own_mac, macs + 6, 6);
		reader->macs |= (uint8_t)(1u << (key->off / 4));
	} else if (header == TCA_PEDIT_KEY_EX_HDR_TYPE_IP4 && !key->off) {
		out->dscp = dscp_of(key->val, 18);
	} else if (header == TCA_PEDIT_KEY_EX_HDR_TYPE_IP6 && !key->off) {
		out->dscp = dscp_of(key->val, 22);
	}
	return say_numbers(reader, numbers, COUNT(numbers));
}

static int read_edit_kinds(struct reader *reader, const struct nlattr *nest, const struct tc_pedit_key *key,
			   unsigned int n)
{
	const struct nlattr *attr, *attrs[TCA_PEDIT_KEY_EX_MAX + 1];
	uint16_t header, how;
	unsigned int i = 0;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (i == n || mnl_attr_get_type(attr) != TCA_PEDIT_KEY_EX ||
		    index_all(attr, attrs, TCA_PEDIT_KEY_EX_MAX) ||
		    fo__rx_bytes(attrs[TCA_PEDIT_KEY_EX_HTYPE], &header, sizeof(header)) ||
		    fo__rx_bytes(attrs[TCA_PEDIT_KEY_EX_CMD], &how, sizeof(how)) ||
		    read_edit(reader, &key[i], header, how))
			return -EPROTO;
		i++;
	}
	return i == n ? 0 : -EPROTO;
}

static int read_edits(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie)
{
	static const uint16_t known[] = {TCA_PEDIT_PARMS_EX, TCA_PEDIT_KEYS_EX, TCA_PEDIT_TM, TCA_PEDIT_PAD};
	const struct nlattr *attrs[TCA_PEDIT_MAX + 1], *indexed[TCA_PEDIT_KEY_EX_MAX + 1];
	struct {
		struct tc_pedit_sel sel;
		struct tc_pedit_key keys[FO__TC_EDITS];
	} parms;
	uint8_t *kept = (uint8_t *)&reader->out->kept;
	size_t size;
	uint32_t numbers[2];

	if (index_known(options, attrs, TCA_PEDIT_MAX, known, COUNT(known)) || !attrs[TCA_PEDIT_PARMS_EX] ||
	    !attrs[TCA_PEDIT_KEYS_EX])
		return -EPROTO;
	size = mnl_attr_get_payload_len(attrs[TCA_PEDIT_PARMS_EX]);
	if (size < sizeof(parms.sel) || size > sizeof(parms))
		return -EPROTO;
	memcpy(&parms, mnl_attr_get_payload(attrs[TCA_PEDIT_PARMS_EX]), size);
	if (size != sizeof(parms.sel) + parms.sel.nkeys * sizeof(parms.keys[0]) || parms.sel.flags ||
	    reader->cookies == FO__TC_COOKIES ||
	    fo__rx_bytes(cookie, kept + (size_t)reader->cookies * FO__TC_COOKIE_MAX, FO__TC_COOKIE_MAX))
		return -EPROTO;
	reader->cookies++;
	numbers[0] = (uint32_t)parms.sel.action;
	numbers[1] = parms.sel.nkeys;
	/* Bounds, before it is walked. */
	if (fo__rx_nested(attrs[TCA_PEDIT_KEYS_EX], indexed, TCA_PEDIT_KEY_EX_MAX))
		return -EPROTO;
	return say_numbers(reader, numbers, COUNT(numbers)) ||
			       read_edit_kinds(reader, attrs[TCA_PEDIT_KEYS_EX], parms.keys, parms.sel.nkeys)
		       ? -EPROTO
		       : 0;
}

/* ---- Other actions ---- */

static int read_checksums(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie)
{
	static const uint16_t known[] = {TCA_CSUM_PARMS, TCA_CSUM_TM, TCA_CSUM_PAD};
	const struct nlattr *attrs[TCA_CSUM_MAX + 1];
	struct tc_csum csum;
	uint32_t numbers[2];

	if (cookie || index_known(options, attrs, TCA_CSUM_MAX, known, COUNT(known)) ||
	    fo__rx_bytes(attrs[TCA_CSUM_PARMS], &csum, sizeof(csum)))
		return -EPROTO;
	numbers[0] = (uint32_t)csum.action;
	numbers[1] = csum.update_flags;
	return say_numbers(reader, numbers, COUNT(numbers));
}

/* What is pushed later lies further out. */
static int enter_tag(struct fo__tc_told *out, uint16_t id, uint16_t type, uint8_t pcp)
{
	if (out->n_encaps == COUNT(out->encap) || (type != ETH_P_8021Q && type != ETH_P_8021AD))
		return -EPROTO;
	memmove(&out->encap[1], &out->encap[0], sizeof(out->encap[0]));
	out->encap[0] = (struct fo_encap){
		.kind = type == ETH_P_8021AD ? FO_ENCAP_8021AD : FO_ENCAP_8021Q, .id = id, .pcp = pcp};
	out->n_encaps++;
	return 0;
}

static int read_tag(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie)
{
	static const uint16_t known[] = {TCA_VLAN_PARMS,
					 TCA_VLAN_TM,
					 TCA_VLAN_PAD,
					 TCA_VLAN_PUSH_VLAN_ID,
					 TCA_VLAN_PUSH_VLAN_PROTOCOL,
					 TCA_VLAN_PUSH_VLAN_PRIORITY};
	const struct nlattr *attrs[TCA_VLAN_MAX + 1];
	struct tc_vlan vlan;
	uint32_t numbers[5] = {0};
	uint16_t id, type;
	uint8_t pcp;

	if (cookie || index_known(options, attrs, TCA_VLAN_MAX, known, COUNT(known)) ||
	    fo__rx_bytes(attrs[TCA_VLAN_PARMS], &vlan, sizeof(vlan)))
		return -EPROTO;
	numbers[0] = (uint32_t)vlan.action;
	numbers[1] = (uint32_t)vlan.v_action;
	if (vlan.v_action != TCA_VLAN_ACT_POP) {
		if (fo__rx_bytes(attrs[TCA_VLAN_PUSH_VLAN_ID], &id, sizeof(id)) ||
		    fo__rx_be16(attrs[TCA_VLAN_PUSH_VLAN_PROTOCOL], &type) ||
		    fo__rx_u8(attrs[TCA_VLAN_PUSH_VLAN_PRIORITY], &pcp) ||
		    enter_tag(reader->out, id, type, pcp))
			return -EPROTO;
		numbers[2] = id;
		numbers[3] = type;
		numbers[4] = pcp;
	}
	return say_numbers(reader, numbers, COUNT(numbers));
}

static int read_police(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie)
{
	static const uint16_t known[] = {TCA_POLICE_TBF, TCA_POLICE_RESULT, TCA_POLICE_TM, TCA_POLICE_PAD};
	const struct nlattr *attrs[TCA_POLICE_MAX + 1];
	struct tc_police police;
	uint32_t numbers[3];

	if (cookie || index_known(options, attrs, TCA_POLICE_MAX, known, COUNT(known)) ||
	    fo__rx_bytes(attrs[TCA_POLICE_TBF], &police, sizeof(police)) || police.rate.rate ||
	    police.peakrate.rate || fo__rx_u32(attrs[TCA_POLICE_RESULT], &numbers[2]))
		return -EPROTO;
	numbers[0] = (uint32_t)police.action;
	numbers[1] = police.mtu;
	return say_numbers(reader, numbers, COUNT(numbers));
}

static int read_out(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie)
{
	static const uint16_t known[] = {TCA_MIRRED_PARMS, TCA_MIRRED_TM, TCA_MIRRED_PAD};
	const struct nlattr *attrs[TCA_MIRRED_MAX + 1];
	struct tc_mirred mirred;
	struct tcf_t times;
	uint32_t numbers[3];

	/* Its cookie says whose the filter is. */
	if (!cookie || index_known(options, attrs, TCA_MIRRED_MAX, known, COUNT(known)) ||
	    fo__rx_bytes(attrs[TCA_MIRRED_PARMS], &mirred, sizeof(mirred)))
		return -EPROTO;
	if (!fo__rx_bytes(attrs[TCA_MIRRED_TM], &times, sizeof(times)) &&
	    times.lastuse < UINT64_MAX / TICK_MS)
		reader->out->used_ms = times.lastuse * TICK_MS;
	reader->out->to = mirred.ifindex;
	numbers[0] = (uint32_t)mirred.action;
	numbers[1] = (uint32_t)mirred.eaction;
	numbers[2] = mirred.ifindex;
	return say_numbers(reader, numbers, COUNT(numbers));
}

static const struct {
	const char *kind;
	int (*read)(struct reader *reader, const struct nlattr *options, const struct nlattr *cookie);
} actions[] = {
	{"pedit", read_edits},	 {"csum", read_checksums}, {"vlan", read_tag},
	{"police", read_police}, {"mirred", read_out},
};

static int read_action(struct reader *reader, const struct nlattr *nest)
{
	const struct nlattr *attrs[TCA_ACT_MAX + 1];
	char kind[16];
	uint32_t i = 0;
	int unknown; /* newer kernels tell more */

	if (index_once(nest, attrs, TCA_ACT_MAX, &unknown) ||
	    fo__rx_text(attrs[TCA_ACT_KIND], kind, sizeof(kind)))
		return -EPROTO;
	while (i < COUNT(actions) && strcmp(actions[i].kind, kind) != 0)
		i++;
	return i == COUNT(actions) || say(reader, &i, sizeof(i)) ||
			       actions[i].read(reader, attrs[TCA_ACT_OPTIONS], attrs[TCA_ACT_COOKIE])
		       ? -EPROTO
		       : 0;
}

static int read_actions(struct reader *reader, const struct nlattr *nest)
{
	const struct nlattr *orders[TCA_ACT_MAX_PRIO + 1];

	if (index_all(nest, orders, TCA_ACT_MAX_PRIO) || orders[0])
		return -EPROTO;
	for (unsigned int i = 1; i <= TCA_ACT_MAX_PRIO; i++)
		if (orders[i] && ((i > 1 && !orders[i - 1]) || read_action(reader, orders[i])))
			return -EPROTO;
	return reader->cookies == FO__TC_COOKIES && reader->macs == 7 ? 0 : -EPROTO;
}

int fo__tc_read_back(const struct nlmsghdr *nlh, struct fo__tc_told *out)
{
	const struct nlattr *attrs[TCA_MAX + 1], *flower[TCA_FLOWER_MAX + 1];
	struct reader reader = {.out = out};
	uint32_t info;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = fo__tc_read(nlh, &out->seen);
	if (rc)
		return rc;
	memcpy(&info, (const uint8_t *)mnl_nlmsg_get_payload(nlh) + offsetof(struct tcmsg, tcm_info),
	       sizeof(info));
	if (!out->seen.ours || fo__rx_attrs(nlh, sizeof(struct tcmsg), attrs, TCA_MAX) ||
	    index_all(attrs[TCA_OPTIONS], flower, TCA_FLOWER_MAX) || say(&reader, &info, sizeof(info)) ||
	    read_keys(&reader, flower) || read_actions(&reader, flower[TCA_FLOWER_ACT]))
		return -EPROTO;
	return 0;
}
