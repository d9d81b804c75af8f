/* SPDX-License-Identifier: BSD-2-Clause */
/* damage.c - one random fault in a frame that would be right. See damage.h. */
#include "damage.h"

#include <arpa/inet.h>

void damage_spec(struct packet_spec *spec, uint32_t (*pick)(uint32_t below))
{
	static const uint8_t ext[] = {0, 43, 60, 51};

	switch (pick(22)) {
	case 0:
		spec->ttl = (uint8_t)pick(3);
		break;
	case 1:
		spec->frag = (uint16_t)(1 + pick(0xffff));
		break;
	case 2:
		spec->options_len = spec->tuple.family == 4 ? 4 * pick(11) : 0;
		break;
	case 3:
		spec->tcp_flags = (uint8_t)(TCP_ACK | TCP_SYN);
		break;
	case 4:
		spec->padding = pick(60);
		break;
	case 5:
		spec->payload_len = pick(1800);
		break;
	case 6:
		spec->dst_mac[pick(6)] ^= (uint8_t)(1u << pick(8));
		break;
	case 7:
		spec->tuple.src[pick(16)] ^= (uint8_t)pick(4);
		break;
	case 8:
		spec->tuple.sport_be ^= htons((uint16_t)pick(3));
		break;
	case 9:
		spec->csum = PACKET_CSUM_WRONG;
		spec->csum_value = (uint16_t)pick(0x10000);
		break;
	case 10:
		spec->csum = PACKET_CSUM_GIVEN;
		spec->csum_value = (uint16_t)(pick(2) ? 0xffff : 0);
		break;
	case 11:
		spec->ip_csum_xor = (uint16_t)pick(0x10000);
		break;
	case 12:
		spec->ip_len_delta = (int)pick(80) - 60;
		break;
	case 13:
		spec->l4_len_delta = (int)pick(9);
		break;
	case 14:
		spec->data_offset = (int)pick(16);
		break;
	case 15:
		spec->version = (int)pick(16);
		break;
	case 16:
		spec->ihl = (int)pick(5);
		break;
	case 17:
		spec->tos = (uint8_t)pick(256);
		break;
	case 18:
		spec->n_encaps = pick(spec->n_encaps + 1);
		break;
	case 19:
		if (spec->n_encaps)
			spec->encap[pick(spec->n_encaps)].id = (uint16_t)pick(4);
		break;
	case 20:
		spec->n_ext = spec->tuple.family == 6 ? pick(3) : 0;
		spec->ext[0] = ext[pick(4)];
		spec->ext[1] = ext[pick(4)];
		break;
	default:
		spec->tcp_options_len = 4 * pick(11);
		break;
	}
}
