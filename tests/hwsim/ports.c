// SPDX-License-Identifier: GPL-2.0
/* ports.c - the devices of the simulated switch, and the module's beginning and end. */
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "hwsim.h"

static unsigned int ports = 4;
module_param(ports, uint, 0444);
MODULE_PARM_DESC(ports, "number of ports, 2 to 16");
static char *personality = "nic";
module_param(personality, charp, 0444);
MODULE_PARM_DESC(personality, "nic (does as its rules say) or ppe (as router silicon does)");

struct sim sim = {
	.lock = __SPIN_LOCK_UNLOCKED(sim.lock),
	.capacity = 65536,
	.guards = SIM_G_ALL,
};

static const struct net_device_ops host_ops;

struct sim_port *sim_port_of_end(const struct net_device *dev)
{
	return *(struct sim_port **)netdev_priv(dev);
}

struct sim_port *sim_port_of(const struct net_device *dev)
{
	return dev && dev->netdev_ops == &host_ops ? sim_port_of_end(dev) : NULL;
}

/* The link is up when both ends are. */
static void set_carrier(struct sim_port *port)
{
	if (netif_running(port->host) && netif_running(port->cable)) {
		netif_carrier_on(port->host);
		netif_carrier_on(port->cable);
	} else {
		netif_carrier_off(port->host);
		netif_carrier_off(port->cable);
	}
}

static int end_open(struct net_device *dev)
{
	netif_start_queue(dev);
	set_carrier(sim_port_of_end(dev));
	return 0;
}

static int end_stop(struct net_device *dev)
{
	netif_stop_queue(dev);
	set_carrier(sim_port_of_end(dev));
	return 0;
}

static int end_init(struct net_device *dev)
{
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	return dev->tstats ? 0 : -ENOMEM;
}

static void end_uninit(struct net_device *dev)
{
	free_percpu(dev->tstats);
}

static int host_setup_tc(struct net_device *dev, enum tc_setup_type type, void *data)
{
	switch (type) {
	case TC_SETUP_BLOCK:
		return sim_flower_bind(sim_port_of_end(dev), data);
	case TC_SETUP_FT:
		return sim_flowtable_bind(sim_port_of_end(dev), data);
	default:
		return -EOPNOTSUPP;
	}
}

/* Offload cannot be turned off under rules that are there: the kernel would lose them. */
static int host_set_features(struct net_device *dev, netdev_features_t features)
{
	bool busy;

	if (!((dev->features ^ features) & NETIF_F_HW_TC) || (features & NETIF_F_HW_TC))
		return 0;
	spin_lock_bh(&sim.lock);
	busy = sim_port_of_end(dev)->flower_rules > 0;
	spin_unlock_bh(&sim.lock);
	return busy ? -EBUSY : 0;
}

/* All ports are one switch: what tells a program that two devices can be offloaded to each other. */
static int host_parent_id(struct net_device *dev, struct netdev_phys_item_id *id)
{
	static const char name[] = "fo_hwsim";

	id->id_len = sizeof(name) - 1;
	memcpy(id->id, name, id->id_len);
	return 0;
}

static const struct net_device_ops host_ops = {
	.ndo_init = end_init,
	.ndo_uninit = end_uninit,
	.ndo_open = end_open,
	.ndo_stop = end_stop,
	.ndo_start_xmit = sim_from_host,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_setup_tc = host_setup_tc,
	.ndo_set_features = host_set_features,
	.ndo_get_port_parent_id = host_parent_id,
};

static const struct net_device_ops cable_ops = {
	.ndo_init = end_init,
	.ndo_uninit = end_uninit,
	.ndo_open = end_open,
	.ndo_stop = end_stop,
	.ndo_start_xmit = sim_from_cable,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void end_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "fo_hwsim", sizeof(info->driver));
	strscpy(info->fw_version, sim.kind == SIM_PPE ? "ppe" : "nic", sizeof(info->fw_version));
}

static const struct ethtool_ops end_ethtool = {
	.get_drvinfo = end_drvinfo,
	.get_link = ethtool_op_get_link,
};

/* One end, not yet registered. No device claims to segment or sum, so that every frame is as on a wire. */
static struct net_device *end_new(struct sim_port *port, const char *name, bool host)
{
	struct net_device *dev = alloc_etherdev(sizeof(port));

	if (!dev)
		return NULL;
	snprintf(dev->name, sizeof(dev->name), "%s%u", name, port->index);
	*(struct sim_port **)netdev_priv(dev) = port;
	dev->netdev_ops = host ? &host_ops : &cable_ops;
	dev->ethtool_ops = &end_ethtool;
	dev->max_mtu = 9000;
	dev->needed_headroom = SIM_HEADROOM;
	/* Frames are changed on their way. */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	/* As most: another address needs no port to be shut. */
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	if (host) {
		dev->hw_features |= NETIF_F_HW_TC;
		dev->features |= NETIF_F_HW_TC;
	}
	eth_hw_addr_random(dev);
	return dev;
}

/* All at once: when the first is gone for good, none of the others can still send to it. */
static void ports_close(void)
{
	LIST_HEAD(gone);
	unsigned int i, end;

	rtnl_lock();
	for (i = 0; i < sim.ports; i++) {
		struct net_device *ends[] = {sim.port[i].host, sim.port[i].cable};

		for (end = 0; end < ARRAY_SIZE(ends); end++)
			if (ends[end] && ends[end]->reg_state == NETREG_REGISTERED)
				unregister_netdevice_queue(ends[end], &gone);
	}
	unregister_netdevice_many(&gone);
	rtnl_unlock();
	for (i = 0; i < sim.ports; i++) {
		if (sim.port[i].host)
			free_netdev(sim.port[i].host);
		if (sim.port[i].cable)
			free_netdev(sim.port[i].cable);
	}
}

static int port_open(struct sim_port *port)
{
	int err;

	INIT_LIST_HEAD(&port->flower_cbs);
	INIT_LIST_HEAD(&port->flowtable_cbs);
	port->host = end_new(port, "fo", true);
	port->cable = end_new(port, "cable", false);
	if (!port->host || !port->cable)
		return -ENOMEM;
	netif_carrier_off(port->host);
	netif_carrier_off(port->cable);
	err = register_netdev(port->host);
	return err ? err : register_netdev(port->cable);
}

static int __init sim_open(void)
{
	int err = 0;

	if (ports < 2 || ports > SIM_PORTS_MOST)
		return -EINVAL;
	if (!strcmp(personality, "ppe"))
		sim.kind = SIM_PPE;
	else if (strcmp(personality, "nic"))
		return -EINVAL;
	while (sim.ports < ports && !err) {
		struct sim_port *port = &sim.port[sim.ports];

		port->index = sim.ports++;
		err = port_open(port);
	}
	if (err) {
		ports_close();
		return err;
	}
	sim_debug_open();
	return 0;
}

static void __exit sim_close(void)
{
	sim_debug_close();
	ports_close();
	/* What a flowtable left behind (personality ppe) is the hardware's alone by now. */
	sim_table_empty();
}

module_init(sim_open);
module_exit(sim_close);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("flow offload hardware that is not there, for the tests of libflowoffload");
