/* SPDX-License-Identifier: BSD-2-Clause */
/* create.c - a table of the tc backend comes and goes, and what it can. See state.h.
 *
 * Nothing of a device is touched before all that can be refused without it was refused. A probe does as create does, and
 * takes it all back.
 */
#include "backends/tc/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Answers of a request of FO__TC_BATCH filters, each in a page. */
#define SEND_BYTES    (1 << 20)
#define RECEIVE_BYTES (4 << 20)

#define CAN                                                                                                  \
	(FO_CAP_IPV4 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_INGRESS | FO_CAP_ADJ_UPDATE | FO_CAP_FLOW_UPDATE |   \
	 FO_CAP_PUNT_SYN | FO_CAP_PUNT_FIN | FO_CAP_PUNT_RST | FO_CAP_CRASH_LINGERS |                        \
	 FO_CAP_DELETE_KEEPS_CT | FO_CAP_COUNTERS_FAST | FO_CAP_NETNS | FO_CAP_PER_FLOW_TIMEOUT |            \
	 FO_CAP_CALLER_NEIGH)
#define NAT (FO_CAP_SNAT | FO_CAP_DNAT | FO_CAP_PORT_NAT)

/* ---- What it can ---- */

static uint64_t capabilities(const struct fo__tc *tc)
{
	uint64_t can = CAN;
	int hardware = tc->own.mode == FO_TC_HARDWARE;
	int explicit = tc->profile == FO_TC_PROFILE_EXPLICIT;

	if (tc->own.mode == FO_TC_CLEAN_UP)
		return FO_CAP_CRASH_LINGERS;
	/* Software leaves the L4 checksums of aggregates as they were (act_csum): so it must not translate. */
	can |= hardware ? FO_CAP_HARDWARE | FO_CAP_PERSIST | NAT : FO_CAP_EGRESS_QDISC | FO_CAP_INGRESS_TC;
	can |= tc->own.helper_threads ? FO_CAP_ASYNC_ADD : FO_CAP_BLOCKING_ADD;
	can |= explicit ? FO_CAP_PUNT_MAC : 0;
	can |= tc->own.guards_shown ? FO_CAP_GUARDS_VERIFIED : 0;
	can |= tc->can & FO__TC_CAN_V6 ? FO_CAP_IPV6 | (hardware ? FO_CAP_NAT66 : 0) : 0;
	can |= tc->can & FO__TC_CAN_VLAN ? FO_CAP_VLAN | FO_CAP_VLAN_AD : 0;
	can |= (tc->can & FO__TC_CAN_QINQ) && (tc->can & FO__TC_CAN_VLAN) ? FO_CAP_QINQ : 0;
	can |= tc->can & FO__TC_CAN_DSCP ? FO_CAP_DSCP : 0;
	return can;
}

static void fill_caps(const struct fo__tc *tc, struct fo_caps *caps)
{
	char found[80] = "";

	caps->can = capabilities(tc);
	caps->max_flows = 0;
	caps->max_encaps = caps->can & FO_CAP_QINQ ? 2 : caps->can & FO_CAP_VLAN ? 1 : 0;
	caps->delete_bound_ms = 0;
	caps->age_granularity_ms = FO__TC_AGE_MS;
	caps->max_workers = 0;
	/* Frames shorter than 60 bytes are padded, and counted so. */
	if (tc->own.mode == FO_TC_HARDWARE && tc->own.bytes == FO_TC_BYTES_FRAME)
		caps->stats_flags = FO_STATS_L2_MIXED;
	/* Packets as on the wire, but bytes of the aggregates that they came in. */
	if (tc->own.mode == FO_TC_SOFTWARE)
		caps->stats_flags = FO_STATS_GRO_AGGREGATED;
	if (tc->own.mode == FO_TC_CLEAN_UP) {
		(void)snprintf(caps->text, sizeof(caps->text), "%u filters of an earlier process removed",
			       tc->cleared);
		return;
	}
	if (tc->cleared || tc->adopted)
		(void)snprintf(found, sizeof(found),
			       "; of an earlier process %u flows adopted, %u filters removed", tc->adopted,
			       tc->cleared);
	(void)snprintf(
		caps->text, sizeof(caps->text), "flower filters in %s, profile %s, %s conntrack; guards %s%s",
		tc->own.mode == FO_TC_SOFTWARE ? "software, without NAT" : "hardware",
		tc->profile == FO_TC_PROFILE_PPE ? "ppe" : "explicit",
		tc->own.conntrack == FO_TC_CONNTRACK_OFF || (tc->ops && !tc->care) ? "without" : "with",
		tc->own.guards_shown ? "verified" : "assumed", found);
}

