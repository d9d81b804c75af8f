/* SPDX-License-Identifier: BSD-2-Clause */
/* rig_net_router.c - makes the kernel's slow path do what a flow says, and connections with it. See rig_net.h.
 *
 * Every packet of a known connection is marked with the side that it leaves by, which chooses the route; NAT is a look-up by
 * the tuple, to exactly what the other tuple answers. So conntrack's own translation is that of the flow, whatever it is.
 * */
#include "rig_net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* For the kernel to let go of a connection; only one that never does takes so long. */
#define PATIENCE_US 30000000u

/* One family's part; %1$s: ip or ip6, %2$s: the address type. */
static const char family_rules[] =
	"table %1$s rig {\n"
	"	map side { type inet_proto . %2$s . inet_service . %2$s . inet_service : mark; }\n"
	"	map dst_of { type inet_proto . %2$s . inet_service . %2$s . inet_service : %2$s . "
	"inet_service; }\n"
	"	map src_of { type inet_proto . %2$s . inet_service . %2$s . inet_service : %2$s . "
	"inet_service; }\n"
	"	chain choose { type filter hook prerouting priority -310; meta l4proto { tcp, udp } meta "
	"mark set "
	"meta l4proto . %1$s saddr . th sport . %1$s daddr . th dport map @side; }\n"
	"	chain pre { type nat hook prerouting priority -100; meta l4proto { tcp, udp } dnat %1$s to "
	"meta l4proto . %1$s saddr . th sport . %1$s daddr . th dport map @dst_of; }\n"
	"	chain post { type nat hook postrouting priority 100; meta l4proto { tcp, udp } snat %1$s to "
	"meta l4proto . %1$s saddr . th sport . %1$s daddr . th dport map @src_of; }\n"
	"	chain out { type filter hook output priority 0; policy drop; }\n"
	"}\n";

int net_router_run(struct net *net, const char *format, ...)
{
	static char text[16384];
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (rc < 0 || (size_t)rc >= sizeof(text))
		return net_fail(net, "too many rules at once");
	if (!nft_run_cmd_from_buffer(net->nft, text))
		return 0;
	return net_fail(net, "nftables: %.120s", nft_ctx_get_error_buffer(net->nft));
}

static int tap_rules(struct net *net, const char *then)
{
	unsigned int i;

	if (net_router_run(net, "add table netdev rig"))
		return -1;
	for (i = 0; i < net->n_ports; i++)
		if (net_router_run(net,
				   "add chain netdev rig tap%u { type filter hook ingress device p%u "
				   "priority 500; }\n"
				   "add rule netdev rig tap%u log group 7 %s",
				   net->port[i], net->port[i], net->port[i], then))
			return -1;
	return 0;
}

int net_set_kernel(struct net *net, const char *setting, const char *value)
{
	char path[96];
	int fd, bad;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", setting);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	bad = fd < 0 || write(fd, value, strlen(value)) < 0;
	if (fd >= 0)
		close(fd);
	return bad ? net_fail(net, "%s: %m", setting) : 0;
}

/* Packets of the cases have whatever numbers: windows are not what they are about. And no case is so slow, on whatever
 * machine, that a connection idles off the short cut or out of conntrack. */
static int set_conntrack(struct net *net)
{
	static const char *const settings[][2] = {
		{"nf_conntrack_tcp_be_liberal", "1"},	      {"nf_conntrack_udp_timeout", "14400"},
		{"nf_conntrack_udp_timeout_stream", "14400"}, {"nf_flowtable_tcp_timeout", "7200"},
		{"nf_flowtable_udp_timeout", "7200"},
	};
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		/* Flows in hardware may have no shorter timeouts than a tenth of that, and some more. */
		int hardware = net->hwsim && !net->instant && strstr(settings[i][0], "flowtable");

		if (net_set_kernel(net, settings[i][0], hardware ? "600" : settings[i][1]))
			return -1;
	}
	return 0;
}

/* In the router's namespace. */
static int tap_open(struct net *net, const char *then)
{
	net->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!net->nft)
		return net_fail(net, "libnftables does not start");
	return nft_ctx_buffer_error(net->nft) || nft_ctx_buffer_output(net->nft) || tap_rules(net, then) ? -1
													 : 0;
}

/* Behind the tap nothing answers, and the router says nothing of its own accord. */
int net_tap_open(struct net *net)
{
	int rc = net_enter(net, net->router) ? -1 : tap_open(net, "drop");

	if (!rc)
		rc = net_router_run(net,
				    "add table inet rig\nadd chain inet rig out { type filter hook output "
				    "priority 0; policy drop; }");

	return net_enter(net, net->home) ? -1 : rc;
}

