/* SPDX-License-Identifier: BSD-2-Clause */
/* router_report.c - what `fo-demo router` has done, for people or as JSON. Neighbours: router.c, out.h. */
#include "router.h"

#include <inttypes.h>
#include <stdio.h>

#include "demo.h"
#include "out.h"

void router_progress(const struct router *r)
{
	struct sp_stats s;

	sp_get_stats(r->sp, &s);
	fprintf(stderr,
		"fo-demo: %" PRIu64 " frames, %" PRIu64 " short-cut, %" PRIu64 " slow; %" PRIu64
		" connections, %" PRIu64 " offloaded\n",
		r->n.rx, r->n.fast, r->n.slow, s.connections, s.offloaded);
}

static uint64_t accounted(const struct router *r)
{
	return r->n.fast + r->n.slow + r->n.neigh + r->n.not_ours + r->n.truncated;
}

static uint64_t dropped(const struct sp_stats *s)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < SP_D_MAX; i++)
		sum += s->dropped[i];
	return sum;
}

static double per(uint64_t what, uint64_t n)
{
	return n ? (double)what / (double)n : 0;
}

/* ---- Text ---- */

static void line(const char *name, uint64_t n, const char *note)
{
	char text[OUT_NUMBER];

	printf("  %-28s %14s%s%s\n", name, out_count(text, n), note[0] ? "  " : "", note);
}

static void text_packets(const struct router *r)
{
	char share[OUT_NUMBER], bytes[OUT_NUMBER];
	unsigned int i;

	printf("frames received                %14s\n", out_count(bytes, r->n.rx));
	line("short-cut (fast path)", r->n.fast, out_share(share, r->n.fast, r->n.rx));
	line("slow path", r->n.slow, out_share(share, r->n.slow, r->n.rx));
	line("ARP and ND", r->n.neigh, "");
	line("not for this router", r->n.not_ours, "");
	if (r->n.truncated)
		line("longer than a ring's slot", r->n.truncated, "");
	printf("  every frame accounted for: %s\n", accounted(r) == r->n.rx ? "yes" : "NO");
	printf("slow path\n");
	line("forwarded", r->slow.forwarded, "");
	line("for the router itself", r->slow.local, "");
	for (i = 0; i < SP_D_MAX; i++) {
		if (r->slow.dropped[i]) {
			char name[OUT_NUMBER];

			snprintf(name, sizeof(name), "dropped: %s", sp_drop_name(i));
			line(name, r->slow.dropped[i], "");
		}
	}
	if (r->n.no_route + r->n.given_up)
		line("of forwarded: no way out", r->n.no_route + r->n.given_up,
		     "no route, or no such neighbour");
	if (r->n.icmp_sent + r->n.echo_answered)
		line("ICMP sent by the router", r->n.icmp_sent + r->n.echo_answered, "");
}

static void text_table(const struct router *r)
{
	const struct fo_table_counters *c = &r->counters;
	char bytes[OUT_NUMBER];
	unsigned int i;

	if (!c->size)
		return;
	printf("passed on by the fast path, by reason\n");
	for (i = 0; i < FO_R_PACKET_MAX; i++) {
		if (c->passed[i])
			line(fo_reason_name(i), c->passed[i], fo_reason_text(i));
	}
	printf("flows\n");
	line("offloaded", r->n.offload_added, "");
	line("refused", r->n.offload_refused, "");
	line("still offloaded at the end", c->flows, "");
	for (i = 0; i < 8; i++) {
		if (r->n.offload_ended[i]) {
			char name[OUT_NUMBER];

			snprintf(name, sizeof(name), "ended: %s", fo_event_name(FO_EV_DELETED + i));
			line(name, r->n.offload_ended[i], "");
		}
	}
	line("bytes short-cut (IP)", c->forwarded_bytes, out_bytes(bytes, c->forwarded_bytes));
}