/* Where no port can be asked: what the best hardware would do. */
static void fill_best_caps(struct fo__tc *tc, struct fo_caps *caps)
{
	tc->can = UINT8_MAX;
	tc->profile = tc->own.profile ? tc->own.profile : FO_TC_PROFILE_EXPLICIT;
	fill_caps(tc, caps);
}

/* ---- Needs and consent ---- */

/* What no hardware gives need not be asked of this one. */
static int check_consent(const struct fo_table_options *options, const struct fo_caps *caps,
			 struct fo_error *err)
{
	uint64_t missing = options->needs & ~caps->can;

	if (missing)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_NEEDS, FO_STAGE_RESOLVE, 0, "needs",
				     "backend tc lacks %s: need less, or take another backend",
				     fo_cap_name((unsigned int)__builtin_ctzll(missing)));
	if (options->flags & (FO_TABLE_ACCEPT_LINGER | FO_TABLE_PERSIST))
		return 0;
	return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_PERMISSION, FO_STAGE_RESOLVE, 0, "flags",
			     "rules of tc outlive a killed process: accept that with FO_TABLE_ACCEPT_LINGER");
}

/* ---- Sockets and memory ---- */

static void *take(const struct fo__tc *tc, size_t size)
{
	return tc->ops ? tc->ops->alloc(tc->host, size, 64) : malloc(size);
}

static void give(const struct fo__tc *tc, void *memory, size_t size)
{
	if (memory && tc->ops)
		tc->ops->free(tc->host, memory, size);
	else
		free(memory);
}

static int open_sockets(struct fo__tc *tc, struct fo_error *err)
{
	int rc;

	tc->tx = take(tc, FO__TC_TX_ROOM);
	tc->rx = take(tc, FO__NL_RX_ROOM);
	tc->rx_dump = take(tc, FO__NL_RX_LEAST);
	if (!tc->tx || !tc->rx || !tc->rx_dump)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory for the tc backend");
	rc = fo__nl_open(&tc->set, NETLINK_ROUTE, tc->netns, tc->rx, FO__NL_RX_ROOM, err);
	if (!rc)
		rc = fo__nl_open(&tc->dump, NETLINK_ROUTE, tc->netns, tc->rx_dump, FO__NL_RX_LEAST, err);
	if (!rc)
		fo__nl_buffers(&tc->set, SEND_BYTES, RECEIVE_BYTES);
	return rc;
}

static void set_up(struct fo__tc *tc)
{
	tc->set.fd = tc->dump.fd = tc->notices.fd = tc->events.fd = -1;
	tc->netns = tc->epoll = -1;
	tc->pass = 1;
	for (unsigned int i = 0; i < FO__TC_PORTS; i++)
		tc->ports[i].lock = -1;
}

static int keep_netns(struct fo__tc *tc, const struct fo_table_options *options, struct fo_error *err)
{
	if (!options || options->netns_fd <= 0)
		return 0;
	tc->netns = fcntl(options->netns_fd, F_DUPFD_CLOEXEC, 3);
	if (tc->netns >= 0)
		return 0;
	return fo__nl_refuse(err, -EINVAL, FO_R_ARGUMENT, FO_STAGE_RESOLVE, errno, "netns_fd",
			     "netns_fd is no descriptor that can be kept: %s", strerror(errno));
}

/* In the table's namespace: ownership of ports is one's own there. */
static int open_ports(struct fo__tc *tc, const struct fo_table_options *options, int probing,
		      struct fo_error *err)
{
	size_t stride = options->port_stride ? options->port_stride : sizeof(struct fo_port);
	int rc = 0, back;

	rc = fo__netns_enter(tc->netns, &back, err);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < options->n_ports; i++) {
		const struct fo_port *port = (const void *)((const char *)options->ports + i * stride);

		if (port->state != FO_PORT_GONE)
			rc = fo__tc_port_open(tc, port->port, probing, err);
	}
	if (fo__netns_leave(back))
		return fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, EIO, "netns_fd",
				     "the thread could not return to its own network namespace");
	return rc || tc->own.mode == FO_TC_CLEAN_UP ? rc : fo__tc_probe_ports(tc, err);
}

static void close_all(struct fo__tc *tc)
{
	fo__tc_care_close(tc);
	if (tc->set.fd >= 0)
		for (unsigned int i = 0; i < FO__TC_PORTS; i++)
			if (tc->ports[i].index)
				fo__tc_port_close(tc, &tc->ports[i]);
	fo__nl_close(&tc->notices);
	fo__nl_close(&tc->dump);
	fo__nl_close(&tc->set);
	if (tc->netns >= 0)
		close(tc->netns);
	give(tc, tc->rx_dump, FO__NL_RX_LEAST);
	give(tc, tc->rx, FO__NL_RX_ROOM);
	give(tc, tc->tx, FO__TC_TX_ROOM);
}

