/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_rewrite.c - the silicon's rewriter: L2 header, addresses, ports, TTL, DSCP and what they do to the checksums.
 *
 * Checksums are mended by what changed and never computed (RFC 1624, equation 3), so that a packet that was broken on
 * its way stays recognisably broken. Neighbours: npu_packet.c decides, npu_parse.c knew the offsets.
 */
#include "npu_packet.h"

#include <string.h>

size_t npu_csum_offset(uint8_t proto)
{
	return proto == NPU_TCP ? 16 : proto == NPU_UDP ? 6 : 2;
}

size_t npu_l2_length(const struct npu_interface *to)
{
	size_t length = 14;
	uint32_t i;

	for (i = 0; i < to->n_tags; i++)
		length += to->tag[i].type == NPU_TYPE_PPPOE ? 8 : 4;
	return length;
}

static void write_l2(const struct npu_device *dev, const struct npu_interface *to,
		     const struct npu_parsed *in, size_t payload, uint8_t *at)
{
	bool v4 = in->tuple.family == 4;
	uint16_t type = v4 ? NPU_TYPE_IPV4 : NPU_TYPE_IPV6;
	uint32_t i;

	memcpy(at, to->peer_mac, 6);
	memcpy(at + 6, to->own_mac, 6);
	at += 12;
	for (i = 0; i < to->n_tags; i++) {
		const struct npu_tag *tag = &to->tag[i];
		uint16_t priority = tag->priority;

		if (npu_has_fault(dev, NPU_FAULT_PCP_COPIED) && in->n_tags)
			priority = in->tag[0].priority;
		npu_store16(at, tag->type);
		if (tag->type == NPU_TYPE_PPPOE) {
			npu_store16(at + 2, 0x1100);
			npu_store16(at + 4, tag->id);
			npu_store16(at + 6, payload + (npu_has_fault(dev, NPU_FAULT_PPPOE_LENGTH) ? 0 : 2));
			type = v4 ? NPU_PPP_IPV4 : NPU_PPP_IPV6;
			at += 8;
		} else {
			npu_store16(at + 2, (size_t)(priority | tag->id));
			at += 4;
		}
	}
	npu_store16(at, type);
}

