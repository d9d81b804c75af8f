/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_policies.c - policies of `fo-demo serve`: offload whatever is established and matches. Neighbours: serve.h,
 * flow_json.h; serve_requests.c finds it, ask_options.c is the other end.
 *
 * A policy is {"in": side, "out": side, "family": "ipv4", "proto": "tcp", "src": "192.168.1.0/24", "dst": "0.0.0.0/0",
 * "sport": "1024-65535", "dport": "443", "timeout_ms": 30000, "tag": 7, "zone": 0}; what is left out is any.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow_json.h"
#include "serve.h"

/* ---- reading ---- */

/* "192.168.1.0/24", "2001:db8::1": no length is the whole address. */
static int read_prefix(struct json_object *from, const char *key, uint8_t *family, uint8_t addr[16],
		       uint8_t *length, struct fo_error *err)
{
	const char *text = flow_json_text(from, key), *slash;
	char host[INET6_ADDRSTRLEN + 1];
	uint8_t read[16] = {0}, read_family = 0;
	unsigned long bits, most;
	char *end = NULL;

	if (text == NULL)
		return 0;
	slash = strchr(text, '/');
	if ((size_t)snprintf(host, sizeof(host), "%.*s", slash != NULL ? (int)(slash - text) : 64, text) <
	    sizeof(host))
		read_family = inet_pton(AF_INET, host, read) == 1    ? FO_FAMILY_IPV4
			      : inet_pton(AF_INET6, host, read) == 1 ? FO_FAMILY_IPV6
								     : 0;
	most = read_family == FO_FAMILY_IPV4 ? 32 : 128;
	bits = slash == NULL ? most : isdigit((unsigned char)slash[1]) ? strtoul(slash + 1, &end, 10) : 999;
	if (read_family == 0 || bits > most || (end != NULL && *end != '\0'))
		return flow_json_refuse(err, key, "'%.60s' is no prefix; write it as 192.168.1.0/24", text);
	if (*family != 0 && *family != read_family)
		return flow_json_refuse(err, key, "'%.60s' is not of the family that was named before", text);
	*family = read_family;
	*length = (uint8_t)bits;
	memcpy(addr, read, 16);
	return 0;
}

/* "443", "7000-7009". */
static int read_ports(struct json_object *from, const char *key, uint16_t *first, uint16_t *last,
		      struct fo_error *err)
{
	const char *text = flow_json_text(from, key);
	unsigned long from_port, to_port;
	char *end;

	if (text == NULL)
		return 0;
	from_port = to_port = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;
	if (from_port != 0 && *end == '-')
		to_port = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : 0;
	if (from_port == 0 || *end != '\0' || to_port > 65535 || to_port < from_port)
		return flow_json_refuse(err, key, "'%.40s' are no ports; write 443, or 7000-7009", text);
	*first = (uint16_t)from_port;
	*last = (uint16_t)to_port;
	return 0;
}

/* A word that stands for a number; missing is any, 0. */
static int read_word(struct json_object *from, const char *key, const char *const words[2],
		     const uint8_t values[2], uint8_t *out, struct fo_error *err)
{
	const char *text = flow_json_text(from, key);

	if (text == NULL)
		return 0;
	for (unsigned int i = 0; i < 2; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = values[i];
			return 0;
		}
	return flow_json_refuse(err, key, "'%.40s' is neither %s nor %s", text, words[0], words[1]);
}

static int read_policy(struct json_object *request, struct fo_policy *policy, struct fo_error *err)
{
	static const char *const families[2] = {"ipv4", "ipv6"}, *const protos[2] = {"tcp", "udp"};
	static const uint8_t family[2] = {FO_FAMILY_IPV4, FO_FAMILY_IPV6},
			     proto[2] = {IPPROTO_TCP, IPPROTO_UDP};
	uint64_t timeout, tag, zone;

	FO_INIT(policy);
	if (read_word(request, "family", families, family, &policy->family, err) != 0 ||
	    read_word(request, "proto", protos, proto, &policy->proto, err) != 0 ||
	    read_prefix(request, "src", &policy->family, policy->src, &policy->src_len, err) != 0 ||
	    read_prefix(request, "dst", &policy->family, policy->dst, &policy->dst_len, err) != 0 ||
	    read_ports(request, "sport", &policy->sport_first, &policy->sport_last, err) != 0 ||
	    read_ports(request, "dport", &policy->dport_first, &policy->dport_last, err) != 0 ||
	    flow_json_number(request, "timeout_ms", UINT32_MAX, 0, &timeout, err) != 0 ||
	    flow_json_number(request, "tag", UINT32_MAX, 0, &tag, err) != 0 ||
	    flow_json_number(request, "zone", 65535, 0, &zone, err) != 0)
		return -EINVAL;
	policy->timeout_ms = (uint32_t)timeout;
	policy->tag = (uint32_t)tag;
	policy->scope = (uint16_t)zone;
	return 0;
}

/* ---- writing ---- */

