/* SPDX-License-Identifier: BSD-2-Clause */
/* backend.c - nf_flowtable as the library sees it: struct fo_backend, function by function. See state.h for how it works. */
#include "backends/nft/nft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "backends/nft/state.h"

#define CAN                                                                                                  \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT | \
	 FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_PPPOE | FO_CAP_SCOPE | FO_CAP_INGRESS |        \
	 FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_CRASH_GONE |    \
	 FO_CAP_DELETE_KEEPS_CT | FO_CAP_EGRESS_QDISC | FO_CAP_INGRESS_TC | FO_CAP_NETNS |                   \
	 FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_ASYNC_ADD | FO_CAP_POLICY)

/* In hardware nothing of the host sees the packets, a flow leaves with its conntrack entry only, and what a driver holds
 * outlives a crash. Of tags of 802.1ad the kernel tells drivers nothing: its rules have holes in their place. */
#define NAT (FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66)
#define NOT_IN_HARDWARE                                                                                      \
	(FO_CAP_DELETE_KEEPS_CT | FO_CAP_CRASH_GONE | FO_CAP_EGRESS_QDISC | FO_CAP_INGRESS_TC |              \
	 FO_CAP_ADJ_UPDATE | FO_CAP_VLAN_AD)

/* The kernel's encapsulations of one side: NF_FLOW_TABLE_ENCAP_MAX. */
#define MAX_ENCAPS 2u

/* Up to 6.12 FIN and RST are handed to the slow path; 7.3 was seen not to. */
static int hands_up_the_end(void)
{
	struct utsname name;
	unsigned int major, minor;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	return major < 6 || (major == 6 && minor <= 12);
}

static int is_hardware(const struct fo_table_options *options)
{
	return options && (options->needs & FO_CAP_HARDWARE);
}

static void fill_caps(struct fo_caps *caps, const struct fo_table_options *options, uint32_t report_ms,
		      const char *changed)
{
	int hardware = is_hardware(options), kill = hardware && (options->flags & FO_TABLE_KILL_CONNTRACK);
	const char *where;

	caps->can = CAN;
	if (hardware)
		caps->can = (CAN & ~NOT_IN_HARDWARE) | FO_CAP_HARDWARE | FO_CAP_CRASH_LINGERS;
	if (hardware && !kill)
		caps->can &= ~(uint64_t)NAT;
	caps->max_flows = 0;
	caps->max_encaps = MAX_ENCAPS;
	caps->delete_bound_ms = hardware ? FO__NFT_HARDWARE_BOUND_MS : FO__NFT_DELETE_BOUND_MS;
	caps->age_granularity_ms = FO__NFT_AGE_MS + (hardware ? report_ms : 0);
	caps->max_workers = 0;
	caps->stats_flags = FO_STATS_INCLUDES_SLOW | FO_STATS_GRO_AGGREGATED;
	if (hardware)
		caps->stats_flags |= FO_STATS_L2_MIXED;
	where = !hardware ? "software; NAT and next hop are the kernel's"
		: kill	  ? "hardware; a delete kills the conntrack entry, and NAT with it"
			  : "hardware; a delete kills the conntrack entry; no NAT";
	(void)snprintf(caps->text, sizeof(caps->text), "nf_flowtable in %s%s%.*s", where,
		       changed[0] ? "; sysctls changed: " : "",
		       (int)(sizeof(caps->text) - 36 - strlen(where)), changed);
}

static int nft_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	struct fo__nft *nft = calloc(1, sizeof(*nft));
	char changed[128];
	int rc;

	fill_caps(caps, options, 0, "");
	if (!nft)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory to probe with");
	rc = is_hardware(options) ? fo__nft_hardware_check(options, err) : 0;
	if (!rc)
		rc = fo__nft_open(nft, options, 1, changed, sizeof(changed), err);
	if (!rc) {
		fill_caps(caps, options, nft->report_ms, changed);
		if (!hands_up_the_end())
			caps->can &= ~(FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST);
		fo__nft_close(nft);
	} else {
		caps->text[0] = '\0';
	}
	free(nft);
	return rc;
}

/* What no kernel has need not be looked for in this one. */
static int check_needs(const struct fo_table_options *options, const struct fo_caps *caps,
		       struct fo_error *err)
{
	uint64_t missing = options->needs & ~caps->can;

	if (!missing)
		return 0;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_NEEDS, FO_STAGE_RESOLVE, 0, "needs",
			     "backend nft lacks %s: need less, or take another backend",
			     fo_cap_name((unsigned int)__builtin_ctzll(missing)));
}

