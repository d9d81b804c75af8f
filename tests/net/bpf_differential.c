/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_differential.c - the BPF program in the kernel (XDP and TC) against fo_worker_run(): see bpf_differential.h.
 *
 * The program runs by BPF_PROG_TEST_RUN, on the flows that its backend installed, so that each packet's
 * fate is known at once; where a frame went is what the conformance suite looks at, on real devices. Works in a network
 * namespace of its own. The kernel keeps the outermost tag of a socket buffer beside the bytes: there the comparison
 * is without it. Without the privilege, or a kernel that takes the program: skipped (77).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_differential.h"

#define SHORTEST    60u
#define TCX_INGRESS 46
#define TC_REDIRECT 7u
#define TC_UNSPEC   UINT32_MAX

const char program_name[] = "bpf-differential", backend_name[] = "bpf";

/* ---- a namespace with ports ---- */

static void open_namespace(void)
{
	if (unshare(CLONE_NEWNET))
		skip("no network namespace without CAP_SYS_ADMIN");
	for (unsigned int i = 0; i < PORTS; i++) {
		char command[200], name[16];

		snprintf(name, sizeof(name), "fo%u", i);
		snprintf(command, sizeof(command),
			 "ip link add %s type veth peer name %sp && ip link set %s up && ip link set %sp up",
			 name, name, name, name);
		if (system(command))
			skip("ip (iproute2) makes no veth here");
		ports_of[i] = if_nametoindex(name);
	}
}

/* 0: the kernel does not run the program on this frame. */
int by_program(int program, int tc, const struct packet_frame *frame, uint32_t in_port, struct outcome *out)
{
	struct xdp_md xdp = {.data_end = frame->length, .ingress_ifindex = in_port};
	struct __sk_buff skb = {.ifindex = in_port};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes, .data_size_in = frame->length,
		    .data_out = out->bytes, .data_size_out = sizeof(out->bytes), .repeat = 1);

	run.ctx_in = tc ? (const void *)&skb : (const void *)&xdp;
	run.ctx_size_in = tc ? sizeof(skb) : sizeof(xdp);
	if (bpf_prog_test_run_opts(program, &run)) {
		/* No socket buffer is made of less than a link's shortest frame may hold. */
		if (errno == EINVAL && tc && frame->length < SHORTEST)
			return 0;
		fail("BPF_PROG_TEST_RUN", strerror(errno));
	}
	if (run.retval != (tc ? TC_REDIRECT : (uint32_t)XDP_REDIRECT) &&
	    run.retval != (tc ? TC_UNSPEC : (uint32_t)XDP_PASS))
		fail("the program", "neither sends nor passes");
	out->forward = run.retval == (tc ? TC_REDIRECT : (uint32_t)XDP_REDIRECT);
	out->length = run.data_size_out;
	return 1;
}

int program_of(const struct hook *hook)
{
	uint32_t id = 0, count = 1;
	int fd;

	if (hook->tc) {
		LIBBPF_OPTS(bpf_prog_query_opts, query, .prog_ids = &id, .prog_cnt = count);

		if (bpf_prog_query_opts((int)ports_of[0], (enum bpf_attach_type)TCX_INGRESS, &query))
			skip("this kernel has no tcx to find the program by");
	} else if (bpf_xdp_query_id((int)ports_of[0], 0, &id)) {
		fail("bpf_xdp_query_id", strerror(errno));
	}
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		fail("bpf_prog_get_fd_by_id", strerror(errno));
	return fd;
}

void close_program(int program)
{
	close(program);
}

#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/* bpf-differential [SEED [CORPUS_FILE...]] */
int main(int argc, char **argv)
{
	static const struct hook hooks[] = {{"XDP", FO_BPF_ATTACH_XDP_GENERIC, 0},
					    {"TC", FO_BPF_ATTACH_TC, 1}};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0) | 1;
	open_namespace();
	for (size_t i = 0; i < N_HOOKS; i++) {
		run_hook(&hooks[i]);
		run_corpus(&hooks[i], argc > 2 ? argv + 2 : NULL);
	}
	printf("%zu passed, 0 failed, 0 skipped\n", 2 * N_HOOKS);
	return 0;
}
