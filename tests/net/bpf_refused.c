/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_refused.c - a table of the bpf backend that cannot be: the errno, the reason and the words; and nothing stays attached.
 *
 * The router is that of the conformance rigs (tests/conformance/rig_net.h). Needs root.
 */
#include "flowoffload-bpf.h"
#include "rig_net.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY	65534
#define MISSING 77u

static struct fo_bpf_options own;
static struct fo_port ports[2];

static void check(const char *what, int code, int want, unsigned int reason, const struct fo_error *err,
		  const char *word)
{
	if (code == want && err->reason == reason && strstr(err->text, word))
		return;
	fprintf(stderr, "bpf-refused: %s: %d, should be %d; %s: %s (should say '%s')\n", what, code, want,
		fo_reason_name(err->reason), err->text, word);
	printf("0 passed, 1 failed, 0 skipped\n");
	exit(1);
}

static int try_table(const struct fo_table_options *options, struct fo_error *err)
{
	struct fo_table *table;
	int code;

	memset(err, 0, sizeof(*err));
	code = fo_table_create(options, &table, err);
	if (!code)
		fo_table_destroy(table);
	return code;
}

static void owned_device_names_its_owner(const struct fo_table_options *options)
{
	struct fo_table *first;
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	memset(&err, 0, sizeof(err));
	check("the first table", fo_table_create(options, &first, &err), 0, 0, &err, "");
	check("a second owner of XDP", try_table(options, &err), -EBUSY, FO_R_IN_USE, &err, "fo_xdp");
	fo_table_destroy(first);
	check("after the first has gone", try_table(options, &err), 0, 0, &err, "");
}

/* The second port: the first was attached already, and must be free again. */
static void missing_device_leaves_nothing(const struct fo_table_options *options)
{
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	ports[1].port = MISSING;
	check("a port that is not there", try_table(options, &err), -ENODEV, FO_R_PORT, &err, "77");
	ports[1].port = 3;
	check("the ports that are there", try_table(options, &err), 0, 0, &err, "");
}

static void without_privilege_says_which(const struct fo_table_options *options)
{
	struct fo_error err;
	int status;
	pid_t child = fork();

	if (!child) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		check("without privilege", try_table(options, &err), -EPERM, FO_R_PERMISSION, &err,
		      "CAP_BPF");
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		printf("2 passed, 1 failed, 0 skipped\n");
		exit(1);
	}
}

/* ---- options ---- */

static void options_that_are_none_are_refused(const struct fo_table_options *options)
{
	struct {
		struct fo_bpf_options known;
		uint64_t newer;
	} longer;
	struct fo_table_options other = *options;
	struct fo_error err;

	own.attach = 77;
	check("an unknown place", try_table(options, &err), -EINVAL, FO_R_ARGUMENT, &err, "FO_BPF_ATTACH_");
	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = 77;
	check("an unknown conntrack", try_table(options, &err), -EINVAL, FO_R_ARGUMENT, &err,
	      "FO_BPF_CONNTRACK_");
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	memset(&longer, 0, sizeof(longer));
	longer.known = own;
	longer.known.size = sizeof(longer);
	other.backend_options = &longer;
	check("a newer caller's zero", try_table(&other, &err), 0, 0, &err, "");
	longer.newer = 1;
	check("a newer caller's option", try_table(&other, &err), -EINVAL, FO_R_SIZE, &err, "newer");
	longer.known.size = 3;
	check("no size", try_table(&other, &err), -EINVAL, FO_R_SIZE, &err, "FO_INIT");
}

