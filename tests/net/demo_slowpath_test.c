/* SPDX-License-Identifier: BSD-2-Clause */
/* demo_slowpath_test.c - the slow path of fo-demo with made-up packets. What comes out is compared byte by byte
 * with a packet built from nothing, its checksums summed over all of it: none of the code under test is used.
 *
 * Neighbours: demo_slowpath_packets.h, examples/fo-demo/slowpath.h. Ends with "N passed, N failed, N skipped".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo_slowpath_packets.h"
#include "slowpath.h"

static unsigned int passed, failed;
static bool case_failed;

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #cond);            \
			case_failed = true;                                                                  \
		}                                                                                            \
	} while (0)

/* ---- One packet through it ---- */

static struct sp *open_nat(bool pick_up)
{
	struct sp_options o = {.capacity = 16,
			       .nat4 = true,
			       .nat6 = true,
			       .check_ip_csum = true,
			       .mtu = {1500, 1500},
			       .pick_up = pick_up};
	struct sp_local local[1] = {{.family = FO_FAMILY_IPV4}};
	struct sp *sp = NULL;

	made_address(o.nat4_addr, 4, "n");
	made_address(o.nat6_addr, 6, "n");
	made_address(local[0].addr, 4, "l");
	o.local = local;
	o.n_local = 1;
	if (sp_create(&o, &sp)) {
		puts("sp_create failed");
		exit(1);
	}
	return sp;
}

static uint8_t buffer[2048], wanted[2048];

static struct sp_packet run(struct sp *sp, const struct made *m, int side, uint64_t now)
{
	struct sp_packet pkt = {.l3 = buffer, .side = (uint8_t)side, .csum_partial = m->partial};

	pkt.contiguous = (uint32_t)made_packet(m, buffer);
	pkt.length = pkt.contiguous + 6; /* Ethernet padding */
	sp_packet(sp, &pkt, now);
	return pkt;
}

static bool became(const struct sp_packet *pkt, const struct made *m)
{
	size_t n = made_packet(m, wanted);

	return pkt->verdict == SP_FORWARD && pkt->length == n && !memcmp(buffer, wanted, n);
}

static bool untouched(const struct made *m)
{
	return !memcmp(buffer, wanted, made_packet(m, wanted));
}

static bool dropped(const struct sp_packet *pkt, const struct made *m, unsigned int why)
{
	return pkt->verdict == SP_DROP && pkt->drop == why && untouched(m);
}

/* ---- Cases ---- */

static void check_tcp_handshake(int family)
{
	struct sp *sp = open_nat(false);
	struct made syn = made_there(family, TCP, SYN),
		    syn_ack = made_back(made_there(family, TCP, SYN | ACK));
	struct made ack = made_there(family, TCP, ACK), out;
	struct fo_flow flow;
	struct sp_packet p = run(sp, &syn, SP_LAN, 0);

	out = made_left(syn);
	CHECK(became(&p, &out) && !p.offload);
	p = run(sp, &syn_ack, SP_WAN, 1);
	out = made_arrived(syn_ack);
	CHECK(became(&p, &out) && !p.offload && p.dir == FO_REPLY);
	p = run(sp, &ack, SP_LAN, 2);
	out = made_left(ack);
	CHECK(became(&p, &out) && p.offload && p.dir == FO_ORIGINAL);
	CHECK(sp_flow(sp, p.conn, &flow) == 0 && flow.user == p.conn && flow.nat == FO_NAT_SRC);
	made_address(wanted, family, "n");
	CHECK(!memcmp(flow.tuple[FO_REPLY].dst, wanted, family == 4 ? 4 : 16));
	sp_offload_added(sp, p.conn, 77);
	CHECK(sp_offload_flow(sp, p.conn) == 77);
	CHECK(!run(sp, &ack, SP_LAN, 3).offload);
	CHECK(sp_expire(sp, 1u << 30, 100) == 0);
	sp_offload_ended(sp, p.conn, 1000);
	CHECK(sp_expire(sp, 1000, 100) == 0 && sp_expire(sp, 1u << 30, 100) == 1);
	CHECK(sp_flow(sp, p.conn, &flow) == -2);
	sp_destroy(sp);
}

static void tcp_is_offered_after_the_handshake_and_translated_both_ways(void)
{
	check_tcp_handshake(4);
	check_tcp_handshake(6);
}

static void udp_checksum_zero_stays_and_computed_zero_becomes_ffff(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, UDP, 0), out;
	struct sp_packet p;
	unsigned int port;

	m.no_csum = true;
	p = run(sp, &m, SP_LAN, 0);
	out = made_left(m);
	CHECK(became(&p, &out));
	/* One of these destination ports makes the sum come out as zero; all must agree with the full sum. */
	m.no_csum = false;
	m.payload = 0;
	for (port = 1; port < 65536; port++) {
		m.dport = port;
		p = run(sp, &m, SP_LAN, port * 40000ull);
		out = made_left(m);
		CHECK(became(&p, &out));
		if (case_failed)
			break;
	}
	sp_destroy(sp);
}

