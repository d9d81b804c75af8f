/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle.c - sets up connections through the kernel's NAT, then sends each packet to the kernel
 * and to the library and compares what leaves, byte by byte from the Ethernet header on.
 * Neighbours: nat_oracle.h.
 *
 * usage: nat-oracle [--wrong-checksums | --wrong-flow] LAN_END WAN_END ROUTER_NETNS
 *
 *   --wrong-checksums  packets with wrong L4 checksums instead. The kernel translates those with
 *                      nf_conntrack_checksum=0 only; with 1 conntrack calls them invalid and
 *                      forwards them untranslated.
 *   --wrong-flow       the library is told another translation than the kernel's: every comparison must fail.
 */
#include "nat_oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define MISMATCHES_SHOWN 3u

struct oracle {
	struct oracle_wire wire;
	struct oracle_library lib;
	enum oracle_set set;
	int wrong_flow;
	unsigned int passed;
	unsigned int failed;
	unsigned long frames;
	unsigned long partial; /* of them, with a partial checksum */
	unsigned long landed;  /* frames that the kernel sent with an L4 checksum of 0 (UDP: 0xffff) */
};

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "ICMP echo";
}

static void verdict(struct oracle *oracle, const struct oracle_case *c, uint8_t proto, const char *what,
		    int ok)
{
	if (ok) {
		oracle->passed++;
		return;
	}
	oracle->failed++;
	if (!oracle->wrong_flow)
		printf("FAIL: IPv%u %s, %s: %s\n", c->family, proto_name(proto), c->name, what);
}

/* ---- setting a connection up ---- */

static int original_tuple(const struct oracle_case *c, const char *src, uint8_t proto, struct fo_tuple *tuple)
{
	int family = c->family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6;

	memset(tuple, 0, sizeof(*tuple));
	tuple->family = c->family;
	tuple->proto = proto;
	if (inet_pton(family, src, tuple->src) != 1 || inet_pton(family, c->dst, tuple->dst) != 1)
		return -EINVAL;
	tuple->sport_be = htons(c->sport);
	tuple->dport_be = htons(c->dport);
	if (proto == IPPROTO_ICMP)
		tuple->dport_be = htons(0x0800);
	else if (proto == IPPROTO_ICMPV6)
		tuple->dport_be = htons(0x8000);
	return 0;
}

/* One packet of the handshake through the kernel. */
static int carry_setup(struct oracle *oracle, const struct oracle_flow *flow, enum fo_dir dir,
		       uint8_t tcp_flags)
{
	static struct packet_frame frame;
	static uint8_t got[ORACLE_FRAME_MAX];
	struct oracle_meta meta;
	int length;

	oracle_packet_setup(flow, dir, tcp_flags, &frame);
	if (oracle_wire_send(&oracle->wire, flow->side[dir], frame.bytes, frame.length, NULL) != 0)
		return -EIO;
	length = oracle_wire_receive(&oracle->wire, flow->side[1 - dir], got, sizeof(got), 1, &meta);
	return length < 0 ? length : 0;
}

static unsigned int changes_of(const struct oracle_flow *flow)
{
	const struct fo_tuple *there = &flow->tuple[FO_ORIGINAL], *back = &flow->tuple[FO_REPLY];
	unsigned int changes = 0;

	if (memcmp(there->src, back->dst, 16) != 0)
		changes |= CHANGES_SRC;
	if (memcmp(there->dst, back->src, 16) != 0)
		changes |= CHANGES_DST;
	if (there->proto == IPPROTO_TCP || there->proto == IPPROTO_UDP) {
		changes |= there->sport_be != back->dport_be ? CHANGES_SPORT : 0;
		changes |= there->dport_be != back->sport_be ? CHANGES_DPORT : 0;
	} else if (there->sport_be != back->sport_be) {
		changes |= CHANGES_SPORT;
	}
	return changes;
}

/* Both directions seen by conntrack; flow->tuple[FO_REPLY] is what it says. */
static int set_up(struct oracle *oracle, const struct oracle_case *c, struct oracle_flow *flow,
		  struct oracle_conntrack *conntrack)
{
	uint8_t proto = flow->tuple[FO_ORIGINAL].proto;
	struct oracle_flow squatter = *flow;
	int ret;

	if (c->squatter) {
		ret = original_tuple(c, c->squatter, proto, &squatter.tuple[FO_ORIGINAL]);
		if (ret == 0)
			ret = carry_setup(oracle, &squatter, FO_ORIGINAL, TCP_SYN);
		if (ret != 0)
			return ret;
	}
	ret = carry_setup(oracle, flow, FO_ORIGINAL, TCP_SYN);
	if (ret == 0)
		ret = oracle_conntrack_read(&flow->tuple[FO_ORIGINAL], conntrack);
	if (ret != 0)
		return ret;
	flow->tuple[FO_REPLY] = conntrack->reply;
	ret = carry_setup(oracle, flow, FO_REPLY, TCP_SYN | TCP_ACK);
	if (ret == 0 && proto == IPPROTO_TCP)
		ret = carry_setup(oracle, flow, FO_ORIGINAL, TCP_ACK);
	return ret == 0 ? oracle_conntrack_read(&flow->tuple[FO_ORIGINAL], conntrack) : ret;
}

