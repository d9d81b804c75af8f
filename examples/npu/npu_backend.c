/* SPDX-License-Identifier: BSD-2-Clause */
/* npu_backend.c - the driver as the library sees it: struct fo_backend, function by function.
 *
 * An asynchronous device: flow_add and flow_del say PENDING, poll() brings the outcome. Everything the device tells
 * between two polls waits in its own registers. Neighbours: npu_flows.c has the life of a flow, npu_sides.c the
 * interfaces.
 */
#include "npu_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NPU_CAN                                                                                              \
	(FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |              \
	 FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD | FO_CAP_PPPOE |        \
	 FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE | FO_CAP_HARDWARE |           \
	 FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_PUNT_MAC | FO_CAP_CRASH_GONE |         \
	 FO_CAP_DELETE_KEEPS_CT | FO_CAP_GUARDS_VERIFIED | FO_CAP_COUNTERS_FAST | FO_CAP_PER_FLOW_TIMEOUT |  \
	 FO_CAP_ASYNC_ADD | FO_CAP_CALLER_NEIGH)

/* Options are the driver's only when the caller named the driver: "auto" may carry those of another. */
static const struct npu_options *own_options(const struct fo_table_options *options, struct fo_error *err)
{
	const struct npu_options *own;

	if (!options || !options->backend || strcmp(options->backend, "npu") != 0 ||
	    !options->backend_options) {
		npu_fail(err, -ENODEV, FO_R_BACKEND, ENODEV,
			 "name the backend \"npu\" and point backend_options to a struct npu_options with a "
			 "device");
		return NULL;
	}
	own = options->backend_options;
	if (own->size != sizeof(*own) || !own->device) {
		npu_fail(err, -ENODEV, FO_R_BACKEND, ENODEV,
			 "backend_options is no struct npu_options with a device");
		return NULL;
	}
	return own;
}

static void fill_caps(const struct npu_device *dev, uint32_t sweep_ms, struct fo_caps *caps)
{
	caps->can = NPU_CAN;
	caps->max_flows = npu_max_directions(dev) / 2;
	caps->max_encaps = NPU_MAX_TAGS;
	caps->delete_bound_ms = 0; /* a delete switches both rules off before it returns */
	caps->age_granularity_ms = sweep_ms;
	caps->max_workers = 0;
	snprintf(caps->backend, sizeof(caps->backend), "npu");
	snprintf(caps->text, sizeof(caps->text),
		 "simulated network processor: %u flows, %u adjacencies in use at once", caps->max_flows,
		 npu_max_interfaces(dev));
}

static uint32_t sweep_interval(const struct npu_options *own)
{
	return own->sweep_ms ? own->sweep_ms : 100;
}

static int npu_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	const struct npu_options *own = own_options(options, err);

	if (!own)
		return -ENODEV;
	if (caps)
		fill_caps(own->device, sweep_interval(own), caps);
	return 0;
}

/* ---- A table -------------------------------------------------------------------------------------------- */

static void release(struct npu_driver *drv, const struct fo_host_ops *ops, struct fo_host *host)
{
	if (drv->by_slot)
		ops->free(host, drv->by_slot, drv->n_slots * sizeof(*drv->by_slot));
	if (drv->records)
		ops->free(host, drv->records, drv->n_records * sizeof(*drv->records));
	if (drv->sides)
		ops->free(host, drv->sides, drv->n_sides * sizeof(*drv->sides));
	ops->free(host, drv, sizeof(*drv));
}

static struct npu_driver *allocate(const struct fo_backend_config *config, const struct npu_device *dev)
{
	const struct fo_host_ops *ops = config->ops;
	struct npu_driver *drv = ops->alloc(config->host, sizeof(*drv), _Alignof(struct npu_driver));

	if (!drv)
		return NULL;
	memset(drv, 0, sizeof(*drv));
	drv->n_slots = config->slots;
	drv->n_records = npu_max_directions(dev) / 2;
	drv->n_sides = npu_max_interfaces(dev);
	drv->by_slot = ops->alloc(config->host, drv->n_slots * sizeof(*drv->by_slot), _Alignof(uint32_t));
	drv->records =
		ops->alloc(config->host, drv->n_records * sizeof(*drv->records), _Alignof(struct npu_record));
	drv->sides = ops->alloc(config->host, drv->n_sides * sizeof(*drv->sides),
				_Alignof(struct npu_shared_side));
	if (drv->by_slot && drv->records && drv->sides)
		return drv;
	release(drv, ops, config->host);
	return NULL;
}

