/* SPDX-License-Identifier: BSD-2-Clause */
/* validate.c - table options, ports, keys and matches, before any table is asked.
 *
 * Neighbours: validate.h; validate_adj.c and validate_flow.c have the rest.
 */
#include "core/validate.h"

#include <errno.h>
#include <stdio.h>

#include "core/error.h"
#include "core/size.h"
#include "core/tuple.h"

#define STALL_DEFAULT_MS 1000u
#define TABLE_FLAGS                                                                                          \
	(FO_TABLE_ALLOW_SYSCTL | FO_TABLE_PERSIST | FO_TABLE_ACCEPT_LINGER | FO_TABLE_ALLOW_FOREIGN |        \
	 FO_TABLE_KILL_CONNTRACK)
#define MATCH_ALL                                                                                            \
	(FO_MATCH_TAG | FO_MATCH_PORT | FO_MATCH_L3_DEV | FO_MATCH_MAC | FO_MATCH_PREFIX | FO_MATCH_SCOPE |  \
	 FO_MATCH_PROTO | FO_MATCH_STATE | FO_MATCH_ADJ)

static int refuse(struct fo_error *err, enum fo_reason reason, const char *field, const char *text)
{
	return fo__fail(err, -EINVAL, reason, FO_STAGE_VALIDATE, field, "%s %s", field, text);
}

/* ---- Ports and table options ---- */

int fo__check_port(const struct fo_port *in, struct fo_port *out, struct fo_error *err)
{
	struct fo_port port;
	int rc = fo__take(&port, sizeof(port), FO__PORT_MIN, in, "port", err);

	if (rc)
		return rc;
	if (!port.port || port.port == FO_PORT_ANY)
		return refuse(err, FO_R_ARGUMENT, "port",
			      "is 0 or FO_PORT_ANY, which are no ports: give the device's number");
	if (port.state > FO_PORT_GONE)
		return refuse(err, FO_R_ARGUMENT, "state",
			      "is no enum fo_port_state: use FO_PORT_UP, FO_PORT_DOWN or FO_PORT_GONE");
	*out = port;
	return 0;
}

/* The caller's array, whose stride is the caller's: addresses need not be aligned. */
static const void *port_at(const struct fo_table_options *opts, size_t i)
{
	return (const unsigned char *)opts->ports + i * opts->port_stride;
}

void fo__options_port(const struct fo_table_options *opts, size_t i, struct fo_port *out)
{
	size_t size;

	memcpy(&size, port_at(opts, i), sizeof(size));
	memset(out, 0, sizeof(*out));
	memcpy(out, port_at(opts, i), size < sizeof(*out) ? size : sizeof(*out));
	out->size = sizeof(*out);
}

static uint32_t port_number(const struct fo_table_options *opts, size_t i)
{
	uint32_t port;

	memcpy(&port, (const unsigned char *)port_at(opts, i) + offsetof(struct fo_port, port), sizeof(port));
	return port;
}

/* A member's error becomes that of the array: "port" of the fourth reads "ports[3].port". */
static int refuse_port(struct fo_error *err, size_t i, int code, const struct fo_error *why)
{
	char field[sizeof(why->field)];

	(void)snprintf(field, sizeof(field), "ports[%u].%.16s", (unsigned int)i, why->field);
	return fo__fail(err, code, (enum fo_reason)why->reason, FO_STAGE_VALIDATE, field, "ports[%u]: %.170s",
			(unsigned int)i, why->text);
}

static int check_port_at(const struct fo_table_options *opts, size_t i, struct fo_error *err)
{
	struct fo_error why = {0};
	struct fo_port port;
	size_t size;
	size_t j;
	int rc;

	memcpy(&size, port_at(opts, i), sizeof(size));
	if (size > opts->port_stride)
		return fo__fail(err, -EINVAL, FO_R_SIZE, FO_STAGE_VALIDATE, "port_stride",
				"port_stride is %zu, less than the size %zu of ports[%zu]: use the size of "
				"the array's elements",
				opts->port_stride, size, i);
	rc = fo__check_port(port_at(opts, i), &port, &why);
	if (rc)
		return refuse_port(err, i, rc, &why);
	for (j = 0; j < i; j++)
		if (port_number(opts, j) == port.port)
			return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, "ports",
					"ports[%zu] and ports[%zu] are both port %u: list each once", j, i,
					(unsigned int)port.port);
	return 0;
}