/* ---- Probe, create, destroy ---- */

static int probe(struct fo__tc *tc, const struct fo_table_options *options, struct fo_caps *caps,
		 struct fo_error *err)
{
	int rc = fo__tc_options_take(options, &tc->own, err);

	if (rc)
		return rc;
	fill_best_caps(tc, caps);
	caps->text[0] = '\0';
	if (!options)
		return fo__nl_refuse(err, -ENODEV, FO_R_PORT, FO_STAGE_RESOLVE, 0, "ports",
				     "what hardware can do is told by its ports: name them");
	tc->persists = (options->flags & FO_TABLE_PERSIST) != 0;
	rc = check_consent(options, caps, err);
	if (!rc)
		rc = keep_netns(tc, options, err);
	if (!rc)
		rc = open_sockets(tc, err);
	if (!rc)
		rc = open_ports(tc, options, 1, err);
	if (!rc)
		fill_caps(tc, caps);
	close_all(tc);
	return rc;
}

int fo__tc_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	struct fo__tc *tc = calloc(1, sizeof(*tc));
	int rc;

	if (!tc)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory to probe with");
	set_up(tc);
	rc = probe(tc, options, caps, err);
	free(tc);
	return rc;
}

/* What there is to wait for. */
static int watch(struct fo__tc *tc, struct fo_error *err)
{
	const int fds[] = {tc->notices.fd, tc->care ? tc->events.fd : -1, fo__tc_threads_fd(tc)};
	struct epoll_event event = {.events = EPOLLIN};
	int bad;

	tc->epoll = epoll_create1(EPOLL_CLOEXEC);
	bad = tc->epoll < 0;
	for (size_t i = 0; !bad && i < sizeof(fds) / sizeof(fds[0]); i++)
		bad = fds[i] >= 0 && epoll_ctl(tc->epoll, EPOLL_CTL_ADD, fds[i], &event);
	return bad ? fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, errno, NULL,
				   "the notices cannot be waited for: %s", strerror(errno))
		   : 0;
}

static int open_all(struct fo__tc *tc, const struct fo_backend_config *config, struct fo_error *err)
{
	int rc = keep_netns(tc, config->options, err);

	if (!rc && fo__tc_records_open(tc, config->slots))
		rc = fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, "capacity",
				   "no memory for %u flows; lower capacity", config->slots);
	if (!rc)
		rc = open_sockets(tc, err);
	if (!rc)
		rc = fo__tc_links_open(tc, err);
	if (!rc)
		rc = fo__tc_care_open(tc, err);
	if (!rc)
		rc = fo__tc_threads_open(tc, err);
	if (!rc)
		rc = watch(tc, err);
	return rc ? rc : open_ports(tc, config->options, 0, err);
}

int fo__tc_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		  struct fo_error *err)
{
	struct fo__tc *tc;
	int rc;

	tc = config->ops->alloc(config->host, sizeof(*tc), 64);
	if (!tc)
		return fo__nl_refuse(err, -ENOMEM, FO_R_MEMORY, FO_STAGE_RESOLVE, ENOMEM, NULL,
				     "no memory for the tc backend");
	memset(tc, 0, sizeof(*tc));
	tc->host = config->host;
	tc->ops = config->ops;
	set_up(tc);
	rc = fo__tc_options_take(config->options, &tc->own, err);
	if (!rc) {
		fill_best_caps(tc, caps);
		rc = check_consent(config->options, caps, err);
	}
	tc->persists = tc->adopting = (config->options->flags & FO_TABLE_PERSIST) != 0;
	if (!rc)
		rc = open_all(tc, config, err);
	if (!rc && tc->adopting) {
		fill_caps(tc, caps);
		rc = fo__tc_adopt(tc, err);
	}
	if (rc) {
		fo__tc_destroy(tc);
		return rc;
	}
	fill_caps(tc, caps);
	*priv = tc;
	return 0;
}

void fo__tc_destroy(void *priv)
{
	struct fo__tc *tc = priv;

	fo__tc_threads_stop(tc);
	if (tc->persists)
		fo__tc_flows_cut_halves(tc);
	if (!fo__tc_flows_stay(tc))
		fo__tc_flows_cut(tc, NULL);
	close_all(tc);
	if (tc->epoll >= 0)
		close(tc->epoll);
	fo__tc_records_close(tc);
	tc->ops->free(tc->host, tc, sizeof(*tc));
}