static void text_flows(const struct router *r)
{
	char from[OUT_ENDPOINT], to[OUT_ENDPOINT], nat[OUT_ENDPOINT], bytes[OUT_NUMBER], count[OUT_NUMBER];
	uint32_t i;

	if (r->n_top)
		printf("largest flows (short-cut packets and bytes, both directions)\n");
	for (i = 0; i < r->n_top; i++) {
		const struct router_top *t = &r->top[i];

		printf("  %-6s %s -> %s, seen there as %s: %s packets, %s\n", out_proto(t->tuple[0].proto),
		       out_endpoint(from, &t->tuple[0], 0), out_endpoint(to, &t->tuple[0], 1),
		       out_endpoint(nat, &t->tuple[1],
				    t->tuple[1].proto == 1 || t->tuple[1].proto == 58 ? 0 : 1),
		       out_count(count, t->packets), out_bytes(bytes, t->bytes));
	}
	if (r->o.explain_one && r->explanation.size)
		printf("one flow explained, while it lived\n  %s %s -> %s: %s\n  %s\n",
		       out_proto(r->explained.tuple[0].proto), out_endpoint(from, &r->explained.tuple[0], 0),
		       out_endpoint(to, &r->explained.tuple[0], 1), fo_state_name(r->explanation.state),
		       r->explanation.text);
}

static void text_ports(const struct router *r, uint64_t wall_ns, uint64_t cpu_ns)
{
	char frames[OUT_NUMBER], bytes[OUT_NUMBER];
	int side;

	for (side = 0; side < 2; side++) {
		const struct ap_port *p = &r->port[side];

		printf("%s %s: sent %s frames, %s; ring full %" PRIu64 ", no room to send %" PRIu64
		       ", refused %" PRIu64 "\n",
		       side == SP_LAN ? "LAN" : "WAN", p->name, out_count(frames, p->tx_frames),
		       out_bytes(bytes, p->tx_bytes), p->rx_lost, p->tx_full, p->tx_refused);
	}
	printf("CPU %.3f s of %.3f s: %.0f ns a frame, of which to decide and translate %.0f; the rest is "
	       "the kernel's:\n"
	       "taking, copying and delivering frames (%.3f ns a byte sent)\n",
	       (double)cpu_ns / 1e9, (double)wall_ns / 1e9, per(cpu_ns, r->n.rx),
	       per(r->n.decide_ns, r->n.rx), per(cpu_ns, r->port[0].tx_bytes + r->port[1].tx_bytes));
}

static int report_text(const struct router *r, uint64_t wall_ns, uint64_t cpu_ns)
{
	text_packets(r);
	text_table(r);
	text_flows(r);
	text_ports(r, wall_ns, cpu_ns);
	return out_finish(DEMO_OK);
}

/* ---- JSON ---- */

static void json_slow(struct json *doc, const struct router *r)
{
	struct json_object *slow = json_node(doc, doc->root, "slow_path"), *why;
	unsigned int i;

	json_u64(doc, slow, "packets", r->slow.packets);
	json_u64(doc, slow, "forwarded", r->slow.forwarded);
	json_u64(doc, slow, "local", r->slow.local);
	json_u64(doc, slow, "dropped", dropped(&r->slow));
	json_u64(doc, slow, "no_route", r->n.no_route);
	json_u64(doc, slow, "neighbour_given_up", r->n.given_up);
	json_u64(doc, slow, "icmp_sent", r->n.icmp_sent);
	json_u64(doc, slow, "echo_answered", r->n.echo_answered);
	json_u64(doc, slow, "connections", r->slow.created);
	json_u64(doc, slow, "established", r->slow.established);
	json_u64(doc, slow, "fragments", r->slow.fragments);
	json_u64(doc, slow, "icmp_errors", r->slow.icmp_errors);
	why = json_node(doc, slow, "dropped_by_reason");
	for (i = 0; i < SP_D_MAX; i++) {
		if (r->slow.dropped[i])
			json_u64(doc, why, sp_drop_name(i), r->slow.dropped[i]);
	}
}

static void json_table(struct json *doc, const struct router *r)
{
	const struct fo_table_counters *c = &r->counters;
	struct json_object *fast, *passed, *ended;
	unsigned int i;

	if (!c->size)
		return;
	fast = json_node(doc, doc->root, "fast_path");
	json_u64(doc, fast, "packets", c->forwarded_packets);
	json_u64(doc, fast, "bytes", c->forwarded_bytes);
	json_u64(doc, fast, "flows_added", r->n.offload_added);
	json_u64(doc, fast, "flows_refused", r->n.offload_refused);
	json_u64(doc, fast, "flows", c->flows);
	json_u64(doc, fast, "adjacency_updates", r->n.adj_updates);
	passed = json_node(doc, fast, "passed_by_reason");
	for (i = 0; i < FO_R_PACKET_MAX; i++) {
		if (c->passed[i])
			json_u64(doc, passed, fo_reason_name(i), c->passed[i]);
	}
	ended = json_node(doc, fast, "ended_by_event");
	for (i = 0; i < 8; i++) {
		if (r->n.offload_ended[i])
			json_u64(doc, ended, fo_event_name(FO_EV_DELETED + i), r->n.offload_ended[i]);
	}
}

