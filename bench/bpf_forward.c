/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_forward.c - a packet through a router: forwarded by the kernel with masquerading, or on the short cut of backend bpf.
 *
 *   bench-bpf-forward [--sizes FLOWS[,FLOWS...]]
 *
 * A generator, a router and a receiver, each in a network namespace, veth between them, all on one processor; frames of 60
 * bytes of UDP come from an XDP program that the kernel runs over and over (live frames). Ways are measured in turn, round
 * by round; each prints its median and how far its rounds spread, and times that another takes. A way that loses frames
 * has no figure. Needs root, iproute2 and nft. JSON lines for targets.py.
 */
#define _GNU_SOURCE
#include "flowoffload-bpf.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

/* As in bpf_traffic.bpf.c, whose skeleton uses it. */
struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

#include "bpf_traffic.skel.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TCX_INGRESS 46
#define ROUNDS	    7u
#define FRAMES	    1000000u
#define WARM	    20000u
#define FRAME_SIZE  60u
#define FIRST_PORT  1024u

enum place { GENERATOR, ROUTER, RECEIVER, PLACES };
enum way { DROP, BARE, XDP_TO_XDP, XDP_TO_SKB, TC_TO_SKB, KERNEL, WAYS };

static const char *const way_names[WAYS] = {"drop", "bare redirect", "xdp", "xdp to skb", "tc", "kernel"};
static const uint8_t macs[4][6] = {
	{2, 0, 0, 0, 1, 2}, {2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 2, 1}, {2, 0, 0, 0, 2, 2}};

static struct bpf_traffic_bpf *traffic;
static char names[PLACES][32];
static int spaces[PLACES], home;
static uint32_t index_in, index_out, index_generator, index_receiver; /* r0, r1, c0, s0 */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench-bpf-forward: %s: %s\n", what, why);
	exit(1);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		die("failed", command);
}

static void go(int space)
{
	if (setns(space, CLONE_NEWNET))
		die("a namespace", strerror(errno));
}

/* ---- the three places ---- */

static void set_gro(enum place place, const char *device)
{
	struct ethtool_value on = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq ask = {.ifr_data = (char *)&on};
	int fd;

	go(spaces[place]);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "%s", device);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &ask))
		die("GRO", strerror(errno));
	close(fd);
	go(home);
}

static uint32_t index_of(enum place place, const char *device)
{
	uint32_t index;

	go(spaces[place]);
	index = if_nametoindex(device);
	go(home);
	return index;
}

static void places_close(void)
{
	char command[128];

	for (unsigned int i = 0; i < PLACES; i++) {
		snprintf(command, sizeof(command), "ip netns del %s 2>/dev/null", names[i]);
		if (names[i][0] && system(command))
			fprintf(stderr, "bench-bpf-forward: %s is left\n", names[i]);
	}
}

/* Whoever ends this program early finds nothing left of it. */
static void end_early(int number)
{
	exit(128 + number);
}

static void add_wire(enum place left, const char *left_device, const uint8_t *left_mac,
		     const char *right_device, const uint8_t *right_mac, enum place right)
{
	run("ip link add %s netns %s address %02x:%02x:%02x:%02x:%02x:%02x type veth peer name %s netns %s "
	    "address %02x:%02x:%02x:%02x:%02x:%02x",
	    left_device, names[left], left_mac[0], left_mac[1], left_mac[2], left_mac[3], left_mac[4],
	    left_mac[5], right_device, names[right], right_mac[0], right_mac[1], right_mac[2], right_mac[3],
	    right_mac[4], right_mac[5]);
}

