/* abi_older.c - programs compiled against another header than the library's: older, first release, newer.
 *
 * Includes no header of the library. The first release's layouts are written out below and never change; a shorter
 * one stands for a header that did not have the last members, a longer one for a header that has more. Built and
 * run by run.sh against the installed library, whatever its version.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "abi_older.c:%d: %s (%s: %s)\n", __LINE__, #condition, err.field,    \
				err.text);                                                                   \
			return 1;                                                                            \
		}                                                                                            \
	} while (0)
#define INIT(p) (memset((p), 0, sizeof(*(p))), (p)->size = sizeof(*(p)))

enum { R_SIZE = 65, EV_DELETED = 16, STATS_FINAL = 1 << 3, CANARY = 0xa5 };

/* ---- the first release, 0.1.0 */

struct error {
	int32_t code;
	uint16_t reason;
	uint16_t stage;
	int32_t backend_errno;
	char field[44];
	char text[200];
};

struct port {
	size_t size;
	uint32_t port;
	uint32_t state;
};

struct options {
	size_t size;
	const char *backend;
	uint64_t needs;
	uint32_t capacity;
	uint32_t max_workers;
	const struct port *ports;
	size_t n_ports;
	size_t port_stride;
	uint32_t timeout_ms[3];
	uint32_t hash;
	const void *allocator;
	uint64_t (*clock_ms)(void *ctx);
	void *clock_ctx;
	int32_t netns_fd;
	uint32_t flags;
	const void *backend_options;
	uint32_t stall_ms;
	uint32_t reserved;
};

struct encap {
	uint16_t kind;
	uint16_t id;
	uint8_t pcp;
	uint8_t dei;
	uint16_t reserved;
};

struct adj {
	size_t size;
	uint32_t port;
	uint32_t l3_dev;
	uint8_t own_mac[6];
	uint8_t peer_mac[6];
	uint32_t n_encaps;
	struct encap encap[3];
	uint32_t mtu;
	uint32_t flags;
};

struct tuple {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport_be;
	uint16_t dport_be;
	uint8_t family;
	uint8_t proto;
	uint16_t reserved;
};

struct flow {
	size_t size;
	struct tuple tuple[2];
	uint64_t adj[2];
	uint64_t needs;
	uint64_t user;
	uint32_t tag;
	uint32_t ct_mark;
	uint32_t timeout_ms;
	uint16_t scope;
	uint8_t dscp[2];
	uint32_t nat;
	uint32_t reserved;
};

struct counters {
	size_t size;
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t last_seen_ms[2];
	uint32_t flags;
	uint32_t reserved;
};

struct event {
	size_t size;
	uint32_t kind;
	uint32_t reason;
	uint64_t flow;
	uint64_t user;
	uint32_t tag;
	uint32_t state;
	uint32_t worker;
	int32_t backend_errno;
	struct counters counters;
};

struct table;
typedef void (*event_cb)(void *arg, const struct event *event);

int fo_table_create(const void *options, struct table **out, struct error *err);
void fo_table_destroy(struct table *table);
int fo_table_poll(struct table *table, unsigned int max_events, unsigned int max_us, event_cb cb, void *arg,
		  struct error *err);
int fo_table_caps(const struct table *table, void *caps, struct error *err);
int fo_adj_add(struct table *table, const void *adj, uint64_t *out, struct error *err);
int fo_flow_add(struct table *table, const void *flow, uint64_t *out, struct error *err);
int fo_flow_del(struct table *table, uint64_t id, void *last, struct error *err);
int fo_flow_stats(struct table *table, uint64_t id, void *counters, struct error *err);
int fo_stats(struct table *table, void *counters, struct error *err);

/* ---- headers that were never released: without the last members, and with one more */

struct older_options {
	size_t size;
	const char *backend;
	uint64_t needs;
	uint32_t capacity;
	uint32_t max_workers;
	const struct port *ports;
	size_t n_ports;
	size_t port_stride;
	uint32_t timeout_ms[3];
	uint32_t hash;
};

struct older_flow {
	size_t size;
	struct tuple tuple[2];
	uint64_t adj[2];
	uint64_t needs;
	uint64_t user;
};

struct older_table_counters {
	size_t size;
	uint64_t flows;
	uint64_t closing;
	uint64_t capacity;
	uint64_t adjacencies;
	uint64_t added;
	uint64_t refused;
	uint64_t ended[8];
	uint64_t forwarded_packets;
	uint64_t forwarded_bytes;
	uint8_t beyond[16]; /* not part of it: must stay as it is */
};

struct older_caps {
	size_t size;
	char backend[16];
	uint64_t can;
	uint8_t beyond[16];
};

struct newer_options {
	struct options first;
	uint64_t added;
};

struct newer_flow {
	struct flow first;
	uint64_t added;
};

struct newer_adj {
	struct adj first;
	uint64_t added;
};

struct newer_counters {
	struct counters first;
	uint8_t added[64];
};

static struct error err;

static const struct port *two_ports(void)
{
	static struct port ports[2];

	INIT(&ports[0]);
	INIT(&ports[1]);
	ports[0].port = 1;
	ports[1].port = 2;
	return ports;
}

static void fill_options(struct options *options, size_t size)
{
	memset(options, 0, size);
	options->size = size;
	options->backend = "soft";
	options->capacity = 8;
	options->ports = two_ports();
	options->n_ports = 2;
}

static void fill_adj(struct adj *adj, uint32_t port)
{
	INIT(adj);
	adj->port = port;
	adj->own_mac[0] = 2;
	adj->own_mac[5] = (uint8_t)port;
	adj->peer_mac[0] = 2;
	adj->peer_mac[5] = (uint8_t)(port + 16);
	adj->mtu = 1500;
}