static int nft_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		      struct fo_error *err)
{
	struct fo__nft *nft;
	char changed[128];
	int rc;

	fill_caps(caps, config->options, 0, "");
	rc = check_needs(config->options, caps, err);
	if (!rc && is_hardware(config->options))
		rc = fo__nft_hardware_check(config->options, err);
	if (rc)
		return rc;
	nft = config->ops->alloc(config->host, sizeof(*nft), 64);
	if (!nft)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory for the nft backend");
	memset(nft, 0, sizeof(*nft));
	nft->host = config->host;
	nft->ops = config->ops;
	rc = fo__nft_records_open(nft, config->slots);
	if (rc)
		fo__nl_refuse(err, rc, FO_R_MEMORY, FO_STAGE_RESOLVE, -rc, "capacity",
			      "no memory for %u flows; lower capacity", config->slots);
	else
		rc = fo__nft_open(nft, config->options, 0, changed, sizeof(changed), err);
	if (rc) {
		fo__nft_records_close(nft);
		config->ops->free(config->host, nft, sizeof(*nft));
		return rc;
	}
	fill_caps(caps, config->options, nft->report_ms, changed);
	if (!hands_up_the_end())
		caps->can &= ~(FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST);
	*priv = nft;
	return 0;
}

static void nft_destroy(void *priv)
{
	struct fo__nft *nft = priv;

	if (nft->hardware)
		fo__nft_drain(nft);
	fo__nft_close(nft);
	fo__nft_policies_free(nft);
	fo__nft_records_close(nft);
	nft->ops->free(nft->host, nft, sizeof(*nft));
}

/* ---- Flows ---- */

static void nft_flow_add_many(void *priv, const struct fo_backend_flow *flows, size_t n, unsigned int *states,
			      int *results, struct fo_error *errs)
{
	(void)states;
	fo__nft_flows_add(priv, flows, n, results, errs);
}

static int nft_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			struct fo_error *err)
{
	int result = -EIO;

	*state = FO_STATE_ARMED;
	fo__nft_flows_add(priv, flow, 1, &result, err);
	return result;
}

static int nft_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct fo__nft *nft = priv;

	(void)err;
	if (!fo__nft_record_find(nft, cookie, slot))
		return 0;
	return fo__nft_flow_del(nft, slot);
}

/* Timeout, tag, mark and user are the library's own; where packets go is the kernel's, which is made to look again. */
static int nft_flow_update(void *priv, const struct fo_backend_flow *flow, uint32_t mask,
			   struct fo_error *err)
{
	struct fo__nft *nft = priv;

	if (mask & FO_UPDATE_TIMEOUT) {
		int rc = fo__nft_check_timeout(nft, flow, err);

		if (rc)
			return rc;
	}
	if ((mask & FO_UPDATE_ADJ) && fo__nft_record_find(nft, flow->cookie, flow->slot))
		nft->stale = 1;
	return 0;
}

static int nft_flow_stats(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct fo__nft *nft = priv;
	struct fo__nft_record *record = fo__nft_record_find(nft, cookie, slot);
	struct fo__ct_entry entry;
	int rc;

	if (!record)
		return 0;
	rc = fo__nft_ask(nft, &record->tuple, record->zone, &entry);
	if (rc && rc != -ENOENT)
		return fo__nl_refused(err, rc, FO_STAGE_VERIFY, NULL, "conntrack could not be asked");
	if (!rc && fo__ct_same_tuple(&entry.tuple[0], &record->tuple))
		fo__nft_take_entry(nft, slot, &entry);
	return 0;
}

static void nft_flow_explain(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size)
{
	struct fo__nft *nft = priv;

	if (fo__nft_record_find(nft, cookie, slot))
		fo__nft_explain(nft, slot, text, size);
}

static void nft_key_explain(void *priv, const struct fo_key *key, char *text, size_t size)
{
	fo__nft_explain_key(priv, key, text, size);
}

/* ---- Policies ---- */

static int nft_policy_add(void *priv, const struct fo_backend_policy *policy, struct fo_error *err)
{
	return fo__nft_policy_add(priv, policy, err);
}

static int nft_policy_del(void *priv, fo_policy_id id, struct fo_error *err)
{
	(void)err;
	return fo__nft_policy_del(priv, id);
}

static int nft_flow_forbid(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	return fo__nft_record_find(priv, cookie, slot) ? fo__nft_forbid(priv, slot, err) : 0;
}