static void places_open(void)
{
	static const char letters[PLACES] = {'g', 'r', 's'};
	char path[128];

	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	atexit(places_close);
	signal(SIGTERM, end_early);
	signal(SIGINT, end_early);
	for (unsigned int i = 0; i < PLACES; i++) {
		snprintf(names[i], sizeof(names[i]), "fo-bench-%d-%c", (int)getpid(), letters[i]);
		run("ip netns add %s", names[i]);
		snprintf(path, sizeof(path), "/run/netns/%s", names[i]);
		spaces[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (spaces[i] < 0)
			die(path, strerror(errno));
	}
	add_wire(GENERATOR, "c0", macs[0], "r0", macs[1], ROUTER);
	add_wire(ROUTER, "r1", macs[2], "s0", macs[3], RECEIVER);
	run("ip -n %s link set c0 up && ip -n %s link set s0 up", names[GENERATOR], names[RECEIVER]);
	run("ip -n %s addr add 10.1.0.1/24 dev r0 && ip -n %s addr add 10.2.0.1/24 dev r1", names[ROUTER],
	    names[ROUTER]);
	run("ip -n %s link set r0 up && ip -n %s link set r1 up", names[ROUTER], names[ROUTER]);
	run("ip -n %s neigh replace 10.2.0.2 lladdr 02:00:00:00:02:02 dev r1", names[ROUTER]);
	go(spaces[ROUTER]);
	run("echo 1 >/proc/sys/net/ipv4/ip_forward");
	go(home);
	set_gro(GENERATOR, "c0");
	set_gro(ROUTER, "r0");
	set_gro(ROUTER, "r1");
	set_gro(RECEIVER, "s0");
	index_in = index_of(ROUTER, "r0");
	index_out = index_of(ROUTER, "r1");
	index_generator = index_of(GENERATOR, "c0");
	index_receiver = index_of(RECEIVER, "s0");
}

/* ---- traffic ---- */

static uint16_t checksum(const void *bytes, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2) {
		uint16_t word;

		memcpy(&word, (const uint8_t *)bytes + i, 2);
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void build_pattern(uint32_t n_flows)
{
	struct frame *frame = (struct frame *)&traffic->bss->pattern;

	memcpy(frame->eth.h_dest, macs[1], 6);
	memcpy(frame->eth.h_source, macs[0], 6);
	frame->eth.h_proto = htons(ETH_P_IP);
	frame->ip = (struct iphdr){.version = 4,
				   .ihl = 5,
				   .ttl = 64,
				   .protocol = IPPROTO_UDP,
				   .tot_len = htons(FRAME_SIZE - sizeof(struct ethhdr)),
				   .saddr = inet_addr("10.1.0.2"),
				   .daddr = inet_addr("10.2.0.2")};
	frame->ip.check = checksum(&frame->ip, sizeof(frame->ip));
	frame->udp.dest = htons(9);
	frame->udp.len = htons(FRAME_SIZE - sizeof(struct ethhdr) - sizeof(struct iphdr));
	traffic->data->n_flows = n_flows;
	memcpy(traffic->bss->next_hop, macs[3], 6);
	memcpy(traffic->bss->next_hop + 6, macs[2], 6);
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ns a frame; dies when frames were lost. */
static double send_frames(uint32_t n, const char *way)
{
	uint8_t frame[FRAME_SIZE] = {0};
	struct xdp_md context = {.data_end = sizeof(frame), .ingress_ifindex = index_generator};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)n,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint64_t before = traffic->bss->received;
	double began, took;

	go(spaces[GENERATOR]);
	began = now_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(traffic->progs.generate), &options))
		die("live frames", strerror(errno));
	took = now_ns() - began;
	go(home);
	for (unsigned int i = 0; i < 1000 && traffic->bss->received < before + n; i++)
		usleep(1000);
	if (traffic->bss->received - before < n - n / 1000)
		die(way, "frames were lost");
	return took / n;
}

/* ---- ways ---- */

struct set_up {
	int links[3];
	unsigned int n_links;
	struct fo_table *table;
	int masquerades;
};

static void attach(struct set_up *set_up, enum place place, uint32_t index, const struct bpf_program *program,
		   enum bpf_attach_type type)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = type == BPF_XDP ? XDP_FLAGS_DRV_MODE : 0);
	int link;

	go(spaces[place]);
	link = bpf_link_create(bpf_program__fd(program), (int)index, type, type == BPF_XDP ? &options : NULL);
	go(home);
	if (link < 0)
		die(bpf_program__name(program), strerror(errno));
	set_up->links[set_up->n_links++] = link;
}

