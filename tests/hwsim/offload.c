// SPDX-License-Identifier: GPL-2.0
/* offload.c - what the kernel asks of the ports: blocks of tc and flowtables bound, rules added, deleted, counted. */
#include <linux/slab.h>
#include <net/pkt_cls.h>

#include "hwsim.h"

static int refused(struct sim_rule *rule, int err)
{
	spin_lock_bh(&sim.lock);
	sim.count[SIM_N_REFUSED]++;
	spin_unlock_bh(&sim.lock);
	kfree(rule);
	return err;
}

static int add(struct sim_port *port, struct flow_cls_offload *cls, enum sim_source source)
{
	enum sim_kind kind = READ_ONCE(sim.kind);
	struct sim_rule *rule;
	int err;

	/* nf_flowtable tells every device of its table of every rule, and tc every device of a block. An adapter takes what
	 * is another port's, and has nothing to do; a packet processing engine does not know what a block is. */
	if (!sim_match_port(cls, port))
		return source == SIM_FLOWER && kind == SIM_NIC ? 0 : -EOPNOTSUPP;
	sim_wait(READ_ONCE(sim_delays.add_ms));
	rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	rule->source = source;
	rule->cookie = cls->cookie;
	rule->in = port;
	/* All of tc's rules come before those of nf_flowtable. */
	rule->rank = source == SIM_FLOWTABLE ? BIT_ULL(63) : (u64)cls->common.prio << 40;
	err = sim_fault_add(cls->common.extack);
	if (!err)
		err = sim_match_read(&rule->match, cls, source, kind);
	if (!err)
		err = sim_act_read(&rule->act, &rule->match, cls, source, kind);
	if (!err)
		err = sim_fault_refuses(rule, cls->common.extack);
	if (err)
		return refused(rule, err);
	err = sim_table_add(rule, cls->common.extack);
	if (err)
		kfree(rule);
	return err;
}

static int stats(struct sim_port *port, struct flow_cls_offload *cls, enum sim_source source)
{
	enum sim_stats_mode mode = sim_stats_mode();

	sim_wait(READ_ONCE(sim_delays.stats_ms));
	if (mode == SIM_STATS_REFUSED)
		return -EOPNOTSUPP;
	return sim_table_stats(source, cls->cookie, port, mode == SIM_STATS_LOST, &cls->stats);
}

static int rule_call(struct sim_port *port, struct flow_cls_offload *cls, enum sim_source source)
{
	switch (cls->command) {
	case FLOW_CLS_REPLACE:
		return add(port, cls, source);
	case FLOW_CLS_DESTROY:
		sim_wait(READ_ONCE(sim_delays.delete_ms));
		return sim_table_delete(source, cls->cookie, port);
	case FLOW_CLS_STATS:
		return stats(port, cls, source);
	default:
		return -EOPNOTSUPP;
	}
}

static int flower_call(enum tc_setup_type type, void *data, void *priv)
{
	struct sim_port *port = priv;

	if (type != TC_SETUP_CLSFLOWER || !tc_cls_can_offload_and_chain0(port->host, data))
		return -EOPNOTSUPP;
	return rule_call(port, data, SIM_FLOWER);
}

static int flowtable_call(enum tc_setup_type type, void *data, void *priv)
{
	return type == TC_SETUP_CLSFLOWER ? rule_call(priv, data, SIM_FLOWTABLE) : -EOPNOTSUPP;
}

int sim_flower_bind(struct sim_port *port, struct flow_block_offload *block)
{
	/* Several processes may add at once: the table has its own lock. */
	block->unlocked_driver_cb = true;
	return flow_block_cb_setup_simple(block, &port->flower_cbs, flower_call, port, port, true);
}

int sim_flowtable_bind(struct sim_port *port, struct flow_block_offload *block)
{
	/* A flowtable that goes lets go of the device before it deletes its flows: nobody asks for their rules to be
	 * deleted. A driver drops them by itself; that of a packet processing engine does not. */
	if (block->command == FLOW_BLOCK_UNBIND && READ_ONCE(sim.kind) != SIM_PPE)
		sim_table_flush(SIM_FLOWTABLE, port);
	block->unlocked_driver_cb = true;
	return flow_block_cb_setup_simple(block, &port->flowtable_cbs, flowtable_call, port, port, true);
}
