/* SPDX-License-Identifier: BSD-2-Clause */
/* attach.c - the program on the table's devices: XDP, tcx, or clsact. Neighbours: state.h.
 *
 * XDP and tcx are links: they go when their descriptor is closed, so when the process ends. A clsact filter stays: where
 * only that exists the program has a lease (bpf.c renews it). XDP has one owner a device, and another one is named.
 */
#include "backends/bpf/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* enum bpf_attach_type BPF_TCX_INGRESS of Linux 6.6; libbpf before 1.3 has no name for it. */
#define TCX_INGRESS 46

/* The loopback device of every namespace. */
#define LOOPBACK 1

/* Handle and priority of the clsact filter. */
#define CLSACT_PRIORITY 1u
#define CLSACT_HANDLE	0xf10u

const char *fo__bpf_hook_name(enum fo__bpf_hook hook)
{
	static const char *const names[] = {"nothing", "XDP", "generic XDP", "tcx", "clsact"};

	return names[hook];
}

/* Who may not ask is told what recent kernels do: create will say why it fails. */
bool fo__bpf_has_tcx(void)
{
	uint32_t flags, n = 0;

	return !bpf_prog_query(LOOPBACK, (enum bpf_attach_type)TCX_INGRESS, 0, &flags, NULL, &n) ||
	       errno != EINVAL;
}

static const char *device_name(uint32_t port, char name[IF_NAMESIZE])
{
	return if_indextoname(port, name) ? name : "?";
}

/* "veth", "virtio_net", ...; empty when the driver does not say. */
static void driver_of(uint32_t port, char *driver, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ask = {.ifr_data = (char *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	driver[0] = '\0';
	if (fd >= 0 && if_indextoname(port, ask.ifr_name) && !ioctl(fd, SIOCETHTOOL, &ask))
		snprintf(driver, size, "%s", info.driver);
	if (fd >= 0)
		close(fd);
}

/* Frames from a virtual device may have an unfinished checksum, which XDP does not see. */
bool fo__bpf_is_virtual(uint32_t port)
{
	char driver[32];

	driver_of(port, driver, sizeof(driver));
	return !strcmp(driver, "veth") || !strcmp(driver, "virtio_net") || !strcmp(driver, "tun") ||
	       !driver[0];
}

static int xdp_owner(uint32_t port, char *text, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {0};
	uint32_t length = sizeof(info);
	int fd;

	if (bpf_xdp_query((int)port, 0, &query) || !query.prog_id)
		return 0;
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	if (fd >= 0) {
		(void)bpf_obj_get_info_by_fd(fd, &info, &length);
		close(fd);
	}
	snprintf(text, size, "%s (id %u)", info.name[0] ? info.name : "a program", query.prog_id);
	return 1;
}

static int attach_xdp(struct fo__bpf *bpf, struct fo__bpf_device *device, enum fo__bpf_hook hook,
		      struct fo_error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = hook == FO__BPF_HOOK_XDP ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	char name[IF_NAMESIZE], owner[64];
	int failed;

	device->link = bpf_link_create(bpf->program_xdp, (int)device->port, BPF_XDP, &options);
	/* A device whose frames do not fit into one buffer wants the program that can do several. */
	if (device->link < 0 && errno == ERANGE) {
		device->link = bpf_link_create(bpf->program_frags, (int)device->port, BPF_XDP, &options);
		device->frags = true;
	}
	if (device->link >= 0) {
		device->hook = hook;
		return 0;
	}
	failed = errno;
	if (xdp_owner(device->port, owner, sizeof(owner)))
		return fo__bpf_fail(err, -EBUSY, FO_R_IN_USE, "ports", failed,
				    "XDP of %s belongs to %s; detach it, or attach to TC",
				    device_name(device->port, name), owner);
	if (failed == ENODEV)
		return fo__bpf_fail(err, -ENODEV, FO_R_PORT, "ports", failed, "port %u is gone",
				    device->port);
	return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "ports", failed, "%s takes no %s program",
			    device_name(device->port, name), fo__bpf_hook_name(hook));
}

/* ---- clsact ---- */

/* Has this map's owner let its lease run out? 0: it is not such a map. */
static uint64_t lease_of(uint32_t map_id)
{
	struct fo__bpf_config config = {0};
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info), zero = 0;
	int fd = bpf_map_get_fd_by_id(map_id);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &length) || strcmp(info.name, "config") != 0 ||
	    info.value_size != sizeof(config) || bpf_map_lookup_elem(fd, &zero, &config))
		config.lease_until_jiffies = 0;
	close(fd);
	return config.lease_until_jiffies;
}

/* Is this one of the maps that an earlier process of this table pinned? */
static bool is_pinned_config(const struct fo__bpf *bpf, uint32_t map_id)
{
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);

	return bpf->pins.found && !bpf_obj_get_info_by_fd(bpf->map[FO__BPF_CONFIG], &info, &length) &&
	       info.id == map_id;
}

