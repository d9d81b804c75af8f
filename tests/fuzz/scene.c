/* SPDX-License-Identifier: BSD-2-Clause */
/* scene.c - the router of scene.h, as two tables of plain data. */
#include "scene.h"

#include "fuzz.h"

struct side {
	uint32_t port, mtu, flags;
	unsigned int n_encaps;
	struct fo_encap encap[FO_MAX_ENCAPS];
};

static const struct side sides[SCENE_ADJS] = {
	{1, 1500, 0, 0, {{0, 0, 0, 0, 0}}},
	{2, 1500, 0, 0, {{0, 0, 0, 0, 0}}},
	{2, 1500, 0, 1, {{FO_ENCAP_8021Q, 100, 3, 0, 0}}},
	{3, 1500, 0, 2, {{FO_ENCAP_8021AD, 200, 0, 1, 0}, {FO_ENCAP_8021Q, 300, 7, 0, 0}}},
	{4, 1492, 0, 1, {{FO_ENCAP_PPPOE, 0x1234, 0, 0, 0}}},
	{5, 1488, 0, 2, {{FO_ENCAP_8021Q, 35, 0, 0, 0}, {FO_ENCAP_PPPOE, 77, 0, 0, 0}}},
	{6, 1280, FO_ADJ_ANY_INGRESS, 0, {{0, 0, 0, 0, 0}}},
};

/* One end of a tuple: the host number within its network, and the port. ICMP: port is the identifier. */
struct end {
	uint8_t net;
	uint8_t host;
	uint16_t port;
};

struct connection {
	uint8_t family, proto;
	uint8_t side[2];
	uint8_t dscp[2];
	uint16_t scope;
	struct end a, b;   /* tuple[0]: a to b */
	struct end na, nb; /* tuple[1]: nb to na */
};

#define V4 FO_FAMILY_IPV4
#define V6 FO_FAMILY_IPV6
#define KEEP                                                                                                 \
	{                                                                                                    \
		0, 0                                                                                         \
	}

/* Networks: 1 the LAN, 2 the world, 3 the router's own addresses. */
static const struct connection connections[SCENE_FLOWS] = {
	{V4, 6, {0, 1}, KEEP, 0, {1, 10, 40000}, {2, 1, 80}, {3, 1, 50000}, {2, 1, 80}},
	{V4, 17, {0, 2}, KEEP, 0, {1, 11, 5060}, {2, 2, 53}, {3, 1, 6000}, {2, 2, 53}},
	{V4, 6, {1, 0}, KEEP, 0, {2, 3, 1025}, {3, 1, 8080}, {2, 3, 1025}, {1, 12, 80}},
	{V4, 1, {0, 3}, KEEP, 0, {1, 13, 77}, {2, 4, 0}, {3, 2, 77}, {2, 4, 0}},
	{V6, 6, {0, 4}, KEEP, 0, {1, 10, 40001}, {2, 5, 443}, {1, 10, 40001}, {2, 5, 443}},
	{V6, 17, {0, 5}, KEEP, 0, {1, 11, 4500}, {2, 6, 4500}, {3, 3, 4501}, {2, 6, 4500}},
	{V6, 58, {0, 1}, KEEP, 0, {1, 12, 900}, {2, 7, 0}, {1, 12, 900}, {2, 7, 0}},
	{V4, 17, {0, 0}, KEEP, 0, {1, 14, 7000}, {3, 1, 7777}, {3, 4, 7001}, {1, 15, 7778}},
	{V4,
	 6,
	 {0, 4},
	 {FO_DSCP_SET(46), FO_DSCP_SET(0)},
	 0,
	 {1, 16, 22000},
	 {2, 8, 22},
	 {3, 5, 22000},
	 {2, 8, 22}},
	{V4, 17, {6, 1}, KEEP, 7, {1, 17, 123}, {2, 9, 123}, {3, 6, 1123}, {2, 9, 123}},
	{V4, 17, {2, 3}, KEEP, 0, {1, 18, 2000}, {2, 10, 2001}, {1, 18, 2000}, {2, 10, 2001}},
	{V6, 17, {3, 6}, {FO_DSCP_SET(10), 0}, 0, {1, 19, 3000}, {2, 11, 3001}, {3, 7, 3000}, {1, 20, 3001}},
	{V4, 6, {0, 1}, KEEP, 1, {1, 10, 40000}, {2, 1, 80}, {3, 8, 50001}, {2, 1, 80}},
};

void scene_adj(unsigned int i, struct fo_adj *adj)
{
	const struct side *side = &sides[i];

	FO_INIT(adj);
	adj->port = side->port;
	adj->l3_dev = 100 + i;
	memcpy(adj->own_mac, "\x02\x00\x00\x00\x01", 5);
	memcpy(adj->peer_mac, "\x02\x00\x00\x00\x02", 5);
	adj->own_mac[5] = adj->peer_mac[5] = (uint8_t)(i + 1);
	adj->n_encaps = side->n_encaps;
	memcpy(adj->encap, side->encap, sizeof(adj->encap));
	adj->mtu = side->mtu;
	adj->flags = side->flags;
}

