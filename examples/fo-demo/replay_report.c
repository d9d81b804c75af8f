/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_report.c - what a replay says at its end, as text or JSON, and whether its figures add up. Neighbours:
 * replay.h, out.h.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>

#include "demo.h"
#include "out.h"

struct summary {
	struct fo_table_counters table;
	struct sp_stats slow;
	uint64_t unparseable, dropped, refused, seconds_ms;
	double fast_mpps, fast_ns, whole_mpps;
	char wrong[160]; /* what does not add up; empty when all does */
};

static void check(struct summary *s, const char *what, uint64_t left, uint64_t right)
{
	if (left != right && s->wrong[0] == '\0')
		snprintf(s->wrong, sizeof(s->wrong), "%s: %" PRIu64 " against %" PRIu64, what, left, right);
}

/* Three countings of the same packets by different parties: the loop, the table and the slow path. */
static void check_sums(struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;

	check(s, "packets read, and short-cut + slow path + unparseable", c->packets,
	      c->short_cut + c->slow + s->unparseable);
	check(s, "packets short-cut, and the table's own count", c->short_cut, s->table.forwarded_packets);
	check(s, "packets short-cut, and the sum over all ended flows", c->short_cut, c->flow_packets);
	for (unsigned int i = 0; i < FO_R_PACKET_MAX; i++)
		check(s, fo_reason_name(i), c->passed[i], s->table.passed[i]);
	check(s, "packets to the slow path, and its own count", c->slow, s->slow.packets);
	check(s, "packets to the slow path, and forwarded + local + dropped", c->slow,
	      s->slow.forwarded + s->slow.local + s->dropped);
	check(s, "flows added, and flows ended", c->added, c->flows_ended);
}

static bool gather(struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	struct fo_error err = {0};

	*s = (struct summary){.seconds_ms = r->clock_ns / 1000000};
	FO_INIT(&s->table);
	if (fo_stats(r->table, &s->table, &err) < 0) {
		out_fo_error("fo_stats", &err);
		return false;
	}
	sp_get_stats(r->sp, &s->slow);
	s->unparseable = c->unparseable[FRAME_OTHER] + c->unparseable[FRAME_BROKEN];
	for (unsigned int i = 0; i < SP_D_MAX; i++)
		s->dropped += s->slow.dropped[i];
	for (unsigned int i = 0; i < FO_R_MAX; i++)
		s->refused += c->refused[i];
	if (c->fast_ns > 0 && c->packets > 0) {
		s->fast_mpps = (double)c->packets * 1e3 / (double)c->fast_ns;
		s->fast_ns = (double)c->fast_ns / (double)c->packets;
	}
	if (c->whole_ns > 0)
		s->whole_mpps = (double)c->packets * 1e3 / (double)c->whole_ns;
	check_sums(s, r);
	return true;
}

/* ---- Text ------------------------------------------------------------------------------------------- */

static void print_row(const char *label, uint64_t n, const char *more)
{
	char count[OUT_NUMBER];

	printf("  %-26s %14s  %s\n", label, out_count(count, n), more);
}

static void print_share(const char *label, uint64_t n, uint64_t whole)
{
	char share[OUT_NUMBER];

	print_row(label, n, out_share(share, n, whole));
}

static void print_packets(const struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	uint64_t bytes = s->table.forwarded_bytes + s->slow.forwarded_bytes;
	char short_bytes[OUT_NUMBER], all_bytes[OUT_NUMBER], share[OUT_NUMBER];

	printf("Packets\n");
	print_share("short cut", c->short_cut, c->packets);
	print_share("slow path", c->slow, c->packets);
	print_row("  forwarded", s->slow.forwarded, "");
	print_row("  for the router itself", s->slow.local, "");
	print_row("  dropped", s->dropped, "");
	for (unsigned int i = 0; i < SP_D_MAX; i++) {
		char label[40];

		snprintf(label, sizeof(label), "    %s", sp_drop_name(i));
		if (s->slow.dropped[i] != 0)
			print_row(label, s->slow.dropped[i], "");
	}
	print_share("unparseable", s->unparseable, c->packets);
	if (c->unparseable[FRAME_OTHER] != 0)
		print_row("  neither IPv4 nor IPv6", c->unparseable[FRAME_OTHER], "");
	if (c->unparseable[FRAME_BROKEN] != 0)
		print_row("  broken", c->unparseable[FRAME_BROKEN], "");
	print_row("total", c->packets, "");
	if (c->unfinished_csum != 0)
		print_row("with unfinished checksum", c->unfinished_csum, "");
	printf("  offloaded: %s of the forwarded packets, ",
	       out_share(share, c->short_cut, c->short_cut + s->slow.forwarded));
	printf("%s of the bytes (%s of %s)\n", out_share(share, s->table.forwarded_bytes, bytes),
	       out_bytes(short_bytes, s->table.forwarded_bytes), out_bytes(all_bytes, bytes));
}