int net_router_open(struct net *net)
{
	int rc;

	if (net_enter(net, net->router))
		return -1;
	rc = tap_open(net, "");
	if (!rc)
		rc = net_router_run(net, family_rules, "ip", "ipv4_addr") ||
		     net_router_run(net, family_rules, "ip6", "ipv6_addr") || set_conntrack(net) ||
		     net_kernel_open(net);
	if (net_enter(net, net->home))
		return -1;
	return rc ? -1 : 0;
}

void net_router_close(struct net *net)
{
	if (net->refreshes && getenv("FO_CONFORMANCE_TIMES"))
		fprintf(stderr, "rig: %u flowtables made anew; the kernel let go within %llu us\n",
			net->refreshes, (unsigned long long)net->longest_us);
	net_kernel_close(net);
	if (net->nft)
		nft_ctx_free(net->nft);
	net->nft = NULL;
}

/* ---- Connections ----------------------------------------------------------------------------------------- */

static int same_tuple(const struct fo_tuple *a, const struct fo_tuple *b)
{
	return a->family == b->family && a->proto == b->proto && a->sport_be == b->sport_be &&
	       a->dport_be == b->dport_be && !memcmp(a->src, b->src, 16) && !memcmp(a->dst, b->dst, 16);
}

static struct net_connection *find(const struct net *net, const struct fo_flow *flow)
{
	unsigned int i;

	for (i = net->n_connections; i-- > 0;)
		if (same_tuple(&net->connection[i].tuple[0], &flow->tuple[0]) &&
		    same_tuple(&net->connection[i].tuple[1], &flow->tuple[1]))
			return &net->connection[i];
	return NULL;
}

static struct net_connection *remember(struct net *net, const struct fo_flow *flow, const uint32_t *side)
{
	struct net_connection *c;

	if (net->n_connections == net->most_connections) {
		unsigned int most = net->most_connections ? net->most_connections * 2 : 64;

		c = realloc(net->connection, most * sizeof(*c));
		if (!c)
			return NULL;
		net->connection = c;
		net->most_connections = most;
	}
	c = &net->connection[net->n_connections++];
	memcpy(c->tuple, flow->tuple, sizeof(c->tuple));
	memcpy(c->side, side, sizeof(c->side));
	return c;
}

/* PROTO . SRC . SPORT . DST . DPORT, as the maps have it; to: an address and port, behind a colon. */
static void print_key(char *text, size_t size, unsigned int family, unsigned int proto, const uint8_t *src,
		      uint16_t sport_be, const uint8_t *dst, uint16_t dport_be)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	int af = family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6;

	(void)inet_ntop(af, src, from, sizeof(from));
	(void)inet_ntop(af, dst, to, sizeof(to));
	snprintf(text, size, "%u . %s . %u . %s . %u", proto, from, ntohs(sport_be), to, ntohs(dport_be));
}

static int add_nat(struct net *net, const char *family, const char *map, const char *key,
		   const uint8_t *address, uint16_t port_be, unsigned int fo_family)
{
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(fo_family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6, address, text, sizeof(text));
	return net_router_run(net, "add element %s rig %s { %s : %s . %u }", family, map, key, text,
			      ntohs(port_be));
}

/* What the other tuple answers is what this one must become. */
static int add_rules(struct net *net, const struct net_connection *c)
{
	const struct fo_tuple *a = &c->tuple[0], *b = &c->tuple[1];
	const char *family = a->family == FO_FAMILY_IPV4 ? "ip" : "ip6";
	char key[2][160], after[160];
	unsigned int d;

	for (d = 0; d < 2; d++) {
		const struct fo_tuple *t = &c->tuple[d];

		print_key(key[d], sizeof(key[d]), t->family, t->proto, t->src, t->sport_be, t->dst,
			  t->dport_be);
	}
	print_key(after, sizeof(after), a->family, a->proto, a->src, a->sport_be, b->src, b->sport_be);
	if (net_router_run(net, "add element %s rig side { %s : %u, %s : %u }", family, key[0],
			   c->side[1] + 1, key[1], c->side[0] + 1))
		return -1;
	if ((memcmp(a->dst, b->src, 16) || a->dport_be != b->sport_be) &&
	    add_nat(net, family, "dst_of", key[0], b->src, b->sport_be, a->family))
		return -1;
	if ((memcmp(a->src, b->dst, 16) || a->sport_be != b->dport_be) &&
	    add_nat(net, family, "src_of", after, b->dst, b->dport_be, a->family))
		return -1;
	return 0;
}

/* One packet of a direction, by whatever path. */
static int speak(struct net *net, const struct net_connection *c, unsigned int dir, unsigned int tcp_flags)
{
	static struct packet_frame frame;
	struct packet_spec spec;
	struct rig_packet packet = {.frame = frame.bytes};

	packet_spec_init(&spec, &c->tuple[dir], &net->side[c->side[dir]].adj);
	spec.tcp_flags = (uint8_t)tcp_flags;
	spec.payload_len = tcp_flags & TCP_SYN ? 0 : 8;
	packet_build(&spec, &frame);
	packet.in_port = net->side[c->side[dir]].adj.port;
	packet.length = frame.length;
	return net_carry(net, &packet);
}