static void partial_checksums_stay_partial(void)
{
	static const int families[] = {4, 6}, protos[] = {TCP, UDP};
	struct sp *sp = open_nat(false);
	int i;

	for (i = 0; i < 4; i++) {
		struct made m = made_there(families[i / 2], protos[i % 2], SYN), out;
		struct sp_packet p;

		m.partial = true;
		p = run(sp, &m, SP_LAN, 0);
		out = made_left(m);
		CHECK(became(&p, &out));
	}
	sp_destroy(sp);
}

static void a_taken_port_or_echo_id_is_replaced_and_answers_find_back(void)
{
	static const int protos[] = {TCP, UDP, ICMP};
	struct sp *sp = open_nat(false);
	int i;

	for (i = 0; i < 3; i++) {
		struct made m = made_there(4, protos[i], SYN), answer, out;
		bool echo = protos[i] == ICMP;
		struct sp_packet p;

		m.sport = echo ? 8 : 4000;
		run(sp, &m, SP_LAN, 0);
		m.src = "d";
		p = run(sp, &m, SP_LAN, 0);
		out = made_left(m);
		*(echo ? &out.dport : &out.sport) =
			(unsigned int)(buffer[echo ? 24 : 20] << 8 | buffer[echo ? 25 : 21]);
		CHECK(became(&p, &out) && out.sport + out.dport != m.sport + m.dport);
		answer = out;
		answer.src = "s";
		answer.dst = "n";
		answer.flags = SYN | ACK;
		answer.sport = echo ? 0 : m.dport;
		answer.dport = echo ? out.dport : out.sport;
		p = run(sp, &answer, SP_WAN, 1);
		out = answer;
		out.dst = "d";
		out.dport = echo ? m.dport : m.sport;
		out.ttl--;
		CHECK(became(&p, &out) && p.offload == (protos[i] != TCP));
	}
	sp_destroy(sp);
}

static void check_error(int family, int proto, const char *from, size_t cut)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(family, proto, SYN), out = made_left(m);
	struct made quoted = m;
	struct sp_packet p = {.l3 = buffer, .side = SP_WAN};
	uint8_t inner[256];
	size_t n, header = family == 4 ? 20 : 40;

	run(sp, &m, SP_LAN, 0);
	n = made_packet(&out, inner);
	n = cut < n - header ? header + cut : n;
	p.contiguous = p.length = (uint32_t)made_error(buffer, family, from, "n", 64, inner, n);
	sp_packet(sp, &p, 1);
	quoted.ttl--;
	made_packet(&quoted, inner);
	n = made_error(wanted, family, from, "c", 63, inner, n);
	CHECK(p.verdict == SP_FORWARD && p.length == n && !memcmp(buffer, wanted, n) && !p.offload);
	sp_destroy(sp);
}

/* The client (or a router on its side) refuses an answer: the server must see the NAT's address in both places. */
static void check_error_of_client(int family, const char *from)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(family, UDP, 0), reply = made_back(m), seen = made_arrived(reply);
	struct sp_packet p = {.l3 = buffer, .side = SP_LAN};
	uint8_t inner[256];
	size_t n;

	run(sp, &m, SP_LAN, 0);
	run(sp, &reply, SP_WAN, 0);
	p.contiguous = p.length =
		(uint32_t)made_error(buffer, family, from, "s", 64, inner, made_packet(&seen, inner));
	sp_packet(sp, &p, 1);
	reply.ttl--;
	n = made_error(wanted, family, "n", "s", 63, inner, made_packet(&reply, inner));
	CHECK(p.verdict == SP_FORWARD && p.length == n && !memcmp(buffer, wanted, n));
	sp_destroy(sp);
}

static void icmp_errors_of_the_client_hide_it(void)
{
	check_error_of_client(4, "c");
	check_error_of_client(4, "d");
	check_error_of_client(6, "c");
}

static void icmp_errors_reach_the_client_with_its_own_packet_quoted(void)
{
	static const char *const from[] = {"s", "r"};
	static const int protos[] = {TCP, UDP};
	int i;

	for (i = 0; i < 4; i++) {
		check_error(4, protos[i / 2], from[i % 2], 1000);
		check_error(6, protos[i / 2], from[i % 2], 1000);
	}
	/* The 8 bytes that every host quotes; TCP's checksum is not among them. */
	check_error(4, UDP, "s", 8);
}