static void put_device(struct json *doc, struct json_object *node, const char *key, uint32_t index)
{
	char name[IF_NAMESIZE], digits[12];

	snprintf(digits, sizeof(digits), "%" PRIu32, index);
	json_text(doc, node, key, if_indextoname(index, name) != NULL ? name : digits);
}

static void put_side(struct serve *serve, struct json *doc, struct json_object *node, const char *key,
		     fo_adj_id id)
{
	struct json_object *side = json_node(doc, node, key);
	struct fo_adj adj;

	FO_INIT(&adj);
	if (fo_adj_get(serve->table, id, &adj, NULL) != 0)
		return;
	put_device(doc, side, "dev", adj.port);
	if (adj.l3_dev != 0 && adj.l3_dev != adj.port)
		put_device(doc, side, "l3dev", adj.l3_dev);
}

static void put_prefix(struct json *doc, struct json_object *node, const char *key, uint8_t family,
		       const uint8_t addr[16], unsigned int length)
{
	char text[INET6_ADDRSTRLEN], prefix[INET6_ADDRSTRLEN + 4];

	if (length == 0)
		return;
	inet_ntop(family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	snprintf(prefix, sizeof(prefix), "%s/%u", text, length);
	json_text(doc, node, key, prefix);
}

static void put_ports(struct json *doc, struct json_object *node, const char *key, unsigned int first,
		      unsigned int last)
{
	char text[16];

	if (first == 0 && last == 0)
		return;
	snprintf(text, sizeof(text), first == last ? "%u" : "%u-%u", first, last);
	json_text(doc, node, key, text);
}

static int answer_policy(struct serve *serve, struct serve_client *client, fo_policy_id id,
			 struct fo_error *err)
{
	struct json_object *node;
	struct fo_policy policy;
	struct json doc;
	int status;

	FO_INIT(&policy);
	status = fo_policy_get(serve->table, id, &policy, err);
	if (status != 0)
		return status;
	json_begin(&doc);
	node = json_node(&doc, doc.root, "policy");
	flow_json_put_id(&doc, node, id);
	put_side(serve, &doc, node, "in", policy.adj[FO_ORIGINAL]);
	put_side(serve, &doc, node, "out", policy.adj[FO_REPLY]);
	if (policy.family != 0)
		json_text(&doc, node, "family", policy.family == FO_FAMILY_IPV4 ? "ipv4" : "ipv6");
	if (policy.proto != 0)
		json_text(&doc, node, "proto", out_proto(policy.proto));
	put_prefix(&doc, node, "src", policy.family, policy.src, policy.src_len);
	put_prefix(&doc, node, "dst", policy.family, policy.dst, policy.dst_len);
	put_ports(&doc, node, "sport", policy.sport_first, policy.sport_last);
	put_ports(&doc, node, "dport", policy.dport_first, policy.dport_last);
	if (policy.timeout_ms != FO_TIMEOUT_TABLE)
		json_u64(&doc, node, "timeout_ms", policy.timeout_ms);
	json_u64(&doc, node, "tag", policy.tag);
	json_u64(&doc, node, "zone", policy.scope);
	serve_answer(client, &doc);
	return 0;
}

/* ---- requests ---- */

static int add(struct serve *serve, struct serve_client *client, struct json_object *request,
	       struct fo_error *err)
{
	struct fo_policy policy;
	fo_policy_id id;
	int status = read_policy(request, &policy, err);

	if (status == 0)
		status = serve_side(serve, request, "in", &policy.adj[FO_ORIGINAL], err);
	if (status == 0)
		status = serve_side(serve, request, "out", &policy.adj[FO_REPLY], err);
	if (status == 0)
		status = fo_policy_add(serve->table, &policy, &id, err);
	return status == 0 ? answer_policy(serve, client, id, err) : status;
}

static int del(struct serve *serve, struct json_object *request, struct fo_error *err)
{
	const char *text = flow_json_text(request, "id");
	fo_policy_id id;
	char *end;

	errno = 0;
	id = text != NULL ? strtoull(text, &end, 16) : 0;
	if (text == NULL || *end != '\0' || errno != 0 || id == 0)
		return flow_json_refuse(err, "id", "give a policy's id; 'fo-demo policy list' shows them");
	return fo_policy_del(serve->table, id, err);
}

static int list(struct serve *serve, struct serve_client *client, struct fo_error *err)
{
	fo_policy_id id;
	int status = 0;

	for (unsigned int i = 0; status == 0 && (id = fo_policy_at(serve->table, i)) != 0; i++)
		status = answer_policy(serve, client, id, err);
	return status;
}

int serve_policy(struct serve *serve, struct serve_client *client, struct json_object *request,
		 struct fo_error *err)
{
	const char *what = flow_json_text(request, "what");

	if (what != NULL && strcmp(what, "add") == 0)
		return add(serve, client, request, err);
	if (what != NULL && strcmp(what, "del") == 0)
		return del(serve, request, err);
	if (what != NULL && strcmp(what, "list") == 0)
		return list(serve, client, err);
	return flow_json_refuse(err, "what", "say what to do with policies: add, del or list");
}
