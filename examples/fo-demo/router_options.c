/* SPDX-License-Identifier: BSD-2-Clause */
/* router_options.c - the command line of `fo-demo router`. Neighbours: router.c. */
#include "router.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "out.h"

enum option_key {
	KEY_LAN = 256,
	KEY_WAN,
	KEY_LAN_ADDR,
	KEY_WAN_ADDR,
	KEY_LAN_ADDR6,
	KEY_WAN_ADDR6,
	KEY_GW,
	KEY_GW6,
	KEY_NAT,
	KEY_NAT6,
	KEY_NO_NAT,
	KEY_LAN_VLAN,
	KEY_WAN_VLAN,
	KEY_ALLOW_IN,
	KEY_NO_OFFLOAD,
	KEY_SECONDS,
	KEY_JSON,
	KEY_STATS,
	KEY_EXPLAIN,
	KEY_TOP,
	KEY_RING,
	KEY_SLOT,
	KEY_CAPACITY,
	KEY_BYPASS
};

static const struct option longs[] = {
	{"lan", required_argument, NULL, KEY_LAN},
	{"wan", required_argument, NULL, KEY_WAN},
	{"lan-addr", required_argument, NULL, KEY_LAN_ADDR},
	{"wan-addr", required_argument, NULL, KEY_WAN_ADDR},
	{"lan-addr6", required_argument, NULL, KEY_LAN_ADDR6},
	{"wan-addr6", required_argument, NULL, KEY_WAN_ADDR6},
	{"wan-gw", required_argument, NULL, KEY_GW},
	{"wan-gw6", required_argument, NULL, KEY_GW6},
	{"nat", required_argument, NULL, KEY_NAT},
	{"nat6", required_argument, NULL, KEY_NAT6},
	{"no-nat", no_argument, NULL, KEY_NO_NAT},
	{"lan-vlan", required_argument, NULL, KEY_LAN_VLAN},
	{"wan-vlan", required_argument, NULL, KEY_WAN_VLAN},
	{"allow-in", no_argument, NULL, KEY_ALLOW_IN},
	{"no-offload", no_argument, NULL, KEY_NO_OFFLOAD},
	{"seconds", required_argument, NULL, KEY_SECONDS},
	{"json", no_argument, NULL, KEY_JSON},
	{"stats-every", required_argument, NULL, KEY_STATS},
	{"explain-one", no_argument, NULL, KEY_EXPLAIN},
	{"top", required_argument, NULL, KEY_TOP},
	{"ring", required_argument, NULL, KEY_RING},
	{"slot", required_argument, NULL, KEY_SLOT},
	{"capacity", required_argument, NULL, KEY_CAPACITY},
	{"qdisc-bypass", no_argument, NULL, KEY_BYPASS},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] =
	"usage: fo-demo router --lan IF --wan IF --lan-addr A/LEN --wan-addr A/LEN [OPTIONS]\n\n"
	"A NAT router between two Ethernet interfaces, in user space. The interfaces need no IP addresses of "
	"the\n"
	"kernel's (and the kernel must not forward between them): the router answers ARP and ND itself. "
	"Needs\n"
	"CAP_NET_RAW. SIGINT or SIGTERM ends it with a summary.\n\n"
	"  --lan IF, --wan IF            the two interfaces\n"
	"  --lan-addr, --wan-addr A/LEN  the router's IPv4 address and network on either side\n"
	"  --lan-addr6, --wan-addr6 A/LEN  the same for IPv6\n"
	"  --wan-gw A, --wan-gw6 A       next hop for everything else\n"
	"  --nat A                       hide IPv4 behind this address (default: the one of --wan-addr)\n"
	"  --nat6 A                      hide IPv6 behind this address (default: IPv6 is not translated)\n"
	"  --no-nat                      route IPv4 untranslated\n"
	"  --allow-in                    the WAN may open connections (untranslated families only)\n"
	"  --lan-vlan, --wan-vlan VID    frames of that side carry this 802.1Q tag\n"
	"  --no-offload                  everything by the slow path\n"
	"  --capacity N                  connections at most (default 65536)\n"
	"  --ring N                      slots in each receive ring (default 255)\n"
	"  --slot BYTES                  size of a slot (default 67584: any GSO frame; 2048 is enough for "
	"frames of\n"
	"                                1500 bytes, where the interfaces' GRO and their peers' GSO are "
	"off)\n"
	"  --qdisc-bypass                send past the interfaces' queueing disciplines\n"
	"  --seconds N                   end after so long\n"
	"  --stats-every S               a line of figures every S seconds, to standard error\n"
	"  --top N                       largest flows in the summary, 0 to 32 (default 5)\n"
	"  --explain-one                 explain the busiest flow in the summary\n"
	"  --json                        the summary as JSON\n"
	"  -v, --verbose                 tell of every flow and event, to standard error\n";

static bool parse_net(const char *option, const char *text, uint8_t family, struct router_addr *out)
{
	char addr[64];
	const char *slash = strchr(text, '/');
	uint64_t len;

	if (!slash || (size_t)(slash - text) >= sizeof(addr)) {
		out_error("%s: '%s' has no prefix length; write it as %s", option, text,
			  family == FO_FAMILY_IPV4 ? "192.168.1.1/24" : "2001:db8:1::1/64");
		return false;
	}
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (!out_address(option, addr, family, out->addr) ||
	    !out_number(option, slash + 1, 1, family == FO_FAMILY_IPV4 ? 32 : 128, &len))
		return false;
	out->len = (uint8_t)len;
	out->set = true;
	return true;
}

