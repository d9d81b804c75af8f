/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_refused.c - a table of the bpf backend that cannot be: the errno, the reason and the words; and nothing stays attached.
 * Needs root.
 */
#include "bpf_router.h"

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

static void check_result(const char *what, int code, int want, unsigned int reason,
			 const struct fo_error *err, const char *word)
{
	check_error(what, code, want, err, word);
	if (err->reason != reason)
		fail(what, fo_reason_name(err->reason));
}

static void owned_device_names_its_owner(void)
{
	struct fo_table *first;
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	first = open_table("the first table");
	check_result("a second owner of XDP", try_table(&err), -EBUSY, FO_R_IN_USE, &err, "fo_xdp");
	fo_table_destroy(first);
	check_result("after the first has gone", try_table(&err), 0, 0, &err, "");
}

/* The second port: the first was attached already, and must be free again. */
static void missing_device_leaves_nothing(void)
{
	struct fo_error err;

	own.attach = FO_BPF_ATTACH_XDP_GENERIC;
	ports[1].port = MISSING;
	check_result("a port that is not there", try_table(&err), -ENODEV, FO_R_PORT, &err, "77");
	ports[1].port = 3;
	check_result("the ports that are there", try_table(&err), 0, 0, &err, "");
}

static void without_privilege_says_which(void)
{
	struct fo_error err;
	int status;
	pid_t child = fork();

	if (!child) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		check_result("without privilege", try_table(&err), -EPERM, FO_R_PERMISSION, &err, "CAP_BPF");
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		printf("2 passed, 1 failed, 0 skipped\n");
		exit(1);
	}
}

/* ---- options ---- */

static void options_that_are_none_are_refused(void)
{
	struct {
		struct fo_bpf_options known;
		uint64_t newer;
	} longer;
	struct fo_error err;

	own.attach = 77;
	check_result("an unknown place", try_table(&err), -EINVAL, FO_R_ARGUMENT, &err, "FO_BPF_ATTACH_");
	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = 77;
	check_result("an unknown conntrack", try_table(&err), -EINVAL, FO_R_ARGUMENT, &err,
		     "FO_BPF_CONNTRACK_");
	own.conntrack = FO_BPF_CONNTRACK_OFF;
	memset(&longer, 0, sizeof(longer));
	longer.known = own;
	longer.known.size = sizeof(longer);
	options.backend_options = &longer;
	check_result("a newer caller's zero", try_table(&err), 0, 0, &err, "");
	longer.newer = 1;
	check_result("a newer caller's option", try_table(&err), -EINVAL, FO_R_SIZE, &err, "newer");
	longer.known.size = 3;
	check_result("no size", try_table(&err), -EINVAL, FO_R_SIZE, &err, "FO_INIT");
	options.backend_options = &own;
}

static void device_without_ethernet_is_refused(void)
{
	struct fo_error err;

	ports[1].port = 1; /* lo */
	check_result("a port without an Ethernet header", try_table(&err), -EOPNOTSUPP, FO_R_UNSUPPORTED,
		     &err, "no Ethernet header");
	ports[1].port = 3;
	check_result("the ports that have one", try_table(&err), 0, 0, &err, "");
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

static void kernels_that_lack_something_are_told_of(void)
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
			check_result(lack->what, try_table(&err), lack->code, lack->reason, &err, lack->word);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			exit(1);
		/* Nothing is left in the way of the next. */
		own.attach = FO_BPF_ATTACH_XDP_GENERIC;
		own.conntrack = FO_BPF_CONNTRACK_OFF;
		check_result(lack->what, try_table(&err), 0, 0, &err, "");
		own.attach = FO_BPF_ATTACH_CLSACT;
		check_result(lack->what, try_table(&err), 0, 0, &err, "");
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
	struct fo_error err = {0};
	struct fo_flow flow;
	fo_flow_id id;

	describe_flow(&flow, 17, sport, 53);
	add_sides(table, flow.adj);
	check_result("a flow", fo_flow_add(table, &flow, &id, &err), want, reason, &err, word);
}

/* Room for one direction: it must not stay there alone. */
static void full_map_takes_both_or_none(void)
{
	struct fo_table *table;
	uint8_t key[16] = {0};
	uint32_t one = 1, two = 2;
	int map;

	own.attach = FO_BPF_ATTACH_TC;
	table = open_table("a table");
	map = map_of_this_process("flows4");
	check(fill(map) > 16, "a map can be filled");
	add_flow(table, 1000, -ENOSPC, FO_R_FULL, "map is full");
	memcpy(key, &one, sizeof(one));
	check(!bpf_map_delete_elem(map, key), "there is room for one");
	add_flow(table, 1001, -ENOSPC, FO_R_FULL, "map is full");
	/* The room is still there, and with another both fit. */
	memcpy(key, &two, sizeof(two));
	check(!bpf_map_delete_elem(map, key), "there is room for two");
	add_flow(table, 1002, 0, 0, "");
	fo_table_destroy(table);
}

/* The table's namespace is another than this process's, and given by its descriptor. */
static void conntrack_of_the_tables_namespace_is_asked(void)
{
	struct fo_table *table;
	char command[256];

	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = FO_BPF_CONNTRACK_ON;
	table = open_table("a table");
	add_flow(table, 1000, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, "no entry");
	add_flow(table, 1000, -EOPNOTSUPP, FO_R_NOT_ESTABLISHED, "with FO_BPF_CONNTRACK_OFF");
	snprintf(command, sizeof(command),
		 "nsenter --net=/proc/%d/fd/%d conntrack -I -p udp -s 10.1.0.7 -d 198.51.100.9 --sport 1000 "
		 "--dport "
		 "53 -t 60 -u SEEN_REPLY >/dev/null 2>&1",
		 (int)getpid(), net->router);
	check(!system(command), "conntrack can be told of it");
	add_flow(table, 1000, 0, 0, "");
	fo_table_destroy(table);
	n_passed++;
}

int main(void)
{
	place = "bpf-refused";
	describe();
	open_router("bpf-refused");
	owned_device_names_its_owner();
	missing_device_leaves_nothing();
	without_privilege_says_which();
	options_that_are_none_are_refused();
	device_without_ethernet_is_refused();
	kernels_that_lack_something_are_told_of();
	full_map_takes_both_or_none();
	n_passed = 7;
	if (system("command -v conntrack >/dev/null && command -v nsenter >/dev/null"))
		printf("bpf-refused: another namespace's conntrack skipped: no conntrack, or no nsenter\n");
	else
		conntrack_of_the_tables_namespace_is_asked();
	close_router();
	printf("%u passed, 0 failed, %u skipped\n", n_passed, 8 - n_passed);
	return 0;
}
