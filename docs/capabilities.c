/* SPDX-License-Identifier: BSD-2-Clause */
/* capabilities.c - prints CAPABILITIES.md: what each backend says of itself, and every reason code.
 *
 * Everything but the explanations of the capability bits comes out of the library. A test compares the output with
 * the file. The example backend npu is asked as well, so that the table shows what a device may look like.
 */
#include "exceptions.h"
#include "npu.h"

#include <stdbool.h>
#include <stdio.h>

#define BACKENDS 16u

struct column {
	const char *name;
	struct fo_caps caps;
};

static const char *const meaning[] = {
	"IPv4 flows",
	"IPv6 flows",
	"TCP flows",
	"UDP flows",
	"ICMP and ICMPv6 echo: one flow per identifier",
	"the source address is translated",
	"the destination address is translated; with `snat` both at once, and hairpin",
	"ports and echo identifiers are translated",
	"IPv6 addresses are translated",
	"one VLAN tag on a side, matched and written",
	"two VLAN tags on a side",
	"a PPPoE session on a side",
	"DSCP is written, per direction",
	"scopes (conntrack zones) other than 0",
	"ingress port, tags and session are part of the key",
	"a side may say that any ingress will do (`FO_ADJ_ANY_INGRESS`)",
	"`fo_adj_update()` works, and `fo_flow_update()` with `FO_UPDATE_ADJ`",
	"`fo_flow_update()` works",
	"`fo_worker_open()` works: packets go through this process",
	"packets are forwarded in hardware",
	"`fo_policy_add()` works: what matches is offloaded without being asked for",
	"flows can outlive the process",
	"TCP SYN is handed to the slow path",
	"TCP FIN is handed to the slow path, the flow is closing",
	"TCP RST is handed to the slow path, the flow is closing",
	"a wrong destination MAC is handed to the slow path",
	"a crash of the process leaves nothing",
	"a crash leaves flows until a lease runs out",
	"a crash leaves flows until somebody cleans up",
	"a delete leaves the connection tracking entry alone",
	"guards (TTL, MTU, fragments) are proven, not assumed",
	"packets of the short cut still pass the egress qdisc",
	"packets of the short cut still pass ingress TC",
	"counters are of the short cut alone",
	"tables in other network namespaces",
	"each flow may have its own timeout",
	"`fo_flow_add()` answers ARMED, an event tells the outcome",
	"the caller gives both MAC addresses",
	"`fo_flow_add()` may block on a driver",
	"tags of 802.1ad, not of 802.1Q alone",
};
_Static_assert(sizeof(meaning) / sizeof(meaning[0]) == FO_CAP_COUNT, "a line for each capability");

/* label: NULL, or what to call it where it is to work in hardware. */
static bool ask(struct column *column, const char *name, const char *label, const void *own)
{
	struct fo_table_options options;
	struct fo_port port;
	struct fo_error err;

	FO_INIT(&port);
	port.port = 1;
	FO_INIT(&options);
	options.backend = name;
	options.backend_options = own;
	options.capacity = 1;
	options.ports = &port;
	options.n_ports = 1;
	if (label) {
		options.needs = FO_CAP_HARDWARE;
		options.flags = FO_TABLE_ACCEPT_LINGER | FO_TABLE_KILL_CONNTRACK;
	}
	column->name = label ? label : name;
	FO_INIT(&column->caps);
	/* A kernel's backend says what it can do where it can, also when this machine is no such place. */
	if (!fo_backend_probe(name, &options, &column->caps, &err) || column->caps.can)
		return true;
	fprintf(stderr, "%s: %s\n", name, err.text);
	return false;
}

static void print_head(const char *first, const struct column *columns, unsigned int n, const char *last)
{
	printf("\n| %s |", first);
	for (unsigned int i = 0; i < n; i++)
		printf(" %s |", columns[i].name);
	printf("%s\n|---|", last);
	for (unsigned int i = 0; i < n; i++)
		printf("---|");
	printf("%s\n", *last ? "---|" : "");
}

static void print_bits(const struct column *columns, unsigned int n)
{
	print_head("capability", columns, n, " meaning |");
	for (unsigned int bit = 0; bit < FO_CAP_COUNT; bit++) {
		printf("| `%s` |", fo_cap_name(bit));
		for (unsigned int i = 0; i < n; i++)
			printf(" %s |", columns[i].caps.can >> bit & 1 ? "yes" : "");
		printf(" %s |\n", meaning[bit]);
	}
}

static void print_number(uint32_t value, const char *zero)
{
	if (value || !zero)
		printf(" %u |", value);
	else
		printf(" %s |", zero);
}

static void print_limits(const struct column *columns, unsigned int n)
{
	static const struct {
		const char *what;
		size_t offset;
		const char *zero;
	} rows[] = {
		{"flows at most (`max_flows`)", offsetof(struct fo_caps, max_flows), "as memory allows"},
		{"tags and sessions on a side (`max_encaps`)", offsetof(struct fo_caps, max_encaps), NULL},
		{"a delete holds within, ms (`delete_bound_ms`)", offsetof(struct fo_caps, delete_bound_ms),
		 "at once"},
		{"idle flows end late by at most, ms (`age_granularity_ms`)",
		 offsetof(struct fo_caps, age_granularity_ms), NULL},
		{"workers at most (`max_workers`)", offsetof(struct fo_caps, max_workers), "none"},
	};

	print_head("limit", columns, n, "");
	for (unsigned int row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		printf("| %s |", rows[row].what);
		for (unsigned int i = 0; i < n; i++) {
			uint32_t value;

			memcpy(&value, (const char *)&columns[i].caps + rows[row].offset, sizeof(value));
			print_number(value, rows[row].zero);
		}
		printf("\n");
	}
}