static void an_icmp_error_about_nothing_known_is_dropped(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, UDP, 0);
	uint8_t inner[256], copy[512];
	struct sp_packet p = {.l3 = buffer, .side = SP_WAN};

	p.contiguous = p.length =
		(uint32_t)made_error(buffer, 4, "s", "c", 64, inner, made_packet(&m, inner));
	memcpy(copy, buffer, p.length);
	sp_packet(sp, &p, 0);
	CHECK(p.verdict == SP_DROP && p.drop == SP_D_ICMP_ERROR && !memcmp(copy, buffer, p.length));
	sp_destroy(sp);
}

static void check_fragments(int family)
{
	struct sp *sp = open_nat(false);
	struct made first = made_there(family, UDP, 0), later, out;
	struct sp_packet p;

	first.frag = family == 4 ? 0x2000 : 1;
	first.ident = 99;
	later = first;
	later.proto = UDP;
	later.frag = family == 4 ? 5 : 40;
	p = run(sp, &later, SP_LAN, 0);
	CHECK(dropped(&p, &later, SP_D_FRAGMENT));
	p = run(sp, &first, SP_LAN, 0);
	out = made_left(first);
	CHECK(became(&p, &out) && !p.offload);
	/* A later fragment is payload behind its header: only addresses (and the IPv4 header) may change. */
	p = run(sp, &later, SP_LAN, 1);
	made_packet(&later, wanted);
	CHECK(p.verdict == SP_FORWARD &&
	      !memcmp(buffer + (family == 4 ? 20 : 40), wanted + (family == 4 ? 20 : 40),
		      p.length - (family == 4 ? 20u : 40u)));
	out = made_left(later);
	made_packet(&out, wanted);
	CHECK(!memcmp(buffer, wanted, family == 4 ? 20 : 40));
	p = run(sp, &later, SP_LAN, 60000);
	CHECK(dropped(&p, &later, SP_D_FRAGMENT));
	sp_destroy(sp);
}

static void later_fragments_follow_their_first_one(void)
{
	check_fragments(4);
	check_fragments(6);
}

static void what_may_not_pass_is_dropped_untouched_and_leaves_no_connection(void)
{
	struct sp *sp = open_nat(false);
	struct sp_stats st;
	struct made m = made_there(4, TCP, SYN);
	struct sp_packet p;

	m.ttl = 1;
	p = run(sp, &m, SP_LAN, 0);
	CHECK(dropped(&p, &m, SP_D_TTL));
	m.ttl = 64;
	m.payload = 1461;
	p = run(sp, &m, SP_LAN, 0);
	CHECK(dropped(&p, &m, SP_D_MTU) && p.mtu == 1500);
	m = made_there(4, TCP, ACK);
	p = run(sp, &m, SP_LAN, 0);
	CHECK(dropped(&p, &m, SP_D_STATE));
	m = made_there(4, TCP, SYN);
	p = run(sp, &m, SP_WAN, 0);
	CHECK(dropped(&p, &m, SP_D_POLICY));
	m.proto = 132;
	p = run(sp, &m, SP_LAN, 0);
	CHECK(dropped(&p, &m, SP_D_PROTOCOL));
	m = made_there(4, TCP, SYN);
	m.dst = "l";
	p = run(sp, &m, SP_LAN, 0);
	CHECK(p.verdict == SP_LOCAL && untouched(&m));
	sp_get_stats(sp, &st);
	CHECK(st.connections == 0 && st.packets == 6 && st.local == 1 && st.forwarded == 0);
	sp_destroy(sp);
}

static void gso_frames_are_measured_by_their_segments(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, TCP, SYN);
	struct sp_packet p = {.l3 = buffer, .side = SP_LAN, .gso_size = 1461};

	m.payload = 1800;
	p.contiguous = p.length = (uint32_t)made_packet(&m, buffer);
	sp_packet(sp, &p, 0);
	CHECK(dropped(&p, &m, SP_D_MTU));
	p.gso_size = 1460;
	sp_packet(sp, &p, 0);
	CHECK(p.verdict == SP_FORWARD);
	sp_destroy(sp);
}

static void a_full_table_refuses_and_recovers(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, UDP, 0);
	struct sp_packet p;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		m.sport = 5000 + i;
		p = run(sp, &m, SP_LAN, 0);
		CHECK(p.verdict == SP_FORWARD);
	}
	m.sport = 6000;
	p = run(sp, &m, SP_LAN, 0);
	CHECK(dropped(&p, &m, SP_D_FULL));
	p = run(sp, &m, SP_LAN, 30001);
	CHECK(p.verdict == SP_FORWARD);
	sp_destroy(sp);
}