static int must_arrive(struct net *net, const struct net_connection *c, unsigned int dir, unsigned int flags)
{
	if (speak(net, c, dir, flags))
		return -1;
	if (net->n_out == 1 && net->out.port == net->side[c->side[1 - dir]].adj.port)
		return 0;
	return net_fail(
		net,
		"the slow path does not carry the connection: packet %s direction %u: %u came out, by port "
		"%u, not %u",
		flags & TCP_SYN ? "SYN" : "", dir, net->n_out, net->n_out ? net->out.port : 0,
		net->side[c->side[1 - dir]].adj.port);
}

int net_router_move(struct net *net, const struct fo_flow *flow, const uint32_t *side)
{
	struct net_connection *c = find(net, flow);
	const char *family = flow->tuple[0].family == FO_FAMILY_IPV4 ? "ip" : "ip6";
	char key[2][160];
	unsigned int d;

	if (!c)
		return 0;
	for (d = 0; d < 2; d++) {
		const struct fo_tuple *t = &c->tuple[d];

		print_key(key[d], sizeof(key[d]), t->family, t->proto, t->src, t->sport_be, t->dst,
			  t->dport_be);
	}
	memcpy(c->side, side, sizeof(c->side));
	return net_router_run(
		net,
		"delete element %s rig side { %s, %s }\nadd element %s rig side { %s : %u, %s : "
		"%u }",
		family, key[0], key[1], family, key[0], side[1] + 1, key[1], side[0] + 1);
}

int net_router_connect(struct net *net, const struct fo_flow *flow, const uint32_t *side)
{
	struct net_connection *c = find(net, flow);

	if (flow->tuple[0].proto != 6 && flow->tuple[0].proto != 17)
		return 0;
	if (!c) {
		c = remember(net, flow, side);
		if (!c)
			return net_fail(net, "no memory");
		if (add_rules(net, c))
			return -1;
	} else if (memcmp(c->side, side, sizeof(c->side)) && net_router_move(net, flow, side)) {
		return -1;
	}
	if (net_kernel_forget_ended(net, &c->tuple[0]))
		return -1;
	if (flow->tuple[0].proto == 17)
		return must_arrive(net, c, 0, 0) || must_arrive(net, c, 1, 0) ? -1 : 0;
	return must_arrive(net, c, 0, TCP_SYN) || must_arrive(net, c, 1, TCP_SYN | TCP_ACK) ||
			       must_arrive(net, c, 0, TCP_ACK)
		       ? -1
		       : 0;
}

/* ---- Onto the short cut ---------------------------------------------------------------------------------- */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* One packet; did it take the short cut? */
static int is_short(struct net *net, const struct net_connection *c, int *out)
{
	int rc = speak(net, c, 0, TCP_ACK);

	*out = !rc && !net->tapped && net->n_out == 1;
	return rc;
}

/* As long as the entry says that a flowtable has it, which is gone, the kernel does not take it up: that is waited for.
 * Then one packet makes it, and the next must be on the short cut; what is not is left for the case to see. */
static int take_up(struct net *net, struct net_connection *c)
{
	uint64_t began = now_us(), waited = 0;
	int held = 1, fast = 0, rc = 0;

	while (!rc && held && !fast && waited < PATIENCE_US) {
		rc = net_kernel_offloaded(net, &c->tuple[0], &held);
		if (!rc && held)
			rc = is_short(net, c, &fast);
		waited = now_us() - began;
	}
	if (rc || fast)
		return rc;
	if (held)
		return net_fail(net, "the kernel has not let go of a connection within %u s",
				PATIENCE_US / 1000000);
	if (waited > net->longest_us)
		net->longest_us = waited;
	rc = speak(net, c, 0, TCP_ACK);
	return rc || !net->hwsim || net->instant ? rc : net_kernel_wait_hardware(net, &c->tuple[0]);
}

struct taking {
	struct net *net;
	int rc;
};

static int take_up_one(void *arg, const struct fo_flow_info *info)
{
	struct taking *taking = arg;
	struct net *net = taking->net;
	struct net_connection *c;

	if (info->state == FO_STATE_CLOSING)
		return 0;
	c = find(net, &info->flow);
	if (!c || (c->flow == info->id && c->refresh == net->refreshes))
		return 0;
	taking->rc = take_up(net, c);
	c->flow = info->id;
	c->refresh = net->refreshes;
	return taking->rc;
}

int net_router_take_up(struct net *net)
{
	struct taking taking = {.net = net};

	if (net_kernel_refreshes(net))
		return -1;
	if (fo_flow_walk(net->table, NULL, take_up_one, &taking, NULL) < 0 && !taking.rc)
		return net_fail(net, "the table cannot be walked");
	net->taken_up = net->refreshes;
	return taking.rc;
}