static void describe_flow(struct fo_flow *flow, uint32_t i, const fo_adj_id id[2])
{
	uint32_t inside = inet_addr("10.1.0.2"), router = inet_addr("10.2.0.1"), far = inet_addr("10.2.0.2");

	FO_INIT(flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		flow->tuple[dir].family = FO_FAMILY_IPV4;
		flow->tuple[dir].proto = IPPROTO_UDP;
		flow->adj[dir] = id[dir];
	}
	memcpy(flow->tuple[0].src, &inside, 4);
	memcpy(flow->tuple[0].dst, &far, 4);
	memcpy(flow->tuple[1].src, &far, 4);
	memcpy(flow->tuple[1].dst, &router, 4);
	flow->tuple[0].sport_be = flow->tuple[1].dport_be = htons((uint16_t)(FIRST_PORT + i));
	flow->tuple[0].dport_be = flow->tuple[1].sport_be = htons(9);
}

static void offload(struct set_up *set_up, uint32_t n_flows, enum fo_bpf_attach where)
{
	struct fo_port ports[2];
	struct fo_table_options options;
	struct fo_bpf_options own;
	struct fo_error err;
	fo_adj_id id[2];

	FO_INIT(&own);
	own.attach = where;
	own.conntrack = FO_BPF_CONNTRACK_OFF; /* its connections are made here, and known to nobody */
	FO_INIT(&options);
	options.backend = "bpf";
	options.backend_options = &own;
	options.capacity = n_flows;
	options.ports = ports;
	options.n_ports = 2;
	options.netns_fd = spaces[ROUTER];
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i ? index_out : index_in;
	}
	if (fo_table_create(&options, &set_up->table, &err))
		die("a table", err.text);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj adj;

		FO_INIT(&adj);
		adj.port = ports[i].port;
		adj.mtu = 1500;
		memcpy(adj.own_mac, macs[1 + i], 6);
		memcpy(adj.peer_mac, macs[3 * i], 6);
		if (fo_adj_add(set_up->table, &adj, &id[i], &err))
			die("an adjacency", err.text);
	}
	for (uint32_t i = 0; i < n_flows; i++) {
		struct fo_flow flow;
		fo_flow_id out;

		describe_flow(&flow, i, id);
		if (fo_flow_add(set_up->table, &flow, &out, &err))
			die("a flow", err.text);
	}
}

static void masquerade(struct set_up *set_up)
{
	go(spaces[ROUTER]);
	run("nft 'add table ip bench; add chain ip bench post { type nat hook postrouting priority 100; }; "
	    "add rule ip bench post oifname r1 masquerade'");
	go(home);
	set_up->masquerades = 1;
}

static void set_up_way(struct set_up *set_up, enum way way, uint32_t n_flows)
{
	struct bpf_devmap_val target = {.ifindex = index_out};
	uint32_t zero = 0;

	memset(set_up, 0, sizeof(*set_up));
	switch (way) {
	case DROP:
		attach(set_up, ROUTER, index_in, traffic->progs.receive_xdp, BPF_XDP);
		return;
	case BARE:
		go(spaces[ROUTER]);
		if (bpf_map_update_elem(bpf_map__fd(traffic->maps.out), &zero, &target, BPF_ANY))
			die("a map of devices", strerror(errno));
		go(home);
		attach(set_up, ROUTER, index_in, traffic->progs.bare, BPF_XDP);
		break;
	case KERNEL:
		masquerade(set_up);
		break;
	default:
		offload(set_up, n_flows, way == TC_TO_SKB ? FO_BPF_ATTACH_TC : FO_BPF_ATTACH_XDP);
		break;
	}
	if (way == BARE || way == XDP_TO_XDP)
		attach(set_up, RECEIVER, index_receiver, traffic->progs.receive_xdp, BPF_XDP);
	else
		attach(set_up, RECEIVER, index_receiver, traffic->progs.receive_skb,
		       (enum bpf_attach_type)TCX_INGRESS);
}

