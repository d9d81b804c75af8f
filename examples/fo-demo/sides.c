/* SPDX-License-Identifier: BSD-2-Clause */
/* sides.c - which port a recorded frame came in by, and the adjacencies of both sides. Neighbours: sides.h,
 * replay.c.
 *
 * Hash tables of fixed size. A capture may hold any number of addresses (a scan, a flood): what does
 * not fit any more is taken to be on the first side, or is not offloaded; nothing grows without bound.
 */
#include "sides.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAC_SLOTS     16384u
#define ADJ_SLOTS     4096u
#define NOTED_SLOTS   4096u
#define PPPOE_MAX_MTU 65533u
#define MAX_PROBE     32u

struct known_adj {
	struct fo_adj adj; /* size 0: free */
	fo_adj_id id;
};

/* How the latest frame of each direction of a connection came in. */
struct noted {
	uint64_t conn;
	struct fo_adj arrived[2]; /* size 0: not seen */
};

struct sides {
	uint32_t mtu;
	uint64_t macs[MAC_SLOTS]; /* address << 8 | port; 0: free */
	struct known_adj adjs[ADJ_SLOTS];
	struct noted noted[NOTED_SLOTS];
};

struct sides *sides_create(uint32_t mtu)
{
	struct sides *sides = calloc(1, sizeof(*sides));

	if (sides != NULL)
		sides->mtu = mtu;
	return sides;
}

void sides_destroy(struct sides *sides)
{
	free(sides);
}

static uint32_t mix(uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static uint64_t mac_number(const uint8_t *mac)
{
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | mac[i];
	return n;
}

/* The slot of mac: taken, or the free one where it belongs; NULL: crowded. */
static uint64_t *find_mac(struct sides *sides, uint64_t mac)
{
	uint32_t at = mix(mac);

	for (uint32_t i = 0; i < MAX_PROBE; i++) {
		uint64_t *slot = &sides->macs[(at + i) % MAC_SLOTS];

		if (*slot == 0 || *slot >> 8 == mac)
			return slot;
	}
	return NULL;
}

static uint32_t known_port(struct sides *sides, uint64_t mac)
{
	uint64_t *slot = find_mac(sides, mac);

	return slot != NULL ? (uint32_t)(*slot & 0xff) : 0;
}

static void remember(struct sides *sides, uint64_t mac, uint32_t port)
{
	uint64_t *slot = find_mac(sides, mac);

	if (slot != NULL && *slot == 0)
		*slot = mac << 8 | port;
}

uint32_t sides_port(struct sides *sides, const uint8_t *data)
{
	uint64_t from = mac_number(data + 6), to = mac_number(data);
	uint32_t port = known_port(sides, from);

	if (port != 0)
		return port;
	port = known_port(sides, to);
	port = port == 0 ? SIDES_PORT_FIRST : SIDES_PORT_FIRST + SIDES_PORT_SECOND - port;
	remember(sides, from, port);
	/* Broadcast and multicast (an ARP request, say) tell nothing about whom it reaches. */
	if ((data[0] & 1) == 0)
		remember(sides, to, SIDES_PORT_FIRST + SIDES_PORT_SECOND - port);
	return port;
}

/* Priorities may differ from frame to frame: the first one seen is written on egress. */
static bool is_same(const struct fo_adj *a, const struct fo_adj *b)
{
	if (a->port != b->port || a->n_encaps != b->n_encaps || memcmp(a->own_mac, b->own_mac, 6) != 0 ||
	    memcmp(a->peer_mac, b->peer_mac, 6) != 0)
		return false;
	for (uint32_t i = 0; i < a->n_encaps; i++) {
		if (a->encap[i].kind != b->encap[i].kind || a->encap[i].id != b->encap[i].id)
			return false;
	}
	return true;
}

static int take_adjacency(struct sides *sides, struct fo_table *table, const struct fo_adj *adj,
			  fo_adj_id *id, struct fo_error *err)
{
	uint32_t at = mix(mac_number(adj->peer_mac) ^ mac_number(adj->own_mac) << 8);
	int status;

	for (uint32_t i = 0; i < adj->n_encaps; i++)
		at += adj->encap[i].id * 2654435761u;
	for (uint32_t i = 0; i < MAX_PROBE; i++) {
		struct known_adj *known = &sides->adjs[(at + i) % ADJ_SLOTS];

		if (known->adj.size == 0) {
			status = fo_adj_add(table, adj, &known->id, err);
			if (status == 0)
				known->adj = *adj;
			*id = known->id;
			return status;
		}
		if (is_same(&known->adj, adj)) {
			*id = known->id;
			return 0;
		}
	}
	*err = (struct fo_error){.code = -ENOSPC, .reason = FO_R_FULL, .stage = FO_STAGE_RESOLVE};
	snprintf(err->text, sizeof(err->text), "fo-demo keeps %u adjacencies at most; the capture has more",
		 ADJ_SLOTS);
	return -ENOSPC;
}

/* How frames like this one come in. */
static void describe(struct sides *sides, const uint8_t *data, const struct frame *frame, struct fo_adj *adj)
{
	FO_INIT(adj);
	adj->port = sides_port(sides, data);
	adj->n_encaps = frame->n_encaps;
	memcpy(adj->encap, frame->encap, sizeof(adj->encap));
	adj->mtu = sides->mtu;
	/* PPPoE's own length field counts two bytes of PPP more. */
	if (frame->n_encaps > 0 && frame->encap[frame->n_encaps - 1].kind == FO_ENCAP_PPPOE &&
	    adj->mtu > PPPOE_MAX_MTU)
		adj->mtu = PPPOE_MAX_MTU;
	memcpy(adj->own_mac, data, 6);
	memcpy(adj->peer_mac, data + 6, 6);
}

/* How the answers to frames like this one would come in. */
static void mirror(struct sides *sides, const struct fo_adj *adj, struct fo_adj *out)
{
	uint32_t port = known_port(sides, mac_number(adj->own_mac));

	*out = *adj;
	out->port = port != 0 ? port : SIDES_PORT_FIRST + SIDES_PORT_SECOND - adj->port;
	memcpy(out->own_mac, adj->peer_mac, 6);
	memcpy(out->peer_mac, adj->own_mac, 6);
}

void sides_note(struct sides *sides, uint64_t conn, enum fo_dir dir, const uint8_t *data,
		const struct frame *frame)
{
	struct noted *noted = &sides->noted[mix(conn) % NOTED_SLOTS];

	if (noted->conn != conn)
		*noted = (struct noted){.conn = conn};
	describe(sides, data, frame, &noted->arrived[dir]);
}

int sides_adjacencies(struct sides *sides, struct fo_table *table, uint64_t conn, fo_adj_id adj[2],
		      struct fo_error *err)
{
	struct noted noted = sides->noted[mix(conn) % NOTED_SLOTS];
	int status = 0;

	for (int dir = 0; dir < 2; dir++) {
		if (noted.arrived[dir].size == 0)
			mirror(sides, &noted.arrived[1 - dir], &noted.arrived[dir]);
	}
	for (int dir = 0; dir < 2 && status == 0; dir++)
		status = take_adjacency(sides, table, &noted.arrived[dir], &adj[dir], err);
	return status;
}
