/* SPDX-License-Identifier: BSD-2-Clause */
/* soft.c - the software backend: flows live in the library's own store, and workers (src/fastpath) forward by it.
 *
 * The store is shared with core, so that installing a flow is nothing beyond what core does with every flow; what is
 * left for this file is to say what the fast path can do and to refuse what it cannot. */
#include "backends/soft/soft.h"

#include <stdio.h>
#include <string.h>

#define CAN                                                                                                  \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_QINQ |         \
	 FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_SCOPE | FO_CAP_INGRESS | FO_CAP_ANY_INGRESS |                   \
	 FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_WORKER | FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN |        \
	 FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC | FO_CAP_CRASH_GONE | FO_CAP_DELETE_KEEPS_CT |                    \
	 FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST | FO_CAP_PER_FLOW_TIMEOUT | FO_CAP_CALLER_NEIGH)

#define AGE_GRANULARITY_MS 1000u
#define MAX_WORKERS	   250u

static int soft_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	(void)options;
	(void)err;
	caps->can = CAN;
	caps->max_encaps = FO_MAX_ENCAPS;
	caps->age_granularity_ms = AGE_GRANULARITY_MS;
	caps->max_workers = MAX_WORKERS;
	snprintf(caps->text, sizeof(caps->text),
		 "software fast path in this process: packets go through fo_worker_run()");
	return 0;
}

static int soft_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		       struct fo_error *err)
{
	*priv = NULL;
	return soft_probe(config->options, caps, err);
}

static void soft_destroy(void *priv)
{
	(void)priv;
}

static int soft_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			 struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)err;
	*state = FO_STATE_ACTIVE;
	return 0;
}

static int soft_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)slot;
	(void)err;
	return 0;
}

static int soft_flow_update(void *priv, const struct fo_backend_flow *flow, uint32_t mask,
			    struct fo_error *err)
{
	(void)priv;
	(void)flow;
	(void)mask;
	(void)err;
	return 0;
}

static int soft_adj_update(void *priv, fo_adj_id id, const struct fo_adj *old_adj,
			   const struct fo_adj *new_adj, struct fo_error *err)
{
	(void)priv;
	(void)id;
	(void)old_adj;
	(void)new_adj;
	(void)err;
	return 0;
}

const struct fo_backend fo__backend_soft = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = FO_RANK_SOFT,
	.name = "soft",
	.probe = soft_probe,
	.create = soft_create,
	.destroy = soft_destroy,
	.flow_add = soft_flow_add,
	.flow_del = soft_flow_del,
	.flow_update = soft_flow_update,
	.adj_update = soft_adj_update,
};
