// SPDX-License-Identifier: GPL-2.0
/* actions.c - the actions of a rule, as the kernel hands them to a driver, into struct sim_act.
 *
 * tc's actions happen one after another, so a tag pushed later lies further out; nf_flowtable lists what the header is to
 * hold from the outermost on, and leaves to the hardware to take off a session and to decrement the TTL.
 */
#include <linux/tc_act/tc_csum.h>

#include "hwsim.h"

/* What can be rewritten: 32 bits of a header, and which of them. */
struct field {
	enum flow_action_mangle_base header;
	u8 from, to; /* offsets, in steps of 4 */
	u32 bits;
	bool ttl;
};

static const struct field fields[] = {
	{FLOW_ACT_MANGLE_HDR_TYPE_ETH, 0, 8, 0xffffffff, false}, /* both MACs */
	{FLOW_ACT_MANGLE_HDR_TYPE_IP4, 0, 0, 0x00ff0000, false}, /* DSCP, ECN */
	{FLOW_ACT_MANGLE_HDR_TYPE_IP4, 8, 8, 0xff000000, true},	 /* TTL */
	{FLOW_ACT_MANGLE_HDR_TYPE_IP4, 12, 16, 0xffffffff, false},
	{FLOW_ACT_MANGLE_HDR_TYPE_IP6, 0, 0, 0x0ff00000, false}, /* traffic class */
	{FLOW_ACT_MANGLE_HDR_TYPE_IP6, 4, 4, 0x000000ff, true},	 /* hop limit */
	{FLOW_ACT_MANGLE_HDR_TYPE_IP6, 8, 36, 0xffffffff, false},
	{FLOW_ACT_MANGLE_HDR_TYPE_TCP, 0, 0, 0xffffffff, false}, /* ports */
	{FLOW_ACT_MANGLE_HDR_TYPE_UDP, 0, 0, 0xffffffff, false},
};

struct reading {
	struct sim_act *act;
	const struct sim_match *match;
	struct netlink_ext_ack *extack;
	enum sim_source source;
	enum sim_kind kind;
	bool done; /* an action that ends the rule was read */
};

/* Whether the rule matches the header that it rewrites, in full. */
static bool header_is_matched(const struct sim_match *match, enum flow_action_mangle_base header)
{
	bool ip = match->mask.proto == htons(0xffff), l4 = match->mask.l4 == 0xff;

	switch (header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return true;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return ip && match->key.proto == htons(ETH_P_IP);
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return ip && match->key.proto == htons(ETH_P_IPV6);
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
		return ip && l4 && match->key.l4 == IPPROTO_TCP;
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return ip && l4 && match->key.l4 == IPPROTO_UDP;
	default:
		return false;
	}
}

static const struct field *field_of(const struct flow_action_entry *entry)
{
	u32 changed = ~ntohl((__force __be32)entry->mangle.mask);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *field = &fields[i];

		if (field->header == entry->mangle.htype && entry->mangle.offset >= field->from &&
		    entry->mangle.offset <= field->to && entry->mangle.offset % 4 == 0 &&
		    !(changed & ~field->bits))
			return field;
	}
	return NULL;
}

static int read_edit(struct reading *r, const struct flow_action_entry *entry)
{
	const struct field *field = field_of(entry);
	bool add = entry->id == FLOW_ACTION_ADD;
	struct sim_edit *edit;

	if (!field || (add && !field->ttl))
		return SIM_REFUSE(r->extack, "A field that cannot be rewritten so");
	if (!header_is_matched(r->match, entry->mangle.htype))
		return SIM_REFUSE(r->extack, "The header to be rewritten is not matched");
	if (field->ttl && r->kind == SIM_PPE)
		return SIM_REFUSE(r->extack,
				  "The TTL cannot be edited: the hardware decrements it by itself");
	if (r->act->edits == SIM_EDITS)
		return SIM_REFUSE(r->extack, "Too many edits");
	edit = &r->act->edit[r->act->edits++];
	edit->layer = entry->mangle.htype == FLOW_ACT_MANGLE_HDR_TYPE_ETH   ? SIM_L2
		      : entry->mangle.htype == FLOW_ACT_MANGLE_HDR_TYPE_IP4 ? SIM_L3
		      : entry->mangle.htype == FLOW_ACT_MANGLE_HDR_TYPE_IP6 ? SIM_L3
									    : SIM_L4;
	edit->offset = entry->mangle.offset;
	edit->add = add;
	edit->keep = entry->mangle.mask;
	edit->value = entry->mangle.val;
	r->act->needs_ip |= edit->layer != SIM_L2;
	r->act->needs_ports |= edit->layer == SIM_L4;
	return 0;
}

static int read_push(struct reading *r, const struct flow_action_entry *entry)
{
	struct sim_act *act = r->act;
	struct sim_tag tag = {entry->vlan.proto,
			      htons(entry->vlan.vid | entry->vlan.prio << VLAN_PRIO_SHIFT)};
	unsigned int i = act->pushes;

	if (!eth_type_vlan(tag.tpid))
		return SIM_REFUSE(r->extack, "A tag that is none");
	if (act->pushes == SIM_TAGS)
		return SIM_REFUSE(r->extack, "More than two tags");
	act->pushes++;
	if (r->source == SIM_FLOWER) {
		memmove(&act->push[1], &act->push[0], i * sizeof(tag));
		i = 0;
	}
	act->push[i] = tag;
	return 0;
}