/* ---- comparing ---- */

static void print_bytes(const char *who, const uint8_t *bytes, int length)
{
	int i;

	printf("  %-8s", who);
	for (i = 0; i < length && i < 74; i++)
		printf("%s%02x", i == 14 || i == 34 || i == 54 ? " " : "", bytes[i]);
	printf("%s (%d)\n", length > 74 ? "..." : "", length);
}

static void show(const char *text, const struct packet_frame *sent, const uint8_t *kernel, int kernel_length,
		 const uint8_t *library, int library_length)
{
	int at = 0;

	if (library_length < 0) {
		printf("  %s: the library passes it on: %s\n", text,
		       fo_reason_name((unsigned int)-library_length));
	} else {
		while (at < kernel_length && at < library_length && kernel[at] == library[at])
			at++;
		if (at == kernel_length && at == library_length)
			printf("  %s: equal bytes, but not where it leaves or what is left to do\n", text);
		else
			printf("  %s: byte %d differs\n", text, at);
		print_bytes("library", library, library_length);
	}
	print_bytes("kernel", kernel, kernel_length);
	print_bytes("sent", sent->bytes, (int)sent->length);
}

static int landed(const uint8_t *frame, uint8_t proto, uint32_t l4)
{
	uint32_t at = l4 + (proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2);

	return packet_get16(frame + at) == (proto == IPPROTO_UDP ? 0xffff : 0);
}

static int same_meta(const struct oracle_meta *a, const struct oracle_meta *b)
{
	return a->partial == b->partial && a->gso_size == b->gso_size && a->csum_start == b->csum_start &&
	       a->csum_offset == b->csum_offset;
}

/* 1: equal; 0: different; -errno: the kernel did not forward it. */
static int compare_one(struct oracle *oracle, const struct oracle_flow *flow, enum fo_dir dir,
		       const struct packet_frame *frame, const struct oracle_meta *meta, const char *text)
{
	static uint8_t kernel[ORACLE_FRAME_MAX], library[ORACLE_FRAME_MAX];
	enum oracle_side in = flow->side[dir], out = flow->side[1 - dir], out_side = in;
	struct oracle_meta kernel_meta, library_meta = *meta;
	int kernel_length, library_length;

	if (oracle_wire_send(&oracle->wire, in, frame->bytes, frame->length, meta) != 0)
		return -EIO;
	kernel_length = oracle_wire_receive(&oracle->wire, out, kernel, sizeof(kernel), 1, &kernel_meta);
	if (kernel_length < 0) {
		printf("  %s: the kernel forwards nothing\n", text);
		return kernel_length;
	}
	library_length = oracle_library_forward(&oracle->lib, in, frame->bytes, frame->length, library,
						sizeof(library), &out_side, &library_meta);
	oracle->frames++;
	oracle->partial += meta->partial;
	oracle->landed +=
		(unsigned long)(!meta->partial && landed(kernel, flow->tuple[dir].proto, frame->l4));
	if (library_length == kernel_length && out_side == out && same_meta(&kernel_meta, &library_meta) &&
	    memcmp(kernel, library, (size_t)kernel_length) == 0)
		return 1;
	if (!oracle->wrong_flow)
		show(text, frame, kernel, kernel_length, library, library_length);
	return 0;
}

/* All packets of one direction; stops when enough differ. */
static int compare_direction(struct oracle *oracle, const struct oracle_flow *flow, enum fo_dir dir)
{
	static struct packet_frame frame;
	static uint8_t stray[ORACLE_FRAME_MAX];
	struct oracle_meta meta;
	unsigned int i, bad = 0;
	char text[64];

	for (i = 0; i < oracle_packet_count(oracle->set) && bad < MISMATCHES_SHOWN; i++) {
		int ret;

		if (!oracle_packet_make(oracle->set, i, flow, dir, &frame, &meta, text, sizeof(text)))
			continue;
		ret = compare_one(oracle, flow, dir, &frame, &meta, text);
		if (ret < 0)
			return 0;
		bad += ret == 0;
	}
	for (i = 0; i < 2; i++) {
		if (oracle_wire_receive(&oracle->wire, i, stray, sizeof(stray), 0, &meta) >= 0) {
			printf("  the kernel sent a frame more than was expected\n");
			bad++;
		}
	}
	return bad == 0;
}