static void address(uint8_t family, const struct end *end, uint8_t out[16])
{
	static const uint8_t v6[3][8] = {
		{0xfd, 0, 0, 1}, {0x20, 0x01, 0x0d, 0xb8, 0, 2}, {0x20, 0x01, 0x0d, 0xb8, 0, 3}};
	static const uint8_t v4[3][3] = {{192, 168, 1}, {198, 51, 100}, {203, 0, 113}};

	memset(out, 0, 16);
	if (family == FO_FAMILY_IPV4) {
		memcpy(out, v4[end->net - 1], 3);
		out[3] = end->host;
	} else {
		memcpy(out, v6[end->net - 1], 8);
		out[15] = end->host;
	}
}

static void tuple(const struct connection *c, unsigned int dir, const struct end *src, const struct end *dst,
		  struct fo_tuple *out)
{
	unsigned int type = 0;

	memset(out, 0, sizeof(*out));
	out->family = c->family;
	out->proto = c->proto;
	address(c->family, src, out->src);
	address(c->family, dst, out->dst);
	packet_put16((uint8_t *)&out->sport_be, src->port);
	packet_put16((uint8_t *)&out->dport_be, dst->port);
	if (c->proto == 1 || c->proto == 58) {
		if (c->proto == 1)
			type = dir == FO_ORIGINAL ? 8 : 0;
		else
			type = dir == FO_ORIGINAL ? 128 : 129;
		packet_put16((uint8_t *)&out->sport_be, dir == FO_ORIGINAL ? src->port : dst->port);
		packet_put16((uint8_t *)&out->dport_be, type << 8);
	}
}

void scene_flow(unsigned int i, struct fo_flow *flow, unsigned int flow_sides[2])
{
	const struct connection *c = &connections[i];

	FO_INIT(flow);
	tuple(c, FO_ORIGINAL, &c->a, &c->b, &flow->tuple[FO_ORIGINAL]);
	tuple(c, FO_REPLY, &c->nb, &c->na, &flow->tuple[FO_REPLY]);
	if (memcmp(&c->a, &c->na, sizeof(c->a)) != 0 && memcmp(&c->b, &c->nb, sizeof(c->b)) != 0)
		flow->nat = FO_NAT_SRC | FO_NAT_DST; /* neither end answers by itself: it has to be said */
	flow->scope = c->scope;
	flow->dscp[0] = c->dscp[0];
	flow->dscp[1] = c->dscp[1];
	flow->user = 1000 + i;
	flow->tag = i;
	flow->timeout_ms = FO_TIMEOUT_NEVER;
	flow_sides[0] = c->side[0];
	flow_sides[1] = c->side[1];
}

static void scene_create(struct scene *scene, const struct fo_allocator *hook, uint64_t (*clock_ms)(void *),
			 void *clock_ctx)
{
	struct fo_table_options opts;
	struct fo_port ports[SCENE_PORTS];
	struct fo_error err;
	unsigned int i;
	int rc;

	FO_INIT(&opts);
	for (i = 0; i < SCENE_PORTS; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = SCENE_FLOWS;
	opts.max_workers = 1;
	opts.ports = ports;
	opts.n_ports = SCENE_PORTS;
	opts.allocator = hook;
	opts.clock_ms = clock_ms;
	opts.clock_ctx = clock_ctx;
	rc = fo_table_create(&opts, &scene->table, &err);
	FUZZ_CHECK(rc == 0, "%d %s: %s", rc, err.field, err.text);
}

void scene_open(struct scene *scene, const struct fo_allocator *hook, uint64_t (*clock_ms)(void *),
		void *clock_ctx)
{
	struct fo_adj adjs[SCENE_ADJS];
	struct fo_error err;
	unsigned int i, pair[2];
	int rc;

	memset(scene, 0, sizeof(*scene));
	scene_create(scene, hook, clock_ms, clock_ctx);
	for (i = 0; i < SCENE_ADJS; i++) {
		scene_adj(i, &adjs[i]);
		rc = fo_adj_add(scene->table, &adjs[i], &scene->adj_ids[i], &err);
		FUZZ_CHECK(rc == 0, "adjacency %u: %d %s: %s", i, rc, err.field, err.text);
	}
	for (i = 0; i < SCENE_FLOWS; i++) {
		struct model_flow *mf = &scene->flows[i];

		scene_flow(i, &mf->flow, pair);
		mf->adj[0] = adjs[pair[0]];
		mf->adj[1] = adjs[pair[1]];
		mf->flow.adj[0] = scene->adj_ids[pair[0]];
		mf->flow.adj[1] = scene->adj_ids[pair[1]];
		mf->life = MODEL_LIVE;
		mf->last_seen_ms[0] = mf->last_seen_ms[1] = clock_ms(clock_ctx);
		rc = fo_flow_add(scene->table, &mf->flow, &scene->flow_ids[i], &err);
		FUZZ_CHECK(rc == 0, "flow %u: %d %s: %s", i, rc, err.field, err.text);
	}
	scene->model.flows = scene->flows;
	scene->model.n_flows = SCENE_FLOWS;
	scene->model.caps = FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC;
}
