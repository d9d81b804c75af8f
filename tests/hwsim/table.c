// SPDX-License-Identifier: GPL-2.0
/* table.c - the rules in the hardware: found by the frame that they match and by the cookie that the kernel gave them. */
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/slab.h>

#include "hwsim.h"

#define TABLE_BITS 14

static LIST_HEAD(all);
static LIST_HEAD(wild);
static DEFINE_HASHTABLE(cookies, TABLE_BITS);
static DEFINE_HASHTABLE(tuples, TABLE_BITS);
static u64 added; /* so far: the older of two rules with the same priority wins */

static u32 hash_of(const struct sim_port *in, const struct sim_key *key)
{
	u32 ports = (__force u32)key->sport << 16 | (__force u32)key->dport;

	return jhash(&key->src, sizeof(key->src) + sizeof(key->dst), ports ^ key->l4 << 8 ^ in->index);
}

static bool matches(const struct sim_rule *rule, const struct sim_port *in, const struct sim_key *key)
{
	const u32 *want = (const u32 *)&rule->match.key, *mask = (const u32 *)&rule->match.mask;
	const u32 *have = (const u32 *)key;
	unsigned int i;

	if (rule->in != in)
		return false;
	for (i = 0; i < SIM_KEY_WORDS; i++)
		if ((want[i] ^ have[i]) & mask[i])
			return false;
	return true;
}

struct sim_rule *sim_table_find(const struct sim_port *in, const struct sim_frame *frame)
{
	struct sim_rule *rule, *best = NULL;

	hash_for_each_possible(tuples, rule, by_tuple, hash_of(in, &frame->key))
		if ((!best || rule->rank < best->rank) && matches(rule, in, &frame->key))
			best = rule;
	list_for_each_entry(rule, &wild, wild)
		if ((!best || rule->rank < best->rank) && matches(rule, in, &frame->key))
			best = rule;
	return best;
}

static struct sim_rule *by_cookie(enum sim_source source, unsigned long cookie, const struct sim_port *in)
{
	struct sim_rule *rule;

	/* One rule of a block that ports share has one cookie, and a place in the table for each of them. */
	hash_for_each_possible(cookies, rule, by_cookie, cookie)
		if (rule->cookie == cookie && rule->source == source && rule->in == in)
			return rule;
	return NULL;
}

/* Under the lock; the rule is the caller's again. */
static void unlink_rule(struct sim_rule *rule)
{
	list_del(&rule->list);
	hash_del(&rule->by_cookie);
	if (rule->match.exact)
		hash_del(&rule->by_tuple);
	else
		list_del(&rule->wild);
	if (rule->source == SIM_FLOWER)
		rule->in->flower_rules--;
	sim.rules--;
}

int sim_table_add(struct sim_rule *rule, struct netlink_ext_ack *extack)
{
	int err = 0;

	spin_lock_bh(&sim.lock);
	if (by_cookie(rule->source, rule->cookie, rule->in)) {
		NL_SET_ERR_MSG_MOD(extack, "There is a rule with this cookie");
		err = -EEXIST;
	} else if (sim.rules >= READ_ONCE(sim.capacity)) {
		NL_SET_ERR_MSG_MOD(extack, "The flow table is full");
		err = -ENOSPC;
	} else {
		rule->rank |= added++;
		rule->used = jiffies;
		list_add_tail(&rule->list, &all);
		hash_add(cookies, &rule->by_cookie, rule->cookie);
		if (rule->match.exact)
			hash_add(tuples, &rule->by_tuple, hash_of(rule->in, &rule->match.key));
		else
			list_add_tail(&rule->wild, &wild);
		if (rule->source == SIM_FLOWER)
			rule->in->flower_rules++;
		sim.rules++;
	}
	sim.count[err ? SIM_N_REFUSED : SIM_N_ADDED]++;
	spin_unlock_bh(&sim.lock);
	return err;
}

int sim_table_delete(enum sim_source source, unsigned long cookie, const struct sim_port *in)
{
	struct sim_rule *rule;

	spin_lock_bh(&sim.lock);
	rule = by_cookie(source, cookie, in);
	if (rule) {
		unlink_rule(rule);
		sim.count[SIM_N_DELETED]++;
	}
	spin_unlock_bh(&sim.lock);
	kfree(rule);
	return rule ? 0 : -ENOENT;
}

int sim_table_stats(enum sim_source source, unsigned long cookie, const struct sim_port *in, bool lose,
		    struct flow_stats *stats)
{
	struct sim_rule *rule;
	int err = 0;

	spin_lock_bh(&sim.lock);
	sim.count[SIM_N_STATS]++;
	rule = by_cookie(source, cookie, in);
	if (rule) {
		if (!lose)
			flow_stats_update(stats, rule->bytes - rule->told_bytes,
					  rule->packets - rule->told_packets, 0, rule->used,
					  FLOW_ACTION_HW_STATS_DELAYED);
		rule->told_bytes = rule->bytes;
		rule->told_packets = rule->packets;
	} else {
		err = -ENOENT;
	}
	spin_unlock_bh(&sim.lock);
	return err;
}

void sim_table_flush(enum sim_source source, const struct sim_port *in)
{
	struct sim_rule *rule, *next;

	spin_lock_bh(&sim.lock);
	list_for_each_entry_safe(rule, next, &all, list) {
		if (rule->source != source || rule->in != in)
			continue;
		unlink_rule(rule);
		sim.count[SIM_N_FLUSHED]++;
		kfree(rule);
	}
	spin_unlock_bh(&sim.lock);
}

void sim_table_empty(void)
{
	unsigned int i;

	for (i = 0; i < sim.ports; i++) {
		/* tc takes its rules back before a device goes. */
		WARN_ON(sim.port[i].flower_rules);
		sim_table_flush(SIM_FLOWER, &sim.port[i]);
		sim_table_flush(SIM_FLOWTABLE, &sim.port[i]);
	}
	WARN_ON(sim.rules);
}

struct list_head *sim_table_walk_begin(void)
{
	spin_lock_bh(&sim.lock);
	return &all;
}

void sim_table_walk_end(void)
{
	spin_unlock_bh(&sim.lock);
}