/* Did both count the same packets and bytes? */
static int compare_counters(struct oracle *oracle, const struct oracle_flow *flow,
			    const struct oracle_conntrack *before)
{
	struct oracle_conntrack after;
	struct fo_flow_counters last;
	int same = 1;
	int dir;

	if (oracle_library_del(&oracle->lib, &last) != 0 ||
	    oracle_conntrack_read(&flow->tuple[FO_ORIGINAL], &after) != 0)
		return 0;
	for (dir = 0; dir < 2; dir++) {
		uint64_t packets = after.packets[dir] - before->packets[dir];
		uint64_t bytes = after.bytes[dir] - before->bytes[dir];

		if (packets == last.packets[dir] && bytes == last.bytes[dir])
			continue;
		same = 0;
		if (!oracle->wrong_flow)
			printf("  direction %d: library %llu packets, %llu bytes; conntrack %llu, %llu\n",
			       dir, (unsigned long long)last.packets[dir],
			       (unsigned long long)last.bytes[dir], (unsigned long long)packets,
			       (unsigned long long)bytes);
	}
	return same;
}

static void run_case(struct oracle *oracle, const struct oracle_case *c, uint8_t proto)
{
	int ported = proto == IPPROTO_TCP || proto == IPPROTO_UDP;
	struct oracle_flow flow = {.side = {c->from, c->to}, .dscp = {c->dscp[0], c->dscp[1]}};
	struct oracle_flow told;
	struct oracle_conntrack conntrack;

	memset(&conntrack, 0, sizeof(conntrack));
	if (original_tuple(c, c->src, proto, &flow.tuple[FO_ORIGINAL]) != 0 ||
	    set_up(oracle, c, &flow, &conntrack) != 0) {
		verdict(oracle, c, proto, "the kernel does not set the connection up", 0);
		return;
	}
	if (changes_of(&flow) != (ported ? c->changes : c->changes_icmp)) {
		verdict(oracle, c, proto, "the kernel translates something else", 0);
		return;
	}
	told = flow;
	if (oracle->wrong_flow && ported)
		told.tuple[FO_REPLY].dport_be ^= htons(2);
	else if (oracle->wrong_flow)
		told.tuple[FO_REPLY].sport_be ^= htons(2);
	if (oracle_library_add(&oracle->lib, &told) != 0) {
		verdict(oracle, c, proto, "the library refuses the flow", 0);
		return;
	}
	verdict(oracle, c, proto, "original direction", compare_direction(oracle, &flow, FO_ORIGINAL));
	verdict(oracle, c, proto, "reply direction", compare_direction(oracle, &flow, FO_REPLY));
	verdict(oracle, c, proto, "counters", compare_counters(oracle, &flow, &conntrack));
}

static int read_arguments(struct oracle *oracle, int argc, char **argv)
{
	int n = 1;

	memset(oracle, 0, sizeof(*oracle));
	if (n < argc && strcmp(argv[n], "--wrong-checksums") == 0) {
		oracle->set = SET_WRONG;
		n++;
	} else if (n < argc && strcmp(argv[n], "--wrong-flow") == 0) {
		oracle->wrong_flow = 1;
		n++;
	}
	if (argc - n != 3) {
		fprintf(stderr, "usage: nat-oracle [--wrong-checksums | --wrong-flow] LAN_END WAN_END "
				"ROUTER_NETNS\n");
		return -EINVAL;
	}
	if (oracle_wire_open(&oracle->wire, argv[n], argv[n + 1]) != 0)
		return -ENODEV;
	if (oracle_router_enter(argv[n + 2]) == 0)
		return 0;
	oracle_wire_close(&oracle->wire);
	return -ENOENT;
}

int main(int argc, char **argv)
{
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
	struct oracle oracle;
	struct oracle_case c;
	unsigned int i, p;

	if (read_arguments(&oracle, argc, argv) != 0)
		return 2;
	if (oracle_library_open(&oracle.lib) != 0) {
		oracle_wire_close(&oracle.wire);
		return 2;
	}
	for (i = 0; oracle_case_get(i, &c); i++) {
		for (p = 0; p < sizeof(protocols); p++) {
			int v6_echo = protocols[p] == IPPROTO_ICMP && c.family == FO_FAMILY_IPV6;

			run_case(&oracle, &c, v6_echo ? IPPROTO_ICMPV6 : protocols[p]);
		}
	}
	oracle_library_close(&oracle.lib);
	oracle_wire_close(&oracle.wire);
	if (oracle.landed == 0 && !oracle.wrong_flow) {
		printf("FAIL: no checksum landed on 0, the packets miss what they aim at\n");
		oracle.failed++;
	}
	if (oracle.partial == 0 && oracle.set == SET_VALID && !oracle.wrong_flow) {
		printf("FAIL: no partial checksum was compared\n");
		oracle.failed++;
	}
	printf("%lu frames compared; %lu of them had a partial checksum, %lu left with one of 0\n",
	       oracle.frames, oracle.partial, oracle.landed);
	printf("%u passed, %u failed, 0 skipped\n", oracle.passed, oracle.failed);
	return oracle.failed != 0;
}