static bool parse_addr(const char *option, const char *text, uint8_t family, struct router_addr *out)
{
	out->set = out_address(option, text, family, out->addr);
	return out->set;
}

static bool parse_u32(const char *option, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (!out_number(option, text, min, max, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool parse_vlan(const char *option, const char *text, uint16_t *out)
{
	uint32_t vid;

	if (!parse_u32(option, text, 1, 4094, &vid))
		return false;
	*out = (uint16_t)vid;
	return true;
}

static bool set_flag(int key, struct router_options *o)
{
	switch (key) {
	case KEY_ALLOW_IN:
		return o->allow_in = true;
	case KEY_NO_OFFLOAD:
		return o->no_offload = true;
	case KEY_JSON:
		return o->json = true;
	case KEY_EXPLAIN:
		return o->explain_one = true;
	case KEY_BYPASS:
		return o->ap.bypass_qdisc = true;
	case 'v':
		return o->verbose = true;
	default:
		return false;
	}
}

static bool set_option(int key, const char *name, const char *arg, struct router_options *o)
{
	switch (key) {
	case KEY_LAN:
	case KEY_WAN:
		o->ifname[key == KEY_WAN] = arg;
		return true;
	case KEY_LAN_ADDR:
	case KEY_WAN_ADDR:
		return parse_net(name, arg, FO_FAMILY_IPV4, &o->addr[key == KEY_WAN_ADDR][ROUTER_V4]);
	case KEY_LAN_ADDR6:
	case KEY_WAN_ADDR6:
		return parse_net(name, arg, FO_FAMILY_IPV6, &o->addr[key == KEY_WAN_ADDR6][ROUTER_V6]);
	case KEY_GW:
		return parse_addr(name, arg, FO_FAMILY_IPV4, &o->gw[ROUTER_V4]);
	case KEY_GW6:
		return parse_addr(name, arg, FO_FAMILY_IPV6, &o->gw[ROUTER_V6]);
	case KEY_NAT:
		return parse_addr(name, arg, FO_FAMILY_IPV4, &o->nat[ROUTER_V4]);
	case KEY_NAT6:
		return parse_addr(name, arg, FO_FAMILY_IPV6, &o->nat[ROUTER_V6]);
	case KEY_LAN_VLAN:
	case KEY_WAN_VLAN:
		return parse_vlan(name, arg, &o->vlan[key == KEY_WAN_VLAN]);
	case KEY_SECONDS:
		return parse_u32(name, arg, 1, 86400 * 365, &o->seconds);
	case KEY_STATS:
		return parse_u32(name, arg, 1, 86400, &o->stats_every);
	case KEY_TOP:
		return parse_u32(name, arg, 0, ROUTER_TOP_MAX, &o->top);
	case KEY_RING:
		return parse_u32(name, arg, 64, 16384, &o->ap.frames);
	case KEY_SLOT:
		return parse_u32(name, arg, AP_SLOT_MIN, AP_SLOT_MAX, &o->ap.slot);
	case KEY_CAPACITY:
		return parse_u32(name, arg, 16, 1u << 22, &o->capacity);
	default:
		return set_flag(key, o);
	}
}

static const char *missing(const struct router_options *o)
{
	if (!o->ifname[SP_LAN] || !o->ifname[SP_WAN])
		return "--lan and --wan name the two interfaces";
	if (!strcmp(o->ifname[SP_LAN], o->ifname[SP_WAN]))
		return "--lan and --wan are the same interface";
	if (strlen(o->ifname[SP_LAN]) >= IF_NAMESIZE || strlen(o->ifname[SP_WAN]) >= IF_NAMESIZE)
		return "an interface's name has at most 15 characters";
	if (o->addr[SP_LAN][0].set != o->addr[SP_WAN][0].set ||
	    o->addr[SP_LAN][1].set != o->addr[SP_WAN][1].set)
		return "give both sides an address of a family, or neither";
	if (!o->addr[SP_LAN][0].set && !o->addr[SP_LAN][1].set)
		return "give --lan-addr and --wan-addr, or --lan-addr6 and --wan-addr6, or all four";
	return NULL;
}

int router_parse_options(int argc, char **argv, struct router_options *o, bool *done)
{
	bool no_nat = false;
	const char *wrong;
	char name[32];
	int key, index = 0;

	*o = (struct router_options){.ap = {255, AP_SLOT_DEFAULT, false}, .capacity = 65536, .top = 5};
	*done = false;
	optind = 1;
	while ((key = getopt_long(argc, argv, "vh", longs, &index)) != -1) {
		if (key == 'h') {
			fputs(usage_text, stdout);
			*done = true;
			return DEMO_OK;
		}
		no_nat |= key == KEY_NO_NAT;
		snprintf(name, sizeof(name), "--%s", longs[index].name);
		if (key == '?' || (key != KEY_NO_NAT && !set_option(key, name, optarg, o)))
			return DEMO_USAGE;
	}
	wrong = optind < argc ? "takes options only" : missing(o);
	if (wrong) {
		out_error("router: %s; see 'fo-demo router --help'", wrong);
		return DEMO_USAGE;
	}
	if (no_nat && (o->nat[ROUTER_V4].set || o->nat[ROUTER_V6].set)) {
		out_error("router: --no-nat contradicts --nat and --nat6");
		return DEMO_USAGE;
	}
	if (!no_nat && !o->nat[ROUTER_V4].set)
		o->nat[ROUTER_V4] = o->addr[SP_WAN][ROUTER_V4];
	return DEMO_OK;
}