static void a_closing_connection_is_not_offered_and_its_port_serves_again(void)
{
	struct sp *sp = open_nat(true);
	struct made ack = made_there(4, TCP, ACK), reply = made_back(made_there(4, TCP, ACK)),
		    fin = made_there(4, TCP, FIN | ACK);
	struct made syn = made_there(4, TCP, SYN), syn_ack = made_back(made_there(4, TCP, SYN | ACK));

	run(sp, &ack, SP_LAN, 0);
	CHECK(run(sp, &reply, SP_WAN, 0).offload);
	CHECK(!run(sp, &fin, SP_LAN, 0).offload);
	CHECK(!run(sp, &reply, SP_WAN, 0).offload);
	run(sp, &syn, SP_LAN, 1);
	run(sp, &syn_ack, SP_WAN, 1);
	CHECK(run(sp, &ack, SP_LAN, 1).offload);
	sp_destroy(sp);
}

static void a_connection_is_heard_from_its_own_sides_only(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, UDP, 0), reply = made_back(made_there(4, UDP, 0));
	struct sp_packet p;

	run(sp, &m, SP_LAN, 0);
	p = run(sp, &reply, SP_LAN, 0);
	CHECK(dropped(&p, &reply, SP_D_POLICY));
	p = run(sp, &m, SP_WAN, 0);
	CHECK(dropped(&p, &m, SP_D_POLICY));
	sp_destroy(sp);
}

static void a_recorded_reply_is_shown_as_the_wan_would_see_it(void)
{
	struct sp *sp = open_nat(false);
	struct made m = made_there(4, UDP, 0), recorded = made_back(made_there(4, UDP, 0)), wan = recorded;
	struct sp_packet p = {.l3 = buffer, .side = SP_SIDE_ANY};

	run(sp, &m, SP_SIDE_ANY, 0);
	recorded.dst = "c";
	p.contiguous = p.length = (uint32_t)made_packet(&recorded, buffer);
	CHECK(sp_wan_view(sp, &p));
	CHECK(untouched(&wan));
	sp_packet(sp, &p, 0);
	recorded.ttl--;
	CHECK(became(&p, &recorded) && p.offload);
	sp_destroy(sp);
}

/* Each prefix of each packet, and each with one byte inverted, in memory that ends where it ends (sanitizers
 * see what lies behind). Whatever is said of it, a dropped packet is as it was. */
static void damaged_packets_are_judged_without_harm(void)
{
	static const int protos[] = {TCP, UDP, ICMP, ICMP6, 132};
	struct sp *sp = open_nat(true);
	size_t i, n, cut;

	for (i = 0; i < 20; i++) {
		struct made m = made_there(i % 2 ? 6 : 4, protos[i / 2 % 5], ACK);

		m.frag = i >= 10 ? (i % 2 ? 1 : 0x2000) : 0;
		n = made_packet(&m, buffer);
		for (cut = 0; cut < 2 * n; cut++) {
			size_t size = cut < n ? cut : n;
			uint8_t *exact = malloc(size ? size : 1), copy[256];
			struct sp_packet p = {.l3 = exact,
					      .contiguous = (uint32_t)size,
					      .length = (uint32_t)n,
					      .side = SP_SIDE_ANY};

			if (!exact)
				exit(1);
			memcpy(exact, buffer, size);
			if (cut >= n)
				exact[cut - n] ^= 0xff;
			memcpy(copy, exact, size);
			sp_packet(sp, &p, cut);
			CHECK(p.verdict == SP_FORWARD || !memcmp(copy, exact, size));
			free(exact);
		}
	}
	sp_destroy(sp);
}

static void run_case(const char *name, void (*test)(void))
{
	case_failed = false;
	test();
	if (case_failed) {
		failed++;
		printf("FAIL %s\n", name);
	} else {
		passed++;
	}
}

#define RUN(test) run_case(#test, test)

int main(void)
{
	RUN(tcp_is_offered_after_the_handshake_and_translated_both_ways);
	RUN(udp_checksum_zero_stays_and_computed_zero_becomes_ffff);
	RUN(partial_checksums_stay_partial);
	RUN(a_taken_port_or_echo_id_is_replaced_and_answers_find_back);
	RUN(icmp_errors_reach_the_client_with_its_own_packet_quoted);
	RUN(icmp_errors_of_the_client_hide_it);
	RUN(an_icmp_error_about_nothing_known_is_dropped);
	RUN(later_fragments_follow_their_first_one);
	RUN(what_may_not_pass_is_dropped_untouched_and_leaves_no_connection);
	RUN(gso_frames_are_measured_by_their_segments);
	RUN(a_full_table_refuses_and_recovers);
	RUN(a_closing_connection_is_not_offered_and_its_port_serves_again);
	RUN(a_connection_is_heard_from_its_own_sides_only);
	RUN(a_recorded_reply_is_shown_as_the_wan_would_see_it);
	RUN(damaged_packets_are_judged_without_harm);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