static int npu_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		      struct fo_error *err)
{
	const struct npu_options *own = own_options(config->options, err);
	struct npu_driver *drv;

	if (!own)
		return -ENODEV;
	if (npu_max_directions(own->device) < 2)
		return npu_fail(err, -ENODEV, FO_R_BACKEND, ENODEV,
				"the device has no room for two directions");
	drv = allocate(config, own->device);
	if (!drv)
		return npu_fail(err, -ENOMEM, FO_R_MEMORY, ENOMEM, "no memory for the driver's records");
	if (!npu_attach(own->device)) {
		release(drv, config->ops, config->host);
		return npu_fail(err, -EBUSY, FO_R_IN_USE, EBUSY,
				"another table drives this device: destroy it first");
	}
	drv->dev = own->device;
	drv->host = config->host;
	drv->ops = config->ops;
	drv->sweep_ms = sweep_interval(own);
	drv->generation = npu_generation(drv->dev);
	npu_records_clear(drv);
	fill_caps(drv->dev, drv->sweep_ms, caps);
	*priv = drv;
	return 0;
}

static void npu_destroy(void *priv)
{
	struct npu_driver *drv = priv;

	npu_detach(drv->dev);
	release(drv, drv->ops, drv->host);
}

/* ---- Flows ---------------------------------------------------------------------------------------------- */

static void tuple_from(const struct fo_tuple *in, struct npu_tuple *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->src, in->src, sizeof(out->src));
	memcpy(out->dst, in->dst, sizeof(out->dst));
	out->sport_be = in->sport_be;
	out->dport_be = in->dport_be;
	out->family = in->family;
	out->proto = in->proto;
}

static void set_dscp(struct npu_rule *rule, uint8_t dscp)
{
	rule->set_dscp = (dscp & 0x80) != 0;
	rule->dscp = dscp & 0x3f;
}

static void set_timeout(struct npu_rule *rule, uint32_t timeout_ms)
{
	rule->timeout_ms = timeout_ms == FO_TIMEOUT_NEVER ? NPU_NO_TIMEOUT : timeout_ms;
}

static void set_sides(struct npu_record *rec, const uint32_t side[2])
{
	unsigned int dir;

	for (dir = 0; dir < 2; dir++) {
		rec->rule[dir].in = side[dir];
		rec->rule[dir].to = side[1 - dir];
	}
}

static int hold_both(struct npu_driver *drv, const struct fo_backend_flow *flow, uint32_t side[2],
		     struct fo_error *err)
{
	int ret = npu_side_hold(drv, flow->flow->adj[0], flow->in[0], &side[0], err);

	if (ret)
		return ret;
	ret = npu_side_hold(drv, flow->flow->adj[1], flow->in[1], &side[1], err);
	if (ret)
		npu_side_release(drv, side[0]);
	return ret;
}

static int npu_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			struct fo_error *err)
{
	struct npu_driver *drv = priv;
	struct npu_record *rec;
	uint32_t side[2];
	unsigned int dir;
	int ret;

	if (npu_generation(drv->dev) != drv->generation)
		return npu_fail(err, -EIO, FO_R_LOST, ENODEV,
				"the firmware was reset: poll the table, then add again");
	ret = hold_both(drv, flow, side, err);
	if (ret)
		return ret;
	rec = npu_record_take(drv, flow->cookie, flow->slot);
	if (!rec) {
		npu_side_release(drv, side[0]);
		npu_side_release(drv, side[1]);
		return npu_fail(err, -ENOSPC, FO_R_FULL, ENOSPC, "the device's match table is full");
	}
	set_sides(rec, side);
	for (dir = 0; dir < 2; dir++) {
		struct npu_rule *rule = &rec->rule[dir];

		tuple_from(&flow->flow->tuple[dir], &rule->match);
		tuple_from(&flow->out[dir], &rule->out);
		set_timeout(rule, flow->timeout_ms);
		set_dscp(rule, flow->flow->dscp[dir]);
		rule->seen_ms = npu_clock(drv->dev);
	}
	*state = FO_STATE_ARMED;
	npu_flow_want(drv, rec);
	return FO_BACKEND_PENDING;
}

static int npu_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct npu_driver *drv = priv;
	struct npu_record *rec = npu_record_find(drv, cookie, slot);

	(void)err;
	if (!rec || npu_generation(drv->dev) != drv->generation)
		return 0; /* the reset took it already; poll() says so for the others */
	return npu_flow_unwant(drv, rec, NPU_SAY_REMOVED, FO_R_NONE) ? 0 : FO_BACKEND_PENDING;
}

static int change_sides(struct npu_driver *drv, struct npu_record *rec, const struct fo_backend_flow *flow,
			struct fo_error *err)
{
	uint32_t was[2] = {rec->rule[0].in, rec->rule[1].in};
	uint32_t side[2];
	int ret = hold_both(drv, flow, side, err);

	if (ret)
		return ret;
	set_sides(rec, side);
	npu_side_release(drv, was[0]);
	npu_side_release(drv, was[1]);
	return 0;
}

/* Tag, mark and cookie are the library's affair; only what changes packets or ageing reaches the device. */
static int npu_flow_update(void *priv, const struct fo_backend_flow *flow, uint32_t mask,
			   struct fo_error *err)
{
	struct npu_driver *drv = priv;
	struct npu_record *rec = npu_record_find(drv, flow->cookie, flow->slot);
	unsigned int dir;