/* ---- Adjacencies and ports ---- */

static int nft_adj_check(void *priv, const struct fo_adj *adj, struct fo_error *err)
{
	return fo__nft_adj_check(priv, adj, err);
}

static int nft_adj_update(void *priv, fo_adj_id id, const struct fo_adj *old_adj,
			  const struct fo_adj *new_adj, struct fo_error *err)
{
	struct fo__nft *nft = priv;

	(void)id;
	(void)old_adj;
	(void)new_adj;
	(void)err;
	nft->stale = 1;
	return 0;
}

static void know_port(struct fo__nft *nft, uint32_t port)
{
	uint32_t room = nft->port_room ? nft->port_room * 2 : 8, *ports;

	for (uint32_t i = 0; i < nft->n_ports; i++)
		if (nft->ports[i] == port)
			return;
	if (nft->n_ports == nft->port_room) {
		ports = fo__nft_alloc(nft, room * sizeof(*ports));
		if (!ports)
			return;
		if (nft->n_ports)
			memcpy(ports, nft->ports, nft->n_ports * sizeof(*ports));
		fo__nft_free(nft, nft->ports, nft->port_room * sizeof(*ports));
		nft->ports = ports;
		nft->port_room = room;
	}
	nft->ports[nft->n_ports++] = port;
	nft->stale = 1;
}

static void forget_port(struct fo__nft *nft, uint32_t port)
{
	for (uint32_t i = 0; i < nft->n_ports; i++)
		if (nft->ports[i] == port) {
			nft->ports[i--] = nft->ports[--nft->n_ports];
			nft->stale = 1;
		}
}

/* The kernel lets go of a device that goes down or away by itself; one that comes is taken up by a refresh. Without the
 * memory for it its flows stay armed, and explain says why. */
static void nft_port_set(void *priv, const struct fo_port *port)
{
	struct fo__nft *nft = priv;

	if (port->state == FO_PORT_GONE)
		forget_port(nft, port->port);
	else if (port->state == FO_PORT_UP)
		know_port(nft, port->port);
}

/* ---- Time ---- */

static void nft_poll(void *priv, unsigned int max_us)
{
	struct fo__nft *nft = priv;
	uint64_t began_us = fo__nft_us();

	if (nft->lost)
		fo__nft_flows_lost(nft);
	/* Flows that end have half of the time. */
	fo__nft_watch(nft, began_us + (fo__nft_ending(nft) ? max_us / 2 : max_us));
	fo__nft_flows_flush(nft, began_us + max_us);
	if (nft->hardware && !nft->lost)
		fo__nft_prove(nft);
}

static int nft_fd(void *priv)
{
	return ((struct fo__nft *)priv)->events.fd;
}

static uint64_t nft_deadline(void *priv)
{
	struct fo__nft *nft = priv;

	if (nft->queue_head != FO__NFT_NO_SLOT || nft->left_head != FO__NFT_NO_SLOT || nft->dumping ||
	    nft->checking)
		return fo__nft_now(nft);
	if (nft->hardware && nft->wait_head != FO__NFT_NO_SLOT)
		return fo__nft_now(nft) + fo__nft_let_go_in(nft);
	if (nft->lost || nft->stale || nft->wait_head != FO__NFT_NO_SLOT)
		return nft->next_refresh_ms;
	return nft->n_used || nft->n_policies || nft->n_past ? nft->next_dump_ms : UINT64_MAX;
}

static int nft_sync(void *priv)
{
	const struct fo__nft *nft = priv;

	return fo__nft_ending(nft) || nft->stale ? -EAGAIN : 0;
}

const struct fo_backend fo__backend_nft = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = FO_RANK_NFT,
	.hardware_rank = FO_RANK_NFT_HARDWARE,
	.name = "nft",
	.probe = nft_probe,
	.create = nft_create,
	.destroy = nft_destroy,
	.flow_add = nft_flow_add,
	.flow_del = nft_flow_del,
	.flow_update = nft_flow_update,
	.flow_stats = nft_flow_stats,
	.flow_explain = nft_flow_explain,
	.adj_check = nft_adj_check,
	.adj_update = nft_adj_update,
	.port_set = nft_port_set,
	.poll = nft_poll,
	.fd = nft_fd,
	.deadline = nft_deadline,
	.sync = nft_sync,
	.flow_add_many = nft_flow_add_many,
	.key_explain = nft_key_explain,
	.policy_add = nft_policy_add,
	.policy_del = nft_policy_del,
	.flow_forbid = nft_flow_forbid,
};
