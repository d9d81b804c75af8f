/* first.c - a first program: one connection behind source NAT, one packet of it by the short cut. */
#include <arpa/inet.h>
#include <flowoffload.h>
#include <stdio.h>

/* clang-format off */
static uint8_t frame[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, /* Ethernet: to the router, from its client */
	0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0x8e, 0xe8, 192, 168, 1, 2, 198, 51, 100, 7, /* IPv4 */
	0x13, 0x88, 0, 53, 0, 12, 0, 0, 'p', 'i', 'n', 'g'}; /* UDP, port 5000 to 53 */
/* clang-format on */

static struct fo_tuple udp(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct fo_tuple tuple = {
		.family = 4, .proto = 17, .sport_be = htons(sport), .dport_be = htons(dport)};

	inet_pton(AF_INET, src, tuple.src);
	inet_pton(AF_INET, dst, tuple.dst);
	return tuple;
}

int main(void)
{
	struct fo_port port[] = {{.size = sizeof(port[0]), .port = 1}, {.size = sizeof(port[0]), .port = 2}};
	struct fo_table_options options = {.size = sizeof(options), .ports = port, .n_ports = 2};
	struct fo_adj side = {.size = sizeof(side), .mtu = 1500, .own_mac = {2, [5] = 1}, .peer_mac = {2}};
	struct fo_packet packet = {.data = frame, .contiguous = 46, .length = 46, .in_port = 1};
	struct fo_flow flow = {.size = sizeof(flow), .nat = FO_NAT_SRC};
	struct fo_table *table = NULL;
	struct fo_worker *worker = NULL;
	struct fo_error err;
	fo_flow_id id;
	int failed;

	options.capacity = 1000; /* connections */
	options.max_workers = 1;
	options.needs = FO_CAP_WORKER; /* packets come through this process */
	failed = fo_table_create(&options, &table, &err) || fo_worker_open(table, NULL, &worker, &err);
	for (int dir = 0; !failed && dir < 2; dir++) { /* the client's side, then the server's */
		side.port = (uint32_t)dir + 1;
		side.peer_mac[5] = (uint8_t)(dir + 9);
		failed = fo_adj_add(table, &side, &flow.adj[dir], &err);
	}
	flow.tuple[FO_ORIGINAL] = udp("192.168.1.2", 5000, "198.51.100.7", 53);
	flow.tuple[FO_REPLY] = udp("198.51.100.7", 53, "203.0.113.1", 40000); /* as the answers come in */
	if (failed || fo_flow_add(table, &flow, &id, &err))
		return fprintf(stderr, "%s: %s\n", err.field, err.text), 1;
	fo_worker_run(worker, &packet, 1, 1); /* a real loop passes CLOCK_MONOTONIC milliseconds */
	printf("verdict %d, leaves by port %u from %u.%u.%u.%u:%u\n", packet.verdict, packet.out_port,
	       frame[26], frame[27], frame[28], frame[29], frame[34] << 8 | frame[35]);
	fo_worker_close(worker);
	fo_table_destroy(table);
	return packet.verdict != FO_FORWARD;
}