static void fill_flow(struct flow *flow, const uint64_t *adj, uint8_t host)
{
	struct tuple *tuple = flow->tuple;

	INIT(flow);
	memcpy(tuple[0].src, (const uint8_t[]){192, 168, 1, host}, 4);
	memcpy(tuple[0].dst, (const uint8_t[]){198, 51, 100, 7}, 4);
	tuple[0].sport_be = 0x1234;
	tuple[0].dport_be = 0x3500;
	tuple[0].family = 4;
	tuple[0].proto = 17;
	tuple[1] = tuple[0];
	memcpy(tuple[1].src, tuple[0].dst, 4);
	memcpy(tuple[1].dst, tuple[0].src, 4);
	tuple[1].sport_be = tuple[0].dport_be;
	tuple[1].dport_be = tuple[0].sport_be;
	flow->adj[0] = adj[0];
	flow->adj[1] = adj[1];
}

static void count_event(void *arg, const struct event *event)
{
	unsigned int *seen = arg;

	if (event->kind == EV_DELETED && event->user == 77 && (event->counters.flags & STATS_FINAL))
		++*seen;
}

static int first_release(struct table *table, const uint64_t *adj)
{
	struct counters counters;
	unsigned int seen = 0;
	struct flow flow;
	uint64_t id;

	fill_flow(&flow, adj, 2);
	flow.user = 77;
	flow.nat = 1;
	CHECK(fo_flow_add(table, &flow, &id, &err) == 0);
	INIT(&counters);
	CHECK(fo_flow_stats(table, id, &counters, &err) == 0 && counters.packets[0] == 0);
	CHECK(counters.size == sizeof(counters));
	CHECK(fo_flow_del(table, id, NULL, &err) == 0);
	CHECK(fo_table_poll(table, 0, 0, count_event, &seen, &err) == 1 && seen == 1);
	return 0;
}

static int only_canary(const uint8_t *bytes, size_t n)
{
	while (n > 0 && bytes[n - 1] == CANARY)
		n--;
	return n == 0;
}

static int older_program(struct table *table, const uint64_t *adj)
{
	struct older_table_counters counters;
	struct older_flow older;
	struct older_caps caps;
	struct flow flow;
	uint64_t id;

	fill_flow(&flow, adj, 3);
	memcpy(&older, &flow, sizeof(older));
	older.size = sizeof(older);
	CHECK(fo_flow_add(table, &older, &id, &err) == 0);

	memset(&counters, CANARY, sizeof(counters));
	counters.size = offsetof(struct older_table_counters, beyond);
	CHECK(fo_stats(table, &counters, &err) == 0);
	CHECK(counters.flows == 1 && counters.capacity == 8 && counters.adjacencies == 2);
	CHECK(counters.size == offsetof(struct older_table_counters, beyond));
	CHECK(only_canary(counters.beyond, sizeof(counters.beyond)));

	memset(&caps, CANARY, sizeof(caps));
	caps.size = offsetof(struct older_caps, beyond);
	CHECK(fo_table_caps(table, &caps, &err) == 0 && !strcmp(caps.backend, "soft"));
	CHECK(only_canary(caps.beyond, sizeof(caps.beyond)));
	return 0;
}

static int newer_program(struct table *table, const uint64_t *adj)
{
	struct newer_counters counters;
	struct newer_flow flow;
	struct newer_adj side;
	uint64_t id = 42;
	size_t i;

	memset(&flow, 0, sizeof(flow));
	fill_flow(&flow.first, adj, 4);
	flow.first.size = sizeof(flow);
	flow.added = 1;
	CHECK(fo_flow_add(table, &flow, &id, &err) == -EINVAL && err.reason == R_SIZE && id == 42);
	flow.added = 0;
	CHECK(fo_flow_add(table, &flow, &id, &err) == 0);

	memset(&side, 0, sizeof(side));
	fill_adj(&side.first, 1);
	side.first.size = sizeof(side);
	side.added = UINT64_C(1) << 63;
	CHECK(fo_adj_add(table, &side, &id, &err) == -EINVAL && err.reason == R_SIZE);

	memset(&counters, CANARY, sizeof(counters));
	counters.first.size = sizeof(counters);
	CHECK(fo_flow_stats(table, id, &counters, &err) == 0 && counters.first.size == sizeof(counters));
	for (i = 0; i < sizeof(counters.added); i++)
		CHECK(counters.added[i] == 0);
	return 0;
}

static int table_of(const void *options, int (*program)(struct table *table, const uint64_t *adj))
{
	struct table *table;
	uint64_t adj[2];
	struct adj side;
	int failed;

	CHECK(fo_table_create(options, &table, &err) == 0);
	fill_adj(&side, 1);
	CHECK(fo_adj_add(table, &side, &adj[0], &err) == 0);
	fill_adj(&side, 2);
	CHECK(fo_adj_add(table, &side, &adj[1], &err) == 0);
	failed = program(table, adj);
	fo_table_destroy(table);
	return failed;
}

int main(void)
{
	struct newer_options newer;
	struct older_options older;
	struct options options;
	struct table *table = NULL;

	fill_options(&options, sizeof(options));
	memcpy(&older, &options, sizeof(older));
	older.size = sizeof(older);
	memset(&newer, 0, sizeof(newer));
	newer.first = options;
	newer.first.size = sizeof(newer);
	if (table_of(&options, first_release) || table_of(&older, older_program) ||
	    table_of(&newer, newer_program))
		return 1;
	newer.added = 1;
	CHECK(fo_table_create(&newer, &table, &err) == -EINVAL && err.reason == R_SIZE && table == NULL);
	return 0;
}