/* The program of a filter with our number: is it one of ours, left by a process that is dead? */
static bool is_orphan(struct fo__bpf *bpf, uint32_t program_id, char name[BPF_OBJ_NAME_LEN])
{
	uint32_t maps[16], length = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 16, .map_ids = (uint64_t)(uintptr_t)maps};
	int fd = bpf_prog_get_fd_by_id(program_id);
	uint64_t until = 0;
	bool pinned = false;

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length))
		for (uint32_t i = 0; i < info.nr_map_ids && i < 16 && !until && !pinned; i++) {
			until = lease_of(maps[i]);
			pinned = is_pinned_config(bpf, maps[i]);
		}
	close(fd);
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	if (pinned)
		return true;
	return until && !strcmp(info.name, "fo_tc") && fo__bpf_jiffies(bpf) > until;
}

/* Somebody's filter has our number: replace it when nobody is behind it, else say whose it is. */
static int take_over_filter(struct fo__bpf *bpf, const struct bpf_tc_hook *hook, struct fo_error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, there, .priority = CLSACT_PRIORITY, .handle = CLSACT_HANDLE);
	LIBBPF_OPTS(bpf_tc_opts, ours, .prog_fd = bpf->program_tc, .priority = CLSACT_PRIORITY,
		    .handle = CLSACT_HANDLE, .flags = BPF_TC_F_REPLACE);
	char device[IF_NAMESIZE], owner[BPF_OBJ_NAME_LEN] = "";

	if (!bpf_tc_query(hook, &there) && is_orphan(bpf, there.prog_id, owner) &&
	    !bpf_tc_attach(hook, &ours))
		return 0;
	return fo__bpf_fail(err, -EBUSY, FO_R_IN_USE, "ports", EEXIST,
			    "TC ingress of %s has a filter of priority %u and handle %#x: program '%s' (id "
			    "%u), another table's or one killed less than %u ms ago",
			    device_name((uint32_t)hook->ifindex, device), CLSACT_PRIORITY, CLSACT_HANDLE,
			    owner[0] ? owner : "?", there.prog_id, FO_BPF_LEASE_MS);
}

static int attach_clsact(struct fo__bpf *bpf, struct fo__bpf_device *device, struct fo_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)device->port, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf->program_tc, .priority = CLSACT_PRIORITY,
		    .handle = CLSACT_HANDLE);
	char name[IF_NAMESIZE];
	int code = bpf_tc_hook_create(&hook);

	device->made_qdisc = !code;
	if (!code || code == -EEXIST)
		code = bpf_tc_attach(&hook, &options);
	if (code == -EEXIST) {
		code = take_over_filter(bpf, &hook, err);
		if (code)
			return code;
	}
	if (!code) {
		device->hook = FO__BPF_HOOK_CLSACT;
		return 0;
	}
	if (device->made_qdisc) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		(void)bpf_tc_hook_destroy(&hook);
	}
	return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "ports", -code, "%s takes no TC program",
			    device_name(device->port, name));
}

static int attach_tc(struct fo__bpf *bpf, struct fo__bpf_device *device, struct fo_error *err)
{
	device->link =
		bpf_link_create(bpf->program_tc, (int)device->port, (enum bpf_attach_type)TCX_INGRESS, NULL);
	if (device->link >= 0) {
		device->hook = FO__BPF_HOOK_TCX;
		return 0;
	}
	if (errno == ENODEV)
		return fo__bpf_fail(err, -ENODEV, FO_R_PORT, "ports", errno, "port %u is gone", device->port);
	return attach_clsact(bpf, device, err);
}

/* ---- links of an earlier process ---- */

static bool may_be(uint32_t how, enum fo__bpf_hook hook)
{
	return (hook == FO__BPF_HOOK_XDP && (how == FO_BPF_ATTACH_XDP || how == FO_BPF_ATTACH_AUTO)) ||
	       (hook == FO__BPF_HOOK_XDP_GENERIC && how == FO_BPF_ATTACH_XDP_GENERIC) ||
	       (hook == FO__BPF_HOOK_TCX && (how == FO_BPF_ATTACH_TC || how == FO_BPF_ATTACH_AUTO));
}

/* The new program takes the place of the old one between two packets. */
static int swap(const struct fo__bpf *bpf, int link, enum fo__bpf_hook hook)
{
	if (hook == FO__BPF_HOOK_TCX)
		return bpf_link_update(link, bpf->program_tc, NULL);
	return bpf_link_update(link, bpf->program_xdp, NULL) &&
	       bpf_link_update(link, bpf->program_frags, NULL);
}

static bool adopt_link(const struct fo__bpf *bpf, struct fo__bpf_device *device, uint32_t how)
{
	for (enum fo__bpf_hook hook = FO__BPF_HOOK_XDP; hook <= FO__BPF_HOOK_TCX; hook++) {
		int link = fo__bpf_pin_find(bpf, device->port, hook);

		if (link >= 0 && may_be(how, hook) && !swap(bpf, link, hook)) {
			device->link = link;
			device->hook = hook;
			return true;
		}
		/* Of a device that is gone, or another place is asked for. */
		if (link >= 0)
			close(link);
		fo__bpf_pin_drop(bpf, device->port, hook);
	}
	return false;
}