/* Words that stay the same contribute nothing: adding their 0xffff could turn one zero into the other. */
static void mend(uint8_t *csum, const uint8_t *from, const uint8_t *to, size_t n)
{
	uint32_t sum = (uint16_t)~npu_load16(csum);
	size_t i;

	for (i = 0; i < n; i += 2) {
		if (npu_load16(from + i) == npu_load16(to + i))
			continue;
		sum += (uint16_t)~npu_load16(from + i);
		sum += npu_load16(to + i);
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	npu_store16(csum, (uint16_t)~sum);
}

static uint32_t add_words(uint32_t sum, const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i + 1 < n; i += 2)
		sum += npu_load16(p + i);
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The seeded fault "csum-repaired": compute the whole checksum anew. */
static void recompute(uint8_t *ip, uint8_t *l4, size_t length, const struct npu_tuple *tuple)
{
	uint8_t *csum = l4 + npu_csum_offset(tuple->proto);
	uint32_t sum = 0;

	npu_store16(csum, 0);
	if (tuple->proto != NPU_ICMP) {
		sum = tuple->family == 4 ? add_words(0, ip + 12, 8) : add_words(0, ip + 8, 32);
		sum += tuple->proto + (uint32_t)length;
	}
	npu_store16(csum, (uint16_t)~add_words(sum, l4, length));
}

static void write_ttl_and_dscp(const struct npu_device *dev, const struct npu_rule *rule, uint8_t *ip)
{
	uint8_t ecn = npu_has_fault(dev, NPU_FAULT_ECN_CLEARED) ? 0 : 3;
	bool v4 = rule->match.family == 4;

	if (!npu_has_fault(dev, NPU_FAULT_TTL_KEPT))
		ip[v4 ? 8 : 7]--;
	if (!rule->set_dscp)
		return;
	if (v4) {
		ip[1] = (uint8_t)(rule->dscp << 2 | (ip[1] & ecn));
	} else {
		uint16_t word = npu_load16(ip);
		uint16_t class = (uint16_t)(rule->dscp << 2 | (word >> 4 & ecn));

		npu_store16(ip, (word & 0xf00fu) | (uint32_t) class << 4);
	}
}

static void write_tuple(const struct npu_tuple *out, uint8_t *ip, uint8_t *l4)
{
	if (out->family == 4) {
		memcpy(ip + 12, out->src, 4);
		memcpy(ip + 16, out->dst, 4);
	} else {
		memcpy(ip + 8, out->src, 16);
		memcpy(ip + 24, out->dst, 16);
	}
	if (out->proto == NPU_TCP || out->proto == NPU_UDP) {
		memcpy(l4, &out->sport_be, 2);
		memcpy(l4 + 2, &out->dport_be, 2);
	} else {
		memcpy(l4 + 4, &out->sport_be, 2);
	}
}

static void mend_l4(const struct npu_device *dev, const struct npu_parsed *in, const uint8_t *ip, uint8_t *l4)
{
	const uint8_t *old_ip = in->frame + in->l3;
	const uint8_t *old_l4 = in->frame + in->l4;
	uint8_t proto = in->tuple.proto;
	uint8_t *csum = l4 + npu_csum_offset(proto);
	bool absent = proto == NPU_UDP && npu_load16(csum) == 0;
	bool v4 = in->tuple.family == 4;
	bool pseudo = proto != NPU_ICMP || npu_has_fault(dev, NPU_FAULT_ICMP_PSEUDO_HEADER);
	bool ports = proto == NPU_TCP || proto == NPU_UDP;
	size_t first = ports ? 0 : 4; /* ports, or the identifier */

	if (absent && !npu_has_fault(dev, NPU_FAULT_UDP_ZERO_REWRITTEN))
		return;
	if (!v4 && npu_has_fault(dev, NPU_FAULT_NO_PSEUDO_HEADER))
		pseudo = false;
	if (pseudo)
		mend(csum, old_ip + (v4 ? 12 : 8), ip + (v4 ? 12 : 8), v4 ? 8 : 32);
	if (!npu_has_fault(dev, NPU_FAULT_PORTS_WITHOUT_CSUM))
		mend(csum, old_l4 + first, l4 + first, ports ? 4 : 2);
	if (npu_load16(csum) != 0)
		return;
	if ((proto == NPU_UDP && !npu_has_fault(dev, NPU_FAULT_UDP_ZERO_SENT)) ||
	    (proto == NPU_TCP && npu_has_fault(dev, NPU_FAULT_TCP_ZERO_COMPLEMENTED)))
		npu_store16(csum, 0xffff);
}

void npu_rewrite_frame(const struct npu_device *dev, const struct npu_entry *entry,
		       const struct npu_parsed *in, struct npu_output *out)
{
	const struct npu_interface *to = &dev->interfaces[entry->rule.to];
	bool padded = npu_has_fault(dev, NPU_FAULT_PADDING_FORWARDED);
	size_t payload = padded ? in->length - in->l3 : in->ip_length;
	uint8_t *ip = out->data + npu_l2_length(to);
	uint8_t *l4 = ip + (in->l4 - in->l3);

	write_l2(dev, to, in, payload, out->data);
	memcpy(ip, in->frame + in->l3, payload);
	write_ttl_and_dscp(dev, &entry->rule, ip);
	write_tuple(&entry->rule.out, ip, l4);
	if (in->tuple.family == 4) {
		mend(ip + 10, in->frame + in->l3, ip, 10);
		mend(ip + 10, in->frame + in->l3 + 12, ip + 12, 8);
	}
	mend_l4(dev, in, ip, l4);
	if (npu_has_fault(dev, NPU_FAULT_CSUM_REPAIRED))
		recompute(ip, l4, in->ip_length - (in->l4 - in->l3), &in->tuple);
	out->length = npu_l2_length(to) + payload;
	out->port = to->port;
}
