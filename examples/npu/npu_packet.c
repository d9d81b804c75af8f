/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_packet.c - the silicon's packet engine: parse, look up, decide, rewrite. Neighbours: npu_parse.c and npu_rewrite.c do
 * the first and the last, npu_device.c has the tables.
 */
#include "npu_packet.h"

#include <string.h>

static bool arrives_by(const struct npu_device *dev, const struct npu_interface *in, uint32_t port,
		       const struct npu_parsed *p)
{
	uint32_t i;

	if (in->port != port && !npu_has_fault(dev, NPU_FAULT_PORT_IGNORED))
		return false;
	if (in->n_tags != p->n_tags)
		return false;
	for (i = 0; i < in->n_tags; i++) {
		if (in->tag[i].type != p->tag[i].type)
			return false;
		if (in->tag[i].id != p->tag[i].id && !npu_has_fault(dev, NPU_FAULT_VLAN_IGNORED))
			return false;
	}
	return true;
}

static bool same_tuple(const struct npu_tuple *a, const struct npu_tuple *b)
{
	return a->family == b->family && a->proto == b->proto && a->sport_be == b->sport_be &&
	       a->dport_be == b->dport_be && !memcmp(a->src, b->src, 16) && !memcmp(a->dst, b->dst, 16);
}

/* The rule of this packet, one that is switched on before one that is not. NULL: *trap says why. */
static struct npu_entry *look_up(struct npu_device *dev, uint32_t port, const struct npu_parsed *p,
				 enum npu_trap *trap)
{
	uint32_t base = npu_bucket(dev, &p->tuple) * dev->options.ways;
	struct npu_entry *stopped = NULL;
	uint32_t way;

	*trap = NPU_TRAP_NO_ENTRY;
	for (way = 0; way < dev->options.ways; way++) {
		struct npu_entry *entry = &dev->entries[base + way];

		if (!entry->used || !same_tuple(&entry->rule.match, &p->tuple))
			continue;
		if (!arrives_by(dev, &dev->interfaces[entry->rule.in], port, p))
			*trap = NPU_TRAP_INGRESS;
		else if (entry->on)
			return entry;
		else
			stopped = entry;
	}
	return stopped;
}

/* The seeded fault "icmp-error-as-echo": any ICMP message between two hosts belongs to their echoes. */
static struct npu_entry *look_up_hosts(struct npu_device *dev, const struct npu_parsed *p)
{
	uint32_t i;

	for (i = 0; i < dev->buckets * dev->options.ways; i++) {
		struct npu_entry *entry = &dev->entries[i];
		const struct npu_tuple *match = &entry->rule.match;

		if (entry->on && match->proto == p->tuple.proto && match->family == p->tuple.family &&
		    !memcmp(match->dst, p->tuple.dst, 16))
			return entry;
	}
	return NULL;
}

static enum npu_trap judge_tcp(struct npu_device *dev, struct npu_entry *entry, uint8_t flags)
{
	if ((flags & NPU_TCP_SYN) && !npu_has_fault(dev, NPU_FAULT_SYN_FORWARDED))
		return NPU_TRAP_SYN;
	if (flags & NPU_TCP_FIN) {
		npu_stop(dev, entry, NPU_NOTE_FIN);
		return NPU_TRAP_FIN;
	}
	if ((flags & NPU_TCP_RST) && !npu_has_fault(dev, NPU_FAULT_RST_FORWARDED)) {
		npu_stop(dev, entry, NPU_NOTE_RST);
		return NPU_TRAP_RST;
	}
	return NPU_FORWARDED;
}

static enum npu_trap judge(struct npu_device *dev, struct npu_entry *entry, const struct npu_parsed *p,
			   const struct npu_output *out)
{
	const struct npu_interface *in = &dev->interfaces[entry->rule.in];
	const struct npu_interface *to = &dev->interfaces[entry->rule.to];
	size_t mtu = to->mtu;
	enum npu_trap trap;

	if (memcmp(p->frame, in->own_mac, 6) != 0 && !npu_has_fault(dev, NPU_FAULT_MAC_IGNORED))
		return NPU_TRAP_MAC;
	if (!to->up && !npu_has_fault(dev, NPU_FAULT_LINK_IGNORED))
		return NPU_TRAP_LINK;
	if (!entry->on)
		return NPU_TRAP_STOPPED;
	trap = p->tuple.proto == NPU_TCP ? judge_tcp(dev, entry, p->tcp_flags) : NPU_FORWARDED;
	if (trap)
		return trap;
	if (npu_has_fault(dev, NPU_FAULT_MTU_IGNORED))
		mtu = SIZE_MAX;
	if (npu_has_fault(dev, NPU_FAULT_MTU_OFF_BY_ONE))
		mtu++;
	if (p->ip_length > mtu)
		return NPU_TRAP_MTU;
	if (npu_l2_length(to) + (p->length - p->l3) > out->room)
		return NPU_TRAP_ROOM;
	return NPU_FORWARDED;
}

static void count(struct npu_device *dev, struct npu_entry *entry, const struct npu_parsed *p)
{
	size_t bytes = p->ip_length;

	if (npu_has_fault(dev, NPU_FAULT_L2_BYTES))
		bytes += p->l3;
	if (npu_has_fault(dev, NPU_FAULT_PADDING_COUNTED))
		bytes = p->length - p->l3;
	npu_hit(dev, entry, (uint32_t)bytes);
}

enum npu_trap npu_device_inject(struct npu_device *dev, uint32_t port, uint8_t *frame, size_t length,
				struct npu_output *out)
{
	struct npu_parsed parsed;
	struct npu_entry *entry;
	enum npu_trap trap = npu_parse(dev, frame, length, &parsed);

	if (trap)
		return trap;
	entry = parsed.icmp_other ? look_up_hosts(dev, &parsed) : look_up(dev, port, &parsed, &trap);
	if (!entry)
		return parsed.icmp_other ? NPU_TRAP_ICMP_TYPE : trap;
	trap = judge(dev, entry, &parsed, out);
	if (trap) {
		if (npu_has_fault(dev, NPU_FAULT_PASS_MODIFIED))
			frame[parsed.l3 + (parsed.tuple.family == 4 ? 8 : 7)]--;
		return trap;
	}
	npu_rewrite_frame(dev, entry, &parsed, out);
	count(dev, entry, &parsed);
	return NPU_FORWARDED;
}