static void print_reasons(unsigned int from, unsigned int to)
{
	const char *none = fo_reason_name(FO_R_MAX);

	printf("\n| code | name | meaning |\n|---|---|---|\n");
	for (unsigned int reason = from; reason < to; reason++)
		if (strcmp(fo_reason_name(reason), none) != 0)
			printf("| %u | `%s` | %s |\n", reason, fo_reason_name(reason),
			       fo_reason_text(reason));
}

/* "up to 6.12", "7.0 and newer"; all where nothing is said. */
static void print_kernels(const struct rig_exception *exception)
{
	if (!exception->first && !exception->last)
		printf("all");
	if (exception->first)
		printf("from %u.%u", exception->first / 1000, exception->first % 1000);
	if (exception->last)
		printf("%sup to %u.%u", exception->first ? " " : "", exception->last / 1000,
		       exception->last % 1000);
}

static int is_among(const struct rig_exception *at, const char *name)
{
	while (at->name && strcmp(at->name, name))
		at++;
	return at->name != NULL;
}

/* known: printed before; NULL: none. */
static void print_exceptions_of(const char *backend, const struct rig_exception *at,
				const struct rig_exception *known)
{
	for (; at->name; at++) {
		if (known && is_among(known, at->name))
			continue;
		printf("| %s | `%s` | ", backend, at->name);
		print_kernels(at);
		printf(" | %s |\n", at->why);
	}
}

static void print_exceptions(void)
{
	printf("\n## Where a kernel or hardware does not keep the contract\n\n"
	       "What no capability says, but the conformance suite sees: cases that fail in a known way, and "
	       "are "
	       "skipped for\n"
	       "that reason as long as they do.\n\n"
	       "| backend | case | Linux | why |\n|---|---|---|---|\n");
	print_exceptions_of("nft", nft_exceptions, NULL);
	print_exceptions_of("nft in hardware", nft_hw_exceptions, NULL);
	print_exceptions_of("bpf", bpf_xdp_exceptions, NULL);
	print_exceptions_of("tc", tc_exceptions, NULL);
	print_exceptions_of("tc, `helper_threads`", tc_threads_exceptions, tc_exceptions);
	print_exceptions_of("tc, profile `ppe`", tc_ppe_exceptions, tc_exceptions);
}

static void print_page(const struct column *columns, unsigned int n)
{
	printf("# Capabilities and reasons\n\n"
	       "Generated from the code by `docs/capabilities.c`; do not edit. What a backend can do on "
	       "*your* machine\n"
	       "may be less: ask `fo_backend_probe()` or `fo-demo probe`.\n\n"
	       "## Capabilities\n\n"
	       "Each is a bit `FO_CAP_...` of `struct fo_caps.can`, and the same bit in the `needs` of a "
	       "table or a flow\n"
	       "makes it a condition: what needs a capability that the backend lacks is refused. `npu` is "
	       "the example\n"
	       "backend of `examples/npu` with its default device; it is not part of the library.\n");
	print_bits(columns, n);
	print_limits(columns, n);
	printf("\nOf the kernel's version depend `punt-fin` and `punt-rst` of nft: up to Linux 6.12. Linux "
	       "7.3 was seen to "
	       "keep such\nconnections on the short cut until they are idle; there nft does not claim "
	       "them. In hardware, "
	       "nft has `snat`,\n`dnat`, `port-nat` and `nat66` with `FO_TABLE_KILL_CONNTRACK` alone, and "
	       "idle "
	       "flows end later by a tenth of the longer\n`nf_flowtable_*_timeout` and 2 s.\n");
	print_exceptions();
	printf("\n## Reasons for packets\n\n"
	       "Why a packet was passed on to the slow path (`struct fo_packet.reason`, counted in\n"
	       "`struct fo_table_counters.passed`). Some also say why a flow ended.\n");
	print_reasons(FO_R_NONE, FO_R_PACKET_MAX);
	printf("\n## Reasons for calls and flows\n\n"
	       "Why a call was refused (`struct fo_error.reason`) or a flow ended (`struct "
	       "fo_event.reason`).\n");
	print_reasons(FO_R_PACKET_MAX, FO_R_MAX);
}

int main(void)
{
	struct npu_options own = {.size = sizeof(own), .device = npu_device_create(NULL)};
	struct column columns[BACKENDS];
	const char *name;
	unsigned int n = 0;
	bool whole = own.device && !npu_register(NULL);

	for (unsigned int i = 0; whole && n + 1 < BACKENDS && (name = fo_backend_name(i)) != NULL; i++) {
		whole = ask(&columns[n++], name, NULL, strcmp(name, "npu") ? NULL : &own);
		if (whole && !strcmp(name, "nft"))
			whole = ask(&columns[n++], name, "nft in hardware", NULL);
	}
	if (whole)
		print_page(columns, n);
	npu_device_destroy(own.device);
	return whole && !fflush(stdout) && !ferror(stdout) ? 0 : 1;
}
