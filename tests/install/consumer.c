/* consumer.c - a stranger's program, built with nothing but what pkg-config says, as C99 and as C++11.
 *
 * One connection with SNAT goes through a table of the software backend: one packet through a worker, its bytes,
 * its counters, its last event. run.sh builds and runs it against the static and the shared library.
 */
#include <flowoffload-backend.h>
#include <flowoffload.h>

#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s (%s %s)\n", __FILE__, __LINE__, #condition, err.field,    \
				err.text);                                                                   \
			return 1;                                                                            \
		}                                                                                            \
	} while (0)

enum { LAN = 1, WAN = 2, FRAME = 46, ETH = 14, IP_SUM = ETH + 10, IP_SRC = ETH + 12, UDP = ETH + 20 };

static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t client[4] = {192, 168, 1, 2};
static const uint8_t server[4] = {198, 51, 100, 7};
static const uint8_t public_addr[4] = {203, 0, 113, 1};

static struct fo_error err;
static unsigned int deleted;

static uint16_t be16(unsigned int value)
{
	uint8_t bytes[2];
	uint16_t be;

	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
	memcpy(&be, bytes, sizeof(be));
	return be;
}

static unsigned int ip_sum(const uint8_t *frame)
{
	unsigned int sum = 0;
	int i;

	for (i = ETH; i < UDP; i += 2)
		sum += (unsigned int)frame[i] << 8 | frame[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void make_frame(uint8_t *frame)
{
	static const uint8_t ip[20] = {0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17};
	unsigned int sum;

	memset(frame, 0, FRAME);
	memcpy(frame, router_mac, 6);
	frame[6] = 2;
	frame[11] = LAN + 16;
	frame[12] = 8;
	memcpy(frame + ETH, ip, sizeof(ip));
	memcpy(frame + IP_SRC, client, 4);
	memcpy(frame + IP_SRC + 4, server, 4);
	sum = 0xffff - ip_sum(frame);
	frame[IP_SUM] = (uint8_t)(sum >> 8);
	frame[IP_SUM + 1] = (uint8_t)sum;
	frame[UDP] = 1000 >> 8;
	frame[UDP + 1] = 1000 & 0xff;
	frame[UDP + 3] = 53;
	frame[UDP + 5] = 12;
}

static void make_tuple(struct fo_tuple *tuple, const uint8_t *src, unsigned int sport, const uint8_t *dst,
		       unsigned int dport)
{
	memcpy(tuple->src, src, 4);
	memcpy(tuple->dst, dst, 4);
	tuple->sport_be = be16(sport);
	tuple->dport_be = be16(dport);
	tuple->family = FO_FAMILY_IPV4;
	tuple->proto = 17;
}

static int make_adj(struct fo_table *table, uint32_t port, fo_adj_id *id)
{
	struct fo_adj adj;

	FO_INIT(&adj);
	adj.port = port;
	memcpy(adj.own_mac, router_mac, 6);
	adj.peer_mac[0] = 2;
	adj.peer_mac[5] = (uint8_t)(port + 16);
	adj.mtu = 1500;
	return fo_adj_add(table, &adj, id, &err);
}

static void count_deleted(void *arg, const struct fo_event *event)
{
	(void)arg;
	if (event->kind == FO_EV_DELETED && (event->counters.flags & FO_STATS_FINAL) &&
	    event->counters.packets[FO_ORIGINAL] == 1)
		deleted++;
}

static int carry(struct fo_table *table, fo_flow_id id)
{
	struct fo_flow_counters counters;
	struct fo_packet packet;
	struct fo_worker *worker;
	uint8_t frame[FRAME];

	make_frame(frame);
	memset(&packet, 0, sizeof(packet));
	packet.data = frame;
	packet.contiguous = packet.length = sizeof(frame);
	packet.in_port = LAN;
	CHECK(fo_worker_open(table, NULL, &worker, &err) == 0);
	CHECK(fo_worker_run(worker, &packet, 1, 1) == 1);
	fo_worker_close(worker);
	CHECK(packet.verdict == FO_FORWARD && packet.out_port == WAN);
	CHECK(memcmp(frame + IP_SRC, public_addr, 4) == 0 && frame[ETH + 8] == 63);
	CHECK(frame[UDP] == 40000 >> 8 && frame[UDP + 1] == (40000 & 0xff));
	CHECK(ip_sum(frame) == 0xffff);

	FO_INIT(&counters);
	CHECK(fo_flow_stats(table, id, &counters, &err) == 0);
	CHECK(counters.packets[FO_ORIGINAL] == 1 && counters.bytes[FO_ORIGINAL] == 32);
	return 0;
}

static int use(struct fo_table *table)
{
	struct fo_flow flow;
	fo_flow_id id;

	FO_INIT(&flow);
	make_tuple(&flow.tuple[0], client, 1000, server, 53);
	make_tuple(&flow.tuple[1], server, 53, public_addr, 40000);
	flow.nat = FO_NAT_SRC;
	CHECK(make_adj(table, LAN, &flow.adj[0]) == 0);
	CHECK(make_adj(table, WAN, &flow.adj[1]) == 0);
	CHECK(fo_flow_add(table, &flow, &id, &err) == 0);
	if (carry(table, id))
		return 1;
	CHECK(fo_flow_del(table, id, NULL, &err) == 0);
	CHECK(fo_table_sync(table, 10000, &err) == 0);
	CHECK(fo_table_poll(table, 0, 0, count_deleted, NULL, &err) == 1);
	CHECK(deleted == 1);
	return 0;
}

int main(void)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_table *table;
	int failed;

	FO_INIT(&ports[0]);
	FO_INIT(&ports[1]);
	ports[0].port = LAN;
	ports[1].port = WAN;
	FO_INIT(&options);
	options.backend = "soft";
	options.capacity = 16;
	options.max_workers = 1;
	options.ports = ports;
	options.n_ports = 2;
	CHECK(fo_table_create(&options, &table, &err) == 0);
	failed = use(table);
	fo_table_destroy(table);
	if (!failed)
		printf("%s: %u event\n", fo_version(), deleted);
	return failed;
}
