/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_json.c - flows, counters and errors to JSON and back. Neighbours: flow_json.h, out.h. */
#include "flow_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

int flow_json_refuse(struct fo_error *err, const char *field, const char *format, ...)
{
	va_list args;

	*err = (struct fo_error){.code = -EINVAL, .reason = FO_R_ARGUMENT, .stage = FO_STAGE_VALIDATE};
	snprintf(err->field, sizeof(err->field), "%s", field);
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- reading ---- */

const char *flow_json_text(struct json_object *from, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(from, key, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

int flow_json_number(struct json_object *from, const char *key, uint64_t max, uint64_t missing, uint64_t *out,
		     struct fo_error *err)
{
	struct json_object *value;
	uint64_t number;

	*out = missing;
	if (!json_object_object_get_ex(from, key, &value))
		return 0;
	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return flow_json_refuse(err, key, "give a whole number from 0 to %" PRIu64, max);
	number = json_object_get_uint64(value);
	if (number > max)
		return flow_json_refuse(err, key, "%" PRIu64 " is more than %" PRIu64, number, max);
	*out = number;
	return 0;
}

static const struct proto {
	const char *name;
	uint8_t number, family; /* family 0: both */
	uint16_t type[2];	/* of an echo: request, reply, as dport */
} protos[] = {
	{"tcp", IPPROTO_TCP, 0, {0, 0}},
	{"udp", IPPROTO_UDP, 0, {0, 0}},
	{"icmp", IPPROTO_ICMP, FO_FAMILY_IPV4, {0x0800, 0x0000}},
	{"icmpv6", IPPROTO_ICMPV6, FO_FAMILY_IPV6, {0x8000, 0x8100}},
};

static bool is_echo(const struct proto *proto)
{
	return proto->family != 0;
}

static const struct proto *proto_named(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(protos) / sizeof(protos[0]); i++)
		if (strcmp(protos[i].name, name) == 0)
			return &protos[i];
	return NULL;
}

static bool read_address(const char *text, uint8_t *family, uint8_t addr[16])
{
	uint8_t read[16] = {0};

	if (inet_pton(AF_INET, text, read) == 1)
		*family = FO_FAMILY_IPV4;
	else if (inet_pton(AF_INET6, text, read) == 1)
		*family = FO_FAMILY_IPV6;
	else
		return false;
	memcpy(addr, read, 16);
	return true;
}

/* One end of a tuple: what from says of it, else what stands there already. */
static int read_end(struct json_object *from, const char *addr_key, const char *port_key, uint8_t *family,
		    uint8_t addr[16], uint16_t *port_be, struct fo_error *err)
{
	const char *text = flow_json_text(from, addr_key);
	uint64_t port;

	if (text != NULL && !read_address(text, family, addr))
		return flow_json_refuse(err, addr_key, "'%.60s' is not an IPv4 or IPv6 address", text);
	if (flow_json_number(from, port_key, 65535, ntohs(*port_be), &port, err) != 0)
		return -EINVAL;
	*port_be = htons((uint16_t)port);
	return 0;
}

static int read_tuple(struct json_object *from, struct fo_tuple *tuple, bool echo, struct fo_error *err)
{
	uint8_t src_family = tuple->family, dst_family = tuple->family;
	uint16_t no_port = 0;

	if (read_end(from, "src", echo ? "id" : "sport", &src_family, tuple->src, &tuple->sport_be, err) !=
		    0 ||
	    read_end(from, "dst", echo ? "" : "dport", &dst_family, tuple->dst,
		     echo ? &no_port : &tuple->dport_be, err) != 0)
		return -EINVAL;
	if (src_family == 0 || src_family != dst_family)
		return flow_json_refuse(err, "src", "give source and destination, both of one family");
	tuple->family = src_family;
	return 0;
}

static void mirror(const struct fo_tuple *from, struct fo_tuple *to, bool echo)
{
	*to = *from;
	memcpy(to->src, from->dst, 16);
	memcpy(to->dst, from->src, 16);
	if (echo)
		return;
	to->sport_be = from->dport_be;
	to->dport_be = from->sport_be;
}

int flow_json_tuples(struct json_object *from, struct fo_tuple tuple[2], struct fo_error *err)
{
	struct json_object *original, *reply;
	const struct proto *proto;
	bool echo;

	memset(tuple, 0, 2 * sizeof(tuple[0]));
	if (!json_object_object_get_ex(from, "original", &original) ||
	    !json_object_is_type(original, json_type_object))
		return flow_json_refuse(err, "original", "give the originator's tuple");
	proto = proto_named(flow_json_text(original, "proto"));
	if (proto == NULL)
		return flow_json_refuse(err, "proto", "give tcp, udp, icmp or icmpv6");
	echo = is_echo(proto);
	if (read_tuple(original, &tuple[0], echo, err) != 0)
		return -EINVAL;
	if (echo && proto->family != tuple[0].family)
		return flow_json_refuse(err, "proto", "%s goes with IPv%u", proto->name, proto->family);
	tuple[0].proto = proto->number;
	mirror(&tuple[0], &tuple[1], echo);
	if (json_object_object_get_ex(from, "reply", &reply) && read_tuple(reply, &tuple[1], echo, err) != 0)
		return -EINVAL;
	for (int dir = 0; echo && dir < 2; dir++)
		tuple[dir].dport_be = htons(proto->type[dir]);
	return 0;
}

/* ---- writing ---- */

void flow_json_put_tuple(struct json *doc, struct json_object *parent, const struct fo_tuple *tuple)
{
	int family = tuple->family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6;
	char addr[INET6_ADDRSTRLEN];

	json_text(doc, parent, "proto", out_proto(tuple->proto));
	json_text(doc, parent, "src", inet_ntop(family, tuple->src, addr, sizeof(addr)));
	json_text(doc, parent, "dst", inet_ntop(family, tuple->dst, addr, sizeof(addr)));
	if (tuple->proto == IPPROTO_ICMP || tuple->proto == IPPROTO_ICMPV6) {
		json_u64(doc, parent, "id", ntohs(tuple->sport_be));
		return;
	}
	json_u64(doc, parent, "sport", ntohs(tuple->sport_be));
	json_u64(doc, parent, "dport", ntohs(tuple->dport_be));
}

void flow_json_put_counters(struct json *doc, struct json_object *original, struct json_object *reply,
			    const struct fo_flow_counters *counters)
{
	struct json_object *node[2] = {original, reply};

	for (int dir = 0; dir < 2; dir++) {
		if ((counters->flags & FO_STATS_PACKETS) != 0)
			json_u64(doc, node[dir], "packets", counters->packets[dir]);
		if ((counters->flags & FO_STATS_BYTES) != 0)
			json_u64(doc, node[dir], "bytes", counters->bytes[dir]);
		if ((counters->flags & FO_STATS_LAST_SEEN) != 0)
			json_u64(doc, node[dir], "last_seen_ms", counters->last_seen_ms[dir]);
	}
}

void flow_json_put_flags(struct json *doc, struct json_object *parent, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{FO_STATS_FINAL, "final"},
		{FO_STATS_INCLUDES_SLOW, "includes-slow"},
		{FO_STATS_GRO_AGGREGATED, "gro-aggregated"},
		{FO_STATS_L2_MIXED, "l2-mixed"},
	};
	struct json_object *list = json_list(doc, parent, "counters");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((flags & names[i].flag) != 0)
			json_text(doc, list, NULL, names[i].name);
}

/* Text: not every reader of JSON keeps 64 bits of a number. */
void flow_json_put_id(struct json *doc, struct json_object *parent, fo_flow_id id)
{
	char text[20];

	snprintf(text, sizeof(text), "0x%" PRIx64, id);
	json_text(doc, parent, "id", text);
}

void flow_json_put_info(struct json *doc, struct json_object *parent, const struct fo_flow_info *info)
{
	struct json_object *original, *reply;

	flow_json_put_id(doc, parent, info->id);
	json_text(doc, parent, "state", fo_state_name(info->state));
	if (info->reason != FO_R_NONE)
		json_text(doc, parent, "reason", fo_reason_name(info->reason));
	original = json_node(doc, parent, "original");
	reply = json_node(doc, parent, "reply");
	flow_json_put_tuple(doc, original, &info->flow.tuple[FO_ORIGINAL]);
	flow_json_put_tuple(doc, reply, &info->flow.tuple[FO_REPLY]);
	flow_json_put_counters(doc, original, reply, &info->counters);
	flow_json_put_flags(doc, parent, info->counters.flags);
	if (info->flow.timeout_ms != FO_TIMEOUT_NEVER)
		json_u64(doc, parent, "timeout_ms", info->flow.timeout_ms);
	json_u64(doc, parent, "mark", info->flow.ct_mark);
	json_u64(doc, parent, "tag", info->flow.tag);
	json_u64(doc, parent, "zone", info->flow.scope);
	json_u64(doc, parent, "since_ms", info->since_ms);
}

void flow_json_put_error(struct json *doc, struct json_object *parent, const struct fo_error *err)
{
	json_text(doc, parent, "reason", fo_reason_name(err->reason));
	json_text(doc, parent, "stage", fo_stage_name(err->stage));
	json_text(doc, parent, "field", err->field);
	json_text(doc, parent, "text", err->text[0] != '\0' ? err->text : fo_reason_text(err->reason));
	json_u64(doc, parent, "errno", (uint64_t) - (int64_t)err->code);
	if (err->backend_errno != 0)
		json_text(doc, parent, "backend", strerror(err->backend_errno));
}