static void device_without_ethernet_is_refused(const struct fo_table_options *options)
{
	struct fo_error err;

	ports[1].port = 1; /* lo */
	check("a port without an Ethernet header", try_table(options, &err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
	      &err, "no Ethernet header");
	ports[1].port = 3;
	check("the ports that have one", try_table(options, &err), 0, 0, &err, "");
}

/* ---- kernels that lack something: this one, with a filter before its system calls ---- */

static int deny(uint32_t call, unsigned int argument, uint32_t value, int error)
{
	uint32_t at = (uint32_t)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static const struct lack {
	const char *what;
	uint32_t call, argument, value;
	int error;
	uint32_t attach, conntrack;
	int code;
	unsigned int reason;
	const char *word;
} lacks[] = {
	{"no maps of the kind", SYS_bpf, 0, BPF_MAP_CREATE, EINVAL, FO_BPF_ATTACH_TC, FO_BPF_CONNTRACK_OFF,
	 -EOPNOTSUPP, FO_R_UNSUPPORTED, "Linux 6.1"},
	{"no program of the kind", SYS_bpf, 0, BPF_PROG_LOAD, EINVAL, FO_BPF_ATTACH_TC, FO_BPF_CONNTRACK_OFF,
	 -EOPNOTSUPP, FO_R_UNSUPPORTED, "Linux 6.1"},
	{"no memory for maps", SYS_bpf, 0, BPF_MAP_CREATE, ENOMEM, FO_BPF_ATTACH_TC, FO_BPF_CONNTRACK_OFF,
	 -ENOMEM, FO_R_MEMORY, "smaller table"},
	{"no links at XDP", SYS_bpf, 0, BPF_LINK_CREATE, EINVAL, FO_BPF_ATTACH_XDP, FO_BPF_CONNTRACK_OFF,
	 -EOPNOTSUPP, FO_R_UNSUPPORTED, "takes no XDP program"},
	{"no tcx: clsact instead", SYS_bpf, 0, BPF_LINK_CREATE, EINVAL, FO_BPF_ATTACH_TC,
	 FO_BPF_CONNTRACK_OFF, 0, 0, ""},
	{"no iterators: batches instead", SYS_bpf, 0, BPF_ITER_CREATE, EINVAL, FO_BPF_ATTACH_TC,
	 FO_BPF_CONNTRACK_OFF, 0, 0, ""},
	{"no test runs", SYS_bpf, 0, BPF_PROG_TEST_RUN, EOPNOTSUPP, FO_BPF_ATTACH_TC, FO_BPF_CONNTRACK_OFF,
	 -EIO, FO_R_BACKEND, "use backend soft"},
	{"no conntrack, insisted on", SYS_socket, 2, NETLINK_NETFILTER, EPROTONOSUPPORT, FO_BPF_ATTACH_TC,
	 FO_BPF_CONNTRACK_ON, -EOPNOTSUPP, FO_R_UNSUPPORTED, "nf_conntrack_netlink"},
	{"no conntrack: without", SYS_socket, 2, NETLINK_NETFILTER, EPROTONOSUPPORT, FO_BPF_ATTACH_TC,
	 FO_BPF_CONNTRACK_AUTO, 0, 0, ""},
	{"no IPsec: without", SYS_socket, 2, NETLINK_XFRM, EPROTONOSUPPORT, FO_BPF_ATTACH_TC,
	 FO_BPF_CONNTRACK_ON, 0, 0, ""},
};

static void kernels_that_lack_something_are_told_of(const struct fo_table_options *options)
{
	struct fo_error err;
	int status;

	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
		const struct lack *lack = &lacks[i];
		pid_t child = fork();

		own.attach = lack->attach;
		own.conntrack = lack->conntrack;
		if (!child) {
			if (deny(lack->call, lack->argument, lack->value, lack->error))
				_exit(1);
			check(lack->what, try_table(options, &err), lack->code, lack->reason, &err,
			      lack->word);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			exit(1);
		/* Nothing is left in the way of the next. */
		own.attach = FO_BPF_ATTACH_XDP_GENERIC;
		own.conntrack = FO_BPF_CONNTRACK_OFF;
		check(lack->what, try_table(options, &err), 0, 0, &err, "");
		own.attach = FO_BPF_ATTACH_CLSACT;
		check(lack->what, try_table(options, &err), 0, 0, &err, "");
	}
}

/* ---- a map that is full before the table is ---- */

static int map_of_this_process(const char *name)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct bpf_map_info info = {.id = 0};
		uint32_t length = sizeof(info);

		if (!bpf_obj_get_info_by_fd(fd, &info, &length) && length == sizeof(info) &&
		    !strcmp(info.name, name))
			return fd;
	}
	return -1;
}

static unsigned int fill(int map)
{
	uint8_t key[16] = {0}, value[64] = {0};
	uint32_t n = 0;

	do {
		n++;
		memcpy(key, &n, sizeof(n));
	} while (!bpf_map_update_elem(map, key, value, BPF_NOEXIST));
	return n - 1;
}

