/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_seeds.c - seeds of the packet fuzzer: for each connection and direction of scene.c one packet that is
 * forwarded and, by turns, variations that are on the border of being passed on. Head format: fuzz_packet.h.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_packet.h"
#include "scene.h"

enum variation {
	PLAIN,
	PARTIAL,   /* unfinished checksum */
	GSO,	   /* with it, a large frame of which the headers are contiguous */
	VLAN_META, /* the outer tag beside the frame */
	SPLIT,	   /* only the headers are contiguous */
	PADDED,
	TIGHT, /* no headroom */
	ZERO_CSUM,
	WRONG_CSUM,
	LAST_HOP, /* TTL 1 */
	FRAGMENT,
	OPTIONS,
	CLOSE, /* FIN, then one more */
	FULL_MTU,
	OTHER_PORT,
	VARIATIONS
};

struct seed {
	struct packet_spec spec;
	uint8_t head[HEAD_SIZE];
};

static struct packet_frame frame;

static void head16(struct seed *seed, unsigned int at, uint32_t value)
{
	seed->head[at] = (uint8_t)value;
	seed->head[at + 1] = (uint8_t)(value >> 8);
}

static unsigned int scope_choice(uint16_t scope)
{
	return scope == 0 ? 0 : scope == 1 ? 1 : 2;
}

/* What of a variation lies in the frame. */
static void vary_spec(struct packet_spec *spec, enum variation variation, const struct fo_adj *to)
{
	switch (variation) {
	case PARTIAL:
	case GSO:
		spec->csum = PACKET_CSUM_PARTIAL;
		break;
	case PADDED:
		spec->padding = 18;
		break;
	case ZERO_CSUM:
		spec->csum = PACKET_CSUM_GIVEN;
		break;
	case WRONG_CSUM:
		spec->csum = PACKET_CSUM_WRONG;
		spec->csum_value = 0x0101;
		break;
	case LAST_HOP:
		spec->ttl = 1;
		break;
	case FRAGMENT:
		spec->frag = 0x2000;
		break;
	case OPTIONS:
		spec->options_len = spec->tuple.family == FO_FAMILY_IPV4 ? 4 : 0;
		spec->n_ext = spec->tuple.family == FO_FAMILY_IPV6 ? 1 : 0;
		break;
	case CLOSE:
		spec->tcp_flags = TCP_FIN | TCP_ACK;
		break;
	case FULL_MTU:
		spec->payload_len = to->mtu - (spec->tuple.family == FO_FAMILY_IPV4 ? 20 : 40) -
				    (spec->tuple.proto == 6 ? 20 : 8);
		break;
	default:
		break;
	}
}

/* What of it lies beside the frame. */
static void vary_head(struct seed *seed, enum variation variation)
{
	uint32_t headers = frame.l4 + (seed->spec.tuple.proto == 6 ? 20u : 8u);

	switch (variation) {
	case GSO:
		seed->head[1] |= FO_PKT_GSO;
		head16(seed, 3, 1200);
		/* fall through */
	case PARTIAL:
		seed->head[1] |= FO_PKT_CSUM_PARTIAL;
		head16(seed, 5, frame.l4);
		head16(seed, 7, frame.l4_csum - frame.l4);
		break;
	case VLAN_META:
		if (seed->spec.n_encaps == 0 || seed->spec.encap[0].kind == FO_ENCAP_PPPOE)
			break;
		seed->head[1] |= FO_PKT_VLAN | (seed->spec.encap[0].kind == FO_ENCAP_8021AD ? 0x40 : 0);
		head16(seed, 9, seed->spec.encap[0].id);
		memmove(frame.bytes + 12, frame.bytes + 16, frame.length - 16);
		frame.length -= 4;
		break;
	case SPLIT:
		seed->head[11] = (uint8_t)headers;
		break;
	case TIGHT:
		seed->head[2] = 0;
		break;
	case OTHER_PORT:
		seed->head[0] = (seed->head[0] & 0xf8u) | 7;
		break;
	default:
		break;
	}
}

static size_t emit(struct seed *seed, enum variation variation, uint8_t *out, size_t room)
{
	packet_build(&seed->spec, &frame);
	vary_head(seed, variation);
	head16(seed, 14, frame.length);
	if (room < HEAD_SIZE + frame.length)
		return 0;
	memcpy(out, seed->head, HEAD_SIZE);
	memcpy(out + HEAD_SIZE, frame.bytes, frame.length);
	return HEAD_SIZE + frame.length;
}

static void start(struct seed *seed, const struct fo_flow *flow, unsigned int dir, const struct fo_adj *from,
		  unsigned int i)
{
	memset(seed, 0, sizeof(*seed));
	packet_spec_init(&seed->spec, &flow->tuple[dir], from);
	seed->head[0] = (uint8_t)(from->port | i % 10 << 3);
	seed->head[1] = (uint8_t)(scope_choice(flow->scope) << 4);
	seed->head[2] = 40;
	seed->head[13] = 1;
}

size_t fuzz_seed(unsigned int i, uint8_t *out, size_t room)
{
	unsigned int dir = i % 2, n = i / 2 % SCENE_FLOWS, pair[2];
	enum variation variation = (enum variation)(i / 2 / SCENE_FLOWS);
	struct fo_adj from, to;
	struct fo_flow flow;
	struct seed seed;
	size_t size, more;

	if (variation >= VARIATIONS)
		return 0;
	scene_flow(n, &flow, pair);
	scene_adj(pair[dir], &from);
	scene_adj(pair[1 - dir], &to);
	start(&seed, &flow, dir, &from, i);
	vary_spec(&seed.spec, variation, &to);
	size = emit(&seed, variation, out, room);
	if (size == 0 || variation != CLOSE)
		return size;
	seed.spec.tcp_flags = TCP_ACK;
	more = emit(&seed, PLAIN, out + size, room - size);
	return more != 0 ? size + more : size;
}