static int read_pop(struct reading *r)
{
	struct sim_act *act = r->act;

	if (act->pushes && r->source == SIM_FLOWER) { /* one that was pushed before */
		act->pushes--;
		memmove(&act->push[0], &act->push[1], act->pushes * sizeof(act->push[0]));
		return 0;
	}
	if (act->pops == SIM_TAGS)
		return SIM_REFUSE(r->extack, "More than two tags");
	act->pops++;
	return 0;
}

static int read_replace(struct reading *r, const struct flow_action_entry *entry)
{
	int err = read_pop(r);

	return err ? err : read_push(r, entry);
}

static int read_pppoe(struct reading *r, const struct flow_action_entry *entry)
{
	if (r->act->pppoe_push)
		return SIM_REFUSE(r->extack, "More than one session");
	r->act->pppoe_push = true;
	r->act->pppoe_session = entry->pppoe.sid;
	return 0;
}

static int read_checksums(struct reading *r, const struct flow_action_entry *entry)
{
	const u32 known = TCA_CSUM_UPDATE_FLAG_IPV4HDR | TCA_CSUM_UPDATE_FLAG_TCP | TCA_CSUM_UPDATE_FLAG_UDP;

	if (entry->csum_flags & ~known)
		return SIM_REFUSE(r->extack, "A checksum that cannot be updated");
	r->act->checksums |= entry->csum_flags;
	return 0;
}

/* A policer without a rate: the length of frames. */
static int read_police(struct reading *r, const struct flow_action_entry *entry)
{
	if (r->kind == SIM_PPE)
		return SIM_REFUSE(r->extack, "Policers cannot be offloaded");
	if (entry->police.rate_bytes_ps || entry->police.rate_pkt_ps || entry->police.peakrate_bytes_ps)
		return SIM_REFUSE(r->extack, "Policers are for the length of frames only");
	if (!entry->police.mtu || entry->police.exceed.act_id != FLOW_ACTION_ACCEPT ||
	    entry->police.notexceed.act_id != FLOW_ACTION_PIPE)
		return SIM_REFUSE(r->extack, "A policer has to pass what is too long and pipe the rest");
	if (r->act->edits || r->act->pops || r->act->pushes)
		return SIM_REFUSE(r->extack, "A policer comes first");
	r->act->police_mtu = entry->police.mtu;
	return 0;
}

static int read_redirect(struct reading *r, const struct flow_action_entry *entry)
{
	r->act->out = sim_port_of(entry->dev);
	if (!r->act->out)
		return SIM_REFUSE(r->extack, "Redirect to a device that is not of this switch");
	r->act->verdict = SIM_FORWARD;
	r->done = true;
	return 0;
}

static int read_verdict(struct reading *r, enum sim_verdict verdict)
{
	if (r->kind == SIM_PPE)
		return SIM_REFUSE(r->extack, "Only forwarding can be offloaded");
	if (r->act->edits || r->act->pops || r->act->pushes)
		return SIM_REFUSE(r->extack, "Edits of a frame that is not forwarded");
	r->act->verdict = verdict;
	r->done = true;
	return 0;
}

static int read_action(struct reading *r, const struct flow_action_entry *entry)
{
	if (r->done)
		return SIM_REFUSE(r->extack, "An action behind the last");
	switch (entry->id) {
	case FLOW_ACTION_MANGLE:
	case FLOW_ACTION_ADD:
		return read_edit(r, entry);
	case FLOW_ACTION_CSUM:
		return read_checksums(r, entry);
	case FLOW_ACTION_VLAN_PUSH:
		return read_push(r, entry);
	case FLOW_ACTION_VLAN_POP:
		return read_pop(r);
	case FLOW_ACTION_VLAN_MANGLE:
		return read_replace(r, entry);
	case FLOW_ACTION_PPPOE_PUSH:
		return read_pppoe(r, entry);
	case FLOW_ACTION_POLICE:
		return read_police(r, entry);
	case FLOW_ACTION_REDIRECT:
		return read_redirect(r, entry);
	case FLOW_ACTION_DROP:
		return read_verdict(r, SIM_DROP);
	case FLOW_ACTION_TRAP:
		return read_verdict(r, SIM_TO_HOST);
	case FLOW_ACTION_ACCEPT:
		/* nf_flowtable leaves this where it knows no action for a tag (802.1ad). */
		if (r->source == SIM_FLOWTABLE)
			return SIM_REFUSE(r->extack, "A tag that nf_flowtable has no action for");
		return read_verdict(r, SIM_TO_HOST);
	default:
		return SIM_REFUSE(r->extack, "An action that cannot be done");
	}
}

int sim_act_read(struct sim_act *act, const struct sim_match *match, struct flow_cls_offload *cls,
		 enum sim_source source, enum sim_kind kind)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(cls);
	struct reading r = {act, match, cls->common.extack, source, kind, false};
	struct flow_action_entry *entry;
	int i, err;

	if (source == SIM_FLOWER &&
	    !flow_action_hw_stats_check(&rule->action, r.extack, FLOW_ACTION_HW_STATS_DELAYED_BIT))
		return -EOPNOTSUPP;
	flow_action_for_each(i, entry, &rule->action) {
		err = read_action(&r, entry);
		if (err)
			return err;
	}
	if (!r.done)
		return SIM_REFUSE(r.extack, "No action that says where to");
	if (source == SIM_FLOWTABLE || kind == SIM_PPE) {
		act->routes = true;
		act->any_tags = kind == SIM_PPE;
		act->needs_ip = true;
		act->needs_ports = true;
		act->checksums = ~0u;
	}
	act->needs_ip |= act->pppoe_push;
	return 0;
}