static void take_down(struct set_up *set_up)
{
	fo_table_destroy(set_up->table);
	for (unsigned int i = 0; i < set_up->n_links; i++)
		close(set_up->links[i]);
	if (!set_up->masquerades)
		return;
	go(spaces[ROUTER]);
	run("nft delete table ip bench");
	go(home);
}

static double measure(enum way way, uint32_t n_flows)
{
	struct set_up set_up;
	double ns;

	set_up_way(&set_up, way, n_flows);
	(void)send_frames(WARM > 2 * n_flows ? WARM : 2 * n_flows, way_names[way]);
	ns = send_frames(FRAMES, way_names[way]);
	take_down(&set_up);
	return ns;
}

/* ---- figures ---- */

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static void tell(enum way way, uint32_t n, const double *rounds, double median, double drop)
{
	printf("{\"bench\":\"bpf-forward\",\"case\":\"frame\",\"n\":%u,\"who\":\"%s\",\"ns\":%.1f,\"least\":%"
	       ".1f,"
	       "\"most\":%.1f,\"net_ns\":%.1f}\n",
	       n, way_names[way], median, rounds[0], rounds[ROUNDS - 1], median - drop);
}

/* Rounds differ, and what happens beside them: each ratio is of two that came one after the other. */
static void tell_ratio(const char *name, uint32_t n, double rounds[WAYS][ROUNDS], enum way slow,
		       enum way fast, enum way less)
{
	double found[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		double off = less == WAYS ? 0 : rounds[less][i];

		found[i] = (rounds[slow][i] - off) / (rounds[fast][i] - off);
	}
	qsort(found, ROUNDS, sizeof(found[0]), by_value);
	printf("{\"bench\":\"bpf-forward\",\"case\":\"%s\",\"n\":%u,\"figure\":%.3f,\"least\":%.3f,\"most\":%"
	       ".3f,"
	       "\"unit\":\"x\"}\n",
	       name, n, found[ROUNDS / 2], found[0], found[ROUNDS - 1]);
}

static void compare(uint32_t n_flows)
{
	double rounds[WAYS][ROUNDS], medians[WAYS];

	build_pattern(n_flows);
	for (unsigned int i = 0; i < ROUNDS; i++)
		for (unsigned int at = 0; at < WAYS; at++) {
			enum way way = (enum way)((at + i) % WAYS);

			rounds[way][i] = measure(way, n_flows);
		}
	tell_ratio("kernel-xdp", n_flows, rounds, KERNEL, XDP_TO_XDP, WAYS);
	tell_ratio("kernel-xdp-skb", n_flows, rounds, KERNEL, XDP_TO_SKB, WAYS);
	tell_ratio("kernel-tc", n_flows, rounds, KERNEL, TC_TO_SKB, WAYS);
	tell_ratio("over-bare", n_flows, rounds, XDP_TO_XDP, BARE, DROP);
	for (unsigned int way = 0; way < WAYS; way++) {
		qsort(rounds[way], ROUNDS, sizeof(double), by_value);
		medians[way] = rounds[way][ROUNDS / 2];
		tell((enum way)way, n_flows, rounds[way], medians[way], medians[DROP]);
	}
}

static void stay_on_one_processor(void)
{
	cpu_set_t allowed, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("processors", strerror(errno));
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("a processor", strerror(errno));
}

int main(int argc, char **argv)
{
	char sizes[64] = "1,10000", *rest = sizes, *word;

	if (argc == 3 && !strcmp(argv[1], "--sizes"))
		snprintf(sizes, sizeof(sizes), "%s", argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	stay_on_one_processor();
	traffic = bpf_traffic_bpf__open_and_load();
	if (!traffic)
		die("programs", strerror(errno));
	places_open();
	while ((word = strtok_r(rest, ",", &rest)) != NULL)
		compare((uint32_t)strtoul(word, NULL, 10));
	bpf_traffic_bpf__destroy(traffic);
	return 0;
}