static int check_ports(const struct fo_table_options *opts, struct fo_error *err)
{
	size_t i;
	int rc;

	if (!opts->ports)
		return refuse(err, FO_R_ARGUMENT, "ports", "is NULL: list the devices that packets use");
	if (!opts->n_ports || opts->n_ports > FO__PORTS_MAX)
		return refuse(err, FO_R_ARGUMENT, "n_ports", "must be 1..4096");
	if (opts->port_stride < FO__PORT_MIN || opts->port_stride > FO__SIZE_MAX)
		return refuse(err, FO_R_SIZE, "port_stride",
			      "is no size of a struct fo_port: use sizeof(struct fo_port), or 0 for that");
	for (i = 0; i < opts->n_ports; i++) {
		rc = check_port_at(opts, i, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_numbers(const struct fo_table_options *opts, struct fo_error *err)
{
	if (!opts->capacity || opts->capacity > FO__CAPACITY_MAX)
		return refuse(err, FO_R_ARGUMENT, "capacity", "must be 1..2^30 connections");
	if (opts->max_workers > FO__WORKERS_MAX)
		return refuse(err, FO_R_ARGUMENT, "max_workers", "must be 0..250");
	if (opts->needs & ~FO__CAP_ALL)
		return refuse(err, FO_R_ARGUMENT, "needs",
			      "has bits that are no FO_CAP_ of this library: clear them or link a newer one");
	if (opts->hash > FO_HASH_SIPHASH)
		return refuse(err, FO_R_ARGUMENT, "hash",
			      "is no enum fo_hash: use FO_HASH_DEFAULT, FO_HASH_FAST or FO_HASH_SIPHASH");
	if (opts->flags & ~TABLE_FLAGS)
		return refuse(err, FO_R_ARGUMENT, "flags", "has bits that are no FO_TABLE_ flag: clear them");
	if (opts->netns_fd < -1)
		return refuse(err, FO_R_ARGUMENT, "netns_fd",
			      "is no descriptor: use an open network namespace, or -1 for the caller's");
	if (opts->reserved)
		return refuse(err, FO_R_ARGUMENT, "reserved", "must be zero");
	if (opts->allocator && (!opts->allocator->alloc || !opts->allocator->free))
		return refuse(err, FO_R_ARGUMENT, "allocator",
			      "lacks alloc or free: set both, or leave allocator NULL for the system's");
	return 0;
}

static void default_u32(uint32_t *value, uint32_t otherwise)
{
	if (!*value)
		*value = otherwise;
}

int fo__check_timeout(uint32_t timeout_ms, const char *field, struct fo_error *err)
{
	if (timeout_ms <= FO_TIMEOUT_MAX_MS || timeout_ms == FO_TIMEOUT_NEVER)
		return 0;
	return fo__fail(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_VALIDATE, field,
			"%s is longer than 12 days: use FO_TIMEOUT_NEVER or at most FO_TIMEOUT_MAX_MS",
			field);
}

static int check_timeouts(const struct fo_table_options *opts, struct fo_error *err)
{
	int rc = fo__check_timeout(opts->timeout_tcp_ms, "timeout_tcp_ms", err);

	if (!rc)
		rc = fo__check_timeout(opts->timeout_udp_ms, "timeout_udp_ms", err);
	if (!rc)
		rc = fo__check_timeout(opts->timeout_icmp_ms, "timeout_icmp_ms", err);
	return rc;
}

int fo__check_options(const struct fo_table_options *in, struct fo_table_options *out, struct fo_error *err)
{
	struct fo_table_options opts;
	int rc = fo__take(&opts, sizeof(opts), FO__OPTIONS_MIN, in, "opts", err);

	if (rc)
		return rc;
	if (!opts.port_stride)
		opts.port_stride = sizeof(struct fo_port);
	rc = check_numbers(&opts, err);
	if (!rc)
		rc = check_timeouts(&opts, err);
	if (!rc)
		rc = check_ports(&opts, err);
	if (rc)
		return rc;
	default_u32(&opts.timeout_tcp_ms, FO_TIMEOUT_DEFAULT_MS);
	default_u32(&opts.timeout_udp_ms, FO_TIMEOUT_DEFAULT_MS);
	default_u32(&opts.timeout_icmp_ms, FO_TIMEOUT_DEFAULT_MS);
	default_u32(&opts.stall_ms, STALL_DEFAULT_MS);
	default_u32(&opts.hash, FO_HASH_FAST);
	if (!opts.netns_fd)
		opts.netns_fd = -1;
	*out = opts;
	return 0;
}

/* ---- Keys ---- */

/* A tunnel is reserved for adjacencies; in a key it is simply no encapsulation that a packet here
 * can show. */
static int check_key_encaps(const struct fo_key *key, struct fo_error *err)
{
	struct fo_error why = {0};
	int rc = fo__check_encaps(key->encap, key->n_encaps, &why);

	if (!rc)
		return 0;
	return fo__fail(err, -EINVAL, (enum fo_reason)why.reason, FO_STAGE_VALIDATE, why.field, "%s",
			why.text);
}

int fo__check_key(const struct fo_key *in, struct fo_key *out, struct fo_error *err)
{
	struct fo_key key;
	int rc = fo__take(&key, sizeof(key), FO__KEY_MIN, in, "key", err);

	if (rc)
		return rc;
	rc = fo__check_tuple_form(&key.tuple, "tuple", err);
	if (rc)
		return rc;
	if (!key.port)
		return refuse(err, FO_R_ARGUMENT, "port",
			      "is 0: give the ingress port, or FO_PORT_ANY to leave it open");
	rc = check_key_encaps(&key, err);
	if (rc)
		return rc;
	if (key.reserved[0] || key.reserved[1] || key.reserved[2])
		return refuse(err, FO_R_ARGUMENT, "reserved", "must be zero");
	*out = key;
	return 0;
}

/* ---- Matches ---- */

static void clear_host_bits(struct fo_match *match)
{
	unsigned int bits = match->prefix_len;
	unsigned int i;

	for (i = 0; i < sizeof(match->prefix); i++) {
		if (bits < 8)
			match->prefix[i] &= (uint8_t)(0xff00u >> bits);
		bits = bits < 8 ? 0 : bits - 8;
	}
}

static int check_prefix(struct fo_match *match, struct fo_error *err)
{
	if (match->family != FO_FAMILY_IPV4 && match->family != FO_FAMILY_IPV6)
		return refuse(err, FO_R_ARGUMENT, "family",
			      "is no family of the prefix: use FO_FAMILY_IPV4 or FO_FAMILY_IPV6");
	if (match->prefix_len > (match->family == FO_FAMILY_IPV4 ? 32 : 128))
		return refuse(err, FO_R_ARGUMENT, "prefix_len",
			      "is longer than the address: use 0..32 for IPv4 and 0..128 for IPv6");
	clear_host_bits(match);
	return 0;
}

/* A member that no flow can have is a member forgotten: better said than a match that finds
 * nothing. */
static int check_match_members(struct fo_match *match, struct fo_error *err)
{
	static const uint8_t zero[6];

	if ((match->mask & FO_MATCH_PORT) && (!match->port || match->port == FO_PORT_ANY))
		return refuse(err, FO_R_ARGUMENT, "port", "is no port: set it, or clear FO_MATCH_PORT");
	if ((match->mask & FO_MATCH_L3_DEV) && !match->l3_dev)
		return refuse(err, FO_R_ARGUMENT, "l3_dev",
			      "is 0, which is no device: set it, or clear FO_MATCH_L3_DEV");
	if ((match->mask & FO_MATCH_MAC) && !memcmp(match->mac, zero, sizeof(zero)))
		return refuse(err, FO_R_ARGUMENT, "mac",
			      "is zero, which is no neighbour: set it, or clear FO_MATCH_MAC");
	if ((match->mask & FO_MATCH_STATE) &&
	    (match->state < FO_STATE_ARMED || match->state > FO_STATE_CLOSING))
		return refuse(err, FO_R_ARGUMENT, "state",
			      "is no state of a flow: use FO_STATE_ARMED .. FO_STATE_CLOSING");
	if ((match->mask & FO_MATCH_ADJ) && !match->adj)
		return refuse(err, FO_R_ADJACENCY, "adj",
			      "is 0, which is no adjacency: set it, or clear FO_MATCH_ADJ");
	return match->mask & FO_MATCH_PREFIX ? check_prefix(match, err) : 0;
}

int fo__check_match(const struct fo_match *in, struct fo_match *out, bool walk, struct fo_error *err)
{
	struct fo_match match;
	int rc;

	if (!in) {
		FO_INIT(out);
		return 0;
	}
	rc = fo__take(&match, sizeof(match), FO__MATCH_MIN, in, "match", err);
	if (rc)
		return rc;
	if (match.mask & ~MATCH_ALL)
		return refuse(err, FO_R_ARGUMENT, "mask", "has bits that are no FO_MATCH_ flag: clear them");
	if ((match.mask & FO_MATCH_STATE) && !walk)
		return refuse(err, FO_R_ARGUMENT, "mask",
			      "has FO_MATCH_STATE, which only fo_flow_walk() takes: clear it");
	if (match.reserved)
		return refuse(err, FO_R_ARGUMENT, "reserved", "must be zero");
	rc = check_match_members(&match, err);
	if (rc)
		return rc;
	*out = match;
	return 0;
}
