// SPDX-License-Identifier: GPL-2.0
/* wire.c - the way of a frame: from a cable through the hardware to another cable, or to the host; from the host to the
 * cable.
 */
#include "hwsim.h"

/* Hand a frame to the stack behind a device. */
static void deliver(struct sk_buff *skb, struct net_device *dev)
{
	unsigned int size = skb->len;

	/* A port that is shut takes nothing; nothing is counted for one that goes away. */
	if (!netif_running(dev) || !netif_carrier_ok(dev)) {
		dev_core_stats_rx_dropped_inc(dev);
		kfree_skb(skb);
		return;
	}
	skb_orphan(skb);
	skb_scrub_packet(skb, true);
	skb->ip_summed = CHECKSUM_NONE;
	skb->protocol = eth_type_trans(skb, dev);
	dev_sw_netstats_rx_add(dev, size);
	netif_rx(skb);
}

static void count_rule(struct sim_rule *rule, const struct sim_frame *frame)
{
	rule->packets++;
	rule->bytes += sim.count_l3 && frame->key.proto ? frame->size - frame->l3 : frame->wire_size;
	rule->used = jiffies;
}

/* One frame through the pipeline. Returns where it comes out, or NULL: nowhere. */
static struct net_device *pass(struct sim_port *in, struct sk_buff *skb)
{
	struct net_device *to = in->host;
	struct sim_frame frame;
	struct sim_rule *rule;
	enum sim_count what = SIM_N_MISSED;

	sim_frame_read(&frame, skb);
	spin_lock(&sim.lock);
	rule = sim_table_find(in, &frame);
	if (rule) {
		what = sim_guard(&rule->act, &frame);
		if (what == SIM_N_FORWARDED &&
		    !(netif_running(rule->act.out->host) && netif_carrier_ok(rule->act.out->host)))
			what = SIM_N_LINK_DOWN;
	}
	if (what == SIM_N_FORWARDED) {
		sim_rewrite(&rule->act, &frame, skb);
		to = rule->act.out->cable;
	} else if (what == SIM_N_DROPPED || what == SIM_N_LINK_DOWN) {
		to = NULL;
	}
	if (what <= SIM_N_DROPPED || what == SIM_N_TRAPPED)
		count_rule(rule, &frame);
	sim.count[what]++;
	spin_unlock(&sim.lock);
	return to;
}

netdev_tx_t sim_from_cable(struct sk_buff *skb, struct net_device *dev)
{
	struct net_device *to;

	dev_sw_netstats_tx_add(dev, 1, skb->len);
	/* Taps hold copies of the frame that share its bytes. */
	if (skb_linearize(skb) || skb_cow(skb, SIM_HEADROOM)) {
		dev_core_stats_tx_dropped_inc(dev);
		kfree_skb(skb);
		return NETDEV_TX_OK;
	}
	to = pass(sim_port_of_end(dev), skb);
	if (to)
		deliver(skb, to);
	else
		kfree_skb(skb);
	return NETDEV_TX_OK;
}

netdev_tx_t sim_from_host(struct sk_buff *skb, struct net_device *dev)
{
	dev_sw_netstats_tx_add(dev, 1, skb->len);
	deliver(skb, sim_port_of_end(dev)->cable);
	return NETDEV_TX_OK;
}