static void print_reasons(const struct replay *r)
{
	printf("\nPassed on by the fast path, because\n");
	for (unsigned int i = 0; i < FO_R_PACKET_MAX; i++) {
		if (r->counts.passed[i] != 0)
			print_row(fo_reason_name(i), r->counts.passed[i], fo_reason_text(i));
	}
}

static void print_connections(const struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;

	printf("\nConnections\n");
	print_row("seen", s->slow.created, "");
	print_row("established", s->slow.established, "");
	print_row("offloaded", c->added, "");
	for (unsigned int i = FO_EV_DELETED; i <= FO_EV_LOST; i++) {
		char label[40];

		/* What the end of the capture ended was still alive in it. */
		snprintf(label, sizeof(label), "  %s",
			 i == FO_EV_INVALIDATED ? "alive at the end" : fo_event_name(i));
		if (c->ended[i] != 0)
			print_row(label, c->ended[i], "");
	}
	for (unsigned int i = 0; i < FO_R_MAX; i++) {
		char label[40];

		snprintf(label, sizeof(label), "refused: %s", fo_reason_name(i));
		if (c->refused[i] != 0)
			print_row(label, c->refused[i], fo_reason_text(i));
	}
}

static void print_flow(const struct replay_flow *f)
{
	const struct fo_tuple *original = &f->flow.tuple[FO_ORIGINAL], *reply = &f->flow.tuple[FO_REPLY];
	char from[OUT_ENDPOINT], to[OUT_ENDPOINT], as[OUT_ENDPOINT];
	char bytes[2][OUT_NUMBER], packets[2][OUT_NUMBER];
	bool translated = memcmp(reply->dst, original->src, 16) != 0 || reply->dport_be != original->sport_be;

	printf("  %-6s %s -> %s", out_proto(original->proto), out_endpoint(from, original, 0),
	       out_endpoint(to, original, 1));
	/* An echo's port number is its identifier, in sport of both directions. */
	if (original->proto != 6 && original->proto != 17)
		translated =
			memcmp(reply->dst, original->src, 16) != 0 || reply->sport_be != original->sport_be;
	if (translated)
		printf(" as %s", out_endpoint(as, reply, 1));
	printf("\n         %s packets, %s there; %s packets, %s back; %s (%s)\n",
	       out_count(packets[0], f->counters.packets[0]), out_bytes(bytes[0], f->counters.bytes[0]),
	       out_count(packets[1], f->counters.packets[1]), out_bytes(bytes[1], f->counters.bytes[1]),
	       fo_event_name(f->kind), fo_reason_name(f->reason));
}