static int attach_by(struct fo__bpf *bpf, struct fo__bpf_device *device, uint32_t how, struct fo_error *err)
{
	switch (how) {
	case FO_BPF_ATTACH_XDP:
		return attach_xdp(bpf, device, FO__BPF_HOOK_XDP, err);
	case FO_BPF_ATTACH_XDP_GENERIC:
		return attach_xdp(bpf, device, FO__BPF_HOOK_XDP_GENERIC, err);
	case FO_BPF_ATTACH_TC:
		return attach_tc(bpf, device, err);
	case FO_BPF_ATTACH_CLSACT:
		return attach_clsact(bpf, device, err);
	default:
		if (!fo__bpf_is_virtual(device->port) && !attach_xdp(bpf, device, FO__BPF_HOOK_XDP, NULL))
			return 0;
		if (!fo__bpf_is_virtual(device->port))
			(void)xdp_owner(device->port, device->owner, sizeof(device->owner));
		return attach_tc(bpf, device, err);
	}
}

/* The next process goes on with it. */
static void leave_device(struct fo__bpf_device *device)
{
	if (device->link >= 0)
		close(device->link);
	*device = (struct fo__bpf_device){.link = -1};
}

static void detach_device(struct fo__bpf *bpf, struct fo__bpf_device *device)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)device->port, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .priority = CLSACT_PRIORITY, .handle = CLSACT_HANDLE);
	fo__bpf_print *before = fo__bpf_quiet();

	fo__bpf_pin_drop(bpf, device->port, device->hook);
	if (device->link >= 0)
		close(device->link);
	if (device->hook == FO__BPF_HOOK_CLSACT) {
		(void)bpf_tc_detach(&hook, &options);
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		if (device->made_qdisc)
			(void)bpf_tc_hook_destroy(&hook);
	}
	(void)bpf_map_delete_elem(bpf->map[FO__BPF_DEVMAP], &device->port);
	*device = (struct fo__bpf_device){.link = -1};
	fo__bpf_unquiet(before);
}

int fo__bpf_device_open(struct fo__bpf *bpf, uint32_t port, struct fo_error *err)
{
	struct bpf_devmap_val target = {.ifindex = port};
	struct fo__bpf_device *device = NULL;
	int code;

	for (unsigned int i = 0; i < FO__BPF_DEVICES && !device; i++)
		if (!bpf->devices[i].port)
			device = &bpf->devices[i];
	if (!device)
		return fo__bpf_fail(err, -ENOSPC, FO_R_FULL, "ports", 0, "%u devices at most",
				    FO__BPF_DEVICES);
	if (port >= FO__BPF_INGRESS_TAGGED)
		return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "ports", 0, "ifindex %u is beyond %u",
				    port, FO__BPF_INGRESS_TAGGED - 1);
	code = fo__bpf_port_check(bpf, port, err);
	if (code)
		return code;
	if (bpf_map_update_elem(bpf->map[FO__BPF_DEVMAP], &port, &target, BPF_ANY))
		return fo__bpf_fail(err, -ENODEV, FO_R_PORT, "ports", errno,
				    "there is no device with index %u here", port);
	*device = (struct fo__bpf_device){.port = port, .link = -1};
	fo__bpf_links_look(bpf, port);
	/* Sides that wait for it, from before it went away or before the table was adopted. */
	if (fo__bpf_port_works(bpf, port))
		fo__bpf_sides_mark(bpf, port, FO_R_NONE);
	return 0;
}

int fo__bpf_device_attach(struct fo__bpf *bpf, struct fo__bpf_device *device, uint32_t how,
			  struct fo_error *err)
{
	fo__bpf_print *before = fo__bpf_quiet();
	int code = adopt_link(bpf, device, how) ? 0 : attach_by(bpf, device, how, err);

	if (!code && device->link >= 0 && fo__bpf_pin_link(bpf, device) && errno != EEXIST)
		code = fo__bpf_fail(err, -EIO, FO_R_BACKEND, "pins", errno,
				    "the link of port %u cannot be pinned", device->port);
	fo__bpf_unquiet(before);
	return code;
}

void fo__bpf_device_del(struct fo__bpf *bpf, uint32_t port)
{
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
		if (bpf->devices[i].port == port && port)
			detach_device(bpf, &bpf->devices[i]);
}

void fo__bpf_detach(struct fo__bpf *bpf)
{
	for (unsigned int i = 0; i < FO__BPF_DEVICES; i++) {
		if (bpf->devices[i].port && bpf->pins.leave)
			leave_device(&bpf->devices[i]);
		else if (bpf->devices[i].port)
			detach_device(bpf, &bpf->devices[i]);
	}
}