static void add_flow(struct fo_table *table, uint16_t sport, int want, unsigned int reason, const char *word)
{
	static const uint8_t address[2][4] = {{10, 1, 0, 7}, {198, 51, 100, 9}};
	struct fo_error err = {0};
	struct fo_adj adj;
	struct fo_flow flow;
	fo_flow_id id;

	FO_INIT(&flow);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj);
		adj.port = 2 + i;
		adj.mtu = 1500;
		adj.own_mac[0] = adj.peer_mac[0] = 2;
		adj.own_mac[5] = (uint8_t)(1 + i);
		adj.peer_mac[5] = (uint8_t)(3 + i);
		check("an adjacency", fo_adj_add(table, &adj, &flow.adj[i], &err), 0, 0, &err, "");
		flow.tuple[i].family = FO_FAMILY_IPV4;
		flow.tuple[i].proto = 17;
		memcpy(flow.tuple[i].src, address[i], 4);
		memcpy(flow.tuple[i].dst, address[1 - i], 4);
		packet_put16((uint8_t *)&flow.tuple[i].sport_be, i ? 53 : sport);
		packet_put16((uint8_t *)&flow.tuple[i].dport_be, i ? sport : 53);
	}
	check("a flow", fo_flow_add(table, &flow, &id, &err), want, reason, &err, word);
}

/* Room for one direction: it must not stay there alone. */
static void full_map_takes_both_or_none(const struct fo_table_options *options)
{
	struct fo_table *table;
	struct fo_error err = {0};
	uint8_t key[16] = {0};
	uint32_t one = 1, two = 2;
	int map;

	own.attach = FO_BPF_ATTACH_TC;
	check("a table", fo_table_create(options, &table, &err), 0, 0, &err, "");
	map = map_of_this_process("flows4");
	check("filling", fill(map) > 16 ? 0 : -1, 0, 0, &err, "");
	add_flow(table, 1000, -ENOSPC, FO_R_FULL, "map is full");
	memcpy(key, &one, sizeof(one));
	check("room for one", bpf_map_delete_elem(map, key), 0, 0, &err, "");
	add_flow(table, 1001, -ENOSPC, FO_R_FULL, "map is full");
	/* The room is still there, and with another both fit. */
	memcpy(key, &two, sizeof(two));
	check("room for two", bpf_map_delete_elem(map, key), 0, 0, &err, "");
	add_flow(table, 1002, 0, 0, "");
	fo_table_destroy(table);
}

/* The table's namespace is another than this process's, and given by its descriptor. */
static int conntrack_of_the_tables_namespace_is_asked(const struct fo_table_options *options, int netns)
{
	struct fo_table *table;
	struct fo_error err = {0};
	char command[256];

	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = FO_BPF_CONNTRACK_ON;
	check("a table", fo_table_create(options, &table, &err), 0, 0, &err, "");
	add_flow(table, 1000, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, "no entry");
	snprintf(command, sizeof(command),
		 "nsenter --net=/proc/%d/fd/%d conntrack -I -p udp -s 10.1.0.7 -d 198.51.100.9 --sport 1000 "
		 "--dport "
		 "53 -t 60 -u SEEN_REPLY >/dev/null 2>&1",
		 (int)getpid(), netns);
	check("conntrack -I", system(command), 0, 0, &err, "");
	add_flow(table, 1000, 0, 0, "");
	fo_table_destroy(table);
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	return 1;
}

int main(void)
{
	struct fo_table_options options;
	char why[200] = "";
	int passed = 7;
	void *state;

	FO_INIT(&own);
	FO_INIT(&options);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = 2 + i;
	}
	options.ports = ports;
	options.n_ports = 2;
	options.capacity = 16;
	options.backend_options = &own;
	if (net_open_bare(&state, &options, "bpf", why, sizeof(why))) {
		printf("bpf-refused: skipped, %s\n0 passed, 0 failed, 1 skipped\n", why);
		return 77;
	}
	owned_device_names_its_owner(&options);
	missing_device_leaves_nothing(&options);
	without_privilege_says_which(&options);
	options_that_are_none_are_refused(&options);
	device_without_ethernet_is_refused(&options);
	kernels_that_lack_something_are_told_of(&options);
	full_map_takes_both_or_none(&options);
	if (system("command -v conntrack >/dev/null && command -v nsenter >/dev/null"))
		printf("bpf-refused: another namespace's conntrack skipped: no conntrack, or no nsenter\n");
	else
		passed += conntrack_of_the_tables_namespace_is_asked(&options, ((struct net *)state)->router);
	net_close(state);
	printf("%d passed, 0 failed, %d skipped\n", passed, 8 - passed);
	return 0;
}