static void print_text(const struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	char packets[OUT_NUMBER], bytes[OUT_NUMBER];

	printf("%s: %s packets, %s, %.3f s of traffic%s\n\n", r->opt.input, out_count(packets, c->packets),
	       out_bytes(bytes, c->bytes), (double)s->seconds_ms / 1e3,
	       r->cut_off ? " (the capture is cut off)" : "");
	print_packets(s, r);
	print_reasons(r);
	print_connections(s, r);
	if (r->n_top > 0)
		printf("\nLargest flows (packets that took the short cut)\n");
	for (size_t i = 0; i < r->n_top; i++)
		print_flow(&r->top[i]);
	printf("\nSpeed: fast path %.2f Mpps (%.0f ns/packet), with the slow path and the file %.2f Mpps\n",
	       s->fast_mpps, s->fast_ns, s->whole_mpps);
	if (s->wrong[0] == '\0')
		printf("Accounted for: %" PRIu64 " packets = %" PRIu64 " short-cut + %" PRIu64
		       " slow path + %" PRIu64 " unparseable\n",
		       c->packets, c->short_cut, c->slow, s->unparseable);
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static void json_packets(struct json *doc, const struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	struct json_object *node = json_node(doc, doc->root, "packets"), *slow, *list;

	json_u64(doc, node, "total", c->packets);
	json_u64(doc, node, "short_cut", c->short_cut);
	json_u64(doc, node, "slow_path", c->slow);
	json_u64(doc, node, "unparseable", s->unparseable);
	json_u64(doc, node, "unfinished_checksum", c->unfinished_csum);
	list = json_node(doc, node, "passed_by_reason");
	for (unsigned int i = 0; i < FO_R_PACKET_MAX; i++) {
		if (c->passed[i] != 0)
			json_u64(doc, list, fo_reason_name(i), c->passed[i]);
	}
	slow = json_node(doc, doc->root, "slow_path");
	json_u64(doc, slow, "forwarded", s->slow.forwarded);
	json_u64(doc, slow, "local", s->slow.local);
	json_u64(doc, slow, "dropped", s->dropped);
	list = json_node(doc, slow, "dropped_by_reason");
	for (unsigned int i = 0; i < SP_D_MAX; i++) {
		if (s->slow.dropped[i] != 0)
			json_u64(doc, list, sp_drop_name(i), s->slow.dropped[i]);
	}
	node = json_node(doc, doc->root, "bytes");
	json_u64(doc, node, "frames", c->bytes);
	json_u64(doc, node, "short_cut_l3", s->table.forwarded_bytes);
	json_u64(doc, node, "slow_path_l3", s->slow.forwarded_bytes);
}

static void json_connections(struct json *doc, const struct summary *s, const struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	struct json_object *node = json_node(doc, doc->root, "connections"), *list;

	json_u64(doc, node, "seen", s->slow.created);
	json_u64(doc, node, "established", s->slow.established);
	json_u64(doc, node, "offloaded", c->added);
	json_u64(doc, node, "refused", s->refused);
	list = json_node(doc, node, "refused_by_reason");
	for (unsigned int i = 0; i < FO_R_MAX; i++) {
		if (c->refused[i] != 0)
			json_u64(doc, list, fo_reason_name(i), c->refused[i]);
	}
	list = json_node(doc, node, "ended_by_event");
	for (unsigned int i = FO_EV_DELETED; i <= FO_EV_LOST; i++) {
		if (c->ended[i] != 0)
			json_u64(doc, list, fo_event_name(i), c->ended[i]);
	}
}

static void json_tuple(struct json *doc, struct json_object *parent, const char *key,
		       const struct fo_tuple *t)
{
	struct json_object *node = json_node(doc, parent, key);
	char text[OUT_ENDPOINT];

	json_text(doc, node, "src", out_endpoint(text, t, 0));
	json_text(doc, node, "dst", out_endpoint(text, t, 1));
}

static void json_flow(struct json *doc, struct json_object *parent, const struct replay_flow *f)
{
	struct json_object *node = json_node(doc, parent, NULL), *list;

	json_text(doc, node, "protocol", out_proto(f->flow.tuple[0].proto));
	json_tuple(doc, node, "original", &f->flow.tuple[FO_ORIGINAL]);
	json_tuple(doc, node, "reply", &f->flow.tuple[FO_REPLY]);
	list = json_list(doc, node, "packets");
	for (int dir = 0; dir < 2; dir++)
		json_u64(doc, list, NULL, f->counters.packets[dir]);
	list = json_list(doc, node, "bytes");
	for (int dir = 0; dir < 2; dir++)
		json_u64(doc, list, NULL, f->counters.bytes[dir]);
	json_text(doc, node, "event", fo_event_name(f->kind));
	json_text(doc, node, "reason", fo_reason_name(f->reason));
}

static int print_json(const struct summary *s, const struct replay *r, int status)
{
	struct json_object *node;
	struct json doc;

	json_begin(&doc);
	json_text(&doc, doc.root, "capture", r->opt.input);
	json_flag(&doc, doc.root, "complete", !r->cut_off);
	json_flag(&doc, doc.root, "accounted_for", s->wrong[0] == '\0');
	json_packets(&doc, s, r);
	json_connections(&doc, s, r);
	node = json_list(&doc, doc.root, "largest_flows");
	for (size_t i = 0; i < r->n_top; i++)
		json_flow(&doc, node, &r->top[i]);
	node = json_node(&doc, doc.root, "speed");
	json_real(&doc, node, "fast_path_mpps", s->fast_mpps);
	json_real(&doc, node, "fast_path_ns_per_packet", s->fast_ns);
	json_real(&doc, node, "whole_mpps", s->whole_mpps);
	json_real(&doc, node, "traffic_seconds", (double)s->seconds_ms / 1e3);
	return json_print(&doc, status);
}

int replay_report(struct replay *r)
{
	int status = DEMO_OK;
	struct summary s;

	if (!gather(&s, r))
		return DEMO_FAILED;
	if (s.wrong[0] != '\0') {
		out_error("the figures do not add up: %s", s.wrong);
		status = DEMO_FAILED;
	}
	/* One refusal explained says more than its count: connections stay slow because of it. */
	if (s.refused != 0)
		out_fo_error("fo_flow_add (the first connection refused)", &r->first_refusal);
	if (r->opt.json)
		return print_json(&s, r, status);
	print_text(&s, r);
	return out_finish(status);
}