static void json_flow(struct json *doc, struct json_object *node, const struct router_top *t)
{
	char text[OUT_ENDPOINT];
	bool echo = t->tuple[1].proto == 1 || t->tuple[1].proto == 58;

	json_text(doc, node, "protocol", out_proto(t->tuple[0].proto));
	json_text(doc, node, "from", out_endpoint(text, &t->tuple[0], 0));
	json_text(doc, node, "to", out_endpoint(text, &t->tuple[0], 1));
	json_text(doc, node, "seen_as", out_endpoint(text, &t->tuple[1], !echo));
	json_u64(doc, node, "packets", t->packets);
	json_u64(doc, node, "bytes", t->bytes);
}

static void json_flows(struct json *doc, const struct router *r)
{
	struct json_object *top = json_list(doc, doc->root, "largest_flows"), *one;
	uint32_t i;

	for (i = 0; i < r->n_top; i++)
		json_flow(doc, json_node(doc, top, NULL), &r->top[i]);
	if (!r->o.explain_one || !r->explanation.size)
		return;
	one = json_node(doc, doc->root, "explained");
	json_flow(doc, one, &r->explained);
	json_text(doc, one, "state", fo_state_name(r->explanation.state));
	json_text(doc, one, "text", r->explanation.text);
}

static void json_ports(struct json *doc, const struct router *r)
{
	struct json_object *list = json_list(doc, doc->root, "ports"), *port;
	int side;

	for (side = 0; side < 2; side++) {
		const struct ap_port *p = &r->port[side];

		port = json_node(doc, list, NULL);
		json_text(doc, port, "name", p->name);
		json_u64(doc, port, "received", p->rx_frames);
		json_u64(doc, port, "ring_full", p->rx_lost);
		json_u64(doc, port, "sent", p->tx_frames);
		json_u64(doc, port, "sent_bytes", p->tx_bytes);
		json_u64(doc, port, "no_room", p->tx_full);
		json_u64(doc, port, "refused", p->tx_refused);
	}
}

static int report_json(const struct router *r, uint64_t wall_ns, uint64_t cpu_ns)
{
	struct json doc;

	json_begin(&doc);
	json_u64(&doc, doc.root, "frames", r->n.rx);
	json_u64(&doc, doc.root, "short_cut", r->n.fast);
	json_u64(&doc, doc.root, "slow", r->n.slow);
	json_u64(&doc, doc.root, "neighbour", r->n.neigh);
	json_u64(&doc, doc.root, "not_ours", r->n.not_ours);
	json_u64(&doc, doc.root, "truncated", r->n.truncated);
	json_flag(&doc, doc.root, "all_accounted", accounted(r) == r->n.rx);
	json_slow(&doc, r);
	json_table(&doc, r);
	json_flows(&doc, r);
	json_ports(&doc, r);
	json_real(&doc, doc.root, "wall_s", (double)wall_ns / 1e9);
	json_real(&doc, doc.root, "cpu_s", (double)cpu_ns / 1e9);
	json_real(&doc, doc.root, "cpu_ns_per_frame", per(cpu_ns, r->n.rx));
	json_real(&doc, doc.root, "decide_ns_per_frame", per(r->n.decide_ns, r->n.rx));
	json_real(&doc, doc.root, "cpu_ns_per_byte", per(cpu_ns, r->port[0].tx_bytes + r->port[1].tx_bytes));
	return json_print(&doc, DEMO_OK);
}

int router_report(const struct router *r, uint64_t wall_ns, uint64_t cpu_ns)
{
	return r->o.json ? report_json(r, wall_ns, cpu_ns) : report_text(r, wall_ns, cpu_ns);
}