	if (!rec || npu_generation(drv->dev) != drv->generation)
		return npu_fail(err, -EIO, FO_R_LOST, ENODEV, "the firmware was reset: poll the table");
	if (mask & FO_UPDATE_ADJ) {
		int ret = change_sides(drv, rec, flow, err);

		if (ret)
			return ret;
	}
	for (dir = 0; dir < 2; dir++) {
		if (mask & FO_UPDATE_TIMEOUT)
			set_timeout(&rec->rule[dir], flow->timeout_ms);
		if ((mask & FO_UPDATE_DSCP) && !npu_has_fault(drv->dev, NPU_FAULT_DSCP_UPDATE_IGNORED))
			set_dscp(&rec->rule[dir], flow->flow->dscp[dir]);
	}
	npu_flow_rewrite(drv, rec);
	return 0;
}

static int npu_flow_stats(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct npu_driver *drv = priv;
	struct npu_record *rec = npu_record_find(drv, cookie, slot);
	struct npu_counters lost;

	(void)err;
	if (!rec || npu_generation(drv->dev) != drv->generation)
		return 0;
	if (npu_has_fault(drv->dev, NPU_FAULT_STATS_CONSUMED)) {
		npu_read_counters(drv->dev, rec->handle[0], &lost);
		npu_read_counters(drv->dev, rec->handle[1], &lost);
	}
	npu_flow_collect(drv, rec);
	return 0;
}

static void npu_flow_explain(void *priv, uint64_t cookie, uint32_t slot, char *text, size_t size)
{
	static const char *const side[] = {"not in the device", "waiting in the command ring", "in",
					   "being removed"};
	struct npu_driver *drv = priv;
	const struct npu_record *rec = npu_record_find(drv, cookie, slot);

	if (!rec)
		snprintf(text, size, "The device knows nothing of it.");
	else if (rec->live && rec->wanted)
		snprintf(text, size, "The device forwards it by rules %u and %u.", rec->handle[0],
			 rec->handle[1]);
	else
		snprintf(text, size, "Its original direction is %s, its reply direction %s.",
			 side[rec->side[0]], side[rec->side[1]]);
}

/* ---- Adjacencies and ports ------------------------------------------------------------------------------- */

static int npu_adj_check(void *priv, const struct fo_adj *adj, struct fo_error *err)
{
	struct npu_interface unused;

	(void)priv;
	return npu_interface_from(adj, &unused, err);
}

static int npu_adj_update(void *priv, fo_adj_id id, const struct fo_adj *old_adj,
			  const struct fo_adj *new_adj, struct fo_error *err)
{
	(void)old_adj;
	return npu_side_change(priv, id, new_adj, err);
}

static void npu_port_set(void *priv, const struct fo_port *port)
{
	npu_sides_link(priv, port->port, port->state == FO_PORT_UP);
	if (port->state != FO_PORT_UP)
		npu_flows_stop(priv, port->port);
}

/* ---- Time ------------------------------------------------------------------------------------------------ */

static void notice_reset(struct npu_driver *drv)
{
	drv->generation = npu_generation(drv->dev);
	npu_records_clear(drv);
	if (!npu_has_fault(drv->dev, NPU_FAULT_RESET_NOT_TOLD))
		drv->ops->all_lost(drv->host, EIO);
}

/* One bounded slice; what is left waits for the next poll, which deadline() asks for. */
static void npu_poll(void *priv, unsigned int max_us)
{
	struct npu_driver *drv = priv;

	(void)max_us;
	if (npu_generation(drv->dev) != drv->generation)
		notice_reset(drv);
	npu_work(drv);
	npu_sweep(drv);
}

static uint64_t npu_deadline(void *priv)
{
	struct npu_driver *drv = priv;

	if (npu_pending(drv))
		return drv->ops->now_ms(drv->host);
	return drv->n_used ? drv->next_sweep_ms : UINT64_MAX;
}

static int npu_sync(void *priv)
{
	return npu_pending(priv) ? -EAGAIN : 0;
}

static const struct fo_backend npu_backend = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.rank = 100,
	.name = "npu",
	.probe = npu_probe,
	.create = npu_create,
	.destroy = npu_destroy,
	.flow_add = npu_flow_add,
	.flow_del = npu_flow_del,
	.flow_update = npu_flow_update,
	.flow_stats = npu_flow_stats,
	.flow_explain = npu_flow_explain,
	.adj_check = npu_adj_check,
	.adj_update = npu_adj_update,
	.port_set = npu_port_set,
	.poll = npu_poll,
	.deadline = npu_deadline,
	.sync = npu_sync,
};

int npu_register(struct fo_error *err)
{
	return fo_backend_register(&npu_backend, err);
}
